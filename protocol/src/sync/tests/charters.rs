//! Charters among machines: chains, forks, choices, and changes of witnesses.

use super::*;
use crate::bundle::Bundle;
use crate::charter::{Kind, WitnessKind, WitnessesBefore};
use crate::log::cosignature;
use crate::register::state::Register;

const WEEK: u64 = 7 * 86_400;

/// Makes the version after `previous` with the same members, but for what `change` changes.
pub(super) fn next(previous: &SignedCharter, version: u64, change: impl FnOnce(&mut Document)) -> Arc<SignedCharter> {
    let mut document = previous.charter().document().clone();
    document.network = Some(previous.charter().network_id());
    document.version = version;
    change(&mut document);
    let charter = Charter::new(document).expect("a charter");
    let lines = charter.sign(&secret("root"), Some(previous.charter()));
    let note = Note::new(charter.text().to_owned(), lines);
    Arc::new(SignedCharter::authenticate_next(note, previous.charter()).expect("it follows"))
}

/// Versions 2 with other ends: `next_ending(&charter(), 1)` and `(…, 2)` are a fork.
fn next_ending(previous: &SignedCharter, later: u64) -> Arc<SignedCharter> {
    next(previous, previous.charter().version() + 1, |d| d.expires_at += later)
}

fn bytes(charter: &SignedCharter) -> Bytes {
    Bytes::from(charter.note().to_string())
}

fn of(charters: &[&Arc<SignedCharter>]) -> Submission {
    Submission { charters: charters.iter().map(|c| bytes(c)).collect(), ..Submission::default() }
}

fn choice(charter: &SignedCharter) -> Submission {
    Submission { choice: Some(bytes(charter)), ..Submission::default() }
}

fn quiet(nodes: usize) -> Net {
    let mut net = Net::new((0..nodes).map(|_| Duties::none()).collect());
    (0..nodes).for_each(|i| net.node(i).gossip_off = true);
    net.link_all();
    net.run();
    net
}

/// Version in force, and the version that is forked.
fn stands(net: &mut Net, i: usize) -> (u64, Option<u64>) {
    let chain = net.node(i).machine.replica().chain();
    (chain.in_force().charter().version(), chain.fork().map(|fork| fork.version))
}

#[test]
fn the_chain_reaches_a_late_joiner_and_a_lower_version_never_replaces_a_higher_one() {
    let mut net = quiet(2);
    let two = next_ending(&charter(), 1);
    let three = next_ending(&two, 1);
    assert_eq!(net.submit(0, of(&[&two, &three])), Ok(2));
    net.tick(6);
    assert_eq!(stands(&mut net, 1), (3, None));
    net.nodes.push(Some(node(Duties::none())));
    net.link(1, 2);
    net.run();
    net.tick(6);
    assert_eq!(stands(&mut net, 2), (3, None), "it began with version 1 alone");
    for older in [&charter(), &two] {
        assert_eq!(net.submit(0, of(&[older])), Ok(0));
    }
    net.restart(0, Duties::none());
    assert_eq!(stands(&mut net, 0), (3, None));
    let five = next(&next_ending(&three, 1), 5, |_| ());
    let refused = net.submit(0, of(&[&five])).expect_err("version 4 is missing");
    assert_eq!(refused, "the charter does not follow the one held");
}

#[test]
fn an_expired_version_in_the_chain_stops_nobody() {
    let mut net = quiet(2);
    let two = next(&charter(), 2, |d| d.expires_at = d.issued_at + 1);
    let three = next(&two, 3, |d| d.expires_at = 1_900_000_000);
    assert_eq!(net.submit(0, of(&[&two, &three])), Ok(2));
    net.tick(6);
    assert_eq!(stands(&mut net, 1), (3, None));
    assert!(two.charter().is_expired(START_MS / 1000) && !three.charter().is_expired(START_MS / 1000));
}

