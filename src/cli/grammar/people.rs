//! Words about people and groups.

use clap::Subcommand;

use super::Call;
use super::words::{Source, source};
use crate::control::Command;
use crate::model::{Name, Role};

/// `user …`
#[derive(Debug, Subcommand)]
pub enum UserVerb {
    /// Add a person
    ///
    /// Public keys are lines of OpenSSH (ed25519, ecdsa, rsa from 2048 bits, sk- keys); a key belongs to one person.
    #[command(
        after_help = "EXAMPLES:\n  keyward user add alice --key ~/alice.pub\n  ssh-add -L | keyward user add bob --key - --role auditor\n  \
                            keyward user add carol --key 'ssh-ed25519 AAAA… carol@laptop' --uid 1003"
    )]
    Add {
        /// What they are called: letters, digits, `.`, `_`, `-`
        name: Name,
        /// A public key: a file, - for standard input, or the line itself
        #[arg(long = "key", value_name = "FILE|-", value_parser = source)]
        keys: Vec<Source>,
        /// owner, admin, member or auditor
        #[arg(long, default_value = "member", value_name = "ROLE")]
        role: Role,
        /// The user of this machine that they are at the local door
        #[arg(long, value_name = "N")]
        uid: Option<u32>,
    },
    /// List people
    List,
    /// Show a person with their groups and keys
    Show {
        /// Who
        name: Name,
    },
    /// Lock a person out; their sessions end
    Disable {
        /// Who
        name: Name,
    },
    /// Let a person in again
    Enable {
        /// Who
        name: Name,
    },
    /// Remove a person with their keys, grants and personal credentials
    Remove {
        /// Who
        name: Name,
    },
    /// The keys that sign a person in
    #[command(subcommand)]
    Key(KeyVerb),
    /// Second factors: one-time codes beside the key
    #[command(subcommand)]
    Totp(super::totp::TotpVerb),
}

/// `user key …`
#[derive(Debug, Subcommand)]
pub enum KeyVerb {
    /// Add public keys to a person
    #[command(
        after_help = "EXAMPLES:\n  keyward user key add alice ~/.ssh/id_ed25519.pub\n  curl -s https://example.org/alice.keys | keyward user key add alice -"
    )]
    Add {
        /// Whose
        name: Name,
        /// The public key: a file, - for standard input, or the line itself
        #[arg(value_name = "FILE|-", value_parser = source)]
        key: Source,
    },
    /// List a person's keys
    List {
        /// Whose
        name: Name,
    },
    /// Remove a key from a person
    Remove {
        /// Whose
        name: Name,
        /// SHA256:… as `user key list` shows it
        fingerprint: String,
    },
}

/// `group …`
#[derive(Debug, Subcommand)]
pub enum GroupVerb {
    /// Add a group
    Add {
        /// What it is called
        name: Name,
    },
    /// List groups and who is in them
    List,
    /// Remove a group and the grants to it
    Remove {
        /// Which
        name: Name,
    },
    /// Let a person join a group
    #[command(after_help = "EXAMPLE:\n  keyward group add ops && keyward group join ops alice")]
    Join {
        /// Which group
        group: Name,
        /// Who
        user: Name,
    },
    /// Let a person leave a group
    Leave {
        /// Which group
        group: Name,
        /// Who
        user: Name,
    },
}

impl UserVerb {
    pub(super) fn sources(&self) -> Vec<&Source> {
        match self {
            Self::Add { keys, .. } => keys.iter().collect(),
            Self::Key(KeyVerb::Add { key, .. }) => vec![key],
            _ => Vec::new(),
        }
    }

    pub(super) fn call(self, texts: Vec<String>) -> Call {
        let command = match self {
            Self::Add { name, role, uid, .. } => Command::UserAdd { name, keys: texts, role, uid },
            Self::List => Command::UserList,
            Self::Show { name } => Command::UserShow { name },
            Self::Disable { name } => Command::UserDisable { name },
            Self::Enable { name } => Command::UserEnable { name },
            Self::Remove { name } => Command::UserRemove { name },
            Self::Key(KeyVerb::Add { name, .. }) => Command::UserKeyAdd { name, keys: texts.join("\n") },
            Self::Key(KeyVerb::List { name }) => Command::UserKeyList { name },
            Self::Key(KeyVerb::Remove { name, fingerprint }) => Command::UserKeyRemove { name, fingerprint },
            Self::Totp(verb) => return verb.call(),
        };
        command.into()
    }
}

impl GroupVerb {
    pub(super) fn call(self) -> Command {
        match self {
            Self::Add { name } => Command::GroupAdd { name },
            Self::List => Command::GroupList,
            Self::Remove { name } => Command::GroupRemove { name },
            Self::Join { group, user } => Command::GroupJoin { group, user },
            Self::Leave { group, user } => Command::GroupLeave { group, user },
        }
    }
}
