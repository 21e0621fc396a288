//! The frontier trie: what one node holds of every register, so that equal nodes find out in one small exchange.
//!
//! ```text
//! leaf   key: origin    digest: SHA-256(0x05 ‖ newest size ‖ root ‖ witnessed size ‖ fork digest or 0³²
//!                                       ‖ size of the other branch ‖ its witnessed size ‖ published ‖ signed)
//! ```
//!
//! Hashes are those of the state trie (`specs/register.md` §5). An exchange descends half a byte at a time until few
//! enough registers are left to list.

use std::collections::BTreeMap;

use super::message::{FrontierLeaf, FrontierNode, Prefix};
use crate::digest::Digest;
use crate::limits;
use crate::trie::{leaf_hash, node_hash};

/// The leaves of a frontier in the order of their paths.
#[derive(Debug, Clone, Default)]
pub struct FrontierTrie {
    leaves: BTreeMap<Digest, FrontierLeaf>,
}

impl FrontierTrie {
    /// Builds the trie of these leaves.
    pub fn new(leaves: impl IntoIterator<Item = FrontierLeaf>) -> Self {
        Self { leaves: leaves.into_iter().map(|leaf| (Digest::of(leaf.origin.as_bytes()), leaf)).collect() }
    }

    /// Returns the leaves below a place.
    pub fn below<'a>(&'a self, prefix: &'a Prefix) -> impl Iterator<Item = &'a FrontierLeaf> {
        self.leaves.iter().filter(|(path, _)| prefix.covers(path)).map(|(_, leaf)| leaf)
    }

    /// Returns the root of a place: 32 zero bytes where nothing stands below it.
    pub fn root(&self, prefix: &Prefix) -> Digest {
        let below: Vec<(Digest, Digest)> = self
            .leaves
            .iter()
            .filter(|(path, _)| prefix.covers(path))
            .map(|(path, leaf)| (*path, leaf_hash(path, &leaf.digest())))
            .collect();
        subtree(&below, prefix.0.len().saturating_mul(4))
    }

    /// Answers a question about a place, given the asker's root of it.
    pub fn node(&self, prefix: &Prefix, theirs: &Digest) -> FrontierNode {
        if self.root(prefix) == *theirs {
            return FrontierNode::Same;
        }
        if prefix.0.len() >= 64 || self.below(prefix).count() <= limits::FRONTIER_LEAVES_MAX {
            return FrontierNode::Leaves(self.below(prefix).take(limits::FRONTIER_LEAVES_MAX).cloned().collect());
        }
        FrontierNode::Children((0..16).map(|nibble| self.root(&prefix.child(nibble))).collect())
    }
}

/// The root of leaves that share their first `depth` bits.
fn subtree(leaves: &[(Digest, Digest)], depth: usize) -> Digest {
    match leaves {
        [] => Digest([0; 32]),
        [(_, hash)] => *hash,
        _ => {
            let cut = leaves.partition_point(|(path, _)| !bit(path, depth));
            let (left, right) = leaves.split_at(cut);
            node_hash(&subtree(left, depth + 1), &subtree(right, depth + 1))
        }
    }
}

fn bit(path: &Digest, depth: usize) -> bool {
    path.0.get(depth / 8).is_some_and(|byte| byte >> (7 - depth % 8) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trie::Trie;

    fn leaf(i: usize) -> FrontierLeaf {
        let (origin, root) = (format!("r{i}.example/register/00"), Digest::of(&i.to_be_bytes()));
        let (other, other_witnessed, published) = (0, 0, 0);
        FrontierLeaf {
            origin,
            newest: 1,
            root,
            witnessed: 0,
            fork: None,
            other,
            other_witnessed,
            published,
            signed: [0; 8],
        }
    }

    #[test]
    fn the_root_is_that_of_a_trie() {
        let mut trie = Trie::default();
        for i in 0..40 {
            trie.put(leaf(i).origin.as_bytes(), leaf(i).digest());
        }
        assert_eq!(FrontierTrie::new((0..40).map(leaf)).root(&Prefix::default()), trie.root());
    }

    #[test]
    fn a_descent_finds_the_one_register_that_differs() {
        let ours = FrontierTrie::new((0..1000).map(leaf));
        let mut changed = leaf(77);
        changed.newest = 2;
        let theirs =
            FrontierTrie::new((0..1000).map(leaf).filter(|l| l.origin != changed.origin).chain([changed.clone()]));
        let (mut places, mut found, mut exchanges) = (vec![Prefix::default()], Vec::new(), 0);
        while let Some(place) = places.pop() {
            exchanges += 1;
            match theirs.node(&place, &ours.root(&place)) {
                FrontierNode::Same => {}
                FrontierNode::Leaves(leaves) => {
                    found.extend(leaves.into_iter().filter(|l| !ours.below(&place).any(|o| o == l)));
                }
                FrontierNode::Children(roots) => {
                    let differ = (0u8..16).zip(roots).filter(|(n, root)| ours.root(&place.child(*n)) != *root);
                    places.extend(differ.map(|(n, _)| place.child(n)));
                }
            }
        }
        assert_eq!(found, [changed]);
        assert!(exchanges <= 3, "{exchanges} exchanges");
    }
}
