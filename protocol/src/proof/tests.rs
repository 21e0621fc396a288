//! Proofs over a small network: interior is the anchor, recognises transport, and transport lets licences issue.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::charter::{Document, SignedCharter};
use crate::credential::jcs;
use crate::credential::json::Json;
use crate::key::{Algorithm, SecretKey, origin_of};
use crate::log::cosignature;
use crate::log::note::{self, NoteError};
use crate::register::admission::Admission;
use crate::register::draft::Ground;
use crate::register::entry::Change;
use crate::time::Time;

pub(crate) const NOW: u64 = 1_790_000_000;
const UNTIL: u64 = 1_800_000_000;

pub(crate) fn secret(name: &str) -> SecretKey {
    SecretKey::from_seed(&Digest::of(name.as_bytes()).0)
}

pub(crate) fn vkey(name: &str, algorithm: Algorithm, seed: &str) -> VerifierKey {
    VerifierKey::new(name, algorithm, secret(seed).public()).unwrap()
}

pub(crate) fn origin(host: &str) -> String {
    origin_of(&format!("{host}/register"), &secret(host).public())
}

fn binding(host: &str) -> Value {
    json!({"keys": [vkey(&origin(host), Algorithm::Note, host)], "origin": origin(host)})
}

pub(crate) fn canonical(value: &Value) -> Bytes {
    Bytes::from(jcs::to_string(&Json::parse(value.to_string().as_bytes()).unwrap()))
}

pub(crate) fn charter(anchor: &str) -> Arc<SignedCharter> {
    charter_where(anchor, |_| "admitting")
}

/// A charter whose witnesses are of these kinds.
fn charter_where(anchor: &str, kind: impl Fn(&str) -> &'static str) -> Arc<SignedCharter> {
    let names = ["A", "B", "C"];
    let witness = |name: &str| vkey(&format!("{name}.example"), Algorithm::Cosignature, name);
    let view = |name: &str| vkey(&format!("{name}.example/view"), Algorithm::Note, &format!("{name} view"));
    let policy: String = names.iter().map(|name| format!("witness {name} {}\n", witness(name))).collect();
    let kinds: BTreeMap<_, _> =
        names.map(|name| (name, json!({"kind": kind(name), "view": view(name)}))).into_iter().collect();
    let document: Document = serde_json::from_value(json!({
        "kind": "standfast/charter/v1", "version": 1, "issued_at": 1_780_000_000u64, "expires_at": 1_900_000_000u64,
        "roots": {"threshold": 1, "keys": [vkey("root", Algorithm::Note, "root")]},
        "anchors": [{"authority": format!("did:web:{anchor}"), "register": binding(anchor)}],
        "witnesses": {"policy": policy + "group Q 2 A B C\nquorum Q\n", "kinds": kinds, "from": 1_780_000_000u64},
        "limits": {"witnessed_s": 86_400, "published_s": 604_800, "charter_s": 2_592_000},
        "quotas": {"entries_per_day": 1000, "bytes_per_day": 1_000_000, "delta_retention_s": 86_400},
        "members": [], "bootstrap": [], "admission": "open",
    }))
    .unwrap();
    let charter = Charter::new(document).unwrap();
    let lines = charter.sign(&secret("root"), None);
    Arc::new(SignedCharter::authenticate_first(Note::new(charter.text().to_owned(), lines)).unwrap())
}

pub(crate) fn grant(entity: &str, action: &str, resource: &str, more: &[(&str, Value)]) -> (RecordKey, Bytes) {
    let did = format!("did:web:{entity}");
    let mut body = json!({"entity": did, "action": action, "resource": resource, "register": binding(entity),
        "valid_from": 0, "valid_until": UNTIL});
    more.iter().for_each(|(name, value)| body[name] = value.clone());
    (RecordKey::trust(&did, action, resource).unwrap(), canonical(&body))
}

