//! Branches, conflicts and the bounds of fork proofs: each rule of `specs/register.md` §6 and §7 that decides between
//! a lying carrier and a lying publisher.

use super::*;
use crate::limits;
use crate::log::checkpoint::{Checkpoint, SignedHead};
use crate::log::merkle::Edge;
use crate::log::note::Note;
use crate::register::fork::{ForkError, ForkKind, ForkProof};

impl Publisher {
    /// Signs the tree over any leaves, whether they are entries or not.
    fn head_over(&self, leaves: &[Bytes]) -> SignedHead {
        let mut edge = Edge::default();
        leaves.iter().for_each(|leaf| edge.append(leaf));
        let checkpoint = Checkpoint { origin: self.origin().to_owned(), size: edge.size(), root: edge.root() };
        let line = note::sign(&checkpoint.text(), &self.keys[0], &self.secret);
        SignedHead::authenticate(Note::new(checkpoint.text(), vec![line]), self.origin(), self.keys()).unwrap()
    }

    fn cosign_head(&self, head: &SignedHead, witness: usize, time: u64) -> Cosignature {
        let (secret, key) = &self.witnesses[witness];
        let line = cosignature::sign(&head.checkpoint().text(), time, key, secret);
        Cosignature::verify(head.checkpoint(), &line, ["A", "B", "C"][witness], key).unwrap()
    }
}

/// The entries of a history in which each entry puts one notice.
fn history(publisher: &Publisher, names: &[&str]) -> Vec<Bytes> {
    let batches = names.iter().map(|name| vec![put(&format!("notice/{name}"))]);
    let prepared = Ground::empty(publisher.origin()).prepare_all(Time::START, batches).unwrap().unwrap();
    prepared.entries().iter().map(|entry| entry.bytes().clone()).collect()
}

/// Offers the head over `leaves` with the entries from `first` on.
fn offer(publisher: &Publisher, register: &mut Register, leaves: &[Bytes], first: usize) -> Admission {
    register.admit(publisher.head_over(leaves), vec![], first as u64, &leaves[first..])
}

#[test]
fn a_held_head_without_entries_is_known_wherever_it_says_it_begins() {
    let publisher = Publisher::new();
    let mut register = publisher.register();
    let ours = history(&publisher, &["1", "2"]);
    assert_eq!(offer(&publisher, &mut register, &ours, 0), Admission::Advanced);
    assert_eq!(register.admit(publisher.head_over(&ours), vec![], 0, &[]), Admission::Known);
    assert_eq!(register.admit(publisher.head_over(&ours[..1]), vec![], 0, &[]), Admission::Older);
}

#[test]
fn only_outcomes_that_change_the_register_are_journalled() {
    let changing = [Admission::Advanced, Admission::Known, Admission::Older, Admission::Fork];
    assert!(changing.iter().all(Admission::changed));
    let others = [Admission::Gap, Admission::EntryCount, Admission::EntriesMismatch, Admission::ThirdBranch];
    assert!(!others.iter().any(Admission::changed));
    let others = [Admission::RegisterFrozen, Admission::NotBound, Admission::BeforeBase];
    assert!(!others.iter().any(Admission::changed));
}

#[test]
fn an_invalid_entry_is_kept_with_what_follows_it() {
    let publisher = Publisher::new();
    let mut register = publisher.register();
    let mut leaves = history(&publisher, &["1", "2", "3"]);
    assert_eq!(offer(&publisher, &mut register, &leaves[..2], 0), Admission::Advanced);
    leaves.extend([Bytes::from_static(b"no entry"), Bytes::from_static(b"what follows")]);
    assert!(matches!(offer(&publisher, &mut register, &leaves, 2), Admission::Frozen(_)));
    let frozen = register.frozen().unwrap();
    assert_eq!((frozen.number, &frozen.entry, &frozen.rest), (3, &leaves[3], &vec![leaves[4].clone()]));
    assert_eq!(register.size_newest(), 3);
}

