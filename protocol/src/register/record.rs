//! Records: the values of a register, each under its key.
//!
//! ```text
//! did/did:web:agency.example
//! trust/did:web:agency.example/issue/https:%2F%2Fagency.example%2Fpermit
//! status/https:%2F%2Fagency.example%2Flists%2F7
//! ```

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits;

/// Why a text is not the key of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFormError {
    /// No bytes.
    #[error("expected a record key of at least one byte")]
    Empty,
    /// Too many bytes.
    #[error("expected a record key of at most {max} bytes, {0} came", max = limits::RECORD_KEY_SIZE_MAX)]
    Long(usize),
    /// A control character (Unicode Cc).
    #[error("expected a record key without control characters")]
    Control,
    /// Not `prefix/rest` with a prefix of a to z and a rest that is not empty.
    #[error("expected a record key `prefix/rest`, with a prefix of the letters a to z")]
    Prefix,
    /// Another number of parts than the prefix has, or an empty part.
    #[error("expected {expected} parts that are not empty after the prefix, {found} came")]
    Parts {
        /// The number that the prefix has.
        expected: usize,
        /// The number that came, empty ones included.
        found: usize,
    },
    /// A percent sign that encodes neither `%` nor `/`.
    #[error("expected `%25` or `%2F` at every percent sign of a part")]
    Percent,
}

/// The parts of each known prefix.
const PARTS: [(&str, usize); 8] =
    [("did", 1), ("trust", 3), ("status", 1), ("context", 1), ("schema", 1), ("type", 1), ("member", 1), ("notice", 1)];

/// Prefixes whose records never change once they are there.
const WRITE_ONCE: [&str; 3] = ["context", "schema", "type"];

/// The key of a record, `prefix/part` or `prefix/part/part/part`, compared by its bytes and never normalised.
///
/// In a part `%` stands as `%25` and `/` as `%2F`, and nothing else is encoded: one key for one name. A key with an
/// unknown prefix is valid and means nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey(Arc<str>);

impl RecordKey {
    /// Reads a key, strictly.
    pub fn parse(text: &str) -> Result<Self, KeyFormError> {
        check(text)?;
        Ok(Self(text.into()))
    }

    /// Makes the key of a DID document.
    pub fn did(did: &str) -> Result<Self, KeyFormError> {
        Self::of_parts("did", &[did])
    }

    /// Makes the key of a trust entry.
    pub fn trust(entity: &str, action: &str, resource: &str) -> Result<Self, KeyFormError> {
        Self::of_parts("trust", &[entity, action, resource])
    }

    /// Makes the key of a status list.
    pub fn status(uri: &str) -> Result<Self, KeyFormError> {
        Self::of_parts("status", &[uri])
    }

    /// Makes the key of a JSON-LD context.
    pub fn context(url: &str) -> Result<Self, KeyFormError> {
        Self::of_parts("context", &[url])
    }

    /// Makes the key of a JSON schema.
    pub fn schema(url: &str) -> Result<Self, KeyFormError> {
        Self::of_parts("schema", &[url])
    }

    /// Makes the key of SD-JWT VC type metadata.
    pub fn type_metadata(vct: &str) -> Result<Self, KeyFormError> {
        Self::of_parts("type", &[vct])
    }

    /// Makes the key of a node operator's membership.
    pub fn member(peer_id: &str) -> Result<Self, KeyFormError> {
        Self::of_parts("member", &[peer_id])
    }

    /// Makes the key of a public notice.
    pub fn notice(id: &str) -> Result<Self, KeyFormError> {
        Self::of_parts("notice", &[id])
    }

    fn of_parts(prefix: &str, parts: &[&str]) -> Result<Self, KeyFormError> {
        let mut key = prefix.to_owned();
        for part in parts {
            key.push('/');
            key.push_str(&encode_part(part));
        }
        Self::parse(&key)
    }

    /// Returns the key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the key as bytes, sharing them.
    pub fn to_bytes(&self) -> Arc<[u8]> {
        self.0.clone().into()
    }

    /// Returns what stands before the first slash.
    pub fn prefix(&self) -> &str {
        self.0.split_once('/').map_or("", |(prefix, _)| prefix)
    }

