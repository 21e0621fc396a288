//! Issuing: a credential is completed, then signed as a JWT or with a Data Integrity proof.
//!
//! What is issued is read back by the same strict reader before it leaves.

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;

use super::claims::{CREDENTIALS_V2, Claims, StatusEntry};
use super::contexts::{ContextError, Contexts};
use super::data_integrity::{Suite, hash_data, write_value};
use super::json::{Json, Object};
use super::{Credential, FormatError, malformed, refused};
use crate::key::{Signer, SigningError};
use crate::time::Time;

/// Why a credential was not issued.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IssueError {
    /// It would not be read back.
    #[error("the credential would not be accepted as well formed")]
    Format(#[from] FormatError),
    /// What would be signed cannot be made out.
    #[error("what would be signed cannot be made out")]
    Context(#[from] ContextError),
    /// Whatever keeps the key does not sign.
    #[error("nothing was signed")]
    Signing(#[from] SigningError),
}

/// Completes an unsigned credential: the context and type of version 2.0 where they are missing, the issuer, when it
/// begins where that is missing, and a status. What is there already is kept, and must not contradict.
pub fn complete(
    unsigned: &Json,
    issuer: &str,
    valid_from: Time,
    status: Option<&StatusEntry>,
) -> Result<Json, FormatError> {
    let mut object = unsigned.as_object().ok_or_else(|| malformed("expected a credential as an object"))?.clone();
    if object.get("proof").is_some() {
        return Err(refused("the credential has a proof already"));
    }
    lead_with(&mut object, "@context", CREDENTIALS_V2);
    lead_with(&mut object, "type", "VerifiableCredential");
    let named = match object.get("issuer") {
        Some(Json::Object(named)) => named.get("id").and_then(Json::as_str),
        Some(named) => named.as_str(),
        None => Some(issuer),
    };
    if named != Some(issuer) {
        return Err(refused("the credential names another issuer"));
    }
    if object.get("issuer").is_none() {
        object.insert("issuer", Json::from(issuer));
    }
    if object.get("validFrom").is_none() {
        object.insert("validFrom", Json::from(valid_from.to_string()));
    }
    if let Some(status) = status
        && object.insert("credentialStatus", status.to_json()).is_some()
    {
        return Err(refused("the credential has a status already"));
    }
    Claims::read(object.clone(), None)?;
    Ok(Json::Object(object))
}

/// Puts a value first in a list of one or many, unless it is in it.
fn lead_with(object: &mut Object, name: &str, value: &str) {
    let mut values = object.get(name).map(|held| held.one_or_many().to_vec()).unwrap_or_default();
    if !values.iter().any(|held| held.as_str() == Some(value)) {
        values.insert(0, Json::from(value));
        object.insert(name, Json::Array(values));
    }
}

/// Signs a credential as `vc+jwt`; `kid` is the DID URL of the key.
pub fn issue_vc_jwt(credential: &Json, kid: &str, key: &dyn Signer) -> Result<String, IssueError> {
    let header =
        Object::from_iter([("alg", "EdDSA"), ("kid", kid), ("typ", "vc+jwt")].map(|(n, v)| (n, Json::from(v))));
    let encode = |value: String| BASE64URL_NOPAD.encode(value.as_bytes());
    let input = format!("{}.{}", encode(Json::Object(header).to_string()), encode(credential.to_string()));
    let token = format!("{input}.{}", BASE64URL_NOPAD.encode(&key.sign(input.as_bytes())?));
    Credential::parse(token.as_bytes())?;
    Ok(token)
}

/// Adds a Data Integrity proof to a credential.
pub fn issue_data_integrity(
    credential: &Json,
    suite: Suite,
    verification_method: &str,
    created: Time,
    key: &dyn Signer,
    contexts: &Contexts,
) -> Result<Json, IssueError> {
    let mut document = credential.as_object().ok_or_else(|| malformed("expected a credential as an object"))?.clone();
    if document.get("proof").is_some() {
        return Err(refused("the credential has a proof already").into());
    }
    let mut config = Object::from_iter([
        ("type", Json::from("DataIntegrityProof")),
        ("cryptosuite", Json::from(suite.name())),
        ("created", Json::from(created.to_string())),
        ("verificationMethod", Json::from(verification_method)),
        ("proofPurpose", Json::from("assertionMethod")),
    ]);
    if let (Suite::EddsaJcs2022, Some(context)) = (suite, document.get("@context")) {
        config.insert("@context", context.clone());
    }
    let claims = Claims::read(document.clone(), None)?;
    let input = hash_data(suite, &config, &document, &claims.contexts, contexts)?;
    config.insert("proofValue", Json::from(write_value(&key.sign(&input)?)));
    document.insert("proof", Json::Object(config));
    let issued = Json::Object(document);
    Credential::parse(&Bytes::from(issued.to_string()))?;
    Ok(issued)
}

#[cfg(test)]
mod tests {
    use super::super::claims::tests::credential_with;
    use super::*;
    use crate::key::SecretKey;

    fn time() -> Time {
        Time::from_rfc3339("2026-11-20T14:28:00Z").expect("a time")
    }

    #[test]
    fn completes_what_is_missing() {
        let unsigned =
            Json::parse(br#"{"type":"https://gov.example/Licence","credentialSubject":{"id":"did:example:a"}}"#);
        let status = StatusEntry {
            purpose: "revocation".to_owned(),
            list: "https://gov.example/status/1".to_owned(),
            index: 7,
            size_bits: 1,
        };
        let done = complete(&unsigned.expect("JSON"), "did:web:gov.example", time(), Some(&status)).expect("complete");
        let key = SecretKey::from_seed(&[2; 32]);
        let token = issue_vc_jwt(&done, "did:web:gov.example#a", &key).expect("a token");
        let credential = Credential::parse(token.as_bytes()).expect("a credential");
        assert!(credential.prove(&key.public(), &Contexts::builtin()).is_ok());
        assert_eq!(credential.types(), ["VerifiableCredential", "https://gov.example/Licence"]);
        assert_eq!(credential.status(), [status]);
        assert_eq!(credential.valid_from(), Some(time()));
    }

    #[test]
    fn refuses_contradictions() {
        let issuer = "did:web:gov.example";
        for (name, value) in [("issuer", "\"did:web:other.example\""), ("proof", "{}"), ("credentialSubject", "")] {
            assert!(complete(&credential_with(name, value), issuer, time(), None).is_err(), "{name}");
        }
        let credential = credential_with("id", "\"urn:a\"");
        assert!(issue_vc_jwt(&credential, "did:web:gov.example", &SecretKey::from_seed(&[2; 32])).is_err());
    }
}
