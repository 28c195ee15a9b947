//! One thing at a time: facts, line by line.

use super::list::{address, at, bytes, conditions, joined, keys, or_dash, state, tags};
use super::table::{facts, table};
use super::{Rendered, Style, certificates, line, proposals, upkeep, workspaces};
use crate::control::{
    CredentialView, Data, ExplainedView, GrantView, HostView, ProbedView, SessionView, SshConfigView, StatusView, UserView, VerdictView,
};
use crate::model::{DEFAULT_WORKSPACE, printable};

/// One view.
pub(super) fn one(data: &Data, style: &Style) -> Rendered {
    let stdout = match data {
        Data::Status(v) => status(v, style),
        Data::Sealed(v) => super::sealed::status(v, style),
        Data::User(v) => user(v, style),
        Data::Group(v) => facts(vec![("name", v.name.to_string()), ("members", joined(&v.members))], style),
        Data::UserCa(v) => super::user_cas::one(v, style),
        Data::Host(v) => host(v, style),
        Data::Probed(v) => probed(v, style),
        Data::Credential(v) => credential(v, style),
        Data::PublicKey(v) => line(&v.public_key),
        Data::Authority(v) => certificates::authority(v, style),
        Data::TrustLines(v) => certificates::trust_lines(v),
        Data::Workspace(v) => workspaces::workspace(v, style),
        Data::Grant(v) => grant(v, style),
        Data::Explained(v) => explained(v, style),
        Data::Session(v) => session(v, style),
        Data::Deleted(v) => v.live_sessions.iter().map(|id| line(&id.to_string())).collect(),
        Data::Verdict(v) => verdict(v),
        Data::SshConfig(v) => ssh_config(v),
        Data::Agent(v) => proposals::agent(v, style),
        Data::Proposal(v) => proposals::proposal(v, style),
        Data::Plan(v) => proposals::plan(v, style),
        Data::Canonical(v) => v.text.clone(),
        Data::TotpOffer(v) => super::totp::offer(v, style),
        Data::Totp(v) => super::totp::state(v, style),
        Data::SourceTested(v) => super::sources::tested(v),
        Data::Vault(v) => super::vault::stand(v, style),
        _ => String::new(),
    };
    Rendered { stdout, stderr: String::new() }
}

fn status(v: &StatusView, style: &Style) -> String {
    let rows = vec![
        ("version", v.version.clone()),
        ("up", uptime(v.uptime_s)),
        ("listening", v.listen.clone()),
        ("host keys", v.host_keys.join("\n")),
        ("vault", v.vault.clone()),
        ("your own", v.personal.clone()),
        ("open scopes", v.open_scopes.to_string()),
        ("connections", v.live_connections.to_string()),
        ("leases", v.leases_open.to_string()),
        ("proposals", v.pending_proposals.to_string()),
        ("audit", format!("{} entries", v.audit_seq)),
        ("free", v.store_free_bytes.map(bytes).unwrap_or_default()),
        ("workspace", v.workspace.to_string()),
        ("you", format!("{} ({})", v.you, v.role)),
    ];
    facts(rows, style)
}

pub(super) fn uptime(s: u64) -> String {
    let (days, hours, minutes) = (s / 86400, s / 3600 % 24, s / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{s} s"),
        (0, 0, m) => format!("{m} min"),
        (0, h, m) => format!("{h} h {m} min"),
        (d, h, _) => format!("{d} d {h} h"),
    }
}

fn user(v: &UserView, style: &Style) -> String {
    let rows = vec![
        ("name", v.name.to_string()),
        ("id", v.id.to_string()),
        ("role", v.role.to_string()),
        ("state", if v.disabled { "disabled" } else { "enabled" }.to_owned()),
        ("uid", v.uid.map(|u| u.to_string()).unwrap_or_default()),
        ("groups", joined(&v.groups)),
        ("added", at(v.created_at)),
    ];
    let mut out = facts(rows, style);
    if !v.keys.is_empty() {
        out.push('\n');
        out.push_str(&keys(&v.keys, style));
    }
    out
}

fn host(v: &HostView, style: &Style) -> String {
    let pins: Vec<String> = v
        .host_keys
        .iter()
        .map(|k| format!("{} {} ({}, {})", k.fingerprint, k.public_key.split(' ').next().unwrap_or_default(), k.source, at(k.pinned_at)))
        .collect();
    let rows = vec![
        ("name", v.name.to_string()),
        ("id", v.id.to_string()),
        ("address", address(v)),
        ("via", v.via.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("legacy", v.legacy.names().join(" ")),
        ("tags", tags(v)),
        ("host keys", if pins.is_empty() { "none pinned".to_owned() } else { pins.join("\n") }),
        ("first use", if v.trust_first_use && v.via.is_none() { "trusted" } else { "not trusted" }.to_owned()),
        ("credential", or_dash(v.credential.as_ref())),
        ("yours", v.my_credential.clone().unwrap_or_default()),
        ("workspace", v.workspace_credential.clone().unwrap_or_default()),
        ("signs in", v.credential_source.as_deref().map(source).unwrap_or_default().to_owned()),
        ("attached", v.attached.join(" ")),
        ("added", at(v.created_at)),
    ];
    facts(rows, style)
}

/// Why a credential is the one that signs in.
fn source(word: &str) -> &'static str {
    match word {
        "own" => "their own choice",
        "host" => "the host's default",
        _ => "the workspace's default",
    }
}

