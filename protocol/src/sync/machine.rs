//! The one replication machine: `handle(event, now) → outputs`.
//!
//! # Order of calls
//! [`Machine::new`] with a charter, [`Machine::at`] a time; [`Machine::restore`] for every durable record, oldest first; [`Machine::started`]
//! once; then [`Machine::handle`] for every event. The caller carries out the outputs: a [`Output::Check`] comes back as
//! [`Event::Checked`], a [`Output::Persist`] as [`Event::Persisted`] or [`Event::PersistFailed`]. The machine decides
//! everything, and does nothing.
//!
//! # Durable before published
//! A change to a register is made on a clone. The clone, and all that follows from it (answers, cosignatures, gossip),
//! is parked under the ticket of its `Persist`, and only `Persisted(ticket)` puts it in place. Changes to one register
//! wait for each other; registers do not. That is invariant 5, in one place.

mod charters;
mod door;
mod evidence;
mod restore;
mod starting;
mod submission;

pub use door::{DoorAnswer, DoorRequest};

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use submission::Underway;

use super::check::{Checked, CheckedHead, CheckedStatements, Fault, HeldView, Job, Timestamp};
use super::fence::Fence;
use super::message::{
    EvidenceMessage, ForkMessage, HeadMessage, MessageError, PastMessage, Request, Response, Signed, StatementMessage,
};
use super::peers::Peers;
use super::watch::Watch;
use super::{Durable, Event, Gossip, Notice, Output, Peer, Submission, SubmitError, Topic, Verdict, duties::Duties};
use crate::charter::SignedCharter;
use crate::key::VerifierKey;
use crate::limits;
use crate::log::cosignature::Cosignature;
use crate::log::view::Leaf;
use crate::log::witness_proof::WitnessProof;
use crate::register::admission::Admission;
use crate::register::body::Record;
use crate::register::fact::After;
use crate::register::fork::ForkProof;
use crate::register::state::{Register, Stand};
use crate::replica::Replica;

/// Where a change came from, and who waits for its end.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// A gossip message that waits for its verdict.
    Gossip(Gossip),
    /// A response of a peer.
    Sync(Peer),
    /// A part of a submission.
    Local(u64),
    /// The door for other publishers' checkpoints: nobody waits for it.
    Door,
}

impl Source {
    fn is_local(&self) -> bool {
        matches!(self, Self::Local(_))
    }

    fn peer(&self) -> Option<Peer> {
        match self {
            Self::Gossip(gossip) => Some(gossip.peer.clone()),
            Self::Sync(peer) => Some(peer.clone()),
            Self::Local(_) | Self::Door => None,
        }
    }
}

/// A change of one register that waits for its turn.
enum Change {
    Head(Box<CheckedHead>, Source),
    Statements(CheckedStatements, Source),
    Fork(ForkProof, Source),
    /// A cosignature of our own whose promise is durable.
    Promised(Cosignature),
}

impl Change {
    /// True when no peer made it: as many as there are submissions under way, and promises of our own.
    fn is_ours(&self) -> bool {
        match self {
            Self::Head(_, source) | Self::Statements(_, source) | Self::Fork(_, source) => source.is_local(),
            Self::Promised(_) => true,
        }
    }
}

/// What is done when a ticket is persisted.
enum Parked {
    Register {
        register: Box<Register>,
        bodies: Vec<Arc<Record>>,
        timestamps: Vec<Timestamp>,
        source: Source,
    },
    Bodies {
        bodies: Vec<Arc<Record>>,
        source: Source,
    },
    /// With the request at the door that waits for it, if one does.
    Promise {
        cosignature: Cosignature,
        waiting: Option<u64>,
    },
    WitnessProof {
        proof: Arc<WitnessProof>,
        source: Source,
    },
    /// Cosignatures of our own that others held and we did not.
    Learned,
    Publish {
        message: StatementMessage,
        timestamp: Option<Timestamp>,
        view: Option<super::duties::OwnView>,
    },
    Charter {
        note: Bytes,
        source: Source,
    },
    Choice {
        chosen: Arc<SignedCharter>,
        source: Source,
    },
    /// What shows that a change of witnesses is done.
    ChangeSeen,
    Past {
        after: After,
        register: Arc<Register>,
        source: Source,
    },
}

/// The replication machine of one node.
pub struct Machine {
    pub(super) replica: Replica,
    duties: Duties,
    pub(super) peers: Peers,
    pub(super) fence: Fence,
    next_ticket: u64,
    checks: BTreeMap<u64, Source>,
    parked: BTreeMap<u64, (Option<String>, Parked)>,
    busy: BTreeMap<String, VecDeque<Change>>,
    early: BTreeMap<String, Vec<Cosignature>>,
    watch: Watch,
    /// What the operator was told about statements of ours that came from elsewhere: that another machine is running.
    told_of_own: Option<bool>,
    /// Keys that were bound to a register so far, while it is taken back.
    keys_before: BTreeMap<String, Vec<VerifierKey>>,
    submissions: BTreeMap<u64, Underway>,
    /// Submissions whose next part is due.
    due: VecDeque<u64>,
    pub(super) outputs: Vec<Output>,
    now_ms: u64,
}

