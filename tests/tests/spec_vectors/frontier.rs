use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use standfast_protocol::digest::Digest;
use standfast_protocol::sync::frontier::FrontierTrie;
use standfast_protocol::sync::message::{FrontierLeaf, FrontierNode, Prefix};
use standfast_tests::vectors::{digest, list, number, same, text};

use super::{made_again, open};

const FORMAT: &str = "specs/sync.md section 3.1. `leaves`: what a node holds of each register; `path` is SHA-256 of \
    the origin, `digest` what the trie holds there. `roots`: the root of each place, whose `prefix` is written one \
    hex digit for each half-byte; 32 zero bytes where no leaf stands below it.";

#[test]
fn frontiers() {
    let (file, mut report) = open("frontier.json", make);
    report.check("made again", made_again(&file, make));
    let leaves: Vec<FrontierLeaf> = list(&file["leaves"]).iter().map(read_leaf).collect();
    for (case, leaf) in list(&file["leaves"]).iter().zip(&leaves) {
        let path = same("path", Some(Digest::of(leaf.origin.as_bytes())), digest(&case["path"]));
        report.check(&leaf.origin, path.and_then(|()| same("digest", Some(leaf.digest()), digest(&case["digest"]))));
    }
    let trie = FrontierTrie::new(leaves);
    for case in list(&file["roots"]) {
        report.check(text(&case["prefix"]), check_place(case, &trie));
    }
    report.finish();
}

fn check_place(case: &Value, trie: &FrontierTrie) -> Result<(), String> {
    let prefix = read_prefix(text(&case["prefix"]));
    let root = digest(&case["root"]).ok_or("a root of another length")?;
    same("root", trie.root(&prefix), root)?;
    let names: Value = trie.below(&prefix).map(|leaf| leaf.origin.as_str()).collect();
    same("below", &names, &case["below"])?;
    same("answer to an equal root", trie.node(&prefix, &root), FrontierNode::Same)?;
    match trie.node(&prefix, &Digest([0xff; 32])) {
        FrontierNode::Leaves(leaves) => same("leaves", leaves.len(), list(&case["below"]).len()),
        other => Err(format!("expected leaves, {other:?} came")),
    }
}

fn read_leaf(case: &Value) -> FrontierLeaf {
    FrontierLeaf {
        origin: text(&case["origin"]).to_owned(),
        newest: number(&case["newest"]),
        root: digest(&case["root"]).expect("a digest"),
        witnessed: number(&case["witnessed"]),
        fork: digest(&case["fork"]),
        other: number(&case["other"]),
        other_witnessed: number(&case["other_witnessed"]),
        published: number(&case["published"]),
        signed: HEXLOWER.decode(text(&case["signed"]).as_bytes()).expect("hex").try_into().expect("8 bytes"),
    }
}

fn read_prefix(digits: &str) -> Prefix {
    let nibble = |digit: char| u8::try_from(digit.to_digit(16).expect("a hex digit")).expect("below 16");
    Prefix(digits.chars().map(nibble).collect())
}

fn make() -> Value {
    let leaves: Vec<FrontierLeaf> = (1..=12_u64)
        .map(|i| FrontierLeaf {
            origin: format!("r{i}.example/register"),
            newest: i,
            root: Digest::of(format!("root {i}").as_bytes()),
            witnessed: i - i % 3,
            fork: i.is_multiple_of(5).then(|| Digest::of(format!("fork {i}").as_bytes())),
            other: if i.is_multiple_of(10) { i + 3 } else { 0 },
            other_witnessed: if i.is_multiple_of(10) { i + 2 } else { 0 },
            published: if i.is_multiple_of(2) { 1_795_000_000 + i } else { 0 },
            signed: (0x0100_0000_0000_0000 + i).to_be_bytes(),
        })
        .collect();
    let path = |leaf: &FrontierLeaf| Digest::of(leaf.origin.as_bytes());
    let shown = |leaf: &FrontierLeaf| {
        json!({
            "origin": leaf.origin, "newest": leaf.newest, "root": leaf.root.to_string(), "witnessed": leaf.witnessed,
            "fork": leaf.fork.map(|fork| fork.to_string()), "other": leaf.other,
            "other_witnessed": leaf.other_witnessed, "published": leaf.published,
            "signed": HEXLOWER.encode(&leaf.signed),
            "path": path(leaf).to_string(), "digest": leaf.digest().to_string()
        })
    };
    let first = HEXLOWER.encode(path(&leaves[0]).as_bytes());
    let mut prefixes = vec![String::new(), first[..2].to_owned(), first.clone()];
    prefixes.extend((0..16).map(|nibble| format!("{nibble:x}")));
    let trie = FrontierTrie::new(leaves.clone());
    let root = |digits: &String| {
        let prefix = read_prefix(digits);
        let below: Value = trie.below(&prefix).map(|leaf| leaf.origin.as_str()).collect();
        json!({"prefix": digits, "root": trie.root(&prefix).to_string(), "below": below})
    };
    json!({
        "format": format!("{FORMAT} `below` names the leaves there, in the order of their paths."),
        "leaves": leaves.iter().map(shown).collect::<Value>(),
        "roots": prefixes.iter().map(root).collect::<Value>()
    })
}
