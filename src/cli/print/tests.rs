//! The main views as people and scripts see them.

use super::*;
use crate::clock::Time;
use crate::control::{EntryView, GrantView, HostView, ProbedKey, SessionView, SshConfigView, VerdictView};
use crate::model::{HostId, SessionId};

const NOW: Time = Time::from_millis(1_795_000_000_123);

fn host(name: &str, address: &str, port: u16) -> HostView {
    HostView {
        name: name.parse().unwrap(),
        address: address.to_owned(),
        port,
        tags: [("env".to_owned(), "prod".to_owned())].into(),
        credential: Some("deploy".to_owned()),
        via: None,
        host_keys: Vec::new(),
        id: HostId::from([1; 16]),
        trust_first_use: false,
        my_credential: None,
        workspace_credential: None,
        credential_source: Some("host".to_owned()),
        attached: vec!["deploy".to_owned()],
        legacy: crate::model::Legacy::default(),
        created_at: NOW,
    }
}

fn shown(data: Data) -> Rendered {
    render(&Reply::of(data), &Style::default())
}

#[test]
fn hosts_as_a_table_and_as_json() {
    let data = Data::Hosts(vec![host("web-1", "192.0.2.7", 22), host("db", "2001:db8::7", 2222)]);
    let table = shown(data.clone());
    assert_eq!(
        table.stdout,
        "NAME   ADDRESS             CREDENTIAL  HOST KEY  TAGS\n\
         web-1  192.0.2.7           deploy      none      env=prod\n\
         db     [2001:db8::7]:2222  deploy      none      env=prod\n"
    );
    let json = render(&Reply::of(data), &Style { json: true, ..Style::default() }).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    for key in ["name", "address", "port", "tags", "credential", "via", "host_keys"] {
        assert!(json[0].get(key).is_some(), "{key}");
    }
    assert!(json[0]["via"].is_null() && json[0]["host_keys"].is_array());
}

#[test]
fn sessions_have_the_keys_of_the_contract() {
    let session = SessionView {
        id: SessionId::from([2; 16]),
        user: "alice".parse().unwrap(),
        host: "web-1".parse().unwrap(),
        credential: None,
        client: "192.0.2.9:4711".to_owned(),
        started_at: NOW,
        ended_at: None,
        end_reason: None,
        exit_status: None,
        bytes_in: 10,
        bytes_out: 1_500_000,
        recording: None,
        via: Vec::new(),
        legacy: crate::model::Legacy::default(),
        channels: Some(1),
        files: Vec::new(),
        files_recorded: None,
    };
    let text = shown(Data::Sessions(vec![session.clone()])).stdout;
    assert!(text.contains("live") && text.contains("10 B / 1.4 MiB") && text.contains("2026-11-18 11:06:40Z"), "{text}");
    let json = render(&Reply::of(Data::Sessions(vec![session])), &Style { json: true, ..Style::default() }).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    for key in "id user host credential client started_at ended_at end_reason exit_status bytes_in bytes_out recording".split(' ') {
        assert!(json[0].get(key).is_some(), "{key}");
    }
}

#[test]
fn an_empty_list_is_no_data() {
    let none = shown(Data::Hosts(Vec::new()));
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", "no hosts\n"));
    let json = render(&Reply::of(Data::Hosts(Vec::new())), &Style { json: true, ..Style::default() });
    assert_eq!(json.stdout, "[]\n");
}

#[test]
fn what_was_done_is_no_data_but_a_new_grants_id_is() {
    let grant = GrantView {
        id: [3; 16].into(),
        to: "*".to_owned(),
        hosts: "web-1".to_owned(),
        allow: "exec".parse().unwrap(),
        commands: None,
        from: None,
        until: None,
        between: None,
        max_session_s: None,
        second_factor: false,
        created_at: NOW,
        created_by: "alice".parse().unwrap(),
    };
    let id = grant.id.to_string();
    let reply = Reply::done(Data::Grant(grant), "* may exec on web-1").note("careful");
    let text = render(&reply, &Style::default());
    assert_eq!(text.stdout, format!("{id}\n"));
    assert_eq!(text.stderr, "* may exec on web-1\nnote: careful\n");
    assert_eq!(render(&reply, &Style { quiet: true, ..Style::default() }).stderr, "");
}

#[test]
fn nothing_that_a_terminal_obeys_gets_through() {
    let evil = "x\x1b[31m\u{202e}\u{9b}2J\ny";
    let mut h = host("web-1", "192.0.2.7", 22);
    h.tags.insert("note".to_owned(), evil.to_owned());
    let body = serde_json::from_value(serde_json::json!({"event": "e", "actor": evil, "reason": evil, "detail": {"a": evil}})).unwrap();
    let entry = EntryView { seq: 1, at: NOW, body, prev: String::new(), hash: String::new() };
    for data in [Data::Hosts(vec![h.clone()]), Data::Host(h), Data::Entries(vec![entry])] {
        for json in [false, true] {
            let reply = Reply::of(data.clone()).note(evil);
            let text = render(&reply, &Style { json, verbose: true, ..Style::default() });
            let all = text.stdout.clone() + &text.stderr;
            assert!(!all.contains(['\x1b', '\u{202e}', '\u{9b}']), "{all:?}");
            if json {
                let parsed: serde_json::Value = serde_json::from_str(&text.stdout).unwrap();
                assert!(parsed.to_string().contains('\u{202e}'), "the document says the same");
            }
        }
    }
}

#[test]
fn a_lie_in_the_log_is_an_exit_status() {
    let lie = crate::audit::Lie { seq: 5, what: "it is missing".to_owned() };
    let bad = Reply::of(Data::Verdict(VerdictView { entries: 4, head: "00".to_owned(), checkpoints: 0, lie: Some(lie), holds: false }));
    assert_eq!(exit_of(&bad), Exit::Failed);
    assert!(render(&bad, &Style::default()).stdout.starts_with("entry 5 LIES: it is missing"));
}

#[test]
fn ssh_config_is_pasted_as_it_stands() {
    let view = SshConfigView {
        workspace: "default".parse().unwrap(),
        user: "alice".parse().unwrap(),
        broker: "broker.example.org".to_owned(),
        port: 2222,
        hosts: vec!["web-1".parse().unwrap()],
    };
    let text = shown(Data::SshConfig(view)).stdout;
    assert_eq!(text, "Host web-1\n    HostName broker.example.org\n    Port 2222\n    User web-1\n\n");
}

#[test]
fn keys_that_changed_are_asked_about_loudly() {
    let key = |f: &str, pinned| ProbedKey { fingerprint: f.to_owned(), public_key: "ssh-ed25519 AAAA".to_owned(), pinned };
    let view = |keys, pinned: &[&str]| ProbedView {
        host: "web-1".parse().unwrap(),
        address: "web-1:22".to_owned(),
        keys,
        pinned: pinned.iter().map(|p| (*p).to_owned()).collect(),
    };
    assert_eq!(verdict_on(&view(vec![key("SHA256:a", true)], &["SHA256:a"])), Trust::Settled);
    let fresh = view(vec![key("SHA256:a", false)], &[]);
    assert!(matches!(verdict_on(&fresh), Trust::Ask(q) if q == "pin these for web-1?"));
    assert!(unconfirmed(&fresh).hint.unwrap().ends_with("keyward host trust web-1 --fingerprint SHA256:a"));
    let changed = view(vec![key("SHA256:b", false)], &["SHA256:a"]);
    assert!(matches!(verdict_on(&changed), Trust::Ask(q) if q.contains("OTHER keys")));
    assert!(shown(Data::Probed(changed)).stdout.contains("NOT SHOWN"));
}
