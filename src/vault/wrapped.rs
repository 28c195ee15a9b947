//! What is wrapped by what: one list for the root key, one for scopes' keys. A rotation goes by these lists, and a test
//! finds every column that is in neither. Rows in, rows out; opens nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params};

use super::envelope::Place;
use super::slots;
use crate::model::{CredentialId, Host, HostBinding, HostId, Scope, Slot};
use crate::store::authorities::{self, AuthorityRow};
use crate::store::{self, credentials, hosts};

/// A column of a table whose blobs the root key wraps.
pub(super) struct UnderRoot {
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    /// The columns that name a row, or stand in its associated data.
    key: &'static [&'static str],
    /// Which rows: SQL.
    only: &'static str,
    /// Where such a blob belongs; the row has the columns of `key` in their order.
    place: fn(&[u8; 16], &Row<'_>) -> rusqlite::Result<Place>,
}

/// Everything that the root key wraps.
pub(super) const UNDER_ROOT: &[UnderRoot] = &[
    UnderRoot {
        table: "keks",
        column: "wrapped",
        key: &["scope", "version"],
        // What a person sealed holds nothing of the root key: it opens through their slots.
        only: "substr(wrapped, 1, 1) <> x'02'",
        place: |vault, row| Ok(Place::kek(vault, &row.get(0)?, row.get(1)?)),
    },
    UnderRoot {
        table: "slots",
        column: "wrapped",
        key: &["id", "user", "kind", "label", "created_at"],
        only: "true",
        place: |vault, row| {
            let slot = Slot { id: row.get(0)?, user: row.get(1)?, kind: row.get(2)?, label: row.get(3)?, created_at: row.get(4)? };
            Ok(slots::place(vault, "slot", &slot))
        },
    },
    UnderRoot {
        table: "second_factors",
        column: "wrapped",
        key: &["user", "made_at"],
        only: "true",
        place: |vault, row| Ok(Place::totp(vault, row.get(0)?, row.get(1)?)),
    },
];

/// A column of a table whose blobs a scope's key wraps; `kek_version` of the same row says which version.
pub(super) struct UnderKek {
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    /// The columns that name a row.
    key: &'static [&'static str],
    /// At most so many rows of a scope that a version before `newest` wraps.
    stale: fn(&Connection, &Search<'_>) -> Result<Vec<Stale>, store::Error>,
}

/// Everything that a scope's key wraps.
pub(super) const UNDER_KEK: &[UnderKek] = &[
    UnderKek { table: "credentials", column: "wrapped_dek", key: &["id"], stale: credential_keys },
    UnderKek { table: "bindings", column: "wrapped_dek", key: &["credential", "host"], stale: binding_keys },
    UnderKek { table: "authorities", column: "wrapped_dek", key: &["scope", "generation"], stale: authority_keys },
];

/// What is looked for.
pub(super) struct Search<'a> {
    pub(super) vault: &'a [u8; 16],
    pub(super) scope: &'a Scope,
    pub(super) newest: u32,
    pub(super) most: u32,
}

/// A blob that an older version of its scope's key wraps.
pub(super) struct Stale {
    pub(super) key: Vec<Value>,
    /// The version that wraps it.
    pub(super) version: u32,
    pub(super) before: Place,
    pub(super) after: Place,
    pub(super) blob: Vec<u8>,
}

/// A blob that the root key wraps.
pub(super) struct Rooted {
    pub(super) key: Vec<Value>,
    pub(super) place: Place,
    pub(super) blob: Vec<u8>,
}

/// A blob that was wrapped anew, to be written in place of the one that was read.
#[derive(Debug)]
pub struct Renewed {
    update: String,
    values: Vec<Value>,
}

impl Renewed {
    /// Writes it. `false`: the row is not there any more, or is not what was read.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn write(&self, c: &Connection) -> Result<bool, store::Error> {
        Ok(c.prepare_cached(&self.update)?.execute(rusqlite::params_from_iter(&self.values))? == 1)
    }
}

fn condition(key: &[&str]) -> String {
    key.iter().map(|column| format!(" AND {column} = ?")).collect()
}

