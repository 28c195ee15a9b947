//! JSON: one document per call, with the keys of the contract. Lists are arrays.

use std::fmt::Write;

use serde::Serialize;

use crate::control::Data;
use crate::model::printable;

/// The document of a reply's data.
pub(super) fn document(data: &Data) -> String {
    match data {
        Data::Nothing => pretty(&serde_json::json!({})),
        // Its entries were streamed already: a document after them would be no part of them.
        Data::Exported(_) | Data::Scanned(_) => String::new(),
        // Standard output is the file itself, or the file's own.
        Data::BackedUp(v) => pretty(v),
        Data::Vault(v) => pretty(v),
        Data::Rotated(v) => pretty(v),
        Data::Scans(v) => pretty(v),
        Data::ScanPlan(v) => pretty(v),
        Data::ScanDiff(v) => pretty(v),
        Data::Profiles(v) => pretty(v),
        Data::Tested(v) => pretty(v),
        Data::Installed(v) => pretty(v),
        Data::Rotation(v) => pretty(v),
        Data::KnownHosts(v) => pretty(v),
        Data::Sources(v) => pretty(v),
        Data::SourceTested(v) => pretty(v),
        Data::Status(v) => pretty(v),
        Data::Sealed(v) => pretty(v),
        Data::Users(v) => pretty(v),
        Data::User(v) => pretty(v),
        Data::Keys(v) => pretty(v),
        Data::Groups(v) => pretty(v),
        Data::Group(v) => pretty(v),
        Data::UserCas(v) => pretty(v),
        Data::UserCa(v) => pretty(v),
        Data::Hosts(v) => pretty(v),
        Data::Host(v) => pretty(v),
        Data::Probed(v) => pretty(v),
        Data::Credentials(v) => pretty(v),
        Data::Credential(v) => pretty(v),
        Data::PublicKey(v) => pretty(v),
        Data::Generated(v) => pretty(v),
        Data::Authority(v) => pretty(v),
        Data::TrustLines(v) => pretty(v),
        Data::SealedScope(v) => pretty(v),
        Data::Locked(v) => pretty(v),
        Data::Slots(v) => pretty(v),
        Data::AgentAsks(v) => pretty(v),
        Data::TotpOffer(v) => pretty(v),
        Data::TotpCodes(v) => pretty(v),
        Data::Totp(v) => pretty(v),
        Data::Grants(v) => pretty(v),
        Data::Grant(v) => pretty(v),
        Data::Explained(v) => pretty(v),
        Data::Sessions(v) => pretty(v),
        Data::Session(v) => pretty(v),
        Data::Deleted(v) => pretty(v),
        Data::Uses(v) => pretty(v),
        Data::Workspaces(v) => pretty(v),
        Data::HostCas(v) => pretty(v),
        Data::Workspace(v) => pretty(v),
        Data::Entries(v) => pretty(v),
        Data::Verdict(v) => pretty(v),
        Data::SshConfig(v) => pretty(v),
        Data::Agents(v) => pretty(v),
        Data::Agent(v) => pretty(v),
        Data::Proposals(v) => pretty(v),
        Data::Proposal(v) => pretty(v),
        Data::Plan(v) => pretty(v),
        Data::Canonical(v) => pretty(v),
        Data::Allowances(v) => pretty(v),
    }
}

pub(super) fn pretty(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| "null".to_owned());
    format!("{}\n", harmless(&text))
}

/// JSON text in which everything that a terminal obeys or hides is an escape. Outside of strings JSON has only
/// white space and ASCII, so that what is replaced stands in a string, and the document stays the same.
pub(super) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let obeyed = c != '\n' && (!c.is_ascii() || c.is_ascii_control()) && printable(c.encode_utf8(&mut [0; 4]), 1).starts_with('\\');
        if obeyed {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}
