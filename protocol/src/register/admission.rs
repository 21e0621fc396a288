//! Admission: what becomes of a signed head that comes with entries (`specs/register.md` §6).

use std::sync::Arc;

use bytes::Bytes;

use super::branch::Branch;
use super::entry::{Entry, EntryError};
use super::fork::ForkProof;
use super::state::{Frozen, Register, Stand};
use crate::digest::Digest;
use crate::log::checkpoint::SignedHead;
use crate::log::cosignature::Cosignature;
use crate::log::merkle::{self, Edge, Tree};

/// What became of a head. From [`Admission::Gap`] on it is a refusal that changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It extends the register.
    Advanced,
    /// It is the newest head.
    Known,
    /// It is an earlier head of our chain.
    Older,
    /// It contradicts our chain; the proof is stored, and the branch when its entries came.
    Fork,
    /// It holds an invalid entry: the register stops there for good.
    Frozen(EntryError),
    /// It holds an entry of a later version; what stands before it is admitted.
    UpgradeNeeded {
        /// The version of the entry.
        version: u64,
    },
    /// Entries are missing between N and the first one that came.
    Gap,
    /// The head is of another size than the entries lead to.
    EntryCount,
    /// The entries are not those under the head.
    EntriesMismatch,
    /// A branch beside the two that are held.
    ThirdBranch,
    /// The register is frozen, and does not advance.
    RegisterFrozen,
    /// The head is of another register, or not by a key bound now.
    NotBound,
    /// The entries begin before the state from which this register is held.
    BeforeBase,
}

impl Admission {
    /// Returns the stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Advanced => "advanced",
            Self::Known => "known",
            Self::Older => "older",
            Self::Fork => "fork",
            Self::Frozen(_) => "frozen",
            Self::UpgradeNeeded { .. } => "upgrade-needed",
            Self::Gap => "gap",
            Self::EntryCount => "entry-count",
            Self::EntriesMismatch => "entries-mismatch",
            Self::ThirdBranch => "third-branch",
            Self::RegisterFrozen => "register-frozen",
            Self::NotBound => "not-bound",
            Self::BeforeBase => "before-base",
        }
    }

    /// True when the register may have changed, so that the batch has to be journalled.
    pub fn changed(&self) -> bool {
        match self {
            Self::Advanced | Self::Known | Self::Older | Self::Fork | Self::Frozen(_) | Self::UpgradeNeeded { .. } => {
                true
            }
            Self::Gap
            | Self::EntryCount
            | Self::EntriesMismatch
            | Self::ThirdBranch
            | Self::RegisterFrozen
            | Self::NotBound
            | Self::BeforeBase => false,
        }
    }
}

/// What a head says, once its entries are laid beside ours.
struct Offer<'a> {
    size: u64,
    /// The last size up to which the entries are ours.
    common: u64,
    /// The entries from there on.
    fresh: &'a [Bytes],
}

impl Register {
    /// Offers a signed head with the entries from number `first` on, and cosignatures of it. A head whose entries are
    /// all held may come without any.
    pub fn admit(
        &mut self,
        head: SignedHead,
        cosignatures: Vec<Cosignature>,
        first: u64,
        entries: &[Bytes],
    ) -> Admission {
        if !self.is_bound(&head) {
            return Admission::NotBound;
        }
        let (size, newest) = (head.checkpoint().size, self.main.size());
        if entries.is_empty()
            && let Some(other) = &mut self.other
            && other.stand(size).is_some_and(|stand| stand.head().checkpoint() == head.checkpoint())
        {
            // A checkpoint of the other branch that is held: its cosignatures count for what they are.
            other.remember(head);
            for cosignature in cosignatures {
                self.add_to_branches(cosignature);
            }
            self.settle();
            return Admission::Fork;
        }
        let first = if entries.is_empty() && size <= newest { size } else { first };
        if first > newest {
            return Admission::Gap;
        }
        if first.checked_add(entries.len() as u64) != Some(size) {
            return Admission::EntryCount;
        }
        if first < self.main.base() {
            return Admission::BeforeBase;
        }
        let offer = self.compare(first, entries, size);
        if self.root_of(&offer) != Some(head.checkpoint().root) {
            return self.conflict(&head);
        }
        let admission = if offer.common == size {
            // A forgotten checkpoint below W stays forgotten: a peer that replays old heads fills no memory.
            if size >= self.size_witnessed() || self.stand(size).is_some() {
                self.main.remember(head);
            }
            if size == newest { Admission::Known } else { Admission::Older }
        } else if offer.common == newest {
            self.extend_main(head, &offer)
        } else {
            self.extend_other(head, &offer)
        };
        if admission.changed() {
            for cosignature in cosignatures {
                self.add_to_branches(cosignature);
            }
            self.settle();
        }
        admission
    }

