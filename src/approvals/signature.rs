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

    /// What a security key with these flags signs (OpenSSH's PROTOCOL.u2f): application, flags, counter and message.
    fn touched(flags: u8, claimed: u8, text: &str) -> (String, String) {
        use aws_lc_rs::digest::{SHA256, digest};
        use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
        use russh::keys::ssh_key::public::{Ed25519PublicKey, KeyData, SkEd25519};
        use russh::keys::ssh_key::{Algorithm, Signature};
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let point = Ed25519PublicKey(key.public_key().as_ref().try_into().unwrap());
        let public = KeyData::SkEd25519(SkEd25519::new(point, "ssh:".to_owned()));
        let message = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, text.as_bytes()).unwrap();
        let mut covered = digest(&SHA256, b"ssh:").as_ref().to_vec();
        covered.push(flags);
        covered.extend(7u32.to_be_bytes());
        covered.extend(digest(&SHA256, &message).as_ref());
        let mut data = key.sign(&covered).as_ref().to_vec();
        data.push(claimed);
        data.extend(7u32.to_be_bytes());
        let signature = Signature::new(Algorithm::SkEd25519, data).unwrap();
        let armored = SshSig::new(public.clone(), NAMESPACE, HashAlg::Sha512, signature).unwrap().to_pem(LineEnding::LF).unwrap();
        (armored, PublicKey::from(public).to_openssh().unwrap())
    }

    #[test]
    fn a_security_key_counts_only_if_it_was_touched() {
        let (armored, key) = touched(1, 1, "text");
        assert!(verify_signature(&armored, "text", std::slice::from_ref(&key)).is_ok());
        assert_eq!(verify_signature(&armored, "other", std::slice::from_ref(&key)), Err(SignatureError::DoesNotFit));
        let (armored, key) = touched(0, 0, "text");
        assert_eq!(verify_signature(&armored, "text", std::slice::from_ref(&key)), Err(SignatureError::NotTouched));
        let (armored, key) = touched(0, 1, "text");
        assert_eq!(verify_signature(&armored, "text", &[key]), Err(SignatureError::DoesNotFit), "a touch cannot be claimed");
    }
}
