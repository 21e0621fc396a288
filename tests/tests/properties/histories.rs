//! No honest history gives a fork proof, and each dishonest branch of one does.
//!
//! ```text
//! STANDFAST_SEED=7 cargo test --release --workspace histories     # from that seed on
//! STANDFAST_SOAK=1 cargo test --release --workspace histories     # 100,000 histories
//! ```
//!
//! A history: two machines of one publisher draft in batches, are killed, restored from old copies, and sign through
//! one ledger; keys rotate; some checkpoints never leave. Three holders get heads late, twice, out of order, from any
//! entry on and from each other, learn of new keys at their own time, restart from what they wrote down, and cosign.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use standfast_protocol::key::{Algorithm, SecretKey, VerifierKey, origin_of};
use standfast_protocol::limits;
use standfast_protocol::log::checkpoint::{Checkpoint, SignedHead};
use standfast_protocol::log::cosignature::{self, Cosignature};
use standfast_protocol::log::note::{self, Note, SignatureLine};
use standfast_protocol::log::policy::Quorum;
use standfast_protocol::register::admission::Admission;
use standfast_protocol::register::draft::Ground;
use standfast_protocol::register::entry::Change;
use standfast_protocol::register::fork::{ForkKind, ForkProof};
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::register::state::{Register, Witnessing};
use standfast_protocol::time::Time;
use standfast_tests::dice::Dice;

const SEED: u64 = 20_261_121;
/// Histories without `STANDFAST_SOAK`, and with it.
const HISTORIES: [u64; 2] = [1_500, 100_000];
/// Holders of the register; each cosigns as the witness of its number.
const HOLDERS: usize = 3;
/// Which keys are bound, step by step: one is added, and signs too, before another is removed.
const KEY_SETS: [&[usize]; 5] = [&[0], &[0, 1], &[1], &[1, 2], &[2]];

/// What all histories share: making keys is dear.
struct Cast {
    origin: String,
    keys: Vec<(SecretKey, VerifierKey)>,
    witnesses: Vec<(String, SecretKey, VerifierKey)>,
    witnessing: Arc<Witnessing>,
}

impl Cast {
    fn new() -> Self {
        let secret = |seed| SecretKey::from_seed(&[seed; 32]);
        let origin = origin_of("a.example/register", &secret(1).public());
        let key =
            |seed| (secret(seed), VerifierKey::new(&origin, Algorithm::Note, secret(seed).public()).expect("a name"));
        let keys = vec![key(1), key(2), key(3)];
        let witness = |at: u8| {
            let (name, secret) = (format!("w{at}"), secret(10 + at));
            let key = VerifierKey::new("w.example", Algorithm::Cosignature, secret.public()).expect("a name");
            (name, secret, key)
        };
        let witnesses: Vec<_> = (0..HOLDERS as u8).map(witness).collect();
        let lines: String = witnesses.iter().map(|(name, _, key)| format!("witness {name} {key}\n")).collect();
        let quorum = Quorum::parse(&format!("{lines}group g 2 w0 w1 w2\nquorum g\n")).expect("a policy");
        let admitting = witnesses.iter().map(|(name, ..)| name.clone()).collect();
        Self { origin, keys, witnesses, witnessing: Arc::new(Witnessing { quorum, admitting, change: None }) }
    }

    fn bound(&self, set: usize) -> Vec<VerifierKey> {
        KEY_SETS[set].iter().map(|at| self.keys[*at].1.clone()).collect()
    }

    fn lines(&self, checkpoint: &Checkpoint, set: usize) -> Vec<SignatureLine> {
        let text = checkpoint.text();
        KEY_SETS[set].iter().map(|at| note::sign(&text, &self.keys[*at].1, &self.keys[*at].0)).collect()
    }
}

/// A signed checkpoint with every entry below it.
struct Issue {
    checkpoint: Checkpoint,
    lines: Vec<SignatureLine>,
    entries: Arc<Vec<Bytes>>,
    ground: Ground,
    /// By the set of keys bound: the head, if one of them has signed.
    heads: [Option<Option<SignedHead>>; KEY_SETS.len()],
}

impl Issue {
    fn new(cast: &Cast, ground: Ground, entries: Vec<Bytes>, set: usize) -> Self {
        let checkpoint = Checkpoint { origin: cast.origin.clone(), size: ground.edge.size(), root: ground.edge.root() };
        let lines = cast.lines(&checkpoint, set);
        Self { checkpoint, lines, entries: Arc::new(entries), ground, heads: Default::default() }
    }

