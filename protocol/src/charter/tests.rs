use super::*;
use crate::key::{SecretKey, origin_of};
use crate::log::note::Note;

const ISSUED: u64 = 1_795_000_000;
const WEEK: u64 = 7 * 86_400;

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn key(name: &str, algorithm: Algorithm, seed: u8) -> VerifierKey {
    VerifierKey::new(name, algorithm, secret(seed).public()).expect("a name")
}

fn root(seed: u8) -> VerifierKey {
    key(&format!("root{seed}.example/root"), Algorithm::Note, seed)
}

fn anchor(seed: u8) -> AnchorTerms {
    let origin = origin_of("gov.example/register", &secret(seed).public());
    let keys = vec![key(&origin, Algorithm::Note, seed)];
    AnchorTerms {
        authority: format!("did:web:gov{seed}.example"),
        register: RegisterTerms { origin, keys, after: None },
    }
}

fn policy(seeds: &[u8], quorum: &str) -> String {
    let lines = seeds.iter().map(|s| format!("witness w{s} {}\n", key("w.example", Algorithm::Cosignature, *s)));
    lines.collect::<String>() + quorum
}

fn kinds(seeds: &[u8]) -> BTreeMap<String, WitnessKind> {
    let view = |s: u8| key("w.example/view", Algorithm::Note, s + 100);
    seeds.iter().map(|s| (format!("w{s}"), WitnessKind { kind: Kind::Admitting, view: view(*s) })).collect()
}

fn document() -> Document {
    Document {
        kind: KIND.into(),
        network: None,
        version: 1,
        issued_at: ISSUED,
        expires_at: ISSUED + 100 * WEEK,
        roots: Roots { threshold: 2, keys: vec![root(1), root(2), root(3)] },
        anchors: vec![anchor(11), anchor(12)],
        witnesses: WitnessTerms {
            policy: policy(&[21, 22, 23], "group g 2 w21 w22 w23\nquorum g\n"),
            kinds: kinds(&[21, 22, 23]),
            from: ISSUED,
            before: None,
        },
        limits: FreshnessLimits { witnessed_s: 86_400, published_s: WEEK, charter_s: 4 * WEEK },
        quotas: Quotas { entries_per_day: 1_000, bytes_per_day: 1 << 20, delta_retention_s: WEEK },
        members: vec![],
        bootstrap: vec!["/ip4/203.0.113.7/tcp/7411".into()],
        admission: Admission::Open,
    }
}

/// What follows the charter of `document()`.
fn second(first: &Charter) -> Document {
    Document { network: Some(first.network_id()), version: 2, issued_at: ISSUED + 10, ..document() }
}

fn charter() -> Charter {
    Charter::new(document()).expect("a valid charter")
}

fn signed(charter: &Charter, seeds: &[u8]) -> Note {
    let lines = seeds.iter().flat_map(|s| charter.sign(&secret(*s), None)).collect();
    Note::new(charter.text().to_owned(), lines)
}

/// Refuses what `change` makes of a valid document.
fn refusal(change: impl FnOnce(&mut Document)) -> CharterError {
    let mut document = document();
    change(&mut document);
    Charter::new(document).expect_err("the charter is refused")
}

macro_rules! refuses {
    ($error:pat, $change:expr) => {
        let error = refusal($change);
        assert!(matches!(error, $error), "{error:?}");
    };
}

fn text_refusal(change: impl FnOnce(String) -> String) -> CharterError {
    Charter::parse(&change(charter().text().to_owned())).expect_err("the text is refused")
}

#[test]
fn reads_what_it_writes() {
    let charter = charter();
    assert_eq!(Charter::parse(charter.text()).expect("its own text"), charter);
    assert_eq!(charter.network_id(), Digest::of(charter.text().as_bytes()));
    assert_eq!(charter.anchors().len(), 2);
    assert_eq!(charter.witnesses().quorum().fewest_to_fork(), 1);
    assert!(!charter.is_expired(ISSUED) && charter.is_expired(ISSUED + 100 * WEEK));
}

#[test]
fn refuses_text_that_is_not_one_canonical_line() {
    assert!(matches!(text_refusal(|t| t.trim_end().to_owned()), CharterError::Line));
    assert!(matches!(text_refusal(|t| t + "\n"), CharterError::Json(_)));
    assert!(matches!(text_refusal(|t| t.replace("\":", "\": ")), CharterError::Json(_)));
    assert!(matches!(text_refusal(|t| t.replacen("{\"admission\":\"open\",", "{", 1)), CharterError::Shape(_)));
    assert!(matches!(text_refusal(|_| " ".repeat(limits::CHARTER_SIZE_MAX + 1)), CharterError::Size));
}

