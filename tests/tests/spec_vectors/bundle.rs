use data_encoding::BASE64;
use serde_json::{Value, json};
use standfast_protocol::bundle::{Bundle, BundleError, MAGIC};
use standfast_protocol::codec::{CborError, Reader};
use standfast_protocol::digest::Digest;
use standfast_protocol::sync::message::Prefix;
use standfast_tests::vectors::{base64, digest, list, number, refused, same, text};
use standfast_tests::world::{NOW, World};

use super::{cbor_reason, open, to_hex};

const FORMAT: &str = "specs/bundle.md. `bundle` is the file in base64, with its SHA-256 and size; `parts` the SHA-256 \
    and size of each byte string in it. Opened by itself at the time `now` it gives `registers` and the root of the \
    frontier (specs/sync.md section 3.1). `refused`: the file cut to `cut` bytes, or with the byte at `at` xor \
    `xor`. The keys are those of made-up agencies; nobody has to make this file again.";

#[test]
fn bundles() {
    let (file, mut report) = open("bundle.json", make);
    let bytes = base64(&file["bundle"]);
    let now = number(&file["now"]);
    report.check("whole", accept(&file, &bytes, now));
    for case in list(&file["refused"]) {
        let found = opened(&damaged(&bytes, case), now).err();
        report.check(text(&case["name"]), refused(found.as_ref().map(reason), text(&case["reason"])));
    }
    report.finish();
}

fn opened(bytes: &[u8], now: u64) -> Result<Value, BundleError> {
    let (replica, _) = Bundle::decode(bytes)?.open(now)?;
    let register = |(origin, register): (&String, &std::sync::Arc<standfast_protocol::register::state::Register>)| {
        json!({
            "origin": origin, "newest": register.size_newest(), "witnessed": register.size_witnessed()
        })
    };
    Ok(json!({
        "network": replica.charter().network_id().to_string(),
        "registers": replica.registers().iter().map(register).collect::<Value>(),
        "frontier_root": replica.frontier_root(&Prefix::default()).to_string(),
        "again": to_hex(Digest::of(&Bundle::of(&replica).encode()).as_bytes()),
    }))
}

fn accept(file: &Value, bytes: &[u8], now: u64) -> Result<(), String> {
    same("size", bytes.len() as u64, number(&file["size"]))?;
    same("SHA-256", Some(Digest::of(bytes)), digest(&file["sha256"]))?;
    same("parts", &parts(bytes).map_err(|error| error.to_string())?, &file["parts"])?;
    let found = opened(bytes, now).map_err(|error| format!("refused: {error}"))?;
    same("registers", &found["registers"], &file["registers"])?;
    same("frontier", &found["frontier_root"], &file["frontier_root"])?;
    same("network", &found["network"], &file["network"])?;
    same("written again", &found["again"], &file["sha256"])
}

fn damaged(bytes: &[u8], case: &Value) -> Vec<u8> {
    let place = |name: &str| usize::try_from(number(&case[name])).expect("a place in the file");
    if case.get("cut").is_some() {
        return bytes[..place("cut")].to_vec();
    }
    let mut bytes = bytes.to_vec();
    bytes[place("at")] ^= u8::try_from(number(&case["xor"])).expect("a byte");
    bytes
}

/// The byte strings of a bundle, read without `Bundle`.
fn parts(bytes: &[u8]) -> Result<Value, CborError> {
    let part = |reader: &mut Reader<'_>| -> Result<Value, CborError> {
        let bytes = reader.bytes()?;
        Ok(json!({"sha256": Digest::of(bytes).to_string(), "size": bytes.len()}))
    };
    let all = |reader: &mut Reader<'_>| -> Result<Value, CborError> {
        (0..reader.array()?).map(|_| part(reader)).collect::<Result<Vec<Value>, _>>().map(Value::from)
    };
    let mut reader = Reader::new(bytes.strip_prefix(MAGIC).expect("a bundle"));
    reader.map_len(4)?;
    reader.key(0)?;
    let charters = all(&mut reader)?;
    reader.key(1)?;
    let mut registers = Vec::new();
    for _ in 0..reader.array()? {
        reader.array_len(3)?;
        let heads = all(&mut reader)?;
        let fork = part(&mut reader)?;
        registers.push(json!({"heads": heads, "fork": fork, "statements": all(&mut reader)?}));
    }
    reader.key(2)?;
    let views = all(&mut reader)?;
    reader.key(3)?;
    let bodies = all(&mut reader)?;
    reader.finish()?;
    Ok(json!({"charters": charters, "registers": registers, "views": views, "bodies": bodies}))
}

fn make() -> Value {
    let mut world = World::bare();
    world.publish("interior", vec![world.recognize("ministry", "*")]);
    world.settle(NOW);
    let snapshot = world.snapshot();
    let replica = snapshot.replica();
    let bytes = Bundle::of(replica).encode();
    let opened = opened(&bytes, NOW).expect("the bundle opens");
    let register = replica.registers().values().next().expect("one register");
    let stand = register.stands_from(0).last().expect("a head");
    let place = |part: &[u8]| bytes.windows(part.len()).position(|other| other == part).expect("a part of the file");
    let own = &stand.head().note().signatures()[0];
    let entry = register.entries(0, 1).next().expect("an entry");
    let charter = place(replica.charter().text().as_bytes());
    let flip = |name: &str, reason: &str, at: usize| json!({"name": name, "reason": reason, "at": at, "xor": 1});
    json!({
        "format": FORMAT,
        "now": NOW,
        "bundle": BASE64.encode(&bytes),
        "sha256": Digest::of(&bytes).to_string(),
        "size": bytes.len(),
        "parts": parts(&bytes).expect("a bundle"),
        "network": opened["network"],
        "registers": opened["registers"],
        "frontier_root": opened["frontier_root"],
        "refused": [
            flip("another first line", "magic", MAGIC.len() - 2),
            {"name": "empty", "reason": "magic", "cut": 0},
            {"name": "the first line alone", "reason": "truncated", "cut": MAGIC.len()},
            {"name": "a byte too few", "reason": "truncated", "cut": bytes.len() - 1},
            {"name": "cut in the middle", "reason": "truncated", "cut": bytes.len() / 2},
            flip("a signature of the head", "altered", place(&own.blob) + 40),
            flip("an entry", "altered", place(entry.bytes()) + entry.bytes().len() - 1),
            flip("the text of the charter", "charter", charter + replica.charter().text().len() - 3),
        ]
    })
}

/// The code of a refusal.
fn reason(error: &BundleError) -> &'static str {
    match error {
        BundleError::Magic => "magic",
        BundleError::Cbor(error) => cbor_reason(*error),
        BundleError::Charter(_) | BundleError::CharterNote(_) => "charter",
        BundleError::Altered { .. } | BundleError::NotAdmitted { .. } => "altered",
        _ => "another rule",
    }
}
