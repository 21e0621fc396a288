//! Verdicts: every code of the table that a world made in code can reach, and what no missing piece may do.

use std::sync::Arc;

use standfast_protocol::credential::Format;
use standfast_protocol::credential::contexts::Contexts;
use standfast_protocol::credential::issue::issue_vc_jwt;
use standfast_protocol::credential::json::Json;
use standfast_protocol::did;
use standfast_protocol::key::SecretKey;
use standfast_protocol::policy::Policy;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::status::native::StatusList;
use standfast_protocol::time::Time;
use standfast_protocol::verdict::{CheckName, CheckResult, Code, Outcome, Verdict, Warning};
use standfast_protocol::verify::verify;
use standfast_tests::world::{
    Draft, LICENCE, LIST, NOW, Piece, WITNESSES, World, canonical, did_key, entry, issuing_key, status,
};

const HOUR: u64 = 3_600;

fn standard() -> Policy {
    Policy::built_in("standard").expect("built in")
}

fn at(snapshot: &Arc<Snapshot>, bytes: &[u8], now: u64) -> Verdict {
    verify(bytes, snapshot, &standard(), Time::from_secs_saturating(now))
}

fn judge(world: &World, bytes: &[u8]) -> Verdict {
    at(&world.snapshot(), bytes, NOW + 60)
}

#[track_caller]
fn assert_code(verdict: &Verdict, code: Code) {
    assert_eq!(verdict.code(), Some(code), "{}", shown(verdict));
    assert!(!verdict.reason().is_empty());
}

#[track_caller]
fn assert_accepted(verdict: &Verdict) {
    assert_eq!(verdict.outcome(), Outcome::Accepted, "{}", shown(verdict));
    assert_eq!(verdict.exit(), 0);
}

fn shown(verdict: &Verdict) -> String {
    verdict.checks.iter().map(|c| format!("\n{} {}: {}", c.name.as_str(), c.code_text(), c.reason)).collect()
}

fn good() -> Vec<u8> {
    Draft::default().issue()
}

fn list_with(indices: &[u64]) -> Vec<u8> {
    let list = StatusList::new(LIST, "revocation", 1, 1024).expect("a list");
    let set: Vec<(u64, u8)> = indices.iter().map(|i| (*i, 1)).collect();
    list.edited(1024, &set).expect("a list").encode()
}

#[test]
fn accepts_in_all_three_formats_with_ages_path_and_evidence() {
    let snapshot = World::new().snapshot();
    for format in [Format::VcJwt, Format::EddsaJcs2022, Format::EddsaRdfc2022] {
        let verdict = at(&snapshot, &Draft { format, ..Draft::default() }.issue(), NOW + 60);
        assert_accepted(&verdict);
        let ages = verdict.ages().expect("ages");
        assert_eq!((ages.witnessed.age_s, ages.published.age_s, ages.charter.age_s), (Some(60), Some(60), Some(60)));
        assert_eq!(ages.fresh_until_at, Time::from_secs(NOW + 24 * HOUR));
        assert_eq!(verdict.trust.path.len(), 2);
        let trust = &verdict.trust;
        assert_eq!((trust.witnesses, trust.witnesses_needed, trust.witnesses_named), (Some(3), 2, 3));
        assert!(verdict.warnings.is_empty() && verdict.needs.is_empty());
        assert_eq!(verdict.checks.iter().map(|c| c.name).collect::<Vec<_>>(), CheckName::ALL);
        assert_eq!(verdict.check(CheckName::Holder).map(|c| c.result), Some(CheckResult::Skipped));
        for name in [CheckName::Signature, CheckName::Issuer, CheckName::Authority, CheckName::Status] {
            assert!(!verdict.check(name).expect("a check").evidence.is_empty(), "{name:?}");
        }
        assert!(serde_json::to_string(&verdict).expect("JSON").contains("standfast/verdict/v1"));
    }
}

#[test]
fn the_same_arguments_give_the_same_verdict() {
    let (world, bytes) = (World::new(), good());
    let snapshot = world.snapshot();
    assert_eq!(at(&snapshot, &bytes, NOW), at(&snapshot, &bytes, NOW));
    assert_eq!(at(&snapshot, &bytes, NOW), at(&world.snapshot(), &bytes, NOW));
}

#[test]
fn bytes_that_are_no_credential_are_malformed() {
    for bytes in [&b"%PDF-1.7"[..], b"", b"{}", b"a.b.c", &[0xff; 64]] {
        let verdict = judge(&World::new(), bytes);
        assert_code(&verdict, Code::FormatMalformed);
        assert_eq!(verdict.exit(), 2);
    }
}

#[test]
fn a_format_that_the_policy_leaves_out_is_refused() {
    let mut policy = standard();
    policy.formats.retain(|format| format != "vc+jwt");
    let verdict = verify(&good(), &World::new().snapshot(), &policy, Time::from_secs_saturating(NOW));
    assert_code(&verdict, Code::FormatRefused);
}

#[test]
fn a_forged_signature_rejects_at_any_age() {
    let forged =
        Draft::default().issue_by(&issuing_key("harbour"), "did:web:transport.example", "k1", &Contexts::builtin());
    let snapshot = World::new().snapshot();
    assert_code(&at(&snapshot, &forged, NOW), Code::SignatureMismatch);
    assert_code(&at(&snapshot, &forged, NOW + 90 * 24 * HOUR), Code::SignatureMismatch);
}

