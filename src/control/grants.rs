//! Verbs about grants. What a grant means is the law's (`authz`); here it is read, checked and shown.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::Connection;

use super::api::Reply;
use super::desk::Call;
use super::error::Error;
use super::rights::Reach;
use super::view::{Data, GrantView};
use super::words::NewGrant;
use crate::model::{Action, Event, EventName, Grant, GrantId, GroupId, HostPattern, Name, Subject, UserId};
use crate::store::{self, grants, hosts, users};

/// The most commands of one grant, and the longest.
const COMMANDS: usize = 1000;
const COMMAND_LENGTH: usize = 4096;

impl Call<'_> {
    pub(super) async fn grant_add(&self, new: NewGrant) -> Result<Reply, Error> {
        let commands = new.commands.as_deref().map(read_commands).transpose()?;
        self.check(&new)?;
        let to = self.subject(&new.to).await?;
        let covered = self.covered(&new.hosts).await?;
        let grant = Grant {
            id: self.parts.clock.fresh(),
            workspace: self.workspace.clone(),
            to,
            hosts: new.hosts,
            allow: new.allow,
            commands,
            from: new.from,
            until: new.until,
            between: new.between,
            max_session: new.max_session_s.map(Duration::from_secs),
            second_factor: new.second_factor,
            created_at: self.now(),
            created_by: self.actor.name.clone(),
        };
        let mut notes = Vec::new();
        if covered == 0 {
            notes.push(format!("no host matches {} yet", grant.hosts));
        }
        if grant.commands.is_some() && (grant.allow.has(Action::Shell) || grant.allow.has(Action::Sftp)) {
            notes.push("the list of commands limits exec alone: in a shell, or with sftp, anything can be done".to_owned());
        }
        let event = self.grant_event(EventName::GrantAdded, &grant, &new.to);
        let view = self
            .parts
            .log
            .change_heard(self.parts.guard.bell(), move |c| -> Result<(GrantView, Vec<Event>), store::Error> {
                grants::insert(c, &grant)?;
                Ok((grant_view(&grant, &Subjects::read(c)?), vec![event]))
            })
            .await?
            .into_inner();
        let said = format!("{} may {} on {}", view.to, view.allow, view.hosts);
        let mut reply = Reply::done(Data::Grant(view), said);
        reply.notes = notes;
        Ok(reply)
    }

    pub(super) async fn grant_list(&self) -> Result<Reply, Error> {
        let (workspace, me, reach) = (self.workspace.clone(), self.actor.id, self.reach);
        let list = self
            .parts
            .store
            .read(move |c| -> Result<Vec<GrantView>, store::Error> {
                let (groups, subjects) = (users::groups_of(c, me)?, Subjects::read(c)?);
                let all = grants::all(c, &workspace)?;
                Ok(all.iter().filter(|g| reach == Reach::All || is_given_to(g, me, &groups)).map(|g| grant_view(g, &subjects)).collect())
            })
            .await?;
        Ok(Reply::of(Data::Grants(list)))
    }

    pub(super) async fn grant_remove(&self, id: GrantId) -> Result<Reply, Error> {
        let found = self.parts.store.read(move |c| -> Result<_, store::Error> { Ok((grants::by_id(c, id)?, Subjects::read(c)?)) }).await?;
        let (Some(grant), subjects) = (found.0.filter(|grant| grant.workspace == self.workspace), found.1) else {
            return Err(Error::no_such("grant", id, "grant list"));
        };
        let event = self.grant_event(EventName::GrantRemoved, &grant, &subjects.name(&grant.to));
        let removed = self
            .parts
            .log
            .change_heard(self.parts.guard.bell(), move |c| -> Result<((), Vec<Event>), store::Error> {
                grants::remove(c, id)?;
                Ok(((), vec![event]))
            })
            .await?;
        removed.into_inner();
        // Sessions that stood on it hear this and end.
        Ok(Reply::done(Data::Nothing, format!("grant {id} removed")))
    }

    fn check(&self, new: &NewGrant) -> Result<(), Error> {
        if new.allow.is_empty() {
            return Err(Error::unfit("a grant allows something", "for example --allow shell,exec"));
        }
        if new.commands.is_some() && !new.allow.has(Action::Exec) {
            return Err(Error::unfit("a list of commands limits exec, and exec is not allowed", "add it: --allow exec"));
        }
        if new.until.is_some_and(|until| until <= self.now()) {
            return Err(Error::unfit("the time after --until is past", format!("it is {} now", self.now())));
        }
        if new.second_factor && new.allow.has(Action::Scan) {
            return Err(Error::unfit("a grant that wants the second factor carries no scan", "allow scan in a grant of its own"));
        }
        if new.max_session_s == Some(0) {
            return Err(Error::unfit("a session of no length cannot be opened", "for example --max-session 8h"));
        }
        Ok(())
    }

    pub(super) async fn subject(&self, to: &str) -> Result<Subject, Error> {
        if to == "*" {
            return Ok(Subject::Everyone);
        }
        let missing = || Error::no_such("user or group", to, "user list");
        let name: Name = to.parse().map_err(|_| missing())?;
        let found = self
            .parts
            .store
            .read(move |c| -> Result<Option<Subject>, store::Error> {
                if let Some(user) = users::by_name(c, &name)? {
                    return Ok(Some(Subject::User(user.id)));
                }
                Ok(users::group(c, &name)?.map(|g| Subject::Group(g.id)))
            })
            .await?;
        found.ok_or_else(missing)
    }

    /// How many hosts a pattern covers now. A plain name that is no host's is a slip of the pen.
    async fn covered(&self, pattern: &HostPattern) -> Result<usize, Error> {
        let workspace = self.workspace.clone();
        let all = self.parts.store.read(move |c| hosts::all(c, &workspace)).await?;
        let covered = all.iter().filter(|h| pattern.covers(&h.name, &h.tags)).count();
        match pattern.literal() {
            Some(name) if covered == 0 => Err(Error::no_such("host", name, "host list")),
            _ => Ok(covered),
        }
    }

    fn grant_event(&self, name: EventName, grant: &Grant, to: &str) -> Event {
        let mut event = self.event(name).with("grant", grant.id).with("to", to).with("hosts", &grant.hosts).with("allow", grant.allow);
        if let Some(commands) = &grant.commands {
            event = event.with("commands", commands.join("\n"));
        }
        for (key, value) in conditions(grant) {
            event = event.with(key, value);
        }
        event
    }
}

