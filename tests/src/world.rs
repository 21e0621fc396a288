//! A small network made in code: a charter with three witnesses, registers under it, and credentials.
//!
//! ```text
//! interior (anchor) ─recognizes→ ministry ─issue Licence→ transport (did:web, list, own register)
//! ```
//!
//! A world is a list of pieces as they would arrive from the network. Any piece can be left out, so that a test can ask
//! what a verifier says who lacks it.

use std::collections::BTreeMap;
use std::sync::Arc;

use standfast_protocol::charter::{
    Admission, AnchorTerms, Charter, Document, FreshnessLimits, KIND, Kind, Quotas, RegisterTerms, Roots,
    SignedCharter, WitnessKind, WitnessTerms, WitnessesBefore,
};
use standfast_protocol::credential::contexts::Contexts;
use standfast_protocol::credential::data_integrity::Suite;
use standfast_protocol::credential::issue::{complete, issue_data_integrity, issue_vc_jwt};
use standfast_protocol::credential::json::Json;
use standfast_protocol::credential::{Format, StatusEntry, jcs};
use standfast_protocol::did;
use standfast_protocol::digest::Digest;
use standfast_protocol::key::{Algorithm, SecretKey, VerifierKey, origin_of};
use standfast_protocol::log::checkpoint::{Checkpoint, SignedHead};
use standfast_protocol::log::cosignature::{self, Cosignature};
use standfast_protocol::log::note::{self, Note};
use standfast_protocol::log::view::{Frontier, Leaf, SignedView, View};
use standfast_protocol::register::body::Record;
use standfast_protocol::register::draft::Ground;
use standfast_protocol::register::entry::Change;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::replica::Replica;
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::status::native::StatusList;
use standfast_protocol::sync::check::{HeldView, Timestamp};
use standfast_protocol::sync::message::Signed;
use standfast_protocol::time::Time;

/// The time at which a new world has been seen by everybody.
pub const NOW: u64 = 1_795_600_000;
/// The names of the witnesses; two of them are a quorum.
pub const WITNESSES: [&str; 3] = ["w1", "w2", "w3"];
/// The type that `transport` may issue.
pub const LICENCE: &str = "https://gov.example/Licence";
/// The list of `transport`.
pub const LIST: &str = "https://transport.example/status/1";

/// Something that arrives.
#[derive(Debug, Clone)]
pub enum Piece {
    /// A body.
    Body(Arc<Record>),
    /// A signed head with its new entries.
    Head(SignedHead, u64, Vec<bytes::Bytes>),
    /// A witness's cosignature.
    Cosignature(Cosignature),
    /// A publisher's timestamp.
    Timestamp(Arc<Timestamp>),
    /// A witness's view.
    View(Arc<HeldView>),
}

/// An agency with its register.
pub struct Agency {
    /// Its DID.
    pub did: String,
    /// The origin of its register.
    pub origin: String,
    secret: SecretKey,
    stamp: SecretKey,
    keys: Vec<VerifierKey>,
    /// Grounds of the register after 0, 1, 2 … publications.
    pub grounds: Vec<Ground>,
    heads: Vec<Checkpoint>,
}

/// A network.
pub struct World {
    /// The charter in force.
    pub charter: Arc<SignedCharter>,
    /// Those before it, the pinned one first.
    pub earlier: Vec<Arc<SignedCharter>>,
    /// The agencies by name.
    pub agencies: BTreeMap<&'static str, Agency>,
    /// Everything that has been sent.
    pub pieces: Vec<Piece>,
}

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn named(name: &str, algorithm: Algorithm, secret: &SecretKey) -> VerifierKey {
    VerifierKey::new(name, algorithm, secret.public()).expect("a key name")
}

/// Writes JSON in the form of RFC 8785.
pub fn canonical(text: &str) -> Vec<u8> {
    jcs::to_string(&Json::parse(text.as_bytes()).expect("JSON")).into_bytes()
}

/// Returns a key that only this text names.
fn secret_of(text: &str) -> SecretKey {
    SecretKey::from_seed(Digest::of(text.as_bytes()).as_bytes())
}

