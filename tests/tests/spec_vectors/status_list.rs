use bytes::Bytes;
use serde_json::{Value, json};
use standfast_protocol::codec::Writer;
use standfast_protocol::digest::Digest;
use standfast_protocol::register::body::Record;
use standfast_protocol::status::delta::{Delta, DeltaError};
use standfast_protocol::status::native::{ListError, StatusList};
use standfast_tests::vectors::{digest, hex, list, number, refused, same, text};

use super::{cbor_reason, diagnostic, made_again, open, to_hex};

const FORMAT: &str = "specs/status.md sections 2 and 3. A case of `lists`: uri, purpose, bits, length, `set` as pairs \
    [index, value] (all other values are 0), and the body they give, in hex, with its SHA-256. A case of `deltas`: \
    the names of two lists, and the delta that leads from `base` to `result`, in hex and in the diagnostic notation \
    of RFC 8949. `refused_lists` and `refused_deltas` must not be read or not be applied to the list `base`.";
const URI: &str = "https://a.example/1";

#[test]
fn status_lists() {
    let (file, mut report) = open("status-list.json", make);
    report.check("made again", made_again(&file, make));
    let lists = list(&file["lists"]);
    for case in lists {
        report.check(text(&case["name"]), accept_list(case));
    }
    let body = |name: &Value| {
        let case = lists.iter().find(|case| case["name"] == *name).expect("a list of that name");
        Record::new(hex(&case["body"]))
    };
    for case in list(&file["deltas"]) {
        report.check(text(&case["name"]), accept_delta(case, &body(&case["base"]), &body(&case["result"])));
    }
    for case in list(&file["refused_lists"]) {
        let found = StatusList::parse(&Bytes::from(hex(&case["body"]))).err();
        report.check(text(&case["name"]), refused(found.map(list_reason), text(&case["reason"])));
    }
    for case in list(&file["refused_deltas"]) {
        let found = Delta::parse(&hex(&case["delta"])).and_then(|delta| delta.apply(&body(&case["base"]))).err();
        report.check(text(&case["name"]), refused(found.map(delta_reason), text(&case["reason"])));
    }
    report.finish();
}

fn accept_list(case: &Value) -> Result<(), String> {
    let body = Bytes::from(hex(&case["body"]));
    let read = StatusList::parse(&body).map_err(|error| format!("refused: {error}"))?;
    same("uri", read.uri(), text(&case["uri"]))?;
    same("purpose", read.purpose(), text(&case["purpose"]))?;
    same("bits", read.bits().into(), number(&case["bits"]))?;
    same("length", read.length(), number(&case["length"]))?;
    let set: Value = (0..read.length())
        .filter_map(|index| read.value(index).filter(|value| *value != 0).map(|value| json!([index, value])))
        .collect();
    same("set", &set, &case["set"])?;
    same("beyond the end", read.value(read.length()), None)?;
    same("digest", Some(Digest::of(&body)), digest(&case["digest"]))?;
    same("written again", read.encode(), body.to_vec())
}

fn accept_delta(case: &Value, base: &Record, result: &Record) -> Result<(), String> {
    let bytes = hex(&case["delta"]);
    let delta = Delta::parse(&bytes).map_err(|error| format!("refused: {error}"))?;
    let found = delta.apply(base).map_err(|error| format!("not applied: {error}"))?;
    same("result", found.body(), result.body())?;
    same("made again", Delta::between(base, result).map(|delta| delta.encode()), Some(bytes.clone()))?;
    same("diagnostic", diagnostic(&bytes).as_str(), text(&case["diagnostic"]))
}