    /// Returns the decoded parts after the prefix: one, for `trust` three, of an unknown prefix any number.
    pub fn parts(&self) -> Vec<Cow<'_, str>> {
        self.0.split('/').skip(1).map(decode_part).collect()
    }

    /// True when a record under this key is neither changed nor removed once it is there.
    pub fn is_write_once(&self) -> bool {
        WRITE_ONCE.contains(&self.prefix())
    }
}

/// Encodes `%` and `/` for a part of a key.
fn encode_part(part: &str) -> Cow<'_, str> {
    if part.contains(['%', '/']) { part.replace('%', "%25").replace('/', "%2F").into() } else { part.into() }
}

fn decode_part(part: &str) -> Cow<'_, str> {
    // In this order: `%252F` holds no `%2F`.
    if part.contains('%') { part.replace("%2F", "/").replace("%25", "%").into() } else { part.into() }
}

fn check(key: &str) -> Result<(), KeyFormError> {
    if key.is_empty() {
        return Err(KeyFormError::Empty);
    }
    if key.len() > limits::RECORD_KEY_SIZE_MAX {
        return Err(KeyFormError::Long(key.len()));
    }
    if key.contains(char::is_control) {
        return Err(KeyFormError::Control);
    }
    let (prefix, rest) = key.split_once('/').ok_or(KeyFormError::Prefix)?;
    if prefix.is_empty() || rest.is_empty() || !prefix.bytes().all(|b| b.is_ascii_lowercase()) {
        return Err(KeyFormError::Prefix);
    }
    let Some((_, expected)) = PARTS.into_iter().find(|(known, _)| *known == prefix) else {
        return Ok(());
    };
    let found = rest.split('/').count();
    if found != expected || rest.split('/').any(str::is_empty) {
        return Err(KeyFormError::Parts { expected, found });
    }
    if !rest.split('%').skip(1).all(|after| after.starts_with("25") || after.starts_with("2F")) {
        return Err(KeyFormError::Percent);
    }
    Ok(())
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Borrow<str> for RecordKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for RecordKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for RecordKey {
    type Err = KeyFormError;

    fn from_str(text: &str) -> Result<Self, KeyFormError> {
        Self::parse(text)
    }
}

impl Serialize for RecordKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RecordKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_for_one_name() {
        let key = RecordKey::trust("did:web:a.example", "issue", "https://a.example/100%2F/x").expect("a key");
        assert_eq!(key.as_str(), "trust/did:web:a.example/issue/https:%2F%2Fa.example%2F100%252F%2Fx");
        assert_eq!(key.prefix(), "trust");
        assert_eq!(key.parts(), ["did:web:a.example", "issue", "https://a.example/100%2F/x"]);
        assert_eq!(RecordKey::parse(key.as_str()), Ok(key));
    }

    #[test]
    fn refuses_other_forms() {
        let long = format!("notice/{}", "x".repeat(1018));
        let cases = [
            ("", KeyFormError::Empty),
            (long.as_str(), KeyFormError::Long(1025)),
            ("notice/a\u{85}b", KeyFormError::Control),
            ("did", KeyFormError::Prefix),
            ("/x", KeyFormError::Prefix),
            ("did/", KeyFormError::Prefix),
            ("Did/x", KeyFormError::Prefix),
            ("did/a/b", KeyFormError::Parts { expected: 1, found: 2 }),
            ("trust/a//c", KeyFormError::Parts { expected: 3, found: 3 }),
            ("did/a%2fb", KeyFormError::Percent),
            ("did/a%20b", KeyFormError::Percent),
            ("did/a%", KeyFormError::Percent),
        ];
        for (text, error) in cases {
            assert_eq!(RecordKey::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn unknown_prefixes_are_valid() {
        for text in ["tomorrow/x", "tomorrow/a//%zz"] {
            assert!(RecordKey::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn only_documents_that_credentials_name_are_write_once() {
        for key in [RecordKey::context("u"), RecordKey::schema("u"), RecordKey::type_metadata("u")] {
            assert!(key.expect("a key").is_write_once());
        }
        assert!(!RecordKey::status("u").expect("a key").is_write_once());
        assert!(!RecordKey::parse("contexts/u").expect("a key").is_write_once());
    }
}
