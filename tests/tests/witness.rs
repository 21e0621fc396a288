//! Witnesses as processes: the door for others' publishers, a backup that is put back, two machines with one key, and a
//! witness that contradicts itself.

use std::fs;
use std::path::Path;

use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};
use standfast_protocol::digest::Digest;
use standfast_protocol::log::checkpoint::Checkpoint;
use standfast_protocol::log::cosignature;
use standfast_protocol::log::merkle::{Tree, leaf_hash};
use standfast_protocol::log::note::Note;
use standfast_protocol::sync::Submission;
use standfast_protocol::sync::message::{HeadMessage, Signed, StatementMessage};
use standfast_tests::cluster::{self, Answer, Federation, Node, Publisher, ended, http, register_in};
use standfast_tests::interop::python;
use standfast_tests::skip::unless_missing;

fn federation(witnesses: usize) -> Federation {
    Federation::new(Path::new(env!("CARGO_BIN_EXE_standfast-under-test")), witnesses)
}

/// A publisher's log as a stranger knows it: its newest head and its leaves.
#[derive(Default)]
struct Log {
    tree: Tree,
    leaves: Vec<Digest>,
}

impl Log {
    fn add(&mut self, head: &HeadMessage) {
        for entry in &head.entries {
            self.tree.push(leaf_hash(entry));
            self.leaves.push(leaf_hash(entry));
        }
        assert_eq!(self.tree.root(), head.checkpoint.root);
    }

    fn proof(&self, old: u64) -> Vec<Digest> {
        self.tree.consistency(old, self.tree.size()).expect("held")
    }
}

fn body(old: u64, proof: &[Digest], note: &Note) -> Vec<u8> {
    let lines: String = proof.iter().map(|hash| BASE64.encode(hash.as_bytes()) + "\n").collect();
    format!("old {old}\n{lines}\n{note}").into_bytes()
}

fn knock(node: &Node, old: u64, proof: &[Digest], note: &Note) -> Answer {
    node.http("POST", "/witness/add-checkpoint", &[], &body(old, proof, note))
}

#[test]
fn the_door_answers_as_c2sp_has_it() {
    let mut federation = federation(1);
    federation.witnesses[0].more = "listen = \"127.0.0.1:0\"\n".to_owned();
    federation.start_witnesses();
    let witness = &federation.witnesses[0];
    let mut log = Log::default();
    let first = federation.interior.put_number(1);
    let one = first.heads[0].note();
    log.add(&first.heads[0]);

    // Not replayed yet: again later. Nothing is fetched from whoever asks.
    let answer = witness.wait("the witness has begun", || {
        Some(knock(witness, 0, &[], &one)).filter(|answer| !answer.text().contains("has just started"))
    });
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{}", answer.text());
    witness.publish(&first);
    witness.witnessed(&federation.interior.origin, 1);

    // It has cosigned what came by the network; so the first answer is where it stands.
    let conflict = knock(witness, 0, &[], &one);
    assert_eq!((conflict.status, conflict.text().as_str()), (409, "1\n"));
    assert_eq!(conflict.header("content-type"), Some("text/x.tlog.size"));
    let cosigned = knock(witness, 1, &[], &one);
    assert_eq!(cosigned.status, 200, "{}", cosigned.text());
    let with = Note::parse(format!("{one}{}", cosigned.text()).as_bytes()).expect("signature lines");
    let (key, _) = witness_secret(witness);
    let found = cosignature::Cosignature::verify(&first.heads[0].checkpoint, &with.signatures()[1], "w1", &key);
    assert!(found.expect("its own").time() <= cluster::now());
    assert_eq!(knock(witness, 1, &[], &one).text(), cosigned.text(), "the same within a minute");

    let second = federation.interior.put_number(2);
    let two = second.heads[0].note();
    log.add(&second.heads[0]);
    assert_eq!(knock(witness, 1, &log.proof(1), &two).status, 503, "its entries have not come");
    assert_eq!(knock(witness, 1, &[Digest::of(b"x")], &two).status, 422);
    assert_eq!(knock(witness, 0, &[], &two).status, 409);
    witness.publish(&second);
    witness.witnessed(&federation.interior.origin, 2);
    let answer = knock(witness, 1, &log.proof(1), &two);
    assert_eq!((answer.status, answer.text().as_str()), (409, "2\n"));
    assert_eq!(knock(witness, 2, &[], &two).status, 200);
    assert_eq!(knock(witness, 2, &log.proof(1), &two).status, 422, "a proof that is not needed");

    // What is no request, no known register, no signature.
    let raw = |bytes: &[u8]| witness.http("POST", "/witness/add-checkpoint", &[], bytes).status;
    assert_eq!(raw(b""), 400);
    assert_eq!(raw(b"old 01\n\nx\n"), 400);
    assert_eq!(raw(&body(9, &[], &two)), 400, "an old size above the checkpoint's");
    assert_eq!(raw(&vec![b'a'; 200_000]), 413);
    let stranger = Publisher::new("stranger", 77).put_number(1).heads[0].note();
    assert_eq!(knock(witness, 0, &[], &stranger).status, 404);
    let unsigned = Note::new(two.text().to_owned(), stranger.signatures().to_vec());
    assert_eq!(knock(witness, 2, &[], &unsigned).status, 403);

    // Another history is evidence, and nothing more is cosigned.
    let mut thief = Publisher { keys: federation.interior.keys.clone(), ..Publisher::new("interior", 11) };
    let other = thief.put_number(9);
    assert_eq!(knock(witness, 0, &[], &other.heads[0].note()).status, 409);
    witness.status_when("the fork", |status| register_in(status, &thief.origin)["state"] == "forked");
    assert_eq!(knock(witness, 2, &[], &two).status, 403);

    // The listener of its own serves this and nothing else.
    let file: Value =
        serde_json::from_slice(&fs::read(witness.data_dir().join("node.json")).expect("a file")).expect("JSON");
    let own = file["witness"].as_str().and_then(|url| url.strip_prefix("http://")).expect("a listener").to_owned();
    let asked = http(&own, "POST", "/add-checkpoint", &[], &body(2, &[], &two)).expect("an answer");
    assert_eq!(asked.status, 403);
    for (method, path) in [("GET", "/v1/status"), ("POST", "/v1/submit"), ("POST", "/witness/add-checkpoint")] {
        assert_eq!(http(&own, method, path, &[("X-Standfast", "1")], b"").expect("an answer").status, 404, "{path}");
    }
    let foreign =
        b"POST /add-checkpoint HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert!(raw_exchange(&own, foreign).starts_with("HTTP/1.1 403"));
}

