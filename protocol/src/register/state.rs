//! A held register: both branches of its log, W and N, checkpoints with their cosignatures, fork proof and freeze
//! (`specs/register.md` §6).
//!
//! ```text
//! 0 ────────── W ─────── N          main: W the newest witnessed state, N the newest one; between them: pending
//!        └──────── …                other: the one other branch of a fork, from the fork point on
//! ```
//!
//! Order of calls: [`Register::new`] or [`Register::from_state`], then [`Register::admit`](super::admission) and
//! [`Register::add_cosignature`] in any order. Signatures are checked before: heads and cosignatures are types that only
//! a check makes. A clone shares nearly all of its memory.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use bytes::Bytes;

use super::branch::Branch;
pub use super::branch::Stand;
use super::entry::{Entry, EntryError};
use super::fork::{ForkError, ForkProof};
use super::record::RecordKey;
use super::unread::Unread;
pub use super::witnessing::Witnessing;
use crate::digest::Digest;
use crate::key::VerifierKey;
use crate::log::checkpoint::{Checkpoint, SignedHead};
use crate::log::cosignature::Cosignature;
use crate::log::merkle::{Edge, Tree};
use crate::trie::Trie;

/// A signed checkpoint with an invalid entry, which stops a register.
#[derive(Debug, Clone)]
pub struct Frozen {
    /// The head that commits to the entry.
    pub head: SignedHead,
    /// The number of the invalid entry.
    pub number: u64,
    /// The entry's bytes.
    pub entry: Bytes,
    /// What stands under the head after it, unread: with these anybody else can see that the head is the key's own.
    pub rest: Vec<Bytes>,
    /// Why it is invalid.
    pub error: EntryError,
}

impl Frozen {
    /// What stopped a branch that held `number` entries under `head`, of which these came after them.
    pub(super) fn at(head: SignedHead, number: u64, leaves: &[Bytes], error: EntryError) -> Self {
        let (entry, rest) =
            leaves.split_first().map_or((Bytes::new(), Vec::new()), |(e, rest)| (e.clone(), rest.to_vec()));
        Self { head, number, entry, rest, error }
    }

    /// Visits the entries from the invalid one on.
    pub fn leaves(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.entry).chain(&self.rest)
    }

    /// True when the invalid entry comes right after the last of this branch.
    fn continues(&self, branch: &Branch) -> bool {
        branch.ends_in(self.number, self.leaves(), &self.head)
    }
}

/// Why a state was not taken as a register's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The head is of another register, or not by its keys.
    #[error("expected a head of {0} by one of its keys")]
    NotBound(Arc<str>),
    /// No quorum of admitting witnesses.
    #[error("expected a head that a quorum of admitting witnesses has cosigned")]
    NoQuorum,
    /// The last entry is not the last leaf under the head.
    #[error("the entry is not the last one under the head")]
    LastEntry,
    /// Another state than the last entry names.
    #[error("expected a state of root {expected}, {found} came")]
    StateRoot {
        /// The root that the entry names.
        expected: Digest,
        /// The root of the state that came.
        found: Digest,
    },
}

/// One held register.
#[derive(Debug, Clone)]
pub struct Register {
    pub(super) origin: Arc<str>,
    pub(super) keys: Arc<[VerifierKey]>,
    witnessing: Arc<Witnessing>,
    pub(super) main: Branch,
    pub(super) other: Option<Branch>,
    pub(super) fork: Option<Arc<ForkProof>>,
    /// Whether the proof holds under the keys bound now, so that others can check it.
    fork_is_current: bool,
    pub(super) frozen: Option<Arc<Frozen>>,
    /// The largest head that the other branch cannot reach, for an entry under it is not valid.
    pub(super) stopped: Option<Arc<Frozen>>,
    pub(super) unread: Option<Arc<Unread>>,
    w: u64,
    /// The keys `trust/*/recognize/*` at W, sorted.
    recognitions: Arc<BTreeSet<RecordKey>>,
}

impl Register {
    /// Makes an empty register. `keys` are the verifier keys that any path or the charter binds to it now.
    pub fn new(origin: &str, keys: &[VerifierKey], witnessing: Arc<Witnessing>) -> Self {
        Self {
            origin: origin.into(),
            keys: keys.into(),
            witnessing,
            main: Branch::new(),
            other: None,
            fork: None,
            fork_is_current: false,
            frozen: None,
            stopped: None,
            unread: None,
            w: 0,
            recognitions: Arc::default(),
        }
    }

