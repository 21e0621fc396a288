//! What the swarm tells the task, and what becomes of it: an event for the node, a note to the dialer, or nothing.

use std::time::Instant;

use bytes::Bytes;
use libp2p::core::ConnectedPoint;
use libp2p::gossipsub::{self, MessageAcceptance};
use libp2p::multiaddr::Protocol;
use libp2p::request_response::{self, Message};
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{PeerId, identify, mdns, ping};

use super::super::behaviour::BehaviourEvent;
use super::super::dialer::Source;
use super::super::intake::Intake;
use super::super::{NetworkEvent, RequestFailure, Transport, limits, peers, requests};
use super::{Link, Peer, Task, spread};

impl Task {
    pub(super) fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
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

    pub(super) fn on_dial_error(&mut self, connection: ConnectionId, error: &DialError) {
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
}
