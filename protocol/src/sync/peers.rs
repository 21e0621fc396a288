//! What we want of whom: requests that wait, requests under way, and what half-fetched things they add up to.
//!
//! At most two requests are under way at one peer. A thing is asked of one peer at a time; when it fails there, of
//! another that is connected.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use bytes::Bytes;

use super::fence::Compared;
use super::frontier::FrontierTrie;
use super::machine::Machine;
use super::message::{
    ForkMessage, FrontierLeaf, FrontierNode, HeadMessage, PastMessage, Prefix, Request, Response, StatementMessage,
};
use super::{Notice, Output, Pace, Peer};
use crate::digest::Digest;
use crate::limits;
use crate::register::body::Record;
use crate::register::fact::After;
use crate::register::state::Register;
use crate::replica::Replica;
use crate::status::delta::Delta;

#[derive(Default)]
struct PeerState {
    /// Places of its frontier asked for since the last exchange began.
    descents: usize,
    compared: Compared,
    waiting: VecDeque<Request>,
    under_way: BTreeMap<u64, Request>,
}

/// Entries that have come so far of one register, in steps.
struct EntriesSoFar {
    peer: Peer,
    first: u64,
    entries: Vec<Bytes>,
    size: usize,
    responses: usize,
}

/// Entries of an old register that have come so far.
struct PastSoFar {
    peer: Peer,
    entries: Vec<Bytes>,
    size: usize,
}

/// A body that has come in part.
struct BodySoFar {
    peer: Peer,
    base: Option<Digest>,
    bytes: Vec<u8>,
}

/// A view that has come in part.
struct ViewSoFar {
    peer: Peer,
    time: u64,
    bytes: Vec<u8>,
}

/// All peers, and what is fetched from them.
pub(super) struct Peers {
    pace: Pace,
    states: BTreeMap<Peer, PeerState>,
    entries: BTreeMap<String, EntriesSoFar>,
    bodies: BTreeMap<Digest, BodySoFar>,
    /// By witness.
    views: BTreeMap<String, ViewSoFar>,
    pasts: BTreeMap<After, PastSoFar>,
    /// The old register that was asked for last.
    last_past: Option<After>,
    /// Of a register, the root of a head whose entries all came and can never be taken: a third branch, a later version.
    pub(super) refused: BTreeMap<String, Digest>,
    next_exchange_ms: u64,
    /// The body that was asked for last.
    last_body: Digest,
    /// Rotates, so that a body that one peer does not hold is asked of another.
    turn: usize,
}

