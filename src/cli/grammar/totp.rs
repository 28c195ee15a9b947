//! Words about second factors. No word of it holds a code: codes are asked for, or come on standard input.

use clap::{Subcommand, ValueEnum};

use super::{Call, Follow, Wanted};
use crate::control::{Command, TotpWord};
use crate::model::Name;

/// `user totp …`
#[derive(Debug, Subcommand)]
pub enum TotpVerb {
    /// Enrol a second factor for yourself: one-time codes of an authenticator
    ///
    /// Prints the address that authenticators read, as text and as a QR code. It counts once a code of it was given: on a terminal it is
    /// asked for at once, else give it to `user totp confirm` within 15 minutes. Then eight recovery codes are printed, once. From then
    /// on you are asked for a code while you sign in, where a grant wants it or, with --always, everywhere. Whoever has your key alone
    /// can enrol in your place until you have: enrol before it matters.
    #[command(after_help = "EXAMPLES:\n  ssh -t -p 2222 alice@broker user totp enroll\n  keyward user totp enroll --always\n  \
                            ssh -p 2222 alice@broker user totp enroll --json | jq -r .uri")]
    Enroll {
        /// You: nobody enrols for somebody else
        name: Option<Name>,
        /// Ask for a code at every sign-in, also for verbs over ssh, whatever grants want
        #[arg(long)]
        always: bool,
    },
    /// Confirm what was enrolled, with a code of it; prints the recovery codes
    #[command(
        after_help = "EXAMPLES:\n  keyward user totp confirm\n  oathtool --totp -b SECRET | ssh -p 2222 alice@broker user totp confirm"
    )]
    Confirm,
    /// Show whether a second factor is enrolled, when it was used last, and how many recovery codes are left
    Show {
        /// Who [default: you]
        name: Option<Name>,
    },
    /// Remove a second factor with its recovery codes; sessions that stand on it end
    ///
    /// Your own over ssh with a code of it, which is asked for on a terminal or read from standard input; a recovery code will do. For
    /// somebody who has lost theirs, an owner or admin names them.
    #[command(after_help = "EXAMPLES:\n  ssh -t -p 2222 alice@broker user totp remove\n  keyward user totp remove alice")]
    Remove {
        /// Who, if it is somebody else's
        name: Option<Name>,
    },
    /// Print new recovery codes; the ones before count no more. Over ssh with a one-time code
    RecoveryCodes,
    /// Say when somebody who has enrolled is asked for a code
    #[command(after_help = "EXAMPLES:\n  keyward user totp require alice always\n  keyward user totp require alice grants")]
    Require {
        /// Who
        name: Name,
        /// When
        #[arg(value_enum)]
        when: When,
    },
}

/// When a code is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// At every sign-in, also for verbs over ssh
    Always,
    /// Where a grant with --second-factor wants it
    Grants,
}

impl TotpVerb {
    pub(super) fn call(self) -> Call {
        let (word, secret, follow) = match self {
            Self::Enroll { name, always } => (TotpWord::Enroll { name, always }, Wanted::Nothing, Follow::Enrol),
            Self::Confirm => (TotpWord::Confirm, Wanted::Code, Follow::Print),
            Self::Show { name } => (TotpWord::Show { name }, Wanted::Nothing, Follow::Print),
            Self::Remove { name: None } => (TotpWord::Remove { name: None }, Wanted::CodeOverSsh, Follow::Print),
            Self::Remove { name } => (TotpWord::Remove { name }, Wanted::Nothing, Follow::Print),
            Self::RecoveryCodes => (TotpWord::RecoveryCodes, Wanted::CodeOverSsh, Follow::Print),
            Self::Require { name, when } => (TotpWord::Require { name, always: when == When::Always }, Wanted::Nothing, Follow::Print),
        };
        Call { command: Command::Totp { word }, secret, follow }
    }
}

/// What comes after an offer was shown to somebody at a terminal.
pub fn confirmation() -> Call {
    TotpVerb::Confirm.call()
}
