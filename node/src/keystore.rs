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
//! Which verifier keys a use has: `register` one of type 0x01, named by the register's origin (known once the register
//! is created); `issue` none, it is named by a DID document; `witness` two, `<name>/witness` of type 0x04 and `<name>/view`
//! of type 0x01 with seeds of their own (C2SP: one key, one set of statements); `root` one of type 0x01, `<name>/root`.

mod passphrase;
mod seed;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use standfast_protocol::digest::Digest;
use standfast_protocol::key::{self, Algorithm, KeyError, PublicKey, SecretKey, VerifierKey};
use standfast_protocol::time::Time;
use zeroize::Zeroizing;

pub use self::passphrase::{PASSPHRASE_LENGTH_MIN, PASSPHRASE_SIZE_MAX, Passphrase, PassphraseFd};
pub use self::seed::{SEED_FILE_SIZE_MAX, Seed, SeedError};
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

const KIND: &str = "standfast/key/v1";
const KIND_PUBLIC: &str = "standfast/key-public/v1";
const ED25519: &str = "Ed25519";

/// What a key is for; it is used for nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyUse {
    /// Signs the heads of one register.
    Register,
    /// Signs credentials, and stands in a DID document.
    Issue,
    /// Cosigns checkpoints and signs views.
    Witness,
    /// Signs charters.
    Root,
    /// Timestamps the heads of one register; made by `register create`, never by hand.
    Timestamp,
}

impl KeyUse {
    /// Returns the word for this use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Issue => "issue",
            Self::Witness => "witness",
            Self::Root => "root",
            Self::Timestamp => "timestamp",
        }
    }

    /// Returns what the key may sign, in the plural.
    pub fn things(self) -> &'static str {
        match self {
            Self::Register => "registers",
            Self::Issue => "credentials",
            Self::Witness => "witnessing",
            Self::Root => "charters",
            Self::Timestamp => "timestamps",
        }
    }
}

impl FromStr for KeyUse {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Register, Self::Issue, Self::Witness, Self::Root].into_iter().find(|u| u.as_str() == text).ok_or(())
    }
}

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

/// What everybody may know about a key: the file `<name>.pub`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicPart {
    kind: String,
    /// The local name.
    pub name: String,
    /// What it is for.
    #[serde(rename = "use")]
    pub key_use: KeyUse,
    /// The algorithm, `Ed25519`.
    pub algorithm: String,
    /// The public key as a Multikey.
    pub public_key: String,
    /// The public key of a witness's views.
    pub view_public_key: Option<String>,
    /// The register that the key signs, once it is created.
    pub origin: Option<String>,
    /// When the key was made.
    pub created_at: Time,
    /// When its passphrase was set last.
    pub passphrase_changed_at: Time,
    /// The digest of the key file, which tells a damaged file from a wrong passphrase.
    pub key_file_sha256: Digest,
}

impl PublicPart {
    /// Returns the public key.
    pub fn key(&self) -> Result<PublicKey, KeyError> {
        PublicKey::from_multikey(&self.public_key)
    }

    /// Returns the verifier keys of this use: none for `issue` and for a `register` key without a register, two for a
    /// `witness` (cosignatures first, then views), one for the others.
    pub fn verifier_keys(&self) -> Result<Vec<VerifierKey>, KeyError> {
        let key = self.key()?;
        Ok(match (self.key_use, &self.origin) {
            (KeyUse::Issue, _) | (KeyUse::Register | KeyUse::Timestamp, None) => Vec::new(),
            (KeyUse::Register, Some(origin)) => vec![VerifierKey::new(origin, Algorithm::Note, key)?],
            (KeyUse::Timestamp, Some(origin)) => vec![VerifierKey::new(origin, Algorithm::Cosignature, key)?],
            (KeyUse::Root, _) => vec![VerifierKey::new(&format!("{}/root", self.name), Algorithm::Note, key)?],
            (KeyUse::Witness, _) => {
                let view = PublicKey::from_multikey(self.view_public_key.as_deref().unwrap_or_default())?;
                vec![
                    VerifierKey::new(&format!("{}/witness", self.name), Algorithm::Cosignature, key)?,
                    VerifierKey::new(&format!("{}/view", self.name), Algorithm::Note, view)?,
                ]
            }
        })
    }

