//! How TCP connections with clients and hosts are set: nothing waits for more to send, and the congestion control is the
//! configured one. Opens no connection and knows nothing of what is on one.

use std::io;
use std::os::fd::AsFd;

use rustix::net::{AddressFamily, SocketType, socket, sockopt};

/// What the kernel lets every process use (ip-sysctl.rst of Linux).
const ALLOWED: &str = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";
/// The longest name (TCP_CA_NAME_MAX of Linux), in bytes.
const NAME_MAX: usize = 15;

/// Sets a connection: small packets go out at once, and congestion is controlled by the algorithm of this name; an empty one leaves
/// what the system says.
///
/// # Errors
/// What the kernel says, as of an algorithm that it does not let this process use.
pub fn set(stream: &impl AsFd, congestion_control: &str) -> io::Result<()> {
    sockopt::set_tcp_nodelay(stream, true)?;
    if !congestion_control.is_empty() {
        sockopt::set_tcp_congestion(stream, congestion_control)?;
    }
    Ok(())
}

/// Whether the algorithm of this name can be set on this machine, or the name is empty.
///
/// # Errors
/// A sentence that names those that can be.
pub fn check(congestion_control: &str) -> Result<(), String> {
    let named = congestion_control.len() <= NAME_MAX && congestion_control.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    let set = || {
        let socket =
            socket(AddressFamily::INET, SocketType::STREAM, None).or_else(|_| socket(AddressFamily::INET6, SocketType::STREAM, None))?;
        set(&socket, congestion_control)
    };
    if named && set().is_ok() {
        return Ok(());
    }
    let allowed = std::fs::read_to_string(ALLOWED).unwrap_or_default();
    Err(format!(
        "`congestion_control` is one that this machine allows ({}), or empty",
        allowed.split_whitespace().collect::<Vec<_>>().join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_has_the_congestion_control_that_was_asked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = || TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (usual, set_to) = (stream(), stream());
        let system = sockopt::tcp_congestion(&usual).unwrap();
        set(&usual, "").unwrap();
        assert_eq!(sockopt::tcp_congestion(&usual).unwrap(), system);
        // Built into every kernel, and allowed to everybody.
        set(&set_to, "reno").unwrap();
        assert_eq!(sockopt::tcp_congestion(&set_to).unwrap(), "reno");
        assert!(usual.nodelay().unwrap() && set_to.nodelay().unwrap());
        set(&set_to, "westward").unwrap_err();
    }

    #[test]
    fn what_the_machine_does_not_allow_is_told_with_what_it_does() {
        assert_eq!((check(""), check("reno")), (Ok(()), Ok(())));
        for name in ["westward", "reno\0", "a name", "reno-but-much-too-long"] {
            let told = check(name).unwrap_err();
            assert!(told.starts_with("`congestion_control` is one that this machine allows (") && told.contains("reno"), "{told}");
        }
    }
}
