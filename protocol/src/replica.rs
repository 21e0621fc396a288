//! Everything that one node holds of its network: charter, registers, bodies and statements.
//!
//! The same type stands behind a running node, an opened bundle and a test. It is cheap to clone, so what a verifier
//! sees ([`crate::snapshot::Snapshot`]) is a clone that nobody changes any more.

mod evidence;
mod past;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::charter::{Chain, Charter, CharterError, CharterStep, SignedCharter, WitnessSet};
use crate::digest::Digest;
use crate::key::VerifierKey;
use crate::limits;
use crate::log::policy::Quorum;
use crate::log::witness_proof::{Shown, WitnessProof, WitnessProofError};
use crate::register::body::Bodies;
use crate::register::fact::{After, Binding};
use crate::register::fork::report::ForkReport;
use crate::register::state::{Register, Witnessing};
use crate::sync::check::{HeldView, Keys, Timestamp};
use crate::sync::frontier::FrontierTrie;
use crate::sync::message::{FrontierLeaf, Prefix};
use crate::trust::bound_keys;

/// A register that the charter or a trust edge names, with the keys that may sign it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The binding as it is written.
    pub binding: Binding,
    /// Its keys, read.
    pub keys: Vec<VerifierKey>,
    /// The authority or issuer whose register it is.
    pub entity: String,
}

impl Bound {
    /// Reads a binding; `None` when [`bound_keys`] refuses it.
    pub fn read(entity: &str, binding: &Binding) -> Option<Self> {
        let keys = bound_keys(binding).ok()?;
        Some(Self { binding: binding.clone(), keys, entity: entity.to_owned() })
    }
}

/// The newest statement of one kind, and the newest that is too far ahead of the clock: it counts for the clock bound
/// alone, and replaces nothing (`specs/register.md` §7).
#[derive(Debug, Clone)]
pub struct Slots<T> {
    /// The newest that counts.
    pub kept: Option<T>,
    /// The newest from the future.
    pub ahead: Option<T>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { kept: None, ahead: None }
    }
}

impl<T> Slots<T> {
    /// Takes a statement if it is newer than the one in its slot.
    fn offer(&mut self, statement: T, horizon: u64, time: impl Fn(&T) -> u64) -> bool {
        let slot = if time(&statement) > horizon { &mut self.ahead } else { &mut self.kept };
        if slot.as_ref().is_some_and(|held| time(held) >= time(&statement)) {
            return false;
        }
        *slot = Some(statement);
        true
    }

    /// Returns both.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.kept.iter().chain(&self.ahead)
    }
}

/// What the charter and trust edges name.
#[derive(Default)]
struct Search {
    /// Origins, anchors first.
    order: Vec<String>,
    /// By which keys each is replicated.
    bound: BTreeMap<String, Bound>,
    /// Where old registers end: of every binding, also of one that another path has before it.
    afters: BTreeSet<After>,
}

/// What one node holds.
#[derive(Debug, Clone)]
pub struct Replica {
    chain: Chain,
    witnessing: Arc<Witnessing>,
    bound: Arc<BTreeMap<String, Bound>>,
    registers: BTreeMap<String, Arc<Register>>,
    afters: BTreeSet<After>,
    pasts: BTreeMap<After, Arc<Register>>,
    /// Fork proofs that bundles told of, of registers that nothing bound.
    told: BTreeMap<String, Arc<ForkReport>>,
    bodies: Bodies,
    views: BTreeMap<String, Slots<Arc<HeldView>>>,
    timestamps: BTreeMap<String, Slots<Arc<Timestamp>>>,
    witness_proofs: BTreeMap<WitnessKey, Arc<WitnessProof>>,
}

/// A witness by the name that a charter gives it, and the id of its cosignature key: with another key it is another one.
pub type WitnessKey = (String, [u8; 4]);

impl Replica {
    /// Begins with a charter and nothing else.
    pub fn new(charter: Arc<SignedCharter>) -> Self {
        let mut replica = Self {
            witnessing: Arc::new(Witnessing::of(charter.charter(), &|_| None)),
            chain: Chain::new(charter),
            bound: Arc::default(),
            registers: BTreeMap::new(),
            afters: BTreeSet::new(),
            pasts: BTreeMap::new(),
            told: BTreeMap::new(),
            bodies: Bodies::default(),
            views: BTreeMap::new(),
            timestamps: BTreeMap::new(),
            witness_proofs: BTreeMap::new(),
        };
        replica.rebind();
        replica
    }

