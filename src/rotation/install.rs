//! One public key into one account's `authorized_keys` on one host, over a connection that another credential opened; then a real
//! sign-in with it. Shows what it will do, and does nothing besides.

use super::Error;
use super::desk::{Rotations, Who};
use super::place::{self, Answer};
use super::script::{self, Change, Line};
use crate::custody::Purpose;
use crate::fault::Fault;
use crate::model::{Action, Credential, CredentialKind, Event, EventName, Name};
use crate::sessions::{Gates, Steps};

/// Behind a line that trusts an authority, so that it can be found when it is to go.
pub const CA_COMMENT: &str = "keyward-ca";

/// What is to be installed where.
#[derive(Clone, Debug)]
pub struct Installing {
    /// Whose public key.
    pub credential: Credential,
    /// On which host.
    pub host: Name,
    /// Signed in with which credential.
    pub using: Credential,
    /// Of a certificate: the public keys of the authority that signs it, all that hosts are to trust.
    pub authority: Vec<String>,
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Installed {
    /// Whether the key was there before.
    pub already: bool,
    /// The sign-in with it; `None`: it could not be tried, for this reason.
    pub verified: Result<Steps, String>,
}

impl Installing {
    /// The line and the command; nothing is done.
    ///
    /// # Errors
    /// [`Error::Unfit`]: a password has nothing to install, or the account cannot be written by the other one.
    pub fn plan(&self) -> Result<(Change, String), Error> {
        let Credential { name, username, kind, public_key, .. } = &self.credential;
        let hint = || "see which are keys: keyward credential list".to_owned();
        let Some(key) = public_key.as_deref().and_then(bare) else {
            return Err(Error::unfit(format!("credential {name} has no public key ({kind})"), hint()));
        };
        let change = match kind {
            CredentialKind::Certificate => {
                if username.as_str().contains(['"', ',', '\\']) {
                    return Err(Error::unfit(format!("the account of credential {name} cannot stand in a list of principals"), hint()));
                }
                let line = |key: String| {
                    let needle = format!("cert-authority,principals=\"{username}\" {key}");
                    Line { text: format!("{needle} {CA_COMMENT}"), needle }
                };
                let all: Vec<Line> = self.authority.iter().filter_map(|key| bare(key)).map(line).collect();
                Change::Add { lines: if all.is_empty() { vec![line(key)] } else { all } }
            }
            CredentialKind::Key(_) => Change::Add { lines: vec![Line { text: format!("{key} keyward"), needle: key }] },
            CredentialKind::Password | CredentialKind::Reference(_) => {
                return Err(Error::unfit(format!("credential {name} has no public key ({kind})"), hint()));
            }
        };
        let command = script::command(&self.using.username, username)
            .map_err(|why| Error::unfit(why, format!("name another credential with --using: one of {username} itself, or of root")))?;
        Ok((change, command))
    }
}

/// `TYPE BASE64` of a public key, if it is made of nothing else.
pub(super) fn bare(key: &str) -> Option<String> {
    let mut words = key.split_whitespace();
    let (kind, blob) = (words.next()?, words.next()?);
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '@' | '.'));
    (plain(kind) && plain(blob)).then(|| format!("{kind} {blob}"))
}

impl Rotations {
    /// Installs a public key, and signs in with it.
    ///
    /// # Errors
    /// [`Error::Unfit`]; [`Error::Custody`] if it is not granted. What the host refused is [`Error::Unfit`], too.
    pub async fn install(&self, who: Who, wish: Installing) -> Result<Installed, Error> {
        let desk = self.clone();
        self.whole(async move { desk.put_in(&who, &wish).await }).await
    }

    async fn put_in(&self, who: &Who, wish: &Installing) -> Result<Installed, Error> {
        let (change, _) = wish.plan()?;
        let Installing { credential, host, using, .. } = wish;
        let (parts, gates) = (self.parts().clone(), Gates::default());
        let work = |site| {
            let (parts, change) = (parts.clone(), change.clone());
            async move {
                let answer = place::run(&parts, &site, credential, &change).await?;
                Ok::<_, Error>((answer, site.host.clone(), site.session))
            }
        };
        let (steps, done) = self.enter(who, host, Purpose::Work(using.id), Some(Action::Exec), &gates, work).await?;
        let event = |name| Event::new(name, who.user.name.to_string()).credential(credential).with("using", using.id);
        let Some(done) = done else {
            let (step, sentence) = match steps.failure() {
                Some((step, why)) => (step, why.line()),
                None => (crate::sessions::StepName::SignIn, "it did not sign in"),
            };
            let mut event = event(EventName::CredentialInstalled).session(steps.session).failed(sentence);
            event.host = Some(host.to_string());
            parts.log.record(event).await?;
            let hint = steps.failure().and_then(|(_, why)| why.hint());
            let hint = hint.unwrap_or_else(|| "try it alone: keyward credential test NAME --host HOST".to_owned());
            return Err(Error::unfit(format!("nothing was installed: {} ({sentence})", step.as_str()), hint));
        };
        let (answer, at, session) = done?;
        let event = event(EventName::CredentialInstalled).host(&at).session(session);
        let already = match answer {
            Answer::Done => false,
            Answer::Already => true,
            Answer::Unchanged(why) | Answer::Unknown(why) => {
                parts.log.record(event.failed(&why)).await?;
                let hint = format!(
                    "put it right on the host, and try again: keyward credential install {} --host {host} --using {}",
                    credential.name, using.name
                );
                return Err(Error::unfit(format!("{host}: {why}"), hint));
            }
        };
        parts.log.record(event.with("already", already)).await?;
        let verified = match credential.kind {
            CredentialKind::Key(_) | CredentialKind::Certificate => match self.try_out(who, credential, host).await {
                Ok(tested) => Ok(tested.steps),
                Err(e) => Err(e.to_string()),
            },
            CredentialKind::Password | CredentialKind::Reference(_) => Err("it is no key".to_owned()),
        };
        Ok(Installed { already, verified })
    }
}
