//! Witnesses: proofs against them, what they learn when they start, views of any size, and the door.

use super::*;
use crate::bundle::Bundle;
use crate::limits;
use crate::log::checkpoint::{Checkpoint, SignedHead};
use crate::log::cosignature;
use crate::log::view::{Frontier, Leaf, View, ViewMessage};
use crate::log::witness_proof::{Contradiction, Shown};
use crate::sync::check::HeldView;

fn at() -> String {
    origin("interior.example")
}

/// A cosignature by the key of a witness, whatever its duties say.
fn forged(name: &str, checkpoint: &Checkpoint, time: u64) -> StatementMessage {
    let (key, secret) = witness_keys(name).cosign;
    let line = cosignature::sign(&checkpoint.text(), time, &key, &secret);
    StatementMessage::Cosignatures(checkpoint.clone(), vec![Signed::from_line(&line)])
}

/// A whole view by the key of a witness.
fn forged_view(name: &str, time: u64, leaves: &[(&str, u64, Digest)]) -> StatementMessage {
    let mut frontier = Frontier::default();
    leaves.iter().for_each(|(origin, size, root)| frontier.put(origin, Leaf { size: *size, root: *root }));
    let charter = charter();
    let view = View {
        network: charter.charter().network_id(),
        witness: name.to_owned(),
        time,
        charter_version: 1,
        charter_digest: charter.charter().digest(),
        registers: frontier.len() as u64,
        root: frontier.root(),
    };
    let (key, secret) = witness_keys(name).view;
    let message = ViewMessage { note: view.sign(&key, &secret), changes: frontier.changes_since(None) };
    StatementMessage::View(Bytes::from(message.encode()))
}

fn said(net: &mut Net, i: usize, statement: StatementMessage) {
    // It may be known, or of no use: what is asked here is what follows.
    let _ = net.submit(i, Submission { statements: vec![statement], ..Submission::default() });
}

fn now(net: &Net) -> u64 {
    net.now_ms / 1000
}

fn checkpoint_at(net: &mut Net, i: usize, size: u64) -> Checkpoint {
    let register = net.node(i).machine.replica().register(&at()).cloned().expect("held");
    Checkpoint { origin: at(), size, root: register.root_at(size).expect("that long") }
}

fn shown(net: &mut Net, i: usize) -> Option<Shown> {
    let replica = net.node(i).machine.replica();
    let proof = replica.proof_of_witness("B")?;
    Some(replica.check_witness_proof(proof).expect("what is held holds"))
}

fn proofs(net: &mut Net, i: usize) -> usize {
    net.node(i).machine.replica().witness_proofs().len()
}

/// Three entries of interior, seen by all; B is no node of its own but a key.
fn three_entries() -> (Net, Publisher) {
    let mut net =
        Net::new(vec![witness("A"), Duties::none(), witness("C"), publisher_node("interior.example"), Duties::none()]);
    net.link_all();
    net.run();
    let mut interior = Publisher::new("interior.example");
    for text in ["one", "two", "three"] {
        net.submit(3, interior.publish(&[notice(text)])).expect("published");
    }
    (net, interior)
}

#[test]
fn a_later_statement_of_a_smaller_head_is_a_proof_that_all_get_and_keep() {
    let (mut net, _) = three_entries();
    let (two, three, time) = (checkpoint_at(&mut net, 4, 2), checkpoint_at(&mut net, 4, 3), now(&net));
    said(&mut net, 4, forged("B", &three, time));
    assert_eq!(proofs(&mut net, 4), 0);
    said(&mut net, 4, forged("B", &two, time - 1));
    assert_eq!(proofs(&mut net, 4), 0, "an older statement of a smaller head is none");
    said(&mut net, 1, forged("B", &two, time + 1));
    for i in 0..5 {
        let shown = shown(&mut net, i).expect("a proof");
        assert_eq!(shown.contradiction, Contradiction::LaterSmaller, "node {i}");
        assert_eq!((&shown.told[0].head, &shown.told[1].head), (&two, &three));
        assert_eq!(net.sizes(i, "interior.example"), (3, 3), "what is witnessed stands");
    }
    let notices = net.node(4).notices.iter().filter(|n| matches!(n, Notice::WitnessMisbehaved { .. })).count();
    assert_eq!(notices, 1);
    net.restart(4, Duties::none());
    assert_eq!(proofs(&mut net, 4), 1, "it is forgotten by a restart");
}

