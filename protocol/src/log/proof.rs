//! Proofs that an entry is in a log (C2SP tlog-proof).
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra AAEC                                    <- optional: base64, read by applications alone
//! index 41                                      <- number of the entry
//! gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=  <- inclusion proof, from the leaf's sibling up
//!                                               <- blank line
//! transport.gov.example/register/8d3f…          <- the signed checkpoint, verbatim
//! 42
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//!
//! — transport.gov.example/register/8d3f… base64(key id ‖ signature)
//! — interior.gov.example/witness base64(key id ‖ time ‖ signature)
//! ```
//!
//! The entry itself is not in it, unless an application puts it into `extra`. Nothing signs `extra`: who reads it checks
//! it against the entry or the checkpoint.

use std::fmt;

use data_encoding::BASE64;

use super::checkpoint::{HeadError, SignedHead, parse_decimal};
use super::cosignature::Cosignature;
use super::merkle;
use super::note::{Note, NoteError};
use super::policy::Quorum;
use crate::digest::Digest;
use crate::key::VerifierKey;
use crate::limits;

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Why bytes are not a proof, or a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// More bytes than a proof may have.
    #[error("expected a proof of at most {max} bytes, {0} came", max = limits::TLOG_PROOF_SIZE_MAX)]
    Size(usize),
    /// Not UTF-8.
    #[error("expected UTF-8")]
    Utf8,
    /// Another first line.
    #[error("expected the first line {HEADER}")]
    Header,
    /// Extra data that is not canonical base64, or empty.
    #[error("expected extra data in canonical base64, or no such line")]
    Extra,
    /// No `index` line.
    #[error("expected a line `index N` in decimal, without leading zeroes")]
    Index,
    /// A line of the inclusion proof that is no hash.
    #[error("expected a hash of 32 bytes in canonical base64")]
    Hash,
    /// More hashes than a tree has levels.
    #[error("expected at most {} hashes", limits::TLOG_PROOF_HASHES_MAX)]
    Hashes,
    /// No blank line before the checkpoint.
    #[error("expected a blank line before the checkpoint")]
    BlankLine,
    /// The signed checkpoint is not well formed, or a known cosignature does not match.
    #[error("the signed checkpoint is refused")]
    Note(#[from] NoteError),
    /// The signed checkpoint is no head of this register.
    #[error("the checkpoint is no head of this register")]
    Head(#[from] HeadError),
    /// The entry is not under the checkpoint at this index.
    #[error("the entry is not in the log at this index")]
    Inclusion,
    /// Too few witnesses.
    #[error("expected a checkpoint that a quorum of witnesses has cosigned")]
    Quorum,
}

/// A proof that is well formed; nothing is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Data of an application, which nothing signs.
    pub extra: Option<Vec<u8>>,
    /// The number of the entry, from 0.
    pub index: u64,
    /// The inclusion proof, from the leaf's sibling up.
    pub hashes: Vec<Digest>,
    /// The signed checkpoint.
    pub checkpoint: Note,
}

/// What a proof shows of an entry. One constructor: [`TlogProof::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    head: SignedHead,
    cosignatures: Vec<Cosignature>,
    index: u64,
}

impl Logged {
    /// Returns the head that the entry lies under.
    pub fn head(&self) -> &SignedHead {
        &self.head
    }

    /// Returns the cosignatures of the witnesses that count.
    pub fn cosignatures(&self) -> &[Cosignature] {
        &self.cosignatures
    }

    /// Returns the number of the entry.
    pub fn index(&self) -> u64 {
        self.index
    }
}

