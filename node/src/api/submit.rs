//! `POST /v1/submit` and `/v1/publish`: a bundle, or an envelope. `POST /v1/charter/choice`: a charter's note.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use standfast_protocol::bundle::{self, Bundle};
use standfast_protocol::limits;
use standfast_protocol::sync::Submission;

use super::{App, answer, envelope};

/// Time for the whole of a submission to come: whoever is slower would keep others from handing theirs in.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Takes a submission; answers once all that was new of it is durable.
///
/// The body is read under the permit: before it, any number of large ones could lie in memory at one time.
pub(super) async fn submit(State(shared): App, request: Request) -> Response {
    let Ok(_permit) = shared.heavy.try_acquire() else { return answer::busy() };
    let body = match tokio::time::timeout(READ_TIMEOUT, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(rejection)) => return answer::refusal(rejection.status(), "usage", 2, &rejection.body_text(), &[]),
        Err(_) => {
            let message = "expected the submission within 60 s";
            return answer::refusal(StatusCode::REQUEST_TIMEOUT, "usage", 2, message, &[]);
        }
    };
    let snapshot = shared.handle.snapshot();
    // A bundle is opened, which checks every signature in it: not on this thread.
    let read = tokio::task::spawn_blocking(move || {
        if body.starts_with(bundle::MAGIC) {
            let submission = Bundle::decode(&body).and_then(|bundle| bundle.submission(snapshot.replica()));
            submission.map_err(|error| Box::new(bundle_refusal(&error)))
        } else {
            envelope::decode(&body).map_err(|error| Box::new(answer::malformed(&error)))
        }
    });
    let submission: Submission = match read.await {
        Ok(Ok(submission)) => submission,
        Ok(Err(refusal)) => return *refusal,
        Err(_) => {
            let message = "reading the submission came to nothing";
            return answer::refusal(StatusCode::INTERNAL_SERVER_ERROR, "node-failed", 5, message, &[]);
        }
    };
    handed_over(&shared, submission).await
}

/// Takes the charter that the operator chooses, as its note; answers once the choice is durable.
pub(super) async fn choose(State(shared): App, note: Bytes) -> Response {
    if note.len() > limits::NOTE_SIZE_MAX {
        let message = format!("expected a charter's note of at most {} bytes", limits::NOTE_SIZE_MAX);
        return answer::refusal(StatusCode::PAYLOAD_TOO_LARGE, "usage", 2, &message, &[]);
    }
    handed_over(&shared, Submission { choice: Some(note), ..Submission::default() }).await
}

async fn handed_over(shared: &super::Shared, submission: Submission) -> Response {
    match shared.handle.submit(submission).await {
        Ok(changed) => {
            let document = json!({"kind": "standfast/submitted/v1", "changed": changed});
            answer::document(StatusCode::OK, &document)
        }
        Err(error) => answer::not_taken(&error),
    }
}

fn bundle_refusal(error: &bundle::BundleError) -> Response {
    if error.is_tampering() {
        let causes: Vec<String> = std::error::Error::source(error).map(ToString::to_string).into_iter().collect();
        return answer::refusal(StatusCode::CONFLICT, "bundle-altered", 4, &error.to_string(), &causes);
    }
    match error {
        bundle::BundleError::OtherNetwork { .. } => {
            answer::refusal(StatusCode::CONFLICT, "other-network", 1, &error.to_string(), &[])
        }
        _ => answer::malformed(error),
    }
}
