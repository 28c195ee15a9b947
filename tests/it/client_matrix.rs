//! Clients of every make do their work straight and through the broker: what they say and what lies on both sides afterwards is the
//! same. docs/clients.md tells operators which they are.

use std::time::Duration;

use crate::world::clients::{pattern, same, text_of};
use crate::world::process::command;
use crate::world::terminal::Terminal;
use crate::world::{Outcome, Process, Scene, Way, eventually, run, run_within, tool};

/// A few files of odd sizes and modes.
const FILES: &[(&str, usize, u32)] =
    &[("empty", 0, 0o644), ("small", 17, 0o640), ("run me", 4096, 0o755), ("sub/dir/large", 5_000_001, 0o600), ("sub/\u{e9}", 1, 0o644)];

/// How all of them ended.
#[track_caller]
fn statuses(said: &[Outcome], expected: &[i32]) {
    let found: Vec<Option<i32>> = said.iter().map(|o| o.status).collect();
    assert_eq!(found, expected.iter().map(|s| Some(*s)).collect::<Vec<_>>(), "{said:#?}");
}

#[test]
fn ssh_goes_to_the_background_and_takes_scripts_and_terminals() {
    let scene = Scene::new();
    let said = same(&scene, |desk| {
        let ssh = |args: &[&str], input: &[u8]| run(desk.openssh("ssh", args), input);
        vec![
            ssh(&["-f", "HOST", "echo out; echo err >&2; exec 2>&-; seq 3000"], b""),
            ssh(&["-T", "HOST"], b"echo from a script; id -un; exit 6\n"),
            ssh(&["-n", "HOST", "wc -c"], b"never read"),
            ssh(&["-q", "-C", "HOST", "cat; exit 9"], &pattern(700_001)),
            ssh(&["-tt", "-e", "none", "HOST", "stty -echo -icanon; printf 'a\\nb\\n'; test -t 0 && test -t 1 && exit 4"], b""),
        ]
    });
    statuses(&said, &[0, 6, 0, 9, 4]);
    assert_eq!((said[1].text().as_str(), said[2].text().trim()), ("from a script\nkw-peer\n", "0"), "{said:?}");
}

#[test]
fn scp_copies_trees_patterns_and_from_host_to_host() {
    let scene = Scene::new();
    for protocol in ["-s", "-O"] {
        let said = same(&scene, |desk| {
            desk.files("tree", FILES);
            std::fs::create_dir(desk.here.join("back")).unwrap();
            let scp = |args: &[&str]| run(desk.openssh("scp", &[&["-q", protocol][..], args].concat()), "");
            vec![
                scp(&["-r", "-p", "tree", "HOST:THERE/tree"]),
                scp(&["-r", "-p", "HOST:THERE/tree", "back"]),
                scp(&["-3", "HOST:THERE/tree/sub/dir/large", "HOST:THERE/copy"]),
                scp(&["HOST:THERE/tree/s*ll", "HOST:THERE/tree/run?me", "back"]),
                scp(&["-l", "80000", "tree/small", "HOST:THERE/slow"]),
                scp(&["HOST:THERE/tree", "back"]),
                scp(&["HOST:THERE/nothing*", "back"]),
                scp(&["tree/small", "HOST:/proc/nowhere"]),
            ]
        });
        statuses(&said, &[0, 0, 0, 0, 0, 1, 1, 1]);
    }
}

