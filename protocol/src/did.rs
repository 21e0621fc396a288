//! Decentralized identifiers: their syntax, their documents, and the key that a document gives for a purpose.
//!
//! ```text
//! {"id": "did:web:transport.gov.example",
//!  "verificationMethod": [{"id": "did:web:transport.gov.example#lic-2026", "type": "Multikey",
//!    "controller": "did:web:transport.gov.example", "publicKeyMultibase": "z6Mk…"}],
//!  "assertionMethod": ["did:web:transport.gov.example#lic-2026"]}
//! ```
//!
//! Nothing here reads the network: `did:key` and `did:jwk` resolve from themselves, `did:web` is what a register
//! says it is (`specs/verification.md` §5), `did:webvh` is what its own log says (`specs/did-webvh.md`).

pub mod jwk;
pub mod key;
pub mod web;
pub mod webvh;

use crate::credential::json::{Json, JsonError, Object};
use crate::key::PublicKey;
use crate::limits::{DID_METHODS_MAX, DID_SIZE_MAX};
use crate::time::Time;

/// Why a DID or a DID document was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DidError {
    /// Not JSON.
    #[error("the DID document is not JSON")]
    Json(#[source] JsonError),
    /// Not a DID.
    #[error("expected a DID such as did:web:example.org, got {0:?}")]
    Syntax(String),
    /// A member that is missing or has another type.
    #[error("a DID document needs {0}")]
    Member(&'static str),
    /// The same method id twice.
    #[error("the verification method {0} stands twice")]
    Duplicate(String),
    /// More verification methods than allowed.
    #[error("more than {DID_METHODS_MAX} verification methods")]
    TooMany,
    /// A DID whose own text is not a key that is supported.
    #[error("the DID does not hold a supported Ed25519 key")]
    Key,
    /// Not a host name that a `did:web` can have.
    #[error("expected a host name such as transport.gov.example, got {0:?}")]
    Host(String),
}

/// What a verification method is for (Controlled Identifiers 1.0 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relationship {
    /// Issuing credentials.
    AssertionMethod,
    /// Presenting credentials.
    Authentication,
}

impl Relationship {
    /// Returns the name in DID documents and in `proofPurpose`.
    pub fn name(self) -> &'static str {
        match self {
            Self::AssertionMethod => "assertionMethod",
            Self::Authentication => "authentication",
        }
    }
}

/// Why a document gives no key for a method and a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    /// The document is another DID's.
    #[error("the document is not that of the method's DID")]
    Document,
    /// The method is not in the document.
    #[error("the method is not in the document")]
    Absent,
    /// The method is in the document, for other purposes.
    #[error("the method is not listed for this purpose")]
    Purpose,
    /// The method's controller is not the document.
    #[error("the method's controller is not the document's DID")]
    Controller,
    /// The method's key is of a kind that is not supported.
    #[error("the method's key is not an Ed25519 Multikey or JsonWebKey")]
    Unsupported,
}

/// A verification method of a DID document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationMethod {
    /// Its absolute DID URL.
    pub id: String,
    /// The DID that controls it.
    pub controller: String,
    /// Its key, when the kind is supported.
    pub key: Option<PublicKey>,
    /// That key as a Multikey, written once: facts are asked by it.
    pub multikey: Option<String>,
    /// When it stops to count, if said.
    pub expires: Option<Time>,
    /// When it was revoked, if said.
    pub revoked: Option<Time>,
}

/// What is used of a DID document (DID 1.1, Controlled Identifiers 1.0).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DidDocument {
    id: String,
    controllers: Vec<String>,
    methods: Vec<VerificationMethod>,
    assertion: Vec<String>,
    authentication: Vec<String>,
}

/// True for a DID without path, query or fragment (DID 1.1 §3.1).
pub fn is_did(text: &str) -> bool {
    if text.len() > DID_SIZE_MAX {
        return false;
    }
    let Some((method, id)) = text.strip_prefix("did:").and_then(|rest| rest.split_once(':')) else { return false };
    let method_fits = !method.is_empty() && method.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    method_fits && !id.is_empty() && !id.ends_with(':') && has_id_characters(id)
}

