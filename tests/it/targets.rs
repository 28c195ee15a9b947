//! The hosts that scans are tried on are what they say they are: looked at with stock ssh, without the broker.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::world::process::{Process, exists};
use crate::world::targets::{BYE, Base, Crowd, Death, Layer, Lie, NOISE, PACKAGES, Place, Proof, SHELLS, SLOW, Slow, Sudo, Work};
use crate::world::{PATIENCE, Scene, Target, Way, eventually, folder, run, run_within};

/// What a shell script says when it comes on the standard input of `sh -s`.
const SCRIPT: &str = "printf 'one\\n'\nprintf 'two\\n'\nid -un\n";

#[test]
fn a_debian_has_accounts_packages_processes_mounts_and_a_network_of_its_own() {
    let dir = folder();
    let place = dir.path().join("web-7");
    std::fs::create_dir(&place).unwrap();
    let target = Target::debian(&place);
    assert_eq!(target.says("hostname; id -u", "").ok().text(), "web-7\n0\n");
    assert!(target.says("cat /etc/os-release", "").ok().text().contains("VERSION_ID=\"12\""));
    let packages = target.says("dpkg-query -W -f='${db:Status-Abbrev} ${binary:Package}\\n'", "").ok().text();
    assert!(packages.contains("ii  openssh-server\n"), "{packages}");
    assert_eq!(packages, target.root("dpkg-query -W -f='${db:Status-Abbrev} ${binary:Package}\\n'").ok().text());
    let ports = target.says("ss -H -lntu", "").ok().text();
    assert_eq!(ports.lines().count(), 1, "{ports}");
    assert!(ports.contains("127.0.0.1:22"), "{ports}");
    let processes = target.says("ps -e -o comm=", "").ok().text();
    assert!(processes.lines().all(|l| ["sshd", "ps", "sh", "bash"].contains(&l)), "{processes}");
    let mounts = target.says("cut -d ' ' -f 2 /proc/mounts", "").ok().text();
    assert_eq!(mounts.lines().collect::<Vec<_>>(), ["/", "/proc", "/dev", "/run", "/dev/pts", "/dev/shm"]);
    // A terminal works in it, too.
    let tty = run(target.ssh_as(target.login(), &["-tt"], "tty"), "").ok().text();
    assert!(tty.starts_with("/dev/pts/"), "{tty}");
    assert!(target.says("sshd -T", "").ok().text().contains("permitrootlogin yes"));

    let visitor = target.login_of("visitor");
    let outcome = run(target.ssh_as(visitor, &[], "id -un; cat /etc/shadow"), "");
    assert_eq!((outcome.status, outcome.text().as_str()), (Some(1), "visitor\n"));
    assert!(outcome.errors().contains("Permission denied"), "{outcome:?}");
    let clerk = target.login_of("clerk");
    assert_eq!(run(target.ssh_as(clerk, &[], "id -un"), "").ok().text(), "clerk\n");
    let sign_ins = target.sign_ins();
    let mut wrong = clerk.clone();
    wrong.proof = Proof::Password("wrong".to_owned());
    assert_eq!(run(target.ssh_as(&wrong, &[], "true"), "").status, Some(255));
    assert_eq!((target.sign_ins(), target.refusals()), (sign_ins, 1));
    assert_eq!(target.connections(), sign_ins + 1);
    assert_eq!(sign_ins, 10);

    // What is written there is seen there, and nowhere else.
    target.says("echo changed >/etc/motd; touch /usr/bin/new", "").ok();
    assert_eq!(target.root("cat /etc/motd").ok().text(), "changed\n");
    assert!(!Base::Debian.folder().join("usr/bin/new").exists());
    let machine = |file: &str| std::fs::read_to_string(file).unwrap();
    assert!(!machine("/etc/passwd").contains("visitor:"));
    assert!(!machine("/proc/mounts").contains(place.to_str().unwrap()));

    let ids = target.place.ids();
    assert!(ids.len() >= 2);
    drop(target);
    assert!(ids.iter().all(|id| !exists(*id)), "something still runs");
    // Nothing is mounted in it any more: it can be removed.
    std::fs::remove_dir_all(&place).unwrap();
}

