//! The quorum of witnesses: the part of C2SP tlog-policy that a charter uses.
//!
//! ```text
//! witness interior interior.gov.example/witness+35790909+BO1H4xt9lRTAeOQD6PIyIq8HZPi71ZR0E/eaiHHYqx9q
//! witness customs customs.gov.example/witness+73d4a2b5+BDza0AsoreeRsDVTPnHsgQ/KjK5bZ/xi1j+h9qrxkSOD
//! witness health health.gov.example/witness+4d91c0fd+BKWhmDDjHB6Wys7cQspiBBdXzqF1zICUUg21zRUMo0HD
//! group agencies 2 interior customs health
//! quorum agencies
//! ```
//!
//! A threshold is a number, `any` or `all`; a group's members may be groups; `quorum none` asks for nobody. There is
//! no `log` line: registers are bound by the charter and by trust edges.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::key::{Algorithm, KeyError, VerifierKey};
use crate::limits;

/// Why a policy was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// More bytes than a policy may have.
    #[error("expected a policy of at most {} bytes", limits::QUORUM_SIZE_MAX)]
    Size,
    /// A control character other than a tab and a line feed.
    #[error("expected no control characters but tabs and line feeds")]
    ControlCharacter,
    /// The last line does not end.
    #[error("expected a line feed at the end")]
    FinalNewline,
    /// A line that begins with another word.
    #[error("expected a line that begins with `witness`, `group` or `quorum`, came `{0}`")]
    UnknownLine(String),
    /// Not `witness NAME KEY [URL]`.
    #[error("expected `witness NAME KEY [URL]`")]
    WitnessShape,
    /// A witness's key that is not a verifier key.
    #[error("the key of witness `{name}` is not a verifier key")]
    WitnessKey {
        /// The witness.
        name: String,
        /// What is wrong with the key.
        #[source]
        source: KeyError,
    },
    /// A witness's key that is not of type 0x04.
    #[error("expected a cosignature key (0x04) for witness `{0}`")]
    WitnessAlgorithm(String),
    /// Two witnesses with one public key.
    #[error("witness `{0}` has the public key of another witness")]
    DuplicateKey(String),
    /// A name that is `none` or stands for something else already.
    #[error("the name `{0}` is taken")]
    NameTaken(String),
    /// More witnesses or groups than a policy may have.
    #[error("expected at most {} witnesses and {} groups", limits::WITNESSES_MAX, limits::WITNESS_GROUPS_MAX)]
    TooMany,
    /// Not `group NAME THRESHOLD MEMBER…`.
    #[error("expected `group NAME THRESHOLD MEMBER…`")]
    GroupShape,
    /// A threshold that is not `any`, `all` or a number from 1 to the number of members.
    #[error("expected a threshold of `any`, `all` or 1 to {members} for group `{name}`, came `{came}`")]
    Threshold {
        /// The group.
        name: String,
        /// How many members it has.
        members: usize,
        /// The threshold as written.
        came: String,
    },
    /// A name that no line before defines.
    #[error("no line before defines `{0}`")]
    UnknownName(String),
    /// A witness or group that is a member twice.
    #[error("`{0}` is a member already: each witness and group is a member at most once")]
    MemberTwice(String),
    /// Not `quorum NAME`.
    #[error("expected `quorum NAME` or `quorum none`")]
    QuorumShape,
    /// No quorum line, or several.
    #[error("expected one quorum line, came {0}")]
    QuorumCount(usize),
}

/// Whose cosignatures make a head witnessed. Names are members at most once, so what is below `quorum` is a tree.
///
/// Two are equal when they name the same witnesses and ask for the same, however they are written.
#[derive(Debug, Clone)]
pub struct Quorum {
    /// The lines, with single spaces and without comments and blank lines.
    text: String,
    witnesses: BTreeMap<String, VerifierKey>,
    /// `None`: `quorum none`.
    root: Option<Node>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Witness(String),
    Group { threshold: usize, members: Vec<Node> },
}

