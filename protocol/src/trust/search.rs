//! The search itself: a queue of partial paths, and what was met on the way.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{Anchor, Missing, MissingReason, NotFound, Recognition, Step, TrustPath, TrustRegister, World};
use crate::limits;
use crate::register::fact::{self, Binding, Fact, Outcome, Scope, Terms};

/// The action under which recognitions stand in a register.
pub(crate) const RECOGNIZE: &str = "recognize";

/// Searches the path on which `issuer` may do `action` with *all* of `types` at the time `at` (`specs/trust.md` §3).
///
/// One authority must authorise all types, for one register. Without types nothing is authorised: else a credential
/// that names none would be anybody's.
pub fn trust_path<'a, W: World, T: AsRef<str>>(
    world: &'a W,
    anchors: &'a [Anchor],
    issuer: &'a str,
    action: &'a str,
    types: &'a [T],
    at: u64,
) -> Result<TrustPath, NotFound> {
    Search::new(anchors, issuer, action, types, at)
        .run(world, |search, register, here| search.authorised(register, here))
}

/// Searches as [`trust_path`] does, but takes registers with entries of a later version for what can be read of them.
///
/// Such a path grants nothing. It says where an issuer's document and lists would stand, so that what is known to be
/// wrong there still rejects.
pub fn trust_path_as_read<'a, W: World, T: AsRef<str>>(
    world: &'a W,
    anchors: &'a [Anchor],
    issuer: &'a str,
    action: &'a str,
    types: &'a [T],
    at: u64,
) -> Result<TrustPath, NotFound> {
    let search = Search { as_read: true, ..Search::new(anchors, issuer, action, types, at) };
    search.run(world, |search, register, here| search.authorised(register, here))
}

/// Searches the path on which this very authority lets `entity` do `action` on `resource` (`specs/trust.md` §6).
pub fn authorization_by<'a, W: World>(
    world: &'a W,
    anchors: &'a [Anchor],
    authority: &'a str,
    entity: &'a str,
    action: &'a str,
    resource: &'a [&'a str; 1],
    at: u64,
) -> Result<TrustPath, NotFound> {
    let search = Search { by: Some(authority), ..Search::new(anchors, entity, action, resource, at) };
    search.run(world, |search, register, here| search.authorised(register, here))
}

/// Searches the path on which this very authority recognises `entity` (`specs/trust.md` §6): under the label `resource`
/// when the action is `recognize`, else with a scope that covers action and resource. The path's register is the entity's.
pub fn recognition_by<'a, W: World>(
    world: &'a W,
    anchors: &'a [Anchor],
    authority: &'a str,
    entity: &'a str,
    action: &'a str,
    resource: &'a [&'a str; 1],
    at: u64,
) -> Result<TrustPath, NotFound> {
    let any_scope = action == RECOGNIZE;
    let search = Search { by: Some(authority), any_scope, ..Search::new(anchors, entity, action, resource, at) };
    search.run(world, |search, register, here| search.recognised(register, here))
}

/// Searches a path to this very authority over which it may permit `action` on `resource`.
pub fn path_to<'a, W: World>(
    world: &'a W,
    anchors: &'a [Anchor],
    authority: &'a str,
    action: &'a str,
    resource: &'a [&'a str; 1],
    at: u64,
) -> Result<TrustPath, NotFound> {
    let any_scope = action == RECOGNIZE;
    let search = Search { by: Some(authority), any_scope, ..Search::new(anchors, "", action, resource, at) };
    search.run(world, |search, _, here| search.reached(here))
}

/// A partial path: its last authority, and where it came from.
struct Node<'a> {
    parent: Option<usize>,
    authority: Cow<'a, str>,
    via: Via<'a>,
    depth: u64,
    valid_from: u64,
    valid_until: u64,
    /// True once its register has been read.
    searched: bool,
    /// True when that register has entries of a later version: it grants nothing.
    unread: bool,
}

