//! Patterns as OpenSSH has them (ssh_config(5), PATTERNS): `*`, `?`, lists with `!`. Pure, and linear but for its stars.

/// What a list of patterns says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// Nothing in it fits.
    No,
    /// Something fits, and nothing forbids it.
    Yes,
    /// A pattern with `!` fits.
    Negated,
}

/// Whether a pattern is one: it holds `*` or `?`, or begins with `!`.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?']) || text.starts_with('!')
}

/// Whether the whole text fits. Byte by byte, as OpenSSH does it; a star that did not lead on is taken up once more.
pub(super) fn matches(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let (mut at, mut want) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(at) {
        match pattern.get(want) {
            Some(b'*') => {
                star = Some((want, at));
                want += 1;
            }
            Some(p) if *p == b'?' || p == byte => {
                at += 1;
                want += 1;
            }
            _ => {
                let Some((again, from)) = star else { return false };
                star = Some((again, from + 1));
                want = again + 1;
                at = from + 1;
            }
        }
    }
    pattern.get(want..).is_none_or(|rest| rest.iter().all(|b| *b == b'*'))
}

/// What a list with commas says about a text.
pub(super) fn listed(text: &str, list: &str, lower: bool) -> Listed {
    let mut found = Listed::No;
    for item in list.split(',').filter(|item| !item.is_empty()) {
        let (negated, pattern) = match item.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, item),
        };
        let fits = if lower { matches(text, &pattern.to_ascii_lowercase()) } else { matches(text, pattern) };
        match (fits, negated) {
            (true, true) => return Listed::Negated,
            (true, false) => found = Listed::Yes,
            (false, _) => {}
        }
    }
    found
}

/// As [`listed`], for names of hosts, which have no case.
pub(super) fn host_listed(host: &str, list: &str) -> Listed {
    listed(&host.to_ascii_lowercase(), list, true)
}
