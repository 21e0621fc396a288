//! How old what is held is: the two ages of a register, the age of the charter, and the clock bound.
//!
//! ```text
//! bound      B: the quorum time over each admitting witness's newest statement, future ones included
//! now        max(device, B): the time by which everything is judged
//! set aside  statements later than now + 300 s: from here on they count for nothing
//! witnessed  quorum time over the kept statements that name exactly W
//! published  newest kept 0x04 cosignature of the publisher over any head on our chain
//! charter    quorum time over the kept views that name our charter's version and digest
//! ```
//!
//! The bound comes first: below a quorum of liars it is at most the time of an honest witness, so that a few witnesses
//! with a wrong clock neither move it nor have others set aside.

use crate::limits;
use crate::log::policy::Quorum;

/// Who made a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Speaker<'a> {
    /// The *admitting* witness that the charter's policy gives this name; no other witness speaks here.
    Witness(&'a str),
    /// A key of type 0x04 that is bound to the register now.
    Publisher,
}

/// What one key signed at one time, matched against one register: a cosignature, or a leaf of a view.
///
/// Signatures have been checked before, and heads matched: this module only reckons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Statement<'a> {
    /// Who says it.
    pub speaker: Speaker<'a>,
    /// When, in POSIX seconds, by the speaker's clock.
    pub time: u64,
    /// True when it names exactly the size and root of W.
    pub at_w: bool,
    /// True when it is a view that names our charter's version and digest.
    pub names_charter: bool,
    /// True when it names a head that lies on our chain.
    pub on_chain: bool,
}

/// The times that the statements on one register give, all in POSIX seconds; `None` where nothing is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ages {
    /// The clock bound B.
    pub bound: Option<u64>,
    /// The time by which everything is judged: the later of the device's and B.
    pub now: u64,
    /// The newest time at which a quorum stood at exactly W.
    pub witnessed: Option<u64>,
    /// The newest time at which the publisher stood at a head on our chain.
    pub published: Option<u64>,
    /// The newest time at which a quorum named our charter.
    pub charter: Option<u64>,
    /// Positions of the statements that are too far ahead to count, ascending.
    pub set_aside: Vec<usize>,
}

impl Ages {
    /// Returns the seconds from `time` to now: `ages.age(ages.witnessed)`. Up to 300 s ahead count as 0.
    pub fn age(&self, time: Option<u64>) -> Option<u64> {
        time.map(|time| self.now.saturating_sub(time))
    }
}

/// Gives the quorum time of a map from witnesses to times: [`Quorum::time`], or over a change of witnesses
/// [`Witnessing::time`](crate::register::state::Witnessing::time).
pub type QuorumTime<'a> = &'a dyn Fn(&dyn Fn(&str) -> Option<u64>) -> Option<u64>;

/// Returns the clock bound B alone: the quorum time over each admitting witness's newest statement.
pub fn bound(quorum: QuorumTime<'_>, statements: &[Statement<'_>]) -> Option<u64> {
    quorum_time(quorum, statements, |_| true)
}

/// Reckons all ages of one register at the device's time (`specs/trust.md` §4).
pub fn ages(quorum: &Quorum, device: u64, statements: &[Statement<'_>]) -> Ages {
    ages_by(&|times| quorum.time(times), device, statements)
}

/// As [`ages`], for witnesses that change.
pub fn ages_by(quorum: QuorumTime<'_>, device: u64, statements: &[Statement<'_>]) -> Ages {
    let bound = bound(quorum, statements);
    let now = bound.map_or(device, |bound| bound.max(device));
    let latest = now.saturating_add(limits::STATEMENT_AHEAD_MAX_S);
    let kept = |s: &Statement<'_>| s.time <= latest;
    Ages {
        bound,
        now,
        witnessed: quorum_time(quorum, statements, |s| kept(s) && s.at_w),
        published: statements
            .iter()
            .filter(|s| kept(s) && s.on_chain && s.speaker == Speaker::Publisher)
            .map(|s| s.time)
            .max(),
        charter: quorum_time(quorum, statements, |s| kept(s) && s.names_charter),
        set_aside: statements.iter().enumerate().filter(|(_, s)| !kept(s)).map(|(i, _)| i).collect(),
    }
}

