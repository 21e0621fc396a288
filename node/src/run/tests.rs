//! Whole nodes in one process, over real sockets on 127.0.0.1. Nothing sleeps to let things settle: each test waits for
//! a condition, within [`BOUND`].

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use standfast_protocol::charter::{
    Admission, AnchorTerms, Charter, Document, FreshnessLimits, KIND, Kind, Quotas, RegisterTerms, Roots, WitnessKind,
    WitnessTerms,
};
use standfast_protocol::did::webvh::{Log, author};
use standfast_protocol::digest::Digest;
use standfast_protocol::key::{Algorithm, SecretKey, VerifierKey, origin_of};
use standfast_protocol::log::note::{self, Note};
use standfast_protocol::register::draft::Ground;
use standfast_protocol::register::entry::Change;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::register::webvh::encode;
use standfast_protocol::sync::message::{HeadMessage, Signed};
use zeroize::Zeroizing;

use super::*;
use crate::api::envelope;
use crate::config::Options;
use crate::local::LocalNode;
use crate::store::StoreError;

const BOUND: Duration = Duration::from_secs(60);
const AUTHORITY: &str = "did:web:gov.example";
const AGENCY: &str = "did:web:transport.gov.example";
const WITNESS: &str = "customs";

/// A publisher whose key is in the test: heads are drafted and signed here, and handed to a node.
struct Publisher {
    secret: SecretKey,
    keys: Vec<VerifierKey>,
    ground: Ground,
}

impl Publisher {
    fn new(seed: u8, host: &str) -> Self {
        let secret = SecretKey::from_seed(&[seed; 32]);
        let origin = origin_of(&format!("{host}/register"), &secret.public());
        let keys = vec![VerifierKey::new(&origin, Algorithm::Note, secret.public()).unwrap()];
        Self { secret, keys, ground: Ground::empty(&origin) }
    }

    fn origin(&self) -> &str {
        self.keys[0].name()
    }

    /// Puts one record, as one entry under a head.
    fn put(&mut self, key: RecordKey, body: &str) -> Submission {
        self.put_bytes(key, body.as_bytes().to_vec())
    }

    fn put_bytes(&mut self, key: RecordKey, body: Vec<u8>) -> Submission {
        let change = Change { key, digest: Some(Digest::of(&body)) };
        let now = Time::from_secs_saturating(now_ms() / 1000);
        let draft = self.ground.prepare(now, vec![change]).unwrap();
        let line = note::sign(&draft.text(), &self.keys[0], &self.secret);
        self.ground = draft.ground().clone();
        let head = HeadMessage {
            checkpoint: draft.checkpoint().clone(),
            own: vec![Signed::from_line(&line)],
            cosignatures: Vec::new(),
            first: draft.first(),
            entries: draft.entries().iter().map(|entry| entry.bytes().clone()).collect(),
            bodies: Vec::new(),
        };
        Submission { bodies: vec![Bytes::from(body)], heads: vec![head], ..Submission::default() }
    }

