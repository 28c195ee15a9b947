//! One rule as it is written: what it asks about and what has to be there. Never substitutes a variable behind ` -> `, as Wazuh does not.

use std::sync::Arc;

use super::error::Fault;
use super::expression::{Compiler, Engine, Expression};
use super::osregex::os_match;
use super::pattern::{Dialect, Pattern, pattern};
use super::variables::Variables;
use crate::model::printable;

/// How long a rule may be, in bytes.
const LENGTH: usize = 8192;
/// How many files or folders a rule may list.
const PATHS: usize = 256;

/// A rule of a check or of the requirements.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its line in the file.
    pub line: usize,
    /// As it is written.
    pub text: String,
    /// It begins with `not`.
    pub(super) negated: bool,
    pub(super) question: Question,
}

/// What a rule asks about.
#[derive(Clone, Debug)]
pub(super) enum Question {
    /// Whether one of the files exists, or holds a line.
    File { paths: Vec<String>, pattern: Option<Pattern> },
    /// Whether one of the folders exists, has an entry of such a name at any depth, or one that holds a line.
    Folder { paths: Vec<String>, names: Option<Names>, pattern: Option<Pattern> },
    /// Whether a program of such a name runs.
    Process(Pattern),
    /// Whether a command prints a line, or can be run at all.
    Command { text: String, words: Vec<String>, pattern: Option<Pattern> },
    /// A key of Windows' registry.
    Registry,
    /// It cannot be read, and why: what it asks stays open.
    Unreadable(String),
}

/// Which names of files.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) negated: bool,
    pub(super) expression: Arc<Expression>,
}

/// Reads a rule. Adds to `odd` what is no error.
pub(super) fn rule(
    line: usize,
    text: &str,
    dialect: Dialect,
    variables: &Variables,
    compiler: &mut Compiler,
    odd: &mut Vec<String>,
) -> Result<Rule, Fault> {
    let text = text.trim_end_matches(['\n', '\r']);
    if text.len() > LENGTH {
        return Err(Fault::new(format!("a rule is longer than {LENGTH} bytes"), "several rules"));
    }
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(Fault::new(
            format!("a rule holds a line break or a control character: `{}`", printable(text, 80)),
            "a rule on one line",
        ));
    }
    let (negated, body) = match text.strip_prefix("not ").or_else(|| text.strip_prefix("NOT ")) {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text),
    };
    let Some((kind, rest)) = body.split_once(':').filter(|(kind, _)| matches!(*kind, "f" | "d" | "p" | "c" | "r")) else {
        return Err(Fault::new(
            format!("`{}` is no rule", printable(text, 120)),
            "`f:FILE`, `d:FOLDER`, `c:COMMAND -> r:REGEX`, `p:PROGRAM` or `r:REGISTRY KEY`, behind `not ` if it must not be so",
        ));
    };
    let (place, test) = match rest.split_once(" -> ") {
        Some((place, test)) => (place, Some(test)),
        None => (rest, None),
    };
    if test.is_none() && rest.trim_end().ends_with(" ->") {
        return Err(Fault::new("nothing stands behind ` -> `", "`-> r:REGEX`, or the rule without ` -> `"));
    }
    let mut made = |test: &str, odd: &mut Vec<String>| pattern(test, dialect, compiler, odd);
    let question = match kind {
        "f" => Question::File { paths: paths(place, variables, odd)?, pattern: test.map(|t| made(t, odd)).transpose()? },
        "d" => {
            let paths = paths(place, variables, odd)?;
            let (names, test) = match test.map(|t| t.split_once(" -> ").map_or((t, None), |(names, test)| (names, Some(test)))) {
                Some((names, test)) => (Some(names), test),
                None => (None, None),
            };
            let pattern = test.map(|t| made(t, odd)).transpose()?;
            let names = names.map(|n| self::names(n, dialect.engine, compiler, odd)).transpose()?;
            Question::Folder { paths, names, pattern }
        }
        "p" => Question::Process(made(rest, odd)?),
        "c" => {
            let text = variables.fill(place)?.trim().to_owned();
            let words = words(&text, odd);
            if words.first().is_none_or(String::is_empty) {
                return Err(Fault::new("a rule names no command", "`c:COMMAND -> r:REGEX`"));
            }
            if test.is_none() {
                odd.push("a command without ` -> ` is met by any output, if it can be run".to_owned());
            }
            Question::Command { text, words, pattern: test.map(|t| made(t, odd)).transpose()? }
        }
        _ => Question::Registry,
    };
    Ok(Rule { line, text: text.to_owned(), negated, question })
}