    fn head(&mut self, cast: &Cast, set: usize) -> Option<SignedHead> {
        let made = self.heads[set].get_or_insert_with(|| {
            let note = Note::new(self.checkpoint.text(), self.lines.clone());
            SignedHead::authenticate(note, &cast.origin, &cast.bound(set)).ok()
        });
        made.clone()
    }
}

/// One of the publisher's two machines: what it has drafted since the checkpoint that it takes for the newest.
struct Machine {
    base: usize,
    ground: Ground,
    drafted: Vec<Bytes>,
}

/// What the ledger records of every signature, before it leaves.
struct Publisher<'a> {
    cast: &'a Cast,
    /// Ascending by size; the first is of the empty log, and is never given to anybody.
    ledger: Vec<Issue>,
    machines: [Machine; 2],
    set: usize,
}

/// How much happened.
#[derive(Default)]
struct Tally {
    heads: AtomicU64,
    offers: AtomicU64,
    refused: AtomicU64,
    restores: AtomicU64,
    rotations: AtomicU64,
    restarts: AtomicU64,
    quorums: AtomicU64,
    equal: AtomicU64,
    consistency: AtomicU64,
    largest: AtomicU64,
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn draft(ground: &Ground, dice: &mut Dice, mark: &str) -> (Ground, Bytes) {
    let mut changes: BTreeMap<String, Change> = BTreeMap::new();
    for _ in 0..=dice.below(2) {
        let key = RecordKey::notice(&dice.below(6).to_string()).expect("a key");
        let held = ground.state.contains(key.as_str().as_bytes());
        let digest = (!held || !dice.once_in(4)).then(|| dice.digest());
        changes.insert(key.as_str().to_owned(), Change { key, digest });
    }
    let key = RecordKey::notice(mark).expect("a key");
    changes.insert(key.as_str().to_owned(), Change { key, digest: Some(dice.digest()) });
    let prepared = ground.prepare(Time::from_secs_saturating(5), changes.into_values().collect()).expect("valid");
    (prepared.ground().clone(), prepared.entries()[0].bytes().clone())
}

impl<'a> Publisher<'a> {
    fn new(cast: &'a Cast) -> Self {
        let empty = || Ground::empty(&cast.origin);
        let machine = || Machine { base: 0, ground: empty(), drafted: Vec::new() };
        let ledger = vec![Issue::new(cast, empty(), Vec::new(), 0)];
        Self { cast, ledger, machines: [machine(), machine()], set: 0 }
    }

    fn newest(&self) -> usize {
        self.ledger.len() - 1
    }

    /// Signs as the ledger allows (`specs/register.md` §9); a machine that is behind is refused, and begins anew.
    fn sign(&mut self, at: usize, tally: &Tally) {
        let newest = self.newest();
        let machine = &mut self.machines[at];
        if machine.drafted.is_empty() {
            return;
        }
        let continues = machine.base == newest;
        if continues {
            let mut entries = self.ledger[newest].entries.to_vec();
            entries.append(&mut machine.drafted);
            self.ledger.push(Issue::new(self.cast, machine.ground.clone(), entries, self.set));
            add(&tally.heads);
        } else {
            machine.drafted.clear();
            machine.ground = self.ledger[newest].ground.clone();
            add(&tally.refused);
        }
        machine.base = self.ledger.len() - 1;
    }