fn probed(v: &ProbedView, style: &Style) -> String {
    let state = |pinned: bool| if pinned { "pinned" } else { "new" }.to_owned();
    let kind = |key: &str| key.split(' ').next().unwrap_or_default().to_owned();
    let mut rows: Vec<Vec<String>> = v.keys.iter().map(|k| vec![k.fingerprint.clone(), kind(&k.public_key), state(k.pinned)]).collect();
    let gone = v.pinned.iter().filter(|p| v.keys.iter().all(|k| k.fingerprint != **p));
    rows.extend(gone.map(|p| vec![p.clone(), "-".to_owned(), "pinned, NOT SHOWN".to_owned()]));
    format!("{}{}", line(&format!("{} at {} shows:", v.host, v.address)), table(&["FINGERPRINT", "TYPE", "STATE"], rows, style))
}

fn credential(v: &CredentialView, style: &Style) -> String {
    let rows = vec![
        ("name", v.name.to_string()),
        ("id", v.id.to_string()),
        ("scope", super::list::scope(v)),
        ("username", v.username.to_string()),
        ("kind", v.kind.clone()),
        ("lies", v.reference.as_ref().map(super::sources::place).unwrap_or_default()),
        ("fingerprint", v.fingerprint.clone().unwrap_or_default()),
        ("valid for", v.validity_s.map(|s| format!("{s} s each")).unwrap_or_default()),
        ("sudo password", v.sudo_password.as_str().to_owned()),
        ("default on", joined(&v.default_on)),
        ("workspace", if v.workspace_default { "its default".to_owned() } else { String::new() }),
        ("hosts", if v.hosts.is_empty() { "none".to_owned() } else { joined(&v.hosts) }),
        ("rotation", upkeep::open(v.rotation.as_ref())),
        ("added", at(v.created_at)),
        ("updated", at(v.updated_at)),
        ("secret since", format!("{} ({} days)", at(v.secret_changed_at), v.age_days)),
        ("last used", v.last_used_at.map_or_else(|| "never".to_owned(), at)),
    ];
    facts(rows, style)
}

fn grant(v: &GrantView, style: &Style) -> String {
    let rows = vec![
        ("id", v.id.to_string()),
        ("to", v.to.clone()),
        ("hosts", v.hosts.clone()),
        ("allow", v.allow.to_string()),
        ("conditions", conditions(v)),
        ("commands", v.commands.as_ref().map(|c| c.join("\n")).unwrap_or_default()),
        ("added", format!("{} by {}", at(v.created_at), v.created_by)),
    ];
    facts(rows, style)
}

fn explained(v: &ExplainedView, style: &Style) -> String {
    let what = v.action.as_ref().map_or_else(|| "use".to_owned(), Clone::clone);
    let may = if v.allowed { "may" } else { "may NOT" };
    let mut out = line(&format!("{} {may} {what} {} from {}: {}", v.user, v.host, v.from, v.reason));
    let rows = vec![
        ("allowed", v.allow.to_string()),
        ("commands", v.commands.as_ref().map(|c| c.join("\n")).unwrap_or_default()),
        ("until", v.ends_at.map(at).unwrap_or_default()),
        ("credential", or_dash(v.credential.as_ref())),
        ("it is", v.credential_source.as_deref().map(source).unwrap_or_default().to_owned()),
        ("via", joined(&v.via)),
        ("legacy", v.legacy.names().join(" ")),
    ];
    out.push_str(&facts(rows, style));
    let rows: Vec<Vec<String>> = v
        .grants
        .iter()
        .map(|g| {
            vec![g.id.to_string(), g.to.clone(), g.hosts.clone(), g.outcome.clone(), if g.decides { "decides" } else { "" }.to_owned()]
        })
        .collect();
    if !rows.is_empty() {
        out.push('\n');
        out.push_str(&table(&["GRANT", "TO", "HOSTS", "OUTCOME", ""], rows, style));
    }
    out
}

fn session(v: &SessionView, style: &Style) -> String {
    let rows = vec![
        ("id", v.id.to_string()),
        ("user", v.user.to_string()),
        ("host", v.host.to_string()),
        ("via", joined(&v.via)),
        ("legacy", v.legacy.names().join(" ")),
        ("credential", or_dash(v.credential.as_ref())),
        ("client", v.client.clone()),
        ("started", at(v.started_at)),
        ("ended", v.ended_at.map(at).unwrap_or_default()),
        ("state", state(v)),
        ("channels", v.channels.map(|c| c.to_string()).unwrap_or_default()),
        ("to the host", bytes(v.bytes_in)),
        ("from the host", bytes(v.bytes_out)),
    ];
    facts(rows, style) + &super::files::files(v, style)
}

fn verdict(v: &VerdictView) -> String {
    match &v.lie {
        None => line(&format!("{} entries hold, {} checkpoints agree; the last hash is {}", v.entries, v.checkpoints, v.head)),
        Some(lie) => line(&format!("entry {} LIES: {}; the {} entries before it hold", lie.seq, lie.what, v.entries)),
    }
}

fn ssh_config(v: &SshConfigView) -> String {
    let mut out = String::new();
    for host in &v.hosts {
        if v.workspace.as_str() != DEFAULT_WORKSPACE {
            // In quotes, because old clients end a word at `=`.
            let (workspace, broker) = (&v.workspace, printable(&v.broker, 260));
            out.push_str(&format!(
                "Host {workspace}.{host}\n    HostName {broker}\n    Port {}\n    User \"{workspace}={host}\"\n\n",
                v.port
            ));
            continue;
        }
        out.push_str(&format!("Host {host}\n    HostName {}\n    Port {}\n    User {host}\n\n", printable(&v.broker, 260), v.port));
    }
    out
}