    /// Refuses a key that is for something else.
    pub fn demand(&self, expected: KeyUse) -> Result<(), KeystoreError> {
        if self.key_use == expected {
            return Ok(());
        }
        Err(KeystoreError::Use { name: self.name.clone(), came: self.key_use, expected })
    }
}

/// An opened key: no `Debug`, and its secrets are zeroized when dropped.
pub struct Unlocked {
    /// The public part.
    pub public: PublicPart,
    /// The secret key.
    pub secret: SecretKey,
    /// The secret key of a witness's views.
    pub view: Option<SecretKey>,
}

/// A register's timestamping key.
pub struct TimestampKey {
    /// The name of the register key that it stands beside.
    pub name: String,
    /// The verifier key of type 0x04, named by the register's origin.
    pub key: VerifierKey,
    /// The secret key.
    pub secret: SecretKey,
}

/// The plaintext of a key file. Seeds stay borrowed from a zeroized buffer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain<'a> {
    kind: &'a str,
    name: &'a str,
    #[serde(rename = "use")]
    key_use: KeyUse,
    algorithm: &'a str,
    seed: &'a str,
    view_seed: Option<&'a str>,
    /// The register of a timestamping key.
    #[serde(default)]
    origin: Option<&'a str>,
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
        let public = SecretKey::from_seed(seed.bytes()).public().to_multikey();
        let is_same = |held: &PublicPart| held.public_key == public || held.view_public_key.as_ref() == Some(&public);
        match self.list()?.into_iter().find(is_same) {
            Some(held) => Err(KeystoreError::Held(held.name)),
            None => Ok(()),
        }
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
            kind: KIND_PUBLIC.to_owned(),
            name: name.to_owned(),
            key_use,
            algorithm: ED25519.to_owned(),
            public_key: SecretKey::from_seed(seed).public().to_multikey(),
            view_public_key: view_seed.map(|seed| SecretKey::from_seed(seed).public().to_multikey()),
            origin: None,
            created_at: now,
            passphrase_changed_at: now,
            key_file_sha256: Digest::of(&sealed),
        };
        self.write_new(name, "pub", &public_json(&public), file::PUBLIC)?;
        Ok(public)
    }

    /// Writes the public part of a key file anew, which needs its passphrase.
    pub fn recover(&self, name: &str, passphrase: &Passphrase, now: Time) -> Result<PublicPart, KeystoreError> {
        check_name(name)?;
        let (plain, sealed) = self.open_file(name, passphrase, None)?;
        let opened = self.read_plain(name, &plain)?;
        let public = PublicPart {
            kind: KIND_PUBLIC.to_owned(),
            name: name.to_owned(),
            key_use: opened.key_use,
            algorithm: ED25519.to_owned(),
            public_key: opened.secret.public().to_multikey(),
            view_public_key: opened.view.map(|view| view.public().to_multikey()),
            origin: None,
            created_at: now,
            passphrase_changed_at: now,
            key_file_sha256: Digest::of(&sealed),
        };
        self.write_new(name, "pub", &public_json(&public), file::PUBLIC)?;
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
        let fits = public.kind == KIND_PUBLIC && public.name == name && public.algorithm == ED25519;
        if !fits || public.verifier_keys().is_err() {
            let reason = format!("expected the public part of key {name}, of kind {KIND_PUBLIC}");
            return Err(KeystoreError::Format { path, reason });
        }
        Ok(public)
    }

    /// Opens a key for one use.
    pub fn unlock(&self, name: &str, expected: KeyUse, passphrase: &Passphrase) -> Result<Unlocked, KeystoreError> {
        let public = self.public(name)?;
        public.demand(expected)?;
        let (plain, _) = self.open_file(name, passphrase, Some(&public))?;
        let opened = self.read_plain(name, &plain)?;
        let view = opened.view.as_ref().map(|view| view.public().to_multikey());
        if opened.key_use != public.key_use
            || opened.secret.public().to_multikey() != public.public_key
            || view != public.view_public_key
        {
            let reason = format!("expected the key that {name}.pub describes");
            return Err(KeystoreError::Format { path: self.path(name, "key"), reason });
        }
        Ok(Unlocked { public, secret: opened.secret, view: opened.view })
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
        let (plain, _) = self.open_file(name, old, Some(&public))?;
        self.read_plain(name, &plain)?;
        let sealed = seal(name, &plain, new)?;
        self.write_over(name, "key", &sealed, file::PRIVATE)?;
        public.passphrase_changed_at = now;
        public.key_file_sha256 = Digest::of(&sealed);
        self.write_over(name, "pub", &public_json(&public), file::PUBLIC)?;
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
        self.write_over(name, "pub", &public_json(&public), file::PUBLIC)?;
        Ok(public)
    }

    /// Makes the timestamping key of a register beside its register key; one that is there is returned.
    pub fn create_timestamp(&self, name: &str, origin: &str) -> Result<TimestampKey, KeystoreError> {
        check_name(name)?;
        key::check_name(origin)?;
        let plain = plaintext(name, KeyUse::Timestamp, &*random_seed()?, None, Some(origin));
        file::private_dir(&self.dir).map_err(|source| KeystoreError::File { path: self.dir.clone(), source })?;
        match self.write_new(name, "timestamp", plain.as_bytes(), file::PRIVATE) {
            Ok(()) | Err(KeystoreError::Exists(_)) => {}
            Err(other) => return Err(other),
        }
        let key = self.timestamp(name)?;
        if key.key.name() != origin {
            return Err(KeystoreError::Bound { name: name.to_owned(), origin: key.key.name().to_owned() });
        }
        Ok(key)
    }

    /// Reads the timestamping key beside a register key.
    pub fn timestamp(&self, name: &str) -> Result<TimestampKey, KeystoreError> {
        check_name(name)?;
        let bytes = self.read(name, "timestamp")?;
        let opened = self.read_plain_of(name, "timestamp", &bytes)?;
        let (KeyUse::Timestamp, Some(origin)) = (opened.key_use, opened.origin) else {
            let reason = "expected a timestamping key with its register".to_owned();
            return Err(KeystoreError::Format { path: self.path(name, "timestamp"), reason });
        };
        let key = VerifierKey::new(&origin, Algorithm::Cosignature, opened.secret.public())?;
        Ok(TimestampKey { name: name.to_owned(), key, secret: opened.secret })
    }

    /// Reads every timestamping key, which is how a node learns for which registers it speaks.
    pub fn timestamps(&self) -> Result<Vec<TimestampKey>, KeystoreError> {
        let mut names = self.names_with("timestamp")?;
        names.sort();
        names.iter().map(|name| self.timestamp(name)).collect()
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
                    whole: public.is_some_and(|p| p.key_file_sha256 == Digest::of(&sealed)),
                    changed_at: public.map_or(Time::START, |p| p.passphrase_changed_at),
                })
            }
            Err(e) => Err(KeystoreError::Format { path: self.path(name, "key"), reason: e.to_string() }),
        }
    }

    fn read_plain(&self, name: &str, plain: &[u8]) -> Result<Opened, KeystoreError> {
        self.read_plain_of(name, "key", plain)
    }

    fn read_plain_of(&self, name: &str, extension: &str, plain: &[u8]) -> Result<Opened, KeystoreError> {
        let refuse =
            |reason: &str| KeystoreError::Format { path: self.path(name, extension), reason: reason.to_owned() };
        // What serde says about the plaintext might quote a secret.
        let plain: Plain<'_> = serde_json::from_slice(plain).map_err(|_| refuse("expected the members of a key"))?;
        if plain.kind != KIND || plain.algorithm != ED25519 {
            return Err(refuse("expected an Ed25519 key of kind standfast/key/v1"));
        }
        if plain.name != name {
            return Err(refuse("expected the key that the file's name says"));
        }
        if plain.view_seed.is_some() != (plain.key_use == KeyUse::Witness) {
            return Err(refuse("expected two seeds in a witness's key, one in every other"));
        }
        let secret = |hex: &str| {
            let bytes = HEXLOWER.decode(hex.as_bytes()).map(Zeroizing::new).ok()?;
            let seed: Zeroizing<[u8; 32]> = Zeroizing::new(bytes.as_slice().try_into().ok()?);
            Some(SecretKey::from_seed(&seed))
        };
        let expected = "expected seeds of 64 hex digits";
        Ok(Opened {
            key_use: plain.key_use,
            secret: secret(plain.seed).ok_or_else(|| refuse(expected))?,
            view: plain.view_seed.map(|seed| secret(seed).ok_or_else(|| refuse(expected))).transpose()?,
            origin: plain.origin.map(str::to_owned),
        })
    }
}

