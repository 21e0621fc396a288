//! Signature and issuer: the key in the issuer's document, and what it signed.

use super::authority::{Grounds, Homeless};
use super::{Bound, Case, chain, fresh, webvh};
use crate::credential::{Credential, Format, ProofError, Proven};
use crate::did::{self, DidDocument, MethodError, Relationship};
use crate::key::PublicKey;
use crate::register::fact::{Outcome, Reason};
use crate::register::query::KeyQuery;
use crate::register::record::RecordKey;
use crate::register::webvh::is_webvh;
use crate::time::Time;
use crate::verdict::{Check, CheckName, Code, Evidence};

/// What a method is in one version of the issuer's document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'d> {
    pub(super) key: PublicKey,
    pub(super) multikey: &'d str,
    /// The first time from which the document itself says that the key no longer counts.
    pub(super) ends: Option<Time>,
}

/// Everything that the versions of the document give.
#[derive(Debug, Default)]
pub(super) struct Candidates<'d> {
    pub(super) keys: Vec<Candidate<'d>>,
    /// True when some version cannot be read, so that another key could stand there.
    pub(super) incomplete: bool,
    /// True when some version stands in the register, readable or not.
    pub(super) any: bool,
    /// What the version at W says of the method.
    pub(super) at_w: Option<Result<(), MethodError>>,
}

impl<'d> Candidates<'d> {
    /// Adds a key; of one that is there the earliest end stays.
    pub(super) fn add(&mut self, candidate: Candidate<'d>) {
        match self.keys.iter_mut().find(|known| known.key == candidate.key) {
            Some(known) => known.ends = [known.ends, candidate.ends].into_iter().flatten().min(),
            None => self.keys.push(candidate),
        }
    }
}

/// Judges signature and issuer.
pub(super) fn judge<'c>(
    case: &Case<'_>,
    credential: &'c Credential,
    grounds: &Grounds<'_>,
) -> (Option<Proven<'c>>, Check, Check) {
    let method = credential.verification_method();
    let Some((subject, _)) = did::split_method(method).filter(|(subject, _)| *subject == credential.issuer()) else {
        let reason = format!("{method} is not a key of {}", credential.issuer());
        let issuer = Check::refused(CheckName::Issuer, Code::IssuerUnbound, reason, Vec::new());
        return (None, Check::skipped(CheckName::Signature, "the key is not the issuer's, whatever it signed"), issuer);
    };
    match did::resolve_from_itself(subject) {
        Some(document) => self_certified(credential, grounds, document.as_ref().ok()),
        None => registered(case, credential, grounds, subject),
    }
}

/// A DID that holds its own key.
fn self_certified<'c>(
    credential: &'c Credential,
    grounds: &Grounds<'_>,
    document: Option<&DidDocument>,
) -> (Option<Proven<'c>>, Check, Check) {
    let method = credential.verification_method();
    let found = document.map(|document| document.key_for(method, Relationship::AssertionMethod));
    let Some(Ok(key)) = found else {
        let reason = format!("{method} is not a key of its own DID that is supported");
        let issuer = Check::refused(CheckName::Issuer, Code::KeyAbsent, reason, Vec::new());
        return (None, Check::skipped(CheckName::Signature, "there is no key to check it by"), issuer);
    };
    let multikey = document.and_then(|document| document.methods().first()?.multikey.as_deref()).unwrap_or_default();
    let candidate = Candidate { key, multikey, ends: None };
    let candidates = Candidates { keys: vec![candidate], any: true, ..Candidates::default() };
    let (proven, signature) = prove(credential, grounds, &candidates, Vec::new());
    (proven, signature, Check::passed(CheckName::Issuer, "the key is the DID itself", Vec::new()))
}

/// A DID whose document stands in the issuer's register.
fn registered<'c>(
    case: &Case<'_>,
    credential: &'c Credential,
    grounds: &Grounds<'_>,
    subject: &str,
) -> (Option<Proven<'c>>, Check, Check) {
    let missing = |reason: String| {
        let check = |name| Check::refused(name, Code::DidMissing, reason.clone(), Vec::new());
        (None, check(CheckName::Signature), check(CheckName::Issuer))
    };
    let home = match grounds.home() {
        Ok(home) => home,
        // Then authority is unknown or fails, and says why; there is no document to read.
        Err(Homeless::NoPath) if case.policy.trust => {
            let reason = no_path(case, subject);
            let skipped = |name| Check::skipped(name, reason.clone());
            return (None, skipped(CheckName::Signature), skipped(CheckName::Issuer));
        }
        Err(Homeless::NoPath) => return missing(format!("no document of {subject} is held")),
        Err(Homeless::Unnamed) => return missing(format!("no register is named for the document of {subject}")),
        Err(Homeless::NotHeld(origin)) => return missing(format!("the register {origin} of {subject} is not held")),
    };
    let Ok(record) = RecordKey::did(subject) else {
        return missing(format!("{subject} is too long to be held"));
    };
    if is_webvh(subject) {
        return webvh::judge(case, credential, grounds, home, &record, subject);
    }
    let evidence = vec![home.held.evidence(Some(record.as_str().to_owned()), case.as_of(home))];
    let candidates = read(home, &record, subject, credential.verification_method());
    let (proven, signature) = prove(credential, grounds, &candidates, evidence.clone());
    let signer = proven.as_ref().map(Proven::key);
    let issuer = judge_key(case, credential, home, subject, &candidates, signer, evidence);
    (proven, signature, issuer)
}

