//! The inbox on a screen of any size. Draws what is there, and tells the detail which of its rows were drawn.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::app::{App, Look, Tone};
use super::ask::Ask;
use super::sheet::{self, Ink, Row};
use crate::model::Stage;
use crate::render;
use crate::screen::{columns, folded};

/// The smallest screen on which anything is decided.
pub(super) const LEAST: (u16, u16) = (40, 10);

impl App {
    /// Draws a frame.
    pub fn draw(&mut self, frame: &mut Frame) {
        let area = frame.area();
        if area.width < LEAST.0 || area.height < LEAST.1 {
            if let Some(detail) = self.detail.as_mut() {
                detail.away();
            }
            let text = format!("too small: {} x {} at least", LEAST.0, LEAST.1);
            put(frame, self.look, area, 0, &Row::of(text, Ink::Bold), Style::new());
            return;
        }
        let width = usize::from(area.width);
        let foot = self.foot(width, usize::from(area.height));
        let height = usize::from(area.height).saturating_sub(foot.len() + 2);
        let header = self.header(width);
        put(frame, self.look, area, 0, &header, Style::new().add_modifier(Modifier::REVERSED));
        if self.help {
            self.body(frame, &help(self.look, width), height);
        } else if let Some(Ask::Edit(editor)) = &self.ask {
            let (rows, cursor) = editor.rows(width.saturating_sub(2));
            let top = (cursor.0 + 1).saturating_sub(height);
            let rows: Vec<Row> = rows
                .into_iter()
                .skip(top)
                .take(height)
                .map(|line| Row([("│ ".to_owned(), Ink::Dim)].into_iter().chain(sheet::inked(line)).collect()))
                .collect();
            self.body(frame, &rows, height);
            let at = |n: usize| u16::try_from(n).unwrap_or(0);
            frame.set_cursor_position((at(cursor.1 + 2), at(cursor.0 - top + 1)));
        } else if let Some(detail) = self.detail.as_mut() {
            let rows = detail.rows(area.width, height).to_vec();
            self.body(frame, &rows, height);
        } else {
            let (rows, chosen) = self.list.rows(width, height, self.now);
            self.body(frame, &rows, height);
            if let Some(chosen) = chosen.and_then(|c| u16::try_from(c).ok()) {
                let row = Rect { x: 0, y: chosen.saturating_add(1), width: area.width, height: 1 };
                frame.buffer_mut().set_style(row, Style::new().add_modifier(Modifier::REVERSED));
            }
        }
        for (i, row) in foot.iter().enumerate() {
            put(frame, self.look, area, height + 1 + i, row, Style::new());
        }
        let hints = Row::of(self.hints(), Ink::Dim);
        put(frame, self.look, area, usize::from(area.height) - 1, &hints, Style::new());
    }

    fn body(&self, frame: &mut Frame, rows: &[Row], height: usize) {
        let area = frame.area();
        for (i, row) in rows.iter().take(height).enumerate() {
            put(frame, self.look, area, i + 1, row, Style::new());
        }
    }

    fn header(&self, width: usize) -> Row {
        let waits = match self.list.count() {
            1 => "1 waits".to_owned(),
            n => format!("{n} wait"),
        };
        let (left, right) = match self.detail.as_ref().map(|d| (d, d.view.as_ref())) {
            None | Some((_, None)) => ("keyward inbox".to_owned(), waits),
            Some((detail, Some(view))) => {
                let left = format!("{} asks on {}", view.agent, view.host);
                let right = if view.state == Stage::Pending {
                    let left = view.expires_at.since(self.now).as_secs();
                    format!("expires in {}:{:02}", left / 60, left % 60)
                } else {
                    sheet::state(view)
                };
                let (above, below) = detail.outside();
                let more = match (above, below) {
                    (0, 0) => String::new(),
                    (_, 0) => "end  ".to_owned(),
                    (_, below) => format!("{below} more rows  "),
                };
                (left, format!("{more}{right}"))
            }
        };
        let room = width.saturating_sub(columns(&right) + 3);
        let left = folded(&left, room).into_iter().next().unwrap_or_default();
        let gap = " ".repeat(width.saturating_sub(columns(&left) + columns(&right) + 2));
        Row::of(format!(" {left}{gap}{right} "), Ink::Bold)
    }

