//! Ed25519 keys and C2SP verifier keys.
//!
//! ```text
//! transport.gov.example/register/81396c08…+1ae588ef+ASKmfAI7u8fCIGfRTvRKKcJr4wlodcd17aqlf5d26ZCk
//! name                                     key id   base64(algorithm byte ‖ 32-byte public key)
//! ```
//!
//! One rule everywhere (RFC 8032, strict): non-canonical or small-order keys and `R`, and `S` not below
//! the order, are refused.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use crate::limits;

/// Why a key was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `name+id+base64`.
    #[error("expected a verifier key `name+id+base64`, with two plus signs")]
    Shape,
    /// A name that is empty, too long, or holds white space, control characters or a plus sign.
    #[error("expected a key name of 1 to 256 bytes without spaces, control characters or `+`")]
    Name,
    /// A key id that is not eight lower-case hex digits, or not that of the key.
    #[error("the key id is not that of the key and its name")]
    Id,
    /// Base64 that is not canonical.
    #[error("expected canonical base64 with padding")]
    Base64,
    /// An algorithm other than 0x01 (note) or 0x04 (cosignature).
    #[error("expected algorithm 0x01 (Ed25519 note) or 0x04 (Ed25519 cosignature)")]
    Algorithm,
    /// A key for ML-DSA-44 cosignatures, which is well formed.
    #[error("keys for ML-DSA-44 cosignatures (0x06) are known, and not supported by this version")]
    MlDsa44,
    /// Not 32 bytes of key.
    #[error("expected 32 bytes of public key")]
    Length,
    /// Not a point, not canonical, or of small order.
    #[error("the public key is not a canonical Ed25519 point of large order")]
    Weak,
    /// Not a Multikey `z6Mk…` of type 0xed01.
    #[error("expected an Ed25519 Multikey beginning with z6Mk")]
    Multikey,
}

/// A signature does not match the message and the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not match")]
pub struct BadSignature;

/// An Ed25519 public key that is canonical and of large order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads 32 bytes (RFC 8032 §5.1.5), refusing what `verify_strict` would refuse later.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Weak)?;
        if key.is_weak() || !is_canonical(bytes) {
            return Err(KeyError::Weak);
        }
        Ok(Self(key))
    }

    /// Reads a Multikey `z6Mk…` (Controlled Identifiers 1.0 §2.2.2).
    pub fn from_multikey(text: &str) -> Result<Self, KeyError> {
        if text.len() > limits::MULTIKEY_SIZE_MAX {
            return Err(KeyError::Multikey);
        }
        let encoded = text.strip_prefix('z').ok_or(KeyError::Multikey)?;
        let bytes = bs58::decode(encoded).into_vec().map_err(|_| KeyError::Multikey)?;
        match bytes.as_slice() {
            [0xed, 0x01, key @ ..] => Self::from_bytes(key.try_into().map_err(|_| KeyError::Length)?),
            _ => Err(KeyError::Multikey),
        }
    }

    /// Returns the Multikey `z6Mk…` (Controlled Identifiers 1.0 §2.2.2).
    pub fn to_multikey(self) -> String {
        let mut bytes = vec![0xed, 0x01];
        bytes.extend_from_slice(self.as_bytes());
        format!("z{}", bs58::encode(bytes).into_string())
    }

    /// Returns the 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Checks a signature strictly (RFC 8032 §5.1.7, with the cofactorless equation).
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).map_err(|_| BadSignature)
    }
}

/// True when the y coordinate is below the field's prime.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = bytes;
    !(last & 0x7f == 0x7f && middle.iter().all(|b| *b == 0xff) && *first >= 0xed)
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_multikey())
    }
}

impl std::hash::Hash for PublicKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

/// An Ed25519 secret key: no `Debug`, and zeroized when dropped.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// Makes the key of a 32-byte seed (RFC 8032 §5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Returns the public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs `message` (RFC 8032 §5.1.6, deterministic).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        ed25519_dalek::Signer::sign(&self.0, message).to_bytes()
    }
}

/// Why a signer has not signed: whatever keeps the key says so in its own words.
#[derive(Debug, Clone)]
pub struct SigningError(Arc<dyn Error + Send + Sync>);

impl SigningError {
    /// Wraps the reason.
    pub fn new(reason: impl Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(reason))
    }
}

impl fmt::Display for SigningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signer has not signed")
    }
}

impl Error for SigningError {
    /// Returns the reason itself, not the `Arc` that holds it, so that a caller finds its type.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// Whatever signs with one Ed25519 key: a secret held in memory, or what keeps it elsewhere.
///
/// An implementation returns only signatures that hold under [`Signer::public`].
pub trait Signer {
    /// Returns the public key.
    fn public(&self) -> PublicKey;

    /// Signs `message` (RFC 8032 §5.1.6).
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SigningError>;
}

impl Signer for SecretKey {
    fn public(&self) -> PublicKey {
        self.public()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SigningError> {
        Ok(self.sign(message))
    }
}

/// What a verifier key signs (C2SP signed-note, "Signature types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Algorithm {
    /// 0x01: Ed25519 over the note's text.
    Note = 0x01,
    /// 0x04: timestamped Ed25519 cosignature (C2SP tlog-cosignature).
    Cosignature = 0x04,
}

/// A C2SP verifier key: a name, an algorithm and a public key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifierKey {
    name: String,
    algorithm: Algorithm,
    key: PublicKey,
    id: [u8; 4],
}

