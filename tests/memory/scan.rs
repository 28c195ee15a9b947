//! Searches every readable mapping of a process.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Something that must not be found.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Needle {
    /// Which secret, and how it is written.
    pub(crate) what: String,
    bytes: Vec<u8>,
}

/// Where something was found.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    /// Which secret, and how it is written.
    pub(crate) what: String,
    mapping: String,
    address: u64,
    around: String,
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:#x} in {}\n    {}", self.what, self.address, self.mapping, self.around)
    }
}

/// The bytes of a piece that is looked for.
const WINDOW: usize = 8;
/// How far apart pieces begin.
const STEP: usize = 4;

/// Every way in which a secret may lie in memory, in pieces of eight bytes.
pub(crate) fn needles(name: &str, secret: &[u8]) -> Vec<Needle> {
    assert!(secret.len() >= WINDOW, "{name} is too short to be told from anything else");
    let mut found = Vec::new();
    let mut add = |how: &str, bytes: &[u8]| found.push(Needle { what: format!("{name}, {how}"), bytes: bytes.to_vec() });
    let starts = || (0..=secret.len() - WINDOW).step_by(STEP).chain([secret.len() - WINDOW]);
    for at in starts() {
        let piece = &secret[at..at + WINDOW];
        add("raw", piece);
        // Numbers lie with the lowest byte first.
        let mut turned = piece.to_vec();
        turned.reverse();
        add("backwards", &turned);
        let hex: String = piece.iter().map(|b| format!("{b:02x}")).collect();
        add("hex", hex.as_bytes());
        add("hex", hex.to_uppercase().as_bytes());
        let numbers: Vec<String> = piece.iter().map(u8::to_string).collect();
        add("as a list of numbers", numbers.join(",").as_bytes());
        add("as a list of numbers", numbers.join(", ").as_bytes());
    }
    // Base64 of a text that the secret stands in, at any place of it.
    for phase in 0..3 {
        let whole = &secret[phase..];
        let encoded = base64(&whole[..whole.len() - whole.len() % 3]);
        for at in (0..encoded.len().saturating_sub(11)).step_by(4) {
            add("base64", &encoded.as_bytes()[at..at + 12]);
        }
    }
    found
}

fn base64(bytes: &[u8]) -> String {
    use base64ct::Encoding;
    base64ct::Base64::encode_string(bytes)
}

/// A text as it is, in pieces of sixteen characters.
pub(crate) fn text(name: &str, text: &str) -> Vec<Needle> {
    let bytes = text.as_bytes();
    (0..bytes.len().saturating_sub(15))
        .step_by(8)
        .map(|at| Needle { what: format!("{name}, as text"), bytes: bytes[at..at + 16].to_vec() })
        .collect()
}

/// Exactly these bytes.
pub(crate) fn exactly(name: &str, bytes: &[u8]) -> Needle {
    Needle { what: name.to_owned(), bytes: bytes.to_vec() }
}

/// Looks for needles.
pub(crate) struct Scanner {
    by_start: HashMap<[u8; 3], Vec<Needle>>,
    starts: Vec<bool>,
    longest: usize,
}

impl Scanner {
    /// One for these.
    pub(crate) fn new(needles: impl IntoIterator<Item = Needle>) -> Self {
        let mut this = Self { by_start: HashMap::new(), starts: vec![false; 1 << 24], longest: 0 };
        for needle in needles {
            let start = [needle.bytes[0], needle.bytes[1], needle.bytes[2]];
            this.starts[index(&start)] = true;
            this.longest = this.longest.max(needle.bytes.len());
            this.by_start.entry(start).or_default().push(needle);
        }
        assert!(this.longest > 0, "nothing to look for");
        this
    }

