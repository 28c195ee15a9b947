//! A scope whose key was destroyed, and one of the same name that came after it: nothing of the first opens in the second.

use super::*;
use crate::fault::{Fault, Kind};
use crate::store::credentials;
use crate::vault::Tampering;

#[tokio::test]
async fn rows_from_before_do_not_open_under_a_new_key_of_the_same_name() {
    let world = World::new().await;
    let id = world.add(world.draft("deploy", Form::Password), secret("hunter2")).await;
    let host = world.host.id;
    let old_kek = world.kek(workspace()).await.unwrap();
    let (old_row, old_binding) = world
        .store
        .read(move |c| -> Result<_, store::Error> { Ok((credentials::row(c, id)?.unwrap(), credentials::binding(c, id, host)?.unwrap())) })
        .await
        .unwrap();
    // All that is removed with a workspace, and a first credential of the one that comes after it.
    world
        .change(move |c| {
            credentials::remove(c, id)?;
            c.execute("DELETE FROM keks", [])?;
            Ok(())
        })
        .await;
    world.add(world.draft("other", Form::Password), secret("another")).await;
    let new_kek = world.kek(workspace()).await.unwrap();
    assert_eq!((new_kek.version, &new_kek.scope), (old_kek.version, &old_kek.scope), "name and version are the same");
    assert_ne!(new_kek.wrapped, old_kek.wrapped);
    // The old row does not open under the new key, whoever asks for a binding.
    let targets = vec![(host, world.binding(&old_row.meta.username))];
    let bound = world.vault.bind(old_row.clone(), new_kek.clone(), targets).await;
    assert!(matches!(bound, Err(Error::Tampered { found: Tampering::DataKey, .. })));
    // Nor where the broker itself wrote it back, with a seal that holds.
    world
        .change(move |c| {
            credentials::insert(c, &old_row)?;
            credentials::bind(c, &old_binding)
        })
        .await;
    let e = world.lease(id).await.map(drop).unwrap_err();
    assert!(matches!(e, Error::Tampered { found: Tampering::DataKey, .. }), "{e}");
    // And the old key that somebody else puts back is noticed before it is used.
    let copy = old_kek.wrapped.clone();
    world
        .store
        .append(move |c| -> Result<(), store::Error> { Ok(c.execute("UPDATE keks SET wrapped = ?1", [copy]).map(drop)?) })
        .await
        .unwrap();
    let e = world.lease(id).await.map(drop).unwrap_err();
    assert_eq!(e.kind(), Kind::Tampered, "{e}");
}
