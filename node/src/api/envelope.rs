//! What a command hands to a node: one CBOR map, every part as the network has it.
//!
//! ```text
//! {0: [head message…], 1: [body…], 2: [charter note…], 3: [statement message…], 4: [fork message…],
//!  5: [past message…], 6: [witness proof…]}
//! ```
//!
//! All seven lists are there, in this order; an empty one is `[]`. Heads of an authority stand before those of whom it
//! recognises. The bytes of each part are those of `specs/sync.md` §2.

use bytes::Bytes;
use standfast_protocol::codec::{CborError, Reader, Writer};
use standfast_protocol::limits;
use standfast_protocol::sync::Submission;
use standfast_protocol::sync::message::{ForkMessage, HeadMessage, MessageError, PastMessage, StatementMessage};

/// Parts in one list.
const PARTS_MAX: usize = 1 << 20;

/// Why an envelope does not read.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not the map of seven lists.
    #[error("expected a CBOR map of seven lists of byte strings")]
    Cbor(#[from] CborError),
    /// A part that does not read.
    #[error("{what} {position} does not read")]
    Part {
        /// What it should have been.
        what: &'static str,
        /// Its position in its list, from 0.
        position: usize,
        /// What is wrong.
        #[source]
        source: MessageError,
    },
    /// Too many parts.
    #[error("expected at most {PARTS_MAX} parts in a list, {0} came")]
    Parts(usize),
    /// Nothing in it.
    #[error("expected at least one part")]
    Empty,
}

/// Writes a submission.
pub fn encode(submission: &Submission) -> Vec<u8> {
    let mut w = Writer::new();
    w.map(7);
    list(&mut w, 0, submission.heads.iter().map(HeadMessage::encode));
    list(&mut w, 1, submission.bodies.iter());
    list(&mut w, 2, submission.charters.iter());
    list(&mut w, 3, submission.statements.iter().map(StatementMessage::encode));
    list(&mut w, 4, submission.forks.iter().map(ForkMessage::encode));
    list(&mut w, 5, submission.pasts.iter().map(PastMessage::encode));
    list(&mut w, 6, submission.witness_proofs.iter());
    w.into_bytes()
}

fn list<B: AsRef<[u8]>>(w: &mut Writer, key: u64, parts: impl ExactSizeIterator<Item = B>) {
    w.uint(key).array(parts.len());
    for part in parts {
        w.bytes(part.as_ref());
    }
}

/// Reads a submission, whole or not at all; nothing in it is checked yet.
pub fn decode(data: &[u8]) -> Result<Submission, EnvelopeError> {
    let mut r = Reader::new(data);
    r.map_len(7)?;
    let heads = parts(&mut r, 0, "head", |d| HeadMessage::decode(d, limits::BATCH_SIZE_MAX))?;
    let bodies = parts(&mut r, 1, "body", |d| match d.len() {
        0..=limits::BODY_SIZE_MAX => Ok(Bytes::copy_from_slice(d)),
        found => Err(MessageError::Size { max: limits::BODY_SIZE_MAX, found }),
    })?;
    let charters = parts(&mut r, 2, "charter", |d| match d.len() {
        0..=limits::NOTE_SIZE_MAX => Ok(Bytes::copy_from_slice(d)),
        found => Err(MessageError::Size { max: limits::NOTE_SIZE_MAX, found }),
    })?;
    let statements = parts(&mut r, 3, "statement", StatementMessage::decode)?;
    let forks = parts(&mut r, 4, "fork", ForkMessage::decode)?;
    let pasts = parts(&mut r, 5, "old register", PastMessage::decode)?;
    let witness_proofs = parts(&mut r, 6, "witness proof", |d| match d.len() {
        0..=limits::WITNESS_PROOF_SIZE_MAX => Ok(Bytes::copy_from_slice(d)),
        found => Err(MessageError::Size { max: limits::WITNESS_PROOF_SIZE_MAX, found }),
    })?;
    r.finish()?;
    let evidence = forks.len() + pasts.len() + witness_proofs.len();
    let count = heads.len() + bodies.len() + charters.len() + statements.len() + evidence;
    if count == 0 {
        return Err(EnvelopeError::Empty);
    }
    Ok(Submission { charters, bodies, heads, statements, forks, pasts, witness_proofs, ..Submission::default() })
}

fn parts<T>(
    r: &mut Reader<'_>,
    key: u64,
    what: &'static str,
    read: impl Fn(&[u8]) -> Result<T, MessageError>,
) -> Result<Vec<T>, EnvelopeError> {
    r.key(key)?;
    let count = r.array()?;
    if count > PARTS_MAX {
        return Err(EnvelopeError::Parts(count));
    }
    (0..count)
        .map(|position| read(r.bytes()?).map_err(|source| EnvelopeError::Part { what, position, source }))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn submission() -> Submission {
        let fork = ForkMessage {
            origin: "a.example/register/00000000000000000000000000000000".to_owned(),
            proof: Bytes::from_static(b"p"),
        };
        Submission {
            charters: vec![Bytes::from_static(b"charter")],
            bodies: vec![Bytes::from_static(b"{}"), Bytes::new()],
            statements: vec![StatementMessage::View(Bytes::from_static(b"view"))],
            forks: vec![fork],
            witness_proofs: vec![Bytes::from_static(b"w")],
            ..Submission::default()
        }
    }

    #[test]
    fn reads_what_it_writes() {
        let bytes = encode(&submission());
        assert_eq!(encode(&decode(&bytes).unwrap()), bytes);
    }

    #[test]
    fn refuses_what_is_cut_or_too_long() {
        let bytes = encode(&submission());
        for cut in 0..bytes.len() {
            assert!(decode(bytes.get(..cut).unwrap()).is_err(), "cut at {cut}");
        }
        assert!(matches!(decode(&[&bytes[..], &[0]].concat()), Err(EnvelopeError::Cbor(_))));
    }

    #[test]
    fn refuses_an_envelope_without_a_part() {
        assert!(matches!(decode(&encode(&Submission::default())), Err(EnvelopeError::Empty)));
    }
}
