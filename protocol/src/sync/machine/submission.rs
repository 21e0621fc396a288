//! Submissions: what an operator, a command or a bundle hands in, one part at a time.

use super::*;

/// A submission under way: one part at a time, for a later part may need an earlier one.
pub(super) struct Underway {
    parts: VecDeque<Part>,
    first_error: Option<SubmitError>,
    changed: usize,
}

enum Part {
    Charter(Bytes),
    Choice(Bytes),
    Head(Box<HeadMessage>),
    Statement(StatementMessage),
    Fork(ForkMessage),
    WitnessProof(Bytes),
    Past(PastMessage),
    Bodies(Vec<Bytes>),
}

impl Machine {
    pub(super) fn submitted(&mut self, ticket: u64, submission: Submission) {
        let Submission { charters, choice, heads, statements, forks, witness_proofs, bodies, pasts } = submission;
        let mut parts: VecDeque<Part> = charters.into_iter().map(Part::Charter).collect();
        parts.extend(choice.map(Part::Choice));
        if !bodies.is_empty() {
            parts.push_back(Part::Bodies(bodies));
        }
        parts.extend(heads.into_iter().map(|h| Part::Head(Box::new(h))));
        parts.extend(statements.into_iter().map(Part::Statement));
        parts.extend(forks.into_iter().map(Part::Fork));
        parts.extend(witness_proofs.into_iter().map(Part::WitnessProof));
        parts.extend(pasts.into_iter().map(Part::Past));
        self.submissions.insert(ticket, Underway { parts, first_error: None, changed: 0 });
        self.due.push_back(ticket);
    }

    pub(super) fn next_part(&mut self, ticket: u64) {
        let Some(underway) = self.submissions.get_mut(&ticket) else { return };
        let Some(part) = underway.parts.pop_front() else {
            if let Some(done) = self.submissions.remove(&ticket) {
                let result = done.first_error.map_or(Ok(done.changed), Err);
                self.outputs.push(Output::Submitted(ticket, result));
            }
            return;
        };
        let source = Source::Local(ticket);
        let job = match part {
            Part::Charter(note) => return self.offer_charter(&note, source),
            Part::Choice(note) => return self.choose_charter(&note, source),
            Part::Bodies(bodies) => return self.offer_bodies(bodies, source),
            Part::Head(message) => {
                let origin = message.checkpoint.origin.clone();
                self.head_job(*message).ok_or(SubmitError::Unbound(origin))
            }
            Part::Statement(message) => {
                let origin = match &message {
                    StatementMessage::Cosignatures(checkpoint, _) => checkpoint.origin.clone(),
                    StatementMessage::View(_) => String::new(),
                };
                self.statement_job(message).ok_or(SubmitError::Unbound(origin))
            }
            Part::Fork(message) => {
                let origin = message.origin.clone();
                self.fork_job(message).ok_or(SubmitError::Unbound(origin))
            }
            Part::WitnessProof(proof) => Ok(self.witness_proof_job(proof)),
            // Held already, or of a point that nothing names: there is nothing to do.
            Part::Past(message) if !self.replica.pasts_missing().any(|after| *after == message.after) => {
                return self.part_done(&source, Ok(false));
            }
            Part::Past(message) => Ok(self.past_job(message)),
        };
        match job {
            Ok(job) => self.check(job, source),
            Err(error) => self.part_done(&source, Err(error)),
        }
    }

    /// Bodies are kept when a register needs them, or when a head of the same submission will.
    fn offer_bodies(&mut self, bodies: Vec<Bytes>, source: Source) {
        let bodies: Vec<Arc<Record>> = bodies
            .into_iter()
            .map(|body| Arc::new(Record::new(body)))
            .filter(|record| !self.replica.bodies().contains(&record.digest()))
            .collect();
        if bodies.is_empty() {
            return self.part_done(&source, Ok(false));
        }
        let frames = bodies.iter().map(|b| Durable::Body(b.body().clone())).collect();
        self.park(None, frames, Parked::Bodies { bodies, source });
    }

    pub(super) fn part_done(&mut self, source: &Source, result: Result<bool, SubmitError>) {
        let Source::Local(ticket) = source else { return };
        if let Some(underway) = self.submissions.get_mut(ticket) {
            match result {
                Ok(changed) => underway.changed += usize::from(changed),
                Err(error) => underway.first_error = underway.first_error.take().or(Some(error)),
            }
        }
        self.due.push_back(*ticket);
    }
}
