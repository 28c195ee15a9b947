//! Checks: policies in the grammar of Wazuh's SCA files, what they need to know of a host, and what its answers make of them.
//! Pure: text in, states out. Never asks a host.

mod answer;
mod ask;
mod error;
mod evaluate;
mod expression;
mod listing;
mod osregex;
mod pattern;
mod pcre;
mod policy;
mod read;
mod result;
mod rule;
mod show;
mod variables;
mod yaml;

pub use error::{PolicyError, Warning};
pub use policy::{Check, Condition, Policy, Requirements};
pub use read::{parse, parse_all};
pub use result::Checked;
pub use rule::Rule;

#[cfg(test)]
mod tests;
