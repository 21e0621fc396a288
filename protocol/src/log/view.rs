//! Views: what a witness vouches for, once a minute, as a signed note.
//!
//! ```text
//! standfast/view/v1
//! 5e19…c0a4                                     <- network id, hex
//! interior                                      <- the witness's name in the charter
//! 1795000000                                    <- time, POSIX seconds
//! 3                                             <- version of the charter …
//! 6d5f…bd41                                     <- … and its digest, hex
//! 4                                             <- number of registers
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=  <- root of the frontier
//!
//! — interior.gov.example/view base64(key id ‖ signature)
//! ```
//!
//! The frontier is a trie (`trie.rs`) from each origin's bytes to SHA-256(0x04 ‖ size in 8 bytes, big-endian ‖ root).
//! A view travels with what changed since another one of the same witness:
//!
//! ```text
//! view message = {0: note, ? 1: root of the base, 2: [* [origin, size, root]], 3: [* removed origin]}
//! ```
//!
//! Without a base the changes are the whole. Both lists ascend by the bytes of their origins.

use std::collections::BTreeMap;
use std::sync::Arc;

use data_encoding::BASE64;

use crate::charter::WitnessSet;
use crate::codec::{CborError, Reader, Writer};
use crate::digest::Digest;
use crate::key::{Algorithm, SecretKey, VerifierKey, check_name};
use crate::limits;
use crate::log::checkpoint::parse_decimal;
use crate::log::note::{self, Note, NoteError};
use crate::time::Time;
use crate::trie::Trie;

/// The first line of every view of this version of the format.
pub const KIND: &str = "standfast/view/v1";

/// Why a view was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// More bytes than a view or its message may have.
    #[error("expected at most {max} bytes, came {came}")]
    Size {
        /// The most.
        max: usize,
        /// How many came.
        came: usize,
    },
    /// The note around the view is refused.
    #[error("the signed note is refused")]
    Note(#[from] NoteError),
    /// Not eight lines.
    #[error("expected eight lines")]
    Lines,
    /// Another first line.
    #[error("expected a text of kind {KIND}")]
    Kind,
    /// A line that does not read.
    #[error("the line of the {0} does not read")]
    Line(&'static str),
    /// A view of another network.
    #[error("expected a view of network {expected}, came one of {came}")]
    OtherNetwork {
        /// Ours.
        expected: Digest,
        /// The other.
        came: Digest,
    },
    /// A witness that the charter does not name.
    #[error("the charter names no witness `{0}`")]
    UnknownWitness(String),
    /// Not the CBOR of a view message.
    #[error("expected the CBOR of a view message")]
    Cbor(#[from] CborError),
    /// More registers than a frontier may have.
    #[error("expected at most {} registers", limits::FRONTIER_SIZE_MAX)]
    Registers,
    /// An origin that is no key name.
    #[error("expected an origin without spaces, control characters or `+`")]
    Origin,
    /// A size or root that no log has.
    #[error("expected a size below 2^63 and a root hash of 32 bytes, that of the empty tree at size 0")]
    Head,
    /// Origins that do not ascend, or one that is put and removed.
    #[error("expected ascending origins, each once")]
    Order,
    /// Removals without a base, or of an origin that the base does not have.
    #[error("expected removals only of what the base has")]
    Removal,
    /// The changes are against a frontier that is not held.
    #[error("the changes are since the frontier {0}, which is not held")]
    Base(Digest),
    /// The changes do not give what the witness has signed.
    #[error("the changes do not give the registers and the root that the witness signed")]
    Mismatch,
}

/// A witness's statement about all heads that it vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The network's id.
    pub network: Digest,
    /// The witness's name in the charter's policy.
    pub witness: String,
    /// When it says so, in POSIX seconds.
    pub time: u64,
    /// The version of the charter that it follows.
    pub charter_version: u64,
    /// That charter's digest.
    pub charter_digest: Digest,
    /// How many registers the frontier has.
    pub registers: u64,
    /// The root of the frontier.
    pub root: Digest,
}

impl View {
    /// The time by which a view is asked for that is the newest of all, also where it is far ahead of every clock.
    pub const OF_ANY_TIME: u64 = u64::MAX;

    /// Reads the text of a view note, strictly.
    pub fn parse(text: &str) -> Result<Self, ViewError> {
        let lines: Vec<&str> = text.strip_suffix('\n').ok_or(ViewError::Lines)?.splitn(9, '\n').collect();
        let [kind, network, witness, time, version, digest, registers, root] = lines.as_slice() else {
            return Err(ViewError::Lines);
        };
        if *kind != KIND {
            return Err(ViewError::Kind);
        }
        if !is_witness_name(witness) {
            return Err(ViewError::Line("witness"));
        }
        let hex = |text: &str, what| Digest::from_hex(text).ok_or(ViewError::Line(what));
        let number = |text: &str, max, what| parse_decimal(text, max).ok_or(ViewError::Line(what));
        let max = u64::try_from(limits::FRONTIER_SIZE_MAX).unwrap_or(u64::MAX);
        Ok(Self {
            network: hex(network, "network")?,
            witness: (*witness).to_owned(),
            time: number(time, Time::END.secs(), "time")?,
            charter_version: number(version, u64::MAX, "charter's version")?,
            charter_digest: hex(digest, "charter's digest")?,
            registers: number(registers, max, "number of registers")?,
            root: read_base64(root).ok_or(ViewError::Line("root"))?,
        })
    }

    /// Returns the note's text.
    pub fn text(&self) -> String {
        let Self { network, witness, time, charter_version, charter_digest, registers, root } = self;
        let root = BASE64.encode(root.as_bytes());
        format!("{KIND}\n{network}\n{witness}\n{time}\n{charter_version}\n{charter_digest}\n{registers}\n{root}\n")
    }

    /// Signs by the witness's view key, of type 0x01.
    pub fn sign(&self, key: &VerifierKey, secret: &SecretKey) -> Note {
        let text = self.text();
        let line = note::sign(&text, key, secret);
        Note::new(text, vec![line])
    }

    /// Checks that a frontier is the one that this view names.
    pub fn check(&self, frontier: &Frontier) -> Result<(), ViewError> {
        let same = u64::try_from(frontier.len()) == Ok(self.registers) && frontier.root() == self.root;
        if same { Ok(()) } else { Err(ViewError::Mismatch) }
    }
}

fn read_base64(text: &str) -> Option<Digest> {
    Digest::from_slice(&BASE64.decode(text.as_bytes()).ok()?)
}

/// A word of a policy: a name without white space and control characters.
fn is_witness_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= limits::KEY_NAME_SIZE_MAX
        && !name.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// A view whose witness has signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedView {
    note: Note,
    view: View,
}

