use std::path::Path;

use serde_json::Value;
use standfast_protocol::key::VerifierKey;
use standfast_protocol::log::checkpoint::HeadError;
use standfast_protocol::log::note::NoteError;
use standfast_protocol::register::fork::{ForkError, ForkKind, ForkProof};
use standfast_tests::vectors::{self, digest, digests, list, refused, same, text};

#[test]
fn forks() {
    if let Some(folder) = vectors::model() {
        check_all(&folder);
    }
}

/// Checks the file in this folder.
pub(super) fn check_all(folder: &Path) {
    let (file, mut report) = vectors::open(folder, "forks.json");
    let keys: Vec<VerifierKey> = list(&file["keys"]).iter().map(|key| text(key).parse().expect("a key")).collect();
    for case in list(&file["cases"]) {
        report.check(text(&case["name"]), check(case, text(&file["origin"]), &keys));
    }
    report.finish();
}

fn check(case: &Value, origin: &str, keys: &[VerifierKey]) -> Result<(), String> {
    let proof = digests(&case["proof"]).ok_or("a proof of other than digests")?;
    let other = digest(&case["other_root"]).map(|root| (root, proof));
    let proof = ForkProof::new(text(&case["smaller"]).to_owned(), text(&case["larger"]).to_owned(), other);
    let found = proof.check(origin, keys);
    same("holds", Some(found.is_ok()), case["holds"].as_bool())?;
    refused(Some(result(&found)), text(&case["result"]))?;
    if found.is_ok() {
        same("written and read again", ForkProof::parse(&proof.encode()), Ok(proof))?;
    }
    Ok(())
}

/// The model's code of a kind or a refusal.
fn result(found: &Result<ForkKind, ForkError>) -> &'static str {
    match found {
        Ok(ForkKind::EqualSize) => "equal-size",
        Ok(ForkKind::Consistency) => "consistency",
        Err(ForkError::Size(_)) => "too-large",
        Err(ForkError::Cbor(_)) => "cbor",
        Err(ForkError::Head(HeadError::Note(NoteError::UnknownKey))) => "unknown-key",
        Err(ForkError::Head(HeadError::Note(NoteError::BadSignature))) => "bad-signature",
        Err(ForkError::Head(HeadError::Note(NoteError::BlankLine))) => "no-blank-line",
        Err(ForkError::Head(HeadError::Note(_))) => "note",
        Err(ForkError::Head(HeadError::Checkpoint(_))) => "checkpoint",
        Err(ForkError::Head(HeadError::WrongOrigin)) => "wrong-origin",
        Err(ForkError::SuperfluousProof) => "superfluous-proof",
        Err(ForkError::SameCheckpoint) => "same-checkpoint",
        Err(ForkError::WrongOrder) => "wrong-order",
        Err(ForkError::EmptyTree) => "empty-tree",
        Err(ForkError::MissingProof) => "missing-proof",
        Err(ForkError::NotAnotherRoot) => "not-another-root",
        Err(ForkError::BadConsistency) => "bad-consistency",
    }
}
