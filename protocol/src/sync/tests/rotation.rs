//! Rotations of a register's key, while nodes are cut off, restarted and deaf (`specs/register.md` §9).

use super::*;
use crate::credential::{jcs, json::Json};
use crate::snapshot::Snapshot;
use crate::sync::message::Prefix;
use crate::trust::{MissingReason, NotFound, TrustPath, trust_path};

const HOST: &str = "transport.example";
const LICENCE: &str = "https://gov.example/Licence";
/// Nodes 0, 1, 2 are the witnesses.
const MINISTRY: usize = 3;
const AGENCY: usize = 5;
const NODES: usize = 6;

/// The `n`th key of the agency's register; the first gives its origin.
fn nth_seed(n: usize) -> String {
    if n == 0 { HOST.to_owned() } else { format!("{HOST} {n}") }
}

fn nth_key(n: usize) -> VerifierKey {
    vkey(&origin(HOST), Algorithm::Note, &nth_seed(n))
}

fn sign_by(text: &str, n: usize) -> Signed {
    Signed::from_line(&note::sign(text, &nth_key(n), &secret(&nth_seed(n))))
}

/// The ministry's grant, which binds these keys of the agency.
fn grant_of(keys: &[usize]) -> (RecordKey, Bytes) {
    let (entity, action) = ("did:web:transport.example", "issue");
    let mut bound: Vec<VerifierKey> = keys.iter().map(|n| nth_key(*n)).collect();
    bound.push(timestamp_key(HOST));
    let body = serde_json::json!({"action": action, "entity": entity, "register": {"keys": bound, "origin": origin(HOST)},
        "resource": LICENCE, "valid_from": 0, "valid_until": 1_900_000_000u64});
    let body = Json::parse(body.to_string().as_bytes()).expect("JSON");
    let key = RecordKey::trust(entity, action, LICENCE).expect("a key");
    (key, Bytes::from(jcs::to_string(&body)))
}

fn path_at(net: &mut Net, i: usize) -> Result<TrustPath, NotFound> {
    let snapshot = Snapshot::new(net.node(i).machine.replica().clone());
    let anchors = snapshot.charter().anchors();
    trust_path(&*snapshot, anchors, "did:web:transport.example", "issue", &[LICENCE], START_MS / 1000)
}

fn is_unsigned(path: &Result<TrustPath, NotFound>, net: &mut Net, i: usize) -> bool {
    match path {
        Err(refusal) => refusal.missing.iter().any(|missing| missing.reason == MissingReason::NotSigned),
        // The path's last register: verifying asks it in its turn.
        Ok(path) => {
            let keys = crate::trust::bound_keys(path.register.as_ref().expect("named")).expect("keys");
            let register = net.node(i).machine.replica().register(&origin(HOST)).cloned();
            register.is_some_and(|r| r.newest_head().is_some() && !r.is_signed_by(&keys))
        }
    }
}

/// What both organisations do, as their command lines do it.
struct Play {
    net: Net,
    ministry: Publisher,
    agency: Publisher,
    /// The key that is to stay, and how far the rotation to it is.
    to: usize,
    resigned: bool,
    notices: usize,
}

impl Play {
    fn new() -> Self {
        let mut duties: Vec<Duties> = ["A", "B", "C"].map(witness).into();
        duties.extend([publisher_node("interior.example"), Duties::none(), publisher_node(HOST)]);
        assert_eq!(duties.len(), NODES);
        let mut net = Net::new(duties);
        net.link_all();
        net.run();
        let (ministry, agency) = (Publisher::new("interior.example"), Publisher::new(HOST));
        let mut play = Self { net, ministry, agency, to: 0, resigned: true, notices: 0 };
        let granted = play.ministry.publish(&[grant_of(&[0])]);
        play.net.submit(MINISTRY, granted).expect("published");
        play.publish();
        play
    }

    fn bound_at(&mut self, i: usize) -> Vec<Vec<VerifierKey>> {
        let bindings = self.net.node(i).machine.replica().bindings(&origin(HOST));
        bindings.into_iter().map(|(_, bound)| bound.keys).collect()
    }

    /// The agency publishes something, signed by each of its keys that anybody may be bound to.
    fn publish(&mut self) {
        let bound = self.bound_at(AGENCY).concat();
        self.notices += 1;
        let mut head = self.agency.head(&[notice(&format!("a{}", self.notices))]);
        let text = head.checkpoint.text();
        head.own = (0..=self.to).filter(|n| bound.contains(&nth_key(*n))).map(|n| sign_by(&text, n)).collect();
        assert!(!head.own.is_empty());
        self.net.submit(AGENCY, Submission { heads: vec![head], ..Submission::default() }).expect("published");
    }

