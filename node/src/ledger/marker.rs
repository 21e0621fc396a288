//! The marker: what a register key had signed, kept outside the backup of its ledger.
//!
//! ```text
//! <marks>/5f0c….marker, one line: SHA-256 of the rest of the line, a space, JSON
//! 81b2… {"kind":"standfast/marker/v1","key":"z6Mk…","size":5,"root":"4c1e…","at_ms":1790000000000}
//! ```
//!
//! It begins with a key that is drawn on this machine, and is written after the ledger and before a signature leaves,
//! so whatever left is named by it or stands before it. A
//! ledger that does not hold what the marker names is an older copy: an honest restore, the commonest origin of forks.
//!
//! A copy of the marker itself proves nothing. Its folder carries a `CACHEDIR.TAG`, which tools for backups pass over;
//! and the time at which the file came to be, which no tool can set, must be the one written in it.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use standfast_protocol::digest::Digest;
use standfast_protocol::key::PublicKey;

use super::{Ledger, LedgerError, line_of, parse_line};
use crate::fence::Continuity;
use crate::file;

const KIND: &str = "standfast/marker/v1";
/// Bytes in a marker: a verifier key, a root and a few numbers.
const SIZE_MAX: u64 = 4096;
/// Between the time in the file and the file's own: a sync of a busy disk takes seconds.
const WRITTEN_WITHIN_MS: u64 = 10_000;
/// <https://bford.info/cachedir/>
const CACHE_TAG: (&str, &str) = (
    "CACHEDIR.TAG",
    "Signature: 8a477f597d28d172789f06886806bc55\n\
     # What stands here says that no older copy of this machine's data was put back.\n\
     # In a backup it is worse than useless: leave it out.\n",
);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    kind: String,
    key: String,
    size: u64,
    root: Digest,
    at_ms: u64,
}

/// The marker of one register key.
pub struct Marker {
    path: PathBuf,
    key: String,
}

impl Marker {
    /// Names the marker of a key in the folder `marks`.
    pub fn of(marks: &Path, key: &PublicKey) -> Self {
        let key = key.to_multikey();
        let name = Digest::of(key.as_bytes()).to_string();
        Self { path: marks.join(format!("{}.marker", name.get(..32).unwrap_or(&name))), key }
    }

    /// Says of a key that was drawn here this moment that it has signed nothing; one that is there is left alone.
    ///
    /// Of a key that was brought, or is kept by a program, nobody knows that.
    pub fn begin(&self) -> Result<(), LedgerError> {
        let there = self.path.try_exists().map_err(|e| self.failed(e))?;
        if there { Ok(()) } else { self.write(0, Digest::OF_NOTHING) }
    }

    /// Names the newest checkpoint of the ledger; once this returns, its signature may leave.
    ///
    /// Only after the ledger was found to be whole, or the fence was passed: else it would call an older copy whole.
    pub fn raise(&self, ledger: &Ledger) -> Result<(), LedgerError> {
        let (size, root) = ledger.newest().unwrap_or((0, Digest::OF_NOTHING));
        match self.read()? {
            Some(line) if (line.size, line.root) == (size, root) => Ok(()),
            _ => self.write(size, root),
        }
    }

    /// Compares ledger and marker. `held` returns the root that the register has here at a size.
    pub fn continuity(&self, ledger: &Ledger, held: impl Fn(u64) -> Option<Digest>) -> Result<Continuity, LedgerError> {
        let Some(line) = self.read()? else { return Ok(Continuity::Unproven) };
        let signed = ledger.root_signed(line.size) == Some(line.root);
        // What the ledger has lost and the register holds will be extended, not contradicted.
        if line.size == 0 {
            // A key that has signed nothing says nothing of what another key of the register has signed.
            let is_empty = held(1).is_none();
            Ok(if is_empty { Continuity::Proven } else { Continuity::Unproven })
        } else if signed || held(line.size) == Some(line.root) {
            Ok(Continuity::Proven)
        } else {
            Ok(Continuity::Behind { size: line.size })
        }
    }

