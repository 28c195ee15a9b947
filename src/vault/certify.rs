//! A certificate for one sign-in: an ephemeral key is made in the keeper, the workspace's certificate authority signs its
//! public half, and the private one waits as ciphertext for its one signature. Never signs for a host that the credential
//! is not bound to, and never signs anything but a user certificate for one account.

use std::net::IpAddr;
use std::time::Duration;

use russh::keys::signature::{self, Signer as Sign};
use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::ssh_key::{Certificate, PublicKey, Signature, public::KeyData};

use super::envelope;
use super::error::{Error, Tampering};
use super::keys::{Pair, RawKey};
use super::lease::{Case, Lease, Means, Parked, Signer, Wanted};
use super::next::Way;
use super::ring::{Ring, system};
use super::sealing::Plain;
use super::{Draft, SealedCredential, Vault};
use crate::audit::Audited;
use crate::authz::{Permit, Reach};
use crate::clock::Time;
use crate::model::{Action, Authority, AuthorityStage, CredentialKind, KeyKind, Name, Scope, SessionId, Validity, is_principal};
use crate::store;
use crate::store::authorities::{self, AuthorityRow};
use crate::store::credentials::{self, CredentialRow, KekRow};

/// How far a host's clock may be behind the broker's.
pub const CLOCK_SKEW: Duration = Duration::from_secs(30);
/// Random bytes that stand in the place of a secret: what opens them is bound to the host.
const FILLING: usize = 32;

/// What one certificate is called in logs, here and on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    session: SessionId,
    serial: u64,
    key_id: String,
}

impl Mark {
    /// For this session, of this person with this credential; the serial is random.
    ///
    /// # Errors
    /// [`Error::System`] without random numbers.
    pub fn new(session: SessionId, person: &Name, credential: &Name) -> Result<Self, Error> {
        let random = system(envelope::random(8))?;
        let serial = random.iter().fold(0, |n: u64, byte| (n << 8) | u64::from(*byte));
        Ok(Self { session, serial, key_id: format!("keyward {session} {person} {credential}") })
    }

    /// The certificate's serial number.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// What the host writes into its log.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }
}

/// What a credential stands on, as its rows say.
#[derive(Debug)]
pub(super) struct Standing {
    row: AuthorityRow,
    kek: KekRow,
    validity: Validity,
}

impl Standing {
    /// `None`: the credential is of another kind, or nothing signs for it.
    pub(super) fn read(c: &rusqlite::Connection, of: &CredentialRow) -> Result<Option<Self>, store::Error> {
        if of.meta.kind != CredentialKind::Certificate {
            return Ok(None);
        }
        let Some(row) = authorities::at(c, &of.meta.scope, AuthorityStage::Signing)? else { return Ok(None) };
        let kek = credentials::kek(c, &row.meta.scope, row.kek_version)?;
        Ok(Some(Self { row, kek, validity: authorities::validity(c, of.meta.id)?.unwrap_or_default() }))
    }
}

/// One certificate that is to be made.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) mark: Mark,
    pub(super) reach: Reach,
    pub(super) source: Option<IpAddr>,
    pub(super) now: Time,
}

impl Vault {
    /// Seals a credential that has no secret and stands on `authority`. `kek` is the scope's newest key.
    ///
    /// # Errors
    /// [`Error::Principal`]; [`Error::Misused`] for a person's scope; [`Error::Tampered`] if `kek` does not open.
    pub async fn seal_certificate(&self, draft: Draft, authority: &Authority, kek: Option<KekRow>) -> Result<SealedCredential, Error> {
        if matches!(draft.scope, Scope::Personal(_)) || authority.scope != draft.scope {
            return Err(Error::Misused("a certificate of another scope's authority"));
        }
        if !is_principal(&draft.username) {
            return Err(Error::Principal);
        }
        let filling = system(envelope::random(FILLING))?;
        let plain = Plain::Certificate { filling, public_key: authority.public_key.clone(), fingerprint: authority.fingerprint.clone() };
        self.seal_plain(draft, plain, kek, Vec::new()).await
    }

    /// Leases a credential of the kind [`CredentialKind::Certificate`] to the host that showed the key `presented`: a
    /// certificate that is called `mark`, for connections that the host sees coming from `source`; `None`: from anywhere.
    ///
    /// # Errors
    /// As [`Vault::lease`]; [`Error::NoAuthority`]; [`Error::Principal`]; [`Error::Misused`] for another session's mark or
    /// another kind of credential.
    pub async fn certify(
        &self,
        permit: Audited<Permit>,
        presented: &str,
        way: Way,
        source: Option<IpAddr>,
        mark: Mark,
    ) -> Result<Lease, Error> {
        let permit = permit.into_inner();
        let now = self.clock().now();
        if !permit.is_fresh(now) {
            return Err(Error::StalePermit);
        }
        let (credential, session) = (permit.credential(), permit.session());
        if mark.session != session {
            return Err(Error::Misused("a certificate for another session"));
        }
        let wanted = Wanted { principal: permit.principal(), credential, host: permit.host(), presented: presented.to_owned(), way };
        let order = Order { mark, reach: permit.reach().clone(), source, now };
        let work = move |ring: &Ring, case: Case| Ok((ring.certify(&case, &order)?, case.row.meta.username));
        let ((parked, public, certificate), login) = self.with_case(wanted, work).await?;
        let signer = Signer::parked(self.clone(), parked, public, Some(certificate), now);
        Ok(Lease { session, credential, login, means: Means::Key(signer) })
    }
}