impl VerifierKey {
    /// Makes a verifier key; the name must be well formed.
    pub fn new(name: &str, algorithm: Algorithm, key: PublicKey) -> Result<Self, KeyError> {
        check_name(name)?;
        let id = key_id(name, algorithm, &key);
        Ok(Self { name: name.to_owned(), algorithm, key, id })
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what the key signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the public key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Returns the key id: SHA-256(name ‖ "\n" ‖ algorithm ‖ key), first four bytes.
    pub fn id(&self) -> [u8; 4] {
        self.id
    }
}

/// The signature type of ML-DSA-44 cosignatures (C2SP tlog-cosignature), which nothing here makes or checks yet.
const ML_DSA_44: u8 = 0x06;
/// Bytes of an ML-DSA-44 public key (FIPS 204).
const ML_DSA_44_KEY_SIZE: usize = 1312;

fn key_id(name: &str, algorithm: Algorithm, key: &PublicKey) -> [u8; 4] {
    id_of(name, algorithm as u8, key.as_bytes())
}

fn id_of(name: &str, algorithm: u8, key: &[u8]) -> [u8; 4] {
    let mut hasher = Sha256::new();
    hasher.update(name.as_bytes());
    hasher.update(b"\n");
    hasher.update([algorithm]);
    hasher.update(key);
    let hash: [u8; 32] = hasher.finalize().into();
    let [a, b, c, d, ..] = hash;
    [a, b, c, d]
}

/// Checks a key name (C2SP signed-note, "Format").
pub fn check_name(name: &str) -> Result<(), KeyError> {
    let bad = |c: char| c == '+' || c.is_whitespace() || (c as u32) < 0x20 || c == '\u{7f}';
    if name.is_empty() || name.len() > limits::KEY_NAME_SIZE_MAX || name.contains(bad) {
        return Err(KeyError::Name);
    }
    Ok(())
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(material)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Shape);
        };
        check_name(name)?;
        if material.len() > limits::KEY_MATERIAL_SIZE_MAX {
            return Err(KeyError::Length);
        }
        let material = BASE64.decode(material.as_bytes()).map_err(|_| KeyError::Base64)?;
        let id = HEXLOWER.decode(id.as_bytes()).map_err(|_| KeyError::Id)?;
        let (algorithm, key) = match material.split_first() {
            Some((0x01, key)) => (Algorithm::Note, key),
            Some((0x04, key)) => (Algorithm::Cosignature, key),
            Some((&ML_DSA_44, key)) if key.len() == ML_DSA_44_KEY_SIZE => {
                let known = id_of(name, ML_DSA_44, key).as_slice() == id;
                return Err(if known { KeyError::MlDsa44 } else { KeyError::Id });
            }
            _ => return Err(KeyError::Algorithm),
        };
        let key = PublicKey::from_bytes(key.try_into().map_err(|_| KeyError::Length)?)?;
        let made = Self::new(name, algorithm, key)?;
        if made.id.as_slice() != id {
            return Err(KeyError::Id);
        }
        Ok(made)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut material = vec![self.algorithm as u8];
        material.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, HEXLOWER.encode(&self.id), BASE64.encode(&material))
    }
}

impl Serialize for VerifierKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VerifierKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Returns the origin `<prefix>/<32 hex digits>` of a register whose first key is `key`
/// (`specs/register.md` §2): nobody can claim another's.
pub fn origin_of(prefix: &str, key: &PublicKey) -> String {
    format!("{prefix}/{}", origin_tail(Algorithm::Note, key))
}

/// True when `first` is named by its own origin, so that the origin is its register's.
pub fn is_own_origin(first: &VerifierKey) -> bool {
    first
        .name
        .rsplit_once('/')
        .is_some_and(|(prefix, tail)| !prefix.is_empty() && tail == origin_tail(first.algorithm, &first.key))
}

fn origin_tail(algorithm: Algorithm, key: &PublicKey) -> String {
    let hash: [u8; 32] = Sha256::new().chain_update([algorithm as u8]).chain_update(key.as_bytes()).finalize().into();
    let mut text = HEXLOWER.encode(&hash);
    text.truncate(32);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_key_of_the_signed_note_specification() {
        let text = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
        let key: VerifierKey = text.parse().expect("a key of the specification");
        assert_eq!(key.to_string(), text);
    }

    #[test]
    fn refuses_small_order_and_non_canonical_keys() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(PublicKey::from_bytes(&identity), Err(KeyError::Weak));
        let mut above_prime = [0xff; 32];
        above_prime[31] = 0x7f;
        assert_eq!(PublicKey::from_bytes(&above_prime), Err(KeyError::Weak));
    }

    #[test]
    fn an_ml_dsa_key_is_known_and_not_supported() {
        let (name, key) = ("w.example/pq", [5; ML_DSA_44_KEY_SIZE]);
        let material = [&[ML_DSA_44][..], &key].concat();
        let text = |id: [u8; 4], material: &[u8]| {
            format!("{name}+{}+{}", HEXLOWER.encode(&id), BASE64.encode(material)).parse::<VerifierKey>()
        };
        assert_eq!(text(id_of(name, ML_DSA_44, &key), &material), Err(KeyError::MlDsa44));
        assert_eq!(text([0; 4], &material), Err(KeyError::Id));
        assert_eq!(text(id_of(name, ML_DSA_44, &key[1..]), &material[..1312]), Err(KeyError::Algorithm));
        let long = [&material[..], &[0; 512]].concat();
        assert_eq!(text([0; 4], &long), Err(KeyError::Length));
    }

    #[test]
    fn multikey_round_trips() {
        let key = SecretKey::from_seed(&[7; 32]).public();
        assert_eq!(PublicKey::from_multikey(&key.to_multikey()), Ok(key));
    }
}
