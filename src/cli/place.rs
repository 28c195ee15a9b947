//! Where things are: the broker's home and the socket in it. The only reader of the environment, which never holds a
//! secret for Keyward.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::fail::{Exit, Failure};

/// A variable of the environment; an empty one counts as none.
#[allow(clippy::disallowed_methods)] // the one place
pub fn var(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The broker's home: what the flag says, else `KEYWARD_HOME`, else the place that the platform has for it.
///
/// # Errors
/// If nothing says where the person's own home is.
pub fn home(flag: Option<&Path>) -> Result<PathBuf, Failure> {
    let chosen = flag.map(Path::to_path_buf).or_else(|| var("KEYWARD_HOME").map(PathBuf::from));
    let path = match chosen {
        Some(path) => path,
        None => default_home(rustix::process::geteuid().is_root(), var("XDG_STATE_HOME"), var("HOME"))
            .ok_or_else(|| Failure::new(Exit::Failed, "nothing says where the broker's home is: HOME is not set", "name it: --home DIR"))?,
    };
    // A daemon may not change its directory and then look elsewhere.
    std::path::absolute(&path).map_err(|e| Failure::new(Exit::Failed, format!("{}: {e}", path.display()), "name another: --home DIR"))
}

fn default_home(root: bool, state: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    if root {
        return Some(PathBuf::from("/var/lib/keyward"));
    }
    let state = state.map(PathBuf::from).filter(|p| p.is_absolute());
    Some(state.or_else(|| Some(PathBuf::from(home?).join(".local/state")))?.join("keyward"))
}

/// The name of the account that this runs as: what the environment says, else the system's password file.
pub fn account_name() -> Option<String> {
    let said = var("USER").or_else(|| var("LOGNAME")).map(|name| name.to_string_lossy().into_owned());
    let passwd = || std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    said.or_else(|| name_of(rustix::process::getuid().as_raw(), &passwd()))
}

/// The name that has this uid in a file like `/etc/passwd`.
pub fn name_of(uid: u32, passwd: &str) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// The local door.
pub fn socket(home: &Path) -> PathBuf {
    home.join("control.sock")
}

/// Whether a terminal wants colours: see no-color.org.
pub fn colours_are_welcome() -> bool {
    var("NO_COLOR").is_none() && var("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_number() {
        let passwd = "root:x:0:0::/root:/bin/sh\nbroken\n:x:7:\nbob:x:1000:1000::/home/bob:/bin/sh\n";
        assert_eq!(name_of(1000, passwd).as_deref(), Some("bob"));
        assert_eq!(name_of(7, passwd), None);
    }

    #[test]
    fn the_home_is_where_the_platform_keeps_state() {
        let some = |text: &str| Some(OsString::from(text));
        assert_eq!(default_home(true, some("/x"), some("/root")), Some("/var/lib/keyward".into()));
        assert_eq!(default_home(false, some("/x"), some("/home/a")), Some("/x/keyward".into()));
        assert_eq!(default_home(false, some("relative"), some("/home/a")), Some("/home/a/.local/state/keyward".into()));
        assert_eq!(default_home(false, None, some("/home/a")), Some("/home/a/.local/state/keyward".into()));
        assert_eq!(default_home(false, None, None), None);
    }
}
