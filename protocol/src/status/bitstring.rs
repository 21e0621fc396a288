//! W3C Bitstring Status List 1.0: a list of values in a credential of its own.
//!
//! ```text
//! {"type": "BitstringStatusList", "statusPurpose": "revocation", "ttl": 300000,
//!  "encodedList": "uH4sIAAAAAAAAA-3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAIC3AYbSVKsAQAAA"}
//! ```
//!
//! `encodedList` is a `u` and base64url of GZIP. Index 0 is the left-most bit, the most significant of the first byte.
//! Reading says nothing about who signed the list: that is `Credential::prove`, by the caller.

use std::io::Read as _;

use data_encoding::BASE64URL_NOPAD;
use flate2::bufread::GzDecoder;

use crate::credential::Credential;
use crate::credential::json::Json;
use crate::limits::{BITSTRING_SIZE_MAX, STATUS_ENTRIES_MAX};

/// The fewest values of a list (Bitstring Status List 1.0 §2.2), so that an index hides in a crowd.
pub const LENGTH_MIN: u64 = 131_072;
/// How long a list may be kept when it does not say, in milliseconds (§2.2).
pub const TTL_DEFAULT_MS: u64 = 300_000;

/// Why a list was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BitstringError {
    /// Not a status list credential.
    #[error("expected a {0}")]
    Member(&'static str),
    /// Not base64url of one GZIP member.
    #[error("expected encodedList to be a u and base64url of GZIP")]
    Encoding,
    /// More bits than allowed.
    #[error("the list expands to more than {BITSTRING_SIZE_MAX} bytes")]
    TooLong,
    /// Fewer values than the standard demands.
    #[error("expected at least {LENGTH_MIN} values, got {0}")]
    TooShort(u64),
}

/// A list, expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitstring {
    purposes: Vec<String>,
    ttl_ms: u64,
    bits: Vec<u8>,
}

impl Bitstring {
    /// Reads the subject of a `BitstringStatusListCredential`.
    pub fn from_credential(credential: &Credential) -> Result<Self, BitstringError> {
        if !credential.types().iter().any(|kind| kind == "BitstringStatusListCredential") {
            return Err(BitstringError::Member("BitstringStatusListCredential"));
        }
        Self::from_subject(credential.subject())
    }

    /// Reads a `BitstringStatusList`.
    pub fn from_subject(subject: &Json) -> Result<Self, BitstringError> {
        let text = |name| subject.get(name).and_then(Json::as_str);
        if text("type") != Some("BitstringStatusList") {
            return Err(BitstringError::Member("credentialSubject of type BitstringStatusList"));
        }
        let purposes = subject.get("statusPurpose").map(Json::one_or_many).unwrap_or_default();
        if purposes.is_empty() || purposes.len() > STATUS_ENTRIES_MAX {
            return Err(BitstringError::Member("statusPurpose"));
        }
        let purposes = purposes.iter().map(|purpose| purpose.as_str().map(str::to_owned)).collect::<Option<_>>();
        let ttl_ms = match subject.get("ttl") {
            None => TTL_DEFAULT_MS,
            Some(ttl) => ttl.as_u64().ok_or(BitstringError::Member("ttl in whole milliseconds"))?,
        };
        let bits = expand(text("encodedList").ok_or(BitstringError::Member("encodedList"))?)?;
        Ok(Self { purposes: purposes.ok_or(BitstringError::Member("statusPurpose of strings"))?, ttl_ms, bits })
    }

    /// Returns what its values mean.
    pub fn purposes(&self) -> &[String] {
        &self.purposes
    }

    /// Returns how long it may be kept after it was issued, in milliseconds.
    pub fn ttl_ms(&self) -> u64 {
        self.ttl_ms
    }

    /// Returns how many values of `size_bits` it has.
    pub fn len(&self, size_bits: u8) -> u64 {
        let bits = u64::try_from(self.bits.len()).unwrap_or(u64::MAX).saturating_mul(8);
        bits.checked_div(u64::from(size_bits)).unwrap_or(0)
    }

    /// Returns the value at an index, of 1 to 8 bits, the first bit most significant. `None` beyond the list, and for a
    /// size of which the list has fewer values than the standard demands.
    pub fn value(&self, index: u64, size_bits: u8) -> Option<u8> {
        if !(1..=8).contains(&size_bits) || index >= self.len(size_bits) || self.len(size_bits) < LENGTH_MIN {
            return None;
        }
        let start = index.checked_mul(u64::from(size_bits))?;
        let mut value = 0;
        for at in start..start.checked_add(u64::from(size_bits))? {
            let byte = self.bits.get(usize::try_from(at / 8).ok()?)?;
            value = value << 1 | byte >> (7 - at % 8) & 1;
        }
        Some(value)
    }
}

