//! Root on a host, through its sudo: asked once per host. The password leaves the vault only when sudo asks for it by the word that was
//! given to it, goes to sudo alone, and never a second time. On hosts that ask for none it is not decrypted.

use std::time::{Duration, Instant};

use tokio::time::{sleep_until, timeout};

use super::asking::{Asking, NOEXEC};
use crate::model::{Event, EventName};
use crate::sessions::{Barred, ExecChannel, ExecHeard, SudoGiven};

/// How long sudo may take to ask, or to start the shell.
const PATIENCE: Duration = Duration::from_secs(15);
/// The most bytes that sudo may say before its question, and behind it.
const KEPT: usize = 16 * 1024;
/// How long a host may take to close a channel.
const GOODBYE: Duration = Duration::from_secs(2);

/// How one try came out.
enum Tried {
    /// A shell as root, that waits for its script.
    Root,
    /// sudo wants a terminal.
    WantsTerminal,
    No(String),
}

/// The command that asks for root; `asks` is what sudo will say when it wants the password. Neither word stands in it as it will be read:
/// a shell that shows what it runs is not taken for sudo. `%%` is sudo's way to write one `%`. A shell on a terminal would be one for
/// people, which keeps a history and takes tabs for a wish: `cat` stands between.
pub(super) fn command(nonce: &str, terminal: bool, password: bool) -> String {
    let shell = if terminal { "cat | /bin/sh -s" } else { "exec /bin/sh -s" };
    let ask = if password { format!("-S -p '{nonce}%%P'") } else { "-n".to_owned() };
    format!("sudo -k {ask} -- /bin/sh -c 'printf \"\\n%s R\\n\" {nonce}; {shell}'")
}

impl Asking<'_> {
    /// A shell as root.
    ///
    /// # Errors
    /// A sentence: what stands in the way.
    pub(super) async fn elevate(&self) -> Result<ExecChannel, String> {
        // Where there is nothing to answer with, sudo is not made to ask: hosts count a question without an answer as a wrong one.
        let password = self.site.has_sudo_password().await;
        for terminal in [false, true] {
            let (channel, tried) = self.try_sudo(terminal, password).await?;
            match tried {
                Tried::Root => return Ok(channel),
                Tried::WantsTerminal if !terminal => {}
                Tried::WantsTerminal => {
                    return Err("sudo wants a terminal (Defaults requiretty), and takes not the one it is given".to_owned());
                }
                Tried::No(why) => return Err(why),
            }
        }
        Err("sudo does not answer".to_owned())
    }

    async fn try_sudo(&self, terminal: bool, password: bool) -> Result<(ExecChannel, Tried), String> {
        let nonce = self.nonce();
        let mut channel = self.exec(command(&nonce, terminal, password), terminal, "root", 0).await.map_err(|e| e.why)?;
        let tried = self.converse(&mut channel, &nonce, password).await;
        if !matches!(tried, Tried::Root) {
            // On a connection that goes on, sudo must not wait for ever.
            let _ = timeout(GOODBYE, channel.input.close()).await;
        }
        Ok((channel, tried))
    }

    /// Waits for root's shell, and answers sudo once.
    async fn converse(&self, channel: &mut ExecChannel, nonce: &str, password: bool) -> Tried {
        let (asks, ready) = (format!("{nonce}%P"), format!("{nonce} R"));
        let mut limit = Instant::now() + PATIENCE;
        let (mut said, mut status) = (Vec::new(), None);
        let mut turn = None;
        let tried = loop {
            let heard = tokio::select! {
                biased;
                () = self.site.over.cancelled() => break Tried::No("the connection was ended".to_owned()),
                heard = channel.output.next() => heard,
                () = sleep_until(limit.min(self.deadline).into()) => break Tried::No(why_late(&said, turn.is_some())),
            };
            match heard {
                Some(ExecHeard::Out(bytes) | ExecHeard::Err(bytes)) => {
                    // A host that never stops talking would keep the time limit from being looked at, and hide sudo's own words.
                    if said.len() + bytes.len() > KEPT {
                        break Tried::No("what answers as sudo does not stop talking".to_owned());
                    }
                    said.extend_from_slice(&bytes);
                }
                Some(ExecHeard::Status(told)) => {
                    status = Some(told);
                    continue;
                }
                None => break why_ended(&said, status, turn.is_some(), password),
            }
            if lines(&said).any(|line| line == ready.as_bytes()) {
                break Tried::Root;
            }
            if !find(&said, asks.as_bytes()) {
                continue;
            }
            if turn.is_some() {
                // Never twice: a second wrong one might lock the account.
                break Tried::No(REFUSED.to_owned());
            }
            said.clear();
            // Two hosts at a time until one has taken it, and none any more once two have refused: a wrong password is wrong everywhere.
            let entered = tokio::select! {
                entered = self.sudo_gates.enter(self.site.credential.id) => entered,
                () = self.site.over.cancelled() => break Tried::No("the connection was ended".to_owned()),
                () = sleep_until(self.deadline.into()) => break Tried::No("its turn to ask sudo did not come".to_owned()),
            };
            turn = match entered {
                Ok(turn) => Some(turn),
                Err(Barred) => {
                    break Tried::No("its sudo password was refused by two hosts of this scan, and is not tried again".to_owned());
                }
            };
            match self.site.give_sudo_password(&channel.input).await {
                SudoGiven::Sent => limit = Instant::now() + PATIENCE,
                SudoGiven::None => {
                    drop(turn.take());
                    break Tried::No(NONE.to_owned());
                }
                SudoGiven::Not(why) => {
                    drop(turn.take());
                    break Tried::No(format!("sudo asks for a password, and it was not given: {why}"));
                }
            }
        };
        if let Some(turn) = turn {
            let event = self.event(EventName::ScanElevated);
            let recorded = match &tried {
                Tried::Root => {
                    turn.taken();
                    self.log.record(event).await
                }
                Tried::No(why) if why == REFUSED => {
                    turn.refused();
                    self.log.record(event.denied(why)).await
                }
                Tried::No(why) => self.log.record(event.failed(why)).await,
                Tried::WantsTerminal => self.log.record(event.failed("sudo wants a terminal")).await,
            };
            if let Err(e) = recorded {
                return Tried::No(e.to_string());
            }
        }
        tried
    }

    /// An event of this host in this scan.
    pub(super) fn event(&self, name: EventName) -> Event {
        Event::new(name, self.site.user.name.to_string())
            .host(&self.site.host)
            .credential(&self.site.credential)
            .session(self.site.session)
            .with("scan", self.act.scan)
    }
}

