//! Handing a charter over, and choosing one: what this machine and all others go by.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use standfast_node::local::LocalNode;
use standfast_protocol::charter::{Charter, CharterStep, SignedCharter};
use standfast_protocol::digest::Digest;
use standfast_protocol::replica::Replica;

use super::{Read, read_charter, refused};
use crate::change::{self, Desk};
use crate::command::Context;
use crate::error::{CliResult, Exit};
use crate::output::{Sign, Style, words as shown};

/// Without `--wait`: two views of every witness, which speaks once a minute.
const WAIT_S: u64 = 125;
/// How often a waiting command looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Serialize)]
struct AdmittedDocument {
    kind: &'static str,
    network: Digest,
    version: u64,
    digest: Digest,
    /// The version in force here, which a fork may hold back.
    in_force: u64,
    forked: Option<u64>,
    peers: Option<u64>,
    named_by: Option<u64>,
    witnesses_named: Option<u64>,
}

/// A quorum that names the charter.
struct Naming {
    by: u64,
    of: u64,
    after: Duration,
    is_quorum: bool,
}

/// `charter publish`.
pub(super) fn publish(context: &Context, path: &Path, wait_s: Option<u64>, yes: bool) -> CliResult {
    let Read { charter, note } = read_charter(context, path)?;
    let Some(held) = crate::held::own(context)? else {
        let signed = SignedCharter::authenticate_first(note).map_err(|e| refused(path, &e))?;
        return first(context, &signed, yes, "admitted here");
    };
    let bytes = note.to_string().into_bytes();
    match held.chain().judge(&bytes).map_err(|e| refused(path, &e))? {
        CharterStep::Known | CharterStep::Next(_) => {}
        CharterStep::Fork(_) => {
            let (version, back) = (charter.version(), charter.version().saturating_sub(1));
            let question = format!(
                "Another charter of version {version} is held. With this one, this machine and every node that learns\n\
                 of both goes back to version {back}, until its operator pins one. Publish it?"
            );
            context.confirm(yes, &question)?;
        }
    }
    let handed_over = Instant::now();
    let (peers, mut after) = change::submit_charter(context, bytes)?;
    let mut naming = None;
    if peers.is_some() && after.charter() == &charter {
        naming = wait(context, &charter, wait_s, handed_over)?;
        if naming.is_none() {
            // Another charter of this version may have come meanwhile.
            after = Desk::open(context)?.replica(context)?;
        }
    }
    tell(context, &charter, &after, peers, naming.as_ref(), "admitted here")?;
    Ok(match (after.chain().fork(), &naming) {
        (Some(_), _) => Exit::Tampered,
        (None, Some(naming)) if wait_s.is_some() && !naming.is_quorum => Exit::Open,
        (None, None) if wait_s.is_some() => Exit::Open,
        (None, _) => Exit::Done,
    })
}

/// `charter pin`.
pub(super) fn pin(context: &Context, path: &Path, yes: bool) -> CliResult {
    let Read { charter, note } = read_charter(context, path)?;
    let Some(held) = crate::held::own(context)? else {
        let signed = SignedCharter::authenticate_pinned(note).map_err(|e| refused(path, &e))?;
        return first(context, &signed, yes, "pinned here");
    };
    let bytes = note.to_string().into_bytes();
    let chain = held.chain();
    let chosen = chain.judge_choice(&bytes).map_err(|e| refused(path, &e))?;
    let digest = shown::short(&charter.digest().to_string());
    let version = charter.version();
    let question = match chain.fork_of(version) {
        Some(fork) => {
            let other = fork.sides.iter().find(|side| ***side != *chosen).unwrap_or(&chosen);
            let other = shown::short(&other.charter().digest().to_string());
            format!("This chooses {digest} as version {version}, against {other}. Do so?")
        }
        None => format!("This settles version {version}, {digest}, and all before it. Do so?"),
    };
    context.confirm(yes, &question)?;
    let (_, after) = change::choose_charter(context, bytes)?;
    tell(context, &charter, &after, None, None, "pinned here")?;
    Ok(if after.chain().fork().is_some() { Exit::Tampered } else { Exit::Done })
}

