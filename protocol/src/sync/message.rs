//! What nodes say to each other (`specs/sync.md` §2, §3): gossip messages, requests and responses.
//!
//! ```text
//! heads       [origin, size, root, [own signature…], [cosignature…], first, [entry…], [body item…]]
//! statements  [0, origin, size, root, [cosignature…]]  |  [1, view message]
//! forks       [origin, fork proof]  |  [0, witness proof]
//! past        [origin, size, root, [entry…]]                                  never gossiped
//! signature   4-byte key id ‖ signature (64 bytes), or ‖ time (8 bytes, big-endian) ‖ signature
//! body item   [0, body]  |  [1, delta]
//! ```
//!
//! All of it is deterministic CBOR. Signatures travel as bytes; the key's name is the origin's or, for a cosignature,
//! that of the witness whose key id the charter lists.

use bytes::Bytes;

use crate::codec::{CborError, Reader, Writer};
use crate::digest::Digest;
use crate::key::check_name;
use crate::limits;
use crate::log::checkpoint::Checkpoint;
use crate::log::note::{Note, SignatureLine};
use crate::register::fact::After;

/// Why a message was refused: its sender does not speak the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Not the CBOR that was expected.
    #[error("the message is not the expected CBOR")]
    Cbor(#[from] CborError),
    /// More bytes than allowed.
    #[error("expected at most {max} bytes, {found} came")]
    Size {
        /// The limit.
        max: usize,
        /// What came.
        found: usize,
    },
    /// More elements than allowed.
    #[error("expected at most {max} {what}, {found} came")]
    Count {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
        /// What came.
        found: usize,
    },
    /// A kind that this version does not know.
    #[error("expected a known kind, {0} came")]
    Kind(u64),
    /// A value that is out of its range.
    #[error("{0} is out of range")]
    Range(&'static str),
}

/// A signature in binary: a key id and what follows it in a signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The key id.
    pub id: [u8; 4],
    /// A signature, or a time and a signature.
    pub blob: Vec<u8>,
}

impl Signed {
    /// Takes a signature line apart; its name is left to the receiver.
    pub fn from_line(line: &SignatureLine) -> Self {
        Self { id: line.id, blob: line.blob.clone() }
    }

    /// Returns the signature line under `name`.
    pub fn line(&self, name: &str) -> SignatureLine {
        SignatureLine { name: name.to_owned(), id: self.id, blob: self.blob.clone() }
    }

    fn write(&self, w: &mut Writer) {
        let mut bytes = self.id.to_vec();
        bytes.extend_from_slice(&self.blob);
        w.bytes(&bytes);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, MessageError> {
        let bytes = r.bytes()?;
        match bytes.split_first_chunk::<4>() {
            Some((id, blob)) if blob.len() == 64 || blob.len() == 72 => Ok(Self { id: *id, blob: blob.to_vec() }),
            _ => Err(MessageError::Range("the length of a signature")),
        }
    }
}

/// A record body as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyItem {
    /// The whole body.
    Whole(Bytes),
    /// A delta (`specs/status.md`) on a body that the receiver may hold.
    Delta(Bytes),
}

/// A signed head with as many of its latest entries and bodies as fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadMessage {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Signatures by keys of the register.
    pub own: Vec<Signed>,
    /// Cosignatures of witnesses over exactly this checkpoint.
    pub cosignatures: Vec<Signed>,
    /// The number of the first entry carried.
    pub first: u64,
    /// The entries from `first` on.
    pub entries: Vec<Bytes>,
    /// Bodies of records that those entries put.
    pub bodies: Vec<BodyItem>,
}

impl HeadMessage {
    /// Returns the note with the register's own signatures.
    pub fn note(&self) -> Note {
        let lines = self.own.iter().map(|s| s.line(&self.checkpoint.origin)).collect();
        Note::new(self.checkpoint.text(), lines)
    }

