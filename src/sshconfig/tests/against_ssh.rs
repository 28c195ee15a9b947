//! What `ssh -G HOST` says, and what is said here: for every configuration the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use super::super::{Config, Loaded, Settings, Surroundings, expand_hostname, expand_path};
use super::{around, config};

fn output(program: &str, args: &[&str]) -> String {
    let done = Command::new(program).args(args).stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// The person that `ssh` takes itself to be run by.
fn me() -> Surroundings {
    let (user, uid) = (output("id", &["-un"]).trim().to_owned(), output("id", &["-u"]).trim().parse().unwrap());
    let entry = output("getent", &["passwd", &user]);
    let home = entry.trim().split(':').nth(5).unwrap().to_owned();
    Surroundings { user, home, uid }
}

/// Reads a file as the program does: relative names lie in a folder of the test.
fn read(dir: &Path) -> Config {
    let load = |path: &Path| Loaded { name: path.display().to_string(), bytes: std::fs::read(path).map_err(|e| e.to_string()) };
    Config::read(vec![load(&dir.join("config"))], &mut |_, pattern| {
        let wanted = Path::new(pattern);
        let folder = wanted.parent().unwrap();
        let name = wanted.file_name().unwrap().to_str().unwrap();
        let mut found: Vec<_> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .filter_map(|e| Some(e.ok()?.path()))
            .filter(|p| super::super::pattern::matches(p.file_name().unwrap().to_str().unwrap(), name))
            .collect();
        found.sort();
        found.iter().map(|p| load(p)).collect()
    })
}

/// What `ssh -G` prints of what is compared.
fn ssh(dir: &Path, host: &str) -> BTreeMap<String, Vec<String>> {
    let text = output("ssh", &["-G", "-F", dir.join("config").to_str().unwrap(), host]);
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        out.entry(key.to_owned()).or_default().push(value.to_owned());
    }
    out
}

/// The same of what is said here.
fn ours(settings: &Settings, host: &str, me: &Surroundings) -> BTreeMap<&'static str, Vec<String>> {
    let hostname = settings.hostname.as_deref().map_or_else(|| host.to_ascii_lowercase(), |name| expand_hostname(name, host).unwrap());
    let mut out = BTreeMap::from([
        ("hostname", vec![hostname]),
        ("port", vec![settings.port.unwrap_or(22).to_string()]),
        ("user", vec![settings.user.clone().unwrap_or_else(|| me.user.clone())]),
        ("identitiesonly", vec![if settings.identities_only == Some(true) { "yes" } else { "no" }.to_owned()]),
    ]);
    if settings.says_identity {
        out.insert("identityfile", settings.identity_files.clone());
    }
    for (key, value) in [("hostkeyalias", &settings.host_key_alias), ("proxycommand", &settings.proxy_command)] {
        if let Some(value) = value {
            out.insert(key, vec![value.clone()]);
        }
    }
    if let Some(files) = &settings.known_hosts {
        out.insert("userknownhostsfile", vec![files.join(" ")]);
    }
    out
}

#[track_caller]
fn same(files: &[(&str, &str)], hosts: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let me = me();
    for (name, text) in files {
        let text = text.replace("DIR", dir.to_str().unwrap()).replace("ME", &me.user);
        std::fs::write(dir.join(name), text).unwrap();
    }
    let config = read(dir);
    for host in hosts {
        let theirs = ssh(dir, host);
        let settings = config.settings(host, &me);
        let said = ours(&settings, host, &me);
        for (key, value) in &said {
            let mut theirs = theirs.get(*key).cloned().unwrap_or_default();
            if *key == "identityfile" {
                theirs.retain(|f| !f.eq_ignore_ascii_case("none"));
            }
            assert_eq!(&theirs, value, "{key} of {host} in {files:?}");
        }
        for key in ["hostkeyalias", "proxycommand"] {
            assert_eq!(theirs.contains_key(key), said.contains_key(key), "{key} of {host} in {files:?}");
        }
        assert_eq!(
            theirs.get("proxyjump").is_some_and(|j| j[0] != "none"),
            settings.proxy_jump.is_some(),
            "proxyjump of {host} in {files:?}"
        );
    }
}

#[test]
fn the_first_value_counts() {
    same(
        &[(
            "config",
            "User early\nHost web-1 web-2\n  HostName 192.0.2.7\n  Port 2222\n  User deploy\n  IdentityFile ~/.ssh/deploy\n\
             Host web-*\n  Port 2200\n  User other\n  IdentityFile ~/.ssh/web\n  IdentityFile ~/.ssh/deploy\n  IdentitiesOnly yes\n\
             Host *\n  User last\n  IdentitiesOnly no\n  HostKeyAlias all\n  UserKnownHostsFile DIR/a DIR/b\n",
        )],
        &["web-1", "web-2", "web-3", "db", "WEB-1"],
    );
}

#[test]
fn host_lines_with_patterns_and_negations() {
    same(
        &[(
            "config",
            "Host *.example.org !bastion.example.org\n  User inside\n  Port 2201\n\
             Host !*.example.org *\n  User outside\n\
             Host a? b*c d\\*\n  Port 9\nHost !x\n  User never\nHost \"quoted one\" 'single' q\\ q\n  Port 11\n",
        )],
        &["web.example.org", "bastion.example.org", "elsewhere", "ab", "abc", "bc", "bxxc", "bxxcd", "x", "single", "A.example.org"],
    );
}

