//! `vc+jwt`: a credential as the payload of a compact JWS (VC-JOSE-COSE §3.1, RFC 7515, RFC 8037).
//!
//! ```text
//! {"alg":"EdDSA","kid":"did:web:transport.gov.example#lic-2026","typ":"vc+jwt"} . {credential} . signature
//! ```
//!
//! The signature is checked over the received bytes, which are never written again. `kid` names the key in the issuer's
//! document; a key that the token brings along is never used.

use data_encoding::BASE64URL_NOPAD;

use super::claims::Claims;
use super::json::{Json, Object};
use super::{FormatError, malformed, refused};
use crate::did::split_method;
use crate::limits::{DID_SIZE_MAX, JOSE_HEADER_SIZE_MAX};
use crate::time::Time;

/// What a token says beside the credential.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    signing_input: Vec<u8>,
    signature: [u8; 64],
    /// `kid` as read, and the absolute DID URL once the issuer is known.
    method: String,
    not_before: Option<Time>,
    expires: Option<Time>,
    issued_at: Option<Time>,
    issuer: Option<String>,
    id: Option<String>,
}

/// Reads a compact JWS; the credential is its payload.
pub(crate) fn read(bytes: &[u8]) -> Result<(Envelope, Object), FormatError> {
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("expected a credential: JSON or a compact JWS"))?;
    if text.contains('~') {
        return Err(refused("SD-JWT is not supported yet"));
    }
    let mut parts = text.split('.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed("expected a credential: JSON or a compact JWS of three parts"));
    };
    if header.len() > JOSE_HEADER_SIZE_MAX {
        return Err(malformed(format!("expected at most {JOSE_HEADER_SIZE_MAX} bytes of JOSE header")));
    }
    let kid = read_header(&object(header, "the JOSE header")?)?;
    let signature = decode(signature, "the signature")?;
    let signature = signature.as_slice().try_into().map_err(|_| malformed("expected a signature of 64 bytes"))?;
    let payload = object(payload, "the payload")?;
    if payload.get("vc").is_some() || payload.get("vp").is_some() {
        return Err(refused("expected the payload to be the credential, without the claims vc and vp"));
    }
    if payload.get("proof").is_some() {
        // Two proofs, of which only one would be checked.
        return Err(refused("a credential in a JWS with another proof is not accepted"));
    }
    let text_claim = |name: &'static str| match payload.get(name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(malformed(format!("expected a string as {name}"))),
    };
    let envelope = Envelope {
        signing_input: signing_input(text).to_vec(),
        signature,
        method: kid,
        not_before: numeric_date(&payload, "nbf")?,
        expires: numeric_date(&payload, "exp")?,
        issued_at: numeric_date(&payload, "iat")?,
        issuer: text_claim("iss")?,
        id: text_claim("jti")?,
    };
    Ok((envelope, payload))
}

/// Returns everything before the last dot.
fn signing_input(text: &str) -> &[u8] {
    text.rsplit_once('.').map_or(&[], |(input, _)| input.as_bytes())
}

/// Checks the header and returns `kid`.
fn read_header(header: &Object) -> Result<String, FormatError> {
    match header.get("alg").and_then(Json::as_str) {
        // RFC 9864 names the curve; both names mean Ed25519 here, and the key decides.
        Some("EdDSA" | "Ed25519") => {}
        Some(alg) => return Err(refused(format!("the algorithm {} is not accepted", super::claims::shortened(alg)))),
        None => return Err(malformed("expected an alg in the JOSE header")),
    }
    if header.get("typ").and_then(Json::as_str) != Some("vc+jwt") {
        return Err(refused("expected typ vc+jwt in the JOSE header"));
    }
    for name in ["crit", "b64", "jwk", "jku", "x5c", "x5u"] {
        if header.get(name).is_some() {
            return Err(refused(format!("the JOSE header member {name} is not accepted")));
        }
    }
    let kid = header.get("kid").and_then(Json::as_str).filter(|kid| kid.len() <= DID_SIZE_MAX);
    kid.map(str::to_owned).ok_or_else(|| malformed("expected a kid in the JOSE header"))
}

