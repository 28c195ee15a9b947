//! What the audit log tells of files that pass: by sftp, both kinds of scp, rsync, PuTTY and Python's clients.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::world::process::{Process, command, kill_tree};
use crate::world::{Outcome, Scene, Way, eventually, noise, open_to_all, peer_script, python, run, run_within, sha256, tool};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A file that the host's account can read.
fn file(place: &Path, name: &str, content: &[u8]) -> String {
    let path = place.join(name);
    std::fs::write(&path, content).unwrap();
    open_to_all(&path, 0o644);
    text(&path).to_owned()
}

/// `sftp` with these commands.
fn sftp(scene: &Scene, way: Way, batch: &str) -> Outcome {
    let path = scene.dir().join("batch");
    std::fs::write(&path, batch).unwrap();
    run(scene.alice.program("sftp", &["-q", "-b", text(&path), way.alias()]), "")
}

/// What the log says of files in the newest session, once that has ended.
#[track_caller]
fn told(scene: &Scene) -> Vec<Value> {
    let session = eventually("the session has ended", || {
        let newest = scene.broker.sessions().into_iter().next()?;
        (!newest["ended_at"].is_null()).then_some(newest)
    });
    let entries = scene.broker.audit().into_iter().filter(|e| e["session"] == session["id"]);
    let mut all: Vec<Value> = entries.collect();
    let ended = all.iter().position(|e| e["event"] == "session.ended").expect("it has ended");
    assert_eq!(ended, all.len() - 1, "nothing comes after the end of a session: {all:#?}");
    all.retain(|e| ["file.", "directory.", "transfer."].iter().any(|word| e["event"].as_str().unwrap().starts_with(word)));
    all
}

/// Event, path and outcome of each.
fn short(all: &[Value]) -> Vec<(&str, &str, &str)> {
    all.iter()
        .map(|e| {
            let path = e["detail"]["path"].as_str().unwrap_or_default();
            (e["event"].as_str().unwrap(), path, e["outcome"].as_str().unwrap())
        })
        .collect()
}

fn digest(entry: &Value) -> &str {
    entry["detail"]["sha256"].as_str().unwrap_or("none")
}

#[test]
fn sftp_is_told_operation_by_operation() {
    let scene = Scene::new();
    let sent = noise(5_000_000);
    let local = file(scene.dir(), "local", &sent);
    let place = scene.open_place("there");
    let closed = scene.place("closed");
    open_to_all(&closed, 0o755);
    let back = scene.dir().join("back");
    let (there, shut) = (text(&place), text(&closed));
    let done = sftp(
        &scene,
        Way::Through,
        &format!(
            "put {local} {there}/one\nmkdir {there}/dir\nrename {there}/one {there}/two\nchmod 640 {there}/two\nget {there}/two {}\n\
             ln -s two {there}/link\nls -1 {there}/dir\nrm {there}/two\nrmdir {there}/dir\n-rm {there}/missing\n-put {local} {shut}/no\n",
            back.display()
        ),
    );
    assert_eq!(done.status, Some(0), "{done:?}");
    assert!(std::fs::read(&back).unwrap() == sent);
    let all = told(&scene);
    // A client may set a mode after it put a file, and lists a directory before it removes from it.
    let main: Vec<_> = short(&all).into_iter().filter(|(event, _, _)| !matches!(*event, "file.changed" | "directory.listed")).collect();
    let at = |name: &str| format!("{there}/{name}");
    let no = format!("{shut}/no");
    let expected = [
        ("file.written", at("one"), "success"),
        ("directory.made", at("dir"), "success"),
        ("file.renamed", at("one"), "success"),
        ("file.read", at("two"), "success"),
        ("file.linked", at("link"), "success"),
        ("file.removed", at("two"), "success"),
        ("directory.removed", at("dir"), "success"),
        ("file.removed", at("missing"), "failure"),
        ("file.written", no, "failure"),
    ];
    let main: Vec<_> = main.into_iter().map(|(event, path, outcome)| (event, path.to_owned(), outcome)).collect();
    assert_eq!(main, expected, "{all:#?}");
    let find = |event: &str| all.iter().find(|e| e["event"] == event).unwrap_or_else(|| panic!("no {event} in {all:#?}"));
    for event in ["file.written", "file.read"] {
        let entry = find(event);
        assert_eq!((digest(entry), &entry["detail"]["bytes"]), (sha256(&sent).as_str(), &Value::from(5_000_000)), "{entry}");
    }
    assert_eq!(find("file.renamed")["detail"]["to"], at("two").as_str());
    assert_eq!(find("file.linked")["detail"]["target"], "two");
    assert!(all.iter().any(|e| e["event"] == "file.changed" && e["detail"]["set"] == "mode 0640"), "{all:#?}");
    assert!(short(&all).contains(&("directory.listed", at("dir/").as_str(), "success")), "{all:#?}");
    let last = all.last().unwrap();
    assert_eq!(last["reason"], "permission denied", "{last}");
    // The session lists them, over both doors.
    let id = scene.broker.only_session()["id"].as_str().unwrap().to_owned();
    let shown = scene.broker.json(&["session", "show", &id]);
    assert_eq!(shown["files_recorded"], all.len());
    assert_eq!(shown["files"][0]["sha256"], sha256(&sent).as_str());
    let table = scene.alice.verb("alice", &format!("session show {id}"), "").ok().text();
    assert!(table.contains("file.renamed") && table.contains(&sha256(&sent)[..16]), "{table}");
    scene.broker.does(&["audit", "verify"]);
}

