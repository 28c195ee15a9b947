//! A reference opens for its own row, host and kind, even where the seal over the database holds; and what is fetched becomes a
//! lease that signs once.

use super::*;
use crate::vault::{FetchedFault, Means, Tampering};

fn place(path: &str) -> Reference {
    Reference { source: "corp".parse().unwrap(), path: path.parse().unwrap(), field: None }
}

async fn refer(world: &World, id: CredentialId, pin: &str) -> Result<crate::vault::Referral, Error> {
    world.vault.refer(world.permit(&world.user, id).await, pin, crate::vault::Way::Standing).await
}

async fn add(world: &World, name: &str, what: Fetched, path: &str) -> CredentialId {
    world.add(world.draft(name, Form::Reference(what)), Secret::new(place(path).encode())).await
}

fn tampering<T: std::fmt::Debug>(result: Result<T, Error>) -> Tampering {
    match result.unwrap_err() {
        Error::Tampered { found, .. } => found,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_reference_opens_for_its_host_and_is_no_secret_itself() {
    let world = World::new().await;
    let id = add(&world, "web", Fetched::Password, "web/root").await;
    let referral = refer(&world, id, PIN).await.unwrap();
    assert_eq!((referral.reference(), referral.what(), referral.login().as_str()), (&place("web/root"), Fetched::Password, "root"));
    assert!(matches!(refer(&world, id, "SHA256:another").await, Err(Error::HostKeyNotPinned { .. })));
    // A lease of what lies elsewhere is none: the reference is never taken for a password.
    assert!(matches!(world.lease(id).await, Err(Error::Misused(_))));
    let kept = world.add(world.draft("kept", Form::Password), secret("hunter2")).await;
    assert!(matches!(refer(&world, kept, PIN).await, Err(Error::Misused(_))));
    let refused = world.seal(world.draft("none", Form::Reference(Fetched::Key)), secret("hunter2"), None).await;
    assert!(matches!(refused, Err(Error::Misused(_))));
}

#[tokio::test]
async fn references_that_are_swapped_do_not_open() {
    let world = World::new().await;
    let id = add(&world, "web", Fetched::Password, "web/root").await;
    let other = add(&world, "other", Fetched::Password, "web/other").await;
    let shown = || async {
        let rows = world
            .store
            .read(move |c| Ok::<_, store::Error>((credentials::row(c, id)?.unwrap(), credentials::newest_kek(c, &workspace())?.unwrap())));
        world.vault.references(vec![rows.await.unwrap()]).await
    };
    assert_eq!(shown().await.unwrap(), [(id, place("web/root"))]);
    let swap = |column: &'static str| {
        move |c: &rusqlite::Connection| {
            let sql = format!("UPDATE credentials SET {column} = (SELECT {column} FROM credentials o WHERE o.id = ?2) WHERE id = ?1");
            Ok(c.execute(&sql, rusqlite::params![id, other])?)
        }
    };
    let before = world.store.read(move |c| credentials::row(c, id)).await.unwrap().unwrap();
    let put_back = || {
        let row = before.clone();
        world.change(move |c| credentials::update(c, &row))
    };
    world.change(swap("sealed")).await;
    assert_eq!(tampering(refer(&world, id, PIN).await), Tampering::Secret);
    assert_eq!(tampering(shown().await), Tampering::Secret);
    put_back().await;
    world.change(swap("wrapped_dek")).await;
    assert_eq!(tampering(shown().await), Tampering::DataKey);
    put_back().await;
    world.change(move |c| Ok(c.execute("UPDATE credentials SET kind = 'reference:key' WHERE id = ?1", [id])?)).await;
    assert_eq!(tampering(refer(&world, id, PIN).await), Tampering::DataKey);
    put_back().await;
    assert!(refer(&world, id, PIN).await.is_ok());
}

#[tokio::test]
async fn what_was_fetched_is_judged_and_signs_once() {
    let world = World::new().await;
    let id = add(&world, "web", Fetched::Password, "web/root").await;
    let lease = world.vault.with_password(refer(&world, id, PIN).await.unwrap(), secret("hunter2")).unwrap();
    assert!(matches!(lease.into_means(), Means::Password(secret) if secret.expose() == b"hunter2"));
    for bad in ["", "a\0b"] {
        let told = world.vault.with_password(refer(&world, id, PIN).await.unwrap(), secret(bad)).unwrap_err();
        assert!(matches!(told, Error::Fetched { fault: FetchedFault::Password(_), .. }), "{told}");
    }
    let id = add(&world, "key", Fetched::Key, "web/key").await;
    let told = world.vault.with_key(refer(&world, id, PIN).await.unwrap(), secret("hunter2")).await.unwrap_err();
    assert!(matches!(&told, Error::Fetched { fault: FetchedFault::Key(_), .. }) && !told.to_string().contains("hunter2"));
    let lease = world.vault.with_key(refer(&world, id, PIN).await.unwrap(), generated("ed25519", "256")).await.unwrap();
    let Means::Key(mut signer) = lease.into_means() else { panic!("a password") };
    assert!(signer.sign(b"anything but a sign-in".to_vec()).await.is_err());
    assert!(signer.sign(b"again".to_vec()).await.is_err(), "spent");
    let id = add(&world, "cert", Fetched::Certificate, "ops").await;
    let referral = refer(&world, id, PIN).await.unwrap();
    let key = world.vault.ephemeral(&referral).await.unwrap();
    let public = key.public_key().unwrap();
    assert!(public.starts_with("ssh-ed25519 "));
    let told = world.vault.with_certificate(referral, key, &public).await.unwrap_err();
    assert!(matches!(told, Error::Fetched { fault: FetchedFault::NotACertificate, .. }), "{told}");
}
