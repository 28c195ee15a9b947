//! A rotation from its beginning, or from where it stands, as far as it goes. Hosts first, then here, then the old secret goes: at no
//! moment does a host take only what the vault does not have.

use tokio::sync::mpsc;

use super::Error;
use super::desk::{Rotations, Who};
use super::hosts::{Doors, Line, Turn};
use crate::custody::Rotation;
use crate::model::{Credential, CredentialId, Event, EventName, HostId, HostStep, Name, RotationStage};

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Only these hosts in this run; none: all.
    pub hosts: Vec<HostId>,
    /// Hosts that are left out: they lose access.
    pub skip: Vec<HostId>,
    /// Give it up: the hosts get rid of the next secret.
    pub abort: bool,
}

/// A host that is not at its end.
#[derive(Clone, Debug)]
pub struct Left {
    /// Its name.
    pub host: Name,
    /// How far it is.
    pub step: HostStep,
    /// Why it is no further.
    pub failure: Option<String>,
}

/// How a run came out.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether the rotation has ended.
    pub ended: bool,
    /// How it stands, or stood at its end.
    pub stage: RotationStage,
    /// Its hosts.
    pub hosts: Vec<Left>,
    /// The public key that may still lie on a host that was left out: the new one of a rotation that was given up, else the old one;
    /// `None` for a password.
    pub left_key: Option<String>,
}

/// A place in the set of rotations that run.
struct Place(Rotations, CredentialId);

impl Drop for Place {
    fn drop(&mut self) {
        if let Ok(mut running) = self.0.0.running.lock() {
            running.remove(&self.1);
        }
    }
}

impl Rotations {
    /// Begins the rotation of a credential, or goes on with the one that stands open. Each step is told to `steps`; a person who does
    /// not listen any more lets it end after the step that runs.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Unfit`], [`Error::NotOpen`], [`Error::Switched`]; what stops a single host is not an error of the run.
    pub async fn rotate(&self, who: Who, credential: Credential, wish: Wish, steps: mpsc::Sender<String>) -> Result<Outcome, Error> {
        let id = credential.id;
        let free = self.0.running.lock().is_ok_and(|mut running| running.insert(id));
        if !free {
            return Err(Error::Busy(credential.name));
        }
        let place = Place(self.clone(), id);
        let desk = self.clone();
        let run = async move {
            let done = Run { desk: &desk, who: &who, wish: &wish, steps: &steps }.run(&credential).await;
            drop(place);
            done
        };
        self.whole(run).await
    }
}

struct Run<'a> {
    desk: &'a Rotations,
    who: &'a Who,
    wish: &'a Wish,
    steps: &'a mpsc::Sender<String>,
}

