//! Real nodes: one federation, each node a process of its own on 127.0.0.1, killed and started again as a test likes.
//!
//! ```text
//! interior (anchor) ─recognizes→ ministry ─issue Licence→ transport        three registers, whose keys are in the test
//! w1, w2, w3: nodes that witness, two of them a quorum                     and any number of other nodes
//! ```
//!
//! What a test wants to know of a node it gets as everybody else does: from its lines on stdout, its API and its files.
//! Nothing sleeps to let things settle: a test waits for a condition, within [`BOUND`].

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use standfast_node::api::envelope;
use standfast_node::keystore::{KeyUse, Keystore, Passphrase};
use standfast_protocol::charter::{
    Admission, AnchorTerms, Charter, Document, FreshnessLimits, KIND, Kind, Quotas, RegisterTerms, Roots, WitnessKind,
    WitnessTerms,
};
use standfast_protocol::credential::jcs;
use standfast_protocol::did;
use standfast_protocol::digest::Digest;
use standfast_protocol::key::{Algorithm, SecretKey, VerifierKey, origin_of};
use standfast_protocol::log::note::{self, Note, SignatureLine};
use standfast_protocol::register::draft::{Ground, Prepared};
use standfast_protocol::register::entry::Change;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::status::native::StatusList;
use standfast_protocol::sync::Submission;
use standfast_protocol::sync::message::{HeadMessage, Signed};
use standfast_protocol::time::Time;

use crate::world::{Draft, Edit, LICENCE, LIST, canonical, did_key, issuing_key, status};

/// How long a test waits for what must come.
pub const BOUND: Duration = Duration::from_secs(60);
/// Between two looks at a node that was not heard of meanwhile.
const LOOK: Duration = Duration::from_millis(25);
/// Federations at one time: each keeps a small machine busy.
const FEDERATIONS_MAX: usize = 2;
const WITNESS_KEY: &str = "witness";
const PASSPHRASE: &str = "correct horse battery staple";

/// Returns POSIX seconds by this machine's clock, as the nodes have them.
pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970").as_secs()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// ---- publishers ----------------------------------------------------------------------------------------------------

/// A publisher whose key is in the test: it drafts and signs here, and hands the result to a node.
pub struct Publisher {
    /// Its DID.
    pub did: String,
    /// The origin of its register.
    pub origin: String,
    /// The key of its heads.
    pub secret: SecretKey,
    /// Its verifier keys: that of heads first.
    pub keys: Vec<VerifierKey>,
    /// What the next entry stands on.
    pub ground: Ground,
}

impl Publisher {
    /// Makes a publisher at `<name>.example` with a key of this seed.
    pub fn new(name: &str, seed: u8) -> Self {
        let secret = SecretKey::from_seed(&[seed; 32]);
        let origin = origin_of(&format!("{name}.example/register"), &secret.public());
        let key = VerifierKey::new(&origin, Algorithm::Note, secret.public()).expect("a key name");
        let ground = Ground::empty(&origin);
        Self { did: format!("did:web:{name}.example"), keys: vec![key], origin, secret, ground }
    }

    /// Drafts one entry, which is not signed and does not count yet.
    pub fn prepare(&self, edits: &[Edit]) -> Prepared {
        let change = |(key, body): &Edit| Change { key: key.clone(), digest: body.as_ref().map(|b| Digest::of(b)) };
        let time = Time::from_secs_saturating(now());
        self.ground.prepare(time, edits.iter().map(change).collect()).expect("a valid entry")
    }

    /// Publishes one entry with its bodies: signed, and the next one stands on it.
    pub fn put(&mut self, edits: Vec<Edit>) -> Submission {
        let prepared = self.prepare(&edits);
        let line = note::sign(&prepared.text(), &self.keys[0], &self.secret);
        self.ground = prepared.ground().clone();
        submission(&prepared, &line, edits)
    }

