//! The network task: the swarm, its timers, and the two channels to the node.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use futures::StreamExt as _;
use libp2p::core::ConnectedPoint;
use libp2p::gossipsub::{self, MessageAcceptance, MessageId};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::request_response::{self, Message};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, identify, mdns, ping};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::behaviour::{self, Behaviour, BehaviourEvent, Names};
use super::dialer::{Dialer, Source};
use super::intake::{Gate, Intake};
use super::requests::{self, Requests};
use super::{
    Command, NetworkConfig, NetworkError, NetworkEvent, PeerStatus, PublishError, RequestFailure, Topic, Transport,
    Verdict, limits, peers,
};

/// One connection to a peer.
#[derive(Debug)]
struct Link {
    id: ConnectionId,
    address: Multiaddr,
    outbound: bool,
    transport: Transport,
}

/// A connected peer.
#[derive(Debug)]
struct Peer {
    links: Vec<Link>,
    since: Instant,
    agent: Option<String>,
    round_trip: Option<std::time::Duration>,
}

/// Everything that the task owns.
pub(super) struct Task {
    swarm: Swarm<Behaviour>,
    names: Names,
    config: NetworkConfig,
    backlog: VecDeque<NetworkEvent>,
    dialer: Dialer,
    gate: Gate,
    requests: Requests,
    peers: HashMap<PeerId, Peer>,
    /// How often the mesh audit has reconnected a peer that is not yet whole.
    audits: HashMap<PeerId, u32>,
    saved: Vec<Multiaddr>,
    save_at: Instant,
}

impl Task {
    /// Builds the swarm, listens, and reads the peers file.
    pub(super) fn new(config: NetworkConfig, keypair: Keypair) -> Result<Self, NetworkError> {
        let names = Names::of(&config.network_id);
        let own = keypair.public().to_peer_id();
        let mut swarm = behaviour::swarm(&config, &names, keypair)?;
        for address in &config.listen {
            swarm
                .listen_on(address.clone())
                .map_err(|error| NetworkError::Listen { address: address.clone(), reason: error.to_string() })?;
        }
        for address in &config.announce {
            swarm.add_external_address(address.clone());
        }
        let now = Instant::now();
        let mut dialer = Dialer::new(own, config.peers_wanted, config.redial);
        for address in &config.static_peers {
            dialer.add(address.clone(), Source::Static, false, now);
        }
        for address in &config.bootstrap {
            dialer.add(address.clone(), Source::Bootstrap, false, now);
        }
        let saved = config.peers_file.as_deref().map(read_peers).unwrap_or_default();
        for address in &saved {
            dialer.add(address.clone(), Source::Known, true, now);
        }
        Ok(Self {
            swarm,
            names,
            backlog: VecDeque::new(),
            dialer,
            gate: Gate::default(),
            requests: Requests::default(),
            peers: HashMap::new(),
            audits: HashMap::new(),
            saved,
            save_at: now + limits::PEERS_FILE_INTERVAL,
            config,
        })
    }

    /// Runs until shutdown. It never waits for the node: while the node does not take events, it reads no more from
    /// the peers, but it still takes commands, so that the two cannot wait for each other.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>, events: mpsc::Sender<NetworkEvent>) {
        let mut tick = tokio::time::interval(limits::TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut done = None;
        loop {
            let room = self.backlog.len() < limits::EVENTS_BACKLOG_MAX;
            tokio::select! {
                permit = events.reserve(), if !self.backlog.is_empty() => match (permit, self.backlog.pop_front()) {
                    (Ok(permit), Some(event)) => permit.send(event),
                    (Ok(_), None) => {}
                    (Err(_), _) => break,
                },
                () = events.closed() => break,
                command = commands.recv() => match command {
                    Some(Command::Shutdown(reply)) => {
                        done = Some(reply);
                        break;
                    }
                    Some(command) => self.obey(command),
                    None => break,
                },
                event = self.swarm.select_next_some(), if room => self.on_swarm(event),
                _ = tick.tick() => self.on_tick(Instant::now()),
            }
        }
        commands.close();
        self.close().await;
        if let Some(done) = done {
            // Nobody may be waiting any more.
            let _: Result<(), ()> = done.send(());
        }
    }