impl Agency {
    fn new(name: &str) -> Self {
        let (head, stamp) = (secret_of(&format!("head {name}")), secret_of(&format!("stamp {name}")));
        let origin = origin_of(&format!("{name}.example/register"), &head.public());
        let keys = vec![named(&origin, Algorithm::Note, &head), named(&origin, Algorithm::Cosignature, &stamp)];
        Self {
            did: format!("did:web:{name}.example"),
            grounds: vec![Ground::empty(&origin)],
            heads: Vec::new(),
            secret: head,
            stamp,
            keys,
            origin,
        }
    }

    /// Returns its register's binding as JSON.
    pub fn binding(&self) -> String {
        let keys: Vec<String> = self.keys.iter().map(|key| format!("\"{key}\"")).collect();
        format!(r#"{{"keys":[{}],"origin":"{}"}}"#, keys.join(","), self.origin)
    }

    fn newest(&self) -> &Checkpoint {
        self.heads.last().expect("something was published")
    }
}

/// One change of a record: its new body, or nothing when it is removed.
pub type Edit = (RecordKey, Option<Vec<u8>>);

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// Makes the standard world: everything witnessed, stamped and viewed at [`NOW`].
    pub fn new() -> Self {
        let mut world = Self::bare();
        world.publish("interior", vec![world.recognize("ministry", "*")]);
        world.publish("ministry", vec![world.issue("transport", LICENCE, "")]);
        let list = StatusList::new(LIST, "revocation", 1, 1024).expect("a list");
        world.publish("transport", vec![world.document("transport"), (status(LIST), Some(list.encode()))]);
        world.settle(NOW);
        world
    }

