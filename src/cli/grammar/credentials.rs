//! Words about credentials. No word of it holds a secret.

use clap::{Args, Subcommand, ValueEnum};

use super::words::{Source, file};
use super::{Call, Follow, Wanted};
use crate::cli::fail::{Exit, Failure};
use crate::control::{Command, CredentialRef, ScopeWord, SecretForm, SudoChange};
use crate::model::{Login, Name};

/// Whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    /// Yours alone: nobody else sees it, not even an owner
    Personal,
    /// The workspace's: grants decide who uses it
    Workspace,
}

impl From<Scope> for ScopeWord {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Personal => Self::Personal,
            Scope::Workspace => Self::Workspace,
        }
    }
}

/// Which credential.
#[derive(Debug, Args)]
pub struct Which {
    /// Which; your own hides the workspace's of the same name
    name: Name,
    /// Whose, where both have one of this name
    #[arg(long, value_enum)]
    scope: Option<Scope>,
}

impl From<Which> for CredentialRef {
    fn from(which: Which) -> Self {
        Self { name: which.name, scope: which.scope.map(Into::into) }
    }
}

/// `credential …`
#[derive(Debug, Subcommand)]
pub enum CredentialVerb {
    /// Add a credential: an account on hosts, with its password or private key
    ///
    /// The secret is asked for on a terminal, else read from standard input to its end; it is never an argument. A key
    /// may be encrypted: its passphrase is asked for, too, or read from standard input if the key came from a file. A
    /// sudo password is given afterwards: `credential edit NAME --sudo-password`.
    #[command(after_help = "EXAMPLES:\n  keyward credential add deploy --username deploy --key ~/.ssh/deploy --scope workspace\n  \
                            keyward credential add root --username root --password\n  \
                            pass show web/root | keyward credential add root --username root --password\n  \
                            ssh -p 2222 alice@broker credential add mine --username alice --key - < ~/.ssh/id_ed25519")]
    Add {
        /// What it is called
        name: Name,
        /// The account on the hosts
        #[arg(long, value_name = "USER")]
        username: Login,
        /// The secret is a password
        #[arg(long, required_unless_present = "key", conflicts_with = "key")]
        password: bool,
        /// The secret is the private key in this file, or - for standard input
        #[arg(long, value_name = "FILE|-", value_parser = file)]
        key: Option<Source>,
        /// Whose it is
        #[arg(long, value_enum, default_value = "personal")]
        scope: Scope,
        /// Is given afterwards, with `credential edit`: one secret a call
        #[arg(long, hide = true)]
        sudo_password: bool,
    },
    /// List credentials, without their secrets: the workspace's and your own
    List,
    /// Show a credential, without its secret
    Show(Which),
    /// Print the public half of a key, for authorized_keys
    PublicKey(Which),
    /// Change a credential; a new secret or account is bound anew to its hosts
    ///
    /// A scan that needs root on a host where sudo asks for a password gives it the sudo password. Without one of its own
    /// that is the password that signs in; a key has none then. A new secret leaves the sudo password as it is.
    #[command(
        after_help = "EXAMPLES:\n  keyward credential edit deploy --key ~/.ssh/deploy_new\n  keyward credential edit root --password --username admin\n  \
                      keyward credential edit deploy --sudo-password\n  ssh -p 2222 alice@broker credential edit deploy --sudo-password < FILE"
    )]
    Edit {
        /// Which
        #[command(flatten)]
        which: Which,
        /// The new account on the hosts
        #[arg(long, value_name = "USER")]
        username: Option<Login>,
        /// A new password
        #[arg(long, conflicts_with = "key")]
        password: bool,
        /// A new private key, in this file, or - for standard input
        #[arg(long, value_name = "FILE|-", value_parser = file)]
        key: Option<Source>,
        /// A sudo password of its own, one line; one secret a call
        #[arg(long, conflicts_with_all = ["password", "key"])]
        sudo_password: bool,
        /// No sudo password of its own any more
        #[arg(long, conflicts_with = "sudo_password")]
        no_sudo_password: bool,
        /// The new name
        #[arg(long, value_name = "NEW")]
        rename: Option<Name>,
    },
    /// Delete a credential: gone from the live database at once
    ///
    /// Sessions that it opened are listed and live on, unless --end-sessions.
    Delete {
        /// Which
        #[command(flatten)]
        which: Which,
        /// End the sessions that it opened
        #[arg(long)]
        end_sessions: bool,
    },
    /// Attach a credential to a host: it signs in there from now on
    #[command(after_help = "EXAMPLES:\n  keyward credential attach deploy --host web-1          # for everybody with a grant\n  \
                            keyward credential attach mine --host web-1 --mine     # for you alone")]
    Attach(Attach),
    /// Detach a credential from a host
    Detach(Attach),
}

/// Words of `attach` and `detach`.
#[derive(Debug, Args)]
pub struct Attach {
    /// Which
    #[command(flatten)]
    which: Which,
    /// To or from which host
    #[arg(long, value_name = "HOST")]
    host: Name,
    /// For you alone, in the place of the host's default
    #[arg(long)]
    mine: bool,
}

impl CredentialVerb {
    pub(super) fn call(self) -> Result<Call, Failure> {
        Ok(match self {
            Self::Add { name, sudo_password: true, .. } => {
                return Err(Failure::new(
                    Exit::Usage,
                    "`credential add` takes one secret: what signs in",
                    format!("leave --sudo-password away, and give it afterwards: keyward credential edit {name} --sudo-password"),
                ));
            }
            Self::Add { name, username, password: _, key, scope, sudo_password: false } => {
                let (form, secret) = secret(&name, key);
                Call { command: Command::CredentialAdd { name, username, form, scope: scope.into() }, secret, follow: Follow::Print }
            }
            Self::List => Command::CredentialList.into(),
            Self::Show(which) => Command::CredentialShow { credential: which.into() }.into(),
            Self::PublicKey(which) => Command::CredentialPublicKey { credential: which.into() }.into(),
            Self::Edit { which, username, password, key, sudo_password, no_sudo_password, rename } => {
                let (form, secret) = if sudo_password {
                    (None, Wanted::SudoPassword(which.name.clone()))
                } else if password || key.is_some() {
                    let (form, secret) = secret(&which.name, key);
                    (Some(form), secret)
                } else {
                    (None, Wanted::Nothing)
                };
                let sudo = if sudo_password { Some(SudoChange::Set) } else { no_sudo_password.then_some(SudoChange::Remove) };
                let command = Command::CredentialEdit { credential: which.into(), username, form, rename, sudo };
                Call { command, secret, follow: Follow::Print }
            }
            Self::Delete { which, end_sessions } => Command::CredentialDelete { credential: which.into(), end_sessions }.into(),
            Self::Attach(a) => Command::CredentialAttach { credential: a.which.into(), host: a.host, mine: a.mine }.into(),
            Self::Detach(a) => Command::CredentialDetach { credential: a.which.into(), host: a.host, mine: a.mine }.into(),
        })
    }
}

fn secret(name: &Name, key: Option<Source>) -> (SecretForm, Wanted) {
    match key {
        Some(source) => (SecretForm::Key, Wanted::Key(source)),
        None => (SecretForm::Password, Wanted::Password(name.clone())),
    }
}
