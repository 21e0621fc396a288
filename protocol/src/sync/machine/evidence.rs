//! Witness proofs: found in what witnesses say, taken from others, kept for ever (`specs/witness.md` §4).

use super::*;

impl Machine {
    pub(super) fn evidence_job(&self, message: EvidenceMessage) -> Option<Job> {
        match message {
            EvidenceMessage::Register(message) => self.fork_job(message),
            EvidenceMessage::Witness(proof) => Some(self.witness_proof_job(proof)),
        }
    }

    pub(super) fn witness_proof_job(&self, proof: Bytes) -> Job {
        let network = self.replica.charter().network_id();
        Job::Witness { proof, network, charters: self.replica.charters().iter().rev().cloned().collect() }
    }

    pub(in crate::sync) fn check_witness_proof(&mut self, proof: Bytes, peer: &Peer) {
        let job = self.witness_proof_job(proof);
        self.check(job, Source::Sync(peer.clone()));
    }

    /// Asks for proofs that a peer holds and we do not.
    pub(in crate::sync) fn want_witness_proofs(&mut self, peer: &Peer, held: Vec<(String, [u8; 4])>) {
        for (witness, key) in held {
            if !self.replica.witness_proofs().contains_key(&(witness.clone(), key)) {
                self.peers.want(peer, Request::WitnessProof { witness, key });
            }
        }
    }

    /// Lays cosignatures beside what their witnesses said before.
    pub(super) fn watch_cosignatures(&mut self, cosignatures: &[Cosignature]) {
        for cosignature in cosignatures {
            self.learn_from_cosignature(cosignature);
            if self.is_watched(cosignature.witness())
                && let Some(proof) = self.watch.cosigned(&self.replica, cosignature)
            {
                self.found_witness_proof(proof);
            }
        }
    }

    /// Lays a view beside what its witness said before.
    pub(super) fn watch_view(&mut self, view: &HeldView) {
        if self.is_watched(&view.view().witness)
            && let Some(proof) = self.watch.viewed(&self.replica, view)
        {
            self.found_witness_proof(proof);
        }
    }

    /// One proof of a witness is enough.
    fn is_watched(&self, witness: &str) -> bool {
        self.replica.proof_of_witness(witness).is_none()
    }

    fn found_witness_proof(&mut self, proof: WitnessProof) {
        // Too deep a path of the trie, or statements by keys of two charters: no proof that others could check.
        if self.replica.check_witness_proof(&proof).is_ok() {
            self.offer_witness_proof(Arc::new(proof), Source::Door);
        }
    }

    pub(super) fn offer_witness_proof(&mut self, proof: Arc<WitnessProof>, source: Source) {
        let key = self.replica.check_witness_proof(&proof).map(|shown| shown.key.id());
        let is_new = match key {
            Ok(key) => !self.replica.witness_proofs().contains_key(&(proof.witness().to_owned(), key)),
            // The charter that named it came and went between the check and this.
            Err(_) => false,
        };
        if !is_new {
            self.judge(&source, Ok(false));
            self.part_done(&source, Ok(false));
            return;
        }
        self.judge(&source, Ok(true));
        let frames = vec![Durable::Fork(witness_proof_bytes(&proof))];
        self.park(None, frames, Parked::WitnessProof { proof, source });
    }

    pub(super) fn keep_witness_proof(&mut self, proof: Arc<WitnessProof>, source: &Source) {
        let is_new = self.replica.add_witness_proof(proof.clone()).unwrap_or(false);
        if is_new {
            let (witness, origin) = (proof.witness().to_owned(), proof.origin().unwrap_or_default());
            self.outputs.push(Output::Notice(Notice::WitnessMisbehaved { witness, origin }));
            self.outputs.push(Output::Publish(Topic::Forks, witness_proof_bytes(&proof)));
            self.outputs.push(Output::Changed);
        }
        self.part_done(source, Ok(is_new));
    }

    pub(super) fn restore_witness_proof(&mut self, proof: &[u8]) {
        if let Ok(proof) = WitnessProof::parse(proof) {
            // One that no charter held names any more is passed over, as everything restored is.
            let _ = self.replica.add_witness_proof(Arc::new(proof));
        }
    }
}

fn witness_proof_bytes(proof: &WitnessProof) -> Bytes {
    Bytes::from(EvidenceMessage::Witness(Bytes::from(proof.encode())).encode())
}
