//! What a host's answers make of one rule. Never decides by an answer that is not there, ran out of time or lacks its end, unless what is
//! there decides whatever may be missing.

use super::ask::of_unix;
use super::listing::{Content, Entry, Kind, listing};
use super::pattern::{Lines, Pattern};
use super::rule::{Names, Question, Rule};
use super::show::{path_and, quoted, shown};
use crate::probes::{ABSENT, Answer, Answers, NEEDS_ROOT, OTHER_KIND, Status};

/// How a rule came out, with the one line, value or reason that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Met(String),
    Unmet(String),
    /// The rule says nothing about this host.
    Inapplicable(String),
    /// What it needs was not answered.
    Unknown(String),
}

impl Verdict {
    fn turned(self) -> Self {
        match self {
            Self::Met(e) => Self::Unmet(e),
            Self::Unmet(e) => Self::Met(e),
            other => other,
        }
    }

    fn map(self, f: impl Fn(String) -> String) -> Self {
        match self {
            Self::Met(e) => Self::Met(f(e)),
            Self::Unmet(e) => Self::Unmet(f(e)),
            Self::Inapplicable(e) => Self::Inapplicable(f(e)),
            Self::Unknown(e) => Self::Unknown(f(e)),
        }
    }

    /// What outranks what, where one of several places is enough.
    fn rank(&self) -> u8 {
        match self {
            Self::Met(_) => 3,
            Self::Unknown(_) => 2,
            Self::Inapplicable(_) => 1,
            Self::Unmet(_) => 0,
        }
    }
}

/// The verdict where one of several places is enough: of the highest rank, the first.
fn any_of(verdicts: impl Iterator<Item = Verdict>) -> Option<Verdict> {
    let mut best: Option<Verdict> = None;
    for verdict in verdicts {
        if best.as_ref().is_none_or(|b| verdict.rank() > b.rank()) {
            best = Some(verdict);
        }
        if matches!(best, Some(Verdict::Met(_))) {
            break;
        }
    }
    best
}

/// What the answers make of a rule.
pub(super) fn judge(rule: &Rule, answers: &Answers) -> Verdict {
    let verdict = match &rule.question {
        Question::File { paths, pattern } => over(paths, |path| match pattern {
            Some(pattern) => content(path, pattern, answers),
            None => exists(path, b'f', &["f:"], answers),
        }),
        Question::Folder { paths, names, pattern } => over(paths, |path| match names {
            Some(names) => folder(path, names, pattern.as_ref(), answers),
            None => exists(path, b'd', &["d:", "D:"], answers),
        }),
        Question::Process(pattern) => process(pattern, answers),
        Question::Command { text, words, pattern } => command(text, words, pattern.as_ref(), answers),
        Question::Unreadable(why) => Verdict::Unknown(why.clone()),
        Question::Registry => Verdict::Inapplicable("Windows' registry is not on this host".to_owned()),
    };
    if rule.negated { verdict.turned() } else { verdict }
}

fn over(paths: &[String], one: impl Fn(&str) -> Verdict) -> Verdict {
    let many = paths.len() > 1;
    let verdicts = paths.iter().map(|path| {
        let verdict = if of_unix(path) {
            one(path)
        } else {
            Verdict::Inapplicable(format!("{} is no absolute path of a Unix host", quoted(path.as_bytes())))
        };
        if many { verdict.map(|e| path_and(path.as_bytes(), &e)) } else { verdict }
    });
    any_of(verdicts).unwrap_or_else(|| Verdict::Inapplicable("the rule names no path".to_owned()))
}

/// An answer that came to its end: its exit status and itself.
fn ended<'a>(id: &str, answers: &'a Answers) -> Result<(i32, &'a Answer), Verdict> {
    let unknown = |why: &str| Err(Verdict::Unknown(why.to_owned()));
    match answers.get(id) {
        None => unknown("it was not asked"),
        Some(Answer { status: Status::NotRun(why), .. }) => unknown(&shown(why.as_bytes())),
        Some(Answer { status: Status::TimedOut, .. }) => unknown("the time was over before it was answered"),
        Some(Answer { status: Status::Broken, .. }) => unknown("the connection broke off before it was answered"),
        Some(answer) => match answer.exit {
            Some(exit) => Ok((exit, answer)),
            None => unknown("the command was ended from outside"),
        },
    }
}

/// The exit statuses that reading probes share. `absent` is what it means that there is nothing.
fn refused(exit: i32, what: &str, absent: impl Fn(String) -> Verdict) -> Option<Verdict> {
    match exit {
        0 => None,
        ABSENT => Some(absent("does not exist".to_owned())),
        OTHER_KIND => Some(Verdict::Inapplicable(format!("is no {what}"))),
        NEEDS_ROOT => Some(Verdict::Unknown("needs root".to_owned())),
        exit => Some(Verdict::Unknown(format!("reading ended with status {exit}"))),
    }
}