/// A plaintext that was read.
struct Opened {
    key_use: KeyUse,
    secret: SecretKey,
    view: Option<SecretKey>,
    origin: Option<String>,
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

/// Written by hand so that no copy of a seed outlives this buffer. Names and origins hold nothing to escape but `"` and
/// `\`, which `serde_json` escapes in the origin.
fn plaintext(
    name: &str,
    key_use: KeyUse,
    seed: &[u8; 32],
    view_seed: Option<&[u8; 32]>,
    origin: Option<&str>,
) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(1024));
    out.push_str(&format!("{{\"kind\":\"{KIND}\",\"name\":\"{name}\",\"use\":\"{}\"", key_use.as_str()));
    out.push_str(&format!(",\"algorithm\":\"{ED25519}\",\"seed\":\""));
    HEXLOWER.encode_append(seed, &mut out);
    out.push_str("\",\"view_seed\":");
    match view_seed {
        Some(seed) => {
            out.push('"');
            HEXLOWER.encode_append(seed, &mut out);
            out.push('"');
        }
        None => out.push_str("null"),
    }
    if let Some(origin) = origin {
        out.push_str(&format!(",\"origin\":{}", serde_json::Value::from(origin)));
    }
    out.push_str("}\n");
    out
}

fn seal(name: &str, plain: &[u8], passphrase: &Passphrase) -> Result<Vec<u8>, KeystoreError> {
    let mut recipient = age::scrypt::Recipient::new(passphrase.secret());
    recipient.set_work_factor(WORK_FACTOR);
    let sealed = age::encrypt_and_armor(&recipient, plain);
    sealed.map(String::into_bytes).map_err(|_| KeystoreError::Encrypt(name.to_owned()))
}