#[test]
fn a_get_that_is_taken_up_again_has_no_digest() {
    let scene = Scene::new();
    let content = noise(3_000_000);
    let far = file(&scene.open_place("there"), "f", &content);
    let near = scene.dir().join("near");
    for way in Way::BOTH {
        std::fs::write(&near, &content[..1_000_000]).unwrap();
        assert_eq!(sftp(&scene, way, &format!("reget {far} {}\n", near.display())).status, Some(0));
        assert!(std::fs::read(&near).unwrap() == content, "{way:?}");
    }
    let all = told(&scene);
    let [read] = &all[..] else { panic!("{all:#?}") };
    assert_eq!((read["event"].as_str(), digest(read)), (Some("file.read"), "none"));
    assert_eq!((&read["detail"]["sequential"], &read["detail"]["bytes"]), (&Value::from(false), &Value::from(2_000_000)), "{read}");
}

#[test]
fn a_get_whose_client_is_killed_is_told_as_aborted() {
    let scene = Scene::new();
    let far = file(&scene.open_place("there"), "f", &noise(20_000_000));
    let near = scene.dir().join("near");
    let batch = scene.dir().join("batch");
    std::fs::write(&batch, format!("get {far} {}\n", near.display())).unwrap();
    // Slow enough that it cannot be done before it is killed.
    let client = Process::start(scene.alice.program("sftp", &["-q", "-l", "2000", "-b", text(&batch), "through"]));
    eventually("something has come", || std::fs::metadata(&near).ok().filter(|m| m.len() > 0));
    kill_tree(client.id(), Signal::KILL);
    let all = told(&scene);
    let [read] = &all[..] else { panic!("{all:#?}") };
    assert_eq!((read["event"].as_str(), read["outcome"].as_str(), digest(read)), (Some("file.read"), Some("failure"), "none"), "{read}");
    assert!(read["reason"].as_str().unwrap().starts_with("aborted") && read["detail"]["bytes"].as_u64().unwrap() > 0, "{read}");
}

#[test]
fn scp_and_rsync_are_told() {
    let scene = Scene::new();
    let content = noise(2_000_000);
    let local = file(scene.dir(), "local", &content);
    let place = scene.open_place("there");
    let there = text(&place);
    for protocol in ["-s", "-O"] {
        let far = format!("through:{there}/copy{protocol}");
        let back = scene.dir().join(format!("back{protocol}"));
        for (from, to, event) in [(local.as_str(), far.as_str(), "file.written"), (far.as_str(), text(&back), "file.read")] {
            run(scene.alice.program("scp", &["-q", protocol, from, to]), "").ok();
            let all = told(&scene);
            let moved: Vec<_> = all.iter().filter(|e| e["event"] == event).collect();
            let [entry] = &moved[..] else { panic!("{protocol} {event}: {all:#?}") };
            assert_eq!((digest(entry), entry["outcome"].as_str()), (sha256(&content).as_str(), Some("success")), "{protocol}: {entry}");
            assert_eq!(entry["detail"]["path"], format!("{there}/copy{protocol}"), "{entry}");
        }
        assert!(std::fs::read(&back).unwrap() == content, "{protocol}");
    }
    let mut rsync = command(tool("/usr/bin/rsync"));
    let ssh = format!("ssh -F {}", scene.alice.config().display());
    rsync.args(["-a", "--no-owner", "--no-group", "-e", &ssh, &local, &format!("through:{there}/r")]);
    run(rsync, "").ok();
    assert_eq!(told(&scene), Vec::<Value>::new(), "its command stands for it");
    let opened = scene.broker.audit().into_iter().filter(|e| e["event"] == "channel.opened").map(|e| e["detail"].clone());
    let programs: Vec<String> = opened
        .filter(|d| !d["program"].is_null())
        .map(|d| format!("{} {} {}", d["program"], d["direction"], d["path"]).replace('"', ""))
        .collect();
    let expected = [format!("scp to host {there}/copy-O"), format!("scp from host {there}/copy-O"), format!("rsync to host {there}/r")];
    assert_eq!(programs, expected);
}

#[track_caller]
fn python_peer(scene: &Scene, script: &str, more: &[&str]) -> Outcome {
    let mut python = command(python());
    python.arg(peer_script(script)).args([&scene.broker.port().to_string(), "web-1"]).arg(&scene.alice.key.path);
    python.arg(scene.broker.ed25519()).args(more);
    run_within(Duration::from_secs(120), python, "")
}

