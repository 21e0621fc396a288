//! ToIP TRQP v2: what one authority says, what is not known, and proofs that the charter alone is enough to check.

use std::path::Path;

use serde_json::{Value, json};
use standfast_protocol::charter::{Charter, SignedCharter};
use standfast_protocol::credential::json::Json;
use standfast_protocol::log::note::Note;
use standfast_protocol::policy::Policy;
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::time::Time;
use standfast_protocol::trust::path_to;
use standfast_protocol::trust::trqp::{CheckError, Checked, Kind, Question, check, prove};
use standfast_protocol::verdict::Code;
use standfast_protocol::verify::{Ruling, answer};
use standfast_tests::cluster::{Answer, Federation, Node};
use standfast_tests::interop::python;
use standfast_tests::skip::unless_missing;
use standfast_tests::vectors::foreign_folder;
use standfast_tests::world::{LICENCE, NOW, World};

const INTERIOR: &str = "did:web:interior.example";
const MINISTRY: &str = "did:web:ministry.example";
const TRANSPORT: &str = "did:web:transport.example";
const HOUR: u64 = 3_600;

fn time(secs: u64) -> Time {
    Time::from_secs_saturating(secs)
}

fn body(authority: &str, entity: &str, action: &str, resource: &str) -> Value {
    json!({"authority_id": authority, "entity_id": entity, "action": action, "resource": resource})
}

fn question(kind: Kind, body: &Value) -> Question {
    Question::parse(kind, body.to_string().as_bytes()).expect("a question")
}

fn may(entity: &str, resource: &str) -> Question {
    question(Kind::Authorization, &body(MINISTRY, entity, "issue", resource))
}

fn ask(snapshot: &Snapshot, question: &Question, now: u64) -> Ruling {
    let policy = Policy::built_in("standard").expect("built in");
    answer(question, snapshot, &policy, time(now)).ruling
}

/// Answers as a node does, with the proof.
fn told(world: &World, question: &Question, now: u64) -> String {
    let (snapshot, policy) = (world.snapshot(), Policy::built_in("standard").expect("built in"));
    let found = answer(question, &snapshot, &policy, time(now));
    let anchors = snapshot.charter().anchors();
    let at = found.at.secs();
    let (is_yes, path) = match found.ruling {
        Ruling::Yes(path) => (true, Some(*path)),
        Ruling::No(_) => {
            let path = path_to(&*snapshot, anchors, &question.authority, &question.action, &[&question.resource], at);
            (false, path.ok())
        }
        other => panic!("{other:?}"),
    };
    let proof = path.and_then(|path| prove(snapshot.replica(), &path, question, is_yes, at, now));
    question.answered(is_yes, "", found.evaluated, proof)
}

fn checked(world: &World, question: &Question, answer: &str, now: u64) -> Result<Checked, CheckError> {
    check(question, answer.as_bytes(), world.charter.charter(), time(now))
}

fn has_proof(answer: &str) -> bool {
    Json::parse(answer.as_bytes()).expect("JSON").get("proof").is_some()
}

#[test]
fn a_yes_names_its_path_and_its_proof_needs_the_charter_alone() {
    let (world, question) = (World::new(), may(TRANSPORT, LICENCE));
    let Ruling::Yes(path) = ask(&world.snapshot(), &question, NOW + 60) else { panic!("expected a yes") };
    assert_eq!(path.steps.len(), 2);
    let answer = told(&world, &question, NOW + 60);
    let checked = checked(&world, &question, &answer, NOW + 120).expect("it holds");
    assert!(checked.answer());
    assert_eq!((checked.at(), checked.witnessed_at()), (time(NOW + 60), time(NOW)));
    let entities: Vec<&str> = checked.steps().iter().map(|step| step.entity.as_str()).collect();
    assert_eq!(entities, [INTERIOR, MINISTRY]);
}

