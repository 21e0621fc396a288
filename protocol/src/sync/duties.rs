//! What a node signs by itself: cosignatures and views when it is a witness, timestamps when it is a publisher's.
//!
//! Every statement is made here, persisted by the machine, and only then given away (invariant 5).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::check::{HeldView, Timestamp};
use super::learning::{Elsewhere, Learning};
use super::message::Signed;
use super::seen::Seen;
use crate::digest::Digest;
use crate::key::{SecretKey, VerifierKey};
use crate::log::checkpoint::Checkpoint;
use crate::log::cosignature::{self, Cosignature};
use crate::log::note::Note;
use crate::log::view::{Frontier, Leaf, SignedView, View, ViewMessage};
use crate::register::state::Register;
use crate::replica::Replica;

/// A witness's two keys: C2SP allows one set of statements a key.
pub struct WitnessKeys {
    /// Cosigns checkpoints (type 0x04).
    pub cosign: (VerifierKey, SecretKey),
    /// Signs views (type 0x01).
    pub view: (VerifierKey, SecretKey),
}

/// A key of type 0x04 that timestamps the heads of one register, and is good for nothing else.
pub struct PublisherKey {
    /// The verifier key, named by the register's origin.
    pub key: VerifierKey,
    /// The secret.
    pub secret: SecretKey,
}

/// The keys that a node signs with, and what it has signed.
pub struct Duties {
    witness: Option<WitnessKeys>,
    publishers: Vec<PublisherKey>,
    view_interval_s: u64,
    timestamp_interval_s: u64,
    promised: BTreeMap<String, (u64, Digest)>,
    /// Promises that are on their way to the disk, or that it did not take: nothing is vouched for by them.
    unkept: BTreeMap<String, Unkept>,
    /// The largest size of a validly signed head that came and was not admitted.
    seen: Seen,
    last_view_time: u64,
    last_view: Option<Frontier>,
    /// The note of the last view that was restored.
    restored_view: Option<Note>,
    /// The newest time of any statement of ours: none is ever older than the one before, whatever the clock says.
    last_time: u64,
    learning: Learning,
    is_alone: bool,
    timestamped: BTreeMap<String, (u64, u64)>,
}

/// Why a promise does not count yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unkept {
    /// It is on its way to the disk.
    UnderWay,
    /// The disk failed, and may hold it nevertheless: the same may be promised again, and nothing else of that size.
    Failed,
}

/// A view of our own that waits to become durable.
#[derive(Debug, Clone)]
pub struct OwnView {
    /// The message with the changes since the view before.
    pub gossip: Bytes,
    /// The view, whole.
    pub held: Arc<HeldView>,
}

impl Duties {
    /// Makes the duties of a node; `view_interval_s` is 60 and `timestamp_interval_s` 3600 by design (`specs/sync.md` §6).
    pub fn new(
        witness: Option<WitnessKeys>,
        publishers: Vec<PublisherKey>,
        view_interval_s: u64,
        timestamp_interval_s: u64,
    ) -> Self {
        Self {
            witness,
            publishers,
            view_interval_s,
            timestamp_interval_s,
            promised: BTreeMap::new(),
            unkept: BTreeMap::new(),
            seen: Seen::default(),
            last_view_time: 0,
            last_view: None,
            restored_view: None,
            last_time: 0,
            learning: Learning::over(),
            is_alone: false,
            timestamped: BTreeMap::new(),
        }
    }

    /// Says that there is nobody to ask: the only witness of a network then signs at once.
    pub fn alone(self, is_alone: bool) -> Self {
        Self { is_alone, ..self }
    }

    /// A node that only replicates.
    pub fn none() -> Self {
        Self::new(None, Vec::new(), 60, 3600)
    }

    /// Takes back a promise; `time` is that of its cosignature.
    pub(super) fn restore_promise(&mut self, checkpoint: &Checkpoint, time: u64) {
        let promised = (checkpoint.size, checkpoint.root);
        let held = self.promised.entry(checkpoint.origin.clone()).or_insert(promised);
        *held = promised.max(*held);
        self.last_time = self.last_time.max(time);
    }

