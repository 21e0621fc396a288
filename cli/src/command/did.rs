//! `did`: DID documents, made here and held here.

use std::path::{Path, PathBuf};

use standfast_node::file;
use standfast_node::keystore::KeyUse;
use standfast_protocol::credential::jcs;
use standfast_protocol::did::{DidDocument, is_did, web};
use standfast_protocol::key::PublicKey;
use standfast_protocol::limits;

use super::{Context, key_error};
use crate::args::agency::{Did, DidMethod};
use crate::error::{CliError, CliResult, Exit};
use crate::output::words;

/// Documents that were made here.
const FOLDER: &str = "did";

/// Runs a verb of `did` that needs no node.
pub fn run(context: &Context, command: Did) -> CliResult {
    match command {
        Did::Create { host, method: DidMethod::Web, key, out, yes } => create(context, &host, &key, out, yes),
        other => Err(super::not_built(&format!("did {}", super::first_word(&other)))),
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
    let malformed =
        |e: &dyn std::error::Error| CliError::malformed(format!("{} is not a DID document", path.display())).because(e);
    let document = DidDocument::parse(&bytes).map_err(|e| malformed(&e))?;
    let json = standfast_protocol::credential::json::Json::parse(&bytes).map_err(|e| malformed(&e))?;
    Ok((document, jcs::to_string(&json).into_bytes()))
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