    /// Does the next step of the rotation if it may be done.
    fn rotate(&mut self) {
        let at_agency = self.bound_at(AGENCY);
        let (old, new) = (self.to.saturating_sub(1), self.to);
        let only_new = |keys: &Vec<VerifierKey>| keys.contains(&nth_key(new)) && !keys.contains(&nth_key(old));
        if new == 0 || at_agency.iter().all(only_new) && self.resigned {
            // 1 of 3: a new key, beside the one that is bound.
            self.to += 1;
            self.resigned = false;
            let bound = self.ministry.publish(&[grant_of(&[self.to - 1, self.to])]);
            self.net.submit(MINISTRY, bound).expect("published");
        } else if !self.resigned && at_agency.iter().all(|keys| keys.contains(&nth_key(new))) {
            // 2 of 3: the same checkpoints again, from W on.
            let register = self.net.node(AGENCY).machine.replica().register(&origin(HOST)).cloned().expect("held");
            let again = register.stands_from(register.size_witnessed()).map(|stand| {
                let checkpoint = stand.head().checkpoint().clone();
                let own = vec![sign_by(&checkpoint.text(), new)];
                let first = checkpoint.size;
                let (cosignatures, entries, bodies) = (Vec::new(), Vec::new(), Vec::new());
                HeadMessage { checkpoint, own, cosignatures, first, entries, bodies }
            });
            let heads = again.collect();
            self.net.submit(AGENCY, Submission { heads, ..Submission::default() }).expect("signed again");
            self.resigned = true;
        } else if self.resigned {
            // 3 of 3: the ministry sees for itself that the new key has signed what it holds.
            let register = self.net.node(MINISTRY).machine.replica().register(&origin(HOST)).cloned().expect("held");
            if register.is_signed_by(&[nth_key(new)]) && !self.bound_at(MINISTRY).iter().any(only_new) {
                let alone = self.ministry.publish(&[grant_of(&[new])]);
                self.net.submit(MINISTRY, alone).expect("published");
            }
        }
    }

    fn duties_of(i: usize) -> Duties {
        match i {
            0..=2 => witness(["A", "B", "C"][i]),
            MINISTRY => publisher_node("interior.example"),
            AGENCY => publisher_node(HOST),
            _ => Duties::none(),
        }
    }

    fn step(&mut self, random: u64) {
        let i = (random >> 8) as usize % NODES;
        match random % 12 {
            0..=3 => self.rotate(),
            4 | 5 => self.publish(),
            6 => {
                self.notices += 1;
                let said = self.ministry.publish(&[notice(&format!("m{}", self.notices))]);
                self.net.submit(MINISTRY, said).expect("published");
            }
            7 => {
                self.net.cut(i);
                self.net.run();
            }
            8 => {
                self.net.link_all();
                self.net.run();
            }
            9 => {
                self.net.node(i).gossip_off = random >> 16 & 1 == 0;
            }
            10 => self.net.restart(i, Self::duties_of(i)),
            _ => self.net.tick(random >> 16 & 7),
        }
    }
}

#[test]
fn no_order_of_arrival_leaves_a_register_unsigned() {
    let mut rotations = 0;
    for seed in 0..40u64 {
        let mut play = Play::new();
        let mut witnessed = [0; NODES];
        for step in 0..60u64 {
            let random = Digest::of_parts(&[&seed.to_be_bytes(), &step.to_be_bytes()]);
            play.step(random.0.iter().take(8).fold(0, |n, b| n << 8 | u64::from(*b)));
            for (i, was) in witnessed.iter_mut().enumerate() {
                let (_, w) = play.net.sizes(i, HOST);
                assert!(w >= *was, "seed {seed}, step {step}: W of node {i} moved back from {was} to {w}");
                *was = w;
            }
            for i in [MINISTRY, AGENCY] {
                let path = path_at(&mut play.net, i);
                assert!(!is_unsigned(&path, &mut play.net, i), "seed {seed}, step {step}: node {i}, key {}", play.to);
            }
            for i in 0..NODES {
                if let Err(refusal) = path_at(&mut play.net, i)
                    && refusal.missing.iter().any(|missing| missing.reason == MissingReason::NotSigned)
                {
                    assert!(refusal.indeterminate, "what has not come yet is no rejection");
                }
            }
        }
        // Synchronisation alone brings everybody a signature by a key of the binding that they hold.
        (0..NODES).for_each(|i| play.net.node(i).gossip_off = true);
        play.net.link_all();
        play.net.tick(80);
        let heads: BTreeSet<_> =
            (0..NODES).map(|i| play.net.node(i).machine.replica().frontier_root(&Prefix::default())).collect();
        assert_eq!(heads.len(), 1, "seed {seed}: all hold the same, signatures too");
        for i in 0..NODES {
            let path = path_at(&mut play.net, i);
            assert!(path.is_ok() && !is_unsigned(&path, &mut play.net, i), "seed {seed}: node {i}: {path:?}");
            assert_eq!(play.net.sizes(i, HOST).0, play.net.sizes(i, HOST).1, "seed {seed}: node {i} is witnessed");
        }
        rotations += play.to;
    }
    assert!(rotations >= 40, "{rotations} rotations began: too few to say anything");
}

