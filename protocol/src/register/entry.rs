//! Entries: the leaves of a register's log, each a set of changes and the root of the state after them.
//!
//! ```text
//! entry  = { 0: 1, 1: time, 2: [+ change], 3: state-root }     deterministic CBOR, at most 16 KiB
//! change = [0, key, digest]        put; digest: SHA-256 of the record's canonical body
//!        / [1, key]                remove, of a key that is present
//! ```
//!
//! Changes ascend strictly by the bytes of their keys. Whether an entry is valid depends on its bytes and on the state
//! before it, never on bodies.

use std::sync::Arc;

use bytes::Bytes;

use super::record::{KeyFormError, RecordKey};
use crate::codec::{self, CborError, Reader, Writer};
use crate::digest::Digest;
use crate::limits;
use crate::log::merkle;
use crate::time::Time;
use crate::trie::Trie;

/// Why bytes are not an entry, or why an entry does not follow a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// An entry of a later version. It is not invalid: a newer program can read it.
    #[error("upgrade needed: the entry is of version {version}, this program reads version 1")]
    UpgradeNeeded {
        /// The version that the entry names.
        version: u64,
    },
    /// More bytes than an entry may have.
    #[error("expected an entry of at most {max} bytes, {0} came", max = limits::ENTRY_SIZE_MAX)]
    TooLarge(usize),
    /// Not deterministic CBOR.
    #[error("the entry is not deterministic cbor")]
    Cbor(#[from] CborError),
    /// Not a map.
    #[error("expected a map")]
    NotAMap,
    /// Other members than 0 to 3.
    #[error("expected exactly the members 0, 1, 2 and 3")]
    Members,
    /// A version other than a number, or 0.
    #[error("expected version 1")]
    Version,
    /// A time that is not an unsigned integer.
    #[error("expected a time in posix seconds")]
    TimeType,
    /// A time after the year 9999.
    #[error("expected a time of at most {max}, {0} came", max = Time::END.secs())]
    TimeRange(u64),
    /// Changes that are not an array.
    #[error("expected an array of changes")]
    ChangesType,
    /// No change.
    #[error("expected at least one change")]
    ChangesEmpty,
    /// A change that is neither `[0, key, digest]` nor `[1, key]`.
    #[error("expected a change `[0, key, digest]` or `[1, key]`")]
    ChangeShape,
    /// A change of another kind than put (0) and remove (1).
    #[error("expected a change of kind 0 or 1")]
    ChangeKind,
    /// A record key that is not text.
    #[error("expected a record key as text")]
    KeyType,
    /// A record key that is not well formed.
    #[error("a record key is not well formed")]
    Key(#[from] KeyFormError),
    /// A digest that is not a byte string.
    #[error("expected a digest as a byte string")]
    DigestType,
    /// A digest of another length.
    #[error("expected a digest of 32 bytes, {0} came")]
    DigestLength(usize),
    /// Two changes of one key.
    #[error("two changes of the key {0}")]
    DuplicateKey(RecordKey),
    /// Keys that do not ascend.
    #[error("expected keys that ascend by their bytes, {0} came too late")]
    KeyOrder(RecordKey),
    /// A state root that is not a byte string.
    #[error("expected a state root as a byte string")]
    RootType,
    /// A state root of another length.
    #[error("expected a state root of 32 bytes, {0} came")]
    RootLength(usize),
    /// A remove of a key that is not there.
    #[error("there is no {0} to remove")]
    RemoveAbsent(RecordKey),
    /// A change of a record that never changes once it is there.
    #[error("{0} is there already and is never changed or removed")]
    WriteOnce(RecordKey),
    /// Another state root than that of the state after the changes.
    #[error("expected state root {expected}, {found} came")]
    StateRoot {
        /// The root of the state after the changes.
        expected: Digest,
        /// The root that the entry names.
        found: Digest,
    },
}

/// A change of one record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Change {
    /// The record's key.
    pub key: RecordKey,
    /// The digest of the record's new body; `None` removes the record.
    pub digest: Option<Digest>,
}

/// An entry that is well formed, with the bytes it came in. Clones share everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    bytes: Bytes,
    time: u64,
    changes: Arc<[Change]>,
    state_root: Digest,
}

impl Entry {
    /// Reads an entry, whole or not at all. Looks at no state and at no body.
    pub fn decode(bytes: Bytes) -> Result<Self, EntryError> {
        if bytes.len() > limits::ENTRY_TRANSPORT_SIZE_MAX {
            return Err(EntryError::TooLarge(bytes.len()));
        }
        if let Some(version) = later_version(&bytes) {
            return Err(EntryError::UpgradeNeeded { version });
        }
        if bytes.len() > limits::ENTRY_SIZE_MAX {
            return Err(EntryError::TooLarge(bytes.len()));
        }
        codec::check(&bytes, limits::ENTRY_DEPTH_MAX)?;
        let (time, changes, state_root) = read(&bytes)?;
        Ok(Self { bytes, time, changes: changes.into(), state_root })
    }

