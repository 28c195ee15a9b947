//! The wire to a host: dial, prove the host's key, spend a lease, open channels. Knows nothing of the person's side;
//! sends nothing of a credential before the host's key was proven and is the pinned one.

mod announced;
mod certificate;
mod config;
mod connection;
mod dial;
mod error;
mod forwards;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod handler;
mod interactive;
mod legacy;
mod login;
mod offers;
mod opens;
mod password;
mod preamble;
mod sudo;
mod through;

pub use announced::{Announced, Announcement, MOST_HOST_KEYS};
pub use config::Config;
pub use connection::{Connection, HostChannel};
pub use dial::{Dialed, Trust, dial, look_up, probe};
pub use error::{Error, ProvenKey};
pub use interactive::Prompt;
pub use opens::{AtDoor, HostOpens};
pub use password::send_new_password;
pub use sudo::send_password;
