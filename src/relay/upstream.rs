//! From the client to the host: each request is decided by name before the host hears of it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, client};
use tokio_util::sync::CancellationToken;

use super::files::Files;
use super::notice::{Lent, Lookout};
use super::replies::Replies;
use super::say::{Held, ToClient};
use super::{End, Ends, Pump, Running};
use crate::authz::Reach;
use crate::model::wire::{self, Needs, Word};
use crate::model::{Action, printable};

type ToHost = ChannelWriteHalf<client::Msg>;

/// The leg that reads from the client.
pub(super) struct Upstream<'a> {
    pub(super) to_client: &'a ToClient,
    pub(super) to_host: &'a ToHost,
    pub(super) replies: &'a Replies,
    pub(super) pump: &'a Pump,
    pub(super) pty: bool,
    pub(super) started: bool,
    pub(super) ends: &'a Ends,
    pub(super) lookout: Option<&'a Lookout>,
    pub(super) files: &'a Files,
}

/// A step went wrong: the channel on the host is gone, or must end.
type Step = Result<(), Option<End>>;

impl Upstream<'_> {
    /// Reads what is held and then what comes, until the client closes or something must end the channel.
    pub(super) async fn run(&mut self, held: Held, from: &mut ChannelReadHalf) -> End {
        let pump = self.pump;
        let mut gone = held.gone;
        for (at, message) in held.messages.into_iter().enumerate() {
            if at < held.answered {
                self.replies.keep(vital(&message));
            }
            let step = tokio::select! {
                biased;
                step = self.step(message) => step,
                // As below.
                () = drained(&pump.client_closed) => {
                    gone = true;
                    break;
                }
            };
            self.replies.keep_no_more();
            if let Err(Some(end)) = step {
                return end;
            }
        }
        if gone {
            let _ = self.to_host.close().await;
            return End::ByClient;
        }
        // What ended an interlude and is still to be passed on.
        let mut after = None;
        loop {
            let message = match after.take() {
                Some(message) => message,
                None => match from.wait().await {
                    Some(message) => message,
                    None => break,
                },
            };
            if matches!(message, ChannelMsg::Close) {
                break;
            }
            let (message, asked) = self.asked_for(message);
            let step = tokio::select! {
                biased;
                step = self.step(message) => step,
                // The client has closed the channel and the host does not take what was sent before: it may never.
                () = drained(&pump.client_closed) => break,
            };
            match step {
                Ok(()) => {}
                Err(Some(end)) => return end,
                // The host has closed the channel: its side of the pump ends it.
                Err(None) => return End::Closed,
            }
            if let (Some(typed), Some(lookout)) = (asked, self.lookout) {
                after = self.interlude(lookout, typed, from).await;
            }
        }
        // A client that has said its end and seen the host's closes at once, and its command may still run: the host
        // closes by itself when it has told how that ended. Any other close is the client's wish to end it now.
        let natural = self.ends.both();
        if !natural {
            let _ = self.to_host.close().await;
        }
        End::ByClient
    }

    /// The message as the host is to have it; and what was typed behind the keys that ask for what waits.
    fn asked_for(&self, message: ChannelMsg) -> (ChannelMsg, Option<Bytes>) {
        let Some(lookout) = self.lookout.filter(|l| l.is_live()) else { return (message, None) };
        match message {
            ChannelMsg::Data { data } => {
                let (data, asked) = lookout.typed(&data);
                (ChannelMsg::Data { data }, asked)
            }
            message => (message, None),
        }
    }

    /// Lends the person's screen to whoever shows what waits. What they type goes there and the host's output waits; the message
    /// that ended it, if one did, is given back.
    async fn interlude(&mut self, lookout: &Lookout, typed: Bytes, from: &mut ChannelReadHalf) -> Option<ChannelMsg> {
        let Lent { keys, mut screen } = lookout.call()?;
        let tracker = lookout.lend(self.to_client).await;
        let _ = keys.try_send(typed);
        let mut keys = Some(keys);
        let mut after = None;
        loop {
            tokio::select! {
                shown = screen.recv() => match shown {
                    Some(shown) => tokio::select! {
                        biased;
                        () = self.pump.client_closed.cancelled() => {}
                        _ = self.to_client.data_bytes(shown) => {}
                    },
                    None => break,
                },
                message = from.wait(), if keys.is_some() => match message.unwrap_or(ChannelMsg::Close) {
                    // Keys that nobody takes in time are dropped: they were typed at a screen that was not there yet.
                    ChannelMsg::Data { data } => drop(keys.as_ref().map(|k| k.try_send(data))),
                    last @ (ChannelMsg::Close | ChannelMsg::Eof) => {
                        after = Some(last);
                        keys = None;
                    }
                    // Sizes, signals: as ever.
                    other => drop(self.step(other).await),
                },
            }
        }
        let other_screen = tracker.on_other_screen();
        lookout.returned(tracker, self.to_client).await;
        if other_screen {
            self.redraw(lookout).await;
        }
        after
    }

    /// Has the host's program draw its screen anew: programs do when the size changes.
    async fn redraw(&self, lookout: &Lookout) {
        let (columns, rows) = lookout.columns_and_rows();
        let columns = u32::from(columns);
        for (rows, pause) in [(rows.saturating_sub(1).max(1), REDRAW), (rows, Duration::ZERO)] {
            let _ = self.to_host.window_change(columns, u32::from(rows), 0, 0).await;
            // Two changes at once could be seen as none.
            tokio::time::sleep(pause).await;
        }
    }

    async fn step(&mut self, message: ChannelMsg) -> Step {
        let gone = |_| None;
        let to = self.to_host;
        match message {
            ChannelMsg::Data { data } if data.is_empty() => Ok(()),
            ChannelMsg::Data { data } => {
                self.pump.counters.bytes_in.fetch_add(u64::try_from(data.len()).unwrap_or(0), Ordering::Relaxed);
                self.files.client(&data).await;
                to.data_bytes(data).await.map_err(gone)
            }
            ChannelMsg::Eof => {
                if let Some(held) = self.lookout.and_then(Lookout::held_back) {
                    to.data_bytes(held).await.map_err(gone)?;
                }
                self.ends.client.store(true, Ordering::SeqCst);
                to.eof().await.map_err(gone)
            }
            ChannelMsg::RequestPty { want_reply, .. } if self.pump.reach.borrow().no_pty => {
                // It may have been counted as one while the channel waited.
                self.pty = false;
                self.pump.witness.refused("pty-req", "the certificate that signed them in permits no terminal").await;
                if want_reply {
                    self.replies.refused(self.to_client).await;
                }
                Ok(())
            }
            ChannelMsg::RequestPty { want_reply, term, col_width, row_height, pix_width, pix_height, terminal_modes } => {
                self.pty = true;
                if let Some(lookout) = self.lookout {
                    lookout.terminal(&term);
                    lookout.resized(col_width, row_height);
                }
                self.forwarded(want_reply).await;
                to.request_pty(want_reply, &term, col_width, row_height, pix_width, pix_height, &terminal_modes).await.map_err(gone)
            }
            ChannelMsg::SetEnv { want_reply, variable_name, variable_value } => {
                if let Some(lookout) = self.lookout {
                    lookout.variable(&variable_name, &variable_value);
                }
                self.forwarded(want_reply).await;
                to.set_env(want_reply, variable_name, variable_value).await.map_err(gone)
            }
            ChannelMsg::WindowChange { col_width, row_height, pix_width, pix_height } => {
                if let Some(lookout) = self.lookout {
                    lookout.resized(col_width, row_height);
                }
                to.window_change(col_width, row_height, pix_width, pix_height).await.map_err(gone)
            }
            ChannelMsg::Signal { signal } => to.signal(signal).await.map_err(gone),
            ChannelMsg::RequestShell { want_reply } => {
                self.start("shell", &[], want_reply).await?;
                if let Some(lookout) = self.lookout.filter(|_| self.pty) {
                    lookout.shell_begins();
                }
                to.request_shell(want_reply).await.map_err(gone)
            }
            ChannelMsg::Exec { want_reply, command } => {
                self.start("exec", &command, want_reply).await?;
                to.exec(want_reply, command).await.map_err(gone)
            }
            ChannelMsg::RequestSubsystem { want_reply, name } => {
                self.start("subsystem", name.as_bytes(), want_reply).await?;
                to.request_subsystem(want_reply, name).await.map_err(gone)
            }
            ChannelMsg::Request { name, want_reply, data } => self.named(name, want_reply, data).await,
            ChannelMsg::AgentForward { want_reply } => {
                if !self.lends(Action::ForwardAgent, "auth-agent-req@openssh.com", want_reply).await? {
                    return Ok(());
                }
                to.agent_forward(want_reply).await.map_err(gone)
            }
            ChannelMsg::RequestX11 {
                want_reply,
                single_connection,
                x11_authentication_protocol: protocol,
                x11_authentication_cookie: cookie,
                x11_screen_number: screen,
            } => {
                if !self.lends(Action::X11, "x11-req", want_reply).await? {
                    return Ok(());
                }
                // The cookie is one that the client made for this host; it changes it back itself.
                to.request_x11(want_reply, single_connection, protocol, cookie, screen).await.map_err(gone)
            }
            // What a client does not send (RFC 4254 §5.2: it has no standard error).
            _ => Ok(()),
        }
    }

    /// Requests that have no message of their own: what the table lets through, and every other one is refused.
    async fn named(&mut self, name: String, want_reply: bool, data: Bytes) -> Step {
        let row = wire::look_up(Word::Request, &name);
        if row.relayed_from_client() && row.needs == Needs::Nothing {
            self.forwarded(want_reply).await;
            self.to_host.request(name, want_reply, data).await.map_err(|_| None)
        } else {
            self.refuse(&name, want_reply).await
        }
    }

    async fn refuse(&self, name: &str, want_reply: bool) -> Step {
        self.pump.witness.refused(name, "not granted on this broker").await;
        if want_reply {
            self.replies.refused(self.to_client).await;
        }
        Ok(())
    }

    /// A way back to the person: granted and witnessed, or refused by name. The host may take it from then on.
    async fn lends(&self, action: Action, name: &str, want_reply: bool) -> Result<bool, Option<End>> {
        if !self.pump.reach.borrow().allows(action) {
            self.refuse(name, want_reply).await?;
            return Ok(false);
        }
        self.pump.witness.lends(name).await.map_err(|e| Some(End::Unwitnessed(e.to_string())))?;
        self.pump.ways.open(action);
        self.forwarded(want_reply).await;
        Ok(true)
    }

    async fn forwarded(&self, want_reply: bool) {
        if want_reply {
            self.replies.forwarded().await;
        }
    }

    /// A shell, command or subsystem: granted and witnessed, or the channel ends with a sentence that names it.
    async fn start(&mut self, what: &'static str, text: &[u8], want_reply: bool) -> Step {
        if self.started {
            // One of them per channel (RFC 4254 §6.5).
            self.refuse(what, want_reply).await?;
            return Err(Some(End::Refused(format!("a second {what} on one channel"))));
        }
        self.started = true;
        let running = Running { what, text: text.to_vec() };
        let allowed = running.is_granted(&self.pump.reach.borrow());
        if !allowed {
            let sentence = refusal(what, text, &self.pump.reach.borrow());
            self.pump.witness.refused(what, sentence.lines().next().unwrap_or_default()).await;
            if want_reply {
                // Accepted and then ended, so that the sentence is what the person reads.
                self.replies.forwarded().await;
                self.replies.answered(true, self.to_client).await;
            }
            return Err(Some(End::Refused(sentence)));
        }
        // Before the wait for the witness: a withdrawal that comes meanwhile finds it and ends the channel.
        let _ = self.ends.running.set(running);
        self.pump.witness.starts(what, text, self.pty).await.map_err(|e| Some(End::Unwitnessed(e.to_string())))?;
        // A terminal in its raw mode alters no byte: a subsystem is followed there, too.
        if what == "subsystem" || !self.pty {
            self.files.begin(what, text, self.pump);
        }
        self.forwarded(want_reply).await;
        Ok(())
    }
}

