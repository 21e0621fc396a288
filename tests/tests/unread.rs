//! Registers with entries of a later version: what is known to be wrong rejects, and nothing is granted.

use std::sync::Arc;

use standfast_protocol::policy::Policy;
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::status::native::StatusList;
use standfast_protocol::time::Time;
use standfast_protocol::verdict::{CheckName, Code, Outcome, Verdict};
use standfast_protocol::verify::verify;
use standfast_tests::world::{Draft, LICENCE, LIST, NOW, World, entry, issuing_key, status};

fn judge(snapshot: &Arc<Snapshot>, bytes: &[u8]) -> Verdict {
    let policy = Policy::built_in("standard").expect("built in");
    verify(bytes, snapshot, &policy, Time::from_secs_saturating(NOW + 60))
}

#[track_caller]
fn assert_code(verdict: &Verdict, outcome: Outcome, code: Code) {
    let checks = || verdict.checks.iter().map(|c| format!("\n{} {}", c.name.as_str(), c.code_text()));
    assert_eq!((verdict.outcome(), verdict.code()), (outcome, Some(code)), "{}", checks().collect::<String>());
}

fn revoking(index: u64) -> World {
    let mut world = World::new();
    let list = StatusList::new(LIST, "revocation", 1, 1024).expect("a list");
    let list = list.edited(1024, &[(index, 1)]).expect("a list").encode();
    world.publish("transport", vec![(status(LIST), Some(list))]);
    world.settle(NOW + 1);
    world
}

#[test]
fn one_register_on_the_path_that_cannot_be_read_whole_leaves_it_open() {
    let good = Draft::default().issue();
    assert_eq!(judge(&World::new().snapshot(), &good).outcome(), Outcome::Accepted);
    for (name, check) in
        [("interior", CheckName::Authority), ("ministry", CheckName::Authority), ("transport", CheckName::Issuer)]
    {
        let mut world = World::new();
        world.publish_unreadable(name);
        let verdict = judge(&world.snapshot(), &good);
        assert_code(&verdict, Outcome::Indeterminate, Code::UpgradeNeeded);
        assert_eq!(verdict.exit(), 3);
        assert_eq!(verdict.check(check).and_then(|check| check.code), Some(Code::UpgradeNeeded), "{name}");
        assert_eq!(verdict.needs.first().map(|need| need.code), Some(Code::UpgradeNeeded), "{name}");
    }
}

#[test]
fn a_register_off_the_path_changes_nothing() {
    let mut world = World::new();
    let harbour = world.issue("harbour", "https://gov.example/FerryPass", "");
    world.publish("ministry", vec![harbour]);
    world.publish("harbour", vec![world.document("harbour")]);
    world.settle(NOW + 1);
    world.publish_unreadable("harbour");
    assert_eq!(judge(&world.snapshot(), &Draft::default().issue()).outcome(), Outcome::Accepted);
}

#[test]
fn what_is_known_to_be_revoked_stays_rejected() {
    let revoked = Draft { status: Some(entry(LIST, 7)), ..Draft::default() }.issue();
    for name in ["interior", "ministry", "transport"] {
        let mut world = revoking(7);
        world.publish_unreadable(name);
        assert_code(&judge(&world.snapshot(), &revoked), Outcome::Rejected, Code::StatusRevoked);
    }
}

#[test]
fn what_is_not_there_may_stand_in_what_cannot_be_read() {
    let beyond = Draft { status: Some(entry(LIST, 5_000)), ..Draft::default() }.issue();
    let extra = Draft { types: vec![LICENCE.into(), "https://gov.example/Other".into()], ..Draft::default() }.issue();
    let contexts = standfast_protocol::credential::contexts::Contexts::builtin();
    let other_key = Draft::default().issue_by(&issuing_key("transport"), "did:web:transport.example", "k9", &contexts);
    let whole = World::new().snapshot();
    assert_code(&judge(&whole, &beyond), Outcome::Rejected, Code::StatusOutOfRange);
    assert_code(&judge(&whole, &extra), Outcome::Rejected, Code::TypeUnauthorised);
    let mut world = World::new();
    world.publish_unreadable("transport");
    assert_ne!(judge(&world.snapshot(), &beyond).outcome(), Outcome::Rejected);
    assert_code(&judge(&world.snapshot(), &other_key), Outcome::Indeterminate, Code::DidMissing);
    let mut world = World::new();
    world.publish_unreadable("ministry");
    assert_code(&judge(&world.snapshot(), &extra), Outcome::Indeterminate, Code::UpgradeNeeded);
}

#[test]
fn another_path_counts_where_one_cannot_be_read() {
    let mut world = World::new();
    world.publish("interior", vec![world.issue("transport", LICENCE, "")]);
    world.settle(NOW + 1);
    world.publish_unreadable("ministry");
    assert_eq!(judge(&world.snapshot(), &Draft::default().issue()).outcome(), Outcome::Accepted);
}
