//! A ministry's and an agency's first day, through the binary: with no node at all, and with one that witnesses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use standfast_node::config::{Config, Options};
use standfast_node::keystore::Passphrase;
use standfast_node::local::LocalNode;
use standfast_node::run::Node;
use standfast_node::telemetry::Reporter;
use standfast_protocol::bundle::Bundle;

const PASSPHRASE: &str = "correct horse battery staple";
const LIST: &str = "https://transport.gov.example/status/1";
const LICENCE: &str = "https://gov.example/DrivingLicence";
const DID: &str = "did:web:transport.gov.example";

/// One desk: a folder to work in, with a data directory for each organisation.
struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        fs::create_dir(dir.path().join("credentials")).expect("a folder");
        for key in ["root", "interior", "transport", "lic-2026", "witness"] {
            fs::write(dir.path().join(format!("credentials/standfast.{key}")), PASSPHRASE).expect("a passphrase");
        }
        Self { dir }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn data_dir(&self, of: &str) -> PathBuf {
        self.path().join(of)
    }

    fn run(&self, of: &str, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_standfast-under-test"))
            .args(line.split(' '))
            .current_dir(self.path())
            .env_clear()
            .env("STANDFAST_DATA_DIR", self.data_dir(of))
            .env("CREDENTIALS_DIRECTORY", self.path().join("credentials"))
            .output()
            .expect("the command runs")
    }

    /// Runs a command that is to end with `exit`; returns both streams.
    fn ends(&self, of: &str, line: &str, exit: i32) -> (String, String) {
        let output = self.run(of, line);
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
        assert_eq!(output.status.code(), Some(exit), "{of}$ standfast {line}\n{out}{err}");
        (out, err)
    }

    fn screen(&self, of: &str, line: &str) -> String {
        self.ends(of, line, 0).0
    }

    fn json(&self, of: &str, line: &str) -> serde_json::Value {
        serde_json::from_str(&self.screen(of, &format!("{line} --json"))).expect("one JSON document")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("a file");
    }

    /// Makes the keys and registers of both, and a charter that names the ministry. `witnesses` is that part of its plan.
    fn found(&self, witnesses: &str) {
        self.screen("interior", "key create root --use root");
        self.screen("interior", "key create interior --use register");
        self.screen("interior", "register create interior.gov.example --key interior");
        let binding = fs::read_to_string(self.path().join("interior.binding")).expect("the binding");
        let binding = binding.trim().replace("\":", "\" = ");
        let root = self.screen("interior", "key show root --as vkey");
        let plan = format!(
            "expires_at = \"2090-12-01T00:00:00Z\"\n[roots]\nthreshold = 1\nkeys = [\"{}\"]\n{witnesses}\n[[anchors]]\n\
             authority = \"did:web:interior.gov.example\"\nregister = {binding}\n",
            root.trim()
        );
        self.write("plan.toml", &plan);
        self.screen("interior", "charter create plan.toml --out charter-1.note");
        self.screen("interior", "charter sign charter-1.note --key root");
        let (_, refused) = self.ends("interior", "charter publish charter-1.note", 2);
        assert!(refused.contains("this needs a yes"), "{refused}");
        for of in ["interior", "transport"] {
            assert!(self.screen(of, "charter publish charter-1.note --yes").starts_with("✓ admitted here\n"));
        }
        self.screen("transport", "key create transport --use register");
        self.screen("transport", "register create transport.gov.example --key transport");
        self.screen("transport", "key create lic-2026 --use issue");
        self.screen("transport", "did create transport.gov.example --method web --key lic-2026");
        let unsigned = format!(r#"{{"type":"{LICENCE}","credentialSubject":{{"id":"did:example:ada"}}}}"#);
        self.write("ada.json", &unsigned);
    }

    /// Carries all that one data directory holds to another, as a bundle does.
    fn carry(&self, from: &str, to: &str) {
        let bytes = fs::read(self.data_dir(from).join("snapshot.standfast")).expect("a snapshot");
        let mut node = LocalNode::open(&self.data_dir(to)).expect("the store");
        let bundle = Bundle::decode(&bytes).expect("a bundle");
        let submission = bundle.submission(node.replica()).expect("of this network");
        node.submit(submission).expect("it is taken");
        node.close().expect("closed");
    }
}

fn grant() -> String {
    format!("trust grant {DID} issue {LICENCE} --until 2080-01-01 --register transport.binding --yes")
}

