//! Connections inside connections: a person who signed in under their own name asks for a connection to a host (`ssh -J NAME@BROKER
//! HOST`), and what comes on that channel is served as a new connection to the broker, for that host and that person alone. One level
//! deep: inside there is no own name, so nothing asks for a third.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use russh::ChannelOpenFailure;
use russh::server::ChannelOpenHandle;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::config::Config;
use super::handler::Doorway;
use super::listener::{Guest, Places, converse};
use super::selector::Selector;
use crate::authn::Known;
use crate::model::{Destination, EndReason, Name, UserId};
use crate::relay::ClientChannel;
use crate::sessions::{Jumps, Landing, Seat};

/// `SSH_OPEN_RESOURCE_SHORTAGE` (RFC 4254 §5.1).
const SHORTAGE: u32 = 4;

/// What holds of a connection that came inside another.
#[derive(Clone, Debug)]
pub(super) struct Within {
    person: UserId,
    name: Name,
    workspace: Name,
    host: Name,
}

impl Within {
    /// To the host of this landing, for its person.
    fn of(landing: &Landing) -> Self {
        let (user, host) = (&landing.user, &landing.host);
        Self { person: user.id, name: user.name.clone(), workspace: host.workspace.clone(), host: host.name.clone() }
    }

    /// Where it leads, whatever the client sends as the user name.
    pub(super) fn selector(&self) -> Selector {
        let (person, workspace) = (Some(self.name.clone()), Some(self.workspace.clone()));
        Selector { person, credential: None, workspace, host: self.host.clone() }
    }

    /// Whether this is the person who opened it.
    pub(super) fn is(&self, known: &Known) -> bool {
        matches!(known, Known::Person(user) if user.id == self.person)
    }

    /// What is recorded of a sign-in inside that failed.
    pub(super) fn told(&self, user: &str) -> String {
        format!("{user} on {}, inside a connection of {}", self.host, self.name)
    }
}

/// What the jumps of one connection need.
pub(super) struct Gate {
    pub(super) door: Arc<Doorway>,
    pub(super) config: Arc<Config>,
    pub(super) places: Arc<Places>,
    pub(super) jumps: Jumps,
    /// Cancelled when the connection around them is over.
    pub(super) over: CancellationToken,
}

/// Serves a channel as a connection of its own, to its end. The type is written out, since what is served may jump itself.
pub(super) fn begin(
    gate: Arc<Gate>,
    channel: ClientChannel,
    reply: ChannelOpenHandle,
    seat: Seat,
    to: Destination,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let _seat = seat;
        let peer = gate.jumps.client;
        let too_many = |what: &str| ChannelOpenFailure::Other { code: SHORTAGE, reason: format!("keyward: {what}") };
        if !gate.door.authn.may_try(peer.ip()) {
            gate.jumps.refused(&to, "too many failed sign-ins from there").await;
            return reply.reject(too_many("too many failed sign-ins from your address; wait a minute")).await;
        }
        // It counts like a connection that came by itself.
        let place = match gate.places.take(peer.ip().to_canonical(), &gate.config) {
            Ok(place) => place,
            Err(limit) => {
                gate.jumps.refused(&to, &format!("the limit `{limit}` is reached")).await;
                return reply.reject(too_many(&format!("no further connection: the limit `{limit}` is reached"))).await;
            }
        };
        let landing = match gate.jumps.leads(&to).await {
            Ok(landing) => landing,
            Err(refusal) => return reply.reject(refusal).await,
        };
        reply.accept().await;
        let (cut, counted) = (gate.over.child_token(), Arc::<Counted>::default());
        let stream = Inner::new(channel.into_stream(), cut.clone(), Arc::clone(&counted));
        let guest = Guest { stream, peer, place, config: Arc::clone(&gate.config) };
        let inside = converse(guest, Arc::clone(&gate.door), Some(Within::of(&landing)), move || cut.cancel());
        // Its end is recorded also if it ends by a defect. It ends when the connection around it does, which cuts its stream.
        #[allow(clippy::disallowed_methods)] // waited for here
        let why = match tokio::spawn(inside).await {
            Ok(EndReason::ClientClosed) => "the connection inside ended",
            Ok(_) => "the connection inside broke off",
            Err(_) => "a defect of the broker",
        };
        let bytes = (counted.read.load(Ordering::Relaxed), counted.written.load(Ordering::Relaxed));
        gate.jumps.ended(&to, &landing, bytes, why).await;
    })
}

/// Bytes that went through, as the channel carried them.
#[derive(Debug, Default)]
struct Counted {
    read: AtomicU64,
    written: AtomicU64,
}

/// A channel's stream that comes to an end when it is cut.
struct Inner<S> {
    stream: S,
    /// For whoever reads, and for whoever writes: each is woken, also while the client gives no window.
    cut: [Pin<Box<WaitForCancellationFutureOwned>>; 2],
    counted: Arc<Counted>,
}

impl<S> Inner<S> {
    fn new(stream: S, token: CancellationToken, counted: Arc<Counted>) -> Self {
        let cut = [token.clone(), token].map(|token| Box::pin(token.cancelled_owned()));
        Self { stream, cut, counted }
    }

    /// Whether nothing more is written.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let [_, writing] = &mut self.cut;
        writing.as_mut().poll(cx).is_ready()
    }
}

fn add(sum: &AtomicU64, n: usize) {
    sum.fetch_add(u64::try_from(n).unwrap_or(0), Ordering::Relaxed);
}

impl<S: AsyncRead + Unpin> AsyncRead for Inner<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let [reading, _] = &mut self.cut;
        if reading.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        add(&self.counted.read, buf.filled().len().saturating_sub(before));
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Inner<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_over(cx) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        // A channel takes no empty write.
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(n)) = &polled {
            add(&self.counted.written, *n);
        }
        polled
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_over(cx) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_over(cx) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_is_cut_comes_to_its_end_even_while_it_waits() {
        let (near, mut far) = tokio::io::duplex(64);
        let (token, counted) = (CancellationToken::new(), Arc::<Counted>::default());
        let mut inner = Inner::new(near, token.clone(), Arc::clone(&counted));
        far.write_all(b"abc").await.unwrap();
        inner.read_exact(&mut [0; 3]).await.unwrap();
        inner.write_all(b"defg").await.unwrap();
        let mut rest = Vec::new();
        let (read, ()) = tokio::join!(inner.read_to_end(&mut rest), async { token.cancel() });
        assert_eq!((read.unwrap(), rest.len()), (0, 0));
        assert_eq!(inner.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!((counted.read.load(Ordering::Relaxed), counted.written.load(Ordering::Relaxed)), (3, 4));
    }

    #[tokio::test]
    async fn a_write_that_waits_for_the_client_is_cut_too() {
        let (near, _far) = tokio::io::duplex(4);
        let token = CancellationToken::new();
        let mut inner = Inner::new(near, token.clone(), Arc::<Counted>::default());
        inner.write_all(b"full").await.unwrap();
        // The write is polled first, and finds no room.
        let (written, ()) = tokio::join!(inner.write(b"x"), async { token.cancel() });
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
