//! Tells a person at a shell what waits for them, and runs their inbox over it when they ask. Shows only what the desk shows to
//! the person whose key signed this session in; knows nothing of the host.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, simplex};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::config::Tuning;
use super::handler::Doorway;
use crate::control::{Caller, Command, Data, Secrets};
use crate::inbox::{self, DeskDoor, Look};
use crate::model::ProposalId;
use crate::relay::{Interlude, Notice, Notices};

/// The most proposals that are looked through.
const MOST: u32 = 1000;
/// Bytes of a screen that may wait for the client.
const SCREEN: usize = 16 * 1024;
/// Keys that may wait for the inbox.
const KEYS: usize = 4096;

/// Begins to tell this caller; ends when the last who listens has gone. `None` if the operator wants no notices.
pub(super) fn begin(door: &Arc<Doorway>, caller: Caller, tuning: &Tuning) -> Option<Notices> {
    if !tuning.notices {
        return None;
    }
    let (say, now) = watch::channel(Notice::default());
    let (interludes, asked) = mpsc::channel(4);
    let escape = tuning.escape;
    let teller = Teller { door: Arc::clone(door), caller, how: escape.to_string(), say, known: BTreeSet::new() };
    #[allow(clippy::disallowed_methods)] // it looks after its own tasks; without it nobody is told, and nothing else is lost
    tokio::spawn(teller.tell(asked));
    Some(Notices { now, interludes, escape: escape.byte() })
}

struct Teller {
    door: Arc<Doorway>,
    caller: Caller,
    /// The escape, as it is called.
    how: String,
    say: watch::Sender<Notice>,
    /// What was told already.
    known: BTreeSet<ProposalId>,
}

impl Teller {
    async fn tell(mut self, mut asked: mpsc::Receiver<Interlude>) {
        let mut bell = self.door.desk.inbox(self.caller.user);
        let mut running = JoinSet::new();
        loop {
            self.look().await;
            tokio::select! {
                // Ends with the session, and the inboxes that were opened over it.
                () = self.say.closed() => return,
                changed = bell.changed() => if changed.is_err() {
                    return;
                },
                Some(interlude) = asked.recv() => {
                    running.spawn(show(Arc::clone(&self.door), self.caller.clone(), interlude));
                }
                Some(done) = running.join_next() => if let Err(error) = done {
                    tracing::error!(target: "keyward::front", %error, "an inbox over a session failed");
                },
            }
        }
    }

    /// Says what waits now.
    async fn look(&mut self) {
        let mut waiting = Vec::new();
        // Nothing is read from the ledger while nothing waits.
        if self.door.desk.waiting(self.caller.user).0 > 0 {
            let (pieces, _) = mpsc::channel(1);
            let list = Command::ProposalList { pending: true, limit: MOST };
            match self.door.desk.handle(self.caller.clone(), list, Secrets::none(), &pieces).await.map(|r| r.data) {
                // Of their own alone people see the account on the host.
                Ok(Data::Proposals(all)) => waiting.extend(all.into_iter().filter(|p| p.login.is_some())),
                Ok(_) => {}
                Err(error) => tracing::warn!(target: "keyward::front", %error, "nobody is told what waits"),
            }
        }
        let newest = waiting.iter().filter(|p| !self.known.contains(&p.id)).max_by_key(|p| (p.created_at, p.id)).cloned();
        let count = waiting.len();
        self.known = waiting.into_iter().map(|p| p.id).collect();
        let how = match self.how.as_str() {
            "" => "decide: proposal watch".to_owned(),
            key => format!("press {key} then i to look"),
        };
        self.say.send_if_modified(|notice| {
            let before = notice.clone();
            notice.waiting = count;
            notice.title = if count == 1 { "keyward: 1 command waits".to_owned() } else { format!("keyward: {count} commands wait") };
            if let Some(p) = newest {
                let others = if count > 1 { format!(" ({count} wait)") } else { String::new() };
                notice.line = format!("keyward: {} asks to run a command on {}{others}; {how}", p.agent, p.host);
                notice.number += 1;
            }
            *notice != before
        });
    }
}

/// The inbox on a screen that was lent.
pub(super) async fn show(door: Arc<Doorway>, caller: Caller, interlude: Interlude) {
    let Interlude { mut keys, screen, size, plain } = interlude;
    let (typed, mut keyboard) = simplex(KEYS);
    let (mut drawn, mut drawing) = simplex(SCREEN);
    let typing = async move {
        while let Some(data) = keys.recv().await {
            if keyboard.write_all(&data).await.is_err() {
                return;
            }
        }
        // A half of a simplex that is dropped says nothing: the inbox finds its keyboard at an end by this.
        let _ = keyboard.shutdown().await;
    };
    let showing = async move {
        let mut piece = vec![0; SCREEN];
        while let Ok(n @ 1..) = drawn.read(&mut piece).await {
            let data = Bytes::copy_from_slice(piece.get(..n).unwrap_or_default());
            if screen.send(data).await.is_err() {
                return;
            }
        }
    };
    let deciding = async move {
        let look = Look { color: !plain, signs: false };
        let clock = door.desk.clock();
        let _ = inbox::run(DeskDoor::new(door.desk.clone(), caller), look, clock, typed, &mut drawing, size).await;
        // What was drawn has its end.
        let _ = drawing.shutdown().await;
    };
    tokio::pin!(typing);
    let shown = async { tokio::join!(deciding, showing) };
    tokio::pin!(shown);
    tokio::select! {
        _ = &mut shown => {}
        () = &mut typing => { shown.await; }
    }
}
