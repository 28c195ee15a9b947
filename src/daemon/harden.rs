//! What the kernel and the loader can do so that memory stays where it is and says nothing: no core, no ptrace by the same user, no
//! swap, no registers on stacks.

use std::os::unix::process::CommandExt;
use std::process::Command;

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

/// The loader's switch, see ld.so(8).
const BIND_NOW: &str = "LD_BIND_NOW";

/// Starts the program anew, in the same process, with all symbols bound at the start. The C library binds its own on first use, and
/// the loader saves all vector registers on the stack meanwhile: whatever was copied last lies there then, long after whoever copied
/// it has overwritten its own stack (`_dl_runtime_resolve_xsavec`; a line of a private key was found so). Where that cannot be
/// done, the program goes on as it is; the note is for the log.
#[cfg(target_env = "gnu")]
pub(super) fn bind_now() -> Option<String> {
    if crate::cli::place::var(BIND_NOW).is_some() {
        return None;
    }
    let mut own = std::env::args_os();
    let name = own.next().unwrap_or_else(|| "keyward".into());
    let failed = match std::env::current_exe() {
        Ok(program) => Command::new(program).arg0(name).args(own).env(BIND_NOW, "1").exec(),
        Err(e) => e,
    };
    Some(format!("symbols are bound late ({failed}), so registers may be left on stacks: start it with {BIND_NOW}=1"))
}

/// Other C libraries bind all symbols at the start anyway.
#[cfg(not(target_env = "gnu"))]
pub(super) fn bind_now() -> Option<String> {
    None
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
