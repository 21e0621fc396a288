//! Data Integrity proofs with Ed25519 (Data Integrity 1.0, di-eddsa 1.0).
//!
//! ```text
//! {"type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022", "created": "2026-11-20T14:28:00Z",
//!  "verificationMethod": "did:web:transport.gov.example#lic-2026", "proofPurpose": "assertionMethod",
//!  "@context": ["https://www.w3.org/ns/credentials/v2"], "proofValue": "z2HnFSS…"}
//! ```
//!
//! What is signed: SHA-256(canonical proof configuration) ‖ SHA-256(canonical document), the proof first. One proof a
//! credential; sets and chains are not read yet.

use sha2::{Digest as _, Sha256};

use super::claims::{Claims, is_iri, read_contexts, shortened};
use super::contexts::{ContextError, Contexts};
use super::json::{Json, Object};
use super::{Format, FormatError, jcs, malformed, refused};
use crate::did::split_method;
use crate::time::Time;

/// How a Data Integrity proof makes bytes of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// `eddsa-jcs-2022`: RFC 8785.
    EddsaJcs2022,
    /// `eddsa-rdfc-2022`: JSON-LD, and RDF Dataset Canonicalization 1.0.
    EddsaRdfc2022,
}

impl Suite {
    /// Returns the value of `cryptosuite`.
    pub fn name(self) -> &'static str {
        self.format().name()
    }

    /// Returns the format of credentials with such a proof.
    pub fn format(self) -> Format {
        match self {
            Self::EddsaJcs2022 => Format::EddsaJcs2022,
            Self::EddsaRdfc2022 => Format::EddsaRdfc2022,
        }
    }

    fn read(name: &str) -> Option<Self> {
        [Self::EddsaJcs2022, Self::EddsaRdfc2022].into_iter().find(|suite| suite.name() == name)
    }
}

/// A proof as read.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    suite: Suite,
    /// The proof without its value.
    config: Object,
    signature: [u8; 64],
    method: String,
    created: Option<Time>,
    expires: Option<Time>,
}

/// Splits a secured document from its one proof.
pub(crate) fn split(document: Json) -> Result<(Object, Proof), FormatError> {
    let Json::Object(mut document) = document else { return Err(malformed("expected a credential as an object")) };
    let proof = match document.remove("proof") {
        Some(Json::Object(proof)) => proof,
        Some(Json::Array(mut proofs)) => match (proofs.pop(), proofs.is_empty()) {
            (Some(Json::Object(proof)), true) => proof,
            (Some(_), false) => return Err(refused("a credential with several proofs is not supported yet")),
            _ => return Err(malformed("expected a proof that is an object")),
        },
        Some(_) => return Err(malformed("expected a proof that is an object")),
        None => return Err(malformed("expected a credential with a proof")),
    };
    Ok((document, Proof::read(proof)?))
}

/// The members that the security vocabulary defines and that a configuration may have under eddsa-rdfc-2022.
const RDFC_MEMBERS: [&str; 11] = [
    "@context",
    "challenge",
    "created",
    "cryptosuite",
    "domain",
    "expires",
    "id",
    "nonce",
    "proofPurpose",
    "type",
    "verificationMethod",
];

impl Proof {
    fn read(mut config: Object) -> Result<Self, FormatError> {
        let value = config.remove("proofValue");
        let text = |name: &str| config.get(name).and_then(Json::as_str);
        match text("type") {
            Some("DataIntegrityProof") => {}
            Some(other) => return Err(refused(format!("the proof type {} is not supported", shortened(other)))),
            None => return Err(malformed("expected a type in the proof")),
        }
        let suite = text("cryptosuite").ok_or_else(|| malformed("expected a cryptosuite in the proof"))?;
        let suite = Suite::read(suite)
            .ok_or_else(|| refused(format!("the cryptosuite {} is not supported", shortened(suite))))?;
        match text("proofPurpose") {
            Some("assertionMethod") => {}
            Some(_) => return Err(refused("expected a proof whose purpose is assertionMethod")),
            None => return Err(malformed("expected a proofPurpose in the proof")),
        }
        if config.get("previousProof").is_some() {
            return Err(refused("a chain of proofs is not supported yet"));
        }
        // An object here would be a key that the proof brings along itself.
        let method = text("verificationMethod").filter(|method| split_method(method).is_some());
        let method = method.ok_or_else(|| malformed("expected a DID URL as verificationMethod"))?.to_owned();
        if config.get("id").is_some_and(|id| !id.as_str().is_some_and(is_iri)) {
            return Err(malformed("expected an absolute IRI as the proof's id"));
        }
        let unknown = config.iter().map(|(name, _)| name).find(|name| !RDFC_MEMBERS.contains(name));
        if let (Suite::EddsaRdfc2022, Some(name)) = (suite, unknown) {
            return Err(refused(format!("the proof's member {} is not signed by its suite", shortened(name))));
        }
        let created = read_time(&config, "created")?;
        let expires = read_time(&config, "expires")?;
        let signature = value.as_ref().and_then(Json::as_str).and_then(read_value);
        let signature = signature.ok_or_else(|| malformed("expected 64 bytes in base58 after a z as proofValue"))?;
        Ok(Self { suite, config, signature, method, created, expires })
    }

