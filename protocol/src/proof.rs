//! Record proofs: a record is, or is not, in a register at a witnessed head, checked with the charter alone
//! (`specs/register.md` §11).
//!
//! ```text
//! charter ─anchor→ register ─trust entry→ register ─…→ register ─state root of its last entry→ record, or none
//! ```
//!
//! The file is a C2SP tlog-proof of the register's last entry under its witnessed head; other people's tools check it as
//! such. Its `extra` line carries, in deterministic CBOR, what makes it a proof of the record:
//!
//! ```text
//! extra = { 0: 1, 1: shown, 2: [* [tlog-proof, shown]] }           2: the trust entries from the anchor down
//! shown = { 0: key, 1: entry, 2: [* sibling], ? 3: [path, digest], ? 4: body }    without a body: absence
//! ```
//!
//! A proof says what stood at its heads, which are as old as their cosignatures. A later withdrawal, and a fork, are not in
//! it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use crate::charter::Charter;
use crate::codec::{CborError, Reader, Writer};
use crate::digest::Digest;
use crate::key::VerifierKey;
use crate::limits;
use crate::log::cosignature::Cosignature;
use crate::log::note::Note;
use crate::log::proof::{Logged, ProofError, TlogProof};
use crate::register::body::{Record, TrustEntry};
use crate::register::entry::{Entry, EntryError};
use crate::register::fact::{Binding, Scope};
use crate::register::record::{KeyFormError, RecordKey};
use crate::register::state::{Register, Stand};
use crate::replica::{Bound, Replica};
use crate::trie;
use crate::trust::{RECOGNIZE, Step};

/// The version of the extra data.
const VERSION: u64 = 1;

/// Why bytes are no record proof, or a record proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordProofError {
    /// Not a tlog-proof, or one that does not hold.
    #[error("the proof of the log entry is refused")]
    Log(#[from] ProofError),
    /// A tlog-proof without our extra data, or with other data.
    #[error("expected a record and its path as extra data")]
    Extra(#[from] CborError),
    /// Extra data where none belongs: on the proof of a trust entry.
    #[error("expected no extra data on the proof of a trust entry")]
    SuperfluousExtra,
    /// Extra data of a later version.
    #[error("upgrade needed: the proof is of version {0}, this program reads version {VERSION}")]
    UpgradeNeeded(u64),
    /// The key of a record is not well formed.
    #[error("a record key is not well formed")]
    Key(#[from] KeyFormError),
    /// More trust entries than a path has.
    #[error("expected at most {max} trust entries, {0} came", max = limits::RECORD_PROOF_EDGES_MAX)]
    Edges(usize),
    /// More hashes than a trie has levels.
    #[error("expected at most {max} hashes beside the record's path, {0} came", max = limits::TRIE_DEPTH_MAX)]
    Siblings(usize),
    /// The charter names no such anchor.
    #[error("the charter names no anchor {0}")]
    NotAnAnchor(String),
    /// An entry does not read.
    #[error("the entry does not read")]
    Entry(#[from] EntryError),
    /// The proof is of another entry than the last one, which alone names the state under the head.
    #[error("expected the last entry under the head, number {last}, came {came}")]
    NotLast {
        /// The number of the last entry.
        last: u64,
        /// The number that came.
        came: u64,
    },
    /// The path does not lead to the record, or to its place.
    #[error("the path does not lead from the state root to {0}")]
    Path(RecordKey),
    /// A trust entry on the way binds nothing here.
    #[error("{key} leads no further: {reason}")]
    Edge {
        /// The trust entry's record.
        key: RecordKey,
        /// Why not.
        reason: EdgeError,
    },
}

impl RecordProofError {
    /// True when a newer program may read what this one cannot.
    pub fn is_upgrade_needed(&self) -> bool {
        matches!(self, Self::UpgradeNeeded(_) | Self::Entry(EntryError::UpgradeNeeded { .. }))
    }
}

/// Why a trust entry leads to no register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EdgeError {
    /// The record is absent, or its body is no trust entry about what its key names.
    #[error("expected a trust entry about what its key names")]
    NotATrustEntry,
    /// It stands in the register of somebody who was not recognised.
    #[error("whose register it stands in was not recognised as an authority")]
    NotAnAuthority,
    /// Its window has not begun or has ended.
    #[error("it is outside its window")]
    OutsideWindow,
    /// The recognitions before it do not cover it.
    #[error("it is out of scope of the recognitions before it")]
    OutOfScope,
    /// The recognitions before it allow no further one.
    #[error("the recognitions before it allow no further one")]
    TooDeep,
    /// It names no register, or one whose keys do not read.
    #[error("it binds no register")]
    Unbound,
}

/// Why there is nothing to prove by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    /// No register of this origin is held, or no current chain of trust entries leads to it.
    #[error("no chain of witnessed trust entries leads from the charter to {0}")]
    NoChain(String),
    /// No witnessed head.
    #[error("no head of {0} is witnessed")]
    NotWitnessed(String),
    /// The body is not held.
    #[error("the content of {0} is not held")]
    BodyMissing(RecordKey),
    /// The proof would be larger than one may be.
    #[error("expected a proof of at most {max} bytes, it would have {0}", max = limits::TLOG_PROOF_SIZE_MAX)]
    Size(usize),
}

/// One record with its path to the head of its register.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    /// The last entry under its head; without extra data.
    log: TlogProof,
    entry: Bytes,
    key: RecordKey,
    path: trie::Proof,
    /// `None`: the record is absent.
    body: Option<Bytes>,
}