#[test]
fn sftp_does_all_that_a_batch_can_say() {
    let scene = Scene::new();
    let said = same(&scene, |desk| {
        desk.files("tree", FILES);
        let sftp = |batch: &str| {
            std::fs::write(desk.home.join("batch"), desk.words(batch)).unwrap();
            run(desk.openssh("sftp", &["-q", "-b", text_of(&desk.home.join("batch")), "HOST"]), "")
        };
        std::fs::write(desk.here.join("half"), pattern(5_000_001).split_at(2_000_000).0).unwrap();
        vec![
            sftp("cd THERE\npwd\nput -R -p tree\nmkdir a\nrename tree/small a/b\nchmod 600 a/b\nln -s a/b soft\nln a/b hard\nls -1 a\n"),
            sftp("cd THERE\nput half\nrename half large\nreput tree/sub/dir/large large\nget -p large\nreget large half\n"),
            sftp("cd THERE\nls -1 tree/*\nrm tree/empty\n-rmdir tree\n-rm nothing\nmkdir gone\nrmdir gone\nget -R tree back\n"),
            sftp("cd THERE/nowhere\n"),
            sftp("df -h THERE\n-version\n"),
        ]
        .into_iter()
        .enumerate()
        // How full the disk is may change in between.
        .map(
            |(i, said)| {
                if i == 4 { Outcome { stdout: said.stdout.into_iter().take_while(|b| *b != b'%').collect(), ..said } } else { said }
            },
        )
        .collect()
    });
    statuses(&said, &[0, 0, 0, 1, 0]);
    assert!(said[4].text().contains("Size"), "{said:?}");
}

#[test]
fn ssh_copy_id_puts_a_key_on_the_host() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("home");
    crate::world::open_to_all(place.path(), 0o755);
    let scene =
        Scene::at(&format!("SetEnv HOME={}\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n", home.display()));
    let mut files = Vec::new();
    let said = same(&scene, |desk| {
        std::fs::create_dir(&home).unwrap();
        crate::world::open_to_all(&home, 0o777);
        // It looks for sftp and ssh in the home that it has.
        let config = scene.alice.config().display().to_string();
        let key = scene.owner.key.public_file().display().to_string();
        let said = desk.run("/usr/bin/ssh-copy-id", &["-f", "-F", &config, "-i", &key, "HOST"]);
        let written = std::fs::read_to_string(home.join(".ssh/authorized_keys")).unwrap();
        std::fs::remove_dir_all(&home).unwrap();
        vec![said, Outcome { status: Some(0), signal: None, stdout: written.into_bytes(), stderr: vec![] }]
    });
    files.push(std::fs::read(scene.owner.key.public_file()).unwrap());
    statuses(&said, &[0, 0]);
    assert_eq!(said[1].stdout, files[0]);
}

#[test]
fn rsync_copies_ten_thousand_files_both_ways() {
    let scene = Scene::new();
    let said = same(&scene, |desk| {
        for i in 0..100 {
            let folder = desk.here.join(format!("tree/{i}"));
            std::fs::create_dir_all(&folder).unwrap();
            for j in 0..100 {
                std::fs::write(folder.join(format!("file-{j}")), format!("{i} {j}\n").repeat(j)).unwrap();
            }
        }
        let rsh = desk.rsh();
        let rsync = |from: &str, to: &str| {
            let args = ["-rlp", "--times", "-i", "--chmod=D755,F644", "--out-format=%i %n", "-e", &rsh, from, to];
            desk.run("/usr/bin/rsync", &args)
        };
        vec![
            rsync("tree/", "HOST:THERE/tree/"),
            rsync("HOST:THERE/tree/", "back/"),
            rsync("HOST:THERE/tree/", "back/"),
            rsync("HOST:/no/such/place/", "back/"),
        ]
    });
    statuses(&said, &[0, 0, 0, 23]);
    assert!(said[0].text().lines().count() > 10_000 && said[2].stdout.is_empty(), "{said:?}");
}

