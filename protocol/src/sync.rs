//! Replication: one machine, and the messages that it speaks.

pub mod message;