fn paths(place: &str, variables: &Variables, odd: &mut Vec<String>) -> Result<Vec<String>, Fault> {
    let filled = variables.fill(place)?;
    let paths: Vec<String> = filled.split(',').map(str::trim).filter(|p| !p.is_empty()).map(str::to_owned).collect();
    if paths.is_empty() {
        return Err(Fault::new("a rule names no path", "an absolute path behind the colon"));
    }
    if paths.len() > PATHS {
        return Err(Fault::new(format!("a rule lists more than {PATHS} paths"), "several rules"));
    }
    if let Some(unknown) = paths.iter().find(|p| p.starts_with('$')) {
        odd.push(format!("`{}` is no variable of this policy", printable(unknown, 60)));
    } else if let Some(relative) = paths.iter().find(|p| !p.starts_with('/') && !p.contains(['\\', ':', '%'])) {
        odd.push(format!("`{}` is no absolute path, so the rule applies to no host", printable(relative, 60)));
    }
    Ok(paths)
}

/// `r:REGEX`, or a text as OS_Match reads it. In a policy of PCRE2, too, `\.*` and `\.+` in a name are read as Wazuh 4 does: anything.
fn names(text: &str, engine: Engine, compiler: &mut Compiler, odd: &mut Vec<String>) -> Result<Names, Fault> {
    let (negated, regex) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if let Some(regex) = regex.strip_prefix("r:").or_else(|| regex.strip_prefix("R:")) {
        let engine = if regex.contains(r"\.*") || regex.contains(r"\.+") { Engine::OsRegex } else { engine };
        let (expression, said) = compiler.expression(engine, regex)?;
        odd.extend(said);
        return Ok(Names { negated, expression });
    }
    let (negated, translated) = os_match(text);
    Ok(Names { negated, expression: compiler.ready(text, &translated)? })
}