/// Expands `encodedList`; a bomb is refused, never cut short.
fn expand(encoded: &str) -> Result<Vec<u8>, BitstringError> {
    let encoded = encoded.strip_prefix('u').ok_or(BitstringError::Encoding)?;
    let packed = BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| BitstringError::Encoding)?;
    let mut rest = packed.as_slice();
    let mut bits = Vec::new();
    let limit = u64::try_from(BITSTRING_SIZE_MAX).unwrap_or(u64::MAX);
    let mut decoder = GzDecoder::new(&mut rest);
    decoder.by_ref().take(limit + 1).read_to_end(&mut bits).map_err(|_| BitstringError::Encoding)?;
    if bits.len() > BITSTRING_SIZE_MAX {
        return Err(BitstringError::TooLong);
    }
    drop(decoder);
    if !rest.is_empty() {
        return Err(BitstringError::Encoding);
    }
    let length = u64::try_from(bits.len()).unwrap_or(u64::MAX).saturating_mul(8);
    if length < LENGTH_MIN {
        return Err(BitstringError::TooShort(length));
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::credential::json::Object;

    fn pack(bits: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bits).expect("memory");
        encoder.finish().expect("memory")
    }

    fn list(packed: &[u8]) -> Result<Bitstring, BitstringError> {
        let encoded = format!("u{}", BASE64URL_NOPAD.encode(packed));
        Bitstring::from_subject(&subject(&[("encodedList", Json::from(encoded))]))
    }

    fn subject(members: &[(&str, Json)]) -> Json {
        let mut object = Object::from_iter([
            ("type", Json::from("BitstringStatusList")),
            ("statusPurpose", Json::from("revocation")),
            ("encodedList", Json::from(format!("u{}", BASE64URL_NOPAD.encode(&pack(&[0; 16384]))))),
        ]);
        for (name, value) in members {
            object.insert(name, value.clone());
        }
        Json::Object(object)
    }

    #[test]
    fn counts_from_the_left_most_bit() {
        let mut bits = vec![0; 16384];
        bits[0] = 0b1000_0001;
        bits[16383] = 0b0000_0001;
        let list = list(&pack(&bits)).expect("a list");
        assert_eq!(list.len(1), LENGTH_MIN);
        let set: Vec<u64> = (0..LENGTH_MIN).filter(|index| list.value(*index, 1) == Some(1)).collect();
        assert_eq!(set, [0, 7, 131_071]);
        assert_eq!(list.value(LENGTH_MIN, 1), None);
    }

    #[test]
    fn reads_values_of_several_bits() {
        let mut bits = vec![0; 65536];
        bits[0] = 0b1001_1100;
        let list = list(&pack(&bits)).expect("a list");
        assert_eq!([0, 1, 2, 3].map(|index| list.value(index, 2)), [Some(2), Some(1), Some(3), Some(0)]);
        assert_eq!(list.value(0, 3), Some(4));
        assert_eq!(list.value(1, 3), Some(7));
        assert_eq!(list.value(0, 8), None, "65,536 values of 8 bits are fewer than the standard demands");
        assert_eq!(list.value(0, 0), None);
        assert_eq!(list.value(u64::MAX, 1), None);
    }

    #[test]
    fn refuses_a_short_list() {
        assert_eq!(list(&pack(&[0; 16383])), Err(BitstringError::TooShort(131_064)));
    }

    #[test]
    fn refuses_a_bomb_instead_of_cutting_it_short() {
        assert_eq!(list(&pack(&vec![0; BITSTRING_SIZE_MAX + 1])), Err(BitstringError::TooLong));
        assert!(list(&pack(&vec![0; BITSTRING_SIZE_MAX])).is_ok());
        assert_eq!(list(&pack(&vec![0; 64 * BITSTRING_SIZE_MAX])), Err(BitstringError::TooLong));
    }

    #[test]
    fn refuses_damaged_or_trailing_data() {
        let good = pack(&[0; 16384]);
        let mut trailing = good.clone();
        trailing.push(0);
        let twice = [good.clone(), good.clone()].concat();
        let mut damaged = good.clone();
        *damaged.last_mut().expect("bytes") ^= 1;
        for packed in [&trailing[..], &twice, &damaged, &good[..good.len() - 1], &[], b"plain"] {
            assert_eq!(list(packed), Err(BitstringError::Encoding));
        }
        let plain = subject(&[("encodedList", Json::from("H4sI"))]);
        assert_eq!(Bitstring::from_subject(&plain), Err(BitstringError::Encoding));
    }

    #[test]
    fn refuses_other_subjects() {
        for members in [
            [("type", Json::from("StatusList2021"))],
            [("statusPurpose", Json::Array(Vec::new()))],
            [("statusPurpose", Json::from(7))],
            [("ttl", Json::from("300000"))],
            [("encodedList", Json::from(7))],
        ] {
            assert!(Bitstring::from_subject(&subject(&members)).is_err(), "{members:?}");
        }
        assert_eq!(Bitstring::from_subject(&subject(&[])).expect("a list").ttl_ms(), TTL_DEFAULT_MS);
    }
}
