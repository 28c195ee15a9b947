//! The limits of scans, each a key of `[scans]` in `broker.toml`.

use std::path::PathBuf;
use std::time::Duration;

/// Limits, each a key of `[scans]` in `broker.toml`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Hosts that one scan asks at once; a person may ask for fewer.
    pub parallel: usize,
    /// Hosts in one scan.
    pub hosts: usize,
    /// Scans that run at once.
    pub runs: usize,
    /// The longest that one probe may take.
    pub probe_timeout: Duration,
    /// How long one host may take.
    pub host_timeout: Duration,
    /// How long results are kept.
    pub keep: Duration,
    /// The folder with OSV's archives, for vulnerabilities.
    pub osv: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            parallel: 16,
            hosts: 1000,
            runs: 4,
            probe_timeout: Duration::from_secs(60),
            host_timeout: Duration::from_secs(120),
            keep: Duration::from_secs(90 * 24 * 3600),
            osv: None,
        }
    }
}
