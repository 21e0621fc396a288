//! Other implementations, called as programs: npm packages and PyPI packages issue and verify credentials, and the reference
//! model reads registers.
//!
//! A job goes in on stdin and its answer comes back on stdout, both JSON as the scripts in `tests/interop/` describe them:
//!
//! ```json
//! {"format": "vc+jwt", "credential": {"…": "…"}, "seed": "0001…1f", "verificationMethod": "did:web:a.example#k1"}
//! ```
//!
//! The packages are pinned there and installed once below `target/`, so that the source tree stays clean.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::skip::{Kind, Skip};

/// How long packages may take to install.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(300);
/// How long one job may take; a busy machine starts Node.js in seconds.
const JOB_TIMEOUT: Duration = Duration::from_secs(120);

/// The form in which a credential is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Format {
    /// A compact JWS over the credential.
    #[serde(rename = "vc+jwt")]
    VcJwt,
    /// Data Integrity over RDF Dataset Canonicalization.
    #[serde(rename = "eddsa-rdfc-2022")]
    EddsaRdfc2022,
    /// Data Integrity over RFC 8785.
    #[serde(rename = "eddsa-jcs-2022")]
    EddsaJcs2022,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::VcJwt, Self::EddsaRdfc2022, Self::EddsaJcs2022];

    /// Returns what a verifier's job holds for these bytes: the token as text, or the JSON.
    ///
    /// # Panics
    ///
    /// When the bytes have not this form.
    pub fn credential_of(self, bytes: &[u8]) -> Value {
        match self {
            Self::VcJwt => Value::from(std::str::from_utf8(bytes).expect("a compact JWS is ASCII")),
            Self::EddsaRdfc2022 | Self::EddsaJcs2022 => {
                serde_json::from_slice(bytes).expect("a secured credential is JSON")
            }
        }
    }
}

/// A credential to be issued.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IssueJob {
    /// How to secure it.
    pub format: Format,
    /// The credential without a proof.
    pub credential: Value,
    /// The Ed25519 seed as 64 hex digits.
    pub seed: String,
    /// The id of the verification method: the `kid` of a token.
    pub verification_method: String,
    /// Contexts by URL, beside those that come with the packages.
    pub contexts: BTreeMap<String, Value>,
    /// The time of the proof and of the issuer's clock, RFC 3339; now when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
}

/// A credential to be verified.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyJob {
    /// How it is secured.
    pub format: Format,
    /// The credential with its proof, or the token as text: [`Format::credential_of`].
    pub credential: Value,
    /// The issuer's DID document.
    pub did_document: Value,
    /// Contexts by URL, beside those that come with the packages.
    pub contexts: BTreeMap<String, Value>,
    /// The verifier's clock, RFC 3339; now when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
}

/// What a verifier said.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Answer {
    /// Whether signature, key binding and validity hold.
    pub verified: bool,
    /// Why they do not.
    pub error: Option<String>,
}

/// `@digitalbazaar/vc`, `jose` and `didwebvh-ts`, ready to be called.
#[derive(Clone, Debug)]
pub struct NodeTools {
    folder: PathBuf,
}

/// Returns the npm packages, installed if they are not there yet.
pub fn node_tools() -> Result<NodeTools, Skip> {
    let missing = |reason: String| Skip::new(Kind::Node, reason);
    starts("node").map_err(missing)?;
    let source = source_folder("node");
    let pins = ["package.json", "package-lock.json", ".npmrc"];
    let scripts = ["contexts.mjs", "job.mjs", "issue.mjs", "verify.mjs", "webvh.mjs"];
    let folder = installed("interop-node", &source, &pins, &scripts, |folder| {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
        run(npm, b"", INSTALL_TIMEOUT).map(drop)
    });
    folder.map(|folder| NodeTools { folder }).map_err(missing)
}

impl NodeTools {
    /// Returns the secured credential as its bytes.
    ///
    /// # Panics
    ///
    /// When the packages refuse to issue it.
    pub fn issue(&self, job: &IssueJob) -> Vec<u8> {
        self.answer("issue.mjs", job)
    }

    /// Returns what `@digitalbazaar/vc` or `jose` says about a credential.
    ///
    /// # Panics
    ///
    /// When the job cannot be read.
    pub fn verify(&self, job: &VerifyJob) -> Answer {
        parsed(&self.answer("verify.mjs", job))
    }

