//! An agent over plain ssh: each command is a proposal, its channel waits, streams what the command writes, and ends as it
//! ended. Decides nothing and opens no channel on a host: that is the desk's, and the session's of its person.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use russh::{ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf, Disconnect, Sig, server};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::crowd::Among;
use super::handler::Doorway;
use super::selector::Selector;
use crate::approvals::{Approvals, Draft, Error, Snapshot, Stream, Ticket};
use crate::fault::Fault;
use crate::mcp;
use crate::model::{Agent, AgentId, ProposalId, Stage, printable};
use crate::relay::{self, ClientChannel, Held};
use crate::sessions::{Arrival, Seat};

/// The person denied it (sysexits: EX_NOPERM).
const DENIED: u32 = 77;
/// Nobody decided in time, or it was withdrawn (EX_TEMPFAIL).
const EXPIRED: u32 = 75;
/// Its end was not seen (EX_IOERR).
const INTERRUPTED: u32 = 74;
/// It was approved and did not run (EX_UNAVAILABLE), or there is no connection to run it on.
const UNAVAILABLE: u32 = 69;
/// Everything else that the broker itself has to say.
const BROKER: u32 = 255;

/// How long a client has to begin with standard input, if it means to send any.
const STDIN_BEGINS: Duration = Duration::from_millis(700);
/// How long it has to come to the end, once it began.
const STDIN_ENDS: Duration = Duration::from_secs(30);
/// Bytes of output that are sent at a time.
const PIECE: usize = 32 * 1024;
/// How a client names what it thinks of its own command.
const REASON: &str = "KEYWARD_REASON";
/// How a client names how long its command may run, in seconds.
const TIMEOUT: &str = "KEYWARD_TIMEOUT";

/// `SSH_OPEN_ADMINISTRATIVELY_PROHIBITED` (RFC 4254 §5.1).
const PROHIBITED: u32 = 1;

/// An agent that signed in.
pub(super) struct Visit {
    pub(super) agent: Agent,
    pub(super) selector: Selector,
    pub(super) client: SocketAddr,
    pub(super) arrivals: mpsc::Receiver<Arrival>,
    pub(super) handle: server::Handle,
    /// Its place among the connections of this agent.
    pub(super) among: Among,
}

/// What an agent is told that asks for a connection through a host.
fn no_forward() -> ChannelOpenFailure {
    let reason = "keyward: an agent opens no connection through a host: it proposes commands, ssh HOST@BROKER 'COMMAND'".to_owned();
    ChannelOpenFailure::Other { code: PROHIBITED, reason }
}

/// Serves an agent's channels until it is gone, or is no agent any more.
pub(super) async fn serve(door: Arc<Doorway>, visit: Visit) {
    let Visit { agent, selector, client, mut arrivals, handle, among: _among } = visit;
    let agent = Arc::new(agent);
    let mut bell = door.rooms.guard.listen();
    let mut running = JoinSet::new();
    let why = loop {
        tokio::select! {
            arrival = arrivals.recv() => match arrival {
                Some(Arrival::Channel { channel, reply, seat }) => {
                    let (door, agent, selector) = (Arc::clone(&door), Arc::clone(&agent), selector.clone());
                    running.spawn(async move {
                        reply.accept().await;
                        channel_of(&door, &agent, &selector, client, channel, &seat).await;
                    });
                }
                Some(Arrival::Forward { reply, .. }) => reply.reject(no_forward()).await,
                Some(Arrival::Left(_)) | None => break None,
            },
            Some(done) = running.join_next() => if let Err(error) = done {
                tracing::error!(target: "keyward::front", %error, "an agent's channel failed");
                break Some("a defect of the broker");
            },
            Ok(()) = bell.changed() => if !door.authn.agent_is_there(agent.id).await {
                break Some("this agent may not sign in any more");
            },
        }
    };
    // What waits is withdrawn, and what runs is ended: see the Drop of `Wait` below.
    running.shutdown().await;
    if let Some(why) = why {
        let _ = handle.disconnect(Disconnect::ByApplication, why.to_owned(), "en".to_owned()).await;
    }
}

type ToAgent = ChannelWriteHalf<server::Msg>;

/// What an agent's client asked for on one channel.
#[derive(Default)]
struct Asked {
    command: Option<Vec<u8>>,
    env: Vec<(String, String)>,
    claim: Option<String>,
    timeout: Option<Duration>,
    /// A sentence instead, if it asked for what agents do not get.
    refused: Option<&'static str>,
    /// Something it said cannot be taken.
    unfit: Option<&'static str>,
    answers: Vec<bool>,
}