/// Whether a path exists and is of a kind, out of the first answer that knows it: its own, or one of reading it.
fn exists(path: &str, kind: u8, others: &[&str], answers: &Answers) -> Verdict {
    let what = if kind == b'f' { "regular file" } else { "folder" };
    let first = match ended(&format!("e:{path}"), answers) {
        Err(unknown) => unknown,
        Ok((exit, answer)) => match (refused(exit, what, Verdict::Unmet), answer.output.trim_ascii()) {
            (Some(verdict), _) => verdict,
            (None, [found]) if *found == kind => Verdict::Met("exists".to_owned()),
            (None, b"f" | b"d" | b"o") => Verdict::Inapplicable(format!("is no {what}")),
            (None, _) => Verdict::Unknown("the answer is not understood".to_owned()),
        },
    };
    if !matches!(first, Verdict::Unknown(_)) {
        return first;
    }
    for other in others {
        if let Ok((exit, _)) = ended(&format!("{other}{path}"), answers) {
            let verdict = refused(exit, what, Verdict::Unmet).unwrap_or_else(|| Verdict::Met("exists".to_owned()));
            if !matches!(verdict, Verdict::Unknown(_)) {
                return verdict;
            }
        }
    }
    first
}

/// The lines of a text; the last only if it is whole.
fn lines(text: &[u8], whole: bool) -> impl Iterator<Item = &[u8]> {
    let text = if whole {
        text.strip_suffix(b"\n").or((!text.is_empty()).then_some(text))
    } else {
        text.iter().rposition(|b| *b == b'\n').and_then(|end| text.get(..end))
    };
    text.into_iter().flat_map(|t| t.split(|b| *b == b'\n')).map(|l| l.strip_suffix(b"\r").unwrap_or(l))
}

/// What a text makes of a pattern. `show` is how a line of it is shown.
fn judge_text(pattern: &Pattern, text: &[u8], whole: bool, show: impl Fn(&[u8]) -> String) -> Verdict {
    let found = pattern.lines(lines(text, whole));
    if !whole && !pattern.decided(&found) && found != Lines::GaveUp {
        return Verdict::Unknown("the answer is longer than what is kept of it, and the rest could decide".to_owned());
    }
    match found {
        Lines::Met(Some(line)) => Verdict::Met(show(&line)),
        Lines::Met(None) => Verdict::Met("no line speaks against it".to_owned()),
        Lines::Unmet(Some(line)) => Verdict::Unmet(show(&line)),
        Lines::Unmet(None) if text.is_empty() => Verdict::Unmet("no line matches: it is empty".to_owned()),
        Lines::Unmet(None) => Verdict::Unmet("no line matches".to_owned()),
        Lines::NoNumber(line) => Verdict::Inapplicable(format!("no number to compare in: {}", show(&line))),
        Lines::GaveUp => Verdict::Unknown("a regular expression took too many steps on a line".to_owned()),
    }
}

fn content(path: &str, pattern: &Pattern, answers: &Answers) -> Verdict {
    match ended(&format!("f:{path}"), answers) {
        Err(unknown) => unknown,
        Ok((exit, answer)) => refused(exit, "regular file", Verdict::Inapplicable)
            .unwrap_or_else(|| judge_text(pattern, &answer.output, !answer.cut, |line| super::show::line_of(path, line))),
    }
}

fn folder(path: &str, names: &Names, pattern: Option<&Pattern>, answers: &Answers) -> Verdict {
    let asked: &[&str] = if pattern.is_some() { &["D:"] } else { &["d:", "D:"] };
    let verdicts = asked.iter().map(|kind| match ended(&format!("{kind}{path}"), answers) {
        Err(unknown) => unknown,
        Ok((exit, answer)) => refused(exit, "folder", Verdict::Inapplicable).unwrap_or_else(|| judge_folder(names, pattern, answer)),
    });
    // The first that knows it; if none does, why the first does not.
    let mut first = None;
    for verdict in verdicts {
        if !matches!(verdict, Verdict::Unknown(_)) {
            return verdict;
        }
        first.get_or_insert(verdict);
    }
    first.unwrap_or_else(|| Verdict::Unknown("it was not asked".to_owned()))
}

fn judge_folder(names: &Names, pattern: Option<&Pattern>, answer: &Answer) -> Verdict {
    let Some(listing) = listing(&answer.output, answer.cut) else {
        return Verdict::Unknown("the answer is not understood".to_owned());
    };
    let entries = listing.entries.iter().filter_map(|entry| match names.expression.matches(entry.name()) {
        Ok(matches) if matches == names.negated => None,
        Ok(_) => Some(judge_entry(entry, pattern)),
        Err(_) => Some(Verdict::Unknown("a regular expression took too many steps on a name".to_owned())),
    });
    let rest = (!listing.whole).then(|| Verdict::Unknown("the folder could not be listed as a whole".to_owned()));
    any_of(entries.chain(rest)).unwrap_or_else(|| Verdict::Unmet("no such file".to_owned()))
}