    /// Returns what `didwebvh-ts` reads or writes: `interop/node/webvh.mjs` describes both forms.
    ///
    /// # Panics
    ///
    /// When the script fails.
    pub fn webvh(&self, job: &Value) -> Value {
        parsed(&self.answer("webvh.mjs", job))
    }

    fn answer(&self, script: &str, job: &impl Serialize) -> Vec<u8> {
        let mut node = Command::new("node");
        node.arg(self.folder.join(script));
        demanded(script, run(node, &job_bytes(job), JOB_TIMEOUT))
    }
}

/// A Python with PyJWT, `cryptography` and `did-webvh`.
#[derive(Clone, Debug)]
pub struct Python {
    executable: PathBuf,
}

/// Returns a Python of its own environment, made if it is not there yet.
pub fn python() -> Result<Python, Skip> {
    let missing = |reason: String| Skip::new(Kind::Python, reason);
    let source = source_folder("python");
    let folder = installed("interop-python", &source, &["requirements.txt"], &[], |folder| {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(folder.join("venv"));
        run(venv, b"", INSTALL_TIMEOUT)?;
        let mut pip = Command::new(folder.join("venv/bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"]);
        pip.arg(folder.join("requirements.txt"));
        run(pip, b"", INSTALL_TIMEOUT).map(drop)
    });
    let executable = folder.map_err(missing)?.join("venv/bin/python");
    starts(&executable).map_err(missing)?; // the environment leads to a Python outside, which may have gone
    Ok(Python { executable })
}

impl Python {
    /// Returns a `vc+jwt` that PyJWT signed.
    ///
    /// # Panics
    ///
    /// When the script fails.
    pub fn issue_jwt(&self, job: &IssueJob) -> Vec<u8> {
        self.answer(&source_folder("python").join("jwt_job.py"), &["issue"], &job_bytes(job), &[])
    }

    /// Returns what PyJWT says about a `vc+jwt`; validity is not looked at.
    ///
    /// # Panics
    ///
    /// When the script fails.
    pub fn verify_jwt(&self, job: &VerifyJob) -> Answer {
        parsed(&self.answer(&source_folder("python").join("jwt_job.py"), &["verify"], &job_bytes(job), &[]))
    }

    /// Returns what the reference model in this folder makes of an exported register: `interop/model_reads_register.py`
    /// describes both forms.
    ///
    /// # Panics
    ///
    /// When the driver fails.
    pub fn model_reads_register(&self, model: &Path, export: &Value) -> Value {
        parsed(&self.answer(&source_folder("model_reads_register.py"), &[], &job_bytes(export), &model_at(model)))
    }

    /// Lets the reference model write vectors of another seed into a folder.
    ///
    /// # Panics
    ///
    /// When the model fails.
    pub fn make_vectors(&self, model: &Path, seed: u64, into: &Path) {
        let (seed, into) = (seed.to_string(), into.to_str().expect("a scratch folder's path is text"));
        self.answer(&model.join("make_vectors.py"), &[&seed, into], b"", &[]);
    }

    /// Returns how many cases of the model's own vectors its driver read, all of them as expected.
    ///
    /// # Panics
    ///
    /// When one came out differently: the driver is wrong.
    pub fn model_driver_self_check(&self, model: &Path) -> u64 {
        #[derive(Deserialize)]
        struct Checked {
            cases: u64,
            differences: u64,
        }
        let driver = source_folder("model_reads_register.py");
        let checked: Checked = parsed(&self.answer(&driver, &["--self-check"], b"", &model_at(model)));
        assert_eq!(checked.differences, 0, "the driver and the model's vectors differ");
        checked.cases
    }

    /// Returns what JSON Schema says of documents, one for each: `interop/python/schema_job.py` describes both forms.
    ///
    /// # Panics
    ///
    /// When the script fails.
    pub fn check_schemas(&self, jobs: &Value) -> Vec<Option<String>> {
        parsed(&self.answer(&source_folder("python").join("schema_job.py"), &[], &job_bytes(jobs), &[]))
    }

