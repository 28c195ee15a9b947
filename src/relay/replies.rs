//! Replies to channel requests have no number: they answer in order (RFC 4254 §5.4). What the broker refuses itself
//! must therefore wait for the host's answers to earlier requests.

use std::collections::VecDeque;

use tokio::sync::Mutex;

use super::say::ToClient;

/// Who answers a request that wants an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// The host does.
    Host,
    /// The broker has refused it.
    Refused,
    /// The host does, and the client has its answer already: what it asked for, if it cannot do without.
    Kept(Option<&'static str>),
}

/// The requests of one channel that wait for an answer, oldest first.
#[derive(Debug, Default)]
pub(super) struct Replies {
    due: Mutex<VecDeque<Due>>,
    /// What the client asks for just now has its answer already.
    kept: std::sync::Mutex<Option<Due>>,
}

impl Replies {
    /// Until the next call: the client has the answer already to what it asks for; `vital`, what that is, if it cannot do without.
    pub(super) fn keep(&self, vital: Option<&'static str>) {
        self.set(Some(Due::Kept(vital)));
    }

    /// From now on the client waits for answers again.
    pub(super) fn keep_no_more(&self) {
        self.set(None);
    }

    fn set(&self, due: Option<Due>) {
        if let Ok(mut kept) = self.kept.lock() {
            *kept = due;
        }
    }

    fn kept(&self) -> Option<Due> {
        self.kept.lock().ok().and_then(|kept| *kept)
    }

    /// A request that wants an answer goes to the host.
    pub(super) async fn forwarded(&self) {
        self.due.lock().await.push_back(self.kept().unwrap_or(Due::Host));
    }

    /// A request that wants an answer was refused by the broker.
    pub(super) async fn refused(&self, to: &ToClient) {
        if self.kept().is_some() {
            return;
        }
        let mut due = self.due.lock().await;
        due.push_back(Due::Refused);
        flush(&mut due, to).await;
    }

    /// The host answered the oldest request that went to it. What is returned it refused, and the client, which was told otherwise,
    /// cannot do without.
    pub(super) async fn answered(&self, success: bool, to: &ToClient) -> Option<&'static str> {
        let mut due = self.due.lock().await;
        // An answer that nobody waits for is dropped: passed on, it would be taken for the answer to a later request.
        let missing = match due.pop_front() {
            Some(Due::Host) => {
                let _ = if success { to.success().await } else { to.failure().await };
                None
            }
            Some(Due::Kept(vital)) => vital.filter(|_| !success),
            Some(Due::Refused) | None => None,
        };
        flush(&mut due, to).await;
        missing
    }
}

async fn flush(due: &mut VecDeque<Due>, to: &ToClient) {
    while due.front() == Some(&Due::Refused) {
        due.pop_front();
        let _ = to.failure().await;
    }
}
