use super::*;
use crate::charter::WitnessSet;
use crate::key::{Algorithm, SecretKey};
use crate::log::cosignature;
use crate::log::merkle::{Tree, leaf_hash};
use crate::log::view::{Frontier, View};

const ORIGIN: &str = "transport.gov.example/register/00";

fn key(name: &str, algorithm: Algorithm, seed: u8) -> (VerifierKey, SecretKey) {
    let secret = SecretKey::from_seed(&[seed; 32]);
    (VerifierKey::new(name, algorithm, secret.public()).expect("a name"), secret)
}

fn cosign_key() -> (VerifierKey, SecretKey) {
    key("customs.gov.example/witness", Algorithm::Cosignature, 1)
}

fn view_key() -> (VerifierKey, SecretKey) {
    key("customs.gov.example/view", Algorithm::Note, 2)
}

fn network() -> Digest {
    Digest::of(b"network")
}

fn set() -> WitnessSet {
    WitnessSet::of_one("customs", cosign_key().0, view_key().0)
}

fn check(proof: &WitnessProof) -> Result<Contradiction, WitnessProofError> {
    proof.check(network(), [&set()].into_iter()).map(|shown| shown.contradiction)
}

fn tree(leaves: u64, other_from: u64) -> Tree {
    let mut tree = Tree::default();
    for i in 0..leaves {
        let text = if i >= other_from { format!("other {i}") } else { format!("leaf {i}") };
        tree.push(leaf_hash(text.as_bytes()));
    }
    tree
}

fn head(tree: &Tree, size: u64) -> Checkpoint {
    Checkpoint { origin: ORIGIN.into(), size, root: tree.root_at(size).expect("held") }
}

fn cosigned(head: &Checkpoint, time: u64) -> Said {
    let (key, secret) = cosign_key();
    let line = cosignature::sign(&head.text(), time, &key, &secret);
    Said::cosigned(&Cosignature::verify(head, &line, "customs", &key).expect("signed"))
}

fn viewed_by(head: &Checkpoint, time: u64, network: Digest, witness: &str) -> Said {
    let mut frontier = Frontier::default();
    for i in 0..100 {
        let root = Digest::of(format!("{i}").as_bytes());
        frontier.put(&format!("r{i}.example/register/00"), Leaf { size: 3, root });
    }
    frontier.put(&head.origin, Leaf { size: head.size, root: head.root });
    let view = View {
        network,
        witness: witness.into(),
        time,
        charter_version: 1,
        charter_digest: Digest::of(b"charter"),
        registers: frontier.len() as u64,
        root: frontier.root(),
    };
    let (key, secret) = view_key();
    let signed = SignedView::authenticate(view.sign(&key, &secret), &key).expect("signed");
    Said::viewed(&HeldView { signed, frontier }, &head.origin).expect("a leaf")
}

fn viewed(head: &Checkpoint, time: u64) -> Said {
    viewed_by(head, time, network(), "customs")
}

fn proof(one: Said, two: Said, other: Option<(Digest, Vec<Digest>)>) -> WitnessProof {
    WitnessProof::new("customs", one, two, other).expect("they read")
}

#[test]
fn a_later_statement_of_a_smaller_head_is_one_in_all_four_pairs() {
    let log = tree(5, 99);
    let (small, large) = (head(&log, 3), head(&log, 5));
    for early in [cosigned(&large, 100), viewed(&large, 100)] {
        for late in [cosigned(&small, 101), viewed(&small, 101)] {
            for proof in [proof(early.clone(), late.clone(), None), proof(late.clone(), early.clone(), None)] {
                assert_eq!(check(&proof), Ok(Contradiction::LaterSmaller));
                let again = WitnessProof::parse(&proof.encode()).expect("reads");
                assert_eq!((again.encode(), check(&again)), (proof.encode(), Ok(Contradiction::LaterSmaller)));
                assert_eq!(proof.origin().as_deref(), Some(ORIGIN));
            }
        }
    }
    for late in [cosigned(&small, 100), viewed(&small, 99)] {
        assert_eq!(check(&proof(cosigned(&large, 100), late, None)), Err(WitnessProofError::NoContradiction));
    }
}

#[test]
fn two_roots_at_one_size_are_one_at_any_times() {
    let (one, two) = (head(&tree(5, 99), 5), head(&tree(5, 4), 5));
    assert_eq!(check(&proof(cosigned(&one, 100), viewed(&two, 7), None)), Ok(Contradiction::EqualSize));
    assert_eq!(check(&proof(cosigned(&one, 100), cosigned(&one, 200), None)), Err(WitnessProofError::Order));
}

