//! Between the SDK's transport and its service: a client has a bounded number of requests under way and of answers that it
//! has not read. One that wants more is not listened to until it has fewer. Never reads a message's meaning.

use std::io;
use std::sync::Arc;

use rmcp::model::{GetExtensions, JsonRpcMessage};
use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Requests under way on one connection, and answers that wait to be read.
pub(super) const REQUESTS: usize = 64;

/// A bounded transport of the SDK.
pub(super) struct Gate<R: AsyncRead, W: AsyncWrite> {
    inner: AsyncRwTransport<RoleServer, R, W>,
    requests: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    /// The place of the request that comes next.
    place: Option<OwnedSemaphorePermit>,
    /// Cancelled when the client says no more: nobody is there to wait for anything.
    left: CancellationToken,
}

impl<R, W> Gate<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    /// A gate in front of these. `most`: the longest message in bytes, which the reader is trusted to keep, too.
    pub(super) fn new(reader: R, writer: W, most: usize, left: CancellationToken) -> Self {
        Self {
            inner: AsyncRwTransport::new(reader, writer).with_max_line_length(most.saturating_add(1)),
            requests: Arc::new(Semaphore::new(REQUESTS)),
            answers: Arc::new(Semaphore::new(REQUESTS)),
            place: None,
            left,
        }
    }
}

impl<R, W> Transport<RoleServer> for Gate<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(&mut self, item: TxJsonRpcMessage<RoleServer>) -> impl Future<Output = io::Result<()>> + Send + 'static {
        // What is under way already is sent in any case: how much that can be is bounded by the places of requests.
        let answer = Arc::clone(&self.answers).try_acquire_owned().ok();
        let sent = self.inner.send(item);
        async move {
            let _answer = answer;
            sent.await
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        // Both waits keep nothing but the place, so that the SDK can drop this future at any time.
        drop(self.answers.acquire().await.ok()?);
        if self.place.is_none() {
            self.place = Some(Arc::clone(&self.requests).acquire_owned().await.ok()?);
        }
        match self.inner.receive().await {
            Some(JsonRpcMessage::Request(mut request)) => {
                // It goes with the request and is free again when the request has its answer, or is dropped.
                request.request.extensions_mut().insert(Arc::new(self.place.take()));
                Some(JsonRpcMessage::Request(request))
            }
            Some(other) => Some(other),
            None => {
                self.left.cancel();
                None
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.inner.close().await
    }
}
