//! The witness: an append-only, hash-chained log in the ledger, with signed checkpoints outside it.
//!
//! Only this room makes an [`Audited`], and only after the entry is durable. It never decides and never holds a key.

mod chain;
mod checkpoint;
mod files;
mod log;
mod verify;
mod vouchers;

pub use chain::{Entry, GENESIS, hex};
pub use checkpoint::{Checkpoint, Config as CheckpointConfig, Signer};
pub use log::{Audited, Error, Log};
pub use verify::{Lie, Verdict, verify};
pub use vouchers::{Vouchers, hand_over};
