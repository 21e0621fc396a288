use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use standfast_protocol::charter::{
    Admission, AnchorTerms, Chain, Charter, CharterError, Document, FreshnessLimits, KIND, Kind, Quotas, RegisterTerms,
    Roots, SignedCharter, WitnessKind, WitnessTerms, WitnessesBefore,
};
use standfast_protocol::digest::Digest;
use standfast_protocol::key::{Algorithm, SecretKey, VerifierKey, origin_of};
use standfast_protocol::log::note::{Note, NoteError};
use standfast_protocol::register::state::Witnessing;
use standfast_tests::vectors::{list, number, refused, same, text};

use super::{edited, made_again, open, to_hex};

const FORMAT: &str = "specs/charter.md. `first` is version 1, `next` the version after it, `side` another version 2: text, its SHA-256 \
    (digest), the network id, and the signed note. `refused_texts`: the text of `first` in which the first \
    occurrence of edit[0] is replaced by edit[1]. `refused_notes`: whole notes; `after` says whether the reader \
    holds `first` (true) or nothing (false). A reason names the rule. `root_seeds`: Ed25519 seeds of the root keys. \
    `chains` (§8): a reader that begins with `first` is offered `notes`, in this order, and then its operator chooses \
    `choice`, where there is one; then the charter with digest `in_force` is in force, and `fork` is the version of an \
    open fork. `third` follows `next` and `side` alike. `witnessing` (§7): under `next`, where w1 gives way to w2, \
    `statements` are cosignatures [witness, size, time]; `kept` says how many a reader keeps, `w` is the largest size \
    witnessed, `bound` the clock bound, `in_force` whose quorum counts.";
const ISSUED: u64 = 1_795_000_000;
const WEEK: u64 = 7 * 86_400;

#[test]
fn charters() {
    let (file, mut report) = open("charter.json", make);
    report.check("made again", made_again(&file, make));
    let first = accept(&file["first"], None);
    report.check("first", first.as_ref().map(drop).map_err(String::clone));
    let first = first.expect("version 1");
    for name in ["next", "side"] {
        report.check(name, accept(&file[name], Some(first.charter())).map(drop));
    }
    for case in list(&file["chains"]) {
        report.check(text(&case["name"]), same("outcome", chain(&file, case), expected(case, &["in_force", "fork"])));
    }
    for case in list(&file["witnessing"]) {
        let members = ["kept", "w", "bound", "in_force"];
        report.check(text(&case["name"]), same("outcome", witnessing(&file, case), expected(case, &members)));
    }
    for case in list(&file["refused_texts"]) {
        let found = Charter::parse(&edited(first.charter().text(), case)).err();
        report.check(text(&case["name"]), refused(found.as_ref().map(reason), text(&case["reason"])));
    }
    for case in list(&file["refused_notes"]) {
        let previous = (case["after"] == true).then(|| first.charter());
        let found = authenticate(text(&case["note"]), previous).err();
        report.check(text(&case["name"]), refused(found.as_ref().map(reason), text(&case["reason"])));
    }
    report.finish();
}

fn authenticate(note: &str, previous: Option<&Charter>) -> Result<SignedCharter, CharterError> {
    let note = Note::parse(note.as_bytes())?;
    match previous {
        Some(previous) => SignedCharter::authenticate_next(note, previous),
        None => SignedCharter::authenticate_first(note),
    }
}

fn accept(case: &Value, previous: Option<&Charter>) -> Result<SignedCharter, String> {
    let signed = authenticate(text(&case["note"]), previous).map_err(|error| format!("refused: {error}"))?;
    let charter = signed.charter();
    same("text", charter.text(), text(&case["text"]))?;
    same("digest", charter.digest().to_string().as_str(), text(&case["digest"]))?;
    same("network", charter.network_id().to_string().as_str(), text(&case["network"]))?;
    same("note", signed.note().to_string().as_str(), text(&case["note"]))?;
    let again = Charter::new(charter.document().clone()).map_err(|error| error.to_string())?;
    same("written again", again.text(), charter.text())?;
    Ok(signed)
}

