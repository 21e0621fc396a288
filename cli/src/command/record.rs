//! `record`: records by key, of any kind.

mod prove;
mod verify;

use std::path::Path;

use serde::Serialize;
use standfast_protocol::credential::jcs;
use standfast_protocol::credential::json::Json;
use standfast_protocol::digest::Digest;
use standfast_protocol::limits;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::register::state::Register;
use standfast_protocol::replica::Replica;
use standfast_protocol::status::native::StatusList;

use super::Context;
use crate::args::agency::Record as Verb;
use crate::args::change::Change;
use crate::change::{self, Kind, RecordChange};
use crate::error::{CliError, CliResult, Exit};
use crate::held;
use crate::output::table::{Column, Table};
use crate::output::words;

/// Characters in a notice (`specs/register.md`, records).
const NOTICE_LENGTH_MAX: usize = 280;

/// Runs a verb of `record`.
pub fn run(context: &Context, command: Verb) -> CliResult {
    match command {
        Verb::List { prefix, register } => list(context, prefix.as_deref().unwrap_or_default(), register.as_deref()),
        Verb::Show { record, register } => show(context, &record, register.as_deref()),
        Verb::Publish { record, file, change } => publish(context, &record, &file, &change),
        Verb::Withdraw { record, change } => withdraw(context, &record, &change),
        Verb::Prove { record, out, register, leaf, yes } => {
            prove::prove(context, &record, register.as_deref(), &prove::Files { out, leaf, yes })
        }
        Verb::Verify { proof, charter } => verify::verify(context, &proof, charter.as_deref()),
    }
}

#[derive(Serialize)]
struct RecordLine<'a> {
    register: &'a str,
    record: String,
    sha256: Digest,
    size_bytes: Option<u64>,
    witnessed: bool,
}

fn chosen<'a>(replica: &'a Replica, register: Option<&str>) -> CliResult<Vec<&'a Register>> {
    match register {
        Some(beginning) => Ok(vec![&**held::register(replica, beginning)?]),
        None => Ok(replica.registers().values().map(|register| &**register).collect()),
    }
}

fn lines<'a>(replica: &'a Replica, register: &'a Register, prefix: &str) -> Vec<RecordLine<'a>> {
    let line = |(key, sha256): (RecordKey, Digest)| RecordLine {
        register: register.origin(),
        sha256,
        size_bytes: replica.bodies().get(&sha256).map(|record| record.body().len() as u64),
        witnessed: register.state_witnessed().get(key.as_str().as_bytes()) == Some(sha256),
        record: key.as_str().to_owned(),
    };
    held::records(register, prefix).into_iter().map(line).collect()
}

fn list(context: &Context, prefix: &str, register: Option<&str>) -> CliResult {
    #[derive(Serialize)]
    struct Document<'a> {
        kind: &'static str,
        records: Vec<RecordLine<'a>>,
    }
    let snapshot = held::snapshot(context)?;
    let replica = snapshot.replica();
    let registers = chosen(replica, register)?;
    let records: Vec<RecordLine<'_>> = registers.into_iter().flat_map(|r| lines(replica, r, prefix)).collect();
    let document = Document { kind: "standfast/records/v1", records };
    context.output.result(&document, |_| {
        if document.records.is_empty() {
            return format!(
                "no record held here begins with {}\n",
                if prefix.is_empty() { "anything" } else { prefix }
            );
        }
        let columns = [
            Column::left("REGISTER").gap(2),
            Column::right("SIZE"),
            Column::left("NOTE").gap(2),
            Column::left("RECORD"),
        ];
        let mut table = Table::new(columns, false).whole();
        for line in &document.records {
            let size = line.size_bytes.map_or_else(|| "-".to_owned(), words::size);
            let note = match (line.witnessed, line.size_bytes) {
                (_, None) => "body missing",
                (false, _) => "pending",
                (true, _) => "-",
            };
            let record = words::clean(&line.record);
            table.row(None, [held::name(replica, line.register), size, note.to_owned(), record]);
        }
        table.draw(&context.output.out)
    })?;
    Ok(Exit::Done)
}

fn show(context: &Context, record: &str, register: Option<&str>) -> CliResult {
    #[derive(Serialize)]
    struct Document<'a> {
        kind: &'static str,
        #[serde(flatten)]
        line: RecordLine<'a>,
        body: serde_json::Value,
    }
    let key = key_of(record)?;
    let snapshot = held::snapshot(context)?;
    let replica = snapshot.replica();
    let mut found = Vec::new();
    for register in chosen(replica, register)? {
        found.extend(lines(replica, register, key.as_str()).into_iter().filter(|line| line.record == key.as_str()));
    }
    if found.len() > 1 {
        return Err(held::ambiguous(found.iter().map(|line| line.register)).hint("say which: --register R"));
    }
    let line = found.pop().ok_or_else(|| {
        CliError::new("record-missing", Exit::Open, format!("no register held here has {}", words::clean(record)))
            .hint(format!("see what is there: standfast record list {}/", key.prefix()))
    })?;
    let held = replica.bodies().get(&line.sha256);
    let body = held.map(|record| body_value(record.body())).unwrap_or_default();
    let document = Document { kind: "standfast/record/v1", line, body };
    context.output.result(&document, |_| {
        let line = &document.line;
        let mut out = format!("{}\n", words::clean(&line.record));
        let mut row = |label: &str, text: String| out.push_str(&format!("  {label:<9} {text}\n"));
        row("register", words::origin_short(line.register));
        row("sha256", line.sha256.to_string());
        row("state", held::standing(replica, line.witnessed).to_owned());
        let Some(record) = held else {
            row("body", "has not come here yet".to_owned());
            return out;
        };
        row("body", words::size(record.body().len() as u64));
        out.push_str(&body_text(record.body()));
        out
    })?;
    Ok(Exit::Done)
}