    /// Publishes some record that nobody needs, of this number.
    pub fn put_number(&mut self, number: u64) -> Submission {
        let did = format!("did:web:n{number}.example");
        let body = canonical(&format!(r#"{{"id":"{did}"}}"#));
        self.put(vec![(did_key(&did), Some(body))])
    }

    /// Returns what binds its register, as JSON.
    pub fn binding(&self) -> String {
        let keys: Vec<String> = self.keys.iter().map(|key| format!("\"{key}\"")).collect();
        format!(r#"{{"keys":[{}],"origin":"{}"}}"#, keys.join(","), self.origin)
    }
}

/// Puts a drafted entry, its signature and its bodies together.
pub fn submission(prepared: &Prepared, line: &SignatureLine, edits: Vec<Edit>) -> Submission {
    let head = HeadMessage {
        checkpoint: prepared.checkpoint().clone(),
        own: vec![Signed::from_line(line)],
        cosignatures: Vec::new(),
        first: prepared.first(),
        entries: prepared.entries().iter().map(|entry| entry.bytes().clone()).collect(),
        bodies: Vec::new(),
    };
    let bodies = edits.into_iter().filter_map(|(_, body)| body.map(Into::into)).collect();
    Submission { bodies, heads: vec![head], ..Submission::default() }
}

/// Returns the record of the driving licences' status list, in which these indices are revoked.
pub fn revoked(indices: &[u64]) -> Edit {
    let values: Vec<(u64, u8)> = indices.iter().map(|index| (*index, 1)).collect();
    let list = StatusList::new(LIST, "revocation", 1, 1024).and_then(|list| list.edited(1024, &values));
    (status(LIST), Some(list.expect("a list").encode()))
}

/// Issues a driving licence with this index in the list.
pub fn licence(index: u64) -> Vec<u8> {
    let now = now();
    let status = Some(crate::world::entry(LIST, index));
    Draft { from: now - 3600, until: Some(now + 86_400), status, ..Draft::default() }.issue()
}

// ---- the federation ------------------------------------------------------------------------------------------------

/// A charter, its witnesses and three publishers, in a folder of its own.
pub struct Federation {
    /// The anchor.
    pub interior: Publisher,
    /// Whom the anchor recognises.
    pub ministry: Publisher,
    /// Who may issue driving licences.
    pub transport: Publisher,
    /// The witnesses' nodes, not started.
    pub witnesses: Vec<Node>,
    /// The id of the network.
    pub network: Digest,
    charter: String,
    binary: PathBuf,
    dir: tempfile::TempDir,
    nodes: usize,
    /// Online keys of the three publishers, for the node that stamps their heads.
    stamps: PathBuf,
    _turn: Turn,
}

impl Federation {
    /// Makes a federation of 1 to 3 witnesses, of which all but one are a quorum, or the only one is.
    pub fn new(binary: &Path, witnesses: usize) -> Self {
        let turn = Turn::take();
        let dir = tempfile::tempdir().expect("a scratch folder");
        let mut publishers = [("interior", 11), ("ministry", 12), ("transport", 13)].map(|(n, s)| Publisher::new(n, s));
        let stamps = dir.path().join("stamps");
        let keystore = Keystore::in_data_dir(&stamps);
        for publisher in &mut publishers {
            let name = publisher.did.trim_start_matches("did:web:").trim_end_matches(".example");
            publisher.keys.push(keystore.create_timestamp(name, &publisher.origin).expect("a timestamping key").key);
        }
        let [interior, ministry, transport] = publishers;
        let charter = charter(&interior, witnesses);
        let network = charter.network_id();
        let root = SecretKey::from_seed(&[9; 32]);
        let charter = Note::new(charter.text().to_owned(), charter.sign(&root, None)).to_string();
        let mut federation = Self {
            interior,
            ministry,
            transport,
            witnesses: Vec::new(),
            network,
            charter,
            binary: binary.to_owned(),
            dir,
            nodes: 0,
            stamps,
            _turn: turn,
        };
        federation.witnesses = (0..witnesses).map(|number| federation.witness(number)).collect();
        federation
    }

    /// Makes a node that holds the charter and nothing else.
    pub fn node(&mut self) -> Node {
        self.nodes += 1;
        let dir = self.dir.path().join(format!("node{}", self.nodes));
        fs::create_dir(&dir).expect("a folder");
        fs::write(dir.join("charter.note"), &self.charter).expect("a file");
        let node = Node::new(self.binary.clone(), dir);
        // By a process of its own: a lock that this process held would live on for a moment in every process that
        // another test starts meanwhile.
        let pinned = ended(node.cli("charter publish charter.note --yes"));
        assert!(pinned.status.success(), "{}", String::from_utf8_lossy(&pinned.stderr));
        node
    }

    /// Returns the note of the charter after `note` with what `change` changes; after the first one without.
    pub fn next_charter(&self, note: Option<&str>, change: impl FnOnce(&mut Document)) -> String {
        let before = Note::parse(note.unwrap_or(&self.charter).as_bytes()).expect("a note");
        let before = Charter::parse(before.text()).expect("a charter");
        let mut document = before.document().clone();
        (document.network, document.version) = (Some(before.network_id()), before.version() + 1);
        change(&mut document);
        let charter = Charter::new(document).expect("a valid charter");
        let root = SecretKey::from_seed(&[9; 32]);
        Note::new(charter.text().to_owned(), charter.sign(&root, Some(&before))).to_string()
    }

    /// Starts all witnesses, each of which knows those before it; returns their addresses.
    pub fn start_witnesses(&mut self) -> Vec<String> {
        let mut addresses = Vec::new();
        for witness in &mut self.witnesses {
            witness.peers.clone_from(&addresses);
            witness.start();
            addresses.push(witness.address());
        }
        addresses
    }

    /// Makes a node that holds the charter, and stamps the heads of the three publishers.
    pub fn publishing_node(&mut self) -> Node {
        let node = self.node();
        copy_files(&self.stamps.join("keys"), &node.data_dir().join("keys"));
        node
    }

    /// Makes a machine of its own with the keys of a witness, which others may have as well.
    pub fn witness_like(&mut self, number: usize) -> Node {
        self.witness(number)
    }

    fn witness(&mut self, number: usize) -> Node {
        let mut node = self.node();
        let keys = Keystore::in_data_dir(&node.data_dir());
        fs::create_dir_all(keys.dir()).expect("a folder");
        for (name, bytes) in &witness_keys()[number].files {
            fs::write(keys.dir().join(name), bytes).expect("a file");
        }
        let credentials = node.dir.join("credentials");
        fs::create_dir(&credentials).expect("a folder");
        fs::write(credentials.join(format!("standfast.{WITNESS_KEY}")), format!("{PASSPHRASE}\n")).expect("a file");
        node.witness = true;
        node
    }

    /// Lets the ministry permit somebody to issue something, and bind a register.
    pub fn permit(&mut self, did: &str, kind: &str, binding: &str) -> Submission {
        let until = now() + 300 * 86_400;
        let permission = format!(
            r#"{{"action":"issue","entity":"{did}","register":{binding},"resource":"{kind}","valid_from":0,"valid_until":{until}}}"#
        );
        let key = RecordKey::trust(did, "issue", kind).expect("a key");
        self.ministry.put(vec![(key, Some(canonical(&permission)))])
    }

    /// Returns what makes `transport` an issuer of licences, in the order in which it is to be published.
    pub fn founding(&mut self) -> Vec<Submission> {
        let until = now() + 300 * 86_400;
        let ministry = &self.ministry;
        let recognition = format!(
            r#"{{"action":"recognize","depth":3,"entity":"{}","register":{},"resource":"main",
                "scope":{{"actions":["issue"],"resources":["*"]}},"valid_from":0,"valid_until":{until}}}"#,
            ministry.did,
            ministry.binding(),
        );
        let key = RecordKey::trust(&ministry.did, "recognize", "main").expect("a key");
        let recognized = self.interior.put(vec![(key, Some(canonical(&recognition)))]);
        let (did, binding) = (self.transport.did.clone(), self.transport.binding());
        let permitted = self.permit(&did, LICENCE, &binding);
        let document = did::web::document("transport.example", "k1", issuing_key("transport").public());
        let document = jcs::to_string(&document.expect("a document")).into_bytes();
        let founded = self.transport.put(vec![(did_key(&self.transport.did), Some(document)), revoked(&[])]);
        vec![recognized, permitted, founded]
    }
}

fn charter(anchor: &Publisher, witnesses: usize) -> Charter {
    let now = now();
    let root = VerifierKey::new("interior.example/root", Algorithm::Note, SecretKey::from_seed(&[9; 32]).public());
    let keys: Vec<&[VerifierKey; 2]> = witness_keys().iter().take(witnesses).map(|witness| &witness.keys).collect();
    let names: Vec<String> = (1..=witnesses).map(|number| format!("w{number}")).collect();
    let lines: String =
        names.iter().zip(&keys).map(|(name, [cosign, _])| format!("witness {name} {cosign}\n")).collect();
    let kinds = names.iter().cloned().zip(&keys).map(|(name, [_, view])| {
        let kind = WitnessKind { kind: Kind::Admitting, view: view.clone() };
        (name, kind)
    });
    let fewest = witnesses.saturating_sub(1).max(1);
    let register = RegisterTerms { origin: anchor.origin.clone(), keys: anchor.keys.clone(), after: None };
    let document = Document {
        kind: KIND.into(),
        network: None,
        version: 1,
        issued_at: now - 10,
        expires_at: now + 1_000_000,
        roots: Roots { threshold: 1, keys: vec![root.expect("a key name")] },
        anchors: vec![AnchorTerms { authority: anchor.did.clone(), register }],
        witnesses: WitnessTerms {
            policy: format!("{lines}group g {fewest} {}\nquorum g\n", names.join(" ")),
            kinds: kinds.collect(),
            from: now - 10,
            before: None,
        },
        limits: FreshnessLimits { witnessed_s: 86_400, published_s: 604_800, charter_s: 604_800 },
        quotas: Quotas { entries_per_day: 100_000, bytes_per_day: 1 << 30, delta_retention_s: 604_800 },
        members: Vec::new(),
        bootstrap: Vec::new(),
        admission: Admission::Open,
    };
    Charter::new(document).expect("a valid charter")
}

/// A witness's verifier keys, and the files of its key folder.
struct WitnessKey {
    keys: [VerifierKey; 2],
    files: Vec<(std::ffi::OsString, Vec<u8>)>,
}

/// The witnesses' keys: made once, for a key file costs a fraction of a second.
fn witness_keys() -> &'static [WitnessKey; 3] {
    static KEYS: OnceLock<[WitnessKey; 3]> = OnceLock::new();
    KEYS.get_or_init(|| {
        [0, 1, 2].map(|_| {
            let dir = tempfile::tempdir().expect("a scratch folder");
            let passphrase = Passphrase::new(PASSPHRASE.to_owned().into()).expect("a passphrase");
            let keystore = Keystore::in_data_dir(dir.path());
            let made = keystore.create(WITNESS_KEY, KeyUse::Witness, &passphrase, Time::from_secs_saturating(now()));
            let keys = made.expect("a key").verifier_keys().expect("keys");
            let files = fs::read_dir(keystore.dir()).expect("a folder").map(|file| {
                let file = file.expect("a file");
                (file.file_name(), fs::read(file.path()).expect("a file"))
            });
            WitnessKey { keys: keys.try_into().expect("a key to cosign by and one for views"), files: files.collect() }
        })
    })
}

