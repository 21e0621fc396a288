//! `GET /v1/snapshot` and `GET /v1/records/{register}/{record}`.

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use data_encoding::BASE64;
use serde_json::{Value, json};
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::replica::Replica;

use super::{App, answer};
use crate::replay::snapshot_bytes;

/// Answers all that is held, as a bundle.
pub(super) async fn snapshot(State(shared): App) -> Response {
    let Ok(_permit) = shared.heavy.try_acquire() else { return answer::busy() };
    let snapshot = shared.handle.snapshot();
    match tokio::task::spawn_blocking(move || snapshot_bytes(snapshot.replica())).await {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/vnd.standfast.bundle")], bytes).into_response(),
        Err(_) => {
            let message = "packing what is held came to nothing";
            answer::refusal(StatusCode::INTERNAL_SERVER_ERROR, "node-failed", 5, message, &[])
        }
    }
}

/// Answers a record by the register's origin, or an unambiguous beginning of it, and its key.
pub(super) async fn record(State(shared): App, Path((register, record)): Path<(String, String)>) -> Response {
    let snapshot = shared.handle.snapshot();
    let replica = snapshot.replica();
    let key = match RecordKey::parse(&record) {
        Ok(key) => key,
        Err(error) => return answer::malformed(&error),
    };
    let origins = find(replica, &register);
    let [origin] = origins.as_slice() else {
        let message = match origins.len() {
            0 => format!("no register begins with {register}"),
            _ => format!("{} registers begin with {register}", origins.len()),
        };
        return answer::refusal(StatusCode::NOT_FOUND, "register-missing", 3, &message, &origins);
    };
    match record_document(replica, origin, &key) {
        Some(document) => answer::document(StatusCode::OK, &document),
        None => {
            let message = format!("{origin} has no record {}", key.as_str());
            answer::refusal(StatusCode::NOT_FOUND, "record-missing", 1, &message, &[])
        }
    }
}

/// The origins that begin with a text; the one that is this text, if there is one.
fn find(replica: &Replica, text: &str) -> Vec<String> {
    if replica.registers().contains_key(text) {
        return vec![text.to_owned()];
    }
    let from = (std::ops::Bound::Included(text), std::ops::Bound::Unbounded);
    let after = replica.registers().range::<str, _>(from);
    after.map(|(origin, _)| origin).take_while(|origin| origin.starts_with(text)).take(16).cloned().collect()
}

fn record_document(replica: &Replica, origin: &str, key: &RecordKey) -> Option<Value> {
    let register = replica.register(origin)?;
    let witnessed = register.state_witnessed().get(key.as_str().as_bytes());
    let newest = register.state_newest().get(key.as_str().as_bytes());
    let digest = newest.or(witnessed)?;
    let state = match (witnessed, newest) {
        (_, None) => "withdrawal-pending",
        (Some(a), Some(b)) if a == b => "witnessed",
        (Some(_), Some(_)) => "change-pending",
        (None, Some(_)) => "pending",
    };
    let body = replica.bodies().get(&digest).map(|record| record.body().clone());
    let read = body.as_ref().and_then(|body| serde_json::from_slice::<Value>(body).ok());
    let raw = body.as_ref().filter(|_| read.is_none()).map(|body| BASE64.encode(body));
    Some(json!({
        "kind": "standfast/record/v1", "register": origin, "record": key.as_str(), "state": state,
        "sha256": digest.to_string(), "sha256_witnessed": witnessed.map(|d| d.to_string()),
        "size_newest": register.size_newest(), "size_witnessed": register.size_witnessed(),
        "size_bytes": body.as_ref().map(|body| body.len()), "body": read, "body_base64": raw,
    }))
}
