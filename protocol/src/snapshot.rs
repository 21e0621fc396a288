//! What a verifier sees: one immutable view of everything held, with what is derived of it kept at hand.
//!
//! The same type stands behind a running node, an opened bundle and a test. Facts are read when they are first asked
//! for, and stay as they are: a snapshot never changes, a newer one takes its place. Verdicts are never kept.

pub mod webvh;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::charter::Charter;
use crate::credential::contexts::Contexts;
use crate::digest::Digest;
use crate::freshness::{self, Ages, Speaker, Statement};
use crate::key::PublicKey;
use crate::limits;
use crate::log::checkpoint::SignedHead;
use crate::log::policy::Quorum;
use crate::log::view::View;
use crate::policy::Policy;
use crate::register::body::{Bodies, Record};
use crate::register::entry::Entry;
use crate::register::fact::{Fact, Outcome, Reason, Terms};
use crate::register::record::RecordKey;
use crate::register::state::{Register, Stand};
use crate::replica::Replica;
use crate::time::Time;
use crate::trust::{Recognition, TrustRegister, World};
use crate::verdict::Evidence;

/// Everything held at one moment. Made by [`Snapshot::new`] of a replica, of which it keeps its own copy.
#[derive(Debug)]
pub struct Snapshot {
    replica: Replica,
    registers: BTreeMap<String, HeldRegister>,
    newest: OnceLock<Newest>,
    contexts: Mutex<BTreeMap<Vec<(String, Digest)>, Contexts>>,
    /// Foreign lists by body and key: whether the key signed the body.
    proofs: Mutex<BTreeMap<(Digest, PublicKey), bool>>,
    /// The policy of the last verdict with its digest: most verifiers have one.
    policy: Mutex<Option<(Policy, Digest)>>,
    /// did:webvh DIDs whose copies were compared.
    webvh: Mutex<BTreeMap<String, Arc<webvh::WebvhStanding>>>,
}

/// One register of a snapshot.
#[derive(Debug)]
pub struct HeldRegister {
    register: Arc<Register>,
    bodies: Bodies,
    trust: OnceLock<TrustIndex>,
    signers: OnceLock<Vec<String>>,
    said: OnceLock<Statements>,
}

/// Each admitting witness's newest statement on anything, and the views that name the charter.
#[derive(Debug)]
struct Newest {
    said: Vec<Said>,
    bound: Option<u64>,
}

/// A statement of a witness, matched against one register.
#[derive(Debug, Clone)]
struct Said {
    witness: String,
    time: u64,
    at_w: bool,
    names_charter: bool,
    on_chain: bool,
}

#[derive(Debug)]
struct Statements {
    said: Vec<Said>,
    /// The publisher's timestamps over heads on our chain: by which key, and when.
    published: Vec<(String, u64)>,
    /// The witnesses' times when no statement is so far ahead that the device's clock could set it aside.
    settled: Option<Ages>,
}

#[derive(Debug, Default)]
struct TrustIndex {
    /// Entity, label, fact.
    recognitions: Vec<(String, String, Fact<Terms>)>,
    authorizations: BTreeMap<String, Vec<(String, String, Fact<Terms>)>>,
}

impl Snapshot {
    /// Takes a replica as it is now.
    pub fn new(replica: Replica) -> Arc<Self> {
        let held = |register: &Arc<Register>| HeldRegister {
            register: register.clone(),
            bodies: replica.bodies().clone(),
            trust: OnceLock::new(),
            signers: OnceLock::new(),
            said: OnceLock::new(),
        };
        let registers = replica.registers().iter().map(|(origin, r)| (origin.clone(), held(r))).collect();
        Arc::new(Self {
            replica,
            registers,
            newest: OnceLock::new(),
            contexts: Mutex::default(),
            proofs: Mutex::default(),
            policy: Mutex::default(),
            webvh: Mutex::default(),
        })
    }

    /// Returns what it was made of.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Returns the charter in force.
    pub fn charter(&self) -> &Charter {
        self.replica.charter()
    }

    /// Returns the quorum in force.
    pub fn quorum(&self) -> &Quorum {
        self.replica.quorum()
    }

    /// Returns the registers held, by origin.
    pub fn registers(&self) -> &BTreeMap<String, HeldRegister> {
        &self.registers
    }

