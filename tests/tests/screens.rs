//! What an officer sees: commands run on worlds made in code, their screens compared with those in `screens/`.
//!
//! `STANDFAST_UPDATE_SCREENS=1` writes the screens anew; look at each before it is committed.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use standfast_protocol::bundle::Bundle;
use standfast_protocol::credential::contexts::Contexts;
use standfast_protocol::register::fork::ForkProof;
use standfast_protocol::register::fork::report::ForkReport;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::status::native::StatusList;
use standfast_protocol::time::Time;
use standfast_tests::world::{
    Draft, LICENCE, LIST, NOW, Piece, WITNESSES, World, canonical, did_key, entry, issuing_key, status,
};

const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;

/// A folder with files, in which commands run at a time of the world.
struct Desk {
    dir: tempfile::TempDir,
    now: u64,
    screen: String,
}

impl Desk {
    /// Puts a world's snapshot where a node would.
    fn new(world: &World, now: u64) -> Self {
        let desk = Self { dir: tempfile::tempdir().expect("a folder"), now, screen: String::new() };
        desk.put("data/snapshot.standfast", &bundle(world));
        desk
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }

    fn command(&self, line: &str, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_standfast-under-test"));
        command.args(line.split(' ')).args(["--now", &Time::from_secs_saturating(self.now).to_string()]).args(more);
        command.current_dir(self.dir.path()).env_clear();
        command.env("LANG", "C.UTF-8").env("HOME", self.dir.path()).env("STANDFAST_DATA_DIR", "data");
        command.output().expect("the program starts")
    }

    /// Runs a command and adds what it shows to the screen.
    #[track_caller]
    fn run(&mut self, line: &str, exit: i32) -> &mut Self {
        let output = self.command(line, &[]);
        let shown = [text(&output.stdout), text(&output.stderr)].concat();
        assert_eq!(output.status.code(), Some(exit), "{line}\n{shown}");
        for line in shown.lines() {
            // Commands, and the members of a document, are never cut.
            let is_to_paste = line.starts_with(" hint:") || line.trim_start().starts_with('"');
            assert!(line.chars().count() <= 80 || is_to_paste, "wider than 80 columns: {line}");
        }
        let gap = if self.screen.is_empty() { "" } else { "\n" };
        writeln!(
            self.screen,
            "{gap}$ standfast {line}{}# exit {exit}",
            " ".repeat(60_usize.saturating_sub(line.len()))
        )
        .expect("text");
        self.screen.push_str(&shown);
        self
    }

    /// Returns the one JSON document of a command.
    fn json(&self, line: &str) -> Value {
        let output = self.command(line, &["--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{line}: {e}: {}", text(&output.stdout)))
    }

