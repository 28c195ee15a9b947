//! Words about credentials. No word of it holds a secret.

use clap::{Args, Subcommand, ValueEnum};

use super::certificates::{Generate, validity};
use super::sources::{AddPlace, EditPlace};
use super::upkeep::{Install, Rotate, Test};
use super::words::{Source, file};
use super::{Call, Follow, Wanted};
use crate::cli::fail::{Exit, Failure};
use crate::control::{Command, CredentialFilter, CredentialRef, CredentialSort, ScopeWord, SecretForm, SudoChange};
use crate::model::{Login, Name, Validity};

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
    /// Which; your own hides the workspace's of the same name where nothing is changed
    name: Name,
    /// Whose; needed where both have one of this name and something is changed
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
                            ssh -p 2222 alice@broker credential add mine --username alice --key - < ~/.ssh/id_ed25519\n  \
                            keyward credential add web --username deploy --certificate        # after: keyward ca create\n  \
                            keyward credential add web --username root --password --from corp --path web/root --scope workspace\n  \
                            keyward credential add ops --username ops --certificate --from corp --path ops-role --scope workspace")]
    Add {
        /// What it is called
        name: Name,
        /// The account on the hosts
        #[arg(long, value_name = "USER")]
        username: Login,
        /// The secret is a password
        #[arg(long, required_unless_present_any = ["key", "certificate"], conflicts_with = "key")]
        password: bool,
        /// The secret is the private key in this file, or - for standard input
        #[arg(long, value_name = "FILE|-", value_parser = file, num_args = 0..=1, default_missing_value = "-")]
        key: Option<Source>,
        /// There is no secret: the workspace's certificate authority signs a certificate for each sign-in; with --from, the source does
        #[arg(long, conflicts_with_all = ["password", "key"])]
        certificate: bool,
        /// How long a certificate of the workspace's authority is valid: 60s to 300s [default: 120s]
        #[arg(long, value_name = "DURATION", value_parser = validity, requires = "certificate", conflicts_with_all = ["password", "key", "from"])]
        validity: Option<Validity>,
        /// Whose it is [default: personal; of a certificate that the workspace's authority signs: workspace]
        #[arg(long, value_enum)]
        scope: Option<Scope>,
        /// Is given afterwards, with `credential edit`: one secret a call
        #[arg(long, hide = true)]
        sudo_password: bool,
        /// Where it lies
        // Last: what follows would stand under its heading in the help.
        #[command(flatten)]
        place: AddPlace,
    },
    /// Make a new private key inside the vault, and a credential with it; prints the public key
    ///
    /// Nobody ever has the private half, you neither: it signs in through the broker and can never be read. The line on
    /// standard output goes into authorized_keys on the hosts.
    #[command(after_help = "EXAMPLES:\n  keyward credential generate deploy --username deploy --scope workspace\n  \
                            keyward credential generate old --username root --type rsa-4096 | ssh root@web-1 'cat >> ~/.ssh/authorized_keys'\n  \
                            ssh -p 2222 alice@broker credential generate mine --username alice --type ecdsa-p256")]
    Generate(Generate),
    /// List credentials, without their secrets: the workspace's and your own
    ///
    /// AGE is how long the secret is the one that it is: a new name or account does not make it younger. Conditions are
    /// joined by "and".
    #[command(after_help = "EXAMPLES:\n  keyward credential list --unused-for 90d                # who still needs these?\n  \
                            keyward credential list --older-than 365d --sort age    # to be renewed, the oldest first\n  \
                            keyward credential list --host web-1")]
    List(Inventory),
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
                      keyward credential edit deploy --sudo-password\n  keyward credential edit web --path web/root2\n  \
                      keyward credential edit deploy --validity 60s          # of one that was added with --certificate\n  \
                      ssh -p 2222 alice@broker credential edit deploy --sudo-password < FILE"
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
        #[arg(long, value_name = "FILE|-", value_parser = file, num_args = 0..=1, default_missing_value = "-")]
        key: Option<Source>,
        /// A sudo password of its own, one line; one secret a call
        #[arg(long, conflicts_with_all = ["password", "key"])]
        sudo_password: bool,
        /// No sudo password of its own any more
        #[arg(long, conflicts_with = "sudo_password")]
        no_sudo_password: bool,
        /// Certificates from now on are valid for so long after their sign-in, from 60s to 300s
        #[arg(long, value_name = "DURATION", value_parser = validity, conflicts_with_all = ["password", "key", "from", "path", "field", "no_field"])]
        validity: Option<Validity>,
        /// The new name
        #[arg(long, value_name = "NEW")]
        rename: Option<Name>,
        /// Where it lies
        // Last: what follows would stand under its heading in the help.
        #[command(flatten)]
        place: EditPlace,
    },
    /// Delete a credential: gone from the live database at once
    ///
    /// The next use is refused. Sessions that it opened are listed and live on, unless --end-sessions. On a terminal you are
    /// asked first if it is a host's or the workspace's default, and told which hosts are left without a credential.
    Delete {
        /// Which
        #[command(flatten)]
        which: Which,
        /// End the sessions that it opened
        #[arg(long)]
        end_sessions: bool,
        /// Do not ask
        #[arg(long, short = 'y')]
        yes: bool,
    },
    /// Attach a credential to a host: it signs in there from now on
    ///
    /// Where somebody names no credential, their own choice for the host is taken, else the host's default, else the
    /// workspace's.
    #[command(after_help = "EXAMPLES:\n  keyward credential attach deploy --host web-1          # for everybody with a grant\n  \
                            keyward credential attach mine --host web-1 --mine     # for you alone\n  \
                            keyward credential attach deploy --workspace-default   # where a host has none of its own")]
    Attach(Attach),
    /// Detach a credential from a host
    Detach(Attach),
    /// Try whether a host takes a credential: a real sign-in and nothing else
    ///
    /// Says which step fails (name, network, host key, vault, sign in) and how long each took. It counts as an attempt: after two
    /// refusals it is not tried again for ten minutes, so that no account is locked. An owner or admin may try the workspace's
    /// credentials on every host with a pinned key, attached or not; it is recorded like every connection.
    #[command(
        after_help = "EXAMPLES:\n  keyward credential test deploy --host web-1\n  ssh -p 2222 alice@broker credential test deploy --host web-1 --json\n\n\
                      EXIT STATUS:\n  0 signed in · 1 not"
    )]
    Test(Test),
    /// Put a key's public half into authorized_keys on a host
    ///
    /// Signed in with another credential: of the same account, or of root. What stands in the file stays byte for byte, symbolic links
    /// are refused, and a key that is there is not added twice. Then the key signs in, to show that it works. You need `exec` there.
    #[command(after_help = "EXAMPLES:\n  keyward credential install deploy --host web-1 --using root-web --dry-run\n  \
                      keyward credential install deploy --host web-1 --using deploy-password")]
    Install(Install),
    /// Give a credential a new secret: on its hosts first, then here
    ///
    /// The vault makes a new key pair or password. Each host gets it, signed in with the old one, and has to take it in a real sign-in;
    /// when every host did, it is put in force here, and the old key is taken from the hosts. At every moment each host takes what the
    /// vault uses for it. A host that cannot be reached keeps the rotation open: the same verb goes on with it, --abort gives it up,
    /// --skip leaves the host out. A password is set by `chpasswd`, as root or through sudo. You need `exec` on the hosts.
    #[command(after_help = "EXAMPLES:\n  keyward credential rotate deploy --dry-run\n  keyward credential rotate deploy --yes\n  \
                      keyward credential rotate deploy --skip old-box --yes\n  keyward credential rotate deploy --abort --yes\n\n\
                      EXIT STATUS:\n  0 done, or given up · 5 it stands open")]
    Rotate(Rotate),
}

