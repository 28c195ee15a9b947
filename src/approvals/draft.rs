//! What an agent hands in, and whether it can be a command at all.

use std::time::Duration;

use super::config::Config;
use super::error::Error;
use crate::model::{Name, SessionId};

/// The most variables of one command.
const MOST_ENV: usize = 32;
/// The longest name of a variable, in bytes.
const ENV_NAME: usize = 64;
/// The longest value of a variable, in bytes.
const ENV_VALUE: usize = 4096;
/// The longest description of its own that an agent may give, in characters.
pub(super) const CLAIM: usize = 1000;

/// A command that an agent would like to run.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    /// On which host.
    pub host: Name,
    /// On which session's connection; `None`: the newest that its person has to that host.
    pub session: Option<SessionId>,
    /// The bytes.
    pub command: Vec<u8>,
    /// What it reads.
    pub stdin: Vec<u8>,
    /// Variables to set.
    pub env: Vec<(String, String)>,
    /// How long it may run, in whole seconds; `None`: as long as the broker lets commands run by default.
    pub timeout: Option<Duration>,
    /// What the agent says of it.
    pub claim: Option<String>,
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draft").field("host", &self.host).field("bytes", &self.command.len()).finish_non_exhaustive()
    }
}

impl Draft {
    /// A command without input, variables or a word about it.
    pub fn new(host: Name, command: Vec<u8>) -> Self {
        Self { host, session: None, command, stdin: Vec::new(), env: Vec::new(), timeout: None, claim: None }
    }

    /// What it takes in the database, in bytes.
    pub(super) fn size(&self) -> usize {
        let env: usize = self.env.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.command.len() + self.stdin.len() + env + self.claim.as_ref().map_or(0, |c| c.len().min(4 * CLAIM))
    }

    /// Whether it is within the bounds.
    ///
    /// # Errors
    /// [`Error::Unfit`] or [`Error::TooLong`].
    pub(super) fn check(&self, config: &Config) -> Result<(), Error> {
        if self.command.iter().all(u8::is_ascii_whitespace) {
            return Err(Error::Unfit("the command is empty"));
        }
        if self.command.contains(&0) {
            // A host's shell would stop there: what runs would be less than what was approved.
            return Err(Error::Unfit("the command holds a NUL byte"));
        }
        let bound = |what, length: usize, most: usize| if length > most { Err(Error::TooLong { what, length, most }) } else { Ok(()) };
        bound("command", self.command.len(), config.command)?;
        bound("standard input", self.stdin.len(), config.stdin)?;
        bound("list of variables", self.env.len(), MOST_ENV)?;
        for (name, value) in &self.env {
            let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
            if !first || name.len() > ENV_NAME || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(Error::Unfit("a variable's name is made of letters, digits and `_`"));
            }
            if value.contains('\0') {
                return Err(Error::Unfit("a variable's value holds a NUL byte"));
            }
            bound("variable", value.len(), ENV_VALUE)?;
        }
        if self.timeout.is_some_and(|t| t.is_zero() || t > config.longest || t.subsec_nanos() != 0) {
            return Err(Error::Timeout { most: config.longest });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_command_is_refused() {
        let config = Config::default();
        let with = |command: &[u8]| Draft::new("web-1".parse().unwrap(), command.to_vec());
        assert!(with(b"df -h").check(&config).is_ok());
        assert!(with(b"df -h\nls").check(&config).is_ok());
        for bad in [&b""[..], b" \n\t ", b"df\0-h"] {
            assert!(with(bad).check(&config).is_err(), "{bad:?}");
        }
        assert!(with(&vec![b'x'; config.command + 1]).check(&config).is_err());
        let env = |name: &str, value: &str| Draft { env: vec![(name.to_owned(), value.to_owned())], ..with(b"x") };
        assert!(env("TZ", "UTC").check(&config).is_ok());
        for (name, value) in [("", "x"), ("1A", "x"), ("A-B", "x"), ("A\n", "x"), ("A", "x\0y"), ("A", &"x".repeat(ENV_VALUE + 1))] {
            assert!(env(name, value).check(&config).is_err(), "{name}={value}");
        }
        for timeout in [Duration::ZERO, Duration::from_millis(1500), config.longest + Duration::from_secs(1)] {
            assert!(Draft { timeout: Some(timeout), ..with(b"x") }.check(&config).is_err());
        }
    }
}
