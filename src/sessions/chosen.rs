//! A session whose channel is there already: its person chose the host on it. The session is this channel's alone, the client's
//! connection outlives it, and where no host is reached the channel goes back to where they chose. What they have to give first is asked
//! for on it. Decides nothing.

use russh::{ChannelId, ChannelMsg, server};
use tokio::sync::oneshot;

use super::ask::{self, Asker};
use super::hall::{Hall, Waiting};
use super::open::{Halt, Rooms};
use super::second::{self, CANNOT, CodeNeed, CodeVerdict};
use super::unlock::{self, Answered, Comer};
use crate::fault::Calling;
use crate::model::{EndReason, Name, SessionId};
use crate::relay::{ClientChannel, Held};
use crate::secret::Secret;
use crate::target::Prompt;

/// How often a passphrase, or a one-time code, may be tried.
const TRIES: usize = 3;
/// What a person types who would rather go back.
const GO_BACK: u8 = 0x03;

/// The channel on which somebody chose.
pub struct Chosen {
    /// The channel.
    pub channel: ClientChannel,
    /// What was asked for on it, and what was typed since the choice.
    pub held: Held,
    /// Its place within the limit of the connection.
    pub seat: super::Seat,
    /// Where it goes if no host is reached. Dropped once the session has ended.
    pub back: oneshot::Sender<Back>,
}

/// A channel that reached no host.
pub struct Back {
    /// The channel.
    pub channel: ClientChannel,
    /// What was asked for on it, and what was typed meanwhile.
    pub held: Held,
    /// Its place.
    pub seat: super::Seat,
    /// Why, for the person; `None`: they gave up waiting.
    pub sentence: Option<String>,
}

/// The way back.
pub(super) struct WayBack {
    back: oneshot::Sender<Back>,
    channel: ChannelId,
}

impl WayBack {
    /// Gives the channel back, if it is still there.
    pub(super) fn give(self, mut hall: Hall, halt: &Halt, (host, id, calling): (&Name, SessionId, &Calling)) {
        let Some(Waiting { channel, held, seat, .. }) = hall.waiting.pop() else { return };
        let sentence = (!matches!(halt, Halt::GaveUp)).then(|| halt.sentence(host, id, calling));
        let _ = self.back.send(Back { channel, held, seat, sentence });
    }

    /// Ends the channel for whoever had it and could not: the connection outlives the session, and nobody else would.
    pub(super) async fn ends(&self, client: &server::Handle) {
        let _ = client.exit_status_request(self.channel, 255).await;
        let _ = client.close(self.channel).await;
    }
}

impl Hall {
    /// The channel waits here, and no other will.
    pub(super) fn seats(&mut self, chosen: Chosen) -> WayBack {
        let Chosen { channel, held, seat, back } = chosen;
        let id = channel.id();
        self.waiting.push(Waiting { channel, reply: None, held, heard: true, seat, forward: None });
        self.alone = true;
        WayBack { back, channel: id }
    }

    /// Asks on the channel of somebody who chose; an error: they would rather go back, or are gone.
    async fn asks_for(&mut self, note: &str, text: String) -> Result<Secret, Halt> {
        let answer = self.answers(format!("keyward: {note}"), text).await;
        answer.ok_or_else(|| match self.waiting.first().is_none_or(|w| w.held.gone) {
            true => Halt::Left(EndReason::ClientClosed),
            false => Halt::GaveUp,
        })
    }

    async fn answers(&mut self, instructions: String, text: String) -> Option<Secret> {
        let waiting = self.waiting.first_mut()?;
        // What was typed before the question answers nothing, and may be a secret that came too early: nobody gets it.
        ask::forget_typed(&mut waiting.held);
        while !waiting.held.is_full() {
            let message = tokio::select! {
                biased;
                message = waiting.channel.wait() => message.unwrap_or(ChannelMsg::Close),
                () = std::future::ready(()) => break,
            };
            if waiting.hears(message) || waiting.held.gone {
                return None;
            }
            ask::forget_typed(&mut waiting.held);
        }
        // What is read when nothing more can be held would be taken for the answer; and nobody answers behind an end.
        if waiting.held.is_full() || !waiting.can_be_asked() {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        let prompt = Prompt { instructions, text, echo: false, answer };
        drop(ask::ask(&mut waiting.channel, prompt, &mut waiting.held, Asker::Broker).await);
        answered.await.ok()
    }
}

impl Waiting {
    /// Takes a message that is the host's once it is there. True: the person would rather go back.
    pub(super) fn hears(&mut self, message: ChannelMsg) -> bool {
        match message {
            ChannelMsg::Close => self.held.gone = true,
            ChannelMsg::Data { data } if data.contains(&GO_BACK) => return true,
            message => self.held.messages.push(message),
        }
        false
    }
}

/// Has somebody who chose give a one-time code and open what they sealed, if the way to the host needs it: by their passphrase, or by
/// their agent. Returns what vouches for them in this session, and in no other of their connection.
pub(super) async fn opens(rooms: &Rooms, hall: &mut Hall, handle: &russh::server::Handle, comer: Comer) -> Result<String, Halt> {
    let key = vouched(rooms, hall, &comer).await?;
    let comer = Comer { key, ..comer };
    if !unlock::asks_first(rooms, &comer).await {
        return Ok(comer.key);
    }
    let mut note = "what signs you in there is sealed (empty: your ssh agent is asked; Ctrl-C: back)";
    for _ in 0..TRIES {
        let typed = hall.asks_for(note, "Passphrase for your sealed credentials: ".to_owned()).await?;
        if typed.is_empty() {
            unlock::by_agent(rooms, hall, handle, &comer.user, comer.client).await?;
            return Ok(comer.key);
        }
        match unlock::open_with(rooms, &comer.user, comer.client, typed).await {
            Answered::Open => return Ok(comer.key),
            Answered::Wrong => note = "this opens nothing",
            Answered::Over => return Err(Halt::NotOpened),
        }
    }
    Err(Halt::NotOpened)
}

/// What vouches for somebody who chose, with the one-time code that they give if the way to the host needs one.
async fn vouched(rooms: &Rooms, hall: &mut Hall, comer: &Comer) -> Result<String, Halt> {
    let Comer { user, key, client, .. } = comer;
    match second::code_needed(rooms, user, key, Some(comer), *client).await {
        CodeNeed::No => return Ok(key.clone()),
        CodeNeed::GivenBefore(vouch) => return Ok(vouch),
        CodeNeed::Unknown => return Err(Halt::NoCode(CANNOT)),
        CodeNeed::Yes => {}
    }
    let mut note = "a code of your authenticator is wanted there (Ctrl-C: back)";
    for _ in 0..TRIES {
        let typed = hall.asks_for(note, format!("One-time code for {}: ", user.name)).await?;
        match second::code_given(rooms, user, key, typed, *client).await {
            CodeVerdict::Right(vouch) => return Ok(vouch),
            CodeVerdict::Wrong(why) => note = why,
            CodeVerdict::Over(why) => return Err(Halt::NoCode(why)),
        }
    }
    Err(Halt::NoCode("no right one-time code was given"))
}
