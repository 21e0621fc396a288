//! What the tests of Standfast share.

pub mod dice;
pub mod export;
pub mod interop;
pub mod skip;
pub mod vectors;
