//! What a verifier is told: an outcome, eight checks with their evidence, and the age of all that was used.
//!
//! ```json
//! {"kind": "standfast/verdict/v1", "outcome": "indeterminate", "code": "stale-witnessed", "exit": 3, …}
//! ```

use serde::{Serialize, Serializer};

use crate::digest::Digest;
use crate::time::Time;

/// The three outcomes; "not known" is one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every check that the policy demands passed, on data fresh enough.
    Accepted,
    /// Something is known to be wrong.
    Rejected,
    /// Something could not be known.
    Indeterminate,
}

/// The eight checks, in the order in which every verdict lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckName {
    /// The bytes are a credential, in a form that is accepted.
    Format,
    /// The proof matches the bytes and the key.
    Signature,
    /// The key is the issuer's.
    Issuer,
    /// A trust path authorises the issuer for every type.
    Authority,
    /// The time is inside the credential's window.
    Validity,
    /// Its status list does not reject it.
    Status,
    /// The holder binding that the policy demands.
    Holder,
    /// What was used is young enough.
    Freshness,
}

impl CheckName {
    /// All checks in their order.
    pub const ALL: [CheckName; 8] = [
        Self::Format,
        Self::Signature,
        Self::Issuer,
        Self::Authority,
        Self::Validity,
        Self::Status,
        Self::Holder,
        Self::Freshness,
    ];

    /// Returns the name as it stands in JSON and in codes such as `format-ok`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Authority => "authority",
            Self::Validity => "validity",
            Self::Status => "status",
            Self::Holder => "holder",
            Self::Freshness => "freshness",
        }
    }
}

/// What became of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckResult {
    /// It holds.
    Passed,
    /// It is known not to hold.
    Failed,
    /// It could not be judged.
    Unknown,
    /// The policy does not ask for it, or an earlier check left nothing to judge.
    Skipped,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $result:ident, $exit:literal, $action:literal;)*) => {
        /// Why a credential is not accepted (`specs/verification.md` §7); stable from 1.0.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// All codes in the order of the checks.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// Returns the code as text.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Returns whether the code stands for something known to be wrong or for something not known.
            pub fn result(self) -> CheckResult {
                match self { $(Self::$variant => CheckResult::$result,)* }
            }

            /// Returns the exit code of `standfast verify`.
            pub fn exit(self) -> u8 {
                match self { $(Self::$variant => $exit,)* }
            }

            /// Returns what to do about it, in one clause.
            pub fn action(self) -> &'static str {
                match self { $(Self::$variant => $action,)* }
            }
        }
    };
}

