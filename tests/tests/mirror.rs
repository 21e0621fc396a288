//! Registers as files and proofs of records: written by the program, read back by it, by a stranger's Python, and by
//! crates that others wrote.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use standfast_protocol::bundle::Bundle;
use standfast_protocol::register::body::Record;
use standfast_protocol::register::mirror::Mirror;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::time::Time;
use standfast_tests::cluster::Federation;
use standfast_tests::interop::{python, second_opinion};
use standfast_tests::skip::unless_missing;
use standfast_tests::world::{Edit, NOW, World};

/// When the tests look.
const THEN: u64 = NOW + 60;

/// A folder in which commands run: one data directory that holds a world, and `charter.note`.
struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new(world: &World) -> Self {
        let desk = Self { dir: tempfile::tempdir().expect("a folder") };
        fs::create_dir(desk.path("data")).expect("a folder");
        fs::write(desk.path("charter.note"), world.charter.note().to_string()).expect("a file");
        desk.hold(world);
        desk
    }

    fn hold(&self, world: &World) {
        let bytes = Bundle::of(world.snapshot().replica()).encode();
        fs::write(self.path("data/snapshot.standfast"), bytes).expect("a file");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn output(&self, data_dir: &str, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_standfast-under-test"));
        command.args(line.split(' ')).args(["--now", &Time::from_secs_saturating(THEN).to_string(), "--json"]);
        command.current_dir(self.dir.path()).env_clear();
        command.env("HOME", self.dir.path()).env("STANDFAST_DATA_DIR", data_dir);
        command.output().expect("the program starts")
    }

    /// Runs a command where a world is held; returns its document.
    #[track_caller]
    fn json(&self, line: &str) -> Value {
        let output = self.output("data", line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stdout).expect("one JSON document")
    }

    /// Runs a command where nothing is held: exit code, and document or error.
    fn stranger(&self, line: &str) -> (i32, Value) {
        let output = self.output("nothing", line);
        let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{line}: {e}: {output:?}"));
        (output.status.code().expect("an exit code"), document)
    }
}

fn notice(id: &str, text: &str) -> Edit {
    (RecordKey::notice(id).expect("a key"), Some(text.as_bytes().to_vec()))
}

/// The standard world, in which transport says `notices` more things.
fn witnessed(notices: u64) -> World {
    let mut world = World::new();
    (0..notices).for_each(|n| world.publish("transport", vec![notice(&(n % 50).to_string(), &format!("text {n}"))]));
    world.settle(NOW);
    world
}

/// The same, and one thing more, which is not witnessed.
fn world(notices: u64) -> World {
    let mut world = witnessed(notices);
    world.publish("transport", vec![notice("pending", "not witnessed")]);
    world
}

/// All files below a folder by their paths in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(below) = open.pop() {
        for entry in fs::read_dir(&below).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                open.push(entry);
            } else {
                let name = entry.strip_prefix(folder).expect("below it").to_string_lossy().into_owned();
                found.insert(name, fs::read(&entry).expect("a file"));
            }
        }
    }
    found
}

#[test]
fn a_stranger_with_the_charter_alone_checks_a_proof() {
    let desk = Desk::new(&world(3));
    let origin = world(3).agencies["transport"].origin.clone();
    let proven = desk.json("record prove notice/1 --out there.tlog-proof --leaf leaf");
    assert_eq!((&proven["present"], &proven["register"]), (&true.into(), &origin.as_str().into()));
    desk.json("record prove notice/none --register transport --out absent.tlog-proof");
    // It is published, and not witnessed: that is not there yet.
    desk.json("record prove notice/pending --register transport --out pending.tlog-proof");
    for (file, present) in [("there", true), ("absent", false), ("pending", false)] {
        let (exit, shown) = desk.stranger(&format!("record verify {file}.tlog-proof --charter charter.note"));
        assert_eq!((exit, &shown["present"]), (0, &present.into()), "{shown}");
        let steps: Vec<&Value> = shown["steps"].as_array().expect("steps").iter().map(|s| &s["entity"]).collect();
        assert_eq!(steps, ["did:web:interior.example", "did:web:ministry.example", "did:web:transport.example"]);
        assert_eq!(shown["witnessed_age_s"], 60, "{shown}");
    }
    let whole = fs::read(desk.path("there.tlog-proof")).expect("the proof");
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut bad = whole.clone();
        bad[at] ^= 1;
        fs::write(desk.path("bad.tlog-proof"), bad).expect("a file");
        let (exit, shown) = desk.stranger("record verify bad.tlog-proof --charter charter.note");
        assert!((1..=2).contains(&exit) && shown["kind"] == "standfast/error/v1", "byte {at}: {shown}");
    }
    let (exit, shown) = desk.stranger("record verify there.tlog-proof");
    assert_eq!((exit, &shown["code"]), (3, &"charter-missing".into()), "{shown}");
    let mut other = World::new();
    other.end_charter_at(THEN - 1);
    fs::write(desk.path("ended.note"), other.charter.note().to_string()).expect("a file");
    let (exit, shown) = desk.stranger("record verify there.tlog-proof --charter ended.note");
    assert_eq!((exit, &shown["code"]), (3, &"charter-expired".into()), "{shown}");
}

