//! Rows of certificate authorities of hosts. Which host has which pin of one stands in the rows of the hosts.

use rusqlite::{Connection, Row, params};

use super::Error;
use crate::model::{Host, HostCa, HostKey, Name, authority_pin};

/// The most authorities of a workspace.
pub const MOST: usize = 64;

const COLUMNS: &str = "name, workspace, public_key, fingerprint, hosts, created_at";

fn one(row: &Row<'_>) -> rusqlite::Result<HostCa> {
    Ok(HostCa {
        name: row.get(0)?,
        workspace: row.get(1)?,
        public_key: row.get(2)?,
        fingerprint: row.get(3)?,
        hosts: row.get(4)?,
        created_at: row.get(5)?,
    })
}

/// All authorities of a workspace, by name.
///
/// # Errors
/// What SQLite says.
pub fn all(c: &Connection, workspace: &Name) -> Result<Vec<HostCa>, Error> {
    let mut find = c.prepare_cached(&format!("SELECT {COLUMNS} FROM host_cas WHERE workspace = ?1 ORDER BY name"))?;
    Ok(find.query_map([workspace], one)?.collect::<Result<_, _>>()?)
}

/// Adds one.
///
/// # Errors
/// [`Error::Duplicate`] if the workspace has one of this name or with this key.
pub fn insert(c: &Connection, ca: &HostCa) -> Result<(), Error> {
    for known in all(c, &ca.workspace)? {
        if known.name == ca.name {
            return Err(Error::Duplicate(format!("a host CA named {}", ca.name)));
        }
        if known.fingerprint == ca.fingerprint {
            return Err(Error::Duplicate(format!("a host CA with this key, {},", known.name)));
        }
    }
    c.execute(
        &format!("INSERT INTO host_cas({COLUMNS}) VALUES(?1,?2,?3,?4,?5,?6)"),
        params![ca.name, ca.workspace, ca.public_key, ca.fingerprint, ca.hosts, ca.created_at],
    )?;
    Ok(())
}

/// Whether the authorities whose pins a host gets by becoming `after` are still trusted. A pin that it has already is whoever removes
/// the authority's business.
///
/// # Errors
/// What SQLite says.
pub fn vouch(c: &Connection, before: Option<&Host>, after: &Host) -> Result<bool, Error> {
    let had = |pin: &HostKey| before.is_some_and(|host| host.host_keys.iter().any(|key| key.fingerprint == pin.fingerprint));
    let mut fresh = after.host_keys.iter().filter(|key| key.is_authority() && !had(key)).peekable();
    if fresh.peek().is_none() {
        return Ok(true);
    }
    let known = all(c, &after.workspace)?;
    Ok(fresh.all(|pin| known.iter().any(|ca| authority_pin(&ca.fingerprint) == pin.fingerprint)))
}

/// Removes one; the pins of hosts are the caller's business.
///
/// # Errors
/// What SQLite says.
pub fn remove(c: &Connection, workspace: &Name, name: &Name) -> Result<(), Error> {
    c.execute("DELETE FROM host_cas WHERE workspace = ?1 AND name = ?2", params![workspace, name])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;

    #[test]
    fn a_pin_that_is_written_late_of_an_authority_that_is_gone_is_not_vouched_for() {
        let c = super::super::schema::fresh().unwrap();
        let ca = HostCa {
            name: "corp".parse().unwrap(),
            workspace: "default".parse().unwrap(),
            public_key: "ssh-ed25519 AAAA".to_owned(),
            fingerprint: "SHA256:corp".to_owned(),
            hosts: "*".to_owned(),
            created_at: Time::from_millis(0),
        };
        let bare = Host {
            id: [1; 16].into(),
            name: "web-1".parse().unwrap(),
            workspace: ca.workspace.clone(),
            address: "192.0.2.7".parse().unwrap(),
            tags: std::collections::BTreeMap::new(),
            trust_first_use: false,
            host_keys: vec![HostKey { fingerprint: "SHA256:own".to_owned(), ..ca.pin(ca.created_at) }],
            via: None,
            legacy: crate::model::Legacy::default(),
            created_at: ca.created_at,
        };
        let mut covered = bare.clone();
        covered.host_keys.push(ca.pin(ca.created_at));
        insert(&c, &ca).unwrap();
        assert!(vouch(&c, None, &covered).unwrap() && vouch(&c, Some(&bare), &covered).unwrap());
        remove(&c, &ca.workspace, &ca.name).unwrap();
        assert!(!vouch(&c, None, &covered).unwrap() && !vouch(&c, Some(&bare), &covered).unwrap());
        assert!(vouch(&c, Some(&bare), &bare).unwrap(), "a host's own key needs nobody's word");
        assert!(vouch(&c, Some(&covered), &bare).unwrap() && vouch(&c, Some(&covered), &covered).unwrap(), "it is there already");
    }
}
