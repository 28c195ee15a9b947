//! Verbs about a credential's life on its hosts: test, install, rotate. Who may change a credential may rotate it; what is done on a
//! host is granted there like anything else.

use std::net::{Ipv4Addr, SocketAddr};

use rusqlite::Connection;
use tokio::sync::mpsc;

use super::api::Reply;
use super::command::Command;
use super::desk::{Call, Output, Piece};
use super::error::Error;
use super::view::{Data, InstalledView, OpenRotationView, RotatingHostView, RotationView, StepView, TestedView};
use super::words::CredentialRef;
use crate::fault::Fault;
use crate::model::{Credential, CredentialId, CredentialKind, Host, HostId, HostStep, Login, Name, RotationStage, printable};
use crate::rotation::script::{self, Change};
use crate::rotation::{self, Installing, Outcome, Who, Wish};
use crate::sessions::StepFault;
use crate::store::{self, authorities, rotations};

/// The most hosts that are named in one call.
const NAMED: usize = 256;

/// How a rotation is asked for.
#[derive(Clone, Debug)]
pub(super) struct Rotate {
    pub(super) credential: CredentialRef,
    pub(super) hosts: Vec<Name>,
    pub(super) skip: Vec<Name>,
    pub(super) abort: bool,
    pub(super) dry_run: bool,
}

impl Command {
    /// The same, to be done: what was planned was agreed to.
    #[must_use]
    pub fn agreed(mut self) -> Self {
        if let Self::CredentialRotate { dry_run, .. } = &mut self {
            *dry_run = false;
        }
        self
    }
}

