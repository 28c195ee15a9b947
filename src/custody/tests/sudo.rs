//! A session's way to a sudo password, and all that stands in it; and warrants that are for one thing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::audit::Log;
use crate::authz::Guard;
use crate::clock::{Clock, Time};
use crate::custody::{Asked, Edit, NewSecret, SudoEdit, Warrant};
use crate::fault::{Fault, Kind};
use crate::model::{Form, Grant, GrantId, HostKey, Name, Role, Scope, Subject, UserId, UserKey};
use crate::secret::Secret;
use crate::store::{Store, audit_log, grants, hosts, users};
use crate::vault::{self, Vault};

const PIN: &str = "SHA256:the-pinned-key";
const KEY: &str = "SHA256:alices-key";

struct World {
    _dir: tempfile::TempDir,
    store: Store,
    clock: Clock,
    custody: Custody,
    user: User,
    host: Host,
    credential: Credential,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

impl World {
    /// Alice, who is granted `allow` on web-1, where a password signs in.
    async fn new(allow: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::simulated(Time::parse("2026-11-23T12:00:00Z").unwrap());
        let config = crate::store::Config { path: dir.path().join("k.db"), reserve: 0, patience: Duration::from_secs(10) };
        let store = Store::open(config).unwrap();
        let vault = Vault::open(&store, vault::Config { root_key: dir.path().join("root.key") }, clock.clone()).await.unwrap();
        let log = Log::new(store.clone(), clock.clone());
        let custody = Custody::new(store.clone(), log, vault, Guard::default(), clock.clone());
        let now = clock.now();
        let user = User { id: clock.fresh(), name: name("alice"), role: Role::Member, uid: None, disabled: false, created_at: now };
        let pin =
            HostKey { public_key: "ssh-ed25519 AAAA".to_owned(), fingerprint: PIN.to_owned(), source: "given".to_owned(), pinned_at: now };
        let host = Host {
            id: clock.fresh(),
            name: name("web-1"),
            workspace: name("default"),
            address: "192.0.2.7:22".parse().unwrap(),
            tags: std::collections::BTreeMap::new(),
            trust_first_use: false,
            host_keys: vec![pin],
            via: None,
            legacy: crate::model::Legacy::default(),
            created_at: now,
        };
        let (person, place) = (user.clone(), host.clone());
        let change = move |c: &rusqlite::Connection| -> Result<(), store::Error> {
            let (public_key, comment) = ("ssh-ed25519 AAAA".to_owned(), String::new());
            users::insert(c, &person)?;
            users::insert_key(c, &UserKey { user: person.id, fingerprint: KEY.to_owned(), public_key, comment, added_at: now })?;
            hosts::insert(c, &place)
        };
        store.change(change).await.unwrap();
        let new = NewSecret { form: Form::Password, secret: secret("signs in"), passphrase: None };
        let told = |_: &Credential| Event::new(EventName::CredentialAdded, "alice");
        let scope = Scope::Workspace(name("default"));
        let credential = custody.add_credential(name("deploy"), scope, "root".parse().unwrap(), new, told).await.unwrap();
        custody.attach(credential.id, host.id, None, Event::new(EventName::CredentialAttached, "alice")).await.unwrap();
        let world = Self { _dir: dir, store, clock, custody, user, host, credential };
        world.grant(allow, None).await;
        world
    }

    async fn grant(&self, allow: &str, max_session: Option<Duration>) -> GrantId {
        let grant = Grant {
            id: self.clock.fresh(),
            workspace: name("default"),
            to: Subject::Everyone,
            hosts: "web-1".parse().unwrap(),
            allow: allow.parse().unwrap(),
            commands: None,
            from: None,
            until: None,
            between: None,
            max_session,
            second_factor: false,
            created_at: self.clock.now(),
            created_by: name("olga"),
        };
        let id = grant.id;
        self.change(move |c| grants::insert(c, &grant)).await;
        id
    }

