//! A charter in words: what it says, and what it changes.
//!
//! ```text
//! + root       customs z6Mk…9aLp: 2 of 3 → 2 of 4
//! ~ expires    2027-06-01 → 2027-12-01
//! = witnesses  3 of 4 · 2 that lie could fork · 2 absent stop grants
//! ```

use std::collections::BTreeMap;

use serde::Serialize;
use standfast_protocol::charter::{Chain, Charter, Kind, Signatures, WitnessSet};
use standfast_protocol::key::VerifierKey;
use standfast_protocol::time::Time;

use crate::output::words::{age, clean, counted, date, did, left, origin_short, short, size};
use crate::output::{COLUMNS, wrap};

/// One change: `+`, `-`, `~`, or `=` for what stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    sign: char,
    what: &'static str,
    text: String,
}

/// Draws changes, a line each, with their labels under each other.
pub(super) fn draw(changes: &[Change]) -> String {
    let mut out = String::new();
    for change in changes {
        let lines = wrap(&change.text, COLUMNS - 13);
        for (i, line) in lines.iter().enumerate() {
            if i == 0 {
                out.push_str(&format!("{} {:<10} {line}\n", change.sign, change.what));
            } else {
                out.push_str(&format!("{:13}{line}\n", ""));
            }
        }
    }
    out
}

/// Says what a charter changes; against nothing, what it begins with.
pub(super) fn changes(previous: Option<&Charter>, charter: &Charter) -> Vec<Change> {
    let mut out = Vec::new();
    roots(previous, charter, &mut out);
    anchors(previous, charter, &mut out);
    let now = witness_words(charter.witnesses());
    let from = charter.document().witnesses.from;
    match previous.map(Charter::witnesses) {
        None => out.push(Change { sign: '+', what: "witnesses", text: now }),
        Some(old) if old == charter.witnesses() => out.push(Change { sign: '=', what: "witnesses", text: now }),
        Some(old) => {
            let before = witness_words(old);
            let words = if before == now { now } else { format!("{before} → {now}") };
            let text = format!("{words} · from {}", date(Time::from_secs_saturating(from)));
            out.push(Change { sign: '~', what: "witnesses", text });
            witnesses(old, charter.witnesses(), &mut out);
        }
    }
    let mut member = |what, old: Option<String>, new: String| match old {
        None => out.push(Change { sign: '+', what, text: new }),
        Some(old) if old == new => {}
        Some(old) => out.push(Change { sign: '~', what, text: format!("{old} → {new}") }),
    };
    let expires = |c: &Charter| date(Time::from_secs_saturating(c.document().expires_at));
    member("expires", previous.map(expires), expires(charter));
    member("limits", previous.map(limit_words), limit_words(charter));
    member("quotas", previous.map(quota_words), quota_words(charter));
    let access = |c: &Charter| format!("{:?}", c.document().admission).to_lowercase();
    member("admission", previous.map(access), access(charter));
    let list = |values: &[String]| if values.is_empty() { "none".to_owned() } else { clean(&values.join(", ")) };
    let members = |c: &Charter| list(&c.document().members);
    member("members", previous.map(members), members(charter));
    let bootstrap = |c: &Charter| list(&c.document().bootstrap);
    member("bootstrap", previous.map(bootstrap), bootstrap(charter));
    out.retain(|change| !(change.sign == '+' && change.text == "none"));
    out
}

/// Who joins, who leaves, and who is another one under the same name.
fn witnesses(old: &WitnessSet, new: &WitnessSet, out: &mut Vec<Change>) {
    let of = |set: &WitnessSet, name: &str| {
        Some((set.kinds().get(name)?.clone(), set.quorum().witnesses().get(name)?.clone()))
    };
    let names = old.kinds().keys().chain(new.kinds().keys().filter(|name| !old.kinds().contains_key(*name)));
    for name in names {
        let (sign, words) = match (of(old, name), of(new, name)) {
            (None, Some((_, key))) => ('+', format!("{} {}", clean(name), short(&key.key().to_multikey()))),
            (Some((_, key)), None) => ('-', format!("{} {}", clean(name), short(&key.key().to_multikey()))),
            (old, new) if old != new => ('~', format!("{}: other keys, or of another kind", clean(name))),
            _ => continue,
        };
        out.push(Change { sign, what: "witness", text: words });
    }
}

fn roots(previous: Option<&Charter>, charter: &Charter, out: &mut Vec<Change>) {
    let threshold = |c: &Charter| format!("{} of {}", c.document().roots.threshold, c.document().roots.keys.len());
    let new = threshold(charter);
    let Some(previous) = previous else {
        let keys = charter.document().roots.keys.iter();
        out.extend(keys.map(|key| Change { sign: '+', what: "root", text: key_words(key) }));
        out.push(Change { sign: '+', what: "threshold", text: format!("{new} roots sign a charter") });
        return;
    };
    let old = threshold(previous);
    let (now, before) = (&charter.document().roots.keys, &previous.document().roots.keys);
    let begin = out.len();
    let added = now.iter().filter(|key| !before.contains(key)).map(|key| ('+', key));
    let dropped = before.iter().filter(|key| !now.contains(key)).map(|key| ('-', key));
    let both = added.chain(dropped);
    out.extend(both.map(|(sign, key)| Change {
        sign,
        what: "root",
        text: if old == new { key_words(key) } else { format!("{}: {old} → {new}", key_words(key)) },
    }));
    if out.len() == begin && old != new {
        out.push(Change { sign: '~', what: "threshold", text: format!("{old} → {new}") });
    }
}

