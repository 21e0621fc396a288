//! The node's store: a journal of what must not be forgotten, an index that is derived from it, and the snapshot file.
//!
//! ```text
//! DIR/lock                 held while a node runs; holds its process number
//! DIR/journal/*.seg        the journal
//! DIR/index/               where each body stands; may be deleted at any time
//! DIR/snapshot.standfast   the snapshot for `verify --trust DIR`
//! ```
//!
//! [`Store`] has one owner, the writer thread that [`spawn_writer`] starts. [`StoreReader`] serves everybody else.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use standfast_protocol::digest::Digest;

pub mod disk;
mod index;
pub mod journal;
pub mod snapshot_file;
mod writer;

#[cfg(test)]
mod crash_tests;

pub use index::IndexFault;
pub use journal::{Frame, FrameKind, Position};
pub use writer::{PersistRefused, Report, WriterHandle, spawn_writer};

use disk::{Disk, RealDisk};
use index::Index;
use journal::{Frames, GROUP_SIZE_MAX, Journal, JournalError, JournalOptions, JournalReader, Mark, SEGMENT_SIZE};
use snapshot_file::SnapshotFile;

/// Bodies that may wait for the index; above, the next group waits instead (`specs/store.md` §6).
const RECENT_BODIES_MAX: usize = 4_096;
/// Bodies that go into the index in one batch (`specs/store.md` §6).
const INDEX_BATCH: usize = 1_024;
/// Additions after which the index is flushed (`specs/store.md` §6).
const INDEX_FLUSH_EVERY: u32 = 16;

