//! An archive of records: where it lies, and all its records, once, one after the other. Never the network, never more than one
//! record in memory, and never a part of an archive as if it were all of it.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::zip::Zip;

/// The most bytes of a record, unpacked. The largest of Ubuntu's, which list every kernel, have a few.
const RECORD_MAX: u64 = 16 << 20;
/// The most bytes of an archive, unpacked.
const ALL_MAX: u64 = 64 << 30;
/// The most records of a folder.
const FILES_MAX: usize = 1_000_000;
/// Where archives lie in the folder: by themselves, and as the tools that download them put them there.
const PLACES: [&str; 3] = ["", "osv-scanner", "osv-scalibr"];

/// An archive that was found.
pub(super) enum Archive {
    /// `all.zip`.
    Zip { path: PathBuf, zip: Zip, opened: Metadata },
    /// A folder of JSON files, in the order of their names.
    Folder { path: PathBuf, files: Vec<PathBuf> },
}

/// What was wrong with an archive, as a sentence.
pub(super) type Broken = String;

impl Archive {
    /// Opens the archive of `Debian` in the folder. Of several `all.zip`, the one that was written last: a stale one beside it
    /// knows less. Folders of JSON files are taken where there is no `all.zip`.
    pub(super) fn open(dir: &Path, ecosystem: &str) -> Result<Self, Broken> {
        let folders = PLACES.map(|place| dir.join(place).join(ecosystem));
        let mut newest: Option<(i64, i64, PathBuf, File, Metadata)> = None;
        for folder in &folders {
            let path = folder.join("all.zip");
            match open_file(&path) {
                Ok((file, meta)) => {
                    if newest.as_ref().is_none_or(|n| (n.0, n.1) < (meta.mtime(), meta.mtime_nsec())) {
                        newest = Some((meta.mtime(), meta.mtime_nsec(), path, file, meta));
                    }
                }
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(e) => return Err(format!("{} could not be read: {e}", path.display())),
            }
        }
        if let Some((.., path, file, opened)) = newest {
            let zip = Zip::open(file, opened.len()).map_err(|why| format!("{} could not be read: {why}", path.display()))?;
            return Ok(Self::Zip { path, zip, opened });
        }
        for path in &folders {
            let files = json_files(path)?;
            if !files.is_empty() {
                return Ok(Self::Folder { path: path.clone(), files });
            }
        }
        let tried = folders.map(|f| f.join("all.zip").display().to_string()).join(", ");
        Err(format!("there is no archive of {ecosystem}: tried {tried}, and JSON files in the same folders"))
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Zip { path, .. } | Self::Folder { path, .. } => path,
        }
    }

    /// Hands each record over; `None` is one that cannot be read. `Err`: the archive could not be read to its end, and whatever
    /// was found is not all there is.
    pub(super) fn each(&self, cancelled: &dyn Fn() -> bool, record: &mut dyn FnMut(Option<&[u8]>)) -> Result<(), Broken> {
        let (mut bytes, mut packed, mut all) = (Vec::new(), Vec::new(), 0);
        let mut counted = |length: u64| {
            all += length;
            if all > ALL_MAX { Err(format!("{} has more than {ALL_MAX} bytes unpacked", self.path().display())) } else { Ok(()) }
        };
        let stopped = || if cancelled() { Err("the look-up was cancelled before the archive was read".to_owned()) } else { Ok(()) };
        match self {
            Self::Zip { path, zip, opened } => {
                let mut left = opened.len();
                for entry in zip.entries() {
                    stopped()?;
                    let entry = entry.map_err(|why| format!("{} could not be read: {why}", path.display()))?;
                    if !entry.json {
                        continue;
                    }
                    // Entries that share bytes are how a small file is made to unpack for days.
                    left = left.checked_sub(entry.packed()).ok_or_else(|| format!("{}: its entries overlap", path.display()))?;
                    let read = zip.unpack(&entry, RECORD_MAX, &mut packed, &mut bytes);
                    counted(if read.is_ok() { entry.unpacked() } else { 0 })?;
                    record(read.is_ok().then_some(bytes.as_slice()));
                }
                let now = zip.file().metadata().map_err(|e| format!("{} could not be read: {e}", path.display()))?;
                let same = |m: &Metadata| (m.len(), m.mtime(), m.mtime_nsec());
                if same(&now) != same(opened) {
                    return Err(format!("{} was written to while it was read", path.display()));
                }
            }
            Self::Folder { files, .. } => {
                for file in files {
                    stopped()?;
                    let read = read_file(file, &mut bytes);
                    counted(if read.is_ok() { bytes.len() as u64 } else { 0 })?;
                    record(read.is_ok().then_some(bytes.as_slice()));
                }
            }
        }
        Ok(())
    }
}

fn json_files(folder: &Path) -> Result<Vec<PathBuf>, Broken> {
    let broken = |e: io::Error| format!("{} could not be read: {e}", folder.display());
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(e) => return Err(broken(e)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(broken)?.path();
        if path.extension().is_some_and(|e| e == "json") {
            files.push(path);
        }
        if files.len() > FILES_MAX {
            return Err(format!("{} has more than {FILES_MAX} records", folder.display()));
        }
    }
    files.sort();
    Ok(files)
}

/// Opens a plain file, once: no link is followed, and a pipe does not keep anybody waiting.
fn open_file(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(rustix::io::Errno::LOOP) => return Err(io::Error::other("it is a symbolic link: put the file itself there")),
        Err(e) => return Err(e.into()),
    };
    let meta = file.metadata()?;
    if meta.is_file() { Ok((file, meta)) } else { Err(io::Error::other("it is not a plain file")) }
}

fn read_file(path: &Path, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.clear();
    let (file, _) = open_file(path)?;
    file.take(RECORD_MAX + 1).read_to_end(bytes)?;
    if bytes.len() as u64 > RECORD_MAX { Err(io::Error::other("it is too large")) } else { Ok(()) }
}
