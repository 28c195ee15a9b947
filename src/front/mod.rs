//! The ssh door: untrusted bytes come in here. Listens, signs people in, hands them to a session or the console;
//! only translates. Knows no vault, no ledger and no wire to a host.

mod agents;
mod config;
pub mod console;
mod crowd;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod handler;
mod host_keys;
mod jump;
mod listener;
mod notices;
mod peek;
mod picker;
mod sealed;
mod selector;
mod verbs;

pub use config::{Config, Escape, Tuning};
pub use crowd::Crowd;
pub use handler::Doorway;
pub use host_keys::{HostKeys, load_or_make};
pub use listener::{Listener, Workers};
pub use selector::{Selector, SelectorError};
