//! Credentials that lie in somebody else's vault: the reference is opened for the one use that it is for, and what was fetched
//! becomes a lease. A key that was fetched, or made for one certificate, waits as ciphertext for its one signature. Fetches
//! nothing itself, and keeps nothing of what was fetched.

use russh::keys::ssh_key::PublicKey;
use russh::keys::ssh_key::certificate::{CertType, Certificate};

use super::error::{Error, PasswordFault, Tampering};
use super::keys::RawKey;
use super::lease::{Case, Lease, Means, Parked, Signer, Wanted};
use super::next::Way;
use super::ring::Ring;
use super::sealing::judge_password;
use super::{Vault, import};
use crate::audit::Audited;
use crate::authz::Permit;
use crate::clock::Time;
use crate::model::{CredentialId, CredentialKind, Fetched, KeyKind, Login, Name, Reference, Scope, SessionId};
use crate::secret::Secret;
use crate::store::credentials::{CredentialRow, KekRow};

/// The longest that a certificate may be good for, from now, in seconds.
const LONGEST: u64 = 3600;
/// The longest certificate, as text.
const MOST: usize = 16 * 1024;

/// Why what was fetched cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchedFault {
    /// No password that could be sent.
    #[error("it is no password: {0}")]
    Password(PasswordFault),
    /// No private key that can be used as it is.
    #[error("{0}")]
    Key(import::Error),
    /// Nothing that reads as a certificate.
    #[error("it is no certificate of OpenSSH's kind")]
    NotACertificate,
    /// It certifies another key.
    #[error("the certificate is for another key than the one that was sent")]
    OtherKey,
    /// It is for hosts.
    #[error("the certificate is for hosts, not for people")]
    HostCertificate,
    /// It names other accounts, or one that could be read as several.
    #[error("the certificate is not for the credential's account")]
    OtherAccount,
    /// It names no account, which old servers take for all of them.
    #[error("the certificate names no account")]
    AnyAccount,
    /// It does not count yet, or any more.
    #[error("the certificate is not good now: compare the clocks")]
    NotNow,
    /// It counts for too long.
    #[error("the certificate is good for more than an hour")]
    TooLong,
}

/// A reference that was opened for one use. What is fetched by it becomes a lease.
#[must_use]
#[derive(Debug)]
pub struct Referral {
    session: SessionId,
    credential: CredentialId,
    login: Login,
    scope: Scope,
    reference: Reference,
    what: Fetched,
}

impl Referral {
    /// Where the secret lies.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }
    /// What is to be fetched.
    pub fn what(&self) -> Fetched {
        self.what
    }
    /// The account to sign in to.
    pub fn login(&self) -> &Login {
        &self.login
    }
    /// Whose the credential is.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    fn unusable(&self, fault: FetchedFault) -> Error {
        Error::Fetched { from: self.reference.source.clone(), fault }
    }

    fn lease(self, means: Means) -> Lease {
        Lease { session: self.session, credential: self.credential, login: self.login, means }
    }
}

/// A key that was made for one certificate. The private half waits as ciphertext.
#[derive(Debug)]
pub struct Ephemeral {
    parked: Parked,
    public: PublicKey,
    made: Time,
}

impl Ephemeral {
    /// The public half, as `authorized_keys` has it.
    ///
    /// # Errors
    /// [`Error::System`] in theory.
    pub fn public_key(&self) -> Result<String, Error> {
        self.public.to_openssh().map_err(|_| Error::System("a public key"))
    }
}

impl Vault {
    /// Opens a reference for the host that showed the key `presented`: whoever changed the row or the host's gets an error here.
    ///
    /// # Errors
    /// As [`Vault::lease`]; [`Error::Misused`] if the credential is no reference.
    pub async fn refer(&self, permit: Audited<Permit>, presented: &str, way: Way) -> Result<Referral, Error> {
        let permit = permit.into_inner();
        if !permit.is_fresh(self.clock.now()) {
            return Err(Error::StalePermit);
        }
        let (credential, session) = (permit.credential(), permit.session());
        let wanted = Wanted { principal: permit.principal(), credential, host: permit.host(), presented: presented.to_owned(), way };
        let open = |ring: &Ring, case: Case| Ok((ring.reference(&case)?, case.row.meta));
        let ((what, reference), meta) = self.with_case(wanted, open).await?;
        Ok(Referral { session, credential, login: meta.username, scope: meta.scope, reference, what })
    }

    /// Opens references to be shown to those who may change them. One that its owner sealed, and is not open, is left out.
    ///
    /// # Errors
    /// [`Error::Tampered`]; [`Error::Misused`] if one is no reference.
    pub async fn references(&self, rows: Vec<(CredentialRow, KekRow)>) -> Result<Vec<(CredentialId, Reference)>, Error> {
        self.keeper
            .ask(move |ring| {
                let shown = rows.iter().map(|(row, kek)| match ring.reference_shown(row, kek) {
                    Err(Error::ScopeSealed) => Ok(None),
                    shown => Ok(Some((row.meta.id, shown?))),
                });
                shown.filter_map(Result::transpose).collect()
            })
            .await
    }

    /// A lease of a password that was fetched.
    ///
    /// # Errors
    /// [`Error::Fetched`].
    pub fn with_password(&self, referral: Referral, password: Secret) -> Result<Lease, Error> {
        judge_password(password.expose()).map_err(|fault| referral.unusable(FetchedFault::Password(fault)))?;
        Ok(referral.lease(Means::Password(password)))
    }

