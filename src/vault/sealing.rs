//! Secrets in, ciphertext out: what may be kept, and the three layers around it. Opens nothing but a sudo password that
//! moves to its credential's next data key, and hands out none.

use super::envelope::{self, Bytes, KEY, Place};
use super::error::{Error, PasswordFault, Tampering};
use super::keys::RawKey;
use super::ring::{Ring, system};
use super::scope::Wrap;
use super::{Held, MAX_PASSWORD, MAX_SUDO_PASSWORD, SealedCredential, Sudo, import};
use crate::model::{Credential, CredentialKind, Fetched, HostBinding, HostId, Reference, Scope};
use crate::secret::Secret;
use crate::store::credentials::{BindingRow, CredentialRow, KekRow};

/// A secret that is to be sealed.
#[derive(Debug)]
pub(super) enum Plain {
    Password(Secret),
    Key(RawKey),
    /// No secret: random bytes in its place, and the public half of the authority that it stands on.
    Certificate {
        filling: Bytes,
        public_key: String,
        fingerprint: String,
    },
    Reference(Fetched, Secret),
}

impl Ring {
    pub(super) fn new_kek(&self, scope: &Scope) -> Result<(KekRow, Bytes), Error> {
        let key = system(envelope::random(KEY))?;
        let wrapped = system(envelope::seal(&self.root, &Place::kek(&self.vault, scope, 1), &key))?;
        Ok((KekRow { scope: scope.clone(), version: 1, wrapped }, key))
    }

    /// Seals a new version of a credential. `meta` comes without what the secret decides: kind, public key, fingerprint.
    pub(super) fn seal(
        &self,
        mut meta: Credential,
        plain: &Plain,
        kek: Option<KekRow>,
        hosts: &[(HostId, HostBinding)],
    ) -> Result<SealedCredential, Error> {
        let secret = match plain {
            Plain::Password(password) => {
                judge_password(password.expose()).map_err(Error::Password)?;
                password.expose()
            }
            Plain::Key(raw) => {
                let public = raw.pair().and_then(|pair| pair.public()).map_err(|_| import::Error::Damaged)?;
                meta.kind = CredentialKind::Key(raw.kind);
                meta.fingerprint = Some(public.fingerprint(russh::keys::HashAlg::Sha256).to_string());
                meta.public_key = Some(public.to_openssh().map_err(|_| import::Error::Damaged)?);
                &raw.bytes
            }
            Plain::Certificate { filling, public_key, fingerprint } => {
                meta.kind = CredentialKind::Certificate;
                meta.fingerprint = Some(fingerprint.clone());
                meta.public_key = Some(public_key.clone());
                filling
            }
            Plain::Reference(what, reference) => {
                Reference::decode(reference.expose()).ok_or(Error::Misused("a reference that is none"))?;
                meta.kind = CredentialKind::Reference(*what);
                reference.expose()
            }
        };
        if kek.as_ref().is_some_and(|kek| kek.scope != meta.scope) {
            return Err(Error::Misused("a key of another scope"));
        }
        let (new_kek, version, key) = match kek {
            Some(row) => (None, row.version, self.wrap_of(&row)?),
            None => {
                let (row, key) = self.new_kek(&meta.scope)?;
                (Some(row), 1, Wrap::Key(key))
            }
        };
        let dek = system(envelope::random(KEY))?;
        let sealed = system(envelope::seal(&dek, &Place::secret(&self.vault, &meta), secret))?;
        let wrapped_dek = system(key.seal(&Place::dek(&self.vault, &meta, version, None), &dek))?;
        let bindings = self.wrap_for(&meta, version, &key, &dek, hosts)?;
        Ok(SealedCredential { row: CredentialRow { meta, sealed, wrapped_dek, kek_version: version }, new_kek, bindings })
    }

    /// Binds a sealed credential to hosts, or binds it anew after one of them changed.
    pub(super) fn bind(&self, row: &CredentialRow, kek: &KekRow, hosts: &[(HostId, HostBinding)]) -> Result<Vec<BindingRow>, Error> {
        let (key, dek) = self.unbound(row, kek)?;
        self.wrap_for(&row.meta, kek.version, &Wrap::Key(key), &dek, hosts)
    }

