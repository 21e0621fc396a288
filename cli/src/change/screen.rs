//! What a change says on the screen, and as JSON.
//!
//! ```text
//! Sent to 12 peers: every node it reaches rejects from now on
//! ✓ entry 3 of transport.gov.example witnessed by 3 of 4 after 0.9 s
//! ```

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use standfast_node::ledger::Signed;
use standfast_protocol::digest::Digest;
use standfast_protocol::register::draft::Prepared;
use standfast_protocol::status::native::StatusList;
use standfast_protocol::time::Time;

use super::batch::Waiting;
use super::{Desk, Published, RecordChange, View, Witnessed};
use crate::command::Context;
use crate::error::{CliError, CliResult, Exit};
use crate::output::{Sign, Style, words};

/// Changes of a dry run or a draft that are shown a line each; the rest is counted.
const CHANGES_SHOWN: usize = 20;

#[derive(Serialize)]
struct PublishedDocument<'a> {
    kind: &'static str,
    register: &'a str,
    size_before: u64,
    size: u64,
    root: Digest,
    changes: Vec<ChangeDocument<'a>>,
    resent: &'a [u64],
    taken_after_ms: u64,
    peers: Option<u64>,
    witnessed: Option<bool>,
    witnesses: Option<u64>,
    witnesses_named: u64,
    witnessed_after_ms: Option<u64>,
}

#[derive(Serialize)]
struct ChangeDocument<'a> {
    record: &'a str,
    sha256: Option<Digest>,
}

