//! How much gossip we take in: from one peer, from all, and what still waits for a verdict.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::gossipsub::MessageId;

use super::limits;

/// What to do with a new message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intake {
    /// Hand it to the node.
    Deliver,
    /// Ignore it: the peer, or all peers together, are over what we take.
    Ignore,
    /// Ignore it and disconnect the peer, which has been over its rate for long.
    Disconnect,
}

/// Counts what peers send.
#[derive(Debug, Default)]
pub(super) struct Gate {
    waiting: HashMap<MessageId, (PeerId, Instant)>,
    peers: HashMap<PeerId, Allowance>,
}

#[derive(Debug)]
struct Allowance {
    /// Messages that may come at once.
    left: u64,
    /// When `left` was last topped up.
    at: Instant,
    excess: u64,
    waiting: usize,
}

impl Allowance {
    fn top_up(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at);
        let more =
            u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).saturating_mul(limits::GOSSIP_RATE_PER_SECOND)
                / 1_000;
        if more > 0 {
            self.left = self.left.saturating_add(more).min(limits::GOSSIP_BURST_MAX);
            self.at = now;
        }
    }
}

impl Gate {
    /// Decides on a message that was not seen before.
    pub(super) fn offer(&mut self, from: PeerId, id: MessageId, now: Instant) -> Intake {
        let fresh = || Allowance { left: limits::GOSSIP_BURST_MAX, at: now, excess: 0, waiting: 0 };
        let peer = self.peers.entry(from).or_insert_with(fresh);
        peer.top_up(now);
        let Some(left) = peer.left.checked_sub(1) else {
            peer.excess = peer.excess.saturating_add(1);
            return if peer.excess > limits::GOSSIP_EXCESS_MAX { Intake::Disconnect } else { Intake::Ignore };
        };
        peer.left = left;
        if peer.waiting >= limits::GOSSIP_PENDING_PER_PEER_MAX || self.waiting.len() >= limits::GOSSIP_PENDING_MAX {
            return Intake::Ignore;
        }
        if self.waiting.insert(id, (from, now)).is_none() {
            peer.waiting += 1;
        }
        Intake::Deliver
    }

    /// Notes a verdict; returns the peer that brought the message, or `None` if the verdict comes too late.
    pub(super) fn settle(&mut self, id: &MessageId) -> Option<PeerId> {
        let (from, _) = self.waiting.remove(id)?;
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.waiting = peer.waiting.saturating_sub(1);
        }
        Some(from)
    }

    /// Takes out the messages whose verdict did not come in time, and forgets peers that have been silent.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<(MessageId, PeerId)> {
        let late = |since: &Instant| now.saturating_duration_since(*since) >= limits::VERDICT_TIMEOUT;
        let expired: Vec<_> = (self.waiting.iter())
            .filter(|(_, (_, since))| late(since))
            .map(|(id, (from, _))| (id.clone(), *from))
            .collect();
        for (id, _) in &expired {
            self.settle(id);
        }
        let silence = Duration::from_secs(60);
        self.peers.retain(|_, peer| peer.waiting > 0 || now.saturating_duration_since(peer.at) < silence);
        expired
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn id(number: u64) -> MessageId {
        MessageId::new(&number.to_be_bytes())
    }

    #[test]
    fn one_peer_cannot_fill_the_gate() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        let (loud, quiet) = (PeerId::random(), PeerId::random());
        for number in 0..limits::GOSSIP_PENDING_PER_PEER_MAX as u64 {
            assert_eq!(gate.offer(loud, id(number), now), Intake::Deliver);
        }
        assert_eq!(gate.offer(loud, id(1_000), now), Intake::Ignore);
        assert_eq!(gate.offer(quiet, id(1_001), now), Intake::Deliver);
        assert_eq!(gate.settle(&id(0)), Some(loud));
        assert_eq!(gate.settle(&id(0)), None);
        assert_eq!(gate.offer(loud, id(1_002), now), Intake::Deliver);
    }

    #[test]
    fn a_peer_over_its_rate_is_ignored_then_disconnected() {
        let (mut gate, now, peer) = (Gate::default(), Instant::now(), PeerId::random());
        for number in 0..limits::GOSSIP_BURST_MAX {
            assert_eq!(gate.offer(peer, id(number), now), Intake::Deliver);
            gate.settle(&id(number));
        }
        for _ in 0..limits::GOSSIP_EXCESS_MAX {
            assert_eq!(gate.offer(peer, id(0), now), Intake::Ignore);
        }
        assert_eq!(gate.offer(peer, id(0), now), Intake::Disconnect);
        assert_eq!(gate.offer(peer, id(0), now + Duration::from_secs(1)), Intake::Deliver);
    }

    #[test]
    fn a_verdict_that_does_not_come_is_given_up() {
        let (mut gate, now, peer) = (Gate::default(), Instant::now(), PeerId::random());
        gate.offer(peer, id(1), now);
        assert!(gate.expire(now).is_empty());
        assert_eq!(gate.expire(now + limits::VERDICT_TIMEOUT), vec![(id(1), peer)]);
        assert_eq!(gate.settle(&id(1)), None);
        gate.expire(now + Duration::from_secs(60));
        assert!(gate.peers.is_empty());
    }
}
