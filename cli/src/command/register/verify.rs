//! `register verify`: replays a register, held here or in a folder that was exported.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Serialize;
use standfast_node::file;
use standfast_protocol::charter::Charter;
use standfast_protocol::credential::json::Json;
use standfast_protocol::digest::Digest;
use standfast_protocol::key::{VerifierKey, is_own_origin};
use standfast_protocol::limits;
use standfast_protocol::log::checkpoint::Checkpoint;
use standfast_protocol::log::note::Note;
use standfast_protocol::proof::RecordProof;
use standfast_protocol::register::body::Record;
use standfast_protocol::register::fact::Binding;
use standfast_protocol::register::mirror::{
    BINDING, BINDING_PROOF, CHECKPOINT, Mirror, Replay, ReplayError, Stood, replay,
};
use standfast_protocol::register::state::Witnessing;
use standfast_protocol::replica::Bound;
use standfast_protocol::time::Time;

use crate::charter_source;
use crate::command::Context;
use crate::error::{CliError, CliResult, Exit};
use crate::held;
use crate::output::{Sign, words};
use crate::trust_source::shown;

/// Bytes of a file beside those of the register that is looked at.
const OTHER_SIZE_MAX: u64 = limits::ENTRY_BUNDLE_SIZE_MAX as u64;
/// Files in a folder.
const FILES_MAX: usize = 10_000_000;

/// Where the keys came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum KeysFrom {
    /// The charter, over the proof beside the files where it names no such anchor.
    Charter,
    /// What is held here.
    Held,
    /// The folder itself: whose they are is not known.
    Folder,
}

/// What the files are checked by.
struct Ground {
    origin: String,
    keys: Vec<VerifierKey>,
    witnessing: Option<Witnessing>,
    from: KeysFrom,
    entity: Option<String>,
}

#[derive(Serialize)]
struct Document {
    kind: &'static str,
    origin: String,
    entity: Option<String>,
    state: &'static str,
    keys_from: KeysFrom,
    size: u64,
    root: Digest,
    changes: u64,
    records: u64,
    size_witnessed: u64,
    witnesses: Vec<String>,
    witnesses_named: Option<u64>,
    witnessed_at: Option<Time>,
    signatures_unknown: u64,
    bodies: u64,
    bodies_missing: Vec<Digest>,
    files: u64,
    files_unknown: Vec<String>,
}

/// Replays a register.
pub(super) fn verify(context: &Context, subject: &Path, charter: Option<&Path>) -> CliResult {
    if subject.is_dir() {
        return folder(context, subject, charter);
    }
    let snapshot = held::snapshot(context)?;
    let replica = snapshot.replica();
    let register = held::register(replica, &subject.to_string_lossy())?;
    let mirror = Mirror::new(register, replica.bodies());
    let name = held::name(replica, register.origin());
    mirror
        .paths()
        .map_err(|e| CliError::new("register-partial", Exit::Open, format!("{name} is not held whole")).because(&e))?;
    let ground = Ground {
        origin: register.origin().to_owned(),
        keys: register.keys().to_vec(),
        witnessing: Some((**register.witnessing()).clone()),
        from: KeysFrom::Held,
        entity: replica.bound().get(register.origin()).map(|bound| bound.entity.clone()),
    };
    let read = |path: &str, _| Ok::<_, io::Error>(mirror.read(path).ok().map(|file| file.bytes));
    let replayed = run(&ground, read).map_err(|e| refused(&name, &e))?;
    answer(context, &ground, &replayed, Vec::new())
}

fn run(ground: &Ground, read: impl FnMut(&str, usize) -> io::Result<Option<Bytes>>) -> Result<Replay, ReplayError> {
    replay(&ground.origin, &ground.keys, ground.witnessing.as_ref(), read)
}

