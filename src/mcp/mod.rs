//! The agent's tools, in the Model Context Protocol: a view of the desk of approvals for one agent, over any stream (`serve`)
//! or over HTTP on this machine ([`Listener`]). Never approves, never asks the client to, never sees a credential.

mod answer;
mod ask;
mod bytes;
mod gate;
mod http;
mod page;
mod places;
mod pump;
mod quote;
mod server;
mod tools;
mod wait;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rmcp::ServiceExt;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use http::{Config, Listener};

use crate::approvals::Approvals;
use crate::authn::Authn;
use crate::authz::Guard;
use crate::model::{Agent, AgentId};
use crate::scans::Scans;
use gate::Gate;
use places::Places;
use pump::Heard;
use server::Server;

/// The longest message that is taken, in bytes.
pub const MESSAGE: usize = 1024 * 1024;
/// Bytes that wait between a client and the service, each way.
const BUFFER: usize = 64 * 1024;
/// How long a client has to read why it is cut off.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What this door leads to.
#[derive(Clone, Debug)]
pub struct Doorway {
    /// Takes proposals, and knows how they stand.
    pub approvals: Approvals,
    /// Knows what scans found.
    pub scans: Scans,
    /// Knows whether an agent is there.
    pub authn: Authn,
    /// Rings when that changes.
    pub guard: Guard,
}

/// How a client's visit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client left.
    Left,
    /// The agent was removed, or its person may not sign in any more.
    Removed,
    /// The client sent more than is taken.
    Misbehaved,
}

impl Ended {
    fn last_words(self) -> Option<&'static str> {
        match self {
            Self::Left => None,
            Self::Removed => Some("this agent may not sign in any more"),
            Self::Misbehaved => Some("a message is longer than 1048576 bytes: this connection ends"),
        }
    }
}

/// Serves one client of an agent until it leaves, or is cut off. Proposals outlive it: they are the desk's.
pub async fn serve(
    door: &Doorway,
    agent: Agent,
    client: Option<SocketAddr>,
    reader: impl AsyncRead + Send + Unpin,
    mut writer: impl AsyncWrite + Send + Unpin,
) -> Ended {
    let mut bell = door.guard.listen();
    let id = agent.id;
    let between = AtomicBool::new(true);
    let ended = {
        // The SDK keeps its half in a task of its own; when this half is dropped, it is cut off, whatever it is doing.
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let (answers, requests) = tokio::io::split(ours);
        let (from_client, to_client) = tokio::io::split(theirs);
        let left = CancellationToken::new();
        let cut = CancellationToken::new();
        let _cut = cut.clone().drop_guard();
        let server = Server::new(door, agent, client, Places::new(), left.clone());
        let service = async {
            if let Ok(running) = server.serve_with_ct(Gate::new(from_client, to_client, MESSAGE, left), cut).await {
                let _ = running.waiting().await;
            }
        };
        let inward = pump::inward(reader, requests, MESSAGE);
        let outward = pump::outward(answers, &mut writer, &between);
        let removed = removed(door, id, &mut bell);
        tokio::pin!(service, inward, outward, removed);
        let (mut serving, mut listening) = (true, true);
        loop {
            tokio::select! {
                () = &mut removed => break Ended::Removed,
                heard = &mut inward, if listening => match heard {
                    Heard::TooLong => break Ended::Misbehaved,
                    Heard::All => listening = false,
                },
                () = &mut service, if serving => serving = false,
                // When the service has ended and everything that it said was sent; or when nobody takes it.
                () = &mut outward => break Ended::Left,
            }
        }
    };
    if let Some(why) = ended.last_words() {
        let cut = if between.load(Ordering::Relaxed) { "" } else { "\n" };
        let words = serde_json::json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32600, "message": why } });
        let say = async {
            writer.write_all(format!("{cut}{words}\n").as_bytes()).await?;
            writer.flush().await
        };
        let _ = tokio::time::timeout(LAST_WORDS, say).await;
    }
    ended
}

/// Resolves when the agent may not sign in any more.
async fn removed(door: &Doorway, agent: AgentId, bell: &mut watch::Receiver<u64>) {
    loop {
        // Looked at after the bell was taken: a removal before the first ring is not missed.
        if !door.authn.agent_is_there(agent).await {
            return;
        }
        if bell.changed().await.is_err() {
            return;
        }
    }
}
