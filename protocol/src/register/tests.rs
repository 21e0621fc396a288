//! Tests that need a publisher, witnesses and a register together.
#![allow(clippy::unwrap_used)]

mod branches;

use std::sync::Arc;

use bytes::Bytes;

use super::admission::Admission;
use super::body::{Bodies, Record};
use super::draft::{Ground, Prepared};
use super::entry::Change;
use super::fact::{Outcome, Reason};
use super::query::{KeyQuery, StatusQuery};
use super::record::RecordKey;
use super::state::{Register, StateError, Witnessing};
use crate::digest::Digest;
use crate::key::{Algorithm, SecretKey, VerifierKey, origin_of};
use crate::log::checkpoint::{Checkpoint, SignedHead};
use crate::log::cosignature::{self, Cosignature};
use crate::log::note::{self, Note, SignatureLine};
use crate::log::policy::Quorum;
use crate::status::native::StatusList;
use crate::time::Time;

/// A put of a record whose body is its key.
pub(super) fn put(key: &str) -> Change {
    put_body(key, key.as_bytes())
}

fn put_body(key: &str, body: &[u8]) -> Change {
    Change { key: RecordKey::parse(key).unwrap(), digest: Some(Digest::of(body)) }
}

fn remove(key: &str) -> Change {
    Change { key: RecordKey::parse(key).unwrap(), digest: None }
}

/// A key of a register, with three witnesses A, B and C of which two make a quorum; C is not admitting.
pub(super) struct Publisher {
    secret: SecretKey,
    keys: Vec<VerifierKey>,
    witnesses: Vec<(SecretKey, VerifierKey)>,
}

impl Publisher {
    pub(super) fn new() -> Self {
        let secret = SecretKey::from_seed(&[1; 32]);
        let origin = origin_of("a.example/register", &secret.public());
        let keys = vec![VerifierKey::new(&origin, Algorithm::Note, secret.public()).unwrap()];
        let witness = |n: u8| {
            let secret = SecretKey::from_seed(&[n; 32]);
            let key = VerifierKey::new(&format!("w{n}.example"), Algorithm::Cosignature, secret.public()).unwrap();
            (secret, key)
        };
        Self { secret, keys, witnesses: [2, 3, 4].map(witness).into() }
    }

    pub(super) fn origin(&self) -> &str {
        self.keys[0].name()
    }

    pub(super) fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    fn witnessing(&self) -> Arc<Witnessing> {
        let mut policy = String::new();
        for ((_, key), name) in self.witnesses.iter().zip(["A", "B", "C"]) {
            policy += &format!("witness {name} {key}\n");
        }
        let quorum = Quorum::parse(&(policy + "group Q 2 A B C\nquorum Q\n")).unwrap();
        Arc::new(Witnessing::new(quorum, ["A".to_owned(), "B".to_owned()].into()))
    }

    pub(super) fn register(&self) -> Register {
        Register::new(self.origin(), self.keys(), self.witnessing())
    }

    pub(super) fn sign(&self, draft: &Prepared) -> SignatureLine {
        note::sign(&draft.text(), &self.keys[0], &self.secret)
    }

    pub(super) fn offer(&self, register: &mut Register, draft: &Prepared) -> Admission {
        let head = draft.finalise(vec![self.sign(draft)], self.keys()).unwrap();
        let entries: Vec<Bytes> = draft.entries().iter().map(|entry| entry.bytes().clone()).collect();
        register.admit(head, vec![], draft.first(), &entries)
    }

    /// Appends changes as one entry under a head.
    fn publish(&self, register: &mut Register, changes: Vec<Change>) -> Prepared {
        let draft = Ground::of(register).unwrap().prepare(Time::START, changes).unwrap();
        assert_eq!(self.offer(register, &draft), Admission::Advanced);
        draft
    }

