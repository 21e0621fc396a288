//! `trust`: who may issue what, and who may say so.

mod path;

use std::path::PathBuf;

use serde::Serialize;
use standfast_protocol::credential::jcs;
use standfast_protocol::credential::json::{Json, Object};
use standfast_protocol::did::is_did;
use standfast_protocol::key::{Algorithm, VerifierKey};
use standfast_protocol::limits;
use standfast_protocol::register::body::{Record, TrustEntry};
use standfast_protocol::register::fact::{Binding, Outcome};
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::time::Time;

use super::register::read_binding;
use super::{Context, record};
use crate::args::agency::Trust as Verb;
use crate::args::change::{Change, TrustChange};
use crate::args::value::RegisterAt;
use crate::change::{self, Kind, RecordChange, View};
use crate::error::{CliError, CliResult, Exit};
use crate::held;
use crate::output::table::{Column, Table};
use crate::output::{Sign, words};

const RECOGNIZE: &str = "recognize";
/// The label of an authority's recognition: one for each, so that a new one replaces the old.
const LABEL: &str = "default";

/// Runs a verb of `trust`.
pub fn run(context: &Context, command: Verb) -> CliResult {
    match command {
        Verb::Grant { did, action, types, until, from, status_required, change } => {
            let given = from.map(|from| from.resolve(context.now));
            let window = Window { from: given, until: until.resolve(context.now) };
            grant(context, &Grant { did: &did, action: &action, types: &types, window, status_required }, &change)
        }
        Verb::Recognize { did, actions, types, depth, until, after, change } => {
            let window = Window { from: None, until: until.resolve(context.now) };
            let order =
                Recognition { did: &did, actions: &actions, types: &types, depth, window, after: after.as_ref() };
            recognize(context, &order, &change)
        }
        Verb::Withdraw { did, action, types, change } => withdraw(context, &did, action.as_deref(), &types, &change),
        Verb::List { did } => list(context, did.as_deref()),
        Verb::Path { issuer, credential_type } => path::run(context, &issuer, &credential_type),
    }
}

struct Grant<'a> {
    did: &'a str,
    action: &'a str,
    types: &'a [String],
    window: Window,
    status_required: bool,
}

struct Recognition<'a> {
    did: &'a str,
    actions: &'a [String],
    types: &'a [String],
    depth: u64,
    window: Window,
    after: Option<&'a RegisterAt>,
}

/// From when until when. Without `from` a permission that is there keeps its beginning, and a new one begins now.
#[derive(Clone, Copy)]
struct Window {
    from: Option<Time>,
    until: Time,
}

impl Window {
    fn begins(self, context: &Context, view: &View<'_>, key: &RecordKey) -> CliResult<Time> {
        let held = view.body(key)?.map(Record::new);
        let held = held.as_ref().and_then(|record| record.trust_entry().ok()).map(|entry| entry.terms.valid_from);
        let from = self.from.or(held.map(Time::from_secs_saturating)).unwrap_or(context.now);
        if from < self.until {
            return Ok(from);
        }
        let (from, until) = (words::date(from), words::date(self.until));
        Err(CliError::usage(format!("expected an end after the beginning {from}, came {until}")))
    }
}

/// Under an expired charter nothing new is granted, so nothing of it is signed.
fn need_charter(context: &Context, view: &View<'_>) -> CliResult<()> {
    let charter = view.replica().charter();
    if !charter.is_expired(context.now.secs()) {
        return Ok(());
    }
    let version = charter.version();
    let ended = Time::from_secs_saturating(charter.document().expires_at);
    let (on, ago) = (words::date(ended), words::age(context.now.since(ended)));
    let message = format!("charter {version} expired on {on}, {ago} ago: it grants nothing new");
    Err(CliError::new("charter-expired", Exit::Open, message)
        .cause(format!("version {} has not reached this machine", version.saturating_add(1)))
        .hint("ask a root key holder, then: standfast charter publish FILE")
        .hint("revocations and withdrawals still work meanwhile"))
}

fn need_did(did: &str) -> CliResult<()> {
    if is_did(did) {
        return Ok(());
    }
    Err(CliError::usage(format!("expected a DID such as did:web:transport.gov.example, came {}", words::clean(did))))
}

