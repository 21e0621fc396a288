//! Errors for people and for programs, and the exit codes.
//!
//! ```text
//! error: the store is in use by a running node (process 4711)
//! cause: its API does not answer: 127.0.0.1:7412, connection refused
//!  hint: turn [api] on, or stop the node: systemctl stop standfast
//! ```

use std::error::Error;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::output::words::clean;
use crate::output::{COLUMNS, Style, wrap};

/// The exit code of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; after `verify` every credential accepted, and never otherwise.
    Done = 0,
    /// Rejected, or refused by a rule.
    Refused = 1,
    /// Usage, configuration, malformed input, no input at all.
    Usage = 2,
    /// Cannot decide, or not yet.
    Open = 3,
    /// The answer depends on a tampered record.
    Tampered = 4,
    /// File, disk, lock, network.
    Io = 5,
}

impl Exit {
    /// Takes an exit code of a verdict.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Done, Self::Refused, Self::Usage, Self::Open, Self::Tampered, Self::Io]
            .into_iter()
            .find(|exit| *exit as u8 == code)
    }

    /// Returns the code for many inputs: the first that applies of 4, 1, 3, 5, 2, 0; no input at all is 2.
    pub fn of_many(exits: impl IntoIterator<Item = Exit>) -> Self {
        let seen: Vec<Exit> = exits.into_iter().collect();
        [Self::Tampered, Self::Refused, Self::Open, Self::Io, Self::Usage, Self::Done]
            .into_iter()
            .find(|exit| seen.contains(exit))
            .unwrap_or(Self::Usage)
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What is the case, its causes, and hints to paste or whom to ask. The message begins in lower case, without full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    /// A stable code, such as `store-locked`.
    pub code: &'static str,
    /// The exit code.
    pub exit: Exit,
    /// What is the case.
    pub message: String,
    /// Why, the nearest first.
    pub causes: Vec<String>,
    /// What to do.
    pub hints: Vec<String>,
}

/// What a command returns.
pub type CliResult<T = Exit> = Result<T, CliError>;

#[derive(Serialize)]
struct Document<'a> {
    kind: &'static str,
    code: &'a str,
    exit: u8,
    message: &'a str,
    causes: &'a [String],
    hints: &'a [String],
}

impl CliError {
    /// Makes an error without causes and hints.
    pub fn new(code: &'static str, exit: Exit, message: impl Into<String>) -> Self {
        Self { code, exit, message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// Makes an error of usage.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new("usage", Exit::Usage, message)
    }

    /// Makes an error of input that is not what it should be.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new("input-malformed", Exit::Usage, message)
    }

    /// Makes an error about a file: missing, in the way, not allowed, or a full disk.
    pub fn file(path: &Path, error: &io::Error) -> Self {
        let shown = path.display();
        let made = match error.kind() {
            io::ErrorKind::NotFound => Self::new("file-missing", Exit::Io, format!("there is no file {shown}")),
            io::ErrorKind::AlreadyExists => Self::new("file-exists", Exit::Usage, format!("{shown} exists"))
                .hint("give another name, or replace it with --yes"),
            io::ErrorKind::PermissionDenied => {
                Self::new("file-denied", Exit::Io, format!("this user may not read or write {shown}"))
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::new("disk-full", Exit::Io, format!("the disk of {shown} is full"))
            }
            io::ErrorKind::FileTooLarge => {
                return Self::new("input-malformed", Exit::Usage, format!("{shown} is too large"))
                    .cause(error.to_string());
            }
            _ => Self::new("file-io", Exit::Io, format!("{shown} cannot be read or written")),
        };
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists => made,
            _ => made.cause(error.to_string()),
        }
    }

    /// Makes an error of a library's error: its message, then the chain of its causes.
    pub fn of(code: &'static str, exit: Exit, error: &dyn Error) -> Self {
        Self::new(code, exit, error.to_string()).causes_of(error)
    }

    /// Adds a cause.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds the chain of causes below `error`, without its own message.
    #[must_use]
    pub fn causes_of(mut self, error: &dyn Error) -> Self {
        let mut next = error.source();
        while let Some(cause) = next {
            self.causes.push(cause.to_string());
            next = cause.source();
        }
        self
    }

    /// Adds `error` itself and the chain below it as causes.
    #[must_use]
    pub fn because(self, error: &dyn Error) -> Self {
        self.cause(error.to_string()).causes_of(error)
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Returns the text for stderr; every line but those to paste is broken at 80 columns.
    pub fn draw(&self, style: &Style) -> String {
        let mut out = String::new();
        let mut add = |label: &str, text: &str, whole: bool| {
            let text = clean(text);
            let lines = if whole { vec![text] } else { wrap(&text, COLUMNS - 7) };
            for (i, line) in lines.iter().enumerate() {
                let label = if i == 0 { format!("{label}:") } else { String::new() };
                let padded = format!("{label:>6}");
                let shown = if label == "error:" { style.bold(&padded) } else { padded };
                out.push_str(&format!("{shown} {line}\n"));
            }
        };
        add("error", &self.message, false);
        self.causes.iter().for_each(|cause| add("cause", cause, false));
        self.hints.iter().for_each(|hint| add("hint", hint, true));
        out
    }

    /// Returns the document for `--json`.
    pub fn to_json(&self) -> String {
        let document = Document {
            kind: "standfast/error/v1",
            code: self.code,
            exit: self.exit as u8,
            message: &self.message,
            causes: &self.causes,
            hints: &self.hints,
        };
        serde_json::to_string(&document).expect("an error has only strings and numbers")
    }
}

/// An error of writing the results themselves.
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        Self::new("output-io", Exit::Io, "the results cannot be written").cause(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_under_each_other() {
        let error = CliError::new("store-locked", Exit::Io, "the store is in use by a running node (process 4711)")
            .cause("its API does not answer: 127.0.0.1:7412, connection refused")
            .hint("turn [api] on, or stop the node: systemctl stop standfast");
        let expected = "\
error: the store is in use by a running node (process 4711)
cause: its API does not answer: 127.0.0.1:7412, connection refused
 hint: turn [api] on, or stop the node: systemctl stop standfast
";
        assert_eq!(error.draw(&Style::PLAIN), expected);
        assert!(error.draw(&Style { color: true, unicode: true }).starts_with("\x1b[1merror:\x1b[0m the store"));
        let json: serde_json::Value = serde_json::from_str(&error.to_json()).expect("JSON");
        assert_eq!(json["kind"], "standfast/error/v1");
        assert_eq!(json["exit"], 5);
    }

    #[test]
    fn the_worst_of_many_exits_counts() {
        use Exit::{Done, Io, Open, Refused, Tampered, Usage};
        assert_eq!(Exit::of_many([Done, Usage, Io, Open, Refused, Tampered]), Tampered);
        assert_eq!(Exit::of_many([Done, Usage, Io, Open, Refused]), Refused);
        assert_eq!(Exit::of_many([Done, Usage, Io, Open]), Open);
        assert_eq!(Exit::of_many([Done, Usage, Io]), Io);
        assert_eq!(Exit::of_many([Done, Usage]), Usage);
        assert_eq!(Exit::of_many([Done]), Done);
        assert_eq!(Exit::of_many([]), Usage);
    }
}
