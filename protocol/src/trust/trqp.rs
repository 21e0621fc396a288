//! ToIP TRQP v2: questions and answers about one authority, as JSON (`specs/trust.md` §6).
//!
//! ```text
//! POST /authorization  {"action":"issue","authority_id":"did:web:interior.gov.example","context":{"time":"2026-11-20T14:28:00Z"},
//!                       "entity_id":"did:web:transport.gov.example","resource":"https://gov.example/DrivingLicence"}
//! 200                  the four, and "authorized":true,"message":"…","proof":{…},"time_evaluated":"…","time_requested":"…","context":{…}
//! ```
//!
//! Whoever reads the boolean reads it as knowledge: it is written only where the answer is known.

use crate::credential::jcs;
mod proof;

pub use proof::{CheckError, Checked, KIND, check, prove};

use crate::credential::json::{Json, JsonError, Object};
use crate::limits;
use crate::time::Time;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// May the entity do the action on the resource, by this authority?
    Authorization,
    /// Does this authority recognise the entity, for the action on the resource?
    Recognition,
}

impl Kind {
    /// Returns the member that holds the answer.
    pub fn member(self) -> &'static str {
        match self {
            Self::Authorization => "authorized",
            Self::Recognition => "recognized",
        }
    }
}

/// One question.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What is asked.
    pub kind: Kind,
    /// About whom: `entity_id`.
    pub entity: String,
    /// Who is asked: `authority_id`.
    pub authority: String,
    /// The action.
    pub action: String,
    /// The resource.
    pub resource: String,
    /// For which time; `None` is now.
    pub time: Option<Time>,
    /// The context as it came, as far as it is text: it is sent back.
    pub context: Option<Object>,
}

