//! Keyward: an SSH connection broker that injects vault credentials just in time.
//!
//! The rooms stand on floors; a room imports only rooms on lower floors (`tests/house.rs` checks it):
//!
//! 0. ground: [`secret`], [`scrub`], [`fault`], [`clock`], [`model`], [`render`], [`masking`], [`probes`], [`facts`],
//!    [`checks`], [`advisories`], [`report`], [`screen`], [`sshconfig`], [`sftp`] — nouns, no I/O (but [`advisories`] reads the archives that it is given)
//! 1. law and ledger: [`authz`], [`store`]
//! 2. witnesses: [`audit`], [`authn`]
//! 3. strongroom: [`vault`], [`sources`], [`custody`]
//! 4. wires: [`tcp`], [`target`], [`relay`]
//! 5. living room: [`sessions`]
//! 6. desks: [`approvals`], [`rotation`], [`scans`]
//! 7. counter: [`control`], [`inbox`], [`picker`], [`cli`]
//! 8. doors: [`mcp`], [`front`], [`socket`]
//! 9. roof: [`config`], [`daemon`]

pub mod advisories;
pub mod checks;
pub mod clock;
pub mod facts;
pub mod fault;
pub mod masking;
pub mod model;
pub mod probes;
pub mod render;
pub mod report;
pub mod screen;
pub mod scrub;
pub mod secret;
pub mod sftp;
pub mod sshconfig;

pub mod authz;
pub mod ssh_agent;
pub mod store;

pub mod audit;
pub mod authn;

pub mod custody;
pub mod sources;
pub mod vault;

pub mod relay;
pub mod target;
pub mod tcp;

pub mod sessions;

pub mod approvals;
pub mod rotation;
pub mod scans;

pub mod cli;
pub mod control;
pub mod inbox;
pub mod picker;

pub mod front;
pub mod mcp;
pub mod socket;

pub mod config;
pub mod daemon;
