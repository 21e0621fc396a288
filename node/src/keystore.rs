//! Key files: one key, one use, under a passphrase, readable by other age tools.
//!
//! ```text
//! keys/                       0700
//!   transport.key             0600, age passphrase file, ASCII armour; inside it:
//!     {"kind":"standfast/key/v1","name":"transport","use":"register","algorithm":"Ed25519",
//!      "seed":"<64 hex digits>","view_seed":null}
//!   transport.pub             the public part, plain JSON: listing keys asks for no passphrase
//!   transport.timestamp       0600, not encrypted: good only to say "the owner is alive", so that it may live on the
//!                             agency's node (`specs/register.md`, keys of type 0x04)
//!   transport.ledger          what the key has signed, see [`crate::ledger`]
//! ```
//!
//! A key may live behind a **signer program** instead ([`Program`], `specs/signer.md`): then there is no `.key`, and the public
//! part names the program.
//!
//! Which verifier keys a use has: `register` one of type 0x01, named by the register's origin (known once the register
//! is created); `issue` none, it is named by a DID document; `witness` two, `<name>/witness` of type 0x04 and `<name>/view`
//! of type 0x01 with seeds of their own (C2SP: one key, one set of statements); `root` one of type 0x01, `<name>/root`.

mod passphrase;
mod plain;
mod program;
mod public;
mod seed;
mod timestamp;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use standfast_protocol::digest::Digest;
use standfast_protocol::key::{KeyError, PublicKey, SecretKey, Signer, SigningError};
use standfast_protocol::time::Time;
use zeroize::Zeroizing;

pub use self::passphrase::{PASSPHRASE_LENGTH_MIN, PASSPHRASE_SIZE_MAX, Passphrase, PassphraseFd};
use self::plain::{Opened, plaintext, seal};
pub use self::program::{Program, SignerError, SignerFault, argv_of};
use self::public::{ED25519, KIND};
pub use self::public::{KeyUse, PublicPart};
pub use self::seed::{SEED_FILE_SIZE_MAX, Seed, SeedError};
pub use self::timestamp::TimestampKey;
use crate::file;

/// log2 of the scrypt cost of a key file: 2^15 (32 MiB) takes 0.1 to 0.3 s on one core. age's own default aims at 1 s
/// on the machine that encrypts; a fixed cost makes scripts and small machines predictable.
pub const WORK_FACTOR: u8 = 15;
/// The largest scrypt cost that a key file may ask for: about 8 s and 1 GiB.
pub const WORK_FACTOR_MAX: u8 = 20;
/// Bytes in a key file or in its public part.
const FILE_SIZE_MAX: u64 = 16 * 1024;
/// Key files that are listed.
const KEYS_MAX: usize = 4096;

type SecretBytes = Zeroizing<Vec<u8>>;