    /// Every hit in the memory of a process that lives.
    pub(crate) fn search(&self, process: u32) -> Vec<Hit> {
        let memory = File::open(format!("/proc/{process}/mem"))
            .unwrap_or_else(|e| panic!("the memory of {process}: {e}\nhint: run the tests as root"));
        let maps = maps(process);
        let (mut hits, mut bytes, mut mappings) = (Vec::new(), 0_u64, 0);
        let mut buffer = vec![0; CHUNK + self.longest];
        for map in &maps {
            if map.kernel() || !map.readable {
                continue;
            }
            mappings += 1;
            let mut at = map.start;
            while at < map.end {
                let want = usize::try_from(map.end - at).unwrap().min(CHUNK + self.longest - 1);
                match memory.read_exact_at(&mut buffer[..want], at) {
                    Ok(()) => self.search_in(&buffer[..want], at, map, &mut hits),
                    // It may have been given back since; else it must be read. Not even root can read memfd_secret, which is what it is for.
                    Err(e) => assert!(map.line.contains("secretmem") || !maps_now(process, map), "{}: {e}", map.line),
                }
                bytes += want as u64;
                at += CHUNK as u64;
            }
        }
        assert!(mappings > 10 && bytes > 4_000_000, "only {bytes} bytes in {mappings} mappings were read: this is no whole process");
        hits
    }

    fn search_in(&self, memory: &[u8], base: u64, map: &Map, hits: &mut Vec<Hit>) {
        for (i, start) in memory.windows(3).enumerate() {
            if !self.starts[index(start)] {
                continue;
            }
            let here = &memory[i..];
            for needle in self.by_start.get(start).into_iter().flatten() {
                // What begins in the overlap is found in the next piece.
                if here.starts_with(&needle.bytes) && i < CHUNK {
                    let from = i.saturating_sub(24);
                    let around = memory[from..(i + needle.bytes.len() + 24).min(memory.len())].escape_ascii().to_string();
                    hits.push(Hit { what: needle.what.clone(), mapping: map.line.clone(), address: base + i as u64, around });
                }
            }
        }
    }
}

/// Every piece of what a process that lives can write, or has written: its bytes, with so many more behind them as the next
/// piece begins with.
pub(crate) fn each_piece(process: u32, overlap: usize, mut look: impl FnMut(&[u8])) {
    let memory =
        File::open(format!("/proc/{process}/mem")).unwrap_or_else(|e| panic!("the memory of {process}: {e}\nhint: run the tests as root"));
    let mut buffer = vec![0; CHUNK + overlap];
    for map in
        maps(process).iter().filter(|m| m.readable && !m.kernel() && m.line.split_whitespace().nth(1).is_some_and(|w| w.contains('w')))
    {
        let mut at = map.start;
        while at < map.end {
            let want = usize::try_from(map.end - at).unwrap().min(CHUNK + overlap);
            match memory.read_exact_at(&mut buffer[..want], at) {
                Ok(()) => look(&buffer[..want]),
                Err(e) => assert!(map.line.contains("secretmem") || !maps_now(process, map), "{}: {e}", map.line),
            }
            at += CHUNK as u64;
        }
    }
}

const CHUNK: usize = 1 << 20;

fn index(start: &[u8]) -> usize {
    usize::from(start[0]) << 16 | usize::from(start[1]) << 8 | usize::from(start[2])
}

struct Map {
    start: u64,
    end: u64,
    readable: bool,
    line: String,
}

impl Map {
    /// Pages of the kernel that every process has.
    fn kernel(&self) -> bool {
        ["[vvar]", "[vvar_vclock]", "[vsyscall]"].iter().any(|name| self.line.ends_with(name))
    }
}

fn maps(process: u32) -> Vec<Map> {
    let text = std::fs::read_to_string(format!("/proc/{process}/maps")).expect("maps");
    text.lines()
        .map(|line| {
            let mut words = line.split_whitespace();
            let (start, end) = words.next().and_then(|range| range.split_once('-')).expect("a range");
            let number = |hex| u64::from_str_radix(hex, 16).expect("an address");
            Map {
                start: number(start),
                end: number(end),
                readable: words.next().is_some_and(|mode| mode.starts_with('r')),
                line: line.to_owned(),
            }
        })
        .collect()
}

fn maps_now(process: u32, map: &Map) -> bool {
    maps(process).iter().any(|m| m.readable && m.start <= map.start && m.end >= map.end)
}
