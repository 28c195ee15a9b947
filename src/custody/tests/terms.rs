//! New keys for old, with leases in between, and cut off at every place where it can be cut off.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::audit::{Checkpoint, Log, verify};
use crate::authz::Guard;
use crate::clock::{Clock, Time};
use crate::custody::{Asked, LeaseEnd, NewSecret};
use crate::fault::{Fault, Kind};
use crate::model::{Credential, CredentialId, Form, Grant, Host, HostKey, Name, Role, Subject, User, UserId, UserKey};
use crate::secret::Secret;
use crate::store::{Store, grants, hosts, users};
use crate::vault::{self, Means};

const PIN: &str = "SHA256:the-pinned-key";
const KEY: &str = "SHA256:alices-key";

struct World {
    dir: tempfile::TempDir,
    store: Store,
    clock: Clock,
    vault: Vault,
    log: Log,
    custody: Custody,
    user: UserId,
    host: crate::model::HostId,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

async fn opened(dir: &Path, clock: &Clock) -> Result<(Store, Vault, Log, Custody), vault::Error> {
    let config = store::Config { path: dir.join("k.db"), reserve: 0, patience: Duration::from_secs(60) };
    let store = Store::open(config).unwrap();
    let vault = Vault::open(&store, vault::Config { root_key: dir.join("root.key") }, clock.clone()).await?;
    let log = Log::new(store.clone(), clock.clone());
    let custody = Custody::new(store.clone(), log.clone(), vault.clone(), Guard::default(), clock.clone());
    Ok((store, vault, log, custody))
}

impl World {
    /// Alice, who may use web-1, with a workspace's password and one of her own.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::simulated(Time::parse("2026-11-26T12:00:00Z").unwrap());
        let (store, vault, log, custody) = opened(dir.path(), &clock).await.unwrap();
        let now = clock.now();
        let user = User { id: clock.fresh(), name: name("alice"), role: Role::Member, uid: None, disabled: false, created_at: now };
        let pin =
            HostKey { public_key: "ssh-ed25519 AAAA".to_owned(), fingerprint: PIN.to_owned(), source: "given".to_owned(), pinned_at: now };
        let host = Host {
            id: clock.fresh(),
            name: name("web-1"),
            workspace: name("default"),
            address: "192.0.2.7:22".parse().unwrap(),
            tags: BTreeMap::new(),
            trust_first_use: false,
            host_keys: vec![pin],
            via: None,
            legacy: crate::model::Legacy::default(),
            created_at: now,
        };
        let grant = Grant {
            id: clock.fresh(),
            workspace: name("default"),
            to: Subject::Everyone,
            hosts: "web-1".parse().unwrap(),
            allow: "shell".parse().unwrap(),
            commands: None,
            from: None,
            until: None,
            between: None,
            max_session: None,
            second_factor: false,
            created_at: now,
            created_by: name("olga"),
        };
        let (person, place) = (user.clone(), host.clone());
        let change = move |c: &rusqlite::Connection| -> Result<((), Vec<Event>), store::Error> {
            let (public_key, comment) = ("ssh-ed25519 AAAA".to_owned(), String::new());
            users::insert(c, &person)?;
            users::insert_key(c, &UserKey { user: person.id, fingerprint: KEY.to_owned(), public_key, comment, added_at: now })?;
            hosts::insert(c, &place)?;
            grants::insert(c, &grant)?;
            Ok(((), vec![Event::new(EventName::UserAdded, "keyward")]))
        };
        log.change(change).await.unwrap().into_inner();
        let world = Self { dir, store, clock, vault, log, custody, user: user.id, host: host.id };
        world.add("deploy", Scope::Workspace(name("default"))).await;
        world.add("mine", Scope::Personal(user.id)).await;
        world
    }

    async fn add(&self, called: &str, scope: Scope) -> CredentialId {
        let new = NewSecret { form: Form::Password, secret: Secret::new(format!("secret-of-{called}").into_bytes()), passphrase: None };
        let told = |_: &Credential| Event::new(EventName::CredentialAdded, "alice");
        let chooser = matches!(scope, Scope::Personal(_)).then_some(self.user);
        let added = self.custody.add_credential(name(called), scope, "root".parse().unwrap(), new, told).await.unwrap();
        self.custody.attach(added.id, self.host, chooser, Event::new(EventName::CredentialAttached, "alice")).await.unwrap();
        added.id
    }

