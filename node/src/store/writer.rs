//! The thread that owns the store: it gathers what is queued into one group, syncs once, and says what is durable.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::mpsc;

use super::{Store, StoreError, disk::Disk, journal::Frame};

/// Requests in the writer's queue (`specs/store.md` §4).
const QUEUE_MAX: usize = 1_024;
/// Bytes of frames in the writer's queue (`specs/store.md` §4).
const QUEUE_SIZE_MAX: usize = 32 * 1024 * 1024;
/// Bytes after which a group takes up no further request.
const GROUP_SIZE_ENOUGH: usize = 4 * 1024 * 1024;
/// How long the thread waits for more work before it brings the index up to date.
const IDLE: Duration = Duration::from_millis(20);
/// How often the thread looks whether a reader met something wrong.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the writer says about a ticket. Tickets are reported in the order in which they were queued.
#[derive(Clone, Debug)]
pub enum Report {
    /// All frames of the ticket are durable.
    Persisted(u64),
    /// The frames of the ticket must be taken as not written.
    ///
    /// Everything queued after it fails too, until [`WriterHandle::resume`]: it may build on what is missing.
    PersistFailed(u64, Arc<StoreError>),
}

/// Why frames were not queued; they are given back.
#[derive(Debug, thiserror::Error)]
pub enum PersistRefused {
    /// The queue is full: wait for reports, then try again.
    #[error("the queue of the store's writer is full")]
    Full(Vec<Frame>),
    /// The writer has stopped.
    #[error("the store's writer has stopped")]
    Stopped(Vec<Frame>),
}

enum Request {
    Persist { ticket: u64, frames: Vec<Frame>, size: usize },
    Resume,
    Close,
}

/// The node's end of the writer thread. Dropping it stops the thread after what is queued; so does [`close`](Self::close).
pub struct WriterHandle {
    requests: SyncSender<Request>,
    queued: Arc<AtomicUsize>,
    thread: Option<JoinHandle<Result<(), StoreError>>>,
}

/// Gives the store to a thread of its own, which reports on `reports`.
///
/// The thread waits when `reports` is full. No call of [`WriterHandle`] except `close` ever waits for the thread, so the
/// loop that reads the reports may also persist. When the receiver is dropped the thread goes on and reports nothing.
pub fn spawn_writer<D: Disk>(store: Store<D>, reports: mpsc::Sender<Report>) -> io::Result<WriterHandle> {
    let (requests, queue) = sync_channel(QUEUE_MAX);
    let queued = Arc::new(AtomicUsize::new(0));
    let writer = Writer { store, queue, reports, queued: Arc::clone(&queued), failed: None };
    let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || writer.run())?;
    Ok(WriterHandle { requests, queued, thread: Some(thread) })
}

impl WriterHandle {
    /// Queues `frames`; a [`Report`] with `ticket` follows. Never waits.
    pub fn persist(&self, ticket: u64, frames: Vec<Frame>) -> Result<(), PersistRefused> {
        let size = frames.iter().fold(0usize, |sum, frame| sum.saturating_add(frame.size()));
        let before = self.queued.fetch_add(size, Ordering::AcqRel);
        let give_back = |request| {
            self.queued.fetch_sub(size, Ordering::AcqRel);
            match request {
                Request::Persist { frames, .. } => frames,
                Request::Resume | Request::Close => Vec::new(),
            }
        };
        // One request is always let through, so that a large one need not wait for ever.
        if before > 0 && before.saturating_add(size) > QUEUE_SIZE_MAX {
            return Err(PersistRefused::Full(give_back(Request::Persist { ticket, frames, size })));
        }
        self.requests.try_send(Request::Persist { ticket, frames, size }).map_err(|error| match error {
            TrySendError::Full(request) => PersistRefused::Full(give_back(request)),
            TrySendError::Disconnected(request) => PersistRefused::Stopped(give_back(request)),
        })
    }

