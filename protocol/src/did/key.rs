//! `did:key` with an Ed25519 key: `did:key:z6Mk…` is its own document.

use super::{DidDocument, DidError};
use crate::key::PublicKey;

/// Returns the DID of a key.
pub fn did_of(key: PublicKey) -> String {
    format!("did:key:{}", key.to_multikey())
}

/// Returns the id of the one verification method of a key's DID.
pub fn method_of(key: PublicKey) -> String {
    let multikey = key.to_multikey();
    format!("did:key:{multikey}#{multikey}")
}

/// Resolves a `did:key`.
pub fn resolve(did: &str) -> Result<DidDocument, DidError> {
    let multikey = did.strip_prefix("did:key:").ok_or(DidError::Key)?;
    let key = PublicKey::from_multikey(multikey).map_err(|_| DidError::Key)?;
    // Base58 has one spelling of a key, so that one key has one DID.
    if key.to_multikey() != multikey {
        return Err(DidError::Key);
    }
    Ok(DidDocument::of_one_key(did, multikey, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::did::Relationship;

    const DID: &str = "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2";

    #[test]
    fn resolves_from_itself() {
        let document = resolve(DID).expect("a document");
        let key = PublicKey::from_multikey("z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2").expect("a key");
        assert_eq!(document.key_for(&method_of(key), Relationship::AssertionMethod), Ok(key));
        assert_eq!(did_of(key), DID);
    }

    #[test]
    fn refuses_other_keys() {
        for did in ["did:key:z6Mk", "did:key:zDnaegE6RR3atJtHKwTRTWHsJ3kNHqFwv7n9YjTgmU7TyfU76", "did:key:"] {
            assert_eq!(resolve(did), Err(DidError::Key), "{did}");
        }
    }
}
