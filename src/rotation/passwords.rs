//! The password of an account on a host: set by `chpasswd`, as root or through sudo. The password goes from the vault onto the
//! channel's standard input, when the host has said that `chpasswd` is about to read; what the host says afterwards is not repeated.

use std::time::Instant;

use tokio::time::timeout_at;

use super::Error;
use super::desk::Parts;
use super::place::{Answer, PATIENCE, event, nonce, open_of};
use crate::model::{Credential, Login};
use crate::sessions::{ExecChannel, ExecHeard, UpkeepSite, act};

/// The most bytes that a host may say before it reads.
const KEPT: usize = 16 * 1024;

/// How it is done for this account, in words.
pub(super) fn way(login: &Login) -> String {
    if login.as_str() == "root" {
        "gives the new password to `chpasswd` on its standard input".to_owned()
    } else {
        "gives the new password to `sudo chpasswd` on its standard input; sudo is given the credential's sudo password if it asks"
            .to_owned()
    }
}

/// The command. Neither word stands in it as it will be read: a shell that shows what it runs is not taken for an answer.
fn command(login: &Login, nonce: &str, password: bool) -> String {
    let inner = format!("PATH=$PATH:/usr/sbin:/sbin:/usr/bin:/bin; printf \"\\n%s R\\n\" {nonce}; exec chpasswd");
    if login.as_str() == "root" {
        return format!("sh -c '{inner}'");
    }
    let ask = if password { format!("-S -p '{nonce}%%P'") } else { "-n".to_owned() };
    format!("sudo -k {ask} -- sh -c '{inner}'")
}

/// Sets the password of the account that is signed in: the next one, or with `back` the one in force.
///
/// `about_to` notes that it is about to be done; it runs when the host reads, before anything is sent.
pub(super) async fn set(
    parts: &Parts,
    site: &UpkeepSite,
    back: bool,
    about_to: impl Future<Output = Result<(), Error>>,
) -> Result<Answer, Error> {
    let credential: &Credential = &site.credential;
    let login = &credential.username;
    if login.as_str().contains([':', '\n', '\r']) {
        return Ok(Answer::Unchanged("chpasswd cannot take the account's name".to_owned()));
    }
    let sudo = login.as_str() != "root" && site.has_sudo_password().await;
    let nonce = nonce(parts);
    let command = command(login, &nonce, sudo);
    let proof = parts
        .log
        .commit(open_of(event(site, credential), credential, |event| event.with("command", &command)), act(credential, site.host.id))
        .await?;
    let mut channel = match site.exec(proof, &command).await {
        Ok(channel) => channel,
        Err(why) => return Ok(Answer::Unchanged(why)),
    };
    if let Err(why) = until_it_reads(site, &mut channel, &nonce).await {
        channel.input.close().await;
        return Ok(Answer::Unchanged(why));
    }
    if let Err(e) = about_to.await {
        channel.input.close().await;
        return Err(e);
    }
    if let Err((why, sent)) = site.give_new_password(&channel.input, back).await {
        channel.input.close().await;
        return Ok(if sent { Answer::Unknown(why) } else { Answer::Unchanged(why) });
    }
    let _ = channel.input.end().await;
    let limit = Instant::now() + PATIENCE;
    let mut status = None;
    loop {
        match timeout_at(limit.into(), channel.output.next()).await {
            Err(_) => return Ok(Answer::Unknown("chpasswd does not end".to_owned())),
            Ok(Some(ExecHeard::Status(told))) => status = Some(told),
            Ok(Some(ExecHeard::Out(_) | ExecHeard::Err(_))) => {}
            Ok(None) => break,
        }
    }
    Ok(match status {
        Some(0) => Answer::Done,
        // It may have changed something all the same: what the account takes is tried next.
        Some(status) => Answer::Unknown(format!("chpasswd refused the new password (status {status}); the host's own log says why")),
        None => Answer::Unknown("the connection ended while chpasswd ran".to_owned()),
    })
}

/// Waits until `chpasswd` is about to read, and answers sudo once.
async fn until_it_reads(site: &UpkeepSite, channel: &mut ExecChannel, nonce: &str) -> Result<(), String> {
    let (asks, ready) = (format!("{nonce}%P"), format!("\n{nonce} R\n"));
    let mut limit = Instant::now() + PATIENCE;
    let (mut said, mut given, mut status) = (Vec::new(), false, None);
    loop {
        match timeout_at(limit.into(), channel.output.next()).await {
            Err(_) if given => return Err("sudo took its password and does not answer".to_owned()),
            Err(_) => return Err("the host does not answer".to_owned()),
            Ok(Some(ExecHeard::Out(bytes) | ExecHeard::Err(bytes))) => {
                if said.len() + bytes.len() > KEPT {
                    return Err("the host does not stop talking".to_owned());
                }
                said.extend(bytes.iter().filter(|b| **b != b'\r'));
            }
            Ok(Some(ExecHeard::Status(told))) => {
                status = Some(told);
                continue;
            }
            Ok(None) => return Err(why_not(&said, status, given)),
        }
        if find(&said, ready.as_bytes()) {
            return Ok(());
        }
        if !find(&said, asks.as_bytes()) {
            continue;
        }
        if given {
            // Never twice: a second wrong one might lock the account.
            return Err("sudo refused its password".to_owned());
        }
        said.clear();
        given = true;
        site.give_sudo_password(&channel.input).await?;
        limit = Instant::now() + PATIENCE;
    }
}

/// Why nothing read. What a host says after it was given a password is not repeated.
fn why_not(said: &[u8], status: Option<u32>, given: bool) -> String {
    let text = String::from_utf8_lossy(said).to_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    if has(&["password is required", "terminal is required"]) {
        "sudo asks for a password, and the credential has none for it".to_owned()
    } else if status == Some(127) || has(&["not found"]) {
        "the host has no sudo or no chpasswd".to_owned()
    } else if given {
        "sudo did not let it run chpasswd".to_owned()
    } else {
        format!("the account may not run chpasswd: {}", crate::model::printable(String::from_utf8_lossy(said).trim(), 160))
    }
}

fn find(said: &[u8], what: &[u8]) -> bool {
    said.windows(what.len()).any(|w| w == what)
}
