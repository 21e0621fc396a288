//! Tables: a sign, columns as wide as they need, and the last one for the long things, cut at 80 columns.
//!
//! ```text
//!   DECISION        WHY                 AGE     FILE
//! ✓ accepted        -                   4 min   tray/a01.jwt
//! ```

use super::{COLUMNS, Sign, Style, columns, cut};

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The title in capitals; it stands on the left.
    pub title: &'static str,
    /// Figures stand on the right.
    pub right: bool,
    /// Spaces after the column.
    pub gap: usize,
    /// The least width, so that tables of different content line up.
    pub width_min: usize,
}

impl Column {
    /// Makes a column of text with a gap of three.
    pub const fn left(title: &'static str) -> Self {
        Self { title, right: false, gap: 3, width_min: 0 }
    }

    /// Makes a column of figures with a gap of two.
    pub const fn right(title: &'static str) -> Self {
        Self { title, right: true, gap: 2, width_min: 0 }
    }

    /// Sets the gap after the column.
    #[must_use]
    pub const fn gap(self, gap: usize) -> Self {
        Self { gap, ..self }
    }

    /// Sets the least width.
    #[must_use]
    pub const fn at_least(self, width_min: usize) -> Self {
        Self { width_min, ..self }
    }
}

/// Rows under columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<(Option<Sign>, Vec<String>)>,
    /// Nothing is cut, for what has to be compared or pasted.
    whole: bool,
    signs: bool,
}

impl Table {
    /// Makes an empty table; with `signs`, two columns for them stand on the left.
    pub fn new(columns: impl Into<Vec<Column>>, signs: bool) -> Self {
        Self { columns: columns.into(), rows: Vec::new(), whole: false, signs }
    }

    /// Never cuts the last column.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.whole = true;
        self
    }

    /// Adds a row; cells beyond the columns are dropped, missing ones are empty.
    pub fn row(&mut self, sign: Option<Sign>, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<String> = cells.into_iter().collect();
        cells.resize(self.columns.len(), String::new());
        self.rows.push((sign, cells));
    }

    /// Draws the titles, if any column has one, and the rows; each line ends in a line feed.
    pub fn draw(&self, style: &Style) -> String {
        let widths: Vec<usize> = self.columns.iter().enumerate().map(|(i, column)| self.width(i, column)).collect();
        let mut out = String::new();
        if self.columns.iter().any(|c| !c.title.is_empty()) {
            let titles: Vec<String> = self.columns.iter().map(|c| c.title.to_owned()).collect();
            self.draw_line(style, &widths, None, &titles, true, &mut out);
        }
        for (sign, cells) in &self.rows {
            self.draw_line(style, &widths, *sign, cells, false, &mut out);
        }
        out
    }

    fn width(&self, index: usize, column: &Column) -> usize {
        let cells = self.rows.iter().filter_map(|(_, cells)| cells.get(index)).map(|cell| columns(cell));
        cells.chain([columns(column.title), column.width_min]).max().unwrap_or(0)
    }

    fn draw_line(
        &self,
        style: &Style,
        widths: &[usize],
        sign: Option<Sign>,
        cells: &[String],
        title: bool,
        out: &mut String,
    ) {
        let mut line = String::new();
        let mut used = if self.signs { 2 } else { 0 };
        let last = self.columns.len().saturating_sub(1);
        for (i, ((column, width), cell)) in self.columns.iter().zip(widths).zip(cells).enumerate() {
            if i == last {
                let room = COLUMNS.saturating_sub(used).max(8);
                line.push_str(&if self.whole { cell.clone() } else { cut(cell, room) });
                break;
            }
            let pad = " ".repeat(width.saturating_sub(columns(cell)));
            if column.right && !title {
                line.push_str(&pad);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&pad);
            }
            line.push_str(&" ".repeat(column.gap));
            used += width + column.gap;
        }
        if self.signs {
            out.push_str(&sign.map_or_else(|| " ".to_owned(), |sign| style.sign(sign)));
            out.push(' ');
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells<const N: usize>(cells: [&str; N]) -> [String; N] {
        cells.map(str::to_owned)
    }

    #[test]
    fn a_tray_looks_as_agreed() {
        let columns = [Column::left("DECISION"), Column::left("WHY"), Column::left("AGE"), Column::left("FILE")];
        let mut table = Table::new(columns, true);
        table.row(Some(Sign::Good), cells(["accepted", "-", "4 min", "tray/a01.jwt"]));
        table.row(Some(Sign::Open), cells(["cannot decide", "authority-pending", "2 min", "tray/a04.sd-jwt"]));
        table.row(Some(Sign::Skipped), cells(["unreadable", "format-malformed", "-", "tray/scan.pdf"]));
        let expected = "  \
  DECISION        WHY                 AGE     FILE
✓ accepted        -                   4 min   tray/a01.jwt
? cannot decide   authority-pending   2 min   tray/a04.sd-jwt
– unreadable      format-malformed    -       tray/scan.pdf
";
        assert_eq!(table.draw(&Style::PLAIN), expected);
    }

    #[test]
    fn figures_stand_on_the_right_and_the_last_column_is_cut() {
        let mut table =
            Table::new([Column::left("REGISTER").gap(2), Column::right("SIZE"), Column::left("NOTE")], true);
        table.row(Some(Sign::Good), cells(["interior.gov.example", "213", "1 pending"]));
        table.row(Some(Sign::Good), ["transport.gov.example".into(), "1,882".into(), "x".repeat(90)]);
        let drawn = table.draw(&Style::PLAIN);
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines.first(), Some(&"  REGISTER               SIZE   NOTE"));
        assert_eq!(lines.get(1), Some(&"✓ interior.gov.example     213  1 pending"));
        assert_eq!(lines.get(2).map(|l| columns(l)), Some(COLUMNS));
    }
}
