//! Jumping in: under their own name, a person opens connections to hosts that they may use, each a new connection to the broker inside
//! the one that they have. Decides which host that is, and records it; opens nothing itself.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use russh::ChannelOpenFailure;

use super::forward::prohibited;
use super::open::Rooms;
use crate::custody::{self, Asked, Purpose, Towards, Warrant};
use crate::fault::{Calling, Fault};
use crate::model::{Destination, Event, EventName, Host, Name, User, UserId};

/// Refusals recorded per connection; a client that asks for more is not helped by more entries, and is refused all the same.
const MOST_REFUSALS: u32 = 256;

/// The jumps of one connection of a person who signed in under their own name.
#[derive(Debug)]
pub struct Jumps {
    /// What sessions need.
    pub rooms: Rooms,
    /// Who.
    pub user: UserId,
    /// Their name.
    pub user_name: Name,
    /// What signed them in.
    pub key: String,
    /// The workspace that is meant if none is named.
    pub workspace: Name,
    /// From where.
    pub client: SocketAddr,
    /// How the client calls the broker, for what is to be done.
    pub calling: Calling,
    /// How many refusals there were.
    pub refusals: AtomicU32,
}

/// Where a jump leads.
#[derive(Clone, Debug)]
pub struct Landing {
    /// The person, who signs in again inside.
    pub user: User,
    /// The host.
    pub host: Host,
}

impl Jumps {
    /// The host that a connection is to lead to; recorded before it is opened. `Err`: what the client is told instead, recorded, too.
    ///
    /// # Errors
    /// The refusal.
    pub async fn leads(&self, to: &Destination) -> Result<Landing, ChannelOpenFailure> {
        let Destination::Address { host, port, .. } = to else {
            let why = "there is no socket under your own name: it lies behind a host, ssh -L PORT:PATH HOST@BROKER";
            self.refused(to, why).await;
            return Err(prohibited(why));
        };
        let towards = Towards {
            user: self.user,
            key: self.key.clone(),
            workspace: self.workspace.clone(),
            to: host.clone(),
            port: *port,
            client: self.client,
        };
        let (user, host) = match self.rooms.custody.towards(towards).await {
            Ok(found) => found,
            Err(e @ (custody::Error::Jump(_) | custody::Error::SecondFactor { .. } | custody::Error::NoSuchPerson)) => {
                self.refused(to, &e.to_string()).await;
                return Err(prohibited(&self.said(&e)));
            }
            Err(error) => {
                // What is wrong with the broker itself is its operator's to read.
                tracing::error!(target: "keyward::sessions", %error, "a jump was not decided");
                return Err(prohibited("the broker cannot decide about this now; tell whoever runs it"));
            }
        };
        if let Err(error) = self.rooms.log.record(self.event(EventName::ForwardOpened, to).host(&host)).await {
            tracing::error!(target: "keyward::sessions", %error, "a jump was not recorded");
            return Err(prohibited("the audit log cannot be written, so nothing is opened"));
        }
        Ok(Landing { user, host })
    }

    /// Records the end of what [`Jumps::leads`] let open.
    pub async fn ended(&self, to: &Destination, landing: &Landing, (bytes_in, bytes_out): (u64, u64), why: &str) {
        let event = self.event(EventName::ForwardEnded, to).host(&landing.host).because(why);
        self.afterwards(event.count("bytes_in", bytes_in).count("bytes_out", bytes_out)).await;
    }

    /// Records that a jump was refused.
    pub async fn refused(&self, to: &Destination, why: &str) {
        if self.refusals.fetch_add(1, Ordering::Relaxed) < MOST_REFUSALS {
            self.afterwards(self.event(EventName::ForwardRefused, to).denied(why)).await;
        }
    }

    fn event(&self, name: EventName, to: &Destination) -> Event {
        let event = Event::new(name, self.user_name.to_string()).with("client", self.client).with("way", "jump");
        let event = event.with("kind", to.word()).with("destination", to);
        match to.originator() {
            Some(originator) => event.with("originator", originator),
            None => event,
        }
    }

    fn said(&self, e: &custody::Error) -> String {
        match e.hint() {
            Some(hint) => format!("{e}\nhint: {}", self.calling.pastable(&hint)),
            None => e.to_string(),
        }
    }

    async fn afterwards(&self, event: Event) {
        if let Err(error) = self.rooms.log.record(event).await {
            tracing::error!(target: "keyward::sessions", %error, "what became of a jump was not recorded");
        }
    }
}

/// The warrant for a visit. `login`: what the client named as the account, inside a jump.
pub(super) async fn warrant(rooms: &Rooms, user: &Name, asked: Asked, login: Option<&str>) -> Result<Warrant, custody::Error> {
    let Some(typed) = login else { return rooms.custody.warrant(asked).await };
    match rooms.custody.login_meant(&asked, typed).await {
        Ok(credential) => rooms.custody.warrant_for(Asked { credential, ..asked }, Purpose::Jump).await,
        Err(e) => {
            if matches!(e, custody::Error::Jump(_)) {
                rooms.custody.turned_away(user, &asked, &e).await?;
            }
            Err(e)
        }
    }
}
