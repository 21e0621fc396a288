//! What a publisher asks of a witness over HTTP (C2SP tlog-witness, `add-checkpoint`).
//!
//! ```text
//! old 41                                        <- size that the witness cosigned last
//! PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=  <- consistency proof from there, at most 63 hashes
//!                                               <- blank line
//! transport.gov.example/register/8d3f…          <- the checkpoint's note
//! 42
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//!
//! — transport.gov.example/register/8d3f… base64(key id ‖ signature)
//! ```
//!
//! Whether a witness of ours then cosigns also depends on what it has replayed (`specs/witness.md` §5).

use data_encoding::BASE64;

use super::checkpoint::{Checkpoint, CheckpointError, parse_decimal};
use super::merkle;
use super::note::{Note, NoteError};
use crate::digest::Digest;
use crate::limits;

/// Why a body is no request: the answer is 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddCheckpointError {
    /// More bytes than a request may have.
    #[error("expected a body of at most {max} bytes, {0} came", max = limits::ADD_CHECKPOINT_SIZE_MAX)]
    Size(usize),
    /// Not UTF-8, or no blank line between proof and note.
    #[error("expected `old SIZE`, the lines of a proof, a blank line and a note, as UTF-8")]
    Shape,
    /// A first line of another form.
    #[error("expected `old ` and a size in decimal, without leading zeroes")]
    Old,
    /// Too many lines of proof.
    #[error("expected at most {max} hashes, {0} came", max = limits::CONSISTENCY_HASHES_MAX)]
    Count(usize),
    /// A line of proof that is not a hash.
    #[error("expected 32 bytes in canonical base64 on each line of the proof")]
    Hash,
    /// The note is not well formed.
    #[error("the note is refused")]
    Note(#[from] NoteError),
    /// The note's text is not a checkpoint of ours.
    #[error("the note's text is not a checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// The old size is above that of the checkpoint.
    #[error("expected an old size of at most {size}, {old} came")]
    OldAbove {
        /// The old size.
        old: u64,
        /// The checkpoint's.
        size: u64,
    },
}

/// A request to cosign a checkpoint; its signatures are not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size that the witness is thought to have cosigned last.
    pub old: u64,
    /// A consistency proof from there to the checkpoint.
    pub proof: Vec<Digest>,
    /// The checkpoint's note.
    pub note: Note,
    /// What the note's text says.
    pub checkpoint: Checkpoint,
}

impl AddCheckpoint {
    /// Reads the body of a request, whole or not at all.
    pub fn parse(body: &[u8]) -> Result<Self, AddCheckpointError> {
        if body.len() > limits::ADD_CHECKPOINT_SIZE_MAX {
            return Err(AddCheckpointError::Size(body.len()));
        }
        let text = std::str::from_utf8(body).map_err(|_| AddCheckpointError::Shape)?;
        let (head, note) = text.split_once("\n\n").ok_or(AddCheckpointError::Shape)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).ok_or(AddCheckpointError::Old)?;
        let old = parse_decimal(old, limits::TREE_SIZE_MAX).ok_or(AddCheckpointError::Old)?;
        let count = lines.clone().count();
        if count > limits::CONSISTENCY_HASHES_MAX {
            return Err(AddCheckpointError::Count(count));
        }
        let hash = |line: &str| Digest::from_slice(&BASE64.decode(line.as_bytes()).ok()?);
        let proof = lines.map(hash).collect::<Option<_>>().ok_or(AddCheckpointError::Hash)?;
        let note = Note::parse(note.as_bytes())?;
        let checkpoint = Checkpoint::parse(note.text())?;
        if old > checkpoint.size {
            return Err(AddCheckpointError::OldAbove { old, size: checkpoint.size });
        }
        Ok(Self { old, proof, note, checkpoint })
    }
}

/// What follows from the last checkpoint that a witness cosigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It continues the last one.
    Forward,
    /// It is the last one.
    Again,
    /// The old size, or the root at it, is not that of the last one: 409, with this size.
    Conflict(u64),
    /// The consistency proof does not hold: 422.
    BadProof,
}

