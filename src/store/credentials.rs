//! Rows of credentials, key-encryption keys, bindings to hosts, and who chose which. Only ciphertext passes here.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Error;
use crate::clock::Time;
use crate::model::{Credential, CredentialId, HostId, Name, Scope, UserId};

/// A scope's key, wrapped by the root key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KekRow {
    /// Whose key.
    pub scope: Scope,
    /// Counts up with each rotation.
    pub version: u32,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
}

/// A credential with its ciphertexts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRow {
    /// What everybody may see.
    pub meta: Credential,
    /// The secret, encrypted with its data key.
    pub sealed: Vec<u8>,
    /// The data key, wrapped by the scope's key, bound to no host: it serves only to make bindings.
    pub wrapped_dek: Vec<u8>,
    /// Which version of the scope's key wraps.
    pub kek_version: u32,
}

/// A credential's data key bound to one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingRow {
    /// Of which credential.
    pub credential: CredentialId,
    /// To which host.
    pub host: HostId,
    /// The data key, wrapped with the host's binding as associated data.
    pub wrapped_dek: Vec<u8>,
    /// Which version of the scope's key wraps.
    pub kek_version: u32,
}

const COLUMNS: &str = "c.id, c.scope, c.name, c.username, c.kind, c.version, c.public_key, c.fingerprint, c.created_at, c.updated_at, \
    (SELECT last_used_at FROM credential_uses u WHERE u.credential = c.id)";
const META: usize = 11;
/// The next secret of a rotation is nothing that a name or a list leads to.
const LISTED: &str = "c.id NOT IN (SELECT next FROM rotations WHERE next IS NOT NULL)";

fn meta(row: &Row<'_>) -> rusqlite::Result<Credential> {
    Ok(Credential {
        id: row.get(0)?,
        scope: row.get(1)?,
        name: row.get(2)?,
        username: row.get(3)?,
        kind: row.get(4)?,
        version: row.get(5)?,
        public_key: row.get(6)?,
        fingerprint: row.get(7)?,
        created_at: row.get(8)?,
        updated_at: row.get(9)?,
        last_used_at: row.get(10)?,
    })
}

/// The newest key of a scope.
///
/// # Errors
/// What SQLite says.
pub fn newest_kek(c: &Connection, scope: &Scope) -> Result<Option<KekRow>, Error> {
    let sql = "SELECT scope, version, wrapped FROM keks WHERE scope = ?1 ORDER BY version DESC LIMIT 1";
    Ok(c.prepare_cached(sql)?.query_row([scope], kek_row).optional()?)
}

/// A certain version of a scope's key.
///
/// # Errors
/// [`Error::Malformed`] if it is not there though a credential names it.
pub fn kek(c: &Connection, scope: &Scope, version: u32) -> Result<KekRow, Error> {
    let sql = "SELECT scope, version, wrapped FROM keks WHERE scope = ?1 AND version = ?2";
    c.prepare_cached(sql)?
        .query_row(params![scope, version], kek_row)
        .optional()?
        .ok_or_else(|| Error::Malformed("a credential whose key is gone".to_owned()))
}

fn kek_row(r: &Row<'_>) -> rusqlite::Result<KekRow> {
    Ok(KekRow { scope: r.get(0)?, version: r.get(1)?, wrapped: r.get(2)? })
}

/// Any key that the root key wraps, to find out at the start whether the root key is this vault's.
///
/// # Errors
/// What SQLite says.
pub fn any_kek(c: &Connection) -> Result<Option<KekRow>, Error> {
    Ok(c.query_row(
        "SELECT scope, version, wrapped FROM keks WHERE substr(wrapped, 1, 1) <> x'02' ORDER BY scope, version LIMIT 1",
        [],
        kek_row,
    )
    .optional()?)
}

/// Adds a scope's key.
///
/// # Errors
/// [`Error::Duplicate`] if the version exists: somebody was faster, read it and try again.
pub fn insert_kek(c: &Connection, k: &KekRow) -> Result<(), Error> {
    c.execute("INSERT INTO keks(scope, version, wrapped) VALUES(?1,?2,?3)", params![k.scope, k.version, k.wrapped])?;
    Ok(())
}

