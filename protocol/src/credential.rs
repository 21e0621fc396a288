//! Credentials: read strictly, with one proof, which is checked apart from who may have made it.
//!
//! ```text
//! eyJhbGciOiJFZERTQSIsInR5cCI6InZjK2p3dCIs….eyJAY29udGV4dCI6WyJodHRwczovL3d3dy53My5vcmcvbnMv….c2ln…     vc+jwt
//! {"@context": ["https://www.w3.org/ns/credentials/v2", …], "type": ["VerifiableCredential", …], …,
//!  "proof": {"type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022", …}}                  Data Integrity
//! ```
//!
//! `Credential::parse` reads bytes once, whole or not at all. `prove` is the only way to a [`Proven`]: it says that the
//! signature is that of a key over exactly this credential, and nothing about whose key it is; [`issuer_binding`] says
//! that (`specs/verification.md` §3 to §5).

mod claims;
pub mod contexts;
pub mod data_integrity;
pub mod issue;
pub mod jcs;
mod jose;
pub mod json;
#[cfg(feature = "json-ld")]
mod json_ld;
#[cfg(feature = "json-ld")]
mod rdfc;

use std::borrow::Cow;
use std::fmt;

use crate::did::{DidDocument, MethodError, Relationship, split_method};
use crate::key::PublicKey;
use crate::limits::CREDENTIAL_SIZE_MAX;
use crate::time::Time;
use claims::Claims;
use contexts::{ContextError, Contexts};
use json::{Json, JsonError};

pub use claims::{CREDENTIALS_V2, StatusEntry};

/// Why bytes are not a credential that can be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Not a credential, or against its format's grammar (`format-malformed`).
    #[error("{reason}")]
    Malformed {
        /// What was expected.
        reason: Cow<'static, str>,
    },
    /// Not the JSON that is read here (`format-malformed`).
    #[error("expected JSON that every reader understands alike")]
    Json(#[from] JsonError),
    /// Well formed, with something that is never accepted, or not supported yet (`format-refused`).
    #[error("{reason}")]
    Refused {
        /// What is not accepted.
        reason: Cow<'static, str>,
    },
}

impl FormatError {
    /// Returns the stable code of a verdict (`cli.md` §4).
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } | Self::Json(_) => "format-malformed",
            Self::Refused { .. } => "format-refused",
        }
    }
}

pub(crate) fn malformed(reason: impl Into<Cow<'static, str>>) -> FormatError {
    FormatError::Malformed { reason: reason.into() }
}

pub(crate) fn refused(reason: impl Into<Cow<'static, str>>) -> FormatError {
    FormatError::Refused { reason: reason.into() }
}

/// Why a proof does not hold, or cannot be checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The signature does not match the bytes and the key.
    #[error("the signature does not match the credential and the key")]
    Mismatch,
    /// What is signed cannot be made out.
    #[error("what is signed cannot be made out")]
    Context(#[from] ContextError),
}

impl ProofError {
    /// Returns the stable code of a verdict (`cli.md` §4).
    pub fn code(&self) -> &'static str {
        match self {
            Self::Mismatch => "signature-mismatch",
            Self::Context(error) => error.code(),
        }
    }
}

/// The format of a credential, with its suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// A JWT whose payload is the credential (VC-JOSE-COSE).
    VcJwt,
    /// A Data Integrity proof over RFC 8785.
    EddsaJcs2022,
    /// A Data Integrity proof over RDF Dataset Canonicalization.
    EddsaRdfc2022,
}

impl Format {
    /// Returns the name that verdicts and policies use.
    pub fn name(self) -> &'static str {
        match self {
            Self::VcJwt => "vc+jwt",
            Self::EddsaJcs2022 => "eddsa-jcs-2022",
            Self::EddsaRdfc2022 => "eddsa-rdfc-2022",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A credential as read: well formed, not proven.
#[derive(Debug, Clone)]
pub struct Credential {
    size_bytes: usize,
    claims: Claims,
    envelope: Envelope,
}

#[derive(Debug, Clone)]
enum Envelope {
    Jwt(jose::Envelope),
    DataIntegrity(Box<data_integrity::Proof>),
}

/// A credential whose signature was checked against a key. [`Credential::prove`] alone makes one.
#[derive(Debug, Clone, Copy)]
pub struct Proven<'c> {
    credential: &'c Credential,
    key: PublicKey,
}

impl<'c> Proven<'c> {
    /// Returns the credential that the key signed.
    pub fn credential(&self) -> &'c Credential {
        self.credential
    }

    /// Returns the key that signed it.
    pub fn key(&self) -> PublicKey {
        self.key
    }
}

