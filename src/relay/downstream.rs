//! From the host to the client: output, answers, how it ended.

use std::sync::atomic::Ordering;

use russh::{ChannelMsg, ChannelReadHalf};
use tokio_util::sync::CancellationToken;

use super::files::Files;
use super::notice::{Lookout, Teller};
use super::replies::Replies;
use super::say::ToClient;
use super::{Counters, End, Ends};
use crate::model::wire::{self, Word};

/// The leg that reads from the host.
pub(super) struct Downstream<'a> {
    pub(super) to_client: &'a ToClient,
    pub(super) replies: &'a Replies,
    pub(super) counters: &'a Counters,
    pub(super) exit_status: Option<u32>,
    pub(super) ends: &'a Ends,
    pub(super) client_closed: &'a CancellationToken,
    pub(super) lookout: Option<&'a Lookout>,
    pub(super) files: &'a Files,
}

impl Downstream<'_> {
    /// Reads until the host closes. A send that fails means that the client has closed; the host's close follows then.
    pub(super) async fn run(&mut self, from: &mut ChannelReadHalf) -> End {
        let to = self.to_client;
        let count = |n: usize| self.counters.bytes_out.fetch_add(u64::try_from(n).unwrap_or(0), Ordering::Relaxed);
        let mut teller: Option<Teller> = None;
        loop {
            if teller.is_none() {
                teller = self.lookout.filter(|l| l.is_live()).map(Teller::new);
            }
            let message = match &mut teller {
                None => from.wait().await,
                Some(teller) => tokio::select! {
                    message = from.wait() => message,
                    () = teller.changed() => {
                        tokio::select! {
                            biased;
                            () = self.client_closed.cancelled() => {}
                            () = teller.tell(to) => {}
                        }
                        continue;
                    }
                },
            };
            let Some(message) = message else { break };
            if let (Some(teller), ChannelMsg::Eof | ChannelMsg::ExitStatus { .. } | ChannelMsg::ExitSignal { .. }) = (&mut teller, &message)
            {
                teller.ends(to).await;
            }
            let _ = match message {
                ChannelMsg::Data { data } => {
                    count(data.len());
                    self.files.host(&data).await;
                    // A client that has closed the channel opens its window for nobody. Asked last: it takes a lock.
                    tokio::select! {
                        biased;
                        sent = async {
                            match &mut teller {
                                None => to.data_bytes(data).await,
                                Some(teller) => teller.pass(data, to).await,
                            }
                        } => sent,
                        () = self.client_closed.cancelled() => Ok(()),
                    }
                }
                ChannelMsg::ExtendedData { data, ext } => {
                    count(data.len());
                    tokio::select! {
                        biased;
                        sent = to.extended_data_bytes(ext, data) => sent,
                        () = self.client_closed.cancelled() => Ok(()),
                    }
                }
                ChannelMsg::Eof => {
                    self.ends.host.store(true, Ordering::SeqCst);
                    to.eof().await
                }
                ChannelMsg::Success => {
                    self.replies.answered(true, to).await;
                    Ok(())
                }
                ChannelMsg::Failure => {
                    if let Some(what) = self.replies.answered(false, to).await {
                        return End::Refused(format!("the host refused {what}"));
                    }
                    Ok(())
                }
                ChannelMsg::ExitStatus { exit_status } => {
                    self.exit_status = Some(exit_status);
                    to.exit_status(exit_status).await
                }
                ChannelMsg::ExitSignal { signal_name, core_dumped, error_message, lang_tag } => {
                    // As a shell counts a command that a signal ended; for the record only.
                    self.exit_status = Some(255);
                    to.exit_signal(signal_name, core_dumped, error_message, lang_tag).await
                }
                ChannelMsg::XonXoff { client_can_do } => to.xon_xoff(client_can_do).await,
                ChannelMsg::Request { ref name, .. } if !wire::look_up(Word::Request, name).relayed_from_host() => Ok(()),
                ChannelMsg::Request { name, data, .. } => to.request(name, false, data).await,
                ChannelMsg::Close => return End::Closed,
                _ => Ok(()),
            };
        }
        End::HostLost
    }
}
