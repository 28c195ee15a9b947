//! The operating system, the kernel and the machine. Decides nothing that depends on packages: that is `reboot`'s.

use super::inventory::id;
use super::reading::{Heard, Reading, lines, number, pair, pairs, shown, value, words};
use super::types::{Os, System};

const OS: &str = "os";
const SYSTEM: &str = "system";

/// The kernel's build, which no fact keeps: `#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)`.
pub(super) struct Build(pub(super) String);

/// Reads the operating system, the kernel and the machine.
pub(super) fn read(reading: &mut Reading<'_>) -> (Os, System, Build) {
    let names = pairs(reading.text(SYSTEM, id::SYSTEM).unwrap_or_default());
    let name = |key: &str| value(&names, key).unwrap_or_default();
    let mut system = System {
        hostname: name("hostname"),
        kernel: name("kernel"),
        release: name("release"),
        machine: name("machine"),
        ..System::default()
    };
    if system.kernel.is_empty() || system.release.is_empty() {
        reading.lack(SYSTEM, "not understood: no name or no release of the kernel");
    }
    system.booted_at = value(&names, "btime").and_then(|t| number(t.as_bytes())).or_else(|| {
        let boot = value(&names, "boottime")?;
        let (_, seconds) = boot.split_once("sec = ")?;
        number(seconds.split(',').next()?.as_bytes())
    });
    if let Heard::Whole(text) = reading.heard(id::BOOT_ID) {
        system.boot_id = Some(shown(text)).filter(|id| id.len() == 36);
    }
    hardware(reading, &mut system);
    time(reading, &mut system);
    let os = os(reading, &system.kernel, &names);
    (os, system, Build(name("build")))
}

fn os(reading: &mut Reading<'_>, kernel: &str, names: &[(&[u8], &[u8])]) -> Os {
    let mut os = Os { family: kernel.to_ascii_lowercase(), ..Os::default() };
    if kernel == "Darwin" {
        os.id = "macos".to_owned();
        os.version = value(names, "product_version").unwrap_or_default();
        os.name = format!("{} {}", value(names, "product").unwrap_or_else(|| "macOS".to_owned()), os.version).trim_end().to_owned();
        if os.version.is_empty() {
            reading.lack(OS, "no version: sw_vers said none");
        }
        return os;
    }
    let release = [id::OS_RELEASE, id::USR_OS_RELEASE].into_iter().find_map(|id| match reading.heard(id) {
        Heard::Whole(text) | Heard::Part(text, _) => Some(text),
        _ => None,
    });
    if let Some(text) = release {
        for (key, word) in pairs(text) {
            let word = unquoted(word);
            match key.trim_ascii() {
                b"ID" => os.id = word,
                b"ID_LIKE" => os.id_like = word.split_ascii_whitespace().take(20).map(str::to_owned).collect(),
                b"VERSION_ID" => os.version = word,
                b"VERSION_CODENAME" => os.codename = word,
                b"PRETTY_NAME" => os.name = word,
                _ => {}
            }
        }
    } else if let Heard::Whole(text) = reading.heard(id::REDHAT_RELEASE) {
        // RHEL and CentOS 6 have no other: `CentOS release 6.10 (Final)`.
        os.name = shown(lines(text).next().unwrap_or_default());
        os.id = if os.name.starts_with("Red Hat") {
            "rhel".to_owned()
        } else {
            os.name.split(' ').next().unwrap_or_default().to_ascii_lowercase()
        };
        os.version = os.name.split(' ').find(|w| w.starts_with(|c: char| c.is_ascii_digit())).unwrap_or_default().to_owned();
    }
    if let Some(userland) = value(names, "userland") {
        os.id = "freebsd".to_owned();
        os.version = userland.split('-').next().unwrap_or_default().to_owned();
        os.name = format!("FreeBSD {userland}");
    }
    if os.id.is_empty() {
        reading.lack(OS, "no os-release, or nothing in it that is known");
    }
    os
}

