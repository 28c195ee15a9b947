//! One use of one credential on one host: what stands in the rows, whether it may be used now, and the signer that
//! asks the keeper. Never holds a private key.

use rusqlite::Connection;
use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::{Certificate, HashAlg, PublicKey};

use super::certify::Standing;
use super::error::{Error, SignFault};
use super::next::{Way, which};
use super::{LEASE_LIFE, Vault};
use crate::clock::Time;
use crate::model::{CredentialId, Host, HostBinding, HostId, KeyKind, Login, Principal, Scope, SessionId};
use crate::secret::Secret;
use crate::store::credentials::{BindingRow, CredentialRow, KekRow};
use crate::store::{self, credentials, hosts, state, sudo};

/// One use of one credential. Signing in consumes it.
#[must_use]
#[derive(Debug)]
pub struct Lease {
    pub(super) session: SessionId,
    pub(super) credential: CredentialId,
    pub(super) login: Login,
    pub(super) means: Means,
}

/// What signs in.
#[derive(Debug)]
pub enum Means {
    /// A key: the keeper signs, once.
    Key(Signer),
    /// A password.
    Password(Secret),
    /// One of two passwords: the host was being given the second one when that was interrupted.
    Either(Secret, Secret),
}

impl Lease {
    /// For which session.
    pub fn session(&self) -> SessionId {
        self.session
    }
    /// Of which credential.
    pub fn credential(&self) -> CredentialId {
        self.credential
    }
    /// The account to sign in to.
    pub fn login(&self) -> &Login {
        &self.login
    }
    /// What signs in; the lease is spent.
    pub fn into_means(self) -> Means {
        self.means
    }
}

/// One use of one credential's sudo password on one host. Sending it consumes it; dropped, it is wiped.
#[must_use]
#[derive(Debug)]
pub struct SudoLease {
    pub(super) session: SessionId,
    pub(super) credential: CredentialId,
    pub(super) secret: Secret,
}

impl SudoLease {
    /// For which session.
    pub fn session(&self) -> SessionId {
        self.session
    }
    /// Of which credential.
    pub fn credential(&self) -> CredentialId {
        self.credential
    }
    /// The password, one line without its end; the lease is spent.
    pub fn into_secret(self) -> Secret {
        self.secret
    }
}

/// Who wants to use what, where.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) principal: Principal,
    pub(super) credential: CredentialId,
    pub(super) host: HostId,
    /// The fingerprint of the key that the host proved to have.
    pub(super) presented: String,
    /// Which secret of the credential.
    pub(super) way: Way,
}

/// The rows of one use, read in one snapshot.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) state: state::Sealed,
    pub(super) row: Option<CredentialRow>,
    pub(super) binding: Option<BindingRow>,
    pub(super) kek: Option<KekRow>,
    pub(super) host: Option<Host>,
    sudo: Option<Vec<u8>>,
    authority: Option<Standing>,
}

/// Rows that were verified and allow the use.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) row: CredentialRow,
    pub(super) binding: BindingRow,
    pub(super) kek: KekRow,
    /// The host as its row says now; the binding opens only if it said the same when the credential was attached.
    pub(super) host: HostBinding,
    /// The sudo password, sealed, if the credential has one of its own.
    pub(super) sudo: Option<Vec<u8>>,
    /// What signs its certificates, if it stands on an authority that there is.
    pub(super) authority: Option<Standing>,
}

impl Rows {
    pub(super) fn read(c: &Connection, wanted: &Wanted) -> Result<Self, store::Error> {
        let credential = which(c, wanted)?;
        let row = credentials::row(c, credential)?;
        let binding = credentials::binding(c, credential, wanted.host)?;
        let kek = match (&row, &binding) {
            (Some(row), Some(binding)) => Some(credentials::kek(c, &row.meta.scope, binding.kek_version)?),
            (Some(row), None) if wanted.way == Way::Unattached => Some(credentials::kek(c, &row.meta.scope, row.kek_version)?),
            _ => None,
        };
        let sudo = sudo::sealed(c, credential)?;
        let authority = row.as_ref().map(|row| Standing::read(c, row)).transpose()?.flatten();
        Ok(Self { state: state::read(c)?, row, binding, kek, host: hosts::by_id(c, wanted.host)?, sudo, authority })
    }

