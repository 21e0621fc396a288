use serde_json::{Value, json};
use standfast_protocol::charter::SignedCharter;
use standfast_protocol::digest::Digest;
use standfast_protocol::freshness::{self, Speaker, Statement, Validity};
use standfast_protocol::key::{Algorithm, SecretKey, VerifierKey, origin_of};
use standfast_protocol::log::note::Note;
use standfast_protocol::log::policy::Quorum;
use standfast_protocol::policy::Policy;
use standfast_protocol::register::body::Record;
use standfast_protocol::register::fact::Binding;
use standfast_protocol::time::Time;
use standfast_protocol::trust::trqp::{CheckError, Kind, Question, check, prove};
use standfast_protocol::trust::{BindingError, bound_keys, path_to};
use standfast_protocol::verify::{Ruling, answer};
use standfast_tests::graph::{generated, nothing_to_json, path_to_json, search};
use standfast_tests::vectors::{list, number, same, text};
use standfast_tests::world::{LICENCE, NOW, World, canonical};

use super::{made_again, open};

const FORMAT: &str = "specs/trust.md. `entries` (section 1): bodies of trust entries; one that is not `usable` is \
    unusable. `bindings` (section 1): keys of a register; `reason` names what is wrong, null when it binds. `paths` \
    (sections 2 and 3): facts by register, with `unread` where a register has entries of a later version; the outcome \
    `mass-withdrawal` is a withdrawal behind the brake; `generate`: anchor A recognises `edges_before` authorities x0000, \
    x0001 … with registers that are not held and depth 0, then z, which authorises I for L, all windows 0 to 100, all scopes `*`, all keys `K`; `expected` is the path, or what is missing. `freshness` \
    (section 4): statements as [speaker, time, what], a null speaker is the publisher, `what` has w (names exactly W), \
    c (names the charter), h (a head on the chain). `windows` (section 5). `questions` (section 6): answers with their \
    proofs, checked by `charter` alone at `now`; `result` is the answer proven, or names why it does not hold.";

#[test]
fn trust() {
    let (file, mut report) = open("trust.json", make);
    report.check("made again", made_again(&file, make));
    for case in list(&file["entries"]) {
        let usable = Record::new(text(&case["body"]).as_bytes().to_vec()).trust_entry().is_ok();
        report.check(text(&case["name"]), same("usable", Value::from(usable), case["usable"].clone()));
    }
    for case in list(&file["bindings"]) {
        report.check(text(&case["name"]), same("reason", bind(case), case["reason"].clone()));
    }
    for case in list(&file["paths"]) {
        report.check(text(&case["name"]), same("path", found(case), case["expected"].clone()));
    }
    for case in list(&file["freshness"]) {
        report.check(text(&case["name"]), same("ages", ages(case), case["expected"].clone()));
    }
    for case in list(&file["windows"]) {
        report.check(&case.to_string(), same("result", Value::from(window(case)), case["result"].clone()));
    }
    let questions = &file["questions"];
    for case in list(&questions["cases"]) {
        let result = ask(text(&questions["charter"]), case);
        report.check(text(&case["name"]), same("result", result, case["result"].clone()));
    }
    report.finish();
}

fn make() -> Value {
    let done = |mut case: Value, member: &str, judge: fn(&Value) -> Value| {
        case[member] = judge(&case);
        case
    };
    let windows = [
        (10, 20, 20, None),
        (10, 20, 20, Some(30)),
        (10, 20, 15, Some(20)),
        (10, 20, 19, Some(19)),
        (10, 20, 10, None),
        (10, 20, 9, None),
        (10, 20, 9, Some(10)),
        (10, 20, 9, Some(8)),
    ];
    let windows = windows.map(|(from, until, device, bound)| {
        let case = json!({"from": from, "until": until, "device": device, "bound": bound});
        done(case, "result", |case| window(case).into())
    });
    json!({
        "format": FORMAT,
        "entries": entries(),
        "bindings": bindings().into_iter().map(|case| done(case, "reason", bind)).collect::<Value>(),
        "paths": paths().into_iter().map(|case| done(case, "expected", found)).collect::<Value>(),
        "freshness": statements().into_iter().map(|case| done(case, "expected", ages)).collect::<Value>(),
        "windows": windows,
        "questions": questions(),
    })
}

// ---- entries and bindings ------------------------------------------------------------------------------------------