/// Words of `attach` and `detach`.
#[derive(Debug, Args)]
pub struct Attach {
    /// Which
    #[command(flatten)]
    which: Which,
    /// To or from which host
    #[arg(long, value_name = "HOST", required_unless_present = "workspace_default")]
    host: Option<Name>,
    /// For you alone, in the place of the host's default
    #[arg(long)]
    mine: bool,
    /// For every host of the workspace that has no default of its own, also those that are added later
    #[arg(long, conflicts_with_all = ["host", "mine"])]
    workspace_default: bool,
}

/// Words of `list`.
#[derive(Debug, Args)]
pub struct Inventory {
    /// Only those that signed in nowhere for so long: 90d, 12h
    #[arg(long, value_name = "TIME", value_parser = super::words::seconds)]
    unused_for: Option<u64>,
    /// Only those whose secret is older: 365d
    #[arg(long, value_name = "TIME", value_parser = super::words::seconds)]
    older_than: Option<u64>,
    /// Only those that are attached to this host
    #[arg(long, value_name = "HOST")]
    host: Option<Name>,
    /// The order: by name, oldest secret first, longest unused first, most hosts first
    #[arg(long, value_enum, default_value_t, value_name = "ORDER")]
    sort: Sort,
}

/// An order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Sort {
    /// By name
    #[default]
    Name,
    /// The oldest secret first
    Age,
    /// What was used longest ago first, never before all others
    LastUsed,
    /// What is attached to most hosts first
    Hosts,
}

