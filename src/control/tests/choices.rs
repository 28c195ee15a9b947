//! What a person may choose from, and with what: never more than they were granted, and nothing of other people's own.

use super::*;
use crate::control::choices::Turns;

impl World {
    async fn choices(&self, who: &str) -> Vec<Choice> {
        let caller = Caller { user: id_of(who), key: None, door: Door::Ssh, client: None, workspace: name("default") };
        let choices = self.desk.choices(&caller).await.unwrap();
        assert_eq!(choices.user, name(who));
        choices.hosts
    }
}

fn named(all: &[Choice]) -> Vec<String> {
    all.iter().map(|c| format!("{}/{}", c.workspace, c.host)).collect()
}

fn ways(choice: &Choice) -> Vec<&str> {
    choice.ways_in.iter().map(|w| w.credential.as_str()).collect()
}

#[tokio::test]
async fn it_is_what_is_granted_in_every_workspace_and_no_more() {
    let w = world().await;
    w.does("olga", "workspace add lab").await;
    for words in
        ["web-1 192.0.2.7 --tag env=prod", "web-2 192.0.2.8", "lab-1 192.0.2.9 --workspace lab", "lab-2 192.0.2.10 --workspace lab"]
    {
        w.does("olga", &format!("host add {words}")).await;
    }
    assert!(w.choices("mo").await.is_empty() && w.choices("olga").await.is_empty(), "to see a host is not to use it");
    w.does("olga", "grant add --to mo --hosts tag:env=prod --allow shell,exec").await;
    w.does("olga", "grant add --to mo --hosts web-1 --allow sftp").await;
    w.does("olga", "grant add --to mo --hosts lab-1 --allow shell --from 198.51.100.0/24 --workspace lab").await;
    let all = w.choices("mo").await;
    assert_eq!(named(&all), ["default/web-1", "lab/lab-1"]);
    assert_eq!((all[0].actions.to_string(), all[0].tags.clone()), ("shell,exec,sftp".to_owned(), vec!["env=prod".to_owned()]));
    assert!(all[0].ends_at.is_none() && all[0].not_now.is_none() && !all[0].pinned && !all[0].signs_in, "{all:?}");
    assert!(all[1].not_now.as_ref().is_some_and(|why| why.contains("198.51.100.0/24")) && all[1].actions.is_empty(), "{all:?}");
    assert!(w.choices("max").await.is_empty());
    w.does("olga", "user disable mo").await;
    let caller = Caller { user: id_of("mo"), key: None, door: Door::Ssh, client: None, workspace: name("default") };
    assert!(w.desk.choices(&caller).await.is_err());
}

#[tokio::test]
async fn one_list_is_read_at_a_time_and_holds_up_nothing_else() {
    let w = world().await;
    let turn = w.desk.1.take(UserId::from([9; 16])).await.unwrap();
    let order = std::sync::Mutex::new(Vec::new());
    let lists = async {
        assert!(w.choices("mo").await.is_empty());
        order.lock().unwrap().push("list");
    };
    let verbs = async {
        for _ in 0..50 {
            w.does("mo", "host list").await;
        }
        order.lock().unwrap().push("verbs");
        drop(turn);
    };
    tokio::join!(lists, verbs);
    assert_eq!(*order.lock().unwrap(), ["verbs", "list"]);
}

#[tokio::test]
async fn whoever_is_refused_holds_up_nobody_until_that_is_on_record() {
    let w = world().await;
    w.does("olga", "user disable max").await;
    // The ledger's writer is held up: the entry waits.
    let (go, held_up) = std::sync::mpsc::channel::<()>();
    let holds_up = async {
        let waits = w.store.append(move |_| -> Result<(), store::Error> {
            let _ = held_up.recv();
            Ok(())
        });
        waits.await.unwrap();
    };
    let caller = Caller { user: id_of("max"), key: None, door: Door::Ssh, client: None, workspace: name("default") };
    let refused = async { assert!(matches!(w.desk.choices(&caller).await, Err(Error::Disabled))) };
    let lists = async {
        for _ in 0..2 {
            assert!(w.choices("mo").await.is_empty());
        }
        go.send(()).unwrap();
    };
    tokio::join!(holds_up, refused, lists);
}

#[tokio::test]
async fn the_one_that_is_taken_comes_first_and_nobody_elses_own_comes_at_all() {
    let w = world().await;
    w.does("olga", "host add web-1 192.0.2.7").await;
    w.does("olga", "grant add --to mo --hosts web-1 --allow shell").await;
    w.does("olga", "grant add --to max --hosts web-1 --allow shell").await;
    w.password("olga", "credential add deploy --scope workspace --username root --password").await;
    w.password("olga", "credential add backup --scope workspace --username dumper --password").await;
    w.does("olga", "credential attach deploy --host web-1").await;
    w.does("olga", "credential attach backup --host web-1").await;
    w.password("mo", "credential add own --scope personal --username mo --password").await;
    w.does("mo", "credential attach own --host web-1 --mine").await;
    let all = w.choices("mo").await;
    assert_eq!((ways(&all[0]), all[0].signs_in), (vec!["own", "backup", "deploy"], true), "{all:?}");
    assert!(all[0].ways_in[0].own && !all[0].ways_in[1].own);
    let all = w.choices("max").await;
    assert_eq!(ways(&all[0]), ["backup", "deploy"], "{all:?}");
}

#[tokio::test]
async fn whoever_asks_often_is_one_among_those_who_wait() {
    let turns = Turns::default();
    let (alice, bob) = (UserId::from([1; 16]), UserId::from([2; 16]));
    let first = turns.take(alice).await.unwrap();
    let order = std::sync::Mutex::new(Vec::new());
    let asks = async |who, name| {
        let turn = turns.take(who).await.unwrap();
        order.lock().unwrap().push(name);
        drop(turn);
    };
    tokio::join!(asks(alice, "alice"), asks(alice, "alice again"), asks(bob, "bob"), async { drop(first) });
    assert_eq!(*order.lock().unwrap(), ["bob", "alice", "alice again"]);
}