fn entries() -> Value {
    let issue =
        json!({"action": "issue", "entity": "did:web:i.example", "resource": "L", "valid_from": 0, "valid_until": 9});
    let recognize = json!({"action": "recognize", "entity": "did:web:i.example", "resource": "label", "depth": 1,
        "scope": {"actions": ["issue"], "resources": ["*"]}, "valid_from": 0, "valid_until": 9});
    let with = |body: &Value, name: &str, value: Value| {
        let mut body = body.clone();
        match value {
            Value::Null => drop(body.as_object_mut().expect("an object").remove(name)),
            value => body[name] = value,
        }
        body
    };
    let cases = [
        ("an authorization", issue.clone()),
        ("a recognition", recognize.clone()),
        ("with a status required", with(&issue, "status", json!("required"))),
        ("with a register", with(&issue, "register", json!({"keys": ["k"], "origin": "o"}))),
        ("another status", with(&issue, "status", json!("optional"))),
        ("a member that is not known", with(&issue, "note", json!(1))),
        ("a scope without recognition", with(&issue, "scope", recognize["scope"].clone())),
        ("a depth without recognition", with(&issue, "depth", json!(1))),
        ("a recognition without scope", with(&recognize, "scope", Value::Null)),
        ("a recognition without depth", with(&recognize, "depth", Value::Null)),
        ("without an end", with(&issue, "valid_until", Value::Null)),
        ("a time that is no integer", with(&issue, "valid_from", json!(0.5))),
        ("a time before 1970", with(&issue, "valid_from", json!(-1))),
        ("a register without keys", with(&issue, "register", json!({"origin": "o"}))),
        ("an entity that is no text", with(&issue, "entity", json!(1))),
    ];
    let mut all: Vec<Value> = cases
        .into_iter()
        .map(|(name, body)| {
            let body = String::from_utf8(canonical(&body.to_string())).expect("text");
            let usable = Record::new(body.clone().into_bytes()).trust_entry().is_ok();
            json!({"name": name, "body": body, "usable": usable})
        })
        .collect();
    let plain = String::from_utf8(canonical(&issue.to_string())).expect("text");
    for (name, body) in [("a space", plain.replacen(':', ": ", 1)), ("a line feed after it", plain.clone() + "\n")] {
        all.push(json!({"name": name, "body": body, "usable": false}));
    }
    all.into()
}

fn bindings() -> Vec<Value> {
    let public = |seed: u8| SecretKey::from_seed(&[seed; 32]).public();
    let origin = origin_of("a.example/register", &public(1));
    let key =
        |name: &str, algorithm, seed| VerifierKey::new(name, algorithm, public(seed)).expect("a name").to_string();
    let (own, stamp) = (key(&origin, Algorithm::Note, 1), key(&origin, Algorithm::Cosignature, 2));
    let next = key(&origin, Algorithm::Note, 3);
    let case = |name: &str, keys: &[&String]| json!({"name": name, "origin": origin, "keys": keys});
    let many: Vec<String> = (1..=17).map(|seed| key(&origin, Algorithm::Note, seed)).collect();
    vec![
        case("one key", &[&own]),
        case("a key for timestamps, and the next one", &[&own, &stamp, &next]),
        case("no key", &[]),
        case("17 keys", &many.iter().collect::<Vec<_>>()),
        case("the first key does not give the origin: it was rotated", &[&next, &own]),
        case("the first key signs no heads", &[&stamp, &own]),
        case("a public key twice", &[&own, &key(&origin, Algorithm::Cosignature, 1)]),
        case("a key with another name", &[&own, &key("b.example/register", Algorithm::Note, 2)]),
        case("a text that is no key", &[&own, &"K".to_owned()]),
    ]
}

fn bind(case: &Value) -> Value {
    let keys = list(&case["keys"]).iter().map(|key| text(key).to_owned()).collect();
    let binding = Binding { origin: text(&case["origin"]).to_owned(), keys, after: None };
    match bound_keys(&binding) {
        Ok(_) => Value::Null,
        Err(BindingError::Count(_)) => "count".into(),
        Err(BindingError::Key { .. }) => "key".into(),
        Err(BindingError::ForeignKey(_)) => "foreign-key".into(),
        Err(BindingError::FirstKey) => "first-key".into(),
        Err(BindingError::KeyTwice(_)) => "key-twice".into(),
    }
}

