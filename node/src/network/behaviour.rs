//! The libp2p behaviours of a node, their settings, and the swarm that runs them.

use std::collections::HashSet;
use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::gossipsub::{
    self, ConfigBuilder, IdentTopic, MessageAuthenticity, MessageId, PeerScoreParams, PeerScoreThresholds,
    TopicScoreParams, ValidationMode, WhitelistSubscriptionFilter, score_parameter_decay,
};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, identify, mdns, memory_connection_limits, noise, ping, tcp,
    yamux,
};
use sha2::{Digest as _, Sha256};

use super::codec::FrameCodec;
use super::{NetworkConfig, NetworkError, Topic, limits};

/// Gossip on our three topics and no others.
pub(super) type Gossip = gossipsub::Behaviour<gossipsub::IdentityTransform, WhitelistSubscriptionFilter>;

/// What runs on every connection.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    // The limits stand first: they refuse a connection before another behaviour has made a handler for it.
    pub(super) connections: connection_limits::Behaviour,
    pub(super) memory: Toggle<memory_connection_limits::Behaviour>,
    pub(super) identify: identify::Behaviour,
    pub(super) ping: ping::Behaviour,
    pub(super) gossip: Gossip,
    pub(super) sync: request_response::Behaviour<FrameCodec>,
    pub(super) mdns: Toggle<mdns::tokio::Behaviour>,
}

/// The names under which one network speaks: two networks on one wire never mix.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// Identify's protocol version, `/standfast/1/<network>`.
    pub(super) version: String,
    /// The request-response protocol, `/standfast/sync/1/<network>`.
    pub(super) sync: StreamProtocol,
    topics: [(Topic, IdentTopic); 3],
}

impl Names {
    pub(super) fn of(network_id: &[u8; 32]) -> Self {
        let tag = &data_encoding::HEXLOWER.encode(network_id)[..16];
        let topic = |topic: Topic| (topic, IdentTopic::new(format!("standfast/{tag}/{}", topic.name())));
        Self {
            version: format!("/standfast/1/{tag}"),
            sync: StreamProtocol::try_from_owned(format!("/standfast/sync/1/{tag}"))
                .expect("the name begins with a slash"),
            topics: [topic(Topic::Heads), topic(Topic::Statements), topic(Topic::Forks)],
        }
    }

    pub(super) fn topic(&self, topic: Topic) -> &IdentTopic {
        let [heads, statements, forks] = &self.topics;
        match topic {
            Topic::Heads => &heads.1,
            Topic::Statements => &statements.1,
            Topic::Forks => &forks.1,
        }
    }

    pub(super) fn topic_of(&self, hash: &gossipsub::TopicHash) -> Option<Topic> {
        self.topics.iter().find(|(_, topic)| topic.hash() == *hash).map(|(topic, _)| *topic)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &IdentTopic> {
        self.topics.iter().map(|(_, topic)| topic)
    }

    /// Whether a peer's identify version names our network, whatever its number.
    pub(super) fn is_ours(&self, version: &str) -> bool {
        let network = self.version.rsplit('/').next();
        version.starts_with("/standfast/") && version.rsplit('/').next() == network
    }
}

/// The id of a gossip message: the first 20 bytes of SHA-256 over its topic and data.
///
/// Messages are anonymous, so gossipsub's own default would give all of them one id.
pub(super) fn message_id(topic: &str, data: &[u8]) -> MessageId {
    let digest = Sha256::new().chain_update(topic).chain_update(data).finalize();
    MessageId::new(&digest[..20])
}

/// Builds the swarm; it neither listens nor dials yet. Must run inside a tokio runtime.
pub(super) fn swarm(config: &NetworkConfig, names: &Names, keypair: Keypair) -> Result<Swarm<Behaviour>, NetworkError> {
    let swarm_config = |swarm: libp2p::swarm::Config| {
        swarm
            .with_idle_connection_timeout(config.idle_timeout)
            .with_max_negotiating_inbound_streams(limits::STREAMS_NEGOTIATING_MAX)
    };
    let transports = || {
        SwarmBuilder::with_existing_identity(keypair.clone())
            .with_tokio()
            .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux_config)
            .map(|builder| builder.with_quic())
            .map_err(|error| NetworkError::Transport(error.to_string()))
    };
    let behaviour = behaviour(config, names, &keypair)?;
    if config.dns {
        // The system's resolver is only for bootstrap names. A machine without `/etc/resolv.conf` starts without it.
        match transports()?.with_dns() {
            Ok(builder) => {
                let Ok(builder) = builder.with_behaviour(|_| behaviour);
                let builder = builder.with_swarm_config(swarm_config);
                return Ok(builder.with_connection_timeout(limits::HANDSHAKE_TIMEOUT).build());
            }
            Err(error) => tracing::warn!(%error, "no DNS configuration: only IP addresses can be dialled"),
        }
    }
    let Ok(builder) = transports()?.with_behaviour(|_| behaviour);
    Ok(builder.with_swarm_config(swarm_config).with_connection_timeout(limits::HANDSHAKE_TIMEOUT).build())
}

