//! The way to a host: jump host after jump host, each dialled, proven, leased and signed in to like any host, then the host itself. The
//! connections belong to this one session and end with it; a secret of one hop is never near another.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::gate::Gates;
use super::open::{Halt, Opened, Rooms, Shared, leg};
use crate::authz::Reach;
use crate::clock::Time;
use crate::custody::Warrant;
use crate::model::Name;
use crate::target::{Connection, Prompt};

/// Where a leg of the way begins, and where the way leads.
#[derive(Debug, Default)]
pub(super) struct Stage {
    /// The connection to the jump host before it.
    pub(super) jump: Option<Connection>,
    /// The host that the way leads to, if this is a jump host.
    pub(super) to: Option<Name>,
    /// How long the way took until here.
    pub(super) passed: Duration,
}

/// The journey of a warrant: along its way, and there dialed and proven, leased, signed in, wiped, recorded.
///
/// `gates`: of a scan, which tries a credential on few hosts at a time until one has taken it.
pub(super) async fn journey(
    rooms: &Rooms,
    warrant: Warrant,
    prompts: mpsc::Sender<Prompt>,
    progress: &Shared,
    gates: Option<&Gates>,
) -> Result<Opened, Halt> {
    // Nobody is called who would not be signed in to: some hosts count such calls.
    if gates.is_some_and(|gates| gates.is_barred(warrant.credential.id)) {
        return Err(Halt::Barred);
    }
    let began = Instant::now();
    let (mut jump, mut hops, mut reaches, mut proven) = (None, Vec::new(), Vec::new(), Vec::new());
    for at in 0..warrant.route.len() {
        let Some(hop) = warrant.route.get(at).map(|hop| hop.name.clone()) else { break };
        let halted = |halt: Halt| Halt::Hop { hop: hop.clone(), halt: Box::new(halt) };
        let permitted = rooms.custody.hop(&warrant, at).await.map_err(|e| halted(e.into()))?;
        let stage = Stage { jump: jump.take(), to: Some(warrant.host.name.clone()), passed: Duration::ZERO };
        let (questions, asked) = mpsc::channel(1);
        let mut opened = tokio::select! {
            opened = Box::pin(leg(rooms, permitted, &questions, progress, gates, stage)) => opened.map_err(halted)?,
            never = pass_on(asked, &prompts, &hop) => match never {},
        };
        // Nothing that a jump host wants to open is for anybody: it is refused.
        drop(opened.connection.take_opens());
        hops.push(opened.host.id);
        reaches.push(opened.reach);
        proven.push(opened.connection.key().fingerprint.clone());
        jump = Some(opened.connection);
    }
    // Prompts of jump hosts may have taken longer than a permit lives.
    let stale = jump.is_some() && !warrant.permit.get().is_fresh(rooms.clock.now());
    let warrant = if stale { rooms.custody.again(warrant, &proven).await? } else { warrant };
    let stage = Stage { jump, to: None, passed: began.elapsed() };
    let mut opened = leg(rooms, warrant, &prompts, progress, gates, stage).await?;
    opened.hops = hops;
    opened.reach = reaches.iter().fold(opened.reach, shortened);
    Ok(opened)
}

/// Passes on what a jump host asks, with its name: the person is not to give one host's code to another.
async fn pass_on(mut asked: mpsc::Receiver<Prompt>, prompts: &mpsc::Sender<Prompt>, hop: &Name) -> Infallible {
    while let Some(mut prompt) = asked.recv().await {
        prompt.instructions = format!("(jump host {hop}) {}", prompt.instructions).trim_end().to_owned();
        // Where nobody can be asked it is dropped, which is no answer.
        let _ = prompts.send(prompt).await;
    }
    std::future::pending().await
}

/// What is reached through a jump host lasts no longer than the jump.
fn shortened(mut reach: Reach, hop: &Reach) -> Reach {
    let first = |a: Option<Time>, b: Option<Time>| a.into_iter().chain(b).min();
    reach.ends_at = first(reach.ends_at, hop.ends_at);
    reach.recheck_at = first(reach.recheck_at, hop.recheck_at);
    reach
}
