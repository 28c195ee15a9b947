//! Words about imports.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::credentials::Scope;
use super::words::{Source, file};
use super::{Call, Follow, Wanted};
use crate::control::{Agreed, Command};

/// Where the text comes from unless it is said; the local program puts the person's own file in its place.
static STDIN: Source = Source::Stdin;

/// `import …`
#[derive(Debug, Subcommand)]
pub enum ImportVerb {
    /// Pin host keys from a file of known hosts
    ///
    /// For hosts that are known here, by their address and port: keys that are missing are pinned. Names may be plain, hashed,
    /// patterns or lists. A pin that is there is never replaced: another key of its type is told and left. A pin that the file
    /// marks as revoked is taken away. A line with @cert-authority becomes a host CA for the hosts that it names. First it is
    /// shown what would be done; on a terminal you are asked, without one nothing is done unless you say --yes. Over ssh the
    /// file comes from standard input.
    #[command(after_help = "EXAMPLES:\n  keyward import known-hosts                            # ~/.ssh/known_hosts\n  \
                            keyward import known-hosts /etc/ssh/ssh_known_hosts --dry-run\n  \
                            ssh -p 2222 alice@BROKER import known-hosts - --yes < ~/.ssh/known_hosts\n  \
                            ssh-keyscan web-1 db-1 | keyward import known-hosts - --add-hosts --yes")]
    KnownHosts(KnownHostsWords),
    /// Bring hosts and keys over from your ssh configuration
    ///
    /// Reads ~/.ssh/config (then /etc/ssh/ssh_config) as ssh does, or FILE alone, and shows a plan: each host that is named
    /// without a pattern, its address and account, the key file and the credential that it becomes, the host keys that your
    /// known_hosts files have. Then, once you agree, hosts and credentials are added and attached, one verb after the other.
    /// Nothing that is there is overwritten, and a second run adds nothing twice. Keys with a passphrase ask for it; without a
    /// terminal they are left out. Jump hosts are not taken over. No command of the configuration is run.
    #[command(after_help = "EXAMPLES:\n  keyward import ssh-config --dry-run\n  keyward import ssh-config\n  \
                            keyward import ssh-config ./team.conf --scope workspace --yes\n  \
                            keyward import ssh-config --json | jq '.hosts[].name'")]
    SshConfig(SshConfigWords),
}

/// Words of `import known-hosts`.
#[derive(Debug, Args)]
pub struct KnownHostsWords {
    /// The file, or - for standard input [default: ~/.ssh/known_hosts; over ssh standard input]
    #[arg(value_name = "FILE", value_parser = file)]
    file: Option<Source>,
    /// Add hosts that are not known here, where the file names them
    #[arg(long)]
    add_hosts: bool,
    /// Only show what would be done
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do it without a question
    #[arg(long)]
    yes: bool,
}

/// Words of `import ssh-config`.
#[derive(Clone, Debug, Args)]
pub struct SshConfigWords {
    /// The configuration [default: ~/.ssh/config, then /etc/ssh/ssh_config]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Whose the credentials become
    #[arg(long, value_enum, default_value = "personal")]
    pub scope: Scope,
    /// Only show what would be done
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Do it without a question
    #[arg(long)]
    pub yes: bool,
}

impl ImportVerb {
    pub(super) fn sources(&self) -> Vec<&Source> {
        match self {
            Self::KnownHosts(words) => vec![words.file.as_ref().unwrap_or(&STDIN)],
            Self::SshConfig(_) => Vec::new(),
        }
    }

    /// Names the person's own file where none was named.
    pub fn at_home(&mut self, home: impl FnOnce() -> Option<PathBuf>) {
        if let Self::KnownHosts(words @ KnownHostsWords { file: None, .. }) = self {
            words.file = home().map(|home| Source::File(home.join(".ssh/known_hosts")));
        }
    }

    pub(super) fn call(self, mut texts: Vec<String>) -> Option<Call> {
        let Self::KnownHosts(words) = self else { return None };
        let follow = if words.dry_run || words.yes { Follow::Print } else { Follow::Import };
        let agreed = if words.yes { Agreed::Everything } else { Agreed::Nothing };
        let text = texts.pop().unwrap_or_default();
        let command = Command::ImportKnownHosts { text, add_hosts: words.add_hosts, agreed };
        Some(Call { command, secret: Wanted::Nothing, follow })
    }
}
