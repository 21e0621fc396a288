//! A register as plain files, which any web server, rsync or a stick can carry (C2SP tlog-tiles; `specs/register.md` §12).
//!
//! ```text
//! body/<sha256 in hex>                       what records say
//! tile/0/000.p/42  tile/entries/000.p/42     the log
//! fork                                       the fork proof, once there is one
//! binding                                    {"keys":[…],"origin":"…"}
//! binding.tlog-proof                         the trust entry that binds it
//! witnessed                                  the head at W, with its cosignatures
//! checkpoint                                 the newest head, with its cosignatures
//! ```
//!
//! In this order they are written, so that no file names one that is not there yet. [`replay`] reads them back and checks
//! all of it, with the register's keys and the witnesses alone.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use bytes::Bytes;

use super::body::Bodies;
use super::entry::{Entry, EntryError};
use super::fact::Binding;
use super::fork::{ForkError, ForkProof};
use super::state::{Register, Stand, Witnessing};
use crate::credential::jcs;
use crate::credential::json::Json;
use crate::digest::Digest;
use crate::key::VerifierKey;
use crate::limits;
use crate::log::checkpoint::{Checkpoint, HeadError, SignedHead};
use crate::log::cosignature::Cosignature;
use crate::log::merkle::{Tree, leaf_hash};
use crate::log::note::{Note, NoteError, SignatureLine};
use crate::log::tiles::{self, BundleError, Kind, Tile};
use crate::trie::Trie;

/// The newest head, with its cosignatures.
pub const CHECKPOINT: &str = "checkpoint";
/// The head at W, with its cosignatures.
pub const WITNESSED: &str = "witnessed";
/// The register's name and keys.
pub const BINDING: &str = "binding";
/// The record proof of the trust entry that binds the register, where no anchor does; made of a whole replica, not here.
pub const BINDING_PROOF: &str = "binding.tlog-proof";
/// The proof that the register forked.
pub const FORK: &str = "fork";
/// What the names of bodies begin with.
const BODY: &str = "body/";
/// Bytes in a binding: sixteen keys, each with a name.
const BINDING_SIZE_MAX: usize = 16 * 1024;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// What is in it.
    pub bytes: Bytes,
    /// True when it never changes: a full tile or bundle, a partial one of its width, a body.
    pub is_final: bool,
}

/// Why a file is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotThere {
    /// No head.
    #[error("the register has no head yet")]
    Empty,
    /// It would need entries from before the register was taken over from a state.
    #[error("entries before number {0} are not held here, so neither are the tiles that need them")]
    BeforeBase(u64),
    /// The log has not come so far, or there is no such thing.
    #[error("there is no such file of this register")]
    Nothing,
}

/// A register held, as files.
#[derive(Debug, Clone, Copy)]
pub struct Mirror<'a> {
    register: &'a Register,
    bodies: &'a Bodies,
}

impl<'a> Mirror<'a> {
    /// Takes a register and the bodies held.
    pub fn new(register: &'a Register, bodies: &'a Bodies) -> Self {
        Self { register, bodies }
    }

    /// Returns the size of the newest head: what the files reach to.
    pub fn size(&self) -> u64 {
        self.register.newest_head().map_or(0, |head| head.checkpoint().size)
    }

    /// Returns the names of all files in the order in which they are to be written; nothing when files would be missing.
    pub fn paths(&self) -> Result<Vec<String>, NotThere> {
        let newest = self.register.newest_head().ok_or(NotThere::Empty)?.checkpoint().size;
        if self.register.size_base() > 0 {
            return Err(NotThere::BeforeBase(self.register.size_base()));
        }
        let bodies = self.register.bodies_needed().into_iter().filter(|digest| self.bodies.contains(digest));
        let mut paths: Vec<String> = bodies.map(|digest| format!("{BODY}{digest}")).collect();
        let witnessed = self.register.witnessed_stand().map(|stand| stand.head().checkpoint().size);
        let mut tiles: BTreeSet<Tile> = Tile::of_size(newest).collect();
        tiles.extend(witnessed.into_iter().flat_map(Tile::of_size));
        paths.extend(tiles.iter().map(ToString::to_string));
        paths.extend(self.register.fork_proof().map(|_| FORK.to_owned()));
        paths.push(BINDING.to_owned());
        paths.extend(witnessed.map(|_| WITNESSED.to_owned()));
        paths.push(CHECKPOINT.to_owned());
        Ok(paths)
    }

