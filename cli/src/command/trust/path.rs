//! `trust path`: from the charter to an issuer, as a tree with sizes and ages, or exactly what is missing.
//!
//! ```text
//! ✓ charter 3, network 5e19…c0a4, expires in 6 months
//! ├─ interior.gov.example   anchor · size 212 · witnessed 1 min, 3 of 4
//! │  grants issue https://gov.example/DrivingLicence until 2028-01-01
//! └─ transport.gov.example   size 1,882 · root 4c1e…90ab · witnessed 4 min, 3 of 4
//! ```

use serde::Serialize;
use standfast_protocol::register::fact::Binding;
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::time::Time;
use standfast_protocol::trust::{Missing, MissingReason, NotFound, TrustPath, trust_path};

use super::need_did;
use crate::command::Context;
use crate::error::{CliResult, Exit};
use crate::held;
use crate::output::{COLUMNS, Sign, Style, words, wrap};

const ISSUE: &str = "issue";

#[derive(Serialize)]
struct StepDocument {
    authority: String,
    register: String,
    size_newest: Option<u64>,
    size_witnessed: Option<u64>,
    witnessed_age_s: Option<u64>,
    published_age_s: Option<u64>,
    until_at: Option<Time>,
}

#[derive(Serialize)]
struct MissingDocument<'a> {
    code: &'static str,
    authority: &'a str,
    subject: &'a str,
}

#[derive(Serialize)]
struct Document<'a> {
    kind: &'static str,
    issuer: &'a str,
    r#type: &'a str,
    found: bool,
    indeterminate: bool,
    charter: u64,
    path: Vec<StepDocument>,
    register: Option<StepDocument>,
    status_required: Option<bool>,
    valid_until_at: Option<Time>,
    missing: Vec<MissingDocument<'a>>,
    searched: &'a [String],
}

/// Searches the path, and says it or what is missing.
pub(super) fn run(context: &Context, issuer: &str, credential_type: &str) -> CliResult {
    need_did(issuer)?;
    let snapshot = held::snapshot(context)?;
    let now = snapshot.clock_bound().unwrap_or(0).max(context.now.secs());
    let found = trust_path(&*snapshot, snapshot.charter().anchors(), issuer, ISSUE, &[credential_type], now);
    let (path, missing) = match &found {
        Ok(path) => (Some(path), None),
        Err(missing) => (None, Some(missing)),
    };
    let device = context.now.secs();
    let step = |authority: &str, binding: &Binding, until: u64| step(&snapshot, authority, binding, until, device);
    let document = Document {
        kind: "standfast/trust-path/v1",
        issuer,
        r#type: credential_type,
        found: path.is_some(),
        indeterminate: missing.is_some_and(|missing| missing.indeterminate),
        charter: snapshot.charter().version(),
        path: path
            .map(|path| path.steps.iter().map(|s| step(&s.authority, &s.register, s.valid_until)).collect())
            .unwrap_or_default(),
        register: path.and_then(|p| p.register.as_ref().map(|binding| step(issuer, binding, p.valid_until))),
        status_required: path.map(|path| path.status_required),
        valid_until_at: path.map(|path| Time::from_secs_saturating(path.valid_until)),
        missing: missing
            .map(|m| {
                m.missing
                    .iter()
                    .map(|m| MissingDocument { code: m.reason.code(), authority: &m.authority, subject: &m.subject })
                    .collect()
            })
            .unwrap_or_default(),
        searched: missing.map_or(&[], |missing| &missing.searched),
    };
    context.output.result(&document, |style| match &found {
        Ok(path) => tree(context, &snapshot, style, path, issuer, credential_type),
        Err(missing) => lacking(&snapshot, style, missing, issuer, credential_type),
    })?;
    Ok(match &found {
        Ok(path) if !is_held(&snapshot, path) => Exit::Open,
        Ok(_) => Exit::Done,
        Err(missing) if missing.indeterminate => Exit::Open,
        Err(_) => Exit::Refused,
    })
}

/// True when the register that the path leads to is here, or when there is none.
fn is_held(snapshot: &Snapshot, path: &TrustPath) -> bool {
    path.register.as_ref().is_none_or(|binding| snapshot.held(&binding.origin).is_some())
}

fn step(snapshot: &Snapshot, authority: &str, binding: &Binding, until: u64, device: u64) -> StepDocument {
    let held = snapshot.held(&binding.origin).map(|held| held.register());
    let ages = snapshot.ages(&binding.origin, device);
    StepDocument {
        authority: authority.to_owned(),
        register: binding.origin.clone(),
        size_newest: held.map(|register| register.size_newest()),
        size_witnessed: held.map(|register| register.size_witnessed()),
        witnessed_age_s: ages.as_ref().and_then(|ages| ages.age(ages.witnessed)),
        published_age_s: ages.as_ref().and_then(|ages| ages.age(ages.published)),
        until_at: Time::from_secs(until),
    }
}

fn charter_words(context: &Context, snapshot: &Snapshot) -> String {
    let charter = snapshot.charter();
    let ends = Time::from_secs_saturating(charter.document().expires_at);
    let expires = if charter.is_expired(context.now.secs()) {
        format!("expired {} ago", words::age(context.now.since(ends)))
    } else {
        format!("expires in {}", words::left(ends.since(context.now)))
    };
    let network = words::short(&charter.network_id().to_string());
    format!("charter {}, network {network}, {expires}", charter.version())
}