#[test]
fn a_no_is_proven_by_what_is_not_there() {
    let world = World::new();
    for question in [may(TRANSPORT, "https://gov.example/Other"), may("did:web:nobody.example", LICENCE)] {
        assert!(matches!(ask(&world.snapshot(), &question, NOW + 60), Ruling::No(_)));
        let answer = told(&world, &question, NOW + 60);
        assert!(!checked(&world, &question, &answer, NOW + 120).expect("it holds").answer());
    }
}

#[test]
fn an_altered_answer_does_not_hold() {
    let (world, question) = (World::new(), may(TRANSPORT, LICENCE));
    let (yes, other) = (told(&world, &question, NOW + 60), may(TRANSPORT, "https://gov.example/Other"));
    let no = told(&world, &other, NOW + 60);
    let fails = |question: &Question, answer: &str| checked(&world, question, answer, NOW + 120).expect_err("altered");
    let flipped = |answer: &str, from: &str, to: &str| {
        answer.replace(&format!(r#""authorized":{from}"#), &format!(r#""authorized":{to}"#))
    };
    assert_eq!(fails(&question, &flipped(&yes, "true", "false")), CheckError::Contradicted(false));
    assert_eq!(fails(&other, &flipped(&no, "false", "true")), CheckError::Contradicted(true));
    // An answer to another question, and one that is made to look like one to this.
    assert_eq!(fails(&other, &yes), CheckError::OtherQuestion("resource"));
    let forged =
        yes.replace(r#""resource":"https://gov.example/Licence""#, r#""resource":"https://gov.example/Other""#);
    assert!(matches!(fails(&other, &forged), CheckError::OtherRecord(_)));
    let by_interior = question_of(INTERIOR);
    let forged = yes.replace(MINISTRY, INTERIOR);
    assert!(matches!(fails(&by_interior, &forged), CheckError::OtherAuthority { .. } | CheckError::Proof(_)));
    let later = yes.replace(&time(NOW + 60).to_string(), &time(NOW + HOUR).to_string());
    assert_eq!(fails(&question, &later), CheckError::Future(time(NOW + HOUR)));
    // One of the two records of a no is not enough.
    let mut half: Value = serde_json::from_str(&no).expect("JSON");
    half["proof"]["records"].as_array_mut().expect("records").truncate(1);
    assert!(matches!(fails(&other, &half.to_string()), CheckError::Incomplete(_)));
    half["proof"] = Value::Null;
    assert_eq!(fails(&other, &half.to_string()), CheckError::NoProof);
    // No byte of the proof can change.
    let whole: Value = serde_json::from_str(&yes).expect("JSON");
    let record = whole["proof"]["records"][0].as_str().expect("text").to_owned();
    for place in (0..record.len()).step_by(7) {
        let mut bytes = record.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let mut altered = whole.clone();
        altered["proof"]["records"][0] = text.into();
        assert!(checked(&world, &question, &altered.to_string(), NOW + 120).is_err(), "byte {place}");
    }
}

fn question_of(authority: &str) -> Question {
    question(Kind::Authorization, &body(authority, TRANSPORT, "issue", LICENCE))
}

#[test]
fn another_networks_charter_proves_nothing() {
    let (world, question) = (World::new(), may(TRANSPORT, LICENCE));
    let answer = told(&world, &question, NOW + 60);
    let mut other = World::new();
    other.dismiss_witnesses();
    let mut bare = World::bare();
    bare.end_charter_at(NOW + 100);
    let now = time(NOW + 120);
    assert_eq!(
        check(&question, answer.as_bytes(), bare.charter.charter(), now),
        Err(CheckError::CharterExpired(time(NOW + 100)))
    );
    let unwitnessed = check(&question, answer.as_bytes(), other.charter.charter(), now);
    assert!(matches!(unwitnessed, Err(CheckError::TooOld { age_s: None, .. })), "{unwitnessed:?}");
}

#[test]
fn what_is_not_known_is_neither_yes_nor_no() {
    let (world, yes) = (World::new(), may(TRANSPORT, LICENCE));
    let no = may(TRANSPORT, "https://gov.example/Other");
    let unknown = |snapshot: &Snapshot, question: &Question, now| match ask(snapshot, question, now) {
        Ruling::Unknown { code, .. } => code,
        other => panic!("expected that it is not known, came {other:?}"),
    };
    let snapshot = world.snapshot();
    assert_eq!(unknown(&snapshot, &yes, NOW + 26 * HOUR), Code::StaleWitnessed);
    assert_eq!(unknown(&snapshot, &no, NOW + 26 * HOUR), Code::AuthorityUnknown);
    let answer = told(&world, &yes, NOW + 60);
    let late = checked(&world, &yes, &answer, NOW + 26 * HOUR);
    assert!(matches!(late, Err(CheckError::TooOld { age_s: Some(_), .. })), "{late:?}");
    let mut expired = World::new();
    expired.end_charter_at(NOW + 30);
    assert_ne!(ask(&expired.snapshot(), &yes, NOW + 60), ask(&snapshot, &yes, NOW + 60));
    let mut pending = World::new();
    pending.publish("ministry", vec![pending.issue("transport", "https://gov.example/Other", "")]);
    assert_eq!(unknown(&pending.snapshot(), &no, NOW + 60), Code::AuthorityPending);
    let mut unread = World::new();
    unread.publish_unreadable("ministry");
    assert_eq!(unknown(&unread.snapshot(), &yes, NOW + 60), Code::UpgradeNeeded);
    assert_eq!(unknown(&unread.snapshot(), &no, NOW + 60), Code::UpgradeNeeded);
    // Whatever piece is missing, no yes becomes a no, and no no a yes.
    for place in 0..world.pieces.len() {
        let snapshot = world.snapshot_without(place);
        assert!(!matches!(ask(&snapshot, &yes, NOW + 60), Ruling::No(_) | Ruling::NoAuthority), "piece {place}");
        assert!(!matches!(ask(&snapshot, &no, NOW + 60), Ruling::Yes(_) | Ruling::NoAuthority), "piece {place}");
    }
}

#[test]
fn a_withdrawal_counts_before_it_is_witnessed_and_has_no_proof() {
    let (mut world, question) = (World::new(), may(TRANSPORT, LICENCE));
    let (key, _) = world.issue("transport", LICENCE, "");
    world.publish("ministry", vec![(key, None)]);
    assert!(matches!(ask(&world.snapshot(), &question, NOW + 60), Ruling::No(_)));
    let answer = told(&world, &question, NOW + 60);
    assert!(!has_proof(&answer));
    assert_eq!(checked(&world, &question, &answer, NOW + 60), Err(CheckError::NoProof));
    // A replayed yes is as old as its heads, and says so.
    world.settle(NOW + 100);
    let answer = told(&world, &question, NOW + 120);
    assert!(!checked(&world, &question, &answer, NOW + 120).expect("it holds").answer());
}

#[test]
fn a_time_is_answered_from_the_windows_held_today() {
    let mut world = World::new();
    let until = NOW + 10 * HOUR;
    world.publish("ministry", vec![world.issue_until("harbour", LICENCE, until, "")]);
    world.settle(NOW + 1);
    for (at, expected) in [(NOW - 400 * 86_400, true), (until - 1, true), (until, false)] {
        let mut body = body(MINISTRY, "did:web:harbour.example", "issue", LICENCE);
        body["context"] = json!({"time": time(at).to_string()});
        let question = question(Kind::Authorization, &body);
        let answer = told(&world, &question, NOW + 60);
        let checked = checked(&world, &question, &answer, NOW + 60).expect("it holds");
        assert_eq!((checked.answer(), checked.at()), (expected, time(at)), "{at}");
        assert!(answer.contains("time_requested"), "{answer}");
    }
}

#[test]
fn an_entry_for_all_resources_answers_for_each() {
    let mut world = World::new();
    world.publish("ministry", vec![world.issue("harbour", "*", "")]);
    world.settle(NOW + 1);
    let question = may("did:web:harbour.example", LICENCE);
    let answer = told(&world, &question, NOW + 60);
    assert!(checked(&world, &question, &answer, NOW + 60).expect("it holds").answer());
}

#[test]
fn a_recognition_is_asked_by_label_or_by_what_it_covers() {
    let world = World::new();
    let ask = |entity: &str, action: &str, resource: &str| {
        let question = question(Kind::Recognition, &body(INTERIOR, entity, action, resource));
        let answer = told(&world, &question, NOW + 60);
        let said = answer.contains(r#""recognized":true"#);
        (said, has_proof(&answer).then(|| checked(&world, &question, &answer, NOW + 60).map(|c| c.answer())))
    };
    assert_eq!(ask(MINISTRY, "issue", LICENCE), (true, Some(Ok(true))));
    assert_eq!(ask(MINISTRY, "recognize", "main"), (true, Some(Ok(true))));
    assert_eq!(ask(MINISTRY, "recognize", "other"), (false, Some(Ok(false))));
    // The names of recognitions are free, so that there is none cannot be shown.
    assert_eq!(ask(TRANSPORT, "issue", LICENCE), (false, None));
    assert_eq!(ask(MINISTRY, "verify", LICENCE), (false, None));
}

#[test]
fn an_authority_that_nobody_names_is_not_known() {
    let world = World::new();
    let of = |authority: &str| ask(&world.snapshot(), &question_of(authority), NOW + 60);
    assert_eq!(of("did:web:stranger.example"), Ruling::NoAuthority);
    // It issues, and is nobody's authority.
    assert_eq!(of(TRANSPORT), Ruling::NoAuthority);
    let mut narrow = World::bare();
    narrow.publish("interior", vec![narrow.recognize("ministry", "https://gov.example/Other")]);
    narrow.publish("ministry", vec![narrow.issue("transport", LICENCE, "")]);
    narrow.settle(NOW);
    assert!(matches!(ask(&narrow.snapshot(), &question_of(MINISTRY), NOW + 60), Ruling::No(_)), "out of its scope");
}

// ---- over HTTP -----------------------------------------------------------------------------------------------------

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn post(node: &Node, path: &str, body: &Value) -> Answer {
    node.http("POST", path, &[JSON], body.to_string().as_bytes())
}

fn charter_of(node: &Node) -> Charter {
    let note = std::fs::read(node.dir().join("charter.note")).expect("a file");
    let signed = SignedCharter::authenticate_first(Note::parse(&note).expect("a note")).expect("a charter");
    signed.charter().clone()
}

#[test]
fn a_node_answers_over_http_and_a_stranger_checks_it_by_the_charter() {
    let mut federation = Federation::new(Path::new(env!("CARGO_BIN_EXE_standfast-under-test")), 1);
    federation.witnesses[0].start();
    let address = federation.witnesses[0].address();
    let mut node = federation.publishing_node();
    node.peers = vec![address];
    node.start();
    node.connected(1);
    for part in federation.founding() {
        node.publish(&part);
    }
    for origin in [&federation.interior.origin, &federation.ministry.origin, &federation.transport.origin] {
        node.witnessed(origin, 1);
    }
    node.status_when("all ages", |status| {
        let registers = status["registers"].as_array().expect("registers");
        registers.iter().all(|r| r["witnessed_age_s"].is_u64() && r["published_age_s"].is_u64())
            && status["charter"]["age_s"].is_u64()
    });
    let licence = standfast_tests::world::LICENCE;
    let mut yes = body(MINISTRY, TRANSPORT, "issue", licence);
    yes["context"] = json!({"locator": "x"});
    yes["unknown"] = json!(["member"]);
    let mut past = body(MINISTRY, TRANSPORT, "issue", licence);
    past["context"] = json!({"time": "2020-01-01T00:00:00Z"});
    let asked = [
        ("/authorization", Kind::Authorization, yes, true),
        ("/authorization", Kind::Authorization, past, true),
        ("/authorization", Kind::Authorization, body(MINISTRY, TRANSPORT, "issue", "https://gov.example/Other"), false),
        ("/recognition", Kind::Recognition, body(INTERIOR, MINISTRY, "issue", licence), true),
        ("/recognition", Kind::Recognition, body(INTERIOR, MINISTRY, "recognize", "else"), false),
    ];
    let charter = charter_of(&node);
    let now = time(standfast_tests::cluster::now());
    let mut documents = Vec::new();
    for (path, kind, body, expected) in asked {
        let answer = post(&node, path, &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let question = question(kind, &body);
        let checked =
            check(&question, &answer.body, &charter, now).unwrap_or_else(|e| panic!("{e:?}: {}", answer.text()));
        assert_eq!(checked.answer(), expected, "{body}");
        let said = answer.json();
        assert_eq!(said[kind.member()], expected, "{said}");
        assert_eq!(said["context"], body["context"], "{said}");
        let mut forged = said.clone();
        forged[kind.member()] = json!(!expected);
        assert_eq!(
            check(&question, forged.to_string().as_bytes(), &charter, now),
            Err(CheckError::Contradicted(!expected))
        );
        let name = &path[1..];
        documents.push((format!("trqp_{name}_request.schema.json"), body));
        documents.push((format!("trqp_{name}_response.schema.json"), said));
    }
    let resolved = node.get("/1.0/identifiers/did:web:transport.example").json();
    let metadata = &resolved["didDocumentMetadata"];
    assert_eq!(metadata["register"], federation.transport.origin.as_str(), "{resolved}");
    assert!(metadata["witnessed_age_s"].is_u64() && metadata["published_at"].is_string(), "{resolved}");
    refuses(&node);
    // Every question and answer is of the form that the specification's schemas demand.
    let (Some(folder), Some(python)) = (foreign_folder(), unless_missing(python())) else { return };
    let schemas = folder.join("trqp-schemas/specification/v2/core/schema");
    let job = |(schema, document): &(String, Value)| json!({"schema": schemas.join(schema), "document": document});
    let mut jobs: Vec<Value> = documents.iter().map(job).collect();
    let broken = json!({"schema": schemas.join("trqp_authorization_response.schema.json"), "document":
        {"entity_id": "e", "authority_id": "a", "action": "x", "resource": "r", "authorized": "yes", "time_evaluated": "now"}});
    jobs.push(broken);
    let mut found = python.check_schemas(&Value::from(jobs));
    assert!(
        found.pop().flatten().is_some_and(|errors| errors.contains("authorized") && errors.contains("time_evaluated"))
    );
    assert_eq!(found, vec![None; documents.len()]);
}

/// What is no question, or has no answer, is a problem of RFC 7807.
fn refuses(node: &Node) {
    let good = body(MINISTRY, TRANSPORT, "issue", LICENCE);
    let mut bad_time = good.clone();
    bad_time["context"] = json!({"time": "yesterday"});
    let no_resource = json!({"authority_id": MINISTRY, "entity_id": TRANSPORT, "action": "issue"});
    let stranger = body("did:web:stranger.example", TRANSPORT, "issue", LICENCE);
    for (body, status, code) in [
        (no_resource, 400, "malformed"),
        (bad_time, 400, "malformed"),
        (json!([]), 400, "malformed"),
        (body(INTERIOR, MINISTRY, "recognize", "main"), 400, "malformed"),
        (stranger, 404, "authority-absent"),
    ] {
        let answer = post(node, "/authorization", &body);
        let problem = answer.json();
        assert_eq!((answer.status, &problem["status"]), (status, &json!(status)), "{body}: {problem}");
        assert!(problem["type"].as_str().is_some_and(|kind| kind.ends_with(code)), "{problem}");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        assert!(problem.get("authorized").is_none());
    }
    let text = good.to_string();
    // A page in a browser may send this without asking.
    assert_eq!(node.http("POST", "/authorization", &[("Content-Type", "text/plain")], text.as_bytes()).status, 400);
    assert_eq!(node.http("POST", "/authorization?policy=lax", &[JSON], text.as_bytes()).status, 400);
    assert_eq!(node.get("/authorization").status, 405);
    // The exception is for these two alone.
    assert_eq!(node.http("POST", "/v1/verify", &[JSON], b"x").status, 403);
}
