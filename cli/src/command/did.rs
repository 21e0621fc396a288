//! `did`: DID documents and did:webvh logs, made here and held here.

mod history;
pub mod webvh;

use std::path::{Path, PathBuf};

use serde::Serialize;
use standfast_node::keystore::{KeyUse, PublicPart};
use standfast_protocol::credential::jcs;
use standfast_protocol::credential::json::{Json, Object};
use standfast_protocol::did::webvh::WebvhDid;
use standfast_protocol::did::{DidDocument, is_did, web};
use standfast_protocol::key::PublicKey;
use standfast_protocol::limits;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::register::webvh::is_webvh;

use super::{Context, key_error};
use crate::args::agency::{Did, DidMethod, LogOptions};
use crate::args::change::Change;
use crate::change::{self, Kind, RecordChange, View};
use crate::error::{CliError, CliResult, Exit};
use crate::held;
use crate::output::words;

/// Documents that were made here.
const FOLDER: &str = "did";

/// Runs a verb of `did`.
pub fn run(context: &Context, command: Did) -> CliResult {
    match command {
        Did::Create { host, method, key, out, yes, log } => {
            let key = issuing_key(context, &key)?;
            match method {
                DidMethod::Webvh => webvh::create(context, &host, &key, &log, out.as_deref(), yes),
                DidMethod::Web if log != LogOptions::default() => {
                    Err(CliError::usage("did:web has no log, and so no keys or witnesses of one")
                        .hint("make one that has: --method webvh"))
                }
                DidMethod::Web => create(context, &host, &key, out, yes),
            }
        }
        Did::Show { did, at, log, yes } if is_webvh(&did) => {
            let at = at.map(|at| at.resolve(context.now));
            history::show(context, &did, at, log.as_deref(), yes)
        }
        Did::Show { at: Some(_), .. } | Did::Show { log: Some(_), .. } => {
            Err(CliError::usage("only a did:webvh DID has a log with its versions"))
        }
        Did::Show { did, .. } => show(context, &did),
        Did::Publish { subject, witness_file, change } => publish(context, &subject, witness_file, &change),
        Did::Update { did, file, next_key, change } => update(context, &did, &file, &next_key, &change),
        Did::Rotate { did, to, drop_old, next_key, change } => {
            rotate(context, &did, &issuing_key(context, &to)?, drop_old, &next_key, &change)
        }
        Did::Deactivate { did, change } => deactivate(context, &did, &change),
    }
}

fn issuing_key(context: &Context, name: &str) -> CliResult<PublicPart> {
    let public = context.keystore().public(name).map_err(|e| key_error(&e))?;
    public.demand(KeyUse::Issue).map_err(|e| key_error(&e))?;
    Ok(public)
}

fn public_key(public: &PublicPart) -> CliResult<PublicKey> {
    public.key().map_err(|e| CliError::of("key-damaged", Exit::Usage, &e))
}

fn create(context: &Context, host: &str, key: &PublicPart, out: Option<PathBuf>, yes: bool) -> CliResult {
    let (key, public_key) = (key.name.as_str(), public_key(key)?);
    let did = web::did_of(host).map_err(|e| CliError::of("usage", Exit::Usage, &e))?;
    let json = web::document(host, key, public_key).map_err(|e| CliError::of("usage", Exit::Usage, &e))?;
    let body = jcs::to_string(&json);
    match &out {
        Some(out) => context.write(out, body.as_bytes(), yes)?,
        None => keep(context, &did, body.as_bytes(), yes)?,
    }
    if out.as_deref() == Some(Path::new("-")) {
        return Ok(Exit::Done);
    }
    let document: serde_json::Value = serde_json::from_str(&body).expect("RFC 8785 is JSON");
    context.output.result(&document, |_| format!("Created {} with key #{key}\n", words::did(&did)))?;
    Ok(Exit::Done)
}

