//! A running node: store, network, machine and API together, from start to stop.
//!
//! ```text
//! Node::start ─▶ store's writer (thread) ─┐
//!                network (task)          ─┼─▶ driver (task, owns the machine) ─▶ what is held, peers (watch)
//!                API (task)              ─┘
//! ```
//!
//! [`run`] is the same until a future ends; [`run_until_signal`] makes the runtime and waits for SIGINT or SIGTERM.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use libp2p::Multiaddr;
use standfast_protocol::replica::Replica;
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::sync::{
    DoorAnswer, DoorRequest, Duties, FenceReport, Pace, Submission, SubmitError, WitnessKeys,
};
use standfast_protocol::time::Time;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::api::{self, ApiServer};
use crate::config::{Config, Peers};
pub use crate::driver::ConnectedPeer;
use crate::driver::{Command, Driver, Parts, Windows};
use crate::error::NodeError;
use crate::file;
use crate::keystore::{KeyUse, Keystore, KeystoreError, Passphrase};
use crate::local::publishers;
use crate::network::peers::load_or_create_identity;
use crate::network::{self, Network, NetworkConfig};
use crate::replay::{self, Replayed, now_ms};
use crate::store::spawn_writer;
use crate::telemetry::{Reporter, Telling};

#[cfg(test)]
mod tests;

/// Commands that wait for the driver.
const COMMANDS_MAX: usize = 64;
/// Reports of the writer that wait for the driver.
const REPORTS_MAX: usize = 1_024;
/// The file of a data directory that names the node to its peers.
const IDENTITY_FILE_NAME: &str = "network.key";
/// The file of a data directory that remembers peers.
const PEERS_FILE_NAME: &str = "peers";
/// The file of a data directory that says where its running node is.
pub const NODE_FILE_NAME: &str = "node.json";
/// Connections per wanted peer: three in ten are kept for those that we open.
const CONNECTIONS_PER_PEER: u32 = 2;

/// What a running node says about itself.
#[derive(Debug, Clone)]
pub struct About {
    /// When it started.
    pub since: Time,
    /// Its peer id.
    pub peer: String,
}

/// Speaks to a running node; cheap to clone.
#[derive(Clone)]
pub struct NodeHandle {
    commands: mpsc::Sender<Command>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    peers: watch::Receiver<Arc<Vec<ConnectedPeer>>>,
    listening: watch::Receiver<Vec<String>>,
    about: Arc<About>,
}

impl NodeHandle {
    /// Hands something in; returns how much of it was new once that is durable.
    pub async fn submit(&self, submission: Submission) -> Result<usize, NodeError> {
        let (reply, result) = oneshot::channel();
        let queued = self.commands.try_send(Command::Submit(submission, reply));
        queued.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NodeError::Submit(SubmitError::Busy),
            mpsc::error::TrySendError::Closed(_) => NodeError::Stopping,
        })?;
        Ok(result.await.map_err(|_| NodeError::Stopping)??)
    }

    /// Asks the witness that this node is to cosign a checkpoint; returns once what it says is durable.
    pub async fn add_checkpoint(&self, request: DoorRequest) -> Result<DoorAnswer, NodeError> {
        let (reply, answer) = oneshot::channel();
        let queued = self.commands.try_send(Command::AddCheckpoint(Box::new(request), reply));
        queued.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NodeError::Submit(SubmitError::Busy),
            mpsc::error::TrySendError::Closed(_) => NodeError::Stopping,
        })?;
        answer.await.map_err(|_| NodeError::Stopping)
    }

    /// Returns what is known of a register's newest head; `None` when nobody names the register.
    pub async fn fence(&self, origin: &str) -> Result<Option<FenceReport>, NodeError> {
        let (reply, report) = oneshot::channel();
        let queued = self.commands.try_send(Command::Fence(origin.to_owned(), reply));
        queued.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NodeError::Submit(SubmitError::Busy),
            mpsc::error::TrySendError::Closed(_) => NodeError::Stopping,
        })?;
        report.await.map_err(|_| NodeError::Stopping)
    }

    /// Returns what is held: a moment ago, and never less than a submission that was answered.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.borrow().clone()
    }

    /// Waits until what is held is as wanted. Fails when the node stops first.
    pub async fn wait_for(&self, mut wanted: impl FnMut(&Replica) -> bool) -> Result<Arc<Snapshot>, NodeError> {
        let mut snapshot = self.snapshot.clone();
        let held = snapshot.wait_for(|held| wanted(held.replica())).await.map_err(|_| NodeError::Stopping)?;
        Ok(held.clone())
    }

    /// Returns the connected peers.
    pub fn peers(&self) -> Arc<Vec<ConnectedPeer>> {
        self.peers.borrow().clone()
    }

    /// Waits until the connected peers are as wanted. Fails when the node stops first.
    pub async fn wait_for_peers(&self, mut wanted: impl FnMut(&[ConnectedPeer]) -> bool) -> Result<(), NodeError> {
        let mut peers = self.peers.clone();
        let waited = peers.wait_for(|peers| wanted(peers)).await;
        waited.map(|_| ()).map_err(|_| NodeError::Stopping)
    }

    /// Waits for the first listening address and returns it with our peer id at its end, to be dialled.
    pub async fn address(&self) -> Result<String, NodeError> {
        let mut listening = self.listening.clone();
        let listening = listening.wait_for(|list| !list.is_empty()).await.map_err(|_| NodeError::Stopping)?;
        let first = listening.first().cloned().unwrap_or_default();
        Ok(format!("{first}/p2p/{}", self.about.peer))
    }

    /// Returns what the node says about itself.
    pub fn about(&self) -> &About {
        &self.about
    }
}

