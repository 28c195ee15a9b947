//! A caller who leaves at any moment: what stands in the log as asked for is done.

use std::sync::atomic::Ordering;

use super::*;
use crate::model::{EndReason, RunState, ScanId};
use crate::store::{audit_log, scans, sessions};

const PATIENCE: Duration = Duration::from_secs(60);
/// After so long without a step somebody is taken to wait.
const REST: Duration = Duration::from_secs(1);

/// The first steps of what somebody asked for, and they have left. `true`: it had come to its end by then.
async fn leaves_after<T>(steps: usize, asked: impl Future<Output = T>) -> bool {
    let mut asked = std::pin::pin!(asked);
    let mut done = 0;
    std::future::poll_fn(|cx| {
        done += 1;
        match asked.as_mut().poll(cx) {
            std::task::Poll::Ready(_) => std::task::Poll::Ready(true),
            std::task::Poll::Pending if done >= steps => std::task::Poll::Ready(false),
            std::task::Poll::Pending => std::task::Poll::Pending,
        }
    })
    .await
}

impl World {
    /// The same, while the ledger's writer is held up: nothing is on the disk before they have left.
    async fn leaves_unwritten_after<T>(&self, steps: usize, asked: impl Future<Output = T>) {
        let (go, held_up) = std::sync::mpsc::channel::<()>();
        let mut holds_up = Box::pin(self.store.append(move |_| -> Result<(), store::Error> {
            let _ = held_up.recv();
            Ok(())
        }));
        leaves_after(1, &mut holds_up).await;
        // Whoever waits for the writer takes no more steps.
        let _ = tokio::time::timeout(REST, leaves_after(steps, asked)).await;
        drop(go);
    }

