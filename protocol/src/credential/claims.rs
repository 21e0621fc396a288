//! The W3C Verifiable Credentials Data Model 2.0: what a credential must say, whatever proof it has.
//!
//! ```text
//! {"@context": ["https://www.w3.org/ns/credentials/v2", "https://gov.example/contexts/licence/v1"],
//!  "type": ["VerifiableCredential", "https://gov.example/DrivingLicence"], "issuer": "did:web:transport.gov.example",
//!  "validFrom": "2026-01-01T00:00:00Z", "credentialSubject": {"id": "did:key:z6Mk…", …},
//!  "credentialStatus": {"type": "BitstringStatusListEntry", "statusPurpose": "revocation",
//!    "statusListCredential": "https://transport.gov.example/status/1", "statusListIndex": "40911"}}
//! ```

use super::json::{Json, Object};
use super::{FormatError, malformed, refused};
use crate::limits::{CONTEXTS_MAX, STATUS_ENTRIES_MAX, STATUS_SIZE_MAX, TYPES_MAX, URL_SIZE_MAX};
use crate::time::Time;

/// The context that a credential of version 2.0 names first.
pub const CREDENTIALS_V2: &str = "https://www.w3.org/ns/credentials/v2";

/// One status of a credential (Bitstring Status List 1.0 §2.1): an index in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusEntry {
    /// What the value means, such as `revocation` or `suspension`.
    pub purpose: String,
    /// The identifier of the list.
    pub list: String,
    /// The index in the list.
    pub index: u64,
    /// Bits of one value; 1 unless `statusSize` says otherwise.
    pub size_bits: u8,
}

impl StatusEntry {
    /// Writes the entry for a credential.
    pub fn to_json(&self) -> Json {
        let mut object = Object::from_iter([
            ("type", Json::from("BitstringStatusListEntry")),
            ("statusPurpose", Json::from(self.purpose.as_str())),
            ("statusListCredential", Json::from(self.list.as_str())),
            ("statusListIndex", Json::from(self.index.to_string())),
        ]);
        if self.size_bits != 1 {
            object.insert("statusSize", Json::from(u32::from(self.size_bits)));
        }
        Json::Object(object)
    }
}

/// What a credential claims, in the parts that verification uses.
#[derive(Debug, Clone)]
pub(crate) struct Claims {
    /// The credential without its proof.
    pub(crate) document: Object,
    pub(crate) contexts: Vec<String>,
    pub(crate) types: Vec<String>,
    pub(crate) issuer: String,
    pub(crate) valid_from: Option<Time>,
    pub(crate) valid_until: Option<Time>,
    pub(crate) status: Vec<StatusEntry>,
}

impl Claims {
    /// Reads a credential without its proof; `signed` are the contexts, when the proof covers only some of them.
    pub(crate) fn read(document: Object, signed: Option<Vec<String>>) -> Result<Self, FormatError> {
        let contexts = match signed {
            Some(contexts) => contexts,
            None => read_contexts(document.get("@context").ok_or_else(|| malformed("expected an @context"))?)?,
        };
        if contexts.first().is_none_or(|first| first != CREDENTIALS_V2) {
            return Err(refused(format!("expected {CREDENTIALS_V2} as the first context: only version 2.0 is read")));
        }
        let types = read_types(document.get("type").ok_or_else(|| malformed("expected a type"))?)?;
        if types.iter().any(|kind| kind.starts_with("Enveloped")) {
            return Err(refused("an enveloped credential is not read: give the credential itself"));
        }
        if !types.iter().any(|kind| kind == "VerifiableCredential") {
            return Err(malformed("expected VerifiableCredential among the types"));
        }
        check_optional_id(&document)?;
        check_subjects(document.get("credentialSubject"))?;
        for name in ["credentialSchema", "refreshService", "evidence", "termsOfUse"] {
            check_typed(name, document.get(name))?;
        }
        if document.get("relatedResource").is_some() {
            // Its digests must match what was read; until that is checked, nobody may rely on them.
            return Err(refused("relatedResource is not supported yet"));
        }
        let valid_from = read_time(&document, "validFrom")?;
        let valid_until = read_time(&document, "validUntil")?;
        if valid_from.is_some_and(|from| valid_until.is_some_and(|until| until < from)) {
            return Err(malformed("expected validUntil not to be before validFrom"));
        }
        let issuer = read_issuer(document.get("issuer"))?;
        let status = read_status(document.get("credentialStatus"))?;
        Ok(Self { contexts, types, issuer, valid_from, valid_until, status, document })
    }
}

