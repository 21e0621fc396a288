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

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use crate::key::{Algorithm, KeyError, VerifierKey, is_own_origin};
use crate::limits;
use crate::register::fact::{self, Binding, Fact, Outcome, Scope, Terms};

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
}

/// One `recognize` edge.
#[derive(Debug, Clone)]
pub struct Recognition<'a> {
    /// The recognised authority.
    pub entity: Cow<'a, str>,
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
            | Self::Limit => true,
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

/// Searches the path on which `issuer` may do `action` with *all* of `types` at the time `at` (`specs/trust.md` §3).
///
/// One authority must authorise all types, for one register. Without types nothing is authorised: else a credential
/// that names none would be anybody's.
pub fn trust_path<'a, W: World, T: AsRef<str>>(
    world: &'a W,
    anchors: &'a [Anchor],
    issuer: &'a str,
    action: &'a str,
    types: &'a [T],
    at: u64,
) -> Result<TrustPath, NotFound> {
    let mut search = Search { issuer, action, types, at, nodes: Vec::with_capacity(anchors.len()), met: Vec::new() };
    search.nodes.extend(anchors.iter().map(Node::of_anchor));
    let mut examined = 0;
    let mut next = 0;
    // Nodes are appended at the end and read from the front: the list is the queue and the memory of the paths.
    while next < search.nodes.len() {
        let here = next;
        next += 1;
        let Some(register) = search.open(world, here) else { continue };
        if let Some(path) = search.authorised(register, here) {
            return Ok(path);
        }
        for edge in register.recognitions() {
            examined += 1;
            if examined > limits::TRUST_EDGES_MAX {
                search.miss(MissingReason::Limit, here, Subject::Text(Cow::Borrowed("")));
                return Err(search.nothing());
            }
            search.step(here, edge);
        }
    }
    Err(search.nothing())
}

/// A partial path: its last authority, and where it came from.
struct Node<'a> {
    parent: Option<usize>,
    authority: Cow<'a, str>,
    via: Via<'a>,
    depth: u64,
    valid_from: u64,
    valid_until: u64,
    /// True once its register has been read.
    searched: bool,
}

enum Via<'a> {
    Anchor(&'a Binding),
    Edge(Cow<'a, Fact<Terms>>),
}

impl<'a> Node<'a> {
    fn of_anchor(anchor: &'a Anchor) -> Self {
        Self {
            parent: None,
            authority: Cow::Borrowed(&anchor.authority),
            via: Via::Anchor(&anchor.register),
            depth: limits::TRUST_DEPTH_MAX,
            valid_from: 0,
            valid_until: u64::MAX,
            searched: false,
        }
    }

    fn terms(&self) -> Option<&Terms> {
        match &self.via {
            Via::Anchor(_) => None,
            Via::Edge(fact) => fact.terms.as_ref(),
        }
    }

    fn binding(&self) -> Option<&Binding> {
        match &self.via {
            Via::Anchor(binding) => Some(binding),
            Via::Edge(fact) => fact.terms.as_ref()?.register.as_ref(),
        }
    }
}

/// What was met, by reference; it becomes text only when the search fails.
struct Met<'a> {
    reason: MissingReason,
    node: usize,
    subject: Subject<'a>,
}

enum Subject<'a> {
    /// The origin of the node's register.
    Origin,
    Text(Cow<'a, str>),
}

struct Search<'a, T> {
    issuer: &'a str,
    action: &'a str,
    types: &'a [T],
    at: u64,
    nodes: Vec<Node<'a>>,
    met: Vec<Met<'a>>,
}

impl<'a, T: AsRef<str>> Search<'a, T> {
    fn miss(&mut self, reason: MissingReason, node: usize, subject: Subject<'a>) {
        self.met.push(Met { reason, node, subject });
    }

