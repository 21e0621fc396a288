//! The charters that one node holds: those that follow each other, the second one of a version, and what its operator chose.
//!
//! ```text
//! 1 ── 2 ── 3 ── 4 ── 5        the chain, as it came
//!            └── 4'            a second charter of version 4, as good as the first: a fork
//!           ▲ in force         until the operator chooses one of them
//! ```
//!
//! Which charter is in force follows from what is held, in whatever order it came (`specs/charter.md` §8).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Charter, CharterError, SignedCharter};
use crate::limits;
use crate::log::note::Note;

/// The charters that a node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Each follows the one before; the first was chosen by the operator.
    held: Vec<Arc<SignedCharter>>,
    /// By version, the charter beside that of the chain.
    sides: BTreeMap<u64, Arc<SignedCharter>>,
    /// The version up to which the operator has chosen the chain.
    settled: u64,
}

/// What a charter is to those that are held.
#[derive(Debug, Clone)]
pub enum CharterStep {
    /// Held already, or the third one of a version: it changes nothing.
    Known,
    /// The next version.
    Next(Arc<SignedCharter>),
    /// As good as another one of its version that is held.
    Fork(Arc<SignedCharter>),
}

/// Two charters of one version, both signed as the rules ask.
#[derive(Debug, Clone)]
pub struct CharterFork {
    /// The version of both.
    pub version: u64,
    /// The one that the chain goes through first, then the other.
    pub sides: [Arc<SignedCharter>; 2],
    /// True when the operator has chosen a side of it.
    pub is_settled: bool,
}

impl Chain {
    /// Begins with the charter that an operator has chosen.
    pub fn new(first: Arc<SignedCharter>) -> Self {
        let settled = first.charter().version();
        Self { held: vec![first], sides: BTreeMap::new(), settled }
    }

    /// Returns the charters that follow each other, oldest first; also those that a fork holds back.
    pub fn held(&self) -> &[Arc<SignedCharter>] {
        &self.held
    }

    /// Returns the second charters of versions, oldest first.
    pub fn sides(&self) -> impl Iterator<Item = &Arc<SignedCharter>> {
        self.sides.values()
    }

    /// Returns the version up to which the operator has chosen: no fork of it or below holds anything back.
    pub fn settled(&self) -> u64 {
        self.settled
    }

    /// Returns the charter in force: the last one, or the one before the first fork that nobody has settled.
    pub fn in_force(&self) -> &Arc<SignedCharter> {
        let forked = self.open_fork().and_then(|version| self.at(version.saturating_sub(1)));
        forked.unwrap_or_else(|| self.last())
    }

    /// Returns the newest charter of the chain, in force or held back.
    pub fn last(&self) -> &Arc<SignedCharter> {
        self.held.last().expect("a chain begins with a charter")
    }

    /// Returns the charter of a version in the chain.
    pub fn at(&self, version: u64) -> Option<&Arc<SignedCharter>> {
        let place = version.checked_sub(self.first_version())?;
        self.held.get(usize::try_from(place).ok()?)
    }

    fn first_version(&self) -> u64 {
        self.held.first().map_or(1, |first| first.charter().version())
    }

    fn open_fork(&self) -> Option<u64> {
        self.sides.keys().copied().find(|version| *version > self.settled)
    }

    /// Returns the fork that holds later charters back: the earliest that is not settled.
    pub fn fork(&self) -> Option<CharterFork> {
        self.open_fork().and_then(|version| self.fork_of(version))
    }

    /// Returns both charters of a version that has two.
    pub fn fork_of(&self, version: u64) -> Option<CharterFork> {
        let sides = [self.at(version)?.clone(), self.sides.get(&version)?.clone()];
        Some(CharterFork { version, sides, is_settled: version <= self.settled })
    }

    /// Returns all forks held, oldest first, also those that are settled.
    pub fn forks(&self) -> impl Iterator<Item = CharterFork> {
        self.sides.keys().filter_map(|version| self.fork_of(*version))
    }