/// A list by the name that the file gives it.
type Named = (&'static str, StatusList);

fn lists() -> Vec<Named> {
    let new = |bits, length, set: &[(u64, u8)]| {
        let empty = StatusList::new(URI, "revocation", bits, length).expect("a list");
        empty.edited(length, set).expect("values that fit")
    };
    vec![
        ("16 of 1 bit", new(1, 16, &[(2, 1)])),
        ("5 of 2 bits", new(2, 5, &[(0, 1), (4, 3)])),
        ("3 of 4 bits", new(4, 3, &[(1, 15), (2, 8)])),
        ("2 of 8 bits", new(8, 2, &[(1, 255)])),
        ("1000 of 1 bit", new(1, 1000, &[(5, 1), (6, 1)])),
        ("1000 of 1 bit, two more and one less", new(1, 1000, &[(5, 1), (300, 1), (999, 1)])),
        ("1100 of 1 bit", new(1, 1100, &[(5, 1), (6, 1), (1099, 1)])),
        ("500 of 2 bits", new(2, 500, &[(0, 2)])),
        ("500 of 2 bits, changed", new(2, 500, &[(0, 1), (1, 3), (499, 2)])),
    ]
}

/// A delta with everything as given, right or wrong.
fn raw_delta(version: u64, base: &[u8], result: &[u8], length: u64, pairs: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.map(5).uint(0).uint(version).uint(1).bytes(Digest::of(base).as_bytes());
    writer.uint(2).bytes(Digest::of(result).as_bytes()).uint(3).uint(length).uint(4).bytes(pairs);
    writer.into_bytes()
}

fn raw_list(bits: u64, length: u64, values: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.map(5).uint(0).text(URI).uint(1).text("revocation").uint(2).uint(bits).uint(3).uint(length);
    writer.uint(4).bytes(values);
    writer.into_bytes()
}

fn make() -> Value {
    let lists = lists();
    let body = |name: &str| lists.iter().find(|(other, _)| *other == name).expect("a list").1.encode();
    let list = |(name, list): &Named| {
        let set = (0..list.length()).filter_map(|index| Some((index, list.value(index).filter(|value| *value != 0)?)));
        json!({
            "name": name, "uri": list.uri(), "purpose": list.purpose(), "bits": list.bits(), "length": list.length(),
            "set": set.map(|(index, value)| json!([index, value])).collect::<Value>(),
            "body": to_hex(list.encode()), "digest": Digest::of(&list.encode()).to_string()
        })
    };
    let delta = |name: &str, base: &str, result: &str| {
        let delta = Delta::between(&Record::new(body(base)), &Record::new(body(result))).expect("a delta").encode();
        json!({
            "name": name, "base": base, "result": result, "delta": to_hex(&delta), "diagnostic": diagnostic(&delta)
        })
    };
    let (base, grown) = ("1000 of 1 bit", "1100 of 1 bit");
    let (old, new) = (body(base), body(grown));
    let refused_list =
        |name: &str, reason: &str, body: &[u8]| json!({"name": name, "reason": reason, "body": to_hex(body)});
    let on = |name: &str, reason: &str, base: &str, delta: &[u8]| json!({"name": name, "reason": reason, "base": base, "delta": to_hex(delta)});
    // One pair: a gap of 1099 and the value 1, (1099 << 1) + 1 = 2199.
    let pairs = [0x97, 0x11];
    let right = raw_delta(1, &old, &new, 1100, &pairs);
    let good = raw_list(2, 5, &[1, 3]);
    json!({
        "format": FORMAT,
        "lists": lists.iter().map(list).collect::<Value>(),
        "deltas": [
            delta("two set, one cleared", base, "1000 of 1 bit, two more and one less"),
            delta("grown", base, grown),
            delta("2 bits", "500 of 2 bits", "500 of 2 bits, changed"),
        ],
        "refused_lists": [
            refused_list("bits behind the last index", "spare-bits", &raw_list(2, 5, &[1, 7])),
            refused_list("a byte of values too many", "values", &raw_list(2, 5, &[1, 3, 0])),
            refused_list("a byte of values too few", "values", &raw_list(2, 5, &[1])),
            refused_list("3 bits", "bits", &raw_list(3, 5, &[0, 0])),
            refused_list("length 0", "length", &raw_list(1, 0, &[])),
            refused_list("a length above 1 MiB of values", "length", &raw_list(8, (1 << 20) + 1, &[])),
            refused_list("a trailing byte", "trailing-bytes", &[&good[..], &[0]].concat()),
            refused_list("a length in two bytes where one does", "non-minimal", &{
                let mut body = good.clone();
                let place = body.len() - 5;
                body.splice(place..=place + 1, [0x03, 0x18, 0x05]);
                body
            }),
        ],
        "refused_deltas": [
            on("another base", "base", grown, &right),
            on("another result", "result", base, &raw_delta(1, &old, &old, 1100, &pairs)),
            on("a gap beyond the end", "index", base, &raw_delta(1, &old, &new, 1099, &pairs)),
            on("a gap beyond 2^63", "pairs", base, &raw_delta(1, &old, &new, 1100, &[0xff; 10])),
            on("a number that is not the shortest", "pairs", base, &raw_delta(1, &old, &new, 1100, &[0x97, 0x91, 0x00])),
            on("a number that is cut off", "pairs", base, &raw_delta(1, &old, &new, 1100, &[0x97])),
            on("a list that shrinks", "length", base, &raw_delta(1, &old, &new, 999, &[])),
            on("version 2", "version", base, &raw_delta(2, &old, &new, 1100, &pairs)),
            on("a trailing byte", "trailing-bytes", base, &[&right[..], &[0]].concat()),
        ]
    })
}

/// The code of a refused list.
fn list_reason(error: ListError) -> &'static str {
    match error {
        ListError::Cbor(error) => cbor_reason(error),
        ListError::Bits(_) => "bits",
        ListError::Length(_) => "length",
        ListError::Values { .. } => "values",
        ListError::SpareBits => "spare-bits",
        ListError::Index { .. } => "index",
        ListError::Value { .. } => "value",
    }
}

/// The code of a refused delta.
fn delta_reason(error: DeltaError) -> &'static str {
    match error {
        DeltaError::Size(_) => "size",
        DeltaError::Cbor(error) => cbor_reason(error),
        DeltaError::Version(_) => "version",
        DeltaError::Base => "base",
        DeltaError::Pairs => "pairs",
        DeltaError::List(error) => list_reason(error),
        DeltaError::Result => "result",
    }
}