#[test]
fn every_altered_or_missing_file_of_a_mirror_is_found() {
    for notices in [2, 300] {
        let desk = Desk::new(&world(notices));
        let exported = desk.json("register export transport mirror");
        let verify = || desk.stranger("register verify mirror --charter charter.note");
        let (exit, whole) = verify();
        assert_eq!((exit, &whole["state"]), (0, &"whole".into()), "{whole}");
        assert_eq!((&whole["size"], &whole["size_witnessed"]), (&(notices + 2).into(), &(notices + 1).into()));
        assert_eq!((&whole["witnesses"].as_array().map(Vec::len), &whole["keys_from"]), (&Some(3), &"charter".into()));
        let files = files(&desk.path("mirror"));
        assert_eq!(exported["files"], files.len());
        for (name, bytes) in &files {
            let path = desk.path("mirror").join(name);
            let places = [0, bytes.len() / 2, bytes.len() - 1];
            for at in if notices < 9 { places.to_vec() } else { places[1..2].to_vec() } {
                let mut bad = bytes.clone();
                bad[at] ^= 1;
                fs::write(&path, &bad).expect("a file");
                let (exit, shown) = verify();
                assert_ne!(exit, 0, "{name}, byte {at}: {shown}");
                fs::write(&path, &bytes[..at]).expect("a file");
                let (exit, shown) = verify();
                assert_ne!(exit, 0, "{name}, cut at {at}: {shown}");
            }
            fs::remove_file(&path).expect("it was there");
            let (exit, shown) = verify();
            // Without `witnessed` all is pending, and of old versions the bodies are not there any more.
            let is_needed = name != "binding" && !is_of_earlier_size(name, notices + 2);
            assert!(name == "witnessed" || (exit != 0) == is_needed, "{name} gone: {shown}");
            fs::write(&path, bytes).expect("a file");
        }
        fs::write(desk.path("mirror/index.html"), b"hello").expect("a file");
        assert_eq!(verify().1["files_unknown"], serde_json::json!(["index.html"]));
    }
}

/// True for a partial tile of another size than the newest.
fn is_of_earlier_size(name: &str, size: u64) -> bool {
    name.split_once(".p/").is_some_and(|(place, width)| {
        let rest = if place.starts_with("tile/1/") { size / 256 } else { size % 256 };
        width != rest.to_string()
    })
}

#[test]
fn a_folder_is_brought_up_to_date_and_what_is_final_is_never_written_again() {
    let desk = Desk::new(&witnessed(3));
    let first = desk.json("register export transport mirror");
    assert_eq!(first["files_written"], first["files"]);
    assert_eq!(desk.json("register export transport mirror")["files_written"], 0);
    let small = files(&desk.path("mirror"));

    desk.hold(&world(300));
    let stamp = |name: &str| fs::metadata(desk.path("mirror").join(name)).expect("a file").modified().expect("a time");
    let bodies: Vec<&String> = small.keys().filter(|name| name.starts_with("body/")).collect();
    let before: Vec<_> = bodies.iter().map(|name| stamp(name)).collect();
    desk.json("register export transport mirror");
    let large = files(&desk.path("mirror"));
    assert!(large.contains_key("tile/0/000") && !large.contains_key("tile/0/000.p/4"), "a full tile in its place");
    assert_eq!(bodies.iter().map(|name| stamp(name)).collect::<Vec<_>>(), before);
    assert_eq!(desk.stranger("register verify mirror --charter charter.note").0, 0);

    let refused = |code: &str| {
        let output = desk.output("data", "register export transport mirror");
        let shown: Value = serde_json::from_slice(&output.stdout).expect("an error");
        assert_eq!(shown["code"], code, "{shown}");
        assert_eq!(files(&desk.path("mirror")), large, "nothing was written");
    };
    desk.hold(&witnessed(3));
    refused("mirror-ahead");
    let mut other = World::new();
    (0..305).for_each(|n| other.publish("transport", vec![notice("1", &format!("other {n}"))]));
    other.settle(NOW);
    desk.hold(&other);
    refused("mirror-diverges");
    let (interior, other) = (desk.output("data", "register export interior mirror"), desk.path("full"));
    assert_eq!(interior.status.code(), Some(2));
    fs::create_dir(&other).expect("a folder");
    fs::write(other.join("letter.txt"), b"mine").expect("a file");
    assert_eq!(desk.output("data", "register export transport full").status.code(), Some(2));
    assert_eq!(files(&other).len(), 1);
}

