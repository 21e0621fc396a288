//! `did:webvh` 1.0: an identifier whose document is the end of a signed, hash-chained log (`specs/did-webvh.md`).
//!
//! ```text
//! did:webvh:QmYPmKXuvwHeVF8zWdcMvU3UNksUZnR5kUJbhDjEjbZYvX:transport.gov.example       <- SCID, then where it is served
//!
//! {"parameters":{"method":"did:webvh:1.0","scid":"QmYP…","updateKeys":["z6Mk…"]},"proof":[{…}],
//!  "state":{"id":"did:webvh:QmYP…:transport.gov.example",…},"versionId":"1-QmQN…","versionTime":"2026-11-20T14:28:00Z"}
//! {…,"versionId":"2-QmWx…",…}                                        <- one JSON object a line, and a line feed each
//! ```
//!
//! A log verifies itself: the SCID is the hash of its first entry, each entry names the hash of the one before, and keys
//! that the log itself names sign it. It does not tell its age, and not whether it is the only log: copies are compared in
//! [`copies`], ages come from registers. Reading knows no clock; entries dated ahead are set aside by who has one.

pub mod author;
pub mod copies;
mod entry;
pub mod parameters;
mod proof;
pub mod resolve;
pub mod witness;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{DidDocument, DidError, is_did, shortened};
use crate::credential::json::{Json, JsonError, Object};
use crate::limits::{
    WEBVH_AHEAD_MAX_S, WEBVH_ENTRIES_MAX, WEBVH_ENTRY_SIZE_MAX, WEBVH_KEYS_MAX, WEBVH_LOG_SIZE_MAX, WEBVH_PROOFS_MAX,
    WEBVH_WITNESS_SIZE_MAX, WEBVH_WITNESSES_MAX,
};
use crate::time::Time;
use entry::Entry;
use parameters::Parameters;

/// The version of the method that is read and written.
pub const METHOD: &str = "did:webvh:1.0";

/// What stands for the SCID until it is known.
pub const PLACEHOLDER: &str = "{SCID}";

