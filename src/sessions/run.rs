//! An approved command on the connection that its person opened: a channel of its own, no pty, the approved bytes and nothing
//! else. Takes them only from a proposal whose running is witnessed; decrypts nothing, signs in nowhere.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use russh::{ChannelMsg, Sig};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::audit::Audited;
use crate::authz::Reach;
use crate::model::{Act, Action, Proposal, Running};
use crate::relay::Counters;
use crate::target::Connection;

/// What a command writes.
#[derive(Clone, Debug)]
pub enum Piece {
    /// On standard output.
    Out(Bytes),
    /// On standard error.
    Err(Bytes),
}

/// How a run came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// The command ended by itself.
    Exited {
        /// Its exit status, if the host told one.
        status: Option<u32>,
        /// The signal that ended it.
        signal: Option<String>,
    },
    /// It did not begin: the reason.
    NotBegun(String),
    /// It was ended, or its end was not seen: the reason. It may have done anything until then.
    Cut(String),
}

/// A command to run.
pub struct Run {
    /// What, with the proof that it was approved and that its running is on record. Boxed: each session has room for some from its
    /// beginning.
    pub proposal: Box<Audited<Proposal<Running>>>,
    /// Where its output goes; whoever reads it slowly slows down the command.
    pub output: mpsc::Sender<Piece>,
    /// Told to end it.
    pub stop: CancellationToken,
    /// Told how it came out. Dropped without a word: the connection fell.
    pub end: oneshot::Sender<RunEnd>,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Run").field(&self.proposal.get().id()).finish()
    }
}

/// Whether what is granted now still covers the command: proposing, and running it oneself.
pub fn is_granted(reach: &Reach, command: &[u8]) -> bool {
    reach.allows(Action::Propose) && (reach.allows_command(command) || reach.allows(Action::Shell))
}

/// Takes no more, and says of each that was handed over and not taken up that it has not begun. Dropped without a word it would
/// count as cut, as if it might have done anything.
pub(crate) async fn turn_away(mut runs: mpsc::Receiver<Run>) {
    runs.close();
    while let Some(run) = runs.recv().await {
        let _ = run.end.send(RunEnd::NotBegun("the person's connection ended before it ran".to_owned()));
    }
}

/// Runs it to its end.
pub(super) async fn run(
    connection: &Connection,
    run: Run,
    mut reach: watch::Receiver<Reach>,
    counters: &Counters,
    mut ending: watch::Receiver<Option<String>>,
) {
    let Run { proposal, output, stop, end } = run;
    let proposal = proposal.into_inner();
    let outcome = match proposal.bytes() {
        Err(why) => RunEnd::NotBegun(why.to_string()),
        Ok(act) if !is_granted(&reach.borrow_and_update(), &act.command) => RunEnd::NotBegun("it is not granted any more".to_owned()),
        Ok(act) => {
            let withdrawn = async {
                while reach.changed().await.is_ok() {
                    if !is_granted(&reach.borrow_and_update(), &act.command) {
                        return;
                    }
                }
                std::future::pending().await
            };
            let told = async {
                let _ = ending.wait_for(Option::is_some).await;
            };
            let cut = async {
                tokio::select! {
                    () = stop.cancelled() => "the agent went away or withdrew it",
                    () = withdrawn => "the grant was withdrawn",
                    () = told => "the person's connection ended",
                    () = tokio::time::sleep(act.timeout) => "its time was over",
                }
            };
            exec(connection, act, &output, counters, cut).await
        }
    };
    let _ = end.send(outcome);
}