#[test]
fn an_agencys_day_without_any_node() {
    let desk = Desk::new();
    desk.found("[witnesses]\nquorum = \"quorum none\"");
    let (_, unbound) = desk.ends("transport", &format!("did publish {DID}"), 1);
    assert!(unbound.starts_with("error: nobody has named transport.gov.example yet\n"), "{unbound}");
    let (_, asked) = desk.ends("interior", grant().trim_end_matches(" --yes"), 2);
    assert!(asked.starts_with("Binds transport.gov.example/register/"), "{asked}");
    assert!(asked.contains("\n  z6Mk"), "the key is shown whole: {asked}");
    let counts = |entry: &str| format!("✓ entry {entry} counts at once: this network names no witnesses\n");
    let granted = desk.screen("interior", &format!("{} --wait", grant()));
    assert_eq!(granted, counts("1 of interior.gov.example"));
    desk.carry("interior", "transport");

    let published = desk.screen("transport", &format!("did publish {DID} --wait"));
    assert_eq!(published, counts("1 of transport.gov.example"));
    let again = desk.screen("transport", &format!("did publish {DID}"));
    assert_eq!(again, "✓ nothing to change: transport.gov.example says it already\n");
    let made = desk.screen("transport", &format!("status-list create {LIST} --length 131072 --wait"));
    assert_eq!(made, counts("2 of transport.gov.example"));
    let issue = format!("credential issue ada.json --key lic-2026 --as vc+jwt --status {LIST} --out ada.jwt");
    let issued = desk.screen("transport", &issue);
    assert!(issued.starts_with("Wrote ada.jwt, ") && issued.ends_with(" of 131,072\n"), "{issued}");

    let dry = desk.screen("transport", "credential revoke ada.jwt --dry-run");
    assert!(dry.starts_with("Would publish entry 3 of transport.gov.example, "), "{dry}");
    assert!(dry.ends_with(", 1 status\nNothing was signed or sent\n"), "{dry}");
    let policy = desk.screen("police", "policy show standard").replace("quorum_none = false", "quorum_none = true");
    desk.write("policy.toml", &policy);
    desk.screen("transport", "bundle export --out good.standfast");
    assert!(
        desk.screen("police", "verify ada.jwt --trust good.standfast --policy policy.toml").starts_with("✓ ACCEPTED")
    );
    let revoked = desk.json("transport", "credential revoke ada.jwt --urgent --wait");
    assert_eq!((&revoked["kind"], &revoked["size"]), (&"standfast/published/v1".into(), &3.into()));
    assert_eq!(desk.json("transport", &format!("status-list show {LIST}"))["set"], 1);

    desk.screen("transport", "bundle export --out new.standfast");
    let (rejected, _) = desk.ends("police", "verify ada.jwt --trust new.standfast --policy policy.toml", 1);
    assert!(rejected.starts_with("✗ REJECTED   revoked by its issuer\n"), "{rejected}");

    desk.carry("transport", "interior");
    let path = desk.screen("interior", &format!("trust path {DID} {LICENCE}"));
    let lines: Vec<&str> = path.lines().collect();
    assert!(lines.first().is_some_and(|line| line.starts_with("✓ charter 1, network ")), "{path}");
    assert!(path.contains("├─ interior.gov.example   anchor · size 1 · root "), "{path}");
    assert!(path.contains(&format!("│  grants issue {LICENCE} until 2080-01-01\n")), "{path}");
    assert!(path.contains("└─ transport.gov.example   size 3 · root "), "{path}");
    let (_, shown) = desk.ends("interior", &format!("trust withdraw {DID}"), 2);
    assert!(shown.starts_with("- trust/did:web:transport.gov.example/issue/"), "{shown}");
    let later = format!("{} --now 2091-01-01", grant().replace("2080", "2095"));
    let (_, expired) = desk.ends("interior", &later, 3);
    assert!(
        expired.starts_with("error: charter 1 expired on 2090-12-01, 31 days ago: it grants nothing new\n"),
        "{expired}"
    );
    desk.screen("interior", &format!("trust withdraw {DID} --yes"));
    let (gone, _) = desk.ends("interior", &format!("trust path {DID} {LICENCE}"), 1);
    assert!(gone.starts_with("✗ there is no path for did:web:transport.gov.example to issue\n"), "{gone}");
}

