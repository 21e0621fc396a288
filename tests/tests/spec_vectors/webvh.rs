use serde_json::{Value, json};
use standfast_protocol::credential::jcs;
use standfast_protocol::credential::json::Json;
use standfast_protocol::did::key::{did_of, method_of};
use standfast_protocol::did::webvh::author::key_hash;
use standfast_protocol::did::webvh::resolve::Wanted;
use standfast_protocol::did::webvh::{Log, hash_of};
use standfast_protocol::digest::Digest;
use standfast_protocol::key::SecretKey;
use standfast_protocol::register::webvh;
use standfast_protocol::time::Time;
use standfast_tests::vectors::{hex, list, number, same, text};

use super::{diagnostic, made_again, open, to_hex};

const FORMAT: &str = "specs/did-webvh.md. Keys are Ed25519 seeds of 32 equal bytes. `whole`: a log with its witness file as \
    text, the ids of its versions, its names, the body of its record in hex and in the diagnostic notation of RFC 8949 \
    with its digest, and what it resolves to by the query of a DID URL at the time `now`. `ended`: logs of which only so many \
    versions hold, with the code of the rule that the next entry breaks; hashes and signatures of all entries are good, \
    unless that is the rule. `bodies`: bodies in hex that are none.";

const NOW: u64 = 1_795_000_000;

#[test]
fn webvh_logs() {
    let (file, mut report) = open("webvh.json", make);
    report.check("made again", made_again(&file, make));
    report.check("whole", whole(&file["whole"]));
    for case in list(&file["ended"]) {
        report.check(text(&case["name"]), ended(case));
    }
    for case in list(&file["bodies"]) {
        let body = webvh::WebvhBody::read(&hex(&case["body"]).into());
        report.check(text(&case["name"]), same("that it is refused", body.is_err(), true));
    }
    report.finish();
}

fn whole(case: &Value) -> Result<(), String> {
    let body = hex(&case["body"]).into();
    let (log, witness_file) = webvh::split(&body).map_err(|error| error.to_string())?;
    same("log", &log[..], text(&case["log"]).as_bytes())?;
    same("witness file", &witness_file[..], text(&case["witness_file"]).as_bytes())?;
    let written = webvh::encode(&log, &witness_file).map_err(|error| error.to_string())?;
    same("written again", &written[..], &body[..])?;
    same("diagnostic", diagnostic(&body).as_str(), text(&case["diagnostic"]))?;
    same("digest", Digest::of(&body).to_string().as_str(), text(&case["digest"]))?;
    let log = Log::read(&log, &witness_file).map_err(|error| error.to_string())?;
    let ids: Vec<&str> = log.versions().iter().map(|version| version.id()).collect();
    same("versions", json!(ids), case["versions"].clone())?;
    same("names", json!(log.dids()), case["names"].clone())?;
    for resolved in list(&case["resolved"]) {
        let wanted = Wanted::parse(text(&resolved["query"])).map_err(|error| error.to_string())?;
        let found = log.resolve(&wanted, Time::from_secs_saturating(NOW)).map_err(|error| error.to_string())?;
        same("document", value(&found.document), resolved["document"].clone())?;
        same("metadata", value(&found.metadata), resolved["metadata"].clone())?;
    }
    Ok(())
}

fn ended(case: &Value) -> Result<(), String> {
    let read = Log::read(&text(&case["log"]).as_bytes().to_vec().into(), text(&case["witness_file"]).as_bytes());
    let (held, code) = match &read {
        Ok(log) => (log.versions().len() as u64, log.ended().map_or("whole", |(_, error)| error.code())),
        Err(error) => (0, error.code()),
    };
    same("versions and code", (held, code), (number(&case["versions"]), text(&case["code"])))
}

fn value(json: &Json) -> Value {
    serde_json::from_str(&json.to_string()).expect("JSON")
}