impl UnderRoot {
    /// Every row.
    pub(super) fn all(&self, c: &Connection, vault: &[u8; 16]) -> Result<Vec<Rooted>, store::Error> {
        let sql = format!("SELECT {}, {} FROM {} WHERE {}", self.key.join(", "), self.column, self.table, self.only);
        let mut statement = c.prepare_cached(&sql)?;
        let rows = statement.query_map([], |row| {
            let key = (0..self.key.len()).map(|i| row.get(i)).collect::<rusqlite::Result<Vec<Value>>>()?;
            Ok(Rooted { key, place: (self.place)(vault, row)?, blob: row.get(self.key.len())? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many rows there are.
    pub(super) fn count(&self, c: &Connection) -> Result<u64, store::Error> {
        let count: i64 = c.query_row(&format!("SELECT count(*) FROM {} WHERE {}", self.table, self.only), [], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    pub(super) fn renewed(&self, rooted: Rooted, blob: Vec<u8>) -> Renewed {
        let update = format!("UPDATE {0} SET {1} = ? WHERE {1} = ?{2}", self.table, self.column, condition(self.key));
        Renewed { update, values: [Value::Blob(blob), Value::Blob(rooted.blob)].into_iter().chain(rooted.key).collect() }
    }
}

impl UnderKek {
    pub(super) fn stale(&self, c: &Connection, search: &Search<'_>) -> Result<Vec<Stale>, store::Error> {
        (self.stale)(c, search)
    }

    pub(super) fn renewed(&self, stale: Stale, version: u32, blob: Vec<u8>) -> Renewed {
        let update = format!("UPDATE {0} SET kek_version = ?, {1} = ? WHERE {1} = ?{2}", self.table, self.column, condition(self.key));
        let values = [Value::Integer(version.into()), Value::Blob(blob), Value::Blob(stale.blob)];
        Renewed { update, values: values.into_iter().chain(stale.key).collect() }
    }
}

fn credential_keys(c: &Connection, s: &Search<'_>) -> Result<Vec<Stale>, store::Error> {
    let mut find = c.prepare_cached("SELECT id FROM credentials WHERE scope = ?1 AND kek_version < ?2 LIMIT ?3")?;
    let ids = find.query_map(params![s.scope, s.newest, s.most], |r| r.get(0))?.collect::<Result<Vec<CredentialId>, _>>()?;
    let mut out = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(row) = credentials::row(c, id)? else { continue };
        let place = |version| Place::dek(s.vault, &row.meta, version, None);
        out.push(Stale {
            key: vec![Value::Text(id.to_string())],
            version: row.kek_version,
            before: place(row.kek_version),
            after: place(s.newest),
            blob: row.wrapped_dek,
        });
    }
    Ok(out)
}

fn binding_keys(c: &Connection, s: &Search<'_>) -> Result<Vec<Stale>, store::Error> {
    let sql = "SELECT b.credential, b.host FROM credentials c JOIN bindings b ON b.credential = c.id
               WHERE c.scope = ?1 AND b.kek_version < ?2 LIMIT ?3";
    let mut find = c.prepare_cached(sql)?;
    let found = find.query_map(params![s.scope, s.newest, s.most], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let pairs = found.collect::<Result<Vec<(CredentialId, HostId)>, _>>()?;
    let mut known: HashMap<HostId, Option<Host>> = HashMap::new();
    let mut out = Vec::with_capacity(pairs.len());
    for (credential, host_id) in pairs {
        let (Some(meta), Some(binding)) = (credentials::by_id(c, credential)?, credentials::binding(c, credential, host_id)?) else {
            continue;
        };
        let host = match known.entry(host_id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(hosts::by_id(c, host_id)?),
        };
        let Some(host) = host else { continue };
        let pins = host.host_keys.iter().map(|key| key.fingerprint.clone()).collect();
        let bound = HostBinding::new(host.address.clone(), meta.username.clone(), pins);
        let place = |version| Place::dek(s.vault, &meta, version, Some((host_id, &bound)));
        out.push(Stale {
            key: vec![Value::Text(credential.to_string()), Value::Text(host_id.to_string())],
            version: binding.kek_version,
            before: place(binding.kek_version),
            after: place(s.newest),
            blob: binding.wrapped_dek,
        });
    }
    Ok(out)
}

fn authority_keys(c: &Connection, s: &Search<'_>) -> Result<Vec<Stale>, store::Error> {
    let stale = authorities::of(c, s.scope)?.into_iter().filter(|row| row.kek_version < s.newest);
    let most = usize::try_from(s.most).unwrap_or(usize::MAX);
    let of = |row: AuthorityRow| {
        let place = |version| Place::authority_key(s.vault, &row.meta, version);
        let (before, after) = (place(row.kek_version), place(s.newest));
        let key = vec![Value::Text(row.meta.scope.key()), Value::Integer(row.meta.generation.into())];
        Stale { key, version: row.kek_version, before, after, blob: row.wrapped_dek }
    };
    Ok(stale.take(most).map(of).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[tokio::test]
    async fn every_wrapped_column_is_in_one_of_the_lists() {
        let dir = tempfile::tempdir().unwrap();
        let config = store::Config { path: dir.path().join("k.db"), reserve: 0, patience: std::time::Duration::from_secs(20) };
        let store = store::Store::open(config).unwrap();
        let found: BTreeSet<(String, String)> = store
            .read(|c| -> Result<_, store::Error> {
                let sql = "SELECT t.name, i.name FROM sqlite_schema t JOIN pragma_table_info(t.name) i
                           WHERE t.type = 'table' AND i.name LIKE '%wrapped%'";
                Ok(c.prepare(sql)?.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<Result<_, _>>()?)
            })
            .await
            .unwrap();
        let listed = UNDER_ROOT.iter().map(|t| (t.table, t.column)).chain(UNDER_KEK.iter().map(|t| (t.table, t.column)));
        let listed: BTreeSet<(String, String)> = listed.map(|(table, column)| (table.to_owned(), column.to_owned())).collect();
        assert_eq!(found, listed, "left: columns of the schema; right: what a rotation goes by");
    }
}
