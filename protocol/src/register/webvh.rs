//! The body of a `did:webvh` record: a copy of the DID's log with its witness file (`specs/did-webvh.md` §5).
//!
//! ```text
//! {0: h'7b22…0a', 1: h'5b7b…5d'}      did.jsonl as served, and did-witness.json where there is one
//! ```
//!
//! Any register may hold a copy of any DID's log: it is verified again here, so nobody's word is taken for it.

use bytes::Bytes;

use super::body::DidDocument;
use super::fact::{Reason, Version};
use super::query::KeyQuery;
use crate::codec::{CborError, Reader, Writer};
use crate::credential::json::Json;
use crate::did;
use crate::did::webvh::{Log, LogError};

/// Why a body is no copy of a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebvhBodyError {
    /// Not the CBOR of such a body.
    #[error("expected a did:webvh log in deterministic CBOR")]
    Form(#[source] CborError),
    /// A witness file without bytes; then there is none.
    #[error("expected no empty witness file")]
    Empty,
    /// A log of which nothing holds, or not all, where all is asked for.
    #[error("the did:webvh log does not hold")]
    Log(#[source] LogError),
}

/// A copy of a log that was verified.
#[derive(Debug)]
pub struct WebvhBody {
    log: Log,
    /// What facts need of the newest document.
    facts: Option<DidDocument>,
    /// The newest document with its keys.
    document: Option<did::DidDocument>,
}

/// Writes a body. Everything in the log must hold: what is damaged is not published.
pub fn encode(log: &Bytes, witness_file: &[u8]) -> Result<Vec<u8>, WebvhBodyError> {
    let read = Log::read(log, witness_file).map_err(WebvhBodyError::Log)?;
    if let Some((_, error)) = read.ended() {
        return Err(WebvhBodyError::Log(error.clone()));
    }
    let mut writer = Writer::new();
    writer.map(if witness_file.is_empty() { 1 } else { 2 }).uint(0).bytes(log);
    if !witness_file.is_empty() {
        writer.uint(1).bytes(witness_file);
    }
    Ok(writer.into_bytes())
}

/// Splits a body into log and witness file, empty where there is none, without verifying them.
pub fn split(body: &Bytes) -> Result<(Bytes, Bytes), WebvhBodyError> {
    let mut reader = Reader::new(body);
    let mut read = || {
        let members = reader.map()?;
        reader.key(0)?;
        let log = reader.bytes()?;
        let witness_file = match members {
            1 => None,
            _ => {
                reader.key(1)?;
                Some(reader.bytes()?)
            }
        };
        Ok((members, log, witness_file))
    };
    let (members, log, witness_file) = read().map_err(WebvhBodyError::Form)?;
    if members > 2 {
        return Err(WebvhBodyError::Form(CborError::TrailingBytes(members)));
    }
    reader.finish().map_err(WebvhBodyError::Form)?;
    if witness_file.is_some_and(<[u8]>::is_empty) {
        return Err(WebvhBodyError::Empty);
    }
    Ok((body.slice_ref(log), witness_file.map_or_else(Bytes::new, |file| body.slice_ref(file))))
}

impl WebvhBody {
    /// Reads and verifies a body. A log of which only a beginning holds is read as far as it holds.
    pub fn read(body: &Bytes) -> Result<Self, WebvhBodyError> {
        let (log, witness_file) = split(body)?;
        let log = Log::read(&log, &witness_file).map_err(WebvhBodyError::Log)?;
        let state = log.controlled_state();
        Ok(Self { facts: DidDocument::of(&state), document: did::DidDocument::from_json(&state).ok(), log })
    }

    /// Returns the log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Returns the newest document with its keys.
    pub fn document(&self) -> Option<&did::DidDocument> {
        self.document.as_ref()
    }

    /// Asks the newest document for a verification method.
    pub fn says(&self, query: &KeyQuery<'_>) -> Version<()> {
        self.answer(self.facts.as_ref(), self.log.newest().did(), query)
    }

    /// Asks the document that was the newest when the log had `count` versions.
    pub fn says_at(&self, count: usize, query: &KeyQuery<'_>) -> Version<()> {
        match count.checked_sub(1).and_then(|place| self.log.versions().get(place)) {
            None => Version::no(Reason::NoRecord),
            Some(version) => {
                let facts = DidDocument::of(&did::webvh::controlled(version.state(), version.did()));
                self.answer(facts.as_ref(), version.did(), query)
            }
        }
    }

    fn answer(&self, facts: Option<&DidDocument>, did: &str, query: &KeyQuery<'_>) -> Version<()> {
        if self.log.is_deactivated() {
            return Version::no(Reason::NoFact);
        }
        let Some(facts) = facts else { return Version::unknown(Reason::BodyMalformed) };
        // After a move the method is asked for by its old name or by its new one.
        let Some(method) = self.log.current_method(query.method) else { return Version::no(Reason::NoFact) };
        let fragment = method.split_once('#').map_or("", |(_, fragment)| fragment);
        facts.says(&KeyQuery { did, method: &format!("{did}#{fragment}"), ..*query })
    }
}

/// Reads the versions of such a record one after the other: a copy that is older than one before it takes nothing back.
pub(super) fn reader<'a>(
    bodies: &'a super::body::Bodies,
    query: &'a KeyQuery<'a>,
) -> impl FnMut(Option<&crate::digest::Digest>) -> Version<()> + use<'a> {
    let mut longest: Option<&WebvhBody> = None;
    move |digest| {
        let Some(digest) = digest else { return Version::no(Reason::NoRecord) };
        let body = match bodies.need(digest).and_then(|record| record.webvh()) {
            Ok(body) if !body.log.names(query.did) => return Version::unknown(Reason::BodyIdentity),
            // What the entries that do not hold would have said is not known.
            Ok(body) if !body.log.is_whole() => return Version::unknown(Reason::BodyMalformed),
            Ok(body) => body,
            Err(reason) => return Version::unknown(reason),
        };
        let newest = longest.filter(|longest| longest.log.extends(&body.log)).unwrap_or(body);
        longest = Some(newest);
        newest.says(query)
    }
}

/// True for the DIDs whose records hold logs.
pub fn is_webvh(did: &str) -> bool {
    did.starts_with("did:webvh:")
}

/// Returns the document of a record as JSON, where the body is a log: that of its newest version.
pub fn state_of(body: &Bytes) -> Result<Json, WebvhBodyError> {
    let (log, witness_file) = split(body)?;
    Log::read(&log, &witness_file).map(|log| log.state().clone()).map_err(WebvhBodyError::Log)
}
