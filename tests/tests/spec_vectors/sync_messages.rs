use bytes::Bytes;
use serde_json::{Value, json};
use standfast_protocol::digest::Digest;
use standfast_protocol::limits;
use standfast_protocol::log::checkpoint::Checkpoint;
use standfast_protocol::sync::message::{
    BodyItem, EvidenceMessage, ForkMessage, FrontierLeaf, FrontierNode, HeadMessage, MessageError, Prefix, Request,
    Response, Signed, StatementMessage,
};
use standfast_tests::vectors::{hex, list, refused, same, text};

use super::{cbor_reason, diagnostic, made_again, open, to_hex};

const FORMAT: &str = "specs/sync.md sections 1 to 3. `as` says how a message is read: head, statement and fork by \
    gossip, request, response. `message` is in hex and in the diagnostic notation of RFC 8949. Signatures, entries, \
    bodies, proofs and notes are made up: only the form counts here. `refused` must not be read.";

#[test]
fn sync_messages() {
    let (file, mut report) = open("sync-messages.json", make);
    report.check("made again", made_again(&file, make));
    for case in list(&file["messages"]) {
        report.check(text(&case["name"]), accept(case));
    }
    for case in list(&file["refused"]) {
        let found = read_and_write(text(&case["as"]), &hex(&case["message"])).err();
        report.check(text(&case["name"]), refused(found.as_ref().map(reason), text(&case["reason"])));
    }
    report.finish();
}

fn read_and_write(form: &str, data: &[u8]) -> Result<Vec<u8>, MessageError> {
    Ok(match form {
        "head" => HeadMessage::decode(data, limits::GOSSIP_SIZE_MAX)?.encode(),
        "statement" => StatementMessage::decode(data)?.encode(),
        "fork" => EvidenceMessage::decode(data)?.encode(),
        "request" => Request::decode(data)?.encode(),
        "response" => Response::decode(data)?.encode(),
        other => panic!("no messages are read as {other}"),
    })
}

fn accept(case: &Value) -> Result<(), String> {
    let bytes = hex(&case["message"]);
    let again = read_and_write(text(&case["as"]), &bytes).map_err(|error| format!("refused: {error}"))?;
    same("written again", &again, &bytes)?;
    same("diagnostic", diagnostic(&bytes).as_str(), text(&case["diagnostic"]))
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: "a.example/register".to_owned(), size: 3, root: Digest::of(b"root") }
}

fn own() -> Signed {
    Signed { id: [1, 2, 3, 4], blob: vec![7; 64] }
}

fn cosignature() -> Signed {
    let blob = [&1_795_000_000_u64.to_be_bytes()[..], &[9; 64]].concat();
    Signed { id: [5, 6, 7, 8], blob }
}

fn head() -> HeadMessage {
    HeadMessage {
        checkpoint: checkpoint(),
        own: vec![own()],
        cosignatures: vec![cosignature()],
        first: 2,
        entries: vec![Bytes::from_static(b"entry")],
        bodies: vec![BodyItem::Whole(Bytes::from_static(b"body")), BodyItem::Delta(Bytes::from_static(b"delta"))],
    }
}

fn bare() -> HeadMessage {
    HeadMessage { entries: Vec::new(), bodies: Vec::new(), first: 3, ..head() }
}

fn gossip() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let view = Bytes::from_static(b"view message");
    let fork = ForkMessage { origin: "a.example/register".to_owned(), proof: Bytes::from_static(b"fork proof") };
    vec![
        ("a head with an entry, a body and a delta", "head", head().encode()),
        ("a head alone", "head", bare().encode()),
        ("cosignatures", "statement", StatementMessage::Cosignatures(checkpoint(), vec![cosignature()]).encode()),
        ("a view", "statement", StatementMessage::View(view).encode()),
        ("a fork", "fork", fork.encode()),
        ("a witness proof", "fork", EvidenceMessage::Witness(Bytes::from_static(b"witness proof")).encode()),
    ]
}

