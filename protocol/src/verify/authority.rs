//! Authority: the types under contexts of the path, the trust path itself, and what "no path" means.

use std::collections::BTreeMap;

use super::{Bound, Case, chain, charter, combinations, fresh};
use crate::credential::Credential;
use crate::credential::contexts::Contexts;
use crate::digest::Digest;
use crate::limits;
use crate::register::fact::{After, Binding};
use crate::register::record::RecordKey;
use crate::register::state::Register;
use crate::snapshot::Snapshot;
use crate::time::Time;
use crate::trust::{
    Anchor, Missing, MissingReason, NotFound, TrustPath, TrustRegister, trust_path, trust_path_as_read,
};
use crate::verdict::{Check, CheckName, Code, Evidence};

/// The action that a credential's issuer must be authorised for.
const ISSUE: &str = "issue";

/// On what a credential is judged: the path, the contexts that stand on it, and the issuer's register.
pub(super) struct Grounds<'a> {
    snapshot: &'a Snapshot,
    pub(super) check: Check,
    pub(super) contexts: Contexts,
    /// False when some of them stand in registers that no path is known to lead over.
    pub(super) contexts_settled: bool,
    /// Why contexts or types have no meaning here.
    pub(super) context_problem: Option<(Code, String)>,
    /// The types beside `VerifiableCredential` as absolute IRIs, where they are known.
    pub(super) types: Option<Vec<String>>,
    pub(super) path: Option<TrustPath>,
    /// Without trust: the first register that holds the issuer's document.
    untrusted: Option<&'a Binding>,
}

/// Why the issuer's register cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Homeless {
    /// There is no path that would name it.
    NoPath,
    /// The issuer's entry names none.
    Unnamed,
    /// It is not held, or not under the keys that the path binds.
    NotHeld(String),
}

impl<'a> Grounds<'a> {
    fn binding(&self) -> Option<&Binding> {
        match &self.path {
            Some(path) => path.register.as_ref(),
            None => self.untrusted,
        }
    }

    /// Returns the issuer's register: that of the path, and no other.
    pub(super) fn home(&self) -> Result<Bound<'_>, Homeless> {
        let missing = if self.path.is_some() { Homeless::Unnamed } else { Homeless::NoPath };
        let binding = self.binding().ok_or(missing)?;
        bound(self.snapshot, binding).ok_or_else(|| Homeless::NotHeld(binding.origin.clone()))
    }

    /// Returns the point up to which the register before the issuer's still counts, and that register if it is held.
    pub(super) fn recovery(&self) -> Option<(&After, Option<&'a Register>)> {
        let after = self.binding()?.after.as_ref()?;
        Some((after, self.snapshot.replica().past(after).map(AsRef::as_ref)))
    }

    /// Visits the registers that the verdict rests on: those of the path and the issuer's, each once.
    pub(super) fn used(&self) -> Vec<Bound<'_>> {
        let mut bindings: Vec<&Binding> = Vec::new();
        let steps = self.path.iter().flat_map(|path| path.steps.iter().map(|step| &step.register));
        for binding in steps.chain(self.binding()) {
            if !bindings.contains(&binding) {
                bindings.push(binding);
            }
        }
        bindings.into_iter().filter_map(|binding| bound(self.snapshot, binding)).collect()
    }

    /// Returns the origin of the issuer's register when it is named and not held under its keys.
    pub(super) fn not_held(&self) -> Option<String> {
        match self.home() {
            Err(Homeless::NotHeld(origin)) => Some(origin),
            Ok(_) | Err(Homeless::NoPath | Homeless::Unnamed) => None,
        }
    }
}

/// A register under exactly these keys.
fn bound<'b>(snapshot: &'b Snapshot, binding: &'b Binding) -> Option<Bound<'b>> {
    let held = snapshot.held(&binding.origin)?;
    held.is_signed_by(&binding.keys).then_some(Bound { held, keys: &binding.keys })
}

