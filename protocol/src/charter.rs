//! The charter: a network's root of trust, as the text of a signed note.
//!
//! ```text
//! {"admission":"open","anchors":[{"authority":"did:web:interior.gov.example","register":{"keys":["…"],"origin":"…"}}],
//!  "bootstrap":["/ip4/203.0.113.7/tcp/7411"],"expires_at":1811808000,"issued_at":1795000000,
//!  "kind":"standfast/charter/v1","limits":{"charter_s":2592000,"published_s":604800,"witnessed_s":86400},"members":[],
//!  "quotas":{"bytes_per_day":67108864,"delta_retention_s":2592000,"entries_per_day":10000},
//!  "roots":{"keys":["…","…","…"],"threshold":2},"version":1,
//!  "witnesses":{"from":1795000000,"kinds":{"interior":{"kind":"admitting","view":"…"}},"policy":"witness interior …\n…"}}
//!                                                        <- one line in the form of RFC 8785, then the blank line
//! — interior.gov.example/root base64(key id ‖ signature)
//! — customs.gov.example/root base64(key id ‖ signature)
//! ```
//!
//! The network's id is SHA-256 of the whole text of version 1; from version 2 on the text names it in `network`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::credential::jcs;
use crate::credential::json::{Json, JsonError};
use crate::digest::Digest;
use crate::key::{Algorithm, PublicKey, VerifierKey, check_name, is_own_origin};
use crate::limits;
use crate::log::note::NoteError;
use crate::log::policy::{Quorum, QuorumError};
use crate::register::fact::{After, Binding};
use crate::time::Time;
use crate::trust::{self, Anchor};

mod chain;
mod plan;
mod signed;

pub use chain::{Chain, CharterFork, CharterStep};
pub use plan::{Plan, PlanError, PlanLimits, PlanQuotas, PlanWitness, PlanWitnesses, Span, SpanError};
pub use signed::{Signatures, SignedCharter, Tally};

/// The `kind` of every charter of this version of the format.
pub const KIND: &str = "standfast/charter/v1";