#[test]
fn of_two_charters_of_one_version_neither_counts_and_all_come_to_know() {
    let mut net = quiet(4);
    let (a, b) = (next_ending(&charter(), 1), next_ending(&charter(), 2));
    net.submit(0, of(&[&a])).expect("taken");
    net.tick(6);
    assert_eq!(stands(&mut net, 3), (2, None), "all went on to the first");
    assert_eq!(net.submit(1, of(&[&b])), Ok(1));
    assert_eq!(stands(&mut net, 1), (1, Some(2)), "it goes back to the version before");
    net.tick(12);
    for i in 0..4 {
        assert_eq!(stands(&mut net, i), (1, Some(2)), "node {i}, with gossip off");
        let told = net.node(i).notices.contains(&Notice::CharterForked { version: 2, in_force: 1 });
        assert!(told, "node {i} tells its operator");
        net.restart(i, Duties::none());
        assert_eq!(stands(&mut net, i), (1, Some(2)), "node {i}, after a restart");
    }
    net.nodes.push(Some(node(Duties::none())));
    net.link(4, 2);
    net.run();
    net.tick(6);
    assert_eq!(stands(&mut net, 4), (1, Some(2)), "a late joiner");
}

#[test]
fn the_operator_chooses_a_side_and_the_choice_lasts() {
    let mut net = quiet(3);
    let (a, b) = (next_ending(&charter(), 1), next_ending(&charter(), 2));
    net.submit(0, of(&[&a, &b])).expect("taken");
    net.link_all();
    net.tick(12);
    assert_eq!(net.submit(0, choice(&b)), Ok(1));
    assert_eq!(stands(&mut net, 0), (2, None));
    assert_eq!(net.submit(0, choice(&b)), Ok(0), "it is chosen already");
    let three = next(&b, 3, |d| d.expires_at += 10);
    assert_eq!(net.submit(0, of(&[&three])), Ok(1), "the chain goes on from the side that was chosen");
    net.restart(0, Duties::none());
    assert_eq!(stands(&mut net, 0), (3, None));
    let held = net.node(0).machine.replica().chain().forks().next().expect("the evidence stays");
    assert!(held.is_settled && held.sides[0] == b && held.sides[1] == a);
    net.link_all();
    net.tick(12);
    assert_eq!(stands(&mut net, 0), (3, None), "peers that still wait do not undo it");
    assert_eq!(stands(&mut net, 1), (1, Some(2)), "nobody chooses for others");
    assert_eq!(net.submit(1, choice(&a)), Ok(1));
    // The roots of both sides are the same, so that the next version follows either of them.
    net.tick(12);
    assert_eq!(stands(&mut net, 1), (3, None));
    assert_eq!(net.node(1).machine.replica().chain().at(2), Some(&a));
}

#[test]
fn chains_that_parted_long_ago_fall_back_to_where_they_parted() {
    let mut net = Net::new((0..2).map(|_| Duties::none()).collect());
    // Each side has other roots, so that what follows on one does not follow on the other.
    let own = |name: &str| vec![vkey("interior.example/root", Algorithm::Note, name)];
    let side = |name: &str| {
        let mut document = charter().charter().document().clone();
        (document.network, document.version) = (Some(charter().charter().network_id()), 2);
        document.roots.keys = own(name);
        let made = Charter::new(document).expect("a charter");
        let mut lines = made.sign(&secret("root"), Some(charter().charter()));
        lines.extend(made.sign(&secret(name), None));
        let note = Note::new(made.text().to_owned(), lines);
        Arc::new(SignedCharter::authenticate_next(note, charter().charter()).expect("it follows"))
    };
    let later = |previous: &SignedCharter, name: &str| {
        let mut document = previous.charter().document().clone();
        document.version += 1;
        let made = Charter::new(document).expect("a charter");
        let note = Note::new(made.text().to_owned(), made.sign(&secret(name), None));
        Arc::new(SignedCharter::authenticate_next(note, previous.charter()).expect("it follows"))
    };
    let (a, b) = (side("a"), side("b"));
    let (a3, b3) = (later(&a, "a"), later(&b, "b"));
    let b4 = later(&b3, "b");
    net.submit(0, of(&[&a, &a3])).expect("taken");
    net.submit(1, of(&[&b, &b3, &b4])).expect("taken");
    net.link_all();
    net.run();
    net.tick(30);
    for i in 0..2 {
        assert_eq!(stands(&mut net, i), (1, Some(2)), "node {i}");
    }
    assert_eq!(net.submit(1, choice(&b4)), Ok(1), "what follows a side chooses it too");
    assert_eq!(stands(&mut net, 1), (4, None));
}