const REFUSED: &str = "sudo refused the password";
const NONE: &str = "sudo asks for a password, and the credential has none for it (keyward credential edit NAME --sudo-password)";

/// What a host says after it was given the password is not repeated: it could be that.
fn why_late(said: &[u8], given: bool) -> String {
    let text = shown(said);
    match (given, text.is_empty()) {
        (true, _) => "sudo took the password and did not answer".to_owned(),
        (false, true) => "sudo does not answer".to_owned(),
        (false, false) => format!("sudo asks for something else than a password: {text}"),
    }
}

/// What sudo's end means, from what it said.
fn why_ended(said: &[u8], status: Option<u32>, given: bool, password: bool) -> Tried {
    let text = String::from_utf8_lossy(said).to_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    if !given && has(&["must have a tty", "no tty present"]) {
        return Tried::WantsTerminal;
    }
    Tried::No(
        if status == Some(127) || has(&["sudo: not found", "sudo: command not found", "sudo: no such file", "unknown command: sudo"]) {
            "sudo is missing on this host".to_owned()
        } else if has(&["not in the sudoers", "not allowed to", "may not run"]) {
            "this account may not use sudo".to_owned()
        } else if given || has(&["incorrect password", "try again"]) {
            REFUSED.to_owned()
        } else if !password && has(&["password is required", "terminal is required"]) {
            NONE.to_owned()
        } else if status == Some(126) || has(&["permission denied"]) {
            NOEXEC.to_owned()
        } else {
            match shown(said) {
                text if text.is_empty() => "sudo ended and said nothing".to_owned(),
                text => format!("sudo ended: {text}"),
            }
        },
    )
}

fn shown(said: &[u8]) -> String {
    crate::model::printable(String::from_utf8_lossy(said).trim(), 160)
}

fn lines(said: &[u8]) -> impl Iterator<Item = &[u8]> {
    // Only lines that have ended.
    let whole = said.iter().rposition(|b| *b == b'\n').map_or(&[][..], |at| said.get(..at).unwrap_or_default());
    whole.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

fn find(said: &[u8], what: &[u8]) -> bool {
    said.windows(what.len()).any(|w| w == what)
}
