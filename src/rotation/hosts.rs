//! One host of a rotation, brought as far as it goes. What is about to be done stands in the database before it is done, so that a
//! broker that dies in between knows what it does not know.

use super::desk::{Rotations, Who};
use super::install::bare;
use super::place::{self, Answer};
use super::script::Change;
use super::{Error, passwords};
use crate::custody::{Purpose, Rotation};
use crate::model::{Action, CredentialKind, Event, EventName, Host, HostStep};
use crate::sessions::{Gates, Steps, UpkeepSite};

/// A rotation's gates: what is known of refusals of the old secret, and of the new one.
#[derive(Debug, Default)]
pub(super) struct Doors {
    old: Gates,
    new: Gates,
}

/// What is said of a host, and how far it is now.
pub(super) struct Line {
    pub(super) step: HostStep,
    pub(super) failure: Option<String>,
}

/// How a sign-in without work came out.
enum Took {
    Yes,
    Refused,
    Unclear(String),
}

/// One host, with all that is needed to work on it.
pub(super) struct Turn<'a> {
    pub(super) desk: &'a Rotations,
    pub(super) who: &'a Who,
    pub(super) rotation: &'a Rotation,
    pub(super) host: &'a Host,
    pub(super) step: HostStep,
    pub(super) doors: &'a Doors,
}

