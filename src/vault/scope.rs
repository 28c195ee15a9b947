//! A personal scope that its owner sealed, on the keeper's thread: its key comes out of a slot, waits here while the scope is open,
//! and is wiped when it is locked. Never hands the scope's key to anybody.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::crossing::{self, Pair};
use super::envelope::{self, Broken, Bytes, KEY, Place};
use super::error::{Error, Tampering};
use super::ring::{Ring, system};
use super::slots::{self, Body};
use crate::model::{HostBinding, Scope, Slot, SlotId, UserId};
use crate::store::credentials::{BindingRow, KekRow};
use crate::store::slots::{Rekeyed, Resealed, SEALED, ScopeRows, SlotRow};

/// The keys of scopes that are open, by person.
#[derive(Default)]
pub(super) struct OpenScopes(BTreeMap<UserId, (u32, Bytes)>);

/// What wraps data keys: the scope's key, or – while nobody opened it – its public half.
pub(super) enum Wrap {
    Key(Bytes),
    To(Vec<u8>),
}

impl Wrap {
    pub(super) fn seal(&self, place: &Place, dek: &[u8]) -> Result<Vec<u8>, Broken> {
        match self {
            Self::Key(key) => envelope::seal(key, place, dek),
            Self::To(public) => crossing::seal_to(public, place, dek),
        }
    }
}

/// What opens a slot: the private half of its key pair.
pub(super) struct Opener {
    pub(super) slot: Slot,
    pub(super) body: Body,
    pub(super) pair: Pair,
}

impl Ring {
    /// The key of a sealed scope, if it is open.
    pub(super) fn open_kek(&self, row: &KekRow) -> Result<Bytes, Error> {
        let Scope::Personal(user) = &row.scope else { return Err(self.tampered(Tampering::Kek)) };
        match self.open.0.get(user) {
            Some((version, key)) if *version == row.version => Ok(Zeroizing::clone(key)),
            _ => Err(Error::ScopeSealed),
        }
    }

    /// What wraps data keys of this scope now.
    pub(super) fn wrap_of(&self, row: &KekRow) -> Result<Wrap, Error> {
        match self.kek(row) {
            Ok(key) => Ok(Wrap::Key(key)),
            Err(Error::ScopeSealed) => Ok(Wrap::To(self.sealed_parts(row)?.0.to_vec())),
            Err(e) => Err(e),
        }
    }

    /// Opens a data key that `key`, the scope's, wraps, or that was sealed to the scope's public half.
    pub(super) fn open_dek(&self, row: &KekRow, key: &[u8], place: &Place, blob: &[u8]) -> Result<Bytes, Broken> {
        if blob.first() != Some(&SEALED) {
            return envelope::open(key, place, blob);
        }
        let pair = self.scope_pair(row, key).map_err(|_| Broken)?;
        crossing::open_with(&pair, place, blob)
    }

