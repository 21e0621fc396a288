//! Taking back what was durable, in the order in which it was persisted.

use super::*;
use crate::sync::check::Keys;

impl Machine {
    /// Takes back one durable record, in the order in which they were persisted. What does not hold any more (a key has
    /// been withdrawn since) is passed over: it is evidence, not state.
    pub fn restore(&mut self, durable: &Durable) {
        match durable {
            Durable::Body(body) => {
                let record = Arc::new(Record::new(body.clone()));
                let names_registers = record.trust_entry().is_ok();
                self.replica.bodies_mut().insert(record);
                // As when it came: heads that follow are by the keys that it binds.
                if names_registers && self.replica.rebind() {
                    self.remember_keys();
                }
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
                let Some((mut register, _)) = self.as_it_was(&message.origin) else { return };
                if let Ok(proof) = ForkProof::parse(&message.proof)
                    && register.add_fork_proof(proof).is_ok()
                {
                    self.put_back(register);
                }
            }
            Durable::Past(message) => {
                if let Ok(PastMessage { after, entries }) = PastMessage::decode(message) {
                    drop(self.replica.offer_past(&after, &entries));
                }
            }
            Durable::Charter(note) => {
                // One that no more follows belongs to a side that the operator gave up later.
                drop(self.replica.offer_charter(note));
                self.remember_keys();
            }
            Durable::Choice(note) => {
                if let Ok(chosen) = self.replica.chain().judge_choice(note) {
                    self.replica.choose_charter(chosen);
                    self.remember_keys();
                }
            }
        }
    }

    /// A register to take something back into, and the keys to check that by: those bound now, and those that were bound when
    /// it was persisted. Frames are not always taken back in the order in which they took effect: what was admitted under
    /// the keys before may have waited for the disk behind the entry that binds others, whose body was still to come.
    fn as_it_was(&self, origin: &str) -> Option<(Register, Keys)> {
        let before = self.keys_before.get(origin).map(Vec::as_slice).unwrap_or_default();
        let keys = self.replica.keys_with(origin, before);
        let register = self.replica.candidate_under(origin, &keys.own);
        (!keys.own.is_empty()).then_some((register, keys))
    }

    /// Installs a register under the keys bound now.
    fn put_back(&mut self, register: Register) {
        if self.replica.install(register) {
            self.remember_keys();
        }
    }

    fn remember_keys(&mut self) {
        for (origin, bound) in self.replica.bound() {
            let before = self.keys_before.entry(origin.clone()).or_default();
            for key in &bound.keys {
                if !before.contains(key) {
                    before.push(key.clone());
                }
            }
        }
    }

    fn restore_head(&mut self, message: HeadMessage) {
        let origin = message.checkpoint.origin.clone();
        let Some((mut register, keys)) = self.as_it_was(&origin) else { return };
        let Ok(Checked::Head(head)) = (Job::Head { message, keys, bases: Vec::new() }).run() else { return };
        let CheckedHead { head, cosignatures, timestamps, first, entries, .. } = *head;
        register.admit(head, cosignatures, first, &entries);
        self.put_back(register);
        let now = self.now();
        for timestamp in timestamps {
            self.replica.offer_timestamp(Arc::new(timestamp), now);
        }
    }

    fn restore_statements(&mut self, checkpoint: crate::log::checkpoint::Checkpoint, signed: Vec<Signed>) {
        let origin = checkpoint.origin.clone();
        let Some((mut register, keys)) = self.as_it_was(&origin) else { return };
        let Ok(Checked::Statements(_, found)) = (Job::Statements { checkpoint, signed, keys }).run() else { return };
        for cosignature in found.cosignatures {
            register.add_cosignature(cosignature);
        }
        self.put_back(register);
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