#[test]
fn a_fork_goes_with_the_files_and_is_told() {
    let mut world = world(2);
    world.publish_on("transport", 1, vec![notice("two", "faced")]);
    let desk = Desk::new(&world);
    desk.json("register export transport mirror");
    let (exit, shown) = desk.stranger("register verify mirror --charter charter.note");
    assert_eq!((exit, &shown["state"]), (4, &"forked".into()), "{shown}");
    let output = desk.output("data", "register verify transport");
    assert_eq!(output.status.code(), Some(4));
}

#[test]
fn without_a_charter_the_keys_are_the_folders_own() {
    let desk = Desk::new(&world(2));
    desk.json("register export transport mirror");
    let (exit, shown) = desk.stranger("register verify mirror");
    assert_eq!((exit, &shown["state"], &shown["keys_from"]), (3, &"keys-unknown".into(), &"folder".into()), "{shown}");
    assert_eq!(shown["signatures_unknown"], 3);
    let held = desk.json("register verify mirror");
    assert_eq!((&held["state"], &held["keys_from"]), (&"whole".into(), &"held".into()));
    assert_eq!(desk.json("register verify transport")["size"], held["size"]);
}

#[test]
fn a_strangers_python_reads_folders_and_proofs_and_refuses_altered_ones() {
    let Some(python) = unless_missing(python()) else { return };
    for notices in [2, 300] {
        let desk = Desk::new(&world(notices));
        desk.json("register export transport mirror");
        let (mirror, charter) = (desk.path("mirror"), desk.path("charter.note"));
        let said = python.stranger("mirror", &mirror, &charter, THEN).expect("it holds");
        assert_eq!((&said["size"], &said["witnessed"]), (&(notices + 2).into(), &(notices + 1).into()), "{said}");
        for name in ["checkpoint", "witnessed", "binding.tlog-proof"] {
            alter(&mirror.join(name), 9, || python.stranger("mirror", &mirror, &charter, THEN).map(drop));
        }
        for (name, bytes) in files(&mirror).iter().filter(|(name, _)| name.contains('/')) {
            // The stranger reads tiles of the newest size alone.
            if !is_of_earlier_size(name, notices + 2) && bytes.len() % 7 == 0 {
                alter(&mirror.join(name), bytes.len() / 2, || {
                    python.stranger("mirror", &mirror, &charter, THEN).map(drop)
                });
            }
        }
        for (record, present) in [("notice/1", true), ("notice/none", false)] {
            desk.json(&format!("record prove {record} --register transport --out a.tlog-proof --yes"));
            let file = desk.path("a.tlog-proof");
            let said = python.stranger("proof", &file, &charter, THEN).expect("it holds");
            assert_eq!((&said["record"], &said["present"]), (&record.into(), &present.into()), "{said}");
            assert_eq!(said["steps"][2], serde_json::json!(["did:web:transport.example", notices + 1, NOW]));
            let size = fs::read(&file).expect("the proof").len();
            for at in (30..size).step_by(size / 12) {
                alter(&file, at, || python.stranger("proof", &file, &charter, THEN).map(drop));
            }
        }
    }
}

/// Alters a byte of a file, expects a refusal, and puts it back.
#[track_caller]
fn alter(path: &Path, at: usize, check: impl Fn() -> Result<(), String>) {
    let whole = fs::read(path).expect("a file");
    let mut bad = whole.clone();
    bad[at] ^= 1;
    fs::write(path, bad).expect("a file");
    assert!(check().is_err(), "{}, byte {at}", path.display());
    fs::write(path, whole).expect("a file");
}

