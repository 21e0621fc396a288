//! JSON as signed documents need it: strict, bounded, and held in the order of RFC 8785.
//!
//! ```text
//! {"b": [1e3, true], "a": "\u20ac"}      read as      {"a": "€", "b": [1000, true]}
//! ```
//!
//! One grammar for everything foreign: RFC 8259, and beyond it (I-JSON, RFC 7493)
//! - a name twice in one object, a lone surrogate and trailing data are refused;
//! - a number is an IEEE 754 double, correctly rounded. One that overflows is refused, and so is an integer
//!   written out in digits beyond ±(2^53 − 1), because readers disagree about what it means;
//! - size, depth and the number of values are bounded before anything is built from them.
//!
//! The reader is our own: `serde_json` rounds floats inexactly unless a feature is on, and any package of a build
//! may turn on another one (`arbitrary_precision`) that changes what every other package reads.

use std::cmp::Ordering;
use std::fmt;

use crate::credential::jcs;
use crate::limits::{JSON_DEPTH_MAX, JSON_NODES_MAX, JSON_SIZE_MAX};

/// The largest integer that every reader of JSON understands alike: 2^53 − 1.
pub const INTEGER_MAX: i64 = (1 << 53) - 1;

/// Why bytes are not JSON as this module reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct JsonError {
    /// Where reading stopped.
    pub offset: usize,
    /// What was wrong there.
    pub kind: JsonErrorKind,
}

/// What was wrong with the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonErrorKind {
    /// More bytes than allowed.
    #[error("more bytes of JSON than allowed")]
    Size,
    /// Nested deeper than allowed.
    #[error("JSON nested deeper than {JSON_DEPTH_MAX} levels")]
    Depth,
    /// More values than allowed.
    #[error("more than {JSON_NODES_MAX} JSON values")]
    Nodes,
    /// Not UTF-8.
    #[error("expected UTF-8")]
    Utf8,
    /// The input ended too early.
    #[error("the JSON ends too early")]
    End,
    /// A byte that cannot stand here.
    #[error("a character that JSON does not allow")]
    Character,
    /// An escape that JSON does not know, or half a surrogate pair.
    #[error("an escape that JSON does not allow")]
    Escape,
    /// A name that stands twice in one object.
    #[error("a name that stands twice in one object")]
    Duplicate,
    /// A number that is not one double for every reader.
    #[error("a number beyond what JSON readers agree on")]
    Number,
    /// Something after the value.
    #[error("trailing data after the JSON")]
    Trailing,
    /// Not the canonical form.
    #[error("expected the canonical form of RFC 8785")]
    NotCanonical,
}

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Object),
}

/// A finite JSON number: an integer within ±(2^53 − 1), or any other double.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number(Value);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Value {
    Integer(i64),
    Double(f64),
}

impl Number {
    /// Makes a number; `None` for what is not finite.
    pub fn from_f64(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        // Below 2^53 an integral double is exactly one i64, so the cast loses nothing.
        if value.fract() == 0.0 && value.abs() <= INTEGER_MAX as f64 {
            return Some(Self(Value::Integer(value as i64)));
        }
        Some(Self(Value::Double(value)))
    }

    /// Makes an integer; `None` beyond ±(2^53 − 1).
    pub fn from_i64(value: i64) -> Option<Self> {
        (-INTEGER_MAX..=INTEGER_MAX).contains(&value).then_some(Self(Value::Integer(value)))
    }

    /// Returns the integer, when it is one within ±(2^53 − 1) (`1e3` and `1000.0` are).
    pub fn as_i64(self) -> Option<i64> {
        match self.0 {
            Value::Integer(value) => Some(value),
            Value::Double(_) => None,
        }
    }

    /// Returns the nearest double, which is the number itself.
    pub fn as_f64(self) -> f64 {
        match self.0 {
            Value::Integer(value) => value as f64,
            Value::Double(value) => value,
        }
    }
}

/// The members of a JSON object, each name once, in the order of RFC 8785 §3.2.3 (UTF-16 code units).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object(Vec<(String, Json)>);