    async fn change(&self, f: impl FnOnce(&rusqlite::Connection) -> Result<(), store::Error> + Send + 'static) {
        self.store.change(f).await.unwrap();
    }

    async fn sql(&self, text: &'static str) {
        self.change(move |c| Ok(c.execute_batch(text)?)).await;
    }

    async fn edit(&self, edit: Edit) -> Result<Credential, Error> {
        self.custody.edit_credential(self.credential.id, edit, |_| Event::new(EventName::CredentialEdited, "alice")).await
    }

    fn stands_on(&self) -> StandsOn {
        StandsOn {
            session: SessionId::from([7; 16]),
            user: self.user.id,
            key: Some(KEY.to_owned()),
            host: self.host.id,
            hops: vec![],
            client: "192.0.2.1:999".parse().unwrap(),
            began: self.clock.now(),
        }
    }

    async fn elevate(&self) -> Result<Option<SudoWarrant>, Error> {
        self.custody.elevate(&self.stands_on(), &self.user, &self.host, &self.credential).await
    }

    async fn returned(&self, end: SudoEnd) {
        let session = self.stands_on().session;
        self.custody.sudo_returned(session, &self.user, &self.host, &self.credential, end).await.unwrap();
    }

    /// What sudo is given, from the decision to the end.
    async fn given(&self) -> Option<Vec<u8>> {
        let lease = self.custody.sudo(self.elevate().await.unwrap()?, PIN).await.unwrap()?;
        let bytes = lease.into_secret().expose().to_vec();
        self.returned(SudoEnd::Sent).await;
        Some(bytes)
    }

    fn leases(&self) -> u64 {
        self.custody.leases().load(Ordering::Relaxed)
    }

    /// The entries after the first `seq`.
    async fn entries(&self, seq: u64) -> Vec<Value> {
        let rows = self.store.read(move |c| audit_log::after(c, seq, 100)).await.unwrap();
        rows.iter().map(|row| serde_json::from_str(&row.body).unwrap()).collect()
    }

    async fn newest(&self) -> u64 {
        self.store.read(audit_log::last).await.unwrap().unwrap().seq
    }