/// Why a charter was refused.
#[derive(Debug, thiserror::Error)]
pub enum CharterError {
    /// Longer than a charter may be.
    #[error("expected a charter of at most {} bytes", limits::CHARTER_SIZE_MAX)]
    Size,
    /// Not one line that ends.
    #[error("expected one line of JSON and a line feed")]
    Line,
    /// Not strict JSON in the form of RFC 8785.
    #[error("expected JSON in the form of RFC 8785")]
    Json(#[source] JsonError),
    /// A member is missing, unknown or of another type.
    #[error("a member of the charter is missing, unknown or of another type")]
    Shape(#[source] serde_json::Error),
    /// It does not re-encode to the same bytes: an optional member that is null.
    #[error("expected absent members to be left out")]
    NotCanonical,
    /// Another kind of document.
    #[error("expected a document of kind {KIND}, came `{0}`")]
    Kind(String),
    /// Version 0.
    #[error("expected a version of at least 1")]
    Version,
    /// Version 1 names a network, or a later one does not.
    #[error("expected no network in version 1, and one in every later version")]
    Network,
    /// Issued after it expires, or beyond the year 9999.
    #[error("expected issued_at before expires_at, both before the year 10000")]
    Window,
    /// A list that is empty or too long.
    #[error("expected {min} to {max} {what}, came {came}")]
    Count {
        /// What the list holds.
        what: &'static str,
        /// The fewest.
        min: usize,
        /// The most.
        max: usize,
        /// How many came.
        came: usize,
    },
    /// A threshold that no signatures or any number of them can meet.
    #[error("expected a threshold of 1 to {keys}, the number of root keys, came {threshold}")]
    Threshold {
        /// The threshold.
        threshold: u64,
        /// The number of root keys.
        keys: usize,
    },
    /// A key of a type that does not fit its use.
    #[error("the key of `{name}` is of another type than {role} needs")]
    KeyType {
        /// The key's name.
        name: String,
        /// What it is for.
        role: Role,
    },
    /// One public key twice, or for two uses.
    #[error("the public key of `{name}`, for {role}, stands in the charter already: one key, one use")]
    KeyTwice {
        /// The key's name.
        name: String,
        /// What it is for.
        role: Role,
    },
    /// An authority that is not a DID.
    #[error("expected a DID as authority, came `{0}`")]
    Authority(String),
    /// Something that stands twice where each may stand once.
    #[error("{what} `{value}` stands twice")]
    Twice {
        /// What it is.
        what: &'static str,
        /// Which.
        value: String,
    },
    /// An origin that is not `<prefix>/<32 hex digits>`.
    #[error("expected an origin `<prefix>/<32 hex digits>`, came `{0}`")]
    Origin(String),
    /// An anchor's origin that neither its first key gives nor the version before binds to one of its keys.
    #[error("the origin `{0}` is that of none of its keys, and no key that signs heads (0x01) was bound to it before")]
    NotOwnOrigin(String),
    /// An anchor's key that another name signs with.
    #[error("expected the keys of `{origin}` to be named by it, came `{name}`")]
    ForeignKey {
        /// The origin.
        origin: String,
        /// The key's name.
        name: String,
    },
    /// An anchor whose recovery names itself or nothing.
    #[error("expected `after` of `{0}` to name another register with at least one entry")]
    After(String),
    /// The witness policy does not read.
    #[error("the witness policy is refused")]
    Quorum(#[from] QuorumError),
    /// Witnesses of the policy and of `kinds` that are not the same.
    #[error("expected `kinds` to name the witnesses of the policy and no others: `{0}`")]
    Witness(String),
    /// Admitting witnesses alone cannot make the quorum.
    #[error("expected a quorum that admitting witnesses alone can make")]
    Unreachable,
    /// A witness of both sets that has another name or other keys in one of them.
    #[error("expected `{0}` to be the same witness with the same keys in both sets: another one needs another name")]
    WitnessRenamed(String),
    /// `from` and `before` that do not fit.
    #[error("expected `from` after issued_at with a set of witnesses `before`, else not after it")]
    From,
    /// A limit or quota that is 0 or too large.
    #[error("expected `{name}` from 1 to {max}, came {came}")]
    Range {
        /// The member.
        name: &'static str,
        /// The largest value.
        max: u64,
        /// What came.
        came: u64,
    },
    /// Members are asked for, and no register holds them.
    #[error("expected at least one register of members where admission is `members`")]
    NoMembers,
    /// A bootstrap address that is no multiaddr.
    #[error("expected a multiaddr of at most {max} bytes, came `{0}`", max = limits::BOOTSTRAP_SIZE_MAX)]
    Bootstrap(String),
    /// The note around the charter is refused.
    #[error("the signed note is refused")]
    Note(#[from] NoteError),
    /// Not version 1 where only that is asked for.
    #[error("expected version 1, came {0}")]
    NotFirst(u64),
    /// Too few root keys have signed.
    #[error("expected signatures by {need} of the roots {of}, came {have}")]
    TooFewSignatures {
        /// Whose roots: `of version 3`.
        of: String,
        /// How many distinct root keys have signed.
        have: usize,
        /// The threshold.
        need: usize,
    },
    /// Another network's charter.
    #[error("expected a charter of network {expected}, came one of {came}")]
    OtherNetwork {
        /// Ours.
        expected: Digest,
        /// The other.
        came: Digest,
    },
    /// Not the next version.
    #[error("expected version {expected}, came {came}")]
    NotNext {
        /// The version after the one held.
        expected: u64,
        /// What came.
        came: u64,
    },
    /// Issued before the version that it follows.
    #[error("expected issued_at not before that of the version before")]
    IssuedBefore,
    /// Witnesses change at once, or not from those that are in force.
    #[error(
        "expected new witnesses to take effect {} days after issued_at, with those in force as `before`",
        limits::WITNESS_CHANGE_S / 86_400
    )]
    WitnessChange,
}

/// What a key of the charter is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Signs charters.
    Root,
    /// Cosigns checkpoints.
    Witness,
    /// Signs views.
    View,
    /// Signs or timestamps an anchor's register.
    Anchor,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Root => "a root",
            Self::Witness => "a witness",
            Self::View => "views",
            Self::Anchor => "an anchor",
        })
    }
}

