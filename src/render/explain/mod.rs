//! Explains a shell command to the person who is asked: what runs, what is written, what is known only when it runs. It
//! never authorises, and silence of it means nothing: a command can do what nobody sees in its words.
//!
//! # Why there is no parser of a library here
//!
//! These bytes are a stranger's, and the daemon that reads them holds keys. `brush-parser` 0.4 took one second over 25 open
//! parentheses and more than ten over 30, and overflowed the stack over ten thousand `$(`; `yash-syntax` has a licence that
//! does not fit. This reader goes over the bytes once, with a stack of its own that has a bound. It knows the words of
//! POSIX and most of bash; where it does not, it says so.

mod judge;
mod known;
mod operator;
mod quote;
mod read;
mod words;

#[cfg(test)]
mod tests;

use super::clean_bytes;

/// The longest command that is explained, in bytes.
pub const LENGTH_MAX: usize = 16 * 1024;
/// The deepest nesting of quotes, substitutions and parentheses.
const DEPTH_MAX: usize = 64;
/// How often a text inside a command is read as a command: `sh -c "sh -c …"`, backticks in backticks.
const LEVELS: usize = 4;
/// The most points.
const POINTS_MAX: usize = 60;
/// The most columns of a piece of the command in a point.
const PIECE: usize = 60;
/// The most names in one point.
const NAMES: usize = 12;

/// What can be said of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The weightiest kind first, in each kind in the order of the command.
    pub points: Vec<Point>,
}

/// One thing that can be said, in a short sentence without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// What it is about.
    pub kind: PointKind,
    /// The sentence. Pieces of the command in it are [`super::clean`].
    pub text: String,
}

/// What a point is about; the weightiest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PointKind {
    /// It cannot be read as a shell would, or not all of it.
    Unreadable,
    /// Text is run as commands: `| sh`, `bash -c`, `eval`, `source`.
    RunsText,
    /// It runs as somebody else.
    Privilege,
    /// It is about who may sign in, or become who.
    Access,
    /// Files are removed, or a disk is written over.
    Removal,
    /// Packages, services, users, the kernel, other processes.
    System,
    /// A file outside a home is written.
    OutsideHome,
    /// A file is written.
    Write,
    /// Which program or file it is, is known only when it runs.
    Unknown,
    /// It speaks to other machines.
    Network,
    /// The programs that run.
    Program,
    /// A file is read, or text is given as input.
    Read,
    /// The output of a command becomes part of the command.
    Substitution,
    /// Variables that are read.
    Variable,
    /// Variables that are set.
    Environment,
    /// Names of files are filled in.
    Glob,
    /// It goes on when the command has ended.
    Background,
    /// The output of one command is the input of the next.
    Pipe,
    /// Several commands.
    Sequence,
    /// Commands that run under a condition, or again and again.
    Control,
    /// A function is defined.
    Function,
    /// There is more to say than is said.
    More,
}

/// What can be said of `command`. Takes time in proportion to it, for any bytes; it never fails.
pub fn explain(command: &[u8]) -> Explanation {
    let mut notes = Notes::default();
    if command.len() > LENGTH_MAX {
        notes.say(PointKind::Unreadable, format!("at {} bytes this is too long to explain: read the bytes", command.len()));
        return notes.explanation();
    }
    let mut texts = vec![(command.to_vec(), 0)];
    let mut read = 0usize;
    while let Some((text, level)) = texts.pop() {
        read = read.saturating_add(text.len());
        if level > LEVELS || read > LENGTH_MAX.saturating_mul(LEVELS) {
            notes.say(PointKind::Unreadable, "commands inside commands go too deep to explain: read the bytes".to_owned());
            break;
        }
        let mut inner = Vec::new();
        if let Err(why) = read::read(&text, &mut notes, &mut inner) {
            notes.say(PointKind::Unreadable, format!("this cannot be parsed as a shell would ({}): read the bytes", why.sentence()));
        }
        // The last is taken first.
        texts.extend(inner.into_iter().rev().map(|text| (text, level.saturating_add(1))));
    }
    notes.explanation()
}

/// What was found so far.
#[derive(Default)]
struct Notes {
    points: Vec<Point>,
    /// Points that were too many.
    left_out: usize,
    /// Names that share a point.
    programs: Vec<String>,
    variables: Vec<String>,
    sets: Vec<String>,
    globs: Vec<String>,
}

impl Notes {
    fn say(&mut self, kind: PointKind, text: String) {
        let point = Point { kind, text };
        if self.points.contains(&point) {
            return;
        }
        // What is weighty is never left out for something that came before it.
        if self.points.len() >= POINTS_MAX {
            self.left_out = self.left_out.saturating_add(1);
            match self.points.iter().enumerate().max_by_key(|(_, p)| p.kind) {
                Some((lightest, p)) if p.kind > kind => drop(self.points.remove(lightest)),
                _ => return,
            }
        }
        self.points.push(point);
    }

    /// The points in their order.
    fn explanation(mut self) -> Explanation {
        let names = [
            (PointKind::Program, "runs ", std::mem::take(&mut self.programs)),
            (PointKind::Variable, "fills in variables: ", std::mem::take(&mut self.variables)),
            (PointKind::Environment, "sets variables: ", std::mem::take(&mut self.sets)),
            (PointKind::Glob, "fills in the names of files that match ", std::mem::take(&mut self.globs)),
        ];
        for (kind, before, names) in names {
            if !names.is_empty() {
                let shown: Vec<&str> = names.iter().take(NAMES).map(String::as_str).collect();
                let more = names.len().saturating_sub(NAMES);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                self.points.push(Point { kind, text: format!("{before}{}{more}", shown.join(", ")) });
            }
        }
        self.points.sort_by_key(|p| p.kind);
        if self.left_out > 0 {
            self.points.push(Point { kind: PointKind::More, text: format!("{} more could be said: read the bytes", self.left_out) });
        }
        Explanation { points: self.points }
    }
}

/// A piece of the command, as it is named in a point.
fn piece(bytes: &[u8]) -> String {
    format!("`{}`", clean_bytes(bytes, PIECE))
}

fn name(names: &mut Vec<String>, bytes: &[u8]) {
    let name = piece(bytes);
    if !names.contains(&name) {
        names.push(name);
    }
}
