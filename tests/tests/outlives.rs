//! A did:webvh DID from the command line: made, rotated, mirrored, ended; and a credential that outlives its issuer's domain,
//! servers and keys.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use standfast_node::config::{Config, Options};
use standfast_node::keystore::Passphrase;
use standfast_node::run::Node;
use standfast_node::telemetry::Reporter;

const PASSPHRASE: &str = "correct horse battery staple";
const LICENCE: &str = "https://gov.example/DrivingLicence";
/// Nobody waits longer for the witness.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a data directory for each organisation.
pub(crate) struct Town {
    dir: tempfile::TempDir,
}

impl Town {
    /// A ministry that is the anchor, and an agency with a did:webvh DID, which nobody has authorised yet.
    pub(crate) fn new(witnesses: &str, cosigned_by: Option<&str>, now: &str) -> (Self, String) {
        let town = Self { dir: tempfile::tempdir().expect("a scratch directory") };
        fs::create_dir(town.path().join("credentials")).expect("a folder");
        // One passphrase for all keys of a log, however many it has had.
        for key in ["root", "interior", "transport", "lic-1", "lic-2", "lic-3", "lic-4", "witness", "hub.example.log"] {
            town.write(&format!("credentials/standfast.{key}"), PASSPHRASE);
        }
        town.screen("interior", "key create root --use root");
        town.screen("interior", "key create interior --use register");
        town.screen("interior", "register create interior.example --key interior");
        let witnesses = match cosigned_by {
            None => witnesses.to_owned(),
            Some(name) => {
                town.screen("interior", &format!("key create {name} --use witness"));
                let keys = town.screen("interior", &format!("key show {name} --as vkey"));
                let keys: Vec<&str> = keys.lines().collect();
                format!("[witnesses.named.{name}]\ncosign = \"{}\"\nview = \"{}\"", keys[0], keys[1])
            }
        };
        let binding = town.read("interior.binding").trim().replace("\":", "\" = ");
        let root = town.screen("interior", "key show root --as vkey");
        let plan = format!(
            "expires_at = \"2090-12-01T00:00:00Z\"\n[roots]\nthreshold = 1\nkeys = [\"{}\"]\n{witnesses}\n[[anchors]]\n\
             authority = \"did:web:interior.example\"\nregister = {binding}\n",
            root.trim()
        );
        town.write("plan.toml", &plan);
        town.screen("interior", &format!("charter create plan.toml --out charter-1.note {now}"));
        town.screen("interior", &format!("charter sign charter-1.note --key root {now}"));
        for of in ["interior", "transport"] {
            town.screen(of, "charter publish charter-1.note --yes");
        }
        town.screen("transport", "key create transport --use register");
        town.screen("transport", "register create hub.example --key transport");
        for number in 1..=4 {
            town.screen("transport", &format!("key create lic-{number} --use issue"));
        }
        let made = town.json("transport", &format!("did create hub.example --method webvh --key lic-1 {now}"));
        assert_eq!(made["next_keys"], serde_json::json!(["hub.example.log-2"]));
        town.write("ada.json", &format!(r#"{{"type":"{LICENCE}","credentialSubject":{{"id":"did:example:ada"}}}}"#));
        (town, made["did"].as_str().expect("a DID").to_owned())
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn data_dir(&self, of: &str) -> PathBuf {
        self.path().join(of)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("a file");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).expect("a file")
    }

    fn run(&self, of: &str, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_standfast-under-test"))
            .args(line.split_whitespace())
            .current_dir(self.path())
            .env_clear()
            .env("STANDFAST_DATA_DIR", self.data_dir(of))
            .env("CREDENTIALS_DIRECTORY", self.path().join("credentials"))
            .output()
            .expect("the command runs")
    }

    /// Runs a command that is to end with `exit`; returns both streams.
    pub(crate) fn ends(&self, of: &str, line: &str, exit: i32) -> (String, String) {
        let output = self.run(of, line);
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
        assert_eq!(output.status.code(), Some(exit), "{of}$ standfast {line}\n{out}{err}");
        (out, err)
    }

    pub(crate) fn screen(&self, of: &str, line: &str) -> String {
        self.ends(of, line, 0).0
    }

    pub(crate) fn json(&self, of: &str, line: &str) -> Value {
        serde_json::from_str(&self.screen(of, &format!("{line} --json"))).expect("one JSON document")
    }

    /// Carries all that one organisation holds to another.
    pub(crate) fn carry(&self, from: &str, to: &str) {
        self.screen(from, &format!("bundle export --out {from}.standfast --yes"));
        let imported = self.run(to, &format!("bundle import {from}.standfast"));
        assert!(matches!(imported.status.code(), Some(0 | 3)), "{}", String::from_utf8_lossy(&imported.stderr));
    }

    pub(crate) fn grant(&self, did: &str) {
        let from = "--from 2020-01-01 --until 2080-01-01 --register transport.binding --yes --wait";
        self.screen("interior", &format!("trust grant {did} issue {LICENCE} {from}"));
    }
}

#[test]
fn a_log_is_made_rotated_and_ended_by_commands() {
    let (town, did) = Town::new("[witnesses]\nquorum = \"quorum none\"", None, "");
    town.grant(&did);
    town.carry("interior", "transport");
    let (shown, _) = town.ends("transport", &format!("did show {did}"), 0);
    assert!(shown.contains("  here      1 version, not published\n"), "{shown}");
    town.screen("transport", &format!("did publish {did}"));
    let (again, _) = town.ends("transport", "did create hub.example --method webvh --key lic-2", 2);
    assert!(again.is_empty());
    town.screen("transport", "credential issue ada.json --key lic-1 --out ada.jwt");

    let dry = town.screen("transport", &format!("did rotate {did} --to lic-2 --dry-run"));
    assert!(dry.starts_with("Would publish entry 2 of hub.example, "), "{dry}");
    assert_eq!(town.json("transport", &format!("did show {did}"))["kept_here"], 1, "a dry run signs nothing");
    let (_, said) = town.ends("transport", &format!("did rotate {did} --to lic-2"), 0);
    assert_eq!(said, "Version 2 is signed by key hub.example.log-2; the next one will be by hub.example.log-3\n");
    let same = town.screen("transport", &format!("did rotate {did} --to lic-2"));
    assert_eq!(same, "✓ nothing to change: hub.example says it already\n");
    let (_, asked) = town.ends("transport", &format!("did rotate {did} --to lic-3 --drop-old"), 2);
    assert!(asked.contains("#lic-1\n- ") && asked.contains("this needs a yes"), "{asked}");

    let policy = town.screen("police", "policy show standard").replace("quorum_none = false", "quorum_none = true");
    town.write("policy.toml", &policy);
    let verify = |bundle: &str, exit| {
        town.ends("police", &format!("verify ada.jwt --trust {bundle}.standfast --policy policy.toml"), exit).0
    };
    town.screen("transport", "bundle export --out rotated.standfast");
    assert!(verify("rotated", 0).starts_with("✓ ACCEPTED"), "what the older key signed stays good");

    // A document by hand: the older key goes.
    let mut document = town.json("transport", &format!("did show {did}"))["document"].clone();
    for list in ["verificationMethod", "assertionMethod", "authentication"] {
        document[list].as_array_mut().expect("a list").remove(0);
    }
    town.write("did.json", &document.to_string());
    town.screen("transport", &format!("did update {did} did.json --yes"));
    town.screen("transport", "bundle export --out dropped.standfast");
    let dropped = verify("dropped", 1);
    assert!(dropped.contains("(key-absent)"), "{dropped}");

    // Restored from a backup, the log goes on from the register's copy, and makes no fork.
    let scid = did.split(':').nth(2).expect("a SCID");
    let log = town.data_dir("transport").join(format!("did/{scid}.jsonl"));
    let newest = fs::read_to_string(&log).expect("the log");
    let (first, _) = newest.split_once('\n').expect("a first version");
    fs::write(&log, format!("{first}\n")).expect("a backup");
    town.screen("transport", &format!("did rotate {did} --to lic-3"));
    let shown = town.json("transport", &format!("did show {did}"));
    assert_eq!((&shown["forked"], shown["versions"].as_array().map(Vec::len)), (&false.into(), Some(4)));

    // Another register mirrors it: the file as a web server serves it.
    town.screen("transport", &format!("did show {did} --log did.jsonl"));
    town.carry("transport", "interior");
    town.screen("interior", "did publish did.jsonl");
    town.write("old.jsonl", first);
    let (_, older) = town.ends("interior", "did publish old.jsonl", 1);
    assert!(older.starts_with("error: the log in the file is older than the one of\n       did:webvh:"), "{older}");
    town.screen("interior", &format!("record publish did/{did} did.jsonl"));
    let copies = town.json("interior", &format!("did show {did}"))["copies"].clone();
    assert_eq!(copies.as_array().map(Vec::len), Some(2), "{copies}");

    let (_, asked) = town.ends("transport", &format!("did deactivate {did}"), 2);
    assert!(asked.contains("this needs a yes"), "{asked}");
    town.screen("transport", &format!("did deactivate {did} --yes"));
    town.screen("transport", "bundle export --out ended.standfast");
    assert!(verify("ended", 1).contains("(did-deactivated)"));
    let (_, ended) = town.ends("transport", &format!("did rotate {did} --to lic-4"), 1);
    assert_eq!(ended, "error: the log cannot be continued: the DID was deactivated\n");
    let (_, unknown) = town.ends("transport", "credential issue ada.json --key lic-3 --out late.jwt", 0);
    assert_eq!(unknown, "", "an ended DID issues nothing; the key has its own did:key");
    let late = town.json("transport", "credential show late.jwt");
    assert!(late.to_string().contains("did:key:"), "{late}");
}

#[test]
fn a_did_web_rotates_and_is_withdrawn() {
    let (town, _) = Town::new("[witnesses]\nquorum = \"quorum none\"", None, "");
    let did = "did:web:hub.example";
    town.grant(did);
    town.carry("interior", "transport");
    town.screen("transport", "did create hub.example --method web --key lic-1");
    town.screen("transport", &format!("did publish {did}"));
    town.screen("transport", &format!("did rotate {did} --to lic-2"));
    let document = &town.json("transport", &format!("did show {did}"))["document"];
    let expected = serde_json::json!([format!("{did}#lic-1"), format!("{did}#lic-2")]);
    assert_eq!((&document["assertionMethod"], &document["authentication"]), (&expected, &expected));
    let issue = "credential issue ada.json --key lic-2 --out ada.jwt --json";
    assert!(town.screen("transport", issue).contains("did:web:hub.example#lic-2"));
    let (_, asked) = town.ends("transport", &format!("did rotate {did} --to lic-3 --drop-old"), 2);
    assert!(asked.starts_with("- did:web:hub.example#lic-1\n- did:web:hub.example#lic-2\nerror: "), "{asked}");
    town.screen("transport", &format!("did rotate {did} --to lic-3 --drop-old --yes"));
    let document = &town.json("transport", &format!("did show {did}"))["document"];
    assert_eq!(document["verificationMethod"].as_array().map(Vec::len), Some(1), "{document}");
    town.screen("transport", &format!("did deactivate {did} --yes"));
    town.ends("transport", &format!("did show {did}"), 3);
    town.ends("transport", &format!("did rotate {did} --to lic-4"), 1);
}

#[test]
fn a_credential_outlives_its_issuers_domain_servers_and_keys() {
    let (town, did) = Town::new("", Some("witness"), "");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let options = Options { data_dir: Some(town.data_dir("interior")), ..Options::default() };
    let mut config = Config::load(&options).expect("a configuration");
    config.network.listen = vec!["/ip4/127.0.0.1/tcp/0".to_owned()];
    config.api.listen = "127.0.0.1:0".parse().expect("an address");
    config.witness.key = Some("witness".to_owned());
    let start = || {
        let passphrase = |_: &str| Passphrase::new(PASSPHRASE.to_owned().into());
        runtime.block_on(Node::start(&config, passphrase, Reporter::silent())).expect("the node starts")
    };

    let node = start();
    town.grant(&did);
    runtime.block_on(node.stop()).expect("the node stops");
    town.carry("interior", "transport");
    // The agency issues, and changes its key three times. It has no node; its bundle is carried.
    town.screen("transport", &format!("did publish {did}"));
    town.screen("transport", "credential issue ada.json --key lic-1 --out ada.jwt");
    for number in 2..=4 {
        town.screen("transport", &format!("did rotate {did} --to lic-{number}"));
    }
    town.carry("transport", "interior");
    fs::remove_dir_all(town.data_dir("transport")).expect("domain, servers and keys are gone");

    let node = start();
    let since = Instant::now();
    loop {
        let held = town.json("interior", "register show hub.example");
        if held["size_witnessed"] == 4 {
            break;
        }
        assert!(since.elapsed() < PATIENCE, "{held}");
        std::thread::yield_now();
    }
    runtime.block_on(node.stop()).expect("the node stops");
    town.screen("interior", "bundle export --out mirror.standfast");

    let verify = "verify ada.jwt --trust mirror.standfast";
    assert!(town.screen("police", verify).starts_with("✓ ACCEPTED   every check passed\n"));
    // Twelve days later nobody has heard of anybody. Who relies on it says for how long a silent issuer is borne.
    let later = format!("--now {}", days_from_now(12));
    let (undecided, _) = town.ends("police", &format!("{verify} {later}"), 3);
    assert!(undecided.contains("(issuer-silent)"), "{undecided}");
    let policy = town.screen("police", "policy show standard").replace("witnessed_s = 86400", "witnessed_s = 2592000");
    town.write("patient.toml", &format!("{policy}\n[tolerated]\npublished_s = 2592000\n"));
    let card = town.screen("police", &format!("{verify} --policy patient.toml {later}"));
    assert!(card.starts_with("✓ ACCEPTED"), "{card}");
    let words = card.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("as of head 4 of hub.example, "), "{card}");
    assert!(words.contains("the issuer has been silent for 13 days (issuer-silent)"), "a begun day counts: {card}");
    let verdict = town.json("police", &format!("{verify} --policy patient.toml {later}"));
    assert!(verdict["warnings"].to_string().contains("issuer-silent"), "{verdict}");
    let head = town.json("interior", "register show hub.example");
    let root = head["root"].as_str().expect("a root");
    assert!(verdict["checks"].to_string().contains(root), "as of head {root}: {verdict}");
}

fn days_from_now(days: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs();
    standfast_protocol::time::Time::from_secs_saturating(now + days * 86_400).to_string()
}
