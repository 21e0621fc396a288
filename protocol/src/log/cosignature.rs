//! Timestamped Ed25519 cosignatures (C2SP tlog-cosignature, type 0x04).
//!
//! ```text
//! cosignature/v1
//! time 1790000000
//! transport.gov.example/register/8d3f…
//! 42
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//! ```
//!
//! It says: *at this time this was the largest consistent tree that I had seen*.

use std::collections::BTreeMap;

use super::checkpoint::Checkpoint;
use super::note::{Note, NoteError, SignatureLine, verify_line};
use crate::key::{Algorithm, SecretKey, VerifierKey};

/// Returns the message that a cosignature at `time` signs.
pub fn message(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// Cosigns a checkpoint's text at `time` by a key of type 0x04.
pub fn sign(text: &str, time: u64, key: &VerifierKey, secret: &SecretKey) -> SignatureLine {
    debug_assert_eq!(key.algorithm(), Algorithm::Cosignature);
    let mut blob = time.to_be_bytes().to_vec();
    blob.extend_from_slice(&secret.sign(message(text, time).as_bytes()));
    SignatureLine { name: key.name().to_owned(), id: key.id(), blob }
}

/// A witness's cosignature of a checkpoint that holds. One constructor: [`Cosignature::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    witness: String,
    checkpoint: Checkpoint,
    time: u64,
    line: SignatureLine,
}

impl Cosignature {
    /// Verifies a signature line as the cosignature of `checkpoint` by the witness that the policy names `witness`.
    pub fn verify(
        checkpoint: &Checkpoint,
        line: &SignatureLine,
        witness: &str,
        key: &VerifierKey,
    ) -> Result<Self, NoteError> {
        if !line.is_by(key) {
            return Err(NoteError::UnknownKey);
        }
        // A plain signature says nothing about a time, and does not make a cosignature.
        let time = verify_line(&checkpoint.text(), &line.blob, key)?.ok_or(NoteError::UnknownKey)?;
        Ok(Self { witness: witness.to_owned(), checkpoint: checkpoint.clone(), time, line: line.clone() })
    }

    /// Returns the cosignatures in a note of the witnesses of a policy, by their names. One that does not match costs
    /// the note all of them (C2SP signed-note), but not its head.
    pub fn all_in(
        note: &Note,
        checkpoint: &Checkpoint,
        witnesses: &BTreeMap<String, VerifierKey>,
    ) -> Result<Vec<Self>, NoteError> {
        let by_witness = |line| witnesses.iter().find(|(_, key)| SignatureLine::is_by(line, key)).map(|w| (line, w));
        let lines = note.signatures().iter().filter_map(by_witness);
        lines.map(|(line, (name, key))| Self::verify(checkpoint, line, name, key)).collect()
    }

    /// Returns the name that the policy gives the witness.
    pub fn witness(&self) -> &str {
        &self.witness
    }

    /// Returns the checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Returns the time in POSIX seconds.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// Returns the signature line.
    pub fn line(&self) -> &SignatureLine {
        &self.line
    }
}
