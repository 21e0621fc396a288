//! `register`: an agency's records and the log of their changes.

mod export;
mod verify;
mod view;

use std::path::{Path, PathBuf};

use serde::Serialize;
use standfast_node::keystore::{KeyUse, PublicPart};
use standfast_node::ledger::{Ledger, LedgerError};
use standfast_protocol::credential::json::Json;
use standfast_protocol::did;
use standfast_protocol::key::{VerifierKey, origin_of};
use standfast_protocol::register::fact::Binding;

use super::{Context, key_error, signing_error};
use crate::args::agency::Register;
use crate::args::change::ChangeOptions;
use crate::change;
use crate::error::{CliError, CliResult, Exit};
use crate::held;
use crate::output::words;

/// Bytes in a binding file.
const BINDING_SIZE_MAX: u64 = 64 * 1024;

/// The register's name and keys, as the authority above needs them: the file `<key>.binding` is this in RFC 8785.
#[derive(Serialize)]
struct BindingFile<'a> {
    keys: &'a [VerifierKey],
    origin: &'a str,
}

/// Runs a verb of `register`.
pub fn run(context: &Context, command: Register) -> CliResult {
    match command {
        Register::Create { host, key, out, yes } => create(context, &host, &key, out, yes),
        Register::Show { register, binding: true } => show_binding(context, register.as_deref()),
        Register::Show { register, binding: false } => view::show(context, register.as_deref()),
        Register::List => view::list(context),
        Register::Rotate { register, to, out, yes } => change::rotation::rotate(context, &register, &to, out, yes),
        Register::Sign { draft, key, confirm_broad, override_fence } => {
            let options = ChangeOptions { confirm_broad, override_fence, ..ChangeOptions::default() };
            change::sign_draft(context, &draft, &key, (&options).into())
        }
        Register::Publish { draft, wait, confirm_broad, override_fence } => {
            let options = ChangeOptions { wait, confirm_broad, override_fence, ..ChangeOptions::default() };
            match draft.to_str() {
                // A word that is no file, and with which one of our registers begins.
                Some(word) if !draft.exists() && own_registers(context, Some(word)).is_ok() => {
                    change::publish_batch(context, word, &options)
                }
                _ => change::publish_draft(context, &draft, &options),
            }
        }
        Register::Export { register, dir } => export::export(context, &register, &dir),
        Register::Verify { subject, charter } => verify::verify(context, &subject, charter.as_deref()),
    }
}

#[derive(Serialize)]
struct CreatedDocument<'a> {
    kind: &'static str,
    origin: &'a str,
    keys: &'a [VerifierKey],
    binding: String,
}

/// Names the register by its key, and makes beside the key what publishing needs: the signer's ledger and the
/// timestamping key. Each step can be run again after a crash.
fn create(context: &Context, host: &str, key: &str, out: Option<PathBuf>, yes: bool) -> CliResult {
    did::web::did_of(host)
        .map_err(|e| CliError::usage(format!("{host} is not a host to name a register by")).because(&e))?;
    let keys = context.keystore();
    let public = keys.public(key).map_err(|e| key_error(&e))?;
    public.demand(KeyUse::Register).map_err(|e| key_error(&e))?;
    let public_key = public.key().map_err(|e| CliError::of("key-damaged", Exit::Usage, &e))?;
    let origin = origin_of(&format!("{host}/register"), &public_key);
    let public = keys.bind_origin(key, &origin).map_err(|e| key_error(&e))?;
    let head = public.verifier_keys().ok().and_then(|keys| keys.into_iter().next());
    let head =
        head.ok_or_else(|| CliError::new("key-damaged", Exit::Usage, format!("key {key} has no verifier key")))?;
    match Ledger::create(&keys.ledger_path(key), &head) {
        Ok(()) | Err(LedgerError::Exists(_)) => {}
        Err(other) => return Err(ledger_error(&other)),
    }
    let timestamp = keys.create_timestamp(key, &origin).map_err(|e| key_error(&e))?;
    let bound = [head, timestamp.key];
    let bytes = binding_bytes(&origin, &bound);
    let path = out.unwrap_or_else(|| PathBuf::from(format!("{key}.binding")));
    context.write(&path, &bytes, yes)?;
    if path == Path::new("-") {
        return Ok(Exit::Done);
    }
    let binding = path.display().to_string();
    let document = CreatedDocument { kind: "standfast/register-created/v1", origin: &origin, keys: &bound, binding };
    context.output.result(&document, |_| {
        let file = path.display();
        let size = words::size(bytes.len() as u64);
        format!(
            "Created {}, empty\nWrote {file}, {size}: the register's name and keys\n→ next: give {file} to the authority above you\n",
            words::origin_short(&origin)
        )
    })?;
    Ok(Exit::Done)
}

pub(crate) fn binding_bytes(origin: &str, keys: &[VerifierKey]) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(&BindingFile { keys, origin }).expect("a binding has only strings");
    bytes.push(b'\n');
    bytes
}

