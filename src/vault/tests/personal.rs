//! Sealed scopes: who opens them, and who does not, with the root key and the database at hand.

use crate::model::{Form, Scope, SlotId, SlotKind, UserId};
use crate::store::slots::{self as rows, Rekeyed, ScopeRows, SlotRow};
use crate::vault::code;
use crate::vault::slots::{Body, COST, Cost, kek_place, of_passphrase};
use crate::vault::tests::{World, config, open_store, secret};
use crate::vault::{AgentFault, Draft, Error, NewSlot, PassphraseFault, Tampering, Unlocker, Vault, crossing};

const PASSPHRASE: &str = "the passphrase of alice";

fn typed(text: &str) -> Unlocker {
    Unlocker::Typed(secret(text))
}

/// Puts a slot into the place of what lies there.
fn overwrite(c: &rusqlite::Connection, slot: &SlotRow) -> Result<(), crate::store::Error> {
    c.execute("DELETE FROM slots WHERE id = ?1", [slot.meta.id])?;
    rows::put(c, slot)
}

impl World {
    fn mine(&self) -> Scope {
        Scope::Personal(self.user.id)
    }

    /// A personal password of Alice's, bound to the host.
    async fn personal(&self, name: &str, password: &str) -> crate::model::CredentialId {
        self.add(Draft { scope: self.mine(), ..self.draft(name, Form::Password) }, secret(password)).await
    }

    async fn rekey(&self, before: ScopeRows, to: Rekeyed) {
        assert!(self.change(move |c| rows::rekey(c, &before, &to)).await);
    }

    /// Alice seals her scope; the recovery code.
    async fn sealed(&self) -> String {
        let (before, to, code) = self.vault.seal_scope(self.user.id, secret(PASSPHRASE)).await.unwrap();
        self.rekey(before, to).await;
        code.to_string()
    }

    async fn slots(&self) -> Vec<SlotRow> {
        let user = self.user.id;
        self.store.read(move |c| rows::of_user(c, user)).await.unwrap()
    }

    async fn password(&self, id: crate::model::CredentialId) -> Result<Vec<u8>, Error> {
        let lease = self.lease(id).await?;
        match lease.into_means() {
            crate::vault::Means::Password(password) => Ok(password.expose().to_vec()),
            crate::vault::Means::Key(_) | crate::vault::Means::Either(..) => panic!("another means"),
        }
    }
}

#[tokio::test]
async fn a_sealed_scope_opens_by_passphrase_and_by_code_and_by_nothing_else() {
    let w = World::new().await;
    let id = w.personal("mine", "hunter2hunter2").await;
    assert_eq!(w.password(id).await.unwrap(), b"hunter2hunter2");
    let code = w.sealed().await;
    assert!(matches!(w.password(id).await, Err(Error::ScopeSealed)), "the root key alone opens nothing");
    for wrong in ["the passphrase of alicf", "", "0000-0000-0000-0000-0000-0000-0000"] {
        assert!(matches!(w.vault.open_scope(w.user.id, typed(wrong)).await, Err(Error::OpensNothing)), "{wrong}");
        assert!(matches!(w.password(id).await, Err(Error::ScopeSealed)));
    }
    for (right, kind) in [(PASSPHRASE, SlotKind::Passphrase), (&code, SlotKind::Recovery), (&code.to_lowercase(), SlotKind::Recovery)] {
        assert_eq!(w.vault.open_scope(w.user.id, typed(right)).await.unwrap().1, kind);
        assert_eq!(w.password(id).await.unwrap(), b"hunter2hunter2");
        assert!(w.vault.lock_scope(w.user.id).await.unwrap());
        assert!(matches!(w.password(id).await, Err(Error::ScopeSealed)));
    }
    assert!(!w.vault.lock_scope(w.user.id).await.unwrap());
}

