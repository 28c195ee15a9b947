//! The life of a credential on its hosts: tried, installed, rotated. Hosts are reached through sessions, secrets pass only from the
//! vault into a channel: nothing is decrypted here, and what stands in the database is enough to go on after any interruption.

mod conduct;
mod desk;
mod error;
mod hosts;
mod install;
mod passwords;
mod place;
pub mod script;
mod visit;

pub use conduct::{Left, Outcome, Wish};
pub use desk::{Parts, Plan, PlannedHost, Rotations, Tested, Who};
pub use error::Error;
pub use install::{CA_COMMENT, Installed, Installing};
