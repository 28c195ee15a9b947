//! The daemon's log: Keyward's own messages and nobody else's, so that no library can print what it handles.

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::{Config, LogFormat};

/// Changes the level while the daemon runs.
pub(super) struct LogLevel {
    handle: reload::Handle<Targets, Registry>,
    /// `--verbose` was given: it wins over the file.
    verbose: bool,
}

fn only_ours(level: Level) -> Targets {
    // Not set by RUST_LOG: a library's debug messages may hold what must not be printed.
    Targets::new().with_target("keyward", LevelFilter::from_level(level)).with_default(LevelFilter::OFF)
}

/// Starts logging to standard error.
pub(super) fn start(config: &Config, verbose: bool, json: bool) -> LogLevel {
    let level = if verbose { Level::DEBUG } else { config.log_level };
    let (filter, handle) = reload::Layer::new(only_ours(level));
    let base = fmt::layer().with_writer(std::io::stderr);
    let layer = if json || config.log_format == LogFormat::Json {
        base.json().boxed()
    } else {
        base.with_ansi(rustix::termios::isatty(std::io::stderr())).boxed()
    };
    let started = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    debug_assert!(started.is_ok() || cfg!(test), "logging was started twice");
    LogLevel { handle, verbose }
}

impl LogLevel {
    /// Sets the level that the file names.
    pub(super) fn set(&self, level: Level) {
        let _ = self.handle.reload(only_ours(if self.verbose { Level::DEBUG } else { level }));
    }
}
