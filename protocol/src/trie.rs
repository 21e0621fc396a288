//! The binary Merkle trie (`specs/register.md`, "State root"): a register's state, the frontier and the views.
//!
//! ```text
//! path = SHA-256(key), most significant bit first; 0 goes left
//! leaf = SHA-256(0x02 ‖ path ‖ digest)
//! node = SHA-256(0x03 ‖ left ‖ right)
//! ```
//!
//! A subtree that holds one leaf *is* that leaf, an empty child is 32 zero bytes, and the root of the empty trie is
//! SHA-256 of the empty string. So one set of keys and digests has one root, and presence and absence are one path.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::digest::Digest;
use crate::limits::TRIE_DEPTH_MAX;

/// What stands in a branch for a child that holds nothing.
const EMPTY_CHILD: Digest = Digest([0; 32]);

/// A map from keys to digests under one root hash. Clones share their nodes; changing one leaves the others alone.
#[derive(Clone, Default)]
pub struct Trie {
    root: Child,
    len: usize,
}

type Child = Option<Arc<Node>>;

#[derive(Clone)]
enum Node {
    Leaf(Leaf),
    Branch(Branch),
}

#[derive(Clone)]
struct Leaf {
    key: Arc<[u8]>,
    path: Digest,
    digest: Digest,
}

/// Two children, of which at least one holds more than one leaf or both hold one. The hash is made when first asked
/// for, so that many changes in a row hash each node once.
#[derive(Clone, Default)]
struct Branch {
    children: [Child; 2],
    hash: OnceLock<Digest>,
}

impl Trie {
    /// Returns the root hash.
    pub fn root(&self) -> Digest {
        self.root.as_deref().map_or(Digest::OF_NOTHING, Node::hash)
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without any key.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the digest at `key`.
    pub fn get(&self, key: &[u8]) -> Option<Digest> {
        self.find(&Digest::of(key))
    }

    /// True when `key` is present.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    /// Adds `key`, or replaces its digest.
    pub fn put(&mut self, key: impl Into<Arc<[u8]>>, digest: Digest) {
        let key = key.into();
        let path = Digest::of(&key);
        if put(&mut self.root, Leaf { key, path, digest }, 0) {
            self.len += 1;
        }
    }

    /// Removes `key`; false when it was absent.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let path = Digest::of(key);
        // Looked up first, so that removing what is absent copies no shared node.
        let present = self.find(&path).is_some();
        if present {
            remove(&mut self.root, &path, 0);
            self.len -= 1;
        }
        present
    }

    /// Returns the digest at `key` with a proof of presence, or `None` with a proof of absence.
    pub fn prove(&self, key: &[u8]) -> (Option<Digest>, Proof) {
        let path = Digest::of(key);
        let mut siblings = Vec::new();
        let mut at = &self.root;
        while let Some(Node::Branch(branch)) = at.as_deref() {
            let (ours, beside) = branch.sides(&path, siblings.len());
            siblings.push(child_hash(beside));
            at = ours;
        }
        match at.as_deref() {
            Some(Node::Leaf(leaf)) if leaf.path == path => (Some(leaf.digest), Proof { siblings, other: None }),
            Some(Node::Leaf(leaf)) => (None, Proof { siblings, other: Some((leaf.path, leaf.digest)) }),
            _ => (None, Proof { siblings, other: None }),
        }
    }

    /// Returns all keys and digests, in the order of the hashes of the keys.
    pub fn iter(&self) -> Iter<'_> {
        Iter { stack: self.root.as_deref().into_iter().collect() }
    }

    fn find(&self, path: &Digest) -> Option<Digest> {
        let mut at = self.root.as_deref();
        let mut depth = 0;
        while let Some(Node::Branch(branch)) = at {
            at = branch.sides(path, depth).0.as_deref();
            depth += 1;
        }
        match at {
            Some(Node::Leaf(leaf)) if leaf.path == *path => Some(leaf.digest),
            _ => None,
        }
    }
}

impl PartialEq for Trie {
    fn eq(&self, other: &Self) -> bool {
        self.root() == other.root()
    }
}

impl Eq for Trie {}

impl fmt::Debug for Trie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trie({} keys, {})", self.len, self.root())
    }
}

impl<K: Into<Arc<[u8]>>> FromIterator<(K, Digest)> for Trie {
    fn from_iter<I: IntoIterator<Item = (K, Digest)>>(pairs: I) -> Self {
        let mut trie = Self::default();
        pairs.into_iter().for_each(|(key, digest)| trie.put(key, digest));
        trie
    }
}

