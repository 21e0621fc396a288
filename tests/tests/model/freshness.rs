use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use standfast_protocol::freshness::{self, Speaker, Statement, Validity};
use standfast_protocol::log::policy::Quorum;
use standfast_tests::vectors::{self, list, number, same, text};

#[test]
fn freshness() {
    if let Some(folder) = vectors::model() {
        check_all(&folder);
    }
}

/// Checks the file in this folder.
pub(super) fn check_all(folder: &Path) {
    let (file, mut report) = vectors::open(folder, "freshness.json");
    let network = Network::read(&file);
    for case in list(&file["cases"]) {
        report.check(text(&case["name"]), network.check(case));
    }
    report.finish();
}

/// What all cases share.
pub(super) struct Network<'a> {
    witness_lines: &'a str,
    /// Key to name, of all witnesses.
    witnesses: BTreeMap<&'a str, &'a str>,
    publishers: BTreeSet<&'a str>,
    origin: &'a str,
    roots: BTreeMap<u64, &'a str>,
    charter: &'a Value,
}

impl<'a> Network<'a> {
    /// Reads what all cases share.
    pub(super) fn read(file: &'a Value) -> Self {
        let members = |name: &str| file[name].as_object().expect("an object").iter();
        Self {
            witness_lines: text(&file["witness_lines"]),
            witnesses: members("witness_keys")
                .flat_map(|(name, keys)| list(keys).iter().map(|key| (text(key), name.as_str())))
                .collect(),
            publishers: list(&file["publisher_keys"]).iter().map(text).collect(),
            origin: text(&file["origin"]),
            roots: members("roots").map(|(size, root)| (size.parse().expect("a size"), text(root))).collect(),
            charter: &file["charter"],
        }
    }

    /// Returns the quorum of a case and its statements that count, each with its position.
    pub(super) fn read_case(&self, case: &'a Value) -> (Quorum, Vec<(usize, Statement<'a>)>) {
        let quorum = Quorum::parse(&format!("{}{}", self.witness_lines, text(&case["policy"]))).expect("a policy");
        // The model counts the times of keys that nobody knows only where it sets them aside.
        let said = list(&case["statements"]).iter().enumerate();
        (quorum, said.filter_map(|(at, said)| Some((at, self.statement(case, said)?))).collect())
    }

    fn check(&self, case: &'a Value) -> Result<(), String> {
        let (quorum, said) = self.read_case(case);
        let (positions, statements): (Vec<usize>, Vec<Statement<'_>>) = said.into_iter().unzip();
        let device = number(&case["device"]);
        let ages = freshness::ages(&quorum, device, &statements);
        same("bound", ages.bound, case["bound"].as_u64())?;
        same("now", ages.now, number(&case["now"]))?;
        same("witnessed", ages.witnessed, case["witnessed"].as_u64())?;
        same("published", ages.published, case["published"].as_u64())?;
        same("charter", ages.charter, case["charter"].as_u64())?;
        for (name, time) in [("witnessed", ages.witnessed), ("published", ages.published), ("charter", ages.charter)] {
            same(&format!("age, {name}"), ages.age(time), case["ages"][name].as_u64())?;
        }
        let aside: BTreeSet<u64> =
            ages.set_aside.iter().filter_map(|at| positions.get(*at)).map(|at| *at as u64).collect();
        let known = |at: &u64| positions.iter().any(|p| *p as u64 == *at);
        let expected: BTreeSet<u64> = list(&case["set_aside"]).iter().map(number).filter(known).collect();
        same("set_aside", aside, expected)?;
        for window in list(&case["validity"]) {
            let found = freshness::validity(number(&window[0]), number(&window[1]), device, ages.bound);
            same(&format!("validity of {window}"), code(found), text(&window[2]))?;
        }
        Ok(())
    }

    /// Matches one statement against the register; `None` when its key is of nobody who counts.
    fn statement(&self, case: &'a Value, said: &'a Value) -> Option<Statement<'a>> {
        let key = text(&said["key"]);
        let admitting = |name: &&&str| list(&case["admitting"]).iter().any(|a| text(a) == **name);
        let speaker = match self.witnesses.get(key).filter(admitting) {
            Some(name) => Speaker::Witness(name),
            None if self.publishers.contains(key) => Speaker::Publisher,
            None => return None,
        };
        let (w, n) = (number(&case["w"]), number(&case["n"]));
        let ours = |head: &&Value| text(&head[0]) == self.origin;
        let held = |head: &&Value| {
            number(&head[1]) <= n && self.roots.get(&number(&head[1])).is_some_and(|root| *root == text(&head[2]))
        };
        let heads: Vec<&Value> = list(&said["heads"]).iter().filter(ours).filter(held).collect();
        Some(Statement {
            speaker,
            time: number(&said["time"]),
            at_w: heads.iter().any(|head| number(&head[1]) == w),
            names_charter: said["charter"] == *self.charter,
            on_chain: !heads.is_empty(),
        })
    }
}

fn code(validity: Validity) -> &'static str {
    match validity {
        Validity::Current => "current",
        Validity::NotYet => "not-yet",
        Validity::Expired => "expired",
        Validity::ClockDisputed => "clock-disputed",
    }
}
