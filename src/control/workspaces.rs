//! Verbs about workspaces. Each has hosts, credentials, grants and a key of its own; people, groups and roles are everybody's.
//! A workspace of which the caller has nothing does not exist for them.

use rusqlite::Connection;

use super::api::Reply;
use super::desk::Call;
use super::error::Error;
use super::grants::is_given_to;
use super::rights::{Reach, Verb};
use super::view::{Data, WorkspaceView};
use crate::clock::Time;
use crate::model::{DEFAULT_WORKSPACE, EndReason, Event, EventName, Grant, Name, Role, SessionId, UserId};
use crate::store::{self, defaults, grants, hosts, shreds, users, workspaces};

impl Call<'_> {
    pub(super) async fn workspace_add(&self, name: Name) -> Result<Reply, Error> {
        let event = self.event(EventName::WorkspaceAdded).with("workspace", &name);
        let (made, at) = (name.clone(), self.now());
        let added = self
            .parts
            .log
            .change_heard(self.parts.guard.bell(), move |c| -> Result<((), Vec<Event>), store::Error> {
                workspaces::insert(c, &made, at)?;
                Ok(((), vec![event]))
            })
            .await?;
        added.into_inner();
        let view = self.workspace_view(name.clone()).await?;
        let reply = Reply::done(Data::Workspace(view), format!("workspace {name} added"));
        Ok(reply.note(format!("name it in every verb: keyward host add HOST ADDRESS --workspace {name}")))
    }

    pub(super) async fn workspace_list(&self) -> Result<Reply, Error> {
        let (me, all, now) = (self.actor.id, self.reach == Reach::All, self.now());
        let list = self
            .parts
            .store
            .read(move |c| -> Result<Vec<WorkspaceView>, store::Error> {
                let mut list = Vec::new();
                for (name, created_at) in workspaces::all(c)? {
                    if let Some(view) = view_of(c, name, created_at, me, all, now)? {
                        list.push(view);
                    }
                }
                Ok(list)
            })
            .await?;
        Ok(Reply::of(Data::Workspaces(list)))
    }

    pub(super) async fn workspace_show(&self, name: Name) -> Result<Reply, Error> {
        Ok(Reply::of(Data::Workspace(self.workspace_view(name).await?)))
    }

    /// Removes a workspace and destroys its key.
    pub(super) async fn workspace_remove(&self, name: Name, end_sessions: bool) -> Result<Reply, Error> {
        if name.as_str() == DEFAULT_WORKSPACE {
            return Err(Error::unfit("the workspace `default` cannot be removed", "remove what is in it: keyward host list"));
        }
        let counts = self.workspace_view(name.clone()).await?;
        let event = self
            .event(EventName::WorkspaceRemoved)
            .with("workspace", &name)
            .count("hosts", counts.hosts)
            .count("credentials", counts.credentials.unwrap_or(0))
            .count("grants", counts.grants);
        let (gone, at) = (name.clone(), self.now());
        let (sessions, bell) = (self.parts.sessions.clone(), self.parts.guard.bell());
        // Alone: what somebody seals meanwhile would be wrapped by a key that is gone, or by that of the next workspace of this name.
        let turn = self.parts.custody.alone().await;
        // Told to end before they hear that what they stand on is gone: that is why they end.
        let committed = move |live: &Vec<SessionId>| {
            for session in live {
                sessions.end(*session, EndReason::Ended);
            }
            bell(&());
            drop(turn);
        };
        let removing = self.parts.log.change_heard(committed, move |c| -> Result<(Vec<SessionId>, Vec<Event>), Error> {
            if let Some(scan) = workspaces::running_scan(c, &gone)? {
                return Err(Error::unfit(
                    format!("scan {scan} runs in workspace {gone}"),
                    format!("end it first: keyward scan cancel {scan} --workspace {gone}"),
                ));
            }
            let live = workspaces::live_sessions(c, &gone)?;
            if !live.is_empty() && !end_sessions {
                return Err(Error::unfit(
                    format!("{} sessions live in workspace {gone}", live.len()),
                    format!("end them with it: keyward workspace remove {gone} --end-sessions"),
                ));
            }
            workspaces::remove(c, &gone)?;
            shreds::note(c, "a removed workspace", at)?;
            Ok((live, vec![event]))
        });
        removing.await?.into_inner();
        // The wrapped key and the ciphertext leave the files now, not some day.
        let shredded = shreds::settle(&self.parts.store).await?.count == 0;
        let reply = Reply::done(Data::Nothing, format!("workspace {name} removed, and its key with it"));
        let reply = if shredded {
            reply
        } else {
            reply.note("a reader holds the write-ahead log: the sealed key and secrets leave the files with the next checkpoint")
        };
        Ok(reply.note("a backup that is older still holds them, for whoever has the root key; change the secrets on the hosts"))
    }

    async fn workspace_view(&self, name: Name) -> Result<WorkspaceView, Error> {
        let (me, all, now) = (self.actor.id, self.reach_of(Verb::WorkspaceSee) == Reach::All, self.now());
        let wanted = name.clone();
        let found = self
            .parts
            .store
            .read(move |c| -> Result<Option<WorkspaceView>, store::Error> {
                let Some((name, created_at)) = workspaces::all(c)?.into_iter().find(|(found, _)| *found == wanted) else {
                    return Ok(None);
                };
                view_of(c, name, created_at, me, all, now)
            })
            .await?;
        found.ok_or_else(|| Error::no_such("workspace", name, "workspace list"))
    }
}

