//! The sudo password: whose it is, where it opens, and that it outlives the secret beside it.

use std::time::Duration;

use super::*;
use crate::fault::{Fault, Kind};
use crate::store::sudo;
use crate::vault::{Held, MAX_SUDO_PASSWORD, PasswordFault, Sudo, SudoLease, Tampering};

impl World {
    pub(in crate::vault) async fn held(&self, id: CredentialId) -> Held {
        let read = move |c: &rusqlite::Connection| -> Result<Held, store::Error> {
            let row = credentials::row(c, id)?.unwrap();
            let kek = credentials::kek(c, &row.meta.scope, row.kek_version)?;
            Ok(Held { row, kek, sudo: sudo::sealed(c, id)? })
        };
        self.store.read(read).await.unwrap()
    }

    /// A sudo password for a credential as it stands, or none.
    async fn put(&self, id: CredentialId, change: Sudo) -> Result<(), Error> {
        let held = self.held(id).await;
        let (row, kek) = (held.row.clone(), held.kek.clone());
        let sealed = self.vault.sudo_for(held, row, kek, change).await?;
        self.change(move |c| sudo::put(c, id, sealed.as_deref())).await;
        Ok(())
    }

    async fn sudo(&self, id: CredentialId) -> Result<Option<SudoLease>, Error> {
        self.vault.sudo(self.permit_to(&self.user, id, "scan").await, PIN).await
    }

    /// What sudo is given.
    async fn given(&self, id: CredentialId) -> Option<Vec<u8>> {
        self.sudo(id).await.unwrap().map(|lease| lease.into_secret().expose().to_vec())
    }
}

fn set(text: &str) -> Sudo {
    Sudo::Set(secret(text))
}

async fn with_key() -> (World, CredentialId) {
    let world = World::new().await;
    let id = world.add(world.draft("deploy", Form::PrivateKey), generated("ed25519", "256")).await;
    (world, id)
}

