//! What Keyward needs of its SSH library, as tests: one module per patch in
//! `patches/russh/`. A failure here after a change of release says which patch
//! is missing. `scripts/russh-stock.sh` runs the same tests against the
//! published library and shows which of them fail there.

// A test says what went wrong by panicking, and a task that it lost by a time limit; the build's kind is a constant.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::assertions_on_constants)]

mod announced_host_keys;
mod answered_host_keys;
mod certificates;
mod close;
mod close_answer;
mod flow_control;
mod full_duplex;
mod give_way;
mod growing_window;
mod hooks;
mod later_replies;
mod memory;
mod one_pass;
mod one_refusal;
mod one_write;
mod order;
mod packets_per_turn;
mod queue_limits;
mod receive_in_place;
mod repeated_service;
mod replies;
mod security_keys;
mod security_keys_seen;
mod small_messages;
mod standing_timers;
mod support;
mod texts;
mod wipe_key_exchange;
mod wipe_sign_in_buffers;
