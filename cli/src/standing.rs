//! Where the network, the charter and every register stand: the document of `status`, and until when verifying works.
//!
//! ```json
//! {"kind": "standfast/status/v1", "network": "5e19…", "charter": {"version": 3, …}, "node": {…}, "registers": […]}
//! ```
//!
//! The document is the same whether a node answers or it is made of a file; everything shown is made of it.

use serde::{Deserialize, Serialize};
use standfast_protocol::policy::Policy;
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::time::Time;

use crate::change::batch::Waiting;
use crate::held;
use crate::output::table::{Column, Table};
use crate::output::{Sign, Style, words};

/// An owner who has said nothing for this long is noted, though limits allow more.
const SILENT_S: u64 = 86_400;

/// Everything that `status` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// `standfast/status/v1`.
    pub kind: String,
    /// The network's id.
    pub network: String,
    /// The charter in force.
    pub charter: CharterStanding,
    /// The node.
    pub node: NodeStanding,
    /// The clocks.
    pub clock: ClockStanding,
    /// Until when everything here is fresh enough, if nothing newer comes; `None` when something is not.
    pub ready_until_at: Option<Time>,
    /// Registers that the charter or a permission names, by origin.
    pub registers: Vec<RegisterStanding>,
    /// Origins of forked registers.
    pub forks: Vec<String>,
    /// Names of witnesses in force that contradicted themselves.
    #[serde(default)]
    pub witnesses_misbehaved: Vec<String>,
    /// Statuses that wait on this machine.
    #[serde(default)]
    pub batches: Vec<Waiting>,
    /// Registers of this machine that were published past the write fence.
    #[serde(default)]
    pub overrides: Vec<Overridden>,
}

/// A register that was published past the write fence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overridden {
    /// Its origin.
    pub register: String,
    /// When, the last time.
    pub at: Time,
    /// At which size.
    pub size: u64,
    /// Why.
    pub reason: String,
}

/// The charter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CharterStanding {
    /// Its version.
    pub version: u64,
    /// Its end.
    pub expires_at: Time,
    /// Since a quorum of views named it.
    pub age_s: Option<u64>,
    /// SHA-256 of its text.
    #[serde(default)]
    pub digest: String,
    /// How many witnesses name it in their newest views.
    #[serde(default)]
    pub named_by: u64,
    /// Two charters of one version, of which nobody here has chosen one.
    #[serde(default)]
    pub fork: Option<CharterForkStanding>,
}

/// Two charters of one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CharterForkStanding {
    /// The version of both.
    pub version: u64,
    /// Their digests.
    pub digests: Vec<String>,
}

/// Seconds before its end from which a charter is warned about (`specs/charter.md` §6).
const CHARTER_WARNING_S: u64 = 30 * 86_400;

impl CharterStanding {
    /// Returns the words on its end when that is near: `charter 3 ends in 12 days`.
    pub fn ends_soon(&self, now: Time) -> Option<String> {
        let left = self.expires_at.since(now);
        let soon = self.expires_at > now && left < CHARTER_WARNING_S;
        soon.then(|| format!("charter {} ends in {}", self.version, words::left(left)))
    }
}

/// The node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeStanding {
    /// Whether one runs on the data directory.
    pub running: bool,
    /// Since when.
    pub since_at: Option<Time>,
    /// How many peers it has.
    pub peers: Option<u64>,
    /// How many witnesses are in reach.
    pub witnesses_in_reach: Option<u64>,
    /// How many witnesses the charter names.
    #[serde(default)]
    pub witnesses_named: Option<u64>,
}

/// The clocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockStanding {
    /// This device's.
    pub device_at: Time,
    /// The bound from the witnesses' statements.
    pub bound_at: Option<Time>,
}

