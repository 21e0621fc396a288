//! The write fence: whether a publisher may append, from what others say and from what its own machine proves.
//!
//! ```text
//! others know more                                → behind       fetch it, then append
//! a quorum cannot have seen more, nor any peer    → pass         level
//! too few answered, nothing is missing here       → pass         continuous: ledger and marker agree
//! too few answered                                → unanswered   wait, or --override-fence REASON
//! ```
//!
//! [`judge`] is all of it (`specs/register.md` §9).

use serde::{Deserialize, Serialize};
use standfast_protocol::sync::{Beyond, FenceReport};

/// What a node has heard of a register's newest head: `standfast/fence/v1` of its API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// `standfast/fence/v1`.
    pub kind: String,
    /// The register.
    pub origin: String,
    /// `behind`, `asking`, `level` or `unanswered`.
    pub state: State,
    /// The newest size held.
    pub size: u64,
    /// The largest size that somebody knows of, where it is not held here.
    pub size_beyond: Option<u64>,
    /// The witness whose word that is; `None` when the register's own signature over it was seen.
    pub beyond_by: Option<String>,
    /// Answers count that were signed after this time (POSIX seconds).
    pub since_s: u64,
    /// Witnesses that answered, by name.
    pub witnesses: Vec<String>,
    /// Witnesses that the charter names.
    pub witnesses_named: u64,
    /// Connected peers.
    pub peers: u64,
    /// Connected peers that answered.
    pub peers_answered: u64,
}

/// What the answers come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Somebody knows of more than is held here.
    Behind,
    /// Something that may say more is on its way.
    Asking,
    /// Enough have answered, and nobody knows of more.
    Level,
    /// Too few have answered.
    Unanswered,
}

impl Heard {
    /// Makes the document of what a machine has heard.
    pub fn of(origin: &str, report: &FenceReport) -> Self {
        let (size_beyond, beyond_by) = match &report.beyond {
            None => (None, None),
            Some(Beyond::Signed { size }) => (Some(*size), None),
            Some(Beyond::Witness { size, witness }) => (Some(*size), Some(witness.clone())),
        };
        let state = match report {
            FenceReport { beyond: Some(_), .. } => State::Behind,
            FenceReport { asking: true, .. } => State::Asking,
            report if report.is_level() => State::Level,
            _ => State::Unanswered,
        };
        Self {
            kind: "standfast/fence/v1".to_owned(),
            origin: origin.to_owned(),
            state,
            size: report.size,
            size_beyond,
            beyond_by,
            since_s: report.began,
            witnesses: report.answers.iter().map(|answer| answer.witness.clone()).collect(),
            witnesses_named: report.witnesses_named as u64,
            peers: report.peers as u64,
            peers_answered: report.peers_answered as u64,
        }
    }
}

/// What this machine proves about its own ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuity {
    /// The marker outside the backup names nothing that ledger and register do not hold.
    Proven,
    /// There is no marker, or only a copy of one.
    Unproven,
    /// The marker names a checkpoint that neither the ledger nor the register holds.
    Behind {
        /// Its size.
        size: u64,
    },
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Append.
    Pass,
    /// Ask again: what is on its way may decide it.
    Wait,
    /// Nothing is appended.
    Refuse(Refusal),
}

/// Why nothing is appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The register's key has signed more than is held here: appending would be a fork, whatever anybody says.
    Forks {
        /// The size that was signed.
        size: u64,
    },
    /// A witness, or this machine's marker, knows of more than is held here.
    Behind {
        /// The size that is known of.
        size: u64,
    },
    /// Too few have answered.
    Unanswered,
}

impl Refusal {
    /// Returns its stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Forks { .. } | Self::Behind { .. } => "fence-behind",
            Self::Unanswered => "fence-unanswered",
        }
    }

    /// True when a reason may pass it: nobody has shown that appending would be a fork.
    pub fn may_be_overridden(self) -> bool {
        !matches!(self, Self::Forks { .. })
    }
}

