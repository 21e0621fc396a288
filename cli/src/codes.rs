//! What each code of a verdict means to an officer: the headline of the card, what follows from it, and what to do.
//!
//! ```text
//! stale-witnessed: no quorum vouched for this data within the limit
//!   A revocation may exist that has not reached this machine.
//!   do  connect · import a bundle · or lengthen the limit knowingly
//! ```

use standfast_protocol::verdict::{Code, Warning};

/// The words for one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeWords {
    /// The reason on the card, in a few words.
    pub headline: &'static str,
    /// What the code stands for.
    pub meaning: &'static str,
    /// What follows from it, as sentences.
    pub follows: &'static str,
    /// What to do.
    pub action: &'static str,
}

/// Returns the words for a code.
pub fn of(code: Code) -> CodeWords {
    let (headline, meaning, follows, action) = words(code);
    CodeWords { headline, meaning, follows, action }
}

const IMPORT: &str = "connect, or carry in newer data: standfast bundle import FILE";
const AGAIN: &str = "try again in some minutes · watch it: standfast status";
const NOT_RELY: &str = "do not rely on it";

type Four = (&'static str, &'static str, &'static str, &'static str);

fn words(code: Code) -> Four {
    match code {
        Code::FormatMalformed => (
            "this is not a credential",
            "not a credential, or against its format's grammar",
            "Duplicate names, trailing data and over-long files count as malformed too: two readers could differ on them.",
            "give the file as the holder handed it over",
        ),
        Code::FormatRefused => (
            "a form that is not taken",
            "contains what is never accepted, or the policy leaves its form out",
            "Its content was not judged.",
            "ask for the same credential in another form",
        ),
        Code::ContextMissing => (
            "what its words mean is not known here",
            "a context, schema or type is neither built in nor held on the trust path",
            "Contexts are read only from registers on the trust path, never fetched from the web.",
            "connect, or import newer data · or tell the publisher to publish the context",
        ),
        Code::ContextConflict => (
            "its words have two meanings",
            "two registers on the trust path hold different bytes for one context",
            "Which meaning its issuer signed cannot be told.",
            "tell both publishers",
        ),
        Code::ResourceMismatch => (
            "something it names by digest is not the same",
            "bytes that the credential names by digest are others than those held",
            "What the issuer signed is not what is held under that name.",
            NOT_RELY,
        ),
        Code::SignatureMismatch => (
            "the signature does not match",
            "the signature does not match the bytes and the key",
            "The text was altered after signing, or somebody else signed it. Newer data changes nothing about that.",
            "treat it as a forgery · rely on nothing written in it",
        ),
        Code::KeyAbsent => (
            "its key is not one of the issuer's",
            "the key is not in the issuer's document, held whole and fresh, or not for this purpose",
            "The issuer may have dropped the key before the data held began.",
            "ask for a reissue · treat it as a forgery if the issuer knows nothing of it",
        ),
        Code::KeyWithdrawn => (
            "its issuer withdrew the key that signed it",
            "the key was removed from the issuer's document, witnessed or not",
            "Whoever holds a withdrawn key can still sign with it, so nothing signed by it counts.",
            "ask for a reissue",
        ),
        Code::KeyPending => (
            "the issuer's key is not witnessed yet",
            "the key is published, and no quorum of witnesses stands behind it yet",
            "A stolen register key could have added it; the witnesses have to see it first.",
            AGAIN,
        ),
        Code::DidMissing => (
            "the issuer's document is not held",
            "no document of the issuer is held, or none fresh enough to say that the key is absent",
            "Without it nobody can tell whose key signed this.",
            IMPORT,
        ),
        Code::DidDeactivated => (
            "its issuer's identity was deactivated",
            "the issuer's DID was deactivated",
            "Nothing signed in its name counts any more.",
            NOT_RELY,
        ),
        Code::DidForked => (
            "its issuer's DID has two histories",
            "copies of the log of the issuer's did:webvh DID part, and the key is not in all of them",
            "Whoever holds the issuer's update keys signed two histories; only a key that stands in both counts.",
            "report it",
        ),
        Code::IssuerUnbound => (
            "the key is not the issuer's",
            "the key does not belong to the issuer that the credential names",
            "Somebody signed in another's name.",
            "treat it as a forgery · rely on nothing written in it",
        ),
        Code::AuthorityPending => (
            "the issuer's permission is not witnessed yet",
            "the permission is published, and no quorum of witnesses stands behind it yet",
            "A stolen register key could have granted it; the witnesses have to see it first.",
            AGAIN,
        ),
        Code::AuthorityAbsent => (
            "nobody authorised this issuer",
            "no path from the charter authorises this issuer, and every register that could is whole, unforked and fresh",
            "The signature may well be right: it is the issuer that has no say here.",
            NOT_RELY,
        ),
        Code::AuthorityUnknown => (
            "whether its issuer is authorised is not known here",
            "no path was found, but a register that could hold it is missing, forked or stale",
            "The permission may exist in data that has not reached this machine.",
            IMPORT,
        ),
        Code::AuthorityWithdrawn => (
            "the issuer's permission was taken back",
            "the permission was taken back, witnessed or not",
            "A withdrawal counts at once, also for what was issued before it.",
            "do not rely on it · only the authority above the issuer can say why",
        ),
        Code::AuthorityExpired => (
            "the issuer's permission has ended",
            "the time is outside the window of the permission",
            "Permissions end by themselves unless their authority renews them.",
            "do not rely on it · the issuer has to have its permission renewed",
        ),
        Code::TypeUnauthorised => (
            "its issuer may not issue this type",
            "one of its types is not among those that the issuer may issue",
            "Every type of a credential needs a permission, also the one that was slipped in beside a permitted one.",
            NOT_RELY,
        ),
        Code::ValidityExpired => (
            "it has expired",
            "the credential or its proof is past its end",
            "The end was written by its issuer; no newer data moves it.",
            "ask for another one",
        ),
        Code::ValidityEarly => (
            "its time has not begun",
            "the credential or its proof has not begun",
            "Or this device's clock is behind.",
            "ask for another one · or check this device's clock",
        ),
        Code::ClockDisputed => (
            "this device's clock and the witnesses' differ",
            "it is past its end by the witnesses' time, but not by this device's",
            "A device whose clock was put back would accept what has expired.",
            "set this device's clock, then verify again",
        ),
        Code::StatusRevoked => (
            "revoked by its issuer",
            "the issuer revoked it, witnessed or not",
            "A revocation counts from the first copy that reaches this machine; no witness is needed.",
            "do not rely on it · only the issuer can say why",
        ),
        Code::StatusSuspended => (
            "suspended by its issuer",
            "the issuer suspended it, witnessed or not",
            "A suspension may end: the issuer reinstates the credential, and a quorum has to see that.",
            "do not rely on it for now · only the issuer can say why",
        ),
        Code::StatusMissing => (
            "whether it was revoked is not known here",
            "its list is not held or was removed, or its body is missing or cannot be read",
            "It may have been revoked in a list that has not reached this machine.",
            IMPORT,
        ),
        Code::StatusForeign => (
            "its list is not its issuer's",
            "its list stands only in a register, or under a signature, that is not its issuer's",
            "Anybody could publish such a list; only the issuer's own register says what was revoked.",
            "tell the issuer to publish the list in its own register",
        ),
        Code::StatusOutOfRange => (
            "its place in the list does not exist",
            "its index is beyond the end of the list, which is held whole and fresh",
            "The issuer never gave out that index.",
            "treat it as a forgery · rely on nothing written in it",
        ),
        Code::StatusRequired => (
            "it cannot be revoked, and has to be",
            "the permission demands a status and the credential has none",
            "Its issuer was allowed to issue only credentials that it can revoke.",
            "ask for another one",
        ),
        Code::MassWithdrawal => (
            "so much is withdrawn at once that a quorum must see it",
            "pending changes withdraw so much at once that the witnesses must see them first",
            "A stolen key could be at work; or the issuer means it, and the witnesses will confirm it.",
            "wait for the witnesses · watch it: standfast status",
        ),
        Code::HolderUnproven => (
            "that it is the holder's own is not shown",
            "holder binding is demanded, and is missing or does not fit",
            "A copied credential looks the same; only a fresh presentation by its holder does not.",
            "ask for a new presentation",
        ),
        Code::StaleWitnessed => (
            "too old to know whether it was revoked",
            "no quorum vouched for this data within the limit",
            "A revocation may exist that has not reached this machine.",
            IMPORT,
        ),
        Code::StalePublished => (
            "its owner has been silent for too long",
            "the owner of a register on the path has not confirmed it within the limit",
            "An agency that was cut off cannot publish its revocations; the witnesses alone do not make up for that.",
            "ask the owner · or decide by a policy that allows more",
        ),
        Code::StaleCharter => (
            "the charter has not been confirmed for too long",
            "no quorum named this charter within the limit",
            "A newer charter may exist, with other witnesses and anchors.",
            IMPORT,
        ),
        Code::CharterExpired => (
            "the charter has expired",
            "the charter is past its end: it grants nothing new",
            "Revocations and withdrawals still count.",
            "get the next charter from a holder of a root key: standfast charter publish FILE",
        ),
        Code::RegisterMissing => (
            "a register on the trust path is not held",
            "a register on the trust path is not held here",
            "It is named by the charter or by a permission, and none of it has reached this machine.",
            IMPORT,
        ),
        Code::UpgradeNeeded => (
            "this program is too old for a register",
            "a register on the path has entries of a newer version",
            "They cannot be skipped: one of them may be a revocation.",
            "upgrade this program",
        ),
        Code::RegisterForked => (
            "the issuer's register has two histories",
            "the key of a register on the path signed two histories",
            "The key was stolen, or its owner shows different things to different people. What was witnessed before stands \
             until it is too old.",
            "report it · see the proof: standfast fork list",
        ),
        Code::RegisterFrozen => (
            "a register stopped at a wrong entry",
            "the key of a register on the path signed an entry that is not valid",
            "Nothing after that entry counts. What was witnessed before stands until it is too old.",
            "report it to the register's owner",
        ),
        Code::CharterForked => (
            "there are two charters of one version",
            "two charters of one version are signed",
            "Holders of root keys signed both; which one this machine belongs to is for people to decide.",
            "report it · then choose a side: standfast charter pin FILE",
        ),
    }
}