async fn channel_of(door: &Doorway, agent: &Agent, selector: &Selector, client: SocketAddr, mut channel: ClientChannel, seat: &Seat) {
    let mut held = Held::default();
    relay::hold(&mut channel, &mut held).await;
    if held.gone {
        let _ = channel.close().await;
        return;
    }
    let asked = read(&held.messages);
    let (mut from, to) = channel.split();
    for answer in asked.answers {
        let _ = if answer { to.success().await } else { to.failure().await };
    }
    if selector.host == agent.name && selector.workspace.is_none() {
        return own_door(door, agent, client, asked.command.as_deref(), from, to).await;
    }
    let Some(command) = asked.command else {
        let sentence = asked.refused.unwrap_or("an agent proposes commands: ssh HOST@BROKER 'COMMAND'");
        return end(&to, sentence, BROKER).await;
    };
    if let Some(sentence) = asked.unfit {
        return end(&to, sentence, BROKER).await;
    }
    if selector.workspace.is_some() {
        let sentence = "an agent proposes in the workspace `default` alone\nhint: ssh HOST@BROKER 'COMMAND'";
        return end(&to, sentence, BROKER).await;
    }
    if selector.credential.is_some() {
        let sentence =
            "an agent chooses no credential: its commands run on the connection that its person has open\nhint: ssh HOST@BROKER 'COMMAND'";
        return end(&to, sentence, BROKER).await;
    }
    let stdin = match stdin(&mut from, &held.messages, door.approvals.config().stdin).await {
        Ok(stdin) => stdin,
        Err(Unread::Gone) => return,
        Err(Unread::Sentence(sentence)) => return end(&to, sentence, BROKER).await,
    };
    let draft = Draft {
        session: None,
        stdin,
        env: asked.env,
        timeout: asked.timeout,
        claim: asked.claim,
        ..Draft::new(selector.host.clone(), command)
    };
    let ticket = match door.approvals.propose(agent.id, Some(client), draft).await {
        Ok(ticket) => ticket,
        Err(e) => {
            let status = if matches!(e, Error::NoConnection { .. }) { UNAVAILABLE } else { BROKER };
            return end(&to, &sentence(&e), status).await;
        }
    };
    // From here on it is withdrawn if its agent goes away, whatever it is doing then.
    let wait = Wait { approvals: &door.approvals, agent: agent.id, id: ticket.id };
    let waits =
        format!("keyward: {} waits for its person, at the latest until {}; sha256 {}\n", ticket.id, ticket.expires_at, ticket.digest);
    let _ = to.extended_data_bytes(1, waits.into_bytes()).await;
    follow(&wait, ticket, from, to, seat.closed()).await;
}

/// Reads the requests that came before the command; each that wants an answer gets one, in order.
fn read(messages: &[ChannelMsg]) -> Asked {
    let mut asked = Asked::default();
    for message in messages {
        match message {
            ChannelMsg::SetEnv { want_reply, variable_name, variable_value } => {
                let taken = match variable_name.as_str() {
                    REASON => {
                        asked.claim = Some(variable_value.clone());
                        true
                    }
                    TIMEOUT => {
                        asked.timeout = variable_value.parse().ok().map(Duration::from_secs);
                        if asked.timeout.is_none() {
                            asked.unfit = Some("KEYWARD_TIMEOUT is a number of seconds; nothing was proposed");
                        }
                        asked.timeout.is_some()
                    }
                    // What clients send on their own would be part of what the person approves, and means nothing.
                    "LANG" => false,
                    name if name.starts_with("LC_") => false,
                    name => {
                        asked.env.push((name.to_owned(), variable_value.clone()));
                        true
                    }
                };
                asked.answers.extend(want_reply.then_some(taken));
            }
            ChannelMsg::Exec { want_reply, command } => {
                asked.command = Some(command.clone());
                asked.answers.extend(want_reply.then_some(true));
            }
            ChannelMsg::RequestShell { want_reply } => {
                asked.refused = Some("an agent gets no shell: it proposes commands, ssh HOST@BROKER 'COMMAND'");
                asked.answers.extend(want_reply.then_some(true));
            }
            ChannelMsg::RequestSubsystem { want_reply, .. } => {
                asked.refused = Some("an agent gets no file transfer: it proposes commands, ssh HOST@BROKER 'COMMAND'");
                asked.answers.extend(want_reply.then_some(true));
            }
            ChannelMsg::RequestPty { want_reply, .. }
            | ChannelMsg::RequestX11 { want_reply, .. }
            | ChannelMsg::Request { want_reply, .. } => asked.answers.extend(want_reply.then_some(false)),
            _ => {}
        }
    }
    asked
}

