//! Facts: what the versions of one record say together (`specs/register.md` §8).
//!
//! A fact (a verification method, a trust edge, one index of a status list) is judged alone, over *sequences* of
//! versions of the one record that carries it:
//!
//! ```text
//! main    the record at W, then one version for each later entry that changes it, up to N
//! other   the record at the fork point, then one for each entry of the other branch that changes it
//! ```
//!
//! A grant needs W and survives only what takes nothing back; a withdrawal needs any version.

use std::collections::BTreeSet;
use std::fmt;

use crate::digest::Digest;

/// What became of a fact, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Taken back, or a rejecting value stands or came in.
    Withdrawn,
    /// A body that could change the answer is missing or wrong.
    Unusable,
    /// Holds at W, and nothing takes it back.
    Granted,
    /// Not at W, but in a pending version.
    Pending,
    /// None of these.
    Absent,
}

impl Outcome {
    /// Returns the stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Withdrawn => "withdrawn",
            Self::Unusable => "unusable",
            Self::Granted => "granted",
            Self::Pending => "pending",
            Self::Absent => "absent",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Why a fact has its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It holds in one version and not in a later one.
    TakenBack,
    /// All versions together leave no validity, scope or key.
    TermsEmpty,
    /// A record is there, and does not say it.
    NoFact,
    /// No record stands under this key.
    NoRecord,
    /// No list stands under this key.
    NoList,
    /// The list is shorter than the index.
    IndexBeyondList,
    /// A value that the policy rejects.
    Status,
    /// Rejected in the register before, at the point that `after` names.
    After,
    /// The register before is not held up to the point that `after` names.
    AfterNotHeld,
    /// Pending changes take back too much at once; indeterminate until witnessed.
    MassWithdrawal,
    /// A body is not held.
    BodyMissing,
    /// A body is not of the form that its key asks for.
    BodyMalformed,
    /// A body names another subject than its key.
    BodyIdentity,
    /// The list is for another purpose.
    Purpose,
    /// Purpose or bits differ from an earlier version of the list.
    ListChanged,
    /// The list is shorter than an earlier version of it.
    ListShrunk,
}

impl Reason {
    /// Returns the stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::TakenBack => "taken-back",
            Self::TermsEmpty => "terms-empty",
            Self::NoFact => "no-fact",
            Self::NoRecord => "no-record",
            Self::NoList => "no-list",
            Self::IndexBeyondList => "index-beyond-list",
            Self::Status => "status",
            Self::After => "after",
            Self::AfterNotHeld => "after-not-held",
            Self::MassWithdrawal => "mass-withdrawal",
            Self::BodyMissing => "body-missing",
            Self::BodyMalformed => "body-malformed",
            Self::BodyIdentity => "body-identity",
            Self::Purpose => "purpose",
            Self::ListChanged => "list-changed",
            Self::ListShrunk => "list-shrunk",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The judgement over all versions of one fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact<T> {
    /// What became of it.
    pub outcome: Outcome,
    /// Why, where there is more to say.
    pub reason: Option<Reason>,
    /// The terms of a grant, narrowed by every version; or the value of a list index.
    pub terms: Option<T>,
}

impl<T> Fact<T> {
    /// Makes a granted fact.
    pub fn granted(terms: T) -> Self {
        Self { outcome: Outcome::Granted, reason: None, terms: Some(terms) }
    }

    /// Makes a pending fact.
    pub fn pending() -> Self {
        Self { outcome: Outcome::Pending, reason: None, terms: None }
    }

    /// Makes a fact without terms.
    pub fn new(outcome: Outcome, reason: Reason) -> Self {
        Self { outcome, reason: Some(reason), terms: None }
    }

    /// True when the fact may be relied on.
    pub fn is_granted(&self) -> bool {
        self.outcome == Outcome::Granted
    }
}

/// Does one version of a record say a fact?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holds {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// List index only: a value that the policy rejects.
    Bad,
    /// Its body is missing or wrong.
    Unknown,
}

/// What one version of a record says about a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version<T> {
    /// Whether the fact holds.
    pub holds: Holds,
    /// Why not.
    pub reason: Option<Reason>,
    /// Its terms.
    pub terms: Option<T>,
}

impl<T> Version<T> {
    /// A version in which the fact holds.
    pub fn yes(terms: T) -> Self {
        Self { holds: Holds::Yes, reason: None, terms: Some(terms) }
    }

