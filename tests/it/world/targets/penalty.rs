//! A host that keeps an address away after failed sign-ins, as OpenSSH does since 9.8.

use std::path::Path;

use super::{Plan, Target};

/// Seconds of penalty from which on OpenSSH refuses an address.
const ENFORCED: u32 = 15;

impl Target {
    /// A Debian that behaves as with `PerSourcePenalties`: a connection whose sign-in failed costs the address five seconds, one that
    /// did not try costs one, and at fifteen it is turned away with one line of text. Debian 12's OpenSSH does not know the option, so
    /// the door reckons, from the server's log; here no penalty runs out. `visitor` (no rights) signs in with a key.
    #[track_caller]
    pub(crate) fn penalty(dir: &Path) -> Self {
        let mut plan = Plan::debian(dir);
        let key = plan.key("key");
        plan.keyed("visitor", "/bin/sh", &key);
        plan.start_behind(|place| {
            let log = place.log_file().to_owned();
            Some(Box::new(move || {
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                if text.lines().map(cost).sum::<u32>() < ENFORCED { Ok(()) } else { Err("Not allowed at this time\r\n") }
            }))
        })
    }
}

/// Seconds that a line of the log costs: it tells of the end of a connection that had not signed in.
fn cost(line: &str) -> u32 {
    let ends = ["Connection closed by ", "Connection reset by ", "Disconnected from ", "Disconnecting "];
    if !line.ends_with("[preauth]") || !ends.iter().any(|e| line.starts_with(e)) {
        0
    } else if line.contains("authenticating user") || line.contains("invalid user") {
        5
    } else {
        1
    }
}
