//! One proposal on the screen: what of it has been seen, and whether that is enough to decide. It decides nothing.

use std::time::{Duration, Instant};

use super::sheet::{self, Edited, Row, Sheet, Step};
use crate::control::ProposalView;
use crate::model::{ProposalId, Stage};

/// How long something has to be on the screen before a key can be an answer to it.
pub(super) const SETTLES: Duration = Duration::from_millis(500);

/// A proposal that is looked at.
#[derive(Debug)]
pub(super) struct Detail {
    pub(super) id: ProposalId,
    /// `None` until the desk has answered.
    pub(super) view: Option<ProposalView>,
    edited: Option<Edited>,
    steps: Vec<Step>,
    sheet: Sheet,
    width: u16,
    stale: bool,
    top: usize,
    height: usize,
    /// Which of the rows that say what would happen have been on the screen.
    seen: Vec<bool>,
    /// The rows of the frame that is being drawn.
    drawing: std::ops::Range<usize>,
    since: Option<Instant>,
    end_since: Option<Instant>,
}

/// Why it cannot be approved as it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotYet {
    Decided(String),
    Unknown,
    EndNotSeen { rows: usize },
    TooQuick,
}

impl Detail {
    pub(super) fn new(id: ProposalId) -> Self {
        Self {
            id,
            view: None,
            edited: None,
            steps: Vec::new(),
            sheet: Sheet::default(),
            width: 0,
            stale: true,
            top: 0,
            height: 0,
            seen: Vec::new(),
            drawing: 0..0,
            since: None,
            end_since: None,
        }
    }

    /// Takes what the desk says of it. True: something that decides what would happen is another than the one that was drawn.
    pub(super) fn update(&mut self, view: ProposalView) -> bool {
        let bearing = |v: &ProposalView| {
            (
                v.digest.clone(),
                v.command_base64.clone(),
                v.stdin_base64.clone(),
                v.env.clone(),
                v.timeout_s,
                v.login.clone(),
                v.state == Stage::Pending,
            )
        };
        let other = self.view.as_ref().is_some_and(|old| bearing(old) != bearing(&view));
        if other || self.view.is_none() {
            self.unseen();
        }
        self.stale |= self.view.as_ref() != Some(&view);
        self.view = Some(view);
        other
    }

    pub(super) fn set_steps(&mut self, steps: Vec<Step>) {
        self.steps = steps;
        self.stale = true;
    }

    pub(super) fn edited(&self) -> Option<&Edited> {
        self.edited.as_ref()
    }

    /// Another command instead, or the proposed one again. It has to be looked at anew.
    pub(super) fn edit(&mut self, edited: Option<Edited>) {
        self.edited = edited;
        self.top = 0;
        self.unseen();
    }

    /// The digest of what was written instead is known now.
    pub(super) fn edited_digest(&mut self, text: &str, digest: String) {
        if let Some(edited) = self.edited.as_mut().filter(|e| e.text == text) {
            edited.digest = Some(digest);
            self.unseen();
        }
    }

    /// It has left the screen, or is another: what was seen counts no more.
    pub(super) fn unseen(&mut self) {
        self.stale = true;
        self.seen.clear();
        self.away();
    }

    /// Something else is drawn in its place.
    pub(super) fn away(&mut self) {
        self.since = None;
        self.end_since = None;
        self.drawing = 0..0;
    }

    pub(super) fn scroll(&mut self, by: isize) {
        let most = self.sheet.rows.len().saturating_sub(self.height);
        self.top = self.top.saturating_add_signed(by).min(most);
    }

    pub(super) fn page(&self) -> isize {
        isize::try_from(self.height.saturating_sub(1).max(1)).unwrap_or(1)
    }

    /// The rows to draw on so many columns and rows.
    pub(super) fn rows(&mut self, width: u16, height: usize) -> &[Row] {
        let Some(view) = &self.view else { return &[] };
        if self.width != width {
            // Another layout: it is not known what of it was seen.
            self.seen.clear();
            self.since = None;
            self.end_since = None;
        }
        if self.stale || self.width != width {
            self.sheet = sheet::sheet(view, self.edited.as_ref(), &self.steps, usize::from(width));
            if self.seen.len() != self.sheet.bearing {
                self.seen = vec![false; self.sheet.bearing];
                self.end_since = None;
            }
            (self.stale, self.width) = (false, width);
        }
        self.height = height;
        self.scroll(0);
        let end = self.top.saturating_add(height).min(self.sheet.rows.len());
        self.drawing = self.top..end;
        self.sheet.rows.get(self.top..end).unwrap_or_default()
    }

    /// The frame is on the screen.
    pub(super) fn drawn(&mut self, at: Instant) {
        if self.drawing.is_empty() {
            return;
        }
        self.since.get_or_insert(at);
        let (from, count) = (self.drawing.start, self.drawing.len());
        self.seen.iter_mut().skip(from).take(count).for_each(|seen| *seen = true);
        if self.seen.last() == Some(&true) {
            self.end_since.get_or_insert(at);
        }
    }

    /// How far down it is scrolled: rows above, rows below.
    pub(super) fn outside(&self) -> (usize, usize) {
        (self.drawing.start, self.sheet.rows.len().saturating_sub(self.drawing.end))
    }

    /// Whether a key of now can be an answer to what is on the screen.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn may_be_approved(&self, at: Instant) -> Result<(), NotYet> {
        let view = self.view.as_ref().ok_or(NotYet::Unknown)?;
        if view.state != Stage::Pending {
            return Err(NotYet::Decided(sheet::state(view)));
        }
        let whole = view.stdin_base64.is_some() || view.stdin_bytes == 0;
        if self.stale || !whole || self.edited.as_ref().is_some_and(|e| e.digest.is_none()) {
            return Err(NotYet::Unknown);
        }
        if self.seen.last() != Some(&true) {
            return Err(NotYet::EndNotSeen { rows: self.seen.len().saturating_sub(self.drawing.end) });
        }
        let settled = |since: Option<Instant>| since.is_some_and(|s| at.saturating_duration_since(s) >= SETTLES);
        if settled(self.since) && settled(self.end_since) { Ok(()) } else { Err(NotYet::TooQuick) }
    }

    /// Rows that say what would happen and were never on the screen.
    pub(super) fn skipped(&self) -> usize {
        self.seen.iter().filter(|seen| !**seen).count()
    }

    /// Whether a word has to be typed: something in it needs care, it is large, or a part of it was passed over.
    pub(super) fn needs_word(&self) -> bool {
        self.sheet.care || self.skipped() > 0
    }
}
