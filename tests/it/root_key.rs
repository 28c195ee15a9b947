//! Where the root key comes from: each source with the real program, and the way from one to another, killed at every step.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::Signal;

use crate::sealed_start::{Daemon, PHRASE, config, patiently, refused, under_a_passphrase, unseal, with_passphrase, wrapped};
use crate::world::broker::KEYWARD;
use crate::world::process::command;
use crate::world::{Outcome, Process, Scene, Way, eventually, folder, open_to_all, run, tool};

/// A program that does this.
fn program(scene: &Scene, body: &str) -> PathBuf {
    let path = scene.dir().join("program");
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    open_to_all(&path, 0o755);
    path
}

fn with_program(path: &Path) -> String {
    format!("[root_key]\nsource = \"command\"\ncommand = [\"{}\", \"a word\"]\nenvironment = [\"ONLY=this\", \"HOME\"]\n", path.display())
}

/// A daemon that does not come up.
#[track_caller]
fn fails(scene: &Scene, lines: &str, env: &[(&str, &str)]) -> String {
    let mut serve = Daemon::command(scene, lines);
    serve.envs(env.iter().copied());
    let outcome = run(serve, "");
    assert_eq!(outcome.status, Some(1), "{outcome:?}");
    assert!(outcome.stdout.is_empty() && outcome.errors().contains("error: ") && outcome.errors().contains("\nhint: "), "{outcome:?}");
    assert!(!scene.broker.home().join("control.sock").exists(), "the local door is left behind");
    outcome.errors()
}

fn stopped() -> Scene {
    let mut scene = Scene::new();
    scene.broker.stop();
    scene
}

/// A directory as systemd makes it, with the scene's root key in it.
fn credentials(scene: &Scene) -> PathBuf {
    let directory = scene.dir().join("credentials");
    std::fs::create_dir(&directory).unwrap();
    std::fs::copy(scene.broker.root_key(), directory.join("keyward-root-key")).unwrap();
    open_to_all(&directory.join("keyward-root-key"), 0o400);
    open_to_all(&directory, 0o500);
    directory
}

#[test]
fn a_credential_of_systemd_is_taken_where_nothing_else_is_configured() {
    let scene = stopped();
    let directory = credentials(&scene);
    std::fs::rename(scene.broker.root_key(), scene.dir().join("away")).unwrap();
    let env = [("CREDENTIALS_DIRECTORY", directory.to_str().unwrap())];
    let daemon = Daemon::start(&scene, "", &env);
    scene.alice.exec(Way::Through, "true").ok();
    daemon.stop();
    Daemon::start(&scene, "[root_key]\nsource = \"credential\"\n", &env).stop();
    // Asked for, and not there.
    let none = fails(&scene, "[root_key]\nsource = \"credential\"\n", &[]);
    assert!(none.contains("CREDENTIALS_DIRECTORY is not set") && none.contains("systemd-unit"), "{none}");
    // One that others can read, and a directory that others can write.
    open_to_all(&directory.join("keyward-root-key"), 0o444);
    let open = fails(&scene, "", &env);
    assert!(open.contains("others may use it (mode 0444)"), "{open}");
    open_to_all(&directory.join("keyward-root-key"), 0o400);
    open_to_all(&directory, 0o777);
    let open = fails(&scene, "", &env);
    assert!(open.contains("no directory of credentials as systemd makes them"), "{open}");
    open_to_all(&directory, 0o500);
    // Another vault's.
    open_to_all(&directory, 0o700);
    std::fs::remove_file(directory.join("keyward-root-key")).unwrap();
    let other = run(scene.broker.command(&["root-key", "new"]), "").ok();
    std::fs::write(directory.join("keyward-root-key"), &other.stdout).unwrap();
    open_to_all(&directory.join("keyward-root-key"), 0o400);
    let wrong = fails(&scene, "", &env);
    assert!(wrong.contains("is not the root key of"), "{wrong}");
}

