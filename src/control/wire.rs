//! The frames of the unix socket: one byte that says what it is, four that say how long, then that many. Pure; both
//! halves (the daemon's in `socket`, the client's in `cli/client.rs`) read and write by these rules.

use serde::{Deserialize, Serialize};

use super::command::Command;
use crate::model::Name;
use crate::secret::MAX_SECRET;

/// Counts up when a frame or a command changes its meaning.
pub const PROTOCOL: u32 = 1;
/// The longest frame that the daemon takes.
/// A policy for scans may be long.
pub const MAX_REQUEST: usize = 8 * 1024 * 1024;
/// The longest frame that a client takes: a list of every host.
pub const MAX_REPLY: usize = 64 * 1024 * 1024;
/// A frame's first bytes.
pub const HEADER: usize = 5;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// [`Hello`] as JSON: the first frame in either direction.
    Hello,
    /// [`Request`] as JSON.
    Command,
    /// A secret: the bytes themselves.
    Secret,
    /// `Reply` as JSON.
    Reply,
    /// `Problem` as JSON.
    Error,
    /// Lines of JSON, to be written as they stand.
    Output,
    /// A piece of a report, to be written as it stands.
    Report,
    /// `ProgressView` as JSON.
    Progress,
    /// A line on what was done just now.
    Step,
    /// A piece of a file, to be written as it stands.
    Bytes,
    /// [`Bridge`] as JSON, instead of a command: what follows the daemon's own `Bridge` is no frame any more.
    Bridge,
}

/// Why a header is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The first byte names no frame.
    #[error("a frame of an unknown kind came: this is another protocol")]
    Unknown,
    /// It is longer than its kind may be.
    #[error("a frame of {length} bytes came; {most} are taken")]
    TooLong {
        /// What was announced.
        length: usize,
        /// What is taken.
        most: usize,
    },
}

impl Frame {
    const ALL: [(Self, u8); 11] = [
        (Self::Hello, b'H'),
        (Self::Command, b'C'),
        (Self::Secret, b'S'),
        (Self::Reply, b'R'),
        (Self::Error, b'E'),
        (Self::Output, b'O'),
        (Self::Report, b'T'),
        (Self::Progress, b'P'),
        (Self::Step, b'N'),
        (Self::Bytes, b'D'),
        (Self::Bridge, b'B'),
    ];

    /// The longest payload of this kind.
    pub fn most(self) -> usize {
        match self {
            Self::Hello | Self::Bridge => 1024,
            Self::Command => MAX_REQUEST,
            Self::Secret => MAX_SECRET,
            Self::Reply | Self::Error | Self::Output | Self::Report | Self::Progress | Self::Step | Self::Bytes => MAX_REPLY,
        }
    }

    /// The header of a payload of `length` bytes.
    ///
    /// # Errors
    /// [`Malformed::TooLong`].
    pub fn header(self, length: usize) -> Result<[u8; HEADER], Malformed> {
        let too_long = Malformed::TooLong { length, most: self.most() };
        if length > self.most() {
            return Err(too_long);
        }
        let byte = Self::ALL.iter().find(|(f, _)| *f == self).map_or(0, |(_, b)| *b);
        let [a, b, c, d] = u32::try_from(length).map_err(|_| too_long)?.to_be_bytes();
        Ok([byte, a, b, c, d])
    }

    /// Reads a header: what follows, and how long it is.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn of(header: [u8; HEADER]) -> Result<(Self, usize), Malformed> {
        let [byte, a, b, c, d] = header;
        let frame = Self::ALL.iter().find(|(_, known)| *known == byte).map(|(f, _)| *f).ok_or(Malformed::Unknown)?;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > frame.most() { Err(Malformed::TooLong { length, most: frame.most() }) } else { Ok((frame, length)) }
    }
}

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The program's version.
    pub version: String,
}

impl Hello {
    /// This program's.
    pub fn ours() -> Self {
        Self { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// A call. The secrets that it announces follow in this order, each in a frame of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The workspace that is meant.
    pub workspace: Name,
    /// The verb.
    pub command: Command,
    /// Whether a password or key follows.
    pub material: bool,
    /// Whether a passphrase follows.
    pub passphrase: bool,
}

/// "Let me speak as an agent": the agent's own words follow, byte for byte, until either side has no more to say. The daemon
/// answers with the agent that it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// The agent, of the person whose uid the caller has; none: the only one that they have.
    pub agent: Option<Name>,
    /// Whether its token follows, in a frame of its own; then the uid does not matter.
    pub token: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_round_trip_and_know_their_bounds() {
        for (frame, _) in Frame::ALL {
            for length in [0, 1, frame.most()] {
                assert_eq!(Frame::of(frame.header(length).unwrap()).unwrap(), (frame, length));
            }
            assert!(matches!(frame.header(frame.most() + 1), Err(Malformed::TooLong { .. })));
        }
        assert_eq!(Frame::of([b'X', 0, 0, 0, 1]), Err(Malformed::Unknown));
        assert_eq!(Frame::of(*b"S\0\x01\0\x01"), Err(Malformed::TooLong { length: 65537, most: 65536 }));
        assert!(matches!(Frame::of([b'C', 0xff, 0xff, 0xff, 0xff]), Err(Malformed::TooLong { .. })));
    }

    #[test]
    fn every_command_survives_the_wire() {
        let request = Request {
            workspace: "default".parse().unwrap(),
            command: Command::HostTrust { name: "web-1".parse().unwrap(), fingerprints: vec!["SHA256:x".to_owned()] },
            material: false,
            passphrase: false,
        };
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);
    }
}
