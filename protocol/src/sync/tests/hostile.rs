//! What a peer can keep from us by how it answers: nothing for longer than it is connected, and no more memory than bounds say.

use super::super::message::{FrontierLeaf, FrontierNode, Request, Response};
use super::*;
use crate::limits;

const CLAIMED: u64 = 1 << 30;

/// Claims a head of a billion entries in every answer; `entries` makes what it answers to the n-th question for them.
fn ask(machine: &mut Machine, peer: &Peer, entries: impl Fn(u64, u64) -> Option<(u64, Vec<Bytes>)>) -> u64 {
    let host = origin("interior.example");
    let root = Digest::of(b"claimed");
    let leaf = FrontierLeaf {
        origin: host.clone(),
        newest: CLAIMED,
        root,
        witnessed: 0,
        fork: None,
        other: 0,
        other_witnessed: 0,
        published: 0,
        signed: [0; 8],
    };
    let mut asked = 0;
    let mut queue = VecDeque::from([Event::Connected(peer.clone())]);
    while let Some(event) = queue.pop_front() {
        for output in machine.handle(event, START_MS) {
            let Output::Request { ticket, data, peer: to } = output else { continue };
            assert_eq!(to, *peer);
            let response = match Request::decode(&data).expect("a request") {
                Request::Entries { first, .. } => {
                    asked += 1;
                    let Some((first, entries)) = entries(asked, first) else { continue };
                    let checkpoint = crate::log::checkpoint::Checkpoint { origin: host.clone(), size: CLAIMED, root };
                    let (own, cosignatures, bodies) = (Vec::new(), Vec::new(), Vec::new());
                    let newest = Box::new(HeadMessage { checkpoint, own, cosignatures, first, entries, bodies });
                    Response::Entries { newest, witnessed: None, timestamp: None }
                }
                Request::Frontier { .. } => Response::Frontier {
                    charter: 1,
                    charter_digest: charter().charter().digest(),
                    forks: Vec::new(),
                    views: Vec::new(),
                    misbehaved: Vec::new(),
                    node: FrontierNode::Leaves(vec![leaf.clone()]),
                },
                other => panic!("{other:?}"),
            };
            let result = Some(Bytes::from(response.encode()));
            queue.push_back(Event::Response { peer: peer.clone(), ticket, result });
        }
    }
    asked
}

#[test]
fn a_peer_that_answers_from_elsewhere_keeps_no_register_from_others() {
    let mut net = Net::new(vec![Duties::none()]);
    let machine = &mut net.node(0).machine;
    let full = || vec![Bytes::from(vec![7; 16 * 1024]); 3];
    let asked = ask(machine, &name(8), |n, first| Some((if n == 1 { first } else { first + 1 }, full())));
    assert_eq!(asked, 2);
    assert_eq!(ask(machine, &name(9), |_, _| None), 1, "another is asked, though the first one stays connected");
}

#[test]
fn tiny_entries_are_no_way_around_the_bound_of_a_catch_up() {
    let mut net = Net::new(vec![Duties::none()]);
    let tiny = || vec![Bytes::from_static(b"x"); 100_000];
    let asked = ask(&mut net.node(0).machine, &name(8), |_, first| Some((first, tiny())));
    assert!(asked <= 3, "{asked} answers of 100,000 entries were kept");
}

#[test]
fn the_rest_of_a_body_is_asked_for_though_the_queue_is_full() {
    let mut net = Net::new(vec![Duties::none()]);
    let (machine, peer) = (&mut net.node(0).machine, name(8));
    drop(machine.handle(Event::Connected(peer.clone()), START_MS));
    let body = |text: &str, offset| Request::Body { digest: Digest::of(text.as_bytes()), offset, base: None };
    for i in 0..2 * limits::REQUESTS_WAITING_MAX {
        machine.peers.want(&peer, body(&i.to_string(), 0));
    }
    let piece = Bytes::from(vec![7; limits::STEP_SIZE_MAX]);
    let response = Response::Body { total: 100_000, is_delta: false, piece };
    machine.answered(&peer, body("large", 0), response, limits::STEP_SIZE_MAX);
    let mut asked = std::iter::from_fn(|| machine.peers.next());
    assert!(asked.any(|(_, request)| request == body("large", limits::STEP_SIZE_MAX as u64)));
}
