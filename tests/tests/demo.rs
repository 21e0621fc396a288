//! The main job, as the README tells a stranger to run it.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_standfast-under-test");

/// The block of commands under a heading of the README.
fn block(heading: &str) -> String {
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).expect("README.md");
    let (_, after) = readme.split_once(heading).expect("the heading");
    let (_, block) = after.split_once("```sh\n").expect("a block");
    block.split_once("```").expect("its end").0.to_owned()
}

fn clean(command: &mut Command) -> Output {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("STANDFAST_")) {
        command.env_remove(name);
    }
    command.output().expect("the program runs")
}

#[test]
fn the_ten_lines_of_the_readme_work_when_pasted() {
    let dir = tempfile::tempdir().expect("a folder");
    let bin = dir.path().join("target/release");
    std::fs::create_dir_all(&bin).expect("a folder");
    symlink(PROGRAM, bin.join("standfast")).expect("a link");
    let output = clean(Command::new("bash").current_dir(dir.path()).arg("-c").arg(block("## Ten lines")));
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("error:"), "{errors}");
    for expected in [
        "✓ the story holds: 6 steps",
        "✓ ACCEPTED   every check passed",
        "✗ REJECTED   revoked by its issuer",
        "├─ ✓ signature   EdDSA by did:web:transport.gov.example#lic-2026",
        "! transport.gov.example has two histories, signed by one key",
        "checked  ✓ every signature and proof holds",
        "? CANNOT DECIDE",
    ] {
        assert!(said.contains(expected), "expected `{expected}` in:\n{said}\n{errors}");
    }
    // Addresses to look around in are as long as the folder's name; everything else keeps to 80 columns.
    let folder = dir.path().canonicalize().expect("a folder").display().to_string();
    for line in said.lines().filter(|line| !line.contains(&folder)) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn the_demo_tells_the_same_as_data() {
    let output = clean(Command::new(PROGRAM).args(["demo", "--json"]));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(document["kind"], "standfast/demo/v1");
    assert_eq!(document["held"], true, "{document:#}");
    assert_eq!(document["steps"].as_array().map(Vec::len), Some(6));
    let heads = document["fork"]["heads"].as_array().expect("the two heads");
    assert!(heads.len() == 2 && heads[0]["root"] != heads[1]["root"]);
    assert!(heads.iter().all(|head| head["note"].as_str().is_some_and(|note| note.contains("\n\n\u{2014} "))));
    assert!(output.status.success());
}
