//! Every way on which evidence of a fork goes, for both kinds of proof: it lands, gossips, survives a restart, arrives
//! with gossip off, and travels in a bundle.

use super::*;
use crate::bundle::Bundle;
use crate::register::fork::{ForkKind, ForkProof};
use crate::register::state::Register;

const HOST: &str = "interior.example";

/// Two histories of one register, published far from each other.
struct Histories {
    honest: Vec<Submission>,
    thief: Submission,
    kind: ForkKind,
}

/// The honest one goes on by `honest` entries after their common one, the thief's by `thief`.
fn histories(honest: usize, thief: usize) -> Histories {
    let mut publisher = Publisher::new(HOST);
    let first = publisher.publish(&[notice("one")]);
    let mut other = Publisher { host: HOST, ground: publisher.ground.clone() };
    let mut all = vec![first];
    all.extend((0..honest).map(|i| publisher.publish(&[notice(&format!("honest {i}"))])));
    let mut parts: Vec<HeadMessage> = (0..thief).map(|i| other.head(&[notice(&format!("other {i}"))])).collect();
    let mut last = parts.pop().expect("an entry");
    let entries: Vec<Bytes> = parts.iter().flat_map(|part| part.entries.clone()).collect();
    let bodies: Vec<BodyItem> = parts.into_iter().flat_map(|part| part.bodies).collect();
    last.entries.splice(0..0, entries);
    last.bodies.extend(bodies);
    last.first = 1;
    let kind = if honest == thief { ForkKind::EqualSize } else { ForkKind::Consistency };
    Histories { honest: all, thief: Submission { heads: vec![last], ..Submission::default() }, kind }
}

/// One size and two roots; a thief who is ahead; a thief who is behind.
fn kinds() -> [Histories; 3] {
    [histories(1, 1), histories(1, 2), histories(2, 1)]
}

fn held(net: &mut Net, i: usize) -> Register {
    Register::clone(net.node(i).machine.replica().register(&origin(HOST)).expect("held"))
}

fn proof(net: &mut Net, i: usize) -> ForkProof {
    held(net, i).fork_proof().unwrap_or_else(|| panic!("node {i} has no proof")).as_ref().clone()
}

#[test]
fn it_lands_where_both_histories_meet_and_gossips_to_all() {
    for Histories { honest, thief, kind } in kinds() {
        let mut net = network();
        for part in honest {
            net.submit(3, part).expect("published");
        }
        net.submit(4, thief).expect("a fork is taken as evidence");
        // Not one tick has passed: nobody has compared frontiers since.
        for i in 0..5 {
            let proof = proof(&mut net, i);
            assert_eq!(proof.check(&origin(HOST), &[register_key(HOST)]), Ok(kind), "node {i}");
            assert!(proof.encode().len() <= crate::limits::FORK_PROOF_SIZE_MAX);
            let told = net.node(i).notices.iter().filter(|n| matches!(n, Notice::Forked { .. })).count();
            assert_eq!(told, 1, "node {i} tells its operator once");
        }
    }
}

#[test]
fn it_survives_a_restart_and_is_kept_once() {
    for Histories { honest, thief, kind } in kinds() {
        let mut net = network();
        for part in honest {
            net.submit(3, part).expect("published");
        }
        net.submit(4, thief.clone()).expect("a fork is taken as evidence");
        let before: Vec<ForkProof> = (0..5).map(|i| proof(&mut net, i)).collect();
        for (i, duties) in [(0, witness("A")), (4, Duties::none())] {
            net.restart(i, duties);
            assert_eq!(proof(&mut net, i), before[i], "{kind:?}: node {i} has the proof of before");
        }
        net.link_all();
        net.tick(20);
        assert!(net.submit(3, thief).is_err(), "it brings nothing new");
        net.tick(20);
        for (i, before) in before.iter().enumerate() {
            assert_eq!(proof(&mut net, i), *before, "the first proof is kept for good");
            let forks = net.node(i).durable.iter().filter(|d| matches!(d, Durable::Fork(_))).count();
            assert_eq!(forks, 1, "node {i} keeps it once");
        }
    }
}