    fn step(&mut self, dice: &mut Dice, tally: &Tally) {
        let at = dice.below(2);
        match dice.below(12) {
            // Several entries can come to stand under one checkpoint.
            0..=4 => {
                let machine = &mut self.machines[at];
                let (ground, entry) = draft(&machine.ground, dice, "batch");
                machine.ground = ground;
                machine.drafted.push(entry);
            }
            5..=8 => self.sign(at, tally),
            9 => {
                // Killed: drafts that were not written down are lost.
                let (base, ground) = (self.machines[at].base, self.ledger[self.machines[at].base].ground.clone());
                self.machines[at] = Machine { base, ground, drafted: Vec::new() };
            }
            10 => {
                // Restored from an old copy of the machine, beside a ledger that is not old.
                let base = dice.below(self.ledger.len());
                self.machines[at] = Machine { base, ground: self.ledger[base].ground.clone(), drafted: Vec::new() };
                add(&tally.restores);
            }
            _ => {
                if self.set + 1 < KEY_SETS.len() && self.newest() > 0 {
                    self.set += 1;
                    // The same checkpoint is signed again, so that it counts under the keys of now.
                    let newest = self.newest();
                    let issue = &mut self.ledger[newest];
                    let lines = self.cast.lines(&issue.checkpoint, self.set);
                    issue
                        .lines
                        .extend(lines.into_iter().filter(|line| !issue.lines.contains(line)).collect::<Vec<_>>());
                    issue.heads = Default::default();
                    add(&tally.rotations);
                }
            }
        }
    }
}

/// Something that a holder wrote down.
#[derive(Clone)]
enum Written {
    Head(SignedHead, u64, Vec<Bytes>),
    Cosignature(Cosignature),
    Keys(usize),
}

struct Holder {
    register: Register,
    set: usize,
    journal: Vec<Written>,
    promised: u64,
}

impl Holder {
    fn new(cast: &Cast) -> Self {
        let register = Register::new(&cast.origin, &cast.bound(0), cast.witnessing.clone());
        Self { register, set: 0, journal: Vec::new(), promised: 0 }
    }

    /// Offers a head with the entries from `first` on.
    fn offer(&mut self, cast: &Cast, issue: &mut Issue, first: u64, tally: &Tally) -> Option<Admission> {
        let head = issue.head(cast, self.set)?;
        let from = usize::try_from(first).expect("small").min(issue.entries.len());
        let entries = issue.entries[from..].to_vec();
        add(&tally.offers);
        let before = self.register.size_witnessed();
        let admission = self.register.admit(head.clone(), Vec::new(), from as u64, &entries);
        assert!(self.register.size_witnessed() >= before || self.register.is_forked(), "W moved back");
        if matches!(admission, Admission::Advanced | Admission::Known | Admission::Older | Admission::Fork) {
            self.journal.push(Written::Head(head, from as u64, entries));
        }
        Some(admission)
    }

    fn bind(&mut self, cast: &Cast, set: usize) {
        self.set = set;
        self.register.bind(&cast.bound(set));
        self.journal.push(Written::Keys(set));
    }

    fn restart(&mut self, cast: &Cast) {
        let sizes = |r: &Register| (r.size_newest(), r.size_witnessed(), r.size_other(), r.is_forked());
        let before = sizes(&self.register);
        self.register = Register::new(&cast.origin, &cast.bound(0), cast.witnessing.clone());
        for written in &self.journal {
            match written.clone() {
                Written::Head(head, first, entries) => drop(self.register.admit(head, Vec::new(), first, &entries)),
                Written::Cosignature(cosignature) => drop(self.register.add_cosignature(cosignature)),
                Written::Keys(set) => self.register.bind(&cast.bound(set)),
            }
        }
        assert_eq!(sizes(&self.register), before, "a restart gives the same register");
    }

    fn cosign(&mut self, cast: &Cast, at: usize) -> Option<Cosignature> {
        let head = self.register.newest_head()?.checkpoint().clone();
        if head.size <= self.promised || self.register.is_forked() {
            return None;
        }
        self.promised = head.size;
        let (name, secret, key) = &cast.witnesses[at];
        let line = cosignature::sign(&head.text(), 100 + head.size, key, secret);
        Cosignature::verify(&head, &line, name, key).ok()
    }

    fn learn(&mut self, cosignature: &Cosignature, tally: &Tally) {
        let before = self.register.size_witnessed();
        if self.register.add_cosignature(cosignature.clone()) {
            self.journal.push(Written::Cosignature(cosignature.clone()));
        }
        if self.register.size_witnessed() > before {
            add(&tally.quorums);
        }
    }
}

/// One history; panics with what went wrong.
struct History<'a> {
    cast: &'a Cast,
    dice: Dice,
    tally: &'a Tally,
    publisher: Publisher<'a>,
    holders: Vec<Holder>,
    cosignatures: Vec<Cosignature>,
}

impl<'a> History<'a> {
    fn new(cast: &'a Cast, seed: u64, tally: &'a Tally) -> Self {
        let holders = (0..HOLDERS).map(|_| Holder::new(cast)).collect();
        let publisher = Publisher::new(cast);
        Self { cast, dice: Dice::of(seed), tally, publisher, holders, cosignatures: Vec::new() }
    }

