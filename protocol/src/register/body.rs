//! Record bodies: content-addressed bytes that are decoded once (`specs/register.md` §5).
//!
//! ```text
//! {"action":"recognize","depth":3,"entity":"did:web:b.example","register":{"keys":["b.example/r/…+…+…"],
//!  "origin":"b.example/r/…"},"resource":"main","scope":{"actions":["issue"],"resources":["*"]},
//!  "valid_from":1790000000,"valid_until":1890000000}           <- a trust entry, RFC 8785, without line breaks
//! ```
//!
//! A body that is missing or wrong makes what it carries unusable; it is never an error of the register.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::fact::{After, Binding, Reason, Scope, Terms, Version};
use super::query::KeyQuery;
use super::webvh::WebvhBody;
use crate::credential::Credential;
use crate::credential::json::{Json, Object};
use crate::did;
use crate::digest::Digest;
use crate::status::bitstring::Bitstring;
use crate::status::native::StatusList;

/// A body under its digest, with what it decodes to.
pub struct Record {
    body: Bytes,
    digest: Digest,
    list: OnceLock<Option<Box<StatusList>>>,
    document: OnceLock<Option<Box<DidDocument>>>,
    entry: OnceLock<Option<Box<TrustEntry>>>,
    resolved: OnceLock<Option<Box<did::DidDocument>>>,
    foreign: OnceLock<Option<Box<(Credential, Bitstring)>>>,
    webvh: OnceLock<Option<Box<WebvhBody>>>,
}

impl Record {
    /// Takes a body; its digest is computed here, so a record never stands under a wrong one.
    pub fn new(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let digest = Digest::of(&body);
        Self {
            body,
            digest,
            list: OnceLock::new(),
            document: OnceLock::new(),
            entry: OnceLock::new(),
            resolved: OnceLock::new(),
            foreign: OnceLock::new(),
            webvh: OnceLock::new(),
        }
    }

    /// Returns the bytes.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns their digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the native status list; [`Reason::BodyMalformed`] when it is none.
    pub fn status_list(&self) -> Result<&StatusList, Reason> {
        let cell = self.list.get_or_init(|| StatusList::parse(&self.body).ok().map(Box::new));
        cell.as_deref().ok_or(Reason::BodyMalformed)
    }

    /// Returns the DID document; [`Reason::BodyMalformed`] when it is none.
    pub fn did_document(&self) -> Result<&DidDocument, Reason> {
        let cell = self.document.get_or_init(|| DidDocument::read(&self.body).map(Box::new));
        cell.as_deref().ok_or(Reason::BodyMalformed)
    }

    /// Returns the DID document with its keys, as credentials are proven by them; `None` when it is none.
    pub fn resolved(&self) -> Option<&did::DidDocument> {
        self.resolved.get_or_init(|| did::DidDocument::parse(&self.body).ok().map(Box::new)).as_deref()
    }

    /// Returns the did:webvh log, verified as far as it holds; [`Reason::BodyMalformed`] when nothing of it does.
    pub fn webvh(&self) -> Result<&WebvhBody, Reason> {
        let cell = self.webvh.get_or_init(|| WebvhBody::read(&self.body).ok().map(Box::new));
        cell.as_deref().ok_or(Reason::BodyMalformed)
    }

    /// Returns a status list that stands as a credential of its own; nothing says yet who signed it.
    pub fn foreign_list(&self) -> Option<&(Credential, Bitstring)> {
        let read = || {
            let credential = Credential::parse(&self.body).ok()?;
            let list = Bitstring::from_credential(&credential).ok()?;
            Some(Box::new((credential, list)))
        };
        self.foreign.get_or_init(read).as_deref()
    }

    /// Returns the trust entry; [`Reason::BodyMalformed`] when it is none.
    pub fn trust_entry(&self) -> Result<&TrustEntry, Reason> {
        let cell = self.entry.get_or_init(|| TrustEntry::read(&self.body).map(Box::new));
        cell.as_deref().ok_or(Reason::BodyMalformed)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({}, {} bytes)", self.digest, self.body.len())
    }
}

