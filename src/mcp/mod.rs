//! placeholder until merged
use crate::approvals::Approvals;
use crate::model::Agent;
use tokio::io::{AsyncRead, AsyncWrite};
/// Serves one client of an agent until it leaves.
pub async fn serve(_: Approvals, _: Agent, _: impl AsyncRead + Send + Unpin, _: impl AsyncWrite + Send + Unpin) {}
