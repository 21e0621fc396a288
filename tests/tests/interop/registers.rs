//! The reference model reads our registers, and finds the same roots, sizes and facts.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use standfast_protocol::key::{Algorithm, SecretKey, VerifierKey, origin_of};
use standfast_protocol::log::checkpoint::{Checkpoint, SignedHead};
use standfast_protocol::log::cosignature::{self, Cosignature};
use standfast_protocol::log::merkle::{Tree, leaf_hash};
use standfast_protocol::log::note::{self, Note};
use standfast_protocol::log::policy::Quorum;
use standfast_protocol::register::admission::Admission;
use standfast_protocol::register::body::{Bodies, Record};
use standfast_protocol::register::entry::{Change, Entry};
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::register::state::{Register, Witnessing};
use standfast_protocol::status::native::StatusList;
use standfast_protocol::time::Time;
use standfast_protocol::trie::Trie;
use standfast_tests::dice::Dice;
use standfast_tests::export::{self, Query};
use standfast_tests::interop::python;
use standfast_tests::skip::unless_missing;
use standfast_tests::vectors;

const SEED: u64 = 1;
const REGISTERS: usize = 24;
const WITNESSES: [&str; 3] = ["A", "B", "C"];
const DID: &str = "did:web:a.example";
const PEER: &str = "did:web:b.example";
const LIST: &str = "https://a.example/status/1";
const T0: u64 = 1_790_000_000;

/// Without this a difference found with the driver could be the driver's own.
#[test]
fn the_driver_reads_every_register_of_the_model() {
    let Some(model) = vectors::model_folder() else { return };
    let Some(python) = unless_missing(python()) else { return };
    assert!(python.model_driver_self_check(&model) > 0);
}

#[test]
fn the_model_finds_the_roots_and_facts_of_our_registers() {
    let Some(model) = vectors::model_folder() else { return };
    let Some(python) = unless_missing(python()) else { return };
    let (seed, mut dice) = Dice::seeded(SEED);
    let mut outcomes = BTreeSet::new();
    let mut forks = 0;
    for number in 0..REGISTERS {
        let publisher = Publisher::live(&mut dice, number);
        let (register, bodies) = (&publisher.register, &publisher.bodies);
        let theirs =
            python.model_reads_register(&model, &export::register(register, bodies, &publisher.policy, &queries()));

        let ours = our_report(register, bodies);
        for (part, value) in ours.as_object().expect("a report is an object") {
            assert_eq!(*value, theirs[part], "seed {seed}, register {number}: {part}");
        }
        forks += usize::from(register.is_forked());
        outcomes.extend(ours["facts"].as_array().into_iter().flatten().map(|fact| fact["outcome"].to_string()));
    }
    assert!(forks > 0 && outcomes.len() == 5, "seed {seed}: {forks} forks, outcomes {outcomes:?}");
}

/// What our register says, under the names of the driver.
fn our_report(register: &Register, bodies: &Bodies) -> Value {
    let (w, n) = (register.size_witnessed(), register.size_newest());
    let root = |size| register.root_at(size).map(|root| root.to_string());
    json!({
        "w": w,
        "n": n,
        "log_root": root(n),
        "state_root": register.state_newest().root().to_string(),
        "w_root": root(w),
        "w_state_root": register.state_witnessed().root().to_string(),
        "forked": register.is_forked(),
        "frozen": null,
        "fork_point": register.fork_point(),
        "facts": queries().iter().map(|query| query.ask(register, bodies)).collect::<Vec<_>>()
    })
}

fn queries() -> Vec<Query> {
    let key = |name: &str, public: &str| Query::Key {
        did: DID.into(),
        method: format!("{DID}#{name}"),
        public: public.into(),
        relationship: "assertionMethod".into(),
    };
    let edge = |action: &str, resource: &str| Query::Edge {
        entity: PEER.into(),
        action: action.into(),
        resource: resource.into(),
    };
    let status = |index| Query::Status { list: LIST.into(), purpose: "revocation".into(), index, rejects: vec![1] };
    let mut queries =
        vec![key("k1", "z1"), key("k2", "z2"), key("k1", "z9"), edge("recognize", "*"), edge("issue", "L")];
    queries.extend([0, 1, 2, 9, 100].map(status));
    queries
}