/// The quorum time over each witness's newest statement among those that `says` picks.
fn quorum_time(
    quorum: QuorumTime<'_>,
    statements: &[Statement<'_>],
    says: impl Fn(&Statement<'_>) -> bool,
) -> Option<u64> {
    quorum(&|name| {
        let by_name = |s: &&Statement<'_>| s.speaker == Speaker::Witness(name);
        statements.iter().filter(by_name).filter(|s| says(s)).map(|s| s.time).max()
    })
}

/// Where the present stands to a window `[from, until)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Validity {
    /// Inside.
    Current,
    /// Before it.
    NotYet,
    /// Past it by the device's clock.
    Expired,
    /// Past it by the witnesses' time alone: whose clock is wrong is not known.
    ClockDisputed,
}

/// Judges the window `[from, until)` by the device's time and the clock bound.
pub fn validity(from: u64, until: u64, device: u64, bound: Option<u64>) -> Validity {
    if device >= until {
        Validity::Expired
    } else if bound.is_some_and(|bound| bound >= until) {
        Validity::ClockDisputed
    } else if bound.map_or(device, |bound| bound.max(device)) >= from {
        Validity::Current
    } else {
        Validity::NotYet
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Algorithm, SecretKey, VerifierKey};

    fn two_of_three() -> Quorum {
        let mut text = String::new();
        for (name, seed) in [("A", 1), ("B", 2), ("C", 3)] {
            let key = SecretKey::from_seed(&[seed; 32]).public();
            let key = VerifierKey::new("w.example", Algorithm::Cosignature, key).expect("a name");
            text += &format!("witness {name} {key}\n");
        }
        Quorum::parse(&(text + "group G 2 A B C\nquorum G\n")).expect("a policy")
    }

    fn says(name: &str, time: u64) -> Statement<'_> {
        Statement { speaker: Speaker::Witness(name), time, at_w: true, names_charter: true, on_chain: true }
    }

    #[test]
    fn one_witness_from_the_future_moves_nothing() {
        let ages = ages(&two_of_three(), 1_000, &[says("A", 900), says("B", 950), says("C", 9_000)]);
        assert_eq!((ages.bound, ages.now), (Some(950), 1_000));
        assert_eq!(ages.witnessed, Some(900));
        assert_eq!(ages.set_aside, [2]);
        assert_eq!(ages.age(ages.witnessed), Some(100));
    }

    #[test]
    fn keeps_a_statement_exactly_300_seconds_ahead() {
        let ages = ages(&two_of_three(), 1_000, &[says("A", 1_300), says("B", 1_301)]);
        assert_eq!((ages.bound, ages.now), (Some(1_300), 1_300));
        assert!(ages.set_aside.is_empty());
        let ages = super::ages(&two_of_three(), 1_000, &[says("A", 1_300), says("B", 900), says("C", 1_301)]);
        assert!(ages.set_aside.is_empty(), "measured from the bound");
    }

    #[test]
    fn a_device_clock_that_runs_behind_is_corrected() {
        let ages = ages(&two_of_three(), 0, &[says("A", 900), says("B", 950)]);
        assert_eq!((ages.now, ages.age(ages.witnessed)), (900, Some(0)));
    }

    #[test]
    fn publisher_counts_only_on_our_chain_and_never_as_a_witness() {
        let own = Statement { speaker: Speaker::Publisher, ..says("", 700) };
        let other = Statement { on_chain: false, ..Statement { time: 800, ..own } };
        let ages = ages(&two_of_three(), 1_000, &[own, other, says("A", 900)]);
        assert_eq!((ages.published, ages.bound, ages.witnessed), (Some(700), None, None));
    }

    #[test]
    fn expiry_by_the_bound_alone_is_disputed() {
        assert_eq!(validity(10, 20, 20, None), Validity::Expired);
        assert_eq!(validity(10, 20, 15, Some(20)), Validity::ClockDisputed);
        assert_eq!(validity(10, 20, 9, Some(10)), Validity::Current);
        assert_eq!(validity(10, 20, 9, Some(8)), Validity::NotYet);
    }
}