    /// Makes the entry with these changes, in any order, to the state `before`; returns it with the state after it.
    pub fn draft(before: &Trie, time: Time, changes: Vec<Change>) -> Result<(Self, Trie), EntryError> {
        let mut changes = changes;
        if changes.is_empty() {
            return Err(EntryError::ChangesEmpty);
        }
        changes.sort_by(|a, b| a.key.cmp(&b.key));
        check_order(&changes)?;
        let after = changed(before, &changes)?;
        let (time, state_root) = (time.secs(), after.root());
        let bytes = Bytes::from(encode(time, &changes, state_root));
        if bytes.len() > limits::ENTRY_SIZE_MAX {
            return Err(EntryError::TooLarge(bytes.len()));
        }
        Ok((Self { bytes, time, changes: changes.into(), state_root }, after))
    }

    /// Returns the bytes as received: the leaf of the log.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the hash of the leaf (RFC 6962 §2.1).
    pub fn leaf_hash(&self) -> Digest {
        merkle::leaf_hash(&self.bytes)
    }

    /// Returns the time that the publisher claims, in POSIX seconds. Nothing is ordered or judged by it.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// Returns the changes, ascending by key.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Returns the root that the state has after the changes.
    pub fn state_root(&self) -> Digest {
        self.state_root
    }

    /// Returns the state after this entry when it may follow the state `before`.
    pub fn apply(&self, before: &Trie) -> Result<Trie, EntryError> {
        let after = changed(before, &self.changes)?;
        let expected = after.root();
        if expected == self.state_root {
            Ok(after)
        } else {
            Err(EntryError::StateRoot { expected, found: self.state_root })
        }
    }
}

/// The version of bytes that open as `{0: number`, when it is above 1. Nothing after the number is read; whatever else
/// is wrong is a fault of version 1.
fn later_version(bytes: &[u8]) -> Option<u64> {
    let mut reader = Reader::new(bytes);
    let pairs = reader.map_head().ok()?;
    reader.key(0).ok()?;
    reader.uint().ok().filter(|version| pairs > 0 && *version > 1)
}

fn read(bytes: &[u8]) -> Result<(u64, Vec<Change>, Digest), EntryError> {
    let mut reader = Reader::new(bytes);
    let member = |reader: &mut Reader<'_>, key| reader.key(key).map_err(|_| EntryError::Members);
    if reader.map().map_err(|e| or_cbor(e, EntryError::NotAMap))? != 4 {
        return Err(EntryError::Members);
    }
    member(&mut reader, 0)?;
    if reader.uint().map_err(|e| or_cbor(e, EntryError::Version))? != 1 {
        return Err(EntryError::Version);
    }
    member(&mut reader, 1)?;
    let time = reader.uint().map_err(|e| or_cbor(e, EntryError::TimeType))?;
    if time > Time::END.secs() {
        return Err(EntryError::TimeRange(time));
    }
    member(&mut reader, 2)?;
    let count = reader.array().map_err(|e| or_cbor(e, EntryError::ChangesType))?;
    if count == 0 {
        return Err(EntryError::ChangesEmpty);
    }
    let changes = (0..count).map(|_| read_change(&mut reader)).collect::<Result<Vec<_>, _>>()?;
    check_order(&changes)?;
    member(&mut reader, 3)?;
    let root = reader.bytes().map_err(|e| or_cbor(e, EntryError::RootType))?;
    let state_root = Digest::from_slice(root).ok_or(EntryError::RootLength(root.len()))?;
    reader.finish()?;
    Ok((time, changes, state_root))
}

fn read_change(reader: &mut Reader<'_>) -> Result<Change, EntryError> {
    let parts = reader.array().map_err(|e| or_cbor(e, EntryError::ChangeShape))?;
    if parts == 0 {
        return Err(EntryError::ChangeShape);
    }
    let put = match reader.uint().map_err(|e| or_cbor(e, EntryError::ChangeKind))? {
        0 => true,
        1 => false,
        _ => return Err(EntryError::ChangeKind),
    };
    if parts != if put { 3 } else { 2 } {
        return Err(EntryError::ChangeShape);
    }
    let key = RecordKey::parse(reader.text().map_err(|e| or_cbor(e, EntryError::KeyType))?)?;
    if !put {
        return Ok(Change { key, digest: None });
    }
    let digest = reader.bytes().map_err(|e| or_cbor(e, EntryError::DigestType))?;
    let digest = Digest::from_slice(digest).ok_or(EntryError::DigestLength(digest.len()))?;
    Ok(Change { key, digest: Some(digest) })
}

/// An item of another type is the fault that the caller names; all else is a fault of the encoding.
fn or_cbor(error: CborError, of_type: EntryError) -> EntryError {
    if matches!(error, CborError::Type { .. }) { of_type } else { error.into() }
}

