//! Several real processes: what is published, revoked, lost and attacked, and what becomes of it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use libp2p::identity::Keypair;
use serde_json::Value;
use standfast_node::api::envelope;
use standfast_node::keystore::Keystore;
use standfast_node::ledger::{self, Ledger, LedgerError};
use standfast_node::network::{Network, NetworkConfig, NetworkEvent, NetworkHandle, Topic};
use standfast_protocol::digest::Digest;
use standfast_protocol::key::SecretKey;
use standfast_protocol::log::note;
use standfast_protocol::sync::Submission;
use standfast_protocol::sync::message::{Prefix, Request};
use standfast_tests::cluster::{
    self, Federation, Node, Publisher, ended, http, licence, register_in, revoked, submission,
};
use standfast_tests::dice::Dice;
use standfast_tests::skip::{Kind, Skip, unless_missing};
use standfast_tests::world::{canonical, did_key};
use tokio::sync::mpsc;

const PERMIT: &str = "https://gov.example/Permit";

fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_standfast-under-test"))
}

fn federation(witnesses: usize) -> Federation {
    Federation::new(binary(), witnesses)
}

/// All that is the same on every node that holds the same.
fn held(node: &Node) -> Vec<(Value, Value, Value)> {
    let status = node.get("/v1/status").json();
    let registers = status["registers"].as_array().expect("registers");
    registers.iter().map(|r| (r["origin"].clone(), r["root"].clone(), r["size_witnessed"].clone())).collect()
}

#[test]
fn what_is_published_is_witnessed_everywhere_and_a_revocation_reaches_all() {
    let mut federation = federation(3);
    let addresses = federation.start_witnesses();
    let mut publisher = federation.publishing_node();
    publisher.peers.clone_from(&addresses);
    publisher.start();
    let mut follower = federation.node();
    // Of all nodes it knows one; the rest comes by gossip.
    follower.peers = vec![addresses[0].clone()];
    follower.start();
    follower.connected(1);
    for part in federation.founding() {
        publisher.publish(&part);
    }
    let licence = licence(7);
    {
        let nodes: Vec<&Node> = federation.witnesses.iter().chain([&publisher, &follower]).collect();
        for node in &nodes {
            for origin in [&federation.interior.origin, &federation.ministry.origin, &federation.transport.origin] {
                node.witnessed(origin, 1);
            }
            let verdict = node.verdict(&licence, "accepted");
            assert_eq!(verdict["code"], "accepted", "{verdict}");
            // All three cosign in the end, and both ages are known.
            let status = node.status_when("three cosignatures and both ages", |status| {
                let register = register_in(status, &federation.transport.origin);
                register["witnesses"] == 3
                    && register["witnessed_age_s"].is_u64()
                    && register["published_age_s"].is_u64()
            });
            assert_eq!(register_in(&status, &federation.transport.origin)["state"], "good");
            assert_eq!(status["node"]["witnesses_in_reach"], 3, "{status}");
            assert!(status["charter"]["age_s"].is_u64(), "{status}");
            assert_eq!(held(node), held(&publisher));
        }
    }
    publisher.publish(&federation.transport.put(vec![revoked(&[7])]));
    for node in federation.witnesses.iter().chain([&publisher, &follower]) {
        let verdict = node.verdict(&licence, "rejected");
        assert_eq!(verdict["code"], "status-revoked", "{verdict}");
        node.witnessed(&federation.transport.origin, 2);
    }
    // One witness fewer is still a quorum, and what is witnessed stays so; with two fewer a revocation counts all the same.
    federation.witnesses[2].kill();
    publisher.publish(&federation.transport.put(vec![revoked(&[7, 8])]));
    for node in [&federation.witnesses[0], &federation.witnesses[1], &publisher, &follower] {
        node.witnessed(&federation.transport.origin, 3);
    }
    federation.witnesses[1].kill();
    let another = cluster::licence(9);
    follower.verdict(&another, "accepted");
    publisher.publish(&federation.transport.put(vec![revoked(&[7, 8, 9])]));
    for node in [&federation.witnesses[0], &publisher, &follower] {
        node.verdict(&another, "rejected");
        let status = node.get("/v1/status").json();
        let register = register_in(&status, &federation.transport.origin);
        assert_eq!((&register["size_newest"], &register["size_witnessed"]), (&4.into(), &3.into()), "{status}");
    }
    // A witness comes back, and the quorum with it.
    federation.witnesses[1].start();
    for node in [&federation.witnesses[0], &federation.witnesses[1], &publisher, &follower] {
        node.witnessed(&federation.transport.origin, 4);
    }
}

