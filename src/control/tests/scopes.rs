//! A workspace's default credential, and what is said of credentials that are old, unused or about to go.

use super::*;
use crate::model::Credential;
use crate::store::{credentials, defaults, hosts};

/// Two hosts that `mo` may use, one with a default of its own, and two credentials of the workspace.
async fn scene() -> World {
    let w = world().await;
    w.does("olga", "host add web-1 192.0.2.7").await;
    w.does("olga", "host add web-2 192.0.2.8").await;
    w.password("olga", "credential add all --scope workspace --username all --password").await;
    w.password("olga", "credential add one --scope workspace --username one --password").await;
    w.does("olga", "credential attach one --host web-1").await;
    w.does("olga", "grant add --to mo --hosts '*' --allow exec").await;
    w
}

/// Who signs `mo` in on a host, and why.
async fn taken(w: &World, host: &str) -> Option<(String, &'static str)> {
    let host = name(host);
    w.store
        .read(move |c| -> Result<_, store::Error> {
            let host = hosts::by_name(c, &name("default"), &host)?.unwrap();
            Ok(defaults::taken(c, &host, id_of("mo"))?.map(|(found, why)| (found.name.to_string(), why.as_str())))
        })
        .await
        .unwrap()
}

/// The hosts that a credential is bound to in the vault's sense.
async fn bound(w: &World, credential: &str) -> Vec<String> {
    let wanted = name(credential);
    w.store
        .read(move |c| -> Result<_, store::Error> {
            let found: Credential = credentials::by_name(c, &Scope::Workspace(name("default")), &wanted)?.unwrap();
            Ok(credentials::hosts_of(c, found.id)?.into_iter().map(|(_, name)| name.to_string()).collect())
        })
        .await
        .unwrap()
}

fn some(credential: &str, why: &'static str) -> Option<(String, &'static str)> {
    Some((credential.to_owned(), why))
}

#[tokio::test]
async fn the_order_is_own_choice_then_host_then_workspace() {
    let w = scene().await;
    assert_eq!((taken(&w, "web-1").await, taken(&w, "web-2").await), (some("one", "host"), None));
    w.does("olga", "credential attach all --workspace-default").await;
    assert_eq!((taken(&w, "web-1").await, taken(&w, "web-2").await), (some("one", "host"), some("all", "workspace")));
    w.password("mo", "credential add mine --username mo --password").await;
    w.does("mo", "credential attach mine --host web-2 --mine").await;
    assert_eq!(taken(&w, "web-2").await, some("mine", "own"));
    w.does("mo", "credential detach mine --host web-2 --mine").await;
    // A host that loses its own default falls back, and one that gets one does not.
    w.does("olga", "host edit web-1 --no-credential").await;
    assert_eq!(taken(&w, "web-1").await, some("all", "workspace"));
    w.does("olga", "credential attach one --host web-2").await;
    assert_eq!(taken(&w, "web-2").await, some("one", "host"));
    // It is said where it comes from.
    let shown = w.json("mo", "host show web-1").await;
    assert_eq!((&shown["credential_source"], &shown["workspace_credential"]), (&"workspace".into(), &"all".into()));
    assert!(shown["credential"].is_null(), "it is no default of the host's own: {shown}");
    let explained = w.json("olga", "grant explain mo web-1 exec").await;
    assert_eq!((&explained["credential"], &explained["credential_source"]), (&"all".into(), &"workspace".into()));
    assert_eq!(w.json("olga", "grant explain mo web-2 exec").await["credential_source"], "host");
}

