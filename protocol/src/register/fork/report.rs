//! A fork proof as a file that a stranger can check (`specs/register.md` §7.1).
//!
//! ```text
//! standfast fork 1\n
//! {0: fork proof, 1: [verifier key as text…]}
//! ```
//!
//! The keys are those under which the reporter had checked it. They prove nothing by being there: a charter or a trust
//! entry says which keys count, or the origin itself, which is made of the register's first key.

use super::{ForkError, ForkKind, ForkProof};
use crate::codec::{CborError, Reader, Writer};
use crate::key::{VerifierKey, is_own_origin};
use crate::limits;
use crate::log::checkpoint::{Checkpoint, CheckpointError};
use crate::log::note::{Note, NoteError};

/// The first line of a report.
pub const MAGIC: &[u8] = b"standfast fork 1\n";
/// Bytes in a report: the proof, and as many keys as a register may have.
pub const REPORT_SIZE_MAX: usize = limits::FORK_PROOF_SIZE_MAX + 1024 + limits::REGISTER_KEYS_MAX * 512;

/// Why a file is no report of a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// Another file.
    #[error("expected a file that begins with `standfast fork 1`")]
    Magic,
    /// Too many bytes.
    #[error("expected at most {REPORT_SIZE_MAX} bytes, {0} came")]
    Size(usize),
    /// Not its deterministic CBOR.
    #[error("expected deterministic CBOR {{0: proof, 1: [key…]}}")]
    Cbor(#[from] CborError),
    /// A key that does not read.
    #[error("expected verifier keys of the register as text")]
    Key,
    /// The proof does not read.
    #[error("the proof does not read")]
    Proof(#[from] ForkError),
    /// One of its two parts is no signed note.
    #[error("expected two signed notes in the proof")]
    Note(#[from] NoteError),
    /// One of its two notes is of something else.
    #[error("expected two checkpoints in the proof")]
    Checkpoint(#[from] CheckpointError),
}

/// What one of the proof's heads says, by itself: nothing is checked.
fn checkpoint(note: &str) -> Result<Checkpoint, ReportError> {
    Ok(Checkpoint::parse(Note::parse(note.as_bytes())?.text())?)
}

/// A fork proof with the keys that it was checked under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkReport {
    proof: ForkProof,
    keys: Vec<VerifierKey>,
    heads: [Checkpoint; 2],
}

impl ForkReport {
    /// Makes a report; without keys it can be checked only by whoever knows them.
    pub fn new(proof: ForkProof, keys: Vec<VerifierKey>) -> Result<Self, ReportError> {
        let heads = [checkpoint(proof.smaller())?, checkpoint(proof.larger())?];
        if keys.len() > limits::REGISTER_KEYS_MAX || keys.iter().any(|key| key.name() != heads[0].origin) {
            return Err(ReportError::Key);
        }
        Ok(Self { proof, keys, heads })
    }

    /// Returns the proof.
    pub fn proof(&self) -> &ForkProof {
        &self.proof
    }

    /// Returns the keys that came along.
    pub fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// Returns what the two heads say, the smaller first; whether they are signed, [`ForkProof::check`] tells.
    pub fn heads(&self) -> &[Checkpoint; 2] {
        &self.heads
    }

    /// Returns the register that the proof is about.
    pub fn origin(&self) -> &str {
        &self.heads[0].origin
    }

    /// Checks the proof under the one key that came along and of which the origin is made; `None` when it did not. That
    /// key is the register's first whatever anybody binds, so this needs nothing from anywhere else.
    pub fn check_by_origin(&self) -> Option<Result<ForkKind, ForkError>> {
        let own = self.keys.iter().find(|key| is_own_origin(key))?;
        Some(self.proof.check(self.origin(), std::slice::from_ref(own)))
    }

    /// Writes the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.map(2).uint(0).bytes(&self.proof.encode()).uint(1).array(self.keys.len());
        for key in &self.keys {
            w.text(&key.to_string());
        }
        [MAGIC, &w.into_bytes()].concat()
    }

    /// Reads a file.
    pub fn decode(data: &[u8]) -> Result<Self, ReportError> {
        if data.len() > REPORT_SIZE_MAX {
            return Err(ReportError::Size(data.len()));
        }
        let mut r = Reader::new(data.strip_prefix(MAGIC).ok_or(ReportError::Magic)?);
        r.map_len(2)?;
        r.key(0)?;
        let proof = ForkProof::parse(r.bytes()?)?;
        r.key(1)?;
        let count = r.array()?;
        if count > limits::REGISTER_KEYS_MAX {
            return Err(ReportError::Key);
        }
        let key = |r: &mut Reader<'_>| {
            let text = r.text()?;
            let key: VerifierKey = text.parse().map_err(|_| ReportError::Key)?;
            if key.to_string() == text { Ok(key) } else { Err(ReportError::Key) }
        };
        let keys = (0..count).map(|_| key(&mut r)).collect::<Result<_, ReportError>>()?;
        r.finish()?;
        Self::new(proof, keys)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::digest::Digest;
    use crate::key::{Algorithm, SecretKey, origin_of};
    use crate::log::note;

    fn key(seed: u8, origin: &str) -> (SecretKey, VerifierKey) {
        let secret = SecretKey::from_seed(&[seed; 32]);
        let key = VerifierKey::new(origin, Algorithm::Note, secret.public()).unwrap();
        (secret, key)
    }

    /// Two roots at one size, signed by the key of this seed; the origin is made of key 1.
    fn report(seed: u8) -> ForkReport {
        let origin = origin_of("a.example/register", &SecretKey::from_seed(&[1; 32]).public());
        let (secret, signer) = key(seed, &origin);
        let head = |root: &[u8]| {
            let text = Checkpoint { origin: origin.clone(), size: 3, root: Digest::of(root) }.text();
            Note::new(text.clone(), vec![note::sign(&text, &signer, &secret)]).to_string()
        };
        let mut keys = vec![key(1, &origin).1];
        keys.extend((seed != 1).then_some(signer.clone()));
        ForkReport::new(ForkProof::new(head(b"a"), head(b"b"), None), keys).unwrap()
    }

    #[test]
    fn a_report_has_one_encoding() {
        let report = report(1);
        let bytes = report.encode();
        assert_eq!(ForkReport::decode(&bytes), Ok(report));
        for end in 0..bytes.len() {
            assert!(ForkReport::decode(&bytes[..end]).is_err());
        }
        assert!(ForkReport::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn the_origin_vouches_for_its_first_key_and_for_no_other() {
        assert_eq!(report(1).check_by_origin(), Some(Ok(ForkKind::EqualSize)));
        // Signed by a later key: the first one has signed neither head.
        assert!(report(2).check_by_origin().unwrap().is_err());
        let unnamed = ForkReport::new(report(1).proof, Vec::new()).unwrap();
        assert_eq!(unnamed.check_by_origin(), None);
    }

    #[test]
    fn refuses_keys_of_another_register() {
        let foreign = key(1, "b.example/register").1;
        assert_eq!(ForkReport::new(report(1).proof, vec![foreign]), Err(ReportError::Key));
    }
}