enum Via<'a> {
    Anchor(&'a Binding),
    Edge(Cow<'a, Fact<Terms>>),
}

impl<'a> Node<'a> {
    fn of_anchor(anchor: &'a Anchor) -> Self {
        Self {
            parent: None,
            authority: Cow::Borrowed(&anchor.authority),
            via: Via::Anchor(&anchor.register),
            depth: limits::TRUST_DEPTH_MAX,
            valid_from: 0,
            valid_until: u64::MAX,
            searched: false,
            unread: false,
        }
    }

    fn terms(&self) -> Option<&Terms> {
        match &self.via {
            Via::Anchor(_) => None,
            Via::Edge(fact) => fact.terms.as_ref(),
        }
    }

    fn binding(&self) -> Option<&Binding> {
        match &self.via {
            Via::Anchor(binding) => Some(binding),
            Via::Edge(fact) => fact.terms.as_ref()?.register.as_ref(),
        }
    }
}

/// What was met, by reference; it becomes text only when the search fails.
struct Met<'a> {
    reason: MissingReason,
    node: usize,
    subject: Subject<'a>,
}

enum Subject<'a> {
    /// The origin of the node's register.
    Origin,
    Text(Cow<'a, str>),
}

struct Search<'a, T> {
    issuer: &'a str,
    action: &'a str,
    types: &'a [T],
    at: u64,
    /// The one authority that is asked; else any.
    by: Option<&'a str>,
    /// True when entries of a later version leave a register as far as it can be read.
    as_read: bool,
    /// True when edges on the way need not cover action and types.
    any_scope: bool,
    nodes: Vec<Node<'a>>,
    met: Vec<Met<'a>>,
}

impl<'a, T: AsRef<str>> Search<'a, T> {
    fn new(anchors: &'a [Anchor], issuer: &'a str, action: &'a str, types: &'a [T], at: u64) -> Self {
        let nodes = anchors.iter().map(Node::of_anchor).collect();
        Self { issuer, action, types, at, by: None, as_read: false, any_scope: false, nodes, met: Vec::new() }
    }

