//! The binary: arguments → cli → exit status. Nothing else happens here.

use std::process::ExitCode;

use keyward::cli::{self, Exit, Failure};
use keyward::daemon;

/// Every freed block is overwritten, so that no library's copy of a secret outlives its use.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    // A panic is a defect; it has an exit status of its own, and its message is on standard error already.
    let run = || {
        let serve = |options| daemon::serve(options).map_err(|e| Failure::of(&e));
        cli::run(std::env::args_os(), serve, daemon::stopped, daemon::root_key)
    };
    std::panic::catch_unwind(run).unwrap_or_else(|_| ExitCode::from(Exit::Bug.status()))
}
