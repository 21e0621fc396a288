//! The model as an oracle: vectors of a seed that nobody has seen, and monotone safety over their registers.
//!
//! ```text
//! STANDFAST_SEED=7 cargo test --release --workspace fresh     # that seed again
//! STANDFAST_SOAK=50 cargo test --release --workspace fresh    # fifty seeds, each from the one before
//! ```
//!
//! Monotone safety: with the held entries fixed, removing a body, a cosignature (a double quorum of a fork excepted), a
//! statement or an edge, adding an unwitnessed entry, or replaying older heads never makes another outcome granted; and
//! removing a body never makes one withdrawn.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;
use standfast_protocol::digest::Digest;
use standfast_protocol::freshness::{self, Statement};
use standfast_protocol::key::{Algorithm, SecretKey, VerifierKey, origin_of};
use standfast_protocol::log::note;
use standfast_protocol::register::body::Bodies;
use standfast_protocol::register::draft::Ground;
use standfast_protocol::register::entry::{Change, Entry};
use standfast_protocol::register::query::Recovery;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::register::state::Register;
use standfast_protocol::time::Time;
use standfast_tests::dice::Dice;
use standfast_tests::interop::python;
use standfast_tests::skip::unless_missing;
use standfast_tests::vectors::{self, list, number, text};
use tempfile::tempdir;

use super::freshness::Network;
use super::{entries, forks, log, notes, policies, registers, trie, trust};

/// The variable that says how many seeds are tried.
const SOAK_VARIABLE: &str = "STANDFAST_SOAK";
/// How many are tried without it.
const SEEDS: u64 = 2;
/// Entries added to each register of random cases, one after the other.
const ENTRIES_ADDED: usize = 6;

#[test]
fn fresh_vectors_and_monotone_safety() {
    let Some(model) = vectors::model_folder() else { return };
    let Some(python) = unless_missing(python()) else { return };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970");
    let (mut seed, mut dice) = Dice::seeded(u64::from(now.subsec_nanos()) << 20 ^ now.as_secs());
    let rounds: u64 = std::env::var(SOAK_VARIABLE).map_or(SEEDS, |count| count.parse().expect("a number of seeds"));
    for _ in 0..rounds {
        let scratch = tempdir().expect("a scratch folder");
        let folder = scratch.path().join(format!("seed-{seed}"));
        python.make_vectors(&model, seed, &folder);
        // Before the checks, and past the test runner: a failure must name its seed.
        let _ = writeln!(std::io::stderr(), "model vectors of seed {seed}");
        check(&folder);
        let counts = Safety::read(&folder, seed).check(&mut dice);
        let _ = writeln!(std::io::stderr(), "seed {seed}: {counts}");
        seed = dice.roll();
    }
}

fn check(folder: &Path) {
    for check in [
        entries::check_all,
        trie::check_all,
        log::check_all,
        notes::check_all,
        policies::check_all,
        forks::check_all,
        registers::check_all,
        registers::check_light,
        super::freshness::check_all,
        trust::check_all,
    ] {
        check(folder);
    }
}

/// What a register answers to one query: outcome, reason, terms.
type Answer = (String, String, Value);

/// The files over which monotone safety is checked.
struct Safety {
    seed: u64,
    registers: Value,
    freshness: Value,
    trust: Value,
}

/// One register with what its facts are judged by.
struct Case<'a> {
    json: &'a Value,
    bodies: Bodies,
    old: Option<Register>,
}

impl Safety {
    fn read(folder: &Path, seed: u64) -> Self {
        let read = |file: &str| vectors::json(&folder.join(file));
        Self { seed, registers: read("registers.json"), freshness: read("freshness.json"), trust: read("trust.json") }
    }