/// The entity's register: its binding file, to be written into the entry and to be compared.
fn one_binding(context: &Context, files: &[PathBuf]) -> CliResult<Option<(Object, Binding)>> {
    let [file, rest @ ..] = files else { return Ok(None) };
    if !rest.is_empty() {
        return Err(CliError::usage("one binding is enough").cause("an entity has one register on a path"));
    }
    let (json, binding) = read_binding(context, file)?;
    standfast_protocol::trust::bound_keys(&binding).map_err(|e| {
        CliError::malformed(format!("{} binds no register", file.display()))
            .because(&e)
            .hint("ask its owner for: standfast register show --binding")
    })?;
    let object = json.as_object().cloned().unwrap_or_default();
    Ok(Some((object, binding)))
}

/// Shows whose keys are bound, and asks. Nothing else stands between a thief and an agency's name.
fn ask_binding(
    context: &Context,
    change: &Change,
    view: &View<'_>,
    key: &RecordKey,
    binding: &Binding,
) -> CliResult<()> {
    if change.options.dry_run || change.options.draft.is_some() {
        return Ok(());
    }
    let held = view.body(key)?.map(Record::new);
    let before = held.as_ref().and_then(|record| record.trust_entry().ok()).and_then(|e| e.terms.register.as_ref());
    if before == Some(binding) {
        return Ok(());
    }
    let heads = keys_of(binding);
    let origin = words::origin_short(&binding.origin);
    context.output.note(&format!("Binds {origin} to the {}", if heads.len() == 1 { "key" } else { "keys" }));
    heads.iter().for_each(|key| context.output.note(&format!("  {key}")));
    let mut gone = before.filter(|before| before.origin == binding.origin).map(keys_of).unwrap_or_default();
    gone.retain(|key| !heads.contains(key));
    if !gone.is_empty() {
        context.output.note(&format!("and drops the {}", if gone.len() == 1 { "key" } else { "keys" }));
        gone.iter().for_each(|key| context.output.note(&format!("  {key}")));
    }
    context.confirm(
        change.options.yes,
        &format!("Compare {} with {} owner by another way. Publish?", it(heads.len()), its(heads.len())),
    )
}

/// The keys of a binding that sign heads, whole.
fn keys_of(binding: &Binding) -> Vec<String> {
    let keys = binding.keys.iter().filter_map(|text| text.parse::<VerifierKey>().ok());
    keys.filter(|key| key.algorithm() == Algorithm::Note).map(|key| key.key().to_multikey()).collect()
}

fn it(count: usize) -> &'static str {
    if count == 1 { "it" } else { "them" }
}

fn its(count: usize) -> &'static str {
    if count == 1 { "its" } else { "their" }
}

fn grant(context: &Context, order: &Grant<'_>, change: &TrustChange) -> CliResult {
    need_did(order.did)?;
    if order.action == RECOGNIZE {
        return Err(CliError::usage("recognizing has a command of its own")
            .hint(format!("standfast trust recognize {} --until T", order.did)));
    }
    let (files, change) = change.split(|text| std::path::Path::new(text).is_file());
    let binding = one_binding(context, &files)?;
    change::run(context, &change, Kind::Grant, |view| {
        need_charter(context, view)?;
        if let Some((_, binding)) = &binding {
            change::rotation::check_binding(view.replica(), binding)?;
        }
        let mut changes = Vec::new();
        let mut asked = false;
        for resource in order.types {
            let key = key_of(order.did, order.action, resource)?;
            let from = order.window.begins(context, view, &key)?;
            let mut entry = entry(order.did, order.action, resource, (from, order.window.until));
            if order.status_required {
                entry.insert("status", Json::String("required".to_owned()));
            }
            if let Some((object, binding)) = &binding {
                if !asked {
                    ask_binding(context, &change, view, &key, binding)?;
                    asked = true;
                }
                entry.insert("register", Json::Object(object.clone()));
            }
            changes.push(RecordChange::put(key, checked(&entry)?));
        }
        Ok(changes)
    })
}

