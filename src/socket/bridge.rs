//! An agent at the local door: shown by its token, or let in by the person it belongs to, who has more rights than it. After
//! that, bytes go to its tools and back; none is looked at here.

use std::io;
use std::sync::Arc;

use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{BRIDGES, Doorway, frames, problem, refuse};
use crate::control::Problem;
use crate::control::wire::{Bridge, Frame};
use crate::fault::Kind;
use crate::mcp;
use crate::model::Agent;
use crate::secret::Secret;

/// Lets an agent in and serves it until it leaves, is removed, or the daemon stops.
pub(super) async fn attend(
    mut stream: UnixStream,
    door: &Doorway,
    uid: u32,
    asked: Bridge,
    token: Option<Secret>,
    bridges: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> io::Result<()> {
    let Ok(_place) = Arc::clone(bridges).try_acquire_owned() else {
        let full = Problem {
            kind: Kind::Limit,
            message: format!("the local door serves {BRIDGES} agents at once, and all places are taken"),
            hint: Some("end one of them, or come over ssh: ssh -p 2222 AGENT@BROKER mcp".to_owned()),
        };
        return frames::json(&mut stream, Frame::Error, &full).await;
    };
    let by = if token.is_some() { "token" } else { "its person" };
    let agent = match who(door, uid, asked, token).await {
        Ok(agent) => agent,
        Err(problem) => return frames::json(&mut stream, Frame::Error, &problem).await,
    };
    door.tools.authn.agent_accepted(&agent.name, by, "local", None).await;
    frames::json(&mut stream, Frame::Bridge, &Bridge { agent: Some(agent.name.clone()), token: false }).await?;
    let (reader, writer) = stream.split();
    tokio::select! {
        _ = mcp::serve(&door.tools, agent, None, reader, writer) => {}
        () = stop.cancelled() => {}
    }
    Ok(())
}

/// The agent that is meant.
async fn who(door: &Doorway, uid: u32, asked: Bridge, token: Option<Secret>) -> Result<Agent, Problem> {
    let authn = &door.tools.authn;
    let unread = |error: crate::control::Error| problem(&error);
    if let Some(token) = token {
        // Only its digest is looked up; the token is wiped here.
        let sha256 = token.sha256();
        drop(token);
        return match authn.by_token_sha256(sha256).await.map_err(|e| unread(e.into()))? {
            Some(agent) => Ok(agent),
            None => {
                authn.refused_locally(uid, "no agent has this token").await;
                let hint = "its agent was removed, or its person is disabled; a new one: keyward agent add NAME".to_owned();
                Err(Problem { hint: Some(hint), ..refuse(Kind::Forbidden, "no agent has this token".to_owned()) })
            }
        };
    }
    let caller = door.desk.caller_of_uid(uid).await.map_err(unread)?;
    let agents = authn.agents_of(caller.user).await.map_err(|e| unread(e.into()))?;
    let names = agents.iter().map(|a| a.name.to_string()).collect::<Vec<_>>().join(", ");
    let add = "add one: keyward agent add NAME; yours: keyward agent list".to_owned();
    let not = |message: String, hint: String| Err(Problem { hint: Some(hint), ..refuse(Kind::NotFound, message) });
    match asked.agent {
        Some(name) => match agents.into_iter().find(|a| a.name == name) {
            Some(agent) => Ok(agent),
            None => not(format!("you have no agent `{name}`"), add),
        },
        None => {
            let mut agents = agents.into_iter();
            match (agents.next(), agents.next()) {
                (Some(agent), None) => Ok(agent),
                (None, _) => not("you have no agent".to_owned(), add),
                (Some(_), Some(_)) => {
                    not("you have several agents, and none was named".to_owned(), format!("name one: --agent NAME; yours: {names}"))
                }
            }
        }
    }
}
