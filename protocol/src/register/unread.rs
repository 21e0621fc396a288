//! Entries of a later version: what a head holds that this program cannot read (`specs/register.md` §6).
//!
//! ```text
//! 0 ───── W ───── N ┆ [{0: 2, …}] [entry] [entry] ┆ head      from the first unread entry on nothing is admitted
//! ```
//!
//! They are kept as they came: a restart must not forget them, others must hear of them, and a newer program reads them.
//! Each of them may take back what was granted before, so nothing of the register is granted while they are held.

use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;

use super::fork::ForkProof;
use super::state::{Frozen, Register};
use crate::log::checkpoint::SignedHead;
use crate::log::merkle::{self, Edge, Tree};

/// A signed head with entries that cannot be read here.
#[derive(Debug, Clone)]
pub struct Unread {
    /// The head that commits to them.
    pub head: SignedHead,
    /// The number of the first of them.
    pub number: u64,
    /// The version of that entry.
    pub version: u64,
    /// It, and what stands under the head after it.
    pub entries: Vec<Bytes>,
    /// True when the main branch leads there; else it is the other one of a fork.
    pub(super) on_main: bool,
}

/// The end of a log behind its last admitted entry: the head there, and the entries that are not admitted.
#[derive(Debug, Clone, Copy)]
pub struct Tail<'a> {
    /// The head that commits to them.
    pub head: &'a SignedHead,
    /// The number of the first of them.
    pub number: u64,
    first: Option<&'a Bytes>,
    rest: &'a [Bytes],
}

impl<'a> Tail<'a> {
    fn of_frozen(frozen: &'a Frozen) -> Self {
        Self { head: &frozen.head, number: frozen.number, first: Some(&frozen.entry), rest: &frozen.rest }
    }

    /// Visits the entries.
    pub fn entries(self) -> impl Iterator<Item = &'a Bytes> {
        self.first.into_iter().chain(self.rest)
    }
}

impl Register {
    /// Returns what is held of it that is of a later version.
    pub fn unread(&self) -> Option<&Arc<Unread>> {
        self.unread.as_ref()
    }

    /// Returns what stands on the main branch behind its last entry: what froze it, or what cannot be read.
    pub fn tail(&self) -> Option<Tail<'_>> {
        self.frozen_main().map(|frozen| Tail::of_frozen(frozen)).or_else(|| self.tail_unread(true))
    }

    /// Returns what stands on the other branch of a fork behind its last entry: with it others come to hold the entries
    /// before, which can withdraw.
    pub fn tail_other(&self) -> Option<Tail<'_>> {
        let stopped = self.stopped_other().map(|stopped| Tail::of_frozen(stopped));
        stopped.or_else(|| self.other.as_ref().and_then(|_| self.tail_unread(false)))
    }

    fn tail_unread(&self, on_main: bool) -> Option<Tail<'_>> {
        let unread = self.unread.as_ref().filter(|unread| unread.on_main == on_main)?;
        Some(Tail { head: &unread.head, number: unread.number, first: None, rest: &unread.entries })
    }

    /// Keeps a head whose entries, from the end of a branch on, cannot be read. Of one branch the largest head counts.
    pub(super) fn keep_unread(&mut self, head: SignedHead, version: u64, entries: &[Bytes], on_main: bool) {
        let branch = if on_main { Some(&self.main) } else { self.other.as_ref() };
        let Some(number) = branch.map(super::branch::Branch::size) else { return };
        let larger = |held: &Arc<Unread>| held.head.checkpoint().size < head.checkpoint().size;
        let news = self.unread.as_ref().is_none_or(|held| match (held.on_main, on_main) {
            (true, true) | (false, false) => larger(held),
            (held_on_main, _) => !held_on_main,
        });
        if news {
            self.unread = Some(Arc::new(Unread { head, number, version, entries: entries.to_vec(), on_main }));
        }
    }

    /// The main branch goes on, or goes to the other side: what was unread lies on the other one from now on, or back.
    pub(super) fn turn_unread(&mut self) {
        if let Some(unread) = &mut self.unread {
            let unread = Arc::make_mut(unread);
            unread.on_main = !unread.on_main;
        }
    }

    /// Proves that the head with unread entries and another one, whose entries follow ours, contradict each other.
    pub(super) fn prove_unread_fork(&self, head: &SignedHead, entries: &[Bytes]) -> Option<ForkProof> {
        let unread = self.unread.as_ref().filter(|unread| unread.on_main)?;
        let edge = self.main.tree().edge(unread.number)?;
        let (held, other) = (unread.head.checkpoint(), head.checkpoint());
        let proof = |smaller: &SignedHead, larger: &SignedHead, leaves: &[Bytes]| {
            let (size, tree) = (smaller.checkpoint().size, tree(&edge, leaves));
            let root = tree.root_at(size).filter(|root| *root != smaller.checkpoint().root)?;
            let consistency = tree.consistency(size, larger.checkpoint().size)?;
            Some(ForkProof::of_heads(smaller, larger, Some((root, consistency))))
        };
        match held.size.cmp(&other.size) {
            Ordering::Equal => (held.root != other.root).then(|| ForkProof::of_heads(&unread.head, head, None)),
            Ordering::Less => proof(&unread.head, head, entries),
            Ordering::Greater => proof(head, &unread.head, &unread.entries),
        }
    }
}

fn tree(edge: &Edge, leaves: &[Bytes]) -> Tree {
    let mut tree = Tree::from_edge(edge);
    leaves.iter().for_each(|leaf| tree.push(merkle::leaf_hash(leaf)));
    tree
}
