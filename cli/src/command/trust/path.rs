//! `trust path`: from the charter to an issuer, as a tree with sizes and ages, or exactly what is missing.
//!
//! ```text
//! ✓ charter 3, network 5e19…c0a4, expires in 6 months
//! ├─ interior.gov.example   anchor · size 212 · root 77d0…1b3e
//! │  origin  interior.gov.example/register/9b21…44ce
//! │  age     witnessed 1 min, 3 of 4 · published 12 min
//! │  grants issue https://gov.example/DrivingLicence until 2028-01-01
//! │  to did:web:transport.gov.example
//! └─ transport.gov.example   size 1,882 · root 4c1e…90ab
//!    origin  transport.gov.example/register/8d3f…21ac
//!    age     witnessed 4 min, 3 of 4 · published 31 min
//! ```

use serde::Serialize;
use standfast_protocol::policy::Policy;
use standfast_protocol::register::fact::Binding;
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::time::Time;
use standfast_protocol::trust::{Missing, MissingReason, NotFound, TrustPath, trust_path};
use standfast_protocol::verify::doubt;

use super::need_did;
use crate::command::Context;
use crate::error::{CliResult, Exit};
use crate::held;
use crate::output::{COLUMNS, Sign, Style, words, wrap};
use crate::policy_source;

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
    /// Why "no" cannot be said although nothing that was met is unknown.
    doubt: Option<&'a str>,
    charter: u64,
    path: Vec<StepDocument>,
    register: Option<StepDocument>,
    status_required: Option<bool>,
    valid_until_at: Option<Time>,
    missing: Vec<MissingDocument<'a>>,
    searched: Vec<SearchedDocument<'a>>,
}

#[derive(Serialize)]
struct SearchedDocument<'a> {
    register: &'a str,
    size_witnessed: Option<u64>,
    witnessed_age_s: Option<u64>,
    published_age_s: Option<u64>,
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
    let doubt = match missing {
        // This is no verdict: where nobody witnesses, the ages say so, and what the owner stated is all there is.
        Some(missing) if !missing.indeterminate => {
            let policy = Policy { quorum_none: true, ..policy_source::load(context)? };
            doubt(missing, &snapshot, &policy, context.now)
        }
        _ => None,
    };
    let step = |authority: &str, binding: &Binding, until: u64| step(&snapshot, authority, binding, until, device);
    let document = Document {
        kind: "standfast/trust-path/v1",
        issuer,
        r#type: credential_type,
        found: path.is_some(),
        indeterminate: missing.is_some_and(|missing| missing.indeterminate || doubt.is_some()),
        doubt: doubt.as_deref(),
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
        searched: missing
            .map(|missing| missing.searched.iter().map(|origin| searched(&snapshot, origin, device)).collect())
            .unwrap_or_default(),
    };
    context.output.result(&document, |style| match &found {
        Ok(path) => tree(context, &snapshot, style, path, issuer, credential_type),
        Err(missing) => lacking(context, &snapshot, style, missing, doubt.as_deref(), (issuer, credential_type)),
    })?;
    Ok(match &found {
        Ok(path) if !is_held(&snapshot, path) => Exit::Open,
        Ok(_) => Exit::Done,
        Err(missing) if missing.indeterminate || doubt.is_some() => Exit::Open,
        Err(_) => Exit::Refused,
    })
}

fn searched<'a>(snapshot: &Snapshot, origin: &'a str, device: u64) -> SearchedDocument<'a> {
    let ages = snapshot.ages(origin, device);
    SearchedDocument {
        register: origin,
        size_witnessed: snapshot.held(origin).map(|held| held.register().size_witnessed()),
        witnessed_age_s: ages.as_ref().and_then(|ages| ages.age(ages.witnessed)),
        published_age_s: ages.as_ref().and_then(|ages| ages.age(ages.published)),
    }
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