/// Reads `@context`: URLs only, because what an inline context says is not signed by every suite.
pub(crate) fn read_contexts(value: &Json) -> Result<Vec<String>, FormatError> {
    let mut contexts: Vec<String> = Vec::new();
    for item in value.one_or_many() {
        let url = match item {
            Json::String(url) if is_iri(url) => url,
            Json::Object(_) => return Err(refused("a context written into the credential is not accepted")),
            _ => return Err(malformed("expected URLs as @context")),
        };
        if contexts.contains(url) {
            return Err(refused("one context stands twice"));
        }
        if contexts.len() >= CONTEXTS_MAX {
            return Err(malformed(format!("more than {CONTEXTS_MAX} contexts")));
        }
        contexts.push(url.clone());
    }
    Ok(contexts)
}

fn read_types(value: &Json) -> Result<Vec<String>, FormatError> {
    let items = value.one_or_many();
    if items.is_empty() || items.len() > TYPES_MAX {
        return Err(malformed(format!("expected 1 to {TYPES_MAX} types")));
    }
    let text =
        |item: &Json| item.as_str().filter(|kind| !kind.is_empty() && kind.len() <= URL_SIZE_MAX).map(str::to_owned);
    items.iter().map(|item| text(item).ok_or_else(|| malformed("expected strings as types"))).collect()
}

fn read_issuer(value: Option<&Json>) -> Result<String, FormatError> {
    let id = match value {
        Some(Json::String(id)) => Some(id.as_str()),
        Some(Json::Object(object)) => object.get("id").and_then(Json::as_str),
        _ => None,
    };
    id.filter(|id| is_iri(id)).map(str::to_owned).ok_or_else(|| malformed("expected an issuer that is a URL or a DID"))
}

fn check_optional_id(object: &Object) -> Result<(), FormatError> {
    match object.get("id") {
        None => Ok(()),
        Some(Json::String(id)) if is_iri(id) => Ok(()),
        Some(_) => Err(malformed("expected an id that is an absolute IRI")),
    }
}

fn check_subjects(value: Option<&Json>) -> Result<(), FormatError> {
    let subjects = value.map(Json::one_or_many).unwrap_or_default();
    if subjects.is_empty() {
        return Err(malformed("expected a credentialSubject"));
    }
    for subject in subjects {
        let subject = subject.as_object().filter(|subject| !subject.is_empty());
        check_optional_id(subject.ok_or_else(|| malformed("expected an object with claims as credentialSubject"))?)?;
    }
    Ok(())
}

/// Checks that each value is an object with a `type` (VCDM 2.0 §4.5).
fn check_typed(name: &str, value: Option<&Json>) -> Result<(), FormatError> {
    for item in value.map(Json::one_or_many).unwrap_or_default() {
        let object = item.as_object().ok_or_else(|| malformed(format!("expected objects as {name}")))?;
        if object.get("type").is_none_or(|kind| read_types(kind).is_err()) {
            return Err(malformed(format!("expected a type in {name}")));
        }
        check_optional_id(object)?;
        if name == "credentialSchema" && object.get("id").is_none() {
            return Err(malformed("expected an id in credentialSchema"));
        }
    }
    Ok(())
}

fn read_time(object: &Object, name: &str) -> Result<Option<Time>, FormatError> {
    let Some(value) = object.get(name) else { return Ok(None) };
    let time = value.as_str().and_then(Time::from_rfc3339);
    time.map(Some).ok_or_else(|| malformed(format!("expected a time such as 2026-11-20T14:28:00Z as {name}")))
}