#[test]
fn a_witness_proof_arrives_with_gossip_off() {
    let (mut net, _) = three_entries();
    (0..5).for_each(|i| net.node(i).gossip_off = true);
    let (two, time) = (checkpoint_at(&mut net, 4, 2), now(&net));
    let other = Checkpoint { root: Digest::of(b"another history"), ..two.clone() };
    said(&mut net, 1, forged("B", &two, time));
    said(&mut net, 1, forged("B", &other, time + 5));
    assert_eq!((proofs(&mut net, 1), proofs(&mut net, 0)), (1, 0));
    net.tick(30);
    for i in 0..5 {
        assert_eq!(shown(&mut net, i).expect("a proof").contradiction, Contradiction::EqualSize, "node {i}");
    }
}

#[test]
fn heads_that_do_not_follow_from_each_other_are_a_proof_whatever_their_times() {
    let (mut net, _) = three_entries();
    let (two, three, time) = (checkpoint_at(&mut net, 4, 2), checkpoint_at(&mut net, 4, 3), now(&net));
    let other = Checkpoint { root: Digest::of(b"another history"), ..two };
    said(&mut net, 4, forged("B", &other, time));
    assert_eq!(proofs(&mut net, 4), 0);
    said(&mut net, 4, forged("B", &three, time + 9));
    assert_eq!(shown(&mut net, 0).expect("a proof").contradiction, Contradiction::Inconsistent);
}

#[test]
fn a_view_that_contradicts_a_cosignature_or_a_view_is_a_proof_with_the_path_of_its_trie() {
    let leaf = |c: &Checkpoint| (c.size, c.root);
    let many: Vec<String> = (0..200).map(|i| format!("r{i}.example/register/00")).collect();
    for by_view in [false, true] {
        let (mut net, _) = three_entries();
        let (two, three, time) = (checkpoint_at(&mut net, 4, 2), checkpoint_at(&mut net, 4, 3), now(&net));
        let view = |c: &Checkpoint, time| {
            let (size, root) = leaf(c);
            let mut leaves: Vec<_> = many.iter().map(|o| (o.as_str(), 1, Digest::of(o.as_bytes()))).collect();
            let origin = at();
            leaves.push((origin.as_str(), size, root));
            forged_view("B", time, &leaves)
        };
        let first = if by_view { view(&three, time) } else { forged("B", &three, time) };
        said(&mut net, 4, first);
        said(&mut net, 4, view(&two, time));
        assert_eq!(proofs(&mut net, 4), 0, "at one time, both may be so");
        said(&mut net, 4, view(&two, time + 60));
        for i in 0..5 {
            let shown = shown(&mut net, i).expect("a proof");
            assert_eq!(shown.contradiction, Contradiction::LaterSmaller);
            assert_eq!(shown.told[0].time, time + 60);
        }
    }
}

#[test]
fn a_bundle_carries_witness_proofs_and_an_altered_one_is_refused() {
    let (mut net, _) = three_entries();
    let (two, time) = (checkpoint_at(&mut net, 4, 2), now(&net));
    said(&mut net, 4, forged("B", &two, time));
    let without = Bundle::of(net.node(4).machine.replica()).encode();
    said(&mut net, 4, forged("B", &Checkpoint { root: Digest::of(b"other"), ..two }, time));
    let bundle = Bundle::of(net.node(4).machine.replica());
    let bytes = bundle.encode();
    assert_ne!(bytes, without);
    let (opened, _) = Bundle::decode(&bytes).expect("reads").open(time).expect("opens");
    assert_eq!(opened.witness_proofs(), net.node(4).machine.replica().witness_proofs());
    assert_eq!(Bundle::of(&opened).encode(), bytes, "what a bundle gave is the same bundle");
    let place = bytes.windows(10).rposition(|w| w == b"\n\xe2\x80\x94 B.exa").expect("a signature line");
    let mut altered = bytes.clone();
    let byte = altered.get_mut(place + 40).expect("inside");
    *byte = if *byte == b'A' { b'B' } else { b'A' };
    let error = Bundle::decode(&altered).expect("reads").open(time).expect_err("a signature fails");
    assert!(error.is_tampering(), "{error:?}");
    let submission = bundle.submission(net.node(0).machine.replica()).expect("of this network");
    let mut other = Net::new(vec![Duties::none()]);
    other.submit(0, submission).expect("taken");
    assert_eq!(proofs(&mut other, 0), 1);
}

