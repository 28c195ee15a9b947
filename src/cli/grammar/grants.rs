//! Words about grants.

use std::net::IpAddr;

use clap::{Args, Subcommand};
use ipnet::IpNet;

use super::words::{Source, file, network, seconds, time};
use crate::clock::Time;
use crate::control::{Command, NewGrant};
use crate::model::{Action, Actions, DailyWindow, GrantId, HostPattern, Name};

/// `grant …`
#[derive(Debug, Subcommand)]
pub enum GrantVerb {
    /// Add a grant: somebody may do something on some hosts
    ///
    /// All conditions of a grant must hold; what several grants allow adds up. Sessions end when what they stand on ends.
    #[command(after_help = "EXAMPLES:\n  keyward grant add --to alice --hosts web-1 --allow shell,exec,sftp\n  \
                            keyward grant add --to ops --hosts tag:env=prod --allow shell --from 192.0.2.0/24 --between 08:00-18:00\n  \
                            keyward grant add --to '*' --hosts 'lab-*' --allow exec --commands ./allowed --until 2026-12-31 --max-session 8h")]
    Add(AddGrant),
    /// List grants
    List,
    /// Remove a grant; sessions that stand on it alone end
    Remove {
        /// grt_… as `grant list` shows it
        id: GrantId,
    },
    /// Say whether a person may use a host, which grant decides, and why
    #[command(after_help = "EXIT STATUS:\n  0 whatever the answer is: the question was answered. A script reads `allowed`.\n\n\
                            EXAMPLES:\n  keyward grant explain alice web-1 exec --from 192.0.2.9\n  \
                            keyward --json grant explain alice web-1 exec | jq -e .allowed")]
    Explain {
        /// Who
        user: Name,
        /// Where
        host: Name,
        /// What: shell, exec, sftp, forward, propose or scan
        action: Option<Action>,
        /// From which address [default: 127.0.0.1]
        #[arg(long, value_name = "ADDR")]
        from: Option<IpAddr>,
    },
}

/// Words of `grant add`.
#[derive(Debug, Args)]
pub struct AddGrant {
    /// A person, a group, or '*' for everybody
    #[arg(long, value_name = "USER|GROUP|'*'")]
    to: String,
    /// A host, a pattern of names, or a tag
    #[arg(long, value_name = "NAME|GLOB|tag:K=V")]
    hosts: HostPattern,
    /// What: shell, exec, sftp, forward-local (or forward), forward-remote, forward-agent, x11, propose, scan; with commas between
    #[arg(long, value_name = "ACTIONS")]
    allow: Actions,
    /// Only these commands for exec, one a line, byte by byte: a file, or - for standard input
    #[arg(long, value_name = "FILE", value_parser = file)]
    commands: Option<Source>,
    /// Only from this network
    #[arg(long, value_name = "CIDR", value_parser = network)]
    from: Option<IpNet>,
    /// Only before this time; sessions end then
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Time>,
    /// Only at these hours (UTC); sessions end then
    #[arg(long, value_name = "HH:MM-HH:MM")]
    between: Option<DailyWindow>,
    /// A session ends after this long: 8h, 30m, 90s
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    max_session: Option<u64>,
    /// Only where the person gave a one-time code while signing in; they are asked for it. Such a grant carries no scan
    #[arg(long)]
    second_factor: bool,
}

impl GrantVerb {
    pub(super) fn sources(&self) -> Vec<&Source> {
        match self {
            Self::Add(AddGrant { commands: Some(commands), .. }) => vec![commands],
            _ => Vec::new(),
        }
    }

    pub(super) fn call(self, mut texts: Vec<String>) -> Command {
        match self {
            Self::Add(a) => Command::GrantAdd {
                grant: NewGrant {
                    to: a.to,
                    hosts: a.hosts,
                    allow: a.allow,
                    commands: texts.pop(),
                    from: a.from,
                    until: a.until,
                    between: a.between,
                    max_session_s: a.max_session,
                    second_factor: a.second_factor,
                },
            },
            Self::List => Command::GrantList,
            Self::Remove { id } => Command::GrantRemove { id },
            Self::Explain { user, host, action, from } => Command::GrantExplain { user, host, action, from },
        }
    }
}