    /// A lease of a private key that was fetched. It is read on a stack that is wiped.
    ///
    /// # Errors
    /// [`Error::Fetched`]: also if the key is encrypted, since nobody could give its passphrase.
    pub async fn with_key(&self, referral: Referral, file: Secret) -> Result<Lease, Error> {
        let raw = match self.import(file, None).await {
            Ok(raw) => raw,
            Err(Error::Key(fault)) => return Err(referral.unusable(FetchedFault::Key(fault))),
            Err(e) => return Err(e),
        };
        let login = referral.login.clone();
        let parked = self.keeper.ask(move |ring| Ok(ring.park_with_public(&raw, &login).ok())).await?;
        let (parked, public) = parked.ok_or_else(|| referral.unusable(FetchedFault::Key(import::Error::Damaged)))?;
        let signer = Signer::parked(self.clone(), parked, public, None, self.clock.now());
        Ok(referral.lease(Means::Key(signer)))
    }

    /// Makes a key for one certificate.
    ///
    /// # Errors
    /// [`Error::System`].
    pub async fn ephemeral(&self, referral: &Referral) -> Result<Ephemeral, Error> {
        let login = referral.login.clone();
        let made = self.keeper.ask(move |ring| {
            let raw = RawKey::generate(KeyKind::Ed25519).map_err(|_| Error::System("a new private key"))?;
            ring.park_with_public(&raw, &login)
        });
        let (parked, public) = made.await?;
        Ok(Ephemeral { parked, public, made: self.clock.now() })
    }

    /// A lease of the key that `certificate` was signed for. What the certificate says is believed only as far as it narrows:
    /// our key, this account, now, and not for long.
    ///
    /// # Errors
    /// [`Error::Fetched`].
    pub async fn with_certificate(&self, referral: Referral, key: Ephemeral, certificate: &str) -> Result<Lease, Error> {
        let Ephemeral { parked, public, made } = key;
        let now = u64::try_from(self.clock.now().millis() / 1000).unwrap_or(0);
        let certificate = judge(certificate, &public, &referral.login, now).map_err(|fault| referral.unusable(fault))?;
        let offered = certificate.to_bytes().map_err(|_| referral.unusable(FetchedFault::NotACertificate))?;
        let parked = self.keeper.ask(move |ring| ring.park(&ring.unpark(&parked)?, &parked.login, offered)).await?;
        let signer = Signer::parked(self.clone(), parked, public, Some(certificate), made);
        Ok(referral.lease(Means::Key(signer)))
    }
}

impl Ring {
    /// What the case's sealed reference says.
    fn reference(&self, case: &Case) -> Result<(Fetched, Reference), Error> {
        let CredentialKind::Reference(what) = case.row.meta.kind else { return Err(Error::Misused("a credential that is no reference")) };
        let text = self.secret(case)?;
        Ok((what, Reference::decode(&text).ok_or_else(|| self.tampered(Tampering::Secret))?))
    }

    /// The same, bound to no host: for whoever may change it.
    fn reference_shown(&self, row: &CredentialRow, kek: &KekRow) -> Result<Reference, Error> {
        if !matches!(row.meta.kind, CredentialKind::Reference(_)) {
            return Err(Error::Misused("a credential that is no reference"));
        }
        let text = self.unbound_secret(row, kek)?;
        Reference::decode(&text).ok_or_else(|| self.tampered(Tampering::Secret))
    }

    fn park_with_public(&self, raw: &RawKey, login: &Login) -> Result<(Parked, PublicKey), Error> {
        let public = raw.pair().and_then(|pair| pair.public()).map_err(|_| Error::System("a private key"))?;
        let offered = public.to_bytes().map_err(|_| Error::System("a public key"))?;
        Ok((self.park(raw, login, offered)?, public))
    }
}

/// Whether a certificate is what was asked for. Its signature is the host's to judge, which alone knows whom it believes.
fn judge(text: &str, ours: &PublicKey, login: &Login, now: u64) -> Result<Certificate, FetchedFault> {
    if text.len() > MOST || text.lines().count() != 1 {
        return Err(FetchedFault::NotACertificate);
    }
    let certificate = Certificate::from_openssh(text).map_err(|_| FetchedFault::NotACertificate)?;
    if certificate.public_key() != ours.key_data() {
        return Err(FetchedFault::OtherKey);
    }
    if certificate.cert_type() != CertType::User {
        return Err(FetchedFault::HostCertificate);
    }
    let principals = certificate.valid_principals();
    if principals.is_empty() {
        return Err(FetchedFault::AnyAccount);
    }
    // Some servers compared against the list as one text: what could be two names is none.
    let ambiguous = |name: &String| name.is_empty() || name.contains(|c: char| c == ',' || c.is_control());
    if principals.iter().any(ambiguous) || !principals.iter().any(|name| name == login.as_str()) {
        return Err(FetchedFault::OtherAccount);
    }
    if now < certificate.valid_after() || now >= certificate.valid_before() {
        return Err(FetchedFault::NotNow);
    }
    if certificate.valid_before() - now > LONGEST { Err(FetchedFault::TooLong) } else { Ok(certificate) }
}

/// The fault's own hint.
pub(super) fn hint(from: &Name, fault: &FetchedFault) -> String {
    match fault {
        FetchedFault::Key(import::Error::NeedsPassphrase) => {
            format!("store the key at `{from}` without a passphrase (its vault encrypts it): ssh-keygen -p -N '' -f KEY")
        }
        FetchedFault::Password(_) | FetchedFault::Key(_) => {
            format!("look at what lies at `{from}`, and whether the credential is of the right kind")
        }
        FetchedFault::TooLong => format!("set max_ttl of the role at `{from}` to an hour or less"),
        _ => format!("look at the role at `{from}`: it signs user certificates for the account that it is asked for"),
    }
}

#[cfg(test)]
#[path = "tests/fetched.rs"]
mod tests;