    /// Returns all charters held: the chain, the forks in it, and what the operator chose.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Returns the charters that follow each other, oldest first; also those that a fork holds back.
    pub fn charters(&self) -> &[Arc<SignedCharter>] {
        self.chain.held()
    }

    /// Returns the charter in force.
    pub fn charter(&self) -> &Charter {
        self.chain.in_force().charter()
    }

    /// Judges a charter by those that are held.
    pub fn judge_charter(&self, note: &[u8]) -> Result<CharterStep, CharterError> {
        self.chain.judge(note)
    }

    /// Takes a charter that was judged. False when it changed nothing.
    pub fn take_charter(&mut self, step: CharterStep) -> bool {
        self.change_chain(|chain| chain.take(step))
    }

    /// Judges a charter, and takes it. False when it changed nothing.
    pub fn offer_charter(&mut self, note: &[u8]) -> Result<bool, CharterError> {
        self.judge_charter(note).map(|step| self.take_charter(step))
    }

    /// Takes what the operator chose. False when it changed nothing.
    pub fn choose_charter(&mut self, chosen: Arc<SignedCharter>) -> bool {
        self.change_chain(|chain| chain.choose(chosen))
    }

    /// Honours the choice that a bundle was packed under.
    pub(crate) fn settle_charters(&mut self, version: u64) {
        self.change_chain(|chain| {
            chain.settle(version);
            true
        });
    }

    /// Changes the chain, and judges every register by the witnesses and anchors that are in force then.
    fn change_chain(&mut self, change: impl FnOnce(&mut Chain) -> bool) -> bool {
        let before = self.chain.in_force().clone();
        if !change(&mut self.chain) {
            return false;
        }
        let after = self.chain.in_force().clone();
        if before.charter() != after.charter() {
            // Where a charter gives way, what its witnesses made gives way too: else the order of arrival would count.
            let is_later = after.charter().version() > before.charter().version();
            let follows = is_later && self.chain.at(before.charter().version()) == Some(&before);
            self.witnessing = Arc::new(self.witnessing_now());
            for register in self.registers.values_mut() {
                let register = Arc::make_mut(register);
                match follows {
                    true => register.set_witnessing(self.witnessing.clone()),
                    false => register.judge_anew(self.witnessing.clone()),
                }
            }
            self.rebind();
        }
        true
    }

    /// Sees whether those that come with a change of witnesses are in force by now: a quorum of them says so.
    pub fn observe_change(&mut self) -> bool {
        if !self.witnessing.is_changing() {
            return false;
        }
        let now = self.witnessing_now();
        if now.is_changing() {
            return false;
        }
        self.witnessing = Arc::new(now);
        for register in self.registers.values_mut() {
            Arc::make_mut(register).set_witnessing(self.witnessing.clone());
        }
        self.rebind();
        true
    }

    fn witnessing_now(&self) -> Witnessing {
        let newest = self.newest_statements();
        Witnessing::of(self.charter(), &|name| newest.get(name).copied())
    }

    /// Returns whose cosignatures count for W and the ages.
    pub fn witnessing(&self) -> &Arc<Witnessing> {
        &self.witnessing
    }

    /// Returns the witnesses in force.
    pub fn witnesses(&self) -> &WitnessSet {
        match self.charter().before() {
            Some((before, _)) if self.witnessing.is_changing() => before,
            _ => self.charter().witnesses(),
        }
    }

    /// True for a witness that the charter names, before a change or after it.
    pub fn names_witness(&self, name: &str) -> bool {
        let charter = self.charter();
        let before = charter.before().map(|(before, _)| before);
        before.into_iter().chain([charter.witnesses()]).any(|set| set.kinds().contains_key(name))
    }

    /// Visits the sets of witnesses that sign: that in force, and before it is the one that comes.
    pub fn signing_witnesses(&self) -> impl Iterator<Item = &WitnessSet> {
        let before = self.charter().before().map(|(before, _)| before);
        before.filter(|_| self.witnessing.is_changing()).into_iter().chain([self.charter().witnesses()])
    }

    /// Returns the quorum policy in force.
    pub fn quorum(&self) -> &Quorum {
        &self.witnessing.quorum
    }

    /// Returns the names of the witnesses that replay entries before they cosign.
    pub fn admitting(&self) -> &BTreeSet<String> {
        &self.witnessing.admitting
    }

