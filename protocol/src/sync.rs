//! Replication: one machine, and the messages that it speaks (`specs/sync.md`).
//!
//! ```text
//! gossip, requests, submissions, ticks ─→ Machine::handle ─→ checks, records to persist, requests, answers, gossip
//! ```
//!
//! The node translates libp2p, HTTP, disk and timer into [`Event`]s, and [`Output`]s back; it decides nothing.

use std::sync::Arc;

use bytes::Bytes;

#[cfg(test)]
mod tests;

pub mod answer;
pub mod check;
pub mod duties;
pub mod fence;
pub mod frontier;
mod learning;
pub mod machine;
pub mod message;
pub mod peers;
mod seen;
mod watch;

pub use duties::{Duties, PublisherKey, WitnessKeys};
pub use fence::{Beyond, FenceReport, WitnessAnswer};
pub use machine::{DoorAnswer, DoorRequest, Machine};

use crate::charter::CharterError;
use crate::register::admission::Admission;
use check::{Checked, Fault, Job};
use message::{ForkMessage, HeadMessage, PastMessage, StatementMessage};

/// A peer, as the node names it.
pub type Peer = Arc<str>;

/// A gossip topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Signed heads with their latest entries.
    Heads,
    /// Cosignatures, timestamps and views.
    Statements,
    /// Fork proofs.
    Forks,
}

/// A gossip message that waits for its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gossip {
    /// The topic.
    pub topic: Topic,
    /// The peer that sent it.
    pub peer: Peer,
    /// The node's handle on the message.
    pub message: u64,
}

/// What becomes of a gossip message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It advances us: pass it on.
    Accept,
    /// It is stale, about something unknown here, or came at a bad time: nobody's fault.
    Ignore,
    /// Whoever sent it must know better.
    Reject,
}

/// What happens to a machine.
#[derive(Debug)]
pub enum Event {
    /// A peer is there.
    Connected(Peer),
    /// A peer is gone.
    Disconnected(Peer),
    /// A gossip message came.
    Gossip(Gossip, Bytes),
    /// A peer asks.
    Request {
        /// Who.
        peer: Peer,
        /// The node's handle on the question.
        ticket: u64,
        /// The request.
        data: Bytes,
    },
    /// A peer answers, or did not.
    Response {
        /// Who.
        peer: Peer,
        /// The ticket of the request.
        ticket: u64,
        /// The response; `None` when none came.
        result: Option<Bytes>,
    },
    /// A check is done.
    Checked(u64, Result<Box<Checked>, Fault>),
    /// What the ticket asked for is on disk.
    Persisted(u64),
    /// What the ticket asked for is not on disk, and why.
    PersistFailed(u64, String),
    /// The operator hands something in.
    Submit(u64, Submission),
    /// Somebody asks this witness to cosign a checkpoint (C2SP tlog-witness).
    AddCheckpoint(u64, Box<DoorRequest>),
    /// Time passes; about once a second. Randomness for jitter comes along.
    Tick {
        /// Uniformly random bits.
        entropy: u64,
    },
}

/// What a machine wants done.
#[derive(Debug)]
pub enum Output {
    /// Gossip this.
    Publish(Topic, Bytes),
    /// Tell the gossip layer what became of a message.
    Judge(Gossip, Verdict),
    /// Ask a peer.
    Request {
        /// Whom.
        peer: Peer,
        /// Comes back with the response.
        ticket: u64,
        /// The request.
        data: Bytes,
    },
    /// Answer a request.
    Respond(u64, Bytes),
    /// Do not answer a request: it was not the protocol.
    Refuse(u64),
    /// Make these durable, in this order, all or none.
    Persist(u64, Vec<Durable>),
    /// Run this beside the loop.
    Check(u64, Box<Job>),
    /// A submission is done: how much of it was new, or the first thing that was refused.
    Submitted(u64, Result<usize, SubmitError>),
    /// What became of a request to cosign a checkpoint.
    AddedCheckpoint(u64, DoorAnswer),
    /// What a verifier would see has changed.
    Changed,
    /// Worth telling the operator.
    Notice(Notice),
}