/// `idchar` of DID 1.1 §3.1 and colons; each `%` with two hex digits.
fn has_id_characters(id: &str) -> bool {
    let mut bytes = id.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => [bytes.next(), bytes.next()].iter().all(|b| b.is_some_and(|b| b.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':'),
        };
        if !fits {
            return false;
        }
    }
    true
}

/// Splits an absolute DID URL with a fragment and nothing else, such as `did:web:example.org#key-1`.
pub fn split_method(url: &str) -> Option<(&str, &str)> {
    let (did, fragment) = url.split_once('#')?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&b);
    (url.len() <= DID_SIZE_MAX && is_did(did) && !fragment.is_empty() && fragment.bytes().all(fits))
        .then_some((did, fragment))
}

/// Resolves a DID that holds its own document (`did:key`, `did:jwk`); `None` for other methods.
pub fn resolve_from_itself(did: &str) -> Option<Result<DidDocument, DidError>> {
    match did.strip_prefix("did:")?.split_once(':')?.0 {
        "key" => Some(key::resolve(did)),
        "jwk" => Some(jwk::resolve(did)),
        _ => None,
    }
}

impl DidDocument {
    /// Reads a document strictly in what is used of it; other members are not looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, DidError> {
        Self::from_json(&Json::parse(bytes).map_err(DidError::Json)?)
    }

    /// Reads a document that is JSON already.
    pub fn from_json(document: &Json) -> Result<Self, DidError> {
        let document = document.as_object().ok_or(DidError::Member("to be an object"))?;
        let id = text(document, "id").ok_or(DidError::Member("an id"))?;
        if !is_did(id) {
            return Err(DidError::Syntax(shortened(id)));
        }
        let mut made = Self {
            id: id.to_owned(),
            controllers: dids(document.get("controller"))?,
            methods: Vec::new(),
            assertion: Vec::new(),
            authentication: Vec::new(),
        };
        if let Some(methods) = document.get("verificationMethod") {
            for method in methods.as_array().ok_or(DidError::Member("verificationMethod to be an array"))? {
                made.add_method(method)?;
            }
        }
        made.assertion = made.relationship(document.get("assertionMethod"))?;
        made.authentication = made.relationship(document.get("authentication"))?;
        Ok(made)
    }

    /// Returns the document's DID.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the DIDs that the document names as its controllers.
    pub fn controllers(&self) -> &[String] {
        &self.controllers
    }

    /// Returns all verification methods, embedded ones included.
    pub fn methods(&self) -> &[VerificationMethod] {
        &self.methods
    }

    /// Returns the method for a purpose (Controlled Identifiers 1.0 §3.3): the document is that of the method's DID,
    /// the method is in it, is controlled by it, and is listed for the purpose.
    pub fn method_for(&self, method: &str, purpose: Relationship) -> Result<&VerificationMethod, MethodError> {
        let (did, _) = split_method(method).ok_or(MethodError::Absent)?;
        if did != self.id {
            return Err(MethodError::Document);
        }
        let found = self.methods.iter().find(|m| m.id == method).ok_or(MethodError::Absent)?;
        if found.controller != self.id {
            return Err(MethodError::Controller);
        }
        let listed = match purpose {
            Relationship::AssertionMethod => &self.assertion,
            Relationship::Authentication => &self.authentication,
        };
        if !listed.iter().any(|id| id == method) {
            return Err(MethodError::Purpose);
        }
        Ok(found)
    }

    /// Returns the key for a purpose. `expires` and `revoked` of the method are for the caller, who knows the time.
    pub fn key_for(&self, method: &str, purpose: Relationship) -> Result<PublicKey, MethodError> {
        self.method_for(method, purpose)?.key.ok_or(MethodError::Unsupported)
    }

    /// Makes the document of a DID with one key for both purposes.
    fn of_one_key(did: &str, fragment: &str, key: PublicKey) -> Self {
        let id = format!("{did}#{fragment}");
        Self {
            id: did.to_owned(),
            controllers: Vec::new(),
            assertion: vec![id.clone()],
            authentication: vec![id.clone()],
            methods: vec![VerificationMethod {
                id,
                controller: did.to_owned(),
                key: Some(key),
                multikey: Some(key.to_multikey()),
                expires: None,
                revoked: None,
            }],
        }
    }

    fn add_method(&mut self, method: &Json) -> Result<String, DidError> {
        let method = read_method(&self.id, method)?;
        if self.methods.iter().any(|known| known.id == method.id) {
            return Err(DidError::Duplicate(shortened(&method.id)));
        }
        if self.methods.len() >= DID_METHODS_MAX {
            return Err(DidError::TooMany);
        }
        let id = method.id.clone();
        self.methods.push(method);
        Ok(id)
    }

    /// Reads a relationship: ids of methods, or methods embedded there, which are for this purpose alone.
    fn relationship(&mut self, listed: Option<&Json>) -> Result<Vec<String>, DidError> {
        let mut ids = Vec::new();
        let Some(listed) = listed else { return Ok(ids) };
        for item in listed.as_array().ok_or(DidError::Member("relationships to be arrays"))? {
            if ids.len() >= DID_METHODS_MAX {
                return Err(DidError::TooMany);
            }
            ids.push(match item.as_str() {
                Some(id) => absolute(&self.id, id)?,
                None => self.add_method(item)?,
            });
        }
        Ok(ids)
    }
}

