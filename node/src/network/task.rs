//! The network task: the swarm, its timers, and the two channels to the node.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use futures::StreamExt as _;
use libp2p::gossipsub::{self, MessageAcceptance, MessageId};
use libp2p::identity::Keypair;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};
use libp2p::{Multiaddr, PeerId, Swarm};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::behaviour::{self, Behaviour, Names};
use super::dialer::{Dialer, Source};
use super::intake::Gate;
use super::requests::Requests;
use super::{
    Command, NetworkConfig, NetworkError, NetworkEvent, PeerStatus, PublishError, RequestFailure, Topic, Transport,
    Verdict, limits, peers,
};

mod inbound;

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
        if !config.learn {
            dialer = dialer.only_configured();
        }
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
