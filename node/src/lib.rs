//! The Standfast node.

pub mod network;
