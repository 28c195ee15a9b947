//! The user name of an ssh client, `[PERSON+][CREDENTIAL@][WORKSPACE=]HOST`, taken apart. Looks nothing up.

use std::str::FromStr;

use crate::model::{Name, NameError};

/// Where somebody wants to go, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// Who they say they are; the key that signs in must be this person's.
    pub person: Option<Name>,
    /// The credential they want to use.
    pub credential: Option<Name>,
    /// The workspace of the host; none: `default`. Not a colon, a slash or a comma, which scp and Ansible take for their own.
    pub workspace: Option<Name>,
    /// The host, or their own name for the console.
    pub host: Name,
}

/// A user name that is no selector.
#[derive(Debug, thiserror::Error)]
pub enum SelectorError {
    /// A part of it is no name.
    #[error("{part}: {error}")]
    Part {
        /// Which part.
        part: &'static str,
        /// Why.
        error: NameError,
    },
}

impl Selector {
    /// Whether somebody of this name wants no host, but the console.
    pub fn is_console(&self, own: &Name) -> bool {
        self.workspace.is_none() && self.host == *own
    }
}

impl FromStr for Selector {
    type Err = SelectorError;
    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let (person, rest) = text.split_once('+').map_or((None, text), |(person, rest)| (Some(person), rest));
        let (credential, host) = rest.split_once('@').map_or((None, rest), |(credential, host)| (Some(credential), host));
        let (workspace, host) = host.split_once('=').map_or((None, host), |(workspace, host)| (Some(workspace), host));
        let name = |part: &'static str, text: &str| text.parse::<Name>().map_err(|error| SelectorError::Part { part, error });
        Ok(Self {
            person: person.map(|p| name("the person before `+`", p)).transpose()?,
            credential: credential.map(|c| name("the credential before `@`", c)).transpose()?,
            workspace: workspace.map(|w| name("the workspace before `=`", w)).transpose()?,
            host: name("the host", host)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_have_one_reading() {
        let parse = |t: &str| t.parse::<Selector>();
        let parts = |s: Selector| (s.person.map(|n| n.to_string()), s.credential.map(|n| n.to_string()), s.host.to_string());
        let some = |t: &str| Some(t.to_owned());
        assert_eq!(parts(parse("web-1").unwrap()), (None, None, "web-1".to_owned()));
        assert_eq!(parts(parse("deploy@web-1").unwrap()), (None, some("deploy"), "web-1".to_owned()));
        assert_eq!(parts(parse("alice+deploy@web-1").unwrap()), (some("alice"), some("deploy"), "web-1".to_owned()));
        assert_eq!(parts(parse("alice+web-1").unwrap()), (some("alice"), None, "web-1".to_owned()));
        let apart = parse("alice+deploy@staging=web-1").unwrap();
        assert_eq!(apart.workspace.as_ref().map(ToString::to_string), some("staging"));
        assert_eq!(parts(apart), (some("alice"), some("deploy"), "web-1".to_owned()));
        assert_eq!(parse("staging=web-1").unwrap().workspace.unwrap().to_string(), "staging");
        assert_eq!(parse("web-1").unwrap().workspace, None);
        for bad in [
            "=web-1",
            "staging=",
            "a=b=c",
            "a=b@c",
            "a=b+c",
            "a:b",
            "a/b",
            "a,b",
            "",
            "+",
            "@",
            "a@",
            "@a",
            "a+",
            "a+b+c",
            "a@b@c",
            "a@b+c",
            "a b",
            "web-1\n",
            "web\x1b[2J",
            "wéb",
            &"a".repeat(65),
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn no_bytes_of_a_stranger_make_it_panic() {
        use proptest::prelude::*;
        proptest!(|(text in ".{0,200}")| { let _ = text.parse::<Selector>(); });
    }
}
