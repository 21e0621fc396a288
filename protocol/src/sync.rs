//! Replication: one machine, and the messages that it speaks.

pub mod frontier;
pub mod message;
