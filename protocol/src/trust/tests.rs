//! Tests of the search on registers made of facts.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::*;
use crate::key::{SecretKey, origin_of};
use crate::register::fact::Reason;

type Key = (String, String, String);

#[derive(Default, Clone)]
struct Held {
    facts: BTreeMap<Key, Fact<Terms>>,
    unread: bool,
}

impl TrustRegister for Held {
    fn is_signed_by(&self, keys: &[String]) -> bool {
        keys.iter().any(|key| key == "K")
    }

    fn recognitions(&self) -> impl Iterator<Item = Recognition<'_>> {
        let edges = self.facts.iter().filter(|((_, action, _), _)| action == "recognize");
        edges.map(|((entity, _, label), fact)| Recognition {
            entity: entity.into(),
            label: label.into(),
            fact: Cow::Borrowed(fact),
        })
    }

    fn authorization(&self, entity: &str, action: &str, resource: &str) -> Cow<'_, Fact<Terms>> {
        match self.facts.get(&(entity.into(), action.into(), resource.into())) {
            Some(fact) => Cow::Borrowed(fact),
            None => Cow::Owned(Fact::new(Outcome::Absent, Reason::NoRecord)),
        }
    }

    fn has_unread(&self) -> bool {
        self.unread
    }
}

#[derive(Default)]
struct Registers(BTreeMap<String, Held>);

impl World for Registers {
    type Register = Held;

    fn register(&self, origin: &str) -> Option<&Held> {
        self.0.get(origin)
    }
}

impl Registers {
    fn put(&mut self, origin: &str, entity: &str, action: &str, resource: &str, fact: Fact<Terms>) {
        let key = (entity.into(), action.into(), resource.into());
        self.0.entry(origin.into()).or_default().facts.insert(key, fact);
    }

    fn leave_unread(&mut self, origin: &str) {
        self.0.entry(origin.into()).or_default().unread = true;
    }
}

#[test]
fn a_binding_names_keys_of_its_origin() {
    let public = |seed| SecretKey::from_seed(&[seed; 32]).public();
    let origin = origin_of("a.example/register", &public(1));
    let key =
        |name: &str, algorithm, seed| VerifierKey::new(name, algorithm, public(seed)).expect("a name").to_string();
    let bind = |keys: &[String]| {
        bound_keys(&Binding { origin: origin.clone(), keys: keys.to_vec(), after: None }).map(|keys| keys.len())
    };
    let own = key(&origin, Algorithm::Note, 1);
    assert_eq!(bind(&[own.clone(), key(&origin, Algorithm::Cosignature, 2)]), Ok(2));
    assert_eq!(bind(&[]), Err(BindingError::Count(0)));
    assert_eq!(bind(&[key(&origin, Algorithm::Note, 2)]), Ok(1), "after a rotation the first key is gone");
    assert_eq!(bind(&[key(&origin, Algorithm::Cosignature, 1)]), Err(BindingError::FirstKey));
    assert_eq!(bind(&[own.clone(), key(&origin, Algorithm::Cosignature, 1)]), Err(BindingError::KeyTwice(1)));
    let foreign = key("b.example/register", Algorithm::Note, 2);
    assert_eq!(bind(&[own.clone(), foreign]), Err(BindingError::ForeignKey("b.example/register".into())));
    assert_eq!(bind(&[own, "K".into()]), Err(BindingError::Key { at: 1, source: KeyError::Shape }));
}

