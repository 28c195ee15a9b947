//! What `broker.toml` at the root promises: every key, its default, nothing else.

use std::path::Path;

use super::file::File;
use super::*;

const ROOT: &str = include_str!("../../broker.toml");

#[test]
fn the_file_at_the_root_names_every_key_with_its_default() {
    let file: File = toml::from_str(ROOT).unwrap();
    assert_eq!(file.missing(), Vec::<&str>::new(), "keys without a line in broker.toml");
    let written = format!("{:?}", parse(ROOT, Path::new("broker.toml")).unwrap());
    assert_eq!(written, format!("{:?}", Config::default()));
}

#[test]
fn every_key_has_one_line_that_says_what_it_is() {
    for (i, line) in ROOT.lines().enumerate() {
        if line.contains(" = ") && !line.trim_start().starts_with('#') {
            assert!(line.contains(" # "), "line {}: {line}", i + 1);
        }
    }
}

#[test]
fn mistakes_name_file_line_and_what_to_write() {
    for (text, line, says) in [
        ("[listen]\nadress = \"127.0.0.1:2222\"\n", 2, "unknown field `adress`"),
        ("[limits]\n\nsign_in_time = \"30\"\n", 3, "30s"),
        ("[limits]\nsign_in_time = 30\n", 2, "30s"),
        ("[store]\nreserve = \"64MB\"\n", 2, "64MiB"),
        ("[limits]\nfailures_per_address = \"many\"\n", 2, "30/min"),
        ("[listen]\naddress = \"localhost\"\n", 2, "socket address"),
        ("[mcp]\nlisten = \"0.0.0.0:2223\"\n", 2, "loopback alone: write 127.0.0.1:2223"),
        ("[mcp]\nlisten = \"localhost:2223\"\n", 2, "for instance 127.0.0.1:2223"),
        ("[log]\nformat = \"xml\"\n", 2, "\"json\""),
        ("[daemon]\nworkers = 1000\n", 2, "between 0 and 256"),
        ("[vault]\nroot_key = \"relative\"\n", 2, "absolute"),
        ("[root_key]\nsource = \"environment\"\n", 2, "\"passphrase\" or \"command\""),
        ("[root_key]\nsource = \"command\"\n", 2, "needs a `command`"),
        ("[root_key]\ncommand = [\"pass\", \"show\"]\n", 2, "absolute path of a program"),
        ("[root_key]\ncommand = \"/usr/bin/pass show x\"\n", 2, "sequence"),
        ("[root_key]\nenvironment = [\"=x\"]\n", 2, "NAME=VALUE"),
        ("[root_key]\nretry = \"2h\"\n", 2, "between 1 s and 1 h"),
        ("[root_key]\nanchor = \"here\"\n", 2, "absolute"),
        ("[ssh]\ncongestion_control = \"the best\"\n", 2, "the name of an algorithm"),
        ("[nonsense]\n", 1, "unknown field `nonsense`"),
        ("[listen\n", 1, ""),
    ] {
        let error = parse(text, Path::new("/etc/broker.toml")).unwrap_err();
        let shown = error.to_string();
        assert!(shown.starts_with(&format!("/etc/broker.toml:{line}: ")), "{text:?}: {shown}");
        assert!(shown.contains(says), "{text:?}: {shown}");
    }
}

#[test]
fn what_waits_for_a_restart_is_named_by_its_key() {
    let read = |text: &str| parse(text, Path::new("broker.toml")).unwrap();
    let changed = |text: &str| read(text).needs_restart(&Config::default());
    assert_eq!(changed("[ssh]\ncongestion_control = \"reno\"\n[limits]\nchannels = 2\n"), ["ssh.congestion_control, for hosts"]);
    assert_eq!(
        changed("[limits]\nrecorded_failures = \"1/min\"\n[daemon]\ndrain = \"1s\"\n"),
        ["limits.recorded_failures", "daemon.drain"]
    );
    assert_eq!(changed("[host]\nwindow = \"1MiB\"\n"), ["host"]);
    assert_eq!(changed("[ssh]\ncongestion_control = \"reno\"\n[host]\nwindow = \"1MiB\"\n"), ["ssh.congestion_control, for hosts", "host"]);
}
