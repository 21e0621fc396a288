//! Registers: logs whose entries change a state of records.

pub mod entry;
pub mod record;
