//! The anchor: what the newest checkpoint said, in a small file beside the root key, outside the home. Whoever puts back an
//! older database and removes the home's own checkpoints has not changed this one. Holds no secret and is never made older.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::home;
use crate::audit::Checkpoint;

/// Where a database was when it was last looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Anchor {
    /// How many changes of what decides were sealed.
    pub(super) epoch: u64,
    /// The audit log's head.
    pub(super) checkpoint: Checkpoint,
}

impl Anchor {
    /// The anchor's file of a home whose root key is this one. A root key may serve several homes, so the home's path is in
    /// the name.
    pub(super) fn path(root_key: &Path, home: &Path) -> PathBuf {
        let mut name = root_key.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.anchor", home::digest_of(home)));
        root_key.with_file_name(name)
    }

    /// Reads it; `None` if there is none yet.
    ///
    /// # Errors
    /// What the file system says; `InvalidData` if it is no anchor.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Replaces the file (mode 0600) and waits until that is on the disk: a power cut leaves the old one or the new one.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(".new");
        let fresh = PathBuf::from(fresh);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)?;
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;

    fn anchor(seq: u64) -> Anchor {
        let checkpoint = Checkpoint { seq, hash: "00".to_owned(), at: Time::from_millis(0), signature: "x".to_owned() };
        Anchor { epoch: 7, checkpoint }
    }

    #[test]
    fn it_lies_beside_the_root_key_and_survives() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("root.key");
        let path = Anchor::path(&key, Path::new("/var/lib/keyward"));
        assert_eq!(path.parent(), Some(dir.path()));
        assert_ne!(path, Anchor::path(&key, Path::new("/var/lib/other")), "one root key may serve two homes");
        assert_eq!(Anchor::read(&path).unwrap(), None);
        for seq in [1, 2] {
            anchor(seq).write(&path).unwrap();
            assert_eq!(Anchor::read(&path).unwrap(), Some(anchor(seq)));
        }
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left over");
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(Anchor::read(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
