//! `GET /v1/health`, `/v1/status`, `/v1/peers`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use standfast_protocol::freshness::Ages;
use standfast_protocol::snapshot::{HeldRegister, Snapshot};
use standfast_protocol::time::Time;

use super::{App, answer};
use crate::replay::now_ms;
use crate::run::{ConnectedPeer, NodeHandle};

/// A witness is in reach when its newest view is younger than this: three views, at the pace of design §5.
const WITNESS_REACH_S: u64 = 180;

/// Says that the node answers.
pub(super) async fn health(State(shared): App) -> Response {
    let since = shared.handle.about().since.to_string();
    answer::document(StatusCode::OK, &json!({"kind": "standfast/health/v1", "running": true, "since_at": since}))
}

/// Answers the document of `standfast status`.
pub(super) async fn status(State(shared): App) -> Response {
    let now = now_ms() / 1000;
    answer::document(StatusCode::OK, &status_document(&shared.handle.snapshot(), Some(&shared.handle), now))
}

/// Answers the connected peers.
pub(super) async fn peers(State(shared): App) -> Response {
    let peers: Vec<Value> = shared.handle.peers().iter().map(peer).collect();
    let document = json!({"kind": "standfast/peers/v1", "peer": shared.handle.about().peer, "peers": peers});
    answer::document(StatusCode::OK, &document)
}

fn peer(peer: &ConnectedPeer) -> Value {
    json!({
        "peer": peer.peer, "transport": peer.transport, "address": peer.address, "outbound": peer.outbound,
        "since_at": peer.since.to_string(),
    })
}

/// Returns the `standfast/status/v1` document of what is held at `now` (POSIX seconds), with or without a running node.
pub fn status_document(snapshot: &Snapshot, node: Option<&NodeHandle>, now: u64) -> Value {
    let replica = snapshot.replica();
    let charter = snapshot.charter();
    let charter_ages = snapshot.charter_ages(now);
    let held = || snapshot.registers().iter();
    let registers: Vec<Value> =
        held().filter_map(|(origin, r)| Some(register_document(snapshot, r, &snapshot.ages(origin, now)?))).collect();
    let forks: Vec<&str> = held().filter(|(_, r)| r.register().is_forked()).map(|(o, _)| o.as_str()).collect();
    let named = snapshot.quorum().witnesses().keys();
    let misbehaved: Vec<&String> = named.filter(|name| replica.proof_of_witness(name).is_some()).collect();
    let in_reach = replica
        .views()
        .values()
        .filter(|slots| slots.kept.as_ref().is_some_and(|v| v.view().time.saturating_add(WITNESS_REACH_S) >= now));
    let at = |secs: u64| Time::from_secs_saturating(secs).to_string();
    let peers = node.map(|node| node.peers());
    json!({
        "kind": "standfast/status/v1",
        "network": charter.network_id().to_string(),
        "charter": {
            "version": charter.version(), "digest": charter.digest().to_string(),
            "expires_at": at(charter.document().expires_at), "age_s": charter_ages.age(charter_ages.charter),
            "named_by": snapshot.naming_charter().len(),
            "fork": replica.chain().fork().map(|fork| json!({
                "version": fork.version, "digests": fork.sides.map(|side| side.charter().digest().to_string()),
            })),
        },
        "node": {
            "running": node.is_some(),
            "since_at": node.map(|node| node.about().since.to_string()),
            "peer": node.map(|node| node.about().peer.clone()),
            "peers": peers.as_ref().map(|peers| peers.len()),
            "witnesses_in_reach": in_reach.count(),
            "witnesses_named": snapshot.quorum().witnesses().len(),
        },
        "clock": {"device_at": at(now), "bound_at": snapshot.clock_bound().map(at)},
        "ready_until_at": null,
        "registers": registers,
        "forks": forks,
        "witnesses_misbehaved": misbehaved,
        "peers": peers.map(|peers| peers.iter().map(peer).collect::<Vec<_>>()),
    })
}

fn register_document(snapshot: &Snapshot, held: &HeldRegister, ages: &Ages) -> Value {
    let (replica, register) = (snapshot.replica(), held.register());
    let state = if register.is_forked() {
        "forked"
    } else if register.frozen().is_some() {
        "frozen"
    } else if register.unread().is_some() {
        "upgrade-needed"
    } else {
        "good"
    };
    let origin = register.origin();
    let bound = replica.bound().get(origin);
    let missing = register.bodies_needed().iter().filter(|digest| !replica.bodies().contains(digest)).count();
    json!({
        "origin": origin,
        "entity": bound.map(|bound| bound.entity.clone()),
        "state": state,
        "size_newest": register.size_newest(),
        "size_witnessed": register.size_witnessed(),
        "root": register.root_at(register.size_newest()).map(|root| root.to_string()),
        "witnesses": snapshot.witnesses_at(held).len(),
        "witnessed_age_s": ages.age(ages.witnessed),
        "published_age_s": ages.age(ages.published),
        "bodies_missing": missing,
    })
}