    /// From which entry on a carrier sends: what fits, everything, or something between.
    fn first(&mut self, at: usize, size: u64) -> u64 {
        let newest = self.holders[at].register.size_newest().min(size);
        match self.dice.below(3) {
            0 => 0,
            1 => newest,
            _ => self.dice.below(usize::try_from(newest).expect("small") + 1) as u64,
        }
    }

    fn deliver(&mut self, at: usize, issue: usize) {
        let size = self.publisher.ledger[issue].checkpoint.size;
        let first = self.first(at, size);
        let holder = &mut self.holders[at];
        let admission = holder.offer(self.cast, &mut self.publisher.ledger[issue], first, self.tally);
        let honest = matches!(admission, None | Some(Admission::Advanced | Admission::Known | Admission::Older));
        assert!(honest, "an honest head of size {size} from {first} on was {admission:?}");
    }

    fn step(&mut self) {
        let at = self.dice.below(HOLDERS);
        let newest = self.publisher.newest();
        match self.dice.below(15) {
            0..=5 => self.publisher.step(&mut self.dice, self.tally),
            6..=8 if newest > 0 => {
                let issue = 1 + self.dice.below(newest);
                self.deliver(at, issue);
            }
            9 => {
                let set = (self.holders[at].set + 1).min(self.publisher.set);
                self.holders[at].bind(self.cast, set);
            }
            10 | 14 => {
                if let Some(cosignature) = self.holders[at].cosign(self.cast, at) {
                    self.cosignatures.push(cosignature);
                }
            }
            11 => {
                for cosignature in self.cosignatures.iter().filter(|_| !self.dice.once_in(3)) {
                    self.holders[at].learn(cosignature, self.tally);
                }
            }
            12 => {
                // From another holder, who has it as it was signed.
                let from = (at + 1) % HOLDERS;
                let size = self.holders[from].register.size_newest();
                let issue = self.publisher.ledger.iter().position(|issue| issue.checkpoint.size == size);
                if let Some(issue) = issue.filter(|issue| *issue > 0) {
                    self.deliver(at, issue);
                }
            }
            13 => {
                self.holders[at].restart(self.cast);
                add(&self.tally.restarts);
            }
            _ => {}
        }
    }

    /// Lives through an honest history: in the end all hold all of it, and nobody a proof.
    fn live(&mut self) {
        let steps = 30 + self.dice.below(30);
        for _ in 0..steps {
            self.step();
        }
        // At least two checkpoints, so that one can be betrayed.
        while self.publisher.newest() < 2 {
            let (ground, entry) = draft(&self.publisher.machines[0].ground, &mut self.dice, "last");
            let machine = &mut self.publisher.machines[0];
            (machine.ground, machine.drafted) = (ground, [std::mem::take(&mut machine.drafted), vec![entry]].concat());
            self.publisher.sign(0, self.tally);
        }
        for holder in &self.holders {
            assert!(
                !holder.register.is_forked() && holder.register.frozen().is_none(),
                "an honest history has no proof"
            );
        }
    }

    fn bind_all(&mut self) {
        let set = self.publisher.set;
        self.holders.iter_mut().for_each(|holder| holder.bind(self.cast, set));
    }

    fn end_honestly(&mut self) {
        self.bind_all();
        let newest = self.publisher.newest();
        for at in 0..HOLDERS {
            self.deliver(at, newest);
            let register = &self.holders[at].register;
            let checkpoint = &self.publisher.ledger[newest].checkpoint;
            assert_eq!(register.size_newest(), checkpoint.size);
            assert_eq!(register.root_at(checkpoint.size), Some(checkpoint.root));
            assert!(!register.is_forked());
        }
    }

