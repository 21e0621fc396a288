//! The file `snapshot.standfast`: what the node knew a moment ago, as a bundle, for `verify --trust DATADIR`.
//!
//! It is replaced as a whole: a reader sees the old one or the new one, also after a crash.

use std::{io, path::PathBuf};

use bytes::Bytes;

use super::disk::{Disk, SyncPoint};

/// The name of the snapshot in the store's folder.
pub const SNAPSHOT_FILE_NAME: &str = "snapshot.standfast";
/// The name of a snapshot that is being written.
const NEW_FILE_NAME: &str = "snapshot.standfast.new";
/// Bytes in a snapshot (`specs/store.md` §7).
pub const SNAPSHOT_FILE_SIZE_MAX: usize = 256 * 1024 * 1024;

/// The snapshot of one store.
#[derive(Clone)]
pub struct SnapshotFile<D: Disk> {
    disk: D,
    directory: PathBuf,
}

impl<D: Disk> SnapshotFile<D> {
    /// Names the snapshot in the store's folder; touches nothing.
    pub fn new(disk: D, directory: PathBuf) -> Self {
        Self { disk, directory }
    }

    /// Replaces the snapshot; once this has returned, the new one is durable.
    ///
    /// Two calls must not overlap, which `&mut` says for one value; make only one writer.
    pub fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let new = self.directory.join(NEW_FILE_NAME);
        let mut file = self.disk.create(&new)?;
        self.disk.append(&mut file, bytes)?;
        // Before the rename: else a crash can leave the new name with nothing in it.
        self.disk.sync(&mut file, SyncPoint::SnapshotData)?;
        drop(file);
        self.disk.rename(&new, &self.directory.join(SNAPSHOT_FILE_NAME))?;
        self.disk.sync_directory(&self.directory, SyncPoint::SnapshotDirectory)
    }

    /// Reads the snapshot; `None` if there never was one.
    pub fn read(&self) -> io::Result<Option<Bytes>> {
        let path = self.directory.join(SNAPSHOT_FILE_NAME);
        if !self.disk.exists(&path)? {
            return Ok(None);
        }
        // One read, so that a replacement in between cannot mix the two.
        let bytes = self.disk.read(&path, 0, SNAPSHOT_FILE_SIZE_MAX.saturating_add(1))?;
        if bytes.len() > SNAPSHOT_FILE_SIZE_MAX {
            let message = format!("expected a snapshot of at most {SNAPSHOT_FILE_SIZE_MAX} bytes, got more");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(Some(Bytes::from(bytes)))
    }
}
