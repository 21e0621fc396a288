//! A register's key is rotated while everybody is at work: a ministry, an agency and a witness, each a process of its own, and
//! commands and nodes that are killed on the way.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use standfast_tests::dice::Dice;

const PASSPHRASE: &str = "correct horse battery staple";
const DID: &str = "did:web:transport.gov.example";
const LICENCE: &str = "https://gov.example/DrivingLicence";
const LIST: &str = "https://transport.gov.example/status/1";
/// The longest that a condition is waited for: three nodes share a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
const OFFICES: [&str; 3] = ["interior", "customs", "transport"];

/// Three offices, each with a data directory and a node.
struct Town {
    dir: tempfile::TempDir,
    ports: BTreeMap<&'static str, u16>,
    nodes: BTreeMap<&'static str, Child>,
}

impl Town {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        fs::create_dir(dir.path().join("credentials")).expect("a folder");
        for key in ["root", "interior", "transport", "transport-2", "lic-2026", "customs"] {
            fs::write(dir.path().join(format!("credentials/standfast.{key}")), PASSPHRASE).expect("a passphrase");
        }
        // Held together, so that three different ones are chosen.
        let free: Vec<_> = OFFICES.map(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a port")).into();
        let port = |listener: &TcpListener| listener.local_addr().expect("an address").port();
        let ports = OFFICES.into_iter().zip(free.iter().map(port)).collect();
        Self { dir, ports, nodes: BTreeMap::new() }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn data_dir(&self, of: &str) -> PathBuf {
        self.path().join(of)
    }

    fn command(&self, of: &str, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_standfast-under-test"));
        command
            .args(line.split(' '))
            .current_dir(self.path())
            .env_clear()
            .env("STANDFAST_DATA_DIR", self.data_dir(of))
            .env("STANDFAST_CONFIG", self.path().join(format!("{of}.toml")))
            .env("CREDENTIALS_DIRECTORY", self.path().join("credentials"))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, of: &str, line: &str) -> (i32, String, String) {
        let output: Output = self.command(of, line).output().expect("the command runs");
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
        (output.status.code().expect("it was not killed"), out, err)
    }

    fn screen(&self, of: &str, line: &str) -> String {
        let (exit, out, err) = self.run(of, line);
        assert_eq!(exit, 0, "{of}$ standfast {line}\n{out}{err}");
        out
    }

    /// Runs a command until it ends with 0; on the way it may only say `not yet`.
    fn until_done(&self, of: &str, line: &str, not_yet: &[i32]) -> String {
        let began = Instant::now();
        loop {
            let (exit, out, err) = self.run(of, line);
            if exit == 0 {
                return out;
            }
            assert!(not_yet.contains(&exit), "{of}$ standfast {line}: {exit}\n{out}{err}");
            assert!(began.elapsed() < PATIENCE, "{of}$ standfast {line}: still\n{out}{err}");
        }
    }

    fn json(&self, of: &str, line: &str) -> serde_json::Value {
        serde_json::from_str(&self.screen(of, &format!("{line} --json"))).expect("one JSON document")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("a file");
    }

    fn configure(&self, of: &'static str) {
        let peers: Vec<String> = self.ports.iter().filter(|(name, _)| **name != of).map(|(_, p)| address(*p)).collect();
        let witness = if of == "customs" { "key = \"customs\"\n" } else { "" };
        let text = format!(
            "[network]\nlisten = [{}]\n[peers]\nstatic = [{}]\n[api]\nlisten = \"127.0.0.1:0\"\n\
             [witness]\n{witness}view_interval_s = 1\n[publisher]\ntimestamp_interval_s = 5\n\
             [pace]\nsync_min_s = 1\nsync_max_s = 2\n",
            address(self.ports[of]),
            peers.join(", ")
        );
        self.write(&format!("{of}.toml"), &text);
    }

    fn start(&mut self, of: &'static str) {
        let log = fs::File::create(self.path().join(format!("{of}.log"))).expect("a log");
        let mut command = self.command(of, "node run --json");
        let child = command.stdout(log.try_clone().expect("a log")).stderr(log).spawn().expect("a process");
        self.nodes.insert(of, child);
        let began = Instant::now();
        // Without a node the command opens the store itself; both ways it answers only for the one that runs.
        while self.run(of, "status --json").1.contains("\"running\":false") || self.run(of, "status").0 != 0 {
            assert!(began.elapsed() < PATIENCE, "the node of {of} does not start");
        }
    }

    fn kill(&mut self, of: &str) {
        let mut child = self.nodes.remove(of).expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("it is gone");
    }

    /// Verifies by what an office's snapshot file holds.
    fn verify(&self, of: &str) -> (i32, String) {
        let (exit, out, err) = self.run(of, "verify ada.jwt");
        (exit, format!("{out}{err}"))
    }

    /// Whoever publishes accepts at every moment; the third does as soon as it has what they have, and never rejects.
    fn stands(&self, when: &str) {
        for of in ["interior", "transport"] {
            let (exit, said) = self.verify(of);
            assert_eq!(exit, 0, "{when}: {of} says\n{said}");
        }
        let began = Instant::now();
        loop {
            let (exit, said) = self.verify("customs");
            if exit == 0 {
                return;
            }
            assert_eq!(exit, 3, "{when}: not knowing is no rejection\n{said}");
            assert!(began.elapsed() < PATIENCE, "{when}: customs says\n{said}");
        }
    }

    fn grant(&self) -> String {
        let line = format!(
            "trust grant {DID} issue {LICENCE} --until 2080-01-01 --register transport.binding --yes --wait=60s"
        );
        self.until_done("interior", &line, &[3])
    }

    /// Starts a command and kills it, each time a little later, until it ends before that three times. Returns how many were
    /// killed at work.
    fn kill_commands(&self, of: &str, line: &str, dice: &mut Dice) -> u32 {
        let (mut killed, mut ended) = (0, 0);
        for round in 0..200u64 {
            let mut child =
                self.command(of, line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a process");
            let until = Instant::now() + Duration::from_micros(round * 2_000 + dice.roll() % 2_000);
            while Instant::now() < until && child.try_wait().expect("a child").is_none() {
                std::thread::yield_now();
            }
            let at_work = child.try_wait().expect("a child").is_none();
            // It may have ended in between.
            let _ = child.kill();
            child.wait().expect("it is gone");
            (killed, ended) = if at_work { (killed + 1, 0) } else { (killed, ended + 1) };
            if ended == 3 {
                break;
            }
        }
        killed
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        for child in self.nodes.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn address(port: u16) -> String {
    format!("\"/ip4/127.0.0.1/tcp/{port}\"")
}

/// The keys, the charter, the nodes, and a credential that all accept.
fn town_at_work() -> Town {
    let mut town = Town::new();
    OFFICES.iter().for_each(|of| town.configure(of));
    town.screen("interior", "key create root --use root");
    town.screen("interior", "key create interior --use register");
    town.screen("interior", "register create interior.gov.example --key interior");
    town.screen("customs", "key create customs --use witness");
    let keys = town.screen("customs", "key show customs --as vkey");
    let (cosign, view) = keys.trim().split_once('\n').expect("two verifier keys");
    let binding = fs::read_to_string(town.path().join("interior.binding")).expect("the binding");
    let plan = format!(
        "expires_at = \"2090-12-01T00:00:00Z\"\n[roots]\nthreshold = 1\nkeys = [\"{}\"]\n\
         [witnesses.named.customs]\ncosign = \"{cosign}\"\nview = \"{view}\"\n[[anchors]]\n\
         authority = \"did:web:interior.gov.example\"\nregister = {}\n",
        town.screen("interior", "key show root --as vkey").trim(),
        binding.trim().replace("\":", "\" = ")
    );
    town.write("plan.toml", &plan);
    town.screen("interior", "charter create plan.toml --out charter-1.note");
    town.screen("interior", "charter sign charter-1.note --key root");
    town.screen("transport", "key create transport --use register");
    town.screen("transport", "register create transport.gov.example --key transport");
    town.screen("transport", "key create lic-2026 --use issue");
    town.screen("transport", "did create transport.gov.example --method web --key lic-2026");
    for of in OFFICES {
        town.screen(of, "charter publish charter-1.note --yes");
        town.start(of);
    }
    town.grant();
    town.until_done("transport", &format!("did publish {DID}"), &[1, 3]);
    town.screen("transport", &format!("status-list create {LIST} --length 131072 --wait=60s"));
    town.write("ada.json", &format!(r#"{{"type":"{LICENCE}","credentialSubject":{{"id":"did:example:ada"}}}}"#));
    town.screen(
        "transport",
        &format!("credential issue ada.json --key lic-2026 --as vc+jwt --status {LIST} --out ada.jwt"),
    );
    for of in OFFICES {
        let began = Instant::now();
        while town.verify(of).0 != 0 {
            assert!(began.elapsed() < PATIENCE, "{of}: {}", town.verify(of).1);
        }
    }
    town
}

#[test]
fn a_rotation_under_way_leaves_no_verifier_without_a_signature() {
    let (seed, mut dice) = Dice::seeded(20_261_121);
    // Where stderr is closed nobody is there to be told.
    let _ = writeln!(std::io::stderr(), "rotation: seed {seed}");
    let mut town = town_at_work();
    let before = town.json("transport", "register show");
    let rotate = "register rotate transport.gov.example --to transport-2";
    town.screen("transport", "key create transport-2 --use register");

    let mut killed = town.kill_commands("transport", rotate, &mut dice);
    town.stands("the new key is being made ready");
    let first = "1 of 3  wrote transport.binding with both keys\n\
                 → next: the authority above you publishes it; then run this command again\n";
    assert_eq!(town.screen("transport", rotate), first);
    assert_eq!(town.screen("transport", rotate), first, "nothing is bound yet: the same again");
    let both = fs::read_to_string(town.path().join("transport.binding")).expect("a binding");
    // Before both are bound nobody drops the old one: the ministry does not take it.
    let alone: serde_json::Value = serde_json::from_str(&both).expect("JSON");
    let new_key = alone["keys"].as_array().expect("keys").last().expect("a key").clone();
    town.write("alone.binding", &serde_json::json!({"keys": [new_key], "origin": alone["origin"]}).to_string());
    let early = format!("trust grant {DID} issue {LICENCE} --until 2080-01-01 --register alone.binding --yes");
    let (exit, _, said) = town.run("interior", &early);
    assert_eq!(exit, 1, "{said}");
    assert!(said.starts_with("error: transport.gov.example is not the register of these keys\n"), "{said}");

    town.grant();
    town.stands("both are bound, the old one has signed");
    // It is bound to both, and the new one has signed nothing: what only the new one signs is not taken either.
    let (exit, _, said) = town.run("interior", &early);
    assert_eq!(exit, 3, "{said}");
    assert!(said.starts_with("error: transport.gov.example would be left unsigned\n"), "{said}");
    town.write("notice.txt", "Ferries do not sail today.\n");
    town.screen("transport", "record publish notice/1 notice.txt --wait=60s");

    killed += town.kill_commands("transport", rotate, &mut dice);
    town.stands("the new key is signing");
    town.kill("transport");
    town.stands("the agency's node is dead");
    town.start("transport");
    let second = town.until_done("transport", rotate, &[3]);
    let lines: Vec<&str> = second.lines().collect();
    assert!(lines[0].starts_with("2 of 3  both keys are bound: "), "{second}");
    assert!(lines[0].ends_with(", cosignatures hold"), "{second}");
    assert_eq!(lines[1], "3 of 3  wrote transport.binding with transport-2 alone");
    assert_eq!(lines[2], "→ next: the authority above you publishes it; keep key transport until status says so");
    assert!(!town.screen("transport", "status").contains("key transport is bound"), "it is still needed");
    // While both are bound both sign.
    town.screen("transport", "record publish notice/2 notice.txt --wait=60s");
    town.stands("both sign");

    town.kill("customs");
    town.kill("interior");
    town.start("interior");
    town.start("customs");
    town.stands("the ministry's node and the witness were killed");
    town.grant();
    town.stands("the new key alone is bound");
    town.kill("transport");
    town.start("transport");
    town.stands("the agency's node was killed again");
    let began = Instant::now();
    let last = loop {
        let said = town.until_done("transport", rotate, &[3]);
        if !said.starts_with("2 of 3") {
            break said;
        }
        assert!(began.elapsed() < PATIENCE, "{said}");
    };
    assert!(last.starts_with("✓ transport-2 alone signs transport.gov.example\n"), "{last}");
    let dropped =
        "→ key transport is bound to transport.gov.example no more, transport-2 signs: destroy it, and every copy\n";
    let began = Instant::now();
    // The snapshot file, which tells it, is written once a second.
    while !town.screen("transport", "status").ends_with(dropped) {
        assert!(began.elapsed() < PATIENCE, "{}", town.screen("transport", "status"));
    }

    // The old key and its ledger are destroyed; the register goes on, and what it revokes is revoked.
    for extension in ["key", "pub", "ledger", "timestamp"] {
        fs::remove_file(town.data_dir("transport").join(format!("keys/transport.{extension}"))).expect("removed");
    }
    town.kill("transport");
    town.start("transport");
    town.stands("the old key is gone");
    let shown = town.json("transport", "register show");
    assert_eq!((&shown["state"], &shown["origin"]), (&"good".into(), &before["origin"]));
    assert_eq!(shown["own_keys"], serde_json::json!(["transport-2"]));
    assert!(shown["published_age_s"].is_u64(), "the owner still says that it is alive: {shown}");
    town.screen("transport", "credential revoke ada.jwt --urgent --wait=60s");
    for of in OFFICES {
        let began = Instant::now();
        while town.verify(of).0 != 1 {
            assert!(began.elapsed() < PATIENCE, "{of}: {}", town.verify(of).1);
        }
    }
    let _ = writeln!(std::io::stderr(), "rotation: {killed} commands were killed at work");
    assert!(killed >= 2, "only {killed} commands were killed at work");
}
