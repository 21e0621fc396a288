//! The exercises of `specs/exercises.md`, run as they stand there.

use std::os::unix::fs::symlink;
use std::process::Command;

const PAGE: &str = include_str!("../../specs/exercises.md");
const PROGRAM: &str = env!("CARGO_BIN_EXE_standfast-under-test");

/// Returns the script of the section with this heading.
fn script(heading: &str) -> &'static str {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).expect("the section");
    let (_, block) = section.split_once("```sh\n").expect("its script");
    block.split_once("```").expect("the end of the script").0
}

/// Runs an exercise after the preparation, and looks for what its commands are to print, in order.
fn exercise(heading: &str) {
    let dir = tempfile::tempdir().expect("a folder");
    let bin = dir.path().join("bin");
    std::fs::create_dir(&bin).expect("a folder");
    symlink(PROGRAM, bin.join("standfast")).expect("a link");
    let work = dir.path().join("work");
    std::fs::create_dir(&work).expect("a folder");
    let lines = format!("{}\n{}", script("A network to practise on"), script(heading));
    let output = Command::new("bash")
        .args(["-e", "-c", &format!("exec 2>&1\n{lines}")])
        .current_dir(&work)
        .env_clear()
        .env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").expect("a path")))
        .output()
        .expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{heading}: {:?}\n{said}", output.status);
    let mut rest = &*said;
    for expected in lines.lines().filter_map(|line| line.strip_prefix("#= ")) {
        let place = rest.find(expected);
        let place = place.unwrap_or_else(|| panic!("{heading}: expected `{expected}` further on in\n{said}"));
        rest = &rest[place + expected.len()..];
    }
    let folder = work.display().to_string();
    // A command to paste is never cut.
    for line in said.lines().filter(|line| !line.contains(&folder) && !line.starts_with(" hint: ")) {
        assert!(line.chars().count() <= 80, "{heading}: {line}");
    }
}

#[test]
fn a_root_key_is_lost() {
    exercise("A root key is lost");
}

#[test]
fn an_anchor_is_compromised() {
    exercise("An anchor is compromised");
}

#[test]
fn a_witness_is_compromised() {
    exercise("A witness is compromised");
}

#[test]
fn two_charters_of_one_version() {
    exercise("Two charters of one version");
}
