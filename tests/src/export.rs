//! A held register as JSON, for programs that are not ours (`interop/model_reads_register.py` describes the form).
//!
//! ```json
//! {"origin": "…", "keys": ["…"], "policy": "…", "admitting": ["A"], "bodies": {"<digest>": "<base64>"},
//!  "steps": [{"note": "…", "first": 0, "entries": ["<hex>"]}], "facts": [{"kind": "key", "…": "…"}]}
//! ```

use data_encoding::{BASE64, HEXLOWER};
use serde::Serialize;
use serde_json::{Map, Value, json};
use standfast_protocol::register::body::Bodies;

use standfast_protocol::register::entry::Entry;
use standfast_protocol::register::fact::{Fact, Terms};
use standfast_protocol::register::query::{KeyQuery, StatusQuery};
use standfast_protocol::register::state::{Register, Stand};

/// A fact to be asked of a register, by us and by another program.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Query {
    /// A verification method with its key.
    Key {
        /// The DID.
        did: String,
        /// The id of the method.
        method: String,
        /// The key as `publicKeyMultibase`.
        public: String,
        /// The verification relationship.
        relationship: String,
    },
    /// A trust edge.
    Edge {
        /// Who is authorised or recognised.
        entity: String,
        /// For which action.
        action: String,
        /// On which resource.
        resource: String,
    },
    /// One index of a status list.
    Status {
        /// The list's URI.
        list: String,
        /// The purpose that a credential names.
        purpose: String,
        /// The index.
        index: u64,
        /// The values that reject.
        rejects: Vec<u8>,
    },
}

impl Query {
    /// Returns the answer of our register, in the model's words.
    pub fn ask(&self, register: &Register, bodies: &Bodies) -> Value {
        match self {
            Self::Key { did, method, public, relationship } => {
                answer(register.key_fact(bodies, &KeyQuery { did, method, relationship, public }), |()| Value::Null)
            }
            Self::Edge { entity, action, resource } => {
                answer(register.edge_fact(bodies, entity, action, resource), terms_json)
            }
            Self::Status { list, purpose, index, rejects } => {
                let query = StatusQuery { list, index: *index, purpose, rejects };
                answer(register.status_fact(bodies, &query, None), |value| json!({"value": value}))
            }
        }
    }
}

fn answer<T>(fact: Fact<T>, terms: impl Fn(T) -> Value) -> Value {
    json!({
        "outcome": fact.outcome.code(),
        "reason": fact.reason.map_or("", |reason| reason.code()),
        "terms": fact.terms.map(terms)
    })
}

fn terms_json(terms: Terms) -> Value {
    let mut out = Map::new();
    out.insert("valid_from".into(), terms.valid_from.into());
    out.insert("valid_until".into(), terms.valid_until.into());
    if let Some(scope) = terms.scope {
        out.insert("scope".into(), json!({"actions": scope.actions, "resources": scope.resources}));
    }
    if let Some(depth) = terms.depth {
        out.insert("depth".into(), depth.into());
    }
    if let Some(register) = terms.register {
        let mut binding = json!({"origin": register.origin, "keys": register.keys});
        if let Some(after) = register.after {
            binding["after"] = json!({"origin": after.origin, "size": after.size, "root": after.root.to_string()});
        }
        out.insert("register".into(), binding);
    }
    if terms.status_required {
        out.insert("status".into(), "required".into());
    }
    out.into()
}

/// Returns a register with what another program needs to reach the same state. `policy` is the text of its quorum.
///
/// # Panics
///
/// When the register is frozen, or held from a state on instead of from its first entry: then entries are missing.
pub fn register(register: &Register, bodies: &Bodies, policy: &str, queries: &[Query]) -> Value {
    assert!(register.size_base() == 0 && register.frozen().is_none(), "only a register held whole can be exported");
    let mut steps = Vec::new();
    let mut held = 0;
    for stand in register.stands_from(0) {
        let size = stand.head().checkpoint().size;
        steps.push(step(stand, held, register.entries(held, size)));
        held = size;
    }
    if let Some(common) = register.fork_point() {
        for stand in register.stands_other() {
            let size = stand.head().checkpoint().size;
            let count = usize::try_from(size.saturating_sub(common)).expect("the other branch is short");
            steps.push(step(stand, common, register.entries_other().take(count)));
        }
    }
    let bodies: Map<String, Value> = bodies
        .iter()
        .map(|record| (HEXLOWER.encode(record.digest().as_bytes()), BASE64.encode(record.body()).into()))
        .collect();
    json!({
        "origin": register.origin(),
        "keys": register.keys().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "policy": policy,
        "admitting": register.witnessing().admitting,
        "steps": steps,
        "bodies": bodies,
        "facts": queries
    })
}

fn step<'a>(stand: &Stand, first: u64, entries: impl Iterator<Item = &'a Entry>) -> Value {
    let mut note = stand.head().note().clone();
    stand.cosignatures().for_each(|cosignature| note.add(cosignature.line().clone()));
    let entries: Vec<String> = entries.map(|entry| HEXLOWER.encode(entry.bytes())).collect();
    json!({"note": note.to_string(), "first": first, "entries": entries})
}