/// Whether a version of a scope's key is there. Asked before anything is written that it wraps: what was sealed while the scope's key
/// was replaced would never open again.
///
/// # Errors
/// [`Error::Missing`].
pub fn has_kek(c: &Connection, scope: &Scope, version: u32) -> Result<(), Error> {
    let sql = "SELECT EXISTS(SELECT 1 FROM keks WHERE scope = ?1 AND version = ?2)";
    match c.prepare_cached(sql)?.query_row(params![scope, version], |r| r.get(0))? {
        true => Ok(()),
        false => Err(Error::Missing("key any more that this was sealed with: it was replaced meanwhile, try again".to_owned())),
    }
}

/// Adds a credential.
///
/// # Errors
/// [`Error::Duplicate`]; [`Error::Missing`] if the scope's key was replaced meanwhile.
pub fn insert(c: &Connection, r: &CredentialRow) -> Result<(), Error> {
    let m = &r.meta;
    has_kek(c, &m.scope, r.kek_version)?;
    if by_name(c, &m.scope, &m.name)?.is_some() {
        return Err(Error::Duplicate(format!("a {} credential named {}", m.scope.word(), m.name)));
    }
    c.execute(
        "INSERT INTO credentials(id, scope, name, username, kind, version, public_key, fingerprint, sealed, wrapped_dek, kek_version, created_at, updated_at)
         VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)",
        params![m.id, m.scope, m.name, m.username, m.kind, m.version, m.public_key, m.fingerprint, r.sealed, r.wrapped_dek, r.kek_version, m.created_at, m.updated_at],
    )?;
    super::secret_ages::note(c, m.id, m.created_at)
}

/// Writes all of a credential that exists, ciphertexts included.
///
/// # Errors
/// [`Error::Missing`], [`Error::Duplicate`].
pub fn update(c: &Connection, r: &CredentialRow) -> Result<(), Error> {
    let m = &r.meta;
    has_kek(c, &m.scope, r.kek_version)?;
    if by_name(c, &m.scope, &m.name)?.is_some_and(|other| other.id != m.id) {
        return Err(Error::Duplicate(format!("a {} credential named {}", m.scope.word(), m.name)));
    }
    super::secret_ages::note_if_new(c, m.id, m.version, m.updated_at)?;
    let n = c.execute(
        "UPDATE credentials SET name=?2, username=?3, kind=?4, version=?5, public_key=?6, fingerprint=?7, sealed=?8, wrapped_dek=?9, kek_version=?10, updated_at=?11 WHERE id=?1",
        params![m.id, m.name, m.username, m.kind, m.version, m.public_key, m.fingerprint, r.sealed, r.wrapped_dek, r.kek_version, m.updated_at],
    )?;
    if n == 0 { Err(Error::Missing("such credential".to_owned())) } else { Ok(()) }
}

/// Deletes a credential with its bindings and choices.
///
/// # Errors
/// [`Error::Missing`].
pub fn remove(c: &Connection, id: CredentialId) -> Result<(), Error> {
    c.execute("DELETE FROM credential_uses WHERE credential = ?1", [id])?;
    match c.execute("DELETE FROM credentials WHERE id = ?1", [id])? {
        0 => Err(Error::Missing("such credential".to_owned())),
        _ => Ok(()),
    }
}

/// A credential of a scope by name.
///
/// # Errors
/// What SQLite says.
pub fn by_name(c: &Connection, scope: &Scope, name: &Name) -> Result<Option<Credential>, Error> {
    Ok(c.prepare_cached(&format!("SELECT {COLUMNS} FROM credentials c WHERE c.scope = ?1 AND c.name = ?2 AND {LISTED}"))?
        .query_row(params![scope, name], meta)
        .optional()?)
}

