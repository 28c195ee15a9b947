//! Who gets a lease, and what a changed row does to one.

use std::time::Duration;

use super::*;
use crate::fault::{Fault, Kind};
use crate::vault::{Lease, Means, Tampering};

fn password(lease: Lease) -> Secret {
    match lease.into_means() {
        Means::Password(secret) => secret,
        Means::Key(_) | Means::Either(..) => panic!("another means"),
    }
}

async fn with_password() -> (World, CredentialId) {
    let world = World::new().await;
    let id = world.add(world.draft("deploy", Form::Password), secret("hunter2")).await;
    (world, id)
}

fn tampering(result: Result<Lease, Error>) -> Tampering {
    match result.unwrap_err() {
        Error::Tampered { found, .. } => found,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_permit_becomes_a_lease_with_the_password_in_it() {
    let (world, id) = with_password().await;
    let permit = world.permit(&world.user, id).await;
    let session = permit.get().session();
    let lease = world.vault.lease(permit, PIN).await.unwrap();
    assert_eq!((lease.session(), lease.credential(), lease.login().as_str()), (session, id, "root"));
    assert!(!format!("{lease:?}").contains("hunter2"));
    assert_eq!(password(lease).expose(), b"hunter2");
}

#[tokio::test]
async fn a_stale_permit_opens_nothing() {
    let (world, id) = with_password().await;
    let permit = world.permit(&world.user, id).await;
    world.clock.advance(Duration::from_secs(30));
    assert!(world.vault.lease(permit, PIN).await.is_ok(), "30 s are fresh");
    let permit = world.permit(&world.user, id).await;
    world.clock.advance(Duration::from_millis(30_001));
    assert!(matches!(world.vault.lease(permit, PIN).await, Err(Error::StalePermit)));
}

#[tokio::test]
async fn a_host_key_that_is_not_pinned_gets_nothing() {
    let (world, id) = with_password().await;
    for presented in ["SHA256:another", "", "SHA256:the-pinned-key ", "SHA256:THE-PINNED-KEY"] {
        let e = world.vault.lease(world.permit(&world.user, id).await, presented).await.unwrap_err();
        assert!(matches!(e, Error::HostKeyNotPinned { .. }) && e.kind() == Kind::Refused);
    }
}

#[tokio::test]
async fn a_personal_credential_opens_for_its_owner_alone() {
    let world = World::new().await;
    let draft = Draft { scope: Scope::Personal(world.user.id), ..world.draft("mine", Form::Password) };
    let id = world.add(draft, secret("mine")).await;
    assert_eq!(password(world.lease(id).await.unwrap()).expose(), b"mine");
    let bob = User { id: world.clock.fresh(), name: "bob".parse().unwrap(), role: Role::Owner, ..world.user.clone() };
    let e = world.vault.lease(world.permit(&bob, id).await, PIN).await.unwrap_err();
    assert!(matches!(e, Error::NotTheirs) && e.kind() == Kind::NotFound);
}

#[tokio::test]
async fn what_is_gone_or_not_attached_is_not_leased() {
    let (world, id) = with_password().await;
    assert!(matches!(world.lease(world.clock.fresh()).await, Err(Error::NoCredential)));
    world.change(move |c| Ok(c.execute("DELETE FROM bindings", []).map(drop)?)).await;
    assert!(matches!(world.lease(id).await, Err(Error::NotBound)));
    let host = world.host.id;
    world.change(move |c| hosts::remove(c, host)).await;
    assert!(matches!(world.lease(id).await, Err(Error::NoHost)));
    world.change(move |c| credentials::remove(c, id)).await;
    assert!(matches!(world.lease(id).await, Err(Error::NoCredential)));
}

#[tokio::test]
async fn another_workspaces_credential_is_not_leased() {
    let world = World::new().await;
    let draft = Draft { scope: Scope::Workspace("other".parse().unwrap()), ..world.draft("deploy", Form::Password) };
    let id = world.add(draft, secret("x")).await;
    assert!(matches!(world.lease(id).await, Err(Error::NotBound)));
}

/// The state's seal notices every edit behind the broker's back, whatever it touches.
#[tokio::test]
async fn an_edit_behind_the_back_stops_every_lease() {
    for edit in [
        "UPDATE hosts SET address = '198.51.100.1'",
        "UPDATE users SET role = 'owner'",
        "UPDATE credentials SET sealed = CAST('hunter2' AS BLOB)",
        "UPDATE credentials SET version = 2",
        "DELETE FROM credentials",
        "DELETE FROM host_keys",
        "INSERT INTO groups VALUES('grp_00000000000000000000000000', 'x')",
        "UPDATE keks SET version = 2",
    ] {
        let (world, id) = with_password().await;
        let permit = world.permit(&world.user, id).await;
        world.tamper(edit).await;
        let result = world.vault.lease(permit, PIN).await;
        let e = result.map(drop).unwrap_err();
        assert_eq!(e.kind(), Kind::Tampered, "{edit}: {e}");
    }
}

/// The envelope holds on its own: the edits are sealed here, as by somebody who got the broker to seal them.
#[tokio::test]
async fn an_edit_that_is_sealed_still_does_not_open() {
    for (edit, want) in [
        ("UPDATE hosts SET address = '198.51.100.1'", Tampering::DataKey),
        ("UPDATE hosts SET port = 23", Tampering::DataKey),
        ("UPDATE credentials SET username = 'toor'", Tampering::DataKey),
        ("INSERT INTO host_keys SELECT host, 'SHA256:more', public_key, source, pinned_at FROM host_keys", Tampering::DataKey),
        ("UPDATE credentials SET version = 2", Tampering::DataKey),
        ("UPDATE credentials SET kind = 'key:rsa'", Tampering::DataKey),
        ("UPDATE bindings SET wrapped_dek = (SELECT wrapped_dek FROM credentials)", Tampering::DataKey),
        ("UPDATE credentials SET sealed = CAST('hunter2' AS BLOB)", Tampering::Secret),
        ("UPDATE credentials SET sealed = wrapped_dek", Tampering::Secret),
        ("UPDATE keks SET wrapped = zeroblob(125)", Tampering::Kek),
        ("UPDATE meta SET value = zeroblob(16) WHERE key = 'vault_id'", Tampering::Kek),
    ] {
        let (world, id) = with_password().await;
        world.change(move |c| Ok(c.execute_batch(edit)?)).await;
        if edit.contains("vault_id") {
            // The keeper knows its vault from the start; the row counts at the next one, and there the state does not hold.
            assert!(world.lease(id).await.is_ok());
            let again = Vault::open(&world.store, config(world.dir.path()), world.clock.clone()).await;
            assert!(again.is_err());
            continue;
        }
        assert_eq!(tampering(world.lease(id).await), want, "{edit}");
    }
}

#[tokio::test]
async fn two_credentials_cannot_trade_their_rows() {
    let world = World::new().await;
    let one = world.add(world.draft("one", Form::Password), secret("one")).await;
    let two = world.add(world.draft("two", Form::Password), secret("two")).await;
    let trade = move |c: &rusqlite::Connection, both: bool| -> Result<(), store::Error> {
        let (a, b) = (credentials::row(c, one)?.unwrap(), credentials::row(c, two)?.unwrap());
        credentials::update(c, &credentials::CredentialRow { sealed: b.sealed, ..a })?;
        if both {
            let other = credentials::binding(c, two, credentials::hosts_of(c, two)?[0].0)?.unwrap();
            credentials::bind(c, &credentials::BindingRow { credential: one, ..other })?;
        }
        Ok(())
    };
    world.change(move |c| trade(c, false)).await;
    assert_eq!(tampering(world.lease(one).await), Tampering::Secret);
    world.change(move |c| trade(c, true)).await;
    assert_eq!(tampering(world.lease(one).await), Tampering::DataKey);
    assert_eq!(password(world.lease(two).await.unwrap()).expose(), b"two");
}

/// All rows and the seal put back as they were: each fits the other, and still it is an older state.
#[tokio::test]
async fn a_state_that_was_set_back_while_the_broker_runs_is_noticed() {
    let (world, id) = with_password().await;
    world.tamper("CREATE TEMP TABLE kept AS SELECT * FROM state_seal; CREATE TEMP TABLE kept_users AS SELECT * FROM users").await;
    world.change(|c| Ok(c.execute("UPDATE users SET disabled = 1", []).map(drop)?)).await;
    world.change(|_| Ok(())).await;
    assert!(world.lease(id).await.is_ok());
    world
        .tamper("UPDATE users SET disabled = 0; UPDATE state_seal SET epoch = (SELECT epoch FROM kept), mac = (SELECT mac FROM kept)")
        .await;
    assert_eq!(tampering(world.lease(id).await), Tampering::Rollback);
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_and_changes_at_the_same_time_do_not_look_like_tampering() {
    let (world, id) = with_password().await;
    let changes = async {
        for _ in 0..40 {
            world.change(|_| Ok(())).await;
        }
    };
    let leases = async {
        for _ in 0..40 {
            let _ = world.lease(id).await.unwrap();
        }
    };
    tokio::join!(changes, leases);
}
