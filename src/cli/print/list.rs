//! Lists as tables, and which view is printed how.

use super::table::table;
use super::{Rendered, Style, detail, line, proposals, scans, sources, upkeep, workspaces};
use crate::clock::Time;
use crate::control::{CredentialView, Data, EntryView, GrantView, GroupView, HostView, KeyView, SessionView, SlotView, UserView};

/// What a change prints as data: only what the caller could not know, so that scripts can go on with it.
pub(super) fn after_change(data: &Data) -> String {
    match data {
        Data::Grant(grant) => line(&grant.id.to_string()),
        Data::Generated(key) => line(&key.public_key),
        Data::Agent(agent) => proposals::token(agent),
        Data::TotpCodes(v) => super::totp::codes(v),
        Data::SealedScope(v) => v.recovery_code.as_ref().map(|code| line(code)).unwrap_or_default(),
        _ => String::new(),
    }
}

/// Data for people.
pub(super) fn data(data: &Data, style: &Style) -> Rendered {
    let (stdout, none) = match data {
        Data::Users(v) => (users(v, style), "no people"),
        Data::Keys(v) => (keys(v, style), "no keys"),
        Data::Groups(v) => (groups(v, style), "no groups"),
        Data::UserCas(v) => (super::user_cas::list(v, style), "no authorities for people"),
        Data::Hosts(v) => (hosts(v, style), "no hosts"),
        Data::Credentials(v) => (credentials(v, style), "no credentials"),
        Data::Workspaces(v) => (workspaces::workspaces(v, style), "no workspaces"),
        Data::HostCas(v) => (super::host_cas::host_cas(v, style), "no host CAs"),
        Data::Slots(v) => (slots(v, style), "your personal credentials are not sealed"),
        Data::Grants(v) => (grants(v, style), "no grants"),
        Data::Sessions(v) => (sessions(v, style), "no sessions"),
        Data::Entries(v) => (entries(v, style), "no entries"),
        Data::Agents(v) => (proposals::agents(v, style), "no agents"),
        Data::Proposals(v) => (proposals::proposals(v, style), "no proposals"),
        Data::Allowances(v) => (proposals::allowances(v, style), "nothing is allowed again"),
        Data::Scans(v) => (scans::scans(v, style), "no scans"),
        Data::ScanPlan(v) => (scans::plan(v, style), ""),
        Data::ScanDiff(v) => (scans::diff(v), ""),
        Data::KnownHosts(v) => (super::imports::known_hosts(v, style), "no key in it is for a host that is known here"),
        Data::Profiles(v) => (v.iter().map(|p| line(p)).collect(), "no profiles"),
        Data::Tested(v) => return upkeep::tested(v, style),
        Data::Installed(v) => return upkeep::installed(v, style),
        Data::Rotation(v) => return upkeep::rotation(v, style),
        Data::Sources(v) => (sources::sources(v, style), "no sources"),
        // The report was streamed.
        Data::Scanned(_) => return Rendered::default(),
        Data::Exported(v) => return Rendered { stdout: String::new(), stderr: line(&format!("{} entries", v.entries)) },
        one => return detail::one(one, style),
    };
    let stderr = if stdout.is_empty() { line(none) } else { String::new() };
    Rendered { stdout, stderr }
}

/// A time to the second: `2026-11-23 17:38:46Z`.
pub(super) fn at(time: Time) -> String {
    let text = time.to_string();
    let whole = text.split(['.', 'Z']).next().unwrap_or_default();
    format!("{}Z", whole.replace('T', " "))
}

pub(super) fn or_dash<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(|| "-".to_owned(), ToString::to_string)
}

pub(super) fn joined<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

pub(super) fn tags(host: &HostView) -> String {
    host.tags.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ")
}

pub(super) fn address(host: &HostView) -> String {
    let shown = if host.address.contains(':') { format!("[{}]", host.address) } else { host.address.clone() };
    if host.port == 22 { shown } else { format!("{shown}:{}", host.port) }
}

/// Where a host is, with what is not usual about the way there.
fn way(host: &HostView) -> String {
    let via = host.via.as_ref().map(|via| format!(" via {via}")).unwrap_or_default();
    let old = if host.legacy.is_empty() { "" } else { " (legacy)" };
    format!("{}{via}{old}", address(host))
}

/// `1.4 MiB`.
pub(super) fn bytes(count: u64) -> String {
    let mut value = count;
    let mut tenths = 0;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if value < 1024 || unit == "TiB" {
            return if unit == "B" { format!("{value} B") } else { format!("{value}.{tenths} {unit}") };
        }
        tenths = (value % 1024) * 10 / 1024;
        value /= 1024;
    }
    format!("{count} B")
}

fn users(list: &[UserView], style: &Style) -> String {
    let state = |u: &UserView| if u.disabled { "disabled" } else { "enabled" }.to_owned();
    let rows = list.iter().map(|u| {
        vec![u.name.to_string(), u.role.to_string(), state(u), u.keys.len().to_string(), joined(&u.groups), or_dash(u.uid.as_ref())]
    });
    table(&["NAME", "ROLE", "STATE", "KEYS", "GROUPS", "UID"], rows.collect(), style)
}

pub(super) fn keys(list: &[KeyView], style: &Style) -> String {
    let rows = list.iter().map(|k| vec![k.fingerprint.clone(), k.kind.clone(), k.comment.clone(), at(k.added_at)]);
    table(&["FINGERPRINT", "TYPE", "COMMENT", "ADDED"], rows.collect(), style)
}

fn groups(list: &[GroupView], style: &Style) -> String {
    table(&["NAME", "MEMBERS"], list.iter().map(|g| vec![g.name.to_string(), joined(&g.members)]).collect(), style)
}