    /// Returns how much was tried.
    fn check(&self, dice: &mut Dice) -> String {
        let all = registers::bodies(&self.registers);
        let pool = Pool::of(&all.iter().cloned().collect());
        let mut held: BTreeMap<&str, Register> = BTreeMap::new();
        let (mut bodies, mut cosignatures, mut added, mut replayed) = (0, 0, 0, 0);
        for json in list(&self.registers["cases"]) {
            let old = json.get("old").and_then(Value::as_str).map(|name| held[name].clone());
            let case = Case { json, bodies: registers::held(&all, json), old };
            bodies += case.without_bodies(dice);
            cosignatures += case.without_a_cosignature();
            added += case.with_unwitnessed_entries(self.seed, &pool, dice);
            replayed += case.with_older_heads();
            held.insert(text(&json["name"]), case.replay(list(&json["steps"])));
        }
        let statements = self.without_a_statement();
        let edges = self.without_an_edge();
        for (count, least) in
            [(bodies, 500), (cosignatures, 100), (added, 300), (replayed, 200), (statements, 100), (edges, 100)]
        {
            assert!(count >= least, "only {count} changes were tried where {least} were expected");
        }
        format!(
            "{bodies} bodies, {cosignatures} cosignatures, {statements} statements and {edges} edges removed; \
             {added} entries added, {replayed} heads replayed"
        )
    }

    /// No time grows when a statement is missing, at one clock.
    fn without_a_statement(&self) -> usize {
        let network = Network::read(&self.freshness);
        let mut tried = 0;
        for case in list(&self.freshness["cases"]) {
            let (quorum, said) = network.read_case(case);
            let said: Vec<Statement<'_>> = said.into_iter().map(|(_, said)| said).collect();
            let device = number(&case["device"]);
            let full = freshness::ages(&quorum, device, &said);
            for place in 0..said.len() {
                let mut fewer = said.clone();
                fewer.remove(place);
                let less = freshness::ages(&quorum, device, &fewer);
                for (full, less) in [
                    (full.bound, less.bound),
                    (full.witnessed, less.witnessed),
                    (full.published, less.published),
                    (full.charter, less.charter),
                ] {
                    assert!(less <= full, "{}: without statement {place} a time grows", case["name"]);
                }
                tried += 1;
            }
        }
        tried
    }

    /// Where there is no path, there is none with an entry less.
    fn without_an_edge(&self) -> usize {
        let mut tried = 0;
        for case in list(&self.trust["cases"]).iter().filter(|case| case.get("generate").is_none()) {
            if trust::search(case, case).is_ok() {
                continue;
            }
            for (origin, register) in case["registers"].as_object().expect("registers") {
                for place in 0..list(&register["entries"]).len() {
                    let mut fewer = case.clone();
                    fewer["registers"][origin]["entries"].as_array_mut().expect("entries").remove(place);
                    let found = trust::search(case, &fewer);
                    assert!(found.is_err(), "{}: without entry {place} of {origin} there is a path", case["name"]);
                    tried += 1;
                }
            }
        }
        tried
    }
}

