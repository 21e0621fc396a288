//! Deltas: a status list's body as its difference from one that the receiver holds (`specs/status.md` §3).
//!
//! ```text
//! {0: 1, 1: digest of the base, 2: digest of the result, 3: length of the result, 4: pairs}
//!
//! pairs   for each changed index, ascending, one number: gap · 2^bits + value, as LEB128;
//!         gap: indices between this and the changed one before (for the first: before it)
//! ```
//!
//! It is a transfer encoding beside the entry, never hashed into a log: the result is checked by its own digest.

use bytes::Bytes;

use super::native::ListError;
use crate::codec::{CborError, Reader, Writer};
use crate::digest::Digest;
use crate::limits;
use crate::register::body::Record;

/// Why a delta was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// More bytes than a delta may have.
    #[error("expected a delta of at most {max} bytes, {0} came", max = limits::DELTA_SIZE_MAX)]
    Size(usize),
    /// Not the deterministic CBOR of a delta.
    #[error("expected deterministic CBOR {{0: 1, 1: base, 2: result, 3: length, 4: pairs}}")]
    Cbor(#[from] CborError),
    /// A later version of this encoding.
    #[error("expected version 1 of a delta, {0} came")]
    Version(u64),
    /// The base is not that list.
    #[error("the base held is not the list that the delta starts from")]
    Base,
    /// Numbers that are not shortest LEB128, or run over.
    #[error("expected pairs as shortest LEB128")]
    Pairs,
    /// The result is not a list.
    #[error("the result is not a status list")]
    List(#[from] ListError),
    /// The result is another body.
    #[error("the result has another digest than the delta says")]
    Result,
}

/// The difference between two status lists of one URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    base: Digest,
    result: Digest,
    length: u64,
    pairs: Bytes,
}

impl Delta {
    /// Makes the delta from `base` to `new`; `None` when one is no list, when it is another list, purpose or number of
    /// bits, when it has shrunk, and when the delta would not be shorter than the body.
    pub fn between(base: &Record, new: &Record) -> Option<Self> {
        let (old, list) = (base.status_list().ok()?, new.status_list().ok()?);
        let changes = list.changes_since(old)?;
        let mut pairs = Vec::new();
        let mut next = 0;
        for (index, value) in changes {
            write_leb128(((index - next) << list.bits()) | u64::from(value), &mut pairs);
            next = index + 1;
        }
        let delta = Self { base: base.digest(), result: new.digest(), length: list.length(), pairs: pairs.into() };
        let size = delta.encode().len();
        (size <= limits::DELTA_SIZE_MAX && size < new.body().len()).then_some(delta)
    }

    /// Returns the digest of the list it starts from.
    pub fn base(&self) -> Digest {
        self.base
    }

    /// Returns the digest of the list it leads to.
    pub fn result(&self) -> Digest {
        self.result
    }

    /// Returns the bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(5).uint(0).uint(1).uint(1).bytes(self.base.as_bytes()).uint(2).bytes(self.result.as_bytes());
        writer.uint(3).uint(self.length).uint(4).bytes(&self.pairs);
        writer.into_bytes()
    }

    /// Reads a delta; its pairs are read when it is applied.
    pub fn parse(data: &[u8]) -> Result<Self, DeltaError> {
        if data.len() > limits::DELTA_SIZE_MAX {
            return Err(DeltaError::Size(data.len()));
        }
        let mut reader = Reader::new(data);
        reader.map_len(5)?;
        reader.key(0)?;
        let version = reader.uint()?;
        if version != 1 {
            return Err(DeltaError::Version(version));
        }
        reader.key(1)?;
        let base = Digest(*reader.array_of::<32>()?);
        reader.key(2)?;
        let result = Digest(*reader.array_of::<32>()?);
        reader.key(3)?;
        let length = reader.uint()?;
        reader.key(4)?;
        let pairs = Bytes::copy_from_slice(reader.bytes()?);
        reader.finish()?;
        Ok(Self { base, result, length, pairs })
    }

    /// Applies the delta; the record it returns has the digest that the delta says.
    pub fn apply(&self, base: &Record) -> Result<Record, DeltaError> {
        if base.digest() != self.base {
            return Err(DeltaError::Base);
        }
        let list = base.status_list().map_err(|_| DeltaError::Base)?;
        let mut changes = Vec::new();
        let (mut rest, mut next) = (self.pairs.as_ref(), 0_u64);
        while !rest.is_empty() {
            let number = read_leb128(&mut rest).ok_or(DeltaError::Pairs)?;
            let index = next.checked_add(number >> list.bits()).ok_or(DeltaError::Pairs)?;
            let value = u8::try_from(number & ((1 << list.bits()) - 1)).map_err(|_| DeltaError::Pairs)?;
            changes.push((index, value));
            next = index.checked_add(1).ok_or(DeltaError::Pairs)?;
        }
        let result = Record::new(list.edited(self.length, &changes)?.encode());
        if result.digest() == self.result { Ok(result) } else { Err(DeltaError::Result) }
    }
}