/// The members of the JSON text; valid only inside a [`Charter`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Always [`KIND`].
    pub kind: String,
    /// The network's id; absent in version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Digest>,
    /// 1, 2, 3 …
    pub version: u64,
    /// POSIX seconds.
    pub issued_at: u64,
    /// POSIX seconds.
    pub expires_at: u64,
    /// Who signs charters.
    pub roots: Roots,
    /// The authorities that paths begin at, in the order of search.
    pub anchors: Vec<AnchorTerms>,
    /// Who witnesses.
    pub witnesses: WitnessTerms,
    /// The ages that this network advises as limits.
    pub limits: FreshnessLimits,
    /// What one publisher may send.
    pub quotas: Quotas,
    /// Origins of the registers whose `member/` records count.
    pub members: Vec<String>,
    /// Multiaddrs to begin at.
    pub bootstrap: Vec<String>,
    /// Who may read.
    pub admission: Admission,
}

/// Root keys and how many must sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roots {
    /// How many distinct public keys must sign.
    pub threshold: u64,
    /// Verifier keys of type 0x01.
    pub keys: Vec<VerifierKey>,
}

/// An authority and its register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorTerms {
    /// A DID.
    pub authority: String,
    /// Its register.
    pub register: RegisterTerms,
}

/// A register with its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterTerms {
    /// The origin, given by the first key.
    pub origin: String,
    /// Verifier keys named by the origin; the first is of type 0x01.
    pub keys: Vec<VerifierKey>,
    /// The end of the register before, after a recovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<AfterTerms>,
}

/// The point up to which the register before still counts for withdrawals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AfterTerms {
    /// The old origin.
    pub origin: String,
    /// The old register's size at that point.
    pub size: u64,
    /// Its root at that point.
    pub root: Digest,
}

/// The witnesses from `from` on, and those in force until then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessTerms {
    /// C2SP tlog-policy without `log` lines.
    pub policy: String,
    /// The kind and the view key of each witness of the policy.
    pub kinds: BTreeMap<String, WitnessKind>,
    /// The POSIX second from which this set counts.
    pub from: u64,
    /// The set that counts until then; absent when nothing changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<WitnessesBefore>,
}

/// The set of witnesses in force before a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessesBefore {
    /// As [`WitnessTerms::policy`].
    pub policy: String,
    /// As [`WitnessTerms::kinds`].
    pub kinds: BTreeMap<String, WitnessKind>,
}

/// What a witness promises, and the key of its views.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessKind {
    /// What it checks before it cosigns.
    pub kind: Kind,
    /// The verifier key (0x01) of its views.
    pub view: VerifierKey,
}

/// What a witness checks before it cosigns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Replays entries and holds every body: makes W and the ages.
    Admitting,
    /// Checks consistency of checkpoints only: adds fork resistance, and is shown.
    Consistent,
}

/// The oldest that this network advises to rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreshnessLimits {
    /// Seconds since a quorum stood at W.
    pub witnessed_s: u64,
    /// Seconds since the publisher stood at a head.
    pub published_s: u64,
    /// Seconds since a quorum named the charter.
    pub charter_s: u64,
}

/// What one publisher may send, and how long deltas stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quotas {
    /// Entries a publisher may append in a day.
    pub entries_per_day: u64,
    /// Bytes of entries and bodies a publisher may send in a day.
    pub bytes_per_day: u64,
    /// Seconds after which nodes delete the deltas of status lists.
    pub delta_retention_s: u64,
}

/// Who may read from nodes of this network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// Anybody.
    #[default]
    Open,
    /// Members only.
    Members,
}

/// A set of witnesses that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessSet {
    quorum: Quorum,
    kinds: BTreeMap<String, WitnessKind>,
}

impl WitnessSet {
    fn read(policy: &str, kinds: &BTreeMap<String, WitnessKind>) -> Result<Self, CharterError> {
        let set = Self { quorum: Quorum::parse(policy)?, kinds: kinds.clone() };
        let named = set.quorum.witnesses();
        let alone = |name: &&String| !kinds.contains_key(*name);
        if let Some(name) = named.keys().find(alone).or_else(|| kinds.keys().find(|name| !named.contains_key(*name))) {
            return Err(CharterError::Witness(name.clone()));
        }
        if let Some(other) = kinds.values().find(|w| w.view.algorithm() != Algorithm::Note) {
            return Err(CharterError::KeyType { name: other.view.name().to_owned(), role: Role::View });
        }
        if !set.quorum.met_by(|name| set.is_admitting(name)) {
            return Err(CharterError::Unreachable);
        }
        Ok(set)
    }

