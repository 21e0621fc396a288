//! Design §13, property 4: whatever is interleaved, a register's key never signs two roots for one size.
//!
//! Real machines, ledgers, markers and the real rule of the fence; simulated are the network, the journal and the crashes.
//! A history is a random row of: publish, with a crash at any point of it; a second command at the same time; kill; cut
//! and link; time; backup; and restores of any earlier backup, of all or of parts, on this machine or on a new one.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use standfast_node::fence::{Continuity, Heard, Judgement, judge};
use standfast_node::ledger::marker::Marker;
use standfast_node::ledger::{Ground as LedgerGround, Ledger, LedgerError, Signed};
use standfast_protocol::charter::{
    Admission, AnchorTerms, Charter, Document, FreshnessLimits, KIND, Kind, Quotas, RegisterTerms, Roots,
    SignedCharter, WitnessKind, WitnessTerms,
};
use standfast_protocol::digest::Digest;
use standfast_protocol::key::{Algorithm, SecretKey, VerifierKey, origin_of};
use standfast_protocol::log::note::Note;
use standfast_protocol::register::draft::Ground;
use standfast_protocol::register::entry::Change;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::sync::message::{HeadMessage, Signed as SignatureBytes};
use standfast_protocol::sync::{Durable, Duties, Event, Gossip, Machine, Output, Pace, Peer, Submission, WitnessKeys};
use standfast_protocol::time::Time;
use standfast_tests::cluster::within;
use standfast_tests::dice::Dice;

const START_MS: u64 = 1_790_000_000_000;
const WITNESSES: usize = 3;
/// The publisher's node; those before it witness, the one after it only follows.
const PUBLISHER: usize = WITNESSES;
const NODES: usize = WITNESSES + 2;

fn secret(name: &str) -> SecretKey {
    SecretKey::from_seed(&Digest::of(name.as_bytes()).0)
}

fn vkey(name: &str, algorithm: Algorithm, seed: &str) -> VerifierKey {
    VerifierKey::new(name, algorithm, secret(seed).public()).expect("a name")
}

fn origin() -> String {
    origin_of("interior.example/register", &secret("interior").public())
}

fn key() -> VerifierKey {
    vkey(&origin(), Algorithm::Note, "interior")
}

fn witness_keys(number: usize) -> WitnessKeys {
    let key = |what: &str, algorithm| {
        let name = format!("w{number}.example/{what}");
        (vkey(&name, algorithm, &name), secret(&name))
    };
    WitnessKeys { cosign: key("witness", Algorithm::Cosignature), view: key("view", Algorithm::Note) }
}

fn charter() -> Arc<SignedCharter> {
    let lines: String = (0..WITNESSES).map(|n| format!("witness w{n} {}\n", witness_keys(n).cosign.0)).collect();
    let kinds = (0..WITNESSES)
        .map(|n| (format!("w{n}"), WitnessKind { kind: Kind::Admitting, view: witness_keys(n).view.0 }))
        .collect();
    let document = Document {
        kind: KIND.into(),
        network: None,
        version: 1,
        issued_at: 1_780_000_000,
        expires_at: 1_900_000_000,
        roots: Roots { threshold: 1, keys: vec![vkey("interior.example/root", Algorithm::Note, "root")] },
        anchors: vec![AnchorTerms {
            authority: "did:web:interior.example".to_owned(),
            register: RegisterTerms { origin: origin(), keys: vec![key()], after: None },
        }],
        witnesses: WitnessTerms {
            policy: format!("{lines}group g 2 w0 w1 w2\nquorum g\n"),
            kinds,
            from: 1_780_000_000,
            before: None,
        },
        limits: FreshnessLimits { witnessed_s: 86_400, published_s: 604_800, charter_s: 604_800 },
        quotas: Quotas { entries_per_day: 100_000, bytes_per_day: 1 << 30, delta_retention_s: 604_800 },
        members: Vec::new(),
        bootstrap: Vec::new(),
        admission: Admission::Open,
    };
    let charter = Charter::new(document).expect("a valid charter");
    let lines = charter.sign(&secret("root"), None);
    let note = Note::new(charter.text().to_owned(), lines);
    Arc::new(SignedCharter::authenticate_first(note).expect("signed"))
}

