//! The inbox as a state machine: keys and answers go in, effects come out. No I/O and no clock of its own; it approves nothing
//! by itself: it asks the desk, with the digest that was drawn.

use std::time::Instant;

use super::ask::{Answer, Ask, Confirm};
use super::detail::{Detail, NotYet};
use super::editor::Editor;
use super::list::{Item, List};
use super::sheet::{self, Edited, Step};
use crate::clock::Time;
use crate::control::{AgainWords, Command, Data, Decidable, Digest, Problem, ProposalView, Reply};
use crate::model::ProposalId;
use crate::render;
use crate::screen::Key;

/// The most proposals that are asked for that wait.
const WAITING: u32 = 1000;
/// The most of those that were decided.
const RECENT: u32 = 60;
/// The longest sentence that is shown, in columns.
const SENTENCE: usize = 400;

/// What is to be done outside.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // a handful lives at a time, and only for a moment
pub enum Effect {
    /// Ask the desk, and give the answer to [`App::reply`].
    Call(Command),
    /// Have what stands in the first command's answer signed by the person's ssh agent, if it names this digest, and send the
    /// second command with the signature.
    Sign {
        /// Asks for the text.
        canonical: Command,
        /// The digest of what was drawn.
        runs: String,
        /// Approves.
        approve: Command,
    },
    /// Somebody should look.
    Bell,
    /// The person is done.
    Leave,
}

/// How sentences at the foot are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Said,
    Good,
    Bad,
}

/// How it is drawn, and what can be done here.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// With colours.
    pub color: bool,
    /// Whether an ssh agent can sign.
    pub signs: bool,
}

/// The inbox.
#[derive(Debug)]
pub struct App {
    pub(super) look: Look,
    pub(super) now: Time,
    pub(super) list: List,
    pub(super) detail: Option<Detail>,
    pub(super) help: bool,
    pub(super) ask: Option<Ask>,
    pub(super) status: Option<(String, Tone)>,
    /// A decision is on its way.
    busy: bool,
    /// Answers that are still to come before the next look.
    looking: u32,
    /// Something changed meanwhile.
    again: bool,
}

impl App {
    /// An empty one; [`App::refresh`] fills it.
    pub fn new(look: Look, now: Time) -> Self {
        let list = List::default();
        Self { look, now, list, detail: None, help: false, ask: None, status: None, busy: false, looking: 0, again: false }
    }

    /// Something may have changed: everything is asked for anew.
    pub fn refresh(&mut self) -> Vec<Effect> {
        if self.looking > 0 {
            self.again = true;
            return Vec::new();
        }
        let mut all = vec![
            Command::ProposalList { pending: true, limit: WAITING },
            Command::ProposalList { pending: false, limit: RECENT },
            Command::AllowanceList,
        ];
        all.extend(self.detail.as_ref().map(|d| Command::ProposalShow { id: d.id }));
        self.looking = u32::try_from(all.len()).unwrap_or(0);
        all.into_iter().map(Effect::Call).collect()
    }

    /// A second went by.
    pub fn tick(&mut self, now: Time) -> Vec<Effect> {
        self.now = now;
        let runs = |v: &ProposalView| v.started_at.is_some() && v.ended_at.is_none();
        match self.detail.as_ref().and_then(|d| d.view.as_ref()) {
            Some(view) if runs(view) => self.refresh(),
            _ => Vec::new(),
        }
    }

    /// The frame that was drawn last is on the screen.
    pub fn drawn(&mut self, at: Instant) {
        if let Some(detail) = self.detail.as_mut() {
            detail.drawn(at);
        }
        if let Some(ask) = self.ask.as_mut() {
            ask.drawn(at);
        }
    }

    /// Takes a key that came at this moment.
    pub fn key(&mut self, key: &Key, at: Instant) -> Vec<Effect> {
        if self.ask.is_some() {
            return self.answer(key, at);
        }
        self.status = None;
        if matches!(key, Key::Control('c') | Key::Char('q')) {
            return vec![Effect::Leave];
        }
        if self.help {
            self.help = false;
            return Vec::new();
        }
        match key {
            Key::Char('?') => self.help = true,
            Key::Control('l') => return self.refresh(),
            _ if self.detail.is_some() => return self.detail_key(key, at),
            _ => return self.list_key(key),
        }
        if let Some(detail) = self.detail.as_mut() {
            detail.away();
        }
        Vec::new()
    }

