//! The next secret of a credential: made here, leased to a host that is to try it or knows it already, and taken over as the
//! credential's own. Never hands out one that no rotation names, and gives a password away only into a channel.

use rusqlite::Connection;

use super::envelope::{self, Place};
use super::error::{Error, Tampering};
use super::lease::{Rows, Wanted};
use super::ring::{Ring, system};
use super::scope::Wrap;
use super::sealing::Plain;
use super::{Draft, Held, SealedCredential, Sudo, Vault};
use crate::audit::Audited;
use crate::authz::Permit;
use crate::model::{Action, Credential, CredentialId, CredentialKind, HostBinding, HostId, HostStep, KeyKind, Login, SessionId};
use crate::secret::Secret;
use crate::store::credentials::{CredentialRow, KekRow};
use crate::store::{self, rotations};

/// Characters of a password that is made here: six bits each.
const LENGTH: usize = 28;
/// What they are taken from: letters, digits and two signs that no shell, no `chpasswd` and no PAM module takes for its own.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-";

/// Which secret of a credential is meant, and what binds it to the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// The one that the host knows: where a rotation stands open and the host has the next password, that one.
    #[default]
    Standing,
    /// The next one, to be tried.
    Next,
    /// The one in force; if nothing binds it to the host, it is bound for this one use and that is not stored.
    Unattached,
}

/// One handing over of a password to the host that is to take it as its own. Sending it consumes it; dropped, it is wiped.
#[must_use]
#[derive(Debug)]
pub struct PasswordLease {
    session: SessionId,
    login: Login,
    secret: Secret,
}

impl PasswordLease {
    /// For which session.
    pub fn session(&self) -> SessionId {
        self.session
    }
    /// The account whose password it becomes.
    pub fn login(&self) -> &Login {
        &self.login
    }
    /// The password; the lease is spent.
    pub fn into_secret(self) -> Secret {
        self.secret
    }
}

/// What a rotation begins with.
#[derive(Debug)]
pub struct Successor {
    /// The credential that keeps the next secret, bound to the hosts.
    pub next: SealedCredential,
    /// The sudo password of its own, sealed for it.
    pub sudo: Option<Vec<u8>>,
}

impl Vault {
    /// Makes the next secret of a credential, of the same kind (a key of `kind`, if one is wanted), with the same sudo password.
    ///
    /// # Errors
    /// [`Error::System`]; [`Error::Misused`] for a kind that is not kept here; [`Error::Tampered`].
    pub async fn next_secret(
        &self,
        draft: Draft,
        before: Held,
        kind: Option<KeyKind>,
        kek: Option<KekRow>,
        hosts: Vec<(HostId, HostBinding)>,
    ) -> Result<Successor, Error> {
        let wraps = kek.clone().unwrap_or_else(|| before.kek.clone());
        let next = match before.row.meta.kind {
            CredentialKind::Key(own) => self.generate(draft, kind.unwrap_or(own), kek, hosts).await?,
            CredentialKind::Password => {
                let secret = self.keeper.ask(|_| new_password()).await?;
                self.seal_plain(draft, Plain::Password(secret), kek, hosts).await?
            }
            CredentialKind::Certificate | CredentialKind::Reference(_) => return Err(Error::Misused("a kind that is not rotated here")),
        };
        let row = next.row.clone();
        let sudo = self.keeper.ask(move |ring| ring.sudo_for(&before, &row, &wraps, &Sudo::Keep)).await?;
        Ok(Successor { next, sudo })
    }

    /// Seals the next secret as the credential's own, one version on. The secret does not leave the keeper.
    ///
    /// # Errors
    /// [`Error::Tampered`] if a row does not open.
    pub async fn succeed(
        &self,
        before: Held,
        next: Held,
        hosts: Vec<(HostId, HostBinding)>,
    ) -> Result<(SealedCredential, Option<Vec<u8>>), Error> {
        self.keeper.ask(move |ring| ring.succeed(&before, &next, &hosts)).await
    }

    /// Leases a password for its handing over to the host that showed the key `presented`: the next one, or – to take a
    /// rotation back – the one in force.
    ///
    /// # Errors
    /// As [`Vault::lease`]; [`Error::Misused`] if the permit does not reach to commands, or it is no password.
    pub async fn hand_over(&self, permit: Audited<Permit>, presented: &str, way: Way) -> Result<PasswordLease, Error> {
        let permit = permit.into_inner();
        if !permit.is_fresh(self.clock().now()) {
            return Err(Error::StalePermit);
        }
        if !permit.reach().allows(Action::Exec) {
            return Err(Error::Misused("a password for a permit that does not reach to commands"));
        }
        let wanted = Wanted {
            principal: permit.principal(),
            credential: permit.credential(),
            host: permit.host(),
            presented: presented.to_owned(),
            way,
        };
        let session = permit.session();
        let (secret, login) = self.with_case(wanted, |ring, case| Ok((ring.lease(&case)?, case.row.meta.username))).await?;
        let secret = secret.ok_or(Error::Misused("a key is not handed over"))?;
        Ok(PasswordLease { session, login, secret })
    }

    /// As [`Vault::sudo_for_action`], for a scan.
    ///
    /// # Errors
    /// As [`Vault::sudo_for_action`].
    pub async fn sudo(&self, permit: Audited<Permit>, presented: &str) -> Result<Option<super::SudoLease>, Error> {
        self.sudo_for_action(permit, presented, Action::Scan).await
    }

