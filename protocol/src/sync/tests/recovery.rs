//! After a rebind with `after`: whoever comes late still learns what the old register rejected, from peers, with gossip
//! off, from a bundle, and after a restart.

use super::*;
use crate::bundle::Bundle;
use crate::register::fact::{After, Outcome, Reason};
use crate::register::query::{Recovery, StatusQuery};
use crate::replica::Replica;
use crate::status::native::StatusList;

const OLD: &str = "transport.example";
const NEW: &str = "transport2.example";
const LIST: &str = "https://transport.example/status/1";

fn list(revoked: &[(u64, u8)]) -> (RecordKey, Bytes) {
    let list = StatusList::new(LIST, "revocation", 1, 1024).expect("a list");
    let list = list.edited(1024, revoked).expect("a list");
    (RecordKey::status(LIST).expect("a key"), Bytes::from(list.encode()))
}

/// The permission of transport, with its register bound to `host`.
fn grant_to(host: &str, after: Option<&After>) -> (RecordKey, Bytes) {
    let (entity, action, resource) = ("did:web:transport.example", "issue", "https://gov.example/Licence");
    let mut register = serde_json::json!({"keys": [register_key(host), timestamp_key(host)], "origin": origin(host)});
    if let Some(After { origin, size, root }) = after {
        register["after"] = serde_json::json!({"origin": origin, "size": size, "root": root.to_string()});
    }
    let body = serde_json::json!({"action": action, "entity": entity, "register": register, "resource": resource,
        "valid_from": 0, "valid_until": 1_900_000_000u64});
    let body = crate::credential::json::Json::parse(body.to_string().as_bytes()).expect("JSON");
    let key = RecordKey::trust(entity, action, resource).expect("a key");
    (key, Bytes::from(crate::credential::jcs::to_string(&body)))
}

/// Index 7 was revoked in the old register and is not in the new one; node 4 has seen it all. Returns the point too.
fn recovered() -> (Net, After) {
    let mut net = network();
    let (mut interior, mut old) = (Publisher::new("interior.example"), Publisher::new(OLD));
    net.submit(3, interior.publish(&[grant_to(OLD, None)])).expect("published");
    net.submit(3, old.publish(&[list(&[])])).expect("published");
    net.submit(3, old.publish(&[list(&[(7, 1)]), notice("old")])).expect("published");
    let edge = old.ground.clone();
    let head = old.head(&[notice("after the theft")]);
    let mut point = head.checkpoint.clone();
    point.size -= 1;
    let register = net.node(4).machine.replica().register(&origin(OLD)).expect("held");
    point.root = register.root_at(point.size).expect("it is held");
    // The thief goes on in the old register, and then its owner, who does not know.
    let mut thief = Publisher { host: OLD, ground: edge };
    net.submit(3, thief.publish(&[list(&[])])).expect("published");
    net.submit(3, Submission { heads: vec![head], ..Submission::default() }).expect("evidence is taken");
    let after = After { origin: point.origin, size: point.size, root: point.root };
    let mut new = Publisher::new(NEW);
    net.submit(3, interior.publish(&[grant_to(NEW, Some(&after))])).expect("published");
    net.submit(3, new.publish(&[list(&[])])).expect("published");
    net.tick(20);
    (net, after)
}

/// What the index is judged to be by the new register.
fn index_7(replica: &Replica, after: &After) -> (Outcome, Option<Reason>) {
    let query = StatusQuery { list: LIST, index: 7, purpose: "revocation", rejects: &[1] };
    let recovery = Recovery { after, old: replica.past(after).map(AsRef::as_ref) };
    let new = replica.register(&origin(NEW)).expect("the new register is held");
    let fact = new.status_fact(replica.bodies(), &query, Some(recovery));
    (fact.outcome, fact.reason)
}

const REVOKED: (Outcome, Option<Reason>) = (Outcome::Withdrawn, Some(Reason::After));

#[test]
fn an_old_register_is_bound_no_more_and_still_rejects() {
    let (mut net, after) = recovered();
    let replica = net.node(4).machine.replica();
    assert!(!replica.bound().contains_key(&origin(OLD)));
    assert_eq!(index_7(replica, &after), REVOKED);
}

#[test]
fn a_late_joiner_fetches_it_with_gossip_off() {
    let (mut net, after) = recovered();
    net.nodes.push(Some(node(Duties::none())));
    (0..6).for_each(|i| net.node(i).gossip_off = true);
    // Not from the publisher's node alone: any that holds it will do.
    net.link(5, 1);
    net.run();
    net.tick(20);
    let replica = net.node(5).machine.replica();
    assert!(replica.register(&origin(OLD)).is_none(), "nobody binds its keys, so none of its heads counts");
    assert!(replica.pasts_missing().next().is_none());
    assert!(replica.bodies_missing().is_empty(), "the lists at that point came too");
    assert_eq!(index_7(replica, &after), REVOKED);
    assert_eq!(net.sizes(5, NEW), (1, 1));
    // It hands on what it was given, and has it after a restart without any peer.
    net.cut(5);
    net.restart(5, Duties::none());
    assert_eq!(net.sizes(5, NEW), (1, 1), "bodies came after the entries that name them, and bound it all the same");
    assert_eq!(index_7(net.node(5).machine.replica(), &after), REVOKED);
    net.nodes.push(Some(node(Duties::none())));
    net.node(6).gossip_off = true;
    net.link(6, 5);
    net.run();
    net.tick(20);
    assert_eq!(index_7(net.node(6).machine.replica(), &after), REVOKED);
}

