//! Verbs about agents. An agent belongs to one person; its token is shown once and kept as a digest.

use std::collections::HashMap;

use base64ct::{Base64UrlUnpadded, Encoding};

use super::api::Reply;
use super::desk::Call;
use super::error::Error;
use super::keys;
use super::rights::{Reach, Verb, reaches};
use super::view::{AgentView, Data};
use crate::authn;
use crate::model::{Agent, AgentLimits, Event, EventName, Name, User, UserId};
use crate::store::{self, agents, users};

/// The most agents of one person.
const MOST: u32 = 32;
/// What every token begins with, so that scanners for leaked secrets find one.
const TOKEN: &str = "kwa_";
/// Bounds of an agent's limits.
const MOST_PENDING: u32 = 256;
const MOST_PER_MINUTE: u32 = 600;
const MOST_OUTPUT: u64 = 8 * 1024 * 1024;

impl Call<'_> {
    pub(super) async fn agent_add(
        &self,
        name: Name,
        owner: Option<Name>,
        key: Option<&str>,
        limits: AgentLimits,
        require_signature: bool,
    ) -> Result<Reply, Error> {
        let owner = match owner {
            Some(owner) => self.person(owner).await?,
            None => self.actor.clone(),
        };
        if !reaches(self.reach, &self.actor, owner.id) {
            return Err(self.forbidden(Verb::AgentChange, "you may add agents for yourself only"));
        }
        self.may_stay(owner.id, Verb::AgentChange)?;
        within(&limits)?;
        let key = key.map(one_key).transpose()?;
        // Without a key it needs a token; with one it has none that could leak.
        let token = if key.is_none() { Some(fresh_token()?) } else { None };
        let agent = Agent {
            id: self.parts.clock.fresh(),
            name,
            owner: owner.id,
            public_key: key.as_ref().map(|k| k.public_key.clone()),
            fingerprint: key.as_ref().map(|k| k.fingerprint.clone()),
            has_token: token.is_some(),
            require_signature,
            limits,
            created_at: self.now(),
        };
        let mut event = self.event(EventName::AgentAdded).with("agent", &agent.name).with("for", &owner.name);
        event = match &agent.fingerprint {
            Some(fingerprint) => event.with("fingerprint", fingerprint),
            None => event.with("signs_in", "token"),
        };
        let sha256 = token.as_deref().map(authn::token_sha256);
        let row = agent.clone();
        let added = self
            .parts
            .log
            .change_heard(self.parts.guard.bell(), move |c| -> Result<((), Vec<Event>), Error> {
                if agents::count_of(c, row.owner)? >= MOST {
                    return Err(Error::unfit(format!("a person has at most {MOST} agents"), "remove one: keyward agent remove NAME"));
                }
                agents::insert(c, &row, sha256.as_ref())?;
                Ok(((), vec![event]))
            })
            .await?;
        added.into_inner();
        let said = format!("agent {} added for {}", agent.name, owner.name);
        let shown_once = token.is_some();
        let reply = Reply::done(Data::Agent(view(&agent, &owner.name, token)), said);
        let reply = if shown_once { reply.note("this token is shown once: keep it in a file that only the agent can read") } else { reply };
        Ok(reply.note(format!(
            "it may propose where {0} may and a grant has `propose`: keyward grant add --to {0} --hosts HOST --allow shell,exec,propose",
            owner.name
        )))
    }

    pub(super) async fn agent_list(&self) -> Result<Reply, Error> {
        let list = self.agents().await?;
        Ok(Reply::of(Data::Agents(list.iter().map(|(agent, owner)| view(agent, owner, None)).collect())))
    }

    pub(super) async fn agent_remove(&self, name: Name) -> Result<Reply, Error> {
        let (agent, owner) =
            self.agents().await?.into_iter().find(|(a, _)| a.name == name).ok_or_else(|| Error::no_such("agent", &name, "agent list"))?;
        if !reaches(self.reach, &self.actor, agent.owner) {
            return Err(self.forbidden(Verb::AgentChange, "it is somebody else's"));
        }
        let event = self.event(EventName::AgentRemoved).with("agent", &agent.name).with("for", &owner);
        let removed = self
            .parts
            .log
            .change_heard(self.parts.guard.bell(), move |c| -> Result<((), Vec<Event>), Error> {
                agents::remove(c, agent.id)?;
                Ok(((), vec![event]))
            })
            .await?;
        removed.into_inner();
        Ok(Reply::done(Data::Nothing, format!("agent {name} removed; its connections and proposals end")))
    }

    /// The agents that the caller may see, with their persons' names.
    async fn agents(&self) -> Result<Vec<(Agent, Name)>, Error> {
        let (reach, actor) = (self.reach_of(Verb::AgentSee), self.actor.clone());
        let found = self
            .parts
            .store
            .read(move |c| -> Result<Vec<(Agent, Name)>, store::Error> {
                let names: HashMap<UserId, Name> = users::all(c)?.into_iter().map(|User { id, name, .. }| (id, name)).collect();
                let seen = agents::all(c)?.into_iter().filter(|a| reach == Reach::All || a.owner == actor.id);
                Ok(seen.filter_map(|a| names.get(&a.owner).cloned().map(|owner| (a, owner))).collect())
            })
            .await?;
        Ok(found)
    }
}

fn within(limits: &AgentLimits) -> Result<(), Error> {
    let bounds = [
        ("pending", u64::from(limits.pending), u64::from(MOST_PENDING)),
        ("per-minute", u64::from(limits.per_minute), u64::from(MOST_PER_MINUTE)),
        ("output", limits.output, MOST_OUTPUT),
    ];
    for (what, value, most) in bounds {
        if value == 0 || value > most {
            return Err(Error::unfit(format!("--{what} must lie between 1 and {most}"), "leave it out for the default"));
        }
    }
    Ok(())
}

fn one_key(text: &str) -> Result<keys::Key, Error> {
    let mut all = keys::of_person(text)?;
    match (all.pop(), all.is_empty()) {
        (Some(key), true) => Ok(key),
        _ => Err(Error::unfit("an agent has one key", "give one line; add another agent for another key")),
    }
}

fn fresh_token() -> Result<String, Error> {
    let mut bytes = zeroize::Zeroizing::new([0u8; 32]);
    aws_lc_rs::rand::fill(&mut bytes[..]).map_err(|_| Error::unfit("the system gives no random numbers", "try again"))?;
    Ok(format!("{TOKEN}{}", Base64UrlUnpadded::encode_string(&bytes[..])))
}

fn view(agent: &Agent, owner: &Name, token: Option<String>) -> AgentView {
    AgentView {
        id: agent.id,
        name: agent.name.clone(),
        owner: owner.clone(),
        fingerprint: agent.fingerprint.clone(),
        has_token: agent.has_token,
        require_signature: agent.require_signature,
        limits: agent.limits,
        created_at: agent.created_at,
        token,
    }
}