    /// As [`Vault::lease_by`], by the standing way.
    ///
    /// # Errors
    /// As [`Vault::lease_by`].
    pub async fn lease(&self, permit: Audited<Permit>, presented: &str) -> Result<super::Lease, Error> {
        self.lease_by(permit, presented, Way::Standing).await
    }

    /// The second password of a host in between: which of the two it takes is not known.
    pub(super) async fn second(&self, wanted: Wanted) -> Result<Option<Secret>, Error> {
        let (asked, credential, host) = (wanted.way, wanted.credential, wanted.host);
        let between = self.store.read(move |c| rotations::between(c, credential, host)).await?;
        match (asked, between) {
            (Way::Standing, Some((_, HostStep::Setting))) => {
                self.with_case(Wanted { way: Way::Next, ..wanted }, |ring, case| ring.lease(&case)).await
            }
            _ => Ok(None),
        }
    }
}

/// The credential whose rows are meant.
pub(super) fn which(c: &Connection, wanted: &Wanted) -> Result<CredentialId, store::Error> {
    let between = rotations::between(c, wanted.credential, wanted.host)?;
    Ok(match (wanted.way, between) {
        (Way::Next, Some((next, _))) => next,
        (Way::Standing, Some((next, HostStep::Verified))) if is_password(c, next)? => next,
        _ => wanted.credential,
    })
}

fn is_password(c: &Connection, id: CredentialId) -> Result<bool, store::Error> {
    Ok(store::credentials::by_id(c, id)?.is_some_and(|found| found.kind == CredentialKind::Password))
}

impl Ring {
    /// Binds a credential to the host for one use, if nothing binds it and that is wanted.
    pub(super) fn bound_now(&self, mut rows: Rows, wanted: &Wanted) -> Result<Rows, Error> {
        if wanted.way != Way::Unattached || rows.binding.is_some() {
            return Ok(rows);
        }
        let (Some(row), Some(kek), Some(host)) = (&rows.row, &rows.kek, &rows.host) else { return Ok(rows) };
        let pins: Vec<String> = host.host_keys.iter().map(|key| key.fingerprint.clone()).collect();
        // A host without a pin is nobody: there is nothing to be bound to.
        if pins.is_empty() {
            return Ok(rows);
        }
        let binding = HostBinding::new(host.address.clone(), row.meta.username.clone(), pins);
        rows.binding = self.bind(row, kek, &[(host.id, binding)])?.pop();
        Ok(rows)
    }

    fn succeed(&self, before: &Held, next: &Held, hosts: &[(HostId, HostBinding)]) -> Result<(SealedCredential, Option<Vec<u8>>), Error> {
        let (key, dek) = self.unbound(&next.row, &next.kek)?;
        let place = Place::secret(&self.vault, &next.row.meta);
        let plain = envelope::open(&dek, &place, &next.row.sealed).map_err(|_| self.tampered(Tampering::Secret))?;
        let from = &next.row.meta;
        let meta = Credential {
            version: before.row.meta.version.saturating_add(1),
            kind: from.kind,
            public_key: from.public_key.clone(),
            fingerprint: from.fingerprint.clone(),
            ..before.row.meta.clone()
        };
        let version = next.kek.version;
        let fresh = system(envelope::random(envelope::KEY))?;
        let sealed = system(envelope::seal(&fresh, &Place::secret(&self.vault, &meta), &plain))?;
        let wrapped_dek = system(envelope::seal(&key, &Place::dek(&self.vault, &meta, version, None), &fresh))?;
        let bindings = self.wrap_for(&meta, version, &Wrap::Key(key), &fresh, hosts)?;
        let row = CredentialRow { meta, sealed, wrapped_dek, kek_version: version };
        let sudo = self.sudo_for(before, &row, &next.kek, &Sudo::Keep)?;
        Ok((SealedCredential { row, new_kek: None, bindings }, sudo))
    }
}

/// A new password: long, of every class that rules of hosts ask for, and nothing that a shell or a terminal would take for its own.
fn new_password() -> Result<Secret, Error> {
    for _ in 0..1000 {
        let mut bytes = system(envelope::random(LENGTH))?;
        for byte in bytes.iter_mut() {
            *byte = ALPHABET.get(usize::from(*byte & 63)).copied().unwrap_or(b'x');
        }
        let has = |class: fn(&u8) -> bool| bytes.iter().any(class);
        let whole = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit) && has(u8::is_ascii_punctuation);
        if whole && bytes.first().is_some_and(u8::is_ascii_alphanumeric) {
            return Ok(Secret::from_zeroizing(bytes));
        }
    }
    Err(Error::System("the random numbers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_password_is_one_that_every_host_takes() {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..500 {
            let secret = new_password().unwrap();
            let bytes = secret.expose();
            assert!(bytes.len() >= 24 && bytes.iter().all(|b| ALPHABET.contains(b)), "{} bytes", bytes.len());
            assert!(bytes[0].is_ascii_alphanumeric());
            for class in [u8::is_ascii_uppercase, u8::is_ascii_lowercase, u8::is_ascii_digit, u8::is_ascii_punctuation] {
                assert!(bytes.iter().any(class));
            }
            assert!(seen.insert(secret.sha256()));
        }
    }
}
