//! Whose cosignatures make a checkpoint a witnessed one: the set of witnesses in force, and the one before it.
//!
//! ```text
//!              from
//! ─ before ─────┤               its word counts up to `from`, and never for more than that
//!        ─ after ┼──────────    counts once a quorum of it has said that `from` has passed
//! ```
//!
//! Which set is in force is read from the witnesses' own statements, never from the clock of whoever reads them: a wrong
//! clock moves no W and makes no other set count (`specs/charter.md` §7).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::charter::{Charter, WitnessSet};
use crate::log::cosignature::Cosignature;
use crate::log::policy::Quorum;

/// Whose cosignatures make a checkpoint a witnessed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witnessing {
    /// The quorum in force.
    pub quorum: Quorum,
    /// The names of its witnesses that replay entries and hold every body before they cosign. Others do not count for W.
    pub admitting: BTreeSet<String>,
    /// The witnesses of a charter that changes them; `None` where nothing changes.
    pub change: Option<Arc<Change>>,
}

/// A change of witnesses that a charter announces, or has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The set before.
    before: (Quorum, BTreeSet<String>),
    /// The set after.
    after: (Quorum, BTreeSet<String>),
    /// The second from which the set after counts.
    from: u64,
    /// Witnesses that stand in the set before alone.
    leaving: BTreeSet<String>,
    in_force: bool,
}

fn counting(set: &WitnessSet) -> (Quorum, BTreeSet<String>) {
    let admitting = set.kinds().keys().filter(|name| set.is_admitting(name)).cloned().collect();
    (set.quorum().clone(), admitting)
}

impl Witnessing {
    /// Makes that of a quorum alone.
    pub fn new(quorum: Quorum, admitting: BTreeSet<String>) -> Self {
        Self { quorum, admitting, change: None }
    }

    /// Makes that of a charter, given each witness's newest statement on anything.
    pub fn of(charter: &Charter, newest: &dyn Fn(&str) -> Option<u64>) -> Self {
        let after = counting(charter.witnesses());
        let Some((before_set, from)) = charter.before() else { return Self::new(after.0, after.1) };
        let before = counting(before_set);
        let said = |(quorum, admitting): &(Quorum, BTreeSet<String>)| {
            quorum.time(|name| admitting.contains(name).then(|| newest(name)).flatten())
        };
        // `quorum none` says no time: there those that leave have the last word.
        let last = if after.0.is_none() { said(&before) } else { said(&after) };
        let in_force = last.is_some_and(|time| time >= from);
        let stays = charter.witnesses().kinds();
        let leaving = before_set.kinds().keys().filter(|name| !stays.contains_key(*name)).cloned().collect();
        let (quorum, admitting) = if in_force { after.clone() } else { before.clone() };
        Self { quorum, admitting, change: Some(Arc::new(Change { before, after, from, leaving, in_force })) }
    }

    /// True where witnesses change and those that come are not in force yet.
    pub fn is_changing(&self) -> bool {
        self.change.as_ref().is_some_and(|change| !change.in_force)
    }

    /// True for an admitting witness of the set in force, or of the set before it.
    pub fn counts(&self, name: &str) -> bool {
        self.admitting.contains(name)
            || self.change.as_ref().is_some_and(|change| change.in_force && change.before.1.contains(name))
    }

    /// True when what this witness says at this time is kept: who leaves has nothing to say from then on.
    pub fn hears(&self, witness: &str, time: u64) -> bool {
        self.change.as_ref().is_none_or(|change| time < change.from || !change.leaving.contains(witness))
    }

    /// True when [`Witnessing::hears`] it.
    pub fn hears_cosignature(&self, cosignature: &Cosignature) -> bool {
        self.hears(cosignature.witness(), cosignature.time())
    }

    /// True when those present make the quorum in force, or that of the set before it.
    ///
    /// A witness that leaves is only present where it has cosigned in its time ([`Witnessing::hears`]), so that the same
    /// statements give the same in whatever order they come.
    pub fn is_met_by(&self, present: impl Fn(&str) -> bool) -> bool {
        let met = |quorum: &Quorum, admitting: &BTreeSet<String>| {
            quorum.met_by(|name| admitting.contains(name) && present(name))
        };
        let earlier = |change: &Arc<Change>| {
            change.in_force && !change.before.0.is_none() && met(&change.before.0, &change.before.1)
        };
        met(&self.quorum, &self.admitting) || self.change.as_ref().is_some_and(earlier)
    }

    /// Returns the quorum time over witnesses' times: the newest time at which a quorum that was in force then has spoken.
    /// What the set before says counts for no later time than that of the change.
    pub fn time(&self, times: &dyn Fn(&str) -> Option<u64>) -> Option<u64> {
        let said = |(quorum, admitting): (&Quorum, &BTreeSet<String>)| {
            quorum.time(|name| admitting.contains(name).then(|| times(name)).flatten())
        };
        let own = said((&self.quorum, &self.admitting));
        let Some(change) = &self.change else { return own };
        let before = || said((&change.before.0, &change.before.1)).map(|time| time.min(change.from));
        if change.in_force { own.max(before()) } else { before() }
    }
}