/// One register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterStanding {
    /// Its origin.
    pub origin: String,
    /// `good`, `forked`, `frozen`, `over-quota`, `upgrade-needed`, `missing`.
    pub state: String,
    /// The newest size held.
    pub size_newest: Option<u64>,
    /// The newest size with a quorum.
    pub size_witnessed: Option<u64>,
    /// The root at the witnessed size.
    pub root: Option<String>,
    /// How many witnesses stand at the witnessed size.
    pub witnesses: Option<u64>,
    /// Since a quorum stood there.
    pub witnessed_age_s: Option<u64>,
    /// Since its owner last confirmed it.
    pub published_age_s: Option<u64>,
    /// Records that its entries name and whose content is not held.
    #[serde(default)]
    pub bodies_missing: Option<u64>,
}

/// Why a register leaves it open that newer data does not help.
pub const NEWER_ENTRIES: &str = "has entries of a newer version";

/// Until when verifying works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Registers that are too old, missing or wronged, each with the reason.
    pub open: Vec<(String, String)>,
    /// Until when the rest is fresh enough.
    pub until: Option<Time>,
    /// What ends first, and by which limit.
    pub first: Option<(String, Option<u64>)>,
}

/// The witnesses that the charter in force names and that contradicted themselves.
fn misbehaved(snapshot: &Snapshot) -> Vec<String> {
    let named = snapshot.quorum().witnesses().keys();
    named.filter(|name| snapshot.replica().proof_of_witness(name).is_some()).cloned().collect()
}

impl Standing {
    /// Makes the document of a snapshot; `node` is what is known of a node.
    pub fn of(snapshot: &Snapshot, policy: &Policy, now: Time, node: NodeStanding) -> Self {
        let charter = snapshot.charter();
        let ages = snapshot.charter_ages(now.secs());
        let bound = snapshot.clock_bound().map(Time::from_secs_saturating);
        let registers: Vec<_> =
            snapshot.replica().bound().keys().map(|origin| RegisterStanding::of(snapshot, origin, now)).collect();
        let mut standing = Self {
            kind: "standfast/status/v1".to_owned(),
            network: charter.network_id().to_string(),
            charter: CharterStanding {
                version: charter.version(),
                expires_at: Time::from_secs_saturating(charter.document().expires_at),
                age_s: ages.age(ages.charter),
                digest: charter.digest().to_string(),
                named_by: snapshot.naming_charter().len() as u64,
                fork: snapshot.replica().chain().fork().map(|fork| CharterForkStanding {
                    version: fork.version,
                    digests: fork.sides.iter().map(|side| side.charter().digest().to_string()).collect(),
                }),
            },
            node: NodeStanding { witnesses_named: Some(snapshot.quorum().witnesses().len() as u64), ..node },
            clock: ClockStanding { device_at: now, bound_at: bound },
            ready_until_at: None,
            forks: registers.iter().filter(|r| r.state == "forked").map(|r| r.origin.clone()).collect(),
            registers,
            witnesses_misbehaved: misbehaved(snapshot),
            batches: Vec::new(),
            overrides: Vec::new(),
        };
        let readiness = standing.readiness(policy);
        standing.ready_until_at = readiness.until.filter(|_| readiness.open.is_empty());
        standing
    }

    /// Returns the later of the device's clock and the witnesses' time.
    pub fn now(&self) -> Time {
        self.clock.bound_at.map_or(self.clock.device_at, |bound| bound.max(self.clock.device_at))
    }

    /// Returns a register's short name among all that are listed.
    pub fn name(&self, origin: &str) -> String {
        words::register(origin, self.registers.iter().map(|r| r.origin.as_str()))
    }

