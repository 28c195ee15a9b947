//! The private keys of certificate authorities: made here, sealed under their workspace's key, opened for one certificate.
//! They sign nothing but user certificates (`super::certify`) and never leave the keeper.

use super::envelope::{self, Bytes, KEY, Place};
use super::error::{Error, Tampering};
use super::keys::{Pair, RawKey};
use super::ring::{Ring, system};
use super::{Vault, import};
use crate::model::{Authority, AuthorityStage, KeyKind, Scope};
use crate::store::authorities::AuthorityRow;
use crate::store::credentials::KekRow;

/// What is to be made.
#[derive(Clone, Debug)]
pub struct NewAuthority {
    /// Whose: a workspace's.
    pub scope: Scope,
    /// One more than the last.
    pub generation: u32,
    /// Where it stands.
    pub stage: AuthorityStage,
    /// What kind of key; RSA with 4096 bits.
    pub kind: KeyKind,
}

/// Rows to be written in one change.
#[derive(Debug)]
pub struct SealedAuthority {
    /// The authority's key.
    pub row: AuthorityRow,
    /// The scope's first key, if it had none.
    pub new_kek: Option<KekRow>,
}

impl Vault {
    /// Makes a key of a certificate authority and seals it; it is never outside the vault. RSA takes up to some seconds.
    /// `kek` is the scope's newest key, `None` if it has none.
    ///
    /// # Errors
    /// [`Error::System`]; [`Error::Tampered`] if `kek` does not open; [`Error::Misused`] for a person's scope.
    pub async fn generate_authority(&self, new: NewAuthority, kek: Option<KekRow>) -> Result<SealedAuthority, Error> {
        let kind = new.kind;
        let made = self.aside(move || RawKey::generate(kind)).await?;
        let raw = made.and_then(Result::ok).ok_or(Error::System("a new private key"))?;
        let now = self.clock().now();
        let meta = Authority {
            scope: new.scope,
            generation: new.generation,
            stage: new.stage,
            kind,
            public_key: String::new(),
            fingerprint: String::new(),
            created_at: now,
        };
        self.keeper.ask(move |ring| ring.seal_authority(meta, &raw, kek)).await
    }
}

impl Ring {
    /// Seals an authority's key. `meta` comes without its public half.
    pub(super) fn seal_authority(&self, mut meta: Authority, raw: &RawKey, kek: Option<KekRow>) -> Result<SealedAuthority, Error> {
        if matches!(meta.scope, Scope::Personal(_)) || kek.as_ref().is_some_and(|kek| kek.scope != meta.scope) {
            return Err(Error::Misused("a certificate authority of another scope"));
        }
        let public = raw.pair().and_then(|pair| pair.public()).map_err(|_| import::Error::Damaged)?;
        meta.fingerprint = public.fingerprint(russh::keys::HashAlg::Sha256).to_string();
        meta.public_key = public.to_openssh().map_err(|_| import::Error::Damaged)?;
        let (new_kek, kek_version, key) = match kek {
            Some(row) => (None, row.version, self.kek(&row)?),
            None => {
                let (row, key) = self.new_kek(&meta.scope)?;
                (Some(row), 1, key)
            }
        };
        let dek = system(envelope::random(KEY))?;
        let sealed = system(envelope::seal(&dek, &Place::authority(&self.vault, &meta), &raw.bytes))?;
        let wrapped_dek = system(envelope::seal(&key, &Place::authority_key(&self.vault, &meta, kek_version), &dek))?;
        Ok(SealedAuthority { row: AuthorityRow { meta, sealed, wrapped_dek, kek_version }, new_kek })
    }

    /// Opens an authority's key, for one certificate.
    pub(super) fn authority(&self, row: &AuthorityRow, kek: &KekRow) -> Result<Pair, Error> {
        let broken = || self.tampered(Tampering::Authority);
        let dek = self.authority_dek(row, kek)?;
        let bytes = envelope::open(&dek, &Place::authority(&self.vault, &row.meta), &row.sealed).map_err(|_| broken())?;
        let pair = RawKey { kind: row.meta.kind, bytes }.pair().map_err(|_| broken())?;
        let derived = pair.public().and_then(|p| Ok(p.to_openssh()?)).map_err(|_| broken())?;
        if derived == row.meta.public_key { Ok(pair) } else { Err(broken()) }
    }

    /// Opens the data key of an authority's key.
    fn authority_dek(&self, row: &AuthorityRow, kek: &KekRow) -> Result<Bytes, Error> {
        if kek.scope != row.meta.scope || kek.version != row.kek_version {
            return Err(Error::Misused("a key of another scope or version"));
        }
        let place = Place::authority_key(&self.vault, &row.meta, kek.version);
        envelope::open(&self.kek(kek)?, &place, &row.wrapped_dek).map_err(|_| self.tampered(Tampering::Authority))
    }
}
