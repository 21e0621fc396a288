//! `charter`: the network's root of trust, as a file that travels from holder to holder of a root key.
//!
//! A charter's file is its note; one that nobody has signed yet is the note without signature lines: the text and the
//! blank line. The charter held is the newest of the data directory's snapshot.

mod words;

use std::path::Path;

use serde::Serialize;
use standfast_node::file;
use standfast_node::keystore::KeyUse;
use standfast_node::local::LocalNode;
use standfast_protocol::charter::{Charter, CharterError, Plan, Signatures, SignedCharter, Tally};
use standfast_protocol::digest::Digest;
use standfast_protocol::limits;
use standfast_protocol::log::note::Note;
use standfast_protocol::time::Time;

use super::{Context, signing_error};
use crate::args::governance::Charter as Verb;
use crate::change;
use crate::error::{CliError, CliResult, Exit};
use crate::output::{Sign, words as shown};

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
        Verb::Publish { file, yes } => publish(context, &file, yes),
    }
}

fn create(context: &Context, plan: &Path, after: Option<&Path>, out: &Path, yes: bool) -> CliResult {
    let plan = read_plan(context, plan)?;
    let previous = previous(context, after)?;
    let charter = plan.into_charter(previous.as_ref(), context.now).map_err(|e| {
        CliError::of("plan-refused", Exit::Usage, &e)
            .hint("see the plan of the charter held: standfast charter show --plan")
    })?;
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
    let read = match path {
        Some(path) => read_charter(context, path)?,
        None => {
            let held = held(context)?.ok_or_else(crate::held::nothing_held)?;
            Read { charter: held.charter().clone(), note: held.note().clone() }
        }
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
    context.output.result(&document, |_| words::whole(&read.charter, &signatures, context.now))?;
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

/// Says `1 of 2 by the roots of version 3, 1 of 2 by its own`.
fn tally_words(signatures: &Signatures, previous: Option<&Charter>) -> String {
    let share = |tally: Tally| format!("{} of {}", tally.have, tally.need);
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
    let exit = match (signatures.is_complete(), expired || !chained) {
        (false, _) => Exit::Refused,
        (true, true) => Exit::Open,
        (true, false) => Exit::Done,
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
        format!("{chain}{signed}{expiry}")
    })?;
    Ok(exit)
}

fn publish(context: &Context, path: &Path, yes: bool) -> CliResult {
    let Read { charter, note } = read_charter(context, path)?;
    let held = held(context)?;
    if held.as_ref().is_some_and(|held| held.charter().digest() == charter.digest()) {
        return admitted(context, &charter, None);
    }
    let signed = match &held {
        Some(held) => SignedCharter::authenticate_next(note, held.charter()),
        None => SignedCharter::authenticate_first(note),
    };
    let signed = signed.map_err(|e| refused(path, &e))?;
    if held.is_none() {
        let question =
            format!("This chooses network {} for {}. Do so?", charter.network_id(), context.config.data_dir.display());
        context.confirm(yes, &question)?;
    }
    let bytes = signed.note().to_string().into_bytes();
    let sent = match held {
        Some(_) => change::submit_charter(context, bytes)?,
        None => {
            let dir = context.make_data_dir()?;
            let node = LocalNode::init(&dir, &bytes).map_err(|e| change::node_error(&e))?;
            node.close().map_err(|e| change::node_error(&e))?;
            None
        }
    };
    admitted(context, &charter, sent)
}

#[derive(Serialize)]
struct AdmittedDocument {
    kind: &'static str,
    network: Digest,
    version: u64,
    digest: Digest,
    peers: Option<u64>,
}

fn admitted(context: &Context, charter: &Charter, peers: Option<u64>) -> CliResult {
    let document = AdmittedDocument {
        kind: "standfast/charter-admitted/v1",
        network: charter.network_id(),
        version: charter.version(),
        digest: charter.digest(),
        peers,
    };
    context.output.result(&document, |style| {
        let sent = peers.map(|n| format!(" · sent to {}", shown::counted(n, "peer", "peers"))).unwrap_or_default();
        let network = shown::short(&charter.network_id().to_string());
        let first = format!("{} admitted here{sent}\n", style.sign(Sign::Good));
        format!("{first}  network {network} · charter {}\n", charter.version())
    })?;
    Ok(Exit::Done)
}

/// Returns the charter that this data directory holds.
pub fn held(context: &Context) -> CliResult<Option<SignedCharter>> {
    let held = crate::held::own(context)?;
    Ok(held.and_then(|replica| replica.charters().last().map(|charter| SignedCharter::clone(charter))))
}

/// The version before: what `--after` names, else the one held.
fn previous(context: &Context, after: Option<&Path>) -> CliResult<Option<Charter>> {
    match after {
        Some(path) if path == Path::new("none") => Ok(None),
        Some(path) => read_charter(context, path).map(|read| Some(read.charter)),
        None => Ok(held(context)?.map(|held| held.charter().clone())),
    }
}

/// As [`previous`], for a charter that is there: version 1 has none, and the one held must not be itself.
fn previous_of(context: &Context, charter: &Charter, after: Option<&Path>) -> CliResult<Option<Charter>> {
    if charter.version() == 1 {
        return Ok(None);
    }
    let previous = previous(context, after)?;
    Ok(previous.filter(|p| after.is_some() || p.version().saturating_add(1) == charter.version()))
}

fn read_charter(context: &Context, path: &Path) -> CliResult<Read> {
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
