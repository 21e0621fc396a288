//! `status-list`: lists of revoked and suspended credentials.

use std::path::Path;

use serde::Serialize;
use standfast_protocol::credential::Credential;
use standfast_protocol::limits;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::replica::Replica;
use standfast_protocol::status::bitstring::Bitstring;
use standfast_protocol::status::native::StatusList;

use super::Context;
use super::credential::indices::IndexBook;
use crate::args::agency::StatusList as Verb;
use crate::args::change::Change;
use crate::change::{self, Kind, RecordChange};
use crate::error::{CliError, CliResult, Exit};
use crate::held;
use crate::output::table::{Column, Table};
use crate::output::words;

/// Runs a verb of `status-list`.
pub fn run(context: &Context, command: Verb) -> CliResult {
    match command {
        Verb::Create { uri, length, bits, purpose, change } => {
            create(context, &uri, purpose.as_str(), bits, length, &change)
        }
        Verb::Publish { uri, file, change } => publish(context, &uri, &file, &change),
        Verb::List => list(context),
        Verb::Show { uri } => show(context, &uri),
    }
}

fn create(context: &Context, uri: &str, purpose: &str, bits: u8, length: u64, change: &Change) -> CliResult {
    let key = key_of(uri)?;
    let new = StatusList::new(uri, purpose, bits, length).map_err(|e| {
        CliError::usage(format!("no list of {} indices can be made", words::grouped(length))).because(&e)
    })?;
    change::run(context, change, Kind::Grant, |view| {
        let data_dir = &context.config.data_dir;
        if let Some(body) = view.body(&key)? {
            let there = || CliError::new("list-exists", Exit::Refused, format!("list {} is there", words::clean(uri)));
            if body != new.encode() {
                return Err(there()
                    .cause("what it says of credentials is never made anew")
                    .hint(format!("see it: standfast status-list show {uri}, or give another URI")));
            }
            if !IndexBook::exists(data_dir, uri) {
                return Err(there()
                    .cause("which of its indices were given to credentials is not known on this machine")
                    .hint("restore the folder indices/ from a backup, or give another URI"));
            }
        } else if !change.options.dry_run {
            // Before the list is published, so that nobody makes a second book of it afterwards.
            IndexBook::create(&context.make_data_dir()?, uri, purpose, bits, length)?;
        }
        Ok(vec![RecordChange::put(key, new.encode())])
    })
}

/// Publishes a list that is a credential of its own, byte for byte: its signature covers them.
fn publish(context: &Context, uri: &str, path: &Path, change: &Change) -> CliResult {
    let key = key_of(uri)?;
    let bytes = context.read(path, limits::BODY_SIZE_MAX as u64)?;
    let shown = words::clean(&path.display().to_string());
    let malformed = || CliError::malformed(format!("{shown} is not a signed status list"));
    let credential = Credential::parse(&bytes).map_err(|e| malformed().because(&e))?;
    Bitstring::from_credential(&credential).map_err(|e| malformed().because(&e))?;
    if credential.id().is_some_and(|id| id != uri) {
        return Err(
            malformed().cause(format!("it says that it is {}", words::clean(credential.id().unwrap_or_default())))
        );
    }
    change::run(context, change, Kind::Grant, |view| {
        if view.body(&key)?.is_some_and(|held| StatusList::parse(&held).is_ok()) {
            return Err(CliError::new("list-exists", Exit::Refused, format!("list {} is there", words::clean(uri)))
                .cause("it is of this program's own form, and what it says of credentials is never made anew")
                .hint("give another URI"));
        }
        Ok(vec![RecordChange::put(key, bytes)])
    })
}

/// Returns the key of a list.
pub fn key_of(uri: &str) -> CliResult<RecordKey> {
    RecordKey::status(uri)
        .map_err(|e| CliError::usage(format!("{} names no status list", words::clean(uri))).because(&e))
}

#[derive(Serialize)]
struct ListDocument {
    kind: &'static str,
    uri: String,
    register: String,
    purpose: Option<String>,
    bits: Option<u8>,
    length: Option<u64>,
    set: Option<u64>,
    size_bytes: Option<u64>,
    witnessed: bool,
}

