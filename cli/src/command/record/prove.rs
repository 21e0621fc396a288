//! `record prove`: a file that shows a record, or its absence, to who has only the charter.

use std::path::{Path, PathBuf};

use serde::Serialize;
use standfast_protocol::digest::Digest;
use standfast_protocol::proof::{ProveError, RecordProof};
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::register::state::Register;
use standfast_protocol::replica::Replica;

use super::key_of;
use crate::command::Context;
use crate::error::{CliError, CliResult, Exit};
use crate::held;
use crate::output::words;
use crate::trust_source::shown;

/// Where a proof goes.
pub(super) struct Files {
    /// The proof.
    pub(super) out: PathBuf,
    /// The entry by itself.
    pub(super) leaf: Option<PathBuf>,
    /// Whether files that exist are replaced.
    pub(super) yes: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    kind: &'static str,
    record: &'a str,
    register: &'a str,
    present: bool,
    sha256: Option<Digest>,
    size_witnessed: u64,
    source: String,
    size_bytes: u64,
}

/// Writes the proof of a record.
pub(super) fn prove(context: &Context, record: &str, register: Option<&str>, files: &Files) -> CliResult {
    let key = key_of(record)?;
    let snapshot = held::snapshot(context)?;
    let replica = snapshot.replica();
    let register = chosen(replica, &key, register)?;
    let origin = register.origin();
    let proof = RecordProof::of(replica, origin, &key, context.now.secs()).map_err(|e| refused(replica, &e))?;
    let text = proof.to_text();
    if let Some(leaf) = &files.leaf {
        context.write(leaf, proof.entry(), files.yes)?;
    }
    context.write(&files.out, text.as_bytes(), files.yes)?;
    if files.out == Path::new("-") {
        return Ok(Exit::Done);
    }
    let sha256 = register.state_witnessed().get(key.as_str().as_bytes());
    let document = Document {
        kind: "standfast/record-proof/v1",
        record: key.as_str(),
        register: origin,
        present: sha256.is_some(),
        sha256,
        size_witnessed: register.size_witnessed(),
        source: files.out.to_string_lossy().into_owned(),
        size_bytes: text.len() as u64,
    };
    context.output.result(&document, |_| {
        let (file, size) = (shown(&files.out), words::size(document.size_bytes));
        let says = if document.present { "is" } else { "is not" };
        let (key, name) = (words::clean(document.record), held::name(replica, origin));
        let at = words::grouped(document.size_witnessed);
        let mut out = format!("Wrote {file}, {size}\n  {key}\n  {says} in {name} at size {at}\n");
        let newest = register.state_newest().get(key.as_bytes());
        if newest != document.sha256 {
            out.push_str("? a change of it is published and not witnessed yet\n");
        }
        out.push_str("→ who has only the charter: standfast record verify FILE --charter FILE\n");
        out
    })?;
    Ok(Exit::Done)
}

/// The register to prove by: the one that is named, else the only one that has the record.
fn chosen<'a>(replica: &'a Replica, key: &RecordKey, register: Option<&str>) -> CliResult<&'a Register> {
    if let Some(beginning) = register {
        return held::register(replica, beginning).map(|register| &**register);
    }
    let has = |register: &&Register| register.state_witnessed().contains(key.as_str().as_bytes());
    let found: Vec<&Register> = replica.registers().values().map(|register| &**register).filter(has).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => {
            let shown = words::clean(key.as_str());
            let message = format!("no register held here has {shown}, as far as it is witnessed");
            Err(CliError::new("record-missing", Exit::Open, message)
                .hint("to prove that a register does not have it, say which: --register R"))
        }
        many => Err(held::ambiguous(many.iter().map(|register| register.origin())).hint("say which: --register R")),
    }
}

/// Says why there is nothing to prove by.
pub(in crate::command) fn refused(replica: &Replica, error: &ProveError) -> CliError {
    let name = |origin: &str| held::name(replica, origin);
    match error {
        ProveError::NotWitnessed(origin) => {
            let message = format!("no quorum of witnesses stands behind {} yet", name(origin));
            CliError::new("register-pending", Exit::Open, message)
                .cause("a proof is of what witnesses have seen")
                .hint("watch it: standfast status")
        }
        ProveError::NoChain(origin) => {
            let message = format!("nothing in force leads from the charter to {}", name(origin));
            CliError::new("register-unbound", Exit::Open, message)
                .cause("expected permissions that are witnessed and in date, from an anchor down")
                .hint("see what is there: standfast trust list")
        }
        ProveError::BodyMissing(key) => {
            let message = format!("the content of {} has not come here yet", words::clean(key.as_str()));
            CliError::new("body-missing", Exit::Open, message)
                .hint("let a node run, or carry it in: standfast bundle import FILE")
        }
        ProveError::Size(_) => CliError::of("proof-too-large", Exit::Refused, error),
    }
}