#[test]
fn a_later_choice_settles_every_version_before_it() {
    let mut net = quiet(1);
    let (a, b) = (next_ending(&charter(), 1), next_ending(&charter(), 2));
    let a3 = next_ending(&a, 5);
    net.submit(0, of(&[&a, &a3])).expect("taken");
    assert_eq!(net.submit(0, choice(&a3)), Ok(1));
    assert_eq!(net.submit(0, of(&[&b])), Ok(1), "it is kept as evidence");
    assert_eq!(stands(&mut net, 0), (3, None), "and moves nothing");
}

#[test]
fn bundles_carry_the_chain_its_forks_and_the_makers_choice() {
    let mut net = quiet(2);
    let (a, b) = (next_ending(&charter(), 1), next_ending(&charter(), 2));
    let a3 = next_ending(&a, 5);
    let now = START_MS / 1000;
    net.submit(0, of(&[&a, &a3, &b])).expect("taken");
    let forked = Bundle::of(net.node(0).machine.replica());
    net.submit(0, choice(&a)).expect("taken");
    let chosen = Bundle::of(net.node(0).machine.replica());
    for (bundle, expected) in [(&forked, (1, Some(2))), (&chosen, (3, None))] {
        let bundle = Bundle::decode(&bundle.encode()).expect("its own bytes");
        let (opened, _) = bundle.open(now).expect("opened");
        let stands = (opened.charter().version(), opened.chain().fork().map(|fork| fork.version));
        assert_eq!(stands, expected);
        assert_eq!(Bundle::of(&opened).encode(), bundle.encode(), "what is opened packs to the same bytes");
        // Whoever holds version 1 alone, one side, or the other learns of both; the choice is its maker's alone.
        for held in [vec![], vec![&a], vec![&b]] {
            let mut replica = crate::replica::Replica::new(charter());
            held.iter().for_each(|c| assert!(replica.offer_charter(&bytes(c)).expect("it follows")));
            bundle.import_into(&mut replica, now).expect("imported");
            assert_eq!(replica.chain().fork().map(|fork| fork.version), Some(2), "{} held", held.len());
            let mut other = quiet(1);
            other.submit(0, of(&held)).expect("taken");
            let submission = bundle.submission(other.node(0).machine.replica()).expect("of this network");
            other.submit(0, submission).expect("taken");
            assert_eq!(stands_of(&mut other), (1, Some(2)));
        }
    }
    let older = Bundle::of(&crate::replica::Replica::new(charter()));
    let mut replica = net.node(0).machine.replica().clone();
    older.import_into(&mut replica, now).expect("an older chain says nothing");
    assert_eq!(replica.charter().version(), 3);
    let mut pinned = crate::replica::Replica::new(charter());
    let later = Bundle::of(&crate::replica::Replica::new(a3));
    assert!(later.import_into(&mut pinned, now).is_err(), "versions between are missing");
}

fn stands_of(net: &mut Net) -> (u64, Option<u64>) {
    stands(net, 0)
}

// ---- witnesses that change ----------------------------------------------------------------------------------------

fn issued() -> u64 {
    START_MS / 1000
}

fn kinds(names: &[&str]) -> BTreeMap<String, WitnessKind> {
    let kind = |name: &&str| {
        let kind = WitnessKind { kind: Kind::Admitting, view: witness_keys(name).view.0 };
        ((*name).to_owned(), kind)
    };
    names.iter().map(kind).collect()
}

fn policy(names: &[&str], threshold: usize) -> String {
    let lines = names.iter().map(|name| format!("witness {name} {}\n", witness_keys(name).cosign.0));
    lines.collect::<String>() + &format!("group Q {threshold} {}\nquorum Q\n", names.join(" "))
}

/// Version 2: A, B, C give way to C, D, E a week after START.
fn changing() -> Arc<SignedCharter> {
    next(&charter(), 2, |d| {
        let before = WitnessesBefore { policy: d.witnesses.policy.clone(), kinds: d.witnesses.kinds.clone() };
        d.issued_at = issued();
        d.witnesses.policy = policy(&["C", "D", "E"], 2);
        d.witnesses.kinds = kinds(&["C", "D", "E"]);
        d.witnesses.from = issued() + WEEK;
        d.witnesses.before = Some(before);
    })
}

