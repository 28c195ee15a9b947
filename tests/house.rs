//! The house rules as tests: who may import whom, who may see a secret, how long a file may be.
//! Why the rooms are as they are: `docs/adr/0001-the-house.md`.

// A test says what went wrong by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Every room, lowest floor first, with the rooms that it may import. A room lists only rooms that stand above its own
/// line, so that no circle can be made; a permission that no line of code uses fails, too.
const ROOMS: &[(&str, &[&str])] = &[
    // 0 ground: nouns, no I/O
    ("secret", &[]),
    ("scrub", &[]),
    ("fault", &[]),
    ("clock", &[]),
    ("model", &["clock"]),
    ("render", &[]),
    ("screen", &[]),
    ("masking", &[]),
    ("ssh_agent", &["fault", "model", "secret"]),
    ("probes", &[]),
    ("facts", &["model", "probes"]),
    ("checks", &["model", "probes"]),
    ("advisories", &["facts"]),
    ("report", &["advisories", "checks", "facts", "model", "probes"]),
    ("sshconfig", &[]),
    ("sftp", &[]),
    // 1 law and ledger
    ("authz", &["clock", "model"]),
    ("store", &["clock", "fault", "model"]),
    // 2 witnesses
    ("audit", &["clock", "fault", "model", "store"]),
    ("authn", &["audit", "clock", "model", "store"]),
    // 3 strongroom
    ("vault", &["audit", "authz", "clock", "fault", "masking", "model", "scrub", "secret", "store"]),
    ("sources", &["fault", "masking", "model", "scrub", "secret"]),
    ("custody", &["audit", "authn", "authz", "clock", "fault", "model", "secret", "sources", "store", "vault"]),
    // 4 wires: strangers to each other
    ("tcp", &[]),
    ("target", &["fault", "model", "secret", "tcp", "vault"]),
    ("relay", &["audit", "authz", "model", "sftp"]),
    // 5 living room
    ("sessions", &["audit", "authz", "clock", "custody", "fault", "model", "relay", "secret", "ssh_agent", "target"]),
    // 6 desks
    ("approvals", &["audit", "authz", "clock", "custody", "fault", "masking", "model", "sessions", "store"]),
    (
        "scans",
        &[
            "advisories",
            "audit",
            "authz",
            "checks",
            "clock",
            "custody",
            "facts",
            "fault",
            "masking",
            "model",
            "probes",
            "report",
            "sessions",
            "store",
        ],
    ),
    ("rotation", &["audit", "clock", "custody", "fault", "model", "probes", "sessions", "store"]),
    // 7 counter
    (
        "control",
        &[
            "approvals",
            "audit",
            "authn",
            "authz",
            "clock",
            "custody",
            "fault",
            "model",
            "probes",
            "report",
            "rotation",
            "scans",
            "secret",
            "sessions",
            "sshconfig",
            "store",
            "target",
        ],
    ),
    ("inbox", &["clock", "control", "fault", "model", "render", "screen"]),
    ("picker", &["clock", "control", "model", "render", "screen"]),
    ("cli", &["clock", "control", "fault", "inbox", "model", "render", "screen", "secret", "ssh_agent", "sshconfig"]),
    // 8 doors
    ("mcp", &["approvals", "authn", "authz", "clock", "facts", "fault", "model", "scans"]),
    (
        "front",
        &[
            "approvals",
            "authn",
            "cli",
            "control",
            "fault",
            "inbox",
            "mcp",
            "model",
            "picker",
            "relay",
            "scans",
            "screen",
            "secret",
            "sessions",
            "ssh_agent",
            "tcp",
        ],
    ),
    ("socket", &["control", "fault", "mcp", "model", "secret"]),
    // 9 roof
    ("config", &["approvals", "authn", "fault", "front", "mcp", "model", "scans", "sources", "target", "tcp"]),
    (
        "daemon",
        &[
            "approvals",
            "audit",
            "authn",
            "authz",
            "cli",
            "clock",
            "config",
            "control",
            "custody",
            "fault",
            "front",
            "mcp",
            "model",
            "rotation",
            "scans",
            "secret",
            "sessions",
            "socket",
            "sources",
            "store",
            "tcp",
            "vault",
        ],
    ),
    ("main", &["cli", "daemon"]),
];

