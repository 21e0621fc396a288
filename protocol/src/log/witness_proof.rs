//! Witness proofs: evidence that a witness contradicted itself about one register (`specs/witness.md` §4).
//!
//! ```text
//! {0: witness, 1: statement, 2: statement}                         later a smaller head, or two roots for one size
//! {0: witness, 1: statement, 2: statement, 3: root, 4: [* hash]}   the larger head continues another log than the smaller
//!
//! statement = [0, note]                                            a checkpoint with the witness's cosignature alone
//!           | [1, note, origin, size, root, [* sibling]]           a view, and the path of its trie to one head
//! ```
//!
//! Deterministic CBOR; notes are text. The statement that names the smaller head stands first; of two heads of one size
//! the one whose root is less. It holds by the keys that one charter of the network gives the witness, and says nothing
//! about the register's owner.

use std::collections::BTreeSet;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::cosignature::Cosignature;
use super::merkle;
use super::note::{Note, NoteError};
use super::view::{Leaf, SignedView, ViewError};
use crate::charter::WitnessSet;
use crate::codec::{CborError, Reader, Writer};
use crate::digest::Digest;
use crate::key::{VerifierKey, check_name};
use crate::limits;
use crate::sync::check::HeldView;
use crate::trie::Proof;

/// Why something is not a witness proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessProofError {
    /// More bytes than a proof may have.
    #[error("expected a witness proof of at most {max} bytes, {0} came", max = limits::WITNESS_PROOF_SIZE_MAX)]
    Size(usize),
    /// Not its deterministic CBOR.
    #[error("expected deterministic CBOR {{0: witness, 1: statement, 2: statement, ? 3: root, 4: hashes}}")]
    Cbor(#[from] CborError),
    /// A kind of statement that is not known.
    #[error("expected a cosignature (0) or a view (1), kind {0} came")]
    Kind(u64),
    /// A name, a size or a length that is out of its range.
    #[error("{0} is out of range")]
    Range(&'static str),
    /// A note that does not read, or a signature that does not hold.
    #[error("the signed note is refused")]
    Note(#[from] NoteError),
    /// The text of a cosigned note is no checkpoint.
    #[error("the cosigned text is not a checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// A view that does not authenticate.
    #[error("the view does not hold")]
    View(#[from] ViewError),
    /// The head is not in the view.
    #[error("the trie's path does not lead to this head")]
    Path,
    /// The view is of another witness than the proof names.
    #[error("expected a view of {expected}, one of {came} came")]
    OtherWitness {
        /// The proof's.
        expected: String,
        /// The view's.
        came: String,
    },
    /// No charter that is held names the witness.
    #[error("no charter held here names the witness `{0}`")]
    UnknownWitness(String),
    /// Heads of two registers.
    #[error("expected two heads of one register")]
    TwoRegisters,
    /// The statements stand in the wrong order, or name one head.
    #[error("expected two heads, the smaller first")]
    Order,
    /// They do not contradict each other.
    #[error("the two statements do not contradict each other")]
    NoContradiction,
    /// A consistency proof that is not needed, or that starts from the root that was named.
    #[error("expected a consistency proof from another root, between heads of two sizes")]
    SuperfluousProof,
    /// The consistency proof does not hold.
    #[error("the consistency proof does not hold")]
    BadConsistency,
}

impl WitnessProofError {
    /// True when whoever sent it must know better; false when we may lack the charter that names the witness.
    pub fn is_the_senders(&self) -> bool {
        !matches!(
            self,
            Self::UnknownWitness(_)
                | Self::Note(NoteError::UnknownKey)
                | Self::View(ViewError::Note(NoteError::UnknownKey) | ViewError::UnknownWitness(_))
        )
    }
}

/// How a witness contradicted itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Contradiction {
    /// One size, two roots.
    EqualSize,
    /// The later statement names the smaller head.
    LaterSmaller,
    /// The larger head continues another log than the smaller.
    Inconsistent,
}

impl Contradiction {
    /// Returns its name in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EqualSize => "equal-size",
            Self::LaterSmaller => "later-smaller",
            Self::Inconsistent => "inconsistent",
        }
    }
}

/// What a witness said of one register, as it signed it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Said {
    /// A checkpoint's note with the witness's cosignature, and no other line.
    Cosigned(String),
    /// A view's note, and the path to the leaf of one register.
    Viewed {
        /// The note.
        note: String,
        /// The head that it vouches for.
        head: Checkpoint,
        /// The hashes beside the path, from the root down.
        path: Vec<Digest>,
    },
}

impl Said {
    /// Takes a cosignature as a statement.
    pub fn cosigned(cosignature: &Cosignature) -> Self {
        let note = Note::new(cosignature.checkpoint().text(), vec![cosignature.line().clone()]);
        Self::Cosigned(note.to_string())
    }

