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
/// Hashes in a proof of the trie: bits of SHA-256 (`specs/register.md`, "State root").
pub const TRIE_DEPTH_MAX: usize = 256;
/// Bytes in an entry (`specs/register.md`, "Entries").
pub const ENTRY_SIZE_MAX: usize = 16 * 1024;
/// Bytes in an entry of a later version: C2SP tlog-tiles gives entries a length of 16 bits.
pub const ENTRY_TRANSPORT_SIZE_MAX: usize = 65_535;
/// Nested arrays and maps in an entry (`specs/register.md`, "Entries"); version 1 has three.
pub const ENTRY_DEPTH_MAX: usize = 4;
/// Bytes in the key of a record (`specs/register.md`, "Records").
pub const RECORD_KEY_SIZE_MAX: usize = 1024;
