//! `fork`: proofs that a key signed two histories, or that a witness contradicted itself. Reads files alone.

mod check;
mod file;
mod lapse;
mod witness;

use std::path::Path;

use data_encoding::BASE64;
use serde::Serialize;
use standfast_protocol::log::witness_proof::WitnessProof;
use standfast_protocol::register::fork::ForkKind;
use standfast_protocol::register::fork::report::ForkReport;
use standfast_protocol::snapshot::Snapshot;

use self::witness::WitnessDocument;
use super::Context;
use super::verify::why::cosigners;
use crate::args::governance::Fork as Verb;
use crate::error::{CliError, CliResult, Exit};
use crate::output::table::{Column, Table};
use crate::output::{Sign, words};
use crate::trust_source;
use file::ProofFile;
use lapse::Lapse;

#[derive(Serialize)]
struct Forks {
    kind: &'static str,
    forks: Vec<ForkDocument>,
    witnesses: Vec<WitnessDocument>,
}

/// A fork, with the whole proof: two heads as signed, and the file's bytes.
#[derive(Debug, Clone, Serialize)]
struct ForkDocument {
    kind: &'static str,
    register: String,
    authority: Option<String>,
    form: &'static str,
    heads: [Head; 2],
    fork_point: Option<u64>,
    size_witnessed: Option<u64>,
    /// The register's keys, under which the proof was checked.
    keys: Vec<String>,
    /// Where the register ends, when a binding names it with `after`: the register was bound anew.
    bound_anew_after: Option<u64>,
    /// What would have to be published again in a new register; `null` where the old one is not held or bound.
    lapses: Option<Vec<Lapse>>,
    proof_sha256: String,
    proof_base64: String,
}

#[derive(Debug, Clone, Serialize)]
struct Head {
    size: u64,
    root: String,
    note: String,
}

/// Runs a verb of `fork`.
pub fn run(context: &Context, command: Verb) -> CliResult {
    match command {
        Verb::List => list(context),
        Verb::Show { subject, out, yes } => show(context, &subject, out.as_deref(), yes),
        Verb::Verify { file, charter } => match file::read(context, &file)? {
            ProofFile::Register(report) => check::run(context, &file, &report, charter.as_deref()),
            ProofFile::Witness(proof) => witness::verify(context, &file, &proof, charter.as_deref()),
        },
    }
}

fn list(context: &Context) -> CliResult {
    let trusted = trust_source::load(context)?;
    let snapshot = &trusted.snapshot;
    let forks: Vec<ForkDocument> = all(snapshot).iter().map(|report| document(snapshot, report)).collect();
    let witnesses = WitnessDocument::held(snapshot);
    let document = Forks { kind: "standfast/forks/v1", forks: forks.clone(), witnesses: witnesses.clone() };
    context.output.result(&document, |style| {
        let misbehaved: String = witnesses.iter().map(|proof| proof.row(style)).collect();
        if forks.is_empty() {
            let none = "no register known here is forked\n";
            return if misbehaved.is_empty() { none.to_owned() } else { format!("{none}{misbehaved}") };
        }
        let columns = [Column::left("REGISTER"), Column::right("SIZE"), Column::left("ROOTS")];
        let mut table = Table::new(columns, true);
        for fork in &forks {
            let [small, large] = &fork.heads;
            let size = if small.size == large.size {
                words::grouped(small.size)
            } else {
                format!("{}, {}", words::grouped(small.size), words::grouped(large.size))
            };
            let roots = format!("{} and {}", words::short(&small.root), words::short(&large.root));
            table.row(Some(Sign::Tampered), [name(snapshot, &fork.register), size, roots]);
        }
        table.draw(style) + &misbehaved
    })?;
    Ok(Exit::Done)
}

