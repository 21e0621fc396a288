use std::path::Path;

use serde_json::Value;
use standfast_protocol::key::KeyError;
use standfast_protocol::log::policy::{Quorum, QuorumError};
use standfast_tests::vectors::{self, list, number, refused, same, text};

#[test]
fn policies() {
    if let Some(folder) = vectors::model() {
        check_all(&folder);
    }
}

/// Checks the file in this folder.
pub(super) fn check_all(folder: &Path) {
    let (file, mut report) = vectors::open(folder, "notes.json");
    for case in list(&file["policies"]) {
        report.check(text(&case["name"]), check(case));
    }
    report.finish();
}

fn check(case: &Value) -> Result<(), String> {
    let quorum = Quorum::parse(text(&case["policy"]));
    if let Some(expected) = case["reason"].as_str() {
        return refused(quorum.as_ref().err().map(reason), expected);
    }
    let quorum = quorum.map_err(|error| format!("refused: {error}"))?;
    same("written and read again", Quorum::parse(&quorum.to_string()).as_ref(), Ok(&quorum))?;
    same("fewest_to_fork", quorum.fewest_to_fork() as u64, number(&case["fewest_to_fork"]))?;
    same("fewest_to_stop", quorum.fewest_to_stop().map(|n| n as u64), case["fewest_to_stop"].as_u64())?;
    for (at, set) in list(&case["checks"]).iter().enumerate() {
        let time = |name: &str| set["times"].get(name).map(number);
        let met = quorum.met_by(|name| time(name).is_some());
        same(&format!("check {at}, met"), Some(met), set["met"].as_bool())?;
        same(&format!("check {at}, quorum_time"), quorum.time(time), set["quorum_time"].as_u64())?;
    }
    Ok(())
}

/// The model's code of a refusal.
fn reason(error: &QuorumError) -> &'static str {
    match error {
        QuorumError::Size => "policy-size",
        QuorumError::ControlCharacter => "control-character",
        QuorumError::FinalNewline => "no-final-newline",
        QuorumError::UnknownLine(_) => "unknown-line",
        QuorumError::WitnessShape => "witness-shape",
        QuorumError::WitnessKey { source: KeyError::Name, .. } => "key-name",
        QuorumError::WitnessKey { source: KeyError::Base64, .. } => "base64",
        QuorumError::WitnessKey { .. } => "vkey",
        QuorumError::WitnessAlgorithm(_) => "witness-key",
        QuorumError::DuplicateKey(_) => "duplicate-key",
        QuorumError::NameTaken(_) => "name-taken",
        QuorumError::TooMany => "too-many",
        QuorumError::GroupShape => "group-shape",
        QuorumError::Threshold { .. } => "threshold",
        QuorumError::UnknownName(_) => "unknown-name",
        QuorumError::MemberTwice(_) => "member-twice",
        QuorumError::QuorumShape => "quorum-shape",
        QuorumError::QuorumCount(_) => "quorum-count",
    }
}
