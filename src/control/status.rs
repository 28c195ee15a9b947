//! `status` and `ssh-config`: what the daemon says about itself, and how a stock client reaches it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::api::{Caller, Reply};
use super::desk::{Call, Desk, Facts};
use super::error::Error;
use super::rights::{Verb, reaches};
use super::view::{Data, SshConfigView, StatusView};
use crate::fault::Calling;
use crate::model::{Name, Role, ScopeState, User};

impl Desk {
    /// The hosts that a caller was granted, and how to reach them: what the ssh console shows to somebody who asks for nothing.
    ///
    /// # Errors
    /// [`Error::Disabled`], [`Error::UnknownCaller`], the store's.
    pub async fn reachable_hosts(&self, caller: &Caller) -> Result<SshConfigView, Error> {
        let (out, _nobody_reads) = tokio::sync::mpsc::channel(1);
        let command = super::command::Command::SshConfig { user: None };
        match self.handle(caller.clone(), command, super::api::Secrets::none(), &out).await?.data {
            Data::SshConfig(view) => Ok(view),
            _ => Err(Error::Gone),
        }
    }

    /// How this person calls the broker over ssh.
    pub fn over_ssh(&self, name: &Name) -> Calling {
        let facts = self.facts();
        let (broker, port, _) = address(facts);
        // Where it listens is not where clients find it.
        Calling::Ssh { port, name: name.to_string(), broker: facts.public.is_some().then_some(broker) }
    }
}

impl Call<'_> {
    pub(super) async fn status(&self) -> Result<Reply, Error> {
        let facts = &self.parts.facts;
        let own = self.parts.custody.scope_state(self.actor.id).await?;
        Ok(Reply::of(Data::Status(StatusView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: self.now().since(facts.started_at).as_secs(),
            live_connections: self.parts.sessions.count(),
            leases_open: facts.leases.load(Ordering::Relaxed),
            pending_proposals: u64::try_from(self.parts.approvals.pending()).unwrap_or(u64::MAX),
            audit_seq: self.parts.log.newest().await?,
            workspace: self.workspace.clone(),
            vault: self.vault_word(),
            store_free_bytes: free(self.parts.store.path()),
            listen: facts.listen.clone(),
            host_keys: facts.host_keys.clone(),
            you: self.actor.name.clone(),
            role: self.actor.role,
            // With few people, that somebody's scope is open tells who is there.
            open_scopes: match self.actor.role {
                Role::Owner | Role::Admin => self.parts.custody.open_scopes(),
                _ => usize::from(own == ScopeState::Open),
            },
            personal: own.as_str().to_owned(),
        })))
    }

    pub(super) async fn ssh_config(&self, user: Option<Name>) -> Result<Reply, Error> {
        let person = match user {
            None => self.actor.clone(),
            Some(name) => self.person(name).await?,
        };
        if !reaches(self.reach, &self.actor, person.id) {
            return Err(self.forbidden(Verb::SshConfig, "you may ask only for yourself"));
        }
        let hosts = self.hosts_granted_to(person.id).await?.into_iter().map(|h| h.name).collect::<Vec<_>>();
        let (broker, port, certain) = address(&self.parts.facts);
        let none = hosts.is_empty();
        let mut reply =
            Reply::of(Data::SshConfig(SshConfigView { user: person.name.clone(), workspace: self.workspace.clone(), broker, port, hosts }));
        if !certain {
            reply = reply.note("the broker listens on every address: put its name in the place of 127.0.0.1");
        }
        if none {
            reply = reply.note(nothing_granted(&person));
        }
        Ok(reply)
    }
}

fn nothing_granted(person: &User) -> String {
    let name = &person.name;
    format!("no host is granted to {name}: keyward grant add --to {name} --hosts HOST --allow shell,exec")
}

/// Where clients find the broker, and whether that is certain.
fn address(facts: &Facts) -> (String, u16, bool) {
    if let Some(public) = &facts.public {
        return (public.host.clone(), public.port, true);
    }
    match facts.listen.parse::<SocketAddr>() {
        Ok(at) if at.ip().is_unspecified() => ("127.0.0.1".to_owned(), at.port(), false),
        Ok(at) => (at.ip().to_string(), at.port(), true),
        Err(_) => (facts.listen.clone(), 22, true),
    }
}

fn free(path: &Path) -> Option<u64> {
    let fs = rustix::fs::statvfs(path.parent().unwrap_or(Path::new("."))).ok()?;
    Some(fs.f_bavail.saturating_mul(fs.f_frsize))
}