    fn cosign(&self, draft: &Prepared, witness: usize, time: u64) -> Cosignature {
        let (secret, key) = &self.witnesses[witness];
        let line = cosignature::sign(&draft.text(), time, key, secret);
        Cosignature::verify(draft.checkpoint(), &line, ["A", "B", "C"][witness], key).unwrap()
    }

    fn witness(&self, register: &mut Register, draft: &Prepared) {
        assert!(register.add_cosignature(self.cosign(draft, 0, 10)));
        assert!(register.add_cosignature(self.cosign(draft, 1, 10)));
    }
}

#[test]
fn w_needs_a_quorum_of_admitting_witnesses_at_one_checkpoint() {
    let publisher = Publisher::new();
    let mut register = publisher.register();
    let first = publisher.publish(&mut register, vec![put("notice/1")]);
    let second = publisher.publish(&mut register, vec![put("notice/2")]);
    assert!(register.add_cosignature(publisher.cosign(&first, 0, 10)));
    assert!(register.add_cosignature(publisher.cosign(&second, 1, 10)));
    assert!(register.add_cosignature(publisher.cosign(&second, 2, 10)));
    assert_eq!(register.size_witnessed(), 0);
    assert!(register.add_cosignature(publisher.cosign(&first, 1, 10)));
    assert_eq!(register.size_witnessed(), 1);
    assert!(register.add_cosignature(publisher.cosign(&second, 0, 10)));
    assert_eq!(register.size_witnessed(), 2);
}

#[test]
fn of_two_cosignatures_of_a_witness_the_newer_counts() {
    let publisher = Publisher::new();
    let mut register = publisher.register();
    let draft = publisher.publish(&mut register, vec![put("notice/1")]);
    assert!(register.add_cosignature(publisher.cosign(&draft, 0, 10)));
    assert!(!register.add_cosignature(publisher.cosign(&draft, 0, 10)));
    assert!(!register.add_cosignature(publisher.cosign(&draft, 0, 9)));
    assert!(register.add_cosignature(publisher.cosign(&draft, 0, 11)));
    assert_eq!(register.newest_stand().unwrap().cosignature("A").unwrap().time(), 11);
}

#[test]
fn another_policy_does_not_move_w_back() {
    let publisher = Publisher::new();
    let mut register = publisher.register();
    let draft = publisher.publish(&mut register, vec![put("notice/1")]);
    publisher.witness(&mut register, &draft);
    let nobody = Witnessing { admitting: [].into(), ..(*publisher.witnessing()).clone() };
    register.set_witnessing(Arc::new(nobody));
    assert_eq!(register.size_witnessed(), 1);
}

#[test]
fn a_clone_does_not_change_with_the_original() {
    let publisher = Publisher::new();
    let mut register = publisher.register();
    let mut clones = Vec::new();
    for n in 0..600 {
        let draft = publisher.publish(&mut register, vec![put(&format!("notice/{n}"))]);
        if n % 100 == 50 {
            publisher.witness(&mut register, &draft);
            clones.push((register.clone(), n + 1, draft.checkpoint().root));
        }
    }
    for (clone, size, root) in clones {
        assert_eq!((clone.size_newest(), clone.size_witnessed()), (size, size));
        assert_eq!(clone.root_at(size), Some(root));
        assert_eq!(clone.state_witnessed().len() as u64, size);
        assert_eq!(clone.entries(0, u64::MAX).count() as u64, size);
    }
    assert_eq!(register.state_at(300).unwrap().len(), 300);
    assert_eq!(register.state_at(300).unwrap().root(), register.entry(299).unwrap().state_root());
}

