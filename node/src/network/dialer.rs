//! Whom to dial, and when: configured peers for ever, others while we have too few connections.
//!
//! The dialer is told the time and draws no randomness of its own; the network task feeds it what happened.

use std::time::{Duration, Instant};

use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};

use super::behaviour::peer_of;
use super::limits;
use super::peers::is_named;

/// Where an address comes from, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// From the configuration; dialled for as long as the node runs.
    Static,
    /// From the peers file, a member's record, mDNS, or a peer that we met.
    Known,
    /// From the configuration; dialled while there are too few connections.
    Bootstrap,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Dialling(ConnectionId),
    Connected(PeerId),
}

#[derive(Debug)]
struct Target {
    address: Multiaddr,
    peer: Option<PeerId>,
    source: Source,
    state: State,
    failures: u32,
    due: Instant,
    /// Dial it although we have enough connections: the mesh audit closed the last one.
    wanted: bool,
    /// It was connected to a peer of our network, now or in a former run: worth saving.
    proven: bool,
}

/// The addresses of peers and their redial timers.
#[derive(Debug)]
pub(super) struct Dialer {
    own: PeerId,
    targets: Vec<Target>,
    peers_wanted: usize,
    first: Duration,
    longest: Duration,
    /// Whether addresses that are not configured count.
    learn: bool,
}

impl Dialer {
    pub(super) fn new(own: PeerId, peers_wanted: usize, redial: (Duration, Duration)) -> Self {
        let (first, longest) = redial;
        Self { own, targets: Vec::new(), peers_wanted, first, longest, learn: true }
    }

    /// Dials configured addresses alone.
    pub(super) fn only_configured(mut self) -> Self {
        self.learn = false;
        self
    }

    /// Adds an address; false if it is our own, already there, or there is no room.
    pub(super) fn add(&mut self, address: Multiaddr, source: Source, proven: bool, now: Instant) -> bool {
        let peer = peer_of(&address);
        if peer == Some(self.own) {
            return false;
        }
        if let Some(target) = self.targets.iter_mut().find(|target| target.address == address) {
            target.proven |= proven;
            return false;
        }
        if source == Source::Known && !(self.learn && self.make_room(peer)) {
            return false;
        }
        let target = Target { address, peer, source, state: State::Idle, failures: 0, due: now, wanted: false, proven };
        self.targets.push(target);
        true
    }

    /// Makes room for one more known address, at the cost of the worst: unproven, then most failures.
    fn make_room(&mut self, peer: Option<PeerId>) -> bool {
        let of_peer = |target: &&Target| target.source == Source::Known && target.peer == peer;
        if peer.is_some() && self.targets.iter().filter(of_peer).count() >= limits::KNOWN_ADDRESSES_PER_PEER_MAX {
            return false;
        }
        if self.targets.iter().filter(|target| target.source == Source::Known).count() < limits::KNOWN_ADDRESSES_MAX {
            return true;
        }
        let idle = |target: &Target| target.source == Source::Known && target.state == State::Idle;
        let worst = (self.targets.iter().enumerate())
            .filter(|(_, target)| idle(target) && (!target.proven || target.failures > 0))
            .max_by_key(|(_, target)| (!target.proven, target.failures))
            .map(|(index, _)| index);
        worst.map(|index| self.targets.swap_remove(index)).is_some()
    }

    /// Picks the next address to dial: configured ones first, then IP addresses before names, then the longest due.
    pub(super) fn next(
        &mut self,
        now: Instant,
        peers_connected: usize,
        is_connected: impl Fn(&PeerId) -> bool,
    ) -> Option<(Multiaddr, Option<PeerId>)> {
        let dialling = self.targets.iter().filter(|target| matches!(target.state, State::Dialling(_)));
        let (dialling, dialled): (Vec<_>, Vec<_>) = dialling.map(|target| ((), target.peer)).unzip();
        if dialling.len() >= limits::DIALS_MAX {
            return None;
        }
        let enough = peers_connected.saturating_add(dialling.len()) >= self.peers_wanted;
        self.targets
            .iter()
            .filter(|target| target.state == State::Idle && target.due <= now)
            .filter(|target| target.source == Source::Static || target.wanted || !enough)
            .filter(|target| target.peer.is_none_or(|peer| !is_connected(&peer) && !dialled.contains(&Some(peer))))
            .min_by_key(|target| (target.source, is_named(&target.address), target.due))
            .map(|target| (target.address.clone(), target.peer))
    }