/// Nodes 0 to 4 are the witnesses A to E; 5 belongs to interior and follows.
fn changing_network() -> Net {
    let mut duties: Vec<Duties> = ["A", "B", "C", "D", "E"].map(witness).into();
    duties.push(publisher_node("interior.example"));
    let mut net = Net::new(duties);
    net.link_all();
    net.run();
    net.submit(5, of(&[&changing()])).expect("it follows");
    net.tick(30);
    assert!((0..6).all(|i| stands(&mut net, i) == (2, None)));
    net
}

fn signers(net: &mut Net, size: u64) -> Vec<String> {
    let register = net.node(5).machine.replica().register(&origin("interior.example")).cloned().expect("held");
    let stand = register.stand(size).expect("remembered");
    stand.cosignatures().map(|c| c.witness().to_owned()).collect()
}

#[test]
fn until_the_change_both_sets_sign_and_the_one_before_counts() {
    let mut net = changing_network();
    let mut interior = Publisher::new("interior.example");
    net.submit(5, interior.publish(&[notice("one")])).expect("admitted");
    net.tick(3);
    assert_eq!(signers(&mut net, 1), ["A", "B", "C", "D", "E"], "both sets sign");
    // Of the set before only C is left: D and E are no quorum of it, though one of the set to come.
    net.cut(0);
    net.cut(1);
    net.submit(5, interior.publish(&[notice("two")])).expect("admitted");
    net.tick(3);
    assert_eq!(signers(&mut net, 2), ["C", "D", "E"]);
    assert_eq!(net.sizes(5, "interior.example"), (2, 1), "not theirs to say yet");
    // The week passes: the first views of the new set's quorum after it make the change.
    net.now_ms = (issued() + WEEK) * 1000;
    net.tick(2);
    assert_eq!(net.sizes(5, "interior.example"), (2, 2));
    assert!(net.node(5).notices.contains(&Notice::WitnessesChanged { version: 2 }));
    net.restart(5, publisher_node("interior.example"));
    assert_eq!(net.sizes(5, "interior.example"), (2, 2), "W does not move back over a restart");
    net.link_all();
    net.run();
    net.submit(5, interior.publish(&[notice("three")])).expect("admitted");
    net.tick(40);
    assert_eq!(signers(&mut net, 3), ["C", "D", "E"], "who has left signs no more");
    assert_eq!(net.sizes(0, "interior.example"), (3, 3), "and follows the new set");
}

#[test]
fn after_the_change_a_quorum_of_the_set_before_moves_nothing() {
    let mut net = changing_network();
    let mut interior = Publisher::new("interior.example");
    net.now_ms = (issued() + WEEK) * 1000;
    net.tick(61);
    (2..5).for_each(|i| net.cut(i));
    net.submit(5, interior.publish(&[notice("one")])).expect("admitted");
    net.tick(3);
    let head = net.node(5).machine.replica().register(&origin("interior.example")).cloned().expect("held");
    let checkpoint = head.newest_head().expect("a head").checkpoint().clone();
    // A and B are out of reach of any duty now; a thief of their keys signs at any time he likes.
    let late = issued() + WEEK + 70;
    let by = |name: &str, time: u64| {
        let WitnessKeys { cosign: (key, secret), .. } = witness_keys(name);
        Signed::from_line(&cosignature::sign(&checkpoint.text(), time, &key, &secret))
    };
    let statement = |signed| message::StatementMessage::Cosignatures(checkpoint.clone(), signed);
    let late = statement(vec![by("A", late), by("B", late)]);
    net.submit(5, Submission { statements: vec![late], ..Submission::default() }).expect("passed over");
    assert_eq!(net.sizes(5, "interior.example"), (1, 0));
    assert!(signers(&mut net, 1).is_empty(), "nothing of them is kept");
}

#[test]
fn a_witness_keeps_its_name_and_keys_through_a_change() {
    let first = charter();
    let change = |name: &str, cosign: &str| {
        let mut document = changing().charter().document().clone();
        let line = |n: &str| format!("witness {n} {}\n", witness_keys(n).cosign.0);
        document.witnesses.policy = document
            .witnesses
            .policy
            .replace(&line("C"), &format!("witness {name} {}\n", witness_keys(cosign).cosign.0));
        document.witnesses.policy = document.witnesses.policy.replace(" C D E", &format!(" {name} D E"));
        document.witnesses.kinds.remove("C");
        let view = witness_keys(cosign).view.0;
        document.witnesses.kinds.insert(name.to_owned(), WitnessKind { kind: Kind::Admitting, view });
        Charter::new(document)
    };
    assert!(change("C", "C").expect("the same").check_follows(first.charter()).is_ok());
    for (name, cosign) in [("C", "X"), ("X", "C")] {
        let refused = change(name, cosign).expect_err("another witness under one name, or one under two");
        assert!(matches!(refused, CharterError::WitnessRenamed(_)), "{refused}");
    }
}