impl Machine {
    /// Makes a machine that holds a charter and nothing else.
    pub fn new(charter: Arc<SignedCharter>, duties: Duties, pace: super::Pace) -> Self {
        Self {
            replica: Replica::new(charter),
            duties,
            peers: Peers::new(pace),
            fence: Fence::default(),
            next_ticket: 1,
            checks: BTreeMap::new(),
            parked: BTreeMap::new(),
            busy: BTreeMap::new(),
            early: BTreeMap::new(),
            watch: Watch::default(),
            told_of_own: None,
            keys_before: BTreeMap::new(),
            submissions: BTreeMap::new(),
            due: VecDeque::new(),
            outputs: Vec::new(),
            now_ms: 0,
        }
    }

    /// Tells the time before anything is restored, so that a timestamp from the future replaces none of the present.
    pub fn at(mut self, now_ms: u64) -> Self {
        self.now_ms = now_ms;
        self
    }

    /// Returns what is held.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Begins: whatever our duties left open is done now.
    pub fn started(&mut self, now_ms: u64) -> Vec<Output> {
        self.now_ms = now_ms;
        self.keys_before.clear();
        // By a clock that is behind, what was signed before would pass for an answer.
        self.fence.began = self.replica.clock_bound().map_or(self.now(), |bound| bound.max(self.now()));
        self.replica.drop_unneeded_bodies();
        self.take_back_own_view();
        self.duties.begin(&self.replica, self.now());
        self.consider_all();
        self.outputs.push(Output::Changed);
        std::mem::take(&mut self.outputs)
    }

    /// Handles one event at `now_ms` (POSIX milliseconds). Returns what is to be done.
    pub fn handle(&mut self, event: Event, now_ms: u64) -> Vec<Output> {
        self.now_ms = now_ms;
        match event {
            Event::Connected(peer) => {
                self.peers.connected(&peer);
                self.ask_for_own(&peer);
            }
            Event::Disconnected(peer) => {
                self.peers.disconnected(&peer);
                self.own_unanswered(&peer);
            }
            Event::Gossip(gossip, data) => self.gossiped(gossip, &data),
            Event::Request { peer, ticket, data } => self.requested(&peer, ticket, &data),
            Event::Response { peer, ticket, result } => self.responded(&peer, ticket, result),
            Event::Checked(ticket, result) => self.checked(ticket, result.map(|c| *c)),
            Event::Persisted(ticket) => self.persisted(ticket),
            Event::PersistFailed(ticket, reason) => self.persist_failed(ticket, &reason),
            Event::Submit(ticket, submission) => self.submitted(ticket, submission),
            Event::AddCheckpoint(ticket, request) => self.knocked(ticket, *request),
            Event::Tick { entropy } => self.ticked(entropy),
        }
        // Not from where a part ends: a submission of many parts that end at once would be as deep a recursion.
        while let Some(ticket) = self.due.pop_front() {
            self.next_part(ticket);
        }
        self.send_requests();
        std::mem::take(&mut self.outputs)
    }

    pub(super) fn now(&self) -> u64 {
        self.now_ms / 1000
    }

    fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// The name under which the charter lists our own cosignature key.
    pub(super) fn own_witness(&self) -> Option<String> {
        self.duties.witness_name(&self.replica).map(|(name, _)| name.to_owned())
    }

    /// Cosignatures whose head has not come.
    pub(super) fn early_cosignatures(&self, origin: &str) -> impl Iterator<Item = &Cosignature> {
        self.early.get(origin).into_iter().flatten()
    }

    /// True while a change of the register is on its way to the disk.
    pub(super) fn is_changing(&self, origin: &str) -> bool {
        self.busy.contains_key(origin)
    }

    // ---- gossip ----------------------------------------------------------------------------------------------------

    fn gossiped(&mut self, gossip: Gossip, data: &[u8]) {
        let job = match gossip.topic {
            Topic::Heads => HeadMessage::decode(data, limits::GOSSIP_SIZE_MAX).map(|m| self.head_job(m)),
            Topic::Statements => match data.len() {
                0..=limits::GOSSIP_SIZE_MAX => StatementMessage::decode(data).map(|m| self.statement_job(m)),
                found => Err(MessageError::Size { max: limits::GOSSIP_SIZE_MAX, found }),
            },
            Topic::Forks => EvidenceMessage::decode(data).map(|m| self.evidence_job(m)),
        };
        match job {
            Err(error) => self.judge(&Source::Gossip(gossip), Err(&Fault::Message(error))),
            // Of a register that nobody binds here: perhaps we are behind, so nobody is at fault.
            Ok(None) => self.outputs.push(Output::Judge(gossip, Verdict::Ignore)),
            Ok(Some(job)) => self.check(job, Source::Gossip(gossip)),
        }
    }

