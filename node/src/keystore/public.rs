//! What everybody may know about a key: the file `<name>.pub`.
//!
//! ```json
//! {"kind": "standfast/key-public/v1", "name": "transport", "use": "register", "algorithm": "Ed25519",
//!  "public_key": "z6Mk…", "view_public_key": null, "origin": "transport.gov.example/register/8d3f…",
//!  "created_at": "2026-11-20T14:28:00Z", "passphrase_changed_at": "2026-11-20T14:28:00Z", "key_file_sha256": "5f0c…"}
//! ```
//!
//! A key behind a signer program has `"signer": ["/usr/bin/hsm-sign", "--slot", "2"]` and no key file.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use standfast_protocol::digest::Digest;
use standfast_protocol::key::{Algorithm, KeyError, PublicKey, VerifierKey};
use standfast_protocol::time::Time;

use super::KeystoreError;

pub(super) const KIND: &str = "standfast/key-public/v1";
/// The one algorithm that keys have.
pub(super) const ED25519: &str = "Ed25519";

/// What a key is for; it is used for nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyUse {
    /// Signs the heads of one register.
    Register,
    /// Signs credentials, and stands in a DID document.
    Issue,
    /// Cosigns checkpoints and signs views.
    Witness,
    /// Signs charters.
    Root,
    /// Timestamps the heads of one register; made by `register create`, never by hand.
    Timestamp,
}

impl KeyUse {
    /// Returns the word for this use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Issue => "issue",
            Self::Witness => "witness",
            Self::Root => "root",
            Self::Timestamp => "timestamp",
        }
    }

    /// Returns what the key may sign, in the plural.
    pub fn things(self) -> &'static str {
        match self {
            Self::Register => "registers",
            Self::Issue => "credentials",
            Self::Witness => "witnessing",
            Self::Root => "charters",
            Self::Timestamp => "timestamps",
        }
    }
}

impl FromStr for KeyUse {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Register, Self::Issue, Self::Witness, Self::Root].into_iter().find(|u| u.as_str() == text).ok_or(())
    }
}

/// What everybody may know about a key: the file `<name>.pub`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicPart {
    pub(super) kind: String,
    /// The local name.
    pub name: String,
    /// What it is for.
    #[serde(rename = "use")]
    pub key_use: KeyUse,
    /// The algorithm, `Ed25519`.
    pub algorithm: String,
    /// The public key as a Multikey.
    pub public_key: String,
    /// The public key of a witness's views.
    pub view_public_key: Option<String>,
    /// The register that the key signs, once it is created.
    pub origin: Option<String>,
    /// When the key was made.
    pub created_at: Time,
    /// When its passphrase was set last.
    pub passphrase_changed_at: Time,
    /// The digest of the key file, which tells a damaged file from a wrong passphrase; none behind a signer program.
    pub key_file_sha256: Option<Digest>,
    /// The signer program that keeps the key, with its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<Vec<String>>,
}

impl PublicPart {
    /// Returns the public key.
    pub fn key(&self) -> Result<PublicKey, KeyError> {
        PublicKey::from_multikey(&self.public_key)
    }

    /// Returns the verifier keys of this use: none for `issue` and for a `register` key without a register, two for a
    /// `witness` (cosignatures first, then views), one for the others.
    pub fn verifier_keys(&self) -> Result<Vec<VerifierKey>, KeyError> {
        let key = self.key()?;
        Ok(match (self.key_use, &self.origin) {
            (KeyUse::Issue, _) | (KeyUse::Register | KeyUse::Timestamp, None) => Vec::new(),
            (KeyUse::Register, Some(origin)) => vec![VerifierKey::new(origin, Algorithm::Note, key)?],
            (KeyUse::Timestamp, Some(origin)) => vec![VerifierKey::new(origin, Algorithm::Cosignature, key)?],
            (KeyUse::Root, _) => vec![VerifierKey::new(&format!("{}/root", self.name), Algorithm::Note, key)?],
            (KeyUse::Witness, _) => {
                let view = PublicKey::from_multikey(self.view_public_key.as_deref().unwrap_or_default())?;
                vec![
                    VerifierKey::new(&format!("{}/witness", self.name), Algorithm::Cosignature, key)?,
                    VerifierKey::new(&format!("{}/view", self.name), Algorithm::Note, view)?,
                ]
            }
        })
    }

    /// Refuses a key that is for something else.
    pub fn demand(&self, expected: KeyUse) -> Result<(), KeystoreError> {
        if self.key_use == expected {
            return Ok(());
        }
        Err(KeystoreError::Use { name: self.name.clone(), came: self.key_use, expected })
    }
}

impl PublicPart {
    /// Returns the bytes of the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a public part has only string keys");
        bytes.push(b'\n');
        bytes
    }

    /// True when this is the public part of `name`, whole.
    pub(super) fn is_of(&self, name: &str) -> bool {
        let kept = self.signer.is_some() != self.key_file_sha256.is_some();
        self.kind == KIND && self.name == name && self.algorithm == ED25519 && kept && self.verifier_keys().is_ok()
    }
}
