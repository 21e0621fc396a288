//! What a node signs by itself: cosignatures and views when it is a witness, timestamps when it is a publisher's.
//!
//! Every statement is made here, persisted by the machine, and only then given away (invariant 5).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::check::{HeldView, Timestamp};
use super::message::Signed;
use crate::digest::Digest;
use crate::key::{SecretKey, VerifierKey};
use crate::log::checkpoint::Checkpoint;
use crate::log::cosignature::{self, Cosignature};
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
    seen: BTreeMap<String, u64>,
    last_view_time: u64,
    last_view: Option<Frontier>,
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
            seen: BTreeMap::new(),
            last_view_time: 0,
            last_view: None,
            timestamped: BTreeMap::new(),
        }
    }

    /// A node that only replicates.
    pub fn none() -> Self {
        Self::new(None, Vec::new(), 60, 3600)
    }

    pub(super) fn restore_promise(&mut self, checkpoint: &Checkpoint) {
        let promised = (checkpoint.size, checkpoint.root);
        let held = self.promised.entry(checkpoint.origin.clone()).or_insert(promised);
        *held = promised.max(*held);
    }

    pub(super) fn restore_view(&mut self, message: &[u8]) {
        if let Ok(message) = ViewMessage::decode(message)
            && let Ok(view) = View::parse(message.note.text())
        {
            self.last_view_time = self.last_view_time.max(view.time);
        }
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
        if !(is_new || is_again) || !self.vouches_for(register) || !is_whole(register, replica) {
            return None;
        }
        let line = cosignature::sign(&head.text(), now, &keys.cosign.0, &keys.cosign.1);
        let cosignature = Cosignature::verify(&head, &line, name, &keys.cosign.0).ok()?;
        self.promised.insert(register.origin().to_owned(), (head.size, head.root));
        self.unkept.insert(register.origin().to_owned(), Unkept::UnderWay);
        Some(cosignature)
    }

    /// A validly signed head came that the register does not reach: no statement about it until it does.
    pub(super) fn saw(&mut self, origin: &str, size: u64) {
        if self.witness.is_some() {
            let seen = self.seen.entry(origin.to_owned()).or_insert(size);
            *seen = size.max(*seen);
        }
    }

    fn vouches_for(&self, register: &Register) -> bool {
        let seen = self.seen.get(register.origin()).copied().unwrap_or(0);
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
        if now < self.last_view_time.saturating_add(self.view_interval_s) {
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
        self.last_view_time = now;
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

fn is_whole(register: &Register, replica: &Replica) -> bool {
    register.bodies_needed().iter().all(|digest| replica.bodies().contains(digest))
}
