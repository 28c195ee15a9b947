//! Facts of a host: which probes gather them, how answers become facts, and what changed between two times. Pure.

mod accounts;
mod diff;
mod gather;
mod inventory;
mod kernel;
mod keys;
mod listening;
mod packages;
mod reading;
mod reboot;
mod rules;
mod services;
mod system;
mod types;

pub use diff::diff;
pub use gather::gather;
pub use inventory::inventory;
pub use types::*;

#[cfg(test)]
mod tests;