fn anchors(previous: Option<&Charter>, charter: &Charter, out: &mut Vec<Change>) {
    let of = |c: &Charter| -> BTreeMap<String, String> {
        c.document().anchors.iter().map(|a| (a.authority.clone(), anchor_words(a))).collect()
    };
    let (old, new) = (previous.map(of).unwrap_or_default(), of(charter));
    for (authority, words) in &new {
        match old.get(authority) {
            None => out.push(Change { sign: '+', what: "anchor", text: words.clone() }),
            Some(before) if before == words => {}
            Some(before) => out.push(Change { sign: '~', what: "anchor", text: format!("{before} → {words}") }),
        }
    }
    let dropped = old.iter().filter(|(authority, _)| !new.contains_key(*authority));
    out.extend(dropped.map(|(_, words)| Change { sign: '-', what: "anchor", text: words.clone() }));
}

fn anchor_words(anchor: &standfast_protocol::charter::AnchorTerms) -> String {
    let keys = counted(anchor.register.keys.len() as u64, "key", "keys");
    let after = anchor.register.after.as_ref();
    let after = after.map(|a| format!(" · after {}@{}", origin_short(&a.origin), a.size)).unwrap_or_default();
    format!("{} · {} · {keys}{after}", did(&anchor.authority), origin_short(&anchor.register.origin))
}

/// Says `customs z6Mk…9aLp`: the name without what the key is for.
fn key_words(key: &VerifierKey) -> String {
    let name = key.name().strip_suffix("/root").unwrap_or(key.name());
    format!("{} {}", clean(name), short(&key.key().to_multikey()))
}

/// Says `3 of 4 · 2 that lie could fork · 2 absent stop grants`.
fn witness_words(set: &WitnessSet) -> String {
    let quorum = set.quorum();
    match quorum.fewest_to_stop() {
        None => "none: nobody vouches for what is newest".to_owned(),
        Some(stop) => {
            let (need, named) = (quorum.fewest_to_meet(), quorum.witnesses().len());
            let fork = match quorum.fewest_to_fork() {
                0 => "no lie is needed to fork".to_owned(),
                1 => "1 that lies could fork".to_owned(),
                n => format!("{n} that lie could fork"),
            };
            let stop =
                if stop == 1 { "1 absent stops grants".to_owned() } else { format!("{stop} absent stop grants") };
            format!("{need} of {named} · {fork} · {stop}")
        }
    }
}

fn limit_words(charter: &Charter) -> String {
    let limits = charter.document().limits;
    let (witnessed, published, named) = (age(limits.witnessed_s), age(limits.published_s), age(limits.charter_s));
    format!("witnessed {witnessed} · published {published} · charter {named}")
}

fn quota_words(charter: &Charter) -> String {
    let quotas = charter.document().quotas;
    let entries = counted(quotas.entries_per_day, "entry", "entries");
    format!("{entries} and {} a day · deltas {}", size(quotas.bytes_per_day), age(quotas.delta_retention_s))
}

/// Says `expires 2027-06-01, in 6 months`, or `expired 2027-06-01, 2 days ago`.
pub(super) fn expiry(charter: &Charter, now: Time) -> String {
    let end = Time::from_secs_saturating(charter.document().expires_at);
    if charter.is_expired(now.secs()) {
        format!("expired {}, {} ago: it grants nothing new", date(end), age(now.since(end)))
    } else {
        format!("expires {}, in {}", date(end), left(end.since(now)))
    }
}

/// Shows a charter whole.
pub(super) fn whole(charter: &Charter, signatures: &Signatures, chain: Option<&Chain>, now: Time) -> String {
    let document = charter.document();
    let network = short(&charter.network_id().to_string());
    let mut out = format!("Charter {} of network {network}, {}\n", charter.version(), expiry(charter, now));
    let mut row = |label: &str, text: &str| {
        for (i, line) in wrap(text, COLUMNS - 13).iter().enumerate() {
            let label = if i == 0 { label } else { "" };
            out.push_str(&format!("  {label:<10} {line}\n"));
        }
    };
    row("network", &charter.network_id().to_string());
    row("digest", &charter.digest().to_string());
    let own = signatures.own;
    row("signed", &format!("by {} of {} roots, {} needed", own.have, document.roots.keys.len(), own.need));
    for fork in chain.into_iter().flat_map(Chain::forks) {
        let [one, other] = fork.sides.each_ref().map(|side| short(&side.charter().digest().to_string()));
        match fork.is_settled {
            true => row("pinned", &format!("version {}, against {other}", fork.version)),
            false => row("forked", &format!("version {}: {one} and {other}; pin one of them", fork.version)),
        }
    }
    for (i, key) in document.roots.keys.iter().enumerate() {
        let label = if i == 0 { "roots" } else { "" };
        let signed = if signatures.names.iter().any(|name| name == key.name()) { ", signed" } else { "" };
        row(label, &format!("{}{signed}", key_words(key)));
    }
    for (i, anchor) in document.anchors.iter().enumerate() {
        row(if i == 0 { "anchors" } else { "" }, &anchor_words(anchor));
    }
    let set = charter.witnesses_at(now.secs());
    row("witnesses", &witness_words(set));
    for (name, kind) in set.kinds() {
        let foreign = if kind.kind == Kind::Admitting { "" } else { ", adds fork resistance only" };
        row("", &format!("{}{foreign}", clean(name)));
    }
    if document.witnesses.before.is_some() && now.secs() < document.witnesses.from {
        let from = date(Time::from_secs_saturating(document.witnesses.from));
        row("", &format!("from {from}: {}", witness_words(charter.witnesses())));
    }
    row("limits", &limit_words(charter));
    row("quotas", &quota_words(charter));
    out
}
