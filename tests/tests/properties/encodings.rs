//! One encoding: what is accepted is written again as the same bytes, and each bent byte is refused, or is another form
//! that its signatures, roots or digests refuse. (A second decoder of entries: `interop/decoder.rs`.)

use std::io::Write as _;

use bytes::Bytes;
use standfast_protocol::digest::Digest;
use standfast_protocol::key::{Algorithm, SecretKey, VerifierKey, origin_of};
use standfast_protocol::limits;
use standfast_protocol::log::checkpoint::SignedHead;
use standfast_protocol::log::cosignature::{self, Cosignature};
use standfast_protocol::log::note::{self, Note};
use standfast_protocol::log::policy::Quorum;
use standfast_protocol::register::body::Record;
use standfast_protocol::register::draft::{Ground, Prepared};
use standfast_protocol::register::entry::{Change, Entry};
use standfast_protocol::register::fact::After;
use standfast_protocol::register::fork::ForkProof;
use standfast_protocol::register::fork::report::ForkReport;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::register::state::{Register, Witnessing};
use standfast_protocol::status::delta::Delta;
use standfast_protocol::status::native::StatusList;
use standfast_protocol::sync::check::{Checked, Job, Keys};
use standfast_protocol::sync::message::{BodyItem, HeadMessage, PastMessage, Signed};
use standfast_protocol::time::Time;

/// A register of one key, and a witness.
struct Desk {
    secret: SecretKey,
    key: VerifierKey,
    witness: (SecretKey, VerifierKey),
}

impl Desk {
    fn new() -> Self {
        let secret = SecretKey::from_seed(&[1; 32]);
        let origin = origin_of("a.example/register", &secret.public());
        let key = VerifierKey::new(&origin, Algorithm::Note, secret.public()).expect("a name");
        let witness = SecretKey::from_seed(&[2; 32]);
        let named = VerifierKey::new("w.example", Algorithm::Cosignature, witness.public()).expect("a name");
        Self { secret, key, witness: (witness, named) }
    }

    fn origin(&self) -> &str {
        self.key.name()
    }

    fn prepare(&self, ground: &Ground, texts: &[&str]) -> Prepared {
        let change = |text: &&str| Change {
            key: RecordKey::notice(text).expect("a key"),
            digest: Some(Digest::of(text.as_bytes())),
        };
        ground.prepare(Time::from_secs_saturating(5), texts.iter().map(change).collect()).expect("a valid entry")
    }

    fn head(&self, prepared: &Prepared) -> SignedHead {
        let line = note::sign(&prepared.text(), &self.key, &self.secret);
        prepared.finalise(vec![line], std::slice::from_ref(&self.key)).expect("a head")
    }

    fn keys(&self) -> Keys {
        let witnesses = [("W".to_owned(), self.witness.1.clone())].into();
        Keys { own: vec![self.key.clone()], witnesses }
    }

    fn register(&self) -> Register {
        let quorum = Quorum::parse(&format!("witness W {}\nquorum W\n", self.witness.1)).expect("a policy");
        let witnessing = Witnessing { quorum, admitting: ["W".to_owned()].into(), change: None };
        Register::new(self.origin(), std::slice::from_ref(&self.key), witnessing.into())
    }

    /// A proof of two sizes, with what it shows of a third.
    fn proof(&self) -> ForkProof {
        let mut ground = self.prepare(&Ground::empty(self.origin()), &["one"]).ground().clone();
        let thief = self.prepare(&ground, &["other"]);
        let mut register = self.register();
        let mut entries = vec![self.prepare(&Ground::empty(self.origin()), &["one"]).entries()[0].bytes().clone()];
        for text in ["two", "three", "four"] {
            let prepared = self.prepare(&ground, &[text]);
            ground = prepared.ground().clone();
            entries.push(prepared.entries()[0].bytes().clone());
            if text == "four" {
                register.admit(self.head(&prepared), Vec::new(), 0, &entries);
            }
        }
        register.admit(self.head(&thief), Vec::new(), 1, &[thief.entries()[0].bytes().clone()]);
        register.fork_proof().expect("a fork").as_ref().clone()
    }
}

/// Counts of what became of bent bytes.
#[derive(Default)]
struct Tally {
    refused: usize,
    powerless: usize,
}

/// Bends each byte of an accepted form in three ways. `again` writes what it reads; `counts` tells whether a form that
/// reads has any power still.
fn bend(
    name: &str,
    bytes: &[u8],
    again: impl Fn(&[u8]) -> Option<Vec<u8>>,
    counts: impl Fn(&[u8]) -> bool,
    tally: &mut Tally,
) {
    assert_eq!(again(bytes).as_deref(), Some(bytes), "{name}: it is written again as it was");
    assert!(counts(bytes), "{name}: as it is it counts");
    for at in 0..bytes.len() {
        for flip in [1, 0x20, 0x80] {
            let mut bent = bytes.to_vec();
            bent[at] ^= flip;
            match again(&bent) {
                None => tally.refused += 1,
                Some(written) => {
                    assert!(written == bent, "{name}, byte {at} ^ {flip}: two forms of one thing are accepted");
                    assert!(!counts(&bent), "{name}, byte {at} ^ {flip}: it counts, bent as it is");
                    tally.powerless += 1;
                }
            }
        }
    }
    assert!(again(&bytes[..bytes.len() - 1]).is_none(), "{name}: cut");
    assert!(again(&[bytes, &[0]].concat()).is_none(), "{name}: with a byte behind it");
}