#[test]
fn where_a_charter_gives_way_what_its_witnesses_made_gives_way_too() {
    let head = Publisher::new("interior.example").head(&[notice("one")]);
    let (change, other) = (changing(), next_ending(&charter(), 1));
    let late = issued() + WEEK + 1;
    let fill = |replica: &mut crate::replica::Replica| {
        let mut register = replica.candidate(&origin("interior.example")).expect("bound");
        let keys = replica.keys_for(register.origin()).expect("bound");
        let Ok(check::Checked::Head(checked)) = (Job::Head { message: head.clone(), keys, bases: Vec::new() }).run()
        else {
            panic!("a head")
        };
        register.admit(checked.head, Vec::new(), checked.first, &checked.entries);
        for name in ["D", "E"] {
            let (key, secret) = witness_keys(name).cosign;
            let line = cosignature::sign(&head.checkpoint.text(), late, &key, &secret);
            let made = crate::log::cosignature::Cosignature::verify(&head.checkpoint, &line, name, &key);
            register.add_cosignature(made.expect("it holds"));
        }
        replica.install(register);
        assert!(["D", "E"].iter().all(|name| replica.offer_view(view(name, late), late)));
    };
    let w = |replica: &crate::replica::Replica| {
        replica.register(&origin("interior.example")).map(|register| register.size_witnessed())
    };
    let mut first = crate::replica::Replica::new(charter());
    first.offer_charter(&bytes(&change)).expect("it follows");
    fill(&mut first);
    assert_eq!(w(&first), Some(1), "the new set is in force, and has witnessed it");
    let mut second = crate::replica::Replica::new(charter());
    second.offer_charter(&bytes(&other)).expect("it follows");
    fill(&mut second);
    first.offer_charter(&bytes(&other)).expect("a fork");
    second.offer_charter(&bytes(&change)).expect("a fork");
    assert_eq!((w(&first), w(&second)), (Some(0), Some(0)), "in either order nothing of it is left");
    assert_eq!(first.witnesses(), second.witnesses());
    for mut replica in [first, second] {
        replica.choose_charter(change.clone());
        assert_eq!(w(&replica), Some(1), "the side that was chosen has it again");
    }
}

/// A small generator of its own, so that a failing seed can be named.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What the rules say of a set of statements, written down naively: W and the clock bound.
fn oracle(said: &[(usize, u64, u64)], sizes: u64) -> (u64, Option<u64>) {
    let from = issued() + WEEK;
    let kth = |times: &[Option<u64>]| {
        let mut known: Vec<u64> = times.iter().flatten().copied().collect();
        known.sort_unstable();
        known.len().checked_sub(2).map(|place| known[place])
    };
    let newest = |witness: usize| said.iter().filter(|s| s.0 == witness).map(|s| s.2).max();
    let after = kth(&[newest(2), newest(3), newest(4)]);
    let in_force = after.is_some_and(|time| time >= from);
    let before = kth(&[newest(0), newest(1), newest(2)]).map(|time| time.min(from));
    let bound = if in_force { after.max(before) } else { before };
    let met = |set: [usize; 3], size: u64| {
        set.iter().filter(|w| said.iter().any(|s| s.0 == **w && s.1 == size && heard(s))).count() >= 2
    };
    let w = (1..=sizes).filter(|size| met([0, 1, 2], *size) || in_force && met([2, 3, 4], *size)).max().unwrap_or(0);
    (w, bound)
}