fn expected(case: &Value, members: &[&str]) -> Value {
    members.iter().map(|name| ((*name).to_owned(), case[*name].clone())).collect()
}

/// What a reader holds after the notes of a case.
fn chain(file: &Value, case: &Value) -> Value {
    let note = |name: &Value| text(&file[text(name)]["note"]);
    let first = Note::parse(text(&file["first"]["note"]).as_bytes()).expect("a note");
    let mut chain = Chain::new(Arc::new(SignedCharter::authenticate_first(first).expect("version 1")));
    for name in list(&case["notes"]) {
        let step = chain.judge(note(name).as_bytes()).expect("acceptable");
        chain.take(step);
    }
    if case["choice"].is_string() {
        let chosen = chain.judge_choice(note(&case["choice"]).as_bytes()).expect("acceptable");
        chain.choose(chosen);
    }
    json!({
        "in_force": chain.in_force().charter().digest().to_string(),
        "fork": chain.fork().map(|fork| fork.version),
    })
}

/// What the statements of a case amount to under `next`.
fn witnessing(file: &Value, case: &Value) -> Value {
    let charter = Charter::parse(text(&file["next"]["text"])).expect("a charter");
    let statements: Vec<(&str, u64, u64)> = list(&case["statements"])
        .iter()
        .map(|statement| (text(&statement[0]), number(&statement[1]), number(&statement[2])))
        .collect();
    let idle = Witnessing::of(&charter, &|_| None);
    let kept: Vec<_> = statements.into_iter().filter(|(witness, _, time)| idle.hears(witness, *time)).collect();
    let newest = |name: &str| kept.iter().filter(|s| s.0 == name).map(|s| s.2).max();
    let witnessing = Witnessing::of(&charter, &newest);
    let met = |size: &u64| witnessing.is_met_by(|name| kept.iter().any(|s| s.0 == name && s.1 == *size));
    json!({
        "kept": kept.len(),
        "w": kept.iter().map(|s| s.1).filter(met).max().unwrap_or(0),
        "bound": witnessing.time(&newest),
        "in_force": if witnessing.is_changing() { "w1" } else { "w2" },
    })
}

/// Cases of what several charters amount to, in whatever order they come.
fn chains(next: &Charter, side: &Charter, third: &Charter, first: &Charter) -> Value {
    let case = |name: &str, notes: &[&str], choice: Option<&str>, in_force: &Charter, fork: Option<u64>| {
        json!({"name": name, "notes": notes, "choice": choice, "in_force": in_force.digest().to_string(),
            "fork": fork})
    };
    json!([
        case("one after the other", &["next", "third"], None, third, None),
        case("an older one changes nothing", &["next", "third", "next", "first"], None, third, None),
        case("two of one version", &["next", "side"], None, first, Some(2)),
        case("two of one version, the other way round", &["side", "next"], None, first, Some(2)),
        case("another version 2 after version 3", &["next", "third", "side"], None, first, Some(2)),
        case("version 3 after two of version 2", &["side", "next", "third"], None, first, Some(2)),
        case("the one that came first is chosen", &["next", "third", "side"], Some("next"), third, None),
        case("the other one is chosen", &["next", "third", "side"], Some("side"), side, None),
        case("a choice ahead of the fork", &["next"], Some("next"), next, None),
        case("a choice of what follows settles what was before", &["next", "side"], Some("third"), third, None),
    ])
}

