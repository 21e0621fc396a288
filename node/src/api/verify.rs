//! `POST /v1/verify?policy=NAME`: judges one credential by what this node holds.

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use standfast_protocol::policy::Policy;
use standfast_protocol::time::Time;

use super::{App, answer};
use crate::replay::now_ms;

/// What the address says beside the path.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Terms {
    pub(super) policy: Option<String>,
}

/// Answers the verdict; whatever it says, the answer is 200.
pub(super) async fn verify(State(shared): App, Query(terms): Query<Terms>, body: Bytes) -> Response {
    let name = terms.policy.as_deref().unwrap_or("standard");
    let Some(policy) = Policy::built_in(name) else {
        let message = format!("expected a policy of {}, came {name}", Policy::BUILT_IN.join(", "));
        return answer::refusal(StatusCode::BAD_REQUEST, "usage", 2, &message, &[]);
    };
    // Nobody closes the semaphore.
    let Ok(_permit) = shared.verifying.acquire().await else { return answer::busy() };
    let snapshot = shared.handle.snapshot();
    let now = Time::from_secs_saturating(now_ms() / 1000);
    let judged = tokio::task::spawn_blocking(move || {
        serde_json::to_value(standfast_protocol::verify::verify(&body, &snapshot, &policy, now))
    });
    match judged.await {
        Ok(Ok(verdict)) => answer::document(StatusCode::OK, &verdict),
        Ok(Err(_)) | Err(_) => {
            let message = "judging the credential came to nothing";
            answer::refusal(StatusCode::INTERNAL_SERVER_ERROR, "node-failed", 5, message, &[])
        }
    }
}