#[test]
fn only_a_key_bound_now_leads_to_another() {
    let public = |seed| SecretKey::from_seed(&[seed; 32]).public();
    let origin = origin_of("a.example/register", &public(1));
    let key = |algorithm, seed| VerifierKey::new(&origin, algorithm, public(seed)).expect("a name");
    let (first, second, third) = (key(Algorithm::Note, 1), key(Algorithm::Note, 2), key(Algorithm::Note, 3));
    assert!(continues(std::slice::from_ref(&first), &[]), "the first key gives the origin");
    assert!(!continues(std::slice::from_ref(&second), &[]));
    assert!(continues(&[first.clone(), second.clone()], std::slice::from_ref(&first)));
    assert!(continues(std::slice::from_ref(&second), &[first.clone(), second.clone()]));
    assert!(continues(&[third.clone(), second.clone()], std::slice::from_ref(&second)));
    assert!(!continues(&[third], &[first, second]));
    let stamp = key(Algorithm::Cosignature, 4);
    assert!(!continues(&[key(Algorithm::Note, 5), stamp.clone()], &[stamp]), "a timestamping key vouches for nothing");
}

fn binding(origin: &str, key: &str) -> Binding {
    Binding { origin: origin.into(), keys: vec![key.into()], after: None }
}

fn anchors() -> Vec<Anchor> {
    vec![Anchor { authority: "A".into(), register: binding("A.r", "K") }]
}

fn entry(register: Option<Binding>) -> Terms {
    Terms { valid_from: 0, valid_until: 100, scope: None, depth: None, register, status_required: false }
}

fn edge(origin: &str, depth: u64) -> Terms {
    let scope = Scope { actions: vec!["issue".into()], resources: vec!["L".into(), "M".into()] };
    Terms { scope: Some(scope), depth: Some(depth), valid_until: 80, ..entry(Some(binding(origin, "K"))) }
}

fn ask(world: &Registers, types: &[&str]) -> Result<TrustPath, NotFound> {
    trust_path(world, &anchors(), "I", "issue", types, 50)
}

fn reasons(result: Result<TrustPath, NotFound>) -> Vec<MissingReason> {
    result.expect_err("no path").missing.into_iter().map(|m| m.reason).collect()
}

#[test]
fn returns_the_steps_and_the_narrowed_window() {
    let mut world = Registers::default();
    world.put("A.r", "B", "recognize", "x", Fact::granted(edge("B.r", 2)));
    world.put("B.r", "I", "issue", "*", Fact::granted(entry(Some(binding("I.r", "KI")))));
    let path = ask(&world, &["L", "M"]).expect("a path");
    let steps: Vec<_> = path.steps.iter().map(|s| (s.authority.as_str(), s.valid_until)).collect();
    assert_eq!(steps, [("A", u64::MAX), ("B", 80)]);
    assert_eq!((path.valid_until, path.depth), (80, 2));
    assert_eq!(path.register, Some(binding("I.r", "KI")));
    assert_eq!(path.scope.resources, ["L", "M"]);
}

#[test]
fn authorises_nothing_without_types() {
    let mut world = Registers::default();
    world.put("A.r", "I", "issue", "*", Fact::granted(entry(None)));
    assert_eq!(reasons(ask(&world, &[])), [MissingReason::NoEntry]);
}

#[test]
fn an_extra_type_never_borrows_authority() {
    let mut world = Registers::default();
    world.put("A.r", "I", "issue", "L", Fact::granted(entry(None)));
    let refused = ask(&world, &["L", "N"]).expect_err("no path");
    assert!(!refused.indeterminate);
    assert_eq!(refused.searched, ["A.r"]);
    let missing = Missing { reason: MissingReason::NoEntry, authority: "A".into(), subject: "N".into() };
    assert_eq!(refused.missing, [missing]);
}

#[test]
fn a_pending_edge_makes_the_answer_unknown() {
    let mut world = Registers::default();
    world.put("A.r", "B", "recognize", "x", Fact::pending());
    assert!(ask(&world, &["L"]).expect_err("no path").indeterminate);
}

#[test]
fn a_held_mass_withdrawal_is_unknown_and_a_plain_one_is_not() {
    for (reason, indeterminate) in [(Reason::MassWithdrawal, true), (Reason::TakenBack, false)] {
        let mut world = Registers::default();
        world.put("A.r", "I", "issue", "L", Fact::new(Outcome::Withdrawn, reason));
        assert_eq!(ask(&world, &["L"]).expect_err("no path").indeterminate, indeterminate);
    }
}

