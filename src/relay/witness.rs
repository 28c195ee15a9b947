//! What is recorded of channels: what was started, what was refused.

use std::sync::atomic::{AtomicU32, Ordering};

use super::scribe::{self, Scribe};
use crate::audit::{self, Log};
use crate::model::{Event, EventName};
use crate::sftp::recognise;

/// Refusals recorded per channel; a client that asks for more is not helped by more entries.
const MOST_REFUSALS: u32 = 16;

/// Records the channels of one session.
#[derive(Debug)]
pub struct Witness {
    log: Log,
    base: Event,
    refusals: AtomicU32,
}

impl Witness {
    /// A witness whose entries carry actor, host, credential and session of `base`.
    pub fn new(log: Log, base: Event) -> Self {
        Self { log, base, refusals: AtomicU32::new(0) }
    }

    /// A shell, command or subsystem is about to start; durable before the host hears of it.
    ///
    /// # Errors
    /// [`audit::Error`]: then it must not start.
    pub(super) async fn starts(&self, what: &'static str, text: &[u8], pty: bool) -> Result<(), audit::Error> {
        let mut event = Event { name: EventName::ChannelOpened, ..self.base.clone() }.with("kind", what);
        if !text.is_empty() {
            event = event.with(if what == "subsystem" { "name" } else { "command" }, String::from_utf8_lossy(text));
            // What is shown is cut; the digest is of all of it.
            event = event.with("sha256", digest(text)).count("length", u64::try_from(text.len()).unwrap_or(u64::MAX));
        }
        if pty {
            event = event.with("pty", true);
        }
        if let Some(program) = Some(text).filter(|_| what == "exec").and_then(recognise) {
            event = scribe::program(event, &program);
        }
        self.log.record(event).await.map(drop)
    }

    /// Who writes down what is seen of this channel's files.
    pub(super) fn scribe(&self) -> Scribe {
        Scribe::new(self.log.clone(), self.base.clone())
    }

    /// The host is about to be told of a way back to the person; durable before it hears of it.
    ///
    /// # Errors
    /// [`audit::Error`]: then it must not be told.
    pub(super) async fn lends(&self, name: &str) -> Result<(), audit::Error> {
        let event = Event { name: EventName::ForwardOpened, ..self.base.clone() }.with("kind", name);
        self.log.record(event).await.map(drop)
    }

    /// A request was refused.
    pub(super) async fn refused(&self, name: &str, why: &str) {
        if self.refusals.fetch_add(1, Ordering::Relaxed) < MOST_REFUSALS {
            let event = Event { name: EventName::ChannelRefused, ..self.base.clone() }.with("request", name).denied(why);
            if let Err(error) = self.log.record(event).await {
                tracing::error!(target: "keyward::relay", %error, "a refusal was not recorded");
            }
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write;
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().iter().fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}