/// A log under construction; a clone is the start of another history.
#[derive(Clone, Default)]
struct Chain {
    leaves: Vec<Bytes>,
    tree: Tree,
    state: Trie,
}

/// A publisher with its register as a node holds it.
struct Publisher {
    key: VerifierKey,
    secret: SecretKey,
    policy: String,
    quorum: Quorum,
    bodies: Bodies,
    register: Register,
}

impl Publisher {
    /// A register with a random life: entries, cosignatures, bodies that never came, and sometimes a second history.
    fn live(dice: &mut Dice, number: usize) -> Self {
        let mut publisher = Self::new(number);
        let mut chain = Chain::default();
        let mut earlier = Chain::default();
        for round in 0..3 + dice.below(6) {
            if round == 2 {
                earlier = chain.clone();
            }
            for _ in 0..=dice.below(2) {
                publisher.append(&mut chain, dice);
            }
            let admission = publisher.offer(&chain, dice);
            assert_eq!(admission, Admission::Advanced);
        }
        if dice.once_in(3) {
            for _ in 0..=dice.below(2) {
                publisher.append(&mut earlier, dice);
                let admission = publisher.offer(&earlier, dice);
                // Advanced: it has become the main branch, for it alone has a quorum.
                let goes_on = matches!(admission, Admission::Fork | Admission::Older | Admission::Advanced);
                assert!(goes_on, "{admission:?}");
            }
        }
        publisher
    }

    fn new(number: usize) -> Self {
        let secret = SecretKey::from_seed(&[u8::try_from(number).expect("there are few registers"); 32]);
        let origin = origin_of("a.example/register", &secret.public());
        let key = VerifierKey::new(&origin, Algorithm::Note, secret.public()).expect("an origin is a key name");
        let mut policy: String = WITNESSES.iter().map(|name| format!("witness {name} {}\n", witness(name).0)).collect();
        policy.push_str("group Q 2 A B C\nquorum Q\n");
        let quorum = Quorum::parse(&policy).expect("the policy is well formed");
        let admitting = WITNESSES.iter().map(|name| (*name).to_owned()).collect();
        let witnessing = Arc::new(Witnessing::new(quorum.clone(), admitting));
        let register = Register::new(&origin, std::slice::from_ref(&key), witnessing);
        Self { key, secret, policy, quorum, bodies: Bodies::default(), register }
    }

    /// Appends an entry; its bodies come to the node, but not always.
    fn append(&mut self, chain: &mut Chain, dice: &mut Dice) {
        let mut changes: Vec<Change> = Vec::new();
        for _ in 0..=dice.below(2) {
            let (key, body) = record(dice);
            if changes.iter().any(|change| change.key == key) {
                continue;
            }
            let remove = dice.once_in(6) && chain.state.contains(key.as_str().as_bytes());
            let record = Record::new(body);
            changes.push(Change { key, digest: (!remove).then(|| record.digest()) });
            if !dice.once_in(12) {
                self.bodies.insert(Arc::new(record));
            }
        }
        let time = Time::from_secs_saturating(T0 + chain.leaves.len() as u64);
        let (entry, after) = Entry::draft(&chain.state, time, changes).expect("the changes fit the state");
        chain.tree.push(leaf_hash(entry.bytes()));
        chain.leaves.push(entry.bytes().clone());
        chain.state = after;
    }

