//! The network: libp2p connections, gossip and requests, bytes in and bytes out.
//!
//! ```text
//! node                          network task                       peers
//!   NetworkHandle::publish  ──▶   gossipsub, three topics      ──▶
//!   NetworkEvent::Gossip    ◀──   held until the verdict       ◀──
//!   NetworkHandle::validate ──▶   forwarded only if accepted   ──▶
//!   NetworkHandle::request  ──▶   one frame out, one frame in  ◀─▶
//!   NetworkEvent::Request   ◀──   bounded, answered by ticket  ◀──
//! ```
//!
//! It knows nothing of registers and decides nothing: what a message is worth is the node's [`Verdict`], and what to
//! ask whom is the node's choice. It keeps connections: configured peers are redialled for ever, others while there
//! are too few, and a mesh audit replaces connections over which a peer's gossip subscriptions never came.
//!
//! Both channels are bounded. The task never waits for the node: gossip over its bounds is ignored and requests over
//! theirs are refused, and when events pile up it stops reading from peers but still takes commands.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use libp2p::identity::Keypair;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::{mpsc, oneshot};

mod behaviour;
mod codec;
mod dialer;
mod intake;
pub mod limits;
pub mod peers;
mod requests;
mod task;
#[cfg(test)]
mod tests;

pub use libp2p::gossipsub::MessageId;

/// How many peers gossip keeps in its mesh for one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mesh {
    /// Peers it aims at.
    pub target: usize,
    /// Fewer make it look for more.
    pub low: usize,
    /// More make it drop some.
    pub high: usize,
}

impl Mesh {
    /// Returns the mesh for a network of about `nodes` nodes: 4 of 2 to 8 up to 20 nodes, 6 of 4 to 12 up to 500,
    /// and 8 of 6 to 12 beyond.
    pub fn for_nodes(nodes: usize) -> Self {
        match nodes {
            0..=20 => Self { target: 4, low: 2, high: 8 },
            21..=500 => Self { target: 6, low: 4, high: 12 },
            _ => Self { target: 8, low: 6, high: 12 },
        }
    }
}

/// How the network runs.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// The network's id; its first 8 bytes, in hex, are in the name of every topic and protocol.
    pub network_id: [u8; 32],
    /// Addresses to listen on, TCP or QUIC v1; none makes a node that only dials.
    pub listen: Vec<Multiaddr>,
    /// Addresses to announce beside those, for a node behind a port forwarding.
    pub announce: Vec<Multiaddr>,
    /// Peers that are redialled for ever.
    pub static_peers: Vec<Multiaddr>,
    /// Peers that are dialled while there are too few connections.
    pub bootstrap: Vec<Multiaddr>,
    /// The file that remembers peers.
    pub peers_file: Option<PathBuf>,
    /// Looks for peers on the local network.
    pub mdns: bool,
    /// Dials addresses that peers tell, and those that were saved; without it only configured ones.
    pub learn: bool,
    /// Resolves names in addresses; without it, or without a resolver on the machine, only IP addresses are dialled.
    pub dns: bool,
    /// The size of the gossip mesh.
    pub mesh: Mesh,
    /// Connected peers below which known and bootstrap peers are dialled.
    pub peers_wanted: usize,
    /// Connections in all; three in ten are kept for those that we open, and configured peers always get in.
    pub connections_max: u32,
    /// Bytes of memory of this process beyond which no connection is taken.
    pub memory_max: Option<usize>,
    /// Time after which a connection without streams is closed.
    pub idle_timeout: Duration,
    /// Time between two pings.
    pub ping_interval: Duration,
    /// Time for a ping; the second that fails in a row closes the connection.
    pub ping_timeout: Duration,
    /// Time for a request and its answer.
    pub request_timeout: Duration,
    /// First and longest wait before an address is dialled again; halved at random.
    pub redial: (Duration, Duration),
    /// Time after which a connected peer whose gossip subscriptions have not come is reconnected.
    pub mesh_audit: Option<Duration>,
}

impl NetworkConfig {
    /// Returns the default configuration for a small federation, which listens nowhere and knows nobody.
    pub fn new(network_id: [u8; 32]) -> Self {
        Self {
            network_id,
            listen: Vec::new(),
            announce: Vec::new(),
            static_peers: Vec::new(),
            bootstrap: Vec::new(),
            peers_file: None,
            mdns: false,
            learn: true,
            dns: true,
            mesh: Mesh::for_nodes(0),
            peers_wanted: 8,
            connections_max: 50,
            memory_max: Some(1 << 30),
            idle_timeout: Duration::from_secs(600),
            ping_interval: Duration::from_secs(5),
            ping_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            redial: (Duration::from_secs(1), Duration::from_secs(30)),
            mesh_audit: Some(Duration::from_secs(10)),
        }
    }
}