fn folder(context: &Context, dir: &Path, charter: Option<&Path>) -> CliResult {
    let name = shown(dir);
    let ground = ground(context, dir, charter)?;
    let read = |path: &str, size_max: usize| read_file(dir, path, size_max as u64);
    let replayed = run(&ground, read).map_err(|e| refused(&name, &e))?;
    let mut unknown = Vec::new();
    for path in files_below(dir)? {
        if replayed.checked.contains(&path) || path == BINDING_PROOF {
            continue;
        }
        let bytes = file::read(&dir.join(&path), OTHER_SIZE_MAX).map_err(|e| CliError::file(&dir.join(&path), &e))?;
        match replayed.holds(&path, &bytes) {
            Some(true) => (),
            Some(false) => return Err(refused(&name, &ReplayError::Tile(path))),
            None => unknown.push(path),
        }
    }
    answer(context, &ground, &replayed, unknown)
}

fn read_file(dir: &Path, path: &str, size_max: u64) -> io::Result<Option<Bytes>> {
    match file::read(&dir.join(path), size_max) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// The names of all files below a folder, sorted; links are not followed.
fn files_below(dir: &Path) -> CliResult<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        let folder = dir.join(&below);
        for entry in fs::read_dir(&folder).map_err(|e| CliError::file(&folder, &e))? {
            let entry = entry.map_err(|e| CliError::file(&folder, &e))?;
            let path = below.join(entry.file_name());
            let kind = entry.file_type().map_err(|e| CliError::file(&entry.path(), &e))?;
            if kind.is_dir() {
                open.push(path);
            } else if found.len() < FILES_MAX {
                found.insert(path.to_string_lossy().into_owned());
            }
        }
    }
    Ok(found)
}

/// Finds out by which keys and witnesses a folder is checked.
fn ground(context: &Context, dir: &Path, charter: Option<&Path>) -> CliResult<Ground> {
    let path = dir.join(CHECKPOINT);
    let bytes = file::read(&path, limits::NOTE_SIZE_MAX as u64).map_err(|e| {
        CliError::file(&path, &e).hint("a folder to verify is one that was exported: standfast register export R DIR")
    })?;
    let origin = Note::parse(&bytes).ok().and_then(|note| Checkpoint::parse(note.text()).ok()).map(|c| c.origin);
    let origin = origin.ok_or_else(|| {
        CliError::new("mirror-altered", Exit::Tampered, format!("{} is not a signed checkpoint", shown(&path)))
            .hint("get the folder again from its source")
    })?;
    if charter.is_none() {
        let held = match held::snapshot(context) {
            Ok(snapshot) => snapshot,
            Err(e) if e.code == "charter-missing" => return by_itself(dir, origin),
            Err(e) => return Err(e),
        };
        if let Some(bound) = held.replica().bound().get(&origin) {
            let witnessing = Some(witnessing(context, held.charter()));
            let (keys, entity) = (bound.keys.clone(), Some(bound.entity.clone()));
            return Ok(Ground { origin, keys, witnessing, from: KeysFrom::Held, entity });
        }
        return by_charter(context, dir, origin, held.charter());
    }
    let charter = charter_source::load(context, charter)?;
    charter_source::demand_current(context, &charter)?;
    by_charter(context, dir, origin, &charter)
}

/// The anchor's keys, else those that the proof beside the files leads to.
fn by_charter(context: &Context, dir: &Path, origin: String, charter: &Charter) -> CliResult<Ground> {
    let anchor = charter.anchors().iter().find(|anchor| anchor.register.origin == origin);
    let bound = match anchor {
        Some(anchor) => Bound::read(&anchor.authority, &anchor.register),
        None => proven(context, dir, &origin, charter)?,
    };
    let bound = bound.ok_or_else(|| {
        let message = format!("the charter does not lead to {}", words::origin_short(&origin));
        CliError::new("register-unbound", Exit::Open, message)
            .cause(format!("it names no such anchor, and {BINDING_PROOF} shows no permission that binds it"))
    })?;
    let witnessing = Some(witnessing(context, charter));
    Ok(Ground { origin, keys: bound.keys, witnessing, from: KeysFrom::Charter, entity: Some(bound.entity) })
}

