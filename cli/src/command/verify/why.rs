//! The row *why*: what exactly was found, with the code.

use standfast_protocol::credential::StatusEntry;
use standfast_protocol::log::checkpoint::Checkpoint;
use standfast_protocol::log::note::Note;
use standfast_protocol::register::entry::Entry;
use standfast_protocol::register::fork::ForkProof;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::register::state::Register;
use standfast_protocol::snapshot::HeldRegister;
use standfast_protocol::time::Time;
use standfast_protocol::verdict::{CheckName, CheckResult, Code};

use super::judged::{Bench, Judged};
use crate::output::card::Row;
use crate::output::{Sign, words};

/// Returns the row.
pub fn row(bench: &Bench<'_>, judged: &Judged) -> Row {
    let Some(code) = judged.verdict.code() else { return Row::new("why", accepted(bench, judged)) };
    let mut lines = specific(bench, judged, code).unwrap_or_else(|| vec![bench.shorten(judged.verdict.reason())]);
    if let Some(first) = lines.first_mut() {
        first.push_str(&format!(" ({})", code.as_str()));
    }
    let sign = matches!(code, Code::RegisterForked | Code::RegisterFrozen | Code::CharterForked);
    Row { sign: sign.then_some(Sign::Tampered), label: "why", lines, whole: false }
}

/// What passed, in a line.
pub fn accepted(bench: &Bench<'_>, judged: &Judged) -> String {
    let authority = if bench.policy.trust { "issuer authorised" } else { "issuer's authority not judged" };
    let purposes: Vec<&str> = statuses(judged).iter().map(|entry| participle(&entry.purpose)).collect();
    let status = match purposes.as_slice() {
        [] => "has no status".to_owned(),
        [one] => format!("not {one}"),
        many => format!("neither {}", many.join(" nor ")),
    };
    format!("signature valid, {authority}, in date, {status}")
}

fn statuses(judged: &Judged) -> &[StatusEntry] {
    judged.credential.as_ref().map(|credential| credential.status()).unwrap_or_default()
}

fn participle(purpose: &str) -> &str {
    match purpose {
        "suspension" => "suspended",
        "revocation" => "revoked",
        other => other,
    }
}

fn specific(bench: &Bench<'_>, judged: &Judged, code: Code) -> Option<Vec<String>> {
    match code {
        Code::StatusRevoked | Code::StatusSuspended => set(bench, judged).map(|line| vec![line]),
        Code::SignatureMismatch => Some(mismatch(judged)),
        Code::StaleWitnessed | Code::StalePublished | Code::StaleCharter => Some(stale(bench, judged, code)),
        Code::RegisterForked => forked(bench, judged),
        Code::AuthorityPending => pending_grant(bench, judged),
        Code::KeyPending => pending_key(bench, judged),
        Code::ValidityExpired => {
            let until = judged.verdict.credential.valid_until_at?;
            let now = judged.verdict.clock.used_at;
            (until < now).then(|| vec![format!("its end was {}", words::ago(until, now))])
        }
        Code::ValidityEarly => {
            let (from, now) = (judged.verdict.credential.valid_from_at?, judged.verdict.clock.used_at);
            (from > now).then(|| vec![format!("it begins {}", words::from_now(from, now))])
        }
        Code::ClockDisputed => {
            let clock = judged.verdict.clock;
            let until = judged.verdict.credential.valid_until_at.filter(|until| *until < clock.used_at)?;
            let (device, bound) =
                (words::at(clock.device_at, clock.used_at), words::at(clock.bound_at?, clock.used_at));
            Some(vec![
                format!("its end, {}, has passed by the witnesses' time", words::at(until, clock.used_at)),
                format!("this device says {device}, the witnesses at least {bound}"),
            ])
        }
        _ => None,
    }
}

/// When an index was set.
enum Since {
    /// By an entry before which it was not.
    At(Time),
    /// By an entry before which nothing is held any more.
    By(Time),
    /// In the history that the witnesses did not see.
    OtherHistory,
}