#[test]
fn altered_entries_under_a_head_of_ours_are_the_carriers_fault() {
    let publisher = Publisher::new();
    let mut register = publisher.register();
    let ours = history(&publisher, &["1", "2", "3"]);
    assert_eq!(offer(&publisher, &mut register, &ours, 0), Admission::Advanced);
    let altered = [ours[0].clone(), Bytes::from_static(b"altered")];
    let refused = register.admit(publisher.head_over(&ours[..2]), vec![], 0, &altered);
    assert_eq!(refused, Admission::EntriesMismatch);
    let refused = register.admit(publisher.head_over(&ours), vec![], 2, &altered[1..]);
    assert_eq!(refused, Admission::EntriesMismatch);
    assert!(!register.is_forked());
}

#[test]
fn another_root_at_or_below_ours_is_a_fork_whatever_entries_came() {
    let publisher = Publisher::new();
    let ours = history(&publisher, &["1", "2", "3"]);
    let theirs = history(&publisher, &["1", "x", "y", "z"]);
    let held = || {
        let mut register = publisher.register();
        assert_eq!(offer(&publisher, &mut register, &ours, 0), Admission::Advanced);
        register
    };
    for (size, kind) in [(2, ForkKind::Consistency), (3, ForkKind::EqualSize)] {
        let mut register = held();
        assert_eq!(register.admit(publisher.head_over(&theirs[..size]), vec![], 0, &[]), Admission::Fork);
        let proof = register.fork_proof().unwrap();
        assert_eq!(proof.check(publisher.origin(), publisher.keys()).unwrap(), kind);
        assert!(proof.smaller().contains(&format!("\n{size}\n")) && proof.larger().contains("\n3\n"));
    }
    // Above ours the carrier may have lied: it takes the entries.
    let mut register = held();
    let junk = [Bytes::from_static(b"a"); 1];
    assert_eq!(register.admit(publisher.head_over(&theirs), vec![], 3, &junk), Admission::EntriesMismatch);
    assert!(!register.is_forked());
}

#[test]
fn the_other_branch_grows_and_takes_cosignatures_and_nothing_else() {
    let publisher = Publisher::new();
    let mut register = publisher.register();
    let ours = history(&publisher, &["1", "2", "3", "4"]);
    let theirs = history(&publisher, &["1", "2", "x", "y", "z"]);
    assert_eq!(offer(&publisher, &mut register, &ours, 0), Admission::Advanced);
    assert_eq!(offer(&publisher, &mut register, &theirs[..3], 0), Admission::Fork);
    assert_eq!((register.fork_point(), register.size_other()), (Some(2), 3));
    let proof = register.fork_proof().unwrap().clone();
    // Longer, the same again, and a part of it.
    for size in [5, 5, 4] {
        assert_eq!(offer(&publisher, &mut register, &theirs[..size], 2), Admission::Fork);
        assert_eq!(register.size_other(), 5);
        assert!(register.stands_other().any(|stand| stand.head().checkpoint().size == size as u64));
    }
    // Ours beyond the fork point, then another; and one that parts before the fork point.
    let third = history(&publisher, &["1", "2", "3", "x"]);
    assert_eq!(offer(&publisher, &mut register, &third, 0), Admission::ThirdBranch);
    let third = history(&publisher, &["1", "x", "y"]);
    assert_eq!(offer(&publisher, &mut register, &third, 0), Admission::ThirdBranch);
    assert_eq!(register.size_other(), 5);
    // A cosignature of a checkpoint of theirs, without its entries.
    let head = publisher.head_over(&theirs);
    let cosignature = publisher.cosign_head(&head, 0, 10);
    assert_eq!(register.admit(head, vec![cosignature], 5, &[]), Admission::Fork);
    let newest = register.stands_other().last().unwrap();
    assert_eq!((newest.head().checkpoint().size, newest.cosignatures().len()), (5, 1));
    assert_eq!(register.fork_proof(), Some(&proof));
}