    /// Compares the screen with the committed one.
    #[track_caller]
    fn check(&self, name: &str) {
        let path = screens().join(format!("{name}.txt"));
        if std::env::var_os("STANDFAST_UPDATE_SCREENS").is_some() {
            fs::write(&path, &self.screen).expect("a screen");
            return;
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(expected == self.screen, "{name} has changed; expected:\n{expected}\nfound:\n{}", self.screen);
    }
}

fn screens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn bundle(world: &World) -> Vec<u8> {
    Bundle::of(world.snapshot().replica()).encode()
}

fn licence(index: u64) -> Vec<u8> {
    Draft { status: Some(entry(LIST, index)), ..Draft::default() }.issue()
}

fn forged() -> Vec<u8> {
    let key = issuing_key("harbour");
    Draft::default().issue_by(&key, "did:web:transport.example", "k1", &Contexts::builtin())
}

fn list_with(indices: &[u64]) -> Vec<u8> {
    let list = StatusList::new(LIST, "revocation", 1, 131_072).expect("a list");
    let set: Vec<(u64, u8)> = indices.iter().map(|index| (*index, 1)).collect();
    list.edited(131_072, &set).expect("a list").encode()
}

/// A list as long as real ones are, in which one credential was revoked and a quorum saw it.
fn world() -> World {
    let mut world = World::new();
    world.publish("transport", vec![(status(LIST), Some(list_with(&[])))]);
    world.publish("transport", vec![(status(LIST), Some(list_with(&[40_912])))]);
    world.settle(NOW);
    world
}

/// Permits harbour to issue, in an entry that no witness has seen.
fn with_pending() -> World {
    let mut world = world();
    let (document, grant) = (world.document("harbour"), world.issue("harbour", LICENCE, ""));
    world.publish("ministry", vec![grant]);
    world.witness("ministry", NOW + 30, &["w2"]);
    world.publish("harbour", vec![document]);
    world.witness("harbour", NOW, &WITNESSES);
    world.stamp("harbour", NOW);
    world.publish("transport", vec![(status(LIST), Some(list_with(&[77, 40_912])))]);
    world
}

/// Two histories of transport's register, of which the witnesses saw one; a day later they have said no more of it.
fn with_fork() -> World {
    let mut world = world();
    world.publish_on("transport", 2, vec![(status(LIST), Some(list_with(&[5])))]);
    let later = NOW + 25 * HOUR;
    for name in ["interior", "ministry"] {
        world.witness(name, later, &WITNESSES);
        world.stamp(name, later);
    }
    world.view(later, &WITNESSES, &["transport"]);
    world
}

#[test]
fn accepted_and_rejected() {
    let mut desk = Desk::new(&world(), NOW + 4 * MINUTE);
    desk.put("licence.jwt", &licence(40_911));
    desk.put("revoked.jwt", &licence(40_912));
    desk.put("forged.jwt", &forged());
    desk.put("old.jwt", &Draft { until: Some(NOW - 3 * HOUR), ..Draft::default() }.issue());
    desk.put("stranger.jwt", &Draft { issuer: "stranger", status: None, ..Draft::default() }.issue());
    let extra = vec![LICENCE.to_owned(), "https://gov.example/FirearmsPermit".to_owned()];
    desk.put("extra.jwt", &Draft { types: extra, ..Draft::default() }.issue());
    desk.run("verify licence.jwt", 0).run("verify revoked.jwt", 1).run("verify forged.jwt", 1);
    desk.run("verify old.jwt", 1).run("verify stranger.jwt", 1).run("verify extra.jwt", 1);
    desk.check("verify");
    let verdict = desk.json("verify licence.jwt");
    assert_eq!(verdict["kind"], "standfast/verdict/v1");
    assert_eq!(verdict["credential"]["source"], "licence.jwt");
    assert_eq!(verdict["ages"]["witnessed"]["age_s"], 4 * MINUTE);
    assert_eq!(verdict["warnings"], serde_json::json!(["now-given"]));
}

#[test]
fn not_known() {
    let mut desk = Desk::new(&world(), NOW + 31 * HOUR);
    desk.put("licence.jwt", &licence(40_911));
    desk.put("revoked.jwt", &licence(40_912));
    desk.run("verify licence.jwt", 3).run("verify revoked.jwt", 1).run("verify licence.jwt --policy degraded", 0);
    desk.run("ready", 3).run("status", 0);
    desk.check("stale");

    let mut desk = Desk::new(&with_pending(), NOW + 2 * MINUTE);
    desk.put("fishing.jwt", &Draft { issuer: "harbour", status: None, ..Draft::default() }.issue());
    desk.put("licence.jwt", &licence(40_911));
    desk.put("revoked.jwt", &licence(77));
    desk.run("verify fishing.jwt", 3).run("explain fishing.jwt", 3).run("verify revoked.jwt", 1).run("status", 0);
    desk.check("pending");
    assert_eq!(desk.json("verify fishing.jwt")["code"], "authority-pending");
}

#[test]
fn a_fork() {
    let mut desk = Desk::new(&with_fork(), NOW + 26 * HOUR);
    desk.put("ferry.jwt", &licence(40_911));
    desk.put("revoked.jwt", &licence(5));
    desk.run("verify ferry.jwt", 4).run("verify revoked.jwt", 1).run("explain ferry.jwt", 4);
    desk.run("status", 0).run("fork list", 0).run("fork show transport.example", 0);
    desk.run("fork show transport.example --out transport.fork", 0).run("fork show transport.fork", 0);
    desk.run("fork verify transport.fork", 0);
    desk.check("fork");
    let fork = desk.json("fork show transport.example");
    assert_eq!((&fork["form"], &fork["heads"][0]["size"]), (&Value::from("equal-size"), &Value::from(3)));
    assert!(fork["heads"][1]["note"].as_str().is_some_and(|note| note.contains("\u{2014} ")));
}

/// Everything that holds, proves nothing, or cannot be told, for somebody who belongs to no network.
#[test]
fn a_fork_proof_before_a_stranger() {
    let mut world = with_fork();
    world.publish("interior", vec![(RecordKey::notice("1").expect("a key"), Some(b"one".to_vec()))]);
    world.publish_on("interior", 1, vec![(RecordKey::notice("1").expect("a key"), Some(b"two".to_vec()))]);
    let mut desk = Desk::new(&world, NOW + 26 * HOUR);
    desk.put("charter-1.note", world.charter.note().to_string().as_bytes());
    for name in ["transport", "interior"] {
        desk.command(&format!("fork show {name}.example --out {name}.fork"), &[]);
        let document = desk.json(&format!("fork show {name}.example"));
        desk.put(&format!("{name}.json"), document.to_string().as_bytes());
    }
    let of = |name: &str| ForkReport::decode(&fs::read(desk.dir.path().join(name)).expect("a file")).expect("a report");
    let (transport, interior) = (of("transport.fork"), of("interior.fork"));
    let keyless = ForkReport::new(transport.proof().clone(), Vec::new()).expect("a report");
    let same = ForkProof::new(interior.proof().smaller().to_owned(), interior.proof().smaller().to_owned(), None);
    desk.put("bare.fork", &interior.proof().encode());
    desk.put("keyless.fork", &keyless.encode());
    desk.put("same.fork", &ForkReport::new(same, interior.keys().to_vec()).expect("a report").encode());
    let mut bent = interior.proof().larger().to_owned();
    let at = bent.len() - 20;
    bent.replace_range(at..=at, if &bent[at..=at] == "A" { "B" } else { "A" });
    let bent = ForkProof::new(interior.proof().smaller().to_owned(), bent, None);
    desk.put("bent.fork", &ForkReport::new(bent, interior.keys().to_vec()).expect("a report").encode());
    desk.put("cut.fork", &interior.encode()[..200]);
    fs::remove_dir_all(desk.dir.path().join("data")).expect("a stranger holds nothing");

    desk.run("fork verify interior.fork --charter charter-1.note", 0);
    desk.run("fork verify bare.fork --charter charter-1.note", 0);
    desk.run("fork verify transport.fork --charter charter-1.note", 0).run("fork verify transport.json", 0);
    desk.run("fork verify keyless.fork --charter charter-1.note", 3).run("fork verify bare.fork", 3);
    desk.run("fork verify same.fork", 1).run("fork verify bent.fork --charter charter-1.note", 1);
    desk.run("fork verify cut.fork", 2).run("fork verify charter-1.note", 2);
    desk.run("fork verify missing.fork", 5).run("fork verify interior.fork --charter missing.note", 5);
    desk.check("fork-stranger");
    let found = desk.json("fork verify interior.json --charter charter-1.note");
    assert_eq!((&found["holds"], &found["keys_by"], &found["charter"]), (&true.into(), &"charter".into(), &1.into()));
    assert_eq!(desk.json("fork verify interior.json")["keys_by"], "origin");
    assert!(interior.proof().encode().len() <= 4096);
}

/// The forked register of transport is bound anew, to that of harbour: what it had revoked stays so, its proof is kept.
#[test]
fn a_fork_is_recovered_from() {
    let mut world = with_fork();
    let old = &world.agencies["transport"];
    let edge = &old.grounds[3].edge;
    let after = format!(r#","after":{{"origin":"{}","root":"{}","size":{}}}}}"#, old.origin, edge.root(), edge.size());
    let binding = world.agencies["harbour"].binding();
    let binding = format!("{}{after}", binding.strip_suffix('}').expect("an object"));
    let grant = format!(
        r#"{{"action":"issue","entity":"{}","register":{binding},"resource":"{LICENCE}","valid_from":0,"valid_until":{}}}"#,
        old.did,
        NOW + 300 * 24 * HOUR
    );
    let key = RecordKey::trust(&old.did, "issue", LICENCE).expect("a key");
    let document = world.document("transport");
    world.publish("harbour", vec![document, (status(LIST), Some(list_with(&[])))]);
    world.publish("ministry", vec![(key, Some(canonical(&grant)))]);
    let later = NOW + 26 * HOUR;
    for name in ["interior", "ministry", "harbour"] {
        world.witness(name, later, &WITNESSES);
        world.stamp(name, later);
    }
    world.view(later, &WITNESSES, &["transport"]);
    let mut desk = Desk::new(&world, NOW + 27 * HOUR);
    desk.put("licence.jwt", &licence(40_911));
    desk.put("revoked.jwt", &licence(40_912));
    desk.run("verify licence.jwt", 0).run("verify revoked.jwt", 1).run("status", 0);
    desk.run("fork list", 0).run("fork show transport.example", 0);
    desk.check("fork-recovered");
    let fork = desk.json("fork show transport.example");
    assert_eq!((&fork["bound_anew_after"], &fork["lapses"]), (&3.into(), &Value::Null));
}

#[test]
fn other_reasons() {
    let mut desk = Desk::new(&world(), NOW + 4 * MINUTE);
    let key = issuing_key("transport");
    let other_key = Draft::default().issue_by(&key, "did:web:transport.example", "k9", &Contexts::builtin());
    desk.put("other-key.jwt", &other_key);
    desk.put("beyond.jwt", &licence(900_000));
    let foreign = entry("https://elsewhere.example/status/1", 1);
    desk.put("foreign-list.jwt", &Draft { status: Some(foreign), ..Draft::default() }.issue());
    desk.put("early.jwt", &Draft { from: NOW + 24 * HOUR, ..Draft::default() }.issue());
    let unknown = vec!["https://elsewhere.example/context".to_owned()];
    desk.put("context.jwt", &Draft { contexts: unknown, types: vec!["Permit".to_owned()], ..Draft::default() }.issue());
    for (file, exit) in [("other-key", 1), ("beyond", 1), ("foreign-list", 3), ("early", 1), ("context", 3)] {
        desk.run(&format!("verify {file}.jwt"), exit);
    }
    let mut withdrawn = world();
    withdrawn.publish("transport", vec![(did_key("did:web:transport.example"), None)]);
    desk.put("withdrawn.standfast", &bundle(&withdrawn));
    let all: Vec<u64> = (0..2_000).collect();
    let mut mass = world();
    mass.publish("transport", vec![(status(LIST), Some(list_with(&all)))]);
    desk.put("mass.standfast", &bundle(&mass));
    desk.put("licence.jwt", &licence(7));
    desk.run("verify licence.jwt --trust withdrawn.standfast", 1);
    desk.run("verify licence.jwt --trust mass.standfast", 3);
    desk.now = NOW - 3 * HOUR;
    desk.put("ends.jwt", &Draft { until: Some(NOW - HOUR), ..Draft::default() }.issue());
    desk.run("verify ends.jwt", 3).run("status", 0);
    desk.check("reasons");
}

#[test]
fn a_charter_that_is_forked_and_one_that_ends() {
    let world = world();
    let other = world.next_charter(|d| d.anchors[0].register.keys.truncate(1));
    let later = world.next_charter(|d| d.expires_at += 86_400);
    let mut replica = world.snapshot().replica().clone();
    for charter in [&later, &other] {
        replica.offer_charter(charter.note().to_string().as_bytes()).expect("acceptable");
    }
    let mut desk = Desk::new(&world, NOW + 60);
    desk.put("data/snapshot.standfast", &Bundle::of(&replica).encode());
    desk.put("licence.jwt", &licence(40_911));
    desk.put("forged.jwt", &forged());
    let digests = [&later, &other].map(|side| side.charter().digest().to_string()[..12].to_owned());
    desk.run("verify licence.jwt", 4).run("verify forged.jwt", 1).run("explain licence.jwt", 4);
    desk.run("status", 0).run("ready", 3).run("charter show", 0);
    desk.run(&format!("charter diff {} {}", digests[0], digests[1]), 0);
    desk.run(&format!("charter verify {}", digests[1]), 4);
    desk.put("plan.toml", &desk.command("charter show --plan", &[]).stdout);
    desk.run("charter create plan.toml --out third.note", 4);
    desk.run("charter pin 0123456789ab", 5);
    desk.check("charter-fork");

    let mut ends = World::new();
    ends.end_charter_at(NOW + 12 * 24 * HOUR);
    // It is another network's: its witnesses speak again.
    ends.pieces.retain(|piece| !matches!(piece, Piece::View(_)));
    ends.view(NOW, &WITNESSES, &[]);
    let mut desk = Desk::new(&ends, NOW + 60);
    desk.put("licence.jwt", &Draft::default().issue());
    desk.run("verify licence.jwt", 0).run("ready", 0).run("status", 0);
    desk.now = NOW + 13 * 24 * HOUR;
    desk.run("verify licence.jwt --policy degraded", 3).run("ready", 3).run("status", 0);
    desk.check("charter-end");
}

#[test]
fn a_tray() {
    let mut desk = Desk::new(&with_pending(), NOW + 4 * MINUTE);
    desk.put("tray/a01.jwt", &licence(40_911));
    let format = standfast_protocol::credential::Format::EddsaJcs2022;
    desk.put("tray/a02.json", &Draft { format, ..Draft::default() }.issue());
    desk.put("tray/a03.jwt", &licence(40_912));
    desk.put("tray/a04.jwt", &Draft { issuer: "harbour", status: None, ..Draft::default() }.issue());
    desk.put("tray/scan.pdf", b"%PDF-1.7\n%binary");
    let lines: Vec<Vec<u8>> = [licence(1), licence(40_912), b"nonsense".to_vec()].to_vec();
    desk.put("lines.txt", &lines.join(&b'\n'));
    desk.put("good/a.jwt", &licence(1));
    desk.run("verify tray --jobs 2", 1).run("verify lines.txt --lines", 1).run("verify good", 0);
    desk.run("verify good/a.jwt not-there.jwt", 5);
    desk.check("tray");

    let many = desk.json("verify tray");
    assert_eq!((&many["kind"], &many["summary"]["unreadable"]), (&"standfast/verdicts/v1".into(), &1.into()));
    assert_eq!(many["verdicts"].as_array().map(Vec::len), Some(5));
    let output = desk.command("verify tray --ndjson", &[]);
    let kinds: Vec<Value> =
        text(&output.stdout).lines().map(|l| serde_json::from_str::<Value>(l).expect("JSON")["kind"].clone()).collect();
    assert_eq!(kinds.len(), 6);
    assert_eq!(kinds.last(), Some(&"standfast/summary/v1".into()));
}

#[test]
fn the_reasoning() {
    let mut desk = Desk::new(&world(), NOW + 4 * MINUTE);
    desk.put("licence.jwt", &licence(40_911));
    desk.put("revoked.jwt", &licence(40_912));
    desk.put("forged.jwt", &forged());
    desk.run("explain licence.jwt", 0).run("explain revoked.jwt", 1).run("explain forged.jwt", 1);
    desk.run("explain stale-witnessed", 0).run("explain now-given", 0).run("explain witnessed", 2);
    desk.check("explain");
    for code in standfast_protocol::verdict::Code::ALL {
        let document = desk.json(&format!("explain {}", code.as_str()));
        assert_eq!(document["exit"], code.exit(), "{document}");
    }
}

#[test]
fn bundles() {
    let mut desk = Desk::new(&world(), NOW + 4 * MINUTE);
    desk.run("bundle export --out new.standfast", 0).run("bundle show new.standfast", 0);
    desk.run("bundle export --out new.standfast", 2).run("ready", 0).run("ready --for 7d", 3).run("status", 0);
    let path = desk.dir.path().join("new.standfast");
    let mut altered = fs::read(&path).expect("a bundle");
    let again = desk.command("bundle export --out again.standfast --trust new.standfast", &[]);
    assert!(again.status.success(), "{}", text(&again.stderr));
    let copy = fs::read(desk.dir.path().join("again.standfast")).expect("a bundle");
    assert!(altered == copy, "the same frontier gives the same bytes");
    let place = altered.len() / 3;
    altered[place] ^= 1;
    desk.put("altered.standfast", &altered);
    desk.put("photo.standfast", b"\xff\xd8\xff\xe0 not a bundle");
    desk.put("licence.jwt", &licence(1));
    desk.put("revoked.jwt", &licence(40_912));
    desk.run("bundle show photo.standfast", 2).run("verify licence.jwt --trust altered.standfast", 4);
    desk.check("bundle");
    // Whichever byte is changed, and wherever the file ends: never a verdict of acceptance on less than was signed.
    for place in (0..copy.len()).step_by(97) {
        let mut altered = copy.clone();
        altered[place] ^= 0x20;
        desk.put("altered.standfast", &altered);
        let output = desk.command("verify revoked.jwt --trust altered.standfast", &[]);
        assert_ne!(output.status.code(), Some(0), "byte {place}");
    }
    // The last bytes are those of a body. (An altered key id only makes a signature one of a key that nobody knows.)
    let mut altered = copy.clone();
    let last = altered.len() - 5;
    altered[last] ^= 0x20;
    desk.put("altered.standfast", &altered);
    assert_eq!(desk.json("bundle show altered.standfast")["code"], "bundle-altered");
    assert_eq!(desk.json("status")["registers"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_bundle_is_carried_in() {
    let old = World::new();
    let desk = Desk::new(&old, NOW);
    fs::remove_file(desk.dir.path().join("data/snapshot.standfast")).expect("removed");
    let charter = old.charter.note().to_string();
    let data = desk.dir.path().join("data");
    standfast_node::local::LocalNode::init(&data, charter.as_bytes()).expect("a store").close().expect("closed");
    desk.put("new.standfast", &bundle(&world()));
    let output = desk.command("bundle import new.standfast", &[]);
    let shown = text(&output.stdout);
    let first = "\u{2713} 3 of 3 registers moved forward \u{b7} every signature and proof holds";
    assert_eq!(shown.lines().next(), Some(first), "{shown}{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(0));
    let again = text(&desk.command("bundle import new.standfast", &[]).stdout);
    assert!(again.starts_with("\u{2713} nothing new in 3 registers"), "{again}");

    let mut foreign = World::bare();
    foreign.end_charter_at(NOW + 150 * 86_400);
    desk.put("foreign.standfast", &bundle(&foreign));
    let refused = desk.command("bundle import foreign.standfast", &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("is of another network"));
}

/// A node that runs on a desk's data directory, until it is dropped.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It is ours; should it be gone already, there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(desk: &Desk) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_standfast-under-test"));
        command.args("node run --listen /ip4/127.0.0.1/tcp/0 --api 127.0.0.1:0 --quiet".split(' '));
        command.current_dir(desk.dir.path()).env_clear();
        command.env("LANG", "C.UTF-8").env("HOME", desk.dir.path()).env("STANDFAST_DATA_DIR", "data");
        let running = Self(command.spawn().expect("the program starts"));
        let file = desk.dir.path().join("data/node.json");
        let begun = std::time::Instant::now();
        while !fs::read_to_string(&file).is_ok_and(|text| text.contains("http://")) {
            assert!(begun.elapsed().as_secs() < 30, "the node does not say where its API is");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        running
    }
}

#[test]
fn while_a_node_runs_commands_go_through_its_api() {
    let desk = Desk::new(&world(), NOW + MINUTE);
    let data = desk.dir.path().join("data");
    fs::remove_file(data.join("snapshot.standfast")).expect("removed");
    let charter = world().charter.note().to_string();
    standfast_node::local::LocalNode::init(&data, charter.as_bytes()).expect("a store").close().expect("closed");
    desk.put("new.standfast", &bundle(&world()));
    let running = Running::start(&desk);
    let ran = |line: &str, exit: i32| {
        let output = desk.command(line, &[]);
        let shown = [text(&output.stdout), text(&output.stderr)].concat();
        assert_eq!(output.status.code(), Some(exit), "{line}\n{shown}");
        shown
    };
    let shown = ran("bundle import new.standfast", 0);
    assert!(shown.starts_with("\u{2713} 3 of 3 registers moved forward"), "{shown}");
    let status = ran("status", 0);
    assert!(status.contains("node     running since"), "{status}");
    assert!(status.contains("transport.example     3"), "{status}");
    let exported = ran("bundle export --out out.standfast", 0);
    assert!(exported.contains("3 registers, 5 entries"), "{exported}");
    desk.put("photo.standfast", b"not a bundle");
    assert!(ran("bundle import photo.standfast", 2).contains("is not a bundle"));
    drop(running);
    // A node that was killed left its file behind: its silence is said, and what is held is shown all the same.
    let silent = ran("status", 0);
    assert!(silent.contains("does not answer") && silent.contains("not running"), "{silent}");
    // Views and timestamps stand in the snapshot alone, which is written once a second: they may have gone with it.
    ran("bundle import new.standfast", 0);
    let again = ran("bundle import new.standfast", 0);
    assert!(again.starts_with("\u{2713} nothing new in 3 registers"), "{again}");
    // Another process holds the store, and no API answers.
    let node = standfast_node::local::LocalNode::open(&data).expect("a store");
    let locked = ran("bundle import new.standfast", 5);
    assert!(locked.starts_with("error: the store is in use by a running node (process "), "{locked}");
    assert!(locked.contains("cause: the node's API does not answer: http://127.0.0.1:"), "{locked}");
    node.close().expect("closed");
}

#[test]
fn errors_done_right() {
    let mut desk = Desk::new(&world(), NOW);
    desk.put("scan.pdf", b"%PDF-1.7\n%binary");
    desk.put("empty.jwt", b"");
    desk.put("half.json", b"{\"type\": [\"VerifiableCredential\"]}");
    desk.put("border.toml", b"name = 'border'\nrejects = []\nformatz = []\n");
    desk.put("licence.jwt", &licence(1));
    fs::create_dir(desk.dir.path().join("tray")).expect("a folder");
    desk.run("verify scan.pdf", 2).run("verify empty.jwt", 2).run("verify half.json", 2).run("verify tray", 2);
    desk.run("verify missing.jwt", 5).run("verify licence.jwt --policy lax", 2);
    desk.run("verify licence.jwt --policy border.toml", 2).run("verify licence.jwt --data-dir nowhere", 5);
    desk.run("fork show harbour.example", 2).run("policy list", 0).run("policy show degraded", 0);
    desk.check("errors");
}

#[test]
fn proofs_and_mirrors() {
    let mut world = world();
    let notice = RecordKey::notice("ferries").expect("a key");
    world.publish("transport", vec![(notice, Some(b"Ferries do not sail today.".to_vec()))]);
    world.settle(NOW);
    let mut desk = Desk::new(&world, NOW + 4 * MINUTE);
    desk.put("charter.note", world.charter.note().to_string().as_bytes());
    desk.run("record prove notice/ferries --out a.tlog-proof", 0);
    desk.run("record verify a.tlog-proof --charter charter.note", 0);
    desk.run("record prove notice/none --out b.tlog-proof", 3);
    desk.run("record prove notice/none --register transport --out b.tlog-proof", 0);
    desk.run("record verify b.tlog-proof", 0).run("record verify charter.note", 2);
    desk.run("register export transport mirror", 0).run("register verify mirror --charter charter.note", 0);
    let tile = desk.dir.path().join("mirror/tile/0/000.p/4");
    let mut bytes = fs::read(&tile).expect("a tile");
    bytes[0] ^= 1;
    fs::write(&tile, bytes).expect("a tile");
    desk.run("register verify mirror", 4).run("register export transport mirror", 4);
    fs::remove_file(&tile).expect("a tile");
    desk.run("register verify mirror", 3);
    desk.check("proofs");
}

#[test]
fn without_utf_8_and_with_colour() {
    let desk = Desk::new(&world(), NOW + 4 * MINUTE);
    desk.put("licence.jwt", &licence(40_911));
    desk.put("revoked.jwt", &licence(40_912));
    let mut screen = String::new();
    for line in ["verify licence.jwt", "explain revoked.jwt", "verify licence.jwt revoked.jwt", "status"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_standfast-under-test"));
        command.args(line.split(' ')).args(["--now", &Time::from_secs_saturating(desk.now).to_string()]);
        command.current_dir(desk.dir.path()).env_clear().env("LC_ALL", "C");
        command.env("HOME", desk.dir.path()).env("STANDFAST_DATA_DIR", "data");
        let output = command.output().expect("the program starts");
        assert!(output.stdout.is_ascii(), "{}", text(&output.stdout));
        write!(screen, "$ standfast {line}\n{}\n", text(&output.stdout)).expect("text");
    }
    let ascii = Desk { screen, ..Desk::new(&world(), NOW) };
    ascii.check("ascii");
    let colour = text(&desk.command("verify revoked.jwt", &["--color", "always"]).stdout);
    assert!(colour.starts_with("\x1b[31m\u{2717} REJECTED\x1b[0m   revoked by its issuer\n"), "{colour:?}");
    let quiet = desk.command("verify revoked.jwt", &["--quiet"]);
    assert!(quiet.stdout.is_empty() && quiet.stderr.is_empty());
}

/// Three authorities, one below the other; the last lets transport issue licences.
fn three_levels() -> World {
    let mut world = World::bare();
    world.publish("interior", vec![world.recognize("ministry", "*")]);
    world.publish("ministry", vec![world.recognize("harbour", LICENCE)]);
    world.publish("harbour", vec![world.issue("transport", LICENCE, r#","status":"required""#)]);
    world.publish("transport", vec![world.document("transport"), (status(LIST), Some(list_with(&[])))]);
    world.settle(NOW);
    world
}

#[test]
fn trust_paths() {
    let mut world = three_levels();
    let path = format!("trust path did:web:transport.example {LICENCE}");
    let mut desk = Desk::new(&world, NOW + 4 * MINUTE);
    desk.run(&path, 0);
    let found = desk.json(&path);
    assert_eq!(found["kind"], "standfast/trust-path/v1");
    let steps = found["path"].as_array().expect("a path");
    let authorities: Vec<&Value> = steps.iter().map(|step| &step["authority"]).collect();
    assert_eq!(authorities, ["did:web:interior.example", "did:web:ministry.example", "did:web:harbour.example"]);
    for step in steps.iter().chain([&found["register"]]) {
        assert_eq!((&step["size_witnessed"], &step["witnessed_age_s"]), (&1.into(), &(4 * MINUTE).into()), "{step}");
        assert_eq!(step["published_age_s"], 4 * MINUTE, "{step}");
        assert!(step["register"].as_str().is_some_and(|origin| origin.len() > 40), "the whole origin: {step}");
    }
    // What is missing, exactly: known, then not known.
    desk.run("trust path did:web:transport.example https://gov.example/Other", 1);
    let none = desk.json("trust path did:web:transport.example https://gov.example/Other");
    assert_eq!((&none["found"], &none["indeterminate"]), (&false.into(), &false.into()));
    assert_eq!(none["missing"][0]["code"], "out-of-scope");
    assert_eq!(none["searched"].as_array().map(Vec::len), Some(2));
    let mut late = Desk::new(&world, NOW + 26 * HOUR);
    late.run("trust path did:web:transport.example https://gov.example/Other", 3);
    let doubted = late.json("trust path did:web:transport.example https://gov.example/Other");
    assert!(doubted["doubt"].is_string() && doubted["indeterminate"] == true, "{doubted}");
    desk.screen.push_str(&format!("\n{}", late.screen));
    let (key, _) = world.issue("transport", LICENCE, "");
    world.publish("harbour", vec![(key, None)]);
    world.publish("harbour", vec![world.issue("stranger", LICENCE, "")]);
    desk.put("data/snapshot.standfast", &bundle(&world));
    desk.run(&path, 1).run(&format!("trust path did:web:stranger.example {LICENCE}"), 3);
    desk.check("trust-path");
}

#[test]
fn entries_of_a_newer_version() {
    let mut world = world();
    world.publish_unreadable("ministry");
    let mut desk = Desk::new(&world, NOW + 4 * MINUTE);
    desk.put("licence.jwt", &licence(40_911));
    desk.put("revoked.jwt", &licence(40_912));
    desk.run("verify licence.jwt", 3).run("verify revoked.jwt", 1);
    desk.run(&format!("trust path did:web:transport.example {LICENCE}"), 3);
    desk.run("status", 0).run("ready", 3);
    let status = desk.json("status");
    let state = status["registers"].as_array().expect("registers").iter().find(|r| r["state"] == "upgrade-needed");
    assert!(state.is_some_and(|r| r["origin"].as_str().is_some_and(|o| o.starts_with("ministry"))), "{status}");
    desk.check("upgrade-needed");
}

#[test]
fn a_document_and_its_age() {
    let mut world = world();
    // Somebody else's register holds one, too.
    let document = world.document("transport");
    world.publish("ministry", vec![document]);
    world.settle(NOW);
    let mut desk = Desk::new(&world, NOW + 4 * MINUTE);
    desk.run("did show did:web:transport.example", 0);
    desk.check("did");
    let shown = desk.json("did show did:web:transport.example");
    let bound: Vec<&Value> = shown.as_array().expect("two").iter().map(|one| &one["bound"]).collect();
    assert!(bound.contains(&&Value::Bool(true)) && bound.contains(&&Value::Bool(false)), "{shown}");
}
