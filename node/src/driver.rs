//! The one task that owns the machine: events of network, disk, API and clock go in, outputs are carried out.
//!
//! It decides nothing. It waits for nothing but its next event: checks run on the blocking pool, at most two at once,
//! frames go to the writer's thread, and the snapshot is packed and written beside the loop. A network task that ends is
//! started again; meanwhile the API goes on.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use libp2p::PeerId;
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::sync::check::{Checked, Fault, Job};
use standfast_protocol::sync::{
    DoorAnswer, DoorRequest, Durable, Event, FenceReport, Gossip, Machine, Notice, Output, Peer, Submission,
    SubmitError, Topic, Verdict,
};
use standfast_protocol::time::Time;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::error::NodeError;
use crate::network::{self, MessageId, NetworkEvent, NetworkHandle, PublishError, Transport};
use crate::replay::{frames_of, now_ms, snapshot_bytes};
use crate::store::disk::RealDisk;
use crate::store::snapshot_file::SnapshotFile;
use crate::store::{Frame, PersistRefused, Report, WriterHandle};
use crate::telemetry::{Reporter, Telling};

/// Checks that run at one time: as many as the smallest machine has cores, so that some of it stays for the rest.
const CHECKS_AT_ONCE: usize = 2;
/// Gossip messages that wait for a verdict; twice as many as the network holds.
const JUDGED_MAX: usize = 2 * network::limits::GOSSIP_PENDING_MAX;
/// Submissions under way at one time.
const SUBMISSIONS_MAX: usize = 64;
/// Time between two tellings of what changed to those who read it.
const PUBLISH_EVERY: Duration = Duration::from_millis(25);
/// Time between two snapshot files (design §9).
const SNAPSHOT_EVERY: Duration = Duration::from_secs(1);
/// Time that a stop gives to frames on their way to the disk.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Gossip that nobody heard, kept for another try.
const UNHEARD_MAX: usize = 256;
/// How long it is kept: connections take seconds to subscribe, and later ones compare frontiers anyway.
const UNHEARD_FOR: Duration = Duration::from_secs(30);
/// The first and the longest wait before a network that ended is started again.
const NETWORK_AGAIN_S: (u64, u64) = (1, 60);

/// What others ask of the task.
pub(crate) enum Command {
    Submit(Submission, oneshot::Sender<Result<usize, SubmitError>>),
    AddCheckpoint(Box<DoorRequest>, oneshot::Sender<DoorAnswer>),
    Fence(String, oneshot::Sender<Option<FenceReport>>),
    Stop,
    /// Ends the network task, as a panic in it would.
    #[cfg(test)]
    EndNetwork,
}

/// A peer that is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectedPeer {
    /// Its peer id.
    pub peer: String,
    /// What carries its first connection.
    pub transport: &'static str,
    /// Its address as we see it.
    pub address: String,
    /// Whether we dialled.
    pub outbound: bool,
    /// Since when.
    pub since: Time,
}

/// What everybody else may look at.
pub(crate) struct Windows {
    pub(crate) snapshot: watch::Sender<Arc<Snapshot>>,
    pub(crate) peers: watch::Sender<Arc<Vec<ConnectedPeer>>>,
    pub(crate) listening: watch::Sender<Vec<String>>,
}

pub(crate) type NetworkParts = (NetworkHandle, mpsc::Receiver<NetworkEvent>);
pub(crate) type StartNetwork = Box<dyn FnMut() -> Result<NetworkParts, network::NetworkError> + Send + Sync>;

/// All that the task is made of.
pub(crate) struct Parts {
    pub(crate) machine: Machine,
    pub(crate) writer: WriterHandle,
    pub(crate) reports: mpsc::Receiver<Report>,
    pub(crate) network: NetworkParts,
    pub(crate) start_network: StartNetwork,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) windows: Windows,
    pub(crate) snapshot: SnapshotFile<RealDisk>,
    pub(crate) reporter: Arc<Reporter>,
}

enum Net {
    Up(NetworkHandle, mpsc::Receiver<NetworkEvent>),
    Down { again: Instant, wait_s: u64 },
}

type CheckDone = (u64, Result<Box<Checked>, Fault>);

