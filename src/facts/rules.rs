//! Rules of sudo and doas, and lines of cron tables: each with its file. Expands no alias and judges no rule.

use super::inventory::id;
use super::reading::{ANSWERED_NOTHING, Bounds, Heard, Reading, lines, shown, words};
use super::types::Rule;

const SUDOERS: &str = "sudoers";
const CRON: &str = "cron";

/// Reads the rules of sudo and doas, in the order in which they count. Neither being there is no gap: nobody becomes root so.
pub(super) fn sudoers(reading: &mut Reading<'_>) -> Vec<Rule> {
    let mut rules = Vec::new();
    if let Heard::Absent = reading.heard(id::SUDOERS) {
        return rules;
    }
    let Some(sections) = reading.sections(SUDOERS, id::SUDOERS) else { return rules };
    let mut bounds = Bounds::default();
    for section in &sections {
        let file = shown(section.head);
        let mut joined: Vec<u8> = Vec::new();
        for line in &section.lines {
            // A backslash at its end: the rule goes on.
            if let Some(line) = line.strip_suffix(b"\\") {
                joined.extend_from_slice(line);
                joined.push(b' ');
                continue;
            }
            joined.extend_from_slice(line);
            add(&mut rules, &mut bounds, &file, without_comment(&joined));
            joined.clear();
        }
        add(&mut rules, &mut bounds, &file, without_comment(&joined));
    }
    bounds.close(reading, SUDOERS, sections.len());
    rules
}

/// Reads the lines of cron tables and the names of the scripts in cron's folders, sorted by file. No cron being there is no gap.
pub(super) fn cron(reading: &mut Reading<'_>) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut bounds = Bounds::default();
    // A table without a line is a table.
    let empty = matches!(reading.heard(id::CRONTAB), Heard::Nothing(why) if why == ANSWERED_NOTHING);
    if !empty && !matches!(reading.heard(id::CRONTAB), Heard::Absent) {
        let text = reading.text(CRON, id::CRONTAB).unwrap_or_default();
        lines(text).filter(|l| !comment(l)).for_each(|l| add(&mut rules, &mut bounds, "/etc/crontab", l));
    }
    if !matches!(reading.heard(id::CRON), Heard::Absent) {
        for section in reading.sections(CRON, id::CRON).unwrap_or_default() {
            let file = shown(section.head);
            section.lines.iter().filter(|l| !comment(l)).for_each(|l| add(&mut rules, &mut bounds, &file, l));
        }
    }
    // Tables may be empty: there is always one file at least that was seen, or a reason.
    bounds.close(reading, CRON, 1);
    rules.sort_by(|a, b| a.file.cmp(&b.file));
    rules
}

fn add(rules: &mut Vec<Rule>, bounds: &mut Bounds, file: &str, line: &[u8]) {
    let text = bounds.text(&words(line).collect::<Vec<_>>().join(&b' '));
    if !text.is_empty() {
        bounds.push(rules, Rule { file: file.to_owned(), text });
    }
}

fn comment(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"#")
}

/// A line without its comment. `#` begins one, unless it stands in quotes, behind a backslash, before a user id, or begins an include.
fn without_comment(line: &[u8]) -> &[u8] {
    let line = line.trim_ascii();
    if line.starts_with(b"#include ") || line.starts_with(b"#includedir ") || line.starts_with(b"#include\t") {
        return line;
    }
    let mut quoted = false;
    let mut before = b' ';
    for (i, &c) in line.iter().enumerate() {
        match c {
            b'"' if before != b'\\' => quoted = !quoted,
            b'#' if !quoted && before != b'\\' && !line.get(i + 1).is_some_and(u8::is_ascii_digit) => {
                return line.get(..i).unwrap_or_default();
            }
            _ => {}
        }
        before = c;
    }
    line
}
