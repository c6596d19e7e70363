//! Tables for people: columns as wide as what they hold, with the numbers to the right.

use std::fmt::{Display, Formatter};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table as Layout};

/// Spaces between two columns.
const GAP_CHARS: u16 = 2;

/// Columns of text, and right of them columns of numbers.
pub struct Table {
    layout: Layout,
}

impl Table {
    /// A table without rows. `texts` and `numbers` are the heads of its columns.
    pub fn new<'a>(
        texts: impl IntoIterator<Item = &'a str>,
        numbers: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut heads: Vec<&str> = texts.into_iter().collect();
        let text_columns = heads.len();
        heads.extend(numbers);
        let mut layout = Layout::new();
        layout.load_style(NOTHING).set_header(heads);
        for column in layout.column_iter_mut() {
            column.set_padding((0, GAP_CHARS));
            if column.index >= text_columns {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        Self { layout }
    }

    /// Adds a row: a cell for each head.
    pub fn row<'a>(
        &mut self,
        texts: impl IntoIterator<Item = &'a str>,
        numbers: impl IntoIterator<Item = String>,
    ) {
        let texts = texts.into_iter().map(str::to_owned);
        self.layout
            .add_row(texts.chain(numbers).collect::<Vec<_>>());
    }
}

/// The lines, each with its end.
impl Display for Table {
    fn fmt(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
        writeln!(out, "{}", self.layout.trim_fmt())
    }
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_left_and_numbers_right() {
        let mut table = Table::new(["route", "server"], ["req/s", "p50"]);
        table.row(
            ["GET health", "wasm"],
            ["22,581".to_owned(), "1.39".to_owned()],
        );
        table.row(["", "native"], ["7".to_owned(), "10.0".to_owned()]);
        assert_eq!(
            table.to_string(),
            "route       server   req/s   p50\n\
             GET health  wasm    22,581  1.39\n\
             \x20           native       7  10.0\n"
        );
    }

    #[test]
    fn a_table_without_rows_has_its_head() {
        assert_eq!(Table::new(["name"], ["KB"]).to_string(), "name  KB\n");
    }
}
