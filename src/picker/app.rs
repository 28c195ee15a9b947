//! The picker as a state machine: keys go in, wishes come out. No I/O and no clock of its own; it connects nothing.

use std::time::{Duration, Instant};

use super::list::List;
use crate::clock::Time;
use crate::control::{Choice, Choices};
use crate::model::{Action, Name};
use crate::render;
use crate::screen::Key;

/// The longest filter, in characters.
const FILTER: usize = 100;
/// How long a sentence is on the screen before a key can answer it.
const READ: Duration = Duration::from_millis(500);
/// The longest sentence that is shown, in characters.
const SENTENCE: usize = 1000;

/// Where somebody wants to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host's workspace.
    pub workspace: Name,
    /// The host.
    pub host: Name,
    /// The credential, if one was chosen.
    pub credential: Option<Name>,
    /// What is granted there, as far as the list knows.
    pub actions: crate::model::Actions,
}

/// What is to be done outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Connect the person.
    Connect(Target),
    /// Show them their inbox.
    Inbox,
    /// Draw everything anew, of what is asked for anew.
    Anew,
    /// The person is done.
    Leave,
}

/// What stands over the list.
#[derive(Debug)]
pub(super) enum Over {
    /// Why there is no connection; since when it is read.
    Failed { host: String, sentence: String, since: Option<Instant> },
    /// The ways in of the chosen host, and which of them is chosen.
    Ways { choice: Choice, at: usize },
}

/// The picker.
#[derive(Debug)]
pub struct Picker {
    pub(super) color: bool,
    pub(super) now: Time,
    pub(super) user: String,
    pub(super) list: List,
    pub(super) filter: String,
    pub(super) over: Option<Over>,
    pub(super) said: Option<String>,
    /// Commands of agents that wait for the person.
    pub(super) waiting: usize,
}

impl Picker {
    /// Over these hosts.
    pub fn new(color: bool, now: Time, choices: Choices) -> Self {
        let Choices { user, hosts } = choices;
        let mut list = List::default();
        list.set(hosts);
        Self { color, now, user: user.to_string(), list, filter: String::new(), over: None, said: None, waiting: 0 }
    }

    /// What may be used changed.
    pub fn changed(&mut self, choices: Choices) {
        let before = self.list.chosen().map(|entry| entry.name.clone());
        if let (true, Some(name)) = (self.list.set(choices.hosts), before) {
            self.said = Some(format!("{name} is not yours to use any more"));
        }
        if let Some(Over::Ways { choice, .. }) = &self.over
            && self.list.chosen().map(|entry| &entry.choice) != Some(choice)
        {
            self.over = None;
        }
    }

    /// Something went wrong outside that takes nothing away.
    pub fn told(&mut self, sentence: &str) {
        self.said = Some(render::clean(sentence, SENTENCE));
    }

    /// It is this time now, and so many commands of agents wait.
    pub fn tick(&mut self, now: Time, waiting: usize) {
        (self.now, self.waiting) = (now, waiting);
    }

    /// No connection came of it.
    pub fn failed(&mut self, host: &Name, sentence: &str) {
        // Line by line: a hint stands below what it is about.
        let lines: Vec<String> = sentence.lines().map(|line| render::clean(line, SENTENCE)).collect();
        self.over = Some(Over::Failed { host: host.to_string(), sentence: lines.join("\n"), since: None });
    }

    /// The frame that was drawn last is on the screen.
    pub fn drawn(&mut self, at: Instant) {
        if let Some(Over::Failed { since, .. }) = &mut self.over {
            since.get_or_insert(at);
        }
    }

    /// Takes a key that came at this moment.
    pub fn key(&mut self, key: &Key, at: Instant) -> Option<Wish> {
        if matches!(key, Key::Control('c' | 'd')) {
            return Some(Wish::Leave);
        }
        match self.over.take() {
            Some(Over::Failed { host, sentence, since }) => {
                let read = since.is_some_and(|since| at.saturating_duration_since(since) >= READ);
                if !read || !matches!(key, Key::Escape | Key::Enter | Key::Left) {
                    self.over = Some(Over::Failed { host, sentence, since });
                }
                None
            }
            Some(Over::Ways { choice, at }) => self.way(key, choice, at),
            None => self.listed(key),
        }
    }