// ---- the network ---------------------------------------------------------------------------------------------------

struct Node {
    machine: Machine,
    journal: Vec<Durable>,
}

/// What a copy of the publisher's data directory holds.
#[derive(Clone)]
struct Backup {
    journal: Vec<Durable>,
    ledger: Vec<u8>,
}

struct World {
    nodes: Vec<Node>,
    /// The publisher's node is linked with these.
    linked: [bool; NODES],
    queue: VecDeque<(usize, Event)>,
    now_ms: u64,
    messages: u64,
    results: BTreeMap<u64, bool>,
    charter: Arc<SignedCharter>,
    _dir: tempfile::TempDir,
    ledger: PathBuf,
    marks: PathBuf,
    backups: Vec<Backup>,
    /// Every root by its size whose signature has left the machine.
    left: BTreeMap<u64, Digest>,
    numbers: u64,
}

fn peer(number: usize) -> Peer {
    Peer::from(number.to_string().as_str())
}

fn duties(number: usize) -> Duties {
    Duties::new((number < WITNESSES).then(|| witness_keys(number)), Vec::new(), 1, 3600)
}

impl World {
    fn new(charter: &Arc<SignedCharter>) -> Self {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let (ledger, marks) = (dir.path().join("interior.ledger"), dir.path().join("marks"));
        Marker::of(&marks, key().key()).begin().expect("a marker");
        Ledger::create(&ledger, &key()).expect("a ledger");
        let mut world = Self {
            nodes: Vec::new(),
            linked: [false; NODES],
            queue: VecDeque::new(),
            now_ms: START_MS,
            messages: 0,
            results: BTreeMap::new(),
            charter: charter.clone(),
            _dir: dir,
            ledger,
            marks,
            backups: Vec::new(),
            left: BTreeMap::new(),
            numbers: 0,
        };
        for number in 0..NODES {
            let node = world.started(number, Vec::new());
            world.nodes.push(node);
        }
        for a in 0..NODES {
            for b in (0..NODES).filter(|b| *b != a && a != PUBLISHER && *b != PUBLISHER) {
                world.queue.push_back((a, Event::Connected(peer(b))));
            }
            world.link(a);
        }
        let copy = world.copy();
        world.backups.push(copy);
        world
    }

    fn started(&mut self, number: usize, journal: Vec<Durable>) -> Node {
        let pace = Pace { sync_min_s: 5, sync_max_s: 5 };
        let mut machine = Machine::new(self.charter.clone(), duties(number), pace).at(self.now_ms);
        journal.iter().for_each(|durable| machine.restore(durable));
        Node { machine, journal }
    }

    fn linked(&self, a: usize, b: usize) -> bool {
        match (a, b) {
            (PUBLISHER, other) | (other, PUBLISHER) => self.linked[other],
            _ => true,
        }
    }

    fn link(&mut self, other: usize) {
        if other != PUBLISHER && !self.linked[other] {
            self.linked[other] = true;
            self.queue.push_back((PUBLISHER, Event::Connected(peer(other))));
            self.queue.push_back((other, Event::Connected(peer(PUBLISHER))));
        }
    }

    fn cut(&mut self, other: usize) {
        if self.linked[other] {
            self.linked[other] = false;
            self.queue.push_back((PUBLISHER, Event::Disconnected(peer(other))));
            self.queue.push_back((other, Event::Disconnected(peer(PUBLISHER))));
        }
    }

    fn run(&mut self) {
        while let Some((number, event)) = self.queue.pop_front() {
            let outputs = self.nodes[number].machine.handle(event, self.now_ms);
            self.carry_out(number, outputs);
        }
    }

