//! Status changes that wait: gathered beside the key, so that the permanent log holds no fine-grained history.
//!
//! ```json
//! {"kind": "standfast/batch/v1", "register": "transport.gov.example/register/8d3f…", "last_at": "2026-11-20T14:30:00Z",
//!  "since_at": "2026-11-20T14:33:00Z", "values": [{"list": "https://…/status/1", "index": 77204, "value": 1}],
//!  "confirmed": null, "sealed": null}
//! ```
//!
//! `last_at` is when the last status entry was signed; the next one that is not urgent is due `publisher.batch_s` later.
//! Before a checkpoint that takes the batch in is signed, the batch is `sealed` with its size and root: whether the
//! signer's ledger holds that checkpoint says afterwards whether the batch is done, whatever was killed in between.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use standfast_node::file;
use standfast_protocol::digest::Digest;
use standfast_protocol::limits;
use standfast_protocol::log::checkpoint::Checkpoint;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::status::native::StatusList;
use standfast_protocol::time::Time;

use super::signers::Signers;
use super::{RecordChange, View};
use crate::command::Context;
use crate::error::{CliError, CliResult, Exit};
use crate::held;
use crate::output::words;

const KIND: &str = "standfast/batch/v1";
const FOLDER: &str = "batches";
/// Bytes in a batch: more than a million statuses.
const SIZE_MAX: u64 = 256 * 1024 * 1024;

/// One status to set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusValue {
    /// The list's URI.
    pub list: String,
    /// The index in it.
    pub index: u64,
    /// The new value.
    pub value: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seal {
    size: u64,
    root: Digest,
    at: Time,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchFile {
    kind: String,
    register: String,
    last_at: Option<Time>,
    since_at: Option<Time>,
    values: Vec<StatusValue>,
    confirmed: Option<u64>,
    sealed: Option<Seal>,
}

/// The batch of one register; whoever holds the signer's ledger is alone here.
pub(super) struct Batch {
    path: PathBuf,
    held: BatchFile,
    interval_s: u64,
}

/// A batch that waits, as commands show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The register.
    pub register: String,
    /// How many statuses wait.
    pub statuses: u64,
    /// Since when the first of them waits.
    pub since_at: Time,
    /// When they are due.
    pub due_at: Time,
    /// Whether that is past.
    pub overdue: bool,
}

impl Waiting {
    /// Says how many wait and until when.
    pub fn words(&self, now: Time) -> String {
        let statuses = words::counted(self.statuses, "status waits", "statuses wait");
        if self.overdue {
            format!("{statuses}, due since {}", words::ago(self.due_at, now))
        } else {
            format!("{statuses} until {}", words::from_now(self.due_at, now))
        }
    }
}

impl Batch {
    /// Opens the batch of a register, whichever of its keys signs it; one that was never used is empty.
    pub(super) fn open(context: &Context, register: &str) -> CliResult<Self> {
        let path = held::folder(context, FOLDER)?.join(format!("{}.json", held::file_name(register)));
        Self::read(path, register, context.config.publisher.batch_s)
    }