/// Cases of statements around the time at which w2 takes over from w1.
fn changes() -> Value {
    let from = ISSUED + 2 * WEEK;
    let case = |name: &str, statements: Value, kept: u64, w: u64, bound: Option<u64>, in_force: &str| json!({"name": name, "statements": statements, "kept": kept, "w": w, "bound": bound, "in_force": in_force});
    json!([
        case("nothing was said", json!([]), 0, 0, None, "w1"),
        case("before it, w1 counts", json!([["w1", 3, from - 9]]), 1, 3, Some(from - 9), "w1"),
        case(
            "before it, w2 signs and does not count",
            json!([["w1", 3, from - 9], ["w2", 5, from - 8]]),
            2,
            3,
            Some(from - 9),
            "w1"
        ),
        case(
            "from then on, w2 counts, for what it signed before too",
            json!([["w1", 3, from - 9], ["w2", 5, from - 8], ["w2", 4, from]]),
            3,
            5,
            Some(from),
            "w2"
        ),
        case(
            "what w1 witnessed in its time stands",
            json!([["w1", 6, from - 1], ["w2", 4, from + 60]]),
            2,
            6,
            Some(from + 60),
            "w2"
        ),
        case("w1 has nothing to say from then on", json!([["w1", 6, from], ["w2", 4, from - 60]]), 1, 0, None, "w1"),
    ])
}

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn key(name: &str, algorithm: Algorithm, seed: u8) -> VerifierKey {
    VerifierKey::new(name, algorithm, secret(seed).public()).expect("a name")
}

fn policy(witness: &str, seed: u8) -> String {
    format!("witness {witness} {}\nquorum {witness}\n", key("w.example/witness", Algorithm::Cosignature, seed))
}

fn kinds(witness: &str, seed: u8) -> BTreeMap<String, WitnessKind> {
    let view = key("w.example/view", Algorithm::Note, seed);
    BTreeMap::from([(witness.to_owned(), WitnessKind { kind: Kind::Admitting, view })])
}

fn document() -> Document {
    let origin = origin_of("gov.example/register", &secret(11).public());
    let keys = vec![key(&origin, Algorithm::Note, 11)];
    Document {
        kind: KIND.into(),
        network: None,
        version: 1,
        issued_at: ISSUED,
        expires_at: ISSUED + 52 * WEEK,
        roots: Roots {
            threshold: 2,
            keys: vec![key("a.example/root", Algorithm::Note, 1), key("b.example/root", Algorithm::Note, 2)],
        },
        anchors: vec![AnchorTerms {
            authority: "did:web:gov.example".into(),
            register: RegisterTerms { origin, keys, after: None },
        }],
        witnesses: WitnessTerms { policy: policy("w1", 21), kinds: kinds("w1", 31), from: ISSUED, before: None },
        limits: FreshnessLimits { witnessed_s: 86_400, published_s: WEEK, charter_s: 2_592_000 },
        quotas: Quotas { entries_per_day: 10_000, bytes_per_day: 1 << 26, delta_retention_s: 2_592_000 },
        members: vec![],
        bootstrap: vec!["/ip4/203.0.113.7/tcp/7411".into()],
        admission: Admission::Open,
    }
}

/// The version after `first`, with another witness a week later.
fn second(first: &Charter) -> Document {
    let issued_at = ISSUED + WEEK;
    let WitnessTerms { policy: old, kinds: old_kinds, .. } = document().witnesses;
    let witnesses = WitnessTerms {
        policy: policy("w2", 22),
        kinds: kinds("w2", 32),
        from: issued_at + WEEK,
        before: Some(WitnessesBefore { policy: old, kinds: old_kinds }),
    };
    Document { network: Some(first.network_id()), version: 2, issued_at, witnesses, ..document() }
}

fn signed(charter: &Charter, seeds: &[u8]) -> String {
    let lines = seeds.iter().flat_map(|seed| charter.sign(&secret(*seed), None)).collect();
    Note::new(charter.text().to_owned(), lines).to_string()
}

fn signed_after(charter: &Charter, previous: &Charter, seeds: &[u8]) -> String {
    let lines = seeds.iter().flat_map(|seed| charter.sign(&secret(*seed), Some(previous))).collect();
    Note::new(charter.text().to_owned(), lines).to_string()
}

fn own_roots() -> Roots {
    Roots { threshold: 1, keys: vec![key("c.example/root", Algorithm::Note, 3)] }
}

/// Another version 1, which no version 1 gives way to.
fn changed_first() -> Charter {
    Charter::new(Document { expires_at: ISSUED + 53 * WEEK, ..document() }).expect("a charter")
}

fn shown(charter: &Charter) -> Value {
    json!({
        "text": charter.text(),
        "digest": charter.digest().to_string(),
        "network": charter.network_id().to_string(),
        "note": signed(charter, &[1, 2])
    })
}