fn canonical(value: &Value) -> String {
    jcs::to_string(&Json::parse(value.to_string().as_bytes()).expect("JSON"))
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn multikey(seed: u8) -> String {
    key(seed).public().to_multikey()
}

fn proof(seed: u8, time: &str, signed: &Value) -> Value {
    let mut proof = json!({
        "type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022", "created": time,
        "verificationMethod": method_of(key(seed).public()), "proofPurpose": "assertionMethod",
    });
    let digest = |value: &Value| Digest::of(canonical(value).as_bytes()).0;
    let input = [digest(&proof), digest(signed)].concat();
    proof["proofValue"] = json!(format!("z{}", bs58_of(&key(seed).sign(&input))));
    proof
}

/// Base58 as Multibase has it; written here so that vectors do not rest on one implementation.
fn bs58_of(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut digits: Vec<u8> = Vec::new();
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let shown = std::iter::repeat_n(0, zeros).chain(digits.into_iter().rev());
    shown.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Writes entries as they come, whether or not a log may have them.
struct Scribe {
    log: String,
    scid: String,
    last: String,
    count: usize,
}

impl Scribe {
    /// `parameters` and `state` have `{SCID}` for the SCID.
    fn begin(seed: u8, time: &str, parameters: Value, state: Value) -> Self {
        let entry = json!({"versionId": "{SCID}", "versionTime": time, "parameters": parameters, "state": state});
        let scid = hash_of(canonical(&entry).as_bytes());
        let mut made = Self { log: String::new(), last: scid.clone(), scid, count: 0 };
        made.add(seed, time, entry["parameters"].clone(), entry["state"].clone());
        made
    }

    fn add(&mut self, seed: u8, time: &str, parameters: Value, state: Value) {
        let entry = json!({"versionId": self.last, "versionTime": time, "parameters": parameters, "state": state});
        let mut entry: Value = serde_json::from_str(&canonical(&entry).replace("{SCID}", &self.scid)).expect("JSON");
        self.count += 1;
        self.last = format!("{}-{}", self.count, hash_of(canonical(&entry).as_bytes()));
        entry["versionId"] = json!(self.last);
        entry["proof"] = json!([proof(seed, time, &entry)]);
        self.log += &canonical(&entry);
        self.log.push('\n');
    }

    fn witnessed(&self, seeds: &[u8], time: &str) -> String {
        let proofs: Vec<Value> =
            seeds.iter().map(|seed| proof(*seed, time, &json!({"versionId": self.last}))).collect();
        canonical(&json!([{"versionId": self.last, "proof": proofs}]))
    }
}

const DID: &str = "did:webvh:{SCID}:transport.gov.example";
const MOVED: &str = "did:webvh:{SCID}:new.gov.example%3A8443:agencies";
const TIMES: [&str; 4] =
    ["2026-11-01T08:00:00Z", "2026-11-02T08:00:00Z", "2026-11-03T08:00:00Z", "2026-11-04T08:00:00Z"];

fn state(did: &str, seed: u8) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"], "id": did,
        "verificationMethod": [{
            "id": format!("{did}#k1"), "type": "Multikey", "controller": did, "publicKeyMultibase": multikey(seed),
        }],
        "assertionMethod": [format!("{did}#k1")], "authentication": [format!("{did}#k1")],
    })
}

fn first(more: &[(&str, Value)]) -> Value {
    let mut parameters = json!({"method": "did:webvh:1.0", "scid": "{SCID}", "updateKeys": [multikey(1)]});
    more.iter().for_each(|(name, value)| parameters[*name] = value.clone());
    parameters
}

fn promise(seed: u8) -> Value {
    json!([key_hash(key(seed).public())])
}

fn witnesses(threshold: u8, seeds: &[u8]) -> Value {
    let dids: Vec<Value> = seeds.iter().map(|seed| json!({"id": did_of(key(*seed).public())})).collect();
    json!({"threshold": threshold, "witnesses": dids})
}

/// Create with pre-rotation and witnesses, rotate, move, deactivate.
fn make_whole() -> (Scribe, String) {
    let witness = ("witness", witnesses(2, &[11, 12, 13]));
    let parameters = first(&[("portable", json!(true)), ("nextKeyHashes", promise(2)), witness]);
    let mut scribe = Scribe::begin(1, TIMES[0], parameters, state(DID, 9));
    let rotation = json!({"updateKeys": [multikey(2)], "nextKeyHashes": promise(3), "ttl": 60});
    scribe.add(2, TIMES[1], rotation, state(DID, 10));
    let mut moved = state(MOVED, 10);
    moved["alsoKnownAs"] = json!([DID]);
    let rotation = json!({"updateKeys": [multikey(3)], "nextKeyHashes": [], "watchers": ["https://w.example"]});
    scribe.add(3, TIMES[2], rotation, moved.clone());
    scribe.add(3, TIMES[3], json!({"deactivated": true, "updateKeys": []}), moved);
    let file = scribe.witnessed(&[11, 13], TIMES[3]);
    (scribe, file)
}

