use std::collections::BTreeMap;

use serde_json::{Value, json};
use standfast_protocol::charter::{
    Admission, AnchorTerms, Charter, CharterError, Document, FreshnessLimits, KIND, Kind, Quotas, RegisterTerms, Roots,
    SignedCharter, WitnessKind, WitnessTerms, WitnessesBefore,
};
use standfast_protocol::digest::Digest;
use standfast_protocol::key::{Algorithm, SecretKey, VerifierKey, origin_of};
use standfast_protocol::log::note::{Note, NoteError};
use standfast_tests::vectors::{list, refused, same, text};

use super::{edited, made_again, open, to_hex};

const FORMAT: &str = "specs/charter.md. `first` is version 1, `next` the version after it: text, its SHA-256 \
    (digest), the network id, and the signed note. `refused_texts`: the text of `first` in which the first \
    occurrence of edit[0] is replaced by edit[1]. `refused_notes`: whole notes; `after` says whether the reader \
    holds `first` (true) or nothing (false). A reason names the rule. `root_seeds`: Ed25519 seeds of the root keys.";
const ISSUED: u64 = 1_795_000_000;
const WEEK: u64 = 7 * 86_400;

#[test]
fn charters() {
    let (file, mut report) = open("charter.json", make);
    report.check("made again", made_again(&file, make));
    let first = accept(&file["first"], None);
    report.check("first", first.as_ref().map(drop).map_err(String::clone));
    let first = first.expect("version 1");
    report.check("next", accept(&file["next"], Some(first.charter())).map(drop));
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
    let root_a = key("a.example/root", Algorithm::Note, 1).to_string();
    let root_b = key("b.example/root", Algorithm::Note, 2).to_string();
    let root_c = key("c.example/root", Algorithm::Note, 1).to_string();
    json!({
        "format": FORMAT,
        "root_seeds": {"a.example/root": to_hex([1; 32]), "b.example/root": to_hex([2; 32])},
        "first": shown(&first),
        "next": shown(&next),
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
