//! Machines that talk to each other in one process: no sockets, no disk, no time but what the test gives.

mod rotation;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

mod witness;

use super::check::Job;
use super::message::{BodyItem, HeadMessage, Signed};
use super::*;
use crate::charter::{Charter, Document, SignedCharter};
use crate::digest::Digest;
use crate::key::{Algorithm, SecretKey, VerifierKey, origin_of};
use crate::log::note::{self, Note};
use crate::register::draft::Ground;
use crate::register::entry::Change;
use crate::register::record::RecordKey;
use crate::time::Time;

mod charters;
mod evidence;
mod fence;
mod hostile;
mod recovery;

const START_MS: u64 = 1_790_000_000_000;

fn secret(name: &str) -> SecretKey {
    SecretKey::from_seed(&Digest::of(name.as_bytes()).0)
}

fn vkey(name: &str, algorithm: Algorithm, seed: &str) -> VerifierKey {
    VerifierKey::new(name, algorithm, secret(seed).public()).expect("a name")
}

fn origin(host: &str) -> String {
    origin_of(&format!("{host}/register"), &secret(host).public())
}

fn register_key(host: &str) -> VerifierKey {
    vkey(&origin(host), Algorithm::Note, host)
}

fn timestamp_key(host: &str) -> VerifierKey {
    vkey(&origin(host), Algorithm::Cosignature, &format!("{host} timestamp"))
}

fn witness_keys(name: &str) -> WitnessKeys {
    let key = |what: &str, algorithm| {
        let name = format!("{name}.example/{what}");
        (vkey(&name, algorithm, &name), secret(&name))
    };
    WitnessKeys { cosign: key("witness", Algorithm::Cosignature), view: key("view", Algorithm::Note) }
}

/// Interior is the anchor; the witnesses are A, B, C, two of which make a quorum.
fn charter() -> Arc<SignedCharter> {
    let names = ["A", "B", "C"];
    let mut policy = String::new();
    for name in names {
        policy.push_str(&format!("witness {name} {}\n", witness_keys(name).cosign.0));
    }
    policy.push_str("group Q 2 A B C\nquorum Q\n");
    let kinds: BTreeMap<_, _> = names
        .map(|name| (name, serde_json::json!({"kind": "admitting", "view": witness_keys(name).view.0})))
        .into_iter()
        .collect();
    let root = vkey("interior.example/root", Algorithm::Note, "root");
    let register = serde_json::json!({"origin": origin("interior.example"),
        "keys": [register_key("interior.example"), timestamp_key("interior.example")]});
    let document: Document = serde_json::from_value(serde_json::json!({
        "kind": "standfast/charter/v1", "version": 1, "issued_at": 1_780_000_000u64, "expires_at": 1_900_000_000u64,
        "roots": {"threshold": 1, "keys": [root]},
        "anchors": [{"authority": "did:web:interior.example", "register": register}],
        "witnesses": {"policy": policy, "kinds": kinds, "from": 1_780_000_000u64},
        "limits": {"witnessed_s": 86_400, "published_s": 604_800, "charter_s": 2_592_000},
        "quotas": {"entries_per_day": 1000, "bytes_per_day": 1_000_000, "delta_retention_s": 86_400},
        "members": [], "bootstrap": [], "admission": "open",
    }))
    .expect("a charter's members");
    let charter = Charter::new(document).expect("a charter");
    let lines = charter.sign(&secret("root"), None);
    let note = Note::new(charter.text().to_owned(), lines);
    Arc::new(SignedCharter::authenticate_first(note).expect("signed"))
}

struct Node {
    machine: Machine,
    durable: Vec<Durable>,
    verdicts: Vec<Verdict>,
    submitted: BTreeMap<u64, Result<usize, String>>,
    notices: Vec<Notice>,
    door: BTreeMap<u64, DoorAnswer>,
    gossip_off: bool,
    disk_full: bool,
    /// What this node's clock is ahead by.
    ahead_ms: i64,
}

struct Net {
    nodes: Vec<Option<Node>>,
    links: BTreeSet<(usize, usize)>,
    queue: VecDeque<(usize, Event)>,
    now_ms: u64,
    messages: u64,
}

fn node(duties: Duties) -> Node {
    node_at_pace(duties, 5)
}

fn node_at_pace(duties: Duties, every_s: u64) -> Node {
    let pace = Pace { sync_min_s: every_s, sync_max_s: every_s };
    let machine = Machine::new(charter(), duties, pace).at(START_MS);
    Node {
        machine,
        durable: Vec::new(),
        verdicts: Vec::new(),
        submitted: BTreeMap::new(),
        notices: Vec::new(),
        door: BTreeMap::new(),
        gossip_off: false,
        disk_full: false,
        ahead_ms: 0,
    }
}

fn name(i: usize) -> Peer {
    Peer::from(format!("{i}").as_str())
}

impl Net {
    fn new(duties: Vec<Duties>) -> Self {
        let nodes = duties.into_iter().map(|d| Some(node(d))).collect();
        Self { nodes, links: BTreeSet::new(), queue: VecDeque::new(), now_ms: START_MS, messages: 0 }
    }

