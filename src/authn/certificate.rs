//! A user certificate of OpenSSH → whose it is and what it limits (PROTOCOL.certkeys). Time and signatures were verified at the door;
//! everything else is decided here, and what is not understood is refused.

use std::net::IpAddr;

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::{KeyData, RsaPublicKey};
use russh::keys::ssh_key::{Algorithm, Certificate, HashAlg};

use super::Authn;
use crate::clock::Time;
use crate::model::{Action, Actions, Certified, Event, Name, PrincipalName, Terms, User, UserId, Vouch, printable};
use crate::store;
use crate::store::user_cas::{self, Unvouched};

/// The smallest RSA modulus, in bits: of the certified key and of the authority's.
const RSA_BITS: u32 = 2048;
/// The most principals of a certificate: as many as sshd takes.
const PRINCIPALS_MAX: usize = 256;
/// The longest name of a certificate and the longest forced command, in bytes.
const TEXT_MAX: usize = 4096;

/// What is known of the signature with which a certificate was shown; at an offer there is none yet.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Its algorithm.
    pub algorithm: &'a Algorithm,
    /// Whether a security key says that it verified its person; `None`: nothing is signed yet.
    pub verified: Option<bool>,
}

/// Why a certificate signs nobody in: for the audit log, never for the client.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is a host's.
    #[error("the certificate is not one for users")]
    NotForUsers,
    /// It is not valid yet, or not any more.
    #[error("the certificate is not valid at this time")]
    Time,
    /// A key or a signature of a kind that is not taken.
    #[error("the certificate's {0} is of a kind that is not taken")]
    Kind(&'static str),
    /// No principals: it would be everybody's.
    #[error("the certificate has no principals")]
    NoPrincipals,
    /// Too much of something.
    #[error("the certificate has too many or too long {0}")]
    TooMuch(&'static str),
    /// A principal that could be read as several.
    #[error("the certificate has a principal that is none: {0}")]
    Principal(String),
    /// A critical option that is not known (or not written as it must be).
    #[error("the certificate has the critical option `{0}`, which is not understood")]
    Option(String),
    /// It is good from elsewhere.
    #[error("the certificate is not good from this address")]
    Address,
    /// It demands that the security key verifies its person.
    #[error("the certificate demands that the security key verifies its person (verify-required)")]
    Unverified,
    /// With a forced command there is no console.
    #[error("the certificate forces a command, and the console runs others")]
    Console,
    /// The authority or the person does not fit.
    #[error(transparent)]
    Unvouched(#[from] Unvouched),
    /// Their sign-ins fail too often.
    #[error("the person's sign-ins fail too often")]
    Throttled,
}

/// What became of a certificate: the person and what vouches for them, or why not; with the person whose doing it was, if
/// that is known.
pub type Answer = Result<(User, Vouch), (Option<UserId>, Refused)>;

impl Authn {
    /// Whom a certificate signs in. `wanted`: who was named before `+`; `towards`: the host, or the person's own name for the console.
    ///
    /// # Errors
    /// What the store says.
    pub async fn by_certificate(
        &self,
        certificate: &Certificate,
        shown: Shown<'_>,
        from: IpAddr,
        (wanted, towards): (Option<Name>, Name),
    ) -> Result<Answer, store::Error> {
        let terms = match examine(certificate, shown, from, self.clock.now()) {
            Ok(terms) => terms,
            Err(why) => return Ok(Err((None, why))),
        };
        let (forced, console) = (terms.command.is_some(), towards.clone());
        let key = certificate.public_key().fingerprint(HashAlg::Sha256).to_string();
        let ca = certificate.signature_key().fingerprint(HashAlg::Sha256).to_string();
        let (serial, key_id) = (certificate.serial(), certificate.key_id().to_owned());
        let principals = certificate.valid_principals().to_vec();
        let found = self
            .store
            .read(move |c| -> Result<Answer, store::Error> {
                let Some(authority) = user_cas::by_fingerprint(c, &ca)? else {
                    return Ok(Err((None, Unvouched::NoAuthority(ca).into())));
                };
                let (user, principal) = match user_cas::named(c, &authority, &principals, wanted.as_ref(), &towards)? {
                    Ok(found) => found,
                    Err(why) => return Ok(Err((None, why.into()))),
                };
                let certified = Certified { ca, serial, key_id, principal, terms };
                let refused = |why: Unvouched| Ok(Err((Some(user.id), why.into())));
                if let Err(why) = user_cas::may_vouch(c, &authority, &user, &key, &certified)? {
                    return refused(why);
                }
                if user.disabled {
                    return refused(Unvouched::Disabled);
                }
                Ok(Ok((user, Vouch { key, certificate: Some(certified), second: None })))
            })
            .await?;
        Ok(found.and_then(|(user, vouch)| {
            if forced && user.name == console {
                return Err((Some(user.id), Refused::Console));
            }
            if self.persons.lock().is_ok_and(|mut t| t.has_left(&user.id, self.clock.now())) {
                Ok((user, vouch))
            } else {
                Err((Some(user.id), Refused::Throttled))
            }
        }))
    }

    /// Whether what signed a person in still does.
    pub async fn still_vouched(&self, person: UserId, key: String) -> bool {
        let now = self.clock.now();
        self.store.read(move |c| user_cas::still_vouched(c, person, &key, now)).await.is_ok_and(|terms| terms.is_some())
    }
}

/// The event, with the certificate by which somebody signed in.
pub(super) fn told(event: Event, vouch: &str) -> Event {
    let Ok(vouch) = vouch.parse::<Vouch>() else { return event };
    let event = event.with("key", vouch.key);
    let event = if vouch.second.is_some() { event.with("second_factor", "shown") } else { event };
    match vouch.certificate {
        None => event,
        Some(c) => event.with("ca", c.ca).with("serial", c.serial).with("key_id", c.key_id).with("principal", c.principal),
    }
}

/// What a certificate limits, if it is one that could sign somebody in from there.
fn examine(certificate: &Certificate, shown: Shown<'_>, from: IpAddr, now: Time) -> Result<Terms, Refused> {
    if certificate.cert_type() != CertType::User {
        return Err(Refused::NotForUsers);
    }
    let until = valid(certificate, now)?;
    if !is_taken(certificate.public_key()) || is_sha1(shown.algorithm) {
        return Err(Refused::Kind("key"));
    }
    if !is_taken(certificate.signature_key()) || is_sha1(&certificate.signature().algorithm()) {
        return Err(Refused::Kind("authority"));
    }
    if certificate.key_id().len() > TEXT_MAX {
        return Err(Refused::TooMuch("words in its name"));
    }
    principals(certificate.valid_principals())?;
    let mut terms = Terms { until, ..Terms::default() };
    for (name, value) in certificate.critical_options().iter() {
        match name.as_str() {
            "force-command" if !value.is_empty() && value.len() <= TEXT_MAX => terms.command = Some(value.clone()),
            "source-address" => {
                if !is_from(value, from).ok_or_else(|| Refused::Option(printable(name, 80)))? {
                    return Err(Refused::Address);
                }
            }
            "verify-required" if value.is_empty() => {
                if shown.verified == Some(false) {
                    return Err(Refused::Unverified);
                }
            }
            _ => return Err(Refused::Option(printable(name, 80))),
        }
    }
    // What is not permitted by name is not (ssh-keygen permits all of it unless told otherwise). Unknown ones are to be passed over.
    let permits = |name: &str| certificate.extensions().contains_key(name);
    terms.no_pty = !permits("permit-pty");
    let kinds: [(&str, &[Action]); 3] = [
        ("permit-port-forwarding", &[Action::ForwardLocal, Action::ForwardRemote]),
        ("permit-agent-forwarding", &[Action::ForwardAgent]),
        ("permit-X11-forwarding", &[Action::X11]),
    ];
    let taken = kinds.iter().filter(|(name, _)| !permits(name)).flat_map(|(_, actions)| actions.iter().copied());
    terms.without = taken.fold(Actions::default(), Actions::with);
    Ok(terms)
}

/// Until when it is valid; `None`: always (2⁶⁴−1, or later than any clock here counts).
fn valid(certificate: &Certificate, now: Time) -> Result<Option<Time>, Refused> {
    let seconds = u64::try_from(now.millis()).unwrap_or(0) / 1000;
    if seconds < certificate.valid_after() || seconds >= certificate.valid_before() {
        return Err(Refused::Time);
    }
    let last = 253_402_300_799; // the end of the year 9999
    let before = certificate.valid_before();
    Ok(i64::try_from(before).ok().filter(|_| before <= last).map(|s| Time::from_millis(s.saturating_mul(1000))))
}

fn is_taken(key: &KeyData) -> bool {
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 => true,
        Algorithm::Rsa { .. } => key.rsa().map_or(0, RsaPublicKey::key_size) >= RSA_BITS,
        _ => false,
    }
}

fn is_sha1(signature: &Algorithm) -> bool {
    matches!(signature, Algorithm::Rsa { hash: None } | Algorithm::Dsa)
}

fn principals(list: &[String]) -> Result<(), Refused> {
    if list.is_empty() {
        return Err(Refused::NoPrincipals);
    }
    if list.len() > PRINCIPALS_MAX {
        return Err(Refused::TooMuch("principals"));
    }
    // One that is none makes all of them doubtful.
    list.iter().try_for_each(|text| text.parse::<PrincipalName>().map(drop).map_err(Refused::Principal))
}

/// Whether an address is in the list of `source-address`: networks and addresses with commas between, as OpenSSH writes them. `None`:
/// it is no such list.
fn is_from(list: &str, from: IpAddr) -> Option<bool> {
    let mut found = false;
    for word in list.split(',') {
        let network: ipnet::IpNet = word.parse().or_else(|_| word.parse::<IpAddr>().map(ipnet::IpNet::from)).ok()?;
        // Bits behind the mask are a mistake: OpenSSH refuses such a list, too.
        if network.trunc() != network {
            return None;
        }
        found |= network.contains(&from.to_canonical());
    }
    Some(found)
}

#[cfg(test)]
mod tests;
