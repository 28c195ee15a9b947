//! How clients of every make are started: the same work on both ways, in folders of the same names, and what comes of it compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::account::NAME;
use super::keys::Key;
use super::process::{Outcome, command, run, run_within};
use super::{Scene, Way, open_to_all, peer_script, python, sha256, tool};

/// A file that is to keep its time is this old; what is younger was written by the test itself.
pub(crate) const OLD: i64 = 1_500_000_000;

/// One place of work: where a client goes, as whom, and its folders on both sides. The folders have the same names on both ways.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    scene: &'a Scene,
    /// How it reaches the host.
    pub(crate) way: Way,
    /// Where it connects on 127.0.0.1.
    pub(crate) port: u16,
    /// As whom.
    pub(crate) user: &'static str,
    /// With which key.
    pub(crate) key: &'a Key,
    /// The key that it expects there, `ssh-ed25519 AAAA…`.
    pub(crate) host_key: String,
    /// The client's own folder.
    pub(crate) here: PathBuf,
    /// A folder that the host's account can write.
    pub(crate) there: PathBuf,
    /// The client's home; not compared.
    pub(crate) home: PathBuf,
}

/// Does the same on both ways; what the client said and what lies on both sides afterwards must be the same. What it said.
#[track_caller]
pub(crate) fn same(scene: &Scene, work: impl Fn(&Desk<'_>) -> Vec<Outcome>) -> Vec<Outcome> {
    let [straight, through] = Way::BOTH.map(|way| {
        let desk = Desk::new(scene, way);
        let said: Vec<Outcome> = work(&desk).into_iter().map(|outcome| desk.plain(outcome)).collect();
        let trees = [tree(&desk.here), tree(&desk.there)];
        for folder in [&desk.here, &desk.there] {
            std::fs::remove_dir_all(folder).expect("the folder goes");
        }
        (said, trees)
    });
    for (number, (one, other)) in straight.0.iter().zip(&through.0).enumerate() {
        assert_eq!(one, other, "step {number} looks different: first straight, then through the broker");
    }
    assert_eq!(straight, through, "what was left looks different: first straight, then through the broker");
    through.0
}

impl<'a> Desk<'a> {
    fn new(scene: &'a Scene, way: Way) -> Self {
        let (port, user, key, host_key) = match way {
            Way::Straight => (scene.host.port, NAME, &scene.alice.own, scene.host.host_key.public.clone()),
            Way::Through => (scene.broker.port(), "web-1", &scene.alice.key, scene.broker.ed25519().to_owned()),
        };
        let home = format!("home-{}", way.alias());
        // Of the comparison before.
        let _ = std::fs::remove_dir_all(scene.dir().join(&home));
        let (here, there, home) = (scene.place("here"), scene.open_place("there"), scene.place(&home));
        std::fs::create_dir(home.join(".ssh")).expect("a folder");
        // Without a port for dropbear, with one for all others.
        let known = format!("127.0.0.1 {host_key}\n[127.0.0.1]:{port} {host_key}\n");
        std::fs::write(home.join(".ssh/known_hosts"), known).expect("known_hosts");
        Self { scene, way, port, user, key, host_key, here, there, home }
    }

    /// A program with this client's home.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut program = command(name);
        program.env("HOME", &self.home).current_dir(&self.here);
        program
    }

    /// OpenSSH's `ssh`, `scp` or `sftp`; `HOST` in an argument is the host.
    pub(crate) fn openssh(&self, program: &str, args: &[&str]) -> Command {
        let args: Vec<String> = args.iter().map(|a| self.words(a)).collect();
        let mut ssh = self.scene.alice.program(program, &args.iter().map(String::as_str).collect::<Vec<_>>());
        ssh.current_dir(&self.here);
        ssh
    }

    /// A text in which `HOST`, `THERE`, `HERE`, `USER` and `PORT` stand for what they are here.
    pub(crate) fn words(&self, text: &str) -> String {
        let text = text.replace("HOST", self.way.alias()).replace("THERE", text_of(&self.there)).replace("HERE", text_of(&self.here));
        text.replace("USER", self.user).replace("PORT", &self.port.to_string())
    }

    /// `ssh -F …`, for programs that start ssh themselves.
    pub(crate) fn rsh(&self) -> String {
        format!("ssh -F {}", self.scene.alice.config().display())
    }

    /// Runs a program of this path with arguments as [`Desk::words`] has them.
    #[track_caller]
    pub(crate) fn run(&self, path: &str, args: &[&str]) -> Outcome {
        let mut program = self.program(text_of(&tool(path)));
        program.args(args.iter().map(|a| self.words(a)));
        run_within(Duration::from_secs(120), program, "")
    }

    /// Runs a script of `tests/it/peers` with PORT USER KEY HOST-KEY HERE THERE.
    #[track_caller]
    pub(crate) fn python(&self, script: &str) -> Outcome {
        let mut python = self.program(text_of(&python()));
        python.arg(peer_script(script)).args([&self.port.to_string(), self.user]).arg(&self.key.path).arg(&self.host_key);
        python.args([&self.here, &self.there]);
        run_within(Duration::from_secs(90), python, "")
    }

    /// The key as PuTTY wants it.
    #[track_caller]
    pub(crate) fn ppk(&self) -> PathBuf {
        let ppk = self.home.join("key.ppk");
        let mut convert = self.program("/usr/bin/puttygen");
        convert.arg(&self.key.path).args(["-O", "private", "-o"]).arg(&ppk);
        run(convert, "").ok();
        ppk
    }

    /// The fingerprint that PuTTY expects.
    pub(crate) fn fingerprint(&self) -> &str {
        match self.way {
            Way::Straight => &self.scene.host.host_key.fingerprint,
            Way::Through => self.scene.broker.fingerprint(),
        }
    }

    /// Writes files of these sizes with old times below a folder of this side; the same on both ways.
    pub(crate) fn files(&self, folder: &str, files: &[(&str, usize, u32)]) {
        for (name, size, mode) in files {
            let file = self.here.join(folder).join(name);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            std::fs::write(&file, pattern(*size)).expect("a file");
            open_to_all(&file, *mode);
            let time = std::time::UNIX_EPOCH + Duration::from_secs(OLD.unsigned_abs() - 1000);
            std::fs::File::open(&file).and_then(|f| f.set_modified(time)).expect("its time");
        }
    }

    /// What a client said, without what has to differ: names, ports and the name of the user.
    fn plain(&self, outcome: Outcome) -> Outcome {
        let plain = |bytes: Vec<u8>| match String::from_utf8(bytes) {
            Ok(text) => {
                let text = text.replace(self.way.alias(), "HOST").replace(&format!("\"{}\"", self.user), "\"USER\"");
                text.replace(&format!("{}@", self.user), "USER@").replace(&self.port.to_string(), "PORT").into_bytes()
            }
            Err(e) => e.into_bytes(),
        };
        Outcome { stdout: plain(outcome.stdout), stderr: plain(outcome.stderr), ..outcome }
    }
}

/// Bytes that repeat late, the same at each call.
pub(crate) fn pattern(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ size as u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// What lies in a folder: kind, mode, size, digest, link and old time of each name. What git keeps has names of its own each time.
fn tree(folder: &Path) -> BTreeMap<String, String> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let (path, meta) = (entry.path(), entry.metadata().expect("metadata"));
            let mut said = format!("{:o}", meta.permissions().mode());
            if meta.is_symlink() {
                let _ = write!(said, " -> {}", std::fs::read_link(&path).expect("a link").display());
            } else if meta.is_file() {
                let _ = write!(said, " {} {}", meta.len(), sha256(&std::fs::read(&path).expect("a file")));
                if meta.mtime() < OLD {
                    let _ = write!(said, " {}", meta.mtime());
                }
            }
            found.insert(path.strip_prefix(root).expect("below").display().to_string(), said);
            if meta.is_dir() && !path.ends_with(".git") && !path.ends_with("repo.git") {
                walk(root, &path, found);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found
}

/// A path as text.
pub(crate) fn text_of(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
