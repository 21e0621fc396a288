//! The snapshot to judge by: `--trust BUNDLE|DATADIR`, else the data directory's `snapshot.standfast`.
//!
//! Reads one file and opens no socket. Opening a bundle replays it: every signature and every entry is checked again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use standfast_node::store::snapshot_file::SNAPSHOT_FILE_NAME;
use standfast_protocol::bundle::{Bundle, BundleError, Report};
use standfast_protocol::limits;
use standfast_protocol::replica::Replica;
use standfast_protocol::snapshot::Snapshot;

use crate::command::Context;
use crate::error::{CliError, CliResult, Exit};
use crate::output::words;

/// A snapshot with where it came from.
pub struct Trusted {
    /// What is held.
    pub snapshot: Arc<Snapshot>,
    /// What came of opening it.
    pub report: Report,
    /// The file.
    pub path: PathBuf,
    /// The file's size.
    pub size_bytes: u64,
}

/// Loads the snapshot that the options choose.
pub fn load(context: &Context) -> CliResult<Trusted> {
    let path = match &context.config.trust {
        Some(path) if path.is_dir() => path.join(SNAPSHOT_FILE_NAME),
        Some(path) => path.clone(),
        None => context.config.data_dir.join(SNAPSHOT_FILE_NAME),
    };
    match open(context, &path) {
        Err(error) if error.code == "file-missing" && context.config.trust.is_none() => Err(nothing_held(context)),
        done => done,
    }
}

/// Opens one bundle by itself: its first charter is the root of trust.
pub fn open(context: &Context, path: &Path) -> CliResult<Trusted> {
    let bytes = context.read(path, limits::BUNDLE_SIZE_MAX as u64)?;
    let bundle = Bundle::decode(&bytes).map_err(|e| bundle_error(path, &e))?;
    let (replica, report) = open_alone(path, &bundle, context.now.secs())?;
    Ok(Trusted { snapshot: Snapshot::new(replica), report, path: path.to_owned(), size_bytes: bytes.len() as u64 })
}

/// Opens a bundle by itself.
pub fn open_alone(path: &Path, bundle: &Bundle, now: u64) -> CliResult<(Replica, Report)> {
    bundle.open(now).map_err(|e| bundle_error(path, &e))
}

fn altered(path: &Path) -> CliError {
    CliError::new("bundle-altered", Exit::Tampered, format!("{} was altered or cut short", shown(path)))
}

/// There is nothing to judge by: a file that is missing, and what makes one.
fn nothing_held(context: &Context) -> CliError {
    let dir = context.config.data_dir.display();
    CliError::new("file-missing", Exit::Io, "there is no snapshot to judge by")
        .cause(format!("{dir} holds no {SNAPSHOT_FILE_NAME}"))
        .hint("join a network: standfast node run")
        .hint("or judge by a bundle: --trust FILE")
}

/// Says what is wrong with a bundle. What reads as one and does not hold together was altered, or cut short.
pub fn bundle_error(path: &Path, error: &BundleError) -> CliError {
    let shown = shown(path);
    match error {
        BundleError::Magic => CliError::malformed(format!("{shown} is not a bundle")).cause(error.to_string()),
        BundleError::Size { .. } => CliError::malformed(format!("{shown} is too large")).cause(error.to_string()),
        BundleError::OtherNetwork { expected, found } => {
            CliError::new("bundle-foreign", Exit::Refused, format!("{shown} is of another network"))
                .cause(format!("this machine belongs to network {}", words::short(&expected.to_string())))
                .cause(format!("the bundle is of network {}", words::short(&found.to_string())))
                .hint(format!("nothing was taken; judge by it alone: --trust {shown}"))
        }
        _ => altered(path).because(error).hint("nothing of it was taken; get it again from its sender"),
    }
}

/// A path as messages name it.
pub fn shown(path: &Path) -> String {
    if path == Path::new("-") { "stdin".to_owned() } else { words::clean(&path.to_string_lossy()) }
}
