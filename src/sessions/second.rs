//! Whether a person who signs in is asked for a one-time code, and what becomes of what they type. Passes it on, and keeps nothing of it.

use std::net::SocketAddr;

use super::open::Rooms;
use super::unlock::Comer;
use crate::clock::Time;
use crate::custody::{Asked, CodeGiven, CodeWanted};
use crate::model::{User, Vouch};
use crate::secret::Secret;

/// What a person is told whose code was not looked at.
pub(super) const CANNOT: &str = "the broker cannot check codes now; tell whoever runs it";

/// Whether somebody is asked for a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeNeed {
    /// No.
    No,
    /// No: they gave one a short while ago. What vouches for them with it.
    GivenBefore(String),
    /// Yes.
    Yes,
    /// It cannot be known, or not be recorded: nobody is let in.
    Unknown,
}

/// What became of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeVerdict {
    /// It is right, and counts no more. What vouches for them with it.
    Right(String),
    /// It is not: why, for the person. It may be tried again.
    Wrong(&'static str),
    /// Nothing more is taken now: why, for the person.
    Over(&'static str),
}

/// Whether this person is asked for a code on the way to a host, or – without one – to the console. `key` is what vouches for them.
pub async fn code_needed(rooms: &Rooms, user: &User, key: &str, to: Option<&Comer>, client: SocketAddr) -> CodeNeed {
    let asked = to.map(|comer| Asked {
        user: comer.user.id,
        key: Some(comer.key.clone()),
        needs: None,
        workspace: comer.workspace.clone(),
        host: comer.host.clone(),
        credential: comer.credential.clone(),
        session: rooms.clock.fresh(),
        client: comer.client,
    });
    match rooms.custody.code_wanted(user, key, asked, client).await {
        Ok(CodeWanted::No) => CodeNeed::No,
        Ok(CodeWanted::GivenBefore(made_at)) => with_second(key, made_at).map_or(CodeNeed::Unknown, CodeNeed::GivenBefore),
        Ok(CodeWanted::Yes) => CodeNeed::Yes,
        Err(error) => {
            tracing::error!(target: "keyward::sessions", user = %user.name, %error, "nobody can be asked for a one-time code");
            CodeNeed::Unknown
        }
    }
}

/// Takes what a person typed while they sign in.
pub async fn code_given(rooms: &Rooms, user: &User, key: &str, typed: Secret, client: SocketAddr) -> CodeVerdict {
    match rooms.custody.give_code(user, Some(key), typed, Some(client)).await {
        Ok(CodeGiven::Accepted(made_at)) => match with_second(key, made_at) {
            Some(vouch) => CodeVerdict::Right(vouch),
            None => CodeVerdict::Over(CANNOT),
        },
        Ok(CodeGiven::Wrong) => CodeVerdict::Wrong("that is not the code"),
        Ok(CodeGiven::Used) => CodeVerdict::Wrong("that code was used already; wait for the next one"),
        Ok(CodeGiven::TooMany) => CodeVerdict::Over("there were too many wrong codes; wait some minutes"),
        Err(error) => {
            tracing::error!(target: "keyward::sessions", user = %user.name, %error, "a one-time code was not judged");
            CodeVerdict::Over(CANNOT)
        }
    }
}

/// What vouches for a person, with the second factor that was made then.
fn with_second(key: &str, made_at: Time) -> Option<String> {
    let vouch: Vouch = key.parse().ok()?;
    Some(Vouch { second: Some(made_at), ..vouch }.to_string())
}