fn raw_exchange(address: &str, bytes: &[u8]) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(cluster::BOUND)).expect("a timeout");
    stream.write_all(bytes).expect("a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_strangers_client_of_c2sp_gets_a_cosignature_that_it_checks_itself() {
    let Some(python) = unless_missing(python()) else { return };
    let mut federation = federation(1);
    federation.start_witnesses();
    let witness = &federation.witnesses[0];
    let mut log = Log::default();
    let mut newest = None;
    for number in 0..7 {
        let part = federation.interior.put_number(number);
        log.add(&part.heads[0]);
        witness.publish(&part);
        newest = Some(part.heads[0].note());
    }
    witness.witnessed(&federation.interior.origin, 7);
    let leaves: Vec<String> = log.leaves.iter().map(|leaf| HEXLOWER.encode(leaf.as_bytes())).collect();
    let job = json!({
        "prefix": format!("http://{}/witness", witness.api()),
        "note": newest.expect("published").to_string(),
        "leaves": leaves,
        "witness": witness_secret(witness).0.to_string(),
    });
    let answer = python.add_checkpoint(&job);
    assert_eq!((&answer["statuses"], &answer["sizes"]), (&json!([409, 200]), &json!([7])), "{answer}");
    assert_eq!(answer["verified"], true, "{answer}");
}

/// The cosignature key of a witness's node, which the test may use as the witness would.
fn witness_secret(node: &Node) -> (standfast_protocol::key::VerifierKey, standfast_protocol::key::SecretKey) {
    let [cosign, _] = cluster::witness_keys_of(&node.data_dir());
    cosign
}

fn sayings(node: &Node, member: &str) -> usize {
    node.lines().iter().filter(|line| line["word"] == "witness" && !line[member].is_null()).count()
}

#[test]
fn a_witness_put_back_from_a_backup_goes_on_above_what_it_said() {
    let mut federation = federation(3);
    let addresses = federation.start_witnesses();
    let mut publisher = federation.publishing_node();
    publisher.peers.clone_from(&addresses);
    publisher.start();
    publisher.publish(&federation.interior.put_number(1));
    for node in federation.witnesses.iter().chain([&publisher]) {
        node.witnessed(&federation.interior.origin, 1);
    }
    // A backup is made while it stands still; then it cosigns more, and its disk is lost.
    federation.witnesses[2].stop("TERM");
    let backup = federation.witnesses[2].dir().join("backup");
    copy_all(&federation.witnesses[2].data_dir(), &backup);
    federation.witnesses[2].peers.clone_from(&addresses);
    federation.witnesses[2].start();
    for number in 2..5 {
        publisher.publish(&federation.interior.put_number(number));
    }
    for node in federation.witnesses.iter().chain([&publisher]) {
        node.status_when("three cosignatures", |status| {
            let register = register_in(status, &federation.interior.origin);
            register["size_witnessed"] == 4 && register["witnesses"] == 3
        });
    }
    federation.witnesses[2].kill();
    let lost = federation.witnesses[2].data_dir();
    fs::remove_dir_all(&lost).expect("its disk");
    copy_all(&backup, &lost);
    federation.witnesses[2].start();
    let back = &federation.witnesses[2];
    // It learns what it said, listens whether another machine has its keys, and goes on from there.
    back.line("witness", |line| line["elsewhere"] == false);
    back.line("witness", |line| line["ready"] == true);
    publisher.publish(&federation.interior.put_number(5));
    for node in federation.witnesses.iter().chain([&publisher]) {
        node.status_when("three cosignatures of the fifth", |status| {
            let register = register_in(status, &federation.interior.origin);
            register["size_witnessed"] == 5 && register["witnesses"] == 3
        });
        assert_eq!(node.get("/v1/status").json()["witnesses_misbehaved"], json!([]));
    }
}

