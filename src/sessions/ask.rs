//! Asks the person a question of the host, on the terminal that their channel has.

use russh::ChannelMsg;
use zeroize::Zeroizing;

use crate::relay::{ClientChannel, Held};
use crate::secret::Secret;
use crate::target::Prompt;

/// The longest answer, in bytes.
const MOST: usize = 1024;

/// Writes the question, reads a line, and gives it to whoever asked. Control-C and control-D are no answer. `Some`: the
/// channel ended before there was one; another may be asked.
pub(super) async fn ask(channel: &mut ClientChannel, prompt: Prompt, held: &mut Held) -> Option<Prompt> {
    let mut text = String::from("keyward: the host asks:\r\n");
    if !prompt.instructions.is_empty() {
        text.push_str(&prompt.instructions);
        text.push_str("\r\n");
    }
    text.push_str(&prompt.text);
    if !prompt.text.ends_with(' ') {
        text.push(' ');
    }
    if channel.data_bytes(text.into_bytes()).await.is_err() {
        held.gone = true;
        return Some(prompt);
    }
    // Of full capacity from the beginning: a buffer that grows leaves a copy.
    let mut line = Zeroizing::new(Vec::with_capacity(MOST));
    while let Some(message) = channel.wait().await {
        let data = match message {
            ChannelMsg::Data { data } => data,
            ChannelMsg::Close => break,
            // The host hears of it when it is there.
            ChannelMsg::Eof => {
                held.messages.push(ChannelMsg::Eof);
                return Some(prompt);
            }
            _ => continue,
        };
        for byte in data.iter().copied() {
            match byte {
                b'\r' | b'\n' => {
                    let _ = channel.data_bytes(&b"\r\n"[..]).await;
                    let _ = prompt.answer.send(Secret::from_zeroizing(line));
                    return None;
                }
                0x03 | 0x04 => {
                    let _ = channel.data_bytes(&b"\r\n"[..]).await;
                    return None;
                }
                0x08 | 0x7f if line.pop().is_none() || !prompt.echo => {}
                0x08 | 0x7f => {
                    let _ = channel.data_bytes(&b"\x08 \x08"[..]).await;
                }
                0x15 => line.clear(),
                _ if line.len() < MOST => {
                    line.push(byte);
                    if prompt.echo && !byte.is_ascii_control() {
                        let _ = channel.data_bytes(vec![byte]).await;
                    }
                }
                _ => {}
            }
        }
    }
    held.gone = true;
    Some(prompt)
}
