//! What may be sealed, and what the rows say of it.

use super::*;
use crate::fault::{Fault, Kind};
use crate::vault::{MAX_PASSWORD, PasswordFault, Tampering, import};

#[tokio::test]
async fn a_password_is_kept_whole_and_nothing_of_it_shows() {
    let world = World::new().await;
    let draft = world.draft("deploy", Form::Password);
    let sealed = world.seal(draft, secret("pässword \n"), None).await.unwrap();
    let meta = &sealed.row.meta;
    assert_eq!((meta.kind, meta.version, &meta.public_key, &meta.fingerprint), (CredentialKind::Password, 1, &None, &None));
    assert_eq!((meta.created_at, meta.updated_at), (world.clock.now(), world.clock.now()));
    assert_eq!(sealed.new_kek.as_ref().map(|k| (k.version, &k.scope)), Some((1, &workspace())));
    assert_eq!((sealed.row.kek_version, sealed.bindings.len()), (1, 1));
    assert!(!sealed.row.sealed.windows(4).any(|w| w == b"word"));
}

#[tokio::test]
async fn a_scopes_key_is_made_once_and_each_scope_has_its_own() {
    let world = World::new().await;
    world.add(world.draft("one", Form::Password), secret("1")).await;
    let second = world.seal(world.draft("two", Form::Password), secret("2"), None).await.unwrap();
    assert!(second.new_kek.is_none());
    let mine = Draft { scope: Scope::Personal(world.user.id), ..world.draft("mine", Form::Password) };
    assert!(world.seal(mine.clone(), secret("3"), None).await.unwrap().new_kek.is_some());
    let of_another = world.kek(workspace()).await;
    let e = world.vault.seal(mine, secret("3"), None, of_another, vec![]).await.unwrap_err();
    assert!(matches!(e, Error::Misused(_)) && e.kind() == Kind::Bug);
}

#[tokio::test]
async fn passwords_that_ssh_cannot_send_are_refused() {
    let world = World::new().await;
    for (bytes, want) in [
        (vec![], PasswordFault::Empty),
        (vec![b'x'; MAX_PASSWORD + 1], PasswordFault::TooLong),
        (b"a\0b".to_vec(), PasswordFault::Nul),
        (vec![0xff, 0xfe], PasswordFault::NotUtf8),
    ] {
        let e = world.seal(world.draft("deploy", Form::Password), Secret::new(bytes), None).await.unwrap_err();
        assert!(matches!(e, Error::Password(fault) if fault == want));
        assert_eq!(e.kind(), Kind::Invalid);
    }
    world.seal(world.draft("deploy", Form::Password), Secret::new(vec![b'x'; MAX_PASSWORD]), None).await.unwrap();
}

#[tokio::test]
async fn a_key_brings_its_public_half_and_its_passphrase_is_asked_for() {
    let world = World::new().await;
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let done = std::process::Command::new("ssh-keygen").args(args).current_dir(dir.path()).output().unwrap();
        assert!(done.status.success());
        String::from_utf8(done.stdout).unwrap()
    };
    run(&["-q", "-t", "ed25519", "-a", "1", "-N", "sesame", "-f", "k"]);
    let read = || Secret::new(std::fs::read(dir.path().join("k")).unwrap());
    let draft = || world.draft("deploy", Form::PrivateKey);
    let e = world.seal(draft(), read(), None).await.unwrap_err();
    assert_eq!(e.kind(), Kind::PassphraseNeeded);
    let e = world.seal(draft(), read(), Some(secret("wrong"))).await.unwrap_err();
    assert!(matches!(e, Error::Key(import::Error::WrongPassphrase)));
    let meta = world.seal(draft(), read(), Some(secret("sesame"))).await.unwrap().row.meta;
    assert_eq!(meta.kind, CredentialKind::Key(KeyKind::Ed25519));
    let public = std::fs::read_to_string(dir.path().join("k.pub")).unwrap();
    assert!(public.starts_with(meta.public_key.as_deref().unwrap()));
    assert!(run(&["-l", "-f", "k.pub"]).contains(meta.fingerprint.as_deref().unwrap()));
    // A bad file is nobody's end: the next one is read.
    assert!(world.seal(draft(), secret("rubbish"), None).await.is_err());
    world.seal(draft(), read(), Some(secret("sesame"))).await.unwrap();
}

#[tokio::test]
async fn binding_needs_a_row_that_opens_and_the_key_that_wraps_it() {
    let world = World::new().await;
    let id = world.add(world.draft("deploy", Form::Password), secret("hunter2")).await;
    let row = world.store.read(move |c| credentials::row(c, id)).await.unwrap().unwrap();
    let kek = world.kek(workspace()).await.unwrap();
    let at = |login: &str| vec![(world.host.id, world.binding(&login.parse().unwrap()))];
    assert_eq!(world.vault.bind(row.clone(), kek.clone(), at("root")).await.unwrap().len(), 1);
    assert!(matches!(world.vault.bind(row.clone(), kek.clone(), at("toor")).await, Err(Error::Misused(_))));
    let other_version = KekRow { version: 2, ..kek.clone() };
    assert!(matches!(world.vault.bind(row.clone(), other_version, at("root")).await, Err(Error::Misused(_))));
    let mut moved = row.clone();
    moved.meta.version = 2;
    let e = world.vault.bind(moved, kek.clone(), at("root")).await.unwrap_err();
    assert!(matches!(e, Error::Tampered { found: Tampering::DataKey, .. }));
    let mut bent = kek;
    bent.wrapped[50] ^= 1;
    assert!(matches!(world.vault.bind(row, bent, at("root")).await, Err(Error::Tampered { found: Tampering::Kek, .. })));
}
