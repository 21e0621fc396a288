//! Verifying: from the bytes of a credential to a verdict (`specs/verification.md` §7).
//!
//! ```text
//! bytes ─parse→ Credential ─path→ Grounds ─prove(key, contexts)→ Proven ─validity→ ─status→ Verdict
//! ```
//!
//! One function, from top to bottom. A check that could not be made is *unknown*, never passed and never failed; what
//! is known to be wrong rejects at any age; what is merely absent rejects only where every register that could hold it
//! is held whole, unforked and fresh.

mod authority;
mod charter;
mod fresh;
mod key;
mod question;
mod status;
mod webvh;

use std::collections::BTreeMap;

use crate::charter::CharterFork;
use crate::credential::{Credential, FormatError};
use crate::freshness::{self, Validity};
use crate::policy::Policy;
use crate::snapshot::{HeldRegister, Snapshot};
use crate::time::Time;
use crate::trust::TrustPath;
use crate::verdict::{
    Check, CheckName, CheckResult, Clock, Code, CredentialSummary, Decision, Need, PathStep, PolicySummary,
    TrustSummary, Verdict, Warning,
};
use authority::Grounds;
use fresh::Freshness;
pub use question::{Answer, Ruling, answer, doubt};

/// Judges one credential by what `snapshot` holds, under `policy`, at the device's time `now`.
///
/// It reads nothing else: the same arguments give the same verdict.
pub fn verify(bytes: &[u8], snapshot: &Snapshot, policy: &Policy, now: Time) -> Verdict {
    let case = Case::new(snapshot, policy, now);
    let credential = match Credential::parse(bytes) {
        Ok(credential) => credential,
        Err(error) => return case.unreadable(bytes.len(), &error),
    };
    let grounds = authority::judge(&case, &credential);
    let format = format(&case, &credential, &grounds);
    let (proven, signature, issuer) = key::judge(&case, &credential, &grounds);
    let validity = validity(&case, &credential);
    let status = status::judge(&case, &credential, &grounds);
    let holder = holder(policy);
    let mut fresh = fresh::judge(&case, &grounds, credential.issuer());
    // Nothing is accepted without ages: take them away where what acceptance rests on is not there.
    let is_grounded = proven.is_some() && (grounds.path.is_some() || !policy.trust);

    let checks = vec![format, signature, issuer, grounds.check.clone(), validity, status, holder, fresh.check.clone()];
    if !is_grounded && checks.iter().all(|check| check.code.is_none()) {
        fresh.ages = None;
    }
    case.conclude(checks, summary(&credential, &grounds), grounds.path.as_ref(), fresh)
}

/// What every check reads: the snapshot, the policy and the clocks.
struct Case<'a> {
    snapshot: &'a Snapshot,
    policy: &'a Policy,
    /// The device's clock.
    device: u64,
    /// The clock bound B.
    bound: Option<u64>,
    /// The later of the two.
    used: u64,
    /// Two charters of the version after the one in force.
    fork: Option<CharterFork>,
}

/// A register with the keys under which it counts here.
#[derive(Clone, Copy)]
struct Bound<'a> {
    held: &'a HeldRegister,
    keys: &'a [String],
}

impl<'a> Case<'a> {
    fn new(snapshot: &'a Snapshot, policy: &'a Policy, now: Time) -> Self {
        let (device, bound) = (now.secs(), snapshot.clock_bound());
        let used = bound.map_or(device, |bound| bound.max(device));
        Self { snapshot, policy, device, bound, used, fork: snapshot.replica().chain().fork() }
    }

    /// True when what is absent from this register is known to be absent: read whole, unforked, unfrozen and fresh.
    fn is_conclusive(&self, register: Bound<'_>) -> bool {
        let state = register.held.register();
        !state.is_forked() && state.frozen().is_none() && state.unread().is_none() && fresh::is_fresh(self, register)
    }

    fn as_of(&self, register: Bound<'_>) -> Option<u64> {
        self.snapshot.ages_under(register.held, register.keys, self.device).witnessed
    }

