//! Verbs about groups of persons.

use super::api::Reply;
use super::desk::Call;
use super::error::Error;
use super::rights::Reach;
use super::view::{Data, GroupView};
use crate::model::{Event, EventName, Group, Name};
use crate::store::{self, users};

impl Call<'_> {
    pub(super) async fn group_add(&self, name: Name) -> Result<Reply, Error> {
        let id = self.parts.clock.fresh();
        let event = self.event(EventName::GroupAdded).with("group", &name);
        let view = self
            .parts
            .log
            .change(move |c| -> Result<(GroupView, Vec<Event>), Error> {
                users::insert_group(c, id, &name)?;
                Ok((GroupView { name, members: Vec::new() }, vec![event]))
            })
            .await?
            .into_inner();
        let said = format!("group {} added", view.name);
        Ok(Reply::done(Data::Group(view), said))
    }

    pub(super) async fn group_list(&self) -> Result<Reply, Error> {
        let all = self.parts.store.read(users::groups).await?;
        // A member sees the groups that they are in, and of others in it nothing.
        let list = all
            .into_iter()
            .filter_map(|g| match self.reach {
                Reach::All => Some(GroupView { name: g.name, members: g.members }),
                Reach::Own if g.members.contains(&self.actor.name) => {
                    Some(GroupView { name: g.name, members: vec![self.actor.name.clone()] })
                }
                Reach::Own | Reach::No => None,
            })
            .collect();
        Ok(Reply::of(Data::Groups(list)))
    }

    pub(super) async fn group_remove(&self, name: Name) -> Result<Reply, Error> {
        let group = self.group(name).await?;
        let event = self.event(EventName::GroupRemoved).with("group", &group.name);
        let said = format!("group {} removed, with the grants to it", group.name);
        let removed = self
            .parts
            .log
            .change_heard(self.parts.guard.bell(), move |c| -> Result<((), Vec<Event>), store::Error> {
                users::remove_group(c, group.id)?;
                Ok(((), vec![event]))
            })
            .await?;
        removed.into_inner();
        Ok(Reply::done(Data::Nothing, said))
    }

    pub(super) async fn group_member(&self, group: Name, user: Name, joins: bool) -> Result<Reply, Error> {
        let user = self.person(user).await?;
        let group = self.group(group).await?;
        let event = self
            .event(if joins { EventName::GroupJoined } else { EventName::GroupLeft })
            .with("group", &group.name)
            .with("user", &user.name);
        let name = group.name.clone();
        let (user_id, user_name) = (user.id, user.name.clone());
        let (view, changed) = self
            .parts
            .log
            .change_heard(self.parts.guard.bell(), move |c| -> Result<((GroupView, bool), Vec<Event>), store::Error> {
                let changed = users::set_member(c, group.id, user_id, joins)?;
                let members = users::group(c, &group.name)?.map(|g| g.members).unwrap_or_default();
                Ok(((GroupView { name: group.name, members }, changed), if changed { vec![event] } else { Vec::new() }))
            })
            .await?
            .into_inner();
        let said = match (joins, changed) {
            (true, true) => format!("{user_name} joined {name}"),
            (true, false) => format!("{user_name} is in {name} already"),
            (false, true) => format!("{user_name} left {name}"),
            (false, false) => {
                return Err(Error::unfit(format!("{user_name} is not in the group {name}"), "see who is in it: keyward group list"));
            }
        };
        Ok(Reply::done(Data::Group(view), said))
    }

    async fn group(&self, name: Name) -> Result<Group, Error> {
        let wanted = name.clone();
        self.parts.store.read(move |c| users::group(c, &wanted)).await?.ok_or_else(|| Error::no_such("group", name, "group list"))
    }
}