    fn node(&mut self, i: usize) -> &mut Node {
        self.nodes[i].as_mut().expect("alive")
    }

    fn link(&mut self, a: usize, b: usize) {
        if self.links.insert((a, b)) & self.links.insert((b, a)) {
            self.queue.push_back((a, Event::Connected(name(b))));
            self.queue.push_back((b, Event::Connected(name(a))));
        }
    }

    fn link_all(&mut self) {
        for a in 0..self.nodes.len() {
            for b in 0..a {
                if self.nodes[a].is_some() && self.nodes[b].is_some() {
                    self.link(a, b);
                }
            }
        }
    }

    fn cut(&mut self, i: usize) {
        for j in 0..self.nodes.len() {
            if self.links.remove(&(i, j)) & self.links.remove(&(j, i)) {
                self.queue.push_back((i, Event::Disconnected(name(j))));
                self.queue.push_back((j, Event::Disconnected(name(i))));
            }
        }
    }

    fn run(&mut self) {
        let mut steps = 0;
        while let Some((i, event)) = self.queue.pop_front() {
            steps += 1;
            assert!(steps < 200_000, "the machines never come to rest");
            let now = self.now_ms;
            let Some(node) = self.nodes[i].as_mut() else { continue };
            let now = now.saturating_add_signed(node.ahead_ms);
            let outputs = node.machine.handle(event, now);
            self.carry_out(i, outputs);
        }
    }

    fn tick(&mut self, secs: u64) {
        for _ in 0..secs {
            self.now_ms += 1000;
            for i in 0..self.nodes.len() {
                let digest = Digest::of_parts(&[&self.now_ms.to_be_bytes(), &i.to_be_bytes()]);
                let entropy = digest.0.iter().take(8).fold(0, |n, b| n << 8 | u64::from(*b));
                self.queue.push_back((i, Event::Tick { entropy }));
            }
            self.run();
        }
    }

    fn carry_out(&mut self, i: usize, outputs: Vec<Output>) {
        for output in outputs {
            let node = self.nodes[i].as_mut().expect("alive");
            match output {
                Output::Publish(topic, data) => {
                    if node.gossip_off {
                        continue;
                    }
                    let to: Vec<usize> = self.links.iter().filter(|(a, _)| *a == i).map(|(_, b)| *b).collect();
                    for to in to {
                        if self.nodes[to].as_ref().is_some_and(|n| !n.gossip_off) {
                            self.messages += 1;
                            let gossip = Gossip { topic, peer: name(i), message: self.messages };
                            self.queue.push_back((to, Event::Gossip(gossip, data.clone())));
                        }
                    }
                }
                Output::Judge(_, verdict) => node.verdicts.push(verdict),
                Output::Request { peer, ticket, data } => {
                    let to: usize = peer.parse().expect("a number");
                    let there = self.nodes[to].is_some();
                    if self.links.contains(&(i, to)) && there {
                        // The ticket carries who asked, so that the answer finds its way.
                        let event = Event::Request { peer: name(i), ticket: ticket * 1000 + i as u64, data };
                        self.queue.push_back((to, event));
                    } else {
                        self.queue.push_back((i, Event::Response { peer, ticket, result: None }));
                    }
                }
                Output::Respond(ticket, data) => {
                    let (to, ticket) = ((ticket % 1000) as usize, ticket / 1000);
                    self.queue.push_back((to, Event::Response { peer: name(i), ticket, result: Some(data) }));
                }
                Output::Refuse(ticket) => {
                    let (to, ticket) = ((ticket % 1000) as usize, ticket / 1000);
                    self.queue.push_back((to, Event::Response { peer: name(i), ticket, result: None }));
                }
                Output::Persist(ticket, frames) => {
                    if node.disk_full {
                        self.queue.push_back((i, Event::PersistFailed(ticket, "disk full".to_owned())));
                    } else {
                        node.durable.extend(frames);
                        self.queue.push_back((i, Event::Persisted(ticket)));
                    }
                }
                Output::Check(ticket, job) => {
                    let result = Job::run(*job).map(Box::new);
                    self.queue.push_back((i, Event::Checked(ticket, result)));
                }
                Output::Submitted(ticket, result) => {
                    node.submitted.insert(ticket, result.map_err(|e| e.to_string()));
                }
                Output::AddedCheckpoint(ticket, answer) => drop(node.door.insert(ticket, answer)),
                Output::Changed => {}
                Output::Notice(notice) => node.notices.push(notice),
            }
        }
    }

    fn submit(&mut self, i: usize, submission: Submission) -> Result<usize, String> {
        self.messages += 1;
        let ticket = self.messages;
        self.queue.push_back((i, Event::Submit(ticket, submission)));
        self.run();
        self.node(i).submitted.remove(&ticket).expect("a submission ends")
    }

    /// Kills a node and starts it from what was durable.
    fn restart(&mut self, i: usize, duties: Duties) {
        self.cut(i);
        self.run();
        let durable = std::mem::take(&mut self.node(i).durable);
        let mut fresh = node(duties);
        durable.iter().for_each(|d| fresh.machine.restore(d));
        fresh.durable = durable;
        self.nodes[i] = Some(fresh);
        let now = self.now_ms;
        let outputs = self.node(i).machine.started(now);
        self.carry_out(i, outputs);
        self.run();
    }