/// Which index was set, when, and whether that is witnessed: a revocation counts either way.
fn set(bench: &Bench<'_>, judged: &Judged) -> Option<String> {
    let held = bench.home(judged)?;
    let (entry, since, pending) = statuses(judged).iter().find_map(|entry| {
        let (since, pending) = set_since(held, entry, |value| bench.policy.rejects(&entry.purpose, value))?;
        Some((entry, since, pending))
    })?;
    let now = judged.verdict.clock.used_at;
    let when = match since {
        Since::At(time) => format!("at {}", words::ago(time, now)),
        Since::By(time) => format!("by {}", words::ago(time, now)),
        Since::OtherHistory => "in one of the two histories of its register".to_owned(),
    };
    let pending = if pending { ", not witnessed yet" } else { "" };
    Some(format!("index {} set {when}{pending}", words::grouped(entry.index)))
}

/// Finds the entry that set an index: the last change of the list before which it was not set.
fn set_since(held: &HeldRegister, entry: &StatusEntry, rejects: impl Fn(u8) -> bool) -> Option<(Since, bool)> {
    let key = RecordKey::status(&entry.list).ok()?;
    let register = held.register();
    let is_set = |digest| Some(rejects(held.bodies().get(&digest)?.status_list().ok()?.value(entry.index)?));
    let change_of = |entry: &Entry| entry.changes().iter().find(|c| c.key == key).map(|c| (entry.time(), c.digest));
    let mut before = Some(false);
    let mut found = None;
    for number in register.size_base()..register.size_newest() {
        let Some((time, digest)) = register.entry(number).and_then(change_of) else { continue };
        let now = digest.map_or(Some(false), is_set);
        if now == Some(true) && before != Some(true) {
            let time = Time::from_secs_saturating(time);
            let since = if before == Some(false) { Since::At(time) } else { Since::By(time) };
            found = Some((since, number >= register.size_witnessed()));
        }
        before = now;
    }
    let mut other = register.entries_other().filter_map(change_of).filter_map(|(_, digest)| is_set(digest?));
    found.or_else(|| other.any(|set| set).then_some((Since::OtherHistory, false)))
}

fn mismatch(judged: &Judged) -> Vec<String> {
    let mut lines = vec!["altered, or signed by another key".to_owned()];
    let method = judged.verdict.credential.key.as_deref().unwrap_or_default();
    let fragment = method.split_once('#').map_or(method, |(_, fragment)| fragment);
    let evidence = judged.verdict.check(CheckName::Signature).and_then(|check| check.evidence.first());
    match evidence {
        Some(at) => {
            let size = words::grouped(at.size);
            lines.push(format!("expected #{} of the document at size {size}", words::clean(fragment)));
        }
        None => lines.push(format!("expected {}", words::did(method))),
    }
    lines
}

fn stale(bench: &Bench<'_>, judged: &Judged, code: Code) -> Vec<String> {
    let verdict = &judged.verdict;
    let origin = verdict.needs.iter().find(|need| need.code == code).and_then(|need| need.register.clone());
    let home = bench.home(judged).map(|held| held.register().origin().to_owned());
    let who = match &origin {
        None => format!("charter {}", verdict.trust.charter),
        Some(origin) if Some(origin) == home.as_ref() => "its register".to_owned(),
        Some(origin) => bench.name(origin),
    };
    let limits = &bench.policy.limits;
    let device = verdict.clock.device_at.secs();
    let ages = origin.as_ref().and_then(|origin| bench.snapshot.ages(origin, device));
    let (age, limit, what) = match code {
        Code::StaleWitnessed => (ages.as_ref().and_then(|a| a.age(a.witnessed)), limits.witnessed_s, "last witnessed"),
        Code::StalePublished => {
            (ages.as_ref().and_then(|a| a.age(a.published)), limits.published_s, "last confirmed by its owner")
        }
        _ => (verdict.ages().and_then(|ages| ages.charter.age_s), limits.charter_s, "last named by a quorum"),
    };
    let first = match age {
        Some(age) => format!("{who} was {what} {} ago", words::age(age)),
        None => format!("{who} was never {}", what.trim_start_matches("last ")),
    };
    let mut second = format!("policy {} allows {}", words::clean(&bench.policy.name), words::left(limit));
    if let Some(good) = good(judged) {
        second.push_str(&format!(" · {good}"));
    }
    vec![first, second]
}

/// What is known to be right all the same.
fn good(judged: &Judged) -> Option<String> {
    let known = [(CheckName::Signature, "signature"), (CheckName::Authority, "issuer"), (CheckName::Validity, "dates")];
    let passed: Vec<&str> =
        known.iter().filter(|(name, _)| judged.result(*name) == CheckResult::Passed).map(|(_, word)| *word).collect();
    match passed.as_slice() {
        [] => None,
        [one] => Some(format!("{one} good")),
        many => Some(format!("{} are good", many.join(", "))),
    }
}