#[test]
fn a_broker_signs_in_to_targets() {
    let scene = Scene::new();
    let (debian, alpine) = (Target::debian(&scene.place("debian")), Target::busybox(&scene.place("alpine")));
    let through = |host: &str| {
        scene.alice.knows(None, Some(&scene.broker), host);
        scene.alice.exec(Way::Through, "hostname; id -un").ok().text()
    };
    debian.joins_as(&scene, debian.login_of("clerk"));
    assert_eq!(through("debian"), "debian\nclerk\n");
    alpine.joins(&scene);
    assert_eq!(through("alpine"), "alpine\nroot\n");
    for target in [debian, alpine] {
        assert_eq!((target.sign_ins(), target.connections()), (1, 1));
    }
    let crowd = Crowd::many(&scene.place("crowd"), 3);
    crowd.joins(&scene);
    for member in &crowd.members {
        assert_eq!(through(&member.name), "crowd\nvisitor\n");
        assert_eq!((member.sign_ins(), member.connections()), (1, 1));
    }
}

#[test]
fn a_busybox_has_nothing_of_debian() {
    let dir = folder();
    let target = Target::busybox(dir.path());
    let release = target.says("cat /etc/os-release", "").ok().text();
    assert!(release.contains("ID=alpine\nVERSION_ID=3.20.1\n"), "{release}");
    let shown = target.says("readlink -f /bin/sh; uname -s; id -u; cat /proc/1/comm", "").ok().text();
    assert_eq!(shown, "/bin/busybox\nLinux\n0\nsh\n");
    let tools = "bash dash dpkg dpkg-query apt rpm systemctl ss perl python3 sudo sshd getent useradd";
    let missing = target.says(&format!("for t in {tools}; do command -v $t; done; true"), "").ok().text();
    assert_eq!(missing, "");
    for (name, version, origin) in PACKAGES {
        let words = format!("grep -A 11 '^P:{name}$' /lib/apk/db/installed");
        let record = target.says(&words, "").ok().text();
        assert!(record.contains(&format!("\nV:{version}\n")) && record.contains(&format!("\no:{origin}\n")), "{record}");
    }
    assert!(target.says("netstat -lnt", "").ok().text().contains("127.0.0.1:22"));
    assert_eq!(target.says("LC_ALL=C sh -s", SCRIPT).ok().text(), "one\ntwo\nroot\n");
    let operator = target.login_of("operator");
    let outcome = run(target.ssh_as(operator, &[], "id -un; cat /etc/shadow"), "");
    assert_eq!((outcome.status, outcome.text().as_str()), (Some(1), "operator\n"), "{outcome:?}");
    assert_eq!(target.sign_ins(), 5 + PACKAGES.len() + 1, "{}", target.log());
    assert_eq!(target.left_running(), Vec::<String>::new());
}

/// `sudo` as a scan would call it, with its prompt, what is typed, and the script on standard input.
fn sudo(target: &Target, options: &[&str], typed: Option<&str>) -> crate::world::Outcome {
    let stdin = typed.map_or_else(|| SCRIPT.to_owned(), |password| format!("{password}\n{SCRIPT}"));
    let words = if typed.is_some() { "sudo -k -S -p NONCE: -- sh -s" } else { "sudo -n -- sh -s" };
    run(target.ssh_as(target.login(), options, words), stdin)
}

#[test]
fn sudo_asks_or_refuses_in_each_of_its_ways() {
    std::thread::scope(|scope| {
        for way in Sudo::ALL {
            scope.spawn(move || sudo_way(way));
        }
    });
}