    /// Returns one register, if it is held.
    pub fn held(&self, origin: &str) -> Option<&HeldRegister> {
        self.registers.get(origin)
    }

    /// Returns the clock bound B: the quorum time over the newest statement of each admitting witness.
    pub fn clock_bound(&self) -> Option<u64> {
        self.newest().bound
    }

    /// Returns the ages of a register under the keys that the charter or the nearest edge binds to it, for a device's
    /// clock in POSIX seconds; `None` when it is not held.
    pub fn ages(&self, origin: &str, device: u64) -> Option<Ages> {
        let held = self.held(origin)?;
        let keys = self.replica.bound().get(origin).map(|bound| bound.binding.keys.as_slice());
        Some(self.ages_under(held, keys.unwrap_or_default(), device))
    }

    /// Returns the ages of a register under the keys that one path binds.
    pub(crate) fn ages_under(&self, held: &HeldRegister, keys: &[String], device: u64) -> Ages {
        let statements = self.statements(held);
        let mut ages = match &statements.settled {
            Some(settled) => Ages { now: settled.bound.map_or(device, |bound| bound.max(device)), ..settled.clone() },
            None => self.reckon(&statements.said, device),
        };
        let latest = ages.now.saturating_add(limits::STATEMENT_AHEAD_MAX_S);
        let counts = |(key, time): &&(String, u64)| *time <= latest && keys.contains(key);
        ages.published = statements.published.iter().filter(counts).map(|(_, time)| *time).max();
        ages
    }

    /// Returns the age of the charter, with the clock bound.
    pub fn charter_ages(&self, device: u64) -> Ages {
        self.reckon(&self.newest().said, device)
    }

    /// Returns the names of the admitting witnesses in force whose view names the charter in force.
    pub fn naming_charter(&self) -> BTreeSet<&str> {
        let admitting = self.replica.admitting();
        let naming = self.newest().said.iter().filter(|said| said.names_charter && admitting.contains(&said.witness));
        naming.map(|said| said.witness.as_str()).collect()
    }

