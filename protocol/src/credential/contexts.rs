//! The JSON-LD contexts that are known: a built-in set, and documents that registers publish.
//!
//! ```text
//! https://www.w3.org/ns/credentials/v2        built in, pinned by digest, never overridden
//! https://gov.example/contexts/licence/v1     the record context/https:%2F%2Fgov.example%2F… of a register
//! ```
//!
//! Nothing is ever fetched. A context from a register is self-contained (it names no other context), maps no term to
//! null, and uses nothing that would let a member of a credential go unsigned (`specs/verification.md` §4). Each list of
//! contexts is processed once and kept; a clone shares what was kept.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;

use super::json::Object;
use crate::digest::Digest;

/// Why contexts do not give a credential one meaning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// A context is neither built in nor held.
    #[error("the context {url} is not held")]
    Missing {
        /// Its URL.
        url: String,
    },
    /// A context that is held cannot be used.
    #[error("the context {url} cannot be used: {reason}")]
    Unusable {
        /// Its URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A term that no context defines.
    #[error("no context defines the term {term:?}")]
    Undefined {
        /// The term as written.
        term: String,
    },
    /// Something that the signature would not cover.
    #[error("the signature does not cover everything: {reason}")]
    Unsigned {
        /// What would be dropped.
        reason: Cow<'static, str>,
    },
    /// More work than allowed.
    #[error("the credential is too large or too entangled to be made canonical")]
    TooComplex,
}

impl ContextError {
    /// Returns the stable code of a verdict (`cli.md` §4).
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } | Self::Unusable { .. } => "context-missing",
            Self::Undefined { .. } | Self::Unsigned { .. } | Self::TooComplex => "format-refused",
        }
    }
}

/// Two different documents for one URL (`context-conflict`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two different contexts for {url}")]
pub struct ContextConflict {
    /// The URL of both.
    pub url: String,
}

/// Contexts by URL. Cheap to clone.
#[derive(Clone)]
pub struct Contexts {
    documents: Arc<BTreeMap<String, Document>>,
    #[cfg(feature = "json-ld")]
    processed: Arc<super::json_ld::Cache>,
}

/// A context document, parsed when it is first used.
#[derive(Clone)]
pub(crate) struct Document {
    pub(crate) bytes: Bytes,
    /// Built-in ones are not held to the rules for registers.
    pub(crate) is_builtin: bool,
    #[cfg(feature = "json-ld")]
    pub(crate) parsed: Arc<std::sync::OnceLock<Result<super::json_ld::Parsed, String>>>,
}

impl Document {
    fn new(bytes: Bytes, is_builtin: bool) -> Self {
        Self {
            bytes,
            is_builtin,
            #[cfg(feature = "json-ld")]
            parsed: Arc::default(),
        }
    }
}

/// URL, text and SHA-256 of each built-in context.
const BUILTIN: [(&str, &str, &str); 5] = [
    (
        "https://www.w3.org/ns/credentials/v2",
        include_str!("contexts/credentials-v2.json"),
        "8a9f494a89ecc51db093e90e84713e07e84d6d9204364a9b3c7868b21751236f",
    ),
    (
        "https://www.w3.org/2018/credentials/v1",
        include_str!("contexts/credentials-v1.json"),
        "ab4ddd9a531758807a79a5b450510d61ae8d147eab966cc9a200c07095b0cdcc",
    ),
    (
        "https://w3id.org/security/data-integrity/v2",
        include_str!("contexts/data-integrity-v2.json"),
        "0f77743daf5b4e8fc067fc5ba5b21044283053aa717fc6b0219843bed3b00363",
    ),
    (
        "https://w3id.org/security/multikey/v1",
        include_str!("contexts/multikey-v1.json"),
        "c5f3806f8286920573221938917988a18a4cc5a09e968d29649613c7a1c2b1f6",
    ),
    (
        "https://www.w3.org/ns/did/v1",
        include_str!("contexts/did-v1.json"),
        "4f3eae5568c9c5f036a082088f9e192019ee06faa78973c87ff91d5421b88dad",
    ),
];

impl Contexts {
    /// Returns the built-in contexts.
    pub fn builtin() -> Self {
        static BUILT: LazyLock<Contexts> = LazyLock::new(|| {
            let document = |text: &'static str| Document::new(Bytes::from_static(text.as_bytes()), true);
            Contexts {
                documents: Arc::new(BUILTIN.iter().map(|(url, text, _)| ((*url).to_owned(), document(text))).collect()),
                #[cfg(feature = "json-ld")]
                processed: Arc::default(),
            }
        });
        BUILT.clone()
    }

