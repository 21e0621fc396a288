//! The Merkle tree of a log (RFC 6962 §2.1; RFC 9162 §2.1).
//!
//! ```text
//! leaf = SHA-256(0x00 ‖ entry)
//! node = SHA-256(0x01 ‖ left ‖ right), split at the largest power of two below the size
//! ```

use std::sync::Arc;

use crate::digest::Digest;
use crate::limits::TREE_SIZE_MAX;

/// Returns the hash of a leaf.
pub fn leaf_hash(leaf: &[u8]) -> Digest {
    Digest::of_parts(&[&[0x00], leaf])
}

fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[0x01], &left.0, &right.0])
}

/// The hashes of a log: every complete subtree, 64 bytes for each leaf. Roots and proofs cost O(log n).
///
/// A tree may start at the right edge of a log whose earlier leaves are not held ([`Tree::from_edge`]). Then all is
/// answered for sizes from there on, and for leaves from there on. A clone shares nearly all of its memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    /// The size at which it starts.
    base: usize,
    /// Row `k` holds at `i` the root of leaves `i·2^k .. (i+1)·2^k`.
    levels: Vec<Row>,
}

/// Hashes in a row in which earlier ones may be missing, in pieces that clones share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Row {
    /// The place of the first hash that is held.
    first: usize,
    pieces: Vec<Arc<Vec<Digest>>>,
}

/// Hashes in one piece of a row.
const PIECE: usize = 256;

impl Row {
    /// The place behind the last hash.
    fn end(&self) -> usize {
        let full = self.pieces.len().saturating_sub(1) * PIECE;
        self.first + full + self.pieces.last().map_or(0, |piece| piece.len())
    }

    fn get(&self, place: usize) -> Option<&Digest> {
        let place = place.checked_sub(self.first)?;
        self.pieces.get(place / PIECE)?.get(place % PIECE)
    }

    fn push(&mut self, hash: Digest) {
        match self.pieces.last_mut() {
            Some(piece) if piece.len() < PIECE => Arc::make_mut(piece).push(hash),
            _ => self.pieces.push(Arc::new(vec![hash])),
        }
    }

    fn truncate(&mut self, end: usize) {
        let len = end.saturating_sub(self.first);
        self.pieces.truncate(len.div_ceil(PIECE));
        let full = self.pieces.len().saturating_sub(1) * PIECE;
        if let Some(piece) = self.pieces.last_mut()
            && piece.len() > len - full
        {
            Arc::make_mut(piece).truncate(len - full);
        }
    }
}

impl Tree {
    /// Starts at the right edge of a log.
    pub fn from_edge(edge: &Edge) -> Self {
        let Ok(base) = usize::try_from(edge.size) else { return Self::default() };
        let mut peaks = edge.peaks.iter().rev();
        let rows = usize::BITS - base.leading_zeros();
        let row = |level: u32| {
            let first = base >> level;
            if first.is_multiple_of(2) {
                return Row { first, pieces: Vec::new() };
            }
            let peak = *peaks.next().expect("an edge has a peak for each bit of its size");
            Row { first: first - 1, pieces: vec![Arc::new(vec![peak])] }
        };
        Self { base, levels: (0..rows).map(row).collect() }
    }

    /// Returns the size at which the tree starts: 0 when it holds all leaves.
    pub fn base(&self) -> u64 {
        self.base as u64
    }