/// A running node. Dropping it is like killing it: what was acknowledged stays.
pub struct Node {
    handle: NodeHandle,
    driver: JoinHandle<Result<(), NodeError>>,
    api: Option<ApiServer>,
    /// The witness's own listener.
    door: Option<ApiServer>,
    _file: NodeFile,
}

impl Node {
    /// Starts a node. Must run inside a tokio runtime of several threads; opening the store blocks for a moment.
    ///
    /// `passphrase` is asked for the passphrase of the witness key, if the configuration names one.
    pub async fn start(
        config: &Config,
        passphrase: impl FnOnce(&str) -> Result<Passphrase, KeystoreError>,
        reporter: Reporter,
    ) -> Result<Self, NodeError> {
        let reporter = Arc::new(reporter);
        let now = || Time::from_secs_saturating(now_ms() / 1000);
        let mut tellings = Vec::new();
        let pace = Pace { sync_min_s: config.pace.sync_min_s, sync_max_s: config.pace.sync_max_s };
        let duties = |sound: bool| {
            if !sound {
                tellings.push(Telling::Unsound);
                return Ok(Duties::none());
            }
            duties(config, passphrase)
        };
        let Replayed { store, machine, size_bytes, elapsed } = replay::open(&config.data_dir, duties, pace)?;
        let held = Snapshot::new(machine.replica().clone());
        let replica = held.replica();
        let charter = replica.charter();
        reporter.tell(&Telling::Start { network: charter.network_id(), charter: charter.version() }, now());
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        tellings.push(Telling::Data { registers: replica.registers().len(), size_bytes, elapsed_ms });
        tellings.extend(unnamed_witness(config, replica));
        tellings.iter().for_each(|telling| reporter.tell(telling, now()));

        let identity = load_or_create_identity(&config.data_dir.join(IDENTITY_FILE_NAME))?;
        let network = network_config(config, replica)?;
        let start_network = Box::new(move || Network::start(network.clone(), identity.clone()));
        let started = start_network()?;
        let about = Arc::new(About { since: now(), peer: started.0.peer_id().to_string() });
        let (report_sender, reports) = mpsc::channel(REPORTS_MAX);
        let snapshot_file = store.snapshot_file();
        let writer = spawn_writer(store, report_sender).map_err(NodeError::Runtime)?;
        let (command_sender, commands) = mpsc::channel(COMMANDS_MAX);
        let (snapshot_sender, snapshot) = watch::channel(held);
        let (peers_sender, peers) = watch::channel(Arc::default());
        let (listening_sender, listening) = watch::channel(Vec::new());
        let windows = Windows { snapshot: snapshot_sender, peers: peers_sender, listening: listening_sender };
        let handle = NodeHandle { commands: command_sender, snapshot, peers, listening, about };
        let api = if config.api.enabled {
            let server = api::serve(handle.clone(), config).await?;
            reporter.tell(&Telling::Api { address: server.address() }, now());
            Some(server)
        } else {
            None
        };
        let door = match config.witness.listen.filter(|_| config.witness.key.is_some()) {
            Some(wanted) => {
                let server = api::serve_witness(handle.clone(), wanted).await?;
                reporter.tell(&Telling::Door { address: server.address() }, now());
                Some(server)
            }
            None => None,
        };
        let addresses = [&api, &door].map(|server| server.as_ref().map(ApiServer::address));
        let file = NodeFile::write(&config.data_dir, addresses)?;
        let parts = Parts {
            machine,
            writer,
            reports,
            network: started,
            start_network,
            commands,
            windows,
            snapshot: snapshot_file,
            reporter,
        };
        let driver = tokio::spawn(Driver::new(parts).run());
        Ok(Self { handle, driver, api, door, _file: file })
    }