codes! {
    /// Not a credential, or against its format's grammar.
    FormatMalformed = "format-malformed", Failed, 2, "give the right file";
    /// Contains what is never accepted, or the policy excludes it.
    FormatRefused = "format-refused", Failed, 1, "ask for another form";
    /// A context, schema or type is neither built in nor held on the path.
    ContextMissing = "context-missing", Unknown, 3, "import newer data, or tell the publisher";
    /// Two registers on the path hold different bytes for one context.
    ContextConflict = "context-conflict", Unknown, 3, "tell the publishers";
    /// Bytes that the credential names by digest are others.
    ResourceMismatch = "resource-mismatch", Failed, 1, "do not rely on it";
    /// The signature does not match the bytes and the key.
    SignatureMismatch = "signature-mismatch", Failed, 1, "treat it as a forgery";
    /// Not in the issuer's document, held whole and fresh, or not for this purpose.
    KeyAbsent = "key-absent", Failed, 1, "ask for a reissue";
    /// Removed from the issuer's document, witnessed or not.
    KeyWithdrawn = "key-withdrawn", Failed, 1, "ask for a reissue";
    /// Published, but not witnessed yet.
    KeyPending = "key-pending", Unknown, 3, "try again in some minutes";
    /// No document of the issuer is held, or none fresh enough to say that the key is absent.
    DidMissing = "did-missing", Unknown, 3, "connect or import newer data";
    /// The issuer's DID was deactivated.
    DidDeactivated = "did-deactivated", Failed, 1, "do not rely on it";
    /// Copies of the log of the issuer's did:webvh DID part, and the key is not in all of them.
    DidForked = "did-forked", Unknown, 4, "report it";
    /// The key does not belong to the issuer that the credential names.
    IssuerUnbound = "issuer-unbound", Failed, 1, "treat it as a forgery";
    /// The permission is published but not witnessed yet.
    AuthorityPending = "authority-pending", Unknown, 3, "try again in some minutes";
    /// No path from the charter authorises this issuer, and every register that could is whole, unforked and fresh.
    AuthorityAbsent = "authority-absent", Failed, 1, "do not rely on it";
    /// No path was found, but a register that could hold it is missing, forked or stale.
    AuthorityUnknown = "authority-unknown", Unknown, 3, "connect or import newer data";
    /// The permission was taken back, witnessed or not.
    AuthorityWithdrawn = "authority-withdrawn", Failed, 1, "do not rely on it";
    /// The time is outside the permission's window.
    AuthorityExpired = "authority-expired", Failed, 1, "do not rely on it";
    /// One of its types is not among those that the issuer may issue.
    TypeUnauthorised = "type-unauthorised", Failed, 1, "do not rely on it";
    /// The credential or its proof is past its end.
    ValidityExpired = "validity-expired", Failed, 1, "ask for another one";
    /// The credential or its proof has not begun.
    ValidityEarly = "validity-early", Failed, 1, "ask for another one";
    /// It expires by the witnesses' time but not by this device's.
    ClockDisputed = "clock-disputed", Unknown, 3, "set the clock";
    /// The issuer revoked it, witnessed or not.
    StatusRevoked = "status-revoked", Failed, 1, "do not rely on it";
    /// The issuer suspended it, witnessed or not.
    StatusSuspended = "status-suspended", Failed, 1, "do not rely on it";
    /// Its list is not held, was removed, or its body is missing or unusable.
    StatusMissing = "status-missing", Unknown, 3, "connect or import newer data";
    /// Its list stands only in a register, or under a signature, that is not its issuer's.
    StatusForeign = "status-foreign", Unknown, 3, "tell the issuer";
    /// Its index is beyond the list, which is held whole and fresh.
    StatusOutOfRange = "status-out-of-range", Failed, 1, "treat it as a forgery";
    /// The grant demands a status and the credential has none.
    StatusRequired = "status-required", Failed, 1, "ask for another one";
    /// Pending changes withdraw so much at once that a quorum must see them first.
    MassWithdrawal = "mass-withdrawal", Unknown, 3, "wait for the witnesses";
    /// Holder binding is demanded and is missing or does not fit.
    HolderUnproven = "holder-unproven", Failed, 1, "ask for a new presentation";
    /// No quorum vouched for the data within the limit.
    StaleWitnessed = "stale-witnessed", Unknown, 3, "connect, or import newer data";
    /// The owner has been silent for longer than the limit.
    StalePublished = "stale-published", Unknown, 3, "ask the owner";
    /// The charter was last named by a quorum too long ago.
    StaleCharter = "stale-charter", Unknown, 3, "get the next charter";
    /// The charter is past its end.
    CharterExpired = "charter-expired", Unknown, 3, "get the next charter";
    /// A register on the path is not held.
    RegisterMissing = "register-missing", Unknown, 3, "connect or import newer data";
    /// A register on the path has entries of a newer version.
    UpgradeNeeded = "upgrade-needed", Unknown, 3, "upgrade this program";
    /// A register's key signed two histories.
    RegisterForked = "register-forked", Unknown, 4, "report it";
    /// A register's key signed an entry that is not valid.
    RegisterFrozen = "register-frozen", Unknown, 4, "report it";
    /// Two charters of one version are signed.
    CharterForked = "charter-forked", Unknown, 4, "pin one of them";
}