#[test]
fn rsync_sends_a_gibibyte_and_then_only_what_changed() {
    let scene = Scene::new();
    let [straight, through] = Way::BOTH.map(|way| {
        let there = scene.open_place(&format!("there-{}", way.alias()));
        let (file, copy) = (scene.dir().join("large"), there.join("large"));
        // Mostly holes: it takes little of the disk and none of the time that noise would take.
        let large = std::fs::File::create(&file).unwrap();
        large.set_len(1 << 30).unwrap();
        let noise = |at: u64, size: usize| std::os::unix::fs::FileExt::write_all_at(&large, &pattern(size), at).unwrap();
        noise(3, 1_000_000);
        noise(700_000_000, 1_000_000);
        let rsync = |from: String, to: String| {
            let mut rsync = command(tool("/usr/bin/rsync"));
            rsync.args(["--sparse", "--no-whole-file", "--stats", "-e", &format!("ssh -F {}", scene.alice.config().display()), &from, &to]);
            let said = run_within(Duration::from_secs(180), rsync, "").ok().text();
            let number = |name: &str| {
                let line = said.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("{said}"));
                line.chars().filter(char::is_ascii_digit).collect::<String>().parse::<u64>().unwrap()
            };
            [number("Literal data"), number("Matched data"), number("Total bytes sent"), number("Total bytes received")]
        };
        let on_host = format!("{}:{}", way.alias(), copy.display());
        match way {
            Way::Through => assert_eq!(rsync(file.display().to_string(), on_host.clone())[0], 1 << 30),
            Way::Straight => {
                let mut cp = command("cp");
                run(
                    {
                        cp.arg("--sparse=always").arg(&file).arg(&copy);
                        cp
                    },
                    "",
                )
                .ok();
                crate::world::open_to_all(&copy, 0o666);
            }
        }
        noise(300_000_000, 100_000);
        large.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_400_000_000)).unwrap();
        let up = rsync(file.display().to_string(), on_host.clone());
        noise(900_000_000, 50_000);
        large.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_300_000_000)).unwrap();
        let down = rsync(on_host, file.display().to_string());
        let mut cmp = command("cmp");
        run(
            {
                cmp.arg(&file).arg(&copy);
                cmp
            },
            "",
        )
        .ok();
        std::fs::remove_file(&copy).unwrap();
        (up, down)
    });
    assert!(through.0[0] < 1_000_000 && through.1[0] < 1_000_000, "little is sent: {through:?}");
    // The literal bytes are the same; the list of files has a time in it that takes a byte more or less.
    assert_eq!((straight.0[..2].to_vec(), straight.1[..2].to_vec()), (through.0[..2].to_vec(), through.1[..2].to_vec()));
    assert!(straight.0[2].abs_diff(through.0[2]) < 4096 && straight.1[3].abs_diff(through.1[3]) < 4096, "{straight:?} {through:?}");
}

#[test]
fn git_clones_pushes_and_is_refused_by_a_hook() {
    let scene = Scene::new();
    let hook = "#!/bin/sh\nwhile read -r old new ref; do [ \"$ref\" != refs/heads/no ] || { echo 'not this one' >&2; exit 1; }; done\n";
    let said = same(&scene, |desk| {
        desk.files("", FILES);
        let git = |words: &str| {
            let mut git = desk.program("git");
            git.env("GIT_SSH_COMMAND", desk.rsh()).env("GIT_CONFIG_NOSYSTEM", "1");
            for who in ["AUTHOR", "COMMITTER"] {
                git.env(format!("GIT_{who}_NAME"), "Alice").env(format!("GIT_{who}_EMAIL"), "a@example.org");
                git.env(format!("GIT_{who}_DATE"), "1500000000 +0000");
            }
            git.args(desk.words(words).split(' '));
            run(git, "")
        };
        let remote = desk.words(
            "cd THERE && git init -q --bare -b main repo.git && cat > repo.git/hooks/pre-receive && chmod 755 repo.git/hooks/pre-receive",
        );
        vec![
            run(desk.openssh("ssh", &["HOST", &remote]), hook),
            git("init -q -b main"),
            git("add ."),
            git("commit -q -m first"),
            git("push HOST:THERE/repo.git main"),
            git("push HOST:THERE/repo.git main:no"),
            git("ls-remote HOST:THERE/repo.git"),
            git("clone HOST:THERE/repo.git clone"),
            git("-C clone fsck --strict"),
            git("clone -q HOST:THERE/none.git"),
            git("archive --remote=HOST:THERE/repo.git main"),
            git("clone -q --depth 1 ssh://HOSTTHERE/repo.git shallow"),
        ]
    });
    statuses(&said, &[0, 0, 0, 0, 0, 1, 0, 0, 0, 128, 0, 0]);
    assert!(said[5].errors().contains("remote: not this one"), "{said:?}");
}

