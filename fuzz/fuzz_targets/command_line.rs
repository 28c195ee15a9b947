//! A verb that somebody types over ssh: split as a shell does, then read by the grammar.
#![no_main]

use clap::Parser as _;
use keyward::cli::grammar::Cli;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if text.len() > 4096 {
        return;
    }
    let Ok(words) = shell_words::split(text) else { return };
    if let Err(refused) = Cli::try_parse_from(std::iter::once("keyward".to_owned()).chain(words)) {
        let _ = refused.to_string();
    }
});
