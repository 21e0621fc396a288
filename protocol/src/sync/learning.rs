//! What a witness that starts asks about itself before it signs anything (`specs/witness.md` §3).
//!
//! ```text
//! started ─→ learning ─ every connected peer has answered, and enough have ─→ over: it signs
//!               │  └── what came is younger than our own store: wait whether more of it comes
//!               └───── a statement of ours made after our start: halted, another machine has our keys
//! ```
//!
//! A store that was put back from a backup does not know what its witness promised since. Its peers do.

use std::collections::BTreeSet;

use super::Peer;

/// Peers that have to answer: two, where the charter names that many other witnesses.
const ANSWERS_WANTED: usize = 2;
/// Seconds after which one answer is enough, and after which a peer that does not answer is not waited for.
const PATIENCE_S: u64 = 10;
/// Seconds by which the clock of a machine with our keys may be ahead of ours.
const CLOCKS_APART_S: u64 = 5;
/// Intervals between views for which a witness listens whether another machine says something with its keys.
const INTERVALS_LISTENED: u64 = 3;
/// Peers asked in one run; the rest has nothing to say that these have not.
const ASKED_MAX: usize = 1024;

/// What became of a statement by our own key that we do not remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Elsewhere {
    /// Made before we started: our store is an older copy.
    Before,
    /// Made since we started: another machine signs with our keys.
    Since,
}

/// What a starting witness knows of its own statements.
#[derive(Debug, Default)]
pub(super) struct Learning {
    state: State,
    /// When it began, in POSIX seconds.
    began: u64,
    /// What is newer than this was not said by an earlier run of ours.
    since: u64,
    interval_s: u64,
    wanted: usize,
    /// The newest statement of ours that our own store does not have, and when it came.
    newest_unknown: Option<(u64, u64)>,
    asked: BTreeSet<Peer>,
    waiting: BTreeSet<Peer>,
    answered: BTreeSet<Peer>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Over,
    Under,
    Halted,
}

impl Learning {
    /// Nothing to learn: this node is no witness, or was not started yet.
    pub(super) fn over() -> Self {
        Self::default()
    }