/// Keeps a document in the data directory, where keys are looked up when credentials are issued.
fn keep(context: &Context, did: &str, body: &[u8], yes: bool) -> CliResult<()> {
    held::folder(context, FOLDER)?;
    context.write(&path_of(context, did), body, yes)
}

fn path_of(context: &Context, did: &str) -> PathBuf {
    // A DID has no slash; its colons are fine in file names here.
    context.config.data_dir.join(FOLDER).join(format!("{did}.json"))
}

/// Returns the body of a document to publish: that of a DID that was created here, or a file's.
pub fn body_of(context: &Context, subject: &str) -> CliResult<(DidDocument, Vec<u8>)> {
    let path = if is_did(subject) { path_of(context, subject) } else { PathBuf::from(subject) };
    let bytes = match context.read(&path, limits::BODY_SIZE_MAX as u64) {
        Err(e) if e.code == "file-missing" && is_did(subject) => {
            return Err(CliError::usage(format!("{} was not created here", words::did(subject)))
                .hint("make it: standfast did create HOST --method web --key KEY, or give its file"));
        }
        read => read?,
    };
    document_of(&path, &bytes)
}

/// Reads a document's file.
fn read_document(context: &Context, path: &Path) -> CliResult<(DidDocument, Vec<u8>)> {
    document_of(path, &context.read(path, limits::BODY_SIZE_MAX as u64)?)
}

fn document_of(path: &Path, bytes: &[u8]) -> CliResult<(DidDocument, Vec<u8>)> {
    let malformed =
        |e: &dyn std::error::Error| CliError::malformed(format!("{} is not a DID document", path.display())).because(e);
    let document = DidDocument::parse(bytes).map_err(|e| malformed(&e))?;
    let json = standfast_protocol::credential::json::Json::parse(bytes).map_err(|e| malformed(&e))?;
    Ok((document, jcs::to_string(&json).into_bytes()))
}

fn publish(context: &Context, subject: &str, witness_file: Option<PathBuf>, change: &Change) -> CliResult {
    let read = |path: PathBuf| context.read(&path, limits::WEBVH_WITNESS_SIZE_MAX as u64);
    let witnesses = witness_file.map(read).transpose()?.map(bytes::Bytes::from);
    if is_webvh(subject) {
        return webvh::publish(context, subject, witnesses, change);
    }
    if !is_did(subject) {
        let bytes = context.read(Path::new(subject), limits::BODY_SIZE_MAX as u64)?;
        return match webvh::is_log(&bytes) {
            true => webvh::publish_file(context, bytes, witnesses, change),
            false => publish_document(context, document_of(Path::new(subject), &bytes)?, change),
        };
    }
    publish_document(context, body_of(context, subject)?, change)
}

fn publish_document(context: &Context, (document, body): (DidDocument, Vec<u8>), change: &Change) -> CliResult {
    let key = key_of(document.id())?;
    change::run(context, change, Kind::Grant, |view| match view.body(&key)? {
        Some(held) if held != body => Err(CliError::new(
            "did-exists",
            Exit::Refused,
            format!("{} is published, with another document", words::did(document.id())),
        )
        .hint(format!("replace it: standfast did update {} FILE", document.id()))),
        _ => Ok(vec![RecordChange::put(key, body)]),
    })
}

