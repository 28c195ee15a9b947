//! What an answer is worth, and how its text is taken in: bounded, made printable, never trusted. Knows no facts.

use std::collections::BTreeMap;

use crate::model::printable;
use crate::probes::{ABSENT, Answer, Answers, NEEDS_ROOT, OTHER_KIND, Status};

/// Entries of one list of facts; what comes after is left out, and `missing` says so.
pub(super) const ENTRIES_MAX: usize = 20_000;
/// Characters of one text; longer ones are cut, and `missing` says so under `GROUP.texts`.
pub(super) const TEXT_MAX: usize = 4096;
/// Members of a group, options of a mount, values of a key, processes of a socket.
pub(super) const PARTS_MAX: usize = 1000;
/// Reasons that are kept for one group.
const REASONS_MAX: usize = 6;

/// The reason of a [`Heard::Part`] that is whole but for what only root may see.
pub(super) const MORE_AS_ROOT: &str = "root would see more";
/// The reason of a [`Heard::Nothing`] that ended well.
pub(super) const ANSWERED_NOTHING: &str = "answered nothing";

/// What came of a probe.
pub(super) enum Heard<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// Some of it, and why not all.
    Part(&'a [u8], String),
    /// What was asked for is not there.
    Absent,
    /// Nothing: the reason.
    Nothing(String),
}

/// The answers, and what is found to be missing while they are read.
pub(super) struct Reading<'a> {
    answers: &'a Answers,
    missing: BTreeMap<String, Vec<String>>,
    inapplicable: BTreeMap<String, String>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(answers: &'a Answers) -> Self {
        Self { answers, missing: BTreeMap::new(), inapplicable: BTreeMap::new() }
    }

    /// A reason why a group is not there, or not all of it.
    pub(super) fn lack(&mut self, group: &str, why: impl Into<String>) {
        let reasons = self.missing.entry(group.to_owned()).or_default();
        let why = printable(&why.into(), 300);
        if reasons.len() < REASONS_MAX && !reasons.contains(&why) {
            reasons.push(why);
        }
    }

    /// A host of this kind has no such facts.
    pub(super) fn inapplicable(&mut self, group: &str, why: &str) {
        self.inapplicable.insert(group.to_owned(), why.to_owned());
    }

    /// The groups that are missing, each with its reasons; and those that do not apply.
    pub(super) fn gaps(self) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        (self.missing.into_iter().map(|(group, reasons)| (group, reasons.join("; "))).collect(), self.inapplicable)
    }

    /// What came of this probe.
    pub(super) fn heard(&self, id: &str) -> Heard<'a> {
        self.answers.get(id).map_or_else(|| Heard::Nothing("not asked".to_owned()), hear)
    }

    /// The text of an answer that `group` is read from. Whatever is not whole goes into `missing`; so does an answer without any text.
    pub(super) fn text(&mut self, group: &str, id: &str) -> Option<&'a [u8]> {
        match self.heard(id) {
            Heard::Whole(text) => Some(text),
            Heard::Part(text, why) => {
                self.lack(group, why);
                Some(text)
            }
            Heard::Absent => {
                self.lack(group, "not there");
                None
            }
            Heard::Nothing(why) => {
                self.lack(group, why);
                None
            }
        }
    }

    /// The sections of a script's answer. Its remarks go into `missing`.
    pub(super) fn sections(&mut self, group: &str, id: &str) -> Option<Vec<Section<'a>>> {
        let text = self.text(group, id)?;
        let mut sections: Vec<Section<'a>> = Vec::new();
        for line in lines(text) {
            match (line.split_first(), sections.last_mut()) {
                (Some((b'@', head)), _) => sections.push(Section { head, lines: Vec::new() }),
                (Some((b'!', remark)), _) => self.lack(group, String::from_utf8_lossy(first(remark, TEXT_MAX))),
                (Some((b' ', rest)), Some(section)) => section.lines.push(rest),
                (Some(_), Some(section)) => section.lines.push(line),
                (Some(_), None) => self.lack(group, "not understood: it begins with no section"),
                (None, Some(section)) => section.lines.push(line),
                (None, None) => {}
            }
        }
        Some(sections)
    }
}

/// A part of a script's answer.
pub(super) struct Section<'a> {
    /// What stands behind the `@`.
    pub(super) head: &'a [u8],
    /// Its lines, without the blank that marks them.
    pub(super) lines: Vec<&'a [u8]>,
}