impl Call<'_> {
    pub(super) fn asks(&self) -> Who {
        // At the local door there is no network: a grant that holds only from one sees this machine.
        let client = self.client.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        Who { user: self.actor.clone(), key: self.key.clone(), client, workspace: self.workspace.clone() }
    }

    pub(super) async fn credential_test(&self, wanted: CredentialRef, host: Name) -> Result<Reply, Error> {
        let credential = self.credential(wanted).await?;
        let tested = self.parts.rotations.test(self.asks(), credential.clone(), host).await?;
        let steps = tested.steps.steps.iter().map(|step| StepView {
            name: step.name.as_str().to_owned(),
            ok: step.failed.is_none(),
            ms: u64::try_from(step.took.as_millis()).unwrap_or(u64::MAX),
            error: step.failed.as_ref().map(|why| sentence(why).0),
        });
        let failure = tested.steps.failure().map(|(step, why)| (step.as_str().to_owned(), sentence(why)));
        let view = TestedView {
            credential: credential.name,
            host: tested.host,
            username: credential.username,
            session: tested.steps.session,
            signed_in: failure.is_none(),
            method: tested.steps.method.map(str::to_owned),
            failed_step: failure.as_ref().map(|(step, _)| step.clone()),
            error: failure.as_ref().map(|(_, (why, _))| why.clone()),
            hint: failure.and_then(|(_, (_, hint))| hint),
            steps: steps.collect(),
        };
        Ok(Reply::of(Data::Tested(view)))
    }

    pub(super) async fn credential_install(&self, wanted: CredentialRef, host: Name, using: Name, dry: bool) -> Result<Reply, Error> {
        let credential = self.credential(wanted).await?;
        let using = self.credential(CredentialRef { name: using, scope: None }).await?;
        let host = self.host(host).await?.name;
        let authority = match (credential.kind, credential.scope.clone()) {
            (CredentialKind::Certificate, scope) => {
                let mut keys = self.parts.store.read(move |c| authorities::of(c, &scope)).await?;
                keys.sort_by_key(|key| key.meta.stage);
                keys.into_iter().map(|key| key.meta.public_key).collect()
            }
            _ => Vec::new(),
        };
        let wish = Installing { credential, host, using, authority };
        let (change, command) = wish.plan()?;
        let line = match &change {
            Change::Add { lines } => lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n"),
            Change::Beside { new, .. } => new.clone(),
            Change::Remove { key, .. } => key.clone(),
        };
        let mut view = InstalledView {
            credential: wish.credential.name.clone(),
            host: wish.host.clone(),
            username: wish.credential.username.clone(),
            using: wish.using.name.clone(),
            line,
            command,
            script: None,
            installed: false,
            already: false,
            verified: None,
            error: None,
        };
        if dry {
            view.script = Some(script::script("NONCE", &change));
            return Ok(Reply::of(Data::Installed(view)).note("nothing was done: without --dry-run this script is run there"));
        }
        let done = self.parts.rotations.install(self.asks(), wish).await?;
        view.installed = true;
        view.already = done.already;
        match done.verified {
            Ok(steps) => {
                view.verified = Some(steps.failure().is_none());
                view.error = steps.failure().map(|(step, why)| format!("{}: {}", step.as_str(), sentence(why).0));
            }
            Err(why) => view.error = Some(printable(&why, 300)),
        }
        Ok(Reply::of(Data::Installed(view)))
    }

    pub(super) async fn credential_rotate(&self, ask: Rotate, out: &Output) -> Result<Reply, Error> {
        let Rotate { credential, hosts, skip, abort, dry_run } = ask;
        if hosts.len() + skip.len() > NAMED {
            return Err(Error::unfit(format!("at most {NAMED} hosts are named in one call"), "leave --host out: all hosts are meant"));
        }
        let flag = credential.scope_flag();
        let mut more: String = [("--host", &hosts), ("--skip", &skip)]
            .into_iter()
            .flat_map(|(option, names)| names.iter().map(move |name| format!(" {option} {name}")))
            .collect();
        if abort {
            more.push_str(" --abort");
        }
        self.one_is_meant(&credential, "rotate", &more).await?;
        let credential = self.credential_to_change(credential).await?;
        let (hosts, skip) = (self.attached(&credential, hosts).await?, self.attached(&credential, skip).await?);
        let open = self.open_rotation(&credential).await?;
        if dry_run {
            return self.rotation_plan(&credential, open, abort, &skip).await;
        }
        let wish = Wish { hosts: ids(&hosts), skip: ids(&skip), abort };
        let (tell, mut told) = mpsc::channel::<String>(8);
        let run = self.parts.rotations.rotate(self.asks(), credential.clone(), wish, tell);
        tokio::pin!(run);
        let outcome = loop {
            tokio::select! {
                outcome = &mut run => break outcome?,
                Some(line) = told.recv() => if out.send(Piece::Step(printable(&line, 400))).await.is_err() {
                    // Nobody reads any more: it ends after the step that runs.
                    told.close();
                },
                () = out.closed(), if !told.is_closed() => told.close(),
            }
        };
        while let Ok(line) = told.try_recv() {
            let _ = out.send(Piece::Step(printable(&line, 400))).await;
        }
        Ok(rotated(&credential, flag, outcome))
    }

    async fn rotation_plan(
        &self,
        credential: &Credential,
        open: Option<OpenRotationView>,
        abort: bool,
        skip: &[Host],
    ) -> Result<Reply, Error> {
        let plan = self.parts.rotations.plan(credential).await?;
        let stage = open.as_ref().map(|o| o.stage);
        let what = match (stage, abort) {
            (None, true) => return Err(rotation::Error::NotOpen(credential.name.clone()).into()),
            (None, false) => plan.what,
            (Some(RotationStage::Cleaning), true) => return Err(rotation::Error::Switched(credential.name.clone()).into()),
            (Some(RotationStage::Aborting), _) | (Some(_), true) => {
                vec!["takes the new secret from each host that has it, with the one in force here".to_owned(), "forgets it".to_owned()]
            }
            // Made already; what each host still needs, its step says.
            (Some(RotationStage::Installing), false) => plan.what.into_iter().skip(1).collect(),
            (Some(RotationStage::Cleaning), false) => plan.what.into_iter().next_back().into_iter().collect(),
        };
        let hosts = match open {
            Some(open) => open.hosts,
            None => plan
                .hosts
                .into_iter()
                .map(|h| {
                    let step = if skip.iter().any(|s| s.name == h.name) { HostStep::Skipped } else { HostStep::Pending };
                    RotatingHostView { host: h.name, step, failure: None }
                })
                .collect(),
        };
        let view = RotationView { credential: credential.name.clone(), state: "planned".to_owned(), stage, hosts, plan: what };
        Ok(Reply::of(Data::Rotation(view)))
    }

    /// The rotation of a credential that stands open.
    async fn open_rotation(&self, credential: &Credential) -> Result<Option<OpenRotationView>, Error> {
        let id = credential.id;
        Ok(self.parts.store.read(move |c| open_rotation(c, id, None)).await?)
    }

    /// Hosts by their names; each has to be one that the credential is attached to.
    async fn attached(&self, credential: &Credential, names: Vec<Name>) -> Result<Vec<Host>, Error> {
        let id = credential.id;
        let all = self.parts.store.read(move |c| store::credentials::hosts_of(c, id)).await?;
        let mut hosts = Vec::new();
        for name in names {
            let host = self.host(name).await?;
            if all.iter().all(|(found, _)| *found != host.id) {
                let what = format!("credential {} is not attached to host {}", credential.name, host.name);
                return Err(Error::unfit(what, format!("see where it is: keyward credential show {}", credential.name)));
            }
            hosts.push(host);
        }
        Ok(hosts)
    }
}