    /// Appends a leaf by its hash.
    pub fn push(&mut self, leaf_hash: Digest) {
        let mut hash = leaf_hash;
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(Row::default());
            }
            let Some(row) = self.levels.get_mut(level) else { return };
            row.push(hash);
            let end = row.end();
            match end.checked_sub(2).and_then(|left| row.get(left)) {
                Some(left) if end % 2 == 0 => hash = node_hash(left, &hash),
                _ => return,
            }
        }
    }

    /// Returns the number of leaves.
    pub fn size(&self) -> u64 {
        self.leaves() as u64
    }

    /// Returns the root hash.
    pub fn root(&self) -> Digest {
        self.root_of(self.leaves())
    }

    /// Returns the root hash of the first `size` leaves; `None` when there are fewer, or the tree starts behind it.
    pub fn root_at(&self, size: u64) -> Option<Digest> {
        Some(self.root_of(self.inside(size)?))
    }

    /// Returns the hash of leaf `index`.
    pub fn leaf(&self, index: u64) -> Option<Digest> {
        self.levels.first()?.get(usize::try_from(index).ok()?).copied()
    }

    /// Returns the root of the leaves `index · 2^level .. (index + 1) · 2^level`, when all of them are there.
    pub fn subtree(&self, level: u32, index: u64) -> Option<Digest> {
        self.levels.get(usize::try_from(level).ok()?)?.get(usize::try_from(index).ok()?).copied()
    }

    /// Returns the proof that leaf `index` is among the first `size`, from its sibling up; `None` when it is not.
    pub fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Digest>> {
        let (index, size) = (usize::try_from(index).ok()?, self.inside(size)?);
        if index >= size || index < self.base {
            return None;
        }
        let (mut start, mut end, mut proof) = (0, size, Vec::new());
        while end - start > 1 {
            let middle = start + split(end - start);
            if index < middle {
                proof.push(self.range(middle, end));
                end = middle;
            } else {
                proof.push(self.range(start, middle));
                start = middle;
            }
        }
        proof.reverse();
        Some(proof)
    }

    /// Returns the proof that the first `old` leaves begin the first `new`, empty for `old` = 0 and `old` = `new`;
    /// `None` when there are fewer leaves or `old` is larger.
    pub fn consistency(&self, old: u64, new: u64) -> Option<Vec<Digest>> {
        let (old, new) = (self.inside(old)?, self.inside(new)?);
        if old > new {
            return None;
        }
        if old == 0 {
            return Some(Vec::new());
        }
        let (mut start, mut end, mut proof) = (0, new, Vec::new());
        while end != old {
            let middle = start + split(end - start);
            if old <= middle {
                proof.push(self.range(middle, end));
                end = middle;
            } else {
                proof.push(self.range(start, middle));
                start = middle;
            }
        }
        // The verifier knows the old root; any other subtree that ends there it has to be told.
        if start > 0 {
            proof.push(self.range(start, end));
        }
        proof.reverse();
        Some(proof)
    }

    /// Keeps the first `size` leaves.
    pub fn truncate(&mut self, size: u64) {
        let Some(size) = self.inside(size) else { return };
        for (level, row) in self.levels.iter_mut().enumerate() {
            row.truncate(size >> level);
        }
        self.levels.truncate((usize::BITS - size.leading_zeros()) as usize);
    }

    /// Returns the right edge of the first `size` leaves; `None` when there are fewer.
    pub fn edge(&self, size: u64) -> Option<Edge> {
        let inside = self.inside(size)?;
        let (mut start, mut peaks) = (0, Vec::new());
        while start < inside {
            let peak = 1 << (inside - start).ilog2();
            peaks.push(self.range(start, start + peak));
            start += peak;
        }
        Some(Edge { size, peaks })
    }

    fn leaves(&self) -> usize {
        self.levels.first().map_or(0, Row::end)
    }

    /// A size as an index, when the tree has as many leaves and does not start behind it.
    fn inside(&self, size: u64) -> Option<usize> {
        usize::try_from(size).ok().filter(|size| (self.base..=self.leaves()).contains(size))
    }

    fn root_of(&self, size: usize) -> Digest {
        if size == 0 { Digest::OF_NOTHING } else { self.range(0, size) }
    }

    /// The root of leaves `start..end`, a subtree of RFC 6962's recursion: not empty, and aligned.
    fn range(&self, start: usize, end: usize) -> Digest {
        let size = end - start;
        if size.is_power_of_two() {
            let level = size.ilog2();
            let row = self.levels.get(level as usize).and_then(|row| row.get(start >> level));
            return *row.expect("complete subtrees inside the tree are kept");
        }
        let middle = start + split(size);
        node_hash(&self.range(start, middle), &self.range(middle, end))
    }
}

/// The largest power of two below `n`, which is at least 2.
fn split(n: usize) -> usize {
    1 << (n - 1).ilog2()
}

