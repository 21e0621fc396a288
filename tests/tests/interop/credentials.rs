//! npm's `@digitalbazaar/vc` and `jose`, and PyPI's PyJWT.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use standfast_protocol::credential::contexts::Contexts;
use standfast_protocol::credential::data_integrity::Suite;
use standfast_protocol::credential::issue::{issue_data_integrity, issue_vc_jwt};
use standfast_protocol::credential::json::Json;
use standfast_protocol::credential::{Credential, ProofError, issuer_binding};
use standfast_protocol::did::DidDocument;
use standfast_protocol::key::{PublicKey, SecretKey};
use standfast_protocol::time::Time;
use standfast_tests::interop::{Answer, Format, IssueJob, VerifyJob, node_tools, python};
use standfast_tests::skip::unless_missing;

const ISSUER: &str = "did:web:transport.gov.example";
const METHOD: &str = "did:web:transport.gov.example#key-1";
const CONTEXT: &str = "https://transport.gov.example/contexts/licence/v1";
const ISSUED: &str = "2026-01-15T08:00:00Z";
const DURING: &str = "2026-06-01T00:00:00Z";
const AFTERWARDS: &str = "2031-06-01T00:00:00Z";
const SEED: [u8; 32] = [7; 32];

fn secret_key() -> SecretKey {
    SecretKey::from_seed(&SEED)
}

fn public_key() -> PublicKey {
    secret_key().public()
}

/// A driving licence with what tells implementations apart: control characters, other scripts, a number, a status entry.
fn licence() -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", CONTEXT],
        "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
        "type": ["VerifiableCredential", "DrivingLicence"],
        "issuer": ISSUER,
        "validFrom": "2026-01-01T00:00:00Z",
        "validUntil": "2031-01-01T00:00:00Z",
        "credentialSubject": {
            "id": "did:example:holder",
            "licenceClass": ["B", "C1"],
            "points": 3,
            "note": "tab\tbell\u{7}delete\u{7f} \u{e9}\u{1f600} \"quoted\" \\"
        },
        "credentialStatus": {
            "type": "BitstringStatusListEntry",
            "statusPurpose": "revocation",
            "statusListIndex": "94567",
            "statusListCredential": "https://transport.gov.example/status/1"
        }
    })
}

fn contexts() -> BTreeMap<String, Value> {
    let term = |name: &str| format!("https://transport.gov.example/ns#{name}");
    let terms = json!({"@context": {
        "@protected": true,
        "DrivingLicence": term("DrivingLicence"),
        "licenceClass": term("licenceClass"),
        "points": term("points"),
        "note": term("note")
    }});
    BTreeMap::from([(CONTEXT.to_owned(), terms)])
}

fn did_document() -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
        "id": ISSUER,
        "verificationMethod": [{
            "id": METHOD,
            "type": "Multikey",
            "controller": ISSUER,
            "publicKeyMultibase": public_key().to_multikey()
        }],
        "assertionMethod": [METHOD]
    })
}

fn issue_job(format: Format) -> IssueJob {
    IssueJob {
        format,
        credential: licence(),
        seed: data_encoding::HEXLOWER.encode(&SEED),
        verification_method: METHOD.to_owned(),
        contexts: contexts(),
        created: Some(ISSUED.to_owned()),
    }
}

fn verify_job(format: Format, secured: &[u8]) -> VerifyJob {
    VerifyJob {
        format,
        credential: format.credential_of(secured),
        did_document: did_document(),
        contexts: contexts(),
        now: Some(DURING.to_owned()),
    }
}

/// The same credential with one claim changed after it was signed.
fn tampered(format: Format, secured: &[u8]) -> Vec<u8> {
    let raise = |bytes: &[u8]| {
        let mut credential: Value = serde_json::from_slice(bytes).expect("a credential is JSON");
        credential["credentialSubject"]["points"] = json!(12);
        credential.to_string().into_bytes()
    };
    if format != Format::VcJwt {
        return raise(secured);
    }
    let token = std::str::from_utf8(secured).expect("a token is ASCII");
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("expected three parts, got {token}") };
    let base64url = data_encoding::BASE64URL_NOPAD;
    let payload = base64url.encode(&raise(&base64url.decode(payload.as_bytes()).expect("a payload is base64url")));
    format!("{header}.{payload}.{signature}").into_bytes()
}

fn refused(answer: &Answer) -> bool {
    !answer.verified && answer.error.is_some()
}

/// Without this the tests below could agree on nonsense.
#[test]
fn npm_packages_agree_with_themselves_and_refuse_what_was_changed() {
    let Some(node) = unless_missing(node_tools()) else { return };
    for format in Format::ALL {
        let secured = node.issue(&issue_job(format));
        let good = node.verify(&verify_job(format, &secured));
        assert!(good.verified, "{format:?}: {good:?}");

        let changed = node.verify(&verify_job(format, &tampered(format, &secured)));
        assert!(refused(&changed), "{format:?}: changed after signing: {changed:?}");
        let late = node.verify(&VerifyJob { now: Some(AFTERWARDS.to_owned()), ..verify_job(format, &secured) });
        assert!(refused(&late), "{format:?}: after its end: {late:?}");
        let mut nobody = verify_job(format, &secured);
        nobody.did_document["assertionMethod"] = json!([]);
        let nobody = node.verify(&nobody);
        assert!(refused(&nobody), "{format:?}: by a key that may not assert: {nobody:?}");
    }
}

