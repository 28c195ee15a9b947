//! What the tools take, typed; and how the words of a client become a draft for the desk. Decides nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use rmcp::model::JsonObject;
use rmcp::schemars::{self, JsonSchema};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::{Pages, Refusal};
use super::quote::quote;
use crate::approvals::Draft;
use crate::model::{Name, ProposalId, SessionId};

/// The longest that one call waits, in seconds.
pub(super) const WAIT: u64 = 300;
/// How long `await_result` waits if it is not said, in seconds.
const WAIT_DEFAULT: u64 = 60;
/// The most bytes of each stream in one answer.
const PAGE: u64 = 128 * 1024;
/// The same if it is not said.
const PAGE_DEFAULT: u64 = 32 * 1024;

/// Reads what a tool was given.
pub(super) fn read<T: DeserializeOwned>(arguments: Option<JsonObject>) -> Result<T, Refusal> {
    serde_json::from_value(Value::Object(arguments.unwrap_or_default()))
        .map_err(|e| Refusal::new(format!("the arguments do not fit: {e}"), "look at the tool's input schema"))
}

/// Nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Of one host, or of all.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OfHost {
    /// Only of this host.
    pub(super) host: Option<String>,
}

/// A host, and which facts of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FactsOf {
    /// Its name, as `list_hosts` has it.
    pub(super) host: String,
    /// Which groups: `os`, `system`, `packages`, `listening`, `services`, `users`, `groups`, `sudoers`, `authorized_keys`, `sshd`, `mounts`,
    /// `modules`, `cron`, `timers`, `sysctl`. None: `os`, `system`, `listening`, `users`, and how much there is of the others.
    #[serde(default)]
    pub(super) groups: Vec<String>,
}

/// A proposal.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OneProposal {
    /// Its id, as `propose_command` answered it: `prp_…`.
    pub(super) id: String,
}

/// A command.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// On which host, on the newest connection that your person has to it. Or give `connection`.
    pub(super) host: Option<String>,
    /// On which connection, as `list_connections` has it: `ses_…`.
    pub(super) connection: Option<String>,
    /// The command as a program and its words; the broker quotes them for the host's shell, so that nothing in them is
    /// expanded. Preferred where no shell is needed. Give this or `command`.
    pub(super) argv: Option<Vec<String>>,
    /// The command as a line for the host's shell; the person sees and approves these very bytes. Give this or `argv`.
    pub(super) command: Option<String>,
    /// What the command reads on standard input, as text. It is part of what is approved.
    pub(super) stdin: Option<String>,
    /// The same in base64, for bytes that are no text.
    pub(super) stdin_base64: Option<String>,
    /// Variables to set; a host may not accept them.
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    /// How long it may run, in seconds; without it, as long as the broker lets commands run.
    #[schemars(range(min = 1))]
    pub(super) timeout_s: Option<u64>,
    /// Why you would like to run it. The person sees it as your claim, beside the command itself.
    pub(super) reason: Option<String>,
}

/// A command, and whether to wait for it.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Propose {
    /// The command.
    #[schemars(flatten)]
    pub(super) step: Step,
    /// Wait so many seconds (at most 300) for its end, as `await_result` does; without it, the answer comes at once.
    #[schemars(range(max = 300))]
    pub(super) wait_s: Option<u64>,
}

/// Commands that run one after the other.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProposePlan {
    /// The host of the steps that name none.
    pub(super) host: Option<String>,
    /// The connection of the steps that name neither host nor connection.
    pub(super) connection: Option<String>,
    /// The reason of the steps that have none.
    pub(super) reason: Option<String>,
    /// The steps, in order.
    pub(super) steps: Vec<Step>,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Until {
    /// That it is decided, or has ended undecided.
    Decision,
    /// That there is output behind the offsets that were given, or that it has ended.
    Output,
    /// That nothing more will happen.
    #[default]
    End,
}

/// A proposal, how long to wait for it, and which part of its output is wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Await {
    /// Its id, as `propose_command` answered it: `prp_…`.
    pub(super) id: String,
    /// Wait at most so many seconds; 60 without it, 300 at most, 0 answers at once. Then call again.
    #[schemars(range(max = 300))]
    pub(super) wait_s: Option<u64>,
    /// What to wait for.
    #[serde(default)]
    pub(super) until: Until,
    /// Where to read standard output from: 0, then the last answer's `stdout.next_offset`.
    #[serde(default)]
    pub(super) stdout_offset: u64,
    /// Where to read standard error from: 0, then the last answer's `stderr.next_offset`.
    #[serde(default)]
    pub(super) stderr_offset: u64,
    /// At most so many bytes of each of the two; 32768 without it, 131072 at most.
    #[schemars(range(max = 131_072))]
    pub(super) max_bytes: Option<u64>,
}

impl Propose {
    /// Reads what the tool was given. By hand, because serde cannot refuse unknown fields beside flattened ones.
    pub(super) fn read(arguments: Option<JsonObject>) -> Result<Self, Refusal> {
        let mut arguments = arguments.unwrap_or_default();
        let wait_s = match arguments.remove("wait_s") {
            None | Some(Value::Null) => None,
            Some(wait) => Some(wait.as_u64().ok_or_else(|| Refusal::new("`wait_s` is no number of seconds", "write 0 to 300"))?),
        };
        Ok(Self { step: read(Some(arguments))?, wait_s })
    }
}

impl Await {
    /// How long.
    pub(super) fn wait(&self) -> Duration {
        wait(self.wait_s.unwrap_or(WAIT_DEFAULT))
    }

