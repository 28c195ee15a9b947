//! The rules of sources, and programs that do everything that a program should not.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use super::*;

fn source(kind: Kind) -> Source {
    Source { kind, timeout: Duration::from_secs(10), paths: vec!["**".to_owned()], personal: None }
}

fn exec(argv: &[&str]) -> Exec {
    Exec { argv: argv.iter().map(|a| (*a).to_owned()).collect(), env: BTreeMap::new(), pass_env: Vec::new(), first_line: false }
}

fn remote() -> Remote {
    Remote {
        address: "http://127.0.0.1:1".parse().unwrap(),
        ca_file: None,
        namespace: None,
        ticket: Ticket::Token { file: "/nonexistent/token".into() },
        kv: 2,
        mount: "secret".to_owned(),
        ssh_mount: "ssh".to_owned(),
    }
}

fn open(source: Source) -> Sources {
    Sources::new(Config([("s".parse().unwrap(), source)].into()), |name| Some(format!("passed-{name}").into()))
}

fn wish(path: &str, field: Option<&str>, owner: Option<&str>) -> Wish {
    Wish {
        reference: Reference { source: "s".parse().unwrap(), path: path.parse().unwrap(), field: field.map(|f| f.parse().unwrap()) },
        login: "root".parse().unwrap(),
        owner: owner.map(|o| o.parse().unwrap()),
    }
}

/// A script as a source of its own.
fn script(dir: &Path, text: &str) -> Exec {
    let path = dir.join("program");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    exec(&[path.to_str().unwrap(), "{path}"])
}

async fn got(source: Source, wish: &Wish, what: Fetched) -> Result<String, Why> {
    // The secret's bytes are for the vault alone; their digest is enough to compare.
    let secret = open(source).fetch(wish, what).await.map_err(|e| e.why)?;
    Ok(format!("{} {:02x?}", secret.len(), secret.sha256()))
}

fn same(text: &str) -> Result<String, Why> {
    let secret = Secret::new(text.as_bytes().to_vec());
    Ok(format!("{} {:02x?}", secret.len(), secret.sha256()))
}

fn refused(source: &Source, wish: &Wish, what: Fetched) -> Option<Why> {
    open(source.clone()).admits(wish, what).err().map(|e| {
        assert_eq!(e.step, Step::Rules);
        e.why
    })
}

#[test]
fn a_members_path_is_their_own_and_nobody_elses() {
    let closed = source(Kind::Vault(remote()));
    assert_eq!(refused(&closed, &wish("people/alice/x", None, Some("alice")), Fetched::Password), Some(Why::NotPersonal));
    assert_eq!(refused(&closed, &wish("people/alice/x", None, None), Fetched::Password), None);
    let open = Source { personal: Some("people/{user}/".to_owned()), ..closed };
    assert_eq!(refused(&open, &wish("people/alice/x", None, Some("alice")), Fetched::Password), None);
    for path in ["people/alice2/x", "people/bob/x", "web/root", "people/alic", "people/alice", "xpeople/alice/x", "people"] {
        assert_eq!(refused(&open, &wish(path, None, Some("alice")), Fetched::Password), Some(Why::NotPersonal), "{path}");
    }
    // Nor does a workspace's credential read what people keep there for themselves.
    for path in ["people/alice/x", "people/bob/x"] {
        assert_eq!(refused(&open, &wish(path, None, None), Fetched::Password), Some(Why::SomebodysOwn), "{path}");
    }
    assert_eq!(refused(&open, &wish("web/root", None, None), Fetched::Password), None);
    // The broker's right to have certificates signed is nobody's own.
    assert_eq!(refused(&open, &wish("people/alice/x", None, Some("alice")), Fetched::Certificate), Some(Why::NotPersonal));
}

#[test]
fn paths_are_those_that_the_file_allows() {
    let narrow = Source { paths: vec!["web/*".to_owned(), "db/**".to_owned()], ..source(Kind::Vault(remote())) };
    for (path, fits) in [("web/root", true), ("web/a/b", false), ("db/a/b", true), ("web", false), ("other", false)] {
        assert_eq!(refused(&narrow, &wish(path, None, None), Fetched::Password), (!fits).then_some(Why::PathNotAllowed), "{path}");
    }
    let none = Source { paths: Vec::new(), ..narrow };
    assert_eq!(refused(&none, &wish("web/root", None, None), Fetched::Password), Some(Why::PathNotAllowed));
}