/// Chooses the network of a data directory that has none.
fn first(context: &Context, signed: &SignedCharter, yes: bool, done: &str) -> CliResult {
    let charter = signed.charter();
    let question =
        format!("This chooses network {} for {}. Do so?", charter.network_id(), context.config.data_dir.display());
    context.confirm(yes, &question)?;
    let dir = context.make_data_dir()?;
    let node = LocalNode::init(&dir, signed.note().to_string().as_bytes()).map_err(|e| change::node_error(&e))?;
    let after = node.replica().clone();
    node.close().map_err(|e| change::node_error(&e))?;
    tell(context, charter, &after, None, None, done)?;
    Ok(Exit::Done)
}

/// Waits until a quorum of witnesses names the charter; `None` where nobody is there to wait for, and where another one
/// of its version came.
fn wait(context: &Context, charter: &Charter, wait_s: Option<u64>, since: Instant) -> CliResult<Option<Naming>> {
    let desk = Desk::open(context)?;
    let span = Duration::from_secs(wait_s.unwrap_or(WAIT_S));
    loop {
        let Some(standing) = desk.standing()? else { return Ok(None) };
        let of = standing.node.witnesses_named.unwrap_or(0);
        let in_reach = standing.node.witnesses_in_reach.unwrap_or(0);
        if of == 0 || wait_s.is_none() && in_reach == 0 || standing.charter.fork.is_some() {
            return Ok(None);
        }
        let ours = standing.charter.digest == charter.digest().to_string();
        let is_quorum = ours && standing.charter.age_s.is_some();
        if is_quorum || since.elapsed() >= span {
            let by = if ours { standing.charter.named_by } else { 0 };
            return Ok(Some(Naming { by, of, after: since.elapsed(), is_quorum }));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn tell(
    context: &Context,
    charter: &Charter,
    after: &Replica,
    peers: Option<u64>,
    naming: Option<&Naming>,
    done: &str,
) -> CliResult<()> {
    let in_force = after.charter();
    let fork = after.chain().fork();
    let document = AdmittedDocument {
        kind: "standfast/charter-admitted/v1",
        network: charter.network_id(),
        version: charter.version(),
        digest: charter.digest(),
        in_force: in_force.version(),
        forked: fork.as_ref().map(|fork| fork.version),
        peers,
        named_by: naming.map(|naming| naming.by),
        witnesses_named: naming.map(|naming| naming.of),
    };
    context.output.result(&document, |style| {
        let sent = peers.map(|n| format!(" · sent to {}", shown::counted(n, "peer", "peers"))).unwrap_or_default();
        let of_fork = fork.as_ref().is_some_and(|fork| fork.sides.iter().any(|side| side.charter() == charter));
        let mut out = match of_fork {
            true => format!("{} kept here as proof{sent}\n", style.sign(Sign::Tampered)),
            false => format!("{} {done}{sent}\n", style.sign(Sign::Good)),
        };
        if let Some(fork) = &fork {
            let (forked, stays) = (fork.version, in_force.version());
            let sign = style.sign(Sign::Tampered);
            out.push_str(&format!(
                "{sign} version {forked} is signed twice: version {stays} is in force until one is pinned\n"
            ));
            out.push_str("→ next: ask the holders of root keys which, then: standfast charter pin FILE\n");
        }
        out.push_str(&naming.map(|naming| naming_words(naming, style)).unwrap_or_default());
        let network = shown::short(&charter.network_id().to_string());
        if naming.is_none() {
            out.push_str(&format!("  network {network} · charter {}\n", in_force.version()));
        }
        out
    })?;
    Ok(())
}

/// Says `named by 3 of 4 witnesses after 61 s`.
fn naming_words(naming: &Naming, style: &Style) -> String {
    let Naming { by, of, after, is_quorum } = naming;
    let share = shown::share(*by, *of);
    let after = shown::age(after.as_secs());
    if *is_quorum {
        return format!("{} named by {share} witnesses after {after}\n", style.sign(Sign::Good));
    }
    format!(
        "{} named by {share} witnesses after {after}: standfast status says when a quorum does\n",
        style.sign(Sign::Open)
    )
}
