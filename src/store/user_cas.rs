//! Rows of authorities whose certificates sign people in, and whose certificate one is. Verifies no signature: that was done at the
//! door, and what is read here counts only in a snapshot that was verified.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Error, agents, credentials, users};
use crate::clock::Time;
use crate::model::{Certified, Name, Revoked, Role, Scope, Subject, Terms, User, UserCa, UserId, Vouch};

/// The most revocations of one authority: every one costs time with every change of the state.
pub const REVOCATIONS_MAX: u64 = 10_000;
/// The most authorities.
pub const AUTHORITIES_MAX: usize = 64;

const COLUMNS: &str = "name, public_key, fingerprint, principals, limits, roles, added_by, added_at";

/// A revocation as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedRow {
    /// Which certificates.
    pub revoked: Revoked,
    /// Who revoked them.
    pub by: Name,
    /// When.
    pub at: Time,
}

fn user_ca(r: &Row<'_>) -> rusqlite::Result<Option<UserCa>> {
    let (principals, limits, roles): (Option<String>, Option<String>, String) = (r.get(3)?, r.get(4)?, r.get(5)?);
    let parse = || {
        let principals: Option<BTreeMap<String, UserId>> = principals.as_deref().map(serde_json::from_str).transpose().ok()?;
        let limits: Option<Vec<Subject>> = limits.as_deref().map(serde_json::from_str).transpose().ok()?;
        Some(UserCa {
            name: r.get(0).ok()?,
            public_key: r.get(1).ok()?,
            fingerprint: r.get(2).ok()?,
            principals,
            limits,
            roles: roles.split(',').map(|role| role.parse::<Role>().ok()).collect::<Option<_>>()?,
            added_by: r.get(6).ok()?,
            added_at: r.get(7).ok()?,
        })
    };
    Ok(parse())
}

fn whole(found: Option<UserCa>) -> Result<UserCa, Error> {
    // A limit that cannot be read must not become "no limit".
    found.ok_or_else(|| Error::Malformed("an authority for people".to_owned()))
}

/// All authorities, by name.
///
/// # Errors
/// [`Error::Malformed`].
pub fn all(c: &Connection) -> Result<Vec<UserCa>, Error> {
    let mut s = c.prepare_cached(&format!("SELECT {COLUMNS} FROM user_cas ORDER BY name"))?;
    s.query_map([], user_ca)?.map(|found| whole(found?)).collect()
}

/// An authority by name.
///
/// # Errors
/// [`Error::Malformed`].
pub fn by_name(c: &Connection, name: &Name) -> Result<Option<UserCa>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM user_cas WHERE name = ?1");
    c.prepare_cached(&sql)?.query_row([name], user_ca).optional()?.map(whole).transpose()
}

/// The authority with this key.
///
/// # Errors
/// [`Error::Malformed`].
pub fn by_fingerprint(c: &Connection, fingerprint: &str) -> Result<Option<UserCa>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM user_cas WHERE fingerprint = ?1");
    c.prepare_cached(&sql)?.query_row([fingerprint], user_ca).optional()?.map(whole).transpose()
}

/// Adds an authority.
///
/// # Errors
/// [`Error::Duplicate`] of its name or its key.
pub fn insert(c: &Connection, ca: &UserCa) -> Result<(), Error> {
    if by_name(c, &ca.name)?.is_some() {
        return Err(Error::Duplicate(format!("an authority for people named {}", ca.name)));
    }
    if let Some(same) = by_fingerprint(c, &ca.fingerprint)? {
        return Err(Error::Duplicate(format!("the key {} as {}", ca.fingerprint, same.name)));
    }
    let json = |e: serde_json::Error| Error::Malformed(e.to_string());
    let principals = ca.principals.as_ref().map(serde_json::to_string).transpose().map_err(json)?;
    let limits = ca.limits.as_ref().map(serde_json::to_string).transpose().map_err(json)?;
    let roles = ca.roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    c.execute(
        &format!("INSERT INTO user_cas({COLUMNS}) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)"),
        params![ca.name, ca.public_key, ca.fingerprint, principals, limits, roles, ca.added_by, ca.added_at],
    )?;
    Ok(())
}

/// Removes an authority and what was revoked of it.
///
/// # Errors
/// [`Error::Missing`].
pub fn remove(c: &Connection, name: &Name) -> Result<(), Error> {
    c.execute("DELETE FROM user_ca_revocations WHERE ca = ?1", [name])?;
    match c.execute("DELETE FROM user_cas WHERE name = ?1", [name])? {
        0 => Err(Error::Missing(format!("authority {name}"))),
        _ => Ok(()),
    }
}

