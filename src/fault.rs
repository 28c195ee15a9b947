//! Whose fault an error is and what to do about it. Every room's error answers both; no room's error is a string. And how
//! what is to be done is said at each door, so that it can be pasted where it is read.

use std::path::PathBuf;

/// What kind of failure it is. Each door has one table from this to its own protocol (`cli/fail.rs` for exit statuses).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The words of the call are wrong.
    Usage,
    /// What was given is malformed or cannot be taken.
    Invalid,
    /// There is no such thing, or not for this caller: both get the same answer.
    NotFound,
    /// It exists already, or it is in use.
    Conflict,
    /// The caller may not do that.
    Forbidden,
    /// A passphrase is needed to read the key that was given.
    PassphraseNeeded,
    /// The other side (a host, a client) refused or broke off.
    Refused,
    /// It did not happen in time.
    TimedOut,
    /// A limit with a name in `broker.toml` was reached.
    Limit,
    /// The daemon cannot do it now: full disk, draining, not started.
    Unavailable,
    /// Stored data does not verify: somebody or something changed it.
    Tampered,
    /// A defect of Keyward.
    Bug,
}

/// What every error of every room can say.
pub trait Fault: std::error::Error {
    /// Whose fault it is.
    fn kind(&self) -> Kind;
    /// What to do: a command or a sentence that can be followed as it stands.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// The verbs that the local program and the ssh console share; a test of the grammar compares them with it.
pub const VERBS: &[&str] =
    &["status", "user", "group", "host", "credential", "grant", "session", "agent", "proposal", "scan", "audit", "ssh-config"];

/// How the program is called at a door. Rooms write their hints as `keyward VERB …`; each door turns them into what can be
/// pasted there, when it prints them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Calling {
    /// `keyward VERB`.
    #[default]
    Local,
    /// The local program with a home that was named: `keyward --home DIR VERB`.
    At(PathBuf),
    /// A stock client: `ssh -p PORT NAME@BROKER VERB`.
    Ssh {
        /// The broker's port.
        port: u16,
        /// Who is calling.
        name: String,
        /// The broker's address, if it is known how clients reach it.
        broker: Option<String>,
    },
}

impl Calling {
    /// The text, with every `keyward VERB` in it as it is called here.
    pub fn pastable(&self, text: &str) -> String {
        const PROGRAM: &str = "keyward ";
        let prefix = match self {
            Self::Local => return text.to_owned(),
            Self::At(home) => format!("keyward --home {} ", shell_words::quote(&home.display().to_string())),
            Self::Ssh { port, name, broker } => {
                let port = if *port == 22 { String::new() } else { format!(" -p {port}") };
                format!("ssh{port} {name}@{} ", broker.as_deref().unwrap_or("BROKER"))
            }
        };
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(PROGRAM) {
            let (before, found) = rest.split_at(at);
            let after = found.strip_prefix(PROGRAM).unwrap_or_default();
            let verb = after.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap_or_default();
            // A word of its own, and a verb after it: "the keyward account" and paths are left alone.
            let is_word = before.chars().next_back().is_none_or(|c| c.is_whitespace() || c == '(' || c == '`');
            out.push_str(before);
            out.push_str(if is_word && VERBS.contains(&verb) { &prefix } else { PROGRAM });
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_can_be_pasted_where_it_is_read() {
        let hint = "see what there is: keyward host list";
        assert_eq!(Calling::Local.pastable(hint), hint);
        let at = |home: &str| Calling::At(PathBuf::from(home)).pastable(hint);
        assert_eq!(at("/srv/kw"), "see what there is: keyward --home /srv/kw host list");
        assert_eq!(at("/srv/my kw"), "see what there is: keyward --home '/srv/my kw' host list");
        let ssh = |port, broker: Option<&str>, text: &str| {
            Calling::Ssh { port, name: "alice".to_owned(), broker: broker.map(str::to_owned) }.pastable(text)
        };
        assert_eq!(ssh(2222, None, hint), "see what there is: ssh -p 2222 alice@BROKER host list");
        assert_eq!(ssh(22, Some("kw.example.org"), hint), "see what there is: ssh alice@kw.example.org host list");
        assert_eq!(
            ssh(22, None, "keyward user add x; or remove x: keyward user remove x"),
            "ssh alice@BROKER user add x; or remove x: ssh alice@BROKER user remove x"
        );
    }

    #[test]
    fn what_is_no_call_stays_as_it_is() {
        let ssh = Calling::Ssh { port: 22, name: "alice".to_owned(), broker: None };
        for text in [
            "stop keyward, restore it from a backup",
            "run keyward as its owner: ls -ld /var/lib/keyward",
            "start it: keyward serve --home /var/lib/keyward",
            "/usr/bin/keyward host list",
            "keyward",
            "keyward ",
            "",
        ] {
            assert_eq!(ssh.pastable(text), text);
        }
    }
}