    /// Returns the register that this path binds; a binding on one path never serves another.
    fn open<W: World>(&mut self, world: &'a W, at: usize) -> Option<&'a W::Register> {
        let node = self.nodes.get_mut(at)?;
        let binding = node.binding();
        let held = binding.and_then(|binding| world.register(&binding.origin));
        let reason = match (binding, held) {
            (Some(binding), Some(register)) if register.is_signed_by(&binding.keys) => {
                node.searched = true;
                return held;
            }
            (Some(_), Some(_)) => MissingReason::NotSigned,
            _ => MissingReason::RegisterMissing,
        };
        self.miss(reason, at, Subject::Origin);
        None
    }

    /// Returns the finished path when the authority at `here` authorises the issuer for every type.
    fn authorised<R: TrustRegister>(&mut self, register: &'a R, here: usize) -> Option<TrustPath> {
        let mut chosen: Vec<Cow<'a, Fact<Terms>>> = Vec::with_capacity(self.types.len());
        for wanted in self.types {
            chosen.extend(self.entry(register, here, wanted.as_ref()));
        }
        if self.types.is_empty() {
            self.miss(MissingReason::NoEntry, here, Subject::Text(Cow::Borrowed("")));
        }
        if chosen.is_empty() || chosen.len() < self.types.len() {
            return None;
        }
        let terms = || chosen.iter().filter_map(|fact| fact.terms.as_ref());
        let Ok(binding) = common_register(terms().filter_map(|t| t.register.as_ref())) else {
            self.miss(MissingReason::RegisterConflict, here, Subject::Text(Cow::Borrowed(self.issuer)));
            return None;
        };
        let node = self.nodes.get(here)?;
        let (steps, scope) = self.walk(here)?;
        Some(TrustPath {
            steps,
            register: binding,
            status_required: terms().any(|t| t.status_required),
            valid_from: terms().map(|t| t.valid_from).fold(node.valid_from, u64::max),
            valid_until: terms().map(|t| t.valid_until).fold(node.valid_until, u64::min),
            depth: node.depth,
            scope,
        })
    }

    /// Returns the entry for one type, the exact resource before `*`; or notes why there is none.
    fn entry<R: TrustRegister>(
        &mut self,
        register: &'a R,
        here: usize,
        wanted: &'a str,
    ) -> Option<Cow<'a, Fact<Terms>>> {
        let mut explained = false;
        let both = if wanted == "*" { &["*"][..] } else { &[wanted, "*"][..] };
        for resource in both {
            let fact = register.authorization(self.issuer, self.action, resource);
            let reason = match (fact.outcome, &fact.terms) {
                (Outcome::Granted, Some(terms)) if self.is_current(terms) => return Some(fact),
                (Outcome::Granted, Some(_)) => Some(MissingReason::OutsideWindow),
                _ => MissingReason::of_fact(&fact),
            };
            if let Some(reason) = reason {
                explained = true;
                self.miss(reason, here, Subject::Text(Cow::Borrowed(wanted)));
            }
        }
        if !explained {
            self.miss(MissingReason::NoEntry, here, Subject::Text(Cow::Borrowed(wanted)));
        }
        None
    }

    fn is_current(&self, terms: &Terms) -> bool {
        terms.valid_from <= self.at && self.at < terms.valid_until
    }

    /// Appends the path one edge further, or notes why not.
    fn step(&mut self, here: usize, edge: Recognition<'a>) {
        if self.is_on_path(here, &edge.entity) {
            return;
        }
        let Some(node) = self.nodes.get(here) else { return };
        let reason = match (edge.fact.outcome, &edge.fact.terms) {
            (Outcome::Granted, Some(terms)) => self.refusal(node, terms),
            _ => match MissingReason::of_fact(&edge.fact) {
                None => return,
                reason => reason,
            },
        };
        if let Some(reason) = reason {
            self.miss(reason, here, Subject::Text(edge.entity));
            return;
        }
        let Some(terms) = &edge.fact.terms else { return };
        let node = Node {
            parent: Some(here),
            depth: node.depth.saturating_sub(1).min(terms.depth.unwrap_or(0)),
            valid_from: node.valid_from.max(terms.valid_from),
            valid_until: node.valid_until.min(terms.valid_until),
            authority: edge.entity,
            via: Via::Edge(edge.fact),
            searched: false,
        };
        self.nodes.push(node);
    }

    /// Each edge must cover what is asked, so their intersection does.
    fn refusal(&self, node: &Node<'_>, terms: &Terms) -> Option<MissingReason> {
        let in_scope = terms.scope.as_ref().is_some_and(|scope| {
            covers(&scope.actions, self.action) && self.types.iter().all(|t| covers(&scope.resources, t.as_ref()))
        });
        if !in_scope {
            Some(MissingReason::OutOfScope)
        } else if !self.is_current(terms) {
            Some(MissingReason::OutsideWindow)
        } else if node.depth < 1 {
            Some(MissingReason::TooDeep)
        } else {
            None
        }
    }

