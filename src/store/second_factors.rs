//! Rows of second factors and of recovery codes: ciphertext and hashes only. What was accepted once is struck out here, and nowhere
//! else; whether a code is right is not known here.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Error;
use crate::clock::Time;
use crate::model::{SecondFactor, UserId};

/// How far an enrolment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrolment {
    /// Offered, and no code of it was given yet.
    Pending,
    /// It counts.
    InForce,
}

impl Enrolment {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InForce => "in force",
        }
    }
}

/// A second factor as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactorRow {
    /// Whose.
    pub user: UserId,
    /// When it was made. It names the second factor: there is no other of this person with the same.
    pub made_at: Time,
    /// The secret, and the key of the recovery codes' hashes.
    pub wrapped: Vec<u8>,
    /// Whether it is wanted at every sign-in.
    pub always: bool,
    /// Since when it counts.
    pub enrolled_at: Option<Time>,
    /// The last time step (RFC 6238 §4) whose code was accepted.
    pub last_step: u64,
    /// When a code was accepted last.
    pub last_used_at: Option<Time>,
}

fn row(r: &Row<'_>) -> rusqlite::Result<FactorRow> {
    let step: i64 = r.get(5)?;
    Ok(FactorRow {
        user: r.get(0)?,
        made_at: r.get(1)?,
        wrapped: r.get(2)?,
        always: r.get(3)?,
        enrolled_at: r.get(4)?,
        // A step that cannot be read must not become "none was used".
        last_step: u64::try_from(step).unwrap_or(u64::MAX),
        last_used_at: r.get(6)?,
    })
}

/// A person's second factor.
///
/// # Errors
/// What SQLite says.
pub fn of(c: &Connection, user: UserId, enrolment: Enrolment) -> Result<Option<FactorRow>, Error> {
    let sql =
        "SELECT user, made_at, wrapped, always, enrolled_at, last_step, last_used_at FROM second_factors WHERE user = ?1 AND stage = ?2";
    Ok(c.prepare_cached(sql)?.query_row(params![user, enrolment.as_str()], row).optional()?)
}

/// How it stands with a person's second factor, where the one that was made at `shown` was shown.
///
/// # Errors
/// What SQLite says.
pub fn standing(c: &Connection, user: UserId, shown: Option<Time>) -> Result<SecondFactor, Error> {
    Ok(match of(c, user, Enrolment::InForce)? {
        Some(row) if shown == Some(row.made_at) => SecondFactor::Shown,
        Some(row) if row.always => SecondFactor::Owed,
        _ => SecondFactor::NotShown,
    })
}

/// Puts an offer in the place of the one before, if there was one.
///
/// # Errors
/// What SQLite says.
pub fn offer(c: &Connection, user: UserId, made_at: Time, wrapped: &[u8], always: bool) -> Result<(), Error> {
    c.execute("DELETE FROM second_factors WHERE user = ?1 AND stage = 'pending'", [user])?;
    c.execute(
        "INSERT INTO second_factors(user, stage, made_at, wrapped, always, last_step) VALUES(?1,'pending',?2,?3,?4,0)",
        params![user, made_at, wrapped, always],
    )?;
    Ok(())
}

/// Lets the offer that was made at `made_at` count from now on, with these hashes of recovery codes; the code of `step` is used by
/// that. `false`: there is another offer, or a second factor in force, and nothing was written.
///
/// # Errors
/// What SQLite says.
pub fn enrol(c: &Connection, user: UserId, made_at: Time, step: u64, hashes: &[[u8; 32]], now: Time) -> Result<bool, Error> {
    if of(c, user, Enrolment::InForce)?.is_some() {
        return Ok(false);
    }
    let sql = "UPDATE second_factors SET stage = 'in force', enrolled_at = ?3, last_step = ?4, last_used_at = ?3
               WHERE user = ?1 AND stage = 'pending' AND made_at = ?2";
    if c.execute(sql, params![user, made_at, now, number(step)])? == 0 {
        return Ok(false);
    }
    renew_codes(c, user, hashes)?;
    Ok(true)
}

/// Marks the code of a step, and of all before it, as used. `false`: it was used already, or it is another second factor now.
///
/// # Errors
/// What SQLite says.
pub fn use_step(c: &Connection, user: UserId, made_at: Time, step: u64, now: Time) -> Result<bool, Error> {
    let sql = "UPDATE second_factors SET last_step = ?3, last_used_at = ?4
               WHERE user = ?1 AND stage = 'in force' AND made_at = ?2 AND last_step < ?3";
    Ok(c.execute(sql, params![user, made_at, number(step), now])? == 1)
}

/// Strikes out a recovery code. `false`: it was used already.
///
/// # Errors
/// What SQLite says.
pub fn use_code(c: &Connection, user: UserId, made_at: Time, hash: &[u8; 32], now: Time) -> Result<bool, Error> {
    let sql = "UPDATE second_factors SET last_used_at = ?3 WHERE user = ?1 AND stage = 'in force' AND made_at = ?2";
    if c.execute(sql, params![user, made_at, now])? == 0 {
        return Ok(false);
    }
    Ok(c.execute("DELETE FROM recovery_codes WHERE user = ?1 AND hash = ?2", params![user, &hash[..]])? == 1)
}

/// The hashes of the recovery codes that are left.
///
/// # Errors
/// What SQLite says.
pub fn codes(c: &Connection, user: UserId) -> Result<Vec<Vec<u8>>, Error> {
    let mut find = c.prepare_cached("SELECT hash FROM recovery_codes WHERE user = ?1 ORDER BY hash")?;
    Ok(find.query_map([user], |r| r.get(0))?.collect::<Result<_, _>>()?)
}

/// Puts new recovery codes in the place of those that were left.
///
/// # Errors
/// What SQLite says.
pub fn renew_codes(c: &Connection, user: UserId, hashes: &[[u8; 32]]) -> Result<(), Error> {
    c.execute("DELETE FROM recovery_codes WHERE user = ?1", [user])?;
    for hash in hashes {
        c.execute("INSERT INTO recovery_codes(user, hash) VALUES(?1,?2)", params![user, &hash[..]])?;
    }
    Ok(())
}

/// Sets whether it is wanted at every sign-in. `false`: there is none in force.
///
/// # Errors
/// What SQLite says.
pub fn require(c: &Connection, user: UserId, always: bool) -> Result<bool, Error> {
    Ok(c.execute("UPDATE second_factors SET always = ?2 WHERE user = ?1 AND stage = 'in force'", params![user, always])? == 1)
}

/// Removes a person's second factor, what was offered, and the recovery codes. `false`: there was nothing.
///
/// # Errors
/// What SQLite says.
pub fn remove(c: &Connection, user: UserId) -> Result<bool, Error> {
    c.execute("DELETE FROM recovery_codes WHERE user = ?1", [user])?;
    Ok(c.execute("DELETE FROM second_factors WHERE user = ?1", [user])? > 0)
}

fn number(step: u64) -> i64 {
    i64::try_from(step).unwrap_or(i64::MAX)
}
