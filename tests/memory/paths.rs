//! Every path that a secret can take, and every way in which it can fail.

use std::io::{Read, Write};
use std::process::Stdio;

use rustix::process::Signal;

use crate::scan::{Needle, Scanner};
use crate::secrets;
use crate::world::account::{NAME, account};
use crate::world::broker::Settings;
use crate::world::fake::{Deed, Fake, Silent};
use crate::world::keys::Key;
use crate::world::{Process, Scene, Sshd, Way, noise, nonce, run};

const KEYS: &str = "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n";
const PASSWORDS: &str = "PasswordAuthentication yes\nKbdInteractiveAuthentication no\nPubkeyAuthentication no\nUsePAM yes\n";
const INTERACTIVE: &str = "PasswordAuthentication no\nKbdInteractiveAuthentication yes\nPubkeyAuthentication no\nUsePAM yes\n";

/// What is kept for the host.
enum Kept {
    Password,
    Key(Key),
    /// With its passphrase; the key without one is what may not be found.
    Locked {
        locked: Key,
        open: Key,
        passphrase: String,
    },
}

/// A scene, a secret, and the eye on the broker's memory.
struct Watch {
    scene: Scene,
    kept: Kept,
    sshd: &'static str,
    scanner: Scanner,
}

impl Watch {
    fn new(sshd: &'static str, keep: impl FnOnce(&Scene) -> Kept) -> Self {
        Self::patient(sshd, "2s", keep)
    }

    /// With a broker that waits so long for a host's answer to the sign-in.
    fn patient(sshd: &'static str, login_timeout: &str, keep: impl FnOnce(&Scene) -> Kept) -> Self {
        assert!(!cfg!(debug_assertions), "a debug build keeps pieces of secrets on its stacks\nhint: cargo test --release, or make test");
        let config = format!("[host]\nhandshake_timeout = \"1s\"\nlogin_timeout = \"{login_timeout}\"\n");
        let scene = Scene::bare(Settings { config, ..Settings::default() }, Some(sshd));
        let kept = keep(&scene);
        let mut needles: Vec<Needle> = match &kept {
            Kept::Password => secrets::of_text("the password", &account().password),
            Kept::Key(key) => secrets::of_key("the key", key),
            Kept::Locked { open, passphrase, .. } => {
                let mut all = secrets::of_key("the key", open);
                all.extend(secrets::of_text("the passphrase", passphrase));
                all
            }
        };
        needles.sort_by(|a, b| a.what.cmp(&b.what));
        let watch = Self { scene, kept, sshd, scanner: Scanner::new(needles) };
        watch.clean("before it was given anything");
        watch
    }

    /// Nothing of the secret is in the broker's memory.
    #[track_caller]
    fn clean(&self, when: &str) {
        let hits = self.scanner.search(self.scene.broker.id());
        let shown: Vec<String> = hits.iter().take(12).map(ToString::to_string).collect();
        assert!(hits.is_empty(), "{when}: {} pieces of the secret are in the broker's memory:\n{}", hits.len(), shown.join("\n"));
    }

    /// Gives the broker the secret as `deploy`: first the words of the verb, then its standard input.
    fn give(&self, verb: &[&str]) {
        let mut args = vec!["credential"];
        args.extend_from_slice(verb);
        let locked;
        let (flags, stdin): (&[&str], Vec<u8>) = match &self.kept {
            Kept::Password => (&["--password"], account().password.clone().into_bytes()),
            Kept::Key(key) => (&["--key", "-"], key.private()),
            Kept::Locked { locked: key, passphrase, .. } => {
                locked = key.path.display().to_string();
                (&["--key", &locked], format!("{passphrase}\n").into_bytes())
            }
        };
        args.extend_from_slice(flags);
        self.scene.broker.does_with(&args, stdin);
    }

    /// The keys that a host must know.
    fn keys(&self) -> Vec<&Key> {
        match &self.kept {
            Kept::Password => vec![],
            Kept::Key(key) => vec![key],
            Kept::Locked { open, .. } => vec![open],
        }
    }

    fn add_host(&self, name: &str, address: &str, host_key: &Key) {
        self.scene.broker.does(&["host", "add", name, address, "--credential", "deploy", "--host-key", &host_key.public]);
        self.scene.grant("alice", name);
    }

    /// A connection that must fail.
    #[track_caller]
    fn fails(&self, host: &str) {
        let outcome = run(self.scene.alice.ssh(&["-l", host, "through", "true"]), "");
        assert_eq!(outcome.status, Some(255), "{host}: {outcome:?}");
        assert!(outcome.errors().contains("keyward: "), "{host}: {outcome:?}");
    }

