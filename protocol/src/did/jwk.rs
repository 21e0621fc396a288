//! `did:jwk` with an Ed25519 key, and JSON Web Keys (RFC 8037).
//!
//! ```text
//! did:jwk: + base64url({"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
//! ```

use data_encoding::BASE64URL_NOPAD;

use super::{DidDocument, DidError};
use crate::credential::json::{Json, Object};
use crate::key::PublicKey;

/// Reads the Ed25519 public key of a JWK (RFC 8037 §2); `None` for other keys, and for one that shows its secret.
pub fn read_key(jwk: &Json) -> Option<PublicKey> {
    let jwk = jwk.as_object()?;
    let text = |name| jwk.get(name).and_then(Json::as_str);
    let for_signatures = jwk.get("use").is_none_or(|usage| usage.as_str() == Some("sig"));
    let for_eddsa = jwk.get("alg").is_none_or(|alg| matches!(alg.as_str(), Some("EdDSA" | "Ed25519")));
    if text("kty")? != "OKP" || text("crv")? != "Ed25519" || jwk.get("d").is_some() || !for_signatures || !for_eddsa {
        return None;
    }
    let bytes = BASE64URL_NOPAD.decode(text("x")?.as_bytes()).ok()?;
    PublicKey::from_bytes(bytes.as_slice().try_into().ok()?).ok()
}

/// Returns the JWK of a key.
pub fn write_key(key: PublicKey) -> Json {
    let members =
        [("kty", "OKP".to_owned()), ("crv", "Ed25519".to_owned()), ("x", BASE64URL_NOPAD.encode(key.as_bytes()))];
    Json::Object(members.into_iter().map(|(name, value)| (name, Json::String(value))).collect::<Object>())
}

/// Resolves a `did:jwk`; its method is `#0`.
pub fn resolve(did: &str) -> Result<DidDocument, DidError> {
    let encoded = did.strip_prefix("did:jwk:").ok_or(DidError::Key)?;
    if !super::is_did(did) {
        return Err(DidError::Key);
    }
    let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| DidError::Key)?;
    let jwk = Json::parse(&bytes).map_err(DidError::Json)?;
    let key = read_key(&jwk).ok_or(DidError::Key)?;
    Ok(DidDocument::of_one_key(did, "0", key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::did::Relationship;
    use crate::key::SecretKey;

    fn did(jwk: &str) -> String {
        format!("did:jwk:{}", BASE64URL_NOPAD.encode(jwk.as_bytes()))
    }

    #[test]
    fn resolves_from_itself() {
        let key = SecretKey::from_seed(&[5; 32]).public();
        let did = did(&write_key(key).to_string());
        let document = resolve(&did).expect("a document");
        assert_eq!(document.key_for(&format!("{did}#0"), Relationship::Authentication), Ok(key));
    }

    #[test]
    fn refuses_other_keys_and_secrets() {
        let x = BASE64URL_NOPAD.encode(SecretKey::from_seed(&[5; 32]).public().as_bytes());
        for jwk in [
            format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{x}"}}"#),
            format!(r#"{{"kty":"OKP","crv":"X25519","x":"{x}"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","d":"{x}"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","use":"enc"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}="}}"#),
        ] {
            assert!(resolve(&did(&jwk)).is_err(), "{jwk}");
        }
    }
}
