//! Says what the words of one command do, as far as they are known. It looks through programs that run another one.

use super::known::{
    ACCESS, BUILTINS, COPIERS, DECISIVE, DISKS, LANGUAGES, NETWORK, PRIVILEGE, REMOVERS, SHELLS, SYSTEM, WRAPPERS, WRITERS, Wrapper,
};
use super::read::Word;
use super::{Notes, PointKind, name, piece};

/// How many targets a point names.
const TARGETS: usize = 6;
/// Through how many programs that run another one it looks.
const THROUGH: usize = 32;

impl Word {
    fn is(&self, text: &str) -> bool {
        self.text == text.as_bytes()
    }

    fn option(&self) -> bool {
        self.text.len() > 1 && self.text.starts_with(b"-")
    }

    fn open(&self) -> bool {
        self.filled || self.glob
    }

    /// The value of `--name=value`, and of such words.
    fn value_of(&self, before: &str) -> Option<Word> {
        let text = self.text.strip_prefix(before.as_bytes())?.to_vec();
        Some(Word { text, ..self.clone() })
    }
}

/// What `words` do; `fed` says that their input comes from a pipe or a file.
pub(super) fn command(words: &[Word], fed: bool, notes: &mut Notes, inner: &mut Vec<Vec<u8>>) {
    words.iter().for_each(|word| names(word, notes));
    let mut later = vec![words];
    let mut through = 0usize;
    while let Some(mut rest) = later.pop() {
        while let [word, tail @ ..] = rest
            && let Some(variable) = assigned(word)
        {
            sets(variable, notes);
            rest = tail;
        }
        while let [program, args @ ..] = rest {
            if program.open() {
                notes.say(PointKind::Unknown, format!("which program runs is known only when it runs: {}", piece(&program.text)));
                break;
            }
            let base = program.text.rsplit(|b| *b == b'/').next().unwrap_or_default();
            let base = String::from_utf8_lossy(base).into_owned();
            if !BUILTINS.contains(&base.as_str()) {
                name(&mut notes.programs, &program.text);
            }
            effects(&base, args, fed, notes, inner);
            if base == "find" {
                let runs = |w: &Word| ["-exec", "-execdir", "-ok", "-okdir"].iter().any(|o| w.is(o));
                let behind = args.iter().position(runs).and_then(|at| args.get(at.saturating_add(1)..)).unwrap_or_default();
                let end = behind.iter().position(|w| w.is(";") || w.is("+")).unwrap_or(behind.len());
                later.extend(behind.get(..end));
            }
            through = through.saturating_add(1);
            if through > THROUGH {
                notes.say(PointKind::Unreadable, "too many programs that run another one: read the bytes".to_owned());
                return;
            }
            match WRAPPERS.iter().find(|w| w.name == base) {
                Some(_) if base == "command" && args.first().is_some_and(|a| a.is("-v") || a.is("-V")) => break,
                Some(wrapper) => rest = behind(wrapper, args, notes),
                None => break,
            }
        }
    }
}

/// The words behind the options of a program that runs another.
fn behind<'a>(wrapper: &Wrapper, args: &'a [Word], notes: &mut Notes) -> &'a [Word] {
    let mut rest = args;
    while let [word, tail @ ..] = rest {
        if word.is("--") {
            rest = tail;
            break;
        } else if word.option() {
            let valued = wrapper.valued.iter().any(|option| word.is(option));
            rest = if valued { tail.get(1..).unwrap_or_default() } else { tail };
        } else if let Some(variable) = assigned(word) {
            sets(variable, notes);
            rest = tail;
        } else {
            break;
        }
    }
    rest.get(wrapper.words..).unwrap_or_default()
}

/// The variable of `NAME=value`.
fn assigned(word: &Word) -> Option<&[u8]> {
    let end = word.text.iter().position(|b| *b == b'=')?;
    let variable = word.text.get(..end)?;
    let variable = variable.strip_suffix(b"+").unwrap_or(variable);
    let (first, rest) = variable.split_first()?;
    let named = (first.is_ascii_alphabetic() || *first == b'_')
        && rest.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'[' | b']'));
    named.then_some(variable)
}

