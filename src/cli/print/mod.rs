//! Replies as people and scripts read them. Pure: a reply and a style in, two texts out, for both doors. Nothing that a
//! terminal would obey gets through.

mod detail;
mod json;
mod list;
mod proposals;
mod scans;
mod table;
#[cfg(test)]
mod tests;

use crate::cli::fail::{Exit, Failure};
use crate::control::{Data, ProbedView, Reply};
use crate::fault::Calling;
use crate::model::printable;
pub use scans::Gauge;

/// How to print.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// One JSON document.
    pub json: bool,
    /// Data and errors alone.
    pub quiet: bool,
    /// More columns.
    pub verbose: bool,
    /// Colours on standard output.
    pub color: bool,
    /// Colours on standard error.
    pub error_color: bool,
    /// The terminal's width; `None`: as wide as it gets.
    pub width: Option<u16>,
    /// How the program is called at this door, for what notes say is to be done.
    pub calling: Calling,
}

/// What goes where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// Data.
    pub stdout: String,
    /// All else.
    pub stderr: String,
}

/// Renders a reply.
pub fn render(reply: &Reply, style: &Style) -> Rendered {
    let mut rendered = if style.json {
        Rendered { stdout: json::document(&reply.data), stderr: String::new() }
    } else if reply.done.is_some() {
        Rendered { stdout: list::after_change(&reply.data), stderr: String::new() }
    } else {
        list::data(&reply.data, style)
    };
    if style.quiet {
        rendered.stderr.clear();
        return rendered;
    }
    if let Some(done) = &reply.done {
        rendered.stderr.push_str(&line(done));
    }
    for note in &reply.notes {
        rendered.stderr.push_str(&line(&format!("note: {}", style.calling.pastable(note))));
    }
    rendered
}

/// A piece of streamed output: JSON lines, made harmless.
pub fn piece(text: &str, _style: &Style) -> String {
    json::harmless(text)
}

/// The exit status of a reply that came without an error.
pub fn exit_of(reply: &Reply) -> Exit {
    match &reply.data {
        Data::Verdict(verdict) if !verdict.holds => Exit::Failed,
        Data::Scanned(scan) => match scan.outcome.as_str() {
            "clean" => Exit::Done,
            "findings" => Exit::Findings,
            _ => Exit::Incomplete,
        },
        _ => Exit::Done,
    }
}

/// What is to be done about keys that a host showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// They are pinned already.
    Settled,
    /// Somebody has to say so.
    Ask(String),
}

/// Whether keys need somebody's word.
pub fn verdict_on(probed: &ProbedView) -> Trust {
    let fresh = probed.keys.iter().filter(|k| !k.pinned).count();
    let gone = probed.pinned.iter().filter(|p| probed.keys.iter().all(|k| k.fingerprint != **p)).count();
    match (probed.pinned.is_empty(), fresh, gone) {
        (false, 0, 0) => Trust::Settled,
        (true, ..) => Trust::Ask(format!("pin these for {}?", probed.host)),
        (false, ..) => Trust::Ask(format!("{} shows OTHER keys than those that are pinned. Replace the pins with these?", probed.host)),
    }
}

/// Keys that nobody could be asked about.
pub fn unconfirmed(probed: &ProbedView) -> Failure {
    let flags: Vec<String> = probed.keys.iter().map(|k| format!("--fingerprint {}", k.fingerprint)).collect();
    Failure::new(
        Exit::Failed,
        format!("nothing was pinned for {}: nobody is there to compare the fingerprints", probed.host),
        format!("if they are right: keyward host trust {} {}", probed.host, flags.join(" ")),
    )
}

fn line(text: &str) -> String {
    format!("{}\n", printable(text, 2000))
}
