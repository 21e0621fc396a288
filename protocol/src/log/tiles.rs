//! Tiles and entry bundles (C2SP tlog-tiles): a log as plain files that any web server can mirror.
//!
//! ```text
//! tile/0/x001/x234/067        256 hashes of level 0, from leaf 1234067 × 256 on: 8,192 bytes
//! tile/1/000.p/17             the first 17 hashes of level 1: roots of the first 17 full tiles of level 0
//! tile/entries/273.p/112      112 entries, each behind its length as 16 bits, big-endian
//! ```
//!
//! A tree of size *s* has at level *l* ⌊*s* / 256^*l*⌋ hashes. Full tiles never change; a partial one is behind `.p/`
//! with its width.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use super::checkpoint::parse_decimal;
use super::merkle::Tree;
use crate::limits;

/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;
/// Levels of tiles: 8 levels of the tree each.
const LEVELS_MAX: u8 = 63;

/// Why a text is no path of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TilePathError {
    /// Neither a tile nor a bundle.
    #[error("expected tile/<level>/<number> or tile/entries/<number>")]
    Shape,
    /// A level that is not decimal, or above 63.
    #[error("expected a level of 0 to 63, without leading zeroes")]
    Level,
    /// A number that is not in groups of three digits.
    #[error("expected a number in groups of three digits, all but the last behind an x")]
    Number,
    /// A width that is not 1 to 255.
    #[error("expected a width of 1 to 255, without leading zeroes")]
    Width,
}

/// Why bytes are no entry bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The bytes end inside an entry.
    #[error("the bytes end inside an entry")]
    Truncated,
    /// Another number of entries.
    #[error("expected {expected} entries, {found} came")]
    Count {
        /// The bundle's width.
        expected: u16,
        /// How many there are.
        found: usize,
    },
    /// An entry that is too long for its length.
    #[error("expected an entry of at most {max} bytes, {0} came", max = limits::ENTRY_TRANSPORT_SIZE_MAX)]
    EntrySize(usize),
}

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Hashes of a level.
    Hashes(u8),
    /// Entries.
    Entries,
}

/// The name of one tile or entry bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// What it holds.
    pub kind: Kind,
    /// Its place in its level.
    pub index: u64,
    /// 1 to 256: how many hashes or entries it holds.
    pub width: u16,
}

impl Tile {
    /// True when it can never grow.
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// Returns the place of its first hash in its level, or the number of its first entry.
    pub fn start(&self) -> u64 {
        self.index.saturating_mul(u64::from(TILE_WIDTH))
    }

    /// Returns the full tile in the same place.
    #[must_use]
    pub fn full(self) -> Self {
        Self { width: TILE_WIDTH, ..self }
    }

    /// True when a tree of this size has all of it.
    pub fn is_within(&self, size: u64) -> bool {
        let level = match self.kind {
            Kind::Hashes(level) => u32::from(level),
            Kind::Entries => 0,
        };
        let hashes = size.checked_shr(8 * level).unwrap_or(0);
        self.start().saturating_add(u64::from(self.width)) <= hashes
    }

    /// Visits the tiles and bundles of a tree of this size: bundles first, then level by level.
    pub fn of_size(size: u64) -> impl Iterator<Item = Tile> {
        let rows = (0..8_u8).map(move |level| (Kind::Hashes(level), size >> (8 * u32::from(level))));
        [(Kind::Entries, size)].into_iter().chain(rows).flat_map(|(kind, count)| {
            let full = (0..count / 256).map(move |index| Tile { kind, index, width: TILE_WIDTH });
            let width = u16::try_from(count % 256).expect("a remainder of 256 is below it");
            full.chain((width > 0).then_some(Tile { kind, index: count / 256, width }))
        })
    }

