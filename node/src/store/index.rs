//! Where each body stands in the journal: a `sled` database of what can always be derived again.
//!
//! ```text
//! digest of a body, 32 bytes  →  segment 8, offset 8, checksum 4
//! "built"                     →  id 16, segment 8, offset 8, chain 4, bodies 8, sum of digests 32, checksum 4
//! ```
//!
//! `sled` 0.34 panics on, or silently loses, damaged data (seen). So every call runs under `catch_unwind`, every value
//! carries a checksum, opening counts all of them, and any doubt means: set it aside and build it anew.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use standfast_protocol::digest::Digest;

use super::journal::{Mark, Position};

/// Bytes that `sled` may keep of its pages (`specs/store.md` §6).
const CACHE_SIZE: u64 = 8 * 1024 * 1024;
const BUILT_KEY: &[u8] = b"built";
const BUILT_SIZE: usize = 80;
const POSITION_SIZE: usize = 20;

/// The index cannot be relied on; what it said, or why it said nothing.
#[derive(Debug, thiserror::Error)]
#[error("the index is unusable: {0}")]
pub struct IndexFault(String);

/// What is in an index: how far it is built, and what a count of its keys must give.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Built {
    mark: Mark,
    bodies: u64,
    /// All digests, exclusive-or: shows a lost or foreign key.
    sum: [u8; 32],
}

/// An open index.
pub(super) struct Index {
    /// `None` only while it is dropped.
    database: Option<sled::Db>,
    built: Mutex<Option<Built>>,
}

impl Index {
    /// Opens or creates the index, and checks every value in it.
    pub(super) fn open(path: &Path) -> Result<Self, IndexFault> {
        guard(|| {
            let config = sled::Config::new().path(path).cache_capacity(CACHE_SIZE).flush_every_ms(None);
            let index = Index { database: Some(config.open().map_err(fault)?), built: Mutex::new(None) };
            *index.built() = index.check()?;
            Ok(index)
        })
    }

    /// Returns how far the index is built; `None` if it is empty.
    pub(super) fn mark(&self) -> Option<Mark> {
        self.built().map(|built| built.mark)
    }

    /// Returns where the body stands.
    pub(super) fn get(&self, digest: &Digest) -> Result<Option<Position>, IndexFault> {
        guard(|| match self.database()?.get(digest.as_bytes()).map_err(fault)? {
            Some(value) => decode_position(digest, &value).map(Some),
            None => Ok(None),
        })
    }

    /// Adds `bodies`, and says that the index is built up to `mark`, all or nothing. A known body keeps its position.
    pub(super) fn insert(&self, bodies: &[(Digest, Position)], mark: Mark) -> Result<(), IndexFault> {
        let mut built = self.built().unwrap_or(Built { mark, bodies: 0, sum: [0; 32] });
        built.mark = mark;
        let mut batch = sled::Batch::default();
        let mut added = std::collections::HashSet::new();
        for (digest, position) in bodies {
            if self.get(digest)?.is_none() && added.insert(*digest) {
                batch.insert(digest.as_bytes().as_slice(), encode_position(digest, *position));
                built.add(digest);
            }
        }
        batch.insert(BUILT_KEY, built.encode());
        guard(|| self.database()?.apply_batch(batch).map_err(fault))?;
        *self.built() = Some(built);
        Ok(())
    }

    /// Writes down what was inserted, so that the next start need not derive it again.
    pub(super) fn flush(&self) -> Result<(), IndexFault> {
        guard(|| self.database()?.flush().map(|_| ()).map_err(fault))
    }

    fn built(&self) -> MutexGuard<'_, Option<Built>> {
        self.built.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn database(&self) -> Result<&sled::Db, IndexFault> {
        self.database.as_ref().ok_or_else(|| IndexFault("closed".to_owned()))
    }