    fn list_key(&mut self, key: &Key) -> Vec<Effect> {
        match (key, self.list.chosen()) {
            (Key::Enter | Key::Right | Key::Char('l'), Some(Item::Proposal(id))) => self.open(id),
            (Key::Char('r'), Some(Item::Allowance(id))) => vec![Effect::Call(Command::AllowanceRevoke { id })],
            (Key::Char('r'), _) => self.say("choose what you have allowed, then r takes it back", Tone::Said),
            (Key::Char('A' | 'd' | 'e' | 'a' | 's'), Some(Item::Proposal(_))) => self.say("open it first: Enter", Tone::Said),
            (key, _) => {
                self.list.key(key);
                Vec::new()
            }
        }
    }

    fn open(&mut self, id: ProposalId) -> Vec<Effect> {
        self.detail = Some(Detail::new(id));
        self.steps();
        // Beside the lists, whether or not they are on their way.
        self.looking += 1;
        vec![Effect::Call(Command::ProposalShow { id })]
    }

    fn detail_key(&mut self, key: &Key, at: Instant) -> Vec<Effect> {
        let Some(detail) = self.detail.as_mut() else { return Vec::new() };
        match key {
            Key::Escape | Key::Left | Key::Char('h') | Key::Backspace => self.detail = None,
            Key::Up | Key::Char('k') => detail.scroll(-1),
            Key::Down | Key::Char('j') | Key::Enter => detail.scroll(1),
            Key::PageUp | Key::Control('b') => detail.scroll(-detail.page()),
            Key::PageDown | Key::Char(' ') | Key::Control('f') => detail.scroll(detail.page()),
            Key::Home | Key::Char('g') => detail.scroll(isize::MIN),
            Key::End | Key::Char('G') => detail.scroll(isize::MAX),
            Key::Char('d') => return self.if_it_waits(|_| Ask::Reason(String::new())),
            Key::Char('e') => return self.edit(),
            Key::Char('A') => return self.confirm(None, false, at),
            Key::Char('s') if !self.look.signs => {
                return self.say("a signature needs your ssh agent: run `keyward proposal watch` where it is", Tone::Bad);
            }
            Key::Char('s') => return self.confirm(None, true, at),
            Key::Char('a') => match detail.may_be_approved(at) {
                Ok(()) => self.ask = Some(Ask::Times(String::new())),
                Err(why) => return self.not_yet(&why),
            },
            Key::Char('r') => return self.say("what you have allowed stands in the list: Esc", Tone::Said),
            _ => {}
        }
        Vec::new()
    }

    fn if_it_waits(&mut self, ask: impl FnOnce(&ProposalView) -> Ask) -> Vec<Effect> {
        match self.detail.as_ref().and_then(|d| d.view.as_ref()) {
            Some(view) if view.state == crate::model::Stage::Pending => self.ask = Some(ask(view)),
            Some(view) => {
                let text = format!("it does not wait any more: {}", sheet::state(view));
                return self.say(&text, Tone::Bad);
            }
            None => {}
        }
        Vec::new()
    }

    fn edit(&mut self) -> Vec<Effect> {
        let Some(detail) = self.detail.as_mut() else { return Vec::new() };
        let Some(view) = &detail.view else { return Vec::new() };
        let text = match detail.edited() {
            Some(edited) => Some(edited.text.clone()),
            None => String::from_utf8(sheet::command_of(view)).ok(),
        };
        match text {
            Some(text) => {
                detail.away();
                self.if_it_waits(|_| Ask::Edit(Editor::new(text)))
            }
            None => self.say("the command is no text (UTF-8), so it cannot be edited here", Tone::Bad),
        }
    }

