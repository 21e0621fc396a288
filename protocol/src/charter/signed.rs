//! Signatures of root keys: counting them, adding one, and the charters that have enough.

use std::collections::BTreeSet;

use super::{Charter, CharterError};
use crate::key::{PublicKey, SecretKey, Signer, SigningError};
use crate::log::note::{self, Note, NoteError, SignatureLine};

/// How many of a threshold of root keys have signed, counted by distinct public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Distinct root keys whose signature holds.
    pub have: usize,
    /// The threshold.
    pub need: usize,
}

impl Tally {
    /// True when the threshold is met.
    pub fn is_met(self) -> bool {
        self.have >= self.need
    }

    fn of(charter: &Charter, signers: &BTreeSet<PublicKey>) -> Self {
        let roots = &charter.document().roots;
        // A threshold is at most the number of root keys, so it fits.
        let need = usize::try_from(roots.threshold).unwrap_or(usize::MAX);
        Self { have: roots.keys.iter().filter(|key| signers.contains(key.key())).count(), need }
    }
}

/// The signatures that a charter has so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signatures {
    /// By its own roots.
    pub own: Tally,
    /// By the roots of the version before, where there is one.
    pub previous: Option<Tally>,
    /// The names of the root keys that have signed, sorted.
    pub names: Vec<String>,
}

impl Signatures {
    /// Counts the signatures on a note of `charter`. A signature of a root key that does not match refuses the note.
    pub fn count(charter: &Charter, note: &Note, previous: Option<&Charter>) -> Result<Self, NoteError> {
        let mut known = charter.document().roots.keys.clone();
        let others = previous.into_iter().flat_map(|p| &p.document().roots.keys);
        for key in others {
            if !known.contains(key) {
                known.push(key.clone());
            }
        }
        let verified = note.verify(&known)?;
        let signers = verified.iter().map(|v| *v.key.key()).collect();
        let names: BTreeSet<&str> = verified.iter().map(|v| v.key.name()).collect();
        Ok(Self {
            own: Tally::of(charter, &signers),
            previous: previous.map(|p| Tally::of(p, &signers)),
            names: names.into_iter().map(str::to_owned).collect(),
        })
    }

    /// True when every threshold is met.
    pub fn is_complete(&self) -> bool {
        self.own.is_met() && self.previous.is_none_or(Tally::is_met)
    }
}

impl Charter {
    /// Signs by a root key, under each name that its public key has here and in the version before; nothing when it is
    /// no root.
    pub fn sign(&self, secret: &SecretKey, previous: Option<&Charter>) -> Vec<SignatureLine> {
        self.sign_with(secret, previous).expect("a secret in memory signs whatever it is given")
    }

    /// Has it signed as [`Charter::sign`] does, wherever the root key's secret is.
    pub fn sign_with(
        &self,
        signer: &dyn Signer,
        previous: Option<&Charter>,
    ) -> Result<Vec<SignatureLine>, SigningError> {
        let public = signer.public();
        let mut lines = Vec::new();
        for charter in previous.into_iter().chain([self]) {
            for key in charter.document().roots.keys.iter().filter(|key| *key.key() == public) {
                let line = note::sign_with(self.text(), key, signer)?;
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
        }
        Ok(lines)
    }
}

/// A charter that a threshold of its own root keys has signed; which further rule it passed is the constructor's name.
///
/// Expiry is for the caller: only the last charter of a chain is asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCharter {
    charter: Charter,
    note: Note,
}

impl SignedCharter {
    /// Authenticates version 1 by a threshold of its own root keys.
    pub fn authenticate_first(note: Note) -> Result<Self, CharterError> {
        let signed = Self::authenticate_pinned(note)?;
        match signed.charter.version() {
            1 => Ok(signed),
            version => Err(CharterError::NotFirst(version)),
        }
    }

    /// Authenticates a charter of any version by its own root keys alone: for one that an operator has chosen.
    pub fn authenticate_pinned(note: Note) -> Result<Self, CharterError> {
        let charter = Charter::parse(note.text())?;
        let signatures = Signatures::count(&charter, &note, None)?;
        check_tally(signatures.own, || "of its own".to_owned())?;
        Ok(Self { charter, note })
    }

    /// Authenticates the version after `previous`: by a threshold of the roots of `previous` *and* of its own.
    pub fn authenticate_next(note: Note, previous: &Charter) -> Result<Self, CharterError> {
        let charter = Charter::parse(note.text())?;
        charter.check_follows(previous)?;
        let signatures = Signatures::count(&charter, &note, Some(previous))?;
        if let Some(tally) = signatures.previous {
            check_tally(tally, || format!("of version {}", previous.version()))?;
        }
        check_tally(signatures.own, || "of its own".to_owned())?;
        Ok(Self { charter, note })
    }

    /// Returns the charter.
    pub fn charter(&self) -> &Charter {
        &self.charter
    }

    /// Returns the note as signed.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// True when both are charters of one version of one network, and differ.
    pub fn is_fork_of(&self, other: &SignedCharter) -> bool {
        let (a, b) = (&self.charter, &other.charter);
        a.network_id() == b.network_id() && a.version() == b.version() && a.digest() != b.digest()
    }
}

fn check_tally(tally: Tally, of: impl Fn() -> String) -> Result<(), CharterError> {
    if tally.is_met() {
        return Ok(());
    }
    Err(CharterError::TooFewSignatures { of: of(), have: tally.have, need: tally.need })
}