/// Decides. `heard` is `None` without a running node; `patient` says that there is time left to wait for what comes.
pub fn judge(heard: Option<&Heard>, continuity: Continuity, patient: bool) -> Judgement {
    let state = heard.map_or(State::Unanswered, |heard| heard.state);
    match (state, heard) {
        (State::Behind | State::Asking, _) if patient => return Judgement::Wait,
        (State::Behind, Some(Heard { size_beyond: Some(size), beyond_by: None, .. })) => {
            return Judgement::Refuse(Refusal::Forks { size: *size });
        }
        (State::Behind, Some(heard)) => {
            return Judgement::Refuse(Refusal::Behind { size: heard.size_beyond.unwrap_or(heard.size) });
        }
        _ => {}
    }
    match (continuity, state) {
        (Continuity::Behind { size }, _) => Judgement::Refuse(Refusal::Behind { size }),
        (Continuity::Proven, _) | (Continuity::Unproven, State::Level) => Judgement::Pass,
        // Views come once a minute.
        (Continuity::Unproven, _) if patient && heard.is_some_and(|heard| heard.peers > 0) => Judgement::Wait,
        (Continuity::Unproven, _) => Judgement::Refuse(Refusal::Unanswered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(state: State, beyond: Option<(u64, Option<&str>)>) -> Heard {
        let (size_beyond, beyond_by) = beyond.map_or((None, None), |(size, by)| (Some(size), by.map(str::to_owned)));
        Heard {
            kind: "standfast/fence/v1".to_owned(),
            origin: "a.example/register/0".to_owned(),
            state,
            size: 3,
            size_beyond,
            beyond_by,
            since_s: 0,
            witnesses: Vec::new(),
            witnesses_named: 3,
            peers: 2,
            peers_answered: 2,
        }
    }

    #[test]
    fn what_others_know_overrules_what_this_machine_proves() {
        let signed = heard(State::Behind, Some((5, None)));
        let said = heard(State::Behind, Some((5, Some("customs"))));
        for continuity in [Continuity::Proven, Continuity::Unproven] {
            assert_eq!(judge(Some(&signed), continuity, true), Judgement::Wait);
            assert_eq!(judge(Some(&signed), continuity, false), Judgement::Refuse(Refusal::Forks { size: 5 }));
            assert_eq!(judge(Some(&said), continuity, false), Judgement::Refuse(Refusal::Behind { size: 5 }));
        }
        assert!(!Refusal::Forks { size: 5 }.may_be_overridden());
        assert!(Refusal::Behind { size: 5 }.may_be_overridden() && Refusal::Unanswered.may_be_overridden());
    }

    #[test]
    fn too_few_answers_want_continuity() {
        let few = heard(State::Unanswered, None);
        let alone = Heard { peers: 0, ..few.clone() };
        assert_eq!(judge(Some(&few), Continuity::Proven, true), Judgement::Pass);
        assert_eq!(judge(Some(&few), Continuity::Unproven, true), Judgement::Wait);
        assert_eq!(judge(Some(&few), Continuity::Unproven, false), Judgement::Refuse(Refusal::Unanswered));
        assert_eq!(judge(Some(&alone), Continuity::Unproven, true), Judgement::Refuse(Refusal::Unanswered));
        assert_eq!(judge(None, Continuity::Proven, true), Judgement::Pass);
        assert_eq!(judge(None, Continuity::Unproven, true), Judgement::Refuse(Refusal::Unanswered));
        assert_eq!(judge(Some(&heard(State::Level, None)), Continuity::Unproven, true), Judgement::Pass);
        assert_eq!(judge(Some(&heard(State::Asking, None)), Continuity::Proven, true), Judgement::Wait);
        assert_eq!(judge(Some(&heard(State::Asking, None)), Continuity::Proven, false), Judgement::Pass);
    }

    #[test]
    fn what_this_machine_knows_to_be_lost_is_not_passed_by_others_not_knowing() {
        let lost = Continuity::Behind { size: 5 };
        for heard in [None, Some(heard(State::Level, None)), Some(heard(State::Unanswered, None))] {
            assert_eq!(judge(heard.as_ref(), lost, true), Judgement::Refuse(Refusal::Behind { size: 5 }));
        }
    }
}