    fn sizes(&mut self, i: usize, host: &str) -> (u64, u64) {
        let register = self.node(i).machine.replica().register(&origin(host)).cloned();
        register.map_or((0, 0), |r| (r.size_newest(), r.size_witnessed()))
    }
}

/// A publisher that keeps what it has signed.
struct Publisher {
    host: &'static str,
    ground: Ground,
}

impl Publisher {
    fn new(host: &'static str) -> Self {
        Self { host, ground: Ground::empty(&origin(host)) }
    }

    fn head(&mut self, bodies: &[(RecordKey, Bytes)]) -> HeadMessage {
        let changes = bodies.iter().map(|(key, body)| Change { key: key.clone(), digest: Some(Digest::of(body)) });
        let prepared = self.ground.prepare(Time::from_secs_saturating(5), changes.collect()).expect("a valid entry");
        let line = note::sign(&prepared.text(), &register_key(self.host), &secret(self.host));
        let message = HeadMessage {
            checkpoint: prepared.checkpoint().clone(),
            own: vec![Signed::from_line(&line)],
            cosignatures: Vec::new(),
            first: prepared.first(),
            entries: prepared.entries().iter().map(|e| e.bytes().clone()).collect(),
            bodies: bodies.iter().map(|(_, body)| BodyItem::Whole(body.clone())).collect(),
        };
        self.ground = prepared.ground().clone();
        message
    }

    fn publish(&mut self, bodies: &[(RecordKey, Bytes)]) -> Submission {
        Submission { heads: vec![self.head(bodies)], ..Submission::default() }
    }
}

fn notice(text: &str) -> (RecordKey, Bytes) {
    (RecordKey::notice(text).expect("a key"), Bytes::copy_from_slice(text.as_bytes()))
}

/// The ministry authorises transport to issue licences, and binds its register.
fn grant() -> (RecordKey, Bytes) {
    let (entity, action, resource) = ("did:web:transport.example", "issue", "https://gov.example/Licence");
    let body = serde_json::json!({"action": action, "entity": entity, "register": {
        "keys": [register_key("transport.example"), timestamp_key("transport.example")],
        "origin": origin("transport.example")}, "resource": resource, "valid_from": 0, "valid_until": 1_900_000_000u64});
    let body = crate::credential::json::Json::parse(body.to_string().as_bytes()).expect("JSON");
    let key = RecordKey::trust(entity, action, resource).expect("a key");
    (key, Bytes::from(crate::credential::jcs::to_string(&body)))
}

fn witness(name: &str) -> Duties {
    Duties::new(Some(witness_keys(name)), Vec::new(), 60, 3600)
}

fn publisher_node(host: &str) -> Duties {
    let key = PublisherKey { key: timestamp_key(host), secret: secret(&format!("{host} timestamp")) };
    Duties::new(None, vec![key], 60, 3600)
}

/// Nodes 0, 1, 2 are the witnesses; 3 belongs to interior, 4 only follows.
fn network() -> Net {
    let mut net =
        Net::new(vec![witness("A"), witness("B"), witness("C"), publisher_node("interior.example"), Duties::none()]);
    net.link_all();
    net.run();
    net
}

#[test]
fn what_one_node_publishes_all_hold_and_the_witnesses_cosign() {
    let mut net = network();
    let mut interior = Publisher::new("interior.example");
    assert_eq!(net.submit(3, interior.publish(&[notice("one")])), Ok(1));
    for i in 0..5 {
        assert_eq!(net.sizes(i, "interior.example"), (1, 1), "node {i}");
        assert!(net.node(i).machine.replica().bodies_missing().is_empty(), "node {i}");
        let published = net.node(i).machine.replica().timestamps().get(&origin("interior.example")).cloned();
        assert!(published.is_some_and(|slots| slots.kept.is_some()), "node {i}");
    }
    net.tick(70);
    assert_eq!(net.node(4).machine.replica().views().len(), 3);
}

#[test]
fn with_gossip_off_synchronisation_alone_converges() {
    let mut net = network();
    (0..5).for_each(|i| net.node(i).gossip_off = true);
    let mut interior = Publisher::new("interior.example");
    for text in ["one", "two", "three"] {
        assert_eq!(net.submit(3, interior.publish(&[notice(text)])), Ok(1));
    }
    net.tick(80);
    for i in 0..5 {
        assert_eq!(net.sizes(i, "interior.example"), (3, 3), "node {i}");
        assert_eq!(net.node(i).machine.replica().views().len(), 3, "node {i}");
    }
}

#[test]
fn a_late_joiner_catches_up_also_through_an_edge_that_it_learns_on_the_way() {
    let mut net = network();
    net.cut(4);
    net.run();
    let mut interior = Publisher::new("interior.example");
    assert_eq!(net.submit(3, interior.publish(&[grant()])), Ok(1));
    let mut transport = Publisher::new("transport.example");
    let large = (notice("list").0, Bytes::from(vec![7; 200_000]));
    assert_eq!(net.submit(0, transport.publish(&[large])), Ok(1));
    assert_eq!(net.submit(0, transport.publish(&[notice("two")])), Ok(1));
    net.tick(10);
    assert_eq!(net.sizes(1, "transport.example"), (2, 2));
    assert_eq!(net.sizes(4, "transport.example"), (0, 0));
    net.link(4, 1);
    net.run();
    assert_eq!(net.sizes(4, "interior.example"), (1, 1));
    assert_eq!(net.sizes(4, "transport.example"), (2, 2));
    assert!(net.node(4).machine.replica().bodies_missing().is_empty());
}

