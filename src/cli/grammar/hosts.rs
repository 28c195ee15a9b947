//! Words about hosts.

use clap::{Args, Subcommand};

use super::words::{Source, source, tag};
use super::{Call, Follow, Wanted};
use crate::control::{Command, HostChange, WayWords};
use crate::model::{Address, Legacy, Name};

/// `host …`
#[derive(Debug, Subcommand)]
pub enum HostVerb {
    /// Add a host
    ///
    /// Nobody can connect before one of its keys is pinned: give it (--host-key), fetch and compare it (host trust), or
    /// let the first contact decide (--trust-first-use).
    #[command(after_help = "EXAMPLES:\n  keyward host add web-1 192.0.2.7 --tag env=prod --credential deploy\n  \
                            ssh-keyscan web-1 | keyward host add web-1 web-1.example.org:2222 --host-key -\n  \
                            keyward host add lab 198.51.100.3 --trust-first-use\n  \
                            keyward host add db-1 10.0.0.7 --via bastion --credential deploy")]
    Add(AddHost),
    /// List hosts
    List,
    /// Show a host
    Show {
        /// Which
        name: Name,
    },
    /// Change a host
    ///
    /// If its address or keys change, workspace credentials follow it; personal ones are detached, and their owners
    /// attach them again.
    #[command(after_help = "EXAMPLES:\n  keyward host edit web-1 --address 192.0.2.8 --tag env=dev --untag old\n  \
                            keyward host edit web-1 --credential deploy\n  keyward host edit web-1 --host-key 'ssh-ed25519 AAAA…'\n  \
                            keyward host edit switch-3 --legacy ssh-rsa,diffie-hellman-group14-sha1")]
    Edit(EditHost),
    /// Remove a host with its attachments; sessions to it end
    Remove {
        /// Which
        name: Name,
    },
    /// Fetch a host's keys, show them, and pin them once you say that they are right
    ///
    /// Compare the fingerprints with what the host itself says: `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`.
    /// Without a terminal nothing is pinned unless --fingerprint matches.
    #[command(after_help = "EXAMPLES:\n  keyward host trust web-1\n  keyward host trust web-1 --fingerprint SHA256:…")]
    Trust {
        /// Which
        name: Name,
        /// Pin the key with this fingerprint, and no other
        #[arg(long = "fingerprint", value_name = "SHA256:…")]
        fingerprints: Vec<String>,
    },
}

/// Words of `host add`.
#[derive(Debug, Args)]
pub struct AddHost {
    /// What it is called: letters, digits, `.`, `_`, `-`
    name: Name,
    /// ADDRESS[:PORT]: a DNS name, 192.0.2.7 or [2001:db8::7]:22
    address: Address,
    /// What signs in for everybody who has no choice of their own
    #[arg(long, value_name = "CRED")]
    credential: Option<Name>,
    /// A tag, for grants
    #[arg(long = "tag", value_name = "K=V", value_parser = tag)]
    tags: Vec<(String, String)>,
    /// Its public key: a file (also of known_hosts lines), - for standard input, or the line itself
    #[arg(long = "host-key", value_name = "FILE|'ssh-ed25519 AAAA…'", value_parser = source)]
    host_keys: Vec<Source>,
    /// Pin whatever key the first contact shows
    #[arg(long, conflicts_with = "host_keys")]
    trust_first_use: bool,
    /// Reach it through this host, on which its address is looked up; whoever uses it needs `forward-local` there
    #[arg(long, value_name = "HOST")]
    via: Option<Name>,
    /// Old algorithms to open for this host alone, with commas
    ///
    /// They are used only where it has nothing better: diffie-hellman-group14-sha1, diffie-hellman-group-exchange-sha1,
    /// diffie-hellman-group1-sha1, ssh-rsa, aes256-cbc, aes192-cbc, aes128-cbc, 3des-cbc, hmac-sha1-etm@openssh.com, hmac-sha1.
    #[arg(long, value_name = "LIST", default_value_t = Legacy::default())]
    legacy: Legacy,
}

/// Words of `host edit`.
#[derive(Debug, Args)]
pub struct EditHost {
    /// Which
    name: Name,
    /// The new ADDRESS[:PORT]
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    address: Option<Address>,
    /// The new name
    #[arg(long, value_name = "NEW")]
    rename: Option<Name>,
    /// A tag to set
    #[arg(long = "tag", value_name = "K=V", value_parser = tag)]
    tags: Vec<(String, String)>,
    /// A tag to take away
    #[arg(long = "untag", value_name = "K")]
    untags: Vec<String>,
    /// What signs in for everybody who has no choice of their own
    #[arg(long, value_name = "CRED", conflicts_with = "no_credential")]
    credential: Option<Name>,
    /// Take the default credential away
    #[arg(long)]
    no_credential: bool,
    /// Pin whatever key the first contact shows
    #[arg(long, conflicts_with = "strict")]
    trust_first_use: bool,
    /// Pin nothing on first contact
    #[arg(long)]
    strict: bool,
    /// Replace its pinned keys: a file, - for standard input, or the line itself
    #[arg(long = "host-key", value_name = "FILE|'ssh-ed25519 AAAA…'", value_parser = source)]
    host_keys: Vec<Source>,
    /// Reach it through this host, on which its address is looked up; whoever uses it needs `forward-local` there
    #[arg(long, value_name = "HOST", conflicts_with = "no_via")]
    via: Option<Name>,
    /// Reach it straight
    #[arg(long)]
    no_via: bool,
    /// Old algorithms to open for this host alone, with commas, instead of those that were; or none
    ///
    /// They are used only where it has nothing better: diffie-hellman-group14-sha1, diffie-hellman-group-exchange-sha1,
    /// diffie-hellman-group1-sha1, ssh-rsa, aes256-cbc, aes192-cbc, aes128-cbc, 3des-cbc, hmac-sha1-etm@openssh.com, hmac-sha1.
    #[arg(long, value_name = "LIST|none")]
    legacy: Option<Legacy>,
}

impl HostVerb {
    pub(super) fn sources(&self) -> Vec<&Source> {
        match self {
            Self::Add(AddHost { host_keys, .. }) | Self::Edit(EditHost { host_keys, .. }) => host_keys.iter().collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn call(self, texts: Vec<String>) -> Call {
        match self {
            Self::Add(a) => Command::HostAdd {
                name: a.name,
                address: a.address,
                credential: a.credential,
                tags: a.tags.into_iter().collect(),
                host_keys: texts,
                trust_first_use: a.trust_first_use,
                way: WayWords { via: a.via, legacy: a.legacy },
            }
            .into(),
            Self::List => Command::HostList.into(),
            Self::Show { name } => Command::HostShow { name }.into(),
            Self::Edit(e) => {
                let change = HostChange {
                    address: e.address,
                    rename: e.rename,
                    tags: e.tags.into_iter().collect(),
                    untags: e.untags,
                    credential: e.credential,
                    no_credential: e.no_credential,
                    trust_first_use: if e.trust_first_use { Some(true) } else { e.strict.then_some(false) },
                    host_keys: texts,
                    via: e.via,
                    no_via: e.no_via,
                    legacy: e.legacy,
                };
                Command::HostEdit { name: e.name, change }.into()
            }
            Self::Remove { name } => Command::HostRemove { name }.into(),
            Self::Trust { name, fingerprints } if fingerprints.is_empty() => {
                Call { command: Command::HostProbe { name: name.clone() }, secret: Wanted::Nothing, follow: Follow::Confirm(name) }
            }
            Self::Trust { name, fingerprints } => Command::HostTrust { name, fingerprints }.into(),
        }
    }
}