    /// How many entries tell of this event; of what is about to be written, too.
    async fn recorded(&self, event: EventName) -> usize {
        self.store.checkpoint().await.unwrap();
        let rows = self.store.read(|c| audit_log::after(c, 0, 10_000)).await.unwrap();
        let named = |body: &str| serde_json::from_str::<serde_json::Value>(body).unwrap()["event"] == event.as_str();
        rows.iter().filter(|row| named(&row.body)).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_on_record_as_to_be_ended_is_told_to_end() {
    let w = world().await;
    let (user, host, credential, started_at) = (id_of("mo"), [1; 16].into(), [2; 16].into(), Time::from_millis(1));
    for steps in 1..100 {
        let id = SessionId::from([u8::try_from(steps).unwrap(); 16]);
        let session = Session {
            id,
            user,
            host,
            credential: Some(credential),
            client: String::new(),
            started_at,
            ended_at: None,
            end_reason: None,
            exit_status: None,
            bytes_in: 0,
            bytes_out: 0,
        };
        let row = sessions::SessionRow { session, user_name: name("mo"), host_name: name("web-1"), credential: None };
        let begin = move |c: &rusqlite::Connection| sessions::begin(c, &row);
        let _ = w.log.commit_with(Event::new(EventName::SessionPermitted, "mo"), (), begin).await.unwrap();
        let (host_name, login) = (name("web-1"), "deploy".parse().unwrap());
        let entrance = crate::sessions::Entrance { id, user, host, host_name, credential, login, client: String::new(), started_at };
        let mut place = w.sessions.enter(entrance);
        w.leaves_unwritten_after(steps, w.with("mo", &format!("session end {id}"), &[], None)).await;
        let recorded = w.recorded(EventName::SessionEndAsked).await == 1;
        let told = tokio::select! {
            biased;
            why = place.told_to_end() => Some(why),
            () = std::future::ready(()) => None,
        };
        assert_eq!(told, recorded.then_some(EndReason::Ended), "after {steps} steps");
        if recorded {
            return;
        }
    }
    panic!("nothing was ever recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_is_on_record_as_sealed_is_being_sealed() {
    let w = world().await;
    for steps in 1..100 {
        w.leaves_unwritten_after(steps, w.with("olga", "seal", &[], None)).await;
        let recorded = w.recorded(EventName::VaultSealed).await == 1;
        assert_eq!(w.desk.0.seal.is_on(), recorded, "after {steps} steps");
        if recorded {
            return;
        }
    }
    panic!("nothing was ever recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_is_on_record_as_to_be_cancelled_is_cancelled() {
    let w = world().await;
    let id = ScanId::from([3; 16]);
    let row = scans::ScanRow {
        id,
        workspace: name("default"),
        user: id_of("mo"),
        user_name: name("mo"),
        profile: String::new(),
        selector: "*".to_owned(),
        digest: String::new(),
        asked: Vec::new(),
        state: RunState::Running,
        started_at: Time::from_millis(1),
        ended_at: None,
    };
    w.store.append(move |c| scans::begin(c, &row, &[])).await.unwrap();
    let cancelled = w.scans.runs_for_a_test(id);
    for steps in 1..100 {
        w.leaves_unwritten_after(steps, w.with("mo", &format!("scan cancel {id}"), &[], None)).await;
        let recorded = w.recorded(EventName::ScanCancelAsked).await == 1;
        assert_eq!(cancelled.is_cancelled(), recorded, "after {steps} steps");
        if recorded {
            return;
        }
    }
    panic!("nothing was ever recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_was_locked_is_on_record_as_locked() {
    let w = world().await;
    let passphrase = Some("quite a few words of mo");
    w.password("mo", "credential add mine --username mo --password").await;
    w.with("mo", "personal seal", &[], passphrase).await.unwrap();
    let unlocks = std::sync::atomic::AtomicUsize::new(0);
    for words in ["lock", "lock --all"] {
        for steps in 1..100 {
            w.with("mo", "unlock", &[], passphrase).await.unwrap();
            let opened = unlocks.fetch_add(1, Ordering::SeqCst) + 1;
            let who = if words == "lock" { "mo" } else { "olga" };
            let done = leaves_after(steps, w.with(who, words, &[], None)).await;
            // Whoever left too early has locked nothing.
            w.does("mo", "lock").await;
            let locked = async {
                while w.recorded(EventName::PersonalLocked).await != opened {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(PATIENCE, locked).await.unwrap_or_else(|_| panic!("{words}, after {steps} steps: no entry"));
            if done {
                break;
            }
        }
    }
}

/// Whether somebody seals, or is alone.
async fn is_taken(custody: &Custody) -> bool {
    let mut alone = std::pin::pin!(custody.alone());
    std::future::poll_fn(|cx| std::task::Poll::Ready(alone.as_mut().poll(cx).is_pending())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_seals_beside_a_change_of_keys_though_whoever_wanted_it_has_left() {
    let w = world().await;
    let custody = &w.desk.0.custody;
    w.does("olga", "workspace add lab").await;
    w.password("mo", "credential add mine --username mo --password").await;
    for (who, words, secret) in [("olga", "workspace remove lab", None), ("mo", "personal seal", Some("quite a few words of mo"))] {
        // The writer is held up: what is changed waits for its commit.
        let (go, held_up) = std::sync::mpsc::channel::<()>();
        let mut holds_up = Box::pin(w.store.append(move |_| -> Result<(), store::Error> {
            let _ = held_up.recv();
            Ok(())
        }));
        leaves_after(1, &mut holds_up).await;
        {
            let mut leaves = std::pin::pin!(w.with(who, words, &[], secret));
            let mut probe = Box::pin(is_taken(custody));
            std::future::poll_fn(|cx| {
                assert!(leaves.as_mut().poll(cx).is_pending(), "{words}");
                let taken = probe.as_mut().poll(cx) == std::task::Poll::Ready(true);
                probe = Box::pin(is_taken(custody));
                if taken { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
            })
            .await;
        }
        assert!(is_taken(custody).await, "{words}: others were let in before its commit");
        go.send(()).unwrap();
        w.store.checkpoint().await.unwrap();
        let waits = tokio::time::timeout(PATIENCE, custody.alone()).await;
        drop(waits.expect("others are let in after it"));
    }
    assert_eq!(w.recorded(EventName::WorkspaceRemoved).await + w.recorded(EventName::PersonalSealed).await, 2);
}