#[test]
fn refuses_unknown_members() {
    let at_top = text_refusal(|t| t.replacen("{\"admission\"", "{\"aaa\":1,\"admission\"", 1));
    assert!(matches!(at_top, CharterError::Shape(_)), "{at_top:?}");
    let inside = text_refusal(|t| t.replacen("\"threshold\":2", "\"threshold\":2,\"weight\":1", 1));
    assert!(matches!(inside, CharterError::Shape(_)), "{inside:?}");
}

#[test]
fn refuses_null_for_an_absent_member() {
    let error = text_refusal(|t| t.replacen("\"quotas\"", "\"network\":null,\"quotas\"", 1));
    assert!(matches!(error, CharterError::NotCanonical), "{error:?}");
}

#[test]
fn refuses_another_kind() {
    refuses!(CharterError::Kind(_), |d| d.kind = "standfast/charter/v2".into());
}

#[test]
fn refuses_version_0_and_a_network_that_does_not_fit_the_version() {
    refuses!(CharterError::Version, |d| d.version = 0);
    refuses!(CharterError::Network, |d| d.version = 2);
    refuses!(CharterError::Network, |d| d.network = Some(Digest::OF_NOTHING));
}

#[test]
fn refuses_a_window_without_time() {
    refuses!(CharterError::Window, |d| d.expires_at = d.issued_at);
    refuses!(CharterError::Window, |d| d.expires_at = Time::END.secs() + 1);
}

#[test]
fn refuses_thresholds_out_of_range() {
    refuses!(CharterError::Threshold { .. }, |d| d.roots.threshold = 0);
    refuses!(CharterError::Threshold { .. }, |d| d.roots.threshold = 4);
    refuses!(CharterError::Count { .. }, |d| d.roots.keys.clear());
}

#[test]
fn refuses_root_keys_that_do_not_sign_notes() {
    refuses!(CharterError::KeyType { role: Role::Root, .. }, |d| {
        d.roots.keys.push(key("r.example", Algorithm::Cosignature, 9));
    });
}

#[test]
fn refuses_one_public_key_under_two_root_names() {
    refuses!(CharterError::KeyTwice { role: Role::Root, .. }, |d| {
        d.roots.keys.push(key("alias.example", Algorithm::Note, 1));
    });
}

#[test]
fn refuses_one_public_key_for_two_uses() {
    refuses!(CharterError::KeyTwice { role: Role::Anchor, .. }, |d| d.anchors.push(anchor(1)));
    refuses!(CharterError::KeyTwice { role: Role::View, .. }, |d| {
        d.witnesses.kinds.get_mut("w21").expect("a witness").view = key("w.example/view", Algorithm::Note, 21);
    });
}

#[test]
fn refuses_anchors_that_are_not_dids_or_stand_twice() {
    for text in ["", "did:web", "did:web:", "did:Web:a", "did:web:a b", "https://a.example", "did:web:a:"] {
        refuses!(CharterError::Authority(_), |d| d.anchors[0].authority = text.into());
    }
    refuses!(CharterError::Twice { .. }, |d| d.anchors[1].authority = d.anchors[0].authority.clone());
    refuses!(CharterError::Count { .. }, |d| d.anchors.clear());
}

#[test]
fn refuses_an_origin_that_is_not_its_first_keys() {
    refuses!(CharterError::NotOwnOrigin(_), |d| {
        let origin = d.anchors[0].register.origin.clone();
        d.anchors[0].register.keys.insert(0, key(&origin, Algorithm::Note, 99));
    });
    refuses!(CharterError::Origin(_), |d| d.anchors[0].register.origin = "gov.example/register".into());
    refuses!(CharterError::ForeignKey { .. }, |d| {
        d.anchors[0].register.keys.push(key("elsewhere.example", Algorithm::Cosignature, 99));
    });
}

#[test]
fn an_anchors_key_is_rotated_over_one_that_was_bound() {
    let first = Charter::new(document()).expect("a charter");
    let following = |previous: &Charter, version, seeds: &[u8]| {
        let mut next = document();
        (next.network, next.version) = (Some(first.network_id()), version);
        let origin = next.anchors[0].register.origin.clone();
        next.anchors[0].register.keys = seeds.iter().map(|seed| key(&origin, Algorithm::Note, *seed)).collect();
        let next = Charter::new(next).expect("a charter");
        next.check_follows(previous).map(|()| next)
    };
    let both = following(&first, 2, &[11, 98]).expect("a charter");
    let alone = following(&both, 3, &[98]).expect("a charter");
    assert!(matches!(following(&first, 2, &[98]), Err(CharterError::NotOwnOrigin(_))), "nobody was asked");
    assert!(matches!(following(&alone, 4, &[99]), Err(CharterError::NotOwnOrigin(_))));
    following(&alone, 4, &[98, 99]).expect("a charter");
}

