//! What witnesses say, laid beside what they said before: a contradiction becomes a proof (`specs/witness.md` §4).
//!
//! ```text
//! a cosignature or a leaf of a view  ⟷  cosignatures on the checkpoints of both branches
//!                                    ⟷  the views held of that witness
//!                                    ⟷  cosignatures that no checkpoint held here takes
//! ```
//!
//! What is compared is what is held anyway; only cosignatures of heads that lie on no branch are kept here besides. A
//! contradiction that is spread over what two nodes hold comes to light when one of them hears what the other holds.

use std::collections::BTreeMap;

use super::check::HeldView;
use crate::digest::Digest;
use crate::log::checkpoint::Checkpoint;
use crate::log::cosignature::Cosignature;
use crate::log::view::Leaf;
use crate::log::witness_proof::{Said, WitnessProof};
use crate::register::state::{Register, Stand};
use crate::replica::Replica;

/// Cosignatures kept of heads that lie on no branch held here, of all witnesses together.
const STRAYS_MAX: usize = 4096;
/// Checkpoints below the one at hand that are looked at for a later cosignature.
const STANDS_BELOW: usize = 4;

/// Keeps what the replica has no place for.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// By witness and origin: the cosignature of the largest head that lies on no branch.
    strays: BTreeMap<(String, String), Cosignature>,
}

/// One side of a comparison.
#[derive(Clone, Copy)]
struct At<'a> {
    origin: &'a str,
    leaf: Leaf,
    time: u64,
}

impl<'a> At<'a> {
    fn of(cosignature: &'a Cosignature) -> Self {
        let Checkpoint { origin, size, root } = cosignature.checkpoint();
        Self { origin, leaf: Leaf { size: *size, root: *root }, time: cosignature.time() }
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint { origin: self.origin.to_owned(), size: self.leaf.size, root: self.leaf.root }
    }
}

/// The consistency proof that a contradiction needs besides the two statements, if it needs one.
type Other = Option<(Digest, Vec<Digest>)>;

impl Watch {
    /// Takes note of a cosignature. Returns the proof, if it contradicts what is held.
    pub(super) fn cosigned(&mut self, replica: &Replica, cosignature: &Cosignature) -> Option<WitnessProof> {
        let (at, witness) = (At::of(cosignature), cosignature.witness());
        let register = replica.register(at.origin).map(|r| r.as_ref());
        let said = || Said::cosigned(cosignature);
        let found = self.against_cosignatures(register, witness, at);
        if let Some((other, besides)) = found {
            return WitnessProof::new(witness, said(), Said::cosigned(&other), besides);
        }
        let views = replica.views().get(witness).into_iter().flat_map(|slots| slots.iter());
        for view in views {
            let Some(leaf) = view.frontier.get(at.origin) else { continue };
            if let Some(besides) = contradiction(register, at, At { leaf, time: view.view().time, ..at }) {
                return WitnessProof::new(witness, said(), Said::viewed(view, at.origin)?, besides);
            }
        }
        self.keep(register, cosignature);
        None
    }

    /// Lays a view beside what is held. Returns the proof, if it contradicts it.
    pub(super) fn viewed(&self, replica: &Replica, view: &HeldView) -> Option<WitnessProof> {
        let (witness, time) = (view.view().witness.as_str(), view.view().time);
        let held: Vec<&HeldView> =
            replica.views().get(witness).into_iter().flat_map(|slots| slots.iter()).map(|v| v.as_ref()).collect();
        for (origin, leaf) in view.frontier.iter() {
            let at = At { origin, leaf, time };
            let register = replica.register(origin).map(|r| r.as_ref());
            for before in &held {
                let Some(leaf) = before.frontier.get(origin).filter(|other| *other != at.leaf) else { continue };
                if let Some(besides) = contradiction(register, at, At { leaf, time: before.view().time, ..at }) {
                    return WitnessProof::new(
                        witness,
                        Said::viewed(view, origin)?,
                        Said::viewed(before, origin)?,
                        besides,
                    );
                }
            }
            if let Some((other, besides)) = self.against_cosignatures(register, witness, at) {
                return WitnessProof::new(witness, Said::viewed(view, origin)?, Said::cosigned(&other), besides);
            }
        }
        None
    }

    fn against_cosignatures(
        &self,
        register: Option<&Register>,
        witness: &str,
        at: At<'_>,
    ) -> Option<(Cosignature, Other)> {
        let none = self.strays.is_empty();
        let stray = (!none).then(|| self.strays.get(&(witness.to_owned(), at.origin.to_owned()))).flatten();
        let stands = register.into_iter().flat_map(|register| near(register, at.leaf.size));
        let cosignatures = stands.filter_map(|stand| stand.cosignature(witness)).chain(stray);
        for other in cosignatures {
            if let Some(besides) = contradiction(register, at, At::of(other)) {
                return Some((other.clone(), besides));
            }
        }
        None
    }

    /// Visits the cosignatures of a witness that no register takes.
    pub(super) fn strays_of<'a>(&'a self, witness: &'a str) -> impl Iterator<Item = &'a Cosignature> {
        self.strays.values().filter(move |cosignature| cosignature.witness() == witness)
    }

    /// Keeps the cosignature of a head that lies on no branch.
    fn keep(&mut self, register: Option<&Register>, cosignature: &Cosignature) {
        let checkpoint = cosignature.checkpoint();
        let Some(register) = register else { return };
        let lies = |stand: &Stand| stand.head().checkpoint() == checkpoint;
        if checkpoint.size > register.size_newest()
            || register.root_at(checkpoint.size) == Some(checkpoint.root)
            || register.stands_other().any(lies)
        {
            return;
        }
        let place = (cosignature.witness().to_owned(), checkpoint.origin.clone());
        let is_larger = self.strays.get(&place).is_none_or(|held| held.checkpoint().size < checkpoint.size);
        if is_larger && (self.strays.len() < STRAYS_MAX || self.strays.contains_key(&place)) {
            self.strays.insert(place, cosignature.clone());
        }
    }
}

/// The checkpoints of a register that a statement at `size` can contradict: the same size, all above, the nearest below,
/// and all of the other branch.
fn near(register: &Register, size: u64) -> impl Iterator<Item = &Stand> {
    let below = register.stands_below(size).take(STANDS_BELOW);
    register.stands_from(size).chain(below).chain(register.stands_other())
}

/// Whether two statements of one witness contradict each other.
fn contradiction(register: Option<&Register>, one: At<'_>, two: At<'_>) -> Option<Other> {
    if one.leaf == two.leaf {
        return None;
    }
    if one.leaf.size == two.leaf.size {
        return Some(None);
    }
    let (small, large) = if one.leaf.size < two.leaf.size { (one, two) } else { (two, one) };
    if small.time > large.time {
        return Some(None);
    }
    if small.leaf.size == 0 {
        return None;
    }
    let register = register?;
    // Both on the main branch, as nearly always: no tree is walked.
    let is_main = |at: At<'_>| register.stand(at.leaf.size).is_some_and(|s| s.head().checkpoint().root == at.leaf.root);
    if is_main(small) && is_main(large) {
        return None;
    }
    register.inconsistency(&small.checkpoint(), &large.checkpoint()).map(Some)
}
