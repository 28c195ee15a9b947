//! Rows of certificate authorities and of what their certificates may say. Only ciphertext and public halves pass here.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Error, credentials};
use crate::model::{Authority, AuthorityStage, Credential, CredentialId, CredentialKind, Scope, Validity};

/// A key of a certificate authority with its ciphertexts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityRow {
    /// What everybody may see.
    pub meta: Authority,
    /// The private key, encrypted with its data key.
    pub sealed: Vec<u8>,
    /// The data key, wrapped by the scope's key.
    pub wrapped_dek: Vec<u8>,
    /// Which version of the scope's key wraps.
    pub kek_version: u32,
}

const COLUMNS: &str = "scope, generation, stage, kind, public_key, fingerprint, created_at, sealed, wrapped_dek, kek_version";

fn row(r: &Row<'_>) -> rusqlite::Result<AuthorityRow> {
    let no_key = || rusqlite::Error::InvalidColumnType(3, "kind".to_owned(), rusqlite::types::Type::Text);
    let kind = match r.get(3)? {
        CredentialKind::Key(kind) => kind,
        _ => return Err(no_key()),
    };
    Ok(AuthorityRow {
        meta: Authority {
            scope: r.get(0)?,
            generation: r.get(1)?,
            stage: r.get(2)?,
            kind,
            public_key: r.get(4)?,
            fingerprint: r.get(5)?,
            created_at: r.get(6)?,
        },
        sealed: r.get(7)?,
        wrapped_dek: r.get(8)?,
        kek_version: r.get(9)?,
    })
}

/// The keys of a scope's certificate authority, the oldest first; empty if it has none.
///
/// # Errors
/// What SQLite says.
pub fn of(c: &Connection, scope: &Scope) -> Result<Vec<AuthorityRow>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM authorities WHERE scope = ?1 ORDER BY generation");
    Ok(c.prepare_cached(&sql)?.query_map([scope], row)?.collect::<Result<_, _>>()?)
}

/// Whether an authority of any scope has this key, in whatever stage.
///
/// # Errors
/// What SQLite says.
pub fn has_key(c: &Connection, fingerprint: &str) -> Result<bool, Error> {
    let sql = "SELECT EXISTS(SELECT 1 FROM authorities WHERE fingerprint = ?1)";
    Ok(c.prepare_cached(sql)?.query_row([fingerprint], |r| r.get(0))?)
}

/// The key of a scope that stands there.
///
/// # Errors
/// What SQLite says.
pub fn at(c: &Connection, scope: &Scope, stage: AuthorityStage) -> Result<Option<AuthorityRow>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM authorities WHERE scope = ?1 AND stage = ?2");
    Ok(c.prepare_cached(&sql)?.query_row(params![scope, stage], row).optional()?)
}

/// Adds a key.
///
/// # Errors
/// [`Error::Duplicate`] if the generation or the stage is taken.
pub fn insert(c: &Connection, r: &AuthorityRow) -> Result<(), Error> {
    let m = &r.meta;
    super::credentials::has_kek(c, &m.scope, r.kek_version)?;
    c.execute(
        "INSERT INTO authorities(scope, generation, stage, kind, public_key, fingerprint, created_at, sealed, wrapped_dek, kek_version)
         VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)",
        params![
            m.scope,
            m.generation,
            m.stage,
            CredentialKind::Key(m.kind),
            m.public_key,
            m.fingerprint,
            m.created_at,
            r.sealed,
            r.wrapped_dek,
            r.kek_version
        ],
    )?;
    Ok(())
}

/// Moves the key that stands at `from` to `to`. `false`: there is none.
///
/// # Errors
/// [`Error::Duplicate`] if another one stands there.
pub fn advance(c: &Connection, scope: &Scope, from: AuthorityStage, to: AuthorityStage) -> Result<bool, Error> {
    Ok(c.execute("UPDATE authorities SET stage = ?3 WHERE scope = ?1 AND stage = ?2", params![scope, from, to])? > 0)
}

/// Removes the key that stands there. `false`: there is none.
///
/// # Errors
/// What SQLite says.
pub fn remove(c: &Connection, scope: &Scope, stage: AuthorityStage) -> Result<bool, Error> {
    Ok(c.execute("DELETE FROM authorities WHERE scope = ?1 AND stage = ?2", params![scope, stage])? > 0)
}

/// The credentials of a scope that stand on its certificate authority, by name.
///
/// # Errors
/// What SQLite says.
pub fn standing(c: &Connection, scope: &Scope) -> Result<Vec<Credential>, Error> {
    let ids: Vec<CredentialId> = c
        .prepare_cached("SELECT id FROM credentials WHERE scope = ?1 AND kind = ?2 ORDER BY name")?
        .query_map(params![scope, CredentialKind::Certificate], |r| r.get(0))?
        .collect::<Result<_, _>>()?;
    let found: Vec<Option<Credential>> = ids.into_iter().map(|id| credentials::by_id(c, id)).collect::<Result<_, _>>()?;
    Ok(found.into_iter().flatten().collect())
}

/// Has the scope's credentials stand on this key from now on.
///
/// # Errors
/// What SQLite says.
pub fn stand_on(c: &Connection, authority: &Authority) -> Result<usize, Error> {
    let sql = "UPDATE credentials SET public_key = ?3, fingerprint = ?4 WHERE scope = ?1 AND kind = ?2";
    Ok(c.execute(sql, params![authority.scope, CredentialKind::Certificate, authority.public_key, authority.fingerprint])?)
}

/// How long the certificates of a credential are valid; `None`: it was never said.
///
/// # Errors
/// What SQLite says; [`Error::Malformed`] outside of the limits.
pub fn validity(c: &Connection, credential: CredentialId) -> Result<Option<Validity>, Error> {
    let sql = "SELECT validity_s FROM certificate_terms WHERE credential = ?1";
    let seconds: Option<u16> = c.prepare_cached(sql)?.query_row([credential], |r| r.get(0)).optional()?;
    seconds
        .map(|s| Validity::of_seconds(u64::from(s)).ok_or_else(|| Error::Malformed("how long certificates are valid".to_owned())))
        .transpose()
}

/// Says how long the certificates of a credential are valid.
///
/// # Errors
/// What SQLite says, for instance that there is no such credential.
pub fn set_validity(c: &Connection, credential: CredentialId, validity: Validity) -> Result<(), Error> {
    c.execute(
        "INSERT INTO certificate_terms(credential, validity_s) VALUES(?1,?2) ON CONFLICT(credential) DO UPDATE SET validity_s = ?2",
        params![credential, validity.seconds()],
    )?;
    Ok(())
}