pub(crate) fn recognise(entity: &str, depth: u64, resources: &[&str]) -> (RecordKey, Bytes) {
    let scope = json!({"actions": ["issue"], "resources": resources});
    grant(entity, "recognize", "main", &[("depth", json!(depth)), ("scope", scope)])
}

pub(crate) fn notice(id: &str, text: &str) -> (RecordKey, Bytes) {
    (RecordKey::notice(id).unwrap(), Bytes::copy_from_slice(text.as_bytes()))
}

/// A replica with its publishers and witnesses.
pub(crate) struct World {
    pub(crate) replica: Replica,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { replica: Replica::new(charter("interior.example")) }
    }

    /// Publishes records as one entry, cosigned by `witnesses` at the times given.
    pub(crate) fn publish(&mut self, host: &str, records: &[(RecordKey, Bytes)], witnesses: &[(&str, u64)]) {
        let put = |(key, body): &(RecordKey, Bytes)| Change { key: key.clone(), digest: Some(Digest::of(body)) };
        let changes = records.iter().map(put).collect();
        let mut register = self.replica.candidate(&origin(host)).unwrap();
        let draft = Ground::of(&register).unwrap().prepare(Time::from_secs_saturating(NOW), changes).unwrap();
        let key = vkey(&origin(host), Algorithm::Note, host);
        let head = draft.finalise(vec![note::sign(&draft.text(), &key, &secret(host))], &[key]).unwrap();
        let entries: Vec<Bytes> = draft.entries().iter().map(|entry| entry.bytes().clone()).collect();
        assert_eq!(register.admit(head, vec![], draft.first(), &entries), Admission::Advanced);
        for (name, time) in witnesses {
            let key = vkey(&format!("{name}.example"), Algorithm::Cosignature, name);
            let line = cosignature::sign(&draft.text(), *time, &key, &secret(name));
            register.add_cosignature(Cosignature::verify(draft.checkpoint(), &line, name, &key).unwrap());
        }
        for (_, body) in records {
            self.replica.bodies_mut().insert(Arc::new(Record::new(body.clone())));
        }
        self.replica.install(register);
    }

    /// Interior recognises transport, transport authorises licences, and licences says something.
    pub(crate) fn chain() -> Self {
        let mut world = Self::new();
        let all = [("A", NOW - 30), ("B", NOW - 20), ("C", NOW - 10)];
        let recognition = recognise("transport.example", 0, &["urn:L"]);
        world.publish("interior.example", &[recognition, notice("1", "one")], &all);
        world.publish("interior.example", &[notice("2", "two")], &all);
        let issuer = grant("licences.example", "issue", "urn:L", &[]);
        world.publish("transport.example", &[issuer], &[("A", NOW - 5), ("C", NOW - 4)]);
        world.publish("licences.example", &[notice("9", "nine")], &all);
        world
    }

    fn prove(&self, host: &str, key: &RecordKey) -> RecordProof {
        RecordProof::of(&self.replica, &origin(host), key, NOW).unwrap()
    }
}

fn verify(text: &[u8]) -> Result<ProvenRecord, RecordProofError> {
    RecordProof::parse(text)?.verify(charter("interior.example").charter(), NOW)
}

#[test]
fn a_stranger_with_the_charter_follows_the_chain_to_a_record() {
    let world = World::chain();
    let (key, body) = notice("9", "nine");
    let text = world.prove("licences.example", &key).to_text();
    let proven = verify(text.as_bytes()).unwrap();
    assert_eq!((proven.key(), proven.body()), (&key, Some(&body)));
    let steps: Vec<(&str, u64, Option<u64>)> =
        proven.steps().iter().map(|s| (s.entity.as_str(), s.size, s.witnessed_at)).collect();
    assert_eq!(
        steps,
        [
            ("did:web:interior.example", 2, Some(NOW - 20)),
            ("did:web:transport.example", 1, Some(NOW - 5)),
            ("did:web:licences.example", 1, Some(NOW - 20)),
        ]
    );
    assert_eq!((proven.witnessed_at(), proven.window()), (Some(NOW - 20), (0, UNTIL)));
    assert_eq!(RecordProof::parse(text.as_bytes()).unwrap().to_text(), text);
}

