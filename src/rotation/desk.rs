//! The desk: tries a credential on a host, says what a rotation would do, and sees to it that two rotations of one credential never
//! run at once. Decides nothing about rights: who may is said by whoever asks, what is granted by custody.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Error;
use crate::audit::Log;
use crate::clock::{Clock, Time};
use crate::custody::{Custody, Purpose};
use crate::model::{Action, Credential, CredentialId, CredentialKind, Event, EventName, Name, User};
use crate::sessions::{Gates, Rooms, Steps, Upkeep, UpkeepSite, upkeep};
use crate::store::{self, Store, credentials};

/// How long refusals of a credential are remembered by `credential test`.
const REMEMBERED: Duration = Duration::from_secs(600);

/// What the desk works with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// How connections are opened.
    pub rooms: Rooms,
    /// The ledger.
    pub store: Store,
    /// The witness.
    pub log: Log,
    /// The way to the vault.
    pub custody: Custody,
    /// The time.
    pub clock: Clock,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) parts: Parts,
    pub(super) running: Mutex<HashSet<CredentialId>>,
    tried: Mutex<HashMap<CredentialId, (Time, Arc<Gates>)>>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
    /// Where rotations run: a person who goes away does not cut one in the middle of a step.
    pub(super) runtime: Handle,
}

/// The desk. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Rotations(pub(super) Arc<Inner>);

/// Who asks.
#[derive(Clone, Debug)]
pub struct Who {
    /// The person.
    pub user: User,
    /// The fingerprint of the key that signed them in; `None` where the kernel vouches for a uid.
    pub key: Option<String>,
    /// From where.
    pub client: SocketAddr,
    /// The workspace.
    pub workspace: Name,
}

/// How a trial went.
#[derive(Clone, Debug)]
pub struct Tested {
    /// The host.
    pub host: Name,
    /// Step by step.
    pub steps: Steps,
}

/// What a rotation would do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is done on each host, in words.
    pub what: Vec<String>,
    /// The hosts, by name.
    pub hosts: Vec<PlannedHost>,
}

/// A host of a plan.
#[derive(Clone, Debug)]
pub struct PlannedHost {
    /// Its name.
    pub name: Name,
    /// Its address.
    pub address: String,
}

impl Rotations {
    /// A desk over these parts, whose rotations run on this runtime.
    pub fn new(parts: Parts, runtime: Handle) -> Self {
        Self(Arc::new(Inner {
            parts,
            running: Mutex::default(),
            tried: Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            runtime,
        }))
    }

    /// Lets no further step begin. What is left is gone on with later.
    pub fn halt(&self) {
        self.0.stop.cancel();
    }

    /// Waits until the steps that run have ended.
    pub async fn stop(&self) {
        self.halt();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.0.parts
    }

    /// Signs in to the host with the credential and does nothing else.
    ///
    /// # Errors
    /// [`Error::Barred`]; [`Error::Custody`] if it is not granted, not attached, or cannot be recorded: then nothing was dialled.
    pub async fn test(&self, who: Who, credential: Credential, host: Name) -> Result<Tested, Error> {
        let desk = self.clone();
        self.whole(async move { desk.try_out(&who, &credential, &host).await }).await
    }

