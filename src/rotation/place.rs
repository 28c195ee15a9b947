//! One script on one host, on record before a byte of it is sent; its answer is one line behind a word that nobody can know before.
//! What else the host says is not repeated.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::timeout_at;

use super::Error;
use super::desk::Parts;
use super::script::{self, Change};
use crate::model::{Credential, Event, EventName, Login, Scope, printable};
use crate::sessions::{ExecHeard, UpkeepSite, act};

/// How long a host may take for one script.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// The most bytes that it may say meanwhile.
const KEPT: usize = 64 * 1024;

/// What became of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was done.
    Done,
    /// There was nothing to do.
    Already,
    /// Nothing was changed: the reason.
    Unchanged(String),
    /// It is not known whether something was changed: the reason.
    Unknown(String),
}

/// A word that nobody can know before.
pub(super) fn nonce(parts: &Parts) -> String {
    let id: crate::model::SessionId = parts.clock.fresh();
    id.to_string().replace('_', "")
}

/// Has the change made for `credential`'s account, over this connection.
pub(super) async fn run(parts: &Parts, site: &UpkeepSite, credential: &Credential, change: &Change) -> Result<Answer, Error> {
    let account: &Login = &credential.username;
    let command = match script::command(&site.credential.username, account) {
        Ok(command) => command,
        Err(why) => return Ok(Answer::Unchanged(why)),
    };
    let nonce = nonce(parts);
    let text = script::script(&nonce, change);
    let event = open_of(event(site, credential), credential, |event| event.with("command", &command).with("script", wording(change)));
    let proof = parts.log.commit(event, act(credential, site.host.id)).await?;
    let mut channel = match site.exec(proof, &command).await {
        Ok(channel) => channel,
        Err(why) => return Ok(Answer::Unchanged(why)),
    };
    // An account that runs nothing has closed it by now: what it ended with is read below.
    let _ = channel.input.send(Bytes::from(text)).await;
    let _ = channel.input.end().await;
    let limit = Instant::now() + PATIENCE;
    let (mut said, mut status) = (Vec::new(), None);
    let mark = format!("{nonce} R ");
    loop {
        match timeout_at(limit.into(), channel.output.next()).await {
            Err(_) => return Ok(Answer::Unknown("the host does not answer".to_owned())),
            Ok(Some(ExecHeard::Out(bytes))) if said.len() + bytes.len() <= KEPT => said.extend_from_slice(&bytes),
            Ok(Some(ExecHeard::Out(_) | ExecHeard::Err(_))) => {}
            Ok(Some(ExecHeard::Status(told))) => status = Some(told),
            Ok(None) => break,
        }
    }
    let text = String::from_utf8_lossy(&said);
    let line = text.lines().find_map(|line| line.trim_end().strip_prefix(&mark));
    let Some(line) = line else {
        return Ok(match status {
            Some(127) if command.starts_with("su ") => Answer::Unchanged(format!("the host has no su: sign in as {account} itself")),
            Some(status) => Answer::Unchanged(format!("the script did not run: the account's shell ended with status {status}")),
            None => Answer::Unknown("the connection ended before the script had answered".to_owned()),
        });
    };
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    Ok(match word {
        "done" => Answer::Done,
        "already" => Answer::Already,
        _ => Answer::Unchanged(printable(rest, 300)),
    })
}

/// The entry that stands before everything that is run for a credential.
pub(super) fn event(site: &UpkeepSite, credential: &Credential) -> Event {
    let event =
        Event::new(EventName::CredentialUpkeep, site.user.name.to_string()).host(&site.host).credential(credential).session(site.session);
    open_of(event, credential, |event| event.with("account", &credential.username))
}

/// The account and the keys of a personal credential are its owner's business, as in the entry of its session.
pub(super) fn open_of(event: Event, credential: &Credential, more: impl FnOnce(Event) -> Event) -> Event {
    match credential.scope {
        Scope::Workspace(_) => more(event),
        Scope::Personal(_) => event,
    }
}

/// What a change is, for the log.
fn wording(change: &Change) -> String {
    match change {
        Change::Add { lines } => {
            format!("add to authorized_keys: {}", lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("; "))
        }
        Change::Beside { old, new } => format!("add to authorized_keys beside {old}: {new}"),
        Change::Remove { key, .. } => format!("remove from authorized_keys: {key}"),
    }
}