#[test]
fn it_arrives_with_gossip_off_also_at_who_was_away() {
    for Histories { honest, thief, kind } in kinds() {
        let mut net = network();
        (0..5).for_each(|i| net.node(i).gossip_off = true);
        for part in honest {
            net.submit(3, part).expect("published");
        }
        net.tick(30);
        net.cut(2);
        net.submit(4, thief).expect("a fork is taken as evidence");
        net.tick(60);
        assert!(!held(&mut net, 2).is_forked(), "nobody has told it");
        net.link_all();
        net.tick(60);
        for i in 0..5 {
            let proof = proof(&mut net, i);
            assert!(proof.check(&origin(HOST), &[register_key(HOST)]).is_ok(), "{kind:?}: node {i}");
            assert!(held(&mut net, i).size_other() > 0, "{kind:?}: node {i} has the other branch too");
        }
    }
}

#[test]
fn it_travels_in_a_bundle_opened_alone_or_imported() {
    for Histories { honest, thief, kind } in kinds() {
        let mut net = network();
        let mut late = Net::new(vec![Duties::none()]);
        for part in honest {
            net.submit(3, part.clone()).expect("published");
            late.submit(0, part).expect("carried in before");
        }
        net.submit(4, thief).expect("a fork is taken as evidence");
        net.tick(20);
        let bundle = Bundle::of(net.node(1).machine.replica());
        let bundle = Bundle::decode(&bundle.encode()).expect("it reads");
        let (opened, _) = bundle.open(net.now_ms / 1000).expect("it holds");
        let told = opened.register(&origin(HOST)).and_then(|r| r.fork_proof().cloned()).expect("the proof");
        assert_eq!(*told, proof(&mut net, 1), "{kind:?}");
        // Into a node that held the honest history alone.
        let submission = bundle.submission(late.node(0).machine.replica()).expect("a submission");
        drop(late.submit(0, submission));
        assert!(held(&mut late, 0).is_forked(), "{kind:?}");
        assert_eq!(held(&mut late, 0).size_other(), held(&mut net, 1).size_other());
    }
}

/// A message of the gossip topic brings the proof where the other history itself never came.
#[test]
fn the_proof_alone_is_enough() {
    for Histories { honest, thief, kind } in kinds() {
        let mut net = Net::new(vec![witness("A"), Duties::none(), Duties::none()]);
        net.link(0, 1);
        net.link(0, 2);
        net.run();
        for part in honest {
            net.submit(1, part).expect("published");
        }
        net.submit(2, thief).expect("a fork is taken as evidence");
        let node = held(&mut net, 1);
        assert!(node.is_forked(), "{kind:?}");
        assert_eq!(node.size_other(), 0, "{kind:?}: the branch comes by synchronisation");
    }
}

#[test]
fn a_witness_says_nothing_more_of_a_forked_register() {
    for Histories { honest, thief, kind } in kinds() {
        let mut net = network();
        for part in honest {
            net.submit(3, part).expect("published");
        }
        net.tick(70);
        let size = held(&mut net, 0).size_newest();
        let viewed = |net: &mut Net, i: usize| {
            let held = net.node(i).machine.replica().views().get("A").and_then(|slots| slots.kept.clone());
            let held = held.expect("a view of A");
            (held.view().time, held.frontier.get(&origin(HOST)).map(|leaf| leaf.size))
        };
        let (before, leaf) = viewed(&mut net, 4);
        assert_eq!(leaf, Some(size), "{kind:?}: it vouched for the register");
        let said = |net: &mut Net| net.node(0).durable.iter().filter(|d| matches!(d, Durable::Promise(_))).count();
        net.submit(4, thief).expect("a fork is taken as evidence");
        net.tick(70);
        let (after, leaf) = viewed(&mut net, 4);
        assert!(after > before, "{kind:?}: it goes on viewing");
        assert_eq!(leaf, None, "{kind:?}: and no longer vouches for this register");
        // Nor does it cosign what its owner adds.
        let promises = said(&mut net);
        let mut owner = Publisher::new(HOST);
        owner.ground = crate::register::draft::Ground::of(&held(&mut net, 0)).unwrap_or(owner.ground);
        drop(net.submit(3, owner.publish(&[notice("more")])));
        net.run();
        assert_eq!(said(&mut net), promises, "{kind:?}");
        assert_eq!(held(&mut net, 0).size_witnessed(), size, "{kind:?}: what a quorum saw stands");
    }
}

