//! Freshness: the ages of every register on the path and of the charter, against the policy's limits.

use super::authority::Grounds;
use super::{Bound, Case, charter, span};
use crate::freshness;
use crate::time::Time;
use crate::trust::TrustPath;
use crate::verdict::{Age, Ages, Check, CheckName, Code, Evidence, Need, Warning};

/// What the ages say.
pub(super) struct Freshness {
    pub(super) check: Check,
    pub(super) ages: Option<Ages>,
    pub(super) needs: Vec<Need>,
    pub(super) warnings: Vec<Warning>,
}

impl Freshness {
    pub(super) fn nothing(check: Check) -> Self {
        Self { check, ages: None, needs: Vec::new(), warnings: Vec::new() }
    }
}

/// Something too old, or of unknown age.
struct Problem {
    code: Code,
    reason: String,
    need: Need,
}

/// Where one age stands to the policy's limits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Fresh,
    Tolerated,
    Stale,
}

/// True when the register's ages and the charter's are within the policy's first limits.
pub(super) fn is_fresh(case: &Case<'_>, register: Bound<'_>) -> bool {
    let ages = case.snapshot.ages_under(register.held, register.keys, case.device);
    let limits = &case.policy.limits;
    let within = |age, limit| standing(age, limit, None) == Standing::Fresh;
    !case.snapshot.charter().is_expired(case.used)
        && !charter::is_open(case)
        && (is_unwitnessed(case)
            || within(ages.age(ages.witnessed), limits.witnessed_s) && within(ages.age(ages.charter), limits.charter_s))
        && within(ages.age(ages.published), limits.published_s)
}

/// True where the charter names no witnesses and the policy is content with that.
fn is_unwitnessed(case: &Case<'_>) -> bool {
    case.snapshot.quorum().is_none() && case.policy.quorum_none
}

fn standing(age: Option<u64>, limit: u64, tolerated: Option<u64>) -> Standing {
    match age {
        Some(age) if age <= limit => Standing::Fresh,
        Some(age) if tolerated.is_some_and(|tolerated| age <= tolerated) => Standing::Tolerated,
        _ => Standing::Stale,
    }
}

/// Judges the ages of all that the verdict rests on.
pub(super) fn judge(case: &Case<'_>, grounds: &Grounds<'_>, issuer: &str) -> Freshness {
    if grounds.path.is_none() && case.policy.trust {
        return Freshness::nothing(Check::skipped(CheckName::Freshness, "no trust path was used"));
    }
    judge_all(case, grounds.used(), grounds.not_held(), grounds.path.as_ref(), is_silent(case, grounds, issuer))
}

/// Judges the ages of these registers and of the charter; `missing` is the origin of one that is not held, `silent` tells
/// that the issuer no longer speaks for its own.
pub(super) fn judge_all(
    case: &Case<'_>,
    registers: Vec<Bound<'_>>,
    missing: Option<String>,
    path: Option<&TrustPath>,
    silent: bool,
) -> Freshness {
    let mut found = Found::new(case);
    if let Some(origin) = missing {
        let need = Need { code: Code::RegisterMissing, register: Some(origin.clone()), have: None, want: None };
        let reason = format!("the register {origin} is on the path and not held under its keys");
        found.problems.push(Problem { code: Code::RegisterMissing, reason, need });
    }
    for register in registers {
        found.look_at(register);
    }
    if silent {
        found.warn(Warning::IssuerSilent);
    }
    found.look_at_charter(path);
    found.conclude()
}

/// True when the owner of the issuer's register, or of one that is bound to the issuer itself, has not confirmed it within
/// the policy's first limit: somebody else may still keep the issuer's documents fresh.
fn is_silent(case: &Case<'_>, grounds: &Grounds<'_>, issuer: &str) -> bool {
    let own = case.snapshot.replica().bound().values().filter(|bound| bound.entity == issuer);
    let own = own.filter_map(|bound| {
        let held = case.snapshot.held(&bound.binding.origin)?;
        Some(Bound { held, keys: &bound.binding.keys })
    });
    let mut registers = grounds.home().ok().into_iter().chain(own);
    registers.any(|register| {
        let ages = case.snapshot.ages_under(register.held, register.keys, case.device);
        ages.age(ages.published).is_some_and(|age| age > case.policy.limits.published_s)
    })
}

struct Found<'a> {
    case: &'a Case<'a>,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
    evidence: Vec<Evidence>,
    witnessed: Age,
    published: Age,
    charter: Age,
    fresh_until: Option<u64>,
    any: bool,
}

