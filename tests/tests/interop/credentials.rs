//! npm's `@digitalbazaar/vc` and `jose`, and PyPI's PyJWT.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use standfast_protocol::key::{PublicKey, SecretKey};
use standfast_tests::interop::{Answer, Format, IssueJob, VerifyJob, node_tools, python};
use standfast_tests::skip::unless_missing;

const ISSUER: &str = "did:web:transport.gov.example";
const METHOD: &str = "did:web:transport.gov.example#key-1";
const CONTEXT: &str = "https://transport.gov.example/contexts/licence/v1";
const ISSUED: &str = "2026-01-15T08:00:00Z";
const DURING: &str = "2026-06-01T00:00:00Z";
const AFTERWARDS: &str = "2031-06-01T00:00:00Z";
const SEED: [u8; 32] = [7; 32];

/// What the issuer of these tests signs with, in the forms that each side wants.
fn public_key() -> PublicKey {
    SecretKey::from_seed(&SEED).public()
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
