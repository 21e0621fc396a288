use std::path::Path;

use serde_json::Value;
use standfast_protocol::digest::Digest;
use standfast_protocol::log::merkle::{Edge, Tree, leaf_hash, verify_consistency, verify_inclusion};
use standfast_tests::vectors::{self, digest, digests, list, number, same, text};

#[test]
fn log() {
    if let Some(folder) = vectors::model() {
        check_all(&folder);
    }
}

/// Checks the file in this folder.
pub(super) fn check_all(folder: &Path) {
    let (file, mut report) = vectors::open(folder, "log.json");
    let log = Log::read(&file);
    for (size, root) in (0..).zip(&log.roots) {
        report.check(&format!("roots-{size}"), same("root", log.tree.root_at(size), Some(*root)));
    }
    for case in list(&file["inclusion"]) {
        let (index, size) = (number(&case["index"]), number(&case["size"]));
        report.check(&format!("inclusion-{index}-{size}"), log.inclusion(index, size, &proof(case)));
    }
    for case in list(&file["consistency"]) {
        let (old, new) = (number(&case["old"]), number(&case["new"]));
        report.check(&format!("consistency-{old}-{new}"), log.consistency(old, new, &proof(case)));
    }
    for case in list(&file["edges"]) {
        let size = number(&case["size"]);
        report.check(&format!("edges-{size}"), log.edge(size, &digests(&case["edge"]).expect("digests")));
    }
    for case in list(&file["bad_consistency"]) {
        report.check(text(&case["name"]), refuses(case));
    }
    report.finish();
}

struct Log {
    leaves: Vec<Vec<u8>>,
    roots: Vec<Digest>,
    tree: Tree,
}

impl Log {
    fn read(file: &Value) -> Self {
        let leaves: Vec<_> = list(&file["leaves"]).iter().map(vectors::hex).collect();
        let mut tree = Tree::default();
        leaves.iter().for_each(|leaf| tree.push(leaf_hash(leaf)));
        Self { leaves, roots: digests(&file["roots"]).expect("digests"), tree }
    }

    fn leaf(&self, index: u64) -> &[u8] {
        &self.leaves[usize::try_from(index).expect("an index")]
    }

    fn root(&self, size: u64) -> Digest {
        self.roots[usize::try_from(size).expect("a size")]
    }

    fn inclusion(&self, index: u64, size: u64, proof: &[Digest]) -> Result<(), String> {
        same("proof", self.tree.inclusion(index, size).as_deref(), Some(proof))?;
        same("verified", verify_inclusion(self.leaf(index), index, size, self.root(size), proof), true)?;
        let elsewhere = (index + 1) % size;
        if self.leaf(index) == self.leaf(elsewhere) {
            return Ok(()); // some seeds make two neighbours that are equal: then it may stand in both places
        }
        let verified = verify_inclusion(self.leaf(index), elsewhere, size, self.root(size), proof);
        same("verified elsewhere", verified, false)
    }

    fn consistency(&self, old: u64, new: u64, proof: &[Digest]) -> Result<(), String> {
        same("proof", self.tree.consistency(old, new).as_deref(), Some(proof))?;
        same("verified", verify_consistency(old, new, self.root(old), self.root(new), proof), true)
    }

    /// The edge from the last leaf's proof, from appending to the edge before, and from the tree.
    fn edge(&self, size: u64, peaks: &[Digest]) -> Result<(), String> {
        let proof = self.tree.inclusion(size - 1, size).ok_or("no proof of the last leaf")?;
        let edge = Edge::of_last_leaf(self.leaf(size - 1), size, &proof).ok_or("the proof has a wrong length")?;
        same("edge", edge.peaks(), peaks)?;
        same("root", edge.root(), self.root(size))?;
        same("edge of the tree", self.tree.edge(size).as_ref(), Some(&edge))?;
        let mut grown = self.tree.edge(size - 1).ok_or("no edge before")?;
        grown.append(self.leaf(size - 1));
        same("edge after appending", &grown, &edge)
    }
}

fn proof(case: &Value) -> Vec<Digest> {
    digests(&case["proof"]).expect("digests")
}

fn refuses(case: &Value) -> Result<(), String> {
    // A hash of another length has no type here: it is refused when it is read.
    let (Some(old_root), Some(new_root), Some(proof)) =
        (digest(&case["old_root"]), digest(&case["new_root"]), digests(&case["proof"]))
    else {
        return Ok(());
    };
    let verified = verify_consistency(number(&case["old"]), number(&case["new"]), old_root, new_root, &proof);
    same("verified", verified, false)
}