    /// A version in which the fact does not hold.
    pub fn no(reason: Reason) -> Self {
        Self { holds: Holds::No, reason: Some(reason), terms: None }
    }

    /// A version with a value that the policy rejects.
    pub fn bad(terms: T) -> Self {
        Self { holds: Holds::Bad, reason: None, terms: Some(terms) }
    }

    /// A version whose body cannot be judged.
    pub fn unknown(reason: Reason) -> Self {
        Self { holds: Holds::Unknown, reason: Some(reason), terms: None }
    }
}

/// Terms that later versions can narrow: those of an edge, or none.
pub trait Narrow: Clone {
    /// Takes every term of `later` that is narrower.
    fn intersect(&mut self, later: &Self);
    /// Takes only the terms that `later` narrows against `before`.
    fn intersect_narrowing(&mut self, before: &Self, later: &Self);
    /// True when nothing is left.
    fn is_empty(&self) -> bool;
}

impl Narrow for () {
    fn intersect(&mut self, _: &Self) {}
    fn intersect_narrowing(&mut self, _: &Self, _: &Self) {}
    fn is_empty(&self) -> bool {
        false
    }
}

/// Returns the first version in `later` that stands after one in `before`.
fn turn<'a, T>(sequence: &'a [Version<T>], before: &[Holds], later: &[Holds]) -> Option<&'a Version<T>> {
    let mut seen = false;
    for version in sequence {
        if seen && later.contains(&version.holds) {
            return Some(version);
        }
        seen |= before.contains(&version.holds);
    }
    None
}

fn first<T>(sequence: &[Version<T>], holds: Holds) -> Option<&Version<T>> {
    sequence.iter().find(|v| v.holds == holds)
}

fn unusable<T, U>(unknown: Option<&Version<T>>) -> Fact<U> {
    Fact::new(Outcome::Unusable, unknown.and_then(|v| v.reason).unwrap_or(Reason::BodyMissing))
}

/// Judges a verification method or a trust edge. `main` has at least the version at W; `other` is empty when the other
/// branch leaves the record alone.
pub fn judge<T: Narrow>(main: &[Version<T>], other: &[Version<T>]) -> Fact<T> {
    use Holds::{No, Unknown, Yes};
    let Some(at_w) = main.first() else { return Fact::new(Outcome::Absent, Reason::NoRecord) };
    if turn(main, &[Yes], &[No]).or_else(|| turn(other, &[Yes], &[No])).is_some() {
        return Fact::new(Outcome::Withdrawn, Reason::TakenBack);
    }
    if let Some(unknown) = first(main, Unknown) {
        return unusable(Some(unknown));
    }
    if turn(other, &[Yes, Unknown], &[No, Unknown]).is_some() {
        return unusable(first(other, Unknown));
    }
    if at_w.holds == Yes {
        let terms = at_w.terms.clone().map(|terms| narrowed(terms, main, other));
        return match terms {
            Some(terms) if terms.is_empty() => Fact::new(Outcome::Withdrawn, Reason::TermsEmpty),
            terms => Fact { outcome: Outcome::Granted, reason: None, terms },
        };
    }
    if first(main, Yes).or_else(|| first(other.get(1..).unwrap_or_default(), Yes)).is_some() {
        return Fact::pending();
    }
    Fact::new(Outcome::Absent, Reason::NoFact)
}

/// Judges one index of a status list, for which `Yes` is a value that the policy does not reject.
pub fn judge_status(main: &[Version<u8>], other: &[Version<u8>]) -> Fact<u8> {
    use Holds::{Bad, No, Unknown, Yes};
    let Some(at_w) = main.first() else { return Fact::new(Outcome::Absent, Reason::NoList) };
    if let Some(bad) = first(main, Bad).or_else(|| turn(other, &[Yes, No], &[Bad])) {
        return Fact { outcome: Outcome::Withdrawn, reason: Some(Reason::Status), terms: bad.terms };
    }
    if let Some(unknown) = first(main, Unknown) {
        return unusable(Some(unknown));
    }
    if turn(other, &[Yes, No, Unknown], &[Bad, Unknown]).or_else(|| turn(other, &[Unknown], &[No])).is_some() {
        return unusable(first(other, Unknown));
    }
    if at_w.holds == Yes {
        return match turn(main, &[Yes], &[No]).or_else(|| turn(other, &[Yes], &[No])) {
            Some(gone) => Fact { outcome: Outcome::Absent, reason: gone.reason, terms: None },
            None => Fact { outcome: Outcome::Granted, reason: None, terms: at_w.terms },
        };
    }
    let last_is_yes = |sequence: &[Version<u8>]| sequence.last().is_some_and(|v| v.holds == Yes);
    if last_is_yes(main) || last_is_yes(other.get(1..).unwrap_or_default()) {
        return Fact::pending();
    }
    Fact { outcome: Outcome::Absent, reason: at_w.reason, terms: None }
}

