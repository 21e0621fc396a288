//! Clocks that are wrong: devices by years, a witness, a quorum of witnesses. No rejection becomes an acceptance, and
//! nothing expires for good.
//!
//! ```text
//! bound B    the quorum time over each admitting witness's newest statement
//! device     judged as if its clock stood at max(device, B)
//! ```

use std::io::Write as _;
use std::sync::Arc;

use standfast_protocol::freshness::{self, Speaker, Statement};
use standfast_protocol::key::{Algorithm, SecretKey, VerifierKey};
use standfast_protocol::log::policy::Quorum;
use standfast_protocol::policy::Policy;
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::status::native::StatusList;
use standfast_protocol::time::Time;
use standfast_protocol::verdict::{Code, Outcome, Verdict};
use standfast_protocol::verify::verify;
use standfast_tests::dice::Dice;
use standfast_tests::world::{Draft, LICENCE, LIST, NOW, WITNESSES, World, status};

const DAY: u64 = 86_400;
const YEAR: u64 = 365 * DAY;
const ISSUERS: [&str; 3] = ["interior", "ministry", "transport"];
/// Worlds of one random test.
const WORLDS: usize = 60;
/// Policies of one.
const POLICIES: usize = 2000;

/// Says what is thrown, so that a failure can be repeated.
fn tell(seed: u64, cases: usize) {
    let _ = writeln!(std::io::stderr(), "seed {seed}: {cases} cases");
}

fn at(snapshot: &Arc<Snapshot>, bytes: &[u8], device: u64) -> Verdict {
    let policy = Policy::built_in("standard").expect("built in");
    verify(bytes, snapshot, &policy, Time::from_secs_saturating(device))
}

/// One way in which a credential or its permission may be wrong at [`NOW`], or in order.
fn flawed(dice: &mut Dice) -> (World, Vec<u8>) {
    let mut world = World::new();
    let mut draft = Draft::default();
    match dice.below(8) {
        0 => {
            let list = StatusList::new(LIST, "revocation", 1, 1024).expect("a list");
            let revoked = list.edited(1024, &[(7, 1)]).expect("a list").encode();
            world.publish("transport", vec![(status(LIST), Some(revoked))]);
            if dice.once_in(2) {
                world.witness("transport", NOW, &WITNESSES[1..]);
            }
        }
        1 => (draft.from, draft.until) = (NOW - 200 * DAY, Some(NOW - dice.roll() % (100 * DAY))),
        2 => world.publish("ministry", vec![world.issue_until("transport", LICENCE, NOW - 5 * DAY, "")]),
        3 => world.publish("ministry", vec![(world.issue("transport", LICENCE, "").0, None)]),
        4 => draft.types = vec!["https://gov.example/Other".to_owned()],
        5 => draft.issuer = "stranger",
        _ => {}
    }
    // Honest witnesses renew what they see, each a little later than the other.
    for (place, witness) in WITNESSES.iter().enumerate() {
        let time = NOW + dice.roll() % 120 + place as u64;
        for name in ISSUERS {
            world.witness(name, time, &[witness]);
        }
        world.view(time, &[witness], &[]);
    }
    ISSUERS.iter().for_each(|name| world.stamp(name, NOW + 60));
    (world, draft.issue())
}

/// These witnesses say all that they say once more, a year ahead.
fn say_ahead(world: &mut World, witnesses: &[&str], ahead: u64) {
    for name in ISSUERS {
        world.witness(name, NOW + ahead, witnesses);
    }
    world.view(NOW + ahead, witnesses, &[]);
}

/// A window that had not begun does begin when the clock goes forward: no clock of the verifier's own can tell.
fn waits_for_time(verdict: &Verdict) -> bool {
    matches!(verdict.code(), Some(Code::ValidityEarly))
}

#[track_caller]
fn never_more(seed: u64, before: &Verdict, after: &Verdict, what: &str) {
    let was_rejected = before.outcome() == Outcome::Rejected && !waits_for_time(before);
    assert!(
        !(was_rejected && after.outcome() == Outcome::Accepted),
        "seed {seed}: {what} turns {:?} into an acceptance",
        before.code()
    );
}

#[test]
fn a_device_years_off_accepts_nothing_that_was_rejected() {
    let (seed, mut dice) = Dice::seeded(0xC10C);
    tell(seed, WORLDS);
    for _ in 0..WORLDS {
        let (world, bytes) = flawed(&mut dice);
        let snapshot = world.snapshot();
        let bound = snapshot.clock_bound().expect("witnesses spoke");
        let right = at(&snapshot, &bytes, NOW + 300);
        let at_bound = at(&snapshot, &bytes, bound);
        for _ in 0..6 {
            let off = dice.roll() % (20 * YEAR);
            let device = (NOW + off).saturating_sub(10 * YEAR);
            let verdict = at(&snapshot, &bytes, device);
            never_more(seed, &right, &verdict, &format!("a clock at {device}"));
            if device <= bound {
                // Below the bound it accepts exactly where a clock at the bound would.
                let same = (verdict.outcome() == Outcome::Accepted) == (at_bound.outcome() == Outcome::Accepted);
                assert!(same, "seed {seed}: at {device} {:?}, at the bound {:?}", verdict.code(), at_bound.code());
            }
            // What arrived while the clock was wrong is judged right once the clock is right again.
            let taken = world.snapshot_taken_at(device);
            let again = at(&taken, &bytes, NOW + 300);
            assert_eq!(again.outcome(), right.outcome(), "seed {seed}: taken at {device}, {:?}", again.code());
        }
    }
}