    /// Begins. `others`: the other witnesses of the charter; `last_time`: of the newest statement in our own store.
    pub(super) fn begin(others: usize, last_time: u64, interval_s: u64, now: u64) -> Self {
        // By a clock that was set back, what we said ourselves before would be from after the start.
        let since = now.max(last_time);
        let wanted = others.min(ANSWERS_WANTED);
        Self { state: State::Under, began: now, since, interval_s, wanted, ..Self::default() }
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// True when another machine was found to sign with our keys.
    pub(super) fn is_halted(&self) -> bool {
        self.state == State::Halted
    }

    /// True when this peer is to be asked: each one once, also after the start, for it may know what nobody else does.
    pub(super) fn ask(&mut self, peer: &Peer) -> bool {
        if self.asked.len() >= ASKED_MAX || !self.asked.insert(peer.clone()) {
            return false;
        }
        self.waiting.insert(peer.clone());
        true
    }

    pub(super) fn answered(&mut self, peer: &Peer) {
        if self.waiting.remove(peer) {
            self.answered.insert(peer.clone());
        }
    }

    /// It is gone, or has no answer: it may be asked again.
    pub(super) fn failed(&mut self, peer: &Peer) {
        self.waiting.remove(peer);
        if !self.answered.contains(peer) {
            self.asked.remove(peer);
        }
    }

    /// A statement by our key came that we do not remember.
    pub(super) fn came_from_elsewhere(&mut self, time: u64, now: u64) -> Elsewhere {
        // Further ahead it tells of a clock that was wrong once, if it came before we signed anything ourselves.
        let is_live = time > self.since && (self.is_over() || time <= now.saturating_add(CLOCKS_APART_S));
        if is_live || self.state == State::Halted {
            self.state = State::Halted;
            return Elsewhere::Since;
        }
        if self.newest_unknown.is_none_or(|(newest, _)| newest < time) {
            self.newest_unknown = Some((time, now));
        }
        Elsewhere::Before
    }

    /// Ends it when enough is known; true when it ends now.
    pub(super) fn tick(&mut self, now: u64) -> bool {
        if self.state != State::Under {
            return false;
        }
        let waited = now >= self.began.saturating_add(PATIENCE_S);
        let answers = self.answered.len();
        let enough = match self.wanted {
            // The only witness: there may be nobody to ask.
            0 => waited || answers > 0 && self.waiting.is_empty(),
            wanted => answers >= wanted && self.waiting.is_empty() || waited && answers > 0,
        };
        // Whoever runs with our keys says something once an interval.
        let listened = self.interval_s.saturating_mul(INTERVALS_LISTENED);
        let is_silent = self.newest_unknown.is_none_or(|(time, came)| {
            time < self.since.saturating_sub(listened) || now >= came.saturating_add(listened)
        });
        if enough && is_silent {
            self.state = State::Over;
        }
        self.is_over()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str) -> Peer {
        Peer::from(name)
    }

    fn answered_by(learning: &mut Learning, names: &[&str]) {
        for name in names {
            assert!(learning.ask(&peer(name)));
            learning.answered(&peer(name));
        }
    }

    #[test]
    fn signs_once_two_peers_and_all_that_are_connected_have_answered() {
        let mut learning = Learning::begin(3, 0, 60, 1000);
        answered_by(&mut learning, &["a"]);
        assert!(!learning.tick(1001), "one answer");
        answered_by(&mut learning, &["b"]);
        assert!(learning.ask(&peer("c")) && !learning.tick(1002), "one has not answered yet");
        learning.failed(&peer("c"));
        assert!(learning.tick(1003) && learning.is_over());
    }

    #[test]
    fn one_answer_is_enough_after_a_while_and_none_never_is() {
        let mut learning = Learning::begin(3, 0, 60, 1000);
        assert!(!learning.tick(9000));
        answered_by(&mut learning, &["a"]);
        assert!(learning.ask(&peer("silent")) && learning.tick(9001));
    }

    #[test]
    fn the_only_witness_of_a_network_signs_alone_after_a_while() {
        let mut learning = Learning::begin(0, 0, 60, 1000);
        assert!(!learning.tick(1001) && learning.tick(1010));
        let mut learning = Learning::begin(0, 0, 60, 1000);
        answered_by(&mut learning, &["follower"]);
        assert!(learning.tick(1001), "or as soon as a peer has answered");
    }

    #[test]
    fn what_was_said_shortly_before_the_start_is_waited_out() {
        let mut learning = Learning::begin(1, 0, 60, 1000);
        assert_eq!(learning.came_from_elsewhere(990, 1001), Elsewhere::Before);
        answered_by(&mut learning, &["a"]);
        assert!(!learning.tick(1002) && !learning.tick(1180) && learning.tick(1181));
        let mut learning = Learning::begin(1, 0, 60, 1000);
        assert_eq!(learning.came_from_elsewhere(700, 1001), Elsewhere::Before);
        answered_by(&mut learning, &["a"]);
        assert!(learning.tick(1002), "whoever said it is silent for long enough");
    }

    #[test]
    fn another_machine_with_our_keys_halts_for_good() {
        let mut learning = Learning::begin(1, 0, 60, 1000);
        answered_by(&mut learning, &["a"]);
        assert!(learning.tick(1001));
        assert_eq!(learning.came_from_elsewhere(1000, 1002), Elsewhere::Before);
        assert_eq!(learning.came_from_elsewhere(1003, 1004), Elsewhere::Since);
        assert!(!learning.tick(9000) && learning.is_halted());
    }

    #[test]
    fn a_statement_from_far_ahead_is_an_old_one_under_a_wrong_clock() {
        let mut learning = Learning::begin(1, 0, 60, 1000);
        answered_by(&mut learning, &["a"]);
        assert_eq!(learning.came_from_elsewhere(1_000_000, 1001), Elsewhere::Before);
        assert!(!learning.tick(1002) && learning.tick(1181));
    }
}
