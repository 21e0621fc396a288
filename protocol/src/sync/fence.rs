//! The write fence: what this node has heard, since it started, of the newest head of one register.
//!
//! ```text
//! held 3 · witnesses A 3, B 3 of A B C, two of which are a quorum · 2 of 2 peers compared      → level
//! held 3 · a signed head of size 5 came, and its entries did not                               → behind
//! ```
//!
//! A publisher asks before it appends (`specs/register.md` §9): most forks in the wild are honest restores. A peer's word
//! is a hint to fetch and no evidence; a witness answers by what it signs, not by what a peer says of itself.

use std::collections::BTreeMap;

use super::machine::Machine;
use super::seen::Seen;
use crate::digest::Digest;
use crate::log::policy::Quorum;

/// What the machine keeps for the fence.
#[derive(Debug, Default)]
pub(super) struct Fence {
    /// What counts as an answer was signed after this time.
    pub(super) began: u64,
    /// The largest validly signed head of a register that came and was not admitted.
    pub(super) seen: Seen,
    /// Heads that are being checked, by the ticket of their check.
    pub(super) in_check: BTreeMap<u64, String>,
}

/// Whether a peer has said what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Compared {
    /// It is being asked.
    #[default]
    Asked,
    /// It has answered since it connected.
    Answered,
    /// It did not answer when it was asked.
    Silent,
}

/// A witness's answer: a view or a cosignature that it signed since the node started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessAnswer {
    /// The witness's name in the charter.
    pub witness: String,
    /// The size that it stands at; 0 when it holds nothing of the register.
    pub size: u64,
    /// When it signed.
    pub time: u64,
}

/// Who says that there is more than is held here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beyond {
    /// The register's own key: a head of this size was signed.
    Signed {
        /// The size.
        size: u64,
    },
    /// A witness stands at a head that is not on the chain held here.
    Witness {
        /// The size.
        size: u64,
        /// The witness.
        witness: String,
    },
}

/// What is known of the newest head of a register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FenceReport {
    /// The newest size held.
    pub size: u64,
    /// The root there.
    pub root: Digest,
    /// Answers count that were signed after this time.
    pub began: u64,
    /// How many witnesses the charter names.
    pub witnesses_named: usize,
    /// The answers of witnesses, in the order of their names.
    pub answers: Vec<WitnessAnswer>,
    /// No quorum can do without one of those that answered: a head that a quorum has seen would be among the answers.
    pub meets_every_quorum: bool,
    /// Connected peers.
    pub peers: usize,
    /// Connected peers that have compared their frontier with ours since they connected.
    pub peers_answered: usize,
    /// Something that may say more is on its way: a peer is being asked, or a head is being fetched or checked.
    pub asking: bool,
    /// Somebody knows of more than is held here.
    pub beyond: Option<Beyond>,
}

impl FenceReport {
    /// True when enough have answered, and nobody knows of more.
    pub fn is_level(&self) -> bool {
        self.beyond.is_none() && !self.asking && self.meets_every_quorum
    }
}

/// True when every quorum has a member that answered.
///
/// Under `quorum none` there is no quorum to meet, so a peer must have answered.
pub fn meets_every_quorum(quorum: &Quorum, answered: impl Fn(&str) -> bool, peers_answered: usize) -> bool {
    if quorum.is_none() { peers_answered > 0 } else { !quorum.met_by(|witness| !answered(witness)) }
}

impl Machine {
    /// Returns what is known of a register's newest head; `None` when nobody names the register.
    pub fn fence(&self, origin: &str) -> Option<FenceReport> {
        let replica = self.replica();
        replica.bound().get(origin)?;
        let register = replica.register(origin);
        let size = register.map_or(0, |register| register.size_newest());
        let root = register.and_then(|register| register.root_at(size)).unwrap_or(Digest::OF_NOTHING);
        let root_at = |at: u64| register.and_then(|register| register.root_at(at));
        // Our own word is no answer: it was restored with the rest.
        let own = self.own_witness();
        let mut answers: BTreeMap<&str, WitnessAnswer> = BTreeMap::new();
        let mut take = |witness: &'_ str, size: u64, time: u64| {
            let Some((name, _)) = replica.quorum().witnesses().get_key_value(witness) else { return };
            let held = answers.get(name.as_str()).is_some_and(|held| held.time >= time);
            if time > self.fence.began && own.as_deref() != Some(witness) && !held {
                answers.insert(name, WitnessAnswer { witness: name.clone(), size, time });
            }
        };
        let mut beyond = None;
        for view in replica.views().values().flat_map(|slots| slots.iter()) {
            let witness = view.view().witness.as_str();
            match view.frontier.get(origin) {
                Some(leaf) if root_at(leaf.size) == Some(leaf.root) => take(witness, leaf.size, view.view().time),
                Some(leaf) if own.as_deref() != Some(witness) => {
                    beyond = Some(Beyond::Witness { size: leaf.size, witness: witness.to_owned() });
                }
                // Of a register with entries it may have seen more than it will vouch for.
                None if size == 0 => take(witness, 0, view.view().time),
                Some(_) | None => {}
            }
        }
        let stands = register.into_iter().flat_map(|r| r.stands_from(r.size_witnessed()));
        for cosignature in stands.flat_map(|stand| stand.cosignatures()) {
            take(cosignature.witness(), cosignature.checkpoint().size, cosignature.time());
        }
        let early = self.early_cosignatures(origin).find(|early| early.checkpoint().size > size);
        if let Some(early) = early {
            let (size, witness) = (early.checkpoint().size, early.witness().to_owned());
            beyond = Some(Beyond::Witness { size, witness });
        }
        // The register's own signature says more than a witness's word.
        let bound = replica.keys_for(origin).map(|keys| keys.own).unwrap_or_default();
        let seen = self.fence.seen.largest(origin, &bound);
        if seen > size {
            beyond = Some(Beyond::Signed { size: seen });
        }
        let (peers, peers_answered, peers_asked) = self.peers.compared();
        let answers: Vec<WitnessAnswer> = answers.into_values().collect();
        let answered = |name: &str| answers.iter().any(|answer| answer.witness == name);
        let meets_every_quorum = meets_every_quorum(replica.quorum(), answered, peers_answered);
        let under_way = self.is_changing(origin)
            || self.peers.fetches(origin)
            || self.fence.in_check.values().any(|checked| checked == origin);
        Some(FenceReport {
            size,
            root,
            began: self.fence.began,
            witnesses_named: replica.quorum().witnesses().len(),
            meets_every_quorum,
            answers,
            peers,
            peers_answered,
            asking: peers_asked > 0 || under_way,
            beyond,
        })
    }
}