/// Finds contexts, types and path together: contexts count only from registers on the path that their types lead to.
pub(super) fn judge<'a>(case: &Case<'a>, credential: &Credential) -> Grounds<'a> {
    let untrusted = if case.policy.trust { None } else { any_home(case, credential.issuer()) };
    let mut grounds = Grounds {
        snapshot: case.snapshot,
        check: Check::skipped(CheckName::Authority, "not judged: trust is off in this policy"),
        contexts: Contexts::builtin(),
        contexts_settled: true,
        context_problem: None,
        types: None,
        path: None,
        untrusted,
    };
    let offers = Offers::find(case.snapshot, credential.contexts());
    let mut refusals: Vec<(Vec<String>, NotFound, bool)> = Vec::new();
    let mut unread = None;
    for chosen in &offers.sets {
        let Some(contexts) = case.snapshot.contexts(chosen) else { continue };
        let types = match credential.expanded_types(&contexts) {
            Ok(types) => types,
            Err(error) => {
                let code = Code::from_text(error.code()).unwrap_or(Code::ContextMissing);
                // What a register says that may not be on the path refuses nothing.
                let code = if chosen.is_empty() { code } else { Code::ContextMissing };
                grounds.context_problem.get_or_insert((code, chain(&error)));
                continue;
            }
        };
        if !case.policy.trust {
            let contexts_settled = chosen.is_empty();
            return Grounds { contexts, contexts_settled, types: Some(types), context_problem: None, ..grounds };
        }
        match trust_path(
            case.snapshot,
            case.snapshot.charter().anchors(),
            credential.issuer(),
            ISSUE,
            &types,
            case.used,
        ) {
            Ok(path) => match off_path(case.snapshot, &path, chosen) {
                None => {
                    let check = granted(case, &path);
                    return Grounds {
                        contexts,
                        contexts_settled: true,
                        types: Some(types),
                        context_problem: None,
                        path: Some(path),
                        check,
                        ..grounds
                    };
                }
                problem => grounds.context_problem = problem,
            },
            Err(refusal) => {
                if refusals.is_empty() {
                    grounds.contexts = contexts.clone();
                    grounds.contexts_settled = chosen.is_empty();
                }
                if let Some(path) = unread_path(case, credential.issuer(), &types, &refusal)
                    && off_path(case.snapshot, &path, chosen).is_none()
                {
                    let (code, reason) = indefinite(case, &types, &refusal);
                    let check = Check::refused(CheckName::Authority, code, reason, path_evidence(case, &path));
                    unread.get_or_insert((contexts, types.clone(), path, check));
                }
                let settled = is_settled(case, credential.issuer(), &types, chosen);
                refusals.push((types, refusal, settled));
            }
        }
    }
    if !case.policy.trust {
        return grounds;
    }
    if let Some((contexts, types, path, check)) = unread {
        let (types, path) = (Some(types), Some(path));
        return Grounds { contexts, contexts_settled: true, types, context_problem: None, path, check, ..grounds };
    }
    let known = offers.complete && grounds.context_problem.is_none();
    grounds.check = match refusals.first() {
        Some((types, refusal, _)) => {
            let sure = known && refusals.iter().all(|(_, refusal, _)| !refusal.indeterminate);
            let settled = refusals.iter().all(|(.., settled)| *settled);
            let check = refuse(case, credential.issuer(), types, refusal, sure, settled);
            grounds.types = Some(types.clone());
            check
        }
        None => {
            let code = grounds.context_problem.as_ref().map_or(Code::ContextMissing, |(code, _)| *code);
            unknown(code, "what its types mean is not known, so nobody is known to authorise them")
        }
    };
    grounds
}

fn any_home<'a>(case: &Case<'a>, issuer: &str) -> Option<&'a Binding> {
    let key = RecordKey::did(issuer).ok()?;
    let holds = |origin: &str| case.snapshot.held(origin).is_some_and(|held| !held.digests(&key).is_empty());
    let mut bound = case.snapshot.replica().bound().values();
    bound.find(|bound| holds(&bound.binding.origin)).map(|bound| &bound.binding)
}

