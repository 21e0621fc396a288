//! Seeds that were made elsewhere: the files that `key import` reads.
//!
//! ```text
//! 4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb         32 bytes as hex digits
//!
//! -----BEGIN PRIVATE KEY-----                                             PKCS#8 as PEM (RFC 8410 §7), as written by
//! MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7        `openssl genpkey -algorithm ed25519`
//! -----END PRIVATE KEY-----
//!
//! 30 2e 02 01 00 30 05 06 03 2b 65 70 04 22 04 20 ‖ seed                  the same as DER, 48 bytes
//! ```
//!
//! One form of DER alone is read: version 0, Ed25519, no attributes, no public key.

use std::io::{self, Read};

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

/// Bytes in a file that may be a seed.
pub const SEED_FILE_SIZE_MAX: usize = 4096;
/// What stands before the seed in the one DER form of an Ed25519 private key.
const DER_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const DER_SIZE: usize = DER_PREFIX.len() + 32;
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// Why a file is no seed. No message quotes the file.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The file itself.
    #[error("the file cannot be read")]
    File(#[from] io::Error),
    /// More bytes than any of the forms has.
    #[error("expected at most {SEED_FILE_SIZE_MAX} bytes")]
    Size,
    /// Another PEM label, such as that of an encrypted key.
    #[error("expected `{PEM_BEGIN}`, came another kind of PEM")]
    Label,
    /// PEM of the right label that is not three lines.
    #[error("expected PEM of three lines, with 64 characters of base64 in the middle")]
    Pem,
    /// Another key than an Ed25519 one, or one with more in it.
    #[error("expected the 48 bytes of an Ed25519 private key as in RFC 8410, without attributes and public key")]
    Der,
    /// 32 bytes as they are: they might be anything.
    #[error("expected a seed as 64 hex digits, came 32 bytes")]
    Raw,
    /// None of the forms.
    #[error("expected a seed as 64 hex digits, or an Ed25519 private key as PKCS#8, in PEM or DER")]
    Form,
}

/// The seed of an Ed25519 key: no `Debug`, zeroized when dropped.
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// Reads a whole file.
    pub fn read(source: impl Read) -> Result<Self, SeedError> {
        // Never grown: a buffer that moves leaves a copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(SEED_FILE_SIZE_MAX + 64));
        source.take(SEED_FILE_SIZE_MAX as u64 + 1).read_to_end(&mut bytes)?;
        Self::parse(&bytes)
    }

    /// Reads the bytes of a file: hex, PEM or DER, and nothing else.
    pub fn parse(bytes: &[u8]) -> Result<Self, SeedError> {
        if bytes.len() > SEED_FILE_SIZE_MAX {
            return Err(SeedError::Size);
        }
        if bytes.first() == DER_PREFIX.first() && std::str::from_utf8(bytes).is_err() || bytes.starts_with(&DER_PREFIX)
        {
            return Self::from_der(bytes);
        }
        if bytes.len() == 32 {
            return Err(SeedError::Raw);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| SeedError::Form)?;
        if text.starts_with("-----BEGIN ") {
            return Self::from_pem(text);
        }
        let digits = without_line_end(text);
        let mut seed = Zeroizing::new([0; 32]);
        if HEXLOWER_PERMISSIVE.decode_len(digits.len()) != Ok(seed.len()) {
            return Err(SeedError::Form);
        }
        match HEXLOWER_PERMISSIVE.decode_mut(digits.as_bytes(), seed.as_mut_slice()) {
            Ok(_) => Ok(Self(seed)),
            Err(_) => Err(SeedError::Form),
        }
    }

    fn from_pem(text: &str) -> Result<Self, SeedError> {
        let mut lines = text.split_inclusive('\n').map(without_line_end);
        if lines.next() != Some(PEM_BEGIN) {
            return Err(SeedError::Label);
        }
        let (Some(body), Some(PEM_END), None) = (lines.next(), lines.next(), lines.next()) else {
            return Err(SeedError::Pem);
        };
        let mut der = Zeroizing::new([0; DER_SIZE]);
        if BASE64.decode_len(body.len()) != Ok(der.len()) {
            // Keys of other algorithms are longer or shorter.
            return Err(if body.len() < 64 { SeedError::Der } else { SeedError::Pem });
        }
        match BASE64.decode_mut(body.as_bytes(), der.as_mut_slice()) {
            Ok(DER_SIZE) => Self::from_der(der.as_slice()),
            _ => Err(SeedError::Pem),
        }
    }

    fn from_der(der: &[u8]) -> Result<Self, SeedError> {
        let seed = der.strip_prefix(&DER_PREFIX).and_then(|rest| <&[u8; 32]>::try_from(rest).ok());
        seed.map(|seed| Self(Zeroizing::new(*seed))).ok_or(SeedError::Der)
    }

    /// Returns the 32 bytes.
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