    /// Takes what a view says of one register; `None` when it says nothing.
    pub fn viewed(view: &HeldView, origin: &str) -> Option<Self> {
        let Leaf { size, root } = view.frontier.get(origin)?;
        let (_, proof) = view.frontier.trie().prove(origin.as_bytes());
        let head = Checkpoint { origin: origin.to_owned(), size, root };
        Some(Self::Viewed { note: view.signed.note().to_string(), head, path: proof.siblings })
    }

    /// Checks the signature, and that the statement names this head. Returns the head and the time.
    fn check(&self, witness: &str, keys: &WitnessKeysOf<'_>) -> Result<Told, WitnessProofError> {
        match self {
            Self::Cosigned(text) => {
                let note = Note::parse(text.as_bytes())?;
                let checkpoint = Checkpoint::parse(note.text())?;
                let [line] = note.signatures() else { return Err(NoteError::SignatureCount.into()) };
                let time = Cosignature::verify(&checkpoint, line, witness, keys.cosign)?.time();
                Ok(Told { head: checkpoint, time })
            }
            Self::Viewed { note, head, path } => {
                let signed = SignedView::authenticate(Note::parse(note.as_bytes())?, keys.view)?;
                let view = signed.view();
                if view.network != keys.network {
                    return Err(ViewError::OtherNetwork { expected: keys.network, came: view.network }.into());
                }
                if view.witness != witness {
                    let (expected, came) = (witness.to_owned(), view.witness.clone());
                    return Err(WitnessProofError::OtherWitness { expected, came });
                }
                let leaf = Leaf { size: head.size, root: head.root }.digest();
                let proof = Proof { siblings: path.clone(), other: None };
                if !proof.verify_presence(view.root, head.origin.as_bytes(), leaf) {
                    return Err(WitnessProofError::Path);
                }
                Ok(Told { head: head.clone(), time: view.time })
            }
        }
    }

    fn write(&self, w: &mut Writer) {
        match self {
            Self::Cosigned(note) => {
                w.array(2).uint(0).text(note);
            }
            Self::Viewed { note, head, path } => {
                w.array(6).uint(1).text(note).text(&head.origin).uint(head.size).bytes(head.root.as_bytes());
                w.array(path.len());
                for sibling in path {
                    w.bytes(sibling.as_bytes());
                }
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WitnessProofError> {
        let len = r.array()?;
        match (r.uint()?, len) {
            (0, 2) => Ok(Self::Cosigned(r.text()?.to_owned())),
            (1, 6) => {
                let note = r.text()?.to_owned();
                let origin = r.text()?.to_owned();
                check_name(&origin).map_err(|_| WitnessProofError::Range("an origin"))?;
                let size = r.uint()?;
                if size > limits::TREE_SIZE_MAX {
                    return Err(WitnessProofError::Range("a size"));
                }
                let root = Digest(*r.array_of::<32>()?);
                let path = read_hashes(r, limits::WITNESS_PROOF_PATH_MAX)?;
                Ok(Self::Viewed { note, head: Checkpoint { origin, size, root }, path })
            }
            (kind, _) => Err(WitnessProofError::Kind(kind)),
        }
    }

    /// The head that it names, not checked.
    fn head(&self) -> Option<Checkpoint> {
        match self {
            Self::Cosigned(text) => Checkpoint::parse(Note::parse(text.as_bytes()).ok()?.text()).ok(),
            Self::Viewed { head, .. } => Some(head.clone()),
        }
    }
}

/// The keys that one charter gives a witness, and the network it belongs to.
struct WitnessKeysOf<'a> {
    network: Digest,
    cosign: &'a VerifierKey,
    view: &'a VerifierKey,
}

/// A statement that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The head that it names.
    pub head: Checkpoint,
    /// When, by the witness's clock.
    pub time: u64,
}

/// What a proof shows, once it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// How the two contradict each other.
    pub contradiction: Contradiction,
    /// The two statements: the smaller head first.
    pub told: [Told; 2],
    /// The cosignature key by which the charter knew the witness.
    pub key: VerifierKey,
}

/// Two statements of one witness about one register that cannot both be honest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WitnessProof {
    witness: String,
    said: [Said; 2],
    other: Option<(Digest, Vec<Digest>)>,
}

impl WitnessProof {
    /// Makes a proof of two statements, in any order; `other` is a root at the smaller size and the consistency proof from
    /// it to the larger head. `None` when one of them does not read.
    pub fn new(witness: &str, one: Said, two: Said, other: Option<(Digest, Vec<Digest>)>) -> Option<Self> {
        let rank = |said: &Said| said.head().map(|head| (head.size, head.root));
        let said = if rank(&one)? <= rank(&two)? { [one, two] } else { [two, one] };
        Some(Self { witness: witness.to_owned(), said, other })
    }

    /// Returns the name of the witness.
    pub fn witness(&self) -> &str {
        &self.witness
    }