impl Peers {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            pace,
            states: BTreeMap::new(),
            entries: BTreeMap::new(),
            bodies: BTreeMap::new(),
            views: BTreeMap::new(),
            pasts: BTreeMap::new(),
            last_past: None,
            refused: BTreeMap::new(),
            next_exchange_ms: 0,
            last_body: Digest([0; 32]),
            turn: 0,
        }
    }

    pub(super) fn connected(&mut self, peer: &Peer) {
        let state = self.states.entry(peer.clone()).or_default();
        // The root is filled in when the request is sent: by then it may have changed.
        push_exchange(state);
    }

    pub(super) fn disconnected(&mut self, peer: &Peer) {
        self.states.remove(peer);
        self.entries.retain(|_, so_far| so_far.peer != *peer);
        self.bodies.retain(|_, so_far| so_far.peer != *peer);
        self.pasts.retain(|_, so_far| so_far.peer != *peer);
        self.views.retain(|_, so_far| so_far.peer != *peer);
    }

    /// Returns the peers that are connected.
    pub(super) fn connected_now(&self) -> Vec<Peer> {
        self.states.keys().cloned().collect()
    }

    /// Asks for a witness's newest view, unless pieces of it are on their way from another peer.
    pub(super) fn want_view(&mut self, peer: &Peer, witness: &str) {
        if !self.views.contains_key(witness) {
            self.want(peer, Request::View { witness: witness.to_owned(), time: 0, offset: 0 });
        }
    }

    /// Compares frontiers with one random peer each 30 to 60 seconds.
    pub(super) fn ticked(&mut self, now_ms: u64, entropy: u64) {
        let span = self.pace.sync_max_s.saturating_sub(self.pace.sync_min_s).saturating_mul(1000).saturating_add(1);
        let wait = self.pace.sync_min_s.saturating_mul(1000).saturating_add((entropy >> 32) % span);
        if self.next_exchange_ms == 0 {
            self.next_exchange_ms = now_ms.saturating_add(wait);
        } else if now_ms >= self.next_exchange_ms {
            self.next_exchange_ms = now_ms.saturating_add(wait);
            let count = self.states.len().max(1) as u64;
            let chosen = usize::try_from(entropy % count).unwrap_or(0);
            if let Some(state) = self.states.values_mut().nth(chosen) {
                push_exchange(state);
            }
        }
    }

    /// Compares frontiers with everybody, at once.
    pub(super) fn ask_everybody(&mut self) {
        for state in self.states.values_mut() {
            push_exchange(state);
        }
    }

    /// Asks for a place below the root of a peer's frontier; one that never ends is left alone until the next exchange.
    fn want_place(&mut self, peer: &Peer, place: Prefix) {
        if let Some(state) = self.states.get_mut(peer)
            && state.descents < limits::FRONTIER_DESCENTS_MAX
        {
            state.descents += 1;
            push(state, Request::Frontier { prefix: place, root: Digest::OF_NOTHING });
        }
    }

    /// True while bodies are asked for.
    pub(super) fn waits_for_bodies(&self) -> bool {
        let is_body = |request: &Request| matches!(request, Request::Body { .. });
        let asks = |state: &PeerState| state.waiting.iter().chain(state.under_way.values()).any(is_body);
        self.states.values().any(asks)
    }

    pub(super) fn want(&mut self, peer: &Peer, request: Request) {
        if let Some(state) = self.states.get_mut(peer) {
            push(state, request);
        }
    }

    /// Asks for the rest of what has come in part, before all that waits and also where the queue is full: dropped, it
    /// would be half fetched for ever. There are no more of these than requests under way.
    fn want_more(&mut self, peer: &Peer, request: Request) {
        if let Some(state) = self.states.get_mut(peer) {
            state.waiting.push_front(request);
        }
    }

    pub(super) fn want_entries(&mut self, peer: &Peer, replica: &Replica, origin: &str) {
        let first = replica.register(origin).map_or(0, |r| r.size_newest());
        self.want_entries_from(peer, origin, first);
    }

    pub(super) fn want_entries_from(&mut self, peer: &Peer, origin: &str, first: u64) {
        if self.entries.contains_key(origin) {
            return;
        }
        self.want(peer, Request::Entries { origin: origin.to_owned(), first });
    }

    /// Asks for bodies: the peer that has just sent the entries that name them, else anybody.
    pub(super) fn want_bodies(&mut self, peer: Option<&Peer>, missing: &BTreeSet<Digest>, replica: &Replica) {
        let peers: Vec<Peer> = self.states.keys().cloned().collect();
        self.turn = self.turn.wrapping_add(1);
        // Not always from the least on: bodies that nobody holds would leave no turn to those that somebody does.
        let from = self.last_body;
        let later = missing.range((Excluded(from), Unbounded)).chain(missing.range(..=from));
        for (i, digest) in later.take(limits::BODIES_UNDER_WAY_MAX).enumerate() {
            self.last_body = *digest;
            let asked = |state: &PeerState| {
                let of = |r: &Request| matches!(r, Request::Body { digest: d, .. } if d == digest);
                state.waiting.iter().any(of) || state.under_way.values().any(of)
            };
            if self.bodies.contains_key(digest) || self.states.values().any(asked) {
                continue;
            }
            let Some(from) = peer.filter(|p| self.states.contains_key(*p)).or_else(|| {
                let turn = self.turn.wrapping_add(i).checked_rem(peers.len())?;
                peers.get(turn)
            }) else {
                return;
            };
            let base = base_for(replica, digest);
            let request = Request::Body { digest: *digest, offset: 0, base };
            self.want(&from.clone(), request);
        }
    }

    /// Asks a peer for old registers that nobody has brought yet: each time for the next few.
    fn want_pasts(&mut self, peer: &Peer, replica: &Replica) {
        let missing: Vec<&After> = replica.pasts_missing().collect();
        let from = self.last_past.take();
        let start = from.map_or(0, |last| missing.partition_point(|after| **after <= last));
        let (before, behind) = missing.split_at(start.min(missing.len()));
        for after in behind.iter().chain(before).take(limits::PASTS_ASKED_MAX) {
            self.last_past = Some((*after).clone());
            if !self.pasts.contains_key(*after) {
                self.want(peer, Request::Past { after: (*after).clone(), first: 0 });
            }
        }
    }

    /// A question about a peer's frontier was answered, or was not. The peer is compared once none is left.
    pub(super) fn frontier_done(&mut self, peer: &Peer, answered: bool) {
        let Some(state) = self.states.get_mut(peer) else { return };
        let is_frontier = |request: &Request| matches!(request, Request::Frontier { .. });
        if answered && !state.waiting.iter().chain(state.under_way.values()).any(is_frontier) {
            state.compared = Compared::Answered;
        } else if !answered && state.compared == Compared::Asked {
            state.compared = Compared::Silent;
        }
    }

    /// Counts the connected peers, those that have been compared, and those that are being asked for the first time.
    pub(super) fn compared(&self) -> (usize, usize, usize) {
        let count = |of: Compared| self.states.values().filter(|state| state.compared == of).count();
        (self.states.len(), count(Compared::Answered), count(Compared::Asked))
    }

    /// True while entries of a register are being fetched.
    pub(super) fn fetches(&self, origin: &str) -> bool {
        let of = |request: &Request| matches!(request, Request::Entries { origin: o, .. } if o == origin);
        let asks = |state: &PeerState| state.waiting.iter().chain(state.under_way.values()).any(of);
        self.entries.contains_key(origin) || self.states.values().any(asks)
    }

    /// Returns the next request that may go out.
    pub(super) fn next(&mut self) -> Option<(Peer, Request)> {
        let ready = |state: &&mut PeerState| {
            state.under_way.len() < limits::REQUESTS_UNDER_WAY_MAX && !state.waiting.is_empty()
        };
        let (peer, state) = self.states.iter_mut().find(|(_, state)| ready(state))?;
        Some((peer.clone(), state.waiting.pop_front()?))
    }

    pub(super) fn sent(&mut self, peer: &Peer, ticket: u64, request: Request) {
        if let Some(state) = self.states.get_mut(peer) {
            state.under_way.insert(ticket, request);
        }
    }

    pub(super) fn finished(&mut self, peer: &Peer, ticket: u64) -> Option<Request> {
        self.states.get_mut(peer)?.under_way.remove(&ticket)
    }

    /// A request came to nothing: what was half fetched is dropped. The next tick asks another peer for a body, the next
    /// exchange of frontiers for entries, so that what nobody holds is not asked for in a circle.
    pub(super) fn failed(&mut self, peer: &Peer, request: &Request) {
        if matches!(request, Request::Frontier { .. }) {
            self.frontier_done(peer, false);
        }
        match request {
            Request::Entries { origin, .. } => drop(self.entries.remove(origin)),
            Request::Body { digest, .. } => drop(self.bodies.remove(digest)),
            Request::View { witness, .. } => drop(self.views.remove(witness)),
            Request::Past { after, .. } => drop(self.pasts.remove(after)),
            Request::Frontier { .. }
            | Request::Fork { .. }
            | Request::Charter { .. }
            | Request::CharterFork { .. }
            | Request::Own { .. }
            | Request::WitnessProof { .. } => {}
        }
    }
}