    /// Returns the contexts that the proof covers, when those are not simply the document's.
    ///
    /// eddsa-jcs-2022 signs the contexts that the proof repeats: what stands after them in the document was put there by
    /// anybody. eddsa-rdfc-2022 gives the proof the document's own, so another list there would mean nothing.
    pub(crate) fn signed_contexts(&self, document: &Object) -> Result<Option<Vec<String>>, FormatError> {
        let Some(own) = self.config.get("@context") else { return Ok(None) };
        let whole = document.get("@context").ok_or_else(|| malformed("expected an @context"))?;
        if self.suite == Suite::EddsaRdfc2022 {
            let same = own == whole;
            return if same { Ok(None) } else { Err(refused("the proof's @context is not the credential's")) };
        }
        let own = read_contexts(own)?;
        if !read_contexts(whole)?.starts_with(&own) {
            return Err(refused("the credential's @context does not begin with that of its proof"));
        }
        Ok(Some(own))
    }

    pub(crate) fn suite(&self) -> Suite {
        self.suite
    }

    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    pub(crate) fn created(&self) -> Option<Time> {
        self.created
    }

    pub(crate) fn expires(&self) -> Option<Time> {
        self.expires
    }

    pub(crate) fn signature(&self) -> &[u8; 64] {
        &self.signature
    }

    /// Returns the bytes that are signed.
    pub(crate) fn hash_data(&self, claims: &Claims, contexts: &Contexts) -> Result<[u8; 64], ContextError> {
        hash_data(self.suite, &self.config, &claims.document, &claims.contexts, contexts)
    }
}

/// Returns SHA-256(configuration) ‖ SHA-256(document) of a suite.
pub(crate) fn hash_data(
    suite: Suite,
    config: &Object,
    document: &Object,
    names: &[String],
    contexts: &Contexts,
) -> Result<[u8; 64], ContextError> {
    let (config_text, document_text) = match suite {
        Suite::EddsaJcs2022 => {
            let document = match config.get("@context") {
                Some(signed) if document.get("@context") != Some(signed) => {
                    let mut narrowed = document.clone();
                    narrowed.insert("@context", signed.clone());
                    jcs::object_to_string(&narrowed)
                }
                _ => jcs::object_to_string(document),
            };
            (jcs::object_to_string(config), document)
        }
        Suite::EddsaRdfc2022 => (config_quads(config)?, contexts.canonical_quads(names, document)?),
    };
    let mut both = [0; 64];
    let (first, second) = both.split_at_mut(32);
    first.copy_from_slice(&Sha256::digest(config_text.as_bytes()));
    second.copy_from_slice(&Sha256::digest(document_text.as_bytes()));
    Ok(both)
}