    /// A set of one admitting witness, for tests of what one says.
    #[cfg(test)]
    pub(crate) fn of_one(name: &str, cosign: VerifierKey, view: VerifierKey) -> Self {
        let quorum = Quorum::parse(&format!("witness {name} {cosign}\nquorum {name}\n")).expect("a policy");
        let kinds = [(name.to_owned(), WitnessKind { kind: Kind::Admitting, view })].into();
        Self { quorum, kinds }
    }

    /// Returns the quorum. W, the ages and the clock bound need it met by admitting witnesses alone.
    pub fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// True for a witness of this set that replays entries before it cosigns.
    pub fn is_admitting(&self, name: &str) -> bool {
        self.kinds.get(name).is_some_and(|w| w.kind == Kind::Admitting)
    }

    /// Visits the witnesses by name: kind and view key.
    pub fn kinds(&self) -> &BTreeMap<String, WitnessKind> {
        &self.kinds
    }

    /// Returns the name of the witness whose cosignature key this is.
    pub fn cosigner(&self, key: &VerifierKey) -> Option<&str> {
        self.quorum.witnesses().iter().find(|(_, k)| *k == key).map(|(name, _)| name.as_str())
    }

    fn keys(&self) -> impl Iterator<Item = (Role, &VerifierKey)> {
        let cosigning = self.quorum.witnesses().values().map(|key| (Role::Witness, key));
        cosigning.chain(self.kinds.values().map(|w| (Role::View, &w.view)))
    }
}

/// A charter whose text is valid; its signatures are not checked, see [`SignedCharter`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charter {
    text: String,
    digest: Digest,
    document: Document,
    anchors: Vec<Anchor>,
    witnesses: WitnessSet,
    before: Option<WitnessSet>,
}

impl Charter {
    /// Reads the text of a charter note, whole or not at all.
    pub fn parse(text: &str) -> Result<Self, CharterError> {
        if text.len() > limits::CHARTER_SIZE_MAX {
            return Err(CharterError::Size);
        }
        let line = text.strip_suffix('\n').ok_or(CharterError::Line)?;
        Json::parse_canonical(line.as_bytes()).map_err(CharterError::Json)?;
        let document: Document = serde_json::from_str(line).map_err(CharterError::Shape)?;
        if encode(&document)? != text {
            return Err(CharterError::NotCanonical);
        }
        Self::check(text.to_owned(), document)
    }

    /// Makes a charter of its members.
    pub fn new(document: Document) -> Result<Self, CharterError> {
        Self::parse(&encode(&document)?)
    }

    fn check(text: String, document: Document) -> Result<Self, CharterError> {
        check_header(&document)?;
        check_roots(&document.roots)?;
        check_anchors(&document.anchors, document.version)?;
        check_network(&document)?;
        let terms = &document.witnesses;
        let witnesses = WitnessSet::read(&terms.policy, &terms.kinds)?;
        let before = terms.before.as_ref().map(|b| WitnessSet::read(&b.policy, &b.kinds)).transpose()?;
        if before.is_some() != (terms.from > document.issued_at) || terms.from > Time::END.secs() {
            return Err(CharterError::From);
        }
        check_keys(&document, &witnesses, before.as_ref())?;
        before.iter().try_for_each(|before| check_same_witnesses(&witnesses, before))?;
        let digest = Digest::of(text.as_bytes());
        let anchors = document.anchors.iter().map(AnchorTerms::to_anchor).collect();
        Ok(Self { text, digest, document, anchors, witnesses, before })
    }

    /// Returns the text that root keys sign.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns SHA-256 of the text, which views name.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the network's id: the digest of version 1.
    pub fn network_id(&self) -> Digest {
        self.document.network.unwrap_or(self.digest)
    }

    /// Returns the version.
    pub fn version(&self) -> u64 {
        self.document.version
    }