impl Code {
    /// Finds a code by its text.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Something worth knowing beside an accepted verdict; it never changes the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Warning {
    /// A register on the path is forked; what was witnessed still stands.
    RegisterForked,
    /// A witness that stands behind a register on the path contradicted itself; whether it counts, the charter says.
    WitnessMisbehaved,
    /// A register on the path stopped at an entry that is not valid; what was witnessed still stands.
    RegisterFrozen,
    /// Some age is past the policy's limit, but within its second one.
    StaleTolerated,
    /// Two charters of one version are signed, and this verdict is the same by either.
    CharterForked,
    /// The charter ends within 30 days.
    CharterExpiresSoon,
    /// The policy does not judge authority.
    TrustOff,
    /// The issuer has been silent for longer than the policy's first limit.
    IssuerSilent,
    /// The clock was given by hand.
    NowGiven,
}

/// Where a fact was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The register's origin.
    pub register: String,
    /// The size at which it was read.
    pub size: u64,
    /// The root hash at that size.
    pub root: Digest,
    /// The record's key.
    pub record: Option<String>,
    /// The newest time at which a quorum stood at exactly this size.
    pub as_of_at: Option<Time>,
}

/// One check with its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Which check.
    pub name: CheckName,
    /// What became of it.
    pub result: CheckResult,
    /// Why it failed or is unknown; `None` when passed or skipped.
    pub code: Option<Code>,
    /// One line: what was found.
    pub reason: String,
    /// Where it was read.
    pub evidence: Vec<Evidence>,
}

impl Check {
    /// A check that holds.
    pub fn passed(name: CheckName, reason: impl Into<String>, evidence: Vec<Evidence>) -> Self {
        Self { name, result: CheckResult::Passed, code: None, reason: reason.into(), evidence }
    }

    /// A check that was not made.
    pub fn skipped(name: CheckName, reason: impl Into<String>) -> Self {
        Self { name, result: CheckResult::Skipped, code: None, reason: reason.into(), evidence: Vec::new() }
    }

    /// A check that failed or is unknown, as its code says.
    pub fn refused(name: CheckName, code: Code, reason: impl Into<String>, evidence: Vec<Evidence>) -> Self {
        Self { name, result: code.result(), code: Some(code), reason: reason.into(), evidence }
    }

    /// Returns the code as it stands in JSON: the code itself, or `NAME-ok`, `NAME-skipped`.
    pub fn code_text(&self) -> String {
        match (self.code, self.result) {
            (Some(code), _) => code.as_str().to_owned(),
            (None, CheckResult::Skipped) => format!("{}-skipped", self.name.as_str()),
            (None, _) => format!("{}-ok", self.name.as_str()),
        }
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            name: CheckName,
            result: CheckResult,
            code: String,
            reason: &'a str,
            evidence: &'a [Evidence],
        }
        let Self { name, result, reason, evidence, .. } = self;
        Shown { name: *name, result: *result, code: self.code_text(), reason, evidence }.serialize(serializer)
    }
}

/// One kind of age: the oldest of what was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Age {
    /// Seconds; `None` where nobody has said anything, which under `quorum none` is all there is.
    pub age_s: Option<u64>,
    /// The policy's limit in seconds.
    pub limit_s: u64,
    /// The register whose age this is; `None` for the charter.
    pub register: Option<String>,
}

/// How old the data is on which a verdict rests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ages {
    /// Since a quorum stood at the witnessed heads.
    pub witnessed: Age,
    /// Since the publishers' own timestamps.
    pub published: Age,
    /// Since a quorum of views named the charter.
    pub charter: Age,
    /// The first time at which one of the limits is passed, if nothing newer comes.
    pub fresh_until_at: Option<Time>,
}

/// What is missing for a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Need {
    /// Why it is needed.
    pub code: Code,
    /// The register concerned.
    pub register: Option<String>,
    /// What is held.
    pub have: Option<String>,
    /// What would be enough.
    pub want: Option<String>,
}

/// One recommended action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Action {
    /// In words.
    pub text: String,
    /// A command to run.
    pub command: Option<Vec<String>>,
}

/// What the credential says of itself; nothing of it is vouched for by being listed here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CredentialSummary {
    /// Where it was read; set by the caller.
    pub source: Option<String>,
    /// Its format or cryptosuite.
    pub format: Option<String>,
    /// Its size.
    pub size_bytes: u64,
    /// Its types as absolute IRIs where known, else as written.
    pub types: Vec<String>,
    /// The issuer that it names.
    pub issuer: Option<String>,
    /// The verification method that it names.
    pub key: Option<String>,
    /// The start of its window.
    pub valid_from_at: Option<Time>,
    /// The end of its window.
    pub valid_until_at: Option<Time>,
}