fn make() -> Value {
    let first = Charter::new(document()).expect("a charter");
    let next = Charter::new(second(&first)).expect("a charter");
    let edit = |name: &str, from: &str, to: &str| json!({"name": name, "reason": name, "edit": [from, to]});
    let note =
        |name: &str, after: bool, note: String| json!({"name": name, "reason": name, "after": after, "note": note});
    let changed = |change: fn(&mut Document)| {
        let mut document = second(&first);
        change(&mut document);
        Charter::new(document).expect("a charter")
    };
    let side = changed(|d| d.expires_at += WEEK);
    let third = changed(|d| {
        d.version = 3;
        d.issued_at += 1;
    });
    let root_a = key("a.example/root", Algorithm::Note, 1).to_string();
    let root_b = key("b.example/root", Algorithm::Note, 2).to_string();
    let root_c = key("c.example/root", Algorithm::Note, 1).to_string();
    json!({
        "format": FORMAT,
        "root_seeds": {"a.example/root": to_hex([1; 32]), "b.example/root": to_hex([2; 32])},
        "first": shown(&first),
        "next": shown(&next),
        "side": shown(&side),
        "third": shown(&third),
        "chains": chains(&next, &side, &third, &first),
        "witnessing": changes(),
        "refused_texts": [
            json!({"name": "a member that the specification does not list", "reason": "members",
                "edit": ["{\"admission\"", "{\"aaa\":1,\"admission\""]}),
            json!({"name": "an unknown member within another", "reason": "members",
                "edit": ["\"threshold\":2", "\"threshold\":2,\"weight\":1"]}),
            json!({"name": "a missing member", "reason": "members", "edit": ["\"admission\":\"open\",", ""]}),
            json!({"name": "null for an absent member", "reason": "not-canonical",
                "edit": [",\"quotas\"", ",\"network\":null,\"quotas\""]}),
            json!({"name": "a space", "reason": "not-canonical", "edit": ["\":", "\": "]}),
            json!({"name": "members out of order", "reason": "not-canonical",
                "edit": ["{\"admission\":\"open\",\"anchors\"", "{\"bootstrap\":[],\"anchors\""]}),
            json!({"name": "two line feeds", "reason": "not-canonical", "edit": ["}}\n", "}}\n\n"]}),
            json!({"name": "no line feed", "reason": "line-feed", "edit": ["}}\n", "}}"]}),
            edit("kind", "charter/v1", "charter/v2"),
            json!({"name": "version 0", "reason": "version", "edit": ["\"version\":1", "\"version\":0"]}),
            json!({"name": "version 2 without a network", "reason": "network",
                "edit": ["\"version\":1", "\"version\":2"]}),
            json!({"name": "threshold above the number of root keys", "reason": "threshold",
                "edit": ["\"threshold\":2", "\"threshold\":3"]}),
            json!({"name": "threshold 0", "reason": "threshold", "edit": ["\"threshold\":2", "\"threshold\":0"]}),
            json!({"name": "one public key under two names", "reason": "key-twice", "edit": [root_b, root_c]}),
            json!({"name": "a root key of type 0x04", "reason": "key-type",
                "edit": [root_a, key("a.example/root", Algorithm::Cosignature, 1).to_string()]}),
            json!({"name": "an origin that its first key does not give", "reason": "origin-key",
                "edit": [key(&document().anchors[0].register.origin, Algorithm::Note, 11).to_string(),
                    key(&document().anchors[0].register.origin, Algorithm::Note, 12).to_string()]}),
            json!({"name": "a quorum that admitting witnesses cannot make", "reason": "quorum-unreachable",
                "edit": ["\"kind\":\"admitting\"", "\"kind\":\"consistent\""]}),
            json!({"name": "a kind for a witness that is not in the policy", "reason": "witness",
                "edit": ["\"w1\":", "\"w2\":"]}),
            json!({"name": "from after issued_at without before", "reason": "witnesses-from",
                "edit": [format!("\"from\":{ISSUED}"), format!("\"from\":{}", ISSUED + 1)]}),
            json!({"name": "expires before it is issued", "reason": "window",
                "edit": [format!("\"expires_at\":{}", ISSUED + 52 * WEEK), format!("\"expires_at\":{ISSUED}")]}),
            json!({"name": "a quota of 0", "reason": "range",
                "edit": ["\"entries_per_day\":10000", "\"entries_per_day\":0"]}),
            json!({"name": "members only, of no register", "reason": "no-members",
                "edit": ["\"admission\":\"open\"", "\"admission\":\"members\""]}),
        ],
        "refused_notes": [
            note("too-few-signatures", false, signed(&first, &[1])),
            json!({"name": "another text under the same signatures", "reason": "bad-signature", "after": false,
                "note": signed(&first, &[1, 2]).replacen("tcp/7411", "tcp/7412", 1)}),
            json!({"name": "version 2 where nothing is held", "reason": "not-version-1", "after": false,
                "note": signed(&next, &[1, 2])}),
            json!({"name": "one of two roots signed the next version", "reason": "too-few-signatures", "after": true,
                "note": signed(&next, &[2])}),
            note("wrong-network", true, signed(&changed(|d| d.network = Some(Digest::of(b"another network"))), &[1, 2])),
            note("version-skipped", true, signed(&changed(|d| d.version = 3), &[1, 2])),
            note("issued-before", true, signed(&changed(|d| d.issued_at = ISSUED - 1), &[1, 2])),
            json!({"name": "new witnesses in force at once", "reason": "witness-change", "after": true,
                "note": signed(&changed(|d| {
                    d.witnesses.from = d.issued_at;
                    d.witnesses.before = None;
                }), &[1, 2])}),
            json!({"name": "new witnesses in less than seven days", "reason": "witness-change", "after": true,
                "note": signed(&changed(|d| d.witnesses.from -= 1), &[1, 2])}),
            json!({"name": "before is not the set in force", "reason": "witness-change", "after": true,
                "note": signed(&changed(|d| d.witnesses.before = Some(WitnessesBefore {
                    policy: policy("w3", 23), kinds: kinds("w3", 33),
                })), &[1, 2])}),
            json!({"name": "another version 1", "reason": "wrong-network", "after": true,
                "note": signed(&changed_first(), &[1, 2])}),
            json!({"name": "a threshold of its own roots alone", "reason": "too-few-signatures", "after": true,
                "note": signed(&changed(|d| d.roots = own_roots()), &[3])}),
            json!({"name": "a threshold of the roots before alone", "reason": "too-few-signatures", "after": true,
                "note": signed_after(&changed(|d| d.roots = own_roots()), &first, &[1, 2])}),
        ]
    })
}

