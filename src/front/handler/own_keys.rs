//! The broker's own host keys, announced to clients that learn them so, and proved (OpenSSH's PROTOCOL, 2.5). Signs nothing but
//! what that says.

use russh::server::{GlobalReplyHandle, Session};

use super::Handler;

/// The client wants proof of keys that were announced.
pub(super) const PROVE: &str = "hostkeys-prove-00@openssh.com";
/// Proofs on one connection; each costs a signature for each key. Clients ask once.
const PROOFS: usize = 4;
/// Who takes an announcement for what it is. Some other clients end the connection over what they do not know.
const LEARNS: &[u8] = b"SSH-2.0-OpenSSH_";

impl Handler {
    /// Announces the keys, to OpenSSH's clients alone.
    pub(super) fn announce(&self, session: &mut Session) -> Result<(), russh::Error> {
        if session.remote_sshid().starts_with(LEARNS) { session.announce_host_keys() } else { Ok(()) }
    }

    /// Proves the keys that are asked for; refused if one is not the broker's.
    pub(super) fn prove(&mut self, data: &[u8], reply: GlobalReplyHandle, session: &Session) {
        self.proofs += 1;
        if self.proofs > PROOFS {
            return reply.failure();
        }
        match session.prove_host_keys(data) {
            Ok(Some(proof)) => reply.success(&proof),
            Ok(None) => reply.failure(),
            Err(error) => {
                tracing::error!(target: "keyward::front", %error, "the broker's host keys were not proved");
                reply.failure();
            }
        }
    }
}
