//! Questions to one authority (ToIP TRQP v2, `specs/trust.md` §6): yes, no, or not known.

use super::authority::{inconclusive, indefinite};
use super::{Bound, Case, fresh};
use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::time::Time;
use crate::trust::trqp::{Kind, Question};
use crate::trust::{Missing, MissingReason, NotFound, TrustPath, authorization_by, recognition_by};
use crate::verdict::Code;

/// What is known about a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// Yes: the path from the charter over the authority that was asked.
    Yes(Box<TrustPath>),
    /// No, in words.
    No(String),
    /// It could be either.
    Unknown {
        /// Why, as verdicts say it.
        code: Code,
        /// In words.
        reason: String,
    },
    /// Nothing that the charter leads to names this authority.
    NoAuthority,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What is known.
    pub ruling: Ruling,
    /// The time at which it was asked: the later of the device's and the clock bound.
    pub evaluated: Time,
    /// The time for which it is answered.
    pub at: Time,
}

/// Returns why a search that found no path, and met nothing unknown, does not say that there is none: a register that it
/// read is forked, frozen, or too old under `policy` at the device's time `now`.
pub fn doubt(refusal: &NotFound, snapshot: &Snapshot, policy: &Policy, now: Time) -> Option<String> {
    inconclusive(&Case::new(snapshot, policy, now), refusal)
}

/// Answers a question by what `snapshot` holds, under the limits of `policy`, at the device's time `now`.
pub fn answer(question: &Question, snapshot: &Snapshot, policy: &Policy, now: Time) -> Answer {
    let case = Case::new(snapshot, policy, now);
    let at = question.time.map_or(case.used, Time::secs);
    let ruling = match search(&case, question, at) {
        Ok(path) => rely(&case, path),
        Err(refusal) => refuse(&case, question, &refusal),
    };
    Answer { ruling, evaluated: Time::from_secs_saturating(case.used), at: Time::from_secs_saturating(at) }
}

fn search(case: &Case<'_>, question: &Question, at: u64) -> Result<TrustPath, NotFound> {
    let Question { entity, authority, action, resource, .. } = question;
    let (anchors, resource) = (case.snapshot.charter().anchors(), [resource.as_str()]);
    match question.kind {
        Kind::Authorization => authorization_by(case.snapshot, anchors, authority, entity, action, &resource, at),
        Kind::Recognition => recognition_by(case.snapshot, anchors, authority, entity, action, &resource, at),
    }
}

/// A yes holds while every register that it rests on, and the charter, is within the limits.
fn rely(case: &Case<'_>, path: TrustPath) -> Ruling {
    let bound = path
        .steps
        .iter()
        .filter_map(|step| Some(Bound { held: case.snapshot.held(&step.register.origin)?, keys: &step.register.keys }));
    let check = fresh::judge_all(case, bound.collect(), None, Some(&path), false).check;
    match check.code {
        Some(code) => Ruling::Unknown { code, reason: check.reason },
        None => Ruling::Yes(Box::new(path)),
    }
}

fn refuse(case: &Case<'_>, question: &Question, refusal: &NotFound) -> Ruling {
    let Question { entity, authority, resource, .. } = question;
    if refusal.indeterminate {
        let (code, reason) = indefinite(case, std::slice::from_ref(resource), refusal);
        return Ruling::Unknown { code, reason };
    }
    let wanted = if question.kind == Kind::Recognition { entity } else { resource };
    let of = |reason: MissingReason| {
        move |missing: &&Missing| {
            missing.reason == reason && missing.authority == *authority && missing.subject == *wanted
        }
    };
    let met = |reason| refusal.missing.iter().any(|missing| of(reason)(&missing));
    if met(MissingReason::Withdrawn) {
        return Ruling::No(format!("{authority} has taken it back"));
    }
    if met(MissingReason::OutsideWindow) {
        if question.time.is_none() && case.used > case.device && search(case, question, case.device).is_ok() {
            let reason = "it has ended by the witnesses' time, not by this device's".to_owned();
            return Ruling::Unknown { code: Code::ClockDisputed, reason };
        }
        return Ruling::No(format!("{authority} permits it at another time"));
    }
    if let Some(reason) = inconclusive(case, refusal) {
        return Ruling::Unknown { code: Code::AuthorityUnknown, reason };
    }
    if refusal.missing.iter().any(|missing| missing.authority == *authority) {
        return Ruling::No(match question.kind {
            Kind::Authorization => format!("{authority} does not permit it to {entity}"),
            Kind::Recognition => format!("{authority} does not recognize {entity} for it"),
        });
    }
    match refusal.missing.iter().find(|missing| missing.subject == *authority) {
        Some(missing) => {
            Ruling::No(format!("no path leads to {authority} for it: {} by {}", missing.reason, missing.authority))
        }
        None => Ruling::NoAuthority,
    }
}
