//! `register list` and `register show`: what is held of registers, and how old it is.

use serde::Serialize;
use standfast_node::ledger::overrides::Override;
use standfast_protocol::digest::Digest;
use standfast_protocol::register::state::Register;
use standfast_protocol::snapshot::Snapshot;

use super::own_registers;
use crate::change::batch::{self, Waiting};
use crate::change::fence;
use crate::command::Context;
use crate::error::{CliError, CliResult, Exit};
use crate::held;
use crate::output::table::{Column, Table};
use crate::output::{Sign, words};

#[derive(Serialize)]
struct RegisterDocument {
    kind: &'static str,
    origin: String,
    entity: Option<String>,
    state: &'static str,
    size_newest: u64,
    size_witnessed: u64,
    root: Option<Digest>,
    witnesses: u64,
    witnessed_age_s: Option<u64>,
    published_age_s: Option<u64>,
    records: u64,
    bodies_missing: u64,
    own_keys: Vec<String>,
    waiting: Option<Waiting>,
    overrides: Vec<Override>,
}

fn document(context: &Context, snapshot: &Snapshot, register: &Register) -> CliResult<RegisterDocument> {
    let replica = snapshot.replica();
    let origin = register.origin();
    let ages = snapshot.ages(origin, context.now.secs());
    let missing = register.bodies_needed().iter().filter(|digest| !replica.bodies().contains(digest)).count();
    let keys = context.keystore().list().unwrap_or_default();
    let waiting = batch::waiting(context)?.into_iter().find(|waiting| waiting.register == origin);
    Ok(RegisterDocument {
        kind: "standfast/register/v1",
        origin: origin.to_owned(),
        entity: replica.bound().get(origin).map(|bound| bound.entity.clone()),
        state: held::state(register).1,
        size_newest: register.size_newest(),
        size_witnessed: register.size_witnessed(),
        root: register.root_at(register.size_newest()),
        witnesses: snapshot.held(origin).map_or(0, |held| snapshot.witnesses_at(held).len() as u64),
        witnessed_age_s: ages.as_ref().and_then(|ages| ages.age(ages.witnessed)),
        published_age_s: ages.as_ref().and_then(|ages| ages.age(ages.published)),
        records: register.state_newest().len() as u64,
        bodies_missing: missing as u64,
        own_keys: keys.into_iter().filter(|key| key.origin.as_deref() == Some(origin)).map(|key| key.name).collect(),
        waiting,
        overrides: fence::overrides_of(context, origin)?,
    })
}

/// What stands out about a register, in a few words.
fn note(document: &RegisterDocument) -> String {
    let pending = document.size_newest.saturating_sub(document.size_witnessed);
    match document.state {
        "good" if document.bodies_missing > 0 => {
            words::counted(document.bodies_missing, "body missing", "bodies missing")
        }
        "good" if pending > 0 => format!("{} pending", words::grouped(pending)),
        "good" => "-".to_owned(),
        other => other.to_owned(),
    }
}

/// All registers held, a line each.
pub(super) fn list(context: &Context) -> CliResult {
    #[derive(Serialize)]
    struct Document {
        kind: &'static str,
        registers: Vec<RegisterDocument>,
    }
    let snapshot = held::snapshot(context)?;
    let replica = snapshot.replica();
    let registers: CliResult<_> =
        replica.registers().values().map(|register| document(context, &snapshot, register)).collect();
    let registers = registers?;
    let document = Document { kind: "standfast/registers/v1", registers };
    context.output.result(&document, |style| {
        if document.registers.is_empty() {
            return "no register is held here yet\n".to_owned();
        }
        let columns = [
            Column::left("REGISTER").gap(2),
            Column::right("SIZE"),
            Column::left("WITNESSED").gap(2),
            Column::left("PUBLISHED").gap(2),
            Column::left("NOTE"),
        ];
        let mut table = Table::new(columns, true);
        for (register, row) in replica.registers().values().zip(&document.registers) {
            let ages = snapshot.ages(register.origin(), context.now.secs());
            let witnessed = ages.as_ref().map(|a| held::witnessed(&snapshot, register.origin(), a));
            let published = ages.as_ref().map(held::published);
            let cells = [
                held::name(replica, register.origin()),
                words::grouped(row.size_newest),
                witnessed.unwrap_or_else(|| "never".to_owned()),
                published.unwrap_or_else(|| "never".to_owned()),
                note(row),
            ];
            let sign = match held::state(register).0 {
                Sign::Good if row.bodies_missing > 0 => Sign::Open,
                sign => sign,
            };
            table.row(Some(sign), cells);
        }
        table.draw(style)
    })?;
    Ok(Exit::Done)
}

/// One register: sizes, both ages, pending changes.
pub(super) fn show(context: &Context, register: Option<&str>) -> CliResult {
    let beginning = match register {
        Some(beginning) => beginning.to_owned(),
        None => own_registers(context, None)?.into_iter().next().and_then(|own| own.origin).unwrap_or_default(),
    };
    let snapshot = held::snapshot(context)?;
    let replica = snapshot.replica();
    let register = match held::register(replica, &beginning) {
        Err(e) if e.code == "register-missing" && register.is_none() => {
            return Err(CliError::new("register-empty", Exit::Open, "your register is named, and has no entry yet")
                .hint("publish something: standfast did publish DID"));
        }
        Err(e) if e.exit == Exit::Usage && register.is_none() => {
            return Err(CliError::new("register-unbound", Exit::Open, "nobody has named your register yet")
                .hint("give its binding to the authority above you: standfast register show --binding"));
        }
        found => found?,
    };
    let document = document(context, &snapshot, register)?;
    context.output.result(&document, |style| {
        let (sign, state) = held::state(register);
        let mut out = format!("{} {}\n", style.sign(sign), words::origin_short(register.origin()));
        let mut row = |label: &str, text: String| out.push_str(&format!("  {label:<10} {text}\n"));
        if let Some(entity) = &document.entity {
            row("of", words::did(entity));
        }
        let pending = document.size_newest.saturating_sub(document.size_witnessed);
        let pending = if pending > 0 { format!(" · {} pending", words::grouped(pending)) } else { String::new() };
        row("size", format!("{}{pending}", words::grouped(document.size_newest)));
        if let Some(root) = document.root.filter(|_| document.size_newest > 0) {
            row("root", root.to_string());
        }
        if let Some(ages) = snapshot.ages(register.origin(), context.now.secs()) {
            row("witnessed", held::witnessed(&snapshot, register.origin(), &ages));
            row("published", held::published(&ages));
        }
        row("records", words::grouped(document.records));
        if let Some(waiting) = &document.waiting {
            row("waiting", waiting.words(context.now));
        }
        for made in &document.overrides {
            let (size, at) = (words::grouped(made.size), words::at(made.at, context.now));
            row("fence", format!("passed at size {size}, {at}: {}", words::clean(&made.reason)));
        }
        if document.bodies_missing > 0 {
            row("missing", words::counted(document.bodies_missing, "body", "bodies"));
        }
        if !document.own_keys.is_empty() {
            row("key", format!("{}, on this machine", document.own_keys.join(" and ")));
        }
        if state != "good" {
            row("state", state.to_owned());
        }
        for entry in register.pending() {
            for change in entry.changes() {
                let sign = if change.digest.is_some() { '+' } else { '-' };
                out.push_str(&format!("  {sign} {}\n", words::clean(change.key.as_str())));
            }
        }
        out
    })?;
    Ok(Exit::Done)
}
