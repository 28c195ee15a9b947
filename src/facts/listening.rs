//! Sockets that listen, from whichever tool the host had: ss, netstat, sockstat, lsof, or the kernel's own tables.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use super::inventory::id;
use super::reading::{Bounds, Heard, PARTS_MAX, Reading, Section, number, words};
use super::types::Listening;

const GROUP: &str = "listening";
/// The key in `missing` where the sockets are known and their processes are not.
pub(super) const PROCESSES: &str = "listening.processes";

/// Protocol, address, interface, port.
type Socket = (String, String, Option<String>, u16);
type Sockets = BTreeMap<Socket, BTreeSet<String>>;

/// Reads the sockets, sorted by protocol, address, interface and port. `big_endian`: how the kernel of the host writes its tables.
pub(super) fn read(reading: &mut Reading<'_>, big_endian: bool) -> Vec<Listening> {
    if let Heard::Absent = reading.heard(id::LISTENING) {
        reading.lack(GROUP, "no tool that knows is there");
        return Vec::new();
    }
    // Without root the sockets are all there, and the processes of others are not.
    let group = match reading.heard(id::LISTENING) {
        Heard::Part(_, why) if why == super::reading::MORE_AS_ROOT => PROCESSES,
        _ => GROUP,
    };
    let Some(sections) = reading.sections(group, id::LISTENING) else { return Vec::new() };
    let mut found = Found::default();
    let mut no_processes = None;
    for section in &sections {
        match section.head {
            b"ss" => {
                let six = stars_are_six(section);
                section.lines.iter().for_each(|l| found.ss(l, six));
            }
            b"sockstat" => section.lines.iter().for_each(|l| found.sockstat(l)),
            b"netstat" => {
                section.lines.iter().for_each(|l| found.netstat(l));
                if found.sockets.values().all(BTreeSet::is_empty) {
                    no_processes = Some("this netstat names none");
                }
            }
            b"lsof" => found.lsof(section),
            b"hidden" => reading.lack(GROUP, "the sockets of others are hidden from all but root"),
            head => match head.strip_prefix(b"proc ").and_then(|p| Proc::new(p, big_endian)) {
                Some(table) => {
                    section.lines.iter().for_each(|l| found.table(&table, l));
                    no_processes = Some("neither ss nor netstat is there; the kernel's tables name none");
                }
                None => found.bounds.strange(),
            },
        }
    }
    if let Some(why) = no_processes {
        reading.lack(PROCESSES, why);
    }
    found.bounds.close(reading, GROUP, found.sockets.len());
    let listening = |((protocol, address, interface, port), processes): (Socket, BTreeSet<String>)| Listening {
        protocol,
        address,
        interface,
        port,
        processes: processes.into_iter().collect(),
    };
    found.sockets.into_iter().map(listening).collect()
}

#[derive(Default)]
struct Found {
    sockets: Sockets,
    bounds: Bounds,
}

impl Found {
    /// Adds a socket. `local` is `ADDRESS:PORT`, or `ADDRESS.PORT` as BSD's netstat writes it.
    fn add(&mut self, protocol: &str, local: &[u8], six: bool, separator: u8, processes: impl IntoIterator<Item = String>) {
        let Some(at) = local.iter().rposition(|b| *b == separator) else { return self.bounds.strange() };
        let (address, port) = (local.get(..at).unwrap_or_default(), local.get(at + 1..).unwrap_or_default());
        // `*` is no port: sockets that are not bound to one.
        if port == b"*" {
            return;
        }
        let Some(port) = number::<u16>(port) else { return self.bounds.strange() };
        let address = self.bounds.text(address);
        let address = address.strip_prefix('[').unwrap_or(&address);
        let (address, interface) = match address.split_once('%') {
            Some((address, interface)) => (address, Some(interface.trim_end_matches(']').to_owned())),
            None => (address, None),
        };
        let address = match address.trim_end_matches(']') {
            "*" | "" if six => "::".to_owned(),
            "*" | "" => "0.0.0.0".to_owned(),
            written => written.parse::<Ipv6Addr>().map_or_else(|_| written.to_owned(), |a| a.to_string()),
        };
        let socket = (protocol.to_owned(), address, interface, port);
        if self.sockets.contains_key(&socket) || self.bounds.room(self.sockets.len()) {
            let known = self.sockets.entry(socket).or_default();
            known.extend(processes.into_iter().take(PARTS_MAX.saturating_sub(known.len())));
        }
    }

