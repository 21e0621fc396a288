//! `GET /1.0/identifiers/{did}`: DID Resolution 1.0 over HTTP, from what is held.
//!
//! `did:key` and `did:jwk` resolve from themselves; `did:web` from the register that the charter or a trust entry binds to
//! the DID, and from no other: anybody may publish a document under another's name. `did:webvh` is verified by its own
//! log, so that every copy held counts; `?versionId=`, `?versionTime=` and `?versionNumber=` ask for an older version.

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use standfast_protocol::did::webvh::resolve::{ResolveError, Wanted};
use standfast_protocol::did::{DidDocument, Relationship, is_did, resolve_from_itself};
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::replica::Replica;
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::snapshot::webvh::WebvhError;
use standfast_protocol::time::Time;

use super::App;
use crate::replay::now_ms;

const RESOLUTION: &str = "application/did-resolution";
const DOCUMENT: &str = "application/did";

/// What becomes of a resolution.
enum Resolved {
    Document(Value, Value),
    Deactivated(Value, Value),
    Error(StatusCode, &'static str, String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Resolution,
    Document,
}

/// Resolves a DID.
pub(super) async fn resolve(
    State(shared): App,
    Path(did): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Some(form) = wanted(&headers) else {
        let detail = format!("expected Accept to allow {RESOLUTION} or {DOCUMENT}");
        return respond(
            Form::Resolution,
            Resolved::Error(StatusCode::NOT_ACCEPTABLE, "REPRESENTATION_NOT_SUPPORTED", detail),
        );
    };
    let (snapshot, query) = (shared.handle.snapshot(), query.unwrap_or_default());
    // Nobody closes the semaphore. A log that was not looked at yet is verified here.
    let Ok(_permit) = shared.verifying.acquire().await else { return super::answer::busy() };
    let now = Time::from_secs_saturating(now_ms() / 1000);
    let resolve = move || with_age(resolve_in(&snapshot, &did, &query, now), &snapshot, now.secs());
    let resolved = tokio::task::spawn_blocking(resolve).await;
    let failed = |_| {
        let detail = "resolving came to nothing".to_owned();
        Resolved::Error(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", detail)
    };
    respond(form, resolved.unwrap_or_else(failed))
}

/// The first form that the client can read: all that is known of the resolution, unless only documents are asked for.
fn wanted(headers: &HeaderMap) -> Option<Form> {
    let Some(accept) = headers.get(header::ACCEPT) else { return Some(Form::Resolution) };
    accept.to_str().ok()?.split(',').find_map(|range| {
        let kind = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            RESOLUTION | "*/*" | "application/*" | "application/json" => Some(Form::Resolution),
            "application/ld+json" if range.contains("did-resolution") => Some(Form::Resolution),
            DOCUMENT | "application/did+json" | "application/did+ld+json" | "application/ld+json" => {
                Some(Form::Document)
            }
            _ => None,
        }
    })
}

fn resolve_in(snapshot: &Snapshot, did: &str, query: &str, now: Time) -> Resolved {
    if !is_did(did) {
        let detail = "expected a DID such as did:web:example.org".to_owned();
        return Resolved::Error(StatusCode::BAD_REQUEST, "INVALID_DID", detail);
    }
    match resolve_from_itself(did) {
        Some(Ok(document)) => return Resolved::Document(json_of(&document), json!({})),
        Some(Err(error)) => return Resolved::Error(StatusCode::BAD_REQUEST, "INVALID_DID", error.to_string()),
        None => {}
    }
    if !did.starts_with("did:web:") && !did.starts_with("did:webvh:") {
        let detail = "expected did:key, did:jwk, did:web or did:webvh".to_owned();
        return Resolved::Error(StatusCode::NOT_IMPLEMENTED, "METHOD_NOT_SUPPORTED", detail);
    }
    if did.starts_with("did:webvh:") {
        return from_log(snapshot, did, query, now);
    }
    held(snapshot.replica(), did).unwrap_or_else(|| {
        let detail = "no document of this DID is held in a register that is bound to it".to_owned();
        Resolved::Error(StatusCode::NOT_FOUND, "NOT_FOUND", detail)
    })
}

/// Says how old the register is from which a document was read: when a quorum last stood there, and its owner spoke.
fn with_age(mut resolved: Resolved, snapshot: &Snapshot, now: u64) -> Resolved {
    if let Resolved::Document(_, metadata) | Resolved::Deactivated(_, metadata) = &mut resolved
        && let Some(ages) = metadata["register"].as_str().and_then(|origin| snapshot.ages(origin, now))
    {
        let at = |time: Option<u64>| time.map(|time| Time::from_secs_saturating(time).to_string());
        metadata["witnessed_at"] = json!(at(ages.witnessed));
        metadata["witnessed_age_s"] = json!(ages.age(ages.witnessed));
        metadata["published_at"] = json!(at(ages.published));
        metadata["published_age_s"] = json!(ages.age(ages.published));
    }
    resolved
}

fn from_log(snapshot: &Snapshot, did: &str, query: &str, now: Time) -> Resolved {
    let refused = |status, code, error: &dyn std::error::Error| {
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        let detail = causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"));
        Resolved::Error(status, code, detail)
    };
    let wanted = match Wanted::parse(query) {
        Ok(wanted) => wanted,
        Err(error) => return refused(StatusCode::BAD_REQUEST, "INVALID_DID_URL", &error),
    };
    let (resolved, copy) = match snapshot.resolve_webvh(did, &wanted, now) {
        Ok(resolved) => resolved,
        Err(error @ (WebvhError::NotHeld | WebvhError::Log(ResolveError::NotFound))) => {
            return refused(StatusCode::NOT_FOUND, "NOT_FOUND", &error);
        }
        Err(error @ WebvhError::Forked) => {
            return refused(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", &error);
        }
        Err(error @ WebvhError::Log(_)) => return refused(StatusCode::BAD_REQUEST, "INVALID_DID", &error),
    };
    let read = |json: String| serde_json::from_str::<Value>(&json).unwrap_or_default();
    let (document, mut metadata) = (read(resolved.document.to_string()), read(resolved.metadata.to_string()));
    let standing = snapshot.webvh(did);
    metadata["record"] = json!(copy.key.as_str());
    metadata["register"] = json!(copy.origin);
    metadata["sha256"] = json!(copy.digest().to_string());
    metadata["forked"] = json!(standing.is_forked());
    if let Some(held) = snapshot.held(&copy.origin) {
        metadata["size_witnessed"] = json!(held.register().size_witnessed());
    }
    if resolved.deactivated {
        return Resolved::Deactivated(document, metadata);
    }
    Resolved::Document(document, metadata)
}

fn held(replica: &Replica, did: &str) -> Option<Resolved> {
    let key = RecordKey::did(did).ok()?;
    let own = replica.bound().iter().filter(|(_, bound)| bound.entity == did);
    for register in own.filter_map(|(origin, _)| replica.register(origin)) {
        let Some(digest) = register.state_witnessed().get(key.as_str().as_bytes()) else { continue };
        let metadata = json!({
            "register": register.origin(), "record": key.as_str(), "sha256": digest.to_string(),
            "size_witnessed": register.size_witnessed(), "forked": register.is_forked(),
            "deactivated": register.state_newest().get(key.as_str().as_bytes()).is_none(),
        });
        // A withdrawal counts at once.
        if metadata.get("deactivated") == Some(&Value::Bool(true)) {
            return Some(Resolved::Deactivated(Value::Null, metadata));
        }
        let body = replica.bodies().get(&digest)?;
        let document = serde_json::from_slice::<Value>(body.body()).ok()?;
        return Some(Resolved::Document(document, metadata));
    }
    None
}

/// Writes the document of a DID that holds its own key.
fn json_of(document: &DidDocument) -> Value {
    let did = document.id();
    let methods: Vec<Value> = document
        .methods()
        .iter()
        .map(|method| {
            json!({
                "id": method.id, "type": "Multikey", "controller": method.controller,
                "publicKeyMultibase": method.key.map(|key| key.to_multikey()),
            })
        })
        .collect();
    let under = |purpose: Relationship| {
        let listed = |m: &&standfast_protocol::did::VerificationMethod| document.method_for(&m.id, purpose).is_ok();
        document.methods().iter().filter(listed).map(|m| m.id.clone()).collect::<Vec<_>>()
    };
    json!({
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
        "id": did, "verificationMethod": methods,
        "authentication": under(Relationship::Authentication),
        "assertionMethod": under(Relationship::AssertionMethod),
    })
}

fn respond(form: Form, resolved: Resolved) -> Response {
    let (status, document, metadata, error) = match resolved {
        Resolved::Document(document, metadata) => (StatusCode::OK, document, metadata, None),
        Resolved::Deactivated(document, metadata) => (StatusCode::GONE, document, metadata, None),
        Resolved::Error(status, code, detail) => (status, Value::Null, json!({}), Some((code, detail))),
    };
    if form == Form::Document && status == StatusCode::OK {
        return ([(header::CONTENT_TYPE, DOCUMENT)], document.to_string()).into_response();
    }
    let resolution = match error {
        None => json!({"contentType": DOCUMENT}),
        Some((code, detail)) => {
            let problem = format!("https://www.w3.org/ns/did#{code}");
            json!({"error": {"type": problem, "title": code, "detail": detail}})
        }
    };
    let whole = json!({
        "didDocument": document, "didResolutionMetadata": resolution, "didDocumentMetadata": metadata
    });
    (status, [(header::CONTENT_TYPE, RESOLUTION)], whole.to_string()).into_response()
}
