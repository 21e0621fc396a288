//! The journal: everything that a node must not forget, as checksummed frames in append-only segments.
//!
//! ```text
//! journal/00000001.seg           header, frame, frame, …
//! journal/00000002.seg.damaged   quarantined: still read where it is whole, reported at each start, never written
//! journal/00000003.seg           the last one, which grows
//! ```
//!
//! The order of calls is [`Journal::open`], then [`append`](Journal::append) as often as wanted and one
//! [`commit`](Journal::commit) a group; nothing is durable before `commit` has returned. `specs/store.md` is the format.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use super::disk::{Disk, SyncPoint};

mod frame;
mod recovery;
mod scan;

pub use frame::{FRAME_PAYLOAD_SIZE_MAX, Frame, FrameKind, JournalId, Position};
pub use recovery::{Cut, Damage, Flaw, Recovered};

use frame::{CLOSE, HEADER_SIZE, Header, Place};
use scan::{Scan, Step};

/// Bytes after which a segment is full and the next group starts another (`specs/store.md` §2).
pub const SEGMENT_SIZE: u64 = 64 * 1024 * 1024;
/// Bytes in one group of frames, which are written and synced together (`specs/store.md` §4).
pub const GROUP_SIZE_MAX: usize = 34 * 1024 * 1024;
/// The largest segment size that can be chosen, so that offsets fit in 32 bits (`specs/store.md` §2).
pub const SEGMENT_SIZE_MAX: u64 = 1024 * 1024 * 1024;

/// Why the journal could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk refused; nothing of the group is durable.
    #[error("cannot {action} {}", path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// A newer version of this program has written here; going on could make it contradict itself.
    #[error("segment {segment} of the journal was written by a newer version; this one reads journal version 1")]
    UpgradeNeeded {
        /// The segment that has the unknown version or frame.
        segment: u64,
    },
    /// A frame is larger than its bound.
    #[error("expected a frame of at most {FRAME_PAYLOAD_SIZE_MAX} bytes, got {size}")]
    FrameTooLarge {
        /// The bytes in its payload.
        size: usize,
    },
    /// A group is larger than its bound.
    #[error("expected a group of at most {GROUP_SIZE_MAX} bytes, got {size}")]
    GroupTooLarge {
        /// The bytes that the group would have.
        size: usize,
    },
    /// There is no whole frame at this position.
    #[error("expected a frame at {position}, found damaged or missing bytes")]
    NoFrame {
        /// Where it should be.
        position: Position,
    },
}

impl JournalError {
    fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| JournalError::Disk { action, path, source }
    }
}

/// What a new journal needs to know.
#[derive(Clone, Copy, Debug)]
pub struct JournalOptions {
    /// Bytes after which a segment is full; [`SEGMENT_SIZE`] except in tests.
    pub segment_size: u64,
    /// The number of the journal, should it be a new one; random.
    pub id: JournalId,
}

/// A point in a journal that a later one can be compared with: it stands between two frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    /// The journal.
    pub id: JournalId,
    /// The end of the frames before it.
    pub position: Position,
    /// A checksum over the checksums of all frames of the segment before it.
    pub chain: u32,
}

/// The files of a journal, as its readers share them.
struct Files {
    /// Whether each segment is quarantined.
    segments: BTreeMap<u64, bool>,
    end: Position,
}

/// Reads frames of a journal, also while it grows; clones are cheap.
#[derive(Clone)]
pub struct JournalReader<D: Disk> {
    disk: D,
    directory: Arc<Path>,
    id: JournalId,
    files: Arc<RwLock<Files>>,
}

/// An open journal: the only writer of its folder.
pub struct Journal<D: Disk> {
    reader: JournalReader<D>,
    file: D::File,
    segment_size: u64,
    /// The end of what is durable.
    end: Position,
    chain: u32,
    /// Frames since the last commit, and the chain value after them.
    pending: Vec<u8>,
    pending_chain: u32,
    /// A group failed: bytes after `end` may be in the file.
    suspect: bool,
    /// The next segment was begun; nothing more may be written to this one, whose length that header names.
    rolling: bool,
    /// The last frame is a close frame.
    closed: bool,
}