/// True when `leaf` is number `index` of the `size` leaves under `root` (RFC 9162 §2.1.3.2).
pub fn verify_inclusion(leaf: &[u8], index: u64, size: u64, root: Digest, proof: &[Digest]) -> bool {
    if index >= size {
        return false;
    }
    let (mut place, mut last, mut hash) = (index, size - 1, leaf_hash(leaf));
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            hash = node_hash(sibling, &hash);
            while place & 1 == 0 && place != 0 {
                (place, last) = (place >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    last == 0 && hash == root
}

/// True when `old_root` is the root of the first `old` of the `new` leaves under `new_root` (RFC 9162 §2.1.4.2).
///
/// For `old` = 0 it says nothing about `new_root`: it holds for the empty root and an empty proof.
pub fn verify_consistency(old: u64, new: u64, old_root: Digest, new_root: Digest, proof: &[Digest]) -> bool {
    if old > new {
        return false;
    }
    if old == 0 {
        return old_root == Digest::OF_NOTHING && proof.is_empty() && (new > 0 || new_root == Digest::OF_NOTHING);
    }
    if old == new {
        return old_root == new_root && proof.is_empty();
    }
    // The root of a complete old tree is itself a node of the new one, and starts the path.
    let (first, rest) = match proof.split_first() {
        _ if old.is_power_of_two() => (old_root, proof),
        Some((first, rest)) => (*first, rest),
        None => return false,
    };
    let (mut place, mut last) = (old - 1, new - 1);
    while place & 1 == 1 {
        (place, last) = (place >> 1, last >> 1);
    }
    let (mut old_hash, mut new_hash) = (first, first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while place & 1 == 0 && place != 0 {
                (place, last) = (place >> 1, last >> 1);
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    last == 0 && old_hash == old_root && new_hash == new_root
}

/// The right edge of a log: all that appending needs. The inclusion proof of the last leaf holds it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edge {
    size: u64,
    /// Roots of the complete subtrees, largest first.
    peaks: Vec<Digest>,
}

impl Edge {
    /// Makes the edge of a log of `size` leaves from the last one and its inclusion proof; `None` when the proof has a
    /// wrong length. Whether it is the log's, [`Edge::root`] tells.
    pub fn of_last_leaf(leaf: &[u8], size: u64, proof: &[Digest]) -> Option<Self> {
        if !(1..=TREE_SIZE_MAX).contains(&size)
            || proof.len() as u64 != u64::from(size.trailing_zeros() + size.count_ones() - 1)
        {
            return None;
        }
        let (inside, above) = proof.split_at_checked(size.trailing_zeros() as usize)?;
        let peak = inside.iter().fold(leaf_hash(leaf), |peak, sibling| node_hash(sibling, &peak));
        Some(Self { size, peaks: above.iter().rev().copied().chain([peak]).collect() })
    }

    /// Makes the edge of a log of `size` leaves from the roots of its complete subtrees, largest first; `None` when
    /// they are not as many as the size has. Whether it is the log's, [`Edge::root`] tells.
    pub fn of_peaks(size: u64, peaks: Vec<Digest>) -> Option<Self> {
        (size <= TREE_SIZE_MAX && peaks.len() as u64 == u64::from(size.count_ones())).then_some(Self { size, peaks })
    }

    /// Appends a leaf.
    pub fn append(&mut self, leaf: &[u8]) {
        let mut peak = leaf_hash(leaf);
        let mut size = self.size;
        while size & 1 == 1
            && let Some(left) = self.peaks.pop()
        {
            peak = node_hash(&left, &peak);
            size >>= 1;
        }
        self.peaks.push(peak);
        self.size += 1;
    }

    /// Returns the number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root hash.
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev().copied();
        let Some(last) = peaks.next() else { return Digest::OF_NOTHING };
        peaks.fold(last, |right, left| node_hash(&left, &right))
    }

    /// Returns the roots of the complete subtrees, largest first.
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(n: u64) -> [u8; 8] {
        n.to_be_bytes()
    }

    fn tree(size: u64) -> Tree {
        let mut tree = Tree::default();
        (0..size).for_each(|n| tree.push(leaf_hash(&leaf(n))));
        tree
    }

    /// MTH of RFC 6962 §2.1.
    fn definition(start: u64, end: u64) -> Digest {
        match end - start {
            0 => Digest::OF_NOTHING,
            1 => leaf_hash(&leaf(start)),
            n => {
                let middle = start + (1 << (n - 1).ilog2());
                node_hash(&definition(start, middle), &definition(middle, end))
            }
        }
    }

    #[test]
    fn every_root_is_that_of_the_definition() {
        let tree = tree(70);
        for size in 0..=70 {
            assert_eq!(tree.root_at(size), Some(definition(0, size)), "{size}");
        }
        assert_eq!(tree.root_at(71), None);
    }

    #[test]
    fn every_proof_verifies_and_no_other() {
        let tree = tree(40);
        for size in 0..=40 {
            let root = tree.root_at(size).expect("inside");
            for index in 0..size {
                let proof = tree.inclusion(index, size).expect("inside");
                assert!(verify_inclusion(&leaf(index), index, size, root, &proof), "{index} of {size}");
                assert!(!verify_inclusion(&leaf(index + 1), index, size, root, &proof));
                assert!(!verify_inclusion(&leaf(index), index, size, root, &[proof.as_slice(), &[root]].concat()));
            }
            assert_eq!(tree.inclusion(size, size), None);
            for old in 0..=size {
                let old_root = tree.root_at(old).expect("inside");
                let proof = tree.consistency(old, size).expect("inside");
                assert!(verify_consistency(old, size, old_root, root, &proof), "{old} to {size}");
                assert!(!verify_consistency(old, size, Digest([1; 32]), root, &proof));
                assert!(!verify_consistency(old, size, old_root, root, &[proof.as_slice(), &[root]].concat()));
            }
        }
        assert_eq!(tree.consistency(3, 41), None);
        assert_eq!(tree.consistency(4, 3), None);
    }

    #[test]
    fn refuses_sizes_no_proof_can_have() {
        let digest = Digest::OF_NOTHING;
        assert!(!verify_inclusion(b"", u64::MAX, u64::MAX, digest, &[digest; 70]));
        assert!(!verify_inclusion(b"", u64::MAX - 1, u64::MAX, digest, &[digest; 70]));
        assert!(!verify_consistency(u64::MAX - 1, u64::MAX, digest, digest, &[digest; 70]));
    }

    #[test]
    fn edge_appends_as_the_tree_does() {
        let tree = tree(70);
        let mut edge = Edge::default();
        for size in 1..=70 {
            edge.append(&leaf(size - 1));
            let proof = tree.inclusion(size - 1, size).expect("inside");
            assert_eq!(Edge::of_last_leaf(&leaf(size - 1), size, &proof).as_ref(), Some(&edge));
            assert_eq!(tree.edge(size).as_ref(), Some(&edge));
            assert_eq!(Some(edge.root()), tree.root_at(size));
            assert_eq!(Edge::of_last_leaf(&leaf(size - 1), size, &[proof.as_slice(), &[edge.root()]].concat()), None);
        }
    }

    #[test]
    fn tree_from_an_edge_answers_as_the_whole_one() {
        let whole = tree(600);
        for base in [0, 1, 2, 5, 8, 31, 300, 511, 512] {
            let mut late = Tree::from_edge(&whole.edge(base).expect("inside"));
            assert_eq!((late.base(), late.size()), (base, base));
            (base..600).for_each(|n| late.push(leaf_hash(&leaf(n))));
            for size in base..=600 {
                assert_eq!(late.root_at(size), whole.root_at(size), "{size} from {base}");
                assert_eq!(late.edge(size), whole.edge(size));
                assert_eq!(late.consistency(base, size), whole.consistency(base, size));
                assert_eq!(late.consistency(size, 600), whole.consistency(size, 600));
                if size < 600 {
                    assert_eq!(late.inclusion(size, 600), whole.inclusion(size, 600));
                }
            }
            if base > 0 {
                assert_eq!(late.root_at(base - 1), None);
                assert_eq!(late.inclusion(base - 1, 600), None);
            }
            late.truncate(base);
            assert_eq!(late.edge(base), whole.edge(base));
        }
    }

    #[test]
    fn truncated_tree_is_the_smaller_tree() {
        for size in [0, 1, 31, 32, 33, 40, 41] {
            let mut cut = tree(40);
            cut.truncate(size);
            assert_eq!(cut, tree(size.min(40)));
        }
    }
}
