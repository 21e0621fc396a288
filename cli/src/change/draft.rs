//! Changes as a file: gathered for later, and kept until a node has taken them.
//!
//! ```json
//! {"kind": "standfast/draft/v1", "register": "transport.gov.example/register/8d3f…",
//!  "changes": [{"record": "did/did:web:transport.gov.example", "body": "<base64>"}, {"record": "notice/1", "body": null}],
//!  "signed": {"size": 3, "note": "<the signed checkpoint>", "entries": ["<base64>"]}}
//! ```
//!
//! The same document stands in `outbox/<register>/` from before a checkpoint is signed until it was handed over: the signer's
//! ledger remembers entries and note, and this the bodies, so that a retry sends all of it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use standfast_node::file;
use standfast_node::ledger::Signed;
use standfast_protocol::digest::Digest;
use standfast_protocol::limits;
use standfast_protocol::log::checkpoint::Checkpoint;
use standfast_protocol::log::note::Note;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::sync::message::{HeadMessage, Signed as SignatureBytes};

use super::RecordChange;
use crate::command::Context;
use crate::error::{CliError, CliResult};
use crate::held;

const KIND: &str = "standfast/draft/v1";
const FOLDER: &str = "outbox";
/// Bytes in a draft: what one submission may have, in base64.
const DRAFT_SIZE_MAX: u64 = 256 * 1024 * 1024;

/// Changes of one register, perhaps signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    kind: String,
    /// The register's origin.
    pub register: String,
    changes: Vec<DraftChange>,
    /// The size of a broad change, as it was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signed: Option<SignedPart>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftChange {
    record: String,
    body: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedPart {
    size: u64,
    note: String,
    entries: Vec<String>,
}

impl Draft {
    /// Makes an unsigned draft.
    pub fn new(register: &str, changes: &[RecordChange]) -> Self {
        let mut draft = Self {
            kind: KIND.to_owned(),
            register: register.to_owned(),
            changes: Vec::new(),
            confirmed: None,
            signed: None,
        };
        draft.gather(changes);
        draft
    }

    /// Reads a draft's file; `None` when there is none.
    pub fn read(path: &Path) -> CliResult<Option<Self>> {
        let bytes = match file::read(path, DRAFT_SIZE_MAX) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(CliError::file(path, &e)),
        };
        let malformed = || CliError::malformed(format!("{} is not a draft", path.display()));
        let draft: Self = serde_json::from_slice(&bytes).map_err(|e| malformed().cause(e.to_string()))?;
        if draft.kind != KIND {
            return Err(malformed().cause(format!("expected kind {KIND}")));
        }
        draft.changes()?;
        Ok(Some(draft))
    }

    /// Writes the file, whole or not at all.
    pub fn write(&self, path: &Path) -> CliResult<()> {
        let mut bytes = serde_json::to_vec(self).expect("a draft has only string keys");
        bytes.push(b'\n');
        file::replace(path, &bytes, file::PRIVATE).map_err(|e| CliError::file(path, &e))
    }

    /// Adds changes; a later one of a record replaces an earlier one.
    pub fn gather(&mut self, changes: &[RecordChange]) {
        for change in changes {
            self.changes.retain(|held| held.record != change.key.as_str());
            let body = change.body.as_ref().map(|body| BASE64.encode(body));
            self.changes.push(DraftChange { record: change.key.as_str().to_owned(), body });
        }
        self.changes.sort_by(|a, b| a.record.cmp(&b.record));
    }

    /// Returns the changes.
    pub fn changes(&self) -> CliResult<Vec<RecordChange>> {
        let read = |change: &DraftChange| {
            let malformed = || CliError::malformed(format!("the draft's change of {} does not read", change.record));
            let key = RecordKey::parse(&change.record).map_err(|e| malformed().because(&e))?;
            let body = change.body.as_ref().map(|text| BASE64.decode(text.as_bytes())).transpose();
            Ok(RecordChange { key, body: body.map_err(|e| malformed().because(&e))?.map(Bytes::from) })
        };
        self.changes.iter().map(read).collect()
    }

    /// Returns the bodies that its changes put.
    pub fn bodies(&self) -> CliResult<Vec<Bytes>> {
        Ok(self.changes()?.into_iter().filter_map(|change| change.body).collect())
    }

    /// Adds what was signed.
    pub fn set_signed(&mut self, signed: &Signed) {
        self.signed = Some(SignedPart {
            size: signed.checkpoint.size,
            note: signed.note.to_string(),
            entries: signed.entries.iter().map(|entry| BASE64.encode(entry)).collect(),
        });
    }

    /// True once it is signed.
    pub fn is_signed(&self) -> bool {
        self.signed.is_some()
    }

    /// Returns the head of a signed draft, as nodes take it.
    pub fn head(&self) -> CliResult<Option<HeadMessage>> {
        let Some(part) = &self.signed else { return Ok(None) };
        let malformed =
            |e: &dyn std::error::Error| CliError::malformed("the draft's signed head does not read").because(e);
        let note = Note::parse(part.note.as_bytes()).map_err(|e| malformed(&e))?;
        let checkpoint = Checkpoint::parse(note.text()).map_err(|e| malformed(&e))?;
        let entries = part.entries.iter().map(|entry| BASE64.decode(entry.as_bytes())).collect::<Result<Vec<_>, _>>();
        Ok(Some(head(&Signed { checkpoint, entries: entries.map_err(|e| malformed(&e))?, note })))
    }
}