    /// Returns a handle on the node.
    pub fn handle(&self) -> &NodeHandle {
        &self.handle
    }

    /// Returns the URL of the API, if it is served.
    pub fn api_url(&self) -> Option<String> {
        self.api.as_ref().map(|api| format!("http://{}", api.address()))
    }

    /// Returns the URL prefix under which this witness takes `add-checkpoint` on its own listener, if it has one.
    pub fn witness_url(&self) -> Option<String> {
        self.door.as_ref().map(|door| format!("http://{}", door.address()))
    }

    /// Waits until the node ends by itself, which it only does when its disk is gone.
    pub async fn ended(&mut self) -> NodeError {
        match (&mut self.driver).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) | Err(_) => NodeError::WriterStopped,
        }
    }

    /// Stops in order: nothing more is accepted, what is under way becomes durable, the snapshot is written.
    pub async fn stop(mut self) -> Result<(), NodeError> {
        for server in [self.api.take(), self.door.take()].into_iter().flatten() {
            server.stop().await;
        }
        // An error says that the driver has ended, and the join below says why.
        let _ = self.handle.commands.send(Command::Stop).await;
        match (&mut self.driver).await {
            Ok(result) => result,
            Err(_) => Err(NodeError::WriterStopped),
        }
    }
}

/// The file that says to commands on this machine where the node is; gone when the node is.
struct NodeFile(PathBuf);

impl NodeFile {
    fn write(data_dir: &Path, addresses: [Option<SocketAddr>; 2]) -> Result<Self, NodeError> {
        let path = data_dir.join(NODE_FILE_NAME);
        let [api, witness] = addresses.map(|address| address.map(|address| format!("http://{address}")));
        let process = std::process::id();
        let document =
            serde_json::json!({"kind": "standfast/node/v1", "process": process, "api": api, "witness": witness});
        let written = file::replace(&path, document.to_string().as_bytes(), file::PUBLIC);
        written.map_err(|source| NodeError::File { path: path.clone(), source })?;
        Ok(Self(path))
    }
}