/// A body for `--json`: JSON as it is, a list in its members, text as a string, anything else by its size.
fn body_value(body: &bytes::Bytes) -> serde_json::Value {
    if let Ok(json) = serde_json::from_slice(body) {
        return json;
    }
    if let Ok(list) = StatusList::parse(body) {
        return serde_json::json!({
            "uri": list.uri(), "purpose": list.purpose(), "bits": list.bits(), "length": list.length()
        });
    }
    std::str::from_utf8(body).map_or(serde_json::Value::Null, |text| serde_json::Value::String(text.to_owned()))
}

fn body_text(body: &bytes::Bytes) -> String {
    let value = body_value(body);
    let text = match &value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => return "  bytes that are neither text, JSON nor a status list\n".to_owned(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    text.lines().map(|line| format!("  {}\n", words::clean(line))).collect()
}

fn key_of(record: &str) -> CliResult<RecordKey> {
    RecordKey::parse(record).map_err(|e| {
        CliError::usage(format!("{} is not the key of a record", words::clean(record)))
            .because(&e)
            .hint("such as did/did:web:a.example; in a part, / is written %2F and % is written %25")
    })
}

fn publish(context: &Context, record: &str, path: &Path, change: &Change) -> CliResult {
    let key = key_of(record)?;
    let bytes = context.read(path, limits::BODY_SIZE_MAX as u64)?;
    let body = body_for(&key, bytes, path)?;
    change::run(context, change, Kind::Grant, |_| Ok(vec![RecordChange::put(key, body)]))
}

/// Brings a file into the form of a record's body: RFC 8785 for what is JSON, plain text for notices.
fn body_for(key: &RecordKey, bytes: Vec<u8>, path: &Path) -> CliResult<Vec<u8>> {
    let shown = path.display();
    match key.prefix() {
        "did" | "trust" | "schema" | "type" | "member" => {
            let json = Json::parse(&bytes).map_err(|e| {
                CliError::malformed(format!("{shown} is not JSON, as {} wants", key.as_str())).because(&e)
            })?;
            Ok(jcs::to_string(&json).into_bytes())
        }
        "notice" => {
            let text = String::from_utf8(bytes)
                .map_err(|_| CliError::malformed(format!("expected {shown} to be text in UTF-8")))?;
            let text = text.trim_end().to_owned();
            match text.chars().count() {
                1..=NOTICE_LENGTH_MAX => Ok(text.into_bytes()),
                came => Err(CliError::malformed(format!(
                    "expected a notice of 1 to {NOTICE_LENGTH_MAX} characters, came {}",
                    words::grouped(came as u64)
                ))),
            }
        }
        // A context counts by its very bytes, a list has its own command, and what is unknown is not touched.
        _ => Ok(bytes),
    }
}

fn withdraw(context: &Context, record: &str, change: &Change) -> CliResult {
    let key = key_of(record)?;
    change::run(context, change, Kind::Withdrawal, |view| {
        if !view.contains(&key) {
            return Err(absent(&key, &held::name(view.replica(), view.origin())));
        }
        if key.is_write_once() {
            return Err(CliError::new("write-once", Exit::Refused, format!("{} is never withdrawn", key.as_str()))
                .cause("what credentials were issued with must stay readable"));
        }
        ask(context, change, std::slice::from_ref(&key))?;
        Ok(vec![RecordChange::remove(key.clone())])
    })
}

/// There is no such record in the own register.
pub fn absent(key: &RecordKey, register: &str) -> CliError {
    let shown = words::clean(key.as_str());
    CliError::new("record-missing", Exit::Refused, format!("{register} has no {shown}"))
        .hint(format!("see what it has: standfast record list {}/", key.prefix()))
}

/// Shows what is to be withdrawn, and asks: others see it at once, and publishing it again needs the witnesses.
pub fn ask(context: &Context, change: &Change, keys: &[RecordKey]) -> CliResult<()> {
    if change.options.dry_run || change.options.draft.is_some() {
        return Ok(());
    }
    for key in keys.iter().take(20) {
        context.output.note(&format!("- {}", words::clean(key.as_str())));
    }
    if keys.len() > 20 {
        context.output.note(&format!("  and {} more", words::grouped(keys.len() as u64 - 20)));
    }
    let what = words::counted(keys.len() as u64, "record", "records");
    context.confirm(change.options.yes, &format!("Withdraws {what} for everybody, at once. Do so?"))
}
