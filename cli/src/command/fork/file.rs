//! A proof's file, by its content: what `fork show --out` writes, the bare proof, or the JSON of `fork show` and `demo`.

use std::path::Path;

use data_encoding::BASE64;
use serde_json::Value;
use standfast_protocol::log::witness_proof::WitnessProof;
use standfast_protocol::register::fork::ForkProof;
use standfast_protocol::register::fork::report::{ForkReport, MAGIC};

use crate::command::Context;
use crate::error::{CliError, CliResult};
use crate::trust_source::shown;

/// Bytes in a proof's file: a proof of 4 KiB, in JSON beside two notes and the keys, within the document of a demo.
const FILE_SIZE_MAX: u64 = 256 * 1024;

/// What a file proves.
pub(super) enum ProofFile {
    /// That a register's key signed two histories.
    Register(ForkReport),
    /// That a witness contradicted itself.
    Witness(WitnessProof),
}

/// Reads a proof's file; nothing in it is checked yet.
pub(super) fn read(context: &Context, path: &Path) -> CliResult<ProofFile> {
    let bytes = context.read(path, FILE_SIZE_MAX)?;
    let malformed = || CliError::malformed(format!("{} is not a fork proof", shown(path)));
    if bytes.starts_with(MAGIC) {
        let report = ForkReport::decode(&bytes).map_err(|e| malformed().because(&e))?;
        return Ok(ProofFile::Register(report));
    }
    if let Some(proof) = of_witness(&bytes) {
        return Ok(ProofFile::Witness(proof));
    }
    let (proof, keys) = match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => {
            let document: Value = serde_json::from_slice(&bytes).map_err(|e| malformed().cause(e.to_string()))?;
            of_json(&document).ok_or_else(|| malformed().cause("expected a document of kind standfast/fork/v1"))?
        }
        _ => (bytes, Vec::new()),
    };
    let proof = ForkProof::parse(&proof).map_err(|e| malformed().because(&e))?;
    let keys = keys.iter().map(|key| key.parse().ok()).collect::<Option<_>>();
    let keys = keys.ok_or_else(|| malformed().cause("expected verifier keys in its member keys"))?;
    let report = ForkReport::new(proof, keys).map_err(|e| malformed().because(&e))?;
    Ok(ProofFile::Register(report))
}

/// A witness proof, bare or in the document of `fork show`.
fn of_witness(bytes: &[u8]) -> Option<WitnessProof> {
    if let Ok(proof) = WitnessProof::parse(bytes) {
        return Some(proof);
    }
    let document: Value = serde_json::from_slice(bytes).ok()?;
    let is_proof = document["kind"] == "standfast/witness-proof/v1";
    let encoded = document["proof_base64"].as_str().filter(|_| is_proof)?;
    WitnessProof::parse(&BASE64.decode(encoded.as_bytes()).ok()?).ok()
}

/// The proof in a document of `fork show`, or in that of a demo, where it is one of several members.
fn of_json(document: &Value) -> Option<(Vec<u8>, Vec<String>)> {
    let fork = if document["kind"] == "standfast/fork/v1" { document } else { &document["fork"] };
    let proof = BASE64.decode(fork["proof_base64"].as_str()?.as_bytes()).ok()?;
    let keys = fork["keys"].as_array().into_iter().flatten();
    Some((proof, keys.filter_map(|key| key.as_str().map(str::to_owned)).collect()))
}