fn requests() -> Vec<(&'static str, Request)> {
    let (origin, digest) = ("a.example/register".to_owned(), Digest::of(b"body"));
    vec![
        ("frontier: everything", Request::Frontier { prefix: Prefix::default(), root: Digest([0; 32]) }),
        ("frontier: below 1f", Request::Frontier { prefix: Prefix(vec![1, 15]), root: Digest::of(b"place") }),
        ("entries from 7 on", Request::Entries { origin: origin.clone(), first: 7 }),
        ("the second piece of a body", Request::Body { digest, offset: 65_536, base: None }),
        ("a body, where another is held", Request::Body { digest, offset: 0, base: Some(Digest::of(b"base")) }),
        ("a witness's view", Request::View { witness: "interior".to_owned(), time: 0, offset: 0 }),
        (
            "the second piece of a view",
            Request::View { witness: "interior".to_owned(), time: 1_795_000_000, offset: 131_072 },
        ),
        ("a fork proof", Request::Fork { origin }),
        ("version 2 of the charter", Request::Charter { version: 2 }),
        ("a witness's own statements", Request::Own { witness: "interior".to_owned(), after: String::new() }),
        (
            "more of a witness's own statements",
            Request::Own { witness: "interior".to_owned(), after: "a.example/register".to_owned() },
        ),
        ("a witness proof", Request::WitnessProof { witness: "interior".to_owned(), key: [5, 6, 7, 8] }),
        ("both charters of version 2", Request::CharterFork { version: 2 }),
    ]
}

fn responses() -> Vec<(&'static str, Response)> {
    let frontier = |node| Response::Frontier {
        charter: 1,
        charter_digest: Digest::of(b"charter"),
        forks: if matches!(node, FrontierNode::Same) { vec![2] } else { Vec::new() },
        views: vec![("interior".to_owned(), 1_795_000_000)],
        misbehaved: vec![("customs".to_owned(), [5, 6, 7, 8])],
        node,
    };
    let leaf = |fork| FrontierLeaf {
        origin: "a.example/register".to_owned(),
        newest: 3,
        root: Digest::of(b"root"),
        witnessed: 2,
        fork,
        other: if fork.is_some() { 4 } else { 0 },
        other_witnessed: if fork.is_some() { 3 } else { 0 },
        published: 1_795_000_000,
        signed: [1, 2, 3, 4, 5, 6, 7, 8],
    };
    let roots = (0..16).map(|nibble| Digest([nibble; 32])).collect();
    let proof = Bytes::from_static(b"fork proof");
    vec![
        ("frontier: the same", frontier(FrontierNode::Same)),
        (
            "frontier: two registers, one forked",
            frontier(FrontierNode::Leaves(vec![leaf(None), leaf(Some(Digest::of(b"fork")))])),
        ),
        ("frontier: sixteen roots", frontier(FrontierNode::Children(roots))),
        (
            "entries, with a witnessed head and a timestamp",
            Response::Entries {
                newest: Box::new(head()),
                witnessed: Some(Box::new(bare())),
                timestamp: Some((checkpoint(), cosignature())),
            },
        ),
        ("a head without more", Response::Entries { newest: Box::new(bare()), witnessed: None, timestamp: None }),
        ("a piece of a delta", Response::Body { total: 9, is_delta: true, piece: Bytes::from_static(b"piece") }),
        (
            "a piece of a view message",
            Response::View { time: 1_795_000_000, total: 12, piece: Bytes::from_static(b"view message") },
        ),
        ("a fork proof alone", Response::Fork { proof: proof.clone(), other: Vec::new() }),
        ("a fork proof with two heads of the other branch", Response::Fork { proof, other: vec![bare(), head()] }),
        ("a charter", Response::Charter(Bytes::from_static(b"charter note"))),
        (
            "two charters of one version",
            Response::CharterFork(vec![Bytes::from_static(b"one note"), Bytes::from_static(b"another note")]),
        ),
        ("not held", Response::NotHeld),
        (
            "a witness's own statements, and there are more",
            Response::Own { statements: vec![(checkpoint(), cosignature())], more: true },
        ),
        ("a witness proof", Response::WitnessProof(Bytes::from_static(b"witness proof"))),
    ]
}

/// What `make` gives a wrong place: bytes before, instead and after.
fn replaced(whole: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let place = whole.windows(from.len()).position(|part| part == from).expect("bytes to replace");
    [&whole[..place], to, &whole[place + from.len()..]].concat()
}