    /// Runs to its end also if whoever waits for it goes away: what was begun gets its end recorded.
    pub(super) async fn whole<T: Send + 'static>(&self, work: impl Future<Output = Result<T, Error>> + Send + 'static) -> Result<T, Error> {
        self.0.tasks.spawn_on(work, &self.0.runtime).await.map_err(|_| Error::Broken)?
    }

    pub(super) async fn try_out(&self, who: &Who, credential: &Credential, host: &Name) -> Result<Tested, Error> {
        let gates = self.gates(credential.id);
        if gates.is_barred(credential.id) {
            return Err(Error::Barred(credential.name.clone()));
        }
        let (steps, _) = self.enter(who, host, Purpose::Try(credential.id), None, &gates, |_| async {}).await?;
        let mut event = Event::new(EventName::CredentialTested, who.user.name.to_string()).credential(credential).session(steps.session);
        event.host = Some(host.to_string());
        for step in &steps.steps {
            event = event.count(&format!("{}_ms", step.name.as_str()), u64::try_from(step.took.as_millis()).unwrap_or(u64::MAX));
        }
        event = match steps.failure() {
            Some((step, why)) => event.with("step", step.as_str()).failed(why.line()),
            None => event.with("method", steps.method.unwrap_or_default()),
        };
        self.parts().log.record(event).await?;
        Ok(Tested { host: host.clone(), steps })
    }

    /// The gates of a credential, and with them what is known of its refusals.
    fn gates(&self, id: CredentialId) -> Arc<Gates> {
        let now = self.parts().clock.now();
        let Ok(mut tried) = self.0.tried.lock() else { return Arc::default() };
        tried.retain(|_, (since, _)| now.since(*since) < REMEMBERED);
        Arc::clone(&tried.entry(id).or_insert_with(|| (now, Arc::default())).1)
    }

    /// What is known of a credential's refusals counts no more: it has another secret.
    pub(super) fn forget_refusals(&self, id: CredentialId) {
        if let Ok(mut tried) = self.0.tried.lock() {
            tried.remove(&id);
        }
    }

    /// Signs in for a purpose and has work done there.
    pub(super) async fn enter<T, W: Future<Output = T>>(
        &self,
        who: &Who,
        host: &Name,
        purpose: Purpose,
        needs: Option<Action>,
        gates: &Gates,
        work: impl FnOnce(UpkeepSite) -> W,
    ) -> Result<(Steps, Option<T>), Error> {
        let wish = Upkeep {
            user: who.user.id,
            key: who.key.clone(),
            workspace: who.workspace.clone(),
            host: host.clone(),
            purpose,
            needs,
            client: who.client,
            cancel: CancellationToken::new(),
        };
        Ok(Box::pin(upkeep(&self.parts().rooms, &wish, gates, work)).await?)
    }

    /// What a rotation would do, without doing any of it.
    ///
    /// # Errors
    /// [`Error::Unfit`] for a kind that is not rotated, or one that no host takes.
    pub async fn plan(&self, credential: &Credential) -> Result<Plan, Error> {
        let id = credential.id;
        let hosts = self
            .parts()
            .store
            .read(move |c| -> Result<Vec<PlannedHost>, store::Error> {
                let mut all = Vec::new();
                for (host, name) in credentials::hosts_of(c, id)? {
                    let address = store::hosts::by_id(c, host)?.map(|h| h.address.to_string()).unwrap_or_default();
                    all.push(PlannedHost { name, address });
                }
                Ok(all)
            })
            .await
            .map_err(crate::custody::Error::from)?;
        if hosts.is_empty() {
            return Err(Error::unfit(
                format!("credential {} is attached to no host", credential.name),
                format!(
                    "attach it: keyward credential attach {} --host HOST; or give it a new secret: keyward credential edit",
                    credential.name
                ),
            ));
        }
        let login = &credential.username;
        let what = match credential.kind {
            CredentialKind::Key(_) => vec![
                "makes a new key pair of the same type in the vault".to_owned(),
                format!("on each host, signed in as {login} with the old key: puts the new one beside it into ~/.ssh/authorized_keys"),
                "signs in to each host with the new key".to_owned(),
                "when every host took it: puts the new key in force here".to_owned(),
                "on each host, signed in with the new key: takes the old one out of ~/.ssh/authorized_keys, and signs in once more"
                    .to_owned(),
            ],
            CredentialKind::Password => vec![
                "makes a new password of 28 characters in the vault".to_owned(),
                format!("on each host, signed in as {login}: {}", super::passwords::way(login)),
                "signs in to each host with the new password; from then on it is used there".to_owned(),
                "when every host took it: puts it in force here".to_owned(),
            ],
            CredentialKind::Certificate => {
                return Err(Error::unfit(
                    format!("credential {} has no secret of its own: the workspace's certificate authority signs it in", credential.name),
                    "rotate the authority's key: keyward ca rotate",
                ));
            }
            CredentialKind::Reference(_) => {
                return Err(Error::unfit(
                    format!("credential {} has no secret of its own that could be rotated ({})", credential.name, credential.kind),
                    "rotate it where it is kept",
                ));
            }
        };
        Ok(Plan { what, hosts })
    }
}