/// Replaces a document. A key that goes is shown and asked for: what it signed is rejected from then on.
fn update(context: &Context, did: &str, path: &Path, next_key: &[String], change: &Change) -> CliResult {
    let (document, body) = read_document(context, path)?;
    let scid = |did| WebvhDid::parse(did).map(|did| did.scid());
    let moves = document.id() != did && scid(did).is_some() && scid(did) == scid(document.id());
    if document.id() != did && !moves {
        let came = words::did(document.id());
        return Err(CliError::malformed(format!("{} is a document of {came}", path.display()))
            .cause(format!("expected one of {}", words::did(did))));
    }
    if is_webvh(did) {
        return webvh::run(context, did, next_key, change, Kind::Grant, |kept| {
            let gone = kept.log().document().map(|old| keys_gone(&old, &document)).unwrap_or_default();
            // A move calls each key by another name, and the old names go on to count.
            ask_to_drop(context, change, if moves { &[] } else { &gone })?;
            Ok(webvh::Edit { document: Json::parse(&body).ok(), deactivate: false })
        });
    }
    only_logs_have(next_key)?;
    let key = key_of(did)?;
    change::run(context, change, Kind::Grant, |view| {
        let held = published(view, &key, did)?;
        let gone = DidDocument::parse(&held).map(|held| keys_gone(&held, &document)).unwrap_or_default();
        ask_to_drop(context, change, &gone)?;
        keep_published(context, did, &body, change)?;
        Ok(vec![RecordChange::put(key, body)])
    })
}

fn only_logs_have(next_key: &[String]) -> CliResult<()> {
    match next_key {
        [] => Ok(()),
        _ => Err(CliError::usage("did:web has no log, and so no keys of one")),
    }
}

/// The document of a did:web DID in the own register.
fn published(view: &View<'_>, key: &RecordKey, did: &str) -> CliResult<bytes::Bytes> {
    view.body(key)?.ok_or_else(|| {
        super::record::absent(key, &held::name(view.replica(), view.origin()))
            .hint(format!("publish it first: standfast did publish {did}"))
    })
}

/// Keeps a document that was made here as it is published, so that its new keys are found when credentials are issued.
fn keep_published(context: &Context, did: &str, body: &[u8], change: &Change) -> CliResult<()> {
    if change.options.dry_run { Ok(()) } else { keep(context, did, body, true) }
}

/// Shows keys that go, and asks: what they signed is rejected from then on.
fn ask_to_drop(context: &Context, change: &Change, gone: &[String]) -> CliResult<()> {
    if gone.is_empty() || change.options.dry_run || change.options.draft.is_some() {
        return Ok(());
    }
    gone.iter().for_each(|method| context.output.note(&format!("- {}", words::did(method))));
    let (these, they) = if gone.len() == 1 { ("this key", "it") } else { ("these keys", "they") };
    context.confirm(change.options.yes, &format!("Rejects at once, everywhere, what {they} signed. Take {these} away?"))
}

/// Adds a key to a document, and with `drop_old` takes the older ones away.
fn rotate(
    context: &Context,
    did: &str,
    to: &PublicPart,
    drop_old: bool,
    next_key: &[String],
    change: &Change,
) -> CliResult {
    let key = public_key(to)?;
    let next = |json: &Json| -> CliResult<Json> {
        let next = with_key(json, did, (&to.name, key), drop_old)?;
        let read =
            |json: &Json| DidDocument::from_json(json).map_err(|e| CliError::of("did-refused", Exit::Refused, &e));
        let gone = keys_gone(&read(json)?, &read(&next)?);
        ask_to_drop(context, change, &gone)?;
        Ok(next)
    };
    if is_webvh(did) {
        return webvh::run(context, did, next_key, change, Kind::Grant, |kept| {
            if kept.log().newest().did() != did {
                let now = kept.log().newest().did();
                return Err(CliError::usage(format!("{} has moved", words::did(did)))
                    .hint(format!("give its name of now: {now}")));
            }
            Ok(webvh::Edit { document: Some(next(&kept.log().controlled_state())?), deactivate: false })
        });
    }
    only_logs_have(next_key)?;
    let record = key_of(did)?;
    change::run(context, change, Kind::Grant, |view| {
        let held = published(view, &record, did)?;
        let json = Json::parse(&held).map_err(|e| CliError::of("did-refused", Exit::Refused, &e))?;
        let body = jcs::to_string(&next(&json)?).into_bytes();
        keep_published(context, did, &body, change)?;
        Ok(vec![RecordChange::put(record, body)])
    })
}

