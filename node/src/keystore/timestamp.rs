//! Timestamping keys: in the clear beside a register key, good only to say that the register's owner is alive.

use standfast_protocol::key::{self, Algorithm, SecretKey, VerifierKey};

use super::plain::plaintext;
use super::{KeyUse, Keystore, KeystoreError, check_name, random_seed};
use crate::file;

/// A register's timestamping key.
pub struct TimestampKey {
    /// The name of the register key that it stands beside.
    pub name: String,
    /// The verifier key of type 0x04, named by the register's origin.
    pub key: VerifierKey,
    /// The secret key.
    pub secret: SecretKey,
}

impl Keystore {
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
        let opened = self.read_plain(name, "timestamp", &bytes)?;
        let (KeyUse::Timestamp, Some(origin)) = (opened.key_use, &opened.origin) else {
            let reason = "expected a timestamping key with its register".to_owned();
            return Err(KeystoreError::Format { path: self.path(name, "timestamp"), reason });
        };
        let key = VerifierKey::new(origin, Algorithm::Cosignature, opened.secret().public())?;
        Ok(TimestampKey { name: name.to_owned(), key, secret: opened.secret() })
    }

    /// Puts the timestamping key that stands beside `from` beside `to` too: it is the register's, and a rotation of the
    /// register's key leaves it as it is, so that the published age goes on. One that is there already is returned.
    pub fn adopt_timestamp(&self, from: &str, to: &str) -> Result<TimestampKey, KeystoreError> {
        check_name(to)?;
        let bytes = self.read(from, "timestamp")?;
        let opened = self.read_plain(from, "timestamp", &bytes)?;
        let held = self.timestamp(from)?;
        let plain = plaintext(to, KeyUse::Timestamp, opened.seed(), None, Some(held.key.name()));
        match self.write_new(to, "timestamp", plain.as_bytes(), file::PRIVATE) {
            Ok(()) | Err(KeystoreError::Exists(_)) => {}
            Err(other) => return Err(other),
        }
        let adopted = self.timestamp(to)?;
        if adopted.key != held.key {
            return Err(KeystoreError::Bound { name: to.to_owned(), origin: adopted.key.name().to_owned() });
        }
        Ok(adopted)
    }

    /// Reads every timestamping key, each once, which is how a node learns for which registers it speaks.
    pub fn timestamps(&self) -> Result<Vec<TimestampKey>, KeystoreError> {
        let mut names = self.names_with("timestamp")?;
        names.sort();
        let mut keys: Vec<TimestampKey> = Vec::new();
        for name in names {
            let key = self.timestamp(&name)?;
            if keys.iter().all(|other| other.key != key.key) {
                keys.push(key);
            }
        }
        Ok(keys)
    }
}
