//! Plans: a charter in the form in which people edit it.
//!
//! ```toml
//! expires_at = "2027-12-01T00:00:00Z"        # issued_at: now, unless it is given
//! admission = "open"
//! bootstrap = ["/ip4/203.0.113.7/tcp/7411"]
//!
//! [roots]
//! threshold = 2
//! keys = ["interior.gov.example/root+…", "customs.gov.example/root+…", "health.gov.example/root+…"]
//!
//! [limits]                                   # these are the defaults
//! witnessed = "24h"
//! published = "7d"
//! charter = "30d"
//!
//! [witnesses]                                # quorum: the recommended k of all admitting ones, unless lines are given
//! quorum = """
//! group agencies 2 interior customs health
//! quorum agencies
//! """
//! [witnesses.named.interior]
//! cosign = "interior.gov.example/witness+…"
//! view = "interior.gov.example/view+…"
//!
//! [[anchors]]
//! authority = "did:web:interior.gov.example"
//! register = { origin = "interior.gov.example/register/9b21…", keys = ["…"] }
//! ```
//!
//! Version, network and the witnesses in force before a change follow from the charter that comes before.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    Admission, AnchorTerms, Charter, CharterError, Document, FreshnessLimits, KIND, Kind, Quotas, Roots, WitnessKind,
    WitnessSet, WitnessTerms, WitnessesBefore,
};
use crate::key::VerifierKey;
use crate::limits;
use crate::time::Time;

/// Why a plan makes no charter.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A line of `witnesses.quorum` that names a witness: those stand in `witnesses.named`.
    #[error("expected group and quorum lines, came `{0}`")]
    QuorumLine(String),
    /// The plan makes a charter that is refused.
    #[error("the charter that the plan describes is refused")]
    Charter(#[from] CharterError),
}

/// A span of time in seconds, written `90`, `"15m"`, `"24h"` or `"30d"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub u64);

/// A charter to be, as a person writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// When it is issued; by default the time at which the charter is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Time>,
    /// When it expires.
    pub expires_at: Time,
    /// Who may read.
    #[serde(default)]
    pub admission: Admission,
    /// Origins of the registers whose `member/` records count.
    #[serde(default)]
    pub members: Vec<String>,
    /// Multiaddrs to begin at.
    #[serde(default)]
    pub bootstrap: Vec<String>,
    /// Who signs charters.
    pub roots: Roots,
    /// The ages that this network advises as limits.
    #[serde(default)]
    pub limits: PlanLimits,
    /// What one publisher may send.
    #[serde(default)]
    pub quotas: PlanQuotas,
    /// Who witnesses.
    #[serde(default)]
    pub witnesses: PlanWitnesses,
    /// The authorities that paths begin at, in the order of search.
    pub anchors: Vec<AnchorTerms>,
}

/// Limits of age in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlanLimits {
    /// Since a quorum stood at W.
    pub witnessed: Span,
    /// Since the publisher stood at a head.
    pub published: Span,
    /// Since a quorum named the charter.
    pub charter: Span,
}

impl Default for PlanLimits {
    /// A day, a week and a month: what `specs/charter.md` §3 recommends.
    fn default() -> Self {
        Self { witnessed: Span(86_400), published: Span(7 * 86_400), charter: Span(30 * 86_400) }
    }
}

/// Quotas in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlanQuotas {
    /// Entries a publisher may append in a day.
    pub entries_per_day: u64,
    /// Bytes a publisher may send in a day.
    pub bytes_per_day: u64,
    /// How long nodes keep deltas of status lists.
    pub delta_retention: Span,
}

impl Default for PlanQuotas {
    /// 10,000 entries, 64 MiB, 30 days: what `specs/charter.md` §3 recommends.
    fn default() -> Self {
        Self { entries_per_day: 10_000, bytes_per_day: 64 * 1024 * 1024, delta_retention: Span(30 * 86_400) }
    }
}