#[test]
fn a_larger_head_that_continues_another_log_is_one() {
    let (log, other) = (tree(8, 99), tree(8, 2));
    let (small, large) = (head(&other, 4), head(&log, 8));
    let besides = (log.root_at(4).expect("held"), log.consistency(4, 8).expect("held"));
    let with = |besides| proof(cosigned(&small, 1), viewed(&large, 9), Some(besides));
    assert_eq!(check(&with(besides.clone())), Ok(Contradiction::Inconsistent));
    assert_eq!(check(&with((small.root, besides.1.clone()))), Err(WitnessProofError::SuperfluousProof));
    assert_eq!(check(&with((besides.0, vec![]))), Err(WitnessProofError::BadConsistency));
    let honest = proof(cosigned(&head(&log, 4), 1), viewed(&large, 9), Some(besides.clone()));
    assert_eq!(check(&honest), Err(WitnessProofError::SuperfluousProof), "the root that was named");
    let empty = Checkpoint { size: 0, root: Digest::OF_NOTHING, ..small.clone() };
    let from_nothing = proof(cosigned(&empty, 1), cosigned(&large, 9), Some((Digest::of(b"x"), vec![])));
    assert_eq!(check(&from_nothing), Err(WitnessProofError::SuperfluousProof), "any root follows from the empty tree");
}

#[test]
fn counts_only_under_the_keys_of_one_charter() {
    let log = tree(5, 99);
    let proof = proof(cosigned(&head(&log, 5), 100), viewed(&head(&log, 3), 101), None);
    let other = key("customs.gov.example/view", Algorithm::Note, 9).0;
    let rekeyed = WitnessSet::of_one("customs", cosign_key().0, other);
    let result = proof.check(network(), [&rekeyed].into_iter());
    let unknown = WitnessProofError::View(ViewError::Note(NoteError::UnknownKey));
    assert_eq!(result, Err(unknown), "the keys of another charter");
    assert!(proof.check(network(), [&rekeyed, &set()].into_iter()).is_ok(), "any charter held may name it");
    let stranger = WitnessSet::of_one("health", cosign_key().0, view_key().0);
    let nobody = proof.check(network(), [&stranger].into_iter());
    assert_eq!(nobody, Err(WitnessProofError::UnknownWitness("customs".into())));
}

#[test]
fn refuses_a_view_of_another_network_or_witness_or_a_head_that_is_not_in_it() {
    let log = tree(5, 99);
    let (small, large) = (head(&log, 3), head(&log, 5));
    let with = |late| check(&proof(cosigned(&large, 100), late, None));
    let elsewhere = viewed_by(&small, 101, Digest::of(b"another"), "customs");
    assert!(matches!(with(elsewhere), Err(WitnessProofError::View(ViewError::OtherNetwork { .. }))));
    let another = viewed_by(&small, 101, network(), "health");
    assert!(matches!(with(another), Err(WitnessProofError::OtherWitness { .. })));
    let Said::Viewed { note, path, .. } = viewed(&small, 101) else { panic!("a view") };
    let moved = Said::Viewed { note: note.clone(), head: head(&log, 2), path: path.clone() };
    assert_eq!(with(moved), Err(WitnessProofError::Path));
    let other_register = Checkpoint { origin: "other.example/register/00".into(), ..small.clone() };
    assert_eq!(with(viewed(&other_register, 101)), Err(WitnessProofError::TwoRegisters));
    let mut longer = path.clone();
    longer.push(Digest([0; 32]));
    assert_eq!(with(Said::Viewed { note, head: small, path: longer }), Err(WitnessProofError::Path));
}

#[test]
fn each_change_of_a_byte_is_refused() {
    let (log, other) = (tree(8, 99), tree(8, 2));
    let besides = (log.root_at(4).expect("held"), log.consistency(4, 8).expect("held"));
    let proof = proof(cosigned(&head(&other, 4), 1), viewed(&head(&log, 8), 9), Some(besides));
    let bytes = proof.encode();
    assert!(bytes.len() < limits::WITNESS_PROOF_SIZE_MAX, "{}", bytes.len());
    for place in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[place] ^= 1;
        let holds = WitnessProof::parse(&altered).is_ok_and(|altered| check(&altered).is_ok());
        assert!(!holds, "byte {place} does not matter");
        assert!(WitnessProof::parse(&bytes[..place]).is_err(), "cut at {place}");
    }
    assert!(WitnessProof::parse(&[&bytes[..], &[0]].concat()).is_err(), "trailing bytes");
}

#[test]
fn the_largest_that_views_can_give_fits() {
    let name = "n".repeat(limits::KEY_NAME_SIZE_MAX);
    let path = vec![Digest::of(b"sibling"); limits::WITNESS_PROOF_PATH_MAX];
    let head = Checkpoint { origin: name.clone(), size: u64::MAX >> 1, root: Digest::of(b"root") };
    let note = "x".repeat(1200 + name.len());
    let said = Said::Viewed { note, head, path };
    let hashes = vec![Digest::of(b"hash"); limits::CONSISTENCY_HASHES_MAX];
    let proof = WitnessProof { witness: name, said: [said.clone(), said], other: Some((Digest::of(b"x"), hashes)) };
    assert!(proof.encode().len() <= limits::WITNESS_PROOF_SIZE_MAX, "{}", proof.encode().len());
    assert!(WitnessProof::parse(&proof.encode()).is_ok());
}
