//! The picker on a screen of any size. Draws only what is visible; narrow screens lose columns, and never the name.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::app::{Over, Picker};
use super::entry::{Column, Entry, found};
use crate::render;
use crate::screen::{columns, cut, folded};

/// Columns in their order, with their titles, the most that each takes, and which of them goes last when there is no room.
const COLUMNS: [(Column, &str, usize, u8); 8] = [
    (Column::Name, "HOST", 40, 0),
    (Column::Address, "ADDRESS", 32, 4),
    (Column::Login, "SIGNS IN AS", 32, 1),
    (Column::Tags, "TAGS", 32, 5),
    (Column::Via, "VIA", 16, 6),
    (Column::Marks, "", 44, 2),
    (Column::Granted, "GRANTED", 28, 3),
    (Column::Used, "LAST", 8, 7),
];
/// Between columns.
const GAP: usize = 2;
/// Rows that are not the list's: title, filter, heading; hints.
const AROUND: usize = 4;

/// How something is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ink {
    Plain,
    Bold,
    Dim,
    Found,
    Care,
}

impl Picker {
    /// Draws a frame.
    pub fn draw(&mut self, frame: &mut Frame) {
        let area = frame.area();
        if area.width == 0 || area.height == 0 {
            return;
        }
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        let foot = self.foot(width);
        let room = height.saturating_sub(AROUND + foot.len());
        let mut pen = Pen { frame, color: self.color };
        pen.title(&self.title(width));
        pen.line(1, &[(" / ", Ink::Dim), (&tail(&self.filter, width.saturating_sub(4)), Ink::Bold)]);
        match &self.over {
            Some(Over::Failed { host, sentence, .. }) => {
                let mut rows = vec![(format!("no connection to {host}"), Ink::Bold), (String::new(), Ink::Plain)];
                rows.extend(sentence.lines().flat_map(|line| folded(line, width.saturating_sub(4))).map(|line| (line, Ink::Care)));
                for (i, (text, ink)) in rows.iter().take(height.saturating_sub(AROUND)).enumerate() {
                    pen.line(i + 3, &[("  ", Ink::Plain), (text, *ink)]);
                }
            }
            Some(Over::Ways { choice, at }) => {
                pen.line(2, &[("  ", Ink::Plain), (&format!("{} as", choice.host), Ink::Bold)]);
                let top = (at + 1).saturating_sub(room.max(1));
                for (i, way) in choice.ways_in.iter().enumerate().skip(top).take(room.max(1)) {
                    let own = if way.own { ", yours" } else { "" };
                    let usual = if i == 0 && choice.signs_in { "  (usual)" } else { "" };
                    let text = format!("  {} ({}{own}){usual}", render::clean(&way.login.to_string(), 120), way.credential);
                    pen.line(i - top + 3, &[(&cut(&text, width), Ink::Plain)]);
                    if i == *at {
                        pen.choose(i - top + 3);
                    }
                }
            }
            None => self.hosts(&mut pen, width, room),
        }
        for (i, (text, ink)) in foot.iter().enumerate() {
            pen.line((height.saturating_sub(1 + foot.len()) + i).max(1), &[(text, *ink)]);
        }
        if height > 2 {
            pen.line(height - 1, &[(&cut(self.hints(), width), Ink::Dim)]);
        }
        if self.over.is_none() && height > 1 {
            let at = (3 + columns(&tail(&self.filter, width.saturating_sub(4)))).min(width.saturating_sub(1));
            frame.set_cursor_position((u16::try_from(at).unwrap_or(0), 1));
        }
    }

