//! Registers, trust and verification of Standfast, as pure functions: no I/O, no clock, no randomness.

pub mod credential;
pub mod did;
pub mod digest;
pub mod key;
pub mod limits;
pub mod log;
pub mod time;
