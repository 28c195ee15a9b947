//! What the documents say is compared with what is there: events, links, targets of make, verbs.

// A test says what went wrong by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use keyward::model::EventName;
use keyward::model::wire::{self, Needs, TABLE, Word};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn documents() -> Vec<PathBuf> {
    let of = |folder: &str| -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(root().join(folder)) else { return Vec::new() };
        entries.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "md")).collect()
    };
    let mut out = [of("."), of("docs"), of("docs/adr")].concat();
    out.sort();
    assert!(out.len() > 3, "the documents were not found");
    out
}

#[test]
fn the_audit_document_lists_every_event_with_its_meaning() {
    let text = read("docs/audit.md");
    let listed: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| {
            let (word, meaning) = line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | ")?;
            word.contains('.').then(|| (word.to_owned(), meaning.to_owned()))
        })
        .collect();
    let there: BTreeMap<String, String> =
        EventName::ALL.iter().map(|(_, word, meaning)| ((*word).to_owned(), (*meaning).to_owned())).collect();
    assert_eq!(listed, there, "left: docs/audit.md; right: src/model/event.rs");
}

#[test]
fn the_example_configuration_is_read() {
    keyward::config::load(Some(&root().join("examples/broker.toml"))).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn links_lead_somewhere() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let folder = document.parent().unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") || link.starts_with('#') {
                continue;
            }
            let (path, heading) = link.split_once('#').map_or((link, None), |(p, h)| (p, Some(h)));
            let target = folder.join(path);
            assert!(target.exists(), "{}: the link `{link}` leads nowhere", document.display());
            if let Some(heading) = heading {
                let target = fs::read_to_string(&target).unwrap();
                assert!(target.lines().any(|l| anchor(l).as_deref() == Some(heading)), "{}: no heading for `{link}`", document.display());
            }
        }
    }
}

/// A heading as links name it.
fn anchor(line: &str) -> Option<String> {
    let title = line.strip_prefix('#')?.trim_start_matches('#').trim();
    Some(title.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>().replace(' ', "-"))
}

#[test]
fn files_that_are_named_exist() {
    let folders = ["docs/", "scripts/", "examples/", "tests/", "src/", "patches/", "benches/"];
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for named in text.split('`').skip(1).step_by(2).filter(|n| folders.iter().any(|f| n.starts_with(f))) {
            if named.contains(['*', ' ', '<']) {
                continue;
            }
            assert!(root().join(named).exists(), "{}: `{named}` does not exist", document.display());
        }
    }
}

#[test]
fn tests_that_are_named_exist() {
    let mut named = 0;
    for line in read("docs/secrecy-tests.md").lines().filter(|l| l.starts_with("| ") && !l.starts_with("| case ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(|c| c.trim().trim_matches('`')).collect();
        let [_, test, file] = cells[..] else { continue };
        if test.is_empty() {
            continue;
        }
        let text = read(file);
        assert!(text.contains(&format!("fn {test}(")), "docs/secrecy-tests.md: there is no {test} in {file}");
        named += 1;
    }
    assert!(named > 50, "the list was not found");
}

#[test]
fn broken_protocols_have_their_tests_and_tests_their_rows() {
    let text = read("docs/robustness.md");
    let rows: Vec<[&str; 2]> = text
        .lines()
        .filter_map(|line| match line.trim_matches('|').split(" | ").map(|c| c.trim().trim_matches('`')).collect::<Vec<_>>()[..] {
            [_, _, test, file] if file.starts_with("tests/") => Some([test, file]),
            _ => None,
        })
        .collect();
    for [test, file] in &rows {
        assert!(read(file).contains(&format!("fn {test}(")), "docs/robustness.md: there is no {test} in {file}");
    }
    for file in ["tests/it/hostile_clients.rs", "tests/it/hostile_hosts.rs"] {
        let code = read(file);
        let tests: Vec<&str> = code.split("#[test]\nfn ").skip(1).filter_map(|rest| rest.split('(').next()).collect();
        assert!(tests.len() > 20, "{file}: the tests were not found");
        for test in tests {
            assert!(rows.contains(&[test, file]), "docs/robustness.md: {test} of {file} has no row");
        }
    }
}

#[test]
fn targets_of_make_that_are_named_exist() {
    let makefile = read("Makefile");
    let mut named = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for target in text.split("`make ").skip(1).filter_map(|rest| rest.split(['`', ' ']).next()) {
            named += 1;
            assert!(makefile.lines().any(|l| l.starts_with(&format!("{target}:"))), "{}: there is no `make {target}`", document.display());
        }
    }
    assert!(named > 3, "the README names its targets");
}

#[test]
fn decisions_that_the_code_refers_to_are_written_down() {
    let decisions: Vec<String> =
        fs::read_dir(root().join("docs/adr")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    let mut files = vec![root().join("Cargo.toml")];
    collect(&root().join("src"), &mut files);
    collect(&root().join("scripts"), &mut files);
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for rest in text.split("docs/adr/").skip(1) {
            let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
            assert!(decisions.iter().any(|d| d.starts_with(&format!("{number}-"))), "{}: there is no docs/adr/{number}", file.display());
        }
    }
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, into) } else { into.push(path) }
    }
}

#[test]
fn the_table_of_channels_is_the_one_that_decides() {
    let text = read("docs/channels.md");
    let kinds = ["| channel | `", "| request | `", "| global | `"];
    let listed: Vec<&str> = text.lines().filter(|l| kinds.iter().any(|k| l.starts_with(k))).collect();
    let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
    let there: Vec<String> = TABLE
        .iter()
        .map(|row| {
            let kind = match row.word {
                Word::Channel => "channel",
                Word::Request => "request",
                Word::Global => "global",
            };
            let needs = match row.needs {
                Needs::Nothing => String::new(),
                Needs::Grant(action) => code(action.as_str()),
                Needs::Subsystem => "what it names".to_owned(),
            };
            let said = |of: &dyn std::fmt::Debug| format!("{of:?}").to_lowercase();
            let (from, decision) = (said(&row.from), said(&row.decision));
            let event = code(row.event.map_or("", EventName::as_str));
            format!("| {kind} | `{}` | {from} | {decision} | {needs} | {event} | {} |", row.name, row.what)
        })
        .collect();
    assert_eq!(listed, there, "left: docs/channels.md; right: src/model/wire.rs");
}

/// The words that stand in the arms of a `match`, one in an arm.
fn arms(path: &str) -> Vec<String> {
    let text = read(path);
    let arms = text.lines().filter_map(|line| line.trim_start().strip_prefix('"')?.split_once("\" =>"));
    arms.map(|(word, _)| word.to_owned()).filter(|word| !word.contains([' ', '"'])).collect()
}

#[test]
fn every_word_that_the_library_knows_is_in_the_table_of_channels() {
    let known = |words: &[Word], name: &str| words.iter().any(|word| wire::look_up(*word, name).name == name);
    let channels = arms(".russh/src/parsing.rs");
    let requests = [arms(".russh/src/server/encrypted.rs"), arms(".russh/src/client/encrypted.rs")].concat();
    assert!(channels.len() >= 7 && requests.len() >= 15, "the words were not found: {channels:?} {requests:?}");
    for name in channels {
        assert!(known(&[Word::Channel], &name), "the type of channel `{name}` is missing in src/model/wire.rs");
    }
    for name in requests {
        assert!(known(&[Word::Request, Word::Global], &name), "the request `{name}` is missing in src/model/wire.rs");
    }
}
