//! Resolving: which version is asked for, its document with the implicit services, and its metadata.
//!
//! ```text
//! did:webvh:QmYP…:transport.gov.example?versionTime=2026-11-20T14:28:00Z      the version in force at that time
//! ```

use super::{Log, LogError, Version, VersionTime, WebvhDid};
use crate::credential::json::{Json, Object};
use crate::time::Time;

/// Which version of a DID is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Wanted {
    /// The newest.
    #[default]
    Newest,
    /// The one with this whole `versionId`.
    Id(String),
    /// The one in force at a time.
    Time(Time),
    /// The one with this number.
    Number(u64),
}

/// Why a DID was not resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The parameters of the DID URL are no question.
    #[error("expected one of versionId, versionTime and versionNumber, got {0:?}")]
    Query(String),
    /// No such version.
    #[error("the log has no such version")]
    NotFound,
    /// The log does not hold where the answer would be.
    #[error("entry {at} of the log does not hold")]
    Invalid {
        /// The place of the first entry that does not hold, from 1.
        at: usize,
        /// Why.
        #[source]
        error: LogError,
    },
}

/// A resolved version.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolution {
    /// The document, with the services that every did:webvh document has.
    pub document: Json,
    /// What is told about it (`didDocumentMetadata`).
    pub metadata: Json,
    /// True when the DID is no more.
    pub deactivated: bool,
}

impl Wanted {
    /// Reads the query of a DID URL, such as `versionNumber=2`, without the question mark.
    pub fn parse(query: &str) -> Result<Self, ResolveError> {
        let bad = || ResolveError::Query(super::shown(query));
        if query.is_empty() {
            return Ok(Self::Newest);
        }
        let (name, value) = query.split_once('=').filter(|(_, value)| !value.contains('&')).ok_or_else(bad)?;
        let value = value.replace("%3A", ":").replace("%3a", ":").replace("%2B", "+").replace("%2b", "+");
        match name {
            "versionId" => Ok(Self::Id(value)),
            "versionTime" => Time::from_rfc3339(&value).map(Self::Time).ok_or_else(bad),
            "versionNumber" => value.parse().map(Self::Number).map_err(|_| bad()),
            _ => Err(bad()),
        }
    }
}

impl Log {
    /// Resolves a version at a device's time. Versions before the first entry that does not hold, or that is dated ahead,
    /// stay resolvable by id, number and time; the newest is not known then.
    pub fn resolve(&self, wanted: &Wanted, now: Time) -> Result<Resolution, ResolveError> {
        let settled = self.versions.get(..self.settled(now)).unwrap_or_default();
        let invalid = match (self.versions.get(settled.len()), self.ended()) {
            (Some(ahead), _) => Some((settled.len(), LogError::Ahead(ahead.time.as_str().to_owned()))),
            (None, ended) => ended.map(|(at, error)| (at, error.clone())),
        };
        let invalid = |_| match invalid {
            Some((at, error)) => ResolveError::Invalid { at: at.saturating_add(1), error },
            None => ResolveError::NotFound,
        };
        let found = match wanted {
            Wanted::Newest => settled.last().filter(|_| settled.len() == self.versions.len() && self.is_whole()),
            Wanted::Id(id) => settled.iter().find(|version| version.id == *id),
            Wanted::Number(number) => {
                let place = usize::try_from(*number).ok().and_then(|number| number.checked_sub(1));
                place.and_then(|place| settled.get(place))
            }
            Wanted::Time(time) => {
                let later = settled.iter().position(|version| version.time.time() > *time);
                let is_whole = settled.len() == self.versions.len() && self.is_whole();
                match later {
                    Some(later) => later.checked_sub(1).and_then(|place| settled.get(place)),
                    // What came after the last version that holds is not known.
                    None => settled.last().filter(|_| is_whole),
                }
            }
        };
        // A time before the first version is an answer of its own.
        let early =
            matches!(wanted, Wanted::Time(time) if settled.first().is_some_and(|first| first.time.time() > *time));
        let version = found.ok_or(()).map_err(|()| if early { ResolveError::NotFound } else { invalid(()) })?;
        Ok(self.resolution(version))
    }

    fn resolution(&self, version: &Version) -> Resolution {
        let mut document = match version.state() {
            Json::Object(document) => document,
            _ => Object::new(),
        };
        add_services(&mut document, &version.did);
        let deactivated = version.parameters.deactivated();
        Resolution { document: Json::Object(document), metadata: self.metadata(version), deactivated }
    }

    /// What did:webvh 1.0 says that a resolver returns; `updated` is that of the version, as DID Resolution has it.
    fn metadata(&self, version: &Version) -> Json {
        let time = |time: &VersionTime| Json::from(time.as_str());
        let parameters = &version.parameters;
        let newest = &self.newest().parameters;
        let number = u32::try_from(super::entry::number(version)).unwrap_or(u32::MAX);
        let first = self.versions.first().map_or(&version.time, |first| &first.time);
        let texts = |texts: &[String]| Json::Array(texts.iter().map(|text| Json::from(text.as_str())).collect());
        let mut metadata = Object::from_iter([
            ("versionId", Json::from(version.id.as_str())),
            ("versionNumber", Json::from(number)),
            ("versionTime", time(&version.time)),
            ("created", time(first)),
            ("updated", time(&version.time)),
            ("scid", Json::from(parameters.scid())),
            ("portable", Json::from(parameters.portable())),
            ("deactivated", Json::from(parameters.deactivated())),
            // DID Resolution knows no numbers in metadata of methods.
            ("ttl", Json::from(parameters.ttl().to_string())),
        ]);
        if let Some(witnesses) = newest.witness() {
            let mut witness = witnesses.to_json().as_object().cloned().unwrap_or_default();
            witness.insert("threshold", Json::from(witnesses.threshold.to_string()));
            metadata.insert("witness", Json::Object(witness));
        }
        if !newest.watchers().is_empty() {
            metadata.insert("watchers", texts(newest.watchers()));
        }
        let others: Vec<&str> = self.dids().into_iter().filter(|did| *did != version.did).collect();
        if !others.is_empty() {
            metadata.insert("equivalentId", Json::Array(others.into_iter().map(Json::from).collect()));
        }
        Json::Object(metadata)
    }
}

/// Adds `#files` and `#whois` where the document does not have them itself.
fn add_services(document: &mut Object, did: &str) {
    let Some(base) = WebvhDid::parse(did).map(|did| did.base_url()) else { return };
    let mut services = match document.remove("service") {
        Some(Json::Array(services)) => services,
        Some(service) => vec![service],
        None => Vec::new(),
    };
    let has = |services: &[Json], id: &str| {
        let is = |service: &Json| {
            service.get("id").and_then(Json::as_str).is_some_and(|found| found.strip_prefix(did).unwrap_or(found) == id)
        };
        services.iter().any(is)
    };
    if !has(&services, "#files") {
        services.push(Json::Object(Object::from_iter([
            ("id", Json::from("#files")),
            ("type", Json::from("relativeRef")),
            ("serviceEndpoint", Json::from(base.as_str())),
        ])));
    }
    if !has(&services, "#whois") {
        services.push(Json::Object(Object::from_iter([
            ("@context", Json::from("https://identity.foundation/linked-vp/contexts/v1")),
            ("id", Json::from("#whois")),
            ("type", Json::from("LinkedVerifiablePresentation")),
            ("serviceEndpoint", Json::from(format!("{base}/whois.vp"))),
        ])));
    }
    document.insert("service", Json::Array(services));
}
