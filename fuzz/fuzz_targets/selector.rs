//! The user name of a client: whatever is taken has one reading, and is nothing that a terminal obeys.
#![no_main]

use keyward::front::Selector;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(read) = text.parse::<Selector>() else { return };
    assert!(text.is_ascii() && !text.bytes().any(|b| b.is_ascii_control()));
    let mut again = String::new();
    if let Some(person) = &read.person {
        again += &format!("{person}+");
    }
    if let Some(credential) = &read.credential {
        again += &format!("{credential}@");
    }
    if let Some(workspace) = &read.workspace {
        again += &format!("{workspace}=");
    }
    again += &read.host.to_string();
    assert_eq!(again.parse::<Selector>().expect("what is shown is read"), read);
});