impl Case<'_> {
    fn name(&self) -> &str {
        text(&self.json["name"])
    }

    fn replay(&self, steps: &[Value]) -> Register {
        let mut register = registers::start(self.json);
        steps.iter().for_each(|step| drop(registers::offer(&mut register, step)));
        register
    }

    fn whole(&self) -> Register {
        self.replay(list(&self.json["steps"]))
    }

    fn answers(&self, register: &Register, bodies: &Bodies) -> Vec<Answer> {
        let after = registers::after(self.json);
        let facts = list(&self.json["facts"]).iter();
        let recovery = || after.as_ref().map(|after| Recovery { after, old: self.old.as_ref() });
        facts.map(|fact| registers::ask(register, bodies, &fact["query"], recovery())).collect()
    }

    /// Removes each body that some version names, and a few random sets of them.
    fn without_bodies(&self, dice: &mut Dice) -> usize {
        let register = self.whole();
        let before = self.answers(&register, &self.bodies);
        let used: Vec<Digest> = used(&register).into_iter().filter(|digest| self.bodies.contains(digest)).collect();
        let mut sets: Vec<Vec<Digest>> = used.iter().map(|digest| vec![*digest]).collect();
        sets.extend((0..2).map(|_| used.iter().filter(|_| dice.once_in(2)).copied().collect()));
        for set in &sets {
            let mut bodies = self.bodies.clone();
            set.iter().for_each(|digest| bodies.remove(digest));
            let after = self.answers(&register, &bodies);
            self.compare(&before, &after, true, &format!("without the bodies {set:?}"));
        }
        sets.len()
    }

    /// Removes each cosignature. Where both branches of a fork have a quorum, W may leave their common checkpoint.
    fn without_a_cosignature(&self) -> usize {
        let register = self.whole();
        if has_double_quorum(&register) || register.witnessing().quorum.is_none() {
            return 0;
        }
        let before = self.answers(&register, &self.bodies);
        let steps = list(&self.json["steps"]);
        let mut tried = 0;
        for (place, step) in steps.iter().enumerate() {
            let lines: Vec<&str> = text(&step["note"]).split_inclusive('\n').collect();
            for line in lines.iter().filter(|line| line.contains("/witness ")) {
                let mut fewer = steps.to_vec();
                let note: String = lines.iter().filter(|other| *other != line).copied().collect();
                fewer[place]["note"] = note.into();
                let after = self.answers(&self.replay(&fewer), &self.bodies);
                self.compare(&before, &after, false, &format!("step {place} without {line}"));
                tried += 1;
            }
        }
        tried
    }

    /// Lets the register grow by entries that its own key signs and nobody witnesses.
    fn with_unwitnessed_entries(&self, seed: u64, pool: &Pool, dice: &mut Dice) -> usize {
        let mut register = self.whole();
        let signed = register.newest_head().map_or(0, |head| head.checkpoint().size);
        let Some(key) = OwnKey::of(seed, self.name(), &register) else { return 0 };
        if register.frozen().is_some() || signed != register.size_newest() {
            return 0; // nothing can follow
        }
        for number in 0..ENTRIES_ADDED {
            let before = self.answers(&register, &self.bodies);
            let change = pool.change(&register, dice);
            let shown = format!("after entry {number} that makes {} {:?}", change.key.as_str(), change.digest);
            key.extend(&mut register, change);
            self.compare(&before, &self.answers(&register, &self.bodies), false, &shown);
        }
        ENTRIES_ADDED
    }

    /// Offers everything once more.
    fn with_older_heads(&self) -> usize {
        let mut register = self.whole();
        let state = |register: &Register| {
            let sizes = (register.size_witnessed(), register.size_newest(), register.is_forked());
            (sizes, self.answers(register, &self.bodies))
        };
        let before = state(&register);
        let again = ["advanced", "known", "older", "fork"];
        let steps = list(&self.json["steps"]).iter().filter(|step| again.contains(&text(&step["outcome"])));
        let tried = steps.map(|step| registers::offer(&mut register, step)).count();
        assert_eq!(state(&register), before, "{}: after a replay", self.name());
        tried
    }

    #[track_caller]
    fn compare(&self, before: &[Answer], after: &[Answer], keeps_withdrawals: bool, what: &str) {
        for (place, (before, after)) in before.iter().zip(after).enumerate() {
            let shown = || format!("{}, fact {place}, {what}: {before:?} became {after:?}", self.name());
            assert!(before.0 == "granted" || after.0 != "granted", "{}", shown());
            assert!(!keeps_withdrawals || before.0 == "withdrawn" || after.0 != "withdrawn", "{}", shown());
            if before.0 == "granted" && after.0 == "granted" {
                assert!(is_within(&after.2, &before.2), "{}", shown());
            }
        }
    }
}

/// True when these terms grant nothing that the wider ones do not.
fn is_within(terms: &Value, wider: &Value) -> bool {
    let at = |value: &Value, name: &str, default| value.get(name).and_then(Value::as_u64).unwrap_or(default);
    let named = |value: &Value, path: &str| -> Option<BTreeSet<String>> {
        let names = value.pointer(path)?.as_array()?.iter();
        Some(names.map(|name| text(name).to_owned()).collect())
    };
    let subset = |path: &str| match (named(terms, path), named(wider, path)) {
        (Some(terms), Some(wider)) => wider.contains("*") || terms.is_subset(&wider),
        _ => true,
    };
    at(terms, "valid_from", 0) >= at(wider, "valid_from", 0)
        && at(terms, "valid_until", 0) <= at(wider, "valid_until", 0)
        && at(terms, "depth", 0) <= at(wider, "depth", 0)
        && ["/scope/actions", "/scope/resources", "/register/keys"].into_iter().all(subset)
}