fn document<'a>(published: &'a Published, witnessed: Option<(Witnessed, Duration)>) -> PublishedDocument<'a> {
    PublishedDocument {
        kind: "standfast/published/v1",
        register: &published.origin,
        size_before: published.size_before,
        size: published.size,
        root: published.root,
        changes: published
            .changes
            .iter()
            .map(|(key, digest)| ChangeDocument { record: key.as_str(), sha256: *digest })
            .collect(),
        resent: &published.resent,
        taken_after_ms: millis(published.taken_after),
        peers: published.peers,
        witnessed: witnessed.map(|_| true),
        witnesses: witnessed.map(|(witnessed, _)| witnessed.standing),
        witnesses_named: published.witnesses_named,
        witnessed_after_ms: witnessed.map(|(_, after)| millis(after)),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `entry 3 of transport.gov.example`, or `entries 3 to 5 of …`.
fn entries_of(published: &Published) -> String {
    entries_words(&published.name, published.size_before, published.size)
}

fn entries_words(name: &str, before: u64, size: u64) -> String {
    let first = before.saturating_add(1).min(size);
    if first == size {
        format!("entry {} of {name}", words::grouped(size))
    } else {
        format!("entries {} to {} of {name}", words::grouped(first), words::grouped(size))
    }
}

/// What an earlier command signed and did not hand over.
fn resent_words(style: &Style, published: &Published) -> String {
    let line = |size: &u64| {
        format!("{} entry {} was signed before and is handed over now\n", style.sign(Sign::Next), words::grouped(*size))
    };
    published.resent.iter().map(line).collect()
}

/// Says that there is nothing to change.
pub(super) fn unchanged(context: &Context, published: &Published) -> CliResult<()> {
    context.output.result(&document(published, None), |style| {
        let sign = style.sign(Sign::Good);
        format!("{sign} nothing to change: {} says it already\n", published.name)
    })?;
    Ok(())
}

/// Says at once how far an urgent withdrawal has gone.
pub(super) fn urgent(context: &Context, published: &Published) -> CliResult<()> {
    if let Some(peers) = published.peers {
        let peers = words::counted(peers, "peer", "peers");
        context.output.text(&format!("Sent to {peers}: every node it reaches rejects from now on\n"))?;
    }
    Ok(())
}

/// Says that it was handed over.
pub(super) fn published(context: &Context, published: &Published) -> CliResult<()> {
    context.output.result(&document(published, None), |style| {
        let head =
            format!("{}{} {} published", resent_words(style, published), style.sign(Sign::Good), entries_of(published));
        match published.peers {
            Some(peers) => format!("{head} · sent to {}\n", words::counted(peers, "peer", "peers")),
            None => format!(
                "{head} here\n{} next: send it on: standfast node run, or standfast bundle export --out FILE\n",
                style.sign(Sign::Next)
            ),
        }
    })?;
    Ok(())
}

/// Says that a quorum stands there.
pub(super) fn witnessed(context: &Context, published: &Published, witnessed: Witnessed) -> CliResult<()> {
    let after = published.handed_over.elapsed();
    context.output.result(&document(published, Some((witnessed, after))), |style| {
        let head = format!("{}{} {}", resent_words(style, published), style.sign(Sign::Good), entries_of(published));
        if witnessed.named == 0 {
            return format!("{head} counts at once: this network names no witnesses\n");
        }
        let share = words::share(witnessed.standing, witnessed.named);
        format!("{head} witnessed by {share} after {:.1} s\n", after.as_secs_f64())
    })?;
    Ok(())
}

/// Says who has not cosigned in time; the change stays published.
pub(super) fn not_witnessed(context: &Context, desk: &Desk, published: &Published, span: Duration) -> CliError {
    let entries = entries_of(published);
    if !desk.is_running() {
        return CliError::new("not-witnessed", Exit::Open, format!("{entries} is kept here, and no witness has it"))
            .cause("no node runs on this data directory that would send it on")
            .hint("start one: standfast node run");
    }
    let span = words::age(span.as_secs());
    let made = CliError::new("not-witnessed", Exit::Open, format!("{entries} is not witnessed after {span}"));
    let made = match desk.replica(context) {
        Err(_) => made,
        Ok(replica) => {
            let named: BTreeSet<&str> = replica.quorum().witnesses().keys().map(String::as_str).collect();
            let stand = replica.register(&published.origin).and_then(|register| register.stand(published.size));
            let cosigned: BTreeSet<&str> =
                stand.into_iter().flat_map(|stand| stand.cosignatures()).map(|c| c.witness()).collect();
            let missing: Vec<&str> = named.difference(&cosigned).copied().collect();
            let share = words::share(cosigned.len() as u64, named.len() as u64);
            let needed = replica.quorum().fewest_to_meet();
            made.cause(format!("cosigned by {share}, {needed} needed; not by {}", missing.join(", ")))
        }
    };
    made.hint("it is published and stays so: standfast status says when a quorum stands there")
}

/// `3 statuses wait until 14:45 UTC, 12 min from now`, and whose they are.
pub(super) fn waiting_line(name: &str, waiting: &Waiting, now: Time) -> String {
    format!("{name}: {}", waiting.words(now))
}

/// Says that statuses wait, and how they go out.
pub(super) fn batched(context: &Context, name: &str, waiting: &Waiting) -> CliResult<()> {
    #[derive(Serialize)]
    struct Document<'a> {
        kind: &'static str,
        #[serde(flatten)]
        waiting: &'a Waiting,
    }
    let document = Document { kind: "standfast/batched/v1", waiting };
    context.output.result(&document, |style| {
        let (open, next) = (style.sign(Sign::Open), style.sign(Sign::Next));
        let line = waiting_line(name, waiting, context.now);
        format!(
            "{open} not sent: {line}\n{next} next: then, or at any time: standfast register publish {name}\n\
             {next} what cannot wait is sent at once with --urgent\n"
        )
    })?;
    Ok(())
}

/// Says what was gathered.
pub(super) fn gathered(context: &Context, path: &Path, key: &str, name: &str, all: &[RecordChange]) -> CliResult<()> {
    #[derive(Serialize)]
    struct Document<'a> {
        kind: &'static str,
        file: String,
        changes: Vec<ChangeDocument<'a>>,
    }
    let document = Document {
        kind: "standfast/gathered/v1",
        file: path.display().to_string(),
        changes: all.iter().map(change_document).collect(),
    };
    let shown = path.display();
    context.output.result(&document, |style| {
        let count = words::counted(all.len() as u64, "change", "changes");
        format!(
            "Wrote {shown}: {count} of {name}, nothing signed\n{} next: standfast register sign {shown} --key {key}\n",
            style.sign(Sign::Next)
        )
    })?;
    Ok(())
}

