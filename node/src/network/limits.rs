//! Bounds on what a peer can make the network task hold or do (`specs/sync.md` §5).

use std::time::Duration;

/// Bytes in one gossip message (design §8; `specs/sync.md` §2).
pub const GOSSIP_SIZE_MAX: usize = 16 * 1024;
/// Room beside the data in one gossip message: its topic, its tags and its lengths.
pub(super) const GOSSIP_ENVELOPE_MAX: usize = 256;
/// Bytes in one gossipsub frame.
///
/// Gossipsub 0.50 compares this with its whole receive buffer, which may already hold the next 8 KiB of the
/// stream; a bound equal to the message size breaks the stream when two large messages follow each other.
pub(super) const GOSSIP_FRAME_MAX: usize = 64 * 1024;
/// Messages in one gossipsub frame; we send one.
pub(super) const GOSSIP_FRAME_MESSAGES_MAX: usize = 64;
/// Message ids in one IHAVE or IWANT: with 20 bytes each they stay below the 16 KiB of control that a frame may have.
pub(super) const GOSSIP_CONTROL_IDS_MAX: usize = 500;
/// Messages queued for one peer before the oldest are dropped.
pub(super) const GOSSIP_QUEUE_MAX: usize = 256;
/// Gossip messages of one peer that wait for a verdict; more are ignored.
pub const GOSSIP_PENDING_PER_PEER_MAX: usize = 64;
/// Gossip messages of all peers that wait for a verdict; more are ignored.
pub const GOSSIP_PENDING_MAX: usize = 512;
/// New gossip messages a second that one peer may send for long.
pub const GOSSIP_RATE_PER_SECOND: u64 = 200;
/// New gossip messages that one peer may send at once.
pub const GOSSIP_BURST_MAX: u64 = 4_000;
/// Messages over the rate after which a peer is disconnected; 60 s of silence forgive them.
pub const GOSSIP_EXCESS_MAX: u64 = 10_000;
/// A verdict that has not come after this time is "ignore"; gossipsub forgets the message a little later.
pub(super) const VERDICT_TIMEOUT: Duration = Duration::from_secs(7);
/// Heartbeats for which gossipsub keeps a message, so that a verdict can come.
pub(super) const GOSSIP_HISTORY_HEARTBEATS: usize = 8;

/// Bytes in one request (`specs/sync.md` §3).
pub const REQUEST_SIZE_MAX: usize = 64 * 1024;
/// Bytes in one response (`specs/sync.md` §3).
pub const RESPONSE_SIZE_MAX: usize = 256 * 1024;
/// Requests of one peer that wait for our answer; more are refused.
pub const REQUESTS_FROM_PEER_MAX: usize = 8;
/// Requests of all peers that wait for our answer; more are refused.
pub const REQUESTS_FROM_ALL_MAX: usize = 64;
/// Our requests to one peer that wait for an answer; more fail as busy.
pub const REQUESTS_TO_PEER_MAX: usize = 8;
/// Our requests to all peers that wait for an answer; more fail as busy.
pub const REQUESTS_TO_ALL_MAX: usize = 64;
/// Request streams in both directions on one connection.
pub(super) const REQUEST_STREAMS_MAX: usize = 2 * REQUESTS_FROM_PEER_MAX;

/// Connections to one peer: one, a stale one, and one that crosses it.
pub(super) const CONNECTIONS_PER_PEER_MAX: u32 = 3;
/// Connections that have not finished their handshake, in each direction.
pub(super) const CONNECTIONS_PENDING_MAX: u32 = 64;
/// Time for a connection's handshake.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Streams on one TCP connection.
pub(super) const STREAMS_MAX: usize = 128;
/// Inbound streams on one connection that have not agreed on a protocol.
pub(super) const STREAMS_NEGOTIATING_MAX: usize = 32;

/// Commands that wait for the network task.
pub(super) const COMMANDS_MAX: usize = 256;
/// Events that wait for the node in the channel.
pub(super) const EVENTS_MAX: usize = 256;
/// Events that wait for room in that channel; then the network pauses.
pub(super) const EVENTS_BACKLOG_MAX: usize = 1_024;

/// Addresses remembered beside the configured ones.
pub const KNOWN_ADDRESSES_MAX: usize = 256;
/// Remembered addresses of one peer.
pub(super) const KNOWN_ADDRESSES_PER_PEER_MAX: usize = 4;
/// Addresses dialled at one time.
pub(super) const DIALS_MAX: usize = 8;
/// Bytes in the text of one address.
pub(super) const ADDRESS_SIZE_MAX: usize = 512;
/// Bytes read from the peers file.
pub(super) const PEERS_FILE_SIZE_MAX: u64 = 256 * 1024;
/// Time between two writes of the peers file.
pub(super) const PEERS_FILE_INTERVAL: Duration = Duration::from_secs(60);
/// Peers whose gossip the mesh audit found missing, remembered to space its interventions.
pub(super) const AUDIT_PEERS_MAX: usize = 1_024;
/// The mesh audit waits twice as long after each intervention, up to 2^this times.
pub(super) const AUDIT_DOUBLINGS_MAX: u32 = 5;
/// Time between two looks at timers: redials, the mesh audit, verdicts that did not come.
pub(super) const TICK: Duration = Duration::from_millis(250);
/// Time that a shutdown gives to connections to close.
pub(super) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);
