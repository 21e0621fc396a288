//! Registers, trust and verification of Standfast, as pure functions: no I/O, no clock, no randomness.

pub mod bundle;
pub mod charter;
pub mod codec;
pub mod credential;
pub mod did;
pub mod digest;
pub mod freshness;
pub mod key;
pub mod limits;
pub mod log;
pub mod policy;
pub mod proof;
pub mod register;
pub mod replica;
pub mod snapshot;
pub mod status;
pub mod sync;
pub mod time;
pub mod trie;
pub mod trust;
pub mod verdict;
pub mod verify;
