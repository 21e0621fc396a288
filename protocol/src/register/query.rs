//! The three kinds of facts that a register answers: a verification method, a trust edge, one index of a status list
//! (`specs/register.md` §8, `specs/status.md` §4).
//!
//! Each costs as much as there are pending entries, and a body; with nothing pending, one look-up.

use super::body::Bodies;
use super::branch::Branch;
use super::entry::Entry;
use super::fact::{self, After, Fact, Holds, Outcome, Reason, Terms, Version};
use super::record::RecordKey;
use super::state::Register;
use super::webvh;
use crate::digest::Digest;
use crate::limits;
use crate::status::native::StatusList;

/// Asks for a verification method with its key under one relationship.
#[derive(Debug, Clone, Copy)]
pub struct KeyQuery<'a> {
    /// The DID.
    pub did: &'a str,
    /// The id of the verification method.
    pub method: &'a str,
    /// The verification relationship, such as `assertionMethod`.
    pub relationship: &'a str,
    /// The public key as `publicKeyMultibase` writes it.
    pub public: &'a str,
}

/// Asks for one index of a status list.
#[derive(Debug, Clone, Copy)]
pub struct StatusQuery<'a> {
    /// The URI of the list.
    pub list: &'a str,
    /// The index.
    pub index: u64,
    /// The purpose that the credential names.
    pub purpose: &'a str,
    /// The values that the policy rejects.
    pub rejects: &'a [u8],
}

/// The register before, when a binding with `after` leads to this one.
#[derive(Debug, Clone, Copy)]
pub struct Recovery<'a> {
    /// The point up to which it counts.
    pub after: &'a After,
    /// The register before, if it is held.
    pub old: Option<&'a Register>,
}

impl Register {
    /// Judges a verification method.
    pub fn key_fact(&self, bodies: &Bodies, query: &KeyQuery<'_>) -> Fact<()> {
        let Ok(key) = RecordKey::did(query.did) else { return Fact::new(Outcome::Absent, Reason::NoFact) };
        let (main, other) = if webvh::is_webvh(query.did) {
            self.sequences(&key, || webvh::reader(bodies, query))
        } else {
            self.sequences(&key, || |digest: Option<&Digest>| read_key(bodies, digest, query))
        };
        let fact = fact::judge(&main, &other);
        self.brake_records(fact, &key)
    }

    /// Judges a trust edge.
    pub fn edge_fact(&self, bodies: &Bodies, entity: &str, action: &str, resource: &str) -> Fact<Terms> {
        match RecordKey::trust(entity, action, resource) {
            Ok(key) => self.edge_fact_at(bodies, &key, entity, action, resource),
            Err(_) => Fact::new(Outcome::Absent, Reason::NoFact),
        }
    }

    /// Judges the trust edge under a key `trust/<entity>/<action>/<resource>`, as [`Register::recognitions`] lists them.
    pub fn edge_fact_of(&self, bodies: &Bodies, key: &RecordKey) -> Fact<Terms> {
        match key.parts().as_slice() {
            [entity, action, resource] if key.prefix() == "trust" => {
                self.edge_fact_at(bodies, key, entity, action, resource)
            }
            _ => Fact::new(Outcome::Absent, Reason::NoFact),
        }
    }

    fn edge_fact_at(
        &self,
        bodies: &Bodies,
        key: &RecordKey,
        entity: &str,
        action: &str,
        resource: &str,
    ) -> Fact<Terms> {
        let read = |digest: Option<&Digest>| {
            let Some(digest) = digest else { return Version::no(Reason::NoRecord) };
            match bodies.need(digest).and_then(|record| record.trust_entry()) {
                Err(reason) => Version::unknown(reason),
                Ok(entry) if (&*entry.entity, &*entry.action, &*entry.resource) != (entity, action, resource) => {
                    Version::unknown(Reason::BodyIdentity)
                }
                Ok(entry) => Version::yes(entry.terms.clone()),
            }
        };
        let (main, other) = self.sequences(key, || read);
        let fact = fact::judge(&main, &other);
        self.brake_records(fact, key)
    }