    /// Adds the document of a register. A built-in one stays as it is; another document for a URL is a conflict.
    pub fn with(&self, url: &str, bytes: Bytes) -> Result<Self, ContextConflict> {
        match self.documents.get(url) {
            Some(held) if held.is_builtin || held.bytes == bytes => return Ok(self.clone()),
            Some(_) => return Err(ContextConflict { url: url.to_owned() }),
            None => {}
        }
        let mut documents = BTreeMap::clone(&self.documents);
        documents.insert(url.to_owned(), Document::new(bytes, false));
        Ok(Self {
            documents: Arc::new(documents),
            #[cfg(feature = "json-ld")]
            processed: Arc::default(),
        })
    }

    /// Returns the digest of the document of a URL.
    pub fn digest(&self, url: &str) -> Option<Digest> {
        self.documents.get(url).map(|document| Digest::of(&document.bytes))
    }

    /// Returns the document of a URL.
    pub fn document(&self, url: &str) -> Option<&[u8]> {
        self.documents.get(url).map(|document| &*document.bytes)
    }

    /// True when the context is held or built in.
    pub fn contains(&self, url: &str) -> bool {
        self.documents.contains_key(url)
    }

    fn check_held(&self, names: &[String]) -> Result<(), ContextError> {
        match names.iter().find(|url| !self.contains(url)) {
            Some(url) => Err(ContextError::Missing { url: url.clone() }),
            None => Ok(()),
        }
    }
}

#[cfg(feature = "json-ld")]
impl Contexts {
    /// Returns the processed form of a list of contexts.
    fn active(&self, names: &[String]) -> Result<Arc<super::json_ld::Active>, ContextError> {
        self.check_held(names)?;
        self.processed.get_or_process(names, &self.documents)
    }

    /// Returns every type beside `VerifiableCredential` as an absolute IRI.
    pub(crate) fn expand_types(&self, names: &[String], types: &[String]) -> Result<Vec<String>, ContextError> {
        let active = self.active(names)?;
        let mut expanded = Vec::with_capacity(types.len());
        for kind in types {
            let iri = super::json_ld::expand_type(&active, kind);
            let iri = iri.ok_or_else(|| ContextError::Undefined { term: kind.clone() })?;
            if iri != VERIFIABLE_CREDENTIAL && !expanded.contains(&iri) {
                expanded.push(iri);
            }
        }
        Ok(expanded)
    }

    /// Returns the canonical N-Quads of a document without its proof.
    pub(crate) fn canonical_quads(&self, names: &[String], document: &Object) -> Result<String, ContextError> {
        super::json_ld::canonical_quads(&*self.active(names)?, document)
    }
}

#[cfg(not(feature = "json-ld"))]
impl Contexts {
    /// Returns every type beside `VerifiableCredential`, each of which must be an absolute IRI as written.
    pub(crate) fn expand_types(&self, names: &[String], types: &[String]) -> Result<Vec<String>, ContextError> {
        self.check_held(names)?;
        let others = types.iter().filter(|kind| *kind != "VerifiableCredential" && *kind != VERIFIABLE_CREDENTIAL);
        let iri = |kind: &String| match kind.split_once("://") {
            Some(_) if super::claims::is_iri(kind) => Ok(kind.clone()),
            _ => Err(ContextError::Undefined { term: kind.clone() }),
        };
        others.map(iri).collect()
    }

    /// Refuses: without the feature `json-ld` nothing can be expanded.
    pub(crate) fn canonical_quads(&self, _: &[String], _: &Object) -> Result<String, ContextError> {
        Err(ContextError::Unsigned { reason: "this build cannot check eddsa-rdfc-2022".into() })
    }
}

/// What `VerifiableCredential` means.
const VERIFIABLE_CREDENTIAL: &str = "https://www.w3.org/2018/credentials#VerifiableCredential";

impl std::fmt::Debug for Contexts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.documents.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_the_built_in_contexts_by_digest() {
        for (url, text, digest) in BUILTIN {
            assert_eq!(Digest::of(text.as_bytes()).to_string(), digest, "{url}");
        }
    }

    #[test]
    fn never_overrides_a_built_in_context() {
        let url = "https://www.w3.org/ns/credentials/v2";
        let contexts = Contexts::builtin();
        let after = contexts.with(url, Bytes::from_static(b"{\"@context\":{}}")).expect("kept");
        assert_eq!(after.digest(url), contexts.digest(url));
    }

    #[test]
    fn refuses_two_documents_for_one_url() {
        let url = "https://gov.example/v1";
        let one = Contexts::builtin().with(url, Bytes::from_static(b"{\"@context\":{}}")).expect("one");
        assert!(one.with(url, Bytes::from_static(b"{\"@context\":{}}")).is_ok());
        assert!(one.with(url, Bytes::from_static(b"{}")).is_err());
    }
}