    /// Returns one file.
    pub fn read(&self, path: &str) -> Result<File, NotThere> {
        let changing = |bytes: Vec<u8>| File { bytes: bytes.into(), is_final: false };
        match path {
            CHECKPOINT => Ok(changing(note(self.register.newest_stand().ok_or(NotThere::Empty)?))),
            WITNESSED => Ok(changing(note(self.register.witnessed_stand().ok_or(NotThere::Nothing)?))),
            BINDING => Ok(changing(binding(self.register.origin(), self.register.keys()))),
            FORK => Ok(changing(self.register.fork_proof().ok_or(NotThere::Nothing)?.encode())),
            _ => {
                if let Some(name) = path.strip_prefix(BODY) {
                    let digest = Digest::from_hex(name).ok_or(NotThere::Nothing)?;
                    let record = self.bodies.get(&digest).ok_or(NotThere::Nothing)?;
                    return Ok(File { bytes: record.body().clone(), is_final: true });
                }
                self.tile(path.parse().map_err(|_| NotThere::Nothing)?)
            }
        }
    }

    fn tile(&self, tile: Tile) -> Result<File, NotThere> {
        if !tile.is_within(self.size()) {
            return Err(NotThere::Nothing);
        }
        let bytes = match tile.kind {
            Kind::Hashes(_) => tile.hashes(self.register.tree()),
            Kind::Entries => {
                let numbers = tile.start()..tile.start().saturating_add(u64::from(tile.width));
                let entries: Option<Vec<&[u8]>> =
                    numbers.map(|n| Some(self.register.entry(n)?.bytes().as_ref())).collect();
                entries.and_then(|entries| tiles::write_bundle(entries).ok())
            }
        };
        let bytes = bytes.ok_or(NotThere::BeforeBase(self.register.size_base()))?;
        Ok(File { bytes: bytes.into(), is_final: true })
    }
}

/// A head with all cosignatures held, as a signed note.
fn note(stand: &Stand) -> Vec<u8> {
    let mut note = stand.head().without_cosignatures().note().clone();
    stand.cosignatures().for_each(|cosignature| note.add(cosignature.line().clone()));
    note.to_string().into_bytes()
}

/// A register's name and keys in the form of RFC 8785, with a line feed.
fn binding(origin: &str, keys: &[VerifierKey]) -> Vec<u8> {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let value = serde_json::json!({"keys": keys, "origin": origin}).to_string();
    let value = Json::parse(value.as_bytes()).expect("a binding is strict JSON");
    (jcs::to_string(&value) + "\n").into_bytes()
}

/// True for a binding of this register in the one form that we write. It may be older than a rotation: one key that is
/// bound is enough.
fn names_register(bytes: &[u8], origin: &str, keys: &[VerifierKey]) -> bool {
    let read = Json::parse(bytes).ok().and_then(|json| Binding::read(&json)).filter(|read| read.origin == origin);
    let named: Option<Vec<VerifierKey>> = read.and_then(|read| read.keys.iter().map(|key| key.parse().ok()).collect());
    named.is_some_and(|named| {
        named.iter().any(|key| keys.contains(key))
            && named.iter().all(|key| key.name() == origin)
            && binding(origin, &named) == bytes
    })
}

/// Why files are not a whole register.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A file is missing.
    #[error("there is no {0}")]
    Missing(String),
    /// A signed checkpoint is not well formed, or a cosignature does not hold.
    #[error("{path} is refused")]
    Note {
        /// The file.
        path: &'static str,
        /// What is wrong.
        #[source]
        source: NoteError,
    },
    /// A signed checkpoint is no head of this register.
    #[error("{path} is no head of this register")]
    Head {
        /// The file.
        path: &'static str,
        /// What is wrong.
        #[source]
        source: HeadError,
    },
    /// An entry bundle does not read.
    #[error("{path} does not read")]
    Bundle {
        /// The file.
        path: String,
        /// What is wrong.
        #[source]
        source: BundleError,
    },
    /// An entry is not valid after those before it.
    #[error("entry {number} is not valid")]
    Entry {
        /// Its number.
        number: u64,
        /// What is wrong.
        #[source]
        source: EntryError,
    },
    /// The entries are not those under a signed checkpoint.
    #[error("the entries are not those that {path} names: expected root {expected}, {found} came")]
    Root {
        /// The file.
        path: &'static str,
        /// The root that was signed.
        expected: Digest,
        /// The root over the entries.
        found: Digest,
    },
    /// A tile is not that of the log.
    #[error("{0} does not hold what the log has there")]
    Tile(String),
    /// A body is not what its name says.
    #[error("{0} has another content than its name says")]
    Body(String),
    /// Names another register, or none of the keys that this one is bound to.
    #[error("binding does not name this register and a key of it")]
    Binding,
    /// The fork proof does not hold.
    #[error("fork proves nothing")]
    Fork(#[source] ForkError),
}

