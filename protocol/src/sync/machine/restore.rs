//! Taking back what was durable, in the order in which it was persisted.

use super::*;

impl Machine {
    /// Takes back one durable record, in the order in which they were persisted. What does not hold any more (a key has
    /// been withdrawn since) is passed over: it is evidence, not state.
    pub fn restore(&mut self, durable: &Durable) {
        match durable {
            Durable::Body(body) => {
                let record = Arc::new(Record::new(body.clone()));
                // One that was fetched after its entry names registers that nothing else would bind now.
                self.edges_restored |= record.trust_entry().is_ok();
                self.replica.bodies_mut().insert(record);
            }
            Durable::Batch(message) => {
                if let Ok(message) = HeadMessage::decode(message, limits::BATCH_SIZE_MAX) {
                    self.restore_head(message);
                }
            }
            Durable::Statement(message) | Durable::Promise(message) => {
                if let Ok(StatementMessage::Cosignatures(checkpoint, signed)) = StatementMessage::decode(message) {
                    if matches!(durable, Durable::Promise(_)) {
                        // The eight bytes before a cosignature's signature.
                        let times = signed.iter().filter_map(|s| s.blob.first_chunk().map(|t| u64::from_be_bytes(*t)));
                        let time = times.max().unwrap_or(0).min(limits::COSIGNATURE_TIME_MAX);
                        self.duties.restore_promise(&checkpoint, time);
                    }
                    self.restore_statements(checkpoint, signed);
                } else if let Ok(StatementMessage::View(view)) = StatementMessage::decode(message) {
                    if matches!(durable, Durable::Promise(_)) {
                        self.duties.restore_view(&view);
                    } else if let Ok(Checked::View(view)) = self.view_job(view).run() {
                        self.replica.offer_view(view, self.now());
                    }
                }
            }
            Durable::Fork(message) => {
                let message = match EvidenceMessage::decode(message) {
                    Ok(EvidenceMessage::Register(message)) => message,
                    Ok(EvidenceMessage::Witness(proof)) => return self.restore_witness_proof(&proof),
                    Err(_) => return,
                };
                let Some(mut register) = self.restored_candidate(&message.origin) else { return };
                if let Ok(proof) = ForkProof::parse(&message.proof)
                    && register.add_fork_proof(proof).is_ok()
                {
                    self.replica.install(register);
                }
            }
            Durable::Charter(note) => {
                // One that no more follows belongs to a side that the operator gave up later.
                drop(self.replica.offer_charter(note));
            }
            Durable::Choice(note) => {
                if let Ok(chosen) = self.replica.chain().judge_choice(note) {
                    self.replica.choose_charter(chosen);
                }
            }
        }
    }

    /// A register to restore into; those that a trust entry names are known once its body was restored.
    fn restored_candidate(&mut self, origin: &str) -> Option<Register> {
        if self.replica.bound().get(origin).is_none() {
            self.bind_restored();
        }
        self.replica.candidate(origin)
    }

    pub(super) fn bind_restored(&mut self) {
        if std::mem::take(&mut self.edges_restored) {
            self.replica.rebind();
        }
    }

    fn restore_head(&mut self, message: HeadMessage) {
        let origin = message.checkpoint.origin.clone();
        let (Some(mut register), Some(keys)) = (self.restored_candidate(&origin), self.replica.keys_for(&origin))
        else {
            return;
        };
        let Ok(Checked::Head(head)) = (Job::Head { message, keys, bases: Vec::new() }).run() else { return };
        let CheckedHead { head, cosignatures, timestamps, first, entries, .. } = *head;
        register.admit(head, cosignatures, first, &entries);
        self.replica.install(register);
        let now = self.now();
        for timestamp in timestamps {
            self.replica.offer_timestamp(Arc::new(timestamp), now);
        }
    }

    fn restore_statements(&mut self, checkpoint: crate::log::checkpoint::Checkpoint, signed: Vec<Signed>) {
        let origin = checkpoint.origin.clone();
        let (Some(mut register), Some(keys)) = (self.restored_candidate(&origin), self.replica.keys_for(&origin))
        else {
            return;
        };
        let Ok(Checked::Statements(_, found)) = (Job::Statements { checkpoint, signed, keys }).run() else { return };
        for cosignature in found.cosignatures {
            register.add_cosignature(cosignature);
        }
        self.replica.install(register);
        let now = self.now();
        for timestamp in found.timestamps {
            self.replica.offer_timestamp(Arc::new(timestamp), now);
        }
    }

    /// Takes back views from a snapshot file, after everything durable: they count like any statement.
    pub fn restore_view(&mut self, view: Arc<HeldView>, now_ms: u64) {
        self.replica.offer_view(view, now_ms / 1000);
    }
}
