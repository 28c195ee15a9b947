//! Which sessions live: to be found, watched and ended. Knows nothing of wires.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, watch};

use crate::clock::Time;
use crate::model::{CredentialId, EndReason, HostId, SessionId, UserId};
use crate::relay::Counters;

/// A living session as it is listed.
#[derive(Clone, Debug)]
pub struct Live {
    /// Its id.
    pub id: SessionId,
    /// Who opened it.
    pub user: UserId,
    /// To which host.
    pub host: HostId,
    /// With which credential.
    pub credential: CredentialId,
    /// From where.
    pub client: String,
    /// Since when.
    pub started_at: Time,
    /// Channels that are open.
    pub channels: usize,
    /// Bytes from the client to the host so far.
    pub bytes_in: u64,
    /// Bytes from the host to the client so far.
    pub bytes_out: u64,
}

struct Entry {
    user: UserId,
    host: HostId,
    credential: CredentialId,
    client: String,
    started_at: Time,
    counters: Arc<Counters>,
    end: watch::Sender<Option<EndReason>>,
}

/// All living sessions. Clones are the same list.
#[derive(Clone, Default)]
pub struct Registry(Arc<Mutex<HashMap<SessionId, Entry>>>, Arc<Notify>);

/// A session's own place in the list; it leaves when this is dropped.
#[derive(Debug)]
pub struct Place {
    registry: Registry,
    id: SessionId,
    /// What it counts.
    pub counters: Arc<Counters>,
    end: watch::Receiver<Option<EndReason>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registry({} live)", self.count())
    }
}

impl Registry {
    /// Enters a session.
    pub fn enter(&self, id: SessionId, user: UserId, host: HostId, credential: CredentialId, client: String, started_at: Time) -> Place {
        let counters = Arc::new(Counters::default());
        let (end, ended) = watch::channel(None);
        if let Ok(mut all) = self.0.lock() {
            all.insert(id, Entry { user, host, credential, client, started_at, counters: Arc::clone(&counters), end });
        }
        Place { registry: self.clone(), id, counters, end: ended }
    }

    /// The living sessions, oldest first.
    pub fn live(&self) -> Vec<Live> {
        let Ok(all) = self.0.lock() else { return Vec::new() };
        let mut out: Vec<Live> = all
            .iter()
            .map(|(id, e)| Live {
                id: *id,
                user: e.user,
                host: e.host,
                credential: e.credential,
                client: e.client.clone(),
                started_at: e.started_at,
                channels: e.counters.channels.load(Ordering::Relaxed),
                bytes_in: e.counters.bytes_in.load(Ordering::Relaxed),
                bytes_out: e.counters.bytes_out.load(Ordering::Relaxed),
            })
            .collect();
        out.sort_by_key(|l| l.id);
        out
    }

    /// How many live.
    pub fn count(&self) -> usize {
        self.0.lock().map_or(0, |all| all.len())
    }

    /// Waits until none lives.
    pub async fn empty(&self) {
        loop {
            let left = self.1.notified();
            if self.count() == 0 {
                return;
            }
            left.await;
        }
    }

    /// Tells a session to end. `false`: it does not live.
    pub fn end(&self, id: SessionId, why: EndReason) -> bool {
        self.0.lock().is_ok_and(|all| all.get(&id).is_some_and(|e| e.end.send(Some(why)).is_ok()))
    }

    /// Tells every session to end.
    pub fn end_all(&self, why: EndReason) {
        if let Ok(all) = self.0.lock() {
            for entry in all.values() {
                let _ = entry.end.send(Some(why));
            }
        }
    }
}

impl Place {
    /// Waits until the session is told to end.
    pub async fn told_to_end(&mut self) -> EndReason {
        let why = self.end.wait_for(Option::is_some).await.ok().and_then(|why| *why);
        match why {
            Some(why) => why,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Ok(mut all) = self.registry.0.lock() {
            all.remove(&self.id);
        }
        self.registry.1.notify_waiters();
    }
}
