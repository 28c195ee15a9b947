//! What OpenSSH's client keeps in text: `known_hosts`, and the configuration of `ssh`. Pure: text in, values out. Never
//! reads a file, asks nobody, and runs nothing that a configuration names.

mod config;
pub mod known_hosts;
mod name;
mod pattern;
mod settings;
#[cfg(test)]
mod tests;
mod words;

pub use config::{Alias, Config, Loaded};
pub use name::valid_name;
pub use settings::{Settings, Surroundings, expand_hostname, expand_path};

/// The longest file, in bytes.
pub const MAX_FILE: usize = 1024 * 1024;
/// The longest line, in bytes: a key of RSA with 16384 bits takes 2800.
pub const MAX_LINE: usize = 16 * 1024;

/// A line that is not understood, or could not be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The file, as it was named.
    pub file: String,
    /// Counted from 1; 0: the file as a whole.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// The lines of a file with their numbers, and why some are not looked at.
fn lines(bytes: &[u8], mut bad: impl FnMut(usize, &'static str)) -> Vec<(usize, &str)> {
    let mut out = Vec::new();
    for (at, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let number = at + 1;
        if line.len() > MAX_LINE {
            bad(number, "it is too long");
        } else if line.contains(&0) {
            bad(number, "it holds a NUL byte");
        } else {
            match std::str::from_utf8(line) {
                Ok(text) => out.push((number, text)),
                Err(_) => bad(number, "it is no UTF-8"),
            }
        }
    }
    out
}