#[test]
fn absence_is_proven_too_and_is_not_presence() {
    let world = World::chain();
    for (host, id) in [("interior.example", "3"), ("interior.example", "zz"), ("licences.example", "1")] {
        let key = notice(id, "").0;
        let proof = world.prove(host, &key);
        assert_eq!(verify(proof.to_text().as_bytes()).unwrap().body(), None, "{host} {id}");
        let mut claimed = proof;
        claimed.record.body = Some(Bytes::from_static(b"there"));
        assert!(verify(claimed.to_text().as_bytes()).is_err());
    }
    let mut denied = world.prove("interior.example", &notice("1", "").0);
    denied.record.body = None;
    assert!(matches!(verify(denied.to_text().as_bytes()), Err(RecordProofError::Path(_))));
}

#[test]
fn no_byte_can_be_altered_and_nothing_cut() {
    let world = World::chain();
    let register = world.replica.register(&origin("licences.example")).unwrap();
    let present = |key: &RecordKey| register.state_witnessed().contains(key.as_str().as_bytes());
    for key in [notice("9", "").0, notice("absent", "").0] {
        let text = world.prove("licences.example", &key).to_text().into_bytes();
        verify(&text).unwrap();
        for at in 0..text.len() {
            for flip in [1, 0x20] {
                let mut bad = text.clone();
                bad[at] ^= flip;
                // One path can show that several keys are absent: then it speaks of another key, and truly.
                let holds = verify(&bad).ok().filter(|p| *p.key() == key || p.body().is_some() || present(p.key()));
                assert_eq!(holds, None, "byte {at} ^ {flip} of {}", key.as_str());
            }
            assert!(verify(&text[..at]).is_err(), "cut at {at}");
        }
    }
}

#[test]
fn only_the_cosignatures_of_one_quorum_travel_the_newest() {
    let world = World::chain();
    let proof = world.prove("interior.example", &notice("1", "").0);
    let proven = verify(proof.to_text().as_bytes()).unwrap();
    assert_eq!(proven.register().witnesses, ["B".to_owned(), "C".to_owned()].into());
    // One that lies ahead of the clock goes first, for it names no time.
    let mut world = World::new();
    world.publish("interior.example", &[notice("1", "one")], &[("A", NOW), ("B", NOW - 9), ("C", NOW + 9999)]);
    let proven = verify(world.prove("interior.example", &notice("1", "").0).to_text().as_bytes()).unwrap();
    assert_eq!(proven.witnessed_at(), Some(NOW - 9));
    let mut world = World::new();
    world.publish("interior.example", &[notice("1", "one")], &[("A", NOW), ("C", NOW + 9999)]);
    let proven = verify(world.prove("interior.example", &notice("1", "").0).to_text().as_bytes()).unwrap();
    assert_eq!(proven.witnessed_at(), None);
}

#[test]
fn proves_nothing_without_a_quorum_a_chain_or_the_content() {
    let mut world = World::new();
    let proof = |world: &World, host: &str| RecordProof::of(&world.replica, &origin(host), &notice("1", "").0, NOW);
    world.publish("interior.example", &[notice("1", "one")], &[("A", NOW)]);
    assert_eq!(proof(&world, "interior.example"), Err(ProveError::NotWitnessed(origin("interior.example"))));
    assert_eq!(proof(&world, "nobody.example"), Err(ProveError::NoChain(origin("nobody.example"))));
    world.publish("interior.example", &[notice("2", "two")], &[("A", NOW), ("B", NOW)]);
    assert!(proof(&world, "interior.example").is_ok());
    world.replica.bodies_mut().remove(&Digest::of(b"one"));
    assert_eq!(proof(&world, "interior.example"), Err(ProveError::BodyMissing(notice("1", "").0)));
}

