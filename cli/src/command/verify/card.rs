//! The card of one credential: decision and reason; what, why, fresh, do.

use standfast_protocol::time::Time;
use standfast_protocol::verdict::{CheckName, CheckResult, Code, Outcome, Warning};

use super::judged::{Bench, Judged};
use super::why;
use crate::codes;
use crate::output::card::{Card, Row};
use crate::output::{Sign, words};

/// Types that the card names before it only counts them.
const TYPES_SHOWN_MAX: usize = 3;

/// Makes the card.
pub fn card(bench: &Bench<'_>, judged: &Judged) -> Card {
    let (sign, decision, headline) = head(bench, judged);
    let mut rows = vec![what(judged), why::row(bench, judged), Row::new("fresh", fresh(bench, judged))];
    if !judged.verdict.warnings.is_empty() {
        let lines = judged.verdict.warnings.iter().map(|warning| note(bench, *warning, judged)).collect();
        rows.push(Row { sign: None, label: "note", lines, whole: false });
    }
    rows.push(Row::whole("do", action(bench, judged)));
    Card { sign, decision, headline, rows }
}

/// Returns sign, decision and headline.
pub fn head(bench: &Bench<'_>, judged: &Judged) -> (Sign, &'static str, String) {
    let (sign, decision) = match judged.verdict.outcome() {
        Outcome::Accepted => (Sign::Good, "ACCEPTED"),
        Outcome::Rejected => (Sign::Bad, "REJECTED"),
        Outcome::Indeterminate => (Sign::Open, "CANNOT DECIDE"),
    };
    let headline = match judged.verdict.code() {
        None => "every check passed".to_owned(),
        Some(code) => headline(bench, judged, code),
    };
    (sign, decision, headline)
}

fn headline(bench: &Bench<'_>, judged: &Judged, code: Code) -> String {
    if code == Code::RegisterForked {
        let forked = why::forked_register(bench, judged).map(|held| held.register().origin());
        let home = bench.home(judged).map(|held| held.register().origin());
        if forked.is_some() && forked != home {
            return "a register on the trust path has two histories".to_owned();
        }
    }
    codes::of(code).headline.to_owned()
}

fn what(judged: &Judged) -> Row {
    let credential = &judged.verdict.credential;
    let issuer = credential.issuer.as_deref().map_or_else(|| "an unnamed issuer".to_owned(), words::did);
    let signature = judged.result(CheckName::Signature);
    if signature == CheckResult::Failed || judged.verdict.code() == Some(Code::IssuerUnbound) {
        return Row::new("what", format!("claims to come from {issuer}"));
    }
    if credential.issuer.is_none() {
        return Row::new("what", format!("{} of which nothing was read", words::size(credential.size_bytes)));
    }
    let mut parts: Vec<String> = credential.types.iter().take(TYPES_SHOWN_MAX).map(|kind| words::clean(kind)).collect();
    let more = credential.types.len().saturating_sub(TYPES_SHOWN_MAX);
    if more > 0 {
        parts.push(format!("{more} more types"));
    }
    if let Some(first) = parts.first_mut().filter(|_| signature != CheckResult::Passed) {
        first.insert_str(0, "claims to be ");
    }
    parts.push(issuer);
    Row::new("what", parts.join(" · "))
}

