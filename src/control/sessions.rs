//! Verbs about sessions: those that live, with what they count now, and those that are over.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::api::Reply;
use super::desk::Call;
use super::error::Error;
use super::rights::{Reach, Verb, reaches, sees};
use super::view::{Data, PERSONAL, SessionView};
use crate::model::{EndReason, Event, EventName, SessionId};
use crate::sessions::Live;
use crate::store::sessions::{self, SessionRow};
use crate::store::workspaces;

/// The most sessions in one answer.
const MOST: u32 = 10_000;
/// How long `session end` waits for the end it asked for.
const PATIENCE: Duration = Duration::from_secs(5);

impl Call<'_> {
    pub(super) async fn session_list(&self, live: bool, limit: u32) -> Result<Reply, Error> {
        let of = (self.reach != Reach::All).then_some(self.actor.id);
        let workspace = self.workspace.clone();
        let rows = self.parts.store.read(move |c| sessions::list(c, Some(&workspace), of, live, limit.clamp(1, MOST))).await?;
        let living = self.living();
        let mut views: Vec<SessionView> = rows.iter().map(|row| self.session_view(row, &living)).collect();
        self.ways_of(&mut views).await?;
        Ok(Reply::of(Data::Sessions(views)))
    }

    pub(super) async fn session_show(&self, id: SessionId) -> Result<Reply, Error> {
        let row = self.session(id).await?;
        let mut views = [self.session_view(&row, &self.living())];
        self.ways_of(&mut views).await?;
        let [view] = views;
        Ok(Reply::of(Data::Session(self.with_files(view).await?)))
    }

    pub(super) async fn session_end(&self, id: SessionId) -> Result<Reply, Error> {
        let row = self.session(id).await?;
        if !reaches(self.reach, &self.actor, row.session.user) {
            return Err(self.forbidden(Verb::SessionEnd, "you may end only your own sessions"));
        }
        let mut event = Event::new(EventName::SessionEndAsked, self.actor.name.to_string()).session(id).with("user", &row.user_name);
        event.host = Some(row.host_name.to_string());
        // Told by whoever writes the entry: a caller who leaves meanwhile leaves no session that goes on behind it.
        let told = Arc::new(AtomicBool::new(false));
        if row.session.ended_at.is_none() {
            let (sessions, lived) = (self.parts.sessions.clone(), Arc::clone(&told));
            let tell = move || lived.store(sessions.end(id, EndReason::Ended), Ordering::SeqCst);
            self.parts.log.record_then(event, tell).await?;
        }
        if !told.load(Ordering::SeqCst) {
            return Err(Error::unfit(format!("session {id} does not live"), "see which do: keyward session list --live"));
        }
        let gone = async {
            while self.parts.sessions.live().iter().any(|l| l.id == id) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let ended = tokio::time::timeout(PATIENCE, gone).await.is_ok();
        let row = self.session(id).await?;
        let mut views = [self.session_view(&row, &self.living())];
        self.ways_of(&mut views).await?;
        let [view] = views.map(Data::Session);
        Ok(if ended {
            Reply::done(view, format!("session {id} ended"))
        } else {
            Reply::done(view, format!("session {id} was told to end and has not yet"))
        })
    }

    /// A session that the caller may see.
    async fn session(&self, id: SessionId) -> Result<SessionRow, Error> {
        let reach = self.reach_of(Verb::SessionSee);
        // An id of another workspace is no id here.
        let workspace = self.workspace.clone();
        let read = move |c: &rusqlite::Connection| -> Result<_, crate::store::Error> {
            if workspaces::has_session(c, &workspace, id)? { sessions::by_id(c, id) } else { Ok(None) }
        };
        let found = self.parts.store.read(read).await?;
        found.filter(|row| reaches(reach, &self.actor, row.session.user)).ok_or_else(|| Error::no_such("session", id, "session list"))
    }

    fn living(&self) -> HashMap<SessionId, Live> {
        self.parts.sessions.live().into_iter().map(|l| (l.id, l)).collect()
    }

    fn session_view(&self, row: &SessionRow, living: &HashMap<SessionId, Live>) -> SessionView {
        let s = &row.session;
        let live = living.get(&s.id).filter(|_| s.ended_at.is_none());
        SessionView {
            id: s.id,
            user: row.user_name.clone(),
            host: row.host_name.clone(),
            credential: row
                .credential
                .as_ref()
                .map(|(name, scope)| if sees(self.actor.id, scope) { name.to_string() } else { PERSONAL.to_owned() }),
            client: s.client.clone(),
            started_at: s.started_at,
            ended_at: s.ended_at,
            end_reason: s.end_reason.map(|r| r.to_string()),
            exit_status: s.exit_status,
            bytes_in: live.map_or(s.bytes_in, |l| l.bytes_in),
            bytes_out: live.map_or(s.bytes_out, |l| l.bytes_out),
            recording: None,
            channels: live.map(|l| l.channels),
            via: Vec::new(),
            legacy: crate::model::Legacy::default(),
            files: Vec::new(),
            files_recorded: None,
        }
    }
}