    /// The one place that maps what became of a message to what becomes of its sender.
    fn judge(&mut self, source: &Source, result: Result<bool, &Fault>) {
        let Source::Gossip(gossip) = source else { return };
        let verdict = match result {
            Ok(true) => Verdict::Accept,
            Ok(false) => Verdict::Ignore,
            Err(fault) if fault.is_the_senders() => Verdict::Reject,
            Err(_) => Verdict::Ignore,
        };
        if verdict == Verdict::Reject {
            let reason = result.err().map(ToString::to_string).unwrap_or_default();
            self.outputs.push(Output::Notice(Notice::Refused { peer: gossip.peer.clone(), reason }));
        }
        self.outputs.push(Output::Judge(gossip.clone(), verdict));
    }

    fn head_job(&self, message: HeadMessage) -> Option<Job> {
        let origin = &message.checkpoint.origin;
        let keys = self.replica.keys_for(origin)?;
        // Deltas rest on a body that the newest entries still name.
        let bases = self.replica.register(origin).map(|r| r.bodies_needed()).into_iter().flatten();
        let has_delta = message.bodies.iter().any(|b| matches!(b, super::message::BodyItem::Delta(_)));
        let bases =
            if has_delta { bases.filter_map(|d| self.replica.bodies().get(&d).cloned()).collect() } else { Vec::new() };
        Some(Job::Head { message, keys, bases })
    }

    fn statement_job(&self, message: StatementMessage) -> Option<Job> {
        match message {
            StatementMessage::Cosignatures(checkpoint, signed) => {
                let keys = self.replica.keys_for(&checkpoint.origin)?;
                Some(Job::Statements { checkpoint, signed, keys })
            }
            StatementMessage::View(message) => Some(self.view_job(message)),
        }
    }

    fn view_job(&self, message: Bytes) -> Job {
        Job::View {
            message,
            network: self.replica.charter().network_id(),
            witnesses: Box::new(self.replica.charter().all_witnesses()),
            held: self.replica.views().values().flat_map(|slots| slots.iter().cloned()).collect(),
        }
    }

    fn fork_job(&self, message: ForkMessage) -> Option<Job> {
        let keys = self.replica.keys_for(&message.origin)?.own;
        Some(Job::Fork { origin: message.origin, proof: message.proof, keys })
    }

    fn past_job(&self, message: PastMessage) -> Job {
        let witnessing = self.replica.witnessing().clone();
        Job::Past { message, witnessing }
    }

    pub(super) fn check_past(&mut self, message: PastMessage, peer: &Peer) {
        self.check(self.past_job(message), Source::Sync(peer.clone()));
    }

    fn check(&mut self, job: Job, source: Source) {
        // A submission has one check at a time, so peers that fill the queue do not shut the operator out.
        if self.checks.len() >= limits::CHECKS_MAX && !source.is_local() {
            // Our own limit: nobody's fault, and synchronisation brings it again.
            self.judge(&source, Ok(false));
            return;
        }
        let ticket = self.ticket();
        self.checks.insert(ticket, source);
        if let Job::Head { message, .. } = &job {
            self.fence.in_check.insert(ticket, message.checkpoint.origin.clone());
        }
        self.outputs.push(Output::Check(ticket, Box::new(job)));
    }

    fn checked(&mut self, ticket: u64, result: Result<Checked, Fault>) {
        self.fence.in_check.remove(&ticket);
        let Some(source) = self.checks.remove(&ticket) else { return };
        match result {
            Err(fault) => {
                if let (Fault::ViewBase(witness), Some(peer)) = (&fault, source.peer()) {
                    self.peers.want_view(&peer, witness);
                }
                if let Source::Sync(peer) = &source {
                    self.own_unanswered(peer);
                }
                self.judge(&source, Err(&fault));
                self.part_done(&source, Err(SubmitError::Fault(fault)));
            }
            Ok(Checked::Head(head)) => {
                let origin = head.head.checkpoint().origin.clone();
                self.change(origin, Change::Head(head, source));
            }
            Ok(Checked::Statements(checkpoint, found)) => {
                self.change(checkpoint.origin, Change::Statements(found, source));
            }
            Ok(Checked::Fork(origin, proof)) => self.change(origin, Change::Fork(proof, source)),
            Ok(Checked::View(view)) => self.view_checked(view, &source),
            Ok(Checked::Witness(proof)) => self.offer_witness_proof(proof, source),
            Ok(Checked::Own(cosignatures)) => self.own_checked(cosignatures, &source),
            Ok(Checked::Past(message, register)) => {
                let frames = vec![Durable::Past(Bytes::from(message.encode()))];
                self.park(None, frames, Parked::Past { after: message.after, register, source });
            }
        }
    }