#[test]
fn a_key_of_somebody_else_is_not_the_issuers() {
    let bytes = Draft::default().issue();
    let text = String::from_utf8(bytes).expect("text");
    // The same claims under a key of another DID: signed anew, so that only the binding is wrong.
    let payload = text.split('.').nth(1).expect("a payload").to_owned();
    let header =
        data_encoding::BASE64URL_NOPAD.encode(br#"{"alg":"EdDSA","kid":"did:web:harbour.example#k1","typ":"vc+jwt"}"#);
    let input = format!("{header}.{payload}");
    let signature = data_encoding::BASE64URL_NOPAD.encode(&issuing_key("harbour").sign(input.as_bytes()));
    assert_code(&judge(&World::new(), format!("{input}.{signature}").as_bytes()), Code::IssuerUnbound);
}

#[test]
fn a_key_that_is_not_in_the_document_rejects_only_on_fresh_data() {
    let bytes =
        Draft::default().issue_by(&issuing_key("transport"), "did:web:transport.example", "k9", &Contexts::builtin());
    let snapshot = World::new().snapshot();
    assert_code(&at(&snapshot, &bytes, NOW), Code::KeyAbsent);
    assert_code(&at(&snapshot, &bytes, NOW + 25 * HOUR), Code::DidMissing);
}

#[test]
fn a_key_withdrawn_by_a_pending_entry_rejects() {
    let mut world = World::new();
    world.publish("transport", vec![(did_key("did:web:transport.example"), None)]);
    assert_code(&judge(&world, &good()), Code::KeyWithdrawn);
    assert_code(&at(&world.snapshot(), &good(), NOW + 90 * 24 * HOUR), Code::KeyWithdrawn);
}

#[test]
fn a_withdrawn_key_does_not_hide_a_forgery() {
    let mut world = World::new();
    world.publish("transport", vec![(did_key("did:web:transport.example"), None)]);
    let forged =
        Draft::default().issue_by(&issuing_key("harbour"), "did:web:transport.example", "k1", &Contexts::builtin());
    assert_code(&judge(&world, &forged), Code::SignatureMismatch);
}

/// The document of transport with the key `#k2` beside `#k1`.
fn two_keys() -> Vec<u8> {
    let (did, key) = ("did:web:transport.example", |name| issuing_key(name).public().to_multikey());
    let method = |id: &str, key: String| {
        format!(r##"{{"controller":"{did}","id":"{did}#{id}","publicKeyMultibase":"{key}","type":"Multikey"}}"##)
    };
    let text = format!(
        r##"{{"assertionMethod":["{did}#k1","{did}#k2"],"id":"{did}","verificationMethod":[{},{}]}}"##,
        method("k1", key("transport")),
        method("k2", key("second"))
    );
    canonical(&text)
}

#[test]
fn a_key_that_only_a_pending_entry_has_is_pending() {
    let mut world = World::new();
    let bytes =
        Draft::default().issue_by(&issuing_key("second"), "did:web:transport.example", "k2", &Contexts::builtin());
    world.publish("transport", vec![(did_key("did:web:transport.example"), Some(two_keys()))]);
    let verdict = judge(&world, &bytes);
    assert_code(&verdict, Code::KeyPending);
    assert_eq!(verdict.check(CheckName::Signature).map(|c| c.result), Some(CheckResult::Passed));
    world.settle(NOW + 30);
    assert_accepted(&judge(&world, &bytes));
}

#[test]
fn without_the_document_nothing_is_said_about_its_keys() {
    let world = World::new();
    let document = world.document("transport").1.expect("a body");
    assert_code(&at(&without_body(&world, &document), &good(), NOW), Code::DidMissing);
}

fn without_body(world: &World, body: &[u8]) -> Arc<Snapshot> {
    let is_it = |piece: &Piece| matches!(piece, Piece::Body(record) if record.body().as_ref() == body);
    world.snapshot_without(world.pieces.iter().position(is_it).expect("the body was sent"))
}

#[test]
fn a_did_key_issuer_needs_no_document() {
    let mut world = World::new();
    let key = SecretKey::from_seed(&[77; 32]);
    let did = did::key::did_of(key.public());
    let fragment = did.strip_prefix("did:key:").expect("a did:key").to_owned();
    let body = format!(
        r#"{{"action":"issue","entity":"{did}","resource":"{LICENCE}","valid_from":0,"valid_until":{}}}"#,
        NOW + 10 * 86_400
    );
    world.publish("ministry", vec![(RecordKey::trust(&did, "issue", LICENCE).expect("a key"), Some(canonical(&body)))]);
    world.settle(NOW + 10);
    let draft = Draft { status: None, ..Draft::default() };
    assert_accepted(&judge(&world, &draft.issue_by(&key, &did, &fragment, &Contexts::builtin())));
    let forged = draft.issue_by(&SecretKey::from_seed(&[78; 32]), &did, &fragment, &Contexts::builtin());
    assert_code(&judge(&world, &forged), Code::SignatureMismatch);
    // A status has no register to stand in.
    assert_code(
        &judge(&world, &Draft::default().issue_by(&key, &did, &fragment, &Contexts::builtin())),
        Code::StatusMissing,
    );
}

#[test]
fn a_stranger_is_not_authorised_and_stale_data_cannot_say_so() {
    let bytes = Draft { issuer: "stranger", ..Draft::default() }.issue();
    let snapshot = World::new().snapshot();
    let verdict = at(&snapshot, &bytes, NOW);
    assert_code(&verdict, Code::AuthorityAbsent);
    assert_eq!(verdict.outcome(), Outcome::Rejected);
    assert_code(&at(&snapshot, &bytes, NOW + 25 * HOUR), Code::AuthorityUnknown);
}

#[test]
fn a_grant_that_is_only_pending_decides_nothing() {
    let mut world = World::new();
    world.publish("ministry", vec![world.issue("harbour", LICENCE, "")]);
    world.publish("harbour", vec![world.document("harbour")]);
    let bytes = Draft { issuer: "harbour", status: None, ..Draft::default() }.issue();
    assert_code(&judge(&world, &bytes), Code::AuthorityPending);
    world.settle(NOW + 30);
    assert_accepted(&judge(&world, &bytes));
}

#[test]
fn a_register_that_is_not_held_leaves_strangers_undecided() {
    let mut world = World::new();
    world.publish("interior", vec![world.recognize("harbour", "*")]);
    world.settle(NOW + 10);
    let bytes = Draft { issuer: "stranger", ..Draft::default() }.issue();
    assert_code(&judge(&world, &bytes), Code::RegisterMissing);
    assert_accepted(&judge(&world, &good()));
}

#[test]
fn a_grant_that_a_pending_entry_takes_back_rejects_at_any_age() {
    let mut world = World::new();
    world.publish("ministry", vec![(world.issue("transport", LICENCE, "").0, None)]);
    assert_code(&judge(&world, &good()), Code::AuthorityWithdrawn);
    assert_code(&at(&world.snapshot(), &good(), NOW + 90 * 24 * HOUR), Code::AuthorityWithdrawn);
}

#[test]
fn a_recognition_that_is_taken_back_rejects_what_it_led_to() {
    let mut world = World::new();
    world.publish("interior", vec![(world.recognize("ministry", "*").0, None)]);
    assert_code(&judge(&world, &good()), Code::AuthorityWithdrawn);
    let stranger = Draft { issuer: "stranger", ..Draft::default() }.issue();
    assert_code(&judge(&world, &stranger), Code::AuthorityAbsent);
}

#[test]
fn a_grant_ends_with_its_window() {
    let mut world = World::new();
    world.publish("ministry", vec![world.issue_until("transport", LICENCE, NOW - 10, "")]);
    world.settle(NOW + 10);
    assert_code(&judge(&world, &good()), Code::AuthorityExpired);
}

#[test]
fn an_extra_type_never_borrows_authority() {
    let types = vec![LICENCE.to_owned(), "https://gov.example/Passport".to_owned()];
    let bytes = Draft { types, ..Draft::default() }.issue();
    let verdict = judge(&World::new(), &bytes);
    assert_code(&verdict, Code::TypeUnauthorised);
    assert!(verdict.reason().contains("Passport"), "{}", verdict.reason());
}

#[test]
fn a_credential_without_a_type_of_its_own_is_nobodys() {
    let bytes = Draft { types: Vec::new(), ..Draft::default() }.issue();
    assert_code(&judge(&World::new(), &bytes), Code::TypeUnauthorised);
}

#[test]
fn validity_is_a_half_open_window() {
    let snapshot = World::new().snapshot();
    let bytes = Draft { until: Some(NOW + 100), from: NOW - 100, ..Draft::default() }.issue();
    assert_accepted(&at(&snapshot, &bytes, NOW + 99));
    assert_code(&at(&snapshot, &bytes, NOW + 100), Code::ValidityExpired);
    let early = Draft { from: NOW + 100, ..Draft::default() }.issue();
    assert_code(&at(&snapshot, &early, NOW + 99), Code::ValidityEarly);
    assert_accepted(&at(&snapshot, &early, NOW + 100));
}

#[test]
fn an_expiry_by_the_witnesses_time_alone_is_disputed() {
    let bytes = Draft { until: Some(NOW - 100), ..Draft::default() }.issue();
    let verdict = at(&World::new().snapshot(), &bytes, NOW - 200);
    assert_code(&verdict, Code::ClockDisputed);
    assert_eq!(verdict.clock.used_at.secs(), NOW);
}

#[test]
fn a_device_whose_clock_is_behind_is_judged_by_the_witnesses_time() {
    let verdict = at(&World::new().snapshot(), &good(), 0);
    assert_accepted(&verdict);
    assert_eq!(verdict.ages().and_then(|a| a.witnessed.age_s), Some(0));
}

#[test]
fn a_revocation_rejects_witnessed_or_pending_at_any_age() {
    let mut world = World::new();
    world.publish("transport", vec![(status(LIST), Some(list_with(&[7])))]);
    assert_code(&judge(&world, &good()), Code::StatusRevoked);
    assert_code(&at(&world.snapshot(), &good(), NOW + 90 * 24 * HOUR), Code::StatusRevoked);
    assert_accepted(&judge(&world, &Draft { status: Some(entry(LIST, 8)), ..Draft::default() }.issue()));
    world.settle(NOW + 30);
    let verdict = judge(&world, &good());
    assert_code(&verdict, Code::StatusRevoked);
    assert!(verdict.reason().starts_with("revoked by its issuer"), "{}", verdict.reason());
}

#[test]
fn a_pending_entry_cannot_reinstate() {
    let mut world = World::new();
    world.publish("transport", vec![(status(LIST), Some(list_with(&[7])))]);
    world.settle(NOW + 10);
    world.publish("transport", vec![(status(LIST), Some(list_with(&[])))]);
    assert_code(&judge(&world, &good()), Code::StatusRevoked);
}

fn other_list(uri: &str, purpose: &str, length: u64, set: &[(u64, u8)]) -> Vec<u8> {
    StatusList::new(uri, purpose, 1, length).expect("a list").edited(length, set).expect("a list").encode()
}

#[test]
fn a_suspension_is_told_apart_and_an_unnamed_purpose_only_shown() {
    let mut world = World::new();
    let (held, note) = ("https://transport.example/status/2", "https://transport.example/status/3");
    world.publish(
        "transport",
        vec![
            (status(held), Some(other_list(held, "suspension", 64, &[(3, 1)]))),
            (status(note), Some(other_list(note, "message", 64, &[(3, 1)]))),
        ],
    );
    world.settle(NOW + 10);
    let with = |list: &str, purpose: &str| {
        let status = standfast_protocol::credential::StatusEntry { purpose: purpose.to_owned(), ..entry(list, 3) };
        judge(&world, &Draft { status: Some(status), ..Draft::default() }.issue())
    };
    assert_code(&with(held, "suspension"), Code::StatusSuspended);
    let verdict = with(note, "message");
    assert_accepted(&verdict);
    assert!(verdict.check(CheckName::Status).expect("a check").reason.contains("index 3 is 1"));
    // The credential may not choose under which purpose its list is read.
    assert_code(&with(held, "message"), Code::StatusMissing);
}

#[test]
fn a_list_that_is_not_held_whole_decides_nothing() {
    let world = World::new();
    assert_code(&at(&without_body(&world, &list_with(&[])), &good(), NOW), Code::StatusMissing);
    let elsewhere = Draft { status: Some(entry("https://transport.example/status/9", 1)), ..Draft::default() };
    assert_code(&judge(&world, &elsewhere.issue()), Code::StatusMissing);
}

#[test]
fn a_removed_list_decides_nothing() {
    let mut world = World::new();
    world.publish("transport", vec![(status(LIST), None)]);
    assert_code(&judge(&world, &good()), Code::StatusMissing);
}

#[test]
fn a_list_in_another_register_is_foreign() {
    let mut world = World::new();
    let list = "https://harbour.example/status/1";
    world.publish("interior", vec![world.recognize("harbour", "*")]);
    world.publish("harbour", vec![(status(list), Some(other_list(list, "revocation", 64, &[])))]);
    world.settle(NOW + 10);
    let verdict = judge(&world, &Draft { status: Some(entry(list, 1)), ..Draft::default() }.issue());
    assert_code(&verdict, Code::StatusForeign);
    assert_eq!(verdict.outcome(), Outcome::Indeterminate);
}

#[test]
fn an_index_beyond_the_list_rejects_only_on_fresh_data() {
    let snapshot = World::new().snapshot();
    let bytes = Draft { status: Some(entry(LIST, 5000)), ..Draft::default() }.issue();
    assert_code(&at(&snapshot, &bytes, NOW), Code::StatusOutOfRange);
    assert_code(&at(&snapshot, &bytes, NOW + 25 * HOUR), Code::StatusMissing);
}

#[test]
fn a_grant_can_demand_a_status() {
    let mut world = World::new();
    world.publish("ministry", vec![world.issue("transport", LICENCE, r#","status":"required""#)]);
    world.settle(NOW + 10);
    assert_accepted(&judge(&world, &good()));
    assert_code(&judge(&world, &Draft { status: None, ..Draft::default() }.issue()), Code::StatusRequired);
}

#[test]
fn a_mass_withdrawal_waits_for_a_quorum() {
    let mut world = World::new();
    let list = "https://transport.example/status/2";
    world.publish("transport", vec![(status(list), Some(other_list(list, "revocation", 65_536, &[])))]);
    world.settle(NOW + 10);
    let set: Vec<(u64, u8)> = (0..2_000).map(|i| (i, 1)).collect();
    world.publish("transport", vec![(status(list), Some(other_list(list, "revocation", 65_536, &set)))]);
    let bytes = Draft { status: Some(entry(list, 7)), ..Draft::default() }.issue();
    assert_code(&judge(&world, &bytes), Code::MassWithdrawal);
    world.settle(NOW + 30);
    assert_code(&judge(&world, &bytes), Code::StatusRevoked);
}

#[test]
fn holder_binding_is_missing_where_it_is_demanded() {
    let policy = Policy { holder: true, ..standard() };
    let verdict = verify(&good(), &World::new().snapshot(), &policy, Time::from_secs_saturating(NOW));
    assert_code(&verdict, Code::HolderUnproven);
}

#[test]
fn stale_data_decides_nothing_and_says_what_would() {
    let snapshot = World::new().snapshot();
    assert_accepted(&at(&snapshot, &good(), NOW + 24 * HOUR));
    let verdict = at(&snapshot, &good(), NOW + 31 * HOUR);
    assert_code(&verdict, Code::StaleWitnessed);
    assert_eq!((verdict.exit(), verdict.needs.len()), (3, 3));
    let need = &verdict.needs[0];
    assert_eq!(need.have, Time::from_secs(NOW).map(|t| t.to_string()));
    assert_eq!(need.want, Time::from_secs(NOW + 7 * HOUR).map(|t| t.to_string()));
    assert!(verdict.reason().contains("31 h ago"), "{}", verdict.reason());
    assert!(verdict.ages().is_some());
}

#[test]
fn views_refresh_what_was_witnessed() {
    let mut world = World::new();
    let later = NOW + 48 * HOUR;
    for name in ["interior", "ministry", "transport"] {
        world.stamp(name, later);
    }
    world.view(later, &WITNESSES[..1], &[]);
    assert_code(&at(&world.snapshot(), &good(), later), Code::StaleWitnessed);
    world.view(later, &WITNESSES[1..2], &[]);
    assert_accepted(&at(&world.snapshot(), &good(), later));
}

#[test]
fn a_silent_owner_makes_data_stale() {
    let mut world = World::new();
    let later = NOW + 8 * 24 * HOUR;
    for name in ["interior", "ministry"] {
        world.stamp(name, later);
    }
    world.view(later, &WITNESSES, &[]);
    let verdict = at(&world.snapshot(), &good(), later);
    assert_code(&verdict, Code::StalePublished);
    assert!(verdict.reason().contains("transport.example"), "{}", verdict.reason());
}

#[test]
fn an_old_charter_is_stale_and_an_ended_one_expired() {
    let policy = Policy { limits: standard().limits, ..standard() };
    let mut policy = policy;
    policy.limits.witnessed_s = u64::MAX;
    policy.limits.published_s = u64::MAX;
    let mut world = World::new();
    let on = |world: &World, now| verify(&good(), &world.snapshot(), &policy, Time::from_secs_saturating(now));
    assert_code(&on(&world, NOW + 31 * 24 * HOUR), Code::StaleCharter);
    let mut ended = World::bare();
    ended.end_charter_at(NOW + 1_000);
    std::mem::swap(&mut world.charter, &mut ended.charter);
    world.view(NOW + 1, &WITNESSES, &[]);
    assert_accepted(&on(&world, NOW + 999));
    assert!(on(&world, NOW + 999).warnings.contains(&Warning::CharterExpiresSoon));
    assert_code(&on(&world, NOW + 1_000), Code::CharterExpired);
}

#[test]
fn a_second_limit_accepts_with_a_warning() {
    let policy = Policy::built_in("degraded").expect("built in");
    let verdict = verify(&good(), &World::new().snapshot(), &policy, Time::from_secs_saturating(NOW + 31 * HOUR));
    assert_accepted(&verdict);
    assert_eq!(verdict.warnings, [Warning::StaleTolerated]);
}

/// Signs another history of the register of transport.
fn forked() -> World {
    let mut world = World::new();
    let list = "https://transport.example/status/8";
    world.publish("transport", vec![(status(list), Some(other_list(list, "revocation", 64, &[])))]);
    world.settle(NOW + 10);
    let list = "https://transport.example/status/9";
    world.publish_on("transport", 1, vec![(status(list), Some(other_list(list, "revocation", 64, &[])))]);
    world
}

#[test]
fn a_forked_register_stands_while_it_is_fresh_and_not_longer() {
    let snapshot = forked().snapshot();
    let verdict = at(&snapshot, &good(), NOW + 60);
    assert_accepted(&verdict);
    assert_eq!(verdict.warnings, [Warning::RegisterForked]);
    let verdict = at(&snapshot, &good(), NOW + 26 * HOUR);
    assert_code(&verdict, Code::RegisterForked);
    assert_eq!(verdict.exit(), 4);
    // Tampering has no second limit.
    let policy = Policy::built_in("degraded").expect("built in");
    let verdict = verify(&good(), &snapshot, &policy, Time::from_secs_saturating(NOW + 26 * HOUR));
    assert_code(&verdict, Code::RegisterForked);
}

#[test]
fn the_other_branch_of_a_fork_can_still_revoke() {
    let mut world = forked();
    world.publish_on("transport", 1, vec![(status(LIST), Some(list_with(&[7])))]);
    // A third branch is not kept; the first other one decides.
    let mut other = World::new();
    other.publish("transport", vec![(did_key("did:web:transport.example"), Some(two_keys()))]);
    other.settle(NOW + 10);
    other.publish_on("transport", 1, vec![(status(LIST), Some(list_with(&[7])))]);
    assert_code(&judge(&other, &good()), Code::StatusRevoked);
}

#[test]
fn a_forked_register_never_says_no() {
    let snapshot = forked().snapshot();
    let absent =
        Draft::default().issue_by(&issuing_key("transport"), "did:web:transport.example", "k9", &Contexts::builtin());
    assert_code(&at(&snapshot, &absent, NOW + 60), Code::DidMissing);
    let beyond = Draft { status: Some(entry(LIST, 5000)), ..Draft::default() }.issue();
    assert_code(&at(&snapshot, &beyond, NOW + 60), Code::StatusMissing);
}

/// Packs bytes as GZIP without compressing them, and writes them as `encodedList`.
fn encoded_list(bytes: &[u8]) -> String {
    let crc = !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| (c >> 1) ^ if c & 1 == 1 { 0xedb8_8320 } else { 0 })
    });
    let len = u16::try_from(bytes.len()).expect("one stored block");
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    packed.extend(len.to_le_bytes().into_iter().chain((!len).to_le_bytes()).chain(bytes.iter().copied()));
    packed.extend(crc.to_le_bytes().into_iter().chain(u32::from(len).to_le_bytes()));
    format!("u{}", data_encoding::BASE64URL_NOPAD.encode(&packed))
}

fn foreign_list(set: &[usize], signer: &str) -> Vec<u8> {
    foreign_list_of(131_072, set, signer)
}

fn foreign_list_of(length: usize, set: &[usize], signer: &str) -> Vec<u8> {
    let mut bits = vec![0_u8; length / 8];
    for index in set {
        bits[index / 8] |= 0x80 >> (index % 8);
    }
    let text = format!(
        r#"{{"@context":["https://www.w3.org/ns/credentials/v2"],"id":"{FOREIGN}","issuer":"did:web:transport.example",
            "type":["VerifiableCredential","BitstringStatusListCredential"],
            "credentialSubject":{{"type":"BitstringStatusList","statusPurpose":"revocation","encodedList":"{}"}}}}"#,
        encoded_list(&bits)
    );
    let json = Json::parse(text.as_bytes()).expect("JSON");
    issue_vc_jwt(&json, "did:web:transport.example#k1", &issuing_key(signer)).expect("a token").into_bytes()
}

