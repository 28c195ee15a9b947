//! `unlock` and `personal slot add agent` at the local door, as far as the person's ssh agent on this side does them.

use super::fail::{Exit, Failure};
use super::grammar::Follow;
use super::sign;
use crate::control::{Command, Data, Problem, Reply, Secrets, SlotWord};
use crate::model::AgentAsk;
use crate::ssh_agent::{self, Agent};

/// The call that the agent makes possible, with its secret. `None`: it is not asked, or has no key that serves.
pub(super) fn by_agent(
    follow: &Follow,
    mut send: impl FnMut(&Command) -> Result<Result<Reply, Problem>, Failure>,
) -> Result<Option<(Command, Secrets)>, Failure> {
    let key = match follow {
        Follow::Unlock => None,
        Follow::AgentSlot(key) => Some(key),
        _ => return Ok(None),
    };
    let socket = match (sign::socket(), key) {
        (Some(socket), _) => socket,
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(Failure::of(&ssh_agent::Error::None)),
    };
    let mut ask = |key: Option<String>| -> Result<Vec<AgentAsk>, Failure> {
        match send(&Command::PersonalAsk { key })??.data {
            Data::AgentAsks(asks) => Ok(asks),
            _ => Err(Failure::new(Exit::Bug, "the daemon gave nothing to sign", "are program and daemon of one version? keyward status")),
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| silent(&e))?;
    runtime.block_on(async {
        let stream = match (tokio::net::UnixStream::connect(socket).await, key) {
            (Ok(stream), _) => stream,
            (Err(_), None) => return Ok(None),
            (Err(e), Some(_)) => return Err(silent(&e)),
        };
        let mut agent = match (Agent::meet(stream).await, key) {
            (Ok(agent), _) => agent,
            (Err(_), None) => return Ok(None),
            (Err(e), Some(_)) => return Err(Failure::of(&e)),
        };
        let asks = match key {
            None => ask(None)?,
            Some(Some(key)) => ask(Some(key.clone()))?,
            Some(None) => ask(Some(agent.only_key().map_err(|e| Failure::of(&e))?))?,
        };
        match (key, asks.first()) {
            (None, _) => match agent.holds(&asks) {
                Some(ask) => {
                    Ok(Some((Command::Unlock { agent: Some(ask.slot) }, material(agent.sign(ask, 1).await.map_err(|e| Failure::of(&e))?))))
                }
                None => Ok(None),
            },
            (Some(_), Some(ask)) => {
                let twice = agent.sign(ask, 2).await.map_err(|e| Failure::of(&e))?;
                Ok(Some((Command::PersonalSlotAdd { slot: SlotWord::Agent(ask.clone()) }, material(twice))))
            }
            (Some(_), None) => Ok(None),
        }
    })
}

fn silent(e: &std::io::Error) -> Failure {
    Failure::of(&ssh_agent::Error::Silent(e.to_string()))
}

fn material(secret: crate::secret::Secret) -> Secrets {
    Secrets { material: Some(secret), passphrase: None }
}
