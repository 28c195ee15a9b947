//! Rows of persons, their keys, and groups.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Error;
use crate::model::{Group, GroupId, Name, User, UserId, UserKey};

const COLUMNS: &str = "id, name, role, uid, disabled, created_at";

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User { id: row.get(0)?, name: row.get(1)?, role: row.get(2)?, uid: row.get(3)?, disabled: row.get(4)?, created_at: row.get(5)? })
}

/// Adds a person. Their name is no group's and no host's: a selector could not tell them apart.
///
/// # Errors
/// [`Error::Duplicate`].
pub fn insert(c: &Connection, u: &User) -> Result<(), Error> {
    name_is_free(c, &u.name)?;
    if let Some(uid) = u.uid
        && let Some(other) = by_uid(c, uid)?
    {
        return Err(Error::Duplicate(format!("uid {uid} (it is {}'s)", other.name)));
    }
    c.execute(
        &format!("INSERT INTO users({COLUMNS}) VALUES(?1,?2,?3,?4,?5,?6)"),
        params![u.id, u.name, u.role, u.uid, u.disabled, u.created_at],
    )?;
    Ok(())
}

/// Refuses a name that a person, an agent, a group or a host of any workspace has.
///
/// # Errors
/// [`Error::Duplicate`] that names what has it.
pub fn name_is_free(c: &Connection, name: &Name) -> Result<(), Error> {
    is_in_none(c, name, &[("users", "a user"), ("agents", "an agent"), ("groups", "a group"), ("hosts", "a host")])
}

/// Refuses a name that a person, an agent or a group has: no host of any workspace may be taken for one of them.
///
/// # Errors
/// [`Error::Duplicate`] that names what has it.
pub(super) fn name_is_nobodys(c: &Connection, name: &Name) -> Result<(), Error> {
    is_in_none(c, name, &[("users", "a user"), ("agents", "an agent"), ("groups", "a group")])
}

fn is_in_none(c: &Connection, name: &Name, tables: &[(&str, &str)]) -> Result<(), Error> {
    for (table, what) in tables {
        let taken: bool =
            c.prepare_cached(&format!("SELECT EXISTS(SELECT 1 FROM {table} WHERE name = ?1)"))?.query_row([name], |r| r.get(0))?;
        if taken {
            return Err(Error::Duplicate(format!("{what} named {name}")));
        }
    }
    Ok(())
}

/// All persons, by name.
///
/// # Errors
/// What SQLite says.
pub fn all(c: &Connection) -> Result<Vec<User>, Error> {
    Ok(c.prepare_cached(&format!("SELECT {COLUMNS} FROM users ORDER BY name"))?.query_map([], user)?.collect::<Result<_, _>>()?)
}

/// A person by name.
///
/// # Errors
/// What SQLite says.
pub fn by_name(c: &Connection, name: &Name) -> Result<Option<User>, Error> {
    Ok(c.prepare_cached(&format!("SELECT {COLUMNS} FROM users WHERE name = ?1"))?.query_row([name], user).optional()?)
}

/// A person by id.
///
/// # Errors
/// What SQLite says.
pub fn by_id(c: &Connection, id: UserId) -> Result<Option<User>, Error> {
    Ok(c.prepare_cached(&format!("SELECT {COLUMNS} FROM users WHERE id = ?1"))?.query_row([id], user).optional()?)
}

/// The person that an operating system's user is.
///
/// # Errors
/// What SQLite says.
pub fn by_uid(c: &Connection, uid: u32) -> Result<Option<User>, Error> {
    Ok(c.prepare_cached(&format!("SELECT {COLUMNS} FROM users WHERE uid = ?1"))?.query_row([uid], user).optional()?)
}

/// The person whose key it is.
///
/// # Errors
/// What SQLite says.
pub fn by_fingerprint(c: &Connection, fingerprint: &str) -> Result<Option<User>, Error> {
    let sql = "SELECT u.id, u.name, u.role, u.uid, u.disabled, u.created_at FROM users u JOIN user_keys k ON k.user = u.id WHERE k.fingerprint = ?1";
    Ok(c.prepare_cached(sql)?.query_row([fingerprint], user).optional()?)
}

/// Disables or enables a person.
///
/// # Errors
/// [`Error::Missing`].
pub fn set_disabled(c: &Connection, id: UserId, disabled: bool) -> Result<(), Error> {
    match c.execute("UPDATE users SET disabled = ?2 WHERE id = ?1", params![id, disabled])? {
        0 => Err(Error::Missing("such user".to_owned())),
        _ => Ok(()),
    }
}

/// Removes a person with their keys, memberships, grants, choices, and personal credentials with their key.
///
/// # Errors
/// What SQLite says.
pub fn remove(c: &Connection, id: UserId) -> Result<(), Error> {
    let scope = crate::model::Scope::Personal(id);
    c.execute("DELETE FROM choices WHERE user = ?1", [id.to_string()])?;
    c.execute("DELETE FROM credential_uses WHERE credential IN (SELECT id FROM credentials WHERE scope = ?1)", params![scope])?;
    c.execute("DELETE FROM credentials WHERE scope = ?1", params![scope])?;
    c.execute("DELETE FROM keks WHERE scope = ?1", params![scope])?;
    super::grants::remove_of(c, &crate::model::Subject::User(id))?;
    c.execute("DELETE FROM users WHERE id = ?1", [id])?;
    Ok(())
}

/// Whether another enabled owner is left without this one.
///
/// # Errors
/// What SQLite says.
pub fn has_other_owner(c: &Connection, id: UserId) -> Result<bool, Error> {
    Ok(c.query_row("SELECT EXISTS(SELECT 1 FROM users WHERE role = 'owner' AND disabled = 0 AND id <> ?1)", [id], |r| r.get(0))?)
}

