use serde_json::{Value, json};
use standfast_protocol::digest::Digest;
use standfast_protocol::key::{Algorithm, SecretKey, VerifierKey};
use standfast_protocol::log::note::{Note, NoteError};
use standfast_protocol::log::view::{Frontier, Leaf, SignedView, View, ViewChanges, ViewError, ViewMessage};
use standfast_tests::vectors::{digest, hex, list, number, refused, same, text};

use super::{cbor_reason, diagnostic, edited, made_again, open, to_hex};

const FORMAT: &str = "specs/charter.md section 7. `key` is the witness's view key, `seed` its Ed25519 seed. A case of \
    `views`: the leaves of the frontier that the reader holds (`base`, null: none), the message in hex and in the \
    diagnostic notation of RFC 8949, the note in it, and the leaves and the root that it leads to. \
    `refused_messages`: with `base` as before. `refused_notes`: the note of the first view in which the first \
    occurrence of edit[0] is replaced by edit[1]. A reason names the rule.";

#[test]
fn views() {
    let (file, mut report) = open("view.json", make);
    report.check("made again", made_again(&file, make));
    let key: VerifierKey = text(&file["key"]).parse().expect("a key");
    for case in list(&file["views"]) {
        report.check(text(&case["name"]), accept(case, &key));
    }
    for case in list(&file["refused_messages"]) {
        let found = read(case, &key).err();
        report.check(text(&case["name"]), refused(found.as_ref().map(reason), text(&case["reason"])));
    }
    for case in list(&file["refused_notes"]) {
        let note = edited(text(&file["views"][0]["note"]), case);
        let found = Note::parse(note.as_bytes()).map_err(ViewError::from);
        let found = found.and_then(|note| SignedView::authenticate(note, &key)).err();
        report.check(text(&case["name"]), refused(found.as_ref().map(reason), text(&case["reason"])));
    }
    report.finish();
}

fn read(case: &Value, key: &VerifierKey) -> Result<(SignedView, Frontier), ViewError> {
    let message = ViewMessage::decode(&hex(&case["message"]))?;
    let base = (!case["base"].is_null()).then(|| frontier_of(&case["base"]));
    let signed = SignedView::authenticate(message.note.clone(), key)?;
    let frontier = message.changes.apply(base.as_ref(), signed.view())?;
    Ok((signed, frontier))
}

fn accept(case: &Value, key: &VerifierKey) -> Result<(), String> {
    let (signed, frontier) = read(case, key).map_err(|error| format!("refused: {error}"))?;
    same("note", signed.note().to_string().as_str(), text(&case["note"]))?;
    same("text", signed.view().text().as_str(), signed.note().text())?;
    same("leaves", &leaves(&frontier), &case["leaves"])?;
    same("root", Some(frontier.root()), digest(&case["root"]))?;
    let base = (!case["base"].is_null()).then(|| frontier_of(&case["base"]));
    let again = ViewMessage { note: signed.note().clone(), changes: frontier.changes_since(base.as_ref()) };
    same("written again", again.encode(), hex(&case["message"]))?;
    same("diagnostic", diagnostic(&again.encode()).as_str(), text(&case["diagnostic"]))
}

fn frontier_of(leaves: &Value) -> Frontier {
    let mut frontier = Frontier::default();
    for leaf in list(leaves) {
        let root = digest(&leaf["root"]).expect("a digest");
        frontier.put(text(&leaf["origin"]), Leaf { size: number(&leaf["size"]), root });
    }
    frontier
}

fn leaves(frontier: &Frontier) -> Value {
    let shown = |(origin, leaf): (&str, Leaf)| json!({"origin": origin, "size": leaf.size, "root": leaf.root.to_string(), "digest": leaf.digest().to_string()});
    frontier.iter().map(shown).collect()
}

fn frontier(heads: &[(&str, u64)]) -> Frontier {
    let mut frontier = Frontier::default();
    for (origin, size) in heads {
        let root = Digest::of(format!("{origin} {size}").as_bytes());
        frontier.put(&format!("{origin}.example/register"), Leaf { size: *size, root });
    }
    frontier
}

fn note(frontier: &Frontier) -> Note {
    let view = View {
        network: Digest::of(b"network"),
        witness: "interior".into(),
        time: 1_795_000_000,
        charter_version: 3,
        charter_digest: Digest::of(b"charter"),
        registers: frontier.len() as u64,
        root: frontier.root(),
    };
    let (key, secret) = key();
    view.sign(&key, &secret)
}