    /// Writes the message.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        self.write(&mut w);
        w.into_bytes()
    }

    /// Reads a message of at most `size_max` bytes.
    pub fn decode(data: &[u8], size_max: usize) -> Result<Self, MessageError> {
        check_size(data, size_max)?;
        let mut r = Reader::new(data);
        let message = Self::read(&mut r)?;
        r.finish()?;
        Ok(message)
    }

    fn write(&self, w: &mut Writer) {
        w.array(8);
        write_checkpoint(w, &self.checkpoint);
        write_all(w, &self.own, Signed::write);
        write_all(w, &self.cosignatures, Signed::write);
        w.uint(self.first);
        write_all(w, &self.entries, |e, w| {
            w.bytes(e);
        });
        write_all(w, &self.bodies, |b, w| match b {
            BodyItem::Whole(body) => {
                w.array(2).uint(0).bytes(body);
            }
            BodyItem::Delta(delta) => {
                w.array(2).uint(1).bytes(delta);
            }
        });
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, MessageError> {
        r.array_len(8)?;
        let checkpoint = read_checkpoint(r)?;
        let own = read_all(r, "signatures", limits::NOTE_SIGNATURES_MAX, Signed::read)?;
        let cosignatures = read_all(r, "cosignatures", limits::NOTE_SIGNATURES_MAX, Signed::read)?;
        let first = r.uint()?;
        let entries = read_entries(r)?;
        let bodies = read_all(r, "bodies", limits::MESSAGE_ENTRIES_MAX, |r| {
            r.array_len(2)?;
            match r.uint()? {
                0 => Ok(BodyItem::Whole(Bytes::copy_from_slice(r.bytes()?))),
                1 => Ok(BodyItem::Delta(Bytes::copy_from_slice(r.bytes()?))),
                kind => Err(MessageError::Kind(kind)),
            }
        })?;
        Ok(Self { checkpoint, own, cosignatures, first, entries, bodies })
    }
}

/// A statement of a witness, or of a publisher about its own head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementMessage {
    /// Cosignatures over one checkpoint.
    Cosignatures(Checkpoint, Vec<Signed>),
    /// A view message (`specs/sync.md` §2.3).
    View(Bytes),
}

impl StatementMessage {
    /// Writes the message.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        match self {
            Self::Cosignatures(checkpoint, signed) => {
                w.array(5).uint(0);
                write_checkpoint(&mut w, checkpoint);
                write_all(&mut w, signed, Signed::write);
            }
            Self::View(view) => {
                w.array(2).uint(1).bytes(view);
            }
        }
        w.into_bytes()
    }

    /// Reads a message.
    pub fn decode(data: &[u8]) -> Result<Self, MessageError> {
        // Bounds of its own hold where it came from: gossip, a submission; a journalled view is as large as views are.
        check_size(data, limits::VIEW_MESSAGE_SIZE_MAX.saturating_add(16))?;
        let mut r = Reader::new(data);
        let len = r.array()?;
        let message = match (r.uint()?, len) {
            (0, 5) => {
                let checkpoint = read_checkpoint(&mut r)?;
                let signed = read_all(&mut r, "cosignatures", limits::NOTE_SIGNATURES_MAX, Signed::read)?;
                Self::Cosignatures(checkpoint, signed)
            }
            (1, 2) => Self::View(Bytes::copy_from_slice(r.bytes()?)),
            (kind, _) => return Err(MessageError::Kind(kind)),
        };
        r.finish()?;
        Ok(message)
    }
}

/// A fork proof on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkMessage {
    /// The register.
    pub origin: String,
    /// The proof (`specs/register.md` §8).
    pub proof: Bytes,
}

impl ForkMessage {
    /// Writes the message.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.array(2).text(&self.origin).bytes(&self.proof);
        w.into_bytes()
    }

    /// Reads a message.
    pub fn decode(data: &[u8]) -> Result<Self, MessageError> {
        check_size(data, limits::GOSSIP_SIZE_MAX)?;
        let mut r = Reader::new(data);
        r.array_len(2)?;
        let message = Self { origin: read_origin(&mut r)?, proof: Bytes::copy_from_slice(r.bytes()?) };
        r.finish()?;
        Ok(message)
    }
}

/// A message of the topic forks, and what the journal keeps of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EvidenceMessage {
    /// That a register's key signed two histories.
    Register(ForkMessage),
    /// That a witness contradicted itself (`specs/witness.md` §4).
    Witness(Bytes),
}

impl EvidenceMessage {
    /// Writes the message.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Register(message) => message.encode(),
            Self::Witness(proof) => {
                let mut w = Writer::new();
                w.array(2).uint(0).bytes(proof);
                w.into_bytes()
            }
        }
    }

    /// Reads a message.
    pub fn decode(data: &[u8]) -> Result<Self, MessageError> {
        check_size(data, limits::GOSSIP_SIZE_MAX)?;
        let mut r = Reader::new(data);
        r.array_len(2)?;
        if r.peek_major() != Some(0) {
            return ForkMessage::decode(data).map(Self::Register);
        }
        match r.uint()? {
            0 => {
                let proof = Bytes::copy_from_slice(r.bytes()?);
                r.finish()?;
                Ok(Self::Witness(proof))
            }
            kind => Err(MessageError::Kind(kind)),
        }
    }
}

