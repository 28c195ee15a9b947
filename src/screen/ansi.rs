//! A terminal at the end of a stream: what is drawn becomes escape sequences, and every way out puts the terminal back. Reads
//! nothing and asks the terminal nothing.

use std::convert::Infallible;
use std::fmt::Write as _;

use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use ratatui::style::{Color, Modifier};

/// The other screen, no cursor, pastes in brackets.
pub const ENTER: &str = "\x1b[?1049h\x1b[?2004h\x1b[?25l\x1b[0m\x1b[H\x1b[2J";
/// All of it undone.
pub const LEAVE: &str = "\x1b[0m\x1b[?2004l\x1b[?25h\x1b[?1049l";

/// Collects what is to be written.
#[derive(Debug)]
pub struct Screen {
    out: String,
    size: Size,
    cursor: Position,
}

impl Screen {
    /// Of this size.
    pub fn new(size: Size) -> Self {
        Self { out: String::new(), size, cursor: Position::ORIGIN }
    }

    /// From now on of this size.
    pub fn resize(&mut self, size: Size) {
        self.size = size;
    }

    /// What was drawn since the last call.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    fn style(&mut self, cell: &Cell) {
        self.out.push_str("\x1b[0");
        for (modifier, code) in
            [(Modifier::BOLD, 1), (Modifier::DIM, 2), (Modifier::ITALIC, 3), (Modifier::UNDERLINED, 4), (Modifier::REVERSED, 7)]
        {
            if cell.modifier.contains(modifier) {
                let _ = write!(self.out, ";{code}");
            }
        }
        // The sixteen colours of the terminal's own choice are all that is used.
        for (color, base) in [(cell.fg, 30), (cell.bg, 40)] {
            if let Some(code) = ansi(color) {
                let _ = write!(self.out, ";{}", base + code);
            }
        }
        self.out.push('m');
    }
}

fn ansi(color: Color) -> Option<u8> {
    Some(match color {
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::White | Color::Gray => 7,
        _ => return None,
    })
}

impl Backend for Screen {
    type Error = Infallible;

    fn draw<'a, I>(&mut self, content: I) -> Result<(), Infallible>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut at: Option<(u16, u16)> = None;
        let mut style = None;
        for (x, y, cell) in content {
            // A wide character moves the terminal's cursor further than one cell: then the place is said again.
            if at != Some((x, y)) {
                let _ = write!(self.out, "\x1b[{};{}H", y.saturating_add(1), x.saturating_add(1));
            }
            let this = (cell.fg, cell.bg, cell.modifier);
            if style != Some(this) {
                self.style(cell);
                style = Some(this);
            }
            // What is drawn was made printable long before; this is the last place where it could be seen.
            self.out.extend(cell.symbol().chars().map(|c| if c.is_control() { '?' } else { c }));
            at = cell.symbol().is_ascii().then(|| (x.saturating_add(1), y));
        }
        if style.is_some() {
            self.out.push_str("\x1b[0m");
        }
        Ok(())
    }

    fn hide_cursor(&mut self) -> Result<(), Infallible> {
        self.out.push_str("\x1b[?25l");
        Ok(())
    }

    fn show_cursor(&mut self) -> Result<(), Infallible> {
        self.out.push_str("\x1b[?25h");
        Ok(())
    }

    fn get_cursor_position(&mut self) -> Result<Position, Infallible> {
        Ok(self.cursor)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> Result<(), Infallible> {
        self.cursor = position.into();
        let _ = write!(self.out, "\x1b[{};{}H", self.cursor.y.saturating_add(1), self.cursor.x.saturating_add(1));
        Ok(())
    }

    fn clear(&mut self) -> Result<(), Infallible> {
        self.out.push_str("\x1b[0m\x1b[H\x1b[2J");
        Ok(())
    }

    fn clear_region(&mut self, clear: ClearType) -> Result<(), Infallible> {
        self.out.push_str(match clear {
            ClearType::All => "\x1b[2J",
            ClearType::AfterCursor => "\x1b[0J",
            ClearType::BeforeCursor => "\x1b[1J",
            ClearType::CurrentLine => "\x1b[2K",
            ClearType::UntilNewLine => "\x1b[0K",
        });
        Ok(())
    }

    fn size(&self) -> Result<Size, Infallible> {
        Ok(self.size)
    }

    fn window_size(&mut self) -> Result<WindowSize, Infallible> {
        Ok(WindowSize { columns_rows: self.size, pixels: Size::ZERO })
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::style::Style;

    #[test]
    fn only_what_changed_is_written_and_nothing_that_a_terminal_obeys() {
        let mut terminal = Terminal::new(Screen::new(Size::new(10, 2))).unwrap();
        terminal
            .draw(|f| {
                f.buffer_mut().set_string(0, 0, "ab", Style::new().fg(Color::Red).add_modifier(Modifier::BOLD));
            })
            .unwrap();
        let first = terminal.backend_mut().take();
        assert!(first.contains("\x1b[1;1H\x1b[0;1;31mab"), "{first:?}");
        terminal
            .draw(|f| {
                f.buffer_mut().set_string(0, 0, "ab", Style::new().fg(Color::Red).add_modifier(Modifier::BOLD));
                f.buffer_mut()[(5, 1)].set_symbol("\x1b");
            })
            .unwrap();
        let second = terminal.backend_mut().take();
        assert!(second.contains("\x1b[2;6H\x1b[0m?") && !second.contains("ab"), "{second:?}");
    }
}