/// Begins an exchange of frontiers. The root is filled in when the request is sent.
fn push_exchange(state: &mut PeerState) {
    state.descents = 0;
    push(state, Request::Frontier { prefix: Prefix::default(), root: Digest::OF_NOTHING });
}

fn push(state: &mut PeerState, request: Request) {
    if state.waiting.len() < limits::REQUESTS_WAITING_MAX && !state.waiting.contains(&request) {
        state.waiting.push_back(request);
    }
}

/// A body held on which a delta may rest: the one that the same record had before.
fn base_for(replica: &Replica, digest: &Digest) -> Option<Digest> {
    replica.registers().values().find_map(|register| {
        let change = register.pending().flat_map(|e| e.changes()).find(|c| c.digest == Some(*digest))?;
        let base = register.state_witnessed().get(change.key.as_str().as_bytes())?;
        replica.bodies().contains(&base).then_some(base)
    })
}

impl Machine {
    /// Takes a response of a peer.
    pub(super) fn answered(&mut self, peer: &Peer, request: Request, response: Response, size: usize) {
        match (request, response) {
            (
                Request::Frontier { prefix, .. },
                Response::Frontier { charter, charter_digest, forks, views, misbehaved, node },
            ) => {
                self.want_witness_proofs(peer, misbehaved);
                self.compare_charters(peer, charter, charter_digest, &forks);
                self.compared(peer, &prefix, &views, node);
                self.peers.frontier_done(peer, true);
            }
            (Request::Entries { origin, first }, Response::Entries { newest, witnessed, timestamp }) => {
                if let Some((checkpoint, signed)) = timestamp {
                    self.check_statement(StatementMessage::Cosignatures(checkpoint, vec![signed]), peer);
                }
                self.entries_came(peer, &origin, first, *newest, size);
                if let Some(head) = witnessed {
                    self.check_head(*head, peer);
                }
            }
            (Request::Body { digest, offset, base }, Response::Body { total, is_delta, piece }) => {
                self.body_came(peer, (digest, offset, base), total, is_delta, &piece);
            }
            (Request::View { witness, offset, .. }, Response::View { time, total, piece }) => {
                self.view_came(peer, &witness, offset, (time, total), &piece);
            }
            (Request::Own { witness, .. }, Response::Own { statements, more }) => {
                self.own_came(peer, &witness, statements, more);
            }
            (Request::WitnessProof { .. }, Response::WitnessProof(proof)) => self.check_witness_proof(proof, peer),
            (Request::Fork { origin }, Response::Fork { proof, other }) => {
                self.check_fork(ForkMessage { origin, proof }, peer);
                for head in other {
                    self.check_head(head, peer);
                }
            }
            (Request::Charter { version }, Response::Charter(note)) => self.charter_came(&note, version, peer),
            (Request::CharterFork { .. }, Response::CharterFork(notes)) => self.charter_fork_came(&notes, peer),
            (Request::Past { after, first }, Response::Past(entries)) => self.past_came(peer, after, first, entries),
            (request, _) => self.request_failed(peer, &request),
        }
    }

