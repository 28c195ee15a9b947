//! Old algorithms as russh knows them: put after the others, for a host that an admin named them for. Opens nothing by itself.

use std::borrow::Cow;

use russh::keys::Algorithm;
use russh::{cipher, kex, mac};

use crate::model::{Legacy, LegacyKind};

const KEX: &[kex::Name] = &[kex::DH_G14_SHA1, kex::DH_GEX_SHA1, kex::DH_G1_SHA1];
const CIPHERS: &[cipher::Name] = &[cipher::AES_256_CBC, cipher::AES_192_CBC, cipher::AES_128_CBC, cipher::TRIPLE_DES_CBC];
const MACS: &[mac::Name] = &[mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];
/// `ssh-rsa`: an RSA key that signs with SHA-1.
const RSA: Algorithm = Algorithm::Rsa { hash: None };

fn with<N: Copy + AsRef<str>>(usual: &'static [N], known: &[N], old: &Legacy, kind: LegacyKind) -> Cow<'static, [N]>
where
    [N]: ToOwned<Owned = Vec<N>>,
{
    let mut more = old.of(kind).filter_map(|name| known.iter().find(|n| n.as_ref() == name).copied()).peekable();
    if more.peek().is_none() { Cow::Borrowed(usual) } else { Cow::Owned(usual.iter().copied().chain(more).collect()) }
}

pub(super) fn with_kex(usual: &'static [kex::Name], old: &Legacy) -> Cow<'static, [kex::Name]> {
    // Signs that something is understood are no methods: russh puts them where it likes, and nothing is chosen by them.
    with(usual, KEX, old, LegacyKind::KeyExchange)
}

pub(super) fn with_ciphers(usual: &'static [cipher::Name], old: &Legacy) -> Cow<'static, [cipher::Name]> {
    with(usual, CIPHERS, old, LegacyKind::Cipher)
}

pub(super) fn with_macs(usual: &'static [mac::Name], old: &Legacy) -> Cow<'static, [mac::Name]> {
    with(usual, MACS, old, LegacyKind::Mac)
}

pub(super) fn with_keys(mut usual: Vec<Algorithm>, old: &Legacy) -> Vec<Algorithm> {
    if old.of(LegacyKind::HostKey).any(|name| name == RSA.as_str()) {
        usual.push(RSA);
    }
    usual
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LEGACY;
    use crate::target::Config;

    #[test]
    fn every_old_algorithm_that_can_be_named_is_opened_at_the_end_and_only_then() {
        for (name, kind) in LEGACY {
            let usual = Config::default().offered(*kind, &Legacy::default());
            assert!(!usual.iter().any(|n| n == name), "{name} is open to every host");
            let open = Config::default().offered(*kind, &name.parse().unwrap());
            assert_eq!(open.last().map(String::as_str), Some(*name));
            assert_eq!(&open[..usual.len()], &usual[..]);
        }
    }
}
