//! A charter fork: what of a verdict depends on it (`specs/charter.md` §8).
//!
//! The charter before the fork is in force, and both sides are signed as the rules ask. What a side takes back counts, and
//! what a side would add is not known to be absent: grants need every version, as they do in a register.

use super::Case;
use crate::charter::{Charter, CharterFork};
use crate::trust::{Anchor, TrustPath};

/// Says that there are two charters.
fn opening(case: &Case<'_>, fork: &CharterFork) -> String {
    let [one, other] = fork.sides.each_ref().map(|side| short(side.charter()));
    let in_force = case.snapshot.charter().version();
    format!("two charters of version {} are signed, {one} and {other}; charter {in_force} stays in force", fork.version)
}

fn short(charter: &Charter) -> String {
    let digest = charter.digest().to_string();
    match (digest.get(..4), digest.get(digest.len().saturating_sub(4)..)) {
        (Some(head), Some(tail)) => format!("{head}…{tail}"),
        _ => digest,
    }
}

/// Returns why a verdict that rests on this path depends on the fork; `None` when it does not, or there is none.
pub(super) fn depends(case: &Case<'_>, path: Option<&TrustPath>) -> Option<String> {
    let fork = case.fork.as_ref()?;
    let why = fork.sides.iter().map(|side| side.charter()).find_map(|side| differs(case, side, path))?;
    Some(format!("{}: {why}", opening(case, fork)))
}

fn differs(case: &Case<'_>, side: &Charter, path: Option<&TrustPath>) -> Option<String> {
    if side.is_expired(case.used) {
        return Some("one of them is past its end".to_owned());
    }
    if has_other_witnesses(case, side) {
        return Some("one of them names other witnesses".to_owned());
    }
    let first = path?.steps.first()?;
    let anchor = Anchor { authority: first.authority.clone(), register: first.register.clone() };
    let is_kept = side.anchors().contains(&anchor);
    (!is_kept).then(|| format!("one of them drops or changes the anchor {}", first.authority))
}

/// By the witnesses' time, not by the device's: a wrong clock makes no fork harmless.
fn has_other_witnesses(case: &Case<'_>, side: &Charter) -> bool {
    side.witnesses_at(case.bound.unwrap_or(0)) != case.snapshot.replica().witnesses()
}

/// Returns why "no path" cannot be said: a side names an anchor that the charter in force does not.
pub(super) fn adds(case: &Case<'_>) -> Option<String> {
    let fork = case.fork.as_ref()?;
    let known = case.snapshot.charter().anchors();
    let added = fork.sides.iter().flat_map(|side| side.charter().anchors()).find(|anchor| !known.contains(anchor))?;
    Some(format!("{}: one of them adds or changes the anchor {}", opening(case, fork), added.authority))
}

/// True when what is absent may be present by one of the sides.
pub(super) fn is_open(case: &Case<'_>) -> bool {
    let Some(fork) = &case.fork else { return false };
    adds(case).is_some() || fork.sides.iter().any(|side| has_other_witnesses(case, side.charter()))
}

/// Returns the words for a fork behind which the charter in force has grown old or come to its end.
pub(super) fn held_back(case: &Case<'_>, why: &str) -> Option<String> {
    Some(format!("{}; {why}", opening(case, case.fork.as_ref()?)))
}
