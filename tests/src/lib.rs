//! What the tests of Standfast share.

pub mod vectors;