#[test]
fn what_a_source_cannot_give_is_refused_before_it_is_asked() {
    let plain = source(Kind::Exec(exec(&["pass", "show", "{path}"])));
    assert!(matches!(refused(&plain, &wish("a", None, None), Fetched::Certificate), Some(Why::Unfit(_))));
    assert!(matches!(refused(&plain, &wish("a", Some("f"), None), Fetched::Password), Some(Why::Unfit(_))));
    let fielded = source(Kind::Exec(exec(&["x", "{path}", "{field}"])));
    assert!(matches!(refused(&fielded, &wish("a", None, None), Fetched::Password), Some(Why::Unfit(_))));
    assert_eq!(refused(&fielded, &wish("a", Some("f"), None), Fetched::Password), None);
    let vault = source(Kind::Vault(remote()));
    assert!(matches!(refused(&vault, &wish("role", Some("f"), None), Fetched::Certificate), Some(Why::Unfit(_))));
    let unknown = Sources::default().admits(&wish("a", None, None), Fetched::Password).unwrap_err();
    assert_eq!((unknown.why, unknown.step), (Why::NoSuchSource, Step::Rules));
}

#[tokio::test]
async fn a_program_gets_arguments_and_no_shell_and_a_clean_environment() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = script(
        dir.path(),
        r#"printf '%s|' "$#" "$@"; env | sort | grep -v '^_=' | tr '\n' '|'; pwd; readlink /proc/self/fd/0; printf end"#,
    );
    program.argv.extend(["--field={field}".to_owned(), "{path}/{field}{path".to_owned(), "$(id) `id` ; {} *".to_owned()]);
    program.env.insert("STORE".to_owned(), "{path}".to_owned());
    program.pass_env.push("HOME".to_owned());
    let expected = "4|a/b|--field=f|a/b/f{path|$(id) `id` ; {} *|HOME=passed-HOME|PATH=/usr/local/bin:/usr/bin:/bin|PWD=/|STORE={path}|/\n/dev/null\nend";
    // A key may have many lines, so what the program says is compared whole.
    assert_eq!(got(source(Kind::Exec(program)), &wish("a/b", Some("f"), None), Fetched::Key).await, same(expected));
}

#[tokio::test]
async fn one_line_is_a_password_and_more_is_none_unless_the_first_counts() {
    let dir = tempfile::tempdir().unwrap();
    for (text, password, first) in [
        ("printf hunter2", same("hunter2"), same("hunter2")),
        ("printf 'hunter2\\n'", same("hunter2"), same("hunter2")),
        ("printf 'hunter2\\r\\n'", same("hunter2"), same("hunter2")),
        ("printf 'hunter2\\nuser: root\\n'", Err(Why::ManyLines), same("hunter2")),
        ("printf ''", Err(Why::Empty), Err(Why::Empty)),
        ("printf '\\n'", Err(Why::Empty), Err(Why::Empty)),
        ("printf '\\nhunter2\\n'", Err(Why::ManyLines), Err(Why::Empty)),
    ] {
        let program = script(dir.path(), text);
        assert_eq!(got(source(Kind::Exec(program.clone())), &wish("a", None, None), Fetched::Password).await, password, "{text}");
        let first_line = Exec { first_line: true, ..program };
        assert_eq!(got(source(Kind::Exec(first_line)), &wish("a", None, None), Fetched::Password).await, first, "{text}");
    }
}

