//! Host keys that a host announces and proves after the sign-in are pinned beside the one that proved the connection, and the
//! key that was replaced is let go. Holds up no session, and trusts nothing that was not proved.

use super::open::Rooms;
use crate::custody::Learned;
use crate::model::{Event, EventName, Host, HostKey, SessionId, User};
use crate::target::{Announcement, Connection};

/// Listens for the host's announcement beside the session. The connection was proven by a key that was pinned before it.
pub(super) fn learn(rooms: &Rooms, session: SessionId, user: &User, host: &Host, connection: &mut Connection) {
    let Some(announced) = connection.announced() else { return };
    let used = connection.key().fingerprint.clone();
    let (rooms, user, host) = (rooms.clone(), user.clone(), host.clone());
    let known: Vec<String> = host.host_keys.iter().map(|key| key.fingerprint.clone()).collect();
    #[allow(clippy::disallowed_methods)] // it ends with its connection; what it loses by a panic, the next connection learns
    tokio::spawn(async move {
        let Some(found) = announced.proved(&known).await else { return };
        if let Err(error) = keep(&rooms, session, &user, &host, &used, found).await {
            tracing::warn!(target: "keyward::sessions", %session, host = %host.name, "host keys that were announced were not pinned: {error}");
        }
    });
}

async fn keep(
    rooms: &Rooms,
    session: SessionId,
    user: &User,
    host: &Host,
    used: &str,
    found: Announcement,
) -> Result<(), crate::custody::Error> {
    let event = |name| Event::new(name, user.name.to_string()).host(host).session(session);
    for (key, why) in &found.unproved {
        let event = event(EventName::HostKeyUnproved).denied(why.clone()).with("fingerprint", &key.fingerprint);
        rooms.log.record(event.with("host_key", used)).await?;
    }
    let now = rooms.clock.now();
    let fresh = found.proved.into_iter().map(|key| HostKey {
        public_key: key.public_key,
        fingerprint: key.fingerprint,
        source: rotated_from(used),
        pinned_at: now,
    });
    // The key that vouched for the one in use goes once the host announces it no more: never the one in use, and never another.
    let replaced = host.host_keys.iter().find(|key| key.fingerprint == used).and_then(|key| key.source.strip_prefix(FROM));
    let replaced = replaced.filter(|old| *old != used && found.all.contains(used) && !found.all.contains(*old)).map(str::to_owned);
    match rooms.custody.learn_host_keys(host.id, used, fresh.collect(), replaced.as_deref(), event).await? {
        Learned::Nothing | Learned::Pinned => Ok(()),
        Learned::PutOff(owners) => {
            let why = "a personal credential that is attached there is sealed, and only its owner can bind it anew";
            let event = event(EventName::HostKeysPutOff).because(why).count("owners", u64::try_from(owners).unwrap_or(u64::MAX));
            rooms.log.record(event.with("host_key", used)).await?;
            Ok(())
        }
    }
}

/// What a pin's source begins with that was learned; the key that vouched for it follows.
const FROM: &str = "rotation from ";

fn rotated_from(used: &str) -> String {
    format!("{FROM}{used}")
}
