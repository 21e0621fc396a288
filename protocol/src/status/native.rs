//! Native status lists (`specs/status.md` §2).
//!
//! ```text
//! {0: "https://a.example/1", 1: "revocation", 2: 1, 3: 16, 4: h'0400'}
//!  uri                       purpose          bits length  values: index 2 has the value 1
//! ```
//!
//! Index 0 stands in the least significant bits, as in Token Status List; spare bits are zero.

use bytes::Bytes;

use crate::codec::{CborError, Reader, Writer};
use crate::limits;

/// Why bytes are not a native status list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Not the deterministic CBOR of a list.
    #[error("expected deterministic CBOR {{0: uri, 1: purpose, 2: bits, 3: length, 4: values}}")]
    Cbor(#[from] CborError),
    /// A number of bits that is none of 1, 2, 4 and 8.
    #[error("expected 1, 2, 4 or 8 bits an index, {0} came")]
    Bits(u64),
    /// No index, or more than fit.
    #[error("expected a length of 1 up to what {max} bytes hold, {0} came", max = limits::STATUS_LIST_SIZE_MAX)]
    Length(u64),
    /// Values that are not as long as bits and length say.
    #[error("expected {expected} bytes of values, {found} came")]
    Values {
        /// Bytes that bits and length ask for.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
    /// Bits behind the last index that are not zero.
    #[error("expected the bits behind the last index to be zero")]
    SpareBits,
    /// An index beyond the list.
    #[error("index {index} is beyond the list of {length}")]
    Index {
        /// The index.
        index: u64,
        /// The length of the list.
        length: u64,
    },
    /// A value that does not fit.
    #[error("the value {value} does not fit into {bits} bits")]
    Value {
        /// The value.
        value: u8,
        /// Bits an index.
        bits: u8,
    },
}

/// A status list: one value of 1, 2, 4 or 8 bits for each index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusList {
    uri: String,
    purpose: String,
    bits: u8,
    length: u64,
    values: Bytes,
}

impl StatusList {
    /// Makes a list whose values are all 0.
    pub fn new(uri: &str, purpose: &str, bits: u8, length: u64) -> Result<Self, ListError> {
        let size = size_of_values(bits.into(), length)?;
        let values = Bytes::from(vec![0; usize::try_from(size).map_err(|_| ListError::Length(length))?]);
        Ok(Self { uri: uri.to_owned(), purpose: purpose.to_owned(), bits, length, values })
    }

    /// Reads a body, strictly; the values stay in it.
    pub fn parse(body: &Bytes) -> Result<Self, ListError> {
        let mut reader = Reader::new(body);
        reader.map_len(5)?;
        reader.key(0)?;
        let uri = reader.text()?.to_owned();
        reader.key(1)?;
        let purpose = reader.text()?.to_owned();
        reader.key(2)?;
        let bits = reader.uint()?;
        reader.key(3)?;
        let length = reader.uint()?;
        reader.key(4)?;
        let values = body.slice_ref(reader.bytes()?);
        reader.finish()?;
        let expected = size_of_values(bits, length)?;
        let found = values.len() as u64;
        if found != expected {
            return Err(ListError::Values { expected, found });
        }
        let used = (length * bits) % 8;
        if used != 0 && values.last().is_some_and(|last| last >> used != 0) {
            return Err(ListError::SpareBits);
        }
        let bits = u8::try_from(bits).map_err(|_| ListError::Bits(bits))?;
        Ok(Self { uri, purpose, bits, length, values })
    }

    /// Returns the body, the same bytes each time.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(5).uint(0).text(&self.uri).uint(1).text(&self.purpose);
        writer.uint(2).uint(self.bits.into()).uint(3).uint(self.length).uint(4).bytes(&self.values);
        writer.into_bytes()
    }

    /// Returns the URI that credentials name.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Returns what the values are about, such as `revocation`.
    pub fn purpose(&self) -> &str {
        &self.purpose
    }

    /// Returns the bits an index: 1, 2, 4 or 8.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Returns the number of indices.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Returns the packed values.
    pub fn values(&self) -> &Bytes {
        &self.values
    }

    /// Returns the value of an index; `None` beyond the list.
    pub fn value(&self, index: u64) -> Option<u8> {
        let (byte, shift) = self.place(index)?;
        Some((self.values.get(byte)? >> shift) & mask(self.bits))
    }

    /// Returns a list of `length` indices, at least as many as before, with these values set.
    pub fn edited(&self, length: u64, values: &[(u64, u8)]) -> Result<Self, ListError> {
        if length < self.length {
            return Err(ListError::Length(length));
        }
        let size = usize::try_from(size_of_values(self.bits.into(), length)?).map_err(|_| ListError::Length(length))?;
        let mut packed = self.values.to_vec();
        packed.resize(size, 0);
        let mut new = Self { length, ..self.clone() };
        for &(index, value) in values {
            if value & !mask(self.bits) != 0 {
                return Err(ListError::Value { value, bits: self.bits });
            }
            let beyond = ListError::Index { index, length };
            let (byte, shift) = new.place(index).ok_or(beyond)?;
            let byte = packed.get_mut(byte).ok_or(beyond)?;
            *byte = (*byte & !(mask(self.bits) << shift)) | (value << shift);
        }
        new.values = packed.into();
        Ok(new)
    }

    /// Returns the pairs (index, value of `self`) in which `self` differs from `base`, ascending; the list may have
    /// grown. `None` when another list, another purpose or other bits, or when it has shrunk.
    pub fn changes_since(&self, base: &StatusList) -> Option<Vec<(u64, u8)>> {
        let same = self.uri == base.uri && self.purpose == base.purpose && self.bits == base.bits;
        if !same || self.length < base.length {
            return None;
        }
        let per_byte = u64::from(8 / self.bits);
        let mut changes = Vec::new();
        for (i, new) in self.values.iter().enumerate() {
            if base.values.get(i).copied().unwrap_or(0) == *new {
                continue;
            }
            let start = i as u64 * per_byte;
            let differs = |index: &u64| self.value(*index) != Some(base.value(*index).unwrap_or(0));
            let range = (start..start + per_byte).filter(|index| *index < self.length).filter(differs);
            changes.extend(range.filter_map(|index| Some((index, self.value(index)?))));
        }
        Some(changes)
    }

    /// Returns one bit for each index, set where the value is one of `rejects`; index 0 is the lowest bit of the first
    /// word. It costs one table look-up a byte.
    pub fn rejecting(&self, rejects: &[u8]) -> Vec<u64> {
        let per_byte = 8 / self.bits;
        let table: Vec<u8> = (0..=255_u8)
            .map(|byte| {
                let hit = |slot: &u8| rejects.contains(&((byte >> (slot * self.bits)) & mask(self.bits)));
                (0..per_byte).filter(hit).fold(0, |marks, slot| marks | 1 << slot)
            })
            .collect();
        let mut words = vec![0_u64; usize::try_from(self.length.div_ceil(64)).unwrap_or(0)];
        for (i, byte) in self.values.iter().enumerate() {
            let marks = table.get(usize::from(*byte)).copied().unwrap_or(0);
            let bit = i * usize::from(per_byte);
            if let Some(word) = words.get_mut(bit / 64) {
                *word |= u64::from(marks) << (bit % 64);
            }
        }
        if let (Some(last), rest @ 1..) = (words.last_mut(), self.length % 64) {
            *last &= (1 << rest) - 1; // spare bits read as value 0, which may be one that rejects
        }
        words
    }

    /// Returns the byte and the shift of an index.
    fn place(&self, index: u64) -> Option<(usize, u32)> {
        let bit = (index < self.length).then(|| index.checked_mul(self.bits.into())).flatten()?;
        Some((usize::try_from(bit / 8).ok()?, u32::try_from(bit % 8).ok()?))
    }
}