#[test]
fn a_late_joiner_catches_up_also_through_edges_that_it_learns_on_the_way() {
    let mut federation = federation(1);
    let addresses = federation.start_witnesses();
    let witness_publishes = |federation: &Federation, part: &Submission| federation.witnesses[0].publish(part);
    for part in federation.founding() {
        witness_publishes(&federation, &part);
    }
    for number in 0..40 {
        let part = federation.transport.put_number(number);
        witness_publishes(&federation, &part);
    }
    let mut late = federation.node();
    late.peers.clone_from(&addresses);
    late.start();
    late.witnessed(&federation.interior.origin, 1);
    late.witnessed(&federation.ministry.origin, 1);
    late.witnessed(&federation.transport.origin, 41);
    late.line("sync", |line| line["entries"].as_u64() >= Some(1));
    assert_eq!(held(&late), held(&federation.witnesses[0]));
    // Now an edge that is published while it looks on, to a register whose entries are older than the edge is here.
    let mut harbour = Publisher::new("harbour", 14);
    let entry = harbour.put_number(1);
    let edge = federation.permit(&harbour.did, PERMIT, &harbour.binding());
    let refused = late.try_publish(&entry).expect("an answer");
    assert_eq!((refused.status, refused.json()["code"].clone()), (409, "register-unbound".into()));
    late.publish(&edge);
    late.witnessed(&federation.ministry.origin, 2);
    late.publish(&entry);
    for node in [&late, &federation.witnesses[0]] {
        node.witnessed(&harbour.origin, 1);
    }
    // And one who has never met the witness learns it all from the one that was late.
    let mut later = federation.node();
    later.peers = vec![late.address()];
    later.start();
    later.witnessed(&harbour.origin, 1);
    later.witnessed(&federation.transport.origin, 41);
}

/// Rounds of the tests that kill at random: few, and many when `STANDFAST_SOAK` is set.
fn rounds(few: usize, many: usize) -> usize {
    if std::env::var_os("STANDFAST_SOAK").is_some_and(|value| !value.is_empty()) { many } else { few }
}

#[test]
fn a_node_that_is_killed_while_publishing_loses_nothing_acknowledged() {
    let (seed, mut dice) = Dice::seeded(20_261_120);
    let mut federation = federation(1);
    let addresses = federation.start_witnesses();
    let mut publisher = federation.publishing_node();
    publisher.peers = addresses;
    publisher.start();
    federation.witnesses[0].peers = vec![publisher.address()];
    let origin = federation.interior.origin.clone();
    let mut agency = Publisher { keys: federation.interior.keys.clone(), ..Publisher::new("interior", 11) };
    let acknowledged = AtomicU64::new(0);
    let mut pending: Option<Submission> = None;
    for round in 0..rounds(24, 200) {
        // Every third time it is the witness: between its promise and its cosignature, perhaps.
        let victim = if round % 3 == 2 { federation.witnesses[0].process() } else { publisher.process() };
        let killed_publisher = victim == publisher.process();
        let target = acknowledged.load(Ordering::SeqCst) + dice.below(6) as u64;
        let spin = dice.below(4000);
        std::thread::scope(|scope| {
            let (pending, agency, acknowledged, publisher) = (&mut pending, &mut agency, &acknowledged, &publisher);
            let api = publisher.api().to_owned();
            let publishing = scope.spawn(move || {
                loop {
                    let part = pending.take().unwrap_or_else(|| agency.put_number(agency.ground.edge.size()));
                    match cluster::publish_at(&api, &part) {
                        Ok(answer) if answer.status == 200 => {
                            acknowledged.store(part.heads[0].checkpoint.size, Ordering::SeqCst);
                        }
                        Ok(answer) => panic!("{}: {}", answer.status, answer.text()),
                        Err(_) => {
                            // The same bytes once more, after the restart.
                            *pending = Some(part);
                            return;
                        }
                    }
                    if !killed_publisher && acknowledged.load(Ordering::SeqCst) >= target + 3 {
                        return;
                    }
                }
            });
            let reached = cluster::within(|| {
                (acknowledged.load(Ordering::SeqCst) >= target || publishing.is_finished()).then_some(())
            });
            assert!(reached.is_some(), "seed {seed}, round {round}: publishing goes on");
            // A moment that the dice choose, in the middle of whatever is under way.
            (0..spin).for_each(|_| std::hint::spin_loop());
            cluster::send_signal(victim, "KILL");
            publishing.join().expect("the publisher");
        });
        let victim = if killed_publisher { &mut publisher } else { &mut federation.witnesses[0] };
        victim.kill();
        victim.start();
        let sure = acknowledged.load(Ordering::SeqCst);
        let size = publisher.size_newest(&origin);
        let open = u64::from(pending.is_some());
        assert!((sure..=sure + open).contains(&size), "seed {seed}, round {round}: {size} of {sure} and {open} more");
    }
    if let Some(part) = pending.take() {
        publisher.publish(&part);
    }
    let size = agency.ground.edge.size();
    for node in [&publisher, &federation.witnesses[0]] {
        node.witnessed(&origin, size);
        let status = node.get("/v1/status").json();
        assert_eq!(status["forks"], Value::Array(Vec::new()), "seed {seed}");
        assert_eq!(register_in(&status, &origin)["state"], "good", "seed {seed}");
    }
    assert_eq!(held(&publisher), held(&federation.witnesses[0]), "seed {seed}");
    // Every single record is there, with its body.
    for number in 0..size {
        let record = publisher.get(&format!("/v1/records/interior.example/did/did:web:n{number}.example")).json();
        assert_eq!(record["body"]["id"], format!("did:web:n{number}.example"), "seed {seed}: {record}");
    }
}

