//! The desk with a real ledger, witness and vault: what each verb does, and who does not get to see it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::*;
use crate::audit::Log;
use crate::authz::Guard;
use crate::clock::{Clock, Time};
use crate::custody::Custody;
use crate::fault::{Fault, Kind};
use crate::model::{Event, EventName, Name, Role, Scope, Session, SessionId, User, UserId};
use crate::secret::Secret;
use crate::sessions::Registry;
use crate::store::{self, Store};
use crate::vault::Vault;

const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

/// A broker without doors: an owner, an admin, an auditor and two members.
pub(crate) struct World {
    _dir: tempfile::TempDir,
    pub(crate) desk: Desk,
    pub(crate) store: Store,
    pub(crate) log: Log,
    pub(crate) approvals: crate::approvals::Approvals,
    pub(crate) scans: crate::scans::Scans,
    pub(crate) guard: Guard,
    sessions: Registry,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// People have the id that their place in this list says.
const PEOPLE: [(&str, Role); 5] =
    [("olga", Role::Owner), ("anna", Role::Admin), ("otto", Role::Auditor), ("mo", Role::Member), ("max", Role::Member)];

pub(crate) fn id_of(who: &str) -> UserId {
    UserId::from([u8::try_from(PEOPLE.iter().position(|(n, _)| *n == who).unwrap()).unwrap() + 1; 16])
}

pub(crate) async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::System;
    let store = Store::open(store::Config { path: dir.path().join("k.db"), reserve: 0, patience: Duration::from_secs(10) }).unwrap();
    let vault = Vault::open(&store, crate::vault::Config { root_key: dir.path().join("root.key") }, clock.clone()).await.unwrap();
    let log = Log::new(store.clone(), clock.clone());
    let (guard, sessions) = (Guard::default(), Registry::default());
    let uid = rustix::process::geteuid().as_raw();
    let _ = log
        .change(move |c| -> Result<((), Vec<Event>), store::Error> {
            for (who, role) in PEOPLE {
                let uid = (who == "olga").then_some(uid);
                store::users::insert(
                    c,
                    &User { id: id_of(who), name: name(who), role, uid, disabled: false, created_at: Time::from_millis(0) },
                )?;
            }
            Ok(((), vec![Event::new(EventName::UserAdded, "keyward")]))
        })
        .await
        .unwrap();
    let custody = Custody::new(store.clone(), log.clone(), vault.clone(), guard.clone(), clock.clone());
    let approvals = crate::approvals::Approvals::new(
        crate::approvals::Config::default(),
        crate::approvals::Parts {
            store: store.clone(),
            log: log.clone(),
            custody: custody.clone(),
            guard: guard.clone(),
            clock: clock.clone(),
            sessions: sessions.clone(),
        },
        tokio::runtime::Handle::current(),
    );
    let rooms = crate::sessions::Rooms {
        custody: custody.clone(),
        log: log.clone(),
        registry: sessions.clone(),
        guard: guard.clone(),
        clock: clock.clone(),
        target: crate::target::Config::default(),
        arrears: crate::sessions::Arrears::default(),
    };
    let rotations = crate::rotation::Rotations::new(
        crate::rotation::Parts {
            rooms: rooms.clone(),
            store: store.clone(),
            log: log.clone(),
            custody: custody.clone(),
            clock: clock.clone(),
        },
        tokio::runtime::Handle::current(),
    );
    let scan_parts = crate::scans::Parts { rooms, store: store.clone(), log: log.clone(), clock: clock.clone() };
    let scans = crate::scans::Scans::new(scan_parts, crate::scans::Config::default(), tokio::runtime::Handle::current());
    let desk = Desk::new(Parts {
        rotations,
        approvals: approvals.clone(),
        scans: scans.clone(),
        store: store.clone(),
        log: log.clone(),
        custody,
        guard: guard.clone(),
        clock,
        sessions: sessions.clone(),
        target: crate::target::Config::default(),
        checkpoints: dir.path().join("checkpoints"),
        facts: Facts {
            started_at: Time::from_millis(0),
            listen: "0.0.0.0:2222".to_owned(),
            public: None,
            host_keys: vec!["SHA256:x".to_owned()],
            vault: "unsealed".to_owned(),
            leases: Arc::new(AtomicU64::new(0)),
            anchor: dir.path().join("anchor"),
        },
        seal: crate::control::Sealing::default(),
    });
    World { _dir: dir, desk, store, log, approvals, scans, guard, sessions }
}