    /// Returns the line, unless there is none, or it is of another key, damaged, or a copy.
    fn read(&self) -> Result<Option<Line>, LedgerError> {
        let bytes = match file::read(&self.path, SIZE_MAX) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|e| self.failed(e))?,
        };
        let changed = std::fs::metadata(&self.path).map_err(|e| self.failed(e))?;
        let changed_ms = changed.ctime().saturating_mul(1000).saturating_add(changed.ctime_nsec() / 1_000_000);
        let is_original = |line: &Line| {
            u64::try_from(changed_ms).is_ok_and(|changed| changed.abs_diff(line.at_ms) <= WRITTEN_WITHIN_MS)
        };
        Ok(parse_line::<Line>(&bytes).filter(|line| line.kind == KIND && line.key == self.key && is_original(line)))
    }

    fn write(&self, size: u64, root: Digest) -> Result<(), LedgerError> {
        if let Some(folder) = self.path.parent() {
            file::private_dir(folder).map_err(|e| self.failed(e))?;
            let tag = file::create(&folder.join(CACHE_TAG.0), CACHE_TAG.1.as_bytes(), file::PUBLIC);
            tag.or_else(|e| if e.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(self.failed(e)) })?;
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let line = Line { kind: KIND.to_owned(), key: self.key.clone(), size, root, at_ms };
        file::replace(&self.path, &line_of(&line), file::PRIVATE).map_err(|e| self.failed(e))
    }

    fn failed(&self, source: io::Error) -> LedgerError {
        LedgerError::File { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::super::tests::Desk;
    use super::*;

    const NOTHING_HELD: fn(u64) -> Option<Digest> = |_| None;

    #[test]
    fn an_older_copy_of_the_ledger_is_found_out() {
        let desk = Desk::new();
        let marker = Marker::of(&desk.marks(), desk.key.key());
        marker.begin().unwrap();
        let old = fs::read(&desk.path).unwrap();
        let mut ledger = desk.open();
        assert_eq!(marker.continuity(&ledger, NOTHING_HELD).unwrap(), Continuity::Proven);
        let of_another_key = |size: u64| (size <= 1).then_some(Digest::OF_NOTHING);
        assert_eq!(marker.continuity(&ledger, of_another_key).unwrap(), Continuity::Unproven);
        desk.sign(&mut ledger, b"a").unwrap();
        // As after a kill between ledger and marker: the signature has not left.
        assert_eq!(marker.continuity(&ledger, NOTHING_HELD).unwrap(), Continuity::Proven);
        marker.raise(&ledger).unwrap();
        marker.begin().unwrap();
        assert_eq!(marker.continuity(&ledger, NOTHING_HELD).unwrap(), Continuity::Proven);
        let root = ledger.newest().unwrap().1;
        drop(ledger);
        fs::write(&desk.path, &old).unwrap();
        let ledger = desk.open();
        assert_eq!(marker.continuity(&ledger, NOTHING_HELD).unwrap(), Continuity::Behind { size: 1 });
        // Fetched from others, what was lost is extended and not contradicted; another root there is a fork.
        let held = |size: u64| (size == 1).then_some(root);
        assert_eq!(marker.continuity(&ledger, held).unwrap(), Continuity::Proven);
        let other = |size: u64| (size == 1).then_some(Digest::OF_NOTHING);
        assert_eq!(marker.continuity(&ledger, other).unwrap(), Continuity::Behind { size: 1 });
    }

    #[test]
    fn a_missing_damaged_foreign_or_copied_marker_proves_nothing() {
        let desk = Desk::new();
        let marker = Marker::of(&desk.marks(), desk.key.key());
        let ledger = desk.open();
        let unproven = |marker: &Marker| marker.continuity(&ledger, NOTHING_HELD).unwrap() == Continuity::Unproven;
        assert!(unproven(&marker));
        marker.begin().unwrap();
        assert!(!unproven(&marker));
        let whole = fs::read(&marker.path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&marker.path, bytes).unwrap();
            assert!(unproven(&marker), "byte {at}");
        }
        // As an old file has it that was copied here this moment.
        let mut line: Line = parse_line(&whole).unwrap();
        line.at_ms -= WRITTEN_WITHIN_MS + 1_000;
        fs::write(&marker.path, line_of(&line)).unwrap();
        assert!(unproven(&marker));
        fs::write(&marker.path, &whole).unwrap();
        assert!(!unproven(&marker));
        assert!(fs::read_to_string(desk.marks().join("CACHEDIR.TAG")).unwrap().starts_with("Signature: 8a477f59"));
    }
}