fn sudo_way(way: Sudo) {
    let dir = folder();
    let target = Target::sudo(dir.path(), way);
    let known = target.login().sudo_password.clone().unwrap();
    let root = "one\ntwo\nroot\n";
    let asked = sudo(&target, &[], None);
    let asks = |words: &str| assert!(asked.status == Some(1) && asked.errors().contains(words), "{way:?}: {asked:?}");
    match way {
        Sudo::NoPassword => {
            assert_eq!(asked.clone().ok().text(), root);
            // It reads no password: what is typed becomes the first line of the script.
            let typed = sudo(&target, &[], Some(&known));
            assert!(typed.errors().contains("not found") && !typed.errors().contains("NONCE:"), "{typed:?}");
            assert_eq!(target.sudo_log().len(), 2);
        }
        Sudo::Password => {
            asks("a password is required");
            let typed = sudo(&target, &[], Some(&known)).ok();
            assert_eq!((typed.text().as_str(), typed.errors().as_str()), (root, "NONCE:"));
            assert_eq!(target.refused_passwords("admin"), 0);
        }
        Sudo::WrongPassword => {
            asks("a password is required");
            let before = target.sudo_log().len();
            // The lines of the script are taken for passwords: three are refused, and the account is locked.
            let typed = sudo(&target, &[], Some(&known));
            assert_eq!((typed.status, typed.text().as_str()), (Some(1), ""), "{typed:?}");
            assert_eq!(typed.errors().matches("NONCE:").count(), 3, "{typed:?}");
            assert_eq!(target.refused_passwords("admin"), 3);
            assert_eq!(target.sudo_log().len(), before + 1, "{:?}", target.sudo_log());
            assert!(target.sudo_log().last().unwrap().contains("3 incorrect password attempts"), "{:?}", target.sudo_log());
        }
        Sudo::NotAllowed => {
            let typed = sudo(&target, &[], Some(&known));
            assert!(typed.status == Some(1) && typed.errors().contains("is not in the sudoers file"), "{typed:?}");
            assert_eq!(target.refused_passwords("admin"), 0);
        }
        Sudo::OneCommand => {
            run(target.ssh("sudo -n /usr/bin/true"), "").ok();
            asks("a password is required");
            let typed = sudo(&target, &[], Some(&known));
            assert!(typed.status == Some(1) && typed.errors().contains("is not allowed to execute"), "{typed:?}");
        }
        Sudo::Missing => assert!(asked.status == Some(127) && asked.errors().contains("not found"), "{asked:?}"),
        Sudo::RequireTty => {
            let typed = sudo(&target, &[], Some(&known));
            assert!(typed.status == Some(1) && typed.errors().contains("you must have a tty"), "{typed:?}");
            assert_eq!(target.refused_passwords("admin"), 0);
            let terminal = run(target.ssh_as(target.login(), &["-tt"], "stty -echo; sudo -k -S -p NONCE: -- id -un"), format!("{known}\n"));
            assert!(terminal.text().contains("root"), "{terminal:?}");
        }
        Sudo::NoExec => {
            assert!(asked.text().starts_with("one\ntwo\n") && !asked.text().contains("root"), "{asked:?}");
            assert!(asked.status == Some(126) && asked.errors().contains("Permission denied"), "{asked:?}");
        }
        Sudo::Lecture => {
            let typed = sudo(&target, &[], Some(&known)).ok();
            assert_eq!(typed.text(), root);
            let errors = typed.errors();
            assert!(errors.contains("usual lecture") && errors.ends_with("NONCE:"), "{errors}");
        }
        Sudo::Expired => {
            // It asks for the password once more, in other words than it was told to, and speaks on standard output.
            let typed = sudo(&target, &[], Some(&known));
            assert_eq!((typed.status, typed.text().as_str()), (Some(1), "Changing password for admin.\n"), "{typed:?}");
            let errors = typed.errors();
            assert!(errors.starts_with("NONCE:") && errors.matches("NONCE:").count() == 1, "{errors}");
            assert!(errors.contains("[sudo] password for "), "{errors}");
        }
        Sudo::EmptyPath => {
            let typed = run(target.ssh("sudo -n -- /bin/sh -s"), SCRIPT);
            assert_eq!((typed.status, typed.text().as_str()), (Some(127), "one\ntwo\n"), "{typed:?}");
        }
    }
}

#[test]
fn every_login_shell_runs_a_script_from_standard_input() {
    let dir = folder();
    let target = Target::shells(dir.path());
    for (user, shell) in SHELLS {
        let outcome = run(target.ssh_as(target.login_of(user), &[], "env LC_ALL=C sh -s"), SCRIPT);
        if user == "nologin" {
            assert!(outcome.status == Some(1) && outcome.text().contains("not available"), "{outcome:?}");
            continue;
        }
        assert_eq!(outcome.ok().text(), format!("one\ntwo\n{user}\n"));
        let line = target.root(&format!("grep '^{user}:' /etc/passwd")).ok().text();
        assert!(line.ends_with(&format!(":{shell}\n")), "{line}");
    }
    // Which shell it really is: each is asked in its own words.
    let asks = |user: &str, words: &str| run(target.ssh_as(target.login_of(user), &[], words), "").text();
    assert!(asks("bash", "echo $BASH_VERSION").starts_with('5'));
    assert!(asks("ksh93", "echo ${.sh.version}").contains("93u+m"));
    assert!(asks("mksh", "echo $KSH_VERSION").contains("MIRBSD"));
    assert!(asks("tcsh", "echo $tcsh").starts_with('6'));
    assert!(asks("fish", "echo $FISH_VERSION").starts_with('3'));
    assert!(asks("ash", "readlink /proc/$$/exe; :").ends_with("/busybox\n"));
    assert!(asks("dash", "readlink /proc/$$/exe; :").ends_with("/dash\n"));
    // An assignment before a command is not csh's grammar.
    assert_eq!(asks("tcsh", "LC_ALL=C sh -c 'echo here'"), "");
}