#[tokio::test]
async fn programs_that_misbehave_give_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for (text, why) in [
        ("exit 1", Why::Exit(1)),
        ("printf hunter2; exit 3", Why::Exit(3)),
        ("printf hunter2; kill -9 $$", Why::Signal),
        ("printf hunter2; exec 1>&-; exit 7", Why::Exit(7)),
        ("head -c 65537 /dev/zero", Why::TooBig),
        ("exec cat /dev/zero", Why::TooBig),
        ("cat /dev/zero >&2 & printf x; sleep 600", Why::TimedOut(Duration::from_secs(1))),
    ] {
        let limited = Source { timeout: Duration::from_secs(1), ..source(Kind::Exec(script(dir.path(), text))) };
        assert_eq!(got(limited, &wish("a", None, None), Fetched::Password).await, Err(why), "{text}");
    }
    for program in ["/nonexistent/program", "no-such-program-anywhere", "/etc/passwd"] {
        let told = got(source(Kind::Exec(exec(&[program, "{path}"]))), &wish("a", None, None), Fetched::Password).await;
        assert!(matches!(told, Err(Why::NotStarted(_))), "{program}: {told:?}");
    }
    let flood = script(dir.path(), "head -c 1000000 /dev/zero >&2; printf hunter2");
    assert_eq!(
        got(source(Kind::Exec(flood)), &wish("a", None, None), Fetched::Password).await,
        same("hunter2"),
        "standard error is drained"
    );
}

/// Whether a process with this number lives; a zombie does not.
fn lives(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "))
}

fn soon_gone(pid: &str) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while lives(pid) && Instant::now() < until {
        std::thread::yield_now();
    }
    !lives(pid)
}

#[tokio::test]
async fn whatever_a_program_leaves_behind_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let child = format!("sleep 600 & echo $! > {}", pid_file.display());
    // It goes, and a child of it holds the pipe: the group is ended, and what was written counts.
    let began = Instant::now();
    let held = source(Kind::Exec(script(dir.path(), &format!("printf hunter2; {child}"))));
    assert_eq!(got(held, &wish("a", None, None), Fetched::Password).await, same("hunter2"));
    assert!(began.elapsed() < Duration::from_secs(5), "nobody waited for the child");
    assert!(soon_gone(&std::fs::read_to_string(&pid_file).unwrap()), "the child lives on");
    // It hangs: after its time it is ended, and its child, too.
    let hangs = Source { timeout: Duration::from_millis(300), ..source(Kind::Exec(script(dir.path(), &format!("{child}; wait")))) };
    assert_eq!(got(hangs, &wish("a", None, None), Fetched::Password).await, Err(Why::TimedOut(Duration::from_millis(300))));
    assert!(soon_gone(&std::fs::read_to_string(&pid_file).unwrap()));
    // A child that left the group and holds the pipe is outwaited: what it could still write is not known.
    let escaped = format!("printf hunter2; setsid sh -c 'echo $$ > {}; exec sleep 5' &", pid_file.display());
    let escaped = Source { timeout: Duration::from_millis(500), ..source(Kind::Exec(script(dir.path(), &escaped))) };
    let told = got(escaped, &wish("a", None, None), Fetched::Password).await;
    assert!(told == Err(Why::TimedOut(Duration::from_millis(500))) || told == same("hunter2"), "{told:?}");
}

#[tokio::test]
async fn nobody_waits_any_more_ends_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let sources = open(source(Kind::Exec(script(dir.path(), &format!("echo $$ > {}; exec sleep 600", pid_file.display())))));
    let wish = wish("a", None, None);
    let mut fetch = Box::pin(sources.fetch(&wish, Fetched::Password));
    let pid = loop {
        assert!(timeout(Duration::from_millis(10), &mut fetch).await.is_err());
        if let Some(pid) = std::fs::read_to_string(&pid_file).ok().filter(|pid| pid.ends_with('\n')) {
            break pid;
        }
    };
    assert!(lives(&pid));
    drop(fetch);
    assert!(soon_gone(&pid), "it lives on though nobody waits");
}

#[test]
fn an_error_names_source_and_step_and_no_value() {
    let error = Error { source_name: "corp".parse().unwrap(), step: Step::Read, why: Why::Denied };
    assert_eq!(error.to_string(), "source `corp` gave nothing (read): permission denied (403)");
    assert_eq!(
        crate::fault::Fault::hint(&error).unwrap(),
        "an admin reads more in the daemon's log, and tries it with: keyward source test corp --path PATH"
    );
}