/// The entries of an old register up to the point that a binding names; in bundles, submissions and the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastMessage {
    /// The point.
    pub after: After,
    /// Every entry before it.
    pub entries: Vec<Bytes>,
}

impl PastMessage {
    /// Writes the message.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.array(4);
        write_after(&mut w, &self.after);
        write_all(&mut w, &self.entries, |e, w| {
            w.bytes(e);
        });
        w.into_bytes()
    }

    /// Reads a message.
    pub fn decode(data: &[u8]) -> Result<Self, MessageError> {
        check_size(data, limits::BATCH_SIZE_MAX)?;
        let mut r = Reader::new(data);
        r.array_len(4)?;
        let message = Self { after: read_after(&mut r)?, entries: read_entries(&mut r)? };
        r.finish()?;
        Ok(message)
    }
}

/// A place in the frontier trie: the first `nibbles.len()` half-bytes of SHA-256(origin).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prefix(pub Vec<u8>);

impl Prefix {
    /// True when `path` lies below this place.
    pub fn covers(&self, path: &Digest) -> bool {
        self.0.iter().enumerate().all(|(i, nibble)| {
            let byte = path.0.get(i / 2).copied().unwrap_or(0);
            *nibble == if i % 2 == 0 { byte >> 4 } else { byte & 0x0f }
        })
    }

    /// Returns the place one half-byte deeper.
    pub fn child(&self, nibble: u8) -> Self {
        let mut nibbles = self.0.clone();
        nibbles.push(nibble);
        Self(nibbles)
    }
}

/// What one peer asks of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// What stands below `prefix`, unless its root is `root`.
    Frontier {
        /// The place.
        prefix: Prefix,
        /// The asker's own root of that place.
        root: Digest,
    },
    /// The newest head of a register, the witnessed one, and entries from `first` on.
    Entries {
        /// The register.
        origin: String,
        /// The first entry wanted.
        first: u64,
    },
    /// A piece of a record body; the asker holds `base`.
    Body {
        /// The digest of the body.
        digest: Digest,
        /// The first byte wanted.
        offset: u64,
        /// A body on which a delta would help.
        base: Option<Digest>,
    },
    /// A piece of the newest view of a witness, whole.
    View {
        /// The witness's name in the charter.
        witness: String,
        /// The time of the view whose pieces are fetched; 0 for the newest that counts, [`crate::log::view::View::OF_ANY_TIME`]
        /// for the newest of all.
        time: u64,
        /// The first byte wanted.
        offset: u64,
    },
    /// The fork proof of a register, with the other branch.
    Fork {
        /// The register.
        origin: String,
    },
    /// A version of the charter.
    Charter {
        /// The version.
        version: u64,
    },
    /// The newest cosignatures of a witness that are held, one a register, by origins above `after`: what a witness that
    /// starts asks about itself.
    Own {
        /// The witness's name in the charter.
        witness: String,
        /// The last origin that came; empty at first.
        after: String,
    },
    /// The witness proof held of this key.
    WitnessProof {
        /// Whose.
        witness: String,
        /// The id of its cosignature key.
        key: [u8; 4],
    },
    /// Both charters of a version.
    CharterFork {
        /// The version.
        version: u64,
    },
    /// Entries of an old register, up to the point that a binding names.
    Past {
        /// The point.
        after: After,
        /// The first entry wanted.
        first: u64,
    },
}

