//! The issuer's book of indices: which index of a status list has been given to a credential.
//!
//! ```text
//! indices/<SHA-256 of the list's URI>.indices
//! {"kind":"standfast/indices/v1","uri":"https://…/status/1","purpose":"revocation","bits":1,"length":131072}
//! 77204
//! 5
//! ```
//!
//! An index is drawn at random, so that it says nothing about when a credential was issued, and is durable here before
//! the credential is written. A last line without its line feed was never given away.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use standfast_node::file;
use standfast_protocol::credential::StatusEntry;
use standfast_protocol::digest::Digest;
use standfast_protocol::log::checkpoint::parse_decimal;

use crate::error::{CliError, CliResult, Exit};
use crate::output::words;

const KIND: &str = "standfast/indices/v1";
/// Bytes in a book: eight million indices of eight digits.
const BOOK_SIZE_MAX: u64 = 80 * 1024 * 1024;
/// Random draws before the free indices are counted instead.
const DRAWS_MAX: usize = 64;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    kind: String,
    uri: String,
    purpose: String,
    bits: u8,
    length: u64,
}

/// An open book; holds an exclusive lock on its file.
pub struct IndexBook {
    path: PathBuf,
    file: File,
    header: Header,
    given: BTreeSet<u64>,
}

impl IndexBook {
    /// Makes the book of a list that is not published yet; one that exists is left alone, and must be of the same list
    /// unless it has given no index away.
    pub fn create(data_dir: &Path, uri: &str, purpose: &str, bits: u8, length: u64) -> CliResult<()> {
        let path = path_of(data_dir, uri);
        let folder = data_dir.join("indices");
        file::private_dir(&folder).map_err(|e| CliError::file(&folder, &e))?;
        let header = Header { kind: KIND.to_owned(), uri: uri.to_owned(), purpose: purpose.to_owned(), bits, length };
        let mut line = serde_json::to_vec(&header).expect("a header has only string keys");
        line.push(b'\n');
        match file::create(&path, &line, file::PRIVATE) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                let book = Self::open(data_dir, uri)?;
                let held = &book.header;
                if (held.purpose.as_str(), held.bits, held.length) == (purpose, bits, length) {
                    return Ok(());
                }
                if book.given.is_empty() {
                    // The list of this book was never published.
                    return file::replace(&path, &line, file::PRIVATE).map_err(|e| CliError::file(&path, &e));
                }
                let length = words::grouped(held.length);
                Err(CliError::usage(format!("list {uri} was made with {length} indices for {}", held.purpose))
                    .hint("give the same, or another URI"))
            }
            Err(e) => Err(CliError::file(&path, &e)),
        }
    }

    /// True when the book of a list is here.
    pub fn exists(data_dir: &Path, uri: &str) -> bool {
        path_of(data_dir, uri).exists()
    }

    /// Opens the book of a list, waiting for another command to be done with it.
    pub fn open(data_dir: &Path, uri: &str) -> CliResult<Self> {
        let path = path_of(data_dir, uri);
        let file = match OpenOptions::new().read(true).append(true).open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(CliError::usage(format!("list {uri} was not made here"))
                    .hint(format!("make it: standfast status-list create {uri} --length 131072")));
            }
            opened => opened.map_err(|e| CliError::file(&path, &e))?,
        };
        file.lock().map_err(|e| CliError::file(&path, &e))?;
        let mut bytes = Vec::new();
        (&file).take(BOOK_SIZE_MAX).read_to_end(&mut bytes).map_err(|e| CliError::file(&path, &e))?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let text = bytes.get(..whole).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let (header, given) = text.and_then(|text| parse(text, uri)).ok_or_else(|| {
            CliError::new("indices-damaged", Exit::Io, format!("{} is not a book of indices", path.display()))
                .hint("restore it from a backup: without it an index could be given twice")
        })?;
        if whole < bytes.len() {
            file.set_len(whole as u64).map_err(|e| CliError::file(&path, &e))?;
        }
        Ok(Self { path, file, header, given })
    }

    /// Returns how many indices the list has.
    pub fn length(&self) -> u64 {
        self.header.length
    }

    /// Draws a free index at random, and returns once it is durable that it is given.
    pub fn draw(&mut self) -> CliResult<StatusEntry> {
        let index = self.free_index()?;
        let line = format!("{index}\n");
        let written = (&self.file).write_all(line.as_bytes()).and_then(|()| self.file.sync_all());
        written.map_err(|e| CliError::file(&self.path, &e))?;
        self.given.insert(index);
        Ok(StatusEntry {
            purpose: self.header.purpose.clone(),
            list: self.header.uri.clone(),
            index,
            size_bits: self.header.bits,
        })
    }

    fn free_index(&self) -> CliResult<u64> {
        for _ in 0..DRAWS_MAX {
            let index = random_below(self.header.length)?;
            if !self.given.contains(&index) {
                return Ok(index);
            }
        }
        let free = self.header.length.saturating_sub(self.given.len() as u64);
        if free == 0 {
            return Err(CliError::new(
                "list-full",
                Exit::Refused,
                format!("every index of {} is given", self.header.uri),
            )
            .hint("make another list: standfast status-list create URI --length 131072"));
        }
        let nth = usize::try_from(random_below(free)?).unwrap_or(0);
        let index = (0..self.header.length).filter(|index| !self.given.contains(index)).nth(nth);
        Ok(index.expect("as many indices are free as were counted"))
    }
}

fn path_of(data_dir: &Path, uri: &str) -> PathBuf {
    data_dir.join("indices").join(format!("{}.indices", Digest::of(uri.as_bytes())))
}

fn parse(text: &str, uri: &str) -> Option<(Header, BTreeSet<u64>)> {
    let mut lines = text.lines();
    let header: Header = serde_json::from_str(lines.next()?).ok()?;
    let fits = header.kind == KIND && header.uri == uri && header.length > 0;
    let mut given = BTreeSet::new();
    for line in lines {
        let index = parse_decimal(line, header.length.checked_sub(1)?)?;
        given.insert(index).then_some(())?;
    }
    fits.then_some((header, given))
}

/// Draws below `bound`, each value as likely as any other.
fn random_below(bound: u64) -> CliResult<u64> {
    let fair = u64::MAX - u64::MAX % bound.max(1);
    loop {
        let drawn = getrandom::u64().map_err(|e| {
            CliError::new("random", Exit::Io, "the operating system gives no random bytes").cause(e.to_string())
        })?;
        if drawn < fair {
            return Ok(drawn % bound.max(1));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const URI: &str = "https://a.example/status/1";

    #[test]
    fn each_index_is_given_once_also_after_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        IndexBook::create(dir.path(), URI, "revocation", 1, 9).unwrap();
        IndexBook::create(dir.path(), URI, "revocation", 1, 9).unwrap();
        let mut given = BTreeSet::new();
        for round in 0..9 {
            let mut book = IndexBook::open(dir.path(), URI).unwrap();
            assert!(given.insert(book.draw().unwrap().index), "round {round}");
            drop(book);
            // Once it has given an index away, a book is of its list for good.
            assert!(IndexBook::create(dir.path(), URI, "revocation", 1, 10).is_err());
            // A torn line of a draw that never ended.
            let mut file = OpenOptions::new().append(true).open(path_of(dir.path(), URI)).unwrap();
            file.write_all(b"1").unwrap();
        }
        let mut book = IndexBook::open(dir.path(), URI).unwrap();
        assert_eq!(book.draw().unwrap_err().code, "list-full");
        assert!(IndexBook::open(dir.path(), "https://a.example/status/2").is_err_and(|e| e.code == "usage"));
    }
}