#[test]
fn a_broad_revocation_is_held_until_its_size_is_confirmed() {
    let desk = Desk::new();
    desk.found("[witnesses]\nquorum = \"quorum none\"");
    desk.screen("interior", &format!("{} --wait", grant()));
    desk.carry("interior", "transport");
    desk.screen("transport", &format!("status-list create {LIST} --length 4000"));
    let all: Vec<String> = (0..4000).map(|index| format!("{LIST}#{index}")).collect();
    let revoke = format!("credential revoke {}", all.join(" "));
    let (_, held) = desk.ends("transport", &revoke, 1);
    let expected = "\
error: held: this revokes 4,000 of 4,000 credentials of one list
cause: more than 1 % of a list (40) at once needs its size confirmed
 hint: if it is meant: --confirm-broad 4000
";
    assert_eq!(held, expected);
    desk.ends("transport", &format!("{revoke} --yes"), 1);
    desk.ends("transport", &format!("{revoke} --confirm-broad 3999"), 1);
    assert_eq!(desk.json("transport", "register show")["size_newest"], 1, "nothing was sent");
    desk.screen("transport", &format!("{revoke} --confirm-broad 4000"));
    assert_eq!(desk.json("transport", &format!("status-list show {LIST}"))["set"], 4000);
}

#[test]
fn what_was_signed_and_never_handed_over_comes_first_and_forks_nothing() {
    let desk = Desk::new();
    desk.found("[witnesses]\nquorum = \"quorum none\"");
    desk.screen("interior", &format!("{} --wait", grant()));
    desk.carry("interior", "transport");
    desk.screen("transport", &format!("status-list create {LIST} --length 1000"));
    desk.screen("transport", &format!("credential revoke {LIST}#7 --draft draft"));
    desk.screen("transport", &format!("credential revoke {LIST}#8 --draft draft"));
    assert!(desk.screen("transport", "register sign draft --key transport").starts_with("Signed entry 2 of "));
    // As after a kill between signing and handing over: ledger and outbox are all that is left.
    fs::rename(desk.path().join("draft"), desk.path().join("lost")).expect("renamed");
    let next = desk.screen("transport", &format!("credential revoke {LIST}#9 --wait"));
    let expected = "\
→ entry 2 was signed before and is handed over now
✓ entry 3 of transport.gov.example counts at once: this network names no witnesses
";
    assert_eq!(next, expected);
    assert_eq!(desk.json("transport", &format!("status-list show {LIST}"))["set"], 3, "no body was lost");
    let shown = desk.json("transport", "register show");
    assert_eq!((&shown["state"], &shown["size_newest"]), (&"good".into(), &3.into()));
    desk.screen("transport", "register publish lost");
    assert_eq!(desk.json("transport", "register show")["size_newest"], 3);
}

#[test]
fn a_change_through_a_running_node_waits_for_its_witness() {
    let desk = Desk::new();
    desk.screen("interior", "key create witness --use witness");
    let keys = desk.screen("interior", "key show witness --as vkey");
    let mut keys = keys.lines();
    let mut key = || keys.next().expect("two verifier keys").to_owned();
    let (cosign, view) = (key(), key());
    desk.found(&format!("[witnesses.named.interior]\ncosign = \"{cosign}\"\nview = \"{view}\""));
    let (_, alone) = desk.ends("interior", &format!("{} --wait", grant()), 3);
    assert!(alone.starts_with("Binds "), "{alone}");
    assert!(alone.contains("error: entry 1 of interior.gov.example is kept here, and no witness has it\n"), "{alone}");

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let options = Options { data_dir: Some(desk.data_dir("interior")), ..Options::default() };
    let mut config = Config::load(&options).expect("a configuration");
    config.network.listen = vec!["/ip4/127.0.0.1/tcp/0".to_owned()];
    config.api.listen = "127.0.0.1:0".parse().expect("an address");
    let start = |config: &Config| {
        let passphrase = |_: &str| Passphrase::new(PASSPHRASE.to_owned().into());
        runtime.block_on(Node::start(config, passphrase, Reporter::silent())).expect("the node starts")
    };

    config.api.enabled = false;
    let node = start(&config);
    let (_, locked) = desk.ends("interior", &grant(), 5);
    assert!(locked.starts_with("error: the store is in use by a running node (process "), "{locked}");
    runtime.block_on(node.stop()).expect("the node stops");

    config.api.enabled = true;
    let node = start(&config);
    let (_, late) = desk.ends("interior", &format!("trust grant {DID} issue urn:T --until 2080-01-01 --wait=1s"), 3);
    let expected = "\
error: entry 2 of interior.gov.example is not witnessed after 1 s
cause: cosigned by 0 of 1, 1 needed; not by interior
 hint: it is published and stays so: standfast status says when a quorum stands there
";
    assert_eq!(late, expected);
    runtime.block_on(node.stop()).expect("the node stops");

    config.witness.key = Some("witness".to_owned());
    let node = start(&config);
    let waited = desk.screen("interior", &format!("{} --wait=20s", grant()));
    assert!(waited.starts_with("✓ entry 2 of interior.gov.example witnessed by 1 of 1 after "), "{waited}");
    desk.write("notice.txt", "Ferries do not sail today.\n");
    let sent = desk.screen("interior", "record publish notice/2026-11-20 notice.txt");
    assert!(sent.ends_with(" published · sent to 0 peers\n"), "{sent}");
    let urgent = desk.screen("interior", &format!("trust withdraw {DID} --yes --urgent --wait=20s"));
    let lines: Vec<&str> = urgent.lines().collect();
    assert_eq!(lines.first(), Some(&"Sent to 0 peers: every node it reaches rejects from now on"));
    assert!(lines.get(1).is_some_and(|line| line.contains(" witnessed by 1 of 1 after ")), "{urgent}");
    runtime.block_on(node.stop()).expect("the node stops");
}