    fn view_checked(&mut self, view: Arc<HeldView>, source: &Source) {
        let changing = self.replica.witnessing().is_changing();
        self.watch_view(&view);
        self.learn_from_view(&view, source);
        let newer = self.replica.offer_view(view.clone(), self.now());
        if newer {
            self.outputs.push(Output::Changed);
            self.observe_change(changing);
        }
        if newer && let Some(peer) = source.peer() {
            let witness = &view.view().witness;
            // It vouches for entries that we lack, or for a head beyond W whose cosignature never came: gossip is lost
            // at times, and a statement about a register that was not bound yet was passed over.
            let lacks = |register: &Register, leaf: Leaf| {
                let unsigned = |stand: &Stand| stand.cosignature(witness).is_none();
                register.size_newest() < leaf.size
                    || register.size_witnessed() < leaf.size && register.stand(leaf.size).is_some_and(unsigned)
            };
            for (origin, leaf) in view.frontier.iter() {
                if self.replica.register(origin).is_some_and(|register| lacks(register, leaf)) {
                    self.peers.want_entries(&peer, &self.replica, origin);
                }
            }
        }
        self.judge(source, Ok(newer));
        self.part_done(source, Ok(newer));
    }

    // ---- changes of one register -----------------------------------------------------------------------------------

    fn change(&mut self, origin: String, change: Change) {
        if let Some(queue) = self.busy.get_mut(&origin) {
            if change.is_ours() || queue.len() < limits::CHANGES_QUEUED_MAX {
                queue.push_back(change);
            } else if let Change::Head(_, source) | Change::Statements(_, source) | Change::Fork(_, source) = change {
                self.judge(&source, Ok(false));
                self.part_done(&source, Err(SubmitError::Busy));
            }
            return;
        }
        let Some(register) = self.replica.candidate(&origin) else {
            match change {
                Change::Head(_, source) | Change::Statements(_, source) | Change::Fork(_, source) => {
                    self.judge(&source, Ok(false));
                    self.part_done(&source, Err(SubmitError::Unbound(origin)));
                }
                // Nobody names the register for now; should somebody again, the same is signed again.
                Change::Promised(cosignature) => self.duties.promise_came_to_nothing(cosignature.checkpoint()),
            }
            return;
        };
        match change {
            Change::Head(head, source) => self.offer_head(register, *head, source),
            Change::Statements(found, source) => self.offer_statements(register, found, source),
            Change::Fork(proof, source) => self.offer_fork(register, proof, source),
            Change::Promised(cosignature) => {
                self.outputs.push(Output::Publish(Topic::Statements, cosignature_bytes(&cosignature)));
                let mut register = register;
                register.add_cosignature(cosignature);
                self.replace(register);
            }
        }
    }

    fn offer_head(&mut self, mut register: Register, checked: CheckedHead, source: Source) {
        let CheckedHead { head, mut cosignatures, timestamps, first, entries, bodies } = checked;
        let origin = register.origin().to_owned();
        self.watch_cosignatures(&cosignatures);
        let before = register.clone();
        if let Some(early) = self.early.get(&origin) {
            // One of each witness: a batch with more signatures than a note has could not be taken back.
            let is_there = |c: &Cosignature| cosignatures.iter().any(|held| held.witness() == c.witness());
            let more: Vec<Cosignature> =
                early.iter().filter(|c| c.checkpoint() == head.checkpoint() && !is_there(c)).cloned().collect();
            cosignatures.extend(more);
        }
        let sizes = (head.checkpoint().size, first);
        let root = head.checkpoint().root;
        let signers = head.signers().to_vec();
        let batch = batch_message(&head, &cosignatures, &timestamps, first, &entries);
        let admission = register.admit(head, cosignatures, first, &entries);
        if sizes.0 > register.size_newest() {
            self.duties.saw(&origin, sizes.0, &signers);
            self.fence.seen.note(&origin, sizes.0, &signers);
        }
        let changed = fingerprint(&register) != fingerprint(&before);
        if matches!(admission, Admission::Gap | Admission::EntriesMismatch | Admission::EntryCount) {
            // Either we are behind, or the two of us are on two branches: ask for enough to find out.
            if let Some(peer) = source.peer() {
                match admission {
                    // An answer that leaves a gap was no answer; the next exchange asks again.
                    Admission::Gap if matches!(source, Source::Sync(_)) => {}
                    Admission::Gap => self.peers.want_entries_from(&peer, &origin, before.size_newest()),
                    // Whole from the start, and still it does not fit: asking again would bring the same.
                    _ if first == 0 => {}
                    _ => self.peers.want_entries_from(&peer, &origin, 0),
                }
            }
        }
        if let Admission::ThirdBranch | Admission::RegisterFrozen | Admission::UpgradeNeeded { .. } = &admission {
            // The entries are those under the head, so whoever has them sends the same again.
            self.peers.refused.insert(origin.clone(), root);
        }
        if let Admission::Frozen(_) = &admission {
            self.outputs.push(Output::Notice(Notice::Frozen { origin: origin.clone(), size: register.size_newest() }));
        }
        if !changed {
            self.judge(&source, Ok(false));
            let result = match admission {
                Admission::Known | Admission::Older => Ok(false),
                other => Err(SubmitError::NotAdmitted { origin: origin.clone(), size: sizes.0, admission: other }),
            };
            self.offer_timestamps(timestamps);
            self.part_done(&source, result);
            return;
        }
        let batch = Bytes::from(batch.encode());
        if batch.len() > limits::BATCH_SIZE_MAX || entries.len() > limits::MESSAGE_ENTRIES_MAX {
            // The next start could not read it.
            self.judge(&source, Ok(false));
            let most = "expected entries that one batch of the journal holds".to_owned();
            self.part_done(&source, Err(SubmitError::NotDurable(most)));
            return;
        }
        // Signature and consistency hold: others may have it now, before our own disk has.
        self.judge(&source, Ok(true));
        let needed = register.bodies_needed();
        let bodies: Vec<_> = bodies
            .into_iter()
            .filter(|b| needed.contains(&b.digest()) && !self.replica.bodies().contains(&b.digest()))
            .collect();
        let mut frames: Vec<Durable> = bodies.iter().map(|b| Durable::Body(b.body().clone())).collect();
        frames.push(Durable::Batch(batch));
        if !before.is_forked()
            && let Some(proof) = register.fork_proof()
        {
            frames.push(Durable::Fork(fork_bytes(&origin, proof)));
        }
        self.park(Some(origin), frames, Parked::Register { register: Box::new(register), bodies, timestamps, source });
    }