#[test]
fn a_root_key_in_the_environment_is_refused_whatever_the_source() {
    let scene = stopped();
    let directory = credentials(&scene);
    let path = program(&scene, "exit 1");
    let key = std::fs::read_to_string(scene.broker.root_key()).unwrap();
    for lines in [String::new(), "[root_key]\nsource = \"credential\"\n".to_owned(), with_passphrase(&scene), with_program(&path)] {
        let said = fails(&scene, &lines, &[("KEYWARD_ROOT_KEY", key.trim()), ("CREDENTIALS_DIRECTORY", directory.to_str().unwrap())]);
        assert!(said.contains("a root key is never read from the environment"), "{said}");
        assert!(!said.contains(key.trim()), "{said}");
    }
    let mut verb = scene.broker.command(&["root-key", "new"]);
    verb.env("KEYWARD_ROOT_KEY", "x");
    assert!(run(verb, "").errors().contains("never read from the environment"));
}

#[test]
fn a_program_gives_the_root_key() {
    let scene = stopped();
    let seen = scene.dir().join("seen");
    let path = program(&scene, &format!("env > {}; echo \"$1\" >> {0}; exec cat {}", seen.display(), scene.broker.root_key().display()));
    let daemon = Daemon::start(&scene, &with_program(&path), &[("SECRET_OF_THE_DAEMON", "x")]);
    assert!(!daemon.ready.ends_with("sealed"));
    scene.alice.exec(Way::Through, "true").ok();
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.contains("ONLY=this\n") && seen.contains("HOME=") && seen.ends_with("a word\n"), "{seen}");
    assert!(!seen.contains("SECRET_OF_THE_DAEMON") && !seen.contains("XDG_"), "{seen}");
}

#[test]
fn a_program_that_fails_ends_the_start_and_says_why() {
    let scene = stopped();
    for (body, says) in [
        ("echo 'the token is not plugged in' >&2; exit 7", "exit status: 7; it said: the token is not plugged in"),
        ("echo rubbish", "what it printed is no root key"),
        ("exec yes", "it printed more than 4096 bytes and was killed"),
        ("exit 0", "what it printed is no root key"),
    ] {
        let path = program(&scene, body);
        let said = fails(&scene, &with_program(&path), &[]);
        assert!(said.contains(says), "{body}: {said}");
    }
    let path = program(&scene, "exit 0");
    open_to_all(&path, 0o777);
    let said = fails(&scene, &with_program(&path), &[]);
    assert!(said.contains("others may change") && said.contains("chmod go-w "), "{said}");
    open_to_all(&path, 0o644);
    assert!(fails(&scene, &with_program(&path), &[]).contains("not executable"));
    std::fs::remove_file(&path).unwrap();
    assert!(fails(&scene, &with_program(&path), &[]).contains("No such file"));
}

