//! Timestamped Ed25519 cosignatures (C2SP tlog-cosignature, type 0x04).
//!
//! ```text
//! cosignature/v1
//! time 1790000000
//! transport.gov.example/register/8d3f…
//! 42
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//! ```
//!
//! It says: *at this time this was the largest consistent tree that I had seen*.

use super::note::SignatureLine;
use crate::key::{Algorithm, SecretKey, VerifierKey};

/// Returns the message that a cosignature at `time` signs.
pub fn message(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// Cosigns a checkpoint's text at `time` by a key of type 0x04.
pub fn sign(text: &str, time: u64, key: &VerifierKey, secret: &SecretKey) -> SignatureLine {
    debug_assert_eq!(key.algorithm(), Algorithm::Cosignature);
    let mut blob = time.to_be_bytes().to_vec();
    blob.extend_from_slice(&secret.sign(message(text, time).as_bytes()));
    SignatureLine { name: key.name().to_owned(), id: key.id(), blob }
}
