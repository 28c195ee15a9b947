//! Root key and database: which of them belong together, and what is noticed.

use std::fs;

use super::*;
use crate::audit::Checkpoint;
use crate::fault::{Fault, Kind};
use crate::store::state;
use crate::vault::{Tampering, root};

/// Closes everything and opens it again, after `meddle` had the home for itself.
async fn reopened(world: World, meddle: impl FnOnce(&Path)) -> Result<(Vault, Store, tempfile::TempDir), Error> {
    let World { dir, store, vault, clock, log, .. } = world;
    vault.close();
    store.close();
    drop((vault, store, log));
    meddle(dir.path());
    let store = open_store(dir.path());
    let vault = Vault::open(&store, config(dir.path()), clock).await?;
    Ok((vault, store, dir))
}

#[allow(clippy::disallowed_methods)] // as somebody with the file would
fn sql(dir: &Path, text: &str) {
    rusqlite::Connection::open(dir.join("k.db")).unwrap().execute_batch(text).unwrap();
}

async fn with_password() -> (World, CredentialId) {
    let world = World::new().await;
    let draft = world.draft("deploy", Form::Password);
    let id = world.add(draft, secret("hunter2")).await;
    (world, id)
}

fn found(result: Result<(Vault, Store, tempfile::TempDir), Error>) -> Tampering {
    match result.map(drop).unwrap_err() {
        e @ Error::Tampered { found, .. } => {
            assert_eq!(e.kind(), Kind::Tampered);
            assert!(e.to_string().starts_with("the database was changed behind the broker's back"));
            assert!(e.to_string().contains("k.db") && e.hint().unwrap().contains("keyward audit verify"));
            found
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_vault_opens_again_with_its_key() {
    let (world, _) = with_password().await;
    let (vault, store, dir) = reopened(world, |_| ()).await.unwrap();
    let state = store.read(state::read).await.unwrap();
    vault.verify(&state).await.unwrap();
    assert!(dir.path().join("etc/root.key").exists());
    assert!(format!("{vault:?}").len() < 400);
}

#[tokio::test]
async fn a_new_database_is_sealed_by_its_first_change_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let vault = Vault::open(&store, config(dir.path()), Clock::default()).await.unwrap();
    let state = store.read(state::read).await.unwrap();
    assert_eq!((state.epoch, state.mac), (0, None));
    vault.verify(&state).await.unwrap();
    store
        .append(|c| -> Result<(), store::Error> { Ok(c.execute("INSERT INTO groups VALUES('grp_x', 'x')", []).map(drop)?) })
        .await
        .unwrap();
    assert!(vault.verify(&store.read(state::read).await.unwrap()).await.is_err(), "unsealed, and no longer as it was");
    store.append(|c| -> Result<(), store::Error> { Ok(c.execute("DELETE FROM groups", []).map(drop)?) }).await.unwrap();
    store.change(|_| -> Result<(), store::Error> { Ok(()) }).await.unwrap();
    let state = store.read(state::read).await.unwrap();
    assert_eq!(state.epoch, 1);
    vault.verify(&state).await.unwrap();
}

#[tokio::test]
async fn the_wrong_root_key_is_named_and_a_missing_one_is_never_made_anew() {
    let (world, _) = with_password().await;
    let path = world.dir.path().join("etc/root.key");
    let e = reopened(world, |dir| {
        fs::remove_file(dir.join("etc/root.key")).unwrap();
        root::file::create(&dir.join("etc/root.key")).unwrap();
    })
    .await
    .map(drop)
    .unwrap_err();
    assert!(matches!(e, Error::WrongRootKey { .. }), "{e}");
    assert_eq!(e.hint().unwrap(), format!("put your copy of the root key back: install -m 600 COPY {}", path.display()));
    let (world, _) = with_password().await;
    let path = world.dir.path().join("etc/root.key");
    let e = reopened(world, |dir| fs::remove_file(dir.join("etc/root.key")).unwrap()).await.map(drop).unwrap_err();
    assert!(matches!(e, Error::RootKeyMissing { .. }));
    assert!(!path.exists());
    let (world, _) = with_password().await;
    let e = reopened(world, |dir| fs::write(dir.join("etc/root.key"), "").unwrap()).await.map(drop).unwrap_err();
    assert!(matches!(e, Error::RootKey(root::Error::Empty { .. })));
}

#[tokio::test]
async fn rows_without_a_seal_and_rows_that_do_not_fit_it_are_tampering() {
    let world = World::new().await;
    assert_eq!(found(reopened(world, |dir| sql(dir, "DELETE FROM state_seal")).await), Tampering::NoSeal);
    let world = World::new().await;
    let both = |dir: &Path| {
        sql(dir, "DELETE FROM state_seal");
        fs::remove_file(dir.join("etc/root.key")).unwrap();
    };
    assert_eq!(found(reopened(world, both).await), Tampering::NoSeal, "and no new key is made for it");
    let world = World::new().await;
    let emptied = |dir: &Path| {
        sql(dir, "DELETE FROM users; DELETE FROM host_keys; DELETE FROM hosts; UPDATE state_seal SET mac = x'00'");
        fs::remove_file(dir.join("etc/root.key")).unwrap();
    };
    let e = reopened(world, emptied).await.map(drop).unwrap_err();
    assert!(matches!(e, Error::RootKeyMissing { .. }), "empty, but it was sealed once");
    for edit in [
        "UPDATE users SET role = 'owner'",
        "DELETE FROM users",
        "DELETE FROM credentials",
        "UPDATE hosts SET address = '198.51.100.1'",
        "UPDATE credentials SET username = 'toor'",
        "UPDATE keks SET wrapped = zeroblob(125)",
        "DELETE FROM host_keys",
        "INSERT INTO meta VALUES('x', x'00')",
        "UPDATE state_seal SET epoch = epoch + 1",
        "UPDATE state_seal SET mac = zeroblob(32)",
    ] {
        let (world, _) = with_password().await;
        let e = reopened(world, |dir| sql(dir, edit)).await.map(drop).unwrap_err();
        // A row of keys that does not open looks the same as another vault's root key when the state does not hold either.
        assert!(matches!(e, Error::Tampered { found: Tampering::State, .. } | Error::WrongRootKey { .. }), "{edit}: {e}");
        assert_eq!(matches!(e, Error::WrongRootKey { .. }), edit.contains("keks"), "{edit}");
    }
}

#[tokio::test]
async fn a_closed_vault_answers_and_seals_no_more() {
    let (world, id) = with_password().await;
    let signer = world.vault.checkpoint_signer();
    let permit = world.permit(&world.user, id).await;
    world.vault.clone().close();
    world.vault.stopped().await;
    assert!(matches!(world.vault.lease(permit, PIN).await, Err(Error::KeeperStopped)));
    assert!(signer.sign(b"x").is_none());
    assert!(matches!(world.store.change(|_| -> Result<(), store::Error> { Ok(()) }).await, Err(store::Error::Unsealed)));
    world.vault.close();
}

#[tokio::test]
async fn a_panic_ends_the_keeper_and_everybody_hears_of_it() {
    let (world, id) = with_password().await;
    let panicked = world.vault.keeper.ask(|_| -> Result<(), Error> { panic!("on purpose") }).await;
    assert!(matches!(panicked, Err(Error::KeeperStopped)));
    world.vault.stopped().await;
    assert!(matches!(world.lease(id).await, Err(Error::KeeperStopped)));
    assert!(matches!(world.store.change(|_| -> Result<(), store::Error> { Ok(()) }).await, Err(store::Error::Unsealed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_signed_with_a_key_that_stays_the_same() {
    let (world, _) = with_password().await;
    let signer = world.vault.checkpoint_signer();
    let key = signer.public_key();
    let head = store::audit_log::EntryRow { seq: 1, at: world.clock.now(), body: String::new(), prev: vec![0; 32], hash: vec![1; 32] };
    let checkpoint = Checkpoint::sign(&head, world.clock.now(), signer.as_ref()).unwrap();
    assert!(checkpoint.is_signed_by(&key));
    assert!(!Checkpoint { seq: 2, ..checkpoint }.is_signed_by(&key));
    drop(signer);
    let (vault, ..) = reopened(world, |_| ()).await.unwrap();
    assert_eq!(vault.checkpoint_signer().public_key(), key);
}

#[tokio::test]
async fn a_database_of_an_older_version_verifies_after_its_migration_and_agents_are_sealed() {
    let (world, _) = with_password().await;
    world.change(|c| Ok(c.execute("DELETE FROM secret_changes", [])?)).await;
    // As a broker of schema 1 left it: its seal knows nothing of agents.
    let older = |dir: &Path| {
        sql(
            dir,
            &format!(
                "{AS_SCHEMA_4} {AS_SCHEMA_3} DROP TABLE agents; DROP TABLE proposals; DROP TABLE sudo_secrets; PRAGMA user_version = 1"
            ),
        )
    };
    let (vault, store, dir) = reopened(world, older).await.unwrap();
    vault.verify(&store.read(state::read).await.unwrap()).await.unwrap();
    let intruder = "INSERT INTO agents(id, name, owner, token_sha256, max_pending, per_minute, max_output, created_at) \
                    SELECT 'agt_0000000000000000000000000a', 'intruder', id, zeroblob(32), 9, 9, 9, 0 FROM users LIMIT 1";
    let written: Result<(), store::Error> = store.append(move |c| Ok(c.execute_batch(intruder)?)).await;
    written.unwrap();
    let state = store.read(state::read).await.unwrap();
    assert!(matches!(vault.verify(&state).await, Err(Error::Tampered { .. })), "an agent that somebody else wrote");
    drop(dir);
}