    /// True when this very charter is held.
    pub fn holds(&self, charter: &Charter) -> bool {
        let digest = charter.digest();
        self.held.iter().chain(self.sides.values()).any(|held| held.charter().digest() == digest)
    }

    /// Judges a charter: the next one, a second one of its version, or neither, and then why not.
    pub fn judge(&self, note: &[u8]) -> Result<CharterStep, CharterError> {
        let note = Note::parse(note)?;
        let charter = Charter::parse(note.text())?;
        if self.holds(&charter) {
            return Ok(CharterStep::Known);
        }
        let signed = Arc::new(self.follow(note, &charter)?);
        Ok(match charter.version() {
            version if self.at(version).is_none() => CharterStep::Next(signed),
            // The third one proves nothing that the two do not.
            version if self.sides.contains_key(&version) => CharterStep::Known,
            _ => CharterStep::Fork(signed),
        })
    }

    /// Authenticates a charter after the one of the chain that it would follow.
    fn follow(&self, note: Note, charter: &Charter) -> Result<SignedCharter, CharterError> {
        let version = charter.version();
        let before = version.checked_sub(1).and_then(|before| self.at(before));
        match before {
            Some(before) => SignedCharter::authenticate_next(note, before.charter()),
            // Ours is another network, or too far away; or this one would stand beside the operator's own first choice.
            None => {
                let last = self.last().charter();
                charter.check_follows(last)?;
                Err(CharterError::NotNext { expected: last.version().saturating_add(1), came: version })
            }
        }
    }

    /// Takes a charter that was judged; false when meanwhile it changes nothing.
    pub fn take(&mut self, step: CharterStep) -> bool {
        match step {
            CharterStep::Known => false,
            CharterStep::Next(next) => {
                let follows = self.last().charter().version().checked_add(1) == Some(next.charter().version());
                if follows {
                    self.held.push(next);
                }
                follows
            }
            CharterStep::Fork(side) => {
                let version = side.charter().version();
                if self.sides.contains_key(&version) || self.at(version).is_none_or(|held| !held.is_fork_of(&side)) {
                    return false;
                }
                self.sides.insert(version, side);
                if self.sides.len() > limits::CHARTER_FORKS_MAX {
                    // The earliest one decides what is in force.
                    self.sides.pop_last();
                }
                true
            }
        }
    }

    /// Authenticates a charter as one that the operator may choose: of the chain, beside it, or the next one.
    pub fn judge_choice(&self, note: &[u8]) -> Result<Arc<SignedCharter>, CharterError> {
        let note = Note::parse(note)?;
        let charter = Charter::parse(note.text())?;
        match self.at(charter.version()) {
            Some(held) if held.charter() == &charter => Ok(held.clone()),
            _ => self.follow(note, &charter).map(Arc::new),
        }
    }

    /// Chooses a charter: with it, all before it are settled; what follows another one of its version goes.
    /// False when nothing changes.
    pub fn choose(&mut self, chosen: Arc<SignedCharter>) -> bool {
        let version = chosen.charter().version();
        match self.at(version).cloned() {
            None => {
                if !self.take(CharterStep::Next(chosen)) {
                    return false;
                }
            }
            Some(held) if held.charter() == chosen.charter() => {
                let is_new = version > self.settled;
                self.settled = self.settled.max(version);
                return is_new;
            }
            Some(held) => {
                let kept = usize::try_from(version.saturating_sub(self.first_version())).unwrap_or(usize::MAX);
                self.held.truncate(kept);
                self.held.push(chosen);
                // What stood beside the charters that go was good after those.
                drop(self.sides.split_off(&version));
                self.sides.insert(version, held);
            }
        }
        self.settled = version;
        true
    }

    /// Takes the sides of a bundle, and honours its choice: for a bundle that is opened by itself.
    pub(crate) fn settle(&mut self, version: u64) {
        self.settled = version.clamp(self.settled, self.last().charter().version());
    }
}
