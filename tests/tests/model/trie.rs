use std::path::Path;

use serde_json::Value;
use standfast_protocol::digest::Digest;
use standfast_protocol::trie::{Proof, Trie};
use standfast_tests::vectors::{self, digest, digests, list, same, text};

#[test]
fn trie() {
    if let Some(folder) = vectors::model() {
        check_all(&folder);
    }
}

/// Checks the file in this folder.
pub(super) fn check_all(folder: &Path) {
    let (file, mut report) = vectors::open(folder, "trie.json");
    report.check("empty_root", same("root", Some(Trie::default().root()), digest(&file["empty_root"])));
    for history in list(&file["histories"]) {
        report.check(text(&history["name"]), replay(list(&history["steps"])));
    }
    for case in list(&file["bad"]) {
        report.check(text(&case["name"]), refuses(case));
    }
    report.finish();
}

/// Applies the steps one by one; a second trie is made anew from the first after each.
fn replay(steps: &[Value]) -> Result<(), String> {
    let mut trie = Trie::default();
    for (number, step) in steps.iter().enumerate() {
        let key = text(&step["key"]).as_bytes();
        match digest(&step["digest"]) {
            Some(digest) => trie.put(key, digest),
            None => drop(trie.remove(key)),
        }
        let at = |what| format!("step {number}, {what}");
        same(&at("root"), Some(trie.root()), digest(&step["root"]))?;
        let again: Trie = trie.iter().map(|(key, digest)| (key, *digest)).collect();
        same(&at("root made anew"), again.root(), trie.root())?;
        let probe = &step["probe"];
        let key = text(&probe["key"]).as_bytes();
        let (found, proof) = trie.prove(key);
        same(&at("digest"), found, digest(&probe["digest"]))?;
        same(&at("proof"), Some(&proof), read_proof(probe).as_ref())?;
        let holds = match found {
            Some(found) => proof.verify_presence(trie.root(), key, found),
            None => proof.verify_absence(trie.root(), key),
        };
        same(&at("verified"), holds, true)?;
    }
    Ok(())
}

fn refuses(case: &Value) -> Result<(), String> {
    // A hash of another length has no type here: it is refused when it is read.
    let (Some(proof), Some(root)) = (read_proof(case), digest(&case["root"])) else { return Ok(()) };
    let key = text(&case["key"]).as_bytes();
    let holds = match digest(&case["digest"]) {
        Some(digest) => proof.verify_presence(root, key, digest),
        None => proof.verify_absence(root, key),
    };
    same("verified", holds, false)
}

/// `None` when a hash has another length than 32 bytes.
fn read_proof(value: &Value) -> Option<Proof> {
    let pair = |other: &Value| -> Option<(Digest, Digest)> { Some((digest(&other[0])?, digest(&other[1])?)) };
    let other = if value["other"].is_null() { None } else { Some(pair(&value["other"])?) };
    Some(Proof { siblings: digests(&value["siblings"])?, other })
}
