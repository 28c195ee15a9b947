//! Where a secret lies in somebody else's vault: which source, which path, which field. What is sealed in the place of a
//! secret; never the secret itself.

use serde::{Deserialize, Serialize};

use super::{Login, Name, printable};

/// The longest path, in bytes.
const MAX_PATH: usize = 256;
/// The longest name of a field, in bytes.
const MAX_FIELD: usize = 64;

/// The first line of the sealed form; another form gets another number.
const HEAD: &str = "keyward-reference-1";

/// Why a path or field cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing was given.
    #[error("the {0} is empty")]
    Empty(&'static str),
    /// It is too long.
    #[error("the {what} is longer than {most} bytes")]
    TooLong {
        /// Of what.
        what: &'static str,
        /// How long it may be.
        most: usize,
    },
    /// A character that could mean something to a program, a URL or a terminal.
    #[error("`{shown}` is no {what}: allowed are letters, digits and {allowed}, beginning with a letter, digit or `_`")]
    Character {
        /// Of what.
        what: &'static str,
        /// The text, made harmless.
        shown: String,
        /// What is allowed besides letters and digits.
        allowed: &'static str,
    },
    /// It could climb out of where it should stay.
    #[error("`{0}` is no path: it has an empty part, or one that is only dots")]
    Dots(String),
}

/// Where a secret lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The source, as `broker.toml` names it.
    pub source: Name,
    /// The path there; of a certificate the role that signs it.
    pub path: RefPath,
    /// The field, where there are several at one path.
    pub field: Option<Field>,
}

impl Reference {
    /// The form that is sealed. None of its parts can have a line break, so no two references have the same bytes.
    pub fn encode(&self) -> Vec<u8> {
        let field = self.field.as_ref().map_or("", Field::as_str);
        [HEAD, self.source.as_str(), self.path.as_str(), field].join("\n").into_bytes()
    }

    /// The inverse of [`Reference::encode`]; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(bytes).ok()?.split('\n');
        let (head, source, path, field) = (lines.next()?, lines.next()?, lines.next()?, lines.next()?);
        if head != HEAD || lines.next().is_some() {
            return None;
        }
        let field = if field.is_empty() { None } else { Some(field.parse().ok()?) };
        Some(Self { source: source.parse().ok()?, path: path.parse().ok()?, field })
    }
}

/// What a source is asked for: the reference, and for whom. Owned by the use that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Where it lies.
    pub reference: Reference,
    /// The account on the host.
    pub login: Login,
    /// The owner's name, if the credential is personal: their paths are their own.
    pub owner: Option<Name>,
}

macro_rules! text {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

text! {
    /// A path: 1–256 of letters, digits and `. _ - / @ + = , ~`, beginning with a letter, digit or `_`, without empty parts
    /// and without parts of dots. So it is no option of a program, climbs nowhere, and means itself in a URL's path.
    RefPath
}

text! {
    /// A field: 1–64 of letters, digits and `. _ -`, beginning with a letter, digit or `_`.
    Field
}

fn judge(text: &str, what: &'static str, most: usize, allowed: &'static str) -> Result<(), ReferenceError> {
    if text.is_empty() {
        return Err(ReferenceError::Empty(what));
    }
    let fits = |(i, c): (usize, char)| c.is_ascii_alphanumeric() || c == '_' || (i > 0 && c != ' ' && allowed.contains(c));
    if !text.chars().enumerate().all(fits) {
        return Err(ReferenceError::Character { what, shown: printable(text, 80), allowed });
    }
    if text.len() > most { Err(ReferenceError::TooLong { what, most }) } else { Ok(()) }
}

impl std::str::FromStr for RefPath {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        judge(text, "path", MAX_PATH, ". _ - / @ + = , ~")?;
        if text.split('/').any(|part| part.chars().all(|c| c == '.')) {
            return Err(ReferenceError::Dots(printable(text, 80)));
        }
        Ok(Self(text.to_owned()))
    }
}

impl std::str::FromStr for Field {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        judge(text, "field", MAX_FIELD, ". _ -")?;
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_no_option_no_way_up_and_no_query() {
        for good in ["web/root", "a", "team.1/db_2/x-y@z+1=2,3~", "_x", "a/.hidden/..b"] {
            assert_eq!(good.parse::<RefPath>().unwrap().as_str(), good);
        }
        let long = "a".repeat(MAX_PATH + 1);
        for bad in [
            "",
            "-rf",
            "/etc/passwd",
            "a//b",
            "a/",
            "../x",
            "a/../b",
            "a/./b",
            "a/...",
            "a b",
            "a\nb",
            "a?b",
            "a#b",
            "a%2e",
            "a;b",
            "$(id)",
            "`id`",
            "a\\b",
            "a*b",
            "{path}",
            "ä",
            "a\u{202e}b",
            "a:b",
            "~",
            &long,
        ] {
            assert!(bad.parse::<RefPath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_sealed_comes_back_and_nothing_else_does() {
        for field in [None, Some("password".parse().unwrap())] {
            let reference = Reference { source: "corp".parse().unwrap(), path: "web/root".parse().unwrap(), field };
            assert_eq!(Reference::decode(&reference.encode()), Some(reference));
        }
        for bad in [
            &b""[..],
            b"keyward-reference-1",
            b"keyward-reference-2\na\nb\n",
            b"keyward-reference-1\na\nb\n\n",
            b"keyward-reference-1\na\n../b\n",
            b"hunter2",
            b"\xff",
        ] {
            assert_eq!(Reference::decode(bad), None);
        }
    }
}