/// Returns code, meaning and consequence of a warning.
pub fn of_warning(warning: Warning) -> (&'static str, &'static str, &'static str) {
    match warning {
        Warning::RegisterForked => (
            "register-forked",
            "a register on the path has two histories; what was witnessed still stands",
            "Report it; the proof: standfast fork list",
        ),
        Warning::WitnessMisbehaved => (
            "witness-misbehaved",
            "a witness behind this data contradicted itself; whether it counts, the charter says",
            "Report it to the holders of root keys; the proof: standfast fork list",
        ),
        Warning::RegisterFrozen => (
            "register-frozen",
            "a register on the path stopped at an entry that is not valid; what was witnessed still stands",
            "Report it to the register's owner.",
        ),
        Warning::StaleTolerated => (
            "stale-tolerated",
            "some data is older than the limit, and the policy tolerates it up to a second one",
            "A revocation may exist that has not reached this machine.",
        ),
        Warning::CharterForked => (
            "charter-forked",
            "two charters of one version are signed; by either of them this stands",
            "Report it, then choose a side: standfast charter pin FILE",
        ),
        Warning::CharterExpiresSoon => (
            "charter-expires-soon",
            "the charter ends within 30 days",
            "After its end nothing is accepted; a holder of a root key has to publish the next one.",
        ),
        Warning::TrustOff => (
            "trust-off",
            "the policy does not judge whether the issuer is authorised",
            "Anybody with a DID could have issued it.",
        ),
        Warning::IssuerSilent => (
            "issuer-silent",
            "the issuer has been silent for longer than the policy's first limit",
            "What it last said still stands as of then; it may have lost its servers or its keys.",
        ),
        Warning::NowGiven => (
            "now-given",
            "the clock was given by hand, with --now",
            "The verdict is one for that time, not for this moment.",
        ),
    }
}

/// All warnings.
pub const WARNINGS: [Warning; 9] = [
    Warning::RegisterForked,
    Warning::WitnessMisbehaved,
    Warning::RegisterFrozen,
    Warning::CharterForked,
    Warning::StaleTolerated,
    Warning::CharterExpiresSoon,
    Warning::TrustOff,
    Warning::IssuerSilent,
    Warning::NowGiven,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::COLUMNS;

    #[test]
    fn every_code_has_words_in_our_voice() {
        for code in Code::ALL {
            let CodeWords { headline, meaning, follows, action } = of(*code);
            assert!(headline.chars().count() + "? CANNOT DECIDE   ".len() <= COLUMNS, "{headline}");
            assert!(follows.ends_with(['.', ':']), "{follows}");
            for text in [headline, meaning, action] {
                assert!(!text.ends_with('.') && !text.contains('!') && !text.contains("  "), "{text}");
                assert!(text.starts_with(|c: char| c.is_lowercase()), "{text}");
            }
        }
    }
}