#[test]
fn the_witnessed_branch_of_a_fork_becomes_the_main_one() {
    let publisher = Publisher::new();
    let mut register = publisher.register();
    for n in 0..300 {
        publisher.publish(&mut register, vec![put(&format!("notice/{n}"))]);
    }
    let ground = Ground::of(&register).unwrap();
    for n in 0..5 {
        publisher.publish(&mut register, vec![put(&format!("notice/ours{n}"))]);
    }
    let branch = (0..3).map(|n| vec![put(&format!("notice/theirs{n}"))]);
    let theirs = ground.prepare_all(Time::START, branch).unwrap().unwrap();
    assert_eq!(publisher.offer(&mut register, &theirs), Admission::Fork);
    assert_eq!((register.size_newest(), register.fork_point(), register.size_other()), (305, Some(300), 303));
    let proof = register.fork_proof().unwrap().clone();
    assert!(proof.check(publisher.origin(), publisher.keys()).is_ok());
    publisher.witness(&mut register, &theirs);
    assert_eq!((register.size_newest(), register.size_witnessed(), register.size_other()), (303, 303, 305));
    assert_eq!(register.root_at(303), Some(theirs.checkpoint().root));
    assert_eq!(register.state_newest(), &theirs.ground().state);
    assert_eq!(register.entries_other().count(), 5);
    assert_eq!(register.fork_proof(), Some(&proof));
}

#[test]
fn a_third_branch_is_refused() {
    let publisher = Publisher::new();
    let mut register = publisher.register();
    publisher.publish(&mut register, vec![put("notice/0")]);
    let ground = Ground::of(&register).unwrap();
    publisher.publish(&mut register, vec![put("notice/1")]);
    let draft = |key| ground.prepare(Time::START, vec![put(key)]).unwrap();
    assert_eq!(publisher.offer(&mut register, &draft("notice/2")), Admission::Fork);
    assert_eq!(publisher.offer(&mut register, &draft("notice/3")), Admission::ThirdBranch);
    assert_eq!(publisher.offer(&mut register, &draft("notice/1")), Admission::Known);
}

#[test]
fn a_head_of_another_key_changes_nothing() {
    let publisher = Publisher::new();
    let mut register = publisher.register();
    let draft = Ground::of(&register).unwrap().prepare(Time::START, vec![put("notice/1")]).unwrap();
    register.bind(&[]);
    assert_eq!(publisher.offer(&mut register, &draft), Admission::NotBound);
    assert_eq!(register.size_newest(), 0);
}

#[test]
fn a_state_is_taken_only_with_its_quorum_its_entry_and_its_root() {
    let publisher = Publisher::new();
    let mut register = publisher.register();
    let first = publisher.publish(&mut register, vec![put("notice/1"), put("trust/e/recognize/l")]);
    let draft = publisher.publish(&mut register, vec![put("notice/2")]);
    let head = register.newest_head().unwrap().clone();
    let both = vec![publisher.cosign(&draft, 0, 10), publisher.cosign(&draft, 1, 10)];
    let (entry, proof) = register.proof_of_last(2).unwrap();
    let last = (entry.clone(), proof);
    let take = |cosignatures: Vec<Cosignature>, last, state| {
        Register::from_state(publisher.keys(), publisher.witnessing(), head.clone(), cosignatures, last, state)
    };
    let state = || register.state_newest().clone();
    let light = take(both.clone(), last.clone(), state()).unwrap();
    assert_eq!((light.size_base(), light.size_witnessed(), light.recognitions().len()), (2, 2, 1));
    let one = vec![publisher.cosign(&draft, 0, 10), publisher.cosign(&draft, 2, 10)];
    assert_eq!(take(one, last.clone(), state()).err(), Some(StateError::NoQuorum));
    let other = (first.entries()[0].clone(), last.1.clone());
    assert_eq!(take(both.clone(), other, state()).err(), Some(StateError::LastEntry));
    let refused = take(both, last, first.ground().state.clone()).err();
    assert!(matches!(refused, Some(StateError::StateRoot { .. })));
}

