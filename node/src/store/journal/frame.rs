//! The bytes of a journal: segment headers and frames.
//!
//! ```text
//! header   "standfast-journal/v1\n"  id 16  number 8  previous-length 8  previous-chain 4  checksum 4   = 61 bytes
//! frame    length 4  kind 1  group 4  payload  checksum 4                                               = 13 + length
//! ```
//!
//! Integers are big-endian. `specs/store.md` §2 and §3 say what each is for.

use std::fmt;

use bytes::Bytes;

use super::JournalError;

/// Bytes in the payload of one frame (`specs/store.md` §3).
///
/// A batch holds all entries under one head (`limits::BATCH_SIZE_MAX` of the protocol), and cannot be cut into frames.
pub const FRAME_PAYLOAD_SIZE_MAX: usize = 33 * 1024 * 1024;

/// Bytes in a segment's header (`specs/store.md` §2).
pub(super) const HEADER_SIZE: u64 = 61;
/// Bytes of a frame before its payload.
pub(super) const FRAME_HEAD_SIZE: usize = 9;
/// Bytes of a frame beside its payload.
pub(super) const FRAME_OVERHEAD: usize = 13;
/// The journal's own frame: everything before it was durable when it was written.
pub(super) const CLOSE: u8 = 0;

const MAGIC: &[u8; 21] = b"standfast-journal/v1\n";

/// What a frame holds; the journal does not look inside.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FrameKind {
    /// The body of a record; the payload is the body itself.
    Body,
    /// Entries of one register that were admitted together, with the head that they reach.
    Batch,
    /// A statement of a witness or a publisher: a cosignature, a view, a timestamp.
    Statement,
    /// The promise to cosign a checkpoint, written before the cosignature leaves.
    Promise,
    /// A checkpoint that was prepared for signing elsewhere.
    Prepared,
    /// A fork proof.
    Fork,
    /// A charter.
    Charter,
    /// A charter that the operator chose.
    Choice,
    /// An old register up to the point that a binding names.
    Past,
}

impl FrameKind {
    /// Every kind.
    pub const ALL: [FrameKind; 9] = [
        FrameKind::Body,
        FrameKind::Batch,
        FrameKind::Statement,
        FrameKind::Promise,
        FrameKind::Prepared,
        FrameKind::Fork,
        FrameKind::Charter,
        FrameKind::Choice,
        FrameKind::Past,
    ];

    pub(super) fn code(self) -> u8 {
        match self {
            FrameKind::Body => 1,
            FrameKind::Batch => 2,
            FrameKind::Statement => 3,
            FrameKind::Promise => 4,
            FrameKind::Prepared => 5,
            FrameKind::Fork => 6,
            FrameKind::Charter => 7,
            FrameKind::Choice => 9,
            FrameKind::Past => 10,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// One frame: what is made durable, and read back, as a whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    kind: FrameKind,
    payload: Bytes,
}

impl Frame {
    /// Makes a frame of at most [`FRAME_PAYLOAD_SIZE_MAX`] bytes.
    pub fn new(kind: FrameKind, payload: impl Into<Bytes>) -> Result<Self, JournalError> {
        let payload = payload.into();
        if payload.len() > FRAME_PAYLOAD_SIZE_MAX {
            return Err(JournalError::FrameTooLarge { size: payload.len() });
        }
        Ok(Self { kind, payload })
    }

    /// Returns what the frame holds.
    pub fn kind(&self) -> FrameKind {
        self.kind
    }

    /// Returns the bytes that were given to [`Frame::new`].
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Returns the bytes that the frame takes in the journal.
    pub fn size(&self) -> usize {
        self.payload.len().saturating_add(FRAME_OVERHEAD)
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} bytes", self.kind, self.payload.len())
    }
}

/// Where a frame stands: the number of its segment, and the offset of its first byte there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position {
    /// The number of the segment; the first is 1.
    pub segment: u64,
    /// Bytes from the start of the segment's file.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {} of segment {}", self.offset, self.segment)
    }
}

/// A journal's own number, drawn at random when it is created and told to nobody.
pub type JournalId = [u8; 16];

/// The header of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) id: JournalId,
    pub(super) number: u64,
    pub(super) previous_length: u64,
    pub(super) previous_chain: u32,
}