async fn exec(
    connection: &Connection,
    act: &Act,
    output: &mpsc::Sender<Piece>,
    counters: &Counters,
    cut: impl Future<Output = &'static str>,
) -> RunEnd {
    tokio::pin!(cut);
    let opened = tokio::select! {
        opened = connection.open_session() => opened,
        why = &mut cut => return RunEnd::NotBegun(why.to_owned()),
    };
    let channel = match opened {
        Ok(channel) => channel,
        Err(_) => return RunEnd::NotBegun("the host opens no further channel on this connection".to_owned()),
    };
    let (mut from, to) = channel.split();
    for (name, value) in &act.env {
        let asked = to.set_env(true, name.as_str(), value.as_str()).await;
        let answer = tokio::select! {
            answer = from.wait() => answer,
            why = &mut cut => {
                let _ = to.close().await;
                return RunEnd::NotBegun(why.to_owned());
            }
        };
        if asked.is_err() || !matches!(answer, Some(ChannelMsg::Success)) {
            let _ = to.close().await;
            // Without the variable it would be another command than the one that was approved.
            return RunEnd::NotBegun(format!("the host does not take the variable {name} (sshd: AcceptEnv)"));
        }
    }
    // Once more, at the last moment at which it can be kept from beginning.
    if let Some(why) = std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match cut.as_mut().poll(cx) {
            std::task::Poll::Ready(why) => Some(why),
            std::task::Poll::Pending => None,
        })
    })
    .await
    {
        let _ = to.close().await;
        return RunEnd::NotBegun(why.to_owned());
    }
    if to.exec(true, act.command.clone()).await.is_err() {
        return RunEnd::NotBegun("the connection to the host broke off".to_owned());
    }
    let feed = async {
        if !act.stdin.is_empty() {
            counters.bytes_in.fetch_add(u64::try_from(act.stdin.len()).unwrap_or(0), Ordering::Relaxed);
            let _ = to.data_bytes(act.stdin.clone()).await;
        }
        let _ = to.eof().await;
    };
    let read = async {
        let (mut status, mut signal, mut begun) = (None, None, false);
        let count = |data: &Bytes| counters.bytes_out.fetch_add(u64::try_from(data.len()).unwrap_or(0), Ordering::Relaxed);
        while let Some(message) = from.wait().await {
            match message {
                ChannelMsg::Success => begun = true,
                ChannelMsg::Failure if !begun => return RunEnd::NotBegun("the host runs no command for this account".to_owned()),
                ChannelMsg::Data { data } => {
                    count(&data);
                    let _ = output.send(Piece::Out(data)).await;
                }
                ChannelMsg::ExtendedData { data, .. } => {
                    count(&data);
                    let _ = output.send(Piece::Err(data)).await;
                }
                ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                ChannelMsg::ExitSignal { signal_name, .. } => signal = Some(name_of(&signal_name)),
                ChannelMsg::Close => return RunEnd::Exited { status, signal },
                _ => {}
            }
        }
        // The host's connection broke off: a status that came before still tells how the command ended.
        if status.is_some() || signal.is_some() {
            RunEnd::Exited { status, signal }
        } else {
            RunEnd::Cut("the connection to the host broke off".to_owned())
        }
    };
    tokio::pin!(feed, read);
    let mut fed = false;
    let end = loop {
        tokio::select! {
            biased;
            end = &mut read => break end,
            () = &mut feed, if !fed => fed = true,
            why = &mut cut => {
                // A command without a terminal does not notice a closed channel until it writes: it is told.
                let _ = to.signal(Sig::TERM).await;
                break RunEnd::Cut(why.to_owned());
            }
        }
    };
    let _ = to.close().await;
    end
}

fn name_of(signal: &Sig) -> String {
    match signal {
        Sig::ABRT => "ABRT".to_owned(),
        Sig::ALRM => "ALRM".to_owned(),
        Sig::FPE => "FPE".to_owned(),
        Sig::HUP => "HUP".to_owned(),
        Sig::ILL => "ILL".to_owned(),
        Sig::INT => "INT".to_owned(),
        Sig::KILL => "KILL".to_owned(),
        Sig::PIPE => "PIPE".to_owned(),
        Sig::QUIT => "QUIT".to_owned(),
        Sig::SEGV => "SEGV".to_owned(),
        Sig::TERM => "TERM".to_owned(),
        Sig::USR1 => "USR1".to_owned(),
        Sig::Custom(name) => crate::model::printable(name, 32),
    }
}
