//! What is said to clients that ask for a connection where none can lead on. Opens nothing.

use russh::ChannelOpenFailure;

/// `SSH_OPEN_ADMINISTRATIVELY_PROHIBITED` (RFC 4254 §5.1).
const PROHIBITED: u32 = 1;

/// To an agent.
pub(super) fn for_agents() -> ChannelOpenFailure {
    prohibited("an agent opens no connection through a host: it proposes commands, ssh HOST@BROKER 'COMMAND'")
}

fn prohibited(sentence: &str) -> ChannelOpenFailure {
    ChannelOpenFailure::Other { code: PROHIBITED, reason: format!("keyward: {sentence}") }
}
