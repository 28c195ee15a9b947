//! Scans: facts and checks over many hosts, one short lease each. Starting one is a person's act, which approves exactly the digest of
//! its probes and policies. Reaches hosts only through sessions; never sees a secret, writes nothing on a host, starts nothing by itself.

mod asking;
mod config;
mod desk;
mod error;
mod ledger;
mod pack;
mod plan;
pub mod profiles;
mod result;
mod run;
mod sudo;

pub use config::Config;
pub use desk::{HostDiff, Listed, Parts, Scans, Started, settle_left_behind, sha256_of};
pub use error::Error;
pub use plan::{Osv, Plan, PlannedHost, Who, Wish, frame};
pub use run::{HostLine, Progress};
