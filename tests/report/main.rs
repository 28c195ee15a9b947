//! Reports against readers that others wrote: JSON, SARIF, CycloneDX and JUnit against schemas and parsers, the page of HTML in a
//! real browser. Host names, packages and answers of the sample are partly hostile.
//!
//! `make test` installs what is needed (`scripts/test-peers.sh`).

// A test says what went wrong by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod browser;
mod readers;
mod sample;