    /// The sudo password of `after`, sealed, as `change` wants it; `after` is `before` itself, or its next version, whose
    /// data key is another. `None`: it has none of its own.
    pub(super) fn sudo_for(&self, before: &Held, after: &CredentialRow, kek: &KekRow, change: &Sudo) -> Result<Option<Vec<u8>>, Error> {
        match (change, &before.sudo) {
            (Sudo::Remove, _) | (Sudo::Keep, None) => Ok(None),
            (Sudo::Keep, Some(sealed)) if before.row.wrapped_dek == after.wrapped_dek => Ok(Some(sealed.clone())),
            (Sudo::Keep, Some(sealed)) => {
                let (_, dek) = self.unbound(&before.row, &before.kek)?;
                let place = Place::sudo(&self.vault, &before.row.meta);
                let plain = envelope::open(&dek, &place, sealed).map_err(|_| self.tampered(Tampering::Sudo))?;
                self.seal_sudo(after, kek, &plain).map(Some)
            }
            (Sudo::Set(secret), _) => {
                judge_sudo(secret.expose()).map_err(Error::Password)?;
                self.seal_sudo(after, kek, secret.expose()).map(Some)
            }
        }
    }

    fn seal_sudo(&self, row: &CredentialRow, kek: &KekRow, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let (_, dek) = self.unbound(row, kek)?;
        system(envelope::seal(&dek, &Place::sudo(&self.vault, &row.meta), plain))
    }

    /// Opens the data key that is bound to no host, and the key that wraps it.
    pub(super) fn unbound(&self, row: &CredentialRow, kek: &KekRow) -> Result<(Bytes, Bytes), Error> {
        if kek.scope != row.meta.scope || kek.version != row.kek_version {
            return Err(Error::Misused("a key of another scope or version"));
        }
        let key = self.kek(kek)?;
        let place = Place::dek(&self.vault, &row.meta, kek.version, None);
        let dek = self.open_dek(kek, &key, &place, &row.wrapped_dek).map_err(|_| self.tampered(Tampering::DataKey))?;
        Ok((key, dek))
    }

    /// Opens what is sealed, bound to no host. For references alone: a secret is opened for the host that it is used on.
    pub(super) fn unbound_secret(&self, row: &CredentialRow, kek: &KekRow) -> Result<Bytes, Error> {
        let (_, dek) = self.unbound(row, kek)?;
        envelope::open(&dek, &Place::secret(&self.vault, &row.meta), &row.sealed).map_err(|_| self.tampered(Tampering::Secret))
    }

    pub(super) fn wrap_for(
        &self,
        meta: &Credential,
        version: u32,
        key: &Wrap,
        dek: &[u8],
        hosts: &[(HostId, HostBinding)],
    ) -> Result<Vec<BindingRow>, Error> {
        let wrap = |(host, binding): &(HostId, HostBinding)| {
            if binding.login != meta.username {
                return Err(Error::Misused("a binding for another account"));
            }
            let wrapped_dek = system(key.seal(&Place::dek(&self.vault, meta, version, Some((*host, binding))), dek))?;
            Ok(BindingRow { credential: meta.id, host: *host, wrapped_dek, kek_version: version })
        };
        hosts.iter().map(wrap).collect()
    }
}

pub(super) fn judge_password(bytes: &[u8]) -> Result<(), PasswordFault> {
    if bytes.is_empty() {
        Err(PasswordFault::Empty)
    } else if bytes.len() > MAX_PASSWORD {
        Err(PasswordFault::TooLong)
    } else if bytes.contains(&0) {
        Err(PasswordFault::Nul)
    } else if std::str::from_utf8(bytes).is_err() {
        Err(PasswordFault::NotUtf8)
    } else {
        Ok(())
    }
}

/// What may be given to sudo: one line, no longer than every sudo reads.
pub(super) fn judge_sudo(bytes: &[u8]) -> Result<(), PasswordFault> {
    judge_password(bytes)?;
    if bytes.iter().any(|b| matches!(b, b'\n' | b'\r')) {
        Err(PasswordFault::LineBreak)
    } else if bytes.len() > MAX_SUDO_PASSWORD {
        Err(PasswordFault::TooLongForSudo)
    } else {
        Ok(())
    }
}