const FOREIGN: &str = "https://transport.example/status/w3c";

#[test]
fn a_foreign_list_counts_only_under_a_key_of_the_issuer() {
    let mut world = World::new();
    let with = |index| Draft { status: Some(entry(FOREIGN, index)), ..Draft::default() }.issue();
    world.publish("transport", vec![(status(FOREIGN), Some(foreign_list(&[5], "transport")))]);
    assert_code(&judge(&world, &with(5)), Code::StatusMissing);
    world.settle(NOW + 10);
    assert_accepted(&judge(&world, &with(4)));
    assert_code(&judge(&world, &with(5)), Code::StatusRevoked);
    assert_code(&judge(&world, &with(200_000)), Code::StatusOutOfRange);
    world.publish("transport", vec![(status(FOREIGN), Some(foreign_list(&[4], "transport")))]);
    assert_code(&judge(&world, &with(4)), Code::StatusRevoked);
    assert_code(&judge(&world, &with(5)), Code::StatusRevoked);
    assert_accepted(&judge(&world, &with(6)));
    world.publish("transport", vec![(status(FOREIGN), Some(foreign_list(&[], "harbour")))]);
    assert_code(&judge(&world, &with(6)), Code::StatusForeign);
}

const TERMS: &str = "https://gov.example/contexts/v1";