    /// The nodes from `at` up to its anchor.
    fn path(&self, at: usize) -> impl Iterator<Item = &Node<'a>> {
        let first = self.nodes.get(at);
        std::iter::successors(first, |node| node.parent.and_then(|parent| self.nodes.get(parent)))
    }

    /// An authority appears once on a path, not once in a search.
    fn is_on_path(&self, at: usize, authority: &str) -> bool {
        self.path(at).any(|node| node.authority == authority)
    }

    fn walk(&self, at: usize) -> Option<(Vec<Step>, Scope)> {
        let mut nodes: Vec<&Node<'a>> = self.path(at).collect();
        nodes.reverse();
        let all = || vec!["*".to_owned()];
        let mut scope = Scope { actions: all(), resources: all() };
        let mut steps = Vec::with_capacity(nodes.len());
        for node in nodes {
            steps.push(Step {
                authority: node.authority.clone().into_owned(),
                register: node.binding()?.clone(),
                valid_from: node.valid_from,
                valid_until: node.valid_until,
            });
            if let Some(edge) = node.terms().and_then(|terms| terms.scope.as_ref()) {
                scope.actions = fact::meet(&scope.actions, &edge.actions);
                scope.resources = fact::meet(&scope.resources, &edge.resources);
            }
        }
        Some((steps, scope))
    }

    fn nothing(self) -> NotFound {
        let nodes = &self.nodes;
        let origin = |node: &Node<'_>| node.binding().map_or_else(String::new, |b| b.origin.clone());
        let missing: BTreeSet<Missing> = self
            .met
            .iter()
            .filter_map(|met| {
                let node = nodes.get(met.node)?;
                let subject = match &met.subject {
                    Subject::Origin => origin(node),
                    Subject::Text(text) => text.clone().into_owned(),
                };
                Some(Missing { reason: met.reason, authority: node.authority.clone().into_owned(), subject })
            })
            .collect();
        let searched: BTreeSet<String> = nodes.iter().filter(|n| n.searched).map(origin).collect();
        NotFound {
            indeterminate: missing.iter().any(|m| m.reason.is_unknown()),
            missing: missing.into_iter().collect(),
            searched: searched.into_iter().collect(),
        }
    }
}

/// The entries for all types name registers of different origins, or without a common key.
struct Conflict;

/// Returns the one register that all entries name, with the keys that all have.
fn common_register<'b>(mut registers: impl Iterator<Item = &'b Binding>) -> Result<Option<Binding>, Conflict> {
    let Some(first) = registers.next() else { return Ok(None) };
    let mut common = first.clone();
    for other in registers {
        if other.origin != common.origin {
            return Err(Conflict);
        }
        match (&common.after, &other.after) {
            (Some(one), Some(another)) if one != another => return Err(Conflict),
            // What the register before had withdrawn stays so if any entry says where it ended.
            (None, Some(after)) => common.after = Some(after.clone()),
            _ => {}
        }
        common.keys.retain(|key| other.keys.contains(key));
    }
    if common.keys.is_empty() { Err(Conflict) } else { Ok(Some(common)) }
}