/// Why the store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the store open.
    #[error("store is in use by a running node ({})", process.map_or("process unknown".to_owned(), |id| format!("process {id}")))]
    InUse {
        /// The process that holds the lock, if it could be read.
        process: Option<u32>,
    },
    /// A file of the store outside the journal cannot be used.
    #[error("cannot {action} {}", path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system gave no random bytes for a new journal.
    #[error("cannot draw random bytes for a new journal")]
    Random(#[source] getrandom::Error),
    /// The journal refused.
    #[error("the journal failed")]
    Journal(#[from] JournalError),
    /// The index failed, and so did its successor.
    #[error("the index failed")]
    Index(#[from] IndexFault),
    /// The index is being built anew, or the store was closed: the body may or may not be there.
    #[error("the index is being rebuilt, or the store is closed")]
    NoIndex,
    /// The index named a frame that does not hold the body: the index will be built anew.
    #[error("expected body {digest} at {position}, found something else")]
    WrongBody {
        /// The body that was wanted.
        digest: Digest,
        /// Where the index said it is.
        position: Position,
    },
}

impl StoreError {
    fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| StoreError::Disk { action, path, source }
    }
}

/// What opening a store found.
#[derive(Debug)]
pub struct Recovered {
    /// What opening the journal found.
    pub journal: journal::Recovered,
    /// What became of the index.
    pub index: IndexOutcome,
    /// The index had been built up to this mark, and the journal does not go through it any more: an older copy was put
    /// back, or its end was damaged. Nothing may be signed before peers have told what is missing.
    pub behind: Option<Mark>,
}

/// What became of the index when the store was opened.
#[derive(Debug)]
pub enum IndexOutcome {
    /// It was sound, and only what came later was added.
    Kept,
    /// There was none.
    Built,
    /// It was set aside and built anew.
    Rebuilt {
        /// What was wrong with the old one.
        why: String,
    },
}

/// An open store: the only writer of its folder.
pub struct Store<D: Disk = RealDisk> {
    journal: Journal<D>,
    reader: StoreReader<D>,
    snapshot: SnapshotFile<D>,
    index_path: PathBuf,
    _closes_index: CloseIndex,
    /// Bodies of the open group.
    staged: Vec<(Digest, Position)>,
    batches_since_flush: u32,
    _lock: Option<fs::File>,
}

/// Reads the store's durable frames and bodies from any thread; clones are cheap. Its calls block on the disk.
#[derive(Clone)]
pub struct StoreReader<D: Disk = RealDisk> {
    journal: JournalReader<D>,
    bodies: Arc<Bodies>,
}

/// Where bodies stand: the recent ones in memory, the rest in the index.
struct Bodies {
    recent: Mutex<HashMap<Digest, Position>>,
    index: RwLock<Option<Index>>,
    /// A reader met something that is wrong.
    doubted: AtomicBool,
}

/// Closes the index together with the store: a reader that lives longer must not keep its files locked.
struct CloseIndex(Arc<Bodies>);

impl Drop for CloseIndex {
    fn drop(&mut self) {
        drop(self.0.swap_index(None));
    }
}

impl Store<RealDisk> {
    /// Opens or creates the store in `directory` and locks it.
    pub fn open(directory: &Path) -> Result<(Self, Recovered), StoreError> {
        disk::create_store_directory(&RealDisk, directory).map_err(StoreError::disk("create", directory))?;
        let lock = lock(directory)?;
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(StoreError::Random)?;
        let options = JournalOptions { segment_size: SEGMENT_SIZE, id };
        let (mut store, recovered) = Self::open_on(RealDisk, directory, &directory.join("index"), options)?;
        store._lock = Some(lock);
        Ok((store, recovered))
    }
}

impl<D: Disk> Store<D> {
    /// Opens or creates a store whose journal and snapshot are in `directory` of `disk`, without a lock.
    ///
    /// The index is in the real folder `index_path`, whatever `disk` is: it may be lost.
    pub fn open_on(
        disk: D,
        directory: &Path,
        index_path: &Path,
        options: JournalOptions,
    ) -> Result<(Self, Recovered), StoreError> {
        let (journal, found) = Journal::open(disk.clone(), &directory.join("journal"), options)?;
        let (index, outcome, behind) = open_index(index_path, &journal, found.damage.is_empty())?;
        let bodies = Bodies {
            recent: Mutex::new(HashMap::new()),
            index: RwLock::new(Some(index)),
            doubted: AtomicBool::new(false),
        };
        let bodies = Arc::new(bodies);
        let store = Self {
            _closes_index: CloseIndex(Arc::clone(&bodies)),
            reader: StoreReader { journal: journal.reader().clone(), bodies },
            journal,
            snapshot: SnapshotFile::new(disk, directory.to_owned()),
            index_path: index_path.to_owned(),
            staged: Vec::new(),
            batches_since_flush: 0,
            _lock: None,
        };
        Ok((store, Recovered { journal: found, index: outcome, behind }))
    }

    /// Makes `frames` durable, in order, with one sync (more, if they are larger than a group may be).
    ///
    /// After an error any number of the first frames may be found when the store is opened again, and none before.
    pub fn append(&mut self, frames: &[Frame]) -> Result<Vec<Position>, StoreError> {
        let positions = self.stage(frames)?;
        self.commit()?;
        Ok(positions)
    }

    /// Takes up `frames` into the open group; they are durable after [`commit`](Self::commit).
    fn stage(&mut self, frames: &[Frame]) -> Result<Vec<Position>, StoreError> {
        let mut positions = Vec::with_capacity(frames.len());
        for frame in frames {
            if self.journal.pending_size().saturating_add(frame.size()) > GROUP_SIZE_MAX {
                self.commit()?;
            }
            let appended = self.journal.append(std::slice::from_ref(frame)).inspect_err(|_| self.staged.clear())?;
            if frame.kind() == FrameKind::Body {
                let digest = Digest::of(frame.payload());
                self.staged.extend(appended.first().map(|position| (digest, *position)));
            }
            positions.extend(appended);
        }
        Ok(positions)
    }

    /// Makes the open group durable, with one sync.
    fn commit(&mut self) -> Result<(), StoreError> {
        let staged = std::mem::take(&mut self.staged);
        self.journal.commit()?;
        let mut recent = self.reader.bodies.recent();
        for (digest, position) in staged {
            recent.entry(digest).or_insert(position);
        }
        Ok(())
    }

    /// Forgets the open group, and cuts what of a failed one reached the disk.
    fn repair(&mut self) -> Result<(), StoreError> {
        self.staged.clear();
        Ok(self.journal.repair()?)
    }

    /// Returns whether anything waits for [`update_index`](Self::update_index).
    fn index_waits(&self) -> bool {
        self.reader.bodies.doubted.load(Ordering::Acquire) || !self.reader.bodies.recent().is_empty()
    }

    /// Returns whether so many bodies wait for the index that the next group should.
    fn index_lags(&self) -> bool {
        self.reader.bodies.recent().len() >= RECENT_BODIES_MAX
    }

    /// Brings the index up to date; builds it anew if it fails.
    ///
    /// This is no part of making anything durable: do it when nothing else is to be done.
    pub fn update_index(&mut self) -> Result<(), StoreError> {
        let bodies = Arc::clone(&self.reader.bodies);
        if bodies.doubted.swap(false, Ordering::AcqRel) || bodies.index().is_none() {
            return self.rebuild_index();
        }
        let recent = bodies.recent().iter().map(|(digest, position)| (*digest, *position)).collect::<Vec<_>>();
        if recent.is_empty() {
            return Ok(());
        }
        if self.insert(&recent).is_err() {
            return self.rebuild_index();
        }
        let mut waiting = bodies.recent();
        for (digest, _) in &recent {
            waiting.remove(digest);
        }
        Ok(())
    }

    fn insert(&mut self, recent: &[(Digest, Position)]) -> Result<(), IndexFault> {
        let bodies = Arc::clone(&self.reader.bodies);
        let guard = bodies.index();
        let Some(index) = guard.as_ref() else { return Ok(()) };
        // Only with the last batch is the index built up to here.
        let meanwhile = index.mark().unwrap_or(Mark { position: NOWHERE, chain: 0, ..self.journal.mark() });
        let batches = recent.len().div_ceil(INDEX_BATCH);
        for (number, batch) in recent.chunks(INDEX_BATCH).enumerate() {
            let last = number.saturating_add(1) == batches;
            index.insert(batch, if last { self.journal.mark() } else { meanwhile })?;
        }
        self.batches_since_flush = self.batches_since_flush.saturating_add(1);
        if self.batches_since_flush >= INDEX_FLUSH_EVERY {
            self.batches_since_flush = 0;
            index.flush()?;
        }
        Ok(())
    }

    /// Sets the index aside and builds it from the journal.
    fn rebuild_index(&mut self) -> Result<(), StoreError> {
        let bodies = Arc::clone(&self.reader.bodies);
        tracing::warn!(path = %self.index_path.display(), "rebuilding the index from the journal");
        drop(bodies.swap_index(None));
        let index = rebuild(&self.index_path, &self.journal)?;
        bodies.swap_index(Some(index));
        bodies.recent().clear();
        Ok(())
    }

    /// Returns the body with this digest, if the store has it.
    pub fn body(&self, digest: &Digest) -> Result<Option<Bytes>, StoreError> {
        self.reader.body(digest)
    }

    /// Returns a reader for other threads.
    pub fn reader(&self) -> StoreReader<D> {
        self.reader.clone()
    }

    /// Returns the snapshot file; only one caller may replace it.
    pub fn snapshot_file(&self) -> SnapshotFile<D> {
        self.snapshot.clone()
    }

    /// Returns the end of what is durable; kept elsewhere, it later proves that the journal is not an older copy.
    pub fn mark(&self) -> Mark {
        self.journal.mark()
    }

    /// Closes the store in order; dropping it loses nothing that was acknowledged.
    pub fn close(mut self) -> Result<Mark, StoreError> {
        self.repair()?;
        let updated = self.update_index();
        let mark = self.journal.close()?;
        updated?;
        if let Some(index) = self.reader.bodies.index().as_ref() {
            // The close frame, too, so that the next start finds nothing to add.
            index.insert(&[], mark)?;
            index.flush()?;
        }
        Ok(mark)
    }
}

impl<D: Disk> StoreReader<D> {
    /// Returns the body with this digest, verified, if the store has it; `None` only if it does not.
    pub fn body(&self, digest: &Digest) -> Result<Option<Bytes>, StoreError> {
        let Some(position) = self.find(digest)? else { return Ok(None) };
        let frame = self.journal.read(position);
        match frame {
            Ok(frame) if frame.kind() == FrameKind::Body && Digest::of(frame.payload()) == *digest => {
                Ok(Some(frame.payload().clone()))
            }
            Ok(_) | Err(JournalError::NoFrame { .. }) => {
                self.bodies.doubted.store(true, Ordering::Release);
                Err(StoreError::WrongBody { digest: *digest, position })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn find(&self, digest: &Digest) -> Result<Option<Position>, StoreError> {
        if let Some(position) = self.bodies.recent().get(digest) {
            return Ok(Some(*position));
        }
        let guard = self.bodies.index();
        let found = guard.as_ref().ok_or(StoreError::NoIndex)?.get(digest);
        found.map_err(|fault| {
            self.bodies.doubted.store(true, Ordering::Release);
            fault.into()
        })
    }

    /// Returns the durable frames from `from` on; all of them, if `None`.
    pub fn frames(&self, from: Option<Position>) -> Frames<D> {
        self.journal.frames(from)
    }

    /// Returns the durable frame at `position`.
    pub fn frame(&self, position: Position) -> Result<Frame, StoreError> {
        Ok(self.journal.read(position)?)
    }

    /// Returns whether the journal goes through `mark`.
    pub fn holds(&self, mark: &Mark) -> Result<bool, StoreError> {
        Ok(self.journal.holds(mark)?)
    }
}

impl Bodies {
    fn recent(&self) -> MutexGuard<'_, HashMap<Digest, Position>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn index(&self) -> std::sync::RwLockReadGuard<'_, Option<Index>> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn swap_index(&self, index: Option<Index>) -> Option<Index> {
        std::mem::replace(&mut *self.index.write().unwrap_or_else(PoisonError::into_inner), index)
    }
}

/// Opens the index, or builds it anew if there is any doubt; also returns its mark if that is beyond the journal.
fn open_index<D: Disk>(
    path: &Path,
    journal: &Journal<D>,
    sound: bool,
) -> Result<(Index, IndexOutcome, Option<Mark>), StoreError> {
    let mut behind = None;
    let why = match Index::open(path) {
        Err(fault) => fault.to_string(),
        // Frames that the index names may be the damaged ones, and another copy of a body may be whole.
        Ok(_) if !sound => "the journal is damaged".to_owned(),
        Ok(index) => {
            let mark = index.mark();
            let held = match &mark {
                Some(mark) => journal.reader().holds(mark)?,
                None => true,
            };
            if held {
                match fill(&index, journal, mark) {
                    Ok(()) if mark.is_some() => return Ok((index, IndexOutcome::Kept, None)),
                    Ok(()) => return Ok((index, IndexOutcome::Built, None)),
                    Err(StoreError::Index(fault)) => fault.to_string(),
                    Err(error) => return Err(error),
                }
            } else {
                // A mark at nowhere is that of an index which was abandoned while it was built.
                behind = mark.filter(|mark| mark.position != NOWHERE);
                "it was built from another journal, or from more of this one".to_owned()
            }
        }
    };
    tracing::warn!(path = %path.display(), why, "rebuilding the index from the journal");
    Ok((rebuild(path, journal)?, IndexOutcome::Rebuilt { why }, behind))
}

/// Where an index is built up to while it is being built.
const NOWHERE: Position = Position { segment: 0, offset: 0 };

/// Adds the bodies that the journal has after `from`.
fn fill<D: Disk>(index: &Index, journal: &Journal<D>, from: Option<Mark>) -> Result<(), StoreError> {
    let end = journal.mark();
    if from == Some(end) {
        return Ok(());
    }
    // An index that is abandoned on the way says that it is built up to nowhere, or to where it was.
    let nowhere = Mark { position: NOWHERE, chain: 0, ..end };
    let meanwhile = from.unwrap_or(nowhere);
    let mut batch = Vec::new();
    for item in journal.reader().frames(from.map(|mark| mark.position)) {
        let (position, frame) = item?;
        if frame.kind() == FrameKind::Body {
            batch.push((Digest::of(frame.payload()), position));
        }
        if batch.len() >= INDEX_BATCH {
            index.insert(&batch, meanwhile)?;
            batch.clear();
        }
    }
    index.insert(&batch, end)?;
    Ok(index.flush()?)
}

/// Sets aside whatever is at `path` and builds a new index there.
fn rebuild<D: Disk>(path: &Path, journal: &Journal<D>) -> Result<Index, StoreError> {
    if path.exists() {
        let aside = path.with_extension("damaged");
        if aside.exists() {
            let removed = if aside.is_dir() { fs::remove_dir_all(&aside) } else { fs::remove_file(&aside) };
            removed.map_err(StoreError::disk("remove", &aside))?;
        }
        fs::rename(path, &aside).map_err(StoreError::disk("rename", path))?;
    }
    let index = Index::open(path)?;
    fill(&index, journal, None)?;
    Ok(index)
}

/// Takes the lock of the store, or says who has it.
fn lock(directory: &Path) -> Result<fs::File, StoreError> {
    let path = directory.join("lock");
    let opened = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(StoreError::disk("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = file.take(16).read_to_string(&mut text);
            return Err(StoreError::InUse { process: text.trim().parse().ok() });
        }
        Err(fs::TryLockError::Error(error)) => return Err(StoreError::disk("lock", &path)(error)),
    }
    let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(StoreError::disk("write", &path))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::disk::CrashingDisk;

    const BODIES: usize = 300;

    fn body(number: usize) -> Vec<u8> {
        format!("body {number} {}", "z".repeat(number)).into_bytes()
    }

    fn frames(numbers: std::ops::Range<usize>) -> Vec<Frame> {
        numbers.map(|number| Frame::new(FrameKind::Body, body(number)).unwrap()).collect()
    }

    fn assert_serves(store: &StoreReader, bodies: usize) {
        for number in 0..bodies {
            let found = store.body(&Digest::of(&body(number))).unwrap();
            assert_eq!(found.as_deref(), Some(body(number).as_slice()), "body {number}");
        }
        assert_eq!(store.body(&Digest::of(b"never written")).unwrap(), None);
    }

    fn filled() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, recovered) = Store::open(directory.path()).unwrap();
        assert!(recovered.journal.fresh && matches!(recovered.index, IndexOutcome::Built));
        store.append(&frames(0..BODIES)).unwrap();
        store.snapshot_file().replace(b"snapshot").unwrap();
        assert_serves(&store.reader(), BODIES);
        store.update_index().unwrap();
        assert_serves(&store.reader(), BODIES);
        store.close().unwrap();
        directory
    }

    fn reopen(directory: &Path) -> Recovered {
        let (store, recovered) = Store::open(directory).unwrap();
        assert_eq!((recovered.journal.frames, recovered.journal.cut), (BODIES as u64, None));
        assert_serves(&store.reader(), BODIES);
        store.close().unwrap();
        recovered
    }

    #[test]
    fn serves_what_was_written_after_opening_again() {
        let directory = filled();
        assert!(matches!(reopen(directory.path()).index, IndexOutcome::Kept));
        let (store, _) = Store::open(directory.path()).unwrap();
        assert_eq!(store.snapshot_file().read().unwrap().as_deref(), Some(b"snapshot".as_slice()));
    }

    #[test]
    fn catches_up_with_bodies_that_the_index_has_not_seen() {
        let directory = filled();
        let (mut store, _) = Store::open(directory.path()).unwrap();
        store.append(&frames(BODIES..BODIES + 20)).unwrap();
        drop(store); // as a kill: nothing is indexed, nothing is closed
        let (store, recovered) = Store::open(directory.path()).unwrap();
        assert!(matches!(recovered.index, IndexOutcome::Kept), "{:?}", recovered.index);
        assert_serves(&store.reader(), BODIES + 20);
    }

    #[test]
    fn second_open_names_the_process_that_has_the_store() {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(directory.path()).unwrap();
        let error = Store::open(directory.path()).err().unwrap().to_string();
        assert_eq!(error, format!("store is in use by a running node (process {})", std::process::id()));
        drop(store);
        assert!(Store::open(directory.path()).is_ok());
    }

    #[test]
    fn rebuilds_a_deleted_index() {
        let directory = filled();
        fs::remove_dir_all(directory.path().join("index")).unwrap();
        assert!(matches!(reopen(directory.path()).index, IndexOutcome::Built));
    }

    #[test]
    fn rebuilds_an_index_that_is_no_folder_or_truncated() {
        let directory = filled();
        let index = directory.path().join("index");
        fs::remove_dir_all(&index).unwrap();
        fs::write(&index, b"not an index").unwrap();
        assert!(matches!(reopen(directory.path()).index, IndexOutcome::Rebuilt { .. }));
        let db = fs::OpenOptions::new().write(true).open(index.join("db")).unwrap();
        db.set_len(db.metadata().unwrap().len() / 2).unwrap();
        reopen(directory.path());
        assert!(matches!(reopen(directory.path()).index, IndexOutcome::Kept));
    }

    #[test]
    fn serves_every_body_whatever_byte_of_the_index_is_flipped() {
        let directory = filled();
        let mut kept = 0;
        for seed in 0..60u64 {
            let names = fs::read_dir(directory.path().join("index")).unwrap();
            let mut files = names.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect::<Vec<_>>();
            files.sort();
            let file = &files[seed as usize % files.len()];
            let mut bytes = fs::read(file).unwrap();
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
            for flip in 0..3 {
                let at = (seed * 3 + flip).wrapping_mul(0x9e37_79b9_7f4a_7c15) % used as u64;
                bytes[at as usize] ^= 1 << (seed % 8);
            }
            fs::write(file, bytes).unwrap();
            kept += usize::from(matches!(reopen(directory.path()).index, IndexOutcome::Kept));
        }
        assert!(kept < 60, "no flip was ever noticed");
    }

    #[test]
    fn notices_that_an_older_journal_was_put_back() {
        let directory = filled();
        let journal = directory.path().join("journal").join("00000001.seg");
        let old = fs::read(&journal).unwrap();
        let (mut store, _) = Store::open(directory.path()).unwrap();
        store.append(&frames(BODIES..BODIES + 5)).unwrap();
        let mark = store.close().unwrap();
        fs::write(&journal, old).unwrap();
        let recovered = reopen(directory.path());
        assert_eq!(recovered.behind, Some(mark));
        assert!(matches!(recovered.index, IndexOutcome::Rebuilt { .. }));
        assert_eq!(reopen(directory.path()).behind, None);
    }

    #[test]
    fn serves_a_second_copy_when_the_first_is_damaged() {
        let directory = filled();
        let (mut store, _) = Store::open(directory.path()).unwrap();
        let position = store.append(&frames(7..8)).unwrap()[0];
        store.close().unwrap();
        let path = directory.path().join("journal").join("00000001.seg");
        let mut bytes = fs::read(&path).unwrap();
        let first = bytes.windows(7).position(|window| window == b"body 7 ").unwrap();
        assert!((first as u64) < position.offset);
        bytes[first] ^= 1;
        fs::write(&path, bytes).unwrap();
        let (store, recovered) = Store::open(directory.path()).unwrap();
        assert_eq!(recovered.journal.damage.len(), 1);
        assert_serves(&store.reader(), BODIES);
    }

    #[tokio::test]
    async fn writer_reports_in_order_and_indexes_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(directory.path()).unwrap();
        let reader = store.reader();
        let (sender, mut reports) = tokio::sync::mpsc::channel(4);
        let writer = spawn_writer(store, sender).unwrap();
        for ticket in 0..200 {
            writer.persist(ticket, frames(ticket as usize..ticket as usize + 1)).unwrap();
        }
        for ticket in 0..200 {
            let report = reports.recv().await.unwrap();
            assert!(matches!(report, Report::Persisted(done) if done == ticket), "{report:?}");
            assert!(reader.body(&Digest::of(&body(ticket as usize))).unwrap().is_some());
        }
        writer.close().unwrap();
        let (store, recovered) = Store::open(directory.path()).unwrap();
        assert_eq!(recovered.journal.frames, 200);
        assert!(matches!(recovered.index, IndexOutcome::Kept), "{:?}", recovered.index);
        assert_serves(&store.reader(), 200);
    }

    #[tokio::test]
    async fn writer_holds_after_a_failure_until_it_is_told_to_resume() {
        for failure in [9, 10, 11, 12] {
            let index = tempfile::tempdir().unwrap();
            let options = JournalOptions { segment_size: SEGMENT_SIZE, id: [1; 16] };
            let disk = CrashingDisk::new();
            let open = |disk| Store::open_on(disk, Path::new("/node"), &index.path().join("index"), options).unwrap();
            let (store, _) = open(disk.clone());
            let opening = disk.calls();
            let disk = disk.fail_at(opening + failure - 8);
            let (sender, mut reports) = tokio::sync::mpsc::channel(64);
            let writer = spawn_writer(store, sender).unwrap();
            let mut held = Vec::new();
            let mut failed = false;
            for ticket in 0..8 {
                writer.persist(ticket, frames(ticket as usize..ticket as usize + 1)).unwrap();
                match reports.recv().await.unwrap() {
                    Report::Persisted(done) => held.push(done),
                    Report::PersistFailed(ticket, _) if failed => {
                        assert!(writer.resume());
                        assert!(ticket < 7);
                    }
                    Report::PersistFailed(_, error) => {
                        assert!(matches!(*error, StoreError::Journal(_)));
                        failed = true;
                    }
                }
            }
            writer.close().unwrap();
            assert!(failed && held.len() == 6, "one ticket failed, the next was held: {held:?}");
            let (store, recovered) = open(disk.after_crash(0));
            assert_eq!((recovered.journal.frames, recovered.journal.cut), (6, None));
            for ticket in 0..8u64 {
                let found = store.body(&Digest::of(&body(ticket as usize))).unwrap();
                assert_eq!(found.is_some(), held.contains(&ticket));
            }
        }
    }
}