#[tokio::test]
async fn it_is_bound_to_every_host_also_to_new_and_changed_ones() {
    let w = scene().await;
    w.does("olga", "credential attach all --workspace-default").await;
    assert_eq!(bound(&w, "all").await, ["web-1", "web-2"]);
    w.does("anna", "host add web-3 192.0.2.9").await;
    assert_eq!(bound(&w, "all").await, ["web-1", "web-2", "web-3"]);
    assert_eq!(taken(&w, "web-3").await, some("all", "workspace"));
    let binding = |w: &World| {
        let store = w.store.clone();
        async move {
            let read = move |c: &rusqlite::Connection| -> Result<_, store::Error> {
                let host = hosts::by_name(c, &name("default"), &name("web-3"))?.unwrap();
                let all = credentials::by_name(c, &Scope::Workspace(name("default")), &name("all"))?.unwrap();
                Ok(credentials::binding(c, all.id, host.id)?.unwrap().wrapped_dek)
            };
            store.read(read).await.unwrap()
        }
    };
    let before = binding(&w).await;
    w.does("anna", "host edit web-3 --address 198.51.100.3").await;
    assert_ne!(binding(&w).await, before, "a host that moves is bound anew");
    let before = binding(&w).await;
    w.password("olga", "credential edit all --password").await;
    assert_ne!(binding(&w).await, before, "and so is a new secret");
    // Another default takes its place; what nobody chose is bound no more, and what was chosen for a host stays.
    w.does("olga", "credential attach one --workspace-default").await;
    assert!(bound(&w, "all").await.is_empty());
    w.does("olga", "credential detach one --workspace-default").await;
    assert_eq!(bound(&w, "one").await, ["web-1"]);
    assert_eq!(taken(&w, "web-3").await, None);
    assert_eq!(w.may_not("olga", "credential detach one --workspace-default").await.kind(), Kind::Invalid);
}

#[tokio::test]
async fn a_workspaces_default_is_the_workspaces_and_set_by_those_who_run_it() {
    let w = scene().await;
    for who in ["otto", "mo"] {
        for words in ["credential attach all --workspace-default", "credential detach all --workspace-default"] {
            assert_eq!(w.may_not(who, words).await.kind(), Kind::Forbidden, "{who}: {words}");
        }
    }
    w.password("olga", "credential add hers --username olga --password").await;
    let personal = w.may_not("olga", "credential attach hers --workspace-default").await;
    assert_eq!(personal.kind(), Kind::Invalid);
    assert!(personal.to_string().contains("personal"), "{personal}");
    assert_eq!(w.may_not("olga", "credential attach nope --workspace-default").await.kind(), Kind::NotFound);
    // It cannot be attached to a host, for oneself and for all at once.
    use clap::Parser;
    for words in [
        &["keyward", "credential", "attach", "all", "--workspace-default", "--host", "web-1"][..],
        &["keyward", "credential", "attach", "all", "--workspace-default", "--mine"],
        &["keyward", "credential", "attach", "all"],
    ] {
        assert!(crate::cli::grammar::Cli::try_parse_from(words).is_err(), "{words:?}");
    }
    // Who is granted a host sees it where it signs in, and nowhere else.
    assert_eq!(names(&w.json("mo", "credential list").await), ["one"]);
    w.does("anna", "credential attach all --workspace-default").await;
    assert_eq!(names(&w.json("mo", "credential list").await), ["all", "one"]);
    let listed = w.json("mo", "credential list --host web-2").await;
    assert_eq!((names(&listed), &listed[0]["workspace_default"]), (vec!["all"], &true.into()));
    w.does("olga", "credential attach one --host web-2").await;
    assert_eq!(names(&w.json("mo", "credential list").await), ["one"], "a default that signs in nowhere is nobody's to name");
    assert!(w.json("mo", "host show web-2").await["workspace_credential"].is_null());
    let told = w.json("olga", "audit list").await;
    let attached = told.as_array().unwrap().iter().find(|e| e["detail"]["for"] == "the workspace").expect("it is in the log");
    assert_eq!((&attached["event"], &attached["actor"]), (&"credential.attached".into(), &"anna".into()));
}