#[test]
fn one_witness_a_year_ahead_changes_no_verdict() {
    let (seed, mut dice) = Dice::seeded(0xA4EAD);
    tell(seed, WORLDS);
    for _ in 0..WORLDS {
        let (mut world, bytes) = flawed(&mut dice);
        let before = at(&world.snapshot(), &bytes, NOW + 300);
        let liar = WITNESSES[dice.below(3)];
        say_ahead(&mut world, &[liar], YEAR);
        for taken_at in [NOW, NOW + 10 * YEAR, NOW - 10 * YEAR] {
            let snapshot = world.snapshot_taken_at(taken_at);
            let bound = snapshot.clock_bound().expect("witnesses spoke");
            assert!(bound < NOW + 300, "seed {seed}: {liar} moves the bound to {bound}");
            let after = at(&snapshot, &bytes, NOW + 300);
            assert_eq!(after.code(), before.code(), "seed {seed}: {liar} is a year ahead");
            // On a device that is wrong as well.
            let device = (NOW + dice.roll() % (20 * YEAR)).saturating_sub(10 * YEAR);
            never_more(seed, &before, &at(&snapshot, &bytes, device), &format!("{liar} ahead, a clock at {device}"));
        }
    }
}

#[test]
fn a_quorum_a_year_ahead_accepts_and_rejects_nothing_more() {
    let (seed, mut dice) = Dice::seeded(0x900D);
    tell(seed, WORLDS);
    for _ in 0..WORLDS {
        let (mut world, bytes) = flawed(&mut dice);
        let before = at(&world.snapshot(), &bytes, NOW + 300);
        say_ahead(&mut world, &WITNESSES[..2], YEAR);
        let snapshot = world.snapshot();
        assert_eq!(snapshot.clock_bound(), Some(NOW + YEAR), "they are a quorum");
        let after = at(&snapshot, &bytes, NOW + 300);
        never_more(seed, &before, &after, "a quorum a year ahead");
        if before.outcome() == Outcome::Accepted {
            assert_eq!(after.outcome(), Outcome::Indeterminate, "seed {seed}: {:?}", after.code());
        }
        let device = (NOW + dice.roll() % (20 * YEAR)).saturating_sub(10 * YEAR);
        never_more(seed, &before, &at(&snapshot, &bytes, device), &format!("a quorum ahead, a clock at {device}"));
    }
}

#[test]
fn an_end_that_only_the_witnesses_see_is_disputed_and_rejects_nothing() {
    let mut world = World::new();
    say_ahead(&mut world, &WITNESSES[..2], 150 * DAY);
    ISSUERS.iter().for_each(|name| world.stamp(name, NOW + 150 * DAY));
    // Its end lies between the device's clock and the bound.
    let bytes = Draft::default().issue();
    let verdict = at(&world.snapshot(), &bytes, NOW + 300);
    assert_eq!((verdict.outcome(), verdict.code()), (Outcome::Indeterminate, Some(Code::ClockDisputed)));
    let bound = at(&world.snapshot(), &bytes, NOW + 150 * DAY);
    assert_eq!((bound.outcome(), bound.code()), (Outcome::Rejected, Some(Code::ValidityExpired)));
}

#[test]
fn once_the_charter_removes_a_quorum_that_was_ahead_everything_is_as_it_was() {
    let (seed, mut dice) = Dice::seeded(0xCAFE);
    tell(seed, WORLDS);
    let (from, later) = (NOW + 8 * DAY, NOW + 9 * DAY);
    let new = ["w3", "w4", "w5"];
    for _ in 0..WORLDS {
        // The same world twice: once nobody was ever ahead.
        let (mut honest, _) = flawed(&mut dice.clone());
        let (mut world, bytes) = flawed(&mut dice);
        let settle = |world: &mut World| {
            world.replace_witnesses(NOW + 3_600, from, &new, 2);
            for name in ISSUERS {
                world.witness(name, later, &new);
                world.stamp(name, later);
            }
            world.view(later, &new, &[]);
        };
        let lies = dice.once_in(2);
        settle(&mut honest);
        say_ahead(&mut world, if lies { &WITNESSES[..2] } else { &WITNESSES[1..] }, YEAR);
        settle(&mut world);
        let (expected, found) = (honest.snapshot(), world.snapshot());
        let wanted = at(&expected, &bytes, later + 60);
        let got = at(&found, &bytes, later + 60);
        if lies {
            assert_eq!(found.clock_bound(), Some(later), "seed {seed}: the bound is cured");
            assert_eq!(got.code(), wanted.code(), "seed {seed}");
        } else {
            // Of those in force one alone is still ahead, which moves nothing.
            assert_eq!(got.code(), wanted.code(), "seed {seed}: w3 is ahead");
        }
    }
}

