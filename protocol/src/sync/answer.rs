//! Answers to requests: a pure function of what is held.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::message::{BodyItem, HeadMessage, Request, Response, Signed};
use crate::digest::Digest;
use crate::limits;
use crate::log::checkpoint::SignedHead;
use crate::log::view::View;
use crate::register::entry::Entry;
use crate::register::fact::After;
use crate::register::record::RecordKey;
use crate::register::state::{Register, Stand};
use crate::replica::Replica;
use crate::status::delta::Delta;

/// Answers one request.
pub fn answer(replica: &Replica, request: &Request) -> Response {
    let found = match request {
        Request::Frontier { prefix, root } => {
            let charter = replica.charter();
            let kept = replica
                .views()
                .iter()
                .filter_map(|(witness, slots)| slots.kept.as_ref().map(|held| (witness.clone(), held.view().time)));
            Some(Response::Frontier {
                charter: charter.version(),
                charter_digest: charter.digest(),
                forks: replica.chain().forks().map(|fork| fork.version).collect(),
                views: kept.collect(),
                misbehaved: replica.witness_proofs().keys().cloned().collect(),
                node: replica.frontier().node(prefix, root),
            })
        }
        Request::Entries { origin, first } => entries(replica, origin, *first),
        Request::Body { digest, offset, base } => body(replica, digest, *offset, base.as_ref()),
        Request::View { witness, time, offset } => view(replica, witness, *time, *offset),
        Request::Fork { origin } => fork(replica, origin),
        Request::Charter { version } => {
            let held = replica.chain().at(*version);
            held.map(|held| Response::Charter(Bytes::from(held.note().to_string())))
        }
        Request::Own { witness, after } => Some(own(replica, witness, after)),
        Request::WitnessProof { witness, key } => {
            let held = replica.witness_proofs().get(&(witness.clone(), *key));
            held.map(|proof| Response::WitnessProof(Bytes::from(proof.encode())))
        }
        Request::CharterFork { version } => {
            let fork = replica.chain().fork_of(*version);
            fork.map(|fork| Response::CharterFork(fork.sides.map(|side| Bytes::from(side.note().to_string())).into()))
        }
        Request::Past { after, first } => past(replica, after, *first),
    };
    found.unwrap_or(Response::NotHeld)
}

/// A piece of a view: of the one whose pieces are fetched, else of the newest one from its start.
fn view(replica: &Replica, witness: &str, time: u64, offset: u64) -> Option<Response> {
    let slots = replica.views().get(witness)?;
    let begun = slots.iter().find(|held| held.view().time == time);
    let (held, offset) = match (begun, time) {
        (Some(begun), _) => (begun, offset),
        // A witness asks about itself also what its clock was ahead for.
        (None, View::OF_ANY_TIME) => (slots.iter().max_by_key(|held| held.view().time)?, 0),
        (None, _) => (slots.kept.as_ref()?, if time == 0 { offset } else { 0 }),
    };
    let whole = Bytes::from(held.whole_message().encode());
    let from = usize::try_from(offset).ok().filter(|from| *from <= whole.len())?;
    let to = from.saturating_add(limits::VIEW_STEP_SIZE_MAX).min(whole.len());
    Some(Response::View { time: held.view().time, total: whole.len() as u64, piece: whole.slice(from..to) })
}

/// The cosignature of the largest head of each register by one witness, of either branch.
fn own(replica: &Replica, witness: &str, after: &str) -> Response {
    let later = replica.registers().range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
    let newest = |register: &Register| {
        let by = |stand: &Stand| stand.cosignature(witness).map(|c| (c.checkpoint().clone(), c.clone()));
        let main = register.stands_from(0).rev().find_map(by);
        let other = register.stands_other().filter_map(by).last();
        main.into_iter().chain(other).max_by_key(|(checkpoint, _)| checkpoint.size)
    };
    let mut found = later.filter_map(|(_, register)| newest(register));
    let statements: Vec<_> = found
        .by_ref()
        .take(limits::OWN_STATEMENTS_MAX)
        .map(|(checkpoint, cosignature)| (checkpoint, Signed::from_line(cosignature.line())))
        .collect();
    Response::Own { statements, more: found.next().is_some() }
}

