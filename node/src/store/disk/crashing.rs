//! A file system in memory that crashes at a chosen call and forgets, or garbles, what was not synced.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use super::{Disk, SyncPoint, parent};

/// The bytes that reach the platter together; small, so that the small files of tests can be torn too.
const SECTOR_SIZE: usize = 32;

/// A disk in memory that crashes at call `k` and shows afterwards what a reboot would find.
///
/// Order of use: [`CrashingDisk::new`], then [`crash_at`](Self::crash_at), [`fail_at`](Self::fail_at) or
/// [`ignoring`](Self::ignoring), then work; then [`after_crash`](Self::after_crash) (power lost) or
/// [`after_kill`](Self::after_kill) (only the process died). Clones share one disk.
#[derive(Clone)]
pub struct CrashingDisk {
    state: Arc<Mutex<State>>,
}

/// A file of a [`CrashingDisk`], open for appending.
#[derive(Debug)]
pub struct CrashingFile {
    inode: usize,
}

#[derive(Clone)]
struct State {
    inodes: Vec<Inode>,
    directories: BTreeMap<PathBuf, Directory>,
    calls: u64,
    crash_at: Option<u64>,
    fail_at: Option<u64>,
    crashed: bool,
    ignored: Option<SyncPoint>,
}

#[derive(Clone, Default)]
struct Inode {
    durable: Vec<u8>,
    current: Vec<u8>,
    pending: Vec<FileChange>,
}

#[derive(Clone)]
enum FileChange {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

#[derive(Clone, Copy, PartialEq)]
enum Node {
    File(usize),
    Directory,
}

#[derive(Clone, Default)]
struct Directory {
    durable: BTreeMap<String, Node>,
    current: BTreeMap<String, Node>,
    /// Each change is all or nothing: the names it sets, or takes away.
    pending: Vec<Vec<(String, Option<Node>)>>,
}

/// What becomes of a call that changes the disk.
#[derive(PartialEq)]
enum Fate {
    Done,
    Crash,
    Full,
}

impl Default for CrashingDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl CrashingDisk {
    /// Returns an empty disk with the root folder `/`.
    pub fn new() -> Self {
        Self::with(State {
            inodes: Vec::new(),
            directories: BTreeMap::from([(PathBuf::from("/"), Directory::default())]),
            calls: 0,
            crash_at: None,
            fail_at: None,
            crashed: false,
            ignored: None,
        })
    }

    fn with(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Crashes at the changing call with number `call` (the first is 1): it may have half happened, and all later ones fail.
    #[must_use]
    pub fn crash_at(self, call: u64) -> Self {
        self.lock().crash_at = Some(call);
        self
    }

    /// Fails the call with number `call` once, as a full or faulty disk does, and works again afterwards.
    ///
    /// A write leaves half of its bytes. A sync at an even call forgets what it should have written, as Linux does (a
    /// later sync of the same file succeeds and does not bring it back); at an odd one all of it has landed all the same.
    #[must_use]
    pub fn fail_at(self, call: u64) -> Self {
        self.lock().fail_at = Some(call);
        self
    }

    /// Does nothing at every sync call of the class `point`, and says that it is done.
    #[must_use]
    pub fn ignoring(self, point: Option<SyncPoint>) -> Self {
        self.lock().ignored = point;
        self
    }

    /// Returns the number of changing calls so far.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Returns whether the crash has happened.
    pub fn crashed(&self) -> bool {
        self.lock().crashed
    }

    /// Returns what the next process finds when this one was killed and the machine went on: nothing is lost yet.
    #[must_use]
    pub fn after_kill(&self) -> CrashingDisk {
        let state = self.lock().clone();
        Self::with(State { calls: 0, crash_at: None, fail_at: None, crashed: false, ..state })
    }

    /// Returns what a reboot finds after the power was lost, one of the many possibilities per `seed`.
    ///
    /// Of each file's unsynced changes none, all, or a torn part survives; of each folder's unsynced names any.
    #[must_use]
    pub fn after_crash(&self, seed: u64) -> CrashingDisk {
        let state = self.lock();
        let mut random = Random(seed);
        let inodes = state.inodes.iter().enumerate().map(|(number, inode)| {
            let mode = (seed.wrapping_add(number as u64)) % 8;
            let survived = inode.survives(mode, &mut random);
            Inode { durable: survived.clone(), current: survived, pending: Vec::new() }
        });
        let inodes = inodes.collect();
        let mut directories: BTreeMap<PathBuf, Directory> = BTreeMap::new();
        for (path, directory) in &state.directories {
            // Parents sort before what they hold.
            let kept = match (path.parent(), name_of(path)) {
                (Some(above), Ok(name)) => {
                    directories.get(above).and_then(|above| above.durable.get(&name)) == Some(&Node::Directory)
                }
                _ => true,
            };
            if kept {
                let survived = directory.survives(&mut random);
                let directory = Directory { durable: survived.clone(), current: survived, pending: Vec::new() };
                directories.insert(path.clone(), directory);
            }
        }
        Self::with(State {
            inodes,
            directories,
            calls: 0,
            crash_at: None,
            fail_at: None,
            crashed: false,
            ignored: state.ignored,
        })
    }

    /// Changes the bytes of a file behind the store's back, durably: what a failing medium does.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut state = self.lock();
        let number = state.file(path)?;
        let inode = state.inode(number)?;
        change(&mut inode.current);
        inode.durable.clone_from(&inode.current);
        inode.pending.clear();
        Ok(())
    }

