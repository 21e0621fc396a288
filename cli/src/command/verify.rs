//! `verify`: decide on credentials. Opens no socket.

pub mod card;
mod input;
pub mod judged;
pub mod why;

use std::num::NonZero;
use std::thread;
use std::time::Instant;

use serde::Serialize;
use standfast_protocol::verdict::Outcome;

use super::Context;
use crate::args::officer::Verify;
use crate::error::{CliError, CliResult, Exit};
use crate::output::table::{Column, Table};
use crate::output::{Sign, words};
use crate::{policy_source, trust_source};
use input::{Input, Inputs};
use judged::{Bench, Judged};

/// Inputs that are read before they are judged together.
const BATCH: usize = 256;

/// The end of a tray.
#[derive(Debug, Clone, Serialize)]
struct Summary {
    kind: &'static str,
    accepted: u64,
    rejected: u64,
    indeterminate: u64,
    unreadable: u64,
    exit: u8,
    /// `None` with `--now`, where the same command prints the same thing.
    elapsed_ms: Option<u64>,
}

#[derive(Serialize)]
struct Many {
    kind: &'static str,
    verdicts: Vec<serde_json::Value>,
    summary: Summary,
}

/// What became of one input.
enum Done {
    Judged(Box<Judged>),
    Unread(String, CliError),
}

/// `verify`.
pub fn run(context: &Context, command: Verify) -> CliResult {
    let begun = Instant::now();
    let policy = policy_source::load(context)?;
    let trusted = trust_source::load(context)?;
    let bench =
        Bench { snapshot: &trusted.snapshot, policy: &policy, now: context.now, now_given: context.is_now_given() };
    let mut inputs = Inputs::find(&command.inputs, command.lines)?;
    if inputs.single && !command.ndjson {
        let Some(input) = inputs.next() else { return Err(CliError::usage("there is nothing to verify")) };
        return single(context, &bench, input);
    }
    let jobs = command.jobs.map(usize::from);
    let jobs = jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get));
    let mut tray = Tray::new(context, command.ndjson);
    loop {
        let batch: Vec<Input> = inputs.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            break;
        }
        for done in judge_all(&bench, batch, jobs) {
            tray.add(&bench, done)?;
        }
    }
    let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    tray.conclude((!context.is_now_given()).then_some(elapsed_ms))
}

fn single(context: &Context, bench: &Bench<'_>, input: Input) -> CliResult {
    let judged = bench.judge(&input.source, &input.bytes?);
    let exit = exit_of(&judged);
    if judged.is_unreadable() && !context.output.json {
        return Err(unreadable(&judged));
    }
    context.output.result(&judged.verdict, |style| card::card(bench, &judged).draw(style))?;
    Ok(exit)
}

/// The error about a file that is not a credential.
pub fn unreadable(judged: &Judged) -> CliError {
    let name = if judged.source == "-" { "what came on stdin" } else { &judged.source };
    CliError::new("format-malformed", Exit::Usage, format!("{name} is not a credential"))
        .cause(judged.why_unreadable())
        .hint("give the token itself: standfast verify licence.jwt")
}

/// Returns the exit code of a verdict.
pub fn exit_of(judged: &Judged) -> Exit {
    // A code of a verdict is one of ours; should it ever not be, nothing is accepted.
    Exit::from_code(judged.verdict.exit()).unwrap_or(Exit::Open)
}

/// Judges a batch on several threads; the results are in the order of the inputs.
fn judge_all(bench: &Bench<'_>, batch: Vec<Input>, jobs: usize) -> Vec<Done> {
    let judge = |input: Input| match input.bytes {
        Ok(bytes) => Done::Judged(Box::new(bench.judge(&input.source, &bytes))),
        Err(error) => Done::Unread(input.source, error),
    };
    let share = batch.len().div_ceil(jobs.max(1));
    if jobs <= 1 || batch.len() < 2 {
        return batch.into_iter().map(judge).collect();
    }
    let mut rest = batch.into_iter();
    let mut shares: Vec<Vec<Input>> = Vec::new();
    loop {
        let next: Vec<Input> = rest.by_ref().take(share).collect();
        if next.is_empty() {
            break;
        }
        shares.push(next);
    }
    thread::scope(|scope| {
        let judge = &judge;
        let workers: Vec<_> = shares
            .into_iter()
            .map(|share| scope.spawn(move || share.into_iter().map(judge).collect::<Vec<_>>()))
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|e| std::panic::resume_unwind(e))).collect()
    })
}

/// What many inputs amount to.
struct Tray<'a> {
    context: &'a Context,
    ndjson: bool,
    table: Table,
    verdicts: Vec<serde_json::Value>,
    exits: Vec<Exit>,
    summary: Summary,
}