    /// Signs the chain, lets some witnesses cosign, and offers what the register lacks.
    fn offer(&mut self, chain: &Chain, dice: &mut Dice) -> Admission {
        let origin = self.key.name().to_owned();
        let checkpoint = Checkpoint { origin: origin.clone(), size: chain.tree.size(), root: chain.tree.root() };
        let text = checkpoint.text();
        let mut lines = vec![note::sign(&text, &self.key, &self.secret)];
        for name in WITNESSES {
            if dice.once_in(2) {
                let (key, secret) = witness(name);
                lines.push(cosignature::sign(&text, T0 + 60, &key, &secret));
            }
        }
        let note = Note::new(text, lines);
        let cosignatures =
            Cosignature::all_in(&note, &checkpoint, self.quorum.witnesses()).expect("the witnesses have signed");
        let head = SignedHead::authenticate(note, &origin, self.register.keys()).expect("the publisher has signed");
        let held = usize::try_from(self.register.size_newest()).expect("a short log").min(chain.leaves.len());
        let ours = self.register.entries(0, held as u64).map(Entry::bytes);
        let first = chain.leaves.iter().zip(ours).take_while(|(a, b)| a == b).count();
        self.register.admit(head, cosignatures, first as u64, &chain.leaves[first..])
    }
}

fn witness(name: &str) -> (VerifierKey, SecretKey) {
    let secret = SecretKey::from_seed(&[name.as_bytes()[0]; 32]);
    let name = format!("{}.example/witness", name.to_lowercase());
    let key = VerifierKey::new(&name, Algorithm::Cosignature, secret.public()).expect("the name is a key name");
    (key, secret)
}

/// A record that the queries ask about, in one of many versions. serde_json writes these as RFC 8785 does: names in
/// order, no floats, no characters beyond ASCII.
fn record(dice: &mut Dice) -> (RecordKey, Vec<u8>) {
    let (key, body) = match dice.below(4) {
        0 => (RecordKey::did(DID), did_document(dice).to_string().into_bytes()),
        1 => (RecordKey::trust(PEER, "recognize", "*"), recognition(dice).to_string().into_bytes()),
        2 => {
            let until = 800 + 100 * dice.below(3);
            let body =
                json!({"entity": PEER, "action": "issue", "resource": "L", "valid_from": 0, "valid_until": until});
            (RecordKey::trust(PEER, "issue", "L"), body.to_string().into_bytes())
        }
        _ => (RecordKey::status(LIST), status_list(dice)),
    };
    (key.expect("these names are well formed"), body)
}

fn did_document(dice: &mut Dice) -> Value {
    let kept: Vec<usize> = [1, 2].into_iter().filter(|_| !dice.once_in(3)).collect();
    let ids: Vec<String> = kept.iter().map(|n| format!("{DID}#k{n}")).collect();
    let methods: Vec<Value> = kept
        .iter()
        .map(|n| {
            let public = format!("z{}", if dice.once_in(5) { 9 } else { *n });
            json!({"id": format!("{DID}#k{n}"), "type": "Multikey", "controller": DID, "publicKeyMultibase": public})
        })
        .collect();
    json!({"id": DID, "verificationMethod": methods, "assertionMethod": ids})
}

fn recognition(dice: &mut Dice) -> Value {
    let actions: Vec<&str> = if dice.once_in(2) { vec!["issue"] } else { vec!["issue", "verify"] };
    let resources: Vec<&str> = if dice.once_in(2) { vec!["*"] } else { vec!["L"] };
    let keys: Vec<&str> = if dice.once_in(3) { vec!["K1"] } else { vec!["K1", "K2"] };
    json!({
        "entity": PEER, "action": "recognize", "resource": "*",
        "valid_from": 100 * dice.below(2), "valid_until": 800 + 100 * dice.below(2), "depth": 1 + dice.below(3),
        "scope": {"actions": actions, "resources": resources},
        "register": {"origin": "b.example/r", "keys": keys}
    })
}

fn status_list(dice: &mut Dice) -> Vec<u8> {
    let length = 16 + 8 * dice.below(2) as u64;
    let purpose = if dice.once_in(8) { "suspension" } else { "revocation" };
    let set: Vec<(u64, u8)> = [0, 1, 2, 9].into_iter().filter(|_| dice.once_in(5)).map(|index| (index, 1)).collect();
    let list = StatusList::new(LIST, purpose, 1, length).expect("a short list");
    list.edited(length, &set).expect("the indices are in the list").encode()
}