/// Returns a document with one more Multikey method, for issuing and for authentication.
fn with_key(document: &Json, did: &str, (name, key): (&str, PublicKey), drop_old: bool) -> CliResult<Json> {
    let id = format!("{did}#{name}");
    let mut document = document.as_object().cloned().unwrap_or_default();
    let list = |document: &Object, name: &str| match document.get(name) {
        Some(Json::Array(items)) => items.clone(),
        _ => Vec::new(),
    };
    let id_of = |item: &Json| {
        let id = item.as_str().or_else(|| item.get("id").and_then(Json::as_str)).unwrap_or_default();
        if id.starts_with('#') { format!("{did}{id}") } else { id.to_owned() }
    };
    let mut methods = list(&document, "verificationMethod");
    if let Some(held) = methods.iter().find(|method| id_of(method) == id)
        && held.get("publicKeyMultibase").and_then(Json::as_str) != Some(&key.to_multikey())
    {
        return Err(CliError::new("did-refused", Exit::Refused, format!("{} is another key", words::did(&id)))
            .hint("a key's name stands for one key for ever: make one of another name"));
    }
    let old: Vec<String> = match drop_old {
        true => list(&document, "assertionMethod").iter().map(id_of).filter(|old| *old != id).collect(),
        false => Vec::new(),
    };
    methods.retain(|method| !old.contains(&id_of(method)) && id_of(method) != id);
    methods.push(Json::Object(Object::from_iter([
        ("id", Json::from(id.as_str())),
        ("type", Json::from("Multikey")),
        ("controller", Json::from(did)),
        ("publicKeyMultibase", Json::from(key.to_multikey())),
    ])));
    document.insert("verificationMethod", Json::Array(methods));
    for purpose in ["assertionMethod", "authentication"] {
        let mut items = list(&document, purpose);
        items.retain(|item| !old.contains(&id_of(item)) && id_of(item) != id);
        items.push(Json::from(id.as_str()));
        document.insert(purpose, Json::Array(items));
    }
    Ok(Json::Object(document))
}

/// Ends a DID: a did:webvh log with a last version, did:web by withdrawing its document. Both are shown and asked for.
fn deactivate(context: &Context, did: &str, change: &Change) -> CliResult {
    let ask = |what: &str| {
        if change.options.dry_run || change.options.draft.is_some() {
            return Ok(());
        }
        context.output.note(&format!("- {}", words::did(did)));
        context.confirm(change.options.yes, &format!("Rejects at once, everywhere, all that it issued{what}. Do so?"))
    };
    if is_webvh(did) {
        return webvh::run(context, did, &[], change, Kind::Withdrawal, |_| {
            ask(", for good: no version can follow")?;
            Ok(webvh::Edit { document: None, deactivate: true })
        });
    }
    let key = key_of(did)?;
    change::run(context, change, Kind::Withdrawal, |view| {
        if !view.contains(&key) {
            return Err(super::record::absent(&key, &held::name(view.replica(), view.origin())));
        }
        ask("")?;
        Ok(vec![RecordChange::remove(key)])
    })
}

/// The methods that a document no longer has with the same key.
fn keys_gone(old: &DidDocument, new: &DidDocument) -> Vec<String> {
    let stays = |id: &str, key| new.methods().iter().any(|method| method.id == id && method.key == key);
    old.methods().iter().filter(|method| !stays(&method.id, method.key)).map(|method| method.id.clone()).collect()
}

fn key_of(did: &str) -> CliResult<RecordKey> {
    RecordKey::did(did).map_err(|e| CliError::of("usage", Exit::Usage, &e))
}

#[derive(Serialize)]
struct ShownDocument<'a> {
    kind: &'static str,
    did: &'a str,
    register: String,
    witnessed: bool,
    published_age_s: Option<u64>,
    witnessed_age_s: Option<u64>,
    /// True when the charter or a trust entry binds this register to the DID: only then does the document count.
    bound: bool,
    document: serde_json::Value,
}

