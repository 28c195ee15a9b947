//! The root key's file and the files beside it, step by step: the next key is written, takes the old one's place, and the
//! old one is kept under its id, or destroyed. Every step is on the disk when it returns. Never reads a key, never decides.
//!
//! | file | what it is |
//! |---|---|
//! | `root.key` | the key in use |
//! | `root.key.next` | the next one, while a rotation is under way |
//! | `root.key.old-ID` | one that was in use: it opens backups from its time |

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::root::Error;

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Where the next key is written.
pub(super) fn next(path: &Path) -> PathBuf {
    beside(path, ".next")
}

/// Where the key with this id is kept after its time.
pub(super) fn former(path: &Path, id: &str) -> PathBuf {
    beside(path, &format!(".old-{id}"))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |error| Error::Io { path, error }
}

fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder))
}

/// Gives the key in use a second name, under which it stays when the next one takes its place. Done twice, it is done.
pub(super) fn keep(path: &Path, id: &str) -> Result<(), Error> {
    let kept = former(path, id);
    match fs::hard_link(path, &kept) {
        Ok(()) => sync_folder(path),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && same_file(path, &kept) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(Error::InTheWay { path: kept }),
        Err(e) => Err(failed(&kept)(e)),
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    let (Ok(a), Ok(b)) = (fs::symlink_metadata(a), fs::symlink_metadata(b)) else { return false };
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// The next key takes the place of the one in use, in one step.
pub(super) fn replace(path: &Path) -> Result<(), Error> {
    fs::rename(next(path), path).map_err(failed(path))?;
    sync_folder(path)
}

/// The next key is kept under its id, unused.
pub(super) fn lay_aside(path: &Path, id: &str) -> Result<(), Error> {
    fs::rename(next(path), former(path, id)).map_err(failed(path))?;
    sync_folder(path)
}

/// Takes the beginning of a rotation back: the next key is destroyed, and the one in use loses its second name.
pub(super) fn undo(path: &Path, id: &str) -> Result<(), Error> {
    destroy(&next(path))?;
    let kept = former(path, id);
    if same_file(path, &kept) {
        fs::remove_file(&kept).map_err(failed(&kept))?;
        sync_folder(path)?;
    }
    Ok(())
}

/// Overwrites a key's file and removes it. `false`: there was none. What the file system or the flash beneath it keeps of
/// the bytes that were overwritten is out of reach.
pub(super) fn destroy(path: &Path) -> Result<bool, Error> {
    // NOFOLLOW: a link that somebody put there must not lead to another file.
    let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut file = match OpenOptions::new().write(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(failed(path)(e)),
    };
    let overwrite = |file: &mut File| -> io::Result<()> {
        let length = file.metadata()?.len();
        let zeros = [0u8; 256];
        let mut left = usize::try_from(length.min(4096)).unwrap_or(0);
        while left > 0 {
            let piece = zeros.get(..left.min(zeros.len())).unwrap_or_default();
            file.write_all(piece)?;
            left -= piece.len();
        }
        file.sync_all()
    };
    overwrite(&mut file).map_err(failed(path))?;
    fs::remove_file(path).map_err(failed(path))?;
    sync_folder(path)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("root.key");
        fs::write(&path, "old").unwrap();
        fs::write(next(&path), "new").unwrap();
        (dir, path)
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_next_key_takes_the_place_and_the_old_one_is_kept() {
        let (dir, path) = folder();
        keep(&path, "1").unwrap();
        keep(&path, "1").unwrap();
        assert_eq!(names(dir.path()), ["root.key", "root.key.next", "root.key.old-1"]);
        replace(&path).unwrap();
        assert_eq!(names(dir.path()), ["root.key", "root.key.old-1"]);
        assert_eq!((fs::read(&path).unwrap(), fs::read(former(&path, "1")).unwrap()), (b"new".to_vec(), b"old".to_vec()));
        assert!(matches!(keep(&path, "1"), Err(Error::InTheWay { .. })), "another key's old name is not taken");
    }

    #[test]
    fn a_beginning_is_taken_back() {
        let (dir, path) = folder();
        keep(&path, "1").unwrap();
        undo(&path, "1").unwrap();
        assert_eq!(names(dir.path()), ["root.key"]);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        undo(&path, "1").unwrap();
    }

    #[test]
    fn a_destroyed_key_is_overwritten_under_all_its_names() {
        let (dir, path) = folder();
        let other_name = dir.path().join("kept-open");
        fs::hard_link(&path, &other_name).unwrap();
        assert!(destroy(&path).unwrap());
        assert_eq!(fs::read(&other_name).unwrap(), b"\0\0\0");
        assert!(!destroy(&path).unwrap());
        std::os::unix::fs::symlink(&other_name, &path).unwrap();
        fs::write(&other_name, "innocent").unwrap();
        assert!(destroy(&path).is_err());
        assert_eq!(fs::read(&other_name).unwrap(), b"innocent");
    }
}
