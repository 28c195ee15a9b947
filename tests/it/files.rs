//! Files: sftp, both kinds of scp, rsync.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::world::{Scene, Way, noise, process, run, sha256};

#[test]
fn sftp_puts_and_gets() {
    let scene = Scene::new();
    let sent = noise(20_000_000);
    let local = scene.dir().join("local");
    std::fs::write(&local, &sent).unwrap();
    for way in Way::BOTH {
        let there = scene.open_place(&format!("there-{}", way.alias()));
        let back = scene.dir().join(format!("back-{}", way.alias()));
        let batch = scene.dir().join("batch");
        let there = there.display();
        std::fs::write(
            &batch,
            format!(
                "put {} {there}/one\nmkdir {there}/dir\nrename {there}/one {there}/dir/two\nchmod 640 {there}/dir/two\nget {there}/dir/two {}\nls -1 {there}/dir\n-rm {there}/missing\n",
                local.display(),
                back.display()
            ),
        )
        .unwrap();
        let outcome = run(scene.alice.program("sftp", &["-q", "-b", &batch.display().to_string(), way.alias()]), "");
        assert_eq!(outcome.status, Some(0), "{way:?}: {outcome:?}");
        assert_eq!(sha256(&std::fs::read(&back).unwrap()), sha256(&sent), "{way:?}");
        assert!(outcome.errors().contains("No such file"), "the host's own words: {outcome:?}");
        let written = std::fs::metadata(format!("{there}/dir/two")).unwrap();
        assert_eq!((written.permissions().mode() & 0o777, written.uid()), (0o640, crate::world::account::account().uid));
    }
}

#[test]
fn scp_copies_with_sftp_and_with_its_old_protocol() {
    let scene = Scene::new();
    let tree = scene.place("tree");
    std::fs::create_dir(tree.join("sub")).unwrap();
    for (name, size) in [("empty", 0), ("small", 17), ("sub/large", 12_000_000)] {
        std::fs::write(tree.join(name), noise(size)).unwrap();
    }
    for way in Way::BOTH {
        for protocol in ["-s", "-O"] {
            let there = scene.open_place(&format!("there-{}{protocol}", way.alias()));
            let back = scene.place(&format!("back-{}{protocol}", way.alias()));
            let up = run(
                scene.alice.program("scp", &["-q", "-r", "-p", protocol, text(&tree), &format!("{}:{}", way.alias(), text(&there))]),
                "",
            );
            assert_eq!(up.status, Some(0), "{way:?} {protocol}: {up:?}");
            let from = format!("{}:{}/tree", way.alias(), text(&there));
            let down = run(scene.alice.program("scp", &["-q", "-r", "-p", protocol, &from, text(&back)]), "");
            assert_eq!(down.status, Some(0), "{way:?} {protocol}: {down:?}");
            for name in ["empty", "small", "sub/large"] {
                let (sent, got) = (tree.join(name), back.join("tree").join(name));
                assert!(std::fs::read(&sent).unwrap() == std::fs::read(&got).unwrap(), "{way:?} {protocol} {name}");
                assert_eq!(
                    std::fs::metadata(&sent).unwrap().mtime(),
                    std::fs::metadata(&got).unwrap().mtime(),
                    "{way:?} {protocol} {name}"
                );
            }
            let missing = run(scene.alice.program("scp", &["-q", protocol, &format!("{}:/no/such/file", way.alias()), text(&back)]), "");
            assert_eq!(missing.status, Some(1), "{way:?} {protocol}: {missing:?}");
        }
    }
}

#[test]
fn rsync_copies_a_tree_and_then_only_what_changed() {
    let scene = Scene::new();
    let tree = scene.place("tree");
    for i in 0..200 {
        std::fs::write(tree.join(format!("file-{i}")), noise(i * 97)).unwrap();
    }
    std::fs::write(tree.join("large"), noise(20_000_000)).unwrap();
    let config = scene.dir().join("alice/config");
    for way in Way::BOTH {
        let there = scene.open_place(&format!("there-{}", way.alias()));
        let copy = || {
            let mut rsync = process::command(crate::world::tool("/usr/bin/rsync"));
            rsync.args([
                "-a",
                "--no-owner",
                "--no-group",
                "--omit-dir-times",
                "--checksum",
                "--stats",
                "-e",
                &format!("ssh -F {}", config.display()),
            ]);
            rsync.args([&format!("{}/", tree.display()), &format!("{}:{}/copy/", way.alias(), there.display())]);
            run(rsync, "").ok().text()
        };
        assert!(copy().contains("Number of regular files transferred: 201"), "{way:?}");
        std::fs::write(tree.join("file-7"), noise(50)).unwrap();
        assert!(copy().contains("Number of regular files transferred: 1\n"), "{way:?}");
        assert!(std::fs::read(there.join("copy/large")).unwrap() == std::fs::read(tree.join("large")).unwrap(), "{way:?}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