    /// Returns the two statements as signed.
    pub fn said(&self) -> &[Said; 2] {
        &self.said
    }

    /// Returns the register that both are about, not checked.
    pub fn origin(&self) -> Option<String> {
        self.said.first().and_then(Said::head).map(|head| head.origin)
    }

    /// Checks the proof by the keys that any of these sets of witnesses gives its witness, the newest last.
    pub fn check<'a>(
        &self,
        network: Digest,
        sets: impl Iterator<Item = &'a WitnessSet>,
    ) -> Result<Shown, WitnessProofError> {
        let mut tried: BTreeSet<[&VerifierKey; 2]> = BTreeSet::new();
        let mut result = Err(WitnessProofError::UnknownWitness(self.witness.clone()));
        for set in sets {
            let (Some(cosign), Some(kind)) =
                (set.quorum().witnesses().get(&self.witness), set.kinds().get(&self.witness))
            else {
                continue;
            };
            if !tried.insert([cosign, &kind.view]) {
                continue;
            }
            match self.check_by(&WitnessKeysOf { network, cosign, view: &kind.view }) {
                Ok(shown) => return Ok(shown),
                // A charter before may have given it other keys: what is known to be wrong is told before that.
                Err(error) if error.is_the_senders() => result = Err(error),
                Err(error) => result = result.or(Err(error)),
            }
        }
        result
    }

    fn check_by(&self, keys: &WitnessKeysOf<'_>) -> Result<Shown, WitnessProofError> {
        let size = self.encode().len();
        if size > limits::WITNESS_PROOF_SIZE_MAX {
            return Err(WitnessProofError::Size(size));
        }
        let [first, second] = &self.said;
        let (first, second) = (first.check(&self.witness, keys)?, second.check(&self.witness, keys)?);
        if first.head.origin != second.head.origin {
            return Err(WitnessProofError::TwoRegisters);
        }
        let (small, large) = (&first.head, &second.head);
        if (small.size, small.root) >= (large.size, large.root) {
            return Err(WitnessProofError::Order);
        }
        let contradiction = match &self.other {
            None if small.size == large.size => Contradiction::EqualSize,
            None if first.time > second.time => Contradiction::LaterSmaller,
            None => return Err(WitnessProofError::NoContradiction),
            // Any root follows from the empty tree.
            Some((root, _)) if small.size == large.size || small.size == 0 || *root == small.root => {
                return Err(WitnessProofError::SuperfluousProof);
            }
            Some((root, hashes)) => {
                if !merkle::verify_consistency(small.size, large.size, *root, large.root, hashes) {
                    return Err(WitnessProofError::BadConsistency);
                }
                Contradiction::Inconsistent
            }
        };
        Ok(Shown { contradiction, told: [first, second], key: keys.cosign.clone() })
    }

    /// Returns the bytes for the wire and for files.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        let [first, second] = &self.said;
        w.map(if self.other.is_some() { 5 } else { 3 });
        w.uint(0).text(&self.witness).uint(1);
        first.write(&mut w);
        w.uint(2);
        second.write(&mut w);
        if let Some((root, hashes)) = &self.other {
            w.uint(3).bytes(root.as_bytes()).uint(4).array(hashes.len());
            for hash in hashes {
                w.bytes(hash.as_bytes());
            }
        }
        w.into_bytes()
    }

    /// Reads a proof; whether it holds, [`WitnessProof::check`] tells.
    pub fn parse(data: &[u8]) -> Result<Self, WitnessProofError> {
        if data.len() > limits::WITNESS_PROOF_SIZE_MAX {
            return Err(WitnessProofError::Size(data.len()));
        }
        let mut r = Reader::new(data);
        let members = r.map()?;
        r.key(0)?;
        let witness = r.text()?.to_owned();
        if witness.is_empty() || witness.len() > limits::KEY_NAME_SIZE_MAX {
            return Err(WitnessProofError::Range("a witness's name"));
        }
        r.key(1)?;
        let first = Said::read(&mut r)?;
        r.key(2)?;
        let second = Said::read(&mut r)?;
        let other = match members {
            3 => None,
            5 => {
                r.key(3)?;
                let root = Digest(*r.array_of::<32>()?);
                r.key(4)?;
                Some((root, read_hashes(&mut r, limits::CONSISTENCY_HASHES_MAX)?))
            }
            found => return Err(CborError::Length { expected: 3, found }.into()),
        };
        r.finish()?;
        Ok(Self { witness, said: [first, second], other })
    }

    /// Returns the digest of the bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }
}

fn read_hashes(r: &mut Reader<'_>, max: usize) -> Result<Vec<Digest>, WitnessProofError> {
    let count = r.array()?;
    if count > max {
        return Err(WitnessProofError::Range("a number of hashes"));
    }
    (0..count).map(|_| Ok(Digest(*r.array_of::<32>()?))).collect()
}

#[cfg(test)]
mod tests;
