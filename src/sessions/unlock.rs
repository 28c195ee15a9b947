//! A person opens their own sealed scope on the way to a host: by what they type before the connection is accepted, or by their agent
//! once it is. Passes what is typed on, and keeps nothing of it.

use std::net::SocketAddr;
use std::time::Duration;

use russh::{ChannelMsg, server};

use super::hall::{Hall, Waiting};
use super::open::{Halt, Rooms};
use crate::custody::{self, Asked, Opens};
use crate::model::{EndReason, Event, EventName, Name, User, UserId};
use crate::relay;
use crate::secret::Secret;
use crate::ssh_agent::{self, Agent};

/// How long a client has to say that it forwards its agent, and to open the way to it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A person who is about to connect to a host.
#[derive(Clone, Debug)]
pub struct Comer {
    /// Who.
    pub user: User,
    /// The fingerprint of the key that signed them in.
    pub key: String,
    /// The workspace.
    pub workspace: Name,
    /// The host.
    pub host: Name,
    /// The credential, if one was named.
    pub credential: Option<Name>,
    /// What the client named as the account on the host, if it came by a jump.
    pub login: Option<String>,
    /// From where.
    pub client: SocketAddr,
}

impl Comer {
    /// The person behind what is asked for, if a key signed them in.
    pub(super) fn of(user: User, asked: &Asked) -> Self {
        let Asked { key, workspace, host, credential, client, .. } = asked.clone();
        Self { user, key: key.unwrap_or_default(), workspace, host, credential, login: None, client }
    }
}

/// A connection that keeps its person's scope open while it lives.
#[derive(Debug)]
pub struct Visiting {
    _inner: custody::Visiting,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The scope is open.
    Open,
    /// It opens nothing: it may be tried again.
    Wrong,
    /// Nothing more is taken now.
    Over,
}

/// Says that a person is connected, until what is returned is dropped.
pub fn visiting(rooms: &Rooms, user: UserId) -> Visiting {
    Visiting { _inner: rooms.custody.visiting(user) }
}

/// Whether this person has to open their scope before the connection can go on. What is not granted, unknown or not to be read is
/// told later, by whoever decides.
pub async fn asks_first(rooms: &Rooms, comer: &Comer) -> bool {
    let Comer { user, key, workspace, host, credential, login, client } = comer.clone();
    let session = rooms.clock.fresh();
    let asked = Asked { user: user.id, key: Some(key), needs: None, workspace, host, credential, session, client };
    let asked = match login {
        Some(typed) => match rooms.custody.login_meant(&asked, &typed).await {
            Ok(credential) => Asked { credential, ..asked },
            Err(_) => return false,
        },
        None => asked,
    };
    rooms.custody.asks_first(asked).await.unwrap_or(false)
}

/// Opens a person's scope with what they typed, until their last connection ends.
pub async fn open_with(rooms: &Rooms, user: &User, client: SocketAddr, typed: Secret) -> Answered {
    match rooms.custody.open_personal(user, Opens::Typed(typed), false, event(user, client)).await {
        Ok(_) => Answered::Open,
        Err(e) if e.opens_nothing() => Answered::Wrong,
        Err(error) => {
            tracing::warn!(target: "keyward::sessions", user = %user.name, %error, "a sealed scope was not opened");
            Answered::Over
        }
    }
}

fn event(user: &User, client: SocketAddr) -> Event {
    Event::new(EventName::PersonalOpened, user.name.to_string()).with("by", "connection").with("client", client)
}

/// Opens a person's scope with the agent that their client forwards. The first channel says whether it does; it waits like any other.
pub(super) async fn by_agent(rooms: &Rooms, hall: &mut Hall, handle: &server::Handle, user: &User, client: SocketAddr) -> Result<(), Halt> {
    let mut waiting = match hall.waiting.pop() {
        Some(waiting) => waiting,
        None => {
            let first = tokio::time::timeout(PATIENCE, hall.next()).await.map_err(|_| Halt::Agent(ssh_agent::Error::NotForwarded))?;
            first.map_err(Halt::Left)?
        }
    };
    let forwards = tokio::time::timeout(PATIENCE, forwards(&mut waiting)).await.unwrap_or(false);
    let gone = waiting.held.gone;
    hall.waiting.push(waiting);
    if gone {
        return Err(Halt::Left(EndReason::ClientClosed));
    }
    if !forwards {
        return Err(Halt::Agent(ssh_agent::Error::NotForwarded));
    }
    let asks = rooms.custody.ask_agent(user.id, None).await?;
    let opened = tokio::time::timeout(PATIENCE, handle.channel_open_agent()).await;
    let Ok(Ok(channel)) = opened else { return Err(Halt::Agent(ssh_agent::Error::NotForwarded)) };
    let mut agent = Agent::meet(channel.into_stream()).await.map_err(Halt::Agent)?;
    let ask = agent.holds(&asks).ok_or(Halt::Agent(ssh_agent::Error::OtherKeys))?;
    let signature = agent.sign(ask, 1).await.map_err(Halt::Agent)?;
    rooms.custody.open_personal(user, Opens::Agent(ask.slot, signature), false, event(user, client)).await?;
    Ok(())
}

/// Whether the client forwards its agent on this channel.
async fn forwards(waiting: &mut Waiting) -> bool {
    if waiting.forward.is_some() {
        // Such a channel says nothing of agents; it is answered later, as the others are.
        return false;
    }
    if let Some(reply) = waiting.reply.take() {
        reply.accept().await;
    }
    relay::hold(&mut waiting.channel, &mut waiting.held).await;
    waiting.held.messages.iter().any(|message| matches!(message, ChannelMsg::AgentForward { .. }))
}