    fn compared(&mut self, peer: &Peer, prefix: &Prefix, views: &[(String, u64)], node: FrontierNode) {
        for (witness, time) in views {
            let held = self.replica().views().get(witness.as_str()).and_then(|s| s.kept.as_ref());
            if held.is_none_or(|held| held.view().time < *time) && self.replica().names_witness(witness) {
                self.peers.want_view(peer, witness);
            }
        }
        if prefix.0.is_empty() {
            self.peers.want_pasts(peer, &self.replica);
        }
        match node {
            FrontierNode::Same => {}
            FrontierNode::Leaves(leaves) => {
                for leaf in leaves {
                    self.compare_leaf(peer, &leaf);
                }
            }
            FrontierNode::Children(roots) => {
                let frontier: FrontierTrie = self.replica().frontier();
                for (nibble, root) in (0u8..16).zip(roots) {
                    let place = prefix.child(nibble);
                    if frontier.root(&place) != root {
                        self.peers.want_place(peer, place);
                    }
                }
            }
        }
    }

    /// Asks for what a peer holds of a register and we do not. What we hold and it does not, it asks us for.
    fn compare_leaf(&mut self, peer: &Peer, leaf: &FrontierLeaf) {
        if !self.replica().bound().contains_key(&leaf.origin) {
            return;
        }
        let held = self.replica().register(&leaf.origin).cloned();
        let size = held.as_ref().map_or(0, |r| r.size_newest());
        // Of a register that stopped, as far as the head that stopped it.
        let newest = self.replica().frontier_leaf(&leaf.origin).map_or(0, |ours| ours.newest);
        let witnessed = held.as_ref().map_or(0, |r| r.size_witnessed());
        let published =
            self.replica().timestamps().get(&leaf.origin).and_then(|s| s.kept.as_ref()).map_or(0, |t| t.time());
        // Of a fork both branches are held here once; then the peer's other root is nothing new.
        let is_other_branch = |r: &Register| {
            let stopped = r.tail_other().map(|tail| tail.head.checkpoint());
            let mut heads = r.stands_other().map(|stand| stand.head().checkpoint()).chain(stopped);
            heads.any(|head| head.size == leaf.newest && head.root == leaf.root)
        };
        let differs = |r: &Register| r.root_at(leaf.newest).is_some_and(|root| root != leaf.root);
        let other_root = held.as_deref().is_some_and(|r| differs(r) && !is_other_branch(r));
        let ours = self.replica().frontier_leaf(&leaf.origin);
        // After a rotation the same checkpoints are signed again: whoever lacks a signature asks for it.
        let signed_otherwise = ours.as_ref().is_some_and(|ours| {
            (ours.newest, ours.witnessed) == (leaf.newest, leaf.witnessed) && ours.signed != leaf.signed
        });
        // The peer's other branch, unless it is our main one: then it has nothing that its main one does not tell.
        let other_is_new = !held.as_deref().is_some_and(is_other_branch)
            && ours.is_none_or(|ours| {
                leaf.other > ours.other || leaf.other_witnessed > ours.other_witnessed || ours.fork.is_none()
            });
        if leaf.fork.is_some() && other_is_new {
            self.peers.want(peer, Request::Fork { origin: leaf.origin.clone() });
        }
        if self.peers.refused.get(&leaf.origin) == Some(&leaf.root) {
            return;
        }
        if other_root {
            self.peers.want_entries_from(peer, &leaf.origin, 0);
        } else if leaf.newest > newest || leaf.witnessed > witnessed || leaf.published > published || signed_otherwise {
            let first = size.min(leaf.newest);
            self.peers.want_entries_from(peer, &leaf.origin, first);
        }
    }

