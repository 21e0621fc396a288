//! Requests that wait: ours for an answer, the peers' for ours.

use std::collections::HashMap;
use std::io;

use bytes::Bytes;
use libp2p::PeerId;
use libp2p::request_response::{InboundRequestId, OutboundFailure, OutboundRequestId, ResponseChannel};

use super::{RequestFailure, limits};

/// A peer's request until it is answered, refused or given up by the peer.
#[derive(Debug)]
struct Asked {
    peer: PeerId,
    request: InboundRequestId,
    channel: ResponseChannel<Bytes>,
}

/// The tables of waiting requests.
#[derive(Debug, Default)]
pub(super) struct Requests {
    ours: HashMap<OutboundRequestId, (PeerId, u64)>,
    theirs: HashMap<u64, Asked>,
    next_ticket: u64,
}

impl Requests {
    /// Whether one more request may go to `peer`.
    pub(super) fn may_ask(&self, peer: &PeerId) -> bool {
        let to_peer = self.ours.values().filter(|(asked, _)| asked == peer).count();
        to_peer < limits::REQUESTS_TO_PEER_MAX && self.ours.len() < limits::REQUESTS_TO_ALL_MAX
    }

    /// Notes a request that we sent under the caller's ticket.
    pub(super) fn asked(&mut self, request: OutboundRequestId, peer: PeerId, ticket: u64) {
        self.ours.insert(request, (peer, ticket));
    }

    /// Takes out our request that has been answered or has failed.
    pub(super) fn answered(&mut self, request: &OutboundRequestId) -> Option<(PeerId, u64)> {
        self.ours.remove(request)
    }

    /// Admits a peer's request and gives it a ticket; over the bounds it drops the channel, which refuses.
    pub(super) fn admit(
        &mut self,
        peer: PeerId,
        request: InboundRequestId,
        channel: ResponseChannel<Bytes>,
    ) -> Option<u64> {
        let from_peer = self.theirs.values().filter(|asked| asked.peer == peer).count();
        if from_peer >= limits::REQUESTS_FROM_PEER_MAX || self.theirs.len() >= limits::REQUESTS_FROM_ALL_MAX {
            return None;
        }
        let ticket = self.next_ticket;
        self.next_ticket = self.next_ticket.wrapping_add(1);
        self.theirs.insert(ticket, Asked { peer, request, channel });
        Some(ticket)
    }

    /// Takes the channel of a peer's request in order to answer it, or to refuse it by dropping the channel.
    pub(super) fn channel(&mut self, ticket: u64) -> Option<ResponseChannel<Bytes>> {
        self.theirs.remove(&ticket).map(|asked| asked.channel)
    }

    /// Forgets a peer's request that has timed out or lost its connection.
    pub(super) fn given_up(&mut self, request: InboundRequestId) {
        self.theirs.retain(|_, asked| asked.request != request);
    }
}

/// Says why a request of ours failed, in the caller's terms.
pub(super) fn failure(error: &OutboundFailure) -> RequestFailure {
    match error {
        OutboundFailure::DialFailure => RequestFailure::NotConnected,
        OutboundFailure::Timeout => RequestFailure::Timeout,
        OutboundFailure::ConnectionClosed => RequestFailure::ConnectionClosed,
        OutboundFailure::UnsupportedProtocols => RequestFailure::Unsupported,
        OutboundFailure::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => RequestFailure::Refused,
        OutboundFailure::Io(error) if error.kind() == io::ErrorKind::InvalidData => RequestFailure::Malformed,
        OutboundFailure::Io(_) => RequestFailure::Broken,
    }
}
