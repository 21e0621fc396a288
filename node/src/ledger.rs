//! The signer's ledger: what a register key has signed, written down before the signature leaves.
//!
//! ```text
//! transport.ledger, one line a record: SHA-256 of the rest of the line, a space, JSON
//! 5f0c… {"kind":"standfast/ledger/v1","key":"transport.gov.example/register/8d3f…+1ae588ef+ASKm…"}
//! 81b2… {"kind":"standfast/signed/v1","size":1,"root":"4c1e…","entries":["<base64>"],"note":"<the signed note>"}
//! ```
//!
//! After a rotation (`specs/register.md` §9) a ledger also holds what an earlier key of the register has signed, so that no key of
//! one register contradicts another:
//!
//! ```text
//! 0a77… {"kind":"standfast/taken/v1","size":1,"root":"4c1e…","key":"transport.gov.example/register/8d3f…+1ae588ef+ASKm…"}
//! ```
//!
//! A key never signs two roots for one size, and never a size below its newest one that it has not signed: both would
//! be forks (`specs/register.md`, "Signing"). A retry gets the recorded bytes. Order: [`Ledger::create`] once, when the
//! register is created; then [`Ledger::open`], which locks the file, and [`Ledger::sign`], which returns only after the
//! line is synced. A last line without its line feed was never synced, so its signature never left: it is cut off. Any
//! other damage is an error, for a signature that left might stand there.

pub mod marker;
pub mod overrides;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use standfast_protocol::digest::Digest;
use standfast_protocol::key::{Algorithm, Signer, SigningError, VerifierKey};
use standfast_protocol::log::checkpoint::Checkpoint;
use standfast_protocol::log::merkle::{Edge, verify_consistency};
use standfast_protocol::log::note::{self, Note};

use crate::file;

/// Bytes in a line: a hundred entries of the largest size, in base64, and their note.
pub const LINE_SIZE_MAX: usize = 4 * 1024 * 1024;

const KIND_LEDGER: &str = "standfast/ledger/v1";
const KIND_SIGNED: &str = "standfast/signed/v1";
const KIND_TAKEN: &str = "standfast/taken/v1";

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// There is no ledger beside the key.
    #[error("there is no signer's ledger at {}", .0.display())]
    Missing(PathBuf),
    /// A ledger of this name exists.
    #[error("a signer's ledger exists at {}", .0.display())]
    Exists(PathBuf),
    /// Another process signs with this key.
    #[error("the signer's ledger {} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// A line that was synced cannot be read.
    #[error("line {line} of the signer's ledger {} is damaged", path.display())]
    Damaged {
        /// The ledger.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
    },
    /// The ledger belongs to another key.
    #[error("the signer's ledger is of key {came}, expected {expected}")]
    OtherKey {
        /// The key that the ledger names.
        came: String,
        /// The key that is to sign.
        expected: String,
    },
    /// A checkpoint that is not of the key's register, or a key that signs no heads.
    #[error("the checkpoint is of {came}, the key signs for {expected}")]
    OtherRegister {
        /// The checkpoint's origin.
        came: String,
        /// The key's name.
        expected: String,
    },
    /// Another root was signed at this size.
    #[error("another root was signed at size {size}: {signed}")]
    Signed {
        /// The size.
        size: u64,
        /// The root that was signed.
        signed: Digest,
    },
    /// The key has signed a larger size, and not this one.
    #[error("size {size} is behind size {newest}, which was signed")]
    Behind {
        /// The size that was to be signed.
        size: u64,
        /// The newest size that was signed.
        newest: u64,
    },
    /// The checkpoint does not extend the newest one that was signed.
    #[error("size {size} does not extend size {newest}, which was signed")]
    Diverges {
        /// The size that was to be signed.
        size: u64,
        /// The newest size that was signed.
        newest: u64,
    },
    /// The entries on their ground do not make the checkpoint.
    #[error("the entries do not make the checkpoint of size {size}")]
    Entries {
        /// The size that was to be signed.
        size: u64,
    },
    /// Whatever keeps the key has not signed.
    #[error("the key has not signed")]
    Signing(#[from] SigningError),
    /// More entries than fit a line.
    #[error("expected entries of at most {LINE_SIZE_MAX} bytes in base64")]
    Size,
    /// The file.
    #[error("the signer's ledger {} could not be read or written", path.display())]
    File {
        /// The ledger.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// The log on which new entries stand.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// Its right edge.
    pub edge: &'a Edge,
    /// A consistency proof (RFC 6962 §2.1.2) from the newest checkpoint that the ledger holds to this edge; empty when
    /// that is this edge, or when nothing was signed yet.
    pub proof: &'a [Digest],
}

/// What was signed, to the byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The entries that this checkpoint added, in order.
    pub entries: Vec<Vec<u8>>,
    /// The note with this key's signature alone.
    pub note: Note,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    kind: String,
    key: VerifierKey,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    kind: String,
    size: u64,
    root: Digest,
    entries: Vec<String>,
    note: String,
}

