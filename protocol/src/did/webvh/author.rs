//! Writing logs: create, update, rotate, witness, move and deactivate, each as *prepare, sign elsewhere, finish*.
//!
//! ```text
//! Creation ─prepare→ Prepared ─input()→ 64 bytes ─sign→ finish(signature) → the whole log, read again before it is handed out
//! ```
//!
//! Nothing here has a key or a clock: the signer's public key and the time are given. The same arguments give the same
//! bytes. A log with witnesses is complete only with their proofs over the new version
//! ([`PreparedProof`](super::witness::PreparedProof)).

use bytes::Bytes;

use super::parameters::Witnesses;
use super::{Log, LogError, METHOD, PLACEHOLDER, WebvhDid, hash_of, proof};
use crate::credential::jcs;
use crate::credential::json::{Json, JsonError, Object};
use crate::key::PublicKey;
use crate::time::Time;

/// Why an entry was not prepared or not finished.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorError {
    /// Not a host and path that a did:webvh can have.
    #[error("expected a host with an optional port and path, such as transport.gov.example, got {0:?}")]
    Location(String),
    /// A document that is no object, or whose id is not that of the DID.
    #[error("expected a DID document with the id {0}")]
    Document(String),
    /// A document that the log cannot hold.
    #[error("the entry is not JSON")]
    Json(#[source] JsonError),
    /// The log has versions that do not hold, or is no more to be continued.
    #[error("the log cannot be continued: {0}")]
    Closed(&'static str),
    /// The log with the new entry does not hold.
    #[error("the new entry does not hold")]
    Refused(#[source] LogError),
}

/// What a new DID begins with. The document uses `{SCID}` for the SCID: see [`template`] and [`document`].
#[derive(Debug, Clone, PartialEq)]
pub struct Creation {
    /// When it is made, not ahead of the clocks of those who read it.
    pub time: Time,
    /// The document, with `{SCID}` in place of the SCID.
    pub document: Json,
    /// The keys that may sign entries; the signer must be among them.
    pub update_keys: Vec<PublicKey>,
    /// Hashes of the keys that the next entry must bring ([`key_hash`]); none: no pre-rotation.
    pub next_key_hashes: Vec<String>,
    /// Who witnesses entries, from this one on.
    pub witness: Option<Witnesses>,
    /// URLs of watchers.
    pub watchers: Vec<String>,
    /// True when the DID may move to another host later.
    pub portable: bool,
    /// For how many seconds a resolution may be kept, if not for an hour.
    pub ttl: Option<u32>,
}

/// What an entry changes. What is `None` stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// When it is made: later than the entry before.
    pub time: Time,
    /// The new document.
    pub document: Option<Json>,
    /// The keys that may sign from now on (with pre-rotation: this entry too). With pre-rotation they must be given.
    pub update_keys: Option<Vec<PublicKey>>,
    /// Hashes of the keys that the next entry must bring; an empty list ends pre-rotation.
    pub next_key_hashes: Option<Vec<String>>,
    /// Who witnesses entries after this one; `Some(None)`: nobody.
    pub witness: Option<Option<Witnesses>>,
    /// URLs of watchers.
    pub watchers: Option<Vec<String>>,
    /// True to give up that the DID may move.
    pub pin: bool,
    /// For how many seconds a resolution may be kept.
    pub ttl: Option<u32>,
    /// True to end the DID.
    pub deactivate: bool,
}

impl Update {
    /// An update that changes nothing yet.
    pub fn at(time: Time) -> Self {
        Self {
            time,
            document: None,
            update_keys: None,
            next_key_hashes: None,
            witness: None,
            watchers: None,
            pin: false,
            ttl: None,
            deactivate: false,
        }
    }
}

/// An entry that waits for its signature.
#[derive(Debug, Clone)]
pub struct Prepared {
    before: Bytes,
    entry: Object,
    config: Object,
    did: String,
    version_id: String,
}

/// Returns the DID of a host before its SCID is known: `did:webvh:{SCID}:localhost%3A8080:agencies:transport` of
/// `localhost:8080/agencies/transport`.
pub fn template(location: &str) -> Result<String, AuthorError> {
    let bad = || AuthorError::Location(super::shown(location));
    let mut parts = location.trim_end_matches('/').split('/');
    let host = parts.next().unwrap_or_default().replace(':', "%3A");
    let path: String = parts.map(|part| format!(":{part}")).collect();
    // Any SCID will do to see whether the rest fits.
    let tried = format!("did:webvh:{}:{host}{path}", hash_of(b""));
    let fits = host.bytes().all(|byte| !byte.is_ascii_uppercase()) || host.contains("%3A");
    if !fits || WebvhDid::parse(&tried).is_none() {
        return Err(bad());
    }
    Ok(format!("did:webvh:{PLACEHOLDER}:{host}{path}"))
}

/// Makes a document with Multikey methods `#name`, each for issuing and for authentication. `did` may be a [`template`].
pub fn document(did: &str, methods: &[(&str, PublicKey)]) -> Json {
    let text = |text: &str| Json::from(text);
    let id = |name: &str| format!("{did}#{name}");
    let method = |(name, key): &(&str, PublicKey)| {
        Json::Object(Object::from_iter([
            ("id", Json::from(id(name))),
            ("type", text("Multikey")),
            ("controller", text(did)),
            ("publicKeyMultibase", Json::from(key.to_multikey())),
        ]))
    };
    let ids = || Json::Array(methods.iter().map(|(name, _)| Json::from(id(name))).collect());
    let contexts = ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"];
    Json::Object(Object::from_iter([
        ("@context", Json::Array(contexts.map(text).to_vec())),
        ("id", text(did)),
        ("verificationMethod", Json::Array(methods.iter().map(method).collect())),
        ("assertionMethod", ids()),
        ("authentication", ids()),
    ]))
}

/// Returns the hash by which an entry promises a key to the next.
pub fn key_hash(key: PublicKey) -> String {
    hash_of(key.to_multikey().as_bytes())
}

/// Prepares the first entry of a DID.
pub fn create(creation: &Creation, signer: PublicKey) -> Result<Prepared, AuthorError> {
    let bad = || AuthorError::Document(format!("did:webvh:{PLACEHOLDER}:…"));
    let id = creation.document.get("id").and_then(Json::as_str).ok_or_else(bad)?;
    if !id.starts_with(&format!("did:webvh:{PLACEHOLDER}:")) {
        return Err(bad());
    }
    let mut parameters = Object::from_iter([
        ("method", Json::from(METHOD)),
        ("scid", Json::from(PLACEHOLDER)),
        ("updateKeys", multikeys(&creation.update_keys)),
        ("portable", Json::from(creation.portable)),
        ("nextKeyHashes", texts(&creation.next_key_hashes)),
        ("watchers", texts(&creation.watchers)),
        ("witness", creation.witness.as_ref().map_or_else(|| Json::Object(Object::new()), Witnesses::to_json)),
        ("deactivated", Json::from(false)),
    ]);
    if let Some(ttl) = creation.ttl {
        parameters.insert("ttl", Json::from(ttl));
    }
    let placed = entry(PLACEHOLDER, creation.time, parameters, creation.document.clone());
    let text = jcs::object_to_string(&placed);
    let scid = hash_of(text.as_bytes());
    let replaced = Json::parse(text.replace(PLACEHOLDER, &scid).as_bytes()).map_err(AuthorError::Json)?;
    let mut body = replaced.as_object().cloned().unwrap_or_default();
    body.insert("versionId", Json::from(scid.as_str()));
    let did = id.replace(PLACEHOLDER, &scid);
    Ok(prepared(Bytes::new(), body, 1, did, signer, creation.time))
}

/// Prepares the next entry of a log, which `log` was read from ([`Log::read_unwitnessed`] will do).
pub fn update(log_bytes: &Bytes, log: &Log, update: &Update, signer: PublicKey) -> Result<Prepared, AuthorError> {
    if !log.is_whole() {
        return Err(AuthorError::Closed("an entry of it does not hold"));
    }
    if log.is_deactivated() {
        return Err(AuthorError::Closed("the DID was deactivated"));
    }
    let newest = log.newest();
    let document = update.document.clone().unwrap_or_else(|| log.state().clone());
    let did =
        document.get("id").and_then(Json::as_str).ok_or_else(|| AuthorError::Document(newest.did().to_owned()))?;
    let mut parameters = Object::new();
    let mut set = |name: &str, value: Option<Json>| {
        if let Some(value) = value {
            parameters.insert(name, value);
        }
    };
    set("updateKeys", update.update_keys.as_deref().map(multikeys));
    set("nextKeyHashes", update.next_key_hashes.as_deref().map(texts));
    let witness =
        |witness: &Option<Witnesses>| witness.as_ref().map_or_else(|| Json::Object(Object::new()), Witnesses::to_json);
    set("witness", update.witness.as_ref().map(witness));
    set("watchers", update.watchers.as_deref().map(texts));
    set("portable", update.pin.then(|| Json::from(false)));
    set("ttl", update.ttl.map(Json::from));
    set("deactivated", update.deactivate.then(|| Json::from(true)));
    let number = log.versions().len().saturating_add(1);
    let did = did.to_owned();
    let body = entry(newest.id(), update.time, parameters, document);
    let mut before = log_bytes.to_vec();
    if !before.ends_with(b"\n") {
        before.push(b'\n');
    }
    Ok(prepared(before.into(), body, number, did, signer, update.time))
}

/// Returns the newest document as it stands after a move to another location: every mention of the DID is of the new one,
/// and the old one is in `alsoKnownAs`. It is the document of an [`Update`]; the DID must be portable.
pub fn moved(log: &Log, location: &str) -> Result<Json, AuthorError> {
    let old = log.newest().did().to_owned();
    let new = template(location)?.replace(PLACEHOLDER, log.scid());
    let mut document = renamed(log.state(), &old, &new).as_object().cloned().unwrap_or_default();
    let mut aliases = match log.state().get("alsoKnownAs") {
        Some(Json::Array(aliases)) => aliases.clone(),
        _ => Vec::new(),
    };
    aliases.retain(|alias| alias.as_str() != Some(&new));
    if !aliases.iter().any(|alias| alias.as_str() == Some(&old)) {
        aliases.push(Json::from(old));
    }
    document.insert("alsoKnownAs", Json::Array(aliases));
    Ok(Json::Object(document))
}

/// Replaces a DID where it is a whole string or the beginning of a DID URL.
fn renamed(value: &Json, old: &str, new: &str) -> Json {
    match value {
        Json::String(text) => match text.strip_prefix(old) {
            Some(rest) if rest.is_empty() || rest.starts_with(['#', '/', '?']) => Json::from(format!("{new}{rest}")),
            _ => value.clone(),
        },
        Json::Array(values) => Json::Array(values.iter().map(|value| renamed(value, old, new)).collect()),
        Json::Object(object) => {
            Json::Object(object.iter().map(|(name, value)| (name, renamed(value, old, new))).collect())
        }
        _ => value.clone(),
    }
}

impl Prepared {
    /// Returns the DID.
    pub fn did(&self) -> &str {
        &self.did
    }

    /// Returns the id of the version that this entry makes: what witnesses sign.
    pub fn version_id(&self) -> &str {
        &self.version_id
    }

    /// Returns the bytes to sign with the signer's key.
    pub fn input(&self) -> [u8; 64] {
        proof::signing_input(&self.config, &jcs::object_to_string(&self.entry))
    }

    /// Returns the whole log with the new entry. It has been read again: a signature by another key, or an entry that the
    /// log does not allow, is refused here. Only witnesses are not asked for.
    pub fn finish(self, signature: &[u8; 64]) -> Result<Bytes, AuthorError> {
        let mut entry = self.entry;
        entry.insert("proof", Json::Array(vec![proof::with_value(self.config, signature)]));
        let mut log = self.before.to_vec();
        log.extend_from_slice(jcs::object_to_string(&entry).as_bytes());
        log.push(b'\n');
        let log = Bytes::from(log);
        let read = Log::read_unwitnessed(&log).map_err(AuthorError::Refused)?;
        match read.ended() {
            Some((_, error)) => Err(AuthorError::Refused(error.clone())),
            None => Ok(log),
        }
    }

    /// Signs and finishes in one step.
    pub fn sign<E: From<AuthorError>>(self, sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>) -> Result<Bytes, E> {
        let signature = sign(&self.input())?;
        Ok(self.finish(&signature)?)
    }
}

fn entry(version_id: &str, time: Time, parameters: Object, document: Json) -> Object {
    Object::from_iter([
        ("versionId", Json::from(version_id)),
        ("versionTime", Json::from(time.to_string())),
        ("parameters", Json::Object(parameters)),
        ("state", document),
    ])
}

/// `body` has as `versionId` what goes before it.
fn prepared(before: Bytes, mut body: Object, number: usize, did: String, signer: PublicKey, time: Time) -> Prepared {
    let version_id = format!("{number}-{}", hash_of(jcs::object_to_string(&body).as_bytes()));
    body.insert("versionId", Json::from(version_id.as_str()));
    Prepared { before, entry: body, config: proof::configuration(signer, time), did, version_id }
}

fn multikeys(keys: &[PublicKey]) -> Json {
    Json::Array(keys.iter().map(|key| Json::from(key.to_multikey())).collect())
}

fn texts(texts: &[String]) -> Json {
    Json::Array(texts.iter().map(|text| Json::from(text.as_str())).collect())
}
