//! Ciphertext in, one use out: a password for one lease, one for sudo, or a signature under one sign-in. A private key that
//! is opened here is never returned.

use super::envelope::{self, Bytes, Place};
use super::error::{Error, SignFault, Tampering};
use super::keys::{Pair, RawKey};
use super::lease::{Case, Parked};
use super::ring::Ring;
use super::sealing::judge_sudo;
use super::wire::{self, SignIn};
use crate::model::{CredentialKind, KeyKind};
use crate::secret::Secret;

impl Ring {
    /// Opens the data key that is bound to the case's host as it is now.
    fn data_key(&self, case: &Case) -> Result<Bytes, Error> {
        let key = self.kek(&case.kek)?;
        let place = Place::dek(&self.vault, &case.row.meta, case.binding.kek_version, Some((case.binding.host, &case.host)));
        self.open_dek(&case.kek, &key, &place, &case.binding.wrapped_dek).map_err(|_| self.tampered(Tampering::DataKey))
    }

    pub(super) fn secret(&self, case: &Case) -> Result<Bytes, Error> {
        let dek = self.data_key(case)?;
        let place = Place::secret(&self.vault, &case.row.meta);
        envelope::open(&dek, &place, &case.row.sealed).map_err(|_| self.tampered(Tampering::Secret))
    }

    /// The password for one sign-in; for a key, whether it could be opened: `None`.
    pub(super) fn lease(&self, case: &Case) -> Result<Option<Secret>, Error> {
        match case.row.meta.kind {
            CredentialKind::Password => Ok(Some(Secret::from_zeroizing(self.secret(case)?))),
            CredentialKind::Key(_) => self.data_key(case).map(|_| None),
            CredentialKind::Certificate | CredentialKind::Reference(_) => Err(Error::Misused("a kind that is not leased here")),
        }
    }

    /// What sudo is given: the credential's sudo password, else the password that signs in. `None`: it has neither.
    pub(super) fn sudo(&self, case: &Case) -> Result<Option<Secret>, Error> {
        let secret = match (&case.sudo, case.row.meta.kind) {
            (Some(sealed), _) => {
                let dek = self.data_key(case)?;
                envelope::open(&dek, &Place::sudo(&self.vault, &case.row.meta), sealed).map_err(|_| self.tampered(Tampering::Sudo))?
            }
            (None, CredentialKind::Password) => self.secret(case)?,
            // Nothing is opened but what binds it to this host: whether there is none is not told about another one.
            (None, CredentialKind::Key(_) | CredentialKind::Certificate | CredentialKind::Reference(_)) => {
                return self.data_key(case).map(|_| None);
            }
        };
        judge_sudo(&secret).map_err(Error::NotForSudo)?;
        Ok(Some(Secret::from_zeroizing(secret)))
    }

    /// Signs one sign-in: as the credential's account, with the credential's key, and nothing else.
    pub(super) fn sign(&self, case: &Case, message: &[u8]) -> Result<Vec<u8>, Error> {
        let request = SignIn::parse(message).ok_or(Error::Sign(SignFault::NotASignIn))?;
        if request.user != case.row.meta.username.as_str() {
            return Err(Error::Sign(SignFault::OtherUser));
        }
        let CredentialKind::Key(kind) = case.row.meta.kind else { return Err(Error::Misused("a password does not sign")) };
        let pair = self.key_pair(case, kind)?;
        let public = pair.public().and_then(|p| Ok(p.to_bytes()?)).map_err(|_| self.tampered(Tampering::Secret))?;
        if request.key != public {
            return Err(Error::Sign(SignFault::OtherKey));
        }
        let signature = pair.sign(request.algorithm, message).map_err(|_| Error::Sign(SignFault::Algorithm))?;
        let mut whole = message.to_vec();
        wire::put_string(&mut whole, &signature);
        Ok(whole)
    }

    /// Signs one sign-in with a key that waited for it.
    pub(super) fn sign_parked(&self, parked: &Parked, message: &[u8]) -> Result<Vec<u8>, Error> {
        let request = SignIn::parse(message).ok_or(Error::Sign(SignFault::NotASignIn))?;
        if request.user != parked.login.as_str() {
            return Err(Error::Sign(SignFault::OtherUser));
        }
        if request.key != parked.offered {
            return Err(Error::Sign(SignFault::OtherKey));
        }
        let pair = self.unpark(parked)?.pair().map_err(|_| Error::Misused("a parked key that is none"))?;
        // A certificate's algorithm is its key's with a suffix (PROTOCOL.certkeys); the signature is the key's.
        let algorithm = request.algorithm.strip_suffix("-cert-v01@openssh.com").unwrap_or(request.algorithm);
        let signature = pair.sign(algorithm, message).map_err(|_| Error::Sign(SignFault::Algorithm))?;
        let mut whole = message.to_vec();
        wire::put_string(&mut whole, &signature);
        Ok(whole)
    }

    fn key_pair(&self, case: &Case, kind: KeyKind) -> Result<Pair, Error> {
        let raw = RawKey { kind, bytes: self.secret(case)? };
        let pair = raw.pair().map_err(|_| self.tampered(Tampering::Secret))?;
        let derived = pair.public().and_then(|p| Ok(p.to_openssh()?)).map_err(|_| self.tampered(Tampering::Secret))?;
        if case.row.meta.public_key.as_ref() == Some(&derived) { Ok(pair) } else { Err(self.tampered(Tampering::PublicKey)) }
    }
}
