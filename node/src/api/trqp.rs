//! `POST /authorization`, `POST /recognition`: ToIP TRQP v2, with a proof that the asker checks offline
//! (`specs/trust.md` §6).
//!
//! They change nothing, and their clients know nothing of our headers: what keeps a page in a browser out is the content
//! type `application/json`, which it cannot send without asking first.

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use standfast_protocol::policy::Policy;
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::time::Time;
use standfast_protocol::trust::path_to;
use standfast_protocol::trust::trqp::{Kind, Question, prove};
use standfast_protocol::verify::{Ruling, answer};

use super::App;
use super::verify::Terms;
use crate::replay::now_ms;

/// Where what is said about a problem stands.
const PROBLEMS: &str = "https://standfast.example/problems/";
/// Seconds after which to ask again what is not known now.
const RETRY_AFTER_S: &str = "60";

/// An answer, or why there is none.
enum Outcome {
    Answer(String),
    Problem(StatusCode, &'static str, String),
}

/// Answers whether an authority lets an entity do something.
pub(super) async fn authorization(app: App, terms: Query<Terms>, headers: HeaderMap, body: Bytes) -> Response {
    ask(Kind::Authorization, app, terms, &headers, body).await
}

/// Answers whether an authority recognises an entity.
pub(super) async fn recognition(app: App, terms: Query<Terms>, headers: HeaderMap, body: Bytes) -> Response {
    ask(Kind::Recognition, app, terms, &headers, body).await
}

async fn ask(kind: Kind, State(shared): App, Query(terms): Query<Terms>, headers: &HeaderMap, body: Bytes) -> Response {
    if !is_json(headers) {
        let detail = "expected the content type application/json".to_owned();
        return respond(Outcome::Problem(StatusCode::BAD_REQUEST, "usage", detail));
    }
    let name = terms.policy.as_deref().unwrap_or("standard");
    let Some(policy) = Policy::built_in(name) else {
        let detail = format!("expected a policy of {}, came {name}", Policy::BUILT_IN.join(", "));
        return respond(Outcome::Problem(StatusCode::BAD_REQUEST, "usage", detail));
    };
    let question = match Question::parse(kind, &body) {
        Ok(question) => question,
        Err(error) => return respond(Outcome::Problem(StatusCode::BAD_REQUEST, "malformed", error.to_string())),
    };
    let busy = || Outcome::Problem(StatusCode::SERVICE_UNAVAILABLE, "busy", "too much is under way".to_owned());
    // Nobody closes the semaphore.
    let Ok(_permit) = shared.verifying.acquire().await else { return respond(busy()) };
    let snapshot = shared.handle.snapshot();
    let now = Time::from_secs_saturating(now_ms() / 1000);
    let judged = tokio::task::spawn_blocking(move || judge(&question, &snapshot, &policy, now));
    respond(judged.await.unwrap_or_else(|_| {
        let detail = "answering came to nothing".to_owned();
        Outcome::Problem(StatusCode::INTERNAL_SERVER_ERROR, "node-failed", detail)
    }))
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

fn judge(question: &Question, snapshot: &Snapshot, policy: &Policy, now: Time) -> Outcome {
    let found = answer(question, snapshot, policy, now);
    let Question { entity, authority, action, resource, .. } = question;
    let (at, now) = (found.at.secs(), now.secs());
    let prove = |path: &_, answer| prove(snapshot.replica(), path, question, answer, at, now);
    let (is_yes, message, proof) = match found.ruling {
        Ruling::Yes(path) => {
            let until = Time::from_secs(path.valid_until);
            let until = until.map_or_else(|| "further notice".to_owned(), |until| until.to_string());
            let does = if question.kind == Kind::Authorization { "permits" } else { "recognizes" };
            let message = format!("{authority} {does} {entity}: {action} {resource}, until {until}");
            (true, message, prove(&path, true))
        }
        Ruling::No(reason) => {
            let anchors = snapshot.charter().anchors();
            let path = path_to(snapshot, anchors, authority, action, &[resource], at).ok();
            (false, reason, path.and_then(|path| prove(&path, false)))
        }
        Ruling::Unknown { code, reason } => {
            return Outcome::Problem(StatusCode::SERVICE_UNAVAILABLE, code.as_str(), reason);
        }
        Ruling::NoAuthority => {
            let detail = format!("nothing that the charter leads to names the authority {authority}");
            return Outcome::Problem(StatusCode::NOT_FOUND, "authority-absent", detail);
        }
    };
    Outcome::Answer(question.answered(is_yes, &message, found.evaluated, proof))
}

fn respond(outcome: Outcome) -> Response {
    match outcome {
        Outcome::Answer(text) => ([(header::CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        Outcome::Problem(status, code, detail) => {
            let title = status.canonical_reason().unwrap_or("error");
            let problem = json!({
                "type": format!("{PROBLEMS}{code}"), "title": title, "status": status.as_u16(), "detail": detail,
            });
            let kind = (header::CONTENT_TYPE, "application/problem+json");
            let text = format!("{problem}\n");
            match status {
                StatusCode::SERVICE_UNAVAILABLE => {
                    (status, [kind, (header::RETRY_AFTER, RETRY_AFTER_S)], text).into_response()
                }
                _ => (status, [kind], text).into_response(),
            }
        }
    }
}
