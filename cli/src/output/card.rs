//! The card: a decision with its reason, then rows of *what*, *why*, *fresh*, *do*. Always the same.

use super::{COLUMNS, Sign, Style, columns, cut, wrap};

/// Columns before the text of a row: two for a sign, five for a label, two between.
const INDENT: usize = 9;

/// A card, ready to be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The sign before the decision.
    pub sign: Sign,
    /// The decision in capitals: `ACCEPTED`, `CANNOT DECIDE`.
    pub decision: &'static str,
    /// The reason, in a few words.
    pub headline: String,
    /// The rows, in order.
    pub rows: Vec<Row>,
}

/// A row of a card: a label and its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// A sign before the label, for tampering.
    pub sign: Option<Sign>,
    /// At most five characters.
    pub label: &'static str,
    /// The lines; each is broken further where it is too long.
    pub lines: Vec<String>,
    /// Commands and codes to paste: broken at spaces and dots, never cut.
    pub whole: bool,
}

impl Row {
    /// Makes a row of one line whose long words may be cut in the middle.
    pub fn new(label: &'static str, line: impl Into<String>) -> Self {
        Self { sign: None, label, lines: vec![line.into()], whole: false }
    }

    /// Makes a row of which nothing is ever cut.
    pub fn whole(label: &'static str, line: impl Into<String>) -> Self {
        Self { whole: true, ..Self::new(label, line) }
    }

    /// Adds a line.
    #[must_use]
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Sets the sign before the label.
    #[must_use]
    pub fn signed(mut self, sign: Sign) -> Self {
        self.sign = Some(sign);
        self
    }
}

impl Card {
    /// Draws the card within 80 columns; ends in a line feed.
    pub fn draw(&self, style: &Style) -> String {
        let head = format!("{} {}", self.sign.as_char(), self.decision);
        let mut out = style.in_color_of(self.sign, &head);
        out.push_str("   ");
        out.push_str(&wrap(&self.headline, COLUMNS.saturating_sub(columns(&head) + 3)).join("\n  "));
        out.push('\n');
        for row in &self.rows {
            row.draw(style, &mut out);
        }
        out
    }
}

impl Row {
    fn draw(&self, style: &Style, out: &mut String) {
        let width = COLUMNS - INDENT;
        let lines = self.lines.iter().flat_map(|line| wrap(line, width));
        for (i, line) in lines.enumerate() {
            if i == 0 {
                out.push_str(&self.sign.map_or_else(|| " ".to_owned(), |sign| style.sign(sign)));
                out.push_str(&format!(" {:<5}  ", self.label));
            } else {
                out.push_str(&" ".repeat(INDENT));
            }
            let shown = if self.whole { line } else { cut_words(&line, width) };
            out.push_str(&shown);
            out.push('\n');
        }
    }
}

/// Cuts a line only if it is one long word; others were broken at their spaces.
fn cut_words(line: &str, width: usize) -> String {
    let is_code = line.ends_with(')');
    if is_code { line.to_owned() } else { cut(line, width) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accepted_card_looks_as_agreed() {
        let card = Card {
            sign: Sign::Good,
            decision: "ACCEPTED",
            headline: "every check passed".to_owned(),
            rows: vec![
                Row::new("what", "https://gov.example/DrivingLicence · did:web:transport.gov.example"),
                Row::new("why", "signature valid, issuer authorised, in date, not revoked"),
                Row::new("fresh", "4 min old · 3 of 4 witnesses at 14:28 UTC · limit 24 h"),
                Row::whole("do", "nothing more · all of it: standfast explain licence.jwt"),
            ],
        };
        let expected = "\
✓ ACCEPTED   every check passed
  what   https://gov.example/DrivingLicence · did:web:transport.gov.example
  why    signature valid, issuer authorised, in date, not revoked
  fresh  4 min old · 3 of 4 witnesses at 14:28 UTC · limit 24 h
  do     nothing more · all of it: standfast explain licence.jwt
";
        assert_eq!(card.draw(&Style::PLAIN), expected);
    }

    #[test]
    fn tampering_has_its_sign_before_the_row() {
        let card = Card {
            sign: Sign::Open,
            decision: "CANNOT DECIDE",
            headline: "the issuer's register has two histories".to_owned(),
            rows: vec![
                Row::new("why", "its key signed two roots at size 55 (register-forked)")
                    .line("witnesses stopped vouching for it 26 h ago · limit 24 h")
                    .signed(Sign::Tampered),
            ],
        };
        let expected = "\
? CANNOT DECIDE   the issuer's register has two histories
! why    its key signed two roots at size 55 (register-forked)
         witnesses stopped vouching for it 26 h ago · limit 24 h
";
        assert_eq!(card.draw(&Style::PLAIN), expected);
        assert!(card.draw(&Style { color: true, unicode: true }).starts_with("\x1b[33m? CANNOT DECIDE\x1b[0m   "));
    }

    #[test]
    fn nothing_is_wider_than_80_columns_but_commands() {
        let long = format!("https://gov.example/{}", "x".repeat(90));
        let command = format!("standfast explain {}", "y".repeat(90));
        let card = Card {
            sign: Sign::Good,
            decision: "ACCEPTED",
            headline: "every check passed".to_owned(),
            rows: vec![Row::new("what", format!("{long} · did:web:a.example")), Row::whole("do", command)],
        };
        let drawn = card.draw(&Style::PLAIN);
        assert!(drawn.contains(&"y".repeat(90)));
        assert!(drawn.lines().filter(|l| !l.contains("yyy")).all(|l| columns(l) <= COLUMNS), "{drawn}");
        assert!(drawn.contains("\n         did:web:a.example\n"));
    }
}