/// The document may stand in some register; that is worth saying, and nothing more.
fn no_path(case: &Case<'_>, subject: &str) -> String {
    let key = RecordKey::did(subject).ok();
    let mut held = case.snapshot.registers().values();
    match key.and_then(|key| held.find(|held| !held.digests(&key).is_empty())) {
        Some(held) => {
            format!("{} holds a document of {subject}, but no trust path leads there", held.register().origin())
        }
        None => format!("no document of {subject} is held"),
    }
}

/// Returns whether some version of the document that is held ends the time of this key of the method.
pub(super) fn has_ended(case: &Case<'_>, home: Bound<'_>, record: &RecordKey, method: &str, key: PublicKey) -> bool {
    let candidates = did::split_method(method).map(|(subject, _)| read(home, record, subject, method));
    let keys = candidates.map(|candidates| candidates.keys).unwrap_or_default();
    keys.iter().filter(|known| known.key == key).filter_map(|known| known.ends).any(|ends| ends.secs() <= case.used)
}

/// Reads the method out of every version of the document.
fn read<'d>(home: Bound<'d>, record: &RecordKey, subject: &str, method: &str) -> Candidates<'d> {
    let at_w = home.held.digest_witnessed(record);
    let mut found = Candidates::default();
    for digest in home.held.digests(record) {
        found.any = true;
        let document = home.held.bodies().get(&digest).and_then(|body| body.resolved());
        let Some(document) = document.filter(|document| document.id() == subject) else {
            found.incomplete = true;
            continue;
        };
        if at_w == Some(digest) {
            found.at_w = Some(document.method_for(method, Relationship::AssertionMethod).map(|_| ()));
        }
        let listed = document.methods().iter().find(|listed| listed.id == method);
        let key = listed.and_then(|listed| Some((listed.key?, listed.multikey.as_deref()?)));
        let Some((key, multikey)) = key else { continue };
        let ends = listed.and_then(|listed| [listed.expires, listed.revoked].into_iter().flatten().min());
        found.add(Candidate { key, multikey, ends });
    }
    found
}

/// Tries every key that some version gives the method: only if none fits, and none is unread, is it a forgery.
pub(super) fn prove<'c>(
    credential: &'c Credential,
    grounds: &Grounds<'_>,
    candidates: &Candidates<'_>,
    evidence: Vec<Evidence>,
) -> (Option<Proven<'c>>, Check) {
    let method = credential.verification_method();
    let refused = |code, reason: String, evidence| Check::refused(CheckName::Signature, code, reason, evidence);
    if let Some((code, reason)) = &grounds.context_problem
        && credential.format() == Format::EddsaRdfc2022
    {
        return (None, refused(*code, format!("what is signed is not known: {reason}"), Vec::new()));
    }
    let mut problem = None;
    for candidate in &candidates.keys {
        match credential.prove(&candidate.key, &grounds.contexts) {
            Ok(proven) => {
                let reason = format!("the signature is that of {method}");
                return (Some(proven), Check::passed(CheckName::Signature, reason, evidence));
            }
            Err(ProofError::Mismatch) => {}
            Err(error @ ProofError::Context(_)) => problem = Some(error),
        }
    }
    let check = match problem {
        Some(error) => {
            let code = Code::from_text(error.code()).unwrap_or(Code::ContextMissing);
            refused(code, chain(&error), Vec::new())
        }
        None if candidates.incomplete => {
            let reason = format!("a version of the document of {} cannot be read", credential.issuer());
            refused(Code::DidMissing, reason, evidence)
        }
        None if candidates.keys.is_empty() => {
            refused(Code::DidMissing, format!("no document held gives a key for {method}"), evidence)
        }
        None if !grounds.contexts_settled && credential.format() == Format::EddsaRdfc2022 => {
            let reason = "what is signed is not known: a context is held only from registers that may be off the path";
            refused(Code::ContextMissing, reason.to_owned(), Vec::new())
        }
        None => refused(Code::SignatureMismatch, format!("altered, or signed by another key than {method}"), evidence),
    };
    (None, check)
}

