//! Texts and times in the room that there is for them, in columns of a terminal. Cleans nothing: what it is given is printable.

use std::time::Duration;

use unicode_width::UnicodeWidthChar;

/// How many columns a text takes.
pub fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

fn columns_of(c: char) -> usize {
    c.width().unwrap_or(1)
}

/// On one line of at most so many columns, or of one; that something is left out is seen by the dots.
pub fn cut(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut room = most.saturating_sub(1);
    for c in text.chars() {
        let wide = columns_of(c);
        if wide > room {
            break;
        }
        out.push(c);
        room -= wide;
    }
    out.push('…');
    out
}

/// On rows of at most `width` columns, parted at spaces where there are some.
pub fn folded(text: &str, width: usize) -> Vec<String> {
    let width = width.max(2);
    let mut rows = Vec::new();
    let mut row = String::new();
    let mut room = width;
    for word in text.split_inclusive(' ') {
        let columns = columns(word.trim_end());
        if columns > room && !row.is_empty() {
            rows.push(std::mem::take(&mut row));
            room = width;
        }
        for c in word.chars() {
            let wide = columns_of(c);
            if wide > room {
                if c == ' ' {
                    continue;
                }
                rows.push(std::mem::take(&mut row));
                room = width;
            }
            row.push(c);
            room -= wide.min(room);
        }
    }
    if !row.is_empty() || rows.is_empty() {
        rows.push(row);
    }
    rows
}

/// `12s`, `9m`, `3h`, `2d`.
pub fn short(span: Duration) -> String {
    match span.as_secs() {
        s @ ..60 => format!("{s}s"),
        s @ 60..3600 => format!("{}m", s / 60),
        s @ 3600..86_400 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_parted_at_its_spaces_and_never_wider_than_there_is_room() {
        assert_eq!(folded("the host does not answer", 10), ["the host ", "does not ", "answer"]);
        assert_eq!(folded("unbreakable", 4), ["unbr", "eaka", "ble"]);
        assert_eq!(folded("日本語 ab", 5), ["日本", "語 ab"]);
        assert_eq!(folded("", 5), [""]);
        for width in 2..12 {
            assert!(folded("日本語 ab の host 日 does not", width).iter().all(|row| columns(row) <= width), "{width}");
        }
    }

    #[test]
    fn what_is_cut_says_so_and_fits() {
        assert_eq!([cut("web-1", 5), cut("web-12", 5), cut("日本語", 5), cut("日本語", 4)], ["web-1", "web-…", "日本…", "日…"]);
        for most in 1..12 {
            assert!(columns(&cut("日本a語e\u{301} ab の", most)) <= most, "{most}");
        }
    }

    #[test]
    fn a_time_is_told_in_its_largest_unit() {
        assert_eq!([59, 60, 3599, 86_399, 200_000].map(|s| short(Duration::from_secs(s))), ["59s", "1m", "59m", "23h", "2d"]);
    }
}
