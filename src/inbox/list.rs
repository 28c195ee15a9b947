//! What waits, what is wanted, what was allowed and what was decided: one list, with one thing in it chosen. It only lists.

use super::sheet::{self, Ink, Row};
use crate::clock::Time;
use crate::control::{AllowanceView, ProposalView};
use crate::model::{AllowanceId, ProposalId, Stage};
use crate::render;
use crate::screen::{self, Key, columns, short};

/// How many decided ones are shown.
const DECIDED: usize = 20;

/// Something in the list that can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Proposal(ProposalId),
    Allowance(AllowanceId),
}

/// The list.
#[derive(Debug, Default)]
pub(super) struct List {
    waiting: Vec<ProposalView>,
    wanted: Vec<String>,
    allowed: Vec<AllowanceView>,
    decided: Vec<ProposalView>,
    chosen: Option<Item>,
    loaded: bool,
    top: usize,
    page: usize,
}

impl List {
    /// What waits for this person, and the notes that came with it. True: there is more than before.
    pub(super) fn waiting(&mut self, all: Vec<ProposalView>, notes: Vec<String>) -> bool {
        let mut all: Vec<ProposalView> = all.into_iter().filter(mine).collect();
        // Oldest first: what comes is added below, and nothing moves under the hand.
        all.sort_by_key(|p| (p.created_at, p.id));
        let news = self.loaded && all.iter().any(|p| !self.waiting.iter().any(|old| old.id == p.id));
        (self.waiting, self.wanted, self.loaded) = (all, notes, true);
        self.settle();
        news
    }

    pub(super) fn decided(&mut self, all: Vec<ProposalView>) {
        self.decided = all.into_iter().filter(|p| mine(p) && p.state != Stage::Pending).collect();
        self.decided.sort_by_key(|p| std::cmp::Reverse((p.decided_at.or(p.ended_at).unwrap_or(p.created_at), p.id)));
        self.decided.truncate(DECIDED);
        self.settle();
    }

    pub(super) fn allowed(&mut self, all: Vec<AllowanceView>) {
        self.allowed = all;
        self.settle();
    }

    /// All proposals that are known.
    pub(super) fn all(&self) -> impl Iterator<Item = &ProposalView> {
        self.waiting.iter().chain(&self.decided)
    }