/// A proof that reads; nothing is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordProof {
    /// Trust entries from the anchor's register down.
    edges: Vec<Shown>,
    record: Shown,
}

/// A record, or its absence, that a proof has shown. One constructor: [`RecordProof::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenRecord {
    steps: Vec<ProvenStep>,
    key: RecordKey,
    body: Option<Bytes>,
    valid_from: u64,
    valid_until: u64,
    reach: Reach,
}

/// One register on the way, from the anchor's to the one of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenStep {
    /// The authority or issuer that the register is bound to.
    pub entity: String,
    /// The register, as it is bound here.
    pub binding: Binding,
    /// The head that was shown.
    pub size: u64,
    /// Its root.
    pub root: Digest,
    /// The admitting witnesses whose cosignatures came with it.
    pub witnesses: BTreeSet<String>,
    /// When a quorum of them stood there; `None` under `quorum none`, and where too few name a time that can be.
    pub witnessed_at: Option<u64>,
}

impl ProvenRecord {
    /// Returns the registers from the anchor's to the one of the record, at least one.
    pub fn steps(&self) -> &[ProvenStep] {
        &self.steps
    }

    /// Returns the register of the record.
    pub fn register(&self) -> &ProvenStep {
        self.steps.last().expect("a path begins at an anchor")
    }

    /// Returns the record's key.
    pub fn key(&self) -> &RecordKey {
        &self.key
    }

    /// Returns the record's body; `None` when it is absent.
    pub fn body(&self) -> Option<&Bytes> {
        self.body.as_ref()
    }

    /// Returns the time at which all of this stood: the earliest of the heads' times; `None` when one is unknown.
    pub fn witnessed_at(&self) -> Option<u64> {
        self.steps.iter().map(|step| step.witnessed_at).min().flatten()
    }

    /// True when whose register it is was recognised as an authority for this action on this resource.
    pub fn permits(&self, action: &str, resource: &str) -> bool {
        self.reach.is_authority && self.reach.covers(action, resource)
    }

    /// Returns how many recognitions may follow below whose register it is, and the scopes on the way there.
    pub(crate) fn reach(&self) -> (u64, &[Scope]) {
        (self.reach.depth, &self.reach.scopes)
    }

    /// Returns the register that the record, as a trust entry, binds at the time `now`: as one more step of the way would,
    /// so that nobody binds anything who is no authority for it (`specs/register.md` §11).
    pub fn binds(&self, now: u64) -> Result<Bound, EdgeError> {
        let body = self.body.clone().ok_or(EdgeError::NotATrustEntry)?;
        let Reach { entity, binding, keys, .. } = self.reach.follow(&self.key, &Record::new(body), now)?;
        Ok(Bound { binding, keys, entity })
    }

