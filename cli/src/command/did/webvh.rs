//! Logs of did:webvh: made here, continued, published, and copied from other registers.
//!
//! ```text
//! did/QmYP….jsonl            the log as web servers serve it; durable before any of it is published
//! did/QmYP….witness.json     its witness file, where there is one
//! ```
//!
//! A version is signed on the longest of all copies that are here, the own file's and every register's, and never where two
//! of them part: what was signed and not published comes first, and a log that was restored from a backup makes no fork.
//! Each version names the hash of the key of the next one, which is made with it.

use std::path::PathBuf;

use bytes::Bytes;
use serde::Serialize;
use standfast_node::file;
use standfast_node::keystore::{KeySigner, KeyUse, Passphrase, PublicPart};
use standfast_protocol::credential::json::Json;
use standfast_protocol::did::webvh::author::{self, AuthorError, Creation, Prepared, Update, key_hash, template};
use standfast_protocol::did::webvh::copies::ends;
use standfast_protocol::did::webvh::parameters::Witnesses;
use standfast_protocol::did::webvh::{Log, LogError, WebvhDid, hash_of};
use standfast_protocol::key::Signer as _;
use standfast_protocol::limits;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::register::webvh::{WebvhBodyError, encode, split};
use standfast_protocol::replica::Replica;
use standfast_protocol::time::Time;

use super::FOLDER;
use crate::args::agency::LogOptions;
use crate::args::change::Change;
use crate::change::{self, Kind, RecordChange, View};
use crate::command::{Context, key_error, signing_error};
use crate::error::{CliError, CliResult, Exit};
use crate::held;
use crate::output::words;

/// Characters of a key's name before its number.
const STEM_LENGTH_MAX: usize = 50;

/// A log with its witness file, verified but for its witnesses: the newest version may wait for them.
#[derive(Debug, Clone)]
pub struct Kept {
    log: Bytes,
    witness_file: Bytes,
    read: Log,
}

/// A copy in a register, at its newest head.
pub struct Copy {
    /// The register.
    pub origin: String,
    /// True when it stands there at W.
    pub witnessed: bool,
    /// The log.
    pub kept: Kept,
}

impl Kept {
    /// Reads a log. One of which not every entry holds is refused: what would follow it is not known.
    pub fn read(log: Bytes, witness_file: Bytes) -> Result<Self, LogError> {
        let read = Log::read_unwitnessed(&log)?;
        match read.ended() {
            Some((_, error)) => Err(error.clone()),
            None => Ok(Self { log, witness_file, read }),
        }
    }

    /// Returns the verified log.
    pub fn log(&self) -> &Log {
        &self.read
    }

    /// Returns the log as web servers serve it.
    pub fn bytes(&self) -> &Bytes {
        &self.log
    }

    fn did(&self) -> &str {
        self.read.newest().did()
    }

    /// Returns the record's body; every version needs its witnesses now.
    fn body(&self) -> CliResult<Vec<u8>> {
        encode(&self.log, &self.witness_file).map_err(|error| {
            let (did, version) = (self.did(), self.read.newest().id());
            match &error {
                WebvhBodyError::Log(LogError::Unwitnessed { .. } | LogError::WitnessFile(_)) => CliError::new(
                    "did-unwitnessed",
                    Exit::Open,
                    format!("{} waits for its witnesses, and is kept here", words::did(did)),
                )
                .because(&error)
                .hint(format!("have them sign version {version} into its witness file, then:"))
                .hint(format!("standfast did publish {did} --witness-file did-witness.json")),
                _ => {
                    CliError::malformed(format!("the log of {} is not one to publish", words::did(did))).because(&error)
                }
            }
        })
    }

    /// Writes log and witness file into the data directory.
    fn save(&self, context: &Context) -> CliResult<()> {
        held::folder(context, FOLDER)?;
        let (log, witness_file) = paths(context, self.read.scid());
        if !self.witness_file.is_empty() {
            context.write(&witness_file, &self.witness_file, true)?;
        }
        context.write(&log, &self.log, true)
    }
}

/// Where log and witness file of a SCID are kept.
fn paths(context: &Context, scid: &str) -> (PathBuf, PathBuf) {
    let folder = context.config.data_dir.join(FOLDER);
    (folder.join(format!("{scid}.jsonl")), folder.join(format!("{scid}.witness.json")))
}