fn recognize(context: &Context, order: &Recognition<'_>, change: &TrustChange) -> CliResult {
    need_did(order.did)?;
    if order.depth > limits::TRUST_DEPTH_MAX {
        return Err(CliError::usage(format!("expected a depth of at most {}", limits::TRUST_DEPTH_MAX)));
    }
    let (files, change) = change.split(|text| std::path::Path::new(text).is_file());
    let bound = one_binding(context, &files)?;
    change::run(context, &change, Kind::Grant, |view| {
        need_charter(context, view)?;
        let key = key_of(order.did, RECOGNIZE, LABEL)?;
        let from = order.window.begins(context, view, &key)?;
        let (object, binding) = match &bound {
            Some((object, binding)) => (object.clone(), binding.clone()),
            None => held_binding(view, &key)?.ok_or_else(|| {
                CliError::usage("an authority is recognised with its register")
                    .hint("ask for its binding file, then: --register FILE.binding")
            })?,
        };
        let mut object = object;
        let mut binding = binding;
        if let Some(after) = order.after {
            let terms = after_of(view, after)?;
            object.insert("after", terms);
            binding = Binding::read(&Json::Object(object.clone())).unwrap_or(binding);
        }
        change::rotation::check_binding(view.replica(), &binding)?;
        ask_binding(context, &change, view, &key, &binding)?;
        let mut entry = entry(order.did, RECOGNIZE, LABEL, (from, order.window.until));
        let mut scope = Object::new();
        scope.insert("actions", strings(order.actions));
        scope.insert("resources", strings(order.types));
        entry.insert("scope", Json::Object(scope));
        entry.insert("depth", number(order.depth));
        entry.insert("register", Json::Object(object));
        Ok(vec![RecordChange::put(key, checked(&entry)?)])
    })
}

/// The binding that the entry held has, where only the terms change.
fn held_binding(view: &View<'_>, key: &RecordKey) -> CliResult<Option<(Object, Binding)>> {
    let Some(body) = view.body(key)? else { return Ok(None) };
    let json = Json::parse(&body).ok();
    let register = json.as_ref().and_then(|json| json.get("register"));
    Ok(register.and_then(|register| Some((register.as_object()?.clone(), Binding::read(register)?))))
}

/// `{"origin": …, "root": …, "size": …}` of the register before, as it is held here.
fn after_of(view: &View<'_>, after: &RegisterAt) -> CliResult<Json> {
    let old = held::register(view.replica(), &after.register)?;
    let root = old.root_at(after.size).ok_or_else(|| {
        CliError::usage(format!(
            "{} has {} here, not {}",
            held::name(view.replica(), old.origin()),
            words::counted(old.size_newest(), "entry", "entries"),
            words::grouped(after.size)
        ))
    })?;
    let mut object = Object::new();
    object.insert("origin", Json::String(old.origin().to_owned()));
    object.insert("root", Json::String(root.to_string()));
    object.insert("size", number(after.size));
    Ok(Json::Object(object))
}

fn key_of(did: &str, action: &str, resource: &str) -> CliResult<RecordKey> {
    RecordKey::trust(did, action, resource).map_err(|e| CliError::of("usage", Exit::Usage, &e))
}

fn entry(entity: &str, action: &str, resource: &str, (from, until): (Time, Time)) -> Object {
    let mut object = Object::new();
    object.insert("action", Json::String(action.to_owned()));
    object.insert("entity", Json::String(entity.to_owned()));
    object.insert("resource", Json::String(resource.to_owned()));
    object.insert("valid_from", number(from.secs()));
    object.insert("valid_until", number(until.secs()));
    object
}

fn number(value: u64) -> Json {
    serde_json::to_vec(&value).ok().and_then(|text| Json::parse(&text).ok()).unwrap_or(Json::Null)
}

fn strings(values: &[String]) -> Json {
    Json::Array(values.iter().cloned().map(Json::String).collect())
}

/// Writes an entry's body, and reads it as every node will.
fn checked(entry: &Object) -> CliResult<Vec<u8>> {
    let body = jcs::object_to_string(entry).into_bytes();
    let record = Record::new(body.clone());
    record.trust_entry().map(|_| body).map_err(|reason| {
        CliError::usage("no trust entry can be made of this").cause(format!("nodes would find it {}", reason.code()))
    })
}

fn withdraw(context: &Context, did: &str, action: Option<&str>, types: &[String], change: &Change) -> CliResult {
    need_did(did)?;
    change::run(context, change, Kind::Withdrawal, |view| {
        let is_meant = |key: &RecordKey| {
            let parts = key.parts();
            let [entity, its_action, resource] = parts.as_slice() else { return false };
            entity == did
                && action.is_none_or(|action| its_action == action)
                && (types.is_empty() || types.iter().any(|t| t == resource))
        };
        let keys: Vec<RecordKey> = view.keys("trust/").into_iter().filter(is_meant).collect();
        let is_there = |resource: &String| keys.iter().any(|key| key.parts().get(2).is_some_and(|r| r == resource));
        if let Some(missing) = types.iter().find(|resource| !is_there(resource)) {
            let key = key_of(did, action.unwrap_or_default(), missing)?;
            return Err(record::absent(&key, &held::name(view.replica(), view.origin())));
        }
        if keys.is_empty() {
            let name = held::name(view.replica(), view.origin());
            return Err(CliError::new(
                "record-missing",
                Exit::Refused,
                format!("{name} permits {} nothing of this", words::did(did)),
            )
            .hint(format!("see what is permitted: standfast trust list {did}")));
        }
        record::ask(context, change, &keys)?;
        Ok(keys.into_iter().map(RecordChange::remove).collect())
    })
}

