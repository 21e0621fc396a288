//! `register export`: a register as plain files, in an order in which no file names one that is not there yet.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Serialize;
use standfast_node::file;
use standfast_protocol::limits;
use standfast_protocol::log::checkpoint::Checkpoint;
use standfast_protocol::log::note::Note;
use standfast_protocol::log::tiles::Tile;
use standfast_protocol::proof::RecordProof;
use standfast_protocol::register::mirror::{
    BINDING, BINDING_PROOF, CHECKPOINT, FORK, File, Mirror, NotThere, WITNESSED,
};
use standfast_protocol::register::state::Register;

use crate::command::Context;
use crate::error::{CliError, CliResult, Exit};
use crate::held;
use crate::output::words;
use crate::trust_source::shown;

#[derive(Serialize)]
struct Document {
    kind: &'static str,
    origin: String,
    dir: String,
    size: u64,
    size_witnessed: u64,
    files: u64,
    files_written: u64,
    size_bytes: u64,
    bodies_missing: u64,
}

/// Writes a register held to a folder, or brings a folder up to date.
pub(super) fn export(context: &Context, beginning: &str, dir: &Path) -> CliResult {
    let snapshot = held::snapshot(context)?;
    let replica = snapshot.replica();
    let register = held::register(replica, beginning)?;
    let mirror = Mirror::new(register, replica.bodies());
    let name = held::name(replica, register.origin());
    let mut paths = mirror.paths().map_err(|e| not_exported(&name, e))?;
    fs::create_dir_all(dir).map_err(|e| CliError::file(dir, &e))?;
    check_folder(dir, register)?;
    let proof = RecordProof::of_binding(replica, register.origin(), context.now.secs());
    // Without a chain in force the files are whole as well; only their keys have to come from elsewhere.
    let proof = proof.ok().flatten().map(|proof| proof.to_text());
    if proof.is_some() {
        let before = paths.iter().position(|path| [WITNESSED, CHECKPOINT].contains(&path.as_str()));
        let before = before.unwrap_or(paths.len());
        paths.insert(before, BINDING_PROOF.to_owned());
    }
    let (mut written, mut size_bytes) = (0, 0);
    for path in &paths {
        let file = match (path.as_str(), &proof) {
            (BINDING_PROOF, Some(text)) => File { bytes: text.clone().into(), is_final: false },
            _ => mirror.read(path).map_err(|e| not_exported(&name, e))?,
        };
        size_bytes += file.bytes.len() as u64;
        written += u64::from(put(dir, path, &file)?);
    }
    drop_outgrown(dir, &paths)?;
    let missing = register.bodies_needed().iter().filter(|digest| !replica.bodies().contains(digest)).count() as u64;
    let document = Document {
        kind: "standfast/register-exported/v1",
        origin: register.origin().to_owned(),
        dir: dir.to_string_lossy().into_owned(),
        size: mirror.size(),
        size_witnessed: register.size_witnessed(),
        files: paths.len() as u64,
        files_written: written,
        size_bytes,
        bodies_missing: missing,
    };
    context.output.result(&document, |_| {
        let (dir, entries) = (shown(dir), words::counted(document.size, "entry", "entries"));
        let files = words::counted(document.files, "file", "files");
        let new = words::grouped(document.files_written);
        let size = words::size(document.size_bytes);
        let mut out = format!("Wrote {dir}: {name}, {entries} in {files}, {size} · {new} new or changed\n");
        if missing > 0 {
            let bodies = words::counted(missing, "body has", "bodies have");
            out.push_str(&format!("? {bodies} not come here yet\n"));
        }
        let word = crate::command::verify::judged::quoted(&dir);
        out.push_str(&format!("→ who mirrors it checks it: standfast register verify {word} --charter FILE\n"));
        out
    })?;
    Ok(Exit::Done)
}

fn not_exported(name: &str, error: NotThere) -> CliError {
    let message = match error {
        NotThere::Empty => format!("{name} has no entry yet"),
        NotThere::BeforeBase(_) | NotThere::Nothing => format!("{name} is not held whole"),
    };
    CliError::new("register-partial", Exit::Open, message)
        .cause(error.to_string())
        .hint("export it on a machine that holds it from its first entry")
}