    /// `tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=1,fd=3))`.
    fn ss(&mut self, line: &[u8], six: bool) {
        let mut fields = words(line);
        let protocol = match fields.next() {
            Some(b"tcp") => "tcp",
            Some(b"udp") => "udp",
            None | Some(b"Netid") => return,
            Some(_) => return self.bounds.strange(),
        };
        let Some(local) = fields.nth(3) else { return self.bounds.strange() };
        let names = line.windows(7).position(|w| w == b"users:(").and_then(|at| line.get(at + 7..)).map(quoted).unwrap_or_default();
        let names: Vec<String> = names.into_iter().map(|n| self.bounds.text(n)).collect();
        self.add(protocol, local, six, b':', names);
    }

    /// `USER COMMAND PID FD PROTO LOCAL FOREIGN`; the command may have blanks.
    fn sockstat(&mut self, line: &[u8]) {
        let fields: Vec<&[u8]> = words(line).take(40).collect();
        if matches!(fields.first().copied(), None | Some(b"USER")) {
            return;
        }
        let kind = fields.iter().skip(4).position(|f| f.starts_with(b"tcp") || f.starts_with(b"udp"));
        let Some(at) = kind.map(|at| at + 4) else { return self.bounds.strange() };
        let (Some(kind), Some(local)) = (fields.get(at), fields.get(at + 1)) else { return self.bounds.strange() };
        let protocol = if kind.starts_with(b"tcp") { "tcp" } else { "udp" };
        let name = fields.get(1..at - 2).unwrap_or_default().join(&b' ');
        let name = Some(self.bounds.text(&name)).filter(|n| n != "?" && !n.is_empty());
        self.add(protocol, local, kind.ends_with(b"6"), b':', name);
    }

    /// Linux (`tcp 0 0 0.0.0.0:22 0.0.0.0:* LISTEN 1/sshd`) and BSD (`tcp4 0 0 *.22 *.* LISTEN`).
    fn netstat(&mut self, line: &[u8]) {
        let fields: Vec<&[u8]> = words(line).take(40).collect();
        let Some(kind) = fields.first().filter(|f| f.starts_with(b"tcp") || f.starts_with(b"udp")) else { return };
        let protocol = if kind.starts_with(b"tcp") { "tcp" } else { "udp" };
        let (Some(local), Some(foreign)) = (fields.get(3), fields.get(4)) else { return self.bounds.strange() };
        let bsd = foreign.ends_with(b".*") || !local.contains(&b':') || matches!(kind.get(3), Some(b'4')) || kind.ends_with(b"46");
        let unconnected = foreign.ends_with(b":*") || foreign.ends_with(b".*");
        let state = fields.get(5).copied().unwrap_or_default();
        if (protocol == "tcp" && state != b"LISTEN") || (protocol == "udp" && !unconnected) {
            return;
        }
        // The process stands last, `PID/NAME`; a name may have blanks.
        let rest = fields.get(if protocol == "tcp" { 6 } else { 5 }..).unwrap_or_default();
        let process = rest.iter().position(|f| f.contains(&b'/')).filter(|_| !bsd).and_then(|at| rest.get(at..)).map(|r| r.join(&b' '));
        let process = process.and_then(|p| {
            let at = p.iter().position(|b| *b == b'/')?;
            let name = p.get(at + 1..)?;
            Some(self.bounds.text(name.strip_suffix(b":").unwrap_or(name)))
        });
        let six = kind.ends_with(b"6");
        self.add(protocol, local, six, if bsd { b'.' } else { b':' }, process);
    }

