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
}

/// The requests of one channel that wait for an answer, oldest first.
#[derive(Debug, Default)]
pub(super) struct Replies(Mutex<VecDeque<Due>>);

impl Replies {
    /// A request that wants an answer goes to the host.
    pub(super) async fn forwarded(&self) {
        self.0.lock().await.push_back(Due::Host);
    }

    /// A request that wants an answer was refused by the broker.
    pub(super) async fn refused(&self, to: &ToClient) {
        let mut due = self.0.lock().await;
        due.push_back(Due::Refused);
        flush(&mut due, to).await;
    }

    /// The host answered the oldest request that went to it.
    pub(super) async fn answered(&self, success: bool, to: &ToClient) {
        let mut due = self.0.lock().await;
        // An answer that nobody waits for is dropped: passed on, it would be taken for the answer to a later request.
        if due.pop_front() == Some(Due::Host) {
            let _ = if success { to.success().await } else { to.failure().await };
        }
        flush(&mut due, to).await;
    }
}

async fn flush(due: &mut VecDeque<Due>, to: &ToClient) {
    while due.front() == Some(&Due::Refused) {
        due.pop_front();
        let _ = to.failure().await;
    }
}