fn yamux_config() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(limits::STREAMS_MAX);
    config
}

fn behaviour(config: &NetworkConfig, names: &Names, keypair: &Keypair) -> Result<Behaviour, NetworkError> {
    let peer = keypair.public().to_peer_id();
    let identify = identify::Config::new(names.version.clone(), keypair.public())
        .with_agent_version(concat!("standfast/", env!("CARGO_PKG_VERSION")).to_owned())
        // Addresses that peers claim are judged in `peers.rs`, not dialled behind our back.
        .with_cache_size(0);
    let requests = request_response::Config::default()
        .with_request_timeout(config.request_timeout)
        .with_max_concurrent_streams(limits::REQUEST_STREAMS_MAX);
    Ok(Behaviour {
        connections: connections(config),
        memory: Toggle::from(config.memory_max.map(memory_connection_limits::Behaviour::with_max_bytes)),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(
            ping::Config::new().with_interval(config.ping_interval).with_timeout(config.ping_timeout),
        ),
        gossip: gossip(config, names).map_err(NetworkError::Gossip)?,
        sync: request_response::Behaviour::with_codec(
            FrameCodec::default(),
            [(names.sync.clone(), ProtocolSupport::Full)],
            requests,
        ),
        mdns: Toggle::from(config.mdns.then(|| mdns_on(peer)).flatten()),
    })
}

/// Bounds connections; three in ten stay free for those that we open, and peers from the configuration always get in.
fn connections(config: &NetworkConfig) -> connection_limits::Behaviour {
    let reserved = config.connections_max.saturating_mul(3) / 10;
    let mut behaviour = connection_limits::Behaviour::new(
        ConnectionLimits::default()
            .with_max_pending_incoming(Some(limits::CONNECTIONS_PENDING_MAX))
            .with_max_pending_outgoing(Some(limits::CONNECTIONS_PENDING_MAX))
            .with_max_established(Some(config.connections_max))
            .with_max_established_incoming(Some(config.connections_max.saturating_sub(reserved)))
            .with_max_established_per_peer(Some(limits::CONNECTIONS_PER_PEER_MAX)),
    );
    for peer in config.static_peers.iter().chain(&config.bootstrap).filter_map(peer_of) {
        behaviour.bypass_peer_id(&peer);
    }
    behaviour
}

/// Reads the peer id at the end of an address.
pub(super) fn peer_of(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    }
}

/// Starts mDNS, or goes without where the machine has no interface for it.
fn mdns_on(peer: PeerId) -> Option<mdns::tokio::Behaviour> {
    mdns::tokio::Behaviour::new(mdns::Config::default(), peer)
        .inspect_err(|error| tracing::warn!(%error, "cannot look for peers on the local network"))
        .ok()
}

