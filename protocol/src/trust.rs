//! The trust path: anchor → recognised authority → … → issuer, for one action on some types.
//!
//! ```text
//! did:web:interior.gov.example     anchor of the charter               interior.gov.example/register/9b21…
//! └─ did:web:transport.gov.example recognised for `issue` until 2028   transport.gov.example/register/8d3f…
//!    └─ issue https://gov.example/DrivingLicence to did:web:licences.gov.example
//! ```
//!
//! Breadth first, anchors in charter order, edges by the bytes of their keys: the result is the first of the shortest
//! paths. Each edge and entry counts only as the fact that all its versions make (`specs/register.md` §8), and each
//! register only under the keys that *this* path binds. A search that meets anything it cannot know never says "no".

mod search;
#[cfg(test)]
mod tests;
pub mod trqp;

use std::borrow::Cow;
use std::fmt;

use crate::key::{Algorithm, KeyError, VerifierKey, is_own_origin};
use crate::limits;
use crate::register::fact::{self, Binding, Fact, Outcome, Scope, Terms};
pub(crate) use search::RECOGNIZE;
pub use search::{authorization_by, path_to, recognition_by, trust_path, trust_path_as_read};

/// An authority whose register the charter names directly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The authority's DID.
    pub authority: String,
    /// Its register.
    pub register: Binding,
}

/// Why a binding names no register.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// No key, or more than a register may have.
    #[error("expected 1 to {max} keys, came {0}", max = limits::REGISTER_KEYS_MAX)]
    Count(usize),
    /// A key that is no verifier key.
    #[error("key {at} is not a verifier key")]
    Key {
        /// Its position.
        at: usize,
        /// What is wrong with it.
        #[source]
        source: KeyError,
    },
    /// A key with another name than the origin.
    #[error("expected keys named by the origin, came `{0}`")]
    ForeignKey(String),
    /// A first key that signs no heads.
    #[error("expected a first key that signs heads (0x01)")]
    FirstKey,
    /// One public key twice.
    #[error("the public key of key {0} stands twice")]
    KeyTwice(usize),
}

/// Reads the keys of a binding (`specs/trust.md` §1).
///
/// The origin is made of the register's *first* key ever, which a rotation drops: so it is not asked for here. Whoever binds
/// an origin vouches for its keys, on its own path only, and looks at [`continues`] before.
pub fn bound_keys(binding: &Binding) -> Result<Vec<VerifierKey>, BindingError> {
    let count = binding.keys.len();
    if !(1..=limits::REGISTER_KEYS_MAX).contains(&count) {
        return Err(BindingError::Count(count));
    }
    let mut keys: Vec<VerifierKey> = Vec::with_capacity(count);
    for (at, text) in binding.keys.iter().enumerate() {
        let key: VerifierKey = text.parse().map_err(|source| BindingError::Key { at, source })?;
        if key.name() != binding.origin {
            return Err(BindingError::ForeignKey(key.name().to_owned()));
        }
        if keys.iter().any(|other| other.key() == key.key()) {
            return Err(BindingError::KeyTwice(at));
        }
        keys.push(key);
    }
    match keys.first() {
        Some(first) if first.algorithm() == Algorithm::Note => Ok(keys),
        _ => Err(BindingError::FirstKey),
    }
}

/// True when `keys` may follow `bound`, the keys that a register has now: they give its origin, or have a key that signs
/// heads in common with those. Else somebody binds the name of another's register (`specs/register.md` §2).
pub fn continues(keys: &[VerifierKey], bound: &[VerifierKey]) -> bool {
    keys.first().is_some_and(is_own_origin)
        || keys.iter().any(|key| key.algorithm() == Algorithm::Note && bound.contains(key))
}

/// The registers that a search may read.
pub trait World {
    /// One held register.
    type Register: TrustRegister;

    /// Returns the register of this origin, if it is held.
    fn register(&self, origin: &str) -> Option<&Self::Register>;
}

/// What a search reads in one register. Facts may be lent or made on the spot.
pub trait TrustRegister {
    /// True when the head held is signed by one of these verifier keys. Keys that [`bound_keys`] refuses sign nothing.
    fn is_signed_by(&self, keys: &[String]) -> bool;

    /// Visits the facts under `trust/<entity>/recognize/<label>`, ascending by the bytes of their keys: of W, of every
    /// pending version and of the other branch.
    fn recognitions(&self) -> impl Iterator<Item = Recognition<'_>>;

    /// Judges the fact under `trust/<entity>/<action>/<resource>`; one that was never there is absent.
    fn authorization(&self, entity: &str, action: &str, resource: &str) -> Cow<'_, Fact<Terms>>;

    /// True when it has entries of a later version, each of which may take back what was granted before.
    fn has_unread(&self) -> bool {
        false
    }
}

