//! `did`: DID documents, made here and held here.

use std::path::{Path, PathBuf};

use serde::Serialize;
use standfast_node::file;
use standfast_node::keystore::KeyUse;
use standfast_protocol::credential::jcs;
use standfast_protocol::did::{DidDocument, is_did, web};
use standfast_protocol::key::PublicKey;
use standfast_protocol::limits;
use standfast_protocol::register::record::RecordKey;

use super::{Context, key_error};
use crate::args::agency::{Did, DidMethod};
use crate::args::change::Change;
use crate::change::{self, Kind, RecordChange};
use crate::error::{CliError, CliResult, Exit};
use crate::held;
use crate::output::words;

/// Documents that were made here.
const FOLDER: &str = "did";

/// Runs a verb of `did`.
pub fn run(context: &Context, command: Did) -> CliResult {
    match command {
        Did::Create { host, method: DidMethod::Web, key, out, yes } => create(context, &host, &key, out, yes),
        Did::Show { did } => show(context, &did),
        Did::Publish { subject, change } => publish(context, &subject, &change),
        Did::Update { did, file, change } => update(context, &did, &file, &change),
    }
}

fn create(context: &Context, host: &str, key: &str, out: Option<PathBuf>, yes: bool) -> CliResult {
    let public = context.keystore().public(key).map_err(|e| key_error(&e))?;
    public.demand(KeyUse::Issue).map_err(|e| key_error(&e))?;
    let public_key = public.key().map_err(|e| CliError::of("key-damaged", Exit::Usage, &e))?;
    let did = web::did_of(host).map_err(|e| CliError::of("usage", Exit::Usage, &e))?;
    let json = web::document(host, key, public_key).map_err(|e| CliError::of("usage", Exit::Usage, &e))?;
    let body = jcs::to_string(&json);
    match &out {
        Some(out) => context.write(out, body.as_bytes(), yes)?,
        None => {
            let path = path_of(context, &did);
            let folder = context.make_data_dir()?.join(FOLDER);
            file::private_dir(&folder).map_err(|e| CliError::file(&folder, &e))?;
            context.write(&path, body.as_bytes(), yes)?;
        }
    }
    if out.as_deref() == Some(Path::new("-")) {
        return Ok(Exit::Done);
    }
    let document: serde_json::Value = serde_json::from_str(&body).expect("RFC 8785 is JSON");
    context.output.result(&document, |_| format!("Created {} with key #{key}\n", words::did(&did)))?;
    Ok(Exit::Done)
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

fn publish(context: &Context, subject: &str, change: &Change) -> CliResult {
    let (document, body) = body_of(context, subject)?;
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
fn update(context: &Context, did: &str, path: &Path, change: &Change) -> CliResult {
    let (document, body) = read_document(context, path)?;
    if document.id() != did {
        let came = words::did(document.id());
        return Err(CliError::malformed(format!("{} is a document of {came}", path.display()))
            .cause(format!("expected one of {}", words::did(did))));
    }
    let key = key_of(did)?;
    change::run(context, change, Kind::Grant, |view| {
        let held = view.body(&key)?.ok_or_else(|| {
            super::record::absent(&key, &held::name(view.replica(), view.origin()))
                .hint(format!("publish it first: standfast did publish {}", path.display()))
        })?;
        let gone = DidDocument::parse(&held).map(|held| keys_gone(&held, &document)).unwrap_or_default();
        if !gone.is_empty() && !change.options.dry_run && change.options.draft.is_none() {
            gone.iter().for_each(|method| context.output.note(&format!("- {}", words::did(method))));
            let (these, they) = if gone.len() == 1 { ("this key", "it") } else { ("these keys", "they") };
            let question = format!("Rejects at once, everywhere, what {they} signed. Take {these} away?");
            context.confirm(change.options.yes, &question)?;
        }
        Ok(vec![RecordChange::put(key, body)])
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

/// Finds the method of a key in the documents that were made here: `(issuer, method)`. With `issuer` only in its document.
pub fn method_of(context: &Context, key: PublicKey, issuer: Option<&str>) -> CliResult<Option<(String, String)>> {
    let folder = context.config.data_dir.join(FOLDER);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(CliError::file(&folder, &e)),
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|e| e.path())).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "json")) {
        let Ok(document) = DidDocument::parse(&context.read(path, limits::BODY_SIZE_MAX as u64)?) else { continue };
        if issuer.is_some_and(|issuer| issuer != document.id()) {
            continue;
        }
        if let Some(method) = document.methods().iter().find(|m| m.key == Some(key)) {
            return Ok(Some((document.id().to_owned(), method.id.clone())));
        }
    }
    Ok(None)
}
