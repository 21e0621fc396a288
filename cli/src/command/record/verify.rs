//! `record verify`: what a proof shows to who has only the charter.

use std::path::Path;

use bytes::Bytes;
use serde::Serialize;
use standfast_protocol::digest::Digest;
use standfast_protocol::limits;
use standfast_protocol::proof::{ProvenRecord, ProvenStep, RecordProof, RecordProofError};
use standfast_protocol::time::Time;

use super::{body_text, body_value};
use crate::charter_source;
use crate::command::Context;
use crate::error::{CliError, CliResult, Exit};
use crate::output::{Sign, words};
use crate::trust_source::shown;

#[derive(Serialize)]
struct Document<'a> {
    kind: &'static str,
    record: &'a str,
    present: bool,
    sha256: Option<Digest>,
    size_bytes: Option<u64>,
    body: serde_json::Value,
    register: &'a str,
    witnessed_at: Option<Time>,
    witnessed_age_s: Option<u64>,
    valid_until_at: Option<Time>,
    charter: u64,
    steps: Vec<StepDocument<'a>>,
}

#[derive(Serialize)]
struct StepDocument<'a> {
    entity: &'a str,
    register: &'a str,
    size: u64,
    root: Digest,
    witnesses: Vec<&'a str>,
    witnessed_at: Option<Time>,
}

impl<'a> StepDocument<'a> {
    fn of(step: &'a ProvenStep) -> Self {
        Self {
            entity: &step.entity,
            register: &step.binding.origin,
            size: step.size,
            root: step.root,
            witnesses: step.witnesses.iter().map(String::as_str).collect(),
            witnessed_at: step.witnessed_at.map(Time::from_secs_saturating),
        }
    }
}

/// Checks a proof, and shows what it proves.
pub(super) fn verify(context: &Context, path: &Path, charter: Option<&Path>) -> CliResult {
    let bytes = context.read(path, limits::TLOG_PROOF_SIZE_MAX as u64)?;
    let charter = charter_source::load(context, charter)?;
    let proof = RecordProof::parse(&bytes).map_err(|e| unread(path, &e))?;
    charter_source::demand_current(context, &charter)?;
    let proven = proof.verify(&charter, context.now.secs()).map_err(|e| refused(path, &e))?;
    let witnessed_at = proven.witnessed_at().map(Time::from_secs_saturating);
    let body = proven.body();
    let document = Document {
        kind: "standfast/record-proven/v1",
        record: proven.key().as_str(),
        present: body.is_some(),
        sha256: body.map(|body| Digest::of(body)),
        size_bytes: body.map(|body| body.len() as u64),
        body: body.map(body_value).unwrap_or_default(),
        register: &proven.register().binding.origin,
        witnessed_at,
        witnessed_age_s: witnessed_at.map(|time| context.now.since(time)),
        valid_until_at: Time::from_secs(proven.window().1),
        charter: charter.version(),
        steps: proven.steps().iter().map(StepDocument::of).collect(),
    };
    context.output.result(&document, |style| {
        let says = if document.present { "PRESENT" } else { "ABSENT" };
        let says = style.in_color_of(Sign::Good, &format!("✓ {says}"));
        format!("{says}   {}\n{}", words::clean(document.record), draw(context, charter.version(), &proven, body))
    })?;
    Ok(Exit::Done)
}

fn draw(context: &Context, charter: u64, proven: &ProvenRecord, body: Option<&Bytes>) -> String {
    let mut out = String::new();
    let mut row = |label: &str, text: String| out.push_str(&format!("  {label:<9} {text}\n"));
    let last = proven.register();
    row("register", format!("{}, at size {}", words::origin_short(&last.binding.origin), words::grouped(last.size)));
    row("of", words::did(&last.entity));
    let seen = match proven.witnessed_at() {
        Some(time) => words::ago(Time::from_secs_saturating(time), context.now),
        None if proven.steps().iter().all(|step| step.witnesses.is_empty()) => "no witnesses".to_owned(),
        None => "at a time that is not known".to_owned(),
    };
    row("stood so", seen);
    row("bound by", format!("charter {charter}"));
    for step in proven.steps() {
        let by = match step.witnesses.len() {
            0 => String::new(),
            count => format!(", {}", words::counted(count as u64, "witness", "witnesses")),
        };
        row("", format!("→ {}, size {}{by}", words::did(&step.entity), words::grouped(step.size)));
    }
    if let Some(until) = Time::from_secs(proven.window().1) {
        row("until", words::from_now(until, context.now));
    }
    let Some(body) = body else {
        row("shows", "this register had no such record".to_owned());
        return out;
    };
    row("sha256", Digest::of(body).to_string());
    row("body", words::size(body.len() as u64));
    out.push_str(&body_text(body));
    out
}

fn unread(path: &Path, error: &RecordProofError) -> CliError {
    if error.is_upgrade_needed() {
        return refused(path, error);
    }
    CliError::malformed(format!("{} is not a proof of a record", shown(path)))
        .because(error)
        .hint("get it again from its sender")
}

fn refused(path: &Path, error: &RecordProofError) -> CliError {
    let shown = shown(path);
    if error.is_upgrade_needed() {
        return CliError::new("upgrade-needed", Exit::Open, format!("this program is too old for {shown}"))
            .because(error)
            .hint("upgrade this program");
    }
    CliError::new("proof-refused", Exit::Refused, format!("{shown} proves nothing under this charter")).because(error)
}