    /// Takes a file away behind the store's back, durably.
    pub fn lose(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let name = name_of(path)?;
        let directory = state.directory(parent(path)?)?;
        directory.current.remove(&name);
        directory.durable.remove(&name);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.lock();
        if state.crashed { Err(crash()) } else { Ok(state) }
    }
}

impl State {
    /// Counts a changing call.
    fn enter(&mut self) -> Fate {
        self.calls = self.calls.saturating_add(1);
        if self.crash_at == Some(self.calls) {
            self.crashed = true;
            Fate::Crash
        } else if self.fail_at == Some(self.calls) {
            Fate::Full
        } else {
            Fate::Done
        }
    }

    fn directory(&mut self, path: &Path) -> io::Result<&mut Directory> {
        self.directories.get_mut(path).ok_or_else(|| missing(path))
    }

    fn inode(&mut self, number: usize) -> io::Result<&mut Inode> {
        self.inodes.get_mut(number).ok_or_else(|| io::Error::other("no such inode"))
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.directories.get(parent(path)?).and_then(|above| above.current.get(&name_of(path).ok()?)) {
            Some(Node::File(number)) => Ok(*number),
            _ => Err(missing(path)),
        }
    }

    fn name(&mut self, folder: &Path, change: Vec<(String, Option<Node>)>) -> io::Result<()> {
        let directory = self.directory(folder)?;
        set_names(&mut directory.current, &change);
        directory.pending.push(change);
        Ok(())
    }
}

impl Inode {
    fn change(&mut self, change: FileChange) {
        change.apply(&mut self.current);
        self.pending.push(change);
    }

    fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    fn survives(&self, mode: u64, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        match mode {
            0 => {}
            1 => self.pending.iter().for_each(|change| change.apply(&mut bytes)),
            // In order, and the last one torn: short, with zeros, or with garbage where data should be.
            2..=4 => {
                let whole = random.below(self.pending.len().saturating_add(1));
                self.pending.iter().take(whole).for_each(|change| change.apply(&mut bytes));
                if let Some(FileChange::Write { offset, bytes: written }) = self.pending.get(whole) {
                    let kept = random.below(written.len().saturating_add(1));
                    let mut torn = written.get(..kept).unwrap_or_default().to_vec();
                    match mode {
                        3 => torn.resize(written.len(), 0),
                        4 => torn.resize_with(written.len(), || random.byte()),
                        _ => {}
                    }
                    FileChange::Write { offset: *offset, bytes: torn }.apply(&mut bytes);
                }
            }
            // Any sectors of any write, in no order.
            5 | 6 => {
                for change in &self.pending {
                    let FileChange::Write { offset, bytes: written } = change else {
                        change.apply(&mut bytes);
                        continue;
                    };
                    let torn = written.chunks(SECTOR_SIZE).flat_map(|sector| match (random.below(3), mode) {
                        (0, 5) => vec![0; sector.len()],
                        (0, _) => sector.iter().map(|_| random.byte()).collect(),
                        _ => sector.to_vec(),
                    });
                    FileChange::Write { offset: *offset, bytes: torn.collect() }.apply(&mut bytes);
                }
            }
            // The data reach the disk before the new, smaller size does.
            _ => {
                for change in &self.pending {
                    if matches!(change, FileChange::Write { .. }) {
                        change.apply(&mut bytes);
                    }
                }
            }
        }
        bytes
    }
}

impl FileChange {
    fn apply(&self, target: &mut Vec<u8>) {
        match self {
            FileChange::Truncate(size) => target.truncate(*size),
            FileChange::Write { offset, bytes } => {
                let end = offset.saturating_add(bytes.len());
                if target.len() < end {
                    target.resize(end, 0);
                }
                if let Some(place) = target.get_mut(*offset..end) {
                    place.copy_from_slice(bytes);
                }
            }
        }
    }
}

impl Directory {
    fn survives(&self, random: &mut Random) -> BTreeMap<String, Node> {
        let mut names = self.durable.clone();
        let mode = random.below(3);
        for change in &self.pending {
            if mode == 1 || (mode == 2 && random.below(2) == 1) {
                set_names(&mut names, change);
            }
        }
        names
    }
}

fn set_names(names: &mut BTreeMap<String, Node>, change: &[(String, Option<Node>)]) {
    for (name, node) in change {
        match node {
            Some(node) => names.insert(name.clone(), *node),
            None => names.remove(name),
        };
    }
}

impl Disk for CrashingDisk {
    type File = CrashingFile;

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.alive()?;
        Ok(state.directories.contains_key(path) || state.file(path).is_ok())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        Ok(self.alive()?.directory(path)?.current.keys().cloned().collect())
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        let mut state = self.alive()?;
        let number = state.file(path)?;
        Ok(state.inode(number)?.current.len() as u64)
    }

    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut state = self.alive()?;
        let number = state.file(path)?;
        let bytes = &state.inode(number)?.current;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(length).min(bytes.len());
        Ok(bytes.get(start..end).unwrap_or_default().to_vec())
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.alive()?;
        let fate = state.enter();
        if fate == Fate::Full {
            return Err(full());
        }
        state.directories.insert(path.to_owned(), Directory::default());
        state.name(parent(path)?, vec![(name_of(path)?, Some(Node::Directory))])?;
        finish(fate)
    }

    fn create(&self, path: &Path) -> io::Result<CrashingFile> {
        let mut state = self.alive()?;
        let fate = state.enter();
        if fate == Fate::Full {
            return Err(full());
        }
        let inode = if let Ok(inode) = state.file(path) {
            state.inode(inode)?.change(FileChange::Truncate(0));
            inode
        } else {
            let inode = state.inodes.len();
            state.inodes.push(Inode::default());
            state.name(parent(path)?, vec![(name_of(path)?, Some(Node::File(inode)))])?;
            inode
        };
        finish(fate)?;
        Ok(CrashingFile { inode })
    }

    fn open(&self, path: &Path) -> io::Result<CrashingFile> {
        Ok(CrashingFile { inode: self.alive()?.file(path)? })
    }

    fn append(&self, file: &mut CrashingFile, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.alive()?;
        let fate = state.enter();
        // A write that is cut short leaves half; a crash leaves half or all.
        let half = fate == Fate::Full || (fate == Fate::Crash && state.calls % 2 == 0);
        let written = if half { bytes.get(..bytes.len() / 2).unwrap_or_default() } else { bytes };
        let inode = state.inode(file.inode)?;
        let offset = inode.current.len();
        inode.change(FileChange::Write { offset, bytes: written.to_vec() });
        finish(fate)
    }

    fn truncate(&self, file: &mut CrashingFile, size: u64) -> io::Result<()> {
        let mut state = self.alive()?;
        let fate = state.enter();
        if fate != Fate::Full {
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            state.inode(file.inode)?.change(FileChange::Truncate(size));
        }
        finish(fate)
    }

    fn sync(&self, file: &mut CrashingFile, point: SyncPoint) -> io::Result<()> {
        let mut state = self.alive()?;
        let fate = state.enter();
        let ignored = state.ignored == Some(point);
        let landed = state.calls % 2 == 1;
        let inode = state.inode(file.inode)?;
        match fate {
            Fate::Done if !ignored => inode.sync(),
            Fate::Full if landed => inode.sync(),
            Fate::Full => inode.pending.clear(),
            Fate::Done | Fate::Crash => {}
        }
        finish(fate)
    }

    fn sync_directory(&self, path: &Path, point: SyncPoint) -> io::Result<()> {
        let mut state = self.alive()?;
        let fate = state.enter();
        if fate == Fate::Done && state.ignored != Some(point) {
            let directory = state.directory(path)?;
            directory.durable = directory.current.clone();
            directory.pending.clear();
        }
        finish(fate)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.alive()?;
        let fate = state.enter();
        if fate == Fate::Full {
            return Err(full());
        }
        let folder = parent(from)?;
        if parent(to)? != folder {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "expected a new name in the same folder"));
        }
        let inode = state.file(from)?;
        state.name(folder, vec![(name_of(from)?, None), (name_of(to)?, Some(Node::File(inode)))])?;
        finish(fate)
    }
}

fn finish(fate: Fate) -> io::Result<()> {
    match fate {
        Fate::Done => Ok(()),
        Fate::Crash => Err(crash()),
        Fate::Full => Err(full()),
    }
}

fn crash() -> io::Error {
    io::Error::other("the disk has crashed")
}

fn full() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "the disk is full")
}

fn missing(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} does not exist", path.display()))
}

fn name_of(path: &Path) -> io::Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "expected a file name"))
}

/// SplitMix64: a seed names one possible outcome of a crash.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}