#[test]
fn a_proof_of_who_the_charter_does_not_name_costs_nobody_and_garbage_does() {
    let (mut net, _) = three_entries();
    let (two, time) = (checkpoint_at(&mut net, 4, 2), now(&net));
    said(&mut net, 4, forged("B", &two, time));
    said(&mut net, 4, forged("B", &Checkpoint { root: Digest::of(b"other"), ..two }, time));
    let proof = net.node(4).machine.replica().proof_of_witness("B").expect("held").encode();
    let mut unknown = proof.clone();
    *unknown.get_mut(3).expect("the name") = b'X';
    let mut broken = proof.clone();
    let last = broken.len() - 10;
    *broken.get_mut(last).expect("inside") ^= 1;
    for (bytes, verdict) in [(unknown, Verdict::Ignore), (broken, Verdict::Reject), (proof, Verdict::Ignore)] {
        let message = super::super::message::EvidenceMessage::Witness(Bytes::from(bytes)).encode();
        net.node(0).verdicts.clear();
        let gossip = Gossip { topic: Topic::Forks, peer: name(4), message: 77 };
        net.queue.push_back((0, Event::Gossip(gossip, Bytes::from(message))));
        net.run();
        assert_eq!(net.node(0).verdicts, [verdict]);
    }
}

// ---- starting --------------------------------------------------------------------------------------------------------

/// All of `network()`, started as a node starts them.
fn started() -> Net {
    let mut net =
        Net::new(vec![witness("A"), witness("B"), witness("C"), publisher_node("interior.example"), Duties::none()]);
    for i in 0..5 {
        let now = net.now_ms;
        let outputs = net.node(i).machine.started(now);
        net.carry_out(i, outputs);
    }
    net.link_all();
    net.run();
    net.tick(1);
    net
}

/// Starts a node again from the first `kept` of its durable records.
fn put_back(net: &mut Net, i: usize, duties: Duties, kept: usize) {
    net.cut(i);
    net.run();
    let (ahead_ms, gossip_off) = (net.node(i).ahead_ms, net.node(i).gossip_off);
    let mut durable = std::mem::take(&mut net.node(i).durable);
    durable.truncate(kept);
    let mut fresh = node(duties);
    durable.iter().for_each(|d| fresh.machine.restore(d));
    (fresh.durable, fresh.ahead_ms, fresh.gossip_off) = (durable, ahead_ms, gossip_off);
    net.nodes[i] = Some(fresh);
    let now = net.now_ms.saturating_add_signed(ahead_ms);
    let outputs = net.node(i).machine.started(now);
    net.carry_out(i, outputs);
    net.link_all();
    net.run();
}

fn promised(net: &mut Net, i: usize) -> Vec<u64> {
    let promises = net.node(i).durable.iter().filter_map(|durable| match durable {
        Durable::Promise(message) => match StatementMessage::decode(message).expect("ours") {
            StatementMessage::Cosignatures(checkpoint, _) => Some(checkpoint.size),
            StatementMessage::View(_) => None,
        },
        _ => None,
    });
    promises.collect()
}

#[test]
fn witnesses_of_a_new_network_begin_by_themselves() {
    let mut net = started();
    let mut interior = Publisher::new("interior.example");
    net.submit(3, interior.publish(&[notice("one")])).expect("published");
    assert_eq!(net.sizes(4, "interior.example"), (1, 1));
}

#[test]
fn the_only_witness_of_a_network_begins_alone() {
    let begun = |duties: Duties, secs: u64| {
        let mut net = Net::new(vec![duties]);
        let outputs = net.node(0).machine.started(START_MS);
        net.carry_out(0, outputs);
        net.tick(secs);
        net.node(0).durable.iter().any(|d| matches!(d, Durable::Promise(_)))
    };
    // Of three witnesses one that hears nobody says nothing; it would make no quorum either.
    assert!(!begun(witness("A"), 300));
    assert!(!begun(witness("A").alone(true), 300));
}

