//! The plaintext of a key file, and its encryption.

use data_encoding::HEXLOWER;
use serde::Deserialize;
use standfast_protocol::key::SecretKey;
use zeroize::Zeroizing;

use super::public::ED25519;
use super::{KeyUse, KeystoreError, Passphrase, WORK_FACTOR};

const KIND: &str = "standfast/key/v1";

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

/// A plaintext that was read. Its seeds are zeroized when dropped.
pub(super) struct Opened {
    pub(super) key_use: KeyUse,
    seed: Zeroizing<[u8; 32]>,
    view: Option<Zeroizing<[u8; 32]>>,
    pub(super) origin: Option<String>,
}

impl Opened {
    pub(super) fn secret(&self) -> SecretKey {
        SecretKey::from_seed(&self.seed)
    }

    pub(super) fn view(&self) -> Option<SecretKey> {
        self.view.as_ref().map(|seed| SecretKey::from_seed(seed))
    }

    /// The seed, to be written under another name.
    pub(super) fn seed(&self) -> &[u8; 32] {
        &self.seed
    }
}

/// Written by hand so that no copy of a seed outlives this buffer. Names and origins hold nothing to escape but `"` and
/// `\`, which `serde_json` escapes in the origin.
pub(super) fn plaintext(
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

pub(super) fn seal(name: &str, plain: &[u8], passphrase: &Passphrase) -> Result<Vec<u8>, KeystoreError> {
    let mut recipient = age::scrypt::Recipient::new(passphrase.secret());
    recipient.set_work_factor(WORK_FACTOR);
    let sealed = age::encrypt_and_armor(&recipient, plain);
    sealed.map(String::into_bytes).map_err(|_| KeystoreError::Encrypt(name.to_owned()))
}

/// Reads the plaintext of the key `name`; says what was expected where it is none.
pub(super) fn read(name: &str, plain: &[u8]) -> Result<Opened, &'static str> {
    // What serde says about the plaintext might quote a secret.
    let plain: Plain<'_> = serde_json::from_slice(plain).map_err(|_| "expected the members of a key")?;
    if plain.kind != KIND || plain.algorithm != ED25519 {
        return Err("expected an Ed25519 key of kind standfast/key/v1");
    }
    if plain.name != name {
        return Err("expected the key that the file's name says");
    }
    if plain.view_seed.is_some() != (plain.key_use == KeyUse::Witness) {
        return Err("expected two seeds in a witness's key, one in every other");
    }
    let expected = "expected seeds of 64 hex digits";
    Ok(Opened {
        key_use: plain.key_use,
        seed: seed(plain.seed).ok_or(expected)?,
        view: plain.view_seed.map(|hex| seed(hex).ok_or(expected)).transpose()?,
        origin: plain.origin.map(str::to_owned),
    })
}

fn seed(hex: &str) -> Option<Zeroizing<[u8; 32]>> {
    let bytes = HEXLOWER.decode(hex.as_bytes()).map(Zeroizing::new).ok()?;
    Some(Zeroizing::new(bytes.as_slice().try_into().ok()?))
}