#[test]
fn another_charter_or_a_cosignature_too_few_is_refused() {
    let proof = World::chain().prove("licences.example", &notice("9", "").0);
    let other = charter("other.example");
    let refused = proof.verify(other.charter(), NOW);
    assert_eq!(refused, Err(RecordProofError::NotAnAnchor(origin("interior.example"))));
    let mut few = proof.clone();
    let note = &few.record.log.checkpoint;
    few.record.log.checkpoint = Note::new(note.text().to_owned(), note.signatures()[..2].to_vec());
    let refused = few.verify(charter("interior.example").charter(), NOW);
    assert_eq!(refused, Err(RecordProofError::Log(ProofError::Quorum)));
    let mut unsigned = proof;
    let note = &unsigned.record.log.checkpoint;
    unsigned.record.log.checkpoint = Note::new(note.text().to_owned(), note.signatures()[1..].to_vec());
    let refused = unsigned.verify(charter("interior.example").charter(), NOW);
    let expected = crate::log::checkpoint::HeadError::Note(NoteError::UnknownKey);
    assert_eq!(refused, Err(RecordProofError::Log(ProofError::Head(expected))));
}

#[test]
fn only_admitting_witnesses_count() {
    let mut world = World::new();
    world.publish("interior.example", &[notice("1", "one")], &[("A", NOW), ("C", NOW)]);
    let proof = world.prove("interior.example", &notice("1", "").0);
    let other = charter_where("interior.example", |name| if name == "C" { "consistent" } else { "admitting" });
    assert_eq!(proof.verify(other.charter(), NOW), Err(RecordProofError::Log(ProofError::Quorum)));
}

#[test]
fn witnesses_that_leave_count_for_what_they_cosigned_in_their_time() {
    let proof = World::chain().prove("interior.example", &notice("1", "").0);
    let mut document = charter("interior.example").charter().document().clone();
    let keys = ["D", "E"].map(|name| {
        let witness = vkey(&format!("{name}.example"), Algorithm::Cosignature, name);
        (name, witness, vkey(&format!("{name}.example/view"), Algorithm::Note, &format!("{name} view")))
    });
    let policy: String = keys.iter().map(|(name, witness, _)| format!("witness {name} {witness}\n")).collect();
    let kinds = keys.iter().map(|(name, _, view)| ((*name).to_owned(), json!({"kind": "admitting", "view": view})));
    let kinds: serde_json::Map<String, Value> = kinds.collect();
    let from = NOW + 1000;
    document.witnesses.before = Some(
        serde_json::from_value(json!({"policy": document.witnesses.policy, "kinds": document.witnesses.kinds}))
            .unwrap(),
    );
    document.witnesses.policy = policy + "group Q all D E\nquorum Q\n";
    document.witnesses.kinds = serde_json::from_value(Value::Object(kinds)).unwrap();
    document.witnesses.from = from;
    let changing = Charter::new(document.clone()).unwrap();
    for now in [from - 1, from, from + 1] {
        assert_eq!(proof.verify(&changing, now).unwrap().witnessed_at(), Some(NOW - 20));
    }
    document.witnesses.from = NOW - 30;
    let changed = Charter::new(document).unwrap();
    assert_eq!(proof.verify(&changed, NOW), Err(RecordProofError::Log(ProofError::Quorum)));
}

#[test]
fn an_earlier_entry_says_nothing_about_the_head() {
    let world = World::chain();
    let register = world.replica.register(&origin("interior.example")).unwrap();
    let key = notice("2", "").0;
    let mut proof = world.prove("interior.example", &key);
    assert!(proof.record.body.is_some(), "it is there now");
    let before = register.state_at(1).unwrap();
    let (digest, path) = before.prove(key.as_str().as_bytes());
    assert_eq!(digest, None, "it was not there before");
    proof.record.log.index = 0;
    proof.record.log.hashes = register.tree().inclusion(0, 2).unwrap();
    proof.record.entry = register.entry(0).unwrap().bytes().clone();
    (proof.record.path, proof.record.body) = (path, None);
    assert_eq!(verify(proof.to_text().as_bytes()), Err(RecordProofError::NotLast { last: 1, came: 0 }));
}

