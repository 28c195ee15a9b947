//! An agent and the person it belongs to: the agent has a key of its own, the person an open connection.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::client::{Client, Stay};
use super::keys::Key;
use super::process::{Lines, Outcome, Process, run};
use super::{Scene, Way, eventually};

/// An agent with stock ssh.
#[derive(Debug)]
pub(crate) struct Agent {
    /// Its ssh; `through` is `web-1` at the broker.
    pub(crate) client: Client,
    /// What it is called.
    pub(crate) name: &'static str,
}

/// A command that an agent has proposed over ssh, and waits for.
#[derive(Debug)]
pub(crate) struct Proposed {
    /// The client's process.
    pub(crate) process: Process,
    /// Its standard output.
    pub(crate) lines: Lines,
    errors: std::sync::mpsc::Receiver<Vec<u8>>,
}

impl Proposed {
    /// Waits for its end: status, standard output, standard error.
    #[track_caller]
    pub(crate) fn end(mut self) -> (Option<i32>, String, String) {
        let mut out = String::new();
        while let Some(line) = self.lines.next() {
            out.push_str(&line);
            out.push('\n');
        }
        let status = self.process.wait().code();
        let errors = self.errors.recv_timeout(super::PATIENCE).expect("standard error is closed");
        (status, out, String::from_utf8_lossy(&errors).into_owned())
    }
}

impl Agent {
    /// Alice's agent `helper`, who may propose wherever Alice may let it.
    #[track_caller]
    pub(crate) fn of_alice(scene: &Scene) -> Self {
        Self::named(scene, "helper", &[])
    }

    /// An agent of Alice's with further words for `agent add`.
    #[track_caller]
    pub(crate) fn named(scene: &Scene, name: &'static str, words: &[&str]) -> Self {
        let client = Client::new(&scene.dir().join(name));
        let mut all = vec!["agent", "add", name, "--for", "alice", "--key"];
        let file = client.key.public_file().display().to_string();
        all.push(&file);
        all.extend_from_slice(words);
        scene.broker.does(&all);
        client.knows(None, Some(&scene.broker), "web-1");
        Self { client, name }
    }

    /// Proposes a command and waits for nothing.
    #[track_caller]
    pub(crate) fn proposes(&self, command: &str) -> Proposed {
        self.proposes_with(&["-n"], command)
    }

    /// The same with options of ssh.
    #[track_caller]
    pub(crate) fn proposes_with(&self, options: &[&str], command: &str) -> Proposed {
        let mut args = options.to_vec();
        args.extend(["through", "--", command]);
        let mut ssh = self.client.ssh(&args);
        ssh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::start(ssh);
        let lines = process.lines();
        let errors = process.errors();
        Proposed { process, lines, errors }
    }

    /// Proposes a command that is refused before it waits.
    #[track_caller]
    pub(crate) fn refused(&self, command: &str) -> Outcome {
        run(self.client.ssh(&["-n", "through", "--", command]), "")
    }
}

/// Alice as she decides, over ssh with her key.
impl Client {
    /// What a verb of hers says, as JSON.
    #[track_caller]
    pub(crate) fn json(&self, person: &str, words: &str) -> Value {
        let outcome = self.verb(person, &format!("--json {words}"), "").ok();
        serde_json::from_str(&outcome.text()).unwrap_or_else(|e| panic!("{words}: {e}\n{outcome:?}"))
    }

    /// Waits until so many proposals wait for Alice; they, oldest first.
    #[track_caller]
    pub(crate) fn waiting(&self, count: usize) -> Vec<Value> {
        eventually("proposals wait", || {
            let mut all = self.json("alice", "proposal list --pending").as_array().cloned().unwrap_or_default();
            all.reverse();
            Some(all).filter(|all| all.len() == count)
        })
    }

    /// Approves a proposal as it was listed.
    #[track_caller]
    pub(crate) fn approves(&self, proposal: &Value) -> Outcome {
        let (id, digest) = (proposal["id"].as_str().expect("id"), proposal["digest"].as_str().expect("digest"));
        self.verb("alice", &format!("proposal approve {id} --digest {digest}"), "").ok()
    }

    /// A proposal as it stands.
    #[track_caller]
    pub(crate) fn proposal(&self, proposal: &Value) -> Value {
        self.json("alice", &format!("proposal show {}", proposal["id"].as_str().expect("id")))
    }
}

/// A scene in which Alice may let agents propose on `web-1`.
#[track_caller]
pub(crate) fn scene() -> Scene {
    allow(Scene::new())
}

/// Lets Alice let agents propose.
#[track_caller]
pub(crate) fn allow(scene: Scene) -> Scene {
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", "propose"]);
    scene
}

/// Alice's open connection to `web-1`: `ssh -N`, standing when this returns.
#[track_caller]
pub(crate) fn connected(scene: &Scene) -> Stay {
    let before = signed_in(scene);
    let stay = scene.alice.stay(Way::Through, &["-N"], "");
    eventually("Alice's connection stands", || (signed_in(scene) > before).then_some(()));
    stay
}

fn signed_in(scene: &Scene) -> usize {
    scene.broker.audit().iter().filter(|e| e["event"] == "session.signed_in").count()
}

/// The place of a script of `examples/`.
pub(crate) fn example(name: &str) -> std::path::PathBuf {
    super::tool(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name))
}