    /// `-F` output: `p` a process, `c` its name, then for each file `t` IPv4 or IPv6, `P` TCP or UDP, `n` the socket.
    fn lsof(&mut self, section: &Section<'_>) {
        let (mut name, mut six, mut protocol) = (String::new(), false, "tcp");
        for line in &section.lines {
            match line.split_first() {
                Some((b'c', c)) => name = self.bounds.text(c),
                Some((b't', t)) => six = t == b"IPv6",
                Some((b'P', p)) => protocol = if p == b"UDP" { "udp" } else { "tcp" },
                // With an arrow it is a connection.
                Some((b'n', n)) if !n.windows(2).any(|w| w == b"->") => {
                    self.add(protocol, n, six, b':', Some(name.clone()).filter(|n| !n.is_empty()));
                }
                _ => {}
            }
        }
    }

    /// A line of `/proc/net/tcp`: `0: 00000000:0016 00000000:0000 0A …`.
    fn table(&mut self, table: &Proc, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let mut fields = words(line).skip(1);
        let (Some(local), Some(_), Some(state)) = (fields.next(), fields.next(), fields.next()) else { return self.bounds.strange() };
        if state != table.state {
            return;
        }
        match table.local(local) {
            Some((address, port)) => {
                let local = format!("[{address}]:{port}");
                self.add(table.protocol, local.as_bytes(), table.six, b':', None);
            }
            None => self.bounds.strange(),
        }
    }
}

/// Which of the kernel's tables.
struct Proc {
    protocol: &'static str,
    six: bool,
    /// What a socket that listens has in the column of states.
    state: &'static [u8],
    big_endian: bool,
}

impl Proc {
    fn new(name: &[u8], big_endian: bool) -> Option<Self> {
        let (protocol, six, state) = match name {
            b"tcp" => ("tcp", false, &b"0A"[..]),
            b"tcp6" => ("tcp", true, &b"0A"[..]),
            b"udp" => ("udp", false, &b"07"[..]),
            b"udp6" => ("udp", true, &b"07"[..]),
            _ => return None,
        };
        Some(Self { protocol, six, state, big_endian })
    }

    /// The address stands there as words of 32 bits as the processor holds them; the port is a number.
    fn local(&self, field: &[u8]) -> Option<(String, u16)> {
        let (address, port) = std::str::from_utf8(field).ok()?.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        if address.len() != if self.six { 32 } else { 8 } || !address.is_ascii() {
            return None;
        }
        let mut bytes = Vec::with_capacity(16);
        for word in 0..address.len() / 8 {
            let word = u32::from_str_radix(address.get(word * 8..word * 8 + 8)?, 16).ok()?;
            bytes.extend(if self.big_endian { word.to_be_bytes() } else { word.to_le_bytes() });
        }
        let address = match <[u8; 4]>::try_from(&*bytes) {
            Ok(four) => Ipv4Addr::from(four).to_string(),
            Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(&*bytes).ok()?).to_string(),
        };
        Some((address, port))
    }
}

/// Whether this ss writes `*` for sockets of IPv6 that take IPv4, too. Those before 2018 wrote it for all of IPv4.
fn stars_are_six(section: &Section<'_>) -> bool {
    let peer = |wanted: &[u8]| section.lines.iter().any(|l| words(l).nth(5) == Some(wanted));
    peer(b"0.0.0.0:*") || !(peer(b":::*") || peer(b"[::]:*"))
}

/// The names in `(("sshd",pid=1,fd=3),("systemd",pid=1,fd=4))`.
fn quoted(text: &[u8]) -> Vec<&[u8]> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(2).position(|w| w == b"(\"")
        && names.len() < PARTS_MAX
    {
        rest = rest.get(at + 2..).unwrap_or_default();
        let end = rest.windows(6).position(|w| w == b"\",pid=").unwrap_or(rest.len());
        names.push(rest.get(..end).unwrap_or_default());
        rest = rest.get(end..).unwrap_or_default();
    }
    names
}