/// Why a log, an entry of it or its witness file was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// More bytes, entries, keys or proofs than allowed.
    #[error("more than {max} {what}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        max: usize,
    },
    /// A log without entries.
    #[error("expected a log with at least one entry")]
    Empty,
    /// A line that is not JSON.
    #[error("expected one JSON object a line")]
    Json(#[source] JsonError),
    /// A member of an entry that is missing, unknown or of another type.
    #[error("an entry needs {0}")]
    Member(&'static str),
    /// A `versionId` that does not continue the count.
    #[error("expected version {expected}, got {found:?}")]
    VersionNumber {
        /// The number that should have come.
        expected: usize,
        /// What came.
        found: String,
    },
    /// A time that is not UTC, or not later than that of the entry before.
    #[error("expected a versionTime in UTC after {after:?}, got {found:?}")]
    VersionTime {
        /// The time of the entry before, or nothing.
        after: String,
        /// What came.
        found: String,
    },
    /// An entry that is dated ahead of the clock.
    #[error("the entry is dated {0}, ahead of the clock")]
    Ahead(String),
    /// A parameter that is missing, unknown, or has a value that is not allowed here.
    #[error("parameters need {0}")]
    Parameters(&'static str),
    /// Another version of the method.
    #[error("expected the method {METHOD}, got {0:?}")]
    Method(String),
    /// A SCID that is not the hash of the first entry.
    #[error("the SCID is not the hash of the first entry")]
    Scid,
    /// An entry hash that is not the hash of the entry.
    #[error("the entry hash is not that of the entry")]
    EntryHash,
    /// A document whose id is not allowed here.
    #[error("the document's id needs {0}")]
    DocumentId(&'static str),
    /// Keys that the entry before did not commit to, or a commitment that is not continued.
    #[error("pre-rotation needs {0}")]
    PreRotation(&'static str),
    /// A proof that is not of the form.
    #[error("a proof needs {0}")]
    ProofForm(&'static str),
    /// A proof by a key that may not sign this entry.
    #[error("the key that signed is not an active update key")]
    KeyNotActive,
    /// A signature that does not match.
    #[error("the signature does not match")]
    Signature,
    /// An entry after the one that deactivated the DID.
    #[error("an entry after deactivation")]
    AfterDeactivation,
    /// Fewer witnesses than the threshold.
    #[error("{found} of {threshold} witnesses that are needed")]
    Unwitnessed {
        /// How many stand for it.
        found: usize,
        /// How many are needed.
        threshold: usize,
    },
    /// A witness file that is not of the form.
    #[error("a witness file needs {0}")]
    WitnessFile(&'static str),
}

impl LogError {
    /// Returns the stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Limit { .. } => "limit",
            Self::Empty => "empty",
            Self::Json(_) => "json",
            Self::Member(_) => "member",
            Self::VersionNumber { .. } => "version-number",
            Self::VersionTime { .. } => "version-time",
            Self::Ahead(_) => "ahead",
            Self::Parameters(_) => "parameters",
            Self::Method(_) => "method",
            Self::Scid => "scid",
            Self::EntryHash => "entry-hash",
            Self::DocumentId(_) => "document-id",
            Self::PreRotation(_) => "pre-rotation",
            Self::ProofForm(_) => "proof-form",
            Self::KeyNotActive => "key-not-active",
            Self::Signature => "signature",
            Self::AfterDeactivation => "after-deactivation",
            Self::Unwitnessed { .. } => "unwitnessed",
            Self::WitnessFile(_) => "witness-file",
        }
    }
}

/// A `did:webvh` DID: its SCID, and where its log is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebvhDid<'a> {
    scid: &'a str,
    location: &'a str,
}

impl<'a> WebvhDid<'a> {
    /// Reads a DID without path, query or fragment; `None` for anything else.
    pub fn parse(did: &'a str) -> Option<Self> {
        let (scid, location) = did.strip_prefix("did:webvh:")?.split_once(':')?;
        (is_did(did) && is_hash(scid) && is_location(location)).then_some(Self { scid, location })
    }

    /// Returns the self-certifying identifier, which stays when the DID moves.
    pub fn scid(&self) -> &'a str {
        self.scid
    }

    /// Returns the host as URLs write it, with its port.
    pub fn authority(&self) -> String {
        let host = self.location.split(':').next().unwrap_or_default();
        host.replace("%3A", ":").replace("%3a", ":")
    }

    /// Returns the URL under which files of the DID stand, without a slash at its end.
    pub fn base_url(&self) -> String {
        let path: String = self.location.split(':').skip(1).map(|segment| format!("/{segment}")).collect();
        format!("https://{}{path}", self.authority())
    }

    /// Returns the URL of the log.
    pub fn log_url(&self) -> String {
        self.file_url("did.jsonl")
    }

    /// Returns the URL of the witness file.
    pub fn witness_url(&self) -> String {
        self.file_url("did-witness.json")
    }

    fn file_url(&self, file: &str) -> String {
        let well_known = if self.location.contains(':') { "" } else { "/.well-known" };
        format!("{}{well_known}/{file}", self.base_url())
    }
}

/// True for the part of a DID after the SCID: a host that is no IP address, a port, and path segments.
fn is_location(location: &str) -> bool {
    let mut segments = location.split(':');
    let host = segments.next().unwrap_or_default().replace("%3a", "%3A");
    let (name, port) = host.split_once("%3A").map_or((host.as_str(), None), |(name, port)| (name, Some(port)));
    let label = |label: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(fits)
    };
    let is_address = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    let has_port = port.is_none_or(|port| !port.starts_with('0') && port.parse::<u16>().is_ok());
    name.len() <= 253 && name.split('.').all(label) && !is_address && has_port && segments.all(is_segment)
}

/// True for a path segment; `.` and `..` would lead elsewhere.
fn is_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
}

/// True for base58 of a SHA-256 multihash.
pub(crate) fn is_hash(text: &str) -> bool {
    text.len() == 46
        && bs58::decode(text).into_vec().is_ok_and(|bytes| bytes.len() == 34 && bytes.starts_with(&[0x12, 0x20]))
}

/// Returns base58 of the SHA-256 multihash of some bytes.
pub fn hash_of(data: &[u8]) -> String {
    let mut multihash = vec![0x12, 0x20];
    multihash.extend_from_slice(&Sha256::digest(data));
    bs58::encode(multihash).into_string()
}

/// A time as an entry writes it, to the nanosecond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionTime {
    text: String,
    secs: Time,
    nanos: u32,
}