enum Unread {
    Gone,
    Sentence(&'static str),
}

/// Standard input to its end, since all of it is approved. A client that begins with none soon is taken to send none.
async fn stdin(from: &mut ChannelReadHalf, held: &[ChannelMsg], most: usize) -> Result<Vec<u8>, Unread> {
    let mut stdin = Vec::new();
    for message in held {
        match message {
            ChannelMsg::Data { data } => stdin.extend_from_slice(data),
            ChannelMsg::Eof => return Ok(stdin),
            _ => {}
        }
    }
    loop {
        let patience = if stdin.is_empty() { STDIN_BEGINS } else { STDIN_ENDS };
        match tokio::time::timeout(patience, from.wait()).await {
            Ok(Some(ChannelMsg::Data { data })) => stdin.extend_from_slice(&data),
            Ok(Some(ChannelMsg::Eof)) => return Ok(stdin),
            Ok(Some(ChannelMsg::Close) | None) => return Err(Unread::Gone),
            Ok(Some(_)) => {}
            Err(_) if stdin.is_empty() => return Ok(stdin),
            Err(_) => {
                return Err(Unread::Sentence("standard input did not end; nothing was proposed\nhint: close it, or send none: ssh -n"));
            }
        }
        if stdin.len() > most {
            return Err(Unread::Sentence(
                "standard input is longer than is taken; nothing was proposed\nhint: limits are in the broker's broker.toml, [approvals]",
            ));
        }
    }
}

/// Withdraws a proposal whose agent does not wait for it any more.
struct Wait<'a> {
    approvals: &'a Approvals,
    agent: AgentId,
    id: ProposalId,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        // One that has its end stays as it is.
        self.approvals.withdraw(self.agent, self.id);
    }
}

/// Waits with the agent: what the command writes goes out as it comes, and the channel ends as the proposal does.
async fn follow(wait: &Wait<'_>, ticket: Ticket, mut from: ChannelReadHalf, to: ToAgent, closed: &CancellationToken) {
    let Ticket { mut now, output, .. } = ticket;
    let mut changes = output.changes();
    let (mut out, mut err) = (0, 0);
    let mut dropped = false;
    let last = loop {
        let state = now.borrow_and_update().clone();
        // Looked at after the stage: at a final one everything has been written.
        let _ = changes.borrow_and_update();
        for (stream, at) in [(Stream::Out, &mut out), (Stream::Err, &mut err)] {
            loop {
                let part = output.read(stream, *at, PIECE);
                if part.bytes.is_empty() {
                    break;
                }
                *at = part.next;
                let sent = async {
                    match stream {
                        Stream::Out => to.data_bytes(part.bytes).await,
                        Stream::Err => to.extended_data_bytes(1, part.bytes).await,
                    }
                };
                tokio::select! {
                    biased;
                    () = closed.cancelled() => return,
                    sent = sent => if sent.is_err() {
                        return;
                    },
                }
            }
        }
        if state.stage.is_final() {
            break state;
        }
        tokio::select! {
            _ = now.changed() => {}
            _ = changes.changed() => {}
            () = closed.cancelled() => return,
            message = from.wait() => match message {
                Some(ChannelMsg::Close) | None => return,
                // As a terminal's ^C would: whoever asked does not want it any more.
                Some(ChannelMsg::Signal { .. }) => { wait.approvals.withdraw(wait.agent, wait.id); }
                Some(ChannelMsg::Data { .. }) if !dropped => {
                    dropped = true;
                    let late = if state.stage == Stage::Pending {
                        // Run without it, it would be another command than the one that was meant.
                        wait.approvals.withdraw(wait.agent, wait.id);
                        "keyward: standard input came too late to be part of the proposal, which is withdrawn\nkeyward: hint: let it begin at once, or send none: ssh -n\n"
                    } else {
                        "keyward: standard input that came after the proposal is no part of it and was dropped\n"
                    };
                    let _ = to.extended_data_bytes(1, late.as_bytes()).await;
                }
                Some(_) => {}
            },
        }
    };
    let mut notes = String::new();
    for (stream, name) in [(Stream::Out, "standard output"), (Stream::Err, "standard error")] {
        let tally = output.tally(stream);
        if tally.masked > 0 {
            notes.push_str(&format!("keyward: {} secrets were masked on {name}\n", tally.masked));
        }
        if tally.left_out > 0 {
            notes.push_str(&format!("keyward: {} bytes of {name} were left out: at most {} are delivered\n", tally.left_out, tally.kept));
        }
    }
    if let Some(edited) = &last.edited {
        notes.push_str(&format!(
            "keyward: your person wrote another command, and that one ran: {}\n",
            printable(&String::from_utf8_lossy(edited), 2000)
        ));
    }
    let _ = to.extended_data_bytes(1, notes.into_bytes()).await;
    finish(&to, &last).await;
}

