//! `known_hosts` as `ssh-keygen` writes and finds it.

use std::path::Path;
use std::process::{Command, Stdio};

use super::super::known_hosts::{Marker, lookup, read};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

/// The lines in which `ssh-keygen -F` finds a host.
fn found(file: &Path, host: &str) -> Vec<usize> {
    let done = Command::new("ssh-keygen").args(["-F", host, "-f"]).arg(file).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    text.lines().filter_map(|l| l.strip_prefix("# Host ")?.split_once(" found: line ")?.1.split(' ').next()?.parse().ok()).collect()
}

#[test]
fn a_host_is_found_in_the_lines_in_which_openssh_finds_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("known_hosts");
    let text = format!(
        "# comment\n\nweb-1 {KEY} me\nweb-1,192.0.2.7 {KEY}\r\n[web-1]:2222 {KEY}\n*.example.org,!bad.example.org {KEY}\n\
         WEB-2 {KEY}\n@cert-authority *.corp {KEY}\n@revoked web-1 {KEY}\n  web-3\t{KEY}\n[*.example.org]:2200 {KEY}\n[2001:db8::7]:22 {KEY}\n\
         2001:db8::7 {KEY}\nwe?-4 {KEY}\n"
    );
    std::fs::write(&file, &text).unwrap();
    for hashed in [false, true] {
        if hashed {
            let done = Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&file).output().unwrap();
            assert!(done.status.success());
        }
        let known = read("known_hosts", &std::fs::read(&file).unwrap());
        assert!(known.troubles.is_empty(), "{:?}", known.troubles);
        assert_eq!(known.lines.iter().any(|l| l.is_hashed()), hashed);
        for (host, port) in [
            ("web-1", 22),
            ("WEB-1", 22),
            ("web-1", 2222),
            ("web-2", 22),
            ("web-3", 22),
            ("web-4", 22),
            ("192.0.2.7", 22),
            ("192.0.2.7", 2222),
            ("a.example.org", 22),
            ("bad.example.org", 22),
            ("a.example.org", 2200),
            ("2001:db8::7", 22),
            ("x.corp", 22),
            ("nowhere", 22),
        ] {
            let wanted = lookup(host, port);
            let ours: Vec<usize> = known.lines.iter().filter(|l| l.covers(&wanted)).map(|l| l.number).collect();
            assert_eq!(ours, found(&file, &wanted), "{wanted} hashed: {hashed}");
        }
    }
}

#[test]
fn markers_and_places() {
    let text = format!("@revoked a {KEY}\n@cert-authority b {KEY}\nc,[d]:2222,[::1]:22 {KEY}\n*.e,f {KEY}\n[g]:0 {KEY}\n");
    let known = read("x", text.as_bytes());
    let markers: Vec<Marker> = known.lines.iter().map(|l| l.marker).collect();
    assert_eq!(markers, [Marker::Revoked, Marker::Authority, Marker::None, Marker::None, Marker::None]);
    let places = known.lines[2].places();
    assert_eq!(places, [("c".to_owned(), 22), ("d".to_owned(), 2222), ("::1".to_owned(), 22)]);
    assert!(known.lines[3].places().is_empty(), "a pattern is no place");
    assert!(known.lines[4].places().is_empty());
    assert!(known.lines.iter().all(|l| l.key == KEY));
}

#[test]
fn lines_that_are_no_lines_are_told_by_their_number() {
    let body = KEY.split_once(' ').unwrap().1;
    let bad = [
        "web-1".to_owned(),
        "web-1 ssh-ed25519".to_owned(),
        format!("web-1 ssh-rsa {body}"),
        format!("web-1 ssh-ed25519 {}", &body[..39]),
        format!("@unknown web-1 {KEY}"),
        "@revoked".to_owned(),
        format!("|1|AAAA|BBBB {KEY}"),
        format!("|2|x|y {KEY}"),
        "web-1 1024 35 1234567".to_owned(),
        format!("web-1\0 {KEY}"),
    ];
    let text = format!("{}\nfine {KEY}\n", bad.join("\n"));
    let known = read("x", text.as_bytes());
    assert_eq!(known.troubles.iter().map(|t| t.line).collect::<Vec<_>>(), (1..=bad.len()).collect::<Vec<_>>());
    assert_eq!(known.lines.len(), 1);
    let bytes = [format!("caf\u{e9} {KEY}\n").as_bytes(), b"caf\xe9 x y\n"].concat();
    let known = read("x", &bytes);
    assert_eq!((known.lines.len(), known.troubles[0].line, known.troubles[0].what.as_str()), (1, 2, "it is no UTF-8"));
}
