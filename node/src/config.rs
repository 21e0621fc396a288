//! Settings: option before variable before file before default, and which of them won.
//!
//! ```toml
//! # config.toml; an unknown key is an error
//! data_dir = "/var/lib/standfast"
//!
//! [network]
//! listen = ["/ip4/0.0.0.0/tcp/7411", "/ip4/0.0.0.0/udp/7411/quic-v1"]
//!
//! [peers]
//! static = ["/ip4/203.0.113.7/tcp/7411/p2p/12D3KooW…"]
//!
//! [witness]
//! key = "customs"
//! listen = "127.0.0.1:7413"    # `add-checkpoint` alone, to be put behind a proxy
//! ```

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::file;

/// Bytes in a configuration file.
const CONFIG_SIZE_MAX: u64 = 256 * 1024;
/// Addresses in any one list of a configuration.
const ADDRESSES_MAX: usize = 1024;

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there, or cannot be read.
    #[error("the configuration {} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Not TOML, an unknown key, or a value of another kind.
    #[error("the configuration {} is not as expected", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A value that makes no sense.
    #[error("setting {name}: {reason}")]
    Value {
        /// The setting.
        name: &'static str,
        /// What was expected and what came.
        reason: String,
    },
    /// Neither a home directory nor XDG variables.
    #[error("no place for data: neither --data-dir nor STANDFAST_DATA_DIR, XDG_DATA_HOME or HOME is set")]
    NoHome,
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A command-line option.
    Option(&'static str),
    /// A variable of the environment.
    Variable(&'static str),
    /// The configuration file.
    File,
    /// The built-in value.
    Default,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Option(name) | Self::Variable(name) => f.write_str(name),
            Self::File => f.write_str("file"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// What the command line may set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--trust`.
    pub trust: Option<PathBuf>,
    /// `--policy`.
    pub policy: Option<String>,
    /// `--node`.
    pub node: Option<String>,
    /// `--listen` of `node run`; empty is not given.
    pub listen: Vec<String>,
    /// `--api` of `node run`.
    pub api: Option<SocketAddr>,
    /// `--witness` of `node run`.
    pub witness: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileText {
    data_dir: Option<PathBuf>,
    trust: Option<PathBuf>,
    policy: Option<String>,
    node: Option<String>,
    log: Option<String>,
    network: NetworkText,
    peers: PeersText,
    api: ApiText,
    witness: WitnessText,
    publisher: PublisherText,
    limits: LimitsText,
    pace: PaceText,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NetworkText {
    listen: Option<Vec<String>>,
    mesh_low: Option<usize>,
    mesh_target: Option<usize>,
    mesh_high: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PeersText {
    #[serde(rename = "static")]
    static_peers: Option<Vec<String>>,
    bootstrap: Option<Vec<String>>,
    mdns: Option<bool>,
    learn: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ApiText {
    enabled: Option<bool>,
    listen: Option<SocketAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WitnessText {
    key: Option<String>,
    listen: Option<SocketAddr>,
    view_interval_s: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PublisherText {
    timestamp: Option<bool>,
    timestamp_interval_s: Option<u64>,
    batch_s: Option<u64>,
    marks: Option<PathBuf>,
    broad_list_percent: Option<u64>,
    broad_records_percent: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsText {
    peers_max: Option<u32>,
    connections_per_peer_max: Option<u32>,
    memory_bytes_max: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PaceText {
    sync_min_s: Option<u64>,
    sync_max_s: Option<u64>,
}

/// How many peers a topic's mesh has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Mesh {
    /// Fewer are filled up.
    pub low: usize,
    /// The number to have.
    pub target: usize,
    /// More are cut.
    pub high: usize,
}

/// Where the node listens, and its mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Multiaddresses.
    pub listen: Vec<String>,
    /// The mesh of gossip.
    pub mesh: Mesh,
}

/// Whom the node calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Peers {
    /// Peers that are always dialled and never disconnected, as multiaddresses.
    #[serde(rename = "static")]
    pub static_peers: Vec<String>,
    /// Addresses beside those of the charter, for the first contact.
    pub bootstrap: Vec<String>,
    /// Finds peers on the local network.
    pub mdns: bool,
    /// Dials addresses that peers tell, and those saved; without it only configured ones.
    pub learn: bool,
}

/// The HTTP API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Api {
    /// Whether it is served.
    pub enabled: bool,
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// Whether this node witnesses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Witness {
    /// The witness key in the key folder; `None`: this node is no witness.
    pub key: Option<String>,
    /// Address and port of a listener for `add-checkpoint` alone; `None`: the API takes it too, and nothing else does.
    pub listen: Option<SocketAddr>,
    /// Seconds between views.
    pub view_interval_s: u64,
}

/// What a publisher's node does on its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Publisher {
    /// Whether heads are timestamped with the timestamping keys found in the key folder.
    pub timestamp: bool,
    /// Seconds between timestamps of an unchanged head.
    pub timestamp_interval_s: u64,
    /// Seconds between two entries with status changes that are not urgent; 0 publishes each at once.
    pub batch_s: u64,
    /// Where it is kept, outside every backup, what register keys have signed.
    pub marks: PathBuf,
    /// Percent of a list above which a change of it wants its size confirmed.
    pub broad_list_percent: u64,
    /// Percent of DID documents and permissions above which their withdrawal wants its size confirmed.
    pub broad_records_percent: u64,
}

/// Bounds that an operator may set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Connected peers.
    pub peers_max: u32,
    /// Connections to one peer.
    pub connections_per_peer_max: u32,
    /// Bytes of memory of the process above which connections are refused.
    pub memory_bytes_max: u64,
}

/// How often the node compares what it holds with a random peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pace {
    /// The shortest time between two comparisons, in seconds.
    pub sync_min_s: u64,
    /// The longest, in seconds.
    pub sync_max_s: u64,
}

/// All settings in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Config {
    /// Journal, snapshot and keys.
    pub data_dir: PathBuf,
    /// The bundle or data directory to judge by; `None`: the data directory's snapshot.
    pub trust: Option<PathBuf>,
    /// Name or file of the policy.
    pub policy: String,
    /// URL of the node; `None`: the one running on the data directory.
    pub node: Option<String>,
    /// What is logged, in the syntax of `tracing`'s filters.
    pub log: String,
    /// Listening and gossip.
    pub network: Network,
    /// Peers.
    pub peers: Peers,
    /// The HTTP API.
    pub api: Api,
    /// Witnessing.
    pub witness: Witness,
    /// Publishing.
    pub publisher: Publisher,
    /// Bounds.
    pub limits: Limits,
    /// Synchronisation.
    pub pace: Pace,
    /// The configuration file that was read, if there is one.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// For each setting by its name, where its value comes from.
    #[serde(skip)]
    pub sources: BTreeMap<&'static str, Source>,
}

/// TCP and QUIC on every interface; 7411 is free in IANA's registry of 2026 and next to the API's 7412.
const LISTEN: [&str; 4] =
    ["/ip4/0.0.0.0/tcp/7411", "/ip4/0.0.0.0/udp/7411/quic-v1", "/ip6/::/tcp/7411", "/ip6/::/udp/7411/quic-v1"];
/// This machine only (design §10).
const API: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7412);
/// Networks of 20 to 500 nodes (`facts.md`, "Suggested mesh").
const MESH: Mesh = Mesh { low: 4, target: 6, high: 12 };
/// Views once a minute (design §5).
const VIEW_INTERVAL_S: u64 = 60;
/// Timestamps hourly (design §5).
const TIMESTAMP_INTERVAL_S: u64 = 3600;
/// A quarter of an hour (design §4).
const BATCH_S: u64 = 900;
/// As verifiers hold it (`specs/status.md`, mass withdrawal).
const BROAD_PERCENT: (u64, u64) = (1, 5);
/// With one random peer each 30 to 60 seconds (design §8).
const SYNC_S: (u64, u64) = (30, 60);
/// Twice the 30 peers suggested for up to 500 nodes, so that others find room.
const PEERS_MAX: u32 = 60;
/// One by TCP and one by QUIC, and one more while reconnecting.
const CONNECTIONS_PER_PEER_MAX: u32 = 3;
/// A small server's share.
const MEMORY_BYTES_MAX: u64 = 1 << 30;

/// Takes values in their order and remembers which one won.
struct Chooser {
    sources: BTreeMap<&'static str, Source>,
}

impl Chooser {
    fn choose<T>(
        &mut self,
        name: &'static str,
        option: Option<(&'static str, T)>,
        variable: Option<(&'static str, T)>,
        file: Option<T>,
        default: T,
    ) -> T {
        let (source, value) = match (option, variable, file) {
            (Some((name, value)), ..) => (Source::Option(name), value),
            (None, Some((name, value)), _) => (Source::Variable(name), value),
            (None, None, Some(value)) => (Source::File, value),
            (None, None, None) => (Source::Default, default),
        };
        self.sources.insert(name, source);
        value
    }

    fn file<T>(&mut self, name: &'static str, file: Option<T>, default: T) -> T {
        self.choose(name, None, None, file, default)
    }
}

impl Config {
    /// Reads the settings of this process.
    pub fn load(options: &Options) -> Result<Self, ConfigError> {
        Self::load_with(options, |name| std::env::var_os(name))
    }

    /// Reads the settings with `variable` as the environment. An empty variable is not set.
    pub fn load_with(options: &Options, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text_of = |name: &'static str| {
            let text = set(name).map(OsString::into_string).transpose();
            text.map_err(|_| ConfigError::Value { name, reason: "expected UTF-8".to_owned() })
        };
        let (text, file) = read_file(options, &set)?;
        let mut chooser = Chooser { sources: BTreeMap::new() };
        let default_data = xdg(&set, "XDG_DATA_HOME", ".local/share");
        let data_dir = chooser.choose(
            "data_dir",
            options.data_dir.clone().map(|dir| ("--data-dir", Some(dir))),
            set("STANDFAST_DATA_DIR").map(|dir| ("STANDFAST_DATA_DIR", Some(dir.into()))),
            text.data_dir.map(Some),
            default_data,
        );
        let trust = chooser.choose(
            "trust",
            options.trust.clone().map(|path| ("--trust", Some(path))),
            set("STANDFAST_TRUST").map(|path| ("STANDFAST_TRUST", Some(path.into()))),
            text.trust.map(Some),
            None,
        );
        let policy = chooser.choose(
            "policy",
            options.policy.clone().map(|name| ("--policy", name)),
            text_of("STANDFAST_POLICY")?.map(|name| ("STANDFAST_POLICY", name)),
            text.policy,
            "standard".to_owned(),
        );
        let node = chooser.choose(
            "node",
            options.node.clone().map(|url| ("--node", Some(url))),
            text_of("STANDFAST_NODE")?.map(|url| ("STANDFAST_NODE", Some(url))),
            text.node.map(Some),
            None,
        );
        let log = text_of("STANDFAST_LOG")?.map(|filter| ("STANDFAST_LOG", filter));
        // What an operator is told goes to stdout; beside it only what is wrong is logged.
        let log = chooser.choose("log", None, log, text.log, "warn".to_owned());
        let data_dir = data_dir.ok_or(ConfigError::NoHome)?;
        // Beside the data where there is no other place that is known to be kept; its tag keeps it out of backups.
        let marks = match chooser.sources.get("data_dir") {
            Some(Source::Default) => xdg(&set, "XDG_STATE_HOME", ".local/state").unwrap_or_else(|| data_dir.clone()),
            _ => data_dir.clone(),
        };
        let config = Self {
            data_dir,
            trust,
            policy,
            node,
            log,
            network: network(&mut chooser, options, text.network),
            peers: Peers {
                static_peers: chooser.file("peers.static", text.peers.static_peers, Vec::new()),
                bootstrap: chooser.file("peers.bootstrap", text.peers.bootstrap, Vec::new()),
                mdns: chooser.file("peers.mdns", text.peers.mdns, false),
                learn: chooser.file("peers.learn", text.peers.learn, true),
            },
            api: Api {
                enabled: chooser.file("api.enabled", text.api.enabled, true),
                listen: chooser.choose("api.listen", options.api.map(|a| ("--api", a)), None, text.api.listen, API),
            },
            witness: Witness {
                key: chooser.choose(
                    "witness.key",
                    options.witness.clone().map(|key| ("--witness", Some(key))),
                    None,
                    text.witness.key.map(Some),
                    None,
                ),
                listen: chooser.file("witness.listen", text.witness.listen.map(Some), None),
                view_interval_s: chooser.file("witness.view_interval_s", text.witness.view_interval_s, VIEW_INTERVAL_S),
            },
            publisher: publisher(&mut chooser, text.publisher, marks.join("marks")),
            limits: limits(&mut chooser, &text.limits),
            pace: Pace {
                sync_min_s: chooser.file("pace.sync_min_s", text.pace.sync_min_s, SYNC_S.0),
                sync_max_s: chooser.file("pace.sync_max_s", text.pace.sync_max_s, SYNC_S.1),
            },
            file,
            sources: chooser.sources,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let refuse = |name, reason: String| Err(ConfigError::Value { name, reason });
        let Mesh { low, target, high } = self.network.mesh;
        if !(1..=target).contains(&low) || target > high || high > 100 {
            return refuse(
                "network.mesh",
                format!("expected 1 ≤ low ≤ target ≤ high ≤ 100, came {low}, {target}, {high}"),
            );
        }
        let lists = [
            ("network.listen", &self.network.listen),
            ("peers.static", &self.peers.static_peers),
            ("peers.bootstrap", &self.peers.bootstrap),
        ];
        for (name, addresses) in lists {
            if addresses.len() > ADDRESSES_MAX {
                return refuse(name, format!("expected at most {ADDRESSES_MAX} addresses, came {}", addresses.len()));
            }
            for address in addresses {
                if let Err(e) = address.parse::<libp2p::Multiaddr>() {
                    return refuse(name, format!("expected multiaddresses such as {}, came {address}: {e}", LISTEN[0]));
                }
            }
        }
        for (name, secs) in [
            ("witness.view_interval_s", self.witness.view_interval_s),
            ("publisher.timestamp_interval_s", self.publisher.timestamp_interval_s),
            ("pace.sync_min_s", self.pace.sync_min_s),
            ("pace.sync_max_s", self.pace.sync_max_s),
        ] {
            if !(1..=86_400).contains(&secs) {
                return refuse(name, format!("expected 1 to 86400 seconds, came {secs}"));
            }
        }
        if self.publisher.batch_s > 86_400 {
            return refuse(
                "publisher.batch_s",
                format!("expected 0 to 86400 seconds, came {}", self.publisher.batch_s),
            );
        }
        for (name, percent) in [
            ("publisher.broad_list_percent", self.publisher.broad_list_percent),
            ("publisher.broad_records_percent", self.publisher.broad_records_percent),
        ] {
            if percent > 100 {
                return refuse(name, format!("expected 0 to 100 percent, came {percent}"));
            }
        }
        let Pace { sync_min_s, sync_max_s } = self.pace;
        if sync_min_s > sync_max_s {
            return refuse(
                "pace.sync_min_s",
                format!("expected at most pace.sync_max_s, {sync_max_s}, came {sync_min_s}"),
            );
        }
        Ok(())
    }

    /// Lists every setting by name, with its value and where that comes from.
    pub fn settings(&self) -> Vec<(&'static str, serde_json::Value, Source)> {
        let whole = serde_json::to_value(self).expect("settings have string keys");
        let value_of = |name: &str| {
            let pointer = format!("/{}", name.replace('.', "/"));
            whole.pointer(&pointer).cloned().unwrap_or(serde_json::Value::Null)
        };
        self.sources.iter().map(|(name, source)| (*name, value_of(name), source.clone())).collect()
    }
}

fn network(chooser: &mut Chooser, options: &Options, text: NetworkText) -> Network {
    let listen = (!options.listen.is_empty()).then(|| ("--listen", options.listen.clone()));
    let default = LISTEN.map(str::to_owned).to_vec();
    Network {
        listen: chooser.choose("network.listen", listen, None, text.listen, default),
        mesh: Mesh {
            low: chooser.file("network.mesh.low", text.mesh_low, MESH.low),
            target: chooser.file("network.mesh.target", text.mesh_target, MESH.target),
            high: chooser.file("network.mesh.high", text.mesh_high, MESH.high),
        },
    }
}

fn publisher(chooser: &mut Chooser, text: PublisherText, marks: PathBuf) -> Publisher {
    let interval = text.timestamp_interval_s;
    let (list, records) = BROAD_PERCENT;
    Publisher {
        timestamp: chooser.file("publisher.timestamp", text.timestamp, true),
        timestamp_interval_s: chooser.file("publisher.timestamp_interval_s", interval, TIMESTAMP_INTERVAL_S),
        batch_s: chooser.file("publisher.batch_s", text.batch_s, BATCH_S),
        marks: chooser.file("publisher.marks", text.marks, marks),
        broad_list_percent: chooser.file("publisher.broad_list_percent", text.broad_list_percent, list),
        broad_records_percent: chooser.file("publisher.broad_records_percent", text.broad_records_percent, records),
    }
}

fn limits(chooser: &mut Chooser, text: &LimitsText) -> Limits {
    let connections = text.connections_per_peer_max;
    Limits {
        peers_max: chooser.file("limits.peers_max", text.peers_max, PEERS_MAX),
        connections_per_peer_max: chooser.file(
            "limits.connections_per_peer_max",
            connections,
            CONNECTIONS_PER_PEER_MAX,
        ),
        memory_bytes_max: chooser.file("limits.memory_bytes_max", text.memory_bytes_max, MEMORY_BYTES_MAX),
    }
}

/// A file that was named must be there; the one at the default place need not.
fn read_file(
    options: &Options,
    set: &impl Fn(&str) -> Option<OsString>,
) -> Result<(FileText, Option<PathBuf>), ConfigError> {
    let named = options.config.clone().or_else(|| set("STANDFAST_CONFIG").map(PathBuf::from));
    let path = named.clone().or_else(|| xdg(set, "XDG_CONFIG_HOME", ".config").map(|dir| dir.join("config.toml")));
    let Some(path) = path else { return Ok((FileText::default(), None)) };
    match file::read(&path, CONFIG_SIZE_MAX) {
        Ok(bytes) => Ok((parse(&path, &bytes)?, Some(path))),
        Err(e) if e.kind() == io::ErrorKind::NotFound && named.is_none() => Ok((FileText::default(), None)),
        Err(source) => Err(ConfigError::File { path, source }),
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<FileText, ConfigError> {
    toml::from_slice(bytes).map_err(|source| ConfigError::Format { path: path.to_owned(), source: Box::new(source) })
}

/// Returns `standfast` in the folder of an XDG variable, or in its default below the home directory. XDG: relative paths
/// are ignored.
fn xdg(set: &impl Fn(&str) -> Option<OsString>, variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| set(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home)))?;
    Some(base.join("standfast"))
}

/// Returns the folder of receipts, `$XDG_STATE_HOME/standfast/receipts`.
pub fn receipts_dir(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    xdg(&set, "XDG_STATE_HOME", ".local/state").map(|dir| dir.join("receipts"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn load(options: &Options, set: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::load_with(options, |name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value)))
    }

    fn with_file(text: &str) -> (tempfile::TempDir, Options) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        (dir, Options { config: Some(path), ..Options::default() })
    }

    #[test]
    fn option_before_variable_before_file_before_default() {
        let home = [("HOME", "/home/a")];
        let config = load(&Options::default(), &home).unwrap();
        assert_eq!(config.data_dir, Path::new("/home/a/.local/share/standfast"));
        assert_eq!(config.sources.get("data_dir"), Some(&Source::Default));
        let (_dir, mut options) = with_file("data_dir = '/file'\npolicy = 'strict'\n");
        let config = load(&options, &home).unwrap();
        assert_eq!((config.data_dir.as_path(), config.policy.as_str()), (Path::new("/file"), "strict"));
        assert_eq!(config.sources.get("data_dir"), Some(&Source::File));
        let variables = [("HOME", "/home/a"), ("STANDFAST_DATA_DIR", "/variable")];
        let config = load(&options, &variables).unwrap();
        assert_eq!(config.sources.get("data_dir"), Some(&Source::Variable("STANDFAST_DATA_DIR")));
        options.data_dir = Some("/option".into());
        let config = load(&options, &variables).unwrap();
        assert_eq!(config.data_dir, Path::new("/option"));
        assert_eq!(config.sources.get("data_dir"), Some(&Source::Option("--data-dir")));
    }

    #[test]
    fn refuses_unknown_keys_and_senseless_values() {
        let home = [("HOME", "/home/a")];
        for text in [
            "data_dri = '/file'",
            "[network]\nlisten = ['7411']",
            "[network]\nmesh_low = 9",
            "[witness]\nview_interval_s = 0",
            "[pace]\nsync_min_s = 9\nsync_max_s = 8",
            "[api]\nlisten = 'localhost'",
            "[peers]\nstatic = 'one'",
            "[publisher]\nbatch_s = 86401",
            "[publisher]\nbroad_list_percent = 101",
        ] {
            let (_dir, options) = with_file(text);
            assert!(load(&options, &home).is_err(), "{text}");
        }
    }

    #[test]
    fn marks_stand_outside_the_data_where_there_is_a_place_for_them() {
        let home = [("HOME", "/home/a")];
        let marks = |options: &Options, set: &[(&str, &str)]| load(options, set).unwrap().publisher.marks;
        assert_eq!(marks(&Options::default(), &home), Path::new("/home/a/.local/state/standfast/marks"));
        let named = [("HOME", "/home/a"), ("STANDFAST_DATA_DIR", "/var/lib/standfast")];
        assert_eq!(marks(&Options::default(), &named), Path::new("/var/lib/standfast/marks"));
        let (_dir, options) = with_file("[publisher]\nmarks = '/var/cache/standfast'\n");
        assert_eq!(marks(&options, &named), Path::new("/var/cache/standfast"));
    }

    #[test]
    fn a_named_file_must_be_there_and_a_home_too() {
        let missing = Options { config: Some("/nowhere/config.toml".into()), ..Options::default() };
        assert!(matches!(load(&missing, &[("HOME", "/home/a")]), Err(ConfigError::File { .. })));
        assert!(matches!(load(&Options::default(), &[]), Err(ConfigError::NoHome)));
        let config = load(&Options::default(), &[("HOME", "relative"), ("XDG_DATA_HOME", "/data")]).unwrap();
        assert_eq!(config.data_dir, Path::new("/data/standfast"));
    }

    #[test]
    fn every_setting_is_listed_with_its_source() {
        let (_dir, options) =
            with_file("[peers]\nstatic = ['/ip4/203.0.113.7/tcp/7411']\n[witness]\nkey = 'customs'\n");
        let settings = load(&options, &[("HOME", "/home/a")]).unwrap().settings();
        let of = |name: &str| settings.iter().find(|(n, ..)| *n == name).map(|(_, v, s)| (v.to_string(), s.clone()));
        assert_eq!(of("witness.key"), Some(("\"customs\"".to_owned(), Source::File)));
        assert_eq!(of("network.mesh.low"), Some(("4".to_owned(), Source::Default)));
        assert_eq!(of("peers.static"), Some(("[\"/ip4/203.0.113.7/tcp/7411\"]".to_owned(), Source::File)));
    }
}