fn show(context: &Context, subject: &str, out: Option<&Path>, yes: bool) -> CliResult {
    let trusted = trust_source::load(context)?;
    let snapshot = &trusted.snapshot;
    let path = Path::new(subject);
    let is_file = subject == "-" || path.is_file();
    let report = match is_file {
        true => match file::read(context, path)? {
            ProofFile::Witness(proof) => return show_witness(context, snapshot, &proof, out, yes),
            ProofFile::Register(report) => from_file(snapshot, path, &report)?,
        },
        false => match witness::held(snapshot, subject) {
            Some(proof) => return show_witness(context, snapshot, &proof, out, yes),
            None => held(snapshot, subject)?,
        },
    };
    let document = document(snapshot, &report);
    let origin = report.origin().to_owned();
    if let Some(out) = out {
        let bytes = report.encode();
        context.write(out, &bytes, yes)?;
        if out != Path::new("-") {
            let wrote = format!("Wrote {}, {}\n", out.display(), words::size(bytes.len() as u64));
            context.output.result(&document, |_| wrote)?;
        }
        return Ok(Exit::Done);
    }
    context.output.result(&document, |style| {
        let [small, large] = &document.heads;
        let name = name(snapshot, &origin);
        let mut text = style.in_color_of(Sign::Tampered, &format!("! {name} has two histories, signed by one key"));
        text.push_str(&format!("\n  register  {}\n", words::origin_short(&origin)));
        if let Some(authority) = &document.authority {
            text.push_str(&format!("  owner     {}\n", words::did(authority)));
        }
        for head in [small, large] {
            text.push_str(&format!("  size {}\n    {}\n", words::grouped(head.size), head.root));
        }
        if small.size != large.size {
            text.push_str("  the larger continues another history than the smaller\n");
        }
        let whose = match &document.authority {
            Some(_) => "the keys that the trust path binds",
            None => "the keys that were bound to it before",
        };
        text.push_str(&format!("  proof     holds under {whose}\n"));
        text.push_str(&standing(snapshot, &document));
        if let Some(lapses) = &document.lapses {
            text.push_str(&format!("  lapses    when it is bound anew: {}\n", lapse::words(lapses)));
            text.push_str("            what is revoked stays so; each of them: --json\n");
        }
        if !is_file {
            let word = super::verify::judged::quoted(subject);
            text.push_str(&format!("→ a file to report it by: standfast fork show {word} --out FILE\n"));
        }
        text
    })?;
    Ok(Exit::Done)
}

fn show_witness(
    context: &Context,
    snapshot: &Snapshot,
    proof: &WitnessProof,
    out: Option<&Path>,
    yes: bool,
) -> CliResult {
    let document = WitnessDocument::of(snapshot, proof).map_err(|error| {
        CliError::new("fork-refused", Exit::Refused, "the proof on a witness shows nothing").because(&error)
    })?;
    if let Some(out) = out {
        let bytes = proof.encode();
        context.write(out, &bytes, yes)?;
        if out != Path::new("-") {
            let wrote = format!("Wrote {}, {}\n", out.display(), words::size(bytes.len() as u64));
            context.output.result(&document, |_| wrote)?;
        }
        return Ok(Exit::Done);
    }
    context.output.result(&document, |style| document.draw(snapshot, style))?;
    Ok(Exit::Done)
}

/// What still counts of a forked register.
fn standing(snapshot: &Snapshot, document: &ForkDocument) -> String {
    if let Some(size) = document.bound_anew_after {
        let size = words::grouped(size);
        return format!("  counts    what it had revoked up to size {size}, where it was bound anew\n");
    }
    let origin = &document.register;
    let bound = snapshot.held(origin).filter(|_| snapshot.replica().bound().contains_key(origin));
    let Some(held) = bound else { return "  counts    nothing\n".to_owned() };
    let register = held.register();
    let witnessed = register.size_witnessed();
    let named = snapshot.quorum().witnesses().len() as u64;
    let stand = if witnessed == 0 {
        "nothing: no quorum stands behind either history".to_owned()
    } else {
        let share = words::share(cosigners(register, witnessed) as u64, named);
        format!("size {}, which {share} witnesses saw, until it is too old", words::grouped(witnessed))
    };
    format!("  counts    {stand}\n            what either history revokes or withdraws\n")
}

fn name(snapshot: &Snapshot, origin: &str) -> String {
    words::register(origin, snapshot.replica().bound().keys().map(String::as_str))
}

/// Every proof known here: of registers that are bound, and of those that once were.
fn all(snapshot: &Snapshot) -> Vec<ForkReport> {
    let replica = snapshot.replica();
    let bound = replica.registers().values().filter(|register| replica.bound().contains_key(register.origin()));
    let bound = bound
        .filter_map(|register| ForkReport::new(register.fork_proof()?.as_ref().clone(), register.keys().to_vec()).ok());
    let unbound = replica.fork_reports();
    bound.chain(unbound.values().map(|report| ForkReport::clone(report))).collect()
}