    fn compare<'a>(&self, first: u64, entries: &'a [Bytes], size: u64) -> Offer<'a> {
        let ours = self.main.range(first, self.main.size()).map(Entry::bytes);
        let same = entries.iter().zip(ours).take_while(|(theirs, ours)| theirs == ours).count();
        Offer { size, common: first + same as u64, fresh: entries.get(same..).unwrap_or_default() }
    }

    /// The root that the entries lead to.
    fn root_of(&self, offer: &Offer<'_>) -> Option<Digest> {
        if offer.fresh.is_empty() {
            return self.main.tree().root_at(offer.size);
        }
        let mut edge: Edge = self.main.tree().edge(offer.common)?;
        offer.fresh.iter().for_each(|leaf| edge.append(leaf));
        Some(edge.root())
    }

    fn extend_main(&mut self, head: SignedHead, offer: &Offer<'_>) -> Admission {
        if self.frozen.is_some() {
            return Admission::RegisterFrozen;
        }
        let parts = self.prove_unread_fork(&head, offer.fresh);
        let parted = parts.is_some();
        if let Some(proof) = parts {
            self.keep_fork(proof);
        }
        let before = self.main.size();
        let extended = self.main.extend(offer.fresh);
        if self.main.size() > before && self.unread.as_ref().is_some_and(|unread| unread.on_main) {
            self.turn_unread(); // what follows here are other entries than those
        }
        match extended {
            Ok(()) => {
                self.main.remember(head);
                if parted { Admission::Fork } else { Admission::Advanced }
            }
            Err(EntryError::UpgradeNeeded { version }) => {
                let read = usize::try_from(self.main.size() - before).unwrap_or(usize::MAX);
                self.keep_unread(head, version, offer.fresh.get(read..).unwrap_or_default(), true);
                Admission::UpgradeNeeded { version }
            }
            Err(error) => {
                // The valid entries before it are kept, and count as pending.
                let number = self.main.size();
                let leaves = behind(offer.fresh, number - offer.common);
                self.frozen = Some(Arc::new(Frozen::at(head, number, leaves, error.clone())));
                Admission::Frozen(error)
            }
        }
    }

    /// The head does not fit the entries that came. At or below N another root than ours is proof enough, for we hold a
    /// signed head above it; a larger head may come from a lying carrier.
    fn conflict(&mut self, head: &SignedHead) -> Admission {
        let checkpoint = head.checkpoint();
        let ours = self.main.tree().root_at(checkpoint.size);
        if checkpoint.size == 0 || ours.is_none() || ours == Some(checkpoint.root) {
            return Admission::EntriesMismatch;
        }
        let Some(proof) = self.prove_fork(head, None) else { return Admission::EntriesMismatch };
        self.keep_fork(proof);
        self.settle();
        Admission::Fork
    }

    /// The newest checkpoint of the main branch by a key bound now. After a rotation a newer one may be by a key that
    /// no longer counts: a proof made of it would be refused by everybody else.
    fn newest_bound(&self) -> Option<&Arc<Stand>> {
        self.main.stands().values().rev().find(|stand| self.is_bound(stand.head()))
    }

    /// Proves that `head` and our newest head contradict each other; one above ours needs its entries.
    fn prove_fork(&self, head: &SignedHead, offer: Option<&Offer<'_>>) -> Option<ForkProof> {
        let held = self.newest_bound()?.head();
        let (ours, size) = (held.checkpoint().size, head.checkpoint().size);
        if ours == 0 {
            return None;
        }
        if ours == size {
            return Some(ForkProof::of_heads(held, head, None));
        }
        if ours > size {
            let tree = self.main.tree();
            let other = (tree.root_at(size)?, tree.consistency(size, ours)?);
            return Some(ForkProof::of_heads(head, held, Some(other)));
        }
        let offer = offer?;
        let mut theirs = Tree::from_edge(&self.main.tree().edge(offer.common)?);
        offer.fresh.iter().for_each(|leaf| theirs.push(merkle::leaf_hash(leaf)));
        let other = (theirs.root_at(ours)?, theirs.consistency(ours, size)?);
        Some(ForkProof::of_heads(held, head, Some(other)))
    }

    /// Entries that part from ours: keeps the proof, and this one other branch.
    fn extend_other(&mut self, head: SignedHead, offer: &Offer<'_>) -> Admission {
        if let Some(other) = &mut self.other {
            let point = other.base();
            // From the fork point on, what came is entries of ours up to `common`, then fresh ones.
            let skipped = self.main.range(point, offer.common).map(|entry| entry.bytes().clone());
            let tail: Vec<Bytes> = skipped.chain(offer.fresh.iter().cloned()).collect();
            let held = other.range(point, other.size()).map(Entry::bytes);
            let shared = tail.iter().zip(held).take_while(|(theirs, held)| theirs == held).count();
            let known = usize::try_from(other.size() - point).unwrap_or(usize::MAX);
            if offer.common < point || shared < tail.len().min(known) {
                return Admission::ThirdBranch;
            }
            let fresh = tail.get(known..).unwrap_or_default();
            let before = other.size();
            let extended = other.extend(fresh); // an invalid entry stops the branch there
            let size = other.size();
            if offer.size <= size {
                other.remember(head);
            } else if let Err(error) = extended {
                self.stop_other(head, size, behind(fresh, size - before), error);
            }
            return Admission::Fork;
        }
        let signed = self.newest_bound().map_or(0, |stand| stand.head().checkpoint().size);
        if signed > offer.common && self.fork.is_none() {
            let proof = self.prove_fork(&head, Some(offer));
            proof.into_iter().for_each(|proof| self.keep_fork(proof));
        }
        let (Some(_), Some((other, extended))) = (&self.fork, self.start_other(offer)) else {
            return Admission::EntriesMismatch;
        };
        let other = self.other.insert(other);
        let size = other.size();
        if offer.size <= size {
            other.remember(head);
        } else if let Err(error) = extended {
            self.stop_other(head, size, behind(offer.fresh, size - offer.common), error);
        }
        Admission::Fork
    }

    /// Remembers the head that the other branch cannot reach, so that others come to hold the entries before.
    fn stop_other(&mut self, head: SignedHead, number: u64, leaves: &[Bytes], error: EntryError) {
        if let EntryError::UpgradeNeeded { version } = error {
            return self.keep_unread(head, version, leaves, false);
        }
        let size = head.checkpoint().size;
        if self.stopped_other().is_none_or(|held| held.head.checkpoint().size < size) {
            self.stopped = Some(Arc::new(Frozen::at(head, number, leaves, error)));
        }
    }

    fn start_other(&self, offer: &Offer<'_>) -> Option<(Branch, Result<(), EntryError>)> {
        let edge = self.main.tree().edge(offer.common)?;
        let before = self.main.proof_of_last(offer.common).map(|(entry, proof)| Arc::new((entry.clone(), proof)));
        let mut other = Branch::from_edge(&edge, before, self.main.state_at(offer.common)?);
        let extended = other.extend(offer.fresh);
        Some((other, extended))
    }
}

/// The leaves after the first `count`.
fn behind(leaves: &[Bytes], count: u64) -> &[Bytes] {
    usize::try_from(count).ok().and_then(|count| leaves.get(count..)).unwrap_or_default()
}
