//! Documents to report: one that holds every state, and a large one; and the Python that looks at what becomes of them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use keyward::model::CheckState;
use keyward::report::{Document, Format, Style, write};
use serde_json::Value;

/// Every state of a host, a check and a lookup, and a host that is hostile in all that it says.
pub(crate) fn every_state() -> Document {
    serde_json::from_str(include_str!("sample.json")).unwrap()
}

/// The hosts of [`every_state`] that leave nothing open.
pub(crate) fn without_gaps() -> Document {
    let mut document = every_state();
    document.hosts.retain(|h| h.summary(&document.policies).gaps.is_empty());
    assert!(document.hosts.len() > 2);
    document
}

/// 200 hosts with 700 packages and 60 checks each.
pub(crate) fn large() -> Document {
    let mut document = every_state();
    document.policies[0].checks = 60;
    let one = document.hosts.iter().find(|h| h.name == "web-1").unwrap().clone();
    document.hosts = (0..200)
        .map(|number| {
            let mut host = one.clone();
            host.name = format!("web-{number:03}");
            let facts = host.facts.as_mut().unwrap();
            let package = facts.packages[0].clone();
            facts.packages.extend((facts.packages.len()..700).map(|at| {
                let mut package = package.clone();
                package.name = format!("package-{at}");
                package.source.clone_from(&package.name);
                package.version = format!("1:{}.{at}-2+deb12u{}", number % 3, number % 2);
                package
            }));
            let check = host.checks[0].clone();
            host.checks.extend((host.checks.len()..60).map(|at| {
                let mut check = check.clone();
                check.id = format!("9.{at}");
                check.state = if (at + number) % 3 == 0 { CheckState::Failed } else { CheckState::Passed };
                check
            }));
            let advised = host.vulnerabilities[0].clone();
            host.vulnerabilities.extend((host.vulnerabilities.len()..100).map(|at| {
                let mut advised = advised.clone();
                advised.id = format!("DSA-{at}");
                advised.aliases = vec![format!("CVE-2025-{at}")];
                advised
            }));
            host
        })
        .collect();
    document
}

pub(crate) fn written(document: &Document, format: Format) -> String {
    write(document, format, &Style { colour: false, width: Some(100), unicode: true }).unwrap()
}

pub(crate) fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs one of the scripts beside this file.
pub(crate) fn python(script: &str, arguments: &[&Path]) -> Output {
    let python: PathBuf = checkout().join(".tools/venv/bin/python");
    assert!(python.exists(), "{} is missing: run `make test`, which installs it (scripts/test-peers.sh)", python.display());
    // Without bytecode files: the checkout stays as it is.
    Command::new(python).arg("-B").arg(checkout().join("tests/report").join(script)).args(arguments).output().unwrap()
}

/// A document in which `text` stands wherever a host, a policy or an archive of advisories could put it.
pub(crate) fn full_of(text: &str) -> Document {
    let mut value = serde_json::to_value(every_state()).unwrap();
    let mut number = 0;
    for part in ["profile", "selector", "policies", "hosts"] {
        replace(&mut value[part], text, &mut number);
    }
    // Names of hosts are the broker's, and each is there once.
    for (at, host) in value["hosts"].as_array_mut().unwrap().iter_mut().enumerate() {
        host["name"] = format!("{text}{at}").into();
    }
    serde_json::from_value(value).unwrap()
}

/// Words of the layout; everything else is free text.
const WORDS: &[&str] = &["state", "last_known", "coverage", "status", "kind", "password", "level"];

fn replace(value: &mut Value, text: &str, number: &mut usize) {
    match value {
        Value::String(old) => text.clone_into(old),
        Value::Array(all) => all.iter_mut().for_each(|v| replace(v, text, number)),
        Value::Object(all) => {
            for (key, value) in all.iter_mut().filter(|(key, _)| !WORDS.contains(&key.as_str())) {
                replace(value, text, number);
                // Two checks of a host never have the same id.
                if key == "id" {
                    *number += 1;
                    *value = format!("{text}{number}").into();
                }
            }
        }
        _ => {}
    }
}