#[test]
fn noisy_start_files_talk_on_standard_output_before_the_answer() {
    let dir = folder();
    let target = Target::noisy(dir.path());
    for (user, _) in SHELLS {
        let outcome = run(target.ssh_as(target.login_of(user), &[], "env LC_ALL=C sh -s"), SCRIPT);
        let text = outcome.text();
        if user == "nologin" {
            // It runs no start file either.
            assert!(!text.contains(NOISE), "{text}");
            continue;
        }
        assert!(text.starts_with(NOISE), "{user}: {text}");
        assert!(text.contains(&format!("last login: one\ntwo\n{user}\n")), "{user}: {text}");
        // Once from ~/.ssh/rc, and from the shell's own file before that and again before the command; rbash runs no rc.
        let times = match user {
            "bash" | "tcsh" | "fish" => 3,
            "rbash" => 2,
            _ => 1,
        };
        assert_eq!(text.matches(NOISE).count(), times, "{user}: {text}");
        assert_eq!(text.ends_with(&format!("{BYE}\n")), user.ends_with("bash"), "{user}: {text}");
    }
}

#[test]
fn commands_of_a_slow_host_hang_and_mind_no_polite_signal() {
    let dir = folder();
    let target = Target::slow(dir.path(), Slow::WithTimeout);
    // All at once: one second of waiting is enough to see that none ends.
    let all: Vec<String> = SLOW.iter().map(|c| format!("timeout -k 0.3 0.3 {c} & pids=\"$pids $!\";")).collect();
    let script = format!("pids=; {} for p in $pids; do wait $p; echo $?; done", all.join(" "));
    let outcome = target.says("sh -s", script).ok().text();
    let mut lines: Vec<&str> = outcome.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["137", "137", "137", "tcp LISTEN 0 128 127.0.0.1:22 0.0.0.0:*"], "SIGTERM does not end them, SIGKILL does");
    let fifo = target.says("timeout 0.2 cat /etc/motd.fifo", "");
    assert_eq!(fifo.status, Some(124));
    assert_eq!(target.left_running(), Vec::<String>::new());

    // A client that goes away leaves it behind, and the test sees it.
    let mut session = target.session("dpkg-query -W");
    eventually("the command hangs", || target.left_running().iter().any(|l| l == "sleep 600").then_some(()));
    session.signal(rustix::process::Signal::KILL);
    session.wait();
    eventually("the session ends", || target.log().contains("Close session").then_some(()));
    assert!(target.left_running().iter().any(|l| l == "sleep 600"), "{:?}", target.left_running());
    let visitor = target.login_of("visitor");
    assert_eq!(run(target.ssh_as(visitor, &[], "id -un"), "").ok().text(), "visitor\n");
}

#[test]
fn a_slow_host_may_have_no_timeout() {
    let dir = folder();
    let target = Target::slow(dir.path(), Slow::WithoutTimeout);
    assert_eq!(target.says("command -v timeout", "").status, Some(1));
    assert_eq!(target.says("sh -s", SCRIPT).ok().text(), "one\ntwo\nroot\n");
}

#[test]
fn a_dying_host_gives_two_lines_and_breaks_off() {
    std::thread::scope(|scope| {
        for death in Death::ALL {
            scope.spawn(move || dying(death));
        }
    });
}