impl ReplayError {
    /// True when the files may be whole, and a newer program may read them.
    pub fn is_upgrade_needed(&self) -> bool {
        matches!(self, Self::Entry { source: EntryError::UpgradeNeeded { .. }, .. })
    }
}

/// A head of the files, and who stands behind it.
#[derive(Debug, Clone)]
pub struct Stood {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The newest cosignature time of each witness that is known.
    pub cosigners: BTreeMap<String, u64>,
    /// Signature lines by keys that are not known here.
    pub unknown: usize,
}

/// What came of replaying files: everything in them holds together.
#[derive(Debug, Clone)]
pub struct Replay {
    tree: Tree,
    /// The newest head.
    pub newest: Stood,
    /// The head at W.
    pub witnessed: Option<Stood>,
    /// Entries that put or removed records, each one.
    pub changes: u64,
    /// Records at the newest head.
    pub records: u64,
    /// Bodies that were read.
    pub bodies: u64,
    /// Bodies that records at W or after it name, and that are not there.
    pub bodies_missing: Vec<Digest>,
    /// True when the fork proof holds.
    pub is_forked: bool,
    /// The names of all files that were checked.
    pub checked: BTreeSet<String>,
}

impl Replay {
    /// Says whether another file beside those checked is one of this register's: a tile of an earlier size, or a body.
    /// `None` for what is no file of a register.
    pub fn holds(&self, path: &str, bytes: &[u8]) -> Option<bool> {
        if let Some(name) = path.strip_prefix(BODY) {
            return Some(Digest::from_hex(name)? == Digest::of(bytes));
        }
        let tile: Tile = path.parse().ok()?;
        Some(is_of(&self.tree, tile, bytes))
    }
}

/// True when a tile holds hashes of this tree, or a bundle its entries.
fn is_of(tree: &Tree, tile: Tile, bytes: &[u8]) -> bool {
    match tile.kind {
        Kind::Hashes(_) => tile.hashes(tree).is_some_and(|hashes| hashes == bytes),
        Kind::Entries => match tiles::read_bundle(&Bytes::copy_from_slice(bytes), tile.width) {
            Ok(entries) => (tile.start()..).zip(&entries).all(|(n, entry)| tree.leaf(n) == Some(leaf_hash(entry))),
            Err(_) => false,
        },
    }
}