/// Returns the keys of a witness's node, that to cosign by first: for a test that signs what no node would.
pub fn witness_keys_of(data_dir: &Path) -> [(VerifierKey, SecretKey); 2] {
    let passphrase = Passphrase::new(PASSPHRASE.to_owned().into()).expect("a passphrase");
    let unlocked = Keystore::in_data_dir(data_dir).unlock(WITNESS_KEY, KeyUse::Witness, &passphrase).expect("a key");
    let keys: [VerifierKey; 2] = unlocked.public.verifier_keys().expect("keys").try_into().expect("two keys");
    let [cosign, view] = keys;
    [(cosign, unlocked.secret), (view, unlocked.view.expect("a key for views"))]
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for file in fs::read_dir(from).expect("a folder") {
        let file = file.expect("a file");
        fs::copy(file.path(), to.join(file.file_name())).expect("a copy");
    }
}

/// A federation's turn; there are few at one time.
struct Turn;

static TURNS: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

impl Turn {
    fn take() -> Self {
        let busy = TURNS.1.wait_while(locked(&TURNS.0), |busy| *busy >= FEDERATIONS_MAX);
        *busy.unwrap_or_else(PoisonError::into_inner) += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *locked(&TURNS.0) -= 1;
        TURNS.1.notify_one();
    }
}

