//! Keys that are not here: behind signer programs, honest and evil, and in an HSM; and where passphrases come from.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use standfast_tests::skip::{Kind, Skip, unless_missing};

const PASSPHRASE: &str = "correct horse battery staple";
const DID: &str = "did:web:interior.gov.example";
const LICENCE: &str = "https://gov.example/DrivingLicence";

/// A ministry that is its own anchor and issues, with a folder to work in.
struct Desk {
    dir: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        fs::create_dir(dir.path().join("credentials")).expect("a folder");
        Self { dir, environment: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_standfast-under-test"));
        command.current_dir(self.dir.path()).env_clear().env("STANDFAST_DATA_DIR", self.path("data"));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.environment.iter().cloned());
        command
    }

    fn ends(&self, words: &[&str], exit: i32) -> (String, String) {
        told(self.command().args(words).output().expect("the command runs"), words, exit)
    }

    fn screen(&self, line: &str) -> String {
        self.ends(&line.split(' ').collect::<Vec<_>>(), 0).0
    }

    fn json(&self, line: &str) -> serde_json::Value {
        serde_json::from_str(&self.screen(&format!("{line} --json"))).expect("one JSON document")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }

    fn ledger(&self, key: &str) -> Vec<u8> {
        fs::read(self.path(&format!("data/keys/{key}.ledger"))).expect("a ledger")
    }

    /// Makes the keys `root`, `interior` and `issuer` behind the commands that `signer` gives, and all that an issuer needs.
    fn found(&self, signer: impl Fn(&str) -> String) {
        for (name, key_use) in [("root", "root"), ("interior", "register"), ("issuer", "issue")] {
            let made = self.ends(&["key", "create", name, "--use", key_use, "--signer", &signer(name)], 0).0;
            assert!(made.starts_with(&format!("Created key {name} (Ed25519, for ")), "{made}");
            assert!(made.contains("\nIts secret stays behind "), "{made}");
            assert!(!self.path(&format!("data/keys/{name}.key")).exists());
        }
        self.screen("register create interior.gov.example --key interior");
        let binding = fs::read_to_string(self.path("interior.binding")).expect("the binding");
        let binding = binding.trim().replace("\":", "\" = ");
        let root = self.screen("key show root --as vkey");
        self.write(
            "plan.toml",
            &format!(
                "expires_at = \"2090-12-01T00:00:00Z\"\n[roots]\nthreshold = 1\nkeys = [\"{}\"]\n[witnesses]\n\
                 quorum = \"quorum none\"\n[[anchors]]\nauthority = \"{DID}\"\nregister = {binding}\n",
                root.trim()
            ),
        );
        self.screen("charter create plan.toml --out charter-1.note");
        self.screen("charter sign charter-1.note --key root");
        self.screen("charter publish charter-1.note --yes");
        self.screen("did create interior.gov.example --method web --key issuer");
        // A key that a program keeps may have signed elsewhere: without a node nobody can say that it has not.
        let (_, unproven) = self.ends(&["did", "publish", DID], 3);
        assert!(unproven.starts_with("error: nobody can say that what is held here of interior.gov.example is its\n"));
        self.screen(&format!("did publish {DID} --override-fence new-key"));
        self.screen(&format!("trust grant {DID} issue {LICENCE} --until 2080-01-01 --register interior.binding --yes"));
        self.write("ada.json", &format!(r#"{{"type":"{LICENCE}","credentialSubject":{{"id":"did:example:ada"}}}}"#));
        let policy = self.screen("policy show standard").replace("quorum_none = false", "quorum_none = true");
        self.write("policy.toml", &policy);
    }

    fn issue_and_verify(&self) {
        for form in ["vc+jwt", "eddsa-jcs-2022"] {
            self.screen(&format!("credential issue ada.json --key issuer --as {form} --out ada.{form} --yes"));
            let verified = self.screen(&format!("verify ada.{form} --policy policy.toml"));
            assert!(verified.starts_with("✓ ACCEPTED"), "{verified}");
        }
    }
}

fn told(output: Output, words: &[&str], exit: i32) -> (String, String) {
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert_eq!(output.status.code(), Some(exit), "standfast {}\n{out}{err}", words.join(" "));
    (out, err)
}

fn script(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(name).display().to_string()
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn python_with_cryptography() -> Result<(), Skip> {
    let there = runs("python3", &["-c", "import cryptography"]);
    if there { Ok(()) } else { Err(Skip::new(Kind::Python, "python3 has no package cryptography")) }
}

/// The module of SoftHSM2, when it and `pkcs11-tool` are installed.
fn soft_hsm() -> Result<PathBuf, Skip> {
    let missing = |what: &str| Skip::new(Kind::Hsm, format!("{what}: apt-get install softhsm2 opensc"));
    if !runs("softhsm2-util", &["--version"]) {
        return Err(missing("there is no softhsm2-util"));
    }
    if !runs("sh", &["-c", "command -v pkcs11-tool"]) {
        return Err(missing("there is no pkcs11-tool"));
    }
    let places = ["/usr/lib/softhsm", "/usr/lib/x86_64-linux-gnu/softhsm", "/usr/lib/aarch64-linux-gnu/softhsm"];
    let module = places.iter().map(|dir| Path::new(dir).join("libsofthsm2.so")).find(|path| path.exists());
    module.ok_or_else(|| missing("there is no libsofthsm2.so"))
}

#[test]
fn every_use_signs_through_a_program_and_an_evil_one_signs_nothing() {
    if unless_missing(python_with_cryptography()).is_none() {
        return;
    }
    let desk = Desk::new();
    let (signer, folder) = (script("signer.py"), desk.path("hsm folder"));
    fs::create_dir(&folder).expect("a folder");
    for (name, seed) in [("root", "01"), ("interior", "02"), ("issuer", "03")] {
        fs::write(folder.join(name), seed.repeat(32)).expect("a seed");
    }
    desk.found(|name| format!("python3 {signer} '{}'", folder.join(name).display()));
    desk.issue_and_verify();
    let logged = |name: &str| fs::read_to_string(folder.join(name).with_extension("log")).expect("a log");
    assert!(logged("root").lines().all(|line| line.starts_with("root ")));
    assert!(logged("interior").lines().all(|line| line.starts_with("register ")));
    assert_eq!(logged("issuer").lines().count(), 2);
    assert!(desk.screen("key show interior").contains("\n  behind    python3 "));
    assert_eq!(desk.json("key show interior")["signer"][0], "python3");
    let (_, refused) = desk.ends(&["key", "passphrase", "interior"], 2);
    assert!(refused.starts_with("error: the secret of key interior is not here"), "{refused}");
    let command = format!("python3 {signer} '{}'", folder.join("root").display());
    let (_, refused) = desk.ends(&["key", "create", "other", "--use", "issue", "--signer", &command], 2);
    assert!(refused.starts_with("error: the public key is that of key root"), "{refused}");

    desk.write("notice.txt", "Ferries do not sail today.\n");
    let (ledger, size) = (desk.ledger("interior"), desk.json("register show")["size_newest"].clone());
    let evil = [
        ("other-key", "its signature is not by the key that it was registered with"),
        ("other-message", "its signature is not by the key that it was registered with"),
        ("early", "it ended before it answered"),
        ("version", "expected `standfast-signer 1` first, came \"standfast-signer 2\""),
        ("garbage", "expected `signature BASE64`, came"),
        ("flood", "expected lines of at most 1024 bytes"),
        ("refuse", "it refuses: not before Monday"),
    ];
    for (mode, cause) in evil {
        fs::write(folder.join("mode"), mode).expect("a mode");
        let words = ["record", "publish", "notice/1", "notice.txt"];
        let (_, said) = desk.ends(&words, 5);
        assert!(said.starts_with("error: signer python3 has not signed\n"), "{mode}: {said}");
        let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(cause), "{mode}: {said}");
        assert!(!said.contains('\u{202e}') && !said.contains('\u{7}'), "{mode}: {said:?}");
        assert_eq!(desk.ledger("interior"), ledger, "{mode}: nothing was signed");
        assert_eq!(desk.json("register show")["size_newest"], size, "{mode}");
        desk.ends(&["credential", "issue", "ada.json", "--key", "issuer", "--as", "vc+jwt", "--out", "no.jwt"], 5);
        assert!(!desk.path("no.jwt").exists(), "{mode}");
    }
    fs::remove_file(folder.join("mode")).expect("removed");
    desk.screen("record publish notice/1 notice.txt");
    assert_eq!(desk.json("register show")["state"], "good");
    desk.issue_and_verify();
}

#[test]
fn a_register_is_signed_in_an_hsm() {
    let Some(module) = unless_missing(soft_hsm()) else { return };
    let mut desk = Desk::new();
    let tokens = desk.path("tokens");
    fs::create_dir(&tokens).expect("a folder");
    desk.write("softhsm2.conf", &format!("directories.tokendir = {}\n", tokens.display()));
    let conf = desk.path("softhsm2.conf").display().to_string();
    desk.environment = vec![("SOFTHSM2_CONF".to_owned(), conf.clone()), ("HSM_PIN".to_owned(), "4711".to_owned())];
    let tool = |program: &str, line: &str| {
        let mut command = Command::new(program);
        let output = command.env("SOFTHSM2_CONF", &conf).args(line.split(' ')).output().expect("it runs");
        assert!(output.status.success(), "{program} {line}: {}", String::from_utf8_lossy(&output.stderr));
    };
    tool("softhsm2-util", "--init-token --free --label standfast --so-pin 4711 --pin 4711");
    let module = module.display();
    for id in ["02", "03"] {
        let base = format!("--module {module} --token-label standfast --login --pin 4711 --keypairgen");
        tool("pkcs11-tool", &format!("{base} --key-type EC:edwards25519 --id {id}"));
    }
    // `pkcs11-tool` hands more than a kilobyte over in pieces, which Ed25519 does not know: charters are signed by OpenSSL.
    let pem = desk.path("root.pem");
    tool("openssl", &format!("genpkey -algorithm ed25519 -out {}", pem.display()));
    desk.found(|name| match name {
        "root" => format!("{} {}", script("openssl-sign.sh"), pem.display()),
        "interior" => format!("{} {module} standfast 02", script("hsm-sign.sh")),
        _ => format!("{} {module} standfast 03", script("hsm-sign.sh")),
    });
    desk.issue_and_verify();
    // A wrong PIN: the token refuses, and says so.
    desk.environment.retain(|(name, _)| name != "HSM_PIN");
    desk.environment.push(("HSM_PIN".to_owned(), "0815".to_owned()));
    desk.write("notice.txt", "Ferries do not sail today.\n");
    let ledger = desk.ledger("interior");
    let (_, said) = desk.ends(&["record", "publish", "notice/1", "notice.txt"], 5);
    assert!(said.contains("cause: it refuses: "), "{said}");
    assert_eq!(desk.ledger("interior"), ledger);
}

#[test]
fn a_passphrase_comes_from_a_descriptor_then_from_the_services_credential_then_from_a_prompt() {
    let mut desk = Desk::new();
    // A descriptor: one line for each question.
    desk.write("lines", &format!("{PASSPHRASE}\n"));
    let on_descriptor = |desk: &Desk, words: &str, exit| {
        let binary = env!("CARGO_BIN_EXE_standfast-under-test");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec {binary} {words} --passphrase-fd 3 3< lines")]);
        command.current_dir(desk.dir.path()).env_clear().env("STANDFAST_DATA_DIR", desk.path("data"));
        command.envs(desk.environment.iter().cloned());
        told(command.output().expect("it runs"), &[words], exit)
    };
    on_descriptor(&desk, "key create one --use issue", 0);
    let (_, missing) = desk.ends(&["key", "create", "two", "--use", "issue"], 2);
    assert!(missing.starts_with("error: key two needs its passphrase\n"), "{missing}");
    // A service's credential; a descriptor comes before it.
    desk.environment = vec![("CREDENTIALS_DIRECTORY".to_owned(), desk.path("credentials").display().to_string())];
    desk.write("credentials/standfast.two", PASSPHRASE);
    desk.screen("key create two --use issue");
    desk.write("lines", "not the passphrase of two\na new one for it\n");
    let (_, wrong) = on_descriptor(&desk, "key passphrase two", 2);
    assert!(wrong.starts_with("error: the passphrase does not open key two\n"), "{wrong}");
    desk.write("lines", &format!("{PASSPHRASE}\na new one for it\n"));
    on_descriptor(&desk, "key passphrase two", 0);
    // A prompt, on a terminal of its own.
    if !runs("script", &["--version"]) {
        return standfast_tests::skip::say_skipped("there is no `script` to make a terminal with");
    }
    desk.environment.clear();
    let binary = env!("CARGO_BIN_EXE_standfast-under-test");
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &format!("{binary} key create three --use issue"), "/dev/null"]);
    terminal.current_dir(desk.dir.path()).env("STANDFAST_DATA_DIR", desk.path("data"));
    let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script runs");
    let (mut stdin, mut stdout) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    let mut shown = String::new();
    // Nobody types before the question stands there: until then the terminal shows what is typed.
    for question in ["three: ", "again: "] {
        while !shown.ends_with(question) {
            let mut byte = [0];
            stdout.read_exact(&mut byte).unwrap_or_else(|_| panic!("{shown}"));
            shown.push(char::from(byte[0]));
        }
        stdin.write_all(format!("{PASSPHRASE}\n").as_bytes()).expect("typed");
    }
    stdout.read_to_string(&mut shown).expect("the rest");
    assert!(child.wait().expect("it ends").success(), "{shown}");
    assert!(shown.contains("New passphrase for key three: ") && shown.contains("Created key three"), "{shown}");
    desk.write("lines", &format!("{PASSPHRASE}\nanother one for it\n"));
    on_descriptor(&desk, "key passphrase three", 0);
}