/// What an answer is worth.
fn hear(answer: &Answer) -> Heard<'_> {
    let output = &*answer.output;
    let part = |why: String| match whole_lines(output) {
        [] => Heard::Nothing(why),
        text => Heard::Part(text, why),
    };
    match (&answer.status, answer.exit) {
        (Status::NotRun(why), _) => Heard::Nothing(format!("not run: {why}")),
        (Status::TimedOut, _) => part(format!("timed out after {} ms", answer.took_ms)),
        (Status::Broken, _) => part("the connection broke off".to_owned()),
        (Status::Ended, Some(0)) if answer.cut => part(format!("cut at {} bytes", output.len())),
        (Status::Ended, Some(0)) if blank(output) => Heard::Nothing(ANSWERED_NOTHING.to_owned()),
        (Status::Ended, Some(0)) => Heard::Whole(output),
        (Status::Ended, Some(ABSENT)) => Heard::Absent,
        (Status::Ended, Some(OTHER_KIND)) => Heard::Nothing("a folder where a file was expected".to_owned()),
        (Status::Ended, Some(NEEDS_ROOT)) => {
            let why = match (answer.as_root, blank(output)) {
                (true, _) => "not all could be seen, even as root",
                (false, true) => "needs root",
                (false, false) => MORE_AS_ROOT,
            };
            let cut = if answer.cut { format!("{why}; cut at {} bytes", output.len()) } else { why.to_owned() };
            if answer.cut {
                part(cut)
            } else if blank(output) {
                Heard::Nothing(cut)
            } else {
                Heard::Part(output, cut)
            }
        }
        (Status::Ended, exit) => {
            let status = exit.map_or_else(|| "no exit status".to_owned(), |n| n.to_string());
            let said =
                lines(output).find(|l| !blank(l)).map(|l| format!(": {}", String::from_utf8_lossy(first(l, 200)))).unwrap_or_default();
            Heard::Nothing(format!("ended with {status}{said}"))
        }
    }
}

/// Up to the last line that is whole.
fn whole_lines(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    first(text, end)
}

/// Whether there is nothing to see in it.
fn blank(text: &[u8]) -> bool {
    text.iter().all(|b| b.is_ascii_whitespace() || *b == 0)
}

/// The first bytes of a text, at most so many.
pub(super) fn first(text: &[u8], most: usize) -> &[u8] {
    text.get(..most).unwrap_or(text)
}

/// Lines, without their ends.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l))
}

/// Words between blanks.
pub(super) fn words(line: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty())
}

/// Splits at the first `separator`.
pub(super) fn pair<'a>(line: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = line.windows(separator.len().max(1)).position(|w| w == separator)?;
    Some((line.get(..at)?, line.get(at + separator.len()..)?))
}

/// Lines of `NAME=VALUE`, in their order.
pub(super) fn pairs(text: &[u8]) -> Vec<(&[u8], &[u8])> {
    lines(text).filter_map(|l| pair(l, b"=")).take(ENTRIES_MAX).collect()
}

/// The first value of this name, if there is anything in it.
pub(super) fn value(pairs: &[(&[u8], &[u8])], name: &str) -> Option<String> {
    pairs.iter().find(|(n, _)| *n == name.as_bytes()).and_then(|(_, v)| some(v))
}

/// A number in decimal.
pub(super) fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(first(text, 40)).ok()?.trim().parse().ok()
}

/// The text as one shows it, at most [`TEXT_MAX`] characters; blanks at both ends are dropped.
pub(super) fn shown(text: &[u8]) -> String {
    let text = text.trim_ascii();
    printable(&String::from_utf8_lossy(first(text, 4 * TEXT_MAX)), TEXT_MAX)
}

/// `shown`, and `None` if that is empty.
pub(super) fn some(text: &[u8]) -> Option<String> {
    Some(shown(text)).filter(|t| !t.is_empty())
}

/// Keeps a group's lists and texts within their bounds, and remembers what did not fit.
#[derive(Default)]
pub(super) struct Bounds {
    shortened: usize,
    left_out: usize,
    strange: usize,
}

impl Bounds {
    /// A text of a fact.
    pub(super) fn text(&mut self, text: &[u8]) -> String {
        let shown = shown(text);
        self.shortened += usize::from(text.trim_ascii().len() > TEXT_MAX && shown.ends_with('…'));
        shown
    }

    /// Parts of a fact, divided by `separator`.
    pub(super) fn parts(&mut self, text: &[u8], separator: u8) -> Vec<String> {
        let mut all = text.split(|b| *b == separator).filter(|p| !p.trim_ascii().is_empty());
        let parts = all.by_ref().take(PARTS_MAX).map(|p| self.text(p)).collect();
        self.shortened += usize::from(all.next().is_some());
        parts
    }

    /// Whether there is room for one more beside the `n` that are there.
    pub(super) fn room(&mut self, n: usize) -> bool {
        self.left_out += usize::from(n >= ENTRIES_MAX);
        n < ENTRIES_MAX
    }

    /// Adds to a list, if there is room.
    pub(super) fn push<T>(&mut self, list: &mut Vec<T>, entry: T) {
        if self.room(list.len()) {
            list.push(entry);
        }
    }

    /// A line that says nothing that is known.
    pub(super) fn strange(&mut self) {
        self.strange += 1;
    }

    /// Says what did not fit. `found`: how many facts the group has now; none at all is said, too.
    pub(super) fn close(self, reading: &mut Reading<'_>, group: &str, found: usize) {
        if self.strange > 0 {
            reading.lack(group, format!("not understood: {} lines", self.strange));
        }
        if self.left_out > 0 {
            reading.lack(group, format!("only {ENTRIES_MAX} are kept, {} are left out", self.left_out));
        }
        if self.shortened > 0 {
            reading.lack(&format!("{group}.texts"), format!("{} texts are longer than {TEXT_MAX} characters and were cut", self.shortened));
        }
        if found == 0 && !reading.missing.contains_key(group) {
            reading.lack(group, ANSWERED_NOTHING);
        }
    }
}
