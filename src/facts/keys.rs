//! Keys that may sign in, from the lines of `authorized_keys`. Says what stands there, not whether sshd would take it.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64, Base64Unpadded, Encoding};

use super::inventory::id;
use super::reading::{Bounds, Reading, pair, shown};
use super::types::AuthorizedKey;

const GROUP: &str = "authorized_keys";
/// The key in `missing` for lines that look like keys and are none: anybody on the host may write them, so they hide nothing else.
const LINES: &str = "authorized_keys.lines";
/// Bytes of a key in base64; RSA with 16,384 bits takes 2,800.
const KEY_MAX: usize = 16 * 1024;

/// Reads the keys, sorted by account, file and fingerprint.
pub(super) fn read(reading: &mut Reading<'_>) -> Vec<AuthorizedKey> {
    let mut keys = Vec::new();
    let Some(sections) = reading.sections(GROUP, id::AUTHORIZED_KEYS) else { return keys };
    if !sections.iter().any(|s| s.head == b"end") {
        reading.lack(GROUP, "the answer breaks off before its end");
    }
    let mut bounds = Bounds::default();
    let (mut strange, mut where_strange) = (0_usize, BTreeSet::new());
    for section in &sections {
        let Some((user, file)) = pair(section.head, b"\t") else { continue };
        let (user, file) = (shown(user), shown(file));
        for line in section.lines.iter().map(|l| l.trim_ascii()).filter(|l| !l.is_empty() && !l.starts_with(b"#")) {
            match key(line, &user, &file, &mut bounds) {
                Some(key) => bounds.push(&mut keys, key),
                None => {
                    strange += 1;
                    if where_strange.len() < 3 {
                        where_strange.insert(file.clone());
                    }
                }
            }
        }
    }
    if strange > 0 {
        let files: Vec<String> = where_strange.into_iter().collect();
        reading.lack(LINES, format!("not understood: {strange} lines, as in {}", files.join(", ")));
    }
    // That nobody has a key is an answer: the section `end` says that all were looked at.
    bounds.close(reading, GROUP, sections.len());
    keys.sort_by(|a: &AuthorizedKey, b| {
        (&a.user, &a.file, &a.fingerprint, &a.options).cmp(&(&b.user, &b.file, &b.fingerprint, &b.options))
    });
    keys
}

/// `OPTIONS KIND KEY COMMENT`, the options and the comment not being needed.
fn key(line: &[u8], user: &str, file: &str, bounds: &mut Bounds) -> Option<AuthorizedKey> {
    let (options, kind, blob, comment) = match plain(line) {
        Some((kind, blob, comment)) => (&b""[..], kind, blob, comment),
        None => {
            let (options, rest) = line.split_at_checked(end_of_options(line))?;
            let (kind, blob, comment) = plain(rest.trim_ascii_start())?;
            (options, kind, blob, comment)
        }
    };
    Some(AuthorizedKey {
        user: user.to_owned(),
        file: file.to_owned(),
        kind: kind.to_owned(),
        fingerprint: format!("SHA256:{}", Base64Unpadded::encode_string(digest(&SHA256, &blob).as_ref())),
        comment: bounds.text(comment),
        options: bounds.text(options),
    })
}

/// `KIND KEY COMMENT`, if the key says the same kind.
fn plain(line: &[u8]) -> Option<(&str, Vec<u8>, &[u8])> {
    let blank = |l: &[u8]| l.iter().position(u8::is_ascii_whitespace).unwrap_or(l.len());
    let (kind, rest) = line.split_at_checked(blank(line))?;
    let rest = rest.trim_ascii_start();
    let (blob, comment) = rest.split_at_checked(blank(rest))?;
    if blob.len() > KEY_MAX || !blob.starts_with(b"AAAA") {
        return None;
    }
    let kind = std::str::from_utf8(kind).ok()?;
    let blob = Base64::decode_vec(std::str::from_utf8(blob).ok()?).ok()?;
    let length = usize::try_from(u32::from_be_bytes(*blob.first_chunk()?)).ok()?;
    (blob.get(4..)?.get(..length)? == kind.as_bytes()).then_some((kind, blob, comment))
}

/// Where the options end: at the first blank that is not in quotes.
fn end_of_options(line: &[u8]) -> usize {
    let mut quoted = false;
    let mut before = 0;
    for (i, &c) in line.iter().enumerate() {
        match c {
            b'"' if before != b'\\' => quoted = !quoted,
            b' ' | b'\t' if !quoted => return i,
            _ => {}
        }
        before = c;
    }
    line.len()
}