    /// The question that is open, and the last sentence; at most a third of the screen.
    fn foot(&self, width: usize, height: usize) -> Vec<Row> {
        let mut rows = Vec::new();
        for text in self.ask.iter().flat_map(Ask::lines) {
            // What is typed may hold anything; its end is what is being typed.
            let clean = render::clean(&text, 4000);
            rows.extend(folded(&clean, width).into_iter().map(|part| Row::of(part, Ink::Bold)));
        }
        if let Some((text, tone)) = &self.status {
            let ink = match tone {
                Tone::Said => Ink::Plain,
                Tone::Good => Ink::Good,
                Tone::Bad => Ink::Care,
            };
            rows.extend(folded(text, width).into_iter().map(|part| Row::of(part, ink)));
        }
        let most = (height / 3).max(3);
        let drop = rows.len().saturating_sub(most);
        rows.drain(..drop);
        rows
    }

    fn hints(&self) -> &'static str {
        match (&self.ask, &self.detail) {
            (Some(Ask::Edit(_)), _) => "^X done, then review it  Esc give up",
            (Some(_), _) => "Esc give up",
            (None, _) if self.help => "any key goes back",
            (None, Some(_)) if self.look.signs => "A approve  s sign  a again  e edit  d deny  Esc back  q quit  ? help",
            (None, Some(_)) => "A approve  a again  e edit  d deny  Esc back  q quit  ? help",
            (None, None) => "Enter open  r revoke  j/k move  q quit  ? help",
        }
    }
}

fn help(look: Look, width: usize) -> Vec<Row> {
    let sign = if look.signs { "s" } else { "-" };
    [
        ("Enter", "open what is chosen"),
        ("j k, arrows", "one row"),
        ("PgUp PgDn, space", "one screen"),
        ("g G", "to the beginning, to the end"),
        ("A", "approve exactly these bytes; asks once more"),
        (sign, "approve with a signature of your ssh agent"),
        ("a", "approve, and allow the same bytes again"),
        ("e", "write another command instead, review it, approve it"),
        ("d", "deny; the agent reads why"),
        ("r", "take back what was allowed again"),
        ("Esc", "back to the list"),
        ("q ^C", "leave"),
        ("^L", "ask for everything anew"),
    ]
    .into_iter()
    .map(|(key, what)| {
        let what = folded(what, width.saturating_sub(19)).join(" ");
        Row(vec![(format!(" {key:18}"), Ink::Bold), (what, Ink::Plain)])
    })
    .chain([Row::default(), Row::of(" ⟨…⟩ is a byte or character that a screen would hide or obey; · is a space", Ink::Dim)])
    .collect()
}

fn put(frame: &mut Frame, look: Look, area: Rect, y: usize, row: &Row, base: Style) {
    let Some(y) = u16::try_from(y).ok().filter(|y| *y < area.height) else { return };
    let line =
        Line::from(row.0.iter().map(|(text, ink)| Span::styled(text.as_str(), base.patch(style(*ink, look.color)))).collect::<Vec<_>>());
    frame.buffer_mut().set_line(0, y, &line, area.width);
}

/// Without colours the same differences are made with what every terminal has.
fn style(ink: Ink, color: bool) -> Style {
    let plain = Style::new();
    match (ink, color) {
        (Ink::Plain, _) => plain,
        (Ink::Bold, _) => plain.add_modifier(Modifier::BOLD),
        (Ink::Dim, _) => plain.add_modifier(Modifier::DIM),
        (Ink::Escape, true) => plain.fg(Color::Cyan),
        (Ink::Escape, false) => plain.add_modifier(Modifier::UNDERLINED),
        (Ink::Care, true) => plain.fg(Color::Red).add_modifier(Modifier::BOLD),
        (Ink::Care, false) => plain.add_modifier(Modifier::REVERSED),
        (Ink::Good, true) => plain.fg(Color::Green),
        (Ink::Good, false) => plain.add_modifier(Modifier::BOLD),
    }
}
