//! Nodes in one process over real sockets on 127.0.0.1. Nothing sleeps to let things settle: each test waits for a
//! condition, within [`BOUND`].

#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use libp2p::identity::Keypair;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, Swarm};
use tokio::sync::mpsc;

use super::behaviour::{self, Behaviour, BehaviourEvent, Names};
use super::codec::FrameCodec;
use super::*;

const BOUND: Duration = Duration::from_secs(60);
const NETWORK: [u8; 32] = [7; 32];

struct Node {
    handle: NetworkHandle,
    events: mpsc::Receiver<NetworkEvent>,
    listening: Vec<Multiaddr>,
}

fn config() -> NetworkConfig {
    NetworkConfig {
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        dns: false,
        memory_max: None,
        redial: (Duration::from_millis(100), Duration::from_millis(500)),
        ..NetworkConfig::new(NETWORK)
    }
}

async fn start(config: NetworkConfig) -> Node {
    start_as(config, Keypair::generate_ed25519()).await
}

async fn start_as(config: NetworkConfig, keypair: Keypair) -> Node {
    let listeners = config.listen.len();
    let (handle, events) = Network::start(config, keypair).unwrap();
    let mut node = Node { handle, events, listening: Vec::new() };
    while node.listening.len() < listeners {
        let address =
            node.wait(|event| if let NetworkEvent::Listening(address) = event { Some(address) } else { None });
        let address = address.await;
        node.listening.push(address.with_p2p(node.handle.peer_id()).unwrap());
    }
    node
}

impl Node {
    fn peer(&self) -> PeerId {
        self.handle.peer_id()
    }

    fn address(&self) -> Multiaddr {
        self.listening[0].clone()
    }

    /// Drops events until one gives a value.
    async fn wait<T>(&mut self, mut pick: impl FnMut(NetworkEvent) -> Option<T>) -> T {
        let picked = async {
            loop {
                let event = self.events.recv().await.expect("the network runs");
                if let Some(value) = pick(event) {
                    return value;
                }
            }
        };
        tokio::time::timeout(BOUND, picked).await.expect("the event comes within the bound")
    }

    async fn connected(&mut self) -> (PeerId, bool, Transport) {
        self.wait(|event| match event {
            NetworkEvent::Connected { peer, outbound, transport, .. } => Some((peer, outbound, transport)),
            _ => None,
        })
        .await
    }

    async fn disconnected(&mut self, from: PeerId) {
        self.wait(|event| matches!(event, NetworkEvent::Disconnected { peer } if peer == from).then_some(())).await
    }

    async fn gossip(&mut self) -> (PeerId, MessageId, Bytes) {
        self.wait(|event| match event {
            NetworkEvent::Gossip { from, id, data, .. } => Some((from, id, data)),
            _ => None,
        })
        .await
    }

    async fn asked(&mut self) -> (u64, Bytes) {
        self.wait(|event| match event {
            NetworkEvent::Request { ticket, data, .. } => Some((ticket, data)),
            _ => None,
        })
        .await
    }

    async fn answer(&mut self) -> (u64, Result<Bytes, RequestFailure>) {
        self.wait(|event| match event {
            NetworkEvent::Response { ticket, result, .. } => Some((ticket, result)),
            _ => None,
        })
        .await
    }