    /// Returns the registers that the charter or a trust edge names.
    pub fn bound(&self) -> &BTreeMap<String, Bound> {
        &self.bound
    }

    /// Returns the registers held, by origin.
    pub fn registers(&self) -> &BTreeMap<String, Arc<Register>> {
        &self.registers
    }

    /// Returns one register.
    pub fn register(&self, origin: &str) -> Option<&Arc<Register>> {
        self.registers.get(origin)
    }

    /// Returns a register to offer a head to: the one held, or an empty one if it is bound.
    pub fn candidate(&self, origin: &str) -> Option<Register> {
        let bound = self.bound.get(origin)?;
        let empty = || Register::new(origin, &bound.keys, self.witnessing.clone());
        Some(self.registers.get(origin).map_or_else(empty, |register| Register::clone(register)))
    }

    /// Returns a register to offer a head to as [`Replica::candidate`] does, under these keys, whether it is bound or not.
    pub(crate) fn candidate_under(&self, origin: &str, keys: &[VerifierKey]) -> Register {
        let Some(held) = self.registers.get(origin) else {
            return Register::new(origin, keys, self.witnessing.clone());
        };
        let mut register = Register::clone(held);
        register.bind(keys);
        register
    }

    /// Puts a register in place of the one held. True when a register came to be bound or unbound by it.
    ///
    /// It may have been made before a charter or a binding changed: it is judged by the witnesses and keys of now.
    pub fn install(&mut self, mut register: Register) -> bool {
        if !Arc::ptr_eq(register.witnessing(), &self.witnessing) {
            register.set_witnessing(self.witnessing.clone());
        }
        if let Some(bound) = self.bound.get(register.origin())
            && register.keys() != bound.keys
        {
            register.bind(&bound.keys);
        }
        let reach = |r: &Register| (r.size_witnessed(), r.size_newest(), r.root_at(r.size_newest()));
        let same = self.registers.get(register.origin()).is_some_and(|held| reach(held) == reach(&register));
        self.registers.insert(register.origin().to_owned(), Arc::new(register));
        // Edges are those at W and after it: where neither moved, there are no others.
        let rebound = !same && self.rebind();
        self.observe_change();
        rebound
    }

    /// Returns the bodies held.
    pub fn bodies(&self) -> &Bodies {
        &self.bodies
    }

    /// Returns the bodies held, to add to.
    pub fn bodies_mut(&mut self) -> &mut Bodies {
        &mut self.bodies
    }

    /// Returns views by witness.
    pub fn views(&self) -> &BTreeMap<String, Slots<Arc<HeldView>>> {
        &self.views
    }

    /// Returns publishers' timestamps by origin.
    pub fn timestamps(&self) -> &BTreeMap<String, Slots<Arc<Timestamp>>> {
        &self.timestamps
    }

    /// Returns the proofs that a witness contradicted itself, one for each key that a charter gave a witness.
    pub fn witness_proofs(&self) -> &BTreeMap<WitnessKey, Arc<WitnessProof>> {
        &self.witness_proofs
    }

    /// Returns the proof held of a witness under a key that the charter in force gives it.
    pub fn proof_of_witness(&self, witness: &str) -> Option<&Arc<WitnessProof>> {
        let mut keys = self.signing_witnesses().filter_map(|set| set.quorum().witnesses().get(witness));
        keys.find_map(|key| self.witness_proofs.get(&(witness.to_owned(), key.id())))
    }

    /// Checks a witness proof by the keys that any charter held gives its witness, those of now first.
    pub fn check_witness_proof(&self, proof: &WitnessProof) -> Result<Shown, WitnessProofError> {
        let charters = self.charters().iter().rev().map(|signed| signed.charter());
        proof.check(self.charter().network_id(), charters.flat_map(|charter| charter.signing_witnesses(0)))
    }

    /// Stores a witness proof that holds, for ever; false when one of the same key is held, or too many are.
    pub fn add_witness_proof(&mut self, proof: Arc<WitnessProof>) -> Result<bool, WitnessProofError> {
        let key = (proof.witness().to_owned(), self.check_witness_proof(&proof)?.key.id());
        if self.witness_proofs.contains_key(&key) || self.witness_proofs.len() >= limits::WITNESS_PROOFS_MAX {
            return Ok(false);
        }
        self.witness_proofs.insert(key, proof);
        Ok(true)
    }

