//! The commands, one file a noun, and what they share: settings, clock, keys, files, questions.

pub mod bundle;
pub mod charter;
pub mod credential;
pub mod did;
pub mod explain;
pub mod fork;
pub mod key;
pub mod node;
pub mod policy;
pub mod ready;
pub mod record;
pub mod register;
pub mod status;
pub mod status_list;
pub mod trust;
pub mod verify;

use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use standfast_node::config::{Config, ConfigError, Options};
use standfast_node::error::NodeError;
use standfast_node::file;
use standfast_node::keystore::{KeySigner, KeyUse, Keystore, KeystoreError, Passphrase, PassphraseFd, SignerError};
use standfast_node::store::StoreError;
use standfast_protocol::key::SigningError;
use standfast_protocol::sync::SubmitError;
use standfast_protocol::time::Time;
use zeroize::Zeroizing;

use crate::args::{Command, Global};
use crate::client::Client;
use crate::error::{CliError, CliResult, Exit};
use crate::output::Output;

/// What every command gets.
pub struct Context {
    /// The options of every command.
    pub global: Global,
    /// The two streams.
    pub output: Output,
    /// The settings in force.
    pub config: Config,
    /// The device's time, or `--now`.
    pub now: Time,
    passphrases: Mutex<Option<PassphraseFd>>,
}

/// Runs a command.
pub fn run(command: Command, global: Global, output: Output) -> CliResult {
    let mut options = global.to_options();
    if let Command::Node(node) = &command {
        node::set_options(node, &mut options);
    }
    let context = Context::new(global, output, &options)?;
    match command {
        Command::Verify(command) => verify::run(&context, command),
        Command::Explain(command) => explain::run(&context, &command),
        Command::Ready(command) => ready::run(&context, &command),
        Command::Bundle(command) => bundle::run(&context, command),
        Command::Policy(command) => policy::run(&context, command),
        Command::Fork(command) => fork::run(&context, command),
        Command::Status => status::run(&context),
        Command::Key(command) => key::run(&context, command),
        Command::Charter(command) => charter::run(&context, command),
        Command::Register(command) => register::run(&context, command),
        Command::Record(command) => record::run(&context, command),
        Command::Did(command) => did::run(&context, command),
        Command::Trust(command) => trust::run(&context, command),
        Command::StatusList(command) => status_list::run(&context, command),
        Command::Credential(command) => credential::run(&context, command),
        Command::Node(crate::args::operator::Node::Config) => node::config(&context),
        Command::Node(crate::args::operator::Node::Run(_)) => node::run(&context),
        Command::Demo(arguments) => crate::demo::run(&context, arguments),
    }
}

impl Context {
    /// Reads settings and clock.
    pub fn new(global: Global, output: Output, options: &Options) -> CliResult<Self> {
        let config = Config::load(options).map_err(|e| config_error(&e))?;
        let device = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let device = Time::from_secs_saturating(device);
        let now = global.now.map_or(device, |when| when.resolve(device));
        Ok(Self { global, output, config, now, passphrases: Mutex::new(None) })
    }

    /// True when `--now` replaces the device's clock, which verdicts say.
    pub fn is_now_given(&self) -> bool {
        self.global.now.is_some()
    }

    /// Returns the keys of the data directory.
    pub fn keystore(&self) -> Keystore {
        Keystore::in_data_dir(&self.config.data_dir)
    }

    /// Returns a client of the node: the one that was named, else the one running on the data directory.
    pub fn client(&self) -> CliResult<Option<Client>> {
        match &self.config.node {
            Some(url) => Client::at(url).map(Some),
            None => Client::of_data_dir(&self.config.data_dir),
        }
    }

    /// Opens a key for one use, asking for its passphrase; a key behind a signer program needs none here.
    pub fn unlock(&self, name: &str, expected: KeyUse) -> CliResult<KeySigner> {
        let keys = self.keystore();
        // Refuses a missing or wrong key before anybody types a passphrase.
        if let Some(program) = keys.program(name, expected).map_err(|e| key_error(&e))? {
            return Ok(KeySigner::Program(program));
        }
        if keys.is_exposed(name) {
            let path = keys.key_path(name);
            self.output.note(&format!("note: others may read {0}: chmod 600 {0}", path.display()));
        }
        let passphrase = self.passphrase(name, "Passphrase for key")?;
        keys.unlock(name, expected, &passphrase)
            .map(|unlocked| KeySigner::Secret(unlocked.secret))
            .map_err(|e| key_error(&e))
    }

    /// Gets the passphrase of a key: `--passphrase-fd`, else the systemd credential, else a prompt.
    pub fn passphrase(&self, name: &str, question: &str) -> CliResult<Passphrase> {
        if let Some(passphrase) = self.passphrase_without_terminal(name)? {
            return Ok(passphrase);
        }
        prompt(name, &format!("{question} {name}: "))
    }

