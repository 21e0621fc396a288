//! `GET /v1/fence/{origin}`: what is known of the newest head of a register, for whoever is about to append to it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::{App, answer};
use crate::fence::Heard;

/// Answers at once; whoever wants to wait asks again.
pub(super) async fn fence(State(shared): App, Path(origin): Path<String>) -> Response {
    match shared.handle.fence(&origin).await {
        Ok(Some(report)) => {
            let heard = serde_json::to_value(Heard::of(&origin, &report)).unwrap_or(Value::Null);
            answer::document(StatusCode::OK, &heard)
        }
        Ok(None) => {
            let message = format!("no charter or trust entry held here names the register {origin}");
            answer::refusal(StatusCode::NOT_FOUND, "register-unbound", 1, &message, &[])
        }
        Err(error) => answer::not_taken(&error),
    }
}
