//! Why a source did not give what it was asked for: which source, at which step. Never a value, a path, an address or what a
//! stranger answered: the sentence goes to whoever connects, and into the audit log.

use std::time::Duration;

use crate::fault::{Fault, Kind};
use crate::model::Name;

/// How far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The broker's own rules about the source.
    Rules,
    /// What the broker shows to the source: the file of its token or secret id.
    Ticket,
    /// Reaching it, TLS included.
    Connect,
    /// Signing in at it.
    SignIn,
    /// Reading the secret.
    Read,
    /// Having a certificate signed.
    Sign,
    /// Running the program.
    Run,
}

impl Step {
    /// The word, in sentences and in the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Ticket => "ticket",
            Self::Connect => "connect",
            Self::SignIn => "sign-in",
            Self::Read => "read",
            Self::Sign => "sign",
            Self::Run => "run",
        }
    }
}

/// What went wrong there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// `broker.toml` names no such source.
    #[error("broker.toml has no such source")]
    NoSuchSource,
    /// A personal reference to a source that takes none, or to somebody else's path.
    #[error("a personal credential may not point there")]
    NotPersonal,
    /// A workspace's reference to where people keep their own.
    #[error("people keep their own there: a workspace's credential may not point there")]
    SomebodysOwn,
    /// The path is outside of what the source's `paths` allow.
    #[error("broker.toml does not let the source be asked for this path")]
    PathNotAllowed,
    /// The kind of source does not have that kind of secret.
    #[error("{0}")]
    Unfit(&'static str),
    /// A file of the broker is missing or could be read by others.
    #[error("{0}")]
    File(&'static str),
    /// Nobody answers.
    #[error("it is not reachable ({0})")]
    Unreachable(&'static str),
    /// TLS was not agreed on.
    #[error("TLS: {0}")]
    Tls(&'static str),
    /// It broke off, or does not speak HTTP.
    #[error("it broke off, or does not speak HTTP")]
    BrokeOff,
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// Too many wait for it.
    #[error("too many connections wait for it")]
    Busy,
    /// 403.
    #[error("permission denied (403)")]
    Denied,
    /// 400 at the sign-in.
    #[error("it refuses the role id or secret id (400)")]
    WrongTicket,
    /// 404, also of a secret that was deleted.
    #[error("there is nothing at the path (404)")]
    NotFound,
    /// 503.
    #[error("it is sealed or not ready (503)")]
    Sealed,
    /// 429.
    #[error("it has had too many requests (429)")]
    Throttled,
    /// 3xx: not followed, since the token would go to wherever the answer says.
    #[error("it answers with a redirect ({0}), which is not followed")]
    Redirect(u16),
    /// Another status.
    #[error("it answers with status {0}")]
    Status(u16),
    /// More than may be.
    #[error("the answer is longer than 64 KiB")]
    TooBig,
    /// Not the JSON that is documented.
    #[error("the answer is not the JSON that it should be")]
    NotJson,
    /// The field is not there.
    #[error("the answer has no such field")]
    MissingField,
    /// The field is no text.
    #[error("the field is not a text")]
    NotText,
    /// Nothing came.
    #[error("the answer is empty")]
    Empty,
    /// Not UTF-8, which SSH demands of passwords.
    #[error("the answer is not UTF-8")]
    NotUtf8,
    /// The program is not there, or could not be started.
    #[error("the program could not be started ({0})")]
    NotStarted(&'static str),
    /// The program failed.
    #[error("the program failed with status {0}")]
    Exit(i32),
    /// The program was killed.
    #[error("the program was ended by a signal")]
    Signal,
    /// The program wrote more than one line where one was expected.
    #[error("the program wrote more than one line")]
    ManyLines,
}

/// Why there is no secret: the source, the step, the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("source `{source_name}` gave nothing ({}): {why}", step.as_str())]
pub struct Error {
    /// Which source.
    pub source_name: Name,
    /// How far it came.
    pub step: Step,
    /// What was wrong.
    pub why: Why,
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self.why {
            Why::NoSuchSource => Kind::NotFound,
            Why::NotPersonal | Why::PathNotAllowed => Kind::Forbidden,
            Why::Unfit(_) => Kind::Invalid,
            Why::TimedOut(_) => Kind::TimedOut,
            Why::Busy => Kind::Limit,
            _ => Kind::Refused,
        }
    }

    fn hint(&self) -> Option<String> {
        let name = &self.source_name;
        Some(match &self.why {
            Why::NoSuchSource => "see what there is: keyward source list".to_owned(),
            Why::NotPersonal => format!("whoever runs this broker sets `personal` of [sources.{name}]; see: keyward source list"),
            Why::PathNotAllowed => format!("whoever runs this broker sets `paths` of [sources.{name}]"),
            Why::Unfit(_) => "see which kinds there are: keyward source list".to_owned(),
            Why::ManyLines => format!("set first_line = true in [sources.{name}] of broker.toml, or have the program write one line"),
            Why::Redirect(_) => format!("give the address of the active node in [sources.{name}] of broker.toml"),
            _ => format!("an admin reads more in the daemon's log, and tries it with: keyward source test {name} --path PATH"),
        })
    }
}
