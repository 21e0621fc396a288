use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use standfast_protocol::codec::CborError;
use standfast_protocol::digest::Digest;
use standfast_protocol::key::VerifierKey;
use standfast_protocol::log::checkpoint::{HeadError, SignedHead};
use standfast_protocol::log::cosignature::Cosignature;
use standfast_protocol::log::note::Note;
use standfast_protocol::log::policy::Quorum;
use standfast_protocol::register::body::{Bodies, Record};
use standfast_protocol::register::entry::{Entry, EntryError};
use standfast_protocol::register::fact::{After, Fact, Terms};
use standfast_protocol::register::query::{KeyQuery, Recovery, StatusQuery};
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::register::state::{Register, Witnessing};
use standfast_tests::vectors::{self, base64, digest, hex, list, number, same, text};

#[test]
fn registers() {
    if let Some(folder) = vectors::model() {
        check_all(&folder);
    }
}

/// Checks the file in this folder.
pub(super) fn check_all(folder: &Path) {
    let (file, mut report) = vectors::open(folder, "registers.json");
    let bodies = bodies(&file);
    let mut before = BTreeMap::new();
    for case in list(&file["cases"]) {
        let name = text(&case["name"]);
        let mut register = start(case);
        report.check(name, check(case, &mut register, &held(&bodies, case), &before, false));
        before.insert(name.to_owned(), register);
    }
    report.finish();
}

/// A register that begins at its state at W, without the entries before, reaches the same facts as one that replayed
/// them all (design §13, "light equals full").
#[test]
fn registers_from_their_state_at_w() {
    if let Some(folder) = vectors::model() {
        check_light(&folder);
    }
}

/// Checks the file in this folder.
pub(super) fn check_light(folder: &Path) {
    let (file, mut report) = vectors::open(folder, "registers.json");
    let bodies = bodies(&file);
    let mut before = BTreeMap::new();
    for case in list(&file["cases"]) {
        let mut full = start(case);
        for step in list(&case["steps"]) {
            drop(offer(&mut full, step));
        }
        let name = text(&case["name"]);
        before.insert(name.to_owned(), full.clone());
        let (Some(stand), None) = (full.witnessed_stand(), full.frozen()) else { continue };
        if full.newest_head().is_none_or(|head| head.checkpoint().size < full.size_newest()) {
            continue; // the head over an entry of a later version has to be asked for
        }
        if full.size_witnessed() == 0 || full.fork_point().is_some_and(|point| point < full.size_witnessed()) {
            continue; // nothing to start from, or a branch that parts before it
        }
        report.check(name, light(case, &full, stand, &held(&bodies, case), &before));
    }
    report.finish();
}

/// Returns all bodies of the file.
pub(super) fn bodies(file: &Value) -> Vec<Arc<Record>> {
    let bodies = file["bodies"].as_object().expect("bodies").values();
    bodies.map(|body| Arc::new(Record::new(base64(body)))).collect()
}

fn light(
    case: &Value,
    full: &Register,
    stand: &standfast_protocol::register::state::Stand,
    bodies: &Bodies,
    before: &BTreeMap<String, Register>,
) -> Result<(), String> {
    let w = full.size_witnessed();
    let (last, proof) = full.proof_of_last(w).ok_or("no proof of the last entry")?;
    let mut light = Register::from_state(
        full.keys(),
        full.witnessing().clone(),
        stand.head().clone(),
        stand.cosignatures().cloned().collect(),
        (last.clone(), proof),
        full.state_witnessed().clone(),
    )
    .map_err(|error| error.to_string())?;
    same("proof of the last entry", light.proof_of_last(w), full.proof_of_last(w))?;
    let pending: Vec<Bytes> = full.pending().map(|entry| entry.bytes().clone()).collect();
    for stand in full.stands_from(w + 1) {
        let to = usize::try_from(stand.head().checkpoint().size - w).expect("small");
        let from = usize::try_from(light.size_newest() - w).expect("small");
        let cosignatures = stand.cosignatures().cloned().collect();
        drop(light.admit(stand.head().clone(), cosignatures, light.size_newest(), &pending[from..to]));
    }
    let point = full.fork_point();
    for stand in full.stands_other() {
        let tail: Vec<Bytes> = full.entries_other().map(|entry| entry.bytes().clone()).collect();
        let point = point.expect("another branch");
        let to = usize::try_from(stand.head().checkpoint().size - point).expect("small");
        let cosignatures = stand.cosignatures().cloned().collect();
        drop(light.admit(stand.head().clone(), cosignatures, point, &tail[..to]));
    }
    if light.fork_point() != full.fork_point() {
        return Ok(()); // the other branch came with no head that could be kept: it has to be asked for
    }
    same("recognitions", light.recognitions(), full.recognitions())?;
    same("other", light.size_other(), full.size_other())?;
    same("bodies", light.bodies_needed(), full.bodies_needed())?;
    check(case, &mut light, bodies, before, true)
}