/// Why the network did not start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A transport could not be set up.
    #[error("cannot set up the transports: {0}")]
    Transport(String),
    /// Gossipsub refused its settings.
    #[error("cannot set up gossip: {0}")]
    Gossip(String),
    /// An address could not be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The configured address.
        address: Multiaddr,
        /// What the transport said.
        reason: String,
    },
}

/// The network task has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the network has been shut down")]
pub struct Closed;

/// What gossip is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Checkpoints with cosignatures and the latest entries.
    Heads,
    /// Cosignatures and views.
    Statements,
    /// Fork proofs.
    Forks,
}

impl Topic {
    /// Returns the last part of the topic's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Heads => "heads",
            Self::Statements => "statements",
            Self::Forks => "forks",
        }
    }
}

/// What the node says of a gossip message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It advances us: forward it.
    Accept,
    /// It is stale, unknown, or beyond us: drop it, at nobody's cost.
    Ignore,
    /// It is malformed or falsely signed: drop it, and let those that sent it pay.
    Reject,
}

/// What carries a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP with Noise and Yamux.
    Tcp,
    /// QUIC v1.
    Quic,
}

/// What the network tells the node.
#[derive(Debug, Clone)]
pub enum NetworkEvent {
    /// A listening address is ready.
    Listening(Multiaddr),
    /// A listening address is gone.
    ListenerClosed(Multiaddr),
    /// A connection was made; a peer may have several, and each is told.
    Connected {
        /// The peer.
        peer: PeerId,
        /// Its address as we see it.
        address: Multiaddr,
        /// Whether we dialled.
        outbound: bool,
        /// What carries it.
        transport: Transport,
    },
    /// A peer's last connection closed.
    Disconnected {
        /// The peer.
        peer: PeerId,
    },
    /// A gossip message waits for [`NetworkHandle::validate`], for 7 s at most.
    Gossip {
        /// What it is about.
        topic: Topic,
        /// The peer that brought it, not its author.
        from: PeerId,
        /// Its id, which depends on topic and data alone.
        id: MessageId,
        /// At most [`limits::GOSSIP_SIZE_MAX`] bytes.
        data: Bytes,
    },
    /// A peer's request waits for [`NetworkHandle::respond`] or [`NetworkHandle::refuse`].
    Request {
        /// The peer.
        peer: PeerId,
        /// Names the request, as long as the process lives.
        ticket: u64,
        /// At most [`limits::REQUEST_SIZE_MAX`] bytes.
        data: Bytes,
    },
    /// A request of ours has its answer; exactly one for each [`NetworkHandle::request`], unless the network ends.
    Response {
        /// The peer that was asked.
        peer: PeerId,
        /// The ticket that the node gave.
        ticket: u64,
        /// At most [`limits::RESPONSE_SIZE_MAX`] bytes, or why there are none.
        result: Result<Bytes, RequestFailure>,
    },
}

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestFailure {
    /// No connection to the peer.
    #[error("the peer is not connected")]
    NotConnected,
    /// Too many of our requests wait already.
    #[error("too many requests wait for an answer")]
    Busy,
    /// Our request is over [`limits::REQUEST_SIZE_MAX`].
    #[error("expected a request of at most 65536 bytes")]
    TooLarge,
    /// No answer in time.
    #[error("no answer came in time")]
    Timeout,
    /// The connection closed first.
    #[error("the connection closed before an answer came")]
    ConnectionClosed,
    /// The peer does not speak our protocol, or is on another network.
    #[error("the peer does not speak the protocol of this network")]
    Unsupported,
    /// The peer refused, because it is busy or does not want to answer.
    #[error("the peer refused to answer")]
    Refused,
    /// The answer is over size or cut short.
    #[error("the answer is malformed")]
    Malformed,
    /// The stream broke.
    #[error("the stream broke")]
    Broken,
}

/// Why a message was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Nobody listens: keep it and try again after the next [`NetworkEvent::Connected`]; nothing was kept here.
    #[error("no peer listens to this topic")]
    NoPeers,
    /// The same bytes went over this topic within the last minute, from us or from a peer.
    #[error("the same message was sent within the last minute")]
    Duplicate,
    /// Over [`limits::GOSSIP_SIZE_MAX`].
    #[error("expected a message of at most 16384 bytes")]
    TooLarge,
    /// The queues to all peers are full; some will still hear of it by lazy gossip.
    #[error("the queues to all peers are full")]
    QueuesFull,
    /// Gossipsub failed inside.
    #[error("gossip failed")]
    Internal,
    /// The network task has ended.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// What is known of a connected peer.
#[derive(Debug, Clone)]
pub struct PeerStatus {
    /// The peer.
    pub peer: PeerId,
    /// Its addresses as we see them, one for each connection.
    pub addresses: Vec<Multiaddr>,
    /// Whether we dialled one of its connections.
    pub outbound: bool,
    /// What carries its first connection.
    pub transport: Transport,
    /// The software it says it runs.
    pub agent: Option<String>,
    /// The time of the last ping.
    pub round_trip: Option<Duration>,
    /// Whether it subscribed to all our topics.
    pub subscribed: bool,
    /// Whether it is in the mesh of a topic.
    pub in_mesh: bool,
    /// Gossip's score, 0 or less.
    pub score: f64,
}