#[derive(Serialize)]
struct EntryDocument {
    register: String,
    entity: String,
    action: String,
    resource: String,
    state: &'static str,
    reason: Option<&'static str>,
    valid_from_at: Option<Time>,
    valid_until_at: Option<Time>,
    status_required: Option<bool>,
    depth: Option<u64>,
    actions: Option<Vec<String>>,
    types: Option<Vec<String>>,
    binds: Option<String>,
}

fn list(context: &Context, did: Option<&str>) -> CliResult {
    #[derive(Serialize)]
    struct Document {
        kind: &'static str,
        entries: Vec<EntryDocument>,
    }
    let snapshot = held::snapshot(context)?;
    let replica = snapshot.replica();
    let mut entries = Vec::new();
    for register in replica.registers().values() {
        let newest = held::records(register, "trust/").into_iter().map(|(key, _)| key);
        let mut keys: Vec<RecordKey> = newest.chain(register.keys_witnessed("trust/")).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let parts = key.parts();
            let [entity, action, resource] = parts.as_slice() else { continue };
            if did.is_some_and(|did| did != entity) {
                continue;
            }
            let fact = register.edge_fact_of(replica.bodies(), &key);
            // Terms of what does not count yet are those of the newest body.
            let digest = register.state_newest().get(key.as_str().as_bytes());
            let body = digest.and_then(|digest| replica.bodies().get(&digest));
            let newest: Option<&TrustEntry> = body.and_then(|record| record.trust_entry().ok());
            let terms = fact.terms.as_ref().or(newest.map(|entry| &entry.terms));
            entries.push(EntryDocument {
                register: register.origin().to_owned(),
                entity: entity.to_string(),
                action: action.to_string(),
                resource: resource.to_string(),
                state: fact.outcome.code(),
                reason: fact.reason.map(|reason| reason.code()),
                valid_from_at: terms.map(|t| Time::from_secs_saturating(t.valid_from)),
                valid_until_at: terms.map(|t| Time::from_secs_saturating(t.valid_until)),
                status_required: terms.map(|t| t.status_required),
                depth: terms.and_then(|t| t.depth),
                actions: terms.and_then(|t| t.scope.as_ref()).map(|scope| scope.actions.clone()),
                types: terms.and_then(|t| t.scope.as_ref()).map(|scope| scope.resources.clone()),
                binds: terms.and_then(|t| t.register.as_ref()).map(|b| b.origin.clone()),
            });
        }
    }
    let document = Document { kind: "standfast/trust/v1", entries };
    context.output.result(&document, |style| {
        if document.entries.is_empty() {
            return format!(
                "no permission{} is held here\n",
                did.map(|d| format!(" of {}", words::did(d))).unwrap_or_default()
            );
        }
        // Who permits it stands there only where it could be one or another.
        let one = document.entries.iter().all(|e| Some(&e.register) == document.entries.first().map(|e| &e.register));
        let columns = [("ENTITY", true), ("UNTIL", true), ("BY", !one), ("MAY", true)];
        let columns: Vec<Column> =
            columns.into_iter().filter(|(_, shown)| *shown).map(|(title, _)| Column::left(title).gap(2)).collect();
        let mut table = Table::new(columns, true);
        for entry in &document.entries {
            let until = entry.valid_until_at.map_or_else(|| "-".to_owned(), words::date);
            let ended = entry.valid_until_at.is_some_and(|end| end <= context.now);
            let sign = match entry.state {
                s if s == Outcome::Granted.code() && !ended => Sign::Good,
                s if s == Outcome::Granted.code() || s == Outcome::Withdrawn.code() => Sign::Bad,
                _ => Sign::Open,
            };
            let object = match &entry.binds {
                Some(origin) if entry.action == RECOGNIZE => words::origin_short(origin),
                _ => words::clean(&entry.resource),
            };
            let state =
                if entry.state == Outcome::Granted.code() { String::new() } else { format!("{}: ", entry.state) };
            let may = format!("{state}{} {object}", words::clean(&entry.action));
            let by = (!one).then(|| held::name(replica, &entry.register));
            table.row(Some(sign), [words::did(&entry.entity), until].into_iter().chain(by).chain([may]));
        }
        table.draw(style)
    })?;
    Ok(Exit::Done)
}