impl Turn<'_> {
    fn is_key(&self) -> bool {
        matches!(self.rotation.credential.kind, CredentialKind::Key(_))
    }

    /// Notes how far the host is.
    async fn note(&self, step: HostStep, failure: Option<String>) -> Result<Line, Error> {
        let id = self.rotation.credential.id;
        let event = Event::new(EventName::RotationHost, self.who.user.name.to_string())
            .host(self.host)
            .credential(&self.rotation.credential)
            .with("step", step);
        let event = match &failure {
            Some(why) => event.failed(why),
            None => event,
        };
        self.desk.parts().custody.rotation_step(id, self.host.id, step, failure.clone(), event).await?;
        Ok(Line { step, failure })
    }

    async fn enter<T, W: Future<Output = T>>(&self, next: bool, work: impl FnOnce(UpkeepSite) -> W) -> Result<(Steps, Option<T>), Error> {
        let id = self.rotation.credential.id;
        let (purpose, gates) = if next { (Purpose::WorkNext(id), &self.doors.new) } else { (Purpose::Work(id), &self.doors.old) };
        self.desk.enter(self.who, &self.host.name, purpose, Some(Action::Exec), gates, work).await
    }

    /// Signs in and leaves again.
    async fn takes(&self, next: bool) -> Result<Took, Error> {
        let (steps, done) = match self.enter(next, |_| async {}).await {
            Ok(done) => done,
            Err(Error::Custody(e)) => return Ok(Took::Unclear(e.to_string())),
            Err(e) => return Err(e),
        };
        Ok(match (done, steps.refused) {
            (Some(()), _) => Took::Yes,
            (None, true) => Took::Refused,
            (None, false) => Took::Unclear(why(&steps)),
        })
    }

    /// Brings the new secret to the host, and shows that the host takes it.
    pub(super) async fn bring(&self) -> Result<Line, Error> {
        // Interrupted before: what the host takes is asked of it first.
        if matches!(self.step, HostStep::Setting | HostStep::Installed) {
            match self.takes(true).await? {
                Took::Yes => return self.note(HostStep::Verified, None).await,
                Took::Unclear(why) => return self.note(self.step, Some(why)).await,
                Took::Refused => {}
            }
        }
        let entered = self.enter(false, |site| async move { self.give(&site).await }).await;
        let (steps, given) = match entered {
            Ok(entered) => entered,
            Err(Error::Custody(e)) => return self.note(self.step, Some(e.to_string())).await,
            Err(e) => return Err(e),
        };
        match given {
            None => self.note(self.step, Some(why(&steps))).await,
            Some(answer) => match answer? {
                Answer::Unchanged(why) => self.note(HostStep::Pending, Some(why)).await,
                Answer::Done | Answer::Already if self.is_key() => {
                    self.note(HostStep::Installed, None).await?;
                    self.verify(HostStep::Installed, "the host took the new key into authorized_keys, and refuses it".to_owned()).await
                }
                Answer::Done | Answer::Already => {
                    self.verify(HostStep::Setting, "chpasswd was done, and the host refuses the new password".to_owned()).await
                }
                Answer::Unknown(why) => self.verify(HostStep::Setting, why).await,
            },
        }
    }

    /// Shows by a sign-in which secret the host takes. `refused` is said if it is not the new one.
    async fn verify(&self, step: HostStep, refused: String) -> Result<Line, Error> {
        match self.takes(true).await? {
            Took::Yes => self.note(HostStep::Verified, None).await,
            Took::Unclear(why) => self.note(step, Some(why)).await,
            Took::Refused if self.is_key() => self.note(step, Some(refused)).await,
            // The lease of a host in between tries both: that it signs in now means that it is the old one.
            Took::Refused => match self.takes(false).await? {
                Took::Yes => self.note(HostStep::Pending, Some(refused)).await,
                Took::Refused | Took::Unclear(_) => self.note(step, Some(refused)).await,
            },
        }
    }

    /// Notes that it is not known from now on which secret the host takes.
    async fn setting(&self) -> Result<(), Error> {
        self.note(HostStep::Setting, None).await.map(|_| ())
    }

    async fn give(&self, site: &UpkeepSite) -> Result<Answer, Error> {
        let parts = self.desk.parts();
        match self.keys() {
            Some((old, new)) => {
                self.setting().await?;
                place::run(parts, site, &self.rotation.credential, &Change::Beside { old, new }).await
            }
            None => passwords::set(parts, site, false, self.setting()).await,
        }
    }

    /// The old and the new public key.
    fn keys(&self) -> Option<(String, String)> {
        let row = &self.rotation.row;
        row.old_key.as_deref().and_then(bare).zip(row.new_key.as_deref().and_then(bare))
    }

    /// Takes the old key from the host; the new one, which is in force, signs in before and after it.
    pub(super) async fn clean(&self) -> Result<Line, Error> {
        let Some((old, new)) = self.keys() else { return self.note(HostStep::Cleaned, None).await };
        let change = Change::Remove { key: old, keep: Some(new) };
        let (credential, parts) = (&self.rotation.credential, self.desk.parts());
        let entered = self.enter(false, |site| async move { place::run(parts, &site, credential, &change).await }).await;
        let failure = match entered {
            Err(Error::Custody(e)) => e.to_string(),
            Err(e) => return Err(e),
            Ok((steps, None)) => why(&steps),
            Ok((_, Some(answer))) => match answer? {
                Answer::Unchanged(why) | Answer::Unknown(why) => why,
                Answer::Done | Answer::Already => match self.takes(false).await? {
                    Took::Yes => return self.note(HostStep::Cleaned, None).await,
                    Took::Refused => "the host refuses the new key since the old one is gone".to_owned(),
                    Took::Unclear(why) => why,
                },
            },
        };
        self.note(HostStep::Switched, Some(failure)).await
    }

    /// Takes the next secret from the host again. What signs in is the one that the host knows.
    pub(super) async fn take_back(&self) -> Result<Line, Error> {
        if self.step == HostStep::Pending {
            return Ok(Line { step: HostStep::Pending, failure: None });
        }
        if !self.is_key() && self.step == HostStep::Setting {
            // Perhaps it never got it.
            match self.takes(true).await? {
                Took::Refused => return self.note(HostStep::Pending, None).await,
                Took::Unclear(why) => return self.note(HostStep::Setting, Some(why)).await,
                // From here on it signs in, and sudo is given its password, as a host that has it.
                Took::Yes => drop(self.note(HostStep::Verified, None).await?),
            }
        }
        let entered = self.enter(!self.is_key(), |site| async move { self.give_back(&site).await }).await;
        let failure = match entered {
            Err(Error::Custody(e)) => e.to_string(),
            Err(e) => return Err(e),
            Ok((steps, None)) => why(&steps),
            Ok((_, Some(answer))) => match answer? {
                Answer::Done | Answer::Already if self.is_key() => return self.note(HostStep::Pending, None).await,
                Answer::Unchanged(why) => why,
                Answer::Done | Answer::Already | Answer::Unknown(_) => match self.takes(true).await? {
                    Took::Refused => return self.note(HostStep::Pending, None).await,
                    Took::Yes => return self.note(HostStep::Verified, Some("the host kept the new password".to_owned())).await,
                    Took::Unclear(why) => return self.note(HostStep::Setting, Some(why)).await,
                },
            },
        };
        self.note(self.step, Some(failure)).await
    }

    async fn give_back(&self, site: &UpkeepSite) -> Result<Answer, Error> {
        let parts = self.desk.parts();
        match self.keys() {
            Some((_, new)) => place::run(parts, site, &self.rotation.credential, &Change::Remove { key: new, keep: None }).await,
            None => passwords::set(parts, site, true, self.setting()).await,
        }
    }
}

/// What went wrong with a sign-in: the step and the sentence.
fn why(steps: &Steps) -> String {
    steps.failure().map_or_else(|| "it did not sign in".to_owned(), |(step, why)| format!("{}: {}", step.as_str(), why.line()))
}