    /// Returns the window in which all trust entries on the way hold: from, until.
    pub fn window(&self) -> (u64, u64) {
        (self.valid_from, self.valid_until)
    }
}

impl RecordProof {
    /// Proves a record, or its absence, in a register held, at its witnessed head.
    pub fn of(replica: &Replica, origin: &str, key: &RecordKey, now: u64) -> Result<Self, ProveError> {
        let (chain, keys) = Chains::search(replica, origin, now).to(origin)?;
        let register = replica.register(origin).ok_or_else(|| ProveError::NoChain(origin.to_owned()))?;
        let proof = Self { edges: chain, record: Shown::of(replica, register, &keys, key, now)? };
        match proof.to_text().len() {
            size if size > limits::TLOG_PROOF_SIZE_MAX => Err(ProveError::Size(size)),
            _ => Ok(proof),
        }
    }

    /// Proves a record, or its absence, in the register to which a trust path leads at the time `at`.
    pub fn on_path(
        replica: &Replica,
        path: &[Step],
        key: &RecordKey,
        scope: Option<(&str, &str)>,
        at: u64,
        now: u64,
    ) -> Result<Self, ProveError> {
        let no_chain = || ProveError::NoChain(path.last().map_or_else(String::new, |s| s.register.origin.clone()));
        let (anchor, further) = path.split_first().ok_or_else(no_chain)?;
        let mut reach = Reach::of_anchor(&anchor.authority, &anchor.register).ok_or_else(no_chain)?;
        let mut edges = Vec::with_capacity(further.len());
        for step in further {
            let register = replica.register(&reach.binding.origin).ok_or_else(no_chain)?;
            let leads = |key: &RecordKey| {
                let digest = register.state_witnessed().get(key.as_str().as_bytes())?;
                let next = reach.follow(key, replica.bodies().get(&digest)?, at).ok()?;
                let here = next.is_authority && next.entity == step.authority && next.binding == step.register;
                let covers = scope.is_none_or(|(action, resource)| next.covers(action, resource));
                (here && covers).then(|| (key.clone(), next))
            };
            // Only recognitions lead to an authority, and there are few of them beside the permissions.
            let (key, next) = register.recognitions().into_iter().find_map(leads).ok_or_else(no_chain)?;
            edges.push(Shown::of(replica, register, &reach.keys, &key, now)?);
            reach = next;
        }
        let register = replica.register(&reach.binding.origin).ok_or_else(no_chain)?;
        let proof = Self { edges, record: Shown::of(replica, register, &reach.keys, key, now)? };
        match proof.to_text().len() {
            size if size > limits::TLOG_PROOF_SIZE_MAX => Err(ProveError::Size(size)),
            _ => Ok(proof),
        }
    }

    /// Proves the trust entry that binds a register held; `None` when an anchor of the charter does.
    pub fn of_binding(replica: &Replica, origin: &str, now: u64) -> Result<Option<Self>, ProveError> {
        let (mut chain, _) = Chains::search(replica, origin, now).to(origin)?;
        Ok(chain.pop().map(|record| Self { edges: chain, record }))
    }

    /// Writes the file: a C2SP tlog-proof.
    pub fn to_text(&self) -> String {
        let mut w = Writer::new();
        w.map(3).uint(0).uint(VERSION).uint(1);
        self.record.write(&mut w);
        w.uint(2).array(self.edges.len());
        for edge in &self.edges {
            w.array(2).bytes(edge.log.to_string().as_bytes());
            edge.write(&mut w);
        }
        TlogProof { extra: Some(w.into_bytes()), ..self.record.log.clone() }.to_string()
    }

