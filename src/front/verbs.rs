//! The console over ssh: each channel of a person who signed in under their own name runs one verb.

use std::sync::Arc;

use russh::{ChannelMsg, Disconnect, server};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::console::{self, Screen};
use super::handler::Doorway;
use crate::control::{Caller, Desk};
use crate::fault::Calling;
use crate::relay::{self, ClientChannel, Held};
use crate::sessions::Arrival;

/// Serves verbs until the client is gone.
pub(super) async fn serve(
    door: Arc<Doorway>,
    caller: Caller,
    key: String,
    calling: Calling,
    mut arrivals: mpsc::Receiver<Arrival>,
    handle: server::Handle,
) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            arrival = arrivals.recv() => match arrival {
                Some(Arrival::Channel { channel, reply, seat }) => {
                    let (door, caller, key, calling) = (Arc::clone(&door), caller.clone(), key.clone(), calling.clone());
                    running.spawn(async move {
                        let _seat = seat;
                        reply.accept().await;
                        // A key that was removed meanwhile opens no further verb.
                        if door.authn.owner_of(key).await == Some(caller.user) {
                            verb(&door.desk, caller, calling, channel).await;
                        } else {
                            relay::say(channel, Held::default(), "your key was removed\nhint: ask whoever runs this broker").await;
                        }
                    });
                }
                Some(Arrival::Left(_)) | None => break,
            },
            Some(done) = running.join_next() => if let Err(error) = done {
                tracing::error!(target: "keyward::front", %error, "a verb's task failed");
                let _ = handle.disconnect(Disconnect::ByApplication, "a defect of the broker".to_owned(), "en".to_owned()).await;
                break;
            },
        }
    }
    running.shutdown().await;
}

async fn verb(desk: &Desk, caller: Caller, calling: Calling, mut channel: ClientChannel) {
    let mut held = Held::default();
    relay::hold(&mut channel, &mut held).await;
    if held.gone {
        let _ = channel.close().await;
        return;
    }
    let mut width = None;
    let mut words = None;
    let mut answers = Vec::new();
    for message in &held.messages {
        match message {
            ChannelMsg::RequestPty { want_reply, col_width, .. } => {
                width = u16::try_from(*col_width).ok().filter(|w| *w > 0);
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
            ChannelMsg::SetEnv { want_reply, .. } | ChannelMsg::RequestX11 { want_reply, .. } | ChannelMsg::Request { want_reply, .. } => {
                answers.extend(want_reply.then_some(false));
            }
            ChannelMsg::RequestSubsystem { want_reply, .. } => answers.extend(want_reply.then_some(true)),
            _ => {}
        }
    }
    let Some(words) = words else {
        relay::say(channel, held, "there are no files here, only verbs\nhint: sftp goes to a host: sftp -P PORT HOST@BROKER").await;
        return;
    };
    let (mut from, to) = channel.split();
    for answer in answers {
        let _ = if answer { to.success().await } else { to.failure().await };
    }
    let screen = Screen { terminal: held.pty, width, calling };
    let (mut out, mut err) = (to.make_writer(), to.make_writer_ext(Some(1)));
    let status = console::run(desk, caller, &words, from.make_reader(), &mut out, &mut err, screen).await;
    let _ = (out.flush().await, err.flush().await);
    let _ = to.exit_status(status).await;
    let _ = to.eof().await;
    let _ = to.close().await;
}