/// Compares a request with the last checkpoint cosigned; `None` when there is none.
pub fn step(old: u64, proof: &[Digest], new: &Checkpoint, last: Option<(u64, Digest)>) -> Step {
    let (size, root) = last.unwrap_or((0, Digest::OF_NOTHING));
    if old != size {
        return Step::Conflict(size);
    }
    if new.size == size {
        return match () {
            () if new.root != root => Step::Conflict(size),
            () if !proof.is_empty() => Step::BadProof,
            // Nothing was cosigned yet, not even the empty tree.
            () if last.is_none() => Step::Forward,
            () => Step::Again,
        };
    }
    // From the empty tree everything follows, and nothing proves it.
    let holds =
        if size == 0 { proof.is_empty() } else { merkle::verify_consistency(size, new.size, root, new.root, proof) };
    if holds { Step::Forward } else { Step::BadProof }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Algorithm, SecretKey, VerifierKey};
    use crate::log::merkle::Tree;
    use crate::log::note;

    fn tree(leaves: u64, other_from: u64) -> Tree {
        let mut tree = Tree::default();
        for i in 0..leaves {
            let text = if i >= other_from { format!("other {i}") } else { format!("leaf {i}") };
            tree.push(merkle::leaf_hash(text.as_bytes()));
        }
        tree
    }

    fn checkpoint(tree: &Tree) -> Checkpoint {
        Checkpoint { origin: "log.example".into(), size: tree.size(), root: tree.root() }
    }

    fn body(old: u64, proof: &[Digest], checkpoint: &Checkpoint) -> String {
        let secret = SecretKey::from_seed(&[9; 32]);
        let key = VerifierKey::new("log.example", Algorithm::Note, secret.public()).expect("a name");
        let lines: String = proof.iter().map(|hash| BASE64.encode(hash.as_bytes()) + "\n").collect();
        let note = Note::new(checkpoint.text(), vec![note::sign(&checkpoint.text(), &key, &secret)]);
        format!("old {old}\n{lines}\n{note}")
    }

    #[test]
    fn reads_a_request() {
        let tree = tree(9, 99);
        let proof = tree.consistency(4, 9).expect("held");
        let read = AddCheckpoint::parse(body(4, &proof, &checkpoint(&tree)).as_bytes()).expect("well formed");
        assert_eq!((read.old, &read.proof, &read.checkpoint), (4, &proof, &checkpoint(&tree)));
        assert_eq!(read.note.signatures().len(), 1);
    }

    #[test]
    fn refuses_what_is_no_request() {
        let tree = tree(9, 99);
        let good = body(4, &[Digest::of(b"x")], &checkpoint(&tree));
        let refused = |text: &str| AddCheckpoint::parse(text.as_bytes()).expect_err("malformed");
        for cut in 0..good.len() {
            assert!(AddCheckpoint::parse(good.as_bytes().get(..cut).expect("inside")).is_err(), "cut at {cut}");
        }
        assert_eq!(refused(&good.replace("old 4", "old 04")), AddCheckpointError::Old);
        assert_eq!(refused(&good.replace("old 4", "Old 4")), AddCheckpointError::Old);
        assert_eq!(refused(&good.replace("old 4", "old -1")), AddCheckpointError::Old);
        assert_eq!(refused(&good.replace("old 4", "old 10")), AddCheckpointError::OldAbove { old: 10, size: 9 });
        assert_eq!(refused(&good.replace("old 4\n", "old 4\nAAAA\n")), AddCheckpointError::Hash);
        assert_eq!(refused(&good.replace("old 4\n", "old 4\r\n")), AddCheckpointError::Old);
        assert_eq!(refused(&body(4, &[Digest::of(b"x"); 64], &checkpoint(&tree))), AddCheckpointError::Count(64));
        assert!(AddCheckpoint::parse(body(4, &[Digest::of(b"x"); 63], &checkpoint(&tree)).as_bytes()).is_ok());
        assert_eq!(AddCheckpoint::parse(&vec![b'a'; limits::ADD_CHECKPOINT_SIZE_MAX + 1]), {
            Err(AddCheckpointError::Size(limits::ADD_CHECKPOINT_SIZE_MAX + 1))
        });
    }

    #[test]
    fn steps_forward_only_from_the_last_one_and_by_a_proof() {
        let (log, other) = (tree(9, 99), tree(9, 2));
        let at = |size| Some((size, log.root_at(size).expect("held")));
        let proof = |old| log.consistency(old, 9).expect("held");
        assert_eq!(step(4, &proof(4), &checkpoint(&log), at(4)), Step::Forward);
        assert_eq!(step(0, &[], &checkpoint(&log), None), Step::Forward);
        assert_eq!(step(9, &[], &checkpoint(&log), at(9)), Step::Again);
        assert_eq!(step(3, &proof(3), &checkpoint(&log), at(4)), Step::Conflict(4));
        assert_eq!(step(0, &[], &checkpoint(&log), at(4)), Step::Conflict(4));
        assert_eq!(step(9, &[], &checkpoint(&other), at(9)), Step::Conflict(9));
        assert_eq!(step(4, &proof(3), &checkpoint(&log), at(4)), Step::BadProof);
        assert_eq!(step(4, &other.consistency(4, 9).expect("held"), &checkpoint(&other), at(4)), Step::BadProof);
        assert_eq!(step(0, &proof(4), &checkpoint(&log), None), Step::BadProof);
        assert_eq!(step(9, &proof(4), &checkpoint(&log), at(9)), Step::BadProof);
    }

    #[test]
    fn the_empty_tree_is_cosigned_once_and_then_again() {
        let empty = Checkpoint { origin: "log.example".into(), size: 0, root: Digest::OF_NOTHING };
        assert_eq!(step(0, &[], &empty, None), Step::Forward);
        assert_eq!(step(0, &[], &empty, Some((0, Digest::OF_NOTHING))), Step::Again);
    }
}
