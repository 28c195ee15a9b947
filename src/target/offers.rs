//! What a host offers, asked where no algorithm is common: so that the person reads all of it at once, with what an admin could open.
//! Reads the host's first packet, which is in clear (RFC 4253 §7.1), and sends a version line and nothing else.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::config::Config;
use super::connection::Connection;
use super::error::Error;
use super::through::wire;
use crate::model::{Host, LEGACY, LegacyKind, printable};

/// The most bytes of the host's version line, and of its first packet.
const VERSION_MAX: usize = 8 * 1024;
const PACKET_MAX: usize = 35_000;
/// The message number of the offer.
const KEXINIT: u8 = 20;
/// The most names of one list that are shown.
const SHOWN: usize = 12;
/// Ciphers that need no MAC of their own.
const AEAD: [&str; 3] = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"];

/// The lists of a host that count here.
#[derive(Debug, PartialEq, Eq)]
struct Offers([(LegacyKind, Vec<String>); 4]);

/// Why nothing is common with this host.
pub(super) async fn why(config: &Config, host: &Host, jump: Option<&Connection>, said: &russh::Error) -> Error {
    let unknown = || Error::Negotiation { address: host.address.clone(), why: said.to_string() };
    let Ok(wire) = wire(config, &host.address, jump).await else { return unknown() };
    match timeout(config.handshake_timeout, read(wire.line)).await {
        Ok(Some(offers)) => lacking(config, host, &offers).unwrap_or_else(unknown),
        Ok(None) | Err(_) => unknown(),
    }
}

/// What is not common, and which of it could be opened.
fn lacking(config: &Config, host: &Host, Offers(offers): &Offers) -> Option<Error> {
    let (mut lacks, mut open, mut hopeless) = (Vec::new(), host.legacy.clone(), false);
    let mut needs_mac = true;
    for (kind, theirs) in offers {
        if *kind == LegacyKind::Mac && !needs_mac {
            continue;
        }
        let common = config.offered(*kind, &host.legacy).into_iter().find(|ours| theirs.contains(ours));
        let old = LEGACY.iter().find(|(name, of)| of == kind && theirs.iter().any(|t| t == name)).map(|(name, _)| *name);
        let taken = match (common, old) {
            (Some(common), _) => Some(common),
            (None, old) => {
                lacks.push(format!("{} {}", word(*kind), shown(theirs)));
                match old {
                    Some(name) => open = open.and(name),
                    None => hopeless = true,
                }
                old.map(str::to_owned)
            }
        };
        if *kind == LegacyKind::Cipher {
            needs_mac = !taken.is_some_and(|cipher| AEAD.contains(&cipher.as_str()));
        }
    }
    (!lacks.is_empty()).then(|| Error::TooOld {
        address: host.address.clone(),
        offers: lacks.join("; "),
        open: if hopeless { None } else { Some(format!("keyward host edit {} --legacy {open}", host.name)) },
    })
}

fn word(kind: LegacyKind) -> &'static str {
    match kind {
        LegacyKind::KeyExchange => "for the key exchange",
        LegacyKind::HostKey => "for its host key",
        LegacyKind::Cipher => "as ciphers",
        LegacyKind::Mac => "as MACs",
    }
}

fn shown(names: &[String]) -> String {
    let text = names.iter().take(SHOWN).map(|name| printable(name, 64)).collect::<Vec<_>>().join(",");
    match names.len() {
        0 => "nothing".to_owned(),
        n if n > SHOWN => format!("{text} and {} more", n - SHOWN),
        _ => text,
    }
}

/// Reads what the host offers, from its version line on. `None`: it is no SSH server, or says more than it should.
async fn read(mut line: impl AsyncRead + AsyncWrite + Unpin) -> Option<Offers> {
    line.write_all(concat!("SSH-2.0-Keyward_", env!("CARGO_PKG_VERSION"), "\r\n").as_bytes()).await.ok()?;
    line.flush().await.ok()?;
    let mut budget = VERSION_MAX;
    while line.read_u8().await.ok()? != b'\n' {
        budget = budget.checked_sub(1)?;
    }
    let length = usize::try_from(line.read_u32().await.ok()?).ok().filter(|n| *n <= PACKET_MAX)?;
    let mut packet = vec![0; length];
    line.read_exact(&mut packet).await.ok()?;
    offers(&packet)
}

