//! A way that leads nowhere, and one that is barred: what went wrong keeps its kind, and names what can be done.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_host_that_is_not_reached_is_told_as_it_is_where_it_is_asked_itself() {
    let w = world().await;
    // Port 1 of this machine: nobody listens there.
    w.does("olga", &format!("host add bastion 127.0.0.1:1 --host-key '{ED}'")).await;
    w.does("olga", "host add web-1 192.0.2.7 --via bastion").await;
    w.does("olga", "grant add --to olga --hosts bastion --allow forward").await;
    w.password("olga", "credential add deploy --scope workspace --username root --password").await;
    w.does("olga", "credential attach deploy --host bastion").await;
    let (itself, behind) = (w.may_not("olga", "host trust bastion").await, w.may_not("olga", "host trust web-1").await);
    assert!(matches!(itself, Error::Target(_)) && matches!(behind, Error::Beyond { .. }), "{itself:?}, {behind:?}");
    assert_eq!(behind.kind(), itself.kind());
    assert!(behind.to_string().starts_with("web-1 via bastion: ") && !behind.to_string().contains("hint"), "{behind}");
    assert!(behind.hint().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_that_leads_nowhere_names_the_host_that_gets_another() {
    let w = world().await;
    w.does("olga", "host add bastion 127.0.0.1:1").await;
    w.does("olga", "host add web-1 192.0.2.7 --via bastion").await;
    w.does("olga", "grant add --to olga --hosts web-1 --allow exec").await;
    w.password("olga", "credential add deploy --scope workspace --username root --password").await;
    w.does("olga", "credential attach deploy --host web-1").await;
    // No verb writes a circle.
    let circle = |c: &rusqlite::Connection| -> Result<(), store::Error> { Ok(c.execute("UPDATE host_ways SET via = host", []).map(drop)?) };
    w.store.change(circle).await.unwrap();
    let refused = w.may_not("olga", "credential test deploy --host web-1").await;
    assert_eq!((refused.kind(), refused.to_string().as_str()), (Kind::Invalid, "host web-1 cannot be reached: its way is a circle"));
    assert!(refused.hint().is_some_and(|hint| hint.contains("keyward host edit web-1 --via HOST")), "{:?}", refused.hint());
}