    /// Asks whether what was drawn is approved, if all of it was.
    fn confirm(&mut self, again: Option<AgainWords>, sign: bool, at: Instant) -> Vec<Effect> {
        let Some(detail) = self.detail.as_ref() else { return Vec::new() };
        if self.busy {
            return self.say("a decision is on its way", Tone::Said);
        }
        if let Err(why) = detail.may_be_approved(at) {
            return self.not_yet(&why);
        }
        let Some(view) = &detail.view else { return Vec::new() };
        let where_ = view.login.as_ref().map_or_else(|| view.host.to_string(), |login| format!("{} as {login}", view.host));
        let runs = detail.edited().and_then(|e| e.digest.clone()).unwrap_or_else(|| view.digest.clone());
        let word = detail.needs_word().then(|| match detail.skipped() {
            0 => "it needs care, or is large".to_owned(),
            rows => format!("{rows} rows of it were not on the screen"),
        });
        self.ask = Some(Ask::Confirm(Confirm { where_, runs, again, sign, word, typed: String::new(), since: None }));
        Vec::new()
    }

    fn not_yet(&mut self, why: &NotYet) -> Vec<Effect> {
        match why {
            NotYet::Decided(state) => self.say(&format!("it does not wait any more: {state}"), Tone::Bad),
            NotYet::Unknown => self.say("it is not whole on the screen yet", Tone::Bad),
            NotYet::EndNotSeen { rows } => self.say(&format!("not yet: {rows} more rows say what would run; read on with PgDn"), Tone::Bad),
            NotYet::TooQuick => self.say("not yet: it has only just come onto the screen", Tone::Bad),
        }
    }

    fn answer(&mut self, key: &Key, at: Instant) -> Vec<Effect> {
        let Some(ask) = self.ask.as_mut() else { return Vec::new() };
        let answer = ask.key(key, at);
        if matches!(answer, Answer::Open) {
            return Vec::new();
        }
        self.status = None;
        match answer {
            Answer::Open => Vec::new(),
            Answer::TooQuick => self.say("read the question first", Tone::Bad),
            Answer::Wrong(why) => self.say(why, Tone::Bad),
            Answer::Dropped(why) => {
                self.ask = None;
                self.say(why, Tone::Said)
            }
            Answer::Yes => self.yes(at),
            Answer::Deny(reason) => {
                self.ask = None;
                let Some(id) = self.detail.as_ref().map(|d| d.id) else { return Vec::new() };
                self.busy = true;
                vec![Effect::Call(Command::ProposalDeny { id, reason: (!reason.is_empty()).then_some(reason) })]
            }
            Answer::Times(times) => {
                self.ask = Some(Ask::Within { times, typed: String::new() });
                Vec::new()
            }
            Answer::Within(again) => {
                self.ask = None;
                self.confirm(Some(again), false, at)
            }
            Answer::Edited(text) => {
                self.ask = None;
                self.edited(text)
            }
        }
    }

    /// The person has said yes to the question that is on the screen.
    fn yes(&mut self, at: Instant) -> Vec<Effect> {
        let Some(Ask::Confirm(Confirm { runs, again, sign, .. })) = self.ask.take() else { return Vec::new() };
        let Some(detail) = self.detail.as_ref() else { return Vec::new() };
        if let Err(why) = detail.may_be_approved(at) {
            return self.not_yet(&why);
        }
        let Some(view) = &detail.view else { return Vec::new() };
        let Ok(digest) = view.digest.parse() else { return self.say("the digest cannot be read", Tone::Bad) };
        let edit = detail.edited().map(|e| e.text.clone());
        let drawn = detail.edited().and_then(|e| e.digest.as_ref()).unwrap_or(&view.digest);
        if *drawn != runs {
            return self.say("it changed while the question was open: nothing was approved", Tone::Bad);
        }
        let id = detail.id;
        self.busy = true;
        let approve =
            Command::ProposalApprove { what: Decidable::Proposal(id), digest: Digest(digest), edit: edit.clone(), again, signature: None };
        if sign {
            self.say("your ssh agent is asked", Tone::Said);
            return vec![Effect::Sign { canonical: Command::ProposalCanonical { id, edit }, runs, approve }];
        }
        vec![Effect::Call(approve)]
    }