/// The bodies held, by digest. A clone is cheap, and writing to one copies only a small part.
#[derive(Debug, Clone)]
pub struct Bodies(Arc<[Shard; 256]>);

type Shard = Arc<BTreeMap<Digest, Arc<Record>>>;

impl Default for Bodies {
    fn default() -> Self {
        let empty = Shard::default();
        Self(Arc::new(std::array::from_fn(|_| empty.clone())))
    }
}

impl Bodies {
    /// Returns a body.
    pub fn get(&self, digest: &Digest) -> Option<&Arc<Record>> {
        self.0.get(shard(digest))?.get(digest)
    }

    /// True when the body is held.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.get(digest).is_some()
    }

    /// Keeps a body; one that is there stays as it is, with what it has decoded.
    pub fn insert(&mut self, record: Arc<Record>) {
        let digest = record.digest();
        if !self.contains(&digest)
            && let Some(shard) = Arc::make_mut(&mut self.0).get_mut(shard(&digest))
        {
            Arc::make_mut(shard).insert(digest, record);
        }
    }

    /// Drops a body.
    pub fn remove(&mut self, digest: &Digest) {
        if self.contains(digest)
            && let Some(shard) = Arc::make_mut(&mut self.0).get_mut(shard(digest))
        {
            Arc::make_mut(shard).remove(digest);
        }
    }

    /// Visits all bodies in the order of their digests.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.0.iter().flat_map(|shard| shard.values())
    }

    /// Returns how many bodies are held.
    pub fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.len()).sum()
    }

    /// True when none is held.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|shard| shard.is_empty())
    }

    /// Returns a body, or why what it carries is unusable.
    pub(crate) fn need(&self, digest: &Digest) -> Result<&Record, Reason> {
        self.get(digest).map(Arc::as_ref).ok_or(Reason::BodyMissing)
    }
}

fn shard(digest: &Digest) -> usize {
    let [first, ..] = digest.0;
    usize::from(first)
}

impl FromIterator<Arc<Record>> for Bodies {
    fn from_iter<I: IntoIterator<Item = Arc<Record>>>(records: I) -> Self {
        let mut bodies = Self::default();
        records.into_iter().for_each(|record| bodies.insert(record));
        bodies
    }
}

/// What facts need of a DID document (DID 1.1): its verification methods and which relationship lists them.
#[derive(Debug, Clone, PartialEq)]
pub struct DidDocument {
    /// The subject; a document without one is of nobody.
    pub id: Option<String>,
    /// The verification methods, embedded ones included; no id comes twice.
    pub methods: Vec<Method>,
    relationships: BTreeMap<String, Option<Vec<String>>>,
}

/// A verification method of a DID document.
#[derive(Debug, Clone, PartialEq)]
pub struct Method {
    /// Its id, a DID URL.
    pub id: Option<String>,
    /// Who controls it.
    pub controller: Option<String>,
    /// Its public key as Multikey; also when it is written as a JWK, so that the form in which it stands changes nothing.
    pub multibase: Option<String>,
}

impl DidDocument {
    /// Returns the method ids that a relationship such as `assertionMethod` lists; a relationship that is no list makes
    /// the document malformed for that relationship.
    pub fn relationship(&self, name: &str) -> Result<&[String], Reason> {
        match self.relationships.get(name) {
            None => Ok(&[]),
            Some(listed) => listed.as_deref().ok_or(Reason::BodyMalformed),
        }
    }

    /// Returns a verification method.
    pub fn method(&self, id: &str) -> Option<&Method> {
        self.methods.iter().find(|m| m.id.as_deref() == Some(id))
    }

    /// Asks for a verification method.
    pub(super) fn says(&self, query: &KeyQuery<'_>) -> Version<()> {
        if self.id.as_deref() != Some(query.did) {
            return Version::unknown(Reason::BodyIdentity);
        }
        let listed = match self.relationship(query.relationship) {
            Ok(listed) => listed.iter().any(|id| id == query.method),
            Err(reason) => return Version::unknown(reason),
        };
        let good = self.method(query.method).is_some_and(|method| {
            method.controller.as_deref() == Some(query.did) && method.multibase.as_deref() == Some(query.public)
        });
        if good && listed { Version::yes(()) } else { Version::no(Reason::NoFact) }
    }

