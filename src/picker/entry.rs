//! A host as the picker shows and finds it. Everything that is shown was made harmless here.

use std::time::Duration;

use crate::clock::Time;
use crate::control::Choice;
use crate::render;
use crate::screen::short;

/// The longest text of one column that is kept, in characters.
const MOST: usize = 120;
/// From this much time left on it is said how much.
const SOON: Duration = Duration::from_secs(60 * 60);

/// What a column says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    Address,
    Login,
    Tags,
    Via,
    Marks,
    Granted,
    Used,
}

/// A host.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) choice: Choice,
    /// As people write it in front of `@BROKER`.
    pub(super) name: String,
    address: String,
    tags: String,
    via: String,
    granted: String,
    /// What a filter looks through, in small letters.
    hay: String,
}

impl Entry {
    pub(super) fn new(choice: Choice) -> Self {
        let clean = |text: &str| render::clean(text, MOST);
        let name = match choice.workspace.as_str() {
            crate::model::DEFAULT_WORKSPACE => choice.host.to_string(),
            workspace => format!("{workspace}={}", choice.host),
        };
        let address = clean(&choice.address);
        let tags = clean(&choice.tags.join(" "));
        let via = choice.via.as_ref().map(ToString::to_string).unwrap_or_default();
        let granted = choice.actions.iter().map(|a| a.as_str()).collect::<Vec<_>>().join(" ");
        let mut hay = format!("{name}\n{address}\n{tags}\n{via}");
        for way in &choice.ways_in {
            hay.push('\n');
            hay.push_str(way.credential.as_str());
            hay.push('\n');
            hay.push_str(&clean(&way.login.to_string()));
        }
        Self { hay: hay.to_lowercase(), choice, name, address, tags, via, granted }
    }

    /// How well the words fit, best first; `None`: not all of them are in it.
    pub(super) fn fits(&self, words: &[String]) -> Option<u8> {
        if !words.iter().all(|word| self.hay.contains(word.as_str())) {
            return None;
        }
        let name = self.name.to_lowercase();
        Some(match words {
            [] => 0,
            [word] if name == *word => 0,
            [word, ..] if name.starts_with(word.as_str()) => 1,
            _ if words.iter().all(|word| name.contains(word.as_str())) => 2,
            _ => 3,
        })
    }

    /// What a column says of it, with the way in that was chosen.
    pub(super) fn says(&self, column: Column, way: usize, now: Time) -> String {
        match column {
            Column::Name => self.name.clone(),
            Column::Address => self.address.clone(),
            Column::Login => self.login(way),
            Column::Tags => self.tags.clone(),
            Column::Via => self.via.clone(),
            Column::Marks => self.marks(now),
            Column::Granted => self.granted.clone(),
            Column::Used => self.choice.last_used.map(|at| format!("{} ago", short(now.since(at)))).unwrap_or_default(),
        }
    }

    fn login(&self, way: usize) -> String {
        let ways = &self.choice.ways_in;
        let more = match ways.len() {
            0 | 1 => String::new(),
            n => format!(" +{}", n - 1),
        };
        match ways.get(way) {
            Some(_) if way == 0 && !self.choice.signs_in => format!("choose{more}"),
            Some(found) => {
                let own = if found.own { ", yours" } else { "" };
                format!("{} ({}{own}){more}", render::clean(&found.login.to_string(), MOST), found.credential)
            }
            None => "no credential".to_owned(),
        }
    }

    /// What a person should know before they choose it.
    fn marks(&self, now: Time) -> String {
        let mut marks = Vec::new();
        if self.choice.not_now.is_some() {
            marks.push("not now".to_owned());
        }
        if self.choice.code {
            marks.push("code".to_owned());
        }
        if let Some(left) = self.choice.ends_at.map(|at| at.since(now)).filter(|left| *left < SOON) {
            marks.push(format!("ends in {}", short(left)));
        }
        if self.choice.legacy {
            marks.push("legacy".to_owned());
        }
        if !self.choice.pinned {
            marks.push("no key pinned".to_owned());
        }
        marks.join(", ")
    }

    /// Whether nothing signs in there, or nothing is granted just now.
    pub(super) fn is_closed(&self) -> bool {
        self.choice.ways_in.is_empty() || self.choice.not_now.is_some()
    }
}

/// Which characters of a text the words are found at, in order.
pub(super) fn found(text: &str, words: &[String]) -> Vec<bool> {
    let chars: Vec<char> = text.chars().collect();
    let mut marks = vec![false; chars.len()];
    // A character's small form may be more than one.
    let small: Vec<(usize, char)> = chars.iter().enumerate().flat_map(|(i, c)| c.to_lowercase().map(move |s| (i, s))).collect();
    for word in words {
        let word: Vec<char> = word.chars().collect();
        if word.is_empty() {
            continue;
        }
        for window in small.windows(word.len()) {
            if window.iter().map(|(_, c)| c).eq(&word) {
                for (i, _) in window {
                    if let Some(mark) = marks.get_mut(*i) {
                        *mark = true;
                    }
                }
            }
        }
    }
    marks
}