    /// Visits authorities, the nearest to the charter first, until `finish` finds at one of them what is asked for.
    fn run<W: World>(
        mut self,
        world: &'a W,
        mut finish: impl FnMut(&mut Self, &'a W::Register, usize) -> Option<TrustPath>,
    ) -> Result<TrustPath, NotFound> {
        let mut examined = 0;
        let mut next = 0;
        // Nodes are appended at the end and read from the front: the list is the queue and the memory of the paths.
        while next < self.nodes.len() {
            let here = next;
            next += 1;
            let Some(register) = self.open(world, here) else { continue };
            let is_asked = self.by.is_none_or(|by| self.nodes.get(here).is_some_and(|node| node.authority == by));
            if is_asked && let Some(path) = finish(&mut self, register, here) {
                return Ok(path);
            }
            if is_asked && self.by.is_some() {
                continue; // it stands once on a path, so not below itself
            }
            for edge in register.recognitions() {
                examined += 1;
                if examined > limits::TRUST_EDGES_MAX {
                    self.miss(MissingReason::Limit, here, Subject::Text(Cow::Borrowed("")));
                    return Err(self.nothing());
                }
                self.step(here, edge);
            }
        }
        Err(self.nothing())
    }

    fn miss(&mut self, reason: MissingReason, node: usize, subject: Subject<'a>) {
        self.met.push(Met { reason, node, subject });
    }

    /// Returns the register that this path binds; a binding on one path never serves another.
    fn open<W: World>(&mut self, world: &'a W, at: usize) -> Option<&'a W::Register> {
        let node = self.nodes.get_mut(at)?;
        let binding = node.binding();
        let held = binding.and_then(|binding| world.register(&binding.origin));
        let reason = match (binding, held) {
            (Some(binding), Some(register)) if register.is_signed_by(&binding.keys) => {
                node.searched = true;
                node.unread = register.has_unread() && !self.as_read;
                if node.unread {
                    self.miss(MissingReason::UpgradeNeeded, at, Subject::Origin);
                }
                return held;
            }
            (Some(_), Some(_)) => MissingReason::NotSigned,
            _ => MissingReason::RegisterMissing,
        };
        self.miss(reason, at, Subject::Origin);
        None
    }

    /// Returns the finished path when the authority at `here` authorises the issuer for every type.
    fn authorised<R: TrustRegister>(&mut self, register: &'a R, here: usize) -> Option<TrustPath> {
        let mut chosen: Vec<Cow<'a, Fact<Terms>>> = Vec::with_capacity(self.types.len());
        for wanted in self.types {
            chosen.extend(self.entry(register, here, wanted.as_ref()));
        }
        if self.types.is_empty() {
            self.miss(MissingReason::NoEntry, here, Subject::Text(Cow::Borrowed("")));
        }
        if chosen.is_empty() || chosen.len() < self.types.len() {
            return None;
        }
        let terms = || chosen.iter().filter_map(|fact| fact.terms.as_ref());
        let Ok(binding) = common_register(terms().filter_map(|t| t.register.as_ref())) else {
            self.miss(MissingReason::RegisterConflict, here, Subject::Text(Cow::Borrowed(self.issuer)));
            return None;
        };
        let node = self.nodes.get(here)?;
        let (steps, scope) = self.walk(here)?;
        Some(TrustPath {
            steps,
            register: binding,
            status_required: terms().any(|t| t.status_required),
            valid_from: terms().map(|t| t.valid_from).fold(node.valid_from, u64::max),
            valid_until: terms().map(|t| t.valid_until).fold(node.valid_until, u64::min),
            depth: node.depth,
            scope,
        })
    }

    /// Returns the entry for one type, the exact resource before `*`; or notes why there is none.
    fn entry<R: TrustRegister>(
        &mut self,
        register: &'a R,
        here: usize,
        wanted: &'a str,
    ) -> Option<Cow<'a, Fact<Terms>>> {
        let unread = self.nodes.get(here).is_some_and(|node| node.unread);
        let mut explained = unread;
        let both = if wanted == "*" { &["*"][..] } else { &[wanted, "*"][..] };
        for resource in both {
            let fact = register.authorization(self.issuer, self.action, resource);
            let reason = match (fact.outcome, &fact.terms) {
                (Outcome::Granted, Some(_)) if unread => None,
                (Outcome::Granted, Some(terms)) if self.is_current(terms) => return Some(fact),
                (Outcome::Granted, Some(_)) => Some(MissingReason::OutsideWindow),
                _ => MissingReason::of_fact(&fact),
            };
            if let Some(reason) = reason {
                explained = true;
                self.miss(reason, here, Subject::Text(Cow::Borrowed(wanted)));
            }
        }
        if !explained {
            self.miss(MissingReason::NoEntry, here, Subject::Text(Cow::Borrowed(wanted)));
        }
        None
    }

    fn is_current(&self, terms: &Terms) -> bool {
        terms.valid_from <= self.at && self.at < terms.valid_until
    }

    /// Appends the path one edge further, or notes why not.
    fn step(&mut self, here: usize, edge: Recognition<'a>) {
        if self.is_on_path(here, &edge.entity) {
            return;
        }
        let Some(node) = self.nodes.get(here) else { return };
        if node.unread && edge.fact.is_granted() {
            return; // one of the entries that cannot be read may take it back
        }
        let reason = match (edge.fact.outcome, &edge.fact.terms) {
            (Outcome::Granted, Some(terms)) => self.refusal(node, terms),
            _ => match MissingReason::of_fact(&edge.fact) {
                None => return,
                reason => reason,
            },
        };
        if let Some(reason) = reason {
            self.miss(reason, here, Subject::Text(edge.entity));
            return;
        }
        let Some(terms) = &edge.fact.terms else { return };
        let node = Node {
            parent: Some(here),
            depth: node.depth.saturating_sub(1).min(terms.depth.unwrap_or(0)),
            valid_from: node.valid_from.max(terms.valid_from),
            valid_until: node.valid_until.min(terms.valid_until),
            authority: edge.entity,
            via: Via::Edge(edge.fact),
            searched: false,
            unread: false,
        };
        self.nodes.push(node);
    }

    /// The path as far as `here`, which is an authority's.
    fn reached(&self, here: usize) -> Option<TrustPath> {
        let node = self.nodes.get(here)?;
        let (steps, scope) = self.walk(here)?;
        let (valid_from, valid_until, depth) = (node.valid_from, node.valid_until, node.depth);
        (!node.unread).then_some(TrustPath {
            steps,
            register: None,
            status_required: false,
            valid_from,
            valid_until,
            depth,
            scope,
        })
    }

    /// Finds the edge by which the authority at `here` recognises the entity that is asked for.
    fn recognised<R: TrustRegister>(&mut self, register: &'a R, here: usize) -> Option<TrustPath> {
        let mut explained = self.nodes.get(here).is_some_and(|node| node.unread);
        let wanted = self.types.first().map(AsRef::as_ref).unwrap_or_default();
        let asked = self.issuer;
        for edge in register.recognitions().filter(|edge| edge.entity == asked) {
            if self.any_scope && edge.label != wanted {
                continue;
            }
            let node = self.nodes.get(here)?;
            let reason = match (edge.fact.outcome, &edge.fact.terms) {
                (Outcome::Granted, Some(_)) if node.unread => None,
                (Outcome::Granted, Some(terms)) => match self.refusal(node, terms) {
                    None => match self.recognition(here, terms) {
                        Some(path) => return Some(path),
                        None => Some(MissingReason::OutOfScope),
                    },
                    reason => reason,
                },
                _ => MissingReason::of_fact(&edge.fact),
            };
            if let Some(reason) = reason {
                explained = true;
                self.miss(reason, here, Subject::Text(edge.entity));
            }
        }
        if !explained {
            self.miss(MissingReason::NoEntry, here, Subject::Text(Cow::Borrowed(self.issuer)));
        }
        None
    }

    /// The path to the authority at `here`, and over this edge of its; `None` when they have no scope in common.
    fn recognition(&self, here: usize, terms: &Terms) -> Option<TrustPath> {
        let node = self.nodes.get(here)?;
        let (steps, scope) = self.walk(here)?;
        let own = terms.scope.as_ref()?;
        let scope = Scope {
            actions: fact::meet(&scope.actions, &own.actions),
            resources: fact::meet(&scope.resources, &own.resources),
        };
        (!scope.actions.is_empty() && !scope.resources.is_empty()).then(|| TrustPath {
            steps,
            register: terms.register.clone(),
            status_required: false,
            valid_from: node.valid_from.max(terms.valid_from),
            valid_until: node.valid_until.min(terms.valid_until),
            depth: node.depth.saturating_sub(1).min(terms.depth.unwrap_or(0)),
            scope,
        })
    }

    /// Each edge must cover what is asked, so their intersection does.
    fn refusal(&self, node: &Node<'_>, terms: &Terms) -> Option<MissingReason> {
        let in_scope = self.any_scope
            || terms.scope.as_ref().is_some_and(|scope| {
                covers(&scope.actions, self.action) && self.types.iter().all(|t| covers(&scope.resources, t.as_ref()))
            });
        if !in_scope {
            Some(MissingReason::OutOfScope)
        } else if !self.is_current(terms) {
            Some(MissingReason::OutsideWindow)
        } else if node.depth < 1 {
            Some(MissingReason::TooDeep)
        } else {
            None
        }
    }

    /// The nodes from `at` up to its anchor.
    fn path(&self, at: usize) -> impl Iterator<Item = &Node<'a>> {
        let first = self.nodes.get(at);
        std::iter::successors(first, |node| node.parent.and_then(|parent| self.nodes.get(parent)))
    }