    fn offer_statements(&mut self, mut register: Register, found: CheckedStatements, source: Source) {
        let origin = register.origin().to_owned();
        let mut frames = Vec::new();
        self.watch_cosignatures(&found.cosignatures);
        for cosignature in found.cosignatures {
            let checkpoint = cosignature.checkpoint().clone();
            let signed = vec![Signed::from_line(cosignature.line())];
            if checkpoint.size > register.size_newest() {
                self.keep_early(&origin, cosignature);
                if let Some(peer) = source.peer() {
                    self.peers.want_entries(&peer, &self.replica, &origin);
                }
            } else if register.add_cosignature(cosignature) {
                let message = StatementMessage::Cosignatures(checkpoint, signed);
                frames.push(Durable::Statement(Bytes::from(message.encode())));
            }
        }
        let fresh_timestamps = self.offer_timestamps(found.timestamps);
        if frames.is_empty() {
            self.judge(&source, Ok(fresh_timestamps));
            self.part_done(&source, Ok(fresh_timestamps));
            return;
        }
        self.judge(&source, Ok(true));
        let register = Box::new(register);
        let parked = Parked::Register { register, bodies: Vec::new(), timestamps: Vec::new(), source };
        self.park(Some(origin), frames, parked);
    }

    /// Keeps cosignatures that came before their head; as many as a charter has witnesses.
    fn keep_early(&mut self, origin: &str, cosignature: Cosignature) {
        let early = self.early.entry(origin.to_owned()).or_default();
        // One of each witness: else one of them would leave no room for the others.
        early.retain(|c| c.witness() != cosignature.witness() || c.time() > cosignature.time());
        let is_newest = early.iter().all(|c| c.witness() != cosignature.witness());
        if is_newest && early.len() < limits::NOTE_SIGNATURES_MAX {
            early.push(cosignature);
        }
    }

    fn offer_timestamps(&mut self, timestamps: Vec<Timestamp>) -> bool {
        let mut fresh = false;
        for timestamp in timestamps {
            fresh |= self.replica.offer_timestamp(Arc::new(timestamp), self.now());
        }
        if fresh {
            self.outputs.push(Output::Changed);
        }
        fresh
    }

    fn offer_fork(&mut self, mut register: Register, proof: ForkProof, source: Source) {
        if register.is_forked() {
            self.judge(&source, Ok(false));
            self.part_done(&source, Ok(false));
            return;
        }
        let origin = register.origin().to_owned();
        let frames = vec![Durable::Fork(fork_bytes(&origin, &proof))];
        if let Err(error) = register.add_fork_proof(proof.clone()) {
            self.judge(&source, Err(&Fault::Fork(error)));
            self.part_done(&source, Err(SubmitError::Fault(Fault::Fork(error))));
            return;
        }
        self.judge(&source, Ok(true));
        let register = Box::new(register);
        let parked = Parked::Register { register, bodies: Vec::new(), timestamps: Vec::new(), source };
        self.park(Some(origin), frames, parked);
    }

    // ---- durable, then published -----------------------------------------------------------------------------------