/// Returns the canonical N-Quads of a proof configuration, without expanding it.
///
/// The first context of every credential read here is credentials/v2, which protects each of these terms: no later
/// context can give them another meaning, so the statements are known beforehand. A test compares them with expansion.
pub(crate) fn config_quads(config: &Object) -> Result<String, ContextError> {
    const SEC: &str = "https://w3id.org/security#";
    const DATE_TIME: &str = "^^<http://www.w3.org/2001/XMLSchema#dateTime>";
    let text = |name: &str| config.get(name).and_then(Json::as_str);
    let subject = text("id").map_or_else(|| "_:c14n0".to_owned(), |id| format!("<{id}>"));
    let mut lines = vec![
        format!("{subject} <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <{SEC}DataIntegrityProof> .\n"),
        format!("{subject} <{SEC}proofPurpose> <{SEC}assertionMethod> .\n"),
    ];
    let mut literal = |property: &str, value: &str, datatype: &str| {
        let mut line = format!("{subject} <{property}> \"");
        write_escaped(value, &mut line);
        line.push('"');
        line.push_str(datatype);
        line.push_str(" .\n");
        lines.push(line);
    };
    for (name, property, datatype) in [
        ("created", "http://purl.org/dc/terms/created".to_owned(), DATE_TIME),
        ("expires", format!("{SEC}expiration"), DATE_TIME),
        ("cryptosuite", format!("{SEC}cryptosuite"), "^^<https://w3id.org/security#cryptosuiteString>"),
        ("challenge", format!("{SEC}challenge"), ""),
        ("nonce", format!("{SEC}nonce"), ""),
        ("domain", format!("{SEC}domain"), ""),
    ] {
        let Some(value) = config.get(name) else { continue };
        let values = if name == "domain" { value.one_or_many() } else { std::slice::from_ref(value) };
        if values.is_empty() {
            return Err(ContextError::Unsigned { reason: "an empty list in the proof is not signed".into() });
        }
        for value in values {
            let value = value.as_str();
            literal(
                &property,
                value.ok_or_else(|| ContextError::Unsigned {
                    reason: format!("expected strings as {name} of the proof").into(),
                })?,
                datatype,
            );
        }
    }
    if let Some(method) = text("verificationMethod") {
        lines.push(format!("{subject} <{SEC}verificationMethod> <{method}> .\n"));
    }
    lines.sort_unstable();
    lines.dedup();
    Ok(lines.concat())
}

/// Appends a literal as canonical N-Quads write it (RDF Dataset Canonicalization 1.0 §5).
pub(crate) fn write_escaped(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '\u{7f}' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            _ => out.push(c),
        }
    }
}

/// Writes a signature as `proofValue`.
pub(crate) fn write_value(signature: &[u8; 64]) -> String {
    format!("z{}", bs58::encode(signature).into_string())
}

fn read_value(text: &str) -> Option<[u8; 64]> {
    // 64 bytes need at most 88 digits; base58 of more is quadratic work.
    let encoded = text.strip_prefix('z').filter(|encoded| encoded.len() <= 88)?;
    bs58::decode(encoded).into_vec().ok()?.as_slice().try_into().ok()
}

fn read_time(config: &Object, name: &str) -> Result<Option<Time>, FormatError> {
    let Some(value) = config.get(name) else { return Ok(None) };
    let time = value.as_str().and_then(Time::from_rfc3339);
    time.map(Some)
        .ok_or_else(|| malformed(format!("expected a time such as 2026-11-20T14:28:00Z as {name} of the proof")))
}

#[cfg(test)]
mod tests {
    use super::super::claims::tests::credential_with;
    use super::super::issue::issue_data_integrity;
    use super::super::{BindingError, Credential, ProofError, issuer_binding};
    use super::*;
    use crate::did::{DidDocument, MethodError};
    use crate::key::{PublicKey, SecretKey};

    const METHOD: &str = "did:web:gov.example#a";

    fn secret() -> SecretKey {
        SecretKey::from_seed(&[4; 32])
    }

    fn public() -> PublicKey {
        secret().public()
    }

    fn issued(suite: Suite) -> Json {
        let created = Time::from_rfc3339("2026-11-20T14:28:00Z").expect("a time");
        let credential = credential_with("id", "\"urn:uuid:1\"");
        issue_data_integrity(&credential, suite, METHOD, created, &secret(), &Contexts::builtin()).expect("issued")
    }

    /// Signs whatever proof members a test wants, as an attacker or a careless issuer might.
    fn signed_with(suite: Suite, members: &[(&str, &str)]) -> Json {
        let mut document = issued(suite).as_object().expect("an object").clone();
        let Some(Json::Object(mut config)) = document.remove("proof") else { panic!("a proof") };
        config.remove("proofValue");
        for (name, value) in members {
            config.insert(name, Json::parse(value.as_bytes()).expect("JSON"));
        }
        let contexts = Contexts::builtin();
        let names = read_contexts(document.get("@context").expect("contexts")).expect("contexts");
        let input = hash_data(suite, &config, &document, &names, &contexts).expect("input");
        config.insert("proofValue", Json::from(write_value(&secret().sign(&input))));
        document.insert("proof", Json::Object(config));
        Json::Object(document)
    }