    fn obey(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Publish(topic, data, reply) => {
                let result = self.publish(topic, data);
                // The caller may have stopped waiting; the message is out all the same.
                let _: Result<(), _> = reply.send(result);
            }
            Command::Validate(id, from, verdict) => self.validate(&id, from, verdict),
            Command::Request(peer, ticket, data) => self.request(peer, ticket, data),
            Command::Respond(ticket, data) => self.respond(ticket, data),
            Command::Refuse(ticket) => drop(self.requests.channel(ticket)),
            Command::Dial(address) => {
                if let Err(error) = self.swarm.dial(address.clone()) {
                    tracing::debug!(%address, %error, "cannot dial");
                }
            }
            Command::Know(addresses) => {
                for address in addresses.into_iter().take(limits::KNOWN_ADDRESSES_MAX) {
                    self.dialer.add(address, Source::Known, false, now);
                }
            }
            Command::Disconnect(peer) => self.disconnect(peer),
            Command::Peers(reply) => {
                let _: Result<(), _> = reply.send(self.status());
            }
            // `run` takes it out before.
            Command::Shutdown(reply) => drop(reply),
        }
    }

    fn publish(&mut self, topic: Topic, data: Bytes) -> Result<usize, PublishError> {
        let hash = self.names.topic(topic).hash();
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        let listeners = gossip.all_peers().filter(|(_, topics)| topics.contains(&&hash)).count();
        if listeners == 0 {
            return Err(PublishError::NoPeers);
        }
        match gossip.publish(hash, data) {
            Ok(_) => Ok(listeners),
            Err(gossipsub::PublishError::NoPeersSubscribedToTopic) => Err(PublishError::NoPeers),
            Err(gossipsub::PublishError::Duplicate) => Err(PublishError::Duplicate),
            Err(gossipsub::PublishError::MessageTooLarge) => Err(PublishError::TooLarge),
            Err(gossipsub::PublishError::AllQueuesFull(_)) => Err(PublishError::QueuesFull),
            Err(error @ (gossipsub::PublishError::SigningError(_) | gossipsub::PublishError::TransformFailed(_))) => {
                tracing::error!(%error, "gossip failed");
                Err(PublishError::Internal)
            }
        }
    }

    fn validate(&mut self, id: &MessageId, from: PeerId, verdict: Verdict) {
        let Some(brought_by) = self.gate.settle(id) else {
            tracing::debug!(%id, %from, "the verdict on a message came too late");
            return;
        };
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        self.report(id, &brought_by, acceptance);
    }

    fn report(&mut self, id: &MessageId, from: &PeerId, acceptance: MessageAcceptance) {
        self.swarm.behaviour_mut().gossip.report_message_validation_result(id, from, acceptance);
    }

    fn request(&mut self, peer: PeerId, ticket: u64, data: Bytes) {
        let failure = if data.len() > limits::REQUEST_SIZE_MAX {
            RequestFailure::TooLarge
        } else if !self.peers.contains_key(&peer) {
            RequestFailure::NotConnected
        } else if !self.requests.may_ask(&peer) {
            RequestFailure::Busy
        } else {
            let request = self.swarm.behaviour_mut().sync.send_request(&peer, data);
            self.requests.asked(request, peer, ticket);
            return;
        };
        self.backlog.push_back(NetworkEvent::Response { peer, ticket, result: Err(failure) });
    }

    fn respond(&mut self, ticket: u64, data: Bytes) {
        let Some(channel) = self.requests.channel(ticket) else { return };
        if data.len() > limits::RESPONSE_SIZE_MAX {
            tracing::error!(size = data.len(), "refused to answer a request: the answer is over size");
            return;
        }
        if self.swarm.behaviour_mut().sync.send_response(channel, data).is_err() {
            tracing::debug!(ticket, "the peer did not wait for the answer");
        }
    }

    fn disconnect(&mut self, peer: PeerId) {
        // An error says that it is not connected.
        let _: Result<(), ()> = self.swarm.disconnect_peer_id(peer);
    }

    fn status(&self) -> Vec<PeerStatus> {
        let gossip = &self.swarm.behaviour().gossip;
        (self.peers.iter())
            .filter_map(|(peer, state)| {
                Some(PeerStatus {
                    peer: *peer,
                    addresses: state.links.iter().map(|link| link.address.clone()).collect(),
                    outbound: state.links.iter().any(|link| link.outbound),
                    transport: state.links.first()?.transport,
                    agent: state.agent.clone(),
                    round_trip: state.round_trip,
                    subscribed: self.is_subscribed(peer),
                    in_mesh: gossip.all_mesh_peers().any(|meshed| meshed == peer),
                    score: gossip.peer_score(peer).unwrap_or_default(),
                })
            })
            .collect()
    }

    fn is_subscribed(&self, peer: &PeerId) -> bool {
        let mut listed = self.swarm.behaviour().gossip.all_peers();
        let topics = listed.find(|(other, _)| *other == peer).map(|(_, topics)| topics).unwrap_or_default();
        self.names.all().all(|topic| topics.contains(&&topic.hash()))
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, cause, .. } => {
                tracing::debug!(peer = %peer_id, cause = ?cause, "a connection closed");
                self.on_closed(peer_id, connection_id, num_established);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.on_dial_error(connection_id, &error);
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                tracing::debug!(address = %send_back_addr, %error, "an incoming connection failed");
            }
            SwarmEvent::NewListenAddr { address, .. } => self.backlog.push_back(NetworkEvent::Listening(address)),
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.backlog.push_back(NetworkEvent::ListenerClosed(address));
            }
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::warn!(?addresses, ?reason, "a listener closed");
                self.backlog.extend(addresses.into_iter().map(NetworkEvent::ListenerClosed));
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener reported an error"),
            // Libp2p declares this enum open; what is left is about dials and addresses, which the dialer knows.
            _ => {}
        }
    }

    fn on_connected(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        let address = endpoint.get_remote_address().clone();
        let outbound = endpoint.is_dialer();
        let quic = address.iter().any(|part| matches!(part, Protocol::QuicV1));
        let transport = if quic { Transport::Quic } else { Transport::Tcp };
        tracing::debug!(%peer, %address, outbound, "a connection opened");
        let now = Instant::now();
        let state =
            self.peers.entry(peer).or_insert(Peer { links: Vec::new(), since: now, agent: None, round_trip: None });
        state.links.push(Link { id, address: address.clone(), outbound, transport });
        self.dialer.connected(id, peer);
        self.backlog.push_back(NetworkEvent::Connected { peer, address, outbound, transport });
    }

    fn on_closed(&mut self, peer: PeerId, id: ConnectionId, left: u32) {
        if left > 0 {
            if let Some(state) = self.peers.get_mut(&peer) {
                state.links.retain(|link| link.id != id);
            }
            return;
        }
        self.peers.remove(&peer);
        self.dialer.closed(peer, spread(), Instant::now());
        self.backlog.push_back(NetworkEvent::Disconnected { peer });
    }

    fn on_dial_error(&mut self, connection: ConnectionId, error: &DialError) {
        match error {
            DialError::LocalPeerId { .. } => self.dialer.is_own(connection),
            DialError::WrongPeerId { obtained, address } => {
                tracing::warn!(%address, %obtained, "an address answers with another peer id");
                self.dialer.failed(connection, spread(), Instant::now());
            }
            _ => {
                tracing::debug!(%error, "a dial failed");
                self.dialer.failed(connection, spread(), Instant::now());
            }
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Sync(event) => self.on_sync(event),
            BehaviourEvent::Identify(identify::Event::Received { connection_id, peer_id, info }) => {
                self.on_identified(connection_id, peer_id, info);
            }
            BehaviourEvent::Identify(_) => {}
            BehaviourEvent::Ping(ping::Event { peer, connection, result }) => match result {
                Ok(round_trip) => {
                    if let Some(state) = self.peers.get_mut(&peer) {
                        state.round_trip = Some(round_trip);
                    }
                }
                Err(ping::Failure::Unsupported) => {}
                Err(error) => {
                    // A restarted peer stays half deaf until its stale connection is gone, so do not keep one.
                    tracing::debug!(%peer, %error, "a connection does not answer pings");
                    self.swarm.close_connection(connection);
                }
            },
            BehaviourEvent::Mdns(mdns::Event::Discovered(found)) => {
                let now = Instant::now();
                for (peer, address) in found {
                    if let Some(address) = peers::with_peer(address, peer) {
                        self.dialer.add(address, Source::Known, false, now);
                    }
                }
            }
            BehaviourEvent::Mdns(mdns::Event::Expired(_)) => {}
            BehaviourEvent::Connections(never) | BehaviourEvent::Memory(never) => match never {},
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        let gossipsub::Event::Message { propagation_source: from, message_id: id, message } = event else { return };
        let Some(topic) = self.names.topic_of(&message.topic) else {
            return self.report(&id, &from, MessageAcceptance::Ignore);
        };
        if message.data.len() > limits::GOSSIP_SIZE_MAX {
            return self.report(&id, &from, MessageAcceptance::Reject);
        }
        match self.gate.offer(from, id.clone(), Instant::now()) {
            Intake::Deliver => {
                let data = Bytes::from(message.data);
                self.backlog.push_back(NetworkEvent::Gossip { topic, from, id, data });
            }
            Intake::Ignore => self.report(&id, &from, MessageAcceptance::Ignore),
            Intake::Disconnect => {
                tracing::warn!(peer = %from, "disconnected a peer that floods gossip");
                self.report(&id, &from, MessageAcceptance::Ignore);
                self.disconnect(from);
            }
        }
    }

    fn on_sync(&mut self, event: request_response::Event<Bytes, Bytes>) {
        match event {
            request_response::Event::Message { peer, message, .. } => match message {
                Message::Request { request_id, request: data, channel } => {
                    match self.requests.admit(peer, request_id, channel) {
                        Some(ticket) => self.backlog.push_back(NetworkEvent::Request { peer, ticket, data }),
                        None => tracing::debug!(%peer, "refused a request: too many wait"),
                    }
                }
                Message::Response { request_id, response } => self.answered(&request_id, Ok(response)),
            },
            request_response::Event::OutboundFailure { peer, request_id, error, .. } => {
                tracing::debug!(%peer, %error, "a request failed");
                self.answered(&request_id, Err(requests::failure(&error)));
            }
            request_response::Event::InboundFailure { peer, request_id, error, .. } => {
                tracing::debug!(%peer, %error, "a peer's request failed");
                self.requests.given_up(request_id);
            }
            request_response::Event::ResponseSent { .. } => {}
        }
    }

    fn answered(&mut self, request: &request_response::OutboundRequestId, result: Result<Bytes, RequestFailure>) {
        if let Some((peer, ticket)) = self.requests.answered(request) {
            self.backlog.push_back(NetworkEvent::Response { peer, ticket, result });
        }
    }

    fn on_identified(&mut self, connection: ConnectionId, peer: PeerId, info: identify::Info) {
        if !self.names.is_ours(&info.protocol_version) {
            tracing::info!(%peer, "disconnected a peer of another network");
            return self.disconnect(peer);
        }
        self.dialer.confirmed(peer);
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.agent = Some(info.agent_version.chars().filter(|sign| !sign.is_control()).take(64).collect());
        let Some(link) = state.links.iter().find(|link| link.id == connection) else { return };
        let mut addresses = peers::believable(&info.listen_addrs, &link.address, peer);
        if link.outbound {
            addresses.extend(peers::with_peer(link.address.clone(), peer));
        }
        let now = Instant::now();
        for address in addresses {
            self.dialer.add(address, Source::Known, true, now);
        }
    }

    fn on_tick(&mut self, now: Instant) {
        for (id, from) in self.gate.expire(now) {
            self.report(&id, &from, MessageAcceptance::Ignore);
        }
        self.audit(now);
        self.redial(now);
        if now >= self.save_at {
            self.save_at = now + limits::PEERS_FILE_INTERVAL;
            // The file is small and nobody waits for it, but a disk may hang.
            drop(self.save());
        }
    }

    fn redial(&mut self, now: Instant) {
        while let Some((address, peer)) = self.dialer.next(now, self.peers.len(), |peer| self.peers.contains_key(peer))
        {
            let options = match peer {
                Some(peer) => DialOpts::peer_id(peer)
                    .addresses(vec![address.clone()])
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .build(),
                None => DialOpts::unknown_peer_id().address(address.clone()).build(),
            };
            let connection = options.connection_id();
            self.dialer.dialling(&address, connection);
            match self.swarm.dial(options) {
                Ok(()) => {}
                Err(DialError::DialPeerConditionFalse(_)) => self.dialer.postponed(&address, spread(), now),
                Err(error) => self.on_dial_error(connection, &error),
            }
        }
    }

    /// Reconnects peers whose subscriptions never came.
    ///
    /// Gossipsub announces them on a peer's first connection only. A node that restarts before its old connection was
    /// reaped therefore hears nothing, although it is connected.
    fn audit(&mut self, now: Instant) {
        let Some(grace) = self.config.mesh_audit else { return };
        let mut deaf = Vec::new();
        for (peer, state) in &self.peers {
            if self.is_subscribed(peer) {
                self.audits.remove(peer);
                continue;
            }
            let doublings = self.audits.get(peer).copied().unwrap_or(0).min(limits::AUDIT_DOUBLINGS_MAX);
            if now.saturating_duration_since(state.since) >= grace * (1 << doublings) {
                deaf.push(*peer);
            }
        }
        for peer in deaf {
            tracing::info!(%peer, "reconnecting to a peer whose gossip subscriptions did not come");
            if self.audits.len() >= limits::AUDIT_PEERS_MAX {
                self.audits.clear();
            }
            *self.audits.entry(peer).or_default() += 1;
            self.dialer.want(peer);
            self.disconnect(peer);
        }
    }

    fn save(&mut self) -> Option<tokio::task::JoinHandle<()>> {
        let path = self.config.peers_file.clone()?;
        let addresses = self.dialer.to_save();
        if addresses.is_empty() || addresses == self.saved {
            return None;
        }
        self.saved.clone_from(&addresses);
        Some(tokio::task::spawn_blocking(move || {
            if let Err(error) = peers::write_peers(&path, &addresses) {
                tracing::warn!(path = %path.display(), %error, "cannot save the known peers");
            }
        }))
    }

    async fn close(mut self) {
        if let Some(saving) = self.save() {
            // It logs its own failure.
            let _ = saving.await;
        }
        let connected: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in connected {
            self.disconnect(peer);
        }
        let closing = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(limits::SHUTDOWN_TIMEOUT, closing).await.is_err() {
            tracing::debug!("some connections did not close in time");
        }
    }
}

fn read_peers(path: &std::path::Path) -> Vec<Multiaddr> {
    match peers::read_peers(path) {
        Ok((addresses, 0)) => addresses,
        Ok((addresses, malformed)) => {
            tracing::warn!(path = %path.display(), malformed, "the peers file has lines that name no peer");
            addresses
        }
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read the known peers");
            Vec::new()
        }
    }
}

/// Draws the jitter of a redial; without randomness redials merely fall in step.
fn spread() -> u8 {
    getrandom::u32().map_or(128, |random| random.to_be_bytes()[0])
}
