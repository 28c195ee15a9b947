//! Keyward: an SSH connection broker that injects vault credentials just in time.
//!
//! The rooms stand on floors; a room imports only rooms on lower floors (`tests/house.rs` checks it):
//!
//! 0. ground: [`secret`], [`fault`], [`clock`], [`model`] — nouns, no I/O
//! 1. law and ledger: [`authz`], [`store`]
//! 2. witness: [`audit`]

pub mod clock;
pub mod fault;
pub mod model;
pub mod secret;

pub mod authz;
pub mod store;

pub mod audit;

pub mod vault;
pub mod custody;

pub mod target;

pub mod sessions;

pub mod cli;
pub mod control;

pub mod socket;

pub mod front {
    //! The ssh server's room.
    pub mod console;
}