    /// Asks for the peers again and again until they are as expected.
    async fn until(&self, expected: impl Fn(&[PeerStatus]) -> bool) {
        let checks = async {
            while !expected(&self.handle.peers().await.unwrap()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(BOUND, checks).await.expect("the peers are as expected within the bound");
    }

    async fn meshed(&self, peers: usize) {
        self.until(|status| status.iter().filter(|peer| peer.subscribed && peer.in_mesh).count() == peers).await;
    }

    async fn score_of(&self, peer: PeerId) -> f64 {
        self.handle.peers().await.unwrap().iter().find(|status| status.peer == peer).unwrap().score
    }

    async fn publish(&self, data: &'static [u8]) {
        assert!(self.handle.publish(Topic::Heads, Bytes::from_static(data)).await.unwrap() > 0);
    }
}

/// A peer that is a bare swarm, in order to misbehave.
fn bare(keypair: Keypair) -> Swarm<Behaviour> {
    let config = NetworkConfig { listen: Vec::new(), ..config() };
    behaviour::swarm(&config, &Names::of(&NETWORK), keypair).unwrap()
}

async fn until_identified(swarm: &mut Swarm<Behaviour>) {
    let identified = async {
        while !matches!(
            swarm.select_next_some().await,
            SwarmEvent::Behaviour(BehaviourEvent::Identify(libp2p::identify::Event::Received { .. }))
        ) {}
    };
    tokio::time::timeout(BOUND, identified).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_connect_by_tcp_and_by_quic() {
    let listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap(), "/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()];
    let mut a = start(NetworkConfig { listen, ..config() }).await;
    for address in a.listening.clone() {
        let quic = address.to_string().contains("quic");
        let mut b = start(NetworkConfig { static_peers: vec![address], ..config() }).await;
        let transport = if quic { Transport::Quic } else { Transport::Tcp };
        assert_eq!(b.connected().await, (a.peer(), true, transport));
        assert_eq!(a.connected().await, (b.peer(), false, transport));
        b.meshed(1).await;
        // Other bytes each time: a second message with one content would be a duplicate.
        let data: &[u8] = if quic { b"by quic" } else { b"by tcp" };
        b.publish(data).await;
        let (from, id, came) = a.gossip().await;
        assert_eq!((from, came.as_ref()), (b.peer(), data));
        a.handle.validate(id, from, Verdict::Ignore).await.unwrap();
        b.handle.shutdown().await;
        a.disconnected(b.peer()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_is_forwarded_only_when_it_was_accepted_and_a_reject_costs_its_sender_alone() {
    let mut b = start(config()).await;
    let towards_b = || NetworkConfig { static_peers: vec![b.address()], ..config() };
    let (a, mut c) = (start(towards_b()).await, start(towards_b()).await);
    b.meshed(2).await;
    a.meshed(1).await;
    c.meshed(1).await;

    a.publish(b"first").await;
    a.publish(b"second").await;
    let (first, second) = (b.gossip().await, b.gossip().await);
    let (first, second) = if first.2 == "first" { (first, second) } else { (second, first) };
    b.handle.validate(second.1, second.0, Verdict::Accept).await.unwrap();
    let (from, id, data) = c.gossip().await;
    assert_eq!((from, data.as_ref()), (b.peer(), b"second".as_slice()), "the first still waits for its verdict");
    c.handle.validate(id, from, Verdict::Accept).await.unwrap();
    b.handle.validate(first.1, first.0, Verdict::Accept).await.unwrap();
    assert_eq!(c.gossip().await.2, "first");
    assert_eq!(a.handle.publish(Topic::Heads, Bytes::from_static(b"first")).await, Err(PublishError::Duplicate));

    for (data, verdict) in
        [(b"bad".as_slice(), Verdict::Reject), (b"stale", Verdict::Ignore), (b"good", Verdict::Accept)]
    {
        a.publish(data).await;
        let (from, id, came) = b.gossip().await;
        assert_eq!(came, data);
        b.handle.validate(id, from, verdict).await.unwrap();
    }
    assert_eq!(c.gossip().await.2, "good", "what was rejected or ignored is not forwarded");
    assert!(b.score_of(a.peer()).await < 0.0);
    assert_eq!(b.score_of(c.peer()).await, 0.0);
    assert_eq!(c.score_of(b.peer()).await, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_alone_says_that_nobody_listens_and_keeps_nothing() {
    let a = start(config()).await;
    let data = Bytes::from_static(b"later");
    assert_eq!(a.handle.publish(Topic::Forks, data.clone()).await, Err(PublishError::NoPeers));
    let too_large = Bytes::from(vec![0; limits::GOSSIP_SIZE_MAX + 1]);
    assert_eq!(a.handle.publish(Topic::Forks, too_large).await, Err(PublishError::TooLarge));
    let mut b = start(NetworkConfig { static_peers: vec![a.address()], ..config() }).await;
    a.meshed(1).await;
    assert_eq!(a.handle.publish(Topic::Forks, data.clone()).await, Ok(1));
    assert_eq!(b.gossip().await.2, data);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_messages_pass_in_a_burst() {
    let a = start(config()).await;
    let mut b = start(NetworkConfig { static_peers: vec![a.address()], ..config() }).await;
    a.meshed(1).await;
    for number in 0..40 {
        a.handle.publish(Topic::Heads, Bytes::from(vec![number; limits::GOSSIP_SIZE_MAX])).await.unwrap();
    }
    let mut came = Vec::new();
    while came.len() < 40 {
        let (from, id, data) = b.gossip().await;
        assert_eq!(data.len(), limits::GOSSIP_SIZE_MAX);
        came.push(data[0]);
        b.handle.validate(id, from, Verdict::Accept).await.unwrap();
    }
    came.sort_unstable();
    assert_eq!(came, (0..40).collect::<Vec<u8>>());
    assert_eq!(b.score_of(a.peer()).await, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_refused_and_bounded() {
    let mut a = start(config()).await;
    let mut b = start(NetworkConfig { static_peers: vec![a.address()], ..config() }).await;
    b.connected().await;
    let largest = Bytes::from(vec![3; limits::REQUEST_SIZE_MAX]);
    b.handle.request(a.peer(), 10, largest.clone()).await.unwrap();
    let (ticket, data) = a.asked().await;
    assert_eq!(data, largest);
    let largest = Bytes::from(vec![4; limits::RESPONSE_SIZE_MAX]);
    a.handle.respond(ticket, largest.clone()).await.unwrap();
    assert_eq!(b.answer().await, (10, Ok(largest.clone())));

    b.handle.request(a.peer(), 11, Bytes::new()).await.unwrap();
    let ticket = a.asked().await.0;
    a.handle.refuse(ticket).await.unwrap();
    assert_eq!(b.answer().await, (11, Err(RequestFailure::Refused)));
    b.handle.request(a.peer(), 12, Bytes::new()).await.unwrap();
    let ticket = a.asked().await.0;
    a.handle.respond(ticket, Bytes::from(vec![4; limits::RESPONSE_SIZE_MAX + 1])).await.unwrap();
    assert_eq!(b.answer().await, (12, Err(RequestFailure::Refused)));
    b.handle.request(PeerId::random(), 13, Bytes::new()).await.unwrap();
    assert_eq!(b.answer().await, (13, Err(RequestFailure::NotConnected)));
    b.handle.request(a.peer(), 14, Bytes::from(vec![0; limits::REQUEST_SIZE_MAX + 1])).await.unwrap();
    assert_eq!(b.answer().await, (14, Err(RequestFailure::TooLarge)));

    for ticket in 0..=limits::REQUESTS_TO_PEER_MAX as u64 {
        b.handle.request(a.peer(), ticket, Bytes::new()).await.unwrap();
    }
    assert_eq!(b.answer().await, (limits::REQUESTS_TO_PEER_MAX as u64, Err(RequestFailure::Busy)));
    for _ in 0..limits::REQUESTS_TO_PEER_MAX {
        let ticket = a.asked().await.0;
        a.handle.respond(ticket, Bytes::from_static(b"ok")).await.unwrap();
        assert!(b.answer().await.1.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_requests_are_refused_and_the_connection_serves_on() {
    let mut a = start(config()).await;
    let mut lawless = bare(Keypair::generate_ed25519());
    let settings = request_response::Config::default();
    let protocols = [(Names::of(&NETWORK).sync, ProtocolSupport::Full)];
    lawless.behaviour_mut().sync = request_response::Behaviour::with_codec(FrameCodec::lawless(), protocols, settings);
    lawless.dial(a.address()).unwrap();
    until_identified(&mut lawless).await;
    let peer = a.peer();
    for size in [limits::REQUEST_SIZE_MAX + 1, 64 << 20] {
        lawless.behaviour_mut().sync.send_request(&peer, Bytes::from(vec![0; size]));
    }
    let mut failures = 0;
    let failed = async {
        while failures < 2 {
            if let SwarmEvent::Behaviour(BehaviourEvent::Sync(request_response::Event::OutboundFailure { .. })) =
                lawless.select_next_some().await
            {
                failures += 1;
            }
        }
    };
    tokio::time::timeout(BOUND, failed).await.unwrap();
    assert_eq!(a.handle.peers().await.unwrap().len(), 1);
    // More requests than one peer may have waiting: all beyond are refused while none is answered.
    for _ in 0..limits::REQUESTS_FROM_PEER_MAX + 2 {
        lawless.behaviour_mut().sync.send_request(&peer, Bytes::from_static(b"small"));
    }
    let mut refused = 0;
    let two_refused = async {
        while refused < 2 {
            if let SwarmEvent::Behaviour(BehaviourEvent::Sync(request_response::Event::OutboundFailure { .. })) =
                lawless.select_next_some().await
            {
                refused += 1;
            }
        }
    };
    tokio::time::timeout(BOUND, two_refused).await.unwrap();
    for _ in 0..limits::REQUESTS_FROM_PEER_MAX {
        assert_eq!(a.asked().await.1, "small");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_a_bare_socket_does_no_harm() {
    let mut a = start(config()).await;
    let port = a.address().iter().find_map(|part| match part {
        libp2p::multiaddr::Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    let idle = std::net::TcpStream::connect(("127.0.0.1", port.unwrap())).unwrap();
    for filling in [0x00, 0x13, 0xff, b'\n'] {
        let mut socket = std::net::TcpStream::connect(("127.0.0.1", port.unwrap())).unwrap();
        socket.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        // The node may close at the first byte.
        let _ = socket.write_all(&[filling; 100_000]);
    }
    let mut b = start(NetworkConfig { static_peers: vec![a.address()], ..config() }).await;
    assert_eq!(b.connected().await.0, a.peer());
    assert_eq!(a.connected().await.0, b.peer());
    drop(idle);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_restarted_at_once_with_its_identity_gossips_again() {
    let mut a = start(config()).await;
    let keypair = Keypair::generate_ed25519();
    let towards_a = NetworkConfig { static_peers: vec![a.address()], ..config() };
    for data in [b"before".as_slice(), b"after", b"again"] {
        let mut b = start_as(towards_a.clone(), keypair.clone()).await;
        b.connected().await;
        b.meshed(1).await;
        a.meshed(1).await;
        b.publish(data).await;
        let (from, id, came) = a.gossip().await;
        assert_eq!(came, data);
        a.handle.validate(id, from, Verdict::Accept).await.unwrap();
        let back = Bytes::from([data, b" back"].concat());
        a.handle.publish(Topic::Heads, back.clone()).await.unwrap();
        assert_eq!(b.gossip().await.2, back);
        b.handle.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mesh_audit_heals_a_node_that_restarted_beside_its_stale_connection() {
    let fast = NetworkConfig {
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(300),
        mesh_audit: Some(Duration::from_secs(1)),
        ..config()
    };
    let mut a = start(fast.clone()).await;
    let keypair = Keypair::generate_ed25519();
    let peer = keypair.public().to_peer_id();
    // The first life of the node freezes: its sockets stay open, and nothing runs any more.
    let (thaw, frozen) = std::sync::mpsc::channel::<()>();
    let (first_life, target) = (keypair.clone(), a.address());
    let ice = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let swarm = runtime.block_on(async move {
            let mut swarm = bare(first_life);
            swarm.dial(target).unwrap();
            until_identified(&mut swarm).await;
            swarm
        });
        let _ = frozen.recv();
        runtime.block_on(async move { drop(swarm) });
    });
    assert_eq!(a.connected().await.0, peer);
    a.until(|status| status.iter().any(|status| status.peer == peer && status.subscribed)).await;

    let mut b = start_as(NetworkConfig { static_peers: vec![a.address()], ..fast }, keypair).await;
    b.connected().await;
    b.disconnected(a.peer()).await;
    b.meshed(1).await;
    a.meshed(1).await;
    a.publish(b"can you hear me").await;
    assert_eq!(b.gossip().await.2, "can you hear me");
    drop(thaw);
    ice.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_limit_holds_but_not_against_configured_peers() {
    let friend = Keypair::generate_ed25519();
    let friend_address = Multiaddr::empty().with_p2p(friend.public().to_peer_id()).unwrap();
    let mut limited = NetworkConfig { connections_max: 2, ..config() };
    limited.static_peers = vec![format!("/ip4/127.0.0.1/tcp/1{friend_address}").parse().unwrap()];
    let a = start(limited).await;
    let towards_a = || NetworkConfig { static_peers: vec![a.address()], ..config() };
    let mut taken = Vec::new();
    for _ in 0..2 {
        taken.push(start(towards_a()).await);
    }
    a.meshed(2).await;
    for _ in 0..2 {
        let mut refused = start(towards_a()).await;
        refused.connected().await;
        refused.disconnected(a.peer()).await;
        assert_eq!(a.handle.peers().await.unwrap().len(), 2);
    }
    let friend = start_as(towards_a(), friend).await;
    friend.meshed(1).await;
    assert_eq!(a.handle.peers().await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_of_another_network_is_disconnected() {
    let mut a = start(config()).await;
    let mut other = start(NetworkConfig { network_id: [8; 32], static_peers: vec![a.address()], ..config() }).await;
    other.connected().await;
    other.disconnected(a.peer()).await;
    a.disconnected(other.peer()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_are_remembered_and_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let remembering = NetworkConfig { peers_file: Some(directory.path().join("peers")), ..config() };
    let a = start(config()).await;
    let b = start(remembering.clone()).await;
    b.handle.dial(a.address()).await.unwrap();
    b.meshed(1).await;
    b.until(|status| status.iter().any(|peer| peer.agent.is_some())).await;
    b.handle.shutdown().await;
    assert_eq!(peers::read_peers(&directory.path().join("peers")).unwrap(), (vec![a.address()], 0));
    let mut b = start(remembering).await;
    assert_eq!(b.connected().await.0, a.peer());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_takes_no_events_still_takes_commands() {
    let a = start(config()).await;
    let b = start(NetworkConfig { static_peers: vec![a.address()], ..config() }).await;
    a.meshed(1).await;
    for number in 0..1_000_u32 {
        // Full queues are what the test is about.
        let _ = a.handle.publish(Topic::Heads, Bytes::copy_from_slice(&number.to_be_bytes())).await;
    }
    for ticket in 0..2_000 {
        b.handle.request(PeerId::random(), ticket, Bytes::new()).await.unwrap();
    }
    assert_eq!(tokio::time::timeout(BOUND, b.handle.peers()).await.unwrap().unwrap().len(), 1);
    tokio::time::timeout(BOUND, b.handle.shutdown()).await.unwrap();
    assert_eq!(b.handle.refuse(1).await, Err(Closed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_starts_with_names_that_cannot_be_resolved() {
    let unresolvable = vec!["/dns4/nowhere.invalid/tcp/4270".parse().unwrap()];
    let a = start(config()).await;
    let with_names = NetworkConfig { dns: true, bootstrap: unresolvable, static_peers: vec![a.address()], ..config() };
    let mut b = start(with_names).await;
    assert_eq!(b.connected().await.0, a.peer());
}
