//! Two decoders of entries agree on accept or refuse, and on the resulting state (design property "one encoding, two decoders").

use bytes::Bytes;
use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};
use standfast_protocol::codec::Writer;
use standfast_protocol::register::entry::{Change, Entry, EntryError};
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::time::Time;
use standfast_protocol::trie::Trie;
use standfast_tests::dice::Dice;
use standfast_tests::interop::python;
use standfast_tests::skip::unless_missing;

/// Change it with `STANDFAST_SEED`; a failure prints it.
const SEED: u64 = 1;
const STATES: usize = 12;
const ODD_KEYS: usize = 400;

/// What both decoders are asked about: a state, and entries that may follow it.
struct Case {
    state: Trie,
    entries: Vec<Vec<u8>>,
}

fn key(dice: &mut Dice) -> RecordKey {
    let n = dice.below(30);
    let key = match dice.below(4) {
        0 => RecordKey::did(&format!("did:web:a.example%3A{n}")),
        1 => RecordKey::trust(&format!("did:web:é{n}"), "issue", "*"),
        2 => RecordKey::status(&format!("https://a.example/{n}")),
        _ => RecordKey::context(&format!("https://a.example/v{n}")),
    };
    key.expect("these names are well formed")
}

fn state(dice: &mut Dice) -> Trie {
    let mut state = Trie::default();
    for _ in 0..dice.below(12) {
        state.put(key(dice).to_bytes(), dice.digest());
    }
    state
}

/// A valid entry, each of its bytes changed in turn, cut and lengthened.
fn mutations(dice: &mut Dice) -> Case {
    let state = state(dice);
    let mut changes: Vec<Change> = Vec::new();
    for _ in 0..=dice.below(4) {
        let key = key(dice);
        let held = state.contains(key.as_str().as_bytes());
        if changes.iter().any(|change| change.key == key) || (held && key.is_write_once()) {
            continue;
        }
        let digest = (!held || dice.below(2) == 0).then(|| dice.digest());
        changes.push(Change { key, digest });
    }
    if changes.is_empty() {
        let key = RecordKey::notice("only").expect("a notice's id is one part");
        changes.push(Change { key, digest: Some(dice.digest()) });
    }
    let time = Time::from_secs_saturating(1_790_000_000 + dice.below(1_000_000) as u64);
    let (entry, _) = Entry::draft(&state, time, changes).expect("the changes fit the state");
    let good = entry.bytes().to_vec();

    let mut entries = vec![good.clone(), good[..good.len() - 1].to_vec(), [&good[..], &[0]].concat()];
    for at in 0..good.len() {
        for flip in [1 << dice.below(8), 1 + dice.below(255)] {
            let mut bad = good.clone();
            bad[at] ^= u8::try_from(flip).expect("it is below 256");
            entries.push(bad);
        }
    }
    Case { state, entries }
}

/// Entries whose encoding and state root are right, and whose keys may not be.
fn odd_keys(dice: &mut Dice) -> Case {
    let pieces = [
        "did", "trust", "status", "member", "later", "/", "/", "%", "%25", "%2F", "%2f", "a", "é", "\u{85}", "\n", "A",
    ];
    let state = state(dice);
    let mut entries = Vec::new();
    for _ in 0..ODD_KEYS {
        let keys: Vec<String> = (0..=dice.below(2))
            .map(|_| {
                let start = dice.pick(&["did/", "trust/a/", "context/", "later/", ""]).to_owned();
                (0..dice.below(5)).fold(start, |key, _| key + dice.pick(&pieces))
            })
            .collect();
        let mut after = state.clone();
        let mut out = Writer::new();
        out.map(4).uint(0).uint(1).uint(1).uint(7).uint(2).array(keys.len());
        for key in &keys {
            let digest = dice.digest();
            after.put(key.as_bytes(), digest);
            out.array(3).uint(0).text(key).bytes(digest.as_bytes());
        }
        out.uint(3).bytes(after.root().as_bytes());
        entries.push(out.into_bytes());
    }
    Case { state, entries }
}

/// What ours says, in the second decoder's words.
fn ours(state: &Trie, bytes: &[u8]) -> Value {
    let entry = match Entry::decode(Bytes::copy_from_slice(bytes)) {
        Ok(entry) => entry,
        Err(EntryError::UpgradeNeeded { .. }) => return json!("upgrade"),
        Err(_) => return Value::Null,
    };
    let Ok(after) = entry.apply(state) else { return Value::Null };
    assert_eq!(after.root(), entry.state_root(), "an entry that was applied names the state after it");
    let changes: Vec<Value> = entry
        .changes()
        .iter()
        .map(|change| json!([change.key.as_str(), change.digest.map(|d| HEXLOWER.encode(d.as_bytes()))]))
        .collect();
    json!({"time": entry.time(), "changes": changes, "root": HEXLOWER.encode(after.root().as_bytes())})
}

fn case_json(case: &Case) -> Value {
    let state: Map<String, Value> = case
        .state
        .iter()
        .map(|(key, digest)| {
            let key = std::str::from_utf8(key).expect("record keys are text");
            (key.to_owned(), HEXLOWER.encode(digest.as_bytes()).into())
        })
        .collect();
    let entries: Vec<String> = case.entries.iter().map(|bytes| HEXLOWER.encode(bytes)).collect();
    json!({"state": state, "entries": entries})
}

#[test]
fn a_second_decoder_agrees_on_every_changed_byte_and_odd_key() {
    let Some(python) = unless_missing(python()) else { return };
    let (seed, mut dice) = Dice::seeded(SEED);
    let mut cases: Vec<Case> = (0..STATES).map(|_| mutations(&mut dice)).collect();
    cases.push(odd_keys(&mut dice));

    let theirs = python.decode_entries(&cases.iter().map(case_json).collect());
    let (mut accepted, mut refused) = (0, 0);
    for (number, case) in cases.iter().enumerate() {
        for (at, bytes) in case.entries.iter().enumerate() {
            let own = ours(&case.state, bytes);
            let other = &theirs[number][at];
            assert_eq!(own, *other, "seed {seed}, case {number}, entry {at}: {}", HEXLOWER.encode(bytes));
            if own.is_object() { accepted += 1 } else { refused += 1 }
        }
    }
    assert!(accepted > STATES && refused > STATES, "seed {seed}: {accepted} accepted, {refused} refused");
}