#[test]
fn a_witness_put_back_from_a_backup_signs_nothing_below_what_it_said() {
    let mut net = started();
    let mut interior = Publisher::new("interior.example");
    net.submit(3, interior.publish(&[notice("one")])).expect("published");
    let backup = net.node(0).durable.len();
    for text in ["two", "three"] {
        net.submit(3, interior.publish(&[notice(text)])).expect("published");
    }
    net.tick(200);
    assert_eq!(promised(&mut net, 0), [1, 2, 3]);
    put_back(&mut net, 0, witness("A"), backup);
    assert!(net.node(0).notices.iter().any(|n| matches!(n, Notice::OwnStatements { is_live: false, .. })));
    // What it learned is durable as a promise, and nothing else was promised.
    assert_eq!(promised(&mut net, 0), [1, 3]);
    // It hears whether another machine has its keys, and then goes on.
    net.tick(179);
    net.submit(3, interior.publish(&[notice("four")])).expect("published");
    assert_eq!(promised(&mut net, 0), [1, 3]);
    net.tick(5);
    assert!(net.node(0).notices.iter().any(|n| matches!(n, Notice::WitnessReady { .. })));
    assert_eq!(promised(&mut net, 0), [1, 3, 4]);
    net.tick(70);
    (0..5).for_each(|i| assert_eq!(proofs(&mut net, i), 0));
}

#[test]
fn a_witness_put_back_does_not_sign_another_branch_than_the_one_it_signed() {
    let mut net = started();
    let mut interior = Publisher::new("interior.example");
    net.submit(3, interior.publish(&[notice("one")])).expect("published");
    let backup = net.node(0).durable.len();
    let mut thief = Publisher { host: "interior.example", ground: interior.ground.clone() };
    net.submit(3, interior.publish(&[notice("two")])).expect("published");
    net.tick(300);
    // It is put back, hears only what its peers say of itself, and is handed the thief's branch.
    put_back(&mut net, 0, witness("A"), backup);
    net.cut(0);
    net.run();
    let _ = net.submit(0, thief.publish(&[notice("other two")]));
    let _ = net.submit(0, thief.publish(&[notice("other three")]));
    net.tick(300);
    assert_eq!(promised(&mut net, 0), [1, 2], "it has learned of 2, and signs nothing that does not extend it");
    net.link_all();
    net.run();
    net.tick(100);
    (0..5).for_each(|i| assert_eq!(proofs(&mut net, i), 0));
}

#[test]
fn two_machines_with_the_keys_of_one_witness_do_not_both_sign() {
    let mut net = started();
    let mut interior = Publisher::new("interior.example");
    net.submit(3, interior.publish(&[notice("one")])).expect("published");
    net.tick(70);
    // The follower's machine is started with A's keys while A runs.
    put_back(&mut net, 4, witness("A"), usize::MAX);
    net.tick(200);
    assert!(net.node(4).notices.iter().any(|n| matches!(n, Notice::OwnStatements { is_live: true, .. })));
    net.submit(3, interior.publish(&[notice("two")])).expect("published");
    net.tick(400);
    assert!(!promised(&mut net, 4).contains(&2), "the second machine signs");
    assert!(promised(&mut net, 0).contains(&2), "the first one does not");
    (0..5).for_each(|i| assert_eq!(proofs(&mut net, i), 0));
}

#[test]
fn a_clock_that_is_set_back_makes_no_statement_older_than_the_one_before() {
    let mut net = started();
    let mut interior = Publisher::new("interior.example");
    net.node(0).ahead_ms = 30_000;
    net.submit(3, interior.publish(&[notice("one")])).expect("published");
    net.tick(70);
    net.node(0).ahead_ms = -400_000;
    net.submit(3, interior.publish(&[notice("two")])).expect("published");
    net.tick(70);
    assert_eq!(promised(&mut net, 0), [1, 2]);
    (0..5).for_each(|i| assert_eq!(proofs(&mut net, i), 0));
}