impl<'a> Found<'a> {
    fn new(case: &'a Case<'a>) -> Self {
        let age = |limit_s| Age { age_s: None, limit_s, register: None };
        let limits = &case.policy.limits;
        Self {
            case,
            problems: Vec::new(),
            warnings: Vec::new(),
            evidence: Vec::new(),
            witnessed: age(limits.witnessed_s),
            published: age(limits.published_s),
            charter: age(limits.charter_s),
            fresh_until: None,
            any: false,
        }
    }

    fn warn(&mut self, warning: Warning) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn holds_until(&mut self, time: Option<u64>, limit: u64) {
        if let Some(end) = time.map(|time| time.saturating_add(limit)) {
            self.fresh_until = Some(self.fresh_until.map_or(end, |until| until.min(end)));
        }
    }

    fn look_at(&mut self, register: Bound<'_>) {
        let case = self.case;
        let ages = case.snapshot.ages_under(register.held, register.keys, case.device);
        let (limits, tolerated) = (&case.policy.limits, &case.policy.tolerated);
        let origin = register.held.register().origin();
        if self.is_misbehaved(register) {
            self.warn(Warning::WitnessMisbehaved);
        }
        let wronged = self.wronged(register);
        // A record that was tampered with gets no second limit.
        let second = |limit| if wronged.is_some() { None } else { limit };
        let mut stale = None;
        if !is_unwitnessed(case) {
            let age = ages.age(ages.witnessed);
            match standing(age, limits.witnessed_s, second(tolerated.witnessed_s)) {
                Standing::Fresh => {}
                Standing::Tolerated => self.warn(Warning::StaleTolerated),
                Standing::Stale => {
                    let reason = self.too_old("last witnessed", age, limits.witnessed_s);
                    stale = Some((Code::StaleWitnessed, reason, ages.witnessed, limits.witnessed_s));
                }
            }
            keep_oldest(&mut self.witnessed, age, origin, self.any);
            self.holds_until(ages.witnessed, limits.witnessed_s);
        }
        let age = ages.age(ages.published);
        match standing(age, limits.published_s, second(tolerated.published_s)) {
            Standing::Fresh => {}
            Standing::Tolerated => self.warn(Warning::StaleTolerated),
            Standing::Stale => {
                let reason = self.too_old("last confirmed by its owner", age, limits.published_s);
                stale.get_or_insert((Code::StalePublished, reason, ages.published, limits.published_s));
            }
        }
        keep_oldest(&mut self.published, age, origin, self.any);
        self.holds_until(ages.published, limits.published_s);
        self.any = true;
        self.evidence.push(register.held.evidence(None, ages.witnessed));
        match (stale, wronged) {
            (Some((_, reason, have, limit)), Some(code)) => {
                let what = match code {
                    Code::RegisterFrozen => "an entry that is not valid was signed",
                    _ => "its key signed two histories",
                };
                self.problem(code, format!("{origin}: {what}; {reason}"), origin, have, limit);
            }
            (Some((code, reason, have, limit)), None) => {
                self.problem(code, format!("{origin} was {reason}"), origin, have, limit);
            }
            (None, Some(Code::RegisterFrozen)) => self.warn(Warning::RegisterFrozen),
            (None, Some(_)) => self.warn(Warning::RegisterForked),
            (None, None) => {}
        }
    }

    /// True when a witness stands behind the register of which there is a proof that it contradicted itself.
    fn is_misbehaved(&self, register: Bound<'_>) -> bool {
        let replica = self.case.snapshot.replica();
        let proven = |witness: &&str| replica.proof_of_witness(witness).is_some();
        !replica.witness_proofs().is_empty() && self.case.snapshot.witnesses_at(register.held).iter().any(proven)
    }

    fn wronged(&self, register: Bound<'_>) -> Option<Code> {
        let register = register.held.register();
        if register.is_forked() {
            return Some(Code::RegisterForked);
        }
        register.frozen().map(|_| Code::RegisterFrozen)
    }

    fn too_old(&self, what: &str, age: Option<u64>, limit: u64) -> String {
        let policy = &self.case.policy.name;
        match age {
            Some(age) => format!("{what} {} ago; policy {policy} allows {}", span(age), span(limit)),
            None => format!("never {}; policy {policy} allows {}", what.trim_start_matches("last "), span(limit)),
        }
    }

    fn problem(&mut self, code: Code, reason: String, origin: &str, have: Option<u64>, limit: u64) {
        let text = |secs| Time::from_secs_saturating(secs).to_string();
        let want = Some(text(self.case.used.saturating_sub(limit)));
        let need = Need { code, register: Some(origin.to_owned()), have: have.map(text), want };
        self.problems.push(Problem { code, reason, need });
    }

