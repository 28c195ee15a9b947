//! Which sessions live: to be found, watched and ended. Knows nothing of wires.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::exec::Opening;
use super::run::Run;
use crate::authz::Reach;
use crate::clock::Time;
use crate::model::{CredentialId, EndReason, HostId, Login, Name, SessionId, UserId};
use crate::relay::Counters;

/// Runs that may wait for one session to take them up.
const MOST_RUNS: usize = 16;

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
    /// The account on the host.
    pub login: Login,
    /// The host's name when the session began.
    pub host_name: Name,
    /// Its connection to the host, once it stands.
    pub connection: Option<LiveConnection>,
}

/// The standing connection of a session, as others may use it.
#[derive(Clone, Debug)]
pub struct LiveConnection {
    runs: mpsc::Sender<Run>,
    openings: mpsc::Sender<Opening>,
    /// What the person may do on it now.
    pub reach: watch::Receiver<Reach>,
    /// Cancelled when the session begins to end.
    pub over: CancellationToken,
    /// The fingerprint of the key that the host proved.
    pub host_key: String,
}

impl LiveConnection {
    /// Hands over a command to run on it.
    ///
    /// # Errors
    /// The run, if the session has ended or has too many waiting.
    #[allow(clippy::result_large_err)] // what was not taken comes back
    pub fn run(&self, run: Run) -> Result<(), Run> {
        self.runs.try_send(run).map_err(|e| match e {
            mpsc::error::TrySendError::Full(run) | mpsc::error::TrySendError::Closed(run) => run,
        })
    }

    /// Asks for a channel of a scan. `false`: the session has ended or has too many waiting.
    pub(super) fn open(&self, opening: Opening) -> bool {
        self.openings.try_send(opening).is_ok()
    }
}

/// Who enters, and where to.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// The session.
    pub id: SessionId,
    /// The person.
    pub user: UserId,
    /// The host.
    pub host: HostId,
    /// Its name.
    pub host_name: Name,
    /// With which credential.
    pub credential: CredentialId,
    /// Its account on the host.
    pub login: Login,
    /// From where.
    pub client: String,
    /// Since when.
    pub started_at: Time,
}

struct Entry {
    user: UserId,
    host: HostId,
    credential: CredentialId,
    client: String,
    started_at: Time,
    login: Login,
    host_name: Name,
    connection: Option<LiveConnection>,
    counters: Arc<Counters>,
    end: watch::Sender<Option<EndReason>>,
}

/// All living sessions. Clones are the same list.
#[derive(Clone, Default)]
pub struct Registry {
    all: Arc<Mutex<HashMap<SessionId, Entry>>>,
    left: Arc<Notify>,
    /// Rings when a connection stands, for those who wait for one.
    stood: watch::Sender<u64>,
}

/// A session's own place in the list; it leaves when this is dropped.
#[derive(Debug)]
pub struct Place {
    registry: Registry,
    id: SessionId,
    /// What it counts.
    pub counters: Arc<Counters>,
    end: watch::Receiver<Option<EndReason>>,
    over: CancellationToken,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registry({} live)", self.count())
    }
}

impl Registry {
    /// Enters a session.
    pub fn enter(&self, entrance: Entrance) -> Place {
        let Entrance { id, user, host, host_name, credential, login, client, started_at } = entrance;
        let counters = Arc::new(Counters::default());
        let (end, ended) = watch::channel(None);
        if let Ok(mut all) = self.all.lock() {
            let counters = Arc::clone(&counters);
            all.insert(id, Entry { user, host, credential, client, started_at, login, host_name, connection: None, counters, end });
        }
        Place { registry: self.clone(), id, counters, end: ended, over: CancellationToken::new() }
    }

    /// Rings each time a connection stands.
    pub fn standing(&self) -> watch::Receiver<u64> {
        self.stood.subscribe()
    }

    /// A living session.
    pub fn find(&self, id: SessionId) -> Option<Live> {
        self.live().into_iter().find(|l| l.id == id)
    }

    /// The living sessions, oldest first.
    pub fn live(&self) -> Vec<Live> {
        let Ok(all) = self.all.lock() else { return Vec::new() };
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
                login: e.login.clone(),
                host_name: e.host_name.clone(),
                connection: e.connection.clone(),
            })
            .collect();
        out.sort_by_key(|l| l.id);
        out
    }

    /// How many live.
    pub fn count(&self) -> usize {
        self.all.lock().map_or(0, |all| all.len())
    }

    /// Waits until none lives.
    pub async fn empty(&self) {
        loop {
            let left = self.left.notified();
            if self.count() == 0 {
                return;
            }
            left.await;
        }
    }

    /// Tells a session to end. `false`: it does not live.
    pub fn end(&self, id: SessionId, why: EndReason) -> bool {
        self.all.lock().is_ok_and(|all| all.get(&id).is_some_and(|e| e.end.send(Some(why)).is_ok()))
    }

    /// Tells every session to end.
    pub fn end_all(&self, why: EndReason) {
        if let Ok(all) = self.all.lock() {
            for entry in all.values() {
                let _ = entry.end.send(Some(why));
            }
        }
    }
}

impl Place {
    /// The connection stands: from now on runs and channels of scans are taken. Returns where they come in.
    pub(super) fn stands(&self, reach: watch::Receiver<Reach>, host_key: String) -> (mpsc::Receiver<Run>, mpsc::Receiver<Opening>) {
        let (runs, taken) = mpsc::channel(MOST_RUNS);
        let (openings, asked) = mpsc::channel(MOST_RUNS);
        if let Ok(mut all) = self.registry.all.lock()
            && let Some(entry) = all.get_mut(&self.id)
        {
            entry.connection = Some(LiveConnection { runs, openings, reach, over: self.over.clone(), host_key });
        }
        self.registry.stood.send_modify(|n| *n = n.wrapping_add(1));
        (taken, asked)
    }

    /// The connection is about to end: nobody may use it any more.
    pub(super) fn falls(&self) {
        self.over.cancel();
        if let Ok(mut all) = self.registry.all.lock()
            && let Some(entry) = all.get_mut(&self.id)
        {
            entry.connection = None;
        }
    }

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
        self.over.cancel();
        if let Ok(mut all) = self.registry.all.lock() {
            all.remove(&self.id);
        }
        self.registry.left.notify_waiters();
    }
}

#[cfg(test)]
impl Place {
    /// As if a session's connection stood: for the tests of those who use one.
    pub(crate) fn stands_for_a_test(&self, reach: watch::Receiver<Reach>) -> mpsc::Receiver<Run> {
        self.stands(reach, String::new()).0
    }

    /// As if it fell.
    pub(crate) fn falls_for_a_test(&self) {
        self.falls();
    }
}