#[test]
fn ansible_runs_on_twenty_hosts_at_once() {
    let scene = Scene::new();
    for i in 2..=20 {
        scene.add_host(&format!("web-{i}"), &scene.host, "deploy");
    }
    scene.grant("alice", "web-*");
    let said = same(&scene, |desk| {
        desk.files("", &[("file", 200_000, 0o644)]);
        let user = |i| if desk.way == Way::Straight { desk.user.to_owned() } else { format!("web-{i}") };
        let line = |i| format!("name-{i:02} ansible_user={}\n", user(i));
        std::fs::write(desk.home.join("hosts"), (1..=20).map(line).collect::<String>()).unwrap();
        let ansible = |hosts: &str, pipelining: &str, module: &[&str]| {
            let mut ansible = desk.program(text_of(&tool(crate::world::checkout().join(".tools/venv/bin/ansible"))));
            let arguments = format!(
                "-F {} -o HostName=127.0.0.1 -o Port={} -o IdentityFile={} -o ControlMaster=auto -o ControlPersist=30s",
                scene.alice.config().display(),
                desk.port,
                desk.key.path.display()
            );
            ansible.env("ANSIBLE_SSH_ARGS", arguments).env("ANSIBLE_PIPELINING", pipelining).env("ANSIBLE_NOCOLOR", "1");
            ansible.env("ANSIBLE_PYTHON_INTERPRETER", "/usr/bin/python3").env("ANSIBLE_REMOTE_TEMP", desk.home.join("never"));
            ansible.env("ANSIBLE_REMOTE_TEMP", desk.there.join("tmp")).env("LC_ALL", "C.UTF-8");
            ansible
                .args(["-i", text_of(&desk.home.join("hosts")), hosts, "-f", "20", "-o", "-m"])
                .args(module.iter().map(|m| desk.words(m)));
            let said = run_within(Duration::from_secs(150), ansible, "");
            let mut lines: Vec<String> = said.text().lines().map(str::to_owned).collect();
            lines.sort();
            Outcome { stdout: lines.join("\n").into_bytes(), ..said }
        };
        vec![
            ansible("all", "True", &["ping"]),
            ansible("name-01", "False", &["command", "-a", "printf %s|%s one two"]),
            // The temporary name is in the answer, and is another one each time.
            Outcome { stdout: vec![], ..ansible("name-02", "False", &["copy", "-a", "src=file dest=THERE/copied mode=0640"]) },
            Outcome { stdout: vec![], ..ansible("name-03", "True", &["fetch", "-a", "src=THERE/copied dest=HERE/fetched flat=yes"]) },
            ansible("name-04", "True", &["raw", "-a", "exit 7"]),
        ]
    });
    statuses(&said, &[0, 0, 0, 0, 2]);
    assert_eq!(said[0].text().matches("\"pong\"").count(), 20, "{said:?}");
}

#[test]
fn curl_speaks_sftp_and_scp() {
    let scene = Scene::new();
    let said = same(&scene, |desk| {
        desk.files("", &[("large", 3_000_001, 0o644)]);
        let (key, public) = (desk.key.path.display().to_string(), desk.key.public_file().display().to_string());
        let curl = |args: &[&str]| {
            let mut all = vec!["-sS", "--key", &key, "--pubkey", &public, "-u", "USER:"];
            all.extend_from_slice(args);
            desk.run("/usr/bin/curl", &all)
        };
        vec![
            curl(&["-T", "large", "--ftp-create-dirs", "sftp://127.0.0.1:PORTTHERE/new/large"]),
            curl(&["-o", "back", "sftp://127.0.0.1:PORTTHERE/new/large"]),
            curl(&["-r", "1000-2999", "sftp://127.0.0.1:PORTTHERE/new/large"]),
            curl(&["-l", "-Q", "chmod 600 THERE/new/large", "sftp://127.0.0.1:PORTTHERE/new/"]),
            curl(&["sftp://127.0.0.1:PORTTHERE/nothing"]),
            curl(&["-T", "large", "scp://127.0.0.1:PORTTHERE/by-scp"]),
            curl(&["-o", "back-by-scp", "scp://127.0.0.1:PORTTHERE/by-scp"]),
        ]
    });
    statuses(&said, &[0, 0, 0, 0, 78, 0, 0]);
    assert_eq!(said[2].stdout.len(), 2000);
}