/// A credential by id.
///
/// # Errors
/// What SQLite says.
pub fn by_id(c: &Connection, id: CredentialId) -> Result<Option<Credential>, Error> {
    Ok(c.prepare_cached(&format!("SELECT {COLUMNS} FROM credentials c WHERE c.id = ?1"))?.query_row([id], meta).optional()?)
}

/// A credential with its ciphertexts.
///
/// # Errors
/// What SQLite says.
pub fn row(c: &Connection, id: CredentialId) -> Result<Option<CredentialRow>, Error> {
    let sql = format!("SELECT {COLUMNS}, c.sealed, c.wrapped_dek, c.kek_version FROM credentials c WHERE c.id = ?1");
    let full = |r: &Row<'_>| {
        Ok(CredentialRow { meta: meta(r)?, sealed: r.get(META)?, wrapped_dek: r.get(META + 1)?, kek_version: r.get(META + 2)? })
    };
    Ok(c.prepare_cached(&sql)?.query_row([id], full).optional()?)
}

/// What a person may see: the workspace's and their own, by name.
///
/// # Errors
/// What SQLite says.
pub fn visible(c: &Connection, workspace: &Name, user: UserId) -> Result<Vec<Credential>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM credentials c WHERE c.scope IN (?1, ?2) AND {LISTED} ORDER BY c.name, c.scope");
    let rows = c
        .prepare_cached(&sql)?
        .query_map(params![Scope::Workspace(workspace.clone()), Scope::Personal(user)], meta)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// Whether a scope has any credential.
///
/// # Errors
/// What SQLite says.
pub fn any_in(c: &Connection, scope: &Scope) -> Result<bool, Error> {
    Ok(c.prepare_cached("SELECT EXISTS(SELECT 1 FROM credentials WHERE scope = ?1)")?.query_row(params![scope], |r| r.get(0))?)
}