fn key() -> (VerifierKey, SecretKey) {
    let secret = SecretKey::from_seed(&[7; 32]);
    (VerifierKey::new("interior.example/view", Algorithm::Note, secret.public()).expect("a name"), secret)
}

fn make() -> Value {
    let base = frontier(&[("a", 1), ("b", 2), ("c", 3)]);
    let next = frontier(&[("a", 1), ("b", 9), ("d", 4)]);
    let held = leaves(&base);
    let empty = Frontier::default();
    let view = |name: &str, base: Option<&Frontier>, frontier: &Frontier| {
        let message = ViewMessage { note: note(frontier), changes: frontier.changes_since(base) };
        json!({
            "name": name, "base": base.map(leaves), "leaves": leaves(frontier), "root": frontier.root().to_string(),
            "note": message.note.to_string(), "message": to_hex(message.encode()),
            "diagnostic": diagnostic(&message.encode())
        })
    };
    let changes = next.changes_since(Some(&base));
    let encoded = |change: &dyn Fn(&mut ViewChanges)| {
        let mut changes = changes.clone();
        change(&mut changes);
        ViewMessage { note: note(&next), changes }.encode()
    };
    let refuse = |name: &str, reason: &str, base: &Value, message: &[u8]| json!({"name": name, "reason": reason, "base": base, "message": to_hex(message)});
    let zeroth = |changes: &mut ViewChanges| changes.put[0].1.size = 0;
    let kept = encoded(&|_| {});
    json!({
        "format": FORMAT,
        "key": key().0.to_string(),
        "seed": to_hex([7; 32]),
        "views": [
            view("whole", None, &base),
            view("changes since the base", Some(&base), &next),
            view("nothing has changed", Some(&base), &base),
            view("no registers", None, &empty),
        ],
        "refused_messages": [
            refuse("a leaf other than the one signed", "wrong-root", &held, &encoded(&|c| c.put[0].1.size = 8)),
            refuse("a leaf too few", "wrong-root", &held, &encoded(&|c| drop(c.put.pop()))),
            refuse("new leaves that do not ascend", "order", &held, &encoded(&|c| c.put.reverse())),
            refuse("a leaf twice", "order", &held, &encoded(&|c| c.put[1] = c.put[0].clone())),
            refuse("an origin both new and gone", "order", &held, &encoded(&|c| c.removed[0] = c.put[0].0.clone())),
            refuse("gone without a base", "removal", &Value::Null, &encoded(&|c| c.base = None)),
            refuse("gone though the base lacks it", "removal", &held, &encoded(&|c| c.removed[0] = "z".into())),
            refuse("a base that is not held", "base", &leaves(&next), &kept),
            refuse("a base where nothing is held", "base", &Value::Null, &kept),
            refuse("size 0 with a root other than SHA-256 of nothing", "head", &held, &encoded(&zeroth)),
            refuse("an origin with a space", "origin", &held, &encoded(&|c| c.put[0].0 = "b example".into())),
            refuse("a trailing byte", "trailing-bytes", &held, &[&kept[..], &[0]].concat()),
            refuse("truncated", "truncated", &held, &kept[..kept.len() - 1]),
        ],
        "refused_notes": [
            {"name": "another time under the same signature", "reason": "bad-signature", "edit": ["1795000000", "1795000001"]},
            {"name": "another key's name", "reason": "unknown-key", "edit": ["interior.example", "customs.example"]},
            {"name": "another kind", "reason": "kind", "edit": ["view/v1", "view/v2"]},
            {"name": "a ninth line", "reason": "lines", "edit": ["\n\n", "\nmore\n\n"]},
            {"name": "a leading zero", "reason": "line", "edit": ["1795000000", "01795000000"]},
            {"name": "base64 without padding", "reason": "line", "edit": ["=\n\n", "\n\n"]},
        ]
    })
}

/// The code of a refusal.
fn reason(error: &ViewError) -> &'static str {
    match error {
        ViewError::Note(NoteError::BadSignature) => "bad-signature",
        ViewError::Note(NoteError::UnknownKey) => "unknown-key",
        ViewError::Note(_) => "note",
        ViewError::Lines => "lines",
        ViewError::Kind => "kind",
        ViewError::Line(_) => "line",
        ViewError::Cbor(error) => cbor_reason(*error),
        ViewError::Origin => "origin",
        ViewError::Head => "head",
        ViewError::Order => "order",
        ViewError::Removal => "removal",
        ViewError::Base(_) => "base",
        ViewError::Mismatch => "wrong-root",
        _ => "another rule",
    }
}
