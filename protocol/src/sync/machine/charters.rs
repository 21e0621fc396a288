//! Charters: the next one, a second one of a version, and what the operator chooses.

use super::*;
use crate::charter::CharterStep;
use crate::digest::Digest;

impl Machine {
    pub(super) fn offer_charter(&mut self, note: &Bytes, source: Source) {
        match self.replica.judge_charter(note) {
            Ok(CharterStep::Known) => self.part_done(&source, Ok(false)),
            Ok(CharterStep::Next(_) | CharterStep::Fork(_)) => {
                let parked = Parked::Charter { note: note.clone(), source };
                self.park(None, vec![Durable::Charter(note.clone())], parked);
            }
            Err(error) => self.part_done(&source, Err(SubmitError::Charter(Arc::new(error)))),
        }
    }

    pub(super) fn choose_charter(&mut self, note: &Bytes, source: Source) {
        match self.replica.chain().judge_choice(note) {
            Ok(chosen) => {
                let parked = Parked::Choice { chosen, source };
                self.park(None, vec![Durable::Choice(note.clone())], parked);
            }
            Err(error) => self.part_done(&source, Err(SubmitError::Charter(Arc::new(error)))),
        }
    }

    /// It is judged again: several peers may have sent it, or another one, before this one was durable.
    pub(super) fn charter_is_durable(&mut self, note: &Bytes, source: &Source) {
        let changed = self.change_charters(|replica| replica.offer_charter(note).unwrap_or(false));
        self.part_done(source, Ok(changed));
    }

    pub(super) fn choice_is_durable(&mut self, chosen: Arc<SignedCharter>, source: &Source) {
        let changed = self.change_charters(|replica| replica.choose_charter(chosen));
        self.part_done(source, Ok(changed));
    }

    /// Changes the chain of charters, and says what came of it.
    fn change_charters(&mut self, change: impl FnOnce(&mut Replica) -> bool) -> bool {
        let before = self.replica.chain().in_force().charter().digest();
        let fork_before = self.replica.chain().fork().map(|fork| fork.version);
        if !change(&mut self.replica) {
            return false;
        }
        let in_force = self.replica.charter().version();
        match self.replica.chain().fork().map(|fork| fork.version) {
            Some(version) if fork_before != Some(version) => {
                self.outputs.push(Output::Notice(Notice::CharterForked { version, in_force }));
            }
            _ if self.replica.charter().digest() != before => {
                self.outputs.push(Output::Notice(Notice::Charter { version: in_force }));
            }
            _ => {}
        }
        self.outputs.push(Output::Changed);
        self.peers.ask_everybody();
        true
    }

    /// Asks for what a peer holds of the chain and we do not.
    pub(in crate::sync) fn compare_charters(&mut self, peer: &Peer, version: u64, digest: Digest, forks: &[u64]) {
        let chain = self.replica.chain();
        let ours = chain.last().charter().version();
        let is_other = |held: &Arc<SignedCharter>| held.charter().digest() != digest;
        let mut wanted = Vec::new();
        if version > ours {
            wanted.push(Request::Charter { version: ours.saturating_add(1) });
        } else if chain.at(version).is_some_and(is_other) && chain.fork_of(version).is_none() {
            wanted.push(Request::Charter { version });
        }
        // Of a version whose predecessor is not held nothing could be told yet.
        let is_new = |version: &&u64| {
            let before = version.checked_sub(1).and_then(|before| chain.at(before));
            before.is_some() && chain.fork_of(**version).is_none()
        };
        wanted.extend(forks.iter().filter(is_new).map(|version| Request::CharterFork { version: *version }));
        wanted.into_iter().for_each(|request| self.peers.want(peer, request));
    }

    pub(in crate::sync) fn charter_came(&mut self, note: &Bytes, version: u64, peer: &Peer) {
        let follows = self.replica.judge_charter(note).is_ok();
        let before = version.saturating_sub(1);
        if !follows && self.replica.chain().at(before.saturating_sub(1)).is_some() {
            // The peer's chain may have left ours earlier: down to where it did.
            self.peers.want(peer, Request::Charter { version: before });
        }
        self.offer_charter(note, Source::Sync(peer.clone()));
    }

    pub(in crate::sync) fn charter_fork_came(&mut self, notes: &[Bytes], peer: &Peer) {
        for note in notes {
            self.offer_charter(note, Source::Sync(peer.clone()));
        }
    }

    /// Keeps what shows that a change of witnesses is done, so that the next start knows it without the network.
    pub(super) fn observe_change(&mut self, was_changing: bool) {
        if !was_changing || self.replica.witnessing().is_changing() {
            return;
        }
        let views = self.replica.views().values().flat_map(|slots| slots.iter());
        let message = |view: &Arc<HeldView>| StatementMessage::View(Bytes::from(view.whole_message().encode()));
        let frames: Vec<Durable> = views.map(|view| Durable::Statement(Bytes::from(message(view).encode()))).collect();
        self.park(None, frames, Parked::ChangeSeen);
        let version = self.replica.charter().version();
        self.outputs.push(Output::Notice(Notice::WitnessesChanged { version }));
        self.peers.ask_everybody();
    }
}