/// A checkpoint that another key of the register has signed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TakenLine {
    kind: String,
    size: u64,
    root: Digest,
    key: VerifierKey,
}

/// Where a checkpoint stands in the file.
struct Place {
    root: Digest,
    /// True when another key of the register has signed it, and this one not yet.
    taken: bool,
    offset: u64,
    line: u64,
}

/// An open ledger; holds an exclusive lock on the file.
pub struct Ledger {
    path: PathBuf,
    file: File,
    key: VerifierKey,
    places: BTreeMap<u64, Place>,
    end: u64,
    lines: u64,
}

impl Ledger {
    /// Makes the ledger of a register key; one that exists is left alone.
    pub fn create(path: &Path, key: &VerifierKey) -> Result<(), LedgerError> {
        let header = Header { kind: KIND_LEDGER.to_owned(), key: key.clone() };
        match file::create(path, &line_of(&header), file::PRIVATE) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(LedgerError::Exists(path.to_owned())),
            done => done.map_err(|source| LedgerError::File { path: path.to_owned(), source }),
        }
    }

    /// Opens and locks the ledger of `key`, reads all of it, and cuts off a torn last line.
    pub fn open(path: &Path, key: &VerifierKey) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError::File { path: path.to_owned(), source };
        let file = match OpenOptions::new().read(true).append(true).open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(LedgerError::Missing(path.to_owned())),
            opened => opened.map_err(failed)?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LedgerError::Locked(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut ledger =
            Self { path: path.to_owned(), file, key: key.clone(), places: BTreeMap::new(), end: 0, lines: 0 };
        ledger.replay()?;
        Ok(ledger)
    }

    /// Returns the key.
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Returns the newest size and root that were signed, by this key or by one whose ledger it took over.
    pub fn newest(&self) -> Option<(u64, Digest)> {
        self.places.last_key_value().map(|(size, place)| (*size, place.root))
    }

    /// Returns the root that was signed at `size`.
    pub fn root_signed(&self, size: u64) -> Option<Digest> {
        self.places.get(&size).map(|place| place.root)
    }

    /// Returns what this key signed at `size`, to the byte.
    pub fn signed(&self, size: u64) -> Result<Option<Signed>, LedgerError> {
        let Some(place) = self.places.get(&size).filter(|place| !place.taken) else { return Ok(None) };
        let damaged = || LedgerError::Damaged { path: self.path.clone(), line: place.line };
        let mut reader = BufReader::new(&self.file);
        reader.seek(SeekFrom::Start(place.offset)).map_err(|e| self.failed(e))?;
        let bytes = read_line(&mut reader).map_err(|e| self.failed(e))?;
        let line: Line = parse_line(&bytes).ok_or_else(damaged)?;
        self.read_signed(&line).map(Some).ok_or_else(damaged)
    }

    /// Returns everything signed above `size`, in order: what has perhaps not been handed over yet.
    pub fn signed_above(&self, size: u64) -> Result<Vec<Signed>, LedgerError> {
        let sizes = self.places.range(size.saturating_add(1)..).map(|(size, _)| *size);
        sizes.filter_map(|size| self.signed(size).transpose()).collect()
    }

    /// Takes over what another key of the same register has signed: from then on this key signs nothing that contradicts
    /// it. Durable once this returns; what is held already is not written again.
    pub fn take_over(&mut self, other: &Ledger) -> Result<(), LedgerError> {
        if self.key.name() != other.key.name() {
            let (came, expected) = (other.key.name().to_owned(), self.key.name().to_owned());
            return Err(LedgerError::OtherRegister { came, expected });
        }
        let newest = self.newest().map(|(size, _)| size);
        let mut lines = Vec::new();
        for (size, place) in &other.places {
            match self.places.get(size) {
                Some(held) if held.root != place.root => {
                    return Err(LedgerError::Signed { size: *size, signed: place.root });
                }
                // Below its newest size a key signs nothing new anyway.
                None if newest.is_none_or(|newest| *size > newest) => lines.push((
                    *size,
                    place.root,
                    line_of(&TakenLine {
                        kind: KIND_TAKEN.to_owned(),
                        size: *size,
                        root: place.root,
                        key: other.key.clone(),
                    }),
                )),
                Some(_) | None => {}
            }
        }
        if lines.is_empty() {
            return Ok(());
        }
        self.write(&lines.iter().flat_map(|(_, _, line)| line.iter().copied()).collect::<Vec<u8>>())?;
        for (size, root, line) in lines {
            self.put(size, root, true, line.len());
        }
        Ok(())
    }

    /// Signs the checkpoint that `entries` make on `ground`, and returns once that is durable. What was signed already is
    /// returned as it was; what an earlier key of the register signed is signed again.
    pub fn sign(
        &mut self,
        checkpoint: &Checkpoint,
        entries: &[Vec<u8>],
        ground: &Ground<'_>,
        signer: &dyn Signer,
    ) -> Result<Signed, LedgerError> {
        if self.key.algorithm() != Algorithm::Note || checkpoint.origin != self.key.name() {
            let expected = self.key.name().to_owned();
            return Err(LedgerError::OtherRegister { came: checkpoint.origin.clone(), expected });
        }
        if *self.key.key() != signer.public() {
            let came = signer.public().to_multikey();
            return Err(LedgerError::OtherKey { came, expected: self.key.to_string() });
        }
        let size = checkpoint.size;
        match self.places.get(&size) {
            Some(place) if place.root != checkpoint.root => {
                return Err(LedgerError::Signed { size, signed: place.root });
            }
            Some(place) if !place.taken => {
                let damaged = LedgerError::Damaged { path: self.path.clone(), line: place.line };
                return self.signed(size)?.ok_or(damaged);
            }
            // The very checkpoint that an earlier key of the register has signed.
            Some(_) => {}
            None => self.check_extends(checkpoint, entries, ground)?,
        }
        let text = checkpoint.text();
        let line = note::sign_with(&text, &self.key, signer)?;
        let note = Note::new(text, vec![line]);
        let signed = Signed { checkpoint: checkpoint.clone(), entries: entries.to_vec(), note };
        self.append(&signed)?;
        Ok(signed)
    }

    /// The newest checkpoint signed is a beginning of the ground, and ground and entries are the checkpoint.
    fn check_extends(
        &self,
        checkpoint: &Checkpoint,
        entries: &[Vec<u8>],
        ground: &Ground<'_>,
    ) -> Result<(), LedgerError> {
        let size = checkpoint.size;
        if let Some((newest, root)) = self.newest() {
            if size < newest {
                return Err(LedgerError::Behind { size, newest });
            }
            let edge = ground.edge;
            if !verify_consistency(newest, edge.size(), root, edge.root(), ground.proof) {
                return Err(LedgerError::Diverges { size, newest });
            }
        }
        let mut edge = ground.edge.clone();
        entries.iter().for_each(|entry| edge.append(entry));
        if (edge.size(), edge.root()) == (size, checkpoint.root) { Ok(()) } else { Err(LedgerError::Entries { size }) }
    }

    fn append(&mut self, signed: &Signed) -> Result<(), LedgerError> {
        let bytes = line_of(&Line {
            kind: KIND_SIGNED.to_owned(),
            size: signed.checkpoint.size,
            root: signed.checkpoint.root,
            entries: signed.entries.iter().map(|entry| BASE64.encode(entry)).collect(),
            note: signed.note.to_string(),
        });
        if bytes.len() > LINE_SIZE_MAX {
            return Err(LedgerError::Size);
        }
        self.write(&bytes)?;
        self.put(signed.checkpoint.size, signed.checkpoint.root, false, bytes.len());
        Ok(())
    }

    /// Appends whole lines, durably or not at all.
    fn write(&self, lines: &[u8]) -> Result<(), LedgerError> {
        let written = (&self.file).write_all(lines).and_then(|()| self.file.sync_all());
        if let Err(source) = written {
            // Part of a line may stand there; it must not be joined by the next one.
            let cut = self.file.set_len(self.end).and_then(|()| self.file.sync_all());
            return Err(self.failed(cut.err().unwrap_or(source)));
        }
        Ok(())
    }

    /// Remembers a line of this length that was appended.
    fn put(&mut self, size: u64, root: Digest, taken: bool, length: usize) {
        self.lines = self.lines.saturating_add(1);
        self.places.insert(size, Place { root, taken, offset: self.end, line: self.lines });
        self.end = self.end.saturating_add(length as u64);
    }

    fn replay(&mut self) -> Result<(), LedgerError> {
        let file = self.file.try_clone().map_err(|e| self.failed(e))?;
        let mut reader = BufReader::new(file);
        loop {
            let bytes = read_line(&mut reader).map_err(|e| self.failed(e))?;
            if bytes.last() != Some(&b'\n') {
                return self.cut_torn_line(&bytes);
            }
            self.lines = self.lines.saturating_add(1);
            let known = if self.lines == 1 { self.take_header(&bytes)? } else { self.take_line(&bytes) };
            if !known {
                return Err(LedgerError::Damaged { path: self.path.clone(), line: self.lines });
            }
            self.end = self.end.saturating_add(bytes.len() as u64);
        }
    }

    fn cut_torn_line(&mut self, torn: &[u8]) -> Result<(), LedgerError> {
        // The header appears whole or not at all, and a line over the bound was never written by `append`.
        if self.lines == 0 || torn.len() >= LINE_SIZE_MAX {
            return Err(LedgerError::Damaged { path: self.path.clone(), line: self.lines.saturating_add(1) });
        }
        if torn.is_empty() {
            return Ok(());
        }
        self.file.set_len(self.end).and_then(|()| self.file.sync_all()).map_err(|e| self.failed(e))
    }

    fn take_header(&self, bytes: &[u8]) -> Result<bool, LedgerError> {
        let Some(header) = parse_line::<Header>(bytes).filter(|h| h.kind == KIND_LEDGER) else { return Ok(false) };
        if header.key != self.key {
            let (came, expected) = (header.key.to_string(), self.key.to_string());
            return Err(LedgerError::OtherKey { came, expected });
        }
        Ok(true)
    }

    fn take_line(&mut self, bytes: &[u8]) -> bool {
        let above = |size: u64| self.newest().is_none_or(|(newest, _)| size > newest);
        let (size, root, taken) = match parse_line::<Line>(bytes) {
            Some(line) => {
                let again = self.places.get(&line.size).is_some_and(|p| p.taken && p.root == line.root);
                if !(above(line.size) || again) || self.read_signed(&line).is_none() {
                    return false;
                }
                (line.size, line.root, false)
            }
            None => match parse_line::<TakenLine>(bytes) {
                Some(line) if line.kind == KIND_TAKEN && line.key.name() == self.key.name() && above(line.size) => {
                    (line.size, line.root, true)
                }
                _ => return false,
            },
        };
        self.places.insert(size, Place { root, taken, offset: self.end, line: self.lines });
        true
    }

    fn read_signed(&self, line: &Line) -> Option<Signed> {
        let note = Note::parse(line.note.as_bytes()).ok()?;
        let checkpoint = Checkpoint::parse(note.text()).ok()?;
        let fits = line.kind == KIND_SIGNED
            && checkpoint.origin == self.key.name()
            && (checkpoint.size, checkpoint.root) == (line.size, line.root);
        let entries = line.entries.iter().map(|entry| BASE64.decode(entry.as_bytes()));
        fits.then_some(Signed { checkpoint, entries: entries.collect::<Result<_, _>>().ok()?, note })
    }

    fn failed(&self, source: io::Error) -> LedgerError {
        LedgerError::File { path: self.path.clone(), source }
    }
}