/// Revokes; what is revoked already stays as it is, and `false` is returned.
///
/// # Errors
/// What SQLite says.
pub fn revoke(c: &Connection, ca: &Name, row: &RevokedRow) -> Result<bool, Error> {
    let sql = "INSERT OR IGNORE INTO user_ca_revocations(ca, kind, what, revoked_by, revoked_at) VALUES(?1,?2,?3,?4,?5)";
    Ok(c.execute(sql, params![ca, row.revoked.kind(), row.revoked.what(), row.by, row.at])? > 0)
}

/// How many revocations an authority has.
///
/// # Errors
/// What SQLite says.
pub fn count_revoked(c: &Connection, ca: &Name) -> Result<u64, Error> {
    let count: i64 = c.query_row("SELECT count(*) FROM user_ca_revocations WHERE ca = ?1", [ca], |r| r.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// The revocations of an authority, newest first.
///
/// # Errors
/// [`Error::Malformed`].
pub fn revoked(c: &Connection, ca: &Name) -> Result<Vec<RevokedRow>, Error> {
    let sql = "SELECT kind, what, revoked_by, revoked_at FROM user_ca_revocations WHERE ca = ?1 ORDER BY revoked_at DESC, kind, what";
    let mut s = c.prepare_cached(sql)?;
    let rows = s.query_map([ca], |r| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?, r.get::<_, Name>(2)?, r.get::<_, Time>(3)?)))?;
    rows.map(|row| {
        let (kind, what, by, at) = row?;
        let wrong = || Error::Malformed("a revocation".to_owned());
        let revoked = match kind.as_str() {
            "serial" => Revoked::Serial(what.parse().map_err(|_| wrong())?),
            "key-id" => Revoked::KeyId(what),
            "key" => Revoked::Key(what),
            _ => return Err(wrong()),
        };
        Ok(RevokedRow { revoked, by, at })
    })
    .collect()
}

/// Why a certificate signs nobody in. Written into the audit log; the client gets the answer that everybody gets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unvouched {
    /// Nobody added the authority.
    #[error("the authority {0} is not trusted")]
    NoAuthority(String),
    /// It was revoked.
    #[error("the certificate is revoked ({0})")]
    Revoked(&'static str),
    /// No principal is a person's.
    #[error("no principal of the certificate is a person here")]
    Nobody,
    /// The one who is named is not among its principals.
    #[error("no principal of the certificate is {0}")]
    NotThem(Name),
    /// Several persons' principals stand in it, and none was named.
    #[error("the certificate is of several persons, and none was named before `+`")]
    Several,
    /// The role is not one that the authority may sign in.
    #[error("the authority {ca} does not sign in people with the role {role}")]
    Role {
        /// The authority.
        ca: Name,
        /// The person's role.
        role: Role,
    },
    /// The person is not among those that it may sign in.
    #[error("the authority {0} does not sign in this person")]
    Limited(Name),
    /// The certified key is somebody else's, or an agent's.
    #[error("the certified key is registered for somebody else")]
    KeyOfAnother,
    /// The person keeps credentials that are theirs alone.
    #[error("{0} keeps personal credentials, so only a key of their own signs them in")]
    Personal(Name),
    /// The person is disabled.
    #[error("the person is disabled")]
    Disabled,
}

/// Whom a certificate names: the person, and the principal by which. `wanted` was named before `+`; `towards` is where they want
/// to go, which for the console is their own name.
///
/// # Errors
/// What the store says.
pub fn named(
    c: &Connection,
    ca: &UserCa,
    principals: &[String],
    wanted: Option<&Name>,
    towards: &Name,
) -> Result<Result<(User, String), Unvouched>, Error> {
    let mut found: Vec<(User, String)> = Vec::new();
    for principal in principals {
        if let Some(user) = person_of(c, ca, principal)?
            && found.iter().all(|(other, _)| other.id != user.id)
        {
            found.push((user, principal.clone()));
        }
    }
    if found.is_empty() {
        return Ok(Err(Unvouched::Nobody));
    }
    if let Some(wanted) = wanted {
        let theirs = found.into_iter().find(|(user, _)| user.name == *wanted);
        return Ok(theirs.ok_or_else(|| Unvouched::NotThem(wanted.clone())));
    }
    if found.len() > 1 {
        found.retain(|(user, _)| user.name == *towards);
    }
    Ok(found.pop().ok_or(Unvouched::Several))
}

