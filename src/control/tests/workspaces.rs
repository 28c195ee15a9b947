//! Workspaces: each sees its own, and what belongs to another one does not exist, by name or by id, for no role.

use super::*;

/// The same names in `default` and in `lab`: what differs is the workspace alone.
async fn two() -> World {
    let w = world().await;
    w.does("olga", "workspace add lab").await;
    for flag in ["", " --workspace lab"] {
        w.does("olga", &format!("host add web-1 192.0.2.7{flag}")).await;
        w.password("olga", &format!("credential add deploy --scope workspace --username root --password{flag}")).await;
        w.does("olga", &format!("credential attach deploy --host web-1{flag}")).await;
    }
    w.does("olga", "host add lab-only 192.0.2.9 --workspace lab").await;
    w.password("olga", "credential add lab-key --scope workspace --username root --password --workspace lab").await;
    w.does("olga", "credential attach lab-key --host lab-only --workspace lab").await;
    w.does("olga", "grant add --to mo --hosts web-1 --allow exec,scan").await;
    w.does("olga", "grant add --to max --hosts '*' --allow exec,scan --workspace lab").await;
    w
}

async fn id_of_grant(w: &World, words: &str) -> String {
    w.json("olga", words).await[0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_workspace_is_added_listed_shown_and_removed_by_an_owner() {
    let w = two().await;
    for who in ["anna", "otto", "mo"] {
        for words in ["workspace add x", "workspace remove lab"] {
            assert_eq!(w.may_not(who, words).await.kind(), Kind::Forbidden, "{who}: {words}");
        }
    }
    assert_eq!(names(&w.json("anna", "workspace list").await), ["default", "lab"]);
    assert_eq!(names(&w.json("otto", "workspace list").await), ["default", "lab"]);
    let shown = w.json("olga", "workspace show lab").await;
    assert_eq!((&shown["hosts"], &shown["credentials"], &shown["grants"]), (&2.into(), &2.into(), &1.into()));
    assert_eq!(w.may_not("olga", "workspace add lab").await.kind(), Kind::Conflict);
    assert_eq!(w.may_not("olga", "workspace add default").await.kind(), Kind::Conflict);
    assert_eq!(w.may_not("olga", "workspace remove default").await.kind(), Kind::Invalid);
    assert_eq!(w.may_not("olga", "workspace remove nope").await.kind(), Kind::NotFound);
    // A member knows of those in which they have a grant, and of no numbers but their own.
    assert_eq!(names(&w.json("mo", "workspace list").await), ["default"]);
    let seen = w.json("max", "workspace list").await;
    assert_eq!(names(&seen), ["default", "lab"]);
    assert!(seen[1]["credentials"].is_null() && seen[1]["live_sessions"].is_null());
    let [hidden, missing] = [w.may_not("mo", "workspace show lab").await, w.may_not("mo", "workspace show nix").await];
    assert_eq!(hidden.to_string().replace("lab", "nix"), missing.to_string());
    w.does("olga", "workspace remove lab --yes").await;
    assert_eq!(names(&w.json("olga", "workspace list").await), ["default"]);
    assert_eq!(names(&w.json("olga", "host list").await), ["web-1"], "the other one is as it was");
    let told = w.json("olga", "audit list").await;
    let removed = told.as_array().unwrap().iter().find(|e| e["event"] == "workspace.removed").expect("it is in the log");
    assert_eq!((&removed["detail"]["workspace"], &removed["detail"]["hosts"]), (&"lab".into(), &2.into()));
}

#[tokio::test]
async fn a_workspace_without_a_grant_and_one_that_is_not_there_are_the_same() {
    let w = two().await;
    let verbs = ["host list", "host show web-1", "credential list", "grant list", "session list", "scan list", "ssh-config", "status"];
    for verb in verbs {
        let [hidden, missing] =
            [w.may_not("mo", &format!("{verb} --workspace lab")).await, w.may_not("mo", &format!("{verb} --workspace nix")).await];
        assert_eq!((hidden.kind(), missing.kind()), (Kind::NotFound, Kind::NotFound), "{verb}");
        assert_eq!(hidden.to_string().replace("lab", "nix"), missing.to_string(), "{verb}");
        w.does("max", &format!("{verb} --workspace lab")).await;
    }
}

#[tokio::test]
async fn nothing_of_another_workspace_is_there_by_name_or_by_id_for_any_role() {
    let w = two().await;
    let [here, there] = [id_of_grant(&w, "grant list").await, id_of_grant(&w, "grant list --workspace lab").await];
    let in_lab = w.session_to("max", "lab", "lab-only").await;
    for who in ["olga", "anna"] {
        for words in [
            "host show lab-only".to_owned(),
            "host edit lab-only --tag a=b".to_owned(),
            "host remove lab-only".to_owned(),
            "host trust lab-only".to_owned(),
            "credential show lab-key".to_owned(),
            "credential public-key lab-key".to_owned(),
            "credential edit lab-key --username x".to_owned(),
            "credential delete lab-key".to_owned(),
            "credential attach lab-key --host web-1".to_owned(),
            "credential attach deploy --host lab-only".to_owned(),
            "credential attach lab-key --workspace-default".to_owned(),
            "credential detach lab-key --host web-1".to_owned(),
            "credential list --host lab-only".to_owned(),
            "host add other 192.0.2.1 --credential lab-key".to_owned(),
            "host edit web-1 --credential lab-key".to_owned(),
            format!("grant remove {there}"),
            "grant add --to mo --hosts lab-only --allow exec".to_owned(),
            "grant explain mo lab-only exec".to_owned(),
            format!("session show {in_lab}"),
            format!("session end {in_lab}"),
            format!("grant remove {here} --workspace lab"),
        ] {
            assert_eq!(w.may_not(who, &words).await.kind(), Kind::NotFound, "{who}: {words}");
        }
    }
    // Max may use the host, but only where it is.
    assert_eq!(w.may_not("max", "host show lab-only").await.kind(), Kind::NotFound);
    assert_eq!(w.may_not("max", "grant explain max web-1 exec").await.kind(), Kind::NotFound);
    // Nothing was changed by any of it.
    assert_eq!(names(&w.json("olga", "host list").await), ["web-1"]);
    assert_eq!(names(&w.json("olga", "credential list").await), ["deploy"]);
    assert_eq!(names(&w.json("olga", "credential list --workspace lab").await), ["deploy", "lab-key"]);
    assert_eq!(w.json("olga", "session list").await, serde_json::json!([]));
    assert_eq!(w.json("olga", "session list --workspace lab").await[0]["id"], in_lab.as_str());
    assert_eq!(w.json("olga", "grant list").await.as_array().unwrap().len(), 1);
    // A grant for every host is one for every host of its workspace.
    let explained = w.json("olga", "grant explain max web-1 exec").await;
    assert_eq!(explained["allowed"], false, "{explained}");
    assert_eq!(w.json("olga", "grant explain max web-1 exec --workspace lab").await["allowed"], true);
}

#[tokio::test]
async fn the_same_name_again_is_another_workspace() {
    let w = two().await;
    let kek = |w: &World| {
        let store = w.store.clone();
        async move {
            let read = |c: &rusqlite::Connection| store::credentials::newest_kek(c, &Scope::Workspace(name("lab")));
            store.read(read).await.unwrap().map(|row| row.wrapped)
        }
    };
    let before = kek(&w).await.expect("it has a key");
    w.does("olga", "workspace remove lab --yes").await;
    assert_eq!(kek(&w).await, None, "its key is gone");
    w.does("olga", "workspace add lab").await;
    for list in ["host list", "credential list", "grant list", "session list"] {
        assert_eq!(w.json("olga", &format!("{list} --workspace lab")).await, serde_json::json!([]), "{list}");
    }
    assert_eq!(names(&w.json("max", "workspace list").await), ["default"], "the grants went with it");
    w.password("olga", "credential add deploy --scope workspace --username root --password --workspace lab").await;
    assert_ne!(kek(&w).await.expect("it has a key again"), before);
}

#[tokio::test]
async fn a_workspace_in_which_sessions_live_is_not_removed_unless_they_end_with_it() {
    let w = two().await;
    w.session_to("max", "lab", "lab-only").await;
    let refused = w.may_not("olga", "workspace remove lab").await;
    assert_eq!(refused.kind(), Kind::Invalid);
    assert!(refused.hint().unwrap().contains("--end-sessions"), "{refused}");
    assert_eq!(names(&w.json("olga", "host list --workspace lab").await), ["lab-only", "web-1"]);
    w.does("olga", "workspace remove lab --end-sessions").await;
    assert_eq!(w.may_not("olga", "host list --workspace lab").await.kind(), Kind::NotFound);
    w.does("olga", "workspace add lab").await;
    assert_eq!(w.json("olga", "session list --workspace lab").await, serde_json::json!([]), "records of the old one are not the new one's");
}

impl World {
    /// A session row that lives, to a host of a workspace; its id.
    async fn session_to(&self, who: &str, workspace: &str, host: &str) -> String {
        let (user, workspace, host) = (id_of(who), name(workspace), name(host));
        let id = SessionId::from([9; 16]);
        let user_name = name(who);
        let _ = self
            .log
            .commit_with(Event::new(EventName::SessionPermitted, who), (), move |c| {
                let found = store::hosts::by_name(c, &workspace, &host)?.unwrap();
                let session = Session {
                    id,
                    user,
                    host: found.id,
                    credential: None,
                    client: "192.0.2.1:1".to_owned(),
                    started_at: Time::from_millis(1),
                    ended_at: None,
                    end_reason: None,
                    exit_status: None,
                    bytes_in: 0,
                    bytes_out: 0,
                };
                store::sessions::begin(c, &store::sessions::SessionRow { session, user_name, host_name: host, credential: None })
            })
            .await
            .unwrap();
        id.to_string()
    }
}
