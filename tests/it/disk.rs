//! A full disk: nobody is let in without a witness, and nothing is torn.

use std::io::Write;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::credentials::refused;
use crate::world::broker::Settings;
use crate::world::{Scene, Way, database, process, run};

/// A small file system of its own.
struct Disk {
    at: PathBuf,
    // Goes after it was unmounted.
    _dir: TempDir,
}

impl Disk {
    fn new() -> Self {
        let dir = crate::world::folder();
        let at = dir.path().join("disk");
        std::fs::create_dir(&at).unwrap();
        let mut mount = process::command("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs"]).arg(&at);
        let outcome = run(mount, "");
        assert_eq!(
            outcome.status,
            Some(0),
            "a small file system is mounted for this test, which takes root (in a container: CAP_SYS_ADMIN)\n{outcome:?}"
        );
        Self { at, _dir: dir }
    }

    /// Fills it to the last byte, but for so many.
    fn fill(&self, but: u64) {
        let mut file = std::fs::File::create(self.at.join("ballast")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
        let length = file.metadata().unwrap().len();
        file.set_len(length - but).unwrap();
    }

    fn empty(&self) {
        std::fs::remove_file(self.at.join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let mut umount = process::command("umount");
        umount.arg("--lazy").arg(&self.at);
        let _ = umount.status();
    }
}

/// A scene whose home is on a small disk. The scene goes before the disk.
fn scene(reserve: &'static str) -> (Disk, Scene) {
    let disk = Disk::new();
    let scene = Scene::with(Settings { home: Some(disk.at.join("home")), reserve, ..Settings::default() });
    (disk, scene)
}

#[test]
fn a_full_disk_lets_nobody_in_and_tears_nothing() {
    let (disk, scene) = scene("0B");
    scene.alice.exec(Way::Through, "true").ok();
    let sign_ins = scene.host.sign_ins();
    disk.fill(0);
    let mut refusals = 0;
    for _ in 0..20 {
        // What is left in the database's own pages may still take an entry or two; a connection is either witnessed or refused.
        let outcome = scene.alice.exec(Way::Through, "true");
        if outcome.status == Some(0) {
            continue;
        }
        let errors = refused(&outcome);
        assert!(errors.contains("disk"), "{errors}");
        assert!(!errors.contains(&disk.at.display().to_string()), "the broker's folders are nobody's business: {errors}");
        refusals += 1;
        if refusals > 2 {
            break;
        }
    }
    assert!(refusals > 2, "the disk is full, and it goes on and on");
    let witnessed = |scene: &Scene| scene.broker.audit().iter().filter(|e| e["event"] == "lease.opened").count();
    disk.empty();
    assert_eq!(witnessed(&scene), scene.host.sign_ins(), "a sign-in without a witness (before: {sign_ins})");
    assert!(database::whole(&scene.broker.home()));
    scene.alice.exec(Way::Through, "true").ok();
    scene.broker.does(&["audit", "verify"]);
}

#[test]
fn new_connections_are_refused_while_room_for_the_audit_log_is_left() {
    let (disk, scene) = scene("2MiB");
    let live = scene.alice.stay(Way::Through, &[], "echo ready; exec cat");
    assert_eq!(live.lines.next().as_deref(), Some("ready"));
    let sign_ins = scene.host.sign_ins();
    disk.fill(1024 * 1024);
    let errors = refused(&scene.alice.exec(Way::Through, "true"));
    assert!(!errors.contains(&disk.at.display().to_string()), "a stranger learns nothing of the broker's folders: {errors}");
    assert_eq!(scene.host.sign_ins(), sign_ins);
    // What runs goes on, and its end is recorded in the room that was kept.
    assert_eq!(scene.broker.live().len(), 1);
    live.process.signal(rustix::process::Signal::KILL);
    assert_eq!(scene.broker.ended_session()["end_reason"], "client_lost");
    disk.empty();
    scene.alice.exec(Way::Through, "true").ok();
    assert!(database::whole(&scene.broker.home()));
}

#[test]
fn an_end_that_a_full_disk_swallowed_is_recorded_when_there_is_room_again() {
    let (disk, scene) = scene("0B");
    let live = scene.alice.stay(Way::Through, &[], "echo ready; exec cat");
    assert_eq!(live.lines.next().as_deref(), Some("ready"));
    let session = scene.broker.only_session()["id"].as_str().unwrap().to_owned();
    disk.fill(0);
    // Until what is left in the database's own pages is used up.
    let mut refusals = 0;
    while refusals < 3 {
        refusals += usize::from(scene.alice.exec(Way::Through, "true").status != Some(0));
    }
    live.process.signal(rustix::process::Signal::KILL);
    crate::world::eventually("the end could not be recorded", || {
        scene.broker.log().lines().any(|l| l.contains("the end of a session was not recorded") && l.contains(&session)).then_some(())
    });
    disk.empty();
    let ended = crate::world::eventually("the end is recorded by the daemon that lives", || {
        Some(scene.broker.json(&["session", "show", &session])).filter(|s| !s["ended_at"].is_null())
    });
    assert_eq!(ended["end_reason"], "client_lost", "{ended}");
    let ends: Vec<_> =
        scene.broker.audit().into_iter().filter(|e| e["event"] == "session.ended" && e["session"] == session.as_str()).collect();
    assert_eq!(ends.len(), 1, "{ends:#?}");
    assert_eq!(ends[0]["detail"]["ended_at"], ended["ended_at"], "it says when it was, not when there was room: {ends:#?}");
}