impl SignedView {
    /// Authenticates a note as a view by this view key of type 0x01.
    pub fn authenticate(note: Note, key: &VerifierKey) -> Result<Self, ViewError> {
        let view = View::parse(note.text())?;
        if key.algorithm() != Algorithm::Note || note.verify(std::slice::from_ref(key))?.is_empty() {
            return Err(ViewError::Note(NoteError::UnknownKey));
        }
        Ok(Self { note, view })
    }

    /// Authenticates a note as a view by a witness of this network, by the key that the charter gives it.
    pub fn authenticate_in(note: Note, network: Digest, witnesses: &WitnessSet) -> Result<Self, ViewError> {
        let view = View::parse(note.text())?;
        if view.network != network {
            return Err(ViewError::OtherNetwork { expected: network, came: view.network });
        }
        match witnesses.kinds().get(&view.witness) {
            Some(witness) => Self::authenticate(note, &witness.view),
            None => Err(ViewError::UnknownWitness(view.witness)),
        }
    }

    /// Returns the note as signed.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Returns the view.
    pub fn view(&self) -> &View {
        &self.view
    }
}

/// The head of one register in a frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Leaf {
    /// The number of entries.
    pub size: u64,
    /// The RFC 6962 root hash.
    pub root: Digest,
}

impl Leaf {
    /// Returns what stands in the trie: SHA-256(0x04 ‖ size ‖ root).
    pub fn digest(&self) -> Digest {
        Digest::of_parts(&[&[0x04], &self.size.to_be_bytes(), &self.root.0])
    }
}

/// The heads of many registers under one root hash. Clones share most of what they hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    leaves: BTreeMap<Arc<str>, Leaf>,
    trie: Trie,
}

impl Frontier {
    /// Returns the root of the trie.
    pub fn root(&self) -> Digest {
        self.trie.root()
    }

    /// Returns the number of registers.
    pub fn len(&self) -> usize {
        self.leaves.len()
    }

    /// True without registers.
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// Returns the head of a register.
    pub fn get(&self, origin: &str) -> Option<Leaf> {
        self.leaves.get(origin).copied()
    }