    fn tick(&mut self, secs: u64) {
        for _ in 0..secs {
            self.now_ms += 1000;
            for number in 0..NODES {
                let digest = Digest::of_parts(&[&self.now_ms.to_be_bytes(), &number.to_be_bytes()]);
                let entropy = digest.0.iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte));
                self.queue.push_back((number, Event::Tick { entropy }));
            }
            self.run();
        }
    }

    fn carry_out(&mut self, number: usize, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Publish(topic, data) => {
                    for to in (0..NODES).filter(|to| *to != number && self.linked(number, *to)).collect::<Vec<_>>() {
                        self.messages += 1;
                        let gossip = Gossip { topic, peer: peer(number), message: self.messages };
                        self.queue.push_back((to, Event::Gossip(gossip, data.clone())));
                    }
                }
                Output::Request { peer: to, ticket, data } => {
                    let number_to: usize = to.parse().expect("a number");
                    let event = if self.linked(number, number_to) {
                        let ticket = ticket * 1000 + number as u64;
                        (number_to, Event::Request { peer: peer(number), ticket, data })
                    } else {
                        (number, Event::Response { peer: to, ticket, result: None })
                    };
                    self.queue.push_back(event);
                }
                Output::Respond(ticket, data) => self.answer(number, ticket, Some(data)),
                Output::Refuse(ticket) => self.answer(number, ticket, None),
                Output::Persist(ticket, frames) => {
                    self.nodes[number].journal.extend(frames);
                    self.queue.push_back((number, Event::Persisted(ticket)));
                }
                Output::Check(ticket, job) => {
                    self.queue.push_back((number, Event::Checked(ticket, job.run().map(Box::new))));
                }
                Output::Submitted(ticket, result) => drop(self.results.insert(ticket, result.is_ok())),
                Output::Judge(..) | Output::Changed | Output::Notice(_) | Output::AddedCheckpoint(..) => {}
            }
        }
    }

    fn answer(&mut self, number: usize, ticket: u64, result: Option<Bytes>) {
        let (to, ticket) = ((ticket % 1000) as usize, ticket / 1000);
        if self.linked(number, to) {
            self.queue.push_back((to, Event::Response { peer: peer(number), ticket, result }));
        }
    }

    // ---- the publisher's machine -------------------------------------------------------------------------------------

    fn copy(&self) -> Backup {
        let ledger = fs::read(&self.ledger).expect("a ledger");
        Backup { journal: self.nodes[PUBLISHER].journal.clone(), ledger }
    }

    /// Starts the publisher's node from this journal; the links it had come again.
    fn restart(&mut self, journal: Vec<Durable>) {
        let were = self.linked;
        (0..NODES).for_each(|other| self.cut(other));
        self.queue.retain(|(number, _)| *number != PUBLISHER);
        self.run();
        let node = self.started(PUBLISHER, journal);
        self.nodes[PUBLISHER] = node;
        let outputs = self.nodes[PUBLISHER].machine.started(self.now_ms);
        self.carry_out(PUBLISHER, outputs);
        (0..NODES).filter(|other| were[*other]).for_each(|other| self.link(other));
    }

    fn size(&self, number: usize) -> u64 {
        self.nodes[number].machine.replica().register(&origin()).map_or(0, |register| register.size_newest())
    }

    fn root(&self, number: usize, size: u64) -> Option<Digest> {
        self.nodes[number].machine.replica().register(&origin())?.root_at(size)
    }

    fn marker(&self) -> Marker {
        Marker::of(&self.marks, key().key())
    }

    fn continuity(&self, ledger: &Ledger) -> Continuity {
        self.marker().continuity(ledger, |size| self.root(PUBLISHER, size)).expect("a marker that reads")
    }

    fn hand_over(&mut self, signed: &Signed) {
        let size = signed.checkpoint.size;
        let root = *self.left.entry(size).or_insert(signed.checkpoint.root);
        assert_eq!(root, signed.checkpoint.root, "two roots left for size {size}");
        let own = signed.note.signatures().iter().map(SignatureBytes::from_line).collect();
        let head = HeadMessage {
            checkpoint: signed.checkpoint.clone(),
            own,
            cosignatures: Vec::new(),
            first: size - signed.entries.len() as u64,
            entries: signed.entries.iter().map(|entry| Bytes::copy_from_slice(entry)).collect(),
            bodies: (0..=self.numbers)
                .map(|number| standfast_protocol::sync::message::BodyItem::Whole(body(number)))
                .collect(),
        };
        self.messages += 1;
        let submission = Submission { heads: vec![head], ..Submission::default() };
        self.queue.push_back((PUBLISHER, Event::Submit(self.messages, submission)));
    }

    /// One command that publishes, as the command line does it; `crash` says where it is killed.
    fn publish(&mut self, dice: &mut Dice, crash: Crash, tally: &mut Tally) {
        // Its lock may live on for a moment in a process that another test has just started.
        let open = || match Ledger::open(&self.ledger, &key()) {
            Err(LedgerError::Locked(_)) => None,
            opened => Some(opened),
        };
        let mut ledger = within(open).expect("a lock that is free").expect("a ledger");
        assert!(matches!(Ledger::open(&self.ledger, &key()), Err(LedgerError::Locked(_))), "one at a time");
        let above = ledger.signed_above(self.size(PUBLISHER)).expect("a ledger");
        if !above.is_empty() && self.continuity(&ledger) == Continuity::Proven {
            self.marker().raise(&ledger).expect("a marker");
        }
        above.iter().for_each(|signed| self.hand_over(signed));
        self.run();
        let mut patience = if dice.once_in(3) { 8 } else { 0 };
        loop {
            let report = self.nodes[PUBLISHER].machine.fence(&origin()).expect("it is bound");
            let heard = Heard::of(&origin(), &report);
            match judge(Some(&heard), self.continuity(&ledger), patience > 0) {
                Judgement::Pass => break,
                Judgement::Refuse(refusal) => {
                    *tally.refused.entry(refusal.code()).or_default() += 1;
                    return;
                }
                Judgement::Wait => {
                    patience -= 1;
                    self.tick(1);
                }
            }
        }
        let (changes, ground) = {
            let replica = self.nodes[PUBLISHER].machine.replica();
            let register = replica.register(&origin());
            let Ok(ground) = register.map_or_else(|| Ok(Ground::empty(&origin())), |r| Ground::of(r)) else { return };
            self.numbers += 1;
            let key = RecordKey::notice(&self.numbers.to_string()).expect("a key");
            (vec![Change { key, digest: Some(Digest::of(&body(self.numbers))) }], ground)
        };
        let prepared = ground.prepare(Time::from_secs_saturating(self.now_ms / 1000), changes).expect("an entry");
        let newest = ledger.newest().map_or(0, |(size, _)| size);
        let proof = self.nodes[PUBLISHER].machine.replica().register(&origin());
        let proof = proof.and_then(|r| r.consistency(newest, r.size_newest())).unwrap_or_default();
        let entries: Vec<Vec<u8>> = prepared.entries().iter().map(|entry| entry.bytes().to_vec()).collect();
        let on = LedgerGround { edge: &ground.edge, proof: &proof };
        let before = fs::metadata(&self.ledger).expect("a ledger").len();
        let signed = match ledger.sign(prepared.checkpoint(), &entries, &on, &secret("interior")) {
            Ok(signed) => signed,
            Err(refused) => {
                assert!(!matches!(refused, LedgerError::File { .. } | LedgerError::Damaged { .. }), "{refused}");
                *tally.refused.entry("ledger-refuses").or_default() += 1;
                return;
            }
        };
        tally.signed += 1;
        if crash == Crash::InLedger {
            // Any part of the line may have reached the disk: nothing of it, a beginning, all.
            drop(ledger);
            let after = fs::metadata(&self.ledger).expect("a ledger").len();
            let keep = before + dice.below((after - before) as usize + 1) as u64;
            fs::OpenOptions::new().write(true).open(&self.ledger).and_then(|file| file.set_len(keep)).expect("a cut");
            return;
        }
        if crash == Crash::BeforeMarker {
            return;
        }
        self.marker().raise(&ledger).expect("a marker");
        if crash == Crash::BeforeHandingOver {
            return;
        }
        self.hand_over(&signed);
        if crash == Crash::NodeAtOnce {
            // The node dies with the request: before it, or at any step after it.
            for _ in 0..dice.below(4) {
                let Some((number, event)) = self.queue.pop_front() else { break };
                let outputs = self.nodes[number].machine.handle(event, self.now_ms);
                self.carry_out(number, outputs);
            }
            let journal = self.nodes[PUBLISHER].journal.clone();
            self.restart(journal);
        }
        self.run();
    }

    /// True when a quorum of witnesses holds all that has left.
    fn is_known(&self) -> bool {
        let newest = self.left.last_key_value().map_or(0, |(size, _)| *size);
        (0..WITNESSES).filter(|number| self.size(*number) >= newest).count() >= 2
    }

    fn check(&self) {
        for number in 0..NODES {
            let register = self.nodes[number].machine.replica().register(&origin());
            assert!(!register.is_some_and(|register| register.is_forked()), "node {number} has seen a fork");
        }
    }
}