impl Request {
    /// Writes the request.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        match self {
            Self::Frontier { prefix, root } => w.array(3).uint(0).bytes(&prefix.0).bytes(root.as_bytes()),
            Self::Entries { origin, first } => w.array(3).uint(1).text(origin).uint(*first),
            Self::Body { digest, offset, base } => w
                .array(4)
                .uint(2)
                .bytes(digest.as_bytes())
                .uint(*offset)
                .bytes(base.as_ref().map_or(&[], |b| b.as_bytes().as_slice())),
            Self::View { witness, time, offset } => w.array(4).uint(3).text(witness).uint(*time).uint(*offset),
            Self::Fork { origin } => w.array(2).uint(4).text(origin),
            Self::Charter { version } => w.array(2).uint(5).uint(*version),
            Self::Own { witness, after } => w.array(3).uint(7).text(witness).text(after),
            Self::WitnessProof { witness, key } => w.array(3).uint(8).text(witness).bytes(key),
            Self::CharterFork { version } => w.array(2).uint(9).uint(*version),
            Self::Past { after, first } => {
                w.array(5).uint(10);
                write_after(&mut w, after);
                w.uint(*first)
            }
        };
        w.into_bytes()
    }

    /// Reads a request.
    pub fn decode(data: &[u8]) -> Result<Self, MessageError> {
        check_size(data, limits::REQUEST_SIZE_MAX)?;
        let mut r = Reader::new(data);
        let len = r.array()?;
        let request = match (r.uint()?, len) {
            (0, 3) => {
                let nibbles = r.bytes()?;
                if nibbles.len() > 64 || nibbles.iter().any(|n| *n > 15) {
                    return Err(MessageError::Range("a prefix"));
                }
                Self::Frontier { prefix: Prefix(nibbles.to_vec()), root: read_digest(&mut r)? }
            }
            (1, 3) => Self::Entries { origin: read_origin(&mut r)?, first: r.uint()? },
            (2, 4) => {
                let (digest, offset) = (read_digest(&mut r)?, r.uint()?);
                let base = r.bytes()?;
                let base = (!base.is_empty()).then(|| Digest::from_slice(base).ok_or(MessageError::Range("a base")));
                Self::Body { digest, offset, base: base.transpose()? }
            }
            (3, 4) => Self::View { witness: read_origin(&mut r)?, time: r.uint()?, offset: r.uint()? },
            (4, 2) => Self::Fork { origin: read_origin(&mut r)? },
            (5, 2) => Self::Charter { version: r.uint()? },
            (7, 3) => {
                let (witness, after) = (read_origin(&mut r)?, r.text()?);
                if !after.is_empty() {
                    check_name(after).map_err(|_| MessageError::Range("an origin"))?;
                }
                Self::Own { witness, after: after.to_owned() }
            }
            (8, 3) => Self::WitnessProof { witness: read_origin(&mut r)?, key: *r.array_of()? },
            (9, 2) => Self::CharterFork { version: r.uint()? },
            (10, 5) => Self::Past { after: read_after(&mut r)?, first: r.uint()? },
            (kind, _) => return Err(MessageError::Kind(kind)),
        };
        r.finish()?;
        Ok(request)
    }
}

/// One register as a peer holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontierLeaf {
    /// The register.
    pub origin: String,
    /// The newest admitted size.
    pub newest: u64,
    /// The root at that size.
    pub root: Digest,
    /// The witnessed size.
    pub witnessed: u64,
    /// The digest of the fork proof held.
    pub fork: Option<Digest>,
    /// The size of the newest head of the other branch of a fork; 0 where only the proof is held.
    pub other: u64,
    /// The size of that branch's newest witnessed checkpoint; 0 for none.
    pub other_witnessed: u64,
    /// The time of the publisher's newest timestamp held, in POSIX seconds; 0 for none.
    pub published: u64,
    /// By which bound keys the newest head and the witnessed one are signed, as a digest.
    pub signed: [u8; 8],
}

impl FrontierLeaf {
    /// Returns the leaf's digest in the frontier trie (`specs/sync.md` §3.1).
    pub fn digest(&self) -> Digest {
        Digest::of_parts(&[
            &[0x05],
            &self.newest.to_be_bytes(),
            self.root.as_bytes(),
            &self.witnessed.to_be_bytes(),
            self.fork.as_ref().map_or(&[0; 32], |d| d.as_bytes()),
            &self.other.to_be_bytes(),
            &self.other_witnessed.to_be_bytes(),
            &self.published.to_be_bytes(),
            &self.signed,
        ])
    }

    fn write(&self, w: &mut Writer) {
        w.array(9).text(&self.origin).uint(self.newest).bytes(self.root.as_bytes()).uint(self.witnessed);
        w.bytes(self.fork.as_ref().map_or(&[], |d| d.as_bytes().as_slice()));
        w.uint(self.other).uint(self.other_witnessed).uint(self.published).bytes(&self.signed);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, MessageError> {
        r.array_len(9)?;
        let (origin, newest, root, witnessed) = (read_origin(r)?, read_tree_size(r)?, read_digest(r)?, r.uint()?);
        let fork = r.bytes()?;
        let fork = (!fork.is_empty()).then(|| Digest::from_slice(fork).ok_or(MessageError::Range("a fork's digest")));
        let fork = fork.transpose()?;
        let (other, other_witnessed, published) = (r.uint()?, r.uint()?, r.uint()?);
        let signed = *r.array_of::<8>()?;
        Ok(Self { origin, newest, root, witnessed, fork, other, other_witnessed, published, signed })
    }
}

/// What stands below a place of the frontier trie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrontierNode {
    /// The same as the asker's.
    Same,
    /// Few enough registers to list.
    Leaves(Vec<FrontierLeaf>),
    /// The roots of the sixteen places one half-byte deeper.
    Children(Vec<Digest>),
}

