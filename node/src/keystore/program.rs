//! Signer programs: a key that is not here, behind lines on stdin and stdout (`specs/signer.md`).
//!
//! ```text
//! program     standfast-signer 1
//! standfast   sign register dHJhbnNwb3J0Lmdvdi5leGFtcGxlL3JlZ2lzdGVyLzhkM2YK…      use, then the whole message in base64
//! program     signature 2fXq…                                                       64 bytes in base64
//! ```
//!
//! One process for one question. Nothing that it answers is believed: a signature counts only when it holds under the public
//! key that was stored when the key was made.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use standfast_protocol::key::{PublicKey, Signer, SigningError};

use super::{KeyUse, KeystoreError};

/// How long a program has for one question: a person may have to touch a token.
const SIGNER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a program that has answered has to end by itself.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes in a line of a program, its line feed included.
const SIGNER_LINE_SIZE_MAX: usize = 1024;
/// Bytes of a program's stderr that are kept, to be shown when it fails.
const SIGNER_STDERR_SIZE_MAX: usize = 1024;
/// Bytes in a message to sign.
const SIGNER_MESSAGE_SIZE_MAX: usize = 4 * 1024 * 1024;
/// Words in the command line of a program.
const ARGV_MAX: usize = 64;
/// Bytes in that command line.
const COMMAND_SIZE_MAX: usize = 4096;

const GREETING: &str = "standfast-signer 1";

/// What went wrong with a signer program.
#[derive(Debug, thiserror::Error)]
#[error("signer {program} has not signed: {fault}{}", said(stderr))]
pub struct SignerError {
    /// The program.
    pub program: String,
    /// What is the matter.
    pub fault: SignerFault,
    /// The beginning of what it wrote to stderr.
    pub stderr: String,
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("; it says: {stderr}") }
}

/// What a signer program did not do as it must.
#[derive(Debug, thiserror::Error)]
pub enum SignerFault {
    /// It does not start.
    #[error("it does not start: {0}")]
    Start(#[source] io::Error),
    /// It said nothing in time.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Silent(Duration),
    /// It ended, or closed its stdout, before it answered.
    #[error("it ended before it answered")]
    Ended,
    /// A line over the bound.
    #[error("expected lines of at most {SIGNER_LINE_SIZE_MAX} bytes")]
    Line,
    /// Another first line.
    #[error("expected `{GREETING}` first, came {0:?}")]
    Greeting(String),
    /// Another answer.
    #[error("expected `{expected}`, came {came:?}")]
    Answer {
        /// What was to come.
        expected: &'static str,
        /// What came.
        came: String,
    },
    /// It refuses, in its own words.
    #[error("it refuses: {0}")]
    Refused(String),
    /// A signature that does not hold under the key.
    #[error("its signature is not by the key that it was registered with")]
    Signature,
    /// A message that no program is asked to sign.
    #[error("expected a message of at most {SIGNER_MESSAGE_SIZE_MAX} bytes, {0} came")]
    Message(usize),
}

/// Parts a command line into a program and its arguments: at spaces, but for those in `"…"` or `'…'`. No shell reads it, so
/// nothing in it is expanded and a backslash is a backslash.
pub fn argv_of(command: &str) -> Result<Vec<String>, KeystoreError> {
    let refuse = || KeystoreError::Command(command.chars().take(80).collect());
    if command.len() > COMMAND_SIZE_MAX || command.chars().any(char::is_control) {
        return Err(refuse());
    }
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in command.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c == ' ' => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    let names_program = words.first().is_some_and(|program| !program.is_empty());
    if quote.is_some() || !names_program || words.len() > ARGV_MAX {
        return Err(refuse());
    }
    Ok(words)
}

/// A key behind a signer program.
#[derive(Debug, Clone)]
pub struct Program {
    argv: Vec<String>,
    key_use: KeyUse,
    public: PublicKey,
    timeout: Duration,
}

impl Program {
    /// Names a program and the key that it keeps; nothing is started.
    pub fn new(argv: Vec<String>, key_use: KeyUse, public: PublicKey) -> Self {
        Self { argv, key_use, public, timeout: SIGNER_TIMEOUT }
    }

