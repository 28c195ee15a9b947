//! Many servers at once, each with an address, a log and a port of its own; cheap, because they share one root.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::place::{Base, Place, Work};
use super::{Login, Plan, add_credential, add_host, stock_ssh};
use crate::world::keys::Key;
use crate::world::sshd::accepted;
use crate::world::{Scene, noise};

/// The port of each; the addresses differ.
const PORT: u16 = 2222;

/// One server of a crowd.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Its name, like `NAME-007`.
    pub(crate) name: String,
    /// Its address in 127.0.0.0/8.
    pub(crate) ip: String,
    /// `ADDRESS:PORT`.
    pub(crate) address: String,
    log: PathBuf,
}

impl Member {
    /// Its log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How often somebody signed in.
    pub(crate) fn sign_ins(&self) -> usize {
        self.log().lines().filter(|l| accepted(l)).count()
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.log().lines().filter(|l| l.starts_with("Connection from ")).count()
    }
}

/// Many servers with one host key and one account. Dropped, all are killed.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// The name of its folder.
    pub(crate) name: String,
    /// They.
    pub(crate) members: Vec<Member>,
    /// The host key of all.
    pub(crate) host_key: Key,
    /// The account of all, with a key and no rights.
    pub(crate) login: Login,
    /// Where they run.
    pub(crate) place: Place,
    dir: PathBuf,
    /// Held, so that no other crowd takes the same network.
    reserved: TcpListener,
}

impl Crowd {
    /// Starts so many, at most 250: one Debian in namespaces of its own, but in this machine's network.
    #[track_caller]
    pub(crate) fn many(dir: &Path, count: u8) -> Self {
        assert!((1..=250).contains(&count), "1 to 250");
        let mut plan = Plan::debian(dir);
        let key = plan.key("key");
        plan.keyed("visitor", "/bin/sh", &key);
        plan.settle();
        let (network, reserved) = free_network();
        let mut work = Work { setup: "mkdir -m 755 /var/log/crowd".to_owned(), servers: vec![] };
        let config = "/etc/ssh/crowd_config";
        // The address comes on each command line; the first value counts, and the file's own would be one more.
        let text = plan.configuration();
        let lines = text.lines().filter(|l| !l.starts_with("ListenAddress") && !l.starts_with("Port "));
        let text: Vec<&str> = lines.collect();
        plan.layer.file(config, 0o644, text.join("\n") + "\n");
        let mut listens = Vec::new();
        for i in 1..=count {
            let address = format!("{network}.{i}");
            let options = format!("-E /var/log/crowd/{i}.log -o ListenAddress={address}:{PORT}");
            work.servers.push(format!("/usr/sbin/sshd -D -f {config} {options}"));
            listens.push((address, PORT));
        }
        let place = Place::start(dir, &plan.name, Base::Debian, &plan.layer, &work, false, &listens);
        let members = (1..=count)
            .map(|i| Member {
                name: format!("{}-{i:03}", plan.name),
                ip: format!("{network}.{i}"),
                address: format!("{network}.{i}:{PORT}"),
                log: place.path(&format!("/var/log/crowd/{i}.log")),
            })
            .collect();
        let login = plan.logins.remove(0);
        Self { name: plan.name, members, host_key: plan.host_key, login, place, dir: dir.to_owned(), reserved }
    }

    /// Stock ssh to one of them, with this command, to be run.
    pub(crate) fn ssh(&self, member: &Member, remote: &str) -> Command {
        stock_ssh(&self.dir, &member.ip, PORT, &self.host_key, &self.login, &[], remote)
    }

    /// Makes all known to the broker under their names, with one credential of the crowd's name, and lets Alice use them.
    #[track_caller]
    pub(crate) fn joins(&self, scene: &Scene) {
        add_credential(scene, &self.name, &self.login);
        for member in &self.members {
            add_host(scene, &member.name, &member.address, &self.host_key, &self.name);
        }
        scene.grant("alice", &format!("{}-*", self.name));
    }
}

/// The first three numbers of a network of loopback that no other crowd has, and what keeps it so.
fn free_network() -> (String, TcpListener) {
    for _ in 0..50 {
        let random = noise(2);
        // Not 127.0: that is what everything else listens on.
        let network = format!("127.{}.{}", 64 + random[0] % 128, random[1]);
        if let Ok(reserved) = TcpListener::bind((format!("{network}.251").as_str(), PORT)) {
            return (network, reserved);
        }
    }
    panic!("no free network of loopback");
}
