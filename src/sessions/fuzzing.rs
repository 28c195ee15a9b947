//! Lets `fuzz/` reach what reads a client's requests to listen on a host. Asks no host, and is in no build that is run.

use super::listens::Wish;

/// Where somebody wants a host to listen, or to listen no more, as it stands in the log; `None`: it is no request of this name.
pub fn listens(name: &str, data: &[u8]) -> Option<String> {
    Some(Wish::read(name, data)?.listens().to_string())
}

/// The request that ends what this one begins: its name and what follows. `None`: it begins nothing.
pub fn ends(name: &str, data: &[u8]) -> Option<(&'static str, Vec<u8>)> {
    match Wish::read(name, data)? {
        Wish::Listen(listens) => Some(listens.cancel()),
        Wish::Cancel(_) => None,
    }
}
