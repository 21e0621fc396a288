//! What the crates `signed_note` and `tlog_tiles` say about files that Standfast wrote.
//!
//! ```text
//! second-opinion mirror DIR VKEY…          a folder of `register export`
//! second-opinion proof FILE LEAF VKEY…     a file of `record prove`, and the entry that it is about
//! ```
//!
//! Prints one JSON document, or says on stderr what does not hold and ends with 1. Keys are of type 0x01: `signed_note` knows
//! no others, and passes cosignatures over as unknown.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use signed_note::{Note, StandardVerifier, Verifier, VerifierList};
use tlog_tiles::{
    Checkpoint, Error as TlogError, Hash, Tile, TileHashReader, TileReader, check_record, check_tree, prove_record,
    prove_tree, record_hash, tree_hash,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Tiles of 2^8 hashes.
const HEIGHT: u8 = 8;

/// A folder of tiles. The crate's paths name the height; those of C2SP do not.
struct Folder(PathBuf);

impl TileReader for Folder {
    fn height(&self) -> u8 {
        HEIGHT
    }

    fn read_tiles(&self, tiles: &[Tile]) -> std::result::Result<Vec<Vec<u8>>, TlogError> {
        let read = |tile: &Tile| {
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            fs::read(self.0.join(&path)).map_err(|e| TlogError::InvalidInput(format!("{path}: {e}")))
        };
        tiles.iter().map(read).collect()
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

/// Reads a signed checkpoint; returns it with the numbers of known and unknown signatures.
fn signed(bytes: &[u8], vkeys: &[String]) -> Result<(Checkpoint, usize, usize)> {
    let verifiers = vkeys.iter().map(|key| Ok(Box::new(StandardVerifier::new(key)?) as Box<dyn Verifier>));
    let note = Note::from_bytes(bytes)?;
    let (known, unknown) = note.verify(&VerifierList::new(verifiers.collect::<Result<_>>()?))?;
    let checkpoint = Checkpoint::from_bytes(note.text()).map_err(|e| e.to_string())?;
    Ok((checkpoint, known.len(), unknown.len()))
}

fn mirror(dir: &Path, vkeys: &[String]) -> Result<serde_json::Value> {
    let (checkpoint, known, unknown) = signed(&fs::read(dir.join("checkpoint"))?, vkeys)?;
    let (size, root) = (checkpoint.size(), *checkpoint.hash());
    let folder = Folder(dir.to_owned());
    let reader = TileHashReader::new(size, root, &folder);
    for (number, entry) in entries(dir, size)?.iter().enumerate() {
        let number = u64::try_from(number)?;
        let proof = prove_record(size, number, &reader)?;
        check_record(&proof, size, root, number, record_hash(entry))?;
    }
    for smaller in 1..=size {
        let proof = prove_tree(size, smaller, &reader)?;
        check_tree(&proof, size, root, smaller, tree_hash(smaller, &reader)?)?;
    }
    Ok(json!({"origin": checkpoint.origin(), "size": size, "known": known, "unknown": unknown}))
}

/// Reads all entry bundles: entries behind their lengths as 16 bits, big-endian.
fn entries(dir: &Path, size: u64) -> Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for index in 0..size.div_ceil(256) {
        let width = u32::try_from((size - index * 256).min(256))?;
        let tile = Tile::new(HEIGHT, 0, index, width, true);
        let bytes = fs::read(dir.join(tile.path().replacen("tile/8/data/", "tile/entries/", 1)))?;
        let mut rest = bytes.as_slice();
        while let Some((length, after)) = rest.split_first_chunk::<2>() {
            let (entry, after) = after.split_at_checked(u16::from_be_bytes(*length).into()).ok_or("a cut entry")?;
            found.push(entry.to_vec());
            rest = after;
        }
    }
    if u64::try_from(found.len())? == size { Ok(found) } else { Err("another number of entries".into()) }
}

fn proof(file: &Path, leaf: &Path, vkeys: &[String]) -> Result<serde_json::Value> {
    let text = fs::read_to_string(file)?;
    let (head, note) = text.split_once("\n\n").ok_or("no blank line")?;
    let mut lines = head.lines().filter(|line| !line.starts_with("extra "));
    if lines.next() != Some("c2sp.org/tlog-proof@v1") {
        return Err("another first line".into());
    }
    let index: u64 = lines.next().and_then(|line| line.strip_prefix("index ")).ok_or("no index")?.parse()?;
    let hashes: Vec<Hash> = lines.map(Hash::parse_hash).collect::<std::result::Result<_, _>>()?;
    let (checkpoint, known, unknown) = signed(note.as_bytes(), vkeys)?;
    check_record(&hashes, checkpoint.size(), *checkpoint.hash(), index, record_hash(&fs::read(leaf)?))?;
    Ok(
        json!({"origin": checkpoint.origin(), "size": checkpoint.size(), "index": index, "known": known, "unknown": unknown}),
    )
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let said = match arguments.as_slice() {
        [verb, dir, vkeys @ ..] if verb == "mirror" => mirror(Path::new(dir), vkeys)?,
        [verb, file, leaf, vkeys @ ..] if verb == "proof" => proof(Path::new(file), Path::new(leaf), vkeys)?,
        _ => return Err("expected: mirror DIR VKEY…, or proof FILE LEAF VKEY…".into()),
    };
    println!("{said}");
    Ok(())
}
