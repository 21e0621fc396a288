//! Walks over the frames of one segment, also past damaged ones.

use std::{io, path::PathBuf};

use bytes::Bytes;

use super::frame::{CLOSE, FRAME_HEAD_SIZE, FrameHead, FrameKind, HEADER_SIZE, JournalId, Place, Position};
use crate::store::disk::Disk;

/// Bytes read at a time in a scan.
const SCAN_WINDOW_SIZE: usize = 1024 * 1024;
/// Bytes read at once where a single frame is wanted.
const READ_WINDOW_SIZE: usize = 4 * 1024;
/// Bytes hashed in vain in search of the next frame, after which the rest of a segment is given up (`specs/store.md` §5).
///
/// A body may imitate heads of long frames; without a bound each of its bytes could cost a checksum over all of it.
const SEARCH_WORK_MAX: usize = 1024 * 1024 * 1024;

/// A frame whose checksum was verified.
pub(super) struct Found {
    pub(super) offset: u64,
    pub(super) next: u64,
    pub(super) group: u64,
    pub(super) kind: u8,
    pub(super) checksum: u32,
    pub(super) payload: Bytes,
}

/// One step of a scan.
pub(super) enum Step {
    Frame(Found),
    /// Bytes that are no frame.
    Bad {
        offset: u64,
        length: u64,
    },
}

/// A walk over the frames of one segment.
pub(super) struct Scan<D: Disk> {
    disk: D,
    path: PathBuf,
    id: JournalId,
    number: u64,
    size: u64,
    offset: u64,
    window: Vec<u8>,
    window_start: u64,
    window_size: usize,
}

impl<D: Disk> Scan<D> {
    /// Starts at `offset`, which is the start of a frame, or the first one if smaller.
    pub(super) fn new(disk: D, path: PathBuf, id: JournalId, from: Position) -> io::Result<Self> {
        let size = disk.size(&path)?;
        Ok(Self {
            disk,
            path,
            id,
            number: from.segment,
            size,
            offset: from.offset.max(HEADER_SIZE),
            window: Vec::new(),
            window_start: 0,
            window_size: SCAN_WINDOW_SIZE,
        })
    }

    /// Reads the one frame at `position`.
    pub(super) fn single(disk: D, path: PathBuf, id: JournalId, position: Position) -> io::Result<Option<Found>> {
        let mut scan = Self::new(disk, path, id, position)?;
        scan.window_size = READ_WINDOW_SIZE;
        scan.frame_at(position.offset, false).map(|(found, _)| found)
    }

    /// Stops before `end`, where others may be writing.
    pub(super) fn until(mut self, end: u64) -> Self {
        self.size = self.size.min(end);
        self
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the next frame, or the bytes before it that are none, or `None` at the end.
    pub(super) fn step(&mut self) -> io::Result<Option<Step>> {
        if self.offset >= self.size {
            return Ok(None);
        }
        if let (Some(found), _) = self.frame_at(self.offset, false)? {
            self.offset = found.next;
            return Ok(Some(Step::Frame(found)));
        }
        let bad = self.offset;
        self.offset = self.search(bad.saturating_add(1))?;
        Ok(Some(Step::Bad { offset: bad, length: self.offset.saturating_sub(bad) }))
    }

    /// Returns the offset of the first whole frame from `offset` on, or the end.
    fn search(&mut self, mut offset: u64) -> io::Result<u64> {
        let mut work = 0usize;
        while offset < self.size && work < SEARCH_WORK_MAX {
            let (found, hashed) = self.frame_at(offset, true)?;
            if found.is_some() {
                return Ok(offset);
            }
            work = work.saturating_add(hashed);
            offset = offset.saturating_add(1);
        }
        Ok(self.size)
    }

    /// Returns the frame at `offset`, if there is one, and the bytes that were hashed to find out.
    fn frame_at(&mut self, offset: u64, only_known: bool) -> io::Result<(Option<Found>, usize)> {
        let Some(head_bytes) = self.bytes(offset, FRAME_HEAD_SIZE)? else { return Ok((None, 0)) };
        let head_bytes: [u8; FRAME_HEAD_SIZE] = head_bytes.try_into().expect("as many bytes as were asked for");
        let head = FrameHead::decode(&head_bytes).expect("a head has a fixed size");
        // While searching, only kinds that we write: garbage must not look like a newer version's frame.
        let known = !only_known || head.kind == CLOSE || FrameKind::from_code(head.kind).is_some();
        if !known || !head.fits(offset) {
            return Ok((None, 0));
        }
        let (size, place) =
            (head.frame_size(), Place { id: self.id, position: Position { segment: self.number, offset } });
        let Some(whole) = self.bytes(offset, size)? else { return Ok((None, 0)) };
        let Some((covered, checksum)) = whole.split_last_chunk::<4>() else { return Ok((None, 0)) };
        let checksum = u32::from_be_bytes(*checksum);
        if place.checksum(&[covered]) != checksum {
            return Ok((None, size));
        }
        let found = Found {
            offset,
            next: offset.saturating_add(size as u64),
            group: u64::from(head.group),
            kind: head.kind,
            checksum,
            payload: Bytes::copy_from_slice(covered.get(FRAME_HEAD_SIZE..).unwrap_or_default()),
        };
        Ok((Some(found), size))
    }

    /// Returns `length` bytes at `offset`, or `None` where the segment ends before.
    fn bytes(&mut self, offset: u64, length: usize) -> io::Result<Option<&[u8]>> {
        if offset.checked_add(length as u64).is_none_or(|end| end > self.size) {
            return Ok(None);
        }
        let held = |start: u64, window: &[u8]| {
            let skip = usize::try_from(offset.checked_sub(start)?).ok()?;
            let end = skip.checked_add(length)?;
            (end <= window.len()).then_some(skip..end)
        };
        let range = match held(self.window_start, &self.window) {
            Some(range) => range,
            None => {
                self.window = self.disk.read(&self.path, offset, length.max(self.window_size))?;
                self.window_start = offset;
                match held(offset, &self.window) {
                    Some(range) => range,
                    None => return Ok(None),
                }
            }
        };
        Ok(self.window.get(range))
    }
}