    /// An authority appears once on a path, not once in a search.
    fn is_on_path(&self, at: usize, authority: &str) -> bool {
        self.path(at).any(|node| node.authority == authority)
    }

    fn walk(&self, at: usize) -> Option<(Vec<Step>, Scope)> {
        let mut nodes: Vec<&Node<'a>> = self.path(at).collect();
        nodes.reverse();
        let all = || vec!["*".to_owned()];
        let mut scope = Scope { actions: all(), resources: all() };
        let mut steps = Vec::with_capacity(nodes.len());
        for node in nodes {
            steps.push(Step {
                authority: node.authority.clone().into_owned(),
                register: node.binding()?.clone(),
                valid_from: node.valid_from,
                valid_until: node.valid_until,
            });
            if let Some(edge) = node.terms().and_then(|terms| terms.scope.as_ref()) {
                scope.actions = fact::meet(&scope.actions, &edge.actions);
                scope.resources = fact::meet(&scope.resources, &edge.resources);
            }
        }
        Some((steps, scope))
    }

    fn nothing(self) -> NotFound {
        let nodes = &self.nodes;
        let origin = |node: &Node<'_>| node.binding().map_or_else(String::new, |b| b.origin.clone());
        let missing: BTreeSet<Missing> = self
            .met
            .iter()
            .filter_map(|met| {
                let node = nodes.get(met.node)?;
                let subject = match &met.subject {
                    Subject::Origin => origin(node),
                    Subject::Text(text) => text.clone().into_owned(),
                };
                Some(Missing { reason: met.reason, authority: node.authority.clone().into_owned(), subject })
            })
            .collect();
        let searched: BTreeSet<String> = nodes.iter().filter(|n| n.searched).map(origin).collect();
        NotFound {
            indeterminate: missing.iter().any(|m| m.reason.is_unknown()),
            missing: missing.into_iter().collect(),
            searched: searched.into_iter().collect(),
        }
    }
}