/// What the first bytes of a segment turned out to be.
pub(super) enum HeaderForm {
    Intact(Header),
    /// Intact, of a version that this program does not know.
    Newer,
    Broken,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_SIZE as usize);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.previous_length.to_be_bytes());
        bytes.extend_from_slice(&self.previous_chain.to_be_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> HeaderForm {
        let Some((body, checksum)) = bytes.split_last_chunk::<4>() else { return HeaderForm::Broken };
        if bytes.len() as u64 != HEADER_SIZE || crc32fast::hash(body) != u32::from_be_bytes(*checksum) {
            return HeaderForm::Broken;
        }
        let Some(mut rest) = body.strip_prefix(MAGIC) else { return HeaderForm::Newer };
        let header = (|| {
            Some(Header {
                id: *take(&mut rest)?,
                number: u64::from_be_bytes(*take(&mut rest)?),
                previous_length: u64::from_be_bytes(*take(&mut rest)?),
                previous_chain: u32::from_be_bytes(*take(&mut rest)?),
            })
        })();
        header.map_or(HeaderForm::Broken, HeaderForm::Intact)
    }

    /// Returns the chain value before the first frame.
    pub(super) fn chain(&self) -> u32 {
        crc32fast::hash(&self.encode())
    }
}

/// The part of a frame before its payload.
#[derive(Clone, Copy)]
pub(super) struct FrameHead {
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) group: u32,
}

impl FrameHead {
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        Some(Self {
            length: u32::from_be_bytes(*take(&mut bytes)?),
            kind: take::<1>(&mut bytes)?[0],
            group: u32::from_be_bytes(*take(&mut bytes)?),
        })
    }

    fn encode(&self) -> [u8; FRAME_HEAD_SIZE] {
        let mut bytes = [0; FRAME_HEAD_SIZE];
        bytes[..4].copy_from_slice(&self.length.to_be_bytes());
        bytes[4] = self.kind;
        bytes[5..].copy_from_slice(&self.group.to_be_bytes());
        bytes
    }

    /// Returns whether a frame with this head could stand at `offset`; rules out runs of zeros and most garbage.
    pub(super) fn fits(&self, offset: u64) -> bool {
        let group = u64::from(self.group);
        self.length as usize <= FRAME_PAYLOAD_SIZE_MAX && (HEADER_SIZE..=offset).contains(&group)
    }

    pub(super) fn frame_size(&self) -> usize {
        (self.length as usize).saturating_add(FRAME_OVERHEAD)
    }
}

/// The journal, segment and offset that a frame belongs to.
///
/// They are part of its checksum and stand nowhere in it, so that a frame which was copied from elsewhere (an older
/// copy of the file, another node, a body that imitates a frame) does not count. A chain over all frames would do
/// that too, but then no frame could be read alone, and nothing after a damaged one.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) id: JournalId,
    pub(super) position: Position,
}

impl Place {
    pub(super) fn checksum(&self, head_and_payload: &[&[u8]]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.id);
        hasher.update(&self.position.segment.to_be_bytes());
        hasher.update(&self.position.offset.to_be_bytes());
        for part in head_and_payload {
            hasher.update(part);
        }
        hasher.finalize()
    }

    /// Appends a frame to `target` and returns its checksum.
    pub(super) fn write(&self, kind: u8, group: u32, payload: &[u8], target: &mut Vec<u8>) -> u32 {
        let length = u32::try_from(payload.len()).expect("Frame::new bounds payloads");
        let head = FrameHead { length, kind, group }.encode();
        let checksum = self.checksum(&[&head, payload]);
        target.extend_from_slice(&head);
        target.extend_from_slice(payload);
        target.extend_from_slice(&checksum.to_be_bytes());
        checksum
    }
}

/// Returns the chain value after a frame with `checksum`.
pub(super) fn chain(before: u32, checksum: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&before.to_be_bytes());
    hasher.update(&checksum.to_be_bytes());
    hasher.finalize()
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header { id: [7; 16], number: 3, previous_length: 99, previous_chain: 5 };

    #[test]
    fn header_survives_and_every_flipped_bit_is_noticed() {
        let bytes = HEADER.encode();
        assert_eq!(bytes.len() as u64, HEADER_SIZE);
        assert!(matches!(Header::decode(&bytes), HeaderForm::Intact(header) if header == HEADER));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(Header::decode(&flipped), HeaderForm::Broken), "bit {bit}");
        }
    }

    #[test]
    fn refuses_a_payload_above_the_bound() {
        assert!(Frame::new(FrameKind::Body, vec![0; FRAME_PAYLOAD_SIZE_MAX]).is_ok());
        assert!(Frame::new(FrameKind::Body, vec![0; FRAME_PAYLOAD_SIZE_MAX + 1]).is_err());
    }

    #[test]
    fn checksum_binds_journal_segment_and_offset() {
        let place = |id, segment, offset| Place { id: [id; 16], position: Position { segment, offset } };
        let sum = |place: Place| place.checksum(&[b"frame"]);
        let here = sum(place(1, 1, 61));
        assert_ne!(here, sum(place(2, 1, 61)));
        assert_ne!(here, sum(place(1, 2, 61)));
        assert_ne!(here, sum(place(1, 1, 62)));
    }
}