/// The contexts that bound registers offer for those that are not built in.
struct Offers {
    sets: Vec<Vec<(String, Digest)>>,
    /// False when a body is not held or there are more offers than are tried.
    complete: bool,
}

impl Offers {
    fn find(snapshot: &Snapshot, urls: &[String]) -> Self {
        let builtin = Contexts::builtin();
        let mut complete = true;
        let mut offered: BTreeMap<String, Vec<Digest>> = BTreeMap::new();
        for url in urls.iter().filter(|url| !builtin.contains(url)) {
            let Ok(key) = RecordKey::context(url) else { continue };
            let held = snapshot.replica().bound().keys().filter_map(|origin| snapshot.held(origin));
            for digest in held.filter_map(|held| held.digest_witnessed(&key)) {
                if !snapshot.replica().bodies().contains(&digest) {
                    complete = false;
                    continue;
                }
                let digests = offered.entry(url.clone()).or_default();
                if !digests.contains(&digest) {
                    digests.push(digest);
                }
            }
        }
        let (sets, all) = combinations(&offered, limits::CONTEXT_SETS_TRIED);
        Self { sets, complete: complete && all }
    }
}

/// Returns why the chosen contexts do not count on this path; `None` when they do.
fn off_path(snapshot: &Snapshot, path: &TrustPath, chosen: &[(String, Digest)]) -> Option<(Code, String)> {
    let bindings = path.steps.iter().map(|step| &step.register).chain(&path.register);
    let registers: Vec<_> = bindings.filter_map(|binding| bound(snapshot, binding)).collect();
    for (url, digest) in chosen {
        let Ok(key) = RecordKey::context(url) else { continue };
        let mut on_path: Vec<Digest> = registers.iter().filter_map(|r| r.held.digest_witnessed(&key)).collect();
        on_path.sort_unstable();
        on_path.dedup();
        match on_path.as_slice() {
            [] => return Some((Code::ContextMissing, format!("the context {url} is held, but not on the trust path"))),
            [only] if only == digest => {}
            [_] => return Some((Code::ContextMissing, format!("the context {url} on the trust path is another one"))),
            _ => {
                return Some((Code::ContextConflict, format!("two registers on the path differ on the context {url}")));
            }
        }
    }
    None
}

/// The path that would be there if what cannot be read took nothing back: document and lists are looked for on it.
fn unread_path(case: &Case<'_>, issuer: &str, types: &[String], refusal: &NotFound) -> Option<TrustPath> {
    let met = refusal.missing.iter().any(|missing| missing.reason == MissingReason::UpgradeNeeded);
    let anchors = case.snapshot.charter().anchors();
    met.then(|| trust_path_as_read(case.snapshot, anchors, issuer, ISSUE, types, case.used).ok()).flatten()
}

fn path_evidence(case: &Case<'_>, path: &TrustPath) -> Vec<Evidence> {
    evidence(case, path.steps.iter().map(|step| &step.register))
}

fn granted(case: &Case<'_>, path: &TrustPath) -> Check {
    let evidence = path_evidence(case, path);
    let by = path.steps.last().map_or("", |step| step.authority.as_str());
    let until =
        Time::from_secs(path.valid_until).map_or_else(|| "further notice".to_owned(), |until| until.to_string());
    let steps = path.steps.len();
    Check::passed(
        CheckName::Authority,
        format!("{by} grants it until {until}, {steps} of the path from the charter"),
        evidence,
    )
}

fn evidence<'b>(case: &Case<'_>, bindings: impl Iterator<Item = &'b Binding>) -> Vec<Evidence> {
    let registers = bindings.filter_map(|binding| Some((case.snapshot.held(&binding.origin)?, &binding.keys)));
    registers.map(|(held, keys)| held.evidence(None, case.as_of(Bound { held, keys }))).collect()
}