    /// Notes that an address is being dialled.
    pub(super) fn dialling(&mut self, address: &Multiaddr, connection: ConnectionId) {
        if let Some(target) = self.targets.iter_mut().find(|target| target.address == *address) {
            target.state = State::Dialling(connection);
        }
    }

    /// Notes that a dial failed; the next comes after `spread` of the backoff, which is 0 to 255.
    pub(super) fn failed(&mut self, connection: ConnectionId, spread: u8, now: Instant) {
        let (first, longest) = (self.first, self.longest);
        for target in self.targets.iter_mut().filter(|target| target.state == State::Dialling(connection)) {
            target.state = State::Idle;
            target.back_off(first, longest, spread, now);
        }
    }

    /// Notes that an address could not be dialled at once, which is nobody's failure.
    pub(super) fn postponed(&mut self, address: &Multiaddr, spread: u8, now: Instant) {
        let wait = jittered(self.first, spread);
        if let Some(target) = self.targets.iter_mut().find(|target| target.address == *address) {
            target.state = State::Idle;
            target.due = now + wait;
        }
    }

    /// Drops an address that turned out to be our own.
    pub(super) fn is_own(&mut self, connection: ConnectionId) {
        self.targets.retain(|target| target.state != State::Dialling(connection));
    }

    /// Notes that a dial succeeded.
    pub(super) fn connected(&mut self, connection: ConnectionId, peer: PeerId) {
        for target in self.targets.iter_mut().filter(|target| target.state == State::Dialling(connection)) {
            target.state = State::Connected(peer);
            target.wanted = false;
        }
    }

    /// Notes that a peer turned out to be of our network: its address is good.
    pub(super) fn confirmed(&mut self, peer: PeerId) {
        for target in self.targets.iter_mut().filter(|target| target.state == State::Connected(peer)) {
            target.failures = 0;
            target.proven = true;
        }
    }

    /// Notes that the last connection to a peer closed.
    ///
    /// The failures of an address begin again at zero only once its peer was confirmed: one that accepts
    /// connections and drops them is redialled ever more slowly.
    pub(super) fn closed(&mut self, peer: PeerId, spread: u8, now: Instant) {
        let (first, longest) = (self.first, self.longest);
        for target in &mut self.targets {
            if target.state == State::Connected(peer) {
                target.state = State::Idle;
                target.back_off(first, longest, spread, now);
            } else if target.state == State::Idle && target.peer == Some(peer) {
                target.due = target.due.max(now + jittered(first, spread));
            }
        }
    }

    /// Asks for a peer to be dialled again, whether or not we have enough connections.
    pub(super) fn want(&mut self, peer: PeerId) {
        let of_peer = |target: &&mut Target| target.peer == Some(peer) || target.state == State::Connected(peer);
        self.targets.iter_mut().filter(of_peer).for_each(|target| target.wanted = true);
    }

    /// Returns the addresses worth saving, those of proven peers.
    pub(super) fn to_save(&self) -> Vec<Multiaddr> {
        let mut addresses: Vec<Multiaddr> = (self.targets.iter())
            .filter(|target| target.proven && target.peer.is_some())
            .map(|target| target.address.clone())
            .collect();
        addresses.sort_by_cached_key(ToString::to_string);
        addresses.truncate(limits::KNOWN_ADDRESSES_MAX);
        addresses
    }
}

impl Target {
    /// Waits twice as long after each failure, and 1 to 30 s in the default configuration.
    fn back_off(&mut self, first: Duration, longest: Duration, spread: u8, now: Instant) {
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let wait = first.saturating_mul(1 << doublings).min(longest);
        self.due = now + jittered(wait, spread);
    }
}