impl Object {
    /// Makes an empty object.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the value of a name.
    pub fn get(&self, name: &str) -> Option<&Json> {
        // Objects are short: a scan beats a search by UTF-16 order.
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// Sets a name, returning the value it had.
    pub fn insert(&mut self, name: &str, value: Json) -> Option<Json> {
        match self.0.binary_search_by(|(n, _)| utf16_order(n, name)) {
            Ok(at) => self.0.get_mut(at).map(|(_, old)| std::mem::replace(old, value)),
            Err(at) => {
                self.0.insert(at, (name.to_owned(), value));
                None
            }
        }
    }

    /// Removes a name, returning the value it had.
    pub fn remove(&mut self, name: &str) -> Option<Json> {
        let at = self.0.iter().position(|(n, _)| n == name)?;
        Some(self.0.remove(at).1)
    }

    /// Visits the members in the order of RFC 8785.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Returns how many members there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True without members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sorts members that were read; the name that stands twice is the error.
    fn from_members(mut members: Vec<(String, Json)>) -> Option<Self> {
        members.sort_by(|(a, _), (b, _)| utf16_order(a, b));
        let twice = members.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a == b));
        (!twice).then_some(Self(members))
    }
}

impl<N: Into<String>> FromIterator<(N, Json)> for Object {
    /// Collects members; of a name that comes twice the last value counts.
    fn from_iter<I: IntoIterator<Item = (N, Json)>>(members: I) -> Self {
        let mut object = Self::new();
        for (name, value) in members {
            object.insert(&name.into(), value);
        }
        object
    }
}

/// Orders by UTF-16 code units without converting: only U+E000 to U+FFFF (lead bytes EE, EF) and the code points
/// above them (lead bytes F0 to F4) stand in another order in UTF-8.
pub(crate) fn utf16_order(a: &str, b: &str) -> Ordering {
    let rank = |byte: &u8| if matches!(byte, 0xee | 0xef) { byte + 0x10 } else { *byte };
    a.bytes().map(|b| rank(&b)).cmp(b.bytes().map(|b| rank(&b)))
}

impl Json {
    /// Reads one value of at most `JSON_SIZE_MAX` bytes, whole.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let fail = |offset, kind| Err(JsonError { offset, kind });
        if bytes.len() > JSON_SIZE_MAX {
            return fail(JSON_SIZE_MAX, JsonErrorKind::Size);
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => return fail(error.valid_up_to(), JsonErrorKind::Utf8),
        };
        let mut reader = Reader { text, at: 0, nodes: 0 };
        let read = reader.value(0).and_then(|value| {
            reader.skip_space();
            if reader.at == text.len() { Ok(value) } else { Err(JsonErrorKind::Trailing) }
        });
        read.map_err(|kind| JsonError { offset: reader.at, kind })
    }

    /// Reads one value that must be written as RFC 8785 writes it.
    pub fn parse_canonical(bytes: &[u8]) -> Result<Self, JsonError> {
        let value = Self::parse(bytes)?;
        let written = jcs::to_string(&value);
        if written.as_bytes() != bytes {
            let offset = written.bytes().zip(bytes).take_while(|(a, b)| a == *b).count();
            return Err(JsonError { offset, kind: JsonErrorKind::NotCanonical });
        }
        Ok(value)
    }

    /// Returns the string.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// Returns the boolean.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// Returns the number, when it is an integer from 0 to 2^53 − 1.
    pub fn as_u64(&self) -> Option<u64> {
        if let Self::Number(number) = self { u64::try_from(number.as_i64()?).ok() } else { None }
    }

    /// Returns the elements.
    pub fn as_array(&self) -> Option<&[Json]> {
        if let Self::Array(values) = self { Some(values) } else { None }
    }

    /// Returns the members.
    pub fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// Returns a member's value, when this is an object that has it.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.as_object()?.get(name)
    }

    /// Returns the elements of an array, or the value itself as the only one (JSON-LD writes lists of one so).
    pub fn one_or_many(&self) -> &[Json] {
        if let Self::Array(values) = self { values } else { std::slice::from_ref(self) }
    }
}

