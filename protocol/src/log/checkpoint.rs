//! Checkpoints (C2SP tlog-checkpoint) with exactly three lines.
//!
//! ```text
//! transport.gov.example/register/8d3f…          <- origin
//! 42                                            <- size
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=  <- root hash
//! ```
//!
//! Extension lines are refused: two texts for one tree would split its cosignatures.

use data_encoding::BASE64;

use super::note::{Note, NoteError, SignatureLine};
use crate::digest::Digest;
use crate::key::{Algorithm, VerifierKey, check_name};
use crate::limits;

/// Why a text is not a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not three lines with a final line feed.
    #[error("expected three lines: origin, size, root hash")]
    Lines,
    /// Lines after the third.
    #[error("expected no extension lines after the root hash")]
    Extension,
    /// An origin that is no key name.
    #[error("expected an origin without spaces, control characters or `+`")]
    Origin,
    /// A size that is not a decimal number below 2^63.
    #[error("expected a size in decimal, without leading zeroes")]
    Number,
    /// Base64 that is not canonical.
    #[error("expected canonical base64")]
    Base64,
    /// A root that is not 32 bytes, or not that of the empty tree at size 0.
    #[error("expected a root hash of 32 bytes, that of the empty tree at size 0")]
    Root,
}

/// The size and root hash of a log, with its origin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Checkpoint {
    /// The register's origin.
    pub origin: String,
    /// The number of entries.
    pub size: u64,
    /// The RFC 6962 root hash.
    pub root: Digest,
}

impl Checkpoint {
    /// Reads the text of a checkpoint note, strictly.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root), Some(end)) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Lines);
        };
        if origin.is_empty() || size.is_empty() || root.is_empty() || !text.ends_with('\n') {
            return Err(CheckpointError::Lines);
        }
        if !end.is_empty() || lines.next().is_some() {
            return Err(CheckpointError::Extension);
        }
        check_name(origin).map_err(|_| CheckpointError::Origin)?;
        let size = parse_decimal(size, limits::TREE_SIZE_MAX).ok_or(CheckpointError::Number)?;
        let root = BASE64.decode(root.as_bytes()).map_err(|_| CheckpointError::Base64)?;
        let root = Digest::from_slice(&root).ok_or(CheckpointError::Root)?;
        if size == 0 && root != Digest::OF_NOTHING {
            return Err(CheckpointError::Root);
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// Returns the note's text.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root.as_bytes()))
    }
}

/// Reads ASCII decimal without sign or leading zeroes, at most `max`.
pub fn parse_decimal(text: &str, max: u64) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten().filter(|n| *n <= max)
}

/// Why a note is not a head of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// The note is not well formed, or a bound key's signature does not match.
    #[error("the signed note is refused")]
    Note(#[from] NoteError),
    /// The text is not a checkpoint.
    #[error("the text is not a checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// Another register's checkpoint.
    #[error("the checkpoint is of another register")]
    WrongOrigin,
}

/// A checkpoint that a bound key of its register has signed. One constructor: [`SignedHead::authenticate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    note: Note,
    checkpoint: Checkpoint,
    signers: Vec<VerifierKey>,
}

impl SignedHead {
    /// Authenticates a note as a head of `origin`: a plain note signature of a bound key of type 0x01 holds. A key of
    /// type 0x04 never makes a head. Cosignatures are not looked at: a bad one does not refuse a head.
    pub fn authenticate(note: Note, origin: &str, keys: &[VerifierKey]) -> Result<Self, HeadError> {
        let checkpoint = Checkpoint::parse(note.text())?;
        if checkpoint.origin != origin {
            return Err(HeadError::WrongOrigin);
        }
        let own: Vec<_> =
            keys.iter().filter(|k| k.algorithm() == Algorithm::Note && k.name() == origin).cloned().collect();
        let signers: Vec<_> = note.verify(&own)?.into_iter().map(|v| v.key).collect();
        if signers.is_empty() {
            return Err(HeadError::Note(NoteError::UnknownKey));
        }
        Ok(Self { note, checkpoint, signers })
    }

    /// Returns the note as signed.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Returns the checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Takes over the signature lines and signers of another note of the same checkpoint; false for another checkpoint.
    /// On rotation a publisher signs the same text again.
    pub fn join(&mut self, other: &SignedHead) -> bool {
        if self.checkpoint != other.checkpoint {
            return false;
        }
        let new: Vec<_> = other.signers.iter().filter(|s| !self.signers.contains(s)).cloned().collect();
        for line in other.note.signatures().iter().filter(|line| new.iter().any(|key| line.is_by(key))) {
            self.note.add(line.clone());
        }
        self.signers.extend(new);
        true
    }

    /// Returns this head with no signature lines but those of its bound keys.
    pub fn without_cosignatures(&self) -> SignedHead {
        let own = |line: &&SignatureLine| self.signers.iter().any(|key| line.is_by(key));
        let lines = self.note.signatures().iter().filter(own).cloned().collect();
        let note = Note::new(self.note.text().to_owned(), lines);
        Self { note, checkpoint: self.checkpoint.clone(), signers: self.signers.clone() }
    }

    /// Returns the bound keys that signed.
    pub fn signers(&self) -> &[VerifierKey] {
        &self.signers
    }
}
