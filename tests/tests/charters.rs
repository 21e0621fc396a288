//! Charters as a verifier sees them: forks, changes of witnesses, an end that is near; and one published among processes.

use std::path::Path;
use std::sync::Arc;

use standfast_protocol::charter::{AnchorTerms, RegisterTerms, SignedCharter, WitnessesBefore};
use standfast_protocol::credential::Format;
use standfast_protocol::policy::Policy;
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::time::Time;
use standfast_protocol::verdict::{Code, Outcome, Verdict, Warning};
use standfast_protocol::verify::verify;
use standfast_tests::cluster::{Federation, Node, ended};
use standfast_tests::world::{Draft, NOW, WITNESSES, World};

const WEEK: u64 = 7 * 86_400;

/// What somebody sees who holds these charters too, and chooses the last of them where that is said.
fn with(world: &World, charters: &[&Arc<SignedCharter>], chooses: bool) -> Arc<Snapshot> {
    let mut replica = world.snapshot().replica().clone();
    for charter in charters {
        replica.offer_charter(charter.note().to_string().as_bytes()).expect("acceptable");
    }
    if chooses {
        replica.choose_charter(Arc::clone(charters.last().expect("one")));
    }
    Snapshot::new(replica)
}

fn judge(snapshot: &Snapshot, bytes: &[u8], now: u64) -> Verdict {
    let policy = Policy::built_in("standard").expect("built in");
    verify(bytes, snapshot, &policy, Time::from_secs_saturating(now))
}

fn good() -> Vec<u8> {
    Draft { format: Format::VcJwt, ..Draft::default() }.issue()
}

#[track_caller]
fn assert_code(verdict: &Verdict, code: Code, says: &str) {
    assert_eq!(verdict.code(), Some(code), "{}", verdict.reason());
    assert!(verdict.reason().contains(says), "{}", verdict.reason());
}

#[test]
fn a_fork_that_changes_nothing_here_is_told_beside_the_verdict() {
    let world = World::new();
    let (a, b) = (world.next_charter(|d| d.expires_at += 1), world.next_charter(|d| d.expires_at += 2));
    let verdict = judge(&with(&world, &[&a, &b], false), &good(), NOW + 60);
    assert_eq!(verdict.outcome(), Outcome::Accepted, "{}", verdict.reason());
    assert_eq!((verdict.trust.charter, verdict.exit()), (1, 0));
    assert!(verdict.warnings.contains(&Warning::CharterForked));
    let verdict = judge(&with(&world, &[&a], false), &good(), NOW + 60);
    assert!(!verdict.warnings.contains(&Warning::CharterForked));
}

#[test]
fn a_verdict_that_one_side_would_not_give_depends_on_the_fork() {
    let world = World::new();
    let plain = world.next_charter(|d| d.expires_at += 1);
    let harbour = &world.agencies["harbour"];
    let other = AnchorTerms {
        authority: harbour.did.clone(),
        register: RegisterTerms {
            origin: harbour.origin.clone(),
            keys: vec![serde_json::from_str(&format!("{:?}", key_of(&harbour.binding()))).expect("a key")],
            after: None,
        },
    };
    let dropped = world.next_charter(|d| d.anchors = vec![other.clone()]);
    let added = world.next_charter(|d| d.anchors.push(other.clone()));
    let ended = world.next_charter(|d| d.expires_at = NOW + 30);
    let witnesses = world.next_charter(|d| {
        let before = WitnessesBefore { policy: d.witnesses.policy.clone(), kinds: d.witnesses.kinds.clone() };
        (d.issued_at, d.witnesses.from) = (NOW - 2 * WEEK, NOW - WEEK);
        d.witnesses.policy = d.witnesses.policy.replace("group g 2", "group g 3");
        d.witnesses.before = Some(before);
    });
    let stranger = Draft { issuer: "stranger", ..Draft::default() }.issue();
    for (side, says) in [
        (&dropped, "one of them drops or changes the anchor did:web:interior.example"),
        (&ended, "one of them is past its end"),
        (&witnesses, "one of them names other witnesses"),
    ] {
        for charters in [[&plain, side], [side, &plain]] {
            let verdict = judge(&with(&world, &charters, false), &good(), NOW + 60);
            assert_code(&verdict, Code::CharterForked, says);
            assert_eq!(verdict.exit(), 4);
            assert!(!verdict.warnings.contains(&Warning::CharterForked), "it is the verdict itself");
        }
    }
    let verdict = judge(&with(&world, &[&plain, &added], false), &stranger, NOW);
    assert_code(&verdict, Code::CharterForked, "one of them adds or changes the anchor did:web:harbour.example");
    let verdict = judge(&with(&world, &[&plain, &world.next_charter(|d| d.expires_at += 2)], false), &stranger, NOW);
    assert_code(&verdict, Code::AuthorityAbsent, "nobody");
    // Whatever the charter says: a wrong signature is a wrong signature.
    let mut forged = good();
    let last = forged.len() - 3;
    forged[last] ^= 1;
    let verdict = judge(&with(&world, &[&plain, &dropped], false), &forged, NOW + 60);
    assert_eq!(verdict.outcome(), Outcome::Rejected, "{}", verdict.reason());
}

