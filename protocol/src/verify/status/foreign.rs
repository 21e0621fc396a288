//! A foreign list: a Bitstring Status List credential that stands in the register as its signer made it.

use super::super::{key, webvh};
use super::{Bound, Case, passing, rejecting};
use crate::credential::StatusEntry;
use crate::did::{self, Relationship};
use crate::freshness::{self, Validity};
use crate::register::body::Record;
use crate::register::query::KeyQuery;
use crate::register::record::RecordKey;
use crate::register::webvh::is_webvh;
use crate::status::bitstring;
use crate::time::Time;
use crate::verdict::{Check, CheckName, Code};

/// Judges a foreign list in W and in every later version; `None` when the version at W is none. A rejecting value counts
/// in any version; any other only if every version can be read.
pub(super) fn judge(
    case: &Case<'_>,
    home: Bound<'_>,
    issuer: &str,
    record: &RecordKey,
    entry: &StatusEntry,
) -> Option<Check> {
    let at_w = home.held.digest_witnessed(record)?;
    home.held.bodies().get(&at_w)?.foreign_list()?;
    let evidence = vec![home.held.evidence(Some(record.as_str().to_owned()), case.as_of(home))];
    let refused = |code, reason: String| Check::refused(CheckName::Status, code, reason, evidence.clone());
    let digests = home.held.digests(record);
    let readings: Vec<Result<Option<u8>, &'static str>> = digests
        .iter()
        .map(|digest| match home.held.bodies().get(digest) {
            Some(body) => read(case, home, issuer, body, entry),
            None => Err("a version of it is not held"),
        })
        .collect();
    let rejected =
        |reading: &Result<Option<u8>, _>| reading.ok().flatten().filter(|v| case.policy.rejects(&entry.purpose, *v));
    if let Some(value) = readings.iter().find_map(rejected) {
        return Some(rejecting(entry, value, "", &evidence));
    }
    let (list, index) = (&entry.list, entry.index);
    if home.held.register().unread().is_some() {
        let reason = format!("index {index} of {list} may have been set by an entry of a newer version");
        return Some(refused(Code::UpgradeNeeded, reason));
    }
    if let Some(reason) = readings.iter().find_map(|reading| reading.err()) {
        let code = if reason == NOT_THE_ISSUERS { Code::StatusForeign } else { Code::StatusMissing };
        return Some(refused(code, format!("the list {list}: {reason}")));
    }
    if removed_later(home, record) {
        return Some(refused(Code::StatusMissing, format!("the list {list} was removed")));
    }
    let values: Vec<u8> = readings.iter().filter_map(|reading| reading.ok().flatten()).collect();
    Some(match values.first() {
        Some(value) if values.len() == readings.len() => passing(entry, *value, &evidence),
        None if case.is_conclusive(home) => {
            refused(Code::StatusOutOfRange, format!("index {index} is beyond the end of {list}"))
        }
        _ => refused(Code::StatusMissing, format!("index {index} is beyond a version of the list {list}")),
    })
}

const NOT_THE_ISSUERS: &str = "it is not signed by a key of its issuer that counts";

/// Reads one version: the value, or `None` beyond the end, or why it does not count.
fn read(
    case: &Case<'_>,
    home: Bound<'_>,
    issuer: &str,
    body: &Record,
    entry: &StatusEntry,
) -> Result<Option<u8>, &'static str> {
    let (credential, list) = body.foreign_list().ok_or("a version of it is not a status list")?;
    if credential.id().is_some_and(|id| id != entry.list) {
        return Err("it names another list than its record");
    }
    if !list.purposes().contains(&entry.purpose) {
        return Err("it is for another purpose");
    }
    if !credential.status().is_empty() {
        return Err("it has a status of its own");
    }
    is_signed_by_issuer(case, home, issuer, body)?;
    if list.len(entry.size_bits) < bitstring::LENGTH_MIN {
        return Err("it has fewer values of the size that was expected than a list must have");
    }
    let secs = |time: Option<Time>, otherwise| time.map_or(otherwise, Time::secs);
    let (from, until) = (secs(credential.valid_from(), 0), secs(credential.valid_until(), u64::MAX));
    let value = list.value(entry.index, entry.size_bits);
    let current = freshness::validity(from, until, case.device, case.bound) == Validity::Current;
    // What it rejects it rejects at any age; what it does not say counts only while it lasts.
    if current || value.is_some_and(|value| case.policy.rejects(&entry.purpose, value)) {
        return Ok(value);
    }
    Err("it is outside the time for which its signer made it")
}

fn is_signed_by_issuer(case: &Case<'_>, home: Bound<'_>, issuer: &str, body: &Record) -> Result<(), &'static str> {
    let (credential, _) = body.foreign_list().ok_or(NOT_THE_ISSUERS)?;
    let method = credential.verification_method();
    let (subject, _) = did::split_method(method).ok_or(NOT_THE_ISSUERS)?;
    if subject != issuer || credential.issuer() != issuer {
        return Err(NOT_THE_ISSUERS);
    }
    if is_webvh(subject) {
        let key = webvh::granted_key(case, home, subject, method).ok_or(NOT_THE_ISSUERS)?;
        return if case.snapshot.is_list_proven(body, key) { Ok(()) } else { Err(NOT_THE_ISSUERS) };
    }
    let record = RecordKey::did(subject).map_err(|_| NOT_THE_ISSUERS)?;
    let digest = home.held.digest_witnessed(&record).ok_or("the document of its signer is not held")?;
    let document = home.held.bodies().get(&digest).and_then(|body| body.resolved());
    let document = document.ok_or("the document of its signer is not held")?;
    let public = document.key_for(method, Relationship::AssertionMethod).map_err(|_| NOT_THE_ISSUERS)?;
    let multikey = public.to_multikey();
    let relationship = Relationship::AssertionMethod.name();
    let query = KeyQuery { did: subject, method, relationship, public: &multikey };
    if !home.held.register().key_fact(home.held.bodies(), &query).is_granted()
        || key::has_ended(case, home, &record, method, public)
        || !case.snapshot.is_list_proven(body, public)
    {
        return Err(NOT_THE_ISSUERS);
    }
    Ok(())
}

/// True when a pending entry, or one of the other branch, removes the record.
fn removed_later(home: Bound<'_>, record: &RecordKey) -> bool {
    let register = home.held.register();
    let changes = register.pending().chain(register.entries_other()).flat_map(crate::register::entry::Entry::changes);
    changes.into_iter().any(|change| change.key == *record && change.digest.is_none())
}