impl<'a> IntoIterator for &'a Trie {
    type Item = (&'a [u8], &'a Digest);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The keys and digests of a trie, in the order of the hashes of the keys.
#[derive(Clone)]
pub struct Iter<'a> {
    stack: Vec<&'a Node>,
}

impl fmt::Debug for Iter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Iter")
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a Digest);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.stack.pop()? {
                Node::Leaf(leaf) => return Some((&leaf.key, &leaf.digest)),
                Node::Branch(branch) => self.stack.extend(branch.children.iter().rev().flatten().map(Arc::as_ref)),
            }
        }
    }
}

impl Node {
    fn hash(&self) -> Digest {
        match self {
            Self::Leaf(leaf) => leaf_hash(&leaf.path, &leaf.digest),
            Self::Branch(branch) => *branch.hash.get_or_init(|| {
                let [left, right] = &branch.children;
                node_hash(&child_hash(left), &child_hash(right))
            }),
        }
    }
}

impl Branch {
    /// The child on the way to `path`, and the one beside it.
    fn sides(&self, path: &Digest, depth: usize) -> (&Child, &Child) {
        let [left, right] = &self.children;
        if bit(path, depth) { (right, left) } else { (left, right) }
    }

    /// The child on the way to `path`, to be changed.
    fn way(&mut self, path: &Digest, depth: usize) -> &mut Child {
        self.hash = OnceLock::new();
        let [left, right] = &mut self.children;
        if bit(path, depth) { right } else { left }
    }
}

/// Adds a leaf below `slot`; false when it replaced one. The recursion ends where two SHA-256 hashes differ.
fn put(slot: &mut Child, leaf: Leaf, depth: usize) -> bool {
    match slot.as_deref() {
        None => {
            *slot = Some(Arc::new(Node::Leaf(leaf)));
            return true;
        }
        Some(Node::Leaf(old)) if old.path == leaf.path => {
            *slot = Some(Arc::new(Node::Leaf(leaf)));
            return false;
        }
        Some(Node::Leaf(old)) => {
            // Two leaves meet: the old one goes a level down.
            let mut branch = Branch::default();
            let old_path = old.path;
            *branch.way(&old_path, depth) = slot.take();
            *slot = Some(Arc::new(Node::Branch(branch)));
        }
        Some(Node::Branch(_)) => (),
    }
    match slot.as_mut().map(Arc::make_mut) {
        Some(Node::Branch(branch)) => put(branch.way(&leaf.path, depth), leaf, depth + 1),
        _ => unreachable!("a branch stands here: every other node has returned"),
    }
}

/// Removes the leaf at `path` below `slot`; a leaf left alone rises to where it is alone.
fn remove(slot: &mut Child, path: &Digest, depth: usize) {
    let Some(Node::Branch(_)) = slot.as_deref() else {
        *slot = None;
        return;
    };
    let Some(Node::Branch(branch)) = slot.as_mut().map(Arc::make_mut) else { return };
    remove(branch.way(path, depth), path, depth + 1);
    let lone = match &branch.children {
        [Some(only), None] | [None, Some(only)] if matches!(**only, Node::Leaf(_)) => Some(only.clone()),
        _ => None,
    };
    if lone.is_some() {
        *slot = lone;
    }
}

/// Bit `depth` of a path, most significant first.
fn bit(path: &Digest, depth: usize) -> bool {
    path.0.get(depth / 8).is_some_and(|byte| byte >> (7 - depth % 8) & 1 == 1)
}

pub(crate) fn leaf_hash(path: &Digest, digest: &Digest) -> Digest {
    Digest::of_parts(&[&[0x02], &path.0, &digest.0])
}

pub(crate) fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[0x03], &left.0, &right.0])
}

fn child_hash(child: &Child) -> Digest {
    child.as_deref().map_or(EMPTY_CHILD, Node::hash)
}

/// One path of a trie: proves that a key is present with a digest, or that it is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proof {
    /// The hashes beside the path, from the root down.
    pub siblings: Vec<Digest>,
    /// Path and digest of the leaf of another key that stands where the key's would; `None` when the path ends in the
    /// key's own leaf or in an empty child.
    pub other: Option<(Digest, Digest)>,
}

impl Proof {
    /// True when under `root` the key has this digest.
    pub fn verify_presence(&self, root: Digest, key: &[u8], digest: Digest) -> bool {
        let path = Digest::of(key);
        self.is_well_formed() && self.other.is_none() && self.fold(&path, leaf_hash(&path, &digest)) == root
    }