    /// Takes a view if it is newer than the one held of that witness.
    pub fn offer_view(&mut self, view: Arc<HeldView>, now: u64) -> bool {
        let horizon = self.horizon(now);
        let newer = self.views.entry(view.view().witness.clone()).or_default().offer(view, horizon, |v| v.view().time);
        if newer {
            self.observe_change();
        }
        newer
    }

    /// Takes a publisher's timestamp if it is newer than the one held and its head lies on our chain.
    pub fn offer_timestamp(&mut self, timestamp: Arc<Timestamp>, now: u64) -> bool {
        let checkpoint = timestamp.checkpoint();
        let on_chain = self
            .registers
            .get(&checkpoint.origin)
            .is_some_and(|register| register.root_at(checkpoint.size) == Some(checkpoint.root));
        let held = self.timestamps.get(&checkpoint.origin);
        let known = held.is_some_and(|slots| slots.iter().any(|held| **held == *timestamp));
        if !on_chain || known {
            return false; // before the clock bound, which looks at every cosignature held
        }
        let horizon = self.horizon(now);
        let origin = checkpoint.origin.clone();
        self.timestamps.entry(origin).or_default().offer(timestamp, horizon, |t| t.time())
    }

    /// Returns the latest time that a statement may name and still count: five minutes after the later of the clock
    /// and its bound.
    pub fn horizon(&self, now: u64) -> u64 {
        now.max(self.clock_bound().unwrap_or(0)).saturating_add(limits::STATEMENT_AHEAD_MAX_S)
    }

    /// Returns the clock bound: the quorum time over the newest statement of each admitting witness, also of those from
    /// the future.
    pub fn clock_bound(&self) -> Option<u64> {
        let newest = self.newest_statements();
        self.witnessing.time(&|name| newest.get(name).copied())
    }

    /// The time of each witness's newest statement on anything, from the future too.
    fn newest_statements(&self) -> BTreeMap<&str, u64> {
        let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
        let views =
            self.views.iter().flat_map(|(witness, slots)| slots.iter().map(move |v| (witness.as_str(), v.view().time)));
        let stands = self.registers.values().flat_map(|r| r.stands_from(0).chain(r.stands_other()));
        let cosignatures = stands.flat_map(|stand| stand.cosignatures()).map(|c| (c.witness(), c.time()));
        for (witness, time) in views.chain(cosignatures) {
            let held = newest.entry(witness).or_insert(time);
            *held = time.max(*held);
        }
        newest
    }

    /// Returns the keys to check a message about this register by; `None` when it is not bound.
    pub fn keys_for(&self, origin: &str) -> Option<Keys> {
        self.bound.contains_key(origin).then(|| self.keys_with(origin, &[]))
    }

    /// Returns the keys to check a message about this register by, with others that were bound to it before.
    pub(crate) fn keys_with(&self, origin: &str, before: &[VerifierKey]) -> Keys {
        let mut own = self.bound.get(origin).map(|bound| bound.keys.clone()).unwrap_or_default();
        for key in before {
            if !own.contains(key) {
                own.push(key.clone());
            }
        }
        Keys { own, witnesses: self.charter().cosigners().into_iter().collect() }
    }

    /// Returns the frontier: what this node holds of every bound register.
    pub fn frontier(&self) -> FrontierTrie {
        FrontierTrie::new(self.bound.keys().filter_map(|origin| self.frontier_leaf(origin)))
    }

    /// Returns the root of a place of the frontier.
    pub fn frontier_root(&self, prefix: &Prefix) -> Digest {
        self.frontier().root(prefix)
    }

    pub(crate) fn frontier_leaf(&self, origin: &str) -> Option<FrontierLeaf> {
        let register = self.registers.get(origin)?;
        let published = self.timestamps.get(origin).and_then(|s| s.kept.as_ref()).map_or(0, |t| t.time());
        // A register that stopped reaches as far as the head that stopped it, so that others come to see that head.
        let (newest, root) = match register.tail() {
            Some(tail) => (tail.head.checkpoint().size, tail.head.checkpoint().root),
            None => (register.size_newest(), register.root_at(register.size_newest())?),
        };
        Some(FrontierLeaf {
            origin: origin.to_owned(),
            newest,
            root,
            witnessed: register.size_witnessed(),
            fork: register.fork_proof_current().map(|proof| proof.digest()),
            other: size_other(register),
            other_witnessed: register.stand_other_witnessed().map_or(0, |stand| stand.head().checkpoint().size),
            published,
            signed: register.signed_by(),
        })
    }

