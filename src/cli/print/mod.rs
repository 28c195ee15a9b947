//! Replies as people and scripts read them. Pure: a reply and a style in, two texts out, for both doors. Nothing that a
//! terminal would obey gets through.

mod certificates;
mod detail;
mod files;
mod host_cas;
pub mod imports;
mod json;
mod list;
mod proposals;
mod scans;
mod sealed;
mod sources;
mod table;
#[cfg(test)]
mod tests;
mod totp;
mod upkeep;
mod user_cas;
mod vault;
mod workspaces;

use crate::cli::fail::{Exit, Failure};
use crate::control::{Command, Data, ProbedView, Reply};
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

/// A line on what was done just now, for standard error.
pub fn step(text: &str) -> String {
    line(text)
}

/// The exit status of a reply that came without an error.
pub fn exit_of(reply: &Reply) -> Exit {
    match &reply.data {
        Data::Verdict(verdict) if !verdict.holds => Exit::Failed,
        Data::Tested(tested) if !tested.signed_in => Exit::Failed,
        Data::Installed(done) if done.verified == Some(false) => Exit::Failed,
        Data::Rotation(rotation) if rotation.state == "open" => Exit::Incomplete,
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

/// A plan that nobody could be asked about.
pub fn not_agreed(command: &Command) -> Failure {
    Failure::new(
        Exit::Failed,
        "nothing was done: nobody is there to agree to the plan",
        format!("look at the plan, and if it is right: {} --yes", rotate_words(command)),
    )
}

/// A plan that somebody was asked about, and did not say yes.
pub fn not_wanted(command: &Command) -> Failure {
    Failure::new(Exit::Failed, "nothing was done", format!("{} --dry-run", rotate_words(command)))
}

/// A rotation as it was asked for, without a word of agreement.
fn rotate_words(command: &Command) -> String {
    let Command::CredentialRotate { credential, hosts, skip, abort, .. } = command else {
        return "keyward credential rotate NAME".to_owned();
    };
    let mut words = format!("keyward credential rotate {}{}", credential.name, credential.scope_flag());
    for (flag, names) in [("--host", hosts), ("--skip", skip)] {
        words.extend(names.iter().map(|name| format!(" {flag} {name}")));
    }
    if *abort {
        words.push_str(" --abort");
    }
    words
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

/// What somebody is asked before something that others stand on is taken away; `None`: nothing is.
pub fn question(stakes: &Reply) -> Option<String> {
    match &stakes.data {
        Data::Uses(uses) => uses.question.as_deref().map(|question| printable(question, 2000)),
        Data::Workspace(w) => Some(format!(
            "workspace {} has {} hosts, {} credentials and {} grants; all of it goes, and its key with it. Remove it?",
            w.name,
            w.hosts,
            w.credentials.unwrap_or(0),
            w.grants
        )),
        Data::Authority(a) => Some(certificates::question(a)),
        _ => None,
    }
}

/// Somebody was asked, and did not say yes.
pub fn unsure() -> Failure {
    Failure::new(Exit::Failed, "nothing was taken away", "say yes, or give --yes if you need not be asked")
}

fn line(text: &str) -> String {
    format!("{}\n", printable(text, 2000))
}
