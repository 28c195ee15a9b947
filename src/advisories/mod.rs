//! Advisories: OSV's offline archives, and which of them concern the packages of a host. Reads the archives that it is given;
//! never the network.
//!
//! [`ecosystem`] says which of OSV's releases a host runs, [`look_up`] what concerns its packages, and [`compare`] what of it is new.
//! What a record does not tell, this does not know either: whether a kernel that is installed is the one that runs, whether a
//! host has the fixes of a paid channel (Ubuntu Pro, extended updates of Red Hat) — they are compared with the release's own
//! records — and whether a release still gets records at all.

mod archive;
mod compare;
mod evaluate;
mod found;
mod installed;
mod look_up;
mod module_stream;
mod order;
mod record;
mod release;
mod severity;
#[cfg(test)]
mod tests;
mod types;
mod zip;

pub use compare::compare;
pub use look_up::look_up;
pub use release::ecosystem;
pub use types::{Advised, Coverage, Severity};