impl Run<'_> {
    async fn run(&self, credential: &Credential) -> Result<Outcome, Error> {
        let id = credential.id;
        let custody = &self.desk.parts().custody;
        let mut rotation = match custody.rotation(id).await? {
            Some(rotation) => rotation,
            None if self.wish.abort => return Err(Error::NotOpen(credential.name.clone())),
            None => {
                self.desk.plan(credential).await?;
                let event = self.event(EventName::RotationStarted, credential).with("kind", credential.kind);
                custody.begin_rotation(id, None, self.wish.skip.clone(), &self.who.user, event).await?;
                self.again(id).await?
            }
        };
        if self.wish.abort && rotation.row.stage != RotationStage::Aborting {
            if rotation.row.stage == RotationStage::Cleaning {
                return Err(Error::Switched(credential.name.clone()));
            }
            custody.abort_rotation(id, self.event(EventName::RotationAborting, credential)).await?;
            rotation = self.again(id).await?;
        }
        self.leave_out(&rotation).await?;
        rotation = self.again(id).await?;
        if rotation.row.stage == RotationStage::Installing {
            self.each(&rotation, |step| !matches!(step, HostStep::Verified | HostStep::Skipped)).await?;
            rotation = self.again(id).await?;
            let ready = rotation.hosts.iter().all(|(_, at)| matches!(at.step, HostStep::Verified | HostStep::Skipped));
            let any = rotation.hosts.iter().any(|(_, at)| at.step == HostStep::Verified);
            if !(ready && any) || self.is_over() {
                return Ok(outcome(&rotation, false));
            }
            let event = self.event(EventName::RotationSwitched, credential).count("version", u64::from(credential.version) + 1);
            custody.switch_rotation(id, event).await?;
            self.desk.forget_refusals(id);
            self.tell(format!("credential {}: the new secret is in force here", credential.name)).await;
            rotation = self.again(id).await?;
        }
        let (end, word) = match rotation.row.stage {
            RotationStage::Aborting => (HostStep::Pending, "given up"),
            RotationStage::Cleaning | RotationStage::Installing => (HostStep::Cleaned, "done"),
        };
        // A password leaves nothing behind that would have to be taken away.
        if rotation.row.old_key.is_some() || rotation.row.stage == RotationStage::Aborting {
            self.each(&rotation, |step| step != end && step != HostStep::Skipped).await?;
            rotation = self.again(id).await?;
            if rotation.hosts.iter().any(|(_, at)| at.step != end && at.step != HostStep::Skipped) {
                return Ok(outcome(&rotation, false));
            }
        }
        custody.end_rotation(id, self.event(EventName::RotationEnded, credential).because(word)).await?;
        Ok(outcome(&rotation, true))
    }

    /// The hosts that a person leaves out from now on, and those that they take in again.
    async fn leave_out(&self, rotation: &Rotation) -> Result<(), Error> {
        let custody = &self.desk.parts().custody;
        for (host, at) in &rotation.hosts {
            let installing = rotation.row.stage == RotationStage::Installing;
            // A host that took the new secret already is not lost: nothing is left out there.
            let step = if self.wish.skip.contains(&host.id) && !(installing && at.step == HostStep::Verified) {
                HostStep::Skipped
            } else if at.step == HostStep::Skipped && self.wish.hosts.contains(&host.id) && installing {
                // What it knows is not known any more: it is asked.
                HostStep::Setting
            } else {
                continue;
            };
            let event = self.event(EventName::RotationHost, &rotation.credential).host(host).with("step", step);
            custody.rotation_step(rotation.credential.id, host.id, step, None, event).await?;
        }
        Ok(())
    }

    /// Each host that is not at its end, one after the other.
    async fn each(&self, rotation: &Rotation, open: impl Fn(HostStep) -> bool) -> Result<(), Error> {
        let doors = Doors::default();
        for (host, at) in rotation.hosts.iter().filter(|(_, at)| open(at.step)) {
            if !self.wish.hosts.is_empty() && !self.wish.hosts.contains(&host.id) {
                continue;
            }
            if self.is_over() {
                break;
            }
            let turn = Turn { desk: self.desk, who: self.who, rotation, host, step: at.step, doors: &doors };
            let line = match rotation.row.stage {
                RotationStage::Installing => turn.bring().await?,
                RotationStage::Cleaning => turn.clean().await?,
                RotationStage::Aborting => turn.take_back().await?,
            };
            let Line { step, failure } = line;
            self.tell(match failure {
                Some(why) => format!("{}: {step}, not further: {why}", host.name),
                None => format!("{}: {step}", host.name),
            })
            .await;
        }
        Ok(())
    }

    /// Whether nothing new is to be begun: nobody listens, or the broker stops.
    fn is_over(&self) -> bool {
        self.steps.is_closed() || self.desk.0.stop.is_cancelled()
    }

    async fn tell(&self, text: String) {
        let _ = self.steps.send(text).await;
    }

    async fn again(&self, id: CredentialId) -> Result<Rotation, Error> {
        let found = self.desk.parts().custody.rotation(id).await?;
        found.ok_or_else(|| crate::custody::Error::Missing("such rotation".to_owned()).into())
    }

    fn event(&self, name: EventName, credential: &Credential) -> Event {
        Event::new(name, self.who.user.name.to_string()).credential(credential)
    }
}

fn outcome(rotation: &Rotation, ended: bool) -> Outcome {
    let left = |(host, at): &(crate::model::Host, crate::store::rotations::RotationHostRow)| Left {
        host: host.name.clone(),
        step: at.step,
        failure: at.failure.clone(),
    };
    let (stage, row) = (rotation.row.stage, &rotation.row);
    let left_key = if stage == RotationStage::Aborting { row.new_key.clone() } else { row.old_key.clone() };
    Outcome { ended, stage, hosts: rotation.hosts.iter().map(left).collect(), left_key }
}