    /// Signs a branch of the history so far, beside the ledger, and lets it loose among the holders.
    fn betray(&mut self) {
        self.bind_all();
        let newest = self.publisher.newest();
        let from = self.dice.below(newest);
        let mut ground = self.publisher.ledger[from].ground.clone();
        let mut entries = self.publisher.ledger[from].entries.to_vec();
        let mut branch = Vec::new();
        for _ in 0..=self.dice.below(2) {
            for _ in 0..=self.dice.below(3) {
                let (next, entry) = draft(&ground, &mut self.dice, "theft");
                (ground, entries) = (next, [entries, vec![entry]].concat());
            }
            branch.push(Issue::new(self.cast, ground.clone(), entries.clone(), self.publisher.set));
        }
        // In any order, also among honest heads, and from the fork point or anywhere before it on.
        let common = self.publisher.ledger[from].entries.len();
        for _ in 0..self.dice.below(8) {
            let at = self.dice.below(HOLDERS);
            if self.dice.once_in(2) {
                let which = self.dice.below(branch.len());
                let first = self.dice.below(common + 1) as u64;
                self.holders[at].offer(self.cast, &mut branch[which], first, self.tally);
            } else {
                let which = 1 + self.dice.below(newest);
                self.holders[at].offer(self.cast, &mut self.publisher.ledger[which], 0, self.tally);
            }
            if self.dice.once_in(4) {
                self.holders[at].restart(self.cast);
            }
        }
        for at in 0..HOLDERS {
            // Whatever of both came before, in the end each has seen a head of either.
            let which = self.dice.below(branch.len());
            self.holders[at].offer(self.cast, &mut branch[which], 0, self.tally);
            self.holders[at].offer(self.cast, &mut self.publisher.ledger[newest], 0, self.tally);
            // What was held was by a key that no longer counts, perhaps: now it is not.
            self.holders[at].offer(self.cast, &mut branch[which], 0, self.tally);
            self.holders[at].restart(self.cast);
            let proof =
                self.holders[at].register.fork_proof().expect("a dishonest branch gives a proof").as_ref().clone();
            self.check(&proof);
        }
    }

    fn check(&self, proof: &ForkProof) {
        let keys = self.cast.bound(self.publisher.set);
        let kind = proof.check(&self.cast.origin, &keys).expect("the proof holds for anybody");
        add(match kind {
            ForkKind::EqualSize => &self.tally.equal,
            ForkKind::Consistency => &self.tally.consistency,
        });
        let bytes = proof.encode();
        assert!(bytes.len() <= limits::FORK_PROOF_SIZE_MAX);
        self.tally.largest.fetch_max(bytes.len() as u64, Ordering::Relaxed);
        assert_eq!(ForkProof::parse(&bytes).as_ref(), Ok(proof));
        // Whoever holds nothing of the register takes it by itself.
        let mut fresh = Register::new(&self.cast.origin, &keys, self.cast.witnessing.clone());
        assert_eq!(fresh.add_fork_proof(proof.clone()), Ok(true));
    }
}

#[test]
fn honest_histories_give_no_fork_proof_and_each_dishonest_branch_gives_one() {
    let (seed, _) = Dice::seeded(SEED);
    let full = std::env::var_os("STANDFAST_SOAK").is_some();
    let count = HISTORIES[usize::from(full)];
    let (cast, tally, next, began) = (Cast::new(), Tally::default(), AtomicU64::new(0), Instant::now());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= count {
                    return;
                }
                let one = seed.wrapping_add(at);
                let run = || {
                    let mut history = History::new(&cast, one, &tally);
                    history.live();
                    history.end_honestly();
                    let mut history = History::new(&cast, one, &tally);
                    history.live();
                    history.betray();
                };
                if std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err() {
                    panic!("history of seed {one}: STANDFAST_SEED={one} shows it first");
                }
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().for_each(|worker| worker.join().expect("every history holds"));
    });
    let n = |count: &AtomicU64| count.load(Ordering::Relaxed);
    assert_eq!(n(&tally.equal) + n(&tally.consistency), count * HOLDERS as u64);
    for (what, some) in
        [("equal", n(&tally.equal)), ("consistency", n(&tally.consistency)), ("refused", n(&tally.refused))]
    {
        assert!(some > count / 10, "only {some} {what} of {count}");
    }
    for (what, some) in [("rotations", &tally.rotations), ("restarts", &tally.restarts), ("quorums", &tally.quorums)] {
        assert!(n(some) > count / 10, "only {} {what} of {count}", n(some));
    }
    let line = format!(
        "seed {seed}, {count} histories twice: {} heads signed, {} refused by the ledger, {} old copies, {} rotations, \
         {} offers, {} restarts, {} quorums: no proof; then {count} dishonest branches before {HOLDERS} holders: {} \
         proofs of one size, {} of two, at most {} bytes; {:.1} s\n",
        n(&tally.heads),
        n(&tally.refused),
        n(&tally.restores),
        n(&tally.rotations),
        n(&tally.offers),
        n(&tally.restarts),
        n(&tally.quorums),
        n(&tally.equal),
        n(&tally.consistency),
        n(&tally.largest),
        began.elapsed().as_secs_f32()
    );
    let _ = std::io::stderr().write_all(line.as_bytes());
}
