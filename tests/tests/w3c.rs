//! Vectors of W3C and of RFC 8785, every file of them, against the one table in `w3c/expected.rs`.

mod expected;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use data_encoding::HEXLOWER;
use standfast_protocol::credential::contexts::Contexts;
use standfast_protocol::credential::json::Json;
use standfast_protocol::credential::{Credential, issuer_binding, jcs};
use standfast_protocol::did;
use standfast_protocol::digest::Digest;
use standfast_protocol::key::PublicKey;
use standfast_tests::vectors::{Report, files, foreign_folder, same};

use expected::{CONTEXTS, EDDSA, JCS, Role};

const EXAMPLES: &str = "https://www.w3.org/ns/credentials/examples/v2";

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

fn text(path: &Path) -> String {
    String::from_utf8(read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn contexts(vectors: &Path) -> Contexts {
    let examples = read(&vectors.join("vcdm-contexts/contexts/credentials/examples/v2"));
    Contexts::builtin().with(EXAMPLES, examples.into()).expect("a new context")
}

/// Returns the codes of a secured credential: of its proof, and of its issuer's binding.
fn judge(bytes: &[u8], contexts: &Contexts) -> (&'static str, &'static str) {
    let credential = match Credential::parse(bytes) {
        Ok(credential) => credential,
        Err(error) => return (error.code(), error.code()),
    };
    let (did, _) = did::split_method(credential.verification_method()).expect("a DID URL");
    let document = did::resolve_from_itself(did).expect("a did:key").expect("a document");
    let binding = issuer_binding(&credential, &document).map_or_else(|error| error.code(), |_| "issuer-ok");
    let key = document.key_for(credential.verification_method(), credential.proof_purpose()).expect("its key");
    let proof = credential.prove(&key, contexts).map_or_else(|error| error.code(), |_| "signature-ok");
    (proof, binding)
}

#[test]
fn every_file_of_di_eddsa_gives_the_expected_result() {
    let Some(vectors) = foreign_folder() else { return };
    let folder = vectors.join("vc-di-eddsa/TestVectors");
    let contexts = contexts(&vectors);
    let mut report = Report::new("vc-di-eddsa");
    let listed: BTreeSet<String> = EDDSA.iter().map(|(name, _)| (*name).to_owned()).collect();
    report.check("the files are those of the table", same("files", files(&folder), listed));
    for (name, role) in EDDSA {
        let bytes = read(&folder.join(name));
        report.check(
            name,
            match role {
                Role::Secured(proof, binding) => same("codes", judge(&bytes, &contexts), (proof, binding)),
                Role::Input => Json::parse(&bytes).map(|_| ()).map_err(|error| error.to_string()),
                Role::Step => Ok(()),
            },
        );
    }
    report.finish();
}

#[test]
fn every_step_of_di_eddsa_is_ours_too() {
    let Some(vectors) = foreign_folder() else { return };
    let folder = vectors.join("vc-di-eddsa/TestVectors");
    let contexts = contexts(&vectors);
    let mut report = Report::new("vc-di-eddsa, steps");
    for (name, _) in EDDSA.iter().filter(|(name, role)| *role == Role::Step && name.contains("combinedHash")) {
        report.check(name, check_steps(&folder, name, &contexts));
    }
    report.finish();
}

/// Checks the chain of files from the canonical texts to the signature, and that ours goes through the same digests.
fn check_steps(folder: &Path, name: &str, contexts: &Contexts) -> Result<(), String> {
    let step = |kind: &str| text(&folder.join(name.replace("combinedHash", kind)));
    let digest = |kind: &str| Digest::of(step(kind).as_bytes()).to_string();
    same("document hash", step("docHash"), digest("canonDoc"))?;
    same("proof hash", step("proofHash"), digest("proofCanon"))?;
    same("combined hash", step("combinedHash"), step("proofHash") + &step("docHash"))?;
    let input = HEXLOWER.decode(step("combinedHash").as_bytes()).map_err(|error| error.to_string())?;
    let signature = HEXLOWER.decode(step("sigHex").as_bytes()).map_err(|error| error.to_string())?;
    let signature: [u8; 64] = signature.try_into().map_err(|_| "expected 64 bytes of signature")?;
    let secured = read(&folder.join(name.replace("combinedHash", "signed").replace(".txt", ".json")));
    let json = Json::parse(&secured).map_err(|error| error.to_string())?;
    let proof = json.get("proof").ok_or("expected a proof")?;
    same("proof value", proof.get("proofValue").and_then(Json::as_str), Some(step("sigBTC58").as_str()))?;
    let keys = Json::parse(&read(&folder.join("keyPair.json"))).map_err(|error| error.to_string())?;
    let key = keys.get("publicKeyMultibase").and_then(Json::as_str).ok_or("expected a key")?;
    let key = PublicKey::from_multikey(key).map_err(|error| error.to_string())?;
    key.verify(&input, &signature).map_err(|error| error.to_string())?;
    let Ok(credential) = Credential::parse(&secured) else { return Ok(()) };
    same("signature", *credential.signature(), signature)?;
    match credential.signing_input(contexts) {
        Ok(ours) => same("our digests", HEXLOWER.encode(&ours), step("combinedHash")),
        // The table says which: a context that nobody here holds.
        Err(error) => same("code", error.code(), "context-missing"),
    }
}

#[test]
fn every_file_of_rfc_8785_is_written_as_expected() {
    let Some(vectors) = foreign_folder() else { return };
    let folder = vectors.join("jcs-rfc8785/testdata");
    let mut report = Report::new("jcs-rfc8785");
    let listed = JCS
        .iter()
        .flat_map(|name| [format!("input/{name}.json"), format!("outhex/{name}.txt"), format!("output/{name}.json")]);
    report.check("the files are those of the table", same("files", files(&folder), listed.collect()));
    for name in JCS {
        let written = Json::parse(&read(&folder.join(format!("input/{name}.json"))));
        let written = written.map(|json| jcs::to_string(&json)).map_err(|error| error.to_string());
        let hex = text(&folder.join(format!("outhex/{name}.txt"))).split_whitespace().collect::<String>();
        let output = text(&folder.join(format!("output/{name}.json")));
        report.check(name, same("output", written.clone(), Ok(output)));
        report.check(name, same("hex", written.map(|text| HEXLOWER.encode(text.as_bytes())), Ok(hex)));
    }
    report.finish();
}

#[test]
fn the_built_in_contexts_are_those_of_w3c() {
    let Some(vectors) = foreign_folder() else { return };
    let mut report = Report::new("contexts");
    for (file, url) in CONTEXTS {
        let published = Json::parse(&read(&vectors.join(file))).map_err(|error| error.to_string());
        let contexts = Contexts::builtin();
        let ours = contexts.document(url).ok_or_else(|| "expected it to be built in".to_owned());
        let ours = ours.and_then(|bytes| Json::parse(bytes).map_err(|error| error.to_string()));
        report.check(file, same("context", ours, published));
    }
    report.finish();
}
