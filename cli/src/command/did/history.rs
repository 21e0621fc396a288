//! `did show` of a did:webvh DID: the log's versions, and who holds which copy of it.
//!
//! ```text
//! did:webvh:QmX7…b2Ka:transport.gov.example
//!   log       3 versions · each names the keys of the next · 2 of 3 witnesses
//!
//!   VERSION  MADE              SAYS
//!         3  2026-11-20 14:28  + #lic-2029
//! ```

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;
use standfast_protocol::did::DidDocument;
use standfast_protocol::did::webvh::copies::{Relation, ends};
use standfast_protocol::did::webvh::resolve::Wanted;
use standfast_protocol::did::webvh::{Log, Version, controlled};
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::time::Time;

use super::webvh::{self, Kept};
use crate::command::Context;
use crate::error::{CliError, CliResult, Exit};
use crate::held;
use crate::output::table::{Column, Table};
use crate::output::{Sign, Style, words};

#[derive(Serialize)]
struct LogDocument<'a> {
    kind: &'static str,
    did: &'a str,
    /// True when copies part.
    forked: bool,
    deactivated: bool,
    versions: Vec<VersionDocument<'a>>,
    /// Versions of the log in this data directory; `None` where there is none.
    kept_here: Option<usize>,
    copies: Vec<CopyDocument<'a>>,
    metadata: serde_json::Value,
    document: serde_json::Value,
}

#[derive(Serialize)]
struct VersionDocument<'a> {
    version_id: &'a str,
    version_time: &'a str,
    did: &'a str,
    update_keys: &'a [String],
    next_key_hashes: &'a [String],
    witnesses_needed: usize,
    witnesses: &'a [String],
    deactivated: bool,
    says: Vec<String>,
}

#[derive(Serialize)]
struct CopyDocument<'a> {
    register: &'a str,
    witnessed: bool,
    versions: usize,
    /// Where it parts from the copy that is shown; `None` where it does not.
    parts_after: Option<usize>,
    published_age_s: Option<u64>,
    witnessed_age_s: Option<u64>,
}

/// Shows a DID with its log: the newest version, or the one in force at a time.
pub(super) fn show(context: &Context, did: &str, at: Option<Time>, out: Option<&Path>, yes: bool) -> CliResult {
    let snapshot = match held::snapshot(context) {
        Ok(snapshot) => Some(snapshot),
        // Before a charter is chosen there are only own logs.
        Err(e) if e.code == "charter-missing" => None,
        Err(e) => return Err(e),
    };
    let own = if context.config.trust.is_some() { None } else { webvh::local(context, did)? };
    let copies = snapshot.as_ref().map(|snapshot| webvh::copies(snapshot.replica(), did)).unwrap_or_default();
    let all: Vec<&Kept> = own.iter().chain(copies.iter().map(|copy| &copy.kept)).collect();
    let logs: Vec<&Log> = all.iter().map(|kept| kept.log()).collect();
    let places = ends(&logs);
    let Some(shown) = places.first().and_then(|place| all.get(*place)).copied() else {
        return Err(CliError::new("did-missing", Exit::Open, format!("no log of {} is held here", words::did(did)))
            .hint("see those that are: standfast record list did/did:webvh:"));
    };
    if let Some(out) = out {
        context.write(out, shown.bytes(), yes)?;
        if out == Path::new("-") {
            return Ok(Exit::Done);
        }
    }
    let log = shown.log();
    let wanted = at.map_or(Wanted::Newest, Wanted::Time);
    let resolved = log.resolve(&wanted, context.now).map_err(|e| {
        CliError::new("did-missing", Exit::Open, format!("{} had no version then", words::did(did))).because(&e)
    })?;
    let read = |json: String| serde_json::from_str::<serde_json::Value>(&json).unwrap_or_default();
    let document = LogDocument {
        kind: "standfast/did-log/v1",
        did: log.newest().did(),
        forked: places.len() > 1,
        deactivated: log.is_deactivated(),
        versions: versions(log),
        kept_here: own.as_ref().map(|kept| kept.log().versions().len()),
        copies: copies
            .iter()
            .map(|copy| {
                let ages = snapshot.as_ref().and_then(|snapshot| snapshot.ages(&copy.origin, context.now.secs()));
                CopyDocument {
                    register: &copy.origin,
                    witnessed: copy.witnessed,
                    versions: copy.kept.log().versions().len(),
                    parts_after: parts_after(log, copy.kept.log()),
                    published_age_s: ages.as_ref().and_then(|ages| ages.age(ages.published)),
                    witnessed_age_s: ages.as_ref().and_then(|ages| ages.age(ages.witnessed)),
                }
            })
            .collect(),
        metadata: read(resolved.metadata.to_string()),
        document: read(resolved.document.to_string()),
    };
    context.output.result(&document, |style| draw(context, style, snapshot.as_deref(), &document, log))?;
    Ok(Exit::Done)
}

fn parts_after(shown: &Log, other: &Log) -> Option<usize> {
    match shown.relation(other) {
        Relation::Diverges(common) => Some(common),
        Relation::Same | Relation::Older | Relation::Newer => None,
    }
}