/// What a peer answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// To [`Request::Frontier`].
    Frontier {
        /// The answerer's charter version.
        charter: u64,
        /// The digest of that charter.
        charter_digest: Digest,
        /// The versions of which it holds two charters.
        forks: Vec<u64>,
        /// The time of the newest view held, by witness.
        views: Vec<(String, u64)>,
        /// Witnesses of whom a proof is held, with the id of the cosignature key.
        misbehaved: Vec<(String, [u8; 4])>,
        /// What stands below the place.
        node: FrontierNode,
    },
    /// To [`Request::Entries`]: the newest head with entries from the one asked for on, and the witnessed head, when it
    /// is another one. Where the entries do not reach the head, the next request continues.
    Entries {
        /// The newest head.
        newest: Box<HeadMessage>,
        /// The witnessed head with its cosignatures, and no entries.
        witnessed: Option<Box<HeadMessage>>,
        /// The publisher's newest timestamp: its checkpoint and cosignature.
        timestamp: Option<(Checkpoint, Signed)>,
    },
    /// To [`Request::Body`]: a piece.
    Body {
        /// The size of the whole item.
        total: u64,
        /// Whether it is a delta on the base of the request.
        is_delta: bool,
        /// The bytes from the offset asked for on.
        piece: Bytes,
    },
    /// To [`Request::View`]: a piece of a view message that carries every leaf.
    View {
        /// The time of the view.
        time: u64,
        /// The size of the whole message.
        total: u64,
        /// The bytes from the offset asked for on.
        piece: Bytes,
    },
    /// To [`Request::Fork`].
    Fork {
        /// The proof.
        proof: Bytes,
        /// The witnessed and the newest head of the other branch, each with its entries from the fork point on, at most
        /// 64 KiB.
        other: Vec<HeadMessage>,
    },
    /// To [`Request::Charter`]: the signed note.
    Charter(Bytes),
    /// To [`Request::CharterFork`]: the two signed notes.
    CharterFork(Vec<Bytes>),
    /// Not held.
    NotHeld,
    /// To [`Request::Own`]: checkpoints with a cosignature each, ascending by origin.
    Own {
        /// The statements.
        statements: Vec<(Checkpoint, Signed)>,
        /// Whether there are more.
        more: bool,
    },
    /// To [`Request::WitnessProof`].
    WitnessProof(Bytes),
    /// To [`Request::Past`]: entries from the one asked for on, as many as fit.
    Past(Vec<Bytes>),
}

