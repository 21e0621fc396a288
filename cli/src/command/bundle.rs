//! `bundle`: all that verifying needs, in one file, across an air gap.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use standfast_node::error::NodeError;
use standfast_node::local::LocalNode;
use standfast_node::store::StoreError;
use standfast_protocol::bundle::Bundle;
use standfast_protocol::limits;
use standfast_protocol::policy::Policy;
use standfast_protocol::replica::Replica;
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::time::Time;

use super::{Context, status};
use crate::args::officer::Bundle as Verb;
use crate::client::Client;
use crate::error::{CliError, CliResult, Exit};
use crate::output::{COLUMNS, Style, words, wrap};
use crate::policy_source;
use crate::standing::{NodeStanding, Standing};
use crate::trust_source::{self, Trusted, bundle_error, open_alone, shown};

/// Columns before the text of a row.
const INDENT: usize = 9;

#[derive(Serialize)]
struct BundleDocument<'a> {
    kind: &'static str,
    source: String,
    size_bytes: u64,
    entries: u64,
    lists: u64,
    list_entries: u64,
    records_missing: u64,
    registers_unbound: &'a [String],
    standing: &'a Standing,
}

#[derive(Serialize)]
struct ImportDocument {
    kind: &'static str,
    bundles: Vec<Imported>,
    ready_until_at: Option<Time>,
}

/// What one bundle brought.
#[derive(Serialize)]
struct Imported {
    source: String,
    registers: u64,
    moved: Vec<Moved>,
    forks_new: Vec<String>,
    registers_unbound: Vec<String>,
    charter: u64,
    /// The version of which the bundle brought a second charter.
    charter_forked: Option<u64>,
    elapsed_ms: Option<u64>,
}

#[derive(Serialize)]
struct Moved {
    origin: String,
    size_before: u64,
    size: u64,
}

/// Runs a verb of `bundle`.
pub fn run(context: &Context, command: Verb) -> CliResult {
    match command {
        Verb::Export { out, yes } => export(context, &out, yes),
        Verb::Import { files } => import(context, &files),
        Verb::Show { file } => show(context, &file),
    }
}

fn export(context: &Context, out: &Path, yes: bool) -> CliResult {
    let policy = policy_source::load(context)?;
    let trusted = match (&context.config.trust, context.client()?) {
        (None, Some(client)) => match asked(context, &client) {
            Err(error) if is_silent(context, &error) => trust_source::load(context)?,
            done => done?,
        },
        _ => trust_source::load(context)?,
    };
    // Written anew from what was opened, so that nothing unchecked is passed on.
    let bytes = Bundle::of(trusted.snapshot.replica()).encode();
    context.write(out, &bytes, yes)?;
    if out == Path::new("-") {
        return Ok(Exit::Done);
    }
    let standing = Standing::of(&trusted.snapshot, &policy, context.now, NodeStanding::default());
    let written = Trusted { path: out.to_owned(), size_bytes: bytes.len() as u64, ..trusted };
    context.output.result(&document(&written, &standing), |_| {
        let entries = words::counted(entries(&written.snapshot), "entry", "entries");
        let registers = words::counted(written.snapshot.registers().len() as u64, "register", "registers");
        let age = standing.registers.iter().filter_map(|r| r.witnessed_age_s).max();
        let age = age.map(|age| format!(", {} old", words::age(age))).unwrap_or_default();
        let (name, size) = (shown(out), words::size(written.size_bytes));
        format!("Wrote {name}, {size}: {registers}, {entries}, charter {}{age}\n", standing.charter.version)
    })?;
    Ok(Exit::Done)
}

