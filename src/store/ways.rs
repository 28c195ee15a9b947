//! Rows of how a host is reached: through which other host, and with which old algorithms. Refuses circles and endless chains
//! where they are written and again where they are read.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, hosts};
use crate::model::{Host, HostId, Legacy, Name, SessionId};

/// The most jump hosts on the way to a host.
pub const HOPS_MAX: usize = 8;

/// What stands about a host.
pub(super) fn read(c: &Connection, host: HostId) -> Result<(Option<HostId>, Legacy), Error> {
    let found: Option<(Option<HostId>, String)> = c
        .prepare_cached("SELECT via, legacy FROM host_ways WHERE host = ?1")?
        .query_row([host], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    let Some((via, legacy)) = found else { return Ok((None, Legacy::default())) };
    Ok((via, legacy.parse().map_err(Error::Malformed)?))
}

/// Writes what a host says, and looks whether every host can still be reached.
///
/// # Errors
/// [`Error::Way`]: a circle, more than [`HOPS_MAX`] jump hosts, or one of another workspace.
pub(super) fn write(c: &Connection, host: &Host) -> Result<(), Error> {
    let before = read(c, host.id)?;
    if before == (host.via, host.legacy.clone()) {
        return Ok(());
    }
    c.execute("DELETE FROM host_ways WHERE host = ?1", [host.id])?;
    if host.via.is_none() && host.legacy.is_empty() {
        return Ok(());
    }
    let legacy = host.legacy.to_string();
    c.execute("INSERT INTO host_ways(host, via, legacy) VALUES(?1,?2,?3)", params![host.id, host.via, legacy])?;
    if host.via.is_some() && host.via != before.0 {
        // Hosts that are reached through this one have a longer way now, too.
        let through: Vec<HostId> =
            c.prepare_cached("SELECT host FROM host_ways WHERE via IS NOT NULL")?.query_map([], |r| r.get(0))?.collect::<Result<_, _>>()?;
        for id in through {
            if let Some(other) = hosts::by_id(c, id)? {
                route(c, &other)?;
            }
        }
    }
    Ok(())
}

/// The jump hosts on the way to a host: first the one that the broker itself connects to. Empty: it is reached straight.
///
/// # Errors
/// [`Error::Way`].
pub fn route(c: &Connection, host: &Host) -> Result<Vec<Host>, Error> {
    let wrong = |why: String| Error::Way { host: host.name.clone(), why };
    let mut route: Vec<Host> = Vec::new();
    let mut next = host.via;
    while let Some(id) = next {
        if id == host.id || route.iter().any(|hop| hop.id == id) {
            return Err(wrong("its way is a circle".to_owned()));
        }
        if route.len() == HOPS_MAX {
            return Err(wrong(format!("its way has more than {HOPS_MAX} jump hosts")));
        }
        let hop = hosts::by_id(c, id)?.filter(|hop| hop.workspace == host.workspace);
        let hop = hop.ok_or_else(|| wrong("a jump host on its way is gone".to_owned()))?;
        next = hop.via;
        route.push(hop);
    }
    route.reverse();
    Ok(route)
}

/// The names of the hosts that are reached through a host, by name.
///
/// # Errors
/// What SQLite says.
pub fn behind(c: &Connection, host: HostId) -> Result<Vec<Name>, Error> {
    let sql = "SELECT name FROM hosts WHERE id IN (SELECT host FROM host_ways WHERE via = ?1) ORDER BY name";
    Ok(c.prepare_cached(sql)?.query_map([host], |r| r.get(0))?.collect::<Result<_, _>>()?)
}

/// Notes how a session is about to reach its host, where there is something to note.
///
/// # Errors
/// What SQLite says.
pub fn note(c: &Connection, session: SessionId, route: &[Name], legacy: &Legacy) -> Result<(), Error> {
    if route.is_empty() && legacy.is_empty() {
        return Ok(());
    }
    let via = route.iter().map(Name::as_str).collect::<Vec<_>>().join(" ");
    c.execute("INSERT INTO session_ways(session, via, legacy) VALUES(?1,?2,?3)", params![session, via, legacy.to_string()])?;
    Ok(())
}

/// How a session reached its host.
///
/// # Errors
/// What SQLite says.
pub fn of_session(c: &Connection, session: SessionId) -> Result<(Vec<Name>, Legacy), Error> {
    let found: Option<(String, String)> = c
        .prepare_cached("SELECT via, legacy FROM session_ways WHERE session = ?1")?
        .query_row([session], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    let Some((via, legacy)) = found else { return Ok((Vec::new(), Legacy::default())) };
    let via = via.split_whitespace().filter_map(|name| name.parse().ok()).collect();
    Ok((via, legacy.parse().map_err(Error::Malformed)?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::clock::Time;

    fn host(n: u8, via: Option<u8>) -> Host {
        Host {
            id: HostId::from([n; 16]),
            name: format!("h-{n}").parse().unwrap(),
            workspace: "default".parse().unwrap(),
            address: "192.0.2.7".parse().unwrap(),
            tags: BTreeMap::new(),
            trust_first_use: false,
            host_keys: Vec::new(),
            via: via.map(|v| HostId::from([v; 16])),
            legacy: Legacy::default(),
            created_at: Time::from_millis(0),
        }
    }

    #[test]
    fn a_way_is_read_from_the_broker_on_and_circles_and_long_ones_are_refused() {
        let c = super::super::schema::fresh().unwrap();
        hosts::insert(&c, &host(1, None)).unwrap();
        for n in 2..=9 {
            hosts::insert(&c, &host(n, Some(n - 1))).unwrap();
        }
        let names = |n: u8| {
            let found = hosts::by_id(&c, HostId::from([n; 16])).unwrap().unwrap();
            route(&c, &found).unwrap().iter().map(|h| h.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(1), Vec::<String>::new());
        assert_eq!(names(4), ["h-1", "h-2", "h-3"]);
        assert_eq!(names(9).len(), HOPS_MAX);
        assert_eq!(behind(&c, HostId::from([1; 16])).unwrap().len(), 1);
        // A change that is refused is rolled back by whoever makes it.
        let refused = |h: &Host, update: bool| match if update { hosts::update(&c, h) } else { hosts::insert(&c, h) } {
            Err(Error::Way { why, .. }) => why,
            other => panic!("{other:?}"),
        };
        assert!(refused(&host(10, Some(9)), false).contains("more than 8"));
        assert!(refused(&host(1, Some(3)), true).contains("circle"));
        assert!(refused(&host(1, Some(1)), true).contains("circle"));
    }
}
