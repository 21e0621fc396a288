//! The write fence, as a command meets it: before anything is prepared, the register's newest head is asked for.
//!
//! ```text
//! error: harbour.example is at size 5 elsewhere, and 3 is held here
//! cause: its key signed size 5, so an entry after 3 would fork it
//!  hint: let the node catch up, then run this again: standfast register show harbour.example
//! ```
//!
//! `specs/register.md` §9 has the rule, `node/src/fence.rs` decides by it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use standfast_node::fence::{Continuity, Heard, Judgement, Refusal, State, judge};
use standfast_node::ledger::marker::Marker;
use standfast_node::ledger::overrides::{self, Override, REASON_SIZE_MAX};
use standfast_protocol::digest::Digest;
use standfast_protocol::key::{PublicKey, VerifierKey};
use standfast_protocol::replica::Replica;
use standfast_protocol::time::Time;

use super::Desk;
use super::signers::Signers;
use crate::command::Context;
use crate::command::register::ledger_error;
use crate::error::{CliError, CliResult, Exit};
use crate::held;
use crate::output::words;

/// How long what is on its way is waited for: frontiers are compared in milliseconds, a request ends after ten seconds.
const ON_ITS_WAY: Duration = Duration::from_secs(20);
/// How long witnesses are waited for: each signs a view once a minute.
const WITNESSES: Duration = Duration::from_secs(90);
/// How long after its start a node may still be finding its peers.
const STARTING_S: u64 = 10;
/// How often a waiting command asks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The fence of one register whose key is here.
pub(super) struct Fence<'a> {
    pub(super) context: &'a Context,
    pub(super) origin: &'a str,
    /// The keys that are bound: each has its own ledger, and its own marker.
    pub(super) bound: &'a [VerifierKey],
    /// Where overrides are recorded.
    pub(super) overrides: PathBuf,
}

/// Names the marker of a register key.
pub fn marker(context: &Context, key: &PublicKey) -> Marker {
    Marker::of(&context.config.publisher.marks, key)
}