fn read_status(value: Option<&Json>) -> Result<Vec<StatusEntry>, FormatError> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let items = value.one_or_many();
    if items.is_empty() || items.len() > STATUS_ENTRIES_MAX {
        return Err(malformed(format!("expected 1 to {STATUS_ENTRIES_MAX} entries in credentialStatus")));
    }
    items.iter().map(read_status_entry).collect()
}

fn read_status_entry(item: &Json) -> Result<StatusEntry, FormatError> {
    let object = item.as_object().ok_or_else(|| malformed("expected objects as credentialStatus"))?;
    check_optional_id(object)?;
    match object.get("type").and_then(Json::as_str) {
        Some("BitstringStatusListEntry") => {}
        // A status that cannot be looked up must not count as no status.
        Some(other) => return Err(refused(format!("the status type {} is not supported", shortened(other)))),
        None => return Err(malformed("expected a type in credentialStatus")),
    }
    let text = |name| object.get(name).and_then(Json::as_str);
    let purpose = text("statusPurpose").filter(|purpose| (1..=64).contains(&purpose.len()));
    let index = text("statusListIndex").and_then(read_index);
    let size_bits = match object.get("statusSize") {
        None => Some(1),
        Some(size) => {
            size.as_u64().and_then(|size| u8::try_from(size).ok()).filter(|s| (1..=STATUS_SIZE_MAX).contains(s))
        }
    };
    Ok(StatusEntry {
        purpose: purpose.ok_or_else(|| malformed("expected a statusPurpose of 1 to 64 bytes"))?.to_owned(),
        list: text("statusListCredential")
            .filter(|list| is_iri(list))
            .ok_or_else(|| malformed("expected an absolute IRI as statusListCredential"))?
            .to_owned(),
        index: index.ok_or_else(|| malformed("expected decimal digits in a string as statusListIndex"))?,
        size_bits: size_bits.ok_or_else(|| malformed(format!("expected a statusSize of 1 to {STATUS_SIZE_MAX}")))?,
    })
}

