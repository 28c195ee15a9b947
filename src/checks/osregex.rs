//! Wazuh's own two small languages, written as regular expressions of the `regex` crate: OS_Regex for contents and OS_Match for the
//! names of files. Neither minds case. Never compiles anything.

use super::error::Fault;

/// An expression in the other language, and what about it was odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Translated {
    pub(super) text: String,
    pub(super) odd: Option<String>,
}

/// What stands behind a backslash in OS_Regex, as a class. Not what is a sign by itself.
fn class(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[0-9A-Za-z_@-]",
        'W' => "[^0-9A-Za-z_@-]",
        's' => " ",
        'S' => "[^ ]",
        't' => r"\t",
        'p' => r##"[()*+,\-.:;<=>?\[\]!"'#$%\&|{}]"##,
        '.' => ".",
        _ => return None,
    })
}

fn literal(out: &mut String, c: char) {
    // The crate reads `\<` and `\>` as the ends of words.
    if c.is_ascii_punctuation() && !matches!(c, '<' | '>') {
        out.push('\\');
    }
    out.push(c);
}

/// OS_Regex. Repetition only follows what begins with a backslash, `^` and `$` only stand at the ends of an alternative.
pub(super) fn os_regex(pattern: &str) -> Result<Translated, Fault> {
    let mut out = String::from("(?i)");
    let mut odd = None;
    let mut depth = 0usize;
    let mut begins = true;
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        let began = std::mem::replace(&mut begins, false);
        match c {
            '\\' => {
                let Some(next) = chars.next() else {
                    return Err(Fault::new("the expression ends with a single backslash", r"`\\` for a backslash"));
                };
                match class(next) {
                    Some(class) => out += class,
                    None => {
                        if !"()\\$|<".contains(next) {
                            odd.get_or_insert(format!("OS_Regex knows no `\\{next}`, it is read as `{next}`"));
                        }
                        literal(&mut out, next);
                    }
                }
                if let Some(sign) = chars.next_if(|c| matches!(c, '+' | '*')) {
                    out.push(sign);
                }
            }
            '|' => {
                if depth > 0 {
                    odd.get_or_insert("OS_Regex knows no `|` in parentheses, it is read as in other regular expressions".to_owned());
                }
                out.push('|');
                begins = true;
            }
            '(' => {
                depth += 1;
                if depth > 1 {
                    odd.get_or_insert(
                        "OS_Regex knows no parentheses in parentheses, they are read as in other regular expressions".to_owned(),
                    );
                }
                out.push('(');
                begins = began;
            }
            ')' if depth == 0 => return Err(Fault::new("a `)` closes nothing", r"`\)` for a parenthesis")),
            ')' => {
                depth -= 1;
                out.push(')');
            }
            '^' if began => out.push('^'),
            '$' if matches!(chars.peek(), None | Some('|')) => out.push('$'),
            c => literal(&mut out, c),
        }
    }
    if depth > 0 {
        return Err(Fault::new("a `(` is not closed", r"`\(` for a parenthesis"));
    }
    Ok(Translated { text: out, odd })
}

/// OS_Match: any of the texts between `|`, anywhere, or at the ends that `^` and `$` say. A `!` before it all turns it round.
pub(super) fn os_match(pattern: &str) -> (bool, String) {
    let (negated, pattern) = match pattern.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let mut out = String::from("(?i)");
    for (i, one) in pattern.split('|').enumerate() {
        if i > 0 {
            out.push('|');
        }
        let (begins, one) = one.strip_prefix('^').map_or((false, one), |rest| (true, rest));
        let (ends, one) = one.strip_suffix('$').map_or((false, one), |rest| (true, rest));
        if begins {
            out.push('^');
        }
        one.chars().for_each(|c| literal(&mut out, c));
        if ends {
            out.push('$');
        }
    }
    (negated, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, line: &str) -> bool {
        regex::Regex::new(&os_regex(pattern).unwrap().text).unwrap().is_match(line)
    }

    #[test]
    fn means_what_os_regex_means() {
        for (pattern, line, expected) in [
            (r"^\s*PermitRootLogin\s*\t*no", "PermitRootLogin no", true),
            (r"^\s*PermitRootLogin\s*\t*no", "  permitrootlogin\tNO", true),
            (r"^\s*PermitRootLogin\s*\t*no", "#PermitRootLogin no", false),
            // A dot is a dot, a backslash and a dot are anything.
            ("12.", "12.4", true),
            ("12.", "124", false),
            (r"a\.c", "abc", true),
            (r"^password\.+pam_unix.so\.+sha512", "password [x] pam_unix.so y sha512", true),
            // Signs without a backslash stand for themselves.
            ("a+", "a+", true),
            ("a+", "aa", false),
            ("[ab]", "a", false),
            ("[ab]", "x[ab]x", true),
            ("{2}.*?", "{2}.*?", true),
            (r"\s", "\t", false),
            (r"\t", "\t", true),
            (r"\w+@\d", "a-b_c@1", true),
            (r"^\p$", "|", true),
            (r"^\p$", "a", false),
            (r"^\S\D\W$", "ab ", true),
            ("root|admin", "xADMINx", true),
            ("^root$|^admin$", "xadmin", false),
            ("a^b", "a^b", true),
            ("a$b", "a$b", true),
            (r"cost\$", "cost$", true),
            (r"\(a\)\|\<\\", r"(a)|<\", true),
            ("^(a)$", "a", true),
            ("(^a)", "ba", false),
            ("", "anything", true),
        ] {
            assert_eq!(matches(pattern, line), expected, "{pattern} on {line}");
        }
    }

    #[test]
    fn says_what_is_odd_or_wrong() {
        assert!(os_regex(r"a\/b").unwrap().odd.unwrap().contains(r"`\/`"));
        assert!(os_regex("(a|b)").unwrap().odd.is_some());
        assert!(matches("(a|b)c", "bc"));
        assert!(os_regex("((a))").unwrap().odd.is_some());
        assert_eq!(os_regex(r"^\s+a|b$").unwrap().odd, None);
        for wrong in [r"a\", "(a", "a)"] {
            assert!(os_regex(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn means_what_os_match_means() {
        for (pattern, name, expected) in [
            ("^.mysql_history$", ".mysql_history", true),
            ("^.mysql_history$", "x.mysql_history", false),
            ("history", ".MySQL_History", true),
            (".conf$|.rules$", "50.rules", true),
            (".conf$", "xconf", false),
            ("a*", "aaa", false),
        ] {
            let (negated, text) = os_match(pattern);
            assert!(!negated);
            assert_eq!(regex::Regex::new(&text).unwrap().is_match(name), expected, "{pattern} on {name}");
        }
        assert!(os_match("!a").0);
    }

    proptest::proptest! {
        #[test]
        fn whatever_it_takes_compiles(pattern in r"[\\a-z0-9().|^$+*\[\]{}&~ -]{0,40}") {
            if let Ok(translated) = os_regex(&pattern) {
                regex::Regex::new(&translated.text).unwrap();
            }
            regex::Regex::new(&os_match(&pattern).1).unwrap();
        }

        #[test]
        fn a_text_without_signs_matches_itself(text in "[a-zA-Z0-9 .,=:/_#-]{1,40}") {
            assert!(matches(&text, &format!("x{text}y")));
            assert!(matches(&format!("^{text}$"), &text.to_ascii_uppercase()));
        }
    }
}