    /// Returns what PyPI's `did-webvh` reads or writes, in the forms of [`NodeTools::webvh`].
    ///
    /// # Panics
    ///
    /// When the script fails.
    pub fn webvh(&self, job: &Value) -> Value {
        parsed(&self.answer(&source_folder("python").join("webvh_job.py"), &[], &job_bytes(job), &[]))
    }

    /// Returns what became of a checkpoint that a client of C2SP tlog-witness brought to a witness:
    /// `interop/add_checkpoint.py` describes both forms.
    ///
    /// # Panics
    ///
    /// When the client fails.
    pub fn add_checkpoint(&self, job: &Value) -> Value {
        parsed(&self.answer(&source_folder("add_checkpoint.py"), &[], &job_bytes(job), &[]))
    }

    /// Returns what the second decoder makes of entries: `interop/decoder.py` describes both forms.
    ///
    /// # Panics
    ///
    /// When the decoder fails.
    pub fn decode_entries(&self, cases: &Value) -> Value {
        parsed(&self.answer(&source_folder("decoder.py"), &[], &job_bytes(cases), &[]))
    }

    /// Returns what a stranger with the charter alone says about a folder (`mirror`) or a proof: `interop/stranger.py`
    /// describes both; an error is its reason to refuse.
    pub fn stranger(&self, verb: &str, subject: &Path, charter: &Path, now: u64) -> Result<Value, String> {
        let mut python = Command::new(&self.executable);
        python.arg("-B").arg(source_folder("stranger.py")).arg(verb).arg(subject).arg(charter).arg(now.to_string());
        run(python, b"", JOB_TIMEOUT).map(|answer| parsed(&answer))
    }

    fn answer(&self, script: &Path, arguments: &[&str], input: &[u8], environment: &[(&str, &Path)]) -> Vec<u8> {
        let mut python = Command::new(&self.executable);
        python.arg("-B").arg(script).args(arguments).envs(environment.iter().copied());
        demanded(&script.display().to_string(), run(python, input, JOB_TIMEOUT))
    }
}

/// The program of `tests/second-opinion`: crates that others wrote, in a workspace of their own.
#[derive(Clone, Debug)]
pub struct SecondOpinion {
    executable: PathBuf,
}

/// Returns that program, built if it is not there yet.
pub fn second_opinion() -> Result<SecondOpinion, Skip> {
    let missing = |reason: String| Skip::new(Kind::Crates, reason);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("second-opinion");
    let target = target_folder().join("second-opinion");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(source.join("Cargo.toml"));
    cargo.arg("--target-dir").arg(&target);
    run(cargo, b"", INSTALL_TIMEOUT).map_err(missing)?;
    Ok(SecondOpinion { executable: target.join("debug/second-opinion") })
}

impl SecondOpinion {
    /// Returns what it says, or its reason to refuse.
    pub fn ask(&self, arguments: &[&str]) -> Result<Value, String> {
        let mut program = Command::new(&self.executable);
        program.args(arguments);
        run(program, b"", JOB_TIMEOUT).map(|answer| parsed(&answer))
    }
}

fn model_at(folder: &Path) -> [(&'static str, &Path); 1] {
    [("STANDFAST_MODEL", folder)]
}

fn job_bytes(job: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(job).expect("a job has only JSON's types")
}

fn parsed<T: for<'de> Deserialize<'de>>(answer: &[u8]) -> T {
    serde_json::from_slice(answer)
        .unwrap_or_else(|e| panic!("expected an answer in JSON ({e}), got {}", String::from_utf8_lossy(answer)))
}

fn demanded(what: &str, answer: Result<Vec<u8>, String>) -> Vec<u8> {
    answer.unwrap_or_else(|reason| panic!("{what}: {reason}"))
}

fn source_folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(name)
}

fn starts(program: impl AsRef<OsStr>) -> Result<(), String> {
    let mut command = Command::new(program);
    command.arg("--version");
    run(command, b"", JOB_TIMEOUT).map(drop)
}

/// The folder that cargo builds into: a test runs from `<target>/<profile>/deps`.
fn target_folder() -> PathBuf {
    let executable = std::env::current_exe().expect("a running test has a path");
    executable.ancestors().nth(3).expect("a test runs three folders below the target folder").to_path_buf()
}