    /// Makes the standard world with more issuers under the ministry, each with its own key, register and list of
    /// `length` entries of which one in a hundred is set.
    pub fn wide(issuers: &[&'static str], length: u64) -> Self {
        let mut world = Self::bare();
        world.agencies.extend(issuers.iter().map(|name| (*name, Agency::new(name))));
        world.publish("interior", vec![world.recognize("ministry", "*")]);
        let permissions = issuers.iter().map(|name| world.issue(name, LICENCE, "")).collect();
        world.publish("ministry", permissions);
        let revoked: Vec<(u64, u8)> = (0..length).step_by(100).map(|index| (index, 1)).collect();
        for name in issuers {
            let list = list_of(name);
            let empty = StatusList::new(&list, "revocation", 1, length).expect("a list");
            let body = empty.edited(length, &revoked).expect("a list").encode();
            world.publish(name, vec![world.document(name), (status(&list), Some(body))]);
        }
        world.settle(NOW);
        world
    }

    /// Makes a charter with one anchor, `interior`, and agencies whose registers are empty.
    pub fn bare() -> Self {
        let names = ["interior", "ministry", "transport", "harbour", "stranger"];
        let agencies: BTreeMap<_, _> = names.into_iter().map(|name| (name, Agency::new(name))).collect();
        let interior = &agencies["interior"];
        let anchor = AnchorTerms {
            authority: interior.did.clone(),
            register: RegisterTerms { origin: interior.origin.clone(), keys: interior.keys.clone(), after: None },
        };
        let charter = charter(vec![anchor], NOW - 100 * 86_400, NOW + 200 * 86_400);
        Self { charter, earlier: Vec::new(), agencies, pieces: Vec::new() }
    }

    /// Replaces the charter by one that ends at another time.
    pub fn end_charter_at(&mut self, expires_at: u64) {
        let anchors = self.charter.charter().document().anchors.clone();
        self.charter = charter(anchors, NOW - 100 * 86_400, expires_at);
    }

    /// Lets the charter be followed by one that names other witnesses, of whom `needed` are a quorum, from a time on.
    pub fn replace_witnesses(&mut self, issued_at: u64, from: u64, names: &[&str], needed: usize) {
        let before = self.charter.charter();
        let mut document = before.document().clone();
        (document.network, document.version) = (Some(before.network_id()), before.version() + 1);
        document.issued_at = issued_at;
        let WitnessTerms { policy, kinds, .. } = document.witnesses;
        document.witnesses = witnesses(names, needed, from);
        document.witnesses.before = Some(WitnessesBefore { policy, kinds });
        let next = Charter::new(document).expect("a valid charter");
        let lines = [1, 2].iter().flat_map(|seed| next.sign(&secret(*seed), Some(before))).collect();
        let note = Note::new(next.text().to_owned(), lines);
        let next = SignedCharter::authenticate_next(note, before).expect("it follows");
        self.earlier.push(std::mem::replace(&mut self.charter, Arc::new(next)));
    }

    /// Makes version 2 of the charter, with what `change` changes.
    pub fn next_charter(&self, change: impl FnOnce(&mut Document)) -> Arc<SignedCharter> {
        let first = self.charter.charter();
        let mut document = first.document().clone();
        (document.network, document.version) = (Some(first.network_id()), 2);
        change(&mut document);
        let charter = Charter::new(document).expect("a valid charter");
        let lines = [1, 2].iter().flat_map(|seed| charter.sign(&secret(*seed), None)).collect();
        let note = Note::new(charter.text().to_owned(), lines);
        Arc::new(SignedCharter::authenticate_next(note, first).expect("it follows"))
    }

    /// Replaces the charter by one that names no witnesses.
    pub fn dismiss_witnesses(&mut self) {
        let mut document = self.charter.charter().document().clone();
        document.witnesses.policy = "quorum none\n".to_owned();
        document.witnesses.kinds.clear();
        self.charter = signed(document);
    }

    /// Returns the recognition of an agency for some types.
    pub fn recognize(&self, name: &str, resource: &str) -> Edit {
        let agency = &self.agencies[name];
        let body = format!(
            r#"{{"action":"recognize","depth":3,"entity":"{}","register":{},"resource":"main",
                "scope":{{"actions":["issue"],"resources":["{resource}"]}},"valid_from":0,"valid_until":{}}}"#,
            agency.did,
            agency.binding(),
            NOW + 300 * 86_400
        );
        (RecordKey::trust(&agency.did, "recognize", "main").expect("a key"), Some(canonical(&body)))
    }

    /// Returns the permission of an agency to issue one type, with further members such as `,"status":"required"`.
    pub fn issue(&self, name: &str, kind: &str, more: &str) -> Edit {
        self.issue_until(name, kind, NOW + 300 * 86_400, more)
    }

    /// Returns the permission of an agency to issue one type until a time.
    pub fn issue_until(&self, name: &str, kind: &str, until: u64, more: &str) -> Edit {
        let agency = &self.agencies[name];
        let body = format!(
            r#"{{"action":"issue","entity":"{}","register":{},"resource":"{kind}","valid_from":0,"valid_until":{until}{more}}}"#,
            agency.did,
            agency.binding()
        );
        (RecordKey::trust(&agency.did, "issue", kind).expect("a key"), Some(canonical(&body)))
    }

    /// Returns the DID document of an agency, with its issuing key `#k1`.
    pub fn document(&self, name: &str) -> Edit {
        let host = format!("{name}.example");
        let json = did::web::document(&host, "k1", issuing_key(name).public()).expect("a document");
        (did_key(&self.agencies[name].did), Some(jcs::to_string(&json).into_bytes()))
    }

    /// Publishes one entry of an agency, with its bodies.
    pub fn publish(&mut self, name: &str, edits: Vec<Edit>) {
        let last = self.agencies[name].grounds.len() - 1;
        let ground = self.publish_on(name, last, edits);
        self.agencies.get_mut(name).expect("an agency").grounds.push(ground);
    }

    /// Publishes one entry on an earlier ground: a fork, unless it is the newest.
    pub fn publish_on(&mut self, name: &str, ground: usize, edits: Vec<Edit>) -> Ground {
        let change = |(key, body): &Edit| Change { key: key.clone(), digest: body.as_ref().map(|b| Digest::of(b)) };
        let agency = self.agencies.get_mut(name).expect("an agency");
        let time = Time::from_secs_saturating(NOW - 1000);
        let prepared = agency.grounds[ground].prepare(time, edits.iter().map(change).collect()).expect("a valid entry");
        let line = note::sign(&prepared.text(), &agency.keys[0], &agency.secret);
        let head = prepared.finalise(vec![line], &agency.keys).expect("a head");
        agency.heads.push(head.checkpoint().clone());
        let entries = prepared.entries().iter().map(|entry| entry.bytes().clone()).collect();
        let bodies = edits.into_iter().filter_map(|(_, body)| body);
        self.pieces.extend(bodies.map(|body| Piece::Body(Arc::new(Record::new(body)))));
        self.pieces.push(Piece::Head(head, prepared.first(), entries));
        prepared.ground().clone()
    }

    /// Returns the bytes of an entry on an earlier ground, and sends its bodies.
    pub fn prepare_on(&mut self, name: &str, ground: usize, edits: Vec<Edit>) -> bytes::Bytes {
        let change = |(key, body): &Edit| Change { key: key.clone(), digest: body.as_ref().map(|b| Digest::of(b)) };
        let time = Time::from_secs_saturating(NOW - 1000);
        let changes = edits.iter().map(change).collect();
        let prepared = self.agencies[name].grounds[ground].prepare(time, changes).expect("a valid entry");
        let bodies = edits.into_iter().filter_map(|(_, body)| body);
        self.pieces.extend(bodies.map(|body| Piece::Body(Arc::new(Record::new(body)))));
        prepared.entries()[0].bytes().clone()
    }

    /// Signs a head over these leaves on an earlier ground, whatever they are: an adversary's.
    pub fn publish_leaves(&mut self, name: &str, ground: usize, leaves: Vec<bytes::Bytes>) {
        let agency = self.agencies.get_mut(name).expect("an agency");
        let mut edge = agency.grounds[ground].edge.clone();
        let first = edge.size();
        leaves.iter().for_each(|leaf| edge.append(leaf));
        let checkpoint = Checkpoint { origin: agency.origin.clone(), size: edge.size(), root: edge.root() };
        let line = note::sign(&checkpoint.text(), &agency.keys[0], &agency.secret);
        let note = Note::new(checkpoint.text(), vec![line]);
        let head = SignedHead::authenticate(note, &agency.origin, &agency.keys).expect("a head");
        agency.heads.push(checkpoint);
        self.pieces.push(Piece::Head(head, first, leaves));
    }

    /// Signs a head over an entry of version 2, which nobody can read.
    pub fn publish_unreadable(&mut self, name: &str) {
        let agency = self.agencies.get_mut(name).expect("an agency");
        let mut edge = agency.grounds.last().expect("a ground").edge.clone();
        let (first, entry) = (edge.size(), bytes::Bytes::from_static(b"\xa2\x00\x02\x01\x61\x78"));
        edge.append(&entry);
        let checkpoint = Checkpoint { origin: agency.origin.clone(), size: edge.size(), root: edge.root() };
        let line = note::sign(&checkpoint.text(), &agency.keys[0], &agency.secret);
        let head = SignedHead::authenticate(Note::new(checkpoint.text(), vec![line]), &agency.origin, &agency.keys);
        self.pieces.push(Piece::Head(head.expect("a head"), first, vec![entry]));
    }

    /// Cosigns the newest head of an agency.
    pub fn witness(&mut self, name: &str, time: u64, witnesses: &[&str]) {
        let checkpoint = self.agencies[name].newest().clone();
        for witness in witnesses {
            let secret = witness_key(witness);
            let key = named("w.example", Algorithm::Cosignature, &secret);
            let line = cosignature::sign(&checkpoint.text(), time, &key, &secret);
            let cosignature = Cosignature::verify(&checkpoint, &line, witness, &key).expect("a cosignature");
            self.pieces.push(Piece::Cosignature(cosignature));
        }
    }

    /// Stamps the newest head of an agency by its own online key.
    pub fn stamp(&mut self, name: &str, time: u64) {
        let agency = &self.agencies[name];
        let (checkpoint, key) = (agency.newest(), &agency.keys[1]);
        let line = cosignature::sign(&checkpoint.text(), time, key, &agency.stamp);
        let timestamp = Timestamp::verify(checkpoint, &Signed::from_line(&line), key).expect("a timestamp");
        self.pieces.push(Piece::Timestamp(Arc::new(timestamp)));
    }

    /// Views the newest heads of all agencies but `without`.
    pub fn view(&mut self, time: u64, witnesses: &[&str], without: &[&str]) {
        let mut frontier = Frontier::default();
        for (name, agency) in &self.agencies {
            if let (Some(head), false) = (agency.heads.last(), without.contains(name)) {
                frontier.put(&agency.origin, Leaf { size: head.size, root: head.root });
            }
        }
        for witness in witnesses {
            let secret = view_key(witness);
            let key = named("w.example/view", Algorithm::Note, &secret);
            let view = View {
                network: self.charter.charter().network_id(),
                witness: (*witness).to_owned(),
                time,
                charter_version: self.charter.charter().version(),
                charter_digest: self.charter.charter().digest(),
                registers: frontier.len() as u64,
                root: frontier.root(),
            };
            let signed = SignedView::authenticate(view.sign(&key, &secret), &key).expect("a view");
            self.pieces.push(Piece::View(Arc::new(HeldView { signed, frontier: frontier.clone() })));
        }
    }

    /// Cosigns, stamps and views everything at one time.
    pub fn settle(&mut self, time: u64) {
        let published = |(name, agency): (&&'static str, &Agency)| (!agency.heads.is_empty()).then_some(*name);
        let names: Vec<&'static str> = self.agencies.iter().filter_map(published).collect();
        for name in names {
            self.witness(name, time, &WITNESSES);
            self.stamp(name, time);
        }
        self.view(time, &WITNESSES, &[]);
    }

    /// Returns what a verifier holds to whom every piece came.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot_of(self.pieces.iter())
    }

    /// Returns what a verifier holds to whom every piece came while its clock stood at `device`.
    pub fn snapshot_taken_at(&self, device: u64) -> Arc<Snapshot> {
        self.held(self.pieces.iter(), device)
    }

    /// Returns what a verifier holds to whom one piece did not come.
    pub fn snapshot_without(&self, place: usize) -> Arc<Snapshot> {
        self.snapshot_of(self.pieces.iter().enumerate().filter(|(i, _)| *i != place).map(|(_, piece)| piece))
    }

    fn snapshot_of<'a>(&'a self, pieces: impl Iterator<Item = &'a Piece> + Clone) -> Arc<Snapshot> {
        self.held(pieces, NOW)
    }

    fn held<'a>(&'a self, pieces: impl Iterator<Item = &'a Piece> + Clone, device: u64) -> Arc<Snapshot> {
        let mut charters = self.earlier.iter().chain([&self.charter]);
        let mut replica = Replica::new(charters.next().expect("one is in force").clone());
        // A register is known once the one above it is: each round goes one level deeper.
        for _ in 0..4 {
            pieces.clone().for_each(|piece| offer(&mut replica, piece, device));
            replica.rebind();
        }
        for charter in charters {
            replica.offer_charter(charter.note().to_string().as_bytes()).expect("it follows");
        }
        // What only the later charter's witnesses say.
        pieces.for_each(|piece| offer(&mut replica, piece, device));
        Snapshot::new(replica)
    }
}