fn read_method(did: &str, method: &Json) -> Result<VerificationMethod, DidError> {
    let method = method.as_object().ok_or(DidError::Member("each verification method to be an object"))?;
    let id = absolute(did, text(method, "id").ok_or(DidError::Member("an id in each verification method"))?)?;
    let controller = text(method, "controller").filter(|c| is_did(c));
    let kind = text(method, "type").ok_or(DidError::Member("a type in each verification method"))?;
    // A method that shows two keys has none: readers would disagree which one counts.
    let key = match (kind, method.get("publicKeyMultibase"), method.get("publicKeyJwk")) {
        ("Multikey" | "Ed25519VerificationKey2020", Some(Json::String(key)), None) => {
            PublicKey::from_multikey(key).ok()
        }
        ("JsonWebKey" | "JsonWebKey2020", None, Some(key)) => jwk::read_key(key),
        _ => None,
    };
    let time = |name| match method.get(name) {
        None => Ok(None),
        Some(Json::String(time)) => {
            Time::from_rfc3339(time).map(Some).ok_or(DidError::Member("times such as 2026-11-20T14:28:00Z"))
        }
        Some(_) => Err(DidError::Member("times to be strings")),
    };
    Ok(VerificationMethod {
        id,
        controller: controller.ok_or(DidError::Member("a DID as controller of each verification method"))?.to_owned(),
        key,
        multikey: key.map(PublicKey::to_multikey),
        expires: time("expires")?,
        revoked: time("revoked")?,
    })
}

/// Makes `#fragment` absolute; anything else must be an absolute DID URL with a fragment.
fn absolute(did: &str, id: &str) -> Result<String, DidError> {
    let id = if id.starts_with('#') { format!("{did}{id}") } else { id.to_owned() };
    if split_method(&id).is_none() {
        return Err(DidError::Syntax(shortened(&id)));
    }
    Ok(id)
}

fn dids(value: Option<&Json>) -> Result<Vec<String>, DidError> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let did = |item: &Json| item.as_str().filter(|did| is_did(did)).map(str::to_owned);
    value.one_or_many().iter().map(|item| did(item).ok_or(DidError::Member("DIDs as controller"))).collect()
}

fn text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

