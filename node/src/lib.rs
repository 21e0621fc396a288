//! The Standfast node.

pub mod network;
pub mod store;
