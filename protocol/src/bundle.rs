//! Bundles: everything that verifying needs, as one file (`specs/bundle.md`).
//!
//! ```text
//! standfast bundle 1\n
//! {0: [charter note…], 1: [register…], 2: [view message…], 3: [body…], ? 4: [+ witness proof],
//!  ? 5: [version, [charter note…]], ? 6: [+ past message], ? 7: [+ fork report]}
//! register = [[head message…], fork message or empty, [statement message…]]
//! ```
//!
//! This first encoding is plain: all entries of each register, so that opening one is replaying it through the gate that
//! the network goes through. The same frontier gives the same bytes. Registers ascend by origin, bodies by digest.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::charter::{Chain, CharterError, SignedCharter};
use crate::codec::{CborError, Reader, Writer};
use crate::digest::Digest;
use crate::limits;
use crate::log::note::{Note, NoteError};
use crate::log::witness_proof::WitnessProof;
use crate::register::body::Record;
use crate::register::entry::Entry;
use crate::register::fact::After;
use crate::register::fork::ForkProof;
use crate::register::fork::report::{ForkReport, ReportError};
use crate::register::state::{Register, Stand};
use crate::replica::Replica;
use crate::sync::Submission;
use crate::sync::answer::{bare_head, bare_message, entries_from, other_message, stopped_message};
use crate::sync::check::{Checked, Fault, Job};
use crate::sync::message::{ForkMessage, HeadMessage, MessageError, PastMessage, StatementMessage};

/// The first line of a bundle.
pub const MAGIC: &[u8] = b"standfast bundle 1\n";