    fn edited(credential: &Json, path: &[&str], value: &str) -> Json {
        let mut object = credential.as_object().expect("an object").clone();
        let name = path[0];
        let value = match path {
            [_] => Json::parse(value.as_bytes()).expect("JSON"),
            _ => edited(object.get(name).expect("a member"), &path[1..], value),
        };
        object.insert(name, value);
        Json::Object(object)
    }

    fn proves(credential: &Json) -> Result<(), String> {
        let credential = Credential::parse(credential.to_string().as_bytes()).map_err(|error| error.to_string())?;
        credential.prove(&public(), &Contexts::builtin()).map(|_| ()).map_err(|error| error.to_string())
    }

    const SUITES: &[Suite] =
        if cfg!(feature = "json-ld") { &[Suite::EddsaJcs2022, Suite::EddsaRdfc2022] } else { &[Suite::EddsaJcs2022] };

    #[test]
    fn proves_what_it_issues() {
        for suite in SUITES {
            let credential = issued(*suite);
            assert_eq!(proves(&credential), Ok(()), "{suite:?}");
            let credential = Credential::parse(credential.to_string().as_bytes()).expect("a credential");
            assert_eq!(credential.format(), suite.format());
            assert_eq!(credential.verification_method(), METHOD);
            assert_eq!(credential.signing_input(&Contexts::builtin()).expect("input").len(), 64);
            assert_eq!(
                credential.expanded_types(&Contexts::builtin()).expect("types"),
                ["https://gov.example/Licence"]
            );
            let other = SecretKey::from_seed(&[5; 32]).public();
            assert_eq!(credential.prove(&other, &Contexts::builtin()).map(|_| ()), Err(ProofError::Mismatch));
        }
    }

    #[test]
    fn refuses_a_change_or_an_addition_after_signing() {
        for suite in SUITES {
            let credential = issued(*suite);
            for (path, value) in [
                (&["issuer"][..], "\"did:web:evil.example\""),
                (&["validUntil"], "\"2099-01-01T00:00:00Z\""),
                (&["credentialSubject", "https://gov.example/class"], "\"A\""),
                (&["credentialSubject", "https://gov.example/admin"], "true"),
                (&["credentialSubject", "https://gov.example/admin"], "null"),
                (&["credentialSubject", "https://gov.example/admin"], "[]"),
                (&["credentialSubject", "@isAdmin"], "true"),
                (&["@isAdmin"], "true"),
                (&["admin"], "true"),
                (&["credentialSubject", "admin"], "true"),
                (&["proof", "created"], "\"2026-11-20T14:29:00Z\""),
                (&["proof", "expires"], "\"2099-11-20T14:29:00Z\""),
                (&["proof", "domain"], "\"a.example\""),
                (&["proof", "id"], "\"urn:a\""),
                (&["proof", "verificationMethod"], "\"did:web:gov.example#b\""),
                (&["type"], "[\"VerifiableCredential\"]"),
            ] {
                assert!(proves(&edited(&credential, path, value)).is_err(), "{suite:?} {path:?} {value}");
            }
        }
    }

    #[test]
    fn refuses_proofs_that_are_never_accepted() {
        let credential = issued(Suite::EddsaJcs2022);
        let proof = credential.get("proof").expect("a proof").to_string();
        let many = format!("[{}]", vec![proof.as_str(); 200].join(","));
        for (path, value) in [
            (&["proof"][..], "{}"),
            (&["proof"], "[]"),
            (&["proof"], "\"x\""),
            (&["proof"], many.as_str()),
            (&["proof", "type"], "\"Ed25519Signature2020\""),
            (&["proof", "cryptosuite"], "\"none\""),
            (&["proof", "proofPurpose"], "\"authentication\""),
            (&["proof", "previousProof"], "\"urn:a\""),
            (&["proof", "proofValue"], "\"z1\""),
            (&["proof", "proofValue"], "\"\""),
            (&["proof", "created"], "\"2026-11-20\""),
            (&["proof", "expires"], "99999999999"),
            (&["proof", "verificationMethod"], "\"https://evil.example/key\""),
            // The attacker's key, under the victim's id.
            (
                &["proof", "verificationMethod"],
                r#"{"id":"did:web:gov.example#a","type":"Multikey","controller":"did:web:gov.example","publicKeyMultibase":"z6Mk"}"#,
            ),
        ] {
            let edited = edited(&credential, path, value);
            assert!(Credential::parse(edited.to_string().as_bytes()).is_err(), "{path:?} {value}");
        }
        assert_eq!(proves(&edited(&credential, &["proof"], &format!("[{proof}]"))), Ok(()));
    }