/// The words of a command as Wazuh splits them: at spaces, not within double quotes; a backslash takes the next character as it is.
/// Nothing else is special: no single quotes, no `|`, no `$`.
fn words(text: &str, odd: &mut Vec<String>) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut chars = text.chars();
    let mut strange: Option<char> = None;
    while let Some(c) = chars.next() {
        match c {
            ' ' if !quoted => words.extend(word.take()),
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' => {
                let word = word.get_or_insert_default();
                word.extend(chars.next());
            }
            c => {
                if !quoted && matches!(c, '\'' | '|' | ';' | '>' | '<' | '`') {
                    strange.get_or_insert(c);
                }
                word.get_or_insert_default().push(c);
            }
        }
    }
    words.extend(word);
    if quoted {
        odd.push("a double quote in a command is not closed".to_owned());
    }
    let shell = words.first().is_some_and(|w| w.rsplit('/').next().is_some_and(|name| name.ends_with("sh")));
    if text.contains("$(") && !shell {
        strange.get_or_insert('$');
    }
    if let Some(c) = strange {
        odd.push(format!("no shell runs a command, `{c}` is taken as it is: write sh -c \"…\" around it if a shell is meant"));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Rule, Vec<String>), Fault> {
        let mut odd = Vec::new();
        let mut variables = Variables::default();
        variables.add("$files", "/etc/a,/etc/b").unwrap();
        variables.add("$files_more", "/etc/c").unwrap();
        let dialect = Dialect { engine: Engine::Pcre2, lone_negation_is_none: false };
        Ok((rule(1, text, dialect, &variables, &mut Compiler::default(), &mut odd)?, odd))
    }

    fn question(text: &str) -> Question {
        read(text).unwrap().0.question
    }

    #[test]
    fn reads_every_kind() {
        assert!(matches!(question("f:/etc/passwd"), Question::File { paths, pattern: None } if paths == ["/etc/passwd"]));
        assert!(matches!(question("f:/a, /b -> r:x -> y"), Question::File { paths, pattern: Some(_) } if paths == ["/a", "/b"]));
        assert!(matches!(question("f:$files_more,$files"), Question::File { paths, .. } if paths == ["/etc/c", "/etc/a", "/etc/b"]));
        assert!(matches!(question("d:/etc"), Question::Folder { names: None, pattern: None, .. }));
        assert!(matches!(question("d:/etc -> ^x$"), Question::Folder { names: Some(_), pattern: None, .. }));
        assert!(matches!(question("d:/etc -> r:x -> r:y"), Question::Folder { names: Some(_), pattern: Some(_), .. }));
        assert!(matches!(question("p:r:^sshd$ && !r:x"), Question::Process(_)));
        assert!(matches!(question("c: sshd -T -> r:x"), Question::Command { text, pattern: Some(_), .. } if text == "sshd -T"));
        assert!(matches!(question(r"r:HKLM\System -> a -> 1"), Question::Registry));
        let (not, _) = read("not f:/x").unwrap();
        assert!(not.negated && not.text == "not f:/x");
        assert!(read("NOT f:/x").unwrap().0.negated);
    }

    #[test]
    fn splits_commands_as_wazuh_does() {
        for (text, words) in [
            ("a  b", vec!["a", "b"]),
            (r#"sh -c "a | b" x"#, vec!["sh", "-c", "a | b", "x"]),
            (r#"a "" b"#, vec!["a", "", "b"]),
            (r#"a b\ c \" \\"#, vec!["a", "b c", "\"", "\\"]),
            ("a 'b c'", vec!["a", "'b", "c'"]),
            (r#"a"b c"d"#, vec!["ab cd"]),
            (r"find {} +", vec!["find", "{}", "+"]),
        ] {
            assert_eq!(super::words(text, &mut Vec::new()), words, "{text}");
        }
        for odd in ["a 'b'", "a | b", "a > b", "a \"b", "a \"$(b)\""] {
            assert_eq!(read(&format!("c:{odd} -> r:x")).unwrap().1.len(), 1, "{odd}");
        }
        for fine in [r#"sh -c "a | b; $(c)""#, r#"/bin/bash -c "$(c)""#, "awk -F: {print$1} /etc/passwd"] {
            assert_eq!(read(&format!("c:{fine} -> r:x")).unwrap().1, Vec::<String>::new(), "{fine}");
        }
    }

    #[test]
    fn knows_names_by_expression_or_by_text() {
        let named = |text: &str, name: &str| match question(text) {
            Question::Folder { names: Some(names), .. } => names.expression.matches(name.as_bytes()).unwrap() != names.negated,
            _ => panic!("no names"),
        };
        assert!(named("d:/home -> ^.mysql_history$", ".mysql_history"));
        assert!(named(r"d:/etc -> r:\.conf$ -> r:x", "a.conf") && !named(r"d:/etc -> r:\.conf$ -> r:x", "aconf"));
        assert!(named(r"d:/etc -> r:\.*.conf -> r:x", "a.conf"));
        assert!(named("d:/etc -> !r:x", "a") && !named("d:/etc -> !r:x", "x"));
        assert!(named("d:/etc -> !conf", "a") && !named("d:/etc -> !conf", "a.conf"));
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, said) in [
            ("", "is no rule"),
            ("x:/etc", "is no rule"),
            ("/etc/passwd", "is no rule"),
            ("!f:/etc", "is no rule"),
            ("not not f:/etc", "is no rule"),
            ("f:", "names no path"),
            ("f:,,", "names no path"),
            ("f:/x ->", "nothing stands behind"),
            ("f:/x -> ", "nothing stands behind"),
            ("c: -> r:x", "names no command"),
            ("c:\"\" -> r:x", "names no command"),
            ("f:/a\nb", "line break"),
            ("f:/a\u{1b}[0m", "control character"),
            ("f:/x -> r:(", "no regular expression"),
            (&format!("f:/{}", "x".repeat(9000)), "longer than"),
            (&format!("f:{}", "/x,".repeat(300)), "more than 256 paths"),
        ] {
            let fault = read(text).unwrap_err();
            assert!(fault.what.contains(said), "{text}: {}", fault.what);
            assert!(!fault.what.contains('\u{1b}'));
        }
    }

    #[test]
    fn warns_of_variables_that_are_none() {
        assert!(read("f:$file_list").unwrap().1[0].contains("is no variable"));
        assert!(read("d:->/etc/x -> a").unwrap().1[0].contains("no absolute path"));
        assert!(read(r"f:C:\x,%WINDIR%").unwrap().1.is_empty());
        assert!(read("c:uptime").unwrap().1[0].contains("any output"));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in r"\PC{0,80}", kind in "(not )?[fdpcr]:") {
            let _ = read(&text);
            let _ = read(&format!("{kind}{text}"));
        }
    }
}
