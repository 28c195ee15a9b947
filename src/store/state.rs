//! The state: every row that decides who may do what with which secret, as one digest. The vault signs it with every
//! change, so that a row that was edited, deleted or rolled back behind the broker's back is noticed before it counts.
//!
//! The digest is computed anew each time: about 1.5 µs a row, so 1,000 hosts with credentials and grants cost some 5 ms.

use aws_lc_rs::digest::{Context, SHA256};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};

use super::{Error, StateSeal};

/// The sealed tables, each with an order that does not depend on how rows came in. The first ones are of schema 1.
const SEALED: &[(&str, &str)] = &[
    ("meta", "key"),
    ("users", "id"),
    ("user_keys", "fingerprint"),
    ("groups", "id"),
    ("members", "grp, user"),
    ("hosts", "id"),
    ("host_tags", "host, key"),
    ("host_keys", "host, fingerprint"),
    ("keks", "scope, version"),
    ("credentials", "id"),
    ("bindings", "credential, host"),
    ("choices", "host, user"),
    ("grants", "id"),
    ("agents", "id"),
    ("sudo_secrets", "credential"),
    ("authorities", "scope, generation"),
    ("certificate_terms", "credential"),
    ("rotations", "credential"),
    ("rotation_hosts", "credential, host"),
    ("secret_changes", "credential"),
    ("workspace_defaults", "workspace"),
    ("workspaces", "name"),
    ("roots", "id"),
    ("slots", "id"),
    ("user_cas", "name"),
    ("user_ca_revocations", "ca, kind, what"),
    ("host_cas", "workspace, name"),
    ("host_ways", "host"),
    ("second_factors", "user, stage"),
    ("recovery_codes", "user, hash"),
    ("grant_factors", "id"),
];

/// How many of [`SEALED`] count also while they are empty. Tables that came later do not: so the seal of a database from
/// before them still holds after its migration, and a row that is put in or taken out changes the digest all the same.
const FIRST: usize = 13;

/// The state with the seal that stands beside it.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Counts up with every change.
    pub epoch: u64,
    /// SHA-256 over all sealed rows.
    pub digest: [u8; 32],
    /// The MAC as stored; `None` if there is no seal at all.
    pub mac: Option<[u8; 32]>,
}

/// Reads the state and its seal in the caller's snapshot.
///
/// # Errors
/// What SQLite says.
pub fn read(connection: &Connection) -> Result<Sealed, Error> {
    let stored: Option<(i64, Vec<u8>)> =
        connection.query_row("SELECT epoch, mac FROM state_seal WHERE one = 1", [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (epoch, mac) = match stored {
        Some((epoch, mac)) => {
            (u64::try_from(epoch).map_err(|_| Error::Malformed("the state's epoch".to_owned()))?, <[u8; 32]>::try_from(mac).ok())
        }
        None => (0, None),
    };
    Ok(Sealed { epoch, digest: digest(connection)?, mac })
}

/// How many changes were sealed.
///
/// # Errors
/// What SQLite says.
pub fn epoch(connection: &Connection) -> Result<u64, Error> {
    let epoch: Option<i64> = connection.query_row("SELECT epoch FROM state_seal WHERE one = 1", [], |row| row.get(0)).optional()?;
    u64::try_from(epoch.unwrap_or(0)).map_err(|_| Error::Malformed("the state's epoch".to_owned()))
}

/// Refuses if the state in the open transaction is not the one that was sealed last.
pub(super) fn check(connection: &Connection, seal: &dyn StateSeal) -> Result<(), Error> {
    match seal.holds(&read(connection)?) {
        Some(true) => Ok(()),
        Some(false) => Err(Error::Tampered),
        None => Err(Error::Unsealed),
    }
}

/// Seals the state as it is in the open transaction, with the next epoch.
pub(super) fn seal(connection: &Connection, seal: &dyn StateSeal) -> Result<(), Error> {
    let epoch: i64 = connection.query_row("SELECT coalesce(max(epoch), 0) + 1 FROM state_seal", [], |row| row.get(0))?;
    let mac = seal.seal(u64::try_from(epoch).unwrap_or(u64::MAX), &digest(connection)?).ok_or(Error::Unsealed)?;
    connection.execute(
        "INSERT INTO state_seal(one, epoch, mac) VALUES(1, ?1, ?2) ON CONFLICT(one) DO UPDATE SET epoch = ?1, mac = ?2",
        rusqlite::params![epoch, &mac[..]],
    )?;
    Ok(())
}

fn digest(connection: &Connection) -> Result<[u8; 32], Error> {
    let mut hash = Context::new(&SHA256);
    for (at, (table, order)) in SEALED.iter().enumerate() {
        let mut statement = connection.prepare_cached(&format!("SELECT * FROM {table} ORDER BY {order}"))?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        let mut count: u64 = 0;
        if at < FIRST {
            hash.update(table.as_bytes());
        }
        while let Some(row) = rows.next()? {
            if at >= FIRST && count == 0 {
                hash.update(table.as_bytes());
            }
            count += 1;
            for column in 0..columns {
                let (tag, bytes): (u8, &[u8]) = match row.get_ref(column)? {
                    ValueRef::Null => (0, &[]),
                    ValueRef::Integer(i) => {
                        hash.update(&[1]);
                        hash.update(&i.to_be_bytes());
                        continue;
                    }
                    ValueRef::Real(r) => {
                        hash.update(&[2]);
                        hash.update(&r.to_bits().to_be_bytes());
                        continue;
                    }
                    ValueRef::Text(t) => (3, t),
                    ValueRef::Blob(b) => (4, b),
                };
                hash.update(&[tag]);
                hash.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
                hash.update(bytes);
            }
        }
        // After the rows, so that no row can pose as the end of a table.
        if at < FIRST || count > 0 {
            hash.update(&count.to_be_bytes());
        }
    }
    <[u8; 32]>::try_from(hash.finish().as_ref()).map_err(|_| Error::Malformed("a digest".to_owned()))
}
