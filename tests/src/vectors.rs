//! Finds the vectors of the reference model and of other projects, and reports on their cases.
//!
//! The folders are `STANDFAST_MODEL` (default `<workspace>/../shared/model`) and `STANDFAST_VECTORS` (default
//! `<workspace>/../shared/vectors`). A default that is not there skips the test, with a line on stderr; a variable that
//! leads nowhere fails it.
//!
//! ```no_run
//! use standfast_tests::vectors;
//!
//! let Some(folder) = vectors::model() else { return };
//! let (file, mut report) = vectors::open(&folder, "trie.json");
//! for case in vectors::list(&file["bad"]) {
//!     report.check(vectors::text(&case["name"]), vectors::same("digest", 1, 1));
//! }
//! report.finish();
//! ```

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use serde_json::Value;
use standfast_protocol::digest::Digest;

use crate::skip::say_skipped;

/// Returns the folder of the reference model; `None` after saying that the test is skipped.
pub fn model_folder() -> Option<PathBuf> {
    folder("STANDFAST_MODEL", "model")
}

/// Returns the folder of foreign vectors; `None` after saying that the test is skipped.
pub fn foreign_folder() -> Option<PathBuf> {
    folder("STANDFAST_VECTORS", "vectors")
}

/// Returns the paths, below a folder, of all files in it: a test fails on one that no table names.
///
/// # Panics
///
/// When the folder cannot be read.
pub fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name in UTF-8");
        if entry.path().is_dir() {
            found.extend(files(&entry.path()).into_iter().map(|below| format!("{name}/{below}")));
        } else {
            found.insert(name);
        }
    }
    found
}

/// Returns the folder of the model's own vectors; `None` after saying that the test is skipped.
pub fn model() -> Option<PathBuf> {
    model_folder().map(|folder| folder.join("vectors"))
}

/// Reads a file of vectors and begins a report on it.
pub fn open(folder: &Path, file: &str) -> (Value, Report) {
    let path = folder.join(file);
    (json(&path), Report::new(&path.display().to_string()))
}

/// Reads a JSON file of a folder that is there.
pub fn json(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{} is not JSON: {error}", path.display()))
}

fn folder(variable: &str, default: &str) -> Option<PathBuf> {
    if let Some(value) = std::env::var_os(variable) {
        let path = PathBuf::from(value);
        assert!(path.is_dir(), "{variable} is {}, which is no folder", path.display());
        return Some(path);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(default);
    if path.is_dir() {
        return Some(path);
    }
    say_skipped(&format!("{} is no folder and {variable} is not set", path.display()));
    None
}

/// Collects the cases of a file that fail, so that one run names them all.
#[derive(Debug)]
pub struct Report {
    file: String,
    checked: usize,
    failed: Vec<String>,
}

impl Report {
    /// Begins a report on `file`.
    pub fn new(file: &str) -> Self {
        Self { file: file.to_owned(), checked: 0, failed: Vec::new() }
    }

    /// Notes one case.
    pub fn check(&mut self, name: &str, result: Result<(), String>) {
        self.checked += 1;
        if let Err(why) = result {
            self.failed.push(format!("{name}: {why}"));
        }
    }

    /// Fails the test when a case failed, one line each, or when there was none.
    pub fn finish(self) {
        assert!(self.checked > 0, "{} has no cases", self.file);
        let Self { file, checked, failed } = self;
        assert!(failed.is_empty(), "{file}: {} of {checked} cases fail\n{}", failed.len(), failed.join("\n"));
    }
}

/// Compares one member of a case.
pub fn same<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: expected {expected:?}, {found:?} came")) }
}

/// Compares the reason of a refusal; `found` is `None` when nothing was refused.
pub fn refused(found: Option<&str>, expected: &str) -> Result<(), String> {
    match found {
        Some(found) => same("reason", found, expected),
        None => Err(format!("expected a refusal for {expected}, it was accepted")),
    }
}

/// Returns a JSON array.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("expected an array, {value} came"))
}

/// Returns a JSON string.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("expected a string, {value} came"))
}

/// Returns a JSON number that is an unsigned integer.
pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("expected an unsigned integer, {value} came"))
}

/// Returns the bytes of a JSON string in hex.
pub fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(text(value).as_bytes()).unwrap_or_else(|error| panic!("{value} is not hex: {error}"))
}

/// Returns the bytes of a JSON string in base64.
pub fn base64(value: &Value) -> Vec<u8> {
    BASE64.decode(text(value).as_bytes()).unwrap_or_else(|error| panic!("{value} is not base64: {error}"))
}

/// Returns a digest in hex; `None` for null and for other lengths than 32 bytes.
pub fn digest(value: &Value) -> Option<Digest> {
    value.as_str().and_then(Digest::from_hex)
}

/// Returns an array of digests; `None` when one has another length than 32 bytes.
pub fn digests(value: &Value) -> Option<Vec<Digest>> {
    list(value).iter().map(digest).collect()
}
