//! The node's HTTP API: on this machine alone unless told otherwise.
//!
//! ```text
//! GET  /v1/health                              GET  /v1/status
//! GET  /v1/peers                               GET  /v1/snapshot                    the bundle
//! GET  /v1/fence/{origin}                      what is known of the newest head of a register
//! POST /v1/submit                              a bundle or an envelope
//! POST /v1/publish                             an envelope
//! GET  /v1/records/{register}/{record}         GET  /1.0/identifiers/{did}          DID Resolution 1.0
//! POST /v1/verify?policy=NAME                  a credential
//! POST /witness/add-checkpoint                 of a node that is a witness: C2SP tlog-witness
//! GET  /v1/registers/{origin}/{file}           checkpoint, tiles, bodies (C2SP tlog-tiles)
//! POST /authorization                          POST /recognition                    ToIP TRQP v2
//! ```
//!
//! A web page that is open in a browser on this machine must not reach it: requests name this machine as their host
//! (against DNS rebinding), and a POST carries a header or a content type that no page may send without asking first. Only
//! TRQP is asked without our header: it changes nothing, and wants the content type `application/json`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::error::NodeError;
use crate::run::NodeHandle;
use crate::witness;

mod answer;
mod did;
pub mod envelope;
mod fence;
mod records;
mod status;
mod submit;
mod tiles;
mod trqp;
mod verify;

pub use status::status_document;

/// Bytes in a submission: a bundle may be all that a federation has.
pub const SUBMISSION_SIZE_MAX: usize = 256 * 1024 * 1024;
/// Bytes in any other body.
const BODY_SIZE_MAX: usize = 4 * 1024 * 1024;
/// Submissions and snapshots at one time, and verifications: each may be large, or keep a core busy.
const HEAVY_MAX: usize = 2;
/// The header that a write carries unless it is CBOR.
pub const WRITE_HEADER: &str = "x-standfast";

/// Questions of ToIP TRQP v2, whose clients do not send that header; they change nothing.
const TRQP: [&str; 2] = ["/authorization", "/recognition"];

/// What handlers share.
struct Shared {
    handle: NodeHandle,
    /// For submissions and snapshots.
    heavy: Semaphore,
    verifying: Semaphore,
    loopback_only: bool,
}

type App = State<Arc<Shared>>;