/// Witnesses in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanWitnesses {
    /// When a change of witnesses takes effect; by default as early as it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// Group and quorum lines of C2SP tlog-policy; by default the recommended k of all admitting witnesses, or
    /// `quorum none` without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<String>,
    /// Each witness by its name.
    #[serde(default)]
    pub named: BTreeMap<String, PlanWitness>,
}

/// One witness in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanWitness {
    /// What it checks.
    #[serde(default = "admitting")]
    pub kind: Kind,
    /// The verifier key (0x04) of its cosignatures.
    pub cosign: VerifierKey,
    /// The verifier key (0x01) of its views.
    pub view: VerifierKey,
    /// Where it answers over C2SP tlog-witness, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

fn admitting() -> Kind {
    Kind::Admitting
}

impl Plan {
    /// Makes version 1, or the version after `previous`, unsigned. `now` is the time of issue where none is planned.
    pub fn into_charter(self, previous: Option<&Charter>, now: Time) -> Result<Charter, PlanError> {
        let issued_at = self.issued_at.unwrap_or(now).secs();
        let witnesses = self.witnesses.terms(previous, issued_at)?;
        let document = Document {
            kind: KIND.to_owned(),
            network: previous.map(Charter::network_id),
            version: previous.map_or(1, |p| p.version().saturating_add(1)),
            issued_at,
            expires_at: self.expires_at.secs(),
            roots: self.roots,
            anchors: self.anchors,
            witnesses,
            limits: FreshnessLimits {
                witnessed_s: self.limits.witnessed.0,
                published_s: self.limits.published.0,
                charter_s: self.limits.charter.0,
            },
            quotas: Quotas {
                entries_per_day: self.quotas.entries_per_day,
                bytes_per_day: self.quotas.bytes_per_day,
                delta_retention_s: self.quotas.delta_retention.0,
            },
            members: self.members,
            bootstrap: self.bootstrap,
            admission: self.admission,
        };
        let charter = Charter::new(document)?;
        if let Some(previous) = previous {
            charter.check_follows(previous)?;
        }
        Ok(charter)
    }

    /// Writes a charter as the plan to edit for the version after it: the time of issue is left open.
    pub fn of(charter: &Charter) -> Self {
        let document = charter.document();
        let from = document.witnesses.before.as_ref().map(|_| Time::from_secs_saturating(document.witnesses.from));
        Self {
            issued_at: None,
            expires_at: Time::from_secs_saturating(document.expires_at),
            admission: document.admission,
            members: document.members.clone(),
            bootstrap: document.bootstrap.clone(),
            roots: document.roots.clone(),
            limits: PlanLimits {
                witnessed: Span(document.limits.witnessed_s),
                published: Span(document.limits.published_s),
                charter: Span(document.limits.charter_s),
            },
            quotas: PlanQuotas {
                entries_per_day: document.quotas.entries_per_day,
                bytes_per_day: document.quotas.bytes_per_day,
                delta_retention: Span(document.quotas.delta_retention_s),
            },
            witnesses: PlanWitnesses { from, ..PlanWitnesses::of(&document.witnesses.policy, charter.witnesses()) },
            anchors: document.anchors.clone(),
        }
    }
}

impl PlanWitnesses {
    fn of(policy: &str, set: &WitnessSet) -> Self {
        let (witnesses, rest): (Vec<&str>, Vec<&str>) = policy.lines().partition(|line| is_witness(line));
        let urls: BTreeMap<&str, &str> = witnesses
            .iter()
            .filter_map(|line| {
                let mut words = line.split_ascii_whitespace().skip(1);
                Some((words.next()?, words.nth(1)?))
            })
            .collect();
        let keys = set.quorum().witnesses();
        let named = set.kinds().iter().filter_map(|(name, w)| {
            let url = urls.get(name.as_str()).map(|url| (*url).to_owned());
            let cosign = keys.get(name)?.clone();
            Some((name.clone(), PlanWitness { kind: w.kind, cosign, view: w.view.clone(), url }))
        });
        Self { from: None, quorum: Some(lines(rest)), named: named.collect() }
    }

