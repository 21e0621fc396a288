//! Graphs of trust entries written as JSON, as vectors have them, and searches in them.
//!
//! ```text
//! {"anchors": [{"authority", "register": {"origin", "keys", "after"?}}], "registers": {origin: {"signers": [key],
//!  "unread"?: true, "entries": [{"entity", "action", "resource", "outcome", "terms"?}]}},
//!  "issuer", "action", "types": […], "at"}
//! ```

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use standfast_protocol::register::fact::{After, Binding, Fact, Outcome, Reason, Scope, Terms};
use standfast_protocol::trust::{Anchor, NotFound, Recognition, TrustPath, TrustRegister, World, trust_path};

use crate::vectors::{digest, list, number, text};

/// Searches the path that a case asks for in a graph.
pub fn search(case: &Value, graph: &Value) -> Result<TrustPath, NotFound> {
    let anchors: Vec<Anchor> = list(&graph["anchors"]).iter().map(anchor).collect();
    let registers = graph["registers"].as_object().expect("an object").iter();
    let world = Registers(registers.map(|(origin, register)| (origin.clone(), Held::read(register))).collect());
    let types: Vec<&str> = list(&case["types"]).iter().map(text).collect();
    trust_path(&world, &anchors, text(&case["issuer"]), text(&case["action"]), &types, number(&case["at"]))
}

/// Returns the graph that a case has made, where it has one made.
pub fn generated(case: &Value) -> Option<Value> {
    case.get("generate").map(|how| generate(number(&how["edges_before"])))
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

/// Writes a path.
pub fn path_to_json(path: &TrustPath) -> Value {
    json!({
        "result": "path",
        "authorities": path.steps.iter().map(|s| &s.authority).collect::<Vec<_>>(),
        "origins": path.steps.iter().map(|s| &s.register.origin).collect::<Vec<_>>(),
        "register": path.register.as_ref().map(binding_to_json),
        "status_required": path.status_required,
        "valid_from": path.valid_from,
        "valid_until": path.valid_until,
        "depth": path.depth,
        "actions": path.scope.actions,
        "resources": path.scope.resources,
    })
}

/// Writes why there is none.
pub fn nothing_to_json(nothing: &NotFound) -> Value {
    let missing = nothing.missing.iter().map(|m| (m.reason.code(), m.authority.as_str(), m.subject.as_str()));
    json!({
        "result": if nothing.indeterminate { "indeterminate" } else { "none" },
        "missing": missing.collect::<BTreeSet<_>>(),
    })
}

fn binding_to_json(binding: &Binding) -> Value {
    let mut json = json!({"origin": binding.origin, "keys": binding.keys});
    if let Some(after) = &binding.after {
        json["after"] = json!({"origin": after.origin, "size": after.size, "root": after.root.to_string()});
    }
    json
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
    unread: bool,
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
        let signers = list(&register["signers"]).iter().map(|key| text(key).to_owned()).collect();
        Self { signers, unread: register["unread"] == true, entries, edges }
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

    fn has_unread(&self) -> bool {
        self.unread
    }
}

fn reason(entry: &Value) -> Option<Reason> {
    (entry["outcome"] == "mass-withdrawal").then_some(Reason::MassWithdrawal)
}

fn fact(entry: &Value) -> Fact<Terms> {
    let outcomes =
        [Outcome::Withdrawn, Outcome::Unusable, Outcome::Granted, Outcome::Pending, Outcome::Absent].into_iter();
    let told = if reason(entry).is_some() { "withdrawn" } else { text(&entry["outcome"]) };
    let outcome = outcomes.into_iter().find(|o| o.code() == told).expect("a known outcome");
    Fact { outcome, reason: reason(entry), terms: entry.get("terms").filter(|t| !t.is_null()).map(terms) }
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
    let after = |after: &Value| After {
        origin: text(&after["origin"]).to_owned(),
        size: number(&after["size"]),
        root: digest(&after["root"]).expect("a digest"),
    };
    Binding { origin: text(&value["origin"]).to_owned(), keys, after: value.get("after").map(after) }
}

fn anchor(value: &Value) -> Anchor {
    Anchor { authority: text(&value["authority"]).to_owned(), register: binding(&value["register"]) }
}