fn context(iri: &str) -> Vec<u8> {
    canonical(&format!(r#"{{"@context":{{"Permit":"{iri}"}}}}"#))
}

fn permit(world: &mut World, publisher: &str, iri: &str) {
    world.publish(publisher, vec![(RecordKey::context(TERMS).expect("a key"), Some(context(iri)))]);
    world.settle(NOW + 10);
}

fn permitted() -> Vec<u8> {
    Draft { types: vec!["Permit".to_owned()], contexts: vec![TERMS.to_owned()], ..Draft::default() }.issue()
}

#[test]
fn a_context_counts_only_from_the_path() {
    let mut world = World::new();
    assert_code(&judge(&world, &permitted()), Code::ContextMissing);
    world.publish("interior", vec![world.recognize("harbour", "*")]);
    permit(&mut world, "harbour", LICENCE);
    let verdict = judge(&world, &permitted());
    assert_code(&verdict, Code::ContextMissing);
    assert_eq!(verdict.outcome(), Outcome::Indeterminate);
    permit(&mut world, "ministry", LICENCE);
    let verdict = judge(&world, &permitted());
    assert_accepted(&verdict);
    assert_eq!(verdict.credential.types, [LICENCE]);
}

#[test]
fn another_context_off_the_path_does_not_matter_and_on_the_path_conflicts() {
    let mut world = World::new();
    world.publish("interior", vec![world.recognize("harbour", "*")]);
    permit(&mut world, "harbour", "https://gov.example/Other");
    permit(&mut world, "ministry", LICENCE);
    assert_accepted(&judge(&world, &permitted()));
    permit(&mut world, "transport", "https://gov.example/Other");
    assert_code(&judge(&world, &permitted()), Code::ContextConflict);
}

#[test]
fn without_trust_the_verdict_says_so() {
    let mut world = World::new();
    world.publish("interior", vec![(world.recognize("ministry", "*").0, None)]);
    let policy = Policy { trust: false, ..standard() };
    let verdict = verify(&good(), &world.snapshot(), &policy, Time::from_secs_saturating(NOW));
    assert_accepted(&verdict);
    assert_eq!(verdict.warnings, [Warning::TrustOff]);
    let forged =
        Draft::default().issue_by(&issuing_key("harbour"), "did:web:transport.example", "k1", &Contexts::builtin());
    let verdict = verify(&forged, &world.snapshot(), &policy, Time::from_secs_saturating(NOW));
    assert_code(&verdict, Code::SignatureMismatch);
}

#[test]
fn an_empty_verifier_decides_nothing() {
    let verdict = judge(&World::bare(), &good());
    assert_eq!(verdict.outcome(), Outcome::Indeterminate, "{}", shown(&verdict));
    assert_code(&verdict, Code::RegisterMissing);
}

/// A document of transport; `{did}` and `{key}` stand for its DID and its issuing key.
fn document_of(text: &str) -> Vec<u8> {
    let key = issuing_key("transport").public();
    let text = text.replace("{did}", TRANSPORT).replace("{jwk}", &did::jwk::write_key(key).to_string());
    canonical(&text.replace("{key}", &key.to_multikey()))
}

const TRANSPORT: &str = "did:web:transport.example";

const AS_JWK: &str = r#"{"assertionMethod":["{did}#k1"],"id":"{did}","verificationMethod":[
    {"controller":"{did}","id":"{did}#k1","publicKeyJwk":{jwk},"type":"JsonWebKey"}]}"#;