    /// Gets a new passphrase, twice from a terminal.
    pub fn new_passphrase(&self, name: &str) -> CliResult<Passphrase> {
        if let Some(passphrase) = self.passphrase_without_terminal(name)? {
            return Ok(passphrase);
        }
        let first = prompt(name, &format!("New passphrase for key {name}: "))?;
        first.check_new().map_err(|e| key_error(&e))?;
        let again = prompt(name, "   again: ")?;
        if !first.is_same(&again) {
            return Err(CliError::usage("the two passphrases differ").hint("nothing was written; run it again"));
        }
        Ok(first)
    }

    fn passphrase_without_terminal(&self, name: &str) -> CliResult<Option<Passphrase>> {
        if let Some(fd) = self.global.passphrase_fd {
            let mut open = self.passphrases.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let source = match open.take() {
                Some(source) => source,
                None => PassphraseFd::open(fd).map_err(|e| key_error(&e))?,
            };
            let read = open.insert(source).next_line();
            return read.map(Some).map_err(|e| key_error(&e).cause(format!("it was to come from descriptor {fd}")));
        }
        Passphrase::from_credential(name).map_err(|e| key_error(&e))
    }

    /// Asks on a terminal; `--yes` answers, and is required without a terminal.
    pub fn confirm(&self, yes: bool, question: &str) -> CliResult<()> {
        if yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            return Err(
                CliError::usage("this needs a yes, and there is no terminal to ask on").hint("answer it with --yes")
            );
        }
        let mut stderr = io::stderr().lock();
        io::Write::write_all(&mut stderr, format!("{question} [y/N] ").as_bytes())?;
        let mut answer = String::new();
        io::stdin().lock().take(64).read_line(&mut answer)?;
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(());
        }
        Err(CliError::new("declined", Exit::Refused, "the answer was not yes").hint("nothing was changed"))
    }

    /// Reads a file, or stdin for `-`, of at most `size_max` bytes.
    pub fn read(&self, path: &Path, size_max: u64) -> CliResult<Vec<u8>> {
        if path != Path::new("-") {
            return file::read(path, size_max).map_err(|e| CliError::file(path, &e));
        }
        let mut bytes = Vec::new();
        io::stdin().lock().take(size_max.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > size_max {
            return Err(CliError::malformed(format!("expected at most {size_max} bytes on stdin")));
        }
        Ok(bytes)
    }

    /// Writes a file whole or not at all, or stdout for `-`; one that exists is replaced only with `yes`.
    pub fn write(&self, path: &Path, bytes: &[u8], yes: bool) -> CliResult<()> {
        if path == Path::new("-") {
            return Ok(self.output.bytes(bytes)?);
        }
        let write = if yes { file::replace } else { file::create };
        write(path, bytes, file::PUBLIC).map_err(|e| CliError::file(path, &e))
    }

    /// Makes the data directory, for its owner alone.
    pub fn make_data_dir(&self) -> CliResult<PathBuf> {
        let dir = self.config.data_dir.clone();
        file::private_dir(&dir).map_err(|e| CliError::file(&dir, &e))?;
        Ok(dir)
    }
}

fn prompt(name: &str, question: &str) -> CliResult<Passphrase> {
    let tty = fs::OpenOptions::new().read(true).write(true).open("/dev/tty");
    if !io::stderr().is_terminal() || tty.is_err() {
        let missing = CliError::new("passphrase-missing", Exit::Usage, format!("key {name} needs its passphrase"));
        return Err(missing
            .cause(format!("neither --passphrase-fd, nor the credential standfast.{name}, nor a terminal to ask on"))
            .hint("give it on a descriptor: --passphrase-fd 3 3< FILE"));
    }
    let config = rpassword::ConfigBuilder::new().password_feedback_mask('·').build();
    let typed = rpassword::prompt_password_with_config(question, config)?;
    Passphrase::new(Zeroizing::new(typed)).map_err(|e| key_error(&e))
}

/// Says why a signer program has not done what it was asked.
pub fn signer_error(error: &SignerError) -> CliError {
    let made = CliError::new("signer-failed", Exit::Io, format!("signer {} has not signed", error.program));
    let made = made.cause(error.fault.to_string());
    let made = if error.stderr.is_empty() { made } else { made.cause(format!("it says: {}", error.stderr)) };
    made.hint("nothing was signed; what a signer program must do: specs/signer.md")
}

/// Says why whatever keeps a key has not signed.
pub fn signing_error(error: &SigningError) -> CliError {
    match std::error::Error::source(error).and_then(|source| source.downcast_ref::<SignerError>()) {
        Some(error) => signer_error(error),
        None => CliError::of("signer-failed", Exit::Io, error),
    }
}

