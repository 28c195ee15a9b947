//! Lays what is shown out on a screen of some columns. It loses nothing and reorders nothing.

use unicode_width::UnicodeWidthChar;

use super::{Line, Mark, Piece, Shown, columns_of};

/// From this many columns on, a row that goes on begins with the sign and a space; an escape fits behind them.
const ROOMY: usize = 16;
/// From this many columns on, with the sign alone.
const NARROW: usize = 4;

impl Shown {
    /// The lines as rows of at most `width` columns. A row that goes on from the one above begins with a piece of
    /// [`Mark::Wrap`]; without those, the rows are the lines. Fewer than two columns, which hold no wide character, are
    /// taken as two. An escape is whole on one row where it fits on one.
    pub fn wrapped(&self, width: usize) -> Vec<Line> {
        let width = width.max(2);
        self.lines.iter().flat_map(|line| rows(line, width)).collect()
    }
}

fn rows(line: &Line, width: usize) -> Vec<Line> {
    let again = match width {
        ROOMY.. => "↳ ",
        NARROW.. => "↳",
        _ => "",
    };
    let most = width.saturating_sub(columns_of(again));
    let mut rows = Vec::new();
    let (mut row, mut room) = (Line::default(), width);
    for unit in line.pieces.iter().flat_map(|piece| units(piece, most)) {
        let columns = columns_of(&unit.text);
        if columns > room {
            rows.push(std::mem::take(&mut row));
            room = most;
            if !again.is_empty() {
                row.pieces.push(Piece { text: again.to_owned(), mark: Mark::Wrap });
            }
        }
        room = room.saturating_sub(columns);
        row.push(unit);
    }
    rows.push(row);
    rows
}

/// What must not be parted: an escape that fits on a row, else a character with the marks on it.
fn units(piece: &Piece, most: usize) -> Vec<Piece> {
    if piece.is_escape() && columns_of(&piece.text) <= most {
        return vec![piece.clone()];
    }
    let mut units: Vec<Piece> = Vec::new();
    for c in piece.text.chars() {
        match units.last_mut() {
            Some(last) if c.width() == Some(0) => last.text.push(c),
            _ => units.push(Piece { text: c.into(), mark: piece.mark }),
        }
    }
    units
}