#[test]
fn depth_zero_lets_no_further_step_follow() {
    let mut world = Registers::default();
    world.put("A.r", "B", "recognize", "x", Fact::granted(edge("B.r", 0)));
    world.put("B.r", "C", "recognize", "x", Fact::granted(edge("C.r", 8)));
    world.put("C.r", "I", "issue", "L", Fact::granted(entry(None)));
    assert!(reasons(ask(&world, &["L"])).contains(&MissingReason::TooDeep));
}

#[test]
fn a_register_signed_by_other_keys_is_not_read() {
    let mut world = Registers::default();
    let other = Terms { register: Some(binding("B.r", "stolen")), ..edge("B.r", 2) };
    world.put("A.r", "B", "recognize", "x", Fact::granted(other));
    world.put("B.r", "I", "issue", "L", Fact::granted(entry(None)));
    assert!(reasons(ask(&world, &["L"])).contains(&MissingReason::NotSigned));
}

#[test]
fn types_under_two_registers_are_a_conflict() {
    let mut world = Registers::default();
    world.put("A.r", "I", "issue", "L", Fact::granted(entry(Some(binding("I.r", "KI")))));
    world.put("A.r", "I", "issue", "M", Fact::granted(entry(Some(binding("J.r", "KI")))));
    assert_eq!(reasons(ask(&world, &["L", "M"])), [MissingReason::RegisterConflict]);
}

#[test]
fn the_register_before_counts_if_the_entry_of_any_type_names_it() {
    let after = |size| Some(fact::After { origin: "J.r".into(), size, root: crate::digest::Digest::of(b"") });
    let granted = |after| Fact::granted(entry(Some(Binding { after, ..binding("I.r", "KI") })));
    let mut world = Registers::default();
    world.put("A.r", "I", "issue", "L", granted(None));
    world.put("A.r", "I", "issue", "M", granted(after(3)));
    for types in [["L", "M"], ["M", "L"]] {
        assert_eq!(ask(&world, &types).expect("a path").register.and_then(|register| register.after), after(3));
    }
    world.put("A.r", "I", "issue", "L", granted(after(4)));
    assert_eq!(reasons(ask(&world, &["L", "M"])), [MissingReason::RegisterConflict]);
}

#[test]
fn of_a_diamond_the_first_way_by_the_bytes_of_the_edges_counts() {
    let mut world = Registers::default();
    world.put("A.r", "C", "recognize", "x", Fact::granted(edge("C.r", 2)));
    world.put("A.r", "B", "recognize", "x", Fact::granted(edge("B.r", 2)));
    world.put("B.r", "D", "recognize", "x", Fact::granted(edge("D.r", 2)));
    world.put("C.r", "D", "recognize", "x", Fact::granted(edge("D.r", 2)));
    world.put("D.r", "I", "issue", "L", Fact::granted(entry(None)));
    let names = |world: &Registers| -> Vec<String> {
        ask(world, &["L"]).expect("a path").steps.into_iter().map(|step| step.authority).collect()
    };
    assert_eq!(names(&world), ["A", "B", "D"]);
    // What closes one way leaves the other.
    world.put("B.r", "D", "recognize", "x", Fact::new(Outcome::Withdrawn, Reason::TakenBack));
    assert_eq!(names(&world), ["A", "C", "D"]);
    let end = Terms { valid_until: 50, ..edge("C.r", 2) };
    world.put("A.r", "C", "recognize", "x", Fact::granted(end));
    assert_eq!(
        reasons(ask(&world, &["L"])),
        [MissingReason::Withdrawn, MissingReason::OutsideWindow, MissingReason::NoEntry, MissingReason::NoEntry]
    );
}

