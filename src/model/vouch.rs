//! What vouches for a person who came over ssh: one of their keys, or a certificate of an authority that is trusted for it. It
//! travels as text beside every wish, and is looked at anew wherever something is decided; by itself it proves nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Action, Actions};
use crate::clock::Time;

/// What signed somebody in. As text `SHA256:…`, with what a certificate said behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouch {
    /// The fingerprint of the key that was in their hand.
    pub key: String,
    /// The certificate over it, if it was one that opened the door.
    pub certificate: Option<Certified>,
    /// When the second factor was made that was shown on this connection, if one was.
    pub second: Option<Time>,
}

/// How it stands with a person's second factor on the way by which they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecondFactor {
    /// It was not shown: nothing that wants it is there.
    #[default]
    NotShown,
    /// It was not shown, and this person is let do nothing without it.
    Owed,
    /// It was shown on this connection, and is still in force.
    Shown,
}

/// What a certificate said that signed somebody in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certified {
    /// The fingerprint of the authority's key.
    pub ca: String,
    /// Its number, as the authority gave it.
    pub serial: u64,
    /// Its name, as the authority gave it.
    pub key_id: String,
    /// The principal by which it is this person's.
    pub principal: String,
    /// What it limits.
    pub terms: Terms,
}

/// What a way in takes away from whatever is granted. The default takes nothing away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Good until then, not at it.
    pub until: Option<Time>,
    /// Only this command (`force-command`).
    pub command: Option<String>,
    /// No terminal (no `permit-pty`).
    pub no_pty: bool,
    /// These are taken away.
    pub without: Actions,
    /// The second factor. It is looked up, and never said by a certificate.
    #[serde(skip)]
    pub second: SecondFactor,
}

/// What stands before the time of the second factor that was shown.
const SECOND: &str = "second-factor=";

impl Terms {
    /// Whether they hold no more.
    pub fn are_over(&self, now: Time) -> bool {
        self.until.is_some_and(|until| now >= until)
    }

    /// What is left of what is granted. With a forced command no more than a command is.
    pub fn left_of(&self, granted: Actions) -> Actions {
        let kept = |action: &Action| !self.without.has(*action) && (self.command.is_none() || *action == Action::Exec);
        granted.iter().filter(kept).fold(Actions::default(), Actions::with)
    }
}

impl Vouch {
    /// A key alone.
    pub fn key(fingerprint: String) -> Self {
        Self { key: fingerprint, certificate: None, second: None }
    }
}

impl fmt::Display for Vouch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(made_at) = self.second {
            write!(f, " {SECOND}{}", made_at.millis())?;
        }
        match &self.certificate {
            Some(certified) => write!(f, " {}", serde_json::to_string(certified).map_err(|_| fmt::Error)?),
            None => Ok(()),
        }
    }
}

/// A text that says nothing of a way in.
#[derive(Debug, thiserror::Error)]
#[error("what signed them in cannot be read")]
pub struct VouchError;

impl FromStr for Vouch {
    type Err = VouchError;
    fn from_str(text: &str) -> Result<Self, VouchError> {
        let (key, mut rest) = text.split_once(' ').map_or((text, None), |(key, rest)| (key, Some(rest)));
        let mut second = None;
        if let Some(marked) = rest.and_then(|rest| rest.strip_prefix(SECOND)) {
            let (millis, after) = marked.split_once(' ').map_or((marked, None), |(millis, after)| (millis, Some(after)));
            second = Some(Time::from_millis(millis.parse().map_err(|_| VouchError)?));
            rest = after;
        }
        let certificate = rest.map(serde_json::from_str).transpose().map_err(|_| VouchError)?;
        Ok(Self { key: key.to_owned(), certificate, second })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vouch_is_read_as_it_was_written() {
        let terms = Terms {
            until: Some(Time::from_millis(5)),
            command: Some("df -h \"x\"\n".to_owned()),
            no_pty: true,
            without: "forward-local,x11".parse().unwrap(),
            second: SecondFactor::NotShown,
        };
        let certified = Certified {
            ca: "SHA256:ca".to_owned(),
            serial: u64::MAX,
            key_id: "a b\u{1b}".to_owned(),
            principal: "alice".to_owned(),
            terms,
        };
        for certificate in [None, Some(certified)] {
            for second in [None, Some(Time::from_millis(1_732_600_000_000))] {
                let vouch = Vouch { key: "SHA256:abc".to_owned(), certificate: certificate.clone(), second };
                assert_eq!(vouch.to_string().parse::<Vouch>().unwrap(), vouch);
            }
        }
        for bad in ["SHA256:abc {}", "SHA256:abc x", "SHA256:abc ", "SHA256:abc second-factor=", "SHA256:abc second-factor=5 x"] {
            assert!(bad.parse::<Vouch>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn terms_take_away_and_never_give() {
        let granted: Actions = "shell,exec,forward-local,scan".parse().unwrap();
        assert_eq!(Terms::default().left_of(granted), granted);
        let terms = Terms { without: "forward-local,forward-agent".parse().unwrap(), ..Terms::default() };
        assert_eq!(terms.left_of(granted).to_string(), "shell,exec,scan");
        let forced = Terms { command: Some("df".to_owned()), ..Terms::default() };
        assert_eq!(forced.left_of(granted).to_string(), "exec");
        assert!(forced.left_of("shell".parse().unwrap()).is_empty());
    }
}
