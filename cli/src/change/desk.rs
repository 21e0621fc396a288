//! Where a change is handed over: to the node that runs on the data directory, else to its store.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Deserialize;
use standfast_node::api::envelope;
use standfast_node::error::NodeError;
use standfast_node::fence::Heard;
use standfast_node::local::LocalNode;
use standfast_node::store::StoreError;
use standfast_protocol::replica::Replica;
use standfast_protocol::sync::{Submission, SubmitError};

use crate::client::Client;
use crate::command::Context;
use crate::error::{CliError, CliResult, Exit};
use crate::held;
use crate::standing::Standing;

/// How often a waiting command looks. A quorum on one continent takes tenths of a second.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Who takes submissions.
pub enum Desk {
    /// A running node's API.
    Running(Client),
    /// The store itself, locked.
    Local(Box<LocalNode>),
}

/// What a node says of one register.
#[derive(Debug, Clone, Default, Deserialize)]
struct RegisterStatus {
    origin: String,
    size_witnessed: u64,
    witnesses: u64,
}

#[derive(Debug, Deserialize)]
struct NodeStatus {
    peers: Option<u64>,
    witnesses_named: u64,
}

#[derive(Debug, Deserialize)]
struct Status {
    node: NodeStatus,
    registers: Vec<RegisterStatus>,
}

/// How far a head has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witnessed {
    /// Witnesses that stand at the witnessed head.
    pub standing: u64,
    /// Witnesses that the charter names.
    pub named: u64,
}

impl Desk {
    /// Finds the node: the one that `--node` names, else the one running on the data directory, else its store.
    pub fn open(context: &Context) -> CliResult<Self> {
        if let Some(client) = context.client()? {
            match client.get("/v1/health") {
                Ok(_) => return Ok(Self::Running(client)),
                Err(silent) if context.config.node.is_some() => return Err(silent),
                // A node that was killed leaves its address behind. If it lives, the store says so.
                Err(silent) => {
                    return match LocalNode::open(&context.config.data_dir) {
                        Err(NodeError::Store(StoreError::InUse { process })) => Err(locked(process, Some(&silent))),
                        opened => opened.map(|node| Self::Local(Box::new(node))).map_err(|e| node_error(&e)),
                    };
                }
            }
        }
        let node = LocalNode::open(&context.config.data_dir).map_err(|e| node_error(&e))?;
        Ok(Self::Local(Box::new(node)))
    }