#[test]
fn a_program_that_hangs_is_stopped_with_the_daemon() {
    let scene = stopped();
    let begun = scene.dir().join("begun");
    let path = program(&scene, &format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000", begun.display()));
    let mut serve = Daemon::command(&scene, &with_program(&path));
    serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut process = Process::start(serve);
    eventually("it hangs", || begun.exists().then_some(()));
    process.signal(Signal::TERM);
    let told = std::time::Instant::now();
    assert_eq!(process.wait().code(), Some(0));
    assert!(told.elapsed() < std::time::Duration::from_secs(5), "{:?}", told.elapsed());
    let program = std::fs::read_to_string(&begun).unwrap().trim().parse().unwrap();
    eventually("it has ended, too", || (!crate::world::process::exists(program)).then_some(()));
}

#[test]
fn a_program_that_failed_is_tried_again_and_the_daemon_is_sealed_meanwhile() {
    let scene = stopped();
    let path = program(&scene, "echo 'the network is down' >&2; exit 1");
    let lines = format!("{}retry = \"1s\"\n", with_program(&path));
    let daemon = Daemon::start(&scene, &lines, &[]);
    assert!(daemon.ready.ends_with(" sealed"), "{}", daemon.ready);
    let status = scene.broker.json(&["status"]);
    assert_eq!((&status["vault"], &status["source"], &status["wants"]), (&"sealed".into(), &"command".into(), &"nothing".into()));
    assert!(status["last_error"].as_str().unwrap().contains("the network is down"), "{status}");
    assert!(refused(&scene, &["unseal"], "").contains("the network is down"));
    // Replaced in one step: a program that is being written is not run.
    let better = scene.dir().join("better");
    std::fs::write(&better, format!("#!/bin/sh\nexec cat {}\n", scene.broker.root_key().display())).unwrap();
    open_to_all(&better, 0o755);
    std::fs::rename(&better, &path).unwrap();
    assert!(daemon.lines.next().is_some_and(|line| !line.ends_with("sealed")), "it opened by itself");
    scene.alice.exec(Way::Through, "true").ok();
    let unsealed = scene.broker.audit().into_iter().find(|e| e["event"] == "vault.unsealed").unwrap();
    assert_eq!((&unsealed["actor"], &unsealed["detail"]["failed_tries"]), (&"keyward".into(), &0.into()), "{unsealed}");
}

/// `root-key move` with these words, to its end.
fn moved(scene: &Scene, lines: &str, words: &[&str], stdin: &str) -> Outcome {
    let config = config(scene, lines).display().to_string();
    let mut args = vec!["root-key", "move", "--config", &config];
    args.extend_from_slice(words);
    patiently(scene, &args, stdin)
}

/// What a daemon with this configuration does for Alice.
#[track_caller]
fn serves(scene: &Scene, lines: &str) {
    let _daemon = Daemon::start(scene, lines, &[]);
    if lines.contains("passphrase") {
        unseal(scene, PHRASE);
    }
    scene.alice.exec(Way::Through, "true").ok();
}

#[test]
fn a_root_key_is_moved_and_the_old_place_is_destroyed_only_after_the_new_one_is_in_use() {
    let scene = stopped();
    let old = scene.broker.root_key();
    let in_file = format!("[vault]\nroot_key = \"{}\"\n", old.display());
    let key = std::fs::read(&old).unwrap();
    let path = wrapped(&scene).display().to_string();
    let outcome = moved(&scene, &in_file, &["--to", "passphrase", "--path", &path], &format!("{PHRASE}\n")).ok();
    assert!(outcome.stdout.is_empty());
    for says in ["opens the vault", &format!("root_key = \"{path}\""), "source = \"passphrase\"", "root-key forget "] {
        assert!(outcome.errors().contains(says), "{says}: {outcome:?}");
    }
    assert_eq!(std::fs::read(&old).unwrap(), key, "the old place stays");
    // The configuration still names it: it is not destroyed.
    let forget = |lines: &str, stdin: &str| {
        let config = config(&scene, lines).display().to_string();
        patiently(&scene, &["root-key", "forget", &old.display().to_string(), "--config", &config], stdin)
    };
    let early = forget(&in_file, "");
    assert!(early.status == Some(1) && early.errors().contains("is where the configuration says"), "{early:?}");
    let wrong = forget(&with_passphrase(&scene), "a wrong passphrase\n");
    assert!(wrong.status == Some(1) && wrong.errors().contains("the passphrase is wrong"), "{wrong:?}");
    assert_eq!(std::fs::read(&old).unwrap(), key);
    serves(&scene, &with_passphrase(&scene));
    forget(&with_passphrase(&scene), &format!("{PHRASE}\n")).ok();
    assert!(!old.exists());
    // Done again, there is nothing to do, and that is said.
    let again = forget(&with_passphrase(&scene), &format!("{PHRASE}\n"));
    assert!(again.status == Some(1) && again.errors().contains("is not there"), "{again:?}");
    // The anchor went along: an older database would still be noticed.
    let anchors =
        |at: &Path| std::fs::read_dir(at).unwrap().flatten().filter(|e| e.path().extension().is_some_and(|x| x == "anchor")).count();
    assert_eq!(anchors(wrapped(&scene).parent().unwrap()), 1);
    // And back, with the passphrase of the old place.
    let back = scene.dir().join("back/root.key").display().to_string();
    moved(&scene, &with_passphrase(&scene), &["--to", "file", "--path", &back], &format!("{PHRASE}\n")).ok();
    assert_eq!(std::fs::read(&back).unwrap(), key);
    serves(&scene, &format!("[vault]\nroot_key = \"{back}\"\n"));
    // A new passphrase is a move, too: the old one first, then the new one.
    let again = scene.dir().join("again/root.wrapped").display().to_string();
    let both = format!("{PHRASE}\nanother good passphrase\n");
    moved(&scene, &with_passphrase(&scene), &["--to", "passphrase", "--path", &again], &both).ok();
    let lines = format!("[vault]\nroot_key = \"{again}\"\n[root_key]\nsource = \"passphrase\"\n");
    let _daemon = Daemon::start(&scene, &lines, &[]);
    unseal(&scene, "another good passphrase");
}

#[test]
fn a_move_that_is_killed_at_any_step_is_done_again_by_the_same_words() {
    let scene = stopped();
    let in_file = format!("[vault]\nroot_key = \"{}\"\n", scene.broker.root_key().display());
    let path = wrapped(&scene);
    let shown = path.display().to_string();
    let config = config(&scene, &in_file).display().to_string();
    let words = ["root-key", "move", "--config", &config, "--to", "passphrase", "--path", &shown];
    let start = |words: &[&str]| {
        let mut verb = scene.broker.command(words);
        verb.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Process::start(verb)
    };
    let kill = |mut process: Process| {
        process.signal(Signal::KILL);
        process.wait();
    };
    let lock = scene.broker.home().join("lock");
    let holds_lock = |id: u32| {
        std::fs::read_dir(format!("/proc/{id}/fd"))
            .is_ok_and(|fds| fds.flatten().any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to == lock)))
    };
    // 1: it waits for the passphrase.
    let process = start(&words);
    eventually("it has the home", || holds_lock(process.id()).then_some(()));
    kill(process);
    assert!(!path.exists());
    serves(&scene, &in_file);
    // 2: it works out the key of the passphrase; nothing is written yet.
    let mut process = start(&words);
    std::io::Write::write_all(&mut process.stdin().unwrap(), format!("{PHRASE}\n").as_bytes()).unwrap();
    eventually("it works", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap_or_default();
        let size = status.lines().find_map(|l| l.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        size.is_some_and(|kib| kib > 100_000).then_some(())
    });
    kill(process);
    assert!(scene.broker.root_key().exists());
    // What is there is whole, if it is there.
    serves(&scene, if path.exists() { with_passphrase(&scene) } else { in_file.clone() }.as_str());
    // 3: the new file is there, and is being read back.
    let _ = std::fs::remove_file(&path);
    let mut process = start(&words);
    std::io::Write::write_all(&mut process.stdin().unwrap(), format!("{PHRASE}\n").as_bytes()).unwrap();
    eventually("the new file is there", || path.exists().then_some(()));
    kill(process);
    serves(&scene, &in_file);
    serves(&scene, &with_passphrase(&scene));
    // A half file of a start that was cut off is in nobody's way.
    std::fs::write(path.with_extension("wrapped.new"), "half").unwrap();
    let done = moved(&scene, &in_file, &["--to", "passphrase", "--path", &shown], &format!("{PHRASE}\n")).ok();
    assert!(done.errors().contains("the same root key is at"), "{done:?}");
    // 4: forgetting, while it waits and while it proves.
    let forget = ["root-key", "forget", &scene.broker.root_key().display().to_string(), "--config"].map(str::to_owned);
    let config = crate::sealed_start::config(&scene, &with_passphrase(&scene)).display().to_string();
    let mut forget: Vec<&str> = forget.iter().map(String::as_str).collect();
    forget.push(&config);
    let process = start(&forget);
    eventually("it has the home", || holds_lock(process.id()).then_some(()));
    kill(process);
    assert!(scene.broker.root_key().exists(), "destroyed before anything was proved");
    patiently(&scene, &forget, format!("{PHRASE}\n")).ok();
    assert!(!scene.broker.root_key().exists());
    serves(&scene, &with_passphrase(&scene));
}

