//! What the kernel can do so that memory stays where it is: no core, no ptrace by the same user, no swap.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Lets the process have as many files as the system's administrator allows: each connection is up to three.
pub(super) fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Keeps glibc from giving memory back to the kernel and faulting it in again: a GiB that is relayed cost a million page
/// faults. Freeing one large block raises its thresholds for good (mallopt(3), `M_MMAP_THRESHOLD`, "dynamic"); other
/// allocators are not impressed.
pub(super) fn settle_allocator() {
    // The largest size that counts: DEFAULT_MMAP_THRESHOLD_MAX on 64 bits, less the block's own header.
    let block = vec![0u8; 32 * 1024 * 1024 - 64 * 1024];
    drop(std::hint::black_box(block));
}

/// Hardens the process; returns what could not be done, for the log.
pub(super) fn harden() -> Vec<String> {
    let mut notes = Vec::new();
    if let Err(e) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        notes.push(format!("the process stays dumpable: {e}"));
    }
    if let Err(e) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        notes.push(format!("core dumps stay possible: {e}"));
    }
    // With a limit, locking what comes later would make allocations fail once it is reached, so it is all or nothing.
    let unlimited = getrlimit(Resource::Memlock).current.is_none() || rustix::process::geteuid().is_root();
    let locked = if unlimited {
        mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)
    } else {
        Err(rustix::io::Errno::PERM)
    };
    if let Err(e) = locked {
        notes.push(format!(
            "memory is not locked ({e}), so it could reach the swap; give the service LimitMEMLOCK=infinity, or encrypt the swap"
        ));
    }
    notes
}
