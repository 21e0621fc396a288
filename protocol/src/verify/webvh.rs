//! A key of a did:webvh DID: what its register's copy says, and what every other copy held says against it
//! (`specs/did-webvh.md` §6).

use super::authority::Grounds;
use super::key::{self, Candidate, Candidates};
use super::{Bound, Case};
use crate::credential::{Credential, Proven};
use crate::did::Relationship;
use crate::key::PublicKey;
use crate::register::fact::{Holds, Outcome, Reason};
use crate::register::query::KeyQuery;
use crate::register::record::RecordKey;
use crate::register::webvh::WebvhBody;
use crate::snapshot::webvh::{HeldCopy, WebvhStanding};
use crate::time::Time;
use crate::verdict::{Check, CheckName, Code, Evidence};

/// What is asked: a method of a DID, whose register is `home`.
struct Asked<'a> {
    home: Bound<'a>,
    record: &'a RecordKey,
    standing: &'a WebvhStanding,
    subject: &'a str,
    method: &'a str,
}

/// Judges signature and issuer.
pub(super) fn judge<'c>(
    case: &Case<'_>,
    credential: &'c Credential,
    grounds: &Grounds<'_>,
    home: Bound<'_>,
    record: &RecordKey,
    subject: &str,
) -> (Option<Proven<'c>>, Check, Check) {
    let standing = case.snapshot.webvh(subject);
    let method = credential.verification_method();
    let asked = Asked { home, record, standing: &standing, subject, method };
    let evidence = asked.evidence(case);
    let candidates = asked.read();
    let (proven, signature) = if standing.is_forked() && candidates.keys.is_empty() {
        (None, Check::skipped(CheckName::Signature, "no copy of the log gives a key to check it by, and copies part"))
    } else {
        key::prove(credential, grounds, &candidates, evidence.clone())
    };
    let signer = proven.as_ref().map(Proven::key);
    let issuer = asked.judge_key(case, &candidates, signer, evidence);
    (proven, signature, issuer)
}

/// Returns the key of a method if it is a granted fact, at the time used, of a document of this DID.
pub(super) fn granted_key(case: &Case<'_>, home: Bound<'_>, subject: &str, method: &str) -> Option<PublicKey> {
    let record = RecordKey::did(subject).ok()?;
    let standing = case.snapshot.webvh(subject);
    let asked = Asked { home, record: &record, standing: &standing, subject, method };
    let candidates = asked.read();
    // Behind entries that cannot be read a key still makes what rejects reject; what does not is open there anyway.
    let granted = |key: &PublicKey| {
        let code = asked.judge_key(case, &candidates, Some(*key), Vec::new()).code;
        matches!(code, None | Some(Code::UpgradeNeeded))
    };
    candidates.keys.iter().map(|candidate| candidate.key).find(granted)
}

impl<'d> Asked<'d> {
    /// The issuer's register, then those that hold copies which say more.
    fn evidence(&self, case: &Case<'_>) -> Vec<Evidence> {
        let Self { home, record, standing, .. } = self;
        let mut evidence = vec![home.held.evidence(Some(record.as_str().to_owned()), case.as_of(*home))];
        for copy in standing.witnessed.iter().chain(&standing.ends).chain(&standing.deactivated) {
            let known = evidence.iter().any(|known| known.register == copy.origin);
            if let (false, Some(held)) = (known, case.snapshot.held(&copy.origin)) {
                evidence.push(held.evidence(Some(copy.key.as_str().to_owned()), None));
            }
        }
        evidence
    }

