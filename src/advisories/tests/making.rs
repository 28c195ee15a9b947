//! Hosts, records and zip files of tests. The zip files are written by hand, so that they can be wrong in every way.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::super::{Advised, Coverage, look_up};
use crate::facts::{Facts, Os, Package, PackageKind};

/// A host with packages: binary name, version, source, source version.
pub(super) fn host(id: &str, version: &str, packages: &[(&str, &str, &str, &str)]) -> Facts {
    let kind = match id {
        "debian" | "ubuntu" => PackageKind::Deb,
        "alpine" => PackageKind::Apk,
        _ => PackageKind::Rpm,
    };
    let packages = packages.iter().map(|(name, version, source, source_version)| Package {
        name: (*name).into(),
        version: (*version).into(),
        arch: "x86_64".into(),
        source: (*source).into(),
        source_version: (*source_version).into(),
        kind,
        module: None,
    });
    Facts { os: Os { id: id.into(), version: version.into(), ..Os::default() }, packages: packages.collect(), ..Facts::default() }
}

/// A record about one package, affected from the beginning up to `fixed`.
pub(super) fn record(id: &str, ecosystem: &str, name: &str, fixed: &str) -> Value {
    json!({
        "schema_version": "1.7.0", "id": id, "modified": "2026-09-12T03:30:10Z", "published": "2026-09-01T00:00:00Z",
        "affected": [{"package": {"ecosystem": ecosystem, "name": name, "purl": format!("pkg:x/{name}")},
                      "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]}]
    })
}

/// Looks one host up.
pub(super) fn look(dir: &Path, facts: &Facts) -> (Coverage, Vec<Advised>) {
    look_up(dir, &[("h", facts)], &|| false).remove("h").unwrap()
}

/// Looks one host up that has to be covered.
pub(super) fn covered(dir: &Path, facts: &Facts) -> Vec<Advised> {
    let (coverage, advised) = look(dir, facts);
    assert!(matches!(coverage, Coverage::Covered { .. }), "{coverage:?}");
    advised
}

/// Why there is nothing, which has to be said.
pub(super) fn no_archive(dir: &Path, facts: &Facts) -> String {
    match look(dir, facts) {
        (Coverage::NoArchive { why }, advised) if advised.is_empty() => why,
        other => panic!("{other:?}"),
    }
}

/// The ids, in their order.
pub(super) fn ids(advised: &[Advised]) -> Vec<&str> {
    advised.iter().map(|a| a.id.as_str()).collect()
}

/// Writes `{dir}/{ecosystem}/all.zip`.
pub(super) fn archive(dir: &Path, ecosystem: &str, records: &[Value]) {
    let mut zip = Zip::default();
    for record in records {
        let name = record["id"].as_str().unwrap_or("x").replace(':', "_");
        zip.add(&format!("{name}.json"), record.to_string().as_bytes());
    }
    zip.write(&dir.join(ecosystem));
}

/// A folder with one archive.
pub(super) fn folder(ecosystem: &str, records: &[Value]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    archive(dir.path(), ecosystem, records);
    dir
}

/// A zip file in the making.
#[derive(Default)]
pub(super) struct Zip {
    body: Vec<u8>,
    table: Vec<u8>,
    rows: u64,
    /// Ends it with the 64-bit record.
    pub(super) wide: bool,
    /// Says that there are so many entries.
    pub(super) claimed: Option<u16>,
    /// Comes after the end record.
    pub(super) comment: Vec<u8>,
    /// Changed in the next rows of the table: byte → value.
    pub(super) row: BTreeMap<usize, u8>,
}

impl Zip {
    /// Adds an entry, deflated.
    pub(super) fn add(&mut self, name: &str, data: &[u8]) {
        let packed = miniz_oxide::deflate::compress_to_vec(data, 1);
        self.raw(name, 8, &packed, data.len() as u32, crc32fast::hash(data));
    }

    /// Adds an entry as it is said to be.
    pub(super) fn raw(&mut self, name: &str, method: u16, packed: &[u8], unpacked: u32, crc: u32) {
        let at = self.body.len() as u32;
        let mut common = Vec::new();
        common.extend([20, 0, 0, 0]);
        common.extend(method.to_le_bytes());
        common.extend([0; 4]);
        common.extend(crc.to_le_bytes());
        common.extend((packed.len() as u32).to_le_bytes());
        common.extend(unpacked.to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        self.body.extend(b"PK\x03\x04");
        self.body.extend(&common);
        // An extra field that the table does not have, as writers put it there.
        self.body.extend([4, 0]);
        self.body.extend(name.as_bytes());
        self.body.extend([0xff, 0xff, 0, 0]);
        self.body.extend(packed);
        let mut row = b"PK\x01\x02\x14\x00".to_vec();
        row.extend(&common);
        row.extend([0; 12]);
        row.extend(at.to_le_bytes());
        self.row.iter().for_each(|(at, value)| row[*at] = *value);
        row.extend(name.as_bytes());
        self.table.extend(row);
        self.rows += 1;
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = self.body.clone();
        let (at, length) = (out.len() as u64, self.table.len() as u64);
        out.extend(&self.table);
        let end = out.len() as u64;
        let (mut rows, mut length_32, mut at_32) =
            ((self.rows as u16).to_le_bytes(), (length as u32).to_le_bytes(), (at as u32).to_le_bytes());
        if self.wide {
            out.extend(b"PK\x06\x06");
            out.extend(44_u64.to_le_bytes());
            out.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            for number in [self.rows, self.rows, length, at] {
                out.extend(number.to_le_bytes());
            }
            out.extend(b"PK\x06\x07\0\0\0\0");
            out.extend(end.to_le_bytes());
            out.extend([1, 0, 0, 0]);
            (rows, length_32, at_32) = ([0xff; 2], [0xff; 4], [0xff; 4]);
        }
        if let Some(claimed) = self.claimed {
            rows = claimed.to_le_bytes();
        }
        out.extend(b"PK\x05\x06\0\0\0\0");
        out.extend(rows);
        out.extend(rows);
        out.extend(length_32);
        out.extend(at_32);
        out.extend((self.comment.len() as u16).to_le_bytes());
        out.extend(&self.comment);
        out
    }

    /// Writes it as the folder's `all.zip`.
    pub(super) fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("all.zip"), self.bytes()).unwrap();
    }
}