    /// Visits all registers, ascending by origin.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, Leaf)> {
        self.leaves.iter().map(|(origin, leaf)| (origin.as_ref(), *leaf))
    }

    /// Returns the trie, for proofs and descents.
    pub fn trie(&self) -> &Trie {
        &self.trie
    }

    /// Adds a register, or moves its head. How many there may be is for the caller to bound.
    pub fn put(&mut self, origin: &str, leaf: Leaf) {
        if self.get(origin) != Some(leaf) {
            self.trie.put(origin.as_bytes(), leaf.digest());
            self.leaves.insert(origin.into(), leaf);
        }
    }

    /// Removes a register; false when it was absent.
    pub fn remove(&mut self, origin: &str) -> bool {
        self.leaves.remove(origin).is_some() && self.trie.remove(origin.as_bytes())
    }

    /// Returns what leads from `base` to this frontier; from nothing, all of it.
    pub fn changes_since(&self, base: Option<&Frontier>) -> ViewChanges {
        let before = |origin: &str| base.and_then(|b| b.get(origin));
        let put = self.iter().filter(|(origin, leaf)| before(origin) != Some(*leaf));
        let gone = base.into_iter().flat_map(Frontier::iter).filter(|(origin, _)| self.get(origin).is_none());
        ViewChanges {
            base: base.map(Frontier::root),
            put: put.map(|(origin, leaf)| (origin.to_owned(), leaf)).collect(),
            removed: gone.map(|(origin, _)| origin.to_owned()).collect(),
        }
    }
}

/// What leads from one frontier to another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ViewChanges {
    /// The root of the frontier they start from; `None`: from nothing.
    pub base: Option<Digest>,
    /// New heads, ascending by origin.
    pub put: Vec<(String, Leaf)>,
    /// Origins that are gone, ascending.
    pub removed: Vec<String>,
}

impl ViewChanges {
    /// Applies the changes to the frontier that they start from, and checks that the result is the one `view` names.
    pub fn apply(&self, base: Option<&Frontier>, view: &View) -> Result<Frontier, ViewError> {
        let mut frontier = match (self.base, base) {
            (None, _) => Frontier::default(),
            (Some(root), Some(base)) if base.root() == root => base.clone(),
            (Some(root), _) => return Err(ViewError::Base(root)),
        };
        for origin in &self.removed {
            if !frontier.remove(origin) {
                return Err(ViewError::Removal);
            }
        }
        for (origin, leaf) in &self.put {
            frontier.put(origin, *leaf);
            if frontier.len() > limits::FRONTIER_SIZE_MAX {
                return Err(ViewError::Registers);
            }
        }
        view.check(&frontier)?;
        Ok(frontier)
    }
}

/// A view on the wire: the note, not yet authenticated, with its changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewMessage {
    /// The signed note.
    pub note: Note,
    /// What leads to its frontier.
    pub changes: ViewChanges,
}

impl ViewMessage {
    /// Writes the message.
    pub fn encode(&self) -> Vec<u8> {
        let ViewChanges { base, put, removed } = &self.changes;
        let mut writer = Writer::new();
        writer.map(if base.is_some() { 4 } else { 3 });
        writer.uint(0).bytes(self.note.to_string().as_bytes());
        if let Some(base) = base {
            writer.uint(1).bytes(base.as_bytes());
        }
        writer.uint(2).array(put.len());
        for (origin, leaf) in put {
            writer.array(3).text(origin).uint(leaf.size).bytes(leaf.root.as_bytes());
        }
        writer.uint(3).array(removed.len());
        for origin in removed {
            writer.text(origin);
        }
        writer.into_bytes()
    }