pub(crate) struct Driver {
    machine: Machine,
    writer: WriterHandle,
    reports: mpsc::Receiver<Report>,
    net: Net,
    start_network: StartNetwork,
    commands: mpsc::Receiver<Command>,
    windows: Windows,
    reporter: Arc<Reporter>,
    /// Frames that the writer's queue had no room for, in their order.
    backlog: VecDeque<(u64, Vec<Frame>)>,
    unwritten: usize,
    resume_waits: bool,
    waiting_checks: VecDeque<(u64, Box<Job>)>,
    checks: JoinSet<CheckDone>,
    judged: BTreeMap<u64, (MessageId, PeerId)>,
    next_handle: u64,
    unheard: VecDeque<(Instant, Topic, Bytes)>,
    submissions: HashMap<u64, oneshot::Sender<Result<usize, SubmitError>>>,
    /// Requests to cosign that wait for the disk; their number is bounded where they come in.
    door: HashMap<u64, oneshot::Sender<DoorAnswer>>,
    peers: BTreeMap<Peer, ConnectedPeer>,
    changed: bool,
    published_at: Instant,
    /// Not there while it is being written.
    snapshot: Option<SnapshotFile<RealDisk>>,
    snapshot_task: JoinSet<SnapshotFile<RealDisk>>,
    snapshot_due: bool,
    snapshot_at: Instant,
    stopping: bool,
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> Self {
        let now = Instant::now();
        let (handle, events) = parts.network;
        Self {
            machine: parts.machine,
            writer: parts.writer,
            reports: parts.reports,
            net: Net::Up(handle, events),
            start_network: parts.start_network,
            commands: parts.commands,
            windows: parts.windows,
            reporter: parts.reporter,
            backlog: VecDeque::new(),
            unwritten: 0,
            resume_waits: false,
            waiting_checks: VecDeque::new(),
            checks: JoinSet::new(),
            judged: BTreeMap::new(),
            next_handle: 0,
            unheard: VecDeque::new(),
            submissions: HashMap::new(),
            door: HashMap::new(),
            peers: BTreeMap::new(),
            changed: false,
            published_at: now,
            snapshot: Some(parts.snapshot),
            snapshot_task: JoinSet::new(),
            snapshot_due: true,
            snapshot_at: now,
            stopping: false,
        }
    }