impl From<Inventory> for CredentialFilter {
    fn from(list: Inventory) -> Self {
        let sort = match list.sort {
            Sort::Name => CredentialSort::Name,
            Sort::Age => CredentialSort::Age,
            Sort::LastUsed => CredentialSort::LastUsed,
            Sort::Hosts => CredentialSort::Hosts,
        };
        Self { unused_for_s: list.unused_for, older_than_s: list.older_than, host: list.host, sort }
    }
}

impl Attach {
    /// The command: for one host, or for the workspace.
    fn command(self, attach: bool) -> Command {
        let credential = self.which.into();
        match self.host {
            Some(host) if attach => Command::CredentialAttach { credential, host, mine: self.mine },
            Some(host) => Command::CredentialDetach { credential, host, mine: self.mine },
            None => Command::CredentialWorkspaceDefault { credential, attach },
        }
    }
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
            Self::Add { name, username, password, key, certificate, validity, place, scope, sudo_password: false } => {
                if let Some(reference) = place.reference(password, key.as_ref(), certificate)? {
                    return Ok(super::sources::add(name, username, scope.unwrap_or(Scope::Personal).into(), reference));
                }
                if certificate {
                    let (scope, validity) = (scope.unwrap_or(Scope::Workspace).into(), validity.unwrap_or_default());
                    return Ok(Command::CredentialAddCertificate { name, username, validity, scope }.into());
                }
                let (form, secret) = secret(&name, key);
                let scope = scope.unwrap_or(Scope::Personal);
                Call { command: Command::CredentialAdd { name, username, form, scope: scope.into() }, secret, follow: Follow::Print }
            }
            Self::Generate(words) => words.call(),
            Self::List(list) => Command::CredentialList { filter: list.into() }.into(),
            Self::Show(which) => Command::CredentialShow { credential: which.into() }.into(),
            Self::PublicKey(which) => Command::CredentialPublicKey { credential: which.into() }.into(),
            Self::Edit { which, username, password, key, place, sudo_password, no_sudo_password, validity, rename } => {
                if let Some((what, place)) = place.change(password, key.as_ref(), sudo_password || no_sudo_password)? {
                    return Ok(Command::ReferenceEdit { credential: which.into(), username, rename, what, place }.into());
                }
                let (form, secret) = if sudo_password {
                    (None, Wanted::SudoPassword(which.name.clone()))
                } else if password || key.is_some() {
                    let (form, secret) = secret(&which.name, key);
                    (Some(form), secret)
                } else {
                    (None, Wanted::Nothing)
                };
                let sudo = if sudo_password { Some(SudoChange::Set) } else { no_sudo_password.then_some(SudoChange::Remove) };
                let command = Command::CredentialEdit { credential: which.into(), username, form, rename, sudo, validity };
                Call { command, secret, follow: Follow::Print }
            }
            Self::Delete { which, end_sessions, yes } => {
                let credential: CredentialRef = which.into();
                let uses = Command::CredentialUses { credential: credential.clone() };
                let follow = if yes { Follow::Print } else { Follow::Sure(Box::new(uses)) };
                Call { command: Command::CredentialDelete { credential, end_sessions }, secret: Wanted::Nothing, follow }
            }
            Self::Attach(a) => a.command(true).into(),
            Self::Test(test) => test.into(),
            Self::Install(install) => install.into(),
            Self::Rotate(rotate) => rotate.into(),
            Self::Detach(a) => a.command(false).into(),
        })
    }
}

fn secret(name: &Name, key: Option<Source>) -> (SecretForm, Wanted) {
    match key {
        Some(source) => (SecretForm::Key, Wanted::Key(source)),
        None => (SecretForm::Password, Wanted::Password(name.clone())),
    }
}