fn view(witness: &str, time: u64) -> Arc<check::HeldView> {
    let frontier = crate::log::view::Frontier::default();
    let charter = changing();
    let view = crate::log::view::View {
        network: charter.charter().network_id(),
        witness: witness.to_owned(),
        time,
        charter_version: 2,
        charter_digest: charter.charter().digest(),
        registers: 0,
        root: frontier.root(),
    };
    let (key, secret) = witness_keys(witness).view;
    let signed = crate::log::view::SignedView::authenticate(view.sign(&key, &secret), &key).expect("it holds");
    Arc::new(check::HeldView { signed, frontier })
}

fn heard(said: &(usize, u64, u64)) -> bool {
    said.0 > 1 || said.2 < issued() + WEEK
}

#[test]
fn w_and_the_clock_bound_follow_from_the_statements_in_whatever_order_they_come() {
    let mut interior = Publisher::new("interior.example");
    let heads: Vec<HeadMessage> = (0..6).map(|n| interior.head(&[notice(&format!("n{n}"))])).collect();
    let names = ["A", "B", "C", "D", "E"];
    for seed in 0..120 {
        let mut dice = Dice(seed);
        let mut replica = crate::replica::Replica::new(charter());
        replica.offer_charter(&bytes(&changing())).expect("it follows");
        for head in &heads {
            let mut register = replica.candidate(&origin("interior.example")).expect("bound");
            let keys = replica.keys_for(register.origin()).expect("bound");
            let job = Job::Head { message: head.clone(), keys, bases: Vec::new() };
            let Ok(check::Checked::Head(checked)) = job.run() else { panic!("a head") };
            register.admit(checked.head, Vec::new(), checked.first, &checked.entries);
            replica.install(register);
        }
        let time = |dice: &mut Dice| issued() + WEEK - 500 + dice.roll(1000);
        let count = dice.roll(14) + 1;
        let mut said: Vec<(usize, u64, u64)> =
            (0..count).map(|_| (dice.roll(5) as usize, dice.roll(6) + 1, time(&mut dice))).collect();
        let cosign = |(witness, size, time): &(usize, u64, u64)| {
            let checkpoint = &heads[usize::try_from(*size).expect("small") - 1].checkpoint;
            let WitnessKeys { cosign: (key, secret), .. } = witness_keys(names[*witness]);
            let line = cosignature::sign(&checkpoint.text(), *time, &key, &secret);
            crate::log::cosignature::Cosignature::verify(checkpoint, &line, names[*witness], &key).expect("it holds")
        };
        let offer = |replica: &mut crate::replica::Replica, statement: &(usize, u64, u64)| {
            let mut register: Register = replica.candidate(&origin("interior.example")).expect("bound");
            register.add_cosignature(cosign(statement));
            replica.install(register);
            // A checkpoint below W is not remembered: the view tells the same time, and stays.
            replica.offer_view(view(names[statement.0], statement.2), issued() + 2 * WEEK);
            replica.register(&origin("interior.example")).expect("held").size_witnessed()
        };
        let mut forward = replica.clone();
        let mut w = 0;
        for (place, statement) in said.iter().enumerate() {
            let now = offer(&mut forward, statement);
            assert!(now >= w, "seed {seed}: W moves back");
            w = now;
            assert_eq!((w, forward.clock_bound()), oracle(&said[..=place], 6), "seed {seed}, after {place}");
        }
        said.sort_unstable_by_key(|s| (dice.roll(1_000_000), s.2));
        let mut shuffled = replica.clone();
        said.iter().for_each(|statement| {
            offer(&mut shuffled, statement);
        });
        let held = |replica: &crate::replica::Replica| {
            (replica.register(&origin("interior.example")).map(|r| r.size_witnessed()), replica.clock_bound())
        };
        assert_eq!(held(&forward), held(&shuffled), "seed {seed}");
        // A verifier's clock moves neither; statements that are missing move neither forward.
        let snapshot = crate::snapshot::Snapshot::new(forward.clone());
        let register = snapshot.held(&origin("interior.example")).expect("held");
        for device in [0, issued() - 1, issued() + WEEK, issued() + 500 * WEEK] {
            assert_eq!(snapshot.ages(&origin("interior.example"), device).expect("held").bound, forward.clock_bound());
            assert_eq!(register.register().size_witnessed(), w);
        }
        said.pop();
        let mut fewer = replica.clone();
        said.iter().for_each(|statement| {
            offer(&mut fewer, statement);
        });
        assert!(held(&fewer) <= held(&forward), "seed {seed}: what is missing helps");
    }
}
