//! The witness's door: `add-checkpoint` over HTTP (C2SP tlog-witness; `specs/witness.md` §5).
//!
//! ```text
//! POST /witness/add-checkpoint    on the API
//! POST /add-checkpoint            on a listener of its own, where the configuration names one
//! ```
//!
//! It is open to anybody who reaches it: what counts is the signature on the checkpoint. The machine decides; here
//! bytes become a request, and a decision becomes a status code. Nothing is ever fetched from whoever asks.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use standfast_protocol::limits;
use standfast_protocol::log::checkpoint::SignedHead;
use standfast_protocol::log::witness::AddCheckpoint;
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::sync::{DoorAnswer, DoorRequest};
use tokio::sync::Semaphore;

use crate::error::NodeError;
use crate::run::NodeHandle;

/// The path on the API.
pub(crate) const API_PATH: &str = "/witness/add-checkpoint";
/// The path on a listener of its own.
const OWN_PATH: &str = "/add-checkpoint";
/// Requests at one time; each waits for the disk.
const AT_ONCE_MAX: usize = 32;
/// Time for a request to come, and for its answer to be durable.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Seconds after which somebody who found it busy may ask again.
const BUSY_RETRY_S: u64 = 1;
/// The media type of a size (C2SP tlog-witness).
const SIZE_TYPE: &str = "text/x.tlog.size";

struct Door {
    handle: NodeHandle,
    at_once: Semaphore,
}

/// Returns the route for the API.
pub(crate) fn on_api(handle: NodeHandle) -> Router {
    router(API_PATH, handle)
}

/// Returns the routes of a listener of its own.
pub(crate) fn alone(handle: NodeHandle) -> Router {
    router(OWN_PATH, handle)
}

fn router(path: &str, handle: NodeHandle) -> Router {
    let door = Door { handle, at_once: Semaphore::new(AT_ONCE_MAX) };
    Router::new()
        .route(path, post(add_checkpoint))
        .layer(DefaultBodyLimit::max(limits::ADD_CHECKPOINT_SIZE_MAX))
        .with_state(Arc::new(door))
}

async fn add_checkpoint(State(door): State<Arc<Door>>, request: Request) -> Response {
    let Ok(_permit) = door.at_once.try_acquire() else { return later("too much is under way", BUSY_RETRY_S) };
    let body = match tokio::time::timeout(READ_TIMEOUT, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(rejection)) => return say(rejection.status(), &rejection.body_text()),
        Err(_) => return say(StatusCode::REQUEST_TIMEOUT, "expected the request within 10 s"),
    };
    let snapshot = door.handle.snapshot();
    // It may carry as many signatures as a note holds.
    let read = tokio::task::spawn_blocking(move || read(&body, &snapshot));
    let request = match read.await {
        Ok(Ok(request)) => request,
        Ok(Err((status, why))) => return say(status, &why),
        Err(_) => return say(StatusCode::INTERNAL_SERVER_ERROR, "reading the request came to nothing"),
    };
    match tokio::time::timeout(ANSWER_TIMEOUT, door.handle.add_checkpoint(request)).await {
        Ok(Ok(answer)) => answered(answer),
        Ok(Err(NodeError::Submit(_) | NodeError::Stopping)) => later("too much is under way", BUSY_RETRY_S),
        Ok(Err(error)) => say(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(_) => later("the disk takes its time", BUSY_RETRY_S),
    }
}

/// Reads a request, and checks that a key bound to its register has signed the checkpoint.
fn read(body: &[u8], snapshot: &Snapshot) -> Result<DoorRequest, (StatusCode, String)> {
    let request = AddCheckpoint::parse(body).map_err(|error| (StatusCode::BAD_REQUEST, told(&error)))?;
    let AddCheckpoint { old, proof, note, checkpoint } = request;
    let bound = snapshot.replica().bound().get(&checkpoint.origin);
    let bound = bound.ok_or_else(|| (StatusCode::NOT_FOUND, format!("no register {} is known", checkpoint.origin)))?;
    let head = SignedHead::authenticate(note, &checkpoint.origin, &bound.keys)
        .map_err(|error| (StatusCode::FORBIDDEN, told(&error)))?;
    Ok(DoorRequest { head, old, proof })
}

fn answered(answer: DoorAnswer) -> Response {
    match answer {
        DoorAnswer::Cosigned(line) => say(StatusCode::OK, line.to_string().trim_end()),
        DoorAnswer::Refused(why) => say(StatusCode::FORBIDDEN, why),
        DoorAnswer::Unknown => say(StatusCode::NOT_FOUND, "no such register is known to a witness here"),
        DoorAnswer::Conflict(size) => {
            (StatusCode::CONFLICT, [(header::CONTENT_TYPE, SIZE_TYPE)], format!("{size}\n")).into_response()
        }
        DoorAnswer::BadProof => {
            say(StatusCode::UNPROCESSABLE_ENTITY, "the consistency proof does not hold from the old size")
        }
        DoorAnswer::NotYet(why, after_s) => later(why, after_s),
    }
}

/// One line of text.
fn say(status: StatusCode, text: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{text}\n")).into_response()
}

fn later(why: &str, after_s: u64) -> Response {
    let mut response = say(StatusCode::SERVICE_UNAVAILABLE, why);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after_s));
    response
}

fn told(error: &dyn std::error::Error) -> String {
    crate::driver::chain(error)
}