/// Why a file is not taken as a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Another file.
    #[error("expected a file that begins with `standfast bundle 1`")]
    Magic,
    /// Too many bytes.
    #[error("expected at most {max} bytes, {found} came", max = limits::BUNDLE_SIZE_MAX)]
    Size {
        /// What came.
        found: usize,
    },
    /// Not the CBOR of a bundle.
    #[error("the file is not a whole bundle")]
    Cbor(#[from] CborError),
    /// A part that does not read.
    #[error("a message in the bundle does not read")]
    Message(#[from] MessageError),
    /// A fork report that does not read.
    #[error("a fork proof in the bundle does not read")]
    Report(#[from] ReportError),
    /// No charter in it.
    #[error("expected at least one charter")]
    NoCharter,
    /// A charter that does not authenticate or does not follow.
    #[error("a charter in the bundle does not hold")]
    Charter(#[from] CharterError),
    /// A charter that is no signed note.
    #[error("a charter in the bundle is not a signed note")]
    CharterNote(#[from] NoteError),
    /// Of another network.
    #[error("the bundle is of network {found}, this machine belongs to {expected}")]
    OtherNetwork {
        /// Ours.
        expected: Digest,
        /// The bundle's.
        found: Digest,
    },
    /// A signature or proof that does not hold: the bundle was altered.
    #[error("what the bundle says of {origin} does not hold")]
    Altered {
        /// The register.
        origin: String,
        /// What is wrong.
        #[source]
        source: Fault,
    },
    /// A head whose entries are not those under it: the bundle was altered.
    #[error("the entries of {origin} are not those under its head ({code})")]
    NotAdmitted {
        /// The register.
        origin: String,
        /// What admission said.
        code: &'static str,
    },
    /// Bodies that no entry names: bodies stand under their digests, so an altered one is a stranger.
    #[error("expected records that its entries name, came others: {unnamed}")]
    Bodies {
        /// How many.
        unnamed: usize,
    },
}

impl BundleError {
    /// True when the file was a bundle once, and somebody changed it.
    pub fn is_tampering(&self) -> bool {
        matches!(self, Self::Altered { .. } | Self::NotAdmitted { .. } | Self::Bodies { .. })
    }
}

/// A register in a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Packed {
    heads: Vec<HeadMessage>,
    fork: Option<ForkMessage>,
    statements: Vec<StatementMessage>,
}

impl Packed {
    fn of(replica: &Replica, register: &Register) -> Self {
        // As they came: an earlier quorum, to which W may have to fall back, is only remembered in its turn.
        let stopped = register.tail().filter(|tail| register.is_bound(tail.head)).map(|tail| bare_head(tail.head));
        // A head that only keys bound no more have signed, nobody who opens the bundle takes; its entries come under the
        // next one.
        let is_bound = |stand: &&Stand| register.is_bound(stand.head());
        let stands = register.stands_from(0).filter(is_bound);
        let mut heads: Vec<HeadMessage> = stands.map(bare_message).chain(stopped).collect();
        let mut first = 0;
        for head in &mut heads {
            head.first = first;
            head.entries = entries_from(register, first, head.checkpoint.size).collect();
            first = head.checkpoint.size;
        }
        // The other branch can be told only with the proof, or beside a checkpoint that it contradicts.
        let point = register.fork_point().unwrap_or(u64::MAX);
        let is_told = register.fork_proof_current().is_some()
            || register.stands_from(0).filter(is_bound).any(|stand| stand.head().checkpoint().size > point);
        let newest = register.stands_other().filter(is_bound).last().filter(|_| is_told);
        let witnessed = register.stand_other_witnessed().filter(is_bound);
        let witnessed = witnessed.filter(|w| newest.is_some_and(|n| n.head().checkpoint() != w.head().checkpoint()));
        heads.extend(witnessed.into_iter().chain(newest).filter_map(|stand| other_message(register, stand)));
        let stopped = register.tail_other().filter(|tail| is_told && register.is_bound(tail.head));
        heads.extend(stopped.and_then(|_| stopped_message(register)));
        for head in &mut heads {
            head.own.retain(|signed| register.keys().iter().any(|key| key.id() == signed.id));
        }
        let origin = register.origin().to_owned();
        let fork = register
            .fork_proof_current()
            .map(|proof| ForkMessage { origin: origin.clone(), proof: Bytes::from(proof.encode()) });
        let slots = replica.timestamps().get(&origin);
        let statements = slots
            .into_iter()
            .flat_map(|slots| slots.iter())
            .map(|t| StatementMessage::Cosignatures(t.checkpoint().clone(), vec![t.signed().clone()]))
            .collect();
        Self { heads, fork, statements }
    }

    /// The same heads for a register that may hold some of them already: the newest one with all entries, the earlier
    /// ones without. Nothing is lost but quorums before the newest one.
    fn newest_first(&self) -> Vec<HeadMessage> {
        let ends = self.heads.iter().scan(0, |end, head| {
            let continues = head.first == *end;
            *end = head.checkpoint.size;
            continues.then_some(())
        });
        let (main, others) = self.heads.split_at(ends.count());
        let mut heads = main.to_vec();
        let entries: Vec<Bytes> = heads.iter_mut().flat_map(|head| std::mem::take(&mut head.entries)).collect();
        heads.iter_mut().for_each(|head| head.first = head.checkpoint.size);
        if let Some(newest) = heads.last_mut() {
            (newest.first, newest.entries) = (0, entries);
        }
        heads.reverse();
        heads.extend_from_slice(others);
        heads
    }

    /// True when every entry held of this register is in it.
    fn covers(&self, register: &Register) -> bool {
        let reaches = |first: u64, size: u64| {
            let mut heads = self.heads.iter().filter(|head| head.checkpoint.size >= size);
            heads.any(|head| head.first <= first && head.entries.len() as u64 >= size.saturating_sub(head.first))
        };
        let main = self.heads.iter().fold(0, |end, head| if head.first == end { head.checkpoint.size } else { end });
        let main = main >= register.size_newest();
        let other = register.fork_point().is_none_or(|point| reaches(point, register.size_other()));
        self.origin() == Some(register.origin()) && main && other
    }

    fn origin(&self) -> Option<&str> {
        self.heads.first().map(|head| head.checkpoint.origin.as_str())
    }
}

/// A bundle as it is written; nothing in it is checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    charters: Vec<Bytes>,
    /// The version that its maker has settled, and second charters of versions.
    choice: Option<(u64, Vec<Bytes>)>,
    registers: Vec<Packed>,
    views: Vec<Bytes>,
    bodies: Vec<Bytes>,
    witness_proofs: Vec<Bytes>,
    /// Old registers that bindings name, by their points.
    pasts: Vec<PastMessage>,
    /// Fork proofs of registers that nothing binds any more, by origin.
    reports: Vec<ForkReport>,
}

/// What came of opening a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Registers that moved forward, with sizes before and after.
    pub moved: Vec<(String, u64, u64)>,
    /// Registers that were held already, as far as the bundle goes.
    pub level: Vec<String>,
    /// Registers that no charter or trust entry names.
    pub unbound: Vec<String>,
    /// Views of witnesses, or by keys, that the charter in force does not name, which were left out.
    pub views_unknown: usize,
}

impl Bundle {
    /// Packs all that a replica holds.
    pub fn of(replica: &Replica) -> Self {
        // What nobody names any more, nobody who opens the bundle looks at.
        let is_told = |r: &&Arc<Register>| {
            replica.bound().contains_key(r.origin()) && (r.newest_head().is_some() || r.tail().is_some())
        };
        let registers: Vec<_> = replica.registers().values().filter(is_told).collect();
        let reports = replica.fork_reports();
        let packed = registers.iter().map(|register| Packed::of(replica, register));
        let packed: Vec<Packed> = packed.filter(|packed| !packed.heads.is_empty()).collect();
        let pasts: Vec<PastMessage> = replica.afters().iter().filter_map(|after| pack_past(replica, after)).collect();
        let mut needed: BTreeSet<Digest> = registers.iter().flat_map(|r| r.bodies_needed()).collect();
        needed.extend(replica.bodies_of_pasts());
        if !registers.iter().all(|register| packed.iter().any(|packed| packed.covers(register))) {
            // Entries that no head counts for stay behind, and a body that no entry names would be a stranger.
            let named = digests_named(&packed, &pasts);
            needed.retain(|digest| named.contains(digest));
        }
        let note = |charter: &Arc<SignedCharter>| Bytes::from(charter.note().to_string());
        let chain = replica.chain();
        let is_plain = chain.held().first().is_some_and(|first| first.charter().version() == chain.settled());
        let sides: Vec<Bytes> = chain.sides().map(note).collect();
        Self {
            charters: chain.held().iter().map(note).collect(),
            choice: (!is_plain || !sides.is_empty()).then(|| (chain.settled(), sides)),
            views: replica
                .views()
                .values()
                .flat_map(|slots| slots.iter())
                .map(|held| Bytes::from(held.whole_message().encode()))
                .collect(),
            bodies: needed.iter().filter_map(|d| replica.bodies().get(d)).map(|r| r.body().clone()).collect(),
            witness_proofs: replica.witness_proofs().values().map(|proof| Bytes::from(proof.encode())).collect(),
            registers: packed,
            pasts,
            reports: reports.values().take(limits::FORK_REPORTS_MAX).map(|report| ForkReport::clone(report)).collect(),
        }
    }

    /// Writes the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        let more =
            [!self.witness_proofs.is_empty(), self.choice.is_some(), !self.pasts.is_empty(), !self.reports.is_empty()];
        w.map(4 + more.into_iter().filter(|is_there| *is_there).count());
        write_bytes(w.uint(0), &self.charters);
        w.uint(1).array(self.registers.len());
        for Packed { heads, fork, statements } in &self.registers {
            w.array(3).array(heads.len());
            heads.iter().for_each(|head| {
                w.bytes(&head.encode());
            });
            w.bytes(&fork.as_ref().map(ForkMessage::encode).unwrap_or_default()).array(statements.len());
            statements.iter().for_each(|statement| {
                w.bytes(&statement.encode());
            });
        }
        write_bytes(w.uint(2), &self.views);
        write_bytes(w.uint(3), &self.bodies);
        if !self.witness_proofs.is_empty() {
            write_bytes(w.uint(4), &self.witness_proofs);
        }
        if let Some((version, sides)) = &self.choice {
            write_bytes(w.uint(5).array(2).uint(*version), sides);
        }
        if !self.pasts.is_empty() {
            let pasts: Vec<Bytes> = self.pasts.iter().map(|past| Bytes::from(past.encode())).collect();
            write_bytes(w.uint(6), &pasts);
        }
        if !self.reports.is_empty() {
            let reports: Vec<Bytes> = self.reports.iter().map(|report| Bytes::from(report.encode())).collect();
            write_bytes(w.uint(7), &reports);
        }
        [MAGIC, &w.into_bytes()].concat()
    }

    /// Reads a file, whole or not at all.
    pub fn decode(data: &[u8]) -> Result<Self, BundleError> {
        if data.len() > limits::BUNDLE_SIZE_MAX {
            return Err(BundleError::Size { found: data.len() });
        }
        let mut r = Reader::new(data.strip_prefix(MAGIC).ok_or(BundleError::Magic)?);
        let members = r.map()?;
        if !(4..=8).contains(&members) {
            return Err(CborError::Length { expected: 4, found: members }.into());
        }
        r.key(0)?;
        let charters = read_bytes(&mut r)?;
        if charters.len() > limits::BUNDLE_CHARTERS_MAX {
            return Err(CborError::Length { expected: limits::BUNDLE_CHARTERS_MAX, found: charters.len() }.into());
        }
        r.key(1)?;
        let registers = (0..r.array()?).map(|_| read_register(&mut r)).collect::<Result<_, BundleError>>()?;
        r.key(2)?;
        let views = read_bytes(&mut r)?;
        r.key(3)?;
        let bodies = read_bytes(&mut r)?;
        let (mut witness_proofs, mut choice) = (Vec::new(), None);
        let (mut pasts, mut reports, mut before) = (Vec::new(), Vec::new(), 3);
        for _ in 4..members {
            let key = r.uint()?;
            match key {
                4 if before < key => {
                    witness_proofs =
                        read_some(&mut r, limits::WITNESS_PROOFS_MAX, |data| Ok(Bytes::copy_from_slice(data)))?;
                }
                5 if before < key => choice = Some(read_choice(&mut r)?),
                6 if before < key => {
                    pasts = read_some(&mut r, limits::PASTS_MAX, |data| Ok(PastMessage::decode(data)?))?
                }
                7 if before < key => {
                    reports = read_some(&mut r, limits::FORK_REPORTS_MAX, |data| Ok(ForkReport::decode(data)?))?;
                }
                key => return Err(MessageError::Kind(key).into()),
            }
            before = key;
        }
        r.finish()?;
        Ok(Self { charters, choice, registers, views, bodies, witness_proofs, pasts, reports })
    }

    /// Opens the bundle by itself: its own first charter is the root of trust, which the caller has chosen by choosing
    /// the file. Every signature and every entry is checked.
    pub fn open(&self, now: u64) -> Result<(Replica, Report), BundleError> {
        let mut replica = Replica::new(Arc::new(self.first_charter()?));
        for note in self.charters_for(replica.chain())? {
            replica.offer_charter(note)?;
        }
        // Whoever opens it by itself has chosen its maker, and with it what the maker chose.
        if let Some((settled, _)) = &self.choice {
            replica.settle_charters(*settled);
        }
        let report = self.import_into(&mut replica, now)?;
        Ok((replica, report))
    }

    /// Adds what the bundle holds to a replica. Where this fails the replica is to be thrown away.
    pub fn import_into(&self, replica: &mut Replica, now: u64) -> Result<Report, BundleError> {
        for note in self.charters_for(replica.chain())? {
            replica.offer_charter(note)?;
        }
        let named = digests_named(&self.registers, &self.pasts);
        let records: Vec<Arc<Record>> = self.bodies.iter().map(|body| Arc::new(Record::new(body.clone()))).collect();
        let unnamed = records.iter().filter(|record| !named.contains(&record.digest())).count();
        if unnamed > 0 {
            return Err(BundleError::Bodies { unnamed });
        }
        records.into_iter().for_each(|record| replica.bodies_mut().insert(record));
        replica.rebind();
        let mut report = Report::default();
        let mut waiting: Vec<&Packed> = self.registers.iter().collect();
        // A register is named by a trust entry of one before it; a round that finds none ends the search.
        while !waiting.is_empty() {
            let is_bound = |packed: &&Packed| packed.origin().is_some_and(|o| replica.bound().contains_key(o));
            let (ready, later): (Vec<&Packed>, Vec<&Packed>) = waiting.into_iter().partition(is_bound);
            if ready.is_empty() {
                report.unbound = later.iter().filter_map(|p| p.origin().map(str::to_owned)).collect();
                break;
            }
            for packed in ready {
                import_register(replica, packed, now, &mut report)?;
            }
            waiting = later;
        }
        for PastMessage { after, entries } in &self.pasts {
            let altered = |source| BundleError::Altered { origin: after.origin.clone(), source: Fault::Past(source) };
            replica.offer_past(after, entries).map_err(altered)?;
        }
        for report in &self.reports {
            let altered = |source| BundleError::Altered { origin: report.origin().to_owned(), source };
            report.proof().check(report.origin(), report.keys()).map_err(|e| altered(Fault::Fork(e)))?;
            replica.keep_report(report.clone());
        }
        for view in &self.views {
            let job = Job::View {
                message: view.clone(),
                network: replica.charter().network_id(),
                witnesses: Box::new(replica.charter().all_witnesses()),
                held: Vec::new(),
            };
            match job.run() {
                Ok(Checked::View(view)) => drop(replica.offer_view(view, now)),
                Err(fault) if fault.is_the_senders() => {
                    return Err(BundleError::Altered { origin: "a witness's view".to_owned(), source: fault });
                }
                // A view of a witness that the charter no longer names, or by an earlier key, says nothing.
                Ok(_) | Err(_) => report.views_unknown += 1,
            }
        }
        for proof in &self.witness_proofs {
            let altered = |error| BundleError::Altered {
                origin: "a witness".to_owned(),
                source: Fault::Witness(Box::new(error)),
            };
            let proof = WitnessProof::parse(proof).map_err(altered)?;
            match replica.add_witness_proof(Arc::new(proof)) {
                // Of a witness that no charter held here names.
                Err(error) if error.is_the_senders() => return Err(altered(error)),
                Ok(_) | Err(_) => {}
            }
        }
        replica.drop_unneeded_bodies();
        Ok(report)
    }

    /// Returns the bundle's parts as a submission for a machine that holds `replica`, in an order that it can take.
    pub fn submission(&self, replica: &Replica) -> Result<Submission, BundleError> {
        let charters = self.charters_for(replica.chain())?.into_iter().cloned().collect();
        // Opened by itself, its registers come in the order in which they name each other.
        let (opened, report) = self.open(u64::MAX / 2)?;
        let order = opened.binding_order();
        let mut registers: Vec<&Packed> = self
            .registers
            .iter()
            .filter(|p| p.origin().is_some_and(|o| !report.unbound.iter().any(|u| u == o)))
            .collect();
        registers.sort_by_key(|p| order.iter().position(|o| Some(o.as_str()) == p.origin()));
        // A head by none of the keys bound here has nothing to say that is not held, where so much is held.
        let is_told = |head: &HeadMessage| {
            let origin = &head.checkpoint.origin;
            let held = replica.register(origin).is_some_and(|r| r.size_newest() >= head.checkpoint.size);
            let keys = replica.keys_for(origin).map(|keys| keys.own).unwrap_or_default();
            !held || head.own.iter().any(|signed| keys.iter().any(|key| key.id() == signed.id))
        };
        let heads = registers.iter().flat_map(|p| p.newest_first()).filter(is_told);
        let statements = registers.iter().flat_map(|p| p.statements.iter().cloned());
        let views = self.views.iter().cloned().map(StatementMessage::View);
        Ok(Submission {
            charters,
            choice: None,
            bodies: opened.bodies().iter().map(|record| record.body().clone()).collect(),
            heads: heads.collect(),
            statements: statements.chain(views).collect(),
            forks: registers.iter().filter_map(|p| p.fork.clone()).collect(),
            witness_proofs: self.witness_proofs.clone(),
            pasts: self.pasts.clone(),
        })
    }

    fn first_charter(&self) -> Result<SignedCharter, BundleError> {
        let first = self.charters.first().ok_or(BundleError::NoCharter)?;
        Ok(SignedCharter::authenticate_pinned(Note::parse(first)?)?)
    }

    /// The charters that say something to whoever holds `ours`: those that follow, and second ones of versions. Each is
    /// checked after the one before it in the bundle, whether it says something or not.
    fn charters_for(&self, ours: &Chain) -> Result<Vec<&Bytes>, BundleError> {
        let first = self.first_charter()?;
        let (expected, found) = (ours.in_force().charter().network_id(), first.charter().network_id());
        if expected != found {
            return Err(BundleError::OtherNetwork { expected, found });
        }
        let next = ours.last().charter().version().saturating_add(1);
        if first.charter().version() > next {
            return Err(CharterError::NotNext { expected: next, came: first.charter().version() }.into());
        }
        let (mut theirs, mut ours) = (Chain::new(Arc::new(first)), ours.clone());
        let sides = self.choice.iter().flat_map(|(_, sides)| sides);
        let mut telling = Vec::new();
        for note in self.charters.iter().chain(sides) {
            let step = theirs.judge(note)?;
            theirs.take(step);
            // Where the two chains part, what follows on theirs does not follow on ours.
            if let Ok(step) = ours.judge(note)
                && ours.take(step)
            {
                telling.push(note);
            }
        }
        Ok(telling)
    }
}