/// Why a key could not be made, listed or opened.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// A name that is no key name.
    #[error(
        "expected a key name of 1 to 64 letters, digits, `.`, `-` or `_` that begins with a letter or digit, came {0:?}"
    )]
    Name(String),
    /// There is a key of this name.
    #[error("key {0} exists")]
    Exists(String),
    /// There is no key of this name.
    #[error("there is no key {name} in {}", dir.display())]
    Missing {
        /// The key that was asked for.
        name: String,
        /// The folder of keys.
        dir: PathBuf,
    },
    /// A passphrase that does not open the file.
    #[error("the passphrase does not open key {name}")]
    Passphrase {
        /// The key.
        name: String,
        /// True when the file is the one that the public part describes, so that the passphrase alone is wrong.
        whole: bool,
        /// When the passphrase was set last.
        changed_at: Time,
    },
    /// A passphrase that is too short for a new key, or empty, or not UTF-8.
    #[error("expected a passphrase of at least {PASSPHRASE_LENGTH_MIN} characters, in UTF-8, on one line")]
    PassphraseShape,
    /// A key for another use.
    #[error("key {name} is for {}, expected one for {}", came.things(), expected.things())]
    Use {
        /// The key.
        name: String,
        /// What it is for.
        came: KeyUse,
        /// What was needed.
        expected: KeyUse,
    },
    /// One seed for a use that has two keys.
    #[error("a key for {} has two seeds, and a file brings one", .0.things())]
    TwoSeeds(KeyUse),
    /// A public key that is here under another name.
    #[error("the public key is that of key {0}: one key, one use")]
    Held(String),
    /// A register key that has its register already.
    #[error("key {name} already signs {origin}")]
    Bound {
        /// The key.
        name: String,
        /// Its register.
        origin: String,
    },
    /// A register key without a register.
    #[error("key {0} has no register yet")]
    Unbound(String),
    /// A file that is not what this program writes.
    #[error("{} is not a key file of this version", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// A key whose secret is behind a signer program.
    #[error("the secret of key {0} is not here: a signer program keeps it")]
    Elsewhere(String),
    /// A signer program for a use that has no place for one.
    #[error("a key for {} is kept in an encrypted file: it signs by the minute", .0.things())]
    NoProgram(KeyUse),
    /// A command line that names no program.
    #[error("expected a program and its arguments, quotes closed, came {0:?}")]
    Command(String),
    /// The signer program has not done what was asked.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The key file could not be encrypted.
    #[error("key {0} could not be encrypted")]
    Encrypt(String),
    /// No random bytes from the operating system.
    #[error("the operating system gives no random bytes")]
    Random,
    /// A name from which no verifier key can be made.
    #[error("no verifier key can be named so")]
    VerifierKey(#[from] KeyError),
    /// The file or its folder.
    #[error("{} could not be read or written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// An opened key file: no `Debug`, and its secrets are zeroized when dropped.
pub struct Unlocked {
    /// The public part.
    pub public: PublicPart,
    /// The secret key.
    pub secret: SecretKey,
    /// The secret key of a witness's views.
    pub view: Option<SecretKey>,
}

/// What signs for a key: its secret, or the program that keeps it.
pub enum KeySigner {
    /// The secret, from an opened key file.
    Secret(SecretKey),
    /// A signer program.
    Program(Program),
}

impl Signer for KeySigner {
    fn public(&self) -> PublicKey {
        match self {
            Self::Secret(secret) => secret.public(),
            Self::Program(program) => program.public(),
        }
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SigningError> {
        match self {
            Self::Secret(secret) => Ok(secret.sign(message)),
            Self::Program(program) => program.sign(message),
        }
    }
}

/// The folder `keys` of a data directory.
#[derive(Debug, Clone)]
pub struct Keystore {
    dir: PathBuf,
}

impl Keystore {
    /// Names the folder; nothing is opened or made.
    pub fn in_data_dir(data_dir: &Path) -> Self {
        Self { dir: data_dir.join("keys") }
    }

    /// Returns the folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the path of the signer's ledger of a key.
    pub fn ledger_path(&self, name: &str) -> PathBuf {
        self.path(name, "ledger")
    }

    /// Returns the path of a key file.
    pub fn key_path(&self, name: &str) -> PathBuf {
        self.path(name, "key")
    }

    fn path(&self, name: &str, extension: &str) -> PathBuf {
        self.dir.join(format!("{name}.{extension}"))
    }

    /// Makes a key of random seeds. `<name>.key` comes first: a crash leaves a key file without its public part, which
    /// the next run refuses to overwrite and [`Keystore::recover`] completes.
    pub fn create(
        &self,
        name: &str,
        key_use: KeyUse,
        passphrase: &Passphrase,
        now: Time,
    ) -> Result<PublicPart, KeystoreError> {
        let view_seed = if key_use == KeyUse::Witness { Some(random_seed()?) } else { None };
        self.make(name, key_use, &*random_seed()?, view_seed.as_deref(), passphrase, now)
    }

    /// Makes a key of a seed that was made elsewhere. Refused for a witness, which has two, and where the same
    /// public key is here already.
    pub fn import(
        &self,
        name: &str,
        key_use: KeyUse,
        seed: &Seed,
        passphrase: &Passphrase,
        now: Time,
    ) -> Result<PublicPart, KeystoreError> {
        self.check_import(name, key_use, seed)?;
        self.make(name, key_use, seed.bytes(), None, passphrase, now)
    }

    /// Checks what [`Keystore::import`] refuses, before anybody is asked for a passphrase.
    pub fn check_import(&self, name: &str, key_use: KeyUse, seed: &Seed) -> Result<(), KeystoreError> {
        check_name(name)?;
        if key_use == KeyUse::Witness {
            return Err(KeystoreError::TwoSeeds(key_use));
        }
        if fs::symlink_metadata(self.path(name, "pub")).is_ok() {
            return Err(KeystoreError::Exists(name.to_owned()));
        }
        self.check_held(&SecretKey::from_seed(seed.bytes()).public())
    }

    /// Refuses a public key that is here under some name: one key, one use.
    fn check_held(&self, public: &PublicKey) -> Result<(), KeystoreError> {
        let public = public.to_multikey();
        let is_same = |held: &PublicPart| held.public_key == public || held.view_public_key.as_ref() == Some(&public);
        match self.list()?.into_iter().find(is_same) {
            Some(held) => Err(KeystoreError::Held(held.name)),
            None => Ok(()),
        }
    }

    /// Makes a key whose secret a signer program keeps; the public key is asked from the program. Refused for a witness,
    /// whose node signs by the minute, and where the same public key is here already.
    pub fn create_behind(
        &self,
        name: &str,
        key_use: KeyUse,
        argv: &[String],
        now: Time,
    ) -> Result<PublicPart, KeystoreError> {
        check_name(name)?;
        if matches!(key_use, KeyUse::Witness | KeyUse::Timestamp) {
            return Err(KeystoreError::NoProgram(key_use));
        }
        for extension in ["pub", "key"] {
            if fs::symlink_metadata(self.path(name, extension)).is_ok() {
                return Err(KeystoreError::Exists(name.to_owned()));
            }
        }
        let key = Program::ask_public(argv, key_use)?;
        self.check_held(&key)?;
        file::private_dir(&self.dir).map_err(|source| KeystoreError::File { path: self.dir.clone(), source })?;
        let public = PublicPart {
            kind: KIND.to_owned(),
            name: name.to_owned(),
            key_use,
            algorithm: ED25519.to_owned(),
            public_key: key.to_multikey(),
            view_public_key: None,
            origin: None,
            created_at: now,
            passphrase_changed_at: now,
            key_file_sha256: None,
            signer: Some(argv.to_vec()),
        };
        self.write_new(name, "pub", &public.to_bytes(), file::PUBLIC)?;
        Ok(public)
    }

    /// True when others than the owner may read the key file: encrypted as it is, its passphrase can then be guessed
    /// elsewhere.
    pub fn is_exposed(&self, name: &str) -> bool {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path| fs::metadata(path).map(|file| file.permissions().mode());
        mode(self.key_path(name)).is_ok_and(|mode| mode & 0o077 != 0)
    }

    /// Returns the program that signs for a key; `None` for a key in a file.
    pub fn program(&self, name: &str, expected: KeyUse) -> Result<Option<Program>, KeystoreError> {
        let public = self.public(name)?;
        public.demand(expected)?;
        let Some(argv) = &public.signer else { return Ok(None) };
        Ok(Some(Program::new(argv.clone(), public.key_use, public.key()?)))
    }

    fn make(
        &self,
        name: &str,
        key_use: KeyUse,
        seed: &[u8; 32],
        view_seed: Option<&[u8; 32]>,
        passphrase: &Passphrase,
        now: Time,
    ) -> Result<PublicPart, KeystoreError> {
        check_name(name)?;
        passphrase.check_new()?;
        if fs::symlink_metadata(self.path(name, "pub")).is_ok() {
            return Err(KeystoreError::Exists(name.to_owned()));
        }
        file::private_dir(&self.dir).map_err(|source| KeystoreError::File { path: self.dir.clone(), source })?;
        let plain = plaintext(name, key_use, seed, view_seed, None);
        let sealed = seal(name, plain.as_bytes(), passphrase)?;
        self.write_new(name, "key", &sealed, file::PRIVATE)?;
        let public = PublicPart {
            kind: KIND.to_owned(),
            name: name.to_owned(),
            key_use,
            algorithm: ED25519.to_owned(),
            public_key: SecretKey::from_seed(seed).public().to_multikey(),
            view_public_key: view_seed.map(|seed| SecretKey::from_seed(seed).public().to_multikey()),
            origin: None,
            created_at: now,
            passphrase_changed_at: now,
            key_file_sha256: Some(Digest::of(&sealed)),
            signer: None,
        };
        self.write_new(name, "pub", &public.to_bytes(), file::PUBLIC)?;
        Ok(public)
    }

    /// Writes the public part of a key file anew, which needs its passphrase.
    pub fn recover(&self, name: &str, passphrase: &Passphrase, now: Time) -> Result<PublicPart, KeystoreError> {
        check_name(name)?;
        let (plain, sealed) = self.open_file(name, passphrase, None)?;
        let opened = self.read_plain(name, "key", &plain)?;
        let public = PublicPart {
            kind: KIND.to_owned(),
            name: name.to_owned(),
            key_use: opened.key_use,
            algorithm: ED25519.to_owned(),
            public_key: opened.secret().public().to_multikey(),
            view_public_key: opened.view().map(|view| view.public().to_multikey()),
            origin: None,
            created_at: now,
            passphrase_changed_at: now,
            key_file_sha256: Some(Digest::of(&sealed)),
            signer: None,
        };
        self.write_new(name, "pub", &public.to_bytes(), file::PUBLIC)?;
        Ok(public)
    }

    /// Lists the public parts by name. No folder is no keys.
    pub fn list(&self) -> Result<Vec<PublicPart>, KeystoreError> {
        let mut names = self.names_with("pub")?;
        names.sort();
        names.iter().map(|name| self.public(name)).collect()
    }

    fn names_with(&self, extension: &str) -> Result<Vec<String>, KeystoreError> {
        let failed = |source| KeystoreError::File { path: self.dir.clone(), source };
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(failed(source)),
        };
        let mut names = Vec::new();
        for entry in entries.take(KEYS_MAX) {
            let path = entry.map_err(failed)?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if path.extension().is_some_and(|e| e == extension) && check_name(stem).is_ok() {
                names.push(stem.to_owned());
            }
        }
        Ok(names)
    }

    /// Reads the public part of a key.
    pub fn public(&self, name: &str) -> Result<PublicPart, KeystoreError> {
        check_name(name)?;
        let path = self.path(name, "pub");
        let bytes = self.read(name, "pub")?;
        let public: PublicPart = serde_json::from_slice(&bytes)
            .map_err(|e| KeystoreError::Format { path: path.clone(), reason: e.to_string() })?;
        if !public.is_of(name) {
            let reason = format!("expected the public part of key {name}, of kind {KIND}");
            return Err(KeystoreError::Format { path, reason });
        }
        Ok(public)
    }

    /// Opens a key for one use.
    pub fn unlock(&self, name: &str, expected: KeyUse, passphrase: &Passphrase) -> Result<Unlocked, KeystoreError> {
        let public = self.public(name)?;
        public.demand(expected)?;
        need_file(&public)?;
        let (plain, _) = self.open_file(name, passphrase, Some(&public))?;
        let opened = self.read_plain(name, "key", &plain)?;
        let (secret, view) = (opened.secret(), opened.view());
        if opened.key_use != public.key_use
            || secret.public().to_multikey() != public.public_key
            || view.as_ref().map(|view| view.public().to_multikey()) != public.view_public_key
        {
            let reason = format!("expected the key that {name}.pub describes");
            return Err(KeystoreError::Format { path: self.path(name, "key"), reason });
        }
        Ok(Unlocked { public, secret, view })
    }

    /// Encrypts a key file under another passphrase.
    pub fn change_passphrase(
        &self,
        name: &str,
        old: &Passphrase,
        new: &Passphrase,
        now: Time,
    ) -> Result<PublicPart, KeystoreError> {
        new.check_new()?;
        let mut public = self.public(name)?;
        need_file(&public)?;
        let (plain, _) = self.open_file(name, old, Some(&public))?;
        self.read_plain(name, "key", &plain)?;
        let sealed = seal(name, &plain, new)?;
        self.write_over(name, "key", &sealed, file::PRIVATE)?;
        public.passphrase_changed_at = now;
        public.key_file_sha256 = Some(Digest::of(&sealed));
        self.write_over(name, "pub", &public.to_bytes(), file::PUBLIC)?;
        Ok(public)
    }

    /// Records which register a key signs, once; the origin must be one that the key names.
    pub fn bind_origin(&self, name: &str, origin: &str) -> Result<PublicPart, KeystoreError> {
        let mut public = self.public(name)?;
        public.demand(KeyUse::Register)?;
        match &public.origin {
            Some(same) if same == origin => return Ok(public),
            Some(other) => return Err(KeystoreError::Bound { name: name.to_owned(), origin: other.clone() }),
            None => public.origin = Some(origin.to_owned()),
        }
        public.verifier_keys()?;
        self.write_over(name, "pub", &public.to_bytes(), file::PUBLIC)?;
        Ok(public)
    }

    fn read(&self, name: &str, extension: &str) -> Result<SecretBytes, KeystoreError> {
        let path = self.path(name, extension);
        match file::read(&path, FILE_SIZE_MAX) {
            Ok(bytes) => Ok(Zeroizing::new(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Err(KeystoreError::Missing { name: name.to_owned(), dir: self.dir.clone() })
            }
            Err(source) => Err(KeystoreError::File { path, source }),
        }
    }

    fn write_new(&self, name: &str, extension: &str, bytes: &[u8], mode: u32) -> Result<(), KeystoreError> {
        let path = self.path(name, extension);
        match file::create(&path, bytes, mode) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(KeystoreError::Exists(name.to_owned())),
            done => done.map_err(|source| KeystoreError::File { path, source }),
        }
    }

    fn write_over(&self, name: &str, extension: &str, bytes: &[u8], mode: u32) -> Result<(), KeystoreError> {
        let path = self.path(name, extension);
        file::replace(&path, bytes, mode).map_err(|source| KeystoreError::File { path, source })
    }

    /// Decrypts a key file; returns the plaintext and the file's bytes.
    fn open_file(
        &self,
        name: &str,
        passphrase: &Passphrase,
        public: Option<&PublicPart>,
    ) -> Result<(SecretBytes, Vec<u8>), KeystoreError> {
        let sealed = self.read(name, "key")?;
        let mut identity = age::scrypt::Identity::new(passphrase.secret());
        identity.set_max_work_factor(WORK_FACTOR_MAX);
        match age::decrypt(&identity, &sealed) {
            Ok(plain) => Ok((Zeroizing::new(plain), sealed.to_vec())),
            Err(age::DecryptError::DecryptionFailed | age::DecryptError::KeyDecryptionFailed) => {
                Err(KeystoreError::Passphrase {
                    name: name.to_owned(),
                    whole: public.is_some_and(|p| p.key_file_sha256 == Some(Digest::of(&sealed))),
                    changed_at: public.map_or(Time::START, |p| p.passphrase_changed_at),
                })
            }
            Err(e) => Err(KeystoreError::Format { path: self.path(name, "key"), reason: e.to_string() }),
        }
    }

    /// Reads a plaintext, which stands in the file with this extension.
    fn read_plain(&self, name: &str, extension: &str, bytes: &[u8]) -> Result<Opened, KeystoreError> {
        let refuse =
            |reason: &str| KeystoreError::Format { path: self.path(name, extension), reason: reason.to_owned() };
        plain::read(name, bytes).map_err(refuse)
    }
}

/// Checks the local name of a key, which becomes a file name and part of a verifier key's name.
pub fn check_name(name: &str) -> Result<(), KeystoreError> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let good = (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(inner);
    if good { Ok(()) } else { Err(KeystoreError::Name(name.to_owned())) }
}

fn random_seed() -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|_| KeystoreError::Random)?;
    Ok(seed)
}

/// Refuses a key without a file.
fn need_file(public: &PublicPart) -> Result<(), KeystoreError> {
    match public.signer {
        Some(_) => Err(KeystoreError::Elsewhere(public.name.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
