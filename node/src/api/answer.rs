//! Answers: JSON documents, and refusals as `standfast/error/v1` (cli.md §4).

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use standfast_protocol::sync::SubmitError;

use crate::error::NodeError;

/// Answers a document.
pub(super) fn document(status: StatusCode, value: &Value) -> Response {
    let mut text = value.to_string();
    text.push('\n');
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Refuses, with the exit code that the command line ends with.
pub(super) fn refusal(status: StatusCode, code: &str, exit: u8, message: &str, causes: &[String]) -> Response {
    let hints: [&str; 0] = [];
    let error = json!({
        "kind": "standfast/error/v1", "code": code, "exit": exit, "message": message, "causes": causes, "hints": hints
    });
    document(status, &error)
}

/// Refuses what does not read.
pub(super) fn malformed(error: &dyn std::error::Error) -> Response {
    refusal(StatusCode::BAD_REQUEST, "malformed", 2, &error.to_string(), &causes(error))
}

pub(super) fn busy() -> Response {
    refusal(StatusCode::SERVICE_UNAVAILABLE, "busy", 3, "too much is under way", &[])
}

/// Says why a submission was not taken.
pub(super) fn not_taken(error: &NodeError) -> Response {
    let (status, code, exit) = match error {
        NodeError::Submit(error) => match error {
            SubmitError::Unbound(_) => (StatusCode::CONFLICT, "register-unbound", 1),
            SubmitError::Fault(_) => (StatusCode::CONFLICT, "not-authentic", 1),
            SubmitError::NotAdmitted { .. } => (StatusCode::CONFLICT, "not-admitted", 1),
            SubmitError::Charter(_) => (StatusCode::CONFLICT, "charter-refused", 1),
            SubmitError::NotDurable(_) => (StatusCode::INTERNAL_SERVER_ERROR, "not-durable", 5),
            SubmitError::Busy => return busy(),
        },
        NodeError::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "node-stopping", 3),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "node-failed", 5),
    };
    let told: &dyn std::error::Error = match error {
        NodeError::Submit(error) => error,
        other => other,
    };
    refusal(status, code, exit, &told.to_string(), &causes(told))
}

fn causes(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string).collect()
}
