//! A configuration of `ssh` taken apart: blocks, settings, and the files that it includes. What holds for a host is decided
//! in [`super::settings`]. Whoever calls reads the files; how many and how deep is bounded here.

use super::pattern::is_pattern;
use super::words::{arguments, delimited, keyword};
use super::{MAX_FILE, Trouble, lines};

/// How deep files may include one another, as in OpenSSH.
const MAX_DEPTH: usize = 16;
/// How many files are read in all.
const MAX_FILES: usize = 256;
/// How many bytes are read in all.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// How many words a line may have.
const MAX_WORDS: usize = 256;

/// A file that was read, or why it was not.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// How it is called in what is said about it.
    pub name: String,
    /// What is in it.
    pub bytes: Result<Vec<u8>, String>,
}

/// A host that a configuration names, without a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// As it is typed.
    pub name: String,
    /// The file that names it first.
    pub file: String,
    /// The line.
    pub line: usize,
}

/// A configuration with all that it includes.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub(super) roots: Vec<File>,
    /// What was not understood, or could not be read.
    pub troubles: Vec<Trouble>,
}

/// One file.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) items: Vec<(usize, Item)>,
}

/// What a line says.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Host(Vec<String>),
    /// Each with whether it is negated.
    Match(Vec<(bool, Criterion)>),
    Include(Vec<File>),
    Set(Key, Vec<String>),
}

/// What a `Match` line asks.
#[derive(Clone, Debug)]
pub(super) enum Criterion {
    All,
    /// `canonical` and `final`: only true the second time round.
    Final {
        asks_for_it: bool,
    },
    Host(String),
    OriginalHost(String),
    User(String),
    LocalUser(String),
    /// It would run a command, or depends on what is not known here.
    Unknowable(String),
}

/// The settings that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    HostName,
    Port,
    User,
    IdentityFile,
    IdentitiesOnly,
    CertificateFile,
    ProxyJump,
    ProxyCommand,
    HostKeyAlias,
    UserKnownHostsFile,
}

impl Key {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "hostname" => Self::HostName,
            "port" => Self::Port,
            "user" => Self::User,
            // The second name is that of old releases.
            "identityfile" | "identityfile2" => Self::IdentityFile,
            "identitiesonly" => Self::IdentitiesOnly,
            "certificatefile" => Self::CertificateFile,
            "proxyjump" => Self::ProxyJump,
            "proxycommand" => Self::ProxyCommand,
            "hostkeyalias" => Self::HostKeyAlias,
            "userknownhostsfile" | "userknownhostsfile2" => Self::UserKnownHostsFile,
            _ => return None,
        })
    }
}

/// Reads what an `Include` names: the file that says so, and the pattern as it stands there.
type Include<'a> = &'a mut dyn FnMut(&str, &str) -> Vec<Loaded>;

impl Config {
    /// Reads configurations in the order in which `ssh` does, first value first. `include` finds the files of a pattern; the
    /// first of its arguments is the name of the root that asks.
    pub fn read(roots: Vec<Loaded>, include: Include<'_>) -> Self {
        let mut reader = Reader { include, troubles: Vec::new(), files: 0, bytes: 0 };
        let roots = roots
            .into_iter()
            .filter_map(|root| {
                let name = root.name.clone();
                reader.file(root, &name, 0)
            })
            .collect();
        Self { roots, troubles: reader.troubles }
    }

    /// The hosts that are named without a pattern, in the order of the files, each once.
    pub fn aliases(&self) -> Vec<Alias> {
        fn gather(file: &File, seen: &mut std::collections::BTreeSet<String>, out: &mut Vec<Alias>) {
            for (line, item) in &file.items {
                match item {
                    Item::Host(patterns) => {
                        for name in patterns.iter().filter(|p| !is_pattern(p)) {
                            if seen.insert(name.clone()) {
                                out.push(Alias { name: name.clone(), file: file.name.clone(), line: *line });
                            }
                        }
                    }
                    Item::Include(files) => files.iter().for_each(|f| gather(f, seen, out)),
                    _ => {}
                }
            }
        }
        let (mut seen, mut out) = (std::collections::BTreeSet::new(), Vec::new());
        self.roots.iter().for_each(|f| gather(f, &mut seen, &mut out));
        out
    }
}

struct Reader<'a> {
    include: Include<'a>,
    troubles: Vec<Trouble>,
    files: usize,
    bytes: usize,
}