    fn unreadable(&self, size: usize, error: &FormatError) -> Verdict {
        let code = Code::from_text(error.code()).unwrap_or(Code::FormatMalformed);
        let mut checks = vec![Check::refused(CheckName::Format, code, chain(error), Vec::new())];
        checks.extend(CheckName::ALL.iter().skip(1).map(|name| Check::skipped(*name, "there is nothing to judge")));
        let credential = CredentialSummary { size_bytes: size as u64, ..CredentialSummary::default() };
        let fresh = Freshness::nothing(Check::skipped(CheckName::Freshness, "there is nothing to judge"));
        self.conclude(checks, credential, None, fresh)
    }

    fn conclude(
        &self,
        checks: Vec<Check>,
        credential: CredentialSummary,
        path: Option<&TrustPath>,
        fresh: Freshness,
    ) -> Verdict {
        let charter = self.snapshot.charter();
        let mut warnings = fresh.warnings;
        if charter.document().expires_at.saturating_sub(self.used) < CHARTER_WARNING_S && !charter.is_expired(self.used)
        {
            warnings.push(Warning::CharterExpiresSoon);
        }
        // Where the verdict itself says so, there is nothing to add.
        if self.fork.is_some() && !checks.iter().any(|check| check.code == Some(Code::CharterForked)) {
            warnings.push(Warning::CharterForked);
        }
        if !self.policy.trust {
            warnings.push(Warning::TrustOff);
        }
        let time = Time::from_secs_saturating;
        Verdict {
            decision: Decision::from_checks(&checks, fresh.ages),
            needs: needs(&checks, fresh.needs),
            checks,
            warnings,
            credential,
            trust: self.trust(path),
            policy: PolicySummary {
                name: self.policy.name.clone(),
                sha256: self.snapshot.digest_of(self.policy),
                trust: self.policy.trust,
            },
            clock: Clock { device_at: time(self.device), bound_at: self.bound.map(time), used_at: time(self.used) },
        }
    }

    fn trust(&self, path: Option<&TrustPath>) -> TrustSummary {
        let (charter, quorum) = (self.snapshot.charter(), self.snapshot.quorum());
        let last = path.and_then(|path| path.register.as_ref().or(path.steps.last().map(|step| &step.register)));
        let last =
            last.and_then(|binding| Some(Bound { held: self.snapshot.held(&binding.origin)?, keys: &binding.keys }));
        TrustSummary {
            network: charter.network_id(),
            charter: charter.version(),
            witnesses: last.map(|last| self.snapshot.witnesses_at(last.held).len()),
            witnesses_needed: quorum.fewest_to_meet(),
            witnesses_named: quorum.witnesses().len(),
            witnessed_at: last.and_then(|last| self.as_of(last)).map(Time::from_secs_saturating),
            path: path.map(|path| self.steps(path)).unwrap_or_default(),
        }
    }

    fn steps(&self, path: &TrustPath) -> Vec<PathStep> {
        let ends = path.steps.iter().skip(1).map(|step| step.valid_until).chain([path.valid_until]);
        let step = |(step, until): (&crate::trust::Step, u64)| {
            let evidence = self.snapshot.held(&step.register.origin)?.evidence(None, None);
            Some(PathStep {
                authority: step.authority.clone(),
                register: evidence.register,
                size: evidence.size,
                root: evidence.root,
                until_at: Time::from_secs(until),
            })
        };
        path.steps.iter().zip(ends).filter_map(step).collect()
    }
}

/// How long before its end a charter is warned about.
const CHARTER_WARNING_S: u64 = 30 * 86_400;

fn summary(credential: &Credential, grounds: &Grounds<'_>) -> CredentialSummary {
    let written = || credential.types().iter().filter(|kind| *kind != "VerifiableCredential").cloned().collect();
    CredentialSummary {
        source: None,
        format: Some(credential.format().name().to_owned()),
        size_bytes: credential.size_bytes() as u64,
        types: grounds.types.clone().unwrap_or_else(written),
        issuer: Some(credential.issuer().to_owned()),
        key: Some(credential.verification_method().to_owned()),
        valid_from_at: credential.valid_from(),
        valid_until_at: credential.valid_until(),
    }
}

fn format(case: &Case<'_>, credential: &Credential, grounds: &Grounds<'_>) -> Check {
    let format = credential.format().name();
    if !case.policy.formats.iter().any(|allowed| allowed == format) {
        let reason = format!("policy {} does not take {format}", case.policy.name);
        return Check::refused(CheckName::Format, Code::FormatRefused, reason, Vec::new());
    }
    match &grounds.context_problem {
        Some((code, reason)) => Check::refused(CheckName::Format, *code, reason.clone(), Vec::new()),
        None => Check::passed(CheckName::Format, format!("{format}, {} bytes", credential.size_bytes()), Vec::new()),
    }
}