#[test]
fn a_move_is_refused_where_it_would_do_harm() {
    let mut scene = Scene::new();
    let in_file = format!("[vault]\nroot_key = \"{}\"\n", scene.broker.root_key().display());
    let path = wrapped(&scene).display().to_string();
    let runs = moved(&scene, &in_file, &["--to", "passphrase", "--path", &path], &format!("{PHRASE}\n"));
    assert!(runs.status == Some(1) && runs.errors().contains("systemctl stop keyward"), "{runs:?}");
    scene.broker.stop();
    let inside = scene.broker.home().join("root.wrapped").display().to_string();
    for (words, says) in [
        (vec!["--to", "passphrase", "--path", &inside], "lies in the home"),
        (vec!["--to", "passphrase", "--path", "here"], "not absolute"),
        (vec!["--to", "passphrase"], "--path <FILE>"),
        (vec!["--to", "command"], "names no program"),
        (vec!["--to", "file", "--path", scene.broker.root_key().to_str().unwrap()], "that is where the root key is"),
    ] {
        let outcome = moved(&scene, &in_file, &words, "");
        assert!(outcome.status == Some(2) && outcome.errors().contains(says), "{words:?}: {outcome:?}");
    }
    let short = moved(&scene, &in_file, &["--to", "passphrase", "--path", &path], "short\n");
    assert!(short.status == Some(1) && short.errors().contains("12 to 1024 bytes") && !wrapped(&scene).exists(), "{short:?}");
    // A program that prints another key.
    let other = program(&scene, &format!("exec {KEYWARD} root-key new"));
    let lines = format!("{in_file}[root_key]\ncommand = [\"{}\"]\n", other.display());
    let outcome = moved(&scene, &lines, &["--to", "command"], "");
    assert!(outcome.status == Some(1) && outcome.errors().contains("holds another root key"), "{outcome:?}");
    // A file that is none is not destroyed.
    let precious = scene.dir().join("precious");
    std::fs::write(&precious, "a letter").unwrap();
    open_to_all(&precious, 0o600);
    let kept = run(
        scene.broker.command(&["root-key", "forget", precious.to_str().unwrap(), "--config", scene.broker.config().to_str().unwrap()]),
        "",
    );
    assert!(kept.status == Some(1) && kept.errors().contains("holds no root key"), "{kept:?}");
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "a letter");
    scene.broker.serve();
    scene.alice.exec(Way::Through, "true").ok();
}

