//! russh's callbacks of the host side: decides about the host's key, and passes on what the host wants to
//! open. Opens nothing itself.

use std::sync::{Arc, Mutex, OnceLock};

use russh::client::{self, ChannelOpenHandle, Session};
use russh::keys::ssh_key::HashAlg;
use russh::keys::{PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelId};
use tokio::sync::oneshot;

use super::announced::MOST_HOST_KEYS;
use super::certificate;
use super::error::ProvenKey;
use super::opens::{Doorbell, HostOpens};

/// Which keys are accepted.
#[derive(Clone, Debug)]
pub enum Trust {
    /// One of these fingerprints, or a certificate by an authority that is among them.
    Pinned(Vec<String>),
    /// Whatever is shown: the caller pins it before anything else is sent.
    FirstUse,
    /// None: the connection serves only to see the key.
    Look,
}

/// What the key exchange showed.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<Mutex<Option<Shown>>>, Arc<OnceLock<String>>);

/// A key, and why the certificate around it does not count.
type Shown = (ProvenKey, Option<Uncounted>);

/// A certificate that does not count.
#[derive(Clone, Debug)]
pub(super) struct Uncounted {
    /// Why.
    pub(super) why: String,
    /// Whether its authority is nobody who was named for this host, so that it says nothing about the host, good or bad.
    pub(super) strange: bool,
}

impl Seen {
    pub(super) fn get(&self) -> Option<ProvenKey> {
        self.0.lock().ok().and_then(|seen| seen.clone()).map(|(key, _)| key)
    }

    /// Why the certificate that was shown does not count.
    pub(super) fn uncertified(&self) -> Option<Uncounted> {
        self.0.lock().ok().and_then(|seen| seen.clone()).and_then(|(_, why)| why)
    }

    /// The algorithms that the first key exchange came to.
    pub(super) fn algorithms(&self) -> String {
        self.1.get().cloned().unwrap_or_default()
    }
}

/// The handler of one connection to a host.
#[derive(Debug)]
pub(super) struct HostHandler {
    pub(super) trust: Trust,
    pub(super) seen: Seen,
    /// The host's name or IP address as it stands in its address, for certificates.
    pub(super) name: String,
    /// Seconds since the epoch, for certificates.
    pub(super) now: u64,
    /// Where the first announcement of keys goes.
    pub(super) announced: Option<oneshot::Sender<Vec<PublicKey>>>,
    pub(super) door: Doorbell,
}

pub(super) fn proven(key: &PublicKey) -> ProvenKey {
    let mut bare = key.clone();
    bare.set_comment("");
    ProvenKey {
        public_key: bare.to_openssh().unwrap_or_default().trim().to_owned(),
        fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        key: key.fingerprint(HashAlg::Sha256).to_string(),
    }
}

impl client::Handler for HostHandler {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let mut shown = proven(&key.public_key());
        let mut why = None;
        let accepted = match (&self.trust, key) {
            // What is pinned is trusted, also inside a certificate.
            (Trust::Pinned(pins), _) if pins.contains(&shown.fingerprint) => true,
            (Trust::Pinned(pins), PublicKeyOrCertificate::Certificate(found)) => {
                match certificate::judge(found, pins, &self.name, self.now) {
                    Ok(authority) => {
                        shown.fingerprint = authority;
                        true
                    }
                    Err(words) => {
                        why = Some(Uncounted { why: words, strange: !certificate::is_by_one_of(found, pins) });
                        false
                    }
                }
            }
            (Trust::FirstUse, PublicKeyOrCertificate::PublicKey { .. }) => true,
            // Only for a host with an authority a certificate is asked for.
            (Trust::Pinned(_) | Trust::FirstUse | Trust::Look, _) => false,
        };
        if let Ok(mut seen) = self.seen.0.lock() {
            *seen = Some((shown, why));
        }
        Ok(accepted)
    }

    async fn openssh_ext_host_keys_announced(&mut self, keys: Vec<PublicKey>, _: &mut client::Session) -> Result<(), Self::Error> {
        if let Some(announced) = self.announced.take()
            && keys.len() <= MOST_HOST_KEYS
        {
            let _ = announced.send(keys);
        }
        Ok(())
    }

    async fn kex_done(&mut self, _: Option<&[u8]>, names: &russh::Names, _: &mut client::Session) -> Result<(), Self::Error> {
        let (cipher, mac) = (names.cipher.as_ref(), names.client_mac.as_ref());
        // A cipher that protects by itself has no MAC.
        let mac = if mac == "none" { String::new() } else { format!(" {mac}") };
        let _ = self.seen.1.set(format!("{} {} {cipher}{mac}", names.kex.as_ref(), names.key));
        Ok(())
    }

    // The library accepts by itself what is not decided here.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<client::Msg>,
        address: &str,
        port: u32,
        originator: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let opens = HostOpens::Tcp { address: address.to_owned(), port, originator: originator.to_owned(), originator_port };
        self.door.ring(opens, channel, reply);
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        channel: Channel<client::Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.door.ring(HostOpens::Socket { path: path.to_owned() }, channel, reply);
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        channel: Channel<client::Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.door.ring(HostOpens::Agent, channel, reply);
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        channel: Channel<client::Msg>,
        originator: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.door.ring(HostOpens::Screen { originator: originator.to_owned(), originator_port }, channel, reply);
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<client::Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.door.refuse("session", reply).await;
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<client::Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.door.refuse("direct-tcpip", reply).await;
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<client::Msg>,
        _: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.door.refuse("direct-streamlocal@openssh.com", reply).await;
        Ok(())
    }

    async fn should_accept_unknown_server_channel(&mut self, _: ChannelId, kind: &str) -> bool {
        self.door.tell(kind);
        false
    }
}