    /// Reckons until when verifying works under a policy.
    pub fn readiness(&self, policy: &Policy) -> Readiness {
        let now = self.now();
        let mut ends: Vec<(u64, String, Option<u64>)> = Vec::new();
        let mut open = Vec::new();
        let charter = &self.charter;
        let unwitnessed = self.node.witnesses_named == Some(0) && policy.quorum_none;
        if let Some(fork) = &charter.fork {
            open.push((format!("charter {}", fork.version), "signed twice, pin one".to_owned()));
        }
        if charter.expires_at <= now {
            open.push((format!("charter {}", charter.version), "expired".to_owned()));
        } else {
            ends.push((charter.expires_at.since(now), format!("charter {} expires", charter.version), None));
            let limit = policy.limits.charter_s;
            match charter.age_s.and_then(|age| limit.checked_sub(age)) {
                Some(left) => ends.push((left, format!("charter {} grows too old", charter.version), Some(limit))),
                None if unwitnessed => {}
                None => open.push((format!("charter {}", charter.version), old("not confirmed", charter.age_s, limit))),
            }
        }
        for register in &self.registers {
            let name = self.name(&register.origin);
            let ages = [
                ("not witnessed", register.witnessed_age_s, policy.limits.witnessed_s, unwitnessed),
                ("owner silent", register.published_age_s, policy.limits.published_s, false),
            ];
            let stale = ages.iter().find(|(_, age, limit, free)| !free && age.is_none_or(|age| age > *limit));
            match (register.state.as_str(), stale) {
                ("missing", _) => open.push((name, "not held".to_owned())),
                ("forked", Some(_)) => open.push((name, "forked".to_owned())),
                ("frozen", Some(_)) => open.push((name, "stopped at a wrong entry".to_owned())),
                ("upgrade-needed", _) => open.push((name, NEWER_ENTRIES.to_owned())),
                (_, Some((what, age, limit, _))) => open.push((name, old(what, *age, *limit))),
                (..) if register.missing() > 0 => {
                    open.push((name, words::counted(register.missing(), "record missing", "records missing")));
                }
                _ => {
                    let lefts =
                        ages.iter().filter_map(|(_, age, limit, _)| Some((limit.checked_sub((*age)?)?, *limit)));
                    if let Some((left, limit)) = lefts.min() {
                        ends.push((left, format!("{name} grows too old"), Some(limit)));
                    }
                }
            }
        }
        let first = ends.into_iter().min();
        Readiness {
            open,
            until: first.as_ref().map(|(left, ..)| now.plus(*left)),
            first: first.map(|(_, what, limit)| (what, limit)),
        }
    }

    /// Draws the registers as a table.
    pub fn draw_registers(&self, policy: &Policy, style: &Style) -> String {
        let columns = [
            Column::left("REGISTER").gap(2),
            Column::right("SIZE"),
            Column::left("WITNESSED").gap(2).at_least(14),
            Column::left("PUBLISHED").gap(2),
            Column::left("NOTE"),
        ];
        let mut table = Table::new(columns, true);
        for register in &self.registers {
            let sign = register.sign(policy);
            let size = register.size_newest.map_or_else(|| "-".to_owned(), words::grouped);
            let published = register.published_age_s.map_or_else(|| "never".to_owned(), words::age);
            let cells = [self.name(&register.origin), size, self.witnessed(register), published, register.note(policy)];
            table.row(Some(sign), cells);
        }
        table.draw(style)
    }

    fn witnessed(&self, register: &RegisterStanding) -> String {
        let share = register.witnesses.zip(self.node.witnesses_named);
        let share = share.map(|(part, whole)| words::share(part, whole));
        match (register.witnessed_age_s, share) {
            (Some(age), Some(share)) => format!("{}, {share}", words::age(age)),
            (Some(age), None) => words::age(age),
            (None, _) => "never".to_owned(),
        }
    }
}

fn old(what: &str, age: Option<u64>, limit: u64) -> String {
    match age {
        Some(age) => format!("{what} for {}, limit {}", words::age(age), words::left(limit)),
        None if what == "owner silent" => "never confirmed by its owner".to_owned(),
        None => "never witnessed".to_owned(),
    }
}

