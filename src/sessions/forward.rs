//! Connections that a person's client opens through the session's host: granted, witnessed, opened there, pumped. Listens nowhere and
//! connects to nothing itself: what can be reached is what the host reaches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use russh::ChannelOpenFailure;

use super::hall::Waiting;
use super::live::Counted;
use crate::audit::{self, Log};
use crate::authz::Reach;
use crate::model::wire::{self, Word};
use crate::model::{Destination, Event, EventName, printable};
use crate::relay::{self, End, Outcome, Pipe, Piped};
use crate::target::Connection;

/// Refusals recorded per session; a client that asks for more is not helped by more entries, and is refused all the same.
const MOST_REFUSALS: u32 = 256;

/// `SSH_OPEN_ADMINISTRATIVELY_PROHIBITED` (RFC 4254 §5.1).
const PROHIBITED: u32 = 1;

/// What is recorded of the forwards of one session.
#[derive(Debug)]
pub(super) struct Ledger {
    log: Log,
    base: Event,
    refusals: AtomicU32,
}

impl Ledger {
    /// Its entries carry actor, host, credential and session of `base`.
    pub(super) fn new(log: Log, base: Event) -> Self {
        Self { log, base, refusals: AtomicU32::new(0) }
    }

    fn event(&self, name: EventName, to: &Destination) -> Event {
        let event = Event { name, ..self.base.clone() }.with("kind", to.word()).with("destination", to);
        match to.originator() {
            Some(originator) => event.with("originator", originator),
            None => event,
        }
    }

    /// Durable before the host is asked.
    async fn opens(&self, to: &Destination) -> Result<(), audit::Error> {
        self.log.record(self.event(EventName::ForwardOpened, to)).await.map(drop)
    }

    async fn refused(&self, to: &Destination, why: &str) {
        if self.refusals.fetch_add(1, Ordering::Relaxed) < MOST_REFUSALS {
            self.afterwards(self.event(EventName::ForwardRefused, to).denied(why)).await;
        }
    }

    /// The host did not open it.
    async fn failed(&self, to: &Destination, why: &str) {
        self.afterwards(self.event(EventName::ForwardEnded, to).failed(why).count("bytes_in", 0).count("bytes_out", 0)).await;
    }

    async fn ended(&self, to: &Destination, piped: &Piped) {
        let event = self.event(EventName::ForwardEnded, to).because(piped.why());
        self.afterwards(event.count("bytes_in", piped.bytes_in).count("bytes_out", piped.bytes_out)).await;
    }

    async fn afterwards(&self, event: Event) {
        if let Err(error) = self.log.record(event).await {
            tracing::error!(target: "keyward::sessions", %error, "what became of a forward was not recorded");
        }
    }
}

/// Opens a forward on the host and pumps it to its end. `Some` if the session has to learn of that.
pub(super) async fn forward(
    connection: Arc<Connection>,
    waiting: Waiting,
    to: Destination,
    ledger: Arc<Ledger>,
    pipe: Pipe,
    _counted: Counted,
) -> Option<Outcome> {
    let Waiting { channel, reply, seat: _seat, .. } = waiting;
    let reply = reply?;
    let refused = refusal(&to, &pipe.reach.borrow());
    if let Some(sentence) = refused {
        ledger.refused(&to, &sentence).await;
        reply.reject(prohibited(&sentence)).await;
        return None;
    }
    if let Err(e) = ledger.opens(&to).await {
        reply.reject(prohibited("the audit log cannot be written, so nothing is opened")).await;
        return Some(Outcome { end: End::Unwitnessed(e.to_string()), exit_status: None });
    }
    let mut ending = pipe.ending.clone();
    let opened = tokio::select! {
        opened = connection.open_forward(&to) => opened,
        // A host can take minutes to find that nobody answers; the session does not wait for that.
        _ = ending.wait_for(Option::is_some) => Err(prohibited("the session has ended")),
    };
    match opened {
        Err(reason) => {
            ledger.failed(&to, &words(&reason)).await;
            reply.reject(reason).await;
            None
        }
        Ok(host) => {
            reply.accept().await;
            let piped = relay::pipe(channel, host, pipe).await;
            ledger.ended(&to, &piped).await;
            // The session ends with its host. How a forward ended is no exit status of anything.
            (piped.end == End::HostLost).then_some(Outcome { end: End::HostLost, exit_status: None })
        }
    }
}

/// Why it is not opened, if it is not.
fn refusal(to: &Destination, reach: &Reach) -> Option<String> {
    let row = wire::look_up(Word::Channel, to.word());
    let Some(needs) = row.action().filter(|_| row.relayed_from_client()) else {
        return Some(format!("{} is not relayed", to.word()));
    };
    if reach.allows(needs) {
        return None;
    }
    let granted = reach.actions;
    Some(format!("{needs} is not granted to you here; granted: {granted}\nhint: ask for a grant with {needs}"))
}

/// A refusal by the broker. Clients print it on one line.
pub(super) fn prohibited(sentence: &str) -> ChannelOpenFailure {
    ChannelOpenFailure::Other { code: PROHIBITED, reason: format!("keyward: {}", one_line(sentence)) }
}

/// A sentence and its hint on one line.
pub(super) fn one_line(sentence: &str) -> String {
    sentence.lines().collect::<Vec<_>>().join("; ")
}

/// A host's reason, for the record.
fn words(reason: &ChannelOpenFailure) -> String {
    match reason {
        ChannelOpenFailure::Other { code, reason } => format!("{} ({code})", printable(reason, 200)),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Actions;

    fn reach(words: &str) -> Reach {
        let actions: Actions = words.parse().unwrap();
        Reach { actions, ..Reach::default() }
    }

    #[test]
    fn a_forward_needs_its_grant_and_the_refusal_names_it() {
        let socket = Destination::Socket { path: "/run/x".to_owned() };
        let address = Destination::Address { host: "x".to_owned(), port: 1, originator: String::new(), originator_port: 0 };
        for to in [socket, address] {
            assert_eq!(refusal(&to, &reach("forward-local")), None);
            for others in ["shell,exec,sftp", "forward-remote", "forward-agent,x11", "propose,scan"] {
                let said = refusal(&to, &reach(others)).unwrap();
                assert!(said.starts_with(&format!("forward-local is not granted to you here; granted: {others}")), "{said}");
            }
        }
    }

    #[test]
    fn what_clients_print_is_one_line_that_says_whose_it_is() {
        let ChannelOpenFailure::Other { code, reason } = prohibited("no\nhint: do") else { unreachable!() };
        assert_eq!((code, reason.as_str()), (1, "keyward: no; hint: do"));
    }
}