impl TlogProof {
    /// Reads a proof, whole or not at all.
    pub fn parse(data: &[u8]) -> Result<Self, ProofError> {
        if data.len() > limits::TLOG_PROOF_SIZE_MAX {
            return Err(ProofError::Size(data.len()));
        }
        let text = std::str::from_utf8(data).map_err(|_| ProofError::Utf8)?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(ProofError::BlankLine)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(ProofError::Header);
        }
        let encoded = lines.next_if(|line| line.starts_with("extra")).map(|line| line.strip_prefix("extra "));
        let extra = match encoded {
            None => None,
            Some(encoded) => {
                let encoded = encoded.filter(|e| !e.is_empty()).ok_or(ProofError::Extra)?;
                Some(BASE64.decode(encoded.as_bytes()).map_err(|_| ProofError::Extra)?)
            }
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.and_then(|text| parse_decimal(text, limits::TREE_SIZE_MAX)).ok_or(ProofError::Index)?;
        let mut hashes = Vec::new();
        for line in lines {
            if hashes.len() == limits::TLOG_PROOF_HASHES_MAX {
                return Err(ProofError::Hashes);
            }
            let bytes = BASE64.decode(line.as_bytes()).map_err(|_| ProofError::Hash)?;
            hashes.push(Digest::from_slice(&bytes).ok_or(ProofError::Hash)?);
        }
        Ok(Self { extra, index, hashes, checkpoint: Note::parse(checkpoint.as_bytes())? })
    }