fn make() -> Value {
    let (scribe, witness_file) = make_whole();
    let bytes = scribe.log.clone().into_bytes().into();
    let body = webvh::encode(&bytes, witness_file.as_bytes()).expect("a log that holds");
    let log = Log::read(&bytes, witness_file.as_bytes()).expect("a log");
    let ids: Vec<&str> = log.versions().iter().map(|version| version.id()).collect();
    let id = format!("versionId={}", ids[2]);
    let queries = ["", "versionNumber=1", "versionTime=2026-11-02T12:00:00Z", &id];
    let resolved = |query: &str| {
        let found = log.resolve(&Wanted::parse(query).expect("a query"), Time::from_secs_saturating(NOW));
        let found = found.expect("a version");
        json!({"query": query, "document": value(&found.document), "metadata": value(&found.metadata)})
    };
    json!({
        "format": FORMAT,
        "now": Time::from_secs_saturating(NOW).to_string(),
        "whole": {
            "log": scribe.log, "witness_file": witness_file, "versions": ids, "names": log.dids(),
            "body": to_hex(&body), "diagnostic": diagnostic(&body), "digest": Digest::of(&body).to_string(),
            "resolved": queries.map(resolved),
        },
        "ended": make_ended(),
        "bodies": [
            {"name": "an empty map", "body": "a0"},
            {"name": "an empty witness file", "body": to_hex([&[0xa2, 0x00, 0x43][..], b"{}\n", &[0x01, 0x40]].concat())},
            {"name": "the members in another order", "body": "a20141780040"},
            {"name": "a log of which nothing holds", "body": to_hex([&[0xa1, 0x00, 0x43][..], b"{}\n"].concat())},
            {"name": "a DID document", "body": to_hex(br#"{"id":"did:web:a.example"}"#)},
        ],
    })
}

fn make_ended() -> Vec<Value> {
    let mut cases = Vec::new();
    let mut case = |name: &str, code: &str, versions: usize, log: String, file: String| {
        cases.push(json!({"name": name, "code": code, "versions": versions, "log": log, "witness_file": file}));
    };
    let begun = |more: &[(&str, Value)]| Scribe::begin(1, TIMES[0], first(more), state(DID, 9));
    for (name, code, more) in [
        ("another method", "method", ("method", json!("did:webvh:0.5"))),
        ("a parameter that is not known", "parameters", ("prerotation", json!(true))),
        ("null where it means nothing", "parameters", ("portable", json!(null))),
        ("a threshold that nobody can meet", "parameters", ("witness", witnesses(2, &[11]))),
        ("a witness twice", "parameters", ("witness", witnesses(1, &[11, 11]))),
        ("a signer that is no update key", "key-not-active", ("updateKeys", json!([multikey(2)]))),
        ("witnesses that nobody asked", "unwitnessed", ("witness", witnesses(1, &[11]))),
    ] {
        case(name, code, 0, begun(&[more]).log, String::new());
    }
    case(
        "a document of another SCID",
        "document-id",
        0,
        {
            let other = state(&format!("did:webvh:{}:a.example", hash_of(b"")), 9);
            Scribe::begin(1, TIMES[0], first(&[]), other).log
        },
        String::new(),
    );
    let log = begun(&[]).log;
    for (name, code, from, to) in [
        ("a time that was changed", "entry-hash", "\"versionTime\":\"2026", "\"versionTime\":\"2025"),
        ("a number that was changed", "version-number", "\"versionId\":\"1-", "\"versionId\":\"2-"),
        ("a proof that was changed", "signature", "\"created\":\"2026", "\"created\":\"2025"),
        ("another cryptosuite", "proof-form", "eddsa-jcs-2022", "eddsa-rdfc-2022"),
    ] {
        assert!(log.contains(from), "{from}");
        case(name, code, 0, log.replacen(from, to, 1), String::new());
    }
    let mut next = |name: &str, code: &str, more: &[(&str, Value)], seed, time, parameters: Value, did: &str| {
        let mut scribe = begun(more);
        scribe.add(seed, time, parameters, state(did, 9));
        case(name, code, 1, scribe.log, String::new());
    };
    let promised = [("nextKeyHashes", promise(2))];
    let turn = |seed| json!({"updateKeys": [multikey(seed)], "nextKeyHashes": []});
    next("the same second", "version-time", &[], 1, TIMES[0], json!({}), DID);
    next("an offset", "version-time", &[], 1, "2026-11-02T08:00:00+01:00", json!({}), DID);
    next("a SCID once more", "parameters", &[], 1, TIMES[1], json!({"scid": "{SCID}"}), DID);
    next("portable too late", "parameters", &[], 1, TIMES[1], json!({"portable": true}), DID);
    next("the method of another version", "method", &[], 1, TIMES[1], json!({"method": "did:webvh:1.1"}), DID);
    next(
        "a new key that signs itself in",
        "key-not-active",
        &[],
        2,
        TIMES[1],
        json!({"updateKeys": [multikey(2)]}),
        DID,
    );
    next("a key that was not promised", "pre-rotation", &promised, 3, TIMES[1], turn(3), DID);
    next("the old key after a promise", "key-not-active", &promised, 1, TIMES[1], turn(2), DID);
    next(
        "a promise that is not renewed",
        "pre-rotation",
        &promised,
        2,
        TIMES[1],
        json!({"updateKeys": [multikey(2)]}),
        DID,
    );
    next("a move that is not allowed", "document-id", &[], 1, TIMES[1], json!({}), MOVED);
    next("a move that is not told", "document-id", &[("portable", json!(true))], 1, TIMES[1], json!({}), MOVED);
    next("an entry after the end", "after-deactivation", &[("deactivated", json!(true))], 1, TIMES[1], json!({}), DID);
    let mut scribe = begun(&[("witness", witnesses(1, &[11]))]);
    let file = scribe.witnessed(&[11], TIMES[0]);
    scribe.add(1, TIMES[1], json!({"witness": witnesses(1, &[12])}), state(DID, 9));
    let new = scribe.witnessed(&[12], TIMES[1]);
    let both = format!("{},{}", &file[..file.len() - 1], &new[1..]);
    case("new witnesses that stand for themselves", "unwitnessed", 1, scribe.log, both);
    cases
}
