//! Screens, exit codes and JSON of the commands that need no node, as `cli.md` words them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const PASSPHRASE: &str = "correct horse battery staple\n";

/// An officer's or agency's machine: a folder to work in, a data directory, and passphrases as systemd gives them.
struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        fs::create_dir(dir.path().join("credentials")).expect("a folder");
        Self { dir }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn run(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_standfast-under-test"))
            .args(line.split(' '))
            .current_dir(self.path())
            .env_clear()
            .env("STANDFAST_DATA_DIR", self.path().join("data"))
            .env("CREDENTIALS_DIRECTORY", self.path().join("credentials"))
            .output()
            .expect("the command runs")
    }

    /// Runs a command that succeeds, and returns its screen with hashes and keys masked.
    fn screen(&self, line: &str) -> String {
        let output = self.run(line);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "standfast {line}\n{errors}");
        masked(&String::from_utf8(output.stdout).expect("UTF-8"))
    }

    /// Runs a command that fails with `exit`, and returns what it says on stderr.
    fn error(&self, line: &str, exit: i32) -> String {
        let output = self.run(line);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(exit), "standfast {line}\n{errors}");
        assert!(output.stdout.is_empty(), "standfast {line}: an error stands on stderr");
        masked(&errors)
    }

    fn key(&self, name: &str, key_use: &str) -> String {
        fs::write(self.path().join(format!("credentials/standfast.{name}")), PASSPHRASE).expect("a file");
        self.screen(&format!("key create {name} --use {key_use}"))
    }

    fn verifier_keys(&self, name: &str) -> Vec<String> {
        let output = self.run(&format!("key show {name} --as vkey"));
        String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
    }
}

/// Four and four characters around each `…` become `#`.
fn masked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let near =
        |at: usize| chars.iter().skip(at.saturating_sub(4)).take(9 - 4usize.saturating_sub(at)).any(|c| *c == '…');
    chars.iter().enumerate().map(|(at, c)| if near(at) && *c != '…' { '#' } else { *c }).collect()
}

#[test]
fn an_agency_makes_keys_register_document_and_credential() {
    let agency = Machine::new();
    assert_eq!(agency.key("transport", "register"), "Created key transport (Ed25519, for registers only): ####…####\n");
    let created = "\
Created transport.gov.example/register/####…####, empty
Wrote transport.binding, 326 bytes: the register's name and keys
→ next: give transport.binding to the authority above you
";
    assert_eq!(agency.screen("register create transport.gov.example --key transport"), created);
    let binding = fs::read_to_string(agency.path().join("transport.binding")).expect("the binding");
    assert_eq!(agency.run("register show --binding").stdout, binding.as_bytes());
    agency.key("lic-2026", "issue");
    let screen = agency.screen("did create transport.gov.example --method web --key lic-2026");
    assert_eq!(screen, "Created did:web:transport.gov.example with key #lic-2026\n");
    let unsigned = r#"{"type":"https://gov.example/DrivingLicence","credentialSubject":{"id":"did:example:ada"}}"#;
    fs::write(agency.path().join("ada.json"), unsigned).expect("a file");
    for form in ["vc+jwt", "eddsa-jcs-2022", "eddsa-rdfc-2022"] {
        let line = format!("credential issue ada.json --key lic-2026 --as {form} --out ada.{form}");
        assert!(agency.screen(&line).starts_with(&format!("Wrote ada.{form}, ")));
        assert!(
            agency.screen(&format!("credential show ada.{form}")).starts_with(&format!("– not verified: {form}, "))
        );
    }
    let error = agency.error("credential issue ada.json --key transport --out b.jwt", 2);
    assert!(error.starts_with("error: key transport is for registers, expected one for credentials\n"), "{error}");
}

#[test]
fn a_charter_is_signed_on_two_machines() {
    let (interior, police) = (Machine::new(), Machine::new());
    interior.key("interior", "root");
    police.key("police", "root");
    interior.key("ministry", "register");
    interior.screen("register create interior.gov.example --key ministry");
    let binding = fs::read_to_string(interior.path().join("ministry.binding")).expect("the binding");
    let binding = binding.trim().replace("\":", "\" = ");
    let roots = [interior.verifier_keys("interior"), police.verifier_keys("police")].concat();
    let plan = format!(
        "expires_at = \"2027-06-01T00:00:00Z\"\nroots = {{ threshold = 2, keys = {roots:?} }}\n\
         [[anchors]]\nauthority = \"did:web:interior.gov.example\"\nregister = {binding}\n"
    );
    fs::write(interior.path().join("plan.toml"), plan).expect("a file");
    let now = "--now 2026-11-20T14:28:00Z";
    let created = "\
Wrote charter-1.note: version 1, unsigned
+ root       interior ####…####
+ root       police ####…####
+ threshold  2 of 2 roots sign a charter
+ anchor     did:web:interior.gov.example
             interior.gov.example/register/####…#### · 2 keys
+ witnesses  none: nobody vouches for what is newest
+ expires    2027-06-01
+ limits     witnessed 24 h · published 7 days · charter 30 days
+ quotas     10,000 entries and 64 MiB a day · deltas 30 days
+ admission  open
";
    assert_eq!(interior.screen(&format!("charter create plan.toml --out charter-1.note {now}")), created);
    let signed = "\
Signed: 1 of 2 by its own roots
→ next: carry charter-1.note to another holder of a root key
";
    assert_eq!(interior.screen(&format!("charter sign charter-1.note --key interior {now}")), signed);
    let refused = interior.error(&format!("charter publish charter-1.note --yes {now}"), 1);
    assert!(refused.starts_with("error: charter-1.note is not admitted as a charter\n"), "{refused}");
    fs::copy(interior.path().join("charter-1.note"), police.path().join("charter-1.note")).expect("a copy");
    let signed = "\
Signed: 2 of 2 by its own roots: complete
→ next: standfast charter publish charter-1.note
";
    assert_eq!(police.screen(&format!("charter sign charter-1.note --key police {now}")), signed);
    let verified = "\
✓ chain      version 1
✓ signatures 2 of 2 by its own roots
✓ expiry     expires 2027-06-01, in 6 months
";
    assert_eq!(police.screen(&format!("charter verify charter-1.note {now}")), verified);
    let admitted = police.screen(&format!("charter publish charter-1.note --yes {now}"));
    assert_eq!(admitted, "✓ admitted here\n  network ####…#### · charter 1\n");
    let expired = police.run("charter verify charter-1.note --now 2027-06-03T00:00:00Z");
    assert_eq!(expired.status.code(), Some(3));
    let plan = police.screen("charter show --plan").replace("2027-06-01", "2027-12-01");
    fs::write(police.path().join("plan.toml"), plan).expect("a file");
    let created = "\
Wrote charter-2.note: version 2 after 1, unsigned
= witnesses  none: nobody vouches for what is newest
~ expires    2027-06-01 → 2027-12-01
";
    assert_eq!(police.screen(&format!("charter create plan.toml --out charter-2.note {now}")), created);
    let signed = police.screen(&format!("charter sign charter-2.note --key police {now}"));
    assert!(signed.starts_with("Signed: 1 of 2 by the roots of version 1, 1 of 2 by its own\n"), "{signed}");
}