/// Returns the log that is kept in the data directory.
pub fn local(context: &Context, did: &str) -> CliResult<Option<Kept>> {
    let Some(parsed) = WebvhDid::parse(did) else { return Ok(None) };
    let (path, witnesses) = paths(context, parsed.scid());
    let read = |path: &PathBuf, max: usize| match file::read(path, max as u64) {
        Ok(bytes) => Ok(Some(Bytes::from(bytes))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(CliError::file(path, &e)),
    };
    let Some(log) = read(&path, limits::WEBVH_LOG_SIZE_MAX)? else { return Ok(None) };
    let witness_file = read(&witnesses, limits::WEBVH_WITNESS_SIZE_MAX)?.unwrap_or_default();
    let damaged = |e: LogError| {
        CliError::malformed(format!("{} is not the log that was written here", path.display()))
            .because(&e)
            .hint("restore it from a backup, or take it away: the copy in the register is continued then")
    };
    Kept::read(log, witness_file).map(Some).map_err(damaged)
}

/// Returns the copies that registers hold at their newest heads, under any name of the DID.
pub fn copies(replica: &Replica, did: &str) -> Vec<Copy> {
    let Some(scid) = WebvhDid::parse(did).map(|did| did.scid().to_owned()) else { return Vec::new() };
    let mut names = vec![did.to_owned()];
    let mut copies: Vec<Copy> = Vec::new();
    let mut next = 0;
    while let Some(key) = names.get(next).map(|name| RecordKey::did(name)) {
        next += 1;
        let Ok(key) = key else { continue };
        for register in replica.registers().values() {
            let Some(digest) = register.state_newest().get(key.as_str().as_bytes()) else { continue };
            let Some((log, file)) = replica.bodies().get(&digest).and_then(|body| split(body.body()).ok()) else {
                continue;
            };
            let Some(kept) = Kept::read(log, file).ok().filter(|kept| kept.read.scid() == scid) else { continue };
            for name in kept.read.dids() {
                if names.len() < limits::WEBVH_NAMES_MAX && !names.iter().any(|known| known == name) {
                    names.push(name.to_owned());
                }
            }
            let witnessed = register.state_witnessed().get(key.as_str().as_bytes()) == Some(digest);
            let origin = register.origin().to_owned();
            if !copies.iter().any(|copy| copy.origin == origin && copy.kept.log == kept.log) {
                copies.push(Copy { origin, witnessed, kept });
            }
        }
    }
    copies
}

/// Returns the log that says most, of the one kept here and all copies held; `None` when there is none.
fn newest(context: &Context, replica: &Replica, did: &str) -> CliResult<Option<Kept>> {
    let own = local(context, did)?;
    let held = copies(replica, did);
    let all: Vec<&Kept> = own.iter().chain(held.iter().map(|copy| &copy.kept)).collect();
    let logs: Vec<&Log> = all.iter().map(|kept| &kept.read).collect();
    match ends(&logs).as_slice() {
        [] => Ok(None),
        [one] => Ok(all.get(*one).map(|kept| (*kept).clone())),
        _ => Err(CliError::new(
            "did-forked",
            Exit::Tampered,
            format!("copies of the log of {} part: nothing may follow either", words::did(did)),
        )
        .hint(format!("see where: standfast did show {did}"))),
    }
}

/// There is no log of this DID here.
fn missing(did: &str) -> CliError {
    CliError::usage(format!("no log of {} is here", words::did(did)))
        .hint("make one: standfast did create HOST --method webvh --key KEY, or give its file")
}

fn refused(error: &AuthorError) -> CliError {
    match error {
        AuthorError::Location(_) => CliError::of("usage", Exit::Usage, error),
        AuthorError::Document(_) | AuthorError::Json(_) => CliError::of("input-malformed", Exit::Usage, error),
        AuthorError::Closed(_) | AuthorError::Refused(_) => CliError::of("did-refused", Exit::Refused, error),
    }
}

/// A key that may sign the next version, opened.
struct LogKey {
    public: PublicPart,
    signer: KeySigner,
    /// Of a key in a file: what the key of the version after is kept under, too.
    passphrase: Option<Passphrase>,
}

impl LogKey {
    fn open(context: &Context, public: PublicPart) -> CliResult<Self> {
        if public.signer.is_some() {
            let signer = context.unlock(&public.name, KeyUse::Update)?;
            return Ok(Self { public, signer, passphrase: None });
        }
        let passphrase = match credential(context, &public.name)? {
            Some(passphrase) => passphrase,
            None => context.passphrase(&public.name, "Passphrase for key")?,
        };
        let unlocked = context.keystore().unlock(&public.name, KeyUse::Update, &passphrase);
        let signer = KeySigner::Secret(unlocked.map_err(|e| key_error(&e))?.secret);
        Ok(Self { public, signer, passphrase: Some(passphrase) })
    }

    /// Makes the first key of a family: `transport.gov.example.log-1`.
    fn make(context: &Context, host: &str) -> CliResult<Self> {
        let fits = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' };
        let stem: String = host.chars().map(fits).take(STEM_LENGTH_MAX).collect();
        let name = next_name(context, &format!("{stem}.log"))?;
        let passphrase = match credential(context, &name)? {
            Some(passphrase) => passphrase,
            None => context.new_passphrase(&name)?,
        };
        let public = context.keystore().create(&name, KeyUse::Update, &passphrase, context.now);
        Self::open_with(context, public.map_err(|e| key_error(&e))?, passphrase)
    }

    fn open_with(context: &Context, public: PublicPart, passphrase: Passphrase) -> CliResult<Self> {
        let unlocked = context.keystore().unlock(&public.name, KeyUse::Update, &passphrase);
        let signer = KeySigner::Secret(unlocked.map_err(|e| key_error(&e))?.secret);
        Ok(Self { public, signer, passphrase: Some(passphrase) })
    }

    /// Returns the keys of the version after: those named, else one that is made now under the same passphrase.
    fn next(&self, context: &Context, named: &[String]) -> CliResult<Vec<PublicPart>> {
        let keys = context.keystore();
        if named.is_empty() {
            let Some(passphrase) = &self.passphrase else {
                return Err(CliError::usage(format!("key {} is behind a signer program", self.public.name))
                    .cause("the key of the version after it can only be made there")
                    .hint("make it, then name it: --next-key KEY"));
            };
            let name = next_name(context, stem_of(&self.public.name))?;
            let made = keys.create(&name, KeyUse::Update, passphrase, context.now);
            return Ok(vec![made.map_err(|e| key_error(&e))?]);
        }
        named.iter().map(|name| public_of(context, name)).collect()
    }

    fn sign(&self, prepared: Prepared) -> CliResult<Bytes> {
        let signature = self.signer.sign(&prepared.input()).map_err(|e| signing_error(&e))?;
        prepared.finish(&signature).map_err(|e| refused(&e))
    }
}

fn public_of(context: &Context, name: &str) -> CliResult<PublicPart> {
    let public = context.keystore().public(name).map_err(|e| key_error(&e))?;
    public.demand(KeyUse::Update).map_err(|e| key_error(&e))?;
    Ok(public)
}

/// A passphrase from systemd: of the key, or of its family, as the keys that are made here share theirs.
fn credential(context: &Context, name: &str) -> CliResult<Option<Passphrase>> {
    if context.global.passphrase_fd.is_some() {
        return Ok(None);
    }
    for name in [name, stem_of(name)] {
        if let Some(passphrase) = Passphrase::from_credential(name).map_err(|e| key_error(&e))? {
            return Ok(Some(passphrase));
        }
    }
    Ok(None)
}

/// `transport.gov.example.log` of `transport.gov.example.log-2`.
fn stem_of(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((stem, number)) if !stem.is_empty() && number_of(number).is_some() => stem,
        _ => name,
    }
}