fn validity(case: &Case<'_>, credential: &Credential) -> Check {
    let (from, until) = (credential.valid_from(), credential.valid_until());
    let secs = |time: Option<Time>, otherwise| time.map_or(otherwise, Time::secs);
    let shown = |time: Option<Time>| time.map_or_else(|| "open".to_owned(), |time| time.to_string());
    let window = format!("{} until {}", shown(from), shown(until));
    let refused = |code, reason: String| Check::refused(CheckName::Validity, code, reason, Vec::new());
    match freshness::validity(secs(from, 0), secs(until, u64::MAX), case.device, case.bound) {
        Validity::Current => Check::passed(CheckName::Validity, window, Vec::new()),
        Validity::Expired => refused(Code::ValidityExpired, format!("expired at {}", shown(until))),
        Validity::NotYet => refused(Code::ValidityEarly, format!("begins at {}", shown(from))),
        Validity::ClockDisputed => refused(
            Code::ClockDisputed,
            format!("expired at {} by the witnesses' time, not by this device's", shown(until)),
        ),
    }
}

fn holder(policy: &Policy) -> Check {
    if policy.holder {
        let reason = "a holder binding is demanded, and no presentation came";
        return Check::refused(CheckName::Holder, Code::HolderUnproven, reason, Vec::new());
    }
    Check::skipped(CheckName::Holder, format!("not asked for by policy {}", policy.name))
}

/// What would have to be known for a decision: of every check that is open, the ages in detail.
fn needs(checks: &[Check], ages: Vec<Need>) -> Vec<Need> {
    let open = checks.iter().filter(|c| c.result == CheckResult::Unknown && c.name != CheckName::Freshness);
    let mut needs: Vec<Need> = Vec::new();
    for check in open {
        let Some(code) = check.code else { continue };
        if !needs.iter().chain(&ages).any(|need| need.code == code) {
            let register = check.evidence.last().map(|evidence| evidence.register.clone());
            needs.push(Need { code, register, have: None, want: None });
        }
    }
    needs.extend(ages);
    needs
}

/// An error with its causes, as one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

/// Counts bounded combinations of one choice out of each list, the first choices first.
fn combinations<T: Clone>(lists: &BTreeMap<String, Vec<T>>, max: usize) -> (Vec<Vec<(String, T)>>, bool) {
    let mut all: Vec<Vec<(String, T)>> = vec![Vec::new()];
    let mut complete = true;
    for (name, choices) in lists {
        let mut longer = Vec::new();
        for begun in &all {
            for choice in choices {
                if longer.len() >= max {
                    complete = false;
                    break;
                }
                let mut next = begun.clone();
                next.push((name.clone(), choice.clone()));
                longer.push(next);
            }
        }
        all = longer;
    }
    (all, complete)
}

/// Writes a span as people say it: `4 min`, `31 h`, `3 days`; rounded up, for ages.
fn span(secs: u64) -> String {
    match secs {
        0..120 => format!("{secs} s"),
        120..7_200 => format!("{} min", secs.div_ceil(60)),
        7_200..259_200 => format!("{} h", secs.div_ceil(3_600)),
        _ => format!("{} days", secs.div_ceil(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_change_units_and_round_up() {
        let spans = [(119, "119 s"), (121, "3 min"), (7_201, "3 h"), (259_200, "3 days")];
        spans.iter().for_each(|(secs, shown)| assert_eq!(span(*secs), *shown));
    }

    #[test]
    fn combinations_are_bounded_and_say_when_they_are_not_all() {
        let lists: BTreeMap<String, Vec<u8>> = [("a".into(), vec![1, 2]), ("b".into(), vec![3, 4])].into();
        let (all, complete) = combinations(&lists, 8);
        assert_eq!((all.len(), complete), (4, true));
        let (some, complete) = combinations(&lists, 3);
        assert_eq!((some.len(), complete), (3, false));
        assert_eq!(combinations::<u8>(&BTreeMap::new(), 8), (vec![vec![]], true));
    }
}