/// Returns half of `wait` and up to as much again: a network that comes back does not dial in step.
fn jittered(wait: Duration, spread: u8) -> Duration {
    wait / 2 + wait / 2 * u32::from(spread) / 255
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(30);

    fn dialer(peers_wanted: usize) -> Dialer {
        Dialer::new(PeerId::random(), peers_wanted, (FIRST, LONGEST))
    }

    fn address(host: &str) -> Multiaddr {
        format!("{host}/tcp/4270/p2p/{}", PeerId::random()).parse().unwrap()
    }

    fn connection(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    #[test]
    fn static_peers_come_first_and_ip_literals_before_names() {
        let now = Instant::now();
        let mut dialer = dialer(8);
        let order = [address("/ip4/192.0.2.1"), address("/dns/a.example"), address("/ip4/192.0.2.2")];
        dialer.add(address("/dns/b.example"), Source::Bootstrap, false, now);
        dialer.add(order[2].clone(), Source::Known, false, now);
        dialer.add(order[1].clone(), Source::Static, false, now);
        dialer.add(order[0].clone(), Source::Static, false, now);
        for (number, expected) in order.iter().enumerate() {
            let (next, _) = dialer.next(now, 0, |_| false).unwrap();
            assert_eq!(&next, expected);
            dialer.dialling(&next, connection(number));
        }
    }

    #[test]
    fn static_peers_are_redialled_for_ever_within_the_longest_wait() {
        let mut now = Instant::now();
        let mut dialer = dialer(0);
        dialer.add(address("/ip4/192.0.2.1"), Source::Static, false, now);
        for number in 0..100 {
            let (next, _) = dialer.next(now, 5, |_| false).unwrap();
            dialer.dialling(&next, connection(number));
            dialer.failed(connection(number), 255, now);
            assert!(dialer.next(now, 5, |_| false).is_none());
            now += LONGEST;
        }
    }

    #[test]
    fn other_peers_are_dialled_only_while_there_are_too_few() {
        let now = Instant::now();
        let mut dialer = dialer(2);
        let peer = address("/ip4/192.0.2.1");
        dialer.add(peer.clone(), Source::Known, false, now);
        assert!(dialer.next(now, 2, |_| false).is_none());
        assert!(dialer.next(now, 1, |_| true).is_none());
        assert!(dialer.next(now, 1, |_| false).is_some());
        dialer.want(peer_of(&peer).unwrap());
        assert!(dialer.next(now, 2, |_| false).is_some());
    }

    #[test]
    fn a_peer_that_accepts_and_drops_is_redialled_ever_more_slowly() {
        let now = Instant::now();
        let mut dialer = dialer(2);
        let target = address("/ip4/192.0.2.1");
        let peer = peer_of(&target).unwrap();
        dialer.add(target.clone(), Source::Static, false, now);
        for number in 0..4 {
            dialer.dialling(&target, connection(number));
            dialer.connected(connection(number), peer);
            dialer.closed(peer, 255, now);
        }
        assert!(dialer.next(now + FIRST * 7, 0, |_| false).is_none());
        assert!(dialer.next(now + FIRST * 8, 0, |_| false).is_some());
        assert!(dialer.to_save().is_empty());
        dialer.dialling(&target, connection(9));
        dialer.connected(connection(9), peer);
        dialer.confirmed(peer);
        dialer.closed(peer, 255, now);
        assert!(dialer.next(now + FIRST, 0, |_| false).is_some());
        assert_eq!(dialer.to_save(), vec![target]);
    }

    #[test]
    fn the_known_addresses_are_bounded_and_proven_ones_stay() {
        let now = Instant::now();
        let mut dialer = dialer(2);
        for number in 0..limits::KNOWN_ADDRESSES_MAX {
            assert!(dialer.add(address("/ip4/192.0.2.1"), Source::Known, number > 0, now));
        }
        assert!(dialer.add(address("/ip4/192.0.2.2"), Source::Known, true, now));
        assert!(!dialer.add(address("/ip4/192.0.2.3"), Source::Known, false, now));
        assert_eq!(dialer.to_save().len(), limits::KNOWN_ADDRESSES_MAX);
        let own = dialer.own;
        assert!(!dialer.add(format!("/ip4/192.0.2.4/tcp/1/p2p/{own}").parse().unwrap(), Source::Static, true, now));
    }
}
