//! Light equals full: whoever opens a bundle reaches the same facts as whoever replayed everything, whatever a
//! publisher signs, or is refused the bundle.
//!
//! Publishers here sign entries over another state than their own, leaves that are no entries or of a later version, two
//! histories, and withhold bodies; witnesses and views come in part. Then the bundle itself is bent.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;
use standfast_protocol::bundle::Bundle;
use standfast_protocol::credential::contexts::Contexts;
use standfast_protocol::policy::Policy;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::register::state::Stand;
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::status::native::StatusList;
use standfast_protocol::time::Time;
use standfast_protocol::verdict::{Code, Outcome, Verdict};
use standfast_protocol::verify::verify;
use standfast_tests::dice::Dice;
use standfast_tests::world::{Draft, LICENCE, LIST, NOW, Piece, WITNESSES, World, entry, issuing_key, status};

const SEED: u64 = 20_261_122;
/// Worlds without `STANDFAST_SOAK`, and with it.
const WORLDS: [u64; 2] = [40, 2_000];
/// Bytes bent in each bundle.
const BENT: usize = 6;
const AGENCIES: [&str; 3] = ["interior", "ministry", "transport"];

#[derive(Default, Debug)]
struct Tally {
    accepted: usize,
    rejected: usize,
    indeterminate: usize,
    forked: usize,
    frozen: usize,
    without_body: usize,
    bent_refused: usize,
    bent_opened: usize,
}

fn list(dice: &mut Dice) -> Vec<u8> {
    let length = if dice.once_in(5) { 64 } else { 1024 };
    let set: Vec<(u64, u8)> = (0..dice.below(3)).map(|_| (6 + dice.below(4) as u64, 1)).collect();
    let purpose = if dice.once_in(6) { "suspension" } else { "revocation" };
    StatusList::new(LIST, purpose, 1, length).expect("a list").edited(length, &set).expect("a list").encode()
}

