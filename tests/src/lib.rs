//! What the tests of Standfast share.

pub mod interop;
pub mod skip;
pub mod vectors;