/// Reads a NumericDate (RFC 7519 §2); what lies outside 1970 to 9999 counts as the nearest time within.
fn numeric_date(payload: &Object, name: &str) -> Result<Option<Time>, FormatError> {
    let secs = match payload.get(name) {
        None => return Ok(None),
        Some(Json::Number(secs)) => secs.as_f64().floor(),
        Some(_) => return Err(malformed(format!("expected seconds as {name}"))),
    };
    // A float cast saturates, and the number is finite.
    Ok(Some(Time::from_secs_saturating(secs.max(0.0) as u64)))
}

fn decode(part: &str, what: &str) -> Result<Vec<u8>, FormatError> {
    BASE64URL_NOPAD
        .decode(part.as_bytes())
        .map_err(|_| malformed(format!("expected base64url without padding as {what}")))
}

fn object(part: &str, what: &str) -> Result<Object, FormatError> {
    match Json::parse(&decode(part, what)?)? {
        Json::Object(object) => Ok(object),
        _ => Err(malformed(format!("expected an object as {what}"))),
    }
}

impl Envelope {
    /// Binds the token to its credential: `kid` made absolute, and claims that say a thing twice say the same.
    pub(crate) fn bind(mut self, claims: &Claims) -> Result<Self, FormatError> {
        if self.method.starts_with('#') {
            self.method = format!("{}{}", claims.issuer, self.method);
        }
        if split_method(&self.method).is_none() {
            return Err(malformed("expected a kid that is a DID URL such as did:web:example.org#key"));
        }
        if self.issuer.as_ref().is_some_and(|issuer| *issuer != claims.issuer) {
            return Err(refused("iss is not the credential's issuer"));
        }
        let id = claims.document.get("id").and_then(Json::as_str);
        if self.id.as_deref().is_some_and(|jti| id.is_some_and(|id| id != jti)) {
            return Err(refused("jti is not the credential's id"));
        }
        Ok(self)
    }

    pub(crate) fn signing_input(&self) -> &[u8] {
        &self.signing_input
    }

    pub(crate) fn signature(&self) -> &[u8; 64] {
        &self.signature
    }

    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    pub(crate) fn not_before(&self) -> Option<Time> {
        self.not_before
    }

    pub(crate) fn expires(&self) -> Option<Time> {
        self.expires
    }

    pub(crate) fn issued_at(&self) -> Option<Time> {
        self.issued_at
    }
}

#[cfg(test)]
mod tests {
    use super::super::claims::tests::credential_with;
    use super::super::contexts::Contexts;
    use super::super::{Credential, ProofError};
    use super::*;
    use crate::key::SecretKey;

    const HEADER: &str = r#"{"alg":"EdDSA","kid":"did:web:gov.example#a","typ":"vc+jwt"}"#;

    fn token(header: &str, payload: &str) -> String {
        let input =
            format!("{}.{}", BASE64URL_NOPAD.encode(header.as_bytes()), BASE64URL_NOPAD.encode(payload.as_bytes()));
        let signature = SecretKey::from_seed(&[9; 32]).sign(input.as_bytes());
        format!("{input}.{}", BASE64URL_NOPAD.encode(&signature))
    }

    fn with_claim(name: &str, value: &str) -> Result<Credential, FormatError> {
        Credential::parse(token(HEADER, &credential_with(name, value).to_string()).as_bytes())
    }

    #[test]
    fn proves_over_the_received_bytes() {
        // Spaces and the order of names are the signer's.
        let payload = format!(
            " {} ",
            credential_with("id", "\"urn:a\"").to_string().replace("\"id\":\"urn:a\"", "\"id\" : \"urn:a\"")
        );
        let text = token(HEADER, &payload);
        let credential = Credential::parse(format!("{text}\n").as_bytes()).expect("a token");
        let key = SecretKey::from_seed(&[9; 32]).public();
        let contexts = Contexts::builtin();
        assert!(credential.prove(&key, &contexts).is_ok());
        assert_eq!(credential.size_bytes(), text.len());
        let input = credential.signing_input(&contexts).expect("input");
        assert_eq!(input.as_ref(), text.rsplit_once('.').expect("dots").0.as_bytes());
        let other = SecretKey::from_seed(&[8; 32]).public();
        assert_eq!(credential.prove(&other, &contexts).map(|_| ()), Err(ProofError::Mismatch));
    }

