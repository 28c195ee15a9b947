//! The whole room against a real ledger and a real audit log.

mod authority;
mod lease;
mod open;
mod reborn;
mod references;
mod scrub;
mod seal;
mod signin;
mod sudo;

use std::path::Path;

use crate::audit::{Audited, Log};
use crate::authz::{self, Decision, Facts, Permit, Request};
use crate::clock::{Clock, Time};
use crate::model::*;
use crate::secret::Secret;
use crate::store::credentials::{self, KekRow};
use crate::store::{self, Store, hosts, users};
use crate::vault::{Config, Draft, Error, Form, SealedCredential, Vault};

/// Takes from a database what came after schema 4.
pub(super) const AS_SCHEMA_4: &str = "DROP TABLE grant_factors; DROP TABLE recovery_codes; DROP TABLE second_factors; \
    DROP TABLE user_ca_revocations; DROP TABLE user_cas; DROP TABLE host_ways; DROP TABLE session_ways; \
    DROP TABLE session_files; DROP TABLE secret_changes; DROP TABLE workspace_defaults; DROP TABLE workspaces; \
    DROP INDEX sessions_by_workspace; ALTER TABLE sessions DROP COLUMN workspace; DROP TABLE certificate_terms; DROP TABLE authorities; \
    DROP TABLE rotation_hosts; DROP TABLE rotations; DROP TABLE slots; \
    DROP TRIGGER kek_made; DROP TRIGGER kek_gone; DROP TABLE kek_ages; DROP TABLE roots; DROP TABLE shreds; DROP TABLE host_cas; ";
/// The same for schema 4 itself.
pub(super) const AS_SCHEMA_3: &str = "DROP TABLE scan_refs; DROP TABLE scan_texts; DROP TABLE scan_hosts; DROP TABLE scans; ";

pub(super) const PIN: &str = "SHA256:the-pinned-key";

/// A broker's ledger with one person and one host.
pub(super) struct World {
    pub(super) dir: tempfile::TempDir,
    pub(super) store: Store,
    pub(super) log: Log,
    pub(super) clock: Clock,
    pub(super) vault: Vault,
    pub(super) user: User,
    pub(super) host: Host,
}

pub(super) fn open_store(dir: &Path) -> Store {
    Store::open(store::Config { path: dir.join("k.db"), reserve: 0, patience: std::time::Duration::from_secs(20) }).unwrap()
}

pub(super) fn config(dir: &Path) -> Config {
    Config { root_key: dir.join("etc/root.key") }
}

pub(super) fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

pub(super) fn workspace() -> Scope {
    Scope::Workspace("default".parse().unwrap())
}