impl Quorum {
    /// Reads a policy, whole or not at all (C2SP tlog-policy, without `log` lines).
    pub fn parse(text: &str) -> Result<Self, QuorumError> {
        if text.len() > limits::QUORUM_SIZE_MAX {
            return Err(QuorumError::Size);
        }
        if text.bytes().any(|b| b < 0x20 && b != b'\t' && b != b'\n' || b == 0x7f) {
            return Err(QuorumError::ControlCharacter);
        }
        if !text.is_empty() && !text.ends_with('\n') {
            return Err(QuorumError::FinalNewline);
        }
        let mut reading = Reading::default();
        for line in text.split('\n') {
            let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            match words.as_slice() {
                [] => continue,
                [first, ..] if first.starts_with('#') => continue,
                ["witness", rest @ ..] => reading.witness(rest)?,
                ["group", rest @ ..] => reading.group(rest)?,
                ["quorum", rest @ ..] => reading.quorum(rest)?,
                [first, ..] => return Err(QuorumError::UnknownLine((*first).to_owned())),
            }
            reading.text.push_str(&words.join(" "));
            reading.text.push('\n');
        }
        let [quorum] = reading.quorums.as_slice() else {
            return Err(QuorumError::QuorumCount(reading.quorums.len()));
        };
        let root = quorum.as_deref().map(|name| reading.node(name));
        Ok(Self { text: reading.text, witnesses: reading.witnesses, root })
    }

    /// Returns the policy that asks for nobody: `quorum none`.
    pub fn none() -> Self {
        Self { text: "quorum none\n".to_owned(), witnesses: BTreeMap::new(), root: None }
    }

    /// Returns all named witnesses, also those that the quorum line does not reach.
    pub fn witnesses(&self) -> &BTreeMap<String, VerifierKey> {
        &self.witnesses
    }

    /// True for `quorum none`.
    pub fn is_none(&self) -> bool {
        self.root.is_none()
    }

    /// True when the witnesses of which `present` holds make the quorum; always, for `quorum none`.
    pub fn met_by(&self, present: impl Fn(&str) -> bool) -> bool {
        self.root.as_ref().is_none_or(|node| node.met(&present))
    }

    /// Returns the quorum time: a witness's own time, and in a group recursively the k-th newest.
    ///
    /// `None` when the witnesses that have a time make no quorum, and for `quorum none`.
    pub fn time(&self, times: impl Fn(&str) -> Option<u64>) -> Option<u64> {
        self.root.as_ref().and_then(|node| node.time(&times))
    }

    /// Returns the fewest witnesses whose double signing lets two quorums stand at two histories.
    pub fn fewest_to_fork(&self) -> usize {
        self.root.as_ref().map_or(0, |node| node.fewest(|k, n| (2 * k).saturating_sub(n)))
    }

    /// Returns the fewest witnesses whose absence leaves no quorum; `None` for `quorum none`.
    pub fn fewest_to_stop(&self) -> Option<usize> {
        self.root.as_ref().map(|node| node.fewest(|k, n| n - k + 1))
    }

    /// Returns the fewest witnesses that make the quorum; 0 for `quorum none`.
    pub fn fewest_to_meet(&self) -> usize {
        self.root.as_ref().map_or(0, |node| node.fewest(|k, _| k))
    }
}

impl PartialEq for Quorum {
    fn eq(&self, other: &Self) -> bool {
        self.witnesses == other.witnesses && self.root == other.root
    }
}

impl Eq for Quorum {}

impl fmt::Display for Quorum {
    /// Writes the lines back, without comments and blank lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Node {
    fn met(&self, present: &impl Fn(&str) -> bool) -> bool {
        match self {
            Node::Witness(name) => present(name),
            Node::Group { threshold, members } => members.iter().filter(|m| m.met(present)).count() >= *threshold,
        }
    }

    fn time(&self, times: &impl Fn(&str) -> Option<u64>) -> Option<u64> {
        match self {
            Node::Witness(name) => times(name),
            Node::Group { threshold, members } => {
                let mut known: Vec<u64> = members.iter().filter_map(|m| m.time(times)).collect();
                known.sort_unstable_by(|a, b| b.cmp(a));
                known.get(threshold.checked_sub(1)?).copied()
            }
        }
    }

    /// The sum over the cheapest members, `needed(threshold, members)` of them in each group.
    fn fewest(&self, needed: impl Fn(usize, usize) -> usize + Copy) -> usize {
        match self {
            Node::Witness(_) => 1,
            Node::Group { threshold, members } => {
                let mut costs: Vec<usize> = members.iter().map(|m| m.fewest(needed)).collect();
                costs.sort_unstable();
                costs.iter().take(needed(*threshold, members.len())).sum()
            }
        }
    }
}