    /// Reads a file, whole or not at all.
    pub fn parse(data: &[u8]) -> Result<Self, RecordProofError> {
        let mut log = TlogProof::parse(data)?;
        let extra = Bytes::from(log.extra.take().unwrap_or_default());
        let mut r = Reader::new(&extra);
        if r.map()? != 3 {
            return Err(CborError::Length { expected: 3, found: 0 }.into());
        }
        r.key(0)?;
        match r.uint()? {
            VERSION => (),
            version => return Err(RecordProofError::UpgradeNeeded(version)),
        }
        r.key(1)?;
        let record = Shown::read(&mut r, log)?;
        r.key(2)?;
        let count = r.array()?;
        if count > limits::RECORD_PROOF_EDGES_MAX {
            return Err(RecordProofError::Edges(count));
        }
        let mut edges = Vec::with_capacity(count);
        for _ in 0..count {
            r.array_len(2)?;
            let log = TlogProof::parse(r.bytes()?)?;
            if log.extra.is_some() {
                return Err(RecordProofError::SuperfluousExtra);
            }
            edges.push(Shown::read(&mut r, log)?);
        }
        r.finish()?;
        Ok(Self { edges, record })
    }

    /// Returns the last entry of the record's register: the leaf that the tlog-proof is about.
    pub fn entry(&self) -> &Bytes {
        &self.record.entry
    }

    /// Verifies the proof at the time `now`, with nothing but the charter. That the charter is the right one, and has not
    /// expired, is for the caller.
    pub fn verify(&self, charter: &Charter, now: u64) -> Result<ProvenRecord, RecordProofError> {
        self.verify_for(charter, now, now)
    }

    /// Verifies the proof at the time `now`, and that its trust entries hold at the time `at`.
    pub fn verify_for(&self, charter: &Charter, at: u64, now: u64) -> Result<ProvenRecord, RecordProofError> {
        let first = self.edges.first().unwrap_or(&self.record);
        let origin = first.log.checkpoint.text().split('\n').next().unwrap_or_default();
        let anchor = charter.anchors().iter().find(|anchor| anchor.register.origin == origin);
        let reach = anchor.and_then(|a| Reach::of_anchor(&a.authority, &a.register));
        let mut reach = reach.ok_or_else(|| RecordProofError::NotAnAnchor(origin.to_owned()))?;
        let mut steps = Vec::with_capacity(self.edges.len() + 1);
        for edge in &self.edges {
            steps.push(edge.verify(charter, &reach, now)?);
            let next = edge.body.as_ref().ok_or(EdgeError::NotATrustEntry);
            let next = next.and_then(|body| reach.follow(&edge.key, &Record::new(body.clone()), at));
            reach = next.map_err(|reason| RecordProofError::Edge { key: edge.key.clone(), reason })?;
        }
        steps.push(self.record.verify(charter, &reach, now)?);
        let (valid_from, valid_until) = (reach.valid_from, reach.valid_until);
        Ok(ProvenRecord {
            steps,
            key: self.record.key.clone(),
            body: self.record.body.clone(),
            valid_from,
            valid_until,
            reach,
        })
    }
}

/// A log proof, and whose cosignatures of it count.
struct Counted {
    logged: Logged,
    /// The newest time of each witness that counts.
    times: BTreeMap<String, u64>,
    /// The quorum time.
    witnessed_at: Option<u64>,
}

impl Shown {
    /// A record of a register, at W, under a head by one of `keys`.
    fn of(
        replica: &Replica,
        register: &Register,
        keys: &[VerifierKey],
        key: &RecordKey,
        now: u64,
    ) -> Result<Self, ProveError> {
        let not_witnessed = || ProveError::NotWitnessed(register.origin().to_owned());
        let stand = register.witnessed_stand().ok_or_else(not_witnessed)?;
        let size = stand.head().checkpoint().size;
        let (entry, hashes) = register.proof_of_last(size).ok_or_else(not_witnessed)?;
        let (digest, path) = register.state_witnessed().prove(key.as_str().as_bytes());
        let body = match digest.map(|digest| replica.bodies().get(&digest)) {
            None => None,
            Some(Some(record)) => Some(record.body().clone()),
            Some(None) => return Err(ProveError::BodyMissing(key.clone())),
        };
        let checkpoint = signed(replica, stand, keys, now).ok_or_else(not_witnessed)?;
        let log = TlogProof { extra: None, index: size.saturating_sub(1), hashes, checkpoint };
        Ok(Self { log, entry: entry.bytes().clone(), key: key.clone(), path, body })
    }