async fn finish(to: &ToAgent, last: &Snapshot) {
    let why = last.reason.as_deref().map(|r| format!(": {}", printable(r, 1000))).unwrap_or_default();
    let by = last.decided_by.as_ref().map(|p| format!(" by {p}")).unwrap_or_default();
    match last.stage {
        Stage::Executed => {
            match (&last.exit_signal, last.exit_status) {
                (Some(signal), _) => {
                    let _ = to.exit_signal(signal_of(signal), false, String::new(), String::new()).await;
                }
                (None, status) => {
                    let _ = to.exit_status(status.unwrap_or(BROKER)).await;
                }
            }
            let _ = to.eof().await;
            let _ = to.close().await;
        }
        Stage::Denied => end(to, &format!("denied{by}{why}"), DENIED).await,
        Stage::Expired => end(to, &format!("expired, and did not run{why}"), EXPIRED).await,
        Stage::Failed => end(to, &format!("approved{by}, but it did not run{why}"), UNAVAILABLE).await,
        _ => end(to, &format!("interrupted; it may have run in part{why}"), INTERRUPTED).await,
    }
}

/// What the broker has to say, and the end of the channel.
async fn end(to: &ToAgent, sentence: &str, status: u32) {
    let mut text = String::new();
    for line in sentence.lines() {
        text.push_str("keyward: ");
        text.push_str(line);
        text.push('\n');
    }
    let _ = to.extended_data_bytes(1, text.into_bytes()).await;
    let _ = to.exit_status(status).await;
    let _ = to.eof().await;
    let _ = to.close().await;
}

fn sentence(e: &Error) -> String {
    match e.hint() {
        Some(hint) => format!("{e}\nhint: {hint}"),
        None => e.to_string(),
    }
}

/// The agent's own name as the host: what it may use, or its MCP server on this channel.
async fn own_door(door: &Doorway, agent: &Agent, client: SocketAddr, command: Option<&[u8]>, mut from: ChannelReadHalf, to: ToAgent) {
    match command.map(<[u8]>::trim_ascii) {
        Some(b"mcp") => {
            let tools = mcp::Doorway {
                approvals: door.approvals.clone(),
                scans: door.scans.clone(),
                authn: door.authn.clone(),
                guard: door.rooms.guard.clone(),
            };
            let ended = mcp::serve(&tools, agent.clone(), Some(client), from.make_reader(), to.make_writer()).await;
            let _ = to.exit_status(if ended == mcp::Ended::Left { 0 } else { BROKER }).await;
            let _ = to.eof().await;
            let _ = to.close().await;
        }
        None => match door.approvals.hosts(agent.id).await {
            Ok(hosts) => {
                let mut text = format!("Hello {}. You may propose commands on:\n", agent.name);
                for (host, live) in &hosts {
                    let state = if live.is_empty() { "no connection open" } else { "connection open" };
                    text.push_str(&format!("  {} ({state})\n", host.name));
                }
                if hosts.is_empty() {
                    text = format!(
                        "Hello {}. There is no host on which you may propose: your person needs a grant with `propose`.\n",
                        agent.name
                    );
                } else {
                    text.push_str("Propose: ssh HOST@BROKER 'COMMAND'     Speak MCP: ssh ");
                    text.push_str(&format!("{}@BROKER mcp\n", agent.name));
                }
                let _ = to.data_bytes(text.into_bytes()).await;
                let _ = to.exit_status(0).await;
                let _ = to.eof().await;
                let _ = to.close().await;
            }
            Err(e) => end(&to, &sentence(&e), BROKER).await,
        },
        Some(_) => end(&to, "verbs are for people; an agent has `mcp`, and proposes commands: ssh HOST@BROKER 'COMMAND'", BROKER).await,
    }
}

fn signal_of(name: &str) -> Sig {
    match name {
        "ABRT" => Sig::ABRT,
        "ALRM" => Sig::ALRM,
        "FPE" => Sig::FPE,
        "HUP" => Sig::HUP,
        "ILL" => Sig::ILL,
        "INT" => Sig::INT,
        "KILL" => Sig::KILL,
        "PIPE" => Sig::PIPE,
        "QUIT" => Sig::QUIT,
        "SEGV" => Sig::SEGV,
        "TERM" => Sig::TERM,
        "USR1" => Sig::USR1,
        other => Sig::Custom(other.to_owned()),
    }
}