    fn read(path: PathBuf, register: &str, interval_s: u64) -> CliResult<Self> {
        let empty = || BatchFile {
            kind: KIND.to_owned(),
            register: register.to_owned(),
            last_at: None,
            since_at: None,
            values: Vec::new(),
            confirmed: None,
            sealed: None,
        };
        let held = match file::read(&path, SIZE_MAX) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => empty(),
            read => {
                let bytes = read.map_err(|e| CliError::file(&path, &e))?;
                let parsed: Result<BatchFile, _> = serde_json::from_slice(&bytes);
                let damaged = |cause: String| {
                    CliError::new("batch-damaged", Exit::Io, format!("{} is not a batch of statuses", path.display()))
                        .cause(cause)
                        .hint("what waited in it was not sent: move it away, and revoke again what must be")
                };
                let held = parsed.map_err(|e| damaged(e.to_string()))?;
                if held.kind != KIND || held.register != register {
                    return Err(damaged(format!("expected kind {KIND} and register {register}")));
                }
                held
            }
        };
        Ok(Self { path, held, interval_s })
    }

    fn write(&self) -> CliResult<()> {
        let mut bytes = serde_json::to_vec(&self.held).expect("a batch has only string keys");
        bytes.push(b'\n');
        file::replace(&self.path, &bytes, file::PRIVATE).map_err(|e| CliError::file(&self.path, &e))
    }

    /// Drops what an entry has taken in that was signed, also by a command that was killed right after it.
    pub(super) fn settle(&mut self, signers: &Signers<'_>) -> CliResult<()> {
        let Some(seal) = self.held.sealed.take() else { return Ok(()) };
        if signers.root_signed(seal.size) == Some(seal.root) {
            let kind = std::mem::take(&mut self.held.kind);
            let register = std::mem::take(&mut self.held.register);
            self.held = BatchFile {
                kind,
                register,
                last_at: Some(seal.at),
                since_at: None,
                values: Vec::new(),
                confirmed: None,
                sealed: None,
            };
        }
        self.write()
    }

    /// Says, before it is signed, that this checkpoint holds status changes and with them the batch.
    pub(super) fn seal(&mut self, checkpoint: &Checkpoint, at: Time) -> CliResult<()> {
        self.held.sealed = Some(Seal { size: checkpoint.size, root: checkpoint.root, at });
        self.write()
    }

    /// Adds statuses; a later one of an index replaces an earlier one. Durable once this returns.
    pub(super) fn gather(&mut self, values: &[StatusValue], now: Time, confirmed: Option<u64>) -> CliResult<()> {
        let place = |value: &StatusValue| (value.list.clone(), value.index);
        let mut all: BTreeMap<(String, u64), u8> =
            self.held.values.iter().map(|value| (place(value), value.value)).collect();
        all.extend(values.iter().map(|value| (place(value), value.value)));
        self.held.values = all.into_iter().map(|((list, index), value)| StatusValue { list, index, value }).collect();
        self.held.since_at = self.held.since_at.or(Some(now));
        self.held.confirmed = confirmed.or(self.held.confirmed);
        self.write()
    }

    /// Forgets values that a register says already: what was taken back before it went out never was.
    pub(super) fn keep_only(&mut self, keep: impl Fn(&StatusValue) -> bool) -> CliResult<()> {
        let before = self.held.values.len();
        self.held.values.retain(keep);
        if self.held.values.is_empty() {
            self.held.since_at = None;
            self.held.confirmed = None;
        }
        if self.held.values.len() == before { Ok(()) } else { self.write() }
    }

    /// True when nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.held.values.is_empty()
    }

    /// Returns the size by which a broad batch was confirmed.
    pub(super) fn confirmed(&self) -> Option<u64> {
        self.held.confirmed
    }

    /// Returns when status changes that are not urgent may go out; `None`: at once. A clock that was set back waits for
    /// nothing.
    pub(super) fn due_at(&self, now: Time) -> Option<Time> {
        let last = self.held.last_at.filter(|last| *last <= now)?;
        let due = last.plus(self.interval_s);
        (due > now).then_some(due)
    }

    /// Returns what waits, as commands show it.
    pub(super) fn waiting(&self, now: Time) -> Option<Waiting> {
        if self.is_empty() {
            return None;
        }
        let since_at = self.held.since_at.unwrap_or(now);
        let due_at = self.held.last_at.map_or(since_at, |last| last.plus(self.interval_s));
        Some(Waiting {
            register: self.held.register.clone(),
            statuses: self.held.values.len() as u64,
            since_at,
            due_at,
            overdue: self.due_at(now).is_none(),
        })
    }

    /// Returns the lists as the batch makes them, on what the register holds.
    pub(super) fn changes(&self, view: &View<'_>) -> CliResult<Vec<RecordChange>> {
        let mut lists: BTreeMap<&str, Vec<(u64, u8)>> = BTreeMap::new();
        for value in &self.held.values {
            lists.entry(&value.list).or_default().push((value.index, value.value));
        }
        lists.into_iter().map(|(uri, values)| edited(view, uri, &values)).collect()
    }
}