#[test]
fn what_a_held_back_charter_dropped_does_not_come_back_by_a_fork_below_it() {
    let mut world = World::new();
    let (a, b) = (world.next_charter(|d| d.expires_at += 1), world.next_charter(|d| d.expires_at += 2));
    let first = std::mem::replace(&mut world.charter, a.clone());
    let stranger = &world.agencies["stranger"];
    let (authority, origin) = (stranger.did.clone(), stranger.origin.clone());
    let keys = vec![serde_json::from_str(&format!("{:?}", key_of(&stranger.binding()))).expect("a key")];
    let other = AnchorTerms { authority, register: RegisterTerms { origin, keys, after: None } };
    let third = world.next_charter(|d| (d.version, d.anchors) = (3, vec![other]));
    world.charter = first;
    let dropped = judge(&with(&world, &[&a, &third], false), &good(), NOW);
    assert_ne!(dropped.outcome(), Outcome::Accepted, "{}", dropped.reason());
    // Whoever has the roots of version 1 signs another version 2.
    let forked = judge(&with(&world, &[&a, &third, &b], false), &good(), NOW);
    assert_code(&forked, Code::CharterForked, "charter 3, which follows one of them, drops or changes the anchor");
}

fn key_of(binding: &str) -> String {
    let binding: serde_json::Value = serde_json::from_str(binding).expect("a binding");
    binding["keys"][0].as_str().expect("a key").to_owned()
}

#[test]
fn behind_a_fork_an_old_charter_is_the_forks_fault() {
    let world = World::new();
    let (a, b) = (world.next_charter(|d| d.expires_at += 1), world.next_charter(|d| d.expires_at += 2));
    let policy = Policy { name: "long".to_owned(), ..Policy::built_in("standard").expect("built in") };
    let mut policy = policy;
    (policy.limits.witnessed_s, policy.limits.published_s) = (1 << 40, 1 << 40);
    let on = |snapshot: &Snapshot, now| verify(&good(), snapshot, &policy, Time::from_secs_saturating(now));
    let forked = with(&world, &[&a, &b], false);
    assert_code(&on(&forked, NOW + 31 * 86_400), Code::CharterForked, "it was last named");
    assert_code(&on(&world.snapshot(), NOW + 31 * 86_400), Code::StaleCharter, "last named");
    // The one that was chosen has been named by nobody yet.
    assert_code(&on(&with(&world, &[&a, &b], true), NOW + 60), Code::StaleCharter, "never named");
}