    /// Uses a credential, from the decision to the end of the lease.
    async fn used(&self, credential: &str) -> Result<Vec<u8>, Error> {
        used(&self.custody, self.clock.fresh(), self.user, credential).await
    }

    async fn all_open(&self) {
        for called in ["deploy", "mine"] {
            assert_eq!(self.used(called).await.unwrap(), format!("secret-of-{called}").into_bytes());
        }
    }

    async fn rotate(&self, wanted: Renewal) -> Result<Renewed, Error> {
        let (tell, _told) = mpsc::unbounded_channel();
        self.custody.rotate(wanted, "olga".to_owned(), tell).await
    }

    /// As a start after a crash.
    async fn restarted(self) -> Self {
        let Self { dir, store, clock, vault, user, host, .. } = self;
        vault.close();
        store.close();
        let (store, vault, log, custody) = opened(dir.path(), &clock).await.unwrap();
        Self { dir, store, clock, vault, log, custody, user, host }
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|n| n.starts_with("root.key"))
            .collect();
        names.sort();
        names
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    async fn events(&self) -> Vec<serde_json::Value> {
        let rows = self.store.read(|c| audit_log::after(c, 0, 10_000)).await.unwrap();
        rows.iter().map(|r| serde_json::from_str(&r.body).unwrap()).collect()
    }
}

async fn used(custody: &Custody, session: crate::model::SessionId, user: UserId, credential: &str) -> Result<Vec<u8>, Error> {
    let asked = Asked {
        user,
        key: Some(KEY.to_owned()),
        needs: None,
        workspace: name("default"),
        host: name("web-1"),
        credential: Some(name(credential)),
        session,
        client: "192.0.2.1:999".parse().unwrap(),
    };
    let warrant = custody.warrant(asked).await?;
    let lease = custody.lease(warrant.permit, &warrant.user, &warrant.host, (&warrant.credential, warrant.way), PIN, None).await?;
    let Means::Password(password) = lease.into_means() else { panic!("no password") };
    let bytes = password.expose().to_vec();
    custody.returned(session, &warrant.user, &warrant.host, &warrant.credential, LeaseEnd::SignedIn).await?;
    Ok(bytes)
}