fn read_index(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    (canonical && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// True for an absolute IRI that no reader chokes on: a scheme, no spaces, controls or delimiters, and percent signs
/// only in triplets that decode to UTF-8 (`%ff` makes the JSON-LD library panic).
pub(crate) fn is_iri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let mut letters = scheme.bytes();
    let scheme_fits = letters.next().is_some_and(|b| b.is_ascii_alphabetic())
        && letters.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let bad = |c: char| c.is_control() || c.is_whitespace() || "<>\"{}|\\^`".contains(c);
    scheme_fits && text.len() <= URL_SIZE_MAX && !rest.is_empty() && !rest.contains(bad) && decodes_to_utf8(rest)
}

/// True when each `%` begins a triplet, and the decoded bytes are UTF-8.
pub(crate) fn decodes_to_utf8(text: &str) -> bool {
    if !text.contains('%') {
        return true;
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else { return false };
        decoded.push(high * 16 + low);
    }
    std::str::from_utf8(&decoded).is_ok()
}

/// Cuts foreign text for messages.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small credential, as text, with one member replaced or added.
    pub(crate) fn credential_with(name: &str, value: &str) -> Json {
        let text = r#"{"@context":["https://www.w3.org/ns/credentials/v2"],"type":["VerifiableCredential","https://gov.example/Licence"],
            "issuer":"did:web:gov.example","validFrom":"2026-01-01T00:00:00Z","credentialSubject":{"id":"did:example:a","https://gov.example/class":"B"}}"#;
        let mut json = Json::parse(text.as_bytes()).expect("JSON");
        if let Json::Object(object) = &mut json {
            if value.is_empty() {
                object.remove(name);
            } else {
                object.insert(name, Json::parse(value.as_bytes()).expect("JSON"));
            }
        }
        json
    }

    fn read(name: &str, value: &str) -> Result<Claims, FormatError> {
        Claims::read(credential_with(name, value).as_object().expect("an object").clone(), None)
    }

    #[test]
    fn reads_a_small_credential() {
        let claims = read("id", "\"urn:uuid:1\"").expect("a credential");
        assert_eq!(claims.issuer, "did:web:gov.example");
        assert_eq!(claims.valid_from, Time::from_rfc3339("2026-01-01T00:00:00Z"));
        assert_eq!(claims.types.len(), 2);
    }

    #[test]
    fn refuses_what_the_data_model_forbids() {
        for (name, value) in [
            ("@context", ""),
            ("@context", r#"["https://www.w3.org/2018/credentials/v1"]"#),
            ("@context", r#"["https://gov.example/v1","https://www.w3.org/ns/credentials/v2"]"#),
            ("@context", r#"["https://www.w3.org/ns/credentials/v2",{"a":null}]"#),
            ("@context", r#"["https://www.w3.org/ns/credentials/v2","https://www.w3.org/ns/credentials/v2"]"#),
            ("@context", r#"["https://www.w3.org/ns/credentials/v2",7]"#),
            ("type", ""),
            ("type", r#"["Licence"]"#),
            ("type", r#"["VerifiableCredential",null]"#),
            ("type", r#"["EnvelopedVerifiableCredential"]"#),
            ("issuer", ""),
            ("issuer", "\"gov\""),
            ("issuer", r#"{"name":"gov"}"#),
            ("issuer", "\"did:web:a%ff\""),
            ("id", "\"not a url\""),
            ("id", "[\"urn:a\",\"urn:b\"]"),
            ("credentialSubject", ""),
            ("credentialSubject", "{}"),
            ("credentialSubject", "[]"),
            ("credentialSubject", "\"did:example:a\""),
            ("validFrom", "\"2026-01-01\""),
            ("validFrom", "1767225600"),
            ("validFrom", "\"203-01-01T00:00:00Z\""),
            ("validUntil", "\"99999999999\""),
            ("validUntil", "\"99999-01-01T00:00:00Z\""),
            ("validUntil", "\"2025-01-01T00:00:00Z\""),
            ("credentialStatus", r#"{"id":"https://a.example/1"}"#),
            ("credentialStatus", r#"{"type":"StatusList2021Entry"}"#),
            ("credentialSchema", r#"{"id":"https://a.example/1"}"#),
            ("credentialSchema", r#"{"type":"JsonSchema"}"#),
            ("evidence", r#"[{"id":"https://a.example/1"}]"#),
            ("termsOfUse", "\"none\""),
            ("relatedResource", r#"{"id":"https://a.example/1"}"#),
        ] {
            assert!(read(name, value).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn reads_status_entries_strictly() {
        let entry = |index: &str, rest: &str| {
            format!(
                r#"{{"type":"BitstringStatusListEntry","statusPurpose":"revocation","statusListIndex":{index},
                    "statusListCredential":"https://gov.example/status/1"{rest}}}"#
            )
        };
        let claims = read("credentialStatus", &entry("\"40911\"", "")).expect("a status");
        assert_eq!((claims.status[0].index, claims.status[0].size_bits), (40_911, 1));
        let twice = format!("[{0},{0}]", entry("\"0\"", ",\"statusSize\":2"));
        assert_eq!(read("credentialStatus", &twice).expect("two").status.len(), 2);
        for (index, rest) in [
            ("40911", ""),
            ("\"007\"", ""),
            ("\"-1\"", ""),
            ("\"+1\"", ""),
            ("\"\"", ""),
            ("\"99999999999999999999\"", ""),
            ("\"1\"", ",\"statusSize\":0"),
            ("\"1\"", ",\"statusSize\":300"),
            ("\"1\"", ",\"statusSize\":\"1\""),
        ] {
            assert!(read("credentialStatus", &entry(index, rest)).is_err(), "{index} {rest}");
        }
        let many = format!("[{}]", vec![entry("\"1\"", ""); STATUS_ENTRIES_MAX + 1].join(","));
        assert!(read("credentialStatus", &many).is_err());
    }

    #[test]
    fn knows_iris() {
        for iri in ["https://a.example/b?c#d", "urn:uuid:1", "did:web:a%3A80", "https://é.example/%C3%A9"] {
            assert!(is_iri(iri), "{iri}");
        }
        for iri in ["", "a", ":a", "1a:b", "a:", "a:b c", "a:%ff", "a:%", "a:%4", "a:<b>", "a:\u{0}", "é:a"] {
            assert!(!is_iri(iri), "{iri}");
        }
    }
}
