//! One branch of a register's log: its entries, hashes, checkpoints and states.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::entry::{Entry, EntryError};
use super::record::RecordKey;
use super::witnessing::Witnessing;
use crate::digest::Digest;
use crate::limits;
use crate::log::checkpoint::SignedHead;
use crate::log::cosignature::Cosignature;
use crate::log::merkle::{Edge, Tree};
use crate::trie::Trie;

/// A checkpoint of a branch: the head as the publisher signed it, and the newest cosignature of each witness.
#[derive(Debug, Clone)]
pub struct Stand {
    head: SignedHead,
    cosignatures: BTreeMap<String, Cosignature>,
}

impl Stand {
    pub(super) fn new(head: SignedHead) -> Self {
        Self { head, cosignatures: BTreeMap::new() }
    }

    /// Returns the head.
    pub fn head(&self) -> &SignedHead {
        &self.head
    }

    /// Visits the newest cosignature of each witness, by the witnesses' names.
    pub fn cosignatures(&self) -> impl ExactSizeIterator<Item = &Cosignature> {
        self.cosignatures.values()
    }

    /// Returns the newest cosignature of a witness.
    pub fn cosignature(&self, witness: &str) -> Option<&Cosignature> {
        self.cosignatures.get(witness)
    }

    fn is_quorum(&self, witnessing: &Witnessing) -> bool {
        witnessing.is_met_by(|name| self.cosignatures.contains_key(name))
    }

    /// Keeps a cosignature when it is newer than that of the same witness.
    fn add(&mut self, cosignature: Cosignature) -> bool {
        let newer = self.cosignatures.get(cosignature.witness()).is_none_or(|old| old.time() < cosignature.time());
        if newer {
            self.cosignatures.insert(cosignature.witness().to_owned(), cosignature);
        }
        newer
    }
}

/// Entries in pieces that clones share.
#[derive(Debug, Clone, Default)]
struct Entries(Vec<Arc<Vec<Entry>>>);

/// Entries in one piece.
const PIECE: usize = 256;

impl Entries {
    fn len(&self) -> usize {
        self.0.len().saturating_sub(1) * PIECE + self.0.last().map_or(0, |piece| piece.len())
    }

    fn get(&self, place: usize) -> Option<&Entry> {
        self.0.get(place / PIECE)?.get(place % PIECE)
    }

    fn push(&mut self, entry: Entry) {
        match self.0.last_mut() {
            Some(piece) if piece.len() < PIECE => Arc::make_mut(piece).push(entry),
            _ => self.0.push(Arc::new(vec![entry])),
        }
    }

    fn truncate(&mut self, len: usize) {
        self.0.truncate(len.div_ceil(PIECE));
        let full = self.0.len().saturating_sub(1) * PIECE;
        if let Some(piece) = self.0.last_mut() {
            Arc::make_mut(piece).truncate(len - full);
        }
    }
}

/// A log from a size on; from 0, or from a point at which its state was taken as such.
#[derive(Debug, Clone, Default)]
pub(super) struct Branch {
    base: u64,
    /// The entry before the base, with the proof that it is the last one there.
    before: Option<Arc<(Entry, Vec<Digest>)>>,
    tree: Tree,
    entries: Entries,
    stands: BTreeMap<u64, Arc<Stand>>,
    /// Sizes of the checkpoints that a quorum of admitting witnesses has cosigned.
    quorums: BTreeSet<u64>,
    /// States at the base, at the end, and at those sizes between that are likely to be asked for.
    states: BTreeMap<u64, Trie>,
    pins: BTreeSet<u64>,
}

impl Branch {
    pub(super) fn new() -> Self {
        Self { states: [(0, Trie::default())].into(), ..Self::default() }
    }

    /// A branch that starts behind `before`, the last entry of `edge`, in this state.
    pub(super) fn from_edge(edge: &Edge, before: Option<Arc<(Entry, Vec<Digest>)>>, state: Trie) -> Self {
        let states = [(edge.size(), state)].into();
        Self { base: edge.size(), before, tree: Tree::from_edge(edge), states, ..Self::default() }
    }

    pub(super) fn base(&self) -> u64 {
        self.base
    }