fn number_of(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The first free number of a family.
fn next_name(context: &Context, stem: &str) -> CliResult<String> {
    let all = context.keystore().list().map_err(|e| key_error(&e))?;
    let of_family = |public: &PublicPart| number_of(public.name.strip_prefix(stem)?.strip_prefix('-')?);
    let newest = all.iter().filter_map(of_family).max().unwrap_or_default();
    Ok(format!("{stem}-{}", newest.saturating_add(1)))
}

/// Finds the key here that may sign the next version: by what the log says, whatever its name.
fn signer_of(context: &Context, log: &Log) -> CliResult<PublicPart> {
    let parameters = log.newest().parameters();
    let may = |public: &PublicPart| match parameters.pre_rotates() {
        true => parameters.next_key_hashes().contains(&hash_of(public.public_key.as_bytes())),
        false => parameters.update_keys().contains(&public.public_key),
    };
    let all = context.keystore().list().map_err(|e| key_error(&e))?;
    all.into_iter().find(|public| public.key_use == KeyUse::Update && may(public)).ok_or_else(|| {
        let did = words::did(log.newest().did());
        CliError::new("key-missing", Exit::Usage, format!("no key here may sign the next version of {did}"))
            .cause("version by version the log names who signs the next one")
            .hint("run this where that key is, or bring it: standfast key import NAME FILE --use update")
    })
}

fn key_of(public: &PublicPart) -> CliResult<standfast_protocol::key::PublicKey> {
    public.key().map_err(|e| CliError::of("key-damaged", Exit::Usage, &e))
}

fn hashes_of(keys: &[PublicPart]) -> CliResult<Vec<String>> {
    keys.iter().map(|public| key_of(public).map(key_hash)).collect()
}

#[derive(Serialize)]
struct CreatedDocument<'a> {
    kind: &'static str,
    did: &'a str,
    version_id: &'a str,
    signed_by: &'a str,
    next_keys: Vec<&'a str>,
    document: serde_json::Value,
}

