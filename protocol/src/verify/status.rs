//! Status: every list that the credential names, as the issuer's register holds it.

mod foreign;

use super::authority::{Grounds, Homeless};
use super::{Bound, Case};
use crate::credential::{Credential, StatusEntry};
use crate::register::fact::{Outcome, Reason};
use crate::register::query::{Recovery, StatusQuery};
use crate::register::record::RecordKey;
use crate::verdict::{Check, CheckName, CheckResult, Code, Evidence};

/// Every value that can reject: a policy rejects all but 0 of the purposes that it names.
static VALUES: [u8; 255] = {
    let mut values = [0; 255];
    let mut value: u8 = 0;
    while value < 255 {
        values[value as usize] = value + 1;
        value += 1;
    }
    values
};

/// Judges all statuses: a rejecting one before one that is not known.
pub(super) fn judge(case: &Case<'_>, credential: &Credential, grounds: &Grounds<'_>) -> Check {
    if credential.status().is_empty() {
        return without(grounds);
    }
    let mut checks = Vec::with_capacity(credential.status().len());
    for entry in credential.status() {
        checks.push(judge_entry(case, grounds, credential.issuer(), entry));
    }
    for worse in [CheckResult::Failed, CheckResult::Unknown] {
        if let Some(place) = checks.iter().position(|check| check.result == worse) {
            return checks.swap_remove(place);
        }
    }
    let reasons: Vec<&str> = checks.iter().map(|check| check.reason.as_str()).collect();
    let reason = reasons.join(" · ");
    Check::passed(CheckName::Status, reason, checks.into_iter().flat_map(|check| check.evidence).collect())
}

fn without(grounds: &Grounds<'_>) -> Check {
    if grounds.path.as_ref().is_some_and(|path| path.status_required) {
        let reason = "the permission demands a status, and the credential has none";
        return Check::refused(CheckName::Status, Code::StatusRequired, reason, Vec::new());
    }
    Check::passed(CheckName::Status, "it has no status, and none is demanded", Vec::new())
}

fn unknown(code: Code, reason: String) -> Check {
    Check::refused(CheckName::Status, code, reason, Vec::new())
}

fn judge_entry(case: &Case<'_>, grounds: &Grounds<'_>, issuer: &str, entry: &StatusEntry) -> Check {
    let home = match grounds.home() {
        Ok(home) => home,
        Err(Homeless::NoPath) if case.policy.trust => {
            return Check::skipped(CheckName::Status, "no trust path leads to a register that could hold its list");
        }
        Err(Homeless::NoPath) => {
            return unknown(Code::StatusMissing, "no register that is held has a document of its issuer".to_owned());
        }
        Err(Homeless::Unnamed) => {
            return unknown(Code::StatusMissing, "no register is named for the lists of its issuer".to_owned());
        }
        Err(Homeless::NotHeld(origin)) => {
            return unknown(Code::StatusMissing, format!("the register {origin} of its issuer is not held"));
        }
    };
    let Ok(record) = RecordKey::status(&entry.list) else {
        return unknown(Code::StatusMissing, format!("the list {} has a name too long to be held", entry.list));
    };
    let native = judge_native(case, grounds, home, &record, entry);
    if native.code == Some(Code::StatusMissing) && grounds.recovery().is_none() {
        return foreign::judge(case, home, issuer, &record, entry).unwrap_or(native);
    }
    native
}