    /// Returns the bytes of a tile of hashes; `None` for a bundle, and where the tree does not have or hold all of it.
    pub fn hashes(&self, tree: &Tree) -> Option<Vec<u8>> {
        let Kind::Hashes(level) = self.kind else { return None };
        let mut bytes = Vec::with_capacity(usize::from(self.width) * 32);
        for place in self.start()..self.start().checked_add(u64::from(self.width))? {
            bytes.extend_from_slice(tree.subtree(8 * u32::from(level), place)?.as_bytes());
        }
        Some(bytes)
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Hashes(level) => write!(f, "tile/{level}/")?,
            Kind::Entries => f.write_str("tile/entries/")?,
        }
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for (left, group) in groups.iter().enumerate().rev() {
            if left > 0 { write!(f, "x{group:03}/")? } else { write!(f, "{group:03}")? }
        }
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

impl FromStr for Tile {
    type Err = TilePathError;

    fn from_str(path: &str) -> Result<Self, TilePathError> {
        let rest = path.strip_prefix("tile/").ok_or(TilePathError::Shape)?;
        let (level, rest) = rest.split_once('/').ok_or(TilePathError::Shape)?;
        let kind = match level {
            "entries" => Kind::Entries,
            level => {
                let level = parse_decimal(level, u64::from(LEVELS_MAX)).ok_or(TilePathError::Level)?;
                Kind::Hashes(u8::try_from(level).map_err(|_| TilePathError::Level)?)
            }
        };
        let (number, width) = match rest.split_once(".p/") {
            None => (rest, TILE_WIDTH),
            Some((number, width)) => {
                let width = parse_decimal(width, 255).filter(|w| *w > 0).ok_or(TilePathError::Width)?;
                (number, u16::try_from(width).map_err(|_| TilePathError::Width)?)
            }
        };
        Ok(Self { kind, index: parse_number(number).ok_or(TilePathError::Number)?, width })
    }
}

/// Reads `x001/x234/067`; a first group of zeroes before another is refused, so that each number has one path.
fn parse_number(text: &str) -> Option<u64> {
    let (first, last) = match text.rsplit_once('/') {
        Some((first, last)) => (first, last),
        None => return parse_group(text),
    };
    let mut number = 0_u64;
    for group in first.split('/') {
        let group = parse_group(group.strip_prefix('x')?)?;
        if number == 0 && group == 0 {
            return None;
        }
        number = number.checked_mul(1000)?.checked_add(group)?;
    }
    number.checked_mul(1000)?.checked_add(parse_group(last)?)
}

fn parse_group(text: &str) -> Option<u64> {
    let plain = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// Writes an entry bundle.
pub fn write_bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, BundleError> {
    let mut bytes = Vec::new();
    for entry in entries {
        let length = u16::try_from(entry.len()).map_err(|_| BundleError::EntrySize(entry.len()))?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// Reads an entry bundle of `width` entries, whole or not at all.
pub fn read_bundle(data: &Bytes, width: u16) -> Result<Vec<Bytes>, BundleError> {
    let (mut entries, mut at) = (Vec::with_capacity(usize::from(width)), 0_usize);
    while at < data.len() {
        let length = data.get(at..).and_then(|rest| rest.first_chunk::<2>()).ok_or(BundleError::Truncated)?;
        let start = at + 2;
        let end = start + usize::from(u16::from_be_bytes(*length));
        if end > data.len() {
            return Err(BundleError::Truncated);
        }
        entries.push(data.slice(start..end));
        at = end;
    }
    if entries.len() != usize::from(width) {
        return Err(BundleError::Count { expected: width, found: entries.len() });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::log::merkle::leaf_hash;

    fn tree(size: u64) -> Tree {
        let mut tree = Tree::default();
        (0..size).for_each(|n| tree.push(leaf_hash(&n.to_be_bytes())));
        tree
    }

    #[test]
    fn paths_are_those_of_the_document() {
        let tile = Tile { kind: Kind::Hashes(0), index: 1_234_067, width: 256 };
        assert_eq!(tile.to_string(), "tile/0/x001/x234/067");
        let bundle = Tile { kind: Kind::Entries, index: 273, width: 112 };
        assert_eq!(bundle.to_string(), "tile/entries/273.p/112");
        for index in [0, 1, 999, 1000, 999_999, 1_000_000, 1_234_067, u64::MAX >> 8] {
            for width in [1, 255, 256] {
                for kind in [Kind::Hashes(0), Kind::Hashes(63), Kind::Entries] {
                    let tile = Tile { kind, index, width };
                    assert_eq!(tile.to_string().parse(), Ok(tile));
                }
            }
        }
    }

    #[test]
    fn refuses_second_paths_of_one_tile() {
        use TilePathError::{Level, Number, Shape, Width};
        for (path, error) in [
            ("checkpoint", Shape),
            ("tile/0", Shape),
            ("tile/00/000", Level),
            ("tile/64/000", Level),
            ("tile/+1/000", Level),
            ("tile/0/1", Number),
            ("tile/0/0001", Number),
            ("tile/0/x000/001", Number),
            ("tile/0/001/002", Number),
            ("tile/0/x001", Number),
            ("tile/0/x001/x002", Number),
            ("tile/0/x0a1/002", Number),
            ("tile/0/../000", Number),
            ("tile/0/x999/x999/x999/x999/x999/x999/999", Number),
            ("tile/0/000.p/0", Width),
            ("tile/0/000.p/256", Width),
            ("tile/0/000.p/01", Width),
            ("tile/0/000.p/", Width),
            ("tile/0/000.p", Number),
        ] {
            assert_eq!(path.parse::<Tile>(), Err(error), "{path}");
        }
    }

    #[test]
    fn a_tree_of_70000_has_the_tiles_of_the_document() {
        let tiles: Vec<Tile> = Tile::of_size(70_000).collect();
        let at = |level| tiles.iter().filter(move |t| t.kind == Kind::Hashes(level));
        assert_eq!((at(0).filter(|t| t.is_full()).count(), at(0).count()), (273, 274));
        assert_eq!(at(0).next_back().unwrap().width, 112);
        assert_eq!(at(1).map(|t| t.width).collect::<Vec<_>>(), [256, 17]);
        assert_eq!(at(2).map(|t| t.width).collect::<Vec<_>>(), [1]);
        assert_eq!(at(3).count(), 0);
        let paths: Vec<String> = Tile::of_size(256).map(|t| t.to_string()).collect();
        assert_eq!(paths, ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(Tile::of_size(0).count(), 0);
    }

    #[test]
    fn tiles_hold_the_roots_of_full_tiles_below() {
        let tree = tree(700);
        for tile in Tile::of_size(700).filter(|t| t.kind != Kind::Entries) {
            assert_eq!(tile.hashes(&tree).unwrap().len(), usize::from(tile.width) * 32);
            assert!(tile.is_within(700));
        }
        let level_1 = Tile { kind: Kind::Hashes(1), index: 0, width: 2 };
        let bytes = level_1.hashes(&tree).unwrap();
        assert_eq!(&bytes[..32], tree.root_at(256).unwrap().as_bytes());
        for beyond in [Tile { width: 3, ..level_1 }, Tile { kind: Kind::Hashes(0), index: 2, width: 189 }] {
            assert!(!beyond.is_within(700) && beyond.hashes(&tree).is_none(), "{beyond}");
        }
        assert!(!Tile { kind: Kind::Hashes(63), index: 0, width: 1 }.is_within(700));
    }

    #[test]
    fn bundles_read_back_and_refuse_every_cut() {
        let entries: [&[u8]; 3] = [b"one", b"", &[7; 300]];
        let bytes = Bytes::from(write_bundle(entries).unwrap());
        assert_eq!(&bytes[..5], b"\0\x03one");
        assert_eq!(read_bundle(&bytes, 3).unwrap(), entries);
        for cut in 0..bytes.len() {
            assert!(read_bundle(&bytes.slice(..cut), 3).is_err(), "{cut}");
        }
        assert_eq!(read_bundle(&bytes, 2), Err(BundleError::Count { expected: 2, found: 3 }));
        assert_eq!(write_bundle([&[0; 65_536][..]]), Err(BundleError::EntrySize(65_536)));
    }
}