    fn read(body: &[u8]) -> Option<Self> {
        Self::of(&Json::parse_canonical(body).ok()?)
    }

    /// Reads a document that is JSON already.
    pub(super) fn of(value: &Json) -> Option<Self> {
        let document = value.as_object()?;
        let did = document.get("id").and_then(Json::as_str);
        let mut methods = match document.get("verificationMethod") {
            None => Vec::new(),
            Some(methods) => methods.as_array()?.iter().map(|m| Method::read(did, m)).collect::<Option<Vec<_>>>()?,
        };
        let mut relationships = BTreeMap::new();
        for name in RELATIONSHIPS {
            let Some(listed) = document.get(name) else { continue };
            let ids =
                listed.as_array().map(|items| items.iter().filter_map(|i| listed_id(did, i, &mut methods)).collect());
            relationships.insert(name.to_owned(), ids);
        }
        let mut ids: Vec<_> = methods.iter().map(|m| &m.id).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return None;
        }
        Some(Self { id: did.map(str::to_owned), methods, relationships })
    }
}

/// The id of a method that a relationship lists or embeds; one embedded there is for that relationship alone.
fn listed_id(did: Option<&str>, item: &Json, methods: &mut Vec<Method>) -> Option<String> {
    if let Some(id) = item.as_str() {
        return Some(absolute(did, id));
    }
    let method = Method::read(did, item)?;
    let id = method.id.clone()?;
    methods.push(method);
    Some(id)
}

/// Makes `#fragment` absolute.
fn absolute(did: Option<&str>, id: &str) -> String {
    match did {
        Some(did) if id.starts_with('#') => format!("{did}{id}"),
        _ => id.to_owned(),
    }
}

/// The verification relationships of DID 1.1 §5.3.
const RELATIONSHIPS: [&str; 5] =
    ["assertionMethod", "authentication", "capabilityDelegation", "capabilityInvocation", "keyAgreement"];

impl Method {
    fn read(did: Option<&str>, value: &Json) -> Option<Self> {
        let method = value.as_object()?;
        let string = |name| match method.get(name) {
            None => Some(None),
            Some(value) => value.as_str().map(|s| Some(s.to_owned())),
        };
        let from_jwk = || Some(did::jwk::read_key(method.get("publicKeyJwk")?)?.to_multikey());
        Some(Self {
            id: string("id")?.map(|id| absolute(did, &id)),
            controller: string("controller")?,
            multibase: string("publicKeyMultibase")?.or_else(from_jwk),
        })
    }
}

/// A trust entry (`specs/trust.md` §1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustEntry {
    /// Whom it is about.
    pub entity: String,
    /// What the entity may do; `recognize` makes it an authority.
    pub action: String,
    /// On what; for `recognize` the label of the recognition.
    pub resource: String,
    /// What is granted.
    pub terms: Terms,
}

impl TrustEntry {
    fn read(body: &[u8]) -> Option<Self> {
        let value = Json::parse_canonical(body).ok()?;
        let entry = value.as_object()?;
        let action = string(entry, "action")?;
        let recognizes = action == "recognize";
        let known = |name: &str| {
            matches!(name, "entity" | "action" | "resource" | "valid_from" | "valid_until" | "register" | "status")
                || recognizes && matches!(name, "scope" | "depth")
        };
        if !entry.iter().all(|(name, _)| known(name)) {
            return None;
        }
        let status_required = match entry.get("status") {
            None => false,
            Some(status) if status.as_str() == Some("required") => true,
            Some(_) => return None,
        };
        let terms = Terms {
            valid_from: entry.get("valid_from")?.as_u64()?,
            valid_until: entry.get("valid_until")?.as_u64()?,
            scope: if recognizes { Some(read_scope(entry.get("scope")?)?) } else { None },
            depth: if recognizes { Some(entry.get("depth")?.as_u64()?) } else { None },
            register: match entry.get("register") {
                None => None,
                Some(register) => Some(Binding::read(register)?),
            },
            status_required,
        };
        Some(Self { entity: string(entry, "entity")?, resource: string(entry, "resource")?, action, terms })
    }
}