impl RegisterStanding {
    fn of(snapshot: &Snapshot, origin: &str, now: Time) -> Self {
        let Some(held) = snapshot.held(origin).filter(|held| held.register().newest_head().is_some()) else {
            return Self {
                origin: origin.to_owned(),
                state: "missing".to_owned(),
                size_newest: None,
                size_witnessed: None,
                root: None,
                witnesses: None,
                witnessed_age_s: None,
                published_age_s: None,
                bodies_missing: None,
            };
        };
        let register = held.register();
        let ages = snapshot.ages(origin, now.secs());
        let age = |choose: fn(&standfast_protocol::freshness::Ages) -> Option<u64>| {
            ages.as_ref().and_then(|ages| ages.age(choose(ages)))
        };
        let (_, state) = held::state(register);
        let witnessed = register.size_witnessed();
        let missing = register.bodies_needed().iter().filter(|digest| !held.bodies().contains(digest)).count();
        Self {
            origin: origin.to_owned(),
            state: state.to_owned(),
            size_newest: Some(register.size_newest()),
            size_witnessed: Some(witnessed),
            root: register.root_at(witnessed).map(|root| root.to_string()),
            witnesses: Some(snapshot.witnesses_at(held).len() as u64),
            witnessed_age_s: age(|ages| ages.witnessed),
            published_age_s: age(|ages| ages.published),
            bodies_missing: Some(missing as u64),
        }
    }

    fn is_stale(&self, policy: &Policy) -> bool {
        let over = |age: Option<u64>, limit| age.is_none_or(|age| age > limit);
        over(self.witnessed_age_s, policy.limits.witnessed_s) || over(self.published_age_s, policy.limits.published_s)
    }

    fn missing(&self) -> u64 {
        self.bodies_missing.unwrap_or(0)
    }

    fn sign(&self, policy: &Policy) -> Sign {
        match self.state.as_str() {
            "forked" | "frozen" => Sign::Tampered,
            "good" if !self.is_stale(policy) && self.missing() == 0 => Sign::Good,
            _ => Sign::Open,
        }
    }

    fn note(&self, policy: &Policy) -> String {
        let mut notes: Vec<String> = Vec::new();
        match self.state.as_str() {
            "good" => {}
            "missing" => notes.push("not held".to_owned()),
            other => notes.push(other.replace('-', " ")),
        }
        if self.state != "missing" {
            let pending = self.size_newest.unwrap_or(0).saturating_sub(self.size_witnessed.unwrap_or(0));
            if pending > 0 {
                notes.push(format!("{} pending", words::grouped(pending)));
            }
            if self.missing() > 0 {
                notes.push(words::counted(self.missing(), "record missing", "records missing"));
            }
            if self.witnessed_age_s.is_some_and(|age| age > policy.limits.witnessed_s) && self.state == "good" {
                notes.push("too old".to_owned());
            }
            if self.published_age_s.is_some_and(|age| age > SILENT_S) && self.state == "good" {
                notes.push("owner silent".to_owned());
            }
        }
        if notes.is_empty() { "-".to_owned() } else { notes.join(", ") }
    }
}

impl Readiness {
    /// Returns the sign and the words after `ready`.
    pub fn words(&self, registers: usize, now: Time) -> String {
        let rest = self.until.map(|until| words::from_now(until, now));
        if self.open.is_empty() {
            return match rest {
                Some(until) => format!("✓ until {until}"),
                None => "? no register is held".to_owned(),
            };
        }
        let rest = self.until.map(|until| format!(" · the rest until {}", words::at(until, now))).unwrap_or_default();
        match self.open.iter().find(|(name, _)| name.starts_with("charter ")) {
            Some((charter, why)) if why.starts_with("signed") => format!("? not for what depends on {charter}: {why}"),
            Some((charter, why)) => format!("? not at all: {charter} {why}"),
            None => {
                let (open, all) = (self.open.len() as u64, registers as u64);
                let rest = if open < all { rest } else { String::new() };
                format!("? not for {} registers{rest}", words::share(open, all))
            }
        }
    }

    /// True when nothing is open.
    pub fn is_ready(&self) -> bool {
        self.open.is_empty() && self.until.is_some()
    }
}