/// What the lines so far have defined.
#[derive(Default)]
struct Reading {
    text: String,
    witnesses: BTreeMap<String, VerifierKey>,
    groups: BTreeMap<String, (usize, Vec<String>)>,
    members: BTreeSet<String>,
    quorums: Vec<Option<String>>,
}

impl Reading {
    fn witness(&mut self, words: &[&str]) -> Result<(), QuorumError> {
        let ([name, key] | [name, key, _]) = words else {
            return Err(QuorumError::WitnessShape);
        };
        self.check_new(name)?;
        let name = (*name).to_owned();
        let key: VerifierKey = match key.parse() {
            Ok(key) => key,
            Err(source) => return Err(QuorumError::WitnessKey { name, source }),
        };
        if key.algorithm() != Algorithm::Cosignature {
            return Err(QuorumError::WitnessAlgorithm(name));
        }
        if self.witnesses.values().any(|other| other.key() == key.key()) {
            return Err(QuorumError::DuplicateKey(name));
        }
        if self.witnesses.len() == limits::WITNESSES_MAX {
            return Err(QuorumError::TooMany);
        }
        self.witnesses.insert(name, key);
        Ok(())
    }

    fn group(&mut self, words: &[&str]) -> Result<(), QuorumError> {
        let [name, threshold, members @ ..] = words else {
            return Err(QuorumError::GroupShape);
        };
        if members.is_empty() {
            return Err(QuorumError::GroupShape);
        }
        self.check_new(name)?;
        let k = read_threshold(threshold, members.len()).ok_or_else(|| QuorumError::Threshold {
            name: (*name).to_owned(),
            members: members.len(),
            came: (*threshold).to_owned(),
        })?;
        for member in members {
            self.check_known(member)?;
            if !self.members.insert((*member).to_owned()) {
                return Err(QuorumError::MemberTwice((*member).to_owned()));
            }
        }
        if self.groups.len() == limits::WITNESS_GROUPS_MAX {
            return Err(QuorumError::TooMany);
        }
        self.groups.insert((*name).to_owned(), (k, members.iter().map(|m| (*m).to_owned()).collect()));
        Ok(())
    }

    fn quorum(&mut self, words: &[&str]) -> Result<(), QuorumError> {
        let [name] = words else {
            return Err(QuorumError::QuorumShape);
        };
        if *name == "none" {
            self.quorums.push(None);
        } else {
            self.check_known(name)?;
            self.quorums.push(Some((*name).to_owned()));
        }
        Ok(())
    }

    fn check_new(&self, name: &str) -> Result<(), QuorumError> {
        if name == "none" || self.witnesses.contains_key(name) || self.groups.contains_key(name) {
            return Err(QuorumError::NameTaken(name.to_owned()));
        }
        Ok(())
    }

    fn check_known(&self, name: &str) -> Result<(), QuorumError> {
        if !self.witnesses.contains_key(name) && !self.groups.contains_key(name) {
            return Err(QuorumError::UnknownName(name.to_owned()));
        }
        Ok(())
    }

    /// A group names only what stands before it and each name once, so this ends after as many steps as there are
    /// names, at most `WITNESS_GROUPS_MAX` deep.
    fn node(&self, name: &str) -> Node {
        match self.groups.get(name) {
            None => Node::Witness(name.to_owned()),
            Some((threshold, members)) => {
                Node::Group { threshold: *threshold, members: members.iter().map(|m| self.node(m)).collect() }
            }
        }
    }
}

