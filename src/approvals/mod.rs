//! Journey 2: an agent proposes, its person approves, the exact bytes run on the connection that this person opened.
//! Never approves by itself, never takes what runs from anywhere but the approved proposal, never sees a credential.

mod allowance;
mod config;
mod decide;
mod desk;
mod draft;
mod error;
mod journey;
mod output;
mod owed;
mod propose;
mod restart;
mod signature;
mod taken_back;
#[cfg(test)]
mod tests;
mod wanted;

pub use allowance::{Again, Allowance};
pub use config::Config;
pub use desk::{Approvals, Decided, Parts, PlanTicket, Snapshot, Ticket};
pub use draft::Draft;
pub use error::Error;
pub use output::{Output, Part, Stream, Tally};
pub use restart::settle_left_behind;
pub use signature::{NAMESPACE, SignatureError, verify_signature};
pub use wanted::Wanted;
