//! The door for other publishers' checkpoints: `add-checkpoint` of C2SP tlog-witness (`specs/witness.md` §5).
//!
//! ```text
//! request ─ known register? signed by it? ─ old size and root? ─ consistent? ─ replayed? ─→ promise ─→ disk ─→ cosignature
//! ```
//!
//! A witness of ours cosigns what it has replayed, through the same promise as everything else. What it has not replayed
//! it asks its peers for, and never whoever stands at the door.

use super::*;
use crate::digest::Digest;
use crate::log::checkpoint::{Checkpoint, SignedHead};
use crate::log::note::SignatureLine;
use crate::log::witness::{Step, step};
use crate::sync::duties::is_whole;

/// A request whose form and signatures have been checked.
#[derive(Debug, Clone)]
pub struct DoorRequest {
    /// The checkpoint, signed by a key that is bound to its register.
    pub head: SignedHead,
    /// The size that the witness is thought to have cosigned last.
    pub old: u64,
    /// A consistency proof from there.
    pub proof: Vec<Digest>,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DoorAnswer {
    /// 200: it is cosigned, and that is durable.
    Cosigned(SignatureLine),
    /// 403: no key that is bound now has signed it, or its register has two histories or stopped at a wrong entry.
    Refused(&'static str),
    /// 404: this node is no witness, or nobody names the register.
    Unknown,
    /// 409: the last size cosigned, or the root at it, is another one.
    Conflict(u64),
    /// 422: the consistency proof does not hold.
    BadProof,
    /// 503: not yet; again after so many seconds.
    NotYet(&'static str, u64),
}

/// Seconds after which entries that were asked for should have come.
const RETRY_S: u64 = 5;
/// Seconds for which the cosignature of the same head is given again, instead of a new one.
const SAME_FOR_S: u64 = 60;

impl Machine {
    pub(super) fn knocked(&mut self, ticket: u64, request: DoorRequest) {
        if let Some(answer) = self.answer_door(ticket, request) {
            self.outputs.push(Output::AddedCheckpoint(ticket, answer));
        }
    }

    /// Returns the answer, unless it waits for the disk.
    fn answer_door(&mut self, ticket: u64, request: DoorRequest) -> Option<DoorAnswer> {
        let DoorRequest { head, old, proof } = request;
        let checkpoint = head.checkpoint().clone();
        let origin = checkpoint.origin.as_str();
        let Some((witness, ..)) = self.duties.learning(&self.replica) else { return Some(DoorAnswer::Unknown) };
        let Some(bound) = self.replica.bound().get(origin) else { return Some(DoorAnswer::Unknown) };
        if !head.signers().iter().any(|key| bound.keys.contains(key)) {
            return Some(DoorAnswer::Refused("no key that is bound to this register has signed it"));
        }
        if !self.duties.may_sign() {
            // What it cosigned last, it does not know yet.
            let why = match self.duties.is_halted() {
                true => "another machine signs with the keys of this witness",
                false => "this witness has just started and asks what it cosigned before",
            };
            return Some(DoorAnswer::NotYet(why, RETRY_S));
        }
        if self.duties.promise_is_open(origin) {
            return Some(DoorAnswer::NotYet("another checkpoint of this register is being cosigned", 1));
        }
        let step = step(old, &proof, &checkpoint, self.duties.last_promise(origin));
        // Evidence is taken whatever the answer is, and so is the news that there is a larger head.
        let register = self.replica.register(origin).cloned();
        self.hand_in(register.as_deref(), &head);
        match step {
            Step::Conflict(size) => return Some(DoorAnswer::Conflict(size)),
            Step::BadProof => return Some(DoorAnswer::BadProof),
            Step::Forward | Step::Again => {}
        }
        let not_replayed = Some(DoorAnswer::NotYet("the entries under it have not come yet", RETRY_S));
        let Some(register) = register else { return not_replayed };
        if register.is_forked() || register.root_at(checkpoint.size).is_some_and(|root| root != checkpoint.root) {
            return Some(DoorAnswer::Refused("two histories of this register are signed"));
        }
        if register.frozen().is_some() {
            return Some(DoorAnswer::Refused("an entry of this register is not valid"));
        }
        let is_newest = register.newest_head().is_some_and(|newest| *newest.checkpoint() == checkpoint);
        if !is_newest || !self.duties.vouches_for(&register) {
            return not_replayed;
        }
        if !is_whole(&register, &self.replica) {
            return Some(DoorAnswer::NotYet("the records under it have not come yet", RETRY_S));
        }
        let held = register.stand(checkpoint.size).and_then(|stand| stand.cosignature(&witness));
        if let Some(held) = held.filter(|held| held.time().saturating_add(SAME_FOR_S) > self.now()) {
            return Some(DoorAnswer::Cosigned(held.line().clone()));
        }
        let cosignature = match step {
            Step::Again => self.duties.cosign_again(&register, &self.replica, self.now()),
            _ => self.duties.cosign(&register, &self.replica, self.now()),
        };
        match cosignature {
            Some(cosignature) => {
                self.promise(cosignature, Some(ticket));
                None
            }
            None => not_replayed,
        }
    }

    /// A signed head is news: of a fork, or of entries that are not held.
    fn hand_in(&mut self, register: Option<&Register>, head: &SignedHead) {
        let Checkpoint { origin, size, root } = head.checkpoint().clone();
        let ours = register.and_then(|register| register.root_at(size));
        if ours.is_none() {
            self.fence.seen.note(&origin, size, head.signers());
            if self.duties.saw(&origin, size, head.signers()) {
                self.peers.ask_everybody();
            }
        } else if ours != Some(root) {
            let head = CheckedHead {
                head: head.clone(),
                cosignatures: Vec::new(),
                timestamps: Vec::new(),
                first: size,
                entries: Vec::new(),
                bodies: Vec::new(),
            };
            self.change(origin, Change::Head(Box::new(head), Source::Door));
        }
    }

    /// A promise is durable: whoever waited for it gets the cosignature.
    pub(super) fn door_opens(&mut self, waiting: Option<u64>, cosignature: &Cosignature) {
        if let Some(ticket) = waiting {
            self.outputs.push(Output::AddedCheckpoint(ticket, DoorAnswer::Cosigned(cosignature.line().clone())));
        }
    }

    pub(super) fn door_stays_shut(&mut self, waiting: Option<u64>) {
        if let Some(ticket) = waiting {
            let answer = DoorAnswer::NotYet("the disk did not take the promise", RETRY_S);
            self.outputs.push(Output::AddedCheckpoint(ticket, answer));
        }
    }
}
