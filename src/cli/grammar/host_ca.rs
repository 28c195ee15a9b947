//! Words about certificate authorities of hosts.

use clap::Subcommand;

use super::words::{Source, source};
use crate::control::Command;
use crate::model::Name;

/// `host-ca …`
#[derive(Debug, Subcommand)]
pub enum HostCaVerb {
    /// Trust a certificate authority to vouch for hosts
    ///
    /// A host whose address fits the patterns may then show an OpenSSH host certificate that this CA signed, instead of a pinned
    /// key. The certificate must be one of a host, valid now, without unknown critical options, and name the host as it stands in
    /// its address (without the port). Patterns are those of known_hosts. Personal credentials of these hosts are attached no more:
    /// their owners attach them again. The same words again finish what was interrupted.
    #[command(after_help = "EXAMPLES:\n  keyward host-ca add corp /etc/ssh/host_ca.pub --hosts '*.example.com,!lab.example.com'\n  \
                            grep '^@cert-authority' ~/.ssh/known_hosts | keyward host-ca add corp -\n  \
                            ssh-keygen -s host_ca -h -I web-1 -n web-1.example.com -V +52w /etc/ssh/ssh_host_ed25519_key.pub")]
    Add {
        /// What it is called
        name: Name,
        /// Its public key: a file, - for standard input, or the line itself; also one `@cert-authority` line of known_hosts
        #[arg(value_name = "FILE|'ssh-ed25519 AAAA…'", value_parser = source)]
        key: Source,
        /// For which addresses, as patterns with commas [default: those of the `@cert-authority` line]
        #[arg(long, value_name = "PATTERNS")]
        hosts: Option<String>,
    },
    /// List the certificate authorities of hosts, and how many hosts each vouches for
    List,
    /// Trust one no more: no host proves itself by it from now on
    #[command(after_help = "EXAMPLE:\n  keyward host-ca remove corp")]
    Remove {
        /// Which
        name: Name,
    },
}

impl HostCaVerb {
    pub(super) fn sources(&self) -> Vec<&Source> {
        match self {
            Self::Add { key, .. } => vec![key],
            Self::List | Self::Remove { .. } => Vec::new(),
        }
    }

    pub(super) fn call(self, mut texts: Vec<String>) -> Command {
        match self {
            Self::Add { name, hosts, .. } => Command::HostCaAdd { name, key: texts.pop().unwrap_or_default(), hosts },
            Self::List => Command::HostCaList,
            Self::Remove { name } => Command::HostCaRemove { name },
        }
    }
}
