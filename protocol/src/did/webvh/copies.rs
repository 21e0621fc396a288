//! Copies of one log: which of them says most, and whether two of them part.
//!
//! ```text
//! 1-Qm… ─ 2-Qm… ─ 3-Qm…              one copy
//! 1-Qm… ─ 2-Qm…                      older: it says nothing more
//! 1-Qm… ─ 2-Qm… ─ 3-QmX… ─ 4-Qm…     divergent: the controller, or who has its keys, made two histories
//! ```
//!
//! An entry's id names its content and, through the hash before, everything before it: two logs are one history exactly
//! as far as their ids agree.

use super::Log;

/// How two copies stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// The same versions.
    Same,
    /// The other goes on where this one ends.
    Older,
    /// This one goes on where the other ends.
    Newer,
    /// They part after so many versions. With 0 they are logs of different DIDs.
    Diverges(usize),
}

impl Log {
    /// Compares with another copy, as far as both hold.
    pub fn relation(&self, other: &Self) -> Relation {
        let (ours, theirs) = (self.versions(), other.versions());
        let common = ours.iter().zip(theirs).take_while(|(a, b)| a.id() == b.id()).count();
        match (common == ours.len(), common == theirs.len()) {
            (true, true) => Relation::Same,
            (true, false) => Relation::Older,
            (false, true) => Relation::Newer,
            (false, false) => Relation::Diverges(common),
        }
    }

    /// True when this copy says all that the other does.
    pub fn extends(&self, other: &Self) -> bool {
        matches!(self.relation(other), Relation::Same | Relation::Newer)
    }
}

/// True when nothing is lost with the other copy: of equal ones, one that is whole covers one with a damaged end.
fn covers(copy: &Log, other: &Log) -> bool {
    match copy.relation(other) {
        Relation::Newer => true,
        Relation::Same => copy.is_whole() || !other.is_whole(),
        Relation::Older | Relation::Diverges(_) => false,
    }
}

/// Returns the places of the copies that no other one goes on from, of equal ones the first. More than one: a fork.
pub fn ends(copies: &[&Log]) -> Vec<usize> {
    let mut ends: Vec<usize> = Vec::new();
    for (place, copy) in copies.iter().enumerate() {
        let known = |end: &usize| copies.get(*end);
        if ends.iter().filter_map(known).any(|end| covers(end, copy)) {
            continue;
        }
        ends.retain(|end| copies.get(*end).is_some_and(|end| !covers(copy, end)));
        ends.push(place);
    }
    ends
}