fn register_words(context: &Context, snapshot: &Snapshot, binding: &Binding, root: bool) -> String {
    let Some(held) = snapshot.held(&binding.origin) else { return "not held here".to_owned() };
    let register = held.register();
    let size = register.size_witnessed();
    let mut text = format!("size {}", words::grouped(size));
    if let Some(digest) = register.root_at(size).filter(|_| root && size > 0) {
        text.push_str(&format!(" · root {}", words::short(&digest.to_string())));
    }
    let pending = register.size_newest().saturating_sub(size);
    if pending > 0 {
        text.push_str(&format!(" · {} pending", words::grouped(pending)));
    }
    if let Some(ages) = snapshot.ages(&binding.origin, context.now.secs()).filter(|_| !snapshot.quorum().is_none()) {
        text.push_str(&format!(" · witnessed {}", held::witnessed(snapshot, &binding.origin, &ages)));
    }
    text
}

fn tree(
    context: &Context,
    snapshot: &Snapshot,
    style: &Style,
    path: &TrustPath,
    issuer: &str,
    credential_type: &str,
) -> String {
    let sign = if is_held(snapshot, path) { Sign::Good } else { Sign::Open };
    let mut out = format!("{} {}\n", style.sign(sign), charter_words(context, snapshot));
    let mut line = |lead: &str, text: &str| {
        for (i, part) in wrap(text, COLUMNS - 3).into_iter().enumerate() {
            let lead = match (i, lead) {
                (0, lead) => lead,
                (_, "└─ ") => "   ",
                _ => "│  ",
            };
            out.push_str(&format!("{lead}{part}\n"));
        }
    };
    for (i, step) in path.steps.iter().enumerate() {
        let name = held::name(snapshot.replica(), &step.register.origin);
        let anchor = if i == 0 { "anchor · " } else { "" };
        line("├─ ", &format!("{name}   {anchor}{}", register_words(context, snapshot, &step.register, false)));
        match path.steps.get(i + 1) {
            Some(next) => {
                let until = words::date(Time::from_secs_saturating(next.valid_until));
                line("│  ", &format!("recognizes {} until {until}", words::did(&next.authority)));
            }
            None => {
                let until = words::date(Time::from_secs_saturating(path.valid_until));
                line("│  ", &format!("grants {ISSUE} {} until {until}", words::clean(credential_type)));
                let need = if path.status_required { " · with a status" } else { "" };
                line("│  ", &format!("to {}{need}", words::did(issuer)));
            }
        }
    }
    match &path.register {
        Some(binding) => {
            let name = held::name(snapshot.replica(), &binding.origin);
            line("└─ ", &format!("{name}   {}", register_words(context, snapshot, binding, true)));
        }
        None => line("└─ ", "names no register: its credentials can have no status, and did:web no document"),
    }
    out
}

fn lacking(snapshot: &Snapshot, style: &Style, missing: &NotFound, issuer: &str, credential_type: &str) -> String {
    let (sign, head) = match missing.indeterminate {
        true => (Sign::Open, "no path can be shown"),
        false => (Sign::Bad, "there is no path"),
    };
    let what = words::clean(credential_type);
    let mut out = format!("{} {head} for {} to issue\n  {what}\n", style.sign(sign), words::did(issuer));
    for piece in &missing.missing {
        let sign = if piece.reason.is_unknown() { Sign::Open } else { Sign::Bad };
        let mut lines = wrap(&missing_words(piece), COLUMNS - 4).into_iter();
        out.push_str(&format!("  {} {}\n", style.sign(sign), lines.next().unwrap_or_default()));
        lines.for_each(|line| out.push_str(&format!("    {line}\n")));
    }
    let searched: Vec<String> = missing.searched.iter().map(|origin| held::name(snapshot.replica(), origin)).collect();
    let searched = if searched.is_empty() { "nothing: no register is held".to_owned() } else { searched.join(", ") };
    wrap(&format!("searched {searched}"), COLUMNS - 2).iter().for_each(|line| out.push_str(&format!("  {line}\n")));
    let next = if missing.indeterminate {
        "connect, or carry in newer data: standfast bundle import FILE"
    } else {
        "ask the authority to grant it: standfast trust grant"
    };
    out.push_str(&format!("{} next: {next}\n", style.sign(Sign::Next)));
    out
}

fn missing_words(piece: &Missing) -> String {
    let authority = words::did(&piece.authority);
    let subject = if piece.subject.starts_with("did:") {
        words::did(&piece.subject)
    } else if piece.subject.is_empty() {
        "it".to_owned()
    } else {
        words::clean(&piece.subject)
    };
    match piece.reason {
        MissingReason::Pending => format!("{subject} of {authority}: published, not witnessed yet (pending)"),
        MissingReason::Unusable => {
            format!("{subject} of {authority}: its body is missing or cannot be used (unusable)")
        }
        MissingReason::MassWithdrawal => {
            format!("{subject} of {authority}: withdrawn with so much else that a quorum must see it (mass-withdrawal)")
        }
        MissingReason::RegisterMissing => format!("the register of {authority} is not held here (register-missing)"),
        MissingReason::NotSigned => {
            format!("the register of {authority} is held under other keys than this path binds (not-signed)")
        }
        MissingReason::RegisterConflict => {
            format!("{authority} names different registers for these types (register-conflict)")
        }
        MissingReason::UpgradeNeeded => {
            format!(
                "the register of {authority} has entries of a newer version than this program reads (upgrade-needed)"
            )
        }
        MissingReason::Limit => "more permissions than a search examines (limit)".to_owned(),
        MissingReason::Withdrawn => format!("{authority} has taken {subject} back (withdrawn)"),
        MissingReason::OutsideWindow => format!("{authority} permits {subject} at another time (outside-window)"),
        MissingReason::OutOfScope => format!("{authority} recognizes {subject} for something else (out-of-scope)"),
        MissingReason::TooDeep => format!("{authority} lets nobody recognize as far as {subject} (too-deep)"),
        MissingReason::NoEntry => format!("{authority} does not permit {subject} (no-entry)"),
    }
}