    /// Makes a register from its state at a witnessed head, without the entries before. `last` is the last entry under
    /// the head, with its inclusion proof; it names the root of the state.
    pub fn from_state(
        keys: &[VerifierKey],
        witnessing: Arc<Witnessing>,
        head: SignedHead,
        cosignatures: Vec<Cosignature>,
        last: (Entry, Vec<Digest>),
        state: Trie,
    ) -> Result<Self, StateError> {
        let origin: Arc<str> = head.checkpoint().origin.as_str().into();
        let mut register = Self::new(&origin, keys, witnessing);
        if !register.is_bound(&head) {
            return Err(StateError::NotBound(origin));
        }
        let (size, root) = (head.checkpoint().size, head.checkpoint().root);
        let edge = Edge::of_last_leaf(last.0.bytes(), size, &last.1).filter(|edge| edge.root() == root);
        let edge = edge.ok_or(StateError::LastEntry)?;
        let (expected, found) = (last.0.state_root(), state.root());
        if expected != found {
            return Err(StateError::StateRoot { expected, found });
        }
        register.main = Branch::from_edge(&edge, Some(Arc::new(last)), state);
        register.main.remember(head);
        for cosignature in cosignatures {
            register.add_to_branches(cosignature);
        }
        if !register.witnessing.quorum.is_none() && register.main.quorum_in(Included(size), Included(size)).is_none() {
            return Err(StateError::NoQuorum);
        }
        register.recount();
        register.settle();
        Ok(register)
    }

    /// Returns the origin.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the keys bound now.
    pub fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// Binds other keys. Heads held stay; whether one is signed by the keys of a path, its signers tell.
    pub fn bind(&mut self, keys: &[VerifierKey]) {
        self.keys = keys.into();
        self.fork_is_current = self.fork.as_ref().is_some_and(|proof| proof.check(&self.origin, keys).is_ok());
    }

    /// Returns the quorum and its admitting witnesses.
    pub fn witnessing(&self) -> &Arc<Witnessing> {
        &self.witnessing
    }

    /// Takes the witnesses of another charter. W does not move back by it.
    pub fn set_witnessing(&mut self, witnessing: Arc<Witnessing>) {
        for branch in [Some(&mut self.main), self.other.as_mut()].into_iter().flatten() {
            branch.count_quorums(&witnessing);
        }
        self.witnessing = witnessing;
        self.settle();
    }

    /// Takes the witnesses of a charter as if there had been none since: W is what they make, though it moves back.
    pub fn judge_anew(&mut self, witnessing: Arc<Witnessing>) {
        self.set_witnessing(witnessing);
        if !self.witnessing.quorum.is_none() {
            let newest = self.main.quorum_in(Unbounded, Unbounded).unwrap_or(0);
            self.move_w(newest.max(self.main.base()).min(self.w));
        }
    }

    /// Returns the size from which entries are held: 0 when all are.
    pub fn size_base(&self) -> u64 {
        self.main.base()
    }

    /// Returns N: the number of entries.
    pub fn size_newest(&self) -> u64 {
        self.main.size()
    }

    /// Returns W: the size of the newest witnessed state, 0 when there is none.
    pub fn size_witnessed(&self) -> u64 {
        self.w
    }

    /// Returns the newest head on the main branch. It is below N when a larger one holds an entry that cannot be read.
    pub fn newest_head(&self) -> Option<&SignedHead> {
        self.main.newest().map(|stand| stand.head())
    }

    /// Returns the newest head with its cosignatures.
    pub fn newest_stand(&self) -> Option<&Stand> {
        self.main.newest().map(Arc::as_ref)
    }

    /// Returns the head at W.
    pub fn witnessed_head(&self) -> Option<&SignedHead> {
        self.witnessed_stand().map(Stand::head)
    }

    /// Returns the head at W with its cosignatures.
    pub fn witnessed_stand(&self) -> Option<&Stand> {
        self.stand(self.w)
    }

    /// Returns a checkpoint of the main branch, if it is remembered.
    pub fn stand(&self, size: u64) -> Option<&Stand> {
        self.main.stand(size).map(Arc::as_ref)
    }

