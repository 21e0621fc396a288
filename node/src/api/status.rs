//! `GET /v1/health`, `/v1/status`, `/v1/peers`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use standfast_protocol::freshness::{self, Ages, Speaker, Statement};
use standfast_protocol::register::state::Register;
use standfast_protocol::replica::Replica;
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
    answer::document(StatusCode::OK, &status_document(&shared.handle.replica(), Some(&shared.handle), now))
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
pub fn status_document(replica: &Replica, node: Option<&NodeHandle>, now: u64) -> Value {
    let charter = replica.charter();
    let ages: Vec<(&Register, Ages)> =
        replica.registers().values().map(|register| (&**register, ages(replica, register, now))).collect();
    let newest_charter = ages.iter().map(|(_, ages)| ages).find_map(|ages| ages.age(ages.charter));
    let registers: Vec<Value> =
        ages.iter().map(|(register, ages)| register_document(replica, register, ages)).collect();
    let forks: Vec<&str> =
        ages.iter().filter(|(register, _)| register.is_forked()).map(|(register, _)| register.origin()).collect();
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
            "version": charter.version(), "expires_at": at(charter.document().expires_at), "age_s": newest_charter,
        },
        "node": {
            "running": node.is_some(),
            "since_at": node.map(|node| node.about().since.to_string()),
            "peer": node.map(|node| node.about().peer.clone()),
            "peers": peers.as_ref().map(|peers| peers.len()),
            "witnesses_in_reach": in_reach.count(),
            "witnesses_named": replica.quorum().witnesses().len(),
        },
        "clock": {"device_at": at(now), "bound_at": replica.clock_bound().map(at)},
        "ready_until_at": null,
        "registers": registers,
        "forks": forks,
        "peers": peers.map(|peers| peers.iter().map(peer).collect::<Vec<_>>()),
    })
}

fn register_document(replica: &Replica, register: &Register, ages: &Ages) -> Value {
    let newest_signed = register.newest_head().map(|head| head.checkpoint().size);
    let state = if register.is_forked() {
        "forked"
    } else if register.frozen().is_some() {
        "frozen"
    } else if newest_signed.is_some_and(|size| size > register.size_newest()) {
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
        "witnesses": register.witnessed_stand().map_or(0, |stand| stand.cosignatures().len()),
        "witnessed_age_s": ages.age(ages.witnessed),
        "published_age_s": ages.age(ages.published),
        "bodies_missing": missing,
    })
}

/// The ages of one register under the keys that are bound to it.
fn ages(replica: &Replica, register: &Register, now: u64) -> Ages {
    let admitting = replica.admitting();
    let witnessed = (register.size_witnessed(), register.root_at(register.size_witnessed()));
    let charter = (replica.charter().version(), replica.charter().digest());
    let mut statements: Vec<Statement<'_>> = Vec::new();
    for (witness, slots) in replica.views() {
        for held in slots.iter().filter(|_| admitting.contains(witness)) {
            let view = held.view();
            let leaf = held.frontier.get(register.origin());
            statements.push(Statement {
                speaker: Speaker::Witness(witness),
                time: view.time,
                at_w: leaf.is_some_and(|leaf| (leaf.size, Some(leaf.root)) == witnessed),
                names_charter: (view.charter_version, view.charter_digest) == charter,
                on_chain: leaf.is_some_and(|leaf| register.root_at(leaf.size) == Some(leaf.root)),
            });
        }
    }
    for cosignature in register.stands_from(0).flat_map(|stand| stand.cosignatures()) {
        let checkpoint = cosignature.checkpoint();
        if admitting.contains(cosignature.witness()) {
            statements.push(Statement {
                speaker: Speaker::Witness(cosignature.witness()),
                time: cosignature.time(),
                at_w: (checkpoint.size, Some(checkpoint.root)) == witnessed,
                names_charter: false,
                on_chain: true,
            });
        }
    }
    let published = replica.timestamps().get(register.origin());
    statements.extend(published.into_iter().flat_map(|slots| slots.iter()).map(|timestamp| Statement {
        speaker: Speaker::Publisher,
        time: timestamp.time(),
        at_w: false,
        names_charter: false,
        on_chain: true,
    }));
    freshness::ages(replica.quorum(), now, &statements)
}