    #[test]
    fn refuses_headers_that_are_never_accepted() {
        let payload = credential_with("id", "\"urn:a\"").to_string();
        for (header, code) in [
            (r#"{"alg":"none","kid":"did:web:gov.example#a","typ":"vc+jwt"}"#, "format-refused"),
            (r#"{"alg":"HS256","kid":"did:web:gov.example#a","typ":"vc+jwt"}"#, "format-refused"),
            (r#"{"alg":"EdDSA","kid":"did:web:gov.example#a","typ":"JWT"}"#, "format-refused"),
            (r#"{"alg":"EdDSA","kid":"did:web:gov.example#a","typ":"vc+ld+jwt"}"#, "format-refused"),
            (r#"{"alg":"EdDSA","kid":"did:web:gov.example#a"}"#, "format-refused"),
            (r#"{"alg":"EdDSA","kid":"did:web:gov.example#a","typ":"vc+jwt","crit":["x"],"x":1}"#, "format-refused"),
            (r#"{"alg":"EdDSA","kid":"did:web:gov.example#a","typ":"vc+jwt","b64":false}"#, "format-refused"),
            (r#"{"alg":"EdDSA","kid":"did:web:gov.example#a","typ":"vc+jwt","jwk":{}}"#, "format-refused"),
            (r#"{"alg":"EdDSA","typ":"vc+jwt"}"#, "format-malformed"),
            (r#"{"alg":"EdDSA","kid":"did:web:gov.example","typ":"vc+jwt"}"#, "format-malformed"),
            (r#"{"alg":"EdDSA","kid":"a","typ":"vc+jwt"}"#, "format-malformed"),
            (r#"{"alg":"none","alg":"EdDSA","kid":"did:web:gov.example#a","typ":"vc+jwt"}"#, "format-malformed"),
            ("[]", "format-malformed"),
        ] {
            let error = Credential::parse(token(header, &payload).as_bytes()).expect_err(header);
            assert_eq!(error.code(), code, "{header}");
        }
    }

    #[test]
    fn refuses_claims_that_contradict_the_credential() {
        for (name, value) in [
            ("iss", "\"did:web:evil.example\""),
            ("iss", "1"),
            ("vc", "{}"),
            ("vp", "{}"),
            ("proof", "{}"),
            ("exp", "\"1\""),
        ] {
            assert!(with_claim(name, value).is_err(), "{name}");
        }
        assert!(with_claim("iss", "\"did:web:gov.example\"").is_ok());
    }

    #[test]
    fn takes_any_number_as_a_date() {
        for (value, secs) in
            [("1e3", 1000), ("99999999999", 99_999_999_999), ("1e300", Time::END.secs()), ("-5", 0), ("1.5", 1)]
        {
            let credential = with_claim("exp", value).expect(value);
            assert_eq!(credential.valid_until(), Time::from_secs(secs), "{value}");
        }
        assert!(with_claim("exp", "1").expect("a token").valid_until() < Time::from_secs(2));
        let later = with_claim("nbf", "4000000000").expect("a token");
        assert_eq!(later.valid_from(), Time::from_secs(4_000_000_000));
    }

    #[test]
    fn makes_a_fragment_absolute_with_the_issuer() {
        let payload = credential_with("id", "\"urn:a\"").to_string();
        let text = token(r##"{"alg":"Ed25519","kid":"#a","typ":"vc+jwt"}"##, &payload);
        let credential = Credential::parse(text.as_bytes()).expect("a token");
        assert_eq!(credential.verification_method(), "did:web:gov.example#a");
    }

    #[test]
    fn refuses_other_shapes() {
        let good = token(HEADER, &credential_with("id", "\"urn:a\"").to_string());
        let (input, signature) = good.rsplit_once('.').expect("dots");
        for text in [
            String::new(),
            input.to_owned(),
            format!("{good}."),
            format!("{good}~"),
            format!("{input}.{}", &signature[1..]),
            format!("{input}.{signature}="),
            good.replace('.', ".\n"),
            "\u{0}".to_owned(),
        ] {
            assert!(Credential::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Credential::parse(&[0xff, 0xfe]).is_err());
    }
}