impl fmt::Display for Json {
    /// Writes the canonical form (RFC 8785).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&jcs::to_string(self))
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u32> for Json {
    fn from(value: u32) -> Self {
        Self::Number(Number(Value::Integer(i64::from(value))))
    }
}

impl From<Vec<Json>> for Json {
    fn from(values: Vec<Json>) -> Self {
        Self::Array(values)
    }
}

impl From<Object> for Json {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

/// Reads JSON text from left to right; `at` always stands on a character boundary.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn literal(&mut self, word: &str, value: Json) -> Result<Json, JsonErrorKind> {
        if !self.rest().starts_with(word) {
            return Err(JsonErrorKind::Character);
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Json, JsonErrorKind> {
        self.nodes += 1;
        if self.nodes > JSON_NODES_MAX {
            return Err(JsonErrorKind::Nodes);
        }
        self.skip_space();
        match self.peek().ok_or(JsonErrorKind::End)? {
            b'{' | b'[' if depth >= JSON_DEPTH_MAX => Err(JsonErrorKind::Depth),
            b'{' => self.object(depth + 1).map(Json::Object),
            b'[' => self.array(depth + 1).map(Json::Array),
            b'"' => self.string().map(Json::String),
            b'-' | b'0'..=b'9' => self.number().map(Json::Number),
            b't' => self.literal("true", Json::Bool(true)),
            b'f' => self.literal("false", Json::Bool(false)),
            b'n' => self.literal("null", Json::Null),
            _ => Err(JsonErrorKind::Character),
        }
    }

    /// After an element: true when another one follows.
    fn more(&mut self, close: u8) -> Result<bool, JsonErrorKind> {
        self.skip_space();
        let next = self.peek().ok_or(JsonErrorKind::End)?;
        if next != b',' && next != close {
            return Err(JsonErrorKind::Character);
        }
        self.at += 1;
        Ok(next == b',')
    }

    /// After the opening bracket: true when it closes at once.
    fn opens_empty(&mut self, close: u8) -> bool {
        self.at += 1;
        self.skip_space();
        let empty = self.peek() == Some(close);
        if empty {
            self.at += 1;
        }
        empty
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Json>, JsonErrorKind> {
        let mut values = Vec::new();
        if self.opens_empty(b']') {
            return Ok(values);
        }
        loop {
            values.push(self.value(depth)?);
            if !self.more(b']')? {
                return Ok(values);
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Object, JsonErrorKind> {
        let mut members = Vec::new();
        if self.opens_empty(b'}') {
            return Ok(Object::new());
        }
        loop {
            self.skip_space();
            if self.peek().ok_or(JsonErrorKind::End)? != b'"' {
                return Err(JsonErrorKind::Character);
            }
            let name = self.string()?;
            self.skip_space();
            if self.peek().ok_or(JsonErrorKind::End)? != b':' {
                return Err(JsonErrorKind::Character);
            }
            self.at += 1;
            members.push((name, self.value(depth)?));
            if !self.more(b'}')? {
                return Object::from_members(members).ok_or(JsonErrorKind::Duplicate);
            }
        }
    }

    fn string(&mut self) -> Result<String, JsonErrorKind> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.bytes().take_while(|b| !matches!(b, b'"' | b'\\' | 0..=0x1f)).count();
            text.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek().ok_or(JsonErrorKind::End)? {
                b'"' => {
                    self.at += 1;
                    return Ok(text);
                }
                b'\\' => text.push(self.escape()?),
                _ => return Err(JsonErrorKind::Character),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonErrorKind> {
        self.at += 1;
        let kind = self.peek().ok_or(JsonErrorKind::End)?;
        let plain = match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(JsonErrorKind::Escape),
        };
        self.at += 1;
        Ok(plain)
    }

    /// Reads `uXXXX`, or `uXXXX\uXXXX` for a surrogate pair.
    fn unicode_escape(&mut self) -> Result<char, JsonErrorKind> {
        let first = self.code_unit()?;
        let code = match first {
            0xd800..=0xdbff => {
                if self.peek() != Some(b'\\') {
                    return Err(JsonErrorKind::Escape);
                }
                self.at += 1;
                match self.code_unit()? {
                    second @ 0xdc00..=0xdfff => 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                    _ => return Err(JsonErrorKind::Escape),
                }
            }
            _ => first,
        };
        char::from_u32(code).ok_or(JsonErrorKind::Escape)
    }

    fn code_unit(&mut self) -> Result<u32, JsonErrorKind> {
        let digits = match self.rest().as_bytes() {
            [b'u', a, b, c, d, ..] => [*a, *b, *c, *d],
            _ => return Err(JsonErrorKind::Escape),
        };
        let mut unit = 0;
        for digit in digits {
            unit = unit * 16 + char::from(digit).to_digit(16).ok_or(JsonErrorKind::Escape)?;
        }
        self.at += 5;
        Ok(unit)
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Number, JsonErrorKind> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leads_with_zero = self.peek() == Some(b'0');
        match self.digits() {
            0 => return Err(JsonErrorKind::Character),
            1 => {}
            _ if leads_with_zero => return Err(JsonErrorKind::Character),
            _ => {}
        }
        let mut whole = true;
        if self.peek() == Some(b'.') {
            whole = false;
            self.at += 1;
            if self.digits() == 0 {
                return Err(JsonErrorKind::Character);
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            whole = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(JsonErrorKind::Character);
            }
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        let number = if whole {
            text.parse::<i64>().ok().and_then(Number::from_i64)
        } else {
            text.parse::<f64>().ok().and_then(Number::from_f64)
        };
        number.ok_or(JsonErrorKind::Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Option<JsonErrorKind> {
        Json::parse(text.as_bytes()).err().map(|error| error.kind)
    }

    #[test]
    fn refuses_a_name_that_stands_twice() {
        assert_eq!(kind(r#"{"a":1,"b":{"c":1,"\u0063":2}}"#), Some(JsonErrorKind::Duplicate));
        assert_eq!(kind(r#"{"a":1,"A":2}"#), None);
    }

    #[test]
    fn refuses_trailing_data() {
        assert_eq!(kind("{} {}"), Some(JsonErrorKind::Trailing));
        assert_eq!(kind("[1,]"), Some(JsonErrorKind::Character));
        assert_eq!(kind("{} \n"), None);
    }

    #[test]
    fn refuses_integers_that_are_not_one_double() {
        assert_eq!(kind("9007199254740992"), Some(JsonErrorKind::Number));
        assert_eq!(kind("18446744073709551616"), Some(JsonErrorKind::Number));
        assert_eq!(kind("1e400"), Some(JsonErrorKind::Number));
        assert_eq!(kind("-9007199254740991"), None);
        assert_eq!(kind("1e30"), None);
    }

    #[test]
    fn reads_every_spelling_of_an_integer_alike() {
        for text in ["1000", "1e3", "1000.0", "10.0E+2", "100000e-2"] {
            assert_eq!(Json::parse(text.as_bytes()), Ok(Json::from(1000)), "{text}");
        }
        assert_eq!(Json::parse(b"-0"), Json::parse(b"0"));
    }

    #[test]
    fn refuses_what_rfc_8259_does_not_write() {
        for text in [
            "",
            "01",
            "-",
            "1.",
            ".5",
            "+1",
            "1e",
            "nul",
            "'a'",
            "\"\t\"",
            "\"\\x\"",
            "{a:1}",
            "[1 2]",
            "NaN",
            "\u{feff}1",
            "\"",
            "[",
            "{\"a\"",
            "{\"a\":",
            "\"\\u12\"",
        ] {
            assert!(Json::parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn refuses_half_a_surrogate_pair() {
        for text in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#, r#""\ud800x""#] {
            assert_eq!(kind(text), Some(JsonErrorKind::Escape), "{text}");
        }
        assert_eq!(Json::parse(br#""\ud83d\ude00""#), Ok(Json::from("😀")));
    }

    #[test]
    fn bounds_depth_and_values() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(kind(&nested(JSON_DEPTH_MAX)), None);
        assert_eq!(kind(&nested(JSON_DEPTH_MAX + 1)), Some(JsonErrorKind::Depth));
        assert_eq!(kind(&"[".repeat(1_000_000)), Some(JsonErrorKind::Depth));
        let wide = format!("[{}1]", "1,".repeat(JSON_NODES_MAX));
        assert_eq!(kind(&wide), Some(JsonErrorKind::Nodes));
        assert_eq!(kind(&" ".repeat(JSON_SIZE_MAX + 1)), Some(JsonErrorKind::Size));
    }

    #[test]
    fn orders_names_by_utf_16_code_units() {
        let names = ["", "a", "aa", "b", "\u{d7ff}", "\u{e000}", "\u{ffff}", "\u{10000}", "\u{10ffff}", "é"];
        for a in names {
            for b in names {
                assert_eq!(utf16_order(a, b), a.encode_utf16().cmp(b.encode_utf16()), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn accepts_only_the_canonical_form_where_it_is_demanded() {
        assert!(Json::parse_canonical(br#"{"a":1,"b":"x"}"#).is_ok());
        for text in [r#"{"b":1,"a":1}"#, r#"{"a": 1}"#, "1.0", r#""\/""#, r#""\u0061""#] {
            let error = Json::parse_canonical(text.as_bytes()).expect_err(text);
            assert_eq!(error.kind, JsonErrorKind::NotCanonical, "{text}");
        }
    }

    #[test]
    fn rounds_doubles_correctly() {
        for text in ["333333333.33333329", "0.1", "5e-324", "1.7976931348623157e308", "2.2250738585072011e-308"] {
            let Ok(Json::Number(number)) = Json::parse(text.as_bytes()) else { panic!("{text} is a number") };
            assert_eq!(Some(number.as_f64()), text.parse().ok(), "{text}");
        }
    }
}
