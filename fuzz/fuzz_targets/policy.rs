//! Policies of scans: YAML, conditions and expressions that somebody hands in.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    if let Err(refused) = keyward::checks::parse("policy.yml", text) {
        let _ = refused.to_string();
    }
});
