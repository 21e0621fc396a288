//! What the tests of Standfast share: foreign tools, foreign vectors, worlds made in code.

pub mod cluster;
pub mod dice;
pub mod export;
pub mod graph;
pub mod interop;
pub mod skip;
pub mod vectors;
pub mod world;