    fn verify(&self, charter: &Charter, reach: &Reach, now: u64) -> Result<ProvenStep, RecordProofError> {
        let Counted { logged, times, witnessed_at } = self.logged(charter, reach, now)?;
        let checkpoint = logged.head().checkpoint();
        let last = checkpoint.size.saturating_sub(1);
        if logged.index() != last {
            return Err(RecordProofError::NotLast { last, came: logged.index() });
        }
        let root = Entry::decode(self.entry.clone())?.state_root();
        let key = self.key.as_str().as_bytes();
        let leads = match &self.body {
            Some(body) => self.path.verify_presence(root, key, Digest::of(body)),
            None => self.path.verify_absence(root, key),
        };
        if !leads {
            return Err(RecordProofError::Path(self.key.clone()));
        }
        Ok(ProvenStep {
            entity: reach.entity.clone(),
            binding: reach.binding.clone(),
            size: checkpoint.size,
            root: checkpoint.root,
            witnesses: times.into_keys().collect(),
            witnessed_at,
        })
    }

    /// The set of witnesses in force makes a head a witnessed one, and the one before it did in its time
    /// (`specs/charter.md` §7). A proof brings no other statements: that those that come are in force, their own times
    /// say, or the reader's clock. What the set before says later counts for nothing, not for the quorum time either.
    fn logged(&self, charter: &Charter, reach: &Reach, now: u64) -> Result<Counted, RecordProofError> {
        let mut refused = ProofError::Quorum;
        let mut best: Option<Counted> = None;
        let horizon = now.saturating_add(limits::STATEMENT_AHEAD_MAX_S);
        let from = charter.before().map(|(_, from)| from);
        let before = charter.before().map(|(set, _)| (set, true));
        for (set, is_before) in before.into_iter().chain([(charter.witnesses(), false)]) {
            let origin = &reach.binding.origin;
            let counts = |name: &str| set.is_admitting(name);
            match self.log.verify(&self.entry, origin, &reach.keys, set.quorum(), counts) {
                Ok(logged) => {
                    let in_time = |time: u64| match from {
                        Some(from) if is_before => time < from,
                        Some(from) => now >= from || time >= from,
                        None => true,
                    };
                    let mut times: BTreeMap<String, u64> = BTreeMap::new();
                    let mut kept: BTreeMap<String, u64> = BTreeMap::new();
                    for cosignature in logged.cosignatures().iter().filter(|c| in_time(c.time())) {
                        let newest = |times: &mut BTreeMap<String, u64>| {
                            let time = times.entry(cosignature.witness().to_owned()).or_default();
                            *time = cosignature.time().max(*time);
                        };
                        newest(&mut times);
                        if cosignature.time() <= horizon {
                            newest(&mut kept);
                        }
                    }
                    if !set.quorum().met_by(|name| times.contains_key(name)) {
                        continue;
                    }
                    let witnessed_at = set.quorum().time(|name| kept.get(name).copied());
                    let is_newer = best.as_ref().is_none_or(|best| witnessed_at > best.witnessed_at);
                    if is_newer {
                        best = Some(Counted { logged, times, witnessed_at });
                    }
                }
                Err(error) => refused = error,
            }
        }
        best.ok_or_else(|| refused.into())
    }

    fn write(&self, w: &mut Writer) {
        let Self { entry, key, path, body, .. } = self;
        w.map(3 + usize::from(path.other.is_some()) + usize::from(body.is_some()));
        w.uint(0).text(key.as_str()).uint(1).bytes(entry).uint(2).array(path.siblings.len());
        path.siblings.iter().for_each(|sibling| {
            w.bytes(sibling.as_bytes());
        });
        if let Some((other, digest)) = &path.other {
            w.uint(3).array(2).bytes(other.as_bytes()).bytes(digest.as_bytes());
        }
        if let Some(body) = body {
            w.uint(4).bytes(body);
        }
    }

