//! Words → one line for a POSIX shell that takes it apart into the same words. Never expands, never runs anything.

/// Words that mean something else where a command's name stands.
const RESERVED: [&str; 21] = [
    "case",
    "coproc",
    "do",
    "done",
    "elif",
    "else",
    "esac",
    "fi",
    "for",
    "function",
    "if",
    "in",
    "select",
    "then",
    "time",
    "until",
    "while",
    "namespace",
    "repeat",
    "foreach",
    "end",
];

/// The line, or why there is none.
pub(super) fn quote(words: &[String]) -> Result<Vec<u8>, &'static str> {
    match words.first() {
        None => return Err("`argv` is empty: its first word is the program"),
        Some(program) if program.is_empty() => return Err("the first word of `argv` is the program, and it is empty"),
        Some(_) => {}
    }
    if words.iter().any(|w| w.contains('\0')) {
        return Err("a word of `argv` holds a NUL byte");
    }
    let mut line = String::new();
    for (at, word) in words.iter().enumerate() {
        if at > 0 {
            line.push(' ');
        }
        // `A=b` in the first place would set a variable, and `if` begin a condition; a quoted word is a name.
        let as_it_is = if at == 0 { plain(word) && !word.contains('=') && !RESERVED.contains(&word.as_str()) } else { plain(word) };
        if as_it_is {
            line.push_str(word);
        } else {
            line.push('\'');
            line.push_str(&word.replace('\'', r"'\''"));
            line.push('\'');
        }
    }
    Ok(line.into_bytes())
}

/// Whether every shell takes it as it is.
fn plain(word: &str) -> bool {
    // A leading `=` is a search for a program in zsh.
    !word.is_empty() && !word.starts_with('=') && word.chars().all(|c| c.is_ascii_alphanumeric() || "_-./:,@+=".contains(c))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    fn line(words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        String::from_utf8(quote(&words).unwrap()).unwrap()
    }

    #[test]
    fn what_needs_no_quotes_has_none() {
        assert_eq!(line(&["df", "-h", "/srv/a-b_c.d"]), "df -h /srv/a-b_c.d");
        assert_eq!(line(&["dd", "if=/dev/zero", "of=/tmp/x"]), "dd if=/dev/zero of=/tmp/x");
        assert_eq!(
            line(&["echo", "", "a b", "it's", "$HOME", "~", "*", "a;b", "=ls"]),
            r#"echo '' 'a b' 'it'\''s' '$HOME' '~' '*' 'a;b' '=ls'"#
        );
        assert_eq!(line(&["A=b", "x"]), "'A=b' x");
        assert_eq!(line(&["if", "if"]), "'if' if");
        for bad in [&[][..], &[""], &["ls", "a\0b"]] {
            let words: Vec<String> = bad.iter().map(|w| (*w).to_owned()).collect();
            assert!(quote(&words).is_err(), "{bad:?}");
        }
    }

    /// What a real shell hands to a program, each word followed by a NUL.
    fn seen_by_sh(line: &str) -> Vec<u8> {
        let out = Command::new("sh").arg("-c").arg(line).stdin(Stdio::null()).stderr(Stdio::null()).output().unwrap();
        out.stdout
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
        #[test]
        fn a_real_shell_takes_it_apart_into_the_same_words(words in prop::collection::vec("[^\0]{0,12}|[-'\"\\\\$`!*?~#&|;<>() \t\n=a-z]{0,12}", 1..6)) {
            let mut all = vec!["printf".to_owned(), "%s\\0".to_owned()];
            all.extend(words.clone());
            let line = String::from_utf8(quote(&all).unwrap()).unwrap();
            let wanted: Vec<u8> = words.iter().flat_map(|w| w.bytes().chain([0])).collect();
            prop_assert_eq!(seen_by_sh(&line), wanted, "{}", line);
        }

        #[test]
        fn no_program_name_becomes_syntax(name in "[a-z!{}\\[\\]=%~.:]{1,8}") {
            // Whatever the first word is, the shell looks for a program of that name and does nothing else: what follows is
            // never run on its own.
            let words = [name, "; echo syntax".to_owned()];
            let line = String::from_utf8(quote(&words).unwrap()).unwrap();
            prop_assert!(!seen_by_sh(&line).windows(6).any(|w| w == b"syntax") || words[0] == "echo", "{}", line);
        }
    }
}