fn body(number: u64) -> Bytes {
    Bytes::from(format!("notice {number}"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crash {
    None,
    InLedger,
    BeforeMarker,
    BeforeHandingOver,
    NodeAtOnce,
}

/// What the histories came to: a test in which nothing happens shows nothing.
#[derive(Debug, Default)]
struct Tally {
    signed: u64,
    restores: u64,
    machines_lost: u64,
    not_promised: u64,
    refused: BTreeMap<&'static str, u64>,
}

fn history(dice: &mut Dice, charter: &Arc<SignedCharter>, tally: &mut Tally) {
    let mut world = World::new(charter);
    world.run();
    world.tick(2);
    for _ in 0..40 {
        match dice.below(12) {
            0..=3 => {
                let crashes = [
                    &Crash::None,
                    &Crash::None,
                    &Crash::None,
                    &Crash::InLedger,
                    &Crash::BeforeMarker,
                    &Crash::BeforeHandingOver,
                    &Crash::NodeAtOnce,
                ];
                let crash = *dice.pick(&crashes);
                world.publish(dice, crash, tally);
            }
            4 => (0..NODES).filter(|_| dice.once_in(2)).collect::<Vec<_>>().into_iter().for_each(|n| world.cut(n)),
            5 => (0..NODES).for_each(|other| world.link(other)),
            6 | 7 => world.tick(1 + dice.below(6) as u64),
            8 => world.backups.push(world.copy()),
            9 => {
                let journal = world.nodes[PUBLISHER].journal.clone();
                world.restart(journal);
            }
            10 => {
                // An honest restore here: of all, or of one of both. The marker is in no backup.
                let backup = world.backups[dice.below(world.backups.len())].clone();
                let part = dice.below(3);
                if part != 1 {
                    fs::write(&world.ledger, &backup.ledger).expect("a ledger");
                }
                let journal = if part == 2 { world.nodes[PUBLISHER].journal.clone() } else { backup.journal };
                world.restart(journal);
                tally.restores += 1;
            }
            _ => {
                // The machine is lost, and a backup goes on on a new one. What nobody else has ever seen cannot be known.
                if !world.is_known() {
                    tally.not_promised += 1;
                    continue;
                }
                let backup = world.backups[dice.below(world.backups.len())].clone();
                fs::write(&world.ledger, &backup.ledger).expect("a ledger");
                let _ = fs::remove_dir_all(&world.marks);
                world.restart(backup.journal);
                tally.machines_lost += 1;
            }
        }
        world.run();
        world.check();
    }
    (0..NODES).for_each(|other| world.link(other));
    world.tick(12);
    world.check();
    // However it went, the publisher can go on: after what was lost was fetched, or what was signed handed over.
    let sizes: Vec<u64> = (0..NODES).map(|number| world.size(number)).collect();
    assert!(sizes.iter().all(|size| *size == sizes[0]), "{sizes:?}");
}

#[test]
#[allow(clippy::print_stdout, reason = "the seed and what the histories came to are part of what is shown")]
fn whatever_is_interleaved_no_size_gets_two_roots() {
    let (seed, mut dice) = Dice::seeded(20_261_121);
    let soak = std::env::var_os("STANDFAST_SOAK").is_some_and(|value| !value.is_empty());
    let charter = charter();
    let mut tally = Tally::default();
    let mut at = dice.clone();
    let histories = if soak { 20_000 } else { 150 };
    for number in 0..histories {
        at.clone_from(&dice);
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| history(&mut dice, &charter, &mut tally)));
        if let Err(panic) = run {
            let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            panic!("seed {seed}, history {number}: {said}");
        }
    }
    assert!(
        tally.signed > histories * 4 && tally.restores > histories && tally.machines_lost > histories / 2,
        "{tally:?}"
    );
    let refusals = |code: &str| tally.refused.get(code).copied().unwrap_or(0);
    assert!(refusals("fence-unanswered") > 0 && refusals("fence-behind") > 0, "{tally:?}");
    println!("seed {seed}: {histories} histories, {tally:?}");
}