#[test]
fn a_head_beyond_an_invalid_entry_of_the_other_branch_is_not_remembered() {
    let publisher = Publisher::new();
    let mut register = publisher.register();
    let ours = history(&publisher, &["1", "2"]);
    assert_eq!(offer(&publisher, &mut register, &ours, 0), Admission::Advanced);
    let mut theirs = history(&publisher, &["1", "x"]);
    theirs.push(Bytes::from_static(b"no entry"));
    assert_eq!(offer(&publisher, &mut register, &theirs, 0), Admission::Fork);
    assert_eq!((register.size_other(), register.stands_other().count()), (2, 0));
    assert_eq!(offer(&publisher, &mut register, &theirs[..2], 1), Admission::Fork);
    theirs.push(Bytes::from_static(b"nor this"));
    assert_eq!(offer(&publisher, &mut register, &theirs, 1), Admission::Fork);
    assert_eq!((register.size_other(), register.stands_other().count()), (2, 1));
}

#[test]
fn entries_that_part_from_ours_above_every_head_held_prove_nothing() {
    let publisher = Publisher::new();
    let mut register = publisher.register();
    let mut ours = history(&publisher, &["1", "2", "3"]);
    assert_eq!(offer(&publisher, &mut register, &ours[..1], 0), Admission::Advanced);
    ours.push(Bytes::from_static(b"no entry"));
    assert!(matches!(offer(&publisher, &mut register, &ours, 1), Admission::Frozen(_)));
    assert_eq!((register.size_newest(), register.newest_head().unwrap().checkpoint().size), (3, 1));
    for theirs in [&["1", "x"][..], &["1", "2", "x"]] {
        let theirs = history(&publisher, theirs);
        assert_eq!(offer(&publisher, &mut register, &theirs, 1), Admission::EntriesMismatch);
        assert!(!register.is_forked());
    }
}

#[test]
fn the_first_fork_proof_is_kept_when_a_branch_comes_after_it() {
    let publisher = Publisher::new();
    let mut register = publisher.register();
    let ours = history(&publisher, &["1", "2", "3"]);
    let theirs = history(&publisher, &["1", "x", "y"]);
    assert_eq!(offer(&publisher, &mut register, &ours, 0), Admission::Advanced);
    assert_eq!(register.admit(publisher.head_over(&theirs[..2]), vec![], 2, &[]), Admission::Fork);
    let proof = register.fork_proof().unwrap().clone();
    assert_eq!(offer(&publisher, &mut register, &theirs, 1), Admission::Fork);
    assert_eq!((register.fork_proof(), register.size_other()), (Some(&proof), 3));
}

#[test]
fn a_fork_proof_has_at_most_its_bytes() {
    let publisher = Publisher::new();
    let small = publisher.head_over(&history(&publisher, &["1"]));
    let large = publisher.head_over(&history(&publisher, &["x", "2"]));
    let text = |head: &SignedHead| head.note().to_string();
    let hash = Digest::of(b"hash");
    let proof = |padding: usize, hashes: usize| {
        // A line by a key that nobody knows, of any length.
        let unknown = format!("— {} {}\n", "p".repeat(padding), data_encoding::BASE64.encode(&[0; 68]));
        ForkProof::new(text(&small) + &unknown, text(&large), Some((hash, vec![hash; hashes])))
    };
    let size = |padding, hashes| {
        let proof = proof(padding, hashes);
        proof.smaller().len() + proof.larger().len() + 32 * (1 + hashes)
    };
    // Names have at most 256 bytes: most of the room goes to hashes.
    let hashes = (limits::FORK_PROOF_SIZE_MAX - size(1, 0)) / 32;
    let padding = 1 + limits::FORK_PROOF_SIZE_MAX - size(1, hashes);
    assert_eq!(size(padding, hashes), limits::FORK_PROOF_SIZE_MAX);
    let check = |padding| proof(padding, hashes).check(publisher.origin(), publisher.keys());
    assert_eq!(check(padding), Err(ForkError::BadConsistency));
    assert_eq!(check(padding + 1), Err(ForkError::Size(limits::FORK_PROOF_SIZE_MAX + 1)));
    // What is not even read is bounded by its encoding.
    let too_long = |length: usize| matches!(ForkProof::parse(&vec![0; length]), Err(ForkError::Size(_)));
    assert!(!too_long(limits::FORK_PROOF_SIZE_MAX + 512));
    assert!(too_long(limits::FORK_PROOF_SIZE_MAX + 513));
}