/// Makes a DID with one key for credentials. Its log is kept here until it is published.
pub fn create(
    context: &Context,
    host: &str,
    key: &PublicPart,
    options: &LogOptions,
    out: Option<&std::path::Path>,
    yes: bool,
) -> CliResult {
    let name = template(host).map_err(|e| refused(&e))?;
    let document = author::document(&name, &[(key.name.as_str(), key_of(key)?)]);
    let witness = witnesses(options)?;
    if let (Some(held), false) = (same_place(context, &name)?, yes) {
        return Err(CliError::new("did-exists", Exit::Usage, format!("{host} has {} already", words::did(&held)))
            .hint(format!("give it another key: standfast did rotate {held} --to KEY"))
            .hint("make another DID of this host with --yes"));
    }
    let signer = match &options.update_key {
        Some(name) => LogKey::open(context, public_of(context, name)?)?,
        None => LogKey::make(context, host)?,
    };
    let next = signer.next(context, &options.next_key)?;
    let public = key_of(&signer.public)?;
    let creation = Creation {
        time: context.now,
        document,
        update_keys: vec![public],
        next_key_hashes: hashes_of(&next)?,
        witness,
        watchers: Vec::new(),
        portable: options.portable,
        ttl: None,
    };
    let log = signer.sign(author::create(&creation, public).map_err(|e| refused(&e))?)?;
    let kept = Kept::read(log, Bytes::new()).map_err(|e| CliError::of("did-refused", Exit::Refused, &e))?;
    kept.save(context)?;
    if let Some(out) = out {
        context.write(out, &kept.log, yes)?;
        if out == std::path::Path::new("-") {
            return Ok(Exit::Done);
        }
    }
    let document = CreatedDocument {
        kind: "standfast/did-created/v1",
        did: kept.did(),
        version_id: kept.read.newest().id(),
        signed_by: &signer.public.name,
        next_keys: next.iter().map(|next| next.name.as_str()).collect(),
        document: serde_json::from_str(&kept.read.state().to_string()).unwrap_or_default(),
    };
    context.output.result(&document, |style| {
        let arrow = style.sign(crate::output::Sign::Next);
        format!(
            "Created {} with key #{}\nVersion 1 is signed by key {}; the next one will be by {}\n\
             {arrow} next: standfast did publish {}\n",
            words::did(document.did),
            key.name,
            document.signed_by,
            document.next_keys.join(" or "),
            document.did
        )
    })?;
    Ok(Exit::Done)
}