fn mask(bits: u8) -> u8 {
    u8::MAX >> (8_u8.saturating_sub(bits))
}

fn size_of_values(bits: u64, length: u64) -> Result<u64, ListError> {
    if !matches!(bits, 1 | 2 | 4 | 8) {
        return Err(ListError::Bits(bits));
    }
    let size = length.checked_mul(bits).ok_or(ListError::Length(length))?.div_ceil(8);
    if size == 0 || size > limits::STATUS_LIST_SIZE_MAX { Err(ListError::Length(length)) } else { Ok(size) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn list() -> StatusList {
        StatusList::new("https://a.example/1", "revocation", 2, 5).unwrap().edited(5, &[(0, 1), (4, 3)]).unwrap()
    }

    #[test]
    fn index_0_is_in_the_least_significant_bits() {
        assert_eq!(list().values().as_ref(), [0b0000_0001, 0b0000_0011]);
        assert_eq!(
            (0..6).map(|i| list().value(i)).collect::<Vec<_>>(),
            [Some(1), Some(0), Some(0), Some(0), Some(3), None]
        );
    }

    #[test]
    fn reads_what_it_writes() {
        let body = Bytes::from(list().encode());
        assert_eq!(StatusList::parse(&body).unwrap(), list());
    }

    #[test]
    fn refuses_spare_bits_wrong_lengths_and_trailing_bytes() {
        let good = list().encode();
        let mut spare = good.clone();
        *spare.last_mut().unwrap() |= 0b0000_0100;
        assert_eq!(StatusList::parse(&spare.into()), Err(ListError::SpareBits));
        let long = StatusList { values: vec![0; 3].into(), ..list() }.encode();
        assert_eq!(StatusList::parse(&long.into()), Err(ListError::Values { expected: 2, found: 3 }));
        let three = StatusList { bits: 3, ..list() }.encode();
        assert_eq!(StatusList::parse(&three.into()), Err(ListError::Bits(3)));
        let none = StatusList { length: 0, values: Bytes::new(), ..list() }.encode();
        assert_eq!(StatusList::parse(&none.into()), Err(ListError::Length(0)));
        let mut trailing = good;
        trailing.push(0);
        assert_eq!(StatusList::parse(&trailing.into()), Err(ListError::Cbor(CborError::TrailingBytes(1))));
    }

    #[test]
    fn refuses_lists_over_one_mebibyte() {
        assert!(StatusList::new("u", "revocation", 1, 1 << 23).is_ok());
        assert_eq!(StatusList::new("u", "revocation", 1, (1 << 23) + 1), Err(ListError::Length((1 << 23) + 1)));
        assert_eq!(StatusList::new("u", "revocation", 8, u64::MAX), Err(ListError::Length(u64::MAX)));
    }

    #[test]
    fn rejecting_marks_agree_with_values() {
        for bits in [1, 2, 4, 8] {
            let top = mask(bits);
            let values: Vec<_> = (0..130).map(|i| (i, u8::try_from(i * 7 % 256).unwrap() & top)).collect();
            let list = StatusList::new("u", "p", bits, 131).unwrap().edited(131, &values).unwrap();
            for rejects in [&[0_u8][..], &[1], &[1, 3, 200]] {
                let marks = list.rejecting(rejects);
                for i in 0..192 {
                    let marked = marks.get(i / 64).is_some_and(|w| w >> (i % 64) & 1 == 1);
                    let value = list.value(i as u64);
                    assert_eq!(marked, value.is_some_and(|v| rejects.contains(&v)), "{bits} bits, index {i}");
                }
            }
        }
    }
}