// ---- paths ---------------------------------------------------------------------------------------------------------

fn found(case: &Value) -> Value {
    match search(case, generated(case).as_ref().unwrap_or(case)) {
        Ok(path) => path_to_json(&path),
        Err(nothing) => nothing_to_json(&nothing),
    }
}

fn register(name: &str) -> Value {
    json!({"origin": format!("{name}.r"), "keys": [format!("K{name}")]})
}

/// An edge of A's register, or of another's; `more` replaces terms.
fn edge(to: &str, more: Value) -> Value {
    let terms = json!({"valid_from": 0, "valid_until": 100, "depth": 8, "register": register(to),
        "scope": {"actions": ["issue"], "resources": ["L", "M"]}});
    fact(to, "recognize", "x", terms, more)
}

fn grant(resource: &str, more: Value) -> Value {
    let terms = json!({"valid_from": 0, "valid_until": 100, "register": register("I")});
    fact("I", "issue", resource, terms, more)
}

fn fact(entity: &str, action: &str, resource: &str, mut terms: Value, more: Value) -> Value {
    let mut outcome = json!("granted");
    for (name, value) in more.as_object().expect("an object") {
        match name.as_str() {
            "outcome" => outcome = value.clone(),
            _ if value.is_null() => drop(terms.as_object_mut().expect("an object").remove(name)),
            _ => terms[name] = value.clone(),
        }
    }
    if outcome == "granted" {
        return json!({"entity": entity, "action": action, "resource": resource, "outcome": outcome, "terms": terms});
    }
    json!({"entity": entity, "action": action, "resource": resource, "outcome": outcome})
}

fn not(outcome: &str) -> Value {
    json!({"outcome": outcome})
}

/// Asks whether I may issue these types at 50; each register by the name of its authority.
fn path(name: &str, types: &[&str], registers: &[(&str, &[Value])]) -> Value {
    let held: serde_json::Map<String, Value> = registers
        .iter()
        .map(|(name, entries)| (format!("{name}.r"), json!({"signers": [format!("K{name}")], "entries": entries})))
        .collect();
    json!({"name": name, "issuer": "I", "action": "issue", "types": types, "at": 50, "registers": held,
        "anchors": [{"authority": "A", "register": register("A")}]})
}