    /// The members of a charter, with what the charter before demands.
    fn terms(self, previous: Option<&Charter>, issued_at: u64) -> Result<WitnessTerms, PlanError> {
        let policy = self.policy()?;
        let kinds: BTreeMap<String, WitnessKind> =
            self.named.into_iter().map(|(name, w)| (name, WitnessKind { kind: w.kind, view: w.view })).collect();
        let set = WitnessSet::read(&policy, &kinds)?;
        let Some(previous) = previous else {
            return Ok(WitnessTerms { policy, kinds, from: issued_at, before: None });
        };
        let old = &previous.document().witnesses;
        let still_before = old.before.as_ref().filter(|_| issued_at < old.from);
        let asked = self.from.map(Time::secs);
        if set == *previous.witnesses() && asked.is_none_or(|from| from == old.from || still_before.is_none()) {
            return Ok(WitnessTerms { before: still_before.cloned(), ..old.clone() });
        }
        if set == *previous.witnesses_at(issued_at) {
            return Ok(WitnessTerms { policy, kinds, from: issued_at, before: None });
        }
        let before = still_before
            .cloned()
            .unwrap_or_else(|| WitnessesBefore { policy: old.policy.clone(), kinds: old.kinds.clone() });
        let from = asked.unwrap_or_else(|| issued_at.saturating_add(limits::WITNESS_CHANGE_S));
        Ok(WitnessTerms { policy, kinds, from, before: Some(before) })
    }

    /// The policy's text: a line for each witness, then the lines of the quorum.
    fn policy(&self) -> Result<String, PlanError> {
        let witnesses = self.named.iter().map(|(name, w)| match &w.url {
            Some(url) => format!("witness {name} {} {url}", w.cosign),
            None => format!("witness {name} {}", w.cosign),
        });
        let quorum = match &self.quorum {
            Some(quorum) => match quorum.lines().find(|line| is_witness(line)) {
                Some(line) => return Err(PlanError::QuorumLine(line.to_owned())),
                None => lines(quorum.lines()),
            },
            None => self.recommended(),
        };
        Ok(lines(witnesses) + &quorum)
    }

    /// k = ⌈(n + f + 1) / 2⌉ of the n admitting witnesses, with f = ⌊(n − 1) / 3⌋ of them lying.
    fn recommended(&self) -> String {
        let names: Vec<&str> =
            self.named.iter().filter(|(_, w)| w.kind == Kind::Admitting).map(|(name, _)| name.as_str()).collect();
        let n = names.len();
        match n.checked_sub(1) {
            None => "quorum none\n".to_owned(),
            Some(others) => {
                let k = (n + others / 3 + 1).div_ceil(2);
                format!("group all-admitting {k} {}\nquorum all-admitting\n", names.join(" "))
            }
        }
    }
}

fn is_witness(line: &str) -> bool {
    line.split_ascii_whitespace().next() == Some("witness")
}

fn lines<S: AsRef<str>>(lines: impl IntoIterator<Item = S>) -> String {
    lines.into_iter().fold(String::new(), |text, line| text + line.as_ref() + "\n")
}

impl fmt::Display for Span {
    /// Writes the largest unit that divides the span.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            secs if secs > 0 && secs.is_multiple_of(86_400) => write!(f, "{}d", secs / 86_400),
            secs if secs > 0 && secs.is_multiple_of(3_600) => write!(f, "{}h", secs / 3_600),
            secs if secs > 0 && secs.is_multiple_of(60) => write!(f, "{}m", secs / 60),
            secs => write!(f, "{secs}s"),
        }
    }
}

impl std::str::FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let unit = match unit {
            "" | "s" => 1,
            "m" | "min" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(SpanError),
        };
        digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).map(Span).ok_or(SpanError)
    }
}

/// A text is no span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a span such as 90s, 15m, 24h or 30d")]
pub struct SpanError;

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Seconds(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Seconds(secs) => Ok(Self(secs)),
            Written::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}