    fn park(&mut self, origin: Option<String>, frames: Vec<Durable>, parked: Parked) {
        let ticket = self.ticket();
        if let Some(origin) = &origin {
            self.busy.entry(origin.clone()).or_default();
        }
        self.parked.insert(ticket, (origin, parked));
        self.outputs.push(Output::Persist(ticket, frames));
    }

    fn persisted(&mut self, ticket: u64) {
        let Some((origin, parked)) = self.parked.remove(&ticket) else { return };
        let queue = origin.as_ref().and_then(|o| self.busy.remove(o));
        match parked {
            Parked::Register { register, bodies, timestamps, source } => {
                bodies.into_iter().for_each(|body| self.replica.bodies_mut().insert(body));
                self.installed(*register, timestamps, &source);
            }
            Parked::Bodies { bodies, source } => {
                let names_registers = bodies.iter().any(|body| body.trust_entry().is_ok());
                bodies.into_iter().for_each(|body| self.replica.bodies_mut().insert(body));
                self.bodies_came(names_registers, &source);
            }
            Parked::Promise { cosignature, waiting } => {
                self.duties.promise_is_durable(cosignature.checkpoint());
                self.door_opens(waiting, &cosignature);
                self.change(cosignature.checkpoint().origin.clone(), Change::Promised(cosignature));
            }
            Parked::Publish { message, timestamp, view } => {
                if let Some(timestamp) = timestamp {
                    self.replica.offer_timestamp(Arc::new(timestamp), self.now());
                }
                if let Some(view) = view {
                    let held = self.duties.view_is_durable(view);
                    self.replica.offer_view(held, self.now());
                }
                // A view that changed too much for gossip is asked for when its time is told.
                let message = message.encode();
                if message.len() <= limits::GOSSIP_SIZE_MAX {
                    self.outputs.push(Output::Publish(Topic::Statements, Bytes::from(message)));
                }
                self.outputs.push(Output::Changed);
            }
            Parked::WitnessProof { proof, source } => self.keep_witness_proof(proof, &source),
            Parked::Learned => {}
            Parked::Charter { note, source } => self.charter_is_durable(&note, &source),
            Parked::Choice { chosen, source } => self.choice_is_durable(chosen, &source),
            Parked::ChangeSeen => {}
            Parked::Past { after, register, source } => {
                let kept = self.replica.keep_past(&after, register);
                if kept {
                    self.outputs.push(Output::Changed);
                    self.want_bodies(source.peer().as_ref());
                }
                self.part_done(&source, Ok(kept));
            }
        }
        if let (Some(origin), Some(queue)) = (origin, queue) {
            for change in queue {
                self.change(origin.clone(), change);
            }
        }
    }

    fn persist_failed(&mut self, ticket: u64, reason: &str) {
        let Some((origin, parked)) = self.parked.remove(&ticket) else { return };
        let queue = origin.as_ref().and_then(|o| self.busy.remove(o));
        self.outputs.push(Output::Notice(Notice::NotDurable { reason: reason.to_owned() }));
        match parked {
            Parked::Register { source, .. }
            | Parked::Bodies { source, .. }
            | Parked::Charter { source, .. }
            | Parked::WitnessProof { source, .. }
            | Parked::Past { source, .. }
            | Parked::Choice { source, .. } => {
                self.part_done(&source, Err(SubmitError::NotDurable(reason.to_owned())));
            }
            // Another start sees the change again when the witnesses speak.
            Parked::ChangeSeen => {}
            // Neither was given away: it is tried again at the next tick, a view when the next one is due.
            Parked::Promise { cosignature, waiting } => {
                self.duties.promise_came_to_nothing(cosignature.checkpoint());
                self.door_stays_shut(waiting);
            }
            // They are learned again at the next start.
            Parked::Learned => {}
            Parked::Publish { timestamp, .. } => {
                timestamp.iter().for_each(|timestamp| self.duties.forget_timestamp(timestamp));
            }
        }
        for change in queue.into_iter().flatten() {
            if let Some(origin) = &origin {
                self.change(origin.clone(), change);
            }
        }
    }

    fn installed(&mut self, register: Register, timestamps: Vec<Timestamp>, source: &Source) {
        let origin = register.origin().to_owned();
        let moved = self.replace(register);
        self.offer_timestamps(timestamps);
        if let (Source::Local(_), Some(register)) = (source, self.replica.register(&origin)) {
            let message = gossip_head(&self.replica, register);
            if let Some(message) = message {
                self.outputs.push(Output::Publish(Topic::Heads, Bytes::from(message.encode())));
            }
        }
        if moved {
            self.want_bodies(source.peer().as_ref());
            self.consider_cosigning(&origin);
            self.consider_timestamp(&origin);
        }
        self.part_done(source, Ok(true));
    }

