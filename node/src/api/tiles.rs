//! `GET /v1/registers/{origin}/…`: a register as C2SP tlog-tiles serves a log, and what a mirror needs beside it.
//!
//! ```text
//! /v1/registers/transport.gov.example/register/8d3f…/checkpoint
//! /v1/registers/transport.gov.example/register/8d3f…/tile/entries/000.p/42
//! ```
//!
//! The origin stands in the path as it is, so `http://HOST/v1/registers/<origin>` is the log's prefix.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use standfast_protocol::proof::RecordProof;
use standfast_protocol::register::mirror::{
    BINDING, BINDING_PROOF, CHECKPOINT, FORK, File, Mirror, NotThere, WITNESSED,
};
use standfast_protocol::replica::Replica;

use super::{App, answer};

/// How long a file that never changes may be kept: a year.
const FINAL: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// How long one that changes may be kept.
const CHANGING: HeaderValue = HeaderValue::from_static("no-cache");

/// Answers a file of a register.
pub(super) async fn file(State(shared): App, Path(path): Path<String>) -> Response {
    let Some((origin, file)) = split(&path) else {
        let message = "expected an origin and a file of the register, such as checkpoint";
        return answer::refusal(StatusCode::NOT_FOUND, "usage", 2, message, &[]);
    };
    let snapshot = shared.handle.snapshot();
    let replica = snapshot.replica();
    let Some(register) = replica.register(origin) else {
        let message = format!("no register {origin} is held here");
        return answer::refusal(StatusCode::NOT_FOUND, "register-missing", 3, &message, &[]);
    };
    let found = match file {
        BINDING_PROOF => {
            // It looks at every register above this one.
            let Ok(_permit) = shared.heavy.try_acquire() else { return answer::busy() };
            let (snapshot, origin) = (snapshot.clone(), origin.to_owned());
            let proof = tokio::task::spawn_blocking(move || binding_proof(snapshot.replica(), &origin));
            proof.await.unwrap_or(Err(NotThere::Nothing))
        }
        file => Mirror::new(register, replica.bodies()).read(file),
    };
    match found {
        Ok(found) => respond(file, found),
        Err(error) => {
            let (code, exit) = match error {
                NotThere::BeforeBase(_) => ("register-partial", 3),
                NotThere::Empty | NotThere::Nothing => ("file-missing", 5),
            };
            answer::refusal(StatusCode::NOT_FOUND, code, exit, &error.to_string(), &[])
        }
    }
}

/// Parts a path into origin and file: the last place at which the rest can be a file of a register.
fn split(path: &str) -> Option<(&str, &str)> {
    for file in [CHECKPOINT, WITNESSED, BINDING, BINDING_PROOF, FORK] {
        if let Some(origin) = path.strip_suffix(file).and_then(|rest| rest.strip_suffix('/')) {
            return Some((origin, file));
        }
    }
    let at = ["/tile/", "/body/"].into_iter().filter_map(|folder| path.rfind(folder)).max()?;
    Some((path.get(..at)?, path.get(at + 1..)?))
}

fn binding_proof(replica: &Replica, origin: &str) -> Result<File, NotThere> {
    match RecordProof::of_binding(replica, origin, crate::replay::now_ms() / 1000) {
        Ok(Some(proof)) => Ok(File { bytes: proof.to_text().into(), is_final: false }),
        Ok(None) | Err(_) => Err(NotThere::Nothing),
    }
}

fn respond(path: &str, file: File) -> Response {
    let kind = match path {
        CHECKPOINT | WITNESSED | BINDING_PROOF => "text/plain; charset=utf-8",
        BINDING => "application/json",
        FORK => "application/cbor",
        _ => "application/octet-stream",
    };
    let cache = if file.is_final { FINAL } else { CHANGING };
    let kind = HeaderValue::from_static(kind);
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, cache)], file.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_an_origin_and_a_file() {
        let origin = "a.example/register/0123";
        for file in
            [CHECKPOINT, WITNESSED, BINDING, BINDING_PROOF, FORK, "tile/0/x001/002.p/3", "tile/entries/000", "body/00"]
        {
            assert_eq!(split(&format!("{origin}/{file}")), Some((origin, file)));
        }
        // An origin may itself look like a folder of files.
        assert_eq!(split("a/tile/b/0123/tile/0/000"), Some(("a/tile/b/0123", "tile/0/000")));
        assert_eq!(split("a.example/register/0123"), None);
        assert_eq!(split("checkpoint"), None);
    }
}