/// Cuts foreign text for messages.
fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;

    const DID: &str = "did:web:transport.gov.example";

    fn key() -> PublicKey {
        SecretKey::from_seed(&[3; 32]).public()
    }

    fn document(method: &str, rest: &str) -> Result<DidDocument, DidError> {
        let text = format!(
            r#"{{"id":"{DID}","verificationMethod":[{{"id":"{method}","type":"Multikey","controller":"{DID}",
                "publicKeyMultibase":"{}"}}]{rest}}}"#,
            key().to_multikey()
        );
        DidDocument::parse(text.as_bytes())
    }

    #[test]
    fn gives_a_key_only_for_a_listed_purpose() {
        let method = format!("{DID}#a");
        let document = document("#a", &format!(r#","assertionMethod":["{DID}#a"]"#)).expect("a document");
        assert_eq!(document.key_for(&method, Relationship::AssertionMethod), Ok(key()));
        assert_eq!(document.key_for(&method, Relationship::Authentication), Err(MethodError::Purpose));
        assert_eq!(document.key_for(&format!("{DID}#b"), Relationship::AssertionMethod), Err(MethodError::Absent));
        assert_eq!(
            document.key_for("did:web:other.example#a", Relationship::AssertionMethod),
            Err(MethodError::Document)
        );
    }

    #[test]
    fn refuses_a_method_that_another_did_controls() {
        let text = format!(
            r##"{{"id":"{DID}","assertionMethod":[{{"id":"#a","type":"Multikey","controller":"did:web:evil.example",
                "publicKeyMultibase":"{}"}}]}}"##,
            key().to_multikey()
        );
        let document = DidDocument::parse(text.as_bytes()).expect("a document");
        assert_eq!(document.key_for(&format!("{DID}#a"), Relationship::AssertionMethod), Err(MethodError::Controller));
    }

    #[test]
    fn keeps_an_embedded_method_to_its_purpose() {
        let text = format!(
            r##"{{"id":"{DID}","authentication":[{{"id":"#a","type":"Multikey","controller":"{DID}",
                "publicKeyMultibase":"{}"}}]}}"##,
            key().to_multikey()
        );
        let document = DidDocument::parse(text.as_bytes()).expect("a document");
        let method = format!("{DID}#a");
        assert_eq!(document.key_for(&method, Relationship::Authentication), Ok(key()));
        assert_eq!(document.key_for(&method, Relationship::AssertionMethod), Err(MethodError::Purpose));
    }

    #[test]
    fn refuses_one_method_id_twice() {
        let twice = format!(
            r##","authentication":[{{"id":"#a","type":"Multikey","controller":"{DID}","publicKeyMultibase":"z"}}]"##
        );
        assert!(matches!(document("#a", &twice), Err(DidError::Duplicate(_))));
    }

    #[test]
    fn gives_no_key_for_a_method_that_shows_two() {
        let text = format!(
            r##"{{"id":"{DID}","assertionMethod":["#a"],"verificationMethod":[{{"id":"#a","type":"Multikey",
                "controller":"{DID}","publicKeyMultibase":"{}","publicKeyJwk":{{"kty":"OKP"}}}}]}}"##,
            key().to_multikey()
        );
        let document = DidDocument::parse(text.as_bytes()).expect("a document");
        assert_eq!(document.key_for(&format!("{DID}#a"), Relationship::AssertionMethod), Err(MethodError::Unsupported));
    }

    #[test]
    fn knows_the_syntax_of_dids() {
        for did in ["did:web:example.org", "did:web:localhost%3A8080:a", "did:key:z6Mk", "did:a1:x:y"] {
            assert!(is_did(did), "{did}");
        }
        for did in
            ["", "did:", "did:web", "did:web:", "did:Web:a", "did:web:a b", "did:web:a%4", "did:web:a#b", "did::a"]
        {
            assert!(!is_did(did), "{did}");
        }
        assert_eq!(split_method("did:web:a#b"), Some(("did:web:a", "b")));
        for url in ["did:web:a", "did:web:a#", "did:web:a?x=1#b", "did:web:a/p#b", "did:web:a#b#c", "#b"] {
            assert_eq!(split_method(url), None, "{url}");
        }
    }
}
