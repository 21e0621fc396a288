//! Deterministic CBOR (RFC 8949 §4.2.1) of the few types that this project needs: unsigned integers, byte strings,
//! text strings, arrays, and maps with ascending unsigned keys.
//!
//! ```text
//! a2            map of two pairs
//!   00 01       0: 1
//!   01 1a 6ab13b80   1: 1790000000, in the shortest head that holds it
//! ```
//!
//! The heads are read and written by `cbor4ii`, which accepts more than one form of a value. What makes the encoding
//! unique is checked here: shortest heads, definite lengths, no tags, floats or simple values, no trailing bytes.
//! [`Reader`] reads a known shape; [`check`] walks bytes of any shape, also over the order of map keys.

use std::fmt;

use cbor4ii::core::dec::{self, Decode as _, Read as _, Reference};
use cbor4ii::core::enc::{Encode, Write};
use cbor4ii::core::types::{Array, Bytes, Map};
use cbor4ii::core::utils::{BufWriter, SliceReader};

/// Why bytes are not the CBOR that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// The bytes end inside an item, or a length says more than there are.
    #[error("the bytes end inside an item")]
    Truncated,
    /// Bytes after the item.
    #[error("expected the end of the bytes, {0} more came")]
    TrailingBytes(usize),
    /// A string, array or map without a length.
    #[error("expected a definite length")]
    Indefinite,
    /// A head that is longer than its number needs.
    #[error("expected the shortest head for a number")]
    NonMinimal,
    /// Additional information 28 to 30, which RFC 8949 reserves.
    #[error("the additional information of a head is reserved")]
    Reserved,
    /// A tag.
    #[error("expected no tag")]
    Tag,
    /// A floating-point number.
    #[error("expected no floating-point number")]
    Float,
    /// A simple value such as null, true or false.
    #[error("expected no simple value")]
    Simple,
    /// A negative integer.
    #[error("expected no negative integer")]
    Negative,
    /// Text that is not UTF-8.
    #[error("expected text in UTF-8")]
    Utf8,
    /// More levels than allowed.
    #[error("arrays and maps are nested too deep")]
    Depth,
    /// A map key that is not an unsigned integer.
    #[error("expected an unsigned integer as a map key")]
    MapKey,
    /// Map keys that do not ascend.
    #[error("expected ascending map keys")]
    MapOrder,
    /// One map key twice.
    #[error("a map key came twice")]
    MapDuplicate,
    /// An item of another type.
    #[error("expected {expected}, {found} came")]
    Type {
        /// The type that the reader asked for.
        expected: Major,
        /// The type that stands there.
        found: Major,
    },
    /// Another map key than the one that belongs there.
    #[error("expected map key {expected}, {found} came")]
    Key {
        /// The key that belongs there.
        expected: u64,
        /// The key that stands there.
        found: u64,
    },
    /// An array or map of another length.
    #[error("expected {expected} elements, {found} came")]
    Length {
        /// The number of elements that belong there.
        expected: usize,
        /// The number that the head says.
        found: usize,
    },
}

/// The types of RFC 8949 §3.1 that may occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Major {
    /// Major type 0.
    Unsigned,
    /// Major type 2.
    Bytes,
    /// Major type 3.
    Text,
    /// Major type 4.
    Array,
    /// Major type 5.
    Map,
}

impl fmt::Display for Major {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsigned => "an unsigned integer",
            Self::Bytes => "a byte string",
            Self::Text => "a text string",
            Self::Array => "an array",
            Self::Map => "a map",
        })
    }
}