fn dying(death: Death) {
    let dir = folder();
    let dying = Target::dies(dir.path(), death, "/usr/bin/dpkg-query");
    let target = &dying.target;
    assert_eq!(target.says("echo alive", "").ok().text(), "alive\n");
    let mut session = target.session("sh -s");
    session.stdin().unwrap().write_all(b"echo begins\ndpkg-query -W -f='${binary:Package}\\n'\necho never\n").unwrap();
    let (lines, errors) = (session.lines(), session.errors());
    assert_eq!(lines.next().unwrap(), "begins");
    assert_eq!(lines.next().unwrap(), "adduser");
    assert_eq!(lines.next().unwrap(), "apt");
    dying.happened();
    if death == Death::Silence {
        // It is told nothing: not its end, not a byte.
        assert!(session.runs());
        return;
    }
    assert_eq!(lines.next(), None, "{death:?}");
    assert_eq!(session.wait().code(), Some(255), "{death:?}");
    let errors = String::from_utf8(errors.recv_timeout(PATIENCE).unwrap()).unwrap();
    assert!(errors.contains("closed") || errors.contains("reset") || errors.contains("Broken"), "{death:?}: {errors}");
    let again = target.says("echo alive", "");
    if death == Death::Power {
        assert_eq!(again.status, Some(255), "{again:?}");
    } else {
        assert_eq!(again.ok().text(), "alive\n");
    }
}

#[test]
fn a_liar_answers_each_in_its_way() {
    let dir = folder();
    let target = Target::lies(dir.path(), &Lie::Nothing);
    for lie in Lie::ALL {
        target.now_lies(&lie);
        lying(&target, &lie);
    }
    target.now_lies(&Lie::Script("printf 'forged %s\\n' \"$SSH_ORIGINAL_COMMAND\"; head -n 1".to_owned()));
    assert_eq!(target.says("sh -s", SCRIPT).ok().text(), "forged sh -s\nprintf 'one\\n'\n");
}

fn lying(target: &Target, lie: &Lie) {
    let says = || target.says("sh -s", SCRIPT);
    match lie {
        Lie::Nothing => assert_eq!(says().ok().stdout, b""),
        Lie::Echo => assert_eq!(says().ok().text(), format!("sh -s\n{SCRIPT}")),
        Lie::Endless | Lie::EndlessErrors => {
            let mut session = target.session("sh -s");
            let mut some = vec![0; 1 << 20];
            if *lie == Lie::Endless {
                session.stdout().read_exact(&mut some).unwrap();
                assert!(some.starts_with(b"a line that never ends\na line"));
            }
            assert!(session.runs());
        }
        Lie::LongLine => {
            let outcome = run_within(PATIENCE, target.ssh("sh -s"), "").ok();
            assert!(outcome.stdout.len() == 64 << 20 && !outcome.stdout.contains(&b'\n'));
        }
        Lie::Backwards => assert_eq!(says().ok().text(), "liar\ntwo\none\n"),
        Lie::Twice => assert_eq!(says().ok().text(), "one\ntwo\nliar\none\ntwo\nliar\n"),
        Lie::Beginning => {
            let outcome = target.says("sh -s", "seq 1000; exit 3\n").ok();
            assert_eq!(outcome.stdout.len(), 300);
        }
        Lie::Nuls => assert_eq!(says().ok().stdout, b"one\0\ntwo\0\nliar\0\n"),
        Lie::OnlyNuls => assert_eq!(says().ok().stdout, vec![0; 1 << 20]),
        Lie::Garbage => assert!(String::from_utf8(says().ok().stdout).is_err()),
        Lie::Drip => {
            let begun = Instant::now();
            assert_eq!(target.says("sh -s", "echo one; echo two").ok().text(), "one\ntwo\n");
            assert!(begun.elapsed() >= Duration::from_secs(2));
        }
        Lie::ShutEars | Lie::Mute => {
            let mut session = target.session("sh -s");
            let (lines, mut stdin) = (session.lines(), session.stdin().unwrap());
            if *lie == Lie::ShutEars {
                assert_eq!(lines.next().unwrap(), "here");
            }
            let _ = stdin.write_all(SCRIPT.as_bytes());
            drop(stdin);
            eventually("it sits there", || target.left_running().iter().any(|l| l == "sleep 600").then_some(()));
            assert!(session.runs());
            // For the next liar, nothing is left.
            target.root("kill -KILL $(pidof sleep)").ok();
            assert_eq!(lines.next(), None);
        }
        Lie::Status255 => assert_eq!(says().status, Some(255)),
        Lie::Killed => assert_eq!(says().status, Some(255)),
        Lie::Refuses => {
            let outcome = says();
            assert_eq!((outcome.status, outcome.text().as_str()), (Some(1), "This service allows sftp connections only.\n"));
        }
        Lie::Appliance => {
            let text = says().ok().text();
            assert!(text.starts_with("Switch> % Invalid") && text.matches("Invalid").count() == 3, "{text}");
        }
        Lie::Script(_) => unreachable!("not in the list"),
    }
}