#[tokio::test]
async fn the_operators_root_key_and_a_copy_of_the_database_do_not_open_it() {
    let w = World::new().await;
    let id = w.personal("mine", "hunter2hunter2").await;
    w.sealed().await;
    w.vault.open_scope(w.user.id, typed(PASSPHRASE)).await.unwrap();
    assert!(w.store.checkpoint().await.unwrap());
    // What root copies while it is open: the files, not the memory.
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("etc")).unwrap();
    std::fs::copy(w.dir.path().join("k.db"), copy.path().join("k.db")).unwrap();
    std::fs::copy(w.dir.path().join("etc/root.key"), copy.path().join("etc/root.key")).unwrap();
    let store = open_store(copy.path());
    let vault = Vault::open(&store, config(copy.path()), w.clock.clone()).await.unwrap();
    let user = w.user.id;
    // The vault's own library, with everything that root has.
    let scope = store.read(move |c| rows::scope_rows(c, user)).await.unwrap();
    let (bodies, keks) = vault
        .keeper
        .ask(move |ring| {
            let (kek, slots) = ring.slots_of(&scope)?;
            assert!(matches!(ring.kek(&kek), Err(Error::ScopeSealed)));
            assert!(matches!(ring.unseal(&scope), Err(Error::ScopeSealed)));
            assert!(matches!(ring.another_slot(&scope, slots[0].0.clone(), slots[0].1.clone()), Err(Error::ScopeSealed)));
            Ok((slots, scope.keks))
        })
        .await
        .unwrap();
    assert_eq!((keks.len(), keks[0].version, bodies.len()), (1, 2, 2), "the key that the root key opened is gone");
    assert!(matches!(vault.unseal_scope(user).await, Err(Error::ScopeSealed)));
    assert!(matches!(vault.add_slot(user, NewSlot::Passphrase(secret("another passphrase"))).await, Err(Error::ScopeSealed)));
    assert!(matches!(vault.remove_slot(user, bodies[0].0.id).await, Err(Error::ScopeSealed)));
    let row = store.read(move |c| crate::store::credentials::row(c, id)).await.unwrap().unwrap();
    assert!(matches!(vault.bind(row, keks[0].clone(), Vec::new()).await, Err(Error::ScopeSealed)));
}

/// An older copy of the database has the older data keys. What is written after the sealing must not hang on them.
#[tokio::test]
async fn a_sudo_password_from_after_the_sealing_does_not_open_with_a_copy_from_before() {
    let w = World::new().await;
    let id = w.personal("mine", "hunter2hunter2").await;
    assert!(w.store.checkpoint().await.unwrap());
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("etc")).unwrap();
    std::fs::copy(w.dir.path().join("k.db"), copy.path().join("k.db")).unwrap();
    std::fs::copy(w.dir.path().join("etc/root.key"), copy.path().join("etc/root.key")).unwrap();
    w.sealed().await;
    w.vault.open_scope(w.user.id, typed(PASSPHRASE)).await.unwrap();
    let held = w.held(id).await;
    let (row, kek) = (held.row.clone(), held.kek.clone());
    let sudo = w.vault.sudo_for(held, row, kek, crate::vault::Sudo::Set(secret("lifts"))).await.unwrap();
    // Into the old copy with it, and sealed there: with the root key that is easy.
    let store = open_store(copy.path());
    let vault = Vault::open(&store, config(copy.path()), w.clock.clone()).await.unwrap();
    store.change(move |c| crate::store::sudo::put(c, id, sudo.as_deref())).await.unwrap();
    let old = World { store: store.clone(), vault, ..w };
    let held = old.held(id).await;
    let (mut after, kek) = (held.row.clone(), held.kek.clone());
    after.wrapped_dek.clear();
    let found = old.vault.sudo_for(held, after, kek, crate::vault::Sudo::Keep).await;
    assert!(matches!(found, Err(Error::Tampered { found: Tampering::Sudo, .. })), "{found:?}");
}