#[test]
fn a_restart_forgets_nothing_and_never_signs_twice() {
    let mut net = network();
    let mut interior = Publisher::new("interior.example");
    for text in ["one", "two"] {
        net.submit(3, interior.publish(&[notice(text)])).expect("published");
    }
    let promises = |net: &mut Net| net.node(0).durable.iter().filter(|d| matches!(d, Durable::Promise(_))).count();
    let before = promises(&mut net);
    net.restart(0, witness("A"));
    assert_eq!(net.sizes(0, "interior.example"), (2, 2));
    assert!(net.node(0).machine.replica().bodies_missing().is_empty());
    assert_eq!(promises(&mut net), before, "the witness signed again what it had signed");
    net.link_all();
    net.run();
    net.submit(3, interior.publish(&[notice("three")])).expect("published");
    assert_eq!(net.sizes(0, "interior.example"), (3, 3));
}

#[test]
fn nothing_is_given_away_before_it_is_durable() {
    let mut net = network();
    let mut interior = Publisher::new("interior.example");
    net.node(3).disk_full = true;
    let submission = interior.publish(&[notice("one")]);
    assert!(net.submit(3, submission.clone()).is_err());
    assert_eq!(net.sizes(4, "interior.example"), (0, 0));
    net.node(3).disk_full = false;
    assert_eq!(net.submit(3, submission), Ok(1));
    assert_eq!(net.sizes(4, "interior.example"), (1, 1));
}

#[test]
fn a_witness_whose_disk_is_full_signs_when_there_is_room() {
    let mut net = network();
    net.nodes[2] = None;
    net.node(1).disk_full = true;
    let mut interior = Publisher::new("interior.example");
    net.submit(3, interior.publish(&[notice("one")])).expect("published");
    assert_eq!(net.sizes(4, "interior.example"), (1, 0));
    net.node(1).disk_full = false;
    net.tick(20);
    assert_eq!(net.sizes(4, "interior.example"), (1, 1));
}

#[test]
fn two_roots_at_one_size_are_known_to_all_and_survive_a_restart() {
    let mut net = network();
    let mut interior = Publisher::new("interior.example");
    net.submit(3, interior.publish(&[notice("one")])).expect("published");
    let mut thief = Publisher { host: "interior.example", ground: interior.ground.clone() };
    net.submit(3, interior.publish(&[notice("two")])).expect("published");
    // The thief hands its own second entry to another node.
    net.submit(4, thief.publish(&[notice("other")])).expect("a fork is taken as evidence");
    for i in 0..5 {
        let register = net.node(i).machine.replica().register(&origin("interior.example")).cloned().expect("held");
        assert!(register.is_forked(), "node {i}");
        assert_eq!(register.size_witnessed(), 2, "what was witnessed still stands at node {i}");
    }
    net.restart(4, Duties::none());
    let register = net.node(4).machine.replica().register(&origin("interior.example")).cloned().expect("held");
    assert!(register.is_forked());
}

#[test]
fn a_fork_proof_arrives_with_gossip_off() {
    let mut net = network();
    (0..5).for_each(|i| net.node(i).gossip_off = true);
    let mut interior = Publisher::new("interior.example");
    net.submit(3, interior.publish(&[notice("one")])).expect("published");
    let mut thief = Publisher::new("interior.example");
    net.tick(20);
    net.submit(4, thief.publish(&[notice("other")])).expect("a fork is taken as evidence");
    net.tick(40);
    for i in 0..5 {
        let register = net.node(i).machine.replica().register(&origin("interior.example")).cloned().expect("held");
        assert!(register.is_forked(), "node {i}");
    }
}

#[test]
fn without_a_quorum_entries_stay_pending_everywhere() {
    let mut net = network();
    net.cut(1);
    net.cut(2);
    net.run();
    net.nodes[1] = None;
    net.nodes[2] = None;
    let mut interior = Publisher::new("interior.example");
    net.submit(3, interior.publish(&[notice("one")])).expect("published");
    for i in [0, 3, 4] {
        assert_eq!(net.sizes(i, "interior.example"), (1, 0), "node {i}");
    }
    net.nodes[1] = Some(node(witness("B")));
    net.link_all();
    net.run();
    net.tick(10);
    for i in [0, 1, 3, 4] {
        assert_eq!(net.sizes(i, "interior.example"), (1, 1), "node {i}");
    }
}