impl Ring {
    fn certify(&self, case: &Case, order: &Order) -> Result<(Parked, PublicKey, Certificate), Error> {
        let meta = &case.row.meta;
        if meta.kind != CredentialKind::Certificate || matches!(meta.scope, Scope::Personal(_)) {
            return Err(Error::Misused("a credential that takes no certificate"));
        }
        if !is_principal(&meta.username) {
            return Err(Error::Principal);
        }
        let standing = case.authority.as_ref().ok_or(Error::NoAuthority)?;
        // It says nothing, and it opens only for the host, account and keys that the credential was attached to.
        drop(self.secret(case)?);
        let authority = self.authority(&standing.row, &standing.kek)?;
        if meta.scope != standing.row.meta.scope || meta.public_key.as_ref() != Some(&standing.row.meta.public_key) {
            return Err(self.tampered(Tampering::PublicKey));
        }
        let key = RawKey::generate(KeyKind::Ed25519).map_err(|_| Error::System("a new private key"))?;
        let public = key.pair().and_then(|pair| pair.public()).map_err(|_| Error::System("a new private key"))?;
        let certificate = build(&public, meta.username.as_str(), standing.validity, order, &authority)?;
        let offered = certificate.to_bytes().map_err(|_| Error::System("a certificate"))?;
        Ok((self.park(&key, &meta.username, offered)?, public, certificate))
    }
}

/// The certificate: one account, for a moment, from one address, for what is granted.
fn build(public: &PublicKey, login: &str, validity: Validity, order: &Order, authority: &Pair) -> Result<Certificate, Error> {
    let now = u64::try_from(order.now.millis() / 1000).map_err(|_| Error::System("a clock before 1970"))?;
    let signs = authority.public().map_err(|_| Error::System("a certificate"))?;
    let nonce = system(envelope::random(Builder::RECOMMENDED_NONCE_SIZE))?;
    let write = || -> Result<Certificate, russh::keys::ssh_key::Error> {
        let from = now.saturating_sub(CLOCK_SKEW.as_secs());
        let mut certificate =
            Builder::new(nonce.as_slice(), public.key_data().clone(), from, now.saturating_add(validity.span().as_secs()))?;
        certificate.serial(order.mark.serial)?.cert_type(CertType::User)?.key_id(order.mark.key_id())?.valid_principal(login)?;
        if let Some(source) = order.source {
            certificate.critical_option("source-address", source.to_canonical().to_string())?;
        }
        // What is not granted is in no certificate, whatever is asked of the host.
        if order.reach.allows(Action::Shell) || order.reach.allows(Action::Exec) {
            certificate.extension("permit-pty", "")?;
        }
        let extensions: [(&[Action], &str); 3] = [
            (&[Action::ForwardLocal, Action::ForwardRemote], "permit-port-forwarding"),
            (&[Action::ForwardAgent], "permit-agent-forwarding"),
            (&[Action::X11], "permit-X11-forwarding"),
        ];
        for (actions, extension) in extensions {
            if actions.iter().any(|action| order.reach.allows(*action)) {
                certificate.extension(extension, "")?;
            }
        }
        certificate.sign(&Authorised { pair: authority, public: signs.key_data().clone() })
    };
    write().map_err(|_| Error::System("a certificate"))
}

/// The authority's key as the library's builder wants it.
struct Authorised<'a> {
    pair: &'a Pair,
    public: KeyData,
}

impl<'a> From<&'a Authorised<'_>> for KeyData {
    fn from(authority: &'a Authorised<'_>) -> Self {
        authority.public.clone()
    }
}

impl Sign<Signature> for Authorised<'_> {
    fn try_sign(&self, message: &[u8]) -> Result<Signature, signature::Error> {
        let algorithm = match self.pair {
            Pair::Ed25519(_) => "ssh-ed25519",
            Pair::Ecdsa(KeyKind::EcdsaP384, _) => "ecdsa-sha2-nistp384",
            Pair::Ecdsa(KeyKind::EcdsaP521, _) => "ecdsa-sha2-nistp521",
            Pair::Ecdsa(..) => "ecdsa-sha2-nistp256",
            Pair::Rsa(_) => "rsa-sha2-512",
        };
        let encoded = self.pair.sign(algorithm, message).map_err(|_| signature::Error::new())?;
        Signature::try_from(encoded.as_slice()).map_err(|_| signature::Error::new())
    }
}