#[test]
fn pending_removal_of_very_many_records_is_held_until_witnessed() {
    let publisher = Publisher::new();
    let mut register = publisher.register();
    let key = |n| format!("did/did:web:e{n}.example");
    let document = |n| {
        format!(
            r#"{{"assertionMethod":["k"],"id":"did:web:e{n}.example","verificationMethod":[{{"controller":"did:web:e{n}.example","id":"k","publicKeyMultibase":"z1"}}]}}"#
        )
    };
    let bodies: Bodies = (0..40).map(|n| Arc::new(Record::new(document(n)))).collect();
    let puts = (0..40).map(|n| put_body(&key(n), document(n).as_bytes())).collect();
    let draft = publisher.publish(&mut register, puts);
    publisher.witness(&mut register, &draft);
    let ask = |register: &Register| {
        let query = KeyQuery { did: "did:web:e0.example", method: "k", relationship: "assertionMethod", public: "z1" };
        let fact = register.key_fact(&bodies, &query);
        (fact.outcome, fact.reason)
    };
    assert_eq!(ask(&register), (Outcome::Granted, None));
    publisher.publish(&mut register, (0..15).map(|n| remove(&key(n))).collect());
    assert_eq!(ask(&register), (Outcome::Withdrawn, Some(Reason::TakenBack)));
    let last = publisher.publish(&mut register, vec![remove(&key(15))]);
    assert_eq!(ask(&register), (Outcome::Withdrawn, Some(Reason::MassWithdrawal)));
    publisher.witness(&mut register, &last);
    assert_eq!(ask(&register), (Outcome::Absent, Some(Reason::NoFact)));
}

#[test]
fn one_pending_revocation_counts_at_once_in_a_large_list() {
    let publisher = Publisher::new();
    let mut register = publisher.register();
    let list = StatusList::new("https://a.example/1", "revocation", 1, 1 << 20).unwrap();
    let revoked = list.edited(1 << 20, &[(7, 1)]).unwrap();
    let mass = revoked.edited(1 << 20, &(100_000..120_000).map(|i| (i, 1)).collect::<Vec<_>>()).unwrap();
    let records = [&list, &revoked, &mass].map(|list| Arc::new(Record::new(list.encode())));
    let bodies: Bodies = records.iter().cloned().collect();
    let key = "status/https:%2F%2Fa.example%2F1";
    let draft = publisher.publish(&mut register, vec![put_body(key, records[0].body())]);
    publisher.witness(&mut register, &draft);
    let ask = |register: &Register, index| {
        let query = StatusQuery { list: "https://a.example/1", index, purpose: "revocation", rejects: &[1] };
        let fact = register.status_fact(&bodies, &query, None);
        (fact.outcome, fact.reason)
    };
    assert_eq!(ask(&register, 7), (Outcome::Granted, None));
    publisher.publish(&mut register, vec![put_body(key, records[1].body())]);
    assert_eq!(ask(&register, 7), (Outcome::Withdrawn, Some(Reason::Status)));
    assert_eq!(ask(&register, 8), (Outcome::Granted, None));
    publisher.publish(&mut register, vec![put_body(key, records[2].body())]);
    assert_eq!(ask(&register, 7), (Outcome::Withdrawn, Some(Reason::MassWithdrawal)));
    assert_eq!(ask(&register, 8), (Outcome::Granted, None));
}

/// A head over one valid entry, then one of version 2, then another valid one.
fn beyond(publisher: &Publisher, ground: &Ground, label: &str) -> (SignedHead, Vec<Bytes>) {
    let first = ground.prepare(Time::START, vec![put(&format!("notice/{label}"))]).unwrap();
    let later = Bytes::from_static(b"\xa2\x00\x02\x01\x61\x78");
    let second = first.ground().prepare(Time::START, vec![put("notice/after")]).unwrap();
    let mut entries: Vec<Bytes> = first.entries().iter().map(|entry| entry.bytes().clone()).collect();
    entries.push(later);
    entries.extend(second.entries().iter().map(|entry| entry.bytes().clone()));
    (signed_over(publisher, ground, &entries), entries)
}