#[test]
fn an_index_that_is_gone_or_garbage_is_rebuilt_and_bodies_are_served() {
    let mut federation = federation(1);
    federation.start_witnesses();
    for part in federation.founding() {
        federation.witnesses[0].publish(&part);
    }
    let origin = federation.transport.origin.clone();
    let index = federation.witnesses[0].data_dir().join("index");
    let garbage = |with: &dyn Fn(usize) -> Vec<u8>| {
        for file in files_below(&index) {
            let size = fs::metadata(&file).expect("a file").len();
            fs::write(&file, with(usize::try_from(size).expect("a small file"))).expect("a file");
        }
    };
    let mut size = 1;
    let damages: [(&str, &dyn Fn()); 4] = [
        ("deleted", &|| fs::remove_dir_all(&index).expect("a folder")),
        ("garbage of the same size", &|| garbage(&|size| (0..size).map(|at| (at * 7 + 3) as u8).collect())),
        ("emptied", &|| garbage(&|_| Vec::new())),
        ("a file instead of a folder", &|| {
            fs::remove_dir_all(&index).expect("a folder");
            fs::write(&index, b"garbage").expect("a file");
        }),
    ];
    for (round, (what, damage)) in damages.iter().enumerate() {
        federation.witnesses[0].witnessed(&origin, size);
        if round % 2 == 0 {
            federation.witnesses[0].kill();
        } else {
            federation.witnesses[0].stop("TERM");
        }
        damage();
        federation.witnesses[0].start();
        let witness = &federation.witnesses[0];
        let record = witness.get("/v1/records/transport.example/did/did:web:transport.example").json();
        assert_eq!(record["body"]["id"], "did:web:transport.example", "{what}: {record}");
        witness.publish(&federation.transport.put_number(size));
        size += 1;
        witness.witnessed(&origin, size);
        let address = witness.address();
        let mut joiner = federation.node();
        joiner.peers = vec![address];
        joiner.start();
        joiner.witnessed(&origin, size);
    }
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Opens a ledger. Its lock may live on for a moment in a process that another test has just started.
fn open_ledger(path: &Path, agency: &Publisher) -> Ledger {
    let free = || match Ledger::open(path, &agency.keys[0]) {
        Err(LedgerError::Locked(_)) => None,
        opened => Some(opened),
    };
    cluster::within(free).expect("a lock that is free").expect("a ledger")
}

#[test]
fn killed_between_signing_and_answer_the_same_bytes_are_published_again() {
    let (seed, mut dice) = Dice::seeded(5);
    let mut federation = federation(1);
    let addresses = federation.start_witnesses();
    let mut publisher = federation.publishing_node();
    publisher.peers = addresses;
    publisher.start();
    let agency = Publisher { keys: federation.interior.keys.clone(), ..Publisher::new("interior", 11) };
    let origin = agency.origin.clone();
    let dir = tempfile::tempdir().expect("a scratch folder");
    let path = dir.path().join("interior.ledger");
    Ledger::create(&path, &agency.keys[0]).expect("a ledger");
    let secret = SecretKey::from_seed(&[11; 32]);
    let mut ground = agency.ground.clone();
    for round in 0..rounds(8, 60) {
        let edit = |round: usize| {
            let did = format!("did:web:r{round}.example");
            (did_key(&did), Some(canonical(&format!(r#"{{"id":"{did}","round":{round}}}"#))))
        };
        let drafter = Publisher { ground: ground.clone(), keys: agency.keys.clone(), ..Publisher::new("interior", 11) };
        let prepared = drafter.prepare(&[edit(round)]);
        let entries: Vec<Vec<u8>> = prepared.entries().iter().map(|entry| entry.bytes().to_vec()).collect();
        let on = ledger::Ground { edge: &ground.edge, proof: &[] };
        let mut book = open_ledger(&path, &agency);
        let signed = book.sign(prepared.checkpoint(), &entries, &on, &secret).expect("a signature");
        drop(book);
        let part = submission(&prepared, &signed.note.signatures()[0], vec![edit(round)]);
        // Signed and handed over; the node dies before it answers, perhaps before it has read a byte.
        let body = envelope::encode(&part);
        let headers = [("Content-Type", "application/cbor")];
        let request = cluster::request(publisher.api(), "POST", "/v1/publish", &headers, &body);
        let sent = [0, request.len() / 2, request.len()][dice.below(3)];
        let mut stream = TcpStream::connect(publisher.api()).expect("a connection");
        stream.write_all(&request[..sent]).expect("the request");
        (0..dice.below(1 << 20)).for_each(|_| std::hint::spin_loop());
        publisher.kill();
        publisher.start();
        let size = publisher.size_newest(&origin);
        assert!((round as u64..=round as u64 + 1).contains(&size), "seed {seed}, round {round}: {size}");
        // Whoever publishes again does not know what has arrived. Something else at this size is not signed …
        let mut book = open_ledger(&path, &agency);
        let other = drafter.prepare(&[edit(round + 1000)]);
        let others: Vec<Vec<u8>> = other.entries().iter().map(|entry| entry.bytes().to_vec()).collect();
        let refused = book.sign(other.checkpoint(), &others, &on, &secret);
        assert!(matches!(refused, Err(LedgerError::Signed { .. })), "{refused:?}");
        // … and what was signed comes out of the ledger to the byte, and is taken.
        let again = book.signed_above(round as u64).expect("a ledger");
        assert_eq!(again, [signed]);
        let again = submission(&prepared, &again[0].note.signatures()[0], vec![edit(round)]);
        assert_eq!(envelope::encode(&again), body);
        publisher.publish(&again);
        ground = prepared.ground().clone();
    }
    let size = ground.edge.size();
    for node in [&publisher, &federation.witnesses[0]] {
        node.witnessed(&origin, size);
        assert_eq!(node.get("/v1/status").json()["forks"], Value::Array(Vec::new()), "seed {seed}");
    }
}

#[test]
fn a_publishing_command_that_is_cut_off_after_signing_is_finished_by_the_next_one() {
    let mut federation = federation(1);
    let addresses = federation.start_witnesses();
    let mut node = federation.node();
    node.peers = addresses;
    node.start();
    let binding = node.make_register("harbour");
    for part in federation.founding() {
        node.publish(&part);
    }
    node.publish(&federation.permit("did:web:harbour.example", PERMIT, &binding));
    let origin: Value = serde_json::from_str(&binding).expect("JSON");
    let origin = origin["origin"].as_str().expect("an origin").to_owned();
    let ledger = Keystore::in_data_dir(&node.data_dir()).ledger_path("harbour");
    let signed = || fs::metadata(&ledger).expect("a ledger").len();
    let rounds = rounds(6, 60);
    for round in 0..rounds {
        fs::write(node.dir().join("notice.txt"), format!("notice {round}")).expect("a file");
        let line = format!("record publish notice/{round} notice.txt --yes --json");
        let before = signed();
        let mut command = node.cli(&line);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the command starts");
        // A look takes a microsecond; from the signature to the answer it is some thousand of them.
        let end = Instant::now() + cluster::BOUND;
        while signed() == before {
            assert!(Instant::now() < end, "round {round}: nothing is signed");
            std::hint::spin_loop();
        }
        if round % 3 != 1 {
            child.kill().expect("a process");
        }
        if round % 3 != 0 {
            node.kill();
            node.start();
        }
        child.wait().expect("its end");
        let again = ended(node.cli(&line));
        let told = [again.stdout, again.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert_eq!(again.status.code(), Some(0), "round {round}: {told}");
        let record = node.get(&format!("/v1/records/harbour.example/notice/{round}")).json();
        assert_eq!(record["size_newest"], round + 1, "round {round}, one entry each: {told}");
    }
    for held in [&node, &federation.witnesses[0]] {
        held.witnessed(&origin, rounds as u64);
        assert_eq!(held.get("/v1/status").json()["forks"], Value::Array(Vec::new()));
    }
}

// ---- attacks -------------------------------------------------------------------------------------------------------

/// A peer made by hand: it speaks as the nodes do, and says what it likes.
struct Attacker {
    runtime: tokio::runtime::Runtime,
    handle: NetworkHandle,
    events: mpsc::Receiver<NetworkEvent>,
}

impl Attacker {
    fn new(network: [u8; 32], addresses: &[String]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let static_peers = addresses.iter().map(|address| address.parse().expect("an address")).collect();
        let config = NetworkConfig { static_peers, memory_max: None, dns: false, ..NetworkConfig::new(network) };
        let entered = runtime.enter();
        let (handle, events) = Network::start(config, Keypair::generate_ed25519()).expect("a network");
        drop(entered);
        Self { runtime, handle, events }
    }

    fn peer(&self) -> String {
        self.handle.peer_id().to_string()
    }

    /// Waits until it is subscribed with this many peers.
    fn meshed(&self, peers: usize) {
        let subscribed = || {
            let status = self.runtime.block_on(self.handle.peers()).expect("a network");
            (status.iter().filter(|peer| peer.subscribed).count() >= peers).then_some(())
        };
        assert!(cluster::within(subscribed).is_some(), "the attacker is subscribed with {peers} peers");
    }

    fn gossip(&self, topic: Topic, data: &[u8]) {
        let sent = self.runtime.block_on(self.handle.publish(topic, Bytes::copy_from_slice(data)));
        sent.expect("it is sent");
    }

    /// Sends a request and waits for what becomes of it.
    fn request(&mut self, node: &Node, data: &[u8]) -> Result<Bytes, standfast_node::network::RequestFailure> {
        let peer = node.peer().parse().expect("a peer id");
        let (handle, events) = (&self.handle, &mut self.events);
        self.runtime.block_on(async {
            handle.request(peer, 1, Bytes::copy_from_slice(data)).await.expect("a network");
            let answer = async {
                while let Some(event) = events.recv().await {
                    if let NetworkEvent::Response { result, .. } = event {
                        return result;
                    }
                }
                panic!("the network ended");
            };
            tokio::time::timeout(cluster::BOUND, answer).await.expect("an answer within the bound")
        })
    }
}

fn refusals(node: &Node, peer: &str) -> usize {
    node.lines().iter().filter(|line| line["word"] == "refused" && line["peer"] == peer).count()
}

#[test]
fn a_bad_signature_costs_its_sender_and_nobody_else() {
    let mut federation = federation(1);
    let addresses = federation.start_witnesses();
    let mut publisher = federation.publishing_node();
    publisher.peers.clone_from(&addresses);
    publisher.start();
    let mut bystander = federation.node();
    bystander.peers = vec![addresses[0].clone(), publisher.address()];
    bystander.start();
    for part in federation.founding() {
        publisher.publish(&part);
    }
    bystander.witnessed(&federation.transport.origin, 1);
    let everywhere = vec![addresses[0].clone(), publisher.address(), bystander.address()];
    let mut attacker = Attacker::new(federation.network.0, &everywhere);
    attacker.meshed(3);
    let name = attacker.peer();
    let nodes = [&federation.witnesses[0], &publisher, &bystander];
    let since = |node: &Node| {
        let peers = node.get("/v1/peers").json()["peers"].as_array().expect("peers").clone();
        peers.into_iter().filter(|peer| peer["peer"] != name.as_str()).collect::<Vec<_>>()
    };
    let before: Vec<Vec<Value>> = nodes.map(since).into();

    // A register that nobody binds: ignored, and no fault of the sender, who may be ahead of us.
    let mut stranger = Publisher::new("stranger", 99);
    let unknown = stranger.put_number(1).heads[0].encode();
    attacker.gossip(Topic::Heads, &unknown);
    // A head of a known register, signed in the name of its key by another one.
    let key = federation.transport.keys[0].clone();
    let forged = |index: u64| {
        let prepared = federation.transport.prepare(&[revoked(&[index])]);
        let mut line = note::sign(&prepared.text(), &key, &SecretKey::from_seed(&[66; 32]));
        line.id = note::sign(&prepared.text(), &key, &federation.transport.secret).id;
        submission(&prepared, &line, Vec::new()).heads[0].encode()
    };
    attacker.gossip(Topic::Heads, &forged(0));
    for node in nodes {
        let told = node.line("refused", |line| line["peer"] == name.as_str());
        assert!(told["reason"].as_str().expect("a reason").contains("authenticate"), "{told}");
        assert_eq!(refusals(node, &name), 1, "the unknown register is no fault: {:?}", node.lines());
        let status = node.get("/v1/status").json();
        assert_eq!(register_in(&status, &stranger.origin), &Value::Null);
        assert_eq!(register_in(&status, &federation.transport.origin)["size_newest"], 1);
        for other in nodes {
            assert_eq!(refusals(node, &other.peer()), 0, "nobody passed it on: {:?}", node.lines());
        }
    }
    // The fourth makes them deaf to it. An answer to a request shows that the verdict before it has come.
    let frontier = Request::Frontier { prefix: Prefix::default(), root: Digest::OF_NOTHING }.encode();
    for index in 1..8 {
        attacker.gossip(Topic::Heads, &forged(index));
        if index < 4 {
            nodes[0].wait("a refusal", || (refusals(nodes[0], &name) > index as usize).then_some(()));
        }
        attacker.request(nodes[0], &frontier).expect("an honest answer");
    }
    assert_eq!(refusals(nodes[0], &name), 4, "{:?}", nodes[0].lines());
    // Requests that are none: refused, and the next one is answered.
    let requests: [&[u8]; 3] = [b"", b"garbage", &[0xff; 60_000]];
    for data in requests {
        let refused = attacker.request(nodes[0], data);
        assert_eq!(refused, Err(standfast_node::network::RequestFailure::Refused));
    }
    attacker.request(nodes[0], &frontier).expect("an honest answer");
    // The others are as they were, and speak to each other.
    assert_eq!(before, nodes.map(since));
    publisher.publish(&federation.transport.put(vec![revoked(&[7])]));
    for node in nodes {
        node.witnessed(&federation.transport.origin, 2);
    }
}

#[test]
fn garbage_and_oversized_messages_are_refused_without_harm() {
    let mut federation = federation(1);
    let addresses = federation.start_witnesses();
    let mut neighbour = federation.publishing_node();
    neighbour.peers.clone_from(&addresses);
    neighbour.start();
    for part in federation.founding() {
        neighbour.publish(&part);
    }
    let witness = &federation.witnesses[0];
    witness.witnessed(&federation.transport.origin, 1);
    let attacker = Attacker::new(federation.network.0, &[witness.address(), neighbour.address()]);
    attacker.meshed(2);
    let before = witness.memory();

    // By gossip: garbage of all sizes up to the largest that is sent at all.
    let name = attacker.peer();
    for (topic, data) in
        [(Topic::Heads, vec![0; 1]), (Topic::Statements, vec![0xff; 16 * 1024]), (Topic::Forks, b"garbage".to_vec())]
    {
        attacker.gossip(topic, &data);
    }
    witness.wait("three refusals", || (refusals(witness, &name) >= 3).then_some(()));

    // On the raw port: noise instead of Noise, in small and in large amounts, and connections that say nothing.
    let noise: Vec<u8> = (0..1_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut silent = Vec::new();
    for round in 0..64 {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", witness.port())) else { continue };
        if round % 2 == 0 {
            // It may be closed while we still write.
            let _ = stream.write_all(&noise[..[1, 100, 10_000, 1_000_000][round / 2 % 4]]);
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
            let _ = stream.read(&mut [0; 16]);
        } else {
            silent.push(stream);
        }
    }
    // With libp2p's own greeting before it.
    let mut stream = TcpStream::connect(("127.0.0.1", witness.port())).expect("a connection");
    let _ = stream.write_all(b"\x13/multistream/1.0.0\n\x07/noise\n").and_then(|()| stream.write_all(&noise));

    // On the API.
    let cbor = [("Content-Type", "application/cbor")];
    let api = witness.api();
    for garbage in [&b""[..], b"garbage", b"standfast bundle 1\n", &[0x9f; 4096], &noise] {
        let answer = http(api, "POST", "/v1/publish", &cbor, garbage).expect("an answer");
        assert_eq!((answer.status, answer.json()["exit"].clone()), (400, 2.into()));
        let verdict = http(api, "POST", "/v1/verify", &[("X-Standfast", "1")], garbage).expect("a verdict").json();
        assert_eq!(verdict["outcome"], "rejected", "{verdict}");
    }
    let announced = |path: &str, length: u64| {
        let mut stream = TcpStream::connect(api).expect("a connection");
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {api}\r\nX-Standfast: 1\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("a request");
        let mut answer = [0; 12];
        stream.set_read_timeout(Some(cluster::BOUND)).expect("a timeout");
        stream.read_exact(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    };
    assert_eq!(announced("/v1/verify", 5 << 20), "HTTP/1.1 413");
    assert_eq!(announced("/v1/submit", 1 << 40), "HTTP/1.1 413");
    // Without an announced length: many at once, each as much as it likes, and none comes to an end.
    let submissions: Vec<TcpStream> = std::thread::scope(|scope| {
        let endless = || {
            let mut stream = TcpStream::connect(api).expect("a connection");
            let head = format!(
                "POST /v1/submit HTTP/1.1\r\nHost: {api}\r\nX-Standfast: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            let mut sent = stream.write_all(head.as_bytes());
            for _ in 0..16 {
                sent = sent.and_then(|()| write!(stream, "{:x}\r\n", noise.len()));
                sent = sent.and_then(|()| stream.write_all(&noise)).and_then(|()| stream.write_all(b"\r\n"));
            }
            stream
        };
        let writers: Vec<_> = (0..12).map(|_| scope.spawn(endless)).collect();
        writers.into_iter().map(|writer| writer.join().expect("a writer")).collect()
    });
    let most = witness.memory_most();
    assert!(most <= before + (96 << 20), "{} KiB before, {} KiB at most", before >> 10, most >> 10);
    drop(submissions);
    let mut slow = TcpStream::connect(api).expect("a connection");
    slow.write_all(b"POST /v1/submit HTTP/1.1\r\nHost: localhost\r\n").expect("half a request");

    // Nothing of it did harm: it answers, it hears its neighbour, and it has not grown.
    assert_eq!(witness.get("/v1/health").status, 200);
    neighbour.publish(&federation.transport.put(vec![revoked(&[7])]));
    witness.witnessed(&federation.transport.origin, 2);
    let bound = before + (64 << 20);
    let small = cluster::within(|| Some(witness.memory()).filter(|after| *after <= bound));
    assert!(small.is_some(), "{} KiB before, {} KiB after", before >> 10, witness.memory() >> 10);
    drop((silent, slow, stream));
}

// ---- starting and stopping -----------------------------------------------------------------------------------------

#[test]
fn a_node_stops_cleanly_and_is_at_once_back_in_the_gossip() {
    let mut federation = federation(1);
    let addresses = federation.start_witnesses();
    let mut node = federation.publishing_node();
    node.peers = addresses;
    node.start();
    for part in federation.founding() {
        node.publish(&part);
    }
    let origin = federation.transport.origin.clone();
    let mut size = 1;
    for signal in ["TERM", "INT", "TERM"] {
        node.witnessed(&origin, size);
        let (code, lines) = node.stop(signal);
        assert_eq!(code, Some(0), "{signal}");
        let last = lines.last().expect("a line");
        assert_eq!((&last["word"], &last["waiting"]), (&"stop".into(), &0.into()), "{signal}: {lines:?}");
        assert!(!node.data_dir().join("node.json").exists());
        // The same peer id and address, which `start` checks; and gossip in both directions.
        node.start();
        for from in [&node, &federation.witnesses[0]] {
            size += 1;
            from.publish(&federation.transport.put_number(size));
            node.witnessed(&origin, size);
            federation.witnesses[0].witnessed(&origin, size);
        }
    }
}

#[test]
fn a_second_node_on_a_data_directory_is_refused() {
    let mut federation = federation(1);
    let mut node = federation.node();
    node.start();
    let mut second = node.command();
    second.args(["--listen", "/ip4/127.0.0.1/tcp/0"]);
    let refused = ended(second);
    assert_eq!(refused.status.code(), Some(5));
    let error: Value = serde_json::from_slice(&refused.stdout).expect("one JSON document");
    assert_eq!((&error["kind"], &error["code"]), (&"standfast/error/v1".into(), &"store-locked".into()), "{error}");
    assert_eq!(node.get("/v1/health").status, 200);
    assert!(node.data_dir().join("node.json").exists(), "the first node's file is not touched");
    // A kill leaves a lock that is nobody's.
    node.kill();
    node.start();
}

#[test]
fn an_unknown_setting_is_an_error() {
    let mut federation = federation(1);
    let mut node = federation.node();
    for more in ["colour = \"red\"\n", "[publisher.more]\nx = 1\n", "[gossip]\nfast = true\n"] {
        node.more = more.to_owned();
        let refused = ended(node.command());
        assert_eq!(refused.status.code(), Some(2), "{more}");
        let error: Value = serde_json::from_slice(&refused.stdout).expect("one JSON document");
        assert_eq!((&error["code"], &error["exit"]), (&"config".into(), &2.into()), "{error}");
    }
    node.more.clear();
    node.start();
}

// ---- without any network -------------------------------------------------------------------------------------------

/// Runs a command where there is no network, not even to itself; says why it cannot.
fn without_network(command: &Command) -> Result<Command, Skip> {
    let mut inside = Command::new("unshare");
    inside.args(["--net", "--"]).arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        inside.env(name, value.unwrap_or_default());
    }
    inside.current_dir(command.get_current_dir().unwrap_or(Path::new(".")));
    let tried = Command::new("unshare").args(["--net", "--", "true"]).output();
    match tried {
        Ok(output) if output.status.success() => Ok(inside),
        Ok(output) => Err(Skip::new(Kind::Netns, String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(Skip::new(Kind::Netns, format!("unshare: {error}"))),
    }
}

#[test]
fn a_verdict_needs_no_network() {
    let mut federation = federation(1);
    federation.start_witnesses();
    for part in federation.founding() {
        federation.witnesses[0].publish(&part);
    }
    federation.witnesses[0].publish(&federation.transport.put(vec![revoked(&[7])]));
    let witness = &mut federation.witnesses[0];
    witness.witnessed(&federation.transport.origin, 2);
    // What the witness's node holds, as a bundle; and the folder of another, which has the publishers' timestamps.
    let mut node = federation.publishing_node();
    node.peers = vec![federation.witnesses[0].address()];
    node.start();
    node.verdict(&licence(8), "accepted");
    fs::write(node.dir().join("port.standfast"), node.get("/v1/snapshot").body).expect("a file");
    fs::write(node.dir().join("good.jwt"), licence(8)).expect("a file");
    fs::write(node.dir().join("revoked.jwt"), licence(7)).expect("a file");
    assert_eq!(node.stop("TERM").0, Some(0));
    federation.witnesses[0].kill();
    for trust in ["port.standfast", "data"] {
        for (file, exit, code) in [("good.jwt", 0, "accepted"), ("revoked.jwt", 1, "status-revoked")] {
            let verify = node.cli(&format!("verify {file} --trust {trust} --json"));
            let Some(inside) = unless_missing(without_network(&verify)) else { return };
            let output = ended(inside);
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(output.status.code(), Some(exit), "{told}{}", String::from_utf8_lossy(&output.stderr));
            let verdict: Value = serde_json::from_str(&told).expect("one JSON document");
            assert_eq!(verdict["code"], code, "{verdict}");
        }
    }
}