    fn entries_came(&mut self, peer: &Peer, origin: &str, first: u64, mut newest: HeadMessage, size: usize) {
        if self.peers.entries.get(origin).is_some_and(|so_far| so_far.peer != *peer) {
            // What one peer has begun another does not spoil.
            return;
        }
        // From where it was asked for: one that answers from elsewhere would be asked again without end. What it had begun
        // goes, so that another is asked.
        if newest.checkpoint.origin != origin || newest.first != first.min(newest.checkpoint.size) {
            self.peers.entries.remove(origin);
            return;
        }
        let so_far = self.peers.entries.remove(origin).unwrap_or_else(|| EntriesSoFar {
            peer: peer.clone(),
            first: newest.first,
            entries: Vec::new(),
            size: 0,
            responses: 0,
        });
        let EntriesSoFar { first: from, mut entries, size: had, responses, .. } = so_far;
        let continues = newest.first == from.saturating_add(entries.len() as u64);
        if !continues {
            // Not the continuation of what was asked for: begin again at the next exchange.
            return;
        }
        let carried = newest.entries.iter().map(Bytes::len).sum::<usize>();
        // Whoever is asked fills its steps: one that drips keeps others from being asked.
        let progress = carried > limits::STEP_SIZE_MAX / 2 || newest.entries.len() == limits::MESSAGE_ENTRIES_MAX;
        // Each takes memory beside its bytes, and nothing of it is signed yet: many tiny ones are no way around the bound.
        let weight: usize = newest.entries.iter().map(|entry| entry.len().max(limits::ENTRY_WEIGHT_MIN)).sum();
        entries.append(&mut newest.entries);
        let end = from.saturating_add(entries.len() as u64);
        let total = had.saturating_add(weight);
        let bytes = responses.saturating_add(size);
        let held: usize = self.peers.entries.values().map(|so_far| so_far.size).sum();
        let room = held.saturating_add(total) <= limits::CATCH_UPS_SIZE_MAX;
        if end < newest.checkpoint.size && progress && room && total <= limits::CATCH_UP_SIZE_MAX {
            let so_far = EntriesSoFar { peer: peer.clone(), first: from, entries, size: total, responses: bytes };
            self.peers.entries.insert(origin.to_owned(), so_far);
            self.peers.want_more(peer, Request::Entries { origin: origin.to_owned(), first: end });
            return;
        }
        if !entries.is_empty() {
            let notice = Notice::CaughtUp {
                peer: peer.clone(),
                origin: origin.to_owned(),
                entries: end.saturating_sub(first.min(end)),
                bytes,
            };
            self.outputs.push(Output::Notice(notice));
        }
        newest.first = from;
        newest.entries = entries;
        self.check_head(newest, peer);
    }