/// What the table may never say, whatever the code would like: `(room, rooms it cannot name, why)`.
const WALLS: &[(&str, &[&str], &str)] = &[
    ("front", &["vault", "target", "store", "custody"], "bytes of strangers come in there"),
    ("mcp", &["vault", "target", "store", "custody", "sessions", "control"], "agents reach the desk and nothing else"),
    ("approvals", &["vault", "secret", "target", "relay"], "nothing is decrypted for an agent"),
    ("rotation", &["vault", "secret", "target", "relay"], "hosts are reached through sessions, and nothing is decrypted here"),
    ("scans", &["vault", "secret", "target", "relay"], "hosts are reached through sessions, and nothing is decrypted here"),
    ("socket", &["vault", "target", "store", "custody"], "bytes of strangers come in there"),
    ("cli", &["vault", "target", "store", "custody"], "it only asks the desk"),
    ("control", &["sources", "vault"], "it reaches the vault and other people's only through custody"),
    ("sources", &["custody", "store", "vault"], "it fetches what it is asked for, and knows no rows and no keys"),
    ("sessions", &["vault", "store"], "it reaches the vault only through custody"),
    ("relay", &["vault", "custody", "store", "secret", "target"], "it moves bytes"),
    ("target", &["custody", "store", "relay", "sessions"], "it spends a lease and asks for none"),
    ("store", &["secret", "vault"], "it never sees the plaintext of a secret"),
    ("audit", &["secret", "vault"], "it never sees the plaintext of a secret"),
    ("authz", &["store", "vault", "audit"], "it decides on values that were read before"),
];

/// Unit tests that look at a room that is not below theirs: `(room, the other, why)`.
const TESTS_MAY: &[(&str, &str, &str)] = &[("control", "cli", "the tests of the desk speak the words that people type")];

/// Who may call `Secret::expose`, apart from `src/secret.rs` itself.
const MAY_EXPOSE: &[&str] = &["src/vault/", "src/target/login.rs", "src/target/password.rs", "src/target/sudo.rs"];
/// Who may call `Secret::pour`: the local client, which hands a secret to the daemon and keeps nothing.
const MAY_POUR: &[&str] = &["src/cli/client.rs"];

/// The most lines of code in a file; blank lines, comments and unit tests are not counted.
const LINES_MAX: usize = 500;
/// Files that are longer, each with its reason.
const LONG: &[(&str, &str)] = &[];

/// Words that say something is unfinished. Written in halves, so that this file does not find itself.
const UNFINISHED: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("for ", "now"), concat!("unimple", "mented!"), concat!("to", "do!")];