/// A workspace as somebody sees it; `None`: it is not theirs to know.
fn view_of(
    c: &Connection,
    name: Name,
    created_at: Option<Time>,
    me: UserId,
    all: bool,
    now: Time,
) -> Result<Option<WorkspaceView>, store::Error> {
    if all {
        let counts = workspaces::counts(c, &name)?;
        return Ok(Some(WorkspaceView {
            default_credential: defaults::of_workspace(c, &name)?.map(|found| found.name),
            name,
            hosts: counts.hosts,
            credentials: Some(counts.credentials),
            grants: counts.grants,
            live_sessions: Some(counts.live_sessions),
            created_at,
        }));
    }
    let mine = given(c, &name, me, now)?;
    if mine.is_empty() && name.as_str() != DEFAULT_WORKSPACE {
        return Ok(None);
    }
    let covered = hosts::all(c, &name)?.iter().filter(|host| mine.iter().any(|g| g.hosts.covers(&host.name, &host.tags))).count();
    Ok(Some(WorkspaceView {
        name,
        hosts: u64::try_from(covered).unwrap_or(u64::MAX),
        credentials: None,
        grants: u64::try_from(mine.len()).unwrap_or(u64::MAX),
        live_sessions: None,
        default_credential: None,
        created_at: None,
    }))
}

/// The grants that somebody has in a workspace, also where a condition (network, hour) does not hold just now.
fn given(c: &Connection, name: &Name, me: UserId, now: Time) -> Result<Vec<Grant>, store::Error> {
    let groups = users::groups_of(c, me)?;
    let all = grants::all(c, name)?;
    Ok(all.into_iter().filter(|grant| is_given_to(grant, me, &groups) && grant.until.is_none_or(|until| now < until)).collect())
}

/// Whether a workspace is there for somebody: for who sees all of them if it exists, else if they have a grant in it. `default`
/// is there for everybody.
pub(super) fn is_there(c: &Connection, name: &Name, role: Role, me: UserId, now: Time) -> Result<bool, store::Error> {
    if name.as_str() == DEFAULT_WORKSPACE {
        return Ok(true);
    }
    if !workspaces::exists(c, name)? {
        return Ok(false);
    }
    if Verb::WorkspaceSee.reach(role) == Reach::All {
        return Ok(true);
    }
    Ok(!given(c, name, me, now)?.is_empty())
}
