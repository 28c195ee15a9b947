//! The entries of a folder, out of the answer to its probe. Never takes an answer for whole that is not, or that breaks its frame.

/// Something below a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// Its whole path.
    pub(super) path: &'a [u8],
    pub(super) kind: Kind,
    pub(super) content: Content<'a>,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A regular file, or a link to one.
    File,
    /// A link to nothing.
    Dangling,
    /// Anything else.
    Other,
}

/// What is known of an entry's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// It was not asked for.
    NotAsked,
    /// It cannot be read.
    Unreadable,
    /// All of it.
    Whole(&'a [u8]),
    /// How it begins.
    Beginning(&'a [u8]),
}

/// A folder's entries, sorted by path, and whether they are all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listing<'a> {
    pub(super) entries: Vec<Entry<'a>>,
    pub(super) whole: bool,
}

impl Entry<'_> {
    /// The last part of its path.
    pub(super) fn name(&self) -> &[u8] {
        self.path.rsplit(|b| *b == b'/').next().unwrap_or_default()
    }
}

/// Reads the records of an answer; `cut` if more was written than is there. `None` if it breaks the frame.
pub(super) fn listing(output: &[u8], cut: bool) -> Option<Listing<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut whole = !cut;
    let mut records = output.split(|b| *b == 0).peekable();
    while let Some(record) = records.next() {
        // What stands behind the last NUL is no whole record.
        let ended = records.peek().is_some();
        let Some((letter, rest)) = record.split_first() else {
            if ended {
                return None;
            }
            continue;
        };
        if !ended && !cut {
            return None;
        }
        let kind = match letter {
            b'f' => Kind::File,
            b'a' => Kind::Dangling,
            b'o' => Kind::Other,
            b'!' if rest.is_empty() => {
                whole = false;
                continue;
            }
            b'c' | b'C' | b'u' => {
                let last = entries.last_mut().filter(|e| e.kind == Kind::File && e.content == Content::NotAsked)?;
                last.content = match letter {
                    b'c' if ended => Content::Whole(rest),
                    b'u' if rest.is_empty() => Content::Unreadable,
                    b'u' => return None,
                    _ => Content::Beginning(rest),
                };
                continue;
            }
            _ => return None,
        };
        if ended {
            entries.push(Entry { path: rest, kind, content: Content::NotAsked });
        }
    }
    entries.sort_by_key(|e| e.path);
    Some(Listing { entries, whole })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_probe_writes() {
        let read = listing(b"f/e/b\0cx\ny\n\0f/e/a\0Cpart\0f/e/c\0u\0o/e/d\0a/e/x\ny\0", false).unwrap();
        assert!(read.whole);
        let shown: Vec<(&[u8], Kind, Content<'_>)> = read.entries.iter().map(|e| (e.name(), e.kind, e.content)).collect();
        assert_eq!(
            shown,
            [
                (&b"a"[..], Kind::File, Content::Beginning(b"part")),
                (b"b", Kind::File, Content::Whole(b"x\ny\n")),
                (b"c", Kind::File, Content::Unreadable),
                (b"d", Kind::Other, Content::NotAsked),
                (b"x\ny", Kind::Dangling, Content::NotAsked),
            ]
        );
        assert_eq!(listing(b"", false).unwrap(), Listing { entries: vec![], whole: true });
        assert!(!listing(b"f/a\0!\0", false).unwrap().whole);
    }

    #[test]
    fn takes_no_part_for_the_whole() {
        let read = listing(b"f/a\0cab", true).unwrap();
        assert!(!read.whole);
        assert_eq!(read.entries[0].content, Content::Beginning(b"ab"));
        let read = listing(b"f/a\0f/et", true).unwrap();
        assert_eq!((read.entries.len(), read.whole), (1, false));
        for broken in [&b"f/a"[..], b"x/a\0", b"cx\0", b"o/a\0cx\0", b"f/a\0cx\0cy\0", b"f/a\0\0", b"f/a\0ux\0", b"!x\0", b"\0"] {
            assert_eq!(listing(broken, false), None, "{broken:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(proptest::sample::select(&b"facCou!/x\n\0\0"[..]), 0..60), cut: bool) {
            if let Some(read) = listing(&bytes, cut) {
                assert!(!cut || !read.whole);
            }
        }
    }
}