#[test]
fn ways_of_writing_the_same() {
    same(
        &[(
            "config",
            "\tHOST\tone\r\n  HostName=one.example.org\r\n  Port = 2222   \r\n  User=\"deploy\"\r\n  IdentityFile \"~/.ssh/with space\" # why\r\n\
             \n# a comment\n   # another\nHost two # not three\n  hostname Two.Example.ORG\n  port\t2203\n  IdentityFile ~/.ssh/it\\'s\n\
             Host three\n  ProxyCommand ssh -W \"%h:%p\" jump # part of it\n  User='x y'\n\
             Host=four five\n  IdentityFile ~/a\\b\n  IdentityFile \"a\\\"b\"\n  HostName %h.example.org\nHost six\n HostName 100%%\u{c}\n",
        )],
        &["one", "two", "not", "three", "four", "five", "six"],
    );
}

#[test]
fn proxies_stand_for_each_other_and_none_is_none() {
    same(
        &[(
            "config",
            "Host a\n  ProxyJump bastion\n  ProxyCommand nc %h %p\nHost b\n  ProxyCommand nc %h %p\n  ProxyJump bastion\n\
             Host c\n  ProxyJump none\nHost d\n  ProxyCommand none\nHost e\n  ProxyJump u@one:2201,two\nHost *\n  ProxyJump everywhere\n",
        )],
        &["a", "b", "c", "d", "e", "f"],
    );
    same(&[("config", "Host a\n IdentityFile none\nHost a b\n IdentityFile ~/x\n IdentityFile NONE\n")], &["a", "b"]);
}

#[test]
fn match_blocks() {
    same(
        &[(
            "config",
            "Host short\n  HostName long.example.org\n  User deploy\n\
             Match host long.example.org\n  Port 2201\nMatch host *.example.org,!bad.example.org user deploy\n  IdentityFile ~/.ssh/m1\n\
             Match originalhost short,other\n  IdentityFile ~/.ssh/m2\nMatch localuser ME\n  IdentityFile ~/.ssh/m3\n\
             Match localuser nobody-else\n  IdentityFile ~/.ssh/m4\nMatch !host long.example.org\n  IdentityFile ~/.ssh/m5\n\
             Match user root originalhost \"other\"\n  IdentityFile ~/.ssh/m6\nMatch all\n  IdentityFile ~/.ssh/m7\n\
             Match host=LONG.example.org # why\n  IdentityFile ~/.ssh/m8\nMatch !all\n  IdentityFile ~/.ssh/m9\n\
             Match canonical\n  IdentityFile ~/.ssh/m10\n",
        )],
        &["short", "other", "long.example.org", "bad.example.org", "LONG.example.org"],
    );
}

#[test]
fn match_final_is_a_second_round() {
    same(
        &[(
            "config",
            "Match final host *.example.org\n  User late\n  Port 2200\nMatch final\n  IdentityFile ~/.ssh/final\n\
             Match !final\n  IdentityFile ~/.ssh/early\nMatch canonical all\n",
        )],
        &[],
    );
    same(
        &[(
            "config",
            "Match final host *.example.org\n  User late\n  Port 2200\nMatch final\n  IdentityFile ~/.ssh/final\n\
             Match !final\n  IdentityFile ~/.ssh/early\nHost s\n  HostName %h.example.org\nMatch host s.example.org\n  HostKeyAlias x\n",
        )],
        &["s", "t", "t.example.org"],
    );
}

#[test]
fn files_that_are_included() {
    same(
        &[
            (
                "config",
                "Include DIR/first.conf DIR/none-*.conf\nHost a\n  Include DIR/inside-*.conf\n  User after\nHost c\n  User c\nInclude DIR/last.conf\n",
            ),
            ("first.conf", "Port 2201\nHost b\n  User b\n"),
            ("inside-1.conf", "User inside\nHost b\n  HostName never\nHost a\n  HostName in.example.org\nHost *\n  IdentityFile ~/star\n"),
            (
                "inside-2.conf",
                "IdentityFile ~/second\nMatch originalhost a\n  IdentityFile ~/third\nMatch originalhost b\n  IdentityFile ~/fourth\n",
            ),
            ("last.conf", "HostKeyAlias for-c\nHost b\n  HostKeyAlias for-b\n"),
        ],
        &["a", "b", "c", "d"],
    );
}

#[test]
fn patterns_make_no_host_and_a_host_is_named_where_it_counts() {
    let text = "Host *\nHost web-1 web-? !web-9 web-2\n  HostName %h.example.org\nHost web-1\n  Port 3\nMatch originalhost db\n";
    let config = config(text);
    let names: Vec<String> = config.aliases().into_iter().map(|a| a.name).collect();
    assert_eq!(names, ["web-1", "web-2"]);
    assert!(config.settings("web-1", &around()).named && !config.settings("web-9", &around()).named);
    assert!(!config.settings("web-3", &around()).named, "a pattern is no name");
}

#[test]
fn what_would_run_a_command_does_not_count_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("ran");
    let text = format!("Match host web exec \"touch {}\"\n  User wrong\nMatch host db exec true\n  User wrong\n", mark.display());
    let settings = config(&text).settings("web", &around());
    assert!(settings.user.is_none() && !mark.exists());
    assert_eq!(settings.unjudged, [("config".to_owned(), 1, "Match exec is not evaluated".to_owned())]);
}

#[test]
fn tokens_of_paths() {
    let text = "Host web\n  HostName %h.example.org\n  Port 2222\n  User deploy\n  HostKeyAlias known\n";
    let settings = config(text).settings("web", &around());
    let path = |p: &str| expand_path(p, "web", &settings, &around());
    assert_eq!(
        path("~/.ssh/%h/%p/%r/%u/%n/%i/%k/%d/%%").unwrap(),
        "/home/alice/.ssh/web.example.org/2222/deploy/alice/web/1000/known//home/alice/%"
    );
    assert_eq!(path("~").unwrap(), "/home/alice");
    for bad in ["~bob/x", "${HOME}/x", "%C", "%L", "x%"] {
        assert!(path(bad).is_err(), "{bad}");
    }
}
