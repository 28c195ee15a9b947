//! Whether a host waits for a reboot: flags of the distribution, the kernel that runs against the newest one installed, and packages
//! that only a reboot brings into use. Says `None` where nothing could be told.

use super::inventory::id;
use super::reading::{Reading, pairs, shown, value};
use super::system::Build;
use super::types::{Os, Package, System};

const REBOOT: &str = "system.reboot";
/// Reasons that are kept.
const REASONS_MAX: usize = 50;

/// Sets `reboot_pending` and its reasons.
pub(super) fn read(reading: &mut Reading<'_>, os: &Os, build: &Build, packages: &[Package], system: &mut System) {
    let Some(text) = reading.text(REBOOT, id::REBOOT) else { return };
    let said = pairs(text);
    let each = |key: &'static str| said.iter().filter(move |(k, _)| *k == key.as_bytes()).map(|(_, v)| shown(v));
    if value(&said, "end").is_none() {
        reading.lack(REBOOT, "the answer breaks off before its end");
    }
    let mut reasons = Vec::new();
    // Whether anything would have said so, had it been so.
    let mut told = false;
    if let Some(flag) = value(&said, "flag") {
        let packages: Vec<String> = each("package").take(REASONS_MAX).collect();
        if packages.is_empty() {
            reasons.push(format!("{flag} is there"));
        }
        reasons.extend(packages);
    }
    let container = matches!(
        system.virtualisation.as_deref(),
        Some(
            "docker"
                | "podman"
                | "lxc"
                | "lxc-libvirt"
                | "systemd-nspawn"
                | "openvz"
                | "kubernetes"
                | "containerd"
                | "garden"
                | "wsl"
                | "jail"
                | "rkt"
                | "container-other"
        )
    );
    // A container runs its host's kernel.
    if !container {
        let installed: Vec<String> = each("kernel").collect();
        match newest(&system.release, &installed) {
            Some(newest) if newest != system.release => reasons.push(format!("kernel {} runs, {newest} is installed", system.release)),
            Some(_) => told = true,
            None => {}
        }
        if let Some((running, installed)) = same_name(&system.release, &build.0, packages) {
            told = true;
            if running != installed {
                reasons.push(format!("kernel package {running} runs, {installed} is installed"));
            }
        }
        if let Some(installed) = value(&said, "installed_kernel") {
            told = true;
            if os.family == "freebsd" && installed != system.release {
                reasons.push(format!("kernel {} runs, {installed} is installed", system.release));
            }
        }
        if let Some(booted) = system.booted_at {
            let mut newer: Vec<String> = each("installed")
                .inspect(|_| told = true)
                .filter_map(|l| l.split_once(' ').map(|(at, name)| (at.parse::<i64>(), name.to_owned())))
                .filter(|(at, _)| at.as_ref().is_ok_and(|at| *at > booted))
                .map(|(_, name)| format!("{name} was installed since the last start"))
                .collect();
            newer.sort();
            newer.dedup();
            reasons.extend(newer);
        }
    }
    reasons.dedup();
    reasons.truncate(REASONS_MAX);
    system.reboot_pending = if !reasons.is_empty() { Some(true) } else { told.then_some(false) };
    if system.reboot_pending.is_none() {
        reading.inapplicable(REBOOT, if container { "a container runs its host's kernel" } else { "nothing on this host tells" });
    }
    system.reboot_reasons = reasons;
}

/// The newest kernel of the same flavour as the running one, if that one is installed at all: a kernel from outside cannot be compared.
fn newest(running: &str, installed: &[String]) -> Option<String> {
    installed.iter().find(|k| *k == running)?;
    let same = installed.iter().filter(|k| flavour(k) == flavour(running));
    same.max_by(|a, b| order(a).cmp(&order(b))).cloned()
}

/// What stands behind the version: `amd64`, `generic`, `default`, `lts`; `.x86_64+rt`.
fn flavour(release: &str) -> &str {
    for arch in [".x86_64", ".aarch64", ".ppc64le", ".s390x", ".i686", ".riscv64"] {
        if let Some(at) = release.find(arch) {
            return release.get(at..).unwrap_or_default();
        }
    }
    match release.rsplit_once('-') {
        Some((_, last)) if last.starts_with(|c: char| c.is_ascii_alphabetic()) => last,
        _ => "",
    }
}

/// The numbers of a release, in their order.
fn order(release: &str) -> Vec<u64> {
    let version = release.strip_suffix(flavour(release)).unwrap_or(release);
    version.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty()).map(|n| n.parse().unwrap_or(u64::MAX)).collect()
}

/// Debian keeps a release's name through updates; the kernel says itself which package it came from. Returns that and the installed one.
fn same_name(release: &str, build: &str, packages: &[Package]) -> Option<(String, String)> {
    let (_, after) = build.split_once(" Debian ")?;
    let running = after.split(' ').next()?.to_owned();
    let name = format!("linux-image-{release}");
    let package = packages.iter().find(|p| p.name == name || p.name == format!("{name}-unsigned"))?;
    Some((running, package.version.clone()))
}