fn check_order(changes: &[Change]) -> Result<(), EntryError> {
    for pair in changes.windows(2) {
        let [a, b] = pair else { continue };
        if a.key == b.key {
            return Err(EntryError::DuplicateKey(b.key.clone()));
        }
        if a.key > b.key {
            return Err(EntryError::KeyOrder(b.key.clone()));
        }
    }
    Ok(())
}

fn encode(time: u64, changes: &[Change], state_root: Digest) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.map(4).uint(0).uint(1).uint(1).uint(time).uint(2).array(changes.len());
    for change in changes {
        match change.digest {
            Some(digest) => writer.array(3).uint(0).text(change.key.as_str()).bytes(digest.as_bytes()),
            None => writer.array(2).uint(1).text(change.key.as_str()),
        };
    }
    writer.uint(3).bytes(state_root.as_bytes());
    writer.into_bytes()
}

/// The state after changes of different keys, when each of them is allowed.
fn changed(before: &Trie, changes: &[Change]) -> Result<Trie, EntryError> {
    let mut after = before.clone();
    for Change { key, digest } in changes {
        let present = before.contains(key.as_str().as_bytes());
        if digest.is_none() && !present {
            return Err(EntryError::RemoveAbsent(key.clone()));
        }
        if present && key.is_write_once() {
            return Err(EntryError::WriteOnce(key.clone()));
        }
        match digest {
            Some(digest) => after.put(key.to_bytes(), *digest),
            None => drop(after.remove(key.as_str().as_bytes())),
        }
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> RecordKey {
        RecordKey::parse(text).expect("a key")
    }

    fn put(text: &str) -> Change {
        Change { key: key(text), digest: Some(Digest::of(text.as_bytes())) }
    }

    fn remove(text: &str) -> Change {
        Change { key: key(text), digest: None }
    }

    fn draft(before: &Trie, changes: Vec<Change>) -> Result<(Entry, Trie), EntryError> {
        Entry::draft(before, Time::from_secs_saturating(1_790_000_000), changes)
    }

    #[test]
    fn decodes_and_applies_what_it_drafts() {
        let (first, state) =
            draft(&Trie::default(), vec![put("notice/2"), put("did/did:web:a.example")]).expect("valid");
        let (second, after) = draft(&state, vec![remove("notice/2"), put("context/u")]).expect("valid");
        assert_eq!(first.changes().first().map(|c| c.key.prefix()), Some("did"));
        let mut held = Trie::default();
        for entry in [first, second] {
            let read = Entry::decode(entry.bytes().clone()).expect("well formed");
            assert_eq!(read, entry);
            held = read.apply(&held).expect("valid");
        }
        assert_eq!(held, after);
    }

    #[test]
    fn refuses_to_draft_what_would_be_invalid() {
        let (_, state) = draft(&Trie::default(), vec![put("context/u")]).expect("valid");
        let refused = |changes| draft(&state, changes).map(drop).expect_err("invalid");
        assert_eq!(refused(vec![]), EntryError::ChangesEmpty);
        assert_eq!(refused(vec![put("context/u")]), EntryError::WriteOnce(key("context/u")));
        assert_eq!(refused(vec![remove("context/u")]), EntryError::WriteOnce(key("context/u")));
        assert_eq!(refused(vec![remove("context/v")]), EntryError::RemoveAbsent(key("context/v")));
        assert_eq!(refused(vec![put("did/a"), remove("did/a")]), EntryError::DuplicateKey(key("did/a")));
        let many = (0..1000).map(|n| put(&format!("notice/{n}"))).collect();
        assert!(matches!(refused(many), EntryError::TooLarge(_)));
    }

    #[test]
    fn refuses_to_follow_another_state() {
        let (_, state) = draft(&Trie::default(), vec![put("notice/1")]).expect("valid");
        let (entry, _) = draft(&state, vec![put("notice/2")]).expect("valid");
        assert!(matches!(entry.apply(&Trie::default()), Err(EntryError::StateRoot { .. })));
    }

    #[test]
    fn later_version_is_not_an_invalid_entry() {
        let cases: [(&[u8], Option<u64>); 6] = [
            (&[0xa2, 0x00, 0x02, 0xff, 0xff], Some(2)),
            (&[0xb8, 0x18, 0x00, 0x18, 0x20], Some(32)),
            (&[0xa1, 0x00, 0x01], None),
            (&[0xa0, 0x00, 0x02], None),
            (&[0xb8, 0x17, 0x00, 0x02], None),
            (&[0xa1, 0x00, 0x18, 0x02], None),
        ];
        for (bytes, version) in cases {
            let error = Entry::decode(Bytes::from_static(bytes)).expect_err("no entry of version 1");
            let found = if let EntryError::UpgradeNeeded { version } = error { Some(version) } else { None };
            assert_eq!(found, version, "{bytes:02x?}");
        }
    }
}