    /// A connection that must work.
    #[track_caller]
    fn works(&self, host: &str) {
        let outcome = run(self.scene.alice.ssh(&["-l", host, "through", "id -un"]), "");
        assert_eq!((outcome.status, outcome.text()), (Some(0), format!("{NAME}\n")), "{host}: {outcome:?}\n{}", self.scene.host.log());
    }

    fn fake(&self, place: &str, deed: Deed) -> Fake {
        let place = self.scene.place(place);
        if self.sshd == INTERACTIVE { Fake::asking(&place, deed) } else { Fake::start(&place, deed) }
    }

    /// Everything, one after the other, on one broker: what one path leaves is found after the next, too.
    fn every_path(&self) {
        let scene = &self.scene;
        scene.host.authorize(&self.keys());
        self.give(&["add", "deploy", "--scope", "workspace", "--username", NAME]);
        self.clean("after it was added");
        self.add_host("web-1", &scene.host.address(), &scene.host.host_key);
        self.clean("after it was bound to a host");

        // A session that lives, and a megabyte each way.
        let mut ssh = scene.alice.ssh(&["through", "echo ready; exec cat"]);
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut client = Process::start(ssh);
        let (mut stdin, mut stdout) = (client.stdin().unwrap(), client.stdout());
        let mut ready = [0; 6];
        stdout.read_exact(&mut ready).unwrap();
        assert_eq!(&ready, b"ready\n");
        self.clean("after the sign-in, while the session lives");
        let sent = noise(1_000_000);
        let copy = sent.clone();
        let writer = std::thread::spawn(move || {
            stdin.write_all(&copy).unwrap();
            stdin
        });
        let mut back = vec![0; sent.len()];
        stdout.read_exact(&mut back).unwrap();
        assert!(back == sent);
        self.clean("after a megabyte each way");
        drop(writer.join().unwrap());
        assert_eq!(client.wait().code(), Some(0));
        scene.broker.ended_session();
        self.clean("after the session");

        // The host says no.
        let refusing = Sshd::with(&scene.place("refusing"), &[], &format!("DenyUsers {NAME}\n{}", self.sshd));
        self.add_host("refusing", &refusing.address(), &refusing.host_key);
        self.fails("refusing");
        assert!(refusing.log().contains("not allowed because listed in DenyUsers"), "{}", refusing.log());
        self.clean("after the host refused it");

        // The host is not the host.
        let impostor = Sshd::with(&scene.place("impostor"), &self.keys(), self.sshd);
        self.add_host("impostor", &impostor.address(), &scene.host.host_key);
        self.fails("impostor");
        self.clean("after the host showed another key");

        // The host never answers; first the client waits, then it goes away in the middle of the sign-in.
        let stalling = self.fake("stalling", Deed::Stall);
        self.add_host("stalling", &stalling.address(), &stalling.host_key);
        self.fails("stalling");
        stalling.credential();
        self.clean("after the host did not answer to it");
        let mut client = scene.alice.ssh(&["-l", "stalling", "through", "true"]);
        client.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let client = Process::start(client);
        stalling.credential();
        self.clean_soon_after_sign_in_began();
        drop(client);
        crate::world::eventually("the session without a client has ended", || scene.broker.live().is_empty().then_some(()));
        self.clean("after the client went away in the middle of the sign-in");

        let silent = Silent::start();
        self.add_host("silent", &silent.address(), &scene.host.host_key);
        self.fails("silent");
        self.clean("after a host said nothing");

        let closing = self.fake("closing", Deed::Close);
        self.add_host("closing", &closing.address(), &closing.host_key);
        self.fails("closing");
        closing.credential();
        self.clean("after the host closed the connection instead of an answer");

        // Sixteen at once.
        let many: Vec<_> = (0..16).map(|_| scene.alice.stay(Way::Through, &[], "echo ready; exec cat")).collect();
        for client in &many {
            assert_eq!(client.lines.next().as_deref(), Some("ready"));
        }
        self.clean("while sixteen sessions live");
        drop(many);
        crate::world::eventually("all sessions have ended", || scene.broker.live().is_empty().then_some(()));
        self.clean("after sixteen sessions");

        self.give(&["edit", "deploy"]);
        self.clean("after it was replaced");
        self.works("web-1");
        scene.broker.does(&["credential", "edit", "deploy", "--username", NAME, "--rename", "renamed"]);
        self.works("web-1");
        self.clean("after it was renamed");
        scene.broker.does(&["credential", "attach", "renamed", "--workspace-default"]);
        scene.broker.does(&["host", "edit", "web-1", "--no-credential"]);
        self.works("web-1");
        self.clean("after it signed in as the workspace's default");
        let moved = Sshd::with(&scene.place("moved"), &self.keys(), self.sshd);
        scene.broker.does(&["host", "edit", "web-1", "--address", &moved.address(), "--host-key", &moved.host_key.public]);
        self.works("web-1");
        self.clean("after its host moved");
        scene.broker.does(&["credential", "delete", "renamed"]);
        self.clean("after it was deleted");
        self.fails("web-1");
        self.clean("after a connection that would have needed it");
    }

