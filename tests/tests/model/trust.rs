use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};
use standfast_protocol::register::fact::{Binding, Fact, Outcome, Reason, Scope, Terms};
use standfast_protocol::trust::{Anchor, NotFound, Recognition, TrustPath, TrustRegister, World, trust_path};
use standfast_tests::vectors::{self, list, number, same, text};

#[test]
fn trust() {
    if let Some(folder) = vectors::model() {
        check_all(&folder);
    }
}

/// Checks the file in this folder.
pub(super) fn check_all(folder: &Path) {
    let (file, mut report) = vectors::open(folder, "trust.json");
    for case in list(&file["cases"]) {
        report.check(text(&case["name"]), check(case));
    }
    report.finish();
}

fn check(case: &Value) -> Result<(), String> {
    let generated = case.get("generate").map(|how| generate(number(&how["edges_before"])));
    let found = search(case, generated.as_ref().unwrap_or(case));
    let found = match found {
        Ok(path) => path_to_json(&path),
        Err(nothing) => nothing_to_json(&nothing),
    };
    // A generated case names only some members.
    for (name, expected) in case["expected"].as_object().expect("an object") {
        same(name, &found[name], expected)?;
    }
    Ok(())
}

/// Searches the path that a case asks for in a graph.
pub(super) fn search(case: &Value, graph: &Value) -> Result<TrustPath, NotFound> {
    let anchors: Vec<Anchor> = list(&graph["anchors"]).iter().map(anchor).collect();
    let registers = graph["registers"].as_object().expect("an object").iter();
    let world = Registers(registers.map(|(origin, register)| (origin.clone(), Held::read(register))).collect());
    let types: Vec<&str> = list(&case["types"]).iter().map(text).collect();
    trust_path(&world, &anchors, text(&case["issuer"]), text(&case["action"]), &types, number(&case["at"]))
}

/// Anchor A has `edges` edges to authorities whose registers are not held, then one to z, which authorises I for L.
fn generate(edges: u64) -> Value {
    let edge = |to: String, depth: u64| {
        json!({"entity": to, "action": "recognize", "resource": "*", "outcome": "granted", "terms": {
            "depth": depth, "valid_from": 0, "valid_until": 100, "scope": {"actions": ["*"], "resources": ["*"]},
            "register": {"origin": format!("{to}.r"), "keys": ["K"]}}})
    };
    let mut entries: Vec<Value> = (0..edges).map(|i| edge(format!("x{i:04}"), 0)).collect();
    entries.push(edge("z".into(), 8));
    json!({
        "anchors": [{"authority": "A", "register": {"origin": "A.r", "keys": ["K"]}}],
        "registers": {"A.r": {"signers": ["K"], "entries": entries}, "z.r": {"signers": ["K"], "entries": [
            {"entity": "I", "action": "issue", "resource": "L", "outcome": "granted",
             "terms": {"valid_from": 0, "valid_until": 100}}]}},
    })
}

fn path_to_json(path: &TrustPath) -> Value {
    json!({
        "result": "path",
        "authorities": path.steps.iter().map(|s| &s.authority).collect::<Vec<_>>(),
        "origins": path.steps.iter().map(|s| &s.register.origin).collect::<Vec<_>>(),
        "register": path.register.as_ref().map(|b| json!({"origin": b.origin, "keys": b.keys})),
        "status_required": path.status_required,
        "valid_from": path.valid_from,
        "valid_until": path.valid_until,
        "depth": path.depth,
        "actions": path.scope.actions,
        "resources": path.scope.resources,
    })
}

fn nothing_to_json(nothing: &NotFound) -> Value {
    let missing = nothing.missing.iter().map(|m| (m.reason.code(), m.authority.as_str(), m.subject.as_str()));
    json!({
        "result": if nothing.indeterminate { "indeterminate" } else { "none" },
        "missing": missing.collect::<BTreeSet<_>>(),
    })
}

struct Registers(BTreeMap<String, Held>);

impl World for Registers {
    type Register = Held;

    fn register(&self, origin: &str) -> Option<&Held> {
        self.0.get(origin)
    }
}

struct Held {
    signers: Vec<String>,
    /// By record key without its prefix: entity, action, resource.
    entries: BTreeMap<[String; 3], Fact<Terms>>,
    /// The keys of the recognitions in the order of the bytes of `trust/<entity>/recognize/<label>`.
    edges: Vec<[String; 3]>,
}

impl Held {
    fn read(register: &Value) -> Self {
        let key = |e: &Value| ["entity", "action", "resource"].map(|part| text(&e[part]).to_owned());
        let entries: BTreeMap<_, _> = list(&register["entries"]).iter().map(|e| (key(e), fact(e))).collect();
        let mut edges: Vec<_> = entries.keys().filter(|[_, action, _]| action == "recognize").cloned().collect();
        let part = |text: &str| text.replace('%', "%25").replace('/', "%2F");
        edges.sort_by_key(|[entity, _, label]| format!("trust/{}/recognize/{}", part(entity), part(label)));
        Self { signers: list(&register["signers"]).iter().map(|key| text(key).to_owned()).collect(), entries, edges }
    }
}

impl TrustRegister for Held {
    fn is_signed_by(&self, keys: &[String]) -> bool {
        self.signers.iter().any(|signer| keys.contains(signer))
    }

    fn recognitions(&self) -> impl Iterator<Item = Recognition<'_>> {
        self.edges.iter().map(|key| Recognition {
            entity: Cow::Borrowed(&key[0]),
            label: Cow::Borrowed(&key[2]),
            fact: Cow::Borrowed(&self.entries[key]),
        })
    }

    fn authorization(&self, entity: &str, action: &str, resource: &str) -> Cow<'_, Fact<Terms>> {
        match self.entries.get(&[entity, action, resource].map(str::to_owned)) {
            Some(fact) => Cow::Borrowed(fact),
            None => Cow::Owned(Fact::new(Outcome::Absent, Reason::NoRecord)),
        }
    }
}

fn fact(entry: &Value) -> Fact<Terms> {
    let outcomes =
        [Outcome::Withdrawn, Outcome::Unusable, Outcome::Granted, Outcome::Pending, Outcome::Absent].into_iter();
    let outcome = outcomes.into_iter().find(|o| o.code() == text(&entry["outcome"])).expect("a known outcome");
    Fact { outcome, reason: None, terms: entry.get("terms").filter(|t| !t.is_null()).map(terms) }
}

fn terms(value: &Value) -> Terms {
    let strings = |value: &Value| list(value).iter().map(|s| text(s).to_owned()).collect();
    let scope = |s: &Value| Scope { actions: strings(&s["actions"]), resources: strings(&s["resources"]) };
    Terms {
        valid_from: number(&value["valid_from"]),
        valid_until: number(&value["valid_until"]),
        scope: value.get("scope").map(scope),
        depth: value.get("depth").map(number),
        register: value.get("register").filter(|r| !r.is_null()).map(binding),
        status_required: value.get("status").is_some_and(|status| status == "required"),
    }
}

fn binding(value: &Value) -> Binding {
    let keys = list(&value["keys"]).iter().map(|key| text(key).to_owned()).collect();
    Binding { origin: text(&value["origin"]).to_owned(), keys, after: None }
}

fn anchor(value: &Value) -> Anchor {
    Anchor { authority: text(&value["authority"]).to_owned(), register: binding(&value["register"]) }
}
