//! A node without a network: what a command works with while no node runs on its data directory.
//!
//! The same machine, driven in place: a check runs when it is asked for, and a frame is durable before the next output
//! is looked at. What goes out to peers is dropped; the next node on this directory tells them by comparing frontiers.

use std::collections::VecDeque;
use std::path::Path;

use bytes::Bytes;
use standfast_protocol::charter::SignedCharter;
use standfast_protocol::log::note::Note;
use standfast_protocol::replica::Replica;
use standfast_protocol::sync::{Duties, Event, Machine, Output, Pace, PublisherKey, Submission, SubmitError};

use crate::error::NodeError;
use crate::keystore::Keystore;
use crate::replay::{self, Replayed, frames_of, now_ms, snapshot_bytes};
use crate::store::{Frame, FrameKind, Store, StoreError};

/// The store of a data directory, with the machine, and without a network.
pub struct LocalNode {
    store: Store,
    machine: Machine,
}

impl LocalNode {
    /// Pins a charter on a data directory that has none, and opens it. With the same charter it only opens.
    pub fn init(data_dir: &Path, charter: &[u8]) -> Result<Self, NodeError> {
        let pinned = SignedCharter::authenticate_pinned(Note::parse(charter)?)?;
        match Self::open(data_dir) {
            Ok(node) => {
                let (held, came) = (node.replica().charter().network_id(), pinned.charter().network_id());
                if held == came { Ok(node) } else { Err(NodeError::OtherNetwork { held, came }) }
            }
            Err(NodeError::NoCharter(_)) => {
                let (mut store, _) = Store::open(data_dir)?;
                let frame = Frame::new(FrameKind::Charter, Bytes::copy_from_slice(charter));
                store.append(&[frame.map_err(StoreError::from)?])?;
                store.close()?;
                let mut node = Self::open(data_dir)?;
                node.write_snapshot()?;
                Ok(node)
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the store and replays it. Fails with [`StoreError::InUse`] while a node runs.
    pub fn open(data_dir: &Path) -> Result<Self, NodeError> {
        let duties = |sound| Ok(Duties::new(None, if sound { publishers(data_dir)? } else { Vec::new() }, 60, 3600));
        let Replayed { store, machine, .. } = replay::open(data_dir, duties, Pace::default())?;
        let mut node = Self { store, machine };
        let outputs = node.machine.started(now_ms());
        node.drive(outputs, None)?;
        Ok(node)
    }

    /// Returns what is held.
    pub fn replica(&self) -> &Replica {
        self.machine.replica()
    }

    /// Hands something in and returns how much of it was new. All that was taken is durable, and in the snapshot.
    pub fn submit(&mut self, submission: Submission) -> Result<usize, NodeError> {
        let outputs = self.machine.handle(Event::Submit(0, submission), now_ms());
        let result = self.drive(outputs, Some(0))?;
        // Also after a refusal: what stood before it was taken.
        self.write_snapshot()?;
        Ok(result.unwrap_or(Err(SubmitError::Busy))?)
    }

    /// Closes the store in order; dropping it loses nothing either.
    pub fn close(self) -> Result<(), NodeError> {
        self.store.close()?;
        Ok(())
    }

    fn write_snapshot(&mut self) -> Result<(), NodeError> {
        let bytes = snapshot_bytes(self.machine.replica());
        let path = Path::new(crate::store::snapshot_file::SNAPSHOT_FILE_NAME);
        let replaced = self.store.snapshot_file().replace(&bytes);
        replaced.map_err(|source| NodeError::File { path: path.to_owned(), source })
    }

    /// Carries out outputs until none is left; returns what became of the submission.
    fn drive(
        &mut self,
        outputs: Vec<Output>,
        waited: Option<u64>,
    ) -> Result<Option<Result<usize, SubmitError>>, NodeError> {
        let mut outputs = VecDeque::from(outputs);
        let mut result = None;
        while let Some(output) = outputs.pop_front() {
            let event = match output {
                Output::Persist(ticket, durables) => {
                    let frames = frames_of(durables).map_err(StoreError::from);
                    match frames.and_then(|frames| self.store.append(&frames)) {
                        Ok(_) => Event::Persisted(ticket),
                        // The tail is repaired when the store is opened again; nothing more is written through it now.
                        Err(error) => return Err(error.into()),
                    }
                }
                Output::Check(ticket, job) => Event::Checked(ticket, job.run().map(Box::new)),
                Output::Submitted(ticket, done) if Some(ticket) == waited => {
                    result = Some(done);
                    continue;
                }
                Output::Notice(notice) => {
                    tracing::debug!(?notice, "notice");
                    continue;
                }
                Output::Submitted(..)
                | Output::AddedCheckpoint(..)
                | Output::Publish(..)
                | Output::Judge(..)
                | Output::Request { .. }
                | Output::Respond(..)
                | Output::Refuse(_)
                | Output::Changed => continue,
            };
            outputs.extend(self.machine.handle(event, now_ms()));
        }
        Ok(result)
    }
}

/// The timestamping keys of a data directory.
pub(crate) fn publishers(data_dir: &Path) -> Result<Vec<PublisherKey>, NodeError> {
    let keys = Keystore::in_data_dir(data_dir).timestamps()?;
    Ok(keys.into_iter().map(|key| PublisherKey { key: key.key, secret: key.secret }).collect())
}
