use crate::control::{Caller, Desk};
use tokio::io::{AsyncRead, AsyncWrite};
pub struct Screen { pub terminal: bool, pub width: Option<u16> }
pub async fn run<I, O, E>(_: &Desk, _: Caller, _: &[u8], _: I, _: &mut O, _: &mut E, _: Screen) -> u32 where I: AsyncRead + Unpin + Send, O: AsyncWrite + Unpin + Send, E: AsyncWrite + Unpin + Send { 0 }
