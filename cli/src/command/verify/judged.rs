//! One input with its verdict, and what else a card says of it.

use std::path::Path;

use standfast_protocol::credential::Credential;
use standfast_protocol::policy::Policy;
use standfast_protocol::snapshot::{HeldRegister, Snapshot};
use standfast_protocol::time::Time;
use standfast_protocol::verdict::{CheckName, CheckResult, Code, Verdict, Warning};
use standfast_protocol::verify::verify;

use crate::output::words;

/// By what everything is judged.
pub struct Bench<'a> {
    /// What is held.
    pub snapshot: &'a Snapshot,
    /// What is demanded.
    pub policy: &'a Policy,
    /// The device's time.
    pub now: Time,
    /// True when `--now` gave that time.
    pub now_given: bool,
}

/// One input with its verdict.
pub struct Judged {
    /// What was decided.
    pub verdict: Verdict,
    /// What was read, where it reads.
    pub credential: Option<Credential>,
    /// The name of the input.
    pub source: String,
    /// The first bytes.
    beginning: String,
}

impl Bench<'_> {
    /// Judges one input.
    pub fn judge(&self, source: &str, bytes: &[u8]) -> Judged {
        let mut verdict = verify(bytes, self.snapshot, self.policy, self.now);
        verdict.credential.source = Some(source.to_owned());
        if self.now_given {
            verdict.warnings.push(Warning::NowGiven);
        }
        let credential = Credential::parse(bytes).ok();
        Judged { verdict, credential, source: source.to_owned(), beginning: beginning(bytes) }
    }

    /// Returns a register's short name among all that are held.
    pub fn name(&self, origin: &str) -> String {
        words::register(origin, self.snapshot.replica().bound().keys().map(String::as_str))
    }

    /// Returns a reason in the words of a screen: registers go by their short names, times to the minute, counts grouped.
    pub fn shorten(&self, text: &str) -> String {
        let origins = self.snapshot.replica().bound().keys().chain(self.snapshot.registers().keys());
        let short = origins.fold(words::clean(text), |text, origin| text.replace(origin.as_str(), &self.name(origin)));
        let mut out: Vec<String> = Vec::new();
        for word in short.split(' ') {
            let bare = word.trim_end_matches([',', ';', ':']);
            let end = word.get(bare.len()..).unwrap_or_default();
            let after_index = out.last().is_some_and(|before| before == "index");
            out.push(match (Time::from_rfc3339(bare), bare.parse::<u64>()) {
                (Some(time), _) => format!("{}{end}", words::at(time, self.now)),
                (_, Ok(index)) if after_index => format!("{}{end}", words::grouped(index)),
                _ if bare.starts_with("did:") => format!("{}{end}", words::did(bare)),
                _ => word.to_owned(),
            });
        }
        out.join(" ")
    }

    /// Returns the held register that holds the issuer's document, as the verdict's evidence names it.
    pub fn home(&self, judged: &Judged) -> Option<&HeldRegister> {
        let named = |name| judged.verdict.check(name)?.evidence.first().map(|evidence| evidence.register.clone());
        let origin = named(CheckName::Issuer).or_else(|| named(CheckName::Status))?;
        self.snapshot.held(&origin)
    }
}

impl Judged {
    /// True when it is not a credential at all: counted apart.
    pub fn is_unreadable(&self) -> bool {
        self.verdict.code() == Some(Code::FormatMalformed)
    }

    /// What was found where a credential was expected.
    pub fn why_unreadable(&self) -> String {
        let looks_like_one = self.beginning.starts_with('{') || self.beginning.starts_with("ey");
        if self.beginning.is_empty() {
            "expected a JWT, an SD-JWT or JSON; it is empty".to_owned()
        } else if looks_like_one {
            self.verdict.reason().to_owned()
        } else {
            format!("expected a JWT, an SD-JWT or JSON; it begins with \"{}\"", self.beginning)
        }
    }

    /// Returns the result of a check.
    pub fn result(&self, name: CheckName) -> CheckResult {
        self.verdict.check(name).map_or(CheckResult::Skipped, |check| check.result)
    }

    /// Returns the argument by which `explain` reads this input again; `None` when it came from stdin.
    pub fn argument(&self) -> Option<String> {
        // A name with control characters in it would write on the terminal what it likes.
        let is_plain = self.source != "-" && words::clean(&self.source) == self.source;
        let is_file = is_plain && Path::new(&self.source).exists();
        is_file.then(|| quoted(&self.source))
    }
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./@:+=,%~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The first word, at most 16 characters of it.
fn beginning(bytes: &[u8]) -> String {
    let head = bytes.trim_ascii_start();
    let head = head.get(..head.len().min(64)).unwrap_or_default();
    let text = String::from_utf8_lossy(head);
    words::clean(text.split_whitespace().next().unwrap_or_default()).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_to_paste_are_quoted_when_they_must_be() {
        assert_eq!(quoted("tray/a01.jwt"), "tray/a01.jwt");
        assert_eq!(quoted("my licence.jwt"), "'my licence.jwt'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }

    #[test]
    fn the_beginning_of_a_file_is_short_and_harmless() {
        assert_eq!(beginning(b"%PDF-1.7\n%\xe2\xe3"), "%PDF-1.7");
        assert_eq!(beginning(b"  \x1b[31mred and more"), "[31mred");
        assert_eq!(beginning(&[b'x'; 100]), "x".repeat(16));
    }
}