const AS_MULTIKEY: &str = r#"{"assertionMethod":["{did}#k1"],"id":"{did}","verificationMethod":[
    {"controller":"{did}","id":"{did}#k1","publicKeyMultibase":"{key}","type":"Multikey"}]}"#;

/// The standard world with another document of transport, witnessed.
fn with_document(text: &str) -> World {
    let mut world = World::new();
    world.publish("transport", vec![(did_key(TRANSPORT), Some(document_of(text)))]);
    world.settle(NOW + 10);
    world
}

fn then_document(mut world: World, text: &str) -> World {
    world.publish("transport", vec![(did_key(TRANSPORT), Some(document_of(text)))]);
    world
}

#[test]
fn a_key_written_as_a_jwk_counts_and_is_taken_back_like_any_other() {
    assert_accepted(&judge(&with_document(AS_JWK), &good()));
    let pending = then_document(with_document(r#"{"id":"{did}"}"#), AS_JWK);
    assert_code(&judge(&pending, &good()), Code::KeyPending);
    // Another form of the same key takes nothing back, another key does.
    assert_accepted(&judge(&then_document(with_document(AS_JWK), AS_MULTIKEY), &good()));
    assert_accepted(&judge(&then_document(with_document(AS_MULTIKEY), AS_JWK), &good()));
    let other = AS_JWK.replace("{jwk}", &did::jwk::write_key(issuing_key("second").public()).to_string());
    assert_code(&judge(&then_document(with_document(AS_JWK), &other), &good()), Code::KeyWithdrawn);
    assert_code(&judge(&then_document(with_document(AS_JWK), r#"{"id":"{did}"}"#), &good()), Code::KeyWithdrawn);
    let secret = AS_JWK.replace("{jwk}", r#"{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}"#);
    assert_code(&judge(&with_document(&secret), &good()), Code::DidMissing);
}

#[test]
fn a_method_counts_embedded_and_under_a_relative_id_for_its_purpose_alone() {
    let method = r##"{"controller":"{did}","id":"#k1","publicKeyMultibase":"{key}","type":"Multikey"}"##;
    let embedded = |purpose: &str| with_document(&format!(r#"{{"{purpose}":[{method}],"id":"{{did}}"}}"#));
    assert_accepted(&judge(&embedded("assertionMethod"), &good()));
    assert_code(&judge(&embedded("authentication"), &good()), Code::KeyAbsent);
    let relative = format!(r##"{{"assertionMethod":["#k1"],"id":"{{did}}","verificationMethod":[{method}]}}"##);
    assert_accepted(&judge(&with_document(&relative), &good()));
    assert_code(&judge(&then_document(embedded("assertionMethod"), r#"{"id":"{did}"}"#), &good()), Code::KeyWithdrawn);
}

fn with_end(member: &str, at: u64) -> String {
    let end = format!(r#""{member}":"{}","type":"Multikey""#, Time::from_secs_saturating(at));
    AS_MULTIKEY.replace(r#""type":"Multikey""#, &end)
}

#[test]
fn a_method_counts_until_it_expires_or_was_revoked() {
    for member in ["expires", "revoked"] {
        let snapshot = with_document(&with_end(member, NOW + 100)).snapshot();
        assert_accepted(&at(&snapshot, &good(), NOW + 99));
        assert_code(&at(&snapshot, &good(), NOW + 100), Code::KeyWithdrawn);
        assert_code(&at(&snapshot, &good(), NOW + 90 * 24 * HOUR), Code::KeyWithdrawn);
        let world = with_document(&with_end(member, NOW - 100));
        assert_code(&at(&world.snapshot(), &good(), NOW - 200), Code::ClockDisputed);
        let world = then_document(World::new(), &with_end(member, NOW - 100));
        assert_code(&judge(&world, &good()), Code::KeyWithdrawn);
        // A pending entry cannot take the end away.
        assert_code(
            &judge(&then_document(with_document(&with_end(member, NOW)), AS_MULTIKEY), &good()),
            Code::KeyWithdrawn,
        );
    }
}

#[test]
fn a_pending_document_that_cannot_be_read_whole_leaves_its_keys_open() {
    let broken = with_end("revoked", NOW - 100)
        .replace("]}", r#",{"controller":"{did}","expires":"soon","id":"{did}#k2","type":"Multikey"}]}"#);
    assert_code(&judge(&then_document(World::new(), &broken), &good()), Code::DidMissing);
}

#[test]
fn a_webvh_document_is_never_taken_on_a_registers_word() {
    let did = "did:webvh:QmX7:transport.example";
    let mut world = World::new();
    let grant = world.issue("transport", LICENCE, "").1.expect("a body");
    let grant = String::from_utf8(grant).expect("text").replace("did:web:transport.example", did);
    let document = String::from_utf8(document_of(AS_MULTIKEY)).expect("text").replace(TRANSPORT, did);
    let key = RecordKey::trust(did, "issue", LICENCE).expect("a key");
    world.publish("ministry", vec![(key, Some(grant.into_bytes()))]);
    world.publish("transport", vec![(did_key(did), Some(document.into_bytes()))]);
    world.settle(NOW + 10);
    let bytes = Draft::default().issue_by(&issuing_key("transport"), did, "k1", &Contexts::builtin());
    assert_code(&judge(&world, &bytes), Code::DidMissing);
}

#[test]
fn a_frozen_register_stands_while_it_is_fresh_and_never_says_no() {
    let mut world = World::new();
    let mut ground = world.agencies["transport"].grounds.last().expect("a ground").clone();
    ground.state = Default::default();
    world.agencies.get_mut("transport").expect("an agency").grounds.push(ground);
    // Signed over another state than its own: the entry is not valid.
    world.publish_on("transport", 2, vec![(status(LIST), Some(list_with(&[7])))]);
    let snapshot = world.snapshot();
    assert!(snapshot.held(&world.agencies["transport"].origin).expect("held").register().frozen().is_some());
    let verdict = at(&snapshot, &good(), NOW + 60);
    assert_accepted(&verdict);
    assert_eq!(verdict.warnings, [Warning::RegisterFrozen], "it has one history, and stopped");
    let verdict = at(&snapshot, &good(), NOW + 26 * HOUR);
    assert_code(&verdict, Code::RegisterFrozen);
    assert_eq!(verdict.exit(), 4);
    let absent = Draft::default().issue_by(&issuing_key("transport"), TRANSPORT, "k9", &Contexts::builtin());
    assert_code(&at(&snapshot, &absent, NOW + 60), Code::DidMissing);
    let beyond = Draft { status: Some(entry(LIST, 5000)), ..Draft::default() }.issue();
    assert_code(&at(&snapshot, &beyond, NOW + 60), Code::StatusMissing);
}

/// The register of transport is lost: ministry binds that of harbour in its place, after all that was published.
fn recovered(revoked: &[u64]) -> World {
    let mut world = World::new();
    world.publish("transport", vec![(status(LIST), Some(list_with(revoked)))]);
    world.settle(NOW + 5);
    let old = &world.agencies["transport"];
    let edge = &old.grounds.last().expect("a ground").edge;
    let after = format!(r#","after":{{"origin":"{}","root":"{}","size":{}}}}}"#, old.origin, edge.root(), edge.size());
    let binding = world.agencies["harbour"].binding();
    let binding = format!("{}{after}", binding.strip_suffix('}').expect("an object"));
    let grant = format!(
        r#"{{"action":"issue","entity":"{TRANSPORT}","register":{binding},"resource":"{LICENCE}","valid_from":0,"valid_until":{}}}"#,
        NOW + 86_400
    );
    let key = RecordKey::trust(TRANSPORT, "issue", LICENCE).expect("a key");
    let document = world.document("transport");
    world.publish("harbour", vec![document, (status(LIST), Some(other_list(LIST, "revocation", 65_536, &[])))]);
    world.publish("ministry", vec![(key, Some(canonical(&grant)))]);
    world.settle(NOW + 10);
    world
}

#[test]
fn what_the_register_before_had_revoked_stays_revoked() {
    let with = |index| Draft { status: Some(entry(LIST, index)), ..Draft::default() }.issue();
    let world = recovered(&[7]);
    assert_accepted(&judge(&world, &with(8)));
    let verdict = judge(&world, &with(7));
    assert_code(&verdict, Code::StatusRevoked);
    assert!(verdict.reason().contains("in the register before"), "{}", verdict.reason());
    // Without that register up to there, nobody knows.
    let mut forgetful = recovered(&[7]);
    let old = forgetful.agencies["transport"].origin.clone();
    forgetful
        .pieces
        .retain(|piece| !matches!(piece, Piece::Head(head, first, _) if head.checkpoint().origin == old && *first > 0));
    assert_code(&judge(&forgetful, &with(8)), Code::StatusMissing);
}

#[test]
fn the_brake_on_mass_withdrawal_does_not_hide_what_the_register_before_had_revoked() {
    let mut world = recovered(&[7]);
    let set: Vec<(u64, u8)> = (0..2_000).map(|i| (i, 1)).collect();
    world.publish("harbour", vec![(status(LIST), Some(other_list(LIST, "revocation", 65_536, &set)))]);
    let with = |index| Draft { status: Some(entry(LIST, index)), ..Draft::default() }.issue();
    assert_code(&judge(&world, &with(8)), Code::MassWithdrawal);
    assert_code(&judge(&world, &with(7)), Code::StatusRevoked);
}

#[test]
fn a_network_without_witnesses_is_good_enough_only_where_the_policy_says_so() {
    let mut world = World::new();
    world.dismiss_witnesses();
    let snapshot = world.snapshot();
    let verdict = at(&snapshot, &good(), NOW + 60);
    assert_code(&verdict, Code::StaleWitnessed);
    assert!(!verdict.reason().contains("never last"), "{}", verdict.reason());
    let policy = Policy { quorum_none: true, ..standard() };
    let on = |now| verify(&good(), &snapshot, &policy, Time::from_secs_saturating(now));
    let verdict = on(NOW + 60);
    assert_accepted(&verdict);
    let ages = verdict.ages().expect("ages");
    assert_eq!((ages.witnessed.age_s, ages.published.age_s, ages.charter.age_s), (None, Some(60), None));
    assert_code(&on(NOW + 8 * 24 * HOUR), Code::StalePublished);
    // What is published counts at once, and a removal too.
    world.publish("transport", vec![(status(LIST), Some(list_with(&[7])))]);
    let verdict = verify(&good(), &world.snapshot(), &policy, Time::from_secs_saturating(NOW + 60));
    assert_code(&verdict, Code::StatusRevoked);
}

#[test]
fn a_foreign_list_counts_only_while_the_key_that_signed_it_does() {
    let mut world = then_document(
        World::new(),
        &with_end("revoked", NOW + 100).replace(r#""{did}#k1"]"#, r#""{did}#k1","{did}#k2"]"#).replace(
            "]}",
            &format!(
                r#",{{"controller":"{{did}}","id":"{{did}}#k2","publicKeyMultibase":"{}","type":"Multikey"}}]}}"#,
                issuing_key("second").public().to_multikey()
            ),
        ),
    );
    world.publish("transport", vec![(status(FOREIGN), Some(foreign_list(&[5], "transport")))]);
    world.settle(NOW + 10);
    let status = Some(entry(FOREIGN, 4));
    let bytes =
        Draft { status, ..Draft::default() }.issue_by(&issuing_key("second"), TRANSPORT, "k2", &Contexts::builtin());
    let snapshot = world.snapshot();
    assert_accepted(&at(&snapshot, &bytes, NOW + 99));
    assert_code(&at(&snapshot, &bytes, NOW + 100), Code::StatusForeign);
}

#[test]
fn a_foreign_list_is_beyond_its_end_only_in_values_of_its_own_size_and_in_every_version() {
    let mut world = World::new();
    let with = |index, size_bits| {
        let status = Some(standfast_protocol::credential::StatusEntry { size_bits, ..entry(FOREIGN, index) });
        Draft { status, ..Draft::default() }.issue()
    };
    world.publish("transport", vec![(status(FOREIGN), Some(foreign_list(&[5], "transport")))]);
    world.settle(NOW + 10);
    assert_code(&judge(&world, &with(4, 2)), Code::StatusMissing);
    let longer = foreign_list_of(262_144, &[5], "transport");
    world.publish("transport", vec![(status(FOREIGN), Some(longer))]);
    assert_code(&judge(&world, &with(200_000, 1)), Code::StatusMissing);
    assert_accepted(&judge(&world, &with(4, 1)));
    world.settle(NOW + 30);
    assert_accepted(&judge(&world, &with(200_000, 1)));
    world.publish("transport", vec![(status(FOREIGN), Some(foreign_list(&[5], "transport")))]);
    assert_code(&judge(&world, &with(200_000, 1)), Code::StatusMissing);
}

#[test]
fn a_context_that_may_be_off_the_path_refuses_nothing() {
    let mut world = World::new();
    world.publish("interior", vec![world.recognize("harbour", "*")]);
    permit(&mut world, "harbour", "https://gov.example/Other");
    // What `Permit` means on the path of transport is not known: only harbour, which is not on it, says something.
    let verdict = judge(&world, &permitted());
    assert_eq!(verdict.outcome(), Outcome::Indeterminate, "{}", shown(&verdict));
    // To somebody whom nobody lets issue anything, it does not matter.
    let draft = Draft { types: vec!["Permit".to_owned()], contexts: vec![TERMS.to_owned()], ..Draft::default() };
    assert_code(&judge(&world, &Draft { issuer: "stranger", ..draft.clone() }.issue()), Code::AuthorityAbsent);
    // Nor is a signature judged by such a context.
    let key = SecretKey::from_seed(&[77; 32]);
    let did = did::key::did_of(key.public());
    let fragment = did.strip_prefix("did:key:").expect("a did:key").to_owned();
    let contexts = Contexts::builtin().with(TERMS, context(LICENCE).into()).expect("a context");
    let draft = Draft { status: None, format: Format::EddsaRdfc2022, ..draft };
    let verdict = judge(&world, &draft.issue_by(&key, &did, &fragment, &contexts));
    assert_ne!(verdict.check(CheckName::Signature).map(|c| c.result), Some(CheckResult::Failed), "{}", shown(&verdict));
}

#[test]
fn a_verdict_that_cannot_decide_says_what_it_needs() {
    let mut world = World::new();
    world.publish("ministry", vec![world.issue("harbour", LICENCE, "")]);
    let bytes = Draft { issuer: "harbour", status: None, ..Draft::default() }.issue();
    let verdict = judge(&world, &bytes);
    assert_code(&verdict, Code::AuthorityPending);
    assert_eq!(verdict.needs.iter().map(|need| need.code).collect::<Vec<_>>(), [Code::AuthorityPending]);
    let document = World::new().document("transport").1.expect("a body");
    let verdict = at(&without_body(&World::new(), &document), &good(), NOW);
    assert_eq!(verdict.needs.first().map(|need| need.code), Some(Code::DidMissing));
    assert!(verdict.needs.iter().all(|need| need.register.is_some()), "{:?}", verdict.needs);
}

fn members(value: &serde_json::Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn a_verdict_is_written_with_null_for_what_is_absent() {
    let json = |verdict: &Verdict| serde_json::to_value(verdict).expect("JSON");
    let mut accepted = json(&judge(&World::new(), &good()));
    accepted.sort_all_objects();
    assert_eq!(
        members(&accepted),
        [
            "action",
            "ages",
            "checks",
            "clock",
            "code",
            "credential",
            "exit",
            "kind",
            "needs",
            "outcome",
            "policy",
            "reason",
            "trust",
            "warnings"
        ]
    );
    assert_eq!(members(&accepted["ages"]), ["charter", "fresh_until_at", "published", "witnessed"]);
    assert_eq!(members(&accepted["ages"]["charter"]), ["age_s", "limit_s", "register"]);
    assert_eq!(members(&accepted["clock"]), ["bound_at", "device_at", "used_at"]);
    assert_eq!(members(&accepted["policy"]), ["name", "sha256", "trust"]);
    assert_eq!(members(&accepted["checks"][0]), ["code", "evidence", "name", "reason", "result"]);
    assert_eq!(members(&accepted["checks"][1]["evidence"][0]), ["as_of_at", "record", "register", "root", "size"]);
    assert_eq!((accepted["code"].as_str(), accepted["exit"].as_u64()), (Some("accepted"), Some(0)));
    let unreadable = json(&judge(&World::new(), b"%PDF-1.7"));
    assert!(unreadable["ages"].is_null() && unreadable["trust"]["witnesses"].is_null());
    for member in ["source", "format", "issuer", "key", "valid_from_at", "valid_until_at"] {
        assert!(unreadable["credential"][member].is_null(), "{member}");
    }
    let unlimited = json(&judge(&World::new(), &Draft { until: None, ..Draft::default() }.issue()));
    assert!(unlimited["credential"]["valid_until_at"].is_null());
}

/// Worlds of every kind, with what is verified in each.
fn panel() -> Vec<(World, Vec<u8>)> {
    let mut pending = World::new();
    pending.publish("ministry", vec![pending.issue("harbour", LICENCE, "")]);
    pending.publish("harbour", vec![pending.document("harbour")]);
    let harbour = Draft { issuer: "harbour", status: None, ..Draft::default() }.issue();
    let mut revoked = World::new();
    revoked.publish("transport", vec![(status(LIST), Some(list_with(&[7])))]);
    revoked.settle(NOW + 20);
    let mut rotated = World::new();
    rotated.publish("transport", vec![(did_key("did:web:transport.example"), Some(two_keys()))]);
    let second =
        Draft::default().issue_by(&issuing_key("second"), "did:web:transport.example", "k2", &Contexts::builtin());
    let mut withdrawn = World::new();
    withdrawn.publish("ministry", vec![(withdrawn.issue("transport", LICENCE, "").0, None)]);
    let mut contexts = World::new();
    permit(&mut contexts, "ministry", LICENCE);
    let stranger = Draft { issuer: "stranger", ..Draft::default() }.issue();
    let extra =
        Draft { types: vec![LICENCE.to_owned(), "https://gov.example/X".to_owned()], ..Draft::default() }.issue();
    let beyond = Draft { status: Some(entry(LIST, 5000)), ..Draft::default() }.issue();
    vec![
        (World::new(), good()),
        (World::new(), stranger),
        (World::new(), extra),
        (World::new(), beyond),
        (pending, harbour),
        (revoked, good()),
        (rotated, second),
        (withdrawn, good()),
        (forked(), good()),
        (contexts, permitted()),
    ]
}

#[test]
fn no_missing_piece_accepts_and_no_missing_body_rejects() {
    for (number, (world, bytes)) in panel().into_iter().enumerate() {
        let whole = judge(&world, &bytes);
        for (place, piece) in world.pieces.iter().enumerate() {
            if matches!(piece, Piece::Head(..)) {
                continue; // entries held are what the property is about
            }
            let without = at(&world.snapshot_without(place), &bytes, NOW + 60);
            let context = format!("world {number}, piece {place}: {piece:?}\n{}\n{}", shown(&whole), shown(&without));
            if without.outcome() == Outcome::Accepted {
                assert_eq!(whole.outcome(), Outcome::Accepted, "{context}");
            }
            if matches!(piece, Piece::Body(_)) && without.outcome() == Outcome::Rejected {
                assert_eq!(whole.outcome(), Outcome::Rejected, "{context}");
            }
        }
    }
}

#[test]
fn a_clock_behind_the_bound_accepts_exactly_where_the_bound_does() {
    for (world, bytes) in panel() {
        let snapshot = world.snapshot();
        let bound = snapshot.clock_bound().expect("a bound");
        let accepted = |now| at(&snapshot, &bytes, now).outcome() == Outcome::Accepted;
        for behind in [0, NOW / 2, bound - 1] {
            assert_eq!(accepted(behind), accepted(bound));
        }
    }
}