/// What the handle asks of the task.
#[derive(Debug)]
enum Command {
    Publish(Topic, Bytes, oneshot::Sender<Result<usize, PublishError>>),
    Validate(MessageId, PeerId, Verdict),
    Request(PeerId, u64, Bytes),
    Respond(u64, Bytes),
    Refuse(u64),
    Dial(Multiaddr),
    Know(Vec<Multiaddr>),
    Disconnect(PeerId),
    Peers(oneshot::Sender<Vec<PeerStatus>>),
    Shutdown(oneshot::Sender<()>),
}

/// Starts the network.
#[derive(Debug)]
pub struct Network;

impl Network {
    /// Listens, reads the peers file and starts the task. Must run inside a tokio runtime.
    ///
    /// The task ends at [`NetworkHandle::shutdown`], and when all handles or the receiver are dropped.
    pub fn start(
        config: NetworkConfig,
        keypair: Keypair,
    ) -> Result<(NetworkHandle, mpsc::Receiver<NetworkEvent>), NetworkError> {
        let peer = keypair.public().to_peer_id();
        let (commands, command_receiver) = mpsc::channel(limits::COMMANDS_MAX);
        let (event_sender, events) = mpsc::channel(limits::EVENTS_MAX);
        let task = task::Task::new(config, keypair)?;
        tokio::spawn(task.run(command_receiver, event_sender));
        Ok((NetworkHandle { peer, commands }, events))
    }
}

/// Speaks to the network task; cheap to clone.
///
/// Every method waits at most for room among 256 commands, which the task takes without waiting for the node.
#[derive(Debug, Clone)]
pub struct NetworkHandle {
    peer: PeerId,
    commands: mpsc::Sender<Command>,
}

impl NetworkHandle {
    /// Returns our own peer id.
    pub fn peer_id(&self) -> PeerId {
        self.peer
    }

    /// Publishes a message and returns how many peers listen to its topic.
    pub async fn publish(&self, topic: Topic, data: Bytes) -> Result<usize, PublishError> {
        if data.len() > limits::GOSSIP_SIZE_MAX {
            return Err(PublishError::TooLarge);
        }
        let (reply, result) = oneshot::channel();
        self.send(Command::Publish(topic, data, reply)).await?;
        result.await.map_err(|_| Closed)?
    }

    /// Gives the verdict on a gossip message; one that comes too late has no effect.
    pub async fn validate(&self, id: MessageId, from: PeerId, verdict: Verdict) -> Result<(), Closed> {
        self.send(Command::Validate(id, from, verdict)).await
    }

    /// Sends a request to a connected peer; its [`NetworkEvent::Response`] carries `ticket`.
    pub async fn request(&self, peer: PeerId, ticket: u64, data: Bytes) -> Result<(), Closed> {
        self.send(Command::Request(peer, ticket, data)).await
    }

    /// Answers a peer's request; an answer over [`limits::RESPONSE_SIZE_MAX`] becomes a refusal, and one to a request
    /// that was given up has no effect.
    pub async fn respond(&self, ticket: u64, data: Bytes) -> Result<(), Closed> {
        self.send(Command::Respond(ticket, data)).await
    }

    /// Refuses a peer's request.
    pub async fn refuse(&self, ticket: u64) -> Result<(), Closed> {
        self.send(Command::Refuse(ticket)).await
    }

    /// Dials an address once, now.
    pub async fn dial(&self, address: Multiaddr) -> Result<(), Closed> {
        self.send(Command::Dial(address)).await
    }

    /// Adds addresses, such as those of members, to be dialled while there are too few connections.
    pub async fn know(&self, addresses: Vec<Multiaddr>) -> Result<(), Closed> {
        self.send(Command::Know(addresses)).await
    }

    /// Closes all connections to a peer; a static peer will be redialled.
    pub async fn disconnect(&self, peer: PeerId) -> Result<(), Closed> {
        self.send(Command::Disconnect(peer)).await
    }

    /// Returns what is known of the connected peers.
    pub async fn peers(&self) -> Result<Vec<PeerStatus>, Closed> {
        let (reply, result) = oneshot::channel();
        self.send(Command::Peers(reply)).await?;
        result.await.map_err(|_| Closed)
    }

    /// Saves the peers, closes all connections and ends the task; returns when it has ended.
    pub async fn shutdown(&self) {
        let (reply, result) = oneshot::channel();
        if self.send(Command::Shutdown(reply)).await.is_ok() {
            // An error says that the task has ended by itself, which is what we want.
            let _ = result.await;
        }
    }

    async fn send(&self, command: Command) -> Result<(), Closed> {
        self.commands.send(command).await.map_err(|_| Closed)
    }
}