#[test]
fn the_root_key_is_printed_into_a_pipe_and_a_program_takes_over() {
    let scene = under_a_passphrase();
    let lines = with_passphrase(&scene);
    let config = config(&scene, &lines).display().to_string();
    let printed = patiently(&scene, &["root-key", "print", "--config", &config], format!("{PHRASE}\n")).ok();
    let key = std::fs::read(scene.broker.root_key()).unwrap();
    assert!(printed.stdout == key && printed.errors().contains("can open everything"), "{:?}", printed.errors());
    let store = scene.dir().join("safe");
    std::fs::write(&store, &printed.stdout).unwrap();
    let lines = format!("{lines}command = [\"/bin/cat\", \"{}\"]\n", store.display());
    moved(&scene, &lines, &["--to", "command"], &format!("{PHRASE}\n")).ok();
    serves(&scene, &format!("[root_key]\nsource = \"command\"\ncommand = [\"/bin/cat\", \"{}\"]\n", store.display()));
    // A terminal is no pipe.
    let mut script = command("script");
    script.args(["-qec", &format!("{KEYWARD} root-key new"), "/dev/null"]);
    let shown = run(script, "");
    assert!(shown.text().contains("a root key is not for eyes") && !shown.text().contains("keyward-root-key-1 "), "{shown:?}");
}