fn import_register(replica: &mut Replica, packed: &Packed, now: u64, report: &mut Report) -> Result<(), BundleError> {
    let Some(origin) = packed.origin().map(str::to_owned) else { return Ok(()) };
    let (Some(mut register), Some(keys)) = (replica.candidate(&origin), replica.keys_for(&origin)) else {
        return Ok(());
    };
    let altered = |source| BundleError::Altered { origin: origin.clone(), source };
    let before = register.size_newest();
    let is_new = register.newest_head().is_none() && register.tail().is_none();
    let heads = if is_new { packed.heads.clone() } else { packed.newest_first() };
    // Before the heads, of which another proof of the same could be made.
    if let Some(fork) = &packed.fork
        && !register.is_forked()
    {
        let proof = ForkProof::parse(&fork.proof).map_err(|e| altered(Fault::Fork(e)))?;
        match register.add_fork_proof(proof).map_err(Fault::Fork) {
            Err(fault) if fault.is_the_senders() => return Err(altered(fault)),
            // By a key that is bound no more.
            Ok(_) | Err(_) => {}
        }
    }
    let mut carried: Option<(u64, Vec<Bytes>)> = None;
    for head in &heads {
        let mut head = head.clone();
        if let Some((first, mut entries)) = carried.take()
            && head.first == first.saturating_add(entries.len() as u64)
        {
            entries.append(&mut head.entries);
            (head.first, head.entries) = (first, entries);
        }
        // On the way a cosignature that fails costs the head nothing; a bundle was packed of such as hold.
        keys.check(&head.checkpoint, &head.cosignatures).map_err(|e| altered(Fault::Statement(e)))?;
        let job = Job::Head { message: head.clone(), keys: keys.clone(), bases: Vec::new() };
        let checked = match job.run() {
            Ok(Checked::Head(checked)) => checked,
            Ok(_) => continue,
            // By a key that is bound here no more, or not yet: what stands under it may come with the next head.
            Err(fault) if !fault.is_the_senders() => {
                carried = Some((head.first, head.entries));
                continue;
            }
            Err(fault) => return Err(altered(fault)),
        };
        let admission = register.admit(checked.head, checked.cosignatures, checked.first, &checked.entries);
        let bare = head.entries.is_empty();
        if !admission.changed() && !bare && admission.code() != "register-frozen" {
            return Err(BundleError::NotAdmitted { origin: origin.clone(), code: admission.code() });
        }
    }
    let after = register.size_newest();
    replica.install(register);
    for statement in &packed.statements {
        let StatementMessage::Cosignatures(checkpoint, signed) = statement else { continue };
        let job = Job::Statements { checkpoint: checkpoint.clone(), signed: signed.clone(), keys: keys.clone() };
        match job.run() {
            Ok(Checked::Statements(_, found)) => {
                for timestamp in found.timestamps {
                    replica.offer_timestamp(Arc::new(timestamp), now);
                }
            }
            Err(fault) if fault.is_the_senders() => return Err(altered(fault)),
            // By a key that is bound no more.
            Ok(_) | Err(_) => {}
        }
    }
    if after > before {
        report.moved.push((origin, before, after))
    } else {
        report.level.push(origin)
    }
    Ok(())
}