#[test]
fn refuses_a_recovery_from_itself_or_from_nothing() {
    refuses!(CharterError::After(_), |d| {
        let origin = d.anchors[0].register.origin.clone();
        d.anchors[0].register.after = Some(AfterTerms { origin, size: 1, root: Digest::OF_NOTHING });
    });
    refuses!(CharterError::After(_), |d| {
        let origin = anchor(99).register.origin;
        d.anchors[0].register.after = Some(AfterTerms { origin, size: 0, root: Digest::OF_NOTHING });
    });
}

#[test]
fn refuses_witnesses_without_a_kind_and_kinds_without_a_witness() {
    refuses!(CharterError::Witness(_), |d| drop(d.witnesses.kinds.remove("w21")));
    refuses!(CharterError::Witness(_), |d| d.witnesses.kinds.extend(kinds(&[24])));
    refuses!(CharterError::Quorum(QuorumError::QuorumCount(0)), |d| d.witnesses.policy = policy(&[21, 22, 23], ""));
    refuses!(CharterError::KeyType { role: Role::View, .. }, |d| {
        d.witnesses.kinds.get_mut("w21").expect("a witness").view = key("v.example", Algorithm::Cosignature, 99);
    });
}

#[test]
fn refuses_a_quorum_that_admitting_witnesses_alone_cannot_make() {
    refuses!(CharterError::Unreachable, |d| {
        for name in ["w21", "w22"] {
            d.witnesses.kinds.get_mut(name).expect("a witness").kind = Kind::Consistent;
        }
    });
}

#[test]
fn refuses_witnesses_from_a_later_time_without_those_before() {
    refuses!(CharterError::From, |d| d.witnesses.from = ISSUED + 1);
    refuses!(CharterError::From, |d| {
        let WitnessTerms { policy, kinds, .. } = d.witnesses.clone();
        d.witnesses.before = Some(WitnessesBefore { policy, kinds });
    });
}

#[test]
fn refuses_limits_and_quotas_out_of_range() {
    refuses!(CharterError::Range { .. }, |d| d.limits.witnessed_s = 0);
    refuses!(CharterError::Range { .. }, |d| d.limits.published_s = u64::from(u32::MAX));
    refuses!(CharterError::Range { .. }, |d| d.limits.charter_s = 0);
    refuses!(CharterError::Range { .. }, |d| d.quotas.entries_per_day = 0);
    refuses!(CharterError::Range { .. }, |d| d.quotas.bytes_per_day = limits::QUOTA_MAX + 1);
    refuses!(CharterError::Range { .. }, |d| d.quotas.delta_retention_s = 0);
}

#[test]
fn refuses_registers_of_members_that_are_missing_or_no_origins() {
    refuses!(CharterError::NoMembers, |d| d.admission = Admission::Members);
    refuses!(CharterError::Origin(_), |d| d.members = vec!["members".into()]);
    refuses!(CharterError::Twice { .. }, |d| d.members = vec![d.anchors[0].register.origin.clone(); 2]);
}

#[test]
fn refuses_addresses_that_are_no_multiaddrs() {
    for text in ["", "203.0.113.7:7411", "/ip4/203.0.113.7 /tcp/1", &"/a".repeat(200)] {
        refuses!(CharterError::Bootstrap(_), |d| d.bootstrap = vec![text.into()]);
    }
    refuses!(CharterError::Twice { .. }, |d| d.bootstrap = vec!["/dns/a.example".into(); 2]);
    refuses!(CharterError::Count { .. }, |d| d.bootstrap = (0..65).map(|i| format!("/dns/a{i}.example")).collect());
}

#[test]
fn version_1_needs_a_threshold_of_its_own_roots() {
    let charter = charter();
    assert!(SignedCharter::authenticate_first(signed(&charter, &[1, 3])).is_ok());
    for seeds in [&[][..], &[1], &[1, 1], &[1, 9]] {
        let error = SignedCharter::authenticate_first(signed(&charter, seeds)).expect_err("too few");
        assert!(matches!(error, CharterError::TooFewSignatures { need: 2, .. }), "{error:?}");
    }
}