impl World {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::simulated(Time::parse("2026-11-23T12:00:00Z").unwrap());
        let store = open_store(dir.path());
        let vault = Vault::open(&store, config(dir.path()), clock.clone()).await.unwrap();
        let log = Log::new(store.clone(), clock.clone());
        let user = User {
            id: clock.fresh(),
            name: "alice".parse().unwrap(),
            role: Role::Member,
            uid: None,
            disabled: false,
            created_at: clock.now(),
        };
        let pin = HostKey {
            public_key: "ssh-ed25519 AAAA".to_owned(),
            fingerprint: PIN.to_owned(),
            source: "given".to_owned(),
            pinned_at: clock.now(),
        };
        let host = Host {
            id: clock.fresh(),
            name: "web-1".parse().unwrap(),
            workspace: "default".parse().unwrap(),
            address: "192.0.2.7:22".parse().unwrap(),
            tags: std::collections::BTreeMap::new(),
            trust_first_use: false,
            host_keys: vec![pin],
            via: None,
            legacy: crate::model::Legacy::default(),
            created_at: clock.now(),
        };
        let world = Self { dir, store, log, clock, vault, user, host };
        let (user, host) = (world.user.clone(), world.host.clone());
        world
            .change(move |c| {
                users::insert(c, &user)?;
                hosts::insert(c, &host)
            })
            .await;
        world
    }

    /// A change that the broker makes: sealed.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        f: impl FnOnce(&rusqlite::Connection) -> Result<T, store::Error> + Send + 'static,
    ) -> T {
        self.store.change(f).await.unwrap()
    }

    /// A change behind the broker's back: the seal stays as it was.
    pub(super) async fn tamper(&self, sql: impl Into<String>) {
        let sql = sql.into();
        self.store.append(move |c| -> Result<(), store::Error> { Ok(c.execute_batch(&sql)?) }).await.unwrap();
    }

    pub(super) fn draft(&self, name: &str, form: Form) -> Draft {
        Draft {
            id: self.clock.fresh(),
            name: name.parse().unwrap(),
            scope: workspace(),
            username: "root".parse().unwrap(),
            form,
            version: 1,
        }
    }

    pub(super) fn binding(&self, login: &Login) -> HostBinding {
        HostBinding::new(self.host.address.clone(), login.clone(), vec![PIN.to_owned()])
    }

    pub(super) async fn kek(&self, scope: Scope) -> Option<KekRow> {
        self.store.read(move |c| credentials::newest_kek(c, &scope)).await.unwrap()
    }

    pub(super) async fn seal(&self, draft: Draft, plain: Secret, passphrase: Option<Secret>) -> Result<SealedCredential, Error> {
        let kek = self.kek(draft.scope.clone()).await;
        let hosts = vec![(self.host.id, self.binding(&draft.username))];
        self.vault.seal(draft, plain, passphrase, kek, hosts).await
    }

    /// Seals a credential, attaches it to the host and writes it.
    pub(super) async fn add(&self, draft: Draft, plain: Secret) -> CredentialId {
        let sealed = self.seal(draft, plain, None).await.unwrap();
        let id = sealed.row.meta.id;
        self.change(move |c| {
            if let Some(kek) = &sealed.new_kek {
                credentials::insert_kek(c, kek)?;
            }
            credentials::insert(c, &sealed.row)?;
            sealed.bindings.iter().try_for_each(|b| credentials::bind(c, b))
        })
        .await;
        id
    }

    /// Law and witness, as they are for a connection.
    pub(super) async fn permit(&self, user: &User, credential: CredentialId) -> Audited<Permit> {
        self.permit_to(user, credential, "shell").await
    }

    /// As [`World::permit`], for these actions.
    pub(super) async fn permit_to(&self, user: &User, credential: CredentialId, allow: &str) -> Audited<Permit> {
        let grant = Grant {
            id: self.clock.fresh(),
            workspace: self.host.workspace.clone(),
            to: Subject::Everyone,
            hosts: "*".parse().unwrap(),
            allow: allow.parse().unwrap(),
            commands: None,
            from: None,
            until: None,
            between: None,
            max_session: None,
            second_factor: false,
            created_at: self.clock.now(),
            created_by: "root".parse().unwrap(),
        };
        let facts = Facts {
            user: user.clone(),
            groups: vec![],
            host: self.host.clone(),
            grants: vec![grant],
            terms: crate::model::Terms::default(),
        };
        let now = self.clock.now();
        let request = Request { credential, session: self.clock.fresh(), client: "192.0.2.1".parse().unwrap(), now, began: now };
        let Decision::Allow(permit) = authz::decide(&facts, &request) else { panic!("denied") };
        self.log.commit(Event::new(EventName::SessionPermitted, "alice"), permit).await.unwrap()
    }

    pub(super) async fn lease(&self, credential: CredentialId) -> Result<crate::vault::Lease, Error> {
        self.vault.lease(self.permit(&self.user, credential).await, PIN).await
    }
}

/// A private key of `ssh-keygen`, in OpenSSH's format.
pub(super) fn generated(kind: &str, bits: &str) -> Secret {
    let dir = tempfile::tempdir().unwrap();
    let made =
        std::process::Command::new("ssh-keygen").args(["-q", "-t", kind, "-b", bits, "-N", "", "-f", "k"]).current_dir(dir.path()).status();
    assert!(made.unwrap().success());
    Secret::new(std::fs::read(dir.path().join("k")).unwrap())
}
