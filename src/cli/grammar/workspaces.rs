//! Words about workspaces.

use clap::Subcommand;

use super::{Call, Follow, Wanted};
use crate::control::Command;
use crate::model::Name;

/// `workspace …`
#[derive(Debug, Subcommand)]
pub enum WorkspaceVerb {
    /// Add a workspace: hosts, credentials and grants of its own, under a key of its own
    ///
    /// People, groups and roles are those of the whole broker. Every verb takes --workspace NAME; on the way to a host it
    /// stands before the host: ssh -p 2222 NAME=HOST@BROKER.
    #[command(after_help = "EXAMPLES:\n  keyward workspace add staging\n  \
                            keyward host add web-1 192.0.2.7 --workspace staging\n  \
                            keyward grant add --to alice --hosts '*' --allow shell --workspace staging\n  \
                            ssh -p 2222 staging=web-1@BROKER")]
    Add {
        /// What it is called
        name: Name,
    },
    /// List the workspaces that you have something in
    List,
    /// Show a workspace, and how much is in it
    Show {
        /// Which
        name: Name,
    },
    /// Remove a workspace with all that is in it, and destroy its key
    ///
    /// Hosts, grants, credentials and results of scans go with it; what the audit log says stays. Without the key nothing of
    /// it opens any more, also not under a new workspace of the same name. A backup from before still holds it for whoever
    /// has the root key: change the secrets on the hosts. Refused while sessions live, unless --end-sessions, and while a
    /// scan runs. `default` cannot be removed.
    #[command(after_help = "EXAMPLE:\n  keyward workspace remove staging --end-sessions --yes")]
    Remove {
        /// Which
        name: Name,
        /// End the sessions that live in it
        #[arg(long)]
        end_sessions: bool,
        /// Do not ask
        #[arg(long, short = 'y')]
        yes: bool,
    },
}

impl WorkspaceVerb {
    pub(super) fn call(self) -> Call {
        match self {
            Self::Add { name } => Command::WorkspaceAdd { name }.into(),
            Self::List => Command::WorkspaceList.into(),
            Self::Show { name } => Command::WorkspaceShow { name }.into(),
            Self::Remove { name, end_sessions, yes } => {
                let stakes = Command::WorkspaceShow { name: name.clone() };
                let follow = if yes { Follow::Print } else { Follow::Sure(Box::new(stakes)) };
                Call { command: Command::WorkspaceRemove { name, end_sessions }, secret: Wanted::Nothing, follow }
            }
        }
    }
}