fn hosts(list: &[HostView], style: &Style) -> String {
    let key = |h: &HostView| match (h.host_keys.len(), h.trust_first_use && h.via.is_none()) {
        (0, false) => "none".to_owned(),
        (0, true) => "first use".to_owned(),
        (n, _) => format!("{n} pinned"),
    };
    let credential = |h: &HostView| {
        h.my_credential.as_ref().map(|c| format!("{c} (yours)")).or_else(|| h.credential.clone()).or_else(|| {
            h.workspace_credential
                .as_ref()
                .filter(|_| h.credential_source.as_deref() == Some("workspace"))
                .map(|c| format!("{c} (workspace)"))
        })
    };
    let rows = list.iter().map(|h| vec![h.name.to_string(), way(h), or_dash(credential(h).as_ref()), key(h), tags(h)]);
    table(&["NAME", "ADDRESS", "CREDENTIAL", "HOST KEY", "TAGS"], rows.collect(), style)
}

/// The hosts of a credential as a cell holds them.
fn some_hosts(c: &CredentialView) -> String {
    const SHOWN: usize = 6;
    let first = joined(c.hosts.get(..SHOWN).unwrap_or(&c.hosts));
    let more = c.hosts.len().saturating_sub(SHOWN);
    let default = if c.workspace_default { "(workspace default) " } else { "" };
    if more == 0 { format!("{default}{first}") } else { format!("{default}{first} and {more} more") }
}

fn credentials(list: &[CredentialView], style: &Style) -> String {
    let rows = list.iter().map(|c| {
        let used = c.last_used_at.map_or_else(|| "never".to_owned(), at);
        let sudo = c.sudo_password.as_str().to_owned();
        let kind = c.reference.as_ref().map_or_else(|| c.kind.clone(), |r| format!("{} ({})", c.kind, sources::place(r)));
        let kind = if c.rotation.is_some() { format!("{kind}, rotation open") } else { kind };
        let age = format!("{} d", c.age_days);
        vec![c.name.to_string(), scope(c), c.username.to_string(), kind, sudo, some_hosts(c), age, used]
    });
    table(&["NAME", "SCOPE", "USERNAME", "KIND", "SUDO", "HOSTS", "AGE", "LAST USED"], rows.collect(), style)
}

/// Whose it is, and whether its owner sealed it.
pub(super) fn scope(c: &CredentialView) -> String {
    if c.sealed { format!("{}, sealed", c.scope) } else { c.scope.clone() }
}

fn slots(list: &[SlotView], style: &Style) -> String {
    let rows = list.iter().map(|s| vec![s.id.to_string(), s.kind.clone(), or_dash(s.fingerprint.as_ref()), at(s.created_at)]);
    table(&["ID", "KIND", "KEY", "ADDED"], rows.collect(), style)
}

/// The conditions of a grant in few words.
pub(super) fn conditions(g: &GrantView) -> String {
    let mut words = Vec::new();
    words.extend(g.commands.as_ref().map(|c| format!("{} commands", c.len())));
    words.extend(g.from.as_ref().map(|f| format!("from {f}")));
    words.extend(g.until.map(|u| format!("until {}", at(u))));
    words.extend(g.between.as_ref().map(|b| format!("{b} UTC")));
    words.extend(g.max_session_s.map(|s| format!("at most {}", duration(s))));
    words.extend(g.second_factor.then(|| "second factor".to_owned()));
    words.join(", ")
}

/// As it is written in `--max-session`: `8h`, `1h30m`.
fn duration(seconds: u64) -> String {
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect()
}

fn grants(list: &[GrantView], style: &Style) -> String {
    let rows = list.iter().map(|g| vec![g.id.to_string(), g.to.clone(), g.hosts.clone(), g.allow.to_string(), conditions(g)]);
    table(&["ID", "TO", "HOSTS", "ALLOW", "CONDITIONS"], rows.collect(), style)
}

/// How a session is or how it ended.
pub(super) fn state(s: &SessionView) -> String {
    match (&s.end_reason, s.exit_status) {
        (None, _) if s.ended_at.is_none() => "live".to_owned(),
        (None, _) => "ended".to_owned(),
        (Some(reason), None) => reason.clone(),
        (Some(reason), Some(status)) => format!("{reason} ({status})"),
    }
}

fn sessions(list: &[SessionView], style: &Style) -> String {
    let rows = list.iter().map(|s| {
        let moved = format!("{} / {}", bytes(s.bytes_in), bytes(s.bytes_out));
        vec![
            s.id.to_string(),
            s.user.to_string(),
            s.host.to_string(),
            or_dash(s.credential.as_ref()),
            at(s.started_at),
            state(s),
            moved,
            s.client.clone(),
        ]
    });
    table(&["ID", "USER", "HOST", "CREDENTIAL", "STARTED", "STATE", "IN / OUT", "CLIENT"], rows.collect(), style)
}

fn entries(list: &[EntryView], style: &Style) -> String {
    let text = |e: &EntryView, key: &str| e.body.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
    let rows = list.iter().map(|e| {
        let mut row = vec![
            e.seq.to_string(),
            at(e.at),
            text(e, "event"),
            text(e, "actor"),
            text(e, "host"),
            text(e, "credential"),
            text(e, "outcome"),
            text(e, "reason"),
        ];
        if style.verbose {
            row.push(text(e, "session"));
            row.push(e.body.get("detail").map(ToString::to_string).unwrap_or_default());
        }
        row
    });
    let mut header = vec!["SEQ", "AT", "EVENT", "ACTOR", "HOST", "CREDENTIAL", "OUTCOME", "REASON"];
    if style.verbose {
        header.extend(["SESSION", "DETAIL"]);
    }
    table(&header, rows.collect(), style)
}
