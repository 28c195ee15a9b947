//! Rows of slots, and which scopes are sealed: ciphertext only.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Error;
use super::credentials::{BindingRow, CredentialRow, KekRow};
use crate::model::{CredentialId, Host, HostId, Scope, Slot, UserId};

/// How the `wrapped` of a scope's key begins that the root key does not open.
pub const SEALED: u8 = 2;

/// A slot with its ciphertext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotRow {
    /// What its owner may see.
    pub meta: Slot,
    /// The whole slot, wrapped by the root key.
    pub wrapped: Vec<u8>,
}

/// A scope under a new key: what stands in the place of its old rows.
#[derive(Clone, Debug)]
pub struct Rekeyed {
    /// The new key; every other one of the scope goes.
    pub kek: KekRow,
    /// Each credential under a data key of its own that is new, too.
    pub credentials: Vec<Resealed>,
    /// Each binding.
    pub bindings: Vec<BindingRow>,
    /// The slots, all of them; none: the root key opens the scope.
    pub slots: Vec<SlotRow>,
}

/// A credential whose data key was replaced with its scope's.
#[derive(Clone, Debug)]
pub struct Resealed {
    /// Which.
    pub id: CredentialId,
    /// The secret.
    pub sealed: Vec<u8>,
    /// The sudo password, if it has one of its own.
    pub sudo: Option<Vec<u8>>,
    /// The data key.
    pub wrapped_dek: Vec<u8>,
}

/// A credential with its sudo password, and its bindings with their hosts.
pub type Whole = (CredentialRow, Option<Vec<u8>>, Vec<(BindingRow, Host)>);

/// A personal scope with everything that its key wraps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeRows {
    /// Whose.
    pub user: UserId,
    /// Its keys, oldest first.
    pub keks: Vec<KekRow>,
    /// Its slots, oldest first.
    pub slots: Vec<SlotRow>,
    /// Its credentials.
    pub credentials: Vec<Whole>,
}

impl KekRow {
    /// Whether only its owner's slots open it, and the root key alone does not.
    pub fn is_sealed(&self) -> bool {
        self.wrapped.first() == Some(&SEALED)
    }
}

fn slot_row(r: &Row<'_>) -> rusqlite::Result<SlotRow> {
    let meta = Slot { id: r.get(0)?, user: r.get(1)?, kind: r.get(2)?, label: r.get(3)?, created_at: r.get(5)? };
    Ok(SlotRow { meta, wrapped: r.get(4)? })
}

const COLUMNS: &str = "id, user, kind, label, wrapped, created_at";

/// The slots of a person, oldest first.
///
/// # Errors
/// What SQLite says.
pub fn of_user(c: &Connection, user: UserId) -> Result<Vec<SlotRow>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM slots WHERE user = ?1 ORDER BY created_at, id");
    Ok(c.prepare_cached(&sql)?.query_map([user], slot_row)?.collect::<Result<_, _>>()?)
}

/// Every slot: what has to be wrapped anew when the root key changes.
///
/// # Errors
/// What SQLite says.
pub fn all(c: &Connection) -> Result<Vec<SlotRow>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM slots ORDER BY id");
    Ok(c.prepare_cached(&sql)?.query_map([], slot_row)?.collect::<Result<_, _>>()?)
}

/// Whether a scope is sealed by its owner.
///
/// # Errors
/// What SQLite says.
pub fn is_sealed(c: &Connection, scope: &Scope) -> Result<bool, Error> {
    let sql = "SELECT substr(wrapped, 1, 1) = x'02' FROM keks WHERE scope = ?1 ORDER BY version DESC LIMIT 1";
    Ok(c.prepare_cached(sql)?.query_row([scope], |r| r.get(0)).optional()?.unwrap_or(false))
}

/// Adds a slot.
///
/// # Errors
/// What SQLite says.
pub fn put(c: &Connection, slot: &SlotRow) -> Result<(), Error> {
    let m = &slot.meta;
    c.execute(
        "INSERT INTO slots(id, user, kind, label, wrapped, created_at) VALUES(?1,?2,?3,?4,?5,?6)",
        params![m.id, m.user, m.kind, m.label, slot.wrapped, m.created_at],
    )?;
    Ok(())
}

/// Puts a scope under a new key: the old keys, slots and wrapped data keys are overwritten. `false`: the rows are not those that were
/// read `before`, and nothing was written.
///
/// # Errors
/// What SQLite says.
pub fn rekey(c: &Connection, before: &ScopeRows, to: &Rekeyed) -> Result<bool, Error> {
    if scope_rows(c, before.user)? != *before {
        return Ok(false);
    }
    let version = to.kek.version;
    c.execute("DELETE FROM keks WHERE scope = ?1", [&to.kek.scope])?;
    super::credentials::insert_kek(c, &to.kek)?;
    for Resealed { id, sealed, sudo, wrapped_dek } in &to.credentials {
        let sql = "UPDATE credentials SET wrapped_dek = ?2, kek_version = ?3, sealed = ?4 WHERE id = ?1";
        c.execute(sql, params![id, wrapped_dek, version, sealed])?;
        super::sudo::put(c, *id, sudo.as_deref())?;
    }
    for binding in &to.bindings {
        super::credentials::bind(c, binding)?;
    }
    c.execute("DELETE FROM slots WHERE user = ?1", [before.user])?;
    for slot in &to.slots {
        put(c, slot)?;
    }
    Ok(true)
}

/// Everything that hangs on the keys of a person's scope, in the caller's snapshot.
///
/// # Errors
/// What SQLite says.
pub fn scope_rows(c: &Connection, user: UserId) -> Result<ScopeRows, Error> {
    let scope = Scope::Personal(user);
    let ids: Vec<CredentialId> = c
        .prepare_cached("SELECT id FROM credentials WHERE scope = ?1 ORDER BY id")?
        .query_map([&scope], |r| r.get(0))?
        .collect::<Result<_, _>>()?;
    let mut credentials = Vec::new();
    for id in ids {
        let Some(row) = super::credentials::row(c, id)? else { continue };
        let hosts: Vec<HostId> = c
            .prepare_cached("SELECT host FROM bindings WHERE credential = ?1 ORDER BY host")?
            .query_map([id], |r| r.get(0))?
            .collect::<Result<_, _>>()?;
        let mut bindings = Vec::new();
        for host in hosts {
            if let (Some(binding), Some(host)) = (super::credentials::binding(c, id, host)?, super::hosts::by_id(c, host)?) {
                bindings.push((binding, host));
            }
        }
        credentials.push((
            CredentialRow { meta: crate::model::Credential { last_used_at: None, ..row.meta }, ..row },
            super::sudo::sealed(c, id)?,
            bindings,
        ));
    }
    let keks = c
        .prepare_cached("SELECT scope, version, wrapped FROM keks WHERE scope = ?1 ORDER BY version")?
        .query_map([&scope], |r| Ok(KekRow { scope: r.get(0)?, version: r.get(1)?, wrapped: r.get(2)? }))?
        .collect::<Result<_, _>>()?;
    Ok(ScopeRows { user, keks, slots: of_user(c, user)?, credentials })
}
