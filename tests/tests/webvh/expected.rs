//! What each file of the foreign vectors is, and what comes of it. A file that is not here fails the test, and so does
//! another result, for better or worse.

/// The part that a file plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A log of which every entry holds; so many versions.
    Whole(usize),
    /// A log of which so many versions hold, and the code of what is wrong with the next.
    Ends(usize, &'static str),
    /// What resolving the `did.jsonl` beside it gives, by the query of a DID URL.
    Resolved(&'static str),
    /// A witness file, read with its log.
    Beside,
    /// What they resolve to, of a version that does not hold here.
    Unreached,
}
use Role::{Beside, Ends, Resolved, Unreached, Whole};

/// The time at which the logs are read.
pub(super) const NOW: &str = "2026-11-21T00:00:00Z";

/// did:webvh 1.0, Read: "the `versionTime` for each log entry MUST be greater than the previous entry's time". These
/// logs were made faster than one entry a second; didwebvh-rs 0.6 and didwebvh-ts refuse them like this today
/// (decentralized-identity/didwebvh#272 was closed with the rule as it is).
const SAME_SECOND: &str = "version-time";

/// Every file of `didwebvh-rs-vectors/tests/test_vectors`.
pub(super) const DIDWEBVH_RS: &[(&str, Role)] = &[
    ("did-generate_history.jsonl", Whole(120)),
    ("did-witness-generate_history.json", Beside),
    ("first_log_entry_good.jsonl", Whole(1)),
    ("first_log_entry_verify_full.jsonl", Whole(1)),
    // Its versionTime was moved by a second.
    ("first_log_entry_verify_tampered.jsonl", Ends(0, "entry-hash")),
    ("plain_rotation_no_prerotation.jsonl", Ends(1, SAME_SECOND)),
    // `null` for watchers and ttl: resolvers should read it as the default ("DID Method Parameters", note).
    ("pre-1_0-spec.jsonl", Whole(3)),
    ("test_suite/basic-create/did.jsonl", Whole(1)),
    ("test_suite/basic-create/resolutionResult.json", Resolved("")),
    ("test_suite/basic-update/did.jsonl", Whole(2)),
    ("test_suite/basic-update/resolutionResult.json", Resolved("")),
    ("test_suite/deactivate/did.jsonl", Whole(2)),
    ("test_suite/deactivate/resolutionResult.json", Resolved("")),
    ("test_suite/key-rotation/did.jsonl", Whole(2)),
    ("test_suite/key-rotation/resolutionResult.json", Resolved("")),
    ("test_suite/multi-update/did.jsonl", Whole(3)),
    ("test_suite/multi-update/resolutionResult.1.json", Resolved("versionNumber=1")),
    ("test_suite/multi-update/resolutionResult.2.json", Resolved("versionTime=2000-01-02T12:00:00Z")),
    ("test_suite/multi-update/resolutionResult.json", Resolved("")),
    ("test_suite/multiple-update-keys/did.jsonl", Whole(2)),
    ("test_suite/multiple-update-keys/resolutionResult.json", Resolved("")),
    ("test_suite/portable-move/did.jsonl", Whole(2)),
    ("test_suite/portable-move/resolutionResult.json", Resolved("")),
    ("test_suite/portable/did.jsonl", Whole(1)),
    ("test_suite/portable/resolutionResult.json", Resolved("")),
    ("test_suite/pre-rotation-consume/did.jsonl", Whole(2)),
    ("test_suite/pre-rotation-consume/resolutionResult.json", Resolved("")),
    ("test_suite/pre-rotation/did.jsonl", Whole(1)),
    ("test_suite/pre-rotation/resolutionResult.json", Resolved("")),
    ("test_suite/services/did.jsonl", Whole(2)),
    ("test_suite/services/resolutionResult.json", Resolved("")),
    ("test_suite/witness-threshold/did-witness.json", Beside),
    ("test_suite/witness-threshold/did.jsonl", Whole(1)),
    ("test_suite/witness-threshold/resolutionResult.json", Resolved("")),
    ("test_suite/witness-update/did-witness.json", Beside),
    // "DID Witnesses": a new list of witnesses "becomes active AFTER the new DID log entry has been published"; the second
    // entry has the proof of its own list alone. didwebvh-rs leaves this vector out, didwebvh-ts of today refuses it too.
    ("test_suite/witness-update/did.jsonl", Ends(1, "unwitnessed")),
    ("test_suite/witness-update/resolutionResult.json", Unreached),
];

/// Every file of `swiyu-did-webvh/test_data`. The Swiss profile has P-256 keys as JWK and methods without `controller` in its
/// documents, which are read; update keys are Ed25519 there too.
pub(super) const SWIYU: &[(&str, Role)] = &[
    ("generated_by_didtoolbox_java/key_prerotation.jsonl", Whole(1)),
    ("generated_by_didtoolbox_java/multiple_update_keys.jsonl", Whole(1)),
    ("generated_by_didtoolbox_java/single_update_key.jsonl", Whole(1)),
    ("generated_by_didtoolbox_java/unhappy_path/descending_version_datetime_did.jsonl", Ends(0, "entry-hash")),
    ("generated_by_didtoolbox_java/unhappy_path/inconsecutive_version_numbers_did.jsonl", Ends(1, "version-number")),
    ("generated_by_didtoolbox_java/unhappy_path/invalid_initial_version_number_did.jsonl", Ends(0, "version-number")),
    ("generated_by_didtoolbox_java/unhappy_path/version_time_in_the_future_did.jsonl", Ends(0, "entry-hash")),
    ("generated_by_didtoolbox_java/v005_did.jsonl", Ends(1, SAME_SECOND)),
    ("generated_by_didtoolbox_java/v010_did.jsonl", Ends(1, SAME_SECOND)),
    ("generated_by_didtoolbox_java/v050_did.jsonl", Ends(1, SAME_SECOND)),
    ("generated_by_didtoolbox_java/v100_did.jsonl", Ends(1, SAME_SECOND)),
    ("generated_by_didtoolbox_java/v200_did.jsonl", Ends(1, SAME_SECOND)),
    ("generated_by_didtoolbox_java/v300_did.jsonl", Ends(1, SAME_SECOND)),
    ("generated_by_didtoolbox_java/v400_did.jsonl", Ends(1, SAME_SECOND)),
    ("generated_by_didwebvh_ts/example.jsonl", Whole(1)),
    ("manually_created/2_log_entries.jsonl", Whole(2)),
    ("manually_created/key_prerotation.jsonl", Whole(3)),
    ("manually_created/single_update_key.jsonl", Whole(1)),
    ("manually_created/unhappy_path/invalid_scid.jsonl", Ends(0, "scid")),
    // Its second entry was edited without making its hash again, so that the key of the third is not reached.
    ("manually_created/unhappy_path/signed_with_outdated_key.jsonl", Ends(1, "entry-hash")),
    ("manually_created/unhappy_path/signed_with_unauthorized_key.jsonl", Ends(0, "key-not-active")),
    ("third_party_test_vectors/pre-1_0-spec.jsonl", Whole(3)),
    ("third_party_test_vectors/revoked-did.jsonl", Ends(3, SAME_SECOND)),
];