/// Returns the terms at W, intersected with every later version, and with each narrowing that the other branch makes.
fn narrowed<T: Narrow>(mut terms: T, main: &[Version<T>], other: &[Version<T>]) -> T {
    for later in main.iter().skip(1).filter_map(|v| v.terms.as_ref()) {
        terms.intersect(later);
    }
    for (before, later) in other.iter().zip(other.iter().skip(1)) {
        let (Holds::Yes, Some(new)) = (later.holds, &later.terms) else { continue };
        match (&before.terms, before.holds) {
            (Some(old), Holds::Yes) => terms.intersect_narrowing(old, new),
            (_, Holds::No) => {}
            // With the version before unknown, all of this one may be new.
            _ => terms.intersect(new),
        }
    }
    terms
}

/// What a trust entry grants (`specs/trust.md`): half-open validity, and for recognitions scope and depth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The first POSIX second at which it holds.
    pub valid_from: u64,
    /// The POSIX second from which it no longer holds.
    pub valid_until: u64,
    /// What a recognised authority may authorise.
    pub scope: Option<Scope>,
    /// How many steps may follow.
    pub depth: Option<u64>,
    /// The register of the entity.
    pub register: Option<Binding>,
    /// True when a credential without a status is not covered.
    pub status_required: bool,
}

/// Actions and resources, exact strings or `*`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Actions.
    pub actions: Vec<String>,
    /// Resources.
    pub resources: Vec<String>,
}

impl Scope {
    /// True when it covers this action on this resource.
    pub fn permits(&self, action: &str, resource: &str) -> bool {
        let covers = |allowed: &[String], wanted: &str| allowed.iter().any(|a| a == "*" || a == wanted);
        covers(&self.actions, action) && covers(&self.resources, resource)
    }
}

/// A register as a charter or an edge names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Binding {
    /// The register's origin.
    pub origin: String,
    /// Its verifier keys as text.
    pub keys: Vec<String>,
    /// The end of the register before, after a recovery.
    pub after: Option<After>,
}

/// The point up to which the register before still counts for withdrawals.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct After {
    /// The old register's origin.
    pub origin: String,
    /// Its size at that point.
    pub size: u64,
    /// Its root at that point.
    pub root: Digest,
}

/// Returns the intersection of two lists of exact strings or `*`, in byte order.
pub fn meet(a: &[String], b: &[String]) -> Vec<String> {
    let any = |list: &[String]| list.iter().any(|s| s == "*");
    let set = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
    let both = match (any(a), any(b)) {
        (true, _) => set(b),
        (false, true) => set(a),
        (false, false) => set(a).intersection(&set(b)).cloned().collect(),
    };
    both.into_iter().collect()
}

/// True when every string of `b` is allowed by `a`.
pub fn covers(a: &[String], b: &[String]) -> bool {
    a.iter().any(|s| s == "*") || b.iter().all(|s| a.contains(s))
}

impl Scope {
    fn meet(&self, other: &Scope) -> Scope {
        Scope { actions: meet(&self.actions, &other.actions), resources: meet(&self.resources, &other.resources) }
    }

    fn covers(&self, other: &Scope) -> bool {
        covers(&self.actions, &other.actions) && covers(&self.resources, &other.resources)
    }
}

/// Keeps those keys of `binding` that a version of the same origin still has. The register stays that of `binding`.
fn keep_keys(binding: &mut Option<Binding>, later: &Option<Binding>) {
    if let (Some(kept), Some(later)) = (binding, later)
        && kept.origin == later.origin
    {
        kept.keys.retain(|k| later.keys.contains(k));
    }
}

fn narrow_scope(scope: &mut Option<Scope>, later: &Option<Scope>) {
    if let Some(later) = later {
        *scope = Some(scope.as_ref().map_or_else(|| later.clone(), |s| s.meet(later)));
    }
}

