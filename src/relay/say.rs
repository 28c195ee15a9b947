//! What the broker itself has to say on a channel: on standard error, beginning with `keyward: `, ended with status 255.

use std::time::Duration;

use russh::{Channel, ChannelMsg, ChannelWriteHalf, server};
use tokio_util::sync::CancellationToken;

/// A channel on the client's side.
pub type ClientChannel = Channel<server::Msg>;
/// Its writing half.
pub(super) type ToClient = ChannelWriteHalf<server::Msg>;

/// The most messages that are held for a host that is not there yet; more wait in the channel.
const MOST_HELD: usize = 64;
/// How long a client has to say what it wants once the channel is open, before it is told anyway.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a client asked for before the host was there.
#[derive(Debug, Default)]
pub struct Held {
    /// Its messages, in order.
    pub messages: Vec<ChannelMsg>,
    /// Whether it asked for a terminal.
    pub pty: bool,
    /// Whether it asked for a shell, a command or a subsystem, so that no more requests are to be expected.
    pub asked: bool,
    /// Whether it closed the channel.
    pub gone: bool,
    /// To how many of its first messages somebody gave the answer already, as if all that they ask for had been granted.
    pub answered: usize,
}

impl Held {
    /// Whether no more is read ahead.
    pub fn is_full(&self) -> bool {
        self.messages.len() >= MOST_HELD
    }
}

/// Reads what the client asks for until it has asked for a shell, a command or a subsystem. Answers nothing.
pub async fn hold(channel: &mut ClientChannel, held: &mut Held) {
    while !held.asked && !held.gone && !held.is_full() {
        match channel.wait().await {
            Some(ChannelMsg::Close) | None => held.gone = true,
            Some(message) => {
                held.pty |= matches!(message, ChannelMsg::RequestPty { .. });
                held.asked |=
                    matches!(message, ChannelMsg::RequestShell { .. } | ChannelMsg::Exec { .. } | ChannelMsg::RequestSubsystem { .. });
                held.messages.push(message);
            }
        }
    }
}

/// Tells the client `sentence` on a channel that will never reach a host, and ends it with status 255; one that is
/// `closed` is only closed where that would wait for its window.
pub async fn say(mut channel: ClientChannel, mut held: Held, sentence: &str, closed: &CancellationToken) {
    // The requests are answered first: a client that still waits for an answer would report that instead of the sentence.
    let _ = tokio::time::timeout(PATIENCE, hold(&mut channel, &mut held)).await;
    let wanting = held.messages.iter().skip(held.answered).filter(|m| wants_reply(m)).count();
    let (_, to) = channel.split();
    for _ in 0..wanting {
        let _ = to.success().await;
    }
    unless_closed(&to, closed, end_with(&to, sentence, held.pty)).await;
}

/// Says goodbye, or closes the channel once its client has: that opens its window for nobody any more.
pub(super) async fn unless_closed(to: &ToClient, closed: &CancellationToken, goodbye: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = goodbye => {}
        () = closed.cancelled() => drop(to.close().await),
    }
}

/// Writes `sentence` to standard error and ends the channel with status 255.
pub(super) async fn end_with(to: &ToClient, sentence: &str, pty: bool) {
    let _ = to.extended_data_bytes(1, lines(sentence, pty)).await;
    let _ = to.exit_status(255).await;
    let _ = to.eof().await;
    let _ = to.close().await;
}

/// `keyward: ` before the first line; with a terminal each line ends with CR LF.
fn lines(sentence: &str, pty: bool) -> Vec<u8> {
    let end = if pty { "\r\n" } else { "\n" };
    let mut out = String::new();
    for (i, line) in sentence.lines().enumerate() {
        if i == 0 || line.starts_with("hint: ") {
            out.push_str("keyward: ");
        }
        out.push_str(line);
        out.push_str(end);
    }
    out.into_bytes()
}

/// Whether its sender waits for an answer.
pub fn wants_reply(message: &ChannelMsg) -> bool {
    match message {
        ChannelMsg::RequestPty { want_reply, .. }
        | ChannelMsg::RequestShell { want_reply }
        | ChannelMsg::Exec { want_reply, .. }
        | ChannelMsg::RequestSubsystem { want_reply, .. }
        | ChannelMsg::RequestX11 { want_reply, .. }
        | ChannelMsg::SetEnv { want_reply, .. }
        | ChannelMsg::AgentForward { want_reply }
        | ChannelMsg::Request { want_reply, .. } => *want_reply,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_broker_says_whose_it_is() {
        assert_eq!(lines("no\nhint: do", false), b"keyward: no\nkeyward: hint: do\n");
        assert_eq!(lines("no", true), b"keyward: no\r\n");
    }
}