/// The names of the hosts that a credential is bound to.
///
/// # Errors
/// What SQLite says.
pub fn hosts_of(c: &Connection, id: CredentialId) -> Result<Vec<(HostId, Name)>, Error> {
    let sql = "SELECT h.id, h.name FROM bindings b JOIN hosts h ON h.id = b.host WHERE b.credential = ?1 ORDER BY h.name";
    Ok(c.prepare_cached(sql)?.query_map([id], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<Result<_, _>>()?)
}

/// The credentials that are bound to a host.
///
/// # Errors
/// What SQLite says.
pub fn bound_to(c: &Connection, host: HostId) -> Result<Vec<Credential>, Error> {
    let sql =
        format!("SELECT {COLUMNS} FROM bindings b JOIN credentials c ON c.id = b.credential WHERE b.host = ?1 ORDER BY c.name, c.scope");
    Ok(c.prepare_cached(&sql)?.query_map([host], meta)?.collect::<Result<_, _>>()?)
}

/// The binding of a credential to a host.
///
/// # Errors
/// What SQLite says.
pub fn binding(c: &Connection, credential: CredentialId, host: HostId) -> Result<Option<BindingRow>, Error> {
    let sql = "SELECT credential, host, wrapped_dek, kek_version FROM bindings WHERE credential = ?1 AND host = ?2";
    Ok(c.prepare_cached(sql)?
        .query_row(params![credential, host], |r| {
            Ok(BindingRow { credential: r.get(0)?, host: r.get(1)?, wrapped_dek: r.get(2)?, kek_version: r.get(3)? })
        })
        .optional()?)
}

/// Writes a binding, new or wrapped anew.
///
/// # Errors
/// What SQLite says.
pub fn bind(c: &Connection, b: &BindingRow) -> Result<(), Error> {
    if let Some(credential) = by_id(c, b.credential)? {
        has_kek(c, &credential.scope, b.kek_version)?;
    }
    c.execute(
        "INSERT INTO bindings(credential, host, wrapped_dek, kek_version) VALUES(?1,?2,?3,?4)
         ON CONFLICT(credential, host) DO UPDATE SET wrapped_dek = ?3, kek_version = ?4",
        params![b.credential, b.host, b.wrapped_dek, b.kek_version],
    )?;
    Ok(())
}

/// Removes a binding and the choices that stand on it.
///
/// # Errors
/// What SQLite says.
pub fn unbind(c: &Connection, credential: CredentialId, host: HostId) -> Result<bool, Error> {
    Ok(c.execute("DELETE FROM bindings WHERE credential = ?1 AND host = ?2", params![credential, host])? > 0)
}

/// Removes a binding that nobody chose, for the host or for its whole workspace. `false`: somebody did, or there is none.
///
/// # Errors
/// What SQLite says.
pub fn unbind_if_unchosen(c: &Connection, credential: CredentialId, host: HostId) -> Result<bool, Error> {
    if super::defaults::is_of_workspace_of(c, host, credential)? {
        return Ok(false);
    }
    let sql = "DELETE FROM bindings WHERE credential = ?1 AND host = ?2 AND NOT EXISTS(SELECT 1 FROM choices x WHERE x.credential = ?1 AND x.host = ?2)";
    Ok(c.execute(sql, params![credential, host])? > 0)
}

fn chooser(user: Option<UserId>) -> String {
    user.map(|u| u.to_string()).unwrap_or_default()
}

/// Makes a bound credential the host's default (`None`) or a person's own choice.
///
/// # Errors
/// What SQLite says.
pub fn choose(c: &Connection, host: HostId, user: Option<UserId>, credential: CredentialId) -> Result<(), Error> {
    c.execute(
        "INSERT INTO choices(host, user, credential) VALUES(?1,?2,?3) ON CONFLICT(host, user) DO UPDATE SET credential = ?3",
        params![host, chooser(user), credential],
    )?;
    Ok(())
}

fn shared_key(credential: CredentialId) -> String {
    format!("any:{credential}")
}

/// Lets everybody who is granted the host name a bound credential (`CREDENTIAL@HOST`), or takes that back. `false`: nothing changed.
///
/// # Errors
/// What SQLite says.
pub fn share(c: &Connection, host: HostId, credential: CredentialId, shared: bool) -> Result<bool, Error> {
    let sql = if shared {
        "INSERT OR IGNORE INTO choices(host, user, credential) VALUES(?1,?2,?3)"
    } else {
        "DELETE FROM choices WHERE host = ?1 AND user = ?2 AND credential = ?3"
    };
    Ok(c.execute(sql, params![host, shared_key(credential), credential])? > 0)
}

/// Whether everybody who is granted the host may name it.
///
/// # Errors
/// What SQLite says.
pub fn is_shared(c: &Connection, host: HostId, credential: CredentialId) -> Result<bool, Error> {
    let sql = "SELECT EXISTS(SELECT 1 FROM choices WHERE host = ?1 AND user = ?2)";
    Ok(c.prepare_cached(sql)?.query_row(params![host, shared_key(credential)], |r| r.get(0))?)
}

/// Takes a choice back. `false`: it was not made.
///
/// # Errors
/// What SQLite says.
pub fn unchoose(c: &Connection, host: HostId, user: Option<UserId>, credential: CredentialId) -> Result<bool, Error> {
    Ok(c.execute("DELETE FROM choices WHERE host = ?1 AND user = ?2 AND credential = ?3", params![host, chooser(user), credential])? > 0)
}

/// The host's default (`None`) or a person's own choice.
///
/// # Errors
/// What SQLite says.
pub fn chosen(c: &Connection, host: HostId, user: Option<UserId>) -> Result<Option<Credential>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM choices x JOIN credentials c ON c.id = x.credential WHERE x.host = ?1 AND x.user = ?2");
    Ok(c.prepare_cached(&sql)?.query_row(params![host, chooser(user)], meta).optional()?)
}

/// Notes that a credential signed in. Not part of the sealed state.
///
/// # Errors
/// What SQLite says.
pub fn used(c: &Connection, id: CredentialId, at: Time) -> Result<(), Error> {
    c.execute(
        "INSERT INTO credential_uses(credential, last_used_at) VALUES(?1,?2) ON CONFLICT(credential) DO UPDATE SET last_used_at = ?2",
        params![id, at],
    )?;
    Ok(())
}
