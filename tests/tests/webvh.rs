//! Logs of did:webvh from two other implementations, every file of them, against the one table in `webvh/expected.rs`.

mod expected;
mod verdicts;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use standfast_protocol::credential::json::Json;
use standfast_protocol::did::webvh::resolve::{Resolution, Wanted};
use standfast_protocol::did::webvh::{Log, LogError};
use standfast_protocol::time::Time;
use standfast_tests::vectors::{Report, files, foreign_folder, same};

use expected::{DIDWEBVH_RS, NOW, Role, SWIYU};

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// Reads a log with the witness file that stands beside it.
fn log(path: &Path) -> Result<Log, LogError> {
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    let witnesses = path.with_file_name(name.replacen("did", "did-witness", 1).replace(".jsonl", ".json"));
    let witnesses = if witnesses.is_file() { read(&witnesses) } else { Vec::new() };
    Log::read(&read(path).into(), &witnesses)
}

fn now() -> Time {
    Time::from_rfc3339(NOW).expect("a time")
}

/// How many versions hold, and the code of what ends them; nothing ends a log that is whole.
fn standing(log: &Result<Log, LogError>) -> (usize, &'static str) {
    match log {
        Err(error) => (0, error.code()),
        Ok(log) if log.settled(now()) < log.versions().len() => (log.settled(now()), "ahead"),
        Ok(log) => (log.versions().len(), log.ended().map_or("", |(_, error)| error.code())),
    }
}

fn check(folder: &Path, name: &str, role: &Role) -> Result<(), String> {
    match role {
        Role::Whole(count) => {
            let log = log(&folder.join(name));
            same("versions", standing(&log), (*count, ""))?;
            let document = log.expect("a log").document();
            document.map(|_| ()).map_err(|error| format!("the newest document: {error}"))
        }
        Role::Ends(count, code) => same("versions", standing(&log(&folder.join(name))), (*count, *code)),
        Role::Resolved(wanted) => {
            let beside = folder.join(name).with_file_name("did.jsonl");
            let log = log(&beside).map_err(|error| error.to_string())?;
            let wanted = Wanted::parse(wanted).map_err(|error| error.to_string())?;
            let resolved = log.resolve(&wanted, now()).map_err(|error| error.to_string())?;
            compare(&resolved, &Json::parse(&read(&folder.join(name))).map_err(|error| error.to_string())?)
        }
        Role::Beside => Json::parse(&read(&folder.join(name))).map(|_| ()).map_err(|error| error.to_string()),
        Role::Unreached => {
            let log = log(&folder.join(name).with_file_name("did.jsonl")).map_err(|error| error.to_string())?;
            same("that it is resolved", log.resolve(&Wanted::Newest, now()).is_ok(), false)
        }
    }
}

/// The document is the same, and so is every member of its metadata that they have.
fn compare(resolved: &Resolution, expected: &Json) -> Result<(), String> {
    same("document", Some(&resolved.document), expected.get("didDocument"))?;
    let metadata = expected.get("didDocumentMetadata").and_then(Json::as_object).ok_or("expected metadata")?;
    metadata.iter().try_for_each(|(name, value)| same(name, resolved.metadata.get(name), Some(value)))
}

fn check_all(name: &str, below: &str, table: &[(&str, Role)]) {
    let Some(vectors) = foreign_folder() else { return };
    let folder = vectors.join(name).join(below);
    let mut report = Report::new(name);
    let listed: BTreeSet<String> = table.iter().map(|(name, _)| (*name).to_owned()).collect();
    report.check("no file is listed twice", same("files", listed.len(), table.len()));
    report.check("the files are those of the table", same("files", files(&folder), listed));
    for (name, role) in table {
        report.check(name, check(&folder, name, role));
    }
    report.finish();
}

#[test]
fn every_log_of_didwebvh_rs_gives_the_expected_result() {
    check_all("didwebvh-rs-vectors", "tests/test_vectors", DIDWEBVH_RS);
}

#[test]
fn every_log_of_swiyu_gives_the_expected_result() {
    check_all("swiyu-did-webvh", "test_data", SWIYU);
}
