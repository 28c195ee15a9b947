//! The container of an archive: which records a zip file holds and what is in them, one at a time. Unpacks into memory only,
//! uses no name of a file in it as a path, and takes nothing that the file says of itself without a bound.
//!
//! Written here from PKWARE's public description, because readers of zip files keep a table of all entries in memory before a
//! limit can be set, and because they inflate with flate2, which this program does not have (deny.toml). Every size is
//! compared with what the file really has, and every entry's CRC is checked.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use miniz_oxide::inflate::decompress_slice_iter_to_slice;

/// The most bytes that a table of entries may have.
const TABLE_MAX: u64 = 256 << 20;
/// The most entries.
const ENTRIES_MAX: u64 = 1_000_000;
/// The most bytes after the table: the end record with a comment.
const TAIL_MAX: u64 = 22 + 0xffff;
/// What stands for "see the 64-bit field".
const WIDE: u64 = 0xffff_ffff;

/// A zip file that is open.
pub(super) struct Zip {
    file: File,
    length: u64,
    table: Vec<u8>,
    entries: u64,
}

/// Where a record lies in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    method: u16,
    encrypted: bool,
    crc: u32,
    packed: u64,
    unpacked: u64,
    header: u64,
    /// Whether its name ends with `.json`; others are folders and notes.
    pub(super) json: bool,
}

impl Entry {
    /// How many bytes of the file it takes.
    pub(super) fn packed(&self) -> u64 {
        self.packed
    }

    /// How many bytes it says that it has unpacked.
    pub(super) fn unpacked(&self) -> u64 {
        self.unpacked
    }
}

impl Zip {
    /// Reads the table of a file that has so many bytes. `Err`: why it is no zip file that can be trusted.
    pub(super) fn open(file: File, length: u64) -> Result<Self, String> {
        let tail_length = length.min(TAIL_MAX);
        let tail_at = length - tail_length;
        let tail = read(&file, tail_at, tail_length).map_err(|e| e.to_string())?;
        // The end record says how long the comment behind it is, so that a signature in a comment is none.
        let ends = |at: &usize| tail.get(*at..).is_some_and(|r| u16_at(r, 20).is_some_and(|comment| r.len() == 22 + usize::from(comment)));
        let signed = tail.windows(4).enumerate().filter(|(_, w)| w == b"PK\x05\x06").map(|(at, _)| at);
        let end = signed.rev().find(ends).ok_or("it has no end record: it is cut off or no zip file")?;
        let end_at = tail_at + end as u64;
        let record = tail.get(end..).unwrap_or_default();
        let cut = "its end record is cut off";
        if (u16_at(record, 4), u16_at(record, 6)) != (Some(0), Some(0)) {
            return Err("it is one of several parts".to_owned());
        }
        let mut entries = u64::from(u16_at(record, 10).ok_or(cut)?);
        let mut table_length = u64::from(u32_at(record, 12).ok_or(cut)?);
        let mut table_at = u64::from(u32_at(record, 16).ok_or(cut)?);
        if entries == 0xffff || table_length == WIDE || table_at == WIDE {
            // Over 65,534 entries: the numbers stand in a record of their own, which a locator before this one points to.
            if let Some(locator) = end_at.checked_sub(20).map(|at| read(&file, at, 20)).transpose().map_err(|e| e.to_string())?
                && locator.starts_with(b"PK\x06\x07")
            {
                let at = u64_at(&locator, 8).ok_or(cut)?;
                let wide = read(&file, at, 56).map_err(|_| "its 64-bit end record is not where it should be")?;
                if !wide.starts_with(b"PK\x06\x06") {
                    return Err("its 64-bit end record is not where it should be".to_owned());
                }
                entries = u64_at(&wide, 32).ok_or(cut)?;
                table_length = u64_at(&wide, 40).ok_or(cut)?;
                table_at = u64_at(&wide, 48).ok_or(cut)?;
            }
        }
        if entries > ENTRIES_MAX {
            return Err(format!("it says it has {entries} entries, and {ENTRIES_MAX} are the most that are read"));
        }
        if table_length > TABLE_MAX || table_at.checked_add(table_length).is_none_or(|to| to > end_at) {
            return Err("its table of entries does not fit into it".to_owned());
        }
        let table = read(&file, table_at, table_length).map_err(|e| e.to_string())?;
        Ok(Self { file, length, table, entries })
    }

