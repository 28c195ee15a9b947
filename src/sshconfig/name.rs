//! Names for what a person's files call something else: letters, digits, `.`, `_` and `-`, as the broker takes them. Pure.

/// The longest name.
const MAX_NAME: usize = 64;
/// How many numbers are tried behind a name that is taken.
const TRIES: usize = 1000;

/// The nearest name that can be had: other characters become `-`, and a number is put behind it while it is taken.
/// `None`: nothing is left of it, or all are taken.
pub fn valid_name(text: &str, taken: impl Fn(&str) -> bool) -> Option<String> {
    let mut name = String::new();
    for c in text.chars() {
        let c = if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
        let begins = !name.is_empty() || c.is_ascii_alphanumeric();
        let doubled = c == '-' && name.ends_with('-');
        if begins && !doubled {
            name.push(c);
        }
        if name.len() == MAX_NAME - 4 {
            break;
        }
    }
    let name = name.trim_end_matches(['-', '.']);
    if name.is_empty() {
        return None;
    }
    if !taken(name) {
        return Some(name.to_owned());
    }
    (2..TRIES).map(|n| format!("{name}-{n}")).find(|numbered| !taken(numbered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_becomes_one() {
        for (text, want) in [
            ("web-1", "web-1"),
            ("db/prod", "db-prod"),
            ("..x", "x"),
            ("ünï", "n"),
            ("a  b", "a-b"),
            ("user@host", "user-host"),
            ("fe80::1", "fe80-1"),
        ] {
            assert_eq!(valid_name(text, |_| false).as_deref(), Some(want), "{text}");
        }
        for text in ["", "---", "é", "!"] {
            assert_eq!(valid_name(text, |_| false), None, "{text}");
        }
        assert_eq!(valid_name("web", |n| ["web", "web-2"].contains(&n)).as_deref(), Some("web-3"));
        assert_eq!(valid_name("web", |_| true), None);
        assert!(valid_name(&"x".repeat(500), |n| !n.ends_with("-99")).unwrap().len() <= MAX_NAME);
    }
}