    /// Returns the names of the admitting witnesses in force that stand at exactly the witnessed head of a register.
    pub fn witnesses_at<'a>(&self, held: &'a HeldRegister) -> BTreeSet<&'a str> {
        let admitting = self.replica.admitting();
        let standing = self.statements(held).said.iter().filter(|said| said.at_w && admitting.contains(&said.witness));
        standing.map(|said| said.witness.as_str()).collect()
    }

    /// Returns the built-in contexts with the given ones of registers, by URL and digest; `None` when a body is not held.
    pub(crate) fn contexts(&self, chosen: &[(String, Digest)]) -> Option<Contexts> {
        if chosen.is_empty() {
            return Some(Contexts::builtin());
        }
        let mut kept = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(contexts) = kept.get(chosen) {
            return Some(contexts.clone());
        }
        let mut contexts = Contexts::builtin();
        for (url, digest) in chosen {
            contexts = contexts.with(url, self.replica.bodies().get(digest)?.body().clone()).ok()?;
        }
        if kept.len() >= limits::CONTEXT_SETS_KEPT {
            kept.clear();
        }
        kept.insert(chosen.to_vec(), contexts.clone());
        Some(contexts)
    }

    /// Returns whether `key` signed the foreign status list in this body; a proof over a large list is made once.
    pub(crate) fn is_list_proven(&self, body: &Record, key: PublicKey) -> bool {
        let Some((credential, _)) = body.foreign_list() else { return false };
        let place = (body.digest(), key);
        let proofs = || self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(proven) = proofs().get(&place) {
            return *proven;
        }
        let proven = credential.prove(&key, &Contexts::builtin()).is_ok();
        let mut kept = proofs();
        if kept.len() >= limits::LIST_PROOFS_KEPT {
            kept.clear();
        }
        kept.insert(place, proven);
        proven
    }

    /// Returns the digest of a policy; that of the policy before is not made again.
    pub(crate) fn digest_of(&self, policy: &Policy) -> Digest {
        let mut kept = self.policy.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.as_ref().filter(|(known, _)| known == policy) {
            Some((_, digest)) => *digest,
            None => kept.insert((policy.clone(), policy.digest())).1,
        }
    }

    fn newest(&self) -> &Newest {
        self.newest.get_or_init(|| self.find_newest())
    }

    fn find_newest(&self) -> Newest {
        let witnessing = self.replica.witnessing();
        let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
        for held in self.registers.values() {
            let stands = held.register.stands_from(0).chain(held.register.stands_other());
            for cosignature in stands.flat_map(|stand| stand.cosignatures()) {
                let time = newest.entry(cosignature.witness()).or_default();
                *time = cosignature.time().max(*time);
            }
        }
        let said = |witness: &str, time, names_charter| Said {
            witness: witness.to_owned(),
            time,
            at_w: false,
            names_charter,
            on_chain: false,
        };
        let cosigned = newest.iter().map(|(witness, time)| said(witness, *time, false));
        let viewed = self.views().map(|view| said(&view.witness, view.time, self.names_charter(view)));
        let said: Vec<Said> = cosigned.chain(viewed).filter(|s| witnessing.counts(&s.witness)).collect();
        let bound = freshness::bound(&|times| witnessing.time(times), &statements(&said));
        Newest { said, bound }
    }

    fn statements<'a>(&self, held: &'a HeldRegister) -> &'a Statements {
        held.said.get_or_init(|| self.find_statements(held))
    }

    /// The statements on one register, and the newest on anything, without which the clock bound would be another one.
    fn find_statements(&self, held: &HeldRegister) -> Statements {
        let register = &held.register;
        let w = register.size_witnessed();
        let root = register.root_at(w);
        let mut said = self.newest().said.clone();
        let witnessing = self.replica.witnessing();
        let mut say = |witness: &str, time, size, at: Digest, names_charter| {
            if witnessing.counts(witness) {
                let on_chain = register.root_at(size) == Some(at);
                let at_w = on_chain && size == w && root == Some(at);
                said.push(Said { witness: witness.to_owned(), time, at_w, names_charter, on_chain });
            }
        };
        for cosignature in register.stands_from(w).flat_map(|stand| stand.cosignatures()) {
            let at = cosignature.checkpoint();
            say(cosignature.witness(), cosignature.time(), at.size, at.root, false);
        }
        for (view, leaf) in self.views_of(register.origin()) {
            say(&view.witness, view.time, leaf.size, leaf.root, self.names_charter(view));
        }
        let reckoned = self.reckon(&said, 0);
        let settled = reckoned.set_aside.is_empty().then_some(reckoned);
        Statements { said, published: self.published(register), settled }
    }

    fn published(&self, register: &Register) -> Vec<(String, u64)> {
        let origin = register.origin();
        let keys = self.replica.bound().get(origin).map(|bound| bound.keys.as_slice()).unwrap_or_default();
        let timestamps = self.replica.timestamps().get(origin).into_iter().flat_map(|slots| slots.iter());
        let on_chain = timestamps.filter(|t| {
            let at = t.checkpoint();
            at.origin == origin && register.root_at(at.size) == Some(at.root)
        });
        let by_key = on_chain.filter_map(|t| {
            let key = keys.iter().find(|key| key.id() == t.signed().id)?;
            Some((key.to_string(), t.time()))
        });
        by_key.collect()
    }

    fn reckon(&self, said: &[Said], device: u64) -> Ages {
        let witnessing = self.replica.witnessing();
        freshness::ages_by(&|times| witnessing.time(times), device, &statements(said))
    }

    fn views(&self) -> impl Iterator<Item = &View> {
        self.replica.views().values().flat_map(|slots| slots.iter()).map(|held| held.view())
    }

    fn views_of<'a>(&'a self, origin: &'a str) -> impl Iterator<Item = (&'a View, crate::log::view::Leaf)> {
        let held = self.replica.views().values().flat_map(|slots| slots.iter());
        held.filter_map(move |held| Some((held.view(), held.frontier.get(origin)?)))
    }

    fn names_charter(&self, view: &View) -> bool {
        let charter = self.charter();
        view.charter_version == charter.version() && view.charter_digest == charter.digest()
    }
}

fn statements(said: &[Said]) -> Vec<Statement<'_>> {
    fn statement(s: &Said) -> Statement<'_> {
        let Said { ref witness, time, at_w, names_charter, on_chain } = *s;
        Statement { speaker: Speaker::Witness(witness), time, at_w, names_charter, on_chain }
    }
    said.iter().map(statement).collect()
}

impl HeldRegister {
    /// Returns the register.
    pub fn register(&self) -> &Register {
        &self.register
    }