    /// A client whose sign-in the host never answers.
    fn in_flight(&self, host: &Fake, name: &str) -> Process {
        let mut client = self.scene.alice.ssh(&["-l", name, "through", "true"]);
        client.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let client = Process::start(client);
        host.credential();
        client
    }

    /// The sign-in is ended by somebody while the host has the credential and does not answer: by a verb, and by the end of
    /// the broker.
    fn every_end_in_flight(mut self) {
        self.give(&["add", "deploy", "--scope", "workspace", "--username", NAME]);
        let stalling = self.fake("stalling", Deed::Stall);
        self.add_host("stalling", &stalling.address(), &stalling.host_key);

        let mut client = self.in_flight(&stalling, "stalling");
        let live = self.scene.broker.live();
        let [session] = &live[..] else { panic!("{live:#?}") };
        self.scene.broker.does(&["session", "end", session["id"].as_str().unwrap()]);
        self.clean("after the session was ended in the middle of the sign-in");
        assert_eq!(client.wait().code(), Some(255));
        let ended = self.scene.broker.ended_session();
        assert_eq!(ended["end_reason"], "ended", "{ended}");

        let mut client = self.in_flight(&stalling, "stalling");
        self.scene.broker.does(&["credential", "delete", "deploy", "--end-sessions"]);
        self.clean("after the credential was deleted in the middle of the sign-in");
        assert_eq!(client.wait().code(), Some(255));
        self.give(&["add", "deploy", "--scope", "workspace", "--username", NAME]);
        self.scene.broker.does(&["credential", "attach", "deploy", "--host", "stalling"]);

        // A client of the local door that says nothing keeps the daemon for a moment after its last session has ended.
        let silent = std::os::unix::net::UnixStream::connect(self.scene.broker.home().join("control.sock")).unwrap();
        let mut client = self.in_flight(&stalling, "stalling");
        let database = crate::world::database::open(&self.scene.broker.home());
        let over = |reason: &str| {
            let count = "SELECT count(*) FROM sessions WHERE end_reason = ?1";
            database.query_row(count, [reason], |row| row.get::<_, i64>(0)).unwrap() == 1
        };
        self.scene.broker.signal(Signal::TERM);
        crate::world::eventually("the sign-in has ended with the broker", || over("shutdown").then_some(()));
        self.scene.broker.signal(Signal::STOP);
        self.clean("after the broker was told to stop in the middle of the sign-in");
        self.scene.broker.signal(Signal::CONT);
        assert_eq!(self.scene.broker.wait().code(), Some(0));
        assert_eq!(client.wait().code(), Some(255));
        drop(silent);
    }

    /// While the host has it and has not answered, nothing but the packet's own buffer may have been needed; that is gone too.
    fn clean_soon_after_sign_in_began(&self) {
        if matches!(self.kept, Kept::Key(_) | Kept::Locked { .. }) {
            self.clean("while the host has not answered to the signature");
        }
    }
}

#[test]
fn a_password_leaves_nothing_on_any_path() {
    Watch::new(PASSWORDS, |_| Kept::Password).every_path();
}

#[test]
fn a_password_for_keyboard_interactive_leaves_nothing_on_any_path() {
    Watch::new(INTERACTIVE, |_| Kept::Password).every_path();
}

#[test]
fn a_password_in_flight_leaves_nothing_when_somebody_ends_the_sign_in() {
    Watch::patient(PASSWORDS, "60s", |_| Kept::Password).every_end_in_flight();
}

#[test]
fn a_password_for_keyboard_interactive_in_flight_leaves_nothing_when_somebody_ends_the_sign_in() {
    Watch::patient(INTERACTIVE, "60s", |_| Kept::Password).every_end_in_flight();
}

#[test]
fn a_key_in_flight_leaves_nothing_when_somebody_ends_the_sign_in() {
    Watch::patient(KEYS, "60s", |scene| Kept::Key(secrets::key(scene.dir(), "key", &["-t", "ed25519"]))).every_end_in_flight();
}