/// Makes of what the ledger signed the head that nodes take.
pub(super) fn head(signed: &Signed) -> HeadMessage {
    let own = signed.note.signatures().iter().filter(|line| line.name == signed.checkpoint.origin);
    HeadMessage {
        checkpoint: signed.checkpoint.clone(),
        own: own.map(SignatureBytes::from_line).collect(),
        cosignatures: Vec::new(),
        first: signed.checkpoint.size.saturating_sub(signed.entries.len() as u64),
        entries: signed.entries.iter().map(|entry| Bytes::copy_from_slice(entry)).collect(),
        bodies: Vec::new(),
    }
}

/// Changes that are on their way.
pub(super) struct Outbox {
    folder: PathBuf,
}

impl Outbox {
    /// Opens the outbox of a register; whoever holds the ledgers of its keys is alone here.
    pub(super) fn open(context: &Context, register: &str) -> CliResult<Self> {
        let folder = held::folder(context, FOLDER)?.join(held::file_name(register));
        file::private_dir(&folder).map_err(|e| CliError::file(&folder, &e))?;
        Ok(Self { folder })
    }

    /// By the root, so that a change that was prepared and never signed is not taken for the one that was.
    fn path(&self, checkpoint: &Checkpoint) -> PathBuf {
        let name = Digest::of(checkpoint.text().as_bytes());
        self.folder.join(format!("{name}.json"))
    }

    /// Keeps the changes that make this checkpoint; durable once this returns.
    pub(super) fn keep(&self, checkpoint: &Checkpoint, changes: &[RecordChange]) -> CliResult<()> {
        Draft::new(&checkpoint.origin, changes).write(&self.path(checkpoint))
    }

    /// Returns the bodies of the changes that made this checkpoint; none when they are not here.
    pub(super) fn bodies(&self, checkpoint: &Checkpoint) -> CliResult<Vec<Bytes>> {
        Draft::read(&self.path(checkpoint))?.map_or_else(|| Ok(Vec::new()), |draft| draft.bodies())
    }

    /// Forgets changes that a node has taken.
    pub(super) fn forget(&self, checkpoint: &Checkpoint) {
        // One that stays is sent nowhere: only what the ledger signed is.
        let _ = fs::remove_file(self.path(checkpoint));
    }

    /// Forgets all changes: what was signed has been handed over, and what was not signed never will be.
    pub(super) fn sweep(&self) -> CliResult<()> {
        let failed = |e: io::Error| CliError::file(&self.folder, &e);
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            fs::remove_file(entry.map_err(failed)?.path()).map_err(failed)?;
        }
        Ok(())
    }
}

/// Gathers bodies by digest, each once.
pub(super) fn distinct(bodies: Vec<Bytes>) -> Vec<Bytes> {
    let by_digest: BTreeMap<Digest, Bytes> = bodies.into_iter().map(|body: Bytes| (Digest::of(&body), body)).collect();
    by_digest.into_values().collect()
}

/// Refuses a body that no node would take.
pub(super) fn check_body(key: &RecordKey, body: &Bytes) -> CliResult<()> {
    if body.len() <= limits::BODY_SIZE_MAX {
        return Ok(());
    }
    Err(CliError::malformed(format!(
        "expected a body of at most {} bytes for {}, came {}",
        limits::BODY_SIZE_MAX,
        key.as_str(),
        body.len()
    )))
}