    fn read(r: &mut Reader<'_>, log: TlogProof) -> Result<Self, RecordProofError> {
        let pairs = r.map()?;
        r.key(0)?;
        let key = RecordKey::parse(r.text()?)?;
        r.key(1)?;
        let entry = Bytes::copy_from_slice(r.bytes()?);
        r.key(2)?;
        let count = r.array()?;
        if count > limits::TRIE_DEPTH_MAX {
            return Err(RecordProofError::Siblings(count));
        }
        let siblings = (0..count).map(|_| Ok(Digest(*r.array_of()?))).collect::<Result<_, CborError>>()?;
        let (mut other, mut body) = (None, None);
        for at in 3..pairs {
            match r.uint()? {
                3 if at == 3 => {
                    r.array_len(2)?;
                    other = Some((Digest(*r.array_of()?), Digest(*r.array_of()?)));
                }
                // A record that is there has no other one in its place.
                4 if at + 1 == pairs && other.is_none() => body = Some(Bytes::copy_from_slice(r.bytes()?)),
                found => return Err(CborError::Key { expected: at as u64, found }.into()),
            }
        }
        if pairs < 3 {
            return Err(CborError::Length { expected: 3, found: pairs }.into());
        }
        Ok(Self { log, entry, key, path: trie::Proof { siblings, other }, body })
    }
}

/// A checkpoint with one signature of its register's and the fewest and newest cosignatures that make the quorum: so no
/// byte of a proof can change and the proof still hold.
fn signed(replica: &Replica, stand: &Stand, keys: &[VerifierKey], now: u64) -> Option<Note> {
    let head = stand.head();
    let signer = head.signers().iter().find(|signer| keys.contains(signer))?;
    let line = head.note().signatures().iter().find(|line| line.is_by(signer))?;
    let horizon = now.saturating_add(limits::STATEMENT_AHEAD_MAX_S);
    let witnessing = replica.witnessing();
    let mut cosignatures: Vec<&Cosignature> = stand.cosignatures().filter(|c| witnessing.counts(c.witness())).collect();
    // Those that go first come first: from the future, then the oldest.
    cosignatures.sort_by_key(|c| (c.time() <= horizon, c.time()));
    let mut kept: BTreeSet<&str> = cosignatures.iter().map(|c| c.witness()).collect();
    for cosignature in &cosignatures {
        kept.remove(cosignature.witness());
        if !witnessing.is_met_by(|name| kept.contains(name)) {
            kept.insert(cosignature.witness());
        }
    }
    let lines = stand.cosignatures().filter(|c| kept.contains(c.witness())).map(|c| c.line());
    Some(Note::new(head.note().text().to_owned(), [line].into_iter().chain(lines).cloned().collect()))
}

/// How far the trust entries up to here reach.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reach {
    entity: String,
    binding: Binding,
    keys: Vec<VerifierKey>,
    /// True for an anchor and whom it recognised: trust entries in its register count.
    is_authority: bool,
    depth: u64,
    scopes: Vec<Scope>,
    valid_from: u64,
    valid_until: u64,
}

impl Reach {
    fn of_anchor(authority: &str, binding: &Binding) -> Option<Self> {
        Some(Self {
            entity: authority.to_owned(),
            keys: Bound::read(authority, binding)?.keys,
            binding: binding.clone(),
            is_authority: true,
            depth: limits::TRUST_DEPTH_MAX,
            scopes: Vec::new(),
            valid_from: 0,
            valid_until: u64::MAX,
        })
    }

    /// True when every recognition on the way covers this action on this resource.
    fn covers(&self, action: &str, resource: &str) -> bool {
        self.scopes.iter().all(|scope| scope.permits(action, resource))
    }