#[test]
fn signed_note_and_tlog_tiles_are_of_one_mind_with_us() {
    let Some(others) = unless_missing(second_opinion()) else { return };
    for notices in [2, 300] {
        let desk = Desk::new(&world(notices));
        desk.json("register export transport mirror");
        desk.json("record prove notice/1 --out a.tlog-proof --leaf leaf");
        let binding: Value =
            serde_json::from_slice(&fs::read(desk.path("mirror/binding")).expect("a file")).expect("JSON");
        let key = binding["keys"][0].as_str().expect("a key");
        let [mirror, proof, leaf] =
            ["mirror", "a.tlog-proof", "leaf"].map(|name| desk.path(name).display().to_string());
        let said = others.ask(&["mirror", &mirror, key]).expect("it holds");
        assert_eq!((&said["size"], &said["known"]), (&(notices + 2).into(), &1.into()), "{said}");
        let said = others.ask(&["proof", &proof, &leaf, key]).expect("it holds");
        assert_eq!((&said["index"], &said["unknown"]), (&notices.into(), &2.into()), "{said}");
        alter(&desk.path("leaf"), 3, || others.ask(&["proof", &proof, &leaf, key]).map(drop));
        let name = if notices > 256 { "mirror/tile/0/000" } else { "mirror/tile/0/000.p/4" };
        alter(&desk.path(name), 33, || others.ask(&["mirror", &mirror, key]).map(drop));
        alter(&desk.path("mirror/checkpoint"), 200, || others.ask(&["mirror", &mirror, key]).map(drop));
    }
}

#[test]
fn a_node_serves_the_files_of_its_registers() {
    let mut federation = Federation::new(Path::new(env!("CARGO_BIN_EXE_standfast-under-test")), 1);
    federation.witnesses[0].start();
    let founding = federation.founding();
    founding.iter().for_each(|submission| federation.witnesses[0].publish(submission));
    let origin = federation.transport.origin.clone();
    let witness = &federation.witnesses[0];
    witness.witnessed(&origin, founding.len() as u64 - 2);

    let bundle = Bundle::decode(&witness.get("/v1/snapshot").body).expect("a bundle");
    let (replica, _) = bundle.open(standfast_tests::cluster::now()).expect("it opens");
    let mirror = Mirror::new(replica.register(&origin).expect("held"), replica.bodies());
    let get = |path: &str| witness.get(&format!("/v1/registers/{origin}/{path}"));
    let paths = mirror.paths().expect("held whole");
    assert!(paths.len() >= 6, "{paths:?}");
    for path in &paths {
        let (answer, file) = (get(path), mirror.read(path).expect("it is there"));
        assert_eq!((answer.status, answer.body.as_slice()), (200, file.bytes.as_ref()), "{path}");
        let (kind, cache) = match path.as_str() {
            "checkpoint" | "witnessed" => ("text/plain; charset=utf-8", "no-cache"),
            "binding" => ("application/json", "no-cache"),
            _ => ("application/octet-stream", "public, max-age=31536000, immutable"),
        };
        assert_eq!(
            (answer.header("content-type"), answer.header("cache-control")),
            (Some(kind), Some(cache)),
            "{path}"
        );
    }
    let proof = get("binding.tlog-proof");
    let proof = standfast_protocol::proof::RecordProof::parse(&proof.body).expect("a proof");
    let proven = proof.verify(replica.charter(), standfast_tests::cluster::now()).expect("it holds");
    let record = Record::new(proven.body().expect("present").clone());
    let entry = record.trust_entry().expect("a trust entry");
    assert_eq!(entry.terms.register.as_ref().map(|register| &register.origin), Some(&origin));

    for path in ["tile/0/000", "tile/0/000.p/200", "tile/1/000.p/1", "tile/0/0", "body/00", "fork", "nothing", ""] {
        let answer = get(path);
        assert_eq!((answer.status, answer.header("cache-control")), (404, Some("no-store")), "{path}");
        assert_eq!(answer.json()["kind"], "standfast/error/v1", "{path}");
    }
    let elsewhere = witness.get("/v1/registers/nobody.example/register/00/checkpoint");
    assert_eq!((elsewhere.status, &elsewhere.json()["code"]), (404, &"register-missing".into()));
}
