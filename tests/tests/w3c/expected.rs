//! What each file of the foreign vectors is, and what comes of it. A file that is not here fails the test, and so does
//! another result, for better or worse.

/// The part that a file plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A secured credential: the code of its proof, then that of its issuer's binding to the key.
    Secured(&'static str, &'static str),
    /// An intermediate step of the secured credential beside it, compared byte for byte.
    Step,
    /// Something that other files were made from.
    Input,
}
use Role::{Input, Secured, Step};

/// di-eddsa names an https issuer and a did:key method everywhere: the proof holds, the binding does not
/// (Controlled Identifiers 1.0 §3.3: the method's controller is the document's DID).
const UNBOUND: &str = "issuer-unbound";
/// di-eddsa 1.0 is about `DataIntegrityProof`; `Ed25519Signature2020` is the note that it replaces (§ A).
const OLD: Role = Secured("format-refused", "format-refused");
/// Data Integrity 1.0 §2.1.1 and §2.1.2, proof sets and chains: one proof a credential is read for now.
const SEVERAL: Role = Secured("format-refused", "format-refused");
/// VCDM 2.0 §5.2: contexts that are not known are not fetched. `citizenship/v4rc1` is neither built in nor here.
const CITIZENSHIP: Role = Secured("context-missing", UNBOUND);

/// Every file of `vc-di-eddsa/TestVectors`.
pub(super) const EDDSA: &[(&str, Role)] = &[
    ("Ed25519Signature2020/canonDocEdSig.txt", Step),
    ("Ed25519Signature2020/combinedHashEdSig.txt", Step),
    ("Ed25519Signature2020/docHashEdSig.txt", Step),
    ("Ed25519Signature2020/proofCanonEdSig.txt", Step),
    ("Ed25519Signature2020/proofConfigEdSig.json", Input),
    ("Ed25519Signature2020/proofHashEdSig.txt", Step),
    ("Ed25519Signature2020/sigBTC58EdSig.txt", Step),
    ("Ed25519Signature2020/sigHexEdSig.txt", Step),
    ("Ed25519Signature2020/signedEdSig.json", OLD),
    ("eddsa-jcs-2022/canonDocJCS.txt", Step),
    ("eddsa-jcs-2022/combinedHashJCS.txt", Step),
    ("eddsa-jcs-2022/docHashJCS.txt", Step),
    ("eddsa-jcs-2022/proofCanonJCS.txt", Step),
    ("eddsa-jcs-2022/proofConfigJCS.json", Input),
    ("eddsa-jcs-2022/proofHashJCS.txt", Step),
    ("eddsa-jcs-2022/sigBTC58JCS.txt", Step),
    ("eddsa-jcs-2022/sigHexJCS.txt", Step),
    ("eddsa-jcs-2022/signedJCS.json", Secured("signature-ok", UNBOUND)),
    ("eddsa-rdfc-2022/canonDocDataInt.txt", Step),
    ("eddsa-rdfc-2022/combinedHashDataInt.txt", Step),
    ("eddsa-rdfc-2022/docHashDataInt.txt", Step),
    ("eddsa-rdfc-2022/employ/canonDocDataInt.txt", Step),
    ("eddsa-rdfc-2022/employ/combinedHashDataInt.txt", Step),
    ("eddsa-rdfc-2022/employ/docHashDataInt.txt", Step),
    ("eddsa-rdfc-2022/employ/proofCanonDataInt.txt", Step),
    ("eddsa-rdfc-2022/employ/proofConfigDataInt.json", Input),
    ("eddsa-rdfc-2022/employ/proofHashDataInt.txt", Step),
    ("eddsa-rdfc-2022/employ/sigBTC58DataInt.txt", Step),
    ("eddsa-rdfc-2022/employ/sigHexDataInt.txt", Step),
    ("eddsa-rdfc-2022/employ/signedDataInt.json", CITIZENSHIP),
    ("eddsa-rdfc-2022/proofCanonDataInt.txt", Step),
    ("eddsa-rdfc-2022/proofConfigDataInt.json", Input),
    ("eddsa-rdfc-2022/proofHashDataInt.txt", Step),
    ("eddsa-rdfc-2022/sigBTC58DataInt.txt", Step),
    ("eddsa-rdfc-2022/sigHexDataInt.txt", Step),
    ("eddsa-rdfc-2022/signedDataInt.json", Secured("signature-ok", UNBOUND)),
    ("employmentAuth.json", Input),
    ("keyPair.json", Input),
    ("proof-set-chain/multiKeyPairs.json", Input),
    ("proof-set-chain/proofChainConfig1.json", Input),
    ("proof-set-chain/proofChainConfig2.json", Input),
    ("proof-set-chain/proofChainConfigSigned1.json", Input),
    ("proof-set-chain/proofChainConfigSigned2.json", Input),
    ("proof-set-chain/proofChainTempDoc1.json", SEVERAL),
    ("proof-set-chain/proofChainTempDoc2.json", SEVERAL),
    ("proof-set-chain/proofSetConfig1.json", Input),
    ("proof-set-chain/proofSetConfig2.json", Input),
    ("proof-set-chain/proofSetConfigSigned1.json", Input),
    ("proof-set-chain/proofSetConfigSigned2.json", Input),
    ("proof-set-chain/signedProofChain1.json", SEVERAL),
    ("proof-set-chain/signedProofChain2.json", SEVERAL),
    ("proof-set-chain/signedProofSet1.json", Secured("signature-ok", UNBOUND)),
    ("proof-set-chain/signedProofSet2.json", SEVERAL),
    ("proof-set-chain/unsigned.json", Input),
    ("unsigned.json", Input),
];

/// Every case of `jcs-rfc8785/testdata`: each is read, and written as expected.
pub(super) const JCS: &[&str] = &["arrays", "french", "structures", "unicode", "values", "weird"];

/// Contexts that W3C publishes, by their file, which the built-in ones equal as JSON (their white space differs).
pub(super) const CONTEXTS: &[(&str, &str)] = &[
    ("vcdm-contexts/contexts/credentials/v1", "https://www.w3.org/2018/credentials/v1"),
    ("vcdm-contexts/contexts/credentials/v2", "https://www.w3.org/ns/credentials/v2"),
    ("did-contexts/context/v1", "https://www.w3.org/ns/did/v1"),
];