#[test]
fn a_trust_entry_leads_only_as_far_as_it_says() {
    let all = [("A", NOW), ("B", NOW)];
    let reason = |first: (RecordKey, Bytes), second: (RecordKey, Bytes), now: u64| {
        let anchor = charter("interior.example");
        let anchor = &anchor.charter().anchors()[0];
        let reach = Reach::of_anchor(&anchor.authority, &anchor.register).unwrap();
        let reach = reach.follow(&first.0, &Record::new(first.1), now)?;
        reach.follow(&second.0, &Record::new(second.1), now).map(|reach| reach.entity)
    };
    let recognition = || recognise("transport.example", 0, &["urn:L"]);
    let issuer = |resource: &str| grant("licences.example", "issue", resource, &[]);
    assert_eq!(reason(recognition(), issuer("urn:L"), NOW), Ok("did:web:licences.example".to_owned()));
    assert_eq!(reason(recognition(), issuer("urn:M"), NOW), Err(EdgeError::OutOfScope));
    assert_eq!(reason(recognition(), recognise("deep.example", 0, &["*"]), NOW), Err(EdgeError::TooDeep));
    assert_eq!(reason(issuer("urn:L"), issuer("urn:L"), NOW), Err(EdgeError::NotAnAuthority));
    assert_eq!(reason(recognition(), issuer("urn:L"), UNTIL), Err(EdgeError::OutsideWindow));
    let (key, _) = recognition();
    assert_eq!(reason((key, issuer("urn:L").1), issuer("urn:L"), NOW), Err(EdgeError::NotATrustEntry));
    let foreign = json!({"keys": [vkey("other.example", Algorithm::Note, "x")], "origin": origin("licences.example")});
    let unbound = grant("licences.example", "issue", "urn:L", &[("register", foreign)]);
    assert_eq!(reason(recognition(), unbound, NOW), Err(EdgeError::Unbound));

    // What does not lead is not gone along either.
    let mut world = World::new();
    let narrow = recognise("transport.example", 0, &["urn:M"]);
    world.publish("interior.example", &[narrow], &all);
    world.publish("transport.example", &[issuer("urn:L")], &all);
    world.publish("licences.example", &[notice("9", "nine")], &all);
    let refused = RecordProof::of(&world.replica, &origin("licences.example"), &notice("9", "").0, NOW);
    assert_eq!(refused, Err(ProveError::NoChain(origin("licences.example"))));
}

#[test]
fn the_binding_of_a_register_is_proven_by_itself() {
    let world = World::chain();
    let of = |host: &str| RecordProof::of_binding(&world.replica, &origin(host), NOW).unwrap();
    assert_eq!(of("interior.example"), None);
    let proven = of("licences.example").unwrap().verify(charter("interior.example").charter(), NOW).unwrap();
    let record = Record::new(proven.body().unwrap().clone());
    let bound = record.trust_entry().unwrap().terms.register.as_ref().unwrap();
    assert_eq!(
        (proven.register().entity.as_str(), &bound.origin),
        ("did:web:transport.example", &origin("licences.example"))
    );
}

#[test]
fn a_later_version_asks_for_an_upgrade() {
    let proof = World::chain().prove("interior.example", &notice("1", "").0);
    let mut log = TlogProof::parse(proof.to_text().as_bytes()).unwrap();
    let extra = log.extra.as_mut().unwrap();
    assert_eq!(extra[..3], [0xa3, 0, 1]);
    extra[2] = 2;
    let refused = verify(log.to_string().as_bytes()).unwrap_err();
    assert_eq!(refused, RecordProofError::UpgradeNeeded(2));
    assert!(refused.is_upgrade_needed());
    log.extra = None;
    assert!(matches!(verify(log.to_string().as_bytes()), Err(RecordProofError::Extra(_))));
}