/// A durable record (`specs/store.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Durable {
    /// A record body.
    Body(Bytes),
    /// A head with admitted entries: a [`HeadMessage`].
    Batch(Bytes),
    /// Statements of others, or a timestamp of our own: a [`StatementMessage`].
    Statement(Bytes),
    /// What we are about to cosign or to vouch for: a [`StatementMessage`].
    Promise(Bytes),
    /// A fork proof or a witness proof: a [`message::EvidenceMessage`].
    Fork(Bytes),
    /// A charter note.
    Charter(Bytes),
    /// A charter note that the operator chose.
    Choice(Bytes),
    /// An old register up to the point that a binding names: a [`PastMessage`].
    Past(Bytes),
}

/// What an operator, a command or a bundle hands in.
#[derive(Debug, Clone, Default)]
pub struct Submission {
    /// Charter notes, each the next version or another one of a version that is held.
    pub charters: Vec<Bytes>,
    /// A charter note that the operator chooses.
    pub choice: Option<Bytes>,
    /// Bodies that heads below put.
    pub bodies: Vec<Bytes>,
    /// Heads with entries, those of an authority before those of whom it recognises.
    pub heads: Vec<HeadMessage>,
    /// Statements.
    pub statements: Vec<StatementMessage>,
    /// Fork proofs.
    pub forks: Vec<ForkMessage>,
    /// Witness proofs.
    pub witness_proofs: Vec<Bytes>,
    /// Old registers that bindings name, among them those that heads above make known.
    pub pasts: Vec<PastMessage>,
}

/// Why a submission was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SubmitError {
    /// Nobody names this register.
    #[error("no charter or trust entry held here names the register {0}")]
    Unbound(String),
    /// A signature or form does not hold.
    #[error("it does not authenticate")]
    Fault(#[source] Fault),
    /// The register did not take it.
    #[error("{origin} did not take size {size}: {}", admission.code())]
    NotAdmitted {
        /// The register.
        origin: String,
        /// The size of the head.
        size: u64,
        /// What became of it.
        admission: Admission,
    },
    /// The charter does not follow.
    #[error("the charter does not follow the one held")]
    Charter(#[source] Arc<CharterError>),
    /// The disk did not take it.
    #[error("it could not be made durable: {0}")]
    NotDurable(String),
    /// Too much at once.
    #[error("too much is under way")]
    Busy,
}

/// What an operator may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A newest head moved.
    Head {
        /// The register.
        origin: String,
        /// From this size.
        from: u64,
        /// To this size.
        to: u64,
    },
    /// A quorum stands at a new size.
    Quorum {
        /// The register.
        origin: String,
        /// The witnessed size.
        size: u64,
        /// How many witnesses stand there.
        witnesses: usize,
    },
    /// A register's key signed two histories.
    Forked {
        /// The register.
        origin: String,
        /// The size of the smaller of the two heads.
        size: u64,
    },
    /// A witness contradicted itself.
    WitnessMisbehaved {
        /// Its name in the charter.
        witness: String,
        /// The register.
        origin: String,
    },
    /// Other nodes hold statements by the keys of this witness that it does not remember.
    OwnStatements {
        /// The witness's name.
        witness: String,
        /// True when another machine signs with these keys: this one signs nothing any more.
        is_live: bool,
    },
    /// A witness knows what it said before, and signs from now on.
    WitnessReady {
        /// The witness's name.
        witness: String,
    },
    /// A register's key signed an invalid entry.
    Frozen {
        /// The register.
        origin: String,
        /// The last valid size.
        size: u64,
    },
    /// A charter took effect.
    Charter {
        /// Its version.
        version: u64,
    },
    /// There are two charters of one version.
    CharterForked {
        /// Their version.
        version: u64,
        /// The version that is in force meanwhile.
        in_force: u64,
    },
    /// The witnesses that a charter announced are in force.
    WitnessesChanged {
        /// The version of the charter.
        version: u64,
    },
    /// A peer sent what must not be sent.
    Refused {
        /// Who.
        peer: Peer,
        /// What was wrong.
        reason: String,
    },
    /// Entries came from a peer.
    CaughtUp {
        /// From whom.
        peer: Peer,
        /// The register.
        origin: String,
        /// How many entries.
        entries: u64,
        /// How many bytes of response.
        bytes: usize,
    },
    /// Something could not be made durable, and was dropped.
    NotDurable {
        /// Why.
        reason: String,
    },
}

/// How often a machine asks and speaks, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The shortest time between two exchanges of frontiers with a random peer (`specs/sync.md` §4: 30).
    pub sync_min_s: u64,
    /// The longest (`specs/sync.md` §4: 60).
    pub sync_max_s: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { sync_min_s: 30, sync_max_s: 60 }
    }
}