fn make() -> Value {
    let shown = |name: &str, form: &str, bytes: &[u8]| json!({"name": name, "as": form, "message": to_hex(bytes), "diagnostic": diagnostic(bytes)});
    let mut messages: Vec<Value> = gossip().iter().map(|(name, form, bytes)| shown(name, form, bytes)).collect();
    messages.extend(requests().iter().map(|(name, request)| shown(name, "request", &request.encode())));
    messages.extend(responses().iter().map(|(name, response)| shown(name, "response", &response.encode())));
    let refuse = |name: &str, reason: &str, form: &str, bytes: &[u8]| json!({"name": name, "reason": reason, "as": form, "message": to_hex(bytes)});
    let (whole, lean) = (head().encode(), bare().encode());
    let trailing = |bytes: &[u8]| [bytes, &[0]].concat();
    let mut refused: Vec<Value> = gossip()
        .iter()
        .map(|(name, form, bytes)| refuse(&format!("{name}, and a byte"), "trailing-bytes", form, &trailing(bytes)))
        .collect();
    // 65 empty strings where 64 elements may stand.
    let many = |head: &[u8]| [head, &[0x98, 65], &[0x40; 65]].concat();
    let of_leaves = [&[0x87, 0, 1, 0x58, 32][..], &[0; 32], &[0x80, 0x80, 0x80, 0x82, 0]].concat();
    let of_roots = [&[0x87, 0, 1, 0x58, 32][..], &[0; 32], &[0x80, 0x80, 0x80, 0x82, 1, 0x91]].concat();
    let frontier =
        |nibbles: &[u8]| Request::Frontier { prefix: Prefix(nibbles.to_vec()), root: Digest([0; 32]) }.encode();
    let short = HeadMessage { own: vec![Signed { id: [1; 4], blob: vec![7; 63] }], ..bare() };
    let empty = HeadMessage { checkpoint: Checkpoint { size: 0, ..checkpoint() }, ..bare() };
    let large = HeadMessage { checkpoint: Checkpoint { size: 1 << 63, ..checkpoint() }, ..bare() };
    let spaced = HeadMessage { checkpoint: Checkpoint { origin: "a example".into(), ..checkpoint() }, ..bare() };
    refused.extend([
        refuse("a request and a byte", "trailing-bytes", "request", &[0x82, 5, 2, 0]),
        refuse("a response and a byte", "trailing-bytes", "response", &[0x81, 6, 0]),
        refuse("a truncated head", "truncated", "head", &whole[..whole.len() - 1]),
        refuse("a number in two bytes where one does", "non-minimal", "request", &[0x82, 5, 0x18, 2]),
        refuse("an array length in two bytes", "non-minimal", "request", &[0x98, 2, 5, 2]),
        refuse("an indefinite array", "indefinite", "request", &[0x9f, 5, 2, 0xff]),
        refuse("a tag", "tag", "request", &[0x82, 5, 0xc1, 2]),
        refuse("a text where a number belongs", "type", "request", &[0x82, 5, 0x61, b'2']),
        refuse("a request of kind 6", "unknown-kind", "request", &[0x82, 6, 2]),
        refuse("a request of kind 5 with an element too many", "unknown-kind", "request", &[0x83, 5, 2, 0]),
        refuse("a response of kind 9", "unknown-kind", "response", &[0x81, 9]),
        refuse("a statement of kind 2", "unknown-kind", "statement", &[0x82, 2, 0x40]),
        refuse(
            "a body item of kind 2",
            "unknown-kind",
            "head",
            &replaced(&whole, b"\x82\x01\x45delta", b"\x82\x02\x45delta"),
        ),
        refuse("65 own signatures", "count", "head", &{
            let place = lean.windows(4).position(|part| part == [0x81, 0x58, 0x44, 1]).expect("the own signatures");
            many(&lean[..place])
        }),
        refuse("65 leaves", "count", "response", &many(&of_leaves)),
        refuse("17 roots", "count", "response", &[&of_roots[..], &[0x40; 17]].concat()),
        refuse("three heads of the other branch", "count", "response", &[0x83, 4, 0x40, 0x83, 0x80, 0x80, 0x80]),
        refuse("a half-byte of 16", "range", "request", &frontier(&[16])),
        refuse("65 half-bytes", "range", "request", &frontier(&[0; 65])),
        refuse("a signature of 63 bytes", "range", "head", &short.encode()),
        refuse("size 0 with a root other than SHA-256 of nothing", "range", "head", &empty.encode()),
        refuse("a size of 2^63", "range", "head", &large.encode()),
        refuse("an origin with a space", "range", "head", &spaced.encode()),
        refuse("a flag of 2", "range", "response", &[0x84, 2, 1, 2, 0x40]),
        refuse("a request above 4 KiB", "size", "request", &[&[0x84, 3, 0x79, 0x10, 0x01][..], &[b'a'; 4097]].concat()),
    ]);
    json!({"format": FORMAT, "messages": messages, "refused": refused})
}

/// The code of a refusal.
fn reason(error: &MessageError) -> &'static str {
    match error {
        MessageError::Cbor(error) => cbor_reason(*error),
        MessageError::Size { .. } => "size",
        MessageError::Count { .. } => "count",
        MessageError::Kind(_) => "unknown-kind",
        MessageError::Range(_) => "range",
    }
}