fn public_json(public: &PublicPart) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(public).expect("a public part has only string keys");
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const NOW: u64 = 1_790_000_000;

    fn now() -> Time {
        Time::from_secs_saturating(NOW)
    }

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(Zeroizing::new(text.to_owned())).unwrap()
    }

    fn store() -> (tempfile::TempDir, Keystore) {
        let dir = tempfile::tempdir().unwrap();
        let store = Keystore::in_data_dir(dir.path());
        (dir, store)
    }

    #[test]
    fn a_key_opens_with_its_passphrase_alone() {
        let (_dir, store) = store();
        let made = store.create("transport", KeyUse::Register, &passphrase("correct horse"), now()).unwrap();
        let opened = store.unlock("transport", KeyUse::Register, &passphrase("correct horse")).unwrap();
        assert_eq!(opened.secret.public().to_multikey(), made.public_key);
        let refused = store.unlock("transport", KeyUse::Register, &passphrase("wrong horse")).err().unwrap();
        assert!(matches!(refused, KeystoreError::Passphrase { whole: true, .. }), "{refused}");
        let text = fs::read_to_string(store.key_path("transport")).unwrap();
        assert!(text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"));
        assert_eq!(fs::metadata(store.key_path("transport")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(store.dir()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn one_key_has_one_use_and_one_name() {
        let (_dir, store) = store();
        store.create("lic-2026", KeyUse::Issue, &passphrase("correct horse"), now()).unwrap();
        let refused = store.unlock("lic-2026", KeyUse::Root, &passphrase("correct horse")).err().unwrap();
        assert!(matches!(refused, KeystoreError::Use { .. }));
        let refused = store.create("lic-2026", KeyUse::Issue, &passphrase("correct horse"), now()).err().unwrap();
        assert!(matches!(refused, KeystoreError::Exists(_)));
        fs::copy(store.key_path("lic-2026"), store.key_path("other")).unwrap();
        let refused = store.recover("other", &passphrase("correct horse"), now()).err().unwrap();
        assert!(matches!(refused, KeystoreError::Format { .. }));
        for name in ["", "a/b", "..", "-a", "a b", "a+b", "ä"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn an_imported_key_is_the_one_that_was_brought() {
        let (_dir, store) = store();
        let seed = Seed::parse("07".repeat(32).as_bytes()).unwrap();
        let made = store.import("root", KeyUse::Root, &seed, &passphrase("correct horse"), now()).unwrap();
        assert_eq!(made.key().unwrap(), SecretKey::from_seed(&[7; 32]).public());
        let opened = store.unlock("root", KeyUse::Root, &passphrase("correct horse")).unwrap();
        assert_eq!(opened.secret.public(), SecretKey::from_seed(&[7; 32]).public());
        let public = fs::read_to_string(store.dir().join("root.pub")).unwrap();
        assert!(!public.contains(&"07".repeat(32)), "the seed is nowhere but in the encrypted file");
    }

    #[test]
    fn refuses_to_import_a_witness_or_one_key_twice() {
        let (_dir, store) = store();
        let seed = Seed::parse("07".repeat(32).as_bytes()).unwrap();
        let import = |name, key_use| store.import(name, key_use, &seed, &passphrase("correct horse"), now());
        assert!(matches!(import("customs", KeyUse::Witness), Err(KeystoreError::TwoSeeds(KeyUse::Witness))));
        import("root", KeyUse::Root).unwrap();
        assert!(matches!(import("root", KeyUse::Root), Err(KeystoreError::Exists(_))));
        assert!(matches!(import("lic-2026", KeyUse::Issue), Err(KeystoreError::Held(name)) if name == "root"));
        assert_eq!(store.list().unwrap().len(), 1);
    }

    #[test]
    fn a_witness_has_two_keys_with_two_names() {
        let (_dir, store) = store();
        let made = store.create("customs", KeyUse::Witness, &passphrase("correct horse"), now()).unwrap();
        let keys = made.verifier_keys().unwrap();
        assert_eq!(keys.iter().map(VerifierKey::name).collect::<Vec<_>>(), ["customs/witness", "customs/view"]);
        assert_eq!(keys[0].algorithm(), Algorithm::Cosignature);
        assert_ne!(keys[0].key(), keys[1].key());
        assert_eq!(store.list().unwrap(), [made]);
    }

    #[test]
    fn a_register_key_serves_one_register() {
        let (_dir, store) = store();
        let made = store.create("transport", KeyUse::Register, &passphrase("correct horse"), now()).unwrap();
        assert!(made.verifier_keys().unwrap().is_empty());
        let origin = key::origin_of("transport.gov.example/register", &made.key().unwrap());
        let bound = store.bind_origin("transport", &origin).unwrap();
        assert!(key::is_own_origin(&bound.verifier_keys().unwrap()[0]));
        assert!(matches!(store.bind_origin("transport", "other"), Err(KeystoreError::Bound { .. })));
        let timestamp = store.create_timestamp("transport", &origin).unwrap();
        assert_eq!(timestamp.key.algorithm(), Algorithm::Cosignature);
        let again = store.create_timestamp("transport", &origin).unwrap();
        assert_eq!(again.key, timestamp.key);
        assert_eq!(store.timestamps().unwrap().len(), 1);
        assert!(matches!(store.create_timestamp("transport", "other"), Err(KeystoreError::Bound { .. })));
    }

    #[test]
    fn a_changed_passphrase_replaces_the_old_one() {
        let (_dir, store) = store();
        let made = store.create("root", KeyUse::Root, &passphrase("correct horse"), now()).unwrap();
        let later = now().plus(60);
        let changed = store
            .change_passphrase("root", &passphrase("correct horse"), &passphrase("battery staple"), later)
            .unwrap();
        assert_eq!((changed.passphrase_changed_at, changed.created_at), (later, made.created_at));
        assert!(store.unlock("root", KeyUse::Root, &passphrase("correct horse")).is_err());
        assert!(store.unlock("root", KeyUse::Root, &passphrase("battery staple")).is_ok());
    }

    #[test]
    fn a_damaged_key_file_is_not_called_a_wrong_passphrase() {
        let (_dir, store) = store();
        store.create("root", KeyUse::Root, &passphrase("correct horse"), now()).unwrap();
        let mut bytes = fs::read(store.key_path("root")).unwrap();
        bytes.truncate(bytes.len() - 60);
        fs::write(store.key_path("root"), bytes).unwrap();
        let refused = store.unlock("root", KeyUse::Root, &passphrase("correct horse")).err().unwrap();
        assert!(!matches!(refused, KeystoreError::Passphrase { whole: true, .. }), "{refused}");
    }

    #[test]
    fn refuses_unknown_members_and_short_passphrases() {
        let (_dir, store) = store();
        assert!(store.create("root", KeyUse::Root, &passphrase("short"), now()).is_err());
        store.create("root", KeyUse::Root, &passphrase("correct horse"), now()).unwrap();
        let path = store.dir().join("root.pub");
        let text = fs::read_to_string(&path).unwrap().replacen('{', "{\"more\": 1,", 1);
        fs::write(&path, text).unwrap();
        assert!(matches!(store.public("root"), Err(KeystoreError::Format { .. })));
    }
}