    /// Returns all members as written.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// True when the charter has expired at `now`: it rejects nothing, and grants nothing new.
    pub fn is_expired(&self, now: u64) -> bool {
        now >= self.document.expires_at
    }

    /// Returns the anchors in the order of search.
    pub fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    /// Returns the witnesses in force at `now`.
    pub fn witnesses_at(&self, now: u64) -> &WitnessSet {
        match &self.before {
            Some(before) if now < self.document.witnesses.from => before,
            _ => &self.witnesses,
        }
    }

    /// Returns the witnesses before a change that this charter announces, and the second from which they do not count.
    pub fn before(&self) -> Option<(&WitnessSet, u64)> {
        self.before.as_ref().map(|before| (before, self.document.witnesses.from))
    }

    /// Returns every witness that this charter names, those before a change included, to check views by.
    pub fn all_witnesses(&self) -> WitnessSet {
        let mut all = self.witnesses.clone();
        for (name, witness) in self.before.iter().flat_map(|before| &before.kinds) {
            all.kinds.entry(name.clone()).or_insert_with(|| witness.clone());
        }
        all
    }

    /// Returns every witness's cosignature key by name, those before a change included.
    pub fn cosigners(&self) -> BTreeMap<String, VerifierKey> {
        let sets = self.before.iter().chain([&self.witnesses]);
        sets.flat_map(|set| set.quorum.witnesses()).map(|(name, key)| (name.clone(), key.clone())).collect()
    }

    /// Returns the witnesses that count from `witnesses.from` on.
    pub fn witnesses(&self) -> &WitnessSet {
        &self.witnesses
    }

    /// Returns all sets that sign at `now`: that in force, and the one that comes.
    pub fn signing_witnesses(&self, now: u64) -> impl Iterator<Item = &WitnessSet> {
        let before = self.before.as_ref().filter(|_| now < self.document.witnesses.from);
        before.into_iter().chain([&self.witnesses])
    }

    /// Checks the rules of succession, signatures apart (`specs/charter.md` §6).
    pub fn check_follows(&self, previous: &Charter) -> Result<(), CharterError> {
        if self.network_id() != previous.network_id() {
            return Err(CharterError::OtherNetwork { expected: previous.network_id(), came: self.network_id() });
        }
        let expected = previous.version().saturating_add(1);
        if self.version() != expected {
            return Err(CharterError::NotNext { expected, came: self.version() });
        }
        let (issued_at, from) = (self.document.issued_at, self.document.witnesses.from);
        if issued_at < previous.document.issued_at {
            return Err(CharterError::IssuedBefore);
        }
        for AnchorTerms { register: RegisterTerms { origin, keys, .. }, .. } in &self.document.anchors {
            let before = previous.document.anchors.iter().find(|anchor| anchor.register.origin == *origin);
            let bound = before.map(|anchor| anchor.register.keys.as_slice()).unwrap_or_default();
            if !trust::continues(keys, bound) {
                return Err(CharterError::NotOwnOrigin(origin.clone()));
            }
        }
        let in_force = previous.witnesses_at(issued_at);
        let allowed = match &self.before {
            None => self.witnesses == *in_force,
            Some(before) => {
                let goes_on = self.witnesses == previous.witnesses && from == previous.document.witnesses.from;
                before == in_force && (goes_on || from >= issued_at.saturating_add(limits::WITNESS_CHANGE_S))
            }
        };
        if allowed { Ok(()) } else { Err(CharterError::WitnessChange) }
    }
}

impl AnchorTerms {
    fn to_anchor(&self) -> Anchor {
        let RegisterTerms { origin, keys, after } = &self.register;
        let after = after.as_ref().map(|a| After { origin: a.origin.clone(), size: a.size, root: a.root });
        let keys = keys.iter().map(VerifierKey::to_string).collect();
        Anchor { authority: self.authority.clone(), register: Binding { origin: origin.clone(), keys, after } }
    }
}

/// Writes the one line of JSON and its line feed.
fn encode(document: &Document) -> Result<String, CharterError> {
    let json = serde_json::to_vec(document).map_err(CharterError::Shape)?;
    let json = Json::parse(&json).map_err(CharterError::Json)?;
    let mut text = jcs::to_string(&json);
    text.push('\n');
    Ok(text)
}

