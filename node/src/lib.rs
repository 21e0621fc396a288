//! The Standfast node.

pub mod store;