/// The rotation of a credential that stands open; with `seen`, of its hosts those alone.
pub(super) fn open_rotation(c: &Connection, id: CredentialId, seen: Option<&[HostId]>) -> Result<Option<OpenRotationView>, store::Error> {
    let Some(row) = rotations::of(c, id)? else { return Ok(None) };
    let shown = rotations::hosts(c, id)?.into_iter().filter(|h| seen.is_none_or(|seen| seen.contains(&h.host)));
    let hosts = shown.map(|h| RotatingHostView { host: h.name, step: h.step, failure: h.failure }).collect();
    Ok(Some(OpenRotationView { stage: row.stage, hosts }))
}

fn ids(hosts: &[Host]) -> Vec<HostId> {
    hosts.iter().map(|h| h.id).collect()
}

/// The sentence, and the hint that belongs to it.
fn sentence(why: &StepFault) -> (String, Option<String>) {
    (printable(&why.to_string(), 500), why.hint().map(|hint| printable(&hint, 500)))
}

fn rotated(credential: &Credential, flag: &str, outcome: Outcome) -> Reply {
    let (name, login): (&Name, &Login) = (&credential.name, &credential.username);
    let aborted = outcome.stage == RotationStage::Aborting;
    let state = match (outcome.ended, aborted) {
        (true, false) => "done",
        (true, true) => "aborted",
        (false, _) => "open",
    };
    let over = |step: HostStep| match outcome.stage {
        RotationStage::Installing => matches!(step, HostStep::Verified | HostStep::Skipped),
        RotationStage::Cleaning => matches!(step, HostStep::Cleaned | HostStep::Skipped),
        RotationStage::Aborting => matches!(step, HostStep::Pending | HostStep::Skipped),
    };
    let waiting: Vec<Name> = outcome.hosts.iter().filter(|h| !over(h.step)).map(|h| h.host.clone()).collect();
    let skipped: Vec<String> = outcome.hosts.iter().filter(|h| h.step == HostStep::Skipped).map(|h| h.host.to_string()).collect();
    let hosts = outcome.hosts.into_iter().map(|h| RotatingHostView { host: h.host, step: h.step, failure: h.failure }).collect();
    let view = RotationView { credential: name.clone(), state: state.to_owned(), stage: Some(outcome.stage), hosts, plan: Vec::new() };
    let mut reply = Reply::of(Data::Rotation(view));
    reply = match state {
        "done" => reply.note(format!("credential {name} is rotated: its hosts take the new secret alone")),
        "aborted" => reply.note(format!("the rotation of credential {name} was given up: the secret before it stays in force")),
        _ => reply.note(still_open(name, flag, outcome.stage, &waiting)),
    };
    if !skipped.is_empty() {
        reply = reply.note(left_out(login, aborted, &skipped, outcome.left_key.as_deref()));
    }
    reply
}

/// What is said of a rotation that stands open, by how far it is: how to go on with it, and how to end it without a host.
fn still_open(name: &Name, flag: &str, stage: RotationStage, waiting: &[Name]) -> String {
    let words = format!("keyward credential rotate {name}{flag}");
    let without = |more: &str| match waiting.first() {
        Some(host) => format!("; without a host that stays away: {words}{more} --skip {host} --yes"),
        None => String::new(),
    };
    match stage {
        RotationStage::Installing => format!(
            "the rotation of credential {name} stands open; every host takes what the vault has. Go on: {words} --yes; give it up: {words} \
             --abort --yes{}",
            without("")
        ),
        RotationStage::Cleaning => format!(
            "the rotation of credential {name} stands open: the new secret is in force, and the old key still lies on hosts. Go on: {words} \
             --yes{}",
            without("")
        ),
        RotationStage::Aborting => format!(
            "the rotation of credential {name} is being given up, and hosts still have what it brought them; every host takes what the vault \
             has. Go on giving it up: {words} --abort --yes{}",
            without(" --abort")
        ),
    }
}

/// What is said of hosts that were left out: what may still be there, and whether the vault's secret opens them.
fn left_out(login: &Login, aborted: bool, hosts: &[String], key: Option<&str>) -> String {
    let hosts = hosts.join(" ");
    match (aborted, key) {
        (true, Some(key)) => format!(
            "left out: {hosts}; the key that was given up may still lie in ~{login}/.ssh/authorized_keys there, and nobody has its private \
             half: take the line out by hand: {key}"
        ),
        (true, None) => format!("left out: {hosts}; login {login} may have the password there that was given up, and that nobody has"),
        (false, Some(key)) => format!(
            "left out: {hosts}; login {login} is not reached there with the new secret, and the old key still lies there: take the line out \
             by hand: {key}"
        ),
        (false, None) => format!("left out: {hosts}; login {login} is not reached there with the new secret"),
    }
}
