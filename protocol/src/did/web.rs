//! `did:web`: an identifier made of a host name, whose document a register holds.
//!
//! ```text
//! did:web:transport.gov.example        did:web:localhost%3A8080:agencies:transport
//! ```

use super::{DidError, shortened};
use crate::credential::json::{Json, Object};
use crate::key::PublicKey;

/// Returns the DID of a host, such as `transport.gov.example` or `localhost:8080`.
pub fn did_of(host: &str) -> Result<String, DidError> {
    let bad = || DidError::Host(shortened(host));
    let (name, port) = match host.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(bad());
    }
    match port {
        None => Ok(format!("did:web:{name}")),
        Some(port) if !port.starts_with('0') && port.parse::<u16>().is_ok() => Ok(format!("did:web:{name}%3A{port}")),
        Some(_) => Err(bad()),
    }
}

/// Makes the document of a host's DID with one Multikey method `#name`, for issuing and for authentication.
pub fn document(host: &str, name: &str, key: PublicKey) -> Result<Json, DidError> {
    let did = did_of(host)?;
    let method = super::absolute(&did, &format!("#{name}"))?;
    let text = |text: &str| Json::from(text);
    let methods = Object::from_iter([
        ("id", text(&method)),
        ("type", text("Multikey")),
        ("controller", text(&did)),
        ("publicKeyMultibase", Json::from(key.to_multikey())),
    ]);
    let contexts = ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"];
    Ok(Json::Object(Object::from_iter([
        ("@context", Json::Array(contexts.map(text).to_vec())),
        ("id", text(&did)),
        ("verificationMethod", Json::Array(vec![Json::Object(methods)])),
        ("assertionMethod", Json::Array(vec![text(&method)])),
        ("authentication", Json::Array(vec![text(&method)])),
    ])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::did::{DidDocument, Relationship};
    use crate::key::SecretKey;

    #[test]
    fn makes_a_document_that_gives_its_key() {
        let key = SecretKey::from_seed(&[6; 32]).public();
        let document = document("transport.gov.example", "lic-2026", key).expect("a document");
        let document = DidDocument::from_json(&document).expect("a document");
        let method = "did:web:transport.gov.example#lic-2026";
        assert_eq!(document.key_for(method, Relationship::AssertionMethod), Ok(key));
        assert_eq!(document.key_for(method, Relationship::Authentication), Ok(key));
    }

    #[test]
    fn refuses_what_is_not_a_host() {
        assert_eq!(did_of("localhost:8080").as_deref(), Ok("did:web:localhost%3A8080"));
        for host in ["", "a..b", "-a.b", "A.example", "a.example/x", "a:b", "a:0", "a:99999", "https://a", "ä.example"]
        {
            assert!(did_of(host).is_err(), "{host}");
        }
        let key = SecretKey::from_seed(&[6; 32]).public();
        assert!(document("a.example", "two words", key).is_err());
        assert!(document("a.example", "", key).is_err());
    }
}
