//! Passphrases of key files, and where they come from without a terminal.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use age::secrecy::SecretString;
use zeroize::Zeroizing;

use super::KeystoreError;
use crate::file;

/// Characters in a new passphrase.
pub const PASSPHRASE_LENGTH_MIN: usize = 8;
/// Bytes in a passphrase, whatever its source.
pub const PASSPHRASE_SIZE_MAX: usize = 4096;

/// A passphrase: no `Debug`, zeroized when dropped.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes a passphrase as typed; refuses an empty one, one over 4 KiB and one with control characters.
    pub fn new(text: Zeroizing<String>) -> Result<Self, KeystoreError> {
        if text.is_empty() || text.len() > PASSPHRASE_SIZE_MAX || text.chars().any(char::is_control) {
            return Err(KeystoreError::PassphraseShape);
        }
        Ok(Self(text))
    }

    /// Reads the systemd credential `standfast.<key>` of this process; `None` when there is none.
    pub fn from_credential(key: &str) -> Result<Option<Self>, KeystoreError> {
        match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(dir) => Self::from_credential_in(Path::new(&dir), key),
            None => Ok(None),
        }
    }

    fn from_credential_in(dir: &Path, key: &str) -> Result<Option<Self>, KeystoreError> {
        let path = dir.join(format!("standfast.{key}"));
        let bytes = match file::read(&path, PASSPHRASE_SIZE_MAX as u64 + 2) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeystoreError::File { path, source }),
        };
        Self::from_line(&bytes).map(Some)
    }

    fn from_line(bytes: &[u8]) -> Result<Self, KeystoreError> {
        let text = std::str::from_utf8(bytes).map_err(|_| KeystoreError::PassphraseShape)?;
        let line = text.strip_suffix('\n').unwrap_or(text);
        Self::new(Zeroizing::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
    }

    /// Refuses a passphrase that is too short for a new key.
    pub fn check_new(&self) -> Result<(), KeystoreError> {
        if self.0.chars().count() < PASSPHRASE_LENGTH_MIN {
            return Err(KeystoreError::PassphraseShape);
        }
        Ok(())
    }

    /// True when both are the same text.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    pub(super) fn secret(&self) -> SecretString {
        SecretString::from(self.0.as_str().to_owned())
    }
}

/// Passphrases from an inherited file descriptor, one a line.
pub struct PassphraseFd(BufReader<fs::File>);

impl PassphraseFd {
    /// Opens the descriptor of this process by its number, through `/dev/fd`.
    pub fn open(fd: u32) -> Result<Self, KeystoreError> {
        let path = PathBuf::from(format!("/dev/fd/{fd}"));
        let file = fs::File::open(&path).map_err(|source| KeystoreError::File { path, source })?;
        Ok(Self(BufReader::with_capacity(PASSPHRASE_SIZE_MAX, file)))
    }

    /// Reads the next line.
    pub fn next_line(&mut self) -> Result<Passphrase, KeystoreError> {
        let mut line = Zeroizing::new(Vec::with_capacity(PASSPHRASE_SIZE_MAX + 2));
        let read = self.0.by_ref().take(PASSPHRASE_SIZE_MAX as u64 + 2).read_until(b'\n', &mut line);
        read.map_err(|source| KeystoreError::File { path: PathBuf::from("--passphrase-fd"), source })?;
        Passphrase::from_line(&line)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_the_credential_of_a_service() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Passphrase::from_credential_in(dir.path(), "customs").unwrap().is_none());
        fs::write(dir.path().join("standfast.customs"), "correct horse\n").unwrap();
        let read = Passphrase::from_credential_in(dir.path(), "customs").unwrap().unwrap();
        assert!(read.is_same(&Passphrase::new(Zeroizing::new("correct horse".to_owned())).unwrap()));
    }

    #[test]
    fn reads_one_passphrase_a_line_from_a_descriptor() {
        use std::os::fd::AsRawFd as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        fs::write(&path, "correct horse\r\nbattery staple").unwrap();
        let open = fs::File::open(&path).unwrap();
        let mut fd = PassphraseFd::open(u32::try_from(open.as_raw_fd()).unwrap()).unwrap();
        assert!(fd.next_line().unwrap().is_same(&Passphrase::new(Zeroizing::new("correct horse".into())).unwrap()));
        assert!(fd.next_line().unwrap().is_same(&Passphrase::new(Zeroizing::new("battery staple".into())).unwrap()));
        assert!(fd.next_line().is_err());
    }
}