fn paths() -> Vec<Value> {
    let plain = || json!({});
    let after = |size: u64| json!({"origin": "J.r", "size": size, "root": Digest::of(b"").to_string()});
    let mut rebound = register("I");
    rebound["after"] = after(3);
    let mut other_end = register("I");
    other_end["after"] = after(4);
    let two_keys = json!({"origin": "I.r", "keys": ["KI", "KJ"]});
    let wide = json!({"scope": {"actions": ["*"], "resources": ["*"]}});
    let only = |resource: &str| json!({"scope": {"actions": ["issue"], "resources": [resource]}});
    let chain = |length: usize| -> Vec<(String, Vec<Value>)> {
        let name = |place: usize| if place == 0 { "A".to_owned() } else { format!("B{place}") };
        let entries = |place| if place == length { grant("L", plain()) } else { edge(&name(place + 1), plain()) };
        (0..=length).map(|place| (name(place), vec![entries(place)])).collect()
    };
    let chained = |title: &str, length: usize| {
        let chain = chain(length);
        let registers: Vec<(&str, &[Value])> = chain.iter().map(|(n, e)| (n.as_str(), e.as_slice())).collect();
        path(title, &["L"], &registers)
    };
    let via_b = |title: &str, edge_terms: Value, entries: &[Value]| {
        path(title, &["L"], &[("A", &[edge("B", edge_terms)]), ("B", entries)])
    };
    let alone = |title: &str, entries: &[Value]| path(title, &["L"], &[("A", entries)]);
    let mut cases = vec![
        alone("an anchor authorises", &[grant("L", plain())]),
        alone("an entry for every resource", &[grant("*", plain())]),
        alone(
            "the exact resource before *",
            &[grant("*", json!({"valid_until": 60})), grant("L", json!({"valid_until": 90}))],
        ),
        alone("* where the exact one is withdrawn", &[grant("*", plain()), grant("L", not("withdrawn"))]),
        alone("no register is named", &[grant("L", json!({"register": null}))]),
        alone("a status is required", &[grant("L", json!({"status": "required"}))]),
        alone("nothing there", &[]),
        alone("withdrawn", &[grant("L", not("withdrawn"))]),
        alone("withdrawn behind the brake", &[grant("L", not("mass-withdrawal"))]),
        alone("pending", &[grant("L", not("pending"))]),
        alone("unusable", &[grant("L", not("unusable"))]),
        alone("absent is as if not there", &[grant("L", not("absent"))]),
        alone("begins now", &[grant("L", json!({"valid_from": 50}))]),
        alone("begins in a second", &[grant("L", json!({"valid_from": 51}))]),
        alone("ends in a second", &[grant("L", json!({"valid_until": 51}))]),
        alone("has ended", &[grant("L", json!({"valid_until": 50}))]),
        alone("another action", &[fact("I", "verify", "L", json!({"valid_from": 0, "valid_until": 100}), plain())]),
        path("no types", &[], &[("A", &[grant("*", plain())])]),
        path(
            "all types by one authority",
            &["L", "M"],
            &[("A", &[grant("L", plain()), grant("M", json!({"status": "required", "valid_until": 70}))])],
        ),
        path("one type of two", &["L", "M"], &[("A", &[grant("L", plain())])]),
        path(
            "two types by two authorities",
            &["L", "M"],
            &[("A", &[grant("L", plain()), edge("B", plain())]), ("B", &[grant("M", plain())])],
        ),
        path(
            "types for registers of two origins",
            &["L", "M"],
            &[("A", &[grant("L", plain()), grant("M", json!({"register": register("J")}))])],
        ),
        path(
            "types for registers without a common key",
            &["L", "M"],
            &[("A", &[grant("L", plain()), grant("M", json!({"register": {"origin": "I.r", "keys": ["KJ"]}}))])],
        ),
        path(
            "the keys that both have",
            &["L", "M"],
            &[("A", &[grant("L", json!({"register": two_keys})), grant("M", plain())])],
        ),
        path(
            "one of two names a register",
            &["L", "M"],
            &[("A", &[grant("L", json!({"register": null})), grant("M", plain())])],
        ),
        alone("rebound after", &[grant("L", json!({"register": rebound}))]),
        path(
            "after in one of two",
            &["L", "M"],
            &[("A", &[grant("L", plain()), grant("M", json!({"register": rebound}))])],
        ),
        path(
            "two different ends",
            &["L", "M"],
            &[("A", &[grant("L", json!({"register": other_end})), grant("M", json!({"register": rebound}))])],
        ),
        via_b("one recognition", json!({"valid_until": 80, "depth": 2}), &[grant("L", json!({"valid_from": 10}))]),
        via_b("a recognition withdrawn", not("withdrawn"), &[grant("L", plain())]),
        via_b("a recognition pending", not("pending"), &[grant("L", plain())]),
        via_b("a recognition unusable", not("unusable"), &[grant("L", plain())]),
        via_b("a recognition withdrawn behind the brake", not("mass-withdrawal"), &[grant("L", plain())]),
        via_b("a recognition that has ended", json!({"valid_until": 50}), &[grant("L", plain())]),
        via_b("a recognition for another resource", only("Q"), &[grant("L", plain())]),
        via_b(
            "a recognition for another action",
            json!({"scope": {"actions": ["verify"], "resources": ["*"]}}),
            &[grant("L", plain())],
        ),
        via_b("a recognition without a register", json!({"register": null}), &[grant("L", plain())]),
        via_b(
            "a register under other keys",
            json!({"register": {"origin": "B.r", "keys": ["KX"]}}),
            &[grant("L", plain())],
        ),
        path("a register that is not held", &["L"], &[("A", &[edge("B", plain())])]),
        path(
            "the narrowest scope counts",
            &["L"],
            &[("A", &[edge("B", only("L"))]), ("B", &[edge("C", wide.clone())]), ("C", &[grant("*", plain())])],
        ),
        path(
            "a scope cannot widen",
            &["M"],
            &[("A", &[edge("B", only("L"))]), ("B", &[edge("C", wide)]), ("C", &[grant("*", plain())])],
        ),
        path(
            "depth 0 lets nobody follow",
            &["L"],
            &[("A", &[edge("B", json!({"depth": 0}))]), ("B", &[edge("C", plain())]), ("C", &[grant("L", plain())])],
        ),
        chained("eight recognitions", 8),
        chained("nine recognitions", 9),
        path("a ring", &["L"], &[("A", &[edge("B", plain())]), ("B", &[edge("A", plain()), edge("B", plain())])]),
        path(
            "a diamond: the first by the bytes of the keys",
            &["L"],
            &[
                ("A", &[edge("C", plain()), edge("B", plain())]),
                ("B", &[edge("D", plain())]),
                ("C", &[edge("D", plain())]),
                ("D", &[grant("L", plain())]),
            ],
        ),
        path(
            "a diamond with one side closed",
            &["L"],
            &[
                ("A", &[edge("C", plain()), edge("B", plain())]),
                ("B", &[edge("D", not("withdrawn"))]),
                ("C", &[edge("D", plain())]),
                ("D", &[grant("L", plain())]),
            ],
        ),
        path(
            "the shorter of two paths",
            &["L"],
            &[
                ("A", &[edge("B", plain()), edge("C", plain())]),
                ("B", &[edge("D", plain())]),
                ("C", &[grant("L", plain())]),
                ("D", &[grant("L", plain())]),
            ],
        ),
        path("a path beside something unknown", &["L"], &[("A", &[edge("B", not("pending")), grant("L", plain())])]),
        path(
            "no path beside something unknown",
            &["L"],
            &[("A", &[edge("B", not("pending")), grant("L", not("withdrawn"))])],
        ),
    ];
    let mut two_anchors =
        path("the anchors in their order", &["L"], &[("A", &[grant("L", plain())]), ("Z", &[grant("L", plain())])]);
    two_anchors["anchors"] =
        json!([{"authority": "Z", "register": register("Z")}, {"authority": "A", "register": register("A")}]);
    cases.push(two_anchors);
    let mut unread = via_b("what cannot be read whole grants nothing", plain(), &[grant("L", plain())]);
    unread["registers"]["B.r"]["unread"] = json!(true);
    cases.push(unread.clone());
    unread["name"] = json!("and what is not there may be in it");
    unread["registers"]["B.r"]["entries"] = json!([]);
    cases.push(unread.clone());
    unread["name"] = json!("a way around it");
    unread["registers"]["A.r"]["entries"] = json!([edge("B", plain()), edge("C", plain())]);
    unread["registers"]["C.r"] = json!({"signers": ["KC"], "entries": [grant("L", plain())]});
    cases.push(unread);
    for edges in [1_023, 1_024] {
        let name = format!("{edges} edges before the one that leads on");
        cases.push(json!({"name": name, "generate": {"edges_before": edges}, "issuer": "I", "action": "issue",
            "types": ["L"], "at": 50}));
    }
    cases
}