    /// Gives the program another time to answer in.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Asks a program for the public key that it keeps for this use.
    pub fn ask_public(argv: &[String], key_use: KeyUse) -> Result<PublicKey, SignerError> {
        let question = format!("public-key {}\n", key_use.as_str());
        ask(argv, question, SIGNER_TIMEOUT, |answer| {
            let key = word_after(answer, "public-key").and_then(|text| BASE64.decode(text.as_bytes()).ok());
            let key = key.and_then(|bytes| PublicKey::from_bytes(bytes.as_slice().try_into().ok()?).ok());
            key.ok_or(SignerFault::Answer { expected: "public-key BASE64", came: answer.to_owned() })
        })
    }

    fn ask_signature(&self, message: &[u8]) -> Result<[u8; 64], SignerError> {
        if message.len() > SIGNER_MESSAGE_SIZE_MAX {
            return Err(failure(&self.argv, SignerFault::Message(message.len()), String::new()));
        }
        let question = format!("sign {} {}\n", self.key_use.as_str(), BASE64.encode(message));
        ask(&self.argv, question, self.timeout, |answer| {
            let bytes = word_after(answer, "signature").and_then(|text| BASE64.decode(text.as_bytes()).ok());
            let signature: Option<[u8; 64]> = bytes.and_then(|bytes| bytes.as_slice().try_into().ok());
            let signature = signature
                .ok_or_else(|| SignerFault::Answer { expected: "signature BASE64", came: answer.to_owned() })?;
            self.public.verify(message, &signature).map_err(|_| SignerFault::Signature)?;
            Ok(signature)
        })
    }
}

impl Signer for Program {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SigningError> {
        self.ask_signature(message).map_err(SigningError::new)
    }
}

fn word_after<'a>(answer: &'a str, word: &str) -> Option<&'a str> {
    answer.strip_prefix(word)?.strip_prefix(' ')
}

fn failure(argv: &[String], fault: SignerFault, stderr: String) -> SignerError {
    SignerError { program: argv.first().cloned().unwrap_or_default(), fault, stderr }
}

/// Starts the program, asks one question and takes one answer. However that ends, the program does too.
fn ask<T>(
    argv: &[String],
    question: String,
    timeout: Duration,
    read: impl FnOnce(&str) -> Result<T, SignerFault>,
) -> Result<T, SignerError> {
    let mut talk = Talk::start(argv, timeout).map_err(|e| failure(argv, SignerFault::Start(e), String::new()))?;
    let answered = talk.question(question).and_then(|answer| match word_after(&answer, "error") {
        Some(reason) => Err(SignerFault::Refused(reason.to_owned())),
        None => read(&answer),
    });
    let stderr = talk.end(answered.is_ok());
    answered.map_err(|fault| failure(argv, fault, stderr))
}

/// A running program. Reading and writing have threads of their own, so that nothing it does can keep us.
struct Talk {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<io::Result<Vec<u8>>>,
    stderr: Receiver<Vec<u8>>,
    timeout: Duration,
    deadline: Instant,
}