#[test]
fn every_bent_byte_of_a_signed_form_is_refused_or_powerless() {
    let desk = Desk::new();
    let mut tally = Tally::default();
    let keys = std::slice::from_ref(&desk.key);
    let prepared = desk.prepare(&Ground::empty(desk.origin()), &["one", "two"]);
    let head = desk.head(&prepared);

    let line = cosignature::sign(&prepared.text(), 99, &desk.witness.1, &desk.witness.0);
    let mut note = head.note().clone();
    note.add(line.clone());
    let read = |data: &[u8]| Note::parse(data).ok();
    let names = [("W".to_owned(), desk.witness.1.clone())].into();
    // Both signatures: a cosignature that fails does not refuse the head, but is none.
    let counts = |data: &[u8]| {
        read(data).and_then(|note| SignedHead::authenticate(note, desk.origin(), keys).ok()).is_some_and(|head| {
            Cosignature::all_in(head.note(), head.checkpoint(), &names).is_ok_and(|found| found.len() == 1)
        })
    };
    bend(
        "a head with a cosignature",
        note.to_string().as_bytes(),
        |d| Some(read(d)?.to_string().into_bytes()),
        counts,
        &mut tally,
    );

    let entry = prepared.entries()[0].bytes().clone();
    let read = |data: &[u8]| Entry::decode(Bytes::copy_from_slice(data)).ok();
    let counts = |data: &[u8]| {
        let mut register = desk.register();
        register.admit(head.clone(), Vec::new(), 0, &[Bytes::copy_from_slice(data)]).changed()
    };
    bend("an entry", &entry, |d| Some(read(d)?.bytes().to_vec()), counts, &mut tally);

    let proof = desk.proof();
    let again = |data: &[u8]| Some(ForkProof::parse(data).ok()?.encode());
    let counts = |data: &[u8]| ForkProof::parse(data).is_ok_and(|proof| proof.check(desk.origin(), keys).is_ok());
    bend("a fork proof", &proof.encode(), again, counts, &mut tally);

    let report = ForkReport::new(proof, vec![desk.key.clone()]).expect("a report");
    let again = |data: &[u8]| Some(ForkReport::decode(data).ok()?.encode());
    let counts =
        |data: &[u8]| ForkReport::decode(data).is_ok_and(|report| matches!(report.check_by_origin(), Some(Ok(_))));
    bend("a fork report", &report.encode(), again, counts, &mut tally);

    let message = HeadMessage {
        checkpoint: head.checkpoint().clone(),
        own: head.note().signatures().iter().map(Signed::from_line).collect(),
        cosignatures: vec![Signed::from_line(&line)],
        first: 0,
        entries: vec![entry.clone()],
        bodies: vec![BodyItem::Whole(Bytes::from_static(b"one"))],
    };
    let read = |data: &[u8]| HeadMessage::decode(data, limits::GOSSIP_SIZE_MAX).ok();
    // Everything in it: head, cosignature, entry and body.
    let counts = |data: &[u8]| {
        let Some(message) = read(data) else { return false };
        let Ok(Checked::Head(checked)) = (Job::Head { message, keys: desk.keys(), bases: Vec::new() }).run() else {
            return false;
        };
        let mut register = desk.register();
        let known = checked.bodies.iter().any(|body| body.digest() == Digest::of(b"one"));
        register.admit(checked.head, checked.cosignatures, checked.first, &checked.entries).changed()
            && register.size_witnessed() == 1
            && known
    };
    bend("a gossiped head", &message.encode(), |d| Some(read(d)?.encode()), counts, &mut tally);

    let checkpoint = head.checkpoint();
    let after = After { origin: checkpoint.origin.clone(), size: checkpoint.size, root: checkpoint.root };
    let past = PastMessage { after: after.clone(), entries: vec![entry] };
    let again = |data: &[u8]| Some(PastMessage::decode(data).ok()?.encode());
    let counts = |data: &[u8]| {
        let past = PastMessage::decode(data).ok().filter(|past| past.after == after);
        past.is_some_and(|past| {
            Register::up_to(&past.after, &past.entries, desk.register().witnessing().clone()).is_ok()
        })
    };
    bend("an old register", &past.encode(), again, counts, &mut tally);

    let list = StatusList::new("https://a.example/1", "revocation", 1, 2_000).expect("a list");
    let (base, result) =
        (Record::new(list.encode()), Record::new(list.edited(2_000, &[(7, 1), (50, 1)]).expect("a list").encode()));
    let delta = Delta::between(&base, &result).expect("a delta").encode();
    let counts = |data: &[u8]| Delta::parse(data).is_ok_and(|delta| delta.apply(&base).is_ok());
    bend("a delta", &delta, |d| Some(Delta::parse(d).ok()?.encode()), counts, &mut tally);
    // A list stands under its digest.
    let counts = |data: &[u8]| Digest::of(data) == result.digest();
    bend(
        "a status list",
        result.body(),
        |d| Some(StatusList::parse(&Bytes::copy_from_slice(d)).ok()?.encode()),
        counts,
        &mut tally,
    );

    assert!(tally.refused > 1_000 && tally.powerless > 1_000);
    let line = format!("8 forms, {} bent bytes refused, {} powerless\n", tally.refused, tally.powerless);
    let _ = std::io::stderr().write_all(line.as_bytes());
}