#[test]
fn garbage_is_rejected_and_what_is_unknown_is_ignored() {
    let mut net = network();
    let gossip = |topic| Gossip { topic, peer: name(0), message: 9_999 };
    let offer = |net: &mut Net, topic, data: Vec<u8>| {
        net.node(4).verdicts.clear();
        net.queue.push_back((4, Event::Gossip(gossip(topic), Bytes::from(data))));
        net.run();
        net.node(4).verdicts.clone()
    };
    for topic in [Topic::Heads, Topic::Statements, Topic::Forks] {
        assert_eq!(offer(&mut net, topic, b"garbage".to_vec()), [Verdict::Reject]);
    }
    let mut stranger = Publisher::new("stranger.example");
    assert_eq!(offer(&mut net, Topic::Heads, stranger.head(&[notice("x")]).encode()), [Verdict::Ignore]);
    let mut interior = Publisher::new("interior.example");
    let mut forged = interior.head(&[notice("x")]);
    forged.own[0].blob[3] ^= 1;
    assert_eq!(offer(&mut net, Topic::Heads, forged.encode()), [Verdict::Reject]);
    let mut unsigned = forged.clone();
    unsigned.own[0].id = [0; 4];
    assert_eq!(offer(&mut net, Topic::Heads, unsigned.encode()), [Verdict::Ignore]);
    assert_eq!(net.sizes(4, "interior.example"), (0, 0));
}

#[test]
fn a_follower_that_was_away_sees_pending_revocations_and_the_delta_saves_bytes() {
    use crate::status::native::StatusList;
    let mut net = network();
    let key = RecordKey::status("https://interior.example/status/1").expect("a key");
    let list = StatusList::new("https://interior.example/status/1", "revocation", 1, 131_072).expect("a list");
    let mut interior = Publisher::new("interior.example");
    net.submit(3, interior.publish(&[(key.clone(), Bytes::from(list.encode()))])).expect("published");
    assert!(net.node(4).machine.replica().bodies_missing().is_empty());
    net.cut(4);
    net.run();
    let revoked = list.edited(131_072, &[(77, 1)]).expect("edited");
    net.submit(3, interior.publish(&[(key, Bytes::from(revoked.encode()))])).expect("published");
    net.link(4, 3);
    net.run();
    let digest = Digest::of(&revoked.encode());
    assert!(net.node(4).machine.replica().bodies().contains(&digest));
    let register = net.node(3).machine.replica().register(&origin("interior.example")).cloned().expect("held");
    let replica = net.node(3).machine.replica().clone();
    let message = answer::head_message(&replica, &register, 2, crate::limits::GOSSIP_PAYLOAD_SIZE_MAX).expect("held");
    assert!(matches!(message.bodies.as_slice(), [BodyItem::Delta(_)]), "{:?}", message.bodies);
    let size = message.encode().len();
    assert!(size <= 700, "{size} bytes with {} cosignatures", message.cosignatures.len());
}

#[test]
fn a_gossiped_revocation_carries_its_delta_though_earlier_entries_ride_along() {
    use crate::status::native::StatusList;
    let mut net = network();
    net.nodes[1] = None;
    net.nodes[2] = None;
    let uri = "https://interior.example/status/1";
    let key = RecordKey::status(uri).expect("a key");
    let list = StatusList::new(uri, "revocation", 1, 131_072).expect("a list");
    let mut interior = Publisher::new("interior.example");
    net.submit(3, interior.publish(&[notice("one")])).expect("published");
    net.submit(3, interior.publish(&[(key.clone(), Bytes::from(list.encode()))])).expect("published");
    let revoked = Bytes::from(list.edited(131_072, &[(77, 1)]).expect("edited").encode());
    net.submit(3, interior.publish(&[(key, revoked.clone())])).expect("published");
    let replica = net.node(3).machine.replica().clone();
    let register = replica.register(&origin("interior.example")).cloned().expect("held");
    let message = answer::head_message(&replica, &register, 3, crate::limits::GOSSIP_PAYLOAD_SIZE_MAX).expect("held");
    assert_eq!((message.first, message.entries.len()), (0, 3), "all three are pending");
    assert!(matches!(message.bodies.first(), Some(BodyItem::Delta(_))));
}

#[test]
fn a_view_tells_of_a_cosignature_that_gossip_lost() {
    let mut net = network();
    net.cut(4);
    net.run();
    // It compares frontiers when it connects, and then not for a day.
    net.nodes[4] = Some(node_at_pace(Duties::none(), 86_400));
    net.link_all();
    net.run();
    let mut interior = Publisher::new("interior.example");
    let head = interior.head(&[notice("one")]);
    net.node(4).gossip_off = true;
    net.submit(3, Submission { heads: vec![head.clone()], ..Submission::default() }).expect("published");
    net.node(4).gossip_off = false;
    // Handed in by an operator, the head alone: what the witnesses said meanwhile is lost to gossip.
    net.submit(4, Submission { heads: vec![head], ..Submission::default() }).expect("taken");
    assert_eq!(net.sizes(4, "interior.example"), (1, 0));
    net.tick(70);
    assert_eq!(net.sizes(4, "interior.example"), (1, 1));
}

#[test]
fn a_body_that_is_not_what_its_digest_says_is_never_kept() {
    let mut net = network();
    let mut interior = Publisher::new("interior.example");
    let mut message = interior.head(&[notice("one")]);
    message.bodies = vec![BodyItem::Whole(Bytes::from_static(b"another"))];
    let submission = Submission { heads: vec![message], ..Submission::default() };
    net.submit(3, submission).expect("the entry is valid without its body");
    let replica = net.node(3).machine.replica();
    assert_eq!(replica.bodies().len(), 0);
    assert_eq!(replica.bodies_missing().len(), 1);
}

