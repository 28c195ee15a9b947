//! What `[sources.NAME]` takes, what it refuses, and that broker.toml shows every key.

use std::path::Path;
use std::time::Duration;

use super::super::parse;
use super::*;

const ROOT: &str = include_str!("../../../broker.toml");

fn read(text: &str) -> sources::Config {
    parse(text, Path::new("broker.toml")).unwrap().sources
}

#[test]
fn the_examples_in_broker_toml_have_every_key() {
    // The examples are commented out: a source has no default.
    let at = ROOT.find("# [sources.").expect("examples of sources");
    let lines = ROOT[at..].lines().take_while(|line| line.starts_with('#'));
    let text: String = lines.map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or_default())).collect();
    let found = read(&text);
    assert_eq!(found.0.keys().map(|name| name.to_string()).collect::<Vec<_>>(), ["corp", "passwords"]);
    for key in Written::keys() {
        let key = if key == "kind" { "type" } else { key };
        assert!(text.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = ")) && line.contains(" # ")), "{key}");
    }
    let Kind::Vault(remote) = &found.0.values().next().unwrap().kind else { panic!() };
    assert_eq!((remote.kv, remote.mount.as_str(), remote.ssh_mount.as_str()), (2, "secret", "ssh"));
}

#[test]
fn a_source_needs_little_and_is_narrow_by_default() {
    let found = read(
        "[sources.corp]\ntype = \"vault\"\naddress = \"https://vault.example.org\"\nauth = \"token\"\ntoken_file = \"/etc/keyward/token\"\n",
    );
    let source = found.0.values().next().unwrap();
    assert_eq!((source.personal.clone(), source.timeout, source.paths.as_slice()), (None, Duration::from_secs(10), &["**".to_owned()][..]));
    let found = read("[sources.p]\ntype = \"exec\"\nargv = [\"pass\", \"show\", \"{path}\"]\npersonal = true\n");
    assert_eq!(found.0.values().next().unwrap().personal.as_deref(), Some("people/{user}/"));
    assert_eq!(read(""), sources::Config::default());
}

#[test]
fn mistakes_are_told_with_their_line() {
    let token = "auth = \"token\"\ntoken_file = \"/t\"\n";
    for (text, says) in [
        ("address = \"https://v\"\n".to_owned(), "needs a type"),
        ("type = \"http\"\n".to_owned(), "no type of source"),
        ("type = \"vault\"\nargv = [\"x\"]\n".to_owned(), "`argv` does not belong"),
        ("type = \"exec\"\ntoken_file = \"/x\"\n".to_owned(), "`token_file` does not belong"),
        ("type = \"exec\"\nshell = \"x\"\n".to_owned(), "unknown field `shell`"),
        (format!("type = \"vault\"\naddress = \"http://vault.example.org\"\n{token}"), "without TLS only"),
        (format!("type = \"vault\"\naddress = \"https://vault.example.org/v1\"\n{token}"), "nothing but"),
        ("type = \"vault\"\naddress = \"https://v\"\n".to_owned(), "how the broker signs in"),
        (format!("type = \"vault\"\naddress = \"https://v\"\nrole_id = \"r\"\n{token}"), "how the broker signs in"),
        ("type = \"vault\"\naddress = \"https://v\"\nauth = \"token\"\ntoken_file = \"t\"\n".to_owned(), "absolute"),
        (
            "type = \"vault\"\naddress = \"https://v\"\nauth = \"approle\"\nrole_id = \"a\\\"b\"\nsecret_id_file = \"/s\"\n".to_owned(),
            "`role_id`",
        ),
        (format!("type = \"vault\"\naddress = \"https://v\"\nkv = 3\n{token}"), "1 or 2"),
        (format!("type = \"vault\"\naddress = \"https://v\"\nmount = \"a/../b\"\n{token}"), "`mount`"),
        (format!("type = \"vault\"\naddress = \"https://v\"\nnamespace = \"a b\"\n{token}"), "`namespace`"),
        (format!("type = \"vault\"\naddress = \"https://v\"\ntimeout = \"16s\"\n{token}"), "`timeout`"),
        (format!("type = \"vault\"\naddress = \"https://v\"\npaths = [\"a[\"]\n{token}"), "no pattern"),
        ("type = \"exec\"\nargv = []\n".to_owned(), "begins with the program"),
        ("type = \"exec\"\nargv = [\"{path}\"]\n".to_owned(), "plain name"),
        ("type = \"exec\"\nargv = [\"./pass\", \"{path}\"]\n".to_owned(), "plain name"),
        ("type = \"exec\"\nargv = [\"pass\", \"show\"]\n".to_owned(), "no {path}"),
        ("type = \"exec\"\nargv = [\"p\", \"{path}\"]\nenv = { \"A=B\" = \"x\" }\n".to_owned(), "no name of a variable"),
        ("type = \"exec\"\nargv = [\"p\", \"{path}\"]\npersonal = true\npersonal_paths = \"people/\"\n".to_owned(), "{user}"),
        ("type = \"exec\"\nargv = [\"p\", \"{path}\"]\npersonal_paths = \"people-{user}\"\n".to_owned(), "{user}"),
        ("type = \"exec\"\nargv = [\"p\", \"{path}\"]\npersonal_paths = \"people-{user}/\"\n".to_owned(), "{user}"),
        ("type = \"exec\"\nargv = [\"p\", \"{path}\"]\npersonal_paths = \"../{user}/\"\n".to_owned(), "personal_paths"),
    ] {
        let shown =
            parse(&format!("[log]\nlevel = \"info\"\n\n[sources.corp]\n{text}"), Path::new("/etc/broker.toml")).unwrap_err().to_string();
        assert!(shown.starts_with("/etc/broker.toml:"), "{shown}");
        let line: usize = shown.split(':').nth(1).unwrap().parse().unwrap();
        assert!(line >= 4, "{shown}");
        assert!(shown.contains(says), "{text}: {shown}");
    }
}
