//! A witness that starts: it asks its peers what it said before, and signs nothing below it (`specs/witness.md` §3).

use super::super::learning::Elsewhere;
use super::*;
use crate::log::checkpoint::Checkpoint;
use crate::log::view::View;

impl Machine {
    /// The last view of our own that was durable, so that peers get it from us and the next one rests on it.
    pub(super) fn take_back_own_view(&mut self) {
        if let Some(view) = self.duties.restored_view() {
            self.replica.offer_view(view, self.now());
        }
    }

    /// Asks a peer for statements by our key, once.
    pub(super) fn ask_for_own(&mut self, peer: &Peer) {
        if let Some((witness, _, learning)) = self.duties.learning(&self.replica)
            && learning.ask(peer)
        {
            self.peers.want(peer, Request::Own { witness, after: String::new() });
        }
    }

    /// A peer is gone, or its answer is of no use: it may be asked again.
    pub(in crate::sync) fn own_unanswered(&mut self, peer: &Peer) {
        if let Some((_, _, learning)) = self.duties.learning(&self.replica) {
            learning.failed(peer);
        }
    }

    /// A request came to nothing.
    pub(in crate::sync) fn request_failed(&mut self, peer: &Peer, request: &Request) {
        self.peers.failed(peer, request);
        let Some((own, _, learning)) = self.duties.learning(&self.replica) else { return };
        match request {
            // It holds no view of ours, so that its cosignatures were all there is.
            Request::View { witness, offset: 0, .. } if *witness == own => learning.answered(peer),
            Request::View { witness, .. } | Request::Own { witness, .. } if *witness == own => learning.failed(peer),
            _ => {}
        }
    }

    pub(in crate::sync) fn own_came(
        &mut self,
        peer: &Peer,
        asked: &str,
        statements: Vec<(Checkpoint, Signed)>,
        more: bool,
    ) {
        let Some((witness, key, _)) = self.duties.learning(&self.replica) else { return };
        if asked != witness {
            return;
        }
        let last = statements.last().map(|(checkpoint, _)| checkpoint.origin.clone());
        let next = match last {
            Some(after) if more => Request::Own { witness: witness.clone(), after },
            _ => Request::View { witness: witness.clone(), time: View::OF_ANY_TIME, offset: 0 },
        };
        // They are checked before the next answer comes, for that one is checked after them.
        if !statements.is_empty() {
            self.check(Job::Own { statements, witness, key }, Source::Sync(peer.clone()));
        }
        self.peers.want(peer, next);
    }

    /// To a witness that asks about itself also what has no place in any register held here: cosignatures of heads that
    /// have not come, or that lie on no branch. They stand on the last page.
    pub(super) fn add_unplaced(&self, request: &Request, response: &mut Response) {
        let (Request::Own { witness, .. }, Response::Own { statements, more: false }) = (request, response) else {
            return;
        };
        let early = self.early.values().flatten().filter(|c| c.witness() == witness);
        for cosignature in early.chain(self.watch.strays_of(witness)) {
            if statements.len() < limits::OWN_STATEMENTS_MAX {
                statements.push((cosignature.checkpoint().clone(), Signed::from_line(cosignature.line())));
            }
        }
    }

    /// Cosignatures by our own key that a peer holds.
    pub(super) fn own_checked(&mut self, cosignatures: Vec<Cosignature>, source: &Source) {
        let mut frames = Vec::new();
        for cosignature in &cosignatures {
            if self.learn_from_cosignature(cosignature) {
                frames.push(Durable::Promise(cosignature_bytes(cosignature)));
            }
        }
        if !frames.is_empty() {
            // A later start knows it without asking.
            self.park(None, frames, Parked::Learned);
        }
        self.part_done(source, Ok(false));
    }

    /// True when it is by our key, and we do not remember it.
    pub(super) fn learn_from_cosignature(&mut self, cosignature: &Cosignature) -> bool {
        let now = self.now();
        let is_ours = self.duties.learning(&self.replica).is_some_and(|(own, ..)| own == cosignature.witness());
        if !is_ours {
            return false;
        }
        let elsewhere = self.duties.learned(cosignature.checkpoint(), cosignature.time(), now);
        self.tell_of_own(elsewhere);
        elsewhere.is_some()
    }

    pub(super) fn learn_from_view(&mut self, view: &HeldView, source: &Source) {
        let now = self.now();
        let Some((own, ..)) = self.duties.learning(&self.replica) else { return };
        if own != view.view().witness {
            return;
        }
        let elsewhere = self.duties.learned_view(view, now);
        self.tell_of_own(elsewhere);
        if let Source::Sync(peer) = source
            && let Some((_, _, learning)) = self.duties.learning(&self.replica)
        {
            learning.answered(peer);
        }
    }

    fn tell_of_own(&mut self, elsewhere: Option<Elsewhere>) {
        let Some(elsewhere) = elsewhere else { return };
        let is_live = elsewhere == Elsewhere::Since;
        if self.told_of_own.is_some_and(|told| told >= is_live) {
            return;
        }
        self.told_of_own = Some(is_live);
        if let Some((witness, ..)) = self.duties.learning(&self.replica) {
            self.outputs.push(Output::Notice(Notice::OwnStatements { witness, is_live }));
        }
    }

    /// Asks those who were not asked yet, and ends the learning when enough is known.
    pub(super) fn learn(&mut self) {
        let now = self.now();
        if self.duties.may_sign() || self.duties.is_halted() {
            return;
        }
        for peer in self.peers.connected_now() {
            self.ask_for_own(&peer);
        }
        if let Some((witness, _, learning)) = self.duties.learning(&self.replica)
            && learning.tick(now)
        {
            self.outputs.push(Output::Notice(Notice::WitnessReady { witness }));
        }
    }
}
