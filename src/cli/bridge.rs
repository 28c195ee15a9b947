//! `keyward mcp`: standard input and output, and the daemon's socket between an MCP client and an agent's tools. Copies bytes;
//! what they say it does not know.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::client::Client;
use super::fail::{Exit, Failure};
use super::grammar::{Globals, McpArgs};
use super::place;
use crate::control::wire::Bridge;
use crate::secret::Secret;

/// Bytes that are copied at a time.
const PIECE: usize = 16 * 1024;
/// The bits of a mode that let others in.
const OTHERS: u32 = 0o077;

/// Runs the bridge until standard input or the daemon ends it.
pub(super) fn run(globals: &Globals, words: McpArgs) -> Result<Exit, Failure> {
    let client = Client::new(&place::home(globals.home.as_deref())?, globals.workspace.clone());
    let token = words.token_file.as_deref().map(token).transpose()?;
    let (stream, _agent) = client.bridge(&Bridge { agent: words.agent, token: token.is_some() }, token)??;
    let lost = |e: io::Error| Failure::new(Exit::Failed, format!("the stream to the daemon failed: {e}"), "start it again");
    let ended = Arc::new(AtomicBool::new(false));
    let (mut to, said_all) = (stream.try_clone().map_err(lost)?, Arc::clone(&ended));
    // It may wait for standard input for ever; it ends with the program.
    std::thread::spawn(move || {
        let _ = inward(&mut to, &said_all);
    });
    outward(stream).map_err(lost)?;
    if ended.load(Ordering::Acquire) {
        return Ok(Exit::Done);
    }
    Err(Failure::new(
        Exit::Failed,
        "the daemon ended the connection: it stopped, or this agent may not sign in any more",
        "see what there is: keyward status; keyward agent list",
    ))
}

/// The token that stands in a file which nobody else can read.
fn token(path: &Path) -> Result<Secret, Failure> {
    let shown = path.display();
    let unreadable = |e: io::Error| Failure::new(Exit::Failed, format!("{shown} cannot be read: {e}"), format!("ls -l {shown}"));
    let file = File::open(path).map_err(unreadable)?;
    // Of the file that is open, not of the name: that could lead elsewhere meanwhile.
    let mode = file.metadata().map_err(unreadable)?.mode();
    if mode & OTHERS != 0 {
        return Err(Failure::new(
            Exit::Failed,
            format!("others can read or change {shown} (mode {:03o}): whoever has the token is the agent", mode & 0o777),
            format!("chmod 600 {shown}; if somebody may have read it: keyward agent remove NAME, and add it again"),
        ));
    }
    let token = Secret::read_to_end(file).map_err(unreadable)?.first_line();
    if token.is_empty() {
        return Err(Failure::new(Exit::Failed, format!("the first line of {shown} is empty"), "keyward --quiet agent add NAME > FILE"));
    }
    Ok(token)
}

fn inward(to: &mut UnixStream, said_all: &AtomicBool) -> io::Result<()> {
    // Without the standard library's buffer: what a client says is passed on at once.
    let mut from = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    copy(&mut from, to)?;
    // Not if the daemon took no more: then it was the daemon's end.
    said_all.store(true, Ordering::Release);
    to.shutdown(Shutdown::Write)
}

fn outward(mut from: UnixStream) -> io::Result<()> {
    let mut to = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    match copy(&mut from, &mut to) {
        // Whoever listened has gone, which is how a client ends a server, too.
        Err(e) if matches!(e.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(()),
        other => other,
    }
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(piece.get(..read).unwrap_or_default())?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "kwa_secret\nsecond line\n").unwrap();
        for mode in [0o644, 0o640, 0o660, 0o604] {
            std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            let refused = token(&file).unwrap_err();
            assert!(refused.message.contains("others can read") && refused.hint.unwrap().starts_with("chmod 600"), "{mode:o}");
        }
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(token(&file).unwrap().len(), "kwa_secret".len());
        std::fs::write(&file, "\n").unwrap();
        assert!(token(&file).is_err());
        assert!(token(&dir.path().join("none")).is_err());
    }
}
