//! `status`: network, node, clock and every register, node running or not.

use standfast_protocol::policy::Policy;
use standfast_protocol::time::Time;

use super::{Context, key_error};
use crate::change::{batch, fence, rotation};
use crate::error::{CliResult, Exit};
use crate::held;
use crate::output::{Sign, Style, words, wrap};
use crate::standing::{NodeStanding, Overridden, Standing};
use crate::{policy_source, trust_source};

/// Columns before the text of a row.
const INDENT: usize = 9;

/// `status`.
pub fn run(context: &Context) -> CliResult {
    let policy = policy_source::load(context)?;
    let mut standing = standing(context, &policy)?;
    if context.config.trust.is_none() {
        add_own(context, &mut standing)?;
    }
    let dropped = dropped(context)?;
    context.output.result(&standing, |style| {
        let line = |(key, register, follows): &(String, String, String)| {
            let arrow = style.sign(Sign::Next);
            format!("{arrow} key {key} is bound to {register} no more, {follows} signs: destroy it, and every copy\n")
        };
        draw(&standing, &policy, style) + &dropped.iter().map(line).collect::<String>()
    })?;
    Ok(Exit::Done)
}

/// Keys here that a rotation has dropped: their end is said here, and nowhere sooner.
fn dropped(context: &Context) -> CliResult<Vec<(String, String, String)>> {
    let own = context.keystore().list().map_err(|e| key_error(&e))?;
    let mut origins: Vec<&str> = own.iter().filter_map(|public| public.origin.as_deref()).collect();
    let count = origins.len();
    origins.sort_unstable();
    origins.dedup();
    if origins.len() == count {
        return Ok(Vec::new());
    }
    Ok(held::own(context)?.map(|replica| rotation::dropped(&own, &replica)).unwrap_or_default())
}

/// Adds what only this machine knows: statuses that wait here, and what was published past the write fence.
fn add_own(context: &Context, standing: &mut Standing) -> CliResult<()> {
    standing.batches = batch::waiting(context)?;
    for register in &standing.registers {
        let last = fence::overrides_of(context, &register.origin)?.pop();
        standing.overrides.extend(last.map(|last| Overridden {
            register: register.origin.clone(),
            at: last.at,
            size: last.size,
            reason: last.reason,
        }));
    }
    Ok(())
}

/// Asks the node; without one, looks at the snapshot. A node that was named must answer.
fn standing(context: &Context, policy: &Policy) -> CliResult<Standing> {
    let local = |node| {
        let trusted = trust_source::load(context)?;
        Ok(Standing::of(&trusted.snapshot, policy, context.now, node))
    };
    if context.config.trust.is_some() {
        return local(NodeStanding::default());
    }
    let Some(client) = context.client()? else { return local(NodeStanding::default()) };
    match client.get("/v1/status").and_then(|answer| answer.json::<Standing>()) {
        Ok(mut standing) => {
            let readiness = standing.readiness(policy);
            standing.ready_until_at = readiness.until.filter(|_| readiness.is_ready());
            Ok(standing)
        }
        Err(error) if context.config.node.is_some() => Err(error),
        Err(error) => {
            context.output.note(&format!("note: {}; shown from the snapshot", error.message));
            local(NodeStanding::default())
        }
    }
}

fn draw(standing: &Standing, policy: &Policy, style: &Style) -> String {
    let now = standing.now();
    let mut out = String::new();
    let mut row = |label: &str, text: &str| {
        for (i, line) in wrap(text, crate::output::COLUMNS - INDENT).into_iter().enumerate() {
            let label = if i == 0 { label } else { "" };
            out.push_str(format!("{label:<INDENT$}{line}").trim_end());
            out.push('\n');
        }
    };
    row("network", &network(standing, now));
    for line in charter(standing, now) {
        row("charter", &line);
    }
    row("node", &node(standing, now));
    row("clock", &clock(standing));
    for witness in &standing.witnesses_misbehaved {
        row("witness", &format!("! {witness} contradicted itself · the proof: standfast fork show {witness}"));
    }
    row("ready", &standing.readiness(policy).words(standing.registers.len(), now));
    for waiting in &standing.batches {
        let name = standing.name(&waiting.register);
        row("waiting", &format!("? {name}: {} · standfast register publish {name}", waiting.words(now)));
    }
    for made in &standing.overrides {
        let name = standing.name(&made.register);
        let size = words::grouped(made.size);
        let at = words::ago(made.at, now);
        row("fence", &format!("passed for {name} at size {size}, {at}: {}", words::clean(&made.reason)));
    }
    out.push_str(&standing.draw_registers(policy, style));
    out
}

/// The network and its charter, in a line.
pub fn network(standing: &Standing, now: Time) -> String {
    let charter = &standing.charter;
    let end = words::date(charter.expires_at);
    let left = if charter.expires_at > now {
        format!("expires {end}, in {}", words::left(charter.expires_at.since(now)))
    } else {
        format!("expired {end}, {} ago", words::age(now.since(charter.expires_at)))
    };
    format!("{} · charter {}, {left}", words::short(&standing.network), charter.version)
}

/// What is to be done about the charter: a fork, an end that is near or past.
fn charter(standing: &Standing, now: Time) -> Vec<String> {
    let charter = &standing.charter;
    let mut lines = Vec::new();
    if let Some(fork) = &charter.fork {
        let sides: Vec<String> = fork.digests.iter().map(|digest| words::short(digest)).collect();
        lines.push(format!(
            "! version {} is signed twice, {}: compare them with the holders of root keys, then: standfast charter pin \
             FILE",
            fork.version,
            sides.join(" and ")
        ));
    }
    let next = charter.version.saturating_add(1);
    if charter.expires_at <= now {
        lines.push(format!("? it grants nothing new: ask a root key holder for version {next}"));
    } else if let Some(soon) = charter.ends_soon(now) {
        lines.push(format!("? {soon}: ask a root key holder for version {next}"));
    }
    lines
}

fn node(standing: &Standing, now: Time) -> String {
    let node = &standing.node;
    if !node.running {
        return "not running · what follows is what this machine holds".to_owned();
    }
    let since = node.since_at.map(|since| format!(" since {}", words::at(since, now))).unwrap_or_default();
    let mut text = format!("running{since}");
    if let Some(peers) = node.peers {
        text.push_str(&format!(" · {}", words::counted(peers, "peer", "peers")));
    }
    if let Some((reach, named)) = node.witnesses_in_reach.zip(standing.node.witnesses_named) {
        text.push_str(&format!(" · {} witnesses in reach", words::share(reach, named)));
    }
    text
}

/// This device's clock beside the witnesses' time: only being behind it can be told from data at rest.
fn clock(standing: &Standing) -> String {
    let device = standing.clock.device_at;
    let Some(bound) = standing.clock.bound_at else { return "no witness has said what time it is".to_owned() };
    if bound > device {
        return format!("? {} behind the witnesses' time: set it", words::age(bound.since(device)));
    }
    match device.since(bound) {
        0..=1 => "within 1 s of the witnesses' time".to_owned(),
        since => format!("not behind the witnesses' time, last heard {} ago", words::age(since)),
    }
}