fn entries(replica: &Replica, origin: &str, first: u64) -> Option<Response> {
    let register = replica.register(origin)?;
    let mut newest = match register.tail() {
        Some(tail) => bare_head(tail.head),
        None => bare_message(register.newest_stand()?),
    };
    let size = newest.checkpoint.size;
    newest.first = first.min(size);
    newest.entries = step(entries_from(register, newest.first, size));
    let witnessed = register.size_witnessed();
    let witnessed = (witnessed != size && witnessed > 0)
        .then(|| register.witnessed_stand().map(|stand| Box::new(bare_message(stand))))
        .flatten();
    let timestamp = replica.timestamps().get(origin).and_then(|slots| slots.kept.as_ref());
    let timestamp = timestamp.map(|t| (t.checkpoint().clone(), t.signed().clone()));
    Some(Response::Entries { newest: Box::new(newest), witnessed, timestamp })
}

/// Entries of the main branch below `size`, and where the register stopped all that its last head holds.
pub(crate) fn entries_from(register: &Register, first: u64, size: u64) -> impl Iterator<Item = Bytes> {
    let tail = register.tail();
    let skipped = tail.map_or(0, |tail| first.saturating_sub(tail.number));
    let tail = tail.into_iter().flat_map(|tail| tail.entries());
    let tail = tail.skip(usize::try_from(skipped).unwrap_or(usize::MAX)).cloned();
    let valid = register.entries(first, size).map(|entry| entry.bytes().clone());
    valid.chain(tail).take(usize::try_from(size.saturating_sub(first)).unwrap_or(usize::MAX))
}

/// As many as one response carries; always one, so that there is progress.
fn step(entries: impl Iterator<Item = Bytes>) -> Vec<Bytes> {
    let mut size = 0;
    entries
        .take(limits::MESSAGE_ENTRIES_MAX)
        .take_while(|entry| {
            let fits = size == 0 || size + entry.len() <= limits::STEP_SIZE_MAX;
            size += entry.len();
            fits
        })
        .collect()
}

fn body(replica: &Replica, digest: &Digest, offset: u64, base: Option<&Digest>) -> Option<Response> {
    let record = replica.bodies().get(digest)?;
    let delta = base
        .and_then(|base| Delta::between(replica.bodies().get(base)?, record))
        .map(|delta| Bytes::from(delta.encode()))
        .filter(|delta| delta.len() < record.body().len());
    let is_delta = delta.is_some();
    let whole = delta.unwrap_or_else(|| record.body().clone());
    let from = usize::try_from(offset).ok().filter(|from| *from <= whole.len())?;
    let to = from.saturating_add(limits::STEP_SIZE_MAX).min(whole.len());
    Some(Response::Body { total: whole.len() as u64, is_delta, piece: whole.slice(from..to) })
}

/// Entries of an old register, whoever names it: the root says that they are the ones asked for.
fn past(replica: &Replica, after: &After, first: u64) -> Option<Response> {
    let entries = replica.past(after)?.entries_to(after, first)?;
    Some(Response::Past(step(entries.map(|entry| entry.bytes().clone()))))
}

fn fork(replica: &Replica, origin: &str) -> Option<Response> {
    let register = replica.register(origin)?;
    let proof = Bytes::from(register.fork_proof_current()?.encode());
    let fits = |message: &HeadMessage| message.entries.iter().map(Bytes::len).sum::<usize>() <= limits::STEP_SIZE_MAX;
    let witnessed = register.stand_other_witnessed().and_then(|stand| other_message(register, stand)).filter(fits);
    // The newest that one response carries whole: entries that do not reach their head prove nothing.
    let stands: Vec<&Stand> = register.stands_other().collect();
    let newest = stands.iter().rev().filter_map(|stand| other_message(register, stand));
    let newest = stopped_message(register).into_iter().chain(newest).find(fits);
    let newest = newest.filter(|newest| witnessed.as_ref().is_none_or(|w| w.checkpoint.size < newest.checkpoint.size));
    Some(Response::Fork { proof, other: witnessed.into_iter().chain(newest).collect() })
}