/// Replays the files of a register: its log, its state after every entry, every signature and body. `read` returns a
/// file of at most so many bytes, or `None` when it is not there. Without `witnessing` cosignatures are not looked at.
pub fn replay<E: Error + Send + Sync + 'static>(
    origin: &str,
    keys: &[VerifierKey],
    witnessing: Option<&Witnessing>,
    mut read: impl FnMut(&str, usize) -> Result<Option<Bytes>, E>,
) -> Result<Replay, ReplayError> {
    let mut checked = BTreeSet::new();
    let mut optional = |path: &str, size_max: usize| -> Result<Option<Bytes>, ReplayError> {
        let bytes = read(path, size_max);
        let bytes = bytes.map_err(|source| ReplayError::Read { path: path.to_owned(), source: Box::new(source) })?;
        if bytes.is_some() {
            checked.insert(path.to_owned());
        }
        Ok(bytes)
    };
    let newest = optional(CHECKPOINT, limits::NOTE_SIZE_MAX)?;
    let newest = newest.ok_or_else(|| ReplayError::Missing(CHECKPOINT.to_owned()))?;
    let newest = stood(CHECKPOINT, &newest, origin, keys, witnessing)?;
    let witnessed = match optional(WITNESSED, limits::NOTE_SIZE_MAX)? {
        Some(bytes) => Some(stood(WITNESSED, &bytes, origin, keys, witnessing)?),
        None => None,
    };
    let w = witnessed.as_ref().map_or(0, |stood| stood.checkpoint.size);
    // While a folder is brought up to date, `witnessed` is the newer of the two for a moment.
    let size = newest.checkpoint.size.max(w);

    let (mut tree, mut state) = (Tree::default(), Trie::default());
    let (mut changes, mut needed) = (0_u64, BTreeSet::new());
    let (bundles, hashes): (Vec<Tile>, Vec<Tile>) = Tile::of_size(size).partition(|tile| tile.kind == Kind::Entries);
    for tile in bundles {
        let path = tile.to_string();
        let bytes =
            optional(&path, limits::ENTRY_BUNDLE_SIZE_MAX)?.ok_or_else(|| ReplayError::Missing(path.clone()))?;
        let entries = tiles::read_bundle(&bytes, tile.width).map_err(|source| ReplayError::Bundle { path, source })?;
        for leaf in entries {
            let number = tree.size();
            if number == w {
                needed.extend(state.iter().map(|(_, digest)| *digest));
            }
            let entry = Entry::decode(leaf).map_err(|source| ReplayError::Entry { number, source })?;
            state = entry.apply(&state).map_err(|source| ReplayError::Entry { number, source })?;
            changes = changes.saturating_add(entry.changes().len() as u64);
            if number >= w {
                needed.extend(entry.changes().iter().filter_map(|change| change.digest));
            }
            tree.push(entry.leaf_hash());
        }
    }
    if w == size {
        needed.extend(state.iter().map(|(_, digest)| *digest));
    }
    let heads = [Some((CHECKPOINT, &newest)), witnessed.as_ref().map(|stood| (WITNESSED, stood))];
    for (path, stood) in heads.into_iter().flatten() {
        let Checkpoint { size, root: expected, .. } = stood.checkpoint;
        let found = tree.root_at(size).unwrap_or(Digest::OF_NOTHING);
        if found != expected {
            return Err(ReplayError::Root { path, expected, found });
        }
    }

    // A partial tile of W may have gone once there was a full one.
    let earlier = Tile::of_size(w).filter(|tile| !tile.is_full() && w != size).map(|tile| (tile, false));
    for (tile, is_needed) in hashes.into_iter().map(|tile| (tile, true)).chain(earlier) {
        let path = tile.to_string();
        let size_max = match tile.kind {
            Kind::Hashes(_) => 32 * usize::from(tiles::TILE_WIDTH),
            Kind::Entries => limits::ENTRY_BUNDLE_SIZE_MAX,
        };
        match optional(&path, size_max)? {
            Some(bytes) if is_of(&tree, tile, &bytes) => (),
            Some(_) => return Err(ReplayError::Tile(path)),
            None if is_needed => return Err(ReplayError::Missing(path)),
            None => (),
        }
    }

    let (mut bodies, mut bodies_missing) = (0, Vec::new());
    for digest in needed {
        let path = format!("{BODY}{digest}");
        match optional(&path, limits::BODY_SIZE_MAX)? {
            None => bodies_missing.push(digest),
            Some(body) if Digest::of(&body) == digest => bodies += 1,
            Some(_) => return Err(ReplayError::Body(path)),
        }
    }
    if let Some(bytes) = optional(BINDING, BINDING_SIZE_MAX)?
        && !names_register(&bytes, origin, keys)
    {
        return Err(ReplayError::Binding);
    }
    let is_forked = match optional(FORK, limits::FORK_PROOF_SIZE_MAX + 64)? {
        None => false,
        Some(bytes) => {
            let proof = ForkProof::parse(&bytes).map_err(ReplayError::Fork)?;
            proof.check(origin, keys).map_err(ReplayError::Fork)?;
            true
        }
    };
    let records = state.len() as u64;
    let newest = witnessed.clone().filter(|_| w > newest.checkpoint.size).unwrap_or(newest);
    Ok(Replay { tree, newest, witnessed, changes, records, bodies, bodies_missing, is_forked, checked })
}

/// Reads a signed checkpoint: a head by one of the keys, in which every cosignature of a known witness holds.
fn stood(
    path: &'static str,
    bytes: &[u8],
    origin: &str,
    keys: &[VerifierKey],
    witnessing: Option<&Witnessing>,
) -> Result<Stood, ReplayError> {
    let refused = |source| ReplayError::Note { path, source };
    let note = Note::parse(bytes).map_err(refused)?;
    let head = SignedHead::authenticate(note, origin, keys).map_err(|source| ReplayError::Head { path, source })?;
    let checkpoint = head.checkpoint().clone();
    let mut cosigners = BTreeMap::new();
    let is_known = |line: &&SignatureLine| keys.iter().any(|key| line.is_by(key));
    let mut unknown = head.note().signatures().iter().filter(|line| !is_known(line)).count();
    if let Some(witnessing) = witnessing {
        let found = Cosignature::all_in(head.note(), &checkpoint, witnessing.quorum.witnesses()).map_err(refused)?;
        unknown = unknown.saturating_sub(found.len());
        for cosignature in found {
            let time: &mut u64 = cosigners.entry(cosignature.witness().to_owned()).or_default();
            *time = cosignature.time().max(*time);
        }
    }
    Ok(Stood { checkpoint, cosigners, unknown })
}

#[cfg(test)]
mod tests;