impl Reader<'_> {
    fn file(&mut self, loaded: Loaded, root: &str, depth: usize) -> Option<File> {
        let name = loaded.name;
        let mut trouble = |line, what: String| self.troubles.push(Trouble { file: name.clone(), line, what });
        let bytes = match loaded.bytes {
            Ok(bytes) if bytes.len() > MAX_FILE => {
                trouble(0, format!("it is longer than {MAX_FILE} bytes and was not read"));
                return None;
            }
            Ok(bytes) => bytes,
            Err(why) => {
                trouble(0, why);
                return None;
            }
        };
        self.files += 1;
        self.bytes += bytes.len();
        if self.files > MAX_FILES || self.bytes > MAX_BYTES {
            trouble(0, format!("it was not read: more than {MAX_FILES} files or {MAX_BYTES} bytes are included"));
            return None;
        }
        let mut bad = Vec::new();
        let texts = lines(&bytes, |line, what| bad.push((line, what)));
        for (line, what) in bad {
            trouble(line, what.to_owned());
        }
        let mut items = Vec::new();
        for (number, text) in texts {
            // Editors put a byte order mark in front; ssh would stumble over it.
            let text = if number == 1 { text.trim_start_matches('\u{feff}') } else { text };
            let Some((word, rest)) = keyword(text) else { continue };
            match self.item(&word, rest, &name, root, number, depth) {
                Ok(Some(item)) => items.push((number, item)),
                Ok(None) => {}
                Err(what) => self.troubles.push(Trouble { file: name.clone(), line: number, what }),
            }
        }
        Some(File { name, items })
    }

    fn item(&mut self, word: &str, rest: &str, file: &str, root: &str, line: usize, depth: usize) -> Result<Option<Item>, String> {
        if word == "match" {
            return criteria(rest).map(|c| Some(Item::Match(c)));
        }
        let key = Key::of(word);
        if key.is_none() && !matches!(word, "host" | "include") {
            return Ok(None);
        }
        // These take the rest of the line as it stands.
        if let Some(key @ (Key::ProxyCommand | Key::ProxyJump)) = key {
            let value = rest.trim();
            return if value.is_empty() { Err(format!("`{word}` has no value")) } else { Ok(Some(Item::Set(key, vec![value.to_owned()]))) };
        }
        let words = arguments(rest).ok_or("a quote is not closed")?;
        if words.is_empty() || words.iter().any(String::is_empty) {
            return Err(format!("`{word}` has no value"));
        }
        if words.len() > MAX_WORDS {
            return Err(format!("it has more than {MAX_WORDS} words"));
        }
        match key {
            None if word == "host" => Ok(Some(Item::Host(words))),
            None => {
                if depth + 1 >= MAX_DEPTH {
                    return Err(format!("files include one another more than {MAX_DEPTH} times deep"));
                }
                let mut files = Vec::new();
                for pattern in words {
                    for loaded in (self.include)(root, &pattern) {
                        if self.files > MAX_FILES || self.bytes > MAX_BYTES {
                            return Err(format!("more than {MAX_FILES} files or {MAX_BYTES} bytes are included"));
                        }
                        files.extend(self.file(loaded, root, depth + 1));
                    }
                }
                Ok(Some(Item::Include(files)))
            }
            Some(key) => {
                if key == Key::Port && words.first().and_then(|w| w.parse::<u16>().ok()).is_none_or(|port| port == 0) {
                    return Err("it has no usable port: a port is a number from 1 to 65535".to_owned());
                }
                if key != Key::UserKnownHostsFile && words.len() > 1 {
                    return Err(format!("`{word}` takes one value ({file}:{line})"));
                }
                Ok(Some(Item::Set(key, words)))
            }
        }
    }
}

fn criteria(rest: &str) -> Result<Vec<(bool, Criterion)>, String> {
    let mut out = Vec::new();
    let mut rest = rest;
    while let Some((word, after)) = delimited(rest) {
        if word.starts_with('#') {
            break;
        }
        rest = after;
        let (negated, name) = match word.strip_prefix('!') {
            Some(name) => (true, name.to_ascii_lowercase()),
            None => (false, word.to_ascii_lowercase()),
        };
        if out.len() >= MAX_WORDS {
            return Err(format!("it has more than {MAX_WORDS} words"));
        }
        match name.as_str() {
            "all" => {
                if !out.is_empty() || delimited(rest).is_some_and(|(w, _)| !w.starts_with('#')) {
                    return Err("`all` stands alone behind Match".to_owned());
                }
                out.push((negated, Criterion::All));
                return Ok(out);
            }
            "canonical" | "final" => {
                out.push((negated, Criterion::Final { asks_for_it: name == "final" }));
                continue;
            }
            _ => {}
        }
        let (value, after) = delimited(rest).filter(|(v, _)| !v.is_empty() && !v.starts_with('#')).ok_or("Match: a value is missing")?;
        rest = after;
        let value = value.to_owned();
        out.push((
            negated,
            match name.as_str() {
                "host" => Criterion::Host(value),
                "originalhost" => Criterion::OriginalHost(value),
                "user" => Criterion::User(value),
                "localuser" => Criterion::LocalUser(value),
                "exec" | "localnetwork" | "tagged" | "command" | "sessiontype" | "version" => Criterion::Unknowable(name),
                _ => return Err("Match: a word is not known".to_owned()),
            },
        ));
    }
    if out.is_empty() { Err("Match: there is nothing behind it".to_owned()) } else { Ok(out) }
}