    /// Visits the remembered checkpoints of the main branch from `size` on, ascending.
    pub fn stands_from(&self, size: u64) -> impl DoubleEndedIterator<Item = &Stand> {
        self.main.stands().range(size..).map(|(_, stand)| stand.as_ref())
    }

    /// Visits the remembered checkpoints of the main branch below `size`, descending.
    pub fn stands_below(&self, size: u64) -> impl Iterator<Item = &Stand> {
        self.main.stands().range(..size).rev().map(|(_, stand)| stand.as_ref())
    }

    /// Returns the root at a size; `None` beyond N and below the base.
    pub fn root_at(&self, size: u64) -> Option<Digest> {
        self.main.tree().root_at(size)
    }

    /// Returns the hashes of the main branch.
    pub fn tree(&self) -> &Tree {
        self.main.tree()
    }

    /// Returns an entry by its number.
    pub fn entry(&self, number: u64) -> Option<&Entry> {
        self.main.entry(number)
    }

    /// Visits entries `from..to` of the main branch, as far as they are held.
    pub fn entries(&self, from: u64, to: u64) -> impl Iterator<Item = &Entry> {
        self.main.range(from, to)
    }

    /// Visits the pending entries: those after W.
    pub fn pending(&self) -> impl Iterator<Item = &Entry> {
        self.main.range(self.w, self.main.size())
    }

    /// Returns the last entry below `size` with its inclusion proof, which is the log's right edge.
    pub fn proof_of_last(&self, size: u64) -> Option<(&Entry, Vec<Digest>)> {
        self.main.proof_of_last(size)
    }

    /// Returns the right edge at a size.
    pub fn edge(&self, size: u64) -> Option<Edge> {
        self.main.tree().edge(size)
    }

    /// Returns the consistency proof between two sizes, from the base on.
    pub fn consistency(&self, old: u64, new: u64) -> Option<Vec<Digest>> {
        self.main.tree().consistency(old, new)
    }

    /// Returns a root at the size of `small` other than its own, with the consistency proof from there to `large`: where
    /// `large` lies on a branch that is held, and `small` does not.
    pub fn inconsistency(&self, small: &Checkpoint, large: &Checkpoint) -> Option<(Digest, Vec<Digest>)> {
        let branches = std::iter::once(&self.main).chain(&self.other).map(Branch::tree);
        branches.filter(|tree| tree.root_at(large.size) == Some(large.root)).find_map(|tree| {
            let root = tree.root_at(small.size).filter(|root| *root != small.root)?;
            Some((root, tree.consistency(small.size, large.size)?))
        })
    }

    /// Returns the state at W.
    pub fn state_witnessed(&self) -> &Trie {
        self.main.state(self.w).expect("the state at W is kept")
    }

    /// Returns the state at N.
    pub fn state_newest(&self) -> &Trie {
        self.main.state(self.main.size()).expect("the state at N is kept")
    }

    /// Returns the state at a size, replaying entries where it is not at hand; `None` beyond N and below the base.
    pub fn state_at(&self, size: u64) -> Option<Trie> {
        self.main.state_at(size)
    }

    /// Keeps the state at `size` at hand: where another register is bound with `after` naming it.
    pub fn pin(&mut self, size: u64) {
        self.main.pin(size);
        if let Some(other) = &mut self.other {
            other.pin(size);
        }
    }

    /// Returns the keys at W that begin with `prefix` (such as `member/`), sorted. It walks the whole state.
    pub fn keys_witnessed(&self, prefix: &str) -> Vec<RecordKey> {
        let keys = self.state_witnessed().iter().filter(|(key, _)| key.starts_with(prefix.as_bytes()));
        let mut keys: Vec<_> =
            keys.filter_map(|(key, _)| RecordKey::parse(std::str::from_utf8(key).ok()?).ok()).collect();
        keys.sort_unstable();
        keys
    }

    /// Returns the keys `trust/<entity>/recognize/<label>`, ascending: those at W, and those that a pending entry or the
    /// other branch changes.
    pub fn recognitions(&self) -> Vec<&RecordKey> {
        let changed = self.changed().filter(|key| is_recognition(key));
        let mut keys: Vec<_> = self.recognitions.iter().chain(changed).collect();
        if self.w < self.main.size() || self.other.is_some() {
            keys.sort_unstable();
            keys.dedup();
        }
        keys
    }