    /// The entries in the order of the table. An `Err` is the last item: the table is damaged, and what follows is not known.
    pub(super) fn entries(&self) -> impl Iterator<Item = Result<Entry, String>> + '_ {
        let mut rest = self.table.as_slice();
        let mut left = self.entries;
        std::iter::from_fn(move || {
            if left == 0 {
                // A writer that counts in 16 bits says 4,464 for 70,000.
                let more = !std::mem::take(&mut rest).is_empty();
                return more.then(|| Err("its table has more entries than it says".to_owned()));
            }
            left -= 1;
            match entry(&mut rest) {
                Some(entry) => Some(Ok(entry)),
                None => {
                    (left, rest) = (0, &[]);
                    Some(Err("its table of entries is damaged".to_owned()))
                }
            }
        })
    }

    /// Unpacks an entry into `unpacked`, using `packed` for what is read; both keep their memory from one entry to the next.
    /// `Err`: it is damaged, has more than `max` bytes, or is packed in a way that OSV does not use.
    pub(super) fn unpack(&self, entry: &Entry, max: u64, packed: &mut Vec<u8>, unpacked: &mut Vec<u8>) -> Result<(), ()> {
        if entry.encrypted || entry.unpacked > max || entry.packed > max.saturating_add(1 << 16) {
            return Err(());
        }
        // The header before the data repeats the name, and may have other extra fields than the table.
        let mut header = [0; 30];
        self.file.read_exact_at(&mut header, entry.header).map_err(|_| ())?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(());
        }
        let names = u64::from(u16_at(&header, 26).ok_or(())?) + u64::from(u16_at(&header, 28).ok_or(())?);
        let at = entry.header.checked_add(30 + names).ok_or(())?;
        if at.checked_add(entry.packed).is_none_or(|to| to > self.length) {
            return Err(());
        }
        packed.resize(usize::try_from(entry.packed).map_err(|_| ())?, 0);
        self.file.read_exact_at(packed, at).map_err(|_| ())?;
        unpacked.resize(usize::try_from(entry.unpacked).map_err(|_| ())?, 0);
        match entry.method {
            0 if entry.packed == entry.unpacked => unpacked.copy_from_slice(packed),
            // Never writes more than it was given room for.
            8 => {
                let written = decompress_slice_iter_to_slice(unpacked, std::iter::once(packed.as_slice()), false, true).map_err(|_| ())?;
                if written as u64 != entry.unpacked {
                    return Err(());
                }
            }
            _ => return Err(()),
        }
        if crc32fast::hash(unpacked) == entry.crc { Ok(()) } else { Err(()) }
    }

    /// The file, to see whether it is still what was opened.
    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

/// The entry at the front of the table, which moves on behind it.
fn entry(rest: &mut &[u8]) -> Option<Entry> {
    let row = *rest;
    if !row.starts_with(b"PK\x01\x02") {
        return None;
    }
    let (name, extra, comment) = (usize::from(u16_at(row, 28)?), usize::from(u16_at(row, 30)?), usize::from(u16_at(row, 32)?));
    let mut found = Entry {
        encrypted: u16_at(row, 8)? & 1 != 0,
        method: u16_at(row, 10)?,
        crc: u32_at(row, 16)?,
        packed: u64::from(u32_at(row, 20)?),
        unpacked: u64::from(u32_at(row, 24)?),
        header: u64::from(u32_at(row, 42)?),
        json: row.get(46..46 + name)?.ends_with(b".json"),
    };
    widen(&mut found, row.get(46 + name..46 + name + extra)?);
    *rest = row.get(46 + name + extra + comment..)?;
    Some(found)
}

/// Takes the 64-bit numbers from the extra fields, for those that do not fit into 32 bits.
fn widen(entry: &mut Entry, mut extra: &[u8]) {
    while let (Some(kind), Some(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let Some(mut field) = extra.get(4..4 + usize::from(length)) else { return };
        extra = extra.get(4 + usize::from(length)..).unwrap_or_default();
        if kind != 1 {
            continue;
        }
        for number in [&mut entry.unpacked, &mut entry.packed, &mut entry.header] {
            if *number == WIDE
                && let Some(wide) = u64_at(field, 0)
            {
                *number = wide;
                field = field.get(8..).unwrap_or_default();
            }
        }
    }
}

fn read(file: &File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