/// A head of the other branch with its entries from the fork point on.
pub(crate) fn other_message(register: &Register, stand: &Stand) -> Option<HeadMessage> {
    let mut message = bare_message(stand);
    message.first = register.fork_point()?;
    let count = usize::try_from(message.checkpoint.size.checked_sub(message.first)?).ok()?;
    message.entries = register.entries_other().take(count).map(|entry| entry.bytes().clone()).collect();
    Some(message)
}

/// The head that the other branch cannot reach, with all entries under it from the fork point on.
pub(crate) fn stopped_message(register: &Register) -> Option<HeadMessage> {
    let tail = register.tail_other()?;
    let mut message = bare_head(tail.head);
    message.first = register.fork_point().unwrap_or(tail.number);
    message.entries = register.entries_other().map(Entry::bytes).chain(tail.entries()).cloned().collect();
    Some(message)
}

/// Returns a head with its signatures and cosignatures, and no entries.
pub(crate) fn bare_message(stand: &Stand) -> HeadMessage {
    let mut message = bare_head(stand.head());
    message.cosignatures = stand.cosignatures().map(|c| Signed::from_line(c.line())).collect();
    message
}

/// Returns a head with the register's own signatures alone.
pub(crate) fn bare_head(head: &SignedHead) -> HeadMessage {
    HeadMessage {
        checkpoint: head.checkpoint().clone(),
        own: head
            .note()
            .signatures()
            .iter()
            .filter(|s| s.name == head.checkpoint().origin)
            .map(Signed::from_line)
            .collect(),
        cosignatures: Vec::new(),
        first: head.checkpoint().size,
        entries: Vec::new(),
        bodies: Vec::new(),
    }
}

/// Returns the head at `size` with its latest entries, and then their bodies, as `payload_max` bytes hold: those that are
/// pending, and at least one, for whoever is further behind asks anyway. The newest bodies go first, and a status list
/// travels as a delta on the version before it.
pub fn head_message(replica: &Replica, register: &Register, size: u64, payload_max: usize) -> Option<HeadMessage> {
    let mut message = bare_message(register.stand(size)?);
    let mut room = payload_max;
    let is_enough = |first: u64| first < size && first <= register.size_witnessed();
    while !is_enough(message.first)
        && let Some(entry) = message.first.checked_sub(1).and_then(|number| register.entry(number))
        && let Some(left) = room.checked_sub(entry.bytes().len())
    {
        room = left;
        message.entries.insert(0, entry.bytes().clone());
        message.first -= 1;
    }
    let mut versions: BTreeMap<&RecordKey, Option<Digest>> = BTreeMap::new();
    let before = register.state_at(message.first);
    let held = |digest: &Digest| replica.bodies().get(digest);
    let mut items = Vec::new();
    for change in register.entries(message.first, size).flat_map(|entry| entry.changes()) {
        let at_first = || before.as_ref().and_then(|state| state.get(change.key.as_str().as_bytes()));
        let base = *versions.entry(&change.key).or_insert_with(at_first);
        versions.insert(&change.key, change.digest);
        let Some(record) = change.digest.as_ref().and_then(held) else { continue };
        let delta = base.and_then(|base| Delta::between(held(&base)?, record)).map(|delta| Bytes::from(delta.encode()));
        items.push(match delta {
            Some(delta) if delta.len() < record.body().len() => BodyItem::Delta(delta),
            _ => BodyItem::Whole(record.body().clone()),
        });
    }
    for item in items.into_iter().rev() {
        let (BodyItem::Whole(bytes) | BodyItem::Delta(bytes)) = &item;
        if let Some(left) = room.checked_sub(bytes.len()) {
            room = left;
            message.bodies.push(item);
        }
    }
    Some(message)
}