#[tokio::test]
async fn the_ciphertext_that_the_root_key_opened_has_left_the_files() {
    let w = World::new().await;
    w.personal("mine", "hunter2hunter2").await;
    let before = w.kek(w.mine()).await.unwrap();
    w.sealed().await;
    assert!(w.store.checkpoint().await.unwrap());
    for file in ["k.db", "k.db-wal"] {
        let bytes = std::fs::read(w.dir.path().join(file)).unwrap_or_default();
        assert!(!bytes.windows(32).any(|window| window == &before.wrapped[1..33]), "{file} has the old key");
    }
}

#[tokio::test]
async fn somebody_elses_slot_opens_nothing() {
    let w = World::new().await;
    w.personal("mine", "hunter2hunter2").await;
    w.sealed().await;
    let bob = UserId::from([9; 16]);
    let user = crate::model::User { id: bob, name: "bob".parse().unwrap(), ..w.user.clone() };
    w.change(move |c| crate::store::users::insert(c, &user)).await;
    let (before, to, _) = w.vault.seal_scope(bob, secret("the passphrase of bob")).await.unwrap();
    w.rekey(before, to).await;
    assert!(matches!(w.vault.open_scope(w.user.id, typed("the passphrase of bob")).await, Err(Error::OpensNothing)));
    w.vault.open_scope(bob, typed("the passphrase of bob")).await.unwrap();
    let (alice, bob_slots) = (w.slots().await, w.store.read(move |c| rows::of_user(c, bob)).await.unwrap());
    // With the root key, and so with a seal that holds: Bob's slot in the place of Alice's.
    let mut swapped = alice[0].clone();
    swapped.wrapped = bob_slots[0].wrapped.clone();
    w.change(move |c| overwrite(c, &swapped)).await;
    let found = w.vault.open_scope(w.user.id, typed("the passphrase of bob")).await;
    assert!(matches!(found, Err(Error::Tampered { found: Tampering::Slot, .. })), "{found:?}");
    // Without it nothing is looked at.
    w.tamper("UPDATE slots SET label = 'x'").await;
    let found = w.vault.open_scope(bob, typed("the passphrase of bob")).await;
    assert!(matches!(found, Err(Error::Tampered { found: Tampering::State, .. })), "{found:?}");
}

#[tokio::test]
async fn a_slot_with_a_cheaper_derivation_is_tampering_also_under_the_root_key() {
    let w = World::new().await;
    w.sealed().await;
    let row = w.slots().await.into_iter().find(|s| s.meta.kind == SlotKind::Passphrase).unwrap();
    let cheap = w
        .vault
        .keeper
        .ask(move |ring| {
            let body = ring.slot_body(&row)?;
            ring.slot_row(row.meta, &Body { cost: Cost { memory: 8, passes: 1, lanes: 1 }, ..body })
        })
        .await
        .unwrap();
    w.change(move |c| overwrite(c, &cheap)).await;
    let found = w.vault.open_scope(w.user.id, typed(PASSPHRASE)).await;
    assert!(matches!(found, Err(Error::Tampered { found: Tampering::Slot, .. })), "{found:?}");
}