#[test]
fn a_host_with_penalties_turns_an_address_away_after_three_failures() {
    let dir = folder();
    let target = Target::penalty(dir.path());
    let right = target.login().clone();
    let mut wrong = right.clone();
    wrong.user = "nobody".to_owned();
    assert_eq!(run(target.ssh_as(&right, &[], "id -un"), "").ok().text(), "visitor\n");
    for failures in 1..=3 {
        assert_eq!(run(target.ssh_as(&wrong, &[], "true"), "").status, Some(255));
        eventually("it is logged", || (target.log().matches("authenticating user nobody").count() == failures).then_some(()));
    }
    assert_eq!(target.door.turned_away(), 0);
    let outcome = run(target.ssh_as(&right, &[], "true"), "");
    assert_eq!(outcome.status, Some(255), "{outcome:?}");
    let mut text = String::new();
    let mut stream = TcpStream::connect(("127.0.0.1", target.port)).unwrap();
    let _ = stream.read_to_string(&mut text);
    assert_eq!(text, "Not allowed at this time\r\n");
    assert_eq!(target.door.turned_away(), 2);
}

#[test]
fn a_crowd_answers_and_counts() {
    let dir = folder();
    let count = 200;
    let crowd = Crowd::many(dir.path(), count);
    assert_eq!(crowd.members.len(), usize::from(count));
    let some: Vec<_> = crowd.members.iter().step_by(20).collect();
    let mut sessions: Vec<Process> = some
        .iter()
        .map(|member| {
            let mut ssh = crowd.ssh(member, "echo ${SSH_CONNECTION% *}");
            ssh.stdin(Stdio::null()).stdout(Stdio::piped());
            Process::start(ssh)
        })
        .collect();
    for (member, session) in some.iter().zip(&mut sessions) {
        let line = session.lines().next().unwrap_or_default();
        assert!(line.ends_with(&format!(" {}", member.ip)), "{line}");
        assert!(session.wait().success());
        assert_eq!((member.sign_ins(), member.connections()), (1, 1));
    }
    let all: usize = crowd.members.iter().map(|m| m.sign_ins()).sum();
    assert_eq!(all, some.len());
    let ids = crowd.place.ids();
    assert!(ids.len() > usize::from(count));
    drop(crowd);
    assert!(ids.iter().all(|id| !exists(*id)), "something still runs");
}

#[test]
fn a_target_that_cannot_start_says_why() {
    let dir = folder();
    let place = dir.path().to_owned();
    let said = std::thread::spawn(move || {
        let layer = Layer::new(place.join("layer"));
        let base = Base::Debian;
        let work = Work { setup: "echo 'no such server' >&2; exit 3".to_owned(), servers: vec![] };
        Place::start(&place, "broken", base, &layer, &work, true, &[("127.0.0.1".to_owned(), 22)]);
    })
    .join()
    .unwrap_err();
    let said = said.downcast_ref::<String>().unwrap();
    assert!(said.contains("the target broken does not start") && said.contains("no such server"), "{said}");
}

#[test]
fn a_target_goes_with_its_test() {
    let dir = folder();
    let mut target = Target::no_session(dir.path());
    let ids = target.place.ids();
    target.place.let_go();
    eventually("it ends by itself", || ids.iter().all(|id| !exists(*id)).then_some(()));
}

#[test]
fn a_host_without_sessions_lets_in_and_opens_none() {
    let dir = folder();
    let target = Target::no_session(dir.path());
    let outcome = target.says("true", "");
    assert_eq!((outcome.status, target.sign_ins()), (Some(255), 1));
    let outcome = run(target.ssh_as(target.login(), &["-v"], "true"), "");
    assert!(outcome.errors().contains("open failed"), "{outcome:?}");
}