fn proven(context: &Context, dir: &Path, origin: &str, charter: &Charter) -> CliResult<Option<Bound>> {
    let path = dir.join(BINDING_PROOF);
    let bytes = match file::read(&path, limits::TLOG_PROOF_SIZE_MAX as u64) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(CliError::file(&path, &e)),
    };
    let proven = RecordProof::parse(&bytes).and_then(|proof| proof.verify(charter, context.now.secs()));
    let proven = proven.map_err(|e| {
        let message = format!("{} proves nothing under this charter", shown(&path));
        CliError::new("proof-refused", Exit::Refused, message).because(&e)
    })?;
    let Some(body) = proven.body() else { return Ok(None) };
    let record = Record::new(body.clone());
    let entry = record.trust_entry().ok().filter(|entry| {
        standfast_protocol::register::record::RecordKey::trust(&entry.entity, &entry.action, &entry.resource).as_ref()
            == Ok(proven.key())
    });
    let bound = entry.and_then(|entry| Bound::read(&entry.entity, entry.terms.register.as_ref()?));
    Ok(bound.filter(|bound| bound.binding.origin == origin))
}

/// Nothing is held here: the keys that the folder names, one of which gives the register its name.
fn by_itself(dir: &Path, origin: String) -> CliResult<Ground> {
    let path = dir.join(BINDING);
    let bytes = file::read(&path, limits::NOTE_SIZE_MAX as u64).map_err(|e| CliError::file(&path, &e))?;
    let bound = Json::parse(&bytes).ok().and_then(|json| Bound::read("", &Binding::read(&json)?));
    let bound = bound.filter(|bound| bound.binding.origin == origin && bound.keys.iter().any(is_own_origin));
    let bound = bound.ok_or_else(|| {
        let message = format!("{} does not name the keys of {}", shown(&path), words::origin_short(&origin));
        CliError::new("register-unbound", Exit::Open, message).hint("name the charter's file: --charter FILE")
    })?;
    Ok(Ground { origin, keys: bound.keys, witnessing: None, from: KeysFrom::Folder, entity: None })
}

/// The witnesses in force by this device's clock: the files say nothing of what witnesses said elsewhere.
fn witnessing(context: &Context, charter: &Charter) -> Witnessing {
    Witnessing::of(charter, &|_| Some(context.now.secs()))
}

fn refused(name: &str, error: &ReplayError) -> CliError {
    match error {
        ReplayError::Missing(path) => {
            CliError::new("mirror-incomplete", Exit::Open, format!("{name} is not whole: there is no {path}"))
                .hint("copy the folder again; witnessed and checkpoint come last")
        }
        ReplayError::Read { .. } => CliError::of("file-io", Exit::Io, error),
        _ if error.is_upgrade_needed() => {
            CliError::new("upgrade-needed", Exit::Open, format!("this program is too old for {name}"))
                .because(error)
                .hint("upgrade this program")
        }
        _ => CliError::new("mirror-altered", Exit::Tampered, format!("{name} does not hold together"))
            .because(error)
            .hint("get it again from its source"),
    }
}

/// True when the admitting witnesses at a head make the quorum.
fn is_quorum(ground: &Ground, stood: &Stood) -> bool {
    ground.witnessing.as_ref().is_some_and(|witnessing| {
        let counts = |name: &str| witnessing.admitting.contains(name) && stood.cosigners.contains_key(name);
        witnessing.quorum.met_by(counts)
    })
}