/// How old the data is, who stood by it, and the limit where it decided something.
fn fresh(bench: &Bench<'_>, judged: &Judged) -> String {
    let verdict = &judged.verdict;
    match verdict.code() {
        Some(Code::SignatureMismatch) => return "does not matter: a wrong signature rejects at any age".to_owned(),
        Some(Code::IssuerUnbound) => return "does not matter: another's key rejects at any age".to_owned(),
        Some(Code::FormatRefused | Code::FormatMalformed) => {
            return "does not matter: this form is refused at any age".to_owned();
        }
        _ => {}
    }
    let now = verdict.clock.used_at;
    if bench.snapshot.quorum().is_none() {
        return "no witnesses in this network: nobody vouches for its age".to_owned();
    }
    let Some((origin, age)) = oldest(bench, judged) else {
        return "no register was used".to_owned();
    };
    let Some(age) = age else { return format!("{} was never witnessed", bench.name(&origin)) };
    let at = words::at(Time::from_secs_saturating(now.secs().saturating_sub(age)), now);
    let named = bench.snapshot.quorum().witnesses().len() as u64;
    let stand = bench.snapshot.held(&origin).map_or(0, |held| bench.snapshot.witnesses_at(held).len()) as u64;
    let mut text = format!("{} old · {} witnesses at {at}", words::age(age), words::share(stand, named));
    if verdict.outcome() == Outcome::Accepted {
        text.push_str(&format!(" · limit {}", words::left(bench.policy.limits.witnessed_s)));
    }
    text
}

/// The oldest of the registers used; where none was used, of those that were searched for a trust path.
pub fn oldest(bench: &Bench<'_>, judged: &Judged) -> Option<(String, Option<u64>)> {
    if let Some(witnessed) = judged.verdict.ages().map(|ages| &ages.witnessed)
        && let Some(origin) = &witnessed.register
    {
        return Some((origin.clone(), witnessed.age_s));
    }
    let device = judged.verdict.clock.device_at.secs();
    let searched = judged.verdict.checks.iter().flat_map(|check| &check.evidence).map(|at| &at.register);
    let ages = searched.filter_map(|origin| {
        let ages = bench.snapshot.ages(origin, device)?;
        Some((origin.clone(), ages.age(ages.witnessed)))
    });
    ages.max_by_key(|(_, age)| age.unwrap_or(u64::MAX))
}

/// Says a warning, with what is known of this case.
pub fn note(bench: &Bench<'_>, warning: Warning, judged: &Judged) -> String {
    let (code, meaning, _) = codes::of_warning(warning);
    match warning {
        Warning::NowGiven => {
            let at = judged.verdict.clock.device_at.to_string();
            let at = at.get(..16).unwrap_or(&at).replace('T', " ");
            format!("judged as of {at} UTC, given by hand ({code})")
        }
        Warning::IssuerSilent => silent(bench, judged).map_or_else(
            || format!("{meaning} ({code})"),
            |(head, age)| format!("as of {head} · the issuer has been silent for {} ({code})", words::age(age)),
        ),
        _ => format!("{meaning} ({code})"),
    }
}

/// The head from which the issuer was read, and for how long it has not spoken for its own register.
fn silent(bench: &Bench<'_>, judged: &Judged) -> Option<(String, u64)> {
    let at = judged.verdict.check(CheckName::Issuer)?.evidence.first()?;
    let device = judged.verdict.clock.device_at.secs();
    let issuer = judged.verdict.credential.issuer.as_deref();
    let own = bench.snapshot.replica().bound().iter().filter(|(_, bound)| Some(bound.entity.as_str()) == issuer);
    let origins = own.map(|(origin, _)| origin.as_str()).chain([at.register.as_str()]);
    let ages = origins.filter_map(|origin| {
        let ages = bench.snapshot.ages(origin, device)?;
        ages.age(ages.published)
    });
    let root = words::short(&at.root.to_string());
    let head = format!("head {} of {}, {root}", words::grouped(at.size), bench.name(&at.register));
    ages.max().map(|age| (head, age))
}

/// What to do, with the command to paste.
pub fn action(bench: &Bench<'_>, judged: &Judged) -> String {
    match judged.verdict.code() {
        None => match judged.argument() {
            Some(file) => format!("nothing more · all of it: standfast explain {file}"),
            None => "nothing more".to_owned(),
        },
        Some(Code::RegisterForked) => match why::forked_register(bench, judged) {
            Some(held) => {
                format!("report it · the proof: standfast fork show {}", bench.name(held.register().origin()))
            }
            None => codes::of(Code::RegisterForked).action.to_owned(),
        },
        Some(code) => codes::of(code).action.to_owned(),
    }
}
