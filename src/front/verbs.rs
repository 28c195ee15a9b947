//! The console over ssh: each channel of a person who signed in under their own name runs one verb.

use std::sync::Arc;

use russh::{ChannelMsg, ChannelReadHalf, Disconnect};
use tokio::io::{AsyncWrite, AsyncWriteExt, simplex};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::console::{self, Screen};
use super::jump::{self, Gate};
use super::picker::{self, AtConsole};
use crate::relay::{self, ClientChannel, Held};
use crate::sessions::{Arrival, Seat};

/// Bytes that may be typed ahead of what reads them.
const KEYBOARD: usize = 4096;

/// Serves verbs until the client is gone.
pub(super) async fn serve(guest: AtConsole, mut arrivals: mpsc::Receiver<Arrival>, gate: Gate) {
    // What came inside ends with this connection, and records its end.
    let _over = gate.over.clone().drop_guard();
    let gate = Arc::new(gate);
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            arrival = arrivals.recv() => match arrival {
                Some(Arrival::Channel { channel, reply, seat }) => {
                    let guest = guest.clone();
                    running.spawn(async move {
                        reply.accept().await;
                        // A key that was removed meanwhile opens no further verb.
                        if guest.door.authn.still_vouched(guest.caller.user, guest.key.clone()).await {
                            verb(guest, channel, seat).await;
                        } else {
                            relay::say(channel, Held::default(), "what signed you in does so no more: the key was removed, or the certificate has run out or was revoked\nhint: ask whoever runs this broker", seat.closed()).await;
                        }
                    });
                }
                Some(Arrival::Forward { channel, reply, seat, to }) => {
                    #[allow(clippy::disallowed_methods)] // it ends with this connection; a panic ends the one inside
                    tokio::spawn(jump::begin(Arc::clone(&gate), channel, reply, seat, to));
                }
                Some(Arrival::Left(why)) => {
                    // Sessions that were chosen here end by themselves, and record how.
                    guest.sitting.left(why);
                    break;
                }
                None => break,
            },
            Some(done) = running.join_next() => if let Err(error) = done {
                tracing::error!(target: "keyward::front", %error, "a verb's task failed");
                let _ = guest.handle.disconnect(Disconnect::ByApplication, "a defect of the broker".to_owned(), "en".to_owned()).await;
                break;
            },
        }
    }
    running.shutdown().await;
}

async fn verb(guest: AtConsole, mut channel: ClientChannel, seat: Seat) {
    let mut held = Held::default();
    relay::hold(&mut channel, &mut held).await;
    if held.gone {
        let _ = channel.close().await;
        return;
    }
    let held = match picker::on_terminal(&held) {
        // Without a host, and where it is not known which, the console says so.
        true => {
            // From before the hosts are read, so that no change of them is missed.
            let bell = guest.door.rooms.guard.listen();
            match guest.door.desk.choices(&guest.caller).await {
                Ok(choices) if !choices.hosts.is_empty() => return picker::stand(guest, channel, held, seat, (choices, bell)).await,
                Ok(_) | Err(_) => held,
            }
        }
        false => held,
    };
    let AtConsole { door, caller, calling, handle, .. } = guest;
    let desk = &door.desk;
    let mut screen = Screen { terminal: held.pty, calling, ..Screen::default() };
    let (resize, size) = watch::channel((0, 0));
    let mut words = None;
    let mut answers = Vec::new();
    for message in &held.messages {
        match message {
            ChannelMsg::RequestPty { want_reply, term, col_width, row_height, .. } => {
                screen.width = u16::try_from(*col_width).ok().filter(|w| *w > 0);
                screen.dumb = matches!(term.as_str(), "" | "dumb");
                resize.send_replace(cells(*col_width, *row_height));
                answers.extend(want_reply.then_some(true));
            }
            ChannelMsg::RequestShell { want_reply } => {
                words = Some(Vec::new());
                answers.extend(want_reply.then_some(true));
            }
            ChannelMsg::Exec { want_reply, command } => {
                words = Some(command.clone());
                answers.extend(want_reply.then_some(true));
            }
            ChannelMsg::SetEnv { want_reply, variable_name, variable_value } => {
                // See no-color.org; nothing else of what a client sends means anything here.
                screen.plain |= variable_name == "NO_COLOR" && !variable_value.is_empty();
                answers.extend(want_reply.then_some(false));
            }
            ChannelMsg::WindowChange { col_width, row_height, .. } => {
                resize.send_replace(cells(*col_width, *row_height));
            }
            // Answered by the handler already.
            ChannelMsg::AgentForward { .. } => screen.agent = Some(console::AgentDoor::new(handle.clone())),
            ChannelMsg::RequestX11 { want_reply, .. } | ChannelMsg::Request { want_reply, .. } => {
                answers.extend(want_reply.then_some(false));
            }
            ChannelMsg::RequestSubsystem { want_reply, .. } => answers.extend(want_reply.then_some(true)),
            _ => {}
        }
    }
    let Some(words) = words else {
        relay::say(
            channel,
            held,
            "there are no files here, only verbs\nhint: sftp goes to a host: sftp -P PORT HOST@BROKER",
            seat.closed(),
        )
        .await;
        return;
    };
    let (mut from, to) = channel.split();
    for answer in answers {
        let _ = if answer { to.success().await } else { to.failure().await };
    }
    let (mut out, mut err) = (to.make_writer(), to.make_writer_ext(Some(1)));
    let status = if screen.terminal {
        screen.size = Some(size);
        let (typed, mut keyboard) = simplex(KEYBOARD);
        let verb = console::run(desk, caller, &words, typed, &mut out, &mut err, screen);
        tokio::pin!(verb);
        tokio::select! {
            status = &mut verb => status,
            // The client is gone, or says no more: the verb finds its keyboard at an end.
            () = type_on(&mut from, &mut keyboard, &resize) => {
                let _ = keyboard.shutdown().await;
                verb.await
            }
        }
    } else {
        console::run(desk, caller, &words, from.make_reader(), &mut out, &mut err, screen).await
    };
    let _ = (out.flush().await, err.flush().await);
    let _ = to.exit_status(status).await;
    let _ = to.eof().await;
    let _ = to.close().await;
}

/// What a person types goes to the verb, and the size of their terminal to whoever draws on it.
async fn type_on(from: &mut ChannelReadHalf, keyboard: &mut (impl AsyncWrite + Unpin), resize: &watch::Sender<(u16, u16)>) {
    while let Some(message) = from.wait().await {
        match message {
            ChannelMsg::Data { data } if keyboard.write_all(&data).await.is_err() => return,
            ChannelMsg::WindowChange { col_width, row_height, .. } => {
                resize.send_replace(cells(col_width, row_height));
            }
            ChannelMsg::Eof | ChannelMsg::Close => return,
            _ => {}
        }
    }
}

/// Columns and rows; a client that does not say has the usual ones.
pub(super) fn cells(columns: u32, rows: u32) -> (u16, u16) {
    let or = |n: u32, usual: u16| u16::try_from(n).ok().filter(|n| *n > 0).unwrap_or(usual);
    (or(columns, 80), or(rows, 24))
}
