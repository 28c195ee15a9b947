//! `[root_key]`: where the root key comes from, as it is written. What is made of it is the daemon's business.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The source's word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RootSource {
    /// A credential of systemd if there is one and no file is named, else a file.
    #[default]
    Auto,
    /// A file.
    File,
    /// A credential of systemd.
    Credential,
    /// A file that a passphrase opens.
    Passphrase,
    /// A program.
    Command,
}

/// Everything that can be set about it, but for the file: that is `root_key` in `[vault]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootKey {
    /// The source.
    pub source: RootSource,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Its environment: `NAME=VALUE`, or `NAME` for what the daemon itself has.
    pub environment: Vec<String>,
    /// After how long a source that failed is tried again, the daemon being sealed meanwhile; zero: the daemon ends.
    pub retry: Duration,
    /// The folder of the anchor, if not beside the root key.
    pub anchor: Option<PathBuf>,
}

impl std::str::FromStr for RootSource {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "file" => Ok(Self::File),
            "credential" => Ok(Self::Credential),
            "passphrase" => Ok(Self::Passphrase),
            "command" => Ok(Self::Command),
            other => Err(format!("`{other}` is no source: write \"auto\", \"file\", \"credential\", \"passphrase\" or \"command\"")),
        }
    }
}

impl RootKey {
    /// What does not fit together, with the key that it is about.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let program = self.command.first();
        if program.is_some_and(|program| !Path::new(program).is_absolute()) {
            return Err(("command", "`command` begins with the absolute path of a program; no shell reads it".to_owned()));
        }
        if self.source == RootSource::Command && program.is_none() {
            return Err(("source", "`source = \"command\"` needs a `command`: [\"/path/of/program\", \"argument\"]".to_owned()));
        }
        let named = |entry: &String| {
            let name = entry.split('=').next().unwrap_or_default();
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !entry.contains('\0')
        };
        if let Some(bad) = self.environment.iter().find(|entry| !named(entry)) {
            let bad = crate::model::printable(bad.split('=').next().unwrap_or_default(), 80);
            return Err(("environment", format!("`{bad}` is no variable: write \"NAME=VALUE\", or \"NAME\" for the daemon's own")));
        }
        if self.command.iter().any(|word| word.contains('\0')) {
            return Err(("command", "`command` has a zero byte".to_owned()));
        }
        let seconds = self.retry.as_secs();
        if !self.retry.is_zero() && !(1..=3600).contains(&seconds) {
            return Err(("retry", "`retry` must be \"0s\", or lie between 1 s and 1 h".to_owned()));
        }
        if self.anchor.as_ref().is_some_and(|folder| !folder.is_absolute()) {
            return Err(("anchor", "`anchor` must be an absolute path".to_owned()));
        }
        Ok(())
    }
}