fn unknown(code: Code, reason: impl Into<String>) -> Check {
    Check::refused(CheckName::Authority, code, reason, Vec::new())
}

/// True when the chosen contexts say what the types mean: there are none from registers, one of the types has a path on
/// which they stand, or nobody lets the issuer issue anything, whatever it is called.
fn is_settled(case: &Case<'_>, issuer: &str, types: &[String], chosen: &[(String, Digest)]) -> bool {
    let on_path = |kind: &String| {
        let path = search(case, issuer, std::slice::from_ref(kind), case.used);
        path.is_ok_and(|path| off_path(case.snapshot, &path, chosen).is_none())
    };
    let silent = |origin: &String| case.snapshot.held(origin).is_some_and(|held| !held.authorizes(issuer, ISSUE));
    chosen.is_empty() || types.iter().any(on_path) || case.snapshot.replica().bound().keys().all(silent)
}

/// Says what "no path" means. `sure`: contexts and search left nothing open; `settled`: the types have one meaning.
fn refuse(case: &Case<'_>, issuer: &str, types: &[String], refusal: &NotFound, sure: bool, settled: bool) -> Check {
    let searched = refusal.searched.iter().filter_map(|origin| case.snapshot.held(origin));
    let evidence: Vec<Evidence> = searched.map(|held| held.evidence(None, None)).collect();
    let (code, reason) = match charter::adds(case) {
        Some(reason) => (Code::CharterForked, reason),
        None if sure => definite(case, issuer, types, refusal, settled),
        None => indefinite(case, types, refusal),
    };
    Check::refused(CheckName::Authority, code, reason, evidence)
}

/// Something that the search met could be either way.
pub(super) fn indefinite(case: &Case<'_>, types: &[String], refusal: &NotFound) -> (Code, String) {
    let met = |reason| refusal.missing.iter().filter(move |missing| missing.reason == reason);
    let about = |missing: &&Missing| types.contains(&missing.subject);
    if let Some(unread) = met(MissingReason::UpgradeNeeded).next() {
        let reason = format!("the register of {} has entries of a newer version", unread.authority);
        return (Code::UpgradeNeeded, reason);
    }
    if let Some(pending) = met(MissingReason::Pending).find(about).or_else(|| met(MissingReason::Pending).next()) {
        return match wronged(case, &pending.authority) {
            Some(found) => found,
            None => {
                let Missing { authority, subject, .. } = pending;
                (Code::AuthorityPending, format!("{authority} published a grant for {subject}, not witnessed yet"))
            }
        };
    }
    if let Some(held) = met(MissingReason::MassWithdrawal).next() {
        let reason = format!("{} withdraws so much at once that a quorum must see it first", held.authority);
        return (Code::MassWithdrawal, reason);
    }
    if let Some(found) = met(MissingReason::Unusable).find_map(|missing| wronged(case, &missing.authority)) {
        return found;
    }
    if let Some(missing) = met(MissingReason::RegisterMissing).next() {
        return (Code::RegisterMissing, format!("the register of {} is not held", missing.authority));
    }
    let piece = refusal.missing.iter().find(|missing| missing.reason.is_unknown());
    let reason = match piece {
        Some(missing) => {
            format!("no path was found, but something of {} is not known: {}", missing.authority, missing.reason)
        }
        None => "no path was found, but not every context that could lead to one is known".to_owned(),
    };
    (Code::AuthorityUnknown, reason)
}

/// Returns what is wrong with an authority's register, when that explains what is missing in it.
fn wronged(case: &Case<'_>, authority: &str) -> Option<(Code, String)> {
    let mut bound = case.snapshot.replica().bound().values().filter(|bound| bound.entity == authority);
    bound.find_map(|bound| {
        let register = case.snapshot.held(&bound.binding.origin)?.register();
        let origin = register.origin();
        if register.is_forked() {
            return Some((Code::RegisterForked, format!("{origin} has two histories, and only one of them grants it")));
        }
        register.frozen().map(|_| (Code::RegisterFrozen, format!("{origin} stopped at an entry that is not valid")))
    })
}