impl<D: Disk> Journal<D> {
    /// Opens the journal in `directory`, or begins one, and makes durable whatever an earlier process left.
    ///
    /// A torn tail of the last segment is cut; any other damage is quarantined. Both are reported, neither is an error.
    pub fn open(disk: D, directory: &Path, options: JournalOptions) -> Result<(Self, Recovered), JournalError> {
        recovery::open(disk, directory, options)
    }

    /// Takes up `frames` into the open group and returns where each will stand.
    ///
    /// An error takes up none of them, and leaves those taken up before.
    pub fn append(&mut self, frames: &[Frame]) -> Result<Vec<Position>, JournalError> {
        let added = frames.iter().fold(0usize, |sum, frame| sum.saturating_add(frame.size()));
        let size = self.pending.len().saturating_add(added);
        if size > GROUP_SIZE_MAX {
            return Err(JournalError::GroupTooLarge { size });
        }
        if self.pending.is_empty() && !frames.is_empty() {
            self.begin_group(added)?;
        }
        let positions = frames.iter().map(|frame| self.take_up(frame.kind().code(), frame.payload()));
        Ok(positions.collect())
    }

    /// Returns the bytes of the open group.
    pub fn pending_size(&self) -> usize {
        self.pending.len()
    }

    /// Writes the open group and makes it durable, with one sync.
    ///
    /// After an error nothing of the group counts; what of it reached the file is cut before the next group begins.
    pub fn commit(&mut self) -> Result<(), JournalError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let group = std::mem::take(&mut self.pending);
        let path = self.reader.path(self.end.segment);
        self.suspect = true;
        let disk = &self.reader.disk;
        disk.append(&mut self.file, &group).map_err(JournalError::disk("write", &path))?;
        disk.sync(&mut self.file, SyncPoint::SegmentData).map_err(JournalError::disk("sync", &path))?;
        self.suspect = false;
        self.end.offset = self.end.offset.saturating_add(group.len() as u64);
        self.chain = self.pending_chain;
        self.reader.write_files().end = self.end;
        Ok(())
    }

    /// Cuts what a failed group left behind; [`append`](Self::append) does so too.
    pub fn repair(&mut self) -> Result<(), JournalError> {
        self.pending.clear();
        if !self.suspect {
            return Ok(());
        }
        let path = self.reader.path(self.end.segment);
        let disk = &self.reader.disk;
        disk.truncate(&mut self.file, self.end.offset).map_err(JournalError::disk("cut", &path))?;
        // Else the next group could come to stand before frames of the failed one, which would count again.
        disk.sync(&mut self.file, SyncPoint::RepairData).map_err(JournalError::disk("sync", &path))?;
        self.suspect = false;
        Ok(())
    }

    /// Commits, and writes down that all before was durable: damage to the last group is then told from a torn tail.
    pub fn close(mut self) -> Result<Mark, JournalError> {
        self.commit()?;
        if !self.closed {
            self.begin_group(0)?;
            self.take_up(CLOSE, &[]);
            self.commit()?;
        }
        Ok(self.mark())
    }

    /// Returns the end of what is durable.
    pub fn mark(&self) -> Mark {
        Mark { id: self.reader.id, position: self.end, chain: self.chain }
    }

    /// Returns a reader of the durable frames.
    pub fn reader(&self) -> &JournalReader<D> {
        &self.reader
    }

    fn begin_group(&mut self, size: usize) -> Result<(), JournalError> {
        self.repair()?;
        let full = self.end.offset.saturating_add(size as u64) > self.segment_size;
        if self.rolling || (full && self.end.offset > HEADER_SIZE) {
            self.rolling = true;
            let header = Header {
                id: self.reader.id,
                number: self.end.segment.saturating_add(1),
                previous_length: self.end.offset,
                previous_chain: self.chain,
            };
            self.file = self.reader.create_segment(&header)?;
            self.end = Position { segment: header.number, offset: HEADER_SIZE };
            self.chain = header.chain();
            self.rolling = false;
        }
        self.pending_chain = self.chain;
        Ok(())
    }

    fn take_up(&mut self, kind: u8, payload: &[u8]) -> Position {
        let offset = self.end.offset.saturating_add(self.pending.len() as u64);
        let position = Position { segment: self.end.segment, offset };
        let group = u32::try_from(self.end.offset).expect("segments and groups are bounded below 4 GiB");
        let place = Place { id: self.reader.id, position };
        let checksum = place.write(kind, group, payload, &mut self.pending);
        self.pending_chain = frame::chain(self.pending_chain, checksum);
        self.closed = kind == CLOSE;
        position
    }
}