#[test]
fn a_bundle_carries_it_to_who_opens_or_imports_it() {
    let (mut net, after) = recovered();
    let bundle = Bundle::of(net.node(1).machine.replica());
    let bytes = bundle.encode();
    let now = net.now_ms / 1000;
    let (opened, _) = Bundle::decode(&bytes).expect("it reads").open(now).expect("it holds");
    assert_eq!(index_7(&opened, &after), REVOKED);
    assert!(Bundle::of(&opened) == bundle, "what is opened packs to the same bytes");
    let mut late = Net::new(vec![Duties::none()]);
    let submission = bundle.submission(late.node(0).machine.replica()).expect("a submission");
    assert_eq!(submission.pasts.len(), 1);
    late.submit(0, submission).expect("taken");
    assert_eq!(index_7(late.node(0).machine.replica(), &after), REVOKED);
    // An entry of it that was altered refuses the whole file.
    let marker = StatusList::new(LIST, "revocation", 1, 1024).expect("a list").edited(1024, &[(7, 1)]).expect("a list");
    let digest = Digest::of(&marker.encode());
    let at = bytes.windows(32).rposition(|window| window == digest.as_bytes()).expect("the entry names the list");
    let mut altered = bytes.clone();
    altered[at] ^= 1;
    let refused = Bundle::decode(&altered).expect("it reads").open(now).expect_err("it does not hold");
    assert!(refused.is_tampering(), "{refused}");
}

#[test]
fn entries_that_are_not_under_the_root_are_no_old_register() {
    let (mut net, after) = recovered();
    let held = net.node(1).machine.replica().past(&after).expect("held").clone();
    let entries: Vec<Bytes> = held.entries_to(&after, 0).expect("all").map(|e| e.bytes().clone()).collect();
    let bundle = Bundle::of(net.node(1).machine.replica());
    let (mut fresh, _) = bundle.open(net.now_ms / 1000).expect("it holds");
    let mut reversed = entries.clone();
    reversed.reverse();
    for wrong in [Vec::new(), entries[..1].to_vec(), reversed, [entries.clone(), entries.clone()].concat()] {
        assert!(fresh.offer_past(&after, &wrong).is_err());
    }
    let elsewhere = After { size: 1, root: held.root_at(1).expect("held"), ..after.clone() };
    assert_eq!(fresh.offer_past(&elsewhere, &entries[..1]), Ok(false), "no binding names this point");
}

#[test]
fn it_goes_when_no_binding_names_it_any_more() {
    let (mut net, after) = recovered();
    net.nodes.push(Some(node(Duties::none())));
    net.link(5, 1);
    net.run();
    net.tick(20);
    assert!(net.node(5).machine.replica().past(&after).is_some());
    let register = net.node(3).machine.replica().register(&origin("interior.example")).expect("held").clone();
    let mut interior = Publisher::new("interior.example");
    interior.ground = Ground::of(&register).expect("it can be continued");
    net.submit(3, interior.publish(&[grant_to(NEW, None)])).expect("published");
    net.tick(20);
    let replica = net.node(5).machine.replica();
    assert!(replica.afters().is_empty() && replica.past(&after).is_none());
    assert_eq!(replica.bodies_missing(), BTreeSet::new());
}

#[test]
fn what_peers_do_not_hold_is_asked_for_again_and_stays_unusable() {
    let (mut net, after) = recovered();
    let bundle = Bundle::of(net.node(1).machine.replica());
    let mut submission = {
        let fresh = Replica::new(charter());
        bundle.submission(&fresh).expect("a submission")
    };
    submission.pasts.clear();
    let mut late = Net::new(vec![Duties::none(), Duties::none()]);
    late.link(0, 1);
    late.submit(0, submission).expect("taken");
    late.tick(30);
    for i in 0..2 {
        let replica = late.node(i).machine.replica();
        assert_eq!(replica.pasts_missing().collect::<Vec<_>>(), [&after]);
        assert_eq!(index_7(replica, &after), (Outcome::Unusable, Some(Reason::AfterNotHeld)));
    }
}

#[test]
fn the_proof_against_an_old_register_is_not_lost_with_its_binding() {
    let (mut net, after) = recovered();
    let mut thief = Publisher::new(OLD);
    // Nobody binds the old register any more: a proof that comes now cannot be checked, and one held before stays.
    assert!(net.submit(3, thief.publish(&[notice("late")])).is_err());
    let report = {
        let register = net.node(4).machine.replica().register(&after.origin).expect("held");
        assert!(register.is_forked(), "the thief signed another entry after the point");
        net.node(4).machine.replica().fork_reports()[after.origin.as_str()].clone()
    };
    assert!(report.check_by_origin().is_some_and(|found| found.is_ok()));
    net.restart(4, Duties::none());
    assert_eq!(net.node(4).machine.replica().fork_reports()[after.origin.as_str()], report);
    let bundle = Bundle::of(net.node(4).machine.replica());
    let now = net.now_ms / 1000;
    let (opened, _) = Bundle::decode(&bundle.encode()).expect("it reads").open(now).expect("it holds");
    assert_eq!(opened.fork_reports()[after.origin.as_str()], report);
    assert!(Bundle::of(&opened) == bundle, "what is opened packs to the same bytes");
}