/// How long a program has to see one size before the next.
const REDRAW: Duration = Duration::from_millis(100);
/// How long a host may take for what a client sent before it closed the channel.
const DRAIN: Duration = Duration::from_secs(5);

async fn drained(client_closed: &CancellationToken) {
    client_closed.cancelled().await;
    tokio::time::sleep(DRAIN).await;
}

/// What a client that was told that it has it cannot do without.
fn vital(message: &ChannelMsg) -> Option<&'static str> {
    match message {
        ChannelMsg::RequestPty { .. } => Some("a terminal"),
        ChannelMsg::RequestShell { .. } => Some("a shell"),
        _ => None,
    }
}

/// The sentence and the hint for something that is not granted.
fn refusal(what: &str, text: &[u8], reach: &Reach) -> String {
    let shown = printable(&String::from_utf8_lossy(text), 80);
    let granted = reach.actions;
    match what {
        "exec" if reach.allows(Action::Exec) => format!(
            "the command `{shown}` is not among those granted to you here\nhint: only listed commands run, byte by byte; ask for a grant that names it"
        ),
        "subsystem" if shown != "sftp" => format!("the subsystem `{shown}` is not relayed\nhint: sftp is, where it is granted"),
        "subsystem" => format!("sftp is not granted to you here; granted: {granted}\nhint: ask for a grant with sftp"),
        _ => format!("{what} is not granted to you here; granted: {granted}\nhint: ask for a grant with {what}"),
    }
}
