//! Tables and lists of facts, fitted to the terminal. Every cell is made printable here.

use comfy_table::{ContentArrangement, Table, presets};

use super::Style;
use crate::model::printable;

/// The longest cell.
const CELL: usize = 300;

/// A table with a header; nothing at all if it has no rows.
pub(super) fn table(header: &[&str], rows: Vec<Vec<String>>, style: &Style) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut table = fresh(style);
    table.set_header(header.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>());
    for row in rows {
        table.add_row(row.into_iter().map(|cell| printable(&cell, CELL)).collect::<Vec<_>>());
    }
    let text = finish(&mut table);
    if !style.color {
        return text;
    }
    // After the table is laid out: escapes have no width.
    match text.split_once('\n') {
        Some((head, rest)) => format!("\x1b[1m{head}\x1b[0m\n{rest}"),
        None => text,
    }
}

/// One fact a line: what it is, then what it says; facts that say nothing are left out.
pub(super) fn facts(rows: Vec<(&str, String)>, style: &Style) -> String {
    let mut table = fresh(style);
    for (key, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
        let shown: Vec<String> = value.lines().map(|l| printable(l, CELL)).collect();
        table.add_row(vec![key.to_owned(), shown.join("\n")]);
    }
    finish(&mut table)
}

fn fresh(style: &Style) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    match style.width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.max(40)),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table
}

fn finish(table: &mut Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