#[test]
fn an_ed25519_key_leaves_nothing_on_any_path() {
    Watch::new(KEYS, |scene| Kept::Key(secrets::key(scene.dir(), "key", &["-t", "ed25519"]))).every_path();
}

#[test]
fn an_ecdsa_key_leaves_nothing_on_any_path() {
    Watch::new(KEYS, |scene| Kept::Key(secrets::key(scene.dir(), "key", &["-t", "ecdsa", "-b", "256"]))).every_path();
}

#[test]
fn an_rsa_key_leaves_nothing_on_any_path() {
    Watch::new(KEYS, |scene| Kept::Key(secrets::key(scene.dir(), "key", &["-t", "rsa", "-b", "3072"]))).every_path();
}

#[test]
fn a_key_with_a_passphrase_leaves_nothing_on_any_path() {
    Watch::new(KEYS, |scene| {
        let open = secrets::key(scene.dir(), "key", &["-t", "ed25519"]);
        let passphrase = nonce(32);
        let locked = scene.dir().join("locked");
        std::fs::copy(&open.path, &locked).unwrap();
        std::fs::copy(open.public_file(), scene.dir().join("locked.pub")).unwrap();
        let mut keygen = crate::world::process::command("ssh-keygen");
        keygen.args(["-q", "-p", "-a", "2", "-P", "", "-N", &passphrase, "-f"]).arg(&locked);
        run(keygen, "").ok();
        Kept::Locked { locked: Key::of(&locked), open, passphrase }
    })
    .every_path();
}

#[test]
fn what_cannot_be_imported_leaves_nothing() {
    let passphrase = nonce(32);
    let copy = passphrase.clone();
    let watch = Watch::new(KEYS, move |scene| {
        let open = secrets::key(scene.dir(), "key", &["-t", "ed25519"]);
        let locked = Key::make(scene.dir().join("locked"), &["-t", "ed25519"], &nonce(30));
        Kept::Locked { locked, open, passphrase: copy }
    });
    let Kept::Locked { locked, open, .. } = &watch.kept else { unreachable!() };
    let add = |key: &str, stdin: Vec<u8>| {
        watch.scene.broker.refuses_with(&["credential", "add", "new", "--scope", "workspace", "--username", NAME, "--key", key], stdin);
    };
    // What is searched for is the passphrase that was tried, and a key that was cut off.
    add(&locked.path.display().to_string(), format!("{passphrase}\n").into_bytes());
    watch.clean("after a wrong passphrase");
    add("-", open.private()[..open.private().len() - 60].to_vec());
    watch.clean("after a key that was cut off");
    let mut twice = open.private();
    twice.extend(open.private());
    let _ = watch.scene.broker.verb_with(&["credential", "add", "new", "--scope", "workspace", "--username", NAME, "--key", "-"], twice);
    watch.clean("after two keys at once");
    watch
        .scene
        .broker
        .refuses_with(&["credential", "add", "bad name", "--scope", "workspace", "--username", NAME, "--key", "-"], open.private());
    watch.clean("after a name that is none");
    watch
        .scene
        .broker
        .refuses_with(&["credential", "add", "new", "--username", NAME, "--password", "--scope", "nonsense"], passphrase.as_str());
    watch.clean("after a scope that is none");
}

#[test]
fn a_secret_that_came_over_ssh_leaves_nothing() {
    let passphrase = nonce(40);
    let copy = passphrase.clone();
    let watch = Watch::new(KEYS, move |scene| {
        let open = secrets::key(scene.dir(), "key", &["-t", "ed25519"]);
        Kept::Locked { locked: open.clone(), open, passphrase: copy }
    });
    let Kept::Locked { open, .. } = &watch.kept else { unreachable!() };
    let alice = &watch.scene.alice;
    alice.verb("alice", &format!("credential add key --username {NAME} --key - --scope personal"), open.private()).ok();
    watch.clean("after a key came over ssh");
    alice.verb("alice", &format!("credential add text --username {NAME} --password --scope personal"), passphrase.as_str()).ok();
    watch.clean("after a password came over ssh");
    let again = alice.verb("alice", &format!("credential add text --username {NAME} --password --scope personal"), passphrase.as_str());
    assert_eq!(again.status, Some(1), "{again:?}");
    watch.clean("after a password for a name that exists came over ssh");
    alice.verb("alice", "credential delete text", "").ok();
    watch.clean("after it was deleted");
}