/// The digests that any entry in a bundle puts, of registers that are bound here or not.
fn digests_named(registers: &[Packed], pasts: &[PastMessage]) -> BTreeSet<Digest> {
    let heads = registers.iter().flat_map(|packed| &packed.heads);
    let entries = heads.map(|head| &head.entries).chain(pasts.iter().map(|past| &past.entries));
    let entries = entries.flatten().filter_map(|entry| Entry::decode(entry.clone()).ok());
    entries.flat_map(|entry| entry.changes().iter().filter_map(|c| c.digest).collect::<Vec<_>>()).collect()
}

/// The old register of a point, unless the bundle has the whole of its main branch anyway.
fn pack_past(replica: &Replica, after: &After) -> Option<PastMessage> {
    let is_packed = |register: &Register| {
        let newest = register.newest_head().map_or(0, |head| head.checkpoint().size);
        after.size <= newest && register.root_at(after.size) == Some(after.root)
    };
    let bound = replica.register(&after.origin).filter(|_| replica.bound().contains_key(&after.origin));
    if bound.is_some_and(|register| is_packed(register)) {
        return None;
    }
    let entries = replica.past(after)?.entries_to(after, 0)?.map(|entry| entry.bytes().clone()).collect();
    Some(PastMessage { after: after.clone(), entries })
}