/// What is held of a register: its size, what is pending, and its root.
fn register_words(snapshot: &Snapshot, binding: &Binding) -> String {
    let Some(held) = snapshot.held(&binding.origin) else { return "not held here".to_owned() };
    let register = held.register();
    let size = register.size_witnessed();
    let mut text = format!("size {}", words::grouped(size));
    let pending = register.size_newest().saturating_sub(size);
    if pending > 0 {
        text.push_str(&format!(" · {} pending", words::grouped(pending)));
    }
    if let Some(root) = register.root_at(size).filter(|_| size > 0) {
        text.push_str(&format!(" · root {}", words::short(&root.to_string())));
    }
    match held::state(register) {
        (_, "good") => {}
        (_, state) => text.push_str(&format!(" · {}", state.replace('-', " "))),
    }
    text
}

/// How old that is.
fn age_words(context: &Context, snapshot: &Snapshot, origin: &str) -> Option<String> {
    let ages = snapshot.ages(origin, context.now.secs())?;
    let (witnessed, published) = (held::witnessed(snapshot, origin, &ages), held::published(&ages));
    Some(match snapshot.quorum().is_none() {
        true => format!("{witnessed} · published {published}"),
        false => format!("witnessed {witnessed} · published {published}"),
    })
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
                (_, "└─ " | "   ") => "   ",
                _ => "│  ",
            };
            out.push_str(&format!("{lead}{part}\n"));
        }
    };
    let register = |branch: &str, under: &str, anchor: &str, binding: &Binding, line: &mut dyn FnMut(&str, &str)| {
        let name = held::name(snapshot.replica(), &binding.origin);
        line(branch, &format!("{name}   {anchor}{}", register_words(snapshot, binding)));
        line(under, &format!("origin  {}", words::origin_short(&binding.origin)));
        if let Some(ages) = age_words(context, snapshot, &binding.origin) {
            line(under, &format!("age     {ages}"));
        }
    };
    for (i, step) in path.steps.iter().enumerate() {
        let anchor = if i == 0 { "anchor · " } else { "" };
        register("├─ ", "│  ", anchor, &step.register, &mut line);
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
        Some(binding) => register("└─ ", "   ", "", binding, &mut line),
        None => line("└─ ", "names no register: its credentials can have no status, and did:web no document"),
    }
    out
}

fn lacking(
    context: &Context,
    snapshot: &Snapshot,
    style: &Style,
    missing: &NotFound,
    doubt: Option<&str>,
    (issuer, credential_type): (&str, &str),
) -> String {
    let is_open = missing.indeterminate || doubt.is_some();
    let (sign, head) = match is_open {
        true => (Sign::Open, "no path can be shown"),
        false => (Sign::Bad, "there is no path"),
    };
    let what = words::clean(credential_type);
    let mut out = format!("{} {head} for {} to issue\n  {what}\n", style.sign(sign), words::did(issuer));
    let mut piece = |sign, text: &str| {
        let mut lines = wrap(text, COLUMNS - 4).into_iter();
        out.push_str(&format!("  {} {}\n", style.sign(sign), lines.next().unwrap_or_default()));
        lines.for_each(|line| out.push_str(&format!("    {line}\n")));
    };
    for missing in &missing.missing {
        piece(if missing.reason.is_unknown() { Sign::Open } else { Sign::Bad }, &missing_words(missing));
    }
    if let Some(doubt) = doubt {
        piece(Sign::Open, &words::clean(doubt));
    }
    for origin in &missing.searched {
        let name = held::name(snapshot.replica(), origin);
        let ages = age_words(context, snapshot, origin).unwrap_or_else(|| "age unknown".to_owned());
        let size = snapshot.held(origin).map_or(0, |held| held.register().size_witnessed());
        let text = format!("searched {name} · size {} · {ages}", words::grouped(size));
        let mut lines = wrap(&text, COLUMNS - 4).into_iter();
        out.push_str(&format!("  {}\n", lines.next().unwrap_or_default()));
        lines.for_each(|line| out.push_str(&format!("    {line}\n")));
    }
    if missing.searched.is_empty() {
        out.push_str("  searched nothing: no register is held\n");
    }
    let unread = missing.missing.iter().any(|missing| missing.reason == MissingReason::UpgradeNeeded);
    let next = if unread {
        "upgrade this program"
    } else if is_open {
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