/// The conditions that a grant has, in words.
fn conditions(grant: &Grant) -> Vec<(&'static str, String)> {
    [
        ("from", grant.from.map(|n| n.to_string())),
        ("until", grant.until.map(|t| t.to_string())),
        ("between", grant.between.map(|b| b.to_string())),
        ("max_session_s", grant.max_session.map(|d| d.as_secs().to_string())),
        ("second_factor", grant.second_factor.then(|| "yes".to_owned())),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
    .collect()
}

fn read_commands(text: &str) -> Result<Vec<String>, Error> {
    let hint = "one command a line, exactly as it will be run; lines that begin with # are passed over";
    let lines: Vec<String> =
        text.lines().map(|l| l.trim_end_matches('\r')).filter(|l| !l.trim().is_empty() && !l.starts_with('#')).map(str::to_owned).collect();
    if lines.is_empty() {
        return Err(Error::unfit("the list of commands is empty", hint));
    }
    if lines.len() > COMMANDS || lines.iter().any(|l| l.len() > COMMAND_LENGTH) {
        return Err(Error::unfit(format!("a grant takes at most {COMMANDS} commands of at most {COMMAND_LENGTH} bytes"), hint));
    }
    Ok(lines)
}

/// Whether a grant is given to this person, directly, by a group, or with everybody else.
pub(super) fn is_given_to(grant: &Grant, user: UserId, groups: &[GroupId]) -> bool {
    match &grant.to {
        Subject::Everyone => true,
        Subject::User(id) => *id == user,
        Subject::Group(id) => groups.contains(id),
    }
}

/// The names behind the ids in grants.
pub(super) struct Subjects {
    users: HashMap<UserId, Name>,
    groups: HashMap<GroupId, Name>,
}

impl Subjects {
    pub(super) fn read(c: &Connection) -> Result<Self, store::Error> {
        Ok(Self {
            users: users::all(c)?.into_iter().map(|u| (u.id, u.name)).collect(),
            groups: users::groups(c)?.into_iter().map(|g| (g.id, g.name)).collect(),
        })
    }

    pub(super) fn name(&self, to: &Subject) -> String {
        match to {
            Subject::Everyone => "*".to_owned(),
            Subject::User(id) => self.users.get(id).map_or_else(|| id.to_string(), ToString::to_string),
            Subject::Group(id) => self.groups.get(id).map_or_else(|| id.to_string(), ToString::to_string),
        }
    }
}

pub(super) fn grant_view(grant: &Grant, subjects: &Subjects) -> GrantView {
    GrantView {
        id: grant.id,
        to: subjects.name(&grant.to),
        hosts: grant.hosts.to_string(),
        allow: grant.allow,
        commands: grant.commands.clone(),
        from: grant.from.map(|n| n.to_string()),
        until: grant.until,
        between: grant.between.map(|b| b.to_string()),
        max_session_s: grant.max_session.map(|d| d.as_secs()),
        second_factor: grant.second_factor,
        created_at: grant.created_at,
        created_by: grant.created_by.clone(),
    }
}