// ---- a node --------------------------------------------------------------------------------------------------------

/// The lines of a process, as they come.
#[derive(Default)]
struct Lines {
    held: Mutex<Vec<Value>>,
    came: Condvar,
}

/// A process, and what reads from it.
struct Running {
    child: Child,
    lines: Arc<Lines>,
    reader: JoinHandle<()>,
    api: String,
}

/// A node of a federation: its folder, its settings, and its process while it runs. Dropping it kills the process.
pub struct Node {
    binary: PathBuf,
    dir: PathBuf,
    witness: bool,
    port: u16,
    address: String,
    running: Option<Running>,
    /// Peers that it dials for ever.
    pub peers: Vec<String>,
    /// Seconds between two comparisons with a random peer: the shortest and the longest. Long by default, so that a test
    /// shows what gossip and new connections do.
    pub pace_s: (u64, u64),
    /// Lines at the end of its settings.
    pub more: String,
}

impl Node {
    fn new(binary: PathBuf, dir: PathBuf) -> Self {
        Self {
            binary,
            dir,
            witness: false,
            port: 0,
            address: String::new(),
            running: None,
            peers: Vec::new(),
            pace_s: (600, 600),
            more: String::new(),
        }
    }

    /// Returns its data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Returns the address to dial it at, which stays from its first start on.
    pub fn address(&self) -> String {
        assert!(!self.address.is_empty(), "the node has been started");
        self.address.clone()
    }