    /// Puts a register in place, and says what is new about it. True when its newest head moved.
    fn replace(&mut self, register: Register) -> bool {
        let origin = register.origin().to_owned();
        let before = self.replica.register(&origin).cloned();
        let was = |f: fn(&Register) -> u64| before.as_ref().map_or(0, |r| f(r));
        let (newest, witnessed) = (was(Register::size_newest), was(Register::size_witnessed));
        let forked = before.as_ref().is_some_and(|r| r.is_forked());
        let (now_newest, now_witnessed) = (register.size_newest(), register.size_witnessed());
        if now_newest != newest {
            if let Some(early) = self.early.get_mut(&origin) {
                early.retain(|cosignature| cosignature.checkpoint().size > now_newest);
            }
            self.outputs.push(Output::Notice(Notice::Head { origin: origin.clone(), from: newest, to: now_newest }));
        }
        if now_witnessed != witnessed {
            let witnesses = register.witnessed_stand().map_or(0, |stand| stand.cosignatures().len());
            let notice = Notice::Quorum { origin: origin.clone(), size: now_witnessed, witnesses };
            self.outputs.push(Output::Notice(notice));
        }
        if register.is_forked()
            && !forked
            && let Some(proof) = register.fork_proof()
        {
            self.outputs.push(Output::Notice(Notice::Forked { origin: origin.clone(), size: fork_size(proof) }));
            let message = fork_bytes(&origin, proof);
            self.outputs.push(Output::Publish(Topic::Forks, message));
        }
        let moved = now_newest != newest || register.is_forked() != forked;
        if self.replica.install(register) {
            // A recognised authority came to be known: its register is asked for at once.
            self.peers.ask_everybody();
        }
        self.outputs.push(Output::Changed);
        moved
    }

    fn bodies_came(&mut self, names_registers: bool, source: &Source) {
        // Only a trust entry names registers, and both of these walk every state.
        if names_registers && self.replica.rebind() {
            self.peers.ask_everybody();
        }
        self.outputs.push(Output::Changed);
        if !self.peers.waits_for_bodies() && self.replica.bodies_missing().is_empty() {
            self.consider_all();
        }
        self.part_done(source, Ok(true));
    }

    pub(super) fn keep_bodies(&mut self, bodies: Vec<Arc<Record>>, peer: Peer) {
        let frames = bodies.iter().map(|b| Durable::Body(b.body().clone())).collect();
        self.park(None, frames, Parked::Bodies { bodies, source: Source::Sync(peer) });
    }

    fn want_bodies(&mut self, peer: Option<&Peer>) {
        let missing = self.replica.bodies_missing();
        if !missing.is_empty() {
            self.peers.want_bodies(peer, &missing, &self.replica);
        }
    }

    // ---- duties of our own -----------------------------------------------------------------------------------------

    /// Cosigns whatever is due.
    fn consider_all(&mut self) {
        let origins: Vec<String> = self.replica.registers().keys().cloned().collect();
        for origin in origins {
            self.consider_cosigning(&origin);
        }
    }

    fn consider_cosigning(&mut self, origin: &str) {
        if let Some(register) = self.replica.register(origin)
            && let Some(cosignature) = self.duties.cosign(register, &self.replica, self.now())
        {
            self.promise(cosignature, None);
        }
    }

    /// Makes a cosignature of our own durable; only then it is given away.
    fn promise(&mut self, cosignature: Cosignature, waiting: Option<u64>) {
        let frames = vec![Durable::Promise(cosignature_bytes(&cosignature))];
        self.park(None, frames, Parked::Promise { cosignature, waiting });
    }

    fn consider_timestamp(&mut self, origin: &str) {
        let held = self.replica.timestamps().get(origin).and_then(|s| s.kept.clone());
        if let Some(register) = self.replica.register(origin)
            && let Some(timestamp) = self.duties.timestamp(register, held.as_deref(), self.now())
        {
            let message =
                StatementMessage::Cosignatures(timestamp.checkpoint().clone(), vec![timestamp.signed().clone()]);
            let frames = vec![Durable::Statement(Bytes::from(message.encode()))];
            self.park(None, frames, Parked::Publish { message, timestamp: Some(timestamp), view: None });
        }
    }

    fn ticked(&mut self, entropy: u64) {
        self.learn();
        let origins: Vec<String> = self.replica.registers().keys().cloned().collect();
        for origin in origins {
            self.consider_cosigning(&origin);
            self.consider_timestamp(&origin);
        }
        if let Some(view) = self.duties.view(&self.replica, self.now()) {
            let message = StatementMessage::View(view.gossip.clone());
            let frames = vec![Durable::Promise(Bytes::from(message.encode()))];
            self.park(None, frames, Parked::Publish { message, timestamp: None, view: Some(view) });
        }
        self.want_bodies(None);
        self.peers.ticked(self.now_ms, entropy);
        // A submission's bodies come before the heads that need them.
        if entropy.is_multiple_of(64) && self.submissions.is_empty() {
            self.replica.drop_unneeded_bodies();
        }
    }