    fn asked(&self, key: Option<&str>, needs: Option<Action>) -> Asked {
        Asked {
            user: self.user.id,
            key: key.map(str::to_owned),
            needs,
            workspace: name("default"),
            host: name("web-1"),
            credential: None,
            session: self.clock.fresh(),
            client: "192.0.2.1:999".parse().unwrap(),
        }
    }
}

#[tokio::test]
async fn a_sudo_password_is_witnessed_before_it_is_opened_and_after_it_was_used() {
    let w = World::new("scan").await;
    let seq = w.newest().await;
    let warrant = w.elevate().await.unwrap().unwrap();
    assert!(!format!("{warrant:?}").contains("signs in"));
    assert_eq!((w.leases(), w.newest().await), (0, seq), "a decision is no lease");
    let lease = w.custody.sudo(warrant, PIN).await.unwrap().unwrap();
    let opened = w.entries(seq).await;
    assert_eq!((w.leases(), opened.len()), (1, 1));
    let e = &opened[0];
    assert_eq!((&e["event"], &e["outcome"], &e["actor"]), (&"lease.opened".into(), &"success".into(), &"alice".into()), "{e}");
    assert_eq!((&e["host"], &e["credential"]), (&"web-1".into(), &"deploy".into()), "{e}");
    let detail = &e["detail"];
    assert_eq!((&detail["purpose"], &detail["host_key"]), (&"sudo".into(), &PIN.into()), "{e}");
    assert!(detail["grants"].as_str().unwrap().starts_with("grt_"), "{e}");
    assert_eq!(lease.into_secret().expose(), b"signs in");
    for (end, outcome, reason) in [
        (SudoEnd::Sent, "success", "sent"),
        (SudoEnd::NotNeeded, "success", "not needed"),
        (SudoEnd::Refused("asked again".to_owned()), "denied", "asked again"),
        (SudoEnd::Failed("the host went away".to_owned()), "failure", "the host went away"),
    ] {
        if w.leases() == 0 {
            let _ = w.custody.sudo(w.elevate().await.unwrap().unwrap(), PIN).await.unwrap().unwrap();
        }
        w.returned(end).await;
        assert_eq!(w.leases(), 0);
        let entries = w.entries(seq).await;
        let e = entries.last().unwrap();
        assert_eq!((&e["event"], &e["outcome"], &e["reason"]), (&"lease.ended".into(), &outcome.into(), &reason.into()), "{e}");
        assert_eq!(e["detail"], serde_json::json!({ "purpose": "sudo" }));
    }
}

#[tokio::test]
async fn its_own_password_outlives_a_new_secret_and_a_key_has_none_else() {
    let w = World::new("scan").await;
    let sudo = |sudo: SudoEdit| Edit { sudo, ..Edit::default() };
    w.edit(sudo(SudoEdit::Set(secret("lifts")))).await.unwrap();
    assert_eq!(w.given().await.unwrap(), b"lifts");
    // Another name, another account: bound anew, and still there.
    w.edit(Edit { name: Some(name("renamed")), username: Some("admin".parse().unwrap()), ..Edit::default() }).await.unwrap();
    assert_eq!(w.given().await.unwrap(), b"lifts");
    let dir = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", "k"]).current_dir(dir.path()).status();
    assert!(made.unwrap().success());
    let key = || Secret::new(std::fs::read(dir.path().join("k")).unwrap());
    let new = |form: Form, secret: Secret| Some(NewSecret { form, secret, passphrase: None });
    let edited = w.edit(Edit { secret: new(Form::PrivateKey, key()), ..Edit::default() }).await.unwrap();
    assert_eq!(edited.version, 2);
    assert_eq!(w.given().await.unwrap(), b"lifts");
    let both = Edit { secret: new(Form::Password, secret("new")), sudo: SudoEdit::Set(secret("other")), ..Edit::default() };
    w.edit(both).await.unwrap();
    assert_eq!(w.given().await.unwrap(), b"other");
    w.edit(Edit { secret: new(Form::PrivateKey, key()), sudo: SudoEdit::Remove, ..Edit::default() }).await.unwrap();
    let seq = w.newest().await;
    assert_eq!(w.given().await, None);
    assert_eq!((w.leases(), w.newest().await), (0, seq), "there is nothing to tell of");
    // Refused whole: what cannot be a sudo password changes nothing else.
    let bad = Edit { secret: new(Form::Password, secret("newest")), sudo: SudoEdit::Set(secret("two\nlines")), ..Edit::default() };
    assert_eq!(w.edit(bad).await.unwrap_err().kind(), Kind::Invalid);
    assert_eq!(w.given().await, None);
}

/// Each of them counts although the session lives.
#[tokio::test]
async fn what_is_withdrawn_meanwhile_counts() {
    for (edit, kind, reason) in [
        ("DELETE FROM grants", Kind::NotFound, "no grant covers"),
        ("UPDATE grants SET allow = 'shell,exec'", Kind::Forbidden, "no grant allows `scan` here"),
        ("UPDATE grants SET until = 1", Kind::NotFound, "ran out"),
        ("UPDATE users SET disabled = 1", Kind::Forbidden, "disabled"),
        ("DELETE FROM user_keys", Kind::NotFound, "gone"),
        ("DELETE FROM users", Kind::NotFound, "gone"),
        ("DELETE FROM hosts", Kind::NotFound, "gone"),
        ("DELETE FROM choices", Kind::NotFound, "not attached"),
        ("DELETE FROM bindings", Kind::NotFound, "not attached"),
        ("DELETE FROM credentials", Kind::NotFound, "not attached"),
    ] {
        let w = World::new("scan").await;
        w.sql(edit).await;
        let seq = w.newest().await;
        let e = w.elevate().await.unwrap_err();
        assert_eq!(e.kind(), kind, "{edit}: {e}");
        let entries = w.entries(seq).await;
        assert_eq!(entries.len(), 1, "{edit}");
        let told = &entries[0];
        assert_eq!((&told["event"], &told["outcome"]), (&"session.denied".into(), &"denied".into()), "{edit}");
        assert_eq!(told["detail"]["purpose"], "sudo", "{edit}");
        assert!(told["reason"].as_str().unwrap().contains(reason), "{edit}: {told}");
        assert_eq!(w.leases(), 0);
    }
}

#[tokio::test]
async fn a_session_that_lived_too_long_is_not_elevated() {
    let w = World::new("shell").await;
    w.grant("scan", Some(Duration::from_secs(600))).await;
    let began = w.stands_on();
    w.clock.advance(Duration::from_secs(599));
    assert!(w.custody.elevate(&began, &w.user, &w.host, &w.credential).await.unwrap().is_some());
    w.clock.advance(Duration::from_secs(2));
    let e = w.custody.elevate(&began, &w.user, &w.host, &w.credential).await.unwrap_err();
    assert!(matches!(e, Error::NotGranted { action: Action::Scan, .. }), "{e}");
}

#[tokio::test]
async fn a_refusal_of_the_vault_ends_the_lease() {
    let w = World::new("scan").await;
    for case in ["stale", "another host key", "taken away"] {
        let seq = w.newest().await;
        let warrant = w.elevate().await.unwrap().unwrap();
        let mut presented = PIN;
        match case {
            "stale" => w.clock.advance(Duration::from_secs(31)),
            "another host key" => presented = "SHA256:another",
            _ => w.sql("DELETE FROM bindings").await,
        }
        let e = w.custody.sudo(warrant, presented).await.unwrap_err();
        assert!(matches!(e, Error::Vault(_)), "{case}: {e}");
        let entries = w.entries(seq).await;
        let words: Vec<_> = entries.iter().map(|e| (e["event"].as_str().unwrap(), e["outcome"].as_str().unwrap())).collect();
        assert_eq!(words, [("lease.opened", "success"), ("lease.ended", "failure")], "{case}");
        assert_eq!(w.leases(), 0, "{case}");
    }
}

#[tokio::test]
async fn nothing_is_opened_that_cannot_be_witnessed() {
    let w = World::new("scan").await;
    let warrant = w.elevate().await.unwrap().unwrap();
    w.store.close();
    let e = w.custody.sudo(warrant, PIN).await.unwrap_err();
    assert!(matches!(e, Error::Audit(_)), "{e}");
    assert_eq!(w.leases(), 0);
}

#[tokio::test]
async fn a_writer_that_stopped_means_no_warrant_and_no_decryption() {
    let w = World::new("exec").await;
    let warrant = w.custody.warrant(w.asked(Some(KEY), None)).await.unwrap();
    // Rows are still read, and the keeper still opens them; only the witness cannot write any more.
    let deaf = "CREATE TRIGGER deaf BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'deaf'); END";
    let made: Result<(), store::Error> = w.store.append(move |c| Ok(c.execute_batch(deaf)?)).await;
    made.unwrap();
    let Warrant { permit, user, host, credential, way, .. } = warrant;
    let e = w.custody.lease(permit, &user, &host, (&credential, way), PIN, None).await.map(drop).unwrap_err();
    assert!(matches!(e, Error::Audit(_)), "{e}");
    assert_eq!(w.leases(), 0);
    let e = w.custody.warrant(w.asked(Some(KEY), None)).await.map(drop).unwrap_err();
    assert!(matches!(e, Error::Audit(_)), "{e}");
}

#[tokio::test]
async fn rows_that_somebody_else_wrote_elevate_nobody() {
    let w = World::new("shell").await;
    let forged = "UPDATE grants SET allow = 'scan'";
    let written: Result<(), store::Error> = w.store.append(move |c| Ok(c.execute_batch(forged)?)).await;
    written.unwrap();
    let seq = w.newest().await;
    let e = w.elevate().await.unwrap_err();
    assert_eq!(e.kind(), Kind::Tampered, "{e}");
    let entries = w.entries(seq).await;
    assert_eq!((entries.len(), &entries[0]["event"]), (1, &"vault.tampered".into()));
}

#[tokio::test]
async fn a_warrant_for_one_thing_takes_a_grant_of_it() {
    let w = World::new("shell,exec").await;
    let got = |result: Result<Warrant, Error>| result.map(|w| w.permit.get().reach().actions.to_string());
    assert_eq!(got(w.custody.warrant(w.asked(Some(KEY), None)).await).unwrap(), "shell,exec");
    assert_eq!(got(w.custody.warrant(w.asked(Some(KEY), Some(Action::Exec))).await).unwrap(), "shell,exec");
    let seq = w.newest().await;
    let e = w.custody.warrant(w.asked(Some(KEY), Some(Action::Scan))).await.unwrap_err();
    assert!(matches!(e, Error::NotGranted { action: Action::Scan, .. }) && e.kind() == Kind::Forbidden);
    assert!(e.to_string().contains("`scan`") && e.to_string().contains("`web-1`") && e.hint().unwrap().contains("--allow scan"), "{e}");
    // A host that is not granted at all answers as ever.
    w.sql("DELETE FROM grants").await;
    let e = w.custody.warrant(w.asked(Some(KEY), Some(Action::Scan))).await.unwrap_err();
    assert!(matches!(e, Error::NoSuchHost(_)), "{e}");
    let denied: Vec<String> = w.entries(seq).await.iter().map(|e| format!("{} {}", e["event"], e["reason"])).collect();
    assert_eq!(denied, [r#""session.denied" "no grant allows `scan` here""#, r#""session.denied" "no grant covers this person and host""#]);
    w.grant("scan", None).await;
    assert_eq!(got(w.custody.warrant(w.asked(Some(KEY), Some(Action::Scan))).await).unwrap(), "scan");
}

#[tokio::test]
async fn without_a_key_the_person_is_taken_as_the_kernel_named_them() {
    let w = World::new("scan").await;
    assert!(w.custody.warrant(w.asked(None, Some(Action::Scan))).await.is_ok());
    let stands_on = StandsOn { key: None, ..w.stands_on() };
    assert!(w.custody.still(stands_on.clone()).await.unwrap().is_some());
    assert!(w.custody.elevate(&stands_on, &w.user, &w.host, &w.credential).await.unwrap().is_some());
    // Another key, or somebody else's, vouches for nobody.
    let e = w.custody.warrant(w.asked(Some("SHA256:another"), None)).await.unwrap_err();
    assert!(matches!(e, Error::NoSuchPerson), "{e}");
    let e = w.custody.warrant(Asked { user: UserId::from([9; 16]), ..w.asked(Some(KEY), None) }).await.unwrap_err();
    assert!(matches!(e, Error::NoSuchPerson), "{e}");
    let e = w.custody.warrant(Asked { user: UserId::from([9; 16]), ..w.asked(None, None) }).await.unwrap_err();
    assert!(matches!(e, Error::NoSuchPerson), "{e}");
    // Without keys they are still there; disabled or gone they are not.
    w.sql("DELETE FROM user_keys").await;
    assert!(w.custody.warrant(w.asked(None, None)).await.is_ok());
    assert!(w.custody.still(stands_on.clone()).await.unwrap().is_some());
    w.sql("UPDATE users SET disabled = 1").await;
    assert!(matches!(w.custody.warrant(w.asked(None, None)).await, Err(Error::NoSuchPerson)));
    assert!(w.custody.still(stands_on.clone()).await.unwrap().is_none());
    w.sql("DELETE FROM users").await;
    assert!(matches!(w.custody.warrant(w.asked(None, None)).await, Err(Error::NoSuchPerson)));
    assert!(w.custody.still(stands_on).await.unwrap().is_none());
}