    fn sealed_parts<'a>(&self, row: &'a KekRow) -> Result<(&'a [u8], &'a [u8]), Error> {
        let parts = row.wrapped.split_first().filter(|(tag, _)| **tag == SEALED).and_then(|(_, rest)| rest.split_at_checked(KEY));
        parts.ok_or_else(|| self.tampered(Tampering::Kek))
    }

    /// The scope's own key pair: its public half is in the row, its private half under the scope's key.
    fn scope_pair(&self, row: &KekRow, key: &[u8]) -> Result<Pair, Error> {
        let (public, wrapped) = self.sealed_parts(row)?;
        let place = self.private_place(&row.scope, row.version);
        let private = envelope::open(key, &place, wrapped).map_err(|_| self.tampered(Tampering::Kek))?;
        let pair = system(Pair::of(private))?;
        if pair.public == public { Ok(pair) } else { Err(self.tampered(Tampering::Kek)) }
    }

    fn private_place(&self, scope: &Scope, version: u32) -> Place {
        Place::personal(&self.vault, "private half", &[scope.key().as_bytes(), &version.to_be_bytes()])
    }

    /// A slot's row: the whole slot under the root key. The one function that puts anything into it.
    pub(super) fn slot_row(&self, meta: Slot, body: &Body) -> Result<SlotRow, Error> {
        let wrapped = system(wrap_slot(&self.root, &self.vault, &meta, body))?;
        Ok(SlotRow { meta, wrapped })
    }

    /// What lies in a slot's row.
    pub(super) fn slot_body(&self, row: &SlotRow) -> Result<Body, Error> {
        let place = slots::place(&self.vault, "slot", &row.meta);
        let opened = envelope::open(&self.root, &place, &row.wrapped).ok().or_else(|| self.open_beside(&place, &row.wrapped));
        let body = opened.and_then(|bytes| Body::decode(&bytes));
        body.filter(|body| body.kind == row.meta.kind).ok_or_else(|| self.tampered(Tampering::Slot))
    }

    /// The slots of a scope, with the key that they are to open, as it stands now.
    pub(super) fn slots_of(&self, rows: &ScopeRows) -> Result<(KekRow, Vec<(Slot, Body)>), Error> {
        let kek = rows.keks.last().filter(|kek| kek.is_sealed()).cloned().ok_or(Error::NotSealed)?;
        let mut out = Vec::with_capacity(rows.slots.len());
        for row in &rows.slots {
            let body = self.slot_body(row)?;
            if row.meta.user != rows.user || body.version != kek.version {
                return Err(self.tampered(Tampering::Slot));
            }
            out.push((row.meta.clone(), body));
        }
        Ok((kek, out))
    }

    /// Opens a scope with the first of these that opens it. `None`: none does. Each is tried, so that the time tells nothing.
    pub(super) fn open_scope(&mut self, user: UserId, kek: &KekRow, openers: &[Opener]) -> Result<Option<SlotId>, Error> {
        let mut found = None;
        for opener in openers {
            let place = slots::kek_place(&self.vault, &opener.slot, opener.body.version);
            if let Ok(key) = crossing::open_with(&opener.pair, &place, &opener.body.kek)
                && found.is_none()
            {
                found = Some((opener.slot.id, key));
            }
        }
        let Some((slot, key)) = found else { return Ok(None) };
        // A slot that opens to another key than the scope's is no slot of it.
        self.scope_pair(kek, &key)?;
        self.open.0.insert(user, (kek.version, key));
        Ok(Some(slot))
    }

    /// Forgets the key of a person's scope. `false`: it was not open.
    pub(super) fn lock_scope(&mut self, user: UserId) -> bool {
        self.open.0.remove(&user).is_some()
    }

    /// A new key for a sealed scope, and everything that hangs on it. `pairs`: the slots that are to open it, with the public halves of
    /// their key pairs. Needs the old key: the scope is open, or was never sealed.
    pub(super) fn seal_anew(&self, rows: &ScopeRows, slots: Vec<(Slot, Body)>) -> Result<Rekeyed, Error> {
        let scope = Scope::Personal(rows.user);
        let version = next_version(rows)?;
        let key = system(envelope::random(KEY))?;
        let pair = system(Pair::fresh())?;
        let private = system(envelope::seal(&key, &self.private_place(&scope, version), &pair.private))?;
        let wrapped = [&[SEALED][..], &pair.public, &private].concat();
        let mut out = self.rekeyed(rows, KekRow { scope, version, wrapped }, &Wrap::Key(Zeroizing::clone(&key)))?;
        for (meta, mut body) in slots {
            body.version = version;
            body.kek = system(crossing::seal_to(&body.public, &slots::kek_place(&self.vault, &meta, version), &key))?;
            out.slots.push(self.slot_row(meta, &body)?);
        }
        Ok(out)
    }

    /// The scope under the root key again.
    pub(super) fn unseal(&self, rows: &ScopeRows) -> Result<Rekeyed, Error> {
        let scope = Scope::Personal(rows.user);
        let version = next_version(rows)?;
        let key = system(envelope::random(KEY))?;
        let wrapped = system(envelope::seal(&self.root, &Place::kek(&self.vault, &scope, version), &key))?;
        self.rekeyed(rows, KekRow { scope, version, wrapped }, &Wrap::Key(key))
    }

    /// One more slot for a scope that is open; its key stays.
    pub(super) fn another_slot(&self, rows: &ScopeRows, meta: Slot, mut body: Body) -> Result<SlotRow, Error> {
        let (kek, _) = self.slots_of(rows)?;
        let key = self.kek(&kek)?;
        body.version = kek.version;
        body.kek = system(crossing::seal_to(&body.public, &slots::kek_place(&self.vault, &meta, kek.version), &key))?;
        self.slot_row(meta, &body)
    }

    /// Every data key of the scope, opened as it is and wrapped anew. What does not open is not healed.
    fn rekeyed(&self, rows: &ScopeRows, kek: KekRow, wrap: &Wrap) -> Result<Rekeyed, Error> {
        let mut out = Rekeyed { kek, credentials: Vec::new(), bindings: Vec::new(), slots: Vec::new() };
        let broken = |_| self.tampered(Tampering::DataKey);
        let key_of = |version: u32| {
            let row = rows.keks.iter().find(|k| k.version == version).ok_or_else(|| self.tampered(Tampering::Kek))?;
            Ok::<_, Error>((row, self.kek(row)?))
        };
        // Whether it may be changed at all is decided also where there is nothing to change.
        if let Some(newest) = rows.keks.last() {
            self.kek(newest)?;
        }
        for (row, sudo, bindings) in &rows.credentials {
            let (old, key) = key_of(row.kek_version)?;
            let (was, becomes) =
                (Place::dek(&self.vault, &row.meta, row.kek_version, None), Place::dek(&self.vault, &row.meta, out.kek.version, None));
            let dek = self.open_dek(old, &key, &was, &row.wrapped_dek).map_err(broken)?;
            // A data key of its own that is new, too: an older copy of the database still has the old one, under the old key.
            let fresh = system(envelope::random(KEY))?;
            let again = |place: &Place, blob: &[u8], found| {
                let plain = envelope::open(&dek, place, blob).map_err(|_| self.tampered(found))?;
                system(envelope::seal(&fresh, place, &plain))
            };
            let sealed = again(&Place::secret(&self.vault, &row.meta), &row.sealed, Tampering::Secret)?;
            let place = Place::sudo(&self.vault, &row.meta);
            let sudo = sudo.as_ref().map(|sudo| again(&place, sudo, Tampering::Sudo)).transpose()?;
            let wrapped_dek = system(wrap.seal(&becomes, &fresh))?;
            out.credentials.push(Resealed { id: row.meta.id, sealed, sudo, wrapped_dek });
            for (binding, host) in bindings {
                let pins = host.host_keys.iter().map(|key| key.fingerprint.clone()).collect();
                let bound = HostBinding::new(host.address.clone(), row.meta.username.clone(), pins);
                let (old, key) = key_of(binding.kek_version)?;
                let at = Some((binding.host, &bound));
                let was = Place::dek(&self.vault, &row.meta, binding.kek_version, at);
                let becomes = Place::dek(&self.vault, &row.meta, out.kek.version, at);
                // It must open for this host before it is made anew for it.
                self.open_dek(old, &key, &was, &binding.wrapped_dek).map_err(broken)?;
                let wrapped_dek = system(wrap.seal(&becomes, &fresh))?;
                out.bindings.push(BindingRow { wrapped_dek, kek_version: out.kek.version, ..binding.clone() });
            }
        }
        Ok(out)
    }
}

fn next_version(rows: &ScopeRows) -> Result<u32, Error> {
    rows.keks.last().map_or(0, |kek| kek.version).checked_add(1).ok_or(Error::Misused("too many versions of a scope's key"))
}

fn wrap_slot(root: &[u8], vault: &[u8; 16], meta: &Slot, body: &Body) -> Result<Vec<u8>, Broken> {
    envelope::seal(root, &slots::place(vault, "slot", meta), &body.encode())
}