// ---- the pure functions ----------------------------------------------------------------------------------------------

/// A policy of groups in groups, and the names of its witnesses.
fn nested(dice: &mut Dice) -> (Quorum, Vec<String>) {
    let mut text = String::new();
    let mut names = Vec::new();
    let mut members: Vec<String> = Vec::new();
    for group in 0..2 + dice.below(3) {
        let mut inner: Vec<String> = Vec::new();
        for witness in 0..1 + dice.below(4) {
            let name = format!("w{group}-{witness}");
            let seed = *names.len().to_be_bytes().last().expect("eight bytes");
            let key = SecretKey::from_seed(&[seed; 32]).public();
            let key = VerifierKey::new("w.example", Algorithm::Cosignature, key).expect("a name");
            text += &format!("witness {name} {key}\n");
            names.push(name.clone());
            inner.push(name);
        }
        if inner.len() > 2 && dice.once_in(2) {
            let pair: Vec<String> = inner.drain(..2).collect();
            text += &format!("group h{group} {} {}\n", 1 + dice.below(2), pair.join(" "));
            inner.push(format!("h{group}"));
        }
        text += &format!("group g{group} {} {}\n", 1 + dice.below(inner.len()), inner.join(" "));
        members.push(format!("g{group}"));
    }
    text += &format!("group q {} {}\nquorum q\n", 1 + dice.below(members.len()), members.join(" "));
    (Quorum::parse(&text).expect("a policy"), names)
}

#[test]
fn the_quorum_time_of_nested_groups_is_the_newest_at_which_a_quorum_stood() {
    let (seed, mut dice) = Dice::seeded(0x7153);
    tell(seed, POLICIES);
    for _ in 0..POLICIES {
        let (quorum, names) = nested(&mut dice);
        let times: Vec<Option<u64>> =
            names.iter().map(|_| (!dice.once_in(4)).then(|| 1_000 + dice.roll() % 20)).collect();
        let time_of = |name: &str| names.iter().position(|n| n == name).and_then(|i| times[i]);
        let statements: Vec<Statement<'_>> = names
            .iter()
            .filter_map(|name| {
                let speaker = Speaker::Witness(name);
                Some(Statement { speaker, time: time_of(name)?, at_w: true, names_charter: true, on_chain: true })
            })
            .collect();
        // By definition, without any recursion of ours: those who spoke at `t` or later make the quorum.
        let by_definition = times
            .iter()
            .flatten()
            .filter(|t| quorum.met_by(|name| time_of(name).is_some_and(|time| time >= **t)))
            .max()
            .copied();
        assert_eq!(quorum.time(time_of), by_definition, "seed {seed}");
        assert_eq!(freshness::ages(&quorum, 0, &statements).bound, by_definition, "seed {seed}");
    }
}

#[test]
fn liars_who_are_no_quorum_neither_move_the_bound_past_the_honest_nor_freshen_anything() {
    let (seed, mut dice) = Dice::seeded(0x11A2);
    tell(seed, POLICIES);
    for _ in 0..POLICIES {
        let (quorum, names) = nested(&mut dice);
        let is_liar: Vec<bool> = names.iter().map(|_| dice.once_in(3)).collect();
        let liar = |name: &str| names.iter().position(|n| n == name).is_some_and(|i| is_liar[i]);
        if quorum.met_by(liar) {
            continue;
        }
        let device = NOW - dice.roll() % 1000;
        let mut statements: Vec<Statement<'_>> = Vec::new();
        for name in &names {
            let honest = NOW - dice.roll() % 5_000;
            let time = if liar(name) { NOW + YEAR + dice.roll() % YEAR } else { honest };
            let speaker = Speaker::Witness(name);
            statements.push(Statement { speaker, time, at_w: true, names_charter: true, on_chain: true });
        }
        let newest_honest = statements.iter().filter(|s| s.time <= NOW).map(|s| s.time).max().unwrap_or(0);
        let ages = freshness::ages(&quorum, device, &statements);
        assert!(ages.bound.is_none_or(|bound| bound <= newest_honest), "seed {seed}");
        assert!(ages.now <= device.max(newest_honest), "seed {seed}");
        // Whoever is set aside freshens nothing: what is left gives the same age.
        let kept: Vec<Statement<'_>> = statements.iter().filter(|s| s.time <= ages.now + 300).copied().collect();
        assert!(kept.iter().all(|s| s.time <= NOW), "seed {seed}");
        assert_eq!(ages.witnessed, freshness::ages(&quorum, 0, &kept).bound, "seed {seed}");
    }
}