#[test]
fn the_other_branch_reaches_who_held_only_the_proof() {
    let mut net = network();
    let mut interior = Publisher::new("interior.example");
    net.submit(3, interior.publish(&[notice("one")])).expect("published");
    let mut thief = Publisher { host: "interior.example", ground: interior.ground.clone() };
    net.submit(3, interior.publish(&[notice("two")])).expect("published");
    net.submit(4, thief.publish(&[notice("other")])).expect("a fork is taken as evidence");
    net.tick(60);
    for i in 0..5 {
        let register = net.node(i).machine.replica().register(&origin("interior.example")).cloned().expect("held");
        assert_eq!((register.size_newest(), register.size_other()), (2, 2), "node {i}");
        assert!(net.node(i).machine.replica().bodies_missing().is_empty(), "node {i}");
    }
    let bundle = crate::bundle::Bundle::of(net.node(2).machine.replica());
    let (opened, _) = bundle.open(START_MS / 1000).expect("it holds");
    assert_eq!(opened.register(&origin("interior.example")).map(|r| r.size_other()), Some(2));
    assert!(crate::bundle::Bundle::of(&opened) == bundle, "the same frontier gives the same bundle");
    // All hold the same, so nothing is asked for any more but frontiers.
    net.messages = 0;
    let before = net.node(0).notices.len();
    net.tick(60);
    assert_eq!(net.node(0).notices.len(), before);
}

/// A head over an entry that names another state than it makes, after a valid one and before another.
fn invalid_head() -> HeadMessage {
    let mut publisher = Publisher::new("interior.example");
    let first = publisher.head(&[notice("one")]);
    let second = publisher.head(&[notice("two")]);
    let third = publisher.head(&[notice("three")]);
    let entries = vec![first.entries[0].clone(), third.entries[0].clone(), second.entries[0].clone()];
    let mut tree = crate::log::merkle::Tree::default();
    entries.iter().for_each(|entry| tree.push(crate::log::merkle::leaf_hash(entry)));
    let mut checkpoint = second.checkpoint;
    (checkpoint.size, checkpoint.root) = (3, tree.root());
    let line = note::sign(&checkpoint.text(), &register_key("interior.example"), &secret("interior.example"));
    let own = vec![Signed::from_line(&line)];
    HeadMessage { checkpoint, own, cosignatures: Vec::new(), first: 0, entries, bodies: first.bodies }
}

#[test]
fn what_froze_a_register_reaches_followers_and_bundles() {
    let mut net = network();
    (0..5).for_each(|i| net.node(i).gossip_off = true);
    let submission = Submission { heads: vec![invalid_head()], ..Submission::default() };
    net.submit(4, submission).expect("evidence is taken");
    net.tick(60);
    for i in 0..5 {
        let register = net.node(i).machine.replica().register(&origin("interior.example")).cloned().expect("held");
        assert!(register.frozen().is_some(), "node {i}");
        assert_eq!(register.size_newest(), 1, "node {i}");
    }
    let bundle = crate::bundle::Bundle::of(net.node(1).machine.replica());
    let (opened, _) = bundle.open(START_MS / 1000).expect("it holds");
    assert!(opened.register(&origin("interior.example")).is_some_and(|r| r.frozen().is_some()));
    assert!(crate::bundle::Bundle::of(&opened) == bundle);
    net.restart(2, witness("C"));
    let register = net.node(2).machine.replica().register(&origin("interior.example")).cloned().expect("held");
    assert!(register.frozen().is_some());
}

/// A head over a grant, then an entry of version 2.
fn later_head() -> HeadMessage {
    let mut head = Publisher::new("interior.example").publish(&[grant()]).heads.remove(0);
    head.entries.push(Bytes::from_static(b"\xa2\x00\x02\x01\x61\x78"));
    let mut tree = crate::log::merkle::Tree::default();
    head.entries.iter().for_each(|entry| tree.push(crate::log::merkle::leaf_hash(entry)));
    (head.checkpoint.size, head.checkpoint.root) = (2, tree.root());
    let line = note::sign(&head.checkpoint.text(), &register_key("interior.example"), &secret("interior.example"));
    head.own = vec![Signed::from_line(&line)];
    head
}

#[test]
fn entries_of_a_later_version_reach_followers_and_bundles_and_survive_a_restart() {
    let mut net = network();
    (0..5).for_each(|i| net.node(i).gossip_off = true);
    let submission = Submission { heads: vec![later_head()], ..Submission::default() };
    net.submit(4, submission).expect("it is kept");
    net.tick(60);
    let unread = |register: &crate::register::state::Register| {
        register.unread().map(|unread| (unread.number, unread.head.checkpoint().size))
    };
    for i in 0..5 {
        let register = net.node(i).machine.replica().register(&origin("interior.example")).cloned().expect("held");
        assert_eq!(unread(&register), Some((1, 2)), "node {i}");
        assert_eq!((register.size_newest(), register.size_witnessed()), (1, 0), "node {i}");
    }
    let bundle = crate::bundle::Bundle::of(net.node(1).machine.replica());
    let (opened, _) = bundle.open(START_MS / 1000).expect("it holds");
    assert_eq!(opened.register(&origin("interior.example")).and_then(|register| unread(register)), Some((1, 2)));
    assert!(crate::bundle::Bundle::of(&opened) == bundle);
    net.restart(2, witness("C"));
    let register = net.node(2).machine.replica().register(&origin("interior.example")).cloned().expect("held");
    assert_eq!(unread(&register), Some((1, 2)));
}