fn show_binding(context: &Context, register: Option<&str>) -> CliResult {
    let own = own_registers(context, register)?;
    let origin = own.first().and_then(|public| public.origin.clone()).unwrap_or_default();
    let replica = held::own(context)?;
    let named = replica.as_ref().map(|replica| replica.bindings(&origin)).unwrap_or_default();
    let is_named = |key: &VerifierKey| named.iter().any(|(_, bound)| bound.keys.contains(key));
    let mut keys = own_keys(context, &own)?;
    // In the course of a rotation those that are bound; before anybody has named it, all.
    if keys.iter().any(is_named) {
        keys.retain(is_named);
    }
    let bytes = binding_bytes(&origin, &keys);
    context
        .output
        .result(&BindingFile { keys: &keys, origin: &origin }, |_| String::from_utf8_lossy(&bytes).into_owned())?;
    Ok(Exit::Done)
}

/// Returns the keys of an own register: those that sign heads, oldest first, and its timestamping key.
fn own_keys(context: &Context, own: &[PublicPart]) -> CliResult<Vec<VerifierKey>> {
    let mut keys = Vec::new();
    for public in own {
        keys.extend(public.verifier_keys().map_err(|e| CliError::of("key-damaged", Exit::Usage, &e))?);
    }
    for public in own {
        let timestamp = context.keystore().timestamp(&public.name).map_err(|e| key_error(&e))?.key;
        if !keys.contains(&timestamp) {
            keys.push(timestamp);
        }
    }
    Ok(keys)
}

/// Returns the keys of an own register, oldest first: the register that `--register` names by any unambiguous beginning of
/// its origin, else the only one whose key is here. After a rotation one register has several keys.
pub fn own_registers(context: &Context, register: Option<&str>) -> CliResult<Vec<PublicPart>> {
    let keys = context.keystore().list().map_err(|e| key_error(&e))?;
    let mut own: Vec<PublicPart> =
        keys.into_iter().filter(|k| k.key_use == KeyUse::Register && k.origin.is_some()).collect();
    if let Some(beginning) = register {
        own.retain(|k| k.origin.as_deref().is_some_and(|origin| origin.starts_with(beginning)));
    }
    let mut origins: Vec<&str> = own.iter().filter_map(|k| k.origin.as_deref()).collect();
    origins.sort_unstable();
    origins.dedup();
    if origins.len() > 1 {
        let names: Vec<String> = origins.into_iter().map(words::origin_short).collect();
        return Err(CliError::usage("more than one register is meant")
            .cause(names.join(", "))
            .hint("say which: --register, with enough of its origin"));
    }
    if own.is_empty() {
        let made = match register {
            Some(beginning) => CliError::usage(format!("no key here signs a register that begins with {beginning}")),
            None => CliError::usage("no key here signs a register"),
        };
        return Err(made.hint("make one: standfast register create HOST --key KEY"));
    }
    own.sort_by(|a, b| (a.created_at, &a.name).cmp(&(b.created_at, &b.name)));
    Ok(own)
}

/// Reads a binding file; whose keys they are is for people to compare.
pub fn read_binding(context: &Context, path: &Path) -> CliResult<(Json, Binding)> {
    let bytes = context.read(path, BINDING_SIZE_MAX)?;
    let malformed = || {
        CliError::malformed(format!("{} is not a binding file", path.display()))
            .hint("ask its owner for: standfast register show --binding")
    };
    let json = Json::parse(&bytes).map_err(|e| malformed().because(&e))?;
    let binding = Binding::read(&json).ok_or_else(|| malformed().cause("expected the members keys and origin"))?;
    for key in &binding.keys {
        let key: VerifierKey = key.parse().map_err(|e: standfast_protocol::key::KeyError| malformed().because(&e))?;
        if key.name() != binding.origin {
            return Err(malformed().cause("expected keys that are named by the origin"));
        }
    }
    Ok((json, binding))
}

/// Says why the signer's ledger signs nothing.
pub fn ledger_error(error: &LedgerError) -> CliError {
    let of = |code, exit| CliError::of(code, exit, error);
    match error {
        LedgerError::Signed { .. } | LedgerError::Behind { .. } | LedgerError::Diverges { .. } => {
            of("ledger-refuses", Exit::Refused)
                .cause("a key that signs two histories of one register forks it, for everybody to see")
                .hint("the node here is behind what was signed: let it catch up, then run this again")
        }
        LedgerError::Missing(_) => of("ledger-missing", Exit::Refused)
            .cause("without it nobody knows what the key has signed")
            .hint("restore it from the backup that holds the newest one"),
        LedgerError::Damaged { .. } => of("ledger-damaged", Exit::Tampered)
            .cause("without it nobody knows what the key has signed")
            .hint("restore it from the backup that holds the newest one"),
        LedgerError::Locked(_) => of("ledger-locked", Exit::Io).hint("wait for the other command to end"),
        LedgerError::OtherKey { .. }
        | LedgerError::OtherRegister { .. }
        | LedgerError::Entries { .. }
        | LedgerError::Size => of("ledger-refuses", Exit::Refused),
        LedgerError::Signing(error) => signing_error(error),
        LedgerError::Exists(_) => of("ledger-exists", Exit::Usage),
        LedgerError::File { path, source } => CliError::file(path, source),
    }
}
