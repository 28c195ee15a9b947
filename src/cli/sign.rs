//! Signs a proposal with a key in the person's own ssh agent (SSHSIG, OpenSSH's PROTOCOL.sshsig). Never reads a private key.

use russh::keys::PublicKey;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::{HashAlg, LineEnding, SshSig};

use super::fail::{Exit, Failure};
use super::place;
use crate::control::CanonicalView;

/// How long the agent has: a security key waits for its touch.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

/// Where the agent listens, if there is one.
pub(super) fn socket() -> Option<std::ffi::OsString> {
    place::var("SSH_AUTH_SOCK")
}

/// The armored signature, by the first of the person's keys that the agent has.
pub(super) fn with_agent(what: &CanonicalView) -> Result<String, Failure> {
    let socket = socket().ok_or_else(|| {
        Failure::new(Exit::Failed, "there is no ssh agent (SSH_AUTH_SOCK is not set)", "start one: eval $(ssh-agent); ssh-add")
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| failed(&e.to_string()))?;
    runtime.block_on(async {
        match tokio::time::timeout(PATIENCE, ask(socket, what)).await {
            Ok(signature) => signature,
            Err(_) => Err(failed("it did not answer; does a security key wait for a touch?")),
        }
    })
}

async fn ask(socket: std::ffi::OsString, what: &CanonicalView) -> Result<String, Failure> {
    let mut agent = AgentClient::connect_uds(socket).await.map_err(|e| failed(&e.to_string()))?;
    let mine: Vec<PublicKey> = what.keys.iter().filter_map(|k| PublicKey::from_openssh(k).ok()).collect();
    let held = agent.request_identities().await.map_err(|e| failed(&e.to_string()))?;
    let key = held
        .into_iter()
        .find_map(|identity| match identity {
            AgentIdentity::PublicKey { key, .. } => mine.iter().find(|m| m.key_data() == key.key_data()).cloned(),
            AgentIdentity::Certificate { .. } => None,
        })
        .ok_or_else(|| {
            Failure::new(
                Exit::Failed,
                "your ssh agent has none of your keys here",
                "see which they are: keyward user key list YOU; then ssh-add",
            )
        })?;
    let data = SshSig::signed_data(&what.namespace, HashAlg::Sha512, what.text.as_bytes()).map_err(|e| failed(&e.to_string()))?;
    let hash = key.algorithm().is_rsa().then_some(HashAlg::Sha512);
    let signature = agent.sign_request_signature(&key, hash, &data).await.map_err(|e| failed(&e.to_string()))?;
    let armored = SshSig::new(key.key_data().clone(), &what.namespace, HashAlg::Sha512, signature).and_then(|s| s.to_pem(LineEnding::LF));
    armored.map_err(|e| failed(&e.to_string()))
}

fn failed(why: &str) -> Failure {
    Failure::new(Exit::Failed, format!("the ssh agent did not sign: {why}"), "see what it holds: ssh-add -l")
}