fn judge_entry(entry: &Entry<'_>, pattern: Option<&Pattern>) -> Verdict {
    let about = |e: String| path_and(entry.path, &e);
    match (entry.kind, pattern) {
        (Kind::File, None) => Verdict::Met(about("exists".to_owned())),
        (Kind::Dangling, None) => Verdict::Unmet(about("is a link to nothing".to_owned())),
        (Kind::Dangling, Some(_)) => Verdict::Inapplicable(about("is a link to nothing".to_owned())),
        (Kind::Other, _) => Verdict::Inapplicable(about("is no regular file".to_owned())),
        (Kind::File, Some(pattern)) => {
            let show = |line: &[u8]| super::show::line_of(&String::from_utf8_lossy(entry.path), line);
            match entry.content {
                Content::Whole(text) => judge_text(pattern, text, true, show),
                Content::Beginning(text) => judge_text(pattern, text, false, show),
                Content::Unreadable => Verdict::Unknown("cannot be read".to_owned()),
                Content::NotAsked => Verdict::Unknown("its content was not sent".to_owned()),
            }
            .map(about)
        }
    }
}

/// A program is known by the name that the kernel keeps, and by the first word of its command line: with its folder, and without.
fn process(pattern: &Pattern, answers: &Answers) -> Verdict {
    let (exit, answer) = match ended("p:", answers) {
        Err(unknown) => return unknown,
        Ok(ended) => ended,
    };
    if let Some(verdict) = refused(exit, "list of programs", Verdict::Unknown) {
        return verdict;
    }
    let mut names: Vec<&[u8]> = Vec::new();
    for line in lines(&answer.output, !answer.cut).map(<[u8]>::trim_ascii).filter(|l| !l.is_empty()) {
        let word = line.strip_prefix(b"-").unwrap_or(line);
        let word = word.strip_suffix(b":").unwrap_or(word);
        names.push(word);
        names.extend(word.starts_with(b"/").then(|| word.rsplit(|b| *b == b'/').next()).flatten());
    }
    if names.is_empty() {
        return Verdict::Unknown("the list of programs is empty".to_owned());
    }
    names.sort_unstable();
    names.dedup();
    let found = pattern.lines(names.into_iter());
    if answer.cut && !pattern.decided(&found) {
        return Verdict::Unknown("the list of programs is longer than what is kept of it".to_owned());
    }
    match found {
        Lines::Met(Some(name)) => Verdict::Met(format!("{} runs", quoted(&name))),
        Lines::Met(None) => Verdict::Met("no program speaks against it".to_owned()),
        Lines::Unmet(None) => Verdict::Unmet("does not run".to_owned()),
        Lines::Unmet(Some(name)) => Verdict::Unmet(format!("{} runs", quoted(&name))),
        Lines::NoNumber(name) => Verdict::Inapplicable(format!("no number to compare in {}", quoted(&name))),
        Lines::GaveUp => Verdict::Unknown("a regular expression took too many steps on a name".to_owned()),
    }
}

fn command(text: &str, words: &[String], pattern: Option<&Pattern>, answers: &Answers) -> Verdict {
    let (exit, answer) = match ended(&format!("c:{text}"), answers) {
        Err(unknown) => return unknown,
        Ok(ended) => ended,
    };
    let program = quoted(words.first().map_or("", String::as_str).as_bytes());
    match exit {
        127 => return Verdict::Inapplicable(format!("{program} is not on this host")),
        // How `timeout` ends.
        124 => return Verdict::Unknown(format!("{program} ran out of time")),
        126 => return Verdict::Inapplicable(format!("{program} cannot be executed on this host")),
        // Killed, or crashed: what it had printed is not what it would have said.
        128.. if matches!(exit - 128, 4 | 6 | 7 | 8 | 9 | 11 | 15 | 24 | 31) => {
            return Verdict::Unknown(format!("{program} was ended by signal {}", exit - 128));
        }
        _ => {}
    }
    match pattern {
        // Nothing at all is one empty line, so that `r:^$` says that nothing is printed; but a program that fails without a word
        // does not meet what only wants something to be missing.
        Some(pattern) if answer.output.is_empty() && pattern.wants_something() => {
            judge_text(pattern, b"\n", !answer.cut, |_| "prints nothing".to_owned())
        }
        Some(pattern) => judge_text(pattern, &answer.output, !answer.cut, |line| shown(&super::show::without_hashes(line))),
        None => Verdict::Met(format!("{program} ran")),
    }
}
