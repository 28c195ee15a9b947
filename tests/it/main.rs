//! Keyward against real peers: OpenSSH on both sides, dropbear, PuTTY, paramiko, asyncssh. Most scenarios run twice,
//! straight to the host and through the broker, and what a client can see is compared.
//!
//! `make test` installs the peers (scripts/test-peers.sh) and runs everything. Each test starts what it needs on ports and in
//! folders of its own (`world/`), so that tests run side by side.

// A test says what went wrong by panicking, and a task that it lost by a time limit; the build's kind is a constant.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::assertions_on_constants)]

mod world;

mod approvals;
mod attacks;
mod audit;
mod backup;
mod certificates;
mod certificates_in;
mod channels;
mod chosen_codes;
mod client_matrix;
mod commands;
mod connection_habits;
mod credentials;
mod credentials_document;
mod crowd;
mod daemon;
mod disk;
mod endings;
mod evil;
mod files;
mod flat_memory;
mod forwards;
mod host_keys;
mod host_matrix;
mod hostile_clients;
mod hostile_hosts;
mod imports;
mod inbox;
mod jump_in;
mod logs;
mod mcp;
mod notices;
mod old_hosts;
mod other_clients;
mod own_host_keys;
mod people;
mod personal;
mod picker;
mod picker_ends;
mod remote_forwards;
mod root_key;
mod rotation;
mod scan_crowd;
mod scans;
mod scopes;
mod sealed;
mod sealed_start;
mod second_key;
mod side_doors;
mod sources;
mod sudo_password;
mod tampering;
mod targets;
mod terminal;
mod totp;
mod transfers;
mod trust;
mod upkeep;
mod vault_rotation;
mod verbs;
mod via;
mod ways_and_ends;
mod workspaces;
mod wrong_input;
