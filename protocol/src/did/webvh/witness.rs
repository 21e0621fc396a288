//! Witnesses of a did:webvh DID: the file beside the log, with proofs over nothing but a version's id.
//!
//! ```text
//! [{"proof":[{"cryptosuite":"eddsa-jcs-2022",…,"verificationMethod":"did:key:z6Mk…#z6Mk…"}],"versionId":"3-QmSY…"}]
//! ```
//!
//! A proof for a version stands for all before it. Proofs for versions that the log does not have (yet) are passed over,
//! and so are those that do not hold: what counts is that enough do.

use std::collections::BTreeMap;

use super::proof::{self, EntryProof};
use super::{LogError, Version, check_witness_file};
use crate::credential::jcs;
use crate::credential::json::{Json, Object};
use crate::key::PublicKey;
use crate::time::Time;

/// Returns the first version without enough witnesses, and why; `None` when all have enough.
pub(super) fn first_unwitnessed(versions: &[Version], file: &[u8]) -> Option<(usize, LogError)> {
    let first = versions.iter().position(|version| version.witnesses.is_some())?;
    let proofs = match read_file(file) {
        Ok(proofs) => proofs,
        Err(error) => return Some((first, error)),
    };
    let newest = newest_proofs(versions, &proofs);
    versions.iter().enumerate().skip(first).find_map(|(at, version)| {
        let witnesses = version.witnesses()?;
        let stands = |did: &&String| newest.get(did.as_str()).is_some_and(|newest| *newest >= at);
        let found = witnesses.dids.iter().filter(stands).count();
        let threshold = witnesses.threshold;
        (found < threshold).then_some((at, LogError::Unwitnessed { found, threshold }))
    })
}

/// The place of the newest version that each witness stands for.
fn newest_proofs<'a>(versions: &'a [Version], proofs: &[(String, Vec<Object>)]) -> BTreeMap<&'a str, usize> {
    let places: BTreeMap<&str, usize> = versions.iter().enumerate().map(|(at, version)| (version.id(), at)).collect();
    let mut known: Vec<_> =
        proofs.iter().filter_map(|(id, proofs)| Some((*places.get(id.as_str())?, id, proofs))).collect();
    known.sort_by(|(a, ..), (b, ..)| b.cmp(a));
    let named: BTreeMap<&str, &str> = versions
        .iter()
        .filter_map(Version::witnesses)
        .flat_map(|witnesses| &witnesses.dids)
        .filter_map(|did| Some((did.strip_prefix("did:key:")?, did.as_str())))
        .collect();
    let mut newest = BTreeMap::new();
    for (at, id, proofs) in known {
        let signed = signed_text(id);
        for proof in proofs {
            let Ok(proof) = EntryProof::read(proof) else { continue };
            let Some(did) = named.get(proof.multikey()) else { continue };
            // From the newest on: what comes later in this walk is older.
            if !newest.contains_key(did) && proof.verify(&signed).is_ok() {
                newest.insert(*did, at);
            }
        }
    }
    newest
}

fn read_file(file: &[u8]) -> Result<Vec<(String, Vec<Object>)>, LogError> {
    let bad = LogError::WitnessFile;
    check_witness_file(file.len())?;
    if file.is_empty() {
        return Ok(Vec::new());
    }
    let json = Json::parse(file).map_err(LogError::Json)?;
    let read = |item: &Json| {
        let id = item.get("versionId").and_then(Json::as_str).ok_or(bad("a versionId in each item"))?;
        let proofs = item.get("proof").map(Json::one_or_many).unwrap_or_default();
        Ok((id.to_owned(), proofs.iter().filter_map(Json::as_object).cloned().collect()))
    };
    json.as_array().ok_or(bad("to be an array"))?.iter().map(read).collect()
}

fn signed_text(version_id: &str) -> String {
    jcs::object_to_string(&Object::from_iter([("versionId", Json::from(version_id))]))
}

/// A proof that a witness is about to sign.
#[derive(Debug, Clone)]
pub struct PreparedProof {
    version_id: String,
    config: Object,
}

impl PreparedProof {
    /// Prepares the proof of a witness for a version.
    pub fn new(version_id: &str, witness: PublicKey, time: Time) -> Self {
        Self { version_id: version_id.to_owned(), config: proof::configuration(witness, time) }
    }

    /// Returns the bytes to sign.
    pub fn input(&self) -> [u8; 64] {
        proof::signing_input(&self.config, &signed_text(&self.version_id))
    }

    /// Returns the witness file with this proof added: of each witness its newest proof and the one for the version that
    /// is not published yet stay.
    pub fn add_to(self, file: &[u8], signature: &[u8; 64]) -> Result<Vec<u8>, LogError> {
        let mut items = read_file(file)?;
        let proof = proof::with_value(self.config, signature);
        let proof = proof.as_object().cloned().unwrap_or_default();
        let read = EntryProof::read(&proof)?;
        read.verify(&signed_text(&self.version_id))?;
        match items.iter_mut().find(|(id, _)| *id == self.version_id) {
            Some((_, proofs)) => {
                proofs.retain(|known| EntryProof::read(known).is_ok_and(|known| known.multikey() != read.multikey()));
                proofs.push(proof);
            }
            None => items.push((self.version_id, vec![proof])),
        }
        let written = write_file(items);
        check_witness_file(written.len())?;
        Ok(written)
    }
}

/// Returns the witness file with only what a log needs: of each witness the proof for its newest version, and proofs for
/// versions beyond it.
pub fn pruned(versions: &[Version], file: &[u8]) -> Result<Vec<u8>, LogError> {
    let items = read_file(file)?;
    let newest = newest_proofs(versions, &items);
    let place = |id: &str| versions.iter().position(|version| version.id() == id);
    let keep = |(id, proofs): (String, Vec<Object>)| {
        let Some(at) = place(&id) else { return Some((id, proofs)) };
        let counts = |proof: &Object| {
            EntryProof::read(proof)
                .is_ok_and(|proof| newest.get(format!("did:key:{}", proof.multikey()).as_str()) == Some(&at))
        };
        let proofs: Vec<Object> = proofs.into_iter().filter(counts).collect();
        (!proofs.is_empty()).then_some((id, proofs))
    };
    Ok(write_file(items.into_iter().filter_map(keep).collect()))
}

fn write_file(items: Vec<(String, Vec<Object>)>) -> Vec<u8> {
    let item = |(id, proofs): (String, Vec<Object>)| {
        let proofs = proofs.into_iter().map(Json::Object).collect();
        Json::Object(Object::from_iter([("versionId", Json::from(id)), ("proof", Json::Array(proofs))]))
    };
    jcs::to_string(&Json::Array(items.into_iter().map(item).collect())).into_bytes()
}
