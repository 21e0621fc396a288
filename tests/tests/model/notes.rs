use std::path::Path;

use serde_json::Value;
use standfast_protocol::key::{Algorithm, KeyError, SecretKey, VerifierKey, is_own_origin, origin_of};
use standfast_protocol::log::checkpoint::{Checkpoint, CheckpointError};
use standfast_protocol::log::cosignature;
use standfast_protocol::log::note::{self, Note, NoteError};
use standfast_tests::vectors::{self, base64, digest, hex, list, number, refused, same, text};

#[test]
fn notes() {
    if let Some(folder) = vectors::model() {
        check_all(&folder);
    }
}

/// Checks the file in this folder.
pub(super) fn check_all(folder: &Path) {
    let (file, mut report) = vectors::open(folder, "notes.json");
    let known: Vec<VerifierKey> = list(&file["keys"]).iter().map(|key| text(key).parse().expect("a key")).collect();
    for case in list(&file["cases"]) {
        report.check(text(&case["name"]), check_note(case, &known));
    }
    for case in list(&file["sign"]) {
        report.check(&format!("sign-{}", text(&case["name"])), signs(case));
    }
    for case in list(&file["vkeys"]) {
        report.check(text(&case["name"]), check_key(case));
    }
    for case in list(&file["origins"]) {
        report.check(text(&case["origin"]), check_origin(case));
    }
    report.finish();
}

fn check_note(case: &Value, known: &[VerifierKey]) -> Result<(), String> {
    let note = Note::parse(&base64(&case["note"]));
    let verified = note.clone().and_then(|note| note.verify(known));
    if let Some(reason) = case["reason"].as_str() {
        return refused(verified.err().map(note_reason), reason);
    }
    let found: Vec<_> =
        verified.map_err(|error| format!("refused: {error}"))?.iter().map(|v| (v.key.to_string(), v.time)).collect();
    let expected: Vec<_> =
        list(&case["verified"]).iter().map(|pair| (text(&pair[0]).to_owned(), pair[1].as_u64())).collect();
    same("verified", found, expected)?;
    let note = note.map_err(|error| format!("refused: {error}"))?;
    same("bytes", note.to_string().into_bytes(), base64(&case["note"]))?;
    let (checkpoint, expected) = (Checkpoint::parse(note.text()), &case["checkpoint"]);
    if let Some(reason) = expected["reason"].as_str() {
        return refused(checkpoint.err().map(checkpoint_reason), reason);
    }
    let checkpoint = checkpoint.map_err(|error| format!("no checkpoint: {error}"))?;
    same("origin", checkpoint.origin.as_str(), text(&expected["origin"]))?;
    same("size", checkpoint.size, number(&expected["size"]))?;
    same("root", Some(checkpoint.root), digest(&expected["root"]))?;
    same("text", checkpoint.text().as_str(), note.text())
}

fn signs(case: &Value) -> Result<(), String> {
    let seed: [u8; 32] = hex(&case["seed"]).try_into().expect("a seed of 32 bytes");
    let secret = SecretKey::from_seed(&seed);
    let algorithm = if number(&case["alg"]) == 1 { Algorithm::Note } else { Algorithm::Cosignature };
    let key = VerifierKey::new(text(&case["name"]), algorithm, secret.public()).expect("a name");
    same("vkey", key.to_string().as_str(), text(&case["vkey"]))?;
    let line = match algorithm {
        Algorithm::Note => note::sign(text(&case["text"]), &key, &secret),
        Algorithm::Cosignature => cosignature::sign(text(&case["text"]), number(&case["time"]), &key, &secret),
    };
    same("line", line.to_string().as_str(), text(&case["line"]))
}

fn check_key(case: &Value) -> Result<(), String> {
    let key = text(&case["vkey"]).parse::<VerifierKey>();
    if let Some(reason) = case["reason"].as_str() {
        return refused(key.err().map(key_reason), reason);
    }
    let key = key.map_err(|error| format!("refused: {error}"))?;
    same("text", key.to_string().as_str(), text(&case["vkey"]))?;
    same("key_name", key.name(), text(&case["key_name"]))?;
    same("id", key.id().to_vec(), hex(&case["id"]))?;
    same("alg", key.algorithm() as u64, number(&case["alg"]))?;
    same("public", key.key().as_bytes().to_vec(), hex(&case["public"]))
}

fn check_origin(case: &Value) -> Result<(), String> {
    let matches = case["matches"].as_bool().expect("a boolean");
    let Ok(key) = text(&case["first_key"]).parse::<VerifierKey>() else { return same("matches", false, matches) };
    let origin = text(&case["origin"]);
    same("matches", key.name() == origin && is_own_origin(&key), matches)?;
    let (prefix, _) = origin.rsplit_once('/').unwrap_or((origin, ""));
    match key.algorithm() {
        Algorithm::Note => same("origin made", origin_of(prefix, key.key()) == origin, matches),
        Algorithm::Cosignature => Ok(()),
    }
}

/// The model's code of a refusal.
fn note_reason(error: NoteError) -> &'static str {
    match error {
        NoteError::Size => "note-size",
        NoteError::Utf8 => "utf-8",
        NoteError::ControlCharacter => "control-character",
        NoteError::BlankLine => "no-blank-line",
        NoteError::SignatureLine => "signature-line",
        NoteError::SignatureCount => "signature-count",
        NoteError::Base64 => "base64",
        NoteError::KeyName => "key-name",
        NoteError::SignatureLength => "signature-length",
        NoteError::SignatureTime => "signature-time",
        NoteError::BadSignature => "bad-signature",
        NoteError::UnknownKey => "no known key",
    }
}

fn checkpoint_reason(error: CheckpointError) -> &'static str {
    match error {
        CheckpointError::Lines => "checkpoint-lines",
        CheckpointError::Extension => "checkpoint-extension",
        CheckpointError::Origin => "key-name",
        CheckpointError::Number => "number",
        CheckpointError::Base64 => "base64",
        CheckpointError::Root => "checkpoint-root",
    }
}

fn key_reason(error: KeyError) -> &'static str {
    match error {
        KeyError::Shape => "vkey-shape",
        KeyError::Name => "key-name",
        KeyError::Id => "vkey-id",
        KeyError::Base64 => "base64",
        KeyError::Algorithm | KeyError::MlDsa44 => "vkey-algorithm",
        KeyError::Length => "vkey-length",
        KeyError::Weak => "vkey-weak",
        KeyError::Multikey => "no verifier key",
    }
}