impl VersionTime {
    /// Reads RFC 3339 in UTC; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let local = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00"))?;
        let secs = Time::from_rfc3339(text)?;
        let fraction = local.split_once('.').map_or("", |(_, fraction)| fraction);
        let nanos = format!("{fraction:0<9}").parse().ok()?;
        Some(Self { text: text.to_owned(), secs, nanos })
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the time in whole seconds.
    pub fn time(&self) -> Time {
        self.secs
    }

    fn is_after(&self, other: &Self) -> bool {
        (self.secs, self.nanos) > (other.secs, other.nanos)
    }
}

/// One version of a DID: an entry of a log that holds, with the parameters that it leaves in force.
#[derive(Debug, Clone)]
pub struct Version {
    id: String,
    time: VersionTime,
    did: String,
    parameters: Parameters,
    /// Who must have witnessed it.
    witnesses: Option<std::sync::Arc<parameters::Witnesses>>,
    line: Bytes,
}

impl Version {
    /// Returns the `versionId`, such as `2-QmWx…`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns when the controller says that it was made.
    pub fn time(&self) -> &VersionTime {
        &self.time
    }

    /// Returns the DID under which it stands: a DID that moved has had several.
    pub fn did(&self) -> &str {
        &self.did
    }

    /// Returns the parameters in force after it.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Returns the witnesses that must stand for it.
    pub fn witnesses(&self) -> Option<&parameters::Witnesses> {
        self.witnesses.as_deref()
    }

    /// Returns its line in the log, without the line feed.
    pub fn line(&self) -> &Bytes {
        &self.line
    }

    /// Returns its DID document, read again from its line.
    pub fn state(&self) -> Json {
        let state = Entry::read(&self.line).ok().and_then(|mut entry| entry.body.remove("state"));
        state.unwrap_or_else(|| Json::Object(Object::new()))
    }
}

/// A log that was verified: its versions up to the first entry that does not hold.
#[derive(Debug, Clone)]
pub struct Log {
    versions: Vec<Version>,
    scid: String,
    state: Json,
    ended: Option<(usize, LogError)>,
}

impl Log {
    /// Verifies a log with its witness file (empty: none). What is refused has not even a first version; otherwise the
    /// entries before the first that does not hold stand, and [`Log::ended`] says why no more do.
    pub fn read(log: &Bytes, witness_file: &[u8]) -> Result<Self, LogError> {
        let mut read = Self::read_unwitnessed(log)?;
        if let Some((at, error)) = witness::first_unwitnessed(&read.versions, witness_file) {
            if at == 0 {
                return Err(error);
            }
            read.versions.truncate(at);
            read.state = read.newest().state();
            read.ended = Some((at, error));
        }
        Ok(read)
    }

    /// Verifies all of a log but its witnesses, as an author needs it whose newest entry waits for them.
    pub fn read_unwitnessed(log: &Bytes) -> Result<Self, LogError> {
        check_limit(log.len(), WEBVH_LOG_SIZE_MAX, "bytes in a log")?;
        let text = log.strip_suffix(b"\n").unwrap_or(log);
        if text.is_empty() {
            return Err(LogError::Empty);
        }
        let mut versions: Vec<Version> = Vec::new();
        let mut state = None;
        let mut ended = None;
        for line in text.split(|byte| *byte == b'\n') {
            let next = check_limit(versions.len().saturating_add(1), WEBVH_ENTRIES_MAX, "entries in a log")
                .and_then(|()| check_limit(line.len(), WEBVH_ENTRY_SIZE_MAX, "bytes in an entry"))
                .and_then(|()| Entry::read(line)?.verify(versions.last(), log.slice_ref(line)));
            match next {
                Ok((version, document)) => {
                    versions.push(version);
                    state = Some(document);
                }
                Err(error) if versions.is_empty() => return Err(error),
                Err(error) => {
                    ended = Some((versions.len(), error));
                    break;
                }
            }
        }
        let first = versions.first().ok_or(LogError::Empty)?;
        let scid = WebvhDid::parse(&first.did).map(|did| did.scid.to_owned()).unwrap_or_default();
        Ok(Self { scid, state: state.ok_or(LogError::Empty)?, versions, ended })
    }

    /// Returns the versions that hold, at least one, the oldest first.
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// Returns the newest version that holds.
    pub fn newest(&self) -> &Version {
        self.versions.last().expect("a log that was read has a version")
    }