fn narrow_depth(depth: &mut Option<u64>, later: Option<u64>) {
    if let Some(later) = later {
        *depth = Some(depth.map_or(later, |d| d.min(later)));
    }
}

impl Narrow for Terms {
    fn intersect(&mut self, later: &Self) {
        self.valid_from = self.valid_from.max(later.valid_from);
        self.valid_until = self.valid_until.min(later.valid_until);
        narrow_depth(&mut self.depth, later.depth);
        narrow_scope(&mut self.scope, &later.scope);
        self.status_required |= later.status_required;
        keep_keys(&mut self.register, &later.register);
    }

    fn intersect_narrowing(&mut self, before: &Self, later: &Self) {
        if later.valid_from > before.valid_from {
            self.valid_from = self.valid_from.max(later.valid_from);
        }
        if later.valid_until < before.valid_until {
            self.valid_until = self.valid_until.min(later.valid_until);
        }
        if later.depth < before.depth {
            narrow_depth(&mut self.depth, later.depth);
        }
        if let (Some(old), Some(new)) = (&before.scope, &later.scope)
            && !new.covers(old)
        {
            narrow_scope(&mut self.scope, &later.scope);
        }
        self.status_required |= later.status_required && !before.status_required;
        if let (Some(old), Some(new)) = (&before.register, &later.register)
            && !old.keys.iter().all(|k| new.keys.contains(k))
        {
            keep_keys(&mut self.register, &later.register);
        }
    }

    fn is_empty(&self) -> bool {
        self.valid_from >= self.valid_until
            || self.scope.as_ref().is_some_and(|s| s.actions.is_empty() || s.resources.is_empty())
            || self.register.as_ref().is_some_and(|r| r.keys.is_empty())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    fn terms(until: u64, keys: &[&str]) -> Terms {
        Terms {
            valid_from: 0,
            valid_until: until,
            scope: Some(Scope { actions: strings(&["issue"]), resources: strings(&["*"]) }),
            depth: Some(3),
            register: Some(Binding { origin: "b.example/r".into(), keys: strings(keys), after: None }),
            status_required: false,
        }
    }

    #[test]
    fn a_grant_that_a_pending_version_takes_back_and_renews_is_withdrawn() {
        let main = [Version::yes(()), Version::no(Reason::NoFact), Version::yes(())];
        assert_eq!(judge(&main, &[]).outcome, Outcome::Withdrawn);
    }

    #[test]
    fn pending_terms_narrow_and_never_widen() {
        let fact = judge(&[Version::yes(terms(500, &["K1", "K2"])), Version::yes(terms(900, &["K2", "K3"]))], &[]);
        assert_eq!(fact.terms.unwrap(), terms(500, &["K2"]));
    }

    #[test]
    fn a_pending_version_of_another_origin_does_not_touch_the_keys() {
        let mut later = terms(900, &["K9"]);
        later.register.as_mut().unwrap().origin = "b.example/new".into();
        let fact = judge(&[Version::yes(terms(900, &["K1"])), Version::yes(later)], &[]);
        assert_eq!(fact.terms.unwrap(), terms(900, &["K1"]));
    }

    #[test]
    fn the_other_branch_counts_only_where_it_narrows() {
        let main = [Version::yes(terms(900, &["K1", "K2"]))];
        let other = [Version::yes(terms(500, &["K1"])), Version::yes(terms(500, &["K1"]))];
        assert_eq!(judge(&main, &other).terms.unwrap(), main[0].terms.clone().unwrap());
        let other = [Version::yes(terms(500, &["K1"])), Version::yes(terms(400, &["K1"]))];
        assert_eq!(judge(&main, &other).terms.unwrap().valid_until, 400);
    }

    #[test]
    fn an_old_suspension_on_the_other_branch_does_not_count_again() {
        let main = [Version::yes(0)];
        let other = [Version::bad(1), Version::bad(1)];
        assert_eq!(judge_status(&main, &other).outcome, Outcome::Granted);
        let other = [Version::yes(0), Version::bad(1)];
        assert_eq!(judge_status(&main, &other).outcome, Outcome::Withdrawn);
    }

    #[test]
    fn meet_and_covers_know_the_star() {
        let (any, one) = (strings(&["*"]), strings(&["b", "a", "a"]));
        assert_eq!(meet(&any, &one), strings(&["a", "b"]));
        assert_eq!(meet(&one, &strings(&["b", "c"])), strings(&["b"]));
        assert!(covers(&any, &one) && !covers(&one, &any));
    }
}
