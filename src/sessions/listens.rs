//! The four requests of a client that make a host listen, and listen no more (RFC 4254 §7.1; OpenSSH's PROTOCOL §2.4). Reads them;
//! decides nothing.

use std::fmt;

use crate::model::printable;

/// Where a host listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Listens {
    /// On a port, at an address in the client's words; the port is 0 while the host has not chosen.
    Port { address: String, port: u32 },
    /// On a socket.
    Socket { path: String },
}

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// The host is to listen.
    Listen(Listens),
    /// It is to listen there no more.
    Cancel(Listens),
}

impl Wish {
    /// Reads the request of this name; `None`: it is none of the four, or is not as it ought to be.
    pub(super) fn read(name: &str, data: &[u8]) -> Option<Self> {
        let (text, rest) = string(data)?;
        let port = || match *rest {
            [a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d])),
            _ => None,
        };
        match name {
            "tcpip-forward" => Some(Self::Listen(Listens::Port { address: text, port: port()? })),
            "cancel-tcpip-forward" => Some(Self::Cancel(Listens::Port { address: text, port: port()? })),
            "streamlocal-forward@openssh.com" if rest.is_empty() => Some(Self::Listen(Listens::Socket { path: text })),
            "cancel-streamlocal-forward@openssh.com" if rest.is_empty() => Some(Self::Cancel(Listens::Socket { path: text })),
            _ => None,
        }
    }

    /// Where.
    pub(super) fn listens(&self) -> &Listens {
        match self {
            Self::Listen(listens) | Self::Cancel(listens) => listens,
        }
    }
}

impl Listens {
    /// The same with the port that the host chose: what follows its answer to port 0, and nothing else (RFC 4254 §7.1).
    pub(super) fn chosen(self, answer: &[u8]) -> Self {
        match (self, answer) {
            (Self::Port { address, port: 0 }, [a, b, c, d]) => Self::Port { address, port: u32::from_be_bytes([*a, *b, *c, *d]) },
            (listens, _) => listens,
        }
    }

    /// The request that began it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Port { .. } => "tcpip-forward",
            Self::Socket { .. } => "streamlocal-forward@openssh.com",
        }
    }

    /// The request that ends it: its name and what follows.
    pub(super) fn cancel(&self) -> (&'static str, Vec<u8>) {
        let (name, text, port) = match self {
            Self::Port { address, port } => ("cancel-tcpip-forward", address, Some(*port)),
            Self::Socket { path } => ("cancel-streamlocal-forward@openssh.com", path, None),
        };
        let mut data = u32::try_from(text.len()).unwrap_or(0).to_be_bytes().to_vec();
        data.extend_from_slice(text.as_bytes());
        data.extend(port.into_iter().flat_map(u32::to_be_bytes));
        (name, data)
    }
}

impl fmt::Display for Listens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port { address, port } => write!(f, "{}:{port}", printable(address, 200)),
            Self::Socket { path } => f.write_str(&printable(path, 200)),
        }
    }
}

fn string(data: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = data.split_first_chunk::<4>()?;
    let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    Some((String::from_utf8(text.to_vec()).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str, after: &[u8]) -> Vec<u8> {
        [&u32::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes(), after].concat()
    }

    #[test]
    fn what_is_cancelled_is_what_was_asked_for_with_the_port_that_the_host_chose() {
        let asked = sent("localhost", &[0, 0, 0, 0]);
        let Some(Wish::Listen(listens)) = Wish::read("tcpip-forward", &asked) else { panic!("it is one") };
        let chosen = listens.clone().chosen(&[0, 0, 4, 210]);
        assert_eq!(chosen.to_string(), "localhost:1234");
        let (name, data) = chosen.cancel();
        assert_eq!(data, sent("localhost", &[0, 0, 4, 210]));
        assert_eq!(Wish::read(name, &data), Some(Wish::Cancel(chosen.clone())));
        assert_eq!(chosen.clone().chosen(&[0, 0, 0, 9]), chosen, "only port 0 is the host's to choose");
        assert_eq!(listens.clone().chosen(&[1]), listens, "no port, no choice");
        let socket = Listens::Socket { path: "/run/x".to_owned() };
        let (name, data) = socket.cancel();
        assert_eq!(Wish::read(name, &data), Some(Wish::Cancel(socket)));
    }

    #[test]
    fn what_is_not_as_it_ought_to_be_is_nothing() {
        for (name, data) in [
            ("tcpip-forward", &b""[..]),
            ("tcpip-forward", &[0, 0, 0, 9, b'x'][..]),
            ("tcpip-forward", &[255, 255, 255, 255, b'x'][..]),
            ("tcpip-forward", &[0, 0, 0, 1, b'x', 0, 0, 1][..]),
            ("tcpip-forward", &[0, 0, 0, 1, b'x', 0, 0, 0, 1, 0][..]),
            ("tcpip-forward", &[0, 0, 0, 1, 0xff, 0, 0, 0, 1][..]),
            ("streamlocal-forward@openssh.com", &[0, 0, 0, 1, b'/', 0][..]),
            ("keepalive@openssh.com", &[0, 0, 0, 0][..]),
        ] {
            assert_eq!(Wish::read(name, data), None, "{name} {data:?}");
        }
    }
}