impl<D: Disk> JournalReader<D> {
    /// Reads the durable frame at `position` and verifies its checksum.
    pub fn read(&self, position: Position) -> Result<Frame, JournalError> {
        let path = self.path(position.segment);
        let missing = JournalError::NoFrame { position };
        if position >= self.end() || position.offset < HEADER_SIZE {
            return Err(missing);
        }
        let found = Scan::single(self.disk.clone(), path.clone(), self.id, position);
        let found = found.map_err(JournalError::disk("read", &path))?.ok_or(missing)?;
        match FrameKind::from_code(found.kind) {
            Some(kind) => Frame::new(kind, found.payload),
            None => Err(JournalError::NoFrame { position }),
        }
    }

    /// Returns the whole frames from `from` on (all of them, if `None`) up to the durable end, skipping damage.
    ///
    /// `from` is the start or the end of a frame.
    pub fn frames(&self, from: Option<Position>) -> Frames<D> {
        let files = self.read_files();
        let start = from.unwrap_or(Position { segment: 0, offset: 0 });
        let segments = files.segments.range(start.segment..).map(|(number, _)| *number).collect::<Vec<_>>();
        Frames { reader: self.clone(), start, end: files.end, segments: segments.into_iter(), scan: None }
    }

    /// Returns whether the durable journal goes through `mark`; `false` after an older copy was put back.
    pub fn holds(&self, mark: &Mark) -> Result<bool, JournalError> {
        if mark.id != self.id || mark.position > self.end() {
            return Ok(false);
        }
        let number = mark.position.segment;
        let path = self.path(number);
        let read = JournalError::disk("read", &path);
        (|| {
            if !self.read_files().segments.contains_key(&number) {
                return Ok(false);
            }
            let frame::HeaderForm::Intact(header) = self.header(number)? else { return Ok(false) };
            let start = Position { segment: number, offset: HEADER_SIZE };
            let mut scan = Scan::new(self.disk.clone(), path.clone(), self.id, start)?.until(mark.position.offset);
            let (mut chain, mut offset) = (header.chain(), HEADER_SIZE);
            while let Some(Step::Frame(found)) = scan.step()? {
                chain = frame::chain(chain, found.checksum);
                offset = found.next;
            }
            Ok(offset == mark.position.offset && chain == mark.chain)
        })()
        .map_err(read)
    }

    /// Returns the end of what is durable.
    pub fn end(&self) -> Position {
        self.read_files().end
    }

    /// Returns the journal's own number.
    pub fn id(&self) -> JournalId {
        self.id
    }

    fn header(&self, number: u64) -> io::Result<frame::HeaderForm> {
        Ok(Header::decode(&self.disk.read(&self.path(number), 0, HEADER_SIZE as usize)?))
    }

    fn path(&self, number: u64) -> PathBuf {
        let damaged = self.read_files().segments.get(&number).copied().unwrap_or(false);
        self.directory.join(recovery::file_name(number, damaged))
    }

    /// Creates a segment with its header, durable in name and content.
    fn create_segment(&self, header: &Header) -> Result<D::File, JournalError> {
        let path = self.path(header.number);
        let mut file = self.disk.create(&path).map_err(JournalError::disk("create", &path))?;
        self.write_header(&mut file, header)?;
        let synced = self.disk.sync_directory(&self.directory, SyncPoint::SegmentDirectory);
        synced.map_err(JournalError::disk("sync", &self.directory))?;
        let mut files = self.write_files();
        files.segments.insert(header.number, false);
        files.end = Position { segment: header.number, offset: HEADER_SIZE };
        Ok(file)
    }

    /// Writes the header into an empty file; frames come only after it is durable, so that a broken header with frames
    /// behind it is never the trace of a crash.
    fn write_header(&self, file: &mut D::File, header: &Header) -> Result<(), JournalError> {
        let path = self.path(header.number);
        self.disk.append(file, &header.encode()).map_err(JournalError::disk("write", &path))?;
        self.disk.sync(file, SyncPoint::SegmentHeader).map_err(JournalError::disk("sync", &path))
    }

