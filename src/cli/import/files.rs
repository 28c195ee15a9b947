//! The person's own files for an import: the configuration with all that it includes, and files of known hosts. Reads
//! regular files alone, each to its bound, and none that others could have written where `ssh` would not read it either.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use globset::GlobBuilder;

use crate::cli::fail::{Exit, Failure};
use crate::cli::place;
use crate::sshconfig::known_hosts::{self, KnownHosts};
use crate::sshconfig::{Config, Loaded, MAX_FILE, Surroundings};

/// The configuration of the whole system.
const SYSTEM: &str = "/etc/ssh/ssh_config";
/// The most files that one pattern finds, and the most entries of a folder that are looked at.
const MAX_FOUND: usize = 256;
const MAX_ENTRIES: usize = 10_000;
/// The longest public key, in bytes.
const MAX_PUBLIC: usize = 16 * 1024;
/// The bits of a mode by which others may write.
const OTHERS_WRITE: u32 = 0o022;

/// Who the person is, as far as tokens of a configuration go.
pub(super) fn surroundings(home: &Path) -> Surroundings {
    let user = place::account_name().unwrap_or_default();
    Surroundings { user, home: home.display().to_string(), uid: rustix::process::getuid().as_raw() }
}

/// The configuration: a file that was named, alone, or what `ssh` reads.
///
/// # Errors
/// If the file that was named, or the person's own, cannot be read.
pub(super) fn config(named: Option<&Path>, home: &Path) -> Result<Config, Failure> {
    let ssh = home.join(".ssh");
    let own = named.map_or_else(|| ssh.join("config"), Path::to_path_buf);
    let first = load(&own, named.is_none());
    if let Err(why) = &first.bytes {
        let hint = "name the file: keyward import ssh-config FILE";
        return Err(Failure::new(Exit::Failed, format!("{} cannot be read: {why}", own.display()), hint));
    }
    let mut roots = vec![first];
    if named.is_none() && Path::new(SYSTEM).exists() {
        roots.push(load(Path::new(SYSTEM), true));
    }
    Ok(Config::read(roots, &mut |root, pattern| {
        let base = if root == SYSTEM { Path::new("/etc/ssh") } else { &ssh };
        included(pattern, base, home)
    }))
}

/// What an `Include` finds, in the order of the names.
fn included(pattern: &str, base: &Path, home: &Path) -> Vec<Loaded> {
    let wanted = match pattern.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None if pattern.starts_with('~') => {
            return vec![Loaded { name: pattern.to_owned(), bytes: Err("it lies in somebody else's home".to_owned()) }];
        }
        None => base.join(pattern),
    };
    found(&wanted).iter().map(|path| load(path, true)).collect()
}

/// The paths that a pattern means, each of its parts by itself; what is not there is nothing.
fn found(pattern: &Path) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::new()];
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy().into_owned();
        let is_glob = matches!(part, Component::Normal(_)) && text.contains(['*', '?', '[']);
        let mut next = Vec::new();
        for path in &paths {
            if !is_glob {
                next.push(path.join(part));
                continue;
            }
            // Braces are themselves in these patterns.
            let escaped = text.replace('{', "[{]").replace('}', "[}]");
            let Ok(glob) = GlobBuilder::new(&escaped).literal_separator(true).build() else { return Vec::new() };
            let glob = glob.compile_matcher();
            let entries = std::fs::read_dir(path).into_iter().flatten().take(MAX_ENTRIES).filter_map(Result::ok);
            let names = entries.map(|e| e.file_name()).filter(|n| text.starts_with('.') || !n.to_string_lossy().starts_with('.'));
            next.extend(names.filter(|n| glob.is_match(n)).map(|n| path.join(n)));
        }
        next.sort();
        next.truncate(MAX_FOUND);
        paths = next;
    }
    paths.retain(|p| p.exists());
    paths
}

fn load(path: &Path, checked: bool) -> Loaded {
    Loaded { name: path.display().to_string(), bytes: read(path, checked) }
}

/// A regular file to its bound. `checked`: not one that others could have written, as `ssh` has it.
fn read(path: &Path, checked: bool) -> Result<Vec<u8>, String> {
    let told = |e: std::io::Error| e.to_string();
    // Before it is opened: to open a pipe would wait for its writer.
    let about = std::fs::metadata(path).map_err(told)?;
    if !about.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let mine = about.uid() == 0 || about.uid() == rustix::process::getuid().as_raw();
    if checked && (!mine || about.mode() & OTHERS_WRITE != 0) {
        return Err("others can write it, so ssh does not read it either: chmod go-w".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|f| f.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)).map_err(told)?;
    Ok(bytes)
}

/// A file of known hosts; one that is not there knows nobody.
pub(super) fn known(path: &Path) -> Option<KnownHosts> {
    let bytes = read(path, false).ok().filter(|b| b.len() <= MAX_FILE)?;
    Some(known_hosts::read(&path.display().to_string(), &bytes))
}

/// The public key in a file.
pub(super) fn public_key(path: &Path) -> Option<String> {
    let bytes = read(path, false).ok().filter(|b| b.len() <= MAX_PUBLIC)?;
    String::from_utf8(bytes).ok()
}
