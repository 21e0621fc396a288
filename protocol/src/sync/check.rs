//! Checks that cost more than a tenth of a millisecond, as pure functions: the node runs them beside the loop.
//!
//! A job carries all that it reads; what it returns is typed as checked, and only the machine may ask for it.

use std::sync::Arc;

use bytes::Bytes;

use super::message::{BodyItem, HeadMessage, MessageError, PastMessage, Signed};
use crate::charter::{SignedCharter, WitnessSet};
use crate::digest::Digest;
use crate::key::{Algorithm, VerifierKey};
use crate::log::checkpoint::{Checkpoint, HeadError, SignedHead};
use crate::log::cosignature::Cosignature;
use crate::log::note::{NoteError, SignatureLine, verify_line};
use crate::log::view::{Frontier, SignedView, View, ViewError, ViewMessage};
use crate::log::witness_proof::{WitnessProof, WitnessProofError};
use crate::register::body::Record;
use crate::register::fork::{ForkError, ForkProof};
use crate::register::past::PastError;
use crate::register::state::{Register, Witnessing};
use crate::status::delta::Delta;

/// Why what a peer sent does not count. Whose fault it is decides what becomes of the peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not the protocol.
    #[error("the message is malformed")]
    Message(#[from] MessageError),
    /// A head that does not authenticate.
    #[error("the head does not authenticate")]
    Head(#[from] HeadError),
    /// A statement that does not authenticate.
    #[error("the statement does not authenticate")]
    Statement(#[from] NoteError),
    /// A view that does not authenticate, or whose leaves do not give its root.
    #[error("the view does not hold")]
    View(#[from] ViewError),
    /// A fork proof that does not hold.
    #[error("the fork proof does not hold")]
    Fork(#[from] ForkError),
    /// Entries that are not those of the old register.
    #[error("the old register does not hold")]
    Past(#[from] PastError),
    /// No key that is known here has signed.
    #[error("no key that is known here has signed")]
    UnknownKey,
    /// A view whose changes start from a frontier that is not held: the whole is asked for.
    #[error("the view of `{0}` starts from a frontier that is not held")]
    ViewBase(String),
    /// A witness proof that does not hold.
    #[error("the witness proof does not hold")]
    Witness(#[from] Box<WitnessProofError>),
}

impl Fault {
    /// True when whoever sent this must know better: it is malformed, or a signature by a key that we know fails.
    /// A node that is ahead of us, or behind, is never at fault.
    pub fn is_the_senders(&self) -> bool {
        match self {
            Self::Message(_) | Self::Past(_) => true,
            // A proof by keys that are bound no more, or not yet.
            Self::Fork(ForkError::Head(HeadError::Note(NoteError::UnknownKey))) => false,
            Self::Fork(_) => true,
            Self::Head(HeadError::Note(note)) | Self::Statement(note) => *note != NoteError::UnknownKey,
            Self::Head(HeadError::Checkpoint(_) | HeadError::WrongOrigin) => true,
            // Another network's view came from a node that does not belong here; a witness that we do not know, or a
            // base that we do not hold, means that we are behind.
            Self::View(ViewError::UnknownWitness(_) | ViewError::Base(_)) => false,
            Self::View(ViewError::Note(note)) => *note != NoteError::UnknownKey,
            Self::View(_) => true,
            Self::UnknownKey | Self::ViewBase(_) => false,
            Self::Witness(error) => error.is_the_senders(),
        }
    }
}

/// The publisher's own cosignature over its head: the *published* age. One constructor: [`Timestamp::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp {
    checkpoint: Checkpoint,
    time: u64,
    signed: Signed,
}

impl Timestamp {
    /// Checks a signature by a key of type 0x04 that is bound to the register.
    pub fn verify(checkpoint: &Checkpoint, signed: &Signed, key: &VerifierKey) -> Result<Self, NoteError> {
        let time = verify_line(&checkpoint.text(), &signed.blob, key)?.ok_or(NoteError::SignatureLength)?;
        Ok(Self { checkpoint: checkpoint.clone(), time, signed: signed.clone() })
    }

    /// Returns the checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Returns POSIX seconds.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// Returns the signature.
    pub fn signed(&self) -> &Signed {
        &self.signed
    }
}

/// The keys that a check reads, taken when the job is made.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// Keys bound to the register: 0x01 for heads, 0x04 for timestamps.
    pub own: Vec<VerifierKey>,
    /// Witnesses' cosignature keys by name.
    pub witnesses: Vec<(String, VerifierKey)>,
}

impl Keys {
    fn cosignature(&self, checkpoint: &Checkpoint, signed: &Signed) -> Option<Result<Cosignature, NoteError>> {
        let (name, key) = self.witnesses.iter().find(|(_, key)| key.id() == signed.id)?;
        Some(Cosignature::verify(checkpoint, &signed.line(key.name()), name, key))
    }

    /// Insists that whatever is signed by a key known here holds.
    pub(crate) fn check(&self, checkpoint: &Checkpoint, signed: &[Signed]) -> Result<(), NoteError> {
        signed.iter().filter_map(|signed| self.cosignature(checkpoint, signed)).try_for_each(|found| found.map(drop))
    }

    fn timestamp(&self, checkpoint: &Checkpoint, signed: &Signed) -> Option<Result<Timestamp, NoteError>> {
        let key = self.own.iter().find(|k| k.algorithm() == Algorithm::Cosignature && k.id() == signed.id)?;
        Some(Timestamp::verify(checkpoint, signed, key))
    }
}

/// A head whose signatures have been checked, with what came along.
#[derive(Debug, Clone)]
pub struct CheckedHead {
    /// The authenticated head.
    pub head: SignedHead,
    /// Cosignatures of exactly this head that hold.
    pub cosignatures: Vec<Cosignature>,
    /// The publisher's timestamps of it that hold.
    pub timestamps: Vec<Timestamp>,
    /// The number of the first entry carried.
    pub first: u64,
    /// Entries, not yet read.
    pub entries: Vec<Bytes>,
    /// Bodies that came along, named by their digests.
    pub bodies: Vec<Arc<Record>>,
}

/// Statements that have been checked.
#[derive(Debug, Clone, Default)]
pub struct CheckedStatements {
    /// Cosignatures of witnesses.
    pub cosignatures: Vec<Cosignature>,
    /// Timestamps of the publisher.
    pub timestamps: Vec<Timestamp>,
}

/// A view that has been checked, with every head it vouches for.
#[derive(Debug, Clone)]
pub struct HeldView {
    /// The view.
    pub signed: SignedView,
    /// Its leaves.
    pub frontier: Frontier,
}

impl HeldView {
    /// Returns what the witness says.
    pub fn view(&self) -> &View {
        self.signed.view()
    }

    /// Returns the message that carries every leaf.
    pub fn whole_message(&self) -> ViewMessage {
        ViewMessage { note: self.signed.note().clone(), changes: self.frontier.changes_since(None) }
    }
}

/// A check to be run beside the loop.
#[derive(Debug, Clone)]
pub enum Job {
    /// Of a head.
    Head {
        /// As it came.
        message: HeadMessage,
        /// Keys to check it by.
        keys: Keys,
        /// Bodies held on which deltas may rest.
        bases: Vec<Arc<Record>>,
    },
    /// Of cosignatures.
    Statements {
        /// The checkpoint.
        checkpoint: Checkpoint,
        /// The signatures.
        signed: Vec<Signed>,
        /// Keys to check them by.
        keys: Keys,
    },
    /// Of a view.
    View {
        /// As it came.
        message: Bytes,
        /// The network.
        network: Digest,
        /// The witnesses with their view keys.
        witnesses: Box<WitnessSet>,
        /// Views held, by witness.
        held: Vec<Arc<HeldView>>,
    },
    /// Of a fork proof.
    Fork {
        /// The register.
        origin: String,
        /// The proof.
        proof: Bytes,
        /// Keys bound to the register.
        keys: Vec<VerifierKey>,
    },
    /// Of a witness proof.
    Witness {
        /// The proof.
        proof: Bytes,
        /// The network.
        network: Digest,
        /// The charters that may name the witness, those of now first.
        charters: Vec<Arc<SignedCharter>>,
    },
    /// Of what peers hold by a witness key of our own.
    Own {
        /// The statements.
        statements: Vec<(Checkpoint, Signed)>,
        /// The witness's name.
        witness: String,
        /// Its cosignature key.
        key: VerifierKey,
    },
    /// Of an old register.
    Past {
        /// As it came.
        message: PastMessage,
        /// Whose cosignatures would count.
        witnessing: Arc<Witnessing>,
    },
}

/// What a job found.
#[derive(Debug, Clone)]
pub enum Checked {
    /// A head.
    Head(Box<CheckedHead>),
    /// Statements over one checkpoint.
    Statements(Checkpoint, CheckedStatements),
    /// A view.
    View(Arc<HeldView>),
    /// A fork proof.
    Fork(String, ForkProof),
    /// A witness proof.
    Witness(Arc<WitnessProof>),
    /// Cosignatures by a key of our own; what it did not sign is left out.
    Own(Vec<Cosignature>),
    /// An old register.
    Past(PastMessage, Arc<Register>),
}

impl Job {
    /// Runs the check. The same job gives the same result.
    pub fn run(self) -> Result<Checked, Fault> {
        match self {
            Self::Head { message, keys, bases } => {
                check_head(message, &keys, &bases).map(|h| Checked::Head(Box::new(h)))
            }
            Self::Statements { checkpoint, signed, keys } => check_statements(checkpoint, &signed, &keys),
            Self::View { message, network, witnesses, held } => check_view(&message, network, &witnesses, &held),
            Self::Fork { origin, proof, keys } => {
                let proof = ForkProof::parse(&proof)?;
                proof.check(&origin, &keys)?;
                Ok(Checked::Fork(origin, proof))
            }
            Self::Witness { proof, network, charters } => {
                let proof = WitnessProof::parse(&proof).map_err(Box::new)?;
                let sets = charters.iter().flat_map(|charter| charter.charter().signing_witnesses(0));
                proof.check(network, sets).map_err(Box::new)?;
                Ok(Checked::Witness(Arc::new(proof)))
            }
            Self::Own { statements, witness, key } => {
                let own = |(checkpoint, signed): (Checkpoint, Signed)| {
                    Cosignature::verify(&checkpoint, &signed.line(key.name()), &witness, &key).ok()
                };
                Ok(Checked::Own(statements.into_iter().filter_map(own).collect()))
            }
            Self::Past { message, witnessing } => {
                let register = Register::up_to(&message.after, &message.entries, witnessing)?;
                Ok(Checked::Past(message, Arc::new(register)))
            }
        }
    }
}

fn check_head(message: HeadMessage, keys: &Keys, bases: &[Arc<Record>]) -> Result<CheckedHead, Fault> {
    let note_signatures: Vec<SignatureLine> =
        message.own.iter().filter(|s| s.blob.len() == 64).map(|s| s.line(&message.checkpoint.origin)).collect();
    let note = crate::log::note::Note::new(message.checkpoint.text(), note_signatures);
    // Signatures by keys that are not bound here are dropped: nobody fills a head with what nobody can check.
    let head = SignedHead::authenticate(note, &message.checkpoint.origin, &keys.own)?.without_cosignatures();
    // A cosignature or timestamp that fails costs the head nothing: it may have been added on the way.
    let cosignatures =
        message.cosignatures.iter().filter_map(|s| keys.cosignature(&message.checkpoint, s)?.ok()).collect();
    let timestamps = message
        .own
        .iter()
        .filter(|s| s.blob.len() == 72)
        .filter_map(|s| keys.timestamp(&message.checkpoint, s)?.ok())
        .collect();
    let bodies = message.bodies.iter().filter_map(|item| body(item, bases)).collect();
    Ok(CheckedHead { head, cosignatures, timestamps, first: message.first, entries: message.entries, bodies })
}

/// A body that came along; one that rests on a base that is not held is fetched later.
fn body(item: &BodyItem, bases: &[Arc<Record>]) -> Option<Arc<Record>> {
    match item {
        BodyItem::Whole(body) => Some(Arc::new(Record::new(body.clone()))),
        BodyItem::Delta(delta) => {
            let delta = Delta::parse(delta).ok()?;
            let base = bases.iter().find(|b| b.digest() == delta.base())?;
            delta.apply(base).ok().map(Arc::new)
        }
    }
}

fn check_statements(checkpoint: Checkpoint, signed: &[Signed], keys: &Keys) -> Result<Checked, Fault> {
    let mut found = CheckedStatements::default();
    for signature in signed {
        if let Some(cosignature) = keys.cosignature(&checkpoint, signature) {
            found.cosignatures.push(cosignature?);
        } else if let Some(timestamp) = keys.timestamp(&checkpoint, signature) {
            found.timestamps.push(timestamp?);
        }
    }
    if found.cosignatures.is_empty() && found.timestamps.is_empty() {
        return Err(Fault::UnknownKey);
    }
    Ok(Checked::Statements(checkpoint, found))
}

fn check_view(
    message: &[u8],
    network: Digest,
    witnesses: &WitnessSet,
    held: &[Arc<HeldView>],
) -> Result<Checked, Fault> {
    let ViewMessage { note, changes } = ViewMessage::decode(message)?;
    let signed = SignedView::authenticate_in(note, network, witnesses)?;
    let base = held.iter().find(|h| changes.base.is_some() && changes.base == Some(h.frontier.root()));
    let frontier = match changes.apply(base.map(|h| &h.frontier), signed.view()) {
        Err(ViewError::Base(_)) => return Err(Fault::ViewBase(signed.view().witness.clone())),
        applied => applied?,
    };
    Ok(Checked::View(Arc::new(HeldView { signed, frontier })))
}
