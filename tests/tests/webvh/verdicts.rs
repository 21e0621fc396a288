//! Verdicts on credentials of did:webvh issuers: copies in several registers, rotations, forks, and an issuer that is gone.

use std::sync::Arc;

use bytes::Bytes;
use standfast_protocol::credential::contexts::Contexts;
use standfast_protocol::credential::json::Json;
use standfast_protocol::did::webvh::author::{self, Creation, Update, document, key_hash, moved, template};
use standfast_protocol::did::webvh::{Log, WebvhDid};
use standfast_protocol::key::{PublicKey, SecretKey};
use standfast_protocol::policy::Policy;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::register::webvh::encode;
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::time::Time;
use standfast_protocol::verdict::{CheckName, CheckResult, Code, Outcome, Verdict, Warning};
use standfast_protocol::verify::verify;
use standfast_tests::world::{Draft, Edit, LICENCE, NOW, WITNESSES, World, did_key};

const DAY: u64 = 86_400;
const MADE: u64 = NOW - 90 * DAY;

/// The issuer's log with what continues it.
#[derive(Clone)]
struct Issuer {
    log: Bytes,
    did: String,
    rotations: u8,
}

fn update_key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[100 + number; 32])
}

fn signing_key(name: &str) -> SecretKey {
    let seed: [u8; 32] = std::array::from_fn(|at| name.as_bytes()[at % name.len()]);
    SecretKey::from_seed(&seed)
}

