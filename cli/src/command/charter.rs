//! `charter`: the network's root of trust, as a file that travels from holder to holder of a root key.
//!
//! A charter's file is its note; one that nobody has signed yet is the note without signature lines: the text and the
//! blank line. The charter held is the newest of the data directory's snapshot.

mod publish;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use standfast_node::file;
use standfast_node::keystore::KeyUse;
use standfast_protocol::charter::{Charter, CharterError, Plan, Signatures, SignedCharter, Tally};
use standfast_protocol::digest::Digest;
use standfast_protocol::limits;
use standfast_protocol::log::note::Note;
use standfast_protocol::replica::Replica;
use standfast_protocol::time::Time;

use super::{Context, signing_error};
use crate::args::governance::Charter as Verb;
use crate::error::{CliError, CliResult, Exit};
use crate::output::Sign;

/// Bytes in a plan.
const PLAN_SIZE_MAX: u64 = 1024 * 1024;

/// A charter as `--json` shows it, with what its signatures amount to.
#[derive(Serialize)]
struct CharterDocument<'a> {
    kind: &'static str,
    network: Digest,
    version: u64,
    digest: Digest,
    issued_at: Time,
    expires_at: Time,
    expired: bool,
    complete: bool,
    signatures: SignaturesDocument,
    changes: Vec<words::Change>,
    charter: &'a standfast_protocol::charter::Document,
}

#[derive(Serialize)]
struct SignaturesDocument {
    by: Vec<String>,
    own: usize,
    own_needed: usize,
    previous: Option<usize>,
    previous_needed: Option<usize>,
}

impl From<&Signatures> for SignaturesDocument {
    fn from(signatures: &Signatures) -> Self {
        Self {
            by: signatures.names.clone(),
            own: signatures.own.have,
            own_needed: signatures.own.need,
            previous: signatures.previous.map(|t| t.have),
            previous_needed: signatures.previous.map(|t| t.need),
        }
    }
}

/// A charter's file, whose signatures are well formed and not checked.
struct Read {
    charter: Charter,
    note: Note,
}

/// Runs a verb of `charter`.
pub fn run(context: &Context, command: Verb) -> CliResult {
    match command {
        Verb::Create { plan, after, out, yes } => create(context, &plan, after.as_deref(), &out, yes),
        Verb::Show { file, plan } => show(context, file.as_deref(), plan),
        Verb::Sign { file, key, after } => sign(context, &file, &key, after.as_deref()),
        Verb::Verify { file, after } => verify(context, &file, after.as_deref()),
        Verb::Diff { charters } => diff(context, &charters),
        Verb::Publish { file, wait, yes } => publish::publish(context, &file, wait.map(|span| span.0), yes),
        Verb::Pin { file, yes } => publish::pin(context, &file, yes),
    }
}

fn create(context: &Context, plan: &Path, after: Option<&Path>, out: &Path, yes: bool) -> CliResult {
    let plan = read_plan(context, plan)?;
    if after.is_none()
        && let Some(fork) = crate::held::own(context)?.and_then(|replica| replica.chain().fork())
    {
        return Err(signed_twice(fork.version));
    }
    let previous = previous(context, after)?;
    let charter = plan.into_charter(previous.as_ref(), context.now).map_err(|e| {
        CliError::of("plan-refused", Exit::Usage, &e)
            .hint("see the plan of the charter held: standfast charter show --plan")
    })?;
    // A charter binds the anchors' registers: none of them may be left unsigned by it.
    if let (Some(_), Some(replica)) = (&previous, crate::held::own(context)?) {
        charter
            .anchors()
            .iter()
            .try_for_each(|anchor| crate::change::rotation::check_binding(&replica, &anchor.register))?;
    }
    let note = Note::new(charter.text().to_owned(), Vec::new());
    context.write(out, note.to_string().as_bytes(), yes)?;
    if out == Path::new("-") {
        return Ok(Exit::Done);
    }
    let signatures = count(&charter, &note, previous.as_ref())?;
    let changes = words::changes(previous.as_ref(), &charter);
    context.output.result(&document(context, &charter, &signatures, previous.as_ref()), |_| {
        let after = previous.as_ref().map(|p| format!(" after {}", p.version())).unwrap_or_default();
        let head = format!("Wrote {}: version {}{after}, unsigned\n", out.display(), charter.version());
        format!("{head}{}", words::draw(&changes))
    })?;
    Ok(Exit::Done)
}

