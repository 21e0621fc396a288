//! Bounds on everything that a peer, a file or a publisher can influence, each with the section that sets it.

/// Versions of the charter of which a second one is kept (`specs/charter.md` §8).
pub const CHARTER_FORKS_MAX: usize = 64;
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
/// Bytes in a quorum policy (`specs/charter.md` §4).
pub const QUORUM_SIZE_MAX: usize = 64 * 1024;
/// Witnesses in a quorum policy (`specs/charter.md` §4).
pub const WITNESSES_MAX: usize = 64;
/// Groups in a quorum policy (`specs/charter.md` §4).
pub const WITNESS_GROUPS_MAX: usize = 64;
/// Seconds that a statement may lie ahead of the later of the device's time and the clock bound (`specs/trust.md` §4).
pub const STATEMENT_AHEAD_MAX_S: u64 = 300;
/// Steps of a trust path; the depth that an anchor has (`specs/trust.md` §3).
pub const TRUST_DEPTH_MAX: u64 = 8;
/// Edges that a search for a trust path examines (`specs/trust.md` §3).
pub const TRUST_EDGES_MAX: usize = 1_024;
/// Bytes of a TRQP question (`specs/trust.md` §6).
pub const TRQP_QUESTION_SIZE_MAX: usize = 16 * 1024;

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
/// Bytes of a charter's text (`specs/charter.md` §2); with 64 signatures it fits a note.
pub const CHARTER_SIZE_MAX: usize = 96 * 1024;
/// Root keys (`specs/charter.md` §3); those of two versions fit the signature lines of a note.
pub const ROOTS_MAX: usize = 32;
/// Anchors of a charter (`specs/charter.md` §3).
pub const ANCHORS_MAX: usize = 256;
/// Keys of one register (`specs/charter.md` §3).
pub const REGISTER_KEYS_MAX: usize = 16;
/// Registers that a charter names for members (`specs/charter.md` §3).
pub const MEMBER_REGISTERS_MAX: usize = 64;
/// Bootstrap addresses of a charter (`specs/charter.md` §3).
pub const BOOTSTRAP_MAX: usize = 64;
/// Bytes of a bootstrap address (`specs/charter.md` §3).
pub const BOOTSTRAP_SIZE_MAX: usize = 256;
/// Bytes of an anchor's DID (`specs/charter.md` §3).
pub const AUTHORITY_SIZE_MAX: usize = 512;
/// The longest span that a charter may name, ten years (`specs/charter.md` §3).
pub const CHARTER_SPAN_MAX_S: u64 = 315_576_000;
/// The largest quota that a charter may name (`specs/charter.md` §3).
pub const QUOTA_MAX: u64 = 1 << 50;
/// Seconds from issue until a change of witnesses takes effect, at least (`specs/charter.md` §6).
pub const WITNESS_CHANGE_S: u64 = 7 * 86_400;
/// Bytes of values in a status list (`specs/status.md` §2).
pub const STATUS_LIST_SIZE_MAX: u64 = 1 << 20;
/// Bytes in a status list's delta (`specs/status.md` §3).
pub const DELTA_SIZE_MAX: usize = 64 * 1024;
/// Bytes in a fork proof (`specs/register.md` §7).
pub const FORK_PROOF_SIZE_MAX: usize = 4096;
/// Bytes in a witness proof (`specs/witness.md` §4).
pub const WITNESS_PROOF_SIZE_MAX: usize = 12 * 1024;
/// Hashes of a trie's path in a witness proof (`specs/witness.md` §4); 16,384 registers have about 30.
pub const WITNESS_PROOF_PATH_MAX: usize = 64;
/// Witness proofs held (`specs/witness.md` §4): one for each key that a charter gave a witness.
pub const WITNESS_PROOFS_MAX: usize = 1024;
/// Hashes in a consistency proof (C2SP tlog-witness, `add-checkpoint`).
pub const CONSISTENCY_HASHES_MAX: usize = 63;
/// Bytes of the body of an `add-checkpoint` request (`specs/witness.md` §5): a note and the lines before it.
pub const ADD_CHECKPOINT_SIZE_MAX: usize = NOTE_SIZE_MAX + 4 * 1024;
/// Statements of one witness in one response (`specs/witness.md` §3).
pub const OWN_STATEMENTS_MAX: usize = 256;
/// Bytes of a view in one response (`specs/sync.md` §3).
pub const VIEW_STEP_SIZE_MAX: usize = 128 * 1024;
/// Bytes of views that have come in part, from all peers together (`specs/sync.md` §5).
pub const VIEWS_SIZE_MAX: usize = 16 * 1024 * 1024;
/// Checkpoints below W that a register remembers, so that W can fall back to one (`specs/register.md` §6).
pub const CHECKPOINTS_KEPT: usize = 256;
/// Indices of one list that pending changes may reject at once (`specs/status.md` §5); more than 1 % as well.
pub const MASS_INDICES: u64 = 1_000;
/// Records that pending changes may remove at once (`specs/register.md` §8); more than 5 % as well.
pub const MASS_RECORDS: u64 = 16;
/// Bytes in a gossip message (`specs/sync.md` §2).
pub const GOSSIP_SIZE_MAX: usize = 16 * 1024;
/// Bytes of entries and bodies that ride on a gossiped head (`specs/sync.md` §2.1).
pub const GOSSIP_PAYLOAD_SIZE_MAX: usize = 2 * 1024;
/// Bytes in a request (`specs/sync.md` §3).
pub const REQUEST_SIZE_MAX: usize = 4 * 1024;
/// Bytes in a response (`specs/sync.md` §3).
pub const RESPONSE_SIZE_MAX: usize = 256 * 1024;
/// Bytes of entries or of a body in one response (`specs/sync.md` §3).
pub const STEP_SIZE_MAX: usize = 64 * 1024;
/// Entries, or bodies, in one message (`specs/sync.md` §2.1).
pub const MESSAGE_ENTRIES_MAX: usize = 256 * 1024;
/// Registers that a frontier response lists before it goes one level deeper (`specs/sync.md` §3.1).
pub const FRONTIER_LEAVES_MAX: usize = 64;
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
/// Bytes of one credential (`specs/verification.md` §2); a Bitstring list of 2^23 incompressible bits fits.
pub const CREDENTIAL_SIZE_MAX: usize = JSON_SIZE_MAX;
/// Bytes of an encoded JOSE header (`specs/verification.md` §3).
pub const JOSE_HEADER_SIZE_MAX: usize = 4096;
/// Bytes of a URL or an IRI in a credential (`specs/verification.md` §2); an image as a data URL fits.
pub const URL_SIZE_MAX: usize = 256 * 1024;
/// Contexts in a credential (`specs/verification.md` §2).
pub const CONTEXTS_MAX: usize = 16;
/// Types in a credential (`specs/verification.md` §2).
pub const TYPES_MAX: usize = 32;
/// Entries in a credential's `credentialStatus` (`specs/verification.md` §2).
pub const STATUS_ENTRIES_MAX: usize = 8;
/// Bits of one status value (Bitstring Status List `statusSize`; `specs/verification.md` §6).
pub const STATUS_SIZE_MAX: u8 = 8;
/// Bytes of a JSON-LD context (`specs/verification.md` §4).
pub const CONTEXT_SIZE_MAX: usize = 256 * 1024;
/// Lists of contexts whose processed form is kept (`specs/verification.md` §4).
pub const CONTEXTS_PROCESSED_MAX: usize = 64;
/// JSON values in a credential that is expanded as JSON-LD (`specs/verification.md` §4).
pub const RDF_NODES_MAX: usize = 2048;
/// RDF statements that a credential may make (`specs/verification.md` §4).
pub const RDF_QUADS_MAX: usize = 2048;
/// Bytes of an expanded Bitstring Status List (`specs/verification.md` §6): 2^23 bits.
pub const BITSTRING_SIZE_MAX: usize = 1024 * 1024;
/// Bytes of a signed view (`specs/charter.md` §9).
pub const VIEW_SIZE_MAX: usize = 4 * 1024;
/// Bytes of a view with all its leaves (`specs/charter.md` §9).
pub const VIEW_MESSAGE_SIZE_MAX: usize = 5 * 1024 * 1024;
/// Registers in a frontier (`specs/charter.md` §9).
pub const FRONTIER_SIZE_MAX: usize = 16 * 1024;
/// Bytes in a record body (`specs/register.md` §5): a status list of 1 MiB with its head.
pub const BODY_SIZE_MAX: usize = 1024 * 1024 + 4096;
/// Bytes in a journalled head with its entries (`specs/store.md`).
pub const BATCH_SIZE_MAX: usize = 32 * 1024 * 1024;
/// Bytes of entries fetched before they are checked against their head (`specs/sync.md` §3.2).
pub const CATCH_UP_SIZE_MAX: usize = 16 * 1024 * 1024;
/// Checks under way at one time (`specs/sync.md` §5).
pub const CHECKS_MAX: usize = 1024;
/// Changes that wait for one register (`specs/sync.md` §5).
pub const CHANGES_QUEUED_MAX: usize = 256;
/// Requests that wait for one peer (`specs/sync.md` §5).
pub const REQUESTS_WAITING_MAX: usize = 1024;
/// Requests under way at one peer (`specs/sync.md` §5).
pub const REQUESTS_UNDER_WAY_MAX: usize = 2;
/// Bodies asked for at one time (`specs/sync.md` §5).
pub const BODIES_UNDER_WAY_MAX: usize = 256;
/// Registers that one node replicates (`specs/sync.md` §5).
pub const REGISTERS_MAX: usize = 10_000;
/// Steps of the search that tells alike blank nodes apart (`specs/verification.md` §4).
pub const RDF_STEPS_MAX: usize = 4096;
/// How deep that search goes (`specs/verification.md` §4).
pub const RDF_DEPTH_MAX: usize = 64;
/// Old registers that one node keeps up to the point that a binding names (`specs/register.md` §13).
pub const PASTS_MAX: usize = 256;
/// Fork proofs of registers that nothing binds any more, of those that came in bundles (`specs/register.md` §7.1).
pub const FORK_REPORTS_MAX: usize = 256;
/// Old registers asked for in one exchange with a peer (`specs/sync.md` §3.3).
pub const PASTS_ASKED_MAX: usize = 16;
/// Bytes in a bundle (`specs/bundle.md` §1).
pub const BUNDLE_SIZE_MAX: usize = 512 * 1024 * 1024;
/// Charters in a bundle (`specs/bundle.md` §1).
pub const BUNDLE_CHARTERS_MAX: usize = 10_000;
/// Sets of contexts from registers whose processed form a snapshot keeps (`specs/verification.md` §4).
pub const CONTEXT_SETS_KEPT: usize = 64;
/// Sets of contexts from registers under which a path is searched (`specs/verification.md` §4).
pub const CONTEXT_SETS_TRIED: usize = 8;
/// Proofs over foreign status lists that a snapshot keeps (`specs/verification.md` §6).
pub const LIST_PROOFS_KEPT: usize = 4096;
/// Bytes of entries fetched from all peers that are not checked yet (`specs/sync.md` §5).
pub const CATCH_UPS_SIZE_MAX: usize = 64 * 1024 * 1024;
/// Bytes that an entry counts at least, where entries that are not checked yet are counted (`specs/sync.md` §5).
pub const ENTRY_WEIGHT_MIN: usize = 64;
/// Places below the root of one peer's frontier asked for in one exchange (`specs/sync.md` §5).
pub const FRONTIER_DESCENTS_MAX: usize = 2048;
/// Bytes of a proof that an entry is in a log, with its extra data (`specs/register.md` §10); a body of 1 MiB fits.
pub const TLOG_PROOF_SIZE_MAX: usize = 4 * 1024 * 1024;
/// Hashes of an inclusion proof: levels of the largest tree (`specs/register.md` §10).
pub const TLOG_PROOF_HASHES_MAX: usize = 63;
/// Trust entries that a record proof carries: a permission below the deepest recognition (`specs/register.md` §11).
pub const RECORD_PROOF_EDGES_MAX: usize = 9;
/// Bytes of an entry bundle: 256 entries of a later version, each behind its length (C2SP tlog-tiles).
pub const ENTRY_BUNDLE_SIZE_MAX: usize = 256 * (2 + ENTRY_TRANSPORT_SIZE_MAX);
/// Bytes of key material of a verifier key in base64: those of ML-DSA-44 have 1,752 (C2SP tlog-cosignature).
pub const KEY_MATERIAL_SIZE_MAX: usize = 2 * 1024;
/// Bytes in a did:webvh log (`specs/did-webvh.md` §2).
pub const WEBVH_LOG_SIZE_MAX: usize = 768 * 1024;
/// Bytes in one entry of a did:webvh log (`specs/did-webvh.md` §2).
pub const WEBVH_ENTRY_SIZE_MAX: usize = 64 * 1024;
/// Entries in a did:webvh log (`specs/did-webvh.md` §2).
pub const WEBVH_ENTRIES_MAX: usize = 1024;
/// Bytes in a did:webvh witness file (`specs/did-webvh.md` §2); with the log it fits a body.
pub const WEBVH_WITNESS_SIZE_MAX: usize = 128 * 1024;
/// Update keys, or hashes of next ones, in one entry (`specs/did-webvh.md` §2).
pub const WEBVH_KEYS_MAX: usize = 64;
/// Witnesses of a did:webvh DID (`specs/did-webvh.md` §2).
pub const WEBVH_WITNESSES_MAX: usize = 64;
/// Watchers of a did:webvh DID (`specs/did-webvh.md` §2).
pub const WEBVH_WATCHERS_MAX: usize = 64;
/// Proofs of one entry (`specs/did-webvh.md` §2).
pub const WEBVH_PROOFS_MAX: usize = 8;
/// Seconds that an entry may be dated ahead of the clock (`specs/did-webvh.md` §3).
pub const WEBVH_AHEAD_MAX_S: u64 = 300;
/// Names of one did:webvh DID under which copies are looked for (`specs/did-webvh.md` §6).
pub const WEBVH_NAMES_MAX: usize = 16;
/// Histories of one did:webvh DID that are compared (`specs/did-webvh.md` §6).
pub const WEBVH_BRANCHES_MAX: usize = 16;
/// did:webvh DIDs whose copies a snapshot keeps compared (`specs/did-webvh.md` §6).
pub const WEBVH_STANDINGS_KEPT: usize = 4096;