/// One authority on the trust path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PathStep {
    /// The authority's DID.
    pub authority: String,
    /// Its register.
    pub register: String,
    /// The register's witnessed size.
    pub size: u64,
    /// The witnessed root.
    pub root: Digest,
    /// The end of what it grants to the next one.
    pub until_at: Option<Time>,
}

/// The network and the path on which a verdict rests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrustSummary {
    /// The network id.
    pub network: Digest,
    /// The charter's version.
    pub charter: u64,
    /// How many admitting witnesses stand at the witnessed head of the issuer's register; `None` where none is known.
    pub witnesses: Option<usize>,
    /// How many the quorum needs at least.
    pub witnesses_needed: usize,
    /// How many the charter names.
    pub witnesses_named: usize,
    /// When a quorum last stood at the issuer's register.
    pub witnessed_at: Option<Time>,
    /// From the anchor to the authority that authorises the issuer.
    pub path: Vec<PathStep>,
}

/// The policy by which a verdict was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicySummary {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub sha256: Digest,
    /// Whether authority was judged.
    pub trust: bool,
}

/// The clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Clock {
    /// The device's time.
    pub device_at: Time,
    /// The bound from the witnesses' statements.
    pub bound_at: Option<Time>,
    /// The later of the two: what checks used.
    pub used_at: Time,
}

/// The decision; an accepted one carries its ages, or cannot be made.
///
/// ```
/// # use standfast_protocol::verdict::{Age, Ages, Decision};
/// let age = Age { age_s: Some(240), limit_s: 86_400, register: None };
/// let ages = Ages { witnessed: age.clone(), published: age.clone(), charter: age, fresh_until_at: None };
/// let accepted = Decision::Accepted(ages);
/// ```
///
/// ```compile_fail
/// # use standfast_protocol::verdict::{Age, Ages, Decision};
/// let accepted = Decision::Accepted;
/// let decided: Decision = accepted;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Every demanded check passed.
    Accepted(Ages),
    /// The first check that failed.
    Rejected(Code, Option<Ages>),
    /// The first check that is unknown.
    Indeterminate(Code, Option<Ages>),
}

/// Everything about one credential, judged by one snapshot, one policy and one clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The decision.
    pub decision: Decision,
    /// The eight checks in their order.
    pub checks: Vec<Check>,
    /// What is missing, when something is unknown.
    pub needs: Vec<Need>,
    /// What is worth knowing.
    pub warnings: Vec<Warning>,
    /// What the credential says of itself.
    pub credential: CredentialSummary,
    /// The network and the path.
    pub trust: TrustSummary,
    /// The policy.
    pub policy: PolicySummary,
    /// The clocks.
    pub clock: Clock,
}

impl Decision {
    /// Decides from the checks: any failed one rejects; else any unknown one leaves it open; else, with the ages of
    /// what was used, it is accepted. Without ages nothing is.
    pub fn from_checks(checks: &[Check], ages: Option<Ages>) -> Self {
        let first = |result| checks.iter().find(|c| c.result == result).and_then(|c| c.code);
        if let Some(code) = first(CheckResult::Failed) {
            return Self::Rejected(code, ages);
        }
        if let Some(code) = first(CheckResult::Unknown) {
            return Self::Indeterminate(code, ages);
        }
        match ages {
            Some(ages) => Self::Accepted(ages),
            None => Self::Indeterminate(Code::RegisterMissing, None),
        }
    }
}

impl Verdict {
    /// Returns the outcome.
    pub fn outcome(&self) -> Outcome {
        match self.decision {
            Decision::Accepted(_) => Outcome::Accepted,
            Decision::Rejected(..) => Outcome::Rejected,
            Decision::Indeterminate(..) => Outcome::Indeterminate,
        }
    }