    /// Returns its peer id.
    pub fn peer(&self) -> String {
        self.address().rsplit('/').next().expect("an address ends with the peer id").to_owned()
    }

    /// Returns its TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns its process id.
    pub fn process(&self) -> u32 {
        self.running().child.id()
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the node runs")
    }

    /// Writes its settings, and returns the command that runs it.
    pub fn command(&self) -> Command {
        let mut text = format!(
            "data_dir = {:?}\nlog = \"info,standfast_node=debug\"\n[network]\nlisten = [\"/ip4/127.0.0.1/tcp/{}\"]\nmesh_low = 2\nmesh_target = 4\nmesh_high = 8\n\
             [peers]\nstatic = {:?}\n[api]\nlisten = \"127.0.0.1:0\"\n[pace]\nsync_min_s = {}\nsync_max_s = {}\n\
             [publisher]\ntimestamp_interval_s = 2\n",
            self.data_dir(),
            self.port,
            self.peers,
            self.pace_s.0,
            self.pace_s.1
        );
        if self.witness {
            text += &format!("[witness]\nkey = \"{WITNESS_KEY}\"\nview_interval_s = 1\n");
        }
        text += &self.more;
        let config = self.dir.join("config.toml");
        fs::write(&config, text).expect("a file");
        let mut command = Command::new(&self.binary);
        command.args(["node", "run", "--json", "--config"]).arg(config);
        command.env_clear().env("CREDENTIALS_DIRECTORY", self.dir.join("credentials"));
        command.current_dir(&self.dir).stdin(Stdio::null());
        command
    }

    /// Returns a command of the command line on its data directory, in its folder.
    pub fn cli(&self, line: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(line.split(' ')).current_dir(&self.dir).stdin(Stdio::null());
        command.env_clear().env("CREDENTIALS_DIRECTORY", self.dir.join("credentials"));
        command.env("STANDFAST_DATA_DIR", self.data_dir());
        command
    }

    /// Makes a register with a key of its own for the command line here, and returns the register's binding.
    pub fn make_register(&self, name: &str) -> String {
        let credentials = self.dir.join("credentials");
        fs::create_dir_all(&credentials).expect("a folder");
        fs::write(credentials.join(format!("standfast.{name}")), format!("{PASSPHRASE}\n")).expect("a file");
        for line in
            [format!("key create {name} --use register"), format!("register create {name}.example --key {name}")]
        {
            let made = ended(self.cli(&line));
            assert!(made.status.success(), "{line}: {}", String::from_utf8_lossy(&made.stderr));
        }
        fs::read_to_string(self.dir.join(format!("{name}.binding"))).expect("a binding").trim().to_owned()
    }

