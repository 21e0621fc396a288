//! What goes to the screen: signs, colours, 80 columns, and the two streams.
//!
//! ```text
//! ✓ ACCEPTED   every check passed
//!   what   https://gov.example/DrivingLicence · did:web:transport.gov.example
//!   do     nothing more · all of it: standfast explain licence.jwt
//! ```
//!
//! Text is composed in Unicode; [`Style::render`] maps our own signs to ASCII where there is no UTF-8. Each stream has a
//! [`Style`] of its own.

pub mod card;
pub mod table;
pub mod words;

use std::ffi::OsStr;
use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

/// Columns of every screen, on wider terminals too.
pub const COLUMNS: usize = 80;

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal that has not refused.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A sign, which stands with its word and its colour, so that none of the three is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Accepted, passed.
    Good,
    /// Rejected: known to be wrong.
    Bad,
    /// Cannot decide; stale, pending, missing.
    Open,
    /// Tampering.
    Tampered,
    /// Not judged.
    Skipped,
    /// The next step.
    Next,
}

impl Sign {
    /// Returns the sign; [`Style::render`] turns it into ASCII where needed.
    pub fn as_char(self) -> char {
        match self {
            Self::Good => '✓',
            Self::Bad => '✗',
            Self::Open => '?',
            Self::Tampered => '!',
            Self::Skipped => '–',
            Self::Next => '→',
        }
    }

    fn paint(self) -> Option<Paint> {
        match self {
            Self::Good => Some(Paint::Green),
            Self::Bad => Some(Paint::Red),
            Self::Open => Some(Paint::Yellow),
            Self::Tampered => Some(Paint::Magenta),
            Self::Skipped => Some(Paint::Dim),
            Self::Next => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Paint {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Magenta,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Magenta => "35",
        }
    }
}

/// How one stream shows text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Colours are written.
    pub color: bool,
    /// The stream is read as UTF-8.
    pub unicode: bool,
}

impl Style {
    /// No colour, Unicode: what a file gets.
    pub const PLAIN: Style = Style { color: false, unicode: true };

    /// Chooses by `--color`, the environment and whether the stream is a terminal.
    pub fn choose(choice: ColorChoice, terminal: bool, variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let color = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|t| t != OsStr::new("dumb"))
            }
        };
        // POSIX: the first of these that is set decides. None set is a bare container or service, which reads UTF-8.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let unicode = locale.is_none_or(|l| {
            let l = l.to_string_lossy().to_ascii_lowercase();
            l.contains("utf-8") || l.contains("utf8")
        });
        Self { color, unicode }
    }

    /// Returns the text as this stream shows it: our signs in ASCII where there is no UTF-8, one column each.
    pub fn render(&self, text: &str) -> String {
        if self.unicode {
            return text.to_owned();
        }
        let ascii = |c| match c {
            '✓' => '+',
            '✗' => 'x',
            '–' | '─' => '-',
            '→' => '>',
            '·' | '│' | '├' => '|',
            '└' => '`',
            '…' => '~',
            other => other,
        };
        text.chars().map(ascii).collect()
    }

    fn paint(&self, paint: Option<Paint>, text: &str) -> String {
        match paint {
            Some(paint) if self.color => format!("\x1b[{}m{text}\x1b[0m", paint.code()),
            _ => text.to_owned(),
        }
    }

    /// Returns a sign in its colour.
    pub fn sign(&self, sign: Sign) -> String {
        self.paint(sign.paint(), &sign.as_char().to_string())
    }

    /// Returns a text in a sign's colour.
    pub fn in_color_of(&self, sign: Sign, text: &str) -> String {
        self.paint(sign.paint(), text)
    }

    /// Returns a bold text, for `error:` – a full disk is no rejection.
    pub fn bold(&self, text: &str) -> String {
        self.paint(Some(Paint::Bold), text)
    }

    /// Returns a dim text.
    pub fn dim(&self, text: &str) -> String {
        self.paint(Some(Paint::Dim), text)
    }
}

/// The two streams of a command, and whether it speaks JSON.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// How results are shown.
    pub out: Style,
    /// How prompts, warnings and errors are shown.
    pub err: Style,
    /// Exactly one JSON document on stdout.
    pub json: bool,
    /// Exit code and errors only.
    pub quiet: bool,
}

impl Output {
    /// Looks at the environment and at both streams.
    pub fn new(choice: ColorChoice, json: bool, quiet: bool) -> Self {
        let variable = |name: &str| std::env::var_os(name);
        let out = Style::choose(choice, io::stdout().is_terminal(), variable);
        let err = Style::choose(choice, io::stderr().is_terminal(), variable);
        Self { out, err, json, quiet }
    }

    /// Writes a result: its JSON under `--json`, else its text, unless quiet. The text ends in a line feed.
    pub fn result(&self, document: &impl Serialize, text: impl FnOnce(&Style) -> String) -> io::Result<()> {
        if self.json {
            return self.document(document);
        }
        self.text(&text(&self.out))
    }