    /// Takes back a view of our own, with what changed since the one before. What it comes to is checked at the end.
    pub(super) fn restore_view(&mut self, message: &[u8]) {
        let Ok(ViewMessage { note, changes }) = ViewMessage::decode(message) else { return };
        let Ok(view) = View::parse(note.text()) else { return };
        self.last_view_time = self.last_view_time.max(view.time);
        self.last_time = self.last_time.max(view.time);
        let mut frontier = match changes.base {
            None => Frontier::default(),
            Some(_) => self.last_view.take().unwrap_or_default(),
        };
        for origin in &changes.removed {
            frontier.remove(origin);
        }
        for (origin, leaf) in &changes.put {
            frontier.put(origin, *leaf);
        }
        (self.last_view, self.restored_view) = (Some(frontier), Some(note));
    }

    /// Returns the last view that was restored, if all of it was there; the next one carries the changes since.
    pub(super) fn restored_view(&mut self) -> Option<Arc<HeldView>> {
        let (note, keys) = (self.restored_view.take()?, self.witness.as_ref()?);
        let signed = SignedView::authenticate(note, &keys.view.0).ok();
        let held =
            signed.zip(self.last_view.clone()).filter(|(signed, frontier)| signed.view().check(frontier).is_ok());
        if held.is_none() {
            self.last_view = None;
        }
        held.map(|(signed, frontier)| Arc::new(HeldView { signed, frontier }))
    }

    // ---- what others hold of ours ------------------------------------------------------------------------------------

    /// A witness begins: it signs nothing until it has learned what it said before.
    pub(super) fn begin(&mut self, replica: &Replica, now: u64) {
        if self.witness.is_some() {
            let others = replica.witnesses().quorum().witnesses().len().saturating_sub(1);
            self.learning = match others {
                0 if self.is_alone => Learning::over(),
                _ => Learning::begin(others, self.last_time, self.view_interval_s, now),
            };
        }
    }

    /// The witness that we are, with its cosignature key, and what it still has to learn.
    pub(super) fn learning(&mut self, replica: &Replica) -> Option<(String, VerifierKey, &mut Learning)> {
        let name = self.witness_name(replica)?.0.to_owned();
        let key = self.witness.as_ref()?.cosign.0.clone();
        Some((name, key, &mut self.learning))
    }

    /// True when nothing keeps this witness from signing.
    pub(super) fn may_sign(&self) -> bool {
        self.learning.is_over()
    }

    /// True when another machine was found to sign with the keys of this witness.
    pub(super) fn is_halted(&self) -> bool {
        self.learning.is_halted()
    }

    /// A statement by a key of ours came from elsewhere. Nothing below it is signed from now on, and where it is newer
    /// than our own first one of this start, another machine signs with our keys: then nothing is signed at all.
    pub(super) fn learned(&mut self, head: &Checkpoint, time: u64, now: u64) -> Option<Elsewhere> {
        let named = (head.size, head.root);
        let promised = self.promised.get(&head.origin).copied();
        let known =
            promised.is_some_and(|promised| named.0 < promised.0 || named == promised) && time <= self.last_time;
        if known {
            return None;
        }
        if promised.is_none_or(|(size, _)| size < named.0) {
            self.promised.insert(head.origin.clone(), named);
            self.unkept.remove(&head.origin);
        }
        self.last_time = self.last_time.max(time);
        Some(self.learning.came_from_elsewhere(time, now))
    }

    /// A view by our own key came from elsewhere.
    pub(super) fn learned_view(&mut self, view: &HeldView, now: u64) -> Option<Elsewhere> {
        let time = view.view().time;
        if time <= self.last_view_time {
            return None;
        }
        self.last_view_time = time;
        for (origin, Leaf { size, root }) in view.frontier.iter() {
            let _ = self.learned(&Checkpoint { origin: origin.to_owned(), size, root }, time, now);
        }
        self.last_time = self.last_time.max(time);
        Some(self.learning.came_from_elsewhere(time, now))
    }

