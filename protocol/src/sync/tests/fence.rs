//! What a publisher's node knows of its own newest head after it was started from an older copy.

use super::*;

fn fence(net: &mut Net) -> FenceReport {
    net.node(3).machine.fence(&origin("interior.example")).expect("it is bound")
}

/// Three entries, of which the publisher's node held one when it was copied. It starts again, alone.
fn restored() -> (Net, Publisher) {
    let mut net = network();
    let mut interior = Publisher::new("interior.example");
    net.submit(3, interior.publish(&[notice("one")])).expect("published");
    net.tick(5);
    let copy = net.node(3).durable.clone();
    for text in ["two", "three"] {
        net.submit(3, interior.publish(&[notice(text)])).expect("published");
    }
    net.tick(5);
    net.node(3).durable = copy;
    net.restart(3, publisher_node("interior.example"));
    (net, interior)
}

#[test]
fn alone_it_knows_nothing_and_among_peers_it_fetches_what_it_lacks() {
    let (mut net, _) = restored();
    let alone = fence(&mut net);
    assert_eq!((alone.size, alone.peers, alone.beyond.clone()), (1, 0, None));
    assert!(!alone.meets_every_quorum && !alone.is_level());
    net.link(3, 4);
    assert!(!fence(&mut net).is_level());
    net.run();
    let caught_up = fence(&mut net);
    assert_eq!((caught_up.size, caught_up.peers, caught_up.peers_answered), (3, 1, 1));
    // Views and cosignatures of before it started are no answers: what a peer repeats proves nothing of now.
    assert!(caught_up.answers.is_empty() && !caught_up.is_level(), "{caught_up:?}");
    net.link_all();
    net.tick(70);
    let level = fence(&mut net);
    assert_eq!(level.answers.iter().map(|answer| answer.size).collect::<Vec<_>>(), [3, 3, 3]);
    assert!(level.is_level(), "{level:?}");
}

#[test]
fn the_answers_must_meet_every_quorum() {
    let (mut net, _) = restored();
    // Two of three are a quorum. With A alone B and C might stand elsewhere; with A and B no quorum is without them.
    net.cut(1);
    net.cut(2);
    net.link(3, 0);
    net.tick(70);
    let one = fence(&mut net);
    assert_eq!((one.answers.len(), one.meets_every_quorum), (1, false), "{one:?}");
    net.link(3, 1);
    net.tick(70);
    let two = fence(&mut net);
    assert_eq!((two.answers.len(), two.is_level()), (2, true), "{two:?}");
}

#[test]
fn a_signed_head_that_cannot_be_fetched_is_more_than_is_held() {
    let (mut net, mut interior) = restored();
    let mut head = interior.head(&[notice("four")]);
    head.entries.clear();
    head.first = head.checkpoint.size;
    head.bodies.clear();
    let gossip = Gossip { topic: Topic::Heads, peer: name(9), message: 1 };
    net.queue.push_back((3, Event::Gossip(gossip, Bytes::from(head.encode()))));
    net.run();
    assert_eq!(fence(&mut net).beyond, Some(Beyond::Signed { size: 4 }));
    net.link_all();
    net.tick(70);
    let all = fence(&mut net);
    assert_eq!((all.size, all.is_level()), (3, false), "nobody else has it either: {all:?}");
}

#[test]
fn a_witness_says_so_without_the_registers_signature() {
    let (mut net, _) = restored();
    // Of the witness only its views come through.
    net.tick(70);
    let view = net.node(0).machine.replica().views().get("A").and_then(|s| s.kept.clone()).expect("a view");
    let message = StatementMessage::View(Bytes::from(view.whole_message().encode()));
    net.submit(3, Submission { statements: vec![message], ..Submission::default() }).expect("taken");
    let beyond = Beyond::Witness { size: 3, witness: "A".to_owned() };
    assert_eq!(fence(&mut net).beyond, Some(beyond));
    net.link_all();
    net.tick(70);
    assert!(fence(&mut net).is_level());
}

#[test]
fn what_we_witness_ourselves_is_no_answer() {
    let mut net = network();
    let mut interior = Publisher::new("interior.example");
    net.submit(0, interior.publish(&[notice("one")])).expect("published");
    (net.nodes[1], net.nodes[2]) = (None, None);
    net.restart(0, witness("A"));
    // A witness signs once a peer has told it what it said before.
    net.link(0, 4);
    net.tick(70);
    let own = net.node(0).machine.fence(&origin("interior.example")).expect("it is bound");
    assert!(net.node(0).machine.replica().views().contains_key("A"));
    assert!(own.answers.is_empty(), "{own:?}");
    assert!(net.node(0).machine.fence(&origin("transport.example")).is_none(), "nobody binds it");
}

#[test]
fn a_peer_that_does_not_answer_is_not_waited_for_twice() {
    let (mut net, _) = restored();
    net.queue.push_back((3, Event::Connected(name(4))));
    net.links.insert((3, 4));
    let silent = net.nodes[4].take();
    net.run();
    let report = fence(&mut net);
    assert_eq!((report.peers, report.peers_answered, report.asking), (1, 0, false), "{report:?}");
    net.nodes[4] = silent;
}

#[test]
fn a_new_register_is_level_when_the_witnesses_hold_nothing_of_it() {
    let mut net = network();
    assert!(!fence(&mut net).meets_every_quorum);
    net.tick(70);
    let level = fence(&mut net);
    assert_eq!((level.size, level.is_level()), (0, true), "{level:?}");
}