    fn read_files(&self) -> std::sync::RwLockReadGuard<'_, Files> {
        self.files.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_files(&self) -> std::sync::RwLockWriteGuard<'_, Files> {
        self.files.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The durable frames of a journal, in order.
pub struct Frames<D: Disk> {
    reader: JournalReader<D>,
    start: Position,
    end: Position,
    segments: std::vec::IntoIter<u64>,
    scan: Option<Scan<D>>,
}

impl<D: Disk> Frames<D> {
    fn advance(&mut self) -> Result<Option<(Position, Frame)>, JournalError> {
        loop {
            let Some(scan) = &mut self.scan else {
                let Some(segment) = self.segments.next() else { return Ok(None) };
                let path = self.reader.path(segment);
                let offset = if segment == self.start.segment { self.start.offset } else { HEADER_SIZE };
                let scan =
                    Scan::new(self.reader.disk.clone(), path.clone(), self.reader.id, Position { segment, offset });
                let scan = scan.map_err(JournalError::disk("read", &path))?;
                let end = if segment == self.end.segment { self.end.offset } else { u64::MAX };
                self.scan = Some(scan.until(end));
                continue;
            };
            match scan.step().map_err(JournalError::disk("read", &self.reader.directory))? {
                None => self.scan = None,
                Some(Step::Bad { .. }) => {}
                Some(Step::Frame(found)) => {
                    if let Some(kind) = FrameKind::from_code(found.kind) {
                        let position = Position { segment: scan.number(), offset: found.offset };
                        return Ok(Some((position, Frame::new(kind, found.payload)?)));
                    }
                }
            }
        }
    }
}

impl<D: Disk> Iterator for Frames<D> {
    type Item = Result<(Position, Frame), JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.advance().transpose();
        if matches!(item, Some(Err(_))) {
            // An error is the last item: the caller must not take what follows for a whole journal.
            self.scan = None;
            self.segments = Vec::new().into_iter();
        }
        item
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::disk::CrashingDisk;

    const DIRECTORY: &str = "/node/journal";
    const OPTIONS: JournalOptions = JournalOptions { segment_size: 200, id: [3; 16] };

    fn open(disk: &CrashingDisk) -> (Journal<CrashingDisk>, Recovered) {
        Journal::open(disk.clone(), Path::new(DIRECTORY), OPTIONS).unwrap()
    }

    fn segment(number: u64) -> PathBuf {
        Path::new(DIRECTORY).join(recovery::file_name(number, false))
    }

    fn frame(number: usize) -> Frame {
        Frame::new(FrameKind::ALL[number % FrameKind::ALL.len()], format!("payload of frame {number:04}")).unwrap()
    }

    /// Ten groups of one frame in several segments, not closed.
    fn written() -> (CrashingDisk, Vec<Position>) {
        let disk = CrashingDisk::new();
        let (mut journal, recovered) = open(&disk);
        assert!(recovered.fresh);
        let mut positions = Vec::new();
        for number in 0..10 {
            positions.extend(journal.append(&[frame(number)]).unwrap());
            journal.commit().unwrap();
        }
        assert!(positions[9].segment >= 2);
        (disk, positions)
    }

    fn frames(journal: &Journal<CrashingDisk>) -> Vec<Frame> {
        journal.reader().frames(None).map(|item| item.unwrap().1).collect()
    }

    #[test]
    fn reads_each_frame_at_its_position_and_nowhere_else() {
        let (disk, positions) = written();
        let (journal, recovered) = open(&disk);
        assert_eq!((recovered.frames, recovered.cut, recovered.damage.len()), (10, None, 0));
        for (number, position) in positions.iter().enumerate() {
            assert_eq!(journal.reader().read(*position).unwrap(), frame(number));
            let beside = Position { offset: position.offset + 1, ..*position };
            assert!(matches!(journal.reader().read(beside), Err(JournalError::NoFrame { .. })));
        }
    }

