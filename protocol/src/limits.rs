//! Bounds on everything that a peer, a file or a publisher can influence, each with the section that sets it.

/// Bytes in a Multikey text (`specs/register.md` §1); an Ed25519 one has 48.
pub const MULTIKEY_SIZE_MAX: usize = 128;
/// Bytes in a key name (C2SP signed-note; `specs/register.md` §1).
pub const KEY_NAME_SIZE_MAX: usize = 256;
/// Bytes in a signed note (`specs/register.md` §1).
pub const NOTE_SIZE_MAX: usize = 128 * 1024;
/// Signature lines in a note (`specs/register.md` §1).
pub const NOTE_SIGNATURES_MAX: usize = 64;
/// The last time a cosignature can name (C2SP tlog-cosignature).
pub const COSIGNATURE_TIME_MAX: u64 = (1 << 63) - 1;
/// Entries in a log (`specs/register.md` §3).
pub const TREE_SIZE_MAX: u64 = (1 << 63) - 1;

/// Bytes of one JSON document (`specs/verification.md` §2); a Bitstring list of 2^23 entries fits.
pub const JSON_SIZE_MAX: usize = 2 * 1024 * 1024;
/// Levels of nesting in JSON (`specs/verification.md` §2).
pub const JSON_DEPTH_MAX: usize = 32;
/// Values in one JSON document (`specs/verification.md` §2).
pub const JSON_NODES_MAX: usize = 16 * 1024;
/// Bytes in a DID or a DID URL (`specs/verification.md` §5); a did:jwk fits.
pub const DID_SIZE_MAX: usize = 1024;
/// Verification methods in a DID document, and entries in one relationship (`specs/verification.md` §5).
pub const DID_METHODS_MAX: usize = 64;
