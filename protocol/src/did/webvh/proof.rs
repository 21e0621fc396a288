//! Proofs over entries and by witnesses: `eddsa-jcs-2022` by a `did:key` (di-eddsa 1.0 §3.3).

use sha2::{Digest as _, Sha256};

use super::LogError;
use crate::credential::jcs;
use crate::credential::json::{Json, Object};
use crate::did::key;
use crate::key::PublicKey;
use crate::time::Time;

/// A proof as read.
pub(super) struct EntryProof {
    config: Object,
    key: PublicKey,
    multikey: String,
    signature: [u8; 64],
}

impl EntryProof {
    /// Reads a proof.
    pub(super) fn read(proof: &Object) -> Result<Self, LogError> {
        let text = |name: &str| proof.get(name).and_then(Json::as_str);
        let bad = LogError::ProofForm;
        let fixed = [
            ("type", "DataIntegrityProof", "the type DataIntegrityProof"),
            ("cryptosuite", "eddsa-jcs-2022", "the cryptosuite eddsa-jcs-2022"),
            ("proofPurpose", "assertionMethod", "the purpose assertionMethod"),
        ];
        for (name, value, what) in fixed {
            if text(name) != Some(value) {
                return Err(bad(what));
            }
        }
        // A log is read for ever, and an entry has no contexts that its proof could repeat.
        if ["@context", "expires", "previousProof"].iter().any(|name| proof.get(name).is_some()) {
            return Err(bad("no @context, expires or previousProof"));
        }
        if let Some(created) = proof.get("created") {
            created.as_str().and_then(Time::from_rfc3339).ok_or(bad("a time as created"))?;
        }
        let method = text("verificationMethod").and_then(|method| method.split_once('#'));
        let (did, multikey) = method.ok_or(bad("a did:key as verificationMethod"))?;
        let key = PublicKey::from_multikey(multikey).map_err(|_| bad("an Ed25519 did:key"))?;
        if did.strip_prefix("did:key:") != Some(multikey) || key.to_multikey() != multikey {
            return Err(bad("a did:key as verificationMethod"));
        }
        let signature = text("proofValue").and_then(read_value).ok_or(bad("64 bytes in base58 after a z"))?;
        let mut config = proof.clone();
        config.remove("proofValue");
        Ok(Self { config, key, multikey: multikey.to_owned(), signature })
    }

    /// Returns the key that it says to be by.
    pub(super) fn multikey(&self) -> &str {
        &self.multikey
    }

    /// Checks it over the canonical text of what it signs.
    pub(super) fn verify(&self, signed: &str) -> Result<(), LogError> {
        let input = signing_input(&self.config, signed);
        self.key.verify(&input, &self.signature).map_err(|_| LogError::Signature)
    }
}

/// Returns SHA-256(configuration) ‖ SHA-256(document).
pub(super) fn signing_input(config: &Object, signed: &str) -> [u8; 64] {
    let mut both = [0; 64];
    let (first, second) = both.split_at_mut(32);
    first.copy_from_slice(&Sha256::digest(jcs::object_to_string(config).as_bytes()));
    second.copy_from_slice(&Sha256::digest(signed.as_bytes()));
    both
}

/// Makes a proof without its value.
pub(super) fn configuration(signer: PublicKey, created: Time) -> Object {
    Object::from_iter([
        ("type", Json::from("DataIntegrityProof")),
        ("cryptosuite", Json::from("eddsa-jcs-2022")),
        ("created", Json::from(created.to_string())),
        ("verificationMethod", Json::from(key::method_of(signer))),
        ("proofPurpose", Json::from("assertionMethod")),
    ])
}

/// Completes a proof.
pub(super) fn with_value(mut config: Object, signature: &[u8; 64]) -> Json {
    config.insert("proofValue", Json::from(format!("z{}", bs58::encode(signature).into_string())));
    Json::Object(config)
}

fn read_value(text: &str) -> Option<[u8; 64]> {
    // 64 bytes need at most 88 digits; base58 of more is quadratic work.
    let encoded = text.strip_prefix('z').filter(|encoded| encoded.len() <= 88)?;
    bs58::decode(encoded).into_vec().ok()?.as_slice().try_into().ok()
}