    /// Reads the method out of the newest document of every copy in the issuer's register and of every end held elsewhere.
    fn read(&self) -> Candidates<'d> {
        let Self { home, record, standing, subject, method } = *self;
        let mut found = Candidates::default();
        let at_w = home.held.digest_witnessed(record);
        let mut bodies: Vec<&'d WebvhBody> = Vec::new();
        for digest in home.held.digests(record) {
            found.any = true;
            let body = home.held.bodies().get(&digest).and_then(|body| body.webvh().ok());
            match body.filter(|body| body.log().is_whole() && body.log().names(subject) && body.document().is_some()) {
                Some(body) => bodies.push(body),
                None => found.incomplete = true,
            }
            if let (true, Some(body)) = (at_w == Some(digest), body) {
                found.at_w = current(body, method).map(|(current, document)| {
                    document.method_for(&current, Relationship::AssertionMethod).map(|_| ())
                });
            }
        }
        bodies.extend(standing.ends.iter().map(HeldCopy::body));
        for body in bodies {
            let Some((current, document)) = current(body, method) else { continue };
            let Some(listed) = document.methods().iter().find(|listed| listed.id == current) else { continue };
            let (Some(key), Some(multikey)) = (listed.key, listed.multikey.as_deref()) else { continue };
            let ends = [listed.expires, listed.revoked].into_iter().flatten().min();
            found.add(Candidate { key, multikey, ends });
        }
        found
    }

    /// Judges the key as a fact over all versions of the record and all copies of the log.
    fn judge_key(
        &self,
        case: &Case<'_>,
        candidates: &Candidates<'_>,
        signer: Option<PublicKey>,
        evidence: Vec<Evidence>,
    ) -> Check {
        let Self { home, standing, subject, method, .. } = *self;
        let refused = |code, reason: String| Check::refused(CheckName::Issuer, code, reason, evidence.clone());
        if !candidates.any {
            return refused(Code::DidMissing, format!("no log of {subject} stands in its register"));
        }
        if let Some(copy) = &standing.deactivated {
            let reason = format!("{subject} was deactivated: {} in {}", copy.log().newest().id(), copy.origin);
            return refused(Code::DidDeactivated, reason);
        }
        let forked = || {
            let origins: Vec<&str> = standing.ends.iter().map(|end| end.origin.as_str()).collect();
            let reason =
                format!("copies of the log of {subject} part, and {method} is not in all: {}", origins.join(", "));
            refused(Code::DidForked, reason)
        };
        let mut keys = candidates.keys.iter();
        let Some(candidate) = keys.find(|candidate| signer.is_none_or(|signer| candidate.key == signer)) else {
            if standing.is_forked() {
                return forked();
            }
            return key::absent(case, home, candidates, method, refused);
        };
        let (relationship, public) = (Relationship::AssertionMethod.name(), candidate.multikey);
        let query = KeyQuery { did: subject, method, relationship, public };
        let stays = standing.ends.iter().all(|end| has(end.body(), &query)) && !standing.crowded;
        if standing.is_forked() && !stays {
            return forked();
        }
        let fact = home.held.register().key_fact(home.held.bodies(), &query);
        let elsewhere = || stays && self.goes_on() && standing.witnessed.iter().all(|c| has(c.body(), &query));
        match fact.outcome {
            Outcome::Withdrawn if fact.reason == Some(Reason::MassWithdrawal) => {
                let reason = format!("{method} is withdrawn with so much else that a quorum must see it first");
                refused(Code::MassWithdrawal, reason)
            }
            Outcome::Withdrawn => {
                refused(Code::KeyWithdrawn, format!("{method} was removed from the document of its issuer"))
            }
            Outcome::Unusable => refused(Code::DidMissing, format!("the log of {subject} cannot be read")),
            Outcome::Granted if !stays => {
                let longer = standing.ends.iter().find(|end| !has(end.body(), &query));
                let origin = longer.map_or("another register", |end| end.origin.as_str());
                refused(Code::KeyWithdrawn, format!("{method} was removed in a longer copy of the log, in {origin}"))
            }
            Outcome::Granted | Outcome::Pending | Outcome::Absent if fact.is_granted() || elsewhere() => {
                if let Some(ahead) = self.ahead(case, &query) {
                    return refused(
                        Code::DidMissing,
                        format!("the version of {subject} is dated {ahead}, ahead of the clock"),
                    );
                }
                key::granted(case, candidates, candidate, home, (subject, method), evidence)
            }
            Outcome::Granted | Outcome::Pending => {
                refused(Code::KeyPending, format!("{method} is published, and not witnessed yet"))
            }
            Outcome::Absent if stays && !standing.ends.is_empty() => {
                refused(Code::KeyPending, format!("{method} is published in a copy that is not witnessed yet"))
            }
            Outcome::Absent => key::absent(case, home, candidates, method, refused),
        }
    }

    /// True when every witnessed end goes on from the copy that the issuer's register holds at W.
    fn goes_on(&self) -> bool {
        let Self { home, record, standing, .. } = *self;
        let at_w = home.held.digest_witnessed(record).and_then(|digest| home.held.bodies().get(&digest));
        let Some(at_w) = at_w.and_then(|body| body.webvh().ok()) else { return false };
        !standing.witnessed.is_empty() && standing.witnessed.iter().all(|copy| copy.log().extends(at_w.log()))
    }

    /// Returns the time of a version that is dated ahead of the clock, when the key did not stand before it.
    fn ahead(&self, case: &Case<'_>, query: &KeyQuery<'_>) -> Option<Time> {
        let used = Time::from_secs_saturating(case.used);
        let early = |copy: &HeldCopy| {
            let log = copy.log();
            let settled = log.settled(used);
            let next = log.versions().get(settled)?;
            (copy.body().says_at(settled, query).holds != Holds::Yes).then(|| next.time().time())
        };
        self.standing.witnessed.iter().chain(&self.standing.ends).find_map(early)
    }
}

/// What the method is called in the newest document of a copy, with that document.
fn current<'d>(body: &'d WebvhBody, method: &str) -> Option<(String, &'d crate::did::DidDocument)> {
    Some((body.log().current_method(method)?, body.document()?))
}

fn has(body: &WebvhBody, query: &KeyQuery<'_>) -> bool {
    body.says(query).holds == Holds::Yes
}