// ---- freshness and windows -----------------------------------------------------------------------------------------

fn quorum(groups: &str) -> String {
    let key = |name: &str| {
        let public = SecretKey::from_seed(Digest::of(name.as_bytes()).as_bytes()).public();
        format!("witness {name} {}\n", VerifierKey::new("w.example", Algorithm::Cosignature, public).expect("a name"))
    };
    ["A", "B", "C", "D"].map(key).concat() + groups
}

fn statements() -> Vec<Value> {
    let two_of_three = quorum("group G 2 A B C\nquorum G\n");
    let nested = quorum("group G any A B\ngroup H all C D\ngroup Q all G H\nquorum Q\n");
    let case = |name: &str, policy: &str, device: u64, statements: Value| json!({"name": name, "policy": policy, "device": device, "statements": statements});
    vec![
        case("nothing is known", &two_of_three, 1_000, json!([])),
        case("one of three is no quorum", &two_of_three, 1_000, json!([["A", 900, "wc"]])),
        case(
            "the second newest of two of three",
            &two_of_three,
            1_000,
            json!([["A", 900, "wc"], ["B", 950, "wc"], ["C", 800, "wc"]]),
        ),
        case(
            "of one witness the newest",
            &two_of_three,
            1_000,
            json!([["A", 900, "w"], ["A", 990, "w"], ["B", 950, "w"]]),
        ),
        case(
            "a larger head does not count for W",
            &two_of_three,
            1_000,
            json!([["A", 900, "w"], ["A", 990, "h"], ["B", 950, "h"]]),
        ),
        case(
            "one witness a year ahead moves nothing",
            &two_of_three,
            1_000,
            json!([["A", 900, "wc"], ["B", 950, "wc"], ["C", 31_557_600, "wc"]]),
        ),
        case(
            "a quorum a year ahead moves the clock",
            &two_of_three,
            1_000,
            json!([["A", 31_557_600, "wc"], ["B", 31_557_600, "w"], ["C", 950, "wc"]]),
        ),
        case("exactly 300 s ahead is kept", &two_of_three, 1_000, json!([["A", 1_300, "w"], ["B", 900, "w"]])),
        case("301 s ahead is set aside", &two_of_three, 1_000, json!([["A", 1_301, "w"], ["B", 900, "w"]])),
        case("a device that is behind", &two_of_three, 0, json!([["A", 900, "w"], ["B", 950, "w"]])),
        case("the publisher is no witness", &two_of_three, 1_000, json!([[null, 990, "h"], ["A", 900, "w"]])),
        case("the publisher off the chain", &two_of_three, 1_000, json!([[null, 990, ""], [null, 700, "h"]])),
        case("the publisher from the future", &two_of_three, 1_000, json!([[null, 1_301, "h"], [null, 700, "h"]])),
        case(
            "nested groups",
            &nested,
            1_000,
            json!([["A", 500, "wc"], ["B", 700, "wc"], ["C", 900, "wc"], ["D", 600, "wc"]]),
        ),
        case(
            "nested groups without one that is needed",
            &nested,
            1_000,
            json!([["A", 500, "w"], ["B", 700, "w"], ["C", 900, "w"]]),
        ),
        case("no quorum at all", "quorum none\n", 1_000, json!([[null, 990, "h"]])),
    ]
}

