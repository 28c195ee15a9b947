//! The account that the test hosts let in, made once by `scripts/test-peers.sh`.

use std::path::PathBuf;
use std::sync::OnceLock;

/// Its name.
pub(crate) const NAME: &str = "kw-peer";

/// What the system says of it.
#[derive(Debug)]
pub(crate) struct Account {
    /// User id.
    pub(crate) uid: u32,
    /// Group id.
    pub(crate) gid: u32,
    /// Home.
    pub(crate) home: PathBuf,
    /// Its password: 48 letters and digits that root alone can read.
    pub(crate) password: String,
}

/// The account.
pub(crate) fn account() -> &'static Account {
    static ACCOUNT: OnceLock<Account> = OnceLock::new();
    ACCOUNT.get_or_init(|| {
        const HINT: &str = "hint: run the tests as root with `make test`, which makes the account kw-peer (scripts/test-peers.sh)";
        let passwd = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd");
        let line = passwd.lines().find(|l| l.starts_with("kw-peer:")).unwrap_or_else(|| panic!("there is no account kw-peer\n{HINT}"));
        let fields: Vec<&str> = line.split(':').collect();
        let home = PathBuf::from(fields[5]);
        let password =
            std::fs::read_to_string(home.join(".keyward-test-password")).unwrap_or_else(|e| panic!("the password of kw-peer: {e}\n{HINT}"));
        Account { uid: fields[2].parse().expect("uid"), gid: fields[3].parse().expect("gid"), home, password }
    })
}
