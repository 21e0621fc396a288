//! What lapses when a forked register is bound anew: records of its witnessed state that no other register repeats.
//!
//! Once the new binding is witnessed, the old register grants nothing (`specs/register.md` §13). Whoever recovers has to
//! publish these again in the new register; what the old one rejects stays rejected up to `after`.

use serde::Serialize;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::snapshot::Snapshot;

use crate::output::words;

/// Kinds of records in the order in which they are told, each with its noun.
const KINDS: [(&str, &str, &str); 8] = [
    ("did", "DID document", "DID documents"),
    ("trust", "trust entry", "trust entries"),
    ("status", "status list", "status lists"),
    ("context", "context", "contexts"),
    ("schema", "schema", "schemas"),
    ("type", "type", "types"),
    ("member", "membership", "memberships"),
    ("notice", "notice", "notices"),
];

/// A record that would have to be published again.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Lapse {
    /// Its key.
    pub record: String,
    /// What it stands for: `grant`, `status` (it rejects up to `after` all the same), or `notice`.
    pub what: &'static str,
}

/// Lists what lapses with a register that is bound here; `None` for one that is not.
pub(super) fn of(snapshot: &Snapshot, origin: &str) -> Option<Vec<Lapse>> {
    let bound = snapshot.replica().bound();
    let register = snapshot.held(origin).filter(|_| bound.contains_key(origin))?.register();
    let others = bound.keys().filter(|other| *other != origin).filter_map(|other| snapshot.held(other));
    let others: Vec<_> = others.map(|held| held.register().state_witnessed()).collect();
    let keys = register.keys_witnessed("");
    let lapses = keys.iter().filter(|key| !others.iter().any(|state| state.contains(key.as_str().as_bytes())));
    Some(lapses.filter_map(lapse).collect())
}

/// A key of an unknown prefix means nothing, so nothing lapses with it.
fn lapse(key: &RecordKey) -> Option<Lapse> {
    let what = match key.prefix() {
        "did" | "trust" | "context" | "schema" | "type" | "member" => "grant",
        "status" => "status",
        "notice" => "notice",
        _ => return None,
    };
    Some(Lapse { record: key.as_str().to_owned(), what })
}

/// Says how many of each kind, in lines: `1 DID document · 2 trust entries`.
pub(super) fn words(lapses: &[Lapse]) -> String {
    let count = |prefix: &str| {
        let is_of = |lapse: &&Lapse| lapse.record.split_once('/').is_some_and(|(found, _)| found == prefix);
        lapses.iter().filter(is_of).count() as u64
    };
    let told = KINDS.iter().map(|(prefix, one, many)| (count(prefix), one, many)).filter(|(count, ..)| *count > 0);
    let told: Vec<String> = told.map(|(count, one, many)| words::counted(count, one, many)).collect();
    if told.is_empty() { "nothing: other registers repeat all of it".to_owned() } else { told.join(" · ") }
}