    fn hosts(&mut self, pen: &mut Pen<'_, '_>, width: usize, room: usize) {
        let (color, now, words) = (self.color, self.now, self.list.words().to_vec());
        let (left, all) = self.list.counts();
        if left == 0 {
            let text = match all {
                0 => "no host is granted to you any more: ask an owner or an admin of this broker",
                _ => "no host has all of these words: Esc clears them",
            };
            for (i, line) in folded(text, width.saturating_sub(4)).iter().enumerate() {
                pen.line(i + 3, &[("  ", Ink::Plain), (line, Ink::Plain)]);
            }
            return;
        }
        let (entries, chosen) = self.list.rows(room.max(1));
        let texts: Vec<Vec<String>> =
            entries.iter().map(|entry| COLUMNS.iter().map(|(column, ..)| entry.says(*column, 0, now)).collect()).collect();
        let widths = widths(&texts, width);
        let heading: Vec<(String, Ink)> =
            COLUMNS.iter().zip(&widths).filter_map(|((_, title, ..), wide)| wide.map(|w| (padded(title, w), Ink::Dim))).collect();
        pen.cells(2, &heading);
        for (i, (entry, says)) in entries.iter().zip(&texts).enumerate() {
            pen.cells(i + 3, &cells(entry, says, &widths, &words, color));
            if chosen == Some(i) {
                pen.choose(i + 3);
            }
        }
    }

    fn title(&self, width: usize) -> String {
        let (left, all) = self.list.counts();
        let right = match (left, all) {
            (1, 1) => "1 host".to_owned(),
            (left, all) if left == all => format!("{all} hosts"),
            (left, all) => format!("{left} of {all} hosts"),
        };
        let name = cut(&format!("keyward: {}", self.user), width.saturating_sub(right.len() + 3));
        let gap = width.saturating_sub(columns(&name) + right.len() + 2);
        format!(" {name}{}{right} ", " ".repeat(gap))
    }

    /// What waits, what was said last, why the chosen one is closed.
    fn foot(&self, width: usize) -> Vec<(String, Ink)> {
        let mut rows = Vec::new();
        if self.waiting > 0 {
            let text = match self.waiting {
                1 => "1 command of an agent waits for you: Ctrl-O".to_owned(),
                n => format!("{n} commands of agents wait for you: Ctrl-O"),
            };
            rows.push((cut(&text, width), Ink::Bold));
        }
        let closed = self.list.chosen().filter(|_| self.over.is_none()).and_then(|e| e.choice.not_now.as_ref());
        if let Some(text) = self.said.as_ref().or(closed) {
            rows.extend(folded(&render::clean(text, 1000), width).into_iter().take(2).map(|line| (line, Ink::Care)));
        }
        rows
    }

    fn hints(&self) -> &'static str {
        match &self.over {
            Some(Over::Failed { .. }) => "Esc back to the hosts  ^C leave",
            Some(Over::Ways { .. }) => "Enter connect  Esc back",
            None if self.filter.is_empty() => "type to filter  Enter connect  Tab credential  ^O inbox  Esc leave",
            None => "Enter connect  Tab credential  Esc clear the filter  ^C leave",
        }
    }
}

/// How wide each column is; `None`: there is no room for it.
fn widths(rows: &[Vec<String>], width: usize) -> Vec<Option<usize>> {
    let wide = |i: usize, title: &str, most: usize| {
        let text = rows.iter().filter_map(|row| row.get(i)).map(|text| columns(text)).max().unwrap_or(0);
        if text == 0 { 0 } else { text.max(title.len()).min(most) }
    };
    let wanted: Vec<usize> = COLUMNS.iter().enumerate().map(|(i, (_, title, most, _))| wide(i, title, *most)).collect();
    let mut out = vec![None; COLUMNS.len()];
    let mut left = width.saturating_sub(1);
    for rank in 0..=7 {
        for (i, (_, _, _, this)) in COLUMNS.iter().enumerate() {
            let Some(want) = wanted.get(i).copied().filter(|w| *this == rank && *w > 0) else { continue };
            let take = if rank == 0 { want.min(left.saturating_sub(GAP)).max(1) } else { want };
            if take + GAP <= left || rank == 0 {
                left = left.saturating_sub(take + GAP);
                if let Some(slot) = out.get_mut(i) {
                    *slot = Some(take);
                }
            }
        }
    }
    out
}

