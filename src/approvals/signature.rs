//! A person's signature over a proposal: an SSHSIG (OpenSSH's PROTOCOL.sshsig) in a namespace of our own, by a key that signs
//! that person in. It can be verified offline, later, with `ssh-keygen -Y verify`.

use russh::keys::PublicKey;
use russh::keys::ssh_key::{HashAlg, SshSig};

/// The namespace: a signature that was made for anything else is none.
pub const NAMESPACE: &str = "approval@keyward";
/// The longest armored signature, in bytes.
const MOST: usize = 16 * 1024;
/// The flag of a security key that somebody touched it (OpenSSH's PROTOCOL.u2f).
const TOUCHED: u8 = 1;

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is no SSHSIG.
    #[error("this is no armored ssh signature")]
    Unreadable,
    /// It was made for something else.
    #[error("the signature was not made in the namespace {NAMESPACE}")]
    Namespace,
    /// The key is not one of the person's.
    #[error("the signature is by a key that is not yours here")]
    OtherKey,
    /// It does not fit.
    #[error("the signature does not fit this proposal with these bytes")]
    DoesNotFit,
    /// A security key that nobody touched.
    #[error("the security key was not touched")]
    NotTouched,
}

/// Verifies `armored` over `text`. `keys` are the person's; the fingerprint of the one that signed comes back.
///
/// # Errors
/// [`SignatureError`].
pub fn verify_signature(armored: &str, text: &str, keys: &[String]) -> Result<String, SignatureError> {
    if armored.len() > MOST {
        return Err(SignatureError::Unreadable);
    }
    let signature = SshSig::from_pem(armored.trim_end().as_bytes()).map_err(|_| SignatureError::Unreadable)?;
    if signature.namespace() != NAMESPACE {
        return Err(SignatureError::Namespace);
    }
    let key = keys
        .iter()
        .filter_map(|k| PublicKey::from_openssh(k).ok())
        .find(|k| k.key_data() == signature.public_key())
        .ok_or(SignatureError::OtherKey)?;
    key.verify(NAMESPACE, text.as_bytes(), &signature).map_err(|_| SignatureError::DoesNotFit)?;
    if key.algorithm().as_str().starts_with("sk-") {
        // Flags and counter stand behind the signature proper: one byte, then four.
        let bytes = signature.signature_bytes();
        let flags = bytes.len().checked_sub(5).and_then(|at| bytes.get(at)).copied().unwrap_or(0);
        if flags & TOUCHED == 0 {
            return Err(SignatureError::NotTouched);
        }
    }
    Ok(key.fingerprint(HashAlg::Sha256).to_string())
}

#[cfg(test)]
mod tests {
    use russh::keys::PrivateKey;
    use russh::keys::ssh_key::LineEnding;
    use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};

    use super::*;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&[seed; 32])), "").unwrap()
    }

    fn signed(key: &PrivateKey, namespace: &str, text: &str) -> String {
        key.sign(namespace, HashAlg::Sha512, text.as_bytes()).unwrap().to_pem(LineEnding::LF).unwrap()
    }

    #[test]
    fn only_the_persons_own_signature_over_this_proposal_counts() {
        let (mine, other) = (key(1), key(2));
        let keys = vec![mine.public_key().to_openssh().unwrap()];
        let good = signed(&mine, NAMESPACE, "text");
        assert_eq!(verify_signature(&good, "text", &keys).unwrap(), mine.public_key().fingerprint(HashAlg::Sha256).to_string());
        assert_eq!(verify_signature(&good, "texT", &keys), Err(SignatureError::DoesNotFit));
        assert_eq!(verify_signature(&signed(&mine, "git", "text"), "text", &keys), Err(SignatureError::Namespace));
        assert_eq!(verify_signature(&signed(&other, NAMESPACE, "text"), "text", &keys), Err(SignatureError::OtherKey));
        for bad in ["", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n", &good[..good.len() / 2]] {
            assert_eq!(verify_signature(bad, "text", &keys), Err(SignatureError::Unreadable));
        }
    }
}