    #[test]
    fn ends_with_its_proof() {
        for suite in SUITES {
            let credential = signed_with(*suite, &[("expires", "\"2026-12-01T00:00:00Z\"")]);
            assert_eq!(proves(&credential), Ok(()));
            let credential = Credential::parse(credential.to_string().as_bytes()).expect("a credential");
            assert_eq!(credential.valid_until(), Time::from_rfc3339("2026-12-01T00:00:00Z"));
        }
    }

    #[test]
    fn counts_only_the_contexts_that_the_proof_repeats() {
        let credential = issued(Suite::EddsaJcs2022);
        let longer = r#"["https://www.w3.org/ns/credentials/v2","https://evil.example/v1"]"#;
        let credential = edited(&credential, &["@context"], longer);
        assert_eq!(proves(&credential), Ok(()));
        let credential = Credential::parse(credential.to_string().as_bytes()).expect("a credential");
        assert_eq!(credential.contexts(), ["https://www.w3.org/ns/credentials/v2"]);
        let shorter = edited(&issued(Suite::EddsaJcs2022), &["proof", "@context"], longer);
        assert!(Credential::parse(shorter.to_string().as_bytes()).is_err());
    }

    #[test]
    fn binds_only_to_the_issuers_own_key() {
        let document = |did: &str, controller: &str, key: PublicKey| {
            let text = format!(
                r##"{{"id":"{did}","assertionMethod":["#a"],"verificationMethod":[{{"id":"#a","type":"Multikey",
                    "controller":"{controller}","publicKeyMultibase":"{}"}}]}}"##,
                key.to_multikey()
            );
            DidDocument::parse(text.as_bytes()).expect("a document")
        };
        let issuer = "did:web:gov.example";
        let credential = Credential::parse(issued(Suite::EddsaJcs2022).to_string().as_bytes()).expect("a credential");
        let bound = issuer_binding(&credential, &document(issuer, issuer, public())).expect("bound");
        assert_eq!(bound.key, public());
        assert_eq!(
            issuer_binding(&credential, &document(issuer, "did:web:evil.example", public())),
            Err(BindingError::Method(MethodError::Controller))
        );
        assert_eq!(
            issuer_binding(&credential, &document("did:web:evil.example", "did:web:evil.example", public())),
            Err(BindingError::Method(MethodError::Document))
        );
        // The attacker signs with his own DID's key and names the victim as issuer.
        let stolen = edited(&issued(Suite::EddsaJcs2022), &["issuer"], "\"did:web:victim.example\"");
        let stolen = Credential::parse(stolen.to_string().as_bytes()).expect("a credential");
        assert_eq!(issuer_binding(&stolen, &document(issuer, issuer, public())), Err(BindingError::Unbound));
    }

    #[cfg(feature = "json-ld")]
    #[test]
    fn writes_the_configuration_as_expansion_does() {
        let members = [
            ("id", "\"urn:uuid:2\""),
            ("expires", "\"2026-12-01T00:00:00Z\""),
            ("challenge", "\"a\\tb\\\"\\\\ \\u007f\""),
            ("nonce", "\"n\""),
            ("domain", r#"["b.example","a.example"]"#),
        ];
        let names = ["https://www.w3.org/ns/credentials/v2".to_owned()];
        for count in 0..=members.len() {
            let credential = signed_with(Suite::EddsaRdfc2022, &members[..count]);
            assert_eq!(proves(&credential), Ok(()), "{count}");
            let mut config = credential.get("proof").and_then(Json::as_object).expect("a proof").clone();
            config.remove("proofValue");
            let expanded = Contexts::builtin().canonical_quads(&names, &config).expect("quads");
            assert_eq!(config_quads(&config).expect("quads"), expanded, "{count}");
        }
    }

    #[cfg(feature = "json-ld")]
    #[test]
    fn refuses_proof_members_that_rdf_would_not_sign() {
        for (name, value) in
            [("admin", "true"), ("@context", "[\"https://evil.example/v1\"]"), ("domain", "[]"), ("nonce", "7")]
        {
            let credential = edited(&issued(Suite::EddsaRdfc2022), &["proof", name], value);
            assert!(proves(&credential).is_err(), "{name}");
        }
    }
}