#[test]
fn a_bundle_of_what_a_bundle_gave_is_the_same() {
    let mut net = network();
    let mut interior = Publisher::new("interior.example");
    net.submit(3, interior.publish(&[grant()])).expect("published");
    for text in ["one", "two", "three"] {
        net.submit(3, interior.publish(&[notice(text)])).expect("published");
    }
    net.nodes[1] = None;
    net.nodes[2] = None;
    net.submit(3, interior.publish(&[notice("pending")])).expect("published");
    net.tick(70);
    let bundle = crate::bundle::Bundle::of(net.node(4).machine.replica());
    let (opened, _) = bundle.open(net.now_ms / 1000).expect("it holds");
    assert!(crate::bundle::Bundle::of(&opened) == bundle);
    let register = opened.register(&origin("interior.example")).cloned().expect("held");
    assert_eq!((register.size_witnessed(), register.size_newest()), (4, 5));
    assert!(register.stand(2).is_some(), "a quorum before W is remembered");
    // Handed to a node that holds nothing, it is taken whole.
    let mut late = Net::new(vec![Duties::none()]);
    let submission = bundle.submission(late.node(0).machine.replica()).expect("a submission");
    late.submit(0, submission).expect("taken");
    assert_eq!(late.sizes(0, "interior.example"), (4 + 1, 4));
}

#[test]
fn a_bundle_with_an_altered_view_or_body_is_refused() {
    let mut net = network();
    let mut interior = Publisher::new("interior.example");
    net.submit(3, interior.publish(&[notice("a notice of its own")])).expect("published");
    net.tick(70);
    let bytes = crate::bundle::Bundle::of(net.node(4).machine.replica()).encode();
    let now = net.now_ms / 1000;
    let altered = |what: &[u8], skip: usize| {
        let at = bytes.windows(what.len()).rposition(|window| window == what).expect("it is in there") + skip;
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        crate::bundle::Bundle::decode(&altered).expect("it reads")
    };
    let view = altered(b"standfast/view/v1\n", 18 + 64 + 1 + 2 + 9);
    assert!(view.open(now).is_err_and(|error| error.is_tampering()));
    let body = altered(b"a notice of its own", 0);
    let fresh = crate::replica::Replica::new(charter());
    assert!(body.submission(&fresh).is_err_and(|error| error.is_tampering()));
}

#[test]
fn a_submission_of_many_parts_that_end_at_once_ends() {
    let mut net = Net::new(vec![Duties::none()]);
    let head = Publisher::new("stranger.example").head(&[notice("x")]);
    let heads = vec![head; 100_000];
    assert!(net.submit(0, Submission { heads, ..Submission::default() }).is_err());
}

#[test]
fn bodies_that_nobody_holds_do_not_starve_others() {
    let mut net = network();
    let mut interior = Publisher::new("interior.example");
    (0..5).for_each(|i| net.node(i).gossip_off = true);
    net.cut(4);
    net.run();
    let texts: Vec<String> = (0..600).map(|i| format!("{i:04}")).collect();
    let mut bodies: Vec<_> = texts.iter().map(|text| notice(text)).collect();
    let held = bodies.iter().map(|(_, body)| Digest::of(body)).max().expect("some");
    bodies.sort();
    for some in bodies.chunks(100) {
        let mut head = interior.head(some);
        head.bodies.retain(|item| matches!(item, BodyItem::Whole(body) if Digest::of(body) == held));
        net.submit(3, Submission { heads: vec![head], ..Submission::default() }).expect("published");
    }
    net.link(4, 3);
    net.run();
    net.tick(20);
    assert!(net.node(4).machine.replica().bodies().contains(&held));
}

#[test]
fn a_register_made_under_an_earlier_charter_is_judged_by_the_one_in_force() {
    let mut replica = crate::replica::Replica::new(charter());
    let made = replica.candidate(&origin("interior.example")).expect("bound");
    replica.offer_charter(charters::next(&charter(), 2, |_| ()).note().to_string().as_bytes()).expect("it follows");
    replica.install(made);
    let held = replica.register(&origin("interior.example")).expect("held");
    let fresh = replica.candidate(&origin("interior.example")).expect("bound");
    let mut other = replica.clone();
    other.install(fresh.clone());
    assert!(Arc::ptr_eq(held.witnessing(), fresh.witnessing()));
    let again = crate::replica::Replica::new(charter());
    assert!(!Arc::ptr_eq(again.candidate(held.origin()).expect("bound").witnessing(), held.witnessing()));
}