impl Response {
    /// Writes the response.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        match self {
            Self::Frontier { charter, charter_digest, forks, views, misbehaved, node } => {
                w.array(7).uint(0).uint(*charter).bytes(charter_digest.as_bytes());
                write_all(&mut w, forks, |version, w| {
                    w.uint(*version);
                });
                write_all(&mut w, views, |(witness, time), w| {
                    w.array(2).text(witness).uint(*time);
                });
                write_all(&mut w, misbehaved, |(witness, key), w| {
                    w.array(2).text(witness).bytes(key);
                });
                match node {
                    FrontierNode::Same => {
                        w.array(0);
                    }
                    FrontierNode::Leaves(leaves) => {
                        w.array(2).uint(0);
                        write_all(&mut w, leaves, FrontierLeaf::write);
                    }
                    FrontierNode::Children(roots) => {
                        w.array(2).uint(1);
                        write_all(&mut w, roots, |root, w| {
                            w.bytes(root.as_bytes());
                        });
                    }
                }
            }
            Self::Entries { newest, witnessed, timestamp } => {
                w.array(4).uint(1);
                newest.write(&mut w);
                w.array(usize::from(witnessed.is_some()));
                if let Some(head) = witnessed {
                    head.write(&mut w);
                }
                w.array(if timestamp.is_some() { 4 } else { 0 });
                if let Some((checkpoint, signed)) = timestamp {
                    write_checkpoint(&mut w, checkpoint);
                    signed.write(&mut w);
                }
            }
            Self::Body { total, is_delta, piece } => {
                w.array(4).uint(2).uint(*total).uint(u64::from(*is_delta)).bytes(piece);
            }
            Self::View { time, total, piece } => {
                w.array(4).uint(3).uint(*time).uint(*total).bytes(piece);
            }
            Self::Fork { proof, other } => {
                w.array(3).uint(4).bytes(proof);
                write_all(&mut w, other, HeadMessage::write);
            }
            Self::Charter(note) => {
                w.array(2).uint(5).bytes(note);
            }
            Self::CharterFork(notes) => {
                w.array(2).uint(9);
                write_all(&mut w, notes, |note, w| {
                    w.bytes(note);
                });
            }
            Self::NotHeld => {
                w.array(1).uint(6);
            }
            Self::Own { statements, more } => {
                w.array(3).uint(7);
                write_all(&mut w, statements, |(checkpoint, signed), w| {
                    w.array(4);
                    write_checkpoint(w, checkpoint);
                    signed.write(w);
                });
                w.uint(u64::from(*more));
            }
            Self::WitnessProof(proof) => {
                w.array(2).uint(8).bytes(proof);
            }
            Self::Past(entries) => {
                w.array(2).uint(10);
                write_all(&mut w, entries, |e, w| {
                    w.bytes(e);
                });
            }
        }
        w.into_bytes()
    }

    /// Reads a response.
    pub fn decode(data: &[u8]) -> Result<Self, MessageError> {
        check_size(data, limits::RESPONSE_SIZE_MAX)?;
        let mut r = Reader::new(data);
        let len = r.array()?;
        let response = match (r.uint()?, len) {
            (0, 7) => Self::Frontier {
                charter: r.uint()?,
                charter_digest: read_digest(&mut r)?,
                forks: read_all(&mut r, "charter forks", limits::CHARTER_FORKS_MAX, |r| Ok(r.uint()?))?,
                views: read_all(&mut r, "views", limits::NOTE_SIGNATURES_MAX, |r| {
                    r.array_len(2)?;
                    Ok((read_origin(r)?, r.uint()?))
                })?,
                misbehaved: read_all(&mut r, "witnesses", limits::WITNESS_PROOFS_MAX, |r| {
                    r.array_len(2)?;
                    Ok((read_origin(r)?, *r.array_of()?))
                })?,
                node: read_node(&mut r)?,
            },
            (1, 4) => {
                let newest = Box::new(HeadMessage::read(&mut r)?);
                let witnessed = read_all(&mut r, "heads", 1, HeadMessage::read)?.pop().map(Box::new);
                let timestamp = match r.array()? {
                    0 => None,
                    4 => Some((read_checkpoint(&mut r)?, Signed::read(&mut r)?)),
                    _ => return Err(MessageError::Range("a timestamp")),
                };
                Self::Entries { newest, witnessed, timestamp }
            }
            (2, 4) => {
                let (total, is_delta) = (r.uint()?, r.uint()?);
                if is_delta > 1 {
                    return Err(MessageError::Range("a flag"));
                }
                Self::Body { total, is_delta: is_delta == 1, piece: Bytes::copy_from_slice(r.bytes()?) }
            }
            (3, 4) => {
                let (time, total) = (r.uint()?, r.uint()?);
                Self::View { time, total, piece: Bytes::copy_from_slice(r.bytes()?) }
            }
            (4, 3) => Self::Fork {
                proof: Bytes::copy_from_slice(r.bytes()?),
                other: read_all(&mut r, "heads", 2, HeadMessage::read)?,
            },
            (5, 2) => Self::Charter(Bytes::copy_from_slice(r.bytes()?)),
            (9, 2) => Self::CharterFork(read_all(&mut r, "charters", 2, |r| Ok(Bytes::copy_from_slice(r.bytes()?)))?),
            (6, 1) => Self::NotHeld,
            (7, 3) => {
                let statements = read_all(&mut r, "statements", limits::OWN_STATEMENTS_MAX, |r| {
                    r.array_len(4)?;
                    Ok((read_checkpoint(r)?, Signed::read(r)?))
                })?;
                match r.uint()? {
                    more @ 0..=1 => Self::Own { statements, more: more == 1 },
                    _ => return Err(MessageError::Range("a flag")),
                }
            }
            (8, 2) => Self::WitnessProof(Bytes::copy_from_slice(r.bytes()?)),
            (10, 2) => Self::Past(read_entries(&mut r)?),
            (kind, _) => return Err(MessageError::Kind(kind)),
        };
        r.finish()?;
        Ok(response)
    }
}

