//! From what the configuration says about the root key to where it comes from, and where the anchor of this home lies.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::anchor::Anchor;
use super::{Error, home};
use crate::cli::place;
use crate::config::{Config, RootSource};
use crate::vault::root::{CREDENTIAL, GivenUp, Program, Source};

/// Where systemd says a service's credentials are.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// What the daemon does for its root key.
#[derive(Clone, Debug)]
pub(super) struct Root {
    pub(super) source: Source,
    /// The anchor's file.
    pub(super) anchor: PathBuf,
    /// After how long a source that failed is tried again; zero: never.
    pub(super) retry: Duration,
}

impl Root {
    /// As the configuration says.
    ///
    /// # Errors
    /// [`Error::NoCredentials`].
    pub(super) fn of(config: &Config, home: &Path) -> Result<Self, Error> {
        let default = || home::default_root_key(home);
        let file = config.root_key.clone().unwrap_or_else(default);
        let credential = place::var(CREDENTIALS).map(|directory| PathBuf::from(directory).join(CREDENTIAL));
        let source = match config.root.source {
            RootSource::Auto => match credential.filter(|path| config.root_key.is_none() && path.symlink_metadata().is_ok()) {
                Some(path) => Source::Credential(path),
                None => Source::File(file.clone()),
            },
            RootSource::File => Source::File(file.clone()),
            RootSource::Passphrase => Source::Passphrase(file.clone()),
            RootSource::Credential => Source::Credential(credential.ok_or(Error::NoCredentials)?),
            RootSource::Command => Source::Command(program(config)),
        };
        let anchor = Self::anchor(&source, config, home);
        Ok(Self { source, anchor, retry: config.root.retry })
    }

    /// Where the anchor lies: in the folder that was named for it, else beside the root key, or where that would lie.
    pub(super) fn anchor(source: &Source, config: &Config, home: &Path) -> PathBuf {
        let beside = match (&config.root.anchor, source.own_file()) {
            (Some(folder), _) => folder.join("keyward"),
            (None, Some(file)) => file.clone(),
            (None, None) => config.root_key.clone().unwrap_or_else(|| home::default_root_key(home)),
        };
        Anchor::path(&beside, home)
    }
}

/// The program of the configuration, with the environment that it is given.
pub(super) fn program(config: &Config) -> Program {
    let mut words = config.root.command.iter();
    let path = words.next().map(PathBuf::from).unwrap_or_default();
    let variable = |entry: &String| match entry.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.into())),
        None => Some((entry.clone(), place::var(entry)?)),
    };
    Program {
        path,
        arguments: words.cloned().collect(),
        environment: config.root.environment.iter().filter_map(variable).collect(),
        given_up: GivenUp::default(),
    }
}
