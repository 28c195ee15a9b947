//! The parsers beside OpenSSH's own programs, and under bytes that nobody would write.

mod against_ssh;
mod hostile;
mod known;

use super::{Config, Loaded, Surroundings};

/// A configuration of one text.
fn config(text: &str) -> Config {
    let root = Loaded { name: "config".to_owned(), bytes: Ok(text.as_bytes().to_vec()) };
    Config::read(vec![root], &mut |_, _| Vec::new())
}

fn around() -> Surroundings {
    Surroundings { user: "alice".to_owned(), home: "/home/alice".to_owned(), uid: 1000 }
}