#[test]
fn lftp_mirrors_a_tree() {
    let scene = Scene::new();
    let said = same(&scene, |desk| {
        desk.files("tree", FILES);
        let connect = format!("set net:max-retries 1; set sftp:connect-program \"{} -a -x\"; open -u USER, sftp://HOST;", desk.rsh());
        let lftp = |script: &str| desk.run("/usr/bin/lftp", &["-c", &format!("{connect}{script}")]);
        vec![
            lftp(
                "mirror -R --parallel=3 tree THERE/tree && mirror THERE/tree back && cls -1 THERE/tree && mv THERE/tree/small THERE/moved",
            ),
            lftp("cat THERE/nothing"),
            lftp("mkdir THERE/a && chmod 700 THERE/a && pget -n 3 THERE/tree/sub/dir/large -o large && rm -r THERE/tree/sub"),
        ]
    });
    statuses(&said, &[0, 1, 0]);
}

#[test]
fn putty_copies_files_in_both_protocols() {
    let scene = Scene::new();
    let said = same(&scene, |desk| {
        desk.files("tree", &FILES[..4]);
        let (ppk, mark, port) = (desk.ppk().display().to_string(), desk.fingerprint().to_owned(), desk.port.to_string());
        let common = ["-batch", "-P", &port, "-hostkey", &mark, "-i", &ppk];
        let batch = desk.home.join("batch").display().to_string();
        std::fs::write(
            &batch,
            desk.words("cd THERE\nmkdir a\nput tree/small a/b\nls a/none\nmv a/b a/c\nchmod 600 a/c\nget a/c got\nmput tree/*\n"),
        )
        .unwrap();
        let pscp = |protocol: &str, args: &[&str]| desk.run("/usr/bin/pscp", &[&common[..], &["-q", "-r", "-p", protocol], args].concat());
        let mut said = Vec::new();
        for protocol in ["-scp", "-sftp"] {
            said.push(pscp(protocol, &["tree", "USER@127.0.0.1:THERE/tree"]));
            said.push(pscp(protocol, &["USER@127.0.0.1:THERE/tree", &format!("HERE/back{protocol}")]));
            said.push(pscp(protocol, &["USER@127.0.0.1:THERE/none", "HERE/none"]));
        }
        said.push(desk.run("/usr/bin/psftp", &[&common[..], &["-bc", "-be", "-b", &batch, "USER@127.0.0.1"]].concat()));
        said
    });
    statuses(&said, &[0, 0, 1, 0, 0, 1, 0]);
}

#[test]
fn dropbears_client_works_on_pipes_and_on_a_terminal() {
    let scene = Scene::new();
    let said = same(&scene, |desk| {
        let key = desk.home.join("key").display().to_string();
        let mut convert = desk.program("/usr/bin/dropbearconvert");
        convert.args(["openssh", "dropbear"]).arg(&desk.key.path).arg(&key);
        run(convert, "").ok();
        let client = |args: &[&str]| {
            let mut client = desk.program("/usr/bin/dbclient");
            client.args(["-i", &key, "-p", "PORT"].iter().chain(args).map(|a| desk.words(a)));
            client
        };
        let (ended, screen) = Terminal::start(&client(&["-t", "USER@127.0.0.1", "stty size; echo $TERM; exit 3"]), 33, 111).end();
        vec![
            run(client(&["USER@127.0.0.1", "cat; echo err >&2; exit 5"]), pattern(3_000_001)),
            run(client(&["USER@127.0.0.1", "kill -TERM $$"]), ""),
            Outcome { status: ended.code(), signal: None, stdout: screen.into_bytes(), stderr: vec![] },
        ]
    });
    assert_eq!((said[0].status, said[2].status), (Some(5), Some(3)), "{said:?}");
    assert!(said[2].text().contains("33 111"), "{said:?}");
}