    /// True when a node runs, so that what is handed over leaves this machine.
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running(_))
    }

    /// Returns all that is held now.
    pub fn replica(&self, context: &Context) -> CliResult<Replica> {
        match self {
            Self::Local(node) => Ok(node.replica().clone()),
            Self::Running(client) => {
                let answer = client.get("/v1/snapshot")?;
                if answer.status != 200 {
                    return Err(answer.error());
                }
                held::open(&answer.body, context.now.secs())
                    .map_err(|e| held::bundle_error(Path::new("the node's snapshot"), &e))
            }
        }
    }

    /// Hands a submission over; returns once all that was new of it is durable.
    pub fn submit(&mut self, submission: Submission) -> CliResult<()> {
        match self {
            Self::Local(node) => node.submit(submission).map(|_| ()).map_err(|e| node_error(&e)),
            Self::Running(client) => {
                let answer = client.post("/v1/publish", "application/cbor", &envelope::encode(&submission))?;
                if (200..300).contains(&answer.status) { Ok(()) } else { Err(answer.error()) }
            }
        }
    }

    /// Returns what the node has heard of a register's newest head; `None` without a node.
    pub fn fence(&self, origin: &str) -> CliResult<Option<Heard>> {
        match self {
            Self::Local(_) => Ok(None),
            Self::Running(client) => client.get(&format!("/v1/fence/{origin}"))?.json().map(Some),
        }
    }

    /// Hands over the charter that the operator chooses.
    pub fn choose(&mut self, note: Bytes) -> CliResult<()> {
        match self {
            Self::Local(node) => {
                let submission = Submission { choice: Some(note), ..Submission::default() };
                node.submit(submission).map(|_| ()).map_err(|e| node_error(&e))
            }
            Self::Running(client) => {
                let answer = client.post("/v1/charter/choice", "text/plain", &note)?;
                if (200..300).contains(&answer.status) { Ok(()) } else { Err(answer.error()) }
            }
        }
    }

    /// Returns what a running node says of network, charter and registers.
    pub fn standing(&self) -> CliResult<Option<Standing>> {
        match self {
            Self::Local(_) => Ok(None),
            Self::Running(client) => client.get("/v1/status")?.json::<Standing>().map(Some),
        }
    }

    /// Returns how many peers the node is connected to; `None` without a node.
    pub fn peers(&self) -> CliResult<Option<u64>> {
        match self {
            Self::Local(_) => Ok(None),
            Self::Running(client) => Ok(client.get("/v1/status")?.json::<Status>()?.node.peers),
        }
    }

    /// Looks whether a quorum stands at `size` or later.
    pub fn witnessed(&self, origin: &str, size: u64) -> CliResult<Option<Witnessed>> {
        let (reached, standing, named) = match self {
            Self::Local(node) => {
                let replica = node.replica();
                let Some(register) = replica.register(origin) else { return Ok(None) };
                let standing = register.witnessed_stand().map_or(0, |stand| stand.cosignatures().len());
                (register.size_witnessed(), standing as u64, replica.quorum().witnesses().len() as u64)
            }
            Self::Running(client) => {
                let status: Status = client.get("/v1/status")?.json()?;
                let found = status.registers.into_iter().find(|register| register.origin == origin);
                let found = found.unwrap_or_default();
                (found.size_witnessed, found.witnesses, status.node.witnesses_named)
            }
        };
        Ok((reached >= size).then_some(Witnessed { standing, named }))
    }

    /// Waits until a quorum stands at `size`, at most for `span`; without a node there is nobody to wait for.
    pub fn wait(&self, origin: &str, size: u64, since: Instant, span: Duration) -> CliResult<Option<Witnessed>> {
        loop {
            let found = self.witnessed(origin, size)?;
            if found.is_some() || !self.is_running() || since.elapsed() >= span {
                return Ok(found);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

fn locked(process: Option<u32>, silent: Option<&CliError>) -> CliError {
    let process = process.map(|id| format!(" (process {id})")).unwrap_or_default();
    let made = CliError::new("store-locked", Exit::Io, format!("the store is in use by a running node{process}"));
    let made = match silent {
        Some(silent) => made.cause(silent.message.clone()),
        None => made.cause("it has written no address of an API"),
    };
    made.hint("turn [api] on, or stop the node: systemctl stop standfast")
}

/// Says why the node or the store did not do it.
pub fn node_error(error: &NodeError) -> CliError {
    let of = |code, exit| CliError::of(code, exit, error);
    match error {
        NodeError::NoCharter(_) => held::nothing_held(),
        NodeError::Store(StoreError::InUse { process }) => locked(*process, None),
        NodeError::OtherNetwork { .. } => of("other-network", Exit::Refused)
            .hint("a data directory belongs to one network: name another one with --data-dir"),
        NodeError::Submit(error) => {
            let of = |code, exit| CliError::of(code, exit, error);
            match error {
                SubmitError::Unbound(_) => of("register-unbound", Exit::Refused),
                SubmitError::Fault(_) => of("not-authentic", Exit::Refused),
                SubmitError::NotAdmitted { .. } => of("not-admitted", Exit::Refused),
                SubmitError::Charter(_) => of("charter-refused", Exit::Refused),
                SubmitError::NotDurable(_) => of("not-durable", Exit::Io),
                SubmitError::Busy => of("busy", Exit::Open).hint("run it again in a moment"),
            }
        }
        NodeError::Key(error) => crate::command::key_error(error),
        NodeError::File { path, source } => CliError::file(path, source),
        NodeError::Stopping => of("node-stopping", Exit::Open).hint("run it again when the node is back"),
        _ => of("store-io", Exit::Io),
    }
}
