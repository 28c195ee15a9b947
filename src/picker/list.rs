//! Hosts, those of them that a filter leaves, and the one that is chosen. It only lists.

use super::entry::Entry;
use crate::control::Choice;
use crate::model::Name;
use crate::screen::Key;

/// The list.
#[derive(Debug, Default)]
pub(super) struct List {
    all: Vec<Entry>,
    /// Where in `all`, best first.
    left: Vec<usize>,
    words: Vec<String>,
    /// Workspace and host.
    chosen: Option<(Name, Name)>,
    top: usize,
    page: usize,
}

impl List {
    /// Other hosts. True: the one that was chosen is not among them any more, and none is.
    pub(super) fn set(&mut self, choices: Vec<Choice>) -> bool {
        let first = self.all.is_empty();
        self.all = choices.into_iter().map(Entry::new).collect();
        self.sift();
        if first {
            self.choose(0);
            return false;
        }
        let gone = self.chosen.is_some() && self.at().is_none();
        if gone {
            self.chosen = None;
        }
        gone
    }

    /// Leaves what has all these words, and chooses the best of it.
    pub(super) fn filter(&mut self, text: &str) {
        self.words = text.split_whitespace().map(str::to_lowercase).collect();
        self.sift();
        self.choose(0);
        self.top = 0;
    }

    fn sift(&mut self) {
        let mut left: Vec<(u8, usize)> =
            self.all.iter().enumerate().filter_map(|(i, entry)| entry.fits(&self.words).map(|rank| (rank, i))).collect();
        left.sort_unstable();
        self.left = left.into_iter().map(|(_, i)| i).collect();
    }

    fn choose(&mut self, at: usize) {
        self.chosen = self.entry(at).map(|e| (e.choice.workspace.clone(), e.choice.host.clone()));
    }

    fn entry(&self, at: usize) -> Option<&Entry> {
        self.all.get(*self.left.get(at)?)
    }

    /// Where in what is left the chosen one is.
    fn at(&self) -> Option<usize> {
        let (workspace, host) = self.chosen.as_ref()?;
        let is = |e: &Entry| e.choice.host == *host && e.choice.workspace == *workspace;
        self.left.iter().position(|i| self.all.get(*i).is_some_and(is))
    }

    pub(super) fn chosen(&self) -> Option<&Entry> {
        self.entry(self.at()?)
    }

    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// How many are left, and of how many.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.left.len(), self.all.len())
    }

    /// Moves to another one. False: the key moves nothing.
    pub(super) fn moves(&mut self, key: &Key) -> bool {
        let last = self.left.len().saturating_sub(1);
        let page = self.page.max(1);
        let to = match (key, self.at()) {
            (Key::Home, _) => 0,
            (Key::End, _) => last,
            (Key::Up | Key::Control('p') | Key::Down | Key::Control('n') | Key::PageUp | Key::PageDown, None) => self.top.min(last),
            (Key::Up | Key::Control('p'), Some(at)) => at.saturating_sub(1),
            (Key::Down | Key::Control('n'), Some(at)) => at.saturating_add(1),
            (Key::PageUp, Some(at)) => at.saturating_sub(page),
            (Key::PageDown, Some(at)) => at.saturating_add(page),
            _ => return false,
        };
        self.choose(to.min(last));
        true
    }

    /// Those that are on so many rows, and which of these is chosen.
    pub(super) fn rows(&mut self, height: usize) -> (Vec<&Entry>, Option<usize>) {
        self.page = height.saturating_sub(1);
        let at = self.at();
        if let Some(at) = at {
            self.top = self.top.min(at).max((at + 1).saturating_sub(height));
        }
        self.top = self.top.min(self.left.len().saturating_sub(height));
        let shown = self.left.iter().skip(self.top).take(height).filter_map(|i| self.all.get(*i)).collect();
        (shown, at.map(|at| at.saturating_sub(self.top)).filter(|at| *at < height))
    }
}