/// The permission of transport, its register bound by these keys.
fn grant_of(keys: &[VerifierKey]) -> (RecordKey, Bytes) {
    let (key, body) = grant();
    let old = format!("[\"{}\",\"{}\"]", register_key("transport.example"), timestamp_key("transport.example"));
    let new: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
    let text = String::from_utf8(body.to_vec()).expect("text");
    assert!(text.contains(&old), "{text}");
    (key, Bytes::from(text.replace(&old, &format!("[{}]", new.join(",")))))
}

/// Checkpoints by a key that is bound no more count for nobody: what is told of them refuses neither bundle nor peer.
#[test]
fn after_a_rotation_bundles_open_and_late_joiners_are_level() {
    let transport = origin("transport.example");
    let next = VerifierKey::new(&transport, Algorithm::Note, secret("next").public()).expect("a name");
    let mut net = network();
    let (mut interior, mut owner) = (Publisher::new(HOST), Publisher::new("transport.example"));
    net.submit(3, interior.publish(&[grant()])).expect("published");
    for text in ["one", "two"] {
        net.submit(3, owner.publish(&[notice(text)])).expect("published");
    }
    // Added, the newest head signed again, the first one removed.
    let keys = [register_key("transport.example"), next.clone()];
    net.submit(3, interior.publish(&[grant_of(&keys)])).expect("published");
    let mut head = owner.head(&[notice("three")]);
    let text = head.checkpoint.text();
    net.submit(3, Submission { heads: vec![head.clone()], ..Submission::default() }).expect("published");
    head.own = vec![Signed::from_line(&note::sign(&text, &next, &secret("next")))];
    (head.first, head.entries) = (3, Vec::new());
    net.submit(3, Submission { heads: vec![head], ..Submission::default() }).expect("signed again");
    net.submit(3, interior.publish(&[grant_of(std::slice::from_ref(&next))])).expect("published");
    net.tick(70);
    assert_eq!(net.sizes(4, "transport.example"), (3, 3));
    let bundle = Bundle::of(net.node(4).machine.replica());
    let (opened, _) = bundle.open(net.now_ms / 1000).expect("it holds under the keys of now");
    let register = opened.register(&transport).cloned().expect("held");
    assert_eq!((register.size_newest(), register.size_witnessed()), (3, 3));
    assert!(Bundle::of(&opened) == bundle, "what is opened packs to the same bytes");
    net.nodes.push(Some(node(Duties::none())));
    (0..6).for_each(|i| net.node(i).gossip_off = true);
    net.link(5, 1);
    net.run();
    net.tick(30);
    assert_eq!(net.sizes(5, "transport.example"), (3, 3));
    // The removed key signs another history: nobody is impressed, and nobody at fault.
    let mut thief = Publisher::new("transport.example");
    assert!(net.submit(4, thief.publish(&[notice("old")])).is_err());
    assert!(!net.node(4).machine.replica().register(&transport).expect("held").is_forked());
}

/// A proof that was admitted under keys that were removed since stays here, and is pressed on nobody.
#[test]
fn a_proof_under_removed_keys_is_kept_and_spoils_nothing() {
    let Histories { honest, thief, .. } = histories(1, 1);
    let mut net = network();
    for part in honest {
        net.submit(3, part).expect("published");
    }
    net.submit(4, thief).expect("a fork is taken as evidence");
    let mut register = held(&mut net, 4);
    let other = VerifierKey::new(&origin(HOST), Algorithm::Note, secret("next").public()).expect("a name");
    register.bind(&[other]);
    assert!(register.is_forked() && register.fork_proof_current().is_none());
    register.bind(&[register_key(HOST)]);
    assert!(register.fork_proof_current().is_some());
    let fault = check::Fault::Fork(register.fork_proof().expect("held").check(&origin(HOST), &[]).expect_err("no key"));
    assert!(!fault.is_the_senders(), "whoever sent it may be behind, or ahead");
}