fn covers(allowed: &[String], wanted: &str) -> bool {
    allowed.iter().any(|a| a == "*" || a == wanted)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::key::{SecretKey, origin_of};
    use crate::register::fact::Reason;

    type Key = (String, String, String);

    #[derive(Default)]
    struct Held(BTreeMap<Key, Fact<Terms>>);

    impl TrustRegister for Held {
        fn is_signed_by(&self, keys: &[String]) -> bool {
            keys.iter().any(|key| key == "K")
        }

        fn recognitions(&self) -> impl Iterator<Item = Recognition<'_>> {
            let edges = self.0.iter().filter(|((_, action, _), _)| action == "recognize");
            edges.map(|((entity, _, _), fact)| Recognition { entity: entity.into(), fact: Cow::Borrowed(fact) })
        }

        fn authorization(&self, entity: &str, action: &str, resource: &str) -> Cow<'_, Fact<Terms>> {
            match self.0.get(&(entity.into(), action.into(), resource.into())) {
                Some(fact) => Cow::Borrowed(fact),
                None => Cow::Owned(Fact::new(Outcome::Absent, Reason::NoRecord)),
            }
        }
    }

    #[derive(Default)]
    struct Registers(BTreeMap<String, Held>);

    impl World for Registers {
        type Register = Held;

        fn register(&self, origin: &str) -> Option<&Held> {
            self.0.get(origin)
        }
    }

    impl Registers {
        fn put(&mut self, origin: &str, entity: &str, action: &str, resource: &str, fact: Fact<Terms>) {
            let key = (entity.into(), action.into(), resource.into());
            self.0.entry(origin.into()).or_default().0.insert(key, fact);
        }
    }

    #[test]
    fn a_binding_names_keys_of_its_origin() {
        let public = |seed| SecretKey::from_seed(&[seed; 32]).public();
        let origin = origin_of("a.example/register", &public(1));
        let key =
            |name: &str, algorithm, seed| VerifierKey::new(name, algorithm, public(seed)).expect("a name").to_string();
        let bind = |keys: &[String]| {
            bound_keys(&Binding { origin: origin.clone(), keys: keys.to_vec(), after: None }).map(|keys| keys.len())
        };
        let own = key(&origin, Algorithm::Note, 1);
        assert_eq!(bind(&[own.clone(), key(&origin, Algorithm::Cosignature, 2)]), Ok(2));
        assert_eq!(bind(&[]), Err(BindingError::Count(0)));
        assert_eq!(bind(&[key(&origin, Algorithm::Note, 2)]), Ok(1), "after a rotation the first key is gone");
        assert_eq!(bind(&[key(&origin, Algorithm::Cosignature, 1)]), Err(BindingError::FirstKey));
        assert_eq!(bind(&[own.clone(), key(&origin, Algorithm::Cosignature, 1)]), Err(BindingError::KeyTwice(1)));
        let foreign = key("b.example/register", Algorithm::Note, 2);
        assert_eq!(bind(&[own.clone(), foreign]), Err(BindingError::ForeignKey("b.example/register".into())));
        assert_eq!(bind(&[own, "K".into()]), Err(BindingError::Key { at: 1, source: KeyError::Shape }));
    }

    #[test]
    fn only_a_key_bound_now_leads_to_another() {
        let public = |seed| SecretKey::from_seed(&[seed; 32]).public();
        let origin = origin_of("a.example/register", &public(1));
        let key = |algorithm, seed| VerifierKey::new(&origin, algorithm, public(seed)).expect("a name");
        let (first, second, third) = (key(Algorithm::Note, 1), key(Algorithm::Note, 2), key(Algorithm::Note, 3));
        assert!(continues(std::slice::from_ref(&first), &[]), "the first key gives the origin");
        assert!(!continues(std::slice::from_ref(&second), &[]));
        assert!(continues(&[first.clone(), second.clone()], std::slice::from_ref(&first)));
        assert!(continues(std::slice::from_ref(&second), &[first.clone(), second.clone()]));
        assert!(continues(&[third.clone(), second.clone()], std::slice::from_ref(&second)));
        assert!(!continues(&[third], &[first, second]));
        let stamp = key(Algorithm::Cosignature, 4);
        assert!(
            !continues(&[key(Algorithm::Note, 5), stamp.clone()], &[stamp]),
            "a timestamping key vouches for nothing"
        );
    }

    fn binding(origin: &str, key: &str) -> Binding {
        Binding { origin: origin.into(), keys: vec![key.into()], after: None }
    }

    fn anchors() -> Vec<Anchor> {
        vec![Anchor { authority: "A".into(), register: binding("A.r", "K") }]
    }

    fn entry(register: Option<Binding>) -> Terms {
        Terms { valid_from: 0, valid_until: 100, scope: None, depth: None, register, status_required: false }
    }

    fn edge(origin: &str, depth: u64) -> Terms {
        let scope = Scope { actions: vec!["issue".into()], resources: vec!["L".into(), "M".into()] };
        Terms { scope: Some(scope), depth: Some(depth), valid_until: 80, ..entry(Some(binding(origin, "K"))) }
    }

    fn ask(world: &Registers, types: &[&str]) -> Result<TrustPath, NotFound> {
        trust_path(world, &anchors(), "I", "issue", types, 50)
    }

    fn reasons(result: Result<TrustPath, NotFound>) -> Vec<MissingReason> {
        result.expect_err("no path").missing.into_iter().map(|m| m.reason).collect()
    }

    #[test]
    fn returns_the_steps_and_the_narrowed_window() {
        let mut world = Registers::default();
        world.put("A.r", "B", "recognize", "x", Fact::granted(edge("B.r", 2)));
        world.put("B.r", "I", "issue", "*", Fact::granted(entry(Some(binding("I.r", "KI")))));
        let path = ask(&world, &["L", "M"]).expect("a path");
        let steps: Vec<_> = path.steps.iter().map(|s| (s.authority.as_str(), s.valid_until)).collect();
        assert_eq!(steps, [("A", u64::MAX), ("B", 80)]);
        assert_eq!((path.valid_until, path.depth), (80, 2));
        assert_eq!(path.register, Some(binding("I.r", "KI")));
        assert_eq!(path.scope.resources, ["L", "M"]);
    }

    #[test]
    fn authorises_nothing_without_types() {
        let mut world = Registers::default();
        world.put("A.r", "I", "issue", "*", Fact::granted(entry(None)));
        assert_eq!(reasons(ask(&world, &[])), [MissingReason::NoEntry]);
    }

    #[test]
    fn an_extra_type_never_borrows_authority() {
        let mut world = Registers::default();
        world.put("A.r", "I", "issue", "L", Fact::granted(entry(None)));
        let refused = ask(&world, &["L", "N"]).expect_err("no path");
        assert!(!refused.indeterminate);
        assert_eq!(refused.searched, ["A.r"]);
        let missing = Missing { reason: MissingReason::NoEntry, authority: "A".into(), subject: "N".into() };
        assert_eq!(refused.missing, [missing]);
    }

    #[test]
    fn a_pending_edge_makes_the_answer_unknown() {
        let mut world = Registers::default();
        world.put("A.r", "B", "recognize", "x", Fact::pending());
        assert!(ask(&world, &["L"]).expect_err("no path").indeterminate);
    }

    #[test]
    fn a_held_mass_withdrawal_is_unknown_and_a_plain_one_is_not() {
        for (reason, indeterminate) in [(Reason::MassWithdrawal, true), (Reason::TakenBack, false)] {
            let mut world = Registers::default();
            world.put("A.r", "I", "issue", "L", Fact::new(Outcome::Withdrawn, reason));
            assert_eq!(ask(&world, &["L"]).expect_err("no path").indeterminate, indeterminate);
        }
    }

    #[test]
    fn depth_zero_lets_no_further_step_follow() {
        let mut world = Registers::default();
        world.put("A.r", "B", "recognize", "x", Fact::granted(edge("B.r", 0)));
        world.put("B.r", "C", "recognize", "x", Fact::granted(edge("C.r", 8)));
        world.put("C.r", "I", "issue", "L", Fact::granted(entry(None)));
        assert!(reasons(ask(&world, &["L"])).contains(&MissingReason::TooDeep));
    }

    #[test]
    fn a_register_signed_by_other_keys_is_not_read() {
        let mut world = Registers::default();
        let other = Terms { register: Some(binding("B.r", "stolen")), ..edge("B.r", 2) };
        world.put("A.r", "B", "recognize", "x", Fact::granted(other));
        world.put("B.r", "I", "issue", "L", Fact::granted(entry(None)));
        assert!(reasons(ask(&world, &["L"])).contains(&MissingReason::NotSigned));
    }

    #[test]
    fn types_under_two_registers_are_a_conflict() {
        let mut world = Registers::default();
        world.put("A.r", "I", "issue", "L", Fact::granted(entry(Some(binding("I.r", "KI")))));
        world.put("A.r", "I", "issue", "M", Fact::granted(entry(Some(binding("J.r", "KI")))));
        assert_eq!(reasons(ask(&world, &["L", "M"])), [MissingReason::RegisterConflict]);
    }

    #[test]
    fn the_register_before_counts_if_the_entry_of_any_type_names_it() {
        let after = |size| Some(fact::After { origin: "J.r".into(), size, root: crate::digest::Digest::of(b"") });
        let granted = |after| Fact::granted(entry(Some(Binding { after, ..binding("I.r", "KI") })));
        let mut world = Registers::default();
        world.put("A.r", "I", "issue", "L", granted(None));
        world.put("A.r", "I", "issue", "M", granted(after(3)));
        for types in [["L", "M"], ["M", "L"]] {
            assert_eq!(ask(&world, &types).expect("a path").register.and_then(|register| register.after), after(3));
        }
        world.put("A.r", "I", "issue", "L", granted(after(4)));
        assert_eq!(reasons(ask(&world, &["L", "M"])), [MissingReason::RegisterConflict]);
    }
}