fn without_line_end(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use data_encoding::HEXLOWER;
    use standfast_protocol::key::SecretKey;

    use super::*;

    /// RFC 8032 §7.1, TEST 2.
    const SEED: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    const PUBLIC: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    /// RFC 8410 §10.3, the first key.
    const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";
    /// RFC 8410 §10.3, the same key with an attribute and its public key: version 1.
    const PEM_WITH_MORE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\n\
        Z9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PRIVATE KEY-----\n";

    fn der() -> Vec<u8> {
        [&DER_PREFIX[..], &HEXLOWER.decode(SEED.as_bytes()).unwrap()].concat()
    }

    fn error(bytes: &[u8]) -> SeedError {
        Seed::parse(bytes).err().unwrap()
    }

    #[test]
    fn hex_pem_and_der_bring_one_key() {
        let pem = format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", BASE64.encode(&der()));
        let forms =
            [SEED.to_owned(), format!("{SEED}\n"), SEED.to_uppercase() + "\r\n", pem.replace('\n', "\r\n"), pem];
        for bytes in forms.iter().map(String::as_bytes).chain([der().as_slice()]) {
            let seed = Seed::read(bytes).unwrap();
            assert_eq!(HEXLOWER.encode(SecretKey::from_seed(seed.bytes()).public().as_bytes()), PUBLIC);
        }
    }

    #[test]
    fn reads_the_example_of_rfc_8410() {
        let seed = Seed::parse(PEM.as_bytes()).unwrap();
        let public = HEXLOWER.encode(SecretKey::from_seed(seed.bytes()).public().as_bytes());
        assert_eq!(public, "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1");
    }

    #[test]
    fn refuses_everything_else() {
        assert!(matches!(error(PEM_WITH_MORE.as_bytes()), SeedError::Pem));
        let more = PEM_WITH_MORE.lines().filter(|line| !line.starts_with('-')).collect::<String>();
        assert!(matches!(error(&BASE64.decode(more.as_bytes()).unwrap()), SeedError::Der));
        for label in ["ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY", "EC PRIVATE KEY", "PUBLIC KEY"] {
            assert!(matches!(error(PEM.replace("PRIVATE KEY", label).as_bytes()), SeedError::Label), "{label}");
        }
        let mut x25519 = der();
        x25519[11] = 0x6e;
        assert!(matches!(error(&x25519), SeedError::Der | SeedError::Form));
        let x25519 = format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", BASE64.encode(&x25519));
        assert!(matches!(error(x25519.as_bytes()), SeedError::Der));
        assert!(matches!(error(&[&der()[..], &[0]].concat()), SeedError::Der));
        assert!(matches!(error(&der()[..47]), SeedError::Der));
        assert!(matches!(error(format!("{PEM}\n").as_bytes()), SeedError::Pem));
        assert!(matches!(error(PEM.replace("MC4", "MC4 ").as_bytes()), SeedError::Pem));
        assert!(matches!(error(&[7; 32]), SeedError::Raw));
        assert!(matches!(error(b"a".repeat(SEED_FILE_SIZE_MAX + 1).as_slice()), SeedError::Size));
        for text in
            ["", "\n", &SEED[..63], &format!("{SEED}0"), &format!(" {SEED}"), &format!("{SEED}\n\n"), &"g".repeat(64)]
        {
            assert!(matches!(error(text.as_bytes()), SeedError::Form), "{text:?}");
        }
    }

    #[test]
    fn no_error_quotes_the_file() {
        for bytes in [format!("{SEED}0"), format!("-----BEGIN {SEED}"), format!("{PEM_BEGIN}\n{SEED}\n")] {
            let error = error(bytes.as_bytes());
            assert!(!format!("{error} {error:?}").contains(SEED));
        }
    }
}