    /// Goes over a trust entry to the register that it binds (`specs/trust.md` §3).
    fn follow(&self, key: &RecordKey, record: &Record, now: u64) -> Result<Self, EdgeError> {
        let entry = record.trust_entry().map_err(|_| EdgeError::NotATrustEntry)?;
        let TrustEntry { entity, action, resource, terms } = entry;
        if RecordKey::trust(entity, action, resource).as_ref() != Ok(key) {
            return Err(EdgeError::NotATrustEntry);
        }
        if !self.is_authority {
            return Err(EdgeError::NotAnAuthority);
        }
        if now < terms.valid_from || now >= terms.valid_until {
            return Err(EdgeError::OutsideWindow);
        }
        let recognizes = action == RECOGNIZE;
        if !recognizes && !self.covers(action, resource) {
            return Err(EdgeError::OutOfScope);
        }
        if recognizes && self.depth == 0 {
            return Err(EdgeError::TooDeep);
        }
        let binding = terms.register.as_ref().ok_or(EdgeError::Unbound)?;
        let bound = Bound::read(entity, binding).ok_or(EdgeError::Unbound)?;
        Ok(Self {
            entity: entity.clone(),
            binding: binding.clone(),
            keys: bound.keys,
            is_authority: recognizes,
            depth: self.depth.saturating_sub(1).min(terms.depth.unwrap_or(0)),
            scopes: self.scopes.iter().cloned().chain(terms.scope.clone()).collect(),
            valid_from: self.valid_from.max(terms.valid_from),
            valid_until: self.valid_until.min(terms.valid_until),
        })
    }
}

/// The registers that current, witnessed trust entries lead to, each with the shortest way there.
struct Chains<'a> {
    replica: &'a Replica,
    now: u64,
    /// By origin.
    found: BTreeMap<String, Found>,
}

struct Found {
    reach: Reach,
    /// The register and the trust entry that lead here; `None` at an anchor.
    by: Option<(String, RecordKey)>,
}

impl<'a> Chains<'a> {
    /// Searches until `wanted` is found. Whoever asks over HTTP may ask often: what leads elsewhere is not looked at.
    fn search(replica: &'a Replica, wanted: &str, now: u64) -> Self {
        let mut found: BTreeMap<String, Found> = BTreeMap::new();
        let anchors = replica.charter().anchors().iter().filter(|_| replica.register(wanted).is_some());
        let mut queue: VecDeque<Found> = anchors
            .filter_map(|anchor| Reach::of_anchor(&anchor.authority, &anchor.register))
            .map(|reach| Found { reach, by: None })
            .collect();
        while let Some(next) = queue.pop_front() {
            let origin = next.reach.binding.origin.clone();
            let Some(register) = replica.register(&origin) else { continue };
            // Under the keys of this way, or not at all.
            let signers = register.witnessed_head().map(|head| head.signers()).unwrap_or_default();
            if found.contains_key(&origin) || !signers.iter().any(|signer| next.reach.keys.contains(signer)) {
                continue;
            }
            if origin == wanted {
                found.insert(origin, next);
                break;
            }
            if next.reach.is_authority {
                for key in register.keys_witnessed("trust/") {
                    let digest = register.state_witnessed().get(key.as_str().as_bytes());
                    let Some(record) = digest.and_then(|digest| replica.bodies().get(&digest)) else { continue };
                    let binds = |entry: &TrustEntry| entry.terms.register.as_ref().is_some_and(|r| r.origin == wanted);
                    if !record.trust_entry().is_ok_and(|entry| entry.action == RECOGNIZE || binds(entry)) {
                        continue;
                    }
                    if let Ok(reach) = next.reach.follow(&key, record, now) {
                        queue.push_back(Found { reach, by: Some((origin.clone(), key)) });
                    }
                }
            }
            found.insert(origin, next);
        }
        Self { replica, now, found }
    }

    /// The trust entries from the anchor down to a register, and the keys that they bind to it.
    fn to(&self, origin: &str) -> Result<(Vec<Shown>, Vec<VerifierKey>), ProveError> {
        let no_chain = || match self.replica.register(origin) {
            Some(register) if register.witnessed_head().is_none() => ProveError::NotWitnessed(origin.to_owned()),
            _ => ProveError::NoChain(origin.to_owned()),
        };
        let end = self.found.get(origin).ok_or_else(no_chain)?;
        let (mut at, mut chain) = (end, VecDeque::new());
        while let Some((above, key)) = &at.by {
            at = self.found.get(above).ok_or_else(no_chain)?;
            let register = self.replica.register(above).ok_or_else(no_chain)?;
            chain.push_front(Shown::of(self.replica, register, &at.reach.keys, key, self.now)?);
        }
        Ok((chain.into(), end.reach.keys.clone()))
    }
}

#[cfg(test)]
pub(crate) mod tests;