/// Judges the key as a fact over all versions.
fn judge_key(
    case: &Case<'_>,
    credential: &Credential,
    home: Bound<'_>,
    subject: &str,
    candidates: &Candidates<'_>,
    signer: Option<PublicKey>,
    evidence: Vec<Evidence>,
) -> Check {
    let method = credential.verification_method();
    let refused = |code, reason: String| Check::refused(CheckName::Issuer, code, reason, evidence.clone());
    if !candidates.any {
        return refused(Code::DidMissing, format!("no document of {subject} stands in its register"));
    }
    // The key that signed, or else the one that should have.
    let mut keys = candidates.keys.iter();
    let Some(candidate) = keys.find(|candidate| signer.is_none_or(|signer| candidate.key == signer)) else {
        return absent(case, home, candidates, method, refused);
    };
    let (relationship, public) = (Relationship::AssertionMethod.name(), candidate.multikey);
    let query = KeyQuery { did: subject, method, relationship, public };
    let fact = home.held.register().key_fact(home.held.bodies(), &query);
    match fact.outcome {
        Outcome::Granted => granted(case, candidates, candidate, home, (subject, method), evidence),
        Outcome::Withdrawn if fact.reason == Some(Reason::MassWithdrawal) => {
            let reason = format!("{method} is withdrawn with so much else that a quorum must see it first");
            refused(Code::MassWithdrawal, reason)
        }
        Outcome::Withdrawn => {
            refused(Code::KeyWithdrawn, format!("{method} was removed from the document of its issuer"))
        }
        Outcome::Pending => refused(Code::KeyPending, format!("{method} is published, and not witnessed yet")),
        Outcome::Unusable => refused(Code::DidMissing, format!("the document of {subject} cannot be read")),
        Outcome::Absent => absent(case, home, candidates, method, refused),
    }
}

/// A key that is granted counts unless its document ends its time, or might.
pub(super) fn granted(
    case: &Case<'_>,
    candidates: &Candidates<'_>,
    candidate: &Candidate<'_>,
    home: Bound<'_>,
    (subject, method): (&str, &str),
    evidence: Vec<Evidence>,
) -> Check {
    let refused = |code, reason: String| Check::refused(CheckName::Issuer, code, reason, evidence.clone());
    match candidate.ends {
        Some(ends) if fresh::is_disputed(case, ends.secs()) => refused(
            Code::ClockDisputed,
            format!("{method} ended at {ends} by the witnesses' time, not by this device's"),
        ),
        Some(ends) if ends.secs() <= case.used => {
            refused(Code::KeyWithdrawn, format!("{method} counts no longer since {ends}"))
        }
        // What a version that cannot be read says of its end is not known.
        _ if candidates.incomplete => {
            refused(Code::DidMissing, format!("a version of the document of {subject} cannot be read"))
        }
        _ if home.held.register().unread().is_some() => {
            refused(Code::UpgradeNeeded, format!("an entry of a newer version may have withdrawn {method}"))
        }
        _ => passed(home, evidence),
    }
}

fn passed(home: Bound<'_>, evidence: Vec<Evidence>) -> Check {
    let register = home.held.register();
    let reason = format!("the key is in its document, {} at {}", register.origin(), register.size_witnessed());
    Check::passed(CheckName::Issuer, reason, evidence)
}

/// The key is in no version: an answer only where the register is known to be whole and fresh.
pub(super) fn absent(
    case: &Case<'_>,
    home: Bound<'_>,
    candidates: &Candidates<'_>,
    method: &str,
    refused: impl Fn(Code, String) -> Check,
) -> Check {
    if candidates.incomplete || !case.is_conclusive(home) {
        return refused(Code::DidMissing, format!("{method} is not in the document held, which may not be the newest"));
    }
    match candidates.at_w {
        Some(Err(MethodError::Controller)) => {
            refused(Code::IssuerUnbound, format!("{method} is controlled by somebody else"))
        }
        // The document gives it in a form that facts are not judged by.
        Some(Ok(())) => refused(Code::DidMissing, format!("{method} stands in a form that is not read here")),
        Some(Err(error)) => refused(Code::KeyAbsent, format!("{method}: {error}")),
        None => refused(Code::KeyAbsent, format!("{method} is not in the document of its issuer")),
    }
}