/// The lists of a packet: padding length, message number, cookie, then the lists (RFC 4253 §7.1).
fn offers(packet: &[u8]) -> Option<Offers> {
    if packet.get(1) != Some(&KEXINIT) {
        return None;
    }
    let mut rest = packet.get(18..)?;
    let mut list = || -> Option<Vec<String>> {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (text, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        rest = after;
        let text = std::str::from_utf8(text).ok()?;
        Some(text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    };
    let (kex, keys, ciphers) = (list()?, list()?, list()?);
    list()?;
    let macs = list()?;
    // What is no method, but a sign that something is understood, is nothing to choose.
    let kex = kex.into_iter().filter(|name| !name.starts_with("ext-info-") && !name.starts_with("kex-strict-")).collect();
    Some(Offers([(LegacyKind::KeyExchange, kex), (LegacyKind::HostKey, keys), (LegacyKind::Cipher, ciphers), (LegacyKind::Mac, macs)]))
}

/// How many names were read by [`offers`], for `fuzz/`.
#[cfg(feature = "fuzzing")]
pub(super) fn named(packet: &[u8]) -> Option<usize> {
    offers(packet).map(|Offers(lists)| lists.iter().map(|(_, names)| names.len()).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(lists: &[&str]) -> Vec<u8> {
        let mut out = vec![4, KEXINIT];
        out.extend([7; 16]);
        for list in lists {
            out.extend(u32::try_from(list.len()).unwrap().to_be_bytes());
            out.extend(list.as_bytes());
        }
        out.extend([0; 9]);
        out
    }

    fn host(legacy: &str) -> Host {
        Host {
            id: crate::model::HostId::from([1; 16]),
            name: "old-1".parse().unwrap(),
            workspace: "default".parse().unwrap(),
            address: "192.0.2.7".parse().unwrap(),
            tags: std::collections::BTreeMap::new(),
            trust_first_use: false,
            host_keys: Vec::new(),
            via: None,
            legacy: legacy.parse().unwrap(),
            created_at: crate::clock::Time::from_millis(0),
        }
    }

    fn told(legacy: &str, lists: &[&str]) -> Option<(String, Option<String>)> {
        match lacking(&Config::default(), &host(legacy), &offers(&packet(lists)).unwrap()) {
            Some(Error::TooOld { offers, open, .. }) => Some((offers, open)),
            None => None,
            Some(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_that_lacks_is_named_at_once_with_what_would_open_it() {
        let old =
            ["diffie-hellman-group1-sha1,diffie-hellman-group14-sha1", "ssh-rsa", "aes128-cbc", "aes128-cbc", "hmac-sha1", "hmac-sha1"];
        let (offers, open) = told("none", &old).unwrap();
        assert!(offers.contains("for its host key ssh-rsa") && offers.contains("as MACs hmac-sha1"), "{offers}");
        let verb = "keyward host edit old-1 --legacy diffie-hellman-group14-sha1,ssh-rsa,aes128-cbc,hmac-sha1";
        assert_eq!(open.as_deref(), Some(verb));
        // What is open already stays, and is not complained about.
        let (offers, open) = told("ssh-rsa,aes128-cbc,hmac-sha1", &old).unwrap();
        assert_eq!(offers, "for the key exchange diffie-hellman-group1-sha1,diffie-hellman-group14-sha1");
        assert_eq!(open.as_deref(), Some(verb));
        assert_eq!(told("diffie-hellman-group14-sha1,ssh-rsa,aes128-cbc,hmac-sha1", &old), None);
        // A cipher that protects by itself needs no MAC.
        let gcm = "aes128-gcm@openssh.com";
        assert_eq!(told("none", &["curve25519-sha256", "ssh-ed25519", gcm, gcm, "umac-64@openssh.com", ""]), None);
        let (_, open) = told("none", &["curve25519-sha256", "ssh-dss", gcm, gcm, "", ""]).unwrap();
        assert_eq!(open, None, "nothing opens ssh-dss");
    }

    #[test]
    fn what_is_cut_off_or_no_offer_is_none() {
        let whole = packet(&["a", "b", "c", "c", "d", "d"]);
        assert!(offers(&whole).is_some());
        for cut in 0..18 + 5 * 5 {
            assert_eq!(offers(&whole[..cut.min(whole.len())]), None, "{cut}");
        }
        let mut other = whole;
        other[1] = 21;
        assert_eq!(offers(&other), None);
    }
}