/// The proof held of the register whose origin begins so.
fn held(snapshot: &Snapshot, beginning: &str) -> CliResult<ForkReport> {
    let begins = |origin: &str| origin.starts_with(beginning);
    let is_held = snapshot.registers().keys().any(|origin| begins(origin));
    let mut reports: Vec<ForkReport> = all(snapshot).into_iter().filter(|report| begins(report.origin())).collect();
    match (reports.pop(), reports.as_slice()) {
        (Some(one), []) => Ok(one),
        (None, _) if !is_held => Err(CliError::usage(format!("no register held here begins with {beginning}"))
            .hint("see what is held: standfast status")),
        (None, _) => Err(CliError::new("fork-missing", Exit::Usage, format!("no fork of {beginning} is known here"))
            .hint("see those that are: standfast fork list")),
        (Some(last), others) => {
            let names = others.iter().chain([&last]).map(|report| words::origin_short(report.origin()));
            let count = others.len() + 1;
            let error = CliError::usage(format!("{beginning} is ambiguous: {count} forked registers"));
            Err(names.fold(error, CliError::cause))
        }
    }
}

/// A proof from a file, checked under the keys that are bound here.
fn from_file(snapshot: &Snapshot, path: &Path, report: &ForkReport) -> CliResult<ForkReport> {
    let shown = trust_source::shown(path);
    let origin = report.origin().to_owned();
    let keys = match snapshot.replica().bound().get(&origin) {
        Some(bound) => bound.keys.clone(),
        None => snapshot.replica().fork_reports().get(origin.as_str()).map_or_else(Vec::new, |r| r.keys().to_vec()),
    };
    if keys.is_empty() {
        return Err(CliError::new(
            "register-unknown",
            Exit::Open,
            format!("whose register {origin} is, is not known here"),
        )
        .hint(format!("check it by itself: standfast fork verify {shown}"))
        .hint("or connect, or carry in newer data: standfast bundle import FILE"));
    }
    let refused = |e| CliError::new("fork-refused", Exit::Refused, format!("{shown} proves nothing")).because(&e);
    report.proof().check(&origin, &keys).map_err(refused)?;
    let malformed = |e| CliError::malformed(format!("{shown} is not a fork proof")).because(&e);
    ForkReport::new(report.proof().clone(), keys).map_err(malformed)
}

fn form_of(kind: ForkKind) -> &'static str {
    match kind {
        ForkKind::EqualSize => "equal-size",
        ForkKind::Consistency => "consistency",
    }
}

fn heads_of(report: &ForkReport) -> [Head; 2] {
    let [small, large] = report.heads();
    [(small, report.proof().smaller()), (large, report.proof().larger())].map(|(checkpoint, note)| Head {
        size: checkpoint.size,
        root: checkpoint.root.to_string(),
        note: note.to_owned(),
    })
}

fn document(snapshot: &Snapshot, report: &ForkReport) -> ForkDocument {
    let origin = report.origin();
    let replica = snapshot.replica();
    let [small, large] = report.heads();
    let kind = if small.size == large.size { ForkKind::EqualSize } else { ForkKind::Consistency };
    let register = snapshot.held(origin).map(|held| held.register());
    let is_bound = replica.bound().contains_key(origin);
    let after = replica.afters().iter().filter(|after| after.origin == origin && !is_bound).map(|after| after.size);
    ForkDocument {
        kind: "standfast/fork/v1",
        register: origin.to_owned(),
        authority: replica.bound().get(origin).map(|bound| bound.entity.clone()),
        form: form_of(kind),
        heads: heads_of(report),
        fork_point: register.and_then(|register| register.fork_point()),
        size_witnessed: register.map(|register| register.size_witnessed()),
        keys: report.keys().iter().map(ToString::to_string).collect(),
        bound_anew_after: after.max(),
        lapses: lapse::of(snapshot, origin),
        proof_sha256: report.proof().digest().to_string(),
        proof_base64: BASE64.encode(&report.proof().encode()),
    }
}