fn versions(log: &Log) -> Vec<VersionDocument<'_>> {
    let before = std::iter::once(None).chain(log.versions().iter().map(Some));
    let document = |(version, before): (&'_ Version, Option<&Version>)| says(version, before);
    log.versions()
        .iter()
        .zip(before)
        .map(|(version, before)| VersionDocument {
            version_id: version.id(),
            version_time: version.time().as_str(),
            did: version.did(),
            update_keys: version.parameters().update_keys(),
            next_key_hashes: version.parameters().next_key_hashes(),
            witnesses_needed: version.witnesses().map_or(0, |witnesses| witnesses.threshold),
            witnesses: version.witnesses().map_or(&[], |witnesses| &witnesses.dids),
            deactivated: version.parameters().deactivated(),
            says: document((version, before)),
        })
        .collect()
}

/// What a version changes: keys, name, witnesses, its end.
fn says(version: &Version, before: Option<&Version>) -> Vec<String> {
    let keys = |version: &Version| -> BTreeSet<(String, String)> {
        let document = DidDocument::from_json(&controlled(version.state(), version.did())).ok();
        let methods = document.as_ref().map(DidDocument::methods).unwrap_or_default();
        let fragment = |id: &str| id.split_once('#').map_or_else(|| id.to_owned(), |(_, name)| format!("#{name}"));
        methods.iter().map(|method| (fragment(&method.id), method.multikey.clone().unwrap_or_default())).collect()
    };
    let (old, new) = (before.map(keys).unwrap_or_default(), keys(version));
    let mut says: Vec<String> = new.difference(&old).map(|(id, _)| format!("+ {}", words::clean(id))).collect();
    says.extend(old.difference(&new).map(|(id, _)| format!("- {}", words::clean(id))));
    let (parameters, was) = (version.parameters(), before.map(Version::parameters));
    if before.is_some_and(|before| before.did() != version.did()) {
        says.push(format!("moves to {}", words::did(version.did())));
    }
    if was.is_some_and(|was| was.witness() != parameters.witness())
        || (before.is_none() && parameters.witness().is_some())
    {
        says.push(match parameters.witness() {
            Some(now) => format!("witnesses: {}", words::share(now.threshold as u64, now.dids.len() as u64)),
            None => "no more witnesses".to_owned(),
        });
    }
    if parameters.deactivated() {
        says.push("ends the DID".to_owned());
    }
    says
}

fn draw(
    context: &Context,
    style: &Style,
    snapshot: Option<&Snapshot>,
    document: &LogDocument<'_>,
    log: &Log,
) -> String {
    let mut out = format!("{}\n", words::did(document.did));
    let parameters = log.newest().parameters();
    let mut about = vec![words::counted(document.versions.len() as u64, "version", "versions")];
    about.push(match (document.deactivated, parameters.pre_rotates()) {
        (true, _) => "deactivated: nothing can follow".to_owned(),
        (false, true) => "each names the keys of the next".to_owned(),
        (false, false) => "the next is by the keys of this one".to_owned(),
    });
    if let Some(witness) = parameters.witness() {
        let share = words::share(witness.threshold as u64, witness.dids.len() as u64);
        about.push(format!("witnessed by {share}"));
    }
    if parameters.portable() {
        about.push("may move".to_owned());
    }
    let mut row = |label: &str, text: String| out.push_str(&format!("  {label:<9} {text}\n"));
    row("log", about.join(" · "));
    if document.forked {
        row("forked", format!("{} copies part: see below", style.sign(Sign::Tampered)));
    }
    let length = log.versions().len();
    match document.kept_here {
        Some(kept) if document.copies.is_empty() => {
            row("here", format!("{}, not published", words::counted(kept as u64, "version", "versions")));
        }
        Some(kept) if document.copies.iter().all(|copy| copy.versions < kept) => {
            let more = kept.saturating_sub(document.copies.iter().map(|copy| copy.versions).max().unwrap_or_default());
            row("here", format!("{}, not published", words::counted(more as u64, "version more", "versions more")));
        }
        _ => {}
    }
    if let Some(snapshot) = snapshot {
        for copy in &document.copies {
            let has = match copy.parts_after {
                Some(common) => {
                    let sign = style.sign(Sign::Tampered);
                    format!("{sign} another history from version {} on", common.saturating_add(1))
                }
                None if copy.versions == length => "all of it".to_owned(),
                None => format!("up to version {}", copy.versions),
            };
            row("register", format!("{} · {has}", held::name(snapshot.replica(), copy.register)));
            row("state", held::standing(snapshot.replica(), copy.witnessed).to_owned());
            if let Some(ages) = snapshot.ages(copy.register, context.now.secs()) {
                let witnessed = held::witnessed(snapshot, copy.register, &ages);
                row("fresh", format!("witnessed {witnessed} · published {}", held::published(&ages)));
            }
        }
    }
    let columns = [Column::right("VERSION"), Column::left("MADE"), Column::left("SAYS")];
    let mut table = Table::new(columns, false);
    for (place, version) in log.versions().iter().zip(&document.versions).enumerate().rev() {
        let (made, number) = (words::at(version.0.time().time(), context.now), place.saturating_add(1).to_string());
        let says = if version.1.says.is_empty() { "-".to_owned() } else { version.1.says.join(" · ") };
        table.row(None, [number, made, says]);
    }
    out.push('\n');
    out.push_str(&table.draw(style));
    let number = document.metadata["versionNumber"].to_string();
    out.push_str(&format!("\nDocument of version {number}\n"));
    let text = serde_json::to_string_pretty(&document.document).unwrap_or_default();
    text.lines().for_each(|line| out.push_str(&format!("  {}\n", words::clean(line))));
    out
}