/// Copies what belongs to an installation and runs `install` unless the same pins were installed there before.
///
/// A lock file keeps parallel tests, also of other processes, from installing twice.
fn installed(
    name: &str,
    source: &Path,
    pins: &[&str],
    scripts: &[&str],
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let folder = target_folder().join(name);
    let stated = |e: io::Error| format!("cannot prepare {}: {e}", folder.display());
    fs::create_dir_all(&folder).map_err(stated)?;
    let lock = File::create(folder.join(".lock")).map_err(stated)?;
    lock.lock().map_err(stated)?; // given back when the file is closed

    let mut digest = Sha256::new();
    for file in pins {
        digest.update(fs::read(source.join(file)).map_err(stated)?);
    }
    for file in pins.iter().chain(scripts) {
        replace_if_other(&source.join(file), &folder.join(file)).map_err(stated)?;
    }
    let stamp = data_encoding::HEXLOWER.encode(&digest.finalize());
    let stamp_file = folder.join(".installed");
    if fs::read_to_string(&stamp_file).is_ok_and(|held| held == stamp) {
        return Ok(folder);
    }
    install(&folder)?;
    fs::write(&stamp_file, stamp).map_err(stated)?;
    Ok(folder)
}

/// Copies a file unless the same bytes stand there: another test may be running it.
fn replace_if_other(from: &Path, to: &Path) -> io::Result<()> {
    let bytes = fs::read(from)?;
    if fs::read(to).is_ok_and(|held| held == bytes) {
        return Ok(());
    }
    let new = to.with_extension("new");
    fs::write(&new, bytes)?;
    fs::rename(new, to)
}

/// Runs a program to its end with this input; a failure, also of the time limit, is told with the end of its stderr.
fn run(mut command: Command, input: &[u8], limit: Duration) -> Result<Vec<u8>, String> {
    let name = command.get_program().to_os_string();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot start {}: {e}", name.display()))?;
    let stdin = child.stdin.take().expect("stdin is piped");
    let stdout = child.stdout.take().expect("stdout is piped");
    let stderr = child.stderr.take().expect("stderr is piped");

    std::thread::scope(|threads| {
        threads.spawn(move || {
            let mut stdin = stdin;
            stdin.write_all(input) // a program that ends early closes its stdin; its exit status tells
        });
        let stdout = threads.spawn(|| read_all(stdout));
        let stderr = threads.spawn(|| read_all(stderr));
        let ended = wait(&mut child, limit);
        let output = stdout.join().expect("the reader does not panic");
        let errors = stderr.join().expect("the reader does not panic");
        match ended {
            Ok(Some(status)) if status.success() => Ok(output),
            Ok(Some(status)) => Err(failure(&name, &format!("ended with {status}"), &errors)),
            Ok(None) => Err(failure(&name, &format!("took longer than {} s", limit.as_secs()), &errors)),
            Err(e) => Err(failure(&name, &format!("cannot be waited for: {e}"), &errors)),
        }
    })
}

fn failure(name: &OsStr, what: &str, stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let end = lines.get(lines.len().saturating_sub(8)..).unwrap_or_default().join("\n");
    format!("{} {what}\n{end}", name.display())
}

fn read_all(mut from: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A pipe that breaks ends the output; the exit status tells the rest.
    let _ = from.read_to_end(&mut bytes);
    bytes
}

/// Returns the exit status, or nothing when the time limit passed and the program was killed.
fn wait(child: &mut std::process::Child, limit: Duration) -> io::Result<Option<std::process::ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_the_end_of_stderr_of_a_program_that_fails() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo first >&2; echo second >&2; exit 3"]);
        let reason = run(shell, b"", JOB_TIMEOUT).expect_err("it exits with 3");
        assert!(reason.contains("second") && reason.contains('3'), "{reason}");
    }

    #[test]
    fn kills_a_program_that_takes_too_long() {
        let mut sleep = Command::new("sleep");
        sleep.arg("60");
        let reason = run(sleep, b"", Duration::from_millis(50)).expect_err("it sleeps too long");
        assert!(reason.contains("longer"), "{reason}");
    }

    #[test]
    fn survives_a_program_that_does_not_read_its_input() {
        let input = vec![b'x'; 1 << 20];
        assert_eq!(run(Command::new("true"), &input, JOB_TIMEOUT), Ok(Vec::new()));
    }
}