impl Drop for NodeFile {
    fn drop(&mut self) {
        // One that is left behind names a node that does not answer, which readers must expect after a kill anyway.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Runs a node until `shutdown` ends, then stops it in order.
pub async fn run(
    config: &Config,
    passphrase: impl FnOnce(&str) -> Result<Passphrase, KeystoreError>,
    reporter: Reporter,
    shutdown: impl Future<Output = ()>,
) -> Result<(), NodeError> {
    let mut node = Node::start(config, passphrase, reporter).await?;
    tokio::select! {
        error = node.ended() => Err(error),
        () = shutdown => node.stop().await,
    }
}

/// Runs a node on a runtime of its own until SIGINT or SIGTERM.
pub fn run_until_signal(
    config: &Config,
    passphrase: impl FnOnce(&str) -> Result<Passphrase, KeystoreError>,
    reporter: Reporter,
) -> Result<(), NodeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(NodeError::Runtime)?;
    let result = runtime.block_on(async {
        let signals = signals().map_err(NodeError::Runtime)?;
        run(config, passphrase, reporter, signals).await
    });
    // What still runs by then is a check that nobody waits for any more.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

#[cfg(unix)]
fn signals() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn signals() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a handler there is no signal to wait for, and the node runs until it is killed.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

fn duties(
    config: &Config,
    passphrase: impl FnOnce(&str) -> Result<Passphrase, KeystoreError>,
) -> Result<Duties, NodeError> {
    let witness = config.witness.key.as_deref().map(|name| witness_keys(&config.data_dir, name, passphrase));
    let publishers = if config.publisher.timestamp { publishers(&config.data_dir)? } else { Vec::new() };
    let interval = config.publisher.timestamp_interval_s;
    let duties = Duties::new(witness.transpose()?, publishers, config.witness.view_interval_s, interval);
    Ok(duties.alone(knows_nobody(config)))
}

/// True when this node will call nobody: then the only witness of a network need not wait for what peers say of it.
fn knows_nobody(config: &Config) -> bool {
    let Peers { static_peers, bootstrap, mdns, learn } = &config.peers;
    let saved = *learn && config.data_dir.join(PEERS_FILE_NAME).exists();
    static_peers.is_empty() && bootstrap.is_empty() && !mdns && !saved
}

fn witness_keys(
    data_dir: &Path,
    name: &str,
    passphrase: impl FnOnce(&str) -> Result<Passphrase, KeystoreError>,
) -> Result<WitnessKeys, NodeError> {
    let keystore = Keystore::in_data_dir(data_dir);
    // Before anybody is asked for a passphrase.
    keystore.public(name)?.demand(KeyUse::Witness)?;
    let unlocked = keystore.unlock(name, KeyUse::Witness, &passphrase(name)?)?;
    let keys = unlocked.public.verifier_keys().map_err(KeystoreError::from)?;
    match (<[_; 2]>::try_from(keys), unlocked.view) {
        (Ok([cosign, view]), Some(view_secret)) => {
            Ok(WitnessKeys { cosign: (cosign, unlocked.secret), view: (view, view_secret) })
        }
        _ => Err(NodeError::WitnessKey(name.to_owned())),
    }
}

/// Says so when the witness key of this node is none of the charter's, which is no error: its charter may be to come.
fn unnamed_witness(config: &Config, replica: &Replica) -> Option<Telling> {
    let key = config.witness.key.clone()?;
    let keys = Keystore::in_data_dir(&config.data_dir).public(&key).ok()?.verifier_keys().ok()?;
    let named = keys.iter().any(|key| replica.signing_witnesses().any(|set| set.cosigner(key).is_some()));
    (!named).then_some(Telling::NoWitness { key })
}

fn network_config(config: &Config, replica: &Replica) -> Result<NetworkConfig, NodeError> {
    let charter = replica.charter();
    let mesh = config.network.mesh;
    let mut bootstrap = addresses(&config.peers.bootstrap)?;
    // The charter's addresses are others' text: one that does not read is passed over.
    bootstrap.extend(charter.document().bootstrap.iter().filter_map(|text| text.parse::<Multiaddr>().ok()));
    let base = NetworkConfig::new(charter.network_id().0);
    Ok(NetworkConfig {
        listen: addresses(&config.network.listen)?,
        static_peers: addresses(&config.peers.static_peers)?,
        bootstrap,
        peers_file: Some(config.data_dir.join(PEERS_FILE_NAME)),
        mdns: config.peers.mdns,
        learn: config.peers.learn,
        mesh: network::Mesh { target: mesh.target, low: mesh.low, high: mesh.high },
        connections_max: config.limits.peers_max.saturating_mul(CONNECTIONS_PER_PEER),
        memory_max: usize::try_from(config.limits.memory_bytes_max).ok(),
        ..base
    })
}

fn addresses(texts: &[String]) -> Result<Vec<Multiaddr>, NodeError> {
    texts.iter().map(|text| text.parse().map_err(|_| NodeError::Address(text.clone()))).collect()
}