    pub(super) fn size(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(super) fn entry(&self, number: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(number.checked_sub(self.base)?).ok()?)
    }

    /// Entries `from..to`, as far as they are held.
    pub(super) fn range(&self, from: u64, to: u64) -> impl Iterator<Item = &Entry> + '_ {
        (from.max(self.base)..to.min(self.size())).filter_map(|number| self.entry(number))
    }

    pub(super) fn proof_of_last(&self, size: u64) -> Option<(&Entry, Vec<Digest>)> {
        if size == self.base {
            return self.before.as_deref().map(|(entry, proof)| (entry, proof.clone()));
        }
        let last = size.checked_sub(1)?;
        Some((self.entry(last)?, self.tree.inclusion(last, size)?))
    }

    pub(super) fn stand(&self, size: u64) -> Option<&Arc<Stand>> {
        self.stands.get(&size)
    }

    pub(super) fn stands(&self) -> &BTreeMap<u64, Arc<Stand>> {
        &self.stands
    }

    /// The newest head that lies on this branch.
    pub(super) fn newest(&self) -> Option<&Arc<Stand>> {
        self.stands.last_key_value().map(|(_, stand)| stand)
    }

    /// Largest quorum checkpoint in a range of sizes.
    pub(super) fn quorum_in(&self, from: Bound<u64>, to: Bound<u64>) -> Option<u64> {
        self.quorums.range((from, to)).next_back().copied()
    }

    /// Appends valid entries; stops at the first that is not.
    pub(super) fn extend(&mut self, leaves: &[Bytes]) -> Result<(), EntryError> {
        let Some((_, mut state)) = self.states.last_key_value().map(|(n, s)| (*n, s.clone())) else { return Ok(()) };
        let start = self.size();
        let appended = leaves.iter().try_for_each(|leaf| {
            let entry = Entry::decode(leaf.clone())?;
            state = entry.apply(&state)?;
            self.tree.push(entry.leaf_hash());
            self.entries.push(entry);
            Ok(())
        });
        if self.size() > start {
            self.keep_state(self.size(), state);
            self.drop_state(start);
        }
        appended
    }

    /// Keeps a head of exactly this branch; a second one of the same checkpoint adds its signatures.
    pub(super) fn remember(&mut self, head: SignedHead) {
        let size = head.checkpoint().size;
        match self.stands.get_mut(&size) {
            Some(stand) if head.signers().iter().all(|key| stand.head.signers().contains(key)) => (),
            Some(stand) => drop(Arc::make_mut(stand).head.join(&head)),
            None => drop(self.stands.insert(size, Arc::new(Stand::new(head)))),
        }
    }

    /// Keeps a cosignature of a checkpoint that is remembered; false when there is none, or the cosignature is not newer.
    pub(super) fn add(&mut self, cosignature: Cosignature, witnessing: &Witnessing) -> bool {
        let size = cosignature.checkpoint().size;
        let Some(stand) = self.stands.get_mut(&size) else { return false };
        if stand.head.checkpoint() != cosignature.checkpoint() || !witnessing.hears_cosignature(&cosignature) {
            return false;
        }
        let known = stand.cosignature(cosignature.witness()).is_some_and(|old| old.time() >= cosignature.time());
        if known || !Arc::make_mut(stand).add(cosignature) {
            return false;
        }
        if stand.is_quorum(witnessing) {
            self.quorums.insert(size);
        }
        true
    }

    /// Finds the quorum checkpoints again, under another policy.
    pub(super) fn count_quorums(&mut self, witnessing: &Witnessing) {
        let met = self.stands.iter().filter(|(_, stand)| stand.is_quorum(witnessing));
        self.quorums = met.map(|(size, _)| *size).collect();
    }

    /// Forgets checkpoints below `w` but for the last quorums, and states that nobody is likely to ask for.
    pub(super) fn forget_below(&mut self, w: u64) {
        let extra = self.quorums.range(..w).count().saturating_sub(limits::CHECKPOINTS_KEPT);
        let old: Vec<_> = self.quorums.iter().copied().take(extra).filter(|size| *size > self.base).collect();
        for size in old {
            self.quorums.remove(&size);
        }
        let idle: Vec<_> = self.stands.range(..w).map(|(s, _)| *s).filter(|s| !self.quorums.contains(s)).collect();
        for size in idle {
            self.stands.remove(&size);
        }
        let states: Vec<_> = self.states.range(..w).map(|(size, _)| *size).collect();
        for size in states.into_iter().filter(|size| *size != self.base && !self.pins.contains(size)) {
            self.states.remove(&size);
        }
    }

    /// Keeps the state at `size` at hand from now on.
    pub(super) fn pin(&mut self, size: u64) {
        if let Some(state) = self.state_at(size) {
            self.pins.insert(size);
            self.states.insert(size, state);
        }
    }

    pub(super) fn keep_state(&mut self, size: u64, state: Trie) {
        self.states.insert(size, state);
    }

    /// Drops the state that stood at the end before, unless it is the base, pinned, or that of a checkpoint.
    fn drop_state(&mut self, size: u64) {
        if size != self.base && !self.pins.contains(&size) && !self.stands.contains_key(&size) {
            self.states.remove(&size);
        }
    }

    /// The state after `size` entries: at hand, or replayed from the nearest before.
    pub(super) fn state_at(&self, size: u64) -> Option<Trie> {
        if size > self.size() {
            return None;
        }
        let (start, state) = self.states.range(..=size).next_back()?;
        let mut state = state.clone();
        for change in self.range(*start, size).flat_map(Entry::changes) {
            match change.digest {
                Some(digest) => state.put(change.key.to_bytes(), digest),
                None => drop(state.remove(change.key.as_str().as_bytes())),
            }
        }
        Some(state)
    }

    pub(super) fn state(&self, size: u64) -> Option<&Trie> {
        self.states.get(&size)
    }

    /// The digest of a record after `size` entries.
    pub(super) fn digest_at(&self, size: u64, key: &RecordKey) -> Option<Digest> {
        let (start, state) = self.states.range(..=size).next_back()?;
        let later = (*start..size).rev().filter_map(|number| change_of(self.entry(number)?, key)).next();
        later.unwrap_or_else(|| state.get(key.as_str().as_bytes()))
    }

    /// The digest of a record at `since`, and after each later entry that changes it.
    pub(super) fn versions(&self, key: &RecordKey, since: u64) -> Vec<Option<Digest>> {
        let mut found = vec![self.digest_at(since, key)];
        found.extend(self.range(since, self.size()).filter_map(|entry| change_of(entry, key)));
        found
    }

    /// Cuts the branch at `size` and returns what was behind as a branch of its own.
    pub(super) fn split(&mut self, size: u64) -> Option<Branch> {
        let state = self.state_at(size)?;
        let edge = self.tree.edge(size)?;
        let before = self.proof_of_last(size).map(|(entry, proof)| Arc::new((entry.clone(), proof)));
        let mut tail = Branch::from_edge(&edge, before, state.clone());
        for entry in self.range(size, self.size()) {
            tail.tree.push(entry.leaf_hash());
            tail.entries.push(entry.clone());
        }
        let behind = size.checked_add(1)?;
        tail.stands = self.stands.split_off(&behind);
        tail.quorums = self.quorums.split_off(&behind);
        tail.states.extend(self.states.split_off(&behind));
        tail.pins = self.pins.split_off(&behind);
        self.states.insert(size, state);
        self.tree.truncate(size);
        self.entries.truncate(usize::try_from(size - self.base).ok()?);
        Some(tail)
    }

    /// Appends a branch that starts where this one ends.
    pub(super) fn join(&mut self, tail: Branch) {
        for entry in tail.range(tail.base, tail.size()) {
            self.tree.push(entry.leaf_hash());
            self.entries.push(entry.clone());
        }
        self.stands.extend(tail.stands);
        self.quorums.extend(tail.quorums);
        self.states.extend(tail.states);
        self.pins.extend(tail.pins);
    }
}

/// What an entry makes of a record: its new digest, `None` when it removes it; nothing when it leaves it alone.
pub(super) fn change_of(entry: &Entry, key: &RecordKey) -> Option<Option<Digest>> {
    let changes = entry.changes();
    let place = changes.binary_search_by(|change| change.key.cmp(key)).ok()?;
    changes.get(place).map(|change| change.digest)
}