impl Talk {
    fn start(argv: &[String], timeout: Duration) -> io::Result<Self> {
        let (program, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                let mut reader = BufReader::new(stdout);
                // A greeting and an answer: what follows is not read, and a program that writes on meets a closed pipe.
                for _ in 0..2 {
                    let line = read_line(&mut reader);
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let (sender, stderr) = mpsc::channel();
        if let Some(pipe) = child.stderr.take() {
            thread::spawn(move || {
                let mut kept = Vec::new();
                // Where the pipe breaks, what came until then is told.
                let _ = pipe.take(SIGNER_STDERR_SIZE_MAX as u64).read_to_end(&mut kept);
                let _ = sender.send(kept);
            });
        }
        let stdin = child.stdin.take();
        let deadline = Instant::now().checked_add(timeout).unwrap_or_else(Instant::now);
        Ok(Self { child, stdin, lines, stderr, timeout, deadline })
    }

    /// Takes the greeting, asks, and takes the answer.
    fn question(&mut self, question: String) -> Result<String, SignerFault> {
        let greeting = self.line()?;
        if greeting != GREETING {
            return Err(SignerFault::Greeting(greeting));
        }
        if let Some(mut stdin) = self.stdin.take() {
            thread::spawn(move || {
                // A program that ended without reading is told from by what it did not answer.
                let _ = stdin.write_all(question.as_bytes()).and_then(|()| stdin.flush());
            });
        }
        self.line()
    }

    fn line(&self) -> Result<String, SignerFault> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let bytes = match self.lines.recv_timeout(left) {
            Ok(Ok(bytes)) => bytes,
            Err(RecvTimeoutError::Timeout) => return Err(SignerFault::Silent(self.timeout)),
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => return Err(SignerFault::Ended),
        };
        match bytes.strip_suffix(b"\n") {
            Some(line) => Ok(String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()),
            None if bytes.len() >= SIGNER_LINE_SIZE_MAX => Err(SignerFault::Line),
            None => Err(SignerFault::Ended),
        }
    }

    /// Lets the program end, or kills it; returns the beginning of its stderr.
    fn end(mut self, answered: bool) -> String {
        drop(self.stdin.take());
        let until = Instant::now().checked_add(if answered { END_TIMEOUT } else { Duration::ZERO });
        let mut pause = Duration::from_millis(1);
        while until.is_some_and(|until| Instant::now() < until) && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(pause);
            pause = pause.saturating_mul(2).min(Duration::from_millis(50));
        }
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // It may have ended in between.
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        // What it started may hold the pipe open: nobody waits for that.
        let kept = self.stderr.recv_timeout(Duration::from_millis(200)).unwrap_or_default();
        Shown(&kept).to_string()
    }
}

/// Reads a line with its line feed; without one at the end, or at the bound.
fn read_line(reader: &mut impl io::BufRead) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(SIGNER_LINE_SIZE_MAX as u64).read_until(b'\n', &mut bytes)?;
    Ok(bytes)
}