    fn listed(&mut self, key: &Key) -> Option<Wish> {
        self.said = None;
        match key {
            Key::Escape if self.filter.is_empty() => return Some(Wish::Leave),
            Key::Escape | Key::Control('u') => self.refilter(String::new()),
            Key::Enter => return self.enter(),
            Key::Tab => {
                match self.list.chosen().map(|entry| entry.choice.clone()) {
                    Some(choice) if choice.ways_in.len() > 1 => self.over = Some(Over::Ways { choice, at: 0 }),
                    Some(choice) => self.said = Some(format!("{} has no other credential for you", choice.host)),
                    None => {}
                };
            }
            Key::Control('o') => return Some(Wish::Inbox),
            Key::Control('l') => return Some(Wish::Anew),
            Key::Char(c) => {
                let c = *c;
                self.types(std::iter::once(c));
            }
            Key::Paste(text) => {
                let line = text.lines().next().unwrap_or_default().to_owned();
                self.types(line.chars());
            }
            Key::Backspace => {
                let mut filter = self.filter.clone();
                if filter.pop().is_some() {
                    self.refilter(filter);
                }
            }
            Key::Control('w') => {
                let kept = self.filter.trim_end().rfind(' ').map_or(0, |at| at + 1);
                self.refilter(self.filter.chars().take(self.filter.get(..kept).unwrap_or_default().chars().count()).collect());
            }
            key => {
                self.list.moves(key);
            }
        }
        None
    }

    fn types(&mut self, chars: impl Iterator<Item = char>) {
        let mut filter = self.filter.clone();
        let room = FILTER.saturating_sub(filter.chars().count());
        filter.extend(chars.filter(|c| !c.is_control()).take(room));
        if filter != self.filter {
            self.refilter(filter);
        }
    }

    fn refilter(&mut self, filter: String) {
        self.filter = filter;
        self.list.filter(&self.filter);
    }

    fn enter(&mut self) -> Option<Wish> {
        let choice = self.list.chosen().map(|entry| entry.choice.clone());
        match choice {
            Some(choice) if !choice.signs_in && !choice.ways_in.is_empty() => {
                self.over = Some(Over::Ways { choice, at: 0 });
                None
            }
            Some(choice) => self.connect(&choice, None),
            None => {
                self.said = Some("no host is chosen".to_owned());
                None
            }
        }
    }

    /// What the list knows to be refused is said at once. Everything else is for whoever decides.
    fn connect(&mut self, choice: &Choice, credential: Option<Name>) -> Option<Wish> {
        let host = &choice.host;
        if choice.not_now.is_none() && !choice.actions.has(Action::Shell) {
            self.said = Some(format!("a shell is not granted to you on {host}; granted: {}", choice.actions));
            return None;
        }
        if choice.no_pty {
            self.said = Some("the certificate that signed you in permits no terminal: ssh -T HOST@BROKER".to_owned());
            return None;
        }
        Some(Wish::Connect(Target { workspace: choice.workspace.clone(), host: host.clone(), credential, actions: choice.actions }))
    }

    fn way(&mut self, key: &Key, choice: Choice, at: usize) -> Option<Wish> {
        let last = choice.ways_in.len().saturating_sub(1);
        let to = match key {
            Key::Enter => {
                let credential = choice.ways_in.get(at).map(|way| way.credential.clone());
                return self.connect(&choice, credential);
            }
            Key::Escape | Key::Left | Key::Backspace => return None,
            Key::Tab if at == last => 0,
            Key::Down | Key::Control('n') | Key::Tab => at.saturating_add(1).min(last),
            Key::Up | Key::Control('p') => at.saturating_sub(1),
            Key::Home | Key::PageUp => 0,
            Key::End | Key::PageDown => last,
            _ => at,
        };
        self.over = Some(Over::Ways { choice, at: to });
        None
    }
}
