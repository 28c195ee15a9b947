//! Where a connection leads that a person's client asks the host for. Only says it; connects to nothing.

use std::fmt;

/// The longest address or path that is taken, in bytes: longer ones are no host's and no socket's.
pub const DESTINATION_MOST: usize = 1024;

/// A destination as the host reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A port (RFC 4254 §7.2).
    Address {
        /// A name or an address; the host looks it up.
        host: String,
        /// The port, which the protocol lets be larger than a port is.
        port: u32,
        /// From where somebody came to the client, as the client says.
        originator: String,
        /// From which port there.
        originator_port: u32,
    },
    /// A socket in the file system of the host (OpenSSH's `PROTOCOL`, 2.4).
    Socket {
        /// Its path.
        path: String,
    },
}

impl Destination {
    /// The type of the channel.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Address { .. } => "direct-tcpip",
            Self::Socket { .. } => "direct-streamlocal@openssh.com",
        }
    }

    /// From where somebody came to the client, as the client says: nothing of it is proven. A socket has none.
    pub fn originator(&self) -> Option<String> {
        match self {
            Self::Address { originator, originator_port, .. } => Some(address(originator, *originator_port)),
            Self::Socket { .. } => None,
        }
    }

    /// Whether it is longer than any that leads somewhere.
    pub fn is_too_long(&self) -> bool {
        match self {
            Self::Address { host, originator, .. } => host.len().max(originator.len()) > DESTINATION_MOST,
            Self::Socket { path } => path.len() > DESTINATION_MOST,
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { host, port, .. } => f.write_str(&address(host, *port)),
            Self::Socket { path } => f.write_str(path),
        }
    }
}

/// An address and a port; one with colons stands in brackets.
fn address(host: &str, port: u32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_people_write_it() {
        let to = |host: &str| Destination::Address { host: host.to_owned(), port: 80, originator: "::1".to_owned(), originator_port: 9 };
        assert_eq!(to("db.example").to_string(), "db.example:80");
        assert_eq!(to("::1").to_string(), "[::1]:80");
        assert_eq!(to("x").originator().as_deref(), Some("[::1]:9"));
        let socket = Destination::Socket { path: "/run/db.sock".to_owned() };
        assert_eq!((socket.to_string().as_str(), socket.originator()), ("/run/db.sock", None));
        assert!(!to(&"x".repeat(DESTINATION_MOST)).is_too_long() && to(&"x".repeat(DESTINATION_MOST + 1)).is_too_long());
    }
}