fn person_of(c: &Connection, ca: &UserCa, principal: &str) -> Result<Option<User>, Error> {
    match &ca.principals {
        Some(mapped) => mapped.get(principal).map_or(Ok(None), |id| users::by_id(c, *id)),
        None => principal.parse::<Name>().map_or(Ok(None), |name| users::by_name(c, &name)),
    }
}

/// Whether a certificate of this authority may sign in this person now.
///
/// # Errors
/// What the store says.
pub fn may_vouch(c: &Connection, ca: &UserCa, user: &User, key: &str, certified: &Certified) -> Result<Result<(), Unvouched>, Error> {
    let sql = "SELECT EXISTS(SELECT 1 FROM user_ca_revocations WHERE ca = ?1 AND kind = ?2 AND what = ?3)";
    for revoked in [Revoked::Serial(certified.serial), Revoked::KeyId(certified.key_id.clone()), Revoked::Key(key.to_owned())] {
        if c.prepare_cached(sql)?.query_row(params![ca.name, revoked.kind(), revoked.what()], |r| r.get::<_, bool>(0))? {
            return Ok(Err(Unvouched::Revoked(revoked.kind())));
        }
    }
    // What signs in a program, or another person, must not sign in this one.
    let of_another = users::by_fingerprint(c, key)?.is_some_and(|owner| owner.id != user.id);
    if of_another || agents::by_fingerprint(c, key)?.is_some() {
        return Ok(Err(Unvouched::KeyOfAnother));
    }
    // Whoever has the authority's key would be them, and use what nobody but them may use.
    if credentials::any_in(c, &Scope::Personal(user.id))? {
        return Ok(Err(Unvouched::Personal(user.name.clone())));
    }
    if !ca.roles.contains(&user.role) {
        return Ok(Err(Unvouched::Role { ca: ca.name.clone(), role: user.role }));
    }
    if let Some(limits) = &ca.limits {
        let groups = users::groups_of(c, user.id)?;
        let among = limits.iter().any(|limit| match limit {
            Subject::Everyone => true,
            Subject::User(id) => *id == user.id,
            Subject::Group(id) => groups.contains(id),
        });
        if !among {
            return Ok(Err(Unvouched::Limited(ca.name.clone())));
        }
    }
    Ok(Ok(()))
}

/// The person, if what signed them in still vouches for them, and what that takes away. Whether they are disabled, and whether the
/// terms have run out, is for whoever decides.
///
/// # Errors
/// What the store says.
pub fn still(c: &Connection, id: UserId, key: &str) -> Result<Option<(User, Terms)>, Error> {
    let Ok(vouch) = key.parse::<Vouch>() else { return Ok(None) };
    let second = super::second_factors::standing(c, id, vouch.second)?;
    let Some(certified) = vouch.certificate else {
        let found = users::by_fingerprint(c, &vouch.key)?.filter(|user| user.id == id);
        return Ok(found.map(|user| (user, Terms { second, ..Terms::default() })));
    };
    let Some(ca) = by_fingerprint(c, &certified.ca)? else { return Ok(None) };
    let Some(user) = person_of(c, &ca, &certified.principal)?.filter(|user| user.id == id) else { return Ok(None) };
    let terms = Terms { second, ..certified.terms.clone() };
    Ok(may_vouch(c, &ca, &user, &vouch.key, &certified)?.is_ok().then_some((user, terms)))
}

/// Whether what signed a person in still does at this time, and what it takes away; `None`: it does not.
///
/// # Errors
/// What the store says.
pub fn still_vouched(c: &Connection, id: UserId, key: &str, now: Time) -> Result<Option<Terms>, Error> {
    Ok(still(c, id, key)?.map(|(_, terms)| terms).filter(|terms| !terms.are_over(now)))
}

/// The person, if what vouched for them still does: their key, a certificate, or – without one, through a door that knows them – that
/// they are there; and what it takes away. Whether they are disabled, and whether the terms have run out, is for whoever decides.
///
/// # Errors
/// What the store says.
pub fn person(c: &Connection, id: UserId, key: Option<&str>) -> Result<Option<(User, Terms)>, Error> {
    match key {
        Some(key) => still(c, id, key),
        None => Ok(users::by_id(c, id)?.map(|user| (user, Terms::default()))),
    }
}