fn witnesses(options: &LogOptions) -> CliResult<Option<Witnesses>> {
    if options.witness.is_empty() {
        return match options.threshold {
            None => Ok(None),
            Some(_) => Err(CliError::usage("a threshold is of witnesses").hint("name them: --witness did:key:…")),
        };
    }
    let threshold = options.threshold.unwrap_or(options.witness.len());
    Witnesses::new(threshold, options.witness.clone()).map(Some).map_err(|e| CliError::of("usage", Exit::Usage, &e))
}

/// Returns a DID of the same place whose log is kept here and goes on.
fn same_place(context: &Context, name: &str) -> CliResult<Option<String>> {
    let place = name.splitn(4, ':').nth(3);
    let found = logs(context)?
        .into_iter()
        .find(|kept| kept.did().splitn(4, ':').nth(3) == place && !kept.read.is_deactivated());
    Ok(found.map(|kept| kept.did().to_owned()))
}

/// Lists the logs that are kept here.
pub fn logs(context: &Context) -> CliResult<Vec<Kept>> {
    let folder = context.config.data_dir.join(FOLDER);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(CliError::file(&folder, &e)),
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    let read = |path: &PathBuf| Ok(context.read(path, limits::WEBVH_LOG_SIZE_MAX as u64)?.into());
    let logs: Vec<Bytes> = paths.iter().map(read).collect::<CliResult<_>>()?;
    Ok(logs.into_iter().filter_map(|log| Kept::read(log, Bytes::new()).ok()).collect())
}

/// What a new version changes.
#[derive(Default)]
pub struct Edit {
    /// The new document.
    pub document: Option<Json>,
    /// True to end the DID.
    pub deactivate: bool,
}

/// Signs the next version and keeps it here.
fn advance(context: &Context, kept: &Kept, edit: Edit, next_key: &[String]) -> CliResult<Kept> {
    let signer = LogKey::open(context, signer_of(context, &kept.read)?)?;
    let next = if edit.deactivate { Vec::new() } else { signer.next(context, next_key)? };
    let public = key_of(&signer.public)?;
    let mut update = Update::at(time_after(context, &kept.read)?);
    update.document = edit.document;
    update.deactivate = edit.deactivate;
    update.update_keys = kept.read.newest().parameters().pre_rotates().then(|| vec![public]);
    update.next_key_hashes = Some(hashes_of(&next)?);
    let prepared = author::update(&kept.log, &kept.read, &update, public).map_err(|e| refused(&e))?;
    let log = signer.sign(prepared)?;
    let made = Kept::read(log, kept.witness_file.clone());
    let made = made.map_err(|e| CliError::of("did-refused", Exit::Refused, &e))?;
    made.save(context)?;
    let (count, name) = (made.read.versions().len(), &signer.public.name);
    let next: Vec<&str> = next.iter().map(|next| next.name.as_str()).collect();
    let after =
        if next.is_empty() { String::new() } else { format!("; the next one will be by {}", next.join(" or ")) };
    context.output.note(&format!("Version {count} is signed by key {name}{after}"));
    Ok(made)
}

/// Versions are dated in whole seconds, each later than the one before.
fn time_after(context: &Context, log: &Log) -> CliResult<Time> {
    let before = log.newest().time().time();
    let time = context.now.max(before.plus(1));
    if time > context.now.plus(limits::WEBVH_AHEAD_MAX_S) {
        return Err(CliError::new("did-refused", Exit::Refused, "the newest version is dated ahead of this clock")
            .cause(format!("it is of {}", words::at(before, context.now)))
            .hint("set the clock of this machine; the next version must be dated later"));
    }
    Ok(time)
}

/// Adds a version to a DID and publishes its log.
pub fn run(
    context: &Context,
    did: &str,
    next_key: &[String],
    change: &Change,
    kind: Kind,
    edit: impl FnOnce(&Kept) -> CliResult<Edit>,
) -> CliResult {
    change::run(context, change, kind, |view| {
        let kept = newest(context, view.replica(), did)?.ok_or_else(|| missing(did))?;
        if kept.read.is_deactivated() {
            return Err(refused(&AuthorError::Closed("the DID was deactivated")));
        }
        let edit = edit(&kept)?;
        let says_it = |document: &Json| *document == *kept.read.state() || *document == kept.read.controlled_state();
        if !edit.deactivate && edit.document.as_ref().is_some_and(says_it) {
            let body = kept.body()?;
            return puts(view, &kept, body.into());
        }
        if change.options.dry_run {
            // What would be signed is not known before it is; a body of another content stands for it.
            signer_of(context, &kept.read)?;
            let stand_in = Bytes::from([&kept.log[..], b"{}\n"].concat());
            return puts(view, &kept, stand_in);
        }
        let made = advance(context, &kept, edit, next_key)?;
        let body = made.body()?;
        puts(view, &made, body.into())
    })
}