/// A value of os-release: in double quotes, in single ones, or in none; a backslash takes the next character as it is.
fn unquoted(word: &[u8]) -> String {
    let word = word.trim_ascii();
    let inner = match word {
        [q @ (b'"' | b'\''), inner @ .., end] if q == end => inner,
        _ => word,
    };
    let mut out = String::new();
    let text = shown(inner);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

fn hardware(reading: &mut Reading<'_>, system: &mut System) {
    let Some(text) = reading.text("system.hardware", id::HARDWARE) else { return };
    let said = pairs(text);
    let say = |key: &str| value(&said, key);
    system.cpus = say("cpus").and_then(|n| number(n.as_bytes())).filter(|n| *n > 0);
    system.cpu_model = say("cpu").map(|m| m.split_whitespace().collect::<Vec<_>>().join(" "));
    system.memory = say("memory").and_then(|n| number(n.as_bytes()));
    if system.memory.is_none()
        && let Heard::Whole(text) | Heard::Part(text, _) = reading.heard(id::MEMINFO)
    {
        let kib = lines(text).find_map(|l| words(l.strip_prefix(b"MemTotal:")?).next()).and_then(number::<u64>);
        system.memory = kib.and_then(|k| k.checked_mul(1024));
    }
    let hardware: Vec<String> = [say("vendor"), say("product")].into_iter().flatten().collect();
    system.hardware = Some(hardware.join(" ")).filter(|h| !h.is_empty());
    system.virtualisation = virtualisation(&say, &system.machine);
}

/// What kind of machine it is, from whatever said something; `None` where nothing did.
fn virtualisation(say: &dyn Fn(&str) -> Option<String>, machine: &str) -> Option<String> {
    let word = |w: &str| Some(w.to_owned());
    if let Some(detected) = say("detected").or_else(|| say("container")) {
        return Some(detected);
    }
    if let Some(cgroup) = say("cgroup") {
        let known = ["docker", "kubepods", "lxc", "libpod", "containerd", "garden"].into_iter().find(|k| cgroup.contains(k));
        return match known {
            Some("libpod") => word("podman"),
            Some("kubepods") => word("kubernetes"),
            other => other.map(str::to_owned),
        };
    }
    if say("jailed").as_deref() == Some("1") {
        return word("jail");
    }
    match say("vm_guest").as_deref() {
        Some("hv") => return word("microsoft"),
        Some("generic") => return word("vm"),
        Some(guest) => return word(guest),
        None => {}
    }
    match say("hv_guest").as_deref() {
        Some("0") => return word("none"),
        Some(_) => return word("vm"),
        None => {}
    }
    if let Some(hypervisor) = say("sys_hypervisor") {
        return Some(hypervisor);
    }
    let vendor = say("vendor").unwrap_or_default();
    let product = say("product").unwrap_or_default();
    let vendors = [
        ("QEMU", "kvm"),
        ("VMware", "vmware"),
        ("innotek", "oracle"),
        ("Xen", "xen"),
        ("Amazon EC2", "amazon"),
        ("Google", "google"),
        ("Parallels", "parallels"),
        ("OpenStack", "kvm"),
        ("Bochs", "bochs"),
        ("BHYVE", "bhyve"),
        ("Hetzner", "kvm"),
        ("DigitalOcean", "kvm"),
        ("Apple Virtualization", "apple"),
    ];
    let known = vendors.iter().find(|(v, _)| vendor.starts_with(v) || product.starts_with(v) || product.contains("KVM") && *v == "QEMU");
    let bare_amazon = vendor.starts_with("Amazon EC2") && product.contains(".metal");
    let hypervisor = say("hypervisor").is_some();
    match known {
        Some(_) if bare_amazon => word("none"),
        // Hosting firms name their own machines, too; only a guest has the processor's flag.
        Some((_, what)) if hypervisor || !machine.contains("86") => word(what),
        _ if vendor == "Microsoft Corporation" && product == "Virtual Machine" => word("microsoft"),
        _ if hypervisor => word("vm"),
        _ if !vendor.is_empty() && machine.contains("86") => word("none"),
        _ => None,
    }
}

fn time(reading: &mut Reading<'_>, system: &mut System) {
    let mut synchronised: Vec<bool> = Vec::new();
    let mut sources: Vec<&'static str> = Vec::new();
    for section in reading.sections("system.time", id::TIME).unwrap_or_default() {
        let text = section.lines.join(&b'\n');
        let said = pairs(&text);
        let has = |what: &str| text.windows(what.len()).any(|w| w == what.as_bytes());
        // `NAME: VALUE` and `NAME : VALUE`.
        let after = |name: &str| {
            section.lines.iter().find_map(|l| pair(l.trim_ascii().strip_prefix(name.as_bytes())?, b":")).map(|(_, v)| shown(v))
        };
        match section.head {
            b"timedatectl" => {
                let yes =
                    value(&said, "NTPSynchronized").or_else(|| after("System clock synchronized")).or_else(|| after("NTP synchronized"));
                synchronised.extend(yes.map(|y| y == "yes"));
                let zone = value(&said, "Timezone").or_else(|| after("Time zone").or_else(|| after("Timezone")));
                system.timezone = zone.and_then(|z| z.split(' ').next().map(str::to_owned));
            }
            b"chronyc" => {
                synchronised.extend(after("Leap status").map(|l| l != "Not synchronised"));
                sources.push("chrony");
            }
            b"ntpq" => {
                synchronised.push(!has("leap=11") && !has("leap_alarm") && !has("stratum=16") && has("leap"));
                sources.push("ntpd");
            }
            b"ntpctl" => {
                synchronised.push(has("clock synced"));
                sources.push("openntpd");
            }
            b"adjtimex" => {
                // Of busybox the words, of adjtimex the kernel's bit for a clock that is not.
                let status = after("status").and_then(|s| number::<u32>(s.split(' ').next()?.as_bytes()));
                if has("clock is not synchronized") || has("clock not synchronized") || status.is_some_and(|s| s & 0x40 != 0) {
                    synchronised.push(false);
                } else if has("clock synchronized") || status.is_some() {
                    synchronised.push(true);
                }
            }
            b"other" => {
                let local = value(&said, "localtime").and_then(|l| l.split_once("zoneinfo/").map(|(_, zone)| zone.to_owned()));
                let zone = value(&said, "timezone").or(local);
                system.timezone = system.timezone.take().or(zone);
                for (_, process) in said.iter().filter(|(key, _)| *key == b"process") {
                    sources.extend(match *process {
                        b"chronyd" => Some("chrony"),
                        b"ntpd" => Some("ntpd"),
                        b"openntpd" => Some("openntpd"),
                        b"timed" => Some("timed"),
                        b"VBoxService" => Some("virtualbox"),
                        p if p.starts_with(b"ntpd:") => Some("openntpd"),
                        p if p.starts_with(b"systemd-timesyn") => Some("systemd-timesyncd"),
                        _ => None,
                    });
                }
            }
            _ => {}
        }
    }
    // They read the same clock: the first to know is asked first.
    system.time_synchronised = synchronised.first().copied();
    system.time_source = sources.first().map(|s| (*s).to_owned());
}

/// Whether the processor holds the highest byte first.
pub(super) fn big_endian(machine: &str) -> bool {
    matches!(
        machine,
        "s390x"
            | "s390"
            | "ppc"
            | "ppc64"
            | "powerpc"
            | "powerpc64"
            | "sparc"
            | "sparc64"
            | "mips"
            | "mips64"
            | "m68k"
            | "parisc"
            | "parisc64"
            | "aarch64_be"
            | "armeb"
    )
}