impl<'a> Tray<'a> {
    fn new(context: &'a Context, ndjson: bool) -> Self {
        let columns = [
            Column::left("DECISION").at_least(13),
            Column::left("WHY").at_least(17),
            Column::left("AGE").at_least(5),
            Column::left("FILE"),
        ];
        let summary = Summary {
            kind: "standfast/summary/v1",
            accepted: 0,
            rejected: 0,
            indeterminate: 0,
            unreadable: 0,
            exit: 0,
            elapsed_ms: None,
        };
        Self { context, ndjson, table: Table::new(columns, true), verdicts: Vec::new(), exits: Vec::new(), summary }
    }

    fn add(&mut self, bench: &Bench<'_>, done: Done) -> CliResult<()> {
        let value = match &done {
            Done::Judged(judged) => serde_json::to_value(&judged.verdict),
            Done::Unread(_, error) => serde_json::from_str(&error.to_json()),
        };
        let value = value.map_err(|e| CliError::from(std::io::Error::other(e)))?;
        if self.ndjson {
            self.context.output.document(&value)?;
        } else if self.context.output.json {
            self.verdicts.push(value);
        } else {
            self.draw(bench, &done);
        }
        let exit = match &done {
            Done::Judged(judged) => exit_of(judged),
            Done::Unread(_, error) => error.exit,
        };
        if !self.exits.contains(&exit) {
            self.exits.push(exit);
        }
        let count = match &done {
            Done::Unread(..) => &mut self.summary.unreadable,
            Done::Judged(judged) if judged.is_unreadable() => &mut self.summary.unreadable,
            Done::Judged(judged) => match judged.verdict.outcome() {
                Outcome::Accepted => &mut self.summary.accepted,
                Outcome::Rejected => &mut self.summary.rejected,
                Outcome::Indeterminate => &mut self.summary.indeterminate,
            },
        };
        *count += 1;
        Ok(())
    }

    fn draw(&mut self, bench: &Bench<'_>, done: &Done) {
        let (sign, cells) = match done {
            Done::Unread(source, error) => {
                (Sign::Skipped, ["unreadable".to_owned(), error.code.to_owned(), "-".to_owned(), words::clean(source)])
            }
            Done::Judged(judged) => {
                let code = judged.verdict.code();
                let (sign, decision) = match judged.verdict.outcome() {
                    _ if judged.is_unreadable() => (Sign::Skipped, "unreadable"),
                    Outcome::Accepted => (Sign::Good, "accepted"),
                    Outcome::Rejected => (Sign::Bad, "rejected"),
                    Outcome::Indeterminate if exit_of(judged) == Exit::Tampered => (Sign::Tampered, "cannot decide"),
                    Outcome::Indeterminate => (Sign::Open, "cannot decide"),
                };
                let why = code.map_or("-", |code| code.as_str());
                let age =
                    if judged.is_unreadable() { None } else { card::oldest(bench, judged).and_then(|(_, age)| age) };
                let age = age.map_or_else(|| "-".to_owned(), words::age);
                (sign, [decision.to_owned(), why.to_owned(), age, words::clean(&judged.source)])
            }
        };
        self.table.row(Some(sign), cells);
    }

    fn conclude(mut self, elapsed_ms: Option<u64>) -> CliResult {
        let exit = Exit::of_many(self.exits.iter().copied());
        self.summary.exit = exit as u8;
        self.summary.elapsed_ms = elapsed_ms;
        let output = &self.context.output;
        let total =
            self.summary.accepted + self.summary.rejected + self.summary.indeterminate + self.summary.unreadable;
        if total == 0 {
            return Err(CliError::usage("there is nothing to verify").cause("no credential came"));
        }
        if self.ndjson {
            output.document(&self.summary)?;
        } else if output.json {
            let kind = "standfast/verdicts/v1";
            output.document(&Many { kind, verdicts: self.verdicts, summary: self.summary })?;
        } else {
            let text = format!("{}{}\n", self.table.draw(&output.out), self.summary.draw(total));
            output.text(&text)?;
        }
        Ok(exit)
    }
}

impl Summary {
    fn draw(&self, total: u64) -> String {
        let counts = [
            (self.accepted, "accepted"),
            (self.rejected, "rejected"),
            (self.indeterminate, "cannot decide"),
            (self.unreadable, "unreadable"),
        ];
        let shown = counts.iter().filter(|(count, _)| *count > 0);
        let shown: Vec<String> = shown.map(|(count, word)| format!("{} {word}", words::grouped(*count))).collect();
        let elapsed = self.elapsed_ms.map(|ms| format!(" in {} ms", words::grouped(ms))).unwrap_or_default();
        format!("{}{elapsed}: {}", words::grouped(total), shown.join(" · "))
    }
}