/// The entries for all types name registers of different origins, or without a common key.
struct Conflict;

/// Returns the one register that all entries name, with the keys that all have.
fn common_register<'b>(mut registers: impl Iterator<Item = &'b Binding>) -> Result<Option<Binding>, Conflict> {
    let Some(first) = registers.next() else { return Ok(None) };
    let mut common = first.clone();
    for other in registers {
        if other.origin != common.origin {
            return Err(Conflict);
        }
        match (&common.after, &other.after) {
            (Some(one), Some(another)) if one != another => return Err(Conflict),
            // What the register before had withdrawn stays so if any entry says where it ended.
            (None, Some(after)) => common.after = Some(after.clone()),
            _ => {}
        }
        common.keys.retain(|key| other.keys.contains(key));
    }
    if common.keys.is_empty() { Err(Conflict) } else { Ok(Some(common)) }
}

fn covers(allowed: &[String], wanted: &str) -> bool {
    allowed.iter().any(|a| a == "*" || a == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::register::fact::After;

    #[test]
    fn entries_for_several_types_share_one_register_and_one_end_of_the_one_before() {
        let binding = |keys: &[&str], after: Option<u64>| Binding {
            origin: "a.example/register".to_owned(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            after: after.map(|size| After { origin: "old".to_owned(), size, root: Digest::OF_NOTHING }),
        };
        let common = |bindings: &[Binding]| common_register(bindings.iter()).map_err(|_| "conflict");
        let (at, later) = (binding(&["k", "l"], Some(3)), binding(&["k"], Some(4)));
        assert_eq!(common(&[]), Ok(None));
        assert_eq!(common(&[at.clone(), at.clone()]), Ok(Some(at.clone())));
        assert_eq!(common(&[at.clone(), later]), Err("conflict"));
        for both in [[at.clone(), binding(&["k"], None)], [binding(&["k"], None), at.clone()]] {
            assert_eq!(common(&both), Ok(Some(binding(&["k"], Some(3)))));
        }
        assert_eq!(common(&[at.clone(), binding(&["m"], None)]), Err("conflict"));
        assert_eq!(common(&[at, Binding { origin: "b".to_owned(), ..binding(&["k"], None) }]), Err("conflict"));
    }
}
