//! Signed notes (C2SP signed-note).
//!
//! ```text
//! transport.gov.example/register/8d3f…          <- text, any lines
//! 42
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//!                                               <- blank line
//! — transport.gov.example/register/8d3f… base64(key id ‖ signature)
//! ```

use data_encoding::BASE64;

use crate::key::{Algorithm, SecretKey, Signer, SigningError, VerifierKey, check_name};
use crate::limits;

const DASH: &str = "\u{2014} ";

/// Why a note was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// More bytes than a note may have.
    #[error("expected a note of at most {} bytes", limits::NOTE_SIZE_MAX)]
    Size,
    /// Not UTF-8.
    #[error("expected UTF-8")]
    Utf8,
    /// A control character other than a line feed.
    #[error("expected no control characters but line feeds")]
    ControlCharacter,
    /// No blank line between text and signatures.
    #[error("expected a blank line between the text and its signatures")]
    BlankLine,
    /// A line after the blank one that is not a signature.
    #[error("expected signature lines of the form `— name base64`")]
    SignatureLine,
    /// Too many signature lines.
    #[error("expected at most {} signatures", limits::NOTE_SIGNATURES_MAX)]
    SignatureCount,
    /// Base64 that is not canonical.
    #[error("expected canonical base64")]
    Base64,
    /// A key name that is not well formed.
    #[error("expected a key name without spaces, control characters or `+`")]
    KeyName,
    /// A signature of a known key with a wrong number of bytes.
    #[error("a signature of a known key has a wrong length")]
    SignatureLength,
    /// A cosignature with a time above 2^63 − 1.
    #[error("a cosignature's time is out of range")]
    SignatureTime,
    /// A signature of a known key that does not match.
    #[error("the signature of a known key does not match")]
    BadSignature,
    /// No signature of a known key.
    #[error("no known key has signed")]
    UnknownKey,
}

/// One signature line, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    /// The key name.
    pub name: String,
    /// The key id.
    pub id: [u8; 4],
    /// The bytes after the key id: a signature, or a time and a signature.
    pub blob: Vec<u8>,
}

impl SignatureLine {
    /// True when this line claims to be by `key`.
    pub fn is_by(&self, key: &VerifierKey) -> bool {
        self.name == key.name() && self.id == key.id()
    }
}

impl std::fmt::Display for SignatureLine {
    /// Writes the line with its line feed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut blob = self.id.to_vec();
        blob.extend_from_slice(&self.blob);
        writeln!(f, "{DASH}{} {}", self.name, BASE64.encode(&blob))
    }
}

/// A note that is well formed; its signatures are not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<SignatureLine>,
}

/// A signature of a known key that holds. `time` is `None` for a plain note signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedSignature {
    /// The key that signed.
    pub key: VerifierKey,
    /// The cosignature's time in POSIX seconds.
    pub time: Option<u64>,
}

impl Note {
    /// Makes a note of a text that ends in a line feed and its signatures.
    pub fn new(text: String, signatures: Vec<SignatureLine>) -> Self {
        Self { text, signatures }
    }

    /// Reads a note, whole or not at all.
    pub fn parse(data: &[u8]) -> Result<Self, NoteError> {
        if data.len() > limits::NOTE_SIZE_MAX {
            return Err(NoteError::Size);
        }
        let whole = std::str::from_utf8(data).map_err(|_| NoteError::Utf8)?;
        if whole.bytes().any(|b| b < 0x20 && b != b'\n') {
            return Err(NoteError::ControlCharacter);
        }
        let cut = whole.rfind("\n\n").ok_or(NoteError::BlankLine)?;
        let (text, tail) = whole.split_at(cut + 1);
        let lines = tail.strip_prefix('\n').and_then(|t| t.strip_suffix('\n')).ok_or(NoteError::SignatureLine)?;
        if lines.bytes().filter(|b| *b == b'\n').count() >= limits::NOTE_SIGNATURES_MAX {
            return Err(NoteError::SignatureCount);
        }
        let signatures = lines.split('\n').map(parse_line).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Returns the signed text, with its final line feed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the signature lines in order.
    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }

    /// Adds a signature line unless the same line is there.
    pub fn add(&mut self, line: SignatureLine) {
        if !self.signatures.contains(&line) {
            self.signatures.push(line);
        }
    }

    /// Returns the signatures of known keys. Unknown ones are passed over; a known one that does not match refuses
    /// the note. Each key counts once: of several cosignatures the newest.
    pub fn verify(&self, known: &[VerifierKey]) -> Result<Vec<VerifiedSignature>, NoteError> {
        let mut found: Vec<VerifiedSignature> = Vec::new();
        for line in &self.signatures {
            for key in known.iter().filter(|k| line.is_by(k)) {
                let time = verify_line(&self.text, &line.blob, key)?;
                match found.iter_mut().find(|f| f.key == *key) {
                    Some(old) => old.time = old.time.max(time),
                    None => found.push(VerifiedSignature { key: key.clone(), time }),
                }
            }
        }
        Ok(found)
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| write!(f, "{line}"))
    }
}

fn parse_line(line: &str) -> Result<SignatureLine, NoteError> {
    let rest = line.strip_prefix(DASH).ok_or(NoteError::SignatureLine)?;
    let (name, encoded) = rest.split_once(' ').ok_or(NoteError::SignatureLine)?;
    if encoded.contains(' ') {
        return Err(NoteError::SignatureLine);
    }
    let bytes = BASE64.decode(encoded.as_bytes()).map_err(|_| NoteError::Base64)?;
    let Some((id, blob)) = bytes.split_first_chunk::<4>().filter(|(_, blob)| !blob.is_empty()) else {
        return Err(NoteError::SignatureLine);
    };
    check_name(name).map_err(|_| NoteError::KeyName)?;
    Ok(SignatureLine { name: name.to_owned(), id: *id, blob: blob.to_vec() })
}

/// Checks the bytes after a key id; returns a cosignature's time.
pub fn verify_line(text: &str, blob: &[u8], key: &VerifierKey) -> Result<Option<u64>, NoteError> {
    match key.algorithm() {
        Algorithm::Note => {
            let signature = blob.try_into().map_err(|_| NoteError::SignatureLength)?;
            key.key().verify(text.as_bytes(), signature).map_err(|_| NoteError::BadSignature)?;
            Ok(None)
        }
        Algorithm::Cosignature => {
            let (time, signature) = blob.split_first_chunk::<8>().ok_or(NoteError::SignatureLength)?;
            let signature = signature.try_into().map_err(|_| NoteError::SignatureLength)?;
            let time = u64::from_be_bytes(*time);
            if time > limits::COSIGNATURE_TIME_MAX {
                return Err(NoteError::SignatureTime);
            }
            let message = super::cosignature::message(text, time);
            key.key().verify(message.as_bytes(), signature).map_err(|_| NoteError::BadSignature)?;
            Ok(Some(time))
        }
    }
}

/// Signs `text` as a plain note signature by a key of type 0x01.
pub fn sign(text: &str, key: &VerifierKey, secret: &SecretKey) -> SignatureLine {
    line(key, secret.sign(text.as_bytes()))
}

/// Has `text` signed as a plain note signature by a key of type 0x01, wherever its secret is.
pub fn sign_with(text: &str, key: &VerifierKey, signer: &dyn Signer) -> Result<SignatureLine, SigningError> {
    Ok(line(key, signer.sign(text.as_bytes())?))
}

fn line(key: &VerifierKey, signature: [u8; 64]) -> SignatureLine {
    debug_assert_eq!(key.algorithm(), Algorithm::Note);
    SignatureLine { name: key.name().to_owned(), id: key.id(), blob: signature.to_vec() }
}
