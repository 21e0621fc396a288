//! Fork proofs: evidence that a key signed two histories of one register (`specs/register.md` §7).
//!
//! ```text
//! {0: smaller note, 1: larger note}                                    one size, two roots
//! {0: smaller note, 1: larger note, 2: other root, 3: [* hash]}        sizes 0 < m < n, and a consistency proof to the
//!                                                                      larger from a root at m other than the signed one
//! ```
//!
//! Deterministic CBOR; notes are text. A size of 0 proves nothing: any root follows from the empty tree.

pub mod report;

use std::fmt;

use crate::codec::{CborError, Reader, Writer};
use crate::digest::Digest;
use crate::key::VerifierKey;
use crate::limits;
use crate::log::checkpoint::{HeadError, SignedHead};
use crate::log::merkle;
use crate::log::note::Note;

/// Why something is not a fork proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// More bytes than a proof may have.
    #[error("expected a fork proof of at most {max} bytes, {0} came", max = limits::FORK_PROOF_SIZE_MAX)]
    Size(usize),
    /// Not its deterministic CBOR.
    #[error("expected deterministic CBOR {{0: smaller, 1: larger, ? 2: other root, 3: proof}}")]
    Cbor(#[from] CborError),
    /// One of the notes is no head of this register.
    #[error("expected two heads of this register")]
    Head(#[from] HeadError),
    /// A consistency proof between heads of one size.
    #[error("expected no consistency proof between heads of one size")]
    SuperfluousProof,
    /// Twice the same checkpoint.
    #[error("expected two checkpoints, the same came twice")]
    SameCheckpoint,
    /// The larger head came first.
    #[error("expected the smaller head first")]
    WrongOrder,
    /// The smaller head is of the empty tree.
    #[error("any root follows from the empty tree")]
    EmptyTree,
    /// Two sizes, and no consistency proof.
    #[error("expected a consistency proof between heads of two sizes")]
    MissingProof,
    /// The proof starts from the root that was signed.
    #[error("expected a root at the smaller size other than the signed one")]
    NotAnotherRoot,
    /// The consistency proof does not hold.
    #[error("the consistency proof does not hold")]
    BadConsistency,
}

/// What a fork proof shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ForkKind {
    /// One size, two roots.
    EqualSize,
    /// The larger tree continues another one than the smaller.
    Consistency,
}

/// Two heads of one register, with what shows that they cannot both be honest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ForkProof {
    smaller: String,
    larger: String,
    other: Option<(Digest, Vec<Digest>)>,
}

impl ForkProof {
    /// Makes a proof of two notes as signed; `other` is a root at the smaller size and the consistency proof from it.
    pub fn new(smaller: String, larger: String, other: Option<(Digest, Vec<Digest>)>) -> Self {
        Self { smaller, larger, other }
    }

    /// Makes the proof of two heads, leaving out their cosignatures.
    pub(crate) fn of_heads(smaller: &SignedHead, larger: &SignedHead, other: Option<(Digest, Vec<Digest>)>) -> Self {
        let text = |head: &SignedHead| head.without_cosignatures().note().to_string();
        Self::new(text(smaller), text(larger), other)
    }

    /// Returns the smaller head as signed, or the first of two of one size.
    pub fn smaller(&self) -> &str {
        &self.smaller
    }

    /// Returns the larger head as signed.
    pub fn larger(&self) -> &str {
        &self.larger
    }

    /// Checks the proof against the keys that are bound to the register now.
    pub fn check(&self, origin: &str, keys: &[VerifierKey]) -> Result<ForkKind, ForkError> {
        let hashes = self.other.as_ref().map_or(0, |(_, proof)| 1 + proof.len());
        let size = self.smaller.len() + self.larger.len() + 32 * hashes;
        if size > limits::FORK_PROOF_SIZE_MAX {
            return Err(ForkError::Size(size));
        }
        let head = |text: &str| -> Result<_, HeadError> {
            let note = Note::parse(text.as_bytes())?;
            Ok(SignedHead::authenticate(note, origin, keys)?.checkpoint().clone())
        };
        let (small, large) = (head(&self.smaller)?, head(&self.larger)?);
        if small.size == large.size {
            return match &self.other {
                Some(_) => Err(ForkError::SuperfluousProof),
                None if small.root == large.root => Err(ForkError::SameCheckpoint),
                None => Ok(ForkKind::EqualSize),
            };
        }
        if small.size > large.size {
            return Err(ForkError::WrongOrder);
        }
        if small.size == 0 {
            return Err(ForkError::EmptyTree);
        }
        let (root, proof) = self.other.as_ref().ok_or(ForkError::MissingProof)?;
        if *root == small.root {
            return Err(ForkError::NotAnotherRoot);
        }
        if !merkle::verify_consistency(small.size, large.size, *root, large.root, proof) {
            return Err(ForkError::BadConsistency);
        }
        Ok(ForkKind::Consistency)
    }

    /// Returns the bytes for the wire and for files.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(if self.other.is_some() { 4 } else { 2 });
        writer.uint(0).text(&self.smaller).uint(1).text(&self.larger);
        if let Some((root, proof)) = &self.other {
            writer.uint(2).bytes(root.as_bytes()).uint(3).array(proof.len());
            for hash in proof {
                writer.bytes(hash.as_bytes());
            }
        }
        writer.into_bytes()
    }

    /// Reads a proof; whether it holds, [`ForkProof::check`] tells.
    pub fn parse(data: &[u8]) -> Result<Self, ForkError> {
        // Heads of keys and lengths come on top of what the limit counts.
        if data.len() > limits::FORK_PROOF_SIZE_MAX + 512 {
            return Err(ForkError::Size(data.len()));
        }
        let mut reader = Reader::new(data);
        let members = reader.map()?;
        reader.key(0)?;
        let smaller = reader.text()?.to_owned();
        reader.key(1)?;
        let larger = reader.text()?.to_owned();
        let other = match members {
            2 => None,
            4 => {
                reader.key(2)?;
                let root = Digest(*reader.array_of::<32>()?);
                reader.key(3)?;
                let count = reader.array()?;
                let hashes = (0..count).map(|_| Ok(Digest(*reader.array_of::<32>()?)));
                Some((root, hashes.collect::<Result<_, CborError>>()?))
            }
            found => return Err(CborError::Length { expected: 2, found }.into()),
        };
        reader.finish()?;
        Ok(Self { smaller, larger, other })
    }

    /// Returns the digest of the bytes, by which frontiers name it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }
}

impl fmt::Display for ForkProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.smaller, self.larger)
    }
}