#[tokio::test]
async fn a_ciphertext_for_two_keys_in_a_slot_opens_under_one_at_most() {
    // GCM alone lets one ciphertext open under two keys; the commitment in front of it is one key's.
    let w = World::new().await;
    w.sealed().await;
    let row = w.slots().await.into_iter().find(|s| s.meta.kind == SlotKind::Passphrase).unwrap();
    w.vault
        .keeper
        .ask(move |ring| {
            let body = ring.slot_body(&row)?;
            let pair = |text: &str| of_passphrase(text.as_bytes(), &ring.vault, row.meta.id, &body.salt, COST).unwrap();
            let (one, two) = (pair("a first guess of it"), pair("a second guess of it"));
            let place = kek_place(&ring.vault, &row.meta, body.version);
            let to_one = crossing::seal_to(&one.public, &place, &[1; 32]).unwrap();
            let to_two = crossing::seal_to(&two.public, &place, &[1; 32]).unwrap();
            // Every piece of the one blob with every piece of the other: fresh key, salt, commitment, nonce and ciphertext.
            let cuts = [0, 33, 66, 98, 110, to_one.len()];
            for mask in 0u32..32 {
                let mixed: Vec<u8> =
                    (0..5).flat_map(|i| if mask >> i & 1 == 0 { &to_one } else { &to_two }[cuts[i]..cuts[i + 1]].to_vec()).collect();
                let opens = [&one, &two].iter().filter(|pair| crossing::open_with(pair, &place, &mixed).is_ok()).count();
                assert!(opens <= usize::from(mask == 0 || mask == 31), "{mask}");
            }
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_removed_slot_opens_nothing_and_two_stay() {
    let w = World::new().await;
    let id = w.personal("mine", "hunter2hunter2").await;
    let code = w.sealed().await;
    w.vault.open_scope(w.user.id, typed(PASSPHRASE)).await.unwrap();
    let first = w.slots().await[0].meta.clone();
    assert!(matches!(w.vault.remove_slot(w.user.id, first.id).await, Err(Error::LastSlots)));
    assert!(matches!(w.vault.remove_slot(w.user.id, SlotId::from([0; 16])).await, Err(Error::NoSlot)));
    let (_, slot, _) = w.vault.add_slot(w.user.id, NewSlot::Passphrase(secret("another passphrase"))).await.unwrap();
    let added = slot.meta.id;
    w.change(move |c| overwrite(c, &slot)).await;
    let of_passphrase = |s: &SlotRow| s.meta.kind == SlotKind::Passphrase && s.meta.id != added;
    let removed = w.slots().await.into_iter().find(of_passphrase).unwrap();
    let old = w.kek(w.mine()).await.unwrap();
    let (before, to) = w.vault.remove_slot(w.user.id, removed.meta.id).await.unwrap();
    w.rekey(before, to).await;
    w.vault.lock_scope(w.user.id).await.unwrap();
    assert!(matches!(w.vault.open_scope(w.user.id, typed(PASSPHRASE)).await, Err(Error::OpensNothing)));
    let now = w.kek(w.mine()).await.unwrap();
    assert!(now.version > old.version && now.wrapped != old.wrapped, "a new key, that the slot never had");
    for still in ["another passphrase", &code] {
        w.vault.open_scope(w.user.id, typed(still)).await.unwrap();
        assert_eq!(w.password(id).await.unwrap(), b"hunter2hunter2");
        w.vault.lock_scope(w.user.id).await.unwrap();
    }
    // The row of the removed slot put back, as whoever holds the root key can: it opens to a key that is not the scope's any more.
    w.change(move |c| overwrite(c, &removed)).await;
    let found = w.vault.open_scope(w.user.id, typed(PASSPHRASE)).await;
    assert!(matches!(found, Err(Error::Tampered { found: Tampering::Slot, .. })), "{found:?}");
}

#[tokio::test]
async fn a_secret_is_added_and_changed_while_nobody_is_there_and_read_when_its_owner_is() {
    let w = World::new().await;
    w.sealed().await;
    let id = w.personal("late", "added in absence").await;
    assert!(matches!(w.password(id).await, Err(Error::ScopeSealed)));
    w.vault.open_scope(w.user.id, typed(PASSPHRASE)).await.unwrap();
    assert_eq!(w.password(id).await.unwrap(), b"added in absence");
    let again = w.personal("soon", "added in presence").await;
    assert_eq!(w.password(again).await.unwrap(), b"added in presence");
    // A new key takes both along, and giving sealing up, too.
    let (_, slot, _) = w.vault.add_slot(w.user.id, NewSlot::Recovery).await.unwrap();
    let extra = slot.meta.id;
    w.change(move |c| overwrite(c, &slot)).await;
    let (before, to) = w.vault.remove_slot(w.user.id, extra).await.unwrap();
    w.rekey(before, to).await;
    w.vault.open_scope(w.user.id, typed(PASSPHRASE)).await.unwrap();
    assert_eq!(w.password(id).await.unwrap(), b"added in absence");
    let (before, to) = w.vault.unseal_scope(w.user.id).await.unwrap();
    w.rekey(before, to).await;
    w.vault.lock_scope(w.user.id).await.unwrap();
    assert_eq!(w.password(id).await.unwrap(), b"added in absence");
    assert_eq!(w.password(again).await.unwrap(), b"added in presence");
    assert!(w.slots().await.is_empty());
}

#[tokio::test]
async fn an_agents_slot_opens_by_the_same_signature_alone() {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    let w = World::new().await;
    w.sealed().await;
    w.vault.open_scope(w.user.id, typed(PASSPHRASE)).await.unwrap();
    let key = Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap();
    let public =
        russh::keys::PublicKey::from(russh::keys::ssh_key::public::Ed25519PublicKey(key.public_key().as_ref().try_into().unwrap()));
    let public = public.to_openssh().unwrap();
    let ask = w.vault.ask_new_agent(w.user.id, public.clone()).await.unwrap();
    let signature = key.sign(&ask.data);
    let new = |twice: Vec<u8>| NewSlot::Agent {
        key: public.clone(),
        id: ask.slot,
        salt: ask.salt.clone(),
        twice: crate::secret::Secret::new(twice),
    };
    let mut other = signature.as_ref().to_vec();
    other[0] ^= 1;
    let unsteady = w.vault.add_slot(w.user.id, new([signature.as_ref(), &other].concat())).await;
    assert!(matches!(unsteady, Err(Error::Agent(AgentFault::Unsteady))), "{unsteady:?}");
    let wrong = w.vault.add_slot(w.user.id, new([&other[..], &other].concat())).await;
    assert!(matches!(wrong, Err(Error::Agent(AgentFault::Wrong))), "{wrong:?}");
    // S plus the order of the group verifies where S is not looked at.
    let mut high = signature.as_ref().to_vec();
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0x10,
    ];
    let mut carry = 0u16;
    for (byte, add) in high[32..].iter_mut().zip(order) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = u8::try_from(carry & 0xff).unwrap();
        carry >>= 8;
    }
    let wrong = w.vault.add_slot(w.user.id, new([&high[..], &high].concat())).await;
    assert!(matches!(wrong, Err(Error::Agent(AgentFault::Wrong))), "{wrong:?}");
    let (_, slot, _) = w.vault.add_slot(w.user.id, new([signature.as_ref(), signature.as_ref()].concat())).await.unwrap();
    w.change(move |c| overwrite(c, &slot)).await;
    w.vault.lock_scope(w.user.id).await.unwrap();
    let asks = w.vault.ask_agent(w.user.id).await.unwrap();
    assert_eq!((asks.len(), &asks[0]), (1, &ask));
    let sign = |bytes: &[u8]| Unlocker::Agent(ask.slot, crate::secret::Secret::new(bytes.to_vec()));
    assert!(matches!(w.vault.open_scope(w.user.id, sign(&other)).await, Err(Error::OpensNothing)));
    assert_eq!(w.vault.open_scope(w.user.id, sign(key.sign(&asks[0].data).as_ref())).await.unwrap(), (ask.slot, SlotKind::Agent));
}

#[tokio::test]
async fn what_cannot_be_a_passphrase_changes_nothing() {
    let w = World::new().await;
    for (text, fault) in [("short", PassphraseFault::Short), (code::write(&[7; 16]).as_str(), PassphraseFault::Code)] {
        let found = w.vault.seal_scope(w.user.id, secret(text)).await;
        assert!(matches!(&found, Err(Error::Passphrase(f)) if *f == fault), "{found:?}");
    }
    assert!(matches!(w.vault.unseal_scope(w.user.id).await, Err(Error::NotSealed)));
    w.sealed().await;
    assert!(matches!(w.vault.seal_scope(w.user.id, secret(PASSPHRASE)).await, Err(Error::AlreadySealed)));
}