impl World {
    async fn with(&self, who: &str, words: &str, texts: &[&str], secret: Option<&str>) -> Result<Reply, Error> {
        use clap::Parser;
        let all = std::iter::once("keyward".to_owned()).chain(shell_words::split(words).unwrap());
        let cli = crate::cli::grammar::Cli::try_parse_from(all).unwrap_or_else(|e| panic!("{e}"));
        let call = cli.verb.call(texts.iter().map(|t| (*t).to_owned()).collect()).unwrap().unwrap();
        let secrets = Secrets { material: secret.map(|s| Secret::new(s.as_bytes().to_vec())), passphrase: None };
        let caller = Caller { user: id_of(who), key: None, door: Door::Ssh, client: None, workspace: cli.globals.workspace };
        let (out, _in) = tokio::sync::mpsc::channel(100);
        self.desk.handle(caller, call.command, secrets, &out).await
    }

    async fn does(&self, who: &str, words: &str) -> Reply {
        self.with(who, words, &[], None).await.unwrap_or_else(|e| panic!("{who}: {words}: {e}"))
    }

    async fn may_not(&self, who: &str, words: &str) -> Error {
        self.with(who, words, &[], None).await.expect_err(words)
    }

    async fn json(&self, who: &str, words: &str) -> serde_json::Value {
        let reply = self.does(who, words).await;
        let style = crate::cli::print::Style { json: true, ..Default::default() };
        serde_json::from_str(&crate::cli::print::render(&reply, &style).stdout).unwrap()
    }

    async fn password(&self, who: &str, words: &str) -> Reply {
        self.with(who, words, &[], Some("hunter2")).await.unwrap_or_else(|e| panic!("{who}: {words}: {e}"))
    }
}