    fn look_at_charter(&mut self, path: Option<&TrustPath>) {
        let case = self.case;
        if let Some(reason) = charter::depends(case, path) {
            self.forked_charter(reason);
        }
        let charter = case.snapshot.charter();
        let ages = case.snapshot.charter_ages(case.device);
        let (limit, tolerated) = (case.policy.limits.charter_s, case.policy.tolerated.charter_s);
        let age = ages.age(ages.charter);
        self.charter.age_s = age;
        self.holds_until(ages.charter, limit);
        if charter.is_expired(case.used) {
            let end = Time::from_secs_saturating(charter.document().expires_at);
            let need = Need { code: Code::CharterExpired, register: None, have: Some(end.to_string()), want: None };
            let reason = format!("charter {} expired at {end}", charter.version());
            if let Some(reason) = charter::held_back(case, &format!("it expired at {end}")) {
                self.forked_charter(reason);
            }
            self.problems.push(Problem { code: Code::CharterExpired, reason, need });
            return;
        }
        self.holds_until(Some(charter.document().expires_at), 0);
        if is_unwitnessed(case) {
            return;
        }
        match standing(age, limit, tolerated) {
            Standing::Fresh => {}
            Standing::Tolerated => self.warn(Warning::StaleTolerated),
            Standing::Stale => {
                let text = |secs| Time::from_secs_saturating(secs).to_string();
                let want = Some(text(case.used.saturating_sub(limit)));
                let need = Need { code: Code::StaleCharter, register: None, have: ages.charter.map(text), want };
                let reason = format!("charter {} was {}", charter.version(), self.too_old("last named", age, limit));
                if let Some(reason) =
                    charter::held_back(case, &format!("it was {}", self.too_old("last named", age, limit)))
                {
                    self.forked_charter(reason);
                }
                self.problems.push(Problem { code: Code::StaleCharter, reason, need });
            }
        }
    }

    fn forked_charter(&mut self, reason: String) {
        if !self.problems.iter().any(|problem| problem.code == Code::CharterForked) {
            let need = Need { code: Code::CharterForked, register: None, have: None, want: None };
            self.problems.push(Problem { code: Code::CharterForked, reason, need });
        }
    }

    fn conclude(self) -> Freshness {
        let Self { case, problems, warnings, evidence, witnessed, published, charter, fresh_until, .. } = self;
        let worst = problems.iter().min_by_key(|problem| rank(problem.code));
        let check = match worst {
            Some(worst) => Check::refused(CheckName::Freshness, worst.code, worst.reason.clone(), evidence),
            None => {
                let shown = |age: &Age| age.age_s.map_or_else(|| "none".to_owned(), span);
                let reason = format!(
                    "witnessed {} · published {} · charter {}",
                    shown(&witnessed),
                    shown(&published),
                    shown(&charter)
                );
                Check::passed(CheckName::Freshness, reason, evidence)
            }
        };
        let fresh_until_at = fresh_until.filter(|until| *until >= case.used).map(Time::from_secs_saturating);
        Freshness {
            check,
            ages: Some(Ages { witnessed, published, charter, fresh_until_at }),
            needs: problems.into_iter().map(|problem| problem.need).collect(),
            warnings,
        }
    }
}

/// Keeps the older one; an unknown age is older than any. `any`: an age stands there already.
fn keep_oldest(oldest: &mut Age, age: Option<u64>, origin: &str, any: bool) {
    let older = match (oldest.age_s, age) {
        _ if !any => true,
        (None, _) => false,
        (Some(_), None) => true,
        (Some(held), Some(age)) => age > held,
    };
    if older {
        oldest.age_s = age;
        oldest.register = Some(origin.to_owned());
    }
}

/// Tampering is told before age, and the register before the charter.
fn rank(code: Code) -> u8 {
    match code {
        Code::RegisterForked => 0,
        Code::RegisterFrozen => 1,
        Code::CharterForked => 2,
        Code::RegisterMissing => 3,
        Code::StaleWitnessed => 4,
        Code::StalePublished => 5,
        Code::CharterExpired => 6,
        _ => 7,
    }
}

/// Returns whether a window that the clock stands outside of is so by the witnesses' time alone.
pub(super) fn is_disputed(case: &Case<'_>, until: u64) -> bool {
    freshness::validity(0, until, case.device, case.bound) == freshness::Validity::ClockDisputed
}
