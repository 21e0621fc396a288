//! The charter to check proofs by: `--charter FILE`, else the newest of the snapshot held.

use std::path::Path;

use standfast_protocol::charter::{Charter, SignedCharter};
use standfast_protocol::limits;
use standfast_protocol::log::note::Note;

use crate::command::Context;
use crate::error::{CliError, CliResult, Exit};
use crate::held;
use crate::trust_source::shown;

/// Loads the charter that the options choose. Whoever names a file has chosen it: its own roots must have signed it.
pub fn load(context: &Context, path: Option<&Path>) -> CliResult<Charter> {
    match path {
        Some(path) => read(context, path),
        None => match held::snapshot(context) {
            Ok(snapshot) => Ok(snapshot.charter().clone()),
            Err(e) if e.code == "charter-missing" => Err(e.hint("or name the charter's file: --charter FILE")),
            Err(e) => Err(e),
        },
    }
}

/// Reads a charter's file.
fn read(context: &Context, path: &Path) -> CliResult<Charter> {
    let bytes = context.read(path, limits::NOTE_SIZE_MAX as u64)?;
    let note = Note::parse(&bytes)
        .map_err(|e| CliError::malformed(format!("{} is not a charter", shown(path))).because(&e))?;
    let signed = SignedCharter::authenticate_pinned(note).map_err(|e| {
        CliError::new("charter-refused", Exit::Refused, format!("{} is not admitted as a charter", shown(path)))
            .because(&e)
    })?;
    Ok(signed.charter().clone())
}

/// Refuses a charter that has expired: it grants nothing new.
pub fn demand_current(context: &Context, charter: &Charter) -> CliResult<()> {
    if !charter.is_expired(context.now.secs()) {
        return Ok(());
    }
    let message = format!("charter {} has expired", charter.version());
    Err(CliError::new("charter-expired", Exit::Open, message)
        .cause("who may say what since then is not known")
        .hint("get the next charter from a holder of a root key"))
}