#[test]
fn a_timestamp_from_the_future_replaces_none_after_a_restart() {
    let mut net = network();
    let mut interior = Publisher::new("interior.example");
    let mut head = interior.head(&[notice("one")]);
    let key = timestamp_key("interior.example");
    let sign = |time| {
        let secret = secret("interior.example timestamp");
        crate::log::cosignature::sign(&head.checkpoint.text(), time, &key, &secret)
    };
    let own = [sign(START_MS / 1000), sign(START_MS / 1000 + 1_000_000)];
    head.own.extend(own.iter().map(Signed::from_line));
    net.submit(4, Submission { heads: vec![head], ..Submission::default() }).expect("published");
    net.restart(4, Duties::none());
    let slots = net.node(4).machine.replica().timestamps()[&origin("interior.example")].clone();
    assert_eq!(slots.kept.map(|t| t.time()), Some(START_MS / 1000));
    assert!(slots.ahead.is_some());
}

#[test]
fn an_answer_that_leaves_a_gap_is_not_asked_for_without_end() {
    let mut net = Net::new(vec![Duties::none()]);
    let mut interior = Publisher::new("interior.example");
    interior.head(&[notice("one")]);
    let head = interior.head(&[notice("two")]);
    let peer = name(9);
    let mut queue = VecDeque::from([Event::Connected(peer.clone())]);
    let leaf = super::message::FrontierLeaf {
        origin: origin("interior.example"),
        newest: 2,
        root: head.checkpoint.root,
        witnessed: 0,
        fork: None,
        other: 0,
        other_witnessed: 0,
        published: 0,
        signed: [0; 8],
    };
    let mut asked = 0;
    let machine = &mut net.node(0).machine;
    // Of a register that is held, so that the frontiers tell the same and the entries differ.
    while let Some(event) = queue.pop_front() {
        for output in machine.handle(event, START_MS) {
            match output {
                Output::Request { ticket, data, .. } => {
                    asked += 1;
                    assert!(asked < 100, "asked without end");
                    let response = match super::message::Request::decode(&data).expect("a request") {
                        super::message::Request::Entries { .. } => super::message::Response::Entries {
                            newest: Box::new(HeadMessage { first: 2, entries: Vec::new(), ..head.clone() }),
                            witnessed: None,
                            timestamp: None,
                        },
                        _ => super::message::Response::Frontier {
                            charter: 1,
                            forks: Vec::new(),
                            charter_digest: Digest::OF_NOTHING,
                            views: Vec::new(),
                            misbehaved: Vec::new(),
                            node: super::message::FrontierNode::Leaves(vec![leaf.clone()]),
                        },
                    };
                    let result = Some(Bytes::from(response.encode()));
                    queue.push_back(Event::Response { peer: peer.clone(), ticket, result });
                }
                Output::Check(ticket, job) => queue.push_back(Event::Checked(ticket, job.run().map(Box::new))),
                _ => {}
            }
        }
    }
    assert!(asked >= 2);
}

#[test]
fn a_witness_that_saw_a_larger_head_says_nothing_until_it_has_admitted_it() {
    let mut net = network();
    let mut interior = Publisher::new("interior.example");
    net.submit(3, interior.publish(&[notice("one")])).expect("published");
    let vouched = |net: &mut Net| {
        let views = net.node(0).machine.replica().views();
        let held = views.get("A").and_then(|slots| slots.kept.clone()).expect("its own view");
        held.frontier.get(&origin("interior.example")).map(|leaf| leaf.size)
    };
    net.tick(70);
    assert_eq!(vouched(&mut net), Some(1));
    // The third head comes, and nobody has the second entry.
    let second = interior.head(&[notice("two")]);
    let third = interior.head(&[notice("three")]);
    let gossip = Gossip { topic: Topic::Heads, peer: name(4), message: 1_000_000 };
    net.queue.push_back((0, Event::Gossip(gossip, Bytes::from(third.encode()))));
    net.run();
    net.tick(70);
    assert_eq!(vouched(&mut net), None);
    for head in [second, third] {
        net.submit(3, Submission { heads: vec![head], ..Submission::default() }).expect("published");
    }
    net.tick(70);
    assert_eq!(vouched(&mut net), Some(3));
}

#[test]
fn a_failed_promise_is_neither_forgotten_nor_vouched_for() {
    let mut net = network();
    let mut interior = Publisher::new("interior.example");
    net.submit(3, interior.publish(&[notice("one")])).expect("published");
    let replica = net.node(4).machine.replica().clone();
    let register = replica.register(&origin("interior.example")).expect("held");
    let mut duties = witness("A");
    let now = START_MS / 1000;
    let made = duties.cosign(register, &replica, now).expect("new");
    assert_eq!(duties.cosign(register, &replica, now), None, "it is under way");
    duties.promise_came_to_nothing(made.checkpoint());
    assert!(duties.view(&replica, now).is_some_and(|view| view.held.frontier.is_empty()));
    let again = duties.cosign(register, &replica, now).expect("the same may be signed again");
    assert_eq!(again.checkpoint(), made.checkpoint());
    duties.promise_is_durable(again.checkpoint());
    assert_eq!(duties.cosign(register, &replica, now), None);
    assert!(duties.view(&replica, now + 60).is_some_and(|view| view.held.frontier.len() == 1));
}
