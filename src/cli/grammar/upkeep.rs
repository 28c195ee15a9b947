//! Words about a credential's life on its hosts: test, install, rotate.

use clap::Args;

use super::credentials::Which;
use super::{Call, Follow, Wanted};
use crate::control::Command;
use crate::model::Name;

/// Words of `credential test`.
#[derive(Debug, Args)]
pub struct Test {
    /// Which
    #[command(flatten)]
    which: Which,
    /// On which host
    #[arg(long, value_name = "HOST")]
    host: Name,
}

/// Words of `credential install`.
#[derive(Debug, Args)]
pub struct Install {
    /// Which
    #[command(flatten)]
    which: Which,
    /// On which host
    #[arg(long, value_name = "HOST")]
    host: Name,
    /// Signed in with this credential: of the same account, or of root
    #[arg(long, value_name = "CRED")]
    using: Name,
    /// Show the line, the command and the script, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Words of `credential rotate`.
#[derive(Debug, Args)]
pub struct Rotate {
    /// Which
    #[command(flatten)]
    which: Which,
    /// Only on these hosts in this run; the new secret comes into force when the others have it, too
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<Name>,
    /// Leave this host out for good: it will not take the credential any more
    #[arg(long, value_name = "HOST")]
    skip: Vec<Name>,
    /// Give up the rotation that stands open: the hosts get rid of the new secret, and it is forgotten
    #[arg(long)]
    abort: bool,
    /// Show what would be done, and do nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do it without asking
    #[arg(long, short)]
    yes: bool,
}

impl From<Test> for Call {
    fn from(test: Test) -> Self {
        Command::CredentialTest { credential: test.which.into(), host: test.host }.into()
    }
}

impl From<Install> for Call {
    fn from(i: Install) -> Self {
        Command::CredentialInstall { credential: i.which.into(), host: i.host, using: i.using, dry_run: i.dry_run }.into()
    }
}

impl From<Rotate> for Call {
    fn from(r: Rotate) -> Self {
        let Rotate { which, hosts, skip, abort, dry_run, yes } = r;
        // Without a word of agreement the plan comes first, and the question.
        let (asks, follow) = if yes || dry_run { (dry_run, Follow::Print) } else { (true, Follow::Agree) };
        let command = Command::CredentialRotate { credential: which.into(), hosts, skip, abort, dry_run: asks };
        Self { command, secret: Wanted::Nothing, follow }
    }
}
