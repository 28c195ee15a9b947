//! Services and timers, from systemd, OpenRC, System V links, FreeBSD's rc and launchd. Judges none of them.

use std::collections::BTreeMap;

use super::inventory::id;
use super::reading::{Bounds, Heard, Reading, Section, pair, words};
use super::types::{Service, Timer};

const SERVICES: &str = "services";
const TIMERS: &str = "timers";

/// A service, but for its name.
#[derive(Default)]
struct State {
    enabled: Option<String>,
    active: Option<String>,
}

/// Reads the services, sorted by name.
pub(super) fn services(reading: &mut Reading<'_>) -> Vec<Service> {
    if let Heard::Absent = reading.heard(id::SERVICES) {
        reading.lack(SERVICES, "no init system that is known");
        return Vec::new();
    }
    let Some(sections) = reading.sections(SERVICES, id::SERVICES) else { return Vec::new() };
    let mut bounds = Bounds::default();
    let mut found: BTreeMap<String, State> = BTreeMap::new();
    for section in &sections {
        match section.head {
            b"unit-files" => unit_files(section, ".service", &mut found, &mut bounds),
            b"units" => units(section, &mut found, &mut bounds),
            b"openrc" | b"sysv" | b"rc" => links(section, section.head == b"openrc", &mut found, &mut bounds),
            b"launchctl" => launchctl(section, &mut found, &mut bounds),
            _ => bounds.strange(),
        }
    }
    bounds.close(reading, SERVICES, found.len());
    // An instance is enabled as its template is.
    let templates: BTreeMap<String, String> =
        found.iter().filter(|(n, _)| n.ends_with('@')).filter_map(|(n, s)| Some((n.clone(), s.enabled.clone()?))).collect();
    let enabled = |name: &str, state: Option<String>| {
        state.or_else(|| templates.get(&format!("{}@", name.split_once('@')?.0)).cloned()).unwrap_or_else(|| "unknown".to_owned())
    };
    found.into_iter().map(|(name, s)| Service { enabled: enabled(&name, s.enabled), name, active: s.active }).collect()
}

/// Reads the timers, sorted by name. A timer that says nothing else starts the service of its name.
pub(super) fn timers(reading: &mut Reading<'_>) -> Vec<Timer> {
    if let Heard::Absent = reading.heard(id::TIMERS) {
        reading.inapplicable(TIMERS, "no systemd runs there");
        return Vec::new();
    }
    let Some(sections) = reading.sections(TIMERS, id::TIMERS) else { return Vec::new() };
    let mut bounds = Bounds::default();
    let mut found: BTreeMap<String, State> = BTreeMap::new();
    let mut starts: BTreeMap<String, String> = BTreeMap::new();
    for section in &sections {
        match section.head {
            b"unit-files" => unit_files(section, ".timer", &mut found, &mut bounds),
            b"show" => {
                for unit in section.lines.split(|l| l.is_empty()) {
                    let field = |name: &[u8]| unit.iter().find_map(|l| l.strip_prefix(name));
                    let (Some(name), Some(starts_unit)) = (field(b"Id="), field(b"Unit=")) else { continue };
                    let name = bounds.text(name.strip_suffix(b".timer").unwrap_or(name));
                    if bounds.room(starts.len()) {
                        found.entry(name.clone()).or_default();
                        starts.insert(name, bounds.text(starts_unit));
                    }
                }
            }
            _ => bounds.strange(),
        }
    }
    bounds.close(reading, TIMERS, found.len());
    let timer = |(name, state): (String, State)| Timer {
        unit: starts.get(&name).cloned().unwrap_or_else(|| format!("{name}.service")),
        enabled: state.enabled.unwrap_or_else(|| "unknown".to_owned()),
        name,
    };
    found.into_iter().map(timer).collect()
}

/// `UNIT STATE PRESET`.
fn unit_files(section: &Section<'_>, suffix: &str, found: &mut BTreeMap<String, State>, bounds: &mut Bounds) {
    for line in section.lines.iter().filter(|l| !l.trim_ascii().is_empty()) {
        let mut fields = words(line);
        let (Some(unit), Some(state)) = (fields.next(), fields.next()) else {
            bounds.strange();
            continue;
        };
        // Lines like `123 unit files listed.` name no unit.
        let Some(name) = unit.strip_suffix(suffix.as_bytes()) else { continue };
        let (name, state) = (bounds.text(name), bounds.text(state));
        if let Some(entry) = entry(found, name, bounds) {
            entry.enabled = Some(state);
        }
    }
}

/// `UNIT LOAD ACTIVE SUB DESCRIPTION`, a mark before it where something is wrong.
fn units(section: &Section<'_>, found: &mut BTreeMap<String, State>, bounds: &mut Bounds) {
    for line in &section.lines {
        let mut fields = words(line).skip_while(|w| matches!(*w, b"\xE2\x97\x8F" | b"\xE2\x97\x8B" | b"\xC3\x97" | b"*" | b"x"));
        let (Some(unit), Some(load), Some(active)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let Some(name) = unit.strip_suffix(b".service") else { continue };
        // Others only mention it.
        if load == b"not-found" {
            continue;
        }
        let (name, active) = (bounds.text(name), bounds.text(active));
        if let Some(entry) = entry(found, name, bounds) {
            entry.active = Some(active);
        }
    }
}

/// `WORD NAME`, the word being `enabled`, `known`, `started` or `failed`. `states`: what is started is said, too.
fn links(section: &Section<'_>, states: bool, found: &mut BTreeMap<String, State>, bounds: &mut Bounds) {
    for line in section.lines.iter().filter(|l| !l.trim_ascii().is_empty()) {
        let Some((word, name)) = pair(line, b" ") else {
            bounds.strange();
            continue;
        };
        // FreeBSD writes the path of the script.
        let name = bounds.text(name.rsplit(|b| *b == b'/').next().unwrap_or(name));
        if matches!(name.as_str(), "README" | "skeleton" | "functions.sh" | "rc" | "rcS" | "") {
            continue;
        }
        let Some(entry) = entry(found, name, bounds) else { continue };
        match word {
            b"enabled" => entry.enabled = Some("enabled".to_owned()),
            b"started" => entry.active = Some("active".to_owned()),
            b"failed" => entry.active = Some("failed".to_owned()),
            b"known" => {}
            _ => bounds.strange(),
        }
    }
    for state in found.values_mut() {
        state.enabled.get_or_insert_with(|| "disabled".to_owned());
        if states {
            state.active.get_or_insert_with(|| "inactive".to_owned());
        }
    }
}

/// `PID STATUS LABEL`, divided by tabs.
fn launchctl(section: &Section<'_>, found: &mut BTreeMap<String, State>, bounds: &mut Bounds) {
    for line in &section.lines {
        let mut fields = line.splitn(3, |b| *b == b'\t');
        let (Some(pid), Some(_), Some(label)) = (fields.next(), fields.next(), fields.next()) else { continue };
        if pid == b"PID" {
            continue;
        }
        let name = bounds.text(label);
        if let Some(entry) = entry(found, name, bounds) {
            entry.enabled = Some("loaded".to_owned());
            entry.active = Some(if pid == b"-" { "inactive" } else { "active" }.to_owned());
        }
    }
}

/// The entry of this name, if there is room for it.
fn entry<'f>(found: &'f mut BTreeMap<String, State>, name: String, bounds: &mut Bounds) -> Option<&'f mut State> {
    if !found.contains_key(&name) && !bounds.room(found.len()) {
        return None;
    }
    Some(found.entry(name).or_default())
}