#[tokio::test]
async fn the_age_of_a_secret_is_the_secrets_own() {
    let w = scene().await;
    let first = w.json("olga", "credential show all").await;
    assert_eq!((&first["secret_changed_at"], &first["age_days"]), (&first["created_at"], &0.into()));
    // Times are kept to the millisecond.
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_millis(2) {
        tokio::task::yield_now().await;
    }
    for words in ["credential edit all --username other", "credential edit all --rename every", "credential edit every --rename all"] {
        w.does("olga", words).await;
        let now = w.json("olga", &format!("credential show {}", if words.ends_with("every") { "every" } else { "all" })).await;
        assert_eq!(now["secret_changed_at"], first["secret_changed_at"], "{words} makes no secret younger");
        assert_ne!(now["updated_at"], first["updated_at"]);
    }
    w.password("olga", "credential edit all --sudo-password").await;
    assert_eq!(
        w.json("olga", "credential show all").await["secret_changed_at"],
        first["secret_changed_at"],
        "a sudo password is another secret"
    );
    w.password("olga", "credential edit all --password").await;
    let last = w.json("olga", "credential show all").await;
    assert_ne!(last["secret_changed_at"], first["secret_changed_at"]);
    assert_eq!(last["secret_changed_at"], last["updated_at"]);
    // Of a secret from before this was kept, it is known that it is no older than its credential.
    let forgotten: Result<(), store::Error> = w.store.change(|c| Ok(c.execute("DELETE FROM secret_changes", []).map(drop)?)).await;
    forgotten.unwrap();
    let shown = w.json("olga", "credential show all").await;
    assert_eq!(shown["secret_changed_at"], shown["created_at"]);
    // The filters go through the grammar, too.
    assert_eq!(names(&w.json("olga", "credential list --older-than 0s --sort age").await), ["all", "one"]);
    for words in ["credential list --older-than 1d", "credential list --unused-for 90d"] {
        assert_eq!(w.json("olga", words).await, serde_json::json!([]), "{words}");
    }
    assert_eq!(w.may_not("olga", "credential list --host nope").await.kind(), Kind::NotFound);
    assert_eq!(w.may_not("max", "credential list --host web-1").await.kind(), Kind::NotFound, "a host that max may not see");
}

#[tokio::test]
async fn what_a_deletion_leaves_behind_is_said_before_and_after() {
    let w = scene().await;
    let uses = |who: &'static str, credential: &str| {
        let command = Command::CredentialUses { credential: CredentialRef { name: name(credential), scope: None } };
        let caller = Caller { user: id_of(who), key: None, door: Door::Ssh, client: None, workspace: name("default") };
        let desk = w.desk.clone();
        async move {
            let (out, _in) = tokio::sync::mpsc::channel(1);
            match desk.handle(caller, command, Secrets::none(), &out).await?.data {
                Data::Uses(uses) => Ok::<_, Error>(uses),
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(uses("olga", "all").await.unwrap().question, None, "nothing stands on it: nobody is asked");
    let question = uses("olga", "one").await.unwrap().question.unwrap();
    assert_eq!(question, "one is the default of web-1; web-1 will have no credential. Delete it?");
    assert_eq!(uses("mo", "one").await.unwrap_err().kind(), Kind::Forbidden, "who may not delete it is told nothing");
    assert_eq!(uses("mo", "all").await.unwrap_err().kind(), Kind::NotFound);
    w.does("olga", "credential attach all --workspace-default").await;
    let question = uses("olga", "one").await.unwrap().question.unwrap();
    assert_eq!(question, "one is the default of web-1. Delete it?", "the workspace's takes over");
    let question = uses("olga", "all").await.unwrap().question.unwrap();
    assert_eq!(question, "all is the default of the workspace; web-2 will have no credential. Delete it?");
    let deleted = w.does("olga", "credential delete all").await;
    assert!(deleted.notes.iter().any(|n| n.starts_with("web-2 has no credential any more")), "{:?}", deleted.notes);
    assert_eq!((taken(&w, "web-1").await, taken(&w, "web-2").await), (some("one", "host"), None));
    w.does("olga", "credential delete one").await;
    // Nothing of either is left in any table that names credentials.
    let left: Vec<(String, i64)> = w
        .store
        .read(|c| -> Result<_, store::Error> {
            ["credentials", "bindings", "choices", "sudo_secrets", "secret_changes", "workspace_defaults"]
                .iter()
                .map(|table| Ok(((*table).to_owned(), c.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0))?)))
                .collect()
        })
        .await
        .unwrap();
    assert!(left.iter().all(|(_, count)| *count == 0), "{left:?}");
}