/// Refuses a key for a person or an agent that somebody has, or an authority that signs people in: what signs somebody in must not be
/// able to say who others are.
///
/// # Errors
/// [`Error::Duplicate`], [`Error::KeyOfAuthority`].
pub fn key_is_free(c: &Connection, fingerprint: &str) -> Result<(), Error> {
    key_is_nobodys(c, fingerprint)?;
    match super::user_cas::by_fingerprint(c, fingerprint)? {
        Some(ca) => Err(Error::KeyOfAuthority { fingerprint: ca.fingerprint, ca: ca.name }),
        None => Ok(()),
    }
}

/// Refuses a key that a person or an agent has: what signs in a program must never sign in a person.
///
/// # Errors
/// [`Error::Duplicate`].
pub fn key_is_nobodys(c: &Connection, fingerprint: &str) -> Result<(), Error> {
    if by_fingerprint(c, fingerprint)?.is_some() || super::agents::by_fingerprint(c, fingerprint)?.is_some() {
        return Err(Error::Duplicate(format!("the key {fingerprint}")));
    }
    Ok(())
}

/// Adds a key. It belongs to one person alone.
///
/// # Errors
/// [`Error::Duplicate`].
pub fn insert_key(c: &Connection, k: &UserKey) -> Result<(), Error> {
    key_is_free(c, &k.fingerprint)?;
    c.execute(
        "INSERT INTO user_keys(fingerprint, user, public_key, comment, added_at) VALUES(?1,?2,?3,?4,?5)",
        params![k.fingerprint, k.user, k.public_key, k.comment, k.added_at],
    )?;
    Ok(())
}

/// The keys of a person, oldest first.
///
/// # Errors
/// What SQLite says.
pub fn keys_of(c: &Connection, id: UserId) -> Result<Vec<UserKey>, Error> {
    let mut s = c.prepare_cached(
        "SELECT user, fingerprint, public_key, comment, added_at FROM user_keys WHERE user = ?1 ORDER BY added_at, fingerprint",
    )?;
    let rows = s.query_map([id], |r| {
        Ok(UserKey { user: r.get(0)?, fingerprint: r.get(1)?, public_key: r.get(2)?, comment: r.get(3)?, added_at: r.get(4)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Removes a key of a person.
///
/// # Errors
/// [`Error::Missing`].
pub fn remove_key(c: &Connection, id: UserId, fingerprint: &str) -> Result<(), Error> {
    match c.execute("DELETE FROM user_keys WHERE user = ?1 AND fingerprint = ?2", params![id, fingerprint])? {
        0 => Err(Error::Missing(format!("key {}", crate::model::printable(fingerprint, 80)))),
        _ => Ok(()),
    }
}

/// Adds an empty group.
///
/// # Errors
/// [`Error::Duplicate`].
pub fn insert_group(c: &Connection, id: GroupId, name: &Name) -> Result<(), Error> {
    name_is_free(c, name)?;
    c.execute("INSERT INTO groups(id, name) VALUES(?1, ?2)", params![id, name])?;
    Ok(())
}

/// A group by name.
///
/// # Errors
/// What SQLite says.
pub fn group(c: &Connection, name: &Name) -> Result<Option<Group>, Error> {
    Ok(groups(c)?.into_iter().find(|g| g.name == *name))
}

/// All groups with their members' names.
///
/// # Errors
/// What SQLite says.
pub fn groups(c: &Connection) -> Result<Vec<Group>, Error> {
    let mut s = c.prepare_cached("SELECT g.id, g.name, u.name FROM groups g LEFT JOIN members m ON m.grp = g.id LEFT JOIN users u ON u.id = m.user ORDER BY g.name, u.name")?;
    let rows = s.query_map([], |r| Ok((r.get::<_, GroupId>(0)?, r.get::<_, Name>(1)?, r.get::<_, Option<Name>>(2)?)))?;
    let mut out: Vec<Group> = Vec::new();
    for row in rows {
        let (id, name, member) = row?;
        if out.last().is_none_or(|g| g.id != id) {
            out.push(Group { id, name, members: Vec::new() });
        }
        if let (Some(g), Some(m)) = (out.last_mut(), member) {
            g.members.push(m);
        }
    }
    Ok(out)
}

/// The groups that a person is in.
///
/// # Errors
/// What SQLite says.
pub fn groups_of(c: &Connection, id: UserId) -> Result<Vec<GroupId>, Error> {
    Ok(c.prepare_cached("SELECT grp FROM members WHERE user = ?1 ORDER BY grp")?
        .query_map([id], |r| r.get(0))?
        .collect::<Result<_, _>>()?)
}

/// Removes a group and the grants to it.
///
/// # Errors
/// What SQLite says.
pub fn remove_group(c: &Connection, id: GroupId) -> Result<(), Error> {
    super::grants::remove_of(c, &crate::model::Subject::Group(id))?;
    c.execute("DELETE FROM groups WHERE id = ?1", [id])?;
    Ok(())
}

/// Lets a person join (`true`) or leave a group. `false`: nothing changed.
///
/// # Errors
/// What SQLite says.
pub fn set_member(c: &Connection, group: GroupId, user: UserId, member: bool) -> Result<bool, Error> {
    let sql =
        if member { "INSERT OR IGNORE INTO members(grp, user) VALUES(?1, ?2)" } else { "DELETE FROM members WHERE grp = ?1 AND user = ?2" };
    Ok(c.execute(sql, params![group, user])? > 0)
}