/// Somebody else's text on one line: control characters become spaces.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(self.0);
        let words: Vec<&str> = text.split(|c: char| c.is_control() || c == ' ').filter(|w| !w.is_empty()).collect();
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use standfast_protocol::key::SecretKey;

    use super::*;

    const SHORT: Duration = Duration::from_millis(400);
    const LONG: Duration = Duration::from_secs(20);

    fn secret() -> SecretKey {
        SecretKey::from_seed(&[7; 32])
    }

    /// A program that is a line of shell, which knows the signature over `message` beforehand.
    fn program(script: &str, timeout: Duration) -> Program {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        Program::new(argv, KeyUse::Register, secret().public()).with_timeout(timeout)
    }

    fn answer(by: &SecretKey, message: &[u8]) -> String {
        format!("signature {}", BASE64.encode(&by.sign(message)))
    }

    fn fault(script: &str, timeout: Duration) -> SignerFault {
        program(script, timeout).ask_signature(b"message").expect_err("it is refused").fault
    }

    #[test]
    fn takes_a_signature_that_holds() {
        let answer = answer(&secret(), b"message");
        let expected = BASE64.encode(b"message");
        let script = format!(
            "echo standfast-signer 1; read word use text; \
             [ \"$word $use $text\" = 'sign register {expected}' ] && echo {answer}; echo trailing"
        );
        assert_eq!(program(&script, LONG).ask_signature(b"message").unwrap(), secret().sign(b"message"));
    }

    #[test]
    fn asks_for_the_public_key() {
        let key = BASE64.encode(secret().public().as_bytes());
        let script = format!("echo standfast-signer 1; read word use; [ $use = issue ] && echo public-key {key}");
        let argv = ["/bin/sh".to_owned(), "-c".to_owned(), script];
        assert_eq!(Program::ask_public(&argv, KeyUse::Issue).unwrap(), secret().public());
    }

    #[test]
    fn refuses_a_signature_by_another_key_or_of_another_message() {
        let greet = "echo standfast-signer 1; read line; echo";
        let other = answer(&SecretKey::from_seed(&[8; 32]), b"message");
        assert!(matches!(fault(&format!("{greet} {other}"), LONG), SignerFault::Signature));
        let other = answer(&secret(), b"another message");
        assert!(matches!(fault(&format!("{greet} {other}"), LONG), SignerFault::Signature));
    }

    #[test]
    fn a_program_that_hangs_is_killed() {
        let began = Instant::now();
        assert!(matches!(fault("exec sleep 600", SHORT), SignerFault::Silent(_)));
        assert!(matches!(fault("echo standfast-signer 1; exec sleep 600", SHORT), SignerFault::Silent(_)));
        assert!(began.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn one_that_answers_and_stays_is_killed_too() {
        let answer = answer(&secret(), b"message");
        let script = format!("echo standfast-signer 1; read line; echo {answer}; exec sleep 600");
        let began = Instant::now();
        program(&script, LONG).ask_signature(b"message").unwrap();
        assert!(began.elapsed() < LONG);
    }

    #[test]
    fn a_flood_is_cut_off() {
        assert!(matches!(fault("exec tr '\\0' x < /dev/zero", LONG), SignerFault::Line));
        let flood = "echo standfast-signer 1; read line; exec tr '\\0' x < /dev/zero";
        assert!(matches!(fault(flood, LONG), SignerFault::Line));
        let error = program("exec tr '\\0' x < /dev/zero >&2", SHORT).ask_signature(b"message").unwrap_err();
        assert!(error.stderr.len() <= SIGNER_STDERR_SIZE_MAX);
    }

    #[test]
    fn a_message_larger_than_a_pipe_goes_through_and_one_that_nobody_reads_does_not_block() {
        let large = vec![b'x'; 1 << 20];
        let answer = answer(&secret(), &large);
        // `head` reads all of it before the answer.
        let script = format!("echo standfast-signer 1; head -n 1 > /dev/null; echo {answer}");
        program(&script, LONG).ask_signature(&large).unwrap();
        let deaf = "echo standfast-signer 1; exec sleep 600";
        let error = program(deaf, SHORT).ask_signature(&large).unwrap_err();
        assert!(matches!(error.fault, SignerFault::Silent(_)));
        let huge = vec![0; SIGNER_MESSAGE_SIZE_MAX + 1];
        let error = program("exit 0", SHORT).ask_signature(&huge).unwrap_err();
        assert!(matches!(error.fault, SignerFault::Message(_)));
    }

    #[test]
    fn says_what_a_program_did_instead() {
        assert!(matches!(fault("exit 3", LONG), SignerFault::Ended));
        assert!(matches!(fault("echo standfast-signer 1; exit 0", LONG), SignerFault::Ended));
        assert!(matches!(fault("printf 'standfast-signer 1'", LONG), SignerFault::Ended));
        assert!(matches!(fault("echo standfast-signer 2; read line", LONG), SignerFault::Greeting(_)));
        let garbage = "echo standfast-signer 1; read line; echo signature no";
        assert!(matches!(fault(garbage, LONG), SignerFault::Answer { .. }));
        let refuses = "echo standfast-signer 1; read line; echo 'the token\tis locked' >&2; echo error not today";
        let error = program(refuses, LONG).ask_signature(b"message").unwrap_err();
        assert_eq!(
            error.to_string(),
            "signer /bin/sh has not signed: it refuses: not today; it says: the token is locked"
        );
        let missing = Program::new(vec!["/no/such/program".to_owned()], KeyUse::Root, secret().public());
        assert!(matches!(missing.ask_signature(b"message").unwrap_err().fault, SignerFault::Start(_)));
    }

    #[test]
    fn a_command_line_is_parted_without_a_shell() {
        let parted = |text: &str| argv_of(text).unwrap();
        assert_eq!(parted("/usr/bin/hsm  --slot 2"), ["/usr/bin/hsm", "--slot", "2"]);
        assert_eq!(
            parted(r#"hsm "a b" 'c "d"' e"f g"h "" $HOME \n"#),
            ["hsm", "a b", "c \"d\"", "ef gh", "", "$HOME", "\\n"]
        );
        for refused in ["", "  ", "\"\" a", "hsm 'a", "hsm \"", "a\nb"] {
            assert!(matches!(argv_of(refused), Err(KeystoreError::Command(_))), "{refused:?}");
        }
        assert!(argv_of(&"a ".repeat(65)).is_err());
    }
}
