//! Asks the person a question of the host, on the terminal that their channel has.

use bytes::Bytes;
use russh::ChannelMsg;
use zeroize::Zeroizing;

use crate::relay::{ClientChannel, Held};
use crate::secret::Secret;
use crate::target::Prompt;

/// The longest answer, in bytes.
const MOST: usize = 1024;

/// Whose question it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// The host's. What is typed behind an answer in one piece is dropped, as where a terminal is flushed: it may be the next answer.
    Host,
    /// The broker's. What is typed behind the answer is the host's.
    Broker,
}

/// Drops what was typed and is held for the host: what is typed before a question may be the answer to it, and no terminal gives that to
/// whatever reads next.
pub(super) fn forget_typed(held: &mut Held) {
    let typed = |message: &ChannelMsg| matches!(message, ChannelMsg::Data { .. });
    let answered = held.messages.iter().take(held.answered).filter(|message| !typed(message)).count();
    held.answered = answered;
    held.messages.retain(|message| !typed(message));
}

/// Writes who asks and the question, reads a line, and gives it to whoever asked. Control-C and control-D are no answer. `Some`: the
/// channel ended before there was one; another may be asked.
pub(super) async fn ask(channel: &mut ClientChannel, prompt: Prompt, held: &mut Held, asker: Asker) -> Option<Prompt> {
    forget_typed(held);
    let mut text = String::new();
    if asker == Asker::Host {
        text.push_str("keyward: the host asks:\r\n");
    }
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
            // The host begins with the size that the terminal has then.
            message @ ChannelMsg::WindowChange { .. } if !held.is_full() => {
                held.messages.push(message);
                continue;
            }
            // The host hears of it when it is there.
            ChannelMsg::Eof => {
                held.messages.push(ChannelMsg::Eof);
                return Some(prompt);
            }
            _ => continue,
        };
        for (at, byte) in data.iter().copied().enumerate() {
            match byte {
                b'\r' | b'\n' => {
                    if let Some(behind @ [_, ..]) = data.get(at + 1..).filter(|_| asker == Asker::Broker) {
                        // A copy: a part of the piece would keep all of it, and the answer with it.
                        held.messages.push(ChannelMsg::Data { data: Bytes::copy_from_slice(behind) });
                    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_before_a_question_is_not_for_the_host() {
        let data = |text: &'static str| ChannelMsg::Data { data: Bytes::from_static(text.as_bytes()) };
        let size = || ChannelMsg::WindowChange { col_width: 80, row_height: 24, pix_width: 0, pix_height: 0 };
        let shell = || ChannelMsg::RequestShell { want_reply: true };
        // What came behind the choice is the third; all before it was answered.
        let mut held = Held { messages: vec![size(), shell(), data("ahead")], answered: 3, ..Held::default() };
        held.messages.extend([size(), data("passphrase\n")]);
        forget_typed(&mut held);
        assert_eq!((held.messages.len(), held.answered), (3, 2));
        held.messages.extend([data("once more\n"), size()]);
        forget_typed(&mut held);
        held.messages.push(data("behind the last answer"));
        let kept: Vec<String> = held
            .messages
            .iter()
            .map(|m| match m {
                ChannelMsg::Data { data } => String::from_utf8_lossy(data).into_owned(),
                ChannelMsg::RequestShell { .. } => "shell".to_owned(),
                _ => "size".to_owned(),
            })
            .collect();
        assert_eq!((kept, held.answered), (["size", "shell", "size", "size", "behind the last answer"].map(str::to_owned).to_vec(), 2));
    }
}