impl Binding {
    /// Reads `{"keys": […], "origin": …, "after"?: {"origin": …, "root": hex, "size": …}}`; `None` for anything else.
    /// The keys are not looked at.
    pub fn read(value: &Json) -> Option<Self> {
        let binding = value.as_object()?;
        let after = match binding.get("after") {
            None => None,
            Some(after) => {
                let after = after.as_object().filter(|a| a.len() == 3)?;
                let root = Digest::from_hex(after.get("root")?.as_str()?)?;
                Some(After { origin: string(after, "origin")?, size: after.get("size")?.as_u64()?, root })
            }
        };
        let members = 2 + usize::from(after.is_some());
        (binding.len() == members).then_some(())?;
        Some(Self { origin: string(binding, "origin")?, keys: strings(binding.get("keys")?)?, after })
    }
}

fn read_scope(value: &Json) -> Option<Scope> {
    let scope = value.as_object().filter(|s| s.len() == 2)?;
    Some(Scope { actions: strings(scope.get("actions")?)?, resources: strings(scope.get("resources")?)? })
}

fn string(object: &Object, name: &str) -> Option<String> {
    object.get(name)?.as_str().map(str::to_owned)
}

fn strings(value: &Json) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|s| s.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ISSUE: &str =
        r#"{"action":"issue","entity":"did:web:b.example","resource":"L","valid_from":0,"valid_until":900}"#;

    #[test]
    fn reads_a_trust_entry() {
        let record = Record::new(ISSUE.as_bytes());
        let entry = record.trust_entry().unwrap();
        assert_eq!((entry.entity.as_str(), entry.terms.valid_until), ("did:web:b.example", 900));
        assert!(record.status_list().is_err());
    }

    #[test]
    fn refuses_json_that_is_not_canonical_and_unknown_members() {
        for body in [
            ISSUE.replace(",\"entity\"", ", \"entity\""),
            ISSUE.replace("\"valid_from\":0", "\"valid_from\":0.5"),
            ISSUE.replace("\"valid_from\":0", "\"valid_from\":-1"),
            ISSUE.replace("\"valid_until\":900", "\"valid_until\":900,\"x\":1"),
            ISSUE.replace("\"resource\":\"L\"", "\"resource\":\"L\",\"status\":\"optional\""),
            ISSUE.replace("\"action\":\"issue\"", "\"action\":\"recognize\""),
            ISSUE.replace("\"action\":\"issue\"", "\"action\":\"issue\",\"depth\":1"),
        ] {
            assert_eq!(Record::new(body.clone()).trust_entry().err(), Some(Reason::BodyMalformed), "{body}");
        }
    }

    #[test]
    fn a_document_with_one_method_id_twice_is_malformed() {
        let one = r##"{"id":"did:web:a.example","verificationMethod":[{"id":"#1"}]}"##;
        assert_eq!(Record::new(one).did_document().unwrap().method("did:web:a.example#1").unwrap().multibase, None);
        let two = one.replace("[{\"id\":\"#1\"}]", "[{\"id\":\"#1\"},{\"id\":\"#1\"}]");
        assert_eq!(Record::new(two).did_document().err(), Some(Reason::BodyMalformed));
    }

    #[test]
    fn writing_to_a_clone_leaves_the_first_as_it_was() {
        let first: Bodies = [Arc::new(Record::new("a"))].into_iter().collect();
        let mut second = first.clone();
        second.insert(Arc::new(Record::new("b")));
        second.remove(&Digest::of(b"a"));
        assert_eq!((first.len(), second.len()), (1, 1));
        assert!(first.contains(&Digest::of(b"a")) && second.contains(&Digest::of(b"b")));
    }
}