    fn put_document(&mut self, did: &str) -> Submission {
        self.put(RecordKey::did(did).unwrap(), &format!(r#"{{"id":"{did}"}}"#))
    }

    /// Recognises an agency and binds its register.
    fn recognize(&mut self, did: &str, other: &Publisher) -> Submission {
        let (origin, key) = (other.origin(), &other.keys[0]);
        let body = format!(
            r#"{{"action":"recognize","depth":1,"entity":"{did}","register":{{"keys":["{key}"],"origin":"{origin}"}},"resource":"all","scope":{{"actions":["issue"],"resources":["https://gov.example/Licence"]}},"valid_from":0,"valid_until":4000000000}}"#
        );
        self.put(RecordKey::trust(did, "recognize", "all").unwrap(), &body)
    }
}

fn passphrase(_: &str) -> Result<Passphrase, KeystoreError> {
    Passphrase::new(Zeroizing::new("correct horse battery".to_owned()))
}

/// A federation of one authority and one witness, whose key file stands in the first directory.
struct Federation {
    authority: Publisher,
    charter: String,
    witness_dir: tempfile::TempDir,
}

impl Federation {
    fn new() -> Self {
        let witness_dir = tempfile::tempdir().unwrap();
        let mut authority = Publisher::new(1, "gov.example");
        let root = SecretKey::from_seed(&[9; 32]);
        let root_key = VerifierKey::new("gov.example/root", Algorithm::Note, root.public()).unwrap();
        let now = now_ms() / 1000;
        let keystore = Keystore::in_data_dir(witness_dir.path());
        let secret = passphrase(WITNESS).unwrap();
        let made = keystore.create(WITNESS, KeyUse::Witness, &secret, Time::from_secs_saturating(now)).unwrap();
        // The witness's node is also the one that says that the authority is alive.
        let timestamp = keystore.create_timestamp("gov", authority.origin()).unwrap();
        authority.keys.push(timestamp.key);
        let [cosign, view] = <[_; 2]>::try_from(made.verifier_keys().unwrap()).unwrap();
        let document = Document {
            kind: KIND.into(),
            network: None,
            version: 1,
            issued_at: now - 10,
            expires_at: now + 1_000_000,
            roots: Roots { threshold: 1, keys: vec![root_key] },
            anchors: vec![AnchorTerms {
                authority: AUTHORITY.into(),
                register: RegisterTerms {
                    origin: authority.origin().into(),
                    keys: authority.keys.clone(),
                    after: None,
                },
            }],
            witnesses: WitnessTerms {
                policy: format!("witness w {cosign}\nquorum w\n"),
                kinds: BTreeMap::from([("w".to_owned(), WitnessKind { kind: Kind::Admitting, view })]),
                from: now - 10,
                before: None,
            },
            limits: FreshnessLimits { witnessed_s: 86_400, published_s: 604_800, charter_s: 604_800 },
            quotas: Quotas { entries_per_day: 1_000, bytes_per_day: 1 << 20, delta_retention_s: 604_800 },
            members: Vec::new(),
            bootstrap: Vec::new(),
            admission: Admission::Open,
        };
        let charter = Charter::new(document).unwrap();
        let note = Note::new(charter.text().to_owned(), charter.sign(&root, None));
        Self { authority, charter: note.to_string(), witness_dir }
    }

    fn directory(&self) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        self.pin(dir.path());
        dir
    }

    fn pin(&self, dir: &Path) {
        LocalNode::init(dir, self.charter.as_bytes()).unwrap().close().unwrap();
    }

    async fn witness(&self, peers: &[String]) -> Node {
        self.pin(self.witness_dir.path());
        let mut config = config(self.witness_dir.path(), peers);
        config.witness.key = Some(WITNESS.to_owned());
        Node::start(&config, passphrase, Reporter::silent()).await.unwrap()
    }
}

fn config(dir: &Path, peers: &[String]) -> Config {
    let options = Options {
        data_dir: Some(dir.to_owned()),
        listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
        api: Some("127.0.0.1:0".parse().unwrap()),
        ..Options::default()
    };
    let mut config = Config::load_with(&options, |_| None).unwrap();
    config.peers.static_peers = peers.to_vec();
    config.witness.view_interval_s = 1;
    config.pace = crate::config::Pace { sync_min_s: 1, sync_max_s: 2 };
    config.limits.memory_bytes_max = u64::MAX;
    config
}

async fn node(dir: &Path, peers: &[String]) -> Node {
    Node::start(&config(dir, peers), passphrase, Reporter::silent()).await.unwrap()
}

async fn bounded<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, future).await.unwrap_or_else(|_| panic!("{what} within the bound"))
}

/// Waits until a register is held and witnessed at a size, with all its bodies.
async fn witnessed(node: &Node, origin: &str, size: u64) {
    let reached = node.handle().wait_for(|held| {
        let stands = held.register(origin).is_some_and(|r| r.size_witnessed() == size && r.size_newest() == size);
        stands && held.bodies_missing().is_empty()
    });
    bounded(&format!("{origin} witnessed at {size}"), reached).await.unwrap();
}

struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// One HTTP/1.1 exchange, with the headers given and no others but the length.
async fn http(node: &Node, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let address = node.api_url().unwrap().strip_prefix("http://").unwrap().to_owned();
    http_at(&address, method, path, headers, body).await
}

async fn http_at(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let address = address.to_owned();
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| *name == "Host") {
        head += &format!("Host: {address}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let request = [format!("{head}\r\n").as_bytes(), body].concat();
    let exchange = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream.write_all(&request).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let bytes = exchange.await.unwrap();
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let status = std::str::from_utf8(&bytes[9..12]).unwrap().parse().unwrap();
    Answer { status, body: bytes[end + 4..].to_vec() }
}

async fn get(node: &Node, path: &str) -> Answer {
    http(node, "GET", path, &[], b"").await
}

async fn publish(node: &Node, submission: &Submission) -> Answer {
    let body = envelope::encode(submission);
    http(node, "POST", "/v1/publish", &[("Content-Type", "application/cbor")], &body).await
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_reaches_all_and_is_witnessed() {
    let mut federation = Federation::new();
    let origin = federation.authority.origin().to_owned();
    let witness = federation.witness(&[]).await;
    let first = witness.handle().address().await.unwrap();
    let (publisher_dir, follower_dir) = (federation.directory(), federation.directory());
    let publisher = node(publisher_dir.path(), std::slice::from_ref(&first)).await;
    let follower = node(follower_dir.path(), &[first]).await;

    let submission = federation.authority.put_document(AUTHORITY);
    let answer = publish(&publisher, &submission).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.json()["kind"], "standfast/submitted/v1");
    for node in [&witness, &publisher, &follower] {
        witnessed(node, &origin, 1).await;
    }
    assert_eq!(publish(&publisher, &submission).await.json()["changed"], 0, "the same once more is nothing new");

    // Once more, now that all are connected: by gossip.
    publish(&publisher, &federation.authority.put_document("did:web:other.example")).await;
    for node in [&witness, &publisher, &follower] {
        witnessed(node, &origin, 2).await;
    }

    // A view of the witness tells all that the charter is named and the register stands.
    let has_view = |held: &Replica| held.views().get("w").is_some_and(|v| v.kept.is_some());
    bounded("a view", follower.handle().wait_for(has_view)).await.unwrap();
    let has_timestamp = |held: &Replica| held.timestamps().contains_key(&origin);
    bounded("a timestamp", follower.handle().wait_for(has_timestamp)).await.unwrap();
    let status = get(&follower, "/v1/status").await.json();
    assert_eq!(status["kind"], "standfast/status/v1");
    assert_eq!(status["node"]["witnesses_in_reach"], 1);
    let register = &status["registers"][0];
    assert_eq!((&register["state"], &register["size_witnessed"]), (&"good".into(), &2.into()));
    assert_eq!(register["witnesses"], 1);
    assert!(register["published_age_s"].is_u64(), "{status}");
    assert!(register["witnessed_age_s"].is_u64() && status["charter"]["age_s"].is_u64(), "{status}");
    assert_eq!(get(&follower, "/v1/peers").await.json()["peers"][0]["transport"], "tcp");

    let record = get(&follower, &format!("/v1/records/{}/did/{AUTHORITY}", escaped("gov.example"))).await;
    assert_eq!(record.json()["state"], "witnessed", "{}", record.json());
    let resolved = get(&follower, &format!("/1.0/identifiers/{AUTHORITY}")).await.json();
    assert_eq!(resolved["didDocument"]["id"], AUTHORITY);
    let unowned = get(&follower, "/1.0/identifiers/did:web:other.example").await;
    assert_eq!(unowned.status, 404, "a document in a register that is not bound to its DID");

    resolves_a_log(&mut federation.authority, &publisher, [&witness, &follower]).await;
    for node in [witness, publisher, follower] {
        node.stop().await.unwrap();
    }
}

/// A did:webvh log in somebody's register resolves everywhere, by version, until its last entry ends it.
async fn resolves_a_log(holder: &mut Publisher, publisher: &Node, others: [&Node; 2]) {
    let key = SecretKey::from_seed(&[5; 32]);
    let now = now_ms() / 1000;
    let did = author::template("agency.example").unwrap();
    let creation = author::Creation {
        time: Time::from_secs_saturating(now - 100),
        document: author::document(&did, &[("k1", key.public())]),
        update_keys: vec![key.public()],
        next_key_hashes: Vec::new(),
        witness: None,
        watchers: Vec::new(),
        portable: false,
        ttl: None,
    };
    let sign = |prepared: author::Prepared| {
        let signature = key.sign(&prepared.input());
        prepared.finish(&signature).unwrap()
    };
    let first = sign(author::create(&creation, key.public()).unwrap());
    let log = Log::read(&first, b"").unwrap();
    let did = log.newest().did().to_owned();
    let path = format!("/1.0/identifiers/{did}");
    assert_eq!(get(publisher, &path).await.status, 404);
    let put = |log: &Bytes| (RecordKey::did(&did).unwrap(), encode(log, b"").unwrap());
    let (record, body) = put(&first);
    publish(publisher, &holder.put_bytes(record, body)).await;
    for node in others {
        witnessed(node, holder.origin(), 3).await;
        let found = get(node, &path).await;
        assert_eq!(found.status, 200, "{}", found.json());
        assert_eq!(found.json()["didDocument"]["service"][1]["serviceEndpoint"], "https://agency.example/whois.vp");
        assert_eq!(found.json()["didDocumentMetadata"]["versionNumber"], 1);
    }
    let mut update = author::Update::at(Time::from_secs_saturating(now - 50));
    update.deactivate = true;
    let (record, body) = put(&sign(author::update(&first, &log, &update, key.public()).unwrap()));
    publish(publisher, &holder.put_bytes(record, body)).await;
    for node in others {
        witnessed(node, holder.origin(), 4).await;
        let gone = get(node, &path).await;
        assert_eq!((gone.status, gone.json()["didDocumentMetadata"]["deactivated"].clone()), (410, true.into()));
        let at = Time::from_secs_saturating(now - 60);
        for query in
            ["versionNumber=1".to_owned(), format!("versionTime={at}"), format!("versionId={}", log.newest().id())]
        {
            let found = get(node, &format!("{path}?{query}")).await;
            assert_eq!(
                (found.status, found.json()["didDocument"]["id"].clone()),
                (200, did.as_str().into()),
                "{query}"
            );
        }
        assert_eq!(get(node, &format!("{path}?versionNumber=3")).await.status, 404);
        assert_eq!(get(node, &format!("{path}?version=3")).await.status, 400);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_joiner_catches_up_also_through_a_recognition() {
    let mut federation = Federation::new();
    let mut agency = Publisher::new(2, "transport.gov.example");
    let witness = federation.witness(&[]).await;
    let authority = federation.authority.origin().to_owned();
    let unbound = agency.put_document(AGENCY);
    let answer = publish(&witness, &unbound).await;
    assert_eq!((answer.status, answer.json()["code"].clone()), (409, "register-unbound".into()));
    for submission in
        [federation.authority.put_document(AUTHORITY), federation.authority.recognize(AGENCY, &agency), unbound]
    {
        let answer = publish(&witness, &submission).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    }
    witnessed(&witness, agency.origin(), 1).await;

    let dir = federation.directory();
    let late = node(dir.path(), &[witness.handle().address().await.unwrap()]).await;
    witnessed(&late, &authority, 2).await;
    witnessed(&late, agency.origin(), 1).await;

    // All of it once more, as a file, into a node that never meets another.
    let bundle = get(&late, "/v1/snapshot").await.body;
    let dir = federation.directory();
    let alone = node(dir.path(), &[]).await;
    let answer = http(&alone, "POST", "/v1/submit", &[("X-Standfast", "1")], &bundle).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    witnessed(&alone, agency.origin(), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_everything() {
    let mut federation = Federation::new();
    let origin = federation.authority.origin().to_owned();
    let witness = federation.witness(&[]).await;
    publish(&witness, &federation.authority.put_document(AUTHORITY)).await;
    witnessed(&witness, &origin, 1).await;
    let has_view = |held: &Replica| held.views().get("w").is_some_and(|v| v.kept.is_some());
    bounded("a view", witness.handle().wait_for(has_view)).await.unwrap();
    witness.stop().await.unwrap();
    assert!(!federation.witness_dir.path().join(NODE_FILE_NAME).exists());

    let mut local = LocalNode::open(federation.witness_dir.path()).unwrap();
    assert_eq!(local.replica().register(&origin).unwrap().size_witnessed(), 1);
    assert!(local.replica().bodies_missing().is_empty());
    assert!(has_view(local.replica()), "views come back from the snapshot");
    // Without a node a command publishes into the store, and the next node knows.
    assert!(local.submit(federation.authority.put_document("did:web:other.example")).unwrap() > 0);
    local.close().unwrap();
    let witness = federation.witness(&[]).await;
    witnessed(&witness, &origin, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill() {
    let mut federation = Federation::new();
    let dir = federation.directory();
    let origin = federation.authority.origin().to_owned();
    let killed = node(dir.path(), &[]).await;
    let submissions: Vec<Submission> =
        (0..8).map(|n| federation.authority.put_document(&format!("did:web:n{n}.example"))).collect();
    let mut acknowledged = 0;
    for submission in submissions.iter().take(4) {
        assert_eq!(publish(&killed, submission).await.status, 200);
        acknowledged += 1;
    }
    // The fifth is on its way when the node dies: its frames may be durable, and nobody was told.
    let handle = killed.handle().clone();
    let fifth = submissions[4].clone();
    let on_its_way = tokio::spawn(async move { handle.submit(fifth).await });
    drop(killed);
    let answered = on_its_way.await.unwrap().is_ok();
    let reopened = bounded("the store is free again", async {
        loop {
            match LocalNode::open(dir.path()) {
                Ok(node) => return node,
                Err(NodeError::Store(StoreError::InUse { .. })) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(other) => panic!("{other:?}"),
            }
        }
    });
    let mut reopened = reopened.await;
    let size = reopened.replica().register(&origin).unwrap().size_newest();
    assert!(size == acknowledged + 1 || (size == acknowledged && !answered), "{size}");
    // What was not acknowledged is handed in again, and goes on from either.
    for submission in submissions.into_iter().skip(4) {
        reopened.submit(submission).unwrap();
    }
    assert_eq!(reopened.replica().register(&origin).unwrap().size_newest(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_refuses_garbage_and_what_a_web_page_could_send() {
    let federation = Federation::new();
    let dir = federation.directory();
    let node = node(dir.path(), &[]).await;
    let cbor = [("Content-Type", "application/cbor")];
    for garbage in [&b""[..], b"garbage", b"standfast bundle 1\ngarbage", &[0xa5, 0, 0x80], &[0xff; 64]] {
        let answer = http(&node, "POST", "/v1/submit", &cbor, garbage).await;
        assert_eq!((answer.status, answer.json()["exit"].clone()), (400, 2.into()));
    }
    let rebound = [("Host", "evil.example"), ("X-Standfast", "1")];
    assert_eq!(http(&node, "GET", "/v1/status", &rebound, b"").await.status, 403);
    assert_eq!(http(&node, "GET", "/v1/health", &[("Host", "localhost:1")], b"").await.status, 200);
    let page = [("Content-Type", "text/plain")];
    assert_eq!(http(&node, "POST", "/v1/submit", &page, b"garbage").await.status, 403);

    let mut stranger = Publisher::new(7, "stranger.example");
    assert_eq!(publish(&node, &stranger.put_document(AGENCY)).await.json()["code"], "register-unbound");
    let mut forged = federation.authority.ground.clone();
    forged.origin = federation.authority.origin().to_owned();
    let mut forger = Publisher { secret: SecretKey::from_seed(&[8; 32]), ground: forged, ..federation.authority };
    let answer = publish(&node, &forger.put_document(AUTHORITY)).await;
    assert_eq!((answer.status, answer.json()["code"].clone()), (409, "not-authentic".into()));

    assert_eq!(get(&node, "/1.0/identifiers/nonsense").await.status, 400);
    assert_eq!(get(&node, "/1.0/identifiers/did:example:123").await.status, 501);
    assert_eq!(get(&node, "/1.0/identifiers/did:web:nobody.example").await.status, 404);
    let accept = [("Accept", "text/html")];
    assert_eq!(http(&node, "GET", "/1.0/identifiers/did:web:a.example", &accept, b"").await.status, 406);
    let key = "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2";
    let document = http(&node, "GET", &format!("/1.0/identifiers/{key}"), &[("Accept", "application/did")], b"").await;
    assert_eq!((document.status, document.json()["id"].clone()), (200, key.into()));

    let verdict = http(&node, "POST", "/v1/verify?policy=strict", &[("X-Standfast", "1")], b"no credential").await;
    assert_eq!((verdict.status, verdict.json()["code"].clone()), (200, "format-malformed".into()));
    assert_eq!(http(&node, "POST", "/v1/verify?policy=lax", &[("X-Standfast", "1")], b"x").await.status, 400);
    assert_eq!(get(&node, "/v1/nothing").await.status, 404);
    assert_eq!(get(&node, "/v1/records/nobody/did/did:web:a.example").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_without_a_charter_starts_no_node() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Node::start(&config(dir.path(), &[]), passphrase, Reporter::silent()).await;
    assert!(matches!(refused.err(), Some(NodeError::NoCharter(_))));
    let federation = Federation::new();
    let other = federation.directory();
    let note = Federation::new().charter;
    assert!(matches!(LocalNode::init(other.path(), note.as_bytes()).err(), Some(NodeError::OtherNetwork { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_on_one_directory_are_refused() {
    let federation = Federation::new();
    let dir = federation.directory();
    let first = node(dir.path(), &[]).await;
    let second = Node::start(&config(dir.path(), &[]), passphrase, Reporter::silent()).await;
    assert!(matches!(second.err(), Some(NodeError::Store(StoreError::InUse { .. }))));
    first.stop().await.unwrap();
    node(dir.path(), &[]).await.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_ends_is_started_again_and_the_api_goes_on() {
    let mut federation = Federation::new();
    let origin = federation.authority.origin().to_owned();
    let witness = federation.witness(&[]).await;
    let dir = federation.directory();
    let follower = node(dir.path(), &[witness.handle().address().await.unwrap()]).await;
    bounded("a peer", follower.handle().wait_for_peers(|peers| peers.len() == 1)).await.unwrap();
    assert!(follower.handle().commands.try_send(Command::EndNetwork).is_ok());
    bounded("no peer", follower.handle().wait_for_peers(|peers| peers.is_empty())).await.unwrap();
    assert_eq!(publish(&follower, &federation.authority.put_document(AUTHORITY)).await.status, 200);
    bounded("a peer again", follower.handle().wait_for_peers(|peers| peers.len() == 1)).await.unwrap();
    witnessed(&witness, &origin, 1).await;
    witnessed(&follower, &origin, 1).await;
}

#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_tells_its_operator_from_start_to_stop() {
    let mut federation = Federation::new();
    let origin = federation.authority.origin().to_owned();
    federation.pin(federation.witness_dir.path());
    let mut config = config(federation.witness_dir.path(), &[]);
    config.witness.key = Some(WITNESS.to_owned());
    let lines = Lines::default();
    let reporter = Reporter::new(crate::telemetry::Style::Json, Box::new(lines.clone()));
    let (stop, stopped) = oneshot::channel::<()>();
    let dir = federation.witness_dir.path().to_owned();
    let published = async {
        let url = bounded("the node file", async {
            loop {
                match std::fs::read(dir.join(NODE_FILE_NAME)) {
                    Ok(file) => return serde_json::from_slice::<Value>(&file).unwrap()["api"].clone(),
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        });
        let url = url.await.as_str().unwrap().to_owned();
        let body = envelope::encode(&federation.authority.put_document(AUTHORITY));
        let address = url.strip_prefix("http://").unwrap().to_owned();
        let cbor = [("Content-Type", "application/cbor")];
        let answer = http_at(&address, "POST", "/v1/publish", &cbor, &body).await;
        assert_eq!(answer.status, 200);
        bounded("a quorum", async {
            loop {
                let status = http_at(&address, "GET", "/v1/status", &[], b"").await.json();
                if status["registers"][0]["size_witnessed"] == 1 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        stop.send(()).unwrap();
    };
    let run = run(&config, passphrase, reporter, async { stopped.await.unwrap() });
    let (ran, ()) = tokio::join!(run, published);
    ran.unwrap();
    let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let told: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let words: Vec<&str> = told.iter().map(|line| line["word"].as_str().unwrap()).collect();
    for word in ["start", "data", "listen", "api", "head", "quorum", "stop"] {
        assert!(words.contains(&word), "{word} in {words:?}");
    }
    assert_eq!((words.first(), words.last()), (Some(&"start"), Some(&"stop")));
    let quorum = told.iter().find(|line| line["word"] == "quorum").unwrap();
    assert_eq!((&quorum["register"], &quorum["size"]), (&origin.into(), &1.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_journal_is_damaged_replicates_and_signs_nothing() {
    let mut federation = Federation::new();
    let origin = federation.authority.origin().to_owned();
    let witness = federation.witness(&[]).await;
    publish(&witness, &federation.authority.put_document(AUTHORITY)).await;
    witnessed(&witness, &origin, 1).await;
    let has_view = |held: &Replica| held.views().get("w").is_some_and(|v| v.kept.is_some());
    bounded("a view", witness.handle().wait_for(has_view)).await.unwrap();
    witness.stop().await.unwrap();

    // A byte of the first view, which stands after all that the register is made of.
    let journal = federation.witness_dir.path().join("journal");
    let segment = std::fs::read_dir(journal).unwrap().map(|e| e.unwrap().path()).find(|p| p.is_file()).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(7).rposition(|w| w == b"customs").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).unwrap();

    let mut config = config(federation.witness_dir.path(), &[]);
    config.witness.key = Some(WITNESS.to_owned());
    let lines = Lines::default();
    let reporter = Reporter::new(crate::telemetry::Style::Json, Box::new(lines.clone()));
    let damaged = Node::start(&config, passphrase, reporter).await.unwrap();
    assert!(String::from_utf8(lines.0.lock().unwrap().clone()).unwrap().contains(r#""sound":false"#));
    assert_eq!(publish(&damaged, &federation.authority.put_document("did:web:other.example")).await.status, 200);
    damaged.stop().await.unwrap();
    let local = LocalNode::open(federation.witness_dir.path()).unwrap();
    let register = local.replica().register(&origin).unwrap();
    assert_eq!((register.size_newest(), register.size_witnessed()), (2, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_as_soon_as_a_peer_is_there_reaches_it_without_an_exchange() {
    let mut federation = Federation::new();
    let origin = federation.authority.origin().to_owned();
    let (publisher_dir, follower_dir) = (federation.directory(), federation.directory());
    let never = crate::config::Pace { sync_min_s: 86_400, sync_max_s: 86_400 };
    let slow = |mut config: Config| {
        config.pace = never;
        config
    };
    let start = |config| async move { Node::start(&config, passphrase, Reporter::silent()).await.unwrap() };
    let publisher = start(slow(config(publisher_dir.path(), &[]))).await;
    let first = publisher.handle().address().await.unwrap();
    let follower = start(slow(config(follower_dir.path(), &[first]))).await;
    bounded("a peer", publisher.handle().wait_for_peers(|peers| peers.len() == 1)).await.unwrap();
    for n in 1..=3 {
        publish(&publisher, &federation.authority.put_document(&format!("did:web:n{n}.example"))).await;
    }
    let reached = follower.handle().wait_for(|held| held.register(&origin).is_some_and(|r| r.size_newest() == 3));
    bounded("three entries", reached).await.unwrap();
}