    // ---- requests and responses ------------------------------------------------------------------------------------

    fn requested(&mut self, peer: &Peer, ticket: u64, data: &[u8]) {
        match Request::decode(data) {
            Ok(request) => {
                let mut response = super::answer::answer(&self.replica, &request);
                self.add_unplaced(&request, &mut response);
                self.outputs.push(Output::Respond(ticket, Bytes::from(response.encode())));
            }
            Err(error) => {
                let reason = error.to_string();
                self.outputs.push(Output::Notice(Notice::Refused { peer: peer.clone(), reason }));
                self.outputs.push(Output::Refuse(ticket));
            }
        }
    }

    fn responded(&mut self, peer: &Peer, ticket: u64, result: Option<Bytes>) {
        let Some(request) = self.peers.finished(peer, ticket) else { return };
        let Some(data) = result else {
            self.request_failed(peer, &request);
            return;
        };
        match Response::decode(&data) {
            Err(error) => {
                let reason = error.to_string();
                self.outputs.push(Output::Notice(Notice::Refused { peer: peer.clone(), reason }));
                self.request_failed(peer, &request);
            }
            Ok(response) => self.answered(peer, request, response, data.len()),
        }
    }

    pub(super) fn check_head(&mut self, message: HeadMessage, peer: &Peer) {
        if let Some(job) = self.head_job(message) {
            self.check(job, Source::Sync(peer.clone()));
        }
    }

    pub(super) fn check_statement(&mut self, message: StatementMessage, peer: &Peer) {
        if let Some(job) = self.statement_job(message) {
            self.check(job, Source::Sync(peer.clone()));
        }
    }

    pub(super) fn check_fork(&mut self, message: ForkMessage, peer: &Peer) {
        if let Some(job) = self.fork_job(message) {
            self.check(job, Source::Sync(peer.clone()));
        }
    }

    fn send_requests(&mut self) {
        while let Some((peer, mut request)) = self.peers.next() {
            if let Request::Frontier { prefix, root } = &mut request {
                *root = self.replica.frontier_root(prefix);
            }
            let ticket = self.ticket();
            self.outputs.push(Output::Request { peer: peer.clone(), ticket, data: Bytes::from(request.encode()) });
            self.peers.sent(&peer, ticket, request);
        }
    }
}

/// All of a register that a batch can change, apart from what it is made of: two of the same differ in nothing.
fn fingerprint(register: &Register) -> impl PartialEq + use<> {
    let stands: Vec<_> = register
        .stands_from(0)
        .chain(register.stands_other())
        .map(|stand| {
            let times: Vec<_> = stand.cosignatures().map(|c| (c.witness().to_owned(), c.time())).collect();
            (stand.head().checkpoint().size, stand.head().checkpoint().root, stand.head().signers().len(), times)
        })
        .collect();
    let sizes = (register.size_newest(), register.size_witnessed(), register.size_other());
    let tails = (register.tail(), register.tail_other());
    let tails = [tails.0, tails.1].map(|tail| tail.map(|tail| tail.head.checkpoint().clone()));
    (sizes, register.is_forked(), register.frozen().is_some(), tails, stands)
}

fn cosignature_bytes(cosignature: &Cosignature) -> Bytes {
    let signed = vec![Signed::from_line(cosignature.line())];
    Bytes::from(StatementMessage::Cosignatures(cosignature.checkpoint().clone(), signed).encode())
}

/// The size of the smaller head of a proof, 0 where it does not read.
fn fork_size(proof: &ForkProof) -> u64 {
    proof.smaller().lines().nth(1).and_then(|size| size.parse().ok()).unwrap_or(0)
}

fn fork_bytes(origin: &str, proof: &ForkProof) -> Bytes {
    Bytes::from(ForkMessage { origin: origin.to_owned(), proof: Bytes::from(proof.encode()) }.encode())
}

fn batch_message(
    head: &crate::log::checkpoint::SignedHead,
    cosignatures: &[Cosignature],
    timestamps: &[Timestamp],
    first: u64,
    entries: &[Bytes],
) -> HeadMessage {
    let mut own: Vec<Signed> = head.note().signatures().iter().map(Signed::from_line).collect();
    own.extend(timestamps.iter().map(|t| t.signed().clone()));
    HeadMessage {
        checkpoint: head.checkpoint().clone(),
        own,
        cosignatures: cosignatures.iter().map(|c| Signed::from_line(c.line())).collect(),
        first,
        entries: entries.to_vec(),
        bodies: Vec::new(),
    }
}

/// The newest head with as many of its latest entries and bodies as fit into a gossip message.
fn gossip_head(replica: &Replica, register: &Register) -> Option<HeadMessage> {
    super::answer::head_message(replica, register, register.size_newest(), limits::GOSSIP_PAYLOAD_SIZE_MAX)
}
