//! Words about other people's vaults, and about credentials that lie there. No word of it holds a secret.

use clap::{Args, Subcommand};

use super::Call;
use super::words::Source;
use crate::cli::fail::{Exit, Failure};
use crate::control::{Command, PlaceChange};
use crate::model::{Fetched, Field, Login, Name, RefPath, Reference};

/// `source …`
#[derive(Debug, Subcommand)]
pub enum SourceVerb {
    /// List sources: the vaults of other people that broker.toml names
    ///
    /// Members see those that take personal references, and where theirs begin.
    List,
    /// Test whether a source answers and takes the broker's sign-in; a secret is never shown
    ///
    /// With --path a secret is read, too, and dropped unseen: then the path, the field and the broker's rights there are good. It
    /// is recorded in the audit log. A program is run only with --path. A certificate cannot be tested without a host: `credential
    /// test` and the first connection do.
    #[command(after_help = "EXAMPLES:\n  keyward source test corp\n  keyward source test corp --path web/root --field password")]
    Test {
        /// Which
        name: Name,
        /// Read the secret at this path
        #[arg(long, value_name = "PATH")]
        path: Option<RefPath>,
        /// This field of it [default: password; with --key private_key]
        #[arg(long, value_name = "FIELD", requires = "path")]
        field: Option<Field>,
        /// It is a private key
        #[arg(long, requires = "path")]
        key: bool,
    },
}

impl SourceVerb {
    pub(super) fn call(self) -> Call {
        match self {
            Self::List => Command::SourceList.into(),
            Self::Test { name, path, field, key } => Command::SourceTest { name, path, field, key }.into(),
        }
    }
}

/// Where a new credential lies, if not here.
#[derive(Debug, Args)]
#[command(next_help_heading = "In somebody else's vault")]
pub struct AddPlace {
    /// It lies in this source of broker.toml and is fetched at the moment of use; no secret is asked for
    #[arg(long, value_name = "SOURCE", requires = "path")]
    from: Option<Name>,
    /// Where it lies there; of a certificate the role that signs it
    #[arg(long, value_name = "PATH", requires = "from")]
    path: Option<RefPath>,
    /// Which field of it [default: password or private_key; a program gets none]
    #[arg(long, value_name = "FIELD", requires = "from")]
    field: Option<Field>,
}

/// Where a credential is to lie from now on.
#[derive(Debug, Args)]
#[command(next_help_heading = "In somebody else's vault")]
pub struct EditPlace {
    /// It lies in this source from now on; what was kept here is forgotten
    #[arg(long, value_name = "SOURCE")]
    from: Option<Name>,
    /// Where it lies there
    #[arg(long, value_name = "PATH")]
    path: Option<RefPath>,
    /// Which field of it
    #[arg(long, value_name = "FIELD")]
    field: Option<Field>,
    /// The default field again
    #[arg(long, conflicts_with = "field")]
    no_field: bool,
    /// It is a certificate from now on
    #[arg(long, requires = "from", conflicts_with_all = ["password", "key"])]
    certificate: bool,
}

/// What kind the words say it is; with a source a key comes without a file.
fn what(password: bool, key: Option<&Source>, certificate: bool) -> Result<Option<Fetched>, Failure> {
    match key {
        Some(Source::Stdin) => Ok(Some(Fetched::Key)),
        Some(_) => Err(Failure::new(Exit::Usage, "with --from no key is given: it is fetched", "write --key without a file")),
        None if certificate => Ok(Some(Fetched::Certificate)),
        None => Ok(password.then_some(Fetched::Password)),
    }
}

impl AddPlace {
    /// The reference that the words describe; `None`: the credential is kept here.
    pub(super) fn reference(
        self,
        password: bool,
        key: Option<&Source>,
        certificate: bool,
    ) -> Result<Option<(Fetched, Reference)>, Failure> {
        let (Some(source), Some(path)) = (self.from, self.path) else { return Ok(None) };
        let what = what(password, key, certificate)?.unwrap_or(Fetched::Password);
        Ok(Some((what, Reference { source, path, field: self.field })))
    }
}

impl EditPlace {
    /// The change that the words describe, if they say where it lies.
    pub(super) fn change(
        self,
        password: bool,
        key: Option<&Source>,
        sudo: bool,
    ) -> Result<Option<(Option<Fetched>, PlaceChange)>, Failure> {
        let place = PlaceChange { from: self.from, path: self.path, field: self.field, no_field: self.no_field };
        if place == PlaceChange::default() {
            return Ok(None);
        }
        if sudo {
            return Err(Failure::new(
                Exit::Usage,
                "one change at a time: where it lies, or its sudo password",
                "change the sudo password with a second `credential edit`",
            ));
        }
        Ok(Some((what(password, key, self.certificate)?, place)))
    }
}

/// `credential add … --from …`.
pub(super) fn add(name: Name, username: Login, scope: crate::control::ScopeWord, (what, reference): (Fetched, Reference)) -> Call {
    Command::ReferenceAdd { name, username, what, scope, reference }.into()
}