#[test]
fn a_ring_of_recognitions_ends() {
    let mut world = Registers::default();
    world.put("A.r", "B", "recognize", "x", Fact::granted(edge("B.r", 8)));
    world.put("B.r", "A", "recognize", "x", Fact::granted(edge("A.r", 8)));
    world.put("B.r", "B", "recognize", "x", Fact::granted(edge("B.r", 8)));
    assert_eq!(reasons(ask(&world, &["L"])), [MissingReason::NoEntry; 2]);
    world.put("B.r", "I", "issue", "L", Fact::granted(entry(None)));
    assert_eq!(ask(&world, &["L"]).expect("a path").steps.len(), 2);
}

#[test]
fn a_shorter_path_counts_before_a_longer_one_and_anchors_in_their_order() {
    let mut world = Registers::default();
    world.put("A.r", "B", "recognize", "x", Fact::granted(edge("B.r", 2)));
    world.put("B.r", "I", "issue", "L", Fact::granted(entry(None)));
    world.put("Z.r", "I", "issue", "L", Fact::granted(entry(None)));
    let anchor = |name: &str| Anchor { authority: name.into(), register: binding(&format!("{name}.r"), "K") };
    let both = [anchor("A"), anchor("Z")];
    let path = trust_path(&world, &both, "I", "issue", &["L"], 50).expect("a path");
    assert_eq!(path.steps.len(), 1);
    assert_eq!(path.steps[0].authority, "Z");
    world.put("A.r", "I", "issue", "L", Fact::granted(entry(None)));
    let path = trust_path(&world, &both, "I", "issue", &["L"], 50).expect("a path");
    assert_eq!(path.steps[0].authority, "A");
}

#[test]
fn windows_are_half_open_on_every_edge() {
    let mut world = Registers::default();
    world.put("A.r", "B", "recognize", "x", Fact::granted(Terms { valid_from: 20, ..edge("B.r", 2) }));
    world.put("B.r", "I", "issue", "L", Fact::granted(Terms { valid_until: 60, ..entry(None) }));
    let at = |at| trust_path(&world, &anchors(), "I", "issue", &["L"], at).map(|p| (p.valid_from, p.valid_until));
    assert_eq!([at(20), at(59)], [Ok((20, 60)), Ok((20, 60))]);
    assert_eq!(at(19).expect_err("early").missing[0].reason, MissingReason::OutsideWindow);
    assert!(
        at(60).expect_err("late").missing.iter().any(|m| m.reason == MissingReason::OutsideWindow && m.subject == "L")
    );
}

#[test]
fn the_narrowest_scope_on_the_way_counts() {
    let mut world = Registers::default();
    let wide = Scope { actions: vec!["*".into()], resources: vec!["*".into()] };
    let narrow = Scope { actions: vec!["issue".into()], resources: vec!["M".into()] };
    world.put("A.r", "B", "recognize", "x", Fact::granted(Terms { scope: Some(narrow), ..edge("B.r", 2) }));
    world.put("B.r", "C", "recognize", "x", Fact::granted(Terms { scope: Some(wide), ..edge("C.r", 2) }));
    world.put("C.r", "I", "issue", "*", Fact::granted(entry(None)));
    assert_eq!(ask(&world, &["M"]).expect("a path").scope.resources, ["M"]);
    assert!(reasons(ask(&world, &["L"])).contains(&MissingReason::OutOfScope));
}

#[test]
fn a_status_is_required_if_one_entry_of_all_requires_it() {
    let mut world = Registers::default();
    world.put("A.r", "I", "issue", "L", Fact::granted(entry(None)));
    world.put("A.r", "I", "issue", "M", Fact::granted(Terms { status_required: true, ..entry(None) }));
    assert!(!ask(&world, &["L"]).expect("a path").status_required);
    assert!(ask(&world, &["L", "M"]).expect("a path").status_required);
}