/// One `recognize` edge.
#[derive(Debug, Clone)]
pub struct Recognition<'a> {
    /// The recognised authority.
    pub entity: Cow<'a, str>,
    /// The last part of its key: a free name.
    pub label: Cow<'a, str>,
    /// What all versions of its record make of it.
    pub fact: Cow<'a, Fact<Terms>>,
}

/// The path that authorises an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustPath {
    /// The authorities from the anchor to the one that authorises, at least one.
    pub steps: Vec<Step>,
    /// The issuer's register, with the keys that every entry used names; `None` when its entries name none.
    pub register: Option<Binding>,
    /// True when a credential of these types must have a status.
    pub status_required: bool,
    /// The POSIX second at which the last of all windows begins.
    pub valid_from: u64,
    /// The POSIX second at which the first of all windows ends.
    pub valid_until: u64,
    /// How many more steps the last authority could have let follow.
    pub depth: u64,
    /// What the path as a whole allows, each list sorted.
    pub scope: Scope,
}

/// One authority on a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The authority's DID.
    pub authority: String,
    /// Its register as this path binds it.
    pub register: Binding,
    /// The latest start of the windows of the edges up to here; 0 at an anchor.
    pub valid_from: u64,
    /// The earliest end of the windows of the edges up to here; `u64::MAX` at an anchor.
    pub valid_until: u64,
}

/// Why there is no path: everything that the search met and could not use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no trust path leads to this issuer for these types ({} pieces are missing)", missing.len())]
pub struct NotFound {
    /// What is missing, sorted, each once.
    pub missing: Vec<Missing>,
    /// True when a piece could not be known: the path may exist.
    pub indeterminate: bool,
    /// The origins of all registers that were read, sorted. "No" is only as good as their ages.
    pub searched: Vec<String>,
}

/// One piece that a search could not use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Missing {
    /// What is the matter.
    pub reason: MissingReason,
    /// In whose register.
    pub authority: String,
    /// The entity of an edge, the type of an entry, or the origin of a register; empty when none is known.
    pub subject: String,
}

/// What is the matter with a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MissingReason {
    /// Published, not witnessed yet.
    Pending,
    /// A body is missing or wrong.
    Unusable,
    /// Taken back by so much at once that a quorum must see it first.
    MassWithdrawal,
    /// The authority's register is not held, or the edge names none.
    RegisterMissing,
    /// The register is held under other keys than this path binds.
    NotSigned,
    /// The issuer's entries name different registers, or share no key.
    RegisterConflict,
    /// More edges than a search examines.
    Limit,
    /// The authority's register has entries of a later version.
    UpgradeNeeded,
    /// Taken back.
    Withdrawn,
    /// Held, outside its window at this time.
    OutsideWindow,
    /// An edge that does not cover the action or a type.
    OutOfScope,
    /// An edge that the depth of the path forbids.
    TooDeep,
    /// No entry for this type.
    NoEntry,
}

impl MissingReason {
    /// Returns the stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Unusable => "unusable",
            Self::MassWithdrawal => "mass-withdrawal",
            Self::RegisterMissing => "register-missing",
            Self::NotSigned => "not-signed",
            Self::RegisterConflict => "register-conflict",
            Self::Limit => "limit",
            Self::UpgradeNeeded => "upgrade-needed",
            Self::Withdrawn => "withdrawn",
            Self::OutsideWindow => "outside-window",
            Self::OutOfScope => "out-of-scope",
            Self::TooDeep => "too-deep",
            Self::NoEntry => "no-entry",
        }
    }

    /// True when the piece could turn out either way, so that the search may not say "no".
    pub fn is_unknown(self) -> bool {
        match self {
            Self::Pending
            | Self::Unusable
            | Self::MassWithdrawal
            | Self::RegisterMissing
            | Self::NotSigned
            | Self::RegisterConflict
            | Self::Limit
            | Self::UpgradeNeeded => true,
            Self::Withdrawn | Self::OutsideWindow | Self::OutOfScope | Self::TooDeep | Self::NoEntry => false,
        }
    }

    /// The reason that a fact which is not granted gives; `None` for an absent one.
    fn of_fact<T>(fact: &Fact<T>) -> Option<Self> {
        match fact.outcome {
            Outcome::Withdrawn if fact.reason == Some(fact::Reason::MassWithdrawal) => Some(Self::MassWithdrawal),
            Outcome::Withdrawn => Some(Self::Withdrawn),
            // A grant has terms; one without cannot be used.
            Outcome::Unusable | Outcome::Granted => Some(Self::Unusable),
            Outcome::Pending => Some(Self::Pending),
            Outcome::Absent => None,
        }
    }
}

impl fmt::Display for MissingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