#[test]
fn a_root_signature_that_does_not_match_refuses_the_note() {
    let charter = charter();
    let mut note = signed(&charter, &[1, 2]);
    let mut wrong = charter.sign(&secret(3), None).remove(0);
    wrong.blob[0] ^= 1;
    note.add(wrong);
    let error = SignedCharter::authenticate_first(note).expect_err("a bad signature");
    assert!(matches!(error, CharterError::Note(NoteError::BadSignature)));
}

#[test]
fn counts_partial_signatures_of_both_sets_of_roots() {
    let first = charter();
    let mut document = second(&first);
    document.roots = Roots { threshold: 1, keys: vec![key("renamed.example", Algorithm::Note, 2), root(4)] };
    let next = Charter::new(document).expect("a valid charter");
    let lines = next.sign(&secret(2), Some(&first));
    assert_eq!(lines.len(), 2, "one under each name");
    let note = Note::new(next.text().to_owned(), lines);
    let count = Signatures::count(&next, &note, Some(&first)).expect("good signatures");
    assert_eq!(count.own, Tally { have: 1, need: 1 });
    assert_eq!(count.previous, Some(Tally { have: 1, need: 2 }));
    assert!(!count.is_complete());
    assert!(next.sign(&secret(77), Some(&first)).is_empty());
}

#[test]
fn the_next_version_needs_both_thresholds() {
    let first = charter();
    let mut document = second(&first);
    document.roots = Roots { threshold: 2, keys: vec![root(3), root(4), root(5)] };
    let next = Charter::new(document).expect("a valid charter");
    let note = |seeds: &[u8]| {
        let lines = seeds.iter().flat_map(|s| next.sign(&secret(*s), Some(&first))).collect();
        Note::new(next.text().to_owned(), lines)
    };
    assert!(SignedCharter::authenticate_next(note(&[2, 3, 4]), &first).is_ok());
    for seeds in [&[4, 5][..], &[1, 2], &[3, 4], &[1, 3]] {
        let error = SignedCharter::authenticate_next(note(seeds), &first).expect_err("too few");
        assert!(matches!(error, CharterError::TooFewSignatures { .. }), "{seeds:?}: {error:?}");
    }
    assert!(matches!(SignedCharter::authenticate_first(note(&[3, 4])), Err(CharterError::NotFirst(2))));
    assert!(SignedCharter::authenticate_pinned(note(&[3, 4])).is_ok());
}

#[test]
fn only_the_next_version_of_the_same_network_follows() {
    let first = charter();
    let follows = |change: fn(&mut Document)| {
        let mut document = second(&first);
        change(&mut document);
        Charter::new(document).expect("a valid charter").check_follows(&first)
    };
    assert!(follows(|_| ()).is_ok());
    assert!(matches!(follows(|d| d.version = 3), Err(CharterError::NotNext { expected: 2, came: 3 })));
    assert!(matches!(follows(|d| d.network = Some(Digest::OF_NOTHING)), Err(CharterError::OtherNetwork { .. })));
    let earlier = follows(|d| (d.issued_at, d.witnesses.from) = (ISSUED - 1, ISSUED - 1));
    assert!(matches!(earlier, Err(CharterError::IssuedBefore)));
    assert!(matches!(first.check_follows(&first), Err(CharterError::NotNext { .. })));
}

#[test]
fn witnesses_change_seven_days_ahead_and_from_those_in_force() {
    let first = charter();
    let change = |from: u64, before: &WitnessTerms| {
        let mut document = second(&first);
        let WitnessTerms { policy: old, kinds: old_kinds, .. } = before.clone();
        document.witnesses = WitnessTerms {
            policy: policy(&[21, 22, 24], "group g 2 w21 w22 w24\nquorum g\n"),
            kinds: kinds(&[21, 22, 24]),
            from,
            before: Some(WitnessesBefore { policy: old, kinds: old_kinds }),
        };
        Charter::new(document).expect("a valid charter")
    };
    let in_force = first.document().witnesses.clone();
    let next = change(ISSUED + 10 + WEEK, &in_force);
    assert!(next.check_follows(&first).is_ok());
    assert_eq!(next.witnesses_at(ISSUED + 10 + WEEK - 1), first.witnesses());
    assert_eq!(next.witnesses_at(ISSUED + 10 + WEEK), next.witnesses());
    assert_eq!(next.signing_witnesses(ISSUED + 10).count(), 2);
    assert_eq!(next.signing_witnesses(ISSUED + 10 + WEEK).count(), 1);
    let early = change(ISSUED + 9 + WEEK, &in_force);
    assert!(matches!(early.check_follows(&first), Err(CharterError::WitnessChange)));
    let mut others = in_force.clone();
    others.policy = policy(&[21, 22, 23], "group g all w21 w22 w23\nquorum g\n");
    let wrong = change(ISSUED + 10 + WEEK, &others);
    assert!(matches!(wrong.check_follows(&first), Err(CharterError::WitnessChange)));
    let mut at_once = second(&first);
    at_once.witnesses.policy = others.policy.clone();
    let at_once = Charter::new(at_once).expect("a valid charter");
    assert!(matches!(at_once.check_follows(&first), Err(CharterError::WitnessChange)));
}