/// The two signed heads of a fork proof.
pub fn fork_heads(proof: &ForkProof) -> Option<(Checkpoint, Checkpoint)> {
    let head = |text: &str| Checkpoint::parse(Note::parse(text.as_bytes()).ok()?.text()).ok();
    Some((head(proof.smaller())?, head(proof.larger())?))
}

/// What a fork proof shows, in a clause.
pub fn fork_clause(proof: &ForkProof) -> Option<String> {
    let (small, large) = fork_heads(proof)?;
    Some(if small.size == large.size {
        format!("its key signed two roots at size {}", words::grouped(small.size))
    } else {
        let (small, large) = (words::grouped(small.size), words::grouped(large.size));
        format!("its key signed size {large}, which does not continue the size {small} it signed")
    })
}

fn forked(bench: &Bench<'_>, judged: &Judged) -> Option<Vec<String>> {
    let held = forked_register(bench, judged)?;
    let origin = held.register().origin();
    let home = bench.home(judged).map(|held| held.register().origin());
    let clause = fork_clause(held.register().fork_proof()?)?;
    let first = if home == Some(origin) { clause } else { format!("{}: {clause}", bench.name(origin)) };
    let ages = bench.snapshot.ages(origin, judged.verdict.clock.device_at.secs())?;
    let limit = words::left(bench.policy.limits.witnessed_s);
    let second = match ages.age(ages.witnessed) {
        Some(age) => format!("witnesses stopped vouching for it {} ago · limit {limit}", words::age(age)),
        None => "no quorum of witnesses stands behind either of them".to_owned(),
    };
    Some(vec![first, second])
}

/// The forked register that a verdict rests on.
pub fn forked_register<'a>(bench: &'a Bench<'_>, judged: &Judged) -> Option<&'a HeldRegister> {
    let evidence = judged.verdict.checks.iter().flat_map(|check| &check.evidence);
    let mut held = evidence.filter_map(|at| bench.snapshot.held(&at.register));
    held.find(|held| held.register().is_forked())
}

fn pending_grant(bench: &Bench<'_>, judged: &Judged) -> Option<Vec<String>> {
    let issuer = judged.verdict.credential.issuer.as_deref()?;
    let keys: Vec<RecordKey> = judged
        .verdict
        .credential
        .types
        .iter()
        .filter_map(|kind| RecordKey::trust(issuer, "issue", kind).ok())
        .collect();
    in_pending(bench, &keys, "granted")
}

fn pending_key(bench: &Bench<'_>, judged: &Judged) -> Option<Vec<String>> {
    let issuer = judged.verdict.credential.issuer.as_deref()?;
    in_pending(bench, &[RecordKey::did(issuer).ok()?], "published")
}

/// Finds the first pending entry that changes one of these records, and says how many witnesses stand behind it.
fn in_pending(bench: &Bench<'_>, keys: &[RecordKey], done: &str) -> Option<Vec<String>> {
    let bound = bench.snapshot.replica().bound().keys();
    let (register, size) = bound.filter_map(|origin| bench.snapshot.held(origin)).find_map(|held| {
        let register = held.register();
        let place = register.pending().position(|e| e.changes().iter().any(|c| keys.contains(&c.key)))?;
        Some((register, register.size_witnessed() + place as u64 + 1))
    })?;
    let quorum = bench.snapshot.quorum();
    let named = quorum.witnesses().len() as u64;
    let cosigned = cosigners(register, size) as u64;
    let name = bench.name(register.origin());
    let needed = match quorum.fewest_to_meet() {
        1 => "1 is needed".to_owned(),
        needed => format!("{needed} are needed"),
    };
    let share = words::share(cosigned, named);
    Some(vec![format!("{done} in entry {} of {name}, cosigned by {share} witnesses; {needed}", words::grouped(size))])
}

/// Counts the witnesses that stand at this size or beyond it.
pub fn cosigners(register: &Register, size: u64) -> usize {
    let stands = register.stands_from(size);
    let names = stands.flat_map(|stand| stand.cosignatures()).map(|cosignature| cosignature.witness());
    names.collect::<std::collections::BTreeSet<_>>().len()
}