    /// True when under `root` there is no such key.
    pub fn verify_absence(&self, root: Digest, key: &[u8]) -> bool {
        let path = Digest::of(key);
        if !self.is_well_formed() {
            return false;
        }
        match &self.other {
            None if self.siblings.is_empty() => root == Digest::OF_NOTHING,
            None => self.fold(&path, EMPTY_CHILD) == root,
            Some((other, digest)) => {
                *other != path
                    && (0..self.siblings.len()).all(|depth| bit(other, depth) == bit(&path, depth))
                    && self.fold(&path, leaf_hash(other, digest)) == root
            }
        }
    }

    /// The deepest sibling is never empty: the path would have ended higher up.
    fn is_well_formed(&self) -> bool {
        self.siblings.len() <= TRIE_DEPTH_MAX && self.siblings.last() != Some(&EMPTY_CHILD)
    }

    fn fold(&self, path: &Digest, end: Digest) -> Digest {
        self.siblings.iter().enumerate().rfold(end, |end, (depth, sibling)| {
            if bit(path, depth) { node_hash(sibling, &end) } else { node_hash(&end, sibling) }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The definition of the root: split by bits until one leaf is left.
    fn definition(leaves: &BTreeMap<Digest, Digest>, depth: usize) -> Digest {
        let mut entries = leaves.iter();
        match (entries.next(), entries.next()) {
            (None, _) => EMPTY_CHILD,
            (Some((path, digest)), None) => leaf_hash(path, digest),
            _ => {
                let (right, left): (BTreeMap<_, _>, BTreeMap<_, _>) = leaves.iter().partition(|(p, _)| bit(p, depth));
                node_hash(&definition(&left, depth + 1), &definition(&right, depth + 1))
            }
        }
    }

    /// Puts and removes in a fixed, mixed order; calls `check` after each.
    fn walk(mut check: impl FnMut(&Trie, &BTreeMap<Digest, Digest>)) {
        let mut trie = Trie::default();
        let mut leaves = BTreeMap::new();
        let mut state = 1_u64;
        for step in 0..600_u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = (state >> 40) % 64;
            let digest = Digest::of(&step.to_be_bytes());
            let path = Digest::of(&key.to_be_bytes());
            if state >> 33 & 1 == 0 {
                trie.put(key.to_be_bytes(), digest);
                leaves.insert(path, digest);
            } else {
                assert_eq!(trie.remove(&key.to_be_bytes()), leaves.remove(&path).is_some());
            }
            check(&trie, &leaves);
        }
    }

    #[test]
    fn root_is_that_of_the_definition_whatever_the_history() {
        walk(|trie, leaves| {
            let expected = if leaves.is_empty() { Digest::OF_NOTHING } else { definition(leaves, 0) };
            assert_eq!(trie.root(), expected);
            assert_eq!(trie.len(), leaves.len());
            assert!(
                trie.iter().map(|(key, digest)| (Digest::of(key), *digest)).eq(leaves.iter().map(|(p, d)| (*p, *d)))
            );
        });
    }

    #[test]
    fn proves_presence_or_absence_and_never_both() {
        walk(|trie, leaves| {
            for key in [0_u64, 17, 63, 100] {
                let key = key.to_be_bytes();
                let (digest, proof) = trie.prove(&key);
                assert_eq!(digest, leaves.get(&Digest::of(&key)).copied());
                assert_eq!(digest, trie.get(&key));
                let shown = digest.unwrap_or(Digest::OF_NOTHING);
                assert_eq!(proof.verify_presence(trie.root(), &key, shown), digest.is_some());
                assert_eq!(proof.verify_absence(trie.root(), &key), digest.is_none());
            }
        });
    }

    #[test]
    fn clones_do_not_change_with_the_original() {
        let mut trie: Trie = (0..100_u8).map(|n| ([n], Digest::of(&[n]))).collect();
        let before = trie.clone();
        let root = before.root();
        trie.put([5], Digest::OF_NOTHING);
        trie.remove(&[6]);
        assert_eq!((before.root(), before.len(), before.get(&[6])), (root, 100, Some(Digest::of(&[6]))));
        trie.put([5], Digest::of(&[5]));
        trie.put([6], Digest::of(&[6]));
        assert_eq!(trie, before);
    }

    #[test]
    fn refuses_a_proof_with_an_empty_deepest_sibling() {
        let trie: Trie = [(*b"a", Digest::of(b"1"))].into_iter().collect();
        let (_, mut proof) = trie.prove(b"a");
        proof.siblings.push(EMPTY_CHILD);
        let path = Digest::of(b"a");
        let root = proof.fold(&path, leaf_hash(&path, &Digest::of(b"1")));
        assert!(!proof.verify_presence(root, b"a", Digest::of(b"1")));
    }
}