#[test]
fn a_room_imports_only_what_the_table_lets_it() {
    let mut used: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut wrong = String::new();
    for file in sources() {
        for import in imports(&file.code, &file.modules) {
            let (room, other) = (file.room().to_owned(), import.room);
            if other == room {
                continue;
            }
            let at = format!("{}:{}", file.path, import.line);
            let Some(floor) = floor_of(&room) else { continue };
            if import.test {
                // A unit test may look at anything below its room, listed or not.
                let excepted = TESTS_MAY.iter().any(|(r, o, _)| *r == room && *o == other);
                if !excepted && floor_of(&other).is_none_or(|f| f >= floor) {
                    writeln!(wrong, "{at}: a unit test of `{room}` names `{other}`, which is not below it").unwrap();
                }
                continue;
            }
            if !ROOMS[floor].1.contains(&other.as_str()) {
                writeln!(wrong, "{at}: `{room}` names `{other}`, which its line in the table does not list").unwrap();
            }
            used.entry((room, other)).or_insert(at);
        }
    }
    for (room, may) in ROOMS {
        for other in *may {
            if !used.contains_key(&((*room).to_owned(), (*other).to_owned())) {
                writeln!(wrong, "tests/house.rs: `{room}` may import `{other}` and does not: take the permission away").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn the_table_has_floors_and_walls() {
    for (floor, (room, may)) in ROOMS.iter().enumerate() {
        for other in *may {
            assert!(
                ROOMS[..floor].iter().any(|(r, _)| r == other),
                "`{room}` may import `{other}`, which does not stand above it in the table"
            );
        }
        let mut sorted = may.to_vec();
        sorted.sort_unstable();
        assert_eq!(*may, sorted, "`{room}`: the list is not sorted");
    }
    for (room, walls, why) in WALLS {
        let may = ROOMS.iter().find(|(r, _)| r == room).map_or(&[][..], |(_, may)| may);
        for wall in *walls {
            assert!(!may.contains(wall), "`{room}` may not import `{wall}`: {why}");
        }
    }
}

#[test]
fn every_room_is_in_the_table_and_every_line_is_a_room() {
    let found: BTreeSet<String> = sources().iter().map(|f| f.room().to_owned()).filter(|room| room != "lib").collect();
    let listed: BTreeSet<String> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(found, listed, "left: in src/; right: in the table");
}

#[test]
fn no_room_passes_on_what_another_one_owns() {
    let mut wrong = String::new();
    for file in sources() {
        for import in imports(&file.code, &file.modules) {
            // The nouns of the ground floor belong to everybody.
            let noun = ["secret", "fault", "clock", "model"].contains(&import.room.as_str());
            if import.public && !noun && import.room != file.room() {
                writeln!(
                    wrong,
                    "{}:{}: re-exports something of `{}`: whoever needs it imports it from there",
                    file.path, import.line, import.room
                )
                .unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn secrets_are_seen_in_two_rooms_only() {
    let mut wrong = String::new();
    for place in MAY_EXPOSE.iter().chain(MAY_POUR) {
        assert!(root().join(place).exists(), "tests/house.rs: {place} is not there any more");
    }
    for file in sources().iter().filter(|f| f.path != "src/secret.rs") {
        for (call, may) in [("expose", MAY_EXPOSE), ("pour", MAY_POUR)] {
            if may.iter().any(|place| file.path.starts_with(place)) {
                continue;
            }
            for line in calls(&file.code, call) {
                writeln!(wrong, "{}:{line}: calls `.{call}(`; only {} may", file.path, may.join(" and ")).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn unsafe_code_is_forbidden() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let lints = manifest.split("[lints.rust]").nth(1).and_then(|rest| rest.split("\n[").next()).expect("Cargo.toml has [lints.rust]");
    assert!(lints.lines().any(|l| l.trim() == r#"unsafe_code = "forbid""#), "Cargo.toml: [lints.rust] must say unsafe_code = \"forbid\"");
    for file in sources() {
        if let Some(token) = file.code.iter().find(|t| t.text == "unsafe") {
            panic!("{}:{}: unsafe code", file.path, token.line);
        }
    }
}

#[test]
fn no_file_grows_without_a_reason() {
    let mut wrong = String::new();
    for file in sources() {
        let lines: BTreeSet<usize> = file.code.iter().filter(|t| !t.test).map(|t| t.line).collect();
        match (lines.len() > LINES_MAX, LONG.iter().any(|(path, _)| *path == file.path)) {
            (true, false) => {
                writeln!(wrong, "{}: {} lines of code, {LINES_MAX} are enough: split it by what it speaks about", file.path, lines.len())
                    .unwrap()
            }
            (false, true) => writeln!(wrong, "tests/house.rs: {} is not long any more", file.path).unwrap(),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_file_says_what_it_is_for() {
    for file in sources() {
        assert!(file.text.starts_with("//! "), "{}:1: the first line says what the file is for, after `//! `", file.path);
    }
}

#[test]
fn nothing_is_left_unfinished_or_skipped() {
    let mut wrong = String::new();
    for folder in ["src", "tests", "benches", "bench", "scripts", "examples", "patches", "docs", ".ci"] {
        for path in files_under(&root().join(folder)) {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let shown = relative(&path);
            for (number, line) in text.lines().enumerate() {
                // What a patch takes out of the SSH library was never ours.
                if shown.ends_with(".patch") && line.starts_with('-') {
                    continue;
                }
                let prose = folder == "docs" || folder == "patches";
                for word in UNFINISHED.iter().filter(|w| !prose || w.chars().all(char::is_uppercase)) {
                    if line.contains(word) {
                        writeln!(wrong, "{shown}:{}: `{word}`", number + 1).unwrap();
                    }
                }
                if shown.ends_with(".rs") && line.trim_start().starts_with(concat!("#[", "ignore")) {
                    writeln!(wrong, "{shown}:{}: a test that is skipped proves nothing", number + 1).unwrap();
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Compiles only if the type does not have the trait: with it, there are two `checked` to choose from.
macro_rules! lacks {
    ($type:ty: $($trait:path),+) => {
        $({
            trait Ambiguous<A> { fn checked() {} }
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $trait> Ambiguous<u8> for T {}
            <$type as Ambiguous<_>>::checked();
        })+
    };
}

#[test]
fn proofs_and_secrets_cannot_be_copied() {
    lacks!(keyward::secret::Secret: Clone, Copy, std::fmt::Display, serde::Serialize, PartialEq, Default, AsRef<[u8]>, std::ops::Deref);
    lacks!(keyward::authz::Permit: Clone, Default, serde::Serialize, serde::de::DeserializeOwned);
    lacks!(keyward::audit::Audited<()>: Clone, Default, From<()>, serde::Serialize);
    lacks!(keyward::vault::Lease: Clone, Default, serde::Serialize, serde::de::DeserializeOwned);
    lacks!(keyward::vault::SudoLease: Clone, Default, serde::Serialize, serde::de::DeserializeOwned);
    lacks!(keyward::vault::PasswordLease: Clone, Default, serde::Serialize, serde::de::DeserializeOwned);
    lacks!(keyward::custody::SudoWarrant: Clone, Default, serde::Serialize, serde::de::DeserializeOwned);
}

// ---- the parser, and tests that it sees what it should ----

/// A source file, taken apart.
struct Source {
    /// From the root of the repository.
    path: String,
    /// `src/store/mod.rs` is `["store"]`, `src/store/open.rs` is `["store", "open"]`, `src/lib.rs` is `["lib"]`.
    modules: Vec<String>,
    text: String,
    code: Vec<Token>,
}

impl Source {
    fn room(&self) -> &str {
        &self.modules[0]
    }
}

/// A word or a sign of the code, without comments, strings and literals.
#[derive(Clone, Debug, PartialEq)]
struct Token {
    text: String,
    line: usize,
    /// Inside something that is only compiled for tests.
    test: bool,
}

/// A room that a line names.
#[derive(Debug, PartialEq)]
struct Import {
    room: String,
    line: usize,
    test: bool,
    /// In a `pub use`.
    public: bool,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut out: Vec<PathBuf> = entries
        .map(|e| e.unwrap().path())
        .filter(|p| p.file_name().is_some_and(|n| n != "__pycache__"))
        .flat_map(|p| if p.is_dir() { files_under(&p) } else { vec![p] })
        .collect();
    out.sort();
    out
}

fn sources() -> Vec<Source> {
    let mut out = Vec::new();
    for file in files_under(&root().join("src")).into_iter().filter(|p| p.extension().is_some_and(|e| e == "rs")) {
        let text = fs::read_to_string(&file).unwrap();
        let path = relative(&file);
        let mut modules: Vec<String> = path.trim_start_matches("src/").trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if modules.len() > 1 && modules.last().is_some_and(|m| m == "mod") {
            modules.pop();
        }
        let mut code = tokens(&text);
        if modules.len() > 1 && modules.iter().skip(1).any(|m| m == "tests") {
            code.iter_mut().for_each(|t| t.test = true);
        }
        out.push(Source { path, modules, text, code });
    }
    assert!(!out.is_empty(), "no sources found under src/");
    out
}

fn floor_of(room: &str) -> Option<usize> {
    ROOMS.iter().position(|(r, _)| *r == room)
}

/// The lines that call `.name(`.
fn calls(code: &[Token], name: &str) -> Vec<usize> {
    let called =
        |w: &[Token]| (w[0].text == "." || w[0].text == "::") && w[1].text == name && !w[1].test && (w[2].text == "(" || w[0].text == "::");
    code.windows(3).filter(|w| called(w)).map(|w| w[1].line).collect()
}

/// The code as words and signs. `::` is one sign; every other sign is one character.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = Vec::new();
    let mut line = 1;
    let mut i = 0;
    while i < chars.len() {
        let from = i;
        let c = at(i);
        let mut token = None;
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                if at(i) == '/' && at(i + 1) == '*' {
                    depth += 1;
                    i += 2;
                } else if at(i) == '*' && at(i + 1) == '/' {
                    depth -= 1;
                    i += 2;
                } else {
                    i += 1;
                }
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
        } else if c == '"' {
            i = end_of_string(&chars, i);
        } else if c == '\'' {
            // A character, or a lifetime.
            if at(i + 1) == '\\' {
                i += 3;
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            } else if at(i + 2) == '\'' {
                i += 3;
            } else {
                i += 1;
                while word(at(i)) {
                    i += 1;
                }
            }
        } else if word(c) {
            while word(at(i)) {
                i += 1;
            }
            let name: String = chars[from..i].iter().collect();
            let raw = name.ends_with('r') && name.len() <= 2;
            let hashes = (i..).take_while(|&j| at(j) == '#').count();
            if raw && at(i + hashes) == '"' {
                i = end_of_raw_string(&chars, i + hashes + 1, hashes);
            } else if name.len() == 1 && "bc".contains(&name) && at(i) == '"' {
                i = end_of_string(&chars, i);
            } else if name == "b" && at(i) == '\'' {
                // The character is taken as one the next time round.
            } else if name == "r" && hashes == 1 && word(at(i + 1)) {
                i += 1;
                let start = i;
                while word(at(i)) {
                    i += 1;
                }
                token = Some(chars[start..i].iter().collect());
            } else {
                token = Some(name);
            }
        } else if c == ':' && at(i + 1) == ':' {
            i += 2;
            token = Some("::".to_owned());
        } else {
            i += 1;
            if !c.is_whitespace() {
                token = Some(c.to_string());
            }
        }
        if let Some(text) = token {
            out.push(Token { text, line, test: false });
        }
        line += chars[from..i.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    mark_tests(&mut out);
    out
}

fn end_of_string(chars: &[char], quote: usize) -> usize {
    let mut i = quote + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

fn end_of_raw_string(chars: &[char], from: usize, hashes: usize) -> usize {
    let closes = |i: usize| chars[i] == '"' && (1..=hashes).all(|h| chars.get(i + h) == Some(&'#'));
    (from..chars.len()).find(|&i| closes(i)).map_or(chars.len(), |i| i + 1 + hashes)
}

/// Marks what stands behind `#[cfg(test)]` and `#[test]`, to the end of the item.
fn mark_tests(code: &mut [Token]) {
    let mut i = 0;
    while i < code.len() {
        let starts = |words: &[&str]| code.len() >= i + words.len() && words.iter().zip(&code[i..]).all(|(w, t)| *w == t.text);
        if starts(&["#", "[", "cfg", "(", "test", ")", "]"]) || starts(&["#", "[", "test", "]"]) {
            let end = end_of_item(code, i);
            code[i..end].iter_mut().for_each(|t| t.test = true);
            i = end;
        } else {
            i += 1;
        }
    }
}

/// Where the item ends that begins at `from`, its attributes included.
fn end_of_item(code: &[Token], from: usize) -> usize {
    let mut depth = 0usize;
    let import = code[from..].iter().find(|t| ["use", "mod", "fn", "struct", "enum", "impl", "trait", "const"].contains(&t.text.as_str()));
    let import = import.is_some_and(|t| t.text == "use");
    for (i, token) in code.iter().enumerate().skip(from) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.text == "}" && !import {
                    return i + 1;
                }
            }
            ";" if depth == 0 => return i + 1,
            _ => {}
        }
    }
    code.len()
}

/// Every room that the code of a module names: through `crate::`, through enough `super::`, in a tree of `use` or in a path.
fn imports(code: &[Token], module: &[String]) -> Vec<Import> {
    let mut out = Vec::new();
    // Modules inside the file, with the depth of braces at which each ends.
    let mut inner: Vec<(String, usize)> = Vec::new();
    let mut depth = 0usize;
    let mut public = false;
    let whole = |i: usize| code.get(i).map_or("", |t| t.text.as_str());
    for i in 0..code.len() {
        match whole(i) {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                inner.retain(|(_, d)| *d <= depth);
            }
            ";" => public = false,
            "mod" if whole(i + 2) == "{" => inner.push((whole(i + 1).to_owned(), depth + 1)),
            "use" => public = i > 0 && (whole(i - 1) == "pub" || (whole(i - 1) == ")" && whole(i - 2) == "crate")),
            "crate" | "super" | "keyward" if whole(i + 1) == "::" && (i == 0 || whole(i - 1) != "::") => {
                // `keyward::` leads into the library only from the binary; `keyward` elsewhere is a word.
                if whole(i) == "keyward" && module[0] != "main" || in_use_tree(code, i) {
                    continue;
                }
                let here: Vec<String> = module.iter().cloned().chain(inner.iter().map(|(m, _)| m.clone())).collect();
                follow(code, i, here, false, &mut |room, token| {
                    out.push(Import { room, line: token.line, test: token.test, public });
                });
            }
            _ => {}
        }
    }
    out
}

/// Whether the word at `i` stands in the braces of a path, where `follow` finds it from the path's beginning.
fn in_use_tree(code: &[Token], i: usize) -> bool {
    let mut depth = 0;
    for j in (0..i).rev() {
        match code[j].text.as_str() {
            "}" => depth += 1,
            "{" if depth > 0 => depth -= 1,
            "{" => return j > 0 && code[j - 1].text == "::",
            ";" => return false,
            _ => {}
        }
    }
    false
}

/// Walks a path or a tree of paths from the word at `i`, standing in `here`, and tells the room that each comes to, unless
/// it was `named` before. Returns where the path ends.
fn follow(code: &[Token], mut i: usize, mut here: Vec<String>, mut named: bool, tell: &mut impl FnMut(String, &Token)) -> usize {
    while let Some(token) = code.get(i) {
        match token.text.as_str() {
            "crate" | "keyward" if !named => here.clear(),
            "super" => drop(here.pop()),
            "self" => {}
            "{" => {
                i += 1;
                while code.get(i).is_some_and(|t| t.text != "}") {
                    i = follow(code, i, here.clone(), named, tell);
                    // Past ` as name` to the comma or the end of the braces.
                    while code.get(i).is_some_and(|t| t.text != "," && t.text != "}") {
                        i += 1;
                    }
                    i += usize::from(code.get(i).is_some_and(|t| t.text == ","));
                }
                return i + 1;
            }
            name => {
                here.push(name.to_owned());
                if !named {
                    tell(here[0].clone(), token);
                }
                named = true;
            }
        }
        if code.get(i + 1).is_some_and(|t| t.text == "::") {
            i += 2;
        } else {
            return i + 1;
        }
    }
    i
}

#[cfg(test)]
mod the_parser {
    use super::*;

    fn rooms(module: &[&str], text: &str) -> Vec<(String, usize)> {
        let module: Vec<String> = module.iter().map(|m| (*m).to_owned()).collect();
        imports(&tokens(text), &module).into_iter().filter(|i| i.room != module[0]).map(|i| (i.room, i.line)).collect()
    }

    fn pairs(of: &[(&str, usize)]) -> Vec<(String, usize)> {
        of.iter().map(|(room, line)| ((*room).to_owned(), *line)).collect()
    }

    #[test]
    fn sees_every_way_to_name_another_room() {
        let text = "//! A door that reaches for what it may not.
use crate::vault::Lease;
use crate::{
    model::Host,
    store::{self, hosts},
    target as t,
};
use super::super::custody::Custody;
use super::{wording, super::audit::{Log, Entry}};
fn f(lease: &crate::relay::Limits) -> super::super::sessions::Live {
    crate::clock::Clock::System.now()
}
macro_rules! m { () => { $crate::secret::Secret } }
mod deep {
    use super::super::super::authz::decide;
    use super::wording;
}
use super::super::*;
";
        let found = pairs(&[
            ("vault", 2),
            ("model", 4),
            ("store", 5),
            ("target", 6),
            ("custody", 8),
            ("audit", 9),
            ("relay", 10),
            ("sessions", 10),
            ("clock", 11),
            ("secret", 13),
            ("authz", 15),
            ("*", 18),
        ]);
        assert_eq!(rooms(&["front", "handler"], text), found);
    }

    #[test]
    fn is_not_fooled_by_what_is_no_code() {
        let text = r####"//! [`crate::vault`] is named in prose.
/* use crate::vault::Lease; /* nested */ use crate::store; */
const A: &str = "use crate::vault::Lease; \" crate::store::x";
const B: &str = r#"crate::target::x "quoted" "#;
const C: (char, char, u8) = ('"', '\'', b'"');
fn f<'a>(x: &'a str) -> &'a str { x } // crate::store
pub(crate) fn g() { other::crate_like::vault(); }
use crate::model::Host;
"####;
        assert_eq!(rooms(&["front"], text), pairs(&[("model", 8)]));
    }

    #[test]
    fn knows_what_is_only_compiled_for_tests() {
        let text = "use crate::model;\n#[cfg(test)]\nuse crate::{clock, store};\n#[cfg(test)]\nmod tests {\n use crate::vault;\n fn f() { s.expose(); }\n}\nfn g() { s.expose(); }\n";
        let found: Vec<(String, bool)> = imports(&tokens(text), &["front".to_owned()]).into_iter().map(|i| (i.room, i.test)).collect();
        assert_eq!(found, [("model", false), ("clock", true), ("store", true), ("vault", true)].map(|(r, t)| (r.to_owned(), t)));
        assert_eq!(calls(&tokens(text), "expose"), [9]);
    }

    #[test]
    fn sees_calls_however_they_are_written() {
        let text = "fn f(s: &Secret) {\n s\n  .expose();\n let g = Secret::expose;\n s.pour(&mut x);\n exposed(); s.expose_nothing();\n}\n";
        assert_eq!(calls(&tokens(text), "expose"), [3, 4]);
        assert_eq!(calls(&tokens(text), "pour"), [5]);
    }

    #[test]
    fn sees_what_is_passed_on() {
        let text =
            "use crate::vault::A;\npub use crate::vault::B;\npub(crate) use crate::vault::C;\nuse crate::vault::D;\npub use open::E;\n";
        let public: Vec<usize> =
            imports(&tokens(text), &["sessions".to_owned()]).into_iter().filter(|i| i.public).map(|i| i.line).collect();
        assert_eq!(public, [2, 3]);
    }
}
