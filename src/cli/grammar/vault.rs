//! Words about the vault's keys, backups and what is done while the daemon is stopped.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Call, Follow, Wanted};
use crate::control::Command;

/// `vault …`
#[derive(Debug, Subcommand)]
pub enum VaultVerb {
    /// Show the keys of the vault: which, how old, and what waits to be erased
    ///
    /// The root key's id and age, the version and age of each workspace's key, how many persons have one of their own (never
    /// who), how many changes were sealed, what the anchor outside the home knows, root keys that were replaced, and
    /// deletions whose ciphertext may still lie in the write-ahead log because something reads the database.
    Status,
    /// Replace the keys: every workspace's and every person's, and with flags the root key
    ///
    /// Every data key is wrapped anew and the old keys are deleted; no secret is encrypted anew, and no host notices. Sessions
    /// go on and connections are made meanwhile; changes of credentials wait. If it is cut off, every credential still opens,
    /// and the next call goes on.
    #[command(after_help = "EXAMPLES:\n  keyward vault rotate                    # once a year, or after somebody left\n  \
                            keyward vault rotate --root             # the root key, too; keep a copy of the new one elsewhere\n  \
                            keyward vault rotate --shred            # after a copy of the database or a backup got lost\n\n\
                            WHAT --shred MEANS:\n  The old root key is destroyed, and with it every older copy of the database opens nowhere: \
                            copies that\n  somebody took, and your own backups. Make a backup right after it. A copy of the old root key that \
                            you keep\n  elsewhere still opens them; destroy it, too. Secrets that somebody has read already stay known: \
                            change them\n  on the hosts.")]
    Rotate(RotateArgs),
    /// Go on with a database that is older than what is known of it; only while the daemon is stopped
    ///
    /// After a backup was put back by hand. Says what is lost, asks, and records it in the audit log at once. There is nothing
    /// to accept where the database is not older.
    #[command(after_help = "EXAMPLE:\n  keyward vault accept-rollback --yes && keyward serve")]
    AcceptRollback(StoppedArgs),
}

/// Flags of `vault rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The root key, too; the old one is kept as root.key.old-ID, for it opens older backups
    #[arg(long)]
    pub root: bool,
    /// The root key, too, and every former one is destroyed: older copies of the database open nowhere any more
    #[arg(long)]
    pub shred: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// Flags of what is done while the daemon is stopped.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct StoppedArgs {
    /// The configuration [default: broker.toml in the home, if there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `backup …`
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Where to: a file that does not exist yet, or - for standard output
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// `restore …`
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Accept at once that the database is older than what is known of it; else: keyward vault accept-rollback
    #[arg(long)]
    pub accept_rollback: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub stopped: StoppedArgs,
}

impl VaultVerb {
    /// `None`: it is the program's own.
    pub(super) fn call(self) -> Option<Call> {
        Some(match self {
            Self::Status => Command::VaultStatus.into(),
            Self::Rotate(RotateArgs { root, shred, yes }) => {
                let follow = if shred && !yes {
                    Follow::Ask(
                        "Every older copy of the database, your backups included, becomes unreadable for ever. Destroy the old root key?"
                            .to_owned(),
                    )
                } else {
                    Follow::Print
                };
                Call { command: Command::VaultRotate { root, shred, sure: yes }, secret: Wanted::Nothing, follow }
            }
            Self::AcceptRollback(_) => return None,
        })
    }
}

impl BackupArgs {
    pub(super) fn call(self) -> Call {
        let file = Some(self.file).filter(|file| file.as_os_str() != "-");
        Call { command: Command::Backup, secret: Wanted::Nothing, follow: Follow::Save(file) }
    }
}
