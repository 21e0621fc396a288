//! What this machine holds, read from files alone: the snapshot of the data directory, or what `--trust` names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use standfast_node::file;
use standfast_node::store::snapshot_file::SNAPSHOT_FILE_NAME;
use standfast_protocol::bundle::{Bundle, BundleError};
use standfast_protocol::digest::Digest;
use standfast_protocol::freshness::Ages;
use standfast_protocol::limits;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::register::state::Register;
use standfast_protocol::replica::Replica;
use standfast_protocol::snapshot::Snapshot;

use crate::command::Context;
use crate::error::{CliError, CliResult, Exit};
use crate::output::{Sign, words};

/// Opens the snapshot to judge by: the bundle or data directory of `--trust`, else this data directory's.
pub fn snapshot(context: &Context) -> CliResult<Arc<Snapshot>> {
    let path = match context.config.trust.clone() {
        Some(named) if !named.is_dir() => named,
        Some(named) => named.join(SNAPSHOT_FILE_NAME),
        None => context.config.data_dir.join(SNAPSHOT_FILE_NAME),
    };
    read(context, &path).map(Snapshot::new)
}

/// Opens the snapshot of the data directory; `None` before a charter was published there.
pub fn own(context: &Context) -> CliResult<Option<Replica>> {
    let path = context.config.data_dir.join(SNAPSHOT_FILE_NAME);
    match read(context, &path) {
        Ok(replica) => Ok(Some(replica)),
        Err(e) if e.code == "charter-missing" => Ok(None),
        Err(e) => Err(e),
    }
}

fn read(context: &Context, path: &Path) -> CliResult<Replica> {
    let bytes = match file::read(path, limits::BUNDLE_SIZE_MAX as u64) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && path.ends_with(SNAPSHOT_FILE_NAME) => {
            return Err(nothing_held());
        }
        read => read.map_err(|e| CliError::file(path, &e))?,
    };
    open(&bytes, context.now.secs()).map_err(|e| bundle_error(path, &e))
}

/// Opens a bundle, checking every signature and every entry in it.
pub fn open(bytes: &[u8], now: u64) -> Result<Replica, BundleError> {
    Bundle::decode(bytes)?.open(now).map(|(replica, _)| replica)
}

/// Says why a bundle is not used.
pub fn bundle_error(path: &Path, error: &BundleError) -> CliError {
    let shown = path.display();
    if error.is_tampering() {
        return CliError::new("bundle-altered", Exit::Tampered, format!("{shown} was altered"))
            .because(error)
            .hint("get it again from its source");
    }
    CliError::malformed(format!("{shown} is not a bundle that this version reads")).because(error)
}

/// No charter has been chosen on this data directory.
pub fn nothing_held() -> CliError {
    CliError::new("charter-missing", Exit::Open, "no charter is held here")
        .hint("ask who governs the network for its charter, then: standfast charter publish FILE")
}

/// Finds a register by any unambiguous beginning of its origin among those held.
pub fn register<'a>(replica: &'a Replica, beginning: &str) -> CliResult<&'a Arc<Register>> {
    let found: Vec<&Arc<Register>> =
        replica.registers().iter().filter(|(origin, _)| origin.starts_with(beginning)).map(|(_, r)| r).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] if replica.bound().keys().any(|origin| origin.starts_with(beginning)) => {
            Err(CliError::new("register-missing", Exit::Open, format!("nothing of {beginning} has come here yet"))
                .hint("let a node run, or carry it in: standfast bundle import FILE"))
        }
        [] => Err(CliError::usage(format!("no register held here begins with {}", words::clean(beginning)))
            .hint("see those that are: standfast register list")),
        many => Err(ambiguous(many.iter().map(|register| register.origin()))),
    }
}

/// Finds the origin of a register by any unambiguous beginning among those that somebody has named, empty ones too.
pub fn bound(replica: &Replica, beginning: &str) -> CliResult<String> {
    let found: Vec<&String> = replica.bound().keys().filter(|origin| origin.starts_with(beginning)).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(CliError::usage(format!("nobody has named a register that begins with {}", words::clean(beginning)))
            .hint("see those that are: standfast register list")),
        many => Err(ambiguous(many.iter().map(|origin| origin.as_str()))),
    }
}

/// More than one register begins so.
pub fn ambiguous<'a>(origins: impl Iterator<Item = &'a str>) -> CliError {
    let names: Vec<String> = origins.map(words::origin_short).collect();
    CliError::usage("more than one register is meant")
        .cause(names.join(", "))
        .hint("give enough of its origin to tell it from the others")
}

/// Returns a register's name among all that are held.
pub fn name(replica: &Replica, origin: &str) -> String {
    words::register(origin, replica.registers().keys().chain(replica.bound().keys()).map(String::as_str))
}

/// Lists a register's records at its newest head, sorted by key: each with its digest there.
pub fn records(register: &Register, prefix: &str) -> Vec<(RecordKey, Digest)> {
    let mut records: Vec<(RecordKey, Digest)> = register
        .state_newest()
        .iter()
        .filter(|(key, _)| key.starts_with(prefix.as_bytes()))
        .filter_map(|(key, digest)| Some((RecordKey::parse(std::str::from_utf8(key).ok()?).ok()?, *digest)))
        .collect();
    records.sort_unstable();
    records
}

/// Says what state a register is in: its sign and its stable word.
pub fn state(register: &Register) -> (Sign, &'static str) {
    if register.is_forked() {
        (Sign::Tampered, "forked")
    } else if register.frozen().is_some() {
        (Sign::Tampered, "frozen")
    } else if register.unread().is_some() {
        (Sign::Open, "upgrade-needed")
    } else {
        (Sign::Good, "good")
    }
}

/// Says how long ago a quorum stood at W, and how many witnesses do: `1 min, 3 of 4`, `never`, `no witnesses`.
pub fn witnessed(snapshot: &Snapshot, origin: &str, ages: &Ages) -> String {
    if snapshot.quorum().is_none() {
        return "no witnesses".to_owned();
    }
    let standing = snapshot.held(origin).map_or(0, |held| snapshot.witnesses_at(held).len());
    let named = snapshot.quorum().witnesses().len();
    match ages.age(ages.witnessed) {
        Some(age) => format!("{}, {}", words::age(age), words::share(standing as u64, named as u64)),
        None => "never".to_owned(),
    }
}

/// Says whether a record counts: `witnessed`, `pending`, or `published` where nobody witnesses.
pub fn standing(replica: &Replica, witnessed: bool) -> &'static str {
    match witnessed {
        true if replica.quorum().is_none() => "published",
        true => "witnessed",
        false => "pending",
    }
}

/// Says how long ago a register's owner spoke.
pub fn published(ages: &Ages) -> String {
    ages.age(ages.published).map_or_else(|| "never".to_owned(), words::age)
}

/// Returns where a command of this name keeps its files in the data directory.
pub fn folder(context: &Context, name: &str) -> CliResult<PathBuf> {
    let folder = context.make_data_dir()?.join(name);
    file::private_dir(&folder).map_err(|e| CliError::file(&folder, &e))?;
    Ok(folder)
}

/// Returns what a register's own files are called: by the register, for a rotation leaves its keys behind.
pub fn file_name(origin: &str) -> String {
    let name = Digest::of(origin.as_bytes()).to_string();
    name.get(..32).unwrap_or(&name).to_owned()
}