#[test]
fn a_signature_made_again_reaches_whoever_holds_the_checkpoint_without_gossip() {
    let mut play = Play::new();
    (0..NODES).for_each(|i| play.net.node(i).gossip_off = true);
    play.net.tick(40);
    play.rotate();
    play.net.tick(40);
    let before = play.net.sizes(4, HOST);
    play.rotate();
    play.net.tick(20);
    assert_eq!(play.net.sizes(4, HOST), before, "the same checkpoint: W and N stay");
    let register = play.net.node(4).machine.replica().register(&origin(HOST)).cloned().expect("held");
    assert!(register.is_signed_by(&[nth_key(0)]) && register.is_signed_by(&[nth_key(1)]));
    assert_eq!(register.witnessed_stand().map(|stand| stand.cosignatures().len()), Some(3), "cosignatures hold");
    play.rotate();
    play.net.tick(40);
    assert_eq!(play.bound_at(4), [[nth_key(1), timestamp_key(HOST)]]);
    assert!(path_at(&mut play.net, 4).is_ok());
    assert_eq!(play.net.sizes(4, HOST), before);
}

#[test]
fn a_bundle_made_after_a_rotation_opens_and_one_made_before_is_not_called_altered() {
    use crate::bundle::Bundle;
    let mut play = Play::new();
    play.publish();
    play.net.tick(5);
    let old = Bundle::of(play.net.node(4).machine.replica());
    for _ in 0..3 {
        play.rotate();
        play.net.tick(40);
    }
    play.publish();
    play.net.tick(5);
    let held = play.net.node(4).machine.replica().clone();
    assert!(held.register(&origin(HOST)).is_some_and(|r| r.stands_from(0).any(|s| s.head().signers() == [nth_key(0)])));
    let (opened, _) = Bundle::of(&held).open(START_MS / 1000).expect("whole");
    assert_eq!(opened.frontier_root(&Prefix::default()), held.frontier_root(&Prefix::default()));
    let mut into = held.clone();
    old.import_into(&mut into, START_MS / 1000).expect("it was whole once, and says nothing new");
    assert_eq!(into.frontier_root(&Prefix::default()), held.frontier_root(&Prefix::default()));
    let submission = old.submission(&held).expect("of this network");
    play.net.submit(4, submission).expect("nothing in it is wrong");
}

#[test]
fn a_key_that_was_dropped_signs_nothing_more() {
    let mut play = Play::new();
    for _ in 0..3 {
        play.rotate();
        play.net.tick(40);
    }
    let before = play.net.sizes(4, HOST);
    let stolen = play.agency.head(&[notice("by the old key")]);
    let refused = play.net.submit(4, Submission { heads: vec![stolen], ..Submission::default() });
    assert!(refused.is_err());
    assert_eq!(play.net.sizes(4, HOST), before);
}

#[test]
fn signatures_by_keys_that_nobody_knows_are_not_kept() {
    let mut play = Play::new();
    let mut head = play.agency.head(&[notice("stuffed")]);
    let text = head.checkpoint.text();
    head.own.extend((1..60).map(|n| sign_by(&text, n)));
    play.net.submit(AGENCY, Submission { heads: vec![head], ..Submission::default() }).expect("published");
    let register = play.net.node(AGENCY).machine.replica().register(&origin(HOST)).cloned().expect("held");
    assert_eq!(register.newest_head().map(|head| head.note().signatures().len()), Some(1));
}