/// Reads every list held: ours and those of others, native and foreign.
fn lists(replica: &Replica) -> Vec<ListDocument> {
    let mut out = Vec::new();
    for register in replica.registers().values() {
        for (key, digest) in held::records(register, "status/") {
            let record = replica.bodies().get(&digest);
            let list = record.and_then(|record| record.status_list().ok());
            let uri = key.parts().first().map(ToString::to_string).unwrap_or_default();
            out.push(ListDocument {
                kind: "standfast/status-list/v1",
                uri,
                register: register.origin().to_owned(),
                purpose: list.map(|list| list.purpose().to_owned()),
                bits: list.map(StatusList::bits),
                length: list.map(StatusList::length),
                set: list.map(set),
                size_bytes: record.map(|record| record.body().len() as u64),
                witnessed: register.state_witnessed().get(key.as_str().as_bytes()) == Some(digest),
            });
        }
    }
    out
}

/// Counts the indices whose value is not 0.
fn set(list: &StatusList) -> u64 {
    let not_zero: Vec<u8> = (1..=u8::MAX).collect();
    list.rejecting(&not_zero).iter().map(|word| u64::from(word.count_ones())).sum()
}

fn list(context: &Context) -> CliResult {
    #[derive(Serialize)]
    struct Document {
        kind: &'static str,
        lists: Vec<ListDocument>,
    }
    let snapshot = held::snapshot(context)?;
    let document = Document { kind: "standfast/status-lists/v1", lists: lists(snapshot.replica()) };
    context.output.result(&document, |style| {
        if document.lists.is_empty() {
            return "no list is held here\n".to_owned();
        }
        let columns = [
            Column::left("PURPOSE").gap(2),
            Column::right("SET"),
            Column::right("LENGTH"),
            Column::left("NOTE").gap(2),
            Column::left("LIST"),
        ];
        let mut table = Table::new(columns, false).whole();
        for list in &document.lists {
            let count = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), words::grouped);
            let purpose = list.purpose.clone().unwrap_or_else(|| "foreign".to_owned());
            let cells = [purpose, count(list.set), count(list.length), note(list), words::clean(&list.uri)];
            table.row(None, cells);
        }
        table.draw(style)
    })?;
    Ok(Exit::Done)
}

fn note(list: &ListDocument) -> String {
    match (list.size_bytes, list.witnessed) {
        (None, _) => "body missing",
        (Some(_), false) => "pending",
        (Some(_), true) => "-",
    }
    .to_owned()
}

fn show(context: &Context, uri: &str) -> CliResult {
    let snapshot = held::snapshot(context)?;
    let replica = snapshot.replica();
    let mut found: Vec<ListDocument> = lists(replica).into_iter().filter(|list| list.uri == uri).collect();
    let Some(list) = found.pop() else {
        return Err(CliError::new(
            "status-missing",
            Exit::Open,
            format!("list {} is not held here", words::clean(uri)),
        )
        .hint("see those that are: standfast status-list list"));
    };
    if !found.is_empty() {
        let all: Vec<&str> = found.iter().map(|l| l.register.as_str()).chain([list.register.as_str()]).collect();
        return Err(CliError::new("list-ambiguous", Exit::Open, "more than one register has a list of this URI")
            .cause(all.into_iter().map(words::origin_short).collect::<Vec<_>>().join(", "))
            .hint("see each: standfast record list status/"));
    }
    let ages = snapshot.ages(&list.register, context.now.secs());
    context.output.result(&list, |_| {
        let mut out = format!("{}\n", words::clean(&list.uri));
        let mut row = |label: &str, text: String| out.push_str(&format!("  {label:<9} {text}\n"));
        match (list.set, list.length, &list.purpose) {
            (Some(set), Some(length), Some(purpose)) => {
                row("purpose", words::clean(purpose));
                row("set", words::share(set, length));
            }
            _ if list.size_bytes.is_some() => row("form", "a foreign list, under its own signature".to_owned()),
            _ => row("body", "has not come here yet".to_owned()),
        }
        if let Some(bits) = list.bits.filter(|bits| *bits > 1) {
            row("bits", format!("{bits} an index"));
        }
        if let Some(size) = list.size_bytes {
            row("size", words::size(size));
        }
        row("register", held::name(replica, &list.register));
        row("state", held::standing(replica, list.witnessed).to_owned());
        if let Some(ages) = &ages {
            row("fresh", held::witnessed(&snapshot, &list.register, ages));
        }
        out
    })?;
    Ok(Exit::Done)
}
