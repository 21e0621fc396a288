//! `fork verify`: does a proof hold, and whose word is it that its keys are the register's?
//!
//! With `--charter` only that file speaks: its anchors bind registers. Without it all that is held here does. Where
//! neither names the register, its origin still vouches for the one key that it is made of.

use std::path::Path;

use serde::Serialize;
use standfast_protocol::charter::SignedCharter;
use standfast_protocol::key::VerifierKey;
use standfast_protocol::limits;
use standfast_protocol::log::note::Note;
use standfast_protocol::register::fork::report::ForkReport;
use standfast_protocol::register::fork::{ForkError, ForkKind};
use standfast_protocol::snapshot::Snapshot;

use super::{Head, form_of, heads_of};
use crate::command::Context;
use crate::error::{CliError, CliResult, Exit};
use crate::output::{Sign, words};
use crate::trust_source::{self, shown};

/// What a check found, as `--json` shows it.
#[derive(Serialize)]
struct CheckDocument {
    kind: &'static str,
    holds: bool,
    register: String,
    authority: Option<String>,
    form: &'static str,
    heads: [Head; 2],
    /// `charter`, `held` or `origin`.
    keys_by: &'static str,
    charter: Option<u64>,
    proof_sha256: String,
}

/// Who says that keys are those of the register.
enum Binding {
    /// The charter of the file.
    Charter { version: u64, authority: String, keys: Vec<VerifierKey> },
    /// The charter and the trust entries held here, or the same in former times.
    Held { authority: Option<String>, keys: Vec<VerifierKey> },
    /// Nobody but the origin itself, by the key that came along.
    Origin,
}

pub(super) fn run(context: &Context, file: &Path, report: &ForkReport, charter: Option<&Path>) -> CliResult {
    let binding = match charter {
        Some(path) => by_charter(context, path, report)?,
        None => by_held(context, report)?,
    };
    let found = match &binding {
        Binding::Charter { keys, .. } | Binding::Held { keys, .. } => report.proof().check(report.origin(), keys),
        Binding::Origin => {
            let found = report.check_by_origin();
            found.filter(|found| !by_another_key(found)).ok_or_else(|| not_known(report, charter))?
        }
    };
    let kind = found.map_err(|e| {
        CliError::new("fork-refused", Exit::Refused, format!("{} proves nothing", shown(file))).because(&e)
    })?;
    let (keys_by, version, authority) = match &binding {
        Binding::Charter { version, authority, .. } => ("charter", Some(*version), Some(authority.clone())),
        Binding::Held { authority, .. } => ("held", None, authority.clone()),
        Binding::Origin => ("origin", None, None),
    };
    let document = CheckDocument {
        kind: "standfast/fork-check/v1",
        holds: true,
        register: report.origin().to_owned(),
        authority,
        form: form_of(kind),
        heads: heads_of(report),
        keys_by,
        charter: version,
        proof_sha256: report.proof().digest().to_string(),
    };
    context.output.result(&document, |style| {
        let origin = words::origin_short(report.origin());
        let mut text = style.in_color_of(Sign::Tampered, "! the proof holds: one key signed two histories");
        text.push_str(&format!("\n  register  {origin}\n"));
        if let Some(authority) = &document.authority {
            text.push_str(&format!("  owner     {}\n", words::did(authority)));
        }
        let [small, large] = report.heads();
        text.push_str(&match kind {
            ForkKind::EqualSize => format!("  proof     two roots at size {}\n", words::grouped(small.size)),
            ForkKind::Consistency => {
                let (small, large) = (words::grouped(small.size), words::grouped(large.size));
                format!("  proof     size {large} does not continue size {small}\n")
            }
        });
        text.push_str(&match &binding {
            Binding::Charter { version, .. } => {
                format!("  key       bound to it by charter {version}, of which it is an anchor\n")
            }
            Binding::Held { .. } => "  key       bound to it by the charter or a trust entry held here\n".to_owned(),
            Binding::Origin => "  key       the one that its name is made of; who owns it is not said\n".to_owned(),
        });
        text
    })?;
    Ok(Exit::Done)
}

/// True when the heads are by another key than the one asked: then nothing is known, either way.
fn by_another_key(found: &Result<ForkKind, ForkError>) -> bool {
    use standfast_protocol::log::checkpoint::HeadError;
    use standfast_protocol::log::note::NoteError;
    matches!(found, Err(ForkError::Head(HeadError::Note(NoteError::UnknownKey))))
}

fn by_charter(context: &Context, path: &Path, report: &ForkReport) -> CliResult<Binding> {
    let bytes = context.read(path, limits::NOTE_SIZE_MAX as u64)?;
    let refused = |e: &dyn std::error::Error| {
        CliError::new("charter-refused", Exit::Usage, format!("{} is not a signed charter", shown(path))).because(e)
    };
    let note = Note::parse(&bytes).map_err(|e| refused(&e))?;
    let signed = SignedCharter::authenticate_pinned(note).map_err(|e| refused(&e))?;
    let charter = signed.charter();
    let anchor = charter.document().anchors.iter().find(|anchor| anchor.register.origin == report.origin());
    Ok(match anchor {
        Some(anchor) => Binding::Charter {
            version: charter.version(),
            authority: anchor.authority.clone(),
            keys: anchor.register.keys.clone(),
        },
        None => Binding::Origin,
    })
}

fn by_held(context: &Context, report: &ForkReport) -> CliResult<Binding> {
    let trusted = match trust_source::load(context) {
        Ok(trusted) => trusted,
        // A stranger who belongs to no network holds nothing.
        Err(error) if error.code == "file-missing" && context.config.trust.is_none() => return Ok(Binding::Origin),
        Err(error) => return Err(error),
    };
    Ok(bound_here(&trusted.snapshot, report.origin()))
}

fn bound_here(snapshot: &Snapshot, origin: &str) -> Binding {
    if let Some(bound) = snapshot.replica().bound().get(origin) {
        return Binding::Held { authority: Some(bound.entity.clone()), keys: bound.keys.clone() };
    }
    // It was bound once, and its fork is known: the keys of then.
    match snapshot.replica().register(origin).filter(|register| !register.keys().is_empty()) {
        Some(register) => Binding::Held { authority: None, keys: register.keys().to_vec() },
        None => Binding::Origin,
    }
}

fn not_known(report: &ForkReport, charter: Option<&Path>) -> CliError {
    let origin = words::origin_short(report.origin());
    let error = CliError::new("register-unknown", Exit::Open, format!("which keys are those of {origin} is not known"));
    let error = match charter {
        Some(path) => error.cause(format!("it is no anchor of {}: a trust entry binds it", shown(path))),
        None => error.cause("neither the charter nor a trust entry held here names it"),
    };
    let error = match report.keys() {
        [] => error.cause("the file carries no key"),
        _ => error.cause("it was not signed by the key that the register's name is made of"),
    };
    error
        .hint("judge by a bundle of its network: standfast fork verify FILE --trust BUNDLE")
        .hint("or connect, or carry in newer data: standfast bundle import FILE")
}