fn public(names: &[&'static str]) -> Vec<(&'static str, PublicKey)> {
    names.iter().map(|name| (*name, signing_key(name).public())).collect()
}

fn time(days: u64) -> Time {
    Time::from_secs_saturating(MADE + days * DAY)
}

impl Issuer {
    /// A DID with pre-rotation and these keys in its document, each under its own name.
    fn new(names: &[&'static str]) -> Self {
        let did = template("transport.gov.example").expect("a location");
        let creation = Creation {
            time: time(0),
            document: document(&did, &public(names)),
            update_keys: vec![update_key(0).public()],
            next_key_hashes: vec![key_hash(update_key(1).public())],
            witness: None,
            watchers: Vec::new(),
            portable: true,
            ttl: None,
        };
        let prepared = author::create(&creation, update_key(0).public()).expect("prepared");
        let (did, signature) = (prepared.did().to_owned(), update_key(0).sign(&prepared.input()));
        Self { log: prepared.finish(&signature).expect("a log"), did, rotations: 0 }
    }

    /// Rotates the update key and makes some other change, so many days after the beginning.
    fn then(&self, days: u64, edit: impl FnOnce(&Log, &mut Update)) -> Self {
        let rotations = self.rotations + 1;
        let (key, log) = (update_key(rotations), Log::read(&self.log, b"").expect("a log"));
        let mut update = Update::at(time(days));
        update.update_keys = Some(vec![key.public()]);
        update.next_key_hashes = Some(vec![key_hash(update_key(rotations + 1).public())]);
        edit(&log, &mut update);
        let prepared = author::update(&self.log, &log, &update, key.public()).expect("prepared");
        let (did, signature) = (prepared.did().to_owned(), key.sign(&prepared.input()));
        Self { log: prepared.finish(&signature).expect("a log"), did, rotations }
    }

    fn with_keys(&self, days: u64, names: &[&'static str]) -> Self {
        self.then(days, |_, update| update.document = Some(document(&self.did, &public(names))))
    }

    fn ended(&self, days: u64) -> Self {
        self.then(days, |_, update| update.deactivate = true)
    }

    fn copy(&self) -> Edit {
        (did_key(&self.did), Some(encode(&self.log, b"").expect("a log that holds")))
    }

    fn credential(&self, name: &str) -> Vec<u8> {
        let draft = Draft { status: None, ..Draft::default() };
        draft.issue_by(&signing_key(name), &self.did, name, &Contexts::builtin())
    }
}

/// Interior recognises ministry and harbour; ministry lets the DID issue, its records being in the register of `home`.
fn world(did: &str, home: &str) -> World {
    let mut world = World::bare();
    let recognised = vec![world.recognize("ministry", "*"), world.recognize("harbour", "*")];
    let mut sorted = recognised;
    sorted.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
    world.publish("interior", sorted);
    let (_, body) = world.issue(home, LICENCE, "");
    let name = world.agencies[home].did.clone();
    let body = String::from_utf8(body.expect("a body")).expect("text").replacen(&name, did, 1);
    let key = RecordKey::trust(did, "issue", LICENCE).expect("a key");
    world.publish("ministry", vec![(key, Some(body.into_bytes()))]);
    world
}

/// A world in which these agencies hold these copies, all witnessed.
fn holding(copies: &[(&'static str, &Issuer)]) -> World {
    let mut world = world(&copies[0].1.did, copies[0].0);
    for (name, issuer) in copies {
        world.publish(name, vec![issuer.copy()]);
    }
    world.settle(NOW);
    world
}

fn under(policy: &str, snapshot: &Arc<Snapshot>, bytes: &[u8], now: u64) -> Verdict {
    let policy = Policy::built_in(policy).expect("built in");
    verify(bytes, snapshot, &policy, Time::from_secs_saturating(now))
}

fn judge(world: &World, bytes: &[u8]) -> Verdict {
    under("standard", &world.snapshot(), bytes, NOW + 60)
}

fn shown(verdict: &Verdict) -> String {
    verdict.checks.iter().map(|c| format!("\n{} {}: {}", c.name.as_str(), c.code_text(), c.reason)).collect()
}

#[track_caller]
fn assert_code(verdict: &Verdict, code: Code) {
    assert_eq!(verdict.code(), Some(code), "{}", shown(verdict));
}

#[track_caller]
fn assert_accepted(verdict: &Verdict) {
    assert_eq!(verdict.outcome(), Outcome::Accepted, "{}", shown(verdict));
}

#[test]
fn only_keys_of_the_newest_document_count() {
    let first = Issuer::new(&["k1"]);
    let second = first.with_keys(10, &["k1", "k2"]);
    let third = second.with_keys(20, &["k2"]);
    assert_accepted(&judge(&holding(&[("transport", &first)]), &first.credential("k1")));
    let world = holding(&[("transport", &third)]);
    assert_accepted(&judge(&world, &third.credential("k2")));
    assert_code(&judge(&world, &third.credential("k1")), Code::KeyAbsent);
    assert_code(&judge(&world, &third.credential("k3")), Code::KeyAbsent);
    let forged = Draft { status: None, ..Draft::default() };
    let forged = forged.issue_by(&signing_key("k9"), &third.did, "k2", &Contexts::builtin());
    assert_code(&judge(&world, &forged), Code::SignatureMismatch);
}

#[test]
fn an_issuer_that_is_gone_is_verified_as_of_its_last_head() {
    // Three rotations of the update key, and of the key that issues.
    let issuer = Issuer::new(&["k1"]).with_keys(10, &["k2"]).with_keys(20, &["k3"]).with_keys(30, &["k4"]);
    let mut world = holding(&[("transport", &issuer)]);
    // Then its domain, its servers and its keys are lost: nobody confirms the register but the witnesses.
    let silent = 20;
    let now = NOW + silent * DAY;
    for name in ["interior", "ministry"] {
        world.witness(name, now, &WITNESSES);
        world.stamp(name, now);
    }
    world.witness("transport", now, &WITNESSES);
    world.view(now, &WITNESSES, &[]);
    let snapshot = world.snapshot();
    let verdict = under("degraded", &snapshot, &issuer.credential("k4"), now + 60);
    assert_accepted(&verdict);
    assert_eq!(verdict.warnings, [Warning::StaleTolerated, Warning::IssuerSilent]);
    let ages = verdict.ages().expect("ages");
    assert_eq!(ages.published.age_s, Some(silent * DAY + 60));
    assert_eq!(ages.published.register.as_deref(), Some(world.agencies["transport"].origin.as_str()));
    let head = &verdict.check(CheckName::Issuer).expect("a check").evidence[0];
    let held = snapshot.held(&world.agencies["transport"].origin).expect("held").register();
    assert_eq!((head.size, Some(head.root)), (held.size_witnessed(), held.root_at(held.size_witnessed())));
    assert_eq!(head.as_of_at, Time::from_secs(now));
    // A key that was rotated away does not come back, and a policy that tolerates nothing says what is missing.
    assert_eq!(under("degraded", &snapshot, &issuer.credential("k3"), now + 60).outcome(), Outcome::Indeterminate);
    assert_code(&under("standard", &snapshot, &issuer.credential("k4"), now + 60), Code::StalePublished);
}

#[test]
fn a_register_of_somebody_else_keeps_the_did_of_an_issuer_that_is_gone() {
    let issuer = Issuer::new(&["k1"]).with_keys(10, &["k2"]).with_keys(20, &["k3"]).with_keys(30, &["k4"]);
    let world = holding(&[("ministry", &issuer)]);
    let verdict = judge(&world, &issuer.credential("k4"));
    assert_accepted(&verdict);
    assert!(verdict.warnings.is_empty());
    assert_code(&judge(&world, &issuer.credential("k3")), Code::KeyAbsent);
}

#[test]
fn the_longest_copy_counts_wherever_it_is_held() {
    let first = Issuer::new(&["k1", "k2"]);
    let second = first.with_keys(10, &["k2", "k3"]);
    for world in [
        holding(&[("transport", &first), ("harbour", &second)]),
        holding(&[("transport", &second), ("harbour", &first)]),
    ] {
        assert_accepted(&judge(&world, &first.credential("k2")));
        assert_accepted(&judge(&world, &first.credential("k3")));
        let old = judge(&world, &first.credential("k1"));
        assert!(matches!(old.code(), Some(Code::KeyWithdrawn | Code::KeyAbsent)), "{}", shown(&old));
    }
    let mirrored = judge(&holding(&[("transport", &first), ("harbour", &second)]), &first.credential("k3"));
    let issuer = mirrored.check(CheckName::Issuer).expect("a check");
    assert_eq!(issuer.evidence.len(), 2);
    // An older copy that is put later takes nothing back, in the issuer's own register neither.
    let mut world = holding(&[("transport", &second)]);
    world.publish("transport", vec![first.copy()]);
    assert_accepted(&judge(&world, &first.credential("k3")));
}

#[test]
fn what_is_not_witnessed_takes_back_and_grants_nothing() {
    let first = Issuer::new(&["k1", "k2"]);
    let second = first.with_keys(10, &["k2", "k3"]);
    for name in ["transport", "harbour"] {
        let mut world = holding(&[("transport", &first), ("harbour", &first)]);
        world.publish(name, vec![second.copy()]);
        assert_code(&judge(&world, &first.credential("k1")), Code::KeyWithdrawn);
        assert_accepted(&judge(&world, &first.credential("k2")));
        assert_code(&judge(&world, &first.credential("k3")), Code::KeyPending);
    }
    let mut world = world(&first.did, "transport");
    world.publish("harbour", vec![first.copy()]);
    world.settle(NOW);
    // The register that the path names has no copy: whose age would it be?
    assert_code(&judge(&world, &first.credential("k1")), Code::DidMissing);
    world.publish("transport", vec![first.copy()]);
    assert_code(&judge(&world, &first.credential("k1")), Code::KeyPending);
}

#[test]
fn where_copies_part_only_keys_in_all_of_them_count() {
    let first = Issuer::new(&["k1"]);
    let (left, right) = (first.with_keys(10, &["k1", "k2"]), first.with_keys(11, &["k1", "k3"]));
    for (home, mirror) in [(&left, &right), (&right, &left)] {
        let mut world = holding(&[("transport", home), ("harbour", mirror)]);
        assert_accepted(&judge(&world, &first.credential("k1")));
        for key in ["k2", "k3", "k4"] {
            let verdict = judge(&world, &first.credential(key));
            assert_code(&verdict, Code::DidForked);
            assert_eq!((verdict.outcome(), verdict.exit()), (Outcome::Indeterminate, 4));
        }
        // One branch that goes on does not end the other, witnessed or not.
        let further = home.with_keys(20, &["k1", "k5"]);
        world.publish("transport", vec![further.copy()]);
        for key in ["k2", "k3", "k5"] {
            assert_code(&judge(&world, &first.credential(key)), Code::DidForked);
        }
        // A key that both come to have counts once it is witnessed in both.
        world.publish("transport", vec![further.with_keys(30, &["k2", "k3"]).copy()]);
        let key = if home.log == left.log { "k3" } else { "k2" };
        assert_code(&judge(&world, &first.credential(key)), Code::KeyPending);
        world.settle(NOW + 1);
        assert_accepted(&judge(&world, &first.credential(key)));
        assert_code(&judge(&world, &first.credential("k1")), Code::DidForked);
    }
    let mut world = holding(&[("transport", &left)]);
    world.publish("transport", vec![right.copy()]);
    assert_code(&judge(&world, &first.credential("k2")), Code::DidForked);
    assert_accepted(&judge(&world, &first.credential("k1")));
}

#[test]
fn a_deactivation_in_any_copy_counts() {
    let first = Issuer::new(&["k1"]);
    let ended = first.ended(10);
    let verdict = judge(&holding(&[("transport", &ended)]), &first.credential("k1"));
    assert_code(&verdict, Code::DidDeactivated);
    assert_eq!(verdict.exit(), 1);
    assert_code(
        &judge(&holding(&[("transport", &first), ("harbour", &ended)]), &first.credential("k1")),
        Code::DidDeactivated,
    );
    let emptied = first.then(10, |_, update| {
        update.document = Some(document(&first.did, &[]));
        update.deactivate = true;
    });
    assert_code(&judge(&holding(&[("transport", &emptied)]), &first.credential("k1")), Code::DidDeactivated);
    let mut world = holding(&[("transport", &first.with_keys(20, &["k1"])), ("harbour", &first)]);
    world.publish("harbour", vec![ended.copy()]);
    assert_code(&judge(&world, &first.credential("k1")), Code::DidDeactivated);
}

/// The body of a log that is cut or altered, which `encode` would not write.
fn damaged(issuer: &Issuer) -> Edit {
    let mut log = issuer.log.to_vec();
    log.extend_from_slice(b"{}\n");
    let mut writer = standfast_protocol::codec::Writer::new();
    writer.map(1).uint(0).bytes(&log);
    (did_key(&issuer.did), Some(writer.into_bytes()))
}

#[test]
fn damage_in_a_mirror_harms_nobody_and_in_the_own_register_nothing_is_known() {
    let issuer = Issuer::new(&["k1"]);
    let mut mirrored = holding(&[("transport", &issuer), ("harbour", &issuer)]);
    mirrored.publish("harbour", vec![damaged(&issuer)]);
    mirrored.settle(NOW + 1);
    assert_accepted(&judge(&mirrored, &issuer.credential("k1")));
    mirrored.publish("harbour", vec![(did_key(&issuer.did), Some(b"no log".to_vec()))]);
    assert_accepted(&judge(&mirrored, &issuer.credential("k1")));
    for body in [damaged(&issuer), (did_key(&issuer.did), Some(b"no log".to_vec()))] {
        let mut own = holding(&[("transport", &issuer)]);
        own.publish("transport", vec![body]);
        assert_code(&judge(&own, &issuer.credential("k1")), Code::DidMissing);
        own.settle(NOW + 1);
        assert_code(&judge(&own, &issuer.credential("k1")), Code::DidMissing);
    }
    // The log of somebody else under this DID is nobody's.
    let other = Issuer::new(&["k1", "k2"]);
    let mut own = holding(&[("transport", &issuer)]);
    own.publish("transport", vec![(did_key(&issuer.did), other.copy().1)]);
    assert_code(&judge(&own, &issuer.credential("k1")), Code::DidMissing);
    let mut removed = holding(&[("transport", &issuer), ("harbour", &issuer)]);
    removed.publish("transport", vec![(did_key(&issuer.did), None)]);
    assert_code(&judge(&removed, &issuer.credential("k1")), Code::KeyWithdrawn);
}

#[test]
fn credentials_outlive_a_move_to_another_host() {
    let old = Issuer::new(&["k1"]);
    let new = old.then(10, |log, update| update.document = Some(moved(log, "new.gov.example").expect("a document")));
    assert_ne!(old.did, new.did);
    let scid = |did: &str| WebvhDid::parse(did).map(|did| did.scid().to_owned());
    assert_eq!(scid(&old.did), scid(&new.did));
    let mut world = world(&old.did, "transport");
    world.publish("transport", vec![(did_key(&old.did), new.copy().1)]);
    world.settle(NOW);
    assert_accepted(&judge(&world, &old.credential("k1")));
    // A copy under the new name counts for the old one as well.
    let rotated = new.with_keys(20, &["k2"]);
    world.publish("harbour", vec![rotated.copy()]);
    assert_code(&judge(&world, &old.credential("k1")), Code::KeyWithdrawn);
    // Without `alsoKnownAs` the old name is given up.
    let mut given_up = holding(&[("transport", &old)]);
    given_up.publish("transport", vec![(did_key(&old.did), rotated.copy().1)]);
    assert_code(&judge(&given_up, &old.credential("k1")), Code::KeyWithdrawn);
}

#[test]
fn an_entry_that_is_dated_ahead_grants_nothing_yet_and_takes_back_at_once() {
    let first = Issuer::new(&["k1", "k2"]);
    let ahead = first.with_keys(95, &["k2", "k3"]);
    let world = holding(&[("transport", &ahead)]);
    let snapshot = world.snapshot();
    let at = |key: &str, now| under("degraded", &snapshot, &first.credential(key), now);
    assert_accepted(&at("k2", NOW + 60));
    assert_code(&at("k3", NOW + 60), Code::DidMissing);
    assert_ne!(at("k1", NOW + 60).outcome(), Outcome::Accepted);
    assert_accepted(&at("k3", NOW + 5 * DAY));
}

#[test]
fn a_witnessed_did_without_its_witnesses_is_not_known() {
    let did = template("transport.gov.example").expect("a location");
    let witness = standfast_protocol::did::key::did_of(signing_key("w").public());
    let creation = Creation {
        time: time(0),
        document: document(&did, &public(&["k1"])),
        update_keys: vec![update_key(0).public()],
        next_key_hashes: Vec::new(),
        witness: Some(standfast_protocol::did::webvh::parameters::Witnesses::new(1, vec![witness]).expect("witnesses")),
        watchers: Vec::new(),
        portable: false,
        ttl: None,
    };
    let prepared = author::create(&creation, update_key(0).public()).expect("prepared");
    let (did, version) = (prepared.did().to_owned(), prepared.version_id().to_owned());
    let signature = update_key(0).sign(&prepared.input());
    let issuer = Issuer { log: prepared.finish(&signature).expect("a log"), did, rotations: 0 };
    assert!(encode(&issuer.log, b"").is_err());
    let proof =
        standfast_protocol::did::webvh::witness::PreparedProof::new(&version, signing_key("w").public(), time(0));
    let signature = signing_key("w").sign(&proof.input());
    let file = proof.add_to(b"", &signature).expect("a file");
    let body = encode(&issuer.log, &file).expect("a body");
    let mut world = world(&issuer.did, "transport");
    world.publish("transport", vec![(did_key(&issuer.did), Some(body))]);
    world.settle(NOW);
    let verdict = judge(&world, &issuer.credential("k1"));
    assert_accepted(&verdict);
    assert_eq!(verdict.check(CheckName::Issuer).map(|check| check.result), Some(CheckResult::Passed));
}

#[test]
fn the_same_log_is_verified_once() {
    let issuer = Issuer::new(&["k1"]).with_keys(10, &["k2"]).with_keys(20, &["k3"]);
    let snapshot = holding(&[("transport", &issuer), ("harbour", &issuer)]).snapshot();
    assert!(Arc::ptr_eq(&snapshot.webvh(&issuer.did), &snapshot.webvh(&issuer.did)));
    assert!(!snapshot.webvh(&issuer.did).is_forked());
    let json = Json::parse(&issuer.log[..issuer.log.iter().position(|b| *b == b'\n').expect("a line")]);
    assert!(json.is_ok());
}
