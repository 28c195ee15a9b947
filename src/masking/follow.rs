//! Tells whether what is expected follows: a value that is a secret, a password in a URL or in .pgpass. What it tells never
//! changes when more is read.

use super::begin::{Look, block};
use super::body::Body;
use super::context::Expect;
use super::rules::{How, PLAIN, RULES, SCHEMES};

/// The longest password in a URL, with the host behind it, and in .pgpass, in bytes.
const FIELD: usize = 512;
/// As many bytes of a value tell that it is none of [`PLAIN`] or [`SCHEMES`].
const WORD: usize = 24;

/// Whether what is expected comes.
pub(super) fn expected(rest: &[u8], expect: Expect, ended: bool) -> Look {
    match expect {
        Expect::Lines { rule, count } => Look::Yes { rule, length: 0, body: Some(Body::lines(count)) },
        Expect::UserInfo { rule } => user_info(rest, rule, ended),
        Expect::PgPass { rule } => pgpass(rest, rule, ended),
        Expect::Value(value) => {
            if value.leads(rest) {
                return Look::No;
            }
            // A key of several lines may be the value of an assignment.
            if let Some(rule) = RULES.iter().position(|r| r.how == How::Block)
                && let found = block(rest, rule, ended)
                && !matches!(found, Look::No)
            {
                return found;
            }
            let length = rest.iter().take(WORD).take_while(|b| !value.ends_at(**b)).count();
            if length == rest.len() && length < WORD && !ended {
                return Look::More;
            }
            let word = rest.get(..length).unwrap_or_default();
            if length < WORD && value.scheme && rest.get(length) == Some(&b' ') && known(word, SCHEMES) {
                return Look::Keep { length: length.saturating_add(1), expect: Expect::Value(value.without_scheme()) };
            }
            if length < WORD && (known(bare(word), PLAIN) || word.starts_with(b"[masked:")) {
                return Look::No;
            }
            Look::Yes { rule: value.rule, length: 0, body: Some(Body::Value { value, escaped: false, dashes: 0 }) }
        }
    }
}

/// A value without the signs that code puts round it.
fn bare(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    let value = value.strip_prefix(b"&").unwrap_or(value);
    let end = value.iter().rposition(|b| !matches!(b, b',' | b';' | b')' | b'}' | b'.')).map_or(0, |last| last.saturating_add(1));
    value.get(..end).unwrap_or_default()
}

fn known(word: &[u8], list: &[&str]) -> bool {
    list.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(word))
}

/// Behind `://user:` : the password ends at the last `@` before the path, a space or a quote.
fn user_info(rest: &[u8], rule: usize, ended: bool) -> Look {
    let stops = |b: u8| b.is_ascii_whitespace() || b.is_ascii_control() || matches!(b, b'"' | b'\'' | b'`' | b'<' | b'>');
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    // A port and a path.
    if digits <= 5 && matches!(rest.get(digits), Some(b'/' | b'?' | b'#' | b',' | b')')) {
        return Look::No;
    }
    let length = rest.iter().take(FIELD).take_while(|b| !stops(**b)).count();
    if length == rest.len() && length < FIELD && !ended {
        return Look::More;
    }
    let field = rest.get(..length).unwrap_or_default();
    // A password may have a `/` or an `@`, but what follows the host may, too: the last `@` before a `/`, else the first.
    let host = field.iter().position(|b| *b == b'/').and_then(|slash| field.get(..slash)).unwrap_or(field);
    let at = host.iter().rposition(|b| *b == b'@').or_else(|| field.iter().position(|b| *b == b'@'));
    match at {
        Some(at) if at > 0 => Look::Yes { rule, length: at, body: None },
        _ => Look::No,
    }
}

/// Behind `host:port:database:user:` : the rest of the line, if it is one field.
fn pgpass(rest: &[u8], rule: usize, ended: bool) -> Look {
    let length = rest.iter().take(FIELD).take_while(|b| !matches!(b, b'\n' | b'\r' | b' ' | b'\t' | b':' | 0)).count();
    match rest.get(length) {
        // An escaped colon is part of the password.
        Some(b':') if rest.get(length.saturating_sub(1)) == Some(&b'\\') => {
            let end = rest.iter().take(FIELD).take_while(|b| !matches!(b, b'\n' | b'\r' | b' ' | b'\t' | 0)).count();
            match rest.get(end) {
                Some(b'\n' | b'\r') => Look::Yes { rule, length: end, body: None },
                None if end < FIELD && !ended => Look::More,
                None if ended => Look::Yes { rule, length: end, body: None },
                _ => Look::No,
            }
        }
        Some(b'\n' | b'\r') if length > 0 => Look::Yes { rule, length, body: None },
        None if length < FIELD && !ended => Look::More,
        None if ended && length > 0 => Look::Yes { rule, length, body: None },
        _ => Look::No,
    }
}