fn gossip(config: &NetworkConfig, names: &Names) -> Result<Gossip, String> {
    let mesh = config.mesh;
    let mut builder = ConfigBuilder::default();
    builder
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| message_id(message.topic.as_str(), &message.data))
        .max_transmit_size(limits::GOSSIP_FRAME_MAX)
        .max_publish_messages(limits::GOSSIP_FRAME_MESSAGES_MAX)
        .max_control_messages_sent(limits::GOSSIP_CONTROL_IDS_MAX)
        .connection_handler_queue_len(limits::GOSSIP_QUEUE_MAX)
        .history_length(limits::GOSSIP_HISTORY_HEARTBEATS)
        .heartbeat_initial_delay(Duration::from_secs(1))
        .mesh_n(mesh.target)
        .mesh_n_low(mesh.low)
        .mesh_n_high(mesh.high)
        .mesh_outbound_min((mesh.low / 2).min(mesh.target / 2))
        .retain_scores(mesh.low)
        .gossip_lazy(mesh.target);
    for topic in names.all() {
        builder.max_transmit_size_for_topic(limits::GOSSIP_SIZE_MAX + limits::GOSSIP_ENVELOPE_MAX, topic.hash());
    }
    let settings = builder.build().map_err(|error| error.to_string())?;
    let topics: HashSet<_> = names.all().map(IdentTopic::hash).collect();
    let mut gossip = Gossip::new_with_subscription_filter(
        MessageAuthenticity::Anonymous,
        settings,
        WhitelistSubscriptionFilter(topics),
    )?;
    let (params, thresholds) = scores(names);
    gossip.with_peer_score(params, thresholds)?;
    for topic in names.all() {
        gossip.subscribe(topic).map_err(|error| error.to_string())?;
    }
    Ok(gossip)
}

/// Scores that fall for one reason only: a peer sent what we rejected, or broke gossipsub's own rules again and again.
///
/// A quiet topic, a shared address, a slow link and our own load cost a peer nothing. One rejected message costs 10
/// and takes the peer out of the mesh; the second stops lazy gossip, the third our own messages to it, the fourth
/// makes us deaf to it. Ten minutes forgive it.
fn scores(names: &Names) -> (PeerScoreParams, PeerScoreThresholds) {
    let topic = TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: 0.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -10.0,
        invalid_message_deliveries_decay: score_parameter_decay(Duration::from_secs(600)),
        ..TopicScoreParams::default()
    };
    let params = PeerScoreParams {
        topics: names.all().map(|name| (name.hash(), topic.clone())).collect(),
        topic_score_cap: 0.0,
        app_specific_weight: 0.0,
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_weight: -5.0,
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: score_parameter_decay(Duration::from_secs(60)),
        slow_peer_weight: 0.0,
        retain_score: Duration::from_secs(3600),
        ..PeerScoreParams::default()
    };
    let thresholds = PeerScoreThresholds {
        gossip_threshold: -30.0,
        publish_threshold: -60.0,
        graylist_threshold: -100.0,
        accept_px_threshold: 1_000.0,
        opportunistic_graft_threshold: 0.0,
    };
    (params, thresholds)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_carry_the_network() {
        let names = Names::of(&[0xab; 32]);
        assert_eq!(names.version, "/standfast/1/abababababababab");
        assert_eq!(names.sync.as_ref(), "/standfast/sync/1/abababababababab");
        assert_eq!(names.topic(Topic::Forks).to_string(), "standfast/abababababababab/forks");
        assert_eq!(names.topic_of(&names.topic(Topic::Statements).hash()), Some(Topic::Statements));
        assert!(names.is_ours("/standfast/2/abababababababab"));
        assert!(!names.is_ours("/standfast/1/abababababababac"));
        assert!(!names.is_ours("/other/abababababababab"));
    }

    #[test]
    fn message_ids_depend_on_topic_and_data() {
        let id = message_id("a", b"b");
        assert_eq!(id.0.len(), 20);
        assert_ne!(id, message_id("a", b"c"));
        assert_ne!(id, message_id("c", b"b"));
        assert_eq!(id.0, Sha256::digest(b"ab")[..20]);
    }

    #[test]
    fn scores_are_valid_and_fall_only_for_rejected_messages() {
        let (params, thresholds) = scores(&Names::of(&[0; 32]));
        params.validate().unwrap();
        thresholds.validate().unwrap();
        assert_eq!(params.ip_colocation_factor_weight, 0.0);
        for topic in params.topics.values() {
            assert_eq!(topic.mesh_message_deliveries_weight, 0.0);
            assert_eq!(topic.mesh_failure_penalty_weight, 0.0);
            assert!(topic.invalid_message_deliveries_weight < 0.0);
        }
    }
}