    fn past_came(&mut self, peer: &Peer, after: After, first: u64, mut came: Vec<Bytes>) {
        let mut so_far = match self.peers.pasts.remove(&after) {
            Some(so_far) if so_far.peer != *peer => {
                self.peers.pasts.insert(after, so_far);
                return;
            }
            Some(so_far) => so_far,
            None => PastSoFar { peer: peer.clone(), entries: Vec::new(), size: 0 },
        };
        let carried = came.iter().map(Bytes::len).sum::<usize>();
        let progress = carried > limits::STEP_SIZE_MAX / 2 || came.len() == limits::MESSAGE_ENTRIES_MAX;
        let continues = first == so_far.entries.len() as u64;
        so_far.entries.append(&mut came);
        so_far.size = so_far.size.saturating_add(carried);
        let end = so_far.entries.len() as u64;
        let held: usize = self.peers.pasts.values().map(|past| past.size).sum();
        let room = held.saturating_add(so_far.size) <= limits::CATCH_UPS_SIZE_MAX;
        if !continues || end > after.size || !room || so_far.size > limits::CATCH_UP_SIZE_MAX {
            return;
        }
        if end < after.size {
            if progress {
                self.peers.pasts.insert(after.clone(), so_far);
                self.peers.want(peer, Request::Past { after, first: end });
            }
            return;
        }
        if self.replica().pasts_missing().any(|missing| *missing == after) {
            self.check_past(PastMessage { after, entries: so_far.entries }, peer);
        }
    }

    fn body_came(
        &mut self,
        peer: &Peer,
        (digest, offset, base): (Digest, u64, Option<Digest>),
        total: u64,
        is_delta: bool,
        piece: &[u8],
    ) {
        let mut so_far = self.peers.bodies.remove(&digest).unwrap_or_else(|| BodySoFar {
            peer: peer.clone(),
            base,
            bytes: Vec::new(),
        });
        let fits = so_far.bytes.len() as u64 == offset && total <= limits::BODY_SIZE_MAX as u64;
        so_far.bytes.extend_from_slice(piece);
        let came = so_far.bytes.len() as u64;
        let request = |offset, base| Request::Body { digest, offset, base };
        if !fits || came > total || (piece.len() < limits::STEP_SIZE_MAX && came < total) {
            return;
        }
        if came < total {
            let base = so_far.base;
            self.peers.bodies.insert(digest, so_far);
            self.peers.want_more(peer, request(came, base));
            return;
        }
        let bytes = Bytes::from(so_far.bytes);
        let record = if is_delta {
            let base = so_far.base.and_then(|base| self.replica().bodies().get(&base).cloned());
            base.and_then(|base| Delta::parse(&bytes).ok()?.apply(&base).ok())
        } else {
            Some(Record::new(bytes))
        };
        match record.filter(|record| record.digest() == digest) {
            Some(record) if !self.replica().bodies().contains(&digest) => {
                self.keep_bodies(vec![Arc::new(record)], peer.clone());
            }
            Some(_) | None => {}
        }
    }

    /// A piece of a view: all of them come from one peer, and of one view.
    fn view_came(&mut self, peer: &Peer, witness: &str, offset: u64, (time, total): (u64, u64), piece: &[u8]) {
        let mut so_far = match self.peers.views.remove(witness) {
            Some(so_far) if so_far.peer == *peer && so_far.time == time => so_far,
            None if offset == 0 => ViewSoFar { peer: peer.clone(), time, bytes: Vec::new() },
            begun => {
                // Another peer's pieces, or a newer view took the place of the one begun: the next exchange asks again.
                self.peers.views.extend(begun.filter(|b| b.peer != *peer).map(|b| (witness.to_owned(), b)));
                return self.own_unanswered(peer);
            }
        };
        let continues = so_far.bytes.len() as u64 == offset;
        let held: usize = self.peers.views.values().map(|so_far| so_far.bytes.len()).sum();
        let room = held.saturating_add(so_far.bytes.len()).saturating_add(piece.len()) <= limits::VIEWS_SIZE_MAX;
        so_far.bytes.extend_from_slice(piece);
        let came = so_far.bytes.len() as u64;
        let is_step = piece.len() == limits::VIEW_STEP_SIZE_MAX;
        let fits = continues && room && total <= limits::VIEW_MESSAGE_SIZE_MAX as u64;
        if fits && came == total {
            self.check_statement(StatementMessage::View(Bytes::from(so_far.bytes)), peer);
        } else if fits && came < total && is_step {
            self.peers.want(peer, Request::View { witness: witness.to_owned(), time, offset: came });
            self.peers.views.insert(witness.to_owned(), so_far);
        } else {
            self.own_unanswered(peer);
        }
    }
}