/// Gets the snapshot of a running node.
fn asked(context: &Context, client: &Client) -> CliResult<Trusted> {
    let answer = client.get("/v1/snapshot")?;
    if answer.status != 200 {
        return Err(answer.error());
    }
    let path = PathBuf::from(client.url());
    let bundle = Bundle::decode(&answer.body).map_err(|e| bundle_error(&path, &e))?;
    let (replica, report) = open_alone(&path, &bundle, context.now.secs())?;
    Ok(Trusted { snapshot: Snapshot::new(replica), report, path, size_bytes: answer.body.len() as u64 })
}

fn show(context: &Context, file: &Path) -> CliResult {
    let policy = policy_source::load(context)?;
    let trusted = trust_source::open(context, file)?;
    let standing = Standing::of(&trusted.snapshot, &policy, context.now, NodeStanding::default());
    context.output.result(&document(&trusted, &standing), |style| draw(&trusted, &standing, &policy, style))?;
    Ok(Exit::Done)
}

fn document<'a>(trusted: &'a Trusted, standing: &'a Standing) -> BundleDocument<'a> {
    let (lists, list_entries) = lists(&trusted.snapshot);
    BundleDocument {
        kind: "standfast/bundle/v1",
        source: trusted.path.to_string_lossy().into_owned(),
        size_bytes: trusted.size_bytes,
        entries: entries(&trusted.snapshot),
        lists,
        list_entries,
        records_missing: trusted.snapshot.replica().bodies_missing().len() as u64,
        registers_unbound: &trusted.report.unbound,
        standing,
    }
}

fn draw(trusted: &Trusted, standing: &Standing, policy: &Policy, style: &Style) -> String {
    let now = standing.now();
    let mut out = String::new();
    let mut row = |label: &str, text: &str| {
        for (i, line) in wrap(text, COLUMNS - INDENT).into_iter().enumerate() {
            let label = if i == 0 { label } else { "" };
            out.push_str(format!("{label:<INDENT$}{line}").trim_end());
            out.push('\n');
        }
    };
    let entries = words::counted(entries(&trusted.snapshot), "entry", "entries");
    row("bundle", &format!("{} · {} · {entries}", shown(&trusted.path), words::size(trusted.size_bytes)));
    row("network", &status::network(standing, now));
    row("holds", &holds(&trusted.snapshot, standing.charter.version));
    row("checked", "✓ every signature and proof holds");
    let missing = trusted.snapshot.replica().bodies_missing().len() as u64;
    if missing > 0 {
        let records = words::counted(missing, "record is", "records are");
        row("", &format!("? {records} without content: what depends on that cannot be decided"));
    }
    let unbound = trusted.report.unbound.len() as u64;
    if unbound > 0 {
        let registers = words::counted(unbound, "register is", "registers are");
        row("", &format!("? {registers} named by nobody in it: left out"));
    }
    row("ready", &standing.readiness(policy).words(standing.registers.len(), now));
    out.push_str(&standing.draw_registers(policy, style));
    out
}

/// What a snapshot holds, in a line.
pub fn holds(snapshot: &Snapshot, charter: u64) -> String {
    let registers = snapshot.registers().values().filter(|held| held.register().newest_head().is_some()).count() as u64;
    let (lists, entries) = lists(snapshot);
    let lists = match lists {
        0 => "no status list".to_owned(),
        lists => {
            let room = words::counted(entries, "credential", "credentials");
            format!("{} with room for {room}", words::counted(lists, "list", "lists"))
        }
    };
    format!("{} · charter {charter} · {lists}", words::counted(registers, "register", "registers"))
}

/// Counts the lists at W, and their entries.
fn lists(snapshot: &Snapshot) -> (u64, u64) {
    let mut count = (0_u64, 0_u64);
    for held in snapshot.registers().values() {
        let keys = held.register().keys_witnessed("status/");
        for digest in keys.iter().filter_map(|key| held.digest_witnessed(key)) {
            let length = held.bodies().get(&digest).and_then(|body| body.status_list().ok().map(|list| list.length()));
            count = (count.0 + 1, count.1.saturating_add(length.unwrap_or(0)));
        }
    }
    count
}