    /// Returns the bodies that its records are read from.
    pub fn bodies(&self) -> &Bodies {
        &self.bodies
    }

    /// Returns the digest of a record at W.
    pub fn digest_witnessed(&self, key: &RecordKey) -> Option<Digest> {
        self.register.state_witnessed().get(key.as_str().as_bytes())
    }

    /// Returns the digests of a record at W, in every pending version, and in every version of the other branch.
    pub fn digests(&self, key: &RecordKey) -> Vec<Digest> {
        let changed = self.register.pending().chain(self.register.entries_other()).flat_map(Entry::changes);
        let later = changed.filter(|change| change.key == *key).filter_map(|change| change.digest);
        let mut digests: Vec<Digest> = self.digest_witnessed(key).into_iter().chain(later).collect();
        digests.dedup();
        digests
    }

    /// Returns where a fact was read: this register at W. `as_of` is when a quorum last stood there.
    pub fn evidence(&self, record: Option<String>, as_of: Option<u64>) -> Evidence {
        let size = self.register.size_witnessed();
        Evidence {
            register: self.register.origin().to_owned(),
            size,
            root: self.register.root_at(size).unwrap_or_else(|| Digest::of(b"")),
            record,
            as_of_at: as_of.map(Time::from_secs_saturating),
        }
    }

    /// True when some version of some record says that this entity may do this, on anything.
    pub(crate) fn authorizes(&self, entity: &str, action: &str) -> bool {
        let entries = self.trust().authorizations.get(entity);
        entries.is_some_and(|entries| entries.iter().any(|(does, ..)| does == action))
    }

    fn trust(&self) -> &TrustIndex {
        self.trust.get_or_init(|| self.index_trust())
    }

    /// Judges every trust entry at W, in pending versions and on the other branch.
    fn index_trust(&self) -> TrustIndex {
        let changed = self.register.pending().chain(self.register.entries_other()).flat_map(Entry::changes);
        let changed = changed.map(|change| &change.key).filter(|key| key.prefix() == "trust").cloned();
        let keys: BTreeSet<RecordKey> = self.register.keys_witnessed("trust/").into_iter().chain(changed).collect();
        let mut index = TrustIndex::default();
        for key in &keys {
            let fact = self.register.edge_fact_of(&self.bodies, key);
            let parts = key.parts();
            let [entity, action, resource] = parts.as_slice() else { continue };
            if fact.outcome == Outcome::Absent {
                continue;
            }
            if action == "recognize" {
                index.recognitions.push((entity.clone().into_owned(), resource.clone().into_owned(), fact));
            } else {
                let entries = index.authorizations.entry(entity.clone().into_owned()).or_default();
                entries.push((action.clone().into_owned(), resource.clone().into_owned(), fact));
            }
        }
        index
    }
}

impl World for Snapshot {
    type Register = HeldRegister;

    fn register(&self, origin: &str) -> Option<&HeldRegister> {
        self.held(origin)
    }
}

impl TrustRegister for HeldRegister {
    fn is_signed_by(&self, keys: &[String]) -> bool {
        let signers = self.signers.get_or_init(|| {
            // From W on: a key that signed a later head vouches for what W holds.
            let heads = self.register.stands_from(self.register.size_witnessed()).map(Stand::head);
            let mut signers: Vec<String> = heads.flat_map(SignedHead::signers).map(ToString::to_string).collect();
            signers.sort_unstable();
            signers.dedup();
            signers
        });
        signers.iter().any(|signer| keys.contains(signer))
    }

    fn recognitions(&self) -> impl Iterator<Item = Recognition<'_>> {
        let edges = self.trust().recognitions.iter();
        edges.map(|(entity, label, fact)| Recognition {
            entity: Cow::Borrowed(entity),
            label: Cow::Borrowed(label),
            fact: Cow::Borrowed(fact),
        })
    }

    fn has_unread(&self) -> bool {
        self.register.unread().is_some()
    }

    fn authorization(&self, entity: &str, action: &str, resource: &str) -> Cow<'_, Fact<Terms>> {
        let entries = self.trust().authorizations.get(entity).map(Vec::as_slice).unwrap_or_default();
        match entries.iter().find(|(a, r, _)| a == action && r == resource) {
            Some((.., fact)) => Cow::Borrowed(fact),
            None => Cow::Owned(Fact::new(Outcome::Absent, Reason::NoRecord)),
        }
    }
}