fn read_threshold(text: &str, members: usize) -> Option<usize> {
    match text {
        "any" => Some(1),
        "all" => Some(members),
        _ if text.len() <= 4 && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()) => {
            text.parse().ok().filter(|k| (1..=members).contains(k))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;

    fn witness(name: &str, seed: u8) -> String {
        let key = SecretKey::from_seed(&[seed; 32]).public();
        let key = VerifierKey::new(&format!("{name}.example/witness"), Algorithm::Cosignature, key).expect("a name");
        format!("witness {name} {key}\n")
    }

    fn policy(rest: &str) -> Result<Quorum, QuorumError> {
        let witnesses: String = ["A", "B", "C", "D"].iter().zip(1..).map(|(name, seed)| witness(name, seed)).collect();
        Quorum::parse(&(witnesses + rest))
    }

    #[test]
    fn group_takes_the_kth_newest_time() {
        let quorum = policy("group G 3 A B C D\nquorum G\n").expect("a policy");
        let time = |name: &str| match name {
            "A" => Some(10),
            "B" => Some(40),
            "C" => Some(20),
            _ => None,
        };
        assert_eq!(quorum.time(time), Some(10));
        assert!(quorum.met_by(|name| name != "D"));
        assert!(!quorum.met_by(|name| name == "D"));
        assert_eq!((quorum.fewest_to_fork(), quorum.fewest_to_stop(), quorum.fewest_to_meet()), (2, Some(2), 3));
    }

    #[test]
    fn quorum_none_has_no_time() {
        let quorum = policy("quorum none\n").expect("a policy");
        assert!(quorum.is_none() && quorum.met_by(|_| false));
        assert_eq!(quorum.time(|_| Some(1)), None);
        assert_eq!((quorum.fewest_to_fork(), quorum.fewest_to_stop()), (0, None));
    }

    #[test]
    fn writes_back_without_comments() {
        let quorum = policy("# a comment\n\ngroup\tG  any A B\nquorum G\n").expect("a policy");
        let text = quorum.to_string();
        assert!(text.ends_with("group G any A B\nquorum G\n") && !text.contains('#'));
        assert_eq!(Quorum::parse(&text), Ok(quorum));
    }

    #[test]
    fn refuses_what_is_not_a_tree() {
        assert_eq!(policy("group G any A A\nquorum G\n"), Err(QuorumError::MemberTwice("A".into())));
        assert_eq!(policy("group G any G\nquorum G\n"), Err(QuorumError::UnknownName("G".into())));
        assert_eq!(policy("group G any A\n"), Err(QuorumError::QuorumCount(0)));
        assert_eq!(policy("group none any A\nquorum A\n"), Err(QuorumError::NameTaken("none".into())));
    }

    #[test]
    fn one_name_stands_for_one_thing() {
        let taken = |name: &str| Err(QuorumError::NameTaken(name.into()));
        assert_eq!(policy("group A any B\nquorum A\n"), taken("A"));
        assert_eq!(policy("group G any A\ngroup G any B\nquorum G\n"), taken("G"));
    }

    #[test]
    fn every_line_ends_and_none_holds_a_control_character() {
        assert_eq!(policy("quorum A"), Err(QuorumError::FinalNewline));
        assert_eq!(Quorum::parse(""), Err(QuorumError::QuorumCount(0)));
        for character in ['\r', '\0', '\u{b}', '\u{7f}'] {
            assert_eq!(policy(&format!("quorum A {character}\n")), Err(QuorumError::ControlCharacter));
        }
        assert!(policy("\tquorum\tA \n").is_ok());
    }

    #[test]
    fn a_policy_has_at_most_its_bytes() {
        let room = limits::QUORUM_SIZE_MAX - policy("quorum A\n").expect("a policy").to_string().len() - 2;
        let padded = |length: usize| policy(&format!("#{}\nquorum A\n", "x".repeat(length)));
        assert!(padded(room).is_ok());
        assert_eq!(padded(room + 1), Err(QuorumError::Size));
    }

    #[test]
    fn where_few_suffice_many_must_be_absent_to_stop() {
        let quorum = policy("group G 2 A B C D\nquorum G\n").expect("a policy");
        assert_eq!((quorum.fewest_to_fork(), quorum.fewest_to_stop(), quorum.fewest_to_meet()), (0, Some(3), 2));
    }

    #[test]
    fn refuses_one_key_under_two_names() {
        let key = SecretKey::from_seed(&[1; 32]).public();
        let key = VerifierKey::new("other.example/witness", Algorithm::Cosignature, key).expect("a name");
        assert_eq!(policy(&format!("witness E {key}\nquorum A\n")), Err(QuorumError::DuplicateKey("E".into())));
    }

    #[test]
    fn refuses_thresholds_out_of_range() {
        for threshold in ["0", "3", "01", "-1", "+1", "", "most"] {
            let text = format!("group G {threshold} A B\nquorum G\n");
            assert!(policy(&text).is_err(), "{threshold}");
        }
    }
}
