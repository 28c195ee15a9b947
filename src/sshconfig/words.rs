//! The words of a line of ssh_config, split as OpenSSH splits them: a keyword, then arguments with quotes and comments.

/// White space between words.
const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

/// The keyword in lower case and the rest of the line; `None`: nothing, or a comment.
pub(super) fn keyword(line: &str) -> Option<(String, &str)> {
    let line = line.trim_end_matches([' ', '\t', '\r', '\n', '\u{c}']).trim_start_matches([' ', '\t']);
    let (word, rest) = delimited(line)?;
    if word.is_empty() || word.starts_with('#') {
        return None;
    }
    Some((word.to_ascii_lowercase(), rest))
}

/// A word up to white space or one `=`, and what follows; a word in quotes may hold both.
pub(super) fn delimited(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches(BLANK);
    if text.is_empty() {
        return None;
    }
    let (word, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => {
            let end = text.find(|c| BLANK.contains(&c) || c == '=').unwrap_or(text.len());
            text.split_at_checked(end)?
        }
    };
    let rest = rest.trim_start_matches(BLANK);
    Some((word, rest.strip_prefix('=').map_or(rest, |after| after.trim_start_matches(BLANK))))
}

/// The arguments; `#` at the beginning of one ends them. `None`: a quote is not closed.
pub(super) fn arguments(text: &str) -> Option<Vec<String>> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        match chars.peek() {
            None | Some('#') => return Some(out),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = chars.next_if(|c| quote.is_some() || !matches!(c, ' ' | '\t')) {
            match (c, quote) {
                ('\\', _) => match chars.peek() {
                    Some(next @ ('"' | '\'' | '\\')) => {
                        word.push(*next);
                        chars.next();
                    }
                    Some(' ') if quote.is_none() => {
                        word.push(' ');
                        chars.next();
                    }
                    _ => word.push('\\'),
                },
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                (c, _) => word.push(c),
            }
        }
        if quote.is_some() {
            return None;
        }
        out.push(word);
    }
}
