//! What the demo plays on: five processes of this very program, their keys and folders, a cable and a directory.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::cable::Cable;
use crate::client::{Client, NodeFile};
use crate::error::{CliError, CliResult, Exit};

/// Opens every key of the demo; they protect nothing.
pub(super) const PASSPHRASE: &str = "demonstration";
/// How long a condition is waited for before it counts as missed.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// The five nodes: those that witness first.
pub(super) const NODES: [&str; 5] = ["interior", "customs", "health", "transport", "police"];
/// How many of them witness.
pub(super) const WITNESSES: usize = 3;

/// A folder with everything in it, and the processes that run on it.
pub(super) struct Stage {
    program: PathBuf,
    dir: PathBuf,
    /// Removes the folder when the stage is struck; `None` when it is kept.
    scratch: Option<TempDir>,
    ports: BTreeMap<&'static str, u16>,
    processes: BTreeMap<&'static str, Child>,
    pub(super) cable: Cable,
}

impl Stage {
    /// Makes the folder, chooses ports and lays the police's cable to the interior's node.
    pub(super) fn build(keep: Option<&Path>) -> CliResult<Self> {
        let program = std::env::current_exe()
            .map_err(|e| CliError::new("demo", Exit::Io, "this program cannot find itself").cause(e.to_string()))?;
        let scratch = match keep {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("standfast-demo-").tempdir().map_err(io_error)?),
        };
        let dir = scratch.as_ref().map(TempDir::path).or(keep).map(Path::to_path_buf).unwrap_or_default();
        if fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(CliError::new("file-exists", Exit::Usage, format!("{} is not empty", dir.display()))
                .hint("give a new folder: standfast demo --keep DIR"));
        }
        for folder in ["credentials", "files"].iter().chain(&NODES) {
            let path = dir.join(folder);
            standfast_node::file::private_dir(&path).map_err(|e| CliError::file(&path, &e))?;
        }
        let dir = fs::canonicalize(&dir).map_err(|e| CliError::file(&dir, &e))?;
        // Held together, so that five different ones are chosen; let go before the nodes take them.
        let listeners: Vec<TcpListener> =
            NODES.iter().map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<Result<_, _>>().map_err(io_error)?;
        let mut ports = BTreeMap::new();
        for (name, listener) in NODES.into_iter().zip(&listeners) {
            ports.insert(name, listener.local_addr().map_err(io_error)?.port());
        }
        let to = SocketAddr::from(([127, 0, 0, 1], ports.get("interior").copied().unwrap_or(0)));
        let cable = Cable::lay(to).map_err(io_error)?;
        Ok(Self { program, dir, scratch, ports, processes: BTreeMap::new(), cable })
    }

    /// Returns the folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns a node's data directory.
    pub(super) fn data_dir(&self, node: &str) -> PathBuf {
        self.dir.join(node)
    }

    /// Returns a file that people of the demo hand to each other.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.join("files").join(name)
    }

    /// Writes such a file.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> CliResult<()> {
        let path = self.file(name);
        fs::write(&path, bytes).map_err(|e| CliError::file(&path, &e))
    }

    /// Reads such a file.
    pub(super) fn read(&self, name: &str) -> CliResult<Vec<u8>> {
        let path = self.file(name);
        fs::read(&path).map_err(|e| CliError::file(&path, &e))
    }

    /// Makes a key in a node's folder.
    pub(super) fn make_key(&self, node: &str, name: &str, key_use: &str) -> CliResult<Value> {
        let credential = self.dir.join("credentials").join(format!("standfast.{name}"));
        fs::write(&credential, PASSPHRASE).map_err(|e| CliError::file(&credential, &e))?;
        self.command(node, &["key", "create", name, "--use", key_use])
    }

    /// Writes a node's configuration: quick, for a story of seconds. The police's node knows its cable and nothing else.
    pub(super) fn configure(&self, node: &'static str) -> CliResult<()> {
        let address = |port: u16| format!("\"/ip4/127.0.0.1/tcp/{port}\"");
        let peers: Vec<String> = match node {
            "police" => vec![address(self.cable.address().port())],
            _ => NODES
                .iter()
                .filter(|other| **other != node && **other != "police")
                .filter_map(|other| self.ports.get(other).map(|port| address(*port)))
                .collect(),
        };
        let listen = match (node, self.ports.get(node)) {
            ("police", _) | (_, None) => String::new(),
            (_, Some(port)) => address(*port),
        };
        let witness = if NODES.iter().take(WITNESSES).any(|w| *w == node) {
            format!("key = \"{node}-witness\"\n")
        } else {
            String::new()
        };
        let text = format!(
            "[network]\nlisten = [{listen}]\n\n[peers]\nstatic = [{}]\nlearn = {}\n\n[api]\nlisten = \"127.0.0.1:0\"\n\n\
             [witness]\n{witness}view_interval_s = 1\n\n[publisher]\ntimestamp_interval_s = 5\n\n[pace]\nsync_min_s = 2\n\
             sync_max_s = 3\n",
            peers.join(", "),
            node != "police",
        );
        let path = self.data_dir(node).join("config.toml");
        fs::write(&path, text).map_err(|e| CliError::file(&path, &e))
    }

    fn base(&self, node: &str) -> Command {
        let mut command = Command::new(&self.program);
        let data_dir = self.data_dir(node);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("STANDFAST_")) {
            command.env_remove(name);
        }
        command
            .env("CREDENTIALS_DIRECTORY", self.dir.join("credentials"))
            .current_dir(self.dir.join("files"))
            .arg("--data-dir")
            .arg(&data_dir)
            .arg("--config")
            .arg(data_dir.join("config.toml"))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command of this program as a person at that node would; returns its JSON document.
    pub(super) fn command(&self, node: &str, words: &[&str]) -> CliResult<Value> {
        let (exit, document) = self.try_command(node, words)?;
        if exit == 0 {
            return Ok(document);
        }
        let text = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut error =
            CliError::new("demo", Exit::Refused, format!("standfast {} ended with {exit}", words.join(" ")));
        error = error.cause(text("message"));
        let causes = document.get("causes").and_then(Value::as_array).into_iter().flatten();
        for cause in causes.filter_map(Value::as_str) {
            error = error.cause(cause);
        }
        Err(error)
    }

    /// Runs a command; returns its exit code and its JSON document.
    pub(super) fn try_command(&self, node: &str, words: &[&str]) -> CliResult<(i32, Value)> {
        let output = self.base(node).arg("--json").args(words).output().map_err(io_error)?;
        let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
            let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
            serde_json::json!({"message": String::from_utf8_lossy(&said).trim()})
        });
        Ok((output.status.code().unwrap_or(-1), document))
    }

    /// Starts a node and waits until its API answers.
    pub(super) fn start(&mut self, node: &'static str) -> CliResult<()> {
        // One that was killed has left its address behind.
        let _ = fs::remove_file(self.data_dir(node).join(NodeFile::NAME));
        let log = self.data_dir(node).join("node.log");
        let open = fs::OpenOptions::new().create(true).append(true).open(&log);
        let out = open.map_err(|e| CliError::file(&log, &e))?;
        let err = out.try_clone().map_err(io_error)?;
        let mut command = self.base(node);
        let child = command.args(["--json", "node", "run"]).stdout(out).stderr(err).spawn().map_err(io_error)?;
        self.processes.insert(node, child);
        let found = self.until(|stage| stage.client(node).is_ok_and(|client| client.get("/v1/health").is_ok()));
        if found.is_none() {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let last = said.lines().last().unwrap_or("it said nothing").to_owned();
            return Err(CliError::new("demo", Exit::Refused, format!("the node of {node} does not start")).cause(last));
        }
        Ok(())
    }

    /// Kills a node, without a word of warning.
    pub(super) fn kill(&mut self, node: &str) {
        if let Some(mut child) = self.processes.remove(node) {
            // It may have died by itself; then there is nothing left to do.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Returns the nodes that run.
    pub(super) fn living(&self) -> Vec<&'static str> {
        self.processes.keys().copied().collect()
    }

    /// Returns a client of a node's API.
    pub(super) fn client(&self, node: &str) -> CliResult<Client> {
        Client::of_data_dir(&self.data_dir(node))?
            .ok_or_else(|| CliError::new("demo", Exit::Refused, format!("the node of {node} is not running")))
    }

    /// Returns a document of a node's API.
    pub(super) fn ask(&self, node: &str, path: &str) -> CliResult<Value> {
        self.client(node)?.get(path)?.json()
    }

    /// Asks a node for its verdict on a credential.
    pub(super) fn verdict(&self, node: &str, credential: &[u8]) -> CliResult<Value> {
        self.client(node)?.post("/v1/verify", "application/octet-stream", credential)?.json()
    }

    /// Waits for a condition, with a bound; returns how long it took.
    pub(super) fn until(&self, condition: impl Fn(&Self) -> bool) -> Option<Duration> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if condition(self) {
                return Some(start.elapsed());
            }
            thread::sleep(LOOK);
        }
        None
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for node in NODES {
            self.kill(node);
        }
        // A folder of temporary files: what cannot be removed, the system removes.
        let _ = self.scratch.take().map(TempDir::close);
    }
}

pub(super) fn io_error(error: std::io::Error) -> CliError {
    CliError::new("demo", Exit::Io, "the system did not do what the demo needs").cause(error.to_string())
}
