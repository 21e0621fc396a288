//! What was published past the write fence, and why: kept beside the signer's ledger for good.
//!
//! ```text
//! transport.overrides, one line each: SHA-256 of the rest of the line, a space, JSON
//! 81b2… {"kind":"standfast/override/v1","at":"2026-11-20T14:28:00Z","size":5,"refusal":"fence-unanswered","reason":"…"}
//! ```

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use standfast_protocol::time::Time;

use super::{LedgerError, line_of, parse_line};
use crate::file;

const KIND: &str = "standfast/override/v1";
/// Bytes in a reason.
pub const REASON_SIZE_MAX: usize = 1024;
/// Bytes in the file: some thousands, of what should never happen.
const FILE_SIZE_MAX: u64 = 8 * 1024 * 1024;

/// One passage of the fence against its word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    kind: String,
    /// When.
    pub at: Time,
    /// The newest size that was held.
    pub size: u64,
    /// The code of the refusal that was overridden.
    pub refusal: String,
    /// The operator's reason.
    pub reason: String,
}

impl Override {
    /// Makes a record.
    pub fn new(at: Time, size: u64, refusal: &str, reason: &str) -> Self {
        Self { kind: KIND.to_owned(), at, size, refusal: refusal.to_owned(), reason: reason.to_owned() }
    }
}

/// Returns where the overrides of a ledger stand.
pub fn path_beside(ledger: &Path) -> PathBuf {
    ledger.with_extension("overrides")
}

/// Adds a record; durable once this returns.
pub fn add(path: &Path, made: &Override) -> Result<(), LedgerError> {
    let failed = |source| LedgerError::File { path: path.to_owned(), source };
    let whole = read_bytes(path)?;
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(file::PRIVATE).open(path).map_err(failed)?;
    // A line that a crash tore was of a passage that never came to be.
    let end = whole.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1);
    let written = file.set_len(end).and_then(|()| io::Seek::seek(&mut file, io::SeekFrom::Start(end)));
    let written = written.and_then(|_| file.write_all(&line_of(made))).and_then(|()| file.sync_all());
    written.map_err(failed)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    file::sync_dir(folder).map_err(failed)
}

/// Reads all records, oldest first; none when there is no file.
pub fn read(path: &Path) -> Result<Vec<Override>, LedgerError> {
    let bytes = read_bytes(path)?;
    let mut found = Vec::new();
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if line.last() != Some(&b'\n') {
            break;
        }
        let damaged = || LedgerError::Damaged { path: path.to_owned(), line: number as u64 + 1 };
        found.push(parse_line::<Override>(line).filter(|line| line.kind == KIND).ok_or_else(damaged)?);
    }
    Ok(found)
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, LedgerError> {
    match file::read(path, FILE_SIZE_MAX) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(|source| LedgerError::File { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn records_stay_and_a_torn_one_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = path_beside(&dir.path().join("transport.ledger"));
        assert_eq!(read(&path).unwrap(), []);
        let made = |size| {
            Override::new(Time::from_secs_saturating(1_790_000_000), size, "fence-unanswered", "cable \"cut\"\n")
        };
        add(&path, &made(1)).unwrap();
        let one = std::fs::read(&path).unwrap();
        add(&path, &made(2)).unwrap();
        assert_eq!(read(&path).unwrap(), [made(1), made(2)]);
        let both = std::fs::read(&path).unwrap();
        for cut in one.len()..both.len() {
            std::fs::write(&path, &both[..cut]).unwrap();
            assert_eq!(read(&path).unwrap(), [made(1)]);
            add(&path, &made(3)).unwrap();
            assert_eq!(read(&path).unwrap(), [made(1), made(3)]);
        }
        std::fs::write(&path, b"nonsense\n").unwrap();
        assert!(matches!(read(&path), Err(LedgerError::Damaged { line: 1, .. })));
    }
}
