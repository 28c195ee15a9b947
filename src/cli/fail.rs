//! What a failure looks like and which exit status it has: one table for both doors.

use clap::CommandFactory;

use super::grammar::{Cli, Follow};
use crate::control::Problem;
use crate::fault::{Calling, Fault, Kind};
use crate::model::printable;

/// The exit statuses of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Refused or failed.
    Failed,
    /// The words are wrong.
    Usage,
    /// The daemon is not there.
    Unreachable,
    /// A scan finished, and found something.
    Findings,
    /// A scan finished, and some host or probe was not answered.
    Incomplete,
    /// A defect of Keyward.
    Bug,
}

impl Exit {
    /// The number.
    pub fn status(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Findings => 4,
            Self::Incomplete => 5,
            Self::Bug => 70,
        }
    }
}

/// The table: whose fault it was, and what the shell hears.
const TABLE: [(Kind, Exit); 12] = [
    (Kind::Usage, Exit::Usage),
    (Kind::Invalid, Exit::Failed),
    (Kind::NotFound, Exit::Failed),
    (Kind::Conflict, Exit::Failed),
    (Kind::Forbidden, Exit::Failed),
    (Kind::PassphraseNeeded, Exit::Failed),
    (Kind::Refused, Exit::Failed),
    (Kind::TimedOut, Exit::Failed),
    (Kind::Limit, Exit::Failed),
    (Kind::Unavailable, Exit::Failed),
    (Kind::Tampered, Exit::Failed),
    (Kind::Bug, Exit::Bug),
];

/// The longest message that is printed.
const LONGEST: usize = 2000;

/// Something that did not work, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit status.
    pub exit: Exit,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    /// Of some room's error.
    pub fn of(fault: &impl Fault) -> Self {
        Self { exit: exit_of(fault.kind()), message: fault.to_string(), hint: fault.hint() }
    }

    /// What the command line itself finds wrong.
    pub fn new(exit: Exit, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: Some(hint.into()) }
    }

    /// `error: …` and, on a line of its own, `hint: …` as it can be pasted at this door; nothing in it that a terminal obeys.
    pub fn render(&self, color: bool, calling: &Calling) -> String {
        let (red, bold, plain) = if color { ("\x1b[1;31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
        let mut out = format!("{red}error:{plain} {}\n", printable(&self.message, LONGEST));
        if let Some(hint) = &self.hint {
            out.push_str(&format!("{bold}hint:{plain} {}\n", printable(&calling.pastable(hint), LONGEST)));
        }
        out
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self { exit: exit_of(problem.kind), message: problem.message, hint: problem.hint }
    }
}

/// `proposal watch` where there is no screen.
pub fn no_screen(how: &str) -> Failure {
    let hint =
        format!("give it one: {how}; or decide with verbs: proposal list --pending, proposal show ID, proposal approve ID --digest HEX");
    Failure::new(Exit::Usage, "the inbox needs a terminal", hint)
}

/// What a verb wants to do with the machine that the program runs on, where that is the client's and out of reach.
pub fn not_over_ssh(follow: &Follow, terminal: bool) -> Option<Failure> {
    match follow {
        Follow::Save(Some(_)) => {
            Some(Failure::new(Exit::Usage, "a file's name means nothing here", "ssh -p PORT YOU@BROKER backup - > FILE"))
        }
        Follow::Save(None) if terminal => {
            Some(Failure::new(Exit::Usage, "a backup is no text for a terminal", "ssh -T -p PORT YOU@BROKER backup - > FILE"))
        }
        _ => None,
    }
}

/// The inbox broke.
pub fn inbox_failed() -> Failure {
    Failure::new(
        Exit::Bug,
        "a defect of Keyward ended the inbox; nothing was decided by that",
        "decide with verbs: proposal list --pending",
    )
}

/// The exit status of a kind of failure.
pub fn exit_of(kind: Kind) -> Exit {
    TABLE.iter().find(|(known, _)| *known == kind).map_or(Exit::Bug, |(_, exit)| *exit)
}

/// What the grammar finds wrong: its first lines as they are, then where the help is. `words` are those that were given.
pub fn usage(e: &clap::Error, words: &[String], calling: &Calling) -> String {
    if words.iter().any(|w| crate::control::looks_private(w)) {
        // Not repeated: it stands in enough places already.
        let hint = "take that key out of use; a key comes from a file or standard input: --key FILE";
        return Failure::new(
            Exit::Usage,
            "a private key was given as an argument; keys are never arguments, because others can read them",
            hint,
        )
        .render(false, calling);
    }
    let text = e.render().to_string();
    let mut out = String::new();
    for line in text.lines().filter(|l| !l.starts_with("For more information")) {
        out.push_str(&printable(line, LONGEST));
        out.push('\n');
    }
    let mut out = format!("{}\n", out.trim_end());
    if e.kind() != clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        out.push_str(&format!("hint: {} --help\n", calling.pastable(&path_of(words))));
    }
    out
}

/// The verb as far as it was understood: `keyward host add`.
fn path_of(words: &[String]) -> String {
    let mut path = "keyward".to_owned();
    let mut at = Cli::command();
    for word in words {
        if word.starts_with('-') {
            continue;
        }
        let Some(next) = at.find_subcommand(word).cloned() else { continue };
        path.push(' ');
        path.push_str(next.get_name());
        at = next;
    }
    path
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn every_kind_has_one_row() {
        for (at, (kind, _)) in TABLE.iter().enumerate() {
            assert_eq!(TABLE.iter().position(|(k, _)| k == kind), Some(at));
        }
        assert_eq!(exit_of(Kind::Usage).status(), 2);
        assert_eq!(exit_of(Kind::Forbidden).status(), 1);
        assert_eq!(exit_of(Kind::Bug).status(), 70);
        assert_eq!(Exit::Unreachable.status(), 3);
    }

    #[test]
    fn an_error_is_two_lines_that_no_terminal_obeys() {
        let failure = Failure::new(Exit::Failed, "there is no host `a\x1b[31m\nhint: rm -rf /`", "keyward host list");
        let text = failure.render(false, &Calling::Local);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains('\x1b') && text.starts_with("error: ") && text.ends_with("\nhint: keyward host list\n"), "{text}");
    }

    #[test]
    fn the_grammars_errors_point_to_the_verb_and_are_harmless() {
        let words = ["--json", "host", "add", "a\x1b[31mb", "x"].map(str::to_owned);
        let e = Cli::try_parse_from(std::iter::once("keyward".to_owned()).chain(words.clone())).unwrap_err();
        let text = usage(&e, &words, &Calling::Local);
        assert!(text.starts_with("error: ") && !text.contains('\x1b'), "{text}");
        assert!(text.ends_with("hint: keyward host add --help\n"), "{text}");
    }
}