/// Reads items one after the other, each of the type that the caller asks for.
///
/// Lengths of arrays and maps are bounded by the bytes that remain, so a caller may reserve room for them.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins at the first byte of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// Returns the bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads an unsigned integer.
    pub fn uint(&mut self) -> Result<u64, CborError> {
        self.head(Major::Unsigned)
    }

    /// Reads a byte string.
    pub fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        self.expect_major(Major::Bytes)?;
        let (Bytes(bytes), rest) = run(self.rest, Bytes::<&[u8]>::decode)?;
        self.advance(bytes.len(), rest)?;
        Ok(bytes)
    }

    /// Reads a byte string of exactly `N` bytes.
    pub fn array_of<const N: usize>(&mut self) -> Result<&'a [u8; N], CborError> {
        let bytes = self.bytes()?;
        bytes.try_into().map_err(|_| CborError::Length { expected: N, found: bytes.len() })
    }

    /// Reads a text string.
    pub fn text(&mut self) -> Result<&'a str, CborError> {
        self.expect_major(Major::Text)?;
        let (text, rest) = run(self.rest, <&str>::decode)?;
        self.advance(text.len(), rest)?;
        Ok(text)
    }

    /// Reads the head of an array; that many items follow.
    pub fn array(&mut self) -> Result<usize, CborError> {
        let n = usize::try_from(self.head(Major::Array)?).map_err(|_| CborError::Truncated)?;
        // Every item has at least one byte.
        if n > self.rest.len() { Err(CborError::Truncated) } else { Ok(n) }
    }

    /// Reads the head of an array of exactly `expected` items.
    pub fn array_len(&mut self, expected: usize) -> Result<(), CborError> {
        let found = self.array()?;
        if found == expected { Ok(()) } else { Err(CborError::Length { expected, found }) }
    }

    /// Reads the head of a map; that many pairs of key and value follow.
    pub fn map(&mut self) -> Result<usize, CborError> {
        let n = usize::try_from(self.map_head()?).map_err(|_| CborError::Truncated)?;
        if n > self.rest.len() / 2 { Err(CborError::Truncated) } else { Ok(n) }
    }

    /// Reads the head of a map whatever number it says, for who reads only what stands in front.
    pub fn map_head(&mut self) -> Result<u64, CborError> {
        self.head(Major::Map)
    }

    /// Reads the head of a map of exactly `expected` pairs.
    pub fn map_len(&mut self, expected: usize) -> Result<(), CborError> {
        let found = self.map()?;
        if found == expected { Ok(()) } else { Err(CborError::Length { expected, found }) }
    }

    /// Reads a map key and insists on `expected`. Who asks for ascending keys thereby refuses any other order.
    pub fn key(&mut self, expected: u64) -> Result<(), CborError> {
        let found = match self.uint() {
            Err(CborError::Type { .. }) => return Err(CborError::MapKey),
            other => other?,
        };
        if found == expected { Ok(()) } else { Err(CborError::Key { expected, found }) }
    }

    /// Returns the major type of the next item, 0 to 7, without reading it; `None` at the end.
    pub fn peek_major(&self) -> Option<u8> {
        self.rest.first().map(|b| b >> 5)
    }

    /// Refuses trailing bytes.
    pub fn finish(self) -> Result<(), CborError> {
        if self.rest.is_empty() { Ok(()) } else { Err(CborError::TrailingBytes(self.rest.len())) }
    }

    /// Reads a head whose argument is all there is to it here.
    fn head(&mut self, major: Major) -> Result<u64, CborError> {
        self.expect_major(major)?;
        let (n, rest) = match major {
            Major::Unsigned => run(self.rest, u64::decode)?,
            Major::Array => run(self.rest, |r| Ok(length(Array::<()>::len(r)?)))?,
            Major::Map => run(self.rest, |r| Ok(length(Map::<()>::len(r)?)))?,
            Major::Bytes | Major::Text => return Err(CborError::Type { expected: major, found: major }),
        };
        let size = self.rest.len() - rest.len();
        if size != head_size(n) {
            return Err(CborError::NonMinimal);
        }
        self.rest = rest;
        Ok(n)
    }

    /// Goes to `rest`, behind a string of `len` bytes, when its head was the shortest.
    fn advance(&mut self, len: usize, rest: &'a [u8]) -> Result<(), CborError> {
        let head = (self.rest.len() - rest.len()).checked_sub(len);
        if head != u64::try_from(len).ok().map(head_size) {
            return Err(CborError::NonMinimal);
        }
        self.rest = rest;
        Ok(())
    }

    fn expect_major(&self, expected: Major) -> Result<(), CborError> {
        let found = self.next_major()?;
        if found == expected { Ok(()) } else { Err(CborError::Type { expected, found }) }
    }

    /// Looks at the first byte of the next item, and refuses the forms that never occur.
    fn next_major(&self) -> Result<Major, CborError> {
        let first = *self.rest.first().ok_or(CborError::Truncated)?;
        let info = first & 0x1f;
        match first >> 5 {
            6 => return Err(CborError::Tag),
            7 if (25..=27).contains(&info) => return Err(CborError::Float),
            7 => return Err(CborError::Simple),
            _ if info == 31 => return Err(CborError::Indefinite),
            _ if info > 27 => return Err(CborError::Reserved),
            _ => (),
        }
        match first >> 5 {
            0 => Ok(Major::Unsigned),
            1 => Err(CborError::Negative),
            2 => Ok(Major::Bytes),
            3 => Ok(Major::Text),
            4 => Ok(Major::Array),
            _ => Ok(Major::Map),
        }
    }

    /// Reads one item of any shape, with at most `depth` levels of arrays and maps.
    fn skip(&mut self, depth: usize) -> Result<(), CborError> {
        let major = self.next_major()?;
        if depth == 0 && matches!(major, Major::Array | Major::Map) {
            return Err(CborError::Depth);
        }
        match major {
            Major::Unsigned => self.uint().map(drop),
            Major::Bytes => self.bytes().map(drop),
            Major::Text => self.text().map(drop),
            Major::Array => {
                let n = self.array()?;
                (0..n).try_for_each(|_| self.skip(depth - 1))
            }
            Major::Map => {
                let n = self.map()?;
                let mut last = None;
                for _ in 0..n {
                    if self.next_major()? != Major::Unsigned {
                        return Err(CborError::MapKey);
                    }
                    // Among shortest heads the order of the numbers is the order of their bytes.
                    let key = self.uint()?;
                    match last {
                        Some(last) if key == last => return Err(CborError::MapDuplicate),
                        Some(last) if key < last => return Err(CborError::MapOrder),
                        _ => last = Some(key),
                    }
                    self.skip(depth - 1)?;
                }
                Ok(())
            }
        }
    }
}