fn names(list: &serde_json::Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|v| v["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn people_come_and_go_but_one_owner_stays() {
    let w = world().await;
    let added = w.with("anna", "user add dora --key x", &[&format!("{ED} dora@laptop")], None).await.unwrap();
    assert!(added.notes.is_empty());
    assert_eq!(w.json("olga", "user show dora").await["keys"][0]["comment"], "dora@laptop");
    // A key is one person's; a name, too; a private key is nobody's.
    assert_eq!(w.with("anna", "user add eve --key x", &[ED], None).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(w.with("anna", "user add dora", &[], None).await.unwrap_err().kind(), Kind::Conflict);
    let private = w.with("anna", "user add eve --key x", &["-----BEGIN OPENSSH PRIVATE KEY-----"], None).await.unwrap_err();
    assert!(matches!(private, Error::Key(_)) && private.hint().unwrap().contains(".pub"));
    assert_eq!(w.may_not("olga", "user show eve").await.kind(), Kind::NotFound);
    w.does("anna", "user disable dora").await;
    w.does("anna", "user enable dora").await;
    w.does("anna", "user remove dora").await;
    // Owners are the owners' business, and the last one stays.
    for words in ["user disable olga", "user remove olga", "user add king --role owner", "user key remove olga SHA256:x"] {
        assert_eq!(w.may_not("anna", words).await.kind(), Kind::Forbidden, "{words}");
    }
    for words in ["user disable olga", "user remove olga"] {
        assert!(matches!(w.may_not("olga", words).await, Error::LastOwner(_)));
    }
    w.does("olga", "user add king --role owner").await;
    w.does("olga", "user remove olga").await;
}

#[tokio::test]
async fn a_disabled_person_gets_no_answer_and_a_refusal_is_audited() {
    let w = world().await;
    w.does("olga", "user disable mo").await;
    assert!(matches!(w.may_not("mo", "status").await, Error::Disabled));
    assert_eq!(w.may_not("max", "user add eve").await.kind(), Kind::Forbidden);
    let entries = w.json("otto", "audit list").await;
    let refused: Vec<_> = entries.as_array().unwrap().iter().filter(|e| e["event"] == "verb.refused").collect();
    assert_eq!(refused.len(), 2);
    assert_eq!((&refused[1]["actor"], &refused[1]["outcome"]), (&"max".into(), &"denied".into()));
    assert_eq!(refused[1]["detail"]["verb"], "user add");
}

#[tokio::test]
async fn members_see_what_is_theirs() {
    let w = world().await;
    w.does("olga", "host add web-1 192.0.2.7 --tag env=prod").await;
    w.does("olga", "host add db-1 192.0.2.8").await;
    w.does("olga", "group add ops").await;
    w.does("olga", "group join ops mo").await;
    w.does("olga", "grant add --to ops --hosts 'web-*' --allow exec").await;
    w.does("olga", "grant add --to max --hosts db-1 --allow exec").await;
    assert_eq!(names(&w.json("mo", "host list").await), ["web-1"]);
    assert_eq!(names(&w.json("otto", "host list").await), ["db-1", "web-1"]);
    // A host that is not granted and one that is not there have one answer.
    let (hidden, unknown) = (w.may_not("mo", "host show db-1").await, w.may_not("mo", "host show db-2").await);
    assert_eq!(hidden.to_string().replace("db-1", "db-2"), unknown.to_string());
    assert_eq!(names(&w.json("mo", "user list").await), ["mo"]);
    assert_eq!(w.may_not("mo", "user show max").await.kind(), Kind::NotFound);
    assert_eq!(w.json("mo", "grant list").await.as_array().unwrap().len(), 1);
    assert_eq!(w.may_not("mo", "audit list").await.kind(), Kind::Forbidden);
    assert_eq!(w.may_not("otto", "host remove web-1").await.kind(), Kind::Forbidden);
    let config = w.json("mo", "ssh-config").await;
    assert_eq!((&config["hosts"], &config["port"]), (&serde_json::json!(["web-1"]), &2222.into()));
    // Their own keys are theirs, another's are not there.
    w.with("mo", "user key add mo x", &[ED], None).await.unwrap();
    assert_eq!(w.with("mo", "user key add max x", &[ED], None).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(w.with("otto", "user key add mo x", &[ED], None).await.unwrap_err().kind(), Kind::Forbidden);
}

#[tokio::test]
async fn a_personal_credential_does_not_exist_for_others() {
    let w = world().await;
    w.does("olga", "host add web-1 192.0.2.7 --trust-first-use").await;
    w.does("olga", "grant add --to mo --hosts web-1 --allow exec").await;
    w.password("mo", "credential add secret-plan --username mo --password").await;
    w.does("mo", "credential attach secret-plan --host web-1 --mine").await;
    assert_eq!(w.may_not("mo", "credential attach secret-plan --host web-1").await.kind(), Kind::Forbidden);
    for who in ["olga", "anna", "otto", "max"] {
        assert_eq!(names(&w.json(who, "credential list").await), Vec::<&str>::new(), "{who}");
        let (hidden, unknown) = (w.may_not(who, "credential show secret-plan").await, w.may_not(who, "credential show secret-plam").await);
        assert_eq!(hidden.to_string().replace("plan", "plam"), unknown.to_string());
        assert_eq!((hidden.kind(), hidden.hint()), (unknown.kind(), unknown.hint()));
        for words in
            ["credential delete secret-plan", "credential edit secret-plan --rename x", "credential show secret-plan --scope personal"]
        {
            assert_eq!(w.may_not(who, words).await.kind(), Kind::NotFound, "{who}: {words}");
        }
    }
    let id = w.json("mo", "credential show secret-plan").await["id"].as_str().unwrap().to_owned();
    let seen_by_owner = [w.json("olga", "host show web-1").await, w.json("olga", "audit list").await].map(|v| v.to_string()).concat();
    assert!(!seen_by_owner.contains("secret-plan") && !seen_by_owner.contains(&id), "{seen_by_owner}");
    assert!(seen_by_owner.contains(r#""attached":["personal"]"#) && seen_by_owner.contains(r#""credential":"personal""#));
    assert_eq!(w.json("mo", "host show web-1").await["my_credential"], "secret-plan");
    // A session with it is seen, what opened it is not.
    let host = w.store.read(|c| store::hosts::by_name(c, &name("default"), &name("web-1"))).await.unwrap().unwrap();
    let session = Session {
        id: SessionId::from([9; 16]),
        user: id_of("mo"),
        host: host.id,
        credential: id.parse().ok(),
        client: "192.0.2.9:1".to_owned(),
        started_at: Time::from_millis(1),
        ended_at: None,
        end_reason: None,
        exit_status: None,
        bytes_in: 0,
        bytes_out: 0,
    };
    let credential = Some((name("secret-plan"), Scope::Personal(id_of("mo"))));
    let row = store::sessions::SessionRow { session, user_name: name("mo"), host_name: name("web-1"), credential };
    let _ = w.log.commit_with(Event::new(EventName::SessionPermitted, "mo"), (), move |c| store::sessions::begin(c, &row)).await.unwrap();
    assert_eq!(w.json("olga", "session list").await[0]["credential"], "personal");
    assert_eq!(w.json("mo", "session list").await[0]["credential"], "secret-plan");
    assert_eq!(w.json("max", "session list").await, serde_json::json!([]));
    // Deleting it says which sessions live on.
    let deleted = w.does("mo", "credential delete secret-plan").await;
    assert!(deleted.notes.iter().any(|n| n.contains("ses_")), "{:?}", deleted.notes);
}

#[tokio::test]
async fn workspace_credentials_are_brought_to_hosts_by_those_who_run_the_broker() {
    let w = world().await;
    w.does("olga", "host add web-1 192.0.2.7 --trust-first-use").await;
    w.does("olga", "host add lab 192.0.2.9 --trust-first-use").await;
    w.does("olga", "grant add --to mo --hosts '*' --allow exec").await;
    w.password("anna", "credential add deploy --username deploy --password --scope workspace").await;
    let refused = w.with("mo", "credential add mine --username mo --password --scope workspace", &[], Some("x")).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Forbidden);
    // What is attached to none of their hosts is not there for them.
    assert_eq!(w.may_not("mo", "credential delete deploy").await.kind(), Kind::NotFound);
    w.does("anna", "credential attach deploy --host web-1").await;
    assert_eq!(w.may_not("mo", "credential delete deploy").await.kind(), Kind::Forbidden);
    // Who could bind it to a machine of his own would read it there.
    assert_eq!(w.may_not("mo", "credential attach deploy --host lab --mine").await.kind(), Kind::Forbidden);
    w.does("mo", "credential attach deploy --host web-1 --mine").await;
    assert_eq!(w.json("mo", "credential show deploy").await["hosts"], serde_json::json!(["web-1"]));
    assert_eq!(w.json("olga", "host show web-1").await["credential"], "deploy");
    w.does("anna", "credential edit deploy --rename ship --username ship").await;
    assert_eq!(w.json("olga", "host show web-1").await["credential"], "ship");
    w.does("mo", "credential detach ship --host web-1 --mine").await;
    assert!(matches!(w.may_not("mo", "credential detach ship --host web-1 --mine").await, Error::Unfit { .. }));
    // Bad input changes nothing.
    assert_eq!(w.may_not("olga", "host add web-2 192.0.2.8 --credential nope").await.kind(), Kind::NotFound);
    assert_eq!(w.may_not("olga", "host show web-2").await.kind(), Kind::NotFound);
    let missing = w.with("olga", "credential add x --username u --password", &[], None).await.unwrap_err();
    assert!(matches!(missing, Error::SecretMissing));
    let empty = w.with("olga", "credential add x --username u --password", &[], Some("")).await.unwrap_err();
    assert!(matches!(empty, Error::SecretEmpty("password")));
}

#[tokio::test]
async fn a_member_sees_the_workspace_credentials_of_their_hosts_and_no_others() {
    let w = world().await;
    w.does("olga", "host add web-1 192.0.2.7 --trust-first-use").await;
    w.does("olga", "host add db-1 192.0.2.8 --trust-first-use").await;
    w.does("olga", "grant add --to mo --hosts web-1 --allow exec").await;
    for credential in ["deploy", "dba", "spare", "annas"] {
        w.password("anna", &format!("credential add {credential} --username {credential} --password --scope workspace")).await;
    }
    w.does("anna", "credential attach deploy --host web-1").await;
    w.does("anna", "credential attach dba --host db-1").await;
    // For one person alone: at a host of mo's, but not for mo.
    w.does("anna", "credential attach annas --host web-1 --mine").await;
    w.password("mo", "credential add own --username mo --password").await;
    assert_eq!(names(&w.json("mo", "credential list").await), ["deploy", "own"]);
    assert_eq!(names(&w.json("max", "credential list").await), Vec::<&str>::new());
    for who in ["olga", "anna", "otto"] {
        assert_eq!(names(&w.json(who, "credential list").await), ["annas", "dba", "deploy", "spare"], "{who}");
    }
    for hidden in ["dba", "spare", "annas"] {
        for words in ["credential show NAME", "credential public-key NAME", "credential attach NAME --host web-1 --mine"] {
            let answer = |name: &str| words.replace("NAME", name);
            let (hidden, unknown) = (w.may_not("mo", &answer(hidden)).await, w.may_not("mo", &answer("nope")).await);
            assert_eq!((hidden.kind(), hidden.hint()), (unknown.kind(), unknown.hint()), "{words}: {hidden}");
        }
    }
    assert_eq!(w.json("mo", "credential show deploy").await["username"], "deploy");
    assert_eq!(w.json("mo", "host show web-1").await["attached"], serde_json::json!(["deploy"]));
    assert_eq!(w.json("olga", "host show web-1").await["attached"], serde_json::json!(["annas", "deploy"]));
    // A grant that ends takes the sight with it.
    let grant = w.json("olga", "grant list").await[0]["id"].as_str().unwrap().to_owned();
    w.does("olga", &format!("grant remove {grant}")).await;
    assert_eq!(names(&w.json("mo", "credential list").await), ["own"]);
}

#[tokio::test]
async fn a_moved_host_takes_workspace_credentials_with_it_and_lets_go_of_personal_ones() {
    let w = world().await;
    w.with("olga", "host add web-1 192.0.2.7 --host-key x", &[&format!("web-1 {ED}")], None).await.unwrap();
    w.does("olga", "grant add --to mo --hosts web-1 --allow exec").await;
    w.password("mo", "credential add mine --username mo --password").await;
    w.does("mo", "credential attach mine --host web-1 --mine").await;
    w.password("olga", "credential add deploy --username deploy --password --scope workspace").await;
    w.does("olga", "host edit web-1 --credential deploy --tag env=prod").await;
    let moved = w.does("olga", "host edit web-1 --address 192.0.2.8:2222 --rename www-1").await;
    assert!(moved.notes.iter().any(|n| n.starts_with("1 personal credential is attached no more")), "{:?}", moved.notes);
    let host = w.json("olga", "host show www-1").await;
    assert_eq!((&host["port"], &host["credential"], &host["tags"]["env"]), (&2222.into(), &"deploy".into(), &"prod".into()));
    assert_eq!(host["attached"], serde_json::json!(["deploy"]));
    assert_eq!(host["host_keys"][0]["source"], "given");
    w.does("olga", "host edit www-1 --no-credential --untag env").await;
    assert_eq!(w.json("olga", "host show www-1").await["credential"], serde_json::Value::Null);
    assert!(matches!(w.may_not("olga", "host edit www-1").await, Error::Unfit { .. }));
    assert_eq!(w.may_not("olga", "host edit www-1 --rename mo").await.kind(), Kind::Conflict);
}

#[tokio::test]
async fn grants_are_checked_and_explained() {
    let w = world().await;
    w.does("olga", "host add web-1 192.0.2.7 --trust-first-use").await;
    for (words, kind) in [
        ("grant add --to nobody --hosts web-1 --allow exec", Kind::NotFound),
        ("grant add --to mo --hosts web-2 --allow exec", Kind::NotFound),
        ("grant add --to mo --hosts web-1 --allow exec --until 2001-01-01", Kind::Invalid),
        ("grant add --to mo --hosts web-1 --allow exec --max-session 0s", Kind::Invalid),
    ] {
        assert_eq!(w.may_not("olga", words).await.kind(), kind, "{words}");
    }
    let list = w.with("olga", "grant add --to mo --hosts web-1 --allow shell --commands f", &["uptime\n"], None).await.unwrap_err();
    assert!(matches!(list, Error::Unfit { .. }));
    assert!(!w.does("olga", "grant add --to mo --hosts 'db-*' --allow exec").await.notes.is_empty());
    let added = w
        .with(
            "olga",
            "grant add --to mo --hosts web-1 --allow exec --commands f --from 192.0.2.0/24 --max-session 8h",
            &["# x\nuptime\ndf -h\n"],
            None,
        )
        .await
        .unwrap();
    let Data::Grant(grant) = added.data else { panic!() };
    assert_eq!((grant.commands.unwrap(), grant.max_session_s), (vec!["uptime".to_owned(), "df -h".to_owned()], Some(28800)));
    let no = w.json("mo", "grant explain mo web-1 exec").await;
    assert_eq!(no["allowed"], false);
    assert!(no["reason"].as_str().unwrap().contains("only from 192.0.2.0/24"), "{no}");
    // The grant alone opens nothing: without a credential the answer is no, with what is to be done.
    for words in ["grant explain mo web-1 --from 192.0.2.1", "grant explain mo web-1 exec --from 192.0.2.1"] {
        let half = w.json("olga", words).await;
        assert_eq!((&half["allowed"], &half["credential"]), (&false.into(), &serde_json::Value::Null), "{words}");
        assert!(half["reason"].as_str().unwrap().contains("no credential is attached to web-1"), "{half}");
        let notes = w.does("olga", words).await.notes.concat();
        assert!(notes.contains("credential attach NAME --host web-1") && notes.contains("--mine"), "{notes}");
    }
    w.password("olga", "credential add deploy --username deploy --password --scope workspace").await;
    w.does("olga", "credential attach deploy --host web-1").await;
    assert_eq!(w.json("olga", "grant explain mo web-1 --from 192.0.2.1").await["allowed"], true);
    let yes = w.json("olga", "grant explain mo web-1 exec --from 192.0.2.1").await;
    assert_eq!((&yes["allowed"], &yes["grants"].as_array().unwrap().iter().filter(|g| g["decides"] == true).count()), (&true.into(), &1));
    assert_eq!(w.json("olga", "grant explain mo web-1 shell --from 192.0.2.1").await["allowed"], false);
    assert_eq!(w.may_not("mo", "grant explain max web-1").await.kind(), Kind::NotFound);
    w.does("olga", &format!("grant remove {}", grant.id)).await;
    assert_eq!(w.may_not("olga", &format!("grant remove {}", grant.id)).await.kind(), Kind::NotFound);
    assert_eq!(w.may_not("mo", "host show web-1").await.kind(), Kind::NotFound);
}

#[tokio::test]
async fn the_log_is_read_filtered_exported_and_verified() {
    let w = world().await;
    w.does("olga", "host add web-1 192.0.2.7").await;
    w.does("anna", "host add web-2 192.0.2.8").await;
    let mine = w.json("otto", "audit list --user anna").await;
    assert_eq!((mine.as_array().unwrap().len(), &mine[0]["event"], &mine[0]["host"]), (1, &"host.added".into(), &"web-2".into()));
    assert_eq!(w.json("otto", "audit list --host web-1").await.as_array().unwrap().len(), 1);
    assert_eq!(w.json("otto", "audit list --limit 1").await[0]["event"], "audit.read");
    assert_eq!(w.json("otto", "audit list --since 2090-01-01").await, serde_json::json!([]));
    for key in "seq at event actor host credential session proposal outcome reason prev hash".split(' ') {
        assert!(mine[0].get(key).is_some(), "{key}");
    }
    let (out, mut pieces) = tokio::sync::mpsc::channel(10);
    let caller = Caller { user: id_of("otto"), key: None, door: Door::Local, client: None, workspace: name("default") };
    let reply = w.desk.handle(caller, Command::AuditExport { since: None }, Secrets::none(), &out).await.unwrap();
    drop(out);
    let mut text = String::new();
    while let Some(piece) = pieces.recv().await {
        let Piece::Lines(lines) = piece else { panic!("{piece:?}") };
        text.push_str(&lines);
    }
    assert!(matches!(reply.data, Data::Exported(ExportedView { entries }) if entries == text.lines().count() as u64));
    assert!(text.lines().all(|l| serde_json::from_str::<serde_json::Value>(l).is_ok()));
    assert_eq!(w.json("otto", "audit verify").await["holds"], true);
    w.store
        .append(|c| -> Result<(), store::Error> {
            Ok(c.execute_batch("UPDATE audit SET body = replace(body, 'anna', 'anne') WHERE seq = 3")?)
        })
        .await
        .unwrap();
    let bad = w.json("otto", "audit verify").await;
    assert_eq!((&bad["holds"], &bad["lie"]["seq"]), (&false.into(), &3.into()));
    let broken = w.with("otto", "audit verify --checkpoint f", &["nonsense\n"], None).await.unwrap_err();
    assert!(broken.to_string().contains("line 1"), "{broken}");
}

#[tokio::test]
async fn sessions_are_ended_by_their_owner_or_whoever_runs_the_broker() {
    let w = world().await;
    let (host, credential) = ([1; 16].into(), [2; 16].into());
    let id = SessionId::from([7; 16]);
    let session = Session {
        id,
        user: id_of("mo"),
        host,
        credential: Some(credential),
        client: "192.0.2.9:1".to_owned(),
        started_at: Time::from_millis(1),
        ended_at: None,
        end_reason: None,
        exit_status: None,
        bytes_in: 0,
        bytes_out: 0,
    };
    let row = store::sessions::SessionRow { session, user_name: name("mo"), host_name: name("web-1"), credential: None };
    let _ = w.log.commit_with(Event::new(EventName::SessionPermitted, "mo"), (), move |c| store::sessions::begin(c, &row)).await.unwrap();
    let mut place = w.sessions.enter(crate::sessions::Entrance {
        id,
        user: id_of("mo"),
        host,
        host_name: name("web-1"),
        credential,
        login: "deploy".parse().unwrap(),
        client: String::new(),
        started_at: Time::from_millis(1),
    });
    place.counters.bytes_in.store(42, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(w.json("mo", "session list --live").await[0]["bytes_in"], 42);
    assert_eq!(w.json("olga", "status").await["live_connections"], 1);
    assert_eq!(w.may_not("max", &format!("session end {id}")).await.kind(), Kind::NotFound);
    assert_eq!(w.may_not("otto", &format!("session end {id}")).await.kind(), Kind::Forbidden);
    let task = async {
        place.told_to_end().await;
        drop(place);
    };
    let words = format!("session end {id}");
    let (ended, ()) = tokio::join!(w.does("mo", &words), task);
    assert_eq!(ended.done.unwrap(), format!("session {id} ended"));
    assert_eq!(w.may_not("mo", &format!("session end {id}")).await.kind(), Kind::Invalid);
}

#[tokio::test]
async fn a_workspace_that_is_not_there_is_said_not_to_be() {
    let w = world().await;
    let elsewhere = w.may_not("olga", "status --workspace lab").await;
    assert_eq!(elsewhere.kind(), Kind::NotFound);
    assert!(elsewhere.hint().is_some());
    assert!(matches!(w.desk.caller_of_uid(4_000_000_000).await, Err(Error::UnknownUid(_))));
}

#[tokio::test]
async fn a_key_that_is_not_in_the_rows_that_verify_does_nothing() {
    let w = world().await;
    let call = |key: Option<&str>| {
        let caller = Caller { user: id_of("olga"), key: key.map(str::to_owned), door: Door::Ssh, client: None, workspace: name("default") };
        let desk = w.desk.clone();
        async move {
            let (out, _in) = tokio::sync::mpsc::channel(1);
            desk.handle(caller, Command::UserList, Secrets::none(), &out).await
        }
    };
    assert!(matches!(call(Some("SHA256:intruder")).await, Err(Error::KeyGone)));
    assert!(call(None).await.is_ok(), "the local door vouches with the uid");
}

mod authorities;
mod choices;
mod leaving;
mod personal;
mod scopes;
mod ways;
mod workspaces;
