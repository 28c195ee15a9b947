//! A backup is checked in a copy of its own, and then takes the database's place in one step. What was there is kept. Until
//! that step nothing that was there is touched.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};

use super::Error;
use super::stopped::Still;
use crate::audit;
use crate::store::{self, backup};
use crate::vault;
use crate::vault::root::Source;

/// A copy of a backup that was found to be good; it goes when this is dropped.
#[derive(Debug)]
pub(super) struct Checked {
    copy: Temporary,
    /// The backup's SHA-256, in hex.
    pub(super) sha256: String,
    /// How many changes were sealed in it.
    pub(super) epoch: u64,
    /// Its newest audit entry.
    pub(super) seq: u64,
    /// The same of the database that is there, if it could be read.
    pub(super) current: Option<(u64, u64)>,
    /// How it differs from what the checkpoints and the anchor tell, if it is older than that.
    pub(super) older: Option<String>,
}

/// Where things are now.
#[derive(Debug)]
pub(super) struct Placed {
    /// The database that was there.
    pub(super) aside: Option<PathBuf>,
}

#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let _ = fs::remove_file(with(&self.0, suffix));
        }
    }
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |error| Error::Store(store::Error::Io { path, error })
}

/// Whether it is a whole backup of this vault, which the root key that is here opens.
pub(super) async fn check(still: &Still<'_>, file: &Path) -> Result<Checked, Error> {
    let bad = |why: String| Error::BadBackup { file: file.to_owned(), why };
    let database = still.database();
    let source = &still.root.source;
    if let Source::File(path) = source
        && let next = with(path, ".next")
        && next.exists()
    {
        return Err(Error::Vault(vault::Error::RotationCutOff { next }));
    }
    if !source.exists().map_err(vault::Error::from)? {
        return Err(Error::Vault(vault::Error::RootKeyMissing { root_key: source.clone(), database: file.to_owned() }));
    }
    let copy = Temporary(backup::unfinished(&database)?);
    let from = File::open(file).map_err(|e| bad(e.to_string()))?;
    let sha256 = copied(from, file, &copy.0)?;
    if stated(file).is_some_and(|stated| stated != sha256) {
        return Err(bad(format!("its SHA-256 is not the one that {} states", with(file, ".json").display())));
    }
    let found = backup::look(&copy.0).map_err(|e| bad(why(e)))?;
    let current = match database.exists().then(|| backup::look_at_ours(&database)) {
        Some(Ok(current)) if current.vault != found.vault => return Err(Error::OtherVault(file.to_owned())),
        Some(Ok(current)) => Some((current.epoch, current.head.map_or(0, |e| e.seq))),
        _ => None,
    };
    let Some(head) = found.head.filter(|_| found.epoch > 0) else { return Err(bad("nothing was ever recorded in it".to_owned())) };
    // From here on with everything that a start looks at: seal, root key, keys; an older schema is brought up to date.
    let opened = still.open(&copy.0).await.map_err(|e| match e {
        Error::Vault(vault::Error::WrongRootKey { root_key, .. }) => Error::OtherRootKey { file: file.to_owned(), root_key },
        Error::Vault(vault::Error::Tampered { found, .. }) => bad(format!("it was changed by something else than Keyward: {found}")),
        Error::Vault(vault::Error::RootKey(e)) => Error::Vault(vault::Error::RootKey(e)),
        other => bad(other.to_string()),
    })?;
    let older = match opened.compare(&still.memory).await {
        Err(refusal @ Error::RolledBack { .. }) => Some(refusal.to_string()),
        _ => None,
    };
    let verdict = audit::verify(&opened.store, &[], &[0; 32]).await;
    opened.close().await;
    // What a log beside it holds would stay behind when it is moved.
    backup::empty_log(&copy.0)?;
    if let Some(lie) = verdict?.lie {
        return Err(bad(format!("its audit log does not hold at entry {}: {}", lie.seq, lie.what)));
    }
    backup::has_our_schema(&copy.0).map_err(|e| bad(why(e)))?;
    Ok(Checked { copy, sha256, epoch: found.epoch, seq: head.seq, current, older })
}

/// What is wrong with a file, without what the store says of its own.
fn why(error: store::Error) -> String {
    match error {
        store::Error::Malformed(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// The SHA-256 that lies beside a backup.
fn stated(file: &Path) -> Option<String> {
    let about = fs::read(with(file, ".json")).ok()?;
    serde_json::from_slice::<serde_json::Value>(&about).ok()?.get("sha256")?.as_str().map(str::to_owned)
}

fn copied(mut from: File, file: &Path, to: &Path) -> Result<String, Error> {
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(io(to))?;
    let (mut digest, mut piece) = (Context::new(&SHA256), vec![0u8; 256 * 1024]);
    loop {
        let read = from.read(&mut piece).map_err(io(file))?;
        if read == 0 {
            break;
        }
        let piece = piece.get(..read).unwrap_or_default();
        digest.update(piece);
        out.write_all(piece).map_err(io(to))?;
    }
    out.sync_all().map_err(io(to))?;
    Ok(audit::hex(digest.finish().as_ref()))
}

/// Puts it in place. The database that is there gets a second name first; then one rename decides.
pub(super) fn place(still: &Still<'_>, checked: Checked) -> Result<Placed, Error> {
    let database = still.database();
    let mut aside = None;
    if database.exists() {
        // What its log still holds belongs to it. If it cannot be opened any more, the log is kept with it.
        let _ = backup::empty_log(&database);
        let kept = with(&database, &format!(".before-{}", still.clock.now().millis()));
        fs::hard_link(&database, &kept).map_err(io(&kept))?;
        for suffix in ["-wal", "-shm"] {
            match fs::rename(with(&database, suffix), with(&kept, suffix)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io(&kept)(e)),
                _ => {}
            }
        }
        aside = Some(kept);
    }
    File::open(&checked.copy.0).and_then(|file| file.sync_all()).map_err(io(&checked.copy.0))?;
    fs::rename(&checked.copy.0, &database).map_err(io(&database))?;
    File::open(still.home.path()).and_then(|folder| folder.sync_all()).map_err(io(still.home.path()))?;
    Ok(Placed { aside })
}

/// What to do about a root key that is not the backup's.
pub(super) fn other_root_key(root_key: &Source) -> String {
    let Source::File(path) = root_key else {
        return "FILE.json says which one opens it: give that one to the source (docs/root-key.md)".to_owned();
    };
    let shown = path.display();
    format!(
        "FILE.json says which one opens it; former ones are kept as {shown}.old-ID. Put it there: mv -n {shown} {shown}.kept && mv -n {shown}.old-ID {shown}"
    )
}
