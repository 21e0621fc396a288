//! The largest signed head of each register that came and is not reached yet, by the key that signed it.

use std::collections::BTreeMap;

use crate::key::VerifierKey;

/// What was seen, for as long as its key is bound: a stolen key that was rotated away holds nobody up any more.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen(BTreeMap<String, Vec<(VerifierKey, u64)>>);

impl Seen {
    /// Remembers a head's size under each key that signed it; true when one of them has signed no larger one.
    pub(super) fn note(&mut self, origin: &str, size: u64, signers: &[VerifierKey]) -> bool {
        let sizes = self.0.entry(origin.to_owned()).or_default();
        let mut is_new = false;
        for key in signers {
            match sizes.iter_mut().find(|(held, _)| held == key) {
                Some((_, held)) => {
                    is_new |= *held < size;
                    *held = size.max(*held);
                }
                None => {
                    is_new = true;
                    sizes.push((key.clone(), size));
                }
            }
        }
        is_new
    }

    /// Returns the largest size that a key bound now has signed; 0 without one.
    pub(super) fn largest(&self, origin: &str, bound: &[VerifierKey]) -> u64 {
        let sizes = self.0.get(origin).into_iter().flatten();
        sizes.filter(|(key, _)| bound.contains(key)).map(|(_, size)| *size).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::key::{Algorithm, SecretKey};

    #[test]
    fn what_a_key_signed_counts_while_it_is_bound() {
        let key = |seed: u8| {
            let public = SecretKey::from_seed(&[seed; 32]).public();
            VerifierKey::new("a.example/register", Algorithm::Note, public).unwrap()
        };
        let (stolen, next) = (key(1), key(2));
        let mut seen = Seen::default();
        assert!(seen.note("a", 7, std::slice::from_ref(&next)));
        assert!(seen.note("a", u64::MAX, std::slice::from_ref(&stolen)));
        assert!(!seen.note("a", 5, &[stolen.clone(), next.clone()]));
        assert_eq!(seen.largest("a", &[stolen, next.clone()]), u64::MAX);
        assert_eq!((seen.largest("a", &[next]), seen.largest("a", &[]), seen.largest("b", &[])), (7, 0, 0));
    }
}
