//! Verbs about second factors. A person enrols themselves and nobody else; who runs the broker can take one away, and never sees one.
//! Whoever came over ssh shows a code before they take away their own: the key alone must not be enough to be rid of it.

use serde::{Deserialize, Serialize};

use super::api::{Door, Reply, Secrets};
use super::desk::Call;
use super::error::Error;
use super::rights::{Verb, reaches};
use super::view::{Data, TotpCodesView, TotpOfferView, TotpView};
use crate::custody::{self, CodeGiven};
use crate::model::{Event, EventName, Name, User};

/// What belongs to codes that are shown once.
const ONCE: &str = "these recovery codes are shown once: each opens the door once, in the place of a one-time code";
/// Who issues the codes, as authenticators show it.
const ISSUER: &str = "Keyward";

/// The verbs; a code comes beside them, where one is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // what they do is said in cli/grammar
pub enum TotpWord {
    Enroll {
        name: Option<Name>,
        always: bool,
    },
    Confirm,
    Show {
        name: Option<Name>,
    },
    /// Without a name: the caller's own, with a code.
    Remove {
        name: Option<Name>,
    },
    RecoveryCodes,
    Require {
        name: Name,
        always: bool,
    },
}

impl TotpWord {
    pub(super) fn verb(&self) -> Verb {
        match self {
            Self::Enroll { .. } | Self::Confirm | Self::RecoveryCodes => Verb::TotpEnroll,
            Self::Show { .. } => Verb::TotpSee,
            Self::Remove { .. } | Self::Require { .. } => Verb::TotpChange,
        }
    }

    pub(super) fn called(&self) -> &'static str {
        match self {
            Self::Enroll { .. } => "user totp enroll",
            Self::Confirm => "user totp confirm",
            Self::RecoveryCodes => "user totp recovery-codes",
            Self::Show { .. } => "user totp show",
            Self::Remove { .. } => "user totp remove",
            Self::Require { .. } => "user totp require",
        }
    }
}

