//! `unlock` and `personal slot add agent` over ssh: the client's own agent is asked over the connection, if the client forwards it.
//! The agent is used for nothing else, and no host gets at it.

use russh::server;

use super::Screen;
use crate::cli::fail::Failure;
use crate::cli::grammar::Follow;
use crate::control::{Caller, Command, Data, Desk, Secrets, SlotWord};
use crate::model::AgentAsk;
use crate::ssh_agent::{Agent, Error};

/// How long a client has to open the way to its agent.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// The way to the agent of a client that forwards it.
#[derive(Clone)]
pub struct AgentDoor(server::Handle);

impl std::fmt::Debug for AgentDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AgentDoor")
    }
}

impl AgentDoor {
    pub(in crate::front) fn new(handle: server::Handle) -> Self {
        Self(handle)
    }
}

/// The call that the agent makes possible, with its secret. `None`: it is not asked, or has no key that serves.
pub(super) async fn by_agent(
    desk: &Desk,
    caller: &Caller,
    follow: &Follow,
    screen: &Screen,
) -> Result<Option<(Command, Secrets)>, Failure> {
    let key = match follow {
        Follow::Unlock => None,
        Follow::AgentSlot(key) => Some(key),
        _ => return Ok(None),
    };
    let Some(AgentDoor(handle)) = &screen.agent else {
        return match key {
            None => Ok(None),
            Some(_) => Err(Failure::of(&Error::NotForwarded)),
        };
    };
    // Asked before the agent: who has nothing sealed is told so.
    let asks = match key {
        None => ask(desk, caller, None).await?,
        Some(_) => Vec::new(),
    };
    if key.is_none() && asks.is_empty() {
        return Ok(None);
    }
    let opened = tokio::time::timeout(PATIENCE, handle.channel_open_agent()).await;
    let channel = match (opened, key) {
        (Ok(Ok(channel)), _) => channel,
        (_, None) => return Ok(None),
        (_, Some(_)) => return Err(Failure::of(&Error::NotForwarded)),
    };
    let mut agent = Agent::meet(channel.into_stream()).await.map_err(|e| Failure::of(&e))?;
    let Some(named) = key else {
        return match agent.holds(&asks) {
            Some(ask) => {
                Ok(Some((Command::Unlock { agent: Some(ask.slot) }, material(agent.sign(ask, 1).await.map_err(|e| Failure::of(&e))?))))
            }
            None => Ok(None),
        };
    };
    let key = match named {
        Some(key) => key.clone(),
        None => agent.only_key().map_err(|e| Failure::of(&e))?,
    };
    let asks = ask(desk, caller, Some(key)).await?;
    let Some(ask) = asks.first() else { return Ok(None) };
    let twice = agent.sign(ask, 2).await.map_err(|e| Failure::of(&e))?;
    Ok(Some((Command::PersonalSlotAdd { slot: SlotWord::Agent(ask.clone()) }, material(twice))))
}

async fn ask(desk: &Desk, caller: &Caller, key: Option<String>) -> Result<Vec<AgentAsk>, Failure> {
    let (out, _nobody_reads) = tokio::sync::mpsc::channel(1);
    match desk.handle(caller.clone(), Command::PersonalAsk { key }, Secrets::none(), &out).await {
        Ok(reply) => match reply.data {
            Data::AgentAsks(asks) => Ok(asks),
            _ => Ok(Vec::new()),
        },
        Err(e) => Err(Failure::of(&e)),
    }
}

fn material(secret: crate::secret::Secret) -> Secrets {
    Secrets { material: Some(secret), passphrase: None }
}
