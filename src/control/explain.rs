//! `grant explain`: the law's own reasoning, grant by grant, and which credential would sign in. Decides nothing itself.

use std::net::{IpAddr, Ipv4Addr};

use super::api::Reply;
use super::desk::Call;
use super::error::Error;
use super::grants::Subjects;
use super::rights::{Reach, Verb, reaches, sees};
use super::sight::facts;
use super::view::{ConsideredView, Data, ExplainedView, PERSONAL, action_word};
use crate::authz::{self, Considered, Judgement};
use crate::model::{Action, Actions, Credential, Name};
use crate::store::{self, defaults};

/// From where, if nobody says: this machine.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl Call<'_> {
    pub(super) async fn grant_explain(&self, user: Name, host: Name, action: Option<Action>, from: Option<IpAddr>) -> Result<Reply, Error> {
        let user = self.person(user).await?;
        if !reaches(self.reach, &self.actor, user.id) {
            return Err(self.forbidden(Verb::GrantExplain, "you may ask only about yourself"));
        }
        let host = self.host(host).await?;
        let from = from.unwrap_or(HERE);
        let (asked, now) = (host.clone(), self.now());
        let read = self
            .parts
            .store
            .read(move |c| -> Result<_, store::Error> {
                let hops = super::ways::hops(c, user.id, &asked)?;
                Ok((facts(c, user.id, &asked)?, defaults::taken(c, &asked, user.id)?.unzip(), Subjects::read(c)?, hops))
            })
            .await?;
        let (Some(facts), (credential, chosen), subjects, hops) = read else { return Err(Error::no_such("user", user.name, "user list")) };
        let judgement = authz::explain(&facts, from, now, now);
        let (allowed, reason) = verdict(&judgement, action, credential.as_ref(), &host.name);
        let (allowed, reason) = match hops.iter().find_map(|hop| hop.barred(from, now)).filter(|_| allowed) {
            Some(why) => (false, format!("{reason}, but {why}")),
            None => (allowed, reason),
        };
        let missing = judgement.result.is_ok() && credential.is_none();
        let (reach, deciding) = judgement.result.clone().unwrap_or_default();
        let everything = self.reach == Reach::All;
        let grants = judgement
            .considered
            .iter()
            .filter(|(_, found)| everything || !matches!(found, Considered::NotTheirs | Considered::OtherHosts))
            .map(|(grant, found)| ConsideredView {
                id: grant.id,
                to: subjects.name(&grant.to),
                hosts: grant.hosts.to_string(),
                outcome: outcome(found),
                decides: deciding.contains(&grant.id) && action.is_none_or(|a| grant.allow.has(a)),
            })
            .collect();
        let shown = |c: &Credential| if sees(self.actor.id, &c.scope) { c.name.to_string() } else { PERSONAL.to_owned() };
        let mut reply = Reply::of(Data::Explained(ExplainedView {
            user: facts.user.name.clone(),
            host: host.name.clone(),
            action: action_word(action),
            from: from.to_string(),
            allowed,
            reason,
            allow: reach.actions,
            commands: reach.commands,
            ends_at: reach.ends_at,
            credential: credential.as_ref().map(shown),
            credential_source: chosen.map(|chosen| chosen.as_str().to_owned()),
            via: hops.into_iter().map(|hop| hop.name).collect(),
            legacy: host.legacy.clone(),
            grants,
        }));
        if missing {
            reply = reply.note(how_to_attach(&host.name, &facts.user.name));
        }
        Ok(reply)
    }
}

fn outcome(found: &Considered) -> String {
    match found {
        Considered::NotTheirs => "given to somebody else".to_owned(),
        Considered::OtherHosts => "covers other hosts".to_owned(),
        Considered::Condition(why) => why.clone(),
        Considered::SecondFactor => "wants the second factor, and they have enrolled none".to_owned(),
        Considered::Allows(actions) => format!("allows {actions}"),
    }
}

fn verdict(judgement: &Judgement, action: Option<Action>, credential: Option<&Credential>, host: &Name) -> (bool, String) {
    match (&judgement.result, action) {
        (Err(denial), _) => (false, denial.to_string()),
        (Ok((reach, _)), Some(action)) if !reach.allows(action) => {
            (false, format!("no grant that holds allows {action}; allowed is {}", shown(reach.actions)))
        }
        (Ok((reach, ids)), _) => {
            let by = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
            let reason = format!("{by} allows {}", shown(reach.actions));
            // The grants are one half: without a credential nothing signs in, and "allowed" would be half the truth.
            if credential.is_some() {
                (true, reason)
            } else {
                (false, format!("{reason}, but no credential is attached to {host} for this person"))
            }
        }
    }
}

fn how_to_attach(host: &Name, user: &Name) -> String {
    format!(
        "attach one for everybody: keyward credential attach NAME --host {host}; or {user} one of their own: credential attach NAME --host {host} --mine"
    )
}

fn shown(actions: Actions) -> String {
    if actions.is_empty() { "nothing".to_owned() } else { actions.to_string() }
}