    /// Reads a message, whole or not at all.
    pub fn decode(data: &[u8]) -> Result<Self, ViewError> {
        check_size(data.len(), limits::VIEW_MESSAGE_SIZE_MAX)?;
        let mut reader = Reader::new(data);
        let pairs = reader.map()?;
        if !(3..=4).contains(&pairs) {
            return Err(CborError::Length { expected: 3, found: pairs }.into());
        }
        reader.key(0)?;
        let note = reader.bytes()?;
        check_size(note.len(), limits::VIEW_SIZE_MAX)?;
        let note = Note::parse(note)?;
        let base = if pairs == 4 {
            reader.key(1)?;
            Some(Digest(*reader.array_of()?))
        } else {
            None
        };
        reader.key(2)?;
        let put = read_list(&mut reader, |reader| {
            reader.array_len(3)?;
            let origin = read_origin(reader)?;
            let leaf = Leaf { size: reader.uint()?, root: Digest(*reader.array_of()?) };
            if leaf.size > limits::TREE_SIZE_MAX || leaf.size == 0 && leaf.root != Digest::OF_NOTHING {
                return Err(ViewError::Head);
            }
            Ok((origin, leaf))
        })?;
        reader.key(3)?;
        let removed = read_list(&mut reader, read_origin)?;
        reader.finish()?;
        check_ascending(put.iter().map(|(origin, _)| origin))?;
        check_ascending(removed.iter())?;
        if base.is_none() && !removed.is_empty() {
            return Err(ViewError::Removal);
        }
        if removed.iter().any(|origin| put.binary_search_by(|(o, _)| o.cmp(origin)).is_ok()) {
            return Err(ViewError::Order);
        }
        Ok(Self { note, changes: ViewChanges { base, put, removed } })
    }
}

fn check_size(came: usize, max: usize) -> Result<(), ViewError> {
    if came > max { Err(ViewError::Size { max, came }) } else { Ok(()) }
}

fn read_list<'a, T>(
    reader: &mut Reader<'a>,
    read: impl Fn(&mut Reader<'a>) -> Result<T, ViewError>,
) -> Result<Vec<T>, ViewError> {
    let count = reader.array()?;
    if count > limits::FRONTIER_SIZE_MAX {
        return Err(ViewError::Registers);
    }
    (0..count).map(|_| read(reader)).collect()
}

fn read_origin(reader: &mut Reader<'_>) -> Result<String, ViewError> {
    let origin = reader.text()?;
    check_name(origin).map_err(|_| ViewError::Origin)?;
    Ok(origin.to_owned())
}