fn ages(case: &Value) -> Value {
    let quorum = Quorum::parse(text(&case["policy"])).expect("a policy");
    let statements: Vec<Statement<'_>> = list(&case["statements"])
        .iter()
        .map(|said| {
            let says = |what: char| text(&said[2]).contains(what);
            Statement {
                speaker: said[0].as_str().map_or(Speaker::Publisher, Speaker::Witness),
                time: number(&said[1]),
                at_w: says('w'),
                names_charter: says('c'),
                on_chain: says('w') || says('h'),
            }
        })
        .collect();
    let ages = freshness::ages(&quorum, number(&case["device"]), &statements);
    json!({
        "bound": ages.bound, "now": ages.now, "witnessed": ages.witnessed, "published": ages.published,
        "charter": ages.charter, "set_aside": ages.set_aside,
    })
}

fn window(case: &Value) -> &'static str {
    let validity = freshness::validity(
        number(&case["from"]),
        number(&case["until"]),
        number(&case["device"]),
        case["bound"].as_u64(),
    );
    match validity {
        Validity::Current => "current",
        Validity::NotYet => "not-yet",
        Validity::Expired => "expired",
        Validity::ClockDisputed => "clock-disputed",
    }
}

// ---- questions -----------------------------------------------------------------------------------------------------

const MINISTRY: &str = "did:web:ministry.example";

fn ask(charter: &str, case: &Value) -> Value {
    let note = Note::parse(charter.as_bytes()).expect("a note");
    let charter = SignedCharter::authenticate_first(note).expect("a charter");
    let kind = if case["kind"] == "authorization" { Kind::Authorization } else { Kind::Recognition };
    let question = Question::parse(kind, case["question"].to_string().as_bytes()).expect("a question");
    let now = Time::from_secs_saturating(number(&case["now"]));
    match check(&question, text(&case["answer"]).as_bytes(), charter.charter(), now) {
        Ok(checked) => checked.answer().into(),
        Err(error) => match error {
            CheckError::Json(_) | CheckError::Answer(_) => "malformed",
            CheckError::OtherQuestion(_) => "other-question",
            CheckError::Member(_) => "member",
            CheckError::NoProof => "no-proof",
            CheckError::Future(_) => "future",
            CheckError::CharterExpired(_) => "charter-expired",
            CheckError::Proof(_) => "proof",
            CheckError::OtherRecord(_) => "other-record",
            CheckError::Incomplete(_) => "incomplete",
            CheckError::OtherAuthority { .. } => "other-authority",
            CheckError::Contradicted(_) => "contradicted",
            CheckError::TooOld { .. } => "too-old",
        }
        .into(),
    }
}