/// Why something is no question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// More bytes than a question has.
    #[error("expected at most {max} bytes, {0} came", max = limits::TRQP_QUESTION_SIZE_MAX)]
    Size(usize),
    /// Not JSON.
    #[error("expected JSON: {0}")]
    Json(#[from] JsonError),
    /// Not an object.
    #[error("expected an object with entity_id, authority_id, action and resource")]
    Object,
    /// One of the four is not there, or is no text.
    #[error("expected {0} as text")]
    Member(&'static str),
    /// A text with more bytes than a record key can have.
    #[error("expected {0} of at most {max} bytes", max = limits::RECORD_KEY_SIZE_MAX)]
    TooLong(&'static str),
    /// A context that is not an object.
    #[error("expected context as an object")]
    Context,
    /// A time in another form.
    #[error("expected context.time as RFC 3339 in UTC, such as 2026-11-20T14:28:00Z")]
    Time,
    /// A recognition where an authorization is asked for.
    #[error("expected another action than recognize: recognition is asked at /recognition")]
    Recognize,
}

impl Question {
    /// Reads a request. Members that it does not know are passed over.
    pub fn parse(kind: Kind, bytes: &[u8]) -> Result<Self, QuestionError> {
        if bytes.len() > limits::TRQP_QUESTION_SIZE_MAX {
            return Err(QuestionError::Size(bytes.len()));
        }
        let json = Json::parse(bytes)?;
        Self::read(kind, json.as_object().ok_or(QuestionError::Object)?)
    }

    /// Reads the members that questions and answers share.
    pub(super) fn read(kind: Kind, object: &Object) -> Result<Self, QuestionError> {
        let text = |name: &'static str| {
            let text = object.get(name).and_then(Json::as_str).ok_or(QuestionError::Member(name))?;
            if text.len() > limits::RECORD_KEY_SIZE_MAX {
                return Err(QuestionError::TooLong(name));
            }
            Ok(text.to_owned())
        };
        let context = match object.get("context") {
            None | Some(Json::Null) => None,
            Some(Json::Object(context)) => Some(context),
            Some(_) => return Err(QuestionError::Context),
        };
        let time = match context.and_then(|context| context.get("time")) {
            None | Some(Json::Null) => None,
            Some(Json::String(text)) if text.is_empty() => None,
            Some(Json::String(text)) => Some(utc(text).ok_or(QuestionError::Time)?),
            Some(_) => return Err(QuestionError::Time),
        };
        let question = Self {
            kind,
            entity: text("entity_id")?,
            authority: text("authority_id")?,
            action: text("action")?,
            resource: text("resource")?,
            time,
            context: context.map(texts),
        };
        if kind == Kind::Authorization && question.action == super::RECOGNIZE {
            return Err(QuestionError::Recognize);
        }
        Ok(question)
    }

    /// Writes the answer. `evaluated` is the time at which it was given; `proof` lets the asker check it.
    pub fn answered(&self, answer: bool, message: &str, evaluated: Time, proof: Option<Json>) -> String {
        let mut object = Object::new();
        let mut put = |name: &str, value: Json| drop(object.insert(name, value));
        let text = |text: &str| Json::String(text.to_owned());
        put("entity_id", text(&self.entity));
        put("authority_id", text(&self.authority));
        put("action", text(&self.action));
        put("resource", text(&self.resource));
        put(self.kind.member(), Json::Bool(answer));
        put("message", text(message));
        put("time_evaluated", text(&evaluated.to_string()));
        if let Some(time) = self.time {
            put("time_requested", text(&time.to_string()));
        }
        if let Some(context) = &self.context {
            put("context", Json::Object(context.clone()));
        }
        if let Some(proof) = proof {
            put("proof", proof);
        }
        jcs::object_to_string(&object)
    }
}

fn utc(text: &str) -> Option<Time> {
    let is_utc = text.ends_with(['Z', 'z']) || text.ends_with("+00:00");
    Time::from_rfc3339(text).filter(|_| is_utc)
}

/// The schema of an answer allows text alone in a context.
fn texts(context: &Object) -> Object {
    let mut kept = Object::new();
    for (name, value) in context.iter() {
        if let Json::String(_) = value {
            kept.insert(name, value.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: &str = r#""entity_id":"did:e","authority_id":"did:a","action":"issue","resource":"R""#;

    fn parse(more: &str) -> Result<Question, QuestionError> {
        Question::parse(Kind::Authorization, format!("{{{FOUR}{more}}}").as_bytes())
    }

    #[test]
    fn reads_the_four_and_passes_over_what_it_does_not_know() {
        let question = parse(r#","more":[1],"context":{"time":"2026-11-20T14:28:00Z","locator":"x","n":1}"#);
        let question = question.expect("a question");
        assert_eq!(question.time, Time::from_rfc3339("2026-11-20T14:28:00Z"));
        let answer = question.answered(false, "no", Time::START, None);
        assert!(answer.contains(r#""context":{"locator":"x","time":"2026-11-20T14:28:00Z"}"#), "{answer}");
        assert!(answer.contains(r#""authorized":false"#) && !answer.contains("proof"), "{answer}");
    }

    #[test]
    fn a_blank_time_is_now() {
        for context in [r#"{"time":""}"#, "{}", "null"] {
            assert_eq!(parse(&format!(r#","context":{context}"#)).expect("a question").time, None);
        }
    }

    #[test]
    fn refuses_what_is_no_question() {
        use QuestionError as E;
        for time in ["2026-11-20T14:28:00+01:00", "2026-11-20", "soon"] {
            assert_eq!(parse(&format!(r#","context":{{"time":"{time}"}}"#)), Err(E::Time), "{time}");
        }
        assert_eq!(parse(r#","context":{"time":1}"#), Err(E::Time));
        assert_eq!(parse(r#","context":[]"#), Err(E::Context));
        assert!(matches!(parse(r#","action":"verify""#), Err(E::Json(_))), "a name that stands twice");
        let parse = |text: &str| Question::parse(Kind::Authorization, text.as_bytes());
        assert_eq!(parse("[]"), Err(E::Object));
        assert!(matches!(parse("{"), Err(E::Json(_))));
        for name in ["entity_id", "authority_id", "action", "resource"] {
            let without = format!("{{{}}}", FOUR.replace(name, "x"));
            assert_eq!(parse(&without), Err(E::Member(name)));
            let long = format!("\"{name}\":\"{}\"", "x".repeat(limits::RECORD_KEY_SIZE_MAX + 1));
            assert_eq!(parse(&format!("{{{long},{}}}", FOUR.replace(name, "x"))), Err(E::TooLong(name)));
        }
        assert_eq!(parse(&format!("{{{}}}", FOUR.replace("issue", "recognize"))), Err(E::Recognize));
        assert_eq!(
            parse(&" ".repeat(limits::TRQP_QUESTION_SIZE_MAX + 1)),
            Err(E::Size(limits::TRQP_QUESTION_SIZE_MAX + 1))
        );
    }
}