    fn edited(&mut self, text: String) -> Vec<Effect> {
        let Some(detail) = self.detail.as_mut() else { return Vec::new() };
        let proposed = detail.view.as_ref().map(sheet::command_of).unwrap_or_default();
        if text.is_empty() {
            return self.say("an empty command runs nothing: deny it with d", Tone::Bad);
        }
        if text.as_bytes() == proposed {
            detail.edit(None);
            return self.say("these are the agent's own bytes", Tone::Said);
        }
        detail.edit(Some(Edited { text: text.clone(), digest: None }));
        vec![Effect::Call(Command::ProposalCanonical { id: detail.id, edit: Some(text) })]
    }

    /// Takes the desk's answer to a command.
    pub fn reply(&mut self, command: &Command, answer: Result<Reply, Problem>) -> Vec<Effect> {
        let mut effects = Vec::new();
        if matches!(command, Command::ProposalList { .. } | Command::AllowanceList | Command::ProposalShow { .. }) {
            self.looking = self.looking.saturating_sub(1);
        }
        let decides = matches!(command, Command::ProposalApprove { .. } | Command::ProposalDeny { .. } | Command::AllowanceRevoke { .. });
        if matches!(command, Command::ProposalApprove { .. } | Command::ProposalDeny { .. }) {
            self.busy = false;
        }
        match answer {
            Err(problem) => {
                let hint = problem.hint.map(|h| format!("; {h}")).unwrap_or_default();
                self.say(&format!("{}{hint}", problem.message), Tone::Bad);
            }
            Ok(reply) => {
                if let Some(done) = reply.done.as_ref().filter(|_| decides) {
                    let notes = reply.notes.iter().map(|n| format!("; {n}")).collect::<String>();
                    self.say(&format!("{done}{notes}"), Tone::Good);
                }
                effects.extend(self.take(command, reply));
            }
        }
        if decides {
            effects.extend(self.refresh());
        }
        if self.looking == 0 && std::mem::take(&mut self.again) {
            effects.extend(self.refresh());
        }
        effects
    }

    fn take(&mut self, command: &Command, reply: Reply) -> Option<Effect> {
        match (command, reply.data) {
            (Command::ProposalList { pending: true, .. }, Data::Proposals(all)) => {
                let news = self.list.waiting(all, reply.notes);
                self.steps();
                return news.then_some(Effect::Bell);
            }
            (Command::ProposalList { .. }, Data::Proposals(all)) => {
                self.list.decided(all);
                self.steps();
            }
            (Command::AllowanceList, Data::Allowances(all)) => self.list.allowed(all),
            (_, Data::Proposal(view)) => self.shown(view, matches!(command, Command::ProposalShow { .. })),
            (Command::ProposalCanonical { edit: Some(text), .. }, Data::Canonical(canonical)) => {
                let digest = canonical.text.lines().find_map(|l| l.strip_prefix("sha256 ")).map(str::to_owned);
                if let (Some(detail), Some(digest)) = (self.detail.as_mut().filter(|d| d.id == canonical.id), digest) {
                    detail.edited_digest(text, digest);
                }
            }
            _ => {}
        }
        None
    }

    /// What the desk says of the proposal on the screen.
    fn shown(&mut self, view: ProposalView, whole: bool) {
        let Some(detail) = self.detail.as_mut().filter(|d| d.id == view.id && whole) else { return };
        let (state, by) = (sheet::state(&view), view.decided_by.clone());
        let changed = detail.update(view);
        self.steps();
        if changed && self.ask.take().is_some() {
            let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
            self.say(&format!("meanwhile it changed ({state}{by}): nothing was decided here"), Tone::Bad);
        }
    }

    /// The other steps of the plan on the screen, as far as the lists know them.
    fn steps(&mut self) {
        let Some(detail) = self.detail.as_mut() else { return };
        let Some(view) = &detail.view else { return };
        if let Some(plan) = view.plan {
            let others = self.list.all().filter(|p| p.plan == Some(plan));
            let steps = others.map(|p| Step { step: p.step, state: sheet::state(p), command: p.command.clone() }).collect();
            detail.set_steps(steps);
        }
    }

    fn say(&mut self, text: &str, tone: Tone) -> Vec<Effect> {
        self.status = Some((render::clean(text, SENTENCE), tone));
        Vec::new()
    }
}