/// Checks that `data` is one item of deterministic CBOR, whatever its shape, with at most `depth_max` levels.
pub fn check(data: &[u8], depth_max: usize) -> Result<(), CborError> {
    let mut reader = Reader::new(data);
    reader.skip(depth_max)?;
    reader.finish()
}

/// Runs one of `cbor4ii`'s decoders over `data`; returns the value and what is left.
fn run<'a, T>(
    data: &'a [u8],
    decode: impl FnOnce(&mut SliceReader<'a>) -> Result<T, dec::Error<std::convert::Infallible>>,
) -> Result<(T, &'a [u8]), CborError> {
    let mut reader = SliceReader::new(data);
    let value = decode(&mut reader).map_err(|error| match error {
        dec::Error::RequireUtf8 { .. } => CborError::Utf8,
        // The first byte was right, so all else is a length beyond the end.
        _ => CborError::Truncated,
    })?;
    match reader.fill(usize::MAX) {
        Ok(Reference::Long(rest)) => Ok((value, rest)),
        Ok(Reference::Short(_)) => Err(CborError::Truncated),
        Err(never) => match never {},
    }
}

/// A length as its head says it. `None` stands for an indefinite one, which the first byte has shown not to be there.
fn length(len: Option<usize>) -> u64 {
    len.and_then(|n| u64::try_from(n).ok()).unwrap_or(u64::MAX)
}

/// Bytes in the shortest head with argument `n`.
fn head_size(n: u64) -> usize {
    match n {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// Writes items one after the other; the caller writes as many as an array or map announced, map keys ascending.
pub struct Writer(BufWriter);

impl Writer {
    /// Begins with no bytes.
    pub fn new() -> Self {
        Self(BufWriter::new(Vec::new()))
    }

    /// Writes an unsigned integer, also as a map key.
    pub fn uint(&mut self, n: u64) -> &mut Self {
        self.put(n)
    }

    /// Writes a byte string.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.put(Bytes(bytes))
    }

    /// Writes a text string.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.put(text)
    }

    /// Writes the head of an array of `n` items.
    pub fn array(&mut self, n: usize) -> &mut Self {
        infallible(Array::<()>::bounded(n, &mut self.0));
        self
    }

    /// Writes the head of a map of `n` pairs.
    pub fn map(&mut self, n: usize) -> &mut Self {
        infallible(Map::<()>::bounded(n, &mut self.0));
        self
    }

    /// Returns the number of bytes written so far.
    pub fn size(&self) -> usize {
        self.0.buffer().len()
    }

    /// Returns what was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_inner()
    }

    fn put(&mut self, value: impl Encode) -> &mut Self {
        infallible(value.encode(&mut self.0));
        self
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Writer({} bytes)", self.size())
    }
}