    /// Judges one index of a status list. `recovery` is that of the binding that leads here, when it has `after`.
    pub fn status_fact(&self, bodies: &Bodies, query: &StatusQuery<'_>, recovery: Option<Recovery<'_>>) -> Fact<u8> {
        let Ok(key) = RecordKey::status(query.list) else { return Fact::new(Outcome::Absent, Reason::NoList) };
        let (main, other) = self.sequences(&key, || index_reader(bodies, query));
        let bad_at_w = main.first().is_some_and(|at_w| at_w.holds == Holds::Bad);
        let fact = fact::judge_status(&main, &other);
        if fact.outcome != Outcome::Withdrawn {
            // What stood rejected in the old register stays so, whatever pending changes say.
            return recovery.and_then(|recovery| floor(bodies, query, &key, recovery)).unwrap_or(fact);
        }
        if !bad_at_w && self.takes_back_much_of(bodies, query, &key) {
            // The brake holds back pending changes, not what stood rejected before.
            let stood = recovery.and_then(|recovery| floor(bodies, query, &key, recovery));
            if let Some(stood) = stood.filter(|stood| stood.outcome == Outcome::Withdrawn) {
                return stood;
            }
            return Fact { reason: Some(Reason::MassWithdrawal), ..fact };
        }
        fact
    }

    /// The versions of a record on the main branch from W on, and on the other from the fork point on if it changes it
    /// there. Each sequence has a reader of its own, since list rules compare neighbours.
    fn sequences<T, R>(&self, key: &RecordKey, reader: impl Fn() -> R) -> (Vec<Version<T>>, Vec<Version<T>>)
    where
        R: FnMut(Option<&Digest>) -> Version<T>,
    {
        let read = |digests: Vec<Option<Digest>>| {
            let mut reader = reader();
            digests.iter().map(|digest| reader(digest.as_ref())).collect()
        };
        let main = read(self.main.versions(key, self.size_witnessed()));
        (main, self.versions_other(key).map(read).unwrap_or_default())
    }

    /// A branch that leaves the record alone says nothing.
    fn versions_other(&self, key: &RecordKey) -> Option<Vec<Option<Digest>>> {
        let other = self.other.as_ref()?;
        Some(other.versions(key, other.base())).filter(|digests| digests.len() > 1)
    }

    /// The brake on mass withdrawal of one list: do pending changes alone reject at least 1,000 indices and more than
    /// 1 % of it, none of them rejected at W? Without the body at W it cannot be excluded, so the brake holds.
    fn takes_back_much_of(&self, bodies: &Bodies, query: &StatusQuery<'_>, key: &RecordKey) -> bool {
        let versions = self.main.versions(key, self.size_witnessed());
        let Some((Some(at_w), later)) = versions.split_first() else { return false };
        let Ok(base) = bodies.need(at_w).and_then(|record| record.status_list()) else { return true };
        if base.length() < limits::MASS_INDICES {
            return false;
        }
        let words = usize::try_from(base.length().div_ceil(64)).unwrap_or(usize::MAX);
        let mut taken = vec![0_u64; words];
        for digest in later.iter().flatten() {
            merge(&mut taken, &rejected(bodies, digest, query));
        }
        if let Some(other) = self.versions_other(key) {
            merge(&mut taken, &turned_bad(bodies, &other, query, words));
        }
        let at_w = if base.uri() == query.list && base.purpose() == query.purpose {
            base.rejecting(query.rejects)
        } else {
            Vec::new()
        };
        let spare = (base.length() % 64 != 0).then(|| (1_u64 << (base.length() % 64)) - 1);
        if let (Some(last), Some(spare)) = (taken.last_mut(), spare) {
            *last &= spare; // indices beyond the list at W were nobody's yet
        }
        let new = taken.iter().zip(at_w.iter().chain(std::iter::repeat(&0))).map(|(taken, old)| taken & !old);
        let count: u64 = new.map(|word| u64::from(word.count_ones())).sum();
        count >= limits::MASS_INDICES && count.saturating_mul(100) > base.length()
    }

