//! How what was found is shown: short, without control characters, and without what nobody should read in a report.

use crate::model::printable;

/// The longest text that is shown, in characters.
pub(super) const SHOWN: usize = 300;

/// Files whose lines hold secrets behind the first colon.
const SECRET: &[&str] = &["shadow", "shadow-", "gshadow", "gshadow-", "master.passwd", "opasswd"];

/// At most so many characters of a text.
pub(super) fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

/// Bytes of a host as they can be shown.
pub(super) fn shown(bytes: &[u8]) -> String {
    // A character takes four bytes at most: more is not looked at.
    let bytes = bytes.get(..SHOWN * 4).unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes).replace('\t', " ");
    short(&printable(&text, SHOWN), SHOWN)
}

/// A name or path between backquotes.
pub(super) fn quoted(bytes: &[u8]) -> String {
    format!("`{}`", short(&shown(bytes), 120))
}

/// A path, and what about it.
pub(super) fn path_and(path: &[u8], what: &str) -> String {
    format!("{}: {what}", short(&shown(path), 120))
}

/// A line of a file: of one that holds secrets only what stands before the first colon.
pub(super) fn line_of(path: &str, line: &[u8]) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    if SECRET.contains(&name) {
        let before = line.split(|b| *b == b':').next().unwrap_or_default();
        return if before.len() == line.len() { "a line that is not shown".to_owned() } else { format!("{}:…", shown(before)) };
    }
    if ["-----BEGIN", "PRIVATE KEY"].iter().any(|mark| line.windows(mark.len()).any(|w| w == mark.as_bytes()))
        || name.ends_with("_key")
        || name.ends_with(".key")
    {
        return "a line that is not shown".to_owned();
    }
    shown(&without_hashes(line))
}

/// A line without the hashes of passwords, `$6$…`.
pub(super) fn without_hashes(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    for piece in line.split_inclusive(|b| matches!(b, b':' | b' ' | b'\t' | b'\'' | b'"' | b',' | b'=')) {
        let bare = piece.iter().position(|b| !matches!(b, b'!' | b'*')).and_then(|at| piece.get(at..)).unwrap_or_default();
        if bare.first() == Some(&b'$') && bare.iter().filter(|b| **b == b'$').count() >= 3 {
            out.extend_from_slice("(hash)".as_bytes());
            out.extend(piece.last().filter(|b| matches!(b, b':' | b' ' | b'\t' | b'\'' | b'"' | b',' | b'=')));
        } else {
            out.extend_from_slice(piece);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_control_and_not_too_much() {
        let evil = b"a\x1b]0;x\x07\xFF\r\n\xE2\x80\xAE".repeat(100);
        let text = shown(&evil);
        assert!(text.chars().count() <= SHOWN && !text.chars().any(char::is_control), "{text}");
        assert_eq!(shown("naïve".as_bytes()), "naïve");
        assert_eq!(shown(b"UMASK\t\t022"), "UMASK  022");
        assert_eq!(short("abcdef", 4), "abc…");
        assert_eq!(short("abcd", 4), "abcd");
    }

    #[test]
    fn shows_no_secret() {
        assert_eq!(line_of("/etc/shadow", b"root:$6$salt$hash:19000:0:"), "root:…");
        assert_eq!(line_of("/etc/shadow", b"garbage"), "a line that is not shown");
        assert_eq!(line_of("/etc/ssh/ssh_host_rsa_key", b"AAAA"), "a line that is not shown");
        assert_eq!(line_of("/x", b"-----BEGIN PRIVATE KEY-----"), "a line that is not shown");
        assert_eq!(line_of("/etc/grub.cfg", b"password root !$y$j9T$salt$hash x"), "password root (hash) x");
        assert_eq!(line_of("/etc/x", b"PATH=$A$B:$C"), "PATH=$A$B:$C");
        assert_eq!(line_of("/etc/passwd", b"root:x:0:0"), "root:x:0:0");
    }
}