    #[test]
    fn does_not_read_what_is_not_committed() {
        let (disk, _) = written();
        let (mut journal, _) = open(&disk);
        let position = journal.append(&[frame(10)]).unwrap()[0];
        assert!(journal.reader().read(position).is_err());
        journal.commit().unwrap();
        assert_eq!(journal.reader().read(position).unwrap(), frame(10));
    }

    #[test]
    fn frames_start_at_a_position_or_at_the_end_of_a_frame() {
        let (disk, positions) = written();
        let (journal, _) = open(&disk);
        let from = |position| journal.reader().frames(Some(position)).map(|item| item.unwrap().0).collect::<Vec<_>>();
        for (at, position) in positions.iter().enumerate() {
            assert_eq!(from(*position), positions[at..]);
            let end = Position { offset: position.offset + frame(0).size() as u64, ..*position };
            assert_eq!(from(end), positions[at + 1..]);
        }
    }

    #[test]
    fn cuts_and_reports_a_torn_tail() {
        let (disk, positions) = written();
        disk.damage(&segment(positions[9].segment), |bytes| bytes.truncate(bytes.len() - 1)).unwrap();
        let (journal, recovered) = open(&disk);
        let length = frame(0).size() as u64 - 1;
        assert_eq!(recovered.cut, Some(Cut { position: positions[9], length }));
        assert_eq!((recovered.frames, recovered.damage.len()), (9, 0));
        assert_eq!(frames(&journal), (0..9).map(frame).collect::<Vec<_>>());
        assert_eq!(open(&disk).1.cut, None);
    }

    #[test]
    fn damage_before_a_later_group_is_no_torn_tail() {
        let (disk, positions) = written();
        let last = positions[9].segment;
        let in_last = positions.iter().position(|position| position.segment == last).unwrap();
        assert!(in_last < 9, "the last segment needs two groups");
        disk.damage(&segment(last), |bytes| bytes[positions[in_last].offset as usize + 12] ^= 1).unwrap();
        for _ in 0..3 {
            let (journal, recovered) = open(&disk);
            let flaw = Flaw::Frames { first: positions[in_last].offset, length: frame(0).size() as u64 };
            assert_eq!((recovered.cut, recovered.damage), (None, vec![Damage { segment: last, flaw }]));
            let rest = (0..10).filter(|number| *number != in_last).map(frame).collect::<Vec<_>>();
            assert_eq!(frames(&journal), rest);
            assert!(journal.reader().read(positions[in_last]).is_err());
        }
        let (mut journal, _) = open(&disk);
        let position = journal.append(&[frame(10)]).unwrap()[0];
        journal.commit().unwrap();
        assert!(position.segment > last, "a quarantined segment is not written to");
        assert_eq!(open(&disk).1.frames, 10);
    }

    #[test]
    fn each_flipped_byte_of_a_closed_journal_is_reported_and_costs_one_frame() {
        let (disk, positions) = written();
        open(&disk).0.close().unwrap();
        for number in 1..=positions[9].segment {
            for at in 0..disk.size(&segment(number)).unwrap() {
                let copy = disk.after_kill();
                copy.damage(&segment(number), |bytes| bytes[at as usize] ^= 0x10).unwrap();
                let (journal, recovered) = open(&copy);
                let in_close = number == positions[9].segment && recovered.cut.is_some();
                assert!(in_close || recovered.damage.iter().any(|damage| damage.segment == number), "{number} {at}");
                let held = frames(&journal);
                let lost = (0..10).map(frame).filter(|frame| !held.contains(frame)).count();
                assert!(lost <= 1 && held.len() + lost == 10, "segment {number}, byte {at}: {lost} lost");
            }
        }
    }

    #[test]
    fn reports_a_missing_segment_and_one_that_lost_its_end() {
        let (disk, positions) = written();
        assert!(positions[9].segment >= 3);
        let copy = disk.after_kill();
        copy.lose(&segment(2)).unwrap();
        assert_eq!(open(&copy).1.damage, [Damage { segment: 2, flaw: Flaw::Missing { count: 1 } }]);
        let (size, cut) = (disk.size(&segment(1)).unwrap(), frame(0).size() as u64);
        disk.damage(&segment(1), |bytes| bytes.truncate((size - cut) as usize)).unwrap();
        let flaw = Flaw::Ending { expected: size, found: size - cut };
        assert_eq!(open(&disk).1.damage, [Damage { segment: 1, flaw }]);
    }