/// Says what is wrong with a key, and what to do.
pub fn key_error(error: &KeystoreError) -> CliError {
    let of = |code, exit| CliError::of(code, exit, error);
    match error {
        KeystoreError::Name(_) | KeystoreError::PassphraseShape | KeystoreError::VerifierKey(_) => {
            of("usage", Exit::Usage)
        }
        KeystoreError::Exists(name) => {
            of("key-exists", Exit::Usage).hint(format!("give another name, or see it: standfast key show {name}"))
        }
        KeystoreError::Missing { .. } => of("key-missing", Exit::Usage).hint("see what is there: standfast key list"),
        KeystoreError::Passphrase { whole: true, changed_at, .. } => {
            let set = crate::output::words::date(*changed_at);
            of("passphrase-wrong", Exit::Usage)
                .cause(format!("the key file is whole; its passphrase was set on {set}"))
                .hint("nothing was signed; run it again")
        }
        KeystoreError::Passphrase { whole: false, name, .. } => of("passphrase-wrong", Exit::Usage)
            .cause(format!("the key file is not the one that {name}.pub describes"))
            .hint("restore both files from one backup, or try the passphrase of the other file"),
        KeystoreError::Use { expected, .. } => of("key-use", Exit::Usage)
            .hint(format!("make one for it: standfast key create NAME --use {}", expected.as_str())),
        KeystoreError::TwoSeeds(key_use) => of("key-use", Exit::Usage)
            .hint(format!("make one here: standfast key create NAME --use {}", key_use.as_str())),
        KeystoreError::Held(name) => of("key-exists", Exit::Usage).hint(format!("see it: standfast key show {name}")),
        KeystoreError::Bound { .. } => {
            of("key-bound", Exit::Usage).hint("one key signs one register: standfast key create NAME --use register")
        }
        KeystoreError::Unbound(name) => of("key-unbound", Exit::Usage)
            .hint(format!("make its register: standfast register create HOST --key {name}")),
        KeystoreError::Format { reason, .. } => of("key-damaged", Exit::Usage).cause(reason.clone()),
        KeystoreError::Elsewhere(_) => {
            of("key-elsewhere", Exit::Usage).hint("its passphrase or PIN is the program's: change it there")
        }
        KeystoreError::NoProgram(key_use) => of("key-use", Exit::Usage)
            .hint(format!("make one here: standfast key create NAME --use {}", key_use.as_str())),
        KeystoreError::Command(_) => {
            of("usage", Exit::Usage).hint("quote it whole: --signer '/usr/bin/hsm-sign --slot 2'")
        }
        KeystoreError::Signer(error) => signer_error(error),
        KeystoreError::Encrypt(_) | KeystoreError::Random => of("key-io", Exit::Io),
        KeystoreError::File { path, source } => CliError::file(path, source),
    }
}

/// Says why a node, or its store, does not serve, and what to do.
pub fn node_error(error: &NodeError) -> CliError {
    let of = |code, exit| CliError::of(code, exit, error);
    match error {
        NodeError::Store(StoreError::InUse { .. }) => {
            of("store-locked", Exit::Io).hint("turn [api] on, or stop the node: systemctl stop standfast")
        }
        NodeError::Store(_) | NodeError::WriterStopped => of("store-io", Exit::Io),
        NodeError::NoCharter(_) => CliError::new("charter-missing", Exit::Usage, error.to_string())
            .hint("ask who governs the network for its charter, then: standfast charter publish FILE"),
        NodeError::OtherNetwork { .. } => of("other-network", Exit::Refused)
            .hint("one data directory holds one network: give another one with --data-dir DIR"),
        NodeError::Charter(_) | NodeError::CharterNote(_) => of("charter-refused", Exit::Usage),
        NodeError::Key(error) => key_error(error),
        NodeError::WitnessKey(_) => of("key-use", Exit::Usage),
        NodeError::Address(_) => of("usage", Exit::Usage),
        NodeError::Identity(_) | NodeError::Network(_) | NodeError::Runtime(_) | NodeError::Stopping => {
            of("node-io", Exit::Io)
        }
        NodeError::Api { .. } => of("api-io", Exit::Io).hint("give another address: --api 127.0.0.1:0"),
        NodeError::File { path, source } => CliError::file(path, source),
        NodeError::Snapshot(error) if error.is_tampering() => of("bundle-altered", Exit::Tampered),
        NodeError::Snapshot(_) => of("snapshot-damaged", Exit::Io),
        NodeError::Submit(SubmitError::Unbound(_)) => of("register-unbound", Exit::Refused)
            .hint("give the register's binding to the authority above: standfast register show --binding"),
        NodeError::Submit(SubmitError::NotDurable(_) | SubmitError::Busy) => of("store-io", Exit::Io),
        NodeError::Submit(SubmitError::Fault(_) | SubmitError::NotAdmitted { .. } | SubmitError::Charter(_)) => {
            of("not-admitted", Exit::Refused)
        }
    }
}

fn config_error(error: &ConfigError) -> CliError {
    let of = |code, exit| CliError::of(code, exit, error);
    match error {
        ConfigError::File { path, source } => CliError::file(path, source),
        // toml's report has a line of its own for the place; it is one cause here.
        ConfigError::Format { source, .. } => {
            let text = source.to_string();
            let place = text.lines().next().unwrap_or_default().to_lowercase();
            let place = place.strip_prefix("toml parse error at ").unwrap_or(&place);
            let said = source.message().replace('`', "").replace("field", "key");
            CliError::new("config", Exit::Usage, error.to_string()).cause(format!("{place}: {said}"))
        }
        ConfigError::Value { .. } => of("config", Exit::Usage).hint("see what is in force: standfast node config"),
        ConfigError::NoHome => of("config", Exit::Usage).hint("name a place: --data-dir DIR"),
    }
}
