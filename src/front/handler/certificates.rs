//! Signing in with a certificate, and what is the same for whoever was recognised by one or by a key. Only translates: whose a
//! certificate is, and what it limits, is for authn to say.

use super::{ANSWERS, Auth, Certificate, CertificateFault, Handler, HashAlg, Known, MethodKind, Shown, User, only, printable, sessions};
use crate::model::Vouch;

impl Handler {
    /// The person whom a certificate signs in and who is the one that the user name names, if it names one. Why not is kept for the
    /// audit log; the client gets the answer that every other key gets.
    pub(super) async fn certified(&mut self, user: &str, certificate: &Certificate, shown: Shown<'_>) -> Option<(User, Vouch)> {
        let asked_for = self.asked_for(user);
        self.note(|s| {
            s.tried = true;
            s.asked_for = asked_for;
        });
        let signed = shown.verified.is_some();
        let selector = self.selector_of(user)?;
        let towards = (selector.person.clone(), selector.host.clone());
        match self.door.authn.by_certificate(certificate, shown, self.peer.ip(), towards).await {
            Ok(Ok(found)) => {
                self.goes(user, selector, &Known::Person(found.0.clone()))?;
                self.note(|s| s.why = None);
                Some(found)
            }
            Ok(Err((person, why))) => {
                let why = told(certificate, &why.to_string());
                self.note(|s| {
                    s.why = Some(why);
                    // An offer alone, which anybody can make of a certificate, is not counted against its person.
                    if signed {
                        s.person = person;
                    }
                });
                None
            }
            Err(error) => {
                tracing::error!(target: "keyward::front", %error, "nobody can sign in");
                None
            }
        }
    }

    /// A certificate that did not come so far.
    pub(super) fn unfit(&self, user: &str, certificate: &Certificate, fault: CertificateFault) {
        let why = match fault {
            CertificateFault::Time => "the certificate is not valid at this time",
            CertificateFault::Signature => "the certificate's signature is not its authority's",
        };
        let asked_for = self.asked_for(user);
        self.note(|s| {
            s.tried = true;
            s.asked_for = asked_for;
            s.why = Some(told(certificate, why));
        });
    }

    /// Lets somebody in who was recognised, once they have opened what they sealed, if the way to the host needs it.
    pub(super) async fn let_in(&mut self, user: &str, person: Known) -> Auth {
        (self.sealed, self.owing) = (None, None);
        if let Known::Person(person) = &person {
            if let Some(first) = self.code_first(user, person).await {
                return first;
            }
            match self.passphrase_first(user, person).await {
                Some(true) => {
                    return Auth::Reject { proceed_with_methods: Some(only(MethodKind::KeyboardInteractive)), partial_success: true };
                }
                Some(false) => return Auth::reject(),
                None => {}
            }
        }
        self.note(|s| s.known = Some(person));
        Auth::Accept
    }

    /// Whether a person has to open what they sealed first, on the way to their host; `Some(false)`: they tried it too often.
    pub(super) async fn passphrase_first(&mut self, user: &str, person: &User) -> Option<bool> {
        let comer = self.comer(person)?;
        // From before it is opened until this connection is gone.
        self.visiting = Some(sessions::visiting(&self.door.rooms, person.id));
        if !sessions::asks_first(&self.door.rooms, &comer).await {
            return None;
        }
        let mut tries = 0;
        self.note(|s| {
            // What was answered wrongly stays counted, however often the key is shown.
            tries = *s.asking.get_or_insert(0);
            s.known = None;
        });
        if tries < ANSWERS {
            self.sealed = Some((comer, user.to_owned()));
        }
        Some(tries < ANSWERS)
    }
}

/// The reason, with what the certificate says of itself: whoever runs the broker has to find it.
fn told(certificate: &Certificate, why: &str) -> String {
    let ca = certificate.signature_key().fingerprint(HashAlg::Sha256);
    format!("{why} (authority {ca}, serial {}, key id {})", certificate.serial(), printable(certificate.key_id(), 120))
}