    /// Runs until it is told to stop, or until the disk is gone.
    pub(crate) async fn run(mut self) -> Result<(), NodeError> {
        let outputs = self.machine.started(now_ms());
        self.carry_out(outputs).await;
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let publish_at = self.published_at + PUBLISH_EVERY;
            let snapshot_at = self.snapshot_at + SNAPSHOT_EVERY;
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Submit(submission, reply)) => self.submit(submission, reply).await,
                    Some(Command::AddCheckpoint(request, reply)) => self.knock(request, reply).await,
                    Some(Command::Fence(origin, reply)) => {
                        // What is held is shown first: whoever asks goes on from it.
                        self.publish();
                        // Whoever asked may have gone meanwhile.
                        let _ = reply.send(self.machine.fence(&origin));
                    }
                    Some(Command::Stop) | None => break,
                    #[cfg(test)]
                    Some(Command::EndNetwork) => {
                        if let Net::Up(network, _) = &self.net {
                            network.shutdown().await;
                        }
                    }
                },
                report = self.reports.recv() => match report {
                    Some(report) => self.reported(report).await,
                    None => return Err(NodeError::WriterStopped),
                },
                Some(done) = self.checks.join_next() => self.checked(done).await,
                event = next_event(&mut self.net) => match event {
                    Some(event) => self.heard(event).await,
                    None => self.restart_network().await,
                },
                _ = ticks.tick() => self.tick().await,
                () = tokio::time::sleep_until(publish_at), if self.changed => self.publish(),
                () = tokio::time::sleep_until(snapshot_at), if self.snapshot_due && self.snapshot.is_some() => {
                    self.begin_snapshot();
                }
                Some(done) = self.snapshot_task.join_next() => self.snapshot = done.ok(),
            }
        }
        self.stop().await
    }

    // ---- events in -------------------------------------------------------------------------------------------------

    async fn handle(&mut self, event: Event) {
        let outputs = self.machine.handle(event, now_ms());
        self.carry_out(outputs).await;
    }

    async fn submit(&mut self, submission: Submission, reply: oneshot::Sender<Result<usize, SubmitError>>) {
        if self.submissions.len() >= SUBMISSIONS_MAX {
            // Whoever asked may have gone meanwhile.
            let _ = reply.send(Err(SubmitError::Busy));
            return;
        }
        self.next_handle = self.next_handle.wrapping_add(1);
        self.submissions.insert(self.next_handle, reply);
        self.handle(Event::Submit(self.next_handle, submission)).await;
    }

    async fn knock(&mut self, request: Box<DoorRequest>, reply: oneshot::Sender<DoorAnswer>) {
        self.next_handle = self.next_handle.wrapping_add(1);
        self.door.insert(self.next_handle, reply);
        self.handle(Event::AddCheckpoint(self.next_handle, request)).await;
    }

    async fn reported(&mut self, report: Report) {
        self.unwritten = self.unwritten.saturating_sub(1);
        let event = match report {
            Report::Persisted(ticket) => Event::Persisted(ticket),
            Report::PersistFailed(ticket, error) => {
                // The machine drops what rested on it, so that what is queued from now on does not build on it.
                self.resume_waits = true;
                Event::PersistFailed(ticket, chain(&*error))
            }
        };
        if self.resume_waits {
            self.resume_waits = !self.writer.resume();
        }
        self.handle(event).await;
        self.write_backlog().await;
    }

    async fn checked(&mut self, done: Result<CheckDone, tokio::task::JoinError>) {
        if let Ok((ticket, result)) = done {
            self.handle(Event::Checked(ticket, result)).await;
        }
        self.begin_checks();
    }

    async fn tick(&mut self) {
        // Without randomness there is no jitter, which is no reason to stop.
        let entropy = getrandom::u64().unwrap_or_else(|_| now_ms());
        self.handle(Event::Tick { entropy }).await;
        self.gossip_again().await;
    }

    async fn heard(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::Listening(address) => {
                let text = address.to_string();
                self.windows.listening.send_modify(|listening| listening.push(text.clone()));
                self.tell(&Telling::Listen { address: text });
            }
            NetworkEvent::ListenerClosed(address) => {
                let text = address.to_string();
                self.windows.listening.send_modify(|listening| listening.retain(|held| *held != text));
            }
            NetworkEvent::Connected { peer, address, outbound, transport } => {
                let name: Peer = peer.to_string().into();
                self.came(&name, address.to_string(), outbound, transport);
                self.handle(Event::Connected(name)).await;
            }
            NetworkEvent::Disconnected { peer } => self.went(peer.to_string().into()).await,
            NetworkEvent::Gossip { topic, from, id, data } => {
                self.next_handle = self.next_handle.wrapping_add(1);
                self.judged.insert(self.next_handle, (id, from));
                if self.judged.len() > JUDGED_MAX {
                    // The network itself has given up on it long since.
                    self.judged.pop_first();
                }
                let gossip =
                    Gossip { topic: topic_in(topic), peer: from.to_string().into(), message: self.next_handle };
                self.handle(Event::Gossip(gossip, data)).await;
            }
            NetworkEvent::Request { peer, ticket, data } => {
                self.handle(Event::Request { peer: peer.to_string().into(), ticket, data }).await;
            }
            NetworkEvent::Response { peer, ticket, result } => {
                if let Err(failure) = &result {
                    tracing::debug!(%peer, %failure, "a request has no answer");
                }
                self.handle(Event::Response { peer: peer.to_string().into(), ticket, result: result.ok() }).await;
            }
        }
    }

    fn came(&mut self, name: &Peer, address: String, outbound: bool, transport: Transport) {
        let transport = match transport {
            Transport::Tcp => "tcp",
            Transport::Quic => "quic",
        };
        if self.peers.contains_key(name) {
            return;
        }
        let since = Time::from_secs_saturating(now_ms() / 1000);
        let peer = ConnectedPeer { peer: name.to_string(), transport, address, outbound, since };
        self.peers.insert(name.clone(), peer);
        self.show_peers();
        self.tell(&Telling::PeerCame { peer: name.to_string(), transport });
    }

    async fn went(&mut self, name: Peer) {
        if self.peers.remove(&name).is_some() {
            self.show_peers();
            self.tell(&Telling::PeerWent { peer: name.to_string() });
        }
        self.handle(Event::Disconnected(name)).await;
    }

    fn show_peers(&self) {
        self.windows.peers.send_replace(Arc::new(self.peers.values().cloned().collect()));
    }

    /// The network ended by itself, or its time to be started again has come.
    async fn restart_network(&mut self) {
        let wait_s = match &self.net {
            Net::Up(..) => NETWORK_AGAIN_S.0,
            Net::Down { wait_s, .. } => match (self.start_network)() {
                Ok((handle, events)) => {
                    self.net = Net::Up(handle, events);
                    return;
                }
                Err(error) => {
                    tracing::error!(error = chain(&error), "the network cannot be started");
                    wait_s.saturating_mul(2).min(NETWORK_AGAIN_S.1)
                }
            },
        };
        self.net = Net::Down { again: Instant::now() + Duration::from_secs(wait_s), wait_s };
        tracing::error!(wait_s, "the network ended by itself");
        self.tell(&Telling::NetworkEnded { again_s: wait_s });
        self.judged.clear();
        self.windows.listening.send_replace(Vec::new());
        let peers: Vec<Peer> = self.peers.keys().cloned().collect();
        for peer in peers {
            self.went(peer).await;
        }
    }

    // ---- outputs out -----------------------------------------------------------------------------------------------

    async fn carry_out(&mut self, outputs: Vec<Output>) {
        let mut outputs = VecDeque::from(outputs);
        while let Some(output) = outputs.pop_front() {
            let failed = self.carry_out_one(output).await;
            if let Some((ticket, reason)) = failed {
                outputs.extend(self.machine.handle(Event::PersistFailed(ticket, reason), now_ms()));
            }
        }
        self.begin_checks();
    }

    /// Returns a ticket whose frames cannot even be queued.
    async fn carry_out_one(&mut self, output: Output) -> Option<(u64, String)> {
        match output {
            Output::Publish(topic, data) => self.gossip(Instant::now(), topic, data).await,
            Output::Judge(gossip, verdict) => {
                if let (Some((id, from)), Net::Up(network, _)) = (self.judged.remove(&gossip.message), &self.net) {
                    // An error says that the network ended, which its events say too.
                    let _ = network.validate(id, from, verdict_out(verdict)).await;
                }
            }
            Output::Request { peer, ticket, data } => {
                if let (Ok(peer), Net::Up(network, _)) = (PeerId::from_str(&peer), &self.net) {
                    let _ = network.request(peer, ticket, data).await;
                }
            }
            Output::Respond(ticket, data) => {
                if let Net::Up(network, _) = &self.net {
                    let _ = network.respond(ticket, data).await;
                }
            }
            Output::Refuse(ticket) => {
                if let Net::Up(network, _) = &self.net {
                    let _ = network.refuse(ticket).await;
                }
            }
            Output::Persist(ticket, durables) => return self.persist(ticket, durables).err().map(|why| (ticket, why)),
            Output::Check(ticket, job) => match &*job {
                // What says that something no longer counts overtakes the rest.
                Job::Fork { .. } | Job::Witness { .. } => self.waiting_checks.push_front((ticket, job)),
                Job::Head { .. } | Job::Statements { .. } | Job::View { .. } | Job::Own { .. } | Job::Past { .. } => {
                    self.waiting_checks.push_back((ticket, job));
                }
            },
            Output::Submitted(ticket, result) => {
                if let Some(reply) = self.submissions.remove(&ticket) {
                    // The reader must find what it was told of.
                    self.publish();
                    let _ = reply.send(result);
                }
            }
            Output::AddedCheckpoint(ticket, answer) => {
                if let Some(reply) = self.door.remove(&ticket) {
                    // Whoever asked may have gone meanwhile.
                    let _ = reply.send(answer);
                }
            }
            Output::Changed => {
                self.changed = true;
                self.snapshot_due = true;
            }
            Output::Notice(notice) => self.notice(notice),
        }
        None
    }

    async fn gossip(&mut self, since: Instant, topic: Topic, data: Bytes) {
        let Net::Up(network, _) = &self.net else { return };
        match network.publish(topic_out(topic), data.clone()).await {
            Ok(_) | Err(PublishError::Duplicate) => {}
            // A peer that has just connected compared frontiers before this, and has not subscribed yet.
            Err(PublishError::NoPeers | PublishError::QueuesFull) => {
                self.unheard.push_back((since, topic, data));
                if self.unheard.len() > UNHEARD_MAX {
                    self.unheard.pop_front();
                }
            }
            Err(error @ (PublishError::TooLarge | PublishError::Internal | PublishError::Closed(_))) => {
                tracing::warn!(?topic, %error, "not gossiped");
            }
        }
    }

    async fn gossip_again(&mut self) {
        for (since, topic, data) in std::mem::take(&mut self.unheard) {
            if since.elapsed() < UNHEARD_FOR {
                self.gossip(since, topic, data).await;
            }
        }
    }

    fn notice(&self, notice: Notice) {
        let named = self.machine.replica().quorum().witnesses().len();
        self.tell(&Telling::Notice(notice, named));
    }

    fn persist(&mut self, ticket: u64, durables: Vec<Durable>) -> Result<(), String> {
        let frames = frames_of(durables).map_err(|error| chain(&error))?;
        if self.backlog.is_empty() {
            self.queue(ticket, frames)
        } else {
            self.backlog.push_back((ticket, frames));
            Ok(())
        }
    }

    fn queue(&mut self, ticket: u64, frames: Vec<Frame>) -> Result<(), String> {
        match self.writer.persist(ticket, frames) {
            Ok(()) => {
                self.unwritten = self.unwritten.saturating_add(1);
                Ok(())
            }
            Err(PersistRefused::Full(frames)) => {
                self.backlog.push_front((ticket, frames));
                Ok(())
            }
            Err(refused @ PersistRefused::Stopped(_)) => Err(refused.to_string()),
        }
    }

    async fn write_backlog(&mut self) {
        while let Some((ticket, frames)) = self.backlog.pop_front() {
            let before = self.backlog.len();
            if let Err(why) = self.queue(ticket, frames) {
                let outputs = self.machine.handle(Event::PersistFailed(ticket, why), now_ms());
                Box::pin(self.carry_out(outputs)).await;
            } else if self.backlog.len() > before {
                return;
            }
        }
    }

    fn begin_checks(&mut self) {
        while self.checks.len() < CHECKS_AT_ONCE && !self.stopping {
            let Some((ticket, job)) = self.waiting_checks.pop_front() else { return };
            self.checks.spawn_blocking(move || {
                let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.run().map(Box::new)));
                let result = run.unwrap_or_else(|_| {
                    tracing::error!("a check panicked; what it was about is passed over");
                    // Nobody's fault but ours.
                    Err(Fault::UnknownKey)
                });
                (ticket, result)
            });
        }
    }

    // ---- what others look at ---------------------------------------------------------------------------------------

    fn publish(&mut self) {
        self.changed = false;
        self.published_at = Instant::now();
        self.windows.snapshot.send_replace(Snapshot::new(self.machine.replica().clone()));
    }

    fn begin_snapshot(&mut self) {
        let Some(mut file) = self.snapshot.take() else { return };
        self.snapshot_due = false;
        self.snapshot_at = Instant::now();
        let replica = self.machine.replica().clone();
        self.snapshot_task.spawn_blocking(move || {
            if let Err(error) = file.replace(&snapshot_bytes(&replica)) {
                tracing::error!(%error, "the snapshot could not be written");
            }
            file
        });
    }

    fn tell(&self, telling: &Telling) {
        self.reporter.tell(telling, Time::from_secs_saturating(now_ms() / 1000));
    }

    // ---- the end ---------------------------------------------------------------------------------------------------

    /// Takes nothing more, waits for what is on its way to the disk, and closes in order.
    async fn stop(mut self) -> Result<(), NodeError> {
        self.stopping = true;
        self.submissions.clear();
        self.door.clear();
        let down = Net::Down { again: Instant::now(), wait_s: NETWORK_AGAIN_S.1 };
        if let Net::Up(network, events) = std::mem::replace(&mut self.net, down) {
            drop(events);
            network.shutdown().await;
        }
        let drained = async {
            while self.unwritten > 0 {
                let Some(report) = self.reports.recv().await else { return };
                self.reported(report).await;
            }
        };
        if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
            tracing::error!(waiting = self.unwritten, "the disk did not take all in time");
        }
        while let Some(done) = self.snapshot_task.join_next().await {
            self.snapshot = done.ok();
        }
        self.begin_snapshot();
        while self.snapshot_task.join_next().await.is_some() {}
        let waiting = self.unwritten.saturating_add(self.backlog.len());
        let Self { writer, reports, reporter, .. } = self;
        drop(reports);
        let closed = tokio::task::spawn_blocking(move || writer.close()).await;
        reporter.tell(&Telling::Stop { waiting }, Time::from_secs_saturating(now_ms() / 1000));
        match closed {
            Ok(closed) => Ok(closed?),
            Err(_) => Err(NodeError::WriterStopped),
        }
    }
}

async fn next_event(net: &mut Net) -> Option<NetworkEvent> {
    match net {
        Net::Up(_, events) => events.recv().await,
        Net::Down { again, .. } => {
            tokio::time::sleep_until(*again).await;
            None
        }
    }
}

fn topic_in(topic: network::Topic) -> Topic {
    match topic {
        network::Topic::Heads => Topic::Heads,
        network::Topic::Statements => Topic::Statements,
        network::Topic::Forks => Topic::Forks,
    }
}

fn topic_out(topic: Topic) -> network::Topic {
    match topic {
        Topic::Heads => network::Topic::Heads,
        Topic::Statements => network::Topic::Statements,
        Topic::Forks => network::Topic::Forks,
    }
}

fn verdict_out(verdict: Verdict) -> network::Verdict {
    match verdict {
        Verdict::Accept => network::Verdict::Accept,
        Verdict::Ignore => network::Verdict::Ignore,
        Verdict::Reject => network::Verdict::Reject,
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