fn read_node(r: &mut Reader<'_>) -> Result<FrontierNode, MessageError> {
    match r.array()? {
        0 => Ok(FrontierNode::Same),
        2 => match r.uint()? {
            0 => Ok(FrontierNode::Leaves(read_all(r, "leaves", limits::FRONTIER_LEAVES_MAX, FrontierLeaf::read)?)),
            1 => {
                let roots = read_all(r, "roots", 16, read_digest)?;
                if roots.len() == 16 { Ok(FrontierNode::Children(roots)) } else { Err(MessageError::Range("roots")) }
            }
            kind => Err(MessageError::Kind(kind)),
        },
        _ => Err(MessageError::Range("a frontier node")),
    }
}

fn check_size(data: &[u8], max: usize) -> Result<(), MessageError> {
    if data.len() > max { Err(MessageError::Size { max, found: data.len() }) } else { Ok(()) }
}

fn write_all<T>(w: &mut Writer, items: &[T], mut write: impl FnMut(&T, &mut Writer)) {
    w.array(items.len());
    for item in items {
        write(item, w);
    }
}

fn read_all<'a, T>(
    r: &mut Reader<'a>,
    what: &'static str,
    max: usize,
    mut read: impl FnMut(&mut Reader<'a>) -> Result<T, MessageError>,
) -> Result<Vec<T>, MessageError> {
    let found = r.array()?;
    if found > max {
        return Err(MessageError::Count { what, max, found });
    }
    (0..found).map(|_| read(r)).collect()
}

fn write_checkpoint(w: &mut Writer, checkpoint: &Checkpoint) {
    w.text(&checkpoint.origin).uint(checkpoint.size).bytes(checkpoint.root.as_bytes());
}

fn read_checkpoint(r: &mut Reader<'_>) -> Result<Checkpoint, MessageError> {
    let (origin, size, root) = (read_origin(r)?, read_tree_size(r)?, read_digest(r)?);
    if size == 0 && root != Digest::OF_NOTHING {
        return Err(MessageError::Range("the root of an empty log"));
    }
    Ok(Checkpoint { origin, size, root })
}

fn write_after(w: &mut Writer, after: &After) {
    w.text(&after.origin).uint(after.size).bytes(after.root.as_bytes());
}

fn read_after(r: &mut Reader<'_>) -> Result<After, MessageError> {
    let Checkpoint { origin, size, root } = read_checkpoint(r)?;
    Ok(After { origin, size, root })
}

fn read_entries(r: &mut Reader<'_>) -> Result<Vec<Bytes>, MessageError> {
    read_all(r, "entries", limits::MESSAGE_ENTRIES_MAX, |r| Ok(Bytes::copy_from_slice(r.bytes()?)))
}

fn read_tree_size(r: &mut Reader<'_>) -> Result<u64, MessageError> {
    let size = r.uint()?;
    if size > limits::TREE_SIZE_MAX { Err(MessageError::Range("a size")) } else { Ok(size) }
}

fn read_origin(r: &mut Reader<'_>) -> Result<String, MessageError> {
    let text = r.text()?;
    check_name(text).map_err(|_| MessageError::Range("an origin"))?;
    Ok(text.to_owned())
}