fn infallible<T>(result: Result<T, cbor4ii::core::enc::Error<<BufWriter as Write>::Error>>) -> T {
    result.expect("memory for a message of bounded size")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        data_encoding::HEXLOWER.decode(text.as_bytes()).expect("hex")
    }

    #[test]
    fn reads_what_it_writes() {
        let mut writer = Writer::new();
        writer.map(2).uint(0).array(3).uint(u64::MAX).bytes(&[7; 300]).text("ü").uint(1).uint(24);
        let bytes = writer.into_bytes();
        assert_eq!(check(&bytes, 2), Ok(()));
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.map(), Ok(2));
        assert_eq!(reader.key(0), Ok(()));
        assert_eq!(reader.array_len(3), Ok(()));
        assert_eq!(reader.uint(), Ok(u64::MAX));
        assert_eq!(reader.array_of::<300>(), Ok(&[7; 300]));
        assert_eq!(reader.text(), Ok("ü"));
        assert_eq!(reader.key(1), Ok(()));
        assert_eq!(reader.peek_major(), Some(0));
        assert_eq!(reader.uint(), Ok(24));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn writes_shortest_heads() {
        for n in [0, 23, 24, 255, 256, 65_535, 65_536, 0xffff_ffff, 0x1_0000_0000, u64::MAX] {
            let mut writer = Writer::new();
            writer.uint(n);
            assert_eq!(writer.size(), head_size(n));
            assert_eq!(check(&writer.into_bytes(), 0), Ok(()));
        }
    }

    #[test]
    fn refuses_every_other_form() {
        let cases = [
            ("", CborError::Truncated),
            ("0000", CborError::TrailingBytes(1)),
            ("1817", CborError::NonMinimal),
            ("1900ff", CborError::NonMinimal),
            ("1a0000ffff", CborError::NonMinimal),
            ("1b00000000ffffffff", CborError::NonMinimal),
            ("580100", CborError::NonMinimal),
            ("780161", CborError::NonMinimal),
            ("980100", CborError::NonMinimal),
            ("b8010000", CborError::NonMinimal),
            ("18", CborError::Truncated),
            ("4200", CborError::Truncated),
            ("5bffffffffffffffff", CborError::Truncated),
            ("9bffffffffffffffff", CborError::Truncated),
            ("bb7fffffffffffffff00", CborError::Truncated),
            ("5f4100ff", CborError::Indefinite),
            ("9f00ff", CborError::Indefinite),
            ("bf0000ff", CborError::Indefinite),
            ("1c", CborError::Reserved),
            ("c000", CborError::Tag),
            ("f93c00", CborError::Float),
            ("f6", CborError::Simple),
            ("20", CborError::Negative),
            ("62c0af", CborError::Utf8),
            ("63eda080", CborError::Utf8),
            ("a1410000", CborError::MapKey),
            ("a201000000", CborError::MapOrder),
            ("a200000000", CborError::MapDuplicate),
            ("8181818100", CborError::Depth),
        ];
        for (hex, error) in cases {
            assert_eq!(check(&unhex(hex), 3), Err(error), "{hex}");
        }
    }

    #[test]
    fn insists_on_type_key_and_length() {
        let mut reader = Reader::new(&[0x01]);
        assert_eq!(reader.text(), Err(CborError::Type { expected: Major::Text, found: Major::Unsigned }));
        assert_eq!(reader.key(0), Err(CborError::Key { expected: 0, found: 1 }));
        assert_eq!(Reader::new(&[0x80]).array_len(1), Err(CborError::Length { expected: 1, found: 0 }));
        assert_eq!(Reader::new(&[0x40]).key(0), Err(CborError::MapKey));
    }
}