/// One thing that an agency publishes, honest or not, on its newest ground or an earlier one.
fn publish(world: &mut World, dice: &mut Dice) {
    let name = dice.pick(&AGENCIES).to_owned();
    let newest = world.agencies[name.as_str()].grounds.len() - 1;
    let ground = if dice.once_in(3) { dice.below(newest + 1) } else { newest };
    let held = |world: &World, key: &RecordKey| {
        world.agencies[name.as_str()].grounds[ground].state.contains(key.as_str().as_bytes())
    };
    let mut edit = match name.as_str() {
        "transport" if dice.once_in(3) => world.document("transport"),
        "transport" => (status(LIST), Some(list(dice))),
        "ministry" => {
            let until = NOW + 50 + dice.below(2) as u64 * 86_400;
            world.issue_until("transport", LICENCE, until, dice.pick(&["", r#","status":"required""#]))
        }
        _ => world.recognize("ministry", dice.pick(&["*", LICENCE, "https://gov.example/Other"])),
    };
    if dice.once_in(4) && held(world, &edit.0) {
        edit.1 = None;
    }
    match dice.below(8) {
        0 => {
            // Over another state than its own.
            let agency = world.agencies.get_mut(name.as_str()).expect("an agency");
            let mut wrong = agency.grounds[ground].clone();
            wrong.state = Default::default();
            agency.grounds.push(wrong);
            if edit.1.is_some() {
                world.publish_on(&name, newest + 1, vec![edit]);
            }
            world.agencies.get_mut(name.as_str()).expect("an agency").grounds.truncate(newest + 1);
        }
        1 => {
            let garbage: [&[u8]; 4] = [b"no entry", b"", &[0xa4, 0, 1], &[0xa1, 0, 2]];
            let leaf = Bytes::from_static(garbage[dice.below(garbage.len())]);
            // Alone, or behind an entry that is valid and counts.
            let valid = edit.1.is_some().then(|| world.prepare_on(&name, ground, vec![edit]));
            let leaves = valid.into_iter().filter(|_| dice.once_in(2)).chain([leaf]);
            let leaves = leaves.collect();
            world.publish_leaves(&name, ground, leaves);
        }
        _ if ground == newest => world.publish(&name, vec![edit]),
        _ => drop(world.publish_on(&name, ground, vec![edit])),
    }
    let some: Vec<&str> = WITNESSES.into_iter().filter(|_| !dice.once_in(3)).collect();
    if dice.once_in(2) {
        world.witness(&name, NOW + dice.below(40) as u64, &some);
    }
}

fn world(dice: &mut Dice) -> World {
    let mut world = World::new();
    for _ in 0..=dice.below(4) {
        publish(&mut world, dice);
    }
    world.view(NOW + 41, &WITNESSES, if dice.once_in(2) { &["transport"] } else { &[] });
    let withheld = dice.below(world.pieces.len() * 2);
    if withheld < world.pieces.len() && !matches!(world.pieces[withheld], Piece::Head(..)) {
        world.pieces.remove(withheld);
    }
    world
}

/// What both are asked: good, revoked, another key, another type, and beyond the list.
fn panel() -> Vec<Vec<u8>> {
    let with = |index| Draft { status: Some(entry(LIST, index)), ..Draft::default() };
    let other = issuing_key("harbour");
    let forged = with(7).issue_by(&other, "did:web:transport.example", "k1", &Contexts::builtin());
    let extra = Draft { types: vec![LICENCE.to_owned(), "https://gov.example/X".to_owned()], ..with(7) };
    vec![
        with(7).issue(),
        with(9).issue(),
        forged,
        extra.issue(),
        with(500).issue(),
        Draft { status: None, ..with(7) }.issue(),
    ]
}

fn verdicts(snapshot: &Arc<Snapshot>, panel: &[Vec<u8>]) -> Vec<Verdict> {
    let policy = Policy::built_in("standard").expect("built in");
    let times = [NOW + 60, NOW + 26 * 3_600];
    let each = |bytes: &Vec<u8>| times.map(|now| verify(bytes, snapshot, &policy, Time::from_secs_saturating(now)));
    panel.iter().flat_map(each).collect()
}

/// A verdict without its words: whoever replayed everything also holds registers that no edge names any more, and says so.
fn shown(verdict: &Verdict) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.remove("reason");
                members.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(verdict).expect("JSON");
    strip(&mut value);
    value
}

/// Everything that facts rest on, of each register.
fn registers(snapshot: &Snapshot) -> Vec<(String, [u64; 4], bool, bool)> {
    let bound =
        snapshot.replica().bound().keys().filter_map(|origin| snapshot.held(origin)).map(|held| held.register());
    let told = bound.filter(|r| r.newest_head().is_some() || r.frozen().is_some());
    let sizes = |r: &standfast_protocol::register::state::Register| {
        // A branch none of whose entries is valid says nothing, and travels nowhere.
        let point = r.fork_point().filter(|point| *point < r.size_other());
        let other = point.map_or(0, |_| r.size_other());
        [r.size_newest(), r.size_witnessed(), other, point.unwrap_or(u64::MAX)]
    };
    told.map(|r| (r.origin().to_owned(), sizes(r), r.is_forked(), r.frozen().is_some() && !r.is_forked())).collect()
}

/// True when W fell back to what two witnessed branches have in common.
fn has_two_quorums(snapshot: &Snapshot) -> bool {
    let mut bound = snapshot.replica().bound().keys().filter_map(|origin| snapshot.held(origin));
    bound.any(|held| held.register().stand_other_witnessed().is_some())
}

/// The checkpoints of each register, on either branch, with the witnesses that stand there.
fn stands(snapshot: &Snapshot) -> Vec<String> {
    let mut shown = Vec::new();
    for held in snapshot.replica().bound().keys().filter_map(|origin| snapshot.held(origin)) {
        let register = held.register();
        let at = |stand: &Stand| {
            let names: Vec<_> = stand.cosignatures().map(|c| format!("{}@{}", c.witness(), c.time() - NOW)).collect();
            format!("{} {:.6} by {}", stand.head().checkpoint().size, stand.head().checkpoint().root, names.join(" "))
        };
        shown.extend(register.stands_from(0).map(|stand| format!("{} main {}", register.origin(), at(stand))));
        let entries = register.entries(0, register.size_newest()).chain(register.entries_other());
        shown.push(format!("{:?}", entries.map(|entry| entry.leaf_hash()).collect::<Vec<_>>()));
        let frozen = register.frozen().map(|f| (f.head.checkpoint().clone(), f.number, f.entry.clone(), f.rest.len()));
        shown.push(format!("frozen {frozen:?} w {}", register.size_witnessed()));
        shown.extend(register.stands_other().map(|stand| format!("{} other {}", register.origin(), at(stand))));
    }
    shown
}

fn check(seed: u64, panel: &[Vec<u8>], tally: &mut Tally) {
    let mut dice = Dice::of(seed);
    let full = world(&mut dice).snapshot();
    let bytes = Bundle::of(full.replica()).encode();
    let (opened, _) =
        Bundle::decode(&bytes).expect("it reads").open(NOW).unwrap_or_else(|e| panic!("seed {seed}: {e:?}"));
    let light = Snapshot::new(opened);
    assert_eq!(registers(&light), registers(&full), "seed {seed}");
    let again = Bundle::of(light.replica()).encode();
    // A checkpoint that W went past before a second quorum brought it back may be forgotten: nothing rests on it.
    let same = stands(&light) == stands(&full) || has_two_quorums(&full);
    assert!(same, "seed {seed}: {:#?}\n{:#?}", stands(&light), stands(&full));
    assert!(again == bytes || has_two_quorums(&full), "seed {seed}: what is opened packs to the same bytes");
    let (ours, theirs) = (verdicts(&full, panel), verdicts(&light, panel));
    for (at, (full, light)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(shown(full), shown(light), "seed {seed}, verdict {at}");
        match full.outcome() {
            Outcome::Accepted => tally.accepted += 1,
            Outcome::Rejected => tally.rejected += 1,
            Outcome::Indeterminate => tally.indeterminate += 1,
        }
    }
    let held = registers(&full);
    tally.forked += usize::from(held.iter().any(|(.., forked, _)| *forked));
    tally.frozen += usize::from(held.iter().any(|(.., frozen)| *frozen));
    tally.without_body += usize::from(!full.replica().bodies_missing().is_empty());
    for _ in 0..BENT {
        let mut bent = bytes.clone();
        let at = dice.below(bent.len());
        bent[at] ^= 1 << dice.below(8);
        match Bundle::decode(&bent).and_then(|bundle| bundle.open(NOW)) {
            Err(_) => tally.bent_refused += 1,
            // A key id that nobody knows: that statement counts for nothing.
            Ok((replica, _)) => {
                tally.bent_opened += 1;
                for (place, (full, light)) in ours.iter().zip(verdicts(&Snapshot::new(replica), panel)).enumerate() {
                    let lied = light.outcome() == Outcome::Accepted && full.outcome() != Outcome::Accepted;
                    assert!(!lied, "seed {seed}, verdict {place}, byte {at} bent: {:?} became accepted", full.code());
                    let denied = light.code() == Some(Code::SignatureMismatch) && full.code() != light.code();
                    assert!(!denied, "seed {seed}, verdict {place}, byte {at} bent");
                }
            }
        }
    }
}

#[test]
fn a_bundle_gives_the_facts_of_a_replay_whatever_is_published() {
    let (seed, _) = Dice::seeded(SEED);
    let full = std::env::var_os("STANDFAST_SOAK").is_some();
    let count = WORLDS[usize::from(full)];
    let (panel, mut tally, began) = (panel(), Tally::default(), Instant::now());
    for at in 0..count {
        check(seed.wrapping_add(at), &panel, &mut tally);
    }
    let least = usize::try_from(count).expect("a count") / 20;
    let Tally { accepted, rejected, indeterminate, forked, frozen, without_body, bent_refused, .. } = &tally;
    for some in [accepted, rejected, indeterminate, forked, frozen, without_body, bent_refused] {
        assert!(*some > least, "{tally:?} of {count} worlds");
    }
    let line = format!("seed {seed}, {count} worlds: {tally:?}, {:.1} s\n", began.elapsed().as_secs_f32());
    let _ = std::io::stderr().write_all(line.as_bytes());
}