    /// Which part.
    pub(super) fn pages(&self) -> Pages {
        let most = self.max_bytes.unwrap_or(PAGE_DEFAULT).min(PAGE);
        Pages { stdout: self.stdout_offset, stderr: self.stderr_offset, most: usize::try_from(most).unwrap_or(0) }
    }
}

/// The first part of both streams.
pub(super) fn first_pages() -> Pages {
    Pages { stdout: 0, stderr: 0, most: usize::try_from(PAGE_DEFAULT).unwrap_or(0) }
}

/// So many seconds, within the bound.
pub(super) fn wait(seconds: u64) -> Duration {
    Duration::from_secs(seconds.min(WAIT))
}

/// Reads a proposal's id.
pub(super) fn proposal_id(text: &str) -> Result<ProposalId, Refusal> {
    text.parse().map_err(|e| Refusal::new(format!("{e}"), "take the `id` that propose_command answered"))
}

/// Reads a host's name.
pub(super) fn host_name(text: &str) -> Result<Name, Refusal> {
    text.parse().map_err(|e| Refusal::new(format!("`{text}` is no host's name: {e}"), "take a name from list_hosts"))
}

impl Step {
    /// The connection that is meant.
    pub(super) fn session(&self) -> Result<Option<SessionId>, Refusal> {
        let hint = "take an `id` from list_connections";
        self.connection.as_deref().map(|id| id.parse().map_err(|e| Refusal::new(format!("{e}"), hint))).transpose()
    }

    /// The bytes of the command.
    fn command(&self) -> Result<Vec<u8>, Refusal> {
        match (&self.argv, &self.command) {
            (Some(argv), None) => quote(argv).map_err(|why| Refusal::new(why, r#"for instance "argv": ["df", "-h"]"#)),
            (None, Some(command)) => Ok(command.clone().into_bytes()),
            (Some(_), Some(_)) => Err(Refusal::new("both `argv` and `command` were given", "give one of the two")),
            (None, None) => Err(Refusal::new("no command was given", r#"give "argv": ["df", "-h"] or "command": "df -h""#)),
        }
    }

    /// What the command reads.
    fn stdin(&self) -> Result<Vec<u8>, Refusal> {
        match (&self.stdin, &self.stdin_base64) {
            (None, None) => Ok(Vec::new()),
            (Some(text), None) => Ok(text.clone().into_bytes()),
            (None, Some(base64)) => Base64::decode_vec(base64).map_err(|_| {
                Refusal::new("`stdin_base64` is no base64", "use the standard alphabet with padding (RFC 4648 §4), or give `stdin`")
            }),
            (Some(_), Some(_)) => Err(Refusal::new("both `stdin` and `stdin_base64` were given", "give one of the two")),
        }
    }

    /// A draft for this host and connection.
    pub(super) fn draft(self, host: Name, session: Option<SessionId>) -> Result<Draft, Refusal> {
        let (command, stdin) = (self.command()?, self.stdin()?);
        Ok(Draft {
            session,
            stdin,
            env: self.env.into_iter().collect(),
            timeout: self.timeout_s.map(Duration::from_secs),
            claim: self.reason,
            ..Draft::new(host, command)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(json: Value) -> Result<Step, Refusal> {
        let Value::Object(object) = json else { panic!("an object") };
        read(Some(object))
    }

    fn draft(json: Value) -> Result<Draft, Refusal> {
        step(json)?.draft("web-1".parse().unwrap(), None)
    }

    #[test]
    fn a_command_is_taken_in_both_forms() {
        let shell =
            draft(serde_json::json!({ "command": "df -h | head", "stdin": "x", "env": { "TZ": "UTC" }, "timeout_s": 5, "reason": "why" }))
                .unwrap();
        assert_eq!((shell.command.as_slice(), shell.stdin.as_slice()), (&b"df -h | head"[..], &b"x"[..]));
        assert_eq!(
            (shell.env, shell.timeout, shell.claim.as_deref()),
            (vec![("TZ".into(), "UTC".into())], Some(Duration::from_secs(5)), Some("why"))
        );
        let argv = draft(serde_json::json!({ "argv": ["grep", "a b", "$x"], "stdin_base64": "/wA=" })).unwrap();
        assert_eq!((argv.command.as_slice(), argv.stdin.as_slice()), (&b"grep 'a b' '$x'"[..], &[0xff, 0][..]));
    }

    #[test]
    fn what_is_not_meant_is_refused() {
        for bad in [
            serde_json::json!({}),
            serde_json::json!({ "command": "a", "argv": ["a"] }),
            serde_json::json!({ "argv": [] }),
            serde_json::json!({ "command": "a", "stdin": "a", "stdin_base64": "YQ==" }),
            serde_json::json!({ "command": "a", "stdin_base64": "Y" }),
            serde_json::json!({ "command": 1 }),
            serde_json::json!({ "command": "a", "shell": "bash" }),
        ] {
            assert!(draft(bad.clone()).is_err(), "{bad}");
        }
        assert!(step(serde_json::json!({ "connection": "prp_1" })).unwrap().session().is_err());
    }

    #[test]
    fn waits_and_pages_are_bounded() {
        let all: Await = serde_json::from_value(serde_json::json!({ "id": "x", "wait_s": 9999, "max_bytes": 99_999_999 })).unwrap();
        assert_eq!((all.wait(), all.pages().most, all.until), (Duration::from_secs(300), 131_072, Until::End));
        let none: Await = serde_json::from_value(serde_json::json!({ "id": "x" })).unwrap();
        assert_eq!((none.wait(), none.pages().most), (Duration::from_secs(60), 32_768));
    }
}