/// Whether a copy of the database opens with a root key.
async fn opens(database: &[u8], root_key: &[u8]) -> Result<(), vault::Error> {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("k.db"), database).unwrap();
    std::fs::write(dir.path().join("root.key"), root_key).unwrap();
    std::fs::set_permissions(dir.path().join("root.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    opened(dir.path(), &Clock::System).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_for_every_scope_and_the_old_ones_are_gone() {
    let world = World::new().await;
    world.all_open().await;
    let rotated = world.rotate(Renewal::default()).await.unwrap();
    assert_eq!((rotated.workspaces, rotated.people, rotated.data_keys, rotated.root), (1, 1, 4, None));
    world.all_open().await;
    let stand = world.custody.stand().await.unwrap();
    assert!(stand.keks.iter().all(|k| k.version == 2 && !k.half_done && k.made_at.is_some()), "{:?}", stand.keks);
    assert_eq!(stand.pending.count, 0);
    let rows: i64 = world.store.read(|c| Ok::<_, store::Error>(c.query_row("SELECT count(*) FROM keks", [], |r| r.get(0))?)).await.unwrap();
    assert_eq!(rows, 2);
    // What is added now hangs on the new keys, and a restart finds all of it whole.
    world.add("later", Scope::Workspace(name("default"))).await;
    let world = world.restarted().await;
    assert_eq!(world.used("later").await.unwrap(), b"secret-of-later");
    world.all_open().await;
    let told = world.events().await;
    let told = told.iter().rfind(|e| e["event"] == "vault.rotated").unwrap();
    assert_eq!((&told["detail"]["workspaces"], &told["detail"]["people"]), (&"default:2".into(), &1.into()), "{told}");
    assert!(!told.to_string().contains(&world.user.to_string()), "who has personal credentials is nobody's business");
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_go_on_while_all_keys_are_replaced() {
    let world = World::new().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let users = ["deploy", "mine"].map(|called| {
        let (custody, clock, user, stop) = (world.custody.clone(), world.clock.clone(), world.user, stop.clone());
        #[allow(clippy::disallowed_methods)] // awaited below
        tokio::spawn(async move {
            let mut count = 0;
            while !stop.is_cancelled() {
                let got = used(&custody, clock.fresh(), user, called).await.unwrap();
                assert_eq!(got, format!("secret-of-{called}").into_bytes());
                count += 1;
            }
            count
        })
    });
    for wanted in [Renewal::default(), Renewal { root: true, shred: false }, Renewal { root: true, shred: true }] {
        world.rotate(wanted).await.unwrap();
    }
    stop.cancel();
    for user in users {
        assert!(user.await.unwrap() > 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_of_scopes_keys_that_was_cut_off_is_gone_on_with() {
    let world = World::new().await;
    // As far as a crash after the first data key leaves it.
    let scope = Scope::Workspace(name("default"));
    let newest = world.custody.newest_of(&scope).await.unwrap();
    let renewed = world.vault.renew(newest, 1).await.unwrap();
    assert_eq!(world.custody.write(renewed).await.unwrap(), 1);
    let world = world.restarted().await;
    world.all_open().await;
    assert!(world.custody.stand().await.unwrap().keks.iter().any(|k| k.half_done));
    // What is added in between takes the newest key.
    world.add("between", scope).await;
    let rotated = world.rotate(Renewal::default()).await.unwrap();
    assert_eq!(rotated.data_keys, 3, "the other one of the workspace's, and a new key for the person's two");
    let stand = world.custody.stand().await.unwrap();
    assert!(stand.keks.iter().all(|k| k.version == 2 && !k.half_done), "{:?}", stand.keks);
    world.all_open().await;
    assert_eq!(world.used("between").await.unwrap(), b"secret-of-between");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_root_key_takes_over_and_older_checkpoints_still_count() {
    let world = World::new().await;
    let signer = world.vault.checkpoint_signer();
    let head = || async { world.store.read(audit_log::last).await.unwrap().unwrap() };
    let before = Checkpoint::sign(&head().await, world.clock.now(), signer.as_ref()).unwrap();
    let old_key = signer.public_key();
    let old_file = std::fs::read(world.path("root.key")).unwrap();
    let rotated = world.rotate(Renewal { root: true, shred: false }).await.unwrap();
    assert_ne!(signer.public_key(), old_key);
    let after = Checkpoint::sign(&head().await, world.clock.now(), signer.as_ref()).unwrap();
    let vouchers = world.custody.vouchers().await.unwrap();
    let both = [before.clone(), after.clone()];
    let verdict = verify(&world.store, &both, vouchers.clone()).await.unwrap();
    assert_eq!((verdict.lie, verdict.checkpoints), (None, 2));
    assert!(verify(&world.store, &both, &old_key).await.unwrap().lie.is_some(), "the old key alone does not speak for the new one");
    // The entry that hands over is signed by both keys.
    let events = world.events().await;
    let handed = events.iter().find(|e| e["event"] == "vault.rotated" && e["detail"]["keys"] == "root").unwrap();
    let detail = |key: &str| unhex(handed["detail"][key].as_str().unwrap());
    let vault = world.store.read(keys::vault_id).await.unwrap();
    let (from, to): ([u8; 32], [u8; 32]) =
        (detail("from_checkpoint_key").try_into().unwrap(), detail("to_checkpoint_key").try_into().unwrap());
    let message = crate::audit::hand_over(&vault, &from, &to);
    for (key, signature) in [(from, "from_signature"), (to, "to_signature")] {
        let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, key);
        key.verify(&message, &detail(signature)).unwrap();
    }
    assert_eq!((from, to), (old_key, signer.public_key()));
    drop(signer);
    // The files, and a restart.
    let new = rotated.root.unwrap();
    let former = world.custody.stand().await.unwrap().former;
    assert_eq!(former.len(), 1);
    assert_eq!(world.files(), ["root.key".to_owned(), format!("root.key.old-{}", former[0].id)]);
    assert_eq!(std::fs::read(world.path(&format!("root.key.old-{}", former[0].id))).unwrap(), old_file);
    let world = world.restarted().await;
    world.all_open().await;
    assert_eq!(world.custody.stand().await.unwrap().root.id, new);
    assert_eq!(world.custody.vouchers().await.unwrap(), vouchers);
    // And once more: the checkpoints of both former keys count.
    world.rotate(Renewal { root: true, shred: false }).await.unwrap();
    let verdict = verify(&world.store, &both, world.custody.vouchers().await.unwrap()).await.unwrap();
    assert_eq!((verdict.lie, verdict.checkpoints), (None, 2));
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_of_the_root_key_that_was_cut_off_before_it_counted_is_undone() {
    let world = World::new().await;
    let before = world.custody.stand().await.unwrap().root.id;
    let handover = world.vault.next_root().await.unwrap();
    assert_eq!(world.files().len(), 3);
    let again = world.vault.next_root().await.unwrap_err();
    assert!(again.kind() == Kind::Conflict && again.hint().unwrap().contains("restart"), "{again}");
    let world = world.restarted().await;
    world.all_open().await;
    assert_eq!(world.custody.stand().await.unwrap().root.id, before);
    // The key that never counted is kept under its id: nothing is destroyed on a guess.
    assert_eq!(world.files(), ["root.key".to_owned(), format!("root.key.old-{}", handover.to.id)]);
    // Half a file was never armed.
    std::fs::write(world.path("root.key.next"), "keyward-root-key-1 AAA").unwrap();
    let world = world.restarted().await;
    world.all_open().await;
    assert!(!world.path("root.key.next").exists());
    world.rotate(Renewal { root: true, shred: false }).await.unwrap();
    world.restarted().await.all_open().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_of_the_root_key_that_was_cut_off_after_it_counted_is_finished() {
    for kept in [true, false] {
        let world = World::new().await;
        let old = std::fs::read(world.path("root.key")).unwrap();
        let rotated = world.rotate(Renewal { root: true, shred: false }).await.unwrap();
        // As the files stood between the commit and the rename.
        std::fs::rename(world.path("root.key"), world.path("root.key.next")).unwrap();
        let former = world.path(&world.files().into_iter().find(|f| f.contains(".old-")).unwrap());
        if kept {
            std::fs::hard_link(&former, world.path("root.key")).unwrap();
        } else {
            std::fs::rename(&former, world.path("root.key")).unwrap();
        }
        let world = world.restarted().await;
        world.all_open().await;
        assert_eq!(world.custody.stand().await.unwrap().root.id, rotated.root.unwrap());
        assert!(!world.path("root.key.next").exists());
        assert_eq!(std::fs::read(former).unwrap(), old);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_neither_root_key_made_the_seal_both_files_stay() {
    let world = World::new().await;
    let stranger = World::new().await;
    world.vault.next_root().await.unwrap();
    let foreign = std::fs::read(stranger.path("root.key")).unwrap();
    world.vault.close();
    world.store.close();
    std::fs::write(world.path("root.key"), foreign).unwrap();
    let refused = opened(world.dir.path(), &world.clock).await.map(drop).unwrap_err();
    assert!(matches!(refused, vault::Error::WrongRootKey { .. }), "{refused}");
    assert!(world.path("root.key.next").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_shred_an_older_copy_opens_only_with_a_root_key_that_somebody_kept() {
    let world = World::new().await;
    world.rotate(Renewal { root: true, shred: false }).await.unwrap();
    world.store.checkpoint().await.unwrap();
    let (old_database, old_root) = (std::fs::read(world.path("k.db")).unwrap(), std::fs::read(world.path("root.key")).unwrap());
    let rotated = world.rotate(Renewal { root: true, shred: true }).await.unwrap();
    assert_eq!((rotated.destroyed, rotated.pending), (2, 0));
    assert_eq!(world.files(), ["root.key"]);
    let new_root = std::fs::read(world.path("root.key")).unwrap();
    let refused = opens(&old_database, &new_root).await.unwrap_err();
    assert!(matches!(refused, vault::Error::WrongRootKey { .. }), "{refused}");
    opens(&old_database, &old_root).await.unwrap();
    world.store.checkpoint().await.unwrap();
    let database = std::fs::read(world.path("k.db")).unwrap();
    opens(&database, &new_root).await.unwrap();
    opens(&database, &old_root).await.unwrap_err();
    // A file that a crash left after the shred counted is destroyed at the next start.
    let doomed = world.custody.stand().await.unwrap().former[0].id.clone();
    std::fs::write(world.path(&format!("root.key.old-{doomed}")), &old_root).unwrap();
    let world = world.restarted().await;
    assert_eq!(world.files(), ["root.key"]);
    world.all_open().await;
    let events = world.events().await;
    let destroyed = events.iter().find(|e| e["event"] == "vault.root_destroyed").unwrap();
    assert_eq!(destroyed["detail"]["files"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_plaintext_and_no_key_is_on_the_disk_while_keys_are_replaced() {
    let world = World::new().await;
    world.rotate(Renewal { root: true, shred: false }).await.unwrap();
    for entry in std::fs::read_dir(world.dir.path()).unwrap().flatten() {
        let bytes = std::fs::read(entry.path()).unwrap();
        assert!(!bytes.windows(10).any(|w| w == b"secret-of-"), "{:?}", entry.path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_state_under_the_former_root_key_is_refused() {
    let world = World::new().await;
    let state = world.store.read(state::read).await.unwrap();
    world.rotate(Renewal { root: true, shred: false }).await.unwrap();
    world.vault.verify(&state).await.unwrap_err();
    world.restarted().await.custody.verify().await.unwrap();
}

/// The schema as it was in each version, and the tables that came with it.
const OLDER: [(&str, &[&str]); 4] = [
    (
        include_str!("../../store/schema_1.sql"),
        &[
            "meta",
            "users",
            "user_keys",
            "groups",
            "members",
            "hosts",
            "host_tags",
            "host_keys",
            "keks",
            "credentials",
            "bindings",
            "choices",
            "grants",
            "state_seal",
            "credential_uses",
            "sessions",
            "audit",
        ],
    ),
    (include_str!("../../store/schema_2.sql"), &["agents", "proposals"]),
    (include_str!("../../store/schema_3.sql"), &["sudo_secrets"]),
    (include_str!("../../store/schema_4.sql"), &["scans", "scan_hosts", "scan_texts", "scan_refs"]),
];

/// A database of an older version, row by row what a broker of that time wrote: later tables, while they are empty, are no
/// part of the seal.
#[allow(clippy::disallowed_methods)] // no house rules for what another program is said to have written
fn of_version(version: usize, rows_of: &Path, at: &Path) {
    let older = rusqlite::Connection::open(at).unwrap();
    older.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    for (schema, _) in &OLDER[..version] {
        older.execute_batch(schema).unwrap();
    }
    older.execute("ATTACH ?1 AS now", [rows_of.to_str().unwrap()]).unwrap();
    for table in OLDER[..version].iter().flat_map(|(_, tables)| *tables) {
        // The columns of that time.
        let columns = "SELECT group_concat(name, ', ') FROM pragma_table_info(?1, 'main')";
        let columns: String = older.query_row(columns, [table], |r| r.get(0)).unwrap();
        older.execute_batch(&format!("INSERT INTO main.{table}({columns}) SELECT {columns} FROM now.{table}")).unwrap();
    }
    older.pragma_update(None, "user_version", i64::try_from(version).unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_every_older_version_opens_and_every_credential_in_it() {
    for version in 1..=OLDER.len() {
        let mut world = World::new().await;
        if version >= 3 {
            let id = world.store.read(|c| credentials::by_name(c, &Scope::Workspace(name("default")), &name("deploy"))).await.unwrap();
            let sudo = crate::custody::SudoEdit::Set(Secret::new(b"for sudo".to_vec()));
            let edit = crate::custody::Edit { sudo, ..Default::default() };
            let told = |_: &Credential| Event::new(EventName::CredentialEdited, "alice");
            world.custody.edit_credential(id.unwrap().id, edit, told).await.unwrap();
        }
        world.all_open().await;
        // What is younger than those versions and would be part of the seal.
        world.store.change(|c| -> Result<(), store::Error> { Ok(c.execute_batch("DELETE FROM secret_changes")?) }).await.unwrap();
        world.vault.close();
        world.store.close();
        let (now, older) = (world.path("k.db"), world.path("older.db"));
        of_version(version, &now, &older);
        std::fs::remove_file(&now).unwrap();
        std::fs::rename(&older, &now).unwrap();
        assert_eq!(crate::store::backup::look(&now).unwrap().schema, i64::try_from(version).unwrap());
        let (store, vault, log, custody) = opened(world.dir.path(), &world.clock).await.unwrap();
        (world.store, world.vault, world.log, world.custody) = (store, vault, log, custody);
        world.all_open().await;
        world.custody.verify().await.unwrap();
        let verdict = verify(&world.store, &[], world.custody.vouchers().await.unwrap()).await.unwrap();
        assert_eq!(verdict.lie, None, "version {version}");
        // And it is one of today: keys that nobody knows the age of are replaced like others, and a copy has our schema.
        assert!(world.custody.stand().await.unwrap().keks.iter().all(|k| k.version == 1 && k.made_at.is_none()));
        world.rotate(Renewal { root: true, shred: false }).await.unwrap();
        world.all_open().await;
        let copy = world.store.copy().await.unwrap();
        crate::store::backup::has_our_schema(copy.path()).unwrap();
    }
}

mod full_keeper;