/// Says what was signed.
pub(super) fn signed(context: &Context, path: &Path, name: &str, signed: &Signed) -> CliResult<()> {
    #[derive(Serialize)]
    struct Document<'a> {
        kind: &'static str,
        file: String,
        register: &'a str,
        size: u64,
        root: Digest,
    }
    let checkpoint = &signed.checkpoint;
    let document = Document {
        kind: "standfast/signed-draft/v1",
        file: path.display().to_string(),
        register: &checkpoint.origin,
        size: checkpoint.size,
        root: checkpoint.root,
    };
    let shown = path.display();
    context.output.result(&document, |style| {
        let before = checkpoint.size.saturating_sub(signed.entries.len() as u64);
        let entries = entries_words(name, before, checkpoint.size);
        let root = words::short(&checkpoint.root.to_string());
        format!("Signed {entries}: root {root}\n{} next: standfast register publish {shown}\n", style.sign(Sign::Next))
    })?;
    Ok(())
}

/// Shows what would change.
pub(super) fn dry_run(
    context: &Context,
    view: &View<'_>,
    name: &str,
    prepared: &Prepared,
    changes: &[RecordChange],
) -> CliResult<()> {
    #[derive(Serialize)]
    struct Document<'a> {
        kind: &'static str,
        register: &'a str,
        size: u64,
        root: Digest,
        changes: Vec<ChangeDocument<'a>>,
    }
    let checkpoint = prepared.checkpoint();
    let document = Document {
        kind: "standfast/change/v1",
        register: &checkpoint.origin,
        size: checkpoint.size,
        root: checkpoint.root,
        changes: changes.iter().map(change_document).collect(),
    };
    let mut lines = String::new();
    for change in changes.iter().take(CHANGES_SHOWN) {
        let record = words::clean(change.key.as_str());
        let old = view.held_body(&change.key).ok().flatten();
        match (&change.body, old) {
            (None, _) => lines.push_str(&format!("- {record}\n")),
            (Some(body), None) if !view.contains(&change.key) => {
                lines.push_str(&format!("+ {record}, {}\n", words::size(body.len() as u64)));
            }
            (Some(body), old) => {
                let new = StatusList::parse(body).ok();
                let old = old.and_then(|old| StatusList::parse(&old).ok());
                let set = new.as_ref().zip(old.as_ref()).and_then(|(new, old)| new.changes_since(old));
                let what = match set {
                    Some(set) => words::counted(set.len() as u64, "status", "statuses"),
                    None => words::size(body.len() as u64),
                };
                lines.push_str(&format!("~ {record}, {what}\n"));
            }
        }
    }
    let rest = changes.len().saturating_sub(CHANGES_SHOWN);
    if rest > 0 {
        lines.push_str(&format!("  and {}\n", words::counted(rest as u64, "more record", "more records")));
    }
    context.output.result(&document, |_| {
        let entries = entries_words(name, prepared.first(), checkpoint.size);
        let bytes: usize = prepared.entries().iter().map(|entry| entry.bytes().len()).sum();
        format!("Would publish {entries}, {}:\n{lines}Nothing was signed or sent\n", words::size(bytes as u64))
    })?;
    Ok(())
}

fn change_document(change: &RecordChange) -> ChangeDocument<'_> {
    ChangeDocument { record: change.key.as_str(), sha256: change.body.as_ref().map(|body| Digest::of(body)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_named_by_the_sizes_they_lead_to() {
        assert_eq!(entries_words("a.example", 2, 3), "entry 3 of a.example");
        assert_eq!(entries_words("a.example", 2, 5), "entries 3 to 5 of a.example");
        assert_eq!(entries_words("a.example", 1_881, 1_882), "entry 1,882 of a.example");
        assert_eq!(entries_words("a.example", 3, 3), "entry 3 of a.example");
    }
}