/// The log's copy under its newest name, and under older names that the register has.
fn puts(view: &View<'_>, kept: &Kept, body: Bytes) -> CliResult<Vec<RecordChange>> {
    let mut puts = Vec::new();
    for did in kept.read.dids() {
        let key = super::key_of(did)?;
        if did == kept.did() || view.contains(&key) {
            puts.push(RecordChange::put(key, body.clone()));
        }
    }
    Ok(puts)
}

/// Publishes the log of a DID: the one kept here, or the longest copy that any register holds.
pub fn publish(context: &Context, did: &str, witness_file: Option<Bytes>, change: &Change) -> CliResult {
    change::run(context, change, Kind::Grant, |view| {
        let mut kept = newest(context, view.replica(), did)?.ok_or_else(|| missing(did))?;
        if let Some(witness_file) = witness_file {
            kept.witness_file = witness_file;
            let body = kept.body()?;
            if local(context, did)?.is_some() {
                kept.save(context)?;
            }
            return puts(view, &kept, body.into());
        }
        let body = kept.body()?;
        puts(view, &kept, body.into())
    })
}

/// Publishes the log in a file. A copy that says less than the register's is refused, and so is one that parts from it.
pub fn publish_file(context: &Context, log: Vec<u8>, witness_file: Option<Bytes>, change: &Change) -> CliResult {
    let malformed = |e: LogError| CliError::malformed("the did:webvh log does not hold").because(&e);
    let kept = Kept::read(log.into(), witness_file.unwrap_or_default()).map_err(malformed)?;
    let body = Bytes::from(kept.body()?);
    change::run(context, change, Kind::Grant, |view| {
        for copy in copies(view.replica(), kept.did()).iter().filter(|copy| copy.origin == view.origin()) {
            if !kept.read.extends(&copy.kept.read) {
                let parts = !copy.kept.read.extends(&kept.read);
                let (code, exit, what) = match parts {
                    true => ("did-forked", Exit::Tampered, "parts from"),
                    false => ("did-exists", Exit::Refused, "is older than"),
                };
                let did = words::did(kept.did());
                let message = format!("the log in the file {what} the one of {did} that is published");
                return Err(
                    CliError::new(code, exit, message).hint(format!("see it: standfast did show {}", kept.did()))
                );
            }
        }
        puts(view, &kept, body.clone())
    })
}

/// True for the file of a log: its first line is an entry.
pub fn is_log(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Json::parse(line).is_ok_and(|entry| entry.get("versionId").is_some() && entry.get("state").is_some())
}

/// Brings a file into the form of the record's body: a log as served, or a body as it is.
pub fn body_of_file(bytes: Vec<u8>) -> CliResult<Vec<u8>> {
    let bytes = Bytes::from(bytes);
    let malformed = |e: &dyn std::error::Error| CliError::malformed("the file is no did:webvh log").because(e);
    let (log, witness_file) = match is_log(&bytes) {
        true => (bytes, Bytes::new()),
        false => split(&bytes).map_err(|e| malformed(&e))?,
    };
    encode(&log, &witness_file).map_err(|e| malformed(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_log_are_a_family_with_numbers() {
        assert_eq!(stem_of("a.example.log-12"), "a.example.log");
        assert_eq!(stem_of("a-b.log"), "a-b.log");
        assert_eq!(stem_of("-1"), "-1");
    }

    #[test]
    fn a_log_is_told_from_a_document() {
        assert!(is_log(b"{\"versionId\":\"1-Qm\",\"state\":{}}\n{}"));
        assert!(!is_log(b"{\"id\":\"did:web:a.example\"}"));
        assert!(!is_log(b""));
    }
}