    /// The brake on mass withdrawal of records: a fact whose record a pending change removes is indeterminate while
    /// pending changes remove at least 16 and more than 5 % of the DID documents and trust entries at W.
    fn brake_records<T>(&self, fact: Fact<T>, key: &RecordKey) -> Fact<T> {
        if fact.reason == Some(Reason::TakenBack) && self.removes(key) && self.removes_many() {
            return Fact { reason: Some(Reason::MassWithdrawal), ..fact };
        }
        fact
    }

    fn removes(&self, key: &RecordKey) -> bool {
        let removed = |branch: &Branch, since| branch.versions(key, since).into_iter().skip(1).any(|d| d.is_none());
        removed(&self.main, self.size_witnessed()) || self.other.as_ref().is_some_and(|b| removed(b, b.base()))
    }

    fn removes_many(&self) -> bool {
        let counts = |key: &str| key.starts_with("did/") || key.starts_with("trust/");
        let at_w = self.state_witnessed();
        let changes = self.pending().chain(self.entries_other()).flat_map(Entry::changes);
        let removed = changes.filter(|change| change.digest.is_none()).map(|change| change.key.as_str());
        let removed: std::collections::BTreeSet<_> =
            removed.filter(|key| counts(key) && at_w.contains(key.as_bytes())).collect();
        let removed = removed.len() as u64;
        if removed < limits::MASS_RECORDS {
            return false;
        }
        let all = at_w.iter().filter(|(key, _)| std::str::from_utf8(key).is_ok_and(counts)).count() as u64;
        removed.saturating_mul(20) > all
    }
}

fn read_key(bodies: &Bodies, digest: Option<&Digest>, query: &KeyQuery<'_>) -> Version<()> {
    let Some(digest) = digest else { return Version::no(Reason::NoRecord) };
    match bodies.need(digest).and_then(|record| record.did_document()) {
        Ok(document) => document.says(query),
        Err(reason) => Version::unknown(reason),
    }
}

/// Reads versions of a list one after the other. Purpose and bits stay those of the first usable version, and the length
/// never falls below the one before. A version that breaks this grants nothing, but a rejecting value in it counts; nor
/// does one after a version whose body is not held, for whether it breaks this is not known.
fn index_reader<'a>(
    bodies: &'a Bodies,
    query: &'a StatusQuery<'a>,
) -> impl FnMut(Option<&Digest>) -> Version<u8> + use<'a> {
    let mut before: Option<&StatusList> = None;
    let mut is_blind = false;
    move |digest| {
        let Some(digest) = digest else { return Version::no(Reason::NoList) };
        let list = match usable_list(bodies, digest, query) {
            Ok(list) => list,
            Err(reason) => {
                is_blind |= reason == Reason::BodyMissing;
                return Version::unknown(reason);
            }
        };
        let broken = before.and_then(|before| breaks(before, list));
        if broken.is_none() {
            before = Some(list);
        }
        let value = list.value(query.index);
        let same_purpose = list.purpose() == query.purpose;
        match (value, broken) {
            (Some(value), _) if same_purpose && query.rejects.contains(&value) => Version::bad(value),
            (_, Some(reason)) => Version::unknown(reason),
            _ if is_blind => Version::unknown(Reason::BodyMissing),
            _ if !same_purpose => Version::unknown(Reason::Purpose),
            (None, None) => Version::no(Reason::IndexBeyondList),
            (Some(value), None) => Version::yes(value),
        }
    }
}

fn usable_list<'a>(bodies: &'a Bodies, digest: &Digest, query: &StatusQuery<'_>) -> Result<&'a StatusList, Reason> {
    let list = bodies.need(digest)?.status_list()?;
    if list.uri() == query.list { Ok(list) } else { Err(Reason::BodyIdentity) }
}

