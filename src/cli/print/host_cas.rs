//! Certificate authorities of hosts as a table.

use super::Style;
use super::list::at;
use super::table::table;
use crate::control::HostCaView;

pub(super) fn host_cas(list: &[HostCaView], style: &Style) -> String {
    let rows = list.iter().map(|ca| {
        let kind = ca.public_key.split(' ').next().unwrap_or_default().to_owned();
        vec![ca.name.to_string(), ca.hosts.clone(), ca.covers.to_string(), ca.fingerprint.clone(), kind, at(ca.created_at)]
    });
    table(&["NAME", "FOR", "HOSTS", "FINGERPRINT", "TYPE", "ADDED"], rows.collect(), style)
}