    /// Whether the use is allowed. The state must have been verified before.
    pub(super) fn judge(self, wanted: &Wanted) -> Result<Case, Error> {
        let row = self.row.ok_or(Error::NoCredential)?;
        let host = self.host.ok_or(Error::NoHost)?;
        match (&row.meta.scope, wanted.principal) {
            // Nothing is ever decrypted for an agent: its commands run on a connection that a person opened.
            (_, Principal::Agent(_)) => return Err(Error::NotTheirs),
            (Scope::Personal(owner), Principal::Human(user)) if *owner != user => return Err(Error::NotTheirs),
            (Scope::Workspace(workspace), _) if *workspace != host.workspace => return Err(Error::NotBound),
            _ => {}
        }
        let (binding, kek) = self.binding.zip(self.kek).ok_or(Error::NotBound)?;
        let pins: Vec<String> = host.host_keys.into_iter().map(|key| key.fingerprint).collect();
        if !pins.contains(&wanted.presented) {
            return Err(Error::HostKeyNotPinned { presented: wanted.presented.clone() });
        }
        let host = HostBinding::new(host.address, row.meta.username.clone(), pins);
        Ok(Case { row, binding, kek, host, sudo: self.sudo, authority: self.authority })
    }
}

/// A private key that belongs to one sign-in and is stored nowhere, sealed with a key of the keeper's process.
#[derive(Clone, Debug)]
pub(super) struct Parked {
    pub(super) sealed: Vec<u8>,
    pub(super) kind: KeyKind,
    /// The account that it signs in to.
    pub(super) login: Login,
    /// What the request offers to the host: the public key, or the certificate, in the encoding of the protocol.
    pub(super) offered: Vec<u8>,
}

/// Where the key is that signs.
#[derive(Clone, Debug)]
enum Source {
    /// In the database: its rows are read anew.
    Stored(Wanted),
    /// Nowhere but here, as ciphertext.
    Parked(Parked),
}

/// Signs one sign-in. It holds no key: it asks the keeper, which opens, signs and wipes.
#[derive(Debug)]
pub struct Signer {
    vault: Vault,
    source: Box<Source>,
    public: Box<PublicKey>,
    certificate: Option<Box<Certificate>>,
    opened: Time,
    spent: bool,
}

impl Signer {
    pub(super) fn new(vault: Vault, wanted: Wanted, public: PublicKey, opened: Time) -> Self {
        Self { vault, source: Box::new(Source::Stored(wanted)), public: Box::new(public), certificate: None, opened, spent: false }
    }

    /// With a key that is not stored; `certificate` if the host is offered one.
    pub(super) fn parked(vault: Vault, parked: Parked, public: PublicKey, certificate: Option<Certificate>, opened: Time) -> Self {
        let certificate = certificate.map(Box::new);
        Self { vault, source: Box::new(Source::Parked(parked)), public: Box::new(public), certificate, opened, spent: false }
    }

    /// The key to offer to the host.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The certificate to offer instead of the bare key.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_deref()
    }

    /// Signs a sign-in request and returns it with the signature behind it.
    ///
    /// # Errors
    /// [`Error::Sign`] if it was used before, is too old, or is to sign anything but this credential's sign-in; else as [`Vault::lease`].
    pub async fn sign(&mut self, request: Vec<u8>) -> Result<Vec<u8>, Error> {
        // Spent before anything is asked: whoever drops the future and comes again gets no second signature.
        if std::mem::replace(&mut self.spent, true) {
            return Err(Error::Sign(SignFault::Spent));
        }
        if self.vault.clock().now().since(self.opened) > LEASE_LIFE {
            return Err(Error::Sign(SignFault::Late));
        }
        match Source::clone(&self.source) {
            Source::Stored(wanted) => self.vault.with_case(wanted, move |ring, case| ring.sign(&case, &request)).await,
            Source::Parked(parked) => self.vault.keeper.ask(move |ring| ring.sign_parked(&parked, &request)).await,
        }
    }
}

impl russh::Signer for Signer {
    type Error = Error;

    async fn auth_sign(&mut self, key: &AgentIdentity, _: Option<HashAlg>, to_sign: Vec<u8>) -> Result<Vec<u8>, Error> {
        // The algorithm stands in the request itself, and that is what is signed.
        let ours = match key {
            AgentIdentity::PublicKey { key, .. } => self.certificate.is_none() && key.key_data() == self.public.key_data(),
            AgentIdentity::Certificate { certificate, .. } => self.certificate.as_deref() == Some(certificate),
        };
        if ours { self.sign(to_sign).await } else { Err(Error::Sign(SignFault::OtherKey)) }
    }
}