fn entries(snapshot: &Snapshot) -> u64 {
    snapshot.registers().values().map(|held| held.register().size_newest()).sum()
}

/// Where bundles go: to the node that runs on the data directory, else straight into its store.
enum Store {
    Node(Client, Box<Replica>),
    Local(Box<LocalNode>),
}

fn import(context: &Context, files: &[PathBuf]) -> CliResult {
    let policy = policy_source::load(context)?;
    let mut store = open_store(context)?;
    let mut bundles = Vec::new();
    for file in files {
        let begun = Instant::now();
        let mut imported = import_one(context, &mut store, file)?;
        let elapsed = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        imported.elapsed_ms = (!context.is_now_given()).then_some(elapsed);
        bundles.push(imported);
    }
    let replica = match &store {
        Store::Node(_, replica) => Replica::clone(replica),
        Store::Local(node) => node.replica().clone(),
    };
    if let Store::Local(node) = store {
        node.close().map_err(|e| node_error(&e))?;
    }
    let standing = Standing::of(&Snapshot::new(replica), &policy, context.now, NodeStanding::default());
    let document = ImportDocument { kind: "standfast/import/v1", bundles, ready_until_at: standing.ready_until_at };
    context.output.result(&document, |_| {
        let mut out: String =
            document.bundles.iter().map(|imported| imported.draw(&standing, files.len() > 1)).collect();
        let readiness = standing.readiness(&policy);
        let said = readiness.words(standing.registers.len(), standing.now());
        out.push_str(&if readiness.is_ready() {
            said.replacen("✓ ", "✓ READY   ", 1)
        } else {
            said.replacen("? ", "? NOT READY   ", 1)
        });
        out.push('\n');
        out
    })?;
    Ok(Exit::Done)
}

fn open_store(context: &Context) -> CliResult<Store> {
    let mut silent = None;
    if let Some(client) = context.client()? {
        match asked(context, &client) {
            Ok(trusted) => return Ok(Store::Node(client, Box::new(trusted.snapshot.replica().clone()))),
            // It may have been killed: the store's lock knows.
            Err(error) if is_silent(context, &error) => silent = Some(error),
            Err(error) => return Err(error),
        }
    }
    match LocalNode::open(&context.config.data_dir) {
        Ok(node) => Ok(Store::Local(Box::new(node))),
        Err(NodeError::Store(StoreError::InUse { process })) => Err(in_use(process, silent)),
        Err(error) => Err(node_error(&error)),
    }
}

/// True when the node of this data directory, which nobody named, does not answer.
fn is_silent(context: &Context, error: &CliError) -> bool {
    error.code == "node-silent" && context.config.node.is_none()
}

fn in_use(process: Option<u32>, silent: Option<CliError>) -> CliError {
    let process = process.map(|process| format!(" (process {process})")).unwrap_or_default();
    let error = CliError::new("store-locked", Exit::Io, format!("the store is in use by a running node{process}"));
    let error = match silent {
        Some(silent) => silent.causes.into_iter().fold(error.cause(silent.message), CliError::cause),
        None => error.cause("it offers no API"),
    };
    error.hint("turn [api] on, or stop the node: systemctl stop standfast")
}