/// The digests that any version held gives to any record.
fn used(register: &Register) -> BTreeSet<Digest> {
    let main = register.entries(0, register.size_newest());
    main.chain(register.entries_other()).flat_map(Entry::changes).filter_map(|change| change.digest).collect()
}

fn has_double_quorum(register: &Register) -> bool {
    let (point, rule) = (register.fork_point().unwrap_or(u64::MAX), register.witnessing());
    register.stands_other().filter(|stand| stand.head().checkpoint().size > point).any(|stand| {
        let stands = |name: &str| stand.cosignatures().any(|cosignature| cosignature.witness() == name);
        rule.quorum.met_by(|name| rule.admitting.contains(name) && stands(name))
    })
}

/// The key of a register of the model, which its seed and the name of the case give.
struct OwnKey {
    secret: SecretKey,
    key: VerifierKey,
}

impl OwnKey {
    /// Returns nothing for a register that another key signs.
    fn of(seed: u64, case: &str, register: &Register) -> Option<Self> {
        let label = case.replace("random-", "random");
        let secret = SecretKey::from_seed(Digest::of(format!("{seed}/register {label}").as_bytes()).as_bytes());
        let origin = origin_of(&format!("{label}.example/r"), &secret.public());
        let key = VerifierKey::new(&origin, Algorithm::Note, secret.public()).expect("a key name");
        (register.origin() == origin).then_some(Self { secret, key })
    }

    fn extend(&self, register: &mut Register, change: Change) {
        let origin = register.origin().to_owned();
        let edge = register.edge(register.size_newest()).expect("the edge at N");
        // A publisher that forked is not stopped from going on.
        let ground = Ground { origin, edge, state: register.state_newest().clone() };
        let time = Time::from_secs_saturating(1);
        let prepared = ground.prepare(time, vec![change]).expect("a valid entry");
        let line = note::sign(&prepared.text(), &self.key, &self.secret);
        let head = prepared.finalise(vec![line], register.keys()).expect("a head");
        let entries: Vec<_> = prepared.entries().iter().map(|entry| entry.bytes().clone()).collect();
        let admission = register.admit(head, Vec::new(), prepared.first(), &entries);
        assert_eq!(admission.code(), "advanced");
    }
}

/// Bodies for new versions, by the record that they fit.
struct Pool(Vec<(RecordKey, Vec<Digest>)>);

impl Pool {
    fn of(bodies: &Bodies) -> Self {
        let (did, peer) = ("did:web:a.example", "did:web:b.example");
        let kinds: [(RecordKey, &[u8]); 4] = [
            (RecordKey::did(did).expect("a key"), b"verificationMethod"),
            (RecordKey::trust(peer, "recognize", "*").expect("a key"), b"recognize"),
            (RecordKey::trust(peer, "issue", "L").expect("a key"), b"\"issue\",\"entity\""),
            (RecordKey::status("https://a.example/1").expect("a key"), b"a.example/1"),
        ];
        let fitting = |mark: &[u8]| -> Vec<Digest> {
            let holds = |body: &[u8]| body.windows(mark.len()).any(|part| part == mark);
            let found = bodies.iter().filter(|record| holds(record.body())).map(|record| record.digest());
            found.collect()
        };
        let pool = kinds.map(|(key, mark)| (key, fitting(mark)));
        pool.iter().for_each(|(key, fitting)| assert!(!fitting.is_empty(), "no body for {}", key.as_str()));
        Self(pool.into())
    }

    /// Makes one record another one: mostly by a body that fits, now and then by one of another kind or that nobody
    /// holds, or removes it.
    fn change(&self, register: &Register, dice: &mut Dice) -> Change {
        let (key, fitting) = &self.0[dice.below(self.0.len())];
        let present = register.state_newest().contains(key.as_str().as_bytes());
        let digest = match dice.below(8) {
            0 if present => None,
            1 => Some(dice.digest()),
            2 => {
                let (_, other) = &self.0[dice.below(self.0.len())];
                Some(other[dice.below(other.len())])
            }
            _ => Some(fitting[dice.below(fitting.len())]),
        };
        Change { key: key.clone(), digest }
    }
}