fn offer(replica: &mut Replica, piece: &Piece, device: u64) {
    match piece {
        Piece::Body(record) => replica.bodies_mut().insert(record.clone()),
        Piece::Head(head, first, entries) => {
            if let Some(mut register) = replica.candidate(&head.checkpoint().origin) {
                register.admit(head.clone(), Vec::new(), *first, entries);
                replica.install(register);
            }
        }
        Piece::Cosignature(cosignature) => {
            if let Some(mut register) = replica.candidate(&cosignature.checkpoint().origin) {
                register.add_cosignature(cosignature.clone());
                replica.install(register);
            }
        }
        Piece::Timestamp(timestamp) => drop(replica.offer_timestamp(timestamp.clone(), device)),
        Piece::View(view) => drop(replica.offer_view(view.clone(), device)),
    }
}

fn witness_key(name: &str) -> SecretKey {
    secret(40 + name.as_bytes()[1] - b'0')
}

fn view_key(name: &str) -> SecretKey {
    secret(50 + name.as_bytes()[1] - b'0')
}

fn witnesses(names: &[&str], needed: usize, from: u64) -> WitnessTerms {
    let line =
        |name: &&str| format!("witness {name} {}\n", named("w.example", Algorithm::Cosignature, &witness_key(name)));
    let view = |name: &&str| WitnessKind {
        kind: Kind::Admitting,
        view: named("w.example/view", Algorithm::Note, &view_key(name)),
    };
    WitnessTerms {
        policy: names.iter().map(line).collect::<String>()
            + &format!("group g {needed} {}\nquorum g\n", names.join(" ")),
        kinds: names.iter().map(|name| ((*name).to_owned(), view(name))).collect(),
        from,
        before: None,
    }
}