    /// Returns its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts it and waits until it listens and serves its API.
    pub fn start(&mut self) {
        assert!(self.running.is_none(), "the node does not run yet");
        let log = fs::File::options().create(true).append(true).open(self.log()).expect("a file");
        let mut child = self.command().stdout(Stdio::piped()).stderr(log).spawn().expect("the node starts");
        let lines = Arc::new(Lines::default());
        let (stdout, sink) = (child.stdout.take().expect("a pipe"), lines.clone());
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Killed in the middle of a line it leaves a part of one.
                let read = serde_json::from_str(&line).unwrap_or(Value::String(line));
                locked(&sink.held).push(read);
                sink.came.notify_all();
            }
        });
        self.running = Some(Running { child, lines, reader, api: String::new() });
        let listen = self.line("listen", |_| true)["address"].as_str().expect("an address").to_owned();
        let url = self.line("api", |_| true)["url"].as_str().expect("a URL").to_owned();
        let api = url.strip_prefix("http://").expect("HTTP").to_owned();
        let file = fs::read(self.data_dir().join("node.json")).expect("the node says where it is");
        let file: Value = serde_json::from_slice(&file).expect("JSON");
        assert_eq!((&file["api"], &file["process"]), (&url.into(), &self.process().into()));
        self.running.as_mut().expect("the node runs").api = api;
        let peer = self.get("/v1/peers").json()["peer"].as_str().expect("a peer id").to_owned();
        let address = format!("{listen}/p2p/{peer}");
        assert!(self.address.is_empty() || self.address == address, "{} became {address}", self.address);
        self.port = listen.rsplit('/').next().and_then(|port| port.parse().ok()).expect("a port");
        self.address = address;
    }

    /// Sends a signal.
    pub fn signal(&self, signal: &str) {
        send_signal(self.process(), signal);
    }

    /// Kills it as a power cut would, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            // One that has ended by itself is not there to be killed.
            let _ = running.child.kill();
            running.child.wait().expect("its end");
            running.reader.join().expect("its lines");
            self.check_log();
        }
    }

    /// Stops it in order by a signal; returns its exit code and its lines.
    pub fn stop(&mut self, signal: &str) -> (Option<i32>, Vec<Value>) {
        self.signal(signal);
        let mut running = self.running.take().expect("the node runs");
        let ended = within(|| running.child.try_wait().expect("its state"));
        let Some(status) = ended else {
            let _ = running.child.kill();
            panic!("the node does not end within {BOUND:?} of {signal}\n{}", self.log_text());
        };
        running.reader.join().expect("its lines");
        self.check_log();
        let lines = locked(&running.lines.held).clone();
        (status.code(), lines)
    }

    fn log(&self) -> PathBuf {
        self.dir.join("stderr")
    }

    /// Returns what it has logged.
    pub fn log_text(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn check_log(&self) {
        let log = self.log_text();
        assert!(!log.contains("panicked") || std::thread::panicking(), "a node panicked:\n{log}");
    }

    // ---- what it says ----------------------------------------------------------------------------------------------

    /// Returns its lines so far.
    pub fn lines(&self) -> Vec<Value> {
        locked(&self.running().lines.held).clone()
    }

    /// Waits for a line that begins with `word` and is as wanted; returns the first such.
    pub fn line(&self, word: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = || self.lines().into_iter().find(|line| line["word"] == word && wanted(line));
        self.wait(&format!("the line {word}"), found)
    }

    /// Waits until a look at it gives something.
    pub fn wait<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let Running { lines, .. } = self.running();
        let end = Instant::now() + BOUND;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < end, "{what} does not come within {BOUND:?}:\n{}", self.report());
            // A line may be what brings it.
            drop(lines.came.wait_timeout(locked(&lines.held), LOOK));
        }
    }

    fn report(&self) -> String {
        let lines: String = self.lines().iter().map(|line| format!("{line}\n")).collect();
        let state = http(&self.running().api, "GET", "/v1/status", &[], b"");
        let state = state.map_or_else(|error| error.to_string(), |answer| answer.text());
        format!("{lines}{}\n{state}", self.log_text())
    }

    /// Waits until its status is as wanted, and returns it.
    pub fn status_when(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait(what, || Some(self.get("/v1/status").json()).filter(|status| wanted(status)))
    }

    /// Waits until it holds a register witnessed at a size, with all bodies.
    pub fn witnessed(&self, origin: &str, size: u64) -> Value {
        let status = self.status_when(&format!("{origin} witnessed at {size}"), |status| {
            let register = register_in(status, origin);
            register["size_witnessed"] == size && register["size_newest"] == size && register["bodies_missing"] == 0
        });
        register_in(&status, origin).clone()
    }

    /// Returns the sizes of a register that it holds, 0 if it does not.
    pub fn size_newest(&self, origin: &str) -> u64 {
        register_in(&self.get("/v1/status").json(), origin)["size_newest"].as_u64().unwrap_or(0)
    }

    /// Waits until it is connected to this many peers.
    pub fn connected(&self, peers: usize) {
        self.status_when(&format!("{peers} peers"), |status| status["node"]["peers"] == peers);
    }

    /// Waits until its verdict on a credential is as wanted; returns it.
    pub fn verdict(&self, credential: &[u8], outcome: &str) -> Value {
        let header = [("X-Standfast", "1")];
        let verdict = || self.http("POST", "/v1/verify", &header, credential).json();
        let mut last = Value::Null;
        self.wait(&format!("the verdict {outcome}"), || {
            let verdict = verdict();
            if verdict != last {
                last = verdict.clone();
            }
            Some(verdict).filter(|verdict| verdict["outcome"] == outcome)
        })
    }

    /// Returns the bytes of memory that it occupies.
    pub fn memory(&self) -> u64 {
        self.memory_of("VmRSS:")
    }

    /// Returns the most bytes of memory that it has occupied.
    pub fn memory_most(&self) -> u64 {
        self.memory_of("VmHWM:")
    }

    fn memory_of(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process())).expect("procfs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the field");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib * 1024
    }

    // ---- its API ---------------------------------------------------------------------------------------------------

    /// Returns host and port of its API.
    pub fn api(&self) -> &str {
        &self.running().api
    }

    /// Makes a request that is answered.
    pub fn http(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let answer = http(self.api(), method, path, headers, body);
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.log_text()))
    }

    /// Gets a document.
    pub fn get(&self, path: &str) -> Answer {
        self.http("GET", path, &[], b"")
    }

    /// Publishes, and returns once that is acknowledged.
    pub fn publish(&self, submission: &Submission) {
        let answer = self.try_publish(submission).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Publishes; an error when the node dies meanwhile.
    pub fn try_publish(&self, submission: &Submission) -> io::Result<Answer> {
        publish_at(self.api(), submission)
    }
}

