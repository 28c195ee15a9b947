//! What the first run makes – the owner – and what a run after a crash makes good.

use std::path::Path;

use russh::keys::PublicKey;
use russh::keys::ssh_key::HashAlg;

use super::Error;
use crate::audit::Log;
use crate::cli::place;
use crate::clock::{Clock, Time};
use crate::custody::{Custody, SessionEnd};
use crate::model::{EndReason, Event, EventName, Name, Role, User, UserId, UserKey, printable};
use crate::store::{self, Store, sessions, users};

/// The most keys that are taken over.
const MOST_KEYS: usize = 32;

/// Makes the owner if nobody is there yet: named after the operating system's user, with the public keys found in
/// `~/.ssh` and in the ssh agent. Returns what to tell the operator.
pub(super) async fn owner(store: &Store, log: &Log, clock: &Clock) -> Result<Option<String>, Error> {
    if !store.read(users::all).await?.is_empty() {
        return Ok(None);
    }
    let uid = rustix::process::getuid().as_raw();
    let account = account(uid);
    let name: Name = account.0.parse().or_else(|_| "owner".parse()).map_err(|_| Error::Lost("owner's name"))?;
    let user = User { id: clock.fresh(), name: name.clone(), role: Role::Owner, uid: Some(uid), disabled: false, created_at: clock.now() };
    let keys = keys(user.id, clock.now(), account.1.as_deref()).await;
    let count = keys.len();
    let made = log
        .change(move |c| -> Result<((), Vec<Event>), store::Error> {
            users::insert(c, &user)?;
            let mut events =
                vec![Event::new(EventName::UserAdded, "keyward").with("user", &user.name).with("role", user.role).because("first run")];
            for key in &keys {
                users::insert_key(c, key)?;
                events.push(
                    Event::new(EventName::UserKeyAdded, "keyward")
                        .with("user", &user.name)
                        .with("key", &key.fingerprint)
                        .because("first run"),
                );
            }
            Ok(((), events))
        })
        .await;
    made.map_err(Error::from)?.into_inner();
    let hint = if count == 0 {
        format!("\nno public key was found in ~/.ssh or the ssh agent: keyward user key add {name} FILE")
    } else {
        String::new()
    };
    Ok(Some(format!("first run: the owner is `{name}` (uid {uid}) with {count} public key{}{hint}", if count == 1 { "" } else { "s" })))
}

/// The name and home directory of an operating system's user: from /etc/passwd, else from the environment.
fn account(uid: u32) -> (String, Option<std::path::PathBuf>) {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = place::name_of(uid, &passwd);
    let name = found.or_else(|| place::var("USER").and_then(|u| u.into_string().ok())).unwrap_or_else(|| "owner".to_owned());
    (name, place::var("HOME").map(std::path::PathBuf::from))
}

async fn keys(user: UserId, now: Time, home: Option<&Path>) -> Vec<UserKey> {
    let mut found: Vec<PublicKey> = Vec::new();
    if let Some(entries) = home.and_then(|h| std::fs::read_dir(h.join(".ssh")).ok()) {
        let mut paths: Vec<_> = entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "pub")).collect();
        paths.sort();
        found.extend(paths.iter().filter_map(|p| PublicKey::from_openssh(std::fs::read_to_string(p).ok()?.trim()).ok()));
    }
    found.extend(agent_keys().await);
    let mut keys: Vec<UserKey> = Vec::new();
    for key in found {
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        if keys.len() >= MOST_KEYS || keys.iter().any(|k| k.fingerprint == fingerprint) {
            continue;
        }
        let comment = printable(key.comment().as_str_lossy(), 100);
        let mut bare = key;
        bare.set_comment("");
        let Ok(public_key) = bare.to_openssh() else { continue };
        keys.push(UserKey { user, fingerprint, public_key: public_key.trim().to_owned(), comment, added_at: now });
    }
    keys
}

async fn agent_keys() -> Vec<PublicKey> {
    use russh::keys::agent::{AgentIdentity, client::AgentClient};
    let Some(socket) = place::var("SSH_AUTH_SOCK") else { return Vec::new() };
    let ask = async {
        let mut agent = AgentClient::connect_uds(socket).await.ok()?;
        agent.request_identities().await.ok()
    };
    let identities = tokio::time::timeout(std::time::Duration::from_secs(2), ask).await.ok().flatten().unwrap_or_default();
    let plain = |identity| match identity {
        AgentIdentity::PublicKey { key, .. } => Some(key),
        AgentIdentity::Certificate { .. } => None,
    };
    identities.into_iter().filter_map(plain).collect()
}

/// Sessions that have no end ended with the daemon that died: this is recorded.
pub(super) async fn end_crashed(store: &Store, custody: &Custody, clock: &Clock) -> Result<(), Error> {
    let left = store.read(|c| sessions::list(c, None, None, true, u32::MAX)).await?;
    for row in left {
        let mut event =
            Event::new(EventName::SessionEnded, row.user_name.to_string()).session(row.session.id).failed("the daemon died while it ran");
        event.host = Some(row.host_name.to_string());
        event.host_id = Some(row.session.host);
        let end = SessionEnd { at: clock.now(), reason: EndReason::Crashed, exit_status: None, bytes_in: 0, bytes_out: 0 };
        custody.ended(row.session.id, event.with("end_reason", EndReason::Crashed), end).await?;
    }
    Ok(())
}