impl Credential {
    /// Reads a credential of at most `CREDENTIAL_SIZE_MAX` bytes: a compact JWS, or JSON with one Data Integrity proof.
    /// White space around it is not part of it.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        if bytes.len() > CREDENTIAL_SIZE_MAX {
            return Err(malformed(format!("expected at most {CREDENTIAL_SIZE_MAX} bytes, got {}", bytes.len())));
        }
        let bytes = bytes.trim_ascii();
        let size_bytes = bytes.len();
        if bytes.first() == Some(&b'{') {
            let (document, proof) = data_integrity::split(Json::parse(bytes)?)?;
            let contexts = proof.signed_contexts(&document)?;
            let claims = Claims::read(document, contexts)?;
            let envelope = Envelope::DataIntegrity(Box::new(proof));
            return Ok(Self { size_bytes, claims, envelope });
        }
        let (envelope, payload) = jose::read(bytes)?;
        let claims = Claims::read(payload, None)?;
        let envelope = Envelope::Jwt(envelope.bind(&claims)?);
        Ok(Self { size_bytes, claims, envelope })
    }

    /// Returns its format and suite.
    pub fn format(&self) -> Format {
        match &self.envelope {
            Envelope::Jwt(_) => Format::VcJwt,
            Envelope::DataIntegrity(proof) => proof.suite().format(),
        }
    }

    /// Returns how many bytes were read.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Returns the credential's own identifier, if it has one.
    pub fn id(&self) -> Option<&str> {
        self.claims.document.get("id").and_then(Json::as_str)
    }

    /// Returns the issuer's identifier, which need not be a DID.
    pub fn issuer(&self) -> &str {
        &self.claims.issuer
    }

    /// Returns the absolute DID URL of the key that is said to have signed.
    pub fn verification_method(&self) -> &str {
        match &self.envelope {
            Envelope::Jwt(envelope) => envelope.method(),
            Envelope::DataIntegrity(proof) => proof.method(),
        }
    }

    /// Returns the purpose that the key must be listed for; no other one is read.
    pub fn proof_purpose(&self) -> Relationship {
        Relationship::AssertionMethod
    }

    /// Returns the types as written.
    pub fn types(&self) -> &[String] {
        &self.claims.types
    }

    /// Returns the contexts that the signature covers, in order.
    pub fn contexts(&self) -> &[String] {
        &self.claims.contexts
    }

    /// Returns when it begins to be valid: the later of `validFrom` and the JWT's `nbf`.
    pub fn valid_from(&self) -> Option<Time> {
        match &self.envelope {
            Envelope::Jwt(envelope) => self.claims.valid_from.max(envelope.not_before()),
            Envelope::DataIntegrity(_) => self.claims.valid_from,
        }
    }

    /// Returns when it ends to be valid: the earlier of `validUntil` and the end of its proof (`exp`, `expires`).
    pub fn valid_until(&self) -> Option<Time> {
        let proof = match &self.envelope {
            Envelope::Jwt(envelope) => envelope.expires(),
            Envelope::DataIntegrity(proof) => proof.expires(),
        };
        [self.claims.valid_until, proof].into_iter().flatten().min()
    }

    /// Returns when the proof says it was made (`iat`, `created`); nothing is decided by it.
    pub fn proof_created(&self) -> Option<Time> {
        match &self.envelope {
            Envelope::Jwt(envelope) => envelope.issued_at(),
            Envelope::DataIntegrity(proof) => proof.created(),
        }
    }

    /// Returns the status lists and indices that it names.
    pub fn status(&self) -> &[StatusEntry] {
        &self.claims.status
    }

    /// Returns `credentialSubject` as read.
    pub fn subject(&self) -> &Json {
        self.claims.document.get("credentialSubject").unwrap_or(&Json::Null)
    }

    /// Returns the exact bytes that the signature is over: the received signing input of a JWT, the 64 bytes of two
    /// digests of a Data Integrity proof.
    pub fn signing_input(&self, contexts: &Contexts) -> Result<Cow<'_, [u8]>, ProofError> {
        match &self.envelope {
            Envelope::Jwt(envelope) => Ok(Cow::Borrowed(envelope.signing_input())),
            Envelope::DataIntegrity(proof) => Ok(Cow::Owned(proof.hash_data(&self.claims, contexts)?.to_vec())),
        }
    }

    /// Returns the signature as read.
    pub fn signature(&self) -> &[u8; 64] {
        match &self.envelope {
            Envelope::Jwt(envelope) => envelope.signature(),
            Envelope::DataIntegrity(proof) => proof.signature(),
        }
    }

    /// Checks the signature with a key.
    pub fn prove(&self, key: &PublicKey, contexts: &Contexts) -> Result<Proven<'_>, ProofError> {
        let input = self.signing_input(contexts)?;
        key.verify(&input, self.signature()).map_err(|_| ProofError::Mismatch)?;
        Ok(Proven { credential: self, key: *key })
    }

    /// Returns every type beside `VerifiableCredential` as an absolute IRI under its signed contexts.
    pub fn expanded_types(&self, contexts: &Contexts) -> Result<Vec<String>, ContextError> {
        contexts.expand_types(&self.claims.contexts, &self.claims.types)
    }
}

/// A key that a document gives an issuer for issuing, with the times that its document sets for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The key.
    pub key: PublicKey,
    /// When the method stops to count, if said.
    pub expires: Option<Time>,
    /// When the method was revoked, if said.
    pub revoked: Option<Time>,
}

/// Why a credential's key is not its issuer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// The key belongs to another DID than the issuer that the credential names.
    #[error("the key belongs to another DID than the issuer")]
    Unbound,
    /// The issuer's document does not give the key.
    #[error("the issuer's document does not give the key")]
    Method(#[from] MethodError),
}

impl BindingError {
    /// Returns the stable code of a verdict (`cli.md` §4).
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unbound | Self::Method(MethodError::Document | MethodError::Controller) => "issuer-unbound",
            Self::Method(MethodError::Absent | MethodError::Purpose | MethodError::Unsupported) => "key-absent",
        }
    }
}

/// Returns the key that the issuer's document gives the credential, and nothing about whether it signed.
///
/// The issuer is the DID of the verification method, and the document is that DID's: a key embedded in a proof, or
/// controlled by somebody else, is never used.
pub fn issuer_binding(credential: &Credential, document: &DidDocument) -> Result<Bound, BindingError> {
    let method = credential.verification_method();
    if split_method(method).is_none_or(|(did, _)| did != credential.issuer()) {
        return Err(BindingError::Unbound);
    }
    let found = document.method_for(method, credential.proof_purpose())?;
    let key = found.key.ok_or(MethodError::Unsupported)?;
    Ok(Bound { key, expires: found.expires, revoked: found.revoked })
}
