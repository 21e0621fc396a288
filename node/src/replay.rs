//! From journal to machine and back: which frame holds what, and how a node finds itself again.
//!
//! ```text
//! journal    charter, body, batch, statement, promise, fork, past  ──replay──▶  Machine
//! snapshot   views of other witnesses, timestamps of publishers  ─────────▶  Machine, as statements like any other
//! ```
//!
//! The first charter frame of a journal is the pinned one. The snapshot is only a help: whatever it says is checked as
//! if a peer had sent it, and without it the next exchange with a peer brings the same.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use standfast_protocol::bundle::Bundle;
use standfast_protocol::charter::SignedCharter;
use standfast_protocol::log::note::Note;
use standfast_protocol::replica::Replica;
use standfast_protocol::sync::message::StatementMessage;
use standfast_protocol::sync::{Durable, Duties, Machine, Pace};

use crate::error::NodeError;
use crate::store::journal::JournalError;
use crate::store::{Frame, FrameKind, Recovered, Store, StoreError};

/// A store with the machine that it gives.
pub(crate) struct Replayed {
    pub(crate) store: Store,
    pub(crate) machine: Machine,
    pub(crate) size_bytes: u64,
    pub(crate) elapsed: Duration,
}

/// Returns POSIX milliseconds by this device's clock.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// True when nothing is missing from the journal, so that this node knows what it has signed.
pub(crate) fn is_sound(recovered: &Recovered) -> bool {
    recovered.journal.damage.is_empty() && recovered.behind.is_none()
}

/// Opens the store of a data directory and replays it; `duties` learns whether the journal is whole.
pub(crate) fn open(
    data_dir: &Path,
    duties: impl FnOnce(bool) -> Result<Duties, NodeError>,
    pace: Pace,
) -> Result<Replayed, NodeError> {
    let began = Instant::now();
    let (store, recovered) = Store::open(data_dir)?;
    let sound = is_sound(&recovered);
    if !sound {
        tracing::error!(
            damage = ?recovered.journal.damage,
            behind = ?recovered.behind,
            "the journal is not whole: this node signs nothing until it was looked at"
        );
    }
    let duties = duties(sound)?;
    let (machine, size_bytes) = replay(&store, data_dir, duties, pace)?;
    Ok(Replayed { store, machine, size_bytes, elapsed: began.elapsed() })
}

fn replay(store: &Store, data_dir: &Path, duties: Duties, pace: Pace) -> Result<(Machine, u64), NodeError> {
    let mut duties = Some(duties);
    let mut machine: Option<Machine> = None;
    let mut size = 0u64;
    for item in store.reader().frames(None) {
        let (_, frame) = item.map_err(StoreError::from)?;
        size = size.saturating_add(frame.size() as u64);
        match (&mut machine, frame.kind()) {
            (None, FrameKind::Charter) => {
                let pinned = SignedCharter::authenticate_pinned(Note::parse(frame.payload())?)?;
                let duties = duties.take().unwrap_or_else(Duties::none);
                machine = Some(Machine::new(Arc::new(pinned), duties, pace).at(now_ms()));
            }
            (Some(machine), _) => {
                if let Some(durable) = durable_of(&frame) {
                    machine.restore(&durable);
                }
            }
            (None, kind) => tracing::warn!(?kind, "a frame stands before the pinned charter and is passed over"),
        }
    }
    let mut machine = machine.ok_or_else(|| NodeError::NoCharter(data_dir.to_owned()))?;
    take_snapshot(store, &mut machine);
    Ok((machine, size))
}

/// Takes views and timestamps from the snapshot: they are not journalled, for peers repeat them.
fn take_snapshot(store: &Store, machine: &mut Machine) {
    let bytes = match store.snapshot_file().read() {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return,
        Err(error) => return tracing::warn!(%error, "the snapshot cannot be read"),
    };
    let now = now_ms();
    let opened = Bundle::decode(&bytes).and_then(|bundle| bundle.open(now / 1000));
    let replica = match opened {
        Ok((replica, _)) => replica,
        Err(error) => return tracing::warn!(%error, "the snapshot is passed over"),
    };
    if replica.charter().network_id() != machine.replica().charter().network_id() {
        return tracing::warn!("the snapshot is of another network and is passed over");
    }
    for view in replica.views().values().flat_map(|slots| slots.iter()) {
        machine.restore_view(view.clone(), now);
    }
    for timestamp in replica.timestamps().values().flat_map(|slots| slots.iter()) {
        let signed = vec![timestamp.signed().clone()];
        let message = StatementMessage::Cosignatures(timestamp.checkpoint().clone(), signed);
        machine.restore(&Durable::Statement(Bytes::from(message.encode())));
    }
}

fn durable_of(frame: &Frame) -> Option<Durable> {
    let payload = frame.payload().clone();
    Some(match frame.kind() {
        FrameKind::Body => Durable::Body(payload),
        FrameKind::Batch => Durable::Batch(payload),
        FrameKind::Statement => Durable::Statement(payload),
        FrameKind::Promise => Durable::Promise(payload),
        FrameKind::Fork => Durable::Fork(payload),
        FrameKind::Charter => Durable::Charter(payload),
        FrameKind::Past => Durable::Past(payload),
        FrameKind::Choice => Durable::Choice(payload),
        // It belongs to the signer's ledger, not to what is replicated.
        FrameKind::Prepared => return None,
    })
}

/// Makes the frames of what a machine wants durable.
pub(crate) fn frames_of(durables: Vec<Durable>) -> Result<Vec<Frame>, JournalError> {
    let frame = |durable| match durable {
        Durable::Body(payload) => Frame::new(FrameKind::Body, payload),
        Durable::Batch(payload) => Frame::new(FrameKind::Batch, payload),
        Durable::Statement(payload) => Frame::new(FrameKind::Statement, payload),
        Durable::Promise(payload) => Frame::new(FrameKind::Promise, payload),
        Durable::Fork(payload) => Frame::new(FrameKind::Fork, payload),
        Durable::Charter(payload) => Frame::new(FrameKind::Charter, payload),
        Durable::Past(payload) => Frame::new(FrameKind::Past, payload),
        Durable::Choice(payload) => Frame::new(FrameKind::Choice, payload),
    };
    durables.into_iter().map(frame).collect()
}

/// Packs what is held as the snapshot file has it.
pub(crate) fn snapshot_bytes(replica: &Replica) -> Vec<u8> {
    Bundle::of(replica).encode()
}
