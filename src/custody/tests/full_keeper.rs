//! A keeper whose queue is full refuses what comes, and nothing is lost by that: no lease is left counted, and what was to be locked
//! is locked later.

use tokio_util::sync::CancellationToken;

use super::*;
use crate::custody::Opens;
use crate::model::ScopeState;

const PATIENCE: Duration = Duration::from_secs(60);

impl World {
    fn asked(&self) -> Asked {
        Asked {
            user: self.user,
            key: Some(KEY.to_owned()),
            needs: None,
            workspace: name("default"),
            host: name("web-1"),
            credential: Some(name("deploy")),
            session: self.clock.fresh(),
            client: "192.0.2.1:999".parse().unwrap(),
        }
    }

    async fn count(&self, event: EventName) -> usize {
        self.events().await.iter().filter(|e| e["event"] == event.as_str()).count()
    }
}

fn is_busy<T>(refused: Result<T, Error>) {
    let refused = refused.err().expect("the queue is full");
    assert!(matches!(refused, Error::Vault(vault::Error::Busy)), "{refused:?}");
    assert_eq!(refused.to_string(), format!("the vault cannot keep up: {} requests wait", vault::QUEUE_MAX));
    assert_eq!((refused.kind(), refused.hint().as_deref()), (Kind::Unavailable, Some("connect again")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_keeper_gives_no_lease_and_is_no_forgery() {
    let world = World::new().await;
    let warrant = world.custody.warrant(world.asked()).await.unwrap();
    let full = world.vault.is_full_for_a_test().await;
    let whom = (&warrant.credential, warrant.way);
    is_busy(world.custody.lease(warrant.permit, &warrant.user, &warrant.host, whom, PIN, None).await);
    assert_eq!(world.custody.leases().load(std::sync::atomic::Ordering::SeqCst), 0);
    let ends: Vec<_> = world.events().await.into_iter().filter(|e| e["event"] == EventName::LeaseEnded.as_str()).collect();
    assert!(matches!(ends.as_slice(), [end] if end["outcome"] == "failure" && end["reason"].as_str().unwrap().contains("cannot keep up")));
    // Nor is anything permitted that cannot be verified; that it cannot says nothing about the database.
    is_busy(world.custody.warrant(world.asked()).await);
    assert_eq!((world.count(EventName::SessionPermitted).await, world.count(EventName::VaultTampered).await), (1, 0));
    drop(full);
    // What waited is worked off first.
    let has_room = async {
        while matches!(world.vault.root_name().await, Err(vault::Error::Busy)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, has_room).await.expect("it has room");
    world.all_open().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_a_full_keeper_did_not_lock_is_locked_when_it_has_room() {
    let world = World::new().await;
    let (custody, user) = (&world.custody, world.user);
    let alice = world.store.read(move |c| users::by_id(c, user)).await.unwrap().unwrap();
    let passphrase = || Secret::new(b"quite a few words of alice".to_vec());
    custody.seal_personal(&alice, passphrase(), Event::new(EventName::PersonalSealed, "alice")).await.unwrap();
    let opened = Event::new(EventName::PersonalOpened, "alice");
    custody.open_personal(&alice, Opens::Typed(passphrase()), true, opened).await.unwrap();
    let full = world.vault.is_full_for_a_test().await;
    is_busy(custody.lock_personal(user, "it was locked", "alice").await);
    assert_eq!((custody.scope_state(user).await.unwrap(), custody.open_scopes()), (ScopeState::Open, 1), "its key is there still");
    assert_eq!(world.count(EventName::PersonalLocked).await, 0);
    // Whoever minds what is open tries, and is refused: so many steps are more than one round.
    let stop = CancellationToken::new();
    let mut minding = Box::pin(custody.mind_scopes(stop.clone()));
    let mut steps = 0;
    std::future::poll_fn(|cx| {
        steps += 1;
        assert!(minding.as_mut().poll(cx).is_pending());
        if steps < 8 { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    assert_eq!(custody.open_scopes(), 1);
    drop(full);
    let locked = async {
        while world.count(EventName::PersonalLocked).await == 0 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let both = async { tokio::join!(minding, locked) };
    tokio::time::timeout(PATIENCE, both).await.expect("it is locked");
    assert_eq!((custody.scope_state(user).await.unwrap(), world.count(EventName::PersonalLocked).await), (ScopeState::Locked, 1));
    assert!(matches!(world.used("mine").await, Err(Error::Vault(vault::Error::ScopeSealed))));
}