fn charter(anchors: Vec<AnchorTerms>, issued_at: u64, expires_at: u64) -> Arc<SignedCharter> {
    let roots: Vec<VerifierKey> =
        [1, 2].iter().map(|seed| named(&format!("root{seed}.example/root"), Algorithm::Note, &secret(*seed))).collect();
    let document = Document {
        kind: KIND.into(),
        network: None,
        version: 1,
        issued_at,
        expires_at,
        roots: Roots { threshold: 2, keys: roots },
        anchors,
        witnesses: witnesses(&WITNESSES, 2, issued_at),
        limits: FreshnessLimits { witnessed_s: 86_400, published_s: 604_800, charter_s: 2_592_000 },
        quotas: Quotas { entries_per_day: 1_000, bytes_per_day: 1 << 20, delta_retention_s: 604_800 },
        members: vec![],
        bootstrap: vec![],
        admission: Admission::Open,
    };
    signed(document)
}

fn signed(document: Document) -> Arc<SignedCharter> {
    let charter = Charter::new(document).expect("a valid charter");
    let lines = [1, 2].iter().flat_map(|seed| charter.sign(&secret(*seed), None)).collect();
    let note = Note::new(charter.text().to_owned(), lines);
    Arc::new(SignedCharter::authenticate_first(note).expect("a signed charter"))
}