fn read_digest(r: &mut Reader<'_>) -> Result<Digest, MessageError> {
    Ok(Digest(*r.array_of::<32>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "a.example/register/0123".to_owned(), size: 3, root: Digest::of(b"root") }
    }

    fn head() -> HeadMessage {
        HeadMessage {
            checkpoint: checkpoint(),
            own: vec![Signed { id: [1, 2, 3, 4], blob: vec![7; 64] }],
            cosignatures: vec![Signed { id: [5, 6, 7, 8], blob: vec![9; 72] }],
            first: 2,
            entries: vec![Bytes::from_static(b"entry")],
            bodies: vec![BodyItem::Whole(Bytes::from_static(b"body")), BodyItem::Delta(Bytes::from_static(b"delta"))],
        }
    }

    fn responses() -> Vec<Response> {
        let leaf = FrontierLeaf {
            origin: "a.example/register/0123".to_owned(),
            newest: 3,
            root: Digest::of(b"root"),
            witnessed: 2,
            fork: Some(Digest::of(b"fork")),
            other: 4,
            other_witnessed: 1,
            published: 99,
            signed: [7; 8],
        };
        let frontier = |node| Response::Frontier {
            charter: 1,
            charter_digest: Digest::of(b"c"),
            forks: vec![2],
            views: vec![("A".to_owned(), 5)],
            misbehaved: vec![("B".to_owned(), [1, 2, 3, 4])],
            node,
        };
        vec![
            frontier(FrontierNode::Same),
            frontier(FrontierNode::Leaves(vec![leaf])),
            frontier(FrontierNode::Children(vec![Digest::OF_NOTHING; 16])),
            Response::Entries {
                newest: Box::new(head()),
                witnessed: Some(Box::new(head())),
                timestamp: Some((checkpoint(), Signed { id: [1; 4], blob: vec![1; 72] })),
            },
            Response::Body { total: 9, is_delta: true, piece: Bytes::from_static(b"piece") },
            Response::View { time: 7, total: 9, piece: Bytes::from_static(b"view") },
            Response::Fork { proof: Bytes::from_static(b"proof"), other: vec![head(), head()] },
            Response::Charter(Bytes::from_static(b"note")),
            Response::CharterFork(vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")]),
            Response::NotHeld,
            Response::Own { statements: vec![(checkpoint(), Signed { id: [1; 4], blob: vec![1; 72] })], more: true },
            Response::WitnessProof(Bytes::from_static(b"proof")),
            Response::Past(vec![Bytes::from_static(b"entry"), Bytes::new()]),
        ]
    }

    fn past() -> PastMessage {
        let Checkpoint { origin, size, root } = checkpoint();
        PastMessage { after: After { origin, size, root }, entries: vec![Bytes::from_static(b"entry")] }
    }

    #[test]
    fn messages_have_one_encoding() {
        assert_eq!(PastMessage::decode(&past().encode()), Ok(past()));
        assert_eq!(HeadMessage::decode(&head().encode(), limits::GOSSIP_SIZE_MAX), Ok(head()));
        for statement in [
            StatementMessage::Cosignatures(checkpoint(), head().cosignatures),
            StatementMessage::View(Bytes::from_static(b"view")),
        ] {
            assert_eq!(StatementMessage::decode(&statement.encode()), Ok(statement));
        }
        let fork = ForkMessage { origin: "a/b".to_owned(), proof: Bytes::from_static(b"proof") };
        for evidence in [EvidenceMessage::Register(fork), EvidenceMessage::Witness(Bytes::from_static(b"proof"))] {
            assert_eq!(EvidenceMessage::decode(&evidence.encode()), Ok(evidence));
        }
        for response in responses() {
            assert_eq!(Response::decode(&response.encode()), Ok(response));
        }
        for request in [
            Request::Frontier { prefix: Prefix(vec![1, 15]), root: Digest::OF_NOTHING },
            Request::Entries { origin: "a/b".to_owned(), first: 7 },
            Request::Body { digest: Digest::OF_NOTHING, offset: 65_536, base: Some(Digest::OF_NOTHING) },
            Request::Body { digest: Digest::OF_NOTHING, offset: 0, base: None },
            Request::View { witness: "A".to_owned(), time: 5, offset: 65_536 },
            Request::Own { witness: "A".to_owned(), after: String::new() },
            Request::Own { witness: "A".to_owned(), after: "a/b".to_owned() },
            Request::WitnessProof { witness: "A".to_owned(), key: [1, 2, 3, 4] },
            Request::Fork { origin: "a/b".to_owned() },
            Request::Charter { version: 2 },
            Request::Past { after: past().after, first: 1 },
            Request::CharterFork { version: 2 },
        ] {
            assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
    }

    #[test]
    fn truncated_or_extended_messages_are_refused() {
        for response in responses() {
            let bytes = response.encode();
            for end in 0..bytes.len() {
                assert!(Response::decode(&bytes[..end]).is_err());
            }
            let mut longer = bytes.clone();
            longer.push(0);
            assert!(Response::decode(&longer).is_err());
        }
    }

    #[test]
    fn a_prefix_covers_the_paths_below_it() {
        let path = Digest([0xab; 32]);
        assert!(Prefix(vec![]).covers(&path) && Prefix(vec![0xa, 0xb, 0xa]).covers(&path));
        assert!(!Prefix(vec![0xa, 0xa]).covers(&path));
    }
}