fn import_one(context: &Context, store: &mut Store, file: &Path) -> CliResult<Imported> {
    let bytes = context.read(file, limits::BUNDLE_SIZE_MAX as u64)?;
    let bundle = Bundle::decode(&bytes).map_err(|e| bundle_error(file, &e))?;
    let before = match store {
        Store::Node(_, replica) => Replica::clone(replica),
        Store::Local(node) => node.replica().clone(),
    };
    open_alone(file, &bundle, context.now.secs())?;
    // Tried on a copy first: a bundle is taken whole or not at all.
    let mut after = before.clone();
    let report = bundle.import_into(&mut after, context.now.secs()).map_err(|e| bundle_error(file, &e))?;
    match store {
        Store::Node(client, replica) => {
            let answer = client.post("/v1/submit", "application/cbor", &bytes)?;
            if answer.status != 200 {
                return Err(answer.error());
            }
            **replica = after.clone();
        }
        Store::Local(node) => {
            let submission = bundle.submission(node.replica()).map_err(|e| bundle_error(file, &e))?;
            node.submit(submission).map_err(|e| node_error(&e))?;
        }
    }
    let registers = (report.moved.len() + report.level.len()) as u64;
    let (before, after) = (Snapshot::new(before), Snapshot::new(after));
    let touched = report.moved.iter().map(|(origin, ..)| origin).chain(&report.level);
    let moved = touched.filter(|origin| has_moved(&before, &after, origin, context.now)).map(|origin| {
        let size = |snapshot: &Snapshot| snapshot.held(origin).map_or(0, |held| held.register().size_newest());
        Moved { origin: origin.clone(), size_before: size(&before), size: size(&after) }
    });
    let forked = |snapshot: &Snapshot, origin: &str| snapshot.held(origin).is_some_and(|h| h.register().is_forked());
    let forks_new =
        after.registers().keys().filter(|origin| forked(&after, origin) && !forked(&before, origin)).cloned().collect();
    Ok(Imported {
        source: file.to_string_lossy().into_owned(),
        registers,
        moved: moved.collect(),
        forks_new,
        registers_unbound: report.unbound,
        charter: after.charter().version(),
        charter_forked: after.replica().chain().fork().map(|fork| fork.version),
        elapsed_ms: None,
    })
}

/// True when more of a register is held than before: entries, or newer word of its witnesses or its owner.
fn has_moved(before: &Snapshot, after: &Snapshot, origin: &str, now: Time) -> bool {
    let state = |snapshot: &Snapshot| {
        let register = snapshot.held(origin)?.register();
        let ages = snapshot.ages(origin, now.secs())?;
        Some((register.size_newest(), register.size_witnessed(), ages.witnessed, ages.published))
    };
    state(before) != state(after)
}

impl Imported {
    fn draw(&self, standing: &Standing, named: bool) -> String {
        let moved = self.moved.len() as u64;
        let forward = match moved {
            0 => format!("nothing new in {}", words::counted(self.registers, "register", "registers")),
            moved => format!("{} registers moved forward", words::share(moved, self.registers)),
        };
        let elapsed = self.elapsed_ms.map(|ms| format!(" · {} ms", words::grouped(ms))).unwrap_or_default();
        let file = if named { format!("{}: ", words::clean(&self.source)) } else { String::new() };
        let mut out = format!("✓ {file}{forward} · every signature and proof holds{elapsed}\n");
        if let Some(version) = self.charter_forked {
            out.push_str(&format!("! version {version} of the charter is signed twice: standfast status\n"));
        }
        for origin in &self.forks_new {
            let name = standing.name(origin);
            out.push_str(&format!("! {name} is forked: standfast fork show {name}\n"));
        }
        if !self.registers_unbound.is_empty() {
            let count = words::counted(self.registers_unbound.len() as u64, "register", "registers");
            out.push_str(&format!("? {count} left out: nobody held here names them\n"));
        }
        out
    }
}

/// Says why the store of this data directory cannot be used.
fn node_error(error: &NodeError) -> CliError {
    match error {
        NodeError::NoCharter(_) => {
            CliError::new("charter-missing", Exit::Usage, "this machine belongs to no network yet")
                .because(error)
                .hint("choose the network first: standfast charter publish charter-1.note")
        }
        NodeError::OtherNetwork { .. } => CliError::of("other-network", Exit::Refused, error),
        NodeError::Submit(_) => {
            CliError::new("not-admitted", Exit::Refused, "the store did not take it").because(error)
        }
        _ => CliError::new("store", Exit::Io, "the store cannot be used").because(error),
    }
}
