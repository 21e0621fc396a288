//! The proof beside an answer: made by who answers, checked by who asked with nothing but the charter
//! (`specs/trust.md` §6).
//!
//! ```text
//! "proof":{"kind":"standfast/trqp-proof/v1","records":["c2sp.org/tlog-proof@v1\nextra …"]}
//! ```
//!
//! A yes has one record proof: of the trust entry that grants it. A no has one for each entry that could have: absent, or
//! present with other terms. What is pending is in no proof.

use std::collections::BTreeSet;

use super::{Kind, Question, QuestionError};
use crate::charter::Charter;
use crate::credential::json::{Json, JsonError, Object};
use crate::proof::{ProveError, ProvenRecord, ProvenStep, RecordProof, RecordProofError};
use crate::register::body::Record;
use crate::register::fact::Terms;
use crate::register::record::RecordKey;
use crate::replica::Replica;
use crate::time::Time;
use crate::trust::{RECOGNIZE, TrustPath};

/// The kind of the member `proof`.
pub const KIND: &str = "standfast/trqp-proof/v1";

/// Why an answer is not what its proof shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// Not JSON.
    #[error("expected JSON: {0}")]
    Json(#[from] JsonError),
    /// Not an answer.
    #[error("expected an answer")]
    Answer(#[from] QuestionError),
    /// An answer to another question.
    #[error("expected an answer to what was asked, another {0} came")]
    OtherQuestion(&'static str),
    /// No answer, or no time of it.
    #[error("expected the member {0}")]
    Member(&'static str),
    /// No proof, or one of another kind.
    #[error("expected a proof of kind {KIND}")]
    NoProof,
    /// An answer from the future.
    #[error("expected an answer of now or before, came one of {0}")]
    Future(Time),
    /// The charter has expired: it grants nothing new.
    #[error("the charter expired at {0}")]
    CharterExpired(Time),
    /// A record proof does not hold.
    #[error("the proof does not hold")]
    Proof(#[from] RecordProofError),
    /// A record proof of something else than was asked.
    #[error("the proof is of {0}, which was not asked for")]
    OtherRecord(RecordKey),
    /// Not every record that could say otherwise is shown.
    #[error("expected a proof for {0} as well")]
    Incomplete(RecordKey),
    /// The register shown is another authority's.
    #[error("expected the register of {expected}, came that of {came}")]
    OtherAuthority {
        /// Who was asked.
        expected: String,
        /// Whose register it is.
        came: String,
    },
    /// The proof shows the opposite.
    #[error("the answer is {answer}, the proof shows {answer} to be wrong", answer = .0)]
    Contradicted(bool),
    /// Too old for the network's limit, or of unknown age.
    #[error("the proof is older than the {limit_s} s that the charter allows")]
    TooOld {
        /// Its age, where it is known.
        age_s: Option<u64>,
        /// The charter's limit.
        limit_s: u64,
    },
}

/// An answer that its proof bears out. One constructor: [`check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    answer: bool,
    at: Time,
    witnessed_at: Time,
    steps: Vec<ProvenStep>,
}

impl Checked {
    /// Returns the answer.
    pub fn answer(&self) -> bool {
        self.answer
    }

    /// Returns the time for which it is answered.
    pub fn at(&self) -> Time {
        self.at
    }

    /// Returns when a quorum of witnesses stood at all that it rests on.
    pub fn witnessed_at(&self) -> Time {
        self.witnessed_at
    }

    /// Returns the registers from the anchor's to that of the authority.
    pub fn steps(&self) -> &[ProvenStep] {
        &self.steps
    }
}

/// Proves an answer by what is held at W. `path` leads to the authority that was asked; `None` where there is nothing to
/// prove it by: a no that rests on a pending change, or on a recognition that is not asked by its label.
pub fn prove(
    replica: &Replica,
    path: &TrustPath,
    question: &Question,
    answer: bool,
    at: u64,
    now: u64,
) -> Option<Json> {
    let records = proofs(replica, path, question, answer, at, now).ok()?;
    let charter = replica.charter();
    // What the asker could not follow is not sent.
    let holds = records.iter().map(|proof| proof.verify_for(charter, at, now)).collect::<Result<Vec<_>, _>>().ok()?;
    (shows(question, &holds, at).ok()? == answer).then(|| {
        let mut object = Object::new();
        object.insert("kind", Json::String(KIND.to_owned()));
        object.insert("records", Json::Array(records.iter().map(|proof| Json::String(proof.to_text())).collect()));
        Json::Object(object)
    })
}

fn proofs(
    replica: &Replica,
    path: &TrustPath,
    question: &Question,
    answer: bool,
    at: u64,
    now: u64,
) -> Result<Vec<RecordProof>, ProveError> {
    let Question { action, resource, .. } = question;
    let scope = (action != RECOGNIZE).then_some((action.as_str(), resource.as_str()));
    let prove = |key: &RecordKey| RecordProof::on_path(replica, &path.steps, key, scope, at, now);
    if !answer {
        return keys(question).iter().map(prove).collect();
    }
    let origin = path.steps.last().map(|step| step.register.origin.as_str()).unwrap_or_default();
    let register = replica.register(origin).ok_or_else(|| ProveError::NoChain(origin.to_owned()))?;
    let candidates = match question.kind {
        Kind::Recognition if action != RECOGNIZE => register.recognitions().into_iter().cloned().collect(),
        _ => keys(question),
    };
    let grants = |key: &&RecordKey| {
        let body = register.state_witnessed().get(key.as_str().as_bytes()).and_then(|d| replica.bodies().get(&d));
        let entry = body.and_then(|body| body.trust_entry().ok());
        entry.is_some_and(|entry| entry.entity == question.entity && grants(question, &entry.terms, at))
    };
    let found = candidates.iter().find(grants);
    Ok(vec![prove(found.ok_or_else(|| ProveError::NoChain(origin.to_owned()))?)?])
}

/// The records that can grant what is asked; none where their names are free.
fn keys(question: &Question) -> Vec<RecordKey> {
    let Question { entity, action, resource, .. } = question;
    let resources: BTreeSet<&str> = match question.kind {
        Kind::Authorization => [resource.as_str(), "*"].into(),
        Kind::Recognition if action == RECOGNIZE => [resource.as_str()].into(),
        Kind::Recognition => BTreeSet::new(),
    };
    resources.into_iter().filter_map(|resource| RecordKey::trust(entity, action, resource).ok()).collect()
}

/// True when an entry with these terms grants what is asked.
fn grants(question: &Question, terms: &Terms, at: u64) -> bool {
    let Question { action, resource, .. } = question;
    let in_scope = match question.kind {
        Kind::Authorization => true,
        Kind::Recognition if action == RECOGNIZE => terms.scope.is_some(),
        Kind::Recognition => terms.scope.as_ref().is_some_and(|scope| scope.permits(action, resource)),
    };
    in_scope && terms.valid_from <= at && at < terms.valid_until
}

/// Checks an answer to a question at the time `now`, with nothing but the charter. That the charter is the right one is
/// for the caller.
pub fn check(question: &Question, answer: &[u8], charter: &Charter, now: Time) -> Result<Checked, CheckError> {
    let json = Json::parse(answer)?;
    let object = json.as_object().ok_or(QuestionError::Object)?;
    let told = Question::read(question.kind, object)?;
    let same = [
        ("entity_id", told.entity == question.entity),
        ("authority_id", told.authority == question.authority),
        ("action", told.action == question.action),
        ("resource", told.resource == question.resource),
    ];
    if let Some((name, _)) = same.into_iter().find(|(_, same)| !same) {
        return Err(CheckError::OtherQuestion(name));
    }
    let time = |name: &'static str| {
        let text = object.get(name).and_then(Json::as_str);
        text.and_then(super::utc).ok_or(CheckError::Member(name))
    };
    let evaluated = time("time_evaluated")?;
    if evaluated.secs() > now.secs().saturating_add(crate::limits::STATEMENT_AHEAD_MAX_S) {
        return Err(CheckError::Future(evaluated));
    }
    if question.time.is_some() && time("time_requested").ok() != question.time {
        return Err(CheckError::OtherQuestion("time_requested"));
    }
    let at = question.time.unwrap_or(evaluated);
    let member = question.kind.member();
    let answer = object.get(member).and_then(Json::as_bool).ok_or(CheckError::Member(member))?;
    if charter.is_expired(now.secs()) {
        return Err(CheckError::CharterExpired(Time::from_secs_saturating(charter.document().expires_at)));
    }
    let proven = records(object)?
        .into_iter()
        .map(|text| Ok(RecordProof::parse(text.as_bytes())?.verify_for(charter, at.secs(), now.secs())?))
        .collect::<Result<Vec<ProvenRecord>, CheckError>>()?;
    if shows(question, &proven, at.secs())? != answer {
        return Err(CheckError::Contradicted(answer));
    }
    let limit_s = charter.document().limits.witnessed_s;
    let witnessed = proven.iter().map(ProvenRecord::witnessed_at).min().flatten();
    let age_s = witnessed.map(|witnessed| now.secs().saturating_sub(witnessed));
    match (witnessed, age_s) {
        (Some(witnessed), Some(age)) if age <= limit_s => {
            let witnessed_at = Time::from_secs_saturating(witnessed);
            let steps = proven.first().map(|proven| proven.steps().to_vec()).unwrap_or_default();
            Ok(Checked { answer, at, witnessed_at, steps })
        }
        _ => Err(CheckError::TooOld { age_s, limit_s }),
    }
}

fn records(object: &Object) -> Result<Vec<&str>, CheckError> {
    let proof = object.get("proof").filter(|proof| proof.get("kind").and_then(Json::as_str) == Some(KIND));
    let records = proof.and_then(|proof| proof.get("records")).and_then(Json::as_array).ok_or(CheckError::NoProof)?;
    let records: Option<Vec<&str>> = records.iter().map(Json::as_str).collect();
    // Of an exact resource, and of `*`.
    records.filter(|records| (1..=2).contains(&records.len())).ok_or(CheckError::NoProof)
}

/// Returns what records show about a question.
fn shows(question: &Question, records: &[ProvenRecord], at: u64) -> Result<bool, CheckError> {
    let Question { entity, authority, action, resource, .. } = question;
    let mut missing: BTreeSet<RecordKey> = keys(question).into_iter().collect();
    for record in records {
        if record.register().entity != *authority {
            let came = record.register().entity.clone();
            return Err(CheckError::OtherAuthority { expected: authority.clone(), came });
        }
        let key = record.key();
        let asked = match (question.kind, key.parts().as_slice()) {
            (Kind::Recognition, [who, what, _]) if action != RECOGNIZE => who == entity && what == RECOGNIZE,
            _ => missing.remove(key),
        };
        if !asked || key.prefix() != "trust" {
            return Err(CheckError::OtherRecord(key.clone()));
        }
        let body = record.body().map(|body| Record::new(body.clone()));
        let entry = body.as_ref().and_then(|body| body.trust_entry().ok());
        // One that names something else than its key grants nothing.
        let entry = entry.filter(|e| RecordKey::trust(&e.entity, &e.action, &e.resource).as_ref() == Ok(key));
        if let Some(entry) = entry
            && grants(question, &entry.terms, at)
            && may(question, record, &entry.terms)
        {
            return Ok(true);
        }
    }
    match (question.kind, missing.first()) {
        (Kind::Recognition, _) if action != RECOGNIZE => {
            Err(CheckError::Incomplete(RecordKey::trust(entity, RECOGNIZE, resource).map_err(|_| CheckError::NoProof)?))
        }
        (_, Some(missing)) => Err(CheckError::Incomplete(missing.clone())),
        (_, None) => Ok(false),
    }
}

/// True when the way to the authority lets it say so.
fn may(question: &Question, record: &ProvenRecord, terms: &Terms) -> bool {
    let Question { action, resource, .. } = question;
    let (depth, scopes) = record.reach();
    match question.kind {
        Kind::Authorization => record.permits(action, resource),
        Kind::Recognition if depth == 0 => false,
        Kind::Recognition if action == RECOGNIZE => {
            let own = terms.scope.as_ref();
            let met = own.map(|own| {
                scopes.iter().fold(own.clone(), |met, scope| crate::register::fact::Scope {
                    actions: crate::register::fact::meet(&met.actions, &scope.actions),
                    resources: crate::register::fact::meet(&met.resources, &scope.resources),
                })
            });
            met.is_some_and(|met| !met.actions.is_empty() && !met.resources.is_empty())
        }
        Kind::Recognition => record.permits(action, resource),
    }
}
