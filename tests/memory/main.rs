//! The canary: distinctive secrets are given to a broker, every path is taken, and after each the broker's whole memory is
//! searched for any eight bytes of them, raw, as a number, as hex, as base64, as JSON. Nothing may be found.
//!
//! A debug build keeps pieces of secrets in registers that the compiler spilled, so this runs against the release build:
//! `cargo test --release`, or `make test`, which also installs the hosts.

// A test says what went wrong by panicking, and a task that it lost by a time limit; the build's kind is a constant.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::assertions_on_constants)]

/// As the release binary has it, for the processes of `unwind` and `sudo`.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

#[path = "../it/world/mod.rs"]
mod world;

mod control;
mod hardening;
mod imports;
mod made;
mod opened;
mod paths;
mod rooms;
mod root_key;
mod scan;
mod sealed;
mod secrets;
mod seeds;
mod sources;
mod sudo;
mod totp;
mod unwind;