/// Leaves alone what is not this register's folder, or is ahead of what is held here.
fn check_folder(dir: &Path, register: &Register) -> CliResult<()> {
    let refused = |code, exit, message: String| Err(CliError::new(code, exit, message).hint("nothing was written"));
    let path = dir.join(CHECKPOINT);
    let bytes = match file::read(&path, limits::NOTE_SIZE_MAX as u64) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let known = ["body", "tile", BINDING, BINDING_PROOF, FORK, WITNESSED];
            let entries = fs::read_dir(dir).map_err(|e| CliError::file(dir, &e))?;
            let other = entries.filter_map(Result::ok).map(|entry| entry.file_name().to_string_lossy().into_owned());
            let mut other = other.filter(|name| !known.contains(&name.as_str()) && !name.starts_with('.'));
            return match other.next() {
                None => Ok(()),
                Some(name) => {
                    let message = format!("{} holds something else: {}", shown(dir), words::clean(&name));
                    refused("file-exists", Exit::Usage, message)
                }
            };
        }
        Err(e) => return Err(CliError::file(&path, &e)),
    };
    let held = Note::parse(&bytes).ok().and_then(|note| Checkpoint::parse(note.text()).ok());
    let Some(held) = held else {
        return refused("mirror-altered", Exit::Tampered, format!("{} is not a signed checkpoint", shown(&path)));
    };
    if held.origin != register.origin() {
        let message = format!("{} holds another register: {}", shown(dir), words::origin_short(&held.origin));
        return refused("file-exists", Exit::Usage, message);
    }
    let newest = register.newest_head().map_or(0, |head| head.checkpoint().size);
    if held.size > newest {
        let (there, here) = (words::grouped(held.size), words::grouped(newest));
        let message = format!("{} holds {there} entries, and this machine {here}", shown(dir));
        return refused("mirror-ahead", Exit::Open, message);
    }
    if register.root_at(held.size) != Some(held.root) {
        let message = format!("{} holds another history of {}", shown(dir), words::origin_short(&held.origin));
        return refused("mirror-diverges", Exit::Tampered, message);
    }
    Ok(())
}

/// Writes a file where it is not there with this content; true when it did. What is final is never written again.
fn put(dir: &Path, path: &str, file: &File) -> CliResult<bool> {
    let target = dir.join(path);
    match file::read(&target, file.bytes.len() as u64) {
        Ok(bytes) if bytes == file.bytes => return Ok(false),
        Ok(_) if !file.is_final => (),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => (),
        Err(e) if e.kind() == std::io::ErrorKind::FileTooLarge && !file.is_final => (),
        Err(e) if e.kind() != std::io::ErrorKind::FileTooLarge => return Err(CliError::file(&target, &e)),
        Ok(_) | Err(_) => {
            let message = format!("{} holds something else than what is held here", shown(&target));
            return Err(CliError::new("mirror-altered", Exit::Tampered, message)
                .cause("such a file never changes once it is there")
                .hint("export to a new folder"));
        }
    }
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(|e| CliError::file(folder, &e))?;
    }
    file::replace(&target, &file.bytes, file::PUBLIC).map_err(|e| CliError::file(&target, &e))?;
    Ok(true)
}

/// Removes partial tiles that have a full one in their place, now that no head names them any more.
fn drop_outgrown(dir: &Path, paths: &[String]) -> CliResult<()> {
    let tiles: BTreeSet<Tile> = paths.iter().filter_map(|path| path.parse().ok()).collect();
    let named: BTreeSet<Tile> = tiles.iter().filter(|tile| !tile.is_full()).map(|tile| tile.full()).collect();
    for full in tiles.iter().filter(|tile| tile.is_full()) {
        let folder = dir.join(format!("{full}.p"));
        if named.contains(full) || !folder.is_dir() {
            continue;
        }
        fs::remove_dir_all(&folder).map_err(|e| CliError::file(&folder, &e))?;
    }
    Ok(())
}
