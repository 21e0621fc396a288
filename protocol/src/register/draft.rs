//! Drafting: prepare, sign elsewhere, finalise (`specs/register.md` §9).
//!
//! ```text
//! Ground (size, right edge, state) + changes ─prepare→ Prepared (entry, checkpoint text)
//! Prepared + signature lines ─finalise→ SignedHead + entry, as they are offered to a register
//! ```
//!
//! The signer computes entry, state root and checkpoint itself, from a register that it has verified. What a key has
//! signed before, a ledger beside the key remembers; a prepared checkpoint is journalled before it is signed.

use crate::key::VerifierKey;
use crate::log::checkpoint::{Checkpoint, HeadError, SignedHead};
use crate::log::merkle::Edge;
use crate::log::note::{Note, SignatureLine};
use crate::register::entry::{Change, Entry, EntryError};
use crate::register::state::Register;
use crate::time::Time;
use crate::trie::Trie;

/// Why nothing was prepared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// The entry would be invalid.
    #[error("the changes make no valid entry")]
    Entry(#[from] EntryError),
    /// The register is frozen, forked, or its newest head holds what cannot be read.
    #[error("expected a register that is whole and neither forked nor frozen")]
    Stopped,
}

/// All that appending needs: the right edge of a log and the state there.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The origin.
    pub origin: String,
    /// The log's right edge.
    pub edge: Edge,
    /// The state after its last entry.
    pub state: Trie,
}

impl Ground {
    /// Starts a new register.
    pub fn empty(origin: &str) -> Self {
        Self { origin: origin.to_owned(), edge: Edge::default(), state: Trie::default() }
    }

    /// Continues a register at its newest head. A forked or frozen one is not continued: it is bound anew.
    pub fn of(register: &Register) -> Result<Self, DraftError> {
        let size = register.size_newest();
        let signed = register.newest_head().map_or(0, |head| head.checkpoint().size);
        if register.is_forked() || register.tail().is_some() || signed != size {
            return Err(DraftError::Stopped);
        }
        let edge = register.edge(size).ok_or(DraftError::Stopped)?;
        Ok(Self { origin: register.origin().to_owned(), edge, state: register.state_newest().clone() })
    }

    /// Prepares one entry with these changes, in any order.
    pub fn prepare(&self, time: Time, changes: Vec<Change>) -> Result<Prepared, DraftError> {
        let (entry, state) = Entry::draft(&self.state, time, changes)?;
        let mut edge = self.edge.clone();
        edge.append(entry.bytes());
        let checkpoint = Checkpoint { origin: self.origin.clone(), size: edge.size(), root: edge.root() };
        let ground = Ground { origin: self.origin.clone(), edge, state };
        Ok(Prepared { entries: vec![entry], checkpoint, ground })
    }

    /// Prepares several entries under one checkpoint: where the changes of one would pass its bytes.
    pub fn prepare_all(
        &self,
        time: Time,
        batches: impl IntoIterator<Item = Vec<Change>>,
    ) -> Result<Option<Prepared>, DraftError> {
        let mut whole: Option<Prepared> = None;
        for changes in batches {
            let ground = whole.as_ref().map_or(self, |prepared| &prepared.ground);
            let next = ground.prepare(time, changes)?;
            whole = Some(match whole {
                None => next,
                Some(mut prepared) => {
                    prepared.entries.extend(next.entries);
                    Prepared { entries: prepared.entries, ..next }
                }
            });
        }
        Ok(whole)
    }
}

/// Entries and the checkpoint over them, to be signed.
#[derive(Debug, Clone)]
pub struct Prepared {
    entries: Vec<Entry>,
    checkpoint: Checkpoint,
    ground: Ground,
}

impl Prepared {
    /// Returns the entries that are new, at least one.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Returns the text to be signed.
    pub fn text(&self) -> String {
        self.checkpoint.text()
    }

    /// Returns the ground from which the next draft goes on.
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Returns the number of the first new entry.
    pub fn first(&self) -> u64 {
        self.checkpoint.size - self.entries.len() as u64
    }

    /// Makes the head of the signature lines; at least one must be by a key of `keys`.
    pub fn finalise(&self, lines: Vec<SignatureLine>, keys: &[VerifierKey]) -> Result<SignedHead, HeadError> {
        SignedHead::authenticate(Note::new(self.text(), lines), &self.checkpoint.origin, keys)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::digest::Digest;
    use crate::register::admission::Admission;
    use crate::register::tests::{Publisher, put};

    #[test]
    fn a_register_admits_what_was_drafted_for_it() {
        let publisher = Publisher::new();
        let mut register = publisher.register();
        let time = Time::from_secs_saturating(1_790_000_000);
        let first = Ground::of(&register).unwrap().prepare(time, vec![put("notice/1")]).unwrap();
        assert_eq!(publisher.offer(&mut register, &first), Admission::Advanced);
        let batches = [vec![put("notice/2")], vec![put("notice/3"), put("notice/2")]];
        let both = Ground::of(&register).unwrap().prepare_all(time, batches).unwrap().unwrap();
        assert_eq!((both.first(), both.checkpoint().size), (1, 3));
        assert_eq!(publisher.offer(&mut register, &both), Admission::Advanced);
        assert_eq!(register.state_newest(), &both.ground().state);
        assert_eq!(register.state_newest().get(b"notice/3"), Some(Digest::of(b"notice/3")));
    }

    #[test]
    fn a_head_needs_a_bound_key() {
        let publisher = Publisher::new();
        let ground = Ground::empty(publisher.origin());
        let draft = ground.prepare(Time::START, vec![put("notice/1")]).unwrap();
        assert!(draft.finalise(vec![publisher.sign(&draft)], publisher.keys()).is_ok());
        assert!(draft.finalise(vec![], publisher.keys()).is_err());
        assert!(draft.finalise(vec![publisher.sign(&draft)], &[]).is_err());
    }
}