fn show(context: &Context, path: Option<&Path>, plan: bool) -> CliResult {
    let replica = match path {
        Some(_) => None,
        None => Some(crate::held::own(context)?.ok_or_else(crate::held::nothing_held)?),
    };
    let read = match (path, &replica) {
        (Some(path), _) => read_charter(context, path)?,
        (None, Some(replica)) => {
            let held = replica.chain().in_force();
            Read { charter: held.charter().clone(), note: held.note().clone() }
        }
        (None, None) => return Err(crate::held::nothing_held()),
    };
    if plan {
        let text = toml::to_string(&Plan::of(&read.charter)).map_err(|e| {
            CliError::new("plan-refused", Exit::Usage, "the charter cannot be written as a plan").cause(e.to_string())
        })?;
        context.output.result(&Plan::of(&read.charter), |_| text)?;
        return Ok(Exit::Done);
    }
    let signatures = count(&read.charter, &read.note, None)?;
    let document = document(context, &read.charter, &signatures, None);
    context.output.result(&document, |_| {
        let chain = replica.as_ref().map(Replica::chain);
        words::whole(&read.charter, &signatures, chain, context.now)
    })?;
    Ok(Exit::Done)
}

fn sign(context: &Context, path: &Path, key: &str, after: Option<&Path>) -> CliResult {
    let Read { charter, mut note } = read_charter(context, path)?;
    let previous = previous_of(context, &charter, after)?;
    if let Some(previous) = &previous {
        charter.check_follows(previous).map_err(|e| refused(path, &e))?;
    }
    let signer = context.unlock(key, KeyUse::Root)?;
    let lines = charter.sign_with(&signer, previous.as_ref()).map_err(|e| signing_error(&e))?;
    if lines.is_empty() {
        return Err(CliError::new("key-use", Exit::Usage, format!("key {key} is no root of {}", path.display()))
            .cause("neither this version nor the one before names its public key")
            .hint("see whose signatures count: standfast charter show FILE"));
    }
    lines.into_iter().for_each(|line| note.add(line));
    let signatures = count(&charter, &note, previous.as_ref())?;
    file::replace(path, note.to_string().as_bytes(), file::PUBLIC).map_err(|e| CliError::file(path, &e))?;
    context.output.result(&document(context, &charter, &signatures, previous.as_ref()), |_| {
        let complete = if signatures.is_complete() { ": complete" } else { "" };
        let next = if signatures.is_complete() {
            format!("standfast charter publish {}", path.display())
        } else {
            format!("carry {} to another holder of a root key", path.display())
        };
        format!("Signed: {}{complete}\n→ next: {next}\n", tally_words(&signatures, previous.as_ref()))
    })?;
    Ok(Exit::Done)
}

/// Nobody here has chosen which of two charters the next one is to follow.
fn signed_twice(version: u64) -> CliError {
    CliError::new("charter-forked", Exit::Tampered, format!("version {version} of the charter is signed twice"))
        .cause("which of the two the next version is to follow is not chosen here")
        .hint("see both: standfast status · then choose: standfast charter pin FILE")
        .hint("or say which: --after FILE")
}

/// Says `1 of 2 by the roots of version 3, 1 of 2 by its own`.
fn tally_words(signatures: &Signatures, previous: Option<&Charter>) -> String {
    // One more than is needed is no more than enough.
    let share = |tally: Tally| format!("{} of {}", tally.have.min(tally.need), tally.need);
    match (signatures.previous, previous) {
        (Some(tally), Some(previous)) => {
            let own = share(signatures.own);
            format!("{} by the roots of version {}, {own} by its own", share(tally), previous.version())
        }
        _ => format!("{} by its own roots", share(signatures.own)),
    }
}

