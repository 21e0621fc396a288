//! `fork`: proofs that a key signed two histories, or that a witness contradicted itself. Reads files alone.

mod witness;

use std::path::Path;

use data_encoding::BASE64;
use serde::Serialize;
use standfast_protocol::log::witness_proof::WitnessProof;
use standfast_protocol::register::fork::ForkProof;
use standfast_protocol::snapshot::Snapshot;

use self::witness::WitnessDocument;
use super::Context;
use super::verify::why::{cosigners, fork_heads};
use crate::args::governance::Fork as Verb;
use crate::error::{CliError, CliResult, Exit};
use crate::output::table::{Column, Table};
use crate::output::{Sign, words};
use crate::trust_source;

/// Bytes in a fork proof's file.
const PROOF_SIZE_MAX: u64 = 64 * 1024;

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
    }
}

fn list(context: &Context) -> CliResult {
    let trusted = trust_source::load(context)?;
    let snapshot = &trusted.snapshot;
    let held = snapshot.registers().values().filter_map(|held| held.register().fork_proof().map(|p| (held, p)));
    let forks: Vec<ForkDocument> =
        held.filter_map(|(held, proof)| document(snapshot, held.register().origin(), proof)).collect();
    let witnesses = WitnessDocument::held(snapshot);
    let document = Forks { kind: "standfast/forks/v1", forks: forks.clone(), witnesses: witnesses.clone() };
    context.output.result(&document, |style| {
        let misbehaved: String = witnesses.iter().map(|proof| proof.row(style)).collect();
        if forks.is_empty() {
            let none = "no register held here is forked\n";
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
    if let Some(proof) = witness_proof(context, snapshot, subject, is_file)? {
        return show_witness(context, snapshot, &proof, out, yes);
    }
    let (origin, proof) = if is_file { from_file(context, snapshot, path)? } else { held(snapshot, subject)? };
    let document = document(snapshot, &origin, &proof).ok_or_else(|| {
        CliError::malformed("the proof does not name two heads").cause("expected two signed notes of one register")
    })?;
    if let Some(out) = out {
        context.write(out, &proof.encode(), yes)?;
        if out != Path::new("-") {
            context.output.result(&document, |_| {
                format!("Wrote {}, {}\n", out.display(), words::size(proof.encode().len() as u64))
            })?;
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
        text.push_str("  proof     holds under the keys that the trust path binds\n");
        text.push_str(&standing(snapshot, &origin));
        if !is_file {
            let word = super::verify::judged::quoted(subject);
            text.push_str(&format!("→ a file to report it by: standfast fork show {word} --out FILE\n"));
        }
        text
    })?;
    Ok(Exit::Done)
}

/// The proof of a witness that is named, or that a file holds.
fn witness_proof(
    context: &Context,
    snapshot: &Snapshot,
    subject: &str,
    is_file: bool,
) -> CliResult<Option<WitnessProof>> {
    if !is_file {
        return Ok(witness::held(snapshot, subject));
    }
    // Standard input is read once, by whoever reads fork proofs.
    let bytes = if subject == "-" { return Ok(None) } else { context.read(Path::new(subject), PROOF_SIZE_MAX)? };
    Ok(WitnessProof::parse(&bytes).ok())
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
fn standing(snapshot: &Snapshot, origin: &str) -> String {
    let Some(held) = snapshot.held(origin) else { return String::new() };
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

/// The proof held of the register whose origin begins so.
fn held(snapshot: &Snapshot, beginning: &str) -> CliResult<(String, ForkProof)> {
    let found: Vec<_> =
        snapshot.registers().values().filter(|held| held.register().origin().starts_with(beginning)).collect();
    let proofs: Vec<_> = found
        .iter()
        .filter_map(|held| Some((held.register().origin().to_owned(), held.register().fork_proof()?.as_ref().clone())))
        .collect();
    match (proofs.as_slice(), found.as_slice()) {
        ([one], _) => Ok(one.clone()),
        ([], []) => Err(CliError::usage(format!("no register held here begins with {beginning}"))
            .hint("see what is held: standfast status")),
        ([], _) => Err(CliError::new("fork-missing", Exit::Usage, format!("no fork of {beginning} is known here"))
            .hint("see those that are: standfast fork list")),
        (many, _) => {
            let names = many.iter().map(|(origin, _)| words::origin_short(origin));
            let error = CliError::usage(format!("{beginning} is ambiguous: {} forked registers", many.len()));
            Err(names.fold(error, CliError::cause))
        }
    }
}

/// A proof from a file, checked under the keys that are bound here.
fn from_file(context: &Context, snapshot: &Snapshot, path: &Path) -> CliResult<(String, ForkProof)> {
    let bytes = context.read(path, PROOF_SIZE_MAX)?;
    let shown = trust_source::shown(path);
    let malformed = || CliError::malformed(format!("{shown} is not a fork proof"));
    let proof = ForkProof::parse(&bytes).map_err(|e| malformed().because(&e))?;
    let (small, _) = fork_heads(&proof).ok_or_else(|| malformed().cause("expected two signed heads in it"))?;
    let bound = snapshot.replica().bound().get(&small.origin).ok_or_else(|| {
        CliError::new("register-unknown", Exit::Open, format!("whose register {} is, is not known here", small.origin))
            .hint("connect, or carry in newer data: standfast bundle import FILE")
    })?;
    proof
        .check(&small.origin, &bound.keys)
        .map_err(|e| CliError::new("fork-refused", Exit::Refused, format!("{shown} proves nothing")).because(&e))?;
    Ok((small.origin, proof))
}

fn document(snapshot: &Snapshot, origin: &str, proof: &ForkProof) -> Option<ForkDocument> {
    let (small, large) = fork_heads(proof)?;
    let form = if small.size == large.size { "equal-size" } else { "consistency" };
    let register = snapshot.held(origin).map(|held| held.register());
    let head = |checkpoint: standfast_protocol::log::checkpoint::Checkpoint, note: &str| Head {
        size: checkpoint.size,
        root: checkpoint.root.to_string(),
        note: note.to_owned(),
    };
    Some(ForkDocument {
        kind: "standfast/fork/v1",
        register: origin.to_owned(),
        authority: snapshot.replica().bound().get(origin).map(|bound| bound.entity.clone()),
        form,
        heads: [head(small, proof.smaller()), head(large, proof.larger())],
        fork_point: register.and_then(|register| register.fork_point()),
        size_witnessed: register.map(|register| register.size_witnessed()),
        proof_sha256: proof.digest().to_string(),
        proof_base64: BASE64.encode(&proof.encode()),
    })
}