#[test]
fn a_signed_list_of_the_fields_form_is_published_verbatim_and_judged() {
    let desk = Desk::new();
    desk.found("[witnesses]\nquorum = \"quorum none\"");
    desk.screen("interior", &grant());
    desk.carry("interior", "transport");
    desk.screen("transport", &format!("did publish {DID}"));
    let uri = "https://transport.gov.example/status/9";
    // 131,072 bits, GZIP, base64url: none is set, and the one with index 7.
    let lists = [
        ("none", "uH4sIAAAAAAACA-3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAIC3AYbSVKsAQAAA"),
        ("seven", "uH4sIAAAAAAACA-3BIQEAAAACIP1_2hkWoAEAAAAAAAAAAAAAAAAAAADeBjn7xTYAQAAA"),
    ];
    for (name, encoded) in lists {
        let list = format!(
            r#"{{"id":"{uri}","type":"BitstringStatusListCredential","credentialSubject":{{"id":"{uri}#list",
            "type":"BitstringStatusList","statusPurpose":"revocation","encodedList":"{encoded}"}}}}"#
        );
        desk.write("list.json", &list);
        desk.screen("transport", &format!("credential issue list.json --key lic-2026 --as vc+jwt --out {name}.jwt"));
    }
    desk.write(
        "ada.json",
        &format!(
            r#"{{"type":"{LICENCE}","credentialSubject":{{"id":"did:example:ada"}},"credentialStatus":{{
            "id":"{uri}#7","type":"BitstringStatusListEntry","statusPurpose":"revocation","statusListIndex":"7",
            "statusListCredential":"{uri}"}}}}"#
        ),
    );
    desk.screen("transport", "credential issue ada.json --key lic-2026 --as vc+jwt --out ada.jwt");
    let policy = desk.screen("police", "policy show standard").replace("quorum_none = false", "quorum_none = true");
    desk.write("policy.toml", &policy);

    let (_, refused) = desk.ends("transport", &format!("status-list publish {uri} ada.jwt"), 2);
    assert!(refused.starts_with("error: ada.jwt is not a signed status list\n"), "{refused}");
    let (_, refused) = desk.ends("transport", &format!("status-list publish {uri}0 none.jwt"), 2);
    assert!(refused.contains(&format!("it says that it is {uri}")), "{refused}");
    desk.screen("transport", &format!("status-list publish {uri} none.jwt"));
    desk.screen("transport", "bundle export --out good.standfast");
    let verify = "verify ada.jwt --policy policy.toml --trust";
    let accepted = desk.screen("police", &format!("{verify} good.standfast"));
    assert!(accepted.starts_with("✓ ACCEPTED"), "{accepted}");
    desk.screen("transport", &format!("status-list publish {uri} seven.jwt"));
    desk.screen("transport", "bundle export --out new.standfast");
    let (rejected, _) = desk.ends("police", &format!("{verify} new.standfast"), 1);
    assert!(rejected.starts_with("✗ REJECTED   revoked by its issuer\n"), "{rejected}");
}