/// Everything that the search met is known: the path is not there.
fn definite(case: &Case<'_>, issuer: &str, types: &[String], refusal: &NotFound, settled: bool) -> (Code, String) {
    let met = |reason| refusal.missing.iter().filter(move |missing| missing.reason == reason);
    let own = |missing: &&Missing| types.contains(&missing.subject);
    if let Some(missing) = met(MissingReason::Withdrawn).find(|m| own(m) || leads_on(case, issuer, types, m)) {
        return (Code::AuthorityWithdrawn, format!("{} took its permission back", missing.authority));
    }
    if let Some(missing) = met(MissingReason::OutsideWindow).find(|m| own(m) || leads_on(case, issuer, types, m)) {
        if case.used > case.device && search(case, issuer, types, case.device).is_ok() {
            let reason = "the permission has ended by the witnesses' time, not by this device's".to_owned();
            return (Code::ClockDisputed, reason);
        }
        return (Code::AuthorityExpired, format!("the permission by {} is outside its window", missing.authority));
    }
    if !settled {
        let reason = "no path was found, but what its types mean is known only from registers that may be off the path";
        return (Code::AuthorityUnknown, reason.to_owned());
    }
    if let Some(reason) = inconclusive(case, refusal) {
        return (Code::AuthorityUnknown, reason);
    }
    let singly = |kind: &&String| search(case, issuer, std::slice::from_ref(*kind), case.used).is_ok();
    let (may, may_not): (Vec<&String>, Vec<&String>) = types.iter().partition(singly);
    match (may.first(), may_not.first()) {
        (Some(_), Some(extra)) => (Code::TypeUnauthorised, format!("{issuer} may not issue {extra}")),
        (Some(_), None) => {
            (Code::TypeUnauthorised, format!("no one authority lets {issuer} issue all of its types for one register"))
        }
        (None, _) if types.is_empty() => {
            (Code::TypeUnauthorised, "it has no type that anybody could authorise".to_owned())
        }
        (None, _) => (Code::AuthorityAbsent, format!("nobody that the charter leads to authorises {issuer}")),
    }
}

fn search(case: &Case<'_>, issuer: &str, types: &[String], at: u64) -> Result<TrustPath, NotFound> {
    trust_path(case.snapshot, case.snapshot.charter().anchors(), issuer, ISSUE, types, at)
}

/// True when the edge to this entity is what stands between the anchors and the issuer.
fn leads_on(case: &Case<'_>, issuer: &str, types: &[String], missing: &Missing) -> bool {
    let bound = case.snapshot.replica().bound().values().filter(|bound| bound.entity == missing.subject);
    let anchors: Vec<Anchor> =
        bound.map(|b| Anchor { authority: b.entity.clone(), register: b.binding.clone() }).take(1).collect();
    !anchors.is_empty() && trust_path(case.snapshot, &anchors, issuer, ISSUE, types, case.used).is_ok()
}

/// Returns why "no" cannot be said: a register that was searched is forked, frozen or too old.
pub(super) fn inconclusive(case: &Case<'_>, refusal: &NotFound) -> Option<String> {
    if refusal.searched.is_empty() {
        return Some("no register was searched".to_owned());
    }
    for origin in &refusal.searched {
        let held = case.snapshot.held(origin);
        let binding = case.snapshot.replica().bound().get(origin).map(|bound| &bound.binding);
        let (Some(held), Some(binding)) = (held, binding) else {
            return Some(format!("no path was found, but {origin} is not held"));
        };
        if held.register().is_forked() || held.register().frozen().is_some() {
            return Some(format!("no path was found, but {origin} has been tampered with"));
        }
        if !fresh::is_fresh(case, Bound { held, keys: &binding.keys }) {
            return Some(format!(
                "no path was found, but what is held of {origin} is too old to say that there is none"
            ));
        }
    }
    None
}