    #[test]
    fn refuses_frames_and_segments_from_elsewhere() {
        let (disk, positions) = written();
        let last = positions[9];
        // A frame that is whole, copied behind the last one.
        disk.damage(&segment(last.segment), |bytes| bytes.extend_from_within(last.offset as usize..)).unwrap();
        let (_, recovered) = open(&disk);
        assert_eq!((recovered.frames, recovered.cut.is_some()), (10, true));
        // Segment 2 of another journal.
        let other = CrashingDisk::new();
        let options = JournalOptions { id: [4; 16], ..OPTIONS };
        let (mut journal, _) = Journal::open(other.clone(), Path::new(DIRECTORY), options).unwrap();
        (0..10).for_each(|number| {
            journal.append(&[frame(number + 50)]).unwrap();
            journal.commit().unwrap();
        });
        let foreign = other.read(&segment(2), 0, 10_000).unwrap();
        disk.damage(&segment(2), |bytes| *bytes = foreign).unwrap();
        let (journal, recovered) = open(&disk);
        assert_eq!(recovered.damage, [Damage { segment: 2, flaw: Flaw::Foreign }]);
        assert!(frames(&journal).iter().all(|held| (0..10).map(frame).any(|own| own == *held)));
    }

    #[test]
    fn leaves_a_newer_journal_alone() {
        let (disk, positions) = written();
        let copy = disk.after_kill();
        copy.damage(&segment(1), |bytes| {
            bytes[19] = b'2';
            let checksum = crc32fast::hash(&bytes[..57]).to_be_bytes();
            bytes[57..61].copy_from_slice(&checksum);
        })
        .unwrap();
        let opened = Journal::open(copy, Path::new(DIRECTORY), OPTIONS);
        assert!(matches!(opened, Err(JournalError::UpgradeNeeded { segment: 1 })));
        let end = Position { offset: positions[9].offset + frame(0).size() as u64, ..positions[9] };
        disk.damage(&segment(end.segment), |bytes| {
            Place { id: OPTIONS.id, position: end }.write(99, end.offset as u32, b"news", bytes);
        })
        .unwrap();
        let opened = Journal::open(disk, Path::new(DIRECTORY), OPTIONS);
        assert!(matches!(opened, Err(JournalError::UpgradeNeeded { .. })));
    }

    #[test]
    fn holds_its_own_marks_and_not_those_of_a_longer_copy() {
        let (disk, _) = written();
        let (mut journal, _) = open(&disk);
        let (copy, before) = (disk.after_kill(), journal.mark());
        journal.append(&[frame(10)]).unwrap();
        journal.commit().unwrap();
        let after = journal.mark();
        assert!(journal.reader().holds(&before).unwrap() && journal.reader().holds(&after).unwrap());
        let (mut journal, _) = open(&copy);
        assert!(journal.reader().holds(&before).unwrap() && !journal.reader().holds(&after).unwrap());
        journal.append(&[frame(11)]).unwrap();
        journal.commit().unwrap();
        assert_eq!(journal.mark().position, after.position);
        assert!(!journal.reader().holds(&after).unwrap(), "another frame of the same size stands there");
    }

    #[test]
    fn a_closed_journal_is_not_closed_twice() {
        let (disk, _) = written();
        let mark = open(&disk).0.close().unwrap();
        let (journal, recovered) = open(&disk);
        assert_eq!((recovered.end, recovered.frames), (mark, 10));
        assert_eq!(journal.close().unwrap(), mark);
    }

    #[test]
    fn refuses_a_group_above_the_bound_and_keeps_what_was_taken_up() {
        let (mut journal, _) = open(&CrashingDisk::new());
        journal.append(&[frame(0)]).unwrap();
        let large = vec![Frame::new(FrameKind::Body, vec![0; FRAME_PAYLOAD_SIZE_MAX]).unwrap(); 4];
        assert!(matches!(journal.append(&large), Err(JournalError::GroupTooLarge { .. })));
        journal.commit().unwrap();
        assert_eq!(frames(&journal), [frame(0)]);
    }
}
