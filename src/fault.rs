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
pub const VERBS: &[&str] = &[
    "status",
    "seal",
    "user",
    "group",
    "user-ca",
    "host",
    "host-ca",
    "credential",
    "ca",
    "workspace",
    "source",
    "personal",
    "unlock",
    "lock",
    "grant",
    "session",
    "agent",
    "proposal",
    "scan",
    "audit",
    "ssh-config",
    "import",
    "vault",
    "backup",
];

/// Verbs that ask on a terminal, which a client gives them only if it is told to.
const ON_A_TERMINAL: &[&str] = &["user totp enroll"];

/// Verbs of the local program alone that hints name.
pub const LOCAL_VERBS: &[&str] = &["unseal", "root-key", "systemd-unit"];

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
    /// Any of them, in a workspace that was named: what is called there names it, too.
    Within {
        /// Which.
        workspace: String,
        /// How it is called there.
        calling: Box<Calling>,
    },
}

/// The workspace that is meant without a word; `model` calls it `DEFAULT_WORKSPACE`, and a test of the grammar compares them.
pub const UNNAMED: &str = "default";

/// The verbs that work in one workspace. Each has another word behind it, except `ssh-config`.
const IN_A_WORKSPACE: &[&str] = &["host", "credential", "ca", "grant", "session", "scan", "import", "ssh-config"];

impl Calling {
    /// The same in this workspace; nothing is named where it is the one that is meant without a word.
    #[must_use]
    pub fn within(self, workspace: &str) -> Self {
        match self {
            Self::Within { calling, .. } => calling.within(workspace),
            other if workspace == UNNAMED => other,
            other => Self::Within { workspace: workspace.to_owned(), calling: Box::new(other) },
        }
    }

    /// The text, with every `keyward VERB` in it as it is called here.
    pub fn pastable(&self, text: &str) -> String {
        const PROGRAM: &str = "keyward ";
        let prefix = match self {
            Self::Local => return text.to_owned(),
            Self::Within { workspace, calling } => return calling.pastable(&in_workspace(text, workspace)),
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
            let known = VERBS.contains(&verb) || (matches!(self, Self::At(_)) && LOCAL_VERBS.contains(&verb));
            let asks = matches!(self, Self::Ssh { .. }) && ON_A_TERMINAL.iter().any(|verb| after.starts_with(verb));
            match (is_word && known, asks) {
                (true, true) => out.push_str(&prefix.replacen("ssh", "ssh -t", 1)),
                (true, false) => out.push_str(&prefix),
                (false, _) => out.push_str(PROGRAM),
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

/// The text, with the workspace in every `keyward VERB WORD` that works in one and names none.
fn in_workspace(text: &str, workspace: &str) -> String {
    const PROGRAM: &str = "keyward ";
    let word = |text: &str| text.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(text.len());
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(PROGRAM) {
        let (before, after) = rest.split_at(at + PROGRAM.len());
        out.push_str(before);
        let (verb, behind) = after.split_at(word(after));
        let second = behind.strip_prefix(' ').map_or(0, |second| 1 + word(second));
        let end = verb.len() + if verb == "ssh-config" { 0 } else { second };
        let (called, left) = after.split_at(end);
        // What another call begins with, or a sentence, is not of this one.
        let own = left.split([';', ':', ',', '\n']).next().unwrap_or_default();
        out.push_str(called);
        if IN_A_WORKSPACE.contains(&verb) && (verb == "ssh-config" || second > 1) && !own.contains("--workspace") {
            out.push_str(&format!(" --workspace {workspace}"));
        }
        rest = left;
    }
    out.push_str(rest);
    out
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
        assert_eq!(ssh(2222, None, "enrol: keyward user totp enroll"), "enrol: ssh -t -p 2222 alice@BROKER user totp enroll");
        assert_eq!(
            ssh(22, None, "keyward user add x; or remove x: keyward user remove x"),
            "ssh alice@BROKER user add x; or remove x: ssh alice@BROKER user remove x"
        );
    }

    #[test]
    fn a_hint_names_the_workspace_that_it_is_for() {
        let ops = Calling::Local.within("ops");
        assert_eq!(
            ops.pastable("attach it to a host: keyward credential attach wk --host HOST"),
            "attach it to a host: keyward credential attach --workspace ops wk --host HOST"
        );
        assert_eq!(ops.pastable("see what there is: keyward host list"), "see what there is: keyward host list --workspace ops");
        let ssh = Calling::Ssh { port: 22, name: "alice".to_owned(), broker: None }.within("ops");
        assert_eq!(ssh.pastable("keyward ssh-config > f"), "ssh alice@BROKER ssh-config --workspace ops > f");
        for text in ["keyward workspace list", "keyward unlock", "keyward host list --workspace other", "keyward vault rotate", "keyward"] {
            assert_eq!(ops.pastable(text), text);
        }
        assert_eq!(Calling::Local.within("default"), Calling::Local);
        assert_eq!(ops.within("default"), Calling::Local);
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