impl Call<'_> {
    pub(super) async fn totp(&self, word: TotpWord, secrets: Secrets) -> Result<Reply, Error> {
        match word {
            TotpWord::Enroll { name, always } => self.totp_enroll(name, always).await,
            TotpWord::Confirm => self.totp_confirm(secrets).await,
            TotpWord::Show { name } => self.totp_show(name).await,
            TotpWord::Remove { name } => self.totp_remove(name, secrets).await,
            TotpWord::RecoveryCodes => self.totp_recovery_codes(secrets).await,
            TotpWord::Require { name, always } => self.totp_require(name, always).await,
        }
    }

    async fn totp_enroll(&self, name: Option<Name>, always: bool) -> Result<Reply, Error> {
        if name.is_some_and(|name| name != self.actor.name) {
            return Err(self.forbidden(Verb::TotpEnroll, "a second factor is its person's: they enrol it themselves"));
        }
        let event = self.event(EventName::SecondFactorOffered).with("always", always);
        let offer = self.parts.custody.offer_factor(&self.actor, always, event).await?;
        let at = self.parts.facts.public.as_ref().map(|address| format!("@{}", address.host)).unwrap_or_default();
        let account = escaped(&format!("{}{at}", self.actor.name));
        let secret = offer.secret.as_str();
        let uri = format!("otpauth://totp/{ISSUER}:{account}?secret={secret}&issuer={ISSUER}&algorithm=SHA1&digits=6&period=30");
        let view = TotpOfferView { user: self.actor.name.clone(), uri, secret: secret.to_owned(), always, confirm_until: offer.until };
        Ok(Reply::of(Data::TotpOffer(view)).note("it counts once a code of it was given: keyward user totp confirm"))
    }

    async fn totp_confirm(&self, secrets: Secrets) -> Result<Reply, Error> {
        let typed = secrets.material.ok_or(Error::SecretMissing)?;
        let event = self.event(EventName::SecondFactorEnrolled);
        let (codes, always) = self.parts.custody.confirm_factor(&self.actor, typed, event).await?;
        let view = TotpCodesView { user: self.actor.name.clone(), recovery_codes: codes.iter().map(|code| code.to_string()).collect() };
        let when = if always { "at every sign-in" } else { "where a grant wants it" };
        let reply = Reply::done(Data::TotpCodes(view), format!("your second factor is enrolled; you are asked for a code {when}"));
        Ok(reply.note(ONCE))
    }

    async fn totp_show(&self, name: Option<Name>) -> Result<Reply, Error> {
        let user = self.whose(name).await?;
        if !reaches(self.reach, &self.actor, user.id) {
            return Err(self.forbidden(Verb::TotpSee, "you may look only at your own"));
        }
        let state = self.parts.custody.factor_state(user.id).await?;
        Ok(Reply::of(Data::Totp(TotpView {
            user: user.name,
            enrolled_at: state.enrolled_at,
            wanted: state.enrolled_at.map(|_| if state.always { "always" } else { "grants" }.to_owned()),
            last_used_at: state.last_used_at,
            recovery_codes_left: state.recovery_codes,
            confirm_until: state.offered_until,
        })))
    }

    async fn totp_remove(&self, name: Option<Name>, secrets: Secrets) -> Result<Reply, Error> {
        let user = match name {
            // Their own, by name: no code comes with that.
            Some(name) if name == self.actor.name && self.door == Door::Ssh => {
                return Err(Error::unfit(
                    "your own second factor is removed with a code of it",
                    "without your name: keyward user totp remove",
                ));
            }
            Some(name) => self.person_to_change(name, Verb::TotpChange).await?,
            None => {
                self.code_shown(secrets).await?;
                self.actor.clone()
            }
        };
        let event = self.about(EventName::SecondFactorRemoved, &user);
        self.parts.custody.remove_factor(&user, event).await?;
        Ok(Reply::done(Data::Nothing, format!("the second factor of {} is removed; sessions that stand on it end", user.name)))
    }

    async fn totp_recovery_codes(&self, secrets: Secrets) -> Result<Reply, Error> {
        self.code_shown(secrets).await?;
        let codes = self.parts.custody.renew_recovery_codes(&self.actor, self.event(EventName::SecondFactorCodesMade)).await?;
        let view = TotpCodesView { user: self.actor.name.clone(), recovery_codes: codes.iter().map(|code| code.to_string()).collect() };
        Ok(Reply::done(Data::TotpCodes(view), "you have new recovery codes; the ones before count no more").note(ONCE))
    }

    async fn totp_require(&self, name: Name, always: bool) -> Result<Reply, Error> {
        let user = self.person_to_change(name, Verb::TotpChange).await?;
        let when = if always { "always" } else { "grants" };
        let event = self.about(EventName::SecondFactorRequired, &user).with("wanted", when);
        self.parts.custody.require_factor(&user, always, event).await?;
        let when = if always { "at every sign-in from the next one on" } else { "where a grant wants it" };
        Ok(Reply::done(Data::Nothing, format!("{} is asked for a one-time code {when}", user.name)))
    }

    /// Whoever came over ssh shows a code. At the local door nobody is asked: whoever is there can read what the broker runs on.
    async fn code_shown(&self, secrets: Secrets) -> Result<(), Error> {
        if self.door == Door::Local {
            return Ok(());
        }
        let typed = secrets.material.ok_or(Error::SecretMissing)?;
        match self.parts.custody.give_code(&self.actor, None, typed, self.client).await? {
            CodeGiven::Accepted(_) => Ok(()),
            CodeGiven::Wrong => Err(custody::Error::WrongCode.into()),
            CodeGiven::Used => Err(custody::Error::CodeUsed.into()),
            CodeGiven::TooMany => Err(custody::Error::TooManyCodes.into()),
        }
    }

    async fn whose(&self, name: Option<Name>) -> Result<User, Error> {
        match name {
            Some(name) => self.person(name).await,
            None => Ok(self.actor.clone()),
        }
    }

    fn about(&self, name: EventName, user: &User) -> Event {
        self.event(name).with("user", &user.name)
    }
}

/// A text as a part of an address (RFC 3986 §2.1).
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() || b"-._~@".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_an_address_is_escaped() {
        assert_eq!(escaped("alice@broker.example.org"), "alice@broker.example.org");
        assert_eq!(escaped("a b:[::1]?&%é"), "a%20b%3A%5B%3A%3A1%5D%3F%26%25%C3%A9");
    }
}