#[test]
fn two_charters_of_one_version_are_a_fork() {
    let mut other = document();
    other.expires_at += 1;
    let first = charter();
    let next = |d: &Document| {
        let charter = Charter::new(Document { network: Some(first.network_id()), version: 2, ..d.clone() });
        let charter = charter.expect("a valid charter");
        SignedCharter::authenticate_pinned(signed(&charter, &[1, 2])).expect("a signed charter")
    };
    let (a, b) = (next(&document()), next(&other));
    assert!(a.is_fork_of(&b) && !a.is_fork_of(&a));
}

#[test]
fn a_plan_round_trips_and_keeps_the_witnesses() {
    let first = charter();
    let plan = Plan::of(&first);
    let json = serde_json::to_string(&plan).expect("JSON");
    let plan: Plan = serde_json::from_str(&json).expect("a plan");
    let next = plan.clone().into_charter(Some(&first), Time::from_secs_saturating(ISSUED + 10)).expect("a charter");
    assert_eq!(next.version(), 2);
    assert_eq!(next.document().witnesses, first.document().witnesses);
    assert_eq!(next.text(), Charter::new(second(&first)).expect("a valid charter").text());
}

#[test]
fn a_plan_that_changes_witnesses_takes_effect_in_a_week() {
    let first = charter();
    let mut plan = Plan::of(&first);
    drop(plan.witnesses.named.remove("w23"));
    plan.witnesses.quorum = None;
    let next = plan.into_charter(Some(&first), Time::from_secs_saturating(ISSUED)).expect("a charter");
    assert_eq!(next.document().witnesses.from, ISSUED + WEEK);
    assert_eq!(next.witnesses_at(ISSUED), first.witnesses());
    let again = Plan::of(&next).into_charter(Some(&next), Time::from_secs_saturating(ISSUED + 1)).expect("a charter");
    assert_eq!(again.document().witnesses, next.document().witnesses, "a pending change goes on");
    let later = Time::from_secs_saturating(ISSUED + 2 * WEEK);
    let after = Plan::of(&next).into_charter(Some(&next), later).expect("a charter");
    assert_eq!(after.document().witnesses.before, None, "a change that took effect is done");
    let back = Plan::of(&first).into_charter(Some(&next), Time::from_secs_saturating(ISSUED + 1)).expect("a charter");
    assert_eq!(back.witnesses(), first.witnesses(), "a pending change can be dropped");
}

#[test]
fn recommends_the_quorum_of_the_design() {
    for (n, k) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5)] {
        let seeds: Vec<u8> = (21..21 + n).collect();
        let mut plan = Plan::of(&charter());
        let witness = |s: u8| PlanWitness {
            kind: Kind::Admitting,
            cosign: key("w.example", Algorithm::Cosignature, s),
            view: key("w.example/view", Algorithm::Note, s + 100),
            url: None,
        };
        let named = seeds.iter().map(|s| (format!("w{s}"), witness(*s))).collect();
        plan.witnesses = PlanWitnesses { from: None, quorum: None, named };
        let made = plan.into_charter(None, Time::from_secs_saturating(ISSUED)).expect("a charter");
        assert_eq!(made.witnesses().quorum().fewest_to_meet(), k, "{n} witnesses");
    }
}

#[test]
fn reads_and_writes_spans() {
    for (text, secs) in [("90s", 90), ("15m", 900), ("24h", 86_400), ("30d", 2_592_000), ("7", 7)] {
        assert_eq!(text.parse(), Ok(Span(secs)));
    }
    assert_eq!(Span(3_600).to_string(), "1h");
    for text in ["", "h", "1w", "-1h", "1.5h", "99999999999999999999d"] {
        assert_eq!(text.parse::<Span>(), Err(SpanError), "{text}");
    }
}