fn signed_over(publisher: &Publisher, ground: &Ground, entries: &[Bytes]) -> SignedHead {
    let mut edge = ground.edge.clone();
    entries.iter().for_each(|entry| edge.append(entry));
    let checkpoint = Checkpoint { origin: publisher.origin().to_owned(), size: edge.size(), root: edge.root() };
    let line = note::sign(&checkpoint.text(), &publisher.keys[0], &publisher.secret);
    SignedHead::authenticate(Note::new(checkpoint.text(), vec![line]), publisher.origin(), publisher.keys()).unwrap()
}

#[test]
fn entries_of_a_later_version_are_kept_and_nothing_after_them_is_read() {
    let publisher = Publisher::new();
    let mut register = publisher.register();
    publisher.publish(&mut register, vec![put("notice/1")]);
    let (head, entries) = beyond(&publisher, &Ground::of(&register).unwrap(), "2");
    let needed = Admission::UpgradeNeeded { version: 2 };
    assert_eq!(register.admit(head.clone(), vec![], 1, &entries), needed);
    assert_eq!(register.admit(head, vec![], 1, &entries), needed);
    let unread = register.unread().unwrap();
    assert_eq!((register.size_newest(), unread.number, unread.head.checkpoint().size), (2, 2, 4));
    assert_eq!(unread.entries, entries[1..]);
    assert!(!register.is_forked() && register.frozen().is_none());
    assert!(Ground::of(&register).is_err());
    let longer = [&entries[..], &[Bytes::from_static(b"anything")]].concat();
    let head = signed_over(&publisher, &publisher_ground(&register, 1), &longer);
    assert_eq!(register.admit(head, vec![], 1, &longer), needed);
    assert_eq!(register.unread().unwrap().head.checkpoint().size, 5);
    assert!(!register.is_forked());
}

fn publisher_ground(register: &Register, size: u64) -> Ground {
    let mut ground = Ground::empty(register.origin());
    (ground.edge, ground.state) = (register.edge(size).unwrap(), register.state_at(size).unwrap());
    ground
}

#[test]
fn a_head_beside_one_that_cannot_be_read_is_a_fork() {
    let publisher = Publisher::new();
    for (label, size) in [("smaller", 2), ("equal", 4), ("larger", 6)] {
        let mut register = publisher.register();
        let first = publisher.publish(&mut register, vec![put("notice/1")]);
        let (head, entries) = beyond(&publisher, &Ground::of(&register).unwrap(), "2");
        register.admit(head, vec![], 1, &entries);
        let ground = publisher_ground(&register, 2);
        let mut draft = ground.prepare(Time::START, vec![put("notice/other")]).unwrap();
        let mut other: Vec<Bytes> = draft.entries().iter().map(|entry| entry.bytes().clone()).collect();
        while 2 + (other.len() as u64) < size.max(3) {
            draft = draft.ground().prepare(Time::START, vec![put(&format!("notice/{}", other.len()))]).unwrap();
            other.extend(draft.entries().iter().map(|entry| entry.bytes().clone()));
        }
        let head = signed_over(&publisher, &ground, &other);
        assert_eq!(register.admit(head, vec![], 2, &other), Admission::Fork, "{label}");
        let proof = register.fork_proof().unwrap();
        assert!(proof.check(register.origin(), register.keys()).is_ok(), "{label}");
        assert!(register.unread().is_some() && register.tail().is_none(), "{label}");
        // What both histories have in common is witnessed as before.
        publisher.witness(&mut register, &first);
        assert_eq!(register.size_witnessed(), 1, "{label}");
    }
}

#[test]
fn what_cannot_be_read_on_the_other_branch_is_kept_too() {
    let publisher = Publisher::new();
    let mut register = publisher.register();
    publisher.publish(&mut register, vec![put("notice/1")]);
    let ground = Ground::of(&register).unwrap();
    publisher.publish(&mut register, vec![put("notice/2")]);
    let (head, entries) = beyond(&publisher, &ground, "else");
    assert_eq!(register.admit(head, vec![], 1, &entries), Admission::Fork);
    assert!(register.unread().is_some() && register.tail().is_none());
    assert_eq!((register.size_newest(), register.size_other()), (2, 2));
}