fn verify(context: &Context, path: &Path, after: Option<&Path>) -> CliResult {
    let Read { charter, note } = read_charter(context, path)?;
    let previous = previous_of(context, &charter, after)?;
    if let Some(previous) = &previous {
        charter.check_follows(previous).map_err(|e| refused(path, &e))?;
    }
    let signatures = count(&charter, &note, previous.as_ref())?;
    let expired = charter.is_expired(context.now.secs());
    let chained = previous.is_some() || charter.version() == 1;
    let beside = beside(context, &charter, &note)?;
    let exit = match (signatures.is_complete(), &beside, expired || !chained) {
        (false, ..) => Exit::Refused,
        (true, Some(_), _) => Exit::Tampered,
        (true, None, true) => Exit::Open,
        (true, None, false) => Exit::Done,
    };
    context.output.result(&document(context, &charter, &signatures, previous.as_ref()), |style| {
        let row = |sign: Sign, label: &str, text: String| format!("{} {label:<10} {text}\n", style.sign(sign));
        let chain = match &previous {
            Some(previous) => {
                row(Sign::Good, "chain", format!("version {} after {}", charter.version(), previous.version()))
            }
            None if chained => row(Sign::Good, "chain", "version 1".to_owned()),
            None => row(Sign::Open, "chain", format!("version {} is not held", charter.version().saturating_sub(1))),
        };
        let met = if signatures.is_complete() { Sign::Good } else { Sign::Bad };
        let signed = row(met, "signatures", tally_words(&signatures, previous.as_ref()));
        let ends = if expired { Sign::Open } else { Sign::Good };
        let expiry = row(ends, "expiry", words::expiry(&charter, context.now));
        let beside = beside.map(|other| row(Sign::Tampered, "fork", format!("beside {other}, which is held")));
        format!("{chain}{signed}{expiry}{}", beside.unwrap_or_default())
    })?;
    Ok(exit)
}

/// Returns the charter in force on this data directory.
pub fn held(context: &Context) -> CliResult<Option<SignedCharter>> {
    let held = crate::held::own(context)?;
    Ok(held.map(|replica| SignedCharter::clone(replica.chain().in_force())))
}

/// Returns the digest of another charter of this version that is held, where this one is as good as that.
fn beside(context: &Context, charter: &Charter, note: &Note) -> CliResult<Option<String>> {
    let Some(replica) = crate::held::own(context)? else { return Ok(None) };
    let chain = replica.chain();
    let is_other = |held: &&Arc<SignedCharter>| {
        held.charter().version() == charter.version() && held.charter().digest() != charter.digest()
    };
    let is_good = chain.judge_choice(note.to_string().as_bytes()).is_ok();
    let other = chain.held().iter().chain(chain.sides()).find(is_other).filter(|_| is_good);
    Ok(other.map(|other| crate::output::words::short(&other.charter().digest().to_string())))
}

#[derive(Serialize)]
struct DiffDocument {
    kind: &'static str,
    from: Named,
    to: Named,
    changes: Vec<words::Change>,
}

#[derive(Serialize)]
struct Named {
    version: u64,
    digest: Digest,
}

impl From<&Charter> for Named {
    fn from(charter: &Charter) -> Self {
        Self { version: charter.version(), digest: charter.digest() }
    }
}

fn diff(context: &Context, charters: &[PathBuf]) -> CliResult {
    let (from, to) = match charters {
        [from, to] => (read_charter(context, from)?.charter, read_charter(context, to)?.charter),
        [to] => {
            let held = held(context)?.ok_or_else(crate::held::nothing_held)?;
            (held.charter().clone(), read_charter(context, to)?.charter)
        }
        _ => return Err(CliError::usage("expected one charter, or two")),
    };
    let changes = words::changes(Some(&from), &to);
    let document = DiffDocument { kind: "standfast/charter-diff/v1", from: (&from).into(), to: (&to).into(), changes };
    context.output.result(&document, |_| words::draw(&document.changes))?;
    Ok(Exit::Done)
}

/// The version before: what `--after` names, else the one held.
fn previous(context: &Context, after: Option<&Path>) -> CliResult<Option<Charter>> {
    match after {
        Some(path) if path == Path::new("none") => Ok(None),
        Some(path) => read_charter(context, path).map(|read| Some(read.charter)),
        None => Ok(held(context)?.map(|held| held.charter().clone())),
    }
}

/// As [`previous`], for a charter that is there: version 1 has none, and of those held the one before it is meant.
fn previous_of(context: &Context, charter: &Charter, after: Option<&Path>) -> CliResult<Option<Charter>> {
    if charter.version() == 1 {
        return Ok(None);
    }
    if after.is_some() {
        return previous(context, after);
    }
    let held = crate::held::own(context)?;
    let before = charter.version().saturating_sub(1);
    Ok(held.and_then(|replica| replica.chain().at(before).map(|held| held.charter().clone())))
}