impl Drop for Node {
    #[allow(clippy::print_stderr, reason = "the test runner shows it for a test that fails, which is when it is said")]
    fn drop(&mut self) {
        if std::thread::panicking() && self.running.is_some() {
            // The cause may stand with another node than the one that the test has waited for.
            eprintln!("{}\n{}", self.dir.display(), self.report());
        }
        self.kill();
    }
}

/// Publishes at the node whose API is there.
pub fn publish_at(api: &str, submission: &Submission) -> io::Result<Answer> {
    let headers = [("Content-Type", "application/cbor")];
    http(api, "POST", "/v1/publish", &headers, &envelope::encode(submission))
}

/// Finds a register in a status; `null` if it is not there.
pub fn register_in<'a>(status: &'a Value, origin: &str) -> &'a Value {
    static NONE: Value = Value::Null;
    let registers = status["registers"].as_array().map(Vec::as_slice).unwrap_or_default();
    registers.iter().find(|register| register["origin"] == origin).unwrap_or(&NONE)
}

/// Sends a signal to a process that may be gone.
pub fn send_signal(process: u32, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &process.to_string()]).stderr(Stdio::null()).status();
    sent.expect("the command kill");
}

/// Runs a command to its end.
pub fn ended(mut command: Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
    if within(|| child.try_wait().expect("its state")).is_none() {
        let _ = child.kill();
    }
    child.wait_with_output().expect("its output")
}

/// Looks again and again, for as long as a test waits.
pub fn within<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + BOUND;
    loop {
        let found = look();
        if found.is_some() || Instant::now() >= end {
            return found;
        }
        std::thread::park_timeout(LOOK);
    }
}

/// An answer of an API.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns a header, named in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Reads the body.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One HTTP/1.1 exchange on a connection of its own.
pub fn http(api: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(api)?;
    stream.set_read_timeout(Some(BOUND))?;
    stream.write_all(&request(api, method, path, headers, body))?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the answer is cut off");
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(cut)?;
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| cut())?.to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
    let body = bytes.split_off(end + 4);
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    if length.is_some_and(|length| length != body.len()) {
        return Err(cut());
    }
    Ok(Answer { status, head, body })
}

/// Returns the bytes of a request.
pub fn request(api: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\n");
    head += &format!("Content-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    [format!("{head}\r\n").as_bytes(), body].concat()
}