/// The code of a refusal.
fn reason(error: &CharterError) -> &'static str {
    match error {
        CharterError::Line => "line-feed",
        CharterError::Json(_) | CharterError::NotCanonical => "not-canonical",
        CharterError::Shape(_) => "members",
        CharterError::Kind(_) => "kind",
        CharterError::Version => "version",
        CharterError::Network => "network",
        CharterError::Window => "window",
        CharterError::Threshold { .. } => "threshold",
        CharterError::KeyType { .. } => "key-type",
        CharterError::KeyTwice { .. } => "key-twice",
        CharterError::NotOwnOrigin(_) => "origin-key",
        CharterError::Witness(_) => "witness",
        CharterError::Unreachable => "quorum-unreachable",
        CharterError::From => "witnesses-from",
        CharterError::Range { .. } => "range",
        CharterError::NoMembers => "no-members",
        CharterError::Note(NoteError::BadSignature) => "bad-signature",
        CharterError::NotFirst(_) => "not-version-1",
        CharterError::TooFewSignatures { .. } => "too-few-signatures",
        CharterError::OtherNetwork { .. } => "wrong-network",
        CharterError::NotNext { .. } => "version-skipped",
        CharterError::IssuedBefore => "issued-before",
        CharterError::WitnessChange => "witness-change",
        _ => "another rule",
    }
}
