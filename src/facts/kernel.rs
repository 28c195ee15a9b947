//! What the kernel and sshd have in effect: mounts, modules, kernel parameters, `sshd -T`. Judges none of it.

use std::collections::BTreeMap;

use super::inventory::id;
use super::reading::{Bounds, Heard, PARTS_MAX, Reading, lines, pair, words};
use super::types::Mount;

const SSHD: &str = "sshd";
const SYSCTL: &str = "sysctl";
const MOUNTS: &str = "mounts";
const MODULES: &str = "modules";

/// Parameters that are secrets: they are not kept.
const SECRET_PARAMETERS: &[&str] = &["tcp_fastopen_key", "stable_secret", "random.uuid"];

/// What the kernel counts and what it says anew each time: no setting, so no fact.
const COUNTERS: &[&str] = &[
    "fs.dentry-state",
    "fs.file-nr",
    "fs.inode-nr",
    "fs.inode-state",
    "fs.aio-nr",
    "kernel.ns_last_pid",
    "kernel.pty.nr",
    "kernel.random.entropy_avail",
    "kernel.random.boot_id",
    "kernel.perf_event_max_sample_rate",
    "kern.cp_time",
    "kern.cp_times",
    "kern.openfiles",
    "net.netfilter.nf_conntrack_count",
];
/// And families of them.
const COUNTING: &[&str] = &["fs.quota.", "dev.cpu.", "vm.stats.", "vm.loadavg", "kern.ipc.num"];

/// Reads sshd's effective configuration.
pub(super) fn sshd(reading: &mut Reading<'_>) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    if let Heard::Absent = reading.heard(id::SSHD) {
        reading.inapplicable(SSHD, "no sshd of OpenSSH is there, or it is not where one looks");
        return found;
    }
    let Some(text) = reading.text(SSHD, id::SSHD) else { return found };
    let mut bounds = Bounds::default();
    for line in lines(text).map(|l| l.trim_ascii()).filter(|l| !l.is_empty()) {
        let (key, value) = pair(line, b" ").unwrap_or((line, b""));
        if !key.iter().all(u8::is_ascii_alphanumeric) {
            bounds.strange();
            continue;
        }
        let (key, value) = (bounds.text(&key.to_ascii_lowercase()), bounds.text(value));
        if found.contains_key(&key) || bounds.room(found.len()) {
            let values = found.entry(key).or_default();
            if values.len() < PARTS_MAX { values.push(value) } else { bounds.strange() }
        }
    }
    bounds.close(reading, SSHD, found.len());
    // It cannot run without one.
    if !found.is_empty() && !found.contains_key("port") {
        reading.lack(SSHD, "not understood: it names no port");
    }
    found
}

/// Reads the kernel's parameters: `NAME = VALUE` of Linux, `NAME: VALUE` of BSD.
pub(super) fn sysctl(reading: &mut Reading<'_>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    if let Heard::Absent = reading.heard(id::SYSCTL) {
        reading.lack(SYSCTL, "no sysctl is there");
        return found;
    }
    let Some(text) = reading.text(SYSCTL, id::SYSCTL) else { return found };
    let mut bounds = Bounds::default();
    for line in lines(text) {
        let end = line.iter().position(|b| !(b.is_ascii_alphanumeric() || b"._-/%@*+".contains(b))).unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        let value = rest
            .strip_prefix(b" = ")
            .or_else(|| rest.strip_prefix(b" ="))
            .or_else(|| rest.strip_prefix(b": "))
            .or_else(|| rest.strip_prefix(b":"));
        // Values of several lines go on without a name.
        let Some(value) = value.filter(|_| name.contains(&b'.')) else { continue };
        let (name, value) = (bounds.text(name), bounds.text(&words(value).collect::<Vec<_>>().join(&b' ')));
        let counts = COUNTERS.contains(&name.as_str()) || COUNTING.iter().any(|c| name.starts_with(c));
        if !counts && !SECRET_PARAMETERS.iter().any(|s| name.ends_with(s)) && (found.contains_key(&name) || bounds.room(found.len())) {
            found.entry(name).or_insert(value);
        }
    }
    bounds.close(reading, SYSCTL, found.len());
    found
}