#[test]
fn npm_and_pypi_agree_on_a_token() {
    let Some(node) = unless_missing(node_tools()) else { return };
    let Some(python) = unless_missing(python()) else { return };
    let job = issue_job(Format::VcJwt);
    for secured in [node.issue(&job), python.issue_jwt(&job)] {
        let good = verify_job(Format::VcJwt, &secured);
        assert!(node.verify(&good).verified && python.verify_jwt(&good).verified);
        let bad = verify_job(Format::VcJwt, &tampered(Format::VcJwt, &secured));
        assert!(refused(&node.verify(&bad)) && refused(&python.verify_jwt(&bad)));
    }
}

/// The contexts of these tests as we hold them.
fn our_contexts() -> Contexts {
    contexts().into_iter().fold(Contexts::builtin(), |held, (url, document)| {
        held.with(&url, Bytes::from(document.to_string())).expect("each URL has one document")
    })
}

/// Signs the licence as our issuers do.
fn issued_by_us(format: Format) -> Vec<u8> {
    let credential = Json::parse(licence().to_string().as_bytes()).expect("the licence is strict JSON");
    let created = Time::from_rfc3339(ISSUED).expect("a time");
    let suite = match format {
        Format::VcJwt => {
            return issue_vc_jwt(&credential, METHOD, &secret_key()).expect("the licence is well formed").into_bytes();
        }
        Format::EddsaRdfc2022 => Suite::EddsaRdfc2022,
        Format::EddsaJcs2022 => Suite::EddsaJcs2022,
    };
    issue_data_integrity(&credential, suite, METHOD, created, &secret_key(), &our_contexts())
        .expect("the licence is well formed")
        .to_string()
        .into_bytes()
}

/// Proves a credential with the key that the issuer's document gives it; `Err` when the signature does not hold.
fn prove_by_us(format: Format, secured: &[u8], contexts: &Contexts) -> Result<(), ProofError> {
    let credential = Credential::parse(secured).unwrap_or_else(|e| panic!("{format:?}: {e}"));
    assert_eq!(json!(credential.format().name()), json!(format), "the format is recognised");
    assert_eq!(credential.issuer(), ISSUER);
    let document = DidDocument::parse(did_document().to_string().as_bytes()).expect("the document is well formed");
    let bound = issuer_binding(&credential, &document).unwrap_or_else(|e| panic!("{format:?}: {e}"));
    assert_eq!(bound.key, public_key());
    credential.prove(&bound.key, contexts).map(drop)
}

fn holds_and_breaks_when_changed(format: Format, secured: &[u8]) {
    assert_eq!(prove_by_us(format, secured, &our_contexts()), Ok(()), "{format:?}");
    let changed = tampered(format, secured);
    assert_eq!(prove_by_us(format, &changed, &our_contexts()), Err(ProofError::Mismatch), "{format:?}");
}

#[test]
fn we_verify_what_npm_issues() {
    let Some(node) = unless_missing(node_tools()) else { return };
    for format in Format::ALL {
        holds_and_breaks_when_changed(format, &node.issue(&issue_job(format)));
    }
}

#[test]
fn we_verify_what_pypi_issues() {
    let Some(python) = unless_missing(python()) else { return };
    holds_and_breaks_when_changed(Format::VcJwt, &python.issue_jwt(&issue_job(Format::VcJwt)));
}

#[test]
fn we_cannot_prove_what_npm_canonicalised_without_its_context() {
    let Some(node) = unless_missing(node_tools()) else { return };
    let secured = node.issue(&issue_job(Format::EddsaRdfc2022));
    let unproven = prove_by_us(Format::EddsaRdfc2022, &secured, &Contexts::builtin());
    assert!(matches!(unproven, Err(ProofError::Context(_))), "{unproven:?}");
}

#[test]
fn npm_verifies_what_we_issue() {
    let Some(node) = unless_missing(node_tools()) else { return };
    for format in Format::ALL {
        let secured = issued_by_us(format);
        let good = node.verify(&verify_job(format, &secured));
        assert!(good.verified, "{format:?}: {good:?}");
        let changed = node.verify(&verify_job(format, &tampered(format, &secured)));
        assert!(refused(&changed), "{format:?}: {changed:?}");
    }
}

#[test]
fn pypi_verifies_what_we_issue() {
    let Some(python) = unless_missing(python()) else { return };
    let secured = issued_by_us(Format::VcJwt);
    assert!(python.verify_jwt(&verify_job(Format::VcJwt, &secured)).verified);
    assert!(refused(&python.verify_jwt(&verify_job(Format::VcJwt, &tampered(Format::VcJwt, &secured)))));
}