/// A served API.
pub(crate) struct ApiServer {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl ApiServer {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests and waits a moment for those under way.
    pub(crate) async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // Without a receiver the task has ended already.
            let _ = stop.send(());
        }
        if tokio::time::timeout(std::time::Duration::from_secs(2), &mut self.task).await.is_err() {
            tracing::warn!("requests to the API were cut off");
        }
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens and serves.
pub(crate) async fn serve(handle: NodeHandle, config: &Config) -> Result<ApiServer, NodeError> {
    let listener = bind(config.api.listen).await?;
    let address = listener.1;
    let door = config.witness.key.is_some().then(|| witness::on_api(handle.clone()));
    let shared = Shared {
        handle,
        heavy: Semaphore::new(HEAVY_MAX),
        verifying: Semaphore::new(HEAVY_MAX),
        loopback_only: address.ip().is_loopback(),
    };
    Ok(start(listener, router(Arc::new(shared), door)))
}

/// Listens for checkpoints to be cosigned, and serves nothing else.
pub(crate) async fn serve_witness(handle: NodeHandle, wanted: SocketAddr) -> Result<ApiServer, NodeError> {
    let listener = bind(wanted).await?;
    let mut router = witness::alone(handle);
    if listener.1.ip().is_loopback() {
        router = router.layer(middleware::from_fn(only_here));
    }
    Ok(start(listener, router))
}

async fn bind(wanted: SocketAddr) -> Result<(TcpListener, SocketAddr), NodeError> {
    let api_error = |source| NodeError::Api { address: wanted, source };
    let listener = TcpListener::bind(wanted).await.map_err(api_error)?;
    let address = listener.local_addr().map_err(api_error)?;
    Ok((listener, address))
}

fn start((listener, address): (TcpListener, SocketAddr), router: Router) -> ApiServer {
    let (stop, stopped) = oneshot::channel::<()>();
    let served = axum::serve(listener, router).with_graceful_shutdown(async {
        // Told, or the node is gone.
        let _ = stopped.await;
    });
    let task = tokio::spawn(async move {
        if let Err(error) = served.await {
            tracing::error!(%error, "the API has ended");
        }
    });
    ApiServer { address, stop: Some(stop), task }
}

fn router(shared: Arc<Shared>, door: Option<Router>) -> Router {
    let submissions = Router::new()
        .route("/v1/submit", post(submit::submit))
        .route("/v1/publish", post(submit::submit))
        .route("/v1/charter/choice", post(submit::choose))
        .layer(DefaultBodyLimit::max(SUBMISSION_SIZE_MAX))
        .layer(middleware::from_fn_with_state(SUBMISSION_SIZE_MAX, announced));
    Router::new()
        .route("/v1/health", get(status::health))
        .route("/v1/status", get(status::status))
        .route("/v1/peers", get(status::peers))
        .route("/v1/snapshot", get(records::snapshot))
        .route("/v1/fence/{*origin}", get(fence::fence))
        .route("/v1/records/{register}/{*record}", get(records::record))
        .route("/v1/registers/{*path}", get(tiles::file))
        .route("/1.0/identifiers/{did}", get(did::resolve))
        .route("/v1/verify", post(verify::verify))
        .route(TRQP[0], post(trqp::authorization))
        .route(TRQP[1], post(trqp::recognition))
        .layer(DefaultBodyLimit::max(BODY_SIZE_MAX))
        .layer(middleware::from_fn_with_state(BODY_SIZE_MAX, announced))
        .merge(submissions)
        .fallback(not_there)
        .with_state(shared.clone())
        .merge(door.unwrap_or_default())
        .layer(middleware::from_fn_with_state(shared, guard))
}

async fn not_there() -> Response {
    answer::refusal(StatusCode::NOT_FOUND, "usage", 2, "there is nothing at this address", &[])
}

/// Refuses a body that is announced too large, before any of it is read.
async fn announced(State(size_max): State<usize>, request: Request<Body>, next: Next) -> Response {
    let size = request.body().size_hint().lower();
    if size > size_max as u64 {
        let message = format!("expected a body of at most {size_max} bytes, {size} were announced");
        return answer::refusal(StatusCode::PAYLOAD_TOO_LARGE, "usage", 2, &message, &[]);
    }
    next.run(request).await
}

/// Refuses what a page in a browser could have been made to send.
async fn guard(State(shared): App, request: Request<Body>, next: Next) -> Response {
    if shared.loopback_only && !host_is_here(request.headers(), request.uri()) {
        let message = "expected a request whose Host names this machine";
        return answer::refusal(StatusCode::FORBIDDEN, "usage", 2, message, &[]);
    }
    let reads = [Method::GET, Method::HEAD].contains(request.method()) || TRQP.contains(&request.uri().path());
    // C2SP's clients know nothing of our header, and a page that asks for a cosignature gains nothing by it.
    let is_open = request.uri().path() == witness::API_PATH;
    if !reads && !is_open && !is_deliberate(request.headers()) {
        let message = "expected the header X-Standfast: 1, or the content type application/cbor";
        return answer::refusal(StatusCode::FORBIDDEN, "usage", 2, message, &[]);
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    // What is held changes; only a handler that knows better says so.
    headers.entry(header::CACHE_CONTROL).or_insert(header::HeaderValue::from_static("no-store"));
    response.into_response()
}

/// Refuses requests that name another host.
async fn only_here(request: Request<Body>, next: Next) -> Response {
    if !host_is_here(request.headers(), request.uri()) {
        let message = "expected a request whose Host names this machine";
        return answer::refusal(StatusCode::FORBIDDEN, "usage", 2, message, &[]);
    }
    next.run(request).await
}

fn host_is_here(headers: &HeaderMap, uri: &Uri) -> bool {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(authority) = named.or_else(|| uri.authority().map(|a| a.as_str())) else { return false };
    let Ok(authority) = authority.parse::<axum::http::uri::Authority>() else { return false };
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn is_deliberate(headers: &HeaderMap) -> bool {
    let cbor = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == b"application/cbor");
    cbor || headers.get(WRITE_HEADER).is_some_and(|value| value.as_bytes() == b"1")
}