fn breaks(before: &StatusList, list: &StatusList) -> Option<Reason> {
    if (list.purpose(), list.bits()) != (before.purpose(), before.bits()) {
        return Some(Reason::ListChanged);
    }
    (list.length() < before.length()).then_some(Reason::ListShrunk)
}

/// The indices that one version rejects, a bit each.
fn rejected(bodies: &Bodies, digest: &Digest, query: &StatusQuery<'_>) -> Vec<u64> {
    match usable_list(bodies, digest, query) {
        Ok(list) if list.purpose() == query.purpose => list.rejecting(query.rejects),
        _ => Vec::new(),
    }
}

/// The indices that a version of the other branch rejects after an earlier one there did not.
fn turned_bad(bodies: &Bodies, other: &[Option<Digest>], query: &StatusQuery<'_>, words: usize) -> Vec<u64> {
    let (mut seen, mut turned) = (vec![0_u64; words], vec![0_u64; words]);
    let mut before: Option<&StatusList> = None;
    for digest in other {
        let Some(digest) = digest else {
            seen.fill(u64::MAX); // a list that is not there rejects nothing
            continue;
        };
        let Ok(list) = usable_list(bodies, digest, query) else { continue };
        let bad = rejected(bodies, digest, query);
        for ((turned, seen), bad) in turned.iter_mut().zip(&seen).zip(&bad) {
            *turned |= seen & bad;
        }
        let broken = before.is_some_and(|before| breaks(before, list).is_some());
        if !broken {
            before = Some(list);
        }
        if !broken && list.purpose() == query.purpose {
            for (seen, bad) in seen.iter_mut().zip(bad.iter().chain(std::iter::repeat(&0))) {
                *seen |= !bad;
            }
        }
    }
    turned
}

fn merge(into: &mut [u64], marks: &[u64]) {
    for (word, mark) in into.iter_mut().zip(marks) {
        *word |= mark;
    }
}

/// What stood rejected in the old register at `after` stays so; else nothing, or unusable when that is not known.
fn floor(bodies: &Bodies, query: &StatusQuery<'_>, key: &RecordKey, recovery: Recovery<'_>) -> Option<Fact<u8>> {
    let after = recovery.after;
    let Some(branch) = recovery.old.and_then(|old| old.branch_with(after)) else {
        return Some(Fact::new(Outcome::Unusable, Reason::AfterNotHeld));
    };
    let was = index_reader(bodies, query)(branch.digest_at(after.size, key).as_ref());
    match was.holds {
        Holds::Unknown => Some(Fact { outcome: Outcome::Unusable, reason: was.reason, terms: None }),
        Holds::Bad => Some(Fact { outcome: Outcome::Withdrawn, reason: Some(Reason::After), terms: was.terms }),
        Holds::Yes | Holds::No => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::body::Record;
    use super::*;

    #[test]
    fn a_list_after_one_whose_body_is_missing_grants_nothing() {
        let uri = "https://a.example/1";
        let list = |length| Record::new(StatusList::new(uri, "revocation", 1, length).expect("a list").encode());
        let (longer, shorter) = (Arc::new(list(24)), Arc::new(list(16)));
        let query = StatusQuery { list: uri, index: 3, purpose: "revocation", rejects: &[1] };
        let read = |bodies: &Bodies| {
            let mut reader = index_reader(bodies, &query);
            [&longer, &shorter].map(|record| reader(Some(&record.digest())))
        };
        let both: Bodies = [longer.clone(), shorter.clone()].into_iter().collect();
        assert_eq!(read(&both), [Version::yes(0), Version::unknown(Reason::ListShrunk)]);
        let one: Bodies = [shorter.clone()].into_iter().collect();
        assert_eq!(read(&one), [Version::unknown(Reason::BodyMissing), Version::unknown(Reason::BodyMissing)]);
    }
}
