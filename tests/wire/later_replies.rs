//! 0015: a global request is answered when the answer is known, in its turn; the request for an agent by who reads the channel.

use russh::server::{self, Auth, GlobalReplyHandle};
use russh::{Channel, ChannelId, ChannelMsg};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::support::{Guest, client_config, connect_in, next, server_config, within};

/// Keeps what begins with `keep`, answers the rest at once.
struct Later {
    kept: UnboundedSender<(Vec<u8>, GlobalReplyHandle)>,
    channels: UnboundedSender<Channel<server::Msg>>,
}

impl server::Handler for Later {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<server::Msg>,
        reply: server::ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        let _ = self.channels.send(channel);
        Ok(())
    }

    async fn global_request_later(
        &mut self,
        name: &str,
        data: &[u8],
        reply: GlobalReplyHandle,
        _: &mut server::Session,
    ) -> Result<Option<GlobalReplyHandle>, Self::Error> {
        if !name.starts_with("keep") && name != "tcpip-forward" {
            return Ok(Some(reply));
        }
        let _ = self.kept.send((data.to_vec(), reply));
        Ok(None)
    }

    async fn global_request(&mut self, name: &str, _: &[u8], _: &mut server::Session) -> Result<bool, Self::Error> {
        Ok(name == "known@test")
    }

    fn consumer_answers_agent_request(&mut self, _: ChannelId) -> bool {
        true
    }
}

struct Ends {
    client: russh::client::Handle<Guest>,
    _server: server::Handle,
    kept: UnboundedReceiver<(Vec<u8>, GlobalReplyHandle)>,
    channels: UnboundedReceiver<Channel<server::Msg>>,
}

async fn ends() -> Ends {
    let (kept_to, kept) = unbounded_channel();
    let (channels_to, channels) = unbounded_channel();
    let (client, server) = connect_in(server_config(), client_config(), Later { kept: kept_to, channels: channels_to }).await;
    Ends { client, _server: server, kept, channels }
}

#[tokio::test]
async fn answers_that_come_late_come_in_the_order_of_the_requests() {
    let mut ends = ends().await;
    let client = &ends.client;
    let asked = async {
        tokio::join!(
            client.send_global_request("keep-1@test", b"one", true),
            client.send_global_request("known@test", b"", true),
            client.send_global_request("keep-2@test", b"two", true),
            client.send_global_request("unheard-of@test", b"", true),
            client.tcpip_forward("localhost", 0),
        )
    };
    let answered = async {
        let mut kept = Vec::new();
        while kept.len() < 3 {
            kept.push(ends.kept.recv().await.unwrap());
        }
        assert_eq!((&kept[0].0[..], &kept[1].0[..]), (&b"one"[..], &b"two"[..]));
        assert!(kept.iter().all(|(_, reply)| reply.is_wanted()));
        // From the last to the first.
        kept.pop().unwrap().1.success(&4711_u32.to_be_bytes());
        drop(kept.pop());
        kept.pop().unwrap().1.success(b"first");
    };
    let (told, ()) = within("answers", async { tokio::join!(asked, answered) }).await;
    assert_eq!(told.0.unwrap().unwrap().to_vec(), b"first");
    assert!(told.1.is_ok(), "answered at once, and sent in its turn");
    assert!(told.2.is_err(), "dropped is refused");
    assert!(told.3.is_err());
    assert_eq!(told.4.unwrap(), 4711);
}

#[tokio::test]
async fn what_wants_no_reply_gets_none_whatever_is_said() {
    let mut ends = ends().await;
    ends.client.send_global_request("keep@test", b"", false).await.unwrap();
    let (_, reply) = within("request", ends.kept.recv()).await.unwrap();
    assert!(!reply.is_wanted());
    reply.success(b"nobody hears it");
    assert!(within("reply", ends.client.send_global_request("unheard-of@test", b"", true)).await.is_err(), "it has its own answer");
}

#[tokio::test]
async fn a_flood_behind_an_answer_that_does_not_come_ends_the_connection() {
    let mut ends = ends().await;
    let client = &ends.client;
    let flood = async {
        let first = client.send_global_request("keep@test", b"", true);
        let rest = async {
            // Each waits for its answer, so they are sent at once.
            let rest: Vec<_> = (0..3000).map(|_| Box::pin(client.send_global_request("known@test", b"", true))).collect();
            for mut each in rest {
                // Polled once: sent, and not waited for.
                let _ = std::future::poll_fn(|cx| std::task::Poll::Ready(each.as_mut().poll(cx).is_ready())).await;
                tokio::task::yield_now().await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! { biased; first = first => first.is_err(), () = rest => false }
    };
    let kept = async {
        let _kept = ends.kept.recv().await;
        std::future::pending::<()>().await;
    };
    let ended = within("end", async {
        tokio::select! { ended = flood => ended, () = kept => false }
    })
    .await;
    assert!(ended);
}

#[tokio::test]
async fn the_request_for_an_agent_is_answered_by_who_reads_the_channel() {
    let mut ends = ends().await;
    for granted in [true, false] {
        let mut near = within("open", ends.client.channel_open_session()).await.unwrap();
        let mut far = within("accept", ends.channels.recv()).await.unwrap();
        near.agent_forward(true).await.unwrap();
        assert!(matches!(next(&mut far).await, Some(ChannelMsg::AgentForward { want_reply: true })));
        let (_far, write) = far.split();
        let said = if granted { write.success().await } else { write.failure().await };
        said.unwrap();
        let heard = next(&mut near).await;
        assert_eq!(matches!(heard, Some(ChannelMsg::Success)), granted, "{heard:?}");
    }
}