/// The cells of a row, with what was found in them.
fn cells(entry: &Entry, says: &[String], widths: &[Option<usize>], words: &[String], color: bool) -> Vec<(String, Ink)> {
    let mut out = Vec::new();
    for (((column, ..), text), wide) in COLUMNS.iter().zip(says).zip(widths) {
        let Some(wide) = wide else { continue };
        let ink = match column {
            Column::Name => Ink::Bold,
            Column::Marks => Ink::Care,
            _ if entry.is_closed() => Ink::Dim,
            Column::Used | Column::Via | Column::Tags => Ink::Dim,
            _ => Ink::Plain,
        };
        // Without colours, what wants care is bold: reversed is what is chosen.
        let ink = if ink == Ink::Care && !color { Ink::Bold } else { ink };
        let text = cut(text, *wide);
        let marks = if matches!(column, Column::Marks | Column::Used | Column::Granted) { Vec::new() } else { found(&text, words) };
        let mut run = String::new();
        let mut in_found = false;
        for (i, c) in text.chars().enumerate() {
            let is = marks.get(i).copied().unwrap_or(false);
            if is != in_found && !run.is_empty() {
                out.push((std::mem::take(&mut run), if in_found { Ink::Found } else { ink }));
            }
            in_found = is;
            run.push(c);
        }
        out.push((run, if in_found { Ink::Found } else { ink }));
        out.push((" ".repeat(wide.saturating_sub(columns(&text)) + GAP), Ink::Plain));
    }
    out
}

fn padded(text: &str, wide: usize) -> String {
    let text = cut(text, wide);
    format!("{text}{}", " ".repeat(wide.saturating_sub(columns(&text)) + GAP))
}

/// The end of what is typed, as far as there is room.
fn tail(text: &str, most: usize) -> String {
    let text = render::clean(text, 4000);
    let mut from = 0;
    for (at, _) in text.char_indices() {
        from = at;
        if columns(text.get(at..).unwrap_or_default()) <= most {
            break;
        }
    }
    text.get(from..).unwrap_or_default().to_owned()
}

/// Writes rows.
struct Pen<'f, 'b> {
    frame: &'f mut Frame<'b>,
    color: bool,
}

impl Pen<'_, '_> {
    fn title(&mut self, text: &str) {
        self.put(0, &[(text, Ink::Bold)]);
        self.choose(0);
    }

    fn line(&mut self, y: usize, parts: &[(&str, Ink)]) {
        self.put(y, parts);
    }

    fn cells(&mut self, y: usize, parts: &[(String, Ink)]) {
        let parts: Vec<(&str, Ink)> = std::iter::once((" ", Ink::Plain)).chain(parts.iter().map(|(t, i)| (t.as_str(), *i))).collect();
        self.put(y, &parts);
    }

    fn put(&mut self, y: usize, parts: &[(&str, Ink)]) {
        let area = self.frame.area();
        let Some(y) = u16::try_from(y).ok().filter(|y| *y < area.height) else { return };
        let mut x = 0;
        for (text, ink) in parts {
            if x >= area.width {
                return;
            }
            let left = usize::from(area.width - x);
            (x, _) = self.frame.buffer_mut().set_stringn(x, y, text, left, style(*ink, self.color));
        }
    }

    fn choose(&mut self, y: usize) {
        let area = self.frame.area();
        if let Some(y) = u16::try_from(y).ok().filter(|y| *y < area.height) {
            let row = Rect { x: 0, y, width: area.width, height: 1 };
            self.frame.buffer_mut().set_style(row, Style::new().add_modifier(Modifier::REVERSED));
        }
    }
}

/// Without colours the same differences are made with what every terminal has.
fn style(ink: Ink, color: bool) -> Style {
    let plain = Style::new();
    match (ink, color) {
        (Ink::Plain, _) => plain,
        (Ink::Bold, _) => plain.add_modifier(Modifier::BOLD),
        (Ink::Dim, _) => plain.add_modifier(Modifier::DIM),
        (Ink::Found, true) => plain.fg(Color::Cyan).add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
        (Ink::Found, false) => plain.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
        (Ink::Care, true) => plain.fg(Color::Yellow),
        (Ink::Care, false) => plain.add_modifier(Modifier::BOLD),
    }
}