/// True where we are more careful than the model (`specs/tests.md`), which compares a list of the other branch with the
/// newest version whose body it holds. If that of a version between them is missing, the model may grant what the
/// missing body would take away, or reject for what it would show to have been there before: removing a body would
/// grant, or reject. No vector of seed 1 is of this kind.
fn is_more_careful(case: &Value, register: &Register, query: &Value, found: &(String, String, Value)) -> bool {
    let careful = query["kind"] == "status" && (found.0.as_str(), found.1.as_str()) == ("unusable", "body-missing");
    let Some(point) = register.fork_point().filter(|_| careful) else { return false };
    let key = RecordKey::status(text(&query["list"])).expect("a key");
    let missing: Vec<Digest> = list(&case["bodies_missing"]).iter().filter_map(digest).collect();
    let changes = register.entries_other().flat_map(Entry::changes).filter(|change| change.key == key);
    let at_point = register.state_at(point).and_then(|state| state.get(key.as_str().as_bytes()));
    changes.filter_map(|change| change.digest).chain(at_point).any(|digest| missing.contains(&digest))
}

/// Makes the empty register of a case.
pub(super) fn start(case: &Value) -> Register {
    let keys: Vec<VerifierKey> = list(&case["keys"]).iter().map(|key| text(key).parse().expect("a key")).collect();
    let quorum = Quorum::parse(text(&case["policy"])).expect("a policy");
    let admitting: BTreeSet<_> = list(&case["admitting"]).iter().map(|name| text(name).to_owned()).collect();
    Register::new(text(&case["origin"]), &keys, Arc::new(Witnessing::new(quorum, admitting)))
}

/// Returns the bodies that a case holds.
pub(super) fn held(bodies: &[Arc<Record>], case: &Value) -> Bodies {
    let missing: Vec<_> = list(&case["bodies_missing"]).iter().filter_map(digest).collect();
    bodies.iter().filter(|record| !missing.contains(&record.digest())).cloned().collect()
}

fn check(
    case: &Value,
    register: &mut Register,
    bodies: &Bodies,
    before: &BTreeMap<String, Register>,
    light: bool,
) -> Result<(), String> {
    if !light {
        for (at, step) in list(&case["steps"]).iter().enumerate() {
            same(&format!("step {at}"), offer(register, step).as_str(), text(&step["outcome"]))?;
        }
        same("forked", Some(register.is_forked()), case["forked"].as_bool())?;
    }
    same("n", register.size_newest(), number(&case["n"]))?;
    same("w", register.size_witnessed(), number(&case["w"]))?;
    same("frozen", register.frozen().map(|frozen| reason(&frozen.error)), case["frozen"].as_str())?;
    same("fork_point", register.fork_point(), case["fork_point"].as_u64())?;
    same("w_root", register.root_at(register.size_witnessed()), digest(&case["w_root"]))?;
    same("w_state_root", Some(register.state_witnessed().root()), digest(&case["w_state_root"]))?;
    same("state at N", register.state_at(register.size_newest()).as_ref(), Some(register.state_newest()))?;
    let after = after(case);
    let old = case.get("old").and_then(Value::as_str).map(|name| &before[name]);
    for (at, expected) in list(&case["facts"]).iter().enumerate() {
        let recovery = after.as_ref().map(|after| Recovery { after, old });
        let found = ask(register, bodies, &expected["query"], recovery);
        if is_more_careful(case, register, &expected["query"], &found) {
            continue;
        }
        let expected = (text(&expected["outcome"]), text(&expected["reason"]), &expected["terms"]);
        same(&format!("fact {at}"), (found.0.as_str(), found.1.as_str(), &found.2), expected)?;
    }
    Ok(())
}

