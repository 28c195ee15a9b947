//! Where a target lives: namespaces and a root of its own, which the kernel takes away with its first process.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use crate::world::process::{Outcome, Process, command, exists, pid, run, tree};
use crate::world::{PATIENCE, checkout, open_to_all, tool};

/// What a target is laid over; `scripts/test-peers.sh` makes them, and nothing writes to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// Debian 12, minimal, with sudo, iproute2 and many shells.
    Debian,
    /// Busybox and dropbear, nothing else.
    Busybox,
}

impl Base {
    /// Its folder on this machine.
    pub(crate) fn folder(self) -> PathBuf {
        let name = match self {
            Self::Debian => "debian",
            Self::Busybox => "busybox",
        };
        tool(checkout().join(".tools/roots").join(name))
    }
}

/// The files in which a target differs from its base.
#[derive(Debug)]
pub(crate) struct Layer(PathBuf);

impl Layer {
    /// None yet; they are kept in this folder.
    pub(crate) fn new(folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).expect("the target's layer");
        open_to_all(&folder, 0o755);
        Self(folder)
    }

    /// A folder of this mode and owner. Its parents belong to root. No path may lead through a link of the base (`/bin`, `/sbin`).
    pub(crate) fn folder(&self, path: &str, mode: u32, owner: u32) {
        let mut here = self.0.clone();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            here.push(part);
            if !here.exists() {
                std::fs::create_dir(&here).expect("a folder of the target");
                open_to_all(&here, 0o755);
            }
        }
        open_to_all(&here, mode);
        chown(&here, Some(owner), Some(owner)).expect("chown");
    }

    /// A file of root's with this mode.
    pub(crate) fn file(&self, path: &str, mode: u32, content: impl AsRef<[u8]>) {
        self.owned(path, mode, 0, content);
    }

    /// A file of this mode and owner.
    pub(crate) fn owned(&self, path: &str, mode: u32, owner: u32, content: impl AsRef<[u8]>) {
        let parent = Path::new(path).parent().and_then(Path::to_str).expect("a parent");
        if !self.at(parent).exists() {
            self.folder(parent, 0o755, 0);
        }
        let file = self.at(path);
        std::fs::write(&file, content).expect("a file of the target");
        open_to_all(&file, mode);
        chown(&file, Some(owner), Some(owner)).expect("chown");
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }
}

/// What runs in a target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    /// Shell, run first.
    pub(crate) setup: String,
    /// The servers' command lines.
    pub(crate) servers: Vec<String>,
}

impl Work {
    /// The first process waits for the last server and ends with it; what else loses its parent becomes its child and is reaped.
    fn script(&self) -> String {
        let mut script = format!("#!/bin/sh\nset -e\nexec 3<&0 </dev/null\n{}\n", self.setup);
        for server in &self.servers {
            script.push_str(&format!("{server} 3<&- &\n"));
        }
        script.push_str("server=$!\n(read -r gone <&3 || kill -KILL $server) &\nexec 3<&-\nwait $server\n");
        script
    }
}

/// Running namespaces. Dropped, every process in them is killed and everything that was mounted or written is gone.
#[derive(Debug)]
pub(crate) struct Place {
    process: Process,
    /// Its other end is watched in the target: when the test is gone, however it ended, the target goes, too.
    leash: Option<ChildStdin>,
    init: u32,
    /// What its processes say on standard error: the server's log.
    log: PathBuf,
}

