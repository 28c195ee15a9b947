//! What is imported from an OpenSSH client: `known_hosts` and configurations. The first byte says which.
#![no_main]

use keyward::sshconfig::{Config, Loaded, Surroundings, known_hosts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, file)) = bytes.split_first() else { return };
    if first & 1 == 0 {
        let read = known_hosts::read("known_hosts", file);
        for line in &read.lines {
            let _ = (line.places(), line.covers("web-1"), line.is_hashed());
        }
        return;
    }
    let (root, included) = file.split_at(file.iter().position(|b| *b == 0).unwrap_or(file.len()));
    let loaded = |name: &str, bytes: &[u8]| Loaded { name: name.to_owned(), bytes: Ok(bytes.to_vec()) };
    let included = included.get(1..).unwrap_or_default();
    let config = Config::read(vec![loaded("config", root)], &mut |_, _| vec![loaded("included", included)]);
    let around = Surroundings { user: "alice".to_owned(), home: "/home/alice".to_owned(), uid: 1000 };
    for alias in config.aliases().iter().take(20) {
        let settings = config.settings(&alias.name, &around);
        for file in &settings.identity_files {
            let _ = keyward::sshconfig::expand_path(file, &alias.name, &settings, &around);
        }
    }
});