#[test]
fn the_device_clock_chooses_no_witnesses() {
    let world = World::new();
    let from = NOW + 30;
    let changed = world.next_charter(|d| {
        let before = WitnessesBefore { policy: d.witnesses.policy.clone(), kinds: d.witnesses.kinds.clone() };
        (d.issued_at, d.witnesses.from) = (from - WEEK, from);
        d.witnesses.policy = d.witnesses.policy.replace("group g 2", "group g 3");
        d.witnesses.before = Some(before);
    });
    let snapshot = with(&world, &[&changed], false);
    let needed = |now| judge(&snapshot, &good(), now).trust.witnesses_needed;
    for now in [0, from - 1, from, from + 10 * 365 * 86_400] {
        assert_eq!(needed(now), 2, "at {now}: no witness has said that the time is there");
    }
    // Two of three say so: they are no quorum of the set that needs all three. Then all do.
    for (names, expected) in [(&WITNESSES[..2], 2), (&WITNESSES[..], 3)] {
        let mut later = World::new();
        later.charter = world.charter.clone();
        later.view(from, names, &[]);
        let snapshot = with(&later, &[&changed], false);
        for now in [0, from, from + 10 * 365 * 86_400] {
            assert_eq!(judge(&snapshot, &good(), now).trust.witnesses_needed, expected, "at {now}");
        }
    }
}

/// Runs a command on a node's data directory; returns what it printed.
#[track_caller]
fn says(node: &Node, line: &str, exit: i32) -> String {
    let output = ended(node.cli(line));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(exit), "{line}: {said}");
    said
}

#[test]
fn published_among_processes_it_is_named_forked_pinned_and_survives_a_kill() {
    let mut federation = Federation::new(Path::new(env!("CARGO_BIN_EXE_standfast-under-test")), 3);
    let mut nodes = std::mem::take(&mut federation.witnesses);
    nodes.push(federation.publishing_node());
    let mut addresses = Vec::new();
    for node in &mut nodes {
        node.peers.clone_from(&addresses);
        node.pace_s = (1, 2);
        node.start();
        addresses.push(node.address());
    }
    let [a, b] = [1, 2].map(|later| federation.next_charter(None, |d| d.expires_at += later));
    for node in &nodes {
        for (name, note) in [("a", &a), ("b", &b)] {
            std::fs::write(node.dir().join(format!("charter-2{name}.note")), note).expect("a file");
        }
    }
    nodes[3].connected(3);
    let published = says(&nodes[3], "charter publish charter-2a.note --wait=120s", 0);
    let lines: Vec<&str> = published.lines().collect();
    assert_eq!(lines.first(), Some(&"✓ admitted here · sent to 3 peers"), "{published}");
    assert!(
        lines.get(1).is_some_and(|line| line.starts_with("✓ named by ") && line.contains(" of 3 witnesses after "))
    );
    assert!(says(&nodes[3], "charter publish charter-2a.note", 0).starts_with("✓ admitted here"), "it is held already");

    nodes[0].status_when("the first of the two is known", |status| status["charter"]["version"] == 2);
    let forked = says(&nodes[0], "charter publish charter-2b.note --yes", 4);
    assert!(forked.starts_with("! kept here as proof · sent to 3 peers\n"), "{forked}");
    let is_forked =
        |status: &serde_json::Value| status["charter"]["fork"]["version"] == 2 && status["charter"]["version"] == 1;
    for node in &nodes {
        node.status_when("both charters are known", is_forked);
        node.line("charter", |line| line["forked"] == 2);
    }
    let told = says(&nodes[3], "status", 0);
    assert!(told.contains("\ncharter  ! version 2 is signed twice, "), "{told}");
    nodes[3].kill();
    nodes[3].start();
    nodes[3].status_when("a fork is not forgotten", is_forked);

    for node in &nodes {
        assert!(says(node, "charter pin charter-2a.note --yes", 0).starts_with("✓ pinned here\n"));
    }
    nodes[3].kill();
    nodes[3].start();
    nodes[3].status_when("the choice lasts", |status| {
        let charter = &status["charter"];
        charter["version"] == 2 && charter["fork"].is_null() && charter["named_by"].as_u64() >= Some(2)
    });
}
