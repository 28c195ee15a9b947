//! What a verb needs besides its words, from a client's standard input: texts, passwords, keys.

use tokio::io::{AsyncRead, AsyncWrite};

use super::streams::{Streams, Unread};
use super::{Stop, refused};
use crate::cli::fail::{Exit, Failure};
use crate::cli::grammar::{Source, Verb, Wanted};
use crate::cli::print::Style;
use crate::control::Secrets;

/// Why a text or a secret could not be had.
pub(super) enum Unasked {
    Failure(Failure),
    Gone,
}

impl Unasked {
    pub(super) fn into_stop(self, style: &Style) -> Stop {
        match self {
            Self::Failure(failure) => refused(failure, style),
            Self::Gone => Stop::Gone,
        }
    }
}

impl From<Unread> for Unasked {
    fn from(e: Unread) -> Self {
        match e {
            Unread::Gone => Self::Gone,
            Unread::Given => Self::Failure(Failure::new(Exit::Failed, "given up; nothing was changed", "run it again when you are ready")),
            Unread::TooLong => {
                Self::Failure(Failure::new(Exit::Failed, "standard input is longer than is taken", "64 KiB for a secret, 4 MiB for a text"))
            }
            Unread::NoText => Self::Failure(Failure::new(Exit::Failed, "standard input is no UTF-8", "give text")),
        }
    }
}

/// The texts that a verb names: a file's name means nothing here.
pub(super) async fn texts<I, O, E>(verb: &Verb, streams: &mut Streams<'_, I, O, E>) -> Result<Vec<String>, Unasked>
where
    I: AsyncRead + Unpin + Send,
    O: AsyncWrite + Unpin + Send,
    E: AsyncWrite + Unpin + Send,
{
    let sources = verb.sources();
    if sources.iter().filter(|s| ***s == Source::Stdin).count() > 1 {
        let hint = "give `-` once; its text may have several lines";
        return Err(Unasked::Failure(Failure::new(Exit::Usage, "standard input can be read only once", hint)));
    }
    let mut texts = Vec::new();
    for source in sources {
        texts.push(match source {
            Source::Inline(text) => text.clone(),
            Source::Stdin if matches!(verb, Verb::Import(_)) => streams.text_of_any_encoding().await?,
            Source::Stdin => streams.text().await?,
            Source::File(_) => return Err(Unasked::Failure(no_files())),
        });
    }
    Ok(texts)
}

pub(super) async fn secrets<I, O, E>(wanted: &Wanted, streams: &mut Streams<'_, I, O, E>) -> Result<Secrets, Unasked>
where
    I: AsyncRead + Unpin + Send,
    O: AsyncWrite + Unpin + Send,
    E: AsyncWrite + Unpin + Send,
{
    match wanted {
        Wanted::Nothing => Ok(Secrets::none()),
        Wanted::Key(Source::File(_) | Source::Inline(_)) => Err(Unasked::Failure(no_files())),
        Wanted::Password(name) | Wanted::SudoPassword(name) if streams.terminal() => {
            let what = if matches!(wanted, Wanted::SudoPassword(_)) { "sudo password" } else { "password" };
            let first = streams.line(&format!("{what} of {name}: "), false).await?;
            let again = streams.line(&format!("{what} of {name}, again: "), false).await?;
            if *first != *again {
                return Err(Unasked::Failure(Failure::new(Exit::Failed, "the two are not the same; nothing was stored", "try again")));
            }
            Ok(Secrets { material: Some(crate::secret::Secret::from_zeroizing(first)), passphrase: None })
        }
        Wanted::NewPassphrase if streams.terminal() => {
            let first = streams.line("passphrase: ", false).await?;
            let again = streams.line("passphrase, again: ", false).await?;
            if *first != *again {
                return Err(Unasked::Failure(Failure::new(Exit::Failed, "the two are not the same; nothing was changed", "try again")));
            }
            Ok(Secrets { material: Some(crate::secret::Secret::from_zeroizing(first)), passphrase: None })
        }
        Wanted::Unlock if streams.terminal() => {
            let typed = streams.line("passphrase or recovery code: ", false).await?;
            Ok(Secrets { material: Some(crate::secret::Secret::from_zeroizing(typed)), passphrase: None })
        }
        Wanted::Code | Wanted::CodeOverSsh if streams.terminal() => {
            let typed = streams.line("one-time code: ", false).await?;
            Ok(Secrets { material: Some(crate::secret::Secret::from_zeroizing(typed)), passphrase: None })
        }
        Wanted::Password(_) | Wanted::SudoPassword(_) | Wanted::NewPassphrase | Wanted::Unlock | Wanted::Code | Wanted::CodeOverSsh => {
            Ok(Secrets { material: Some(streams.secret().await?.without_final_newline()), passphrase: None })
        }
        Wanted::Key(Source::Stdin) if streams.terminal() => {
            let key = streams.key("paste the private key, to its last line:\n").await?;
            let passphrase = streams.line("passphrase of the key (empty if it has none): ", false).await?;
            let passphrase = (!passphrase.is_empty()).then(|| crate::secret::Secret::from_zeroizing(passphrase));
            Ok(Secrets { material: Some(key), passphrase })
        }
        Wanted::Key(Source::Stdin) => Ok(Secrets { material: Some(streams.secret().await?), passphrase: None }),
    }
}

fn no_files() -> Failure {
    Failure::new(
        Exit::Usage,
        "over ssh there are no files: the broker does not see yours, and its own are not read for you",
        "give `-` in the place of the file and send it on standard input: ssh … < FILE",
    )
}