    /// Returns the code of the first check that failed, or else is unknown; `None` when accepted.
    pub fn code(&self) -> Option<Code> {
        match self.decision {
            Decision::Accepted(_) => None,
            Decision::Rejected(code, _) | Decision::Indeterminate(code, _) => Some(code),
        }
    }

    /// Returns the ages, where known.
    pub fn ages(&self) -> Option<&Ages> {
        match &self.decision {
            Decision::Accepted(ages) => Some(ages),
            Decision::Rejected(_, ages) | Decision::Indeterminate(_, ages) => ages.as_ref(),
        }
    }

    /// Returns the exit code of `standfast verify`: 0 accepted, and never otherwise.
    pub fn exit(&self) -> u8 {
        self.code().map_or(0, Code::exit)
    }

    /// Returns the check of this name.
    pub fn check(&self, name: CheckName) -> Option<&Check> {
        self.checks.iter().find(|c| c.name == name)
    }

    /// Returns the one-line reason.
    pub fn reason(&self) -> &str {
        let deciding = self.code().and_then(|code| self.checks.iter().find(|c| c.code == Some(code)));
        deciding.map_or("every check passed", |c| &c.reason)
    }

    /// Returns the one recommended action.
    pub fn action(&self) -> Action {
        let text = self.code().map_or("nothing more", Code::action).to_owned();
        let command: Option<&[&str]> = match self.code() {
            Some(
                Code::StaleWitnessed
                | Code::DidMissing
                | Code::AuthorityUnknown
                | Code::StatusMissing
                | Code::RegisterMissing
                | Code::ContextMissing,
            ) => Some(&["standfast", "bundle", "import", "FILE"]),
            Some(Code::RegisterForked | Code::RegisterFrozen) => Some(&["standfast", "fork", "list"]),
            Some(Code::AuthorityPending | Code::KeyPending | Code::MassWithdrawal) => Some(&["standfast", "status"]),
            _ => None,
        };
        Action { text, command: command.map(|words| words.iter().map(|w| (*w).to_owned()).collect()) }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            kind: &'static str,
            outcome: Outcome,
            code: &'a str,
            exit: u8,
            reason: &'a str,
            needs: &'a [Need],
            warnings: &'a [Warning],
            action: Action,
            credential: &'a CredentialSummary,
            checks: &'a [Check],
            ages: Option<&'a Ages>,
            trust: &'a TrustSummary,
            policy: &'a PolicySummary,
            clock: &'a Clock,
        }
        Shown {
            kind: "standfast/verdict/v1",
            outcome: self.outcome(),
            code: self.code().map_or("accepted", Code::as_str),
            exit: self.exit(),
            reason: self.reason(),
            needs: &self.needs,
            warnings: &self.warnings,
            action: self.action(),
            credential: &self.credential,
            checks: &self.checks,
            ages: self.ages(),
            trust: &self.trust,
            policy: &self.policy,
            clock: &self.clock,
        }
        .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ages() -> Ages {
        let age = Age { age_s: Some(1), limit_s: 2, register: None };
        Ages { witnessed: age.clone(), published: age.clone(), charter: age, fresh_until_at: None }
    }

    #[test]
    fn a_failed_check_rejects_before_an_unknown_one() {
        let checks = [
            Check::refused(CheckName::Authority, Code::AuthorityUnknown, "", vec![]),
            Check::refused(CheckName::Status, Code::StatusRevoked, "", vec![]),
        ];
        assert!(matches!(
            Decision::from_checks(&checks, Some(ages())),
            Decision::Rejected(Code::StatusRevoked, Some(_))
        ));
    }

    #[test]
    fn nothing_is_accepted_without_ages() {
        let checks = [Check::passed(CheckName::Format, "", vec![])];
        assert!(matches!(Decision::from_checks(&checks, None), Decision::Indeterminate(..)));
        assert!(matches!(Decision::from_checks(&checks, Some(ages())), Decision::Accepted(_)));
    }

    #[test]
    fn codes_are_distinct_and_found_by_their_text() {
        for code in Code::ALL {
            assert_eq!(Code::from_text(code.as_str()), Some(*code));
            assert!(matches!(code.result(), CheckResult::Failed | CheckResult::Unknown));
        }
    }
}