fn edited(view: &View<'_>, uri: &str, values: &[(u64, u8)]) -> CliResult<RecordChange> {
    let gone = || {
        let shown = words::clean(uri);
        CliError::new(
            "status-missing",
            Exit::Refused,
            format!("statuses wait for list {shown}, which is there no more"),
        )
    };
    let key = RecordKey::status(uri).map_err(|e| gone().because(&e))?;
    let body = view.body(&key)?.ok_or_else(gone)?;
    let list = StatusList::parse(&body).map_err(|e| gone().because(&e))?;
    let new = list.edited(list.length(), values).map_err(|e| gone().because(&e))?;
    let body = new.encode();
    debug_assert!(body.len() <= limits::BODY_SIZE_MAX);
    Ok(RecordChange::put(key, body))
}

/// Returns every batch that waits on this machine. What cannot be read is an error: it may hold what must go out.
pub fn waiting(context: &Context) -> CliResult<Vec<Waiting>> {
    let folder = context.config.data_dir.join(FOLDER);
    let keys = match context.keystore().list() {
        Ok(keys) if folder.is_dir() => keys,
        // Without keys there is nothing that could wait.
        _ => return Ok(Vec::new()),
    };
    let mut found = Vec::new();
    // A register may have two keys, and has one batch.
    let origins: BTreeSet<String> = keys.into_iter().filter_map(|key| key.origin).collect();
    for origin in origins {
        let path = folder.join(format!("{}.json", held::file_name(&origin)));
        let batch = Batch::read(path, &origin, context.config.publisher.batch_s)?;
        found.extend(batch.waiting(context.now));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const REGISTER: &str = "a.example/register/0";

    fn at(secs: u64) -> Time {
        Time::from_secs_saturating(1_790_000_000 + secs)
    }

    fn set(index: u64, value: u8) -> StatusValue {
        StatusValue { list: "https://a.example/status/1".to_owned(), index, value }
    }

    #[test]
    fn the_first_goes_out_at_once_and_the_next_waits_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        let mut batch = Batch::read(path.clone(), REGISTER, 900).unwrap();
        assert_eq!(batch.due_at(at(0)), None);
        batch.held.last_at = Some(at(0));
        assert_eq!(batch.due_at(at(1)), Some(at(900)));
        assert_eq!(batch.due_at(at(900)), None);
        // A clock that was set back by hours keeps nobody's revocation.
        assert_eq!(batch.due_at(Time::from_secs_saturating(1_789_990_000)), None);
        batch.gather(&[set(7, 1), set(9, 1)], at(5), None).unwrap();
        batch.gather(&[set(7, 0)], at(6), None).unwrap();
        let again = Batch::read(path.clone(), REGISTER, 900).unwrap();
        assert_eq!(again.held.values, [set(7, 0), set(9, 1)]);
        let waiting = again.waiting(at(60)).unwrap();
        assert_eq!((waiting.since_at, waiting.due_at, waiting.overdue), (at(5), at(900), false));
        assert_eq!(waiting.words(at(60)), "2 statuses wait until 14:28 UTC, 14 min from now");
        assert!(again.waiting(at(960)).unwrap().overdue);
        assert!(Batch::read(path.clone(), "b.example/register/0", 900).is_err_and(|e| e.code == "batch-damaged"));
        std::fs::write(&path, b"{").unwrap();
        assert!(Batch::read(path, REGISTER, 900).is_err_and(|e| e.code == "batch-damaged"));
    }
}