    /// Keys that a pending entry or the other branch changes.
    fn changed(&self) -> impl Iterator<Item = &RecordKey> {
        let other = self.other.iter().flat_map(|branch| branch.range(branch.base(), branch.size()));
        self.pending().chain(other).flat_map(Entry::changes).map(|change| &change.key)
    }

    /// True when a fork proof is held.
    pub fn is_forked(&self) -> bool {
        self.fork.is_some()
    }

    /// Returns the fork proof.
    pub fn fork_proof(&self) -> Option<&Arc<ForkProof>> {
        self.fork.as_ref()
    }

    /// Returns the fork proof if it holds under the keys bound now. One that was admitted under others is kept, and
    /// nobody who binds only those of now can be told of it.
    pub fn fork_proof_current(&self) -> Option<&Arc<ForkProof>> {
        self.fork.as_ref().filter(|_| self.fork_is_current)
    }

    pub(super) fn keep_fork(&mut self, proof: ForkProof) {
        if self.fork.is_none() {
            (self.fork, self.fork_is_current) = (Some(Arc::new(proof)), true);
        }
    }

    /// Returns the last size that both branches have in common, when another branch is held.
    pub fn fork_point(&self) -> Option<u64> {
        self.other.as_ref().map(Branch::base)
    }

    /// Returns the number of entries of the other branch, those in common included; 0 without one.
    pub fn size_other(&self) -> u64 {
        self.other.as_ref().map_or(0, Branch::size)
    }

    /// Visits the entries of the other branch, from the fork point on.
    pub fn entries_other(&self) -> impl Iterator<Item = &Entry> {
        self.other.iter().flat_map(|branch| branch.range(branch.base(), branch.size()))
    }

    /// Visits the checkpoints of the other branch, ascending.
    pub fn stands_other(&self) -> impl Iterator<Item = &Stand> {
        self.other.iter().flat_map(|branch| branch.stands().values()).map(Arc::as_ref)
    }

    /// Returns the newest checkpoint of the other branch at which a quorum stands.
    pub fn stand_other_witnessed(&self) -> Option<&Stand> {
        let other = self.other.as_ref()?;
        other.stand(other.quorum_in(Excluded(other.base()), Unbounded)?).map(Arc::as_ref)
    }

    /// Returns what froze the register, if it continues the main branch: the branches may have changed places since.
    pub fn frozen_main(&self) -> Option<&Arc<Frozen>> {
        self.frozen.as_ref().filter(|frozen| frozen.continues(&self.main))
    }

    /// Returns the head that the other branch stopped below, at an entry that is not valid.
    pub fn stopped_other(&self) -> Option<&Arc<Frozen>> {
        let other = self.other.as_ref()?;
        self.stopped.iter().chain(&self.frozen).find(|stopped| stopped.continues(other))
    }

    /// Returns what froze the register.
    pub fn frozen(&self) -> Option<&Arc<Frozen>> {
        self.frozen.as_ref()
    }

    /// Returns the digests of the bodies that facts can need: those at W, in pending entries, on the other branch and,
    /// for records that the other branch changes, those at the fork point. It walks the whole state.
    pub fn bodies_needed(&self) -> BTreeSet<Digest> {
        let mut needed: BTreeSet<Digest> = self.state_witnessed().iter().map(|(_, digest)| *digest).collect();
        needed.extend(self.pending().chain(self.entries_other()).flat_map(Entry::changes).filter_map(|c| c.digest));
        if let Some(other) = &self.other {
            let changed = self.entries_other().flat_map(Entry::changes);
            needed.extend(changed.filter_map(|change| other.digest_at(other.base(), &change.key)));
        }
        needed
    }

    /// Stores a fork proof that holds under the keys bound now; false when one is held already.
    pub fn add_fork_proof(&mut self, proof: ForkProof) -> Result<bool, ForkError> {
        proof.check(&self.origin, &self.keys)?;
        let new = self.fork.is_none();
        self.keep_fork(proof);
        Ok(new)
    }

    /// Keeps a cosignature of a checkpoint that is remembered, on either branch, and lets W follow. False when no such
    /// checkpoint is remembered, or an equally new cosignature of that witness is held.
    pub fn add_cosignature(&mut self, cosignature: Cosignature) -> bool {
        let added = self.add_to_branches(cosignature);
        if added {
            self.settle();
        }
        added
    }