    pub(super) fn count(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn chosen(&self) -> Option<Item> {
        self.chosen
    }

    fn items(&self) -> Vec<Item> {
        let waiting = self.waiting.iter().map(|p| Item::Proposal(p.id));
        let allowed = self.allowed.iter().map(|a| Item::Allowance(a.id));
        waiting.chain(allowed).chain(self.decided.iter().map(|p| Item::Proposal(p.id))).collect()
    }

    fn settle(&mut self) {
        let items = self.items();
        if self.chosen.is_none_or(|c| !items.contains(&c)) {
            self.chosen = items.first().copied();
        }
    }

    pub(super) fn key(&mut self, key: &Key) {
        let items = self.items();
        let at = self.chosen.and_then(|c| items.iter().position(|i| *i == c)).unwrap_or(0);
        let last = items.len().saturating_sub(1);
        let page = self.page.max(1);
        let to = match key {
            Key::Up | Key::Char('k') => at.saturating_sub(1),
            Key::Down | Key::Char('j') => at.saturating_add(1),
            Key::PageUp | Key::Control('b') => at.saturating_sub(page),
            Key::PageDown | Key::Char(' ') | Key::Control('f') => at.saturating_add(page),
            Key::Home | Key::Char('g') => 0,
            Key::End | Key::Char('G') => last,
            _ => at,
        };
        self.chosen = items.get(to.min(last)).copied();
    }

    /// The rows to draw on so many columns and rows, and which of them is chosen.
    pub(super) fn rows(&mut self, width: usize, height: usize, now: Time) -> (Vec<Row>, Option<usize>) {
        let (rows, chosen) = self.all_rows(width, now);
        self.page = height.saturating_sub(1);
        if let Some(chosen) = chosen {
            // A heading above the first one is kept on the screen with it.
            self.top = self.top.min(chosen.saturating_sub(1)).max((chosen + 1).saturating_sub(height));
        }
        self.top = self.top.min(rows.len().saturating_sub(height));
        let chosen = chosen.map(|c| c.saturating_sub(self.top)).filter(|c| *c < height);
        (rows.into_iter().skip(self.top).take(height).collect(), chosen)
    }

    fn all_rows(&self, width: usize, now: Time) -> (Vec<Row>, Option<usize>) {
        let mut rows = Vec::new();
        let mut chosen = None;
        let mut add = |rows: &mut Vec<Row>, item: Item, row: Row| {
            if self.chosen == Some(item) {
                chosen = Some(rows.len());
            }
            rows.push(row);
        };
        heading(&mut rows, "waits for you");
        for p in &self.waiting {
            let left = if p.expires_at > now { format!("{} left", short(p.expires_at.since(now))) } else { "expires".to_owned() };
            let size = p.command.len().max(sheet::command_of(p).len()) + p.stdin_bytes;
            let step = if p.steps > 1 { format!(" {}/{}", p.step, p.steps) } else { String::new() };
            let facts = [
                p.agent.to_string(),
                format!("{}{step}", p.host),
                format!("{} ago", short(now.since(p.created_at))),
                left,
                format!("{size} B"),
            ];
            add(&mut rows, Item::Proposal(p.id), line(&facts, &[12, 14, 8, 8, 7], &p.command, width));
        }
        if self.waiting.is_empty() {
            rows.push(Row::of(if self.loaded { "  nothing" } else { "  is asked for" }, Ink::Dim));
        }
        if !self.wanted.is_empty() {
            heading(&mut rows, "connections that agents would like");
            rows.extend(self.wanted.iter().map(|note| Row::of(format!("  {}", cut(note, width.saturating_sub(2))), Ink::Plain)));
        }
        if !self.allowed.is_empty() {
            heading(&mut rows, "allowed again (r takes it back)");
            for a in &self.allowed {
                let facts =
                    [a.agent.to_string(), a.host.to_string(), format!("{} times", a.left), format!("{} left", short(a.until.since(now)))];
                add(&mut rows, Item::Allowance(a.id), line(&facts, &[12, 14, 8, 8], &a.command, width));
            }
        }
        if !self.decided.is_empty() {
            heading(&mut rows, "decided");
            for p in &self.decided {
                let facts = [
                    p.agent.to_string(),
                    p.host.to_string(),
                    format!("{} ago", short(now.since(p.decided_at.unwrap_or(p.created_at)))),
                    sheet::state(p),
                ];
                add(&mut rows, Item::Proposal(p.id), line(&facts, &[12, 14, 8, 12], &p.command, width));
            }
        }
        (rows, chosen)
    }
}

/// Somebody else's are not this person's to decide: of their own alone people see the account on the host.
fn mine(p: &ProposalView) -> bool {
    p.login.is_some()
}

fn heading(rows: &mut Vec<Row>, text: &str) {
    if !rows.is_empty() {
        rows.push(Row::default());
    }
    rows.push(Row::of(text, Ink::Bold));
}

/// Facts in columns as far as there is room beside a bit of the command, then the command.
fn line(facts: &[String], widths: &[usize], command: &str, width: usize) -> Row {
    const COMMAND: usize = 16;
    let mut text = "  ".to_owned();
    for (fact, wide) in facts.iter().zip(widths) {
        if columns(&text) + wide + 1 + COMMAND > width {
            break;
        }
        let fact = cut(fact, *wide);
        text.push_str(&fact);
        text.push_str(&" ".repeat(wide.saturating_sub(columns(&fact)) + 1));
    }
    let rest = width.saturating_sub(columns(&text));
    Row(vec![(text, Ink::Plain), (cut(command, rest), Ink::Bold)])
}

/// The same for what is not clean yet.
fn cut(text: &str, most: usize) -> String {
    screen::cut(&render::clean(text, most.saturating_mul(2)), most)
}