#[test]
fn three_files_at_once_have_their_own_digests() {
    let scene = Scene::new();
    let place = scene.open_place("there");
    let [one, two, three] = [noise(1_500_000), noise(900_000), noise(1_200_000)];
    file(&place, "one", &one);
    file(&place, "two", &two);
    let here = scene.place("here");
    file(&here, "three", &three);
    let got = python_peer(&scene, "asyncssh_transfers.py", &[text(&place), text(&here)]);
    assert_eq!(got.text(), format!("{} {}\n", sha256(&one), sha256(&two)), "{got:?}");
    let all = told(&scene);
    for (name, event, content) in [("one", "file.read", &one), ("two", "file.read", &two), ("three", "file.written", &three)] {
        let path = format!("{}/{name}", text(&place));
        let entry = all.iter().find(|e| e["detail"]["path"] == path.as_str()).unwrap_or_else(|| panic!("{all:#?}"));
        assert_eq!((entry["event"].as_str(), digest(entry)), (Some(event), sha256(content).as_str()), "{entry}");
    }
}

#[test]
fn paramikos_prefetch_is_followed() {
    let scene = Scene::new();
    let content = noise(60_000_000);
    let far = file(&scene.open_place("there"), "f", &content);
    python_peer(&scene, "paramiko_get.py", &[&far]).ok();
    let all = told(&scene);
    let read = all.iter().find(|e| e["event"] == "file.read").unwrap_or_else(|| panic!("{all:#?}"));
    assert_eq!(digest(read), sha256(&content), "{read}");
}

#[test]
fn psftp_is_followed() {
    let scene = Scene::new();
    let content = noise(1_000_000);
    let place = scene.open_place("there");
    let far = file(&place, "f", &content);
    let ppk = scene.dir().join("person.ppk");
    let mut convert = command(tool("/usr/bin/puttygen"));
    convert.arg(&scene.alice.key.path).args(["-O", "private", "-o"]).arg(&ppk);
    run(convert, "").ok();
    let batch = scene.dir().join("batch");
    let near = scene.dir().join("near");
    std::fs::write(&batch, format!("get {far} {}\nput {} {}/g\n", near.display(), near.display(), text(&place))).unwrap();
    let mut psftp = command(tool("/usr/bin/psftp"));
    let port = scene.broker.port().to_string();
    psftp.env("HOME", scene.dir()).args(["-batch", "-P", &port, "-hostkey", scene.broker.fingerprint(), "-i"]).arg(&ppk);
    psftp.arg("-b").arg(&batch).arg("web-1@127.0.0.1");
    run(psftp, "").ok();
    assert!(std::fs::read(&near).unwrap() == content);
    let all = told(&scene);
    let digests: Vec<_> = all.iter().map(|e| (e["event"].as_str().unwrap(), digest(e))).filter(|(e, _)| e.starts_with("file.")).collect();
    let sum = sha256(&content);
    assert_eq!(digests, [("file.read", sum.as_str()), ("file.written", sum.as_str())], "{all:#?}");
}

#[test]
fn what_is_no_transfer_is_passed_on_and_said_to_be_unseen() {
    let scene = Scene::new();
    let odd = Way::BOTH.map(|way| scene.alice.exec_with(way, &[], "scp -f /etc/hostname", "what is this\n"));
    assert_eq!((odd[0].status, &odd[0].stdout), (odd[1].status, &odd[1].stdout));
    let all = told(&scene);
    assert!(all.iter().any(|e| e["event"] == "transfer.unreadable" && e["outcome"] == "failure"), "{all:#?}");
}

#[test]
fn a_large_get_is_told_with_its_digest() {
    let scene = Scene::new();
    let content = noise(300_000_000);
    let far = file(&scene.open_place("there"), "f", &content);
    let near = scene.dir().join("near");
    let sum = sha256(&content);
    let mut report = String::new();
    for (what, program) in [("straight", Way::Straight), ("through, followed", Way::Through)] {
        let begun = Instant::now();
        let batch = format!("get {far} {}\n", near.display());
        assert_eq!(sftp(&scene, program, &batch).status, Some(0), "{what}");
        report.push_str(&format!("{what}: {:?}\n", begun.elapsed()));
        assert!(std::fs::read(&near).unwrap() == content, "{what}");
    }
    // The same bytes on a channel that is not followed.
    let begun = Instant::now();
    let unseen = scene.alice.exec_within(Duration::from_secs(120), Way::Through, &[], &format!("cat {far}"), "");
    report.push_str(&format!("through, `cat`, not followed: {:?}\n", begun.elapsed()));
    assert!(unseen.stdout == content);
    // For who reads along: figures, and nothing that a busy machine could fail.
    let _ = std::io::stderr().write_all(report.as_bytes());
    let read = scene.broker.audit().into_iter().find(|e| e["event"] == "file.read").expect("the get is told");
    assert_eq!((digest(&read), &read["detail"]["bytes"]), (sum.as_str(), &Value::from(300_000_000)), "{read}");
}