#[test]
fn errors_say_what_is_the_case_and_what_to_do() {
    let machine = Machine::new();
    let expected = "\
error: there is no command regster
 hint: perhaps: register
 hint: all of it: standfast --help
";
    assert_eq!(machine.error("regster list", 2), expected);
    let expected = "\
error: key transport needs its passphrase
cause: neither --passphrase-fd, nor the credential standfast.transport, nor a
       terminal to ask on
 hint: give it on a descriptor: --passphrase-fd 3 3< FILE
";
    assert_eq!(machine.error("key create transport --use register", 2), expected);
    machine.key("transport", "register");
    fs::write(machine.path().join("credentials/standfast.transport"), "another passphrase").expect("a file");
    machine.screen("register create transport.gov.example --key transport");
    machine.key("lic", "issue");
    fs::write(machine.path().join("credentials/standfast.lic"), "another passphrase").expect("a file");
    fs::write(machine.path().join("a.json"), r#"{"credentialSubject":{"id":"did:example:a"}}"#).expect("a file");
    let error = machine.error("credential issue a.json --key lic --out a.jwt", 2);
    assert!(
        error.starts_with("error: the passphrase does not open key lic\ncause: the key file is whole; "),
        "{error}"
    );
    assert!(!machine.path().join("a.jwt").exists());
}

#[test]
fn a_key_from_elsewhere_is_imported_for_one_use() {
    let machine = Machine::new();
    let seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    fs::write(machine.path().join("seed.hex"), format!("{seed}\n")).expect("a file");
    fs::write(machine.path().join("short.hex"), &seed[2..]).expect("a file");
    for name in ["interior", "customs", "lic"] {
        fs::write(machine.path().join(format!("credentials/standfast.{name}")), PASSPHRASE).expect("a file");
    }
    let expected = "\
error: a key for witnessing has two seeds, and a file brings one
 hint: make one here: standfast key create NAME --use witness
";
    assert_eq!(machine.error("key import customs seed.hex --use witness", 2), expected);
    let error = machine.error("key import interior short.hex --use root", 2);
    assert!(
        error.starts_with("error: short.hex is no key to import\ncause: expected a seed as 64 hex digits"),
        "{error}"
    );
    assert!(!error.contains(&seed[2..20]), "{error}");
    let imported = "\
Imported key interior (Ed25519, for charters only): ####…####
→ next: delete the file that it came from, and use the key for nothing else
";
    assert_eq!(machine.screen("key import interior seed.hex --use root"), imported);
    let keys = machine.verifier_keys("interior");
    let key: standfast_protocol::key::VerifierKey = keys[0].parse().expect("a key");
    let public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"; // RFC 8032 §7.1, TEST 2
    assert_eq!(data_encoding::HEXLOWER.encode(key.key().as_bytes()), public);
    let expected = "\
error: the public key is that of key interior: one key, one use
 hint: see it: standfast key show interior
";
    assert_eq!(machine.error("key import lic seed.hex --use issue", 2), expected);
    assert_eq!(machine.run("key import lic none.hex --use issue").status.code(), Some(5));
}

#[test]
fn json_is_one_document_on_stdout_also_for_an_error() {
    let machine = Machine::new();
    for (line, exit) in [("key show nobody --json", 2), ("key create --json", 2), ("charter show --json", 3)] {
        let output = machine.run(line);
        assert_eq!(output.status.code(), Some(exit), "{line}");
        assert!(output.stderr.is_empty(), "{line}");
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one document");
        assert_eq!(document["kind"], "standfast/error/v1", "{line}");
        assert_eq!(document["exit"], exit, "{line}");
    }
    let listed: serde_json::Value =
        serde_json::from_slice(&machine.run("key list --json").stdout).expect("one document");
    assert_eq!(listed, serde_json::json!({"kind": "standfast/keys/v1", "keys": []}));
}
