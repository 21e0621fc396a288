use std::path::Path;

use serde_json::Value;
pub(super) use standfast_tests::graph::search;
use standfast_tests::graph::{generated, nothing_to_json, path_to_json};
use standfast_tests::vectors::{self, list, same, text};

#[test]
fn trust() {
    if let Some(folder) = vectors::model() {
        check_all(&folder);
    }
}

/// Checks the file in this folder.
pub(super) fn check_all(folder: &Path) {
    let (file, mut report) = vectors::open(folder, "trust.json");
    for case in list(&file["cases"]) {
        report.check(text(&case["name"]), check(case));
    }
    report.finish();
}

fn check(case: &Value) -> Result<(), String> {
    let generated = generated(case);
    let found = search(case, generated.as_ref().unwrap_or(case));
    let found = match found {
        Ok(path) => path_to_json(&path),
        Err(nothing) => nothing_to_json(&nothing),
    };
    // A generated case names only some members.
    for (name, expected) in case["expected"].as_object().expect("an object") {
        same(name, &found[name], expected)?;
    }
    Ok(())
}