fn show(context: &Context, did: &str) -> CliResult {
    let key = key_of(did)?;
    let snapshot = held::snapshot(context)?;
    let replica = snapshot.replica();
    let mut found = Vec::new();
    for register in replica.registers().values() {
        if let Some(digest) = register.state_newest().get(key.as_str().as_bytes()) {
            found.push((register, digest));
        }
    }
    if found.is_empty() {
        return Err(CliError::new(
            "did-missing",
            Exit::Open,
            format!("no document of {} is held here", words::did(did)),
        )
        .hint("see those that are: standfast record list did/"));
    }
    // A document counts for the register that a trust path names; all of them are shown.
    let shown: Vec<ShownDocument<'_>> = found
        .iter()
        .map(|(register, digest)| {
            let ages = snapshot.ages(register.origin(), context.now.secs());
            let body = replica.bodies().get(digest);
            ShownDocument {
                kind: "standfast/did/v1",
                did,
                register: register.origin().to_owned(),
                witnessed: register.state_witnessed().get(key.as_str().as_bytes()) == Some(*digest),
                published_age_s: ages.as_ref().and_then(|ages| ages.age(ages.published)),
                witnessed_age_s: ages.as_ref().and_then(|ages| ages.age(ages.witnessed)),
                bound: replica.bound().get(register.origin()).is_some_and(|bound| bound.entity == did),
                document: body.and_then(|b| serde_json::from_slice(b.body()).ok()).unwrap_or_default(),
            }
        })
        .collect();
    let draw = || {
        let mut out = String::new();
        for one in &shown {
            out.push_str(&format!("{}\n", words::did(one.did)));
            let mut row = |label: &str, text: String| out.push_str(&format!("  {label:<9} {text}\n"));
            row("register", held::name(replica, &one.register));
            let foreign = if one.bound { "" } else { " · counts for nothing: no path leads here for it" };
            row("state", format!("{}{foreign}", held::standing(replica, one.witnessed)));
            if let Some(ages) = snapshot.ages(&one.register, context.now.secs()) {
                let witnessed = held::witnessed(&snapshot, &one.register, &ages);
                row("fresh", format!("witnessed {witnessed} · published {}", held::published(&ages)));
            }
            let text = serde_json::to_string_pretty(&one.document).unwrap_or_default();
            text.lines().for_each(|line| out.push_str(&format!("  {}\n", words::clean(line))));
        }
        out
    };
    match shown.as_slice() {
        [one] => context.output.result(one, |_| draw())?,
        many => context.output.result(&many, |_| draw())?,
    }
    Ok(Exit::Done)
}

/// Finds the method of a key in the documents and logs that were made here: `(issuer, method)`. With `issuer` only in its
/// document.
pub fn method_of(context: &Context, key: PublicKey, issuer: Option<&str>) -> CliResult<Option<(String, String)>> {
    let folder = context.config.data_dir.join(FOLDER);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(CliError::file(&folder, &e)),
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|e| e.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let bodies: Vec<Vec<u8>> =
        paths.iter().map(|path| context.read(path, limits::BODY_SIZE_MAX as u64)).collect::<CliResult<_>>()?;
    let documents = bodies.iter().filter_map(|body| DidDocument::parse(body).ok());
    let logs = webvh::logs(context)?;
    let of_logs = logs.iter().filter(|kept| !kept.log().is_deactivated()).filter_map(|kept| kept.log().document().ok());
    for document in documents.chain(of_logs) {
        if issuer.is_some_and(|issuer| issuer != document.id()) {
            continue;
        }
        if let Some(method) = document.methods().iter().find(|m| m.key == Some(key)) {
            return Ok(Some((document.id().to_owned(), method.id.clone())));
        }
    }
    Ok(None)
}