#[test]
fn a_register_that_was_fetched_through_an_edge_is_there_after_a_restart_without_peers() {
    let mut net = network();
    let mut interior = Publisher::new("interior.example");
    let mut transport = Publisher::new("transport.example");
    net.submit(3, interior.publish(&[grant()])).expect("published");
    net.submit(3, transport.publish(&[notice("one")])).expect("published");
    // One that comes late gets the entries first, then the body that names the other register.
    net.nodes.push(Some(node(Duties::none())));
    net.link(5, 4);
    net.run();
    net.tick(10);
    assert_eq!(net.sizes(5, "transport.example"), (1, 1));
    net.restart(5, Duties::none());
    assert_eq!(net.sizes(5, "transport.example"), (1, 1));
}

// ---- views -----------------------------------------------------------------------------------------------------------

#[test]
fn a_view_of_sixteen_thousand_registers_travels_by_sync_and_then_by_its_changes() {
    let mut net = network();
    let origins: Vec<String> =
        (0..limits::FRONTIER_SIZE_MAX).map(|i| format!("department-{i:05}.gov.example/register/{i:032x}")).collect();
    let leaves = |last: u64| -> Vec<(&str, u64, Digest)> {
        let leaf = |(i, o): (usize, &'_ String)| (i, Digest::of(o.as_bytes()));
        let mut all: Vec<_> = origins.iter().enumerate().map(|(i, o)| (o.as_str(), 7, leaf((i, o)).1)).collect();
        all.last_mut().expect("many").1 = last;
        all
    };
    let time = now(&net);
    let whole = forged_view("B", time, &leaves(7));
    let size = whole.encode().len();
    assert!(size > 4 * limits::RESPONSE_SIZE_MAX, "{size}");
    net.nodes[1] = None;
    said(&mut net, 4, whole);
    let held = |net: &mut Net, i: usize| -> Option<(u64, usize)> {
        let views = net.node(i).machine.replica().views();
        let held = views.get("B")?.kept.as_ref()?;
        Some((held.view().time, held.frontier.len()))
    };
    assert_eq!(held(&mut net, 4), Some((time, limits::FRONTIER_SIZE_MAX)));
    net.tick(100);
    for i in [0, 2, 3] {
        assert_eq!(held(&mut net, i), Some((time, limits::FRONTIER_SIZE_MAX)), "node {i} by sync");
    }
    // What changed since fits into gossip.
    let StatementMessage::View(next) = forged_view("B", time + 60, &leaves(8)) else { panic!("a view") };
    let ViewMessage { note, .. } = ViewMessage::decode(&next).expect("ours");
    let before = net.node(4).machine.replica().views().get("B").and_then(|s| s.kept.clone()).expect("held");
    let mut frontier = before.frontier.clone();
    let last = origins.last().expect("many");
    frontier.put(last, Leaf { size: 8, root: Digest::of(last.as_bytes()) });
    let message = ViewMessage { note, changes: frontier.changes_since(Some(&before.frontier)) };
    let message = StatementMessage::View(Bytes::from(message.encode())).encode();
    assert!(message.len() < 1024, "{}", message.len());
    for i in [0, 2] {
        let gossip = Gossip { topic: Topic::Statements, peer: name(4), message: 5 };
        net.queue.push_back((i, Event::Gossip(gossip, Bytes::from(message.clone()))));
        net.run();
        assert_eq!(held(&mut net, i), Some((time + 60, limits::FRONTIER_SIZE_MAX)), "node {i} by gossip");
    }
}

#[test]
fn a_large_view_of_our_own_is_journalled_and_restored_and_the_next_one_rests_on_it() {
    let many: Vec<String> = (0..6000).map(|i| format!("r{i:04}.gov.example/register/{i:032x}")).collect();
    let leaf = |o: &str| Leaf { size: 3, root: Digest::of(o.as_bytes()) };
    let mut frontier = Frontier::default();
    many.iter().for_each(|o| frontier.put(o, leaf(o)));
    let leaves: Vec<_> = many.iter().map(|o| (o.as_str(), 3, leaf(o).root)).collect();
    let time = START_MS / 1000 - 100;
    let whole = forged_view("A", time, &leaves);
    assert!(whole.encode().len() > limits::RESPONSE_SIZE_MAX);
    let mut next = frontier.clone();
    next.remove(&many[5]);
    let shorter: Vec<_> = leaves.iter().filter(|(o, ..)| *o != many[5]).copied().collect();
    let StatementMessage::View(second) = forged_view("A", time + 60, &shorter) else { panic!("a view") };
    let note = ViewMessage::decode(&second).expect("ours").note;
    let changes = next.changes_since(Some(&frontier));
    let second = StatementMessage::View(Bytes::from(ViewMessage { note, changes }.encode()));
    assert!(second.encode().len() < 1024);
    let mut node = node(witness("A"));
    for message in [&whole, &second] {
        node.machine.restore(&Durable::Promise(Bytes::from(message.encode())));
    }
    drop(node.machine.started(START_MS));
    let held = node.machine.replica().views().get("A").and_then(|s| s.kept.clone()).expect("restored");
    assert_eq!((held.view().time, held.frontier.root()), (time + 60, next.root()));
    let HeldView { signed, .. } = held.as_ref();
    assert_eq!(signed.view().registers, 5999);
}

#[test]
fn changes_to_a_view_that_is_not_held_lead_to_the_whole() {
    let mut net = network();
    net.nodes[1] = None;
    let time = now(&net);
    let leaf = |c: &str| (1u64, Digest::of(c.as_bytes()));
    let (a, b) = (leaf("a"), leaf("b"));
    let first = [("a.example/register/00", a.0, a.1)];
    let both = [("a.example/register/00", a.0, a.1), ("b.example/register/00", b.0, b.1)];
    (0..5).filter(|i| *i != 1).for_each(|i| net.node(i).gossip_off = true);
    said(&mut net, 4, forged_view("B", time, &first));
    said(&mut net, 4, forged_view("B", time + 60, &both));
    let held = net.node(4).machine.replica().views().get("B").and_then(|s| s.kept.clone()).expect("held");
    let mut base = Frontier::default();
    base.put(first[0].0, Leaf { size: a.0, root: a.1 });
    let changes = held.frontier.changes_since(Some(&base));
    let message = ViewMessage { note: held.signed.note().clone(), changes };
    let message = StatementMessage::View(Bytes::from(message.encode())).encode();
    let gossip = Gossip { topic: Topic::Statements, peer: name(4), message: 9 };
    net.queue.push_back((0, Event::Gossip(gossip, Bytes::from(message))));
    net.run();
    let got = net.node(0).machine.replica().views().get("B").and_then(|s| s.kept.clone()).expect("asked for");
    assert_eq!(got.view().time, time + 60);
}

// ---- the door --------------------------------------------------------------------------------------------------------

fn knock(net: &mut Net, i: usize, message: &HeadMessage, old: u64, proof: Vec<Digest>) -> DoorAnswer {
    let origin = message.checkpoint.origin.clone();
    let keys = [register_key("interior.example"), register_key("stranger.example")];
    let head = SignedHead::authenticate(message.note(), &origin, &keys).expect("signed");
    net.messages += 1;
    let ticket = net.messages;
    net.queue.push_back((i, Event::AddCheckpoint(ticket, Box::new(DoorRequest { head, old, proof }))));
    net.run();
    net.node(i).door.remove(&ticket).expect("an answer")
}

fn consistency(net: &mut Net, i: usize, old: u64, new: u64) -> Vec<Digest> {
    let register = net.node(i).machine.replica().register(&at()).cloned().expect("held");
    register.consistency(old, new).expect("held")
}

#[test]
fn the_door_gives_each_of_its_answers() {
    let mut net = network();
    let mut interior = Publisher::new("interior.example");
    let one = interior.head(&[notice("one")]);
    let DoorAnswer::NotYet(_, 5) = knock(&mut net, 0, &one, 0, vec![]) else { panic!("nothing is replayed") };
    assert!(promised(&mut net, 0).is_empty());
    net.submit(3, Submission { heads: vec![one.clone()], ..Submission::default() }).expect("published");
    assert_eq!(promised(&mut net, 0), [1]);
    assert_eq!(knock(&mut net, 0, &one, 0, vec![]), DoorAnswer::Conflict(1), "it was cosigned meanwhile");
    let held = knock(&mut net, 0, &one, 1, vec![]);
    let DoorAnswer::Cosigned(line) = &held else { panic!("{held:?}") };
    let (key, _) = witness_keys("A").cosign;
    assert!(cosignature::Cosignature::verify(&one.checkpoint, line, "A", &key).is_ok());
    assert_eq!(knock(&mut net, 0, &one, 1, vec![]), held, "within a minute the same one");
    net.now_ms += 61_000;
    let later = knock(&mut net, 0, &one, 1, vec![]);
    assert!(matches!(&later, DoorAnswer::Cosigned(new) if new != line), "then a new one");
    assert_eq!(promised(&mut net, 0), [1, 1]);
    let (two, three) = (interior.head(&[notice("two")]), interior.head(&[notice("three")]));
    net.submit(4, Submission { heads: vec![two.clone()], ..Submission::default() }).expect("published");
    let proof = consistency(&mut net, 4, 1, 2);
    assert_eq!(knock(&mut net, 0, &two, 1, proof.clone()), DoorAnswer::Conflict(2));
    assert_eq!(knock(&mut net, 0, &three, 2, proof), DoorAnswer::BadProof);
    let stranger = Publisher::new("stranger.example").head(&[notice("x")]);
    assert_eq!(knock(&mut net, 0, &stranger, 0, vec![]), DoorAnswer::Unknown);
    assert_eq!(knock(&mut net, 4, &two, 2, vec![]), DoorAnswer::Unknown, "this node is no witness");
    (0..5).for_each(|i| assert_eq!(proofs(&mut net, i), 0));
}

#[test]
fn the_door_waits_for_the_disk() {
    let mut net = network();
    let mut interior = Publisher::new("interior.example");
    let one = interior.head(&[notice("one")]);
    net.submit(3, Submission { heads: vec![one.clone()], ..Submission::default() }).expect("published");
    net.now_ms += 61_000;
    net.node(0).disk_full = true;
    let answer = knock(&mut net, 0, &one, 1, vec![]);
    assert!(matches!(answer, DoorAnswer::NotYet(..)), "{answer:?}");
    net.node(0).disk_full = false;
    net.tick(2);
    assert!(matches!(knock(&mut net, 0, &one, 1, vec![]), DoorAnswer::Cosigned(_)));
}

#[test]
fn what_comes_to_the_door_is_evidence_and_news() {
    let mut net = network();
    let mut interior = Publisher::new("interior.example");
    net.submit(3, interior.publish(&[notice("one")])).expect("published");
    let mut thief = Publisher { host: "interior.example", ground: interior.ground.clone() };
    net.submit(3, interior.publish(&[notice("two")])).expect("published");
    // A larger head keeps the witness from vouching for the smaller one.
    let far = {
        let _ = interior.head(&[notice("three")]);
        interior.head(&[notice("four")])
    };
    let answer = knock(&mut net, 0, &far, 2, vec![]);
    assert_eq!(answer, DoorAnswer::BadProof);
    net.tick(70);
    let views = net.node(0).machine.replica().views();
    let view = views.get("A").and_then(|slots| slots.kept.clone()).expect("its own");
    assert_eq!(view.frontier.get(&at()), None, "it has seen a larger head");
    // Another root at a size that it holds is a fork.
    let other = thief.head(&[notice("other two")]);
    assert_eq!(knock(&mut net, 0, &other, 2, vec![]), DoorAnswer::Conflict(2));
    for i in 0..5 {
        let register = net.node(i).machine.replica().register(&at()).cloned().expect("held");
        assert!(register.is_forked(), "node {i}");
    }
    let _ = thief;
}

#[test]
fn a_register_with_two_histories_is_refused_at_the_door() {
    let mut net = network();
    let mut interior = Publisher::new("interior.example");
    let one = interior.head(&[notice("one")]);
    let mut thief = Publisher::new("interior.example");
    let other = thief.head(&[notice("other one")]);
    net.submit(3, Submission { heads: vec![one.clone()], ..Submission::default() }).expect("published");
    net.submit(4, Submission { heads: vec![other], ..Submission::default() }).expect("a fork is taken as evidence");
    net.now_ms += 61_000;
    assert!(matches!(knock(&mut net, 0, &one, 1, vec![]), DoorAnswer::Refused(_)));
}

mod honest;
