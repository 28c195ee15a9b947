//! The usual scene: a host, a broker that keeps a key for it, its owner, and Alice who may use it.

use std::path::Path;

use tempfile::TempDir;

use super::broker::Settings;
use super::keys::Key;
use super::{Broker, Client, Sshd, account, folder};

/// What Alice may do unless a test says otherwise.
pub(crate) const ALLOW: &str = "shell,exec,sftp";

/// A host, a broker and two people. Dropped in this order: the broker first, the folder last.
#[derive(Debug)]
pub(crate) struct Scene {
    /// The broker.
    pub(crate) broker: Broker,
    /// The host; `web-1` at the broker.
    pub(crate) host: Sshd,
    /// Alice, a member who may use `web-1`.
    pub(crate) alice: Client,
    /// Whoever ran the broker first; `root` at the broker.
    pub(crate) owner: Client,
    /// The key in the vault; the credential `deploy`.
    pub(crate) deploy: Key,
    dir: TempDir,
}

impl Scene {
    /// The usual scene.
    #[track_caller]
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    /// The usual scene with a broker run like this.
    #[track_caller]
    pub(crate) fn with(settings: Settings) -> Self {
        Self::of(settings, None)
    }

    /// The usual scene with these lines in the host's configuration.
    #[track_caller]
    pub(crate) fn at(sshd: &str) -> Self {
        Self::of(Settings::default(), Some(sshd))
    }

    #[track_caller]
    fn of(settings: Settings, sshd: Option<&str>) -> Self {
        let scene = Self::bare(settings, sshd);
        scene.broker.does_with(
            &["credential", "add", "deploy", "--scope", "workspace", "--username", account::NAME, "--key", "-"],
            scene.deploy.private(),
        );
        scene.add_host("web-1", &scene.host, "deploy");
        scene.grant("alice", "web-1");
        scene
    }

    /// Alice, the owner, a host and a broker that does not know the host yet.
    #[track_caller]
    pub(crate) fn bare(settings: Settings, sshd: Option<&str>) -> Self {
        let dir = folder();
        let alice = Client::new(&dir.path().join("alice"));
        let owner = Client::new(&dir.path().join("owner"));
        let deploy = Key::new(dir.path().join("deploy"));
        let place = dir.path().join("web-1");
        std::fs::create_dir(&place).expect("the host's folder");
        let host = match sshd {
            None => Sshd::start(&place, &[&deploy, &alice.own]),
            Some(lines) => Sshd::with(&place, &[&deploy, &alice.own], lines),
        };
        let place = dir.path().join("broker");
        std::fs::create_dir(&place).expect("the broker's folder");
        let broker = Broker::with(&place, &owner.key, settings);
        broker.does(&["user", "add", "alice", "--role", "member", "--key", &alice.key.public_file().display().to_string()]);
        alice.knows(Some(&host), Some(&broker), "web-1");
        owner.knows(Some(&host), Some(&broker), "web-1");
        Self { broker, host, alice, owner, deploy, dir }
    }

    /// Makes a host known to the broker.
    #[track_caller]
    pub(crate) fn add_host(&self, name: &str, host: &Sshd, credential: &str) {
        self.broker.does(&["host", "add", name, &host.address(), "--credential", credential, "--host-key", &host.host_key.public]);
    }

    /// Lets somebody use hosts.
    #[track_caller]
    pub(crate) fn grant(&self, to: &str, hosts: &str) {
        self.broker.does(&["grant", "add", "--to", to, "--hosts", hosts, "--allow", ALLOW]);
    }

    /// Alice keeps a key of her own for `web-1`, the credential `zebra`, which the host takes beside the usual one.
    #[track_caller]
    pub(crate) fn keeps(&self) -> Key {
        let mine = Key::new(self.dir().join("mine"));
        self.host.authorize(&[&self.deploy, &mine]);
        let add = format!("credential add zebra --username {} --key - --scope personal", account::NAME);
        self.alice.verb("alice", &add, mine.private()).ok();
        self.alice.verb("alice", "credential attach zebra --host web-1 --mine", "").ok();
        mine
    }

    /// The same, and sealed.
    #[track_caller]
    pub(crate) fn seals(&self, passphrase: &str) -> Key {
        let mine = self.keeps();
        self.alice.verb("alice", "personal seal", passphrase).ok();
        mine
    }

    /// Another host beside the first.
    #[track_caller]
    pub(crate) fn another_host(&self, name: &str, keys: &[&Key]) -> Sshd {
        let place = self.place(name);
        Sshd::start(&place, keys)
    }

    /// A new folder of this test.
    pub(crate) fn place(&self, name: &str) -> std::path::PathBuf {
        let place = self.dir.path().join(name);
        std::fs::create_dir(&place).expect("a folder");
        place
    }

    /// A new folder that the host's account can write.
    pub(crate) fn open_place(&self, name: &str) -> std::path::PathBuf {
        let place = self.place(name);
        super::open_to_all(&place, 0o777);
        place
    }

    /// The folder of the test.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}