fn check_ascending<'a>(mut origins: impl Iterator<Item = &'a String>) -> Result<(), ViewError> {
    let Some(mut last) = origins.next() else { return Ok(()) };
    for origin in origins {
        if origin <= last {
            return Err(ViewError::Order);
        }
        last = origin;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(n: u8) -> Leaf {
        Leaf { size: u64::from(n) + 1, root: Digest::of(&[n]) }
    }

    fn frontier(heads: &[(&str, u8)]) -> Frontier {
        let mut frontier = Frontier::default();
        heads.iter().for_each(|(origin, n)| frontier.put(origin, leaf(*n)));
        frontier
    }

    fn view(frontier: &Frontier) -> View {
        View {
            network: Digest::of(b"network"),
            witness: "interior".into(),
            time: 1_795_000_000,
            charter_version: 3,
            charter_digest: Digest::of(b"charter"),
            registers: u64::try_from(frontier.len()).expect("a small number"),
            root: frontier.root(),
        }
    }

    fn key(algorithm: Algorithm) -> (VerifierKey, SecretKey) {
        let secret = SecretKey::from_seed(&[7; 32]);
        (VerifierKey::new("interior.gov.example/view", algorithm, secret.public()).expect("a name"), secret)
    }

    fn message(frontier: &Frontier, changes: ViewChanges) -> ViewMessage {
        let (key, secret) = key(Algorithm::Note);
        ViewMessage { note: view(frontier).sign(&key, &secret), changes }
    }

    #[test]
    fn reads_what_it_writes() {
        let view = view(&frontier(&[("a", 1)]));
        assert_eq!(View::parse(&view.text()), Ok(view));
    }

    #[test]
    fn refuses_lines_that_do_not_read() {
        let text = view(&frontier(&[("a", 1)])).text();
        assert_eq!(View::parse(text.trim_end()), Err(ViewError::Lines));
        assert_eq!(View::parse(&format!("{text}more\n")), Err(ViewError::Lines));
        assert_eq!(View::parse(&text.replace("/v1", "/v2")), Err(ViewError::Kind));
        assert_eq!(View::parse(&text.replace("interior", "in terior")), Err(ViewError::Line("witness")));
        assert_eq!(View::parse(&text.replace("1795000000", "01795000000")), Err(ViewError::Line("time")));
        assert_eq!(View::parse(&text.replace("=\n", "\n")), Err(ViewError::Line("root")));
        let network = Digest::of(b"network").to_string();
        let upper = text.replace(&network, &network.to_uppercase());
        assert_eq!(View::parse(&upper), Err(ViewError::Line("network")));
    }

    #[test]
    fn counts_only_under_the_witness_own_key() {
        let view = view(&frontier(&[("a", 1)]));
        let (own, secret) = key(Algorithm::Note);
        let note = view.sign(&own, &secret);
        assert_eq!(SignedView::authenticate(note.clone(), &own).expect("signed").view(), &view);
        let unknown = Err(ViewError::Note(NoteError::UnknownKey));
        let other = VerifierKey::new("other.example/view", Algorithm::Note, secret.public()).expect("a name");
        assert_eq!(SignedView::authenticate(note.clone(), &other), unknown);
        let (cosigning, _) = key(Algorithm::Cosignature);
        assert_eq!(SignedView::authenticate(note.clone(), &cosigning), unknown);
        let forged = Note::new(note.text().replace("interior", "customs"), note.signatures().to_vec());
        assert_eq!(SignedView::authenticate(forged, &own), Err(ViewError::Note(NoteError::BadSignature)));
    }

    #[test]
    fn changes_lead_from_base_to_view() {
        let base = frontier(&[("a", 1), ("b", 2), ("c", 3)]);
        let next = frontier(&[("a", 1), ("b", 9), ("d", 4)]);
        let changes = next.changes_since(Some(&base));
        assert_eq!((changes.put.len(), changes.removed.as_slice()), (2, &["c".to_owned()][..]));
        assert_eq!(changes.apply(Some(&base), &view(&next)), Ok(next.clone()));
        assert_eq!(next.changes_since(None).apply(None, &view(&next)), Ok(next.clone()));
        assert_eq!(changes.apply(None, &view(&next)), Err(ViewError::Base(base.root())));
        assert_eq!(changes.apply(Some(&next), &view(&next)), Err(ViewError::Base(base.root())));
    }

    #[test]
    fn refuses_changes_that_do_not_give_the_signed_root() {
        let next = frontier(&[("a", 1), ("b", 9)]);
        let mut changes = next.changes_since(None);
        changes.put.pop();
        assert_eq!(changes.apply(None, &view(&next)), Err(ViewError::Mismatch));
        let counted_wrong = View { registers: 3, ..view(&next) };
        assert_eq!(next.changes_since(None).apply(None, &counted_wrong), Err(ViewError::Mismatch));
        let absent = ViewChanges { base: Some(next.root()), put: vec![], removed: vec!["z".into()] };
        assert_eq!(absent.apply(Some(&next), &view(&next)), Err(ViewError::Removal));
    }

    #[test]
    fn messages_round_trip_and_refuse_every_cut() {
        let base = frontier(&[("a", 1), ("c", 3)]);
        let next = frontier(&[("a", 2), ("b", 9)]);
        for changes in [next.changes_since(Some(&base)), next.changes_since(None)] {
            let message = message(&next, changes);
            let bytes = message.encode();
            assert_eq!(ViewMessage::decode(&bytes), Ok(message));
            for cut in 0..bytes.len() {
                assert!(ViewMessage::decode(&bytes[..cut]).is_err());
            }
            assert!(ViewMessage::decode(&[&bytes[..], &[0]].concat()).is_err(), "trailing bytes");
        }
    }

    #[test]
    fn refuses_messages_out_of_order() {
        let next = frontier(&[("a", 1), ("b", 2)]);
        let decoded = |changes: ViewChanges| ViewMessage::decode(&message(&next, changes).encode()).map(drop);
        let whole = next.changes_since(None);
        let mut turned = whole.clone();
        turned.put.reverse();
        assert_eq!(decoded(turned), Err(ViewError::Order));
        let both = ViewChanges { base: Some(next.root()), removed: vec!["a".into()], ..whole.clone() };
        assert_eq!(decoded(both), Err(ViewError::Order));
        let from_nothing = ViewChanges { removed: vec!["z".into()], ..whole.clone() };
        assert_eq!(decoded(from_nothing), Err(ViewError::Removal));
        let mut empty = whole;
        empty.put[0].1.size = 0;
        assert_eq!(decoded(empty), Err(ViewError::Head));
    }

    #[test]
    fn leaf_hashes_size_and_root_under_their_own_prefix() {
        let Leaf { size, root } = leaf(4);
        let expected = [&[0x04][..], &[0, 0, 0, 0, 0, 0, 0, 5], &root.0].concat();
        assert_eq!((size, leaf(4).digest()), (5, Digest::of(&expected)));
    }
}
