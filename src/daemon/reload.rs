//! SIGHUP: reads the configuration again and says what of it waits for a restart.

use std::path::PathBuf;

use super::logging::LogLevel;
use crate::cli::ServeOptions;
use crate::config::{self, Config};
use crate::fault::Fault;

/// What is needed to read it again.
pub(super) struct Reload {
    pub(super) options: ServeOptions,
    pub(super) config_path: Option<PathBuf>,
    pub(super) log_level: LogLevel,
}

impl Reload {
    /// Reads the file again. `Some` with the front's new limits; a mistake in the file is logged and changes nothing.
    pub(super) fn again(&self, running: &Config) -> Option<Config> {
        let path = self.config_path.clone().or_else(|| config::path(None, &self.options.home));
        let mut fresh = match config::load(path.as_deref()) {
            Ok(fresh) => fresh,
            Err(error) => {
                tracing::error!(target: "keyward::daemon", hint = error.hint(), "the configuration was not read again: {error}");
                return None;
            }
        };
        if self.options.listen.is_some() {
            fresh.listen = running.listen;
        }
        self.log_level.set(fresh.log_level);
        for key in fresh.needs_restart(running) {
            tracing::warn!(target: "keyward::daemon", key, "this key takes effect after a restart");
        }
        tells_of_tcp(&fresh);
        tracing::info!(target: "keyward::daemon", "the configuration was read again");
        Some(fresh)
    }
}

/// Says so where the kernel does not take the congestion control that is configured. The broker serves all the same.
pub(super) fn tells_of_tcp(config: &Config) {
    if let Err(why) = crate::tcp::try_out(&config.front.congestion_control) {
        let name = &config.front.congestion_control;
        let hint = "sysctl net.ipv4.tcp_available_congestion_control has what the kernel knows";
        tracing::warn!(target: "keyward::daemon", congestion_control = name, hint, "connections keep the machine's own: {why}");
    }
}