fn sets(variable: &[u8], notes: &mut Notes) {
    name(&mut notes.sets, variable);
    if DECISIVE.iter().any(|d| d.as_bytes() == variable) {
        notes.say(PointKind::RunsText, format!("sets {}, which decides what programs run or load", piece(variable)));
    }
}

/// What the program `base` does with its words.
fn effects(base: &str, args: &[Word], fed: bool, notes: &mut Notes, inner: &mut Vec<Vec<u8>>) {
    if PRIVILEGE.contains(&base) {
        privilege(base, args, notes, inner);
    }
    if SHELLS.contains(&base) {
        shell(base, args, fed, notes, inner);
    }
    let language = LANGUAGES.iter().find(|(l, _)| base.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.') == *l);
    if let Some((language, options)) = language {
        let text = args.iter().position(|w| options.iter().any(|o| w.is(o))).and_then(|at| args.get(at.saturating_add(1)));
        if let Some(text) = text {
            notes.say(PointKind::RunsText, format!("{language} runs this text as a program: {}", piece(&text.text)));
        } else if fed && args.iter().all(|w| w.text.starts_with(b"-")) {
            notes.say(PointKind::RunsText, format!("{language} runs its input as a program"));
        }
    }
    match base {
        "eval" => run_text("eval", args, notes, inner),
        "trap" => run_text("trap", args.get(..1).unwrap_or_default(), notes, inner),
        "source" | "." => {
            if let Some(file) = args.first() {
                notes.say(PointKind::RunsText, format!("runs the commands that are in {}", piece(&file.text)));
            }
        }
        "awk" | "gawk" | "mawk" if args.iter().any(|w| w.text.windows(7).any(|t| t == b"system(") || w.text.contains(&b'|')) => {
            notes.say(PointKind::RunsText, "awk may run commands".to_owned());
        }
        "env" => {
            let text = args.iter().position(|w| w.is("-S")).and_then(|at| args.get(at.saturating_add(1)));
            text.into_iter().for_each(|t| run_text("env", std::slice::from_ref(t), notes, inner));
        }
        "xargs" | "parallel" => notes.say(PointKind::Unknown, format!("{base} adds words that are known only when it runs")),
        "export" | "readonly" | "declare" | "typeset" | "local" => args.iter().filter_map(assigned).for_each(|v| sets(v, notes)),
        "find" if args.iter().any(|w| w.is("-delete")) => notes.say(PointKind::Removal, "find removes the files that it finds".to_owned()),
        "git" if args.first().is_some_and(|w| w.is("clean")) => {
            notes.say(PointKind::Removal, "git removes files that it does not know".to_owned())
        }
        _ => {}
    }
    if REMOVERS.contains(&base) {
        removal(base, args, notes);
    }
    if DISKS.iter().any(|d| base == *d || base.starts_with("mkfs.")) {
        notes.say(PointKind::Removal, format!("{} may write over what is on a disk", piece(base.as_bytes())));
    }
    if let Some((what, _, shows)) = SYSTEM.iter().find(|(_, programs, _)| programs.contains(&base)) {
        let only_shows = args.iter().find(|w| !w.text.starts_with(b"--")).is_some_and(|w| shows.iter().any(|s| w.is(s)));
        if !only_shows {
            let words: Vec<&[u8]> = std::iter::once(base.as_bytes()).chain(args.iter().take(3).map(|w| &w.text[..])).collect();
            notes.say(PointKind::System, format!("may change {what}: {}", piece(&words.join(&b" "[..]))));
        }
    }
    if NETWORK.contains(&base) {
        notes.say(PointKind::Network, format!("{base} may speak to other machines"));
    }
    if base == "ssh" {
        notes.say(PointKind::RunsText, "ssh may run its words as commands on another machine".to_owned());
    }
    writes(base, args, notes);
}

fn privilege(base: &str, args: &[Word], notes: &mut Notes, inner: &mut Vec<Vec<u8>>) {
    let named = args.iter().position(|w| w.is("-u") || w.is("--user")).and_then(|at| args.get(at.saturating_add(1)).cloned());
    let user = named.or_else(|| args.iter().find_map(|w| w.value_of("--user=")));
    let user = if base == "su" { args.iter().find(|w| !w.text.starts_with(b"-")).cloned() } else { user };
    let who = match (base, user) {
        ("chroot" | "nsenter", _) => format!("runs in another root or name space, through {base}"),
        (_, Some(user)) => format!("runs as {}, through {base}", piece(&user.text)),
        (_, None) => format!("runs as root, through {base}"),
    };
    notes.say(PointKind::Privilege, who);
    if matches!(base, "su" | "runuser") {
        let text = args.iter().position(|w| w.is("-c") || w.is("--command")).and_then(|at| args.get(at.saturating_add(1)).cloned());
        let text = text.or_else(|| args.iter().find_map(|w| w.value_of("--command=")));
        text.into_iter().for_each(|t| run_text(base, std::slice::from_ref(&t), notes, inner));
    }
}

/// A shell runs a text, a file, or its input.
fn shell(base: &str, args: &[Word], fed: bool, notes: &mut Notes, inner: &mut Vec<Vec<u8>>) {
    let cluster = |w: &Word| w.text.starts_with(b"-") && !w.text.starts_with(b"--") && w.text.contains(&b'c');
    let mut behind = args.iter().skip_while(|w| w.option() && !cluster(w) || w.is("pipefail"));
    match behind.next() {
        Some(word) if cluster(word) => {
            if let Some(text) = behind.find(|w| !w.option()) {
                run_text(base, std::slice::from_ref(text), notes, inner);
            }
        }
        Some(file) if !file.is("-") && !args.iter().any(|w| w.is("-s")) => {
            notes.say(PointKind::RunsText, format!("{base} runs the commands that are in {}", piece(&file.text)));
        }
        _ if fed => notes.say(PointKind::RunsText, format!("{base} runs its input as commands")),
        _ => notes.say(PointKind::RunsText, format!("starts {base}, which runs what comes as its input")),
    }
}

/// The words are one text that is run as commands.
fn run_text(by: &str, words: &[Word], notes: &mut Notes, inner: &mut Vec<Vec<u8>>) {
    let text = words.iter().map(|w| &w.text[..]).collect::<Vec<_>>().join(&b' ');
    if text.is_empty() || text == b"-" {
        return;
    }
    if words.iter().any(Word::open) {
        notes.say(PointKind::RunsText, format!("{by} runs a text as commands that is known only when it runs: {}", piece(&text)));
    } else {
        notes.say(PointKind::RunsText, format!("{by} runs this text as commands: {}", piece(&text)));
        inner.push(text);
    }
}

fn removal(base: &str, args: &[Word], notes: &mut Notes) {
    let flag = |short: &[u8], long: &str| {
        args.iter().any(|w| w.is(long) || w.option() && !w.text.starts_with(b"--") && w.text.iter().any(|b| short.contains(b)))
    };
    let targets: Vec<&Word> = args.iter().filter(|w| !w.option()).collect();
    let mut text = format!("{base} removes {}", list(&targets));
    if base == "rm" && flag(b"rR", "--recursive") {
        text.push_str(", with everything in it (-r)");
    }
    if base == "rm" && flag(b"f", "--force") {
        text.push_str(", without asking (-f)");
    }
    if targets.iter().any(|w| w.open()) {
        text.push_str("; which files is known only when it runs");
    }
    notes.say(PointKind::Removal, text);
}

fn list(targets: &[&Word]) -> String {
    if targets.is_empty() {
        return "what it is given".to_owned();
    }
    let shown: Vec<String> = targets.iter().take(TARGETS).map(|w| piece(&w.text)).collect();
    match targets.len().saturating_sub(TARGETS) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The files that a program writes because its words say so.
fn writes(base: &str, args: &[Word], notes: &mut Notes) {
    let behind = |options: &[&str]| args.iter().position(|w| options.iter().any(|o| w.is(o))).and_then(|at| args.get(at.saturating_add(1)));
    let plain: Vec<&Word> = args.iter().filter(|w| !w.option()).collect();
    if let Some((_, skip)) = WRITERS.iter().find(|(name, _)| *name == base) {
        plain.iter().skip(*skip).for_each(|w| written(base, w, notes));
    }
    if COPIERS.contains(&base) {
        let into = args.iter().find_map(|w| w.value_of("--target-directory="));
        let target = into.as_ref().or_else(|| behind(&["-t", "--target-directory"])).or_else(|| plain.last().copied());
        target.into_iter().for_each(|w| written(base, w, notes));
    }
    match base {
        "dd" => args.iter().filter_map(|w| w.value_of("of=")).for_each(|w| written(base, &w, notes)),
        "sed" | "perl" if args.iter().any(|w| w.text.starts_with(b"-i") || w.is("--in-place") || w.text.starts_with(b"--in-place=")) => {
            plain.iter().skip(1).for_each(|w| written(base, w, notes));
        }
        "curl" => match behind(&["-o", "--output"]) {
            Some(file) => written(base, file, notes),
            None if args.iter().any(|w| w.is("-O") || w.is("--remote-name")) => {
                notes.say(PointKind::Write, "curl writes a file with the name that the address has".to_owned());
            }
            None => {}
        },
        "wget" => match behind(&["-O", "--output-document"]) {
            Some(file) => written(base, file, notes),
            None => notes.say(PointKind::Write, "wget writes a file with the name that the address has".to_owned()),
        },
        "tar"
            if args.first().is_some_and(|w| !w.text.starts_with(b"--") && w.text.contains(&b'x'))
                || args.iter().any(|w| w.is("--extract")) =>
        {
            notes.say(PointKind::Write, "tar writes the files that are in an archive".to_owned());
        }
        "unzip" | "patch" | "cpio" => notes.say(PointKind::Write, format!("{base} may write many files")),
        _ => {}
    }
}

/// `by` writes the file that `word` names.
fn written(by: &str, word: &Word, notes: &mut Notes) {
    if word.is("-") {
        return;
    }
    notes.say(PointKind::Write, format!("{by} writes {}", piece(&word.text)));
    place(word, notes);
}

/// Where a file is that is written.
fn place(word: &Word, notes: &mut Notes) {
    let text = &word.text[..];
    let within = |folder: &str| text.starts_with(folder.as_bytes());
    let device = ["/dev/null", "/dev/stdout", "/dev/stderr", "/dev/tty"].iter().any(|d| word.is(d)) || within("/dev/fd/");
    if word.open() {
        notes.say(PointKind::Unknown, format!("which file is written is known only when it runs: {}", piece(text)));
    } else if text.split(|b| *b == b'/').any(|part| part == b"..") {
        notes.say(PointKind::OutsideHome, format!("may write outside home: {}", piece(text)));
    } else if within("/dev/tcp/") || within("/dev/udp/") {
        notes.say(PointKind::Network, format!("bash speaks to another machine: {}", piece(text)));
    } else if within("/") && !within("/home/") && !within("/root/") && !device {
        notes.say(PointKind::OutsideHome, format!("writes outside home: {}", piece(text)));
    }
}

/// What a redirection does.
pub(super) fn redirection(sign: &str, word: &Word, notes: &mut Notes) {
    let file = piece(&word.text);
    let stream = word.is("-") || !word.text.is_empty() && word.text.iter().all(u8::is_ascii_digit);
    match sign {
        ">&" | "<&" if stream => {}
        "<<<" => notes.say(PointKind::Read, format!("gives this text as input: {file}")),
        "<" | "<&" => {
            notes.say(PointKind::Read, format!("reads from {file}"));
            if word.open() {
                notes.say(PointKind::Unknown, format!("which file is read is known only when it runs: {file}"));
            }
        }
        ">>" => {
            notes.say(PointKind::Write, format!("appends to {file}"));
            place(word, notes);
        }
        "<>" => {
            notes.say(PointKind::Write, format!("reads and writes {file}"));
            place(word, notes);
        }
        _ => {
            notes.say(PointKind::Write, format!("writes to {file}, and what was in it is gone"));
            place(word, notes);
        }
    }
}

/// Files that a word names and that decide about access.
pub(super) fn names(word: &Word, notes: &mut Notes) {
    for (part, what) in ACCESS {
        if word.text.windows(part.len()).any(|t| t == part.as_bytes()) {
            notes.say(PointKind::Access, format!("names {}, where it says {what}", piece(&word.text)));
            return;
        }
    }
    if word.text.windows(9).any(|t| t == b"/dev/tcp/" || t == b"/dev/udp/") {
        notes.say(PointKind::Network, format!("bash may speak to another machine: {}", piece(&word.text)));
    }
}