    /// Returns the name under which the charter lists our cosignature key.
    pub(super) fn witness_name<'a>(&self, replica: &'a Replica) -> Option<(&'a str, &WitnessKeys)> {
        let keys = self.witness.as_ref()?;
        // Both sets sign until a quorum of the one that comes says that its time is there.
        Some((replica.signing_witnesses().find_map(|set| set.cosigner(&keys.cosign.0))?, keys))
    }

    /// Cosigns a register's newest head, if it is whole, sound and larger than what was promised before.
    pub(super) fn cosign(&mut self, register: &Register, replica: &Replica, now: u64) -> Option<Cosignature> {
        let (name, keys) = self.witness_name(replica)?;
        if !register.witnessing().hears(name, now) {
            return None;
        }
        let head = register.newest_head()?.checkpoint().clone();
        let promised = self.promised.get(register.origin());
        let is_new = promised.is_none_or(|(size, _)| *size < head.size);
        let is_again =
            self.unkept.get(register.origin()) == Some(&Unkept::Failed) && promised == Some(&(head.size, head.root));
        if !(is_new || is_again) || !self.continues_promise(register) || !self.vouches_for(register) {
            return None;
        }
        if !self.may_sign() || !is_whole(register, replica) {
            return None;
        }
        let time = now.max(self.last_time);
        let line = cosignature::sign(&head.text(), time, &keys.cosign.0, &keys.cosign.1);
        let cosignature = Cosignature::verify(&head, &line, name, &keys.cosign.0).ok()?;
        self.last_time = time;
        self.promised.insert(register.origin().to_owned(), (head.size, head.root));
        self.unkept.insert(register.origin().to_owned(), Unkept::UnderWay);
        Some(cosignature)
    }

    /// Cosigns the head that was promised last once more, at the time of now.
    pub(super) fn cosign_again(&mut self, register: &Register, replica: &Replica, now: u64) -> Option<Cosignature> {
        let promised = *self.promised.get(register.origin())?;
        let head = register.newest_head()?.checkpoint();
        if self.unkept.contains_key(register.origin()) || promised != (head.size, head.root) {
            return None;
        }
        // Nothing of it changes but the time: as if the promise had failed, and were made again.
        self.unkept.insert(register.origin().to_owned(), Unkept::Failed);
        let made = self.cosign(register, replica, now);
        if made.is_none() {
            self.unkept.remove(register.origin());
        }
        made
    }

    /// Returns the last checkpoint promised of a register, also while the promise is on its way to the disk.
    pub(super) fn last_promise(&self, origin: &str) -> Option<(u64, Digest)> {
        self.promised.get(origin).copied()
    }

    /// True while a promise is on its way to the disk, or did not reach it.
    pub(super) fn promise_is_open(&self, origin: &str) -> bool {
        self.unkept.contains_key(origin)
    }

    /// True when the head promised last lies on the chain that is held.
    fn continues_promise(&self, register: &Register) -> bool {
        match self.promised.get(register.origin()) {
            None | Some((0, _)) => true,
            Some((size, root)) => register.root_at(*size) == Some(*root),
        }
    }

    /// A validly signed head came that the register does not reach: no statement about it until it does. True when it is
    /// the largest one so far.
    pub(super) fn saw(&mut self, origin: &str, size: u64, signers: &[VerifierKey]) -> bool {
        self.witness.is_some() && self.seen.note(origin, size, signers)
    }

    pub(super) fn vouches_for(&self, register: &Register) -> bool {
        let seen = self.seen.largest(register.origin(), register.keys());
        seen <= register.size_newest() && vouches_for(register)
    }

    fn is_newest_promise(&self, checkpoint: &Checkpoint) -> bool {
        self.promised.get(&checkpoint.origin) == Some(&(checkpoint.size, checkpoint.root))
    }

    /// A promise is on disk: it is kept from now on.
    pub(super) fn promise_is_durable(&mut self, checkpoint: &Checkpoint) {
        if self.is_newest_promise(checkpoint) {
            self.unkept.remove(&checkpoint.origin);
        }
    }

    /// Nothing was given away on a promise. It may stand on the disk all the same, so it is never forgotten, and only the
    /// very same may be made again.
    pub(super) fn promise_came_to_nothing(&mut self, checkpoint: &Checkpoint) {
        if self.is_newest_promise(checkpoint) {
            self.unkept.insert(checkpoint.origin.clone(), Unkept::Failed);
        }
    }

    /// A timestamp did not become durable: it is made again.
    pub(super) fn forget_timestamp(&mut self, timestamp: &Timestamp) {
        self.timestamped.remove(&timestamp.checkpoint().origin);
    }

    /// Makes the view that is due: all heads that we have promised and still vouch for.
    pub(super) fn view(&mut self, replica: &Replica, now: u64) -> Option<OwnView> {
        let (name, keys) = self.witness_name(replica)?;
        // A clock that was set back does not make a later statement an older one.
        let now = now.max(self.last_time);
        if !self.may_sign() || now < self.last_view_time.saturating_add(self.view_interval_s) {
            return None;
        }
        let mut frontier = Frontier::default();
        for (origin, (size, root)) in &self.promised {
            let register = replica.register(origin);
            let stands = register.is_some_and(|r| {
                self.vouches_for(r)
                    && r.size_newest() == *size
                    && r.root_at(*size) == Some(*root)
                    && is_whole(r, replica)
            });
            if stands && !self.unkept.contains_key(origin) && replica.bound().contains_key(origin) {
                frontier.put(origin, Leaf { size: *size, root: *root });
            }
        }
        let charter = replica.charter();
        let view = View {
            network: charter.network_id(),
            witness: name.to_owned(),
            time: now,
            charter_version: charter.version(),
            charter_digest: charter.digest(),
            registers: frontier.len() as u64,
            root: frontier.root(),
        };
        let note = view.sign(&keys.view.0, &keys.view.1);
        let signed = SignedView::authenticate(note.clone(), &keys.view.0).ok()?;
        let changes = frontier.changes_since(self.last_view.as_ref());
        let gossip = Bytes::from(ViewMessage { note, changes }.encode());
        (self.last_view_time, self.last_time) = (now, now);
        Some(OwnView { gossip, held: Arc::new(HeldView { signed, frontier }) })
    }

    pub(super) fn view_is_durable(&mut self, view: OwnView) -> Arc<HeldView> {
        self.last_view = Some(view.held.frontier.clone());
        view.held
    }

    /// Timestamps the newest head of a register of ours: when it is new, and once an hour.
    pub(super) fn timestamp(&mut self, register: &Register, held: Option<&Timestamp>, now: u64) -> Option<Timestamp> {
        let key = self.publishers.iter().find(|p| p.key.name() == register.origin())?;
        if !register.keys().contains(&key.key) || register.is_forked() {
            return None;
        }
        let checkpoint = register.newest_head()?.checkpoint().clone();
        let made = self.timestamped.get(register.origin()).copied();
        let (size, time) = made.or(held.map(|t| (t.checkpoint().size, t.time()))).unwrap_or((0, 0));
        if size == checkpoint.size && now < time.saturating_add(self.timestamp_interval_s) {
            return None;
        }
        let line = cosignature::sign(&checkpoint.text(), now, &key.key, &key.secret);
        let timestamp = Timestamp::verify(&checkpoint, &Signed::from_line(&line), &key.key).ok()?;
        self.timestamped.insert(register.origin().to_owned(), (checkpoint.size, now));
        Some(timestamp)
    }
}

/// A witness makes no statement about a register that is forked, frozen, has entries that cannot be read, or holds
/// entries beyond its newest head.
fn vouches_for(register: &Register) -> bool {
    let newest = register.newest_head().map(|head| head.checkpoint().size);
    !register.is_forked()
        && register.frozen().is_none()
        && register.unread().is_none()
        && newest == Some(register.size_newest())
}

pub(super) fn is_whole(register: &Register, replica: &Replica) -> bool {
    register.bodies_needed().iter().all(|digest| replica.bodies().contains(digest))
}
