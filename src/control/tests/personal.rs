//! A person's own scope: what would leave a key behind if it stopped half way comes to its end.

use super::*;
use crate::model::ScopeState;
use crate::store::users;

const PATIENCE: Duration = Duration::from_secs(60);

/// A first step, and whoever asked has left.
async fn begins<T>(asked: impl Future<Output = T>) {
    let mut asked = Box::pin(asked);
    std::future::poll_fn(|cx| {
        assert!(asked.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_with_a_new_key_is_locked_though_whoever_asked_for_it_has_left() {
    let w = world().await;
    let custody = &w.desk.0.custody;
    let passphrase = Some("quite a few words of mo");
    w.password("mo", "credential add mine --username mo --password").await;
    w.with("mo", "personal seal", &[], passphrase).await.unwrap();
    let mo = w.store.read(|c| users::by_id(c, id_of("mo"))).await.unwrap().unwrap();
    for unseals in [false, true] {
        w.with("mo", "unlock", &[], passphrase).await.unwrap();
        assert_eq!(custody.scope_state(mo.id).await.unwrap(), ScopeState::Open);
        // Two must stay.
        w.does("mo", "personal slot add recovery").await;
        let recovery = custody.slots(mo.id).await.unwrap().pop().unwrap();
        let mut bell = w.guard.listen();
        if unseals {
            begins(custody.unseal_personal(&mo, Event::new(EventName::PersonalUnsealed, "mo"))).await;
        } else {
            begins(custody.remove_slot(&mo, recovery.id, Event::new(EventName::PersonalSlotRemoved, "mo"))).await;
        }
        tokio::time::timeout(PATIENCE, bell.changed()).await.expect("it is done").unwrap();
        let locked = async {
            while custody.scope_state(mo.id).await.unwrap() == ScopeState::Open {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, locked).await.expect("it is locked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_locked_is_told_to_scripts() {
    let w = world().await;
    let passphrase = Some("quite a few words of mo");
    let locks = async |who: &str, words: &str| {
        let told = w.json(who, words).await;
        let told_at = told["locked_at"].as_str().map(|at| Time::parse(at).unwrap());
        assert_eq!(told_at.is_some(), told["locked"] != 0, "{told}");
        (told["scope"].as_str().unwrap().to_owned(), told["locked"].as_u64().unwrap(), told["personal"].as_str().unwrap().to_owned())
    };
    let is = |scope: &str, locked, personal: &str| (scope.to_owned(), locked, personal.to_owned());
    assert_eq!(locks("mo", "lock").await, is("personal", 0, "not sealed"));
    w.password("mo", "credential add mine --username mo --password").await;
    w.with("mo", "personal seal", &[], passphrase).await.unwrap();
    w.with("mo", "unlock", &[], passphrase).await.unwrap();
    assert_eq!(locks("mo", "lock").await, is("personal", 1, "locked"));
    assert_eq!(locks("mo", "lock").await, is("personal", 0, "locked"));
    w.with("mo", "unlock", &[], passphrase).await.unwrap();
    assert_eq!(locks("olga", "lock --all").await, is("everybody", 1, "not sealed"));
    assert_eq!(locks("olga", "lock --all").await, is("everybody", 0, "not sealed"));
}