fn tampering(result: Result<Option<SudoLease>, Error>) -> Tampering {
    match result.unwrap_err() {
        Error::Tampered { found, .. } => found,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn its_own_else_the_one_that_signs_in_else_none() {
    let (world, key) = with_key().await;
    let password = world.add(world.draft("root", Form::Password), secret("signs in")).await;
    assert_eq!((world.given(key).await, world.given(password).await), (None, Some(b"signs in".to_vec())));
    for id in [key, password] {
        world.put(id, set("lifts")).await.unwrap();
        assert_eq!(world.given(id).await.unwrap(), b"lifts");
        world.put(id, set("pässword two")).await.unwrap();
        assert_eq!(world.given(id).await.unwrap(), "pässword two".as_bytes());
        // What changes something else leaves it as it is.
        world.put(id, Sudo::Keep).await.unwrap();
        assert_eq!(world.given(id).await.unwrap(), "pässword two".as_bytes());
        world.put(id, Sudo::Remove).await.unwrap();
    }
    assert_eq!((world.given(key).await, world.given(password).await), (None, Some(b"signs in".to_vec())));
}

#[tokio::test]
async fn a_lease_of_it_names_what_it_is_for_and_shows_nothing() {
    let (world, id) = with_key().await;
    world.put(id, set("hunter2")).await.unwrap();
    let permit = world.permit_to(&world.user, id, "scan").await;
    let session = permit.get().session();
    let lease = world.vault.sudo(permit, PIN).await.unwrap().unwrap();
    assert_eq!((lease.session(), lease.credential()), (session, id));
    assert!(!format!("{lease:?}").contains("hunter2"));
    // The row holds nothing of it either, and the same password twice is not to be seen.
    let one = world.held(id).await.sudo.unwrap();
    assert!(!one.windows(7).any(|w| w == b"hunter2"));
    world.put(id, set("hunter2")).await.unwrap();
    assert_ne!(world.held(id).await.sudo.unwrap(), one);
}

/// The next version of a credential, as a new secret makes it.
async fn replaced(world: &World, id: CredentialId, form: Form, plain: Secret, change: Sudo) -> Result<(), Error> {
    let before = world.held(id).await;
    let draft = Draft { id, version: before.row.meta.version + 1, ..world.draft("deploy", form) };
    let sealed = world.seal(draft, plain, None).await?;
    let kek = before.kek.clone();
    let sudo_after = world.vault.sudo_for(before.clone(), sealed.row.clone(), kek, change).await?;
    assert!(sudo_after.is_none() || sudo_after != before.sudo);
    world
        .change(move |c| {
            credentials::update(c, &sealed.row)?;
            sudo::put(c, id, sudo_after.as_deref())?;
            sealed.bindings.iter().try_for_each(|b| credentials::bind(c, b))
        })
        .await;
    Ok(())
}

#[tokio::test]
async fn it_outlives_the_secret_beside_it() {
    let (world, id) = with_key().await;
    world.put(id, set("lifts")).await.unwrap();
    let old = world.held(id).await;
    replaced(&world, id, Form::Password, secret("new"), Sudo::Keep).await.unwrap();
    assert_eq!(world.given(id).await.unwrap(), b"lifts");
    // The ciphertext of before does not open under the new version.
    let blob = old.sudo.clone();
    world.change(move |c| sudo::put(c, id, blob.as_deref())).await;
    assert_eq!(tampering(world.sudo(id).await), Tampering::Sudo);
    // Nor is it carried along, from a row that is not its own any more.
    let e = replaced(&world, id, Form::Password, secret("newer"), Sudo::Keep).await.unwrap_err();
    assert!(matches!(e, Error::Tampered { found: Tampering::Sudo, .. }), "{e}");
    replaced(&world, id, Form::Password, secret("newer"), set("other")).await.unwrap();
    assert_eq!(world.given(id).await.unwrap(), b"other");
    replaced(&world, id, Form::PrivateKey, generated("ed25519", "256"), Sudo::Remove).await.unwrap();
    assert_eq!(world.given(id).await, None);
    replaced(&world, id, Form::Password, secret("newest"), Sudo::Keep).await.unwrap();
    assert_eq!(world.given(id).await.unwrap(), b"newest");
}

#[tokio::test]
async fn it_moves_to_no_other_credential() {
    let (world, id) = with_key().await;
    let other = world.add(world.draft("other", Form::Password), secret("x")).await;
    world.put(id, set("lifts")).await.unwrap();
    let (mine, theirs) = (world.held(id).await, world.held(other).await);
    let kek = mine.kek.clone();
    let e = world.vault.sudo_for(mine.clone(), theirs.row.clone(), kek.clone(), Sudo::Keep).await.unwrap_err();
    assert!(matches!(e, Error::Misused(_)));
    let wrong = KekRow { version: 2, ..kek };
    let e = world.vault.sudo_for(mine.clone(), mine.row.clone(), wrong, set("y")).await.unwrap_err();
    assert!(matches!(e, Error::Misused(_)));
    let blob = mine.sudo.clone();
    world.change(move |c| sudo::put(c, other, blob.as_deref())).await;
    assert_eq!(tampering(world.sudo(other).await), Tampering::Sudo);
    assert_eq!(world.given(id).await.unwrap(), b"lifts");
}

#[tokio::test]
async fn only_a_fresh_permit_that_reaches_to_scans_and_the_pinned_host_get_it() {
    let (world, id) = with_key().await;
    world.put(id, set("lifts")).await.unwrap();
    let e = world.vault.sudo(world.permit_to(&world.user, id, "shell,exec,sftp,forward,propose").await, PIN).await.unwrap_err();
    assert!(matches!(e, Error::Misused(_)), "{e}");
    let permit = world.permit_to(&world.user, id, "scan").await;
    world.clock.advance(Duration::from_millis(30_001));
    assert!(matches!(world.vault.sudo(permit, PIN).await, Err(Error::StalePermit)));
    let e = world.vault.sudo(world.permit_to(&world.user, id, "scan").await, "SHA256:another").await.unwrap_err();
    assert!(matches!(e, Error::HostKeyNotPinned { .. }) && e.kind() == Kind::Refused);
    let bob = User { id: world.clock.fresh(), name: "bob".parse().unwrap(), ..world.user.clone() };
    let mine = world.add(Draft { scope: Scope::Personal(world.user.id), ..world.draft("mine", Form::Password) }, secret("x")).await;
    world.put(mine, set("y")).await.unwrap();
    assert_eq!(world.given(mine).await.unwrap(), b"y");
    assert!(matches!(world.vault.sudo(world.permit_to(&bob, mine, "scan").await, PIN).await, Err(Error::NotTheirs)));
    world.change(move |c| Ok(c.execute("DELETE FROM bindings", []).map(drop)?)).await;
    assert!(matches!(world.sudo(id).await, Err(Error::NotBound)));
}

#[tokio::test]
async fn an_edit_behind_the_back_stops_it() {
    for edit in [
        "UPDATE sudo_secrets SET sealed = CAST('hunter2' AS BLOB)",
        "DELETE FROM sudo_secrets",
        "INSERT INTO sudo_secrets SELECT id, sealed FROM credentials WHERE name = 'root'",
        "UPDATE hosts SET address = '198.51.100.1'",
    ] {
        let (world, id) = with_key().await;
        world.add(world.draft("root", Form::Password), secret("signs in")).await;
        world.put(id, set("lifts")).await.unwrap();
        let permit = world.permit_to(&world.user, id, "scan").await;
        world.tamper(edit).await;
        assert_eq!(tampering(world.vault.sudo(permit, PIN).await), Tampering::State, "{edit}");
    }
}

/// The envelope holds on its own, where the edit was sealed.
#[tokio::test]
async fn an_edit_that_is_sealed_still_does_not_open_it() {
    for (edit, want) in [
        ("UPDATE sudo_secrets SET sealed = CAST('hunter2' AS BLOB)", Tampering::Sudo),
        ("UPDATE sudo_secrets SET sealed = (SELECT sealed FROM credentials)", Tampering::Sudo),
        ("UPDATE sudo_secrets SET sealed = x''", Tampering::Sudo),
        ("UPDATE hosts SET address = '198.51.100.1'", Tampering::DataKey),
        ("UPDATE hosts SET port = 23", Tampering::DataKey),
        ("UPDATE credentials SET username = 'toor'", Tampering::DataKey),
        ("UPDATE credentials SET version = 2", Tampering::DataKey),
        ("INSERT INTO host_keys SELECT host, 'SHA256:more', public_key, source, pinned_at FROM host_keys", Tampering::DataKey),
        ("UPDATE bindings SET wrapped_dek = (SELECT wrapped_dek FROM credentials)", Tampering::DataKey),
        ("UPDATE keks SET wrapped = zeroblob(125)", Tampering::Kek),
    ] {
        let (world, id) = with_key().await;
        world.put(id, set("lifts")).await.unwrap();
        world.change(move |c| Ok(c.execute_batch(edit)?)).await;
        assert_eq!(tampering(world.sudo(id).await), want, "{edit}");
    }
    // A sudo password is no sign-in password, and a sign-in password no sudo password.
    let world = World::new().await;
    let id = world.add(world.draft("root", Form::Password), secret("signs in")).await;
    world.put(id, set("lifts")).await.unwrap();
    world.change(|c| Ok(c.execute_batch("UPDATE credentials SET sealed = (SELECT sealed FROM sudo_secrets)")?)).await;
    assert!(matches!(world.lease(id).await, Err(Error::Tampered { found: Tampering::Secret, .. })));
    // That a key has none is told only where it is bound.
    let (world, id) = with_key().await;
    world.change(|c| Ok(c.execute_batch("UPDATE hosts SET port = 23")?)).await;
    assert_eq!(tampering(world.sudo(id).await), Tampering::DataKey);
}

#[tokio::test]
async fn it_goes_with_its_credential() {
    let (world, id) = with_key().await;
    world.put(id, set("lifts")).await.unwrap();
    world.change(move |c| credentials::remove(c, id)).await;
    let left: i64 = world.change(|c| Ok(c.query_row("SELECT count(*) FROM sudo_secrets", [], |r| r.get(0))?)).await;
    assert_eq!(left, 0);
    assert!(matches!(world.sudo(id).await, Err(Error::NoCredential)));
    // And there is none without one.
    let gone = world.store.change(move |c| sudo::put(c, id, Some(b"x"))).await;
    assert!(gone.is_err());
}

#[tokio::test]
async fn what_sudo_does_not_read_as_one_line_is_refused() {
    let (world, id) = with_key().await;
    for (bytes, want) in [
        (vec![], PasswordFault::Empty),
        (b"a\nid".to_vec(), PasswordFault::LineBreak),
        (b"a\r".to_vec(), PasswordFault::LineBreak),
        (vec![b'x'; MAX_SUDO_PASSWORD + 1], PasswordFault::TooLongForSudo),
        (b"a\0b".to_vec(), PasswordFault::Nul),
        (vec![0xff], PasswordFault::NotUtf8),
    ] {
        let e = world.put(id, Sudo::Set(Secret::new(bytes))).await.unwrap_err();
        assert!(matches!(&e, Error::Password(fault) if *fault == want), "{e}");
        assert!(e.kind() == Kind::Invalid && e.hint().is_some());
    }
    world.put(id, Sudo::Set(Secret::new(vec![b'x'; MAX_SUDO_PASSWORD]))).await.unwrap();
    assert_eq!(world.given(id).await.unwrap().len(), MAX_SUDO_PASSWORD);
    // The same where the password that signs in would be sent: what is behind the line would run as root.
    for (plain, want) in [("a\nid".to_owned(), PasswordFault::LineBreak), ("x".repeat(256), PasswordFault::TooLongForSudo)] {
        let world = World::new().await;
        let id = world.add(world.draft("root", Form::Password), secret(&plain)).await;
        let e = world.sudo(id).await.unwrap_err();
        assert!(matches!(&e, Error::NotForSudo(fault) if *fault == want) && e.kind() == Kind::Invalid, "{e}");
        assert!(e.hint().unwrap().contains("--sudo-password"));
        assert!(world.lease(id).await.is_ok());
    }
}

/// A database from before there were sudo passwords is the same state after it got their table.
#[tokio::test]
async fn an_older_database_still_holds() {
    let (world, id) = with_key().await;
    world.change(|c| Ok(c.execute("DELETE FROM secret_changes", [])?)).await;
    world.tamper(format!("{AS_SCHEMA_4} {AS_SCHEMA_3} DROP TABLE sudo_secrets; PRAGMA user_version = 2")).await;
    world.vault.close();
    world.store.close();
    let store = open_store(world.dir.path());
    let vault = Vault::open(&store, config(world.dir.path()), world.clock.clone()).await.unwrap();
    let log = Log::new(store.clone(), world.clock.clone());
    let world = World { store, vault, log, ..world };
    assert_eq!(world.given(id).await, None);
    world.put(id, set("lifts")).await.unwrap();
    assert_eq!(world.given(id).await.unwrap(), b"lifts");
}