fn questions() -> Value {
    let mut world = World::new();
    world.publish("ministry", vec![world.issue_until("harbour", LICENCE, NOW + 1_000, "")]);
    world.settle(NOW);
    let charter = world.charter.note().to_string();
    let asked = |kind: &str, authority: &str, entity: &str, action: &str, resource: &str| {
        let question = json!({"authority_id": authority, "entity_id": entity, "action": action, "resource": resource});
        (kind.to_owned(), question)
    };
    let may = |entity: &str, resource: &str| asked("authorization", MINISTRY, entity, "issue", resource);
    let at = |(kind, mut question): (String, Value), secs: u64| {
        question["context"] = json!({"time": Time::from_secs_saturating(secs).to_string()});
        (kind, question)
    };
    let (transport, harbour, interior) =
        ("did:web:transport.example", "did:web:harbour.example", "did:web:interior.example");
    let yes = may(transport, LICENCE);
    let no = may(transport, "https://gov.example/Other");
    let case = |name: &str, (kind, question): &(String, Value), answer: String, now: u64| {
        let mut case = json!({"name": name, "kind": kind, "question": question, "answer": answer, "now": now});
        case["result"] = ask(&charter, &case);
        case
    };
    let plain = |name: &str, question: (String, Value)| case(name, &question, told(&world, &question), NOW + 60);
    let (said_yes, said_no) = (told(&world, &yes), told(&world, &no));
    let mut half: Value = serde_json::from_str(&said_no).expect("JSON");
    half["proof"]["records"].as_array_mut().expect("records").truncate(1);
    let mut altered: Value = serde_json::from_str(&said_yes).expect("JSON");
    let record = text(&altered["proof"]["records"][0]);
    let (from, to) = record.split_at(record.len() / 2);
    let other = if to.starts_with('A') { "B" } else { "A" };
    altered["proof"]["records"][0] = format!("{from}{other}{}", &to[1..]).into();
    let mut bare: Value = serde_json::from_str(&said_yes).expect("JSON");
    bare.as_object_mut().expect("an object").remove("proof");
    json!({"charter": charter, "cases": [
        plain("yes", yes.clone()),
        plain("no: absent", no.clone()),
        plain("yes at a time", at(may(harbour, LICENCE), NOW + 999)),
        plain("no: outside its window", at(may(harbour, LICENCE), NOW + 1_000)),
        plain("recognized by its scope", asked("recognition", interior, MINISTRY, "issue", LICENCE)),
        plain("recognized by its label", asked("recognition", interior, MINISTRY, "recognize", "main")),
        plain("not recognized by this label", asked("recognition", interior, MINISTRY, "recognize", "other")),
        case("a no made a yes", &no, said_no.replace(r#""authorized":false"#, r#""authorized":true"#), NOW + 60),
        case("a yes made a no", &yes, said_yes.replace(r#""authorized":true"#, r#""authorized":false"#), NOW + 60),
        case("an answer to another question", &no, said_yes.clone(), NOW + 60),
        case("a proof of another record", &no, said_yes.replace(&format!(r#""resource":"{LICENCE}""#), r#""resource":"https://gov.example/Other""#), NOW + 60),
        case("one record of two", &no, half.to_string(), NOW + 60),
        case("no proof", &yes, bare.to_string(), NOW + 60),
        case("a day later", &yes, said_yes.clone(), NOW + 86_401),
        case("from the future", &yes, said_yes.clone(), NOW - 600),
        case("an altered proof", &yes, altered.to_string(), NOW + 60),
    ]})
}

/// Answers as a node does at `NOW + 60`.
fn told(world: &World, (kind, question): &(String, Value)) -> String {
    let kind = if kind == "authorization" { Kind::Authorization } else { Kind::Recognition };
    let question = Question::parse(kind, question.to_string().as_bytes()).expect("a question");
    let (snapshot, policy) = (world.snapshot(), Policy::built_in("standard").expect("built in"));
    let found = answer(&question, &snapshot, &policy, Time::from_secs_saturating(NOW + 60));
    let (anchors, at) = (snapshot.charter().anchors(), found.at.secs());
    let (is_yes, path) = match found.ruling {
        Ruling::Yes(path) => (true, *path),
        Ruling::No(_) => {
            let resource = [question.resource.as_str()];
            (false, path_to(&*snapshot, anchors, &question.authority, &question.action, &resource, at).expect("a path"))
        }
        other => panic!("{other:?}"),
    };
    let proof = prove(snapshot.replica(), &path, &question, is_yes, at, NOW + 60);
    question.answered(is_yes, "", found.evaluated, proof)
}