fn answer(context: &Context, ground: &Ground, replayed: &Replay, unknown: Vec<String>) -> CliResult {
    let witnessed = replayed.witnessed.as_ref().filter(|stood| is_quorum(ground, stood));
    let (state, sign, exit) = if replayed.is_forked {
        ("forked", Sign::Tampered, Exit::Tampered)
    } else if replayed.witnessed.is_some() && witnessed.is_none() && ground.witnessing.is_some() {
        ("no-quorum", Sign::Open, Exit::Open)
    } else if !replayed.bodies_missing.is_empty() {
        ("bodies-missing", Sign::Open, Exit::Open)
    } else if ground.from == KeysFrom::Folder {
        ("keys-unknown", Sign::Open, Exit::Open)
    } else {
        ("whole", Sign::Good, Exit::Done)
    };
    let time = |stood: &Stood| {
        let quorum = &ground.witnessing.as_ref()?.quorum;
        quorum.time(|name| stood.cosigners.get(name).copied()).map(Time::from_secs_saturating)
    };
    let document = Document {
        kind: "standfast/register-verified/v1",
        origin: ground.origin.clone(),
        entity: ground.entity.clone(),
        state,
        keys_from: ground.from,
        size: replayed.newest.checkpoint.size,
        root: replayed.newest.checkpoint.root,
        changes: replayed.changes,
        records: replayed.records,
        size_witnessed: witnessed.map_or(0, |stood| stood.checkpoint.size),
        witnesses: witnessed.map(|stood| stood.cosigners.keys().cloned().collect()).unwrap_or_default(),
        witnesses_named: ground.witnessing.as_ref().map(|w| w.quorum.witnesses().len() as u64),
        witnessed_at: witnessed.and_then(time),
        signatures_unknown: [Some(&replayed.newest), replayed.witnessed.as_ref()]
            .into_iter()
            .flatten()
            .map(|stood| stood.unknown as u64)
            .max()
            .unwrap_or_default(),
        bodies: replayed.bodies,
        bodies_missing: replayed.bodies_missing.clone(),
        files: replayed.checked.len() as u64,
        files_unknown: unknown,
    };
    context.output.result(&document, |style| {
        format!("{} {}\n{}", style.sign(sign), words::origin_short(&document.origin), draw(context, &document))
    })?;
    Ok(exit)
}

fn draw(context: &Context, document: &Document) -> String {
    let mut out = String::new();
    let mut row = |label: &str, text: String| out.push_str(&format!("  {label:<10} {text}\n"));
    if let Some(entity) = &document.entity {
        row("of", words::did(entity));
    }
    let entries = words::counted(document.size, "entry", "entries");
    let changes = words::counted(document.changes, "change", "changes");
    row("replayed", format!("{entries}, {changes} · {} now", words::counted(document.records, "record", "records")));
    row("root", document.root.to_string());
    let share = words::share(document.witnesses.len() as u64, document.witnesses_named.unwrap_or_default());
    row(
        "witnessed",
        match (document.witnesses_named, document.size_witnessed, document.witnessed_at) {
            (None, ..) => "not checked: no charter says who witnesses".to_owned(),
            (Some(0), ..) => "no witnesses".to_owned(),
            (_, 0, _) => "never".to_owned(),
            (_, size, Some(at)) => {
                let size = words::grouped(size);
                format!("size {size} by {share} witnesses, {}", words::ago(at, context.now))
            }
            (_, size, None) => format!("size {} by {share} witnesses", words::grouped(size)),
        },
    );
    row("bodies", format!("{}, each under its digest", words::grouped(document.bodies)));
    row("files", words::grouped(document.files));
    row(
        "keys",
        match document.keys_from {
            KeysFrom::Charter => "those that the charter leads to".to_owned(),
            KeysFrom::Held => "those that are bound here".to_owned(),
            KeysFrom::Folder => "as the folder names them; whose they are is not known here".to_owned(),
        },
    );
    if document.signatures_unknown > 0 {
        let lines = words::counted(document.signatures_unknown, "signature", "signatures");
        row("passed over", format!("{lines} by keys that are not known here"));
    }
    if let Some(first) = document.files_unknown.first() {
        let files = words::counted(document.files_unknown.len() as u64, "other file", "other files");
        row("beside it", format!("{files}, such as {}", words::clean(first)));
    }
    match document.state {
        "forked" => row("state", "forked: its key signed two histories, and the proof holds".to_owned()),
        "no-quorum" => row("state", "no quorum of witnesses stands behind the head in witnessed".to_owned()),
        "bodies-missing" => {
            let bodies = words::counted(document.bodies_missing.len() as u64, "body is", "bodies are");
            row("state", format!("{bodies} missing: what depends on that cannot be decided"));
        }
        "keys-unknown" => row("state", "it holds together; name the charter's file: --charter FILE".to_owned()),
        _ => row("state", "whole: every entry, state, signature and body holds".to_owned()),
    }
    out
}
