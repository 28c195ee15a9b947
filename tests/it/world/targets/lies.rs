//! Hosts that let in and then answer something else than what they were asked.

use std::path::Path;

use super::{Plan, Target};

/// What a host answers to every command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Nothing, with success, and nobody reads what is sent.
    Nothing,
    /// The command and everything that was sent.
    Echo,
    /// Lines without end.
    Endless,
    /// Lines without end on standard error.
    EndlessErrors,
    /// One line of 64 MiB.
    LongLine,
    /// The true answer, its lines back to front: markers come in a wrong order.
    Backwards,
    /// The true answer twice.
    Twice,
    /// The first 300 bytes of the true answer, with success.
    Beginning,
    /// The true answer with a NUL after each line.
    Nuls,
    /// A mebibyte of NULs, with success.
    OnlyNuls,
    /// A mebibyte of random bytes.
    Garbage,
    /// The true answer, a line each second.
    Drip,
    /// It closes its standard input at once, says one line, and stays.
    ShutEars,
    /// It reads everything and never says anything.
    Mute,
    /// It ends with 255, as ssh itself does when a connection fails.
    Status255,
    /// A signal ends it.
    Killed,
    /// It says that it runs no commands, and ends with 1.
    Refuses,
    /// Another operating system's prompt, and a complaint about each line.
    Appliance,
    /// This shell script's answer; the command is in `SSH_ORIGINAL_COMMAND`, what was sent on standard input.
    Script(String),
}

impl Lie {
    /// All but the scripts of a test.
    pub(crate) const ALL: [Self; 18] = [
        Self::Nothing,
        Self::Echo,
        Self::Endless,
        Self::EndlessErrors,
        Self::LongLine,
        Self::Backwards,
        Self::Twice,
        Self::Beginning,
        Self::Nuls,
        Self::OnlyNuls,
        Self::Garbage,
        Self::Drip,
        Self::ShutEars,
        Self::Mute,
        Self::Status255,
        Self::Killed,
        Self::Refuses,
        Self::Appliance,
    ];

    fn script(&self) -> &str {
        match self {
            Self::Nothing => "exit 0",
            Self::Echo => "printf '%s\\n' \"$SSH_ORIGINAL_COMMAND\"; exec cat",
            Self::Endless => "exec yes 'a line that never ends'",
            Self::EndlessErrors => "exec yes 'a line that never ends' >&2",
            Self::LongLine => "head -c 67108864 /dev/zero | tr '\\0' a",
            Self::Backwards => "sh -c \"$SSH_ORIGINAL_COMMAND\" | tac",
            Self::Twice => "all=$(sh -c \"$SSH_ORIGINAL_COMMAND\"); printf '%s\\n' \"$all\" \"$all\"",
            Self::Beginning => "sh -c \"$SSH_ORIGINAL_COMMAND\" | head -c 300",
            Self::Nuls => "sh -c \"$SSH_ORIGINAL_COMMAND\" | sed 's/$/\\x00/'",
            Self::OnlyNuls => "exec head -c 1048576 /dev/zero",
            Self::Garbage => "exec head -c 1048576 /dev/urandom",
            Self::Drip => "sh -c \"$SSH_ORIGINAL_COMMAND\" | while IFS= read -r line; do printf '%s\\n' \"$line\"; sleep 1; done",
            Self::ShutEars => "exec <&-; echo here; exec sleep 600",
            Self::Mute => "cat >/dev/null; exec sleep 600",
            Self::Status255 => "cat >/dev/null; exit 255",
            Self::Killed => "cat >/dev/null; kill -KILL $$",
            Self::Refuses => "echo 'This service allows sftp connections only.'; exit 1",
            Self::Appliance => {
                "printf 'Switch> '; while IFS= read -r line; do printf '%% Invalid input detected at marker.\\r\\nSwitch> '; done"
            }
            Self::Script(script) => script,
        }
    }
}

impl Target {
    /// A Debian whose account `liar` (a key, no rights) gets this answer to whatever it asks.
    #[track_caller]
    pub(crate) fn lies(dir: &Path, lie: &Lie) -> Self {
        let mut plan = Plan::debian(dir);
        let key = plan.key("key");
        plan.keyed("liar", "/bin/sh", &key);
        plan.layer.file("/usr/local/lib/keyward/lie", 0o755, format!("#!/bin/sh\n{}\n", lie.script()));
        plan.lines.push_str("ForceCommand exec /usr/local/lib/keyward/lie\n");
        plan.start()
    }

    /// A Debian that lets `visitor` (a key, no rights) in and opens no session.
    #[track_caller]
    pub(crate) fn no_session(dir: &Path) -> Self {
        let mut plan = Plan::debian(dir);
        let key = plan.key("key");
        plan.keyed("visitor", "/bin/sh", &key);
        plan.lines.push_str("MaxSessions 0\n");
        plan.start()
    }

    /// The same host with another lie from now on.
    pub(crate) fn now_lies(&self, lie: &Lie) {
        let script = format!("#!/bin/sh\n{}\n", lie.script());
        // In place of the old file, so that a running one keeps its text.
        let (new, file) = (self.place.path("/usr/local/lib/keyward/lie.new"), self.place.path("/usr/local/lib/keyward/lie"));
        std::fs::write(&new, script).expect("the lie");
        crate::world::open_to_all(&new, 0o755);
        std::fs::rename(new, file).expect("the lie");
    }
}
