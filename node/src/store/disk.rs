//! What the store asks of a file system, so that the same code runs on a real disk and on one that crashes.
//!
//! Each sync call names its [`SyncPoint`]. A real disk does not care; [`CrashingDisk`] can be told to ignore one of
//! them, and a test shows that leaving out any single one loses data.

use std::{
    fs, io,
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

mod crashing;

pub use crashing::CrashingDisk;

/// The places in the store where something is made durable; every sync call is one of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SyncPoint {
    /// The entry of the store's folder (and of folders above it) in the folder that holds it.
    StoreDirectory,
    /// The entry of the journal's folder in the store's folder.
    JournalDirectory,
    /// The header of a new segment, before any frame follows it.
    SegmentHeader,
    /// The entry of a new segment in the journal's folder.
    SegmentDirectory,
    /// The frames of one group.
    SegmentData,
    /// The cut after a group that failed, before anything is written in its place.
    RepairData,
    /// What an earlier process left in the last segment, before anybody acts on it.
    RecoveredData,
    /// The names that an earlier process left in the journal's folder.
    RecoveredDirectory,
    /// The bytes of a new snapshot, before it takes the name of the old one.
    SnapshotData,
    /// The new name of a snapshot.
    SnapshotDirectory,
}

impl SyncPoint {
    /// Every sync point, for tests that leave out one after the other.
    pub const ALL: [SyncPoint; 10] = [
        SyncPoint::StoreDirectory,
        SyncPoint::JournalDirectory,
        SyncPoint::SegmentHeader,
        SyncPoint::SegmentDirectory,
        SyncPoint::SegmentData,
        SyncPoint::RepairData,
        SyncPoint::RecoveredData,
        SyncPoint::RecoveredDirectory,
        SyncPoint::SnapshotData,
        SyncPoint::SnapshotDirectory,
    ];
}

/// A file system as the store uses it: append-only files, whole renames, and explicit syncs.
///
/// Nothing is durable before the sync that covers it has returned: a file's bytes need [`Disk::sync`], its name needs
/// [`Disk::sync_directory`] of its folder.
pub trait Disk: Clone + Send + Sync + 'static {
    /// A file open for appending.
    type File: Send + 'static;

    /// Returns whether `path` exists.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Returns the names in the folder `path`, in no order; names that are not UTF-8 are left out.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Returns the size of a file in bytes.
    fn size(&self, path: &Path) -> io::Result<u64>;
    /// Reads `length` bytes from `offset`, or fewer where the file ends.
    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>>;
    /// Creates one folder; its parent exists.
    fn create_directory(&self, path: &Path) -> io::Result<()>;
    /// Creates a file, or empties the one that is there, and opens it for appending.
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// Opens a file for appending.
    fn open(&self, path: &Path) -> io::Result<Self::File>;
    /// Writes all of `bytes` at the end of the file; after an error any prefix of them may be there.
    fn append(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file to `size` bytes.
    fn truncate(&self, file: &mut Self::File, size: u64) -> io::Result<()>;
    /// Makes the file's bytes and size durable.
    fn sync(&self, file: &mut Self::File, point: SyncPoint) -> io::Result<()>;
    /// Makes the names in the folder `path` durable.
    fn sync_directory(&self, path: &Path, point: SyncPoint) -> io::Result<()>;
    /// Gives a file a new name in the same folder, in place of whatever has that name, all or nothing.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
}

/// Creates the journal's folder and what is missing above it, all with durable names.
pub(super) fn create_journal_directory<D: Disk>(disk: &D, path: &Path) -> io::Result<()> {
    let store = parent(path)?;
    create_store_directory(disk, store)?;
    if !disk.exists(path)? {
        disk.create_directory(path)?;
    }
    disk.sync_directory(store, SyncPoint::JournalDirectory)
}

/// Creates the store's folder and what is missing above it, all with durable names.
///
/// Names that are there are synced too, up to the root: a process that was killed may have left any of them unsynced.
pub(super) fn create_store_directory<D: Disk>(disk: &D, path: &Path) -> io::Result<()> {
    let Ok(above) = parent(path) else { return Ok(()) };
    if above == path {
        return Ok(());
    }
    create_store_directory(disk, above)?;
    if !disk.exists(path)? {
        disk.create_directory(path)?;
    }
    disk.sync_directory(above, SyncPoint::StoreDirectory)
}

/// Returns the folder that holds `path`.
pub(super) fn parent(path: &Path) -> io::Result<&Path> {
    match path.parent() {
        Some(above) if above.as_os_str().is_empty() => Ok(Path::new(".")),
        Some(above) => Ok(above),
        None => Err(io::Error::new(io::ErrorKind::InvalidInput, "the store cannot be the root of the file system")),
    }
}

/// The disk of this machine.
#[derive(Clone, Copy, Default, Debug)]
pub struct RealDisk;

impl Disk for RealDisk {
    type File = fs::File;

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = fs::File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        // `read_to_end` sizes its buffer by what is in the file, not by what was asked for.
        let mut bytes = Vec::new();
        file.take(u64::try_from(length).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<fs::File> {
        fs::File::create(path)?;
        self.open(path)
    }

    fn open(&self, path: &Path) -> io::Result<fs::File> {
        fs::OpenOptions::new().append(true).open(path)
    }

    fn append(&self, file: &mut fs::File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn truncate(&self, file: &mut fs::File, size: u64) -> io::Result<()> {
        file.set_len(size)
    }

    fn sync(&self, file: &mut fs::File, point: SyncPoint) -> io::Result<()> {
        match point {
            // The size is flushed with the data; only time stamps are left behind.
            SyncPoint::SegmentData => file.sync_data(),
            _ => file.sync_all(),
        }
    }

    #[cfg(unix)]
    fn sync_directory(&self, path: &Path, point: SyncPoint) -> io::Result<()> {
        match fs::File::open(path).and_then(|directory| directory.sync_all()) {
            // A node may live below folders that it may enter but not read, or that belong to a file system without sync.
            Err(error) if point == SyncPoint::StoreDirectory && cannot_sync(&error) => Ok(()),
            outcome => outcome,
        }
    }

    /// Other systems write names through with the file and cannot open a folder.
    #[cfg(not(unix))]
    fn sync_directory(&self, _path: &Path, _point: SyncPoint) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }
}

#[cfg(unix)]
fn cannot_sync(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(error.kind(), PermissionDenied | InvalidInput | Unsupported | ReadOnlyFilesystem)
}
