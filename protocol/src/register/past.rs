//! Old registers: what a register still says that was bound anew with `after` (`specs/register.md` §13).
//!
//! ```text
//! binding {origin: new, keys, after: {origin: old, size: 3, root}}
//! old     0 ── 1 ── 2 ── 3        entries, from whoever has them; `root` authenticates them, no key does
//! ```
//!
//! Nobody binds the old register's keys any more, so none of its heads counts. Its entries up to `after` need none.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::branch::Branch;
use super::entry::{Entry, EntryError};
use super::fact::After;
use super::state::{Register, Witnessing};
use crate::digest::Digest;
use crate::log::merkle::Edge;

/// Why entries are not those of an old register.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PastError {
    /// Too few or too many.
    #[error("expected {expected} entries, {found} came")]
    Count {
        /// As many as `after` says.
        expected: u64,
        /// What came.
        found: usize,
    },
    /// Others than those under the root.
    #[error("expected entries under the root {expected}, came others under {found}")]
    Root {
        /// The root in `after`.
        expected: Digest,
        /// That of the entries.
        found: Digest,
    },
    /// They are those under the root, and one of them is not valid: nothing can be said of this point.
    #[error("an entry before that point is not valid")]
    Entry(#[source] EntryError),
}

impl Register {
    /// Makes an old register of its entries up to `after`: without keys, heads or a witnessed size.
    pub fn up_to(after: &After, entries: &[Bytes], witnessing: Arc<Witnessing>) -> Result<Self, PastError> {
        if u64::try_from(entries.len()) != Ok(after.size) {
            return Err(PastError::Count { expected: after.size, found: entries.len() });
        }
        let mut register = Self::new(&after.origin, &[], witnessing);
        let mut edge = Edge::default();
        entries.iter().for_each(|leaf| edge.append(leaf));
        if edge.root() != after.root {
            return Err(PastError::Root { expected: after.root, found: edge.root() });
        }
        register.main.extend(entries).map_err(PastError::Entry)?;
        Ok(register)
    }

    /// Returns the branch on which the point lies: the main one first.
    pub(super) fn branch_with(&self, after: &After) -> Option<&Branch> {
        let branches = [Some(&self.main), self.other.as_ref()].into_iter().flatten();
        let mut found = branches.filter(|branch| branch.tree().root_at(after.size) == Some(after.root));
        found.next().filter(|_| *self.origin == *after.origin)
    }

    /// True when a branch held goes through this point.
    pub fn reaches(&self, after: &After) -> bool {
        self.branch_with(after).is_some()
    }

    /// Visits the entries before the point from number `first` on; nothing where they are not all held.
    pub fn entries_to(&self, after: &After, first: u64) -> Option<impl Iterator<Item = &Entry>> {
        let branch = self.branch_with(after).filter(|_| self.main.base() <= first)?;
        let common = branch.base().min(after.size);
        Some(self.main.range(first, common).chain(branch.range(first.max(common), after.size)))
    }

    /// Returns the digests of the status lists at the point: of an old register nothing else counts.
    pub fn lists_at(&self, after: &After) -> BTreeSet<Digest> {
        let state = self.branch_with(after).and_then(|branch| branch.state_at(after.size)).unwrap_or_default();
        state.iter().filter(|(key, _)| key.starts_with(b"status/")).map(|(_, digest)| *digest).collect()
    }
}
