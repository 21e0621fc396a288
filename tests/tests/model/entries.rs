use std::path::Path;

use bytes::Bytes;
use serde_json::Value;
use standfast_protocol::codec::CborError;
use standfast_protocol::register::entry::{Change, Entry, EntryError};
use standfast_protocol::register::record::{KeyFormError, RecordKey};
use standfast_protocol::time::Time;
use standfast_protocol::trie::Trie;
use standfast_tests::vectors::{self, digest, hex, list, number, refused, same, text};

#[test]
fn entries() {
    if let Some(folder) = vectors::model() {
        check_all(&folder);
    }
}

/// Checks the file in this folder.
pub(super) fn check_all(folder: &Path) {
    let (file, mut report) = vectors::open(folder, "entries.json");
    for case in list(&file["valid"]) {
        report.check(text(&case["name"]), accepts(case));
    }
    let before = state(&file["state"]);
    for case in list(&file["invalid"]) {
        let outcome = Entry::decode(Bytes::from(hex(&case["entry"]))).and_then(|entry| entry.apply(&before));
        let found = outcome.as_ref().err().map(reason);
        report.check(text(&case["name"]), refused(found, text(&case["reason"])));
    }
    let at_limit = Bytes::from(hex(&file["decodes_at_limit"]));
    report.check("decodes_at_limit", same("decoded", Entry::decode(at_limit).map(drop), Ok(())));
    report.finish();
}

fn accepts(case: &Value) -> Result<(), String> {
    let before = state(&case["state"]);
    let entry = Entry::decode(Bytes::from(hex(&case["entry"]))).map_err(|error| format!("refused: {error}"))?;
    let after = entry.apply(&before).map_err(|error| format!("refused: {error}"))?;
    let changes: Vec<Change> = list(&case["changes"])
        .iter()
        .map(|pair| Change { key: RecordKey::parse(text(&pair[0])).expect("a key"), digest: digest(&pair[1]) })
        .collect();
    same("time", entry.time(), number(&case["time"]))?;
    same("changes", entry.changes(), changes.as_slice())?;
    same("state_root", Some(entry.state_root()), digest(&case["state_root"]))?;
    same("state", Some(after.root()), digest(&case["state_root"]))?;
    let time = Time::from_secs(entry.time()).ok_or("a time after the year 9999")?;
    let (again, _) = Entry::draft(&before, time, changes).map_err(|error| format!("not drafted: {error}"))?;
    same("bytes", again.bytes(), entry.bytes())
}

fn state(records: &Value) -> Trie {
    let records = records.as_object().expect("an object");
    records.iter().map(|(key, value)| (key.as_bytes(), digest(value).expect("a digest"))).collect()
}

/// The model's code of a refusal.
fn reason(error: &EntryError) -> &'static str {
    match error {
        EntryError::UpgradeNeeded { .. } => "upgrade-needed",
        EntryError::TooLarge(_) => "too-large",
        EntryError::Cbor(error) => cbor_reason(*error),
        EntryError::NotAMap => "not-a-map",
        EntryError::Members => "members",
        EntryError::Version => "version",
        EntryError::TimeType => "time-type",
        EntryError::TimeRange(_) => "time-range",
        EntryError::ChangesType => "changes-type",
        EntryError::ChangesEmpty => "changes-empty",
        EntryError::ChangeShape => "change-shape",
        EntryError::ChangeKind => "change-kind",
        EntryError::KeyType => "key-type",
        EntryError::Key(KeyFormError::Empty) => "key-empty",
        EntryError::Key(KeyFormError::Long(_)) => "key-long",
        EntryError::Key(KeyFormError::Control) => "key-control",
        EntryError::Key(KeyFormError::Prefix) => "key-prefix",
        EntryError::Key(KeyFormError::Parts { .. }) => "key-parts",
        EntryError::Key(KeyFormError::Percent) => "key-percent",
        EntryError::DigestType => "digest-type",
        EntryError::DigestLength(_) => "digest-length",
        EntryError::DuplicateKey(_) => "duplicate-key",
        EntryError::KeyOrder(_) => "key-order",
        EntryError::RootType => "root-type",
        EntryError::RootLength(_) => "root-length",
        EntryError::RemoveAbsent(_) => "remove-absent",
        EntryError::WriteOnce(_) => "write-once",
        EntryError::StateRoot { .. } => "state-root",
    }
}

fn cbor_reason(error: CborError) -> &'static str {
    match error {
        CborError::Truncated => "cbor-truncated",
        CborError::TrailingBytes(_) => "cbor-trailing-bytes",
        CborError::Indefinite => "cbor-indefinite",
        CborError::NonMinimal => "cbor-non-minimal",
        CborError::Reserved => "cbor-reserved",
        CborError::Tag => "cbor-tag",
        CborError::Float => "cbor-float",
        CborError::Simple => "cbor-simple",
        CborError::Negative => "cbor-negative",
        CborError::Utf8 => "cbor-utf-8",
        CborError::Depth => "cbor-depth",
        CborError::MapKey => "cbor-map-key",
        CborError::MapOrder => "cbor-map-order",
        CborError::MapDuplicate => "cbor-map-duplicate",
        CborError::Type { .. } | CborError::Key { .. } | CborError::Length { .. } => "cbor of another shape",
    }
}
