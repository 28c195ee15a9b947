//! The way from the inbox to the desk: straight, in the daemon; or over the control socket, in the local program. A door
//! carries verbs and their answers, and no right of its own.

use tokio::sync::watch;

use crate::control::{Caller, CanonicalView, Command, Desk, Problem, Reply, Secrets};
use crate::fault::{Fault, Kind};

/// Where verbs go, and where it is heard that something changed.
pub trait Door: Clone + Send + Sync + 'static {
    /// Answers a verb.
    fn call(&self, command: Command) -> impl Future<Output = Result<Reply, Problem>> + Send;

    /// Signs with a key of the person's ssh agent.
    fn sign(&self, what: CanonicalView) -> impl Future<Output = Result<String, Problem>> + Send;

    /// Resolves when something may have changed.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;
}

/// The desk itself, for a person who signed in over ssh.
#[derive(Clone, Debug)]
pub struct DeskDoor {
    desk: Desk,
    caller: Caller,
    bell: watch::Receiver<u64>,
}

impl DeskDoor {
    /// For this caller, and nobody else.
    pub fn new(desk: Desk, caller: Caller) -> Self {
        let bell = desk.inbox(caller.user);
        Self { desk, caller, bell }
    }
}

impl Door for DeskDoor {
    async fn call(&self, command: Command) -> Result<Reply, Problem> {
        // None of the inbox's verbs has an answer in pieces.
        let (pieces, _) = tokio::sync::mpsc::channel(1);
        let answer = self.desk.handle(self.caller.clone(), command, Secrets::none(), &pieces).await;
        answer.map_err(|e| Problem { kind: e.kind(), message: e.to_string(), hint: e.hint() })
    }

    async fn sign(&self, _: CanonicalView) -> Result<String, Problem> {
        let message = "the broker cannot reach your ssh agent".to_owned();
        Err(Problem { kind: Kind::Usage, message, hint: Some("run keyward proposal watch where your ssh agent is".to_owned()) })
    }

    async fn changed(&mut self) {
        if self.bell.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
