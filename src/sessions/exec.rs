//! A channel of a scan on a host: one command, its standard input written bit by bit, its output read as it comes. Opened only on a
//! witnessed word of the person who started the scan. Runs beside what the person does; knows nothing of what is asked.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Pty};
use tokio::io::AsyncWrite;
use tokio::sync::{oneshot, watch};

use super::live::Counted;
use crate::audit::Audited;
use crate::authz::Reach;
use crate::model::{Action, ProbeAct};
use crate::relay::Counters;
use crate::target::Connection;

/// What a scan asks of a connection.
pub(super) struct Opening {
    pub(super) proof: Audited<ProbeAct>,
    pub(super) command: String,
    pub(super) terminal: bool,
    pub(super) reply: oneshot::Sender<Result<ExecChannel, String>>,
}

/// What the host said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecHeard {
    /// On standard output.
    Out(Bytes),
    /// On standard error.
    Err(Bytes),
    /// The command ended with this status; a signal counts as 128.
    Status(u32),
}

/// The channel, in its two halves.
#[derive(Debug)]
pub struct ExecChannel {
    /// What the command writes.
    pub output: ExecOutput,
    /// What it reads.
    pub input: ExecInput,
}

/// What the command writes.
pub struct ExecOutput {
    from: ChannelReadHalf,
    counters: Arc<Counters>,
    /// It counts as open while it is.
    _counted: Counted,
}

/// What the command reads.
pub struct ExecInput {
    to: ChannelWriteHalf<Msg>,
    counters: Arc<Counters>,
}

impl std::fmt::Debug for ExecOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExecOutput")
    }
}

impl std::fmt::Debug for ExecInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExecInput")
    }
}

/// Columns and rows of a terminal that nobody sees.
const SCREEN: (u32, u32) = (80, 24);
/// A terminal that changes nothing of what passes it (RFC 4254 section 8): no echo, no lines, no signals, no other line ends.
const RAW: [(Pty, u32); 8] = [
    (Pty::ECHO, 0),
    (Pty::ECHONL, 0),
    (Pty::ICANON, 0),
    (Pty::ISIG, 0),
    (Pty::IEXTEN, 0),
    (Pty::ICRNL, 0),
    (Pty::IXON, 0),
    (Pty::OPOST, 0),
];

/// Opens it on a live session's connection and hands it over.
pub(super) async fn open_on(connection: &Connection, opening: Opening, reach: &watch::Receiver<Reach>, counted: Counted) {
    let Opening { proof, command, terminal, reply } = opening;
    // Asked where it counts: the grant may have changed since the scan looked.
    let opened = if reach.borrow().allows(Action::Scan) {
        open(connection, &proof, &command, terminal, counted).await
    } else {
        Err("scanning is not granted any more".to_owned())
    };
    if let Err(Ok(unwanted)) = reply.send(opened) {
        unwanted.input.close().await;
    }
}

/// Opens a session channel and starts the command on it. The proof is only looked at: one word of the person may take two channels,
/// one of them as root.
pub(super) async fn open(
    connection: &Connection,
    _proof: &Audited<ProbeAct>,
    command: &str,
    terminal: bool,
    counted: Counted,
) -> Result<ExecChannel, String> {
    open_kept(connection, command, terminal, counted).await
}

/// The same for whoever keeps the proof: the caller has one that names this host.
pub(super) async fn open_kept(connection: &Connection, command: &str, terminal: bool, counted: Counted) -> Result<ExecChannel, String> {
    let channel = connection.open_session().await.map_err(|_| "the host opens no further channel on this connection".to_owned())?;
    let (mut from, to) = channel.split();
    match begin(&mut from, &to, command, terminal).await {
        Ok(()) => {
            let counters = counted.counters();
            let output = ExecOutput { from, counters: Arc::clone(&counters), _counted: counted };
            Ok(ExecChannel { output, input: ExecInput { to, counters } })
        }
        Err(why) => {
            // On a connection that goes on, a channel that nobody uses is one too many.
            let _ = to.close().await;
            Err(why)
        }
    }
}

async fn begin(from: &mut ChannelReadHalf, to: &ChannelWriteHalf<Msg>, command: &str, terminal: bool) -> Result<(), String> {
    if terminal {
        let (columns, rows) = SCREEN;
        to.request_pty(true, "dumb", columns, rows, 0, 0, &RAW).await.map_err(|_| gone())?;
        if !answered(from).await? {
            return Err("the host gives no terminal".to_owned());
        }
    }
    to.exec(true, command.as_bytes()).await.map_err(|_| gone())?;
    if !answered(from).await? {
        return Err("the host runs no command for this account".to_owned());
    }
    Ok(())
}

fn gone() -> String {
    "the connection to the host broke off".to_owned()
}

async fn answered(from: &mut ChannelReadHalf) -> Result<bool, String> {
    loop {
        match from.wait().await {
            Some(ChannelMsg::Success) => return Ok(true),
            Some(ChannelMsg::Failure) => return Ok(false),
            Some(ChannelMsg::Close) | None => return Err(gone()),
            Some(_) => {}
        }
    }
}

impl ExecOutput {
    /// What comes next; `None`: the channel is closed. Whoever reads slowly slows down the command.
    pub async fn next(&mut self) -> Option<ExecHeard> {
        let count = |data: &Bytes| self.counters.bytes_out.fetch_add(u64::try_from(data.len()).unwrap_or(0), Ordering::Relaxed);
        loop {
            match self.from.wait().await? {
                ChannelMsg::Data { data } => {
                    count(&data);
                    return Some(ExecHeard::Out(data));
                }
                ChannelMsg::ExtendedData { data, .. } => {
                    count(&data);
                    return Some(ExecHeard::Err(data));
                }
                ChannelMsg::ExitStatus { exit_status } => return Some(ExecHeard::Status(exit_status)),
                ChannelMsg::ExitSignal { .. } => return Some(ExecHeard::Status(128)),
                ChannelMsg::Close => return None,
                _ => {}
            }
        }
    }
}

impl ExecInput {
    /// Writes to the command's standard input. Waits while the host takes nothing.
    ///
    /// # Errors
    /// The channel is closed.
    pub async fn send(&self, bytes: Bytes) -> Result<(), String> {
        self.counters.bytes_in.fetch_add(u64::try_from(bytes.len()).unwrap_or(0), Ordering::Relaxed);
        self.to.data_bytes(bytes).await.map_err(|_| gone())
    }

    /// Where the one secret goes that a command may ask for.
    pub(super) fn writer(&self) -> impl AsyncWrite {
        self.to.make_writer()
    }

    /// Says that nothing more comes: the command reads the end of its standard input.
    ///
    /// # Errors
    /// The channel is closed.
    pub async fn end(&self) -> Result<(), String> {
        self.to.eof().await.map_err(|_| gone())
    }

    /// Closes the channel; what still runs there learns it when it writes.
    pub async fn close(&self) {
        let _ = self.to.close().await;
    }
}