#[test]
fn systemd_encrypts_the_root_key_and_gives_it_back() {
    let scene = stopped();
    let creds = tool("/usr/bin/systemd-creds");
    let in_file = format!("[vault]\nroot_key = \"{}\"\n", scene.broker.root_key().display());
    let encrypted = scene.dir().join("credstore/keyward-root-key");
    std::fs::create_dir(encrypted.parent().unwrap()).unwrap();
    let shown = encrypted.display().to_string();
    let outcome = moved(&scene, &in_file, &["--to", "credential", "--path", &shown], "").ok();
    assert!(outcome.errors().contains("LoadCredentialEncrypted=keyward-root-key:"), "{outcome:?}");
    assert!(outcome.errors().contains("    anchor = \"") && outcome.errors().contains("/keyward-anchor\"\n"), "{outcome:?}");
    let key = std::fs::read_to_string(scene.broker.root_key()).unwrap();
    assert!(!std::fs::read_to_string(&encrypted).unwrap().contains(key.trim()));
    // As systemd would, at the service's start.
    let directory = scene.dir().join("run");
    std::fs::create_dir(&directory).unwrap();
    let mut decrypt = command(creds);
    decrypt.args(["decrypt", "--name=keyward-root-key", &shown]).arg(directory.join("keyward-root-key"));
    run(decrypt, "").ok();
    open_to_all(&directory.join("keyward-root-key"), 0o400);
    open_to_all(&directory, 0o500);
    let _daemon = Daemon::start(&scene, "[root_key]\nsource = \"credential\"\n", &[("CREDENTIALS_DIRECTORY", directory.to_str().unwrap())]);
    scene.alice.exec(Way::Through, "true").ok();
}

#[test]
fn the_unit_is_one_that_systemd_understands_and_finds_safe() {
    let analyze = tool("/usr/bin/systemd-analyze");
    for source in ["file", "credential", "passphrase", "command"] {
        let dir = folder();
        let unit = dir.path().join("keyward.service");
        let mut print = command(KEYWARD);
        print.args(["--home", "/var/lib/keyward", "systemd-unit", "--source", source, "--user", crate::world::account::NAME]);
        let printed = run(print, "").ok().text();
        // The program of this test, so that systemd finds one.
        let printed = printed.replace("/usr/local/bin/keyward", KEYWARD);
        std::fs::write(&unit, &printed).unwrap();
        std::fs::set_permissions(&unit, std::fs::Permissions::from_mode(0o644)).unwrap();
        let mut verify = command(&analyze);
        verify.args(["verify", "--man=no", "--recursive-errors=no"]).arg(&unit);
        let outcome = run(verify, "").ok();
        let ours: Vec<String> = outcome.errors().lines().filter(|l| l.contains("keyward.service")).map(str::to_owned).collect();
        assert!(ours.is_empty(), "{source}: {ours:?}");
        let mut security = command(&analyze);
        // A tenth of its scale of 0 (safe) to 100.
        security.args(["security", "--offline=true", "--no-pager", "--threshold=20"]).arg(&unit);
        let outcome = run(security, "");
        let last = outcome.text().lines().last().unwrap_or_default().to_owned();
        assert_eq!(outcome.status, Some(0), "{source}: {last}\n{}", outcome.text());
    }
}