#[test]
fn a_second_machine_with_a_witnesss_keys_says_nothing() {
    let mut federation = federation(3);
    let addresses = federation.start_witnesses();
    for witness in &federation.witnesses {
        witness.line("witness", |line| line["ready"] == true);
    }
    let first = federation.interior.put_number(1);
    federation.witnesses[0].publish(&first);
    for witness in &federation.witnesses {
        witness.witnessed(&federation.interior.origin, 1);
    }
    // The keys of w3 on a machine of their own, while w3 runs.
    let mut twin = federation.witness_like(2);
    twin.peers.clone_from(&addresses);
    twin.start();
    twin.line("witness", |line| line["elsewhere"] == true);
    assert_eq!(sayings(&twin, "ready"), 0, "{:?}", twin.lines());
    federation.witnesses[0].publish(&federation.interior.put_number(2));
    for node in federation.witnesses.iter().chain([&twin]) {
        node.status_when("three cosignatures of the second", |status| {
            let register = register_in(status, &federation.interior.origin);
            register["size_witnessed"] == 2 && register["witnesses"] == 3
        });
        assert_eq!(node.get("/v1/status").json()["witnesses_misbehaved"], json!([]));
    }
    assert_eq!(sayings(&federation.witnesses[2], "elsewhere"), 0, "the first one goes on");
}

#[test]
fn a_witness_that_contradicts_itself_is_known_to_all_also_with_gossip_off_and_after_a_restart() {
    let mut federation = federation(3);
    let addresses = federation.start_witnesses();
    for part in federation.founding() {
        federation.witnesses[0].publish(&part);
    }
    for witness in &federation.witnesses {
        witness.witnessed(&federation.transport.origin, 1);
    }
    // w2 cosigns another root for the size that it has cosigned.
    let (key, secret) = witness_secret(&federation.witnesses[1]);
    let checkpoint =
        Checkpoint { origin: federation.transport.origin.clone(), size: 1, root: Digest::of(b"another history") };
    let line = cosignature::sign(&checkpoint.text(), cluster::now(), &key, &secret);
    let lie = StatementMessage::Cosignatures(checkpoint, vec![Signed::from_line(&line)]);
    let submission = Submission { statements: vec![lie], ..Submission::default() };
    // Nothing in a register changes by it, so that it may be called unchanged.
    let _ = federation.witnesses[0].try_publish(&submission);
    let misbehaved = |status: &Value| status["witnesses_misbehaved"] == json!(["w2"]);
    federation.witnesses[0].status_when("the proof", misbehaved);
    federation.witnesses[2].status_when("the proof by gossip", misbehaved);
    let told = federation.witnesses[2].line("witness", |line| line["witness"] == "w2");
    assert_eq!(told["register"], federation.transport.origin.as_str());

    // One who comes later gets it by synchronisation alone; a restart forgets nothing; it stands in the snapshot.
    let mut late = federation.publishing_node();
    late.peers = vec![addresses[2].clone()];
    late.start();
    late.status_when("the proof by synchronisation", misbehaved);
    late.verdict(&cluster::licence(7), "accepted");
    late.stop("TERM");
    let shown = run(&late, "fork show w2");
    assert!(shown.contains("! witness w2 contradicted itself about transport.example"), "{shown}");
    assert!(shown.contains("two roots for one size"), "{shown}");
    let listed = run(&late, "fork list");
    assert!(listed.contains("! witness w2 contradicted itself"), "{listed}");
    assert!(run(&late, "fork show w2 --out w2.proof --yes").contains("Wrote w2.proof"));
    assert!(run(&late, "fork show w2.proof").contains("holds under the keys that the charter gives the witness"));
    let checked = run(&late, "fork verify w2.proof");
    assert!(checked.contains("! the proof holds: witness w2 contradicted itself"), "{checked}");
    assert!(run(&late, "fork verify w2.proof --charter charter.note").contains("two roots at size 1"));
    assert!(run(&late, "status").contains("w2 contradicted itself"));
    late.peers.clear();
    late.start();
    late.status_when("the proof after a restart", misbehaved);
    // A verdict that rests on its word says so, and stands.
    let verdict = late.verdict(&cluster::licence(7), "accepted");
    let warnings = verdict["warnings"].to_string();
    assert!(warnings.contains("witness-misbehaved"), "{verdict}");
}

fn run(node: &Node, line: &str) -> String {
    let output = ended(node.cli(line));
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for file in fs::read_dir(from).expect("a folder") {
        let file = file.expect("a file");
        let there = to.join(file.file_name());
        if file.file_type().expect("a type").is_dir() {
            copy_all(&file.path(), &there);
        } else {
            fs::copy(file.path(), there).expect("a copy");
        }
    }
}