/// Reads a charter's file; a text of hex digits that is no file is the digest of one that is held.
fn read_charter(context: &Context, path: &Path) -> CliResult<Read> {
    if let Some(found) = held_by_digest(context, path)? {
        return Ok(found);
    }
    let bytes = context.read(path, limits::NOTE_SIZE_MAX as u64)?;
    let note = match Note::parse(&bytes) {
        Ok(note) => note,
        Err(e) => {
            let unsigned = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix("\n\n"));
            match unsigned {
                Some(text) if !text.contains('\n') => Note::new(format!("{text}\n"), Vec::new()),
                _ => return Err(refused(path, &e.into())),
            }
        }
    };
    let charter = Charter::parse(note.text()).map_err(|e| refused(path, &e))?;
    Ok(Read { charter, note })
}

/// Digits of a digest that name a charter held.
const DIGEST_DIGITS_MIN: usize = 8;

/// Finds a charter held by the beginning of its digest, also one of a fork that is not in force.
fn held_by_digest(context: &Context, path: &Path) -> CliResult<Option<Read>> {
    let Some(text) = path.to_str().filter(|text| text.len() >= DIGEST_DIGITS_MIN) else { return Ok(None) };
    if !text.bytes().all(|b| b.is_ascii_hexdigit()) || path.exists() {
        return Ok(None);
    }
    let Some(replica) = crate::held::own(context)? else { return Ok(None) };
    let chain = replica.chain();
    let mut named = chain.held().iter().chain(chain.sides());
    let found = named.find(|held| held.charter().digest().to_string().starts_with(&text.to_ascii_lowercase()));
    Ok(found.map(|held| Read { charter: held.charter().clone(), note: held.note().clone() }))
}

fn read_plan(context: &Context, path: &Path) -> CliResult<Plan> {
    let bytes = context.read(path, PLAN_SIZE_MAX)?;
    toml::from_slice(&bytes).map_err(|e| {
        let place = e.to_string();
        let place =
            place.lines().next().and_then(|l| l.strip_prefix("TOML parse error at ")).unwrap_or("the plan").to_owned();
        CliError::malformed(format!("{} is not a plan of a charter", path.display()))
            .cause(format!("{place}: {}", e.message().replace('`', "")))
            .hint("see one: standfast charter show --plan")
    })
}

fn count(charter: &Charter, note: &Note, previous: Option<&Charter>) -> CliResult<Signatures> {
    Signatures::count(charter, note, previous).map_err(|e| {
        CliError::new("charter-refused", Exit::Refused, "a signature on the charter is wrong").cause(e.to_string())
    })
}

fn document<'a>(
    context: &Context,
    charter: &'a Charter,
    signatures: &Signatures,
    previous: Option<&Charter>,
) -> CharterDocument<'a> {
    let document = charter.document();
    CharterDocument {
        kind: "standfast/charter-file/v1",
        network: charter.network_id(),
        version: charter.version(),
        digest: charter.digest(),
        issued_at: Time::from_secs_saturating(document.issued_at),
        expires_at: Time::from_secs_saturating(document.expires_at),
        expired: charter.is_expired(context.now.secs()),
        complete: signatures.is_complete(),
        signatures: signatures.into(),
        changes: if previous.is_some() { words::changes(previous, charter) } else { Vec::new() },
        charter: document,
    }
}

/// Too few signatures are a refusal by a rule; a wrong form is malformed input.
fn refused(path: &Path, error: &CharterError) -> CliError {
    let exit = match error {
        CharterError::TooFewSignatures { .. }
        | CharterError::OtherNetwork { .. }
        | CharterError::NotNext { .. }
        | CharterError::NotFirst(_)
        | CharterError::IssuedBefore
        | CharterError::WitnessChange => Exit::Refused,
        _ => Exit::Usage,
    };
    let made = CliError::new("charter-refused", exit, format!("{} is not admitted as a charter", path.display()))
        .because(error);
    match error {
        CharterError::TooFewSignatures { .. } => made.hint(format!(
            "let another holder of a root key sign: standfast charter sign {} --key KEY",
            path.display()
        )),
        CharterError::NotFirst(_) => made.hint("begin with version 1 of this network"),
        CharterError::NotNext { .. } => made.hint("get the versions between, and publish them in order"),
        _ => made,
    }
}