fn write_leb128(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

/// Reads one number in its shortest form.
fn read_leb128(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..63).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return (*byte != 0 || shift == 0).then_some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::status::native::StatusList;

    fn record(bits: u8, length: u64, values: &[(u64, u8)]) -> Record {
        let list = StatusList::new("https://a.example/1", "revocation", bits, length).unwrap();
        Record::new(list.edited(length, values).unwrap().encode())
    }

    #[test]
    fn a_delta_leads_from_base_to_result() {
        let base = record(2, 1000, &[(0, 1), (7, 3), (999, 2)]);
        let new = record(2, 1200, &[(0, 2), (8, 3), (999, 2), (1199, 1)]);
        let delta = Delta::between(&base, &new).unwrap();
        let read = Delta::parse(&delta.encode()).unwrap();
        assert_eq!(read, delta);
        assert_eq!(read.apply(&base).unwrap().digest(), new.digest());
    }

    #[test]
    fn one_revocation_costs_tens_of_bytes() {
        let delta =
            Delta::between(&record(1, 1 << 20, &[(5, 1)]), &record(1, 1 << 20, &[(5, 1), (900_000, 1)])).unwrap();
        assert!(delta.encode().len() < 90, "{} bytes", delta.encode().len());
    }

    #[test]
    fn a_thousand_more_revocations_cost_under_three_kilobytes() {
        let old: Vec<_> = (0..80_000_u64).map(|i| (i * 100 + i * 7919 % 100, 1)).collect();
        let mut new = old.clone();
        new.extend((0..1000_u64).map(|i| (i * 8000 + i * 104_729 % 8000, 1)));
        let delta = Delta::between(&record(1, 8_000_000, &old), &record(1, 8_000_000, &new)).unwrap();
        assert!(delta.encode().len() < 3000, "{} bytes", delta.encode().len());
    }

    #[test]
    fn refuses_another_base_and_another_result() {
        let (base, new) = (record(1, 1600, &[]), record(1, 1600, &[(3, 1)]));
        let delta = Delta::between(&base, &new).unwrap();
        assert_eq!(delta.apply(&new).err(), Some(DeltaError::Base));
        let wrong = Delta { result: base.digest(), ..delta };
        assert_eq!(wrong.apply(&base).err(), Some(DeltaError::Result));
    }

    #[test]
    fn refuses_numbers_that_are_not_shortest_or_run_over() {
        let base = record(1, 1600, &[]);
        for pairs in [&[0x80, 0x00][..], &[0x80], &[0xff; 12]] {
            let pairs = Bytes::copy_from_slice(pairs);
            let delta = Delta { base: base.digest(), result: base.digest(), length: 1600, pairs };
            assert_eq!(delta.apply(&base).err(), Some(DeltaError::Pairs));
        }
    }

    #[test]
    fn there_is_no_delta_where_the_body_is_shorter() {
        assert_eq!(Delta::between(&record(1, 16, &[]), &record(1, 16, &[(3, 1)])), None);
        assert_eq!(Delta::between(&record(1, 1600, &[]), &record(1, 800, &[])), None);
    }
}
