//! What a verifier demands: limits for the ages, purposes that reject, formats, and what stale means.
//!
//! ```toml
//! name = "standard"
//! rejects = ["revocation", "suspension"]       # status purposes for which a value other than 0 rejects
//! formats = ["vc+jwt", "eddsa-jcs-2022", "eddsa-rdfc-2022"]
//! trust = true                                 # false: authority is not judged, and the verdict says so
//! holder = false                               # true: a holder binding is demanded
//!
//! [limits]                                     # seconds
//! witnessed_s = 86400
//! published_s = 604800
//! charter_s = 2592000
//!
//! [tolerated]                                  # optional: up to here, accepted with a warning
//! witnessed_s = 604800
//! ```

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The longest ages that a policy takes as fresh, in seconds (`specs/verification.md` §7.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgeLimits {
    /// Since a quorum stood at exactly the witnessed head.
    pub witnessed_s: u64,
    /// Since the publisher's own timestamped cosignature.
    pub published_s: u64,
    /// Since a quorum of views named this charter.
    pub charter_s: u64,
}

/// Second limits, up to which stale data is accepted with a warning; an absent one tolerates nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tolerance {
    /// For the witnessed age.
    pub witnessed_s: Option<u64>,
    /// For the published age.
    pub published_s: Option<u64>,
    /// For the charter's age.
    pub charter_s: Option<u64>,
}

/// A verifier's policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its name, shown in verdicts.
    pub name: String,
    /// Status purposes for which a value other than 0 rejects.
    pub rejects: Vec<String>,
    /// Formats and cryptosuites that are looked at.
    pub formats: Vec<String>,
    /// Whether the issuer's authority is judged.
    pub trust: bool,
    /// Whether a holder binding is demanded.
    pub holder: bool,
    /// Whether a network without witnesses (`quorum none`) is good enough.
    #[serde(default)]
    pub quorum_none: bool,
    /// The longest ages that count as fresh.
    pub limits: AgeLimits,
    /// Second limits.
    #[serde(default)]
    pub tolerated: Tolerance,
}

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

impl Policy {
    /// Names of the built-in policies.
    pub const BUILT_IN: [&'static str; 3] = ["strict", "standard", "degraded"];

    /// Returns a built-in policy: `strict`, `standard` or `degraded`.
    pub fn built_in(name: &str) -> Option<Self> {
        let ordinary = AgeLimits { witnessed_s: DAY, published_s: 7 * DAY, charter_s: 30 * DAY };
        let (limits, tolerated) = match name {
            "strict" => {
                (AgeLimits { witnessed_s: 2 * HOUR, published_s: 2 * HOUR, charter_s: 7 * DAY }, Tolerance::default())
            }
            "standard" => (ordinary, Tolerance::default()),
            "degraded" => (
                ordinary,
                Tolerance { witnessed_s: Some(7 * DAY), published_s: Some(30 * DAY), charter_s: Some(60 * DAY) },
            ),
            _ => return None,
        };
        Some(Self {
            name: name.to_owned(),
            rejects: vec!["revocation".to_owned(), "suspension".to_owned()],
            formats: ["vc+jwt", "eddsa-jcs-2022", "eddsa-rdfc-2022"].map(str::to_owned).to_vec(),
            trust: true,
            holder: false,
            quorum_none: false,
            limits,
            tolerated,
        })
    }

    /// Returns the digest by which verdicts and receipts name this policy: SHA-256 of its JSON in member order.
    pub fn digest(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).expect("a policy has only strings, numbers and booleans"))
    }

    /// True when the policy rejects `value` under `purpose`.
    pub fn rejects(&self, purpose: &str, value: u8) -> bool {
        value != 0 && self.rejects.iter().any(|p| p == purpose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_policies_have_different_digests() {
        let digests = Policy::BUILT_IN.map(|name| Policy::built_in(name).expect("built in").digest());
        assert!(digests[0] != digests[1] && digests[1] != digests[2]);
    }

    #[test]
    fn only_named_purposes_reject() {
        let policy = Policy::built_in("standard").expect("built in");
        assert!(policy.rejects("revocation", 1));
        assert!(!policy.rejects("revocation", 0));
        assert!(!policy.rejects("message", 1));
    }
}