fn check_count(what: &'static str, came: usize, min: usize, max: usize) -> Result<(), CharterError> {
    if (min..=max).contains(&came) { Ok(()) } else { Err(CharterError::Count { what, min, max, came }) }
}

fn check_range(name: &'static str, came: u64, max: u64) -> Result<(), CharterError> {
    if (1..=max).contains(&came) { Ok(()) } else { Err(CharterError::Range { name, max, came }) }
}

fn check_each_once<'a>(what: &'static str, values: impl Iterator<Item = &'a str>) -> Result<(), CharterError> {
    let mut seen = BTreeSet::new();
    for value in values {
        if !seen.insert(value) {
            return Err(CharterError::Twice { what, value: value.to_owned() });
        }
    }
    Ok(())
}

fn check_header(document: &Document) -> Result<(), CharterError> {
    if document.kind != KIND {
        return Err(CharterError::Kind(document.kind.clone()));
    }
    if document.version == 0 {
        return Err(CharterError::Version);
    }
    if document.network.is_some() != (document.version > 1) {
        return Err(CharterError::Network);
    }
    if document.issued_at >= document.expires_at || document.expires_at > Time::END.secs() {
        return Err(CharterError::Window);
    }
    Ok(())
}

fn check_roots(roots: &Roots) -> Result<(), CharterError> {
    check_count("root keys", roots.keys.len(), 1, limits::ROOTS_MAX)?;
    // A threshold is of distinct public keys; that they are distinct is checked with all other keys.
    if !usize::try_from(roots.threshold).is_ok_and(|t| (1..=roots.keys.len()).contains(&t)) {
        return Err(CharterError::Threshold { threshold: roots.threshold, keys: roots.keys.len() });
    }
    match roots.keys.iter().find(|key| key.algorithm() != Algorithm::Note) {
        Some(key) => Err(CharterError::KeyType { name: key.name().to_owned(), role: Role::Root }),
        None => Ok(()),
    }
}

fn check_anchors(anchors: &[AnchorTerms], version: u64) -> Result<(), CharterError> {
    check_count("anchors", anchors.len(), 1, limits::ANCHORS_MAX)?;
    for AnchorTerms { authority, register } in anchors {
        if !is_did(authority) {
            return Err(CharterError::Authority(authority.clone()));
        }
        let RegisterTerms { origin, keys, after } = register;
        check_origin(origin)?;
        check_count("keys of an anchor", keys.len(), 1, limits::REGISTER_KEYS_MAX)?;
        if let Some(other) = keys.iter().find(|key| key.name() != origin) {
            return Err(CharterError::ForeignKey { origin: origin.clone(), name: other.name().to_owned() });
        }
        // Later versions may have rotated the first key away: `check_follows` sees to it that they have not made it up.
        let gives = |first: &VerifierKey| version > 1 || is_own_origin(first);
        if !keys.first().is_some_and(|first| first.algorithm() == Algorithm::Note && gives(first)) {
            return Err(CharterError::NotOwnOrigin(origin.clone()));
        }
        if let Some(after) = after {
            check_origin(&after.origin)?;
            if after.origin == *origin || !(1..=limits::TREE_SIZE_MAX).contains(&after.size) {
                return Err(CharterError::After(origin.clone()));
            }
        }
    }
    check_each_once("the authority", anchors.iter().map(|a| a.authority.as_str()))?;
    check_each_once("the origin", anchors.iter().map(|a| a.register.origin.as_str()))
}

