//! Proofs on witnesses: that one contradicted itself about a register.

use std::path::Path;

use data_encoding::BASE64;
use serde::Serialize;
use standfast_protocol::charter::SignedCharter;
use standfast_protocol::limits;
use standfast_protocol::log::note::Note;
use standfast_protocol::log::witness_proof::{Contradiction, Said, Shown, WitnessProof, WitnessProofError};
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::time::Time;

use crate::command::Context;
use crate::error::{CliError, CliResult, Exit};
use crate::output::{Sign, Style, words};
use crate::trust_source::{self, shown};

/// A witness proof, with both statements as signed, and the file's bytes.
#[derive(Debug, Clone, Serialize)]
pub(super) struct WitnessDocument {
    kind: &'static str,
    witness: String,
    /// Whether the charter in force names the witness with this key.
    in_force: bool,
    register: String,
    form: &'static str,
    statements: [StatementDocument; 2],
    proof_sha256: String,
    proof_base64: String,
}

#[derive(Debug, Clone, Serialize)]
struct StatementDocument {
    /// `cosignature` or `view`.
    by: &'static str,
    at: String,
    size: u64,
    root: String,
    note: String,
}

impl WitnessDocument {
    /// Checks a proof by the charters held here, and shows it.
    pub(super) fn of(snapshot: &Snapshot, proof: &WitnessProof) -> Result<Self, WitnessProofError> {
        let replica = snapshot.replica();
        let Shown { contradiction, told, key } = replica.check_witness_proof(proof)?;
        let [first, second] = proof.said();
        let [small, large] = &told;
        let statement = |said: &Said, told: &standfast_protocol::log::witness_proof::Told| {
            let (by, note) = match said {
                Said::Cosigned(note) => ("cosignature", note),
                Said::Viewed { note, .. } => ("view", note),
            };
            StatementDocument {
                by,
                at: Time::from_secs_saturating(told.time).to_string(),
                size: told.head.size,
                root: told.head.root.to_string(),
                note: note.clone(),
            }
        };
        Ok(Self {
            kind: "standfast/witness-proof/v1",
            witness: proof.witness().to_owned(),
            in_force: replica.quorum().witnesses().get(proof.witness()) == Some(&key),
            register: small.head.origin.clone(),
            form: contradiction.as_str(),
            statements: [statement(first, small), statement(second, large)],
            proof_sha256: proof.digest().to_string(),
            proof_base64: BASE64.encode(&proof.encode()),
        })
    }

    /// Returns all proofs held.
    pub(super) fn held(snapshot: &Snapshot) -> Vec<Self> {
        let proofs = snapshot.replica().witness_proofs().values();
        proofs.filter_map(|proof| Self::of(snapshot, proof).ok()).collect()
    }

    /// Returns a row for a table: witness, sizes and what is wrong.
    pub(super) fn row(&self, style: &Style) -> String {
        let text =
            format!("! witness {} contradicted itself about {}", self.witness, words::origin_short(&self.register));
        format!("{}\n", style.in_color_of(Sign::Tampered, &text))
    }

    /// Draws the screen of one proof.
    pub(super) fn draw(&self, snapshot: &Snapshot, style: &Style) -> String {
        let bound = snapshot.replica().bound();
        let register = words::register(&self.register, bound.keys().map(String::as_str));
        let head = format!("! witness {} contradicted itself about {register}", self.witness);
        let mut text = style.in_color_of(Sign::Tampered, &head);
        text.push_str(&format!("\n  register  {}\n", words::origin_short(&self.register)));
        for statement in &self.statements {
            let StatementDocument { by, at, size, root, .. } = statement;
            let article = if *by == "view" { "a view" } else { "a cosignature" };
            text.push_str(&format!("  size {} in {article} of {at}\n    {root}\n", words::grouped(*size)));
        }
        let form = match self.form {
            form if form == Contradiction::EqualSize.as_str() => "two roots for one size",
            form if form == Contradiction::LaterSmaller.as_str() => "the later statement names the smaller head",
            _ => "the larger head continues another log than the smaller",
        };
        text.push_str(&format!("  shows     {form}\n"));
        text.push_str("  proof     holds under the keys that the charter gives the witness\n");
        text.push_str(if self.in_force {
            "  counts    as before: whether the witness stays is for the charter to say\n"
        } else {
            "  counts    no more: the charter in force does not name it with this key\n"
        });
        text
    }
}

/// `fork verify` of a witness proof: by the charter of a file, or by those held here.
pub(super) fn verify(context: &Context, file: &Path, proof: &WitnessProof, charter: Option<&Path>) -> CliResult {
    let found = match charter {
        Some(path) => {
            let bytes = context.read(path, limits::NOTE_SIZE_MAX as u64)?;
            let refused = |e: &dyn std::error::Error| {
                let message = format!("{} is not a signed charter", shown(path));
                CliError::new("charter-refused", Exit::Usage, message).because(e)
            };
            let note = Note::parse(&bytes).map_err(|e| refused(&e))?;
            let signed = SignedCharter::authenticate_pinned(note).map_err(|e| refused(&e))?;
            let charter = signed.charter();
            proof.check(charter.network_id(), charter.signing_witnesses(0))
        }
        None => trust_source::load(context)?.snapshot.replica().check_witness_proof(proof),
    };
    let Shown { contradiction, told: [small, large], .. } = found.map_err(|error| match error {
        WitnessProofError::UnknownWitness(_) => CliError::new(
            "witness-unknown",
            Exit::Open,
            format!("who witness {} is, is not known here", proof.witness()),
        )
        .hint("check it by a charter that names it: standfast fork verify FILE --charter CHARTER"),
        error => {
            CliError::new("fork-refused", Exit::Refused, format!("{} proves nothing", shown(file))).because(&error)
        }
    })?;
    let document = CheckDocument {
        kind: "standfast/witness-check/v1",
        holds: true,
        witness: proof.witness().to_owned(),
        register: small.head.origin.clone(),
        form: contradiction.as_str(),
        sizes: [small.head.size, large.head.size],
        proof_sha256: proof.digest().to_string(),
    };
    context.output.result(&document, |style| {
        let holds = format!("! the proof holds: witness {} contradicted itself", document.witness);
        let mut text = style.in_color_of(Sign::Tampered, &holds);
        text.push_str(&format!("\n  register  {}\n", words::origin_short(&document.register)));
        let [small, large] = document.sizes.map(words::grouped);
        text.push_str(&match contradiction {
            Contradiction::EqualSize => format!("  proof     two roots at size {small}\n"),
            Contradiction::LaterSmaller => format!("  proof     size {small} was named after size {large}\n"),
            Contradiction::Inconsistent => format!("  proof     size {large} does not continue size {small}\n"),
        });
        text
    })?;
    Ok(Exit::Done)
}

/// What a check found, as `--json` shows it.
#[derive(Serialize)]
struct CheckDocument {
    kind: &'static str,
    holds: bool,
    witness: String,
    register: String,
    form: &'static str,
    sizes: [u64; 2],
    proof_sha256: String,
}

/// Returns the proof held of the witness of this name, in force or not.
pub(super) fn held(snapshot: &Snapshot, name: &str) -> Option<WitnessProof> {
    let replica = snapshot.replica();
    let newest = replica.witness_proofs().iter().rev().find(|((witness, _), _)| witness == name);
    let proof = replica.proof_of_witness(name).or(newest.map(|(_, proof)| proof));
    proof.map(|proof| proof.as_ref().clone())
}
