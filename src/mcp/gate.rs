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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rmcp::model::{EmptyResult, NumberOrString, ServerResult};
    use tokio::io::AsyncWriteExt;

    use super::*;

    const MANY: usize = 10 * REQUESTS;

    async fn with_many_requests() -> (tokio::io::DuplexStream, Gate<impl AsyncRead + Send + Unpin, impl AsyncWrite + Send + Unpin + 'static>)
    {
        let (mut client, ours) = tokio::io::duplex(1 << 20);
        for id in 0..MANY {
            let ping = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}\n");
            client.write_all(ping.as_bytes()).await.unwrap();
        }
        let (reader, writer) = tokio::io::split(ours);
        (client, Gate::new(reader, writer, 1024, CancellationToken::new()))
    }

    /// What comes without waiting: everything was written before.
    async fn now<R, W>(gate: &mut Gate<R, W>) -> Option<RxJsonRpcMessage<RoleServer>>
    where
        R: AsyncRead + Send + Unpin,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        tokio::time::timeout(Duration::ZERO, gate.receive()).await.ok().flatten()
    }

    #[tokio::test]
    async fn so_many_requests_are_under_way_and_no_more() {
        let (_client, mut gate) = with_many_requests().await;
        let mut under_way = Vec::new();
        while let Some(request) = now(&mut gate).await {
            under_way.push(request);
        }
        assert_eq!(under_way.len(), REQUESTS);
        under_way.truncate(REQUESTS - 3);
        while let Some(request) = now(&mut gate).await {
            under_way.push(request);
        }
        assert_eq!(under_way.len(), REQUESTS, "a place is free when its request is done");
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_not_listened_to() {
        let (_client, mut gate) = with_many_requests().await;
        let mut answers = Vec::new();
        let mut taken = 0;
        while now(&mut gate).await.is_some() {
            taken += 1;
            // Handed over and never written: nobody reads.
            let id = NumberOrString::Number(taken);
            answers.push(gate.send(JsonRpcMessage::response(ServerResult::EmptyResult(EmptyResult {}), id)));
        }
        assert_eq!(answers.len(), REQUESTS);
        for answer in answers {
            answer.await.unwrap();
        }
        assert!(now(&mut gate).await.is_some(), "it is again when it has read");
    }

    #[tokio::test]
    async fn the_end_is_told() {
        let (client, ours) = tokio::io::duplex(64);
        let (reader, writer) = tokio::io::split(ours);
        let left = CancellationToken::new();
        let mut gate = Gate::new(reader, writer, 1024, left.clone());
        drop(client);
        assert!(gate.receive().await.is_none() && left.is_cancelled());
    }
}