    /// Returns every binding of an origin that is known here, with the register that names it (`None`: the charter): those at W
    /// and those that are pending. A register is read under several of them while they change.
    pub fn bindings(&self, origin: &str) -> Vec<(Option<&str>, Bound)> {
        let anchors = self.charter().anchors().iter();
        let anchors = anchors.filter_map(|anchor| Some((None, Bound::read(&anchor.authority, &anchor.register)?)));
        let bound = self.registers.values().filter(|register| self.bound.contains_key(register.origin()));
        let edges = bound.flat_map(|register| self.edges(register).map(|edge| (Some(register.origin()), edge)));
        anchors.chain(edges).filter(|(_, bound)| bound.binding.origin == origin).collect()
    }

    /// Returns the digests of bodies that registers need and that are not held.
    pub fn bodies_missing(&self) -> BTreeSet<Digest> {
        let mut needed = self.bodies_needed();
        needed.retain(|digest| !self.bodies.contains(digest));
        needed
    }

    /// Drops bodies that no register needs. Returns how many went.
    pub fn drop_unneeded_bodies(&mut self) -> usize {
        let needed = self.bodies_needed();
        let gone: Vec<Digest> = self.bodies.iter().map(|r| r.digest()).filter(|d| !needed.contains(d)).collect();
        gone.iter().for_each(|digest| self.bodies.remove(digest));
        gone.len()
    }

    /// Finds the registers that count, breadth first from the anchors: where two edges bind one origin, the one nearest
    /// to the charter decides under which keys it is replicated. (A verifier looks at the keys of its own path again.)
    /// True when the set changed.
    pub fn rebind(&mut self) -> bool {
        let Search { bound, afters, .. } = self.search();
        let changed = *self.bound != bound || self.afters != afters;
        self.take_afters(afters);
        if changed {
            for (origin, bound) in &bound {
                if let Some(register) = self.registers.get_mut(origin)
                    && register.keys() != bound.keys
                {
                    Arc::make_mut(register).bind(&bound.keys);
                }
            }
            self.bound = Arc::new(bound);
        }
        changed
    }

    fn search(&self) -> Search {
        let Search { mut order, mut bound, mut afters } = Search::default();
        let mut queue: VecDeque<Bound> = self
            .charter()
            .anchors()
            .iter()
            .filter_map(|anchor| Bound::read(&anchor.authority, &anchor.register))
            .collect();
        while let Some(next) = queue.pop_front() {
            let origin = next.binding.origin.clone();
            past::add(&mut afters, next.binding.after.as_ref());
            if bound.contains_key(&origin) || bound.len() >= limits::REGISTERS_MAX {
                continue;
            }
            if let Some(register) = self.registers.get(&origin) {
                queue.extend(self.edges(register));
            }
            order.push(origin.clone());
            bound.insert(origin, next);
        }
        Search { order, bound, afters }
    }

    /// Returns the origins of bound registers in the order in which they name each other: anchors first.
    pub fn binding_order(&self) -> Vec<String> {
        self.search().order
    }

    /// The registers that trust entries of this register bind: at W first, then in what is pending, so that a register
    /// is replicated before its binding is witnessed.
    fn edges(&self, register: &Register) -> impl Iterator<Item = Bound> {
        let witnessed = register.state_witnessed().iter().map(|(key, digest)| (key, *digest));
        let pending = register
            .pending()
            .flat_map(|entry| entry.changes())
            .filter_map(|change| Some((change.key.as_str().as_bytes(), change.digest?)));
        witnessed.chain(pending).filter(|(key, _)| key.starts_with(b"trust/")).filter_map(|(_, digest)| {
            let entry = self.bodies.get(&digest)?.trust_entry().ok()?;
            Bound::read(&entry.entity, entry.terms.register.as_ref()?)
        })
    }
}

/// The size of the newest head of the other branch, also of one that it cannot reach.
fn size_other(register: &Register) -> u64 {
    let stopped = register.tail_other().map(|tail| tail.head);
    let heads = register.stands_other().map(|stand| stand.head()).chain(stopped);
    heads.map(|head| head.checkpoint().size).max().unwrap_or(0)
}