impl Fence<'_> {
    /// Compares markers and ledgers: one key that proves it suffices, for each signs what the others sign; and one whose
    /// marker names more than is here is one too many.
    pub(super) fn continuity(&self, signers: &Signers<'_>, replica: &Replica) -> CliResult<Continuity> {
        let held = |size: u64| root_at(replica, self.origin, size);
        let mut found = Continuity::Unproven;
        for ledger in signers.ledgers(self.bound) {
            let one =
                marker(self.context, ledger.key().key()).continuity(ledger, held).map_err(|e| ledger_error(&e))?;
            found = match (found, one) {
                (Continuity::Behind { size: a }, Continuity::Behind { size: b }) => {
                    Continuity::Behind { size: a.max(b) }
                }
                (behind @ Continuity::Behind { .. }, _) | (_, behind @ Continuity::Behind { .. }) => behind,
                (Continuity::Proven, _) | (_, Continuity::Proven) => Continuity::Proven,
                (Continuity::Unproven, Continuity::Unproven) => Continuity::Unproven,
            };
        }
        Ok(found)
    }

    /// Names in the markers what the ledgers hold, before it leaves.
    pub(super) fn raise(&self, signers: &Signers<'_>) -> CliResult<()> {
        let mut ledgers = signers.ledgers(self.bound);
        ledgers
            .try_for_each(|ledger| marker(self.context, ledger.key().key()).raise(ledger).map_err(|e| ledger_error(&e)))
    }

    /// Returns once an entry may be appended to what is held; asks the node, and waits for what is on its way.
    pub(super) fn pass(
        &self,
        desk: &Desk,
        signers: &Signers<'_>,
        replica: Replica,
        reason: Option<&str>,
    ) -> CliResult<Replica> {
        check_reason(reason)?;
        let began = Instant::now();
        let mut replica = replica;
        let mut told = false;
        loop {
            let heard = desk.fence(self.origin)?;
            let size = heard.as_ref().map_or(0, |heard| heard.size);
            if size > size_of(&replica, self.origin) {
                replica = desk.replica(self.context)?;
            }
            let continuity = self.continuity(signers, &replica)?;
            let judgement = judge(heard.as_ref(), continuity, is_patient(heard.as_ref(), began, reason));
            let is_starting = judgement == Judgement::Refuse(Refusal::Unanswered)
                && heard.as_ref().is_some_and(|heard| reason.is_none() && heard.peers == 0 && is_young(heard));
            match judgement {
                Judgement::Pass => return Ok(replica),
                Judgement::Refuse(refusal) if !is_starting => {
                    self.overridden(refusal, heard.as_ref(), continuity, &replica, reason)?;
                    return Ok(replica);
                }
                Judgement::Wait | Judgement::Refuse(_) => {}
            }
            if !told && began.elapsed() > Duration::from_millis(500) {
                told = true;
                let name = held::name(&replica, self.origin);
                self.context
                    .output
                    .note(&format!("asking for the newest head of {name}: up to {} s", WITNESSES.as_secs()));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Passes the fence against its word, if that may be: the reason is durable before anything is signed.
    fn overridden(
        &self,
        refusal: Refusal,
        heard: Option<&Heard>,
        continuity: Continuity,
        replica: &Replica,
        reason: Option<&str>,
    ) -> CliResult<()> {
        let Some(reason) = reason.filter(|_| refusal.may_be_overridden()) else {
            return Err(refused(refusal, heard, continuity, &held::name(replica, self.origin), self.context.now));
        };
        let made = Override::new(self.context.now, size_of(replica, self.origin), refusal.code(), reason);
        overrides::add(&self.overrides, &made).map_err(|e| ledger_error(&e))
    }
}

/// Asks before a head that is signed already is handed over: its signer answers for continuity.
pub(super) fn pass_signed(
    context: &Context,
    desk: &Desk,
    origin: &str,
    (size, root): (u64, Digest),
    reason: Option<&str>,
) -> CliResult<()> {
    check_reason(reason)?;
    let began = Instant::now();
    loop {
        let heard = desk.fence(origin)?;
        let replica = desk.replica(context)?;
        let name = held::name(&replica, origin);
        if let Some(held) = root_at(&replica, origin, size) {
            if held == root {
                return Ok(());
            }
            return Err(CliError::new("fence-behind", Exit::Refused, format!("{name} has another entry {size}"))
                .cause("this draft was signed behind the newest head: handed over, it would be a fork")
                .hint("throw the draft away; its changes are to be drafted anew"));
        }
        match judge(heard.as_ref(), Continuity::Proven, began.elapsed() < ON_ITS_WAY) {
            Judgement::Pass => return Ok(()),
            Judgement::Wait => std::thread::sleep(LOOK_EVERY),
            Judgement::Refuse(refusal) => {
                let Some(reason) = reason.filter(|_| refusal.may_be_overridden()) else {
                    return Err(refused(refusal, heard.as_ref(), Continuity::Proven, &name, context.now));
                };
                let path = overrides_path(context, origin)?;
                let made = Override::new(context.now, size_of(&replica, origin), refusal.code(), reason);
                return overrides::add(&path, &made).map_err(|e| ledger_error(&e));
            }
        }
    }
}

fn is_patient(heard: Option<&Heard>, began: Instant, reason: Option<&str>) -> bool {
    let limit = match heard.map(|heard| heard.state) {
        Some(State::Behind | State::Asking) => ON_ITS_WAY,
        // Who gives a reason has waited.
        _ if reason.is_some() => Duration::ZERO,
        _ => WITNESSES,
    };
    began.elapsed() < limit
}

fn is_young(heard: &Heard) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    now.saturating_sub(heard.since_s) < STARTING_S
}

fn size_of(replica: &Replica, origin: &str) -> u64 {
    replica.register(origin).map_or(0, |register| register.size_newest())
}

fn root_at(replica: &Replica, origin: &str, size: u64) -> Option<Digest> {
    replica.register(origin).and_then(|register| register.root_at(size))
}

fn check_reason(reason: Option<&str>) -> CliResult<()> {
    match reason {
        Some(reason) if reason.trim().is_empty() || reason.len() > REASON_SIZE_MAX => {
            Err(CliError::usage(format!("expected a reason of 1 to {REASON_SIZE_MAX} bytes for --override-fence")))
        }
        _ => Ok(()),
    }
}

fn refused(refusal: Refusal, heard: Option<&Heard>, continuity: Continuity, name: &str, now: Time) -> CliError {
    let again = format!("let the node catch up, then run this again: standfast register show {name}");
    let overriding = "if it is known that nothing newer exists: --override-fence REASON";
    match refusal {
        Refusal::Forks { size } | Refusal::Behind { size } => {
            let held = heard.map_or(0, |heard| heard.size);
            let message = match continuity {
                Continuity::Behind { .. } => format!("this machine has signed size {size} of {name} and holds less"),
                _ => format!("{name} is at size {size} elsewhere, and {held} is held here"),
            };
            let made = CliError::new("fence-behind", Exit::Refused, message);
            match (refusal, continuity, heard.and_then(|heard| heard.beyond_by.as_deref())) {
                (Refusal::Forks { .. }, ..) => made
                    .cause(format!("its key signed size {size}, so an entry after {held} would fork it"))
                    .hint(again),
                (_, Continuity::Behind { .. }, _) => made
                    .cause("its ledger and data are an older copy: what the key signed last is in neither")
                    .hint(again)
                    .hint(overriding),
                (_, _, witness) => made
                    .cause(format!("witness {} says so", words::clean(witness.unwrap_or("of another node"))))
                    .hint(again)
                    .hint(overriding),
            }
        }
        Refusal::Unanswered => {
            let message = format!("nobody can say that what is held here of {name} is its newest head");
            let made = CliError::new("fence-unanswered", Exit::Open, message)
                .cause("no marker on this machine proves that its ledger and data are not an older copy");
            let made = match heard {
                None => made.cause("no node runs on this data directory that could ask").hint("standfast node run"),
                Some(heard) => {
                    let (answered, named) = (heard.witnesses.len() as u64, heard.witnesses_named);
                    let witnesses = words::share(answered, named);
                    let peers = words::share(heard.peers_answered, heard.peers);
                    let since = words::at(Time::from_secs_saturating(heard.since_s), now);
                    made.cause(format!("{witnesses} witnesses and {peers} peers have answered since {since}"))
                        .hint("let the node reach its witnesses, then run this again: standfast status")
                }
            };
            made.hint(overriding)
        }
    }
}

/// Returns where overrides of a register are recorded: beside the ledger of its key, or where there is none here, in
/// the data directory.
pub(super) fn overrides_path(context: &Context, origin: &str) -> CliResult<PathBuf> {
    if let Some(path) = overrides_of_key(context, origin).into_iter().next() {
        return Ok(path);
    }
    Ok(held::folder(context, "overrides")?.join(overrides_name(origin)))
}

fn overrides_of_key(context: &Context, origin: &str) -> Vec<PathBuf> {
    let keystore = context.keystore();
    let own = keystore.list().unwrap_or_default().into_iter().filter(|key| key.origin.as_deref() == Some(origin));
    own.map(|key| overrides::path_beside(&keystore.ledger_path(&key.name))).collect()
}

fn overrides_name(origin: &str) -> String {
    format!("{}.overrides", Digest::of(origin.as_bytes()))
}

/// Returns what was published of a register past the fence, oldest first.
pub fn overrides_of(context: &Context, origin: &str) -> CliResult<Vec<Override>> {
    let read = |path: &Path| overrides::read(path).map_err(|e| ledger_error(&e));
    let mut all = read(&context.config.data_dir.join("overrides").join(overrides_name(origin)))?;
    for path in overrides_of_key(context, origin) {
        all.extend(read(&path)?);
    }
    all.sort_by_key(|made| made.at);
    Ok(all)
}