/// Limits, quotas, members and addresses.
fn check_network(document: &Document) -> Result<(), CharterError> {
    let FreshnessLimits { witnessed_s, published_s, charter_s } = document.limits;
    check_range("limits.witnessed_s", witnessed_s, limits::CHARTER_SPAN_MAX_S)?;
    check_range("limits.published_s", published_s, limits::CHARTER_SPAN_MAX_S)?;
    check_range("limits.charter_s", charter_s, limits::CHARTER_SPAN_MAX_S)?;
    let Quotas { entries_per_day, bytes_per_day, delta_retention_s } = document.quotas;
    check_range("quotas.entries_per_day", entries_per_day, limits::QUOTA_MAX)?;
    check_range("quotas.bytes_per_day", bytes_per_day, limits::QUOTA_MAX)?;
    check_range("quotas.delta_retention_s", delta_retention_s, limits::CHARTER_SPAN_MAX_S)?;
    check_count("registers of members", document.members.len(), 0, limits::MEMBER_REGISTERS_MAX)?;
    document.members.iter().try_for_each(|origin| check_origin(origin))?;
    check_each_once("the register of members", document.members.iter().map(String::as_str))?;
    if document.admission == Admission::Members && document.members.is_empty() {
        return Err(CharterError::NoMembers);
    }
    check_count("bootstrap addresses", document.bootstrap.len(), 0, limits::BOOTSTRAP_MAX)?;
    let is_address = |text: &&String| {
        text.len() <= limits::BOOTSTRAP_SIZE_MAX && text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic())
    };
    if let Some(other) = document.bootstrap.iter().find(|text| !is_address(text)) {
        return Err(CharterError::Bootstrap(other.clone()));
    }
    check_each_once("the address", document.bootstrap.iter().map(String::as_str))
}

/// One key, one use: all public keys are distinct, but that the two sets of witnesses may share keys of one role.
fn check_keys(document: &Document, now: &WitnessSet, before: Option<&WitnessSet>) -> Result<(), CharterError> {
    let mut roles: BTreeMap<PublicKey, Role> = BTreeMap::new();
    let roots = document.roots.keys.iter().map(|key| (Role::Root, key));
    let anchors = document.anchors.iter().flat_map(|a| &a.register.keys).map(|key| (Role::Anchor, key));
    for (role, key) in roots.chain(anchors).chain(now.keys()) {
        if roles.insert(*key.key(), role).is_some() {
            return Err(CharterError::KeyTwice { name: key.name().to_owned(), role });
        }
    }
    let mut earlier = BTreeSet::new();
    for (role, key) in before.into_iter().flat_map(WitnessSet::keys) {
        if roles.get(key.key()).is_some_and(|other| *other != role) || !earlier.insert(*key.key()) {
            return Err(CharterError::KeyTwice { name: key.name().to_owned(), role });
        }
    }
    Ok(())
}

/// One name, one witness: cosignatures and views name who made them, whichever set counts.
fn check_same_witnesses(now: &WitnessSet, before: &WitnessSet) -> Result<(), CharterError> {
    for (name, cosign) in before.quorum.witnesses() {
        let same_name = now.quorum.witnesses().get(name);
        let same_key = now.quorum.witnesses().iter().find(|(_, key)| key.key() == cosign.key()).map(|(name, _)| name);
        let view = |set: &WitnessSet, name: &str| set.kinds.get(name).map(|kind| kind.view.clone());
        let same_view =
            now.kinds.values().find(|kind| view(before, name).is_some_and(|view| view.key() == kind.view.key()));
        let is_kept = same_name == Some(cosign) && view(now, name) == view(before, name);
        if !is_kept && (same_name.is_some() || same_key.is_some() || same_view.is_some()) {
            return Err(CharterError::WitnessRenamed(name.clone()));
        }
    }
    Ok(())
}

/// `<prefix>/<32 lower-case hex digits>`, a key name.
fn check_origin(origin: &str) -> Result<(), CharterError> {
    let is_hex = |tail: &str| tail.len() == 32 && tail.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let fits = origin.rsplit_once('/').is_some_and(|(prefix, tail)| !prefix.is_empty() && is_hex(tail));
    if fits && check_name(origin).is_ok() { Ok(()) } else { Err(CharterError::Origin(origin.to_owned())) }
}

/// The syntax of DID Core 1.0 §3.1, at most as long as a record key may be.
fn is_did(text: &str) -> bool {
    let method = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let rest = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'%');
    text.len() <= limits::AUTHORITY_SIZE_MAX
        && text.strip_prefix("did:").and_then(|t| t.split_once(':')).is_some_and(|(name, id)| {
            !name.is_empty() && name.bytes().all(method) && !id.is_empty() && !id.ends_with(':') && id.bytes().all(rest)
        })
}

#[cfg(test)]
mod tests;