fn write_bytes(w: &mut Writer, items: &[Bytes]) {
    w.array(items.len());
    for item in items {
        w.bytes(item);
    }
}

fn read_bytes(r: &mut Reader<'_>) -> Result<Vec<Bytes>, BundleError> {
    (0..r.array()?).map(|_| Ok(Bytes::copy_from_slice(r.bytes()?))).collect()
}

/// A list that is only written when something is in it.
fn read_some<T>(
    r: &mut Reader<'_>,
    max: usize,
    read: impl Fn(&[u8]) -> Result<T, BundleError>,
) -> Result<Vec<T>, BundleError> {
    let found = r.array()?;
    if found == 0 || found > max {
        return Err(CborError::Length { expected: max, found }.into());
    }
    (0..found).map(|_| read(r.bytes()?)).collect()
}

fn read_choice(r: &mut Reader<'_>) -> Result<(u64, Vec<Bytes>), BundleError> {
    r.array_len(2)?;
    let (version, sides) = (r.uint()?, read_bytes(r)?);
    if sides.len() > limits::CHARTER_FORKS_MAX {
        return Err(CborError::Length { expected: limits::CHARTER_FORKS_MAX, found: sides.len() }.into());
    }
    Ok((version, sides))
}

fn read_register(r: &mut Reader<'_>) -> Result<Packed, BundleError> {
    r.array_len(3)?;
    let heads = (0..r.array()?)
        .map(|_| Ok(HeadMessage::decode(r.bytes()?, limits::BUNDLE_SIZE_MAX)?))
        .collect::<Result<_, BundleError>>()?;
    let fork = r.bytes()?;
    let fork = if fork.is_empty() { None } else { Some(ForkMessage::decode(fork)?) };
    let statements =
        (0..r.array()?).map(|_| Ok(StatementMessage::decode(r.bytes()?)?)).collect::<Result<_, BundleError>>()?;
    Ok(Packed { heads, fork, statements })
}