    /// Verifies that `leaf` is in the log of `origin` under a head by one of `keys`, which a quorum of those witnesses
    /// has cosigned that `counts` holds for. A signature of a known key that does not match refuses the proof.
    pub fn verify(
        &self,
        leaf: &[u8],
        origin: &str,
        keys: &[VerifierKey],
        quorum: &Quorum,
        counts: impl Fn(&str) -> bool,
    ) -> Result<Logged, ProofError> {
        let head = SignedHead::authenticate(self.checkpoint.clone(), origin, keys)?;
        let checkpoint = head.checkpoint();
        if !merkle::verify_inclusion(leaf, self.index, checkpoint.size, checkpoint.root, &self.hashes) {
            return Err(ProofError::Inclusion);
        }
        let mut cosignatures = Cosignature::all_in(&self.checkpoint, checkpoint, quorum.witnesses())?;
        cosignatures.retain(|cosignature| counts(cosignature.witness()));
        if !quorum.met_by(|name| cosignatures.iter().any(|cosignature| cosignature.witness() == name)) {
            return Err(ProofError::Quorum);
        }
        Ok(Logged { head, cosignatures, index: self.index })
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", BASE64.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{}", BASE64.encode(hash.as_bytes())))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::key::{Algorithm, SecretKey};
    use crate::log::checkpoint::Checkpoint;
    use crate::log::merkle::{Tree, leaf_hash};
    use crate::log::{cosignature, note};

    const ORIGIN: &str = "log.example/register/1";

    fn key(name: &str, algorithm: Algorithm, seed: u8) -> (VerifierKey, SecretKey) {
        let secret = SecretKey::from_seed(&[seed; 32]);
        (VerifierKey::new(name, algorithm, secret.public()).unwrap(), secret)
    }

    /// A log of eleven entries with two witnesses of three, and the proof of entry 7.
    fn proof() -> (TlogProof, VerifierKey, Quorum) {
        let mut tree = Tree::default();
        (0..11_u8).for_each(|n| tree.push(leaf_hash(&[n])));
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: 11, root: tree.root() };
        let text = checkpoint.text();
        let (own, secret) = key(ORIGIN, Algorithm::Note, 1);
        let witnesses = [2, 3, 4].map(|n| key(&format!("w{n}.example"), Algorithm::Cosignature, n));
        let mut lines = vec![note::sign(&text, &own, &secret)];
        lines
            .extend(witnesses.iter().take(2).map(|(key, secret)| cosignature::sign(&text, 1_790_000_000, key, secret)));
        let mut policy: String = witnesses.iter().map(|(key, _)| format!("witness {} {key}\n", key.name())).collect();
        policy.push_str("group q 2 w2.example w3.example w4.example\nquorum q\n");
        let hashes = tree.inclusion(7, 11).unwrap();
        let checkpoint = Note::new(text, lines);
        let proof = TlogProof { extra: Some(b"extra".to_vec()), index: 7, hashes, checkpoint };
        (proof, own, Quorum::parse(&policy).unwrap())
    }

    fn verify(data: &[u8], own: &VerifierKey, quorum: &Quorum) -> Result<Logged, ProofError> {
        TlogProof::parse(data)?.verify(&[7], ORIGIN, std::slice::from_ref(own), quorum, |_| true)
    }

    #[test]
    fn reads_what_it_writes_and_holds() {
        let (proof, own, quorum) = proof();
        let text = proof.to_string();
        assert_eq!(TlogProof::parse(text.as_bytes()), Ok(proof.clone()));
        let logged = verify(text.as_bytes(), &own, &quorum).unwrap();
        assert_eq!((logged.head().checkpoint().size, logged.index(), logged.cosignatures().len()), (11, 7, 2));
        let plain = TlogProof { extra: None, ..proof };
        assert_eq!(TlogProof::parse(plain.to_string().as_bytes()), Ok(plain));
    }

    #[test]
    fn holds_for_no_other_leaf_index_key_or_smaller_quorum() {
        let (proof, own, quorum) = proof();
        let keys = std::slice::from_ref(&own);
        assert_eq!(proof.verify(&[8], ORIGIN, keys, &quorum, |_| true), Err(ProofError::Inclusion));
        let moved = TlogProof { index: 6, ..proof.clone() };
        assert_eq!(moved.verify(&[7], ORIGIN, keys, &quorum, |_| true), Err(ProofError::Inclusion));
        assert_eq!(proof.verify(&[7], ORIGIN, keys, &quorum, |name| name != "w2.example"), Err(ProofError::Quorum));
        let (other, _) = key(ORIGIN, Algorithm::Note, 9);
        let refused = proof.verify(&[7], ORIGIN, &[other], &quorum, |_| true);
        assert_eq!(refused, Err(ProofError::Head(HeadError::Note(NoteError::UnknownKey))));
        let refused = proof.verify(&[7], "log.example/register/2", keys, &quorum, |_| true);
        assert_eq!(refused, Err(ProofError::Head(HeadError::WrongOrigin)));
        assert!(proof.verify(&[7], ORIGIN, keys, &Quorum::none(), |_| true).is_ok());
    }

    #[test]
    fn no_byte_but_those_of_extra_can_be_altered() {
        let (proof, own, quorum) = proof();
        let bytes = TlogProof { extra: None, ..proof }.to_string().into_bytes();
        for at in 0..bytes.len() {
            for flip in [1, 0x20, 0x80] {
                let mut bad = bytes.clone();
                bad[at] ^= flip;
                assert!(verify(&bad, &own, &quorum).is_err(), "byte {at} ^ {flip}");
            }
            assert!(verify(&bytes[..at], &own, &quorum).is_err(), "cut at {at}");
        }
        assert!(verify(&[&bytes[..], b"\n"].concat(), &own, &quorum).is_err(), "a trailing line");
    }

    #[test]
    fn refuses_every_form_that_it_would_not_write() {
        let (proof, ..) = proof();
        let text = proof.to_string();
        let refused = |from: &str, to: &str| TlogProof::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert_eq!(refused("@v1", "@v2"), ProofError::Header);
        assert_eq!(refused("extra ZXh0cmE=", "extra "), ProofError::Extra);
        assert_eq!(refused("extra ZXh0cmE=", "extra ZXh0cmF="), ProofError::Extra);
        assert_eq!(refused("extra ZXh0cmE=", "extra ZXh0cmE"), ProofError::Extra);
        assert_eq!(refused("index 7", "index 07"), ProofError::Index);
        assert_eq!(refused("index 7", "index +7"), ProofError::Index);
        assert_eq!(refused("index 7\n", ""), ProofError::Index);
        assert_eq!(refused("index 7\n", "index 7\nAAAA\n"), ProofError::Hash);
        let many = "index 7\n".to_owned() + &"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n".repeat(64);
        assert_eq!(refused("index 7\n", &many), ProofError::Hashes);
        let huge = vec![b'a'; limits::TLOG_PROOF_SIZE_MAX + 1];
        assert_eq!(TlogProof::parse(&huge), Err(ProofError::Size(huge.len())));
    }

    #[test]
    fn passes_over_an_ml_dsa_cosignature() {
        let (mut proof, own, quorum) = proof();
        let line = note::SignatureLine { name: "w2.example".to_owned(), id: [6; 4], blob: vec![0; 8 + 2420] };
        proof.checkpoint.add(line);
        assert_eq!(verify(proof.to_string().as_bytes(), &own, &quorum).unwrap().cosignatures().len(), 2);
    }
}