    pub(super) fn add_to_branches(&mut self, cosignature: Cosignature) -> bool {
        let mut branches = [Some(&mut self.main), self.other.as_mut()].into_iter().flatten();
        branches.any(|branch| branch.add(cosignature.clone(), &self.witnessing))
    }

    /// Returns by which of the keys bound now the newest head and that at W are signed, as a frontier tells it
    /// (`specs/sync.md` §3.1): two that hold the same checkpoints differ in it while one lacks a signature.
    pub fn signed_by(&self) -> [u8; 8] {
        let mut text = vec![0x06];
        for stand in [self.newest_stand(), self.witnessed_stand()] {
            let signers = stand.map(|stand| stand.head().signers()).unwrap_or_default();
            let mut ids: Vec<[u8; 4]> =
                signers.iter().filter(|key| self.keys.contains(key)).map(VerifierKey::id).collect();
            ids.sort_unstable();
            text.push(u8::try_from(ids.len()).unwrap_or(u8::MAX));
            text.extend(ids.concat());
        }
        let [a, b, c, d, e, f, g, h, ..] = Digest::of(&text).0;
        [a, b, c, d, e, f, g, h]
    }

    /// True when a head from W on is signed by one of `keys`. A key that signed a later head vouches for what W holds.
    pub fn is_signed_by(&self, keys: &[VerifierKey]) -> bool {
        let mut signers = self.stands_from(self.w).flat_map(|stand| stand.head().signers());
        signers.any(|signer| keys.contains(signer))
    }

    /// True when the head is of this register and by a key bound now.
    pub(crate) fn is_bound(&self, head: &SignedHead) -> bool {
        head.checkpoint().origin == *self.origin && head.signers().iter().any(|key| self.keys.contains(key))
    }

    /// Moves W: the largest quorum checkpoint; with a quorum on both branches, the last common one (invariant 6).
    pub(super) fn settle(&mut self) {
        if self.witnessing.quorum.is_none() {
            return self.move_w(self.main.size());
        }
        let theirs = self.other.as_ref().and_then(|other| other.quorum_in(Excluded(other.base()), Unbounded));
        if let (Some(point), Some(_)) = (self.fork_point(), theirs) {
            if self.main.quorum_in(Excluded(point), Unbounded).is_some() {
                let common = self.main.quorum_in(Unbounded, Included(point)).unwrap_or(0);
                return self.move_w(common.max(self.main.base()));
            }
            self.swap_branches(point);
        }
        let newest = self.main.quorum_in(Unbounded, Unbounded).unwrap_or(0);
        self.move_w(newest.max(self.w));
    }

    /// Makes the other branch the main one: it alone is witnessed, and the fork proof is stored.
    fn swap_branches(&mut self, point: u64) {
        let Some(other) = self.other.take() else { return };
        if self.w > point {
            self.move_w(point); // only under another policy than the one that made it
        }
        self.other = self.main.split(point);
        self.main.join(other);
        self.turn_unread();
    }

    fn move_w(&mut self, w: u64) {
        if w > self.w {
            let entries = self.main.range(self.w, w).flat_map(Entry::changes);
            for change in entries.filter(|change| is_recognition(&change.key)) {
                let keys = Arc::make_mut(&mut self.recognitions);
                match change.digest {
                    Some(_) => drop(keys.insert(change.key.clone())),
                    None => drop(keys.remove(&change.key)),
                }
            }
        }
        let back = w < self.w;
        if w != self.w
            && let Some(state) = self.main.state_at(w)
        {
            self.main.keep_state(w, state);
            self.w = w;
            self.main.forget_below(w);
        }
        if back {
            self.recount();
        }
    }

    /// Finds the recognitions at W again.
    fn recount(&mut self) {
        self.w = self.w.max(self.main.base());
        let keys = self.keys_witnessed("trust/").into_iter().filter(is_recognition);
        self.recognitions = Arc::new(keys.collect());
    }
}

/// True for `trust/<entity>/recognize/<label>`.
fn is_recognition(key: &RecordKey) -> bool {
    key.as_str().strip_prefix("trust/").and_then(|rest| rest.split('/').nth(1)) == Some("recognize")
}