impl Place {
    /// Runs a first process in a target laid over a base: its work, until the last server ends. Waits
    /// until the target listens at all of these addresses. With `network`, it has a network of its own, in which only loopback is.
    pub(crate) fn start(dir: &Path, name: &str, base: Base, layer: &Layer, work: &Work, network: bool, listens: &[(String, u16)]) -> Self {
        layer.file("/usr/local/lib/keyward/start", 0o700, work.script());
        let (starter, folder, log) = (dir.join("start.sh"), dir.join("root"), dir.join("server.log"));
        std::fs::write(&starter, include_str!("start.sh")).expect("start.sh");
        std::fs::create_dir_all(&folder).expect("the target's folder");
        let file = std::fs::File::create(&log).expect("server.log");
        let mut unshare = command(tool("/usr/bin/unshare"));
        unshare.args(["--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--propagation", "private"]);
        if network {
            unshare.arg("--net");
        }
        unshare.arg("--").arg("/bin/sh").arg(&starter).arg(&folder).arg(&layer.0).arg(base.folder()).arg(name);
        unshare.stdin(Stdio::piped()).stdout(file.try_clone().expect("dup")).stderr(file);
        let mut process = Process::start(unshare);
        let leash = process.stdin();
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(process.runs(), "the target {name} does not start:\n{}", std::fs::read_to_string(&log).unwrap_or_default());
            if let Some(&init) = tree(process.id()).get(1)
                && all_listen(init, listens)
            {
                return Self { process, leash, init, log };
            }
            let said = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(Instant::now() < deadline, "the target {name} is not ready within {PATIENCE:?}:\n{}", said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The first process, as this machine counts.
    pub(crate) fn init(&self) -> u32 {
        self.init
    }

    /// The server's log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The file of the server's log, on this machine.
    pub(crate) fn log_file(&self) -> &Path {
        &self.log
    }

    /// Runs a shell command in the target as root, past its server.
    #[track_caller]
    pub(crate) fn root(&self, script: &str) -> Outcome {
        run(self.inside(&["/bin/sh", "-c", script]), "")
    }

    /// A command in the target, as root, to be run.
    pub(crate) fn inside(&self, words: &[&str]) -> Command {
        let mut nsenter = command(tool("/usr/bin/nsenter"));
        nsenter.args(["--target", &self.init.to_string(), "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd", "--"]);
        nsenter.args(words);
        nsenter
    }

    /// A path of the target as this machine can open it; none of its parts may be an absolute link.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init))
    }

    /// The command lines of everything that runs in the target but its first process and the one that watches over the leash.
    pub(crate) fn processes(&self) -> Vec<String> {
        let first = command_line(self.init);
        self.ids().into_iter().map(command_line).filter(|line| !line.is_empty() && *line != first).collect()
    }

    /// The ids of everything that runs in the target, as this machine counts.
    pub(crate) fn ids(&self) -> Vec<u32> {
        tree(self.init).into_iter().filter(|id| exists(*id)).collect()
    }

    /// Lets go of the leash, as the end of the test's process does.
    pub(crate) fn let_go(&mut self) {
        self.leash = None;
    }

    /// The target loses its power: every process in it is killed.
    pub(crate) fn kill(&self) {
        // Only if it is still the process that it was: a number that was given away again has another parent.
        if tree(self.process.id()).contains(&self.init) {
            let _ = kill_process(pid(self.init), Signal::KILL);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.kill();
        // The first process ends when all others have ended, and `unshare` when it has.
        let deadline = Instant::now() + PATIENCE;
        while self.process.runs() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The words with which a process was started.
pub(crate) fn command_line(id: u32) -> String {
    let words = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).replace('\0', " ").trim_end().to_owned()
}

/// The name of a process.
pub(crate) fn name_of(id: u32) -> String {
    std::fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default().trim_end().to_owned()
}

fn all_listen(init: u32, wanted: &[(String, u16)]) -> bool {
    let table = std::fs::read_to_string(format!("/proc/{init}/net/tcp")).unwrap_or_default();
    let open: std::collections::HashSet<&str> = table
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let (at, state) = (fields.next()?, fields.nth(1)?);
            (state == "0A").then_some(at)
        })
        .collect();
    wanted.iter().all(|(address, port)| {
        let parts: Vec<u8> = address.split('.').filter_map(|p| p.parse().ok()).collect();
        open.contains(format!("{:02X}{:02X}{:02X}{:02X}:{port:04X}", parts[3], parts[2], parts[1], parts[0]).as_str())
    })
}