#[test]
fn a_register_that_cannot_be_read_whole_grants_nothing_and_another_way_counts() {
    let mut world = Registers::default();
    world.put("A.r", "B", "recognize", "x", Fact::granted(edge("B.r", 2)));
    world.put("A.r", "C", "recognize", "x", Fact::granted(edge("C.r", 2)));
    world.put("B.r", "I", "issue", "L", Fact::granted(entry(Some(binding("I.r", "KI")))));
    world.leave_unread("B.r");
    let nothing = ask(&world, &["L"]).expect_err("not from what cannot be read");
    assert!(nothing.indeterminate);
    let unread = Missing { reason: MissingReason::UpgradeNeeded, authority: "B".into(), subject: "B.r".into() };
    assert!(nothing.missing.contains(&unread), "{nothing:?}");
    let path = trust_path_as_read(&world, &anchors(), "I", "issue", &["L"], 50).expect("as it is read");
    assert_eq!(path.register, Some(binding("I.r", "KI")));
    world.put("C.r", "I", "issue", "L", Fact::granted(entry(None)));
    assert_eq!(ask(&world, &["L"]).expect("a path").steps[1].authority, "C");
    world.leave_unread("A.r");
    assert!(ask(&world, &["L"]).expect_err("its edges may be withdrawn").indeterminate);
}

fn authorized(world: &Registers, by: &str, resource: &str) -> Result<TrustPath, NotFound> {
    authorization_by(world, &anchors(), by, "I", "issue", &[resource], 50)
}

#[test]
fn only_the_authority_that_is_asked_answers() {
    let mut world = Registers::default();
    world.put("A.r", "B", "recognize", "x", Fact::granted(edge("B.r", 2)));
    world.put("A.r", "I", "issue", "L", Fact::granted(entry(None)));
    world.put("B.r", "I", "issue", "M", Fact::granted(entry(None)));
    assert_eq!(authorized(&world, "A", "L").expect("a path").steps.len(), 1);
    assert_eq!(authorized(&world, "B", "M").expect("a path").steps.len(), 2);
    let no = authorized(&world, "B", "L").expect_err("that was A");
    assert!(!no.indeterminate && no.missing.iter().any(|m| m.authority == "B" && m.subject == "L"), "{no:?}");
    assert!(authorized(&world, "X", "L").expect_err("nobody").missing.is_empty());
    // What stands below the one that is asked does not matter.
    world.put("B.r", "C", "recognize", "x", Fact::pending());
    assert!(!authorized(&world, "B", "L").expect_err("no").indeterminate);
}

fn recognized(world: &Registers, entity: &str, action: &str, resource: &str) -> Result<TrustPath, NotFound> {
    recognition_by(world, &anchors(), "B", entity, action, &[resource], 50)
}

#[test]
fn a_recognition_is_asked_by_its_label_or_by_its_scope() {
    let mut world = Registers::default();
    world.put("A.r", "B", "recognize", "x", Fact::granted(edge("B.r", 2)));
    world.put("B.r", "C", "recognize", "ships", Fact::granted(edge("C.r", 0)));
    let found = recognized(&world, "C", "issue", "L").expect("in scope");
    assert_eq!((found.register, found.valid_until, found.depth), (Some(binding("C.r", "K")), 80, 0));
    assert!(recognized(&world, "C", "recognize", "ships").is_ok());
    assert_eq!(reasons(recognized(&world, "C", "recognize", "cars")), [MissingReason::NoEntry]);
    assert_eq!(reasons(recognized(&world, "D", "issue", "L")), [MissingReason::NoEntry]);
    assert_eq!(reasons(recognized(&world, "C", "verify", "L")), [MissingReason::OutOfScope]);
    let elsewhere = Scope { actions: vec!["issue".into()], resources: vec!["Q".into()] };
    world.put("B.r", "C", "recognize", "ships", Fact::granted(Terms { scope: Some(elsewhere), ..edge("C.r", 0) }));
    // What the authorities above do not let it recognise, it recognises for nothing.
    assert_eq!(reasons(recognized(&world, "C", "recognize", "ships")), [MissingReason::OutOfScope]);
    world.put("B.r", "C", "recognize", "ships", Fact::granted(edge("C.r", 0)));
    world.put("A.r", "B", "recognize", "x", Fact::granted(edge("B.r", 0)));
    assert_eq!(reasons(recognized(&world, "C", "issue", "L")), [MissingReason::TooDeep]);
}