fn judge_native(
    case: &Case<'_>,
    grounds: &Grounds<'_>,
    home: Bound<'_>,
    record: &RecordKey,
    entry: &StatusEntry,
) -> Check {
    let StatusEntry { list, index, purpose, .. } = entry;
    let evidence = vec![home.held.evidence(Some(record.as_str().to_owned()), case.as_of(home))];
    let refused = |code, reason: String| Check::refused(CheckName::Status, code, reason, evidence.clone());
    let register = home.held.register();
    let recovery = grounds.recovery().map(|(after, old)| Recovery { after, old });
    let rejects: &[u8] = if case.policy.rejects(purpose, 1) { &VALUES } else { &[] };
    let query = StatusQuery { list, index: *index, purpose, rejects };
    let fact = register.status_fact(home.held.bodies(), &query, recovery);
    match (fact.outcome, fact.reason) {
        (Outcome::Withdrawn, Some(Reason::MassWithdrawal)) => {
            let reason = format!("index {index} of {list} is set with so many others that a quorum must see it first");
            refused(Code::MassWithdrawal, reason)
        }
        (Outcome::Withdrawn, reason) => {
            let before = if reason == Some(Reason::After) { ", in the register before" } else { "" };
            rejecting(entry, fact.terms.unwrap_or(1), before, &evidence)
        }
        (Outcome::Granted, _) if register.unread().is_some() => refused(
            Code::UpgradeNeeded,
            format!("index {index} of {list} may have been set by an entry of a newer version"),
        ),
        (Outcome::Granted, _) => granted(home, record, entry, fact.terms.unwrap_or(0), &evidence),
        (Outcome::Pending, _) => {
            refused(Code::StatusMissing, format!("the list {list} is published, and not witnessed yet"))
        }
        (Outcome::Unusable, reason) => {
            let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
            refused(Code::StatusMissing, format!("the list {list} cannot be read{reason}"))
        }
        (Outcome::Absent, Some(Reason::IndexBeyondList)) if case.is_conclusive(home) => {
            refused(Code::StatusOutOfRange, format!("index {index} is beyond the end of {list}"))
        }
        (Outcome::Absent, Some(Reason::IndexBeyondList)) => refused(
            Code::StatusMissing,
            format!("index {index} is beyond the list {list} as held, which may have grown"),
        ),
        (Outcome::Absent, _) => match elsewhere(case, record, register.origin()) {
            Some(origin) => {
                refused(Code::StatusForeign, format!("the list {list} stands in {origin}, which is not its issuer's"))
            }
            None => refused(Code::StatusMissing, format!("the list {list} is not in the register of its issuer")),
        },
    }
}

fn rejecting(entry: &StatusEntry, value: u8, place: &str, evidence: &[Evidence]) -> Check {
    let (code, what) = match entry.purpose.as_str() {
        "suspension" => (Code::StatusSuspended, "suspended"),
        _ => (Code::StatusRevoked, "revoked"),
    };
    let value = if value == 1 { String::new() } else { format!(" to {value}") };
    let reason = format!("{what} by its issuer: index {} of {} is set{value}{place}", entry.index, entry.list);
    Check::refused(CheckName::Status, code, reason, evidence.to_vec())
}

/// A value that does not reject. Its list must have entries of the size that the credential expects: else it speaks of
/// another index.
fn granted(home: Bound<'_>, record: &RecordKey, entry: &StatusEntry, value: u8, evidence: &[Evidence]) -> Check {
    let StatusEntry { list, size_bits, .. } = entry;
    let held = home.held.digest_witnessed(record).and_then(|digest| home.held.bodies().get(&digest));
    let bits = held.and_then(|body| body.status_list().ok()).map(|list| list.bits());
    if bits != Some(*size_bits) {
        let reason =
            format!("the list {list} has entries of another size than the {size_bits} bits that were expected");
        return Check::refused(CheckName::Status, Code::StatusMissing, reason, evidence.to_vec());
    }
    passing(entry, value, evidence)
}

fn passing(entry: &StatusEntry, value: u8, evidence: &[Evidence]) -> Check {
    let StatusEntry { index, purpose, .. } = entry;
    let reason = match value {
        0 => format!("index {index} is not set ({purpose})"),
        value => format!("index {index} is {value}; the policy does not reject {purpose}"),
    };
    Check::passed(CheckName::Status, reason, evidence.to_vec())
}

/// Returns another register that holds the list: worth saying, and nothing more.
fn elsewhere(case: &Case<'_>, record: &RecordKey, own: &str) -> Option<String> {
    let others = case.snapshot.replica().bound().keys().filter(|origin| *origin != own);
    let mut held = others.filter_map(|origin| case.snapshot.held(origin));
    held.find(|held| !held.digests(record).is_empty()).map(|held| held.register().origin().to_owned())
}