/// Returns the key by which an agency issues credentials.
pub fn issuing_key(name: &str) -> SecretKey {
    secret_of(&format!("issue {name}"))
}

/// Returns the status list of an agency: for `transport` it is [`LIST`].
pub fn list_of(name: &str) -> String {
    format!("https://{name}.example/status/1")
}

/// Returns the record of a DID document.
pub fn did_key(did: &str) -> RecordKey {
    RecordKey::did(did).expect("a key")
}

/// Returns the record of a status list.
pub fn status(list: &str) -> RecordKey {
    RecordKey::status(list).expect("a key")
}

/// What to issue.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The agency.
    pub issuer: &'static str,
    /// Types beside `VerifiableCredential`.
    pub types: Vec<String>,
    /// Further contexts.
    pub contexts: Vec<String>,
    /// The end.
    pub until: Option<u64>,
    /// The start.
    pub from: u64,
    /// The status.
    pub status: Option<StatusEntry>,
    /// The format.
    pub format: Format,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            issuer: "transport",
            types: vec![LICENCE.to_owned()],
            contexts: Vec::new(),
            until: Some(NOW + 100 * 86_400),
            from: NOW - 86_400,
            status: Some(entry(LIST, 7)),
            format: Format::VcJwt,
        }
    }
}

/// Returns a status of purpose `revocation`.
pub fn entry(list: &str, index: u64) -> StatusEntry {
    StatusEntry { purpose: "revocation".to_owned(), list: list.to_owned(), index, size_bits: 1 }
}

impl Draft {
    /// Issues it by the agency's key.
    pub fn issue(&self) -> Vec<u8> {
        self.issue_by(
            &issuing_key(self.issuer),
            &format!("did:web:{}.example", self.issuer),
            "k1",
            &Contexts::builtin(),
        )
    }

    /// Issues it in the name of a DID by a key under some fragment.
    pub fn issue_by(&self, key: &SecretKey, did: &str, fragment: &str, contexts: &Contexts) -> Vec<u8> {
        let list = |items: &[String]| items.iter().map(|item| format!(",\"{item}\"")).collect::<String>();
        let until = self
            .until
            .map_or_else(String::new, |until| format!(r#","validUntil":"{}""#, Time::from_secs_saturating(until)));
        let text = format!(
            r#"{{"@context":["https://www.w3.org/ns/credentials/v2"{}],"type":["VerifiableCredential"{}],
                "credentialSubject":{{"id":"did:example:ada"}}{until}}}"#,
            list(&self.contexts),
            list(&self.types)
        );
        let json = Json::parse(text.as_bytes()).expect("JSON");
        let whole = complete(&json, did, Time::from_secs_saturating(self.from), self.status.as_ref()).expect("whole");
        let method = format!("{did}#{fragment}");
        let suite = match self.format {
            Format::VcJwt => return issue_vc_jwt(&whole, &method, key).expect("a token").into_bytes(),
            Format::EddsaJcs2022 => Suite::EddsaJcs2022,
            Format::EddsaRdfc2022 => Suite::EddsaRdfc2022,
        };
        let issued = issue_data_integrity(&whole, suite, &method, Time::from_secs_saturating(self.from), key, contexts);
        issued.expect("a credential").to_string().into_bytes()
    }
}