    /// Writes a JSON document on a line, whether or not `--json` was given (`verify --ndjson`).
    pub fn document(&self, document: &impl Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(document).map_err(io::Error::other)?;
        bytes.push(b'\n');
        to_stdout(&bytes)
    }

    /// Writes text to stdout, unless quiet or under `--json`.
    pub fn text(&self, text: &str) -> io::Result<()> {
        if self.quiet || self.json { Ok(()) } else { to_stdout(self.out.render(text).as_bytes()) }
    }

    /// Writes raw bytes to stdout: `--out -`.
    pub fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        to_stdout(bytes)
    }

    /// Writes a line to stderr, unless quiet. A stderr that is gone is nobody's concern.
    pub fn note(&self, line: &str) {
        if !self.quiet {
            // Names in it are other people's text.
            let lines: Vec<String> = line.split('\n').map(words::clean).collect();
            let _ = writeln!(io::stderr().lock(), "{}", self.err.render(&lines.join("\n")));
        }
    }
}

/// A reader that closed the pipe has what it wanted.
fn to_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Breaks a text at ` · `, then at spaces, into lines of at most `width` columns; a word that is longer stands alone.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for segment in text.split(" · ") {
        if line.is_empty() {
            line = segment.to_owned();
        } else if columns(&line) + 3 + columns(segment) <= width {
            line.push_str(" · ");
            line.push_str(segment);
        } else {
            lines.extend(wrap_words(&line, width));
            line = segment.to_owned();
        }
    }
    lines.extend(wrap_words(&line, width));
    lines
}

fn wrap_words(text: &str, width: usize) -> Vec<String> {
    if columns(text) <= width {
        return vec![text.to_owned()];
    }
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && columns(&line) + 1 + columns(word) > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// Counts columns, one a character: what we compose has no wide ones.
pub fn columns(text: &str) -> usize {
    text.chars().count()
}

/// Cuts a long text in the middle to `width` columns.
pub fn cut(text: &str, width: usize) -> String {
    let length = columns(text);
    if length <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    let head = kept.div_ceil(2);
    let tail = length.saturating_sub(kept - head);
    text.chars().take(head).chain(['…']).chain(text.chars().skip(tail)).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn style(choice: ColorChoice, terminal: bool, set: &[(&str, &str)]) -> Style {
        Style::choose(choice, terminal, |name| {
            set.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn colour_needs_a_terminal_that_has_not_refused() {
        assert!(style(ColorChoice::Auto, true, &[("TERM", "xterm")]).color);
        assert!(!style(ColorChoice::Auto, false, &[]).color);
        assert!(!style(ColorChoice::Auto, true, &[("NO_COLOR", "1")]).color);
        assert!(style(ColorChoice::Auto, true, &[("NO_COLOR", "")]).color);
        assert!(!style(ColorChoice::Auto, true, &[("TERM", "dumb")]).color);
        assert!(style(ColorChoice::Always, false, &[("NO_COLOR", "1")]).color);
        assert!(!style(ColorChoice::Never, true, &[]).color);
    }

    #[test]
    fn without_utf_8_signs_are_ascii_and_one_column_wide() {
        assert!(style(ColorChoice::Auto, true, &[("LANG", "de_DE.UTF-8")]).unicode);
        assert!(style(ColorChoice::Auto, true, &[]).unicode);
        let posix = style(ColorChoice::Auto, true, &[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]);
        assert!(!posix.unicode);
        let text = "✓ ✗ ? ! – → · … ├─ └─ │";
        assert_eq!(posix.render(text), "+ x ? ! - > | ~ |- `- |");
        assert_eq!(Style::PLAIN.render(text), text);
    }

    #[test]
    fn signs_have_their_colours() {
        let color = Style { color: true, unicode: true };
        assert_eq!(color.sign(Sign::Good), "\x1b[32m✓\x1b[0m");
        assert_eq!(color.sign(Sign::Bad), "\x1b[31m✗\x1b[0m");
        assert_eq!(color.sign(Sign::Open), "\x1b[33m?\x1b[0m");
        assert_eq!(color.sign(Sign::Tampered), "\x1b[35m!\x1b[0m");
        assert_eq!(color.sign(Sign::Skipped), "\x1b[2m–\x1b[0m");
        assert_eq!(color.sign(Sign::Next), "→");
        assert_eq!(Style::PLAIN.sign(Sign::Good), "✓");
    }

    #[test]
    fn long_lines_break_at_dots_then_at_spaces() {
        assert_eq!(wrap("one · two · three", 11), ["one · two", "three"]);
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("https://gov.example/long x", 5), ["https://gov.example/long", "x"]);
    }

    #[test]
    fn long_texts_are_cut_in_the_middle() {
        assert_eq!(cut("abcdefgh", 8), "abcdefgh");
        assert_eq!(cut("abcdefgh", 5), "ab…gh");
        assert_eq!(cut("abcdefgh", 4), "ab…h");
    }
}
