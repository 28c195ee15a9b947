//! Names that people choose, and names of accounts on hosts: short, printable, unambiguous in a selector.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest name, in bytes.
pub(super) const MAX_NAME: usize = 64;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a name must not be empty")]
    Empty,
    /// It is too long.
    #[error("a name has at most {MAX_NAME} characters")]
    TooLong,
    /// It has a character that would be ambiguous in a selector, a path or a terminal.
    #[error("`{shown}` is no name: it has {what}; allowed are letters, digits, `.`, `_` and `-`, beginning with a letter or digit")]
    Character {
        /// The text, made harmless.
        shown: String,
        /// The character, named.
        what: String,
    },
}

/// `text` with control and other invisible characters shown as escapes, cut after `most` characters.
pub fn printable(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == most {
            out.push('…');
            break;
        }
        if invisible(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// Characters that a terminal obeys or does not show: controls, format characters, bidirectional overrides.
fn invisible(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0x00AD | 0x061C | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164
            | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0xE0000..=0xE0FFF)
}

/// The name of a user, group, host or credential: 1–64 of `A–Z a–z 0–9 . _ -`, beginning with a letter or digit.
/// So it holds no `+` and no `@`, which divide a selector, and nothing that a shell or terminal would take for its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        let bad = text.chars().enumerate().find(|(i, c)| !(c.is_ascii_alphanumeric() || (*i > 0 && matches!(c, '.' | '_' | '-'))));
        if let Some((_, c)) = bad {
            let what = if c == ' ' {
                "a space".to_owned()
            } else if invisible(c) {
                format!("a control or invisible character ({})", c.escape_unicode())
            } else {
                format!("`{c}`")
            };
            return Err(NameError::Character { shown: printable(text, MAX_NAME), what });
        }
        if text.len() > MAX_NAME {
            return Err(NameError::TooLong);
        }
        Ok(Self(text.to_owned()))
    }
}

/// The account on a host. Accounts of other systems have `\`, `@` or `$`; controls, white space and `:` have no place in one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Login(String);

impl Login {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Login {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if let Some(c) = text.chars().find(|c| invisible(*c) || c.is_whitespace() || *c == ':') {
            let what = if invisible(c) { format!("a control or invisible character ({})", c.escape_unicode()) } else { format!("`{c}`") };
            return Err(NameError::Character { shown: printable(text, MAX_NAME), what });
        }
        if text.len() > MAX_NAME {
            return Err(NameError::TooLong);
        }
        Ok(Self(text.to_owned()))
    }
}

macro_rules! text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(de::Error::custom)
            }
        }
    };
}
text!(Name);
text!(Login);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_nothing_that_a_selector_or_a_terminal_obeys() {
        for good in ["web-1", "a", "db.prod_2", "9front"] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        for bad in ["", "-x", ".x", "a+b", "a@b", "a b", "a\n", "a\x1b[31m", "a\u{202e}b", "é", &"x".repeat(65)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
        let shown = "a\x1b[31m".parse::<Name>().unwrap_err().to_string();
        assert!(!shown.contains('\x1b'), "{shown}");
    }

    #[test]
    fn logins_of_other_systems_are_taken() {
        for good in ["root", "DOMAIN\\user", "user@realm", "svc$"] {
            assert!(good.parse::<Login>().is_ok());
        }
        for bad in ["", "a b", "a:b", "a\tb", "a\u{200b}"] {
            assert!(bad.parse::<Login>().is_err(), "{bad:?}");
        }
    }
}