/// Reads the mounted file systems, in their order.
pub(super) fn mounts(reading: &mut Reading<'_>) -> Vec<Mount> {
    let mut mounts = Vec::new();
    if let Heard::Absent = reading.heard(id::MOUNTS) {
        reading.lack(MOUNTS, "neither /proc nor mount is there");
        return mounts;
    }
    let Some(sections) = reading.sections(MOUNTS, id::MOUNTS) else { return mounts };
    let mut bounds = Bounds::default();
    for section in &sections {
        for line in section.lines.iter().filter(|l| !l.trim_ascii().is_empty()) {
            let mount = match section.head {
                b"proc" => fields(line, &mut bounds),
                _ => sentence(line, &mut bounds),
            };
            match mount {
                Some(mount) => bounds.push(&mut mounts, mount),
                None => bounds.strange(),
            }
        }
    }
    bounds.close(reading, MOUNTS, mounts.len());
    mounts
}

/// `SOURCE TARGET TYPE OPTIONS …`, blanks as `\040`.
fn fields(line: &[u8], bounds: &mut Bounds) -> Option<Mount> {
    let mut fields = words(line);
    let (source, target, kind, options) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    Some(Mount {
        source: bounds.text(&unescaped(source)),
        target: bounds.text(&unescaped(target)),
        kind: bounds.text(kind),
        options: bounds.parts(options, b','),
    })
}

/// `SOURCE on TARGET type TYPE (OPTIONS)` of Linux, `SOURCE on TARGET (TYPE, OPTIONS)` of BSD.
fn sentence(line: &[u8], bounds: &mut Bounds) -> Option<Mount> {
    let (source, rest) = pair(line, b" on ")?;
    let open = rest.windows(2).rposition(|w| w == b" (")?;
    let (target, inside) = (rest.get(..open)?, rest.get(open + 2..)?.trim_ascii_end());
    let inside = inside.strip_suffix(b")")?;
    let (target, kind, options) = match target.windows(6).rposition(|w| w == b" type ") {
        Some(at) => (target.get(..at)?, target.get(at + 6..)?, inside),
        None => {
            let (kind, options) = pair(inside, b",").unwrap_or((inside, b""));
            (target, kind, options)
        }
    };
    Some(Mount { source: bounds.text(source), target: bounds.text(target), kind: bounds.text(kind), options: bounds.parts(options, b',') })
}

/// `\040` is a blank: three octal digits stand for a byte.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&c, after)) = rest.split_first() {
        let octal = (c == b'\\').then(|| after.get(..3)).flatten().and_then(|o| std::str::from_utf8(o).ok());
        match octal.and_then(|o| u8::from_str_radix(o, 8).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push(c);
                rest = after;
            }
        }
    }
    out
}

/// Reads the loaded modules, sorted: of Linux from `/proc/modules`, of FreeBSD from kldstat.
pub(super) fn modules(reading: &mut Reading<'_>) -> Vec<String> {
    let mut modules = Vec::new();
    let mut bounds = Bounds::default();
    match (reading.heard(id::MODULES), reading.heard(id::KLDSTAT)) {
        (Heard::Absent, Heard::Absent) => reading.inapplicable(MODULES, "this kernel shows none"),
        (Heard::Absent, _) => {
            let Some(text) = reading.text(MODULES, id::KLDSTAT) else { return modules };
            for line in lines(text).filter(|l| l.trim_ascii_start().first().is_some_and(u8::is_ascii_digit)) {
                match words(line).nth(4) {
                    Some(name) => {
                        let name = bounds.text(name.strip_suffix(b".ko").unwrap_or(name));
                        bounds.push(&mut modules, name);
                    }
                    None => bounds.strange(),
                }
            }
            bounds.close(reading, MODULES, modules.len());
        }
        _ => {
            let Some(text) = reading.text(MODULES, id::MODULES) else { return modules };
            for line in lines(text).filter(|l| !l.trim_ascii().is_empty()) {
                match words(line).next() {
                    Some(name) => {
                        let name = bounds.text(name);
                        bounds.push(&mut modules, name);
                    }
                    None => bounds.strange(),
                }
            }
            bounds.close(reading, MODULES, modules.len());
        }
    }
    modules.sort();
    modules.dedup();
    modules
}
