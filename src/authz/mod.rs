//! The law: who may do what. Decides on values that were read before; never reads, writes or waits itself.
//!
//! Only this room makes a [`Permit`].

mod guard;
mod permit;
mod policy;
mod trial;

pub use guard::Guard;
pub use permit::{Decision, Denial, PERMIT_LIFE, Permit, Reach};
pub use policy::{Considered, Facts, Judgement, Request, decide, explain, gains_by_a_code, with_second};
pub use trial::decide_trial;
