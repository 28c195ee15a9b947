//! How TCP connections with clients and hosts are set: nothing waits for more to send, and the congestion control is the
//! configured one. Opens no connection and knows nothing of what is on one.

use std::io;
use std::os::fd::AsFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};

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

/// Whether this is the name of an algorithm, or empty. Which of them a machine has is another question, and may be another answer
/// after it was started anew.
///
/// # Errors
/// A sentence that says what a name is.
pub fn check(congestion_control: &str) -> Result<(), String> {
    let named = congestion_control.len() <= NAME_MAX && congestion_control.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    if named { Ok(()) } else { Err("`congestion_control` is the name of an algorithm, as \"reno\", or empty".to_owned()) }
}

/// Whether this machine lets the broker use the algorithm of this name now.
///
/// # Errors
/// What the kernel says, with those that it lets everybody use.
pub fn try_out(congestion_control: &str) -> Result<(), String> {
    if congestion_control.is_empty() {
        return Ok(());
    }
    let inet = |family| socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    let socket = inet(AddressFamily::INET).or_else(|_| inet(AddressFamily::INET6)).map_err(|e| format!("no socket to try it with: {e}"))?;
    set(&socket, congestion_control).map_err(|e| {
        let allowed = std::fs::read_to_string(ALLOWED).unwrap_or_default();
        format!("the kernel does not take it: {e}; for everybody it has: {}", allowed.trim())
    })
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
    fn what_is_no_name_is_a_mistake_and_what_the_machine_has_not_is_told_with_what_it_has() {
        for name in ["", "reno", "westward"] {
            check(name).unwrap();
        }
        for name in ["reno\0", "a name", "reno-but-much-too-long"] {
            assert!(check(name).unwrap_err().starts_with("`congestion_control` is the name of an algorithm"), "{name}");
        }
        assert_eq!((try_out(""), try_out("reno")), (Ok(()), Ok(())));
        let told = try_out("westward").unwrap_err();
        assert!(told.starts_with("the kernel does not take it: ") && told.contains("reno"), "{told}");
    }
}