#[test]
fn python_libraries_work_on_files() {
    let scene = Scene::new();
    for script in ["paramiko_files.py", "asyncssh_files.py"] {
        let said = same(&scene, |desk| {
            desk.files("", &[("large", 8_000_001, 0o640), ("small", 17, 0o644)]);
            vec![desk.python(script)]
        });
        statuses(&said, &[0]);
    }
}

#[test]
fn node_ssh2_runs_commands_and_works_on_files() {
    let scene = Scene::new();
    let said = same(&scene, |desk| {
        desk.files("", &[("large", 4_000_001, 0o640)]);
        let mut node = desk.program("/usr/bin/node");
        node.env("NODE_PATH", tool(crate::world::checkout().join(".tools/npm/node_modules")));
        node.arg(crate::world::peer_script("npm/ssh2_session.js")).args([&desk.port.to_string(), desk.user]).arg(&desk.key.path);
        node.arg(&desk.host_key).args([&desk.here, &desk.there]);
        vec![run(node, "")]
    });
    statuses(&said, &[0]);
    let seen: serde_json::Value = serde_json::from_slice(&said[0].stdout).unwrap_or_else(|e| panic!("{e}: {said:?}"));
    assert_eq!((&seen["exec"]["code"], &seen["signal"]["signal"]), (&7.into(), &"SIGTERM".into()), "{seen}");
}

#[test]
#[allow(clippy::disallowed_macros)] // why it was not tried is for whoever reads the test's output
fn sshfs_is_a_file_system() {
    // Opened first: where the device is there and the module is not, that loads it.
    if let Err(reason) = std::fs::File::options().read(true).write(true).open("/dev/fuse") {
        // Where the kernel has no FUSE there is no such file system, through the broker or not; where it has, this is no excuse.
        if !std::fs::read_to_string("/proc/filesystems").unwrap().lines().any(|line| line.ends_with("\tfuse")) {
            eprintln!("sshfs was not tried: the kernel of this machine has no FUSE");
            return;
        }
        panic!(
            "sshfs cannot be tried: /dev/fuse: {reason}\nhint: mknod /dev/fuse c 10 229, or give the container that device and CAP_SYS_ADMIN"
        );
    }
    let scene = Scene::new();
    let said = same(&scene, |desk| {
        let mount = desk.here.join("mount");
        std::fs::create_dir(&mount).unwrap();
        let mut sshfs = desk.program(text_of(&tool("/usr/bin/sshfs")));
        sshfs.args(["-f", "-F"]).arg(scene.alice.config()).arg(desk.words("HOST:THERE")).arg(&mount);
        let mut process = Process::start(sshfs);
        let mounted = Mounted(mount);
        let mark = format!(" {} fuse.sshfs ", mounted.0.display());
        eventually("it is mounted", || {
            assert!(process.runs(), "sshfs has ended");
            std::fs::read_to_string("/proc/mounts").unwrap().contains(&mark).then_some(())
        });
        let script = "set -e; cd \"$1\"; mkdir a; head -c 3000001 /dev/zero | tr '\\0' x > a/file; chmod 640 a/file; mv a/file b; ln -s b soft; \
                      printf more >> b; sha256sum b soft; dd if=b bs=1000 skip=2999 status=none; rm soft; touch -d @1400000000 b; \
                      stat -c '%s %a %Y' b; rmdir a; ls; df . >/dev/null; cat none";
        let mut shell = desk.program("/bin/sh");
        shell.args(["-c", script, "sh"]).arg(&mounted.0);
        let said = run(shell, "");
        drop(mounted);
        assert_eq!(process.wait().code(), Some(0));
        vec![said]
    });
    statuses(&said, &[1]);
    assert!(said[0].text().contains("3000005 640 1400000000\nb\n"), "{said:?}");
}

/// What is mounted there goes, also when the test fails.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let mut unmount = command("fusermount3");
        let _ = unmount.arg("-u").arg(&self.0).output();
    }
}
