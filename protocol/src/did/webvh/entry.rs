//! One entry of a log: its members, its hashes, and the rules between it and the version before.
//!
//! ```text
//! entry hash  base58(multihash(SHA-256(JCS(entry without proof, versionId := that of the entry before, or the SCID))))
//! SCID        the same of the first entry, versionId := {SCID}, each SCID in it replaced by {SCID}
//! ```

use bytes::Bytes;

use super::parameters::Parameters;
use super::proof::EntryProof;
use super::{LogError, PLACEHOLDER, Version, VersionTime, WebvhDid, hash_of, is_hash, shown};
use crate::credential::jcs;
use crate::credential::json::{Json, Object};

/// An entry as read.
pub(super) struct Entry {
    /// All but the proof.
    pub(super) body: Object,
    proofs: Vec<Object>,
}

const MEMBERS: [&str; 4] = ["parameters", "state", "versionId", "versionTime"];

impl Entry {
    /// Reads a line.
    pub(super) fn read(line: &[u8]) -> Result<Self, LogError> {
        let Json::Object(mut body) = Json::parse(line).map_err(LogError::Json)? else {
            return Err(LogError::Member("to be an object"));
        };
        let proofs = match body.remove("proof") {
            Some(Json::Array(proofs)) => proofs,
            Some(proof @ Json::Object(_)) => vec![proof],
            _ => return Err(LogError::Member("a proof")),
        };
        super::check_proofs(proofs.len())?;
        let object = |proof| if let Json::Object(proof) = proof { Some(proof) } else { None };
        let proofs: Option<Vec<Object>> = proofs.into_iter().map(object).collect();
        let proofs = proofs.filter(|proofs| !proofs.is_empty()).ok_or(LogError::Member("proofs that are objects"))?;
        if body.len() != MEMBERS.len() || !MEMBERS.iter().all(|name| body.get(name).is_some()) {
            return Err(LogError::Member("exactly versionId, versionTime, parameters, state and proof"));
        }
        Ok(Self { body, proofs })
    }

    fn text(&self, name: &'static str) -> Result<&str, LogError> {
        self.body.get(name).and_then(Json::as_str).ok_or(LogError::Member("versionId and versionTime as strings"))
    }

    fn object(&self, name: &'static str) -> Result<&Object, LogError> {
        self.body.get(name).and_then(Json::as_object).ok_or(LogError::Member("parameters and state as objects"))
    }

    /// Checks everything but witnesses against the version before; returns the version and its document.
    pub(super) fn verify(mut self, before: Option<&Version>, line: Bytes) -> Result<(Version, Json), LogError> {
        if before.is_some_and(|before| before.parameters.deactivated()) {
            return Err(LogError::AfterDeactivation);
        }
        let id = self.text("versionId")?.to_owned();
        let expected = before.map_or(0, number).saturating_add(1);
        let hash = id.split_once('-').filter(|(count, _)| *count == expected.to_string()).map(|(_, hash)| hash);
        let hash = hash.ok_or_else(|| LogError::VersionNumber { expected, found: shown(&id) })?;
        let time = self.time(before)?;
        let parameters = Parameters::read(self.object("parameters")?, before.map(|before| &before.parameters))?;
        let scid = parameters.scid().to_owned();
        let did = self.did(&scid, &parameters, before)?;
        let previous = before.map_or(scid.as_str(), Version::id);
        if !is_hash(hash) || self.hash_with(previous) != hash {
            return Err(LogError::EntryHash);
        }
        if before.is_none() && self.scid(&scid)? != scid {
            return Err(LogError::Scid);
        }
        self.body.insert("versionId", Json::from(id.as_str()));
        self.verify_proofs(&parameters, before)?;
        let witnesses = parameters.witnesses_of(before.map(|before| &before.parameters));
        let state = self.body.remove("state").ok_or(LogError::Member("a state"))?;
        Ok((Version { id, time, did, parameters, witnesses, line }, state))
    }

    fn time(&self, before: Option<&Version>) -> Result<VersionTime, LogError> {
        let found = self.text("versionTime")?;
        let time = VersionTime::parse(found);
        let time = time.filter(|time| before.is_none_or(|before| time.is_after(&before.time)));
        time.ok_or_else(|| LogError::VersionTime {
            after: before.map_or_else(String::new, |before| before.time.as_str().to_owned()),
            found: shown(found),
        })
    }

    /// The document's id: of this SCID, and that of the version before, unless the DID is portable and says so.
    fn did(&self, scid: &str, parameters: &Parameters, before: Option<&Version>) -> Result<String, LogError> {
        let state = self.object("state")?;
        let id = state.get("id").and_then(Json::as_str).ok_or(LogError::DocumentId("to be there"))?;
        let did = WebvhDid::parse(id).ok_or(LogError::DocumentId("to be a did:webvh DID"))?;
        if did.scid() != scid {
            return Err(LogError::DocumentId("the SCID of the log"));
        }
        let Some(before) = before.filter(|before| before.did != id) else { return Ok(id.to_owned()) };
        if !before.parameters.portable() || !parameters.portable() {
            return Err(LogError::DocumentId("to stay: the DID is not portable"));
        }
        let aliases = state.get("alsoKnownAs").and_then(Json::as_array).unwrap_or_default();
        if !aliases.iter().any(|alias| alias.as_str() == Some(before.did.as_str())) {
            return Err(LogError::DocumentId("the one before in alsoKnownAs"));
        }
        Ok(id.to_owned())
    }

    fn hash_with(&mut self, previous: &str) -> String {
        self.body.insert("versionId", Json::from(previous));
        hash_of(jcs::object_to_string(&self.body).as_bytes())
    }

    fn scid(&mut self, scid: &str) -> Result<String, LogError> {
        self.body.insert("versionId", Json::from(PLACEHOLDER));
        // Names of members may hold the SCID too, and then sort otherwise.
        let text = jcs::object_to_string(&self.body).replace(scid, PLACEHOLDER);
        let replaced = Json::parse(text.as_bytes()).map_err(|_| LogError::Scid)?;
        Ok(hash_of(jcs::to_string(&replaced).as_bytes()))
    }

    /// Every proof holds, each by a key that may sign this entry.
    fn verify_proofs(&self, parameters: &Parameters, before: Option<&Version>) -> Result<(), LogError> {
        let signed = jcs::object_to_string(&self.body);
        let active = parameters.signers_of(before.map(|before| &before.parameters));
        for proof in &self.proofs {
            let proof = EntryProof::read(proof)?;
            if !active.iter().any(|key| key == proof.multikey()) {
                return Err(LogError::KeyNotActive);
            }
            proof.verify(&signed)?;
        }
        Ok(())
    }
}

/// The number of a version.
pub(super) fn number(version: &Version) -> usize {
    version.id.split_once('-').and_then(|(count, _)| count.parse().ok()).unwrap_or_default()
}