    /// Returns the DID document of the newest version that holds.
    pub fn state(&self) -> &Json {
        &self.state
    }

    /// Returns the SCID.
    pub fn scid(&self) -> &str {
        &self.scid
    }

    /// Returns the place (from 0) and the fault of the first entry that does not hold; `None` for a log that is whole.
    pub fn ended(&self) -> Option<(usize, &LogError)> {
        self.ended.as_ref().map(|(at, error)| (*at, error))
    }

    /// True when every entry holds.
    pub fn is_whole(&self) -> bool {
        self.ended.is_none()
    }

    /// True when the newest version says that the DID is no more.
    pub fn is_deactivated(&self) -> bool {
        self.newest().parameters.deactivated()
    }

    /// Returns how many versions are not dated ahead of a clock.
    pub fn settled(&self, now: Time) -> usize {
        let latest = now.plus(WEBVH_AHEAD_MAX_S);
        self.versions.iter().take_while(|version| version.time.time() <= latest).count()
    }

    /// True when some version stands under this DID.
    pub fn names(&self, did: &str) -> bool {
        self.versions.iter().any(|version| version.did == did)
    }

    /// Returns the names that the DID has had, each once, the oldest first.
    pub fn dids(&self) -> Vec<&str> {
        let mut dids: Vec<&str> = Vec::new();
        for version in &self.versions {
            if !dids.contains(&version.did.as_str()) {
                dids.push(&version.did);
            }
        }
        dids
    }

    /// Returns the newest document as keys are read from it: see [`controlled`].
    pub fn controlled_state(&self) -> Json {
        controlled(self.state.clone(), self.newest().did())
    }

    /// Returns the newest document with its keys.
    pub fn document(&self) -> Result<DidDocument, DidError> {
        DidDocument::from_json(&self.controlled_state())
    }

    /// Returns what a method of this DID is called in the newest document: after a move, `old#key` is `new#key` where the
    /// newest document still says that it is also known as `old`.
    pub fn current_method(&self, method: &str) -> Option<String> {
        let (did, fragment) = method.split_once('#')?;
        let newest = self.newest().did();
        if did == newest {
            return Some(method.to_owned());
        }
        let aliases = self.state.get("alsoKnownAs").and_then(Json::as_array).unwrap_or_default();
        let is_alias = aliases.iter().any(|alias| alias.as_str() == Some(did));
        (self.names(did) && is_alias).then(|| format!("{newest}#{fragment}"))
    }
}

/// Returns a document in which each method that names no controller is controlled by the DID itself, as the writers of such
/// documents mean it: the log signs them. (DID 1.1 wants a controller; the Swiss registry and didwebvh-ts leave it out.)
pub fn controlled(state: Json, did: &str) -> Json {
    let Json::Object(mut document) = state else { return state };
    const LISTS: [&str; 6] = [
        "verificationMethod",
        "assertionMethod",
        "authentication",
        "capabilityDelegation",
        "capabilityInvocation",
        "keyAgreement",
    ];
    let complete = |item: Json| match item {
        Json::Object(mut method) if method.get("controller").is_none() => {
            method.insert("controller", Json::from(did));
            Json::Object(method)
        }
        other => other,
    };
    for name in LISTS {
        if let Some(Json::Array(items)) = document.remove(name) {
            document.insert(name, Json::Array(items.into_iter().map(complete).collect()));
        }
    }
    Json::Object(document)
}

/// Says that there are more of something than allowed.
fn check_limit(count: usize, max: usize, what: &'static str) -> Result<(), LogError> {
    if count > max { Err(LogError::Limit { what, max }) } else { Ok(()) }
}

fn check_keys(count: usize) -> Result<(), LogError> {
    check_limit(count, WEBVH_KEYS_MAX, "keys or hashes in an entry")
}

fn check_witnesses(count: usize) -> Result<(), LogError> {
    check_limit(count, WEBVH_WITNESSES_MAX, "witnesses")
}

fn check_proofs(count: usize) -> Result<(), LogError> {
    check_limit(count, WEBVH_PROOFS_MAX, "proofs of an entry")
}

fn check_witness_file(size: usize) -> Result<(), LogError> {
    check_limit(size, WEBVH_WITNESS_SIZE_MAX, "bytes in a witness file")
}

fn shown(text: &str) -> String {
    shortened(text)
}

#[cfg(test)]
mod tests;