/// Returns the point in the register before at which the binding of a case begins.
pub(super) fn after(case: &Value) -> Option<After> {
    case.get("after").filter(|after| after.is_object()).map(|after| After {
        origin: text(&after["origin"]).to_owned(),
        size: number(&after["size"]),
        root: digest(&after["root"]).expect("a root"),
    })
}

/// Offers one step; returns the code of its outcome.
pub(super) fn offer(register: &mut Register, step: &Value) -> String {
    let note = Note::parse(text(&step["note"]).as_bytes()).expect("a note");
    let head = match SignedHead::authenticate(note.clone(), register.origin(), register.keys()) {
        Ok(head) => head,
        Err(HeadError::WrongOrigin) => return "wrong-origin".to_owned(),
        Err(error) => return error.to_string(),
    };
    let witnesses = register.witnessing().quorum.witnesses();
    let cosignatures = Cosignature::all_in(&note, head.checkpoint(), witnesses).unwrap_or_default();
    let entries: Vec<_> = list(&step["entries"]).iter().map(|entry| Bytes::from(hex(entry))).collect();
    register.admit(head, cosignatures, number(&step["first"]), &entries).code().to_owned()
}

/// Asks one fact: outcome, reason and terms.
pub(super) fn ask(
    register: &Register,
    bodies: &Bodies,
    query: &Value,
    recovery: Option<Recovery<'_>>,
) -> (String, String, Value) {
    match text(&query["kind"]) {
        "key" => {
            let query = KeyQuery {
                did: text(&query["did"]),
                method: text(&query["method"]),
                relationship: text(&query["relationship"]),
                public: text(&query["public"]),
            };
            shown(register.key_fact(bodies, &query), |()| Value::Null)
        }
        "edge" => {
            let [entity, action, resource] = ["entity", "action", "resource"].map(|part| text(&query[part]));
            shown(register.edge_fact(bodies, entity, action, resource), |terms| json_terms(&terms))
        }
        _ => {
            let rejects: Vec<_> =
                list(&query["rejects"]).iter().map(|value| u8::try_from(number(value)).expect("a value")).collect();
            let query = StatusQuery {
                list: text(&query["list"]),
                index: number(&query["index"]),
                purpose: text(&query["purpose"]),
                rejects: &rejects,
            };
            shown(register.status_fact(bodies, &query, recovery), |value| json!({ "value": value }))
        }
    }
}

fn shown<T>(fact: Fact<T>, terms: impl FnOnce(T) -> Value) -> (String, String, Value) {
    let reason = fact.reason.map(|reason| reason.code().to_owned()).unwrap_or_default();
    (fact.outcome.code().to_owned(), reason, fact.terms.map_or(Value::Null, terms))
}

fn json_terms(terms: &Terms) -> Value {
    let mut out = Map::new();
    out.insert("valid_from".into(), terms.valid_from.into());
    out.insert("valid_until".into(), terms.valid_until.into());
    if let Some(scope) = &terms.scope {
        out.insert("scope".into(), json!({ "actions": scope.actions, "resources": scope.resources }));
    }
    if let Some(depth) = terms.depth {
        out.insert("depth".into(), depth.into());
    }
    if let Some(register) = &terms.register {
        out.insert("register".into(), json!({ "origin": register.origin, "keys": register.keys }));
    }
    if terms.status_required {
        out.insert("status".into(), "required".into());
    }
    out.into()
}

/// The model's code of an invalid entry, as far as these cases have it.
fn reason(error: &EntryError) -> &'static str {
    match error {
        EntryError::RemoveAbsent(_) => "remove-absent",
        EntryError::StateRoot { .. } => "state-root",
        EntryError::Cbor(CborError::TrailingBytes(_)) => "cbor-trailing-bytes",
        _ => "another",
    }
}