fn line_of(value: &impl Serialize) -> Vec<u8> {
    let json = serde_json::to_vec(value).expect("a record of the ledger has only string keys");
    let mut line = Digest::of(&json).to_string().into_bytes();
    line.push(b' ');
    line.extend_from_slice(&json);
    line.push(b'\n');
    line
}

fn parse_line<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Option<T> {
    let (sum, rest) = bytes.split_at_checked(64)?;
    let json = rest.strip_prefix(b" ")?.strip_suffix(b"\n")?;
    let sum = Digest::from_hex(std::str::from_utf8(sum).ok()?)?;
    (sum == Digest::of(json)).then(|| serde_json::from_slice(json).ok()).flatten()
}

/// Reads a line with its line feed; without one at the end of the file or at the bound.
fn read_line(reader: &mut impl io::BufRead) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(LINE_SIZE_MAX as u64).read_until(b'\n', &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use standfast_protocol::key::{SecretKey, origin_of};
    use standfast_protocol::log::merkle::{Tree, leaf_hash};

    use super::*;

    pub(super) struct Desk {
        dir: tempfile::TempDir,
        pub(super) path: PathBuf,
        pub(super) key: VerifierKey,
        secret: SecretKey,
    }

    /// Returns the log whose leaves are `leaves`.
    fn log(leaves: &[u8]) -> Tree {
        let mut tree = Tree::default();
        leaves.iter().for_each(|leaf| tree.push(leaf_hash(&[*leaf])));
        tree
    }

    impl Desk {
        pub(super) fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let secret = SecretKey::from_seed(&[7; 32]);
            let origin = origin_of("transport.gov.example/register", &secret.public());
            let key = VerifierKey::new(&origin, Algorithm::Note, secret.public()).unwrap();
            let path = dir.path().join("transport.ledger");
            Ledger::create(&path, &key).unwrap();
            Self { dir, path, key, secret }
        }

        pub(super) fn marks(&self) -> PathBuf {
            self.dir.path().join("marks")
        }

        pub(super) fn open(&self) -> Ledger {
            Ledger::open(&self.path, &self.key).unwrap()
        }

        fn checkpoint(&self, leaves: &[u8]) -> Checkpoint {
            let tree = log(leaves);
            Checkpoint { origin: self.key.name().to_owned(), size: tree.size(), root: tree.root() }
        }

        /// Signs the log of `leaves` on the ground that is one leaf shorter.
        pub(super) fn sign(&self, ledger: &mut Ledger, leaves: &[u8]) -> Result<Signed, LedgerError> {
            let since = ledger.newest().map_or(0, |(size, _)| size);
            let (ground, last) = leaves.split_at(leaves.len().saturating_sub(1));
            let tree = log(ground);
            let edge = tree.edge(tree.size()).unwrap();
            let proof = tree.consistency(since, tree.size()).unwrap_or_default();
            let entries: Vec<Vec<u8>> = last.iter().map(|leaf| vec![*leaf]).collect();
            let ground = Ground { edge: &edge, proof: &proof };
            ledger.sign(&self.checkpoint(leaves), &entries, &ground, &self.secret)
        }
    }

    #[test]
    fn refuses_another_root_at_a_signed_size() {
        let desk = Desk::new();
        let mut ledger = desk.open();
        desk.sign(&mut ledger, b"a").unwrap();
        assert!(matches!(desk.sign(&mut ledger, b"b"), Err(LedgerError::Signed { size: 1, .. })));
        drop(ledger);
        assert!(matches!(desk.sign(&mut desk.open(), b"b"), Err(LedgerError::Signed { size: 1, .. })));
    }

    #[test]
    fn a_retry_returns_the_same_bytes_also_after_a_restart() {
        let desk = Desk::new();
        let first = desk.sign(&mut desk.open(), b"a").unwrap();
        let mut ledger = desk.open();
        assert_eq!(desk.sign(&mut ledger, b"a").unwrap(), first);
        assert_eq!(ledger.signed(1).unwrap().unwrap(), first);
        let second = desk.sign(&mut ledger, b"ab").unwrap();
        assert_eq!(second.entries, [b"b".to_vec()]);
        assert_eq!(ledger.signed_above(0).unwrap(), [first, second.clone()]);
        assert_eq!(ledger.signed_above(1).unwrap(), [second]);
        assert_eq!(std::fs::read_to_string(&desk.path).unwrap().lines().count(), 3);
    }

    #[test]
    fn refuses_to_go_back_and_to_diverge() {
        let desk = Desk::new();
        let mut ledger = desk.open();
        desk.sign(&mut ledger, b"abc").unwrap();
        assert!(matches!(desk.sign(&mut ledger, b"ab"), Err(LedgerError::Behind { size: 2, newest: 3 })));
        assert!(matches!(desk.sign(&mut ledger, b"abxd"), Err(LedgerError::Diverges { size: 4, newest: 3 })));
        let mut other = desk.checkpoint(b"abcd");
        other.origin = "police.gov.example".to_owned();
        let (edge, proof) = (log(b"abc").edge(3).unwrap(), []);
        let ground = Ground { edge: &edge, proof: &proof };
        let refused = ledger.sign(&other, &[], &ground, &desk.secret);
        assert!(matches!(refused, Err(LedgerError::OtherRegister { .. })));
        let refused = ledger.sign(&desk.checkpoint(b"abcd"), &[b"x".to_vec()], &ground, &desk.secret);
        assert!(matches!(refused, Err(LedgerError::Entries { size: 4 })));
        desk.sign(&mut ledger, b"abcd").unwrap();
        desk.sign(&mut ledger, b"abcdef").unwrap();
    }

    #[test]
    fn an_empty_register_is_signed_like_any_other() {
        let desk = Desk::new();
        let mut ledger = desk.open();
        desk.sign(&mut ledger, b"").unwrap();
        desk.sign(&mut ledger, b"a").unwrap();
        assert_eq!(desk.checkpoint(b"a").root, ledger.newest().unwrap().1);
    }

    #[test]
    fn a_torn_last_line_is_cut_at_every_byte() {
        let desk = Desk::new();
        let mut ledger = desk.open();
        desk.sign(&mut ledger, b"a").unwrap();
        let whole = std::fs::read(&desk.path).unwrap();
        desk.sign(&mut ledger, b"ab").unwrap();
        drop(ledger);
        let both = std::fs::read(&desk.path).unwrap();
        for cut in whole.len()..both.len() {
            std::fs::write(&desk.path, &both[..cut]).unwrap();
            let mut ledger = desk.open();
            assert_eq!(ledger.newest().unwrap().0, 1, "cut at {cut}");
            desk.sign(&mut ledger, b"ax").unwrap();
            drop(ledger);
            assert_eq!(desk.open().newest(), Some((2, log(b"ax").root())));
        }
    }

    #[test]
    fn damage_elsewhere_is_an_error() {
        let desk = Desk::new();
        let mut ledger = desk.open();
        desk.sign(&mut ledger, b"a").unwrap();
        desk.sign(&mut ledger, b"ab").unwrap();
        drop(ledger);
        let whole = std::fs::read(&desk.path).unwrap();
        // Without its line feed the last line is a torn one: see above.
        for at in (0..whole.len() - 1).step_by(37) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&desk.path, &bytes).unwrap();
            assert!(Ledger::open(&desk.path, &desk.key).is_err(), "byte {at}");
        }
        std::fs::write(&desk.path, b"").unwrap();
        assert!(matches!(Ledger::open(&desk.path, &desk.key), Err(LedgerError::Damaged { .. })));
    }

    /// A second key of the desk's register, with a ledger of its own.
    fn successor(desk: &Desk) -> (SecretKey, PathBuf, VerifierKey) {
        let secret = SecretKey::from_seed(&[8; 32]);
        let key = VerifierKey::new(desk.key.name(), Algorithm::Note, secret.public()).unwrap();
        let path = desk.path.with_extension("next");
        Ledger::create(&path, &key).unwrap();
        (secret, path, key)
    }

    fn sign_next(desk: &Desk, ledger: &mut Ledger, leaves: &[u8], secret: &SecretKey) -> Result<Signed, LedgerError> {
        let since = ledger.newest().map_or(0, |(size, _)| size);
        let (ground, last) = leaves.split_at(leaves.len().saturating_sub(1));
        let tree = log(ground);
        let edge = tree.edge(tree.size()).unwrap();
        let proof = tree.consistency(since, tree.size()).unwrap_or_default();
        let entries: Vec<Vec<u8>> = last.iter().map(|leaf| vec![*leaf]).collect();
        ledger.sign(&desk.checkpoint(leaves), &entries, &Ground { edge: &edge, proof: &proof }, secret)
    }

    #[test]
    fn a_new_key_contradicts_nothing_that_the_old_one_signed() {
        let desk = Desk::new();
        let mut old = desk.open();
        for leaves in [b"a".as_slice(), b"ab", b"abc"] {
            desk.sign(&mut old, leaves).unwrap();
        }
        let (secret, path, key) = successor(&desk);
        let mut new = Ledger::open(&path, &key).unwrap();
        new.take_over(&old).unwrap();
        assert_eq!(new.newest(), old.newest());
        assert_eq!(new.signed(3).unwrap(), None, "the new key has signed nothing yet");
        let refused = sign_next(&desk, &mut new, b"abx", &secret);
        assert!(matches!(refused, Err(LedgerError::Signed { size: 3, .. })));
        assert!(matches!(sign_next(&desk, &mut new, b"ax", &secret), Err(LedgerError::Signed { size: 2, .. })));
        let again = sign_next(&desk, &mut new, b"abc", &secret).unwrap();
        assert_eq!(again.checkpoint, old.signed(3).unwrap().unwrap().checkpoint, "the same text, so cosignatures hold");
        drop(new);
        // All of it after a restart, the old ledger gone.
        let mut new = Ledger::open(&path, &key).unwrap();
        assert_eq!(new.signed(3).unwrap(), Some(again.clone()));
        assert_eq!(sign_next(&desk, &mut new, b"abc", &secret).unwrap(), again);
        assert!(matches!(sign_next(&desk, &mut new, b"ax", &secret), Err(LedgerError::Signed { size: 2, .. })));
        assert!(matches!(sign_next(&desk, &mut new, b"abxy", &secret), Err(LedgerError::Diverges { size: 4, .. })));
        sign_next(&desk, &mut new, b"abcd", &secret).unwrap();
    }

    #[test]
    fn taking_over_twice_writes_once_and_takes_what_is_new() {
        let desk = Desk::new();
        let mut old = desk.open();
        desk.sign(&mut old, b"a").unwrap();
        let (secret, path, key) = successor(&desk);
        let mut new = Ledger::open(&path, &key).unwrap();
        new.take_over(&old).unwrap();
        let length = std::fs::metadata(&path).unwrap().len();
        new.take_over(&old).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), length);
        desk.sign(&mut old, b"ab").unwrap();
        assert!(sign_next(&desk, &mut new, b"ax", &secret).is_ok(), "nothing of size 2 was taken over yet");
        assert!(matches!(new.take_over(&old), Err(LedgerError::Signed { size: 2, .. })));
    }

    #[test]
    fn a_torn_take_over_is_taken_again() {
        let desk = Desk::new();
        let mut old = desk.open();
        for leaves in [b"a".as_slice(), b"ab", b"abc"] {
            desk.sign(&mut old, leaves).unwrap();
        }
        let (_, path, key) = successor(&desk);
        let header = std::fs::read(&path).unwrap();
        Ledger::open(&path, &key).unwrap().take_over(&old).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in header.len()..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut new = Ledger::open(&path, &key).unwrap();
            new.take_over(&old).unwrap();
            drop(new);
            assert_eq!(std::fs::read(&path).unwrap(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn one_process_and_one_key_at_a_time() {
        let desk = Desk::new();
        let open = desk.open();
        assert!(matches!(Ledger::open(&desk.path, &desk.key), Err(LedgerError::Locked(_))));
        drop(open);
        let secret = SecretKey::from_seed(&[8; 32]);
        let other = VerifierKey::new(desk.key.name(), Algorithm::Note, secret.public()).unwrap();
        assert!(matches!(Ledger::open(&desk.path, &other), Err(LedgerError::OtherKey { .. })));
        let ground = Ground { edge: &Edge::default(), proof: &[] };
        let refused = desk.open().sign(&desk.checkpoint(b"a"), &[], &ground, &secret);
        assert!(matches!(refused, Err(LedgerError::OtherKey { .. })));
        assert!(matches!(Ledger::create(&desk.path, &desk.key), Err(LedgerError::Exists(_))));
    }
}