    fn check(&self) -> Result<Option<Built>, IndexFault> {
        let (mut bodies, mut sum, mut built) = (0u64, [0; 32], None);
        for item in self.database()?.iter() {
            let (key, value) = item.map_err(fault)?;
            if key == BUILT_KEY {
                built = Some(Built::decode(&value)?);
            } else {
                let digest = Digest::from_slice(&key).ok_or_else(|| IndexFault("a key is no digest".to_owned()))?;
                decode_position(&digest, &value)?;
                bodies = bodies.saturating_add(1);
                add(&mut sum, &digest);
            }
        }
        match built {
            Some(built) if (built.bodies, built.sum) == (bodies, sum) => Ok(Some(built)),
            None if bodies == 0 => Ok(None),
            _ => Err(IndexFault(format!("expected all bodies that were indexed, found {bodies} others"))),
        }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        let database = self.database.take();
        // A damaged database may panic once more when it writes out its pages.
        let _ = catch_unwind(AssertUnwindSafe(move || drop(database)));
    }
}

impl Built {
    fn add(&mut self, digest: &Digest) {
        self.bodies = self.bodies.saturating_add(1);
        add(&mut self.sum, digest);
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.mark.id.to_vec();
        bytes.extend_from_slice(&self.mark.position.segment.to_be_bytes());
        bytes.extend_from_slice(&self.mark.position.offset.to_be_bytes());
        bytes.extend_from_slice(&self.mark.chain.to_be_bytes());
        bytes.extend_from_slice(&self.bodies.to_be_bytes());
        bytes.extend_from_slice(&self.sum);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, IndexFault> {
        let broken = || IndexFault("its own mark is damaged".to_owned());
        let bytes: &[u8; BUILT_SIZE] = bytes.try_into().map_err(|_| broken())?;
        let (body, checksum) = bytes.split_at(BUILT_SIZE - 4);
        if crc32fast::hash(body).to_be_bytes() != checksum {
            return Err(broken());
        }
        let number = |at: usize| body.get(at..at + 8).and_then(|part| part.try_into().ok()).map(u64::from_be_bytes);
        (|| {
            let position = Position { segment: number(16)?, offset: number(24)? };
            let chain = u32::from_be_bytes(body.get(32..36)?.try_into().ok()?);
            let mark = Mark { id: body.get(..16)?.try_into().ok()?, position, chain };
            Some(Self { mark, bodies: number(36)?, sum: body.get(44..)?.try_into().ok()? })
        })()
        .ok_or_else(broken)
    }
}

fn add(sum: &mut [u8; 32], digest: &Digest) {
    for (sum, byte) in sum.iter_mut().zip(digest.as_bytes()) {
        *sum ^= byte;
    }
}

fn encode_position(digest: &Digest, position: Position) -> Vec<u8> {
    let mut bytes = position.segment.to_be_bytes().to_vec();
    bytes.extend_from_slice(&position.offset.to_be_bytes());
    bytes.extend_from_slice(&position_checksum(digest, &bytes));
    bytes
}

fn decode_position(digest: &Digest, bytes: &[u8]) -> Result<Position, IndexFault> {
    let broken = || IndexFault(format!("the position of body {digest} is damaged"));
    let bytes: &[u8; POSITION_SIZE] = bytes.try_into().map_err(|_| broken())?;
    let (body, checksum) = bytes.split_at(16);
    if position_checksum(digest, body) != checksum {
        return Err(broken());
    }
    let number = |part: &[u8]| part.try_into().map(u64::from_be_bytes).map_err(|_| broken());
    let (segment, offset) = body.split_at(8);
    Ok(Position { segment: number(segment)?, offset: number(offset)? })
}

/// The key is part of the checksum, so that a value which slid to another key does not count.
fn position_checksum(digest: &Digest, body: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(digest.as_bytes());
    hasher.update(body);
    hasher.finalize().to_be_bytes()
}

fn fault(error: impl fmt::Display) -> IndexFault {
    IndexFault(error.to_string())
}

/// Runs a call to `sled`; a panic in it is a fault like any other.
fn guard<T>(call: impl FnOnce() -> Result<T, IndexFault>) -> Result<T, IndexFault> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(IndexFault(format!("sled panicked: {}", text.unwrap_or_default())))
    })
}