    /// Says that the failure of a ticket was understood: what is queued from now on does not build on it.
    ///
    /// Returns `false` if the queue is full; everything in it fails, so try again after the next report.
    #[must_use]
    pub fn resume(&self) -> bool {
        self.requests.try_send(Request::Resume).is_ok()
    }

    /// Writes what is queued, closes the store and waits for the thread.
    ///
    /// Keep reading the reports meanwhile, or drop their receiver.
    pub fn close(mut self) -> Result<(), StoreError> {
        let _ = self.requests.send(Request::Close);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            // The journal is sound after a panic, as after a kill; the panic itself was printed by the thread.
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

struct Writer<D: Disk> {
    store: Store<D>,
    queue: Receiver<Request>,
    reports: mpsc::Sender<Report>,
    queued: Arc<AtomicUsize>,
    /// Why nothing is written until the node says that it knows.
    failed: Option<Arc<StoreError>>,
}

impl<D: Disk> Writer<D> {
    fn run(mut self) -> Result<(), StoreError> {
        let mut waiting = None;
        loop {
            let pause = if self.store.index_waits() { IDLE } else { LOOK_EVERY };
            let request = match waiting.take() {
                Some(request) => request,
                None => match self.queue.recv_timeout(pause) {
                    Ok(request) => request,
                    Err(RecvTimeoutError::Timeout) => {
                        self.update_index();
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                },
            };
            match request {
                Request::Close => break,
                Request::Resume => self.failed = None,
                Request::Persist { ticket, frames, size } => waiting = self.write_group(ticket, frames, size),
            }
            if self.store.index_lags() {
                self.update_index();
            }
        }
        self.store.close().map(|_| ())
    }

    /// Writes this request and what else is queued; returns a request that does not belong to a group.
    fn write_group(&mut self, ticket: u64, frames: Vec<Frame>, size: usize) -> Option<Request> {
        let mut tickets = vec![ticket];
        let mut outcome = self.stage(&frames, size);
        let mut group_size = size;
        let mut other = None;
        while group_size < GROUP_SIZE_ENOUGH && other.is_none() {
            match self.queue.try_recv() {
                Ok(Request::Persist { ticket, frames, size }) => {
                    tickets.push(ticket);
                    group_size = group_size.saturating_add(size);
                    let staged = self.stage(&frames, size);
                    outcome = outcome.and(staged);
                }
                Ok(request) => other = Some(request),
                Err(_) => break,
            }
        }
        let outcome = outcome.and_then(|()| self.store.commit().map_err(Arc::new));
        if let Err(error) = &outcome {
            self.fail(error);
        }
        for ticket in tickets {
            let report = match &outcome {
                Ok(()) => Report::Persisted(ticket),
                Err(error) => Report::PersistFailed(ticket, Arc::clone(error)),
            };
            // Without a receiver nobody waits for the answer.
            let _ = self.reports.blocking_send(report);
        }
        other
    }

    fn stage(&mut self, frames: &[Frame], size: usize) -> Result<(), Arc<StoreError>> {
        self.queued.fetch_sub(size, Ordering::AcqRel);
        if let Some(error) = &self.failed {
            return Err(Arc::clone(error));
        }
        self.store.stage(frames).map(|_| ()).map_err(|error| {
            let error = Arc::new(error);
            self.failed = Some(Arc::clone(&error));
            error
        })
    }

    fn fail(&mut self, error: &Arc<StoreError>) {
        if self.failed.is_none() {
            tracing::error!(%error, "the store could not write");
        }
        self.failed = Some(Arc::clone(error));
        if let Err(error) = self.store.repair() {
            // It is tried again before the next group.
            tracing::warn!(%error, "the journal's tail could not be cut yet");
        }
    }

    fn update_index(&mut self) {
        if let Err(error) = self.store.update_index() {
            tracing::error!(%error, "the index could not be brought up to date; bodies are not found until it is");
        }
    }
}
