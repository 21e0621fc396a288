//! `ready`: until when verifying will work here, or what is missing. Opens no socket.

use serde::Serialize;
use standfast_protocol::time::Time;

use super::Context;
use crate::args::officer::Ready;
use crate::error::{CliResult, Exit};
use crate::output::card::{Card, Row};
use crate::output::{Sign, words};
use crate::standing::{NEWER_ENTRIES, NodeStanding, Readiness, Standing};
use crate::{policy_source, trust_source};

/// Open registers that the card names before it only counts them.
const OPEN_SHOWN_MAX: usize = 5;

#[derive(Serialize)]
struct ReadyDocument<'a> {
    kind: &'static str,
    ready: bool,
    until_at: Option<Time>,
    asked_until_at: Option<Time>,
    policy: &'a str,
    open: Vec<Open<'a>>,
    warnings: Vec<&'static str>,
}

#[derive(Serialize)]
struct Open<'a> {
    what: &'a str,
    why: &'a str,
}

/// `ready`.
pub fn run(context: &Context, command: &Ready) -> CliResult {
    let policy = policy_source::load(context)?;
    let trusted = trust_source::load(context)?;
    let standing = Standing::of(&trusted.snapshot, &policy, context.now, NodeStanding::default());
    let readiness = standing.readiness(&policy);
    let now = standing.now();
    let asked = command.span.map(|span| now.plus(span.0));
    let lasts = asked.is_none_or(|asked| readiness.until.is_some_and(|until| until >= asked));
    let ready = readiness.is_ready() && lasts;
    let document = ReadyDocument {
        kind: "standfast/ready/v1",
        ready,
        until_at: readiness.until,
        asked_until_at: asked,
        policy: &policy.name,
        open: readiness.open.iter().map(|(what, why)| Open { what, why }).collect(),
        warnings: standing.charter.ends_soon(now).map(|_| "charter-expires-soon").into_iter().collect(),
    };
    context.output.result(&document, |style| {
        let holds = super::bundle::holds(&trusted.snapshot, standing.charter.version);
        card(&standing, &readiness, &policy.name, holds, now, ready, asked).draw(style)
    })?;
    Ok(if ready { Exit::Done } else { Exit::Open })
}

fn card(
    standing: &Standing,
    readiness: &Readiness,
    policy: &str,
    holds: String,
    now: Time,
    ready: bool,
    asked: Option<Time>,
) -> Card {
    let registers = standing.registers.len();
    let until = readiness.until.map(|until| words::from_now(until, now)).unwrap_or_default();
    if ready {
        let (first, limit) = readiness.first.clone().unwrap_or_default();
        let limit = limit.map(|limit| format!(", {}", words::left(limit))).unwrap_or_default();
        let mut rows = vec![Row::new("holds", holds), Row::new("first", format!("{first} (policy {policy}{limit})"))];
        let soon = standing.charter.ends_soon(now);
        rows.extend(soon.map(|soon| Row::new("note", format!("{soon} (charter-expires-soon)"))));
        rows.push(Row::whole("do", "before then connect, or: standfast bundle import FILE"));
        return Card { sign: Sign::Good, decision: "READY", headline: format!("until {until}"), rows };
    }
    let headline = if readiness.open.is_empty() {
        match (readiness.until, asked) {
            (Some(until), Some(asked)) => {
                format!("only until {} · asked for {}", words::at(until, now), words::at(asked, now))
            }
            _ => "nothing is held".to_owned(),
        }
    } else {
        let said = readiness.words(registers, now);
        said.trim_start_matches("? not at all: ").trim_start_matches("? not ").to_owned()
    };
    let mut open = readiness.open.iter().take(OPEN_SHOWN_MAX).map(|(what, why)| format!("{what}: {why}"));
    let mut row = open.next().map(|first| Row::new("stale", first));
    for line in open {
        row = row.map(|row| row.line(line));
    }
    let more = readiness.open.len().saturating_sub(OPEN_SHOWN_MAX);
    if more > 0 {
        row = row.map(|row| row.line(format!("and {more} more: standfast status")));
    }
    let mut rows: Vec<Row> = row.into_iter().collect();
    let is_old = |(_, why): &(String, String)| why == NEWER_ENTRIES;
    let what = match readiness.open.as_slice() {
        _ if standing.charter.fork.is_some() => "ask the holders of root keys which, then: standfast charter pin FILE",
        [first, rest @ ..] if is_old(first) && rest.iter().all(is_old) => "upgrade this program",
        _ => "connect, or carry in newer data: standfast bundle import FILE",
    };
    rows.push(Row::whole("do", what));
    Card { sign: Sign::Open, decision: "NOT READY", headline, rows }
}
