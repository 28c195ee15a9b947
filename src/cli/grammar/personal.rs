//! Words about sealing. No word of it holds a secret.

use clap::Subcommand;

use super::words::{Source, source};
use super::{Call, Follow, Wanted};
use crate::control::{Command, SlotWord};
use crate::model::SlotId;

/// `personal …`
#[derive(Debug, Subcommand)]
pub enum PersonalVerb {
    /// Seal your own credentials: from then on only what you know or have opens them
    ///
    /// A passphrase is asked for twice on a terminal, else read from standard input. A recovery code is made and printed, once: keep it
    /// where the passphrase is not. Your credentials get a new key that nothing but these two slots opens, and the old key is
    /// destroyed. What an older backup holds still opens with the root key of its time: change those passwords and keys on their hosts.
    #[command(after_help = "EXAMPLES:\n  keyward personal seal\n  ssh -t -p 2222 alice@broker personal seal\n  \
                            pass show keyward | ssh -p 2222 alice@broker personal seal > recovery-code")]
    Seal,
    /// Give sealing up: the broker's root key opens your credentials again. They must be open
    #[command(after_help = "EXAMPLE:\n  keyward unlock && keyward personal unseal")]
    Unseal,
    /// List your slots: what opens your sealed credentials
    Slots,
    /// Add or remove a slot; your credentials must be open
    #[command(subcommand)]
    Slot(SlotVerb),
}

/// `personal slot …`
#[derive(Debug, Subcommand)]
pub enum SlotVerb {
    /// Add one more way to open your sealed credentials
    #[command(subcommand)]
    Add(AddVerb),
    /// Remove a slot; two must stay
    ///
    /// Your credentials get a new key, so that what the slot opened opens nothing of what is in the database from now on. Whoever has
    /// the slot's passphrase, an old copy of the database and the root key opens that copy.
    Remove {
        /// Which: see `personal slots`
        id: SlotId,
    },
}

/// `personal slot add …`
#[derive(Debug, Subcommand)]
pub enum AddVerb {
    /// A passphrase
    Passphrase,
    /// A recovery code, printed once
    Recovery,
    /// An ed25519 key in your ssh agent
    ///
    /// The key is made of a signature, so only keys whose signatures are always the same will do: no ECDSA, no security keys. Whoever
    /// gets that private key opens your sealed credentials with it. Over ssh the agent must be forwarded (ssh -A), which a key that was
    /// added with `ssh-add -h` does not allow.
    #[command(after_help = "EXAMPLES:\n  keyward personal slot add agent --key ~/.ssh/id_ed25519.pub\n  \
                            ssh -A -p 2222 alice@broker personal slot add agent")]
    Agent {
        /// Which key: a file with the public key, - for standard input, or the key itself [default: the agent's only ed25519 key]
        #[arg(long, value_name = "FILE|-|KEY", value_parser = source)]
        key: Option<Source>,
    },
}

impl PersonalVerb {
    pub(super) fn sources(&self) -> Vec<&Source> {
        match self {
            Self::Slot(SlotVerb::Add(AddVerb::Agent { key: Some(key) })) => vec![key],
            _ => Vec::new(),
        }
    }

    pub(super) fn call(self, texts: Vec<String>) -> Call {
        match self {
            Self::Seal => Call { command: Command::PersonalSeal, secret: Wanted::NewPassphrase, follow: Follow::Print },
            Self::Unseal => Command::PersonalUnseal.into(),
            Self::Slots => Command::PersonalSlots.into(),
            Self::Slot(SlotVerb::Remove { id }) => Command::PersonalSlotRemove { id }.into(),
            Self::Slot(SlotVerb::Add(AddVerb::Passphrase)) => Call {
                command: Command::PersonalSlotAdd { slot: SlotWord::Passphrase },
                secret: Wanted::NewPassphrase,
                follow: Follow::Print,
            },
            Self::Slot(SlotVerb::Add(AddVerb::Recovery)) => Command::PersonalSlotAdd { slot: SlotWord::Recovery }.into(),
            Self::Slot(SlotVerb::Add(AddVerb::Agent { .. })) => {
                let key = texts.into_iter().next().map(|text| text.trim().to_owned());
                Call { command: Command::PersonalAsk { key: key.clone() }, secret: Wanted::Nothing, follow: Follow::AgentSlot(key) }
            }
        }
    }
}
